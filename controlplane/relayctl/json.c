// SPDX-License-Identifier: BSD-3-Clause
// Answers as JSON objects.

#include "controlplane/relayctl/json.h"

#include "controlplane/relayctl/print.h"
#include "lib/config/config.h"
#include "lib/net/address_text.h"

#include <errno.h>

static void set_number(json_t *object, const char *key, uint64_t number)
{
	json_object_set_new(object, key, json_integer((json_int_t)number));
}

// Text that is not UTF-8 (it cannot be, but it came over a socket) becomes empty.
static void set_text(json_t *object, const char *key, const char *text)
{
	json_t *value = json_string(text);

	json_object_set_new(object, key, value != NULL ? value : json_string(""));
}

static void set_deadline(json_t *object, const char *key, uint32_t milliseconds)
{
	json_object_set_new(object, key,
		milliseconds == ADMIN_NO_DEADLINE ? json_null() : json_integer(milliseconds));
}

static json_t *auth_list(uint32_t auth)
{
	json_t *list = json_array();

	if (auth & CONFIG_AUTH_OPEN)
		json_array_append_new(list, json_string("open"));
	if (auth & CONFIG_AUTH_STATIC)
		json_array_append_new(list, json_string("static"));
	if (auth & CONFIG_AUTH_REST)
		json_array_append_new(list, json_string("rest"));
	return list;
}

static json_t *flow(uint64_t packets, uint64_t bytes)
{
	json_t *object = json_object();

	set_number(object, "packets", packets);
	set_number(object, "bytes", bytes);
	return object;
}

static json_t *listen_list(const struct admin_status *s)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < s->listen_count && i < ADMIN_LISTEN_MAX; i++) {
		struct net_endpoint endpoint = {.address = s->listen[i], .port = s->port};
		char text[NET_ENDPOINT_TEXT_SIZE];
		json_array_append_new(list, json_string(net_endpoint_format(&endpoint, text)));
	}
	return list;
}

static const char *state_word(uint32_t state)
{
	switch (state) {
	case ADMIN_STATE_SERVING:
		return "serving";
	case ADMIN_STATE_DRAINING:
		return "draining";
	case ADMIN_STATE_UNREACHABLE:
		return "unreachable";
	}
	return "unknown";
}

static json_t *registration(const struct admin_registration *r)
{
	json_t *object = json_object();
	char key[RELAYCTL_KEY_TEXT_SIZE];

	json_object_set_new(object, "enabled", json_boolean(r->enabled != 0));
	json_object_set_new(object, "served", json_boolean(r->served != 0));
	set_text(object, "admission", relayctl_text_admission(r->admission));
	set_number(object, "epoch", r->epoch);
	set_number(object, "epoch_seconds", r->epoch_seconds);
	set_number(object, "leases", r->leases);
	set_number(object, "leases_max", r->leases_max);
	set_number(object, "handles", r->handles);
	set_number(object, "handles_max", r->handles_max);
	set_number(object, "load", r->load);
	set_number(object, "difficulty", r->difficulty);
	set_text(object, "relay_key", r->served ? relayctl_text_key(r->relay_key, key) : "");
	return object;
}

json_t *relayctl_json_status(const struct admin_status *s)
{
	json_t *object = json_object();
	json_t *warnings = json_array();

	set_text(object, "name", s->name);
	set_text(object, "state", state_word(s->state));
	if (s->state == ADMIN_STATE_DRAINING)
		set_deadline(object, "drain_left_ms", s->drain_left_ms);
	set_text(object, "controlplane_version", s->controlplane_version);
	set_text(object, "dataplane_version", s->dataplane_version);
	set_number(object, "controlplane_uptime_ms", s->controlplane_uptime_ms);
	set_number(object, "dataplane_uptime_ms", s->dataplane_uptime_ms);
	json_object_set_new(object, "listen", listen_list(s));
	set_number(object, "port", s->port);
	set_number(object, "alternate_port", s->alternate_port);
	set_number(object, "relay_port_first", s->relay_first);
	set_number(object, "relay_port_last", s->relay_last);
	set_number(object, "relay_ports_free", s->relay_ports_free);
	set_number(object, "relay_ports_total", s->relay_ports_total);
	json_object_set_new(object, "auth", auth_list(s->auth));
	set_text(object, "realm", s->realm);
	set_number(object, "allocations", s->allocations);
	set_number(object, "allocations_max", s->allocations_max);
	json_object_set_new(object, "registration", registration(&s->registration));
	set_number(object, "workers", s->workers);
	set_number(object, "ports", s->ports);
	json_object_set_new(object, "hugepages", json_boolean(s->hugepages != 0));
	set_number(object, "buffers_free", s->mbufs_free);
	set_number(object, "buffers_total", s->mbufs_total);
	json_object_set_new(object, "to_peers", flow(s->to_peer_packets, s->to_peer_bytes));
	json_object_set_new(object, "to_clients", flow(s->to_client_packets, s->to_client_bytes));
	set_number(object, "dropped", s->drops);
	for (unsigned i = 0; i < s->warning_count && i < ADMIN_WARNINGS_MAX; i++)
		json_array_append_new(warnings, json_string(s->warnings[i]));
	json_object_set_new(object, "warnings", warnings);
	return object;
}

json_t *relayctl_json_versions(const char *own, const struct admin_versions *versions)
{
	json_t *object = json_object();

	set_text(object, "relayctl", own);
	if (versions != NULL) {
		set_text(object, "controlplane", versions->controlplane);
		if (versions->dataplane[0] != 0)
			set_text(object, "dataplane", versions->dataplane);
	}
	return object;
}

static void set_steering(json_t *object, const struct api_port *port)
{
	set_text(object, "steering_ipv4", relayctl_text_steering(port->steering[0]));
	set_text(object, "steering_ipv6", relayctl_text_steering(port->steering[1]));
}

json_t *relayctl_json_ports(const struct api_port *ports, size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++) {
		const struct api_port *p = &ports[i];
		json_t *object = json_object();
		set_number(object, "port", p->port);
		set_text(object, "name", p->name);
		set_text(object, "driver", p->driver);
		set_text(object, "kernel_interface", p->kernel_interface);
		json_object_set_new(object, "exception_tap", json_boolean(p->has_exception));
		json_object_set_new(object, "up", json_boolean(p->up));
		set_number(object, "speed_mbps", p->speed_mbps);
		set_number(object, "queues", p->queues);
		set_steering(object, p);
		set_number(object, "rx_packets", p->rx_packets);
		set_number(object, "rx_bytes", p->rx_bytes);
		set_number(object, "rx_missed", p->rx_missed);
		set_number(object, "rx_errors", p->rx_errors);
		set_number(object, "tx_packets", p->tx_packets);
		set_number(object, "tx_bytes", p->tx_bytes);
		set_number(object, "tx_errors", p->tx_errors);
		json_array_append_new(list, object);
	}
	return list;
}

static json_t *port_names(const struct api_port *ports, size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++) {
		json_t *object = json_object();
		set_number(object, "port", ports[i].port);
		set_text(object, "name", ports[i].name);
		set_number(object, "queues", ports[i].queues);
		set_steering(object, &ports[i]);
		json_array_append_new(list, object);
	}
	return list;
}

json_t *relayctl_json_workers(const struct api_worker *workers, size_t count,
	const struct api_port *ports, size_t port_count)
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++) {
		const struct api_worker *w = &workers[i];
		json_t *object = json_object();
		set_number(object, "worker", w->worker);
		set_number(object, "core", w->core);
		set_number(object, "queues", w->queues);
		set_number(object, "allocations", w->allocations);
		set_number(object, "allocations_max", w->allocations_max);
		set_number(object, "permissions", w->permissions);
		set_number(object, "channels", w->channels);
		set_number(object, "rx_packets", w->rx_packets);
		set_number(object, "tx_packets", w->tx_packets);
		set_number(object, "handoffs_in", w->handoffs_in);
		set_number(object, "handoffs_out", w->handoffs_out);
		set_number(object, "busy_cycles", w->busy_cycles);
		set_number(object, "idle_cycles", w->idle_cycles);
		// The same for every worker; here so that one answer tells all about hand-offs.
		json_object_set_new(object, "ports", port_names(ports, port_count));
		json_array_append_new(list, object);
	}
	return list;
}

// The list item for a worker's counters, made when it is first met.
static json_t *worker_object(json_t *workers, uint16_t worker)
{
	size_t i;
	json_t *object;

	json_array_foreach(workers, i, object)
	{
		if (json_integer_value(json_object_get(object, "worker")) == worker)
			return object;
	}
	object = json_object();
	set_number(object, "worker", worker);
	json_object_set_new(object, "stages", json_object());
	json_object_set_new(object, "drops", json_object());
	json_object_set_new(object, "events", json_object());
	json_array_append_new(workers, object);
	return object;
}

json_t *relayctl_json_stats(const struct api_counter *counters, size_t count)
{
	json_t *object = json_object();
	json_t *workers = json_array();
	json_t *turn = json_object();
	json_t *registrations = json_object();
	json_t *tokens = json_object(); // empty where they are not used
	json_t *system = json_pack("{s:{},s:{},s:{}}", "stages", "drops", "events");

	for (size_t i = 0; i < count; i++) {
		const struct api_counter *c = &counters[i];
		json_t *owner;
		if (c->kind == ADMIN_COUNTER_TURN) {
			set_number(turn, c->name, c->value);
			continue;
		}
		if (c->kind == ADMIN_COUNTER_REGISTRATION) {
			set_number(registrations, c->name, c->value);
			continue;
		}
		if (c->kind == ADMIN_COUNTER_TOKENS) {
			set_number(tokens, c->name, c->value);
			continue;
		}
		owner = c->worker == API_NO_PORT ? system : worker_object(workers, c->worker);
		if (c->kind == API_COUNTER_STAGE) {
			json_t *stage = json_object();
			set_number(stage, "packets", c->value);
			set_number(stage, "cycles", c->cycles);
			json_object_set_new(json_object_get(owner, "stages"), c->name, stage);
		} else if (c->kind == API_COUNTER_DROP) {
			set_number(json_object_get(owner, "drops"), c->name, c->value);
		} else if (c->kind == API_COUNTER_EVENT) {
			set_number(json_object_get(owner, "events"), c->name, c->value);
		}
	}
	json_object_set_new(object, "workers", workers);
	json_object_set_new(object, "system", system);
	json_object_set_new(object, "turn", turn);
	json_object_set_new(object, "registration", registrations);
	json_object_set_new(object, "tokens", tokens);
	return object;
}

json_t *relayctl_json_changes(const struct admin_change *changes, size_t count, int check)
{
	json_t *object = json_object();
	json_t *list = json_array();
	const char *error = NULL;
	bool later = false;

	for (size_t i = 0; i < count; i++) {
		const struct admin_change *c = &changes[i];
		if (c->outcome == ADMIN_REFUSED) {
			error = c->text;
			continue;
		}
		if (c->outcome == ADMIN_DATAPLANE_LATER) {
			later = true;
			continue;
		}
		json_t *change = json_object();
		json_t *restart = json_array();
		if (c->outcome == ADMIN_NEEDS_DATAPLANE || c->outcome == ADMIN_NEEDS_BOTH)
			json_array_append_new(restart, json_string("relay-dataplane"));
		if (c->outcome == ADMIN_NEEDS_CONTROLPLANE || c->outcome == ADMIN_NEEDS_BOTH)
			json_array_append_new(restart, json_string("relay-controlplane"));
		set_text(change, "section", c->section);
		set_text(change, "key", c->key);
		json_object_set_new(
			change, "applied", json_boolean(!check && c->outcome == ADMIN_APPLIED));
		json_object_set_new(change, "needs_restart", restart);
		json_array_append_new(list, change);
	}
	json_object_set_new(object, "ok", json_boolean(error == NULL));
	json_object_set_new(object, "check", json_boolean(check));
	if (error != NULL)
		set_text(object, "error", error);
	json_object_set_new(object, "dataplane_told_later", json_boolean(later));
	json_object_set_new(object, "changes", list);
	return object;
}

int relayctl_json_print(json_t *value, int indented, FILE *out)
{
	size_t flags = indented ? JSON_INDENT(2) : JSON_COMPACT;

	if (value == NULL)
		return -ENOMEM;
	int rc = json_dumpf(value, out, flags) < 0 || fputc('\n', out) == EOF ? -EIO : 0;
	json_decref(value);
	return rc;
}
