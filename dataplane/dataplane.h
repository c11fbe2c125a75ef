// SPDX-License-Identifier: BSD-3-Clause
// The whole dataplane of one process, as the main lcore sees it: what was configured, the ports,
// the workers, the tables they share, and the few facts that outlive a control plane connection
// (instance, tag key, drain). Made once before the workers start and only read after that, unless a
// member says otherwise.
#pragma once

#include "dataplane/machine.h"
#include "dataplane/native_requests.h"
#include "dataplane/port.h"
#include "dataplane/stage/guard.h"
#include "dataplane/steering/homes.h"
#include "dataplane/worker.h"
#include "lib/config/config.h"

#include <stdbool.h>
#include <stdint.h>

struct eal;

enum { DATAPLANE_ERROR_SIZE = 1024 };

// main: rw
struct drain {
	bool on;
	bool ended; // the deadline has come and the workers were told to end all
	bool has_deadline;
	uint64_t deadline_ms; // dataplane_now_ms clock
};

// What may change while the workers run (settings.h). main: rw
struct settings {
	// The workers use slots[current]; the other one is written only while pending is 0, when
	// every worker has said that it uses the current one.
	struct node_addresses slots[2];
	unsigned current;
	unsigned pending;    // workers that have not yet said so
	bool may_rest;       // idle = sleep
	uint64_t changed_ms; // when the range did; 0: no earlier range. dataplane_now_ms clock
	uint64_t looked_ms;  // at who still has a port of the earlier range
};

struct dataplane {
	const struct config *config; // as at start
	struct settings settings;
	struct rte_mempool *pool;
	struct relay_ports *relay_ports;
	struct next_hops *next_hops;          // main: rw, workers: ro
	struct client_index *client_index;    // workers: rw; NULL: one worker
	struct guard_rules *guard_rules;      // main: rw, workers: ro
	struct leases *leases;                // main: rw, workers: ro but for next hops
	struct handles *handles;              // main, workers: rw
	struct native native;                 // main: rw
	struct api_guard_limits guard_limits; // main: rw

	struct steering_homes homes[2]; // [0] IPv4, [1] IPv6

	struct port ports[PORTS_MAX]; // index: DPDK port id
	unsigned port_count;
	struct worker *workers[WORKERS_MAX];
	unsigned worker_count;
	unsigned lcores[WORKERS_MAX]; // EAL's lcore id of each worker
	bool launched;

	uint64_t instance;   // random per start
	uint8_t tag_key[16]; // random per start: quota tags
	uint8_t secret[32];  // random per start: the control plane's, kept for it
	uint64_t started_ms;
	bool hugepages;
	struct drain drain; // main: rw

	struct doorbell doorbell; // workers ring it, main waits on it
	_Atomic bool stop;        // main: rw, workers: ro
};

// Makes ports, packet buffers, tables and workers, and starts the ports. *dataplane is zeroed by
// the caller, but for the doorbell. 0, or -errno and a message; dataplane_close in both cases.
int dataplane_open(struct dataplane *dataplane, const struct config *config, const struct eal *eal,
	char error[static DATAPLANE_ERROR_SIZE]);
// Starts the workers on their lcores.
int dataplane_launch(struct dataplane *dataplane, char error[static DATAPLANE_ERROR_SIZE]);
// Ends the workers and waits for them. Safe when they never ran.
void dataplane_stop(struct dataplane *dataplane);
// Takes ports down, wipes and frees tables.
void dataplane_close(struct dataplane *dataplane);

// Milliseconds of the monotonic clock, the one clock of the main lcore; and the clock of the
// workers, for the tables that it shares with them.
uint64_t dataplane_now_ms(void);
uint64_t dataplane_now_tsc(void);
// Milliseconds left until the drain deadline, UINT32_MAX when there is none.
uint32_t dataplane_drain_left(const struct dataplane *dataplane);
