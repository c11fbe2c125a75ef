// SPDX-License-Identifier: BSD-3-Clause
// The TURN client of endpoint/turn on a real socket, for tests with real servers. Wishes:
//
//     {"wish": "start", "server": [a, p], "bind": [a, p], "family": 4, "user": u, "password": w,
//      "lifetime": s, "keepalive": ms, "first": ms}
//     {"wish": "permit" | "bind" | "send", "peer": [a, p], "data": text}
//     {"wish": "release" | "check" | "changed" | "usage"}   {"wish": "move", "bind": [a, p]}:
//     another socket
//
// Told: allocated failed released data permitted denied bound, and result of wishes with a peer.
#include "endpoint/turn/turn_client.h"
#include "tests/interop/io.h"

#include <stdlib.h>
#include <string.h>

static struct io_socket *wire;
static struct io_timer timer;
static struct turn_client *client;

static void on_receive(
	void *context, const struct endpoint_transport *source, const uint8_t *data, size_t size)
{
	(void)context;
	turn_client_receive(client, source, data, size, io_now());
}

static void on_tick(void *context)
{
	(void)context;
	turn_client_tick(client, io_now());
}

static void on_send(
	void *context, const struct endpoint_transport *server, const uint8_t *data, size_t size)
{
	(void)context;
	io_socket_send(wire, server, data, size);
}

static void on_deadline(void *context, uint64_t at_ms)
{
	(void)context;
	io_timer_set(&timer, at_ms);
}

static void on_event(void *context, const struct turn_client_event *event)
{
	static const char *const names[] = {[TURN_CLIENT_ALLOCATED] = "allocated",
		[TURN_CLIENT_FAILED] = "failed",
		[TURN_CLIENT_RELEASED] = "released",
		[TURN_CLIENT_DATA] = "data",
		[TURN_CLIENT_PERMITTED] = "permitted",
		[TURN_CLIENT_DENIED] = "denied",
		[TURN_CLIENT_BOUND] = "bound"};
	json_t *said = json_pack("{ss}", "event", names[event->type]);
	(void)context;
	if (event->peer.family != 0)
		json_object_set_new(said, "peer", io_transport(&event->peer));
	if (event->type == TURN_CLIENT_DATA)
		json_object_set_new(
			said, "data", json_stringn((const char *)event->data, event->size));
	if (event->type == TURN_CLIENT_FAILED || event->type == TURN_CLIENT_DENIED) {
		json_object_set_new(said, "why", json_integer(event->failed.why));
		json_object_set_new(said, "code", json_integer(event->failed.code));
	}
	if (event->type == TURN_CLIENT_ALLOCATED) {
		json_object_set_new(said, "relayed", io_transport(&event->allocated.relayed));
		json_object_set_new(said, "mapped", io_transport(&event->allocated.mapped));
		json_object_set_new(said, "lifetime", json_integer(event->allocated.lifetime_s));
		json_object_set_new(said, "anew", json_boolean(event->allocated.anew));
	}
	io_say(said);
}

static void start(const json_t *wish)
{
	const struct turn_client_output output = {NULL, on_send, on_event, on_deadline};
	const struct turn_client_config config = {
		.server = io_transport_of(json_object_get(wish, "server")),
		.family = (uint8_t)io_number(wish, "family"),
		.user = io_string(wish, "user"),
		.password = io_string(wish, "password"),
		.lifetime_s = (uint32_t)io_number(wish, "lifetime"),
		.keepalive_ms = (uint32_t)io_number(wish, "keepalive"),
		.first_ms = (uint32_t)io_number(wish, "first"),
	};
	struct endpoint_transport bind = io_transport_of(json_object_get(wish, "bind"));
	if (client == NULL) {
		wire = io_socket_open(&bind, on_receive, NULL);
		if (turn_client_create(&client, &config, &output) != 0)
			abort();
	}
	turn_client_start(client, io_now());
}

static void usage(void)
{
	struct turn_client_usage used;
	json_t *counters = json_object();
	turn_client_usage(client, &used);
	for (unsigned i = 0; i < TURN_CLIENT_COUNTER_COUNT; i++)
		json_object_set_new(counters, turn_client_counter_name((enum turn_client_counter)i),
			json_integer((json_int_t)turn_client_counter(
				client, (enum turn_client_counter)i)));
	io_say(json_pack("{sssbsisisiso}", "event", "usage", "allocated", used.allocated,
		"permissions", (int)used.permissions, "channels", (int)used.channels, "round_trip",
		(int)used.round_trip_ms, "counters", counters));
}

static void with_peer(const char *name, const json_t *wish)
{
	struct endpoint_transport peer = io_transport_of(json_object_get(wish, "peer"));
	const char *data = io_string(wish, "data");
	int result;
	if (strcmp(name, "permit") == 0)
		result = turn_client_permit(client, &peer, io_now());
	else if (strcmp(name, "bind") == 0)
		result = turn_client_bind(client, &peer, io_now());
	else
		result = turn_client_send(client, &peer, data, strlen(data), io_now());
	io_say(json_pack("{sssi}", "event", "result", "result", result));
}

static void on_line(const json_t *wish)
{
	const char *name = io_string(wish, "wish");
	if (strcmp(name, "start") == 0) {
		start(wish);
	} else if (strcmp(name, "release") == 0) {
		turn_client_release(client, io_now());
	} else if (strcmp(name, "check") == 0) {
		turn_client_check(client, io_now());
	} else if (strcmp(name, "changed") == 0) {
		turn_client_network_changed(client, io_now());
	} else if (strcmp(name, "usage") == 0) {
		usage();
	} else if (strcmp(name, "move") == 0) {
		struct endpoint_transport bind = io_transport_of(json_object_get(wish, "bind"));
		io_socket_close(wire);
		wire = io_socket_open(&bind, on_receive, NULL);
		if (!io_number(wish, "quietly"))
			turn_client_network_changed(client, io_now());
	} else {
		with_peer(name, wish);
	}
}

int main(void)
{
	io_timer_init(&timer, on_tick, NULL);
	io_lines(on_line);
	return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
