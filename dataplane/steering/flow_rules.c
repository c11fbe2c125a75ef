// SPDX-License-Identifier: BSD-3-Clause
// rte_flow: eth / ipv4 or ipv6 / udp with a masked destination port, to a queue; see flow_rules.h.
#include "dataplane/steering/flow_rules.h"

#include <rte_byteorder.h>
#include <rte_errno.h>
#include <rte_flow.h>

#include <errno.h>

struct rule {
	struct rte_flow_item_udp spec, mask;
	struct rte_flow_action_queue queue;
	struct rte_flow_item pattern[4];
	struct rte_flow_action actions[2];
};

static const struct rte_flow_attr ingress = {.ingress = 1};

// The parts point to each other: *out must not be moved.
static void build(struct rule *out, enum net_family family, const struct port_rule *rule,
	const uint16_t *queues)
{
	*out = (struct rule){
		.spec.hdr.dst_port = rte_cpu_to_be_16(rule->value),
		.mask.hdr.dst_port = rte_cpu_to_be_16(rule->mask),
		.queue.index = queues[rule->worker],
		.pattern =
			{
				{.type = RTE_FLOW_ITEM_TYPE_ETH},
				{.type = family == NET_IPV4 ? RTE_FLOW_ITEM_TYPE_IPV4
							    : RTE_FLOW_ITEM_TYPE_IPV6},
				{.type = RTE_FLOW_ITEM_TYPE_UDP,
					.spec = &out->spec,
					.mask = &out->mask},
				{.type = RTE_FLOW_ITEM_TYPE_END},
			},
		.actions =
			{
				{.type = RTE_FLOW_ACTION_TYPE_QUEUE, .conf = &out->queue},
				{.type = RTE_FLOW_ACTION_TYPE_END},
			},
	};
}

int flow_rules_create(struct flow_rules *flows, uint16_t port, enum net_family family,
	const struct port_rule *rules, unsigned count, const uint16_t *queues)
{
	struct rte_flow_error error;
	struct rule rule;
	flows->port = port;
	flows->count = 0;
	for (unsigned i = 0; i < count; i++) {
		build(&rule, family, &rules[i], queues);
		int result = rte_flow_validate(port, &ingress, rule.pattern, rule.actions, &error);
		if (result < 0)
			return result;
	}
	for (unsigned i = 0; i < count; i++) {
		build(&rule, family, &rules[i], queues);
		struct rte_flow *flow =
			rte_flow_create(port, &ingress, rule.pattern, rule.actions, &error);
		if (flow == NULL) {
			int result = rte_errno ? -rte_errno : -EIO;
			flow_rules_destroy(flows);
			return result;
		}
		flows->flows[flows->count++] = flow;
	}
	return 0;
}

void flow_rules_destroy(struct flow_rules *flows)
{
	struct rte_flow_error error;
	while (flows->count > 0)
		rte_flow_destroy(flows->port, flows->flows[--flows->count], &error);
}
