// SPDX-License-Identifier: BSD-3-Clause
// The virtual clock and what is going to happen: a heap of events. Events of the same microsecond
// happen in the order in which they were asked for.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { CLOCK_MS = 1000, CLOCK_S = 1000000 };

// Microseconds since the begin of the run.
uint64_t clock_now(void);

// Has run(object, argument) called at that time, or now when that has passed.
void clock_at(
	uint64_t at, void (*run)(void *object, uint64_t argument), void *object, uint64_t argument);
static inline void clock_after(uint64_t delay, void (*run)(void *object, uint64_t argument),
	void *object, uint64_t argument)
{
	clock_at(clock_now() + delay, run, object, argument);
}

// Lets everything happen until then.
void clock_run(uint64_t until);
// Forgets what was to happen.
void clock_clear(void);

// The same moment as the relay and the endpoints count it.
uint64_t clock_tsc(void);    // one tick of table/ticks.h is a millisecond
uint64_t clock_tsc_hz(void); // of that
uint64_t clock_monotonic_ms(void);
uint64_t clock_wall_s(void); // an epoch begins at 0
// The low 32 bits of ticks begin there, so that they come round during some runs.
void clock_ticks_begin(uint32_t tick);
