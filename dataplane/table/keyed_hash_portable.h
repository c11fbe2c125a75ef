// SPDX-License-Identifier: BSD-3-Clause
// SipHash (Aumasson, Bernstein, 2012) over whole 64-bit words, with one and three rounds as in
// Rust's and Linux's tables: the keyed hash of machines without AES instructions, and wherever an
// output leaves the box (transaction ids, flow labels). Seven rounds for three words cost 25-30
// cycles when the hashes of a burst overlap.
#pragma once

#include <stdint.h>

// Random per start, never leaves the process.
struct siphash_key {
	uint64_t k0, k1;
};

static inline uint64_t siphash_rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static inline __attribute__((always_inline)) void siphash_round(uint64_t v[static 4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = siphash_rotate(v[1], 13) ^ v[0];
	v[3] = siphash_rotate(v[3], 16) ^ v[2];
	v[0] = siphash_rotate(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = siphash_rotate(v[1], 17) ^ v[2];
	v[3] = siphash_rotate(v[3], 21) ^ v[0];
	v[2] = siphash_rotate(v[2], 32);
}

// SipHash-c-d of count words (little-endian bytes) and up to seven bytes more, which are in `last`
// with the number of all bytes above them. c, d and count are constants at every call.
static inline __attribute__((always_inline)) uint64_t siphash_bytes(const struct siphash_key *key,
	const uint64_t *words, unsigned count, uint64_t last, unsigned c, unsigned d)
{
	uint64_t v[4] = {
		key->k0 ^ 0x736f6d6570736575u,
		key->k1 ^ 0x646f72616e646f6du,
		key->k0 ^ 0x6c7967656e657261u,
		key->k1 ^ 0x7465646279746573u,
	};
	for (unsigned i = 0; i <= count; i++) {
		uint64_t word = i < count ? words[i] : last;
		v[3] ^= word;
		for (unsigned r = 0; r < c; r++)
			siphash_round(v);
		v[0] ^= word;
	}
	v[2] ^= 0xFF;
	for (unsigned r = 0; r < d; r++)
		siphash_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

// Of whole words; tests call it with 2 and 4 to compare with libsodium.
static inline __attribute__((always_inline)) uint64_t siphash_rounds(const struct siphash_key *key,
	const uint64_t *words, unsigned count, unsigned c, unsigned d)
{
	return siphash_bytes(key, words, count, (uint64_t)count * 8 << 56, c, d);
}

static inline __attribute__((always_inline)) uint64_t siphash(
	const struct siphash_key *key, const uint64_t *words, unsigned count)
{
	return siphash_rounds(key, words, count, 1, 3);
}
