// SPDX-License-Identifier: BSD-3-Clause
// BLAKE3 by a packaged libblake3, compiled in place of blake3.c where pkg-config finds one.
#include "lib/crypto/blake3.h"

#include <sodium.h>

void blake3_begin(struct blake3 *state)
{
	blake3_hasher_init(&state->hasher);
}

void blake3_begin_keyed(struct blake3 *state, const uint8_t key[static BLAKE3_KEY_LENGTH])
{
	blake3_hasher_init_keyed(&state->hasher, key);
}

void blake3_begin_derive(struct blake3 *state, const void *context, size_t length)
{
	blake3_hasher_init_derive_key_raw(&state->hasher, context, length);
}

void blake3_add(struct blake3 *state, const void *data, size_t length)
{
	blake3_hasher_update(&state->hasher, data, length);
}

void blake3_finish(const struct blake3 *state, uint8_t *out, size_t length)
{
	blake3_hasher_finalize(&state->hasher, out, length);
}

void blake3_wipe(struct blake3 *state)
{
	sodium_memzero(state, sizeof(*state));
}

void blake3_hash(const void *data, size_t length, uint8_t out[static BLAKE3_HASH_LENGTH])
{
	struct blake3 state;
	blake3_begin(&state);
	blake3_add(&state, data, length);
	blake3_finish(&state, out, BLAKE3_HASH_LENGTH);
	blake3_wipe(&state);
}
