// SPDX-License-Identifier: BSD-3-Clause
// Writing side of the flow table, see flow_table.h. Owner worker only.
#include "dataplane/table/flow_table.h"

#include "dataplane/table/memory.h"

#include <errno.h>
#include <string.h>

int flow_table_open(struct flow_table *table, uint32_t capacity, int socket)
{
	if (capacity > 1u << 28)
		return -ENOMEM;
	uint32_t buckets = 2;
	while ((uint64_t)buckets * FLOW_TABLE_SLOTS * 31 / 32 < capacity)
		buckets *= 2;
	*table = (struct flow_table){
		.buckets = table_memory_take(buckets, sizeof(struct flow_bucket), socket),
		.mask = buckets - 1,
		.capacity = capacity,
	};
	return table->buckets != NULL ? 0 : -ENOMEM;
}

void flow_table_close(struct flow_table *table)
{
	table_memory_give(table->buckets, (size_t)table->mask + 1, sizeof(struct flow_bucket));
	*table = (struct flow_table){0};
}

static void slot_set(struct flow_table *table, uint32_t bucket, unsigned slot, uint16_t signature,
	uint32_t index)
{
	table->buckets[bucket].signature[slot] = signature;
	table->buckets[bucket].index[slot] = index;
}

struct search_node {
	uint32_t bucket;
	int16_t parent; // node whose entry `slot` would move here; -1: a bucket of the key itself
	uint8_t slot;
};

static bool visited(const struct search_node *nodes, unsigned count, uint32_t bucket)
{
	for (unsigned i = 0; i < count; i++)
		if (nodes[i].bucket == bucket)
			return true;
	return false;
}

// Moves entries along the chain that ends at nodes[at], freeing one slot in the key's own bucket.
// Buckets of a chain are distinct, so no entry is moved twice.
static void chain_move(struct flow_table *table, const struct search_node *nodes, int at,
	unsigned free_slot, uint16_t signature, uint32_t index)
{
	while (nodes[at].parent >= 0) {
		const struct search_node *to = &nodes[at], *from = &nodes[to->parent];
		struct flow_bucket *bucket = &table->buckets[from->bucket];
		slot_set(table, to->bucket, free_slot, bucket->signature[to->slot],
			bucket->index[to->slot]);
		free_slot = to->slot;
		at = to->parent;
	}
	slot_set(table, nodes[at].bucket, free_slot, signature, index);
}

int flow_table_insert(struct flow_table *table, uint64_t hash, uint32_t index)
{
	if (table->used >= table->capacity)
		return -ENOSPC;
	uint16_t signature = flow_table_signature(hash);
	uint32_t first = flow_table_bucket(table, hash);
	struct search_node nodes[FLOW_TABLE_SEARCH] = {
		{.bucket = first, .parent = -1},
		{.bucket = flow_table_other(table, first, signature), .parent = -1},
	};
	unsigned count = 2;
	for (unsigned at = 0; at < count; at++) {
		const struct flow_bucket *bucket = &table->buckets[nodes[at].bucket];
		unsigned room = bucket_match(bucket->signature, 0);
		if (room) {
			chain_move(table, nodes, (int)at, (unsigned)__builtin_ctz(room), signature,
				index);
			table->used++;
			return 0;
		}
		for (unsigned slot = 0; slot < FLOW_TABLE_SLOTS && count < FLOW_TABLE_SEARCH;
			slot++) {
			uint32_t other =
				flow_table_other(table, nodes[at].bucket, bucket->signature[slot]);
			if (visited(nodes, count, other))
				continue;
			nodes[count++] = (struct search_node){other, (int16_t)at, (uint8_t)slot};
		}
	}
	return -ENOSPC;
}

bool flow_table_remove(struct flow_table *table, uint64_t hash, uint32_t index)
{
	uint16_t signature = flow_table_signature(hash);
	uint32_t bucket = flow_table_bucket(table, hash);
	for (unsigned turn = 0; turn < 2; turn++) {
		unsigned mask = bucket_match(table->buckets[bucket].signature, signature);
		for (; mask; mask &= mask - 1) {
			unsigned slot = (unsigned)__builtin_ctz(mask);
			if (table->buckets[bucket].index[slot] != index)
				continue;
			slot_set(table, bucket, slot, 0, 0);
			table->used--;
			return true;
		}
		bucket = flow_table_other(table, bucket, signature);
	}
	return false;
}
