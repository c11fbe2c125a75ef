// SPDX-License-Identifier: BSD-3-Clause
// Key and redirection table of a device; see rss.h.
#include "dataplane/steering/rss.h"

#include <errno.h>
#include <string.h>

unsigned rss_table_size(const struct rte_eth_dev_info *info, enum net_family family)
{
	unsigned size = info->reta_size;
	if (!(info->flow_type_rss_offloads & rss_udp_type(family)) ||
		info->hash_key_size < RSS_KEY_MIN || info->hash_key_size > RSS_KEY_MAX ||
		size < RTE_ETH_RETA_GROUP_SIZE || size > RSS_TABLE_MAX || (size & (size - 1)))
		return 0;
	return size;
}

static struct rte_eth_rss_conf hash_of(struct rss_plan *plan, const struct rte_eth_dev_info *info)
{
	return (struct rte_eth_rss_conf){
		.rss_key = plan->key,
		.rss_key_len = info->hash_key_size,
		.rss_hf = (RTE_ETH_RSS_NONFRAG_IPV4_UDP | RTE_ETH_RSS_NONFRAG_IPV6_UDP) &
			  info->flow_type_rss_offloads,
	};
}

void rss_configure(struct rte_eth_conf *configuration, struct rss_plan *plan,
	const struct rte_eth_dev_info *info)
{
	configuration->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	configuration->rx_adv_conf.rss_conf = hash_of(plan, info);
}

static int check_hash(uint16_t port, const struct rte_eth_rss_conf *want)
{
	uint8_t key[RSS_KEY_MAX] = {0};
	struct rte_eth_rss_conf have = {.rss_key = key, .rss_key_len = want->rss_key_len};
	int result = rte_eth_dev_rss_hash_conf_get(port, &have);
	// A driver that cannot tell has taken what it was given.
	if (result == -ENOTSUP)
		return 0;
	if (result < 0)
		return result;
	return (have.rss_hf & want->rss_hf) == want->rss_hf &&
			       memcmp(key, want->rss_key, want->rss_key_len) == 0
		       ? 0
		       : -EIO;
}

static int check_table(uint16_t port, const struct rte_eth_rss_reta_entry64 *want, uint16_t size)
{
	struct rte_eth_rss_reta_entry64 have[RSS_TABLE_MAX / RTE_ETH_RETA_GROUP_SIZE] = {0};
	for (unsigned g = 0; g < size / RTE_ETH_RETA_GROUP_SIZE; g++)
		have[g].mask = UINT64_MAX;
	int result = rte_eth_dev_rss_reta_query(port, have, size);
	if (result == -ENOTSUP)
		return 0;
	if (result < 0)
		return result;
	for (unsigned g = 0; g < size / RTE_ETH_RETA_GROUP_SIZE; g++)
		if (memcmp(have[g].reta, want[g].reta, sizeof(want[g].reta)) != 0)
			return -EIO;
	return 0;
}

int rss_program(uint16_t port, struct rss_plan *plan, const struct rte_eth_dev_info *info,
	uint16_t (*queue_of)(const void *context, unsigned worker, unsigned n), const void *context)
{
	struct rte_eth_rss_reta_entry64 table[RSS_TABLE_MAX / RTE_ETH_RETA_GROUP_SIZE];
	struct rte_eth_rss_conf hash = hash_of(plan, info);
	for (unsigned i = 0; i < info->reta_size; i++) {
		struct rte_eth_rss_reta_entry64 *group = &table[i / RTE_ETH_RETA_GROUP_SIZE];
		group->mask = UINT64_MAX;
		group->reta[i % RTE_ETH_RETA_GROUP_SIZE] =
			queue_of(context, rss_plan_entry(plan, i), i);
	}
	// Some drivers took the key with the configuration and take it at no other time.
	int result = rte_eth_dev_rss_hash_update(port, &hash);
	if (result == 0 || result == -ENOTSUP)
		result = check_hash(port, &hash);
	if (result == 0)
		result = rte_eth_dev_rss_reta_update(port, table, info->reta_size);
	if (result == 0)
		result = check_table(port, table, info->reta_size);
	return result;
}
