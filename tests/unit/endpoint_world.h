// SPDX-License-Identifier: BSD-3-Clause
// Clients of the endpoint core, the relay of endpoint_relay.h, and wires between them that lose,
// double and reorder from a seed, on a virtual clock. What a client told is kept as a list.
#pragma once

#include "endpoint/endpoint.h"
#include "tests/unit/endpoint_relay_receive.h"

#include <errno.h>
#include <stdio.h>

enum { WORLD_CLIENTS = 4, WORLD_PACKETS = 1024, WORLD_EVENTS = 4096, WORLD_START_S = 1800000000 };

struct world_packet {
	uint64_t at;
	bool to_relay;
	struct net_endpoint from, to; // the client's end
	uint8_t data[1400];
	size_t size;
	bool used;
};

struct world_event {
	struct endpoint_event event; // pointers are not good any more
	uint64_t at;
	uint8_t data[ENDPOINT_BARE_MAX];
	size_t size;
	struct endpoint_peer from;
};

struct world;

struct world_client {
	struct world *world;
	struct endpoint *endpoint;
	struct endpoint_config config;
	struct net_endpoint outside; // how the relay sees it
	int64_t skew_s;              // of its clock
	struct endpoint_peer peer;
	struct world_event *events;
	unsigned event_count;
	uint64_t random_state;
	void (*react)(struct world_client *client, const struct endpoint_event *event);
};

struct world {
	uint64_t now_ms;
	uint64_t random_state;
	unsigned loss, doubled, delay_ms, jitter_ms; // percent, percent, one way
	struct relay relay;
	struct world_client clients[WORLD_CLIENTS];
	struct world_packet *packets;
	// Sees each packet before it is sent; false: lost.
	bool (*look)(struct world *world, bool to_relay, const uint8_t *data, size_t size);
	void *look_context;
	uint64_t sent_bytes;
};

static const struct endpoint_transport world_relay_address = {
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

static inline void world_carry_one(struct world *w, bool to_relay, const struct net_endpoint *end,
	const uint8_t *data, size_t size)
{
	for (unsigned i = 0; i < WORLD_PACKETS; i++) {
		struct world_packet *p = &w->packets[i];
		if (p->used)
			continue;
		assert(size <= sizeof(p->data));
		*p = (struct world_packet){
			.at = w->now_ms + w->delay_ms +
			      (w->jitter_ms ? world_random(&w->random_state) % w->jitter_ms : 0),
			.to_relay = to_relay,
			.from = *end,
			.to = *end,
			.size = size,
			.used = true,
		};
		memcpy(p->data, data, size);
		return;
	}
	assert(!"more packets on the wires than there is room for");
}

static inline void world_carry(struct world *w, bool to_relay, const struct net_endpoint *end,
	const uint8_t *data, size_t size)
{
	w->sent_bytes += size;
	if (w->look != NULL && !w->look(w, to_relay, data, size))
		return;
	if (world_random(&w->random_state) % 100 < w->loss)
		return;
	world_carry_one(w, to_relay, end, data, size);
	if (world_random(&w->random_state) % 100 < w->doubled)
		world_carry_one(w, to_relay, end, data, size);
}

static inline void world_relay_send(
	void *context, const struct net_endpoint *to, const uint8_t *data, size_t size)
{
	world_carry(context, false, to, data, size);
}

static inline void world_client_send(void *context, const struct endpoint_transport *destination,
	const uint8_t *data, size_t size)
{
	struct world_client *c = context;
	if (destination->address[3] == 1)
		world_carry(c->world, true, &c->outside, data, size);
}

static inline void world_client_event(void *context, const struct endpoint_event *event)
{
	struct world_client *c = context;
	assert(c->event_count < WORLD_EVENTS);
	struct world_event *kept = &c->events[c->event_count++];
	*kept = (struct world_event){.event = *event, .at = c->world->now_ms, .size = event->size};
	assert(event->size <= sizeof(kept->data));
	if (event->size > 0)
		memcpy(kept->data, event->data, event->size);
	if (event->type == ENDPOINT_INVITE)
		kept->from = *event->invite.caller;
	if (event->type == ENDPOINT_MESSAGE && event->message.from != NULL)
		kept->from = *event->message.from;
	if (c->react != NULL)
		c->react(c, event);
}

static inline struct endpoint_time world_time(const struct world_client *c)
{
	return (struct endpoint_time){
		.monotonic_ms = c->world->now_ms,
		.wall_s =
			(uint64_t)((int64_t)(WORLD_START_S + c->world->now_ms / 1000) + c->skew_s),
	};
}

static inline struct net_endpoint world_outside(unsigned number, uint16_t port)
{
	const uint8_t bytes[4] = {198, 51, 100, (uint8_t)number};
	return (struct net_endpoint){.address = net_address_v4(bytes), .port = port};
}

// An endpoint whose namespace and key depend on the number alone; not registered yet.
static inline struct world_client *world_client_make(struct world *w, unsigned number)
{
	struct world_client *c = &w->clients[number];
	const struct endpoint_output output = {
		.context = c,
		.send = world_client_send,
		.event = world_client_event,
	};

	c->world = w;
	c->outside = world_outside(number + 1, (uint16_t)(40000 + number));
	if (c->events == NULL)
		c->events = calloc(WORLD_EVENTS, sizeof(*c->events));
	c->event_count = 0;
	if (c->random_state == 0)
		c->random_state = w->random_state * 2862933555777941757u + number + 1;
	memset(c->config.namespace_id, 0x40 + (int)number, 32);
	memset(c->config.delivery_seed, 0x80 + (int)number, 32);
	if (c->config.relay_count == 0) {
		c->config.relays[0] = world_relay_address;
		c->config.relay_count = 1;
	}
	c->config.epoch_seconds = w->relay.epoch_seconds;
	c->config.random = world_fill;
	c->config.random_context = &c->random_state;
	int result = endpoint_create(&c->endpoint, &c->config, &output);
	assert(result == 0);
	endpoint_self(c->endpoint, &c->peer);
	return c;
}

static inline void world_begin(struct world *w, uint64_t seed)
{
	int result = sodium_init();
	assert(result >= 0);
	memset(w, 0, sizeof(*w));
	w->random_state = seed * 6364136223846793005u + 1442695040888963407u;
	w->delay_ms = 10;
	w->packets = calloc(WORLD_PACKETS, sizeof(*w->packets));
	relay_begin(&w->relay);
	w->relay.send = world_relay_send;
	w->relay.context = w;
	w->now_ms = 1000000;
	w->relay.now_ms = w->now_ms;
	w->relay.wall_s = WORLD_START_S + w->now_ms / 1000;
}

static inline void world_end(struct world *w)
{
	for (unsigned i = 0; i < WORLD_CLIENTS; i++) {
		endpoint_free(w->clients[i].endpoint);
		free(w->clients[i].events);
	}
	free(w->packets);
}

static inline void world_deliver(struct world *w, struct world_packet *p)
{
	struct world_packet copy = *p;
	p->used = false;
	if (copy.to_relay) {
		relay_receive(&w->relay, &copy.from, copy.data, copy.size);
		return;
	}
	for (unsigned i = 0; i < WORLD_CLIENTS; i++)
		if (w->clients[i].endpoint != NULL &&
			net_endpoint_equal(&w->clients[i].outside, &copy.to))
			endpoint_receive(w->clients[i].endpoint, &world_relay_address, copy.data,
				copy.size, world_time(&w->clients[i]));
}

// To the next thing that happens, at most to until_ms. False: nothing did.
static inline bool world_step(struct world *w, uint64_t until_ms)
{
	struct world_packet *next = NULL;
	uint64_t at = until_ms;
	bool something = false;

	for (unsigned i = 0; i < WORLD_PACKETS; i++)
		if (w->packets[i].used && w->packets[i].at <= at &&
			(next == NULL || w->packets[i].at < next->at)) {
			next = &w->packets[i];
			at = next->at;
		}
	for (unsigned i = 0; i < WORLD_CLIENTS; i++)
		if (w->clients[i].endpoint != NULL) {
			uint64_t due = endpoint_deadline(w->clients[i].endpoint);
			if (due < at) {
				at = due;
				next = NULL;
			}
			something = something || due <= until_ms;
		}
	if (at > w->now_ms)
		w->now_ms = at;
	w->relay.now_ms = w->now_ms;
	w->relay.wall_s = WORLD_START_S + w->now_ms / 1000;
	if (next != NULL) {
		world_deliver(w, next);
		return true;
	}
	if (!something)
		return false;
	for (unsigned i = 0; i < WORLD_CLIENTS; i++)
		if (w->clients[i].endpoint != NULL &&
			endpoint_deadline(w->clients[i].endpoint) <= w->now_ms)
			endpoint_tick(w->clients[i].endpoint, world_time(&w->clients[i]));
	return true;
}

static inline void world_run(struct world *w, uint64_t ms)
{
	uint64_t until = w->now_ms + ms;
	unsigned long steps = 0;
	while (world_step(w, until)) {
		steps++;
		assert(steps < 20000000); // a deadline that stays in the past
	}
	w->now_ms = until;
	w->relay.now_ms = until;
	w->relay.wall_s = WORLD_START_S + until / 1000;
}

// The first event of a type from index `from` on; NULL: none.
static inline struct world_event *world_find(
	struct world_client *c, unsigned from, enum endpoint_event_type type)
{
	for (unsigned i = from; i < c->event_count; i++)
		if (c->events[i].event.type == type)
			return &c->events[i];
	return NULL;
}

static inline unsigned world_count(struct world_client *c, enum endpoint_event_type type)
{
	unsigned count = 0;
	for (unsigned i = 0; i < c->event_count; i++)
		count += c->events[i].event.type == type;
	return count;
}

// Runs until the client has told an event of the type since index `from`; NULL: not within ms.
static inline struct world_event *world_wait(struct world *w, struct world_client *c, unsigned from,
	enum endpoint_event_type type, uint64_t ms)
{
	uint64_t until = w->now_ms + ms;
	struct world_event *found;
	while ((found = world_find(c, from, type)) == NULL)
		if (!world_step(w, until))
			return NULL;
	return found;
}
