// SPDX-License-Identifier: BSD-3-Clause
// What relay.c and relay_turn.c share.
#pragma once

#include "tests/sim/relay.h"

#include "dataplane/connection.h"
#include "dataplane/dataplane.h"
#include "tests/sim/dice.h"

enum { RELAY_WORKERS = 2 };

struct relay {
	const struct config *config;
	struct dice dice, entropy;
	struct rte_mempool *pool;
	bool up;
	struct dataplane *dataplane;
	struct api_server server;
	struct connection *connection;
	uint64_t last_serial;                                        // over all starts
	uint64_t drops[STATS_DROP_COUNT], events[STATS_EVENT_COUNT]; // of earlier starts
};

extern struct relay relay;

// Turns are taken from here on, until relay.up is false or another instance runs.
void relay_turn_begin(void);
// What waits for a turn is lost.
void relay_turn_forget(void);
void relay_turn_close(void);
