// SPDX-License-Identifier: BSD-3-Clause
// Pairs of ports in a permutation grouped by class; see relay_pool.h.
#include "controlplane/turn/relay_pool.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

// Order matters: EVEN and BOTH are neighbours, so all pairs with a free even port are one interval.
enum { CLASS_NONE = 0, CLASS_EVEN = 1, CLASS_BOTH = 2, CLASS_ODD = 3 };

static uint32_t index_of(const struct relay_pool *pool, uint16_t port)
{
	return (uint32_t)port - (pool->first & ~1u);
}

static unsigned class_of(const struct relay_pool *pool, uint32_t pair)
{
	bool even = pool->state[pair * 2] == RELAY_PORT_FREE;
	bool odd = pool->state[pair * 2 + 1] == RELAY_PORT_FREE;
	if (even)
		return odd ? CLASS_BOTH : CLASS_EVEN;
	return odd ? CLASS_ODD : CLASS_NONE;
}

static void swap_places(struct relay_pool *pool, uint32_t a, uint32_t b)
{
	uint16_t pair_a = pool->order[a], pair_b = pool->order[b];
	pool->order[a] = pair_b;
	pool->order[b] = pair_a;
	pool->place[pair_b] = (uint16_t)a;
	pool->place[pair_a] = (uint16_t)b;
}

static void move_class(struct relay_pool *pool, uint32_t pair, unsigned from, unsigned to)
{
	for (; from < to; from++) {
		swap_places(pool, pool->place[pair], pool->start[from + 1] - 1);
		pool->start[from + 1]--;
	}
	for (; from > to; from--) {
		swap_places(pool, pool->place[pair], pool->start[from]);
		pool->start[from]++;
	}
}

static void set_state(struct relay_pool *pool, uint32_t index, enum relay_port_state state)
{
	unsigned before = class_of(pool, index / 2);
	pool->count[pool->state[index]]--;
	pool->state[index] = (uint8_t)state;
	pool->count[state]++;
	move_class(pool, index / 2, before, class_of(pool, index / 2));
}

int relay_pool_init(
	struct relay_pool *pool, const struct net_address *address, uint16_t first, uint16_t last)
{
	assert(first <= last);
	*pool = (struct relay_pool){.address = *address, .first = first, .last = last};
	pool->pairs = (uint32_t)last / 2 - first / 2 + 1;
	pool->order = calloc(pool->pairs, sizeof(*pool->order));
	pool->place = calloc(pool->pairs, sizeof(*pool->place));
	pool->state = calloc((size_t)pool->pairs * 2, sizeof(*pool->state));
	if (pool->order == NULL || pool->place == NULL || pool->state == NULL) {
		relay_pool_free(pool);
		return -ENOMEM;
	}
	pool->count[RELAY_PORT_OUTSIDE] = pool->pairs * 2;
	for (uint32_t i = 0; i < pool->pairs; i++)
		pool->order[i] = pool->place[i] = (uint16_t)i;
	for (unsigned class = CLASS_EVEN; class <= RELAY_PAIR_CLASSES; class ++)
		pool->start[class] = pool->pairs;
	for (uint32_t port = first; port <= last; port++)
		set_state(pool, index_of(pool, (uint16_t)port), RELAY_PORT_FREE);
	return 0;
}

void relay_pool_free(struct relay_pool *pool)
{
	free(pool->order);
	free(pool->place);
	free(pool->state);
	*pool = (struct relay_pool){0};
}

static uint16_t port_of(const struct relay_pool *pool, uint32_t place, uint32_t half)
{
	return (uint16_t)((pool->first & ~1u) + pool->order[place] * 2u + half);
}

int relay_pool_take(struct relay_pool *pool, bool even, uint16_t *port)
{
	uint32_t even_only = pool->start[CLASS_BOTH] - pool->start[CLASS_EVEN];
	uint32_t both = pool->start[CLASS_ODD] - pool->start[CLASS_BOTH];
	uint32_t choices = even ? even_only + both : pool->count[RELAY_PORT_FREE];
	if (choices == 0)
		return -ENOSPC;
	uint32_t drawn = randombytes_uniform(choices);
	if (even || drawn < even_only)
		*port = port_of(pool, pool->start[CLASS_EVEN] + drawn, 0);
	else if (drawn < even_only + 2 * both)
		*port = port_of(pool, pool->start[CLASS_BOTH] + (drawn - even_only) / 2,
			(drawn - even_only) % 2);
	else
		*port = port_of(pool, pool->start[CLASS_ODD] + drawn - even_only - 2 * both, 1);
	set_state(pool, index_of(pool, *port), RELAY_PORT_ALLOCATED);
	return 0;
}

int relay_pool_take_pair(struct relay_pool *pool, uint16_t *even_port)
{
	uint32_t both = pool->start[CLASS_ODD] - pool->start[CLASS_BOTH];
	if (both == 0)
		return -ENOSPC;
	*even_port = port_of(pool, pool->start[CLASS_BOTH] + randombytes_uniform(both), 0);
	set_state(pool, index_of(pool, *even_port), RELAY_PORT_ALLOCATED);
	set_state(pool, index_of(pool, *even_port) + 1, RELAY_PORT_RESERVED);
	return 0;
}

bool relay_pool_change(struct relay_pool *pool, uint16_t port, enum relay_port_state from,
	enum relay_port_state to)
{
	if (from == RELAY_PORT_OUTSIDE || relay_pool_state(pool, port) != from)
		return false;
	set_state(pool, index_of(pool, port), to);
	return true;
}

enum relay_port_state relay_pool_state(const struct relay_pool *pool, uint16_t port)
{
	if (port < pool->first || port > pool->last)
		return RELAY_PORT_OUTSIDE;
	return pool->state[index_of(pool, port)];
}
