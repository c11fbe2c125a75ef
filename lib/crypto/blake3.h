// SPDX-License-Identifier: BSD-3-Clause
// BLAKE3 (O'Connor, Aumasson, Neves, Wilcox-O'Hearn, 2020): hash, keyed hash, key derivation, each
// with output of any length. Portable C, one block at a time: what is hashed here are addresses and
// puzzles of a few dozen bytes, not files. Constant time in all contents; lengths and the mode
// show.
//
// Where pkg-config finds a packaged libblake3, the Makefile defines PACKAGED_BLAKE3 and that
// library does the work behind the same functions (blake3_packaged.c).
//
// A struct blake3 belongs to whoever made it and is used by one thread at a time. It holds the key
// and the last bytes of the input: wipe it (blake3_wipe) when either is secret.
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
	BLAKE3_KEY_LENGTH = 32,
	BLAKE3_HASH_LENGTH = 32, // of the usual output; any other length is its prefix or goes on
};

#ifdef PACKAGED_BLAKE3
#include <blake3.h>

struct blake3 {
	blake3_hasher hasher;
};
#else
enum {
	BLAKE3_BLOCK_LENGTH = 64,
	BLAKE3_CHUNK_LENGTH = 1024,
	BLAKE3_DEPTH_MAX = 54, // of the tree over 2^64 bytes
};

// A chunk on its way: what its next compression starts from.
struct blake3_chunk {
	uint32_t chain[8];
	uint64_t counter; // of chunks before this one
	uint8_t block[BLAKE3_BLOCK_LENGTH];
	uint8_t block_length;
	uint8_t blocks; // compressed already
};

struct blake3 {
	uint32_t key[8]; // or the initial value
	uint8_t flags;   // of the mode
	uint8_t depth;   // of the stack below
	struct blake3_chunk chunk;
	uint32_t stack[BLAKE3_DEPTH_MAX][8]; // whole subtrees, the largest first
};
#endif

void blake3_begin(struct blake3 *state);
void blake3_begin_keyed(struct blake3 *state, const uint8_t key[static BLAKE3_KEY_LENGTH]);
// context: a constant of the program, unique to the purpose, of `length` bytes; the key material is
// what follows by blake3_add.
void blake3_begin_derive(struct blake3 *state, const void *context, size_t length);
void blake3_add(struct blake3 *state, const void *data, size_t length);
// `length` bytes of output into out. Changes nothing: more may be added and finished again.
void blake3_finish(const struct blake3 *state, uint8_t *out, size_t length);
void blake3_wipe(struct blake3 *state);

// All in one: the hash of `length` bytes.
void blake3_hash(const void *data, size_t length, uint8_t out[static BLAKE3_HASH_LENGTH]);
