// SPDX-License-Identifier: BSD-3-Clause
// Log-linear latency histogram: 64 steps per power of two, so a reading is at most 1.6 % off.
// Values in any unit.
#pragma once

#include <stdint.h>
#include <string.h>

enum {
	HISTOGRAM_STEP_BITS = 6,
	HISTOGRAM_BUCKETS = 48 << HISTOGRAM_STEP_BITS,
};

struct histogram {
	uint64_t count;
	uint64_t bucket[HISTOGRAM_BUCKETS];
};

static inline unsigned histogram_index(uint64_t value)
{
	if (value < 1u << HISTOGRAM_STEP_BITS)
		return (unsigned)value;
	unsigned top = 63u - (unsigned)__builtin_clzll(value);
	unsigned index = ((top - HISTOGRAM_STEP_BITS + 1) << HISTOGRAM_STEP_BITS) +
			 (unsigned)((value >> (top - HISTOGRAM_STEP_BITS)) &
				    ((1u << HISTOGRAM_STEP_BITS) - 1));
	return index < HISTOGRAM_BUCKETS ? index : HISTOGRAM_BUCKETS - 1;
}

static inline uint64_t histogram_value(unsigned index)
{
	unsigned group = index >> HISTOGRAM_STEP_BITS;
	uint64_t step = index & ((1u << HISTOGRAM_STEP_BITS) - 1);
	return group == 0 ? step : ((1u << HISTOGRAM_STEP_BITS) + step) << (group - 1);
}

static inline void histogram_add(struct histogram *h, uint64_t value)
{
	h->count++;
	h->bucket[histogram_index(value)]++;
}

// The smallest value that `fraction` (0-1) of the readings do not exceed.
static inline uint64_t histogram_quantile(const struct histogram *h, double fraction)
{
	uint64_t want = (uint64_t)((double)h->count * fraction), seen = 0;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->bucket[i];
		if (seen > want)
			return histogram_value(i);
	}
	return 0;
}
