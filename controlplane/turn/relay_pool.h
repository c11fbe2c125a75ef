// SPDX-License-Identifier: BSD-3-Clause
// The relayed ports of one relay address. Every port of the range is free, allocated or reserved
// (RFC 8656 7.2: the upper port of an EVEN-PORT pair, held for a token), and
// allocated + reserved + free = range at any time. Ports are drawn uniformly by the system's
// CSPRNG from what is free (RFC 6056: predictable relayed ports let strangers send in), in
// constant time however full the pool is.
//
// Ports are kept as pairs (even, even + 1). A permutation of the pairs is grouped into four
// classes by which half is free; a change moves a pair over at most three class borders, one swap
// each. A range that starts odd or ends even has a pair whose other half is never free.
#pragma once

#include "lib/net/address.h"

#include <stdbool.h>
#include <stdint.h>

enum relay_port_state {
	RELAY_PORT_OUTSIDE = 0, // not in the range
	RELAY_PORT_FREE,
	RELAY_PORT_ALLOCATED,
	RELAY_PORT_RESERVED,
	RELAY_PORT_STATES,
};

enum { RELAY_PAIR_CLASSES = 4 };

struct relay_pool {
	struct net_address address;
	uint16_t first, last; // inclusive, host order
	uint32_t pairs;
	uint16_t *order; // pair numbers, grouped by class
	uint16_t *place; // where a pair stands in order
	uint8_t *state;  // enum relay_port_state per port of all pairs
	uint32_t start[RELAY_PAIR_CLASSES + 1];
	uint32_t count[RELAY_PORT_STATES];
};

// first <= last, host order. 0 or -ENOMEM.
int relay_pool_init(
	struct relay_pool *pool, const struct net_address *address, uint16_t first, uint16_t last);
void relay_pool_free(struct relay_pool *pool);

// A random free port becomes allocated. 0 or -ENOSPC.
int relay_pool_take(struct relay_pool *pool, bool even, uint16_t *port);
// A random pair with both halves free: the even port becomes allocated, the next one reserved.
// 0 or -ENOSPC.
int relay_pool_take_pair(struct relay_pool *pool, uint16_t *even_port);
// Moves one port from state `from` to state `to`; false when it is not in `from` (or not in the
// range).
bool relay_pool_change(struct relay_pool *pool, uint16_t port, enum relay_port_state from,
	enum relay_port_state to);
enum relay_port_state relay_pool_state(const struct relay_pool *pool, uint16_t port);
