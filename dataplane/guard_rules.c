// SPDX-License-Identifier: BSD-3-Clause
// Keeping the rules and publishing their table, see guard_rules.h. Main lcore, but for
// guard_rules_hold.
#include "dataplane/guard_rules.h"

#include "dataplane/guard_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct guard_rules *guard_rules_create(void)
{
	struct guard_rules *rules =
		aligned_alloc(alignof(struct guard_rules), sizeof(struct guard_rules));
	if (rules == NULL)
		return NULL;
	memset(rules, 0, sizeof(*rules));
	rules->rules = calloc(GUARD_RULES_MAX, sizeof(*rules->rules));
	if (rules->rules == NULL) {
		free(rules);
		return NULL;
	}
	return rules;
}

void guard_rules_free(struct guard_rules *rules)
{
	if (rules == NULL)
		return;
	guard_table_free((struct guard_table *)atomic_load(&rules->current));
	guard_table_free(rules->retired);
	explicit_bzero(rules->rules, GUARD_RULES_MAX * sizeof(*rules->rules));
	free(rules->rules);
	free(rules);
}

const struct guard_table *guard_rules_hold(struct guard_rules *rules, unsigned worker)
{
	const struct guard_table *table = atomic_load(&rules->current), *before;
	do {
		before = table;
		atomic_store(&rules->held[worker].table, table);
		table = atomic_load(&rules->current);
	} while (table != before);
	return table;
}

static bool is_held(const struct guard_rules *rules, const struct guard_table *table)
{
	for (unsigned w = 0; w < WORKERS_MAX; w++)
		if (atomic_load(&rules->held[w].table) == table)
			return true;
	return false;
}

static void reclaim(struct guard_rules *rules)
{
	for (struct guard_table **link = &rules->retired; *link;) {
		struct guard_table *table = *link;
		if (is_held(rules, table)) {
			link = guard_table_next(table);
			continue;
		}
		*link = *guard_table_next(table);
		*guard_table_next(table) = NULL;
		guard_table_free(table);
	}
}

static int publish(struct guard_rules *rules)
{
	struct guard_table *table = NULL;
	if (rules->count) {
		table = guard_table_create(rules->rules, rules->count);
		if (table == NULL)
			return -ENOMEM;
	}
	struct guard_table *old = (struct guard_table *)atomic_exchange(&rules->current, table);
	if (old) {
		*guard_table_next(old) = rules->retired;
		rules->retired = old;
	}
	reclaim(rules);
	return 0;
}

static bool prefix_valid(const struct net_prefix *prefix)
{
	unsigned bits = prefix->address.family == NET_IPV4   ? 32
			: prefix->address.family == NET_IPV6 ? 128
							     : 0;
	if (bits == 0 || prefix->length > bits)
		return false;
	struct net_prefix clean = net_prefix_of(&prefix->address, prefix->length);
	return net_address_equal(&clean.address, &prefix->address);
}

static struct api_guard_rule *find(struct guard_rules *rules, const struct net_prefix *prefix)
{
	for (unsigned i = 0; i < rules->count; i++)
		if (rules->rules[i].prefix.length == prefix->length &&
			net_address_equal(&rules->rules[i].prefix.address, &prefix->address))
			return &rules->rules[i];
	return NULL;
}

const struct api_guard_rule *guard_rules_find(
	const struct guard_rules *rules, const struct net_prefix *prefix)
{
	return find((struct guard_rules *)rules, prefix);
}

int guard_rules_set(struct guard_rules *rules, const struct api_guard_rule *rule)
{
	if (!prefix_valid(&rule->prefix) ||
		(rule->action != API_GUARD_BLOCK && rule->action != API_GUARD_ALLOW) ||
		(rule->origin != API_GUARD_CONFIGURED && rule->origin != API_GUARD_ADDED))
		return -EINVAL;
	struct api_guard_rule *found = find(rules, &rule->prefix), saved = {0};
	if (found) {
		saved = *found;
	} else if (rules->count == GUARD_RULES_MAX) {
		return -ENOSPC;
	} else {
		found = &rules->rules[rules->count++];
	}
	*found = *rule;
	found->reserved = 0;
	int result = publish(rules);
	if (result && saved.action)
		*found = saved;
	else if (result)
		rules->count--;
	return result;
}

int guard_rules_remove(struct guard_rules *rules, const struct net_prefix *prefix)
{
	if (!prefix_valid(prefix))
		return -EINVAL;
	struct api_guard_rule *found = find(rules, prefix);
	if (found == NULL)
		return -ENOENT;
	struct api_guard_rule saved = *found, *last = &rules->rules[rules->count - 1];
	*found = *last;
	rules->count--;
	int result = publish(rules);
	if (result) {
		rules->count++;
		*found = saved;
		return result;
	}
	explicit_bzero(last, sizeof(*last));
	return 0;
}
