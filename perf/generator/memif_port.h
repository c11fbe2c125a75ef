// SPDX-License-Identifier: BSD-3-Clause
// A memif port of the generator: several queue pairs, one lcore, and buffers that cost little.
//
// Frames to send come from a pool of their own. Whoever fills a buffer writes the first
// MEMIF_PORT_WRITTEN bytes or more and leaves zeros behind; so whatever is sent next from the same
// buffer needs no more than that written. Nothing but what is said here touches a sent buffer, so
// buffers are taken and given back without being set up anew.
#pragma once

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <stdbool.h>
#include <stdint.h>

enum {
	MEMIF_PORT_BURST = 64,
	MEMIF_PORT_WRITTEN = 64,
	MEMIF_PORT_RING = 1024, // what the relay's memif ports have
	MEMIF_PORT_QUEUES_MAX = 16,
};

struct memif_port_options {
	const char *socket; // path
	unsigned id, queues, core;
	bool server;
	bool zero_copy;  // client only: the peer reads and writes our buffers
	unsigned memory; // MiB of hugepages; 0: ordinary memory
};

struct memif_port {
	uint16_t id, queues;
	struct rte_mempool *transmit_pool, *receive_pool;
};

// Starts DPDK and the port, waits until the peer is connected. 0, or a negative errno with *what
// set to what failed.
int memif_port_open(
	struct memif_port *port, const struct memif_port_options *options, const char **what);
void memif_port_close(struct memif_port *port);

// Sends one frame of any length, now; for set-up. false: no room.
bool memif_port_send(
	struct memif_port *port, uint16_t queue, const uint8_t *frame, uint16_t length);

// Buffers of sent and received frames go back in one piece: single segments, one reference.
static inline void memif_port_free(struct rte_mempool *pool, struct rte_mbuf **mbufs, unsigned n)
{
	rte_mempool_put_bulk(pool, (void **)mbufs, n);
}
