// SPDX-License-Identifier: BSD-3-Clause
// Which sources are blocked: the operator's prefixes, from the configuration and from relayctl. The
// longest prefix that holds an address decides; a prefix has one rule, the last one set.
//
// Main keeps the rules, and makes of them a table that never changes: the address space cut into
// ranges, blocked or not, sorted, for a binary search. Workers read `current` once per burst;
// without a rule it is NULL and a burst costs them one comparison.
//
// A table that was replaced may still be in use. Each worker announces the one it uses in its own
// place of `held` (a hazard pointer: Michael, 2004), once per change and not per burst: it stores
// the pointer there and then looks whether it is still current, while main stores a new current one
// and then looks who holds the old. Both are sequentially consistent, so one of the two sees the
// other, and no table is freed that a worker can still take. Main waits for nobody: what a sleeping
// worker holds is freed with a later change. That is less than two slots and a quiescent-state
// report would ask for (a report from workers that receive nothing), and does not limit how often
// rules change.
#pragma once

#include "dataplane/api/messages.h"
#include "dataplane/worker.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GUARD_RULES_MAX = API_GUARD_RULES_MAX };

struct guard_table;

struct guard_rules {
	_Atomic(const struct guard_table *) current; // main: rw, workers: ro
	struct {
		// worker: rw its own, main: ro
		alignas(64) _Atomic(const struct guard_table *) table;
	} held[WORKERS_MAX];
	// main: rw
	struct api_guard_rule *rules;
	unsigned count;
	struct guard_table *retired; // replaced, perhaps still held
};

// NULL: no memory. Main lcore; free: while no worker runs.
struct guard_rules *guard_rules_create(void);
void guard_rules_free(struct guard_rules *rules);

// Main. The rule of exactly this prefix, or NULL.
const struct api_guard_rule *guard_rules_find(
	const struct guard_rules *rules, const struct net_prefix *prefix);
// Main. Sets a prefix's rule in the place of the one it had. 0; -EINVAL no prefix, action or
// origin; -ENOSPC there are GUARD_RULES_MAX; -ENOMEM. After an error nothing has changed.
int guard_rules_set(struct guard_rules *rules, const struct api_guard_rule *rule);
// Main. 0; -ENOENT; -EINVAL; -ENOMEM (the rule stays).
int guard_rules_remove(struct guard_rules *rules, const struct net_prefix *prefix);

const struct guard_table *guard_rules_hold(struct guard_rules *rules, unsigned worker);

// Worker, once per burst. The table in force, or NULL when there is no rule (also when rules is
// NULL: a worker without them, as unit tests make it). Valid until the worker's next call.
static inline const struct guard_table *guard_rules_table(
	struct guard_rules *rules, unsigned worker)
{
	if (rules == NULL)
		return NULL;
	const struct guard_table *table =
		atomic_load_explicit(&rules->current, memory_order_acquire);
	if (__builtin_expect(
		    table != atomic_load_explicit(&rules->held[worker].table, memory_order_relaxed),
		    0))
		table = guard_rules_hold(rules, worker);
	return table;
}

// Worker. source: 4 or 16 bytes, as family says.
bool guard_table_blocks(const struct guard_table *table, const uint8_t *source, unsigned family);
