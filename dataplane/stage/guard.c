// SPDX-License-Identifier: BSD-3-Clause
// Per-prefix token buckets, see guard.h. Owner worker; create and free: main lcore.
#include "dataplane/stage/guard.h"

#include "dataplane/table/keyed_hash.h"
#include "dataplane/table/memory.h"
#include "dataplane/table/ticks.h"
#include "dataplane/worker.h"

#include <rte_cycles.h>

#include <sodium.h>

enum {
	GUARD_SLOTS = 1 << 15,
	GUARD_SCALE = 256, // tokens are kept in 256ths, so that slow rates fill evenly
};

enum guard_purse {
	PURSE_REPLY,
	PURSE_EXCESS,
	PURSE_PUNT,
	PURSE_PUNT_WITH_ALLOCATION,
	PURSE_COUNT,
};

// What was spent and not yet regained; 0 is a full purse, so fresh memory needs no setting up.
struct guard_slot {
	uint32_t tick; // of the last look
	uint32_t spent[PURSE_COUNT];
	uint32_t reserved[3];
};
static_assert(sizeof(struct guard_slot) == 32, "two in a cache line");

struct guard {
	struct keyed_hash_key key;
	uint32_t full[PURSE_COUNT];     // scaled tokens of a full purse
	uint64_t per_tick[PURSE_COUNT]; // scaled tokens regained per tick
	struct guard_slot *slots;
};

static void purse_set(
	struct guard *guard, enum guard_purse purse, uint64_t rate, uint64_t burst, uint64_t hz)
{
	guard->full[purse] = (uint32_t)(burst * GUARD_SCALE);
	uint64_t per_tick = (rate * GUARD_SCALE << TICKS_SHIFT) / hz;
	guard->per_tick[purse] = per_tick ? per_tick : 1;
}

struct guard *guard_create(unsigned workers, int socket)
{
	struct guard *guard = table_memory_take(1, sizeof(*guard), socket);
	if (guard == NULL)
		return NULL;
	guard->slots = table_memory_take(GUARD_SLOTS, sizeof(*guard->slots), socket);
	if (guard->slots == NULL) {
		guard_free(guard);
		return NULL;
	}
	randombytes_buf(&guard->key, sizeof(guard->key));
	uint64_t hz = rte_get_tsc_hz() ? rte_get_tsc_hz() : 1000000000;
	// A prefix's packets are spread over the workers, and so is its budget.
	uint64_t bytes = GUARD_REPLY_BYTES / workers, punts = GUARD_PUNTS / workers,
		 wide = GUARD_PUNTS_WITH_ALLOCATION / workers;
	purse_set(guard, PURSE_REPLY, bytes, bytes, hz);
	purse_set(guard, PURSE_EXCESS, GUARD_EXCESS_BYTES, GUARD_EXCESS_BURST, hz);
	purse_set(guard, PURSE_PUNT, punts, punts, hz);
	purse_set(guard, PURSE_PUNT_WITH_ALLOCATION, wide, wide, hz);
	return guard;
}

void guard_free(struct guard *guard)
{
	if (guard == NULL)
		return;
	table_memory_give(guard->slots, GUARD_SLOTS, sizeof(*guard->slots));
	table_memory_give(guard, 1, sizeof(*guard));
}

static struct guard_slot *slot_of(struct guard *guard, const uint8_t *source, unsigned family)
{
	uint64_t word = 0;
	memcpy(&word, source, family == NET_IPV4 ? 3 : 7);
	word |= (uint64_t)family << 56;
	return &guard->slots[keyed_hash(&guard->key, &word, 1) & (GUARD_SLOTS - 1)];
}

static bool spend(struct guard *guard, const uint8_t *source, unsigned family,
	enum guard_purse purse, unsigned tokens, uint32_t tick)
{
	struct guard_slot *slot = slot_of(guard, source, family);
	uint32_t elapsed = tick - slot->tick;
	if (elapsed != 0) {
		slot->tick = tick;
		for (unsigned i = 0; i < PURSE_COUNT; i++) {
			uint64_t regained = elapsed * guard->per_tick[i];
			slot->spent[i] = regained >= slot->spent[i]
						 ? 0
						 : slot->spent[i] - (uint32_t)regained;
		}
	}
	uint64_t cost = (uint64_t)tokens * GUARD_SCALE;
	if (slot->spent[purse] + cost > guard->full[purse])
		return false;
	slot->spent[purse] += (uint32_t)cost;
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

bool guard_punt(struct guard *guard, const uint8_t *source, unsigned family, bool has_allocation,
	uint32_t tick)
{
	return spend(guard, source, family,
		has_allocation ? PURSE_PUNT_WITH_ALLOCATION : PURSE_PUNT, 1, tick);
}
