// SPDX-License-Identifier: BSD-3-Clause
// Who owns a relayed port: a direct index per listen address, one atomic 64-bit word per port.
// workers: rw, each only the words of its own allocations (an empty word is claimed by
// compare-and-swap, so two workers cannot both win one); all workers: ro for every received packet.
// A word never changes from one live value to another, it goes through 0; a reader that saw an old
// word finds out by the generation in the allocation it names.
#pragma once

#include "dataplane/worker.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	RELAY_PORTS_SLOT_BITS = 24, // allocations per worker: fewer than 2^24
};

struct relay_port_owner {
	uint16_t worker;
	uint32_t slot;       // of the allocation in the owner's pool
	uint32_t generation; // of the allocation
};

// Port `p` of listen address `a` is words[a << 16 | p]: there is a word for every port, so that the
// range may change while allocations live. Memory that is never touched is never taken.
//
// Two ranges are relayed ports: the configured one, from which new allocations come, and an earlier
// one whose allocations have not ended yet (the same twice when there is none). One word holds
// both, so that a worker sees one state or the next and nothing between:
// first (16) | last - first (16) of the configured range, then of the earlier one, from the bottom.
struct relay_ports {
	_Atomic uint64_t ranges; // main: rw, workers: ro
	unsigned addresses;
	_Atomic uint64_t *words; // workers: rw, main: ro
	// The XDP programs' own view: a bit per port that is owned (ebpf/guard_maps.h). The
	// pointers are main's, before workers start; the bits workers: rw.
	_Atomic uint64_t *guards[PORTS_MAX];
	unsigned guard_count;
};

struct relay_range {
	uint16_t first, last; // inclusive
};

enum { RELAY_PORTS_EACH = 1 << 16 };

// Before workers start: keeps the bits at `guard` as the words are from now on. It must outlive the
// workers.
static inline void relay_ports_mirror(struct relay_ports *ports, _Atomic uint64_t *guard)
{
	ports->guards[ports->guard_count++] = guard;
}

static inline _Atomic uint64_t *relay_ports_word(
	const struct relay_ports *ports, unsigned address, uint16_t port)
{
	return &ports->words[(size_t)address * RELAY_PORTS_EACH + port];
}

// A port in neither range is somebody else's, whatever its word says.
static inline bool relay_ports_contains(
	const struct relay_ports *ports, unsigned address, uint16_t port)
{
	uint64_t r = atomic_load_explicit(&ports->ranges, memory_order_relaxed);
	bool now = (uint16_t)(port - (uint16_t)r) <= (uint16_t)(r >> 16);
	bool earlier = (uint16_t)(port - (uint16_t)(r >> 32)) <= (uint16_t)(r >> 48);
	return address < ports->addresses && (now | earlier);
}

// 1 | worker (7) | slot (24) | generation (32), from the top.
static inline uint64_t relay_ports_pack(const struct relay_port_owner *owner)
{
	return 1ull << 63 | (uint64_t)owner->worker << 56 | (uint64_t)owner->slot << 32 |
	       owner->generation;
}

// False: nobody's. address: index into node_addresses.listen; the pair must be contained.
static inline bool relay_ports_find(const struct relay_ports *ports, unsigned address,
	uint16_t port, struct relay_port_owner *out)
{
	uint64_t word =
		atomic_load_explicit(relay_ports_word(ports, address, port), memory_order_acquire);
	if (word == 0)
		return false;
	out->worker = word >> 56 & 0x7F;
	out->slot = word >> 32 & ((1u << RELAY_PORTS_SLOT_BITS) - 1);
	out->generation = (uint32_t)word;
	return true;
}

// Main lcore: which ports are relayed from now on.
void relay_ports_set(struct relay_ports *ports, const struct relay_range *now,
	const struct relay_range *earlier);
void relay_ports_ranges(
	const struct relay_ports *ports, struct relay_range *now, struct relay_range *earlier);
// Any thread. Whether a port of `range` that lies outside of `but` has an owner.
bool relay_ports_owned(const struct relay_ports *ports, const struct relay_range *range,
	const struct relay_range *but);

// 0; -EADDRINUSE; -EINVAL address or port outside of both ranges.
int relay_ports_claim(struct relay_ports *ports, unsigned address, uint16_t port,
	const struct relay_port_owner *owner);
// Clears the word if it is this owner's, whatever the ranges are by now.
void relay_ports_release(struct relay_ports *ports, unsigned address, uint16_t port,
	const struct relay_port_owner *owner);
