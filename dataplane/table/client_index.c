// SPDX-License-Identifier: BSD-3-Clause
// The shared index of client_index.h.
#include "dataplane/table/client_index.h"

#include "dataplane/table/memory.h"

#include <sodium.h>
#include <stdatomic.h>

enum { SLOTS = 8, TAG_BITS = 56 };

struct client_index {
	struct keyed_hash_key key;
	uint64_t mask;           // buckets - 1
	_Atomic uint64_t *words; // workers: rw, each the words that name it
};

struct place {
	uint64_t word; // but for the worker
	_Atomic uint64_t *buckets[2];
};

struct client_index *client_index_create(unsigned workers, unsigned allocations, int socket)
{
	uint64_t total = (uint64_t)workers * allocations, buckets = 1;
	// At most 8 allocations for 12 words.
	while (buckets * SLOTS * 2 < total * 3)
		buckets *= 2;
	struct client_index *index = table_memory_take(1, sizeof(*index), socket);
	if (index == NULL)
		return NULL;
	randombytes_buf(&index->key, sizeof(index->key));
	index->mask = buckets - 1;
	index->words = table_memory_take(buckets, SLOTS * sizeof(*index->words), socket);
	if (index->words == NULL) {
		client_index_free(index);
		return NULL;
	}
	return index;
}

void client_index_free(struct client_index *index)
{
	if (index == NULL)
		return;
	table_memory_give((void *)index->words, index->mask + 1, SLOTS * sizeof(*index->words));
	table_memory_give(index, 1, sizeof(*index));
}

static struct place place_of(
	const struct client_index *index, const struct client_key *key, uint32_t *hash)
{
	uint64_t h = keyed_hash(&index->key, key->words, 3);
	uint64_t first = h & index->mask;
	// The second bucket by bits that the first one does not use.
	uint64_t second = (first ^ (h >> 32) * 0x9E3779B1u) & index->mask;
	*hash = (uint32_t)(h >> 16);
	return (struct place){
		.word = 1ull << 63 | h >> (64 - TAG_BITS),
		.buckets = {&index->words[first * SLOTS], &index->words[second * SLOTS]},
	};
}

static uint64_t named(uint64_t word, uint16_t worker)
{
	return word | (uint64_t)worker << TAG_BITS;
}

static unsigned used(const _Atomic uint64_t *bucket)
{
	unsigned count = 0;
	for (unsigned i = 0; i < SLOTS; i++)
		count += atomic_load_explicit(&bucket[i], memory_order_relaxed) != 0;
	return count;
}

// One word of the bucket from one value to another; false: none has it.
static bool change(_Atomic uint64_t *bucket, uint64_t from, uint64_t to)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		uint64_t have = atomic_load_explicit(&bucket[i], memory_order_relaxed);
		if (have == from && atomic_compare_exchange_strong_explicit(&bucket[i], &have, to,
					    memory_order_relaxed, memory_order_relaxed))
			return true;
	}
	return false;
}

bool client_index_add(struct client_index *index, const struct client_key *key, uint16_t worker)
{
	uint32_t hash;
	if (index == NULL)
		return true;
	struct place place = place_of(index, key, &hash);
	// The emptier of two: at 2/3 full nobody meets two full ones.
	unsigned first = used(place.buckets[1]) < used(place.buckets[0]);
	uint64_t word = named(place.word, worker);
	return change(place.buckets[first], 0, word) || change(place.buckets[!first], 0, word);
}

void client_index_remove(struct client_index *index, const struct client_key *key, uint16_t worker)
{
	uint32_t hash;
	if (index == NULL)
		return;
	struct place place = place_of(index, key, &hash);
	uint64_t word = named(place.word, worker);
	if (!change(place.buckets[0], word, 0))
		change(place.buckets[1], word, 0);
}

int client_index_find(
	const struct client_index *index, const struct client_key *key, uint32_t *hash)
{
	if (index == NULL)
		return -1;
	struct place place = place_of(index, key, hash);
	const uint64_t worker = 0x7Full << TAG_BITS;
	for (unsigned b = 0; b < 2; b++)
		for (unsigned i = 0; i < SLOTS; i++) {
			uint64_t have =
				atomic_load_explicit(&place.buckets[b][i], memory_order_relaxed);
			if ((have & ~worker) == place.word)
				return (int)((have & worker) >> TAG_BITS);
		}
	return -1;
}
