// SPDX-License-Identifier: BSD-3-Clause
// Frames in the fill ring of an AF_XDP socket; see umem.h.

#include "dataplane/umem.h"

#include "dataplane/descriptors.h"
#include "dataplane/launder.h"

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <linux/if_xdp.h>
#include <sys/socket.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum {
	// Of an address in unaligned mode: the upper bits are an offset into the frame.
	OFFSET_SHIFT = 48,
};

int umem_find(struct umem *umem, int socket, struct rte_mempool *pool)
{
	struct xdp_mmap_offsets offsets;
	socklen_t size = sizeof(offsets);
	size_t length;
	memset(umem, 0, sizeof(*umem));
	if (getsockopt(socket, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &size) != 0 ||
		size != sizeof(offsets))
		return -ENOENT;
	uint8_t *ring = descriptors_mapping(socket, XDP_UMEM_PGOFF_FILL_RING, &length);
	if (!ring || offsets.fr.desc >= length)
		return -ENOENT;
	// A power of two of entries; less than a page is lost to rounding, and a ring of 512 or
	// more entries fills a page, so the largest that fits is the true one.
	uint32_t entries = 1;
	while (offsets.fr.desc + entries * 2 * sizeof(uint64_t) <= length)
		entries *= 2;
	struct rte_mempool_memhdr *memory = STAILQ_FIRST(&pool->mem_list);
	umem->pool = pool;
	umem->base = (uint8_t *)((uintptr_t)memory->addr & ~((uintptr_t)getpagesize() - 1));
	umem->consumer = (const uint32_t *)(ring + offsets.fr.consumer);
	umem->producer = (const uint32_t *)(ring + offsets.fr.producer);
	umem->addresses = (const uint64_t *)(ring + offsets.fr.desc);
	umem->mask = entries - 1;
	return 0;
}

static void clean(struct umem *umem, uint32_t index)
{
	uint64_t address = umem->addresses[index & umem->mask];
	address &= (1ull << OFFSET_SHIFT) - 1;
	launder_mbuf((struct rte_mbuf *)(umem->base + address + umem->pool->header_size));
}

unsigned umem_launder(struct umem *umem, bool silent)
{
	if (umem->mask == 0)
		return 0;
	uint32_t consumer = __atomic_load_n(umem->consumer, __ATOMIC_ACQUIRE);
	uint32_t producer = *umem->producer;
	unsigned count = 0;
	// Indices are free running, so distances are taken modulo 2^32.
	if ((int32_t)(umem->cursor - (consumer + UMEM_DISTANCE)) < 0) {
		umem->cursor = consumer + UMEM_DISTANCE;
		umem->near = umem->cursor;
	}
	while (count < UMEM_BATCH && (int32_t)(producer - umem->cursor) > 0) {
		clean(umem, umem->cursor++);
		count++;
	}
	if (!silent || count)
		return count;
	while (count < UMEM_BATCH && (int32_t)(umem->near - consumer) > 0 &&
		(int32_t)(producer - consumer) > 0) {
		clean(umem, --umem->near);
		count++;
	}
	return count;
}
