// SPDX-License-Identifier: BSD-3-Clause
// Scenarios loop and scale: cycles per packet of the worker's whole loop (worker_turn) on ring
// ports in this process, from rte_eth_rx_burst to rte_eth_tx_burst. One lcore per worker; each
// makes its own packets, outside of what is timed, from mappings in random order, and gives the
// worker one full burst a turn. With two workers both run at the same time, and share what workers
// share: relayed ports, routes, the packet pool.
#include "dataplane/dataplane.h"
#include "dataplane/machine.h"
#include "perf/world/mapping_world.h"

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 160, POOL = 8191, WARM = 64 };

struct lane {
	struct mapping_world *world;
	struct rte_mempool *pool;
	struct worker *worker;
	struct rte_ring *in, *out;
	unsigned rounds;
	double cycles; // median per packet
	_Atomic unsigned *ready;
	unsigned lanes;
};

static void fail(const char *what)
{
	fprintf(stderr, "loop: %s\n", what);
	exit(1);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

// A port for each lane, with DPDK's number that the world's routes know. Not two queues of one: the
// ring driver counts packets of neighbouring queues in one cache line.
static void open_port(struct lane *lane, uint16_t port, struct rte_mempool *pool)
{
	char name[32];
	struct rte_eth_conf configuration = {0};
	snprintf(name, sizeof(name), "in%u", port);
	lane->in = rte_ring_create(name, 1024, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	snprintf(name, sizeof(name), "out%u", port);
	lane->out = rte_ring_create(name, 1024, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	snprintf(name, sizeof(name), "wire%u", port);
	if (lane->in == NULL || lane->out == NULL ||
		rte_eth_from_rings(name, &lane->in, 1, &lane->out, 1, 0) != port ||
		rte_eth_dev_configure(port, 1, 1, &configuration) ||
		rte_eth_rx_queue_setup(port, 0, 1024, 0, NULL, pool) ||
		rte_eth_tx_queue_setup(port, 0, 1024, 0, NULL) || rte_eth_dev_start(port))
		fail("no ring port");
}

// Every mapping once each way first: a first packet finds its next hop, later ones know it.
static void burst_make(struct lane *lane, struct rte_mbuf **mbufs, uint64_t *random, uint64_t *next)
{
	const struct mapping_world *world = lane->world;
	for (unsigned i = 0; i < BURST_MAX; i++) {
		uint64_t at = *next < 2ull * world->mappings ? (*next)++ : random_next(random);
		world_frame(world, lane->worker->id, (uint32_t)(at % world->mappings),
			at / world->mappings & 1 ? WORLD_PEER_TO_CLIENT : WORLD_CLIENT_TO_PEER,
			SIZE, mbufs[i]);
	}
}

static int lane_run(void *argument)
{
	struct lane *lane = argument;
	struct worker *worker = lane->worker;
	struct rte_mbuf *mbufs[BURST_MAX];
	double *cycles = calloc(lane->rounds, sizeof(*cycles));
	uint64_t random = 88172645463325252u + worker->id, next = 0, next_expiry = UINT64_MAX;
	unsigned warm = 2 * lane->world->mappings / BURST_MAX + WARM;
	if (cycles == NULL || rte_pktmbuf_alloc_bulk(lane->pool, mbufs, BURST_MAX))
		fail("no memory");
	atomic_fetch_add(lane->ready, 1);
	while (atomic_load(lane->ready) < lane->lanes)
		rte_pause();
	for (unsigned r = 0; r < warm + lane->rounds; r++) {
		burst_make(lane, mbufs, &random, &next);
		if (rte_ring_sp_enqueue_bulk(lane->in, (void **)mbufs, BURST_MAX, NULL) == 0)
			fail("the port's ring is full");
		uint64_t start = rte_rdtsc_precise();
		// Deadlines are on the world's clock, which the flood rule has run ahead.
		worker_turn(worker, lane->world->now, &next_expiry);
		uint64_t end = rte_rdtsc_precise();
		if (rte_ring_sc_dequeue_bulk(lane->out, (void **)mbufs, BURST_MAX, NULL) == 0)
			fail("a packet was lost");
		if (r >= warm)
			cycles[r - warm] = (double)(end - start) / BURST_MAX;
	}
	rte_pktmbuf_free_bulk(mbufs, BURST_MAX);
	qsort(cycles, lane->rounds, sizeof(*cycles), compare);
	lane->cycles = cycles[lane->rounds / 2];
	free(cycles);
	return 0;
}

int main(int argc, char **argv)
{
	static struct mapping_world world;
	static struct lane lanes[WORLD_WORKERS_MAX];
	static struct dataplane dataplane;
	_Atomic unsigned ready = 0;
	int used = rte_eal_init(argc, argv);
	if (used < 0)
		return 1;
	argc -= used;
	argv += used;
	if (argc != 4) {
		fprintf(stderr, "usage: loop [EAL OPTIONS] -- WORKERS MAPPINGS ROUNDS\n");
		return 2;
	}
	unsigned workers = (unsigned)strtoul(argv[1], NULL, 10);
	uint32_t mappings = (uint32_t)strtoul(argv[2], NULL, 10);
	unsigned rounds = (unsigned)strtoul(argv[3], NULL, 10);
	if (workers == 0 || workers > WORLD_WORKERS_MAX || workers > rte_lcore_count() ||
		mappings == 0 || rounds == 0)
		fail("expected 1 or 2 workers with an lcore each, and mappings and rounds");
	struct rte_mempool *pool = rte_pktmbuf_pool_create("packets", POOL, 256,
		PACKET_PRIVATE_SIZE, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (pool == NULL)
		fail("no packet buffers");
	world_open(&world, workers, mappings, pool);
	dataplane.worker_count = workers;
	dataplane.doorbell.fd = -1;
	unsigned lcore = rte_get_main_lcore();
	for (unsigned w = 0; w < workers; w++) {
		struct lane *lane = &lanes[w];
		lane->world = &world;
		lane->pool = pool;
		lane->worker = world.workers[w];
		lane->rounds = rounds;
		lane->ready = &ready;
		lane->lanes = workers;
		open_port(lane, (uint16_t)w, pool);
		dataplane.workers[w] = lane->worker;
		struct worker_machine *machine = machine_create(&dataplane);
		if (machine == NULL)
			fail("no memory for a worker");
		machine->queue_count = 1;
		machine->queues[0] = (struct machine_queue){.port = (uint16_t)w};
		machine->port_count = (uint16_t)workers;
		machine->transmit[w].own = true;
		lane->worker->machine = machine;
	}
	for (unsigned w = 1; w < workers; w++) {
		lcore = rte_get_next_lcore(lcore, 1, 0);
		if (rte_eal_remote_launch(lane_run, &lanes[w], lcore))
			fail("no lcore");
	}
	lane_run(&lanes[0]);
	rte_eal_mp_wait_lcore();
	double rate = 0;
	for (unsigned w = 0; w < workers; w++)
		rate += (double)rte_get_tsc_hz() / lanes[w].cycles;
	printf("{\"workers\":%u,\"mappings\":%u,\"cycles\":%.1f,\"rate\":%.0f}\n", workers,
		mappings, lanes[0].cycles, rate);
	for (unsigned w = 0; w < workers; w++) {
		machine_free(lanes[w].worker->machine);
		lanes[w].worker->machine = NULL;
		rte_eth_dev_stop((uint16_t)w);
	}
	world_close(&world);
	rte_eal_cleanup();
	return 0;
}
