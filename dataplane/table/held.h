// SPDX-License-Identifier: BSD-3-Clause
// Packets that wait for a neighbour's MAC: at most 8 for one neighbour and 32 neighbours, 256
// packets in all, for at most one second. Each is a whole IP packet without Ethernet header. Also
// remembers when the control plane was asked for a neighbour, so that it is asked once a second and
// not once a packet. A client that sends to addresses nobody answers fills these places and no
// more. Owner worker; create and free: main.
#pragma once

#include "dataplane/worker.h"

enum {
	HELD_NEIGHBOURS = 32,
	HELD_PER_NEIGHBOUR = 8,
};

// In place of an interface: the routes could not be read just now, so nobody knows which neighbour.
#define HELD_ANY_NEIGHBOUR UINT32_MAX

struct held_neighbour {
	struct api_neighbour_wanted wanted; // ifindex 0: free
	uint32_t deadline;                  // tick
	uint32_t flow;
	unsigned count;
	struct rte_mbuf *mbufs[HELD_PER_NEIGHBOUR];
};

struct held_packets {
	unsigned used;        // neighbours
	uint32_t tried_epoch; // next_hops.neighbours_epoch of the last attempt
	struct held_neighbour neighbours[HELD_NEIGHBOURS];
};

struct held_packets *held_create(int socket);
// Frees the packets too.
void held_free(struct held_packets *held);
// Takes the packet (NULL: only asks for the neighbour), or drops it when there is no room.
void held_add(struct worker *worker, const struct api_neighbour_wanted *wanted, uint32_t flow,
	struct rte_mbuf *mbuf, uint64_t now);
