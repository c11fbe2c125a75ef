// SPDX-License-Identifier: BSD-3-Clause
// Rules and limits to workers and XDP programs, see guard_requests.h. The workers' table comes
// first when a rule is set and last when it is removed; an XDP program that fails to take it (no
// memory in the kernel) makes the change fail as a whole. Main lcore.
#include "dataplane/guard_requests.h"

#include "dataplane/dataplane.h"
#include "dataplane/guard_rules.h"
#include "dataplane/table/relay_ports.h"

#include <errno.h>

enum {
	LIMIT_MAX = 1000000000,
	// The least that a STUN reply takes of a purse of bytes: IPv4, UDP and STUN headers.
	REPLY_SMALLEST = 20 + 8 + 20,
};

static_assert((int)STEER_RULE_BLOCK == API_GUARD_BLOCK &&
		      (int)STEER_RULE_ALLOW == API_GUARD_ALLOW &&
		      (int)STEER_RULES_MAX >= (int)GUARD_RULES_MAX,
	"the same rules in both places");

// ---- limits ----

// What the dataplane would take of a prefix at most, all kinds of requests together: what is above
// that is lost on it anyway.
static uint32_t requests_of(const struct api_guard_limits *limits)
{
	return limits->punts + limits->punts_with_allocation + limits->reply_bytes / REPLY_SMALLEST;
}

static void programs_limit(struct dataplane *dataplane)
{
	const struct node_addresses *addresses =
		&dataplane->settings.slots[dataplane->settings.current];
	for (unsigned p = 0; p < dataplane->port_count; p++) {
		struct steer_guard *guard = &dataplane->ports[p].guard;
		if (guard->settings)
			steer_guard_enable(guard, requests_of(&dataplane->guard_limits),
				addresses->channel_last);
	}
}

void guard_settings_changed(struct dataplane *dataplane)
{
	programs_limit(dataplane);
}

static void limits_apply(struct dataplane *dataplane)
{
	const struct api_guard_limits *limits = &dataplane->guard_limits;
	for (unsigned w = 0; w < dataplane->worker_count; w++)
		if (dataplane->workers[w]->guard)
			guard_limits_set(
				dataplane->workers[w]->guard, limits, dataplane->worker_count);
	programs_limit(dataplane);
}

static bool limit_valid(uint32_t limit)
{
	return limit >= 1 && limit <= LIMIT_MAX;
}

int guard_limit(struct dataplane *dataplane, const struct api_guard_limits *limits)
{
	if (!limit_valid(limits->reply_bytes) || !limit_valid(limits->punts) ||
		!limit_valid(limits->punts_with_allocation) || !limit_valid(limits->punts_total) ||
		!limit_valid(limits->new_allocations))
		return -EINVAL;
	dataplane->guard_limits = *limits;
	limits_apply(dataplane);
	return 0;
}

// ---- rules ----

static int programs_tell(struct dataplane *dataplane, unsigned port_count,
	const struct net_prefix *prefix, unsigned before, unsigned action)
{
	for (unsigned p = 0; p < port_count; p++) {
		struct steer_guard *guard = &dataplane->ports[p].guard;
		if (!guard->settings)
			continue;
		int result = steer_guard_rule(
			guard, prefix, (enum steer_rule)before, (enum steer_rule)action);
		if (result) {
			// Those that have taken it give it back: an element that was there needs no
			// memory.
			programs_tell(dataplane, p, prefix, action, before);
			return result;
		}
	}
	return 0;
}

static unsigned action_of(const struct guard_rules *rules, const struct net_prefix *prefix)
{
	const struct api_guard_rule *rule = guard_rules_find(rules, prefix);
	return rule ? rule->action : 0;
}

int guard_set(struct dataplane *dataplane, const struct api_guard_rule *rule)
{
	struct guard_rules *rules = dataplane->guard_rules;
	const struct api_guard_rule *found = guard_rules_find(rules, &rule->prefix);
	struct api_guard_rule before = found ? *found : (struct api_guard_rule){0};
	int result = guard_rules_set(rules, rule);
	if (result)
		return result;
	result = programs_tell(
		dataplane, dataplane->port_count, &rule->prefix, before.action, rule->action);
	if (result && before.action)
		guard_rules_set(rules, &before);
	else if (result)
		guard_rules_remove(rules, &rule->prefix);
	return result;
}

int guard_remove(struct dataplane *dataplane, const struct net_prefix *prefix)
{
	struct guard_rules *rules = dataplane->guard_rules;
	unsigned before = action_of(rules, prefix);
	if (before == 0)
		return -ENOENT;
	int result = programs_tell(dataplane, dataplane->port_count, prefix, before, 0);
	if (result)
		return result;
	result = guard_rules_remove(rules, prefix);
	if (result)
		programs_tell(dataplane, dataplane->port_count, prefix, 0, before);
	return result;
}

bool guard_rule_at(
	const struct dataplane *dataplane, unsigned position, struct api_guard_rule *rule)
{
	const struct guard_rules *rules = dataplane->guard_rules;
	if (position >= rules->count)
		return false;
	*rule = rules->rules[position];
	return true;
}

static int configured(struct dataplane *dataplane, const struct net_prefix *prefixes,
	unsigned count, unsigned action)
{
	int result = 0;
	for (unsigned i = 0; i < count && result == 0; i++) {
		struct api_guard_rule rule = {
			.prefix = prefixes[i],
			.action = (uint8_t)action,
			.origin = API_GUARD_CONFIGURED,
		};
		result = guard_set(dataplane, &rule);
	}
	return result;
}

int guard_start(struct dataplane *dataplane, const struct config *config)
{
	dataplane->guard_limits = (struct api_guard_limits){
		.reply_bytes = config->guard.reply_bytes,
		.punts = config->guard.punts,
		.punts_with_allocation = config->guard.punts_with_allocation,
		.punts_total = config->guard.punts_total,
		.new_allocations = config->guard.new_allocations,
	};
	for (unsigned p = 0; p < dataplane->port_count; p++)
		if (dataplane->ports[p].guard.settings)
			relay_ports_mirror(dataplane->relay_ports, dataplane->ports[p].guard.ports);
	int result = configured(
		dataplane, config->guard.block, config->guard.block_count, API_GUARD_BLOCK);
	if (result == 0)
		result = configured(
			dataplane, config->guard.allow, config->guard.allow_count, API_GUARD_ALLOW);
	if (result == 0)
		limits_apply(dataplane);
	return result;
}
