// SPDX-License-Identifier: BSD-3-Clause
// When frames arrive, and so how long they must wait to be played without pauses. A frame's offset
// is its arrival minus 20 ms times its number: the same for all frames on an even path, whatever
// the two clocks say, larger by what a frame is late. A frame is there in time exactly when it is
// needed at its offset or later.
//
// Kept are the last five seconds. What the offsets of them say is worked out with each arrival, by
// looking at all.
#pragma once

#include <stdint.h>

enum { ARRIVALS_KEPT = 256 }; // frames; a power of two

struct arrivals {
	struct {
		int64_t number, offset;
	} frames[ARRIVALS_KEPT]; // by number
	int64_t newest;          // number
	int64_t since;           // numbers before that do not count: the path was another one
	uint64_t last_at;
	int64_t last_number;
	unsigned count;  // that count
	double jitter;   // ms
	int64_t fastest; // offset
	int64_t slowest; // offset that covers all frames but a few stragglers
};

void arrivals_begin(struct arrivals *arrivals, int64_t number);
// The first copy of a frame.
void arrivals_add(struct arrivals *arrivals, int64_t number, uint64_t now_ms);
// A further one, on a slower path. It counts as if it had been the only one: as long as a sender
// uses two paths, the buffer becomes deep enough for the slower, so that nothing is missed when the
// faster one dies.
void arrivals_add_copy(struct arrivals *arrivals, int64_t number, uint64_t now_ms);
