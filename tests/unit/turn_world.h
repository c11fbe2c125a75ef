// SPDX-License-Identifier: BSD-3-Clause
// A TURN client, the server of turn_server.h, and a wire between them that loses, doubles and
// reorders from a seed, on a virtual clock. What the client told and what peers got is kept.
#pragma once

#include "endpoint/turn/turn_client.h"
#include "tests/unit/turn_server.h"

#include <stdlib.h>

enum { WORLD_PACKETS = 512, WORLD_KEPT = 2048 };

struct world_packet {
	bool used, to_server;
	uint64_t at;
	struct net_endpoint client; // at that time
	uint8_t data[1500];
	size_t size;
};

struct world_event {
	struct turn_client_event event; // its pointer is not good any more
	uint64_t at;
	uint8_t data[256];
};

struct world_delivery {
	struct net_endpoint peer;
	uint8_t data[256];
	size_t size;
	bool by_channel;
};

struct turn_world {
	uint64_t now_ms, random_state;
	unsigned loss, doubled, delay_ms, jitter_ms; // percent, percent, one way
	bool cut;                                    // nothing gets through at all
	struct turn_server server;
	struct net_endpoint outside; // of the client, as the server sees it
	struct turn_client *client;
	struct turn_client_config config;
	struct world_packet packets[WORLD_PACKETS];
	struct world_event events[WORLD_KEPT];
	struct world_delivery deliveries[WORLD_KEPT];
	unsigned event_count, delivery_count;
	uint64_t sent_at[WORLD_KEPT]; // by the client
	unsigned sent_count;
	uint64_t deadline; // as told
	void (*react)(struct turn_world *w, const struct turn_client_event *event);
	// Sees, and may alter, each packet before it is sent.
	void (*look)(struct turn_world *w, bool to_server, uint8_t *data, size_t *size);
};

static const struct endpoint_transport world_server_address = {
	.family = 4, .address = {192, 0, 2, 1}, .port = 3478};

static inline uint64_t world_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static inline void world_fill(void *context, void *out, size_t size)
{
	for (size_t i = 0; i < size; i++)
		((uint8_t *)out)[i] = (uint8_t)(world_random(context) >> 24);
}

static inline void world_carry_one(struct turn_world *w, bool to_server,
	const struct net_endpoint *client, const uint8_t *data, size_t size)
{
	for (unsigned i = 0; i < WORLD_PACKETS; i++) {
		struct world_packet *p = &w->packets[i];
		if (p->used)
			continue;
		assert(size <= sizeof(p->data));
		*p = (struct world_packet){
			.used = true, .to_server = to_server, .client = *client, .size = size};
		p->at = w->now_ms + w->delay_ms +
			(w->jitter_ms ? world_random(&w->random_state) % w->jitter_ms : 0);
		memcpy(p->data, data, size);
		return;
	}
	assert(!"more packets on the wire than there is room for");
}

static inline void world_carry(struct turn_world *w, bool to_server,
	const struct net_endpoint *client, const uint8_t *data, size_t size)
{
	uint8_t copy[1500];
	assert(size <= sizeof(copy));
	memcpy(copy, data, size);
	if (w->look != NULL)
		w->look(w, to_server, copy, &size);
	if (size == 0 || w->cut || world_random(&w->random_state) % 100 < w->loss)
		return;
	world_carry_one(w, to_server, client, copy, size);
	if (world_random(&w->random_state) % 100 < w->doubled)
		world_carry_one(w, to_server, client, copy, size);
}

static inline void world_server_send(
	void *context, const struct net_endpoint *to, const uint8_t *data, size_t size)
{
	world_carry(context, false, to, data, size);
}

static inline void world_to_peer(void *context, const struct net_endpoint *peer,
	const uint8_t *data, size_t size, bool by_channel)
{
	struct turn_world *w = context;
	assert(w->delivery_count < WORLD_KEPT);
	struct world_delivery *d = &w->deliveries[w->delivery_count++];
	*d = (struct world_delivery){.peer = *peer, .size = size, .by_channel = by_channel};
	memcpy(d->data, data, size < sizeof(d->data) ? size : sizeof(d->data));
}

static inline void world_client_send(
	void *context, const struct endpoint_transport *server, const uint8_t *data, size_t size)
{
	struct turn_world *w = context;
	assert(memcmp(server, &world_server_address, sizeof(*server)) == 0);
	if (w->sent_count < WORLD_KEPT)
		w->sent_at[w->sent_count++] = w->now_ms;
	world_carry(w, true, &w->outside, data, size);
}

static inline void world_client_event(void *context, const struct turn_client_event *event)
{
	struct turn_world *w = context;
	assert(w->event_count < WORLD_KEPT);
	struct world_event *kept = &w->events[w->event_count++];
	*kept = (struct world_event){.event = *event, .at = w->now_ms};
	if (event->size > 0)
		memcpy(kept->data, event->data,
			event->size < sizeof(kept->data) ? event->size : sizeof(kept->data));
	if (w->react != NULL)
		w->react(w, event);
}

static inline void world_client_deadline(void *context, uint64_t at)
{
	((struct turn_world *)context)->deadline = at;
}

static inline void world_client_make(struct turn_world *w)
{
	const struct turn_client_output output = {
		w, world_client_send, world_client_event, world_client_deadline};
	turn_client_free(w->client);
	w->deadline = ENDPOINT_NEVER;
	if (turn_client_create(&w->client, &w->config, &output) != 0)
		abort();
}

static inline void world_begin(struct turn_world *w, uint64_t seed)
{
	*w = (struct turn_world){.now_ms = 1000000, .delay_ms = 10};
	w->random_state = seed * UINT64_C(0x9E3779B97F4A7C15) | 1;
	w->outside =
		(struct net_endpoint){.address = net_address_v4("\xc6\x33\x64\x07"), .port = 4711};
	w->server = (struct turn_server){
		.user = "ann",
		.password = "open sesame",
		.realm = "example.org",
		.algorithms = true,
		.lifetime_s = 600,
		.lifetime_max_s = 3600,
		.quota = 4,
		.next_port = 50000,
		.send = world_server_send,
		.to_peer = world_to_peer,
		.context = w,
	};
	w->config = (struct turn_client_config){
		.server = world_server_address,
		.family = 4,
		.user = "ann",
		.password = "open sesame",
		.random = world_fill,
		.random_context = &w->random_state,
	};
	world_client_make(w);
}

static inline void world_end(struct turn_world *w)
{
	turn_client_free(w->client);
	w->client = NULL;
}

static inline void world_arrive(struct turn_world *w, struct world_packet *p)
{
	struct world_packet packet = *p;
	p->used = false;
	w->server.now_ms = w->now_ms;
	if (packet.to_server)
		server_receive(&w->server, &packet.client, packet.data, packet.size);
	else if (net_endpoint_equal(&packet.client, &w->outside))
		turn_client_receive(
			w->client, &world_server_address, packet.data, packet.size, w->now_ms);
}

// The next thing that happens, but not after `until`. False: nothing before.
static inline bool world_step(struct turn_world *w, uint64_t until)
{
	struct world_packet *next = NULL;
	for (unsigned i = 0; i < WORLD_PACKETS; i++)
		if (w->packets[i].used && (next == NULL || w->packets[i].at < next->at))
			next = &w->packets[i];
	uint64_t tick = w->deadline;
	// What the client told is what it would have said.
	assert(tick == turn_client_deadline(w->client));
	if (next != NULL && next->at <= tick && next->at <= until) {
		w->now_ms = next->at > w->now_ms ? next->at : w->now_ms;
		world_arrive(w, next);
		return true;
	}
	if (tick > until)
		return false;
	w->now_ms = tick > w->now_ms ? tick : w->now_ms;
	w->server.now_ms = w->now_ms;
	turn_client_tick(w->client, w->now_ms);
	assert(w->deadline > w->now_ms); // it has done all that was due
	return true;
}

static inline void world_run(struct turn_world *w, uint64_t ms)
{
	uint64_t until = w->now_ms + ms;
	while (world_step(w, until))
		;
	w->now_ms = until;
	w->server.now_ms = until;
}

// The first event of a type from number `from` on; NULL: none.
static inline struct world_event *world_find(
	struct turn_world *w, unsigned from, enum turn_client_event_type type)
{
	for (unsigned i = from; i < w->event_count; i++)
		if (w->events[i].event.type == type)
			return &w->events[i];
	return NULL;
}

// Runs until there is one, at most so long. NULL: there is none.
static inline struct world_event *world_wait(
	struct turn_world *w, unsigned from, enum turn_client_event_type type, uint64_t ms)
{
	uint64_t until = w->now_ms + ms;
	struct world_event *found;
	while ((found = world_find(w, from, type)) == NULL)
		if (!world_step(w, until))
			return NULL;
	return found;
}

static inline struct endpoint_transport world_peer(unsigned number)
{
	return (struct endpoint_transport){.family = 4,
		.address = {203, 0, 113, (uint8_t)number},
		.port = (uint16_t)(20000 + number)};
}

static inline bool world_same(
	const struct endpoint_transport *a, const struct endpoint_transport *b)
{
	return a->family == b->family && a->port == b->port &&
	       memcmp(a->address, b->address, 16) == 0;
}

static inline struct net_endpoint world_net(const struct endpoint_transport *t)
{
	struct net_endpoint e = {.port = t->port};
	e.address = t->family == 4 ? net_address_v4(t->address) : net_address_v6(t->address);
	return e;
}
