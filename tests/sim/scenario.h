// SPDX-License-Identifier: BSD-3-Clause
// One run: phases one after the other, what happens to the relay in them, and the end, when
// everything must be gone.
#pragma once

#include "endpoint/endpoint.h"

#include <stdint.h>

void scenario_run(void);

// When the dataplane was started last.
uint64_t scenario_dataplane_since(void);
// Between two things that a user does, on the average.
uint64_t scenario_act_us(void);
const char *scenario_end_name(enum endpoint_end why);
