// SPDX-License-Identifier: BSD-3-Clause
// Phones behind NATs, two relays (endpoint_relay.h), and the ways between on a virtual clock.
// Deterministic from a seed. What a phone told is kept as a list; voice is counted by frame number.
#pragma once

#include "endpoint/phone/phone.h"
#include "lib/wire/stun.h"
#include "tests/lab/nat.h"
#include "tests/unit/endpoint_relay_receive.h"

#include <sodium.h>

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	TOWN_USERS = 3,
	TOWN_RELAYS = 2,
	TOWN_PACKETS = 4096,
	TOWN_EVENTS = 512,
	TOWN_FRAMES = 20000,
	TOWN_START_S = 1800000000,
};

struct town;

struct town_event {
	struct phone_event event; // pointers are not good any more
	uint64_t at;
	enum endpoint_event_type inner;
};

struct town_user {
	struct town *town;
	unsigned number;
	struct phone *phone;
	struct phone_config config;
	struct phone_host host;
	bool up[PHONE_BASES_MAX];
	uint16_t ports[PHONE_BASES_MAX];
	struct nat *nat; // NULL: the host's address is the outside one
	struct net_address inside, outside;
	uint64_t random_state;
	struct town_event events[TOWN_EVENTS];
	unsigned event_count;
	uint64_t call; // of the last PHONE_INCOMING or what the test has put there
	bool answers;  // at once
	bool deaf;     // what voice says does not matter
	// Voice.
	bool talks;
	uint32_t next_frame;
	uint64_t next_frame_at;
	uint8_t heard[TOWN_FRAMES]; // copies of each frame
	uint64_t heard_first_at, heard_last_at, longest_gap;
};

struct town_packet {
	uint64_t at;
	uint64_t order;
	struct net_endpoint source, destination;
	size_t size;
	bool used;
	uint8_t data[1400];
};

struct town_relay {
	struct town *town;
	struct relay relay;
	struct net_endpoint address;
	bool dead;
};

struct town {
	uint64_t now_ms;
	uint64_t random_state;
	unsigned loss;     // percent
	unsigned delay_ms; // of each end's access, one way
	bool direct_cut;
	struct town_relay relays[TOWN_RELAYS];
	struct town_user users[TOWN_USERS];
	struct town_packet *packets;
	uint64_t order;
	uint64_t direct_packets, relay_packets;
	// Sees each packet as it is on its way; false: lost. May change it.
	bool (*look)(struct town *town, struct town_packet *packet);
	void *look_context;
};

static inline uint64_t town_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static inline void town_fill(void *context, void *out, size_t size)
{
	for (size_t i = 0; i < size; i++)
		((uint8_t *)out)[i] = (uint8_t)(town_random(context) >> 24);
}

static inline struct endpoint_time town_time(const struct town *t)
{
	return (struct endpoint_time){
		.monotonic_ms = t->now_ms,
		.wall_s = TOWN_START_S + t->now_ms / 1000,
	};
}

static inline struct net_address town_v4(unsigned a, unsigned b, unsigned c, unsigned d)
{
	const uint8_t bytes[4] = {(uint8_t)a, (uint8_t)b, (uint8_t)c, (uint8_t)d};
	return net_address_v4(bytes);
}

static inline struct endpoint_transport town_transport(const struct net_endpoint *e)
{
	struct endpoint_transport t = {.family = 4, .port = e->port};
	memcpy(t.address, e->address.bytes, 4);
	return t;
}

static inline struct net_endpoint town_endpoint(const struct endpoint_transport *t)
{
	return (struct net_endpoint){.address = net_address_v4(t->address), .port = t->port};
}

static inline struct town_relay *town_relay_at(struct town *t, const struct net_endpoint *at)
{
	for (unsigned i = 0; i < TOWN_RELAYS; i++)
		if (net_endpoint_equal(&t->relays[i].address, at))
			return &t->relays[i];
	return NULL;
}

static inline void town_carry(struct town *t, const struct net_endpoint *source,
	const struct net_endpoint *destination, const uint8_t *data, size_t size)
{
	bool relayed = town_relay_at(t, source) != NULL || town_relay_at(t, destination) != NULL;
	struct town_packet *p = t->packets;

	if (town_random(&t->random_state) % 100 < t->loss || (t->direct_cut && !relayed))
		return;
	if (relayed)
		t->relay_packets++;
	else
		t->direct_packets++;
	while (p->used) {
		p++;
		assert(p < t->packets + TOWN_PACKETS);
	}
	assert(size <= sizeof(p->data));
	*p = (struct town_packet){
		// A relay stands in the middle: an access each way.
		.at = t->now_ms + (relayed ? 1 : 2) * t->delay_ms,
		.order = t->order++,
		.source = *source,
		.destination = *destination,
		.size = size,
		.used = true,
	};
	memcpy(p->data, data, size);
	if (t->look != NULL && !t->look(t, p))
		p->used = false;
}

static inline void town_user_send(void *context, unsigned base,
	const struct endpoint_transport *destination, const uint8_t *data, size_t size)
{
	struct town_user *u = context;
	struct net_endpoint source = {.address = u->inside, .port = u->ports[base]};
	struct net_endpoint to = town_endpoint(destination);

	assert(u->up[base]);
	if (u->nat != NULL) {
		enum nat_verdict verdict =
			nat_outbound(u->nat, u->town->now_ms * 1000, &source, &to);
		if (verdict != NAT_OUTSIDE)
			return;
	}
	town_carry(u->town, &source, &to, data, size);
}

static inline int town_base_open(void *context, unsigned family)
{
	struct town_user *u = context;

	for (int i = 0; i < PHONE_BASES_MAX && family == 4; i++)
		if (!u->up[i]) {
			u->up[i] = true;
			u->ports[i] = (uint16_t)(6000 + 100 * u->number + (unsigned)i);
			return i;
		}
	return -EMFILE;
}

static inline void town_base_close(void *context, unsigned base)
{
	((struct town_user *)context)->up[base] = false;
}

static inline void town_heard(struct town_user *u, const struct phone_event *event)
{
	uint64_t now = u->town->now_ms;
	uint32_t number = (uint32_t)event->data[2] << 8 | event->data[3];

	assert(event->size >= 5 && number < TOWN_FRAMES);
	assert(event->data[4] == (uint8_t)(number * 31));
	if (u->heard_first_at == 0)
		u->heard_first_at = now;
	else if (now - u->heard_last_at > u->longest_gap)
		u->longest_gap = now - u->heard_last_at;
	u->heard_last_at = now;
	u->heard[number]++;
}

static inline void town_user_event(void *context, const struct phone_event *event)
{
	struct town_user *u = context;

	if (event->type == PHONE_VOICE) {
		if (!u->deaf)
			town_heard(u, event);
		return;
	}
	assert(u->event_count < TOWN_EVENTS);
	u->events[u->event_count++] = (struct town_event){
		.event = *event,
		.at = u->town->now_ms,
		.inner = event->type == PHONE_TROUBLE || event->type == PHONE_OTHER ||
					 event->type == PHONE_REGISTERED
				 ? event->relay.inner->type
				 : 0,
	};
	if (event->type == PHONE_INCOMING) {
		u->call = event->call;
		if (u->answers)
			phone_answer(u->phone, event->call, town_time(u->town));
	}
}

static inline void town_relay_send(
	void *context, const struct net_endpoint *to, const uint8_t *data, size_t size)
{
	struct town_relay *r = context;
	town_carry(r->town, &r->address, to, data, size);
}

static inline void town_begin(struct town *t, uint64_t seed)
{
	int result = sodium_init();
	assert(result >= 0);
	memset(t, 0, sizeof(*t));
	t->random_state = seed * 6364136223846793005u + 1442695040888963407u;
	t->delay_ms = 25;
	t->now_ms = 1000000;
	t->packets = calloc(TOWN_PACKETS, sizeof(*t->packets));
	for (unsigned i = 0; i < TOWN_RELAYS; i++) {
		struct town_relay *r = &t->relays[i];
		r->town = t;
		relay_begin(&r->relay);
		r->relay.send = town_relay_send;
		r->relay.context = r;
		r->relay.now_ms = t->now_ms;
		r->relay.wall_s = TOWN_START_S + t->now_ms / 1000;
		r->address =
			(struct net_endpoint){.address = town_v4(192, 0, 2, 1 + i), .port = 3478};
	}
}

// A phone whose keys depend on the number alone. behaviour: NULL, a public address.
static inline struct town_user *town_user_make(
	struct town *t, unsigned number, const struct nat_behaviour *behaviour, unsigned relays)
{
	struct town_user *u = &t->users[number];
	const struct phone_output output = {
		.context = u,
		.send = town_user_send,
		.base_open = town_base_open,
		.base_close = town_base_close,
		.event = town_user_event,
	};

	u->town = t;
	u->number = number;
	u->random_state = t->random_state * 2862933555777941757u + number + 1;
	u->outside = town_v4(198, 51, 100, 10 + number);
	u->inside = u->outside;
	if (behaviour != NULL) {
		struct nat_behaviour b = *behaviour;
		b.outside = u->outside;
		u->inside = town_v4(10, 0, number, 2);
		u->nat = nat_create(&b, t->random_state + number);
	}
	memset(u->config.namespace_id, 0x40 + (int)number, 32);
	memset(u->config.identity_seed, 0x10 + (int)number, 32);
	memset(u->config.delivery_seed, 0x80 + (int)number, 32);
	for (unsigned i = 0; i < relays; i++) {
		u->config.relays[i].address_count = 1;
		u->config.relays[i].addresses[0] = town_transport(&t->relays[i].address);
	}
	u->config.relay_count = relays;
	u->config.epoch_seconds = t->relays[0].relay.epoch_seconds;
	if (u->config.relay_after_ms == 0)
		u->config.relay_after_ms = UINT32_MAX;
	u->config.random = town_fill;
	u->config.random_context = &u->random_state;
	int result = phone_create(&u->phone, &u->config, &output);
	assert(result == 0);
	u->up[0] = true;
	u->ports[0] = (uint16_t)(5000 + number);
	phone_base_up(u->phone, 0, 4, u->ports[0]);
	struct net_endpoint at = {.address = u->inside, .port = 0};
	u->host = (struct phone_host){.transport = town_transport(&at), .interface = 1};
	phone_hosts(u->phone, &u->host, 1, town_time(t));
	return u;
}

static inline void town_contact(const struct town_user *u, struct phone_contact *out)
{
	struct endpoint_config config = {.relay_count = 1};
	const struct endpoint_output nothing = {0};
	struct endpoint *core;
	uint8_t secret[64];

	memset(out, 0, sizeof(*out));
	crypto_sign_seed_keypair(out->identity_key, secret, u->config.identity_seed);
	memcpy(config.namespace_id, u->config.namespace_id, 32);
	memcpy(config.delivery_seed, u->config.delivery_seed, 32);
	config.relays[0] = u->config.relays[0].addresses[0];
	int result = endpoint_create(&core, &config, &nothing);
	assert(result == 0);
	endpoint_self(core, &out->peer);
	endpoint_free(core);
	memcpy(out->relays, u->config.relays, sizeof(out->relays));
	out->relay_count = u->config.relay_count;
}

static inline void town_end(struct town *t)
{
	for (unsigned i = 0; i < TOWN_USERS; i++) {
		phone_free(t->users[i].phone);
		nat_destroy(t->users[i].nat);
	}
	free(t->packets);
}

// ---- time ----

static inline void town_stun(struct town_relay *r, const struct town_packet *p)
{
	uint8_t answer[128];
	struct stun_message m;

	if (stun_parse(p->data, p->size, &m) != 0 || m.method != STUN_BINDING ||
		m.class != STUN_REQUEST)
		return;
	struct stun_builder b = stun_begin(
		answer, sizeof(answer), STUN_BINDING, STUN_SUCCESS, stun_transaction(&m));
	stun_add_xor_address(&b, STUN_XOR_MAPPED_ADDRESS, &p->source);
	town_carry(r->town, &r->address, &p->source, answer, stun_finish(&b));
}

static inline void town_deliver(struct town *t, struct town_packet *slot)
{
	struct town_packet p = *slot;
	struct town_relay *r = town_relay_at(t, &p.destination);

	slot->used = false;
	if (r != NULL) {
		if (r->dead)
			return;
		if (p.data[0] <= 3)
			town_stun(r, &p);
		else
			relay_receive(&r->relay, &p.source, p.data, p.size);
		return;
	}
	for (unsigned i = 0; i < TOWN_USERS; i++) {
		struct town_user *u = &t->users[i];
		if (u->phone == NULL || !net_address_equal(&u->outside, &p.destination.address))
			continue;
		if (u->nat != NULL && nat_inbound(u->nat, t->now_ms * 1000, &p.source,
					      &p.destination) != NAT_INSIDE)
			return;
		struct endpoint_transport source = town_transport(&p.source);
		for (unsigned base = 0; base < PHONE_BASES_MAX; base++)
			if (u->up[base] && u->ports[base] == p.destination.port)
				phone_receive(
					u->phone, base, &source, p.data, p.size, town_time(t));
	}
}

static inline void town_speak(struct town_user *u)
{
	uint8_t frame[44] = {0};

	frame[2] = (uint8_t)(u->next_frame >> 8);
	frame[3] = (uint8_t)u->next_frame;
	frame[4] = (uint8_t)(u->next_frame * 31);
	if (phone_voice(u->phone, u->call, frame, sizeof(frame), town_time(u->town)) == 0)
		u->next_frame++;
	u->next_frame_at += 20;
}

// To the next thing that happens, at most to until_ms. False: nothing did.
static inline bool town_step(struct town *t, uint64_t until_ms)
{
	struct town_packet *next = NULL;
	uint64_t at = until_ms;
	bool something = false;

	for (unsigned i = 0; i < TOWN_PACKETS; i++) {
		struct town_packet *p = &t->packets[i];
		if (p->used && p->at <= at &&
			(next == NULL || p->at < next->at ||
				(p->at == next->at && p->order < next->order))) {
			next = p;
			at = p->at;
		}
	}
	for (unsigned i = 0; i < TOWN_USERS; i++) {
		struct town_user *u = &t->users[i];
		if (u->phone == NULL)
			continue;
		uint64_t due = phone_deadline(u->phone);
		if (u->talks && u->next_frame_at < due)
			due = u->next_frame_at;
		if (due < at) {
			at = due;
			next = NULL;
		}
		something = something || due <= until_ms;
	}
	if (at > t->now_ms)
		t->now_ms = at;
	for (unsigned i = 0; i < TOWN_RELAYS; i++) {
		t->relays[i].relay.now_ms = t->now_ms;
		t->relays[i].relay.wall_s = TOWN_START_S + t->now_ms / 1000;
	}
	if (next != NULL) {
		town_deliver(t, next);
		return true;
	}
	if (!something)
		return false;
	for (unsigned i = 0; i < TOWN_USERS; i++) {
		struct town_user *u = &t->users[i];
		if (u->phone == NULL)
			continue;
		if (phone_deadline(u->phone) <= t->now_ms)
			phone_tick(u->phone, town_time(t));
		if (u->talks && u->next_frame_at <= t->now_ms)
			town_speak(u);
	}
	return true;
}

static inline void town_run(struct town *t, uint64_t ms)
{
	uint64_t until = t->now_ms + ms;
	unsigned long steps = 0;

	while (town_step(t, until)) {
		steps++;
		assert(steps < 5000000); // a deadline that stays in the past
	}
	t->now_ms = until;
}

static inline struct town_event *town_find(
	struct town_user *u, unsigned from, enum phone_event_type type)
{
	for (unsigned i = from; i < u->event_count; i++)
		if (u->events[i].event.type == type)
			return &u->events[i];
	return NULL;
}

static inline struct town_event *town_wait(
	struct town *t, struct town_user *u, unsigned from, enum phone_event_type type, uint64_t ms)
{
	uint64_t until = t->now_ms + ms;
	struct town_event *found;

	while ((found = town_find(u, from, type)) == NULL)
		if (!town_step(t, until))
			return NULL;
	return found;
}

static inline void town_talk(struct town_user *u)
{
	u->talks = true;
	u->next_frame_at = u->town->now_ms;
	u->longest_gap = u->heard_first_at = 0;
}

// Frames below `sent` that never came.
static inline unsigned town_lost(
	const struct town_user *from, const struct town_user *to, uint32_t first)
{
	unsigned lost = 0;
	for (uint32_t i = first; i < from->next_frame; i++)
		lost += to->heard[i] == 0;
	return lost;
}
