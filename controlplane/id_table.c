// SPDX-License-Identifier: BSD-3-Clause
// Open addressing with linear probing; removal shifts the run back, so there are no tombstones and
// a table that filled and drained is as good as new.
#include "controlplane/id_table.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 64 };

static uint8_t *slot_at(const struct id_table *table, uint32_t index)
{
	return table->slots + (size_t)index * table->slot_size;
}

static uint64_t key_at(const struct id_table *table, uint32_t index)
{
	uint64_t key;
	memcpy(&key, slot_at(table, index), sizeof(key));
	return key;
}

static uint32_t home_of(const struct id_table *table, uint64_t key)
{
	// Fibonacci hashing: the upper half of the product is well mixed, also for sequence
	// numbers.
	return (uint32_t)((key * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & (table->capacity - 1);
}

// The slot that holds key, or the empty one where it belongs.
static uint32_t probe(const struct id_table *table, uint64_t key)
{
	uint32_t index = home_of(table, key);
	for (;;) {
		uint64_t found = key_at(table, index);
		if (found == key || found == 0)
			return index;
		index = (index + 1) & (table->capacity - 1);
	}
}

void id_table_init(struct id_table *table, uint32_t value_size)
{
	*table = (struct id_table){.slot_size = 8 + ((value_size + 7u) & ~7u)};
}

void id_table_free(struct id_table *table)
{
	if (table->slots != NULL)
		sodium_memzero(table->slots, (size_t)table->capacity * table->slot_size);
	free(table->slots);
	table->slots = NULL;
	table->capacity = 0;
	table->count = 0;
}

void id_table_clear(struct id_table *table)
{
	if (table->slots != NULL)
		sodium_memzero(table->slots, (size_t)table->capacity * table->slot_size);
	table->count = 0;
}

static bool grow(struct id_table *table)
{
	struct id_table larger = *table;
	larger.capacity = table->capacity == 0 ? FIRST_CAPACITY : table->capacity * 2;
	larger.slots = calloc(larger.capacity, table->slot_size);
	if (larger.slots == NULL)
		return false;
	for (uint32_t i = 0; i < table->capacity; i++) {
		uint64_t key = key_at(table, i);
		if (key != 0)
			memcpy(slot_at(&larger, probe(&larger, key)), slot_at(table, i),
				table->slot_size);
	}
	uint32_t count = table->count;
	id_table_free(table);
	*table = larger;
	table->count = count;
	return true;
}

void *id_table_find(const struct id_table *table, uint64_t key)
{
	if (table->count == 0 || key == 0)
		return NULL;
	uint32_t index = probe(table, key);
	return key_at(table, index) == key ? slot_at(table, index) + 8 : NULL;
}

void *id_table_insert(struct id_table *table, uint64_t key)
{
	assert(key != 0);
	void *value = id_table_find(table, key);
	if (value != NULL)
		return value;
	if ((table->count + 1) * 2 > table->capacity && !grow(table))
		return NULL;
	uint8_t *slot = slot_at(table, probe(table, key));
	memcpy(slot, &key, sizeof(key));
	table->count++;
	return slot + 8;
}

bool id_table_remove(struct id_table *table, uint64_t key)
{
	if (id_table_find(table, key) == NULL)
		return false;
	uint32_t mask = table->capacity - 1;
	uint32_t hole = probe(table, key);
	for (uint32_t next = (hole + 1) & mask;; next = (next + 1) & mask) {
		uint64_t moved = key_at(table, next);
		if (moved == 0)
			break;
		// An entry may fill the hole unless its home lies behind the hole.
		if (((next - home_of(table, moved)) & mask) >= ((next - hole) & mask)) {
			memcpy(slot_at(table, hole), slot_at(table, next), table->slot_size);
			hole = next;
		}
	}
	sodium_memzero(slot_at(table, hole), table->slot_size);
	table->count--;
	return true;
}

bool id_table_next(const struct id_table *table, uint32_t *position, uint64_t *key, void **value)
{
	for (; *position < table->capacity; (*position)++) {
		*key = key_at(table, *position);
		if (*key != 0) {
			*value = slot_at(table, (*position)++) + 8;
			return true;
		}
	}
	return false;
}
