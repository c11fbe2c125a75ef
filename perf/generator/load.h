// SPDX-License-Identifier: BSD-3-Clause
// Sending flows at an exact rate over a memif port and judging what comes back. One lcore does
// both, so packets under way never exceed what the generator itself has let out, and a pause of the
// generator loses nothing.
//
// A packet that the port does not take is the device's failure: the ring between the two is full
// because the device has not emptied it. It counts as sent and lost. What the generator was too
// late for is not sent at all, and lowers the rate offered.
#pragma once

#include "perf/generator/flood.h"
#include "perf/generator/flow_frames.h"
#include "perf/generator/memif_port.h"
#include "perf/generator/trial.h"

struct load {
	struct memif_port *port;
	struct flow_set sets[MEMIF_PORT_QUEUES_MAX]; // by queue
	uint32_t mark;       // of the stamps that count: flow_mark, or the STUN magic cookie
	bool success_only;   // and of Binding answers only successes
	struct flood *flood; // NULL: none
	double flood_rate;   // packets/s
	unsigned nap_us;     // sleep when there is nothing to do; 0: poll
	bool (*check)(void *context, const uint8_t *frame, size_t length); // NULL: by stamp only
	void *check_context;
	double hz; // TSC
};

struct load_plan {
	double rate; // packets/s; 0: as many as come back (`window` under way)
	double seconds;
	uint64_t packets; // 0: until the seconds are over
	unsigned window;
};

void load_run(struct load *load, const struct load_plan *plan, struct trial *trial);
