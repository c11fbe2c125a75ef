// SPDX-License-Identifier: BSD-3-Clause
// A worker's small events for the main lcore, by value: one producer (the worker), one consumer
// (main). The consumer wipes what it has read, so that no neighbour's address stays behind. A full
// ring raises `lost`, from which main makes API_RESYNC.
#pragma once

#include "dataplane/api/messages.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

enum { EVENT_RING_SIZE = 2048 }; // a power of two

struct event {
	uint32_t type; // API_EXPIRED or API_NEIGHBOUR_WANTED
	uint32_t reserved;
	union {
		struct api_expired expired;
		struct api_neighbour_wanted neighbour;
	};
};

struct event_ring {
	_Alignas(64) _Atomic uint32_t head; // producer: rw, consumer: ro
	_Alignas(64) _Atomic uint32_t tail; // consumer: rw, producer: ro
	_Alignas(64) _Atomic bool lost;     // producer sets, consumer clears
	struct event slots[EVENT_RING_SIZE];
};

static inline bool event_ring_put(struct event_ring *ring, const struct event *event)
{
	uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	if (head - atomic_load_explicit(&ring->tail, memory_order_acquire) == EVENT_RING_SIZE) {
		atomic_store_explicit(&ring->lost, true, memory_order_release);
		return false;
	}
	ring->slots[head % EVENT_RING_SIZE] = *event;
	atomic_store_explicit(&ring->head, head + 1, memory_order_release);
	return true;
}

static inline bool event_ring_empty(const struct event_ring *ring)
{
	return atomic_load_explicit(&ring->head, memory_order_acquire) ==
	       atomic_load_explicit(&ring->tail, memory_order_relaxed);
}

static inline bool event_ring_get(struct event_ring *ring, struct event *out)
{
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	if (tail == atomic_load_explicit(&ring->head, memory_order_acquire))
		return false;
	struct event *slot = &ring->slots[tail % EVENT_RING_SIZE];
	*out = *slot;
	memset(slot, 0, sizeof(*slot));
	atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
	return true;
}
