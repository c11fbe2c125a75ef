// SPDX-License-Identifier: BSD-3-Clause
// Words of receive queues; see wake.h.

#include "dataplane/wake.h"

#include "dataplane/descriptors.h"
#include "dataplane/memif_ring.h"

#include <rte_ethdev.h>

#include <unistd.h>

void wake_find_interrupt(struct wake *wake, uint16_t port, uint16_t queue)
{
	int fd = rte_eth_dev_rx_intr_ctl_q_get_fd(port, queue);
	// UIO has one descriptor for all that a device says, and lets nobody ask for a queue's.
	if (fd < 0 || !descriptors_is_event(fd) || rte_eth_dev_rx_intr_enable(port, queue) != 0)
		return;
	rte_eth_dev_rx_intr_disable(port, queue);
	*wake = (struct wake){.kind = WAKE_INTERRUPT, .fd = fd};
}

int wake_arm(struct wake *wake, uint16_t port, uint16_t queue)
{
	if (wake->kind == WAKE_INTERRUPT)
		rte_eth_dev_rx_intr_enable(port, queue);
	else if (wake->kind == WAKE_MEMIF)
		wake->fd = memif_ring_interrupts(port, queue, true);
	return wake->fd;
}

void wake_disarm(const struct wake *wake, uint16_t port, uint16_t queue, bool readable)
{
	uint64_t count;
	// A memif ring's word is taken by the driver, the next time it is asked for words.
	if (wake->kind == WAKE_MEMIF)
		memif_ring_interrupts(port, queue, false);
	if (wake->kind != WAKE_INTERRUPT)
		return;
	rte_eth_dev_rx_intr_disable(port, queue);
	if (readable && read(wake->fd, &count, sizeof(count)) < 0) {
		// Somebody else took it.
	}
}
