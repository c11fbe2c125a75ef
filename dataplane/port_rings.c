// SPDX-License-Identifier: BSD-3-Clause
// Ports of plain rings; see port_rings.h.

#include "dataplane/port_rings.h"

#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_ring.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	RING_SIZE = 1024,
};

static struct rte_ring *ring_make(unsigned index, const char *direction, unsigned queue)
{
	char name[32];
	snprintf(name, sizeof(name), "relay%u_%s%u", index, direction, queue);
	return rte_ring_create(name, RING_SIZE, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
}

int port_rings_make(char device[static 32], unsigned index, uint16_t queues)
{
	struct rte_ring *receive[PORT_RINGS_QUEUES_MAX], *transmit[PORT_RINGS_QUEUES_MAX];
	if (queues > PORT_RINGS_QUEUES_MAX)
		return -EINVAL;
	for (unsigned q = 0; q < queues; q++) {
		receive[q] = ring_make(index, "rx", q);
		transmit[q] = ring_make(index, "tx", q);
		if (!receive[q] || !transmit[q])
			return -ENOMEM;
	}
	char name[32];
	snprintf(name, sizeof(name), "relay%u", index);
	int port = rte_eth_from_rings(name, receive, queues, transmit, queues, 0);
	if (port < 0)
		return rte_errno > 0 ? -rte_errno : -EIO;
	snprintf(device, 32, "net_ring_relay%u", index);
	return 0;
}

void port_rings_free(const char *device)
{
	unsigned index;
	char name[32];
	if (sscanf(device, "net_ring_relay%u", &index) != 1)
		return;
	for (unsigned q = 0; q < PORT_RINGS_QUEUES_MAX; q++) {
		snprintf(name, sizeof(name), "relay%u_rx%u", index, q);
		rte_ring_free(rte_ring_lookup(name));
		snprintf(name, sizeof(name), "relay%u_tx%u", index, q);
		rte_ring_free(rte_ring_lookup(name));
	}
}
