// SPDX-License-Identifier: BSD-3-Clause
// Workers with N mappings in memory and no machinery: the tables, routes and addresses that the
// packet stages read, filled as the control plane would fill them, and frames of those mappings.
// One lcore, but for what a worker owns, which its own lcore may use.
//
// Mapping i is one channel: client 198.18.0.0/16 -> relay 192.0.2.1... -> peer 198.19.0.0/16,
// behind a gateway on port 0; those of the second worker are in 198.20.0.0/15, behind one on port
// 1. Everything about it is computed from i, so that making a frame
// touches no table.
#pragma once

#include "dataplane/table/mappings.h"
#include "dataplane/worker.h"

#include <stdbool.h>
#include <stdint.h>

struct rte_mbuf;
struct rte_mempool;

enum {
	WORLD_LISTEN = 16,
	WORLD_RELAY_FIRST = 49152,
	WORLD_RELAY_COUNT = 16384,
	WORLD_WORKERS_MAX = 2,
};

// The last two are client to peer with another header, native_world.h; world.native must be set.
enum world_way { WORLD_CLIENT_TO_PEER, WORLD_PEER_TO_CLIENT, WORLD_HANDLE, WORLD_ADDRESS };

struct native_world;

struct mapping_world {
	struct node_addresses addresses;
	struct next_hops *next_hops;
	struct relay_ports *relay_ports;
	struct worker *workers[WORLD_WORKERS_MAX];
	unsigned worker_count;
	uint32_t mappings; // per worker
	unsigned channels; // per allocation
	uint64_t now;      // TSC of the last install
	uint32_t *session; // worker 0: mapping -> index of its session line
	const struct native_world *native;
};

// Memory of EAL's heap. Ends the program with a message when something does not fit.
void world_open(
	struct mapping_world *world, unsigned workers, uint32_t mappings, struct rte_mempool *pool);
void world_close(struct mapping_world *world);

// Where client and peer of mapping i are.
void world_ends(const struct mapping_world *world, unsigned worker, uint32_t i,
	struct net_endpoint *client, struct net_endpoint *peer);

// Makes *mbuf the frame of mapping i of that worker with `size` application bytes (zeros).
void world_frame(const struct mapping_world *world, unsigned worker, uint32_t i, enum world_way way,
	unsigned size, struct rte_mbuf *mbuf);
