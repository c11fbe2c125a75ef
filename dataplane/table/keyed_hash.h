// SPDX-License-Identifier: BSD-3-Clause
// The hash of every table whose keys a stranger can choose. Not rte_hash_crc and not a
// multiply-mix: CRC is linear, so colliding tuples can be computed without its seed, and a folded
// multiply leaks its seed to whoever can time bucket overflows. A keyed function of which no output
// is ever seen leaves an attacker nothing better than guessing. keyed_hash(key, words, count): 64
// bits of `count` (a constant, at least 1) 64-bit words; inputs under one key have one length per
// table.
#pragma once

#include "dataplane/table/keyed_hash_portable.h"

#ifdef __AES__
#include "dataplane/table/keyed_hash_aes.h"
#else
struct keyed_hash_key {
	struct siphash_key siphash;
};

static inline __attribute__((always_inline)) uint64_t keyed_hash(
	const struct keyed_hash_key *key, const uint64_t *words, unsigned count)
{
	return siphash(&key->siphash, words, count);
}
#endif
