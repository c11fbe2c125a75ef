// SPDX-License-Identifier: BSD-3-Clause
// See network.h.
#include "tests/sim/network.h"

#include "tests/sim/adversary.h"
#include "tests/sim/client.h"
#include "tests/sim/clock.h"
#include "tests/sim/dice.h"
#include "tests/sim/map.h"
#include "tests/sim/relay.h"
#include "tests/sim/sim.h"
#include "tests/sim/trace.h"

#include <stdlib.h>

enum {
	JITTER_US = 3 * CLOCK_MS,
	LATE_US = 400 * CLOCK_MS, // what comes late comes up to so much later
	CLIENTS_BEHIND = 4,       // one address of a NAT
};

static const struct net_endpoint relays[2] = {
	{.address = {.bytes = {192, 0, 2, 1}, .family = NET_IPV4}, .port = 3478},
	{.address = {.bytes = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}, .family = NET_IPV6},
		.port = 3478},
};

static struct {
	struct dice dice;
	struct map hosts;  // transport address -> struct network_host that has it now
	struct map owners; // -> client + 1
	uint16_t *ports;   // next one of each address
	uint32_t nats;
} net;

const struct net_endpoint *network_relay(unsigned family)
{
	return &relays[family == NET_IPV6];
}

static uint64_t key_of(const struct net_endpoint *transport)
{
	return map_hash(transport, sizeof(*transport));
}

unsigned network_owner(const struct net_endpoint *transport)
{
	uintptr_t owner = (uintptr_t)map_get(&net.owners, key_of(transport));
	return owner ? (unsigned)owner - 1 : SIM_NOBODY;
}

void network_open(uint64_t seed)
{
	dice_seed(&net.dice, seed, 0xE7);
	net.nats = sim_options.clients / CLIENTS_BEHIND + 16;
	net.ports = calloc(net.nats, sizeof(*net.ports));
	if (net.ports == NULL)
		abort();
}

void network_close(void)
{
	map_free(&net.hosts);
	map_free(&net.owners);
	free(net.ports);
	net.ports = NULL;
}

// ---- places ----

// Each address of a NAT lies in a prefix of its own, and so do a few clients with IPv6.
static void bind(struct network_host *host)
{
	uint32_t nat = host->nat;
	host->transport = (struct net_endpoint){.port = (uint16_t)(1024 + net.ports[nat]++)};
	if (net.ports[nat] > 60000)
		sim_fail(host->client, SIM_NOBODY, "a NAT of the simulation has no more ports");
	host->transport.address =
		host->family == NET_IPV4
			? net_address_v4((uint8_t[]){11, (uint8_t)(nat >> 8), (uint8_t)nat, 77})
			: net_address_v6((uint8_t[16]){
				  0x24, 0, (uint8_t)(nat >> 8), (uint8_t)nat, [14] = 7, [15] = 7});
	map_put(&net.hosts, key_of(&host->transport), host);
	map_put(&net.owners, key_of(&host->transport), (void *)(uintptr_t)(host->client + 1u));
	host->up = true;
}

static void unbind(struct network_host *host)
{
	if (host->up)
		map_remove(&net.hosts, key_of(&host->transport));
	host->up = false;
}

void network_attach(struct network_host *host, uint16_t client)
{
	host->client = client;
	host->latency = (uint32_t)dice_between(&net.dice, 2 * CLOCK_MS, 90 * CLOCK_MS);
	network_move(host);
}

void network_rebind(struct network_host *host)
{
	unbind(host);
	bind(host);
}

void network_move(struct network_host *host)
{
	unbind(host);
	host->nat = (uint32_t)dice_below(&net.dice, net.nats);
	host->family = dice_chance(&net.dice, 300000) ? NET_IPV6 : NET_IPV4;
	bind(host);
}

void network_detach(struct network_host *host)
{
	unbind(host);
}

// ---- ways ----

static void arrive(void *object, uint64_t argument)
{
	struct network_packet *packet = object;
	(void)argument;
	if (packet->to_relay) {
		relay_arrive(packet); // its own now
		return;
	}
	struct network_host *host = map_get(&net.hosts, key_of(&packet->destination));
	if (host == NULL) {
		sim_count(COUNT_nowhere);
		trace(TRACE_NOWHERE, network_owner(&packet->destination), "", &packet->destination,
			packet->bytes, packet->size);
	} else {
		trace(TRACE_DELIVERED, host->client, "", &packet->destination, packet->bytes,
			packet->size);
		client_receive(host->client, &packet->source, packet->bytes, packet->size);
	}
	free(packet);
}

static void carry(const struct net_endpoint *source, const struct net_endpoint *destination,
	const void *data, size_t size, bool to_relay, uint64_t delay)
{
	struct network_packet *packet = malloc(sizeof(*packet) + size);
	if (packet == NULL)
		abort();
	*packet = (struct network_packet){.source = *source,
		.destination = *destination,
		.size = (uint16_t)size,
		.to_relay = to_relay};
	if (size > 0)
		memcpy(packet->bytes, data, size);
	clock_after(delay, arrive, packet, 0);
}

static void carry_by_chance(const struct net_endpoint *source,
	const struct net_endpoint *destination, const void *data, size_t size, bool to_relay,
	uint32_t latency)
{
	unsigned copies = 1 + dice_chance(&net.dice, sim_phase.doubled);
	sim_count(COUNT_datagrams);
	adversary_see(source, destination, data, size, to_relay);
	for (unsigned i = 0; i < copies; i++) {
		uint64_t delay = latency + dice_below(&net.dice, JITTER_US);
		if (dice_chance(&net.dice, sim_phase.late))
			delay += dice_below(&net.dice, LATE_US);
		if (dice_chance(&net.dice, sim_phase.loss))
			sim_count(COUNT_lost);
		else
			carry(source, destination, data, size, to_relay, delay);
	}
}

void network_send(const struct network_host *host, const void *data, size_t size)
{
	trace(TRACE_SENT, host->client, "", &host->transport, data, size);
	carry_by_chance(
		&host->transport, network_relay(host->family), data, size, true, host->latency);
}

void network_answer(const struct net_endpoint *source, const struct net_endpoint *destination,
	const void *data, size_t size)
{
	const struct network_host *host = map_get(&net.hosts, key_of(destination));
	trace(TRACE_ANSWERED, network_owner(destination), "", destination, data, size);
	carry_by_chance(
		source, destination, data, size, false, host != NULL ? host->latency : JITTER_US);
}

void network_inject(const struct net_endpoint *source, const struct net_endpoint *destination,
	const void *data, size_t size, uint64_t delay)
{
	bool to_relay = net_endpoint_equal(destination, network_relay(destination->address.family));
	trace(TRACE_SENT, SIM_ADVERSARY, "spoofed", source, data, size);
	carry(source, destination, data, size, to_relay, delay);
}
