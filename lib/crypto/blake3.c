// SPDX-License-Identifier: BSD-3-Clause
// See blake3.h. Names follow the paper: chunks of 1024 bytes are the leaves of a binary tree, whose
// left subtrees are whole; a node is "output" until it is known whether it is the root.
#include "lib/crypto/blake3.h"

#include <sodium.h>

#include <string.h>

enum {
	CHUNK_START = 1,
	CHUNK_END = 2,
	PARENT = 4,
	ROOT = 8,
	KEYED_HASH = 16,
	DERIVE_KEY_CONTEXT = 32,
	DERIVE_KEY_MATERIAL = 64,
	ROUNDS = 7,
};

// SHA-256's.
static const uint32_t initial[8] = {0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F,
	0x9B05688C, 0x1F83D9AB, 0x5BE0CD19};

// Between rounds word i becomes word permutation[i].
static const uint8_t permutation[16] = {2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8};

// What a node of the tree is made of, before its last compression.
struct output {
	uint32_t chain[8], words[16];
	uint64_t counter;
	uint32_t block_length, flags;
};

static uint32_t rotate(uint32_t x, unsigned bits)
{
	return x >> bits | x << (32 - bits);
}

static void mix(uint32_t v[static 16], unsigned a, unsigned b, unsigned c, unsigned d, uint32_t x,
	uint32_t y)
{
	v[a] += v[b] + x;
	v[d] = rotate(v[d] ^ v[a], 16);
	v[c] += v[d];
	v[b] = rotate(v[b] ^ v[c], 12);
	v[a] += v[b] + y;
	v[d] = rotate(v[d] ^ v[a], 8);
	v[c] += v[d];
	v[b] = rotate(v[b] ^ v[c], 7);
}

static void compress(const struct output *in, uint32_t out[static 16])
{
	uint32_t v[16], m[16];
	memcpy(v, in->chain, 32);
	memcpy(v + 8, initial, 16);
	v[12] = (uint32_t)in->counter;
	v[13] = (uint32_t)(in->counter >> 32);
	v[14] = in->block_length;
	v[15] = in->flags;
	memcpy(m, in->words, sizeof(m));
	for (unsigned round = 0; round < ROUNDS; round++) {
		// Columns, then diagonals.
		for (unsigned i = 0; i < 4; i++)
			mix(v, i, i + 4, i + 8, i + 12, m[2 * i], m[2 * i + 1]);
		for (unsigned i = 0; i < 4; i++)
			mix(v, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4, m[8 + 2 * i],
				m[9 + 2 * i]);
		uint32_t next[16];
		for (unsigned i = 0; i < 16; i++)
			next[i] = m[permutation[i]];
		memcpy(m, next, sizeof(m));
	}
	for (unsigned i = 0; i < 8; i++) {
		out[i] = v[i] ^ v[i + 8];
		out[i + 8] = v[i + 8] ^ in->chain[i];
	}
}

static void load_words(uint32_t *words, const uint8_t *bytes, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		words[i] = (uint32_t)bytes[4 * i] | (uint32_t)bytes[4 * i + 1] << 8 |
			   (uint32_t)bytes[4 * i + 2] << 16 | (uint32_t)bytes[4 * i + 3] << 24;
}

static void chain_of(const struct output *output, uint32_t chain[static 8])
{
	uint32_t words[16];
	compress(output, words);
	memcpy(chain, words, 32);
}

// ---- chunks ----

static void chunk_begin(struct blake3 *state, uint64_t counter)
{
	struct blake3_chunk *chunk = &state->chunk;
	memset(chunk, 0, sizeof(*chunk));
	memcpy(chunk->chain, state->key, sizeof(chunk->chain));
	chunk->counter = counter;
}

static unsigned chunk_length(const struct blake3_chunk *chunk)
{
	return (unsigned)chunk->blocks * BLAKE3_BLOCK_LENGTH + chunk->block_length;
}

static struct output chunk_output(const struct blake3 *state, uint32_t end)
{
	const struct blake3_chunk *chunk = &state->chunk;
	struct output out = {.counter = chunk->counter, .block_length = chunk->block_length};
	memcpy(out.chain, chunk->chain, sizeof(out.chain));
	load_words(out.words, chunk->block, 16);
	out.flags = state->flags | (chunk->blocks == 0 ? CHUNK_START : 0) | end;
	return out;
}

static void chunk_add(struct blake3 *state, const uint8_t *data, size_t length)
{
	struct blake3_chunk *chunk = &state->chunk;
	while (length > 0) {
		// A full block waits until more comes: the last one is compressed otherwise.
		if (chunk->block_length == BLAKE3_BLOCK_LENGTH) {
			struct output block = chunk_output(state, 0);
			chain_of(&block, chunk->chain);
			chunk->blocks++;
			memset(chunk->block, 0, sizeof(chunk->block));
			chunk->block_length = 0;
		}
		size_t room = BLAKE3_BLOCK_LENGTH - (size_t)chunk->block_length;
		size_t part = length < room ? length : room;
		memcpy(chunk->block + chunk->block_length, data, part);
		chunk->block_length = (uint8_t)(chunk->block_length + part);
		data += part;
		length -= part;
	}
}

// ---- the tree ----

static struct output parent_output(
	const struct blake3 *state, const uint32_t left[static 8], const uint32_t right[static 8])
{
	struct output out = {
		.block_length = BLAKE3_BLOCK_LENGTH, .flags = (uint32_t)state->flags | PARENT};
	memcpy(out.chain, state->key, sizeof(out.chain));
	memcpy(out.words, left, 32);
	memcpy(out.words + 8, right, 32);
	return out;
}

// A chunk is whole: as many subtrees as the number of chunks has trailing zeros are whole with it.
static void tree_add(struct blake3 *state, uint32_t chain[static 8], uint64_t chunks)
{
	for (; (chunks & 1) == 0; chunks >>= 1) {
		struct output parent = parent_output(state, state->stack[--state->depth], chain);
		chain_of(&parent, chain);
	}
	memcpy(state->stack[state->depth++], chain, 32);
}

static void begin(struct blake3 *state, const uint32_t key[static 8], unsigned flags)
{
	memset(state, 0, sizeof(*state));
	memcpy(state->key, key, sizeof(state->key));
	state->flags = (uint8_t)flags;
	chunk_begin(state, 0);
}

void blake3_begin(struct blake3 *state)
{
	begin(state, initial, 0);
}

void blake3_begin_keyed(struct blake3 *state, const uint8_t key[static BLAKE3_KEY_LENGTH])
{
	uint32_t words[8];
	load_words(words, key, 8);
	begin(state, words, KEYED_HASH);
	sodium_memzero(words, sizeof(words));
}

void blake3_begin_derive(struct blake3 *state, const void *context, size_t length)
{
	uint8_t key[BLAKE3_KEY_LENGTH];
	uint32_t words[8];
	begin(state, initial, DERIVE_KEY_CONTEXT);
	blake3_add(state, context, length);
	blake3_finish(state, key, sizeof(key));
	load_words(words, key, 8);
	begin(state, words, DERIVE_KEY_MATERIAL);
}

void blake3_add(struct blake3 *state, const void *data, size_t length)
{
	const uint8_t *bytes = data;
	while (length > 0) {
		if (chunk_length(&state->chunk) == BLAKE3_CHUNK_LENGTH) {
			uint32_t chain[8];
			struct output last = chunk_output(state, CHUNK_END);
			uint64_t chunks = state->chunk.counter + 1;
			chain_of(&last, chain);
			tree_add(state, chain, chunks);
			chunk_begin(state, chunks);
		}
		size_t room = BLAKE3_CHUNK_LENGTH - (size_t)chunk_length(&state->chunk);
		size_t part = length < room ? length : room;
		chunk_add(state, bytes, part);
		bytes += part;
		length -= part;
	}
}

void blake3_finish(const struct blake3 *state, uint8_t *out, size_t length)
{
	struct output root = chunk_output(state, CHUNK_END);
	for (unsigned i = state->depth; i-- > 0;) {
		uint32_t chain[8];
		chain_of(&root, chain);
		root = parent_output(state, state->stack[i], chain);
	}
	root.flags |= ROOT;
	// The root is compressed once more for each further block of output.
	for (root.counter = 0; length > 0; root.counter++) {
		uint32_t words[16];
		compress(&root, words);
		for (unsigned i = 0; i < BLAKE3_BLOCK_LENGTH && length > 0; i++, length--)
			*out++ = (uint8_t)(words[i / 4] >> 8 * (i % 4));
	}
	sodium_memzero(&root, sizeof(root));
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
