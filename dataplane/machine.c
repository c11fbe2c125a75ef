// SPDX-License-Identifier: BSD-3-Clause
// Making and freeing a worker's machinery; see machine.h.

#include "dataplane/machine.h"

#include "dataplane/dataplane.h"
#include "dataplane/steering/handoff.h"

#include <rte_mbuf.h>
#include <rte_ring.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct rte_ring *machine_ring_create(const char *name, unsigned count)
{
	ssize_t size = rte_ring_get_memsize(count);
	if (size < 0)
		return NULL;
	struct rte_ring *ring = aligned_alloc(
		RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL((size_t)size, (size_t)RTE_CACHE_LINE_SIZE));
	if (!ring)
		return NULL;
	if (rte_ring_init(ring, name, count, RING_F_SP_ENQ | RING_F_SC_DEQ) != 0) {
		free(ring);
		return NULL;
	}
	return ring;
}

void machine_ring_free(struct rte_ring *ring)
{
	free(ring);
}

static void drain_mbufs(struct rte_ring *ring)
{
	void *mbuf;
	while (ring && rte_ring_sc_dequeue(ring, &mbuf) == 0)
		rte_pktmbuf_free(mbuf);
}

struct worker_machine *machine_create(struct dataplane *dataplane)
{
	struct worker_machine *machine = aligned_alloc(
		RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(sizeof(*machine), (size_t)RTE_CACHE_LINE_SIZE));
	if (!machine)
		return NULL;
	memset(machine, 0, sizeof(*machine));
	machine->dataplane = dataplane;
	machine->rest.bell.fd = machine->rest.timer = -1;
	machine->punts = machine_ring_create("punts", MACHINE_PUNT_RING);
	machine->kernel = machine_ring_create("kernel", MACHINE_KERNEL_RING);
	machine->from_main = machine_ring_create("from_main", MACHINE_FROM_MAIN_RING);
	if (!machine->punts || !machine->kernel || !machine->from_main ||
		command_lane_create(&machine->lane) != 0) {
		machine_free(machine);
		return NULL;
	}
	return machine;
}

void machine_free(struct worker_machine *machine)
{
	if (!machine)
		return;
	drain_mbufs(machine->punts);
	drain_mbufs(machine->kernel);
	drain_mbufs(machine->from_main);
	machine_ring_free(machine->punts);
	machine_ring_free(machine->kernel);
	machine_ring_free(machine->from_main);
	// A ring between two workers is freed by the one that produces.
	for (unsigned i = 0; i < WORKERS_MAX; i++)
		handoff_free(machine->handed_out[i]);
	command_lane_free(&machine->lane);
	if (machine->rest.bell.fd >= 0)
		close(machine->rest.bell.fd);
	if (machine->rest.timer >= 0)
		close(machine->rest.timer);
	explicit_bzero(&machine->events, sizeof(machine->events));
	free(machine);
}
