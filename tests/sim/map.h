// SPDX-License-Identifier: BSD-3-Clause
// A growing map from byte strings to pointers, for what the simulation remembers of everybody. It
// keeps 64-bit keyed hashes instead of the strings; two that are equal by chance would show up as a
// failure of an invariant.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct map {
	struct map_place {
		uint64_t key; // 0: free
		void *value;
	} * places;
	size_t count, room;
};

// Of bytes; never 0.
uint64_t map_hash(const void *bytes, size_t size);

// NULL: none.
void *map_get(const struct map *map, uint64_t key);
// Sets or replaces.
void map_put(struct map *map, uint64_t key, void *value);
void map_remove(struct map *map, uint64_t key);
// The next place in use from *position on; NULL: no more.
void *map_next(const struct map *map, size_t *position);
void map_free(struct map *map);
