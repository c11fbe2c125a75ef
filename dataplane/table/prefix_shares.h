// SPDX-License-Identifier: BSD-3-Clause
// How many entries of a table each source network (/24, /56) has. What costs nothing, an address or
// a pair of handles, could otherwise be taken by one network until nobody else finds room. Counted
// under a keyed hash of the prefix, in a fixed number of places, so no prefix is kept and nothing
// grows; who shares a place with a network that has taken its share is refused with it, one
// network in PREFIX_SHARES_PLACES for each of those.
//
// An entry remembers its place, and stays with the network that it was made from when its client
// moves. Main lcore.
#pragma once

#include "dataplane/table/keyed_hash.h"
#include "dataplane/table/memory.h"
#include "lib/net/address.h"

#include <sodium.h>

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum {
	PREFIX_SHARES_PLACES = 1 << 16,
	// What prefix_shares_of gives: a part of a large table, all of a small one.
	PREFIX_SHARES_PART = 4,
	PREFIX_SHARES_LEAST = 256,
};

struct prefix_shares {
	struct keyed_hash_key key;
	uint32_t *taken; // of each place
	uint32_t most;
};

static inline uint32_t prefix_shares_of(uint32_t capacity)
{
	uint32_t part = capacity / PREFIX_SHARES_PART;
	return part > PREFIX_SHARES_LEAST ? part : PREFIX_SHARES_LEAST;
}

// False: no memory. most: entries of one network.
static inline bool prefix_shares_open(struct prefix_shares *shares, uint32_t most, int socket)
{
	randombytes_buf(&shares->key, sizeof(shares->key));
	shares->most = most;
	shares->taken = table_memory_take(PREFIX_SHARES_PLACES, sizeof(*shares->taken), socket);
	return shares->taken != NULL;
}

static inline void prefix_shares_close(struct prefix_shares *shares)
{
	table_memory_give(shares->taken, PREFIX_SHARES_PLACES, sizeof(*shares->taken));
	shares->taken = NULL;
}

static inline uint16_t prefix_shares_place(
	const struct prefix_shares *shares, const struct net_address *address)
{
	const unsigned length = address->family == NET_IPV4 ? 3 : 7;
	uint64_t word = (uint64_t)address->family << 56;
	memcpy(&word, address->bytes, length);
	return (uint16_t)keyed_hash(&shares->key, &word, 1);
}

// Whether `more` entries are left for it.
static inline bool prefix_shares_has(
	const struct prefix_shares *shares, uint16_t place, uint32_t more)
{
	return shares->taken[place] + more <= shares->most;
}

static inline void prefix_shares_take(struct prefix_shares *shares, uint16_t place)
{
	shares->taken[place]++;
}

static inline void prefix_shares_give(struct prefix_shares *shares, uint16_t place)
{
	assert(shares->taken[place] > 0);
	shares->taken[place]--;
}
