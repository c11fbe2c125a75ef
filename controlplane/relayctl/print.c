// SPDX-License-Identifier: BSD-3-Clause
// Answers as aligned tables.

#include "controlplane/relayctl/print.h"

#include "controlplane/relayctl/table.h"
#include "lib/config/config.h"
#include "lib/net/address_text.h"

#include <stdbool.h>

// A buffer of its own for each use, alive until the end of the block.
#define COUNT(n)    relayctl_text_count((n), (char[RELAYCTL_TEXT_SIZE]){0})
#define BYTES(n)    relayctl_text_bytes((n), (char[RELAYCTL_TEXT_SIZE]){0})
#define DURATION(n) relayctl_text_duration((n), (char[RELAYCTL_TEXT_SIZE]){0})

static void add_state(struct relayctl_table *table, const struct admin_status *s)
{
	const char *state = relayctl_text_state(s->state);

	relayctl_table_cell(table, "state");
	if (s->state == ADMIN_STATE_DRAINING && s->drain_left_ms != ADMIN_NO_DEADLINE)
		relayctl_table_cell(table, "%s, %s left", state, DURATION(s->drain_left_ms));
	else if (s->state == ADMIN_STATE_UNREACHABLE)
		relayctl_table_cell(table, "%s: is relay-dataplane running?", state);
	else
		relayctl_table_cell(table, "%s", state);
}

static void add_listen(struct relayctl_table *table, const struct admin_status *s)
{
	for (unsigned i = 0; i < s->listen_count && i < ADMIN_LISTEN_MAX; i++) {
		struct net_endpoint endpoint = {.address = s->listen[i], .port = s->port};
		char text[NET_ENDPOINT_TEXT_SIZE];
		relayctl_table_cell(table, "%s", i == 0 ? "listen" : "");
		relayctl_table_cell(table, "%s", net_endpoint_format(&endpoint, text));
	}
}

static void add_registration(struct relayctl_table *table, const struct admin_registration *r)
{
	char key[RELAYCTL_KEY_TEXT_SIZE];

	relayctl_table_cell(table, "registration");
	if (!r->served) {
		relayctl_table_cell(table, r->enabled ? "not served" : "off");
		return;
	}
	relayctl_table_cell(table, "admission %s, epoch %u of %s",
		relayctl_text_admission(r->admission), r->epoch,
		DURATION((uint64_t)r->epoch_seconds * 1000));
	if (r->admission == CONFIG_ADMISSION_POW) {
		relayctl_table_cell(table, "puzzle");
		relayctl_table_cell(table, "%u bits at %s registrations a second", r->difficulty,
			COUNT(r->load));
	}
	relayctl_table_cell(table, "relay key");
	relayctl_table_cell(table, "%s", relayctl_text_key(r->relay_key, key));
}

void relayctl_print_status(const struct admin_status *s, FILE *out)
{
	struct relayctl_table *table = relayctl_table_create("ll", NULL);
	bool reachable = s->state != ADMIN_STATE_UNREACHABLE;
	char auth[RELAYCTL_TEXT_SIZE];

	relayctl_table_cell(table, "relay");
	relayctl_table_cell(table, "%s, version %s", s->name, s->controlplane_version);
	add_state(table, s);
	relayctl_table_cell(table, "up");
	if (reachable)
		relayctl_table_cell(table, "dataplane %s, control plane %s",
			DURATION(s->dataplane_uptime_ms), DURATION(s->controlplane_uptime_ms));
	else
		relayctl_table_cell(table, "control plane %s", DURATION(s->controlplane_uptime_ms));
	add_listen(table, s);
	relayctl_table_cell(table, "authentication");
	relayctl_table_cell(table, "%s (realm %s)", relayctl_text_auth(s->auth, auth), s->realm);
	add_registration(table, &s->registration);
	relayctl_table_cell(table, "relay ports");
	if (reachable)
		relayctl_table_cell(table, "%u-%u, %s of %s free", s->relay_first, s->relay_last,
			COUNT(s->relay_ports_free), COUNT(s->relay_ports_total));
	else
		relayctl_table_cell(table, "%u-%u", s->relay_first, s->relay_last);
	if (reachable) {
		relayctl_table_cell(table, "allocations");
		relayctl_table_cell(
			table, "%s of %s", COUNT(s->allocations), COUNT(s->allocations_max));
		relayctl_table_cell(table, "leases");
		relayctl_table_cell(table, "%s of %s", COUNT(s->registration.leases),
			COUNT(s->registration.leases_max));
		relayctl_table_cell(table, "handles");
		relayctl_table_cell(table, "%s of %s", COUNT(s->registration.handles),
			COUNT(s->registration.handles_max));
		relayctl_table_cell(table, "dataplane");
		relayctl_table_cell(table, "%u worker%s, %u port%s, %s hugepages", s->workers,
			s->workers == 1 ? "" : "s", s->ports, s->ports == 1 ? "" : "s",
			s->hugepages ? "with" : "without");
		relayctl_table_cell(table, "buffers");
		relayctl_table_cell(
			table, "%s of %s free", COUNT(s->mbufs_free), COUNT(s->mbufs_total));
		relayctl_table_cell(table, "to peers");
		relayctl_table_cell(table, "%s packets, %s", COUNT(s->to_peer_packets),
			BYTES(s->to_peer_bytes));
		relayctl_table_cell(table, "to clients");
		relayctl_table_cell(table, "%s packets, %s", COUNT(s->to_client_packets),
			BYTES(s->to_client_bytes));
		relayctl_table_cell(table, "dropped");
		relayctl_table_cell(table, "%s packets", COUNT(s->drops));
	}
	for (unsigned i = 0; i < s->warning_count && i < ADMIN_WARNINGS_MAX; i++) {
		relayctl_table_cell(table, "warning");
		relayctl_table_cell(table, "%s", s->warnings[i]);
	}
	relayctl_table_print(table, out);
}

void relayctl_print_ports(const struct api_port *ports, size_t count, FILE *out)
{
	struct relayctl_table *table = relayctl_table_create("rllllrrrrrrrrl",
		"PORT|NAME|DRIVER|KERNEL|LINK|QUEUES|RX|RX BYTES|RX MISSED|RX ERRORS|TX|TX "
		"BYTES|TX ERRORS|STEERING");

	for (size_t i = 0; i < count; i++) {
		const struct api_port *p = &ports[i];
		relayctl_table_cell(table, "%u", p->port);
		relayctl_table_cell(table, "%s", p->name);
		relayctl_table_cell(table, "%s", p->driver);
		relayctl_table_cell(
			table, "%s%s", p->kernel_interface, p->has_exception ? " (TAP)" : "");
		if (p->up && p->speed_mbps != 0)
			relayctl_table_cell(table, "%u Mbit/s", p->speed_mbps);
		else
			relayctl_table_cell(table, "%s", p->up ? "up" : "down");
		relayctl_table_cell(table, "%u", p->queues);
		relayctl_table_cell(table, "%s", COUNT(p->rx_packets));
		relayctl_table_cell(table, "%s", BYTES(p->rx_bytes));
		relayctl_table_cell(table, "%s", COUNT(p->rx_missed));
		relayctl_table_cell(table, "%s", COUNT(p->rx_errors));
		relayctl_table_cell(table, "%s", COUNT(p->tx_packets));
		relayctl_table_cell(table, "%s", BYTES(p->tx_bytes));
		relayctl_table_cell(table, "%s", COUNT(p->tx_errors));
		if (p->steering[0] != 0 && p->steering[1] != 0 && p->steering[0] != p->steering[1])
			relayctl_table_cell(table, "%s, IPv6 %s",
				relayctl_text_steering(p->steering[0]),
				relayctl_text_steering(p->steering[1]));
		else
			relayctl_table_cell(table, "%s",
				relayctl_text_steering(p->steering[p->steering[0] == 0]));
	}
	relayctl_table_print(table, out);
}

static void print_steering(const struct api_port *ports, size_t count, FILE *out)
{
	struct relayctl_table *table =
		relayctl_table_create("rlrll", "PORT|NAME|QUEUES|IPV4 STEERED BY|IPV6 STEERED BY");

	for (size_t i = 0; i < count; i++) {
		const struct api_port *p = &ports[i];
		relayctl_table_cell(table, "%u", p->port);
		relayctl_table_cell(table, "%s", p->name);
		relayctl_table_cell(table, "%u", p->queues);
		relayctl_table_cell(table, "%s", relayctl_text_steering(p->steering[0]));
		relayctl_table_cell(table, "%s", relayctl_text_steering(p->steering[1]));
	}
	relayctl_table_print(table, out);
}

void relayctl_print_workers(const struct api_worker *workers, size_t count,
	const struct api_port *ports, size_t port_count, FILE *out)
{
	struct relayctl_table *table =
		relayctl_table_create("rrrrrrrrrrr", "WORKER|CORE|QUEUES|BUSY|ALLOCATIONS|LIMIT|"
						     "PERMISSIONS|CHANNELS|RX|TX|HAND-OFFS IN/OUT");

	for (size_t i = 0; i < count; i++) {
		const struct api_worker *w = &workers[i];
		double cycles = (double)w->busy_cycles + (double)w->idle_cycles;
		relayctl_table_cell(table, "%u", w->worker);
		relayctl_table_cell(table, "%u", w->core);
		relayctl_table_cell(table, "%u", w->queues);
		relayctl_table_cell(
			table, "%.1f %%", cycles > 0 ? 100 * (double)w->busy_cycles / cycles : 0);
		relayctl_table_cell(table, "%s", COUNT(w->allocations));
		relayctl_table_cell(table, "%s", COUNT(w->allocations_max));
		relayctl_table_cell(table, "%s", COUNT(w->permissions));
		relayctl_table_cell(table, "%s", COUNT(w->channels));
		relayctl_table_cell(table, "%s", COUNT(w->rx_packets));
		relayctl_table_cell(table, "%s", COUNT(w->tx_packets));
		relayctl_table_cell(
			table, "%s / %s", COUNT(w->handoffs_in), COUNT(w->handoffs_out));
	}
	relayctl_table_print(table, out);
	fputc('\n', out);
	print_steering(ports, port_count, out);
}

// One section of stats: the counters of a kind, in the order they came. Says when there is none.
static void print_kind(const struct api_counter *counters, size_t count, unsigned kind, int all,
	const char *title, const char *headings, FILE *out)
{
	bool stage = kind == API_COUNTER_STAGE;
	struct relayctl_table *table = relayctl_table_create(stage ? "rlrr" : "rlr", headings);
	bool some = false;

	for (size_t i = 0; i < count; i++) {
		const struct api_counter *c = &counters[i];
		char worker[RELAYCTL_TEXT_SIZE];
		if (c->kind != kind || (c->value == 0 && !all))
			continue;
		some = true;
		relayctl_table_cell(table, "%s", relayctl_text_worker(c->worker, worker));
		relayctl_table_cell(table, "%s", c->name);
		relayctl_table_cell(table, "%s", COUNT(c->value));
		if (stage)
			relayctl_table_cell(table, "%.0f",
				c->value > 0 ? (double)c->cycles / (double)c->value : 0);
	}
	fprintf(out, "%s%s\n", title, some ? "" : ": none");
	relayctl_table_print(table, some ? out : NULL);
}

// A section of the control plane's own counters, when it has told some.
static void print_kind_if_any(const struct api_counter *counters, size_t count, unsigned kind,
	int all, const char *title, FILE *out)
{
	for (size_t i = 0; i < count; i++)
		if (counters[i].kind == kind) {
			fputc('\n', out);
			print_kind(counters, count, kind, all, title, "WORKER|COUNTER|COUNT", out);
			return;
		}
}

void relayctl_print_stats(const struct api_counter *counters, size_t count, int all, FILE *out)
{
	print_kind(counters, count, API_COUNTER_STAGE, all, "Stages",
		"WORKER|STAGE|PACKETS|CYCLES/PACKET", out);
	fputc('\n', out);
	print_kind(counters, count, API_COUNTER_DROP, all, "Drops", "WORKER|REASON|PACKETS", out);
	fputc('\n', out);
	print_kind(counters, count, API_COUNTER_EVENT, all, "Events", "WORKER|EVENT|COUNT", out);
	fputc('\n', out);
	print_kind(counters, count, ADMIN_COUNTER_TURN, all, "TURN", "WORKER|COUNTER|COUNT", out);
	print_kind_if_any(counters, count, ADMIN_COUNTER_REGISTRATION, all, "Registration", out);
	// There only where tokens are used.
	print_kind_if_any(counters, count, ADMIN_COUNTER_TOKENS, all, "Tokens", out);
}

void relayctl_print_changes(const struct admin_change *changes, size_t count, int check, FILE *out)
{
	struct relayctl_table *table = relayctl_table_create("ll", NULL);
	bool later = false;
	size_t keys = 0;

	for (size_t i = 0; i < count; i++) {
		const struct admin_change *c = &changes[i];
		if (c->outcome == ADMIN_DATAPLANE_LATER) {
			later = true;
			continue;
		}
		keys++;
		relayctl_table_cell(table, "[%s] %s", c->section, c->key);
		relayctl_table_cell(table, "%s",
			check && c->outcome == ADMIN_APPLIED ? "would be applied"
							     : relayctl_text_outcome(c->outcome));
	}
	if (keys == 0)
		fputs(check ? "nothing to change\n" : "nothing changed\n", out);
	relayctl_table_print(table, keys > 0 ? out : NULL);
	if (later)
		fputs("relay-dataplane is not there: it is told when it connects\n", out);
}
