// SPDX-License-Identifier: BSD-3-Clause
// Rules of the guard between relayctl and the dataplane. The dataplane has the rules in force; what
// is kept here is a copy, so that a dataplane that was restarted gets them again. A control plane
// that was restarted itself takes the dataplane's, and what its own configuration says otherwise
// than the dataplane's did. So they outlive either, but not both: nothing is stored, and what is to
// last stands in [guard] of the configuration. The event loop's thread.
#pragma once

#include "controlplane/admin/admin.h"
#include "dataplane/api/messages.h"

#include <stdbool.h>

struct config;
struct node;

struct guard_copy {
	struct api_guard_rule *own;  // API_GUARD_RULES_MAX places, NULL before the first connection
	struct api_guard_rule *told; // by the dataplane, while its list comes in
	unsigned own_count, told_count;
	bool known;    // own is what the dataplane has, or had
	bool fetching; // a list is coming in
	bool restore;  // at its end the dataplane is to be made like own
};

// The dataplane has answered hello; restarted: it is another instance than before.
void guard_connected(struct node *node, bool restarted);
// [guard] has changed. Rules that relayctl has set stay, but for prefixes that the configuration
// names anew.
void guard_reconfigure(struct node *node, const struct config *before, const struct config *now);
void guard_free_copy(struct node *node);

// For the admin socket's provider; context: the node.
void guard_provide_rules(void *context, struct admin_reply *reply);
void guard_provide_limits(void *context, struct admin_reply *reply);
void guard_provide_set(void *context, const struct api_guard_rule *rule, struct admin_reply *reply);
void guard_provide_remove(
	void *context, const struct net_prefix *prefix, struct admin_reply *reply);
