// SPDX-License-Identifier: BSD-3-Clause
// The copy of the rules, and the questions of the admin socket, see guard.h.
#include "controlplane/guard.h"

#include "controlplane/node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// ---- the copy ----

static bool same_prefix(const struct net_prefix *a, const struct net_prefix *b)
{
	return a->length == b->length && net_address_equal(&a->address, &b->address);
}

static struct api_guard_rule *find(
	struct api_guard_rule *rules, unsigned count, const struct net_prefix *prefix)
{
	for (unsigned i = 0; i < count; i++)
		if (same_prefix(&rules[i].prefix, prefix))
			return &rules[i];
	return NULL;
}

static void copy_set(struct guard_copy *copy, const struct api_guard_rule *rule)
{
	struct api_guard_rule *found = find(copy->own, copy->own_count, &rule->prefix);
	if (found == NULL && copy->own_count < API_GUARD_RULES_MAX)
		found = &copy->own[copy->own_count++];
	if (found)
		*found = *rule;
}

static void copy_remove(struct guard_copy *copy, const struct net_prefix *prefix)
{
	struct api_guard_rule *found = find(copy->own, copy->own_count, prefix);
	if (found)
		*found = copy->own[--copy->own_count];
}

// Each difference is one request; their answers do not matter: a connection that ends takes the
// next one through all of this again.
static void restore(struct node *node)
{
	struct guard_copy *copy = &node->guard;
	bool sent = true;
	for (unsigned i = 0; i < copy->own_count && sent; i++) {
		const struct api_guard_rule *own = &copy->own[i];
		const struct api_guard_rule *told =
			find(copy->told, copy->told_count, &own->prefix);
		if (!told || memcmp(told, own, sizeof(*own)) != 0)
			sent = dataplane_link_request(
				node->link, API_GUARD_SET, own, sizeof(*own), NULL, NULL);
	}
	for (unsigned i = 0; i < copy->told_count && sent; i++) {
		const struct net_prefix *prefix = &copy->told[i].prefix;
		if (!find(copy->own, copy->own_count, prefix))
			sent = dataplane_link_request(
				node->link, API_GUARD_REMOVE, prefix, sizeof(*prefix), NULL, NULL);
	}
	if (!sent)
		dataplane_link_restart(node->link);
}

// ---- the configuration ----

// The rule that the configuration has for a prefix; action 0: none.
static struct api_guard_rule configured(
	const struct config *config, const struct net_prefix *prefix)
{
	struct api_guard_rule rule = {.prefix = *prefix, .origin = API_GUARD_CONFIGURED};
	for (unsigned i = 0; i < config->guard.block_count && !rule.action; i++)
		if (same_prefix(&config->guard.block[i], prefix))
			rule.action = API_GUARD_BLOCK;
	for (unsigned i = 0; i < config->guard.allow_count && !rule.action; i++)
		if (same_prefix(&config->guard.allow[i], prefix))
			rule.action = API_GUARD_ALLOW;
	return rule;
}

// The copy is changed at once. Where the dataplane cannot be told, it is made like the copy when it
// is there.
static void tell(struct node *node, enum api_type type, const void *payload, uint32_t size)
{
	// A list that is coming in would undo it, or is about to be compared with the copy anyway.
	if (node->guard.fetching && dataplane_link_up(node->link)) {
		node->guard.restore = true;
		return;
	}
	if (dataplane_link_request(node->link, type, payload, size, NULL, NULL))
		return;
	node->guard.restore = true;
	if (dataplane_link_up(node->link))
		dataplane_link_restart(node->link);
}

static void drop_rule(struct node *node, const struct net_prefix *prefix)
{
	const struct api_guard_rule *rule = find(node->guard.own, node->guard.own_count, prefix);
	struct net_prefix copy = *prefix; // which may lie in the copy
	if (!rule || rule->origin != API_GUARD_CONFIGURED)
		return;
	copy_remove(&node->guard, &copy);
	tell(node, API_GUARD_REMOVE, &copy, sizeof(copy));
}

static void set_rule(struct node *node, const struct api_guard_rule *rule)
{
	copy_set(&node->guard, rule);
	tell(node, API_GUARD_SET, rule, sizeof(*rule));
}

static void tell_limits(struct node *node)
{
	const struct config *config = node->config;
	const struct api_guard_limits limits = {
		.reply_bytes = config->guard.reply_bytes,
		.punts = config->guard.punts,
		.punts_with_allocation = config->guard.punts_with_allocation,
		.punts_total = config->guard.punts_total,
		.new_allocations = config->guard.new_allocations,
	};
	// With each connection again, so a lost one does not matter.
	if (!dataplane_link_request(
		    node->link, API_GUARD_LIMITS_SET, &limits, sizeof(limits), NULL, NULL) &&
		dataplane_link_up(node->link))
		dataplane_link_restart(node->link);
}

static void drop_missing(struct node *node, const struct net_prefix *list, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (!configured(node->config, &list[i]).action)
			drop_rule(node, &list[i]);
}

static void set_new(struct node *node, const struct config *before, const struct net_prefix *list,
	unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct api_guard_rule rule = configured(node->config, &list[i]);
		if (rule.action != configured(before, &list[i]).action)
			set_rule(node, &rule);
	}
}

void guard_reconfigure(struct node *node, const struct config *before, const struct config *now)
{
	if (dataplane_link_up(node->link))
		tell_limits(node);
	if (!node->guard.known)
		return; // the first connection sees to it
	drop_missing(node, before->guard.block, before->guard.block_count);
	drop_missing(node, before->guard.allow, before->guard.allow_count);
	set_new(node, before, now->guard.block, now->guard.block_count);
	set_new(node, before, now->guard.allow, now->guard.allow_count);
}

// What the dataplane was told by a configuration that was not ours.
static void set_missing(struct node *node, const struct net_prefix *list, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct api_guard_rule rule = configured(node->config, &list[i]);
		const struct api_guard_rule *own =
			find(node->guard.own, node->guard.own_count, &list[i]);
		if (!own || (own->origin == API_GUARD_CONFIGURED && own->action != rule.action))
			set_rule(node, &rule);
	}
}

static void first_rules(struct node *node)
{
	const struct config *config = node->config;
	if (reload_started_alike(node, "guard"))
		return;
	for (unsigned i = node->guard.own_count; i-- > 0;)
		if (!configured(config, &node->guard.own[i].prefix).action)
			drop_rule(node, &node->guard.own[i].prefix);
	set_missing(node, config->guard.block, config->guard.block_count);
	set_missing(node, config->guard.allow, config->guard.allow_count);
}

static void rules_told(void *context, const struct dataplane_answer *answer)
{
	struct node *node = context;
	struct guard_copy *copy = &node->guard;
	if (!answer->last) {
		if (copy->told_count < API_GUARD_RULES_MAX)
			memcpy(&copy->told[copy->told_count++], answer->payload,
				sizeof(*copy->told));
		return;
	}
	copy->fetching = false;
	if (answer->result)
		return;
	if (copy->restore) {
		restore(node);
	} else {
		struct api_guard_rule *own = copy->own;
		copy->own = copy->told;
		copy->own_count = copy->told_count;
		copy->told = own;
	}
	bool first = !copy->known;
	copy->known = true;
	copy->restore = false;
	if (first)
		first_rules(node);
}

void guard_connected(struct node *node, bool restarted)
{
	struct guard_copy *copy = &node->guard;
	if (!copy->own)
		copy->own = calloc(API_GUARD_RULES_MAX, sizeof(*copy->own));
	if (!copy->told)
		copy->told = calloc(API_GUARD_RULES_MAX, sizeof(*copy->told));
	// A restoration that a lost connection has interrupted goes on.
	copy->restore = copy->known && (restarted || copy->restore);
	copy->told_count = 0;
	tell_limits(node);
	copy->fetching =
		copy->own && copy->told &&
		dataplane_link_request(node->link, API_GUARD_RULES, NULL, 0, rules_told, node) != 0;
	if (!copy->fetching && dataplane_link_up(node->link))
		dataplane_link_restart(node->link);
}

void guard_free_copy(struct node *node)
{
	free(node->guard.own);
	free(node->guard.told);
	node->guard = (struct guard_copy){0};
}

// ---- questions of the admin socket ----

struct question {
	struct node *node;
	struct admin_reply *reply;
	struct api_guard_rule rule; // set, or (its prefix) removed
};

static void ask(struct node *node, struct admin_reply *reply, enum api_type type,
	const struct api_guard_rule *rule, dataplane_callback callback)
{
	struct question *question = calloc(1, sizeof(*question));
	uint32_t size = type == API_GUARD_SET      ? sizeof(struct api_guard_rule)
			: type == API_GUARD_REMOVE ? sizeof(struct net_prefix)
						   : 0;
	int rc = -ENOMEM;
	if (question) {
		*question = (struct question){.node = node, .reply = reply};
		if (rule)
			question->rule = *rule;
		if (dataplane_link_request(
			    node->link, type, &question->rule, size, callback, question))
			return;
		rc = dataplane_link_up(node->link) ? -EBUSY : -ENOTCONN;
	}
	free(question);
	admin_reply_end(reply, rc);
}

static void listed(void *context, const struct dataplane_answer *answer)
{
	struct question *question = context;
	if (answer->size)
		admin_reply_item(question->reply, answer->payload, answer->size);
	if (!answer->last)
		return;
	admin_reply_end(question->reply, answer->result);
	free(question);
}

void guard_provide_rules(void *context, struct admin_reply *reply)
{
	ask(context, reply, API_GUARD_RULES, NULL, listed);
}

void guard_provide_limits(void *context, struct admin_reply *reply)
{
	ask(context, reply, API_GUARD_LIMITS, NULL, listed);
}

static void changed(void *context, const struct dataplane_answer *answer)
{
	struct question *question = context;
	struct guard_copy *copy = &question->node->guard;
	if (answer->result == 0 && answer->type == API_GUARD_SET)
		copy_set(copy, &question->rule);
	else if (answer->result == 0)
		copy_remove(copy, &question->rule.prefix);
	admin_reply_end(question->reply, answer->result);
	free(question);
}

// A list that is coming in may or may not hold a change made meanwhile; it takes milliseconds.
static bool busy(struct node *node, struct admin_reply *reply)
{
	if (!dataplane_link_up(node->link) || !node->guard.fetching)
		return false;
	admin_reply_end(reply, -EBUSY);
	return true;
}

void guard_provide_set(void *context, const struct api_guard_rule *rule, struct admin_reply *reply)
{
	struct api_guard_rule added = *rule;
	added.origin = API_GUARD_ADDED;
	added.reserved = 0;
	if (!busy(context, reply))
		ask(context, reply, API_GUARD_SET, &added, changed);
}

void guard_provide_remove(void *context, const struct net_prefix *prefix, struct admin_reply *reply)
{
	struct api_guard_rule rule = {.prefix = *prefix};
	if (!busy(context, reply))
		ask(context, reply, API_GUARD_REMOVE, &rule, changed);
}
