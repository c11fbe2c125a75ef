// SPDX-License-Identifier: BSD-3-Clause
// The machinery of one worker lcore: which queues it polls, its transmit buffers, and the rings
// that tie it to the other workers and to the main lcore. Every ring has one producer and one
// consumer; the comment beside it says which.
//
//    worker A --handed_out[B]--> worker B            frames of B's mappings, frames for B's queues
//    worker   --punts----------> main                STUN messages for the control plane
//    worker   --kernel---------> main                frames for an exception TAP
//    worker   --events---------> main                expiries, wanted neighbours
//    main     --from_main------> worker              frames the kernel sent out of a TAP
//    main     <-lane.to_main, lane.to_worker-> worker commands (command.h)
#pragma once

#include "dataplane/burst.h"
#include "dataplane/command.h"
#include "dataplane/doorbell.h"
#include "dataplane/event_ring.h"
#include "dataplane/launder.h"
#include "dataplane/packet_ring.h"
#include "dataplane/rest.h"
#include "dataplane/umem.h"
#include "dataplane/wake.h"
#include "dataplane/worker.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct dataplane;
struct handoff; // steering/handoff.h
struct rte_ring;

enum {
	MACHINE_QUEUES_MAX = PORTS_MAX * 4,
	MACHINE_PUNT_RING = 512,
	MACHINE_KERNEL_RING = 512,
	MACHINE_FROM_MAIN_RING = 256,
};

struct machine_queue {
	uint16_t port;
	uint16_t queue;
	bool vlan_reported; // the driver strips VLAN tags: put them back into the frame
	struct wake wake;
	struct umem umem;               // the AF_XDP socket's rings; absent for other drivers
	struct packet_ring packet_ring; // the AF_PACKET socket's
};

struct machine_transmit {
	bool own; // `queue` is ours; otherwise `owner` transmits for us
	uint16_t queue;
	uint16_t owner;
	uint16_t count;
	struct rte_mbuf *mbufs[BURST_MAX];
};

struct worker_machine {
	struct dataplane *dataplane;
	unsigned queue_count;
	struct machine_queue queues[MACHINE_QUEUES_MAX];
	struct machine_transmit transmit[PORTS_MAX];
	uint16_t port_count;

	struct handoff *handed_out[WORKERS_MAX]; // this worker produces; NULL for itself
	struct rte_ring *handed_in[WORKERS_MAX]; // this worker consumes
	struct rte_ring *punts;                  // worker produces, main consumes
	struct rte_ring *kernel;                 // worker produces, main consumes
	struct rte_ring *from_main;              // main produces, worker consumes
	struct event_ring events;                // worker produces, main consumes
	struct command_lane lane;
	bool ring_doorbell; // something for main was queued in this turn
	struct rest rest;

	struct launder launder;

	// worker: rw, main: ro
	uint64_t busy_cycles, idle_cycles;
	uint64_t received, transmitted, handed_in_count, handed_out_count;
};

// Allocates a machine and its rings (handed_out and handed_in are steering/queues.c's). NULL: no
// memory.
struct worker_machine *machine_create(struct dataplane *dataplane);
// Frees it and every mbuf still in its rings.
void machine_free(struct worker_machine *machine);
// Room for `count` pointers (a power of two), one producer, one consumer. NULL: no memory.
struct rte_ring *machine_ring_create(const char *name, unsigned count);
void machine_ring_free(struct rte_ring *ring);

// Sends what worker_transmit has buffered; drops and counts what does not fit.
void machine_flush(struct worker *worker);
void machine_flush_port(struct worker *worker, uint16_t port);

// A turn had work: no rest.
static inline void machine_disturb(struct worker_machine *machine)
{
	machine->rest.empty_turns = 0;
	if (machine->rest.announced)
		rest_wake(machine);
}

// One turn of the loop: receives, relays, takes in, executes, expires, transmits. now: TSC;
// *next_expiry is the turn's own. How many packets and commands there were. Worker's lcore.
unsigned worker_turn(struct worker *worker, uint64_t now, uint64_t *next_expiry);

// The lcore's loop (rte_eal_remote_launch): runs until dataplane->stop.
int worker_run(void *worker);
