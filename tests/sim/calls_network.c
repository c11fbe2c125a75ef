// SPDX-License-Identifier: BSD-3-Clause
// The networks of the simulation of calls:
//
//     phone - NAT or firewall - wire up ---+                  +--- relay, second relay
//                                          +--- core ---------+
//     phone - NAT or firewall - wire down -+                  +--- other places
//
// Everybody behind a NAT has the same inside address, as in life: what is sent to the peer's inside
// address comes to oneself. A user that has moved is no longer reached at the old place.
//
// Looked at with every datagram: that no address of anybody's is in it (candidates travel sealed);
// and that no more is sent to whom nobody has heard yet than the agent's caps allow.
#include "tests/sim/calls.h"

#include "endpoint/agent/agent.h"
#include "tests/sim/account.h"
#include "tests/sim/book.h"
#include "tests/sim/clock.h"
#include "tests/sim/map.h"
#include "tests/sim/network.h"
#include "tests/sim/relay.h"
#include "tests/sim/trace.h"

#include <stdlib.h>
#include <string.h>

enum {
	PLACES_MAX = CALLS_USERS_MAX * CALLS_PLACES,
	LOCAL_US = 100, // within a network
	AT_ONCE_MAX = 5000,
	RELAY_US = 200, // from the core to a relay
};

static const struct net_endpoint relays[3] = {
	{.address = {.bytes = {192, 0, 2, 1}, .family = NET_IPV4}, .port = 3478},
	{.address = {.bytes = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}, .family = NET_IPV6},
		.port = 3478},
	{.address = {.bytes = {192, 0, 2, 2}, .family = NET_IPV4}, .port = 3478},
};

static struct {
	struct dice dice;
	struct place *places[PLACES_MAX];
	struct map unanswered; // (user, address) -> datagrams, or ANSWERED
	uint64_t unanswered_since;
	uint64_t delivered_at, at_once; // datagrams in the same microsecond
} net;

#define ANSWERED ((void *)UINTPTR_MAX)

const struct net_endpoint *network_relay(unsigned family)
{
	return &relays[family == NET_IPV6];
}

const struct net_endpoint *calls_second_relay(void)
{
	return &relays[2];
}

static struct place *place_of(const struct net_address *address)
{
	for (unsigned i = 0; i < PLACES_MAX; i++) {
		struct place *p = net.places[i];
		if (p != NULL &&
			(net_address_equal(address, &p->outside) ||
				(p->firewall != NULL && net_address_equal(address, &p->inside6))))
			return p;
	}
	return NULL;
}

unsigned network_owner(const struct net_endpoint *transport)
{
	const struct place *p = place_of(&transport->address);
	return p != NULL ? p->user->number : SIM_NOBODY;
}

// Tables are looked at in the other simulation.
void book_left(const struct net_endpoint *destination, const uint8_t *data, size_t size)
{
	(void)destination;
	(void)data;
	(void)size;
}

void book_burst(struct network_packet *const *packets, unsigned count)
{
	(void)packets;
	(void)count;
}

void book_burst_end(void)
{
}

// ---- places ----

void calls_network_open(uint64_t seed)
{
	dice_seed(&net.dice, seed, 0xE7);
}

void calls_network_close(void)
{
	map_free(&net.unanswered);
}

static struct nat_behaviour choose_nat(struct dice *dice)
{
	struct nat_behaviour b = {
		.mapping = (enum nat_dependence)dice_below(dice, 3),
		.filtering = (enum nat_dependence)dice_below(dice, 3),
		.translates = true,
		.hairpin = dice_chance(dice, 500000),
		.refreshed_inbound = dice_chance(dice, 500000),
		.timeout_ms = (uint32_t)dice_between(dice, 30, 120) * 1000,
		.blocked = dice_chance(dice, 60000),
		.allowed = {relays[0].address, relays[2].address},
	};
	// Ports that are preserved or follow each other are to be guessed; that is another matter.
	if (b.mapping == NAT_ENDPOINT_INDEPENDENT)
		b.allocation = (enum nat_allocation)dice_below(dice, 4);
	else
		b.allocation = dice_chance(dice, 500000) ? NAT_RANDOM : NAT_BLOCKS;
	if (b.allocation == NAT_SEQUENTIAL)
		b.port_low = 40000;
	return b;
}

void place_open(struct place *place, struct user *user, unsigned number, struct dice *dice)
{
	uint8_t n = (uint8_t)number;
	uint64_t seed = dice_throw(dice);
	*place = (struct place){.number = (uint16_t)number, .user = user};
	place->outside = net_address_v4((uint8_t[]){11, 0, n, 1});
	place->translates = !dice_chance(dice, 150000);
	place->behaviour = choose_nat(dice);
	place->behaviour.outside = place->outside;
	place->inside =
		place->translates ? net_address_v4((uint8_t[]){192, 168, 1, 2}) : place->outside;
	if (place->translates)
		place->nat = nat_create(&place->behaviour, seed);
	place->inside6 = net_address_v6((uint8_t[16]){0x24, 0, 0, n, [15] = 2});
	place->behaviour6 = (struct nat_behaviour){
		.filtering = (enum nat_dependence)dice_below(dice, 3), .timeout_ms = 60000};
	if (dice_chance(dice, 300000))
		place->firewall = nat_create(&place->behaviour6, seed + 1);
	wire_open(&place->up, seed, 2);
	wire_open(&place->down, seed, 3);
	static const uint32_t delays_ms[] = {0, 1, 10, 25, 75};
	place->up.quality.delay_us = place->down.quality.delay_us =
		delays_ms[dice_below(dice, 5)] * CLOCK_MS;
	net.places[number] = place;
}

void place_close(struct place *place)
{
	net.places[place->number] = NULL;
	nat_destroy(place->nat);
	nat_destroy(place->firewall);
}

// ---- what may be on the wires ----

static bool has(const uint8_t *data, size_t size, const struct net_endpoint *e)
{
	uint8_t text[18], port[2] = {(uint8_t)(e->port >> 8), (uint8_t)e->port};
	size_t length = e->address.family == NET_IPV4 ? 4 : 16;
	memcpy(text, port, 2);
	memcpy(text + 2, e->address.bytes, length);
	if (memmem(data, size, text, 2 + length) != NULL)
		return true;
	memcpy(text, e->address.bytes, length);
	memcpy(text + length, port, 2);
	return memmem(data, size, text, 2 + length) != NULL;
}

// Addresses of the sender in what it sends.
static void check_leaks(const struct user *user, const uint8_t *data, size_t size)
{
	for (unsigned i = 0; i < CALLS_PLACES; i++)
		for (unsigned base = 0; base < PHONE_BASES_MAX; base++) {
			const struct place *p = &user->places[i];
			if (!user->up[base])
				continue;
			struct net_endpoint host = {.port = user->port[base],
				.address = user->family[base] == 4 ? p->inside : p->inside6};
			if (has(data, size, &host))
				sim_fail(user->number, SIM_NOBODY, "an address is in clear");
		}
}

static uint64_t key_of(const struct user *user, const struct net_address *address)
{
	uint8_t bytes[18] = {(uint8_t)user->number, (uint8_t)(user->number >> 8)};
	memcpy(bytes + 2, address->bytes, address->family == NET_IPV4 ? 4 : 16);
	return map_hash(bytes, sizeof(bytes));
}

static bool is_relay(const struct net_endpoint *e)
{
	for (unsigned i = 0; i < 3; i++)
		if (net_endpoint_equal(&relays[i], e))
			return true;
	return false;
}

// The agent's budget of an address that has not answered: so many, and one more from time to time.
static void check_caps(const struct user *user, const struct net_endpoint *to)
{
	uint64_t key = key_of(user, &to->address);
	void *value = map_get(&net.unanswered, key);
	if (value == ANSWERED)
		return;
	uintptr_t count = (uintptr_t)value + 1;
	uint64_t since_ms = (clock_now() - net.unanswered_since) / CLOCK_MS;
	if (count > AGENT_CHECKS_PER_HOST + since_ms / AGENT_CHECKS_HOST_REFILL_MS)
		sim_fail(user->number, user->peer->number,
			"%llu datagrams to an address that has never answered",
			(unsigned long long)count);
	map_put(&net.unanswered, key, (void *)count);
}

void calls_forget_answers(void)
{
	net.unanswered_since = clock_now();
	map_free(&net.unanswered);
	net.unanswered = (struct map){0};
}

// ---- ways ----

static struct network_packet *packet_of(const struct net_endpoint *source,
	const struct net_endpoint *destination, const void *data, size_t size)
{
	struct network_packet *packet = malloc(sizeof(*packet) + size);
	if (packet == NULL)
		abort();
	*packet = (struct network_packet){
		.source = *source, .destination = *destination, .size = (uint16_t)size};
	if (size > 0)
		memcpy(packet->bytes, data, size);
	return packet;
}

static void deliver(struct place *place, const struct network_packet *packet, bool local)
{
	struct user *user = place->user;
	struct net_endpoint to = packet->destination;
	struct nat *nat = to.address.family == NET_IPV4 ? place->nat : place->firewall;
	if (&user->places[user->at] != place)
		return;
	net.at_once = net.delivered_at == clock_now() ? net.at_once + 1 : 0;
	net.delivered_at = clock_now();
	if (net.at_once > AT_ONCE_MAX)
		sim_fail(user->number, user->peer->number, "an exchange without end");
	if (!local && nat != NULL &&
		nat_inbound(nat, clock_now(), &packet->source, &to) != NAT_INSIDE)
		return;
	if (!is_relay(&packet->source))
		map_put(&net.unanswered, key_of(user, &packet->source.address), ANSWERED);
	for (unsigned base = 0; base < PHONE_BASES_MAX; base++)
		if (user->up[base] && user->port[base] == to.port &&
			user->family[base] == to.address.family) {
			trace(TRACE_DELIVERED, user->number, "", &packet->source, packet->bytes,
				packet->size);
			user_receive(user, base, &packet->source, packet->bytes, packet->size);
		}
}

static void arrive(void *object, uint64_t number)
{
	struct network_packet *packet = object;
	deliver(net.places[number], packet, false);
	free(packet);
}

static void arrive_locally(void *object, uint64_t number)
{
	struct network_packet *packet = object;
	deliver(net.places[number], packet, true);
	free(packet);
}

static void down(struct place *place, struct network_packet *packet)
{
	uint64_t out[2];
	unsigned copies = wire_put(&place->down, clock_now(), out);
	for (unsigned i = 0; i < copies; i++)
		clock_at(out[i], arrive,
			packet_of(
				&packet->source, &packet->destination, packet->bytes, packet->size),
			place->number);
	free(packet);
}

static void to_second(void *object, uint64_t argument)
{
	struct network_packet *packet = object;
	(void)argument;
	second_receive(&packet->source, packet->bytes, packet->size);
	free(packet);
}

static void to_relay(void *object, uint64_t argument)
{
	(void)argument;
	relay_arrive(object);
}

// In the middle: where to.
static void core(void *object, uint64_t from)
{
	struct network_packet *packet = object;
	const struct net_endpoint *to = &packet->destination;
	const struct user *sender = net.places[from]->user;
	struct place *place = place_of(&to->address);
	if (net_endpoint_equal(to, &relays[2]))
		clock_after(RELAY_US, to_second, packet, 0);
	else if (is_relay(to))
		clock_after(RELAY_US, to_relay, packet, 0);
	else if (place == NULL || sender->cut)
		free(packet);
	else
		down(place, packet);
}

void network_answer(const struct net_endpoint *source, const struct net_endpoint *destination,
	const void *data, size_t size)
{
	struct place *place = place_of(&destination->address);
	trace(TRACE_ANSWERED, network_owner(destination), "", destination, data, size);
	if (place == NULL)
		return;
	for (unsigned i = 0; i < PLACES_MAX; i++)
		if (net.places[i] != NULL && net.places[i]->user != place->user)
			check_leaks(net.places[i]->user, data, size);
	down(place, packet_of(source, destination, data, size));
}

void calls_second_answer(const struct net_endpoint *destination, const uint8_t *data, size_t size)
{
	network_answer(&relays[2], destination, data, size);
}

void calls_send(struct user *user, unsigned base, const struct endpoint_transport *destination,
	const uint8_t *data, size_t size)
{
	struct place *place = &user->places[user->at];
	struct net_endpoint source = {.port = user->port[base]}, to = {.port = destination->port};
	bool v4 = destination->family == 4;
	to.address.family = destination->family;
	memcpy(to.address.bytes, destination->address, v4 ? 4 : 16);
	source.address = v4 ? place->inside : place->inside6;
	if (!user->up[base] || user->family[base] != destination->family)
		sim_fail(user->number, SIM_NOBODY, "sends from a socket that cannot");
	calls_counts[CALLS_datagrams]++;
	trace(TRACE_SENT, user->number, "", &to, data, size);
	check_leaks(user, data, size);
	if (!is_relay(&to)) {
		check_caps(user, &to);
		calls_counts[CALLS_direct]++;
		user->direct_sent_at = clock_now();
	}
	if (!v4 && place->firewall == NULL)
		return;
	if (net_address_equal(&to.address, &source.address)) {
		clock_after(LOCAL_US, arrive_locally, packet_of(&source, &to, data, size),
			place->number);
		return;
	}
	struct nat *nat = v4 ? place->nat : place->firewall;
	enum nat_verdict verdict =
		nat == NULL ? NAT_OUTSIDE : nat_outbound(nat, clock_now(), &source, &to);
	if (verdict == NAT_INSIDE)
		clock_after(LOCAL_US, arrive_locally, packet_of(&source, &to, data, size),
			place->number);
	if (verdict != NAT_OUTSIDE)
		return;
	uint64_t out[2];
	unsigned copies = wire_put(&place->up, clock_now(), out);
	for (unsigned i = 0; i < copies; i++)
		clock_at(out[i], core, packet_of(&source, &to, data, size), place->number);
}
