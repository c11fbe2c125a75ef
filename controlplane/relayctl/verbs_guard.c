// SPDX-License-Identifier: BSD-3-Clause
// guard: what was dropped for which reason, limits and rules in force; guard block, allow, remove.

#include "controlplane/relayctl/client.h"
#include "controlplane/relayctl/json.h"
#include "controlplane/relayctl/print.h"
#include "controlplane/relayctl/relayctl.h"
#include "controlplane/relayctl/table.h"

#include "lib/net/address_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(n) relayctl_text_count((n), (char[RELAYCTL_TEXT_SIZE]){0})

// The same reason in the two places where it can be found: the XDP programs (a counter of the
// system) and the workers.
static const struct reason {
	const char *key, *text;
	const char *xdp;        // NULL: only workers can tell
	const char *workers[2]; // names of drops or events
} reasons[] = {
	{"blocked", "source is blocked", "steer_drop_blocked", {"blocked"}},
	{"source", "source nobody can answer", "steer_drop_source", {"bad_relayed_source"}},
	{"unallocated", "relayed port nobody has", "steer_drop_unallocated", {"no_allocation"}},
	{"length", "contradicting lengths", "steer_drop_length", {"bad_length"}},
	{"short", "shorter than any message", "steer_drop_short", {"truncated"}},
	{"first_byte", "unknown protocol", "steer_drop_first_byte", {"first_byte_unknown"}},
	{"stun", "no STUN a client sends", "steer_drop_stun",
		{"stun_malformed", "stun_unexpected"}},
	{"channel_data", "malformed ChannelData", "steer_drop_channel", {"channel_malformed"}},
	{"requests", "requests of one network", "steer_drop_budget", {"punt_budget"}},
	{"requests_total", "requests of all networks", NULL, {"punt_total"}},
	{"replies", "replies to one network", NULL, {"reply_budget"}},
	{"new_allocations", "new allocations", NULL, {"flood_refused"}},
	{"native", "nothing a native client sends", NULL, {"native_malformed", "native_type"}},
	{"sender", "data by address of one sender", NULL, {"sender_budget"}},
	{"address", "data for one address", NULL, {"address_budget"}},
};
enum { REASONS = sizeof(reasons) / sizeof(reasons[0]) };

static uint64_t sum(const struct relayctl_list *list, const char *name, bool xdp)
{
	const struct api_counter *counters = list->items;
	uint64_t total = 0;

	for (size_t i = 0; name != NULL && i < list->count; i++)
		if ((counters[i].worker == API_NO_PORT) == xdp &&
			(counters[i].kind == API_COUNTER_DROP ||
				counters[i].kind == API_COUNTER_EVENT) &&
			strcmp(counters[i].name, name) == 0)
			total += counters[i].value;
	return total;
}

static uint64_t of_xdp(const struct relayctl_list *counters, const struct reason *reason)
{
	return sum(counters, reason->xdp, true);
}

static uint64_t of_workers(const struct relayctl_list *counters, const struct reason *reason)
{
	return sum(counters, reason->workers[0], false) + sum(counters, reason->workers[1], false);
}

static const char *action_name(unsigned action)
{
	return action == API_GUARD_BLOCK   ? "block"
	       : action == API_GUARD_ALLOW ? "allow"
					   : "unknown";
}

static const char *origin_name(unsigned origin)
{
	return origin == API_GUARD_CONFIGURED ? "configuration" : "relayctl";
}

enum { PREFIX_TEXT_SIZE = NET_ADDRESS_TEXT_SIZE + 4 };

static const char *prefix_text(const struct net_prefix *prefix, char text[static PREFIX_TEXT_SIZE])
{
	char address[NET_ADDRESS_TEXT_SIZE];

	snprintf(text, PREFIX_TEXT_SIZE, "%s/%u", net_address_format(&prefix->address, address),
		prefix->length);
	return text;
}

static int compare_rules(const void *a, const void *b)
{
	const struct net_prefix *p = &((const struct api_guard_rule *)a)->prefix;
	const struct net_prefix *q = &((const struct api_guard_rule *)b)->prefix;
	int order = net_address_compare(&p->address, &q->address);

	return order ? order : (int)p->length - (int)q->length;
}

// ---- showing ----

struct answers {
	struct relayctl_list counters, rules;
	struct api_guard_limits limits;
	struct admin_status status; // for those of [registration]
};

static void print_tables(const struct answers *a)
{
	struct relayctl_table *table =
		relayctl_table_create("lrrr", "DROPPED BECAUSE OF|XDP|WORKERS|TOTAL");
	const struct api_guard_rule *rules = a->rules.items;

	for (unsigned i = 0; i < REASONS; i++) {
		uint64_t xdp = of_xdp(&a->counters, &reasons[i]);
		uint64_t workers = of_workers(&a->counters, &reasons[i]);
		relayctl_table_cell(table, "%s", reasons[i].text);
		relayctl_table_cell(table, "%s", reasons[i].xdp ? COUNT(xdp) : "-");
		relayctl_table_cell(table, "%s", COUNT(workers));
		relayctl_table_cell(table, "%s", COUNT(xdp + workers));
	}
	relayctl_table_print(table, stdout);
	printf("\nLimits, per second\n");
	table = relayctl_table_create("lr", NULL);
	const struct {
		const char *text;
		uint32_t value;
	} limits[] = {
		{"bytes of replies to one network", a->limits.reply_bytes},
		{"requests of one network, without an allocation", a->limits.punts},
		{"requests of one network, with one", a->limits.punts_with_allocation},
		{"requests of all networks, without an allocation", a->limits.punts_total},
		{"new allocations of each worker", a->limits.new_allocations},
		{"bytes by address of one sender, on each worker",
			a->status.registration.sender_bytes},
		{"bytes for one address, on each worker", a->status.registration.address_bytes},
		{"new leases", a->status.registration.new_leases},
		{"registrations without a puzzle (admission = pow)",
			a->status.registration.puzzle_above},
	};
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		relayctl_table_cell(table, "%s", limits[i].text);
		relayctl_table_cell(table, "%s", COUNT(limits[i].value));
	}
	relayctl_table_print(table, stdout);
	printf("\nRules%s\n", a->rules.count ? "" : ": none");
	table = relayctl_table_create("lll", "RULE|PREFIX|FROM");
	for (size_t i = 0; i < a->rules.count; i++) {
		char text[PREFIX_TEXT_SIZE];
		relayctl_table_cell(table, "%s", action_name(rules[i].action));
		relayctl_table_cell(table, "%s", prefix_text(&rules[i].prefix, text));
		relayctl_table_cell(table, "%s", origin_name(rules[i].origin));
	}
	relayctl_table_print(table, a->rules.count ? stdout : NULL);
}

static json_t *json_of(const struct answers *a)
{
	json_t *drops = json_object(), *rules = json_array();
	const struct api_guard_rule *rule = a->rules.items;

	for (unsigned i = 0; i < REASONS; i++)
		json_object_set_new(drops, reasons[i].key,
			json_pack("{s:I,s:I}", "xdp", (json_int_t)of_xdp(&a->counters, &reasons[i]),
				"workers", (json_int_t)of_workers(&a->counters, &reasons[i])));
	for (size_t i = 0; i < a->rules.count; i++) {
		char text[PREFIX_TEXT_SIZE];
		json_array_append_new(rules,
			json_pack("{s:s,s:s,s:s}", "prefix", prefix_text(&rule[i].prefix, text),
				"rule", action_name(rule[i].action), "from",
				origin_name(rule[i].origin)));
	}
	return json_pack("{s:o,s:{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I},s:o}", "drops", drops,
		"limits", "reply_bytes", (json_int_t)a->limits.reply_bytes, "punts",
		(json_int_t)a->limits.punts, "punts_with_allocation",
		(json_int_t)a->limits.punts_with_allocation, "punts_total",
		(json_int_t)a->limits.punts_total, "new_allocations",
		(json_int_t)a->limits.new_allocations, "sender_bytes",
		(json_int_t)a->status.registration.sender_bytes, "address_bytes",
		(json_int_t)a->status.registration.address_bytes, "new_leases",
		(json_int_t)a->status.registration.new_leases, "puzzle_above",
		(json_int_t)a->status.registration.puzzle_above, "rules", rules);
}

static int fetch(struct relayctl_client *client, struct answers *a)
{
	int rc =
		relayctl_client_list(client, ADMIN_STATS, sizeof(struct api_counter), &a->counters);

	if (rc == 0)
		rc = relayctl_client_list(
			client, ADMIN_GUARD_RULES, sizeof(struct api_guard_rule), &a->rules);
	if (rc == 0)
		rc = relayctl_client_ask(
			client, ADMIN_GUARD_LIMITS, NULL, 0, &a->limits, sizeof(a->limits));
	if (rc == 0)
		rc = relayctl_client_ask(
			client, ADMIN_STATUS, NULL, 0, &a->status, sizeof(a->status));
	return rc;
}

static int show(const struct relayctl_options *options)
{
	struct relayctl_client *client;
	struct answers a = {0};
	int rc = relayctl_client_open(options->socket, &client);

	if (rc < 0)
		return relayctl_client_explain(options->socket, NULL, rc);
	rc = fetch(client, &a);
	relayctl_client_close(client);
	if (rc < 0) {
		rc = relayctl_client_explain(options->socket, "guard", rc);
	} else {
		relayctl_clean_counters(a.counters.items, a.counters.count);
		if (a.rules.count)
			qsort(a.rules.items, a.rules.count, sizeof(struct api_guard_rule),
				compare_rules);
		if (!options->json)
			print_tables(&a);
		else if ((rc = relayctl_json_print(json_of(&a), 1, stdout)) < 0)
			fprintf(stderr, "relayctl: cannot print: %s\n", strerror(-rc));
		rc = rc < 0 ? RELAYCTL_FAILED : RELAYCTL_OK;
	}
	free(a.counters.items);
	free(a.rules.items);
	return rc;
}

// ---- changing ----

static int explain_change(const struct relayctl_options *options, const char *text, int error)
{
	switch (error) {
	case -ENOENT:
		fprintf(stderr,
			"relayctl: guard remove: there is no rule for %s: relayctl guard shows "
			"them\n",
			text);
		return RELAYCTL_FAILED;
	case -ENOSPC:
		fprintf(stderr,
			"relayctl: guard: there are %d rules already: remove some, or join "
			"prefixes\n",
			API_GUARD_RULES_MAX);
		return RELAYCTL_FAILED;
	default:
		return relayctl_client_explain(options->socket, "guard", error);
	}
}

static int change(const struct relayctl_options *options, const struct net_prefix *prefix)
{
	struct api_guard_rule rule = {
		.prefix = *prefix,
		.action = strcmp(options->action, "block") == 0 ? API_GUARD_BLOCK : API_GUARD_ALLOW,
		.origin = API_GUARD_ADDED,
	};
	bool remove = strcmp(options->action, "remove") == 0;
	char text[PREFIX_TEXT_SIZE];
	struct relayctl_client *client;
	int rc = relayctl_client_open(options->socket, &client);

	if (rc < 0)
		return relayctl_client_explain(options->socket, NULL, rc);
	if (remove)
		rc = relayctl_client_ask(
			client, ADMIN_GUARD_REMOVE, prefix, sizeof(*prefix), NULL, 0);
	else
		rc = relayctl_client_ask(client, ADMIN_GUARD_SET, &rule, sizeof(rule), NULL, 0);
	relayctl_client_close(client);
	prefix_text(prefix, text);
	if (rc < 0)
		return explain_change(options, text, rc);
	if (options->json)
		return relayctl_json_print(json_pack("{s:s,s:s}", "prefix", text, "rule",
						   remove ? "none" : options->action),
			       0, stdout) < 0
			       ? RELAYCTL_FAILED
			       : RELAYCTL_OK;
	if (remove)
		printf("%s has no rule any more\n", text);
	else
		printf("%s %s; live calls end by their own timers only\n", text,
			rule.action == API_GUARD_BLOCK ? "is blocked" : "is allowed");
	puts("This is not stored: what is to last belongs into [guard] of the configuration.");
	return RELAYCTL_OK;
}

int relayctl_guard(const struct relayctl_options *options)
{
	struct net_prefix prefix;

	if (options->action == NULL)
		return show(options);
	if (net_prefix_parse(options->operand, &prefix) < 0) {
		fprintf(stderr,
			"relayctl: guard %s: \"%.100s\" is no prefix; expected an address, or a "
			"prefix without bits behind its length (198.51.100.0/24)\n",
			options->action, options->operand);
		return RELAYCTL_USAGE;
	}
	return change(options, &prefix);
}
