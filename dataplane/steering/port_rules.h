// SPDX-License-Identifier: BSD-3-Clause
// The homes of relayed ports as match rules on the destination port: value, mask, worker. The range
// is covered with blocks of ports (prefixes, as of addresses) that hold no port which clients talk
// to, as few as possible; within a block a few low bits, never bit 0, tell the worker. A rule may
// match ports beside the range: nobody of ours talks to those. Arithmetic only.
#pragma once

#include "dataplane/steering/homes.h"

#include <stdint.h>

enum {
	PORT_RULES_MAX = 128,
	PORT_RULES_CLASS_BITS_MAX = 8,
};

struct port_rule {
	uint16_t value, mask; // host order; matches when (port & mask) == value
	uint8_t worker;
};

// Homes that few rules tell: worker = (port / 2 % classes) % workers, with as many classes as
// workers if that is a power of two, else at least twice as many, so that shares are even.
void port_rules_homes(struct steering_homes *homes, unsigned workers);

// Rules for the ports first to last by their homes, and none that matches one of the `listen`
// ports. Returns how many, or -E2BIG: more than PORT_RULES_MAX.
int port_rules_make(struct port_rule out[static PORT_RULES_MAX], const struct steering_homes *homes,
	uint16_t first, uint16_t last, const uint16_t *listen, unsigned listen_count);
