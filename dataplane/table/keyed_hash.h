// SPDX-License-Identifier: BSD-3-Clause
// The hash of every table whose keys a stranger can choose: SipHash-1-3 (Aumasson, Bernstein, 2012,
// with one and three rounds as in Rust's and Linux's tables) over whole 64-bit words. Not
// rte_hash_crc and not a multiply-mix: CRC is linear, so colliding tuples can be computed without
// its seed, and a folded multiply leaks its seed to whoever can time bucket overflows. A
// pseudo-random function leaves an attacker nothing better than guessing. Seven rounds for a client
// key cost 25-30 cycles when the hashes of a burst overlap, less than one cache miss.
#pragma once

#include <stdint.h>

// Random per start, never leaves the process.
struct keyed_hash_key {
	uint64_t k0, k1;
};

static inline uint64_t keyed_hash_rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static inline __attribute__((always_inline)) void keyed_hash_round(uint64_t v[static 4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = keyed_hash_rotate(v[1], 13) ^ v[0];
	v[3] = keyed_hash_rotate(v[3], 16) ^ v[2];
	v[0] = keyed_hash_rotate(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = keyed_hash_rotate(v[1], 17) ^ v[2];
	v[3] = keyed_hash_rotate(v[3], 21) ^ v[0];
	v[2] = keyed_hash_rotate(v[2], 32);
}

// SipHash-c-d of count words (little-endian bytes). c and d are constants at every call; tests call
// it with 2 and 4 to compare with libsodium.
static inline __attribute__((always_inline)) uint64_t keyed_hash_rounds(
	const struct keyed_hash_key *key, const uint64_t *words, unsigned count, unsigned c,
	unsigned d)
{
	uint64_t v[4] = {
		key->k0 ^ 0x736f6d6570736575u,
		key->k1 ^ 0x646f72616e646f6du,
		key->k0 ^ 0x6c7967656e657261u,
		key->k1 ^ 0x7465646279746573u,
	};
	for (unsigned i = 0; i <= count; i++) {
		uint64_t word = i < count ? words[i] : (uint64_t)count * 8 << 56;
		v[3] ^= word;
		for (unsigned r = 0; r < c; r++)
			keyed_hash_round(v);
		v[0] ^= word;
	}
	v[2] ^= 0xFF;
	for (unsigned r = 0; r < d; r++)
		keyed_hash_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static inline __attribute__((always_inline)) uint64_t keyed_hash(
	const struct keyed_hash_key *key, const uint64_t *words, unsigned count)
{
	return keyed_hash_rounds(key, words, count, 1, 3);
}
