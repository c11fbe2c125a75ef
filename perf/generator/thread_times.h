// SPDX-License-Identifier: BSD-3-Clause
// The CPU time that the threads of other processes have taken, by thread name (schedstat, exact to
// the nanosecond).
#pragma once

#include <stdint.h>
#include <sys/types.h>

enum { THREAD_TIMES_MAX = 32, THREAD_TIMES_PROCESSES = 4 };

struct thread_times {
	unsigned count;
	struct {
		char name[16];
		uint64_t ns; // of all threads of that name
	} of[THREAD_TIMES_MAX];
};

// Those of `count` processes; a process that is gone has none.
void thread_times_read(struct thread_times *out, const pid_t *processes, unsigned count);

// Prints {"name":seconds,...} of what was taken between two readings.
void thread_times_print(const struct thread_times *before, const struct thread_times *after);
