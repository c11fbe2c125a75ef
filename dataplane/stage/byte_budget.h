// SPDX-License-Identifier: BSD-3-Clause
// Bytes a second of many: of who sends data by address, and of each address that data is for. One
// table of fixed size: a keyed hash leads to a slot that is shared with whoever else lands there,
// as with the guard's prefixes (guard.h). No address is kept, nothing grows. A full slot is one
// second's worth. Owner worker.
#pragma once

#include "dataplane/table/ticks.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	BYTE_BUDGET_SLOTS = 1 << 15,
	BYTE_BUDGET_LONG = 1 << 20, // ticks in which all is regained
};

// What was spent and not yet regained; 0 is a full slot, so fresh memory needs no setting up.
struct byte_slot {
	uint32_t tick; // of the last look
	uint32_t spent;
};

struct byte_budget {
	struct byte_slot *slots;
	uint64_t hz;
	uint32_t rate;     // of the last question
	uint64_t per_tick; // bytes of that rate, times 256
};

// False: no memory.
bool byte_budget_open(struct byte_budget *budget, uint64_t hz, int socket);
void byte_budget_close(struct byte_budget *budget);
// The rate has changed, or is the first.
void byte_budget_rate(struct byte_budget *budget, uint32_t rate);

static inline struct byte_slot *byte_budget_slot(const struct byte_budget *budget, uint64_t hash)
{
	return &budget->slots[hash >> 32 & (BYTE_BUDGET_SLOTS - 1)];
}

static inline void byte_budget_prefetch(const struct byte_budget *budget, uint64_t hash)
{
	__builtin_prefetch(byte_budget_slot(budget, hash), 1);
}

// rate: bytes a second. False: that would be more, and nothing is charged.
static inline bool byte_budget_spend(
	struct byte_budget *budget, uint64_t hash, unsigned bytes, uint32_t rate, uint32_t tick)
{
	struct byte_slot *slot = byte_budget_slot(budget, hash);
	if (__builtin_expect(rate != budget->rate, 0))
		byte_budget_rate(budget, rate);
	// More than a slot holds was spent where the rate has fallen since.
	uint64_t spent = slot->spent < rate ? slot->spent : rate;
	uint32_t elapsed = tick - slot->tick;
	elapsed = elapsed < BYTE_BUDGET_LONG ? elapsed : BYTE_BUDGET_LONG;
	uint64_t regained = elapsed * budget->per_tick >> 8;
	spent = spent > regained ? spent - regained : 0;
	// Below a byte: the time goes on counting.
	if (regained)
		slot->tick = tick;
	bool affords = spent + bytes <= rate;
	slot->spent = (uint32_t)(affords ? spent + bytes : spent);
	return affords;
}
