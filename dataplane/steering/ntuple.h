// SPDX-License-Identifier: BSD-3-Clause
// Port rules as n-tuple filters of a kernel's network card (ethtool -N), for AF_XDP ports with
// several queues: a socket receives from one queue only, so the card has to choose it. The rules
// outlive the process that made them; they are taken out when the port is closed, and those that an
// earlier run left behind are recognised and used again. Nothing else on the interface is touched:
// where its ntuple feature is off, it stays off. Main lcore, which keeps the capability it takes.
#pragma once

#include "dataplane/steering/port_rules.h"
#include "lib/net/address.h"

struct ntuple_rules {
	int fd; // socket for the ioctls, open while count > 0
	char interface[16];
	unsigned count;
	uint32_t locations[2 * PORT_RULES_MAX];
};

// Adds one rule each to those there are: UDP of the family to queues[rule.worker]. All or none of
// them: 0, or a negative errno (-EOPNOTSUPP: the card has no such filters, or none of ports under a
// mask, or the feature is off; -ENOSPC: full). *rules starts zeroed.
int ntuple_add(struct ntuple_rules *ntuple, const char *interface, enum net_family family,
	const struct port_rule *rules, unsigned count, const uint16_t *queues);
// Takes all of them out. Safe when there are none.
void ntuple_remove(struct ntuple_rules *ntuple);
