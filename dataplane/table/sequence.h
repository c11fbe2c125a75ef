// SPDX-License-Identifier: BSD-3-Clause
// The sequence of a cache line that more than one lcore may write: even, nobody does; odd, the one
// who made it odd. Readers copy between two equal even readings (next_hops.h has the pattern).
// Nobody holds a line for longer than it takes to write two of them, unless his core is taken away:
// workers try for a while and give up, main waits.
#pragma once

#include <rte_pause.h>

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

// Takes the line if its sequence is still `seen` (even).
static inline bool sequence_take_at(_Atomic uint32_t *sequence, uint32_t seen)
{
	if ((seen & 1) || !atomic_compare_exchange_strong_explicit(sequence, &seen, seen + 1,
				  memory_order_acquire, memory_order_relaxed))
		return false;
	// What is written now is seen by nobody who does not see the odd sequence.
	atomic_thread_fence(memory_order_release);
	return true;
}

// Worker. False: given up.
static inline bool sequence_try(_Atomic uint32_t *sequence, unsigned tries)
{
	while (tries-- > 0) {
		if (sequence_take_at(
			    sequence, atomic_load_explicit(sequence, memory_order_relaxed)))
			return true;
		rte_pause();
	}
	return false;
}

// Main.
static inline void sequence_wait(_Atomic uint32_t *sequence)
{
	while (!sequence_try(sequence, 1000))
		sched_yield();
}

static inline void sequence_give(_Atomic uint32_t *sequence)
{
	uint32_t odd = atomic_load_explicit(sequence, memory_order_relaxed);
	atomic_store_explicit(sequence, odd + 1, memory_order_release);
}
