// SPDX-License-Identifier: BSD-3-Clause
// Port rules as rte_flow rules of a DPDK port. Main lcore.
#pragma once

#include "dataplane/steering/port_rules.h"
#include "lib/net/address.h"

struct rte_flow;

struct flow_rules {
	uint16_t port;
	unsigned count;
	struct rte_flow *flows[PORT_RULES_MAX];
};

// Creates one rule each, whole UDP datagrams of the family to queues[rule.worker]; before the first
// one all are validated. All or none: 0, or a negative errno and none is there.
int flow_rules_create(struct flow_rules *flows, uint16_t port, enum net_family family,
	const struct port_rule *rules, unsigned count, const uint16_t *queues);
// Safe when there are none.
void flow_rules_destroy(struct flow_rules *flows);
