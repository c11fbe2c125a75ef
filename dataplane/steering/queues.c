// SPDX-License-Identifier: BSD-3-Clause
// Queues to workers.
//
// A port with as many queues as workers gives each worker its own, so RSS spreads the load and
// every worker transmits by itself. Ports with fewer (an AF_XDP port on veth has one) are dealt out
// round-robin over all ports, so that two such ports keep two workers busy. A worker without a
// queue on a port hands its finished frames to one that has: a queue has one thread, always.

#include "dataplane/steering/queues.h"

#include "dataplane/dataplane.h"
#include "dataplane/steering/handoff.h"

#include <rte_ring.h>

#include <assert.h>
#include <errno.h>

static int add_queue(struct worker_machine *machine, const struct port *port, uint16_t queue)
{
	if (machine->queue_count == MACHINE_QUEUES_MAX)
		return -ENOSPC;
	struct machine_queue *entry = &machine->queues[machine->queue_count++];
	entry->port = port->id;
	entry->queue = queue;
	entry->vlan_reported = port->vlan_reported;
	entry->umem = port->umem[queue];
	entry->packet_ring = port->packet_ring[queue];
	entry->wake = port->wake[queue];
	struct machine_transmit *transmit = &machine->transmit[port->id];
	if (!transmit->own) {
		transmit->own = true;
		transmit->queue = queue;
	}
	return 0;
}

static int deal_queues(struct dataplane *dataplane)
{
	unsigned next = 0;
	assert(dataplane->worker_count > 0); // the configuration's least is 1
	for (unsigned p = 0; p < dataplane->port_count; p++) {
		struct port *port = &dataplane->ports[p];
		bool each_one = port->queues == dataplane->worker_count;
		for (uint16_t q = 0; q < port->queues; q++) {
			uint16_t owner =
				(uint16_t)(each_one ? q : next++ % dataplane->worker_count);
			port->queue_owner[q] = owner;
			if (add_queue(dataplane->workers[owner]->machine, port, q) != 0)
				return -ENOSPC;
		}
	}
	return 0;
}

static void lend_queues(struct dataplane *dataplane)
{
	for (unsigned w = 0; w < dataplane->worker_count; w++) {
		struct worker_machine *machine = dataplane->workers[w]->machine;
		machine->port_count = (uint16_t)dataplane->port_count;
		for (unsigned p = 0; p < dataplane->port_count; p++) {
			const struct port *port = &dataplane->ports[p];
			struct machine_transmit *transmit = &machine->transmit[port->id];
			assert(port->queues > 0);
			if (!transmit->own)
				transmit->owner = port->queue_owner[w % port->queues];
		}
	}
}

static int make_rings(struct dataplane *dataplane)
{
	for (unsigned from = 0; from < dataplane->worker_count; from++)
		for (unsigned to = 0; to < dataplane->worker_count; to++) {
			if (from == to)
				continue;
			struct handoff *handoff = handoff_create();
			if (!handoff)
				return -ENOMEM;
			dataplane->workers[from]->machine->handed_out[to] = handoff;
			dataplane->workers[to]->machine->handed_in[from] = handoff->ring;
		}
	return 0;
}

int queues_arrange(struct dataplane *dataplane)
{
	bool may_nap = dataplane->config->dataplane.idle == CONFIG_IDLE_SLEEP;
	int result = deal_queues(dataplane);
	if (result == 0)
		lend_queues(dataplane);
	if (result == 0)
		result = make_rings(dataplane);
	for (unsigned w = 0; result == 0 && w < dataplane->worker_count; w++)
		result = rest_arrange(dataplane->workers[w]->machine, may_nap);
	return result;
}
