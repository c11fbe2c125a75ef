// SPDX-License-Identifier: BSD-3-Clause
// Clients of the native protocol for tests: keys and addresses from a number, and what they send,
// signed, solved and proven as lib/wire/README.md wants it. Nothing is random, so a test that fails
// fails again. sodium_init comes first.
#pragma once

#include "lib/crypto/blake3.h"
#include "lib/crypto/epoch.h"
#include "lib/wire/native.h"

#include <sodium.h>

#include <assert.h>
#include <string.h>

struct native_party {
	uint8_t namespace_id[EPOCH_NAMESPACE_SIZE];
	uint8_t public_key[BLINDING_KEY_SIZE]; // the delivery key
	struct blinding_secret secret;
	uint32_t number;

	// Of the epoch that native_party_enter was called for.
	uint32_t epoch;
	struct blinding_secret blinded;
	uint8_t key[NATIVE_KEY_SIZE], address[NATIVE_ADDRESS_SIZE], device[NATIVE_DEVICE_SIZE];

	uint8_t ephemeral_secret[32], ephemeral[NATIVE_KEY_SIZE]; // X25519, of all its calls
};

// What a party has of `what`, one letter each: 32 bytes that no other has.
static inline void native_party_bytes(
	uint8_t out[static 32], const struct native_party *p, char what, uint32_t epoch)
{
	struct {
		char what[4];
		uint32_t number, epoch;
	} input = {{what}, p->number, epoch};
	blake3_hash(&input, sizeof(input), out);
}

static inline void native_party_enter(struct native_party *p, uint32_t epoch)
{
	uint8_t device[32];
	p->epoch = epoch;
	epoch_secret_key(&p->blinded, p->key, &p->secret, p->namespace_id, p->public_key, epoch);
	epoch_address(p->address, p->namespace_id, p->key, epoch);
	native_party_bytes(device, p, 'd', epoch);
	memcpy(p->device, device, sizeof(p->device));
}

// For another device of the same addresses make it again and change `device`.
static inline void native_party_make(struct native_party *p, uint32_t number, uint32_t epoch)
{
	uint8_t seed[32];
	*p = (struct native_party){.number = number};
	native_party_bytes(p->namespace_id, p, 'n', 0);
	native_party_bytes(seed, p, 's', 0);
	blinding_secret_expand(&p->secret, seed);
	blinding_secret_public(p->public_key, &p->secret);
	native_party_bytes(p->ephemeral_secret, p, 'e', 0);
	crypto_scalarmult_base(p->ephemeral, p->ephemeral_secret);
	native_party_enter(p, epoch);
}

struct native_transaction {
	uint8_t bytes[NATIVE_TRANSACTION_SIZE];
};

static inline struct native_transaction native_transaction_of(uint64_t number)
{
	struct native_transaction t;
	for (unsigned i = 0; i < sizeof(t.bytes); i++)
		t.bytes[i] = (uint8_t)(number >> 8 * (sizeof(t.bytes) - 1 - i));
	return t;
}

// Signs a message of `size` bytes, whose last 64 the signature becomes. Returns size.
static inline size_t native_message_sign(
	const struct native_party *p, uint8_t *message, size_t size)
{
	uint8_t input[sizeof(NATIVE_SIGNATURE_CONTEXT) + NATIVE_MESSAGE_MAX];
	size_t signed_size = native_signature_input(input, message, size);
	assert(signed_size > 0);
	blinding_sign(message + native_signed(size), input, signed_size, &p->blinded, p->key);
	return size;
}

static inline size_t native_make_solicit(uint8_t out[static 40], uint64_t transaction)
{
	struct native_transaction t = native_transaction_of(transaction);
	struct native_solicit m = {t.bytes};
	return native_solicit_build(out, 40, &m);
}

static inline struct native_register native_register_of(
	const struct native_party *p, const uint8_t *cookie, uint32_t lifetime)
{
	return (struct native_register){
		.cookie = cookie,
		.lifetime = lifetime,
		.epoch = p->epoch,
		.device = p->device,
		.address = p->address,
		.key = p->key,
	};
}

// The messages below are written into out, of NATIVE_MESSAGE_MAX bytes; their size is returned.

// lifetime: seconds; 0 withdraws.
static inline size_t native_make_register(uint8_t *out, const struct native_party *p,
	uint64_t transaction, const uint8_t *cookie, uint32_t lifetime)
{
	struct native_transaction t = native_transaction_of(transaction);
	struct native_register m = native_register_of(p, cookie, lifetime);
	m.transaction = t.bytes;
	return native_message_sign(p, out, native_register_build(out, NATIVE_MESSAGE_MAX, &m));
}

// With the first solution that has at least `bits` zero bits.
static inline size_t native_make_register_solved(uint8_t *out, const struct native_party *p,
	uint64_t transaction, const uint8_t *cookie, uint32_t lifetime, unsigned bits)
{
	struct native_transaction t = native_transaction_of(transaction);
	struct native_register m = native_register_of(p, cookie, lifetime);
	struct native_transaction solution = native_transaction_of(0);
	for (uint64_t i = 1; native_puzzle_bits(cookie, p->address, solution.bytes) < bits; i++)
		solution = native_transaction_of(i);
	m.transaction = t.bytes;
	m.admission = NATIVE_ADMISSION_PUZZLE;
	m.solution = solution.bytes;
	return native_message_sign(p, out, native_register_build(out, NATIVE_MESSAGE_MAX, &m));
}

// Writes the mac of a REGISTER with a token; it is signed afterwards.
static inline void native_token_prove(
	uint8_t *message, size_t size, const uint8_t output[static 64])
{
	static const char context[] = "Blindrelay 2026-11 token";
	struct blake3 state;
	uint8_t key[BLAKE3_KEY_LENGTH];
	size_t covered = native_token_covered(size);
	blake3_begin_derive(&state, context, sizeof(context) - 1);
	blake3_add(&state, output, 64);
	blake3_finish(&state, key, sizeof(key));
	blake3_begin_keyed(&state, key);
	blake3_add(&state, message, covered);
	blake3_finish(&state, message + covered, NATIVE_TOKEN_MAC_SIZE);
}

// nonce, output: the VOPRF's input (32 bytes) and its output (64).
static inline size_t native_make_register_token(uint8_t *out, const struct native_party *p,
	uint64_t transaction, const uint8_t *cookie, uint32_t lifetime, uint32_t key_id,
	const uint8_t *nonce, const uint8_t output[static 64])
{
	struct native_transaction t = native_transaction_of(transaction);
	struct native_register m = native_register_of(p, cookie, lifetime);
	m.transaction = t.bytes;
	m.admission = NATIVE_ADMISSION_TOKEN;
	m.token = (struct native_token){.key_id = key_id, .nonce = nonce};
	size_t size = native_register_build(out, NATIVE_MESSAGE_MAX, &m);
	native_token_prove(out, size, output);
	return native_message_sign(p, out, size);
}

static inline size_t native_make_open(uint8_t *out, const struct native_party *caller,
	uint64_t transaction, const uint8_t *cookie, const uint8_t *open_id,
	const uint8_t *callee_address, const void *sealed, size_t sealed_size)
{
	struct native_transaction t = native_transaction_of(transaction);
	struct native_open m = {
		.transaction = t.bytes,
		.cookie = cookie,
		.open_id = open_id,
		.caller = caller->address,
		.callee = callee_address,
		.key = caller->key,
		.ephemeral = caller->ephemeral,
		.sealed = sealed,
		.sealed_size = (uint16_t)sealed_size,
	};
	return native_message_sign(caller, out, native_open_build(out, NATIVE_MESSAGE_MAX, &m));
}

// Of what INVITE brought.
static inline size_t native_make_accept(uint8_t *out, const struct native_party *callee,
	uint64_t transaction, const uint8_t *cookie, const struct native_invite *invite,
	bool accept, const void *sealed, size_t sealed_size)
{
	struct native_transaction t = native_transaction_of(transaction);
	struct native_accept m = {
		.transaction = t.bytes,
		.cookie = cookie,
		.open_id = invite->open_id,
		.callee = callee->address,
		.key = callee->key,
		.ephemeral = callee->ephemeral,
		.accept = accept,
		.ticket = invite->ticket,
		.sealed = sealed,
		.sealed_size = (uint16_t)sealed_size,
	};
	return native_message_sign(callee, out, native_accept_build(out, NATIVE_MESSAGE_MAX, &m));
}

// The client's half of the exchange; what the relay has must be the same.
static inline void native_party_path_key(uint8_t key[static NATIVE_PATH_KEY_SIZE],
	const struct native_party *p, const uint8_t relay_key[static NATIVE_KEY_SIZE],
	const uint8_t *open_id, bool callee)
{
	uint8_t shared[32];
	int failed = crypto_scalarmult(shared, p->ephemeral_secret, relay_key);
	assert(failed == 0);
	(void)failed;
	native_path_key(key, shared, p->ephemeral, relay_key, open_id, callee);
}
