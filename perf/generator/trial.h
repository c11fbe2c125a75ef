// SPDX-License-Identifier: BSD-3-Clause
// One run at one rate: what was asked, what was sent, what came back, and how late. And the search
// for the highest rate that loses nothing (RFC 2544 section 26.1). Any clock; one thread.
#pragma once

#include "perf/generator/histogram.h"

#include <stdbool.h>
#include <stdint.h>

struct trial {
	double asked, offered;   // packets/s
	double rate_back;        // received/s while sending
	uint64_t sent, received; // sent counts what was refused, too
	uint64_t refused;        // the device under test had left no room
	uint64_t flood_sent, flood_refused;
	uint64_t other;           // received, but not of this trial's flows
	uint64_t foul;            // ours, but not as it should have come back
	double busy;              // share of the generator's time in which it had work
	struct histogram latency; // TSC
};

static inline int64_t trial_lost(const struct trial *t)
{
	return (int64_t)(t->sent - t->received);
}

// Did the generator keep up with the rate? (A refused packet was offered.) What it falls short of
// is in `offered`, which is what a result should quote.
static inline bool trial_offered(const struct trial *t)
{
	return t->offered >= t->asked * 0.95;
}

static inline bool trial_loss_free(const struct trial *t)
{
	return t->sent == t->received && t->foul == 0 && trial_offered(t);
}

// Prints one JSON object. extra: further members (`"frame":64,`) or "". hz: of the TSC.
void trial_print(const char *kind, const char *extra, const struct trial *t, double hz);

// The highest rate at which `holds` is true: from `try` up by halves until it fails (or down by
// halves until it holds), then bisection until the bounds are `resolution` apart (a fraction), 16
// probes at most. 0 when none below `high` held.
struct rate_search {
	double try, high, resolution;
	bool (*holds)(void *context, double rate);
	void *context;
};
double rate_search_run(const struct rate_search *search);
