// SPDX-License-Identifier: BSD-3-Clause
// The interrupt flag of memif rings; see memif_ring.h.

#include "dataplane/memif_ring.h"

#include <rte_ethdev.h>
#include <rte_interrupts.h>
#include <rte_version.h>

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

// ---- the memif protocol ----

#define MEMIF_COOKIE 0x3E31F20u

enum { MASK_INTERRUPTS = 1 };

struct ring_header {
	uint32_t cookie;
	_Atomic uint16_t flags; // receiver: rw, sender: ro
	uint16_t head;
};

// ---- DPDK 22.11 ----

struct driver_queue {
	const struct rte_mempool *pool;
	void *device;
	int32_t direction;
	uint16_t region;
	uint16_t port;
	uint32_t ring_offset;
	uint16_t last_head, last_tail;
	void *buffers;
	uint64_t packets, bytes;
	const struct rte_intr_handle *interrupt;
};

struct driver_region {
	uint8_t *base;
	uint64_t size;
};

struct ethernet_data {
	char name[RTE_ETH_NAME_MAX_LEN];
	void **receive_queues;
};

struct ethernet_device {
	void *functions[6];
	const struct ethernet_data *data;
	const struct driver_region *const *regions; // the driver's process_private begins with them
	void *inner[5];
	void *receive_callbacks[];
};

static_assert(offsetof(struct driver_queue, interrupt) == 56, "as in 22.11");
static_assert(offsetof(struct ethernet_device, receive_callbacks) == 104, "as in 22.11");

static const struct driver_queue *driver_queue(uint16_t port, uint16_t queue)
{
	return rte_eth_fp_ops[port].rxq.data[queue];
}

// The one way from what inline functions use to the device.
static const struct ethernet_device *ethernet_device(uint16_t port)
{
	return (const struct ethernet_device *)((const uint8_t *)rte_eth_fp_ops[port].rxq.clbk -
						offsetof(
							struct ethernet_device, receive_callbacks));
}

bool memif_ring_known(uint16_t port, uint16_t queue, const struct rte_mempool *pool)
{
	if (RTE_VER_YEAR != 22 || RTE_VER_MONTH != 11 ||
		strncmp(rte_version(), "DPDK 22.11.", 11) != 0)
		return false;
	const struct driver_queue *known = driver_queue(port, queue);
	return ethernet_device(port)->data->receive_queues == rte_eth_fp_ops[port].rxq.data &&
	       known->pool == pool && known->port == port && known->interrupt;
}

int memif_ring_interrupts(uint16_t port, uint16_t queue, bool wanted)
{
	struct rte_eth_link link;
	const struct driver_queue *driver = driver_queue(port, queue);
	// A ring lives as long as the link is up. DPDK's interrupt thread takes it away some time
	// after it has taken the link down; the driver's own receive function lives with the same
	// margin.
	if (rte_eth_link_get_nowait(port, &link) != 0 || link.link_status != RTE_ETH_LINK_UP)
		return -1;
	const struct driver_region *region = ethernet_device(port)->regions[driver->region];
	if (!region || !region->base)
		return -1;
	struct ring_header *ring = (struct ring_header *)(region->base + driver->ring_offset);
	if (ring->cookie != MEMIF_COOKIE)
		return -1;
	atomic_store_explicit(&ring->flags, wanted ? 0 : MASK_INTERRUPTS, memory_order_relaxed);
	return rte_intr_fd_get(driver->interrupt);
}
