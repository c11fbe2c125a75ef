// SPDX-License-Identifier: BSD-3-Clause
// A peer written by hand: one agent without a world, what it sends kept with its time, and checks
// and answers made from the credentials, with anything in them wrong that should be.
#pragma once

#include "endpoint/agent/agent.h"
#include "lib/wire/stun_integrity.h"
#include "tests/sim/dice.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef FORGE_SENT
#define FORGE_SENT 65536
#endif
enum { FORGE_EVENTS = FORGE_SENT / 8, FORGE_SEQUENCE = 0xC2AD };

struct forge_sent {
	uint64_t at;
	unsigned base;
	struct endpoint_transport to;
	uint16_t size;
	bool ours; // of the owner: no STUN
	uint8_t data[160];
};

struct forge {
	struct agent *agent;
	struct agent_config config;
	struct dice dice;
	uint64_t now, sequence;
	struct forge_sent *sent;
	unsigned sent_count;
	struct agent_event *events;
	unsigned event_count;
	void (*react)(struct forge *forge, const struct agent_event *event);
};

struct forge_check {
	uint64_t sequence; // 0: none; native peers need one
	bool controlling, use_candidate, no_fingerprint, no_priority, unknown;
	uint64_t tie_breaker;
	const char *username; // NULL: the right one
	const char *password; // NULL: the right one
};

static inline void forge_send(void *context, unsigned base,
	const struct endpoint_transport *destination, const uint8_t *data, size_t size)
{
	struct forge *f = context;
	assert(f->sent_count < FORGE_SENT);
	struct forge_sent *sent = &f->sent[f->sent_count++];
	*sent = (struct forge_sent){
		.at = f->now, .base = base, .to = *destination, .size = (uint16_t)size};
	sent->ours = data[0] > 3;
	memcpy(sent->data, data, size < sizeof(sent->data) ? size : sizeof(sent->data));
}

static inline void forge_event(void *context, const struct agent_event *event)
{
	struct forge *f = context;
	assert(f->event_count < FORGE_EVENTS);
	f->events[f->event_count++] = *event;
	if (f->react != NULL)
		f->react(f, event);
}

static inline void forge_random(void *context, void *out, size_t size)
{
	dice_fill(context, out, size);
}

// config: as world_begin's.
static inline void forge_begin(struct forge *f, uint64_t seed, const struct agent_config *config)
{
	uint8_t secret[32];
	struct agent_output output = {.context = f, .send = forge_send, .event = forge_event};
	memset(f, 0, sizeof(*f));
	f->now = 1000;
	f->sent = calloc(FORGE_SENT, sizeof(*f->sent));
	f->events = calloc(FORGE_EVENTS, sizeof(*f->events));
	f->config = config != NULL ? *config : (struct agent_config){0};
	dice_seed(&f->dice, seed, 0);
	memset(secret, 0x41, sizeof(secret));
	agent_credentials_make(&f->config.local, secret);
	memset(secret, 0x42, sizeof(secret));
	agent_credentials_make(&f->config.remote, secret);
	f->config.random = forge_random;
	f->config.random_context = &f->dice;
	int result = agent_create(&f->agent, &f->config, &output);
	assert(result == 0);
	(void)result;
}

static inline void forge_end(struct forge *f)
{
	agent_free(f->agent);
	free(f->sent);
	free(f->events);
}

static inline void forge_run(struct forge *f, uint64_t ms)
{
	uint64_t until = f->now + ms;
	for (unsigned hops = 0; agent_deadline(f->agent) <= until; hops++) {
		assert(hops < 1000000);
		uint64_t deadline = agent_deadline(f->agent);
		if (deadline > f->now)
			f->now = deadline;
		agent_tick(f->agent, f->now);
	}
	f->now = until;
	agent_tick(f->agent, f->now);
}

static inline struct endpoint_transport forge_v4(
	uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port)
{
	return (struct endpoint_transport){.family = 4, .address = {a, b, c, d}, .port = port};
}

static inline void forge_put_u64(struct stun_builder *b, uint16_t type, uint64_t value)
{
	uint8_t bytes[8];
	for (unsigned i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(value >> (56 - 8 * i));
	stun_add(b, type, bytes, 8);
}

static inline size_t forge_check(
	struct forge *f, const struct forge_check *check, uint8_t *out, size_t size)
{
	char username[2 * AGENT_CREDENTIAL_MAX + 2];
	uint8_t id[STUN_TRANSACTION_LENGTH];
	struct stun_key key;
	dice_fill(&f->dice, id, sizeof(id));
	struct stun_builder b = stun_begin(out, size, STUN_BINDING, STUN_REQUEST, id);
	if (check->username != NULL)
		strcpy(username, check->username);
	else
		sprintf(username, "%s:%s", f->config.local.fragment, f->config.remote.fragment);
	stun_add(&b, STUN_USERNAME, username, strlen(username));
	if (!check->no_priority)
		stun_add_u32(&b, STUN_PRIORITY, 110u << 24 | 0xFFFF00);
	forge_put_u64(&b, check->controlling ? STUN_ICE_CONTROLLING : STUN_ICE_CONTROLLED,
		check->tie_breaker);
	if (check->use_candidate)
		stun_add(&b, STUN_USE_CANDIDATE, NULL, 0);
	if (check->unknown)
		stun_add_u32(&b, 0x0031, 1);
	if (check->sequence != 0)
		forge_put_u64(&b, FORGE_SEQUENCE, check->sequence);
	const char *password = check->password != NULL ? check->password : f->config.local.password;
	stun_key_short_term(password, strlen(password), &key);
	stun_add_integrity(&b, &key);
	if (!check->no_fingerprint)
		stun_add_fingerprint(&b);
	return stun_finish(&b);
}

// An answer to a check that the agent has sent. code 0: success, telling that address.
static inline size_t forge_answer(struct forge *f, const struct forge_sent *sent, unsigned code,
	const struct net_endpoint *mapped, uint8_t *out, size_t size)
{
	struct stun_key key;
	struct stun_builder b = stun_begin(
		out, size, STUN_BINDING, code == 0 ? STUN_SUCCESS : STUN_ERROR, sent->data + 8);
	if (code == 0)
		stun_add_xor_address(&b, STUN_XOR_MAPPED_ADDRESS, mapped);
	else
		stun_add_error(&b, code, NULL);
	const char *password = f->config.remote.password;
	stun_key_short_term(password, strlen(password), &key);
	stun_add_integrity(&b, &key);
	stun_add_fingerprint(&b);
	return stun_finish(&b);
}

static inline bool forge_is(const struct forge_sent *sent, enum stun_class class)
{
	struct stun_message m;
	return !sent->ours && sent->size <= sizeof(sent->data) &&
	       stun_parse(sent->data, sent->size, &m) == 0 && m.class == class;
}

static inline unsigned forge_count(const struct forge *f, enum stun_class class)
{
	unsigned count = 0;
	for (unsigned i = 0; i < f->sent_count; i++)
		count += forge_is(&f->sent[i], class);
	return count;
}

// A base with a host address.
static inline struct endpoint_transport forge_base(struct forge *f, unsigned base)
{
	struct endpoint_transport host = forge_v4(10, 0, 0, 2, (uint16_t)(5000 + base));
	agent_base_add(f->agent, base, 4, AGENT_SOCKET, f->now);
	agent_candidate_add(f->agent, base, AGENT_HOST, AGENT_NORMAL, &host, f->now);
	return host;
}

static inline bool forge_deliver(struct forge *f, unsigned base,
	const struct endpoint_transport *source, const uint8_t *data, size_t size)
{
	return agent_receive(f->agent, base, source, data, size, f->now);
}
