// SPDX-License-Identifier: BSD-3-Clause
// What the native protocol computes over its messages: what is signed, proofs, path keys, puzzles.
// No state, any thread; constant time in keys. sodium_init comes first.
#include "lib/wire/native.h"

#include "lib/crypto/blake3.h"

#include <sodium.h>

#include <assert.h>
#include <string.h>

static_assert(crypto_shorthash_siphashx24_BYTES == NATIVE_PROOF_SIZE, "a proof is one hash");
static_assert(crypto_shorthash_siphashx24_KEYBYTES == NATIVE_PATH_KEY_SIZE, "under a path key");

size_t native_signed(size_t message_size)
{
	return message_size < NATIVE_SIGNATURE_SIZE ? 0 : message_size - NATIVE_SIGNATURE_SIZE;
}

size_t native_signature_input(uint8_t *out, const uint8_t *message, size_t message_size)
{
	size_t covered = native_signed(message_size);
	if (covered == 0 || message_size > NATIVE_MESSAGE_MAX)
		return 0;
	memcpy(out, NATIVE_SIGNATURE_CONTEXT, sizeof(NATIVE_SIGNATURE_CONTEXT));
	memcpy(out + sizeof(NATIVE_SIGNATURE_CONTEXT), message, covered);
	return sizeof(NATIVE_SIGNATURE_CONTEXT) + covered;
}

size_t native_token_covered(size_t message_size)
{
	size_t covered = native_signed(message_size);
	return covered < NATIVE_TOKEN_MAC_SIZE ? 0 : covered - NATIVE_TOKEN_MAC_SIZE;
}

static uint8_t *append(uint8_t *to, const void *from, size_t size)
{
	if (size)
		memcpy(to, from, size);
	return to + size;
}

void native_proof(uint8_t proof[static 16], const uint8_t key[static 16], char letter,
	const uint8_t transaction[static 8], const void *first, size_t first_size,
	const void *second, size_t second_size)
{
	uint8_t input[1 + NATIVE_TRANSACTION_SIZE + NATIVE_MESSAGE_MAX], *end = input;
	assert(first_size <= NATIVE_MESSAGE_MAX && second_size <= NATIVE_MESSAGE_MAX - first_size);
	end = append(end, &letter, 1);
	end = append(end, transaction, NATIVE_TRANSACTION_SIZE);
	end = append(end, first, first_size);
	end = append(end, second, second_size);
	crypto_shorthash_siphashx24(proof, input, (size_t)(end - input), key);
}

void native_path_response_proof(uint8_t proof[static 16], const uint8_t key[static 16],
	const struct native_path_response *m)
{
	uint8_t handle[NATIVE_HANDLE_SIZE];
	native_handle_write(handle, &m->handle);
	native_proof(proof, key, 'P', m->transaction, handle, sizeof(handle), m->token,
		NATIVE_PATH_TOKEN_SIZE);
}

void native_opened_proof(
	uint8_t proof[static 16], const uint8_t key[static 16], const struct native_opened *m)
{
	uint8_t fields[NATIVE_OPEN_ID_SIZE + NATIVE_HANDLE_SIZE + 4];
	uint8_t *end = append(fields, m->open_id, NATIVE_OPEN_ID_SIZE);
	native_handle_write(end, &m->handle);
	end += NATIVE_HANDLE_SIZE;
	for (unsigned i = 0; i < 4; i++)
		end[i] = (uint8_t)(m->lifetime >> 8 * (3 - i));
	native_proof(
		proof, key, 'O', m->transaction, fields, sizeof(fields), m->sealed, m->sealed_size);
}

void native_close_proof(
	uint8_t proof[static 16], const uint8_t key[static 16], const struct native_close *m)
{
	uint8_t handle[NATIVE_HANDLE_SIZE];
	native_handle_write(handle, &m->handle);
	native_proof(proof, key, 'C', m->transaction, handle, sizeof(handle), NULL, 0);
}

void native_closed_proof(
	uint8_t proof[static 16], const uint8_t key[static 16], const struct native_closed *m)
{
	uint8_t handle[NATIVE_HANDLE_SIZE];
	native_handle_write(handle, &m->handle);
	native_proof(proof, key, 'D', m->transaction, handle, sizeof(handle), &m->reason, 1);
}

static void derive(struct blake3 *state, const char *context)
{
	blake3_begin_derive(state, context, strlen(context));
}

void native_path_key(uint8_t key[static 16], const uint8_t shared[static 32],
	const uint8_t ephemeral[static 32], const uint8_t relay_key[static 32],
	const uint8_t open_id[static 16], bool callee)
{
	struct blake3 state;
	uint8_t role = callee;
	derive(&state, "Blindrelay 2026-11 path key");
	blake3_add(&state, shared, 32);
	blake3_add(&state, ephemeral, NATIVE_KEY_SIZE);
	blake3_add(&state, relay_key, NATIVE_KEY_SIZE);
	blake3_add(&state, open_id, NATIVE_OPEN_ID_SIZE);
	blake3_add(&state, &role, 1);
	blake3_finish(&state, key, NATIVE_PATH_KEY_SIZE);
	blake3_wipe(&state);
}

unsigned native_puzzle_bits(const uint8_t cookie[static 12], const uint8_t address[static 32],
	const uint8_t solution[static 8])
{
	struct blake3 state;
	uint8_t hash[BLAKE3_HASH_LENGTH];
	unsigned bits = 0;
	derive(&state, "Blindrelay 2026-11 puzzle");
	blake3_add(&state, cookie, NATIVE_COOKIE_SIZE);
	blake3_add(&state, address, NATIVE_ADDRESS_SIZE);
	blake3_add(&state, solution, NATIVE_SOLUTION_SIZE);
	blake3_finish(&state, hash, sizeof(hash));
	while (bits < 8 * sizeof(hash) && !(hash[bits / 8] & 0x80 >> bits % 8))
		bits++;
	return bits;
}
