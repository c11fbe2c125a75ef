// SPDX-License-Identifier: BSD-3-Clause
// Rules and limits of the guard where they act: in the workers (guard_rules.h, stage/guard.h) and
// in the XDP programs of the ports. Main lcore.
#pragma once

#include "dataplane/api/messages.h"

#include <stdbool.h>

struct config;
struct dataplane;

// Takes limits and rules from the configuration, behind the start of the ports and before that of
// the workers. 0 or -errno.
int guard_start(struct dataplane *dataplane, const struct config *config);

// Other settings are on their way to the workers: the XDP programs learn the highest channel.
void guard_settings_changed(struct dataplane *dataplane);

// API_GUARD_SET, API_GUARD_REMOVE, API_GUARD_LIMITS_SET: 0 or -errno as messages.h says; then
// nothing has changed.
int guard_set(struct dataplane *dataplane, const struct api_guard_rule *rule);
int guard_remove(struct dataplane *dataplane, const struct net_prefix *prefix);
int guard_limit(struct dataplane *dataplane, const struct api_guard_limits *limits);
// API_GUARD_RULES: the rule at a position from 0, false behind the last. A change meanwhile may
// move one rule to another position.
bool guard_rule_at(
	const struct dataplane *dataplane, unsigned position, struct api_guard_rule *rule);
