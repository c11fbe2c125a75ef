// SPDX-License-Identifier: BSD-3-Clause
// A growing hash table from 64-bit keys to small fixed-size values: allocations by id, quota counts
// by tag, reservations by token, requests in flight. Keys are random or keyed hashes that nobody
// outside can choose (or our own sequence numbers), so a multiplicative hash with linear probing
// is enough; the load stays at or below one half. Key 0 marks an empty slot. What is removed is
// wiped. Not thread-safe.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct id_table {
	uint8_t *slots;
	uint32_t capacity; // a power of two, or 0
	uint32_t count;
	uint32_t slot_size; // 8 bytes of key and the value
};

// value_size: bytes, rounded up to a multiple of 8.
void id_table_init(struct id_table *table, uint32_t value_size);
void id_table_free(struct id_table *table);
// Removes everything; keeps the memory.
void id_table_clear(struct id_table *table);

// The value of key, or NULL. Valid until the next insert or remove.
void *id_table_find(const struct id_table *table, uint64_t key);
// The value of key, made and zeroed when there was none. key is not 0. NULL without memory.
void *id_table_insert(struct id_table *table, uint64_t key);
// False when there was none.
bool id_table_remove(struct id_table *table, uint64_t key);
// Walks all entries: *position starts at 0; false at the end. The table may not change meanwhile.
bool id_table_next(const struct id_table *table, uint32_t *position, uint64_t *key, void **value);
