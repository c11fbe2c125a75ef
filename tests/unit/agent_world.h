// SPDX-License-Identifier: BSD-3-Clause
// Two agents on a virtual clock, each in a network that may have a NAT (tests/lab/nat.h), a STUN
// server between them, and a way to signal. Or both in the same network behind one NAT. Packets fly
// over one wire (tests/lab/wire.h), NATs look at them where they leave and where they arrive.
//
//     side 0: 10.0.0.2, 2001:db8:0::2 - NAT 198.51.100.1 --+
//                                                          +-- server 192.0.2.1
//     side 1: 10.1.0.2, 2001:db8:1::2 - NAT 203.0.113.1 ---+
//
// What the agents told is kept as a list. Candidates travel through the codec.
#pragma once

#include "endpoint/agent/agent.h"
#include "lib/wire/stun.h"
#include "tests/lab/nat.h"
#include "tests/lab/wire.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	WORLD_BASES = 4, // of one side; base b of side s listens on port 5000 + 10 s + b
	WORLD_EVENTS = 512,
	WORLD_HOPS = 1000,
};

enum world_kind { WORLD_TO_SIDE, WORLD_TO_SERVER, WORLD_SIGNAL };

struct world_flight {
	enum world_kind kind;
	unsigned side;
	bool local; // within one network: no NAT at arrival
	struct net_endpoint from, to;
};

struct world_event {
	struct agent_event event; // pointers are not good any more
	uint64_t at_ms;
	struct agent_pair_info info; // of valid pairs
};

struct world;

struct world_side {
	struct world *world;
	unsigned number;
	unsigned network; // 0 or 1
	struct agent *agent;
	struct agent_config config;
	struct dice dice;
	bool up[WORLD_BASES];
	struct net_endpoint inside[WORLD_BASES];
	struct world_event *events;
	unsigned event_count;
	uint64_t sent, received; // datagrams
	bool silent;             // its list is not signalled
	void (*react)(struct world_side *side, const struct agent_event *event);
	// What is not the agent's.
	void (*media)(struct world_side *side, unsigned base,
		const struct endpoint_transport *source, const uint8_t *data, size_t size);
};

struct world {
	uint64_t now_us;
	struct wire wire;
	struct wire_heap heap;
	uint32_t signal_us; // one way
	bool cut_direct;    // packets between the sides are lost
	bool hold_signals;
	struct nat *nat[2]; // of a network; NULL: it is open
	struct net_address outside[2];
	struct world_side sides[2];
	// Sees each datagram between the sides when it is sent; false: lost.
	bool (*look)(struct world *world, unsigned side, const struct net_endpoint *from,
		const struct net_endpoint *to, const uint8_t *data, size_t size);
	void *look_context;
};

static const struct net_endpoint world_server = {
	.address = {.bytes = {192, 0, 2, 1}, .family = 4}, .port = 3478};

static inline struct endpoint_transport world_transport(const struct net_endpoint *endpoint)
{
	struct endpoint_transport transport = {
		.family = endpoint->address.family, .port = endpoint->port};
	memcpy(transport.address, endpoint->address.bytes, 16);
	return transport;
}

static inline struct net_endpoint world_endpoint(const struct endpoint_transport *transport)
{
	struct net_endpoint endpoint = {.port = transport->port};
	endpoint.address.family = transport->family;
	memcpy(endpoint.address.bytes, transport->address, 16);
	return endpoint;
}

static inline uint64_t world_ms(const struct world *w)
{
	return w->now_us / 1000;
}

static inline void world_push(
	struct world *w, const struct world_flight *flight, const void *data, size_t size)
{
	uint8_t bytes[sizeof(*flight) + 2048];
	uint64_t out_us[2];
	assert(size <= 2048);
	memcpy(bytes, flight, sizeof(*flight));
	memcpy(bytes + sizeof(*flight), data, size);
	if (flight->kind == WORLD_SIGNAL) {
		wire_heap_push(
			&w->heap, w->now_us + w->signal_us, w, bytes, sizeof(*flight) + size);
		return;
	}
	unsigned copies = wire_put(&w->wire, w->now_us, out_us);
	for (unsigned i = 0; i < copies; i++)
		wire_heap_push(&w->heap, out_us[i], w, bytes, sizeof(*flight) + size);
}

static inline bool world_inside(const struct net_address *a, unsigned network)
{
	if (a->family == 4)
		return a->bytes[0] == 10 && a->bytes[1] == network;
	return a->bytes[5] == network;
}

// A datagram has left a network (or there was no NAT): to whom it flies.
static inline void world_core(struct world *w, const struct net_endpoint *from,
	const struct net_endpoint *to, const uint8_t *data, size_t size)
{
	struct world_flight flight = {.from = *from, .to = *to};
	if (net_endpoint_equal(to, &world_server)) {
		flight.kind = WORLD_TO_SERVER;
		world_push(w, &flight, data, size);
		return;
	}
	for (unsigned n = 0; n < 2; n++) {
		bool there = w->nat[n] != NULL && to->address.family == 4
				     ? net_address_equal(&to->address, &w->outside[n])
				     : world_inside(&to->address, n);
		if (!there)
			continue;
		flight.kind = WORLD_TO_SIDE;
		flight.side = n; // the network, here
		world_push(w, &flight, data, size);
	}
}

static inline void world_send(void *context, unsigned base,
	const struct endpoint_transport *destination, const uint8_t *data, size_t size)
{
	struct world_side *side = context;
	struct world *w = side->world;
	struct net_endpoint from = side->inside[base], to = world_endpoint(destination);
	assert(base < WORLD_BASES && side->up[base]);
	assert(to.address.family == from.address.family);
	side->sent++;
	bool server = net_endpoint_equal(&to, &world_server);
	if (!server && w->cut_direct)
		return;
	if (!server && w->look != NULL && !w->look(w, side->number, &from, &to, data, size))
		return;
	if (world_inside(&to.address, side->network)) {
		struct world_flight flight = {.kind = WORLD_TO_SIDE,
			.side = side->network,
			.local = true,
			.from = from,
			.to = to};
		world_push(w, &flight, data, size);
		return;
	}
	if (w->nat[side->network] != NULL) {
		switch (nat_outbound(w->nat[side->network], w->now_us, &from, &to)) {
		case NAT_OUTSIDE:
			break;
		case NAT_INSIDE: {
			struct world_flight flight = {.kind = WORLD_TO_SIDE,
				.side = side->network,
				.local = true,
				.from = from,
				.to = to};
			world_push(w, &flight, data, size);
			return;
		}
		default:
			return;
		}
	}
	world_core(w, &from, &to, data, size);
}

static inline void world_signal(struct world_side *side)
{
	struct agent_candidate list[AGENT_LOCAL_MAX];
	uint8_t bytes[AGENT_CANDIDATES_SIZE];
	uint32_t generation;
	size_t count = agent_local(side->agent, list, &generation);
	int size = agent_candidates_write(generation, list, count, bytes, sizeof(bytes));
	assert(size > 0);
	struct world_flight flight = {.kind = WORLD_SIGNAL, .side = !side->number};
	world_push(side->world, &flight, bytes, (size_t)size);
}

static inline void world_event(void *context, const struct agent_event *event)
{
	struct world_side *side = context;
	assert(side->event_count < WORLD_EVENTS);
	struct world_event *kept = &side->events[side->event_count++];
	*kept = (struct world_event){.event = *event, .at_ms = world_ms(side->world)};
	if (event->type == AGENT_PAIR_VALID || event->type == AGENT_PAIR_CONFIRMED ||
		event->type == AGENT_PAIR_NOMINATED) {
		int known = agent_pair_info(side->agent, event->pair, &kept->info);
		assert(known == 0);
		(void)known;
	}
	if (event->type == AGENT_LOCAL_CHANGED && !side->silent)
		world_signal(side);
	if (side->react != NULL)
		side->react(side, event);
}

static inline void world_random(void *context, void *out, size_t size)
{
	dice_fill(context, out, size);
}

// config: what is not zero there counts; credentials, servers, roles and chance are made here.
static inline void world_begin(struct world *w, uint64_t seed, const struct agent_config *config)
{
	memset(w, 0, sizeof(*w));
	w->now_us = 1000;
	w->outside[0] = (struct net_address){.bytes = {198, 51, 100, 1}, .family = 4};
	w->outside[1] = (struct net_address){.bytes = {203, 0, 113, 1}, .family = 4};
	wire_open(&w->wire, seed, 1);
	for (unsigned i = 0; i < 2; i++) {
		struct world_side *side = &w->sides[i];
		uint8_t secret[32];
		side->world = w;
		side->number = side->network = i;
		side->events = calloc(WORLD_EVENTS, sizeof(*side->events));
		dice_seed(&side->dice, seed, 10 + i);
		side->config = config != NULL ? *config : (struct agent_config){0};
		side->config.controlling = i == 0;
		memset(secret, (int)(0x30 + i), sizeof(secret));
		agent_credentials_make(&side->config.local, secret);
		memset(secret, (int)(0x31 - i), sizeof(secret));
		agent_credentials_make(&side->config.remote, secret);
		side->config.servers[0] = world_transport(&world_server);
		side->config.server_count = 1;
		side->config.random = world_random;
		side->config.random_context = &side->dice;
	}
}

static inline void world_nat(struct world *w, unsigned network, struct nat_behaviour behaviour)
{
	behaviour.translates = true;
	behaviour.outside = w->outside[network];
	w->nat[network] = nat_create(&behaviour, 77 + network);
	assert(w->nat[network] != NULL);
}

static inline struct net_endpoint world_place(const struct world_side *side, unsigned base)
{
	struct net_endpoint place = {.port = (uint16_t)(5000 + 10 * side->number + base)};
	uint8_t host = (uint8_t)(2 + side->number);
	bool ipv6 = base & 1;
	if (ipv6)
		place.address = (struct net_address){
			.bytes = {0x20, 1, 0xd, 0xb8, 0, (uint8_t)side->network, [15] = host},
			.family = 6};
	else
		place.address = (struct net_address){
			.bytes = {10, (uint8_t)side->network, 0, host}, .family = 4};
	return place;
}

// Bases 0 and 2 are IPv4, 1 and 3 IPv6.
static inline void world_base(struct world_side *side, unsigned base)
{
	uint64_t now = world_ms(side->world);
	side->inside[base] = world_place(side, base);
	side->up[base] = true;
	struct endpoint_transport host = world_transport(&side->inside[base]);
	int result = agent_base_add(side->agent, base, host.family, AGENT_SOCKET, now);
	assert(result == 0);
	result = agent_candidate_add(side->agent, base, AGENT_HOST, AGENT_NORMAL, &host, now);
	assert(result == 0 || side->config.relay_only);
	(void)result;
}

static inline void world_agent(struct world_side *side)
{
	struct agent_output output = {.context = side, .send = world_send, .event = world_event};
	int result = agent_create(&side->agent, &side->config, &output);
	assert(result == 0);
	(void)result;
}

static inline void world_start(struct world *w)
{
	for (unsigned i = 0; i < 2; i++) {
		world_agent(&w->sides[i]);
		world_base(&w->sides[i], 0);
	}
}

static inline void world_end(struct world *w)
{
	for (unsigned i = 0; i < 2; i++) {
		agent_free(w->sides[i].agent);
		free(w->sides[i].events);
		nat_destroy(w->nat[i]);
	}
	wire_heap_clear(&w->heap, NULL);
}

static inline void world_to_server(
	struct world *w, const struct world_flight *flight, const uint8_t *data, size_t size)
{
	struct stun_message m;
	uint8_t reply[128];
	if (stun_parse(data, size, &m) < 0 || m.class != STUN_REQUEST)
		return;
	struct stun_builder b =
		stun_begin(reply, sizeof(reply), STUN_BINDING, STUN_SUCCESS, stun_transaction(&m));
	stun_add_xor_address(&b, STUN_XOR_MAPPED_ADDRESS, &flight->from);
	world_core(w, &world_server, &flight->from, reply, stun_finish(&b));
}

static inline void world_to_side(
	struct world *w, const struct world_flight *flight, const uint8_t *data, size_t size)
{
	struct net_endpoint to = flight->to;
	unsigned network = flight->side;
	if (!flight->local && w->nat[network] != NULL) {
		enum nat_verdict verdict =
			nat_inbound(w->nat[network], w->now_us, &flight->from, &to);
		if (verdict != NAT_INSIDE)
			return;
	}
	struct endpoint_transport source = world_transport(&flight->from);
	for (unsigned i = 0; i < 2; i++) {
		struct world_side *side = &w->sides[i];
		for (unsigned b = 0; b < WORLD_BASES; b++) {
			if (!side->up[b] || !net_endpoint_equal(&side->inside[b], &to))
				continue;
			side->received++;
			bool taken =
				agent_receive(side->agent, b, &source, data, size, world_ms(w));
			if (!taken && side->media != NULL)
				side->media(side, b, &source, data, size);
		}
	}
}

static inline void world_deliver(struct world *w, const struct wire_packet *packet)
{
	struct world_flight flight;
	memcpy(&flight, packet->bytes, sizeof(flight));
	const uint8_t *data = packet->bytes + sizeof(flight);
	size_t size = packet->size - sizeof(flight);
	if (flight.kind == WORLD_TO_SERVER) {
		world_to_server(w, &flight, data, size);
	} else if (flight.kind == WORLD_TO_SIDE) {
		world_to_side(w, &flight, data, size);
	} else {
		struct agent_candidate list[AGENT_REMOTE_MAX];
		uint32_t generation;
		int count = agent_candidates_read(data, size, list, &generation);
		assert(count >= 0);
		agent_remote_set(
			w->sides[flight.side].agent, generation, list, (size_t)count, world_ms(w));
	}
}

static inline void world_tick(struct world *w)
{
	for (unsigned i = 0; i < 2; i++) {
		struct agent *agent = w->sides[i].agent;
		// A deadline that stays in the past would stop the clock here.
		for (unsigned hops = 0; agent != NULL && agent_deadline(agent) <= world_ms(w);
			hops++) {
			assert(hops < WORLD_HOPS);
			agent_tick(agent, world_ms(w));
		}
	}
}

// Until that time, or until `done` says so; returns whether it did.
static inline bool world_until(
	struct world *w, uint64_t until_ms, bool (*done)(const struct world *w))
{
	for (;;) {
		world_tick(w);
		if (done != NULL && done(w))
			return true;
		uint64_t next = wire_heap_due(&w->heap);
		for (unsigned i = 0; i < 2; i++) {
			uint64_t deadline = w->sides[i].agent != NULL
						    ? agent_deadline(w->sides[i].agent)
						    : ENDPOINT_NEVER;
			if (deadline != ENDPOINT_NEVER && deadline * 1000 < next)
				next = deadline * 1000;
		}
		if (next > until_ms * 1000) {
			if (until_ms * 1000 > w->now_us)
				w->now_us = until_ms * 1000;
			world_tick(w);
			return false;
		}
		if (next > w->now_us)
			w->now_us = next;
		struct wire_packet *packet;
		while ((packet = wire_heap_pop(&w->heap, w->now_us)) != NULL) {
			world_deliver(w, packet);
			free(packet);
		}
	}
}

static inline void world_run(struct world *w, uint64_t ms)
{
	world_until(w, world_ms(w) + ms, NULL);
}

static inline struct agent_usage world_usage(const struct world *w, unsigned side)
{
	struct agent_usage usage;
	agent_usage(w->sides[side].agent, &usage);
	return usage;
}

static inline bool world_both_confirmed(const struct world *w)
{
	return world_usage(w, 0).confirmed > 0 && world_usage(w, 1).confirmed > 0;
}

// The first event of this type from number `from` on; NULL: none.
static inline const struct world_event *world_find(
	const struct world_side *side, enum agent_event_type type, unsigned from)
{
	for (unsigned i = from; i < side->event_count; i++)
		if (side->events[i].event.type == type)
			return &side->events[i];
	return NULL;
}

static inline unsigned world_count(const struct world_side *side, enum agent_event_type type)
{
	unsigned count = 0;
	for (unsigned i = 0; i < side->event_count; i++)
		count += side->events[i].event.type == type;
	return count;
}
