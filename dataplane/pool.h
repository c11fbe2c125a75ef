// SPDX-License-Identifier: BSD-3-Clause
// The packet buffer pool. Main lcore, at start.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct rte_mempool;

enum { POOL_CACHE = 256 }; // buffers that an lcore may keep for itself

// `count` buffers of `room` bytes (headroom included) side by side in one piece, first in first
// out. physical: buffers must lie in physically contiguous memory (a PCI port). Without it objects
// follow each other without a gap, which AF_XDP needs: its driver registers count times the
// object's size with the kernel, so where the allocator leaves a gap before each page the last
// buffers could be received into but not sent from. 0 and *out, -ENOMEM, or -ENOTSUP: physical, and
// there are gaps.
int pool_create(
	unsigned count, uint16_t room, bool physical, bool registered, struct rte_mempool **out);
