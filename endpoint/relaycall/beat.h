// SPDX-License-Identifier: BSD-3-Clause
// When something is to be done that is done every 20 ms. The times are counted from the first one,
// so that timers which come late neither shift nor stretch them.
#pragma once

#include <stdint.h>

struct beat {
	uint64_t next_ms;
	unsigned period_ms;
};

// How many times it is to be done now, `most` at once. Those beyond are never done: after a pause
// the beat goes on as if it had not stopped.
static inline unsigned beat_due(struct beat *beat, uint64_t now_ms, unsigned most)
{
	if (now_ms < beat->next_ms)
		return 0;
	uint64_t due = (now_ms - beat->next_ms) / beat->period_ms + 1;
	beat->next_ms += due * beat->period_ms;
	return due < most ? (unsigned)due : most;
}
