// SPDX-License-Identifier: BSD-3-Clause
// The home of a relayed port: the worker to which the ports of this relay bring what peers send to
// it. The same for both ports of a pair (even, even + 1), so that EVEN-PORT's pairs stay together.
// One map per family for the whole relay: ports steer by it or do not steer that family at all.
// Made before the workers start, read only after that.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	STEERING_PAIRS = 32768, // of all ports there are
	STEERING_NOBODY = 0xFF,
};

struct steering_homes {
	bool known;                     // false: every port is as good for every worker
	uint8_t worker[STEERING_PAIRS]; // by port / 2
};
