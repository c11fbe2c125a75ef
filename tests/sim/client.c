// SPDX-License-Identifier: BSD-3-Clause
// See client.h.
#include "tests/sim/client.h"

#include "tests/sim/book.h"
#include "tests/sim/clock.h"
#include "tests/sim/sim.h"
#include "tests/sim/trace.h"
#include "tests/sim/user.h"

#include <stdlib.h>
#include <string.h>

enum {
	OPEN_TIMEOUT_MS = 15000,
	// What it takes until the next epoch's address is there too: they are registered in the
	// last quarter of an epoch, or at once by who comes then.
	SETTLE_US = 12 * CLOCK_S,
};

static struct {
	struct client *clients;
	struct endpoint_peer *peers; // of identities
	bool *known;
	uint64_t seed;
	uint8_t namespace_id[ENDPOINT_KEY_SIZE];
} all;

struct client *client_at(unsigned number)
{
	return &all.clients[number];
}

unsigned client_identities(void)
{
	unsigned most = sim_options.clients * 3 / 4;
	return most > 0 ? most : 1;
}

// Twelve with the first identity, then one or two each.
static unsigned identity_of(unsigned number)
{
	return number < CLIENT_GATHERING ? 0 : number % client_identities();
}

struct client *client_of_identity(unsigned identity, unsigned from)
{
	if (identity == 0 && from < CLIENT_GATHERING && from < sim_options.clients)
		return client_at(from);
	unsigned number = identity;
	while (number < from || (number < CLIENT_GATHERING && identity != 0))
		number += client_identities();
	return number < sim_options.clients ? client_at(number) : NULL;
}

const struct endpoint_peer *client_peer(unsigned identity)
{
	return all.known[identity] ? &all.peers[identity] : NULL;
}

void client_open(uint64_t seed)
{
	all.seed = seed;
	all.clients = calloc(sim_options.clients, sizeof(*all.clients));
	all.peers = calloc(client_identities(), sizeof(*all.peers));
	all.known = calloc(client_identities(), sizeof(*all.known));
	if (all.clients == NULL || all.peers == NULL || all.known == NULL)
		abort();
	struct dice dice;
	dice_seed(&dice, seed, 0x4A3E);
	dice_fill(&dice, all.namespace_id, sizeof(all.namespace_id));
	for (unsigned i = 0; i < sim_options.clients; i++) {
		struct client *client = client_at(i);
		client->number = (uint16_t)i;
		client->identity = (uint16_t)identity_of(i);
		client->settled_at = CLIENT_UNSETTLED;
		dice_seed(&client->dice, seed, 0x10000 + i);
		dice_seed(&client->chance, seed, 0x20000 + i);
	}
}

void client_close(void)
{
	for (unsigned i = 0; i < sim_options.clients; i++)
		endpoint_free(all.clients[i].endpoint);
	free(all.clients);
	free(all.peers);
	free(all.known);
}

struct endpoint_time client_time(void)
{
	return (struct endpoint_time){clock_monotonic_ms(), clock_wall_s()};
}

bool client_settled(const struct client *client)
{
	return client->endpoint != NULL && !client->leaving &&
	       client->settled_at != CLIENT_UNSETTLED &&
	       client->settled_at + SETTLE_US <= clock_now();
}

// ---- the endpoint's doors ----

static bool is_relay(const struct endpoint_transport *t, unsigned family)
{
	const struct net_endpoint *relay = network_relay(family);
	return t->family == family && t->port == relay->port &&
	       memcmp(t->address, relay->address.bytes, 16) == 0;
}

static void send_datagram(void *context, const struct endpoint_transport *destination,
	const uint8_t *data, size_t size)
{
	struct client *client = context;
	if (!is_relay(destination, destination->family))
		sim_fail(client->number, SIM_NOBODY, "an endpoint sends to a stranger");
	if (destination->family != client->host.family || !client->host.up)
		return; // no route
	book_sent(client->number, &client->host.transport, data, size);
	network_send(&client->host, data, size);
}

static void told(void *context, const struct endpoint_event *event)
{
	user_event(context, event);
}

static void tick(void *object, uint64_t plan_of);

static void plan(void *context, uint64_t monotonic_ms)
{
	struct client *client = context;
	if (monotonic_ms >= client->tick_at)
		return;
	client->tick_at = monotonic_ms;
	uint64_t now = clock_monotonic_ms();
	clock_after(monotonic_ms > now ? (monotonic_ms - now) * CLOCK_MS : 0, tick, client,
		(uint64_t)client->life << 32 | (uint32_t)monotonic_ms);
}

static void tick(void *object, uint64_t plan_of)
{
	struct client *client = object;
	if (client->endpoint == NULL || client->life != plan_of >> 32 ||
		(uint32_t)client->tick_at != (uint32_t)plan_of)
		return; // another time has been planned since
	client->tick_at = ENDPOINT_NEVER;
	if (endpoint_deadline(client->endpoint) <= clock_monotonic_ms())
		endpoint_tick(client->endpoint, client_time());
	plan(client, endpoint_deadline(client->endpoint));
}

static void throw_dice(void *context, void *out, size_t size)
{
	struct client *client = context;
	dice_fill(&client->chance, out, size);
}

void client_receive(
	unsigned number, const struct net_endpoint *source, const uint8_t *data, size_t size)
{
	struct client *client = client_at(number);
	struct endpoint_transport from = {source->address.family, {0}, source->port};
	memcpy(from.address, source->address.bytes, 16);
	if (client->endpoint != NULL)
		endpoint_receive(client->endpoint, &from, data, size, client_time());
}

// ---- coming and going ----

static struct endpoint_transport relay_of(unsigned family)
{
	const struct net_endpoint *relay = network_relay(family);
	struct endpoint_transport t = {(uint8_t)family, {0}, relay->port};
	memcpy(t.address, relay->address.bytes, 16);
	return t;
}

void client_come(struct client *client)
{
	struct endpoint_config config = {
		.relay_count = 2,
		.epoch_seconds = SIM_EPOCH_S,
		.lease_seconds = SIM_LEASE_S,
		.open_timeout_ms = OPEN_TIMEOUT_MS,
		.random = throw_dice,
		.random_context = client,
	};
	const struct endpoint_output output = {client, send_datagram, told, plan};
	struct dice seed;
	dice_seed(&seed, all.seed, 0x30000 + client->identity);
	dice_fill(&seed, config.delivery_seed, sizeof(config.delivery_seed));
	memcpy(config.namespace_id, all.namespace_id, sizeof(config.namespace_id));
	network_attach(&client->host, client->number);
	config.relays[0] = relay_of(client->host.family);
	config.relays[1] = relay_of(client->host.family == NET_IPV4 ? NET_IPV6 : NET_IPV4);
	client->life++;
	client->leaving = false;
	client->tick_at = ENDPOINT_NEVER;
	client->settled_at = CLIENT_UNSETTLED;
	client->settling = true;
	trace(TRACE_TOLD, client->number, "comes", &client->host.transport, NULL, 0);
	if (endpoint_create(&client->endpoint, &config, &output) != 0)
		abort();
	endpoint_self(client->endpoint, &all.peers[client->identity]);
	all.known[client->identity] = true;
	endpoint_register(client->endpoint, client_time());
	user_begin(client);
}

static void go(struct client *client)
{
	for (unsigned i = 0; i < CLIENT_CALLS_MAX; i++) {
		struct client_call *c = &client->calls[i];
		if (c->id != 0 && (c->side == 0 || c->call->client[1] == client->number))
			ledger_over(c->call, c->side);
		*c = (struct client_call){0};
	}
	client->settled_at = CLIENT_UNSETTLED;
	client->settling = false;
}

void client_leave(struct client *client)
{
	trace(TRACE_TOLD, client->number, "leaves", NULL, NULL, 0);
	client->leaving = true;
	go(client);
	endpoint_withdraw(client->endpoint, client_time());
}

void client_vanish(struct client *client)
{
	trace(TRACE_TOLD, client->number, "is gone", NULL, NULL, 0);
	go(client);
	endpoint_free(client->endpoint);
	client->endpoint = NULL;
	client->life++;
	network_detach(&client->host);
}

void client_move(struct client *client, bool noticed)
{
	if (noticed)
		network_move(&client->host);
	else
		network_rebind(&client->host);
	sim_count(noticed ? COUNT_moves : COUNT_rebindings);
	trace(TRACE_TOLD, client->number, noticed ? "moves" : "is rebound", &client->host.transport,
		NULL, 0);
	client->settled_at = CLIENT_UNSETTLED;
	client->settling = true;
	for (unsigned i = 0; i < CLIENT_CALLS_MAX; i++) {
		struct client_call *c = &client->calls[i];
		c->moved = true;
		// Until it is open another device may be meant.
		if (c->id != 0 && c->call->open[c->side] &&
			c->call->client[c->side] == client->number)
			ledger_moves(c->call, c->side, !noticed);
	}
	if (noticed)
		endpoint_network_changed(client->endpoint, client_time());
}

void client_unsettle_all(void)
{
	for (unsigned i = 0; i < sim_options.clients; i++) {
		client_at(i)->settled_at = CLIENT_UNSETTLED;
		client_at(i)->settling = client_at(i)->endpoint != NULL;
	}
}

// ---- calls ----

struct client_call *client_call_find(struct client *client, uint64_t id)
{
	for (unsigned i = 0; i < CLIENT_CALLS_MAX; i++)
		if (client->calls[i].id == id)
			return &client->calls[i];
	return NULL;
}

bool client_has_room(const struct client *client)
{
	for (unsigned i = 0; i < CLIENT_CALLS_MAX; i++)
		if (client->calls[i].id == 0)
			return true;
	return false;
}

void client_call_begin(struct client *client, uint64_t id, struct ledger_call *call, unsigned side)
{
	struct client_call *c = client_call_find(client, 0);
	if (c == NULL)
		sim_fail(client->number, SIM_NOBODY, "a client of the simulation has no room");
	*c = (struct client_call){.id = id, .call = call, .side = (uint8_t)side};
	call->id[side] = id;
}
