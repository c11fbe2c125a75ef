// SPDX-License-Identifier: BSD-3-Clause
// A port made of plain rings, for tests inside one process. The rings of the port with index I are
// called "relayI_rxQ" (a test enqueues mbufs there as if they had arrived) and "relayI_txQ" (and
// takes from there what the relay has sent); rte_ring_lookup finds them. Mbufs come from the pool
// "packets". Main lcore.
#pragma once

#include <stdint.h>

enum { PORT_RINGS_QUEUES_MAX = 16 }; // of DPDK's ring driver

// Writes the ethdev's name to device. 0 or -errno.
int port_rings_make(char device[static 32], unsigned index, uint16_t queues);
void port_rings_free(const char *device);
