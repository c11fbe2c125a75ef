// SPDX-License-Identifier: BSD-3-Clause
// The frames of an AF_XDP socket that no mempool holds: those that wait in its fill ring for the
// kernel to receive into. They are mbufs that were freed a moment before and carry what was in
// them. The driver keeps its rings to itself, but they are mappings of the socket, so they can be
// found: the socket by its address family, the mappings by the socket's inode in /proc/self/maps,
// their layout by XDP_MMAP_OFFSETS.
//
// When may a frame in the fill ring be overwritten? The kernel takes frames in ring order and
// publishes how far it is (consumer) at the latest after one NAPI poll of 64 packets. A frame
// UMEM_DISTANCE or more behind the published consumer cannot be taken while we zero it, and the
// driver adds frames about 2000 behind it, so nearly all are cleaned far away. Only when more than
// that many packets came without one idle turn are dirty frames left near the consumer. These are
// zeroed after a second of silence, farthest first; a packet arriving in the very frame being
// zeroed would be damaged, which is a window of some 50 ns after that second.
//
// Set-up: main lcore. umem_launder: the worker that owns the queue.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct rte_mempool;

enum {
	UMEM_DISTANCE = 256,
	UMEM_BATCH = 32,
};

struct umem {
	struct rte_mempool *pool;
	uint8_t *base;            // addresses in the ring count from here
	const uint32_t *consumer; // kernel: rw
	const uint32_t *producer; // driver: rw
	const uint64_t *addresses;
	uint32_t mask;   // entries - 1; 0: not there
	uint32_t cursor; // next entry to clean
	uint32_t near;   // entries before this index were passed over dirty
};

// Finds the fill ring of an AF_XDP socket whose frames are pool's mbufs. Leaves *umem absent (mask
// 0) and returns -ENOENT when it cannot be found.
int umem_find(struct umem *umem, int socket, struct rte_mempool *pool);

// Cleans up to UMEM_BATCH frames; returns how many. silent: no packet came for a second.
unsigned umem_launder(struct umem *umem, bool silent);
