// SPDX-License-Identifier: BSD-3-Clause
// The wiring of node.h.
#include "controlplane/node.h"

#include "controlplane/node_routes.h"
#include "controlplane/status.h"
#include "controlplane/token_verbs.h"
#include "controlplane/turn_tokens.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TICK_LAST_MS = 1000 };

// For what comes by the thousand there is the loop's own clock, which is read once a turn.
static uint64_t now_ms(void)
{
	return uv_hrtime() / 1000000;
}

static uint64_t wall_s(void)
{
	return (uint64_t)time(NULL);
}

// ---- core -> link ----

static void install_answered(void *context, const struct dataplane_answer *answer)
{
	struct node *node = context;
	turn_core_answer(node->core, answer->id, answer->result, uv_now(node->loop));
}

static uint32_t core_install(void *context, enum api_type type, const void *payload, uint32_t size)
{
	struct node *node = context;
	return dataplane_link_request(node->link, type, payload, size, install_answered, node);
}

static void core_send(void *context, const struct api_packet_send *send, const uint8_t *payload)
{
	struct node *node = context;
	dataplane_link_send(node->link, send, payload);
}

// ---- snapshot ----

void node_serving_maybe(struct node *node)
{
	if (node->snapshot_done && node->routing_done)
		node->news(node, NODE_SERVING);
}

static void snapshot_take(struct node *node);

static void snapshot_answered(void *context, const struct dataplane_answer *answer)
{
	struct node *node = context;
	if (!answer->last) {
		if (!node->snapshot_again)
			turn_core_snapshot_item(
				node->core, (const struct api_snapshot_item *)answer->payload);
		return;
	}
	node->snapshot_running = false;
	if (answer->result == -ENOTCONN)
		return;
	if (answer->result < 0) {
		dataplane_link_restart(node->link);
	} else if (node->snapshot_again) {
		snapshot_take(node);
	} else {
		bool first = !node->snapshot_done;
		node->snapshot_done = true;
		turn_core_snapshot_end(node->core, now_ms());
		if (first)
			node_serving_maybe(node);
	}
}

// The core forgets what it knows of live allocations and counts them anew.
static void snapshot_take(struct node *node)
{
	if (node->snapshot_running) {
		node->snapshot_again = true;
		return;
	}
	node->snapshot_again = false;
	turn_core_connected(node->core, &node->hello);
	turn_core_drain(node->core, node->draining);
	node->snapshot_running = dataplane_link_request(node->link, API_SNAPSHOT, NULL, 0,
					 snapshot_answered, node) != 0;
	if (!node->snapshot_running)
		dataplane_link_restart(node->link);
}

// ---- steering: without it ports are drawn for any worker, until it is known ----

static void steering_answered(void *context, const struct dataplane_answer *answer)
{
	struct node *node = context;
	if (!answer->last)
		turn_core_steering_item(node->core, (const struct api_steering *)answer->payload);
	else if (answer->result == 0)
		turn_core_steering_end(node->core);
}

static void steering_ask(struct node *node)
{
	turn_core_steering_begin(node->core);
	if (!dataplane_link_request(node->link, API_STEERING, NULL, 0, steering_answered, node))
		dataplane_link_restart(node->link);
}

// ---- link events ----

static void link_is_up(void *context, const struct api_hello_answer *hello)
{
	struct node *node = context;
	bool restarted = node->was_connected && node->hello.instance != hello->instance;
	node->hello = *hello;
	sodium_memzero(node->hello.secret, sizeof(node->hello.secret)); // native_connected's
	node->was_connected = true;
	node->draining = hello->draining;
	node->snapshot_done = node->routing_done = false;
	node->routing_refused = 0;
	if (restarted)
		node->news(node, NODE_DATAPLANE_RESTARTED);
	node->news(node, NODE_CONNECTED);
	// Before anything is installed: the relayed ports it knows are ours.
	if (!reload_connected(node))
		dataplane_link_restart(node->link);
	if (dataplane_link_up(node->link))
		snapshot_take(node);
	if (dataplane_link_up(node->link))
		steering_ask(node);
	if (dataplane_link_up(node->link))
		node_ports_ask(node);
	if (dataplane_link_up(node->link))
		guard_connected(node, restarted);
	if (dataplane_link_up(node->link))
		native_connected(node, hello);
}

static void link_is_down(void *context)
{
	struct node *node = context;
	node->snapshot_running = node->snapshot_again = false;
	node->snapshot_done = node->routing_done = false;
	routes_detach(node->routes);
	node->news(node, NODE_WAITING);
}

static void link_punt(void *context, const struct api_punt *punt, const uint8_t *payload)
{
	struct node *node = context;
	turn_core_punt(node->core, punt, payload, uv_now(node->loop), wall_s());
}

static void link_expired(void *context, const struct api_expired *expired)
{
	struct node *node = context;
	turn_core_expired(node->core, expired->allocation_id);
}

static void link_neighbour_wanted(void *context, const struct api_neighbour_wanted *wanted)
{
	struct node *node = context;
	routes_neighbour_wanted(node->routes, wanted);
}

static void link_resync(void *context)
{
	struct node *node = context;
	node->resyncs++;
	snapshot_take(node);
}

static void link_room(void *context)
{
	struct node *node = context;
	routes_continue(node->routes);
}

// ---- life ----

static void on_tick(uv_timer_t *timer)
{
	struct node *node = timer->data;
	uint64_t wait = turn_core_tick(node->core, now_ms());
	uint64_t native = native_tick(node);
	if (native < wait)
		wait = native;
	if (wait < 1)
		wait = 1;
	uv_timer_start(&node->tick, on_tick, wait < TICK_LAST_MS ? wait : TICK_LAST_MS, 0);
}

static int open_core(struct node *node)
{
	const struct turn_output output = {.context = node,
		.install = core_install,
		.send = core_send,
		.tokens = turn_tokens_of(node)};
	node->core = turn_core_create(node->config, &output);
	return node->core ? 0 : -ENOMEM;
}

static int open_tokens(struct node *node)
{
	static_assert(sizeof(node->start_error) == TOKEN_VERBS_ERROR_SIZE, "one line");
	return token_verbs_open(node, node->start_error);
}

static int open_link(struct node *node)
{
	const struct dataplane_link_events events = {
		.context = node,
		.up = link_is_up,
		.down = link_is_down,
		.punt = link_punt,
		.native_punt = native_punt,
		.expired = link_expired,
		.neighbour_wanted = link_neighbour_wanted,
		.resync = link_resync,
		.room = link_room,
	};
	char path[CONFIG_PATH_SIZE * 2];
	snprintf(path, sizeof(path), "%s/dataplane.sock", node->config->node.run);
	return dataplane_link_open(node->loop, path, &events, &node->link);
}

static int open_admin(struct node *node)
{
	const struct admin_provider provider = status_provider(node);
	char path[CONFIG_PATH_SIZE * 2];
	snprintf(path, sizeof(path), "%s/control.sock", node->config->node.run);
	return admin_server_open(node->loop, path, &provider, &node->admin);
}

int node_start(struct node *node, uv_loop_t *loop, const char **what)
{
	static const struct {
		int (*open)(struct node *node);
		const char *what;
	} steps[] = {
		{open_tokens, "the store of tokens"},
		{open_core, "the TURN core"},
		{native_open, "the registration core"},
		{node_routes_open, "the kernel's routing (netlink)"},
		{open_admin, "control.sock"},
		{open_link, "the link to the dataplane"},
	};
	node->loop = loop;
	node->started_ms = now_ms();
	uv_timer_init(loop, &node->tick);
	node->tick.data = node;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		int rc = steps[i].open(node);
		if (rc) {
			*what = steps[i].what;
			return rc;
		}
	}
	uv_timer_start(&node->tick, on_tick, 0, 0);
	return 0;
}

void node_stop(struct node *node)
{
	if (!uv_is_closing((uv_handle_t *)&node->tick))
		uv_close((uv_handle_t *)&node->tick, NULL);
	reload_stop(node);
	// Whoever waits for the disk is told, and has nobody to give back to any more.
	struct tokens *tokens = node->tokens;
	node->tokens = NULL;
	tokens_close(tokens);
	admin_server_close(node->admin);
	node->admin = NULL;
	dataplane_link_close(node->link);
	routes_close(node->routes);
}

void node_free(struct node *node)
{
	turn_core_free(node->core);
	native_free(node);
	config_free(node->config);
	guard_free_copy(node);
	sodium_memzero(node, sizeof(*node));
}

struct reload_wait {
	struct node *node;
	reload_done done;
	void *context;
};

static void reload_over(void *context, const struct reload_report *report)
{
	struct reload_wait wait = *(struct reload_wait *)context;
	free(context);
	if (wait.done)
		wait.done(wait.context, report);
	if (!report->checked_only)
		wait.node->reloaded(wait.node, report);
}

void node_reload(struct node *node, bool check, reload_done done, void *context)
{
	struct reload_wait *wait = malloc(sizeof(*wait));
	if (wait) {
		*wait = (struct reload_wait){node, done, context};
		reload_start(node, check, reload_over, wait);
		return;
	}
	const struct reload_report report = {.checked_only = check, .error = "out of memory"};
	if (done)
		done(context, &report);
}

void node_drained(struct node *node, bool on)
{
	node->draining = on;
	turn_core_drain(node->core, on);
	registration_core_drain(node->registration, on);
}

const char *node_trouble(const struct node *node)
{
	if (!node->link)
		return "starting";
	switch (dataplane_link_trouble(node->link)) {
	case DATAPLANE_LINK_FINE:
		return "its allocations and the kernel's routes are being exchanged";
	case DATAPLANE_LINK_NO_SOCKET:
		return "relay-dataplane is not running";
	case DATAPLANE_LINK_FORBIDDEN:
		return "not permitted to connect to relay-dataplane: both must run as one user";
	case DATAPLANE_LINK_BUSY:
		return "relay-dataplane is connected to another relay-controlplane";
	case DATAPLANE_LINK_VERSION:
		return "relay-dataplane is of another version: install both from one package and "
		       "restart";
	case DATAPLANE_LINK_BAD_MESSAGE:
		return "relay-dataplane sent something that cannot be understood: install both "
		       "programs from one package and restart";
	case DATAPLANE_LINK_SILENT:
		return "relay-dataplane does not answer";
	case DATAPLANE_LINK_CLOSED:
		return "relay-dataplane closed the connection";
	}
	return "unknown";
}
