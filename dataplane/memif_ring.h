// SPDX-License-Identifier: BSD-3-Clause
// Asking the peer of a memif port to say when it sends. In the memif protocol every ring has an
// eventfd, and the receiver sets or clears a flag in the ring's header ("mask interrupts") by which
// it tells the sender whether to write to it. DPDK's driver makes the eventfds and honours the flag
// on both sides, but sets it for good when a peer connects and has no call to clear it. So the flag
// is changed here, in the driver's own ring.
//
// What has to be known of the driver for that (where a queue keeps its eventfd, and where its ring
// lies) is in no public header. The layout in memif_ring.c is that of DPDK 22.11, an ABI that does
// not change within the release; memif_ring_known refuses any other, and then the worker naps.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct rte_mempool;

// Is the receive queue laid out as known here? Main lcore, after the port was started
// with `pool`.
bool memif_ring_known(uint16_t port, uint16_t queue, const struct rte_mempool *pool);

// Tells the peer whether to say when it sends into this receive queue. Returns the eventfd; -1: no
// peer is connected. The queue's worker.
//
// The peer's driver looks at the flag right after it has moved the ring's head, without a fence
// between the two, so a packet may be moved in by a peer that still saw the old flag. It is in the
// ring when the sender's store buffer is drained, which is long before some turns of the worker
// are over: look at the queue a few times before sleeping.
int memif_ring_interrupts(uint16_t port, uint16_t queue, bool wanted);
