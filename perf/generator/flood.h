// SPDX-License-Identifier: BSD-3-Clause
// An attacker who makes up sources: Allocates and Bindings, correct and malformed, each packet from
// another random address and port, with another transaction id. IPv4, one thread.
#pragma once

#include "perf/generator/flow_frames.h"

#include <stddef.h>
#include <stdint.h>

enum { FLOOD_KINDS = 10, FLOOD_FRAME_MAX = 256 };

struct flood_kind {
	uint16_t length;
	uint32_t ip_sum, udp_sum; // without what is made up
	uint8_t frame[FLOOD_FRAME_MAX];
};

struct flood {
	struct flood_kind kinds[FLOOD_KINDS];
	uint64_t random;
};

void flood_make(
	struct flood *flood, const struct flow_path *path, const struct net_endpoint *server);
// Writes the next frame, at most FLOOD_FRAME_MAX bytes; returns its length.
uint16_t flood_write(struct flood *flood, uint8_t *frame);
