// SPDX-License-Identifier: BSD-3-Clause
// Token buckets, see guard.h. Owner worker; create, free and limits: main lcore.
#include "dataplane/stage/guard.h"

#include "dataplane/stage/byte_budget.h"
#include "dataplane/table/keyed_hash.h"
#include "dataplane/table/memory.h"
#include "dataplane/table/ticks.h"
#include "dataplane/worker.h"

#include <rte_cycles.h>

#include <sodium.h>
#include <stdatomic.h>

enum {
	GUARD_SLOTS = 1 << 15,
	// Tokens are kept in parts of 2^shift, so that slow rates fill evenly; 8 where they fit.
	GUARD_SHIFT_MAX = 8,
};

enum guard_purse {
	PURSE_REPLY,
	PURSE_EXCESS,
	PURSE_PUNT,
	PURSE_PUNT_WITH_ALLOCATION,
	PURSE_COUNT,
	// not of a prefix
	PURSE_ANYBODY = PURSE_COUNT,
	PURSE_KNOWN,
	PURSE_COUNT_ALL,
};

// What was spent and not yet regained; 0 is a full purse, so fresh memory needs no setting up.
struct guard_slot {
	uint32_t tick; // of the last look
	uint32_t spent[PURSE_COUNT];
	uint32_t reserved[3];
};
static_assert(sizeof(struct guard_slot) == 32, "two in a cache line");

// A limit: tokens of a full purse, and those regained per tick, both scaled by 2^shift.
struct guard_rate {
	uint32_t full, per_tick;
	unsigned shift;
};

struct guard {
	struct keyed_hash_key key;
	// A struct guard_rate in one word: full (31 bits) | per_tick (29) | shift (4).
	// main: rw, worker: ro
	_Atomic uint64_t limits[PURSE_COUNT_ALL];
	_Atomic uint32_t new_allocations; // main: rw, worker: ro
	uint64_t hz;
	uint64_t flood_paid_until; // TSC up to which new allocations have used up the flood rule
	uint32_t total_tick;       // of the last look at total_spent
	uint32_t total_spent[PURSE_COUNT_ALL - PURSE_ANYBODY];
	struct guard_slot *slots;
	uint16_t *known; // live allocations by prefix
	struct byte_budget senders, addresses;
};

static struct guard_rate rate_of(const struct guard *guard, unsigned purse)
{
	uint64_t word = atomic_load_explicit(&guard->limits[purse], memory_order_relaxed);
	return (struct guard_rate){
		.full = (uint32_t)(word >> 33),
		.per_tick = (uint32_t)(word >> 4) & ((1u << 29) - 1),
		.shift = (unsigned)word & 15,
	};
}

static void limit_set(struct guard *guard, unsigned purse, uint64_t rate, uint64_t burst)
{
	unsigned shift = GUARD_SHIFT_MAX;
	rate = rate ? rate : 1;
	burst = burst ? burst : 1;
	while (shift > 0 && burst << shift >= 1u << 31)
		shift--;
	uint64_t per_tick = (rate << shift << TICKS_SHIFT) / guard->hz;
	per_tick = per_tick ? per_tick : 1;
	uint64_t word = burst << shift << 33 | per_tick << 4 | shift;
	atomic_store_explicit(&guard->limits[purse], word, memory_order_relaxed);
}

void guard_limits_set(struct guard *guard, const struct api_guard_limits *limits, unsigned workers)
{
	// A prefix's packets are spread over the workers, and so is its budget.
	uint64_t bytes = limits->reply_bytes / workers, punts = limits->punts / workers,
		 wide = limits->punts_with_allocation / workers,
		 total = limits->punts_total / workers, kept = total / GUARD_KEPT_OF;
	limit_set(guard, PURSE_REPLY, bytes, bytes);
	limit_set(guard, PURSE_EXCESS, GUARD_EXCESS_BYTES, GUARD_EXCESS_BURST);
	limit_set(guard, PURSE_PUNT, punts, punts);
	limit_set(guard, PURSE_PUNT_WITH_ALLOCATION, wide, wide);
	limit_set(guard, PURSE_ANYBODY, total - kept, total - kept);
	limit_set(guard, PURSE_KNOWN, kept, kept);
	atomic_store_explicit(
		&guard->new_allocations, limits->new_allocations, memory_order_relaxed);
}

struct guard *guard_create(unsigned workers, int socket)
{
	static const struct api_guard_limits defaults = {GUARD_REPLY_BYTES, GUARD_PUNTS,
		GUARD_PUNTS_WITH_ALLOCATION, GUARD_PUNTS_TOTAL, GUARD_NEW_ALLOCATIONS};
	struct guard *guard = table_memory_take(1, sizeof(*guard), socket);
	if (guard == NULL)
		return NULL;
	guard->slots = table_memory_take(GUARD_SLOTS, sizeof(*guard->slots), socket);
	guard->known = table_memory_take(GUARD_KNOWN, sizeof(*guard->known), socket);
	guard->hz = rte_get_tsc_hz() ? rte_get_tsc_hz() : 1000000000;
	if (guard->slots == NULL || guard->known == NULL ||
		!byte_budget_open(&guard->senders, guard->hz, socket) ||
		!byte_budget_open(&guard->addresses, guard->hz, socket)) {
		guard_free(guard);
		return NULL;
	}
	randombytes_buf(&guard->key, sizeof(guard->key));
	guard_limits_set(guard, &defaults, workers);
	return guard;
}

void guard_free(struct guard *guard)
{
	if (guard == NULL)
		return;
	table_memory_give(guard->slots, GUARD_SLOTS, sizeof(*guard->slots));
	table_memory_give(guard->known, GUARD_KNOWN, sizeof(*guard->known));
	byte_budget_close(&guard->senders);
	byte_budget_close(&guard->addresses);
	table_memory_give(guard, 1, sizeof(*guard));
}

static uint64_t prefix_hash(const struct guard *guard, const uint8_t *source, unsigned family)
{
	// Whole words that exist in both forms, then a mask: three bytes stored one by one and
	// read back as a word would wait for the store.
	uint64_t word;
	if (family == NET_IPV4) {
		uint32_t address;
		memcpy(&address, source, sizeof(address));
		word = address & 0xFFFFFF;
	} else {
		memcpy(&word, source, sizeof(word));
		word &= 0xFFFFFFFFFFFFFF;
	}
	word |= (uint64_t)family << 56;
	return keyed_hash(&guard->key, &word, 1);
}

struct byte_budget *guard_senders(struct guard *guard)
{
	return &guard->senders;
}

struct byte_budget *guard_addresses(struct guard *guard)
{
	return &guard->addresses;
}

// The upper half of the hash, so that who shares a slot with a known prefix is not known by that.
static uint16_t *known_of(const struct guard *guard, uint64_t hash)
{
	return &guard->known[hash >> 32 & (GUARD_KNOWN - 1)];
}

static void regain(const struct guard *guard, uint32_t *spent, unsigned purse, uint32_t elapsed)
{
	struct guard_rate rate = rate_of(guard, purse);
	uint64_t regained = (uint64_t)elapsed * rate.per_tick;
	// More than the purse holds was spent where the limit has shrunk since.
	uint32_t left = *spent < rate.full ? *spent : rate.full;
	*spent = regained >= left ? 0 : left - (uint32_t)regained;
}

static bool affords(
	const struct guard *guard, uint32_t spent, unsigned purse, unsigned tokens, uint32_t *cost)
{
	struct guard_rate rate = rate_of(guard, purse);
	uint64_t scaled = (uint64_t)tokens << rate.shift;
	*cost = (uint32_t)scaled;
	return spent + scaled <= rate.full;
}

static struct guard_slot *slot_of(struct guard *guard, uint64_t hash, uint32_t tick)
{
	struct guard_slot *slot = &guard->slots[hash & (GUARD_SLOTS - 1)];
	uint32_t elapsed = tick - slot->tick;
	if (elapsed != 0) {
		slot->tick = tick;
		for (unsigned i = 0; i < PURSE_COUNT; i++)
			regain(guard, &slot->spent[i], i, elapsed);
	}
	return slot;
}

void guard_prefetch(const struct guard *guard, const uint8_t *source, unsigned family)
{
	__builtin_prefetch(&guard->slots[prefix_hash(guard, source, family) & (GUARD_SLOTS - 1)]);
}

static bool spend(struct guard *guard, const uint8_t *source, unsigned family,
	enum guard_purse purse, unsigned tokens, uint32_t tick)
{
	struct guard_slot *slot = slot_of(guard, prefix_hash(guard, source, family), tick);
	uint32_t cost;
	if (!affords(guard, slot->spent[purse], purse, tokens, &cost))
		return false;
	slot->spent[purse] += cost;
	return true;
}

bool guard_reply(
	struct guard *guard, const uint8_t *source, unsigned family, unsigned bytes, uint32_t tick)
{
	return spend(guard, source, family, PURSE_REPLY, bytes, tick);
}

bool guard_excess(
	struct guard *guard, const uint8_t *source, unsigned family, unsigned bytes, uint32_t tick)
{
	return spend(guard, source, family, PURSE_EXCESS, bytes, tick);
}

static bool total_spend(struct guard *guard, bool known, unsigned tokens, uint32_t tick)
{
	uint32_t elapsed = tick - guard->total_tick, cost;
	if (elapsed != 0) {
		guard->total_tick = tick;
		for (unsigned i = PURSE_ANYBODY; i < PURSE_COUNT_ALL; i++)
			regain(guard, &guard->total_spent[i - PURSE_ANYBODY], i, elapsed);
	}
	// What is kept goes first: when that is spent, the known are as others.
	for (unsigned i = known ? PURSE_KNOWN : PURSE_ANYBODY; i >= PURSE_ANYBODY; i--) {
		uint32_t *spent = &guard->total_spent[i - PURSE_ANYBODY];
		if (affords(guard, *spent, i, tokens, &cost)) {
			*spent += cost;
			return true;
		}
	}
	return false;
}

enum guard_verdict guard_punt(struct guard *guard, const uint8_t *source, unsigned family,
	bool has_allocation, uint32_t tick)
{
	uint64_t hash = prefix_hash(guard, source, family);
	struct guard_slot *slot = slot_of(guard, hash, tick);
	enum guard_purse purse = has_allocation ? PURSE_PUNT_WITH_ALLOCATION : PURSE_PUNT;
	uint32_t cost;
	if (!affords(guard, slot->spent[purse], purse, 1, &cost))
		return GUARD_PREFIX_SPENT;
	if (!has_allocation && !total_spend(guard, *known_of(guard, hash) != 0, 1, tick))
		return GUARD_TOTAL_SPENT;
	slot->spent[purse] += cost;
	return GUARD_ADMITS;
}

enum guard_verdict guard_punt_signed(
	struct guard *guard, const uint8_t *source, unsigned family, bool has_lease, uint32_t tick)
{
	uint64_t hash = prefix_hash(guard, source, family);
	struct guard_slot *slot = slot_of(guard, hash, tick);
	enum guard_purse purse = has_lease ? PURSE_PUNT_WITH_ALLOCATION : PURSE_PUNT;
	uint32_t cost;
	if (!affords(guard, slot->spent[purse], purse, has_lease ? GUARD_SIGNED_OF_PREFIX : 1,
		    &cost))
		return GUARD_PREFIX_SPENT;
	if (!total_spend(
		    guard, has_lease || *known_of(guard, hash) != 0, GUARD_SIGNED_OF_TOTAL, tick))
		return GUARD_TOTAL_SPENT;
	slot->spent[purse] += cost;
	return GUARD_ADMITS;
}

bool guard_allocation(struct guard *guard, uint64_t now)
{
	uint64_t hz = guard->hz;
	uint64_t cost = hz / atomic_load_explicit(&guard->new_allocations, memory_order_relaxed);
	uint64_t earliest = now > hz ? now - hz : 0;
	uint64_t at = guard->flood_paid_until > earliest ? guard->flood_paid_until : earliest;
	if (at + cost > now)
		return false;
	guard->flood_paid_until = at + cost;
	return true;
}

void guard_known(struct guard *guard, const uint8_t *client, unsigned family, int change)
{
	uint16_t *known = known_of(guard, prefix_hash(guard, client, family));
	// At 65535 it stays: of so many allocations, not all are noticed when they end.
	if (*known != UINT16_MAX)
		*known = (uint16_t)(*known + change);
}
