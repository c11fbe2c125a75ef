// SPDX-License-Identifier: BSD-3-Clause
// Zeroing free packet buffers; see launder.h.

#include "dataplane/launder.h"

#include "dataplane/machine.h"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <string.h>

// When the walks after the last packet begin.
static const unsigned walk_after_ms[LAUNDER_WALKS] = {1, 100, 1001};

void launder_mbuf(struct rte_mbuf *mbuf)
{
	memset(rte_mbuf_to_priv(mbuf), 0, rte_pktmbuf_priv_size(mbuf->pool));
	memset(mbuf->buf_addr, 0, mbuf->buf_len);
}

void launder_data(struct rte_mbuf *mbuf)
{
	memset(rte_mbuf_to_priv(mbuf), 0, rte_pktmbuf_priv_size(mbuf->pool));
	memset(rte_pktmbuf_mtod(mbuf, void *), 0, rte_pktmbuf_data_len(mbuf));
}

// Not inlined: its array must lie where the callees of the caller had their frames.
__attribute__((noinline)) void launder_stack(void)
{
	uint8_t used[LAUNDER_STACK];
	explicit_bzero(used, sizeof(used));
}

static void reclaim(struct worker *worker)
{
	struct worker_machine *machine = worker->machine;
	// Sending nothing makes the AF_XDP driver collect what the kernel has finished with; other
	// drivers have a call for it, or free at once.
	for (uint16_t port = 0; port < machine->port_count; port++)
		if (machine->transmit[port].own) {
			(void)rte_eth_tx_burst(port, machine->transmit[port].queue, NULL, 0);
			(void)rte_eth_tx_done_cleanup(port, machine->transmit[port].queue, 0);
		}
	struct rte_mempool_cache *cache = rte_mempool_default_cache(worker->pool, rte_lcore_id());
	if (cache)
		rte_mempool_cache_flush(cache, worker->pool);
}

static void pool_batch(struct worker *worker, struct launder *launder)
{
	void *mbufs[LAUNDER_BATCH];
	unsigned count = launder->left < LAUNDER_BATCH ? launder->left : LAUNDER_BATCH;
	if (rte_mempool_generic_get(worker->pool, mbufs, count, NULL) != 0) {
		launder->left = 0;
		return;
	}
	for (unsigned i = 0; i < count; i++)
		launder_mbuf(mbufs[i]);
	rte_mempool_generic_put(worker->pool, mbufs, count, NULL);
	launder->left -= count;
	worker->stats.event[EVENT_laundered_buffers] += count;
}

static void begin_walk(struct worker *worker, struct launder *launder)
{
	launder->walks++;
	reclaim(worker);
	launder->left = rte_mempool_avail_count(worker->pool);
	launder_stack();
	for (unsigned i = 0; i < worker->machine->queue_count; i++)
		packet_ring_begin(&worker->machine->queues[i].packet_ring);
}

void launder_idle(struct worker *worker, uint64_t now)
{
	struct worker_machine *machine = worker->machine;
	struct launder *launder = &machine->launder;
	uint64_t hz = rte_get_tsc_hz(), *count = &worker->stats.event[EVENT_laundered_buffers];
	bool silent = now - launder->last_packet > hz;
	if (now < launder->next_frames)
		return;
	launder->next_frames = now + hz / 1000000 * LAUNDER_FRAMES_US;
	for (unsigned i = 0; i < machine->queue_count; i++)
		*count += umem_launder(&machine->queues[i].umem, silent);
	if (now < launder->next)
		return;
	launder->next = now + hz / 1000000 * LAUNDER_INTERVAL_US;
	if (launder->left == 0 && launder->walks < LAUNDER_WALKS &&
		now - launder->last_packet >= hz / 1000 * walk_after_ms[launder->walks])
		begin_walk(worker, launder);
	for (unsigned i = 0; launder->walks && i < machine->queue_count; i++)
		*count += packet_ring_launder(&machine->queues[i].packet_ring, silent);
	if (launder->left)
		pool_batch(worker, launder);
}
