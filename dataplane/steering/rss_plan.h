// SPDX-License-Identifier: BSD-3-Clause
// A hash key and a redirection table for receive side scaling under which a client's packets spread
// over all workers and all that is sent to a relayed port comes to one worker, known beforehand,
// whoever the peer is.
//
// Toeplitz: bit b of the hash is the sum (modulo 2) over the input bits i of i AND key bit i+31-b;
// i counts from the first bit on the wire, key bits likewise, b from the least significant. A card
// takes the low r bits of the hash as the index into a table of 2^r. Input, of IPv4 and IPv6:
//     source address 0-31     destination 32-63      source port 64-79    destination port 80-95
//                    0-127               128-255                 256-271               272-287
// With D the first bit of the destination port (80 or 272), key bit D+31-k maps input D-k ... D-1,
// the source port's k low bits, to index bits 0 ... k-1, and D, D+1, ... to bits k, k+1, ... Key
// bit D+46-r maps the destination port's bits 15-c ... 14 of 16 to index bits k ... r-1, where
// c = r-k. All other key bits are zero. So of the index
//     the low k bits  (spread) are the source port's low bits, the first one on top, and some
//                     constant for each destination port;
//     the high c bits (class) depend on the destination port alone:
//                     class bit t = port bit 15-t + port bit c-t (bit 0 the least), so never on
//                     bit 0: both ports of a pair (even, even + 1) are of one class, and 2^c
//                     pairs side by side are of all classes.
// The class does not depend on k: ports with tables of different sizes agree on it.
//
// The table: rows (classes) in which a listen port lies are filled with worker = spread % workers,
// so clients spread; every other row belongs to one worker. Relayed ports in a listen port's row
// have no home (1 of 2^c).
//
// One key serves one family: two nonzero key bits below 127 lie at 76-126 bits of the IPv6 input
// and make every index bit depend on the source address there. No other key does better. Let the
// index bits' linear combinations that do not see addresses be F4 and F6. As polynomials over the
// key's bits, F6 times the key vanishes over all of IPv6's addresses, which contain IPv4's whole
// input; F4 times the key vanishes over IPv4's addresses (more positions than either has
// coefficients) but not at its ports. A sequence that obeys a linear recurrence (F6) so far and
// sums to zero under F4 for as many places as the recurrence has terms sums to zero under F4
// everywhere, ports included. Hence either family's port is not seen at all.
#pragma once

#include "lib/net/address.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	RSS_KEY_MIN = 40, // what IPv6's ports need
	RSS_KEY_MAX = 64,
	RSS_CLASS_BITS_MAX = 8,
	RSS_TABLE_MAX = 4096,
	RSS_NOBODY = 0xFF, // as STEERING_NOBODY
};

struct rss_plan {
	enum net_family family;
	unsigned workers;
	unsigned spread_bits, class_bits;       // k, c
	uint8_t home[1u << RSS_CLASS_BITS_MAX]; // worker of a class, RSS_NOBODY: spread
	uint8_t key[RSS_KEY_MAX];
};

// The class bits for a table of `table` entries (a power of two), `workers` (2 or more) and the
// ports that clients talk to; 0: not possible. At least log2(workers) bits are left to spread, one
// more where there is room, since there are clients that only use even ports.
unsigned rss_class_bits(
	unsigned table, unsigned workers, const uint16_t *listen, unsigned listen_count);

// The plan for a table of 2^r entries with class bits as of the smallest table in use. family: of
// the packets that are steered.
void rss_plan_make(struct rss_plan *plan, enum net_family family, unsigned table,
	unsigned class_bits, unsigned workers, const uint16_t *listen, unsigned listen_count);

unsigned rss_class(unsigned class_bits, uint16_t port);

// The worker to which all that is sent to this port comes; RSS_NOBODY: spread.
static inline uint8_t rss_plan_home(const struct rss_plan *plan, uint16_t port)
{
	return plan->home[rss_class(plan->class_bits, port)];
}

// Whose a table entry is.
unsigned rss_plan_entry(const struct rss_plan *plan, unsigned index);
