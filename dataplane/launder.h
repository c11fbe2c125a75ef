// SPDX-License-Identifier: BSD-3-Clause
// Overwrites what packets leave behind. A freed mbuf keeps its old headers until somebody writes
// over them, and a pool hands the same few warm buffers out again and again while the cold ones
// keep theirs for hours. So a worker without packets takes free buffers from the cold end of the
// pool, zeroes their data and private area, and puts them back at the warm end.
//
// How that comes round to every buffer: the pool is a FIFO ring behind per-lcore caches. Going
// idle, a worker first has its drivers give back what they have sent and empties its own cache into
// the ring; then one walk over as many buffers as lie in the ring has met all of them. What drivers
// keep back is umem.h's (frames waiting in the AF_XDP fill ring). Frames still on their way out
// when a walk begins are met by the later ones: there are three, ever longer after the last packet.
//
// The worker's stack below its loop carries addresses too (parsed headers, keys); it is zeroed when
// a walk begins.
//
// Bounded: LAUNDER_BATCH buffers per LAUNDER_INTERVAL_US, so about 1 % of a core at worst, and 0.5
// s for the 16383 buffers of one AF_XDP port. Worker's lcore.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct worker;

enum {
	LAUNDER_BATCH = 32,
	LAUNDER_INTERVAL_US = 1000,
	// Between batches of an AF_XDP socket's frames: a worker that is without packets for a
	// moment only, because others have the core, does not spend it on them.
	LAUNDER_FRAMES_US = 20,
	LAUNDER_WALKS = 3,
	// Deeper than any call chain here or in the drivers reaches: the deepest frame is the
	// AF_XDP driver's receive function with 16 KiB.
	LAUNDER_STACK = 128 * 1024,
};

struct launder {
	uint64_t last_packet; // TSC
	uint64_t next;        // TSC of the next batch
	uint64_t next_frames; // TSC of the next batch of AF_XDP frames
	uint32_t left;        // buffers until the walk is round
	uint8_t walks;        // since the last packet
};

// A turn with packets.
static inline void launder_dirty(struct launder *launder, uint64_t now)
{
	launder->last_packet = now;
	launder->walks = 0;
}

// All walks after the last packet are done.
static inline bool launder_done(const struct launder *launder)
{
	return launder->left == 0 && launder->walks == LAUNDER_WALKS;
}

// A turn without.
void launder_idle(struct worker *worker, uint64_t now);

// Zeroes the part of the calling thread's stack that returned functions have used.
void launder_stack(void);

struct rte_mbuf;
// Zeroes a buffer's data room and private area.
void launder_mbuf(struct rte_mbuf *mbuf);
// Zeroes what it holds now and the private area: enough for a packet that nobody cut short.
void launder_data(struct rte_mbuf *mbuf);
