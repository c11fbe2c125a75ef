// SPDX-License-Identifier: BSD-3-Clause
// The relayed ports of one relay address. Every port of the range is free, allocated or reserved
// (RFC 8656 7.2: the upper port of an EVEN-PORT pair, held for a token), and
// allocated + reserved + free = range at any time. Ports are drawn uniformly by a CSPRNG
// from what is free (RFC 6056: predictable relayed ports let strangers send in), in
// constant time however full the pool is.
//
// Ports are kept as pairs (even, even + 1). A permutation of the pairs is grouped into four
// classes by which half is free; a change moves a pair over at most three class borders, one swap
// each. A range that starts odd or ends even has a pair whose other half is never free.
//
// Homes. Where the network card brings what peers send to a relayed port to one worker, the port is
// best drawn for an allocation of that worker. The dataplane tells which pair has which worker as
// its home (both halves always the same one); the permutation is then grouped by home first, by
// class within each, and a draw is uniform over the free ports of the home asked for. When that has
// none left, it is uniform over all other free ports.
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

enum {
	RELAY_PAIR_CLASSES = 4,
	RELAY_POOL_HOMES_MAX = 65, // workers, and one for pairs without
	RELAY_POOL_PAIRS = 32768,  // of all ports there are
	RELAY_HOME_NOBODY = 0xFF,
};

struct relay_pool {
	struct net_address address;
	uint16_t first, last; // inclusive, host order
	uint32_t pairs;
	uint16_t *order; // pair numbers, grouped by home and class
	uint16_t *place; // where a pair stands in order
	uint8_t *state;  // enum relay_port_state per port of all pairs
	uint8_t *home;   // group of each pair: a worker, or homes - 1 for those without
	uint32_t homes;  // 1: every port is as good for every worker
	uint32_t start[RELAY_POOL_HOMES_MAX * RELAY_PAIR_CLASSES + 1];
	uint32_t count[RELAY_PORT_STATES];
};

// first <= last, host order. 0 or -ENOMEM.
int relay_pool_init(
	struct relay_pool *pool, const struct net_address *address, uint16_t first, uint16_t last);
void relay_pool_free(struct relay_pool *pool);

// The home of every pair of ports, indexed by port / 2: a number below `workers`, or
// RELAY_HOME_NOBODY. Of ports of a range only; what is allocated or reserved stays so. workers 0
// (homes is not looked at), or more than 64: every port is as good for every worker.
void relay_pool_steer(
	struct relay_pool *pool, unsigned workers, const uint8_t homes[static RELAY_POOL_PAIRS]);

// A random free port becomes allocated, one of this worker's while it has any. 0; 1 when it had
// none and another one was taken; -ENOSPC.
int relay_pool_take(struct relay_pool *pool, bool even, unsigned worker, uint16_t *port);
// A random pair with both halves free: the even port becomes allocated, the next one reserved.
// 0, 1 or -ENOSPC as above.
int relay_pool_take_pair(struct relay_pool *pool, unsigned worker, uint16_t *even_port);
// Whether a port of the range is as good for this worker as any.
bool relay_pool_is_home(const struct relay_pool *pool, uint16_t port, unsigned worker);
// Moves one port from state `from` to state `to`; false when it is not in `from` (or not in the
// range).
bool relay_pool_change(struct relay_pool *pool, uint16_t port, enum relay_port_state from,
	enum relay_port_state to);
enum relay_port_state relay_pool_state(const struct relay_pool *pool, uint16_t port);
