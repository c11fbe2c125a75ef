// SPDX-License-Identifier: BSD-3-Clause
// Pairs of ports in a permutation grouped by home and class; see relay_pool.h.
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

// The borders of one home's classes.
static uint32_t *starts(struct relay_pool *pool, uint32_t home)
{
	return &pool->start[home * RELAY_PAIR_CLASSES];
}

static void move_class(struct relay_pool *pool, uint32_t pair, unsigned from, unsigned to)
{
	uint32_t *start = starts(pool, pool->home[pair]);
	for (; from < to; from++) {
		swap_places(pool, pool->place[pair], start[from + 1] - 1);
		start[from + 1]--;
	}
	for (; from > to; from--) {
		swap_places(pool, pool->place[pair], start[from]);
		start[from]++;
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

// Lays the permutation out anew: a counting sort by home and class.
static void group(struct relay_pool *pool, uint32_t homes)
{
	uint32_t next[RELAY_POOL_HOMES_MAX * RELAY_PAIR_CLASSES] = {0};
	pool->homes = homes;
	for (uint32_t pair = 0; pair < pool->pairs; pair++)
		next[pool->home[pair] * RELAY_PAIR_CLASSES + class_of(pool, pair)]++;
	uint32_t place = 0;
	for (uint32_t i = 0; i < homes * RELAY_PAIR_CLASSES; i++) {
		pool->start[i] = place;
		place += next[i];
		next[i] = pool->start[i];
	}
	pool->start[homes * RELAY_PAIR_CLASSES] = place;
	for (uint32_t pair = 0; pair < pool->pairs; pair++) {
		unsigned of = pool->home[pair] * RELAY_PAIR_CLASSES + class_of(pool, pair);
		pool->place[pair] = (uint16_t)next[of];
		pool->order[next[of]++] = (uint16_t)pair;
	}
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
	pool->home = calloc(pool->pairs, sizeof(*pool->home));
	if (pool->order == NULL || pool->place == NULL || pool->state == NULL ||
		pool->home == NULL) {
		relay_pool_free(pool);
		return -ENOMEM;
	}
	pool->count[RELAY_PORT_OUTSIDE] = pool->pairs * 2;
	group(pool, 1);
	for (uint32_t port = first; port <= last; port++)
		set_state(pool, index_of(pool, (uint16_t)port), RELAY_PORT_FREE);
	return 0;
}

void relay_pool_free(struct relay_pool *pool)
{
	free(pool->order);
	free(pool->place);
	free(pool->state);
	free(pool->home);
	*pool = (struct relay_pool){0};
}

static uint16_t port_of(const struct relay_pool *pool, uint32_t place, uint32_t half)
{
	return (uint16_t)((pool->first & ~1u) + pool->order[place] * 2u + half);
}

void relay_pool_steer(
	struct relay_pool *pool, unsigned workers, const uint8_t homes[static RELAY_POOL_PAIRS])
{
	bool steered = workers > 0 && workers < RELAY_POOL_HOMES_MAX;
	for (uint32_t pair = 0; pair < pool->pairs; pair++) {
		uint8_t home = steered ? homes[pool->first / 2 + pair] : 0;
		pool->home[pair] = steered && home >= workers ? (uint8_t)workers : home;
	}
	group(pool, steered ? workers + 1 : 1);
}

// What can be drawn from one home.
struct choices {
	uint32_t even_only, both, odd_only; // pairs
	uint32_t total;                     // ports, or pairs when a pair is asked for
};

enum wish { WISH_ANY, WISH_EVEN, WISH_PAIR };

static struct choices choices_of(struct relay_pool *pool, uint32_t home, enum wish wish)
{
	const uint32_t *start = starts(pool, home);
	struct choices out = {
		.even_only = start[CLASS_BOTH] - start[CLASS_EVEN],
		.both = start[CLASS_ODD] - start[CLASS_BOTH],
		.odd_only = start[CLASS_ODD + 1] - start[CLASS_ODD],
	};
	if (wish == WISH_PAIR)
		out.total = out.both;
	else if (wish == WISH_EVEN)
		out.total = out.even_only + out.both;
	else
		out.total = out.even_only + 2 * out.both + out.odd_only;
	return out;
}

// The drawn-th of a home's choices.
static uint16_t choice(struct relay_pool *pool, uint32_t home, enum wish wish, uint32_t drawn)
{
	const uint32_t *start = starts(pool, home);
	struct choices of = choices_of(pool, home, wish);
	if (wish == WISH_PAIR)
		return port_of(pool, start[CLASS_BOTH] + drawn, 0);
	if (wish == WISH_EVEN || drawn < of.even_only)
		return port_of(pool, start[CLASS_EVEN] + drawn, 0);
	if (drawn < of.even_only + 2 * of.both)
		return port_of(pool, start[CLASS_BOTH] + (drawn - of.even_only) / 2,
			(drawn - of.even_only) % 2);
	return port_of(pool, start[CLASS_ODD] + drawn - of.even_only - 2 * of.both, 1);
}

static int draw(struct relay_pool *pool, enum wish wish, unsigned worker, uint16_t *port)
{
	uint32_t home = pool->homes == 1 ? 0 : worker;
	uint32_t own = 0, all = 0;
	if (home < pool->homes)
		own = choices_of(pool, home, wish).total;
	if (own > 0) {
		*port = choice(pool, home, wish, randombytes_uniform(own));
		return 0;
	}
	for (home = 0; home < pool->homes; home++)
		all += choices_of(pool, home, wish).total;
	if (all == 0)
		return -ENOSPC;
	uint32_t drawn = randombytes_uniform(all);
	for (home = 0;; home++) {
		uint32_t here = choices_of(pool, home, wish).total;
		if (drawn < here)
			break;
		drawn -= here;
	}
	*port = choice(pool, home, wish, drawn);
	return 1;
}

int relay_pool_take(struct relay_pool *pool, bool even, unsigned worker, uint16_t *port)
{
	int result = draw(pool, even ? WISH_EVEN : WISH_ANY, worker, port);
	if (result >= 0)
		set_state(pool, index_of(pool, *port), RELAY_PORT_ALLOCATED);
	return result;
}

int relay_pool_take_pair(struct relay_pool *pool, unsigned worker, uint16_t *even_port)
{
	int result = draw(pool, WISH_PAIR, worker, even_port);
	if (result < 0)
		return result;
	set_state(pool, index_of(pool, *even_port), RELAY_PORT_ALLOCATED);
	set_state(pool, index_of(pool, *even_port) + 1, RELAY_PORT_RESERVED);
	return result;
}

bool relay_pool_is_home(const struct relay_pool *pool, uint16_t port, unsigned worker)
{
	return pool->homes == 1 || port < pool->first || port > pool->last ||
	       pool->home[index_of(pool, port) / 2] == worker;
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
