// SPDX-License-Identifier: BSD-3-Clause
// One worker lcore: what it owns, and the doors between the packet stages (stage/, table/,
// install.c) and the machinery around them (worker.c, port.c, main.c). Everything in struct worker
// is written by its own lcore only unless a member says otherwise.
#pragma once

#include "dataplane/api/messages.h"
#include "dataplane/burst.h"
#include "dataplane/stats.h"

#include <stdbool.h>
#include <stdint.h>

struct rte_mbuf;
struct rte_mempool;
struct rte_ring;
struct mappings;     // table/mappings.h: this worker's allocations, permissions, channels
struct relay_ports;  // table/relay_ports.h: shared, port -> owner
struct next_hops;    // table/next_hops.h: shared, main writes
struct client_index; // table/client_index.h: shared, client -> owner
struct guard;        // stage/guard.h: this worker's budgets
struct guard_rules;  // guard_rules.h: shared, main writes
struct leases;       // table/leases.h: shared, main writes
struct handles;      // table/handles.h: shared
struct native_settings;

enum {
	WORKERS_MAX = 64,
	PORTS_MAX = 16,
};

// What all workers know of the node's addresses. There are two: main fills the one that no worker
// uses, and each worker turns to it between two bursts (settings.h). Only the relayed ports and
// channel_last ever differ.
struct node_addresses {
	struct net_address listen[16];
	unsigned listen_count;
	uint16_t port, alternate_port; // host order
	uint16_t relay_first, relay_last;
	uint16_t channel_last;    // highest channel number served
	bool behaviour_discovery; // RFC 5780: two addresses of a family
};

struct worker {
	uint16_t id;
	uint16_t core;
	const struct node_addresses *addresses; // worker: rw, main: rw before it runs
	struct mappings *mappings;
	struct relay_ports *relay_ports;
	struct next_hops *next_hops;
	struct client_index *client_index; // shared; NULL: one worker
	struct guard *guard;
	struct guard_rules *guard_rules;      // main: rw, workers: ro; NULL: none
	struct leases *leases;                // shared
	struct handles *handles;              // shared
	const struct native_settings *native; // worker: rw, main: rw before it runs
	struct rte_mempool *pool;
	struct stats stats;                   // worker: rw, main: ro
	bool port_checksums_whole[PORTS_MAX]; // nobody behind it leaves UDP checksums to
					      // somebody else's offload
	bool port_has_kernel[PORTS_MAX];      // true: the kernel sees this port's other packets by
					      // itself (AF_XDP, AF_PACKET), so what is not ours is
					      // dropped here
	struct worker_machine *machine;       // worker.c's own: queues, rings, buffers
};

// ---- doors out of the stages; worker.c implements them, unit tests fake them. Each takes
// ownership of the mbuf. ----

// Finished frames for one port, in order. Buffered; flushed at the end of the loop.
void worker_transmit(struct worker *worker, struct rte_mbuf **mbufs, unsigned count, uint16_t port);
// UDP payload to the control plane. The worker has found `context` (allocation_id 0: none). The
// mbuf still holds the whole frame; headers describe it.
void worker_punt(struct worker *worker, struct rte_mbuf *mbuf, const struct headers *headers,
	uint16_t port, const struct api_allocation_context *context);
// The same of a native message. source, destination, worker, port and length are filled in here.
void worker_punt_native(struct worker *worker, struct rte_mbuf *mbuf, const struct headers *headers,
	uint16_t port, const struct api_native_punt *punt);
// A whole frame to the kernel, by the port's exception TAP; dropped and counted when the port has
// none.
void worker_to_kernel(struct worker *worker, struct rte_mbuf *mbuf, uint16_t port);
// To the worker that owns the mapping. The frame is as received (a hairpinned packet: rewritten as
// if the peer had sent it).
void worker_hand_off(struct worker *worker, uint16_t owner, struct rte_mbuf *mbuf, uint16_t port);
// Asks the control plane to have the kernel resolve a neighbour; rate limited by the caller.
void worker_want_neighbour(struct worker *worker, const struct api_neighbour_wanted *wanted);
// Tells the control plane that an allocation ended by itself.
void worker_expired(struct worker *worker, uint64_t allocation_id);
// Counts and frees.
void worker_drop(struct worker *worker, struct rte_mbuf *mbuf, enum stats_drop reason);

// ---- doors into the stages; pipeline.c, install.c and table/expiry.c implement them, the worker's
// loop calls them ----

// Takes a received burst through all stages; owns the mbufs.
void pipeline_run(struct worker *worker, uint16_t port, struct rte_mbuf **mbufs, uint16_t count,
	uint64_t now);
// Packets handed over by other workers (peer -> client, or client side of a mapping owned here).
void pipeline_handed(struct worker *worker, struct rte_mbuf **mbufs, uint16_t count, uint64_t now);
// Sends one datagram of ours (API_PACKET_SEND). 0 or -errno; never blocks.
int pipeline_send(struct worker *worker, const struct api_packet_send *send, const uint8_t *payload,
	uint64_t now);
// Sends one datagram of ours to all devices of an address (API_NATIVE_DELIVER). How many, or
// -errno; never blocks.
int pipeline_deliver(struct worker *worker, const struct api_native_deliver *deliver,
	const uint8_t *payload, uint64_t now);
// Retries packets held for unresolved neighbours and gives up on old ones. Bounded work; called
// once per loop turn when something is held.
void pipeline_held(struct worker *worker, uint64_t now);

// Executes an install (API_ALLOCATION_INSTALL ... API_CHANNEL_BIND) on this worker's tables. size
// was checked against type already. 0 or -errno as messages.h says.
int install_execute(
	struct worker *worker, uint32_t type, const void *payload, uint32_t size, uint64_t now);
// Turns to other addresses (settings.h), between two bursts.
void install_addresses(struct worker *worker, const struct node_addresses *addresses);
// Ends every allocation and wipes it (drain deadline). Makes no expired events. install_end_some
// does a bounded part of it, from *position (at first 0) on; true when that was the last.
void install_end_all(struct worker *worker);
bool install_end_some(struct worker *worker, uint32_t *position);
// Looks at a bounded number of entries and ends those whose time has come. Returns how many it
// ended.
unsigned expiry_scan(struct worker *worker, uint64_t now, unsigned budget);

// Creates and frees a worker's tables: room for `allocations`, and for `entries` channels and as
// many permissions; memory taken at once on `socket`. NULL when it does not fit.
struct mappings *mappings_create(unsigned allocations, unsigned entries, int socket);
void mappings_free(struct mappings *mappings);
struct mappings_usage {
	uint64_t allocations, permissions, channels, allocations_max;
};
// Any thread; a reading may be a burst old.
void mappings_usage(const struct mappings *mappings, struct mappings_usage *out);
// Walks live allocations for API_SNAPSHOT: writes up to max items from *position on, returns how
// many; the end is 0 and *position as it was. Bounded work. Owner worker only.
unsigned mappings_snapshot(const struct mappings *mappings, uint32_t *position,
	struct api_snapshot_item *items, unsigned max, uint64_t now);

struct guard *guard_create(unsigned workers, int socket);
void guard_free(struct guard *guard);

struct relay_ports *relay_ports_create(const struct node_addresses *addresses);
void relay_ports_free(struct relay_ports *ports);

// ---- routing state; main lcore calls these from the socket handlers ----

struct next_hops *next_hops_create(void);
void next_hops_free(struct next_hops *next_hops);
// What a port is called in the kernel, its DPDK id, MTU. Before workers start.
int next_hops_port(struct next_hops *next_hops, uint16_t port, const char *kernel_interface);
int next_hops_link_set(struct next_hops *next_hops, const struct api_link_set *link);
int next_hops_link_delete(struct next_hops *next_hops, uint32_t ifindex);
int next_hops_route_set(struct next_hops *next_hops, const struct api_route *route);
int next_hops_route_delete(struct next_hops *next_hops, const struct net_prefix *prefix);
int next_hops_neighbour_set(struct next_hops *next_hops, const struct api_neighbour *neighbour);
int next_hops_neighbour_delete(struct next_hops *next_hops, const struct api_neighbour *neighbour);
// A new control plane connection starts from nothing: entries not set again until next_hops_sweep
// is called are deleted by it.
void next_hops_mark(struct next_hops *next_hops);
void next_hops_sweep(struct next_hops *next_hops);
