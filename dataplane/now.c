// SPDX-License-Identifier: BSD-3-Clause
// The clocks that the main lcore goes by, in one place, so that a simulation can put others there.
#include "dataplane/dataplane.h"

#include <rte_cycles.h>

#include <time.h>

uint64_t dataplane_now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t dataplane_now_tsc(void)
{
	return rte_rdtsc();
}
