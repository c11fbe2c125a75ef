// SPDX-License-Identifier: BSD-3-Clause
// The provider of status.h. Each question that the dataplane has to answer is a small struct on the
// heap between request and last answer.
#include "controlplane/status.h"

#include "controlplane/local_ports.h"
#include "controlplane/token_verbs.h"
#include "lib/net/address_text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct question {
	struct node *node;
	struct admin_reply *reply;
	bool drain_on;
};

static void ask(struct node *node, struct admin_reply *reply, enum api_type type,
	const void *payload, uint32_t size, dataplane_callback callback, bool drain_on)
{
	struct question *question = calloc(1, sizeof(*question));
	int rc = -ENOMEM;
	if (question) {
		*question = (struct question){.node = node, .reply = reply, .drain_on = drain_on};
		if (dataplane_link_request(node->link, type, payload, size, callback, question))
			return;
		rc = dataplane_link_up(node->link) ? -EBUSY : -ENOTCONN;
	}
	free(question);
	admin_reply_end(reply, rc);
}

static void finish(struct question *question, int result)
{
	admin_reply_end(question->reply, result);
	free(question);
}

// Every item as it came.
static void forward(void *context, const struct dataplane_answer *answer)
{
	struct question *question = context;
	if (answer->last)
		finish(question, answer->result);
	else
		admin_reply_item(question->reply, answer->payload, answer->size);
}

static void provide_ports(void *context, struct admin_reply *reply)
{
	ask(context, reply, API_PORTS, NULL, 0, forward, false);
}

static void provide_workers(void *context, struct admin_reply *reply)
{
	ask(context, reply, API_WORKERS, NULL, 0, forward, false);
}

// ---- stats ----

__attribute__((format(printf, 4, 5))) static void tell_counter(
	struct admin_reply *reply, uint16_t kind, uint64_t value, const char *format, ...)
{
	struct api_counter counter = {.worker = API_NO_PORT, .kind = kind, .value = value};
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(counter.name, sizeof(counter.name), format, arguments);
	va_end(arguments);
	admin_reply_item(reply, &counter, sizeof(counter));
}

static void tell_own_counters(const struct node *node, struct admin_reply *reply)
{
	for (int i = 0; i < TURN_COUNTER_COUNT; i++)
		tell_counter(reply, ADMIN_COUNTER_TURN,
			turn_core_counter(node->core, (enum turn_counter)i), "%s",
			turn_counter_names[i]);
	for (int i = 0; node->tokens && i < TOKENS_COUNTER_COUNT; i++)
		tell_counter(reply, ADMIN_COUNTER_TOKENS,
			tokens_counter(node->tokens, (enum tokens_counter)i), "%s",
			tokens_counter_names[i]);
	for (int i = 0; i < REGISTRATION_COUNTER_COUNT; i++)
		tell_counter(reply, ADMIN_COUNTER_REGISTRATION,
			registration_core_counter(node->registration, (enum registration_counter)i),
			"%s", registration_counter_names[i]);
	const struct dataplane_link_counters *link = dataplane_link_counters(node->link);
#define TELL(name) tell_counter(reply, API_COUNTER_EVENT, link->name, "control_link_%s", #name);
	DATAPLANE_LINK_COUNTERS(TELL)
#undef TELL
	const struct routes_counters *routes = routes_counters(node->routes);
#define TELL(name)                                                                                 \
	tell_counter(reply, API_COUNTER_EVENT, routes->name, "control_netlink_%s", #name);
	ROUTES_COUNTERS(TELL)
#undef TELL
	struct routes_mirror_counts counts;
	routes_count(node->routes, &counts);
	tell_counter(reply, API_COUNTER_EVENT, counts.links, "control_mirror_links");
	tell_counter(reply, API_COUNTER_EVENT, counts.prefixes, "control_mirror_prefixes");
	tell_counter(reply, API_COUNTER_EVENT, counts.neighbours, "control_mirror_neighbours");
	tell_counter(reply, API_COUNTER_EVENT, node->routing_refused, "control_mirror_refused");
	tell_counter(reply, API_COUNTER_EVENT, node->resyncs, "control_resyncs");
}

static void stats_answered(void *context, const struct dataplane_answer *answer)
{
	struct question *question = context;
	if (!answer->last) {
		admin_reply_item(question->reply, answer->payload, answer->size);
		return;
	}
	if (!answer->result)
		tell_own_counters(question->node, question->reply);
	finish(question, answer->result);
}

static void provide_stats(void *context, struct admin_reply *reply)
{
	ask(context, reply, API_COUNTERS, NULL, 0, stats_answered, false);
}

// ---- drain ----

static void drain_answered(void *context, const struct dataplane_answer *answer)
{
	struct question *question = context;
	if (!answer->result)
		node_drained(question->node, question->drain_on);
	finish(question, answer->result);
}

static void provide_drain(void *context, const struct api_drain *drain, struct admin_reply *reply)
{
	ask(context, reply, API_DRAIN, drain, sizeof(*drain), drain_answered, drain->on);
}

// ---- reload ----

static enum admin_outcome outcome_of(unsigned restart)
{
	switch (restart) {
	case 0:
		return ADMIN_APPLIED;
	case CONFIG_RESTART_DATAPLANE:
		return ADMIN_NEEDS_DATAPLANE;
	case CONFIG_RESTART_CONTROLPLANE:
		return ADMIN_NEEDS_CONTROLPLANE;
	default:
		return ADMIN_NEEDS_BOTH;
	}
}

static void reload_done_with(void *context, const struct reload_report *report)
{
	struct admin_reply *reply = context;
	struct admin_change item = {0};
	for (unsigned i = 0; i < report->count; i++) {
		const struct reload_change *change = &report->changes[i];
		memset(&item, 0, sizeof(item));
		item.outcome = outcome_of(change->restart);
		snprintf(item.section, sizeof(item.section), "%s", config_key_section(change->key));
		snprintf(item.key, sizeof(item.key), "%s", config_key_name(change->key));
		admin_reply_item(reply, &item, sizeof(item));
	}
	memset(&item, 0, sizeof(item));
	if (report->error[0]) {
		item.outcome = ADMIN_REFUSED;
		snprintf(item.text, sizeof(item.text), "%s", report->error);
		admin_reply_item(reply, &item, sizeof(item));
	} else if (report->dataplane_down) {
		item.outcome = ADMIN_DATAPLANE_LATER;
		admin_reply_item(reply, &item, sizeof(item));
	}
	admin_reply_end(reply, 0);
}

static void provide_reload(void *context, bool check, struct admin_reply *reply)
{
	node_reload(context, check, reload_done_with, reply);
}

// ---- versions, status ----

static void provide_versions(void *context, struct admin_reply *reply)
{
	const struct node *node = context;
	struct admin_versions versions = {0};
	snprintf(versions.controlplane, sizeof(versions.controlplane), "%s", VERSION);
	if (dataplane_link_up(node->link))
		snprintf(versions.dataplane, sizeof(versions.dataplane), "%s",
			node->hello.program_version);
	admin_reply_item(reply, &versions, sizeof(versions));
	admin_reply_end(reply, 0);
}

void status_warn(struct admin_status *status, const char *format, ...)
{
	if (status->warning_count == ADMIN_WARNINGS_MAX)
		return;
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(status->warnings[status->warning_count++], ADMIN_WARNING_SIZE, format, arguments);
	va_end(arguments);
}

static void warn_of_listen(const struct node *node, struct admin_status *status)
{
	for (unsigned i = 0; node->addresses_known && i < node->config->address.listen_count; i++) {
		char text[NET_ADDRESS_TEXT_SIZE];
		if (!node->listen_missing[i])
			continue;
		net_address_format(&node->config->address.listen[i], text);
		status_warn(status,
			"[address] listen %s is on no interface of this host: add it (ip address "
			"add) or correct the configuration",
			text);
	}
}

static void warn_of_local_ports(const struct config *config, struct admin_status *status)
{
	unsigned overlap =
		local_ports_overlap_here(config->address.relay_first, config->address.relay_last);
	if (overlap)
		status_warn(status,
			"the host's own connections may take %u of the relayed ports and would not "
			"get their answers: sysctl net.ipv4.ip_local_reserved_ports=%u-%u",
			overlap, config->address.relay_first, config->address.relay_last);
}

static void warn_of_other_configuration(const struct node *node, struct admin_status *status)
{
	for (int key = -1; (key = reload_disagreement(node, (unsigned)(key + 1))) >= 0;)
		status_warn(status,
			"relay-dataplane and relay-controlplane were started with different values "
			"of [%s] %s: restart the one that was started first",
			config_key_section((unsigned)key), config_key_name((unsigned)key));
	if (node->reload.settings_refused)
		status_warn(status,
			"relay-dataplane refuses relay-ports %u-%u: it listens on a port inside, "
			"or "
			"serves allocations on two earlier ranges",
			node->config->address.relay_first, node->config->address.relay_last);
}

static void warn_of_dataplane(const struct node *node, struct admin_status *status)
{
	if (!dataplane_link_up(node->link)) {
		status_warn(status, "no dataplane: %s", node_trouble(node));
		return;
	}
	warn_of_other_configuration(node, status);
	for (size_t i = 0; i < node->port_count; i++)
		if (!routes_port_up(node->routes, node->ports[i]))
			status_warn(status, "interface %s is down or gone", node->ports[i]);
	if (!node->snapshot_done)
		status_warn(status, "the dataplane's live allocations are still being counted");
	if (!node->routing_done)
		status_warn(status, "the kernel's routes are still being copied to the dataplane");
	if (node->routing_refused)
		status_warn(status,
			"the dataplane refused %llu links, routes or neighbours: its routing "
			"tables are full",
			(unsigned long long)node->routing_refused);
}

static void warn_of_tokens(const struct node *node, struct admin_status *status)
{
	const char *trouble = node->tokens ? tokens_trouble(node->tokens) : NULL;
	if (trouble)
		status_warn(status, "%s", trouble);
}

static void fill_configured(const struct node *node, struct admin_status *status)
{
	const struct config *config = node->config;
	snprintf(status->name, sizeof(status->name), "%s", config->node.name);
	snprintf(status->realm, sizeof(status->realm), "%s", config->turn.realm);
	snprintf(status->controlplane_version, sizeof(status->controlplane_version), "%s", VERSION);
	status->controlplane_uptime_ms = uv_hrtime() / 1000000 - node->started_ms;
	status->auth = config->turn.auth;
	status->port = config->address.port;
	status->alternate_port = config->address.alternate_port;
	status->relay_first = config->address.relay_first;
	status->relay_last = config->address.relay_last;
	status->listen_count = config->address.listen_count;
	for (unsigned i = 0; i < status->listen_count; i++)
		status->listen[i] = config->address.listen[i];
	struct turn_usage usage;
	turn_core_usage(node->core, &usage);
	status->relay_ports_free = usage.ports_free;
	status->relay_ports_total = usage.ports_total;
	status->state = ADMIN_STATE_UNREACHABLE;
	status->drain_left_ms = ADMIN_NO_DEADLINE;
}

static void fill_gauges(
	const struct node *node, const struct api_gauges *gauges, struct admin_status *status)
{
	status->state = gauges->draining ? ADMIN_STATE_DRAINING : ADMIN_STATE_SERVING;
	status->drain_left_ms = gauges->drain_left_ms;
	snprintf(status->dataplane_version, sizeof(status->dataplane_version), "%s",
		node->hello.program_version);
	status->dataplane_uptime_ms = gauges->uptime_ms;
	status->allocations = gauges->allocations;
	status->allocations_max = (uint64_t)node->hello.workers * node->hello.allocations_max;
	status->to_peer_packets = gauges->relayed_to_peer_packets;
	status->to_peer_bytes = gauges->relayed_to_peer_bytes;
	status->to_client_packets = gauges->relayed_to_client_packets;
	status->to_client_bytes = gauges->relayed_to_client_bytes;
	status->drops = gauges->drops;
	status->mbufs_free = gauges->mbufs_free;
	status->mbufs_total = gauges->mbufs_total;
	status->workers = node->hello.workers;
	status->ports = node->hello.ports;
	status->hugepages = gauges->hugepages;
}

static void tell_status(
	const struct node *node, const struct api_gauges *gauges, struct admin_reply *reply)
{
	struct admin_status status = {0};
	fill_configured(node, &status);
	if (gauges)
		fill_gauges(node, gauges, &status);
	native_status(node, gauges, &status);
	warn_of_dataplane(node, &status);
	warn_of_tokens(node, &status);
	warn_of_listen(node, &status);
	warn_of_local_ports(node->config, &status);
	admin_reply_item(reply, &status, sizeof(status));
	admin_reply_end(reply, 0);
}

static void gauges_answered(void *context, const struct dataplane_answer *answer)
{
	struct question *question = context;
	struct api_gauges gauges;
	bool answered = answer->result == 0 && answer->size == sizeof(gauges);
	if (answered)
		memcpy(&gauges, answer->payload, sizeof(gauges));
	tell_status(question->node, answered ? &gauges : NULL, question->reply);
	free(question);
}

static void provide_status(void *context, struct admin_reply *reply)
{
	struct node *node = context;
	struct question *question = calloc(1, sizeof(*question));
	if (question) {
		*question = (struct question){.node = node, .reply = reply};
		if (dataplane_link_request(
			    node->link, API_GAUGES, NULL, 0, gauges_answered, question))
			return;
	}
	free(question);
	tell_status(node, NULL, reply);
}

struct admin_provider status_provider(struct node *node)
{
	return (struct admin_provider){
		.context = node,
		.status = provide_status,
		.versions = provide_versions,
		.stats = provide_stats,
		.ports = provide_ports,
		.workers = provide_workers,
		.drain = provide_drain,
		.reload = provide_reload,
		.guard_rules = guard_provide_rules,
		.guard_limits = guard_provide_limits,
		.guard_set = guard_provide_set,
		.guard_remove = guard_provide_remove,
		.token_keys = token_provide_keys,
		.token_rotate = token_provide_rotate,
		.token_retire = token_provide_retire,
		.token_issue = token_provide_issue,
	};
}
