// SPDX-License-Identifier: BSD-3-Clause
// One direction of a wire: what happens to each packet that is put in, and when it comes out. And a
// heap of packets that are on their way on any number of wires. Time is the caller's, chance comes
// from a seed, so that the same packets at the same times have the same fate again.
//
// Jitter alone never lets a packet overtake another one; reordering does, by holding back single
// packets. Losses are thrown before everything else: independent ones with `loss`, bursts by the
// two states of Gilbert and Elliott.
//
// One thread.
#pragma once

#include "tests/sim/dice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Chances are of a million. All zero is a perfect wire.
struct wire_quality {
	uint32_t delay_us;
	uint32_t jitter_us; // more than the delay: evenly from 0 to this
	uint32_t loss;      // each packet by itself
	uint32_t duplicate; // comes twice; the copy has jitter of its own
	uint32_t reorder;   // is held back by reorder_us, and others pass
	uint32_t reorder_us;
	// Gilbert-Elliott: before each packet the state changes with the chance of the state it is
	// in. Mean length of a bad period: 1000000 / bad_to_good packets.
	uint32_t good_to_bad, bad_to_good;
	uint32_t loss_bad; // in the bad state, instead of `loss`
	bool cut;          // everything is lost that is put in; what is on its way arrives
};

struct wire {
	struct wire_quality quality; // the caller's to change at any time
	struct dice dice;
	bool bad;         // state of Gilbert-Elliott
	uint64_t last_us; // when the last packet in order comes out
	uint64_t put, lost, duplicated, reordered;
};

// A perfect wire. Wires of one seed with other streams are independent.
void wire_open(struct wire *wire, uint64_t seed, uint64_t stream);
// A packet is put in now. Returns how many copies come out (0, 1 or 2) and when. A delay that was
// made shorter counts for what is put in from then on, and overtakes nothing.
unsigned wire_put(struct wire *wire, uint64_t now_us, uint64_t out_us[2]);

// ---- packets on their way ----

struct wire_packet {
	uint64_t due_us;
	uint64_t order; // of those due at the same time the first one put in comes first
	void *to;       // the caller's
	size_t size;
	uint8_t bytes[];
};

// Zero is an empty one.
struct wire_heap {
	struct wire_packet **packets;
	size_t count, space;
	uint64_t order;
};

// Copies the bytes. false: there is no memory, the packet is lost.
bool wire_heap_push(
	struct wire_heap *heap, uint64_t due_us, void *to, const void *bytes, size_t size);
// When the next one is due; UINT64_MAX: there is none.
uint64_t wire_heap_due(const struct wire_heap *heap);
// The next one that is due; to be freed by the caller. NULL: there is none.
struct wire_packet *wire_heap_pop(struct wire_heap *heap, uint64_t now_us);
// Forgets packets to there (NULL: all of them); with all, the memory too.
void wire_heap_clear(struct wire_heap *heap, const void *to);
