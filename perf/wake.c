// SPDX-License-Identifier: BSD-3-Clause
// The machine's own wake-up latency: how long after one core has written to an eventfd does a
// thread on another run that waits for it and has been asleep for a while? No sleeping program
// wakes faster. The writer polls, so that only one of the two sleeps.
//
//   wake COUNT PAUSE_MS WRITER-CORE SLEEPER-CORE
//
// Prints {"wake": "machine", "p50_us": ..., "p99_us": ...}.
#include "perf/generator/histogram.h"

#include <rte_cycles.h>

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct sleeper {
	int bell, core;
	_Atomic uint64_t woken; // TSC; 0: not yet
};

static void pin(int core)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET((unsigned)core, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0) {
		perror("wake: sched_setaffinity");
		exit(1);
	}
}

static void *sleep_and_tell(void *argument)
{
	struct sleeper *sleeper = argument;
	struct pollfd descriptor = {.fd = sleeper->bell, .events = POLLIN};
	uint64_t count;
	pin(sleeper->core);
	for (;;) {
		ppoll(&descriptor, 1, NULL, NULL);
		uint64_t now = rte_rdtsc();
		if (read(sleeper->bell, &count, sizeof(count)) > 0)
			atomic_store(&sleeper->woken, now);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	static struct histogram latency;
	static struct sleeper sleeper;
	pthread_t thread;
	if (argc != 5) {
		fputs("usage: wake COUNT PAUSE_MS WRITER-CORE SLEEPER-CORE\n", stderr);
		return 2;
	}
	unsigned long count = strtoul(argv[1], NULL, 10), pause = strtoul(argv[2], NULL, 10);
	// Without EAL nobody has measured the TSC yet.
	struct timespec begin, end;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	uint64_t ticks = rte_rdtsc();
	usleep(200000);
	ticks = rte_rdtsc() - ticks;
	clock_gettime(CLOCK_MONOTONIC, &end);
	double per_us = (double)ticks / ((double)(end.tv_sec - begin.tv_sec) * 1e6 +
						(double)(end.tv_nsec - begin.tv_nsec) / 1e3);
	sleeper.core = (int)strtol(argv[4], NULL, 10);
	sleeper.bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (sleeper.bell < 0 || pthread_create(&thread, NULL, sleep_and_tell, &sleeper) != 0) {
		perror("wake");
		return 1;
	}
	pin((int)strtol(argv[3], NULL, 10));
	for (unsigned long i = 0; i < count; i++) {
		const uint64_t one = 1;
		uint64_t until = rte_rdtsc() + (uint64_t)((double)pause * 1000 * per_us);
		while (rte_rdtsc() < until) {
		}
		atomic_store(&sleeper.woken, 0);
		uint64_t start = rte_rdtsc(), woken;
		if (write(sleeper.bell, &one, sizeof(one)) < 0) {
			perror("wake: write");
			return 1;
		}
		while ((woken = atomic_load(&sleeper.woken)) == 0) {
		}
		histogram_add(&latency, woken - start);
	}
	printf("{\"wake\":\"machine\",\"p50_us\":%.1f,\"p99_us\":%.1f}\n",
		(double)histogram_quantile(&latency, 0.5) / per_us,
		(double)histogram_quantile(&latency, 0.99) / per_us);
	return 0;
}
