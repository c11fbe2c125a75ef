// SPDX-License-Identifier: BSD-3-Clause
// Open addressing with linear probing, at most half full; see map.h.
#include "tests/sim/map.h"

#include <sodium.h>

#include <stdlib.h>
#include <string.h>

uint64_t map_hash(const void *bytes, size_t size)
{
	static const uint8_t key[crypto_shorthash_KEYBYTES] = "simulation's key";
	uint64_t hash;
	crypto_shorthash((uint8_t *)&hash, bytes, size, key);
	return hash ? hash : 1;
}

static struct map_place *place_of(const struct map *map, uint64_t key)
{
	size_t i = (size_t)key & (map->room - 1);
	while (map->places[i].key != 0 && map->places[i].key != key)
		i = (i + 1) & (map->room - 1);
	return &map->places[i];
}

void *map_get(const struct map *map, uint64_t key)
{
	return map->room ? place_of(map, key)->value : NULL;
}

static void grow(struct map *map)
{
	struct map old = *map;
	map->room = old.room ? 2 * old.room : 16;
	map->places = calloc(map->room, sizeof(*map->places));
	if (map->places == NULL)
		abort();
	for (size_t i = 0; i < old.room; i++)
		if (old.places[i].key != 0)
			*place_of(map, old.places[i].key) = old.places[i];
	free(old.places);
}

void map_put(struct map *map, uint64_t key, void *value)
{
	if (2 * (map->count + 1) > map->room)
		grow(map);
	struct map_place *place = place_of(map, key);
	map->count += place->key == 0;
	*place = (struct map_place){key, value};
}

void map_remove(struct map *map, uint64_t key)
{
	if (map->room == 0)
		return;
	size_t i = (size_t)(place_of(map, key) - map->places), mask = map->room - 1;
	if (map->places[i].key == 0)
		return;
	map->count--;
	// What lies behind it and may lie here moves up.
	for (size_t next = (i + 1) & mask; map->places[next].key != 0; next = (next + 1) & mask) {
		size_t home = (size_t)map->places[next].key & mask;
		if (((next - home) & mask) >= ((next - i) & mask)) {
			map->places[i] = map->places[next];
			i = next;
		}
	}
	map->places[i] = (struct map_place){0};
}

void *map_next(const struct map *map, size_t *position)
{
	while (*position < map->room) {
		const struct map_place *place = &map->places[(*position)++];
		if (place->key != 0)
			return place->value;
	}
	return NULL;
}

void map_free(struct map *map)
{
	free(map->places);
	*map = (struct map){0};
}
