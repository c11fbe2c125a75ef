// SPDX-License-Identifier: BSD-3-Clause
// ETHTOOL_SRXCLSRLINS and its relatives; see ntuple.h. In struct ethtool_rxnfc a mask's ones are
// the bits that must match (ethtool's own command line has it the other way round).
#include "dataplane/steering/ntuple.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int ask(const struct ntuple_rules *ntuple, struct ethtool_rxnfc *command)
{
	struct ifreq request = {0};
	memcpy(request.ifr_name, ntuple->interface, sizeof(request.ifr_name));
	request.ifr_data = (void *)command;
	return ioctl(ntuple->fd, SIOCETHTOOL, &request) < 0 ? -errno : 0;
}

// The rules there are: their locations in an array that the caller frees. special: the driver
// chooses locations itself.
static int list(const struct ntuple_rules *ntuple, struct ethtool_rxnfc **out, bool *special)
{
	struct ethtool_rxnfc count = {.cmd = ETHTOOL_GRXCLSRLCNT};
	int result = ask(ntuple, &count);
	if (result < 0)
		return result;
	*special = count.data & RX_CLS_LOC_SPECIAL;
	struct ethtool_rxnfc *all =
		calloc(1, sizeof(*all) + count.rule_cnt * sizeof(all->rule_locs[0]));
	if (all == NULL)
		return -ENOMEM;
	all->cmd = ETHTOOL_GRXCLSRLALL;
	all->rule_cnt = count.rule_cnt;
	result = ask(ntuple, all);
	// data: how many there is room for.
	if (result < 0)
		free(all);
	else
		*out = all;
	return result;
}

static void build(struct ethtool_rx_flow_spec *out, enum net_family family,
	const struct port_rule *rule, const uint16_t *queues)
{
	memset(out, 0, sizeof(*out));
	if (family == NET_IPV4) {
		out->flow_type = UDP_V4_FLOW;
		out->h_u.udp_ip4_spec.pdst = htons(rule->value);
		out->m_u.udp_ip4_spec.pdst = htons(rule->mask);
	} else {
		out->flow_type = UDP_V6_FLOW;
		out->h_u.udp_ip6_spec.pdst = htons(rule->value);
		out->m_u.udp_ip6_spec.pdst = htons(rule->mask);
	}
	out->ring_cookie = queues[rule->worker];
}

static bool matches_the_same(
	const struct ethtool_rx_flow_spec *a, const struct ethtool_rx_flow_spec *b)
{
	// hdata is the unions' largest member: all bytes of them.
	return a->flow_type == b->flow_type &&
	       memcmp(a->h_u.hdata, b->h_u.hdata, sizeof(a->h_u.hdata)) == 0 &&
	       memcmp(a->m_u.hdata, b->m_u.hdata, sizeof(a->m_u.hdata)) == 0;
}

static int delete_at(const struct ntuple_rules *ntuple, uint32_t location)
{
	struct ethtool_rxnfc command = {.cmd = ETHTOOL_SRXCLSRLDEL};
	command.fs.location = location;
	return ask(ntuple, &command);
}

// A run that was killed left a rule that says the same, perhaps to another queue.
static void clear_stale(const struct ntuple_rules *ntuple, struct ethtool_rxnfc *all,
	const struct ethtool_rx_flow_spec *spec)
{
	for (unsigned i = 0; i < all->rule_cnt; i++) {
		struct ethtool_rxnfc rule = {.cmd = ETHTOOL_GRXCLSRULE};
		if (all->rule_locs[i] == UINT32_MAX)
			continue;
		rule.fs.location = all->rule_locs[i];
		if (ask(ntuple, &rule) < 0 || !matches_the_same(&rule.fs, spec))
			continue;
		delete_at(ntuple, all->rule_locs[i]);
		all->rule_locs[i] = UINT32_MAX;
	}
}

static bool location_used(
	const struct ntuple_rules *ntuple, const struct ethtool_rxnfc *all, uint32_t location)
{
	for (unsigned i = 0; i < all->rule_cnt; i++)
		if (all->rule_locs[i] == location)
			return true;
	for (unsigned i = 0; i < ntuple->count; i++)
		if (ntuple->locations[i] == location)
			return true;
	return false;
}

static int insert(struct ntuple_rules *ntuple, const struct ethtool_rxnfc *all, bool special,
	const struct ethtool_rx_flow_spec *spec)
{
	struct ethtool_rxnfc command = {.cmd = ETHTOOL_SRXCLSRLINS, .fs = *spec};
	if (ntuple->count == sizeof(ntuple->locations) / sizeof(ntuple->locations[0]))
		return -ENOSPC;
	command.fs.location = special ? RX_CLS_LOC_ANY : 0;
	// From the end: operators count from the beginning.
	for (uint64_t at = all->data; !special; at--) {
		if (at == 0)
			return -ENOSPC;
		command.fs.location = (uint32_t)(at - 1);
		if (!location_used(ntuple, all, command.fs.location))
			break;
	}
	int result = ask(ntuple, &command);
	if (result == 0)
		ntuple->locations[ntuple->count++] = command.fs.location;
	return result;
}

static void remove_from(struct ntuple_rules *ntuple, unsigned first)
{
	while (ntuple->count > first)
		delete_at(ntuple, ntuple->locations[--ntuple->count]);
	if (ntuple->count == 0 && ntuple->interface[0]) {
		close(ntuple->fd);
		memset(ntuple, 0, sizeof(*ntuple));
	}
}

int ntuple_add(struct ntuple_rules *ntuple, const char *interface, enum net_family family,
	const struct port_rule *rules, unsigned count, const uint16_t *queues)
{
	unsigned before = ntuple->count;
	struct ethtool_rxnfc *all = NULL;
	bool special = false;
	if (!ntuple->interface[0]) {
		ntuple->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (ntuple->fd < 0)
			return -errno;
		snprintf(ntuple->interface, sizeof(ntuple->interface), "%.15s", interface);
	}
	int result = list(ntuple, &all, &special);
	for (unsigned i = 0; result == 0 && i < count; i++) {
		struct ethtool_rx_flow_spec spec;
		build(&spec, family, &rules[i], queues);
		clear_stale(ntuple, all, &spec);
		result = insert(ntuple, all, special, &spec);
	}
	free(all);
	if (result < 0)
		remove_from(ntuple, before);
	return result;
}

void ntuple_remove(struct ntuple_rules *ntuple)
{
	remove_from(ntuple, 0);
}
