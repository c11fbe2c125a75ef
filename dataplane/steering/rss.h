// SPDX-License-Identifier: BSD-3-Clause
// A device's receive side scaling: what can be set of it, and setting it to a plan. Main lcore.
#pragma once

#include "dataplane/steering/rss_plan.h"

#include <rte_ethdev.h>

// Hash types of whole UDP datagrams.
static inline uint64_t rss_udp_type(enum net_family family)
{
	return family == NET_IPV4 ? RTE_ETH_RSS_NONFRAG_IPV4_UDP : RTE_ETH_RSS_NONFRAG_IPV6_UDP;
}

// Entries of the device's redirection table if its hash can be predicted for UDP of that family:
// it hashes ports, and key and table can be set; 0: not.
unsigned rss_table_size(const struct rte_eth_dev_info *info, enum net_family family);

// Puts key and hash types into the configuration. Nothing but UDP is hashed: fragments, which carry
// no ports, and whatever is the kernel's come by the table's first entry. The other family's UDP is
// hashed as well, by a key that is not for it; that spreads it, and no more.
void rss_configure(struct rte_eth_conf *configuration, struct rss_plan *plan,
	const struct rte_eth_dev_info *info);

// Sets key and table of a started port and looks whether they are in force. queue_of: the queue of
// this port for a worker and the n-th entry. 0, or a negative errno: they are not, the port hashes
// as it likes.
int rss_program(uint16_t port, struct rss_plan *plan, const struct rte_eth_dev_info *info,
	uint16_t (*queue_of)(const void *context, unsigned worker, unsigned n),
	const void *context);
