// SPDX-License-Identifier: BSD-3-Clause
// Budgets per source prefix (/24, /56) for what strangers can make us do: bytes of unauthenticated
// replies, punts without an allocation, and, wider, punts with one. One table of fixed size per
// worker: a prefix hashes, under a random key, to a slot that it shares with whoever else lands
// there. Slots hold no address, so there is nothing to grow under spoofed sources, nothing to evict
// and nothing to remember; a flood from very many prefixes empties many slots and costs unlucky
// strangers a retransmission, never a live mapping.
// Owner worker.
#pragma once

#include "lib/net/address.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	// Per second and prefix, over all workers; a burst is one second's worth.
	GUARD_REPLY_BYTES = 256 * 1024,
	GUARD_PUNTS = 2000,
	GUARD_PUNTS_WITH_ALLOCATION = 20000,
	// Binding replies above 1.4 times their request (RFC 5780's attributes on a bare request
	// make 1.75): what they are over it, in bytes. So a prefix gets at most 1.4 times what it
	// sent, and 512 bytes and 128 a second, of each worker.
	GUARD_EXCESS_BYTES = 128,
	GUARD_EXCESS_BURST = 512,
};

struct guard;

// Each: false means over budget, and nothing is charged. bytes: of IP packet. tick: ticks.h.
bool guard_reply(
	struct guard *guard, const uint8_t *source, unsigned family, unsigned bytes, uint32_t tick);
bool guard_excess(
	struct guard *guard, const uint8_t *source, unsigned family, unsigned bytes, uint32_t tick);
bool guard_punt(struct guard *guard, const uint8_t *source, unsigned family, bool has_allocation,
	uint32_t tick);
