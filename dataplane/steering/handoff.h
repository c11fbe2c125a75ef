// SPDX-License-Identifier: BSD-3-Clause
// One direction between two workers: a ring with one producer and one consumer, and what the
// producer keeps beside it so that a few heavy flows do not take it all.
//
// Packets for the other worker are gathered and enqueued a burst at a time. While the ring is less
// than half full everybody may use it. Above that a flow may hold at most 1/16 of it: eight flows
// that send as fast as they can fill their half, and the other half is for the rest. Flows are told
// apart by HANDOFF_BUCKETS buckets under a random multiplier (two flows in one bucket share).
// How many packets of a bucket are in the ring is exact: the producer remembers the bucket of every
// packet it enqueued, in order, and the ring's own consumer index tells how many of them are gone.
// So nothing is written by both sides but the ring.
//
// Thread: the producing worker, but for create and free (main, no worker running).
#pragma once

#include "dataplane/burst.h"

#include <stdbool.h>
#include <stdint.h>

struct rte_mbuf;
struct rte_ring;

enum {
	HANDOFF_RING = 1024,
	HANDOFF_CONTENDED = HANDOFF_RING / 2, // above this, shares
	HANDOFF_SHARE = HANDOFF_RING / 16,
	HANDOFF_BUCKET_BITS = 10,
	HANDOFF_BUCKETS = 1 << HANDOFF_BUCKET_BITS,
};

struct handoff {
	struct rte_ring *ring; // the other worker consumes
	uint32_t multiplier;   // random, odd
	uint32_t enqueued, released;
	uint16_t count; // waiting for the next enqueue
	struct rte_mbuf *waiting[BURST_MAX];
	uint32_t flows[BURST_MAX];
	uint16_t held[HANDOFF_BUCKETS];   // packets of a bucket in the ring
	uint16_t bucket_of[HANDOFF_RING]; // of the packets enqueued, by their number
};

// Takes what waits out of `waiting`: the first `sent` are in the ring, the next `full` found no
// room, the last `unfair` were beyond their flow's share. The last two are the caller's to drop.
struct handoff_result {
	unsigned sent, full, unfair;
};

// NULL: no memory.
struct handoff *handoff_create(void);
// Frees it and every mbuf still in the ring.
void handoff_free(struct handoff *handoff);

// Gathers one packet; true: it is the last one for which there is room, flush now.
static inline bool handoff_add(struct handoff *handoff, struct rte_mbuf *mbuf, uint32_t flow)
{
	handoff->waiting[handoff->count] = mbuf;
	handoff->flows[handoff->count] = flow;
	return ++handoff->count == BURST_MAX;
}

// Enqueues what was gathered. Afterwards nothing waits, and waiting[] holds what *result says until
// the next packet is added.
void handoff_flush(struct handoff *handoff, struct handoff_result *result);
