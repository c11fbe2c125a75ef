// SPDX-License-Identifier: BSD-3-Clause
// A wire between two namespaces: a pair of TUN devices, what happens to packets between them, and
// perhaps a NAT at its inner end, which is a hop. All ways of the process share one heap of
// packets.
//
//    inner namespace                                           outer namespace
//      [TUN 0] --> NAT outbound --> wire 0 (out) --> heap --> [TUN 1]
//      [TUN 0] <-- NAT inbound  <-- heap <-- wire 1 (in) <--- [TUN 1]
//
// One thread.
#pragma once

#include "tests/lab/nat.h"
#include "tests/lab/wire.h"

enum { WAY_NAME_SIZE = 32, WAY_OUT = 0, WAY_IN = 1 };

struct way;

// One direction; its source is what an event loop waits for.
struct way_direction {
	struct way *way;
	struct wire wire;
	uint64_t delivered;
	uint64_t ended; // hop limit
};

struct way {
	struct way *next;
	char name[WAY_NAME_SIZE];
	int tun[2]; // inner, outer
	struct way_direction directions[2];
	struct nat *nat; // NULL: none
	uint64_t other;  // packets that are not UDP, which no NAT of ours passes
};

// Microseconds, CLOCK_MONOTONIC.
uint64_t way_now_us(void);

// Where the packets of all ways are; zero at first.
extern struct wire_heap way_heap;

// Both TUN devices, with streams `stream` and `stream` + 1 of the seed. NULL: *error is a negative
// errno and *failed which of the ends.
struct way *way_open(const char *const netns[2], const char *const interfaces[2], uint64_t seed,
	uint64_t stream, int *error, unsigned *failed);
// Its packets on the way are lost.
void way_close(struct way *way);

// Takes what there is to be read (at most 64 packets) at the direction's source.
void way_read(struct way_direction *direction);
// Delivers what is due of all ways. Returns when to come again, UINT64_MAX: when something is read.
uint64_t way_deliver_due(void);
