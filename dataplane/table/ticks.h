// SPDX-License-Identifier: BSD-3-Clause
// Deadlines in 32 bits: the TSC in units of 2^22 cycles (1 to 2 ms), compared as a signed
// difference. Half the range is 38 days at 2.7 GHz; longer lifetimes are cut to 30 days. The first
// deadline after a wrap is never 0, because 0 marks a free entry in the scan arrays.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { TICKS_SHIFT = 22 };

static inline uint32_t ticks_of(uint64_t tsc)
{
	return (uint32_t)(tsc >> TICKS_SHIFT);
}

// The tick in which `lifetime_ms` from `now` (TSC) lies, rounded up. hz: TSC frequency.
static inline uint32_t ticks_deadline(uint64_t now, uint32_t lifetime_ms, uint64_t hz)
{
	const uint32_t longest = 30u * 24 * 3600 * 1000;
	uint64_t ms = lifetime_ms < longest ? lifetime_ms : longest;
	uint32_t tick = ticks_of(now + ms * (hz / 1000) + (1u << TICKS_SHIFT) - 1);
	return tick ? tick : 1;
}

static inline bool ticks_passed(uint32_t deadline, uint32_t now)
{
	return (int32_t)(deadline - now) <= 0;
}

static inline uint32_t ticks_earlier(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0 ? a : b;
}

static inline uint32_t ticks_left_ms(uint32_t deadline, uint64_t now, uint64_t hz)
{
	uint32_t at = ticks_of(now);
	if (ticks_passed(deadline, at))
		return 0;
	return (uint32_t)(((uint64_t)(deadline - at) << TICKS_SHIFT) / (hz / 1000));
}
