// SPDX-License-Identifier: BSD-3-Clause
// Bytes a second of many: of who sends data by address, and of each address that data is for. One
// table of fixed size: a keyed hash leads to a slot that is shared with whoever else lands there,
// as with the guard's prefixes (guard.h). No address is kept, nothing grows. A full slot is one
// second's worth. Owner worker.
#pragma once

#include "dataplane/table/keyed_hash.h"
#include "dataplane/table/ticks.h"
#include "lib/net/address.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

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
	struct keyed_hash_key key;
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

// Of a sender: an IPv4 address or an IPv6 /56, whatever ports it has.
static inline uint64_t byte_budget_sender(
	const struct byte_budget *budget, const uint8_t *source, unsigned family)
{
	// Whole words that exist in both forms: what is stored in pieces and read back as a word
	// waits for the store.
	uint64_t word;
	if (family == NET_IPV4) {
		uint32_t address;
		memcpy(&address, source, sizeof(address));
		word = address;
	} else {
		memcpy(&word, source, sizeof(word));
		word &= 0xFFFFFFFFFFFFFF;
	}
	word |= (uint64_t)family << 56;
	return keyed_hash(&budget->key, &word, 1);
}

static inline struct byte_slot *byte_budget_slot(const struct byte_budget *budget, uint64_t hash)
{
	return &budget->slots[hash >> 32 & (BYTE_BUDGET_SLOTS - 1)];
}

static inline void byte_budget_prefetch(const struct byte_budget *budget, uint64_t hash)
{
	__builtin_prefetch(byte_budget_slot(budget, hash), 1);
}

// rate: bytes a second. Whether that many are left.
static inline bool byte_budget_affords(
	struct byte_budget *budget, uint64_t hash, unsigned bytes, uint32_t rate, uint32_t tick)
{
	struct byte_slot *slot = byte_budget_slot(budget, hash);
	if (__builtin_expect(rate != budget->rate, 0))
		byte_budget_rate(budget, rate);
	const uint32_t elapsed = tick - slot->tick;
	if (elapsed != 0) {
		uint64_t ticks = elapsed < BYTE_BUDGET_LONG ? elapsed : BYTE_BUDGET_LONG;
		uint64_t regained = ticks * budget->per_tick >> 8;
		// More than a slot holds was spent where the rate has fallen since.
		uint32_t spent = slot->spent < rate ? slot->spent : rate;
		slot->spent = spent > regained ? spent - (uint32_t)regained : 0;
		// Below a byte: the time goes on counting.
		if (regained)
			slot->tick = tick;
	}
	return (uint64_t)slot->spent + bytes <= rate;
}

// After byte_budget_affords.
static inline void byte_budget_charge(struct byte_budget *budget, uint64_t hash, unsigned bytes)
{
	byte_budget_slot(budget, hash)->spent += bytes;
}

static inline bool byte_budget_spend(
	struct byte_budget *budget, uint64_t hash, unsigned bytes, uint32_t rate, uint32_t tick)
{
	if (!byte_budget_affords(budget, hash, bytes, rate, tick))
		return false;
	byte_budget_charge(budget, hash, bytes);
	return true;
}
