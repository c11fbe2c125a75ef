// SPDX-License-Identifier: BSD-3-Clause
// Budgets for what strangers can make us do.
//
// Per source prefix (/24, /56): bytes of unauthenticated replies, punts without an allocation, and,
// wider, punts with one. One table of fixed size per worker: a prefix hashes, under a random key,
// to a slot that it shares with whoever else lands there. Slots hold no address, so there is
// nothing to grow under spoofed sources, nothing to evict and nothing to remember; a flood from
// very many prefixes empties many slots and costs unlucky strangers a retransmission, never a live
// mapping.
//
// Of everybody: punts without an allocation. A million prefixes below their budgets are a flood all
// the same, which would leave main and the control plane no time for others. Three quarters of this
// rate are anybody's; a quarter is kept for prefixes that have a live allocation on this worker, so
// that who has proven to be there can make another one (or come back) during a flood. Which
// prefixes those are is counted under the same keyed hash in GUARD_KNOWN counters: a stranger
// passes for known with the probability (live prefixes / GUARD_KNOWN) at most.
//
// Requests of the native protocol are signed, and a signature costs the control plane ten times
// what TURN's HMAC does. So each takes more of the total, whoever sends it, and of the wider budget
// a lease opens an eighth: a lease is had for nothing, and who has one must not keep the control
// plane from everybody else.
//
// Flood rule: new allocations a second of a worker.
//
// Owner worker, but for guard_limits_set: main changes limits while workers run. Each limit is one
// atomic word, so that a worker sees the old or the new one; that two of them may change between
// two packets does no harm.
#pragma once

#include "dataplane/api/messages.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	GUARD_KNOWN = 1 << 18,
	// Of GUARD_KEPT_OF parts of the total, one is kept for known prefixes.
	GUARD_KEPT_OF = 4,
	// Defaults of struct api_guard_limits.
	GUARD_REPLY_BYTES = 256 * 1024,
	GUARD_PUNTS = 2000,
	GUARD_PUNTS_WITH_ALLOCATION = 20000,
	GUARD_PUNTS_TOTAL = 50000,
	GUARD_NEW_ALLOCATIONS = 20000,
	// What a signed request takes: of punts_with_allocation, by default 2,500 a second; and of
	// punts_total, 16,700 a second, about as many signatures as a core verifies.
	GUARD_SIGNED_OF_PREFIX = 8,
	GUARD_SIGNED_OF_TOTAL = 3,
	// Binding replies above 1.4 times their request (RFC 5780's attributes on a bare request
	// make 1.75): what they are over it, in bytes. So a prefix gets at most 1.4 times what it
	// sent, and 512 bytes and 128 a second, of each worker.
	GUARD_EXCESS_BYTES = 128,
	GUARD_EXCESS_BURST = 512,
};

struct guard;
struct byte_budget; // byte_budget.h

// Main. Bursts are one second's worth. guard_create (worker.h) sets the defaults. Each limit at
// least 1 and at most 10^9.
void guard_limits_set(struct guard *guard, const struct api_guard_limits *limits, unsigned workers);

// Asks the cache for what the source's prefix has left, some packets ahead of the question.
void guard_prefetch(const struct guard *guard, const uint8_t *source, unsigned family);

// Each: false means over budget, and nothing is charged. bytes: of IP packet. tick: ticks.h.
bool guard_reply(
	struct guard *guard, const uint8_t *source, unsigned family, unsigned bytes, uint32_t tick);
bool guard_excess(
	struct guard *guard, const uint8_t *source, unsigned family, unsigned bytes, uint32_t tick);

enum guard_verdict {
	GUARD_ADMITS,
	GUARD_PREFIX_SPENT, // the prefix is over its budget
	GUARD_TOTAL_SPENT,  // all together are
};
enum guard_verdict guard_punt(struct guard *guard, const uint8_t *source, unsigned family,
	bool has_allocation, uint32_t tick);

// The same for requests of the native protocol. has_lease: from where somebody has a lease; part of
// the total all the same, but as a known prefix.
enum guard_verdict guard_punt_signed(
	struct guard *guard, const uint8_t *source, unsigned family, bool has_lease, uint32_t tick);

// Data by address of the native protocol: bytes a second of one sender, and for one address, both
// of this worker.
struct byte_budget *guard_senders(struct guard *guard);
struct byte_budget *guard_addresses(struct guard *guard);

// Flood rule. now: TSC.
bool guard_allocation(struct guard *guard, uint64_t now);
// An allocation of a client there begins (change 1) or ends (-1).
void guard_known(struct guard *guard, const uint8_t *client, unsigned family, int change);
