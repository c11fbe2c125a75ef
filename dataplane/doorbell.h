// SPDX-License-Identifier: BSD-3-Clause
// How an lcore that sleeps is woken by another. The sleeper announces its sleep, looks at all its
// rings once more, and then waits for the eventfd. Whoever has queued something looks at the
// announcement, takes it back and writes to the eventfd. Each side makes its own step visible
// before it looks at the other's (sequentially consistent fence), so at least one of them sees the
// other; and an lcore that is awake costs the others no system call.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

struct doorbell {
	int fd;                // eventfd, not blocking
	_Atomic bool sleeping; // the sleeper sets it, whoever rings clears it
};

// After something was queued for the sleeper.
static inline void doorbell_ring(struct doorbell *bell)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&bell->sleeping, memory_order_relaxed) &&
		atomic_exchange(&bell->sleeping, false)) {
		uint64_t one = 1;
		if (write(bell->fd, &one, sizeof(one)) < 0) {
			// The counter is full, so it is readable already.
		}
	}
}

// The sleeper: then look at the rings, and wait for fd only if they are empty.
static inline void doorbell_announce(struct doorbell *bell)
{
	atomic_store(&bell->sleeping, true);
	atomic_thread_fence(memory_order_seq_cst);
}

// The sleeper is awake; rung: the descriptor was readable.
static inline void doorbell_awake(struct doorbell *bell, bool rung)
{
	uint64_t count;
	atomic_store_explicit(&bell->sleeping, false, memory_order_relaxed);
	if (rung && read(bell->fd, &count, sizeof(count)) < 0) {
		// Not rung after all.
	}
}
