// SPDX-License-Identifier: BSD-3-Clause
// Peer rules; the order of judgement is in peer_rules.h.
#include "controlplane/turn/peer_rules.h"

#include "lib/net/special_ranges.h"

#include <stdlib.h>

void peer_rules_init(struct peer_rules *rules, const struct config *config)
{
	*rules = (struct peer_rules){.config = config};
}

void peer_rules_free(struct peer_rules *rules)
{
	free(rules->local);
	rules->local = NULL;
	rules->local_count = 0;
}

void peer_rules_earlier_ports(struct peer_rules *rules, uint16_t first, uint16_t last)
{
	if (rules->earlier_first == 0 || first < rules->earlier_first)
		rules->earlier_first = first;
	if (last > rules->earlier_last)
		rules->earlier_last = last;
}

void peer_rules_reconfigure(struct peer_rules *rules, const struct config *config)
{
	const struct config *before = rules->config;
	if (before->address.relay_first != config->address.relay_first ||
		before->address.relay_last != config->address.relay_last)
		peer_rules_earlier_ports(
			rules, before->address.relay_first, before->address.relay_last);
	rules->config = config;
}

bool peer_rules_set_local(
	struct peer_rules *rules, const struct net_address *addresses, size_t count)
{
	struct net_address *copy = NULL;
	if (count > 0) {
		copy = calloc(count, sizeof(*copy));
		if (copy == NULL)
			return false;
		memcpy(copy, addresses, count * sizeof(*copy));
	}
	free(rules->local);
	rules->local = copy;
	rules->local_count = count;
	return true;
}

static bool in_ranges(
	const struct net_range *ranges, unsigned count, const struct net_address *address)
{
	for (unsigned i = 0; i < count; i++) {
		if (net_range_contains(&ranges[i], address))
			return true;
	}
	return false;
}

static bool in_list(const struct net_address *list, size_t count, const struct net_address *address)
{
	for (size_t i = 0; i < count; i++) {
		if (net_address_equal(&list[i], address))
			return true;
	}
	return false;
}

static bool open_to_all(const struct config *config, const struct net_address *address)
{
	return in_ranges(config->peers.allow, config->peers.allow_count, address) ||
	       !special_range_denied(address, NULL);
}

// *ours: the address is one of our relay addresses, where only the relayed ports may be reached.
static bool permitted(const struct peer_rules *rules, const struct net_address *peer, bool *ours)
{
	const struct config *config = rules->config;
	*ours = false;
	if (peer->family != NET_IPV4 && peer->family != NET_IPV6)
		return false;
	struct net_address canonical = net_address_canonical(peer);
	if (in_ranges(config->peers.deny, config->peers.deny_count, peer) ||
		in_ranges(config->peers.deny, config->peers.deny_count, &canonical))
		return false;
	if (in_list(config->address.listen, config->address.listen_count, peer)) {
		*ours = true;
		return true;
	}
	if (in_list(config->address.listen, config->address.listen_count, &canonical) ||
		in_list(rules->local, rules->local_count, peer) ||
		in_list(rules->local, rules->local_count, &canonical))
		return false;
	return open_to_all(config, peer) && open_to_all(config, &canonical);
}

bool peer_rules_permit_address(const struct peer_rules *rules, const struct net_address *peer)
{
	bool ours;
	return permitted(rules, peer, &ours);
}

static bool relayed_port(const struct peer_rules *rules, uint16_t port)
{
	const struct config *config = rules->config;
	if (port == config->address.port || port == config->address.alternate_port)
		return false;
	return (port >= config->address.relay_first && port <= config->address.relay_last) ||
	       (rules->earlier_first != 0 && port >= rules->earlier_first &&
		       port <= rules->earlier_last);
}

bool peer_rules_permit_endpoint(const struct peer_rules *rules, const struct net_endpoint *peer)
{
	bool ours;
	if (peer->port == 0 || !permitted(rules, &peer->address, &ours))
		return false;
	return !ours || relayed_port(rules, peer->port);
}
