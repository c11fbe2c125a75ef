// SPDX-License-Identifier: BSD-3-Clause
// Where a packet to an address goes: links, routes (fib.h) and neighbours, mirrored from the
// kernel.
//
// main: rw, under a write lock held for one change at a time; workers: ro. A worker asks at two
// speeds:
// - Per packet: struct next_hop of a cached index, a seqlock on one cache line that is written only
//   when that neighbour's MAC or link changes. No lock, no shared written line.
// - When nothing usable is cached: next_hops_resolve under a read-trylock. While main writes it
//   answers NEXT_HOP_BUSY; the caller goes on with what it had, or holds the packet. It never
//   waits.
// What makes a cached index usable: routes have not changed since it was found (routes_epoch), and
// the neighbour's slot has not been given to another one since (created). Epochs count changes and
// are compared as signed differences.
#pragma once

#include "dataplane/table/fib.h"
#include "dataplane/worker.h"

#include <rte_rwlock.h>

#include <stdatomic.h>

enum {
	NEXT_HOPS_NEIGHBOURS_MAX = 32768,
	NEXT_HOPS_LINKS_MAX = 256,
	NEXT_HOP_NONE = 0xFFFF,
	NEXT_HOP_HEADER_MAX = 16, // destination, source, one VLAN tag; the ethertype follows
};

// One neighbour. main: rw, workers: ro between two equal even readings of sequence.
struct next_hop {
	_Atomic uint32_t sequence;
	uint32_t created; // epoch; meaningless while not live
	uint16_t port;    // DPDK port
	uint16_t mtu;
	uint8_t header_length; // 12 or 16
	uint8_t live, up, marked;
	uint8_t header[NEXT_HOP_HEADER_MAX];
	uint32_t ifindex;
	struct net_address address;
} __attribute__((aligned(64)));
static_assert(sizeof(struct next_hop) == 64, "one cache line");

struct link {
	bool used, up, marked;
	uint32_t ifindex;
	uint16_t port; // API_NO_PORT: none of ours
	uint16_t vlan, mtu;
	uint8_t mac[6];
	char port_interface[16];
};

struct next_hops {
	// main: rw, workers: ro
	_Atomic uint32_t epoch;            // all changes
	_Atomic uint32_t routes_epoch;     // epoch of the last change of a route or link
	_Atomic uint32_t neighbours_epoch; // of the last new neighbour, link or route: held packets
	// workers: rw by trylock, main: rw
	rte_rwlock_t lock __attribute__((aligned(64)));
	// the rest: under the lock
	struct fib fib __attribute__((aligned(64)));
	struct link links[NEXT_HOPS_LINKS_MAX];
	struct {
		char kernel_interface[16];
	} ports[PORTS_MAX];
	struct next_hop *hops; // per-packet readers: without the lock
	uint32_t *free_hops;
	uint32_t free_count;
	struct flow_table by_neighbour;
};

enum next_hop_verdict {
	NEXT_HOP_FOUND,
	NEXT_HOP_UNRESOLVED, // wanted says which neighbour is missing
	NEXT_HOP_NO_ROUTE,
	NEXT_HOP_BLACKHOLE,
	NEXT_HOP_LINK_DOWN,
	NEXT_HOP_BUSY,
};

// flow: a hash of the flow, chooses among equal-cost hops. *index and *epoch are set when found.
enum next_hop_verdict next_hops_resolve(struct next_hops *next_hops,
	const struct net_address *destination, uint32_t flow, uint16_t *index, uint32_t *epoch,
	struct api_neighbour_wanted *wanted);

// A consistent copy of one neighbour's line, taken by next_hop_read.
struct next_hop_view {
	uint64_t header[NEXT_HOP_HEADER_MAX / 8]; // in words, so that it stays in registers
	uint16_t port, mtu;
	uint8_t header_length;
	uint8_t up;
};

// False: the slot is dead, was given away after `epoch`, or is being written.
static inline bool next_hop_read(const struct next_hops *next_hops, uint16_t index, uint32_t epoch,
	struct next_hop_view *out)
{
	const struct next_hop *hop = &next_hops->hops[index];
	uint32_t before = atomic_load_explicit(&hop->sequence, memory_order_acquire);
	bool usable = hop->live && (int32_t)(epoch - hop->created) >= 0;
	out->port = hop->port;
	out->mtu = hop->mtu;
	out->header_length = hop->header_length;
	out->up = hop->up;
	memcpy(out->header, hop->header, NEXT_HOP_HEADER_MAX);
	atomic_thread_fence(memory_order_acquire);
	uint32_t after = atomic_load_explicit(&hop->sequence, memory_order_relaxed);
	return usable && before == after && !(before & 1);
}

// Whether routes are still what they were at `epoch`.
static inline bool next_hops_fresh(const struct next_hops *next_hops, uint32_t epoch)
{
	uint32_t routes = atomic_load_explicit(&next_hops->routes_epoch, memory_order_acquire);
	return (int32_t)(epoch - routes) >= 0;
}
