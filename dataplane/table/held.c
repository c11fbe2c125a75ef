// SPDX-License-Identifier: BSD-3-Clause
// Places for packets that wait for a neighbour, see held.h. Owner worker.
#include "dataplane/table/held.h"

#include "dataplane/table/mappings.h"
#include "dataplane/table/memory.h"

#include <rte_mbuf.h>

enum { HELD_MS = 1000 };

struct held_packets *held_create(int socket)
{
	return table_memory_take(1, sizeof(struct held_packets), socket);
}

void held_free(struct held_packets *held)
{
	if (held == NULL)
		return;
	for (unsigned i = 0; i < HELD_NEIGHBOURS; i++)
		rte_pktmbuf_free_bulk(held->neighbours[i].mbufs, held->neighbours[i].count);
	table_memory_give(held, 1, sizeof(*held));
}

static struct held_neighbour *place_for(
	struct held_packets *held, const struct api_neighbour_wanted *wanted)
{
	struct held_neighbour *free_place = NULL;
	for (unsigned i = 0; i < HELD_NEIGHBOURS; i++) {
		struct held_neighbour *place = &held->neighbours[i];
		if (place->wanted.ifindex == wanted->ifindex &&
			net_address_equal(&place->wanted.address, &wanted->address))
			return place;
		if (place->wanted.ifindex == 0 && free_place == NULL)
			free_place = place;
	}
	return free_place;
}

void held_add(struct worker *worker, const struct api_neighbour_wanted *wanted, uint32_t flow,
	struct rte_mbuf *mbuf, uint64_t now)
{
	struct held_packets *held = worker->mappings->held;
	struct held_neighbour *place = place_for(held, wanted);
	if (place == NULL) {
		if (mbuf != NULL)
			worker_drop(worker, mbuf, DROP_neighbour_unresolved);
		return;
	}
	if (place->wanted.ifindex == 0) {
		place->wanted = *wanted;
		place->deadline = ticks_deadline(now, HELD_MS, worker->mappings->hz);
		held->used++;
		if (wanted->ifindex != HELD_ANY_NEIGHBOUR)
			worker_want_neighbour(worker, wanted);
	}
	if (mbuf == NULL)
		return;
	if (place->count == HELD_PER_NEIGHBOUR) {
		worker_drop(worker, mbuf, DROP_neighbour_unresolved);
		return;
	}
	place->flow = flow;
	place->mbufs[place->count++] = mbuf;
	worker->stats.event[EVENT_neighbour_held]++;
}
