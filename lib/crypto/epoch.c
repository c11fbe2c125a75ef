// SPDX-License-Identifier: BSD-3-Clause
// See epoch.h.
#include "lib/crypto/epoch.h"

#include "lib/crypto/blake3.h"

#include <sodium.h>

#include <assert.h>
#include <string.h>

enum { HALF = EPOCH_ADDRESS_SIZE / 2 };

static const char factor_context[] = "Blindrelay 2026-11 epoch key blinding";
static const char prefix_context[] = "Blindrelay 2026-11 epoch nonce prefix";

uint32_t epoch_at(uint64_t unix_seconds, uint32_t epoch_seconds)
{
	assert(epoch_seconds > 0);
	return (uint32_t)(unix_seconds / epoch_seconds);
}

static void add_place(struct blake3 *state, const uint8_t namespace_id[static EPOCH_NAMESPACE_SIZE],
	const uint8_t key[static BLINDING_KEY_SIZE], uint32_t epoch)
{
	const uint8_t number[4] = {(uint8_t)epoch, (uint8_t)(epoch >> 8), (uint8_t)(epoch >> 16),
		(uint8_t)(epoch >> 24)};
	blake3_add(state, namespace_id, EPOCH_NAMESPACE_SIZE);
	blake3_add(state, key, BLINDING_KEY_SIZE);
	blake3_add(state, number, sizeof(number));
}

void epoch_factor(uint8_t factor[static BLINDING_KEY_SIZE],
	const uint8_t namespace_id[static EPOCH_NAMESPACE_SIZE],
	const uint8_t public_key[static BLINDING_KEY_SIZE], uint32_t epoch)
{
	struct blake3 state;
	blake3_begin_derive(&state, factor_context, sizeof(factor_context) - 1);
	add_place(&state, namespace_id, public_key, epoch);
	blake3_finish(&state, factor, BLINDING_KEY_SIZE);
	blake3_wipe(&state);
}

int epoch_public_key(uint8_t blinded[static BLINDING_KEY_SIZE],
	const uint8_t namespace_id[static EPOCH_NAMESPACE_SIZE],
	const uint8_t public_key[static BLINDING_KEY_SIZE], uint32_t epoch)
{
	uint8_t factor[BLINDING_KEY_SIZE];
	epoch_factor(factor, namespace_id, public_key, epoch);
	int result = blinding_public_key(blinded, public_key, factor);
	sodium_memzero(factor, sizeof(factor)); // links epochs
	return result;
}

void epoch_secret_key(struct blinding_secret *blinded_secret,
	uint8_t blinded[static BLINDING_KEY_SIZE], const struct blinding_secret *secret,
	const uint8_t namespace_id[static EPOCH_NAMESPACE_SIZE],
	const uint8_t public_key[static BLINDING_KEY_SIZE], uint32_t epoch)
{
	uint8_t factor[BLINDING_KEY_SIZE];
	struct blake3 state;
	epoch_factor(factor, namespace_id, public_key, epoch);
	blinding_secret_key(blinded_secret, secret, factor);
	blinding_secret_public(blinded, blinded_secret);
	blake3_begin_derive(&state, prefix_context, sizeof(prefix_context) - 1);
	blake3_add(&state, blinded_secret->prefix, sizeof(blinded_secret->prefix));
	blake3_add(&state, blinded, BLINDING_KEY_SIZE);
	blake3_finish(&state, blinded_secret->prefix, sizeof(blinded_secret->prefix));
	blake3_wipe(&state);
	sodium_memzero(factor, sizeof(factor));
}

// What the address of a key ends in.
static void key_half(uint8_t half[static HALF], const uint8_t blinded[static BLINDING_KEY_SIZE])
{
	struct blake3 state;
	blake3_begin(&state);
	blake3_add(&state, blinded, BLINDING_KEY_SIZE);
	blake3_finish(&state, half, HALF);
	blake3_wipe(&state);
}

void epoch_address(uint8_t address[static EPOCH_ADDRESS_SIZE],
	const uint8_t namespace_id[static EPOCH_NAMESPACE_SIZE],
	const uint8_t blinded[static BLINDING_KEY_SIZE], uint32_t epoch)
{
	struct blake3 state;
	blake3_begin(&state);
	add_place(&state, namespace_id, blinded, epoch);
	blake3_finish(&state, address, HALF);
	blake3_wipe(&state);
	key_half(address + HALF, blinded);
}

bool epoch_address_owned_by(const uint8_t address[static EPOCH_ADDRESS_SIZE],
	const uint8_t blinded[static BLINDING_KEY_SIZE])
{
	uint8_t half[HALF];
	key_half(half, blinded);
	return sodium_memcmp(half, address + HALF, HALF) == 0;
}
