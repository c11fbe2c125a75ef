// SPDX-License-Identifier: BSD-3-Clause
// Two readings of the relay and the rates between them, for `relayctl top`. No I/O but printing.
#pragma once

#include "controlplane/relayctl/client.h"

#include <jansson.h>

#include <stdio.h>

struct relayctl_sample {
	double time_s; // monotonic
	struct admin_status status;
	struct relayctl_list workers;  // struct api_worker
	struct relayctl_list counters; // struct api_counter
};

// Frees the lists and zeroes it.
void relayctl_sample_clear(struct relayctl_sample *sample);

// Per second; 0 when the count went back (the dataplane was restarted) or no time has passed.
double relayctl_rate(uint64_t before, uint64_t now, double seconds);

void relayctl_sample_print(
	const struct relayctl_sample *before, const struct relayctl_sample *now, FILE *out);
json_t *relayctl_sample_json(
	const struct relayctl_sample *before, const struct relayctl_sample *now);
