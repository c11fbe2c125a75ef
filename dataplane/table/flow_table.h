// SPDX-License-Identifier: BSD-3-Clause
// The per-worker hash: from a 64-bit keyed hash to a 32-bit index into somebody's entry pool. The
// table stores no key. A bucket is one cache line: eight 16-bit signatures, compared with one SIMD
// instruction, and eight indices; the caller compares the key in the pool entry of each candidate.
//
// Every key has two buckets (partial-key cuckoo: the second is the first XOR a function of the
// signature, so an entry can be moved without its key). It lies in the first while there is room,
// so a look-up reads one cache line for most keys and never more than two; an insert that finds
// both full searches breadth-first for a short chain of moves, at most FLOW_TABLE_SEARCH buckets,
// and gives up with -ENOSPC; a removal touches one bucket. Everything is O(1) by construction.
//
// Occupancy. With two choices of eight slots the threshold below which all keys can be placed is
// above 99 % (Dietzfelbinger and Weidling, 2007); the capacity fills at most 31/32 of the slots
// (96.9 %), and the size is the smallest power of two for that. An insert fails only when all
// buckets of its search are full. At 96.8 % 13 of 100 buckets have room, but chance is not all:
// who lies in its second bucket leads back to a first one that was full. Measured: with a search
// of 128 buckets 19 of some 620 tables refused a key on the way there, with 512 none of 2,000.
// Measured (tests/unit/test_flow_table.c prints it): of 100 keys 99 are in their first bucket at
// 50 %, 94 at 75 %, 87 at 90 %, 81 at 96.8 %. Two keys of one bucket share a signature with
// probability 16/65536 * load, so a look-up compares 1.0002 keys on average.
// Flooding. Buckets and signature come from a hash under a random key (keyed_hash.h): chosen
// tuples fall like random ones, and at worst an insert is refused; lookups stay two lines.
//
// Single writer and only reader: the worker that owns it (next_hops.c: under its lock).
#pragma once

#include "dataplane/table/bucket_match.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	FLOW_TABLE_SLOTS = 8,
	FLOW_TABLE_SEARCH = 512,
};
#define FLOW_TABLE_NONE UINT32_MAX

// signature 0: the slot is free, and its index is 0 too.
struct flow_bucket {
	uint16_t signature[FLOW_TABLE_SLOTS];
	uint32_t index[FLOW_TABLE_SLOTS];
	uint8_t reserved[16];
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct flow_bucket) == 64, "one cache line");

struct flow_table {
	struct flow_bucket *buckets;
	uint32_t mask; // number of buckets - 1, a power of two
	uint32_t used, capacity;
};

// Room for `capacity` entries (at most 2^28). 0 or -ENOMEM.
int flow_table_open(struct flow_table *table, uint32_t capacity, int socket);
void flow_table_close(struct flow_table *table);
// The key must not be in the table. 0; -ENOSPC at capacity, or no chain of moves found.
int flow_table_insert(struct flow_table *table, uint64_t hash, uint32_t index);
// The entry of that hash and index; false when it is not there. The slot is wiped.
bool flow_table_remove(struct flow_table *table, uint64_t hash, uint32_t index);

static inline uint16_t flow_table_signature(uint64_t hash)
{
	uint16_t signature = (uint16_t)(hash >> 48);
	return signature ? signature : 1;
}

// Never the same bucket: the offset is not 0.
static inline uint32_t flow_table_other(
	const struct flow_table *table, uint32_t bucket, uint16_t signature)
{
	uint32_t offset = signature * 0x5bd1e995u & table->mask;
	return bucket ^ (offset ? offset : 1);
}

static inline uint32_t flow_table_bucket(const struct flow_table *table, uint64_t hash)
{
	return (uint32_t)hash & table->mask;
}

static inline void flow_table_prefetch(const struct flow_table *table, uint64_t hash)
{
	__builtin_prefetch(&table->buckets[flow_table_bucket(table, hash)]);
}

// Candidates of both buckets, first bucket first. Returns how many.
static inline unsigned flow_table_candidates(
	const struct flow_table *table, uint64_t hash, uint32_t out[static 2 * FLOW_TABLE_SLOTS])
{
	uint16_t signature = flow_table_signature(hash);
	uint32_t first = flow_table_bucket(table, hash);
	const struct flow_bucket *a = &table->buckets[first];
	const struct flow_bucket *b = &table->buckets[flow_table_other(table, first, signature)];
	unsigned mask = bucket_match(a->signature, signature) |
			bucket_match(b->signature, signature) << FLOW_TABLE_SLOTS;
	unsigned count = 0;
	for (; mask != 0; mask &= mask - 1) {
		unsigned bit = (unsigned)__builtin_ctz(mask);
		out[count++] =
			bit < FLOW_TABLE_SLOTS ? a->index[bit] : b->index[bit - FLOW_TABLE_SLOTS];
	}
	return count;
}

// The first candidate of one bucket, for prefetching its pool entry; FLOW_TABLE_NONE: not in there.
static inline uint32_t flow_table_candidate(
	const struct flow_table *table, uint32_t bucket, uint16_t signature)
{
	const struct flow_bucket *b = &table->buckets[bucket];
	unsigned mask = bucket_match(b->signature, signature);
	return mask ? b->index[__builtin_ctz(mask)] : FLOW_TABLE_NONE;
}

// True when pool entry `index` has the key that `key` points to.
typedef bool flow_table_match(const void *pool, uint32_t index, const void *key);

// The index of the entry with that key, or FLOW_TABLE_NONE. `match` is a constant at every call, so
// it is inlined.
static inline __attribute__((always_inline)) uint32_t flow_table_find(
	const struct flow_table *table, uint64_t hash, flow_table_match *match, const void *pool,
	const void *key)
{
	uint16_t signature = flow_table_signature(hash);
	uint32_t bucket = flow_table_bucket(table, hash);
	for (unsigned turn = 0; turn < 2; turn++) {
		const struct flow_bucket *b = &table->buckets[bucket];
		for (unsigned mask = bucket_match(b->signature, signature); mask;
			mask &= mask - 1) {
			uint32_t index = b->index[__builtin_ctz(mask)];
			if (__builtin_expect(match(pool, index, key), 1))
				return index;
		}
		bucket = flow_table_other(table, bucket, signature);
	}
	return FLOW_TABLE_NONE;
}
