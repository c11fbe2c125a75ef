// SPDX-License-Identifier: BSD-3-Clause
// A relay as small as lib/wire/README.md allows, for tests of the endpoint core: everything in
// arrays, the time and the wires from outside. It shares the codec with the real one and nothing
// else. What it is not told to check by a knob it checks as the page says.
#pragma once

#include "lib/crypto/blinding.h"
#include "lib/crypto/epoch.h"
#include "lib/wire/native.h"

#include <sodium.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { RELAY_LEASES = 64, RELAY_PAIRS = 128, RELAY_KEEPALIVE_S = 20 };

struct relay_lease {
	uint8_t address[32], device[8];
	struct net_endpoint client;
	uint64_t until_ms;
	uint32_t issued;
	bool live;
};

struct relay_pair {
	uint8_t open_id[16], key[2][16];
	struct net_endpoint client[2];
	uint64_t until_ms[2], closed_ms;
	uint16_t generation;
	uint32_t token_issued[2];
	bool live;
};

struct relay_ticket { // in 144 bytes; as good as sealed for a relay that talks to nobody else
	struct net_endpoint caller;
	uint8_t transaction[8], key[16];
	uint64_t until_ms, hash;
};
static_assert(sizeof(struct relay_ticket) <= NATIVE_TICKET_SIZE, "ticket");

struct relay {
	void (*send)(
		void *context, const struct net_endpoint *to, const uint8_t *data, size_t size);
	void *context;
	uint64_t now_ms, wall_s;
	uint32_t epoch_seconds, lease_s;
	uint8_t admission, difficulty;
	uint8_t refuse_register, refuse_open; // a reason, for all
	uint32_t refuse_detail;
	bool deaf, decline_tokens;
	uint8_t hash_key[16], secret[32], public_key[32];
	struct relay_lease leases[RELAY_LEASES];
	struct relay_pair pairs[RELAY_PAIRS];
	// what happened
	unsigned registers, solicits, opens, accepts, made, unknown, challenges, refusals, tokens;
};

static inline uint64_t relay_hash(const struct relay *r, const void *data, size_t size)
{
	uint64_t hash;
	crypto_shorthash((uint8_t *)&hash, data, size, r->hash_key);
	return hash;
}

// A new start: nothing is known any more but its own key.
static inline void relay_restart(struct relay *r)
{
	randombytes_buf(r->hash_key, sizeof(r->hash_key));
	memset(r->leases, 0, sizeof(r->leases));
	memset(r->pairs, 0, sizeof(r->pairs));
}

static inline void relay_begin(struct relay *r)
{
	memset(r, 0, sizeof(*r));
	r->epoch_seconds = 3600;
	r->lease_s = 600;
	randombytes_buf(r->secret, sizeof(r->secret));
	crypto_scalarmult_base(r->public_key, r->secret);
	relay_restart(r);
}

static inline void relay_cookie(
	const struct relay *r, const struct net_endpoint *client, uint32_t issued, uint8_t out[12])
{
	struct {
		struct net_endpoint client;
		uint32_t issued, zero;
	} input = {*client, issued, 0};
	uint64_t hash = relay_hash(r, &input, sizeof(input));
	for (unsigned i = 0; i < 4; i++)
		out[i] = (uint8_t)(issued >> (24 - 8 * i));
	memcpy(out + 4, &hash, 8);
}

static inline bool relay_cookie_good(const struct relay *r, const struct net_endpoint *client,
	const uint8_t *cookie, unsigned seconds, uint32_t *issued)
{
	uint8_t right[12];
	*issued = (uint32_t)cookie[0] << 24 | (uint32_t)cookie[1] << 16 | (uint32_t)cookie[2] << 8 |
		  cookie[3];
	relay_cookie(r, client, *issued, right);
	return memcmp(right, cookie, 12) == 0 && (uint32_t)r->now_ms - *issued <= seconds * 1000;
}

#define RELAY_REPLY(r, to, kind, ...)                                                              \
	do {                                                                                       \
		uint8_t reply[NATIVE_MESSAGE_MAX];                                                 \
		size_t reply_size = native_##kind##_build(                                         \
			reply, sizeof(reply), &(struct native_##kind){__VA_ARGS__});               \
		assert(reply_size != 0);                                                           \
		(r)->send((r)->context, to, reply, reply_size);                                    \
	} while (0)

static inline void relay_challenge(
	struct relay *r, const struct net_endpoint *from, const uint8_t *transaction)
{
	uint8_t cookie[12];
	relay_cookie(r, from, (uint32_t)r->now_ms, cookie);
	r->challenges++;
	RELAY_REPLY(r, from, challenge, .transaction = transaction, .cookie = cookie,
		.difficulty = r->difficulty, .admission = r->admission,
		.epoch = epoch_at(r->wall_s, r->epoch_seconds), .epoch_seconds = r->epoch_seconds);
}

static inline void relay_refuse(struct relay *r, const struct net_endpoint *from,
	const uint8_t *transaction, uint8_t reason, uint32_t detail)
{
	r->refusals++;
	RELAY_REPLY(
		r, from, refused, .transaction = transaction, .reason = reason, .detail = detail);
}

static inline bool relay_signed(const uint8_t *data, size_t size, const uint8_t *key)
{
	uint8_t input[sizeof(NATIVE_SIGNATURE_CONTEXT) + NATIVE_MESSAGE_MAX];
	size_t n = native_signature_input(input, data, size);
	return blinding_verify(data + native_signed(size), input, n, key);
}

static inline bool relay_holds(
	const struct relay *r, const uint8_t *address, const struct net_endpoint *client)
{
	for (unsigned i = 0; i < RELAY_LEASES; i++)
		if (r->leases[i].live && r->leases[i].until_ms > r->now_ms &&
			memcmp(r->leases[i].address, address, 32) == 0 &&
			(client == NULL || net_endpoint_equal(&r->leases[i].client, client)))
			return true;
	return false;
}

static inline unsigned relay_lease_count(const struct relay *r)
{
	unsigned count = 0;
	for (unsigned i = 0; i < RELAY_LEASES; i++)
		count += r->leases[i].live && r->leases[i].until_ms > r->now_ms;
	return count;
}

static inline void relay_register(
	struct relay *r, const struct net_endpoint *from, const uint8_t *data, size_t size)
{
	struct native_register m;
	struct relay_lease *lease = NULL, *unused = NULL;
	uint32_t issued, epoch = epoch_at(r->wall_s, r->epoch_seconds);
	uint8_t cookie[12];

	r->registers++;
	if (native_register_parse(data, size, &m) != 0)
		return;
	if (!relay_cookie_good(r, from, m.cookie, NATIVE_CONTROL_COOKIE_S, &issued)) {
		relay_challenge(r, from, m.transaction);
		return;
	}
	uint8_t reason = r->refuse_register;
	uint64_t end_s = ((uint64_t)m.epoch + 2) * r->epoch_seconds;
	for (unsigned i = 0; i < RELAY_LEASES; i++) {
		if (memcmp(r->leases[i].device, m.device, 8) == 0)
			lease = &r->leases[i];
		else if (unused == NULL && !r->leases[i].live)
			unused = &r->leases[i];
	}
	bool known = lease != NULL && lease->live && lease->until_ms > r->now_ms;
	if (reason == 0 && (m.epoch - epoch + 1 > 2 || end_s <= r->wall_s)) {
		reason = NATIVE_REFUSED_EPOCH;
		r->refuse_detail = epoch;
	}
	if (reason == 0 && !epoch_address_owned_by(m.address, m.key))
		reason = NATIVE_REFUSED_KEY;
	if (reason == 0 && !known && r->admission == NATIVE_ADMISSION_PUZZLE && r->difficulty > 0 &&
		(m.admission != NATIVE_ADMISSION_PUZZLE ||
			native_puzzle_bits(m.cookie, m.address, m.solution) < r->difficulty)) {
		reason = NATIVE_REFUSED_PUZZLE;
		r->refuse_detail = r->difficulty;
	}
	if (reason == 0 && !known && r->admission == NATIVE_ADMISSION_TOKEN) {
		if (m.admission != NATIVE_ADMISSION_TOKEN)
			reason = NATIVE_REFUSED_TOKEN_WANTED;
		else if (r->decline_tokens)
			reason = NATIVE_REFUSED_TOKEN_SPENT;
		else
			r->tokens++;
	}
	if (reason == 0 && !relay_signed(data, size, m.key))
		reason = NATIVE_REFUSED_SIGNATURE;
	bool again = lease != NULL && issued == lease->issued &&
		     net_endpoint_equal(&lease->client, from);
	if (reason == 0 && lease != NULL && !again && (int32_t)(issued - lease->issued) <= 0)
		reason = NATIVE_REFUSED_OLD;
	if (reason != 0) {
		relay_refuse(r, from, m.transaction, reason, r->refuse_detail);
		return;
	}
	if (lease == NULL)
		lease = unused;
	assert(lease != NULL);
	uint64_t lifetime = m.lifetime < r->lease_s ? m.lifetime : r->lease_s;
	if (r->wall_s + lifetime > end_s)
		lifetime = end_s - r->wall_s;
	if (!again) {
		memcpy(lease->address, m.address, 32);
		memcpy(lease->device, m.device, 8);
		lease->client = *from;
		lease->issued = issued;
		lease->until_ms = r->now_ms + lifetime * 1000;
		lease->live = lifetime > 0;
	}
	relay_cookie(r, from, (uint32_t)r->now_ms, cookie);
	RELAY_REPLY(r, from, registered, .transaction = m.transaction,
		.lifetime = (uint32_t)lifetime, .cookie = cookie, .observed = *from,
		.keepalive = RELAY_KEEPALIVE_S, .devices = 1, .payload = 1184,
		.relay_key = r->public_key);
}

static inline struct relay_pair *relay_pair_of(
	struct relay *r, struct native_handle handle, unsigned *side)
{
	struct relay_pair *pair = &r->pairs[handle.index / 2 % RELAY_PAIRS];
	*side = handle.index & 1;
	if (handle.index / 2 >= RELAY_PAIRS || !pair->live ||
		pair->generation != handle.generation || pair->until_ms[*side] <= r->now_ms)
		return NULL;
	return pair;
}

static inline struct native_handle relay_handle_of(
	const struct relay *r, const struct relay_pair *pair, unsigned side)
{
	return (struct native_handle){
		.generation = pair->generation,
		.index = (uint32_t)(pair - r->pairs) * 2 + side,
	};
}

static inline void relay_path_challenge(
	struct relay *r, const struct net_endpoint *from, struct native_handle handle)
{
	uint8_t token[12], transaction[8];
	randombytes_buf(transaction, 8);
	relay_cookie(r, from, (uint32_t)r->now_ms, token);
	RELAY_REPLY(r, from, path_challenge, .transaction = transaction, .handle = handle,
		.token = token);
}

static inline void relay_alive(
	struct relay *r, const struct net_endpoint *from, const uint8_t *transaction, uint32_t left)
{
	uint8_t cookie[12];
	relay_cookie(r, from, (uint32_t)r->now_ms, cookie);
	RELAY_REPLY(r, from, alive, .transaction = transaction, .cookie = cookie, .observed = *from,
		.left = left);
}

static inline void relay_closed(
	struct relay *r, struct relay_pair *pair, unsigned side, uint8_t reason)
{
	uint8_t transaction[8], proof[16];
	struct native_closed m = {.transaction = transaction,
		.handle = relay_handle_of(r, pair, side),
		.reason = reason};
	randombytes_buf(transaction, 8);
	native_closed_proof(proof, pair->key[side], &m);
	RELAY_REPLY(r, &pair->client[side], closed, .transaction = transaction, .handle = m.handle,
		.reason = reason, .proof = proof);
}

static inline void relay_path_key(const struct relay *r, uint8_t key[16], const uint8_t *ephemeral,
	const uint8_t *open_id, bool callee)
{
	uint8_t shared[32];
	int result = crypto_scalarmult(shared, r->secret, ephemeral);
	assert(result == 0);
	native_path_key(key, shared, ephemeral, r->public_key, open_id, callee);
}

static inline void relay_opened(struct relay *r, struct relay_pair *pair, unsigned side,
	const uint8_t *transaction, const uint8_t *sealed, uint16_t size)
{
	uint8_t proof[16];
	struct native_opened m = {
		.transaction = transaction,
		.open_id = pair->open_id,
		.handle = relay_handle_of(r, pair, side),
		.lifetime = 3 * RELAY_KEEPALIVE_S,
		.keepalive = RELAY_KEEPALIVE_S,
		.sealed = sealed,
		.sealed_size = size,
	};
	native_opened_proof(proof, pair->key[side], &m);
	m.proof = proof;
	uint8_t out[NATIVE_MESSAGE_MAX];
	size_t whole = native_opened_build(out, sizeof(out), &m);
	assert(whole != 0);
	r->send(r->context, &pair->client[side], out, whole);
}
