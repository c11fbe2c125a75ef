// SPDX-License-Identifier: BSD-3-Clause
// The copy of the rules, and the questions of the admin socket, see guard.h.
#include "controlplane/guard.h"

#include "controlplane/node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// ---- the copy ----

static struct api_guard_rule *find(
	struct api_guard_rule *rules, unsigned count, const struct net_prefix *prefix)
{
	for (unsigned i = 0; i < count; i++)
		if (rules[i].prefix.length == prefix->length &&
			net_address_equal(&rules[i].prefix.address, &prefix->address))
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
	copy->known = true;
	copy->restore = false;
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
	copy->fetching =
		copy->own && copy->told &&
		dataplane_link_request(node->link, API_GUARD_RULES, NULL, 0, rules_told, node) != 0;
	if (!copy->fetching)
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
