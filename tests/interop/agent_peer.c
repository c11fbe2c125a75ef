// SPDX-License-Identifier: BSD-3-Clause
// The agent of endpoint/agent on real sockets, one for each address, and with TURN allocations of
// endpoint/turn where it is told to, for tests with agents that others wrote. Wishes:
//
//     {"wish": "start", "controlling": bool, "native": bool, "relay_only": bool, "bind": [[a,
//     p]...],
//      "servers": [[a, p]...], "turn": [{"server": [a, p], "bind": [a, p], "family": 4, "user": u,
//      "password": w}...], "echo": bool}
//     {"wish": "remote", "fragment": f, "password": p}   {"wish": "candidate", "text": t}
//     {"wish": "send", "data": text}   {"wish": "usage"}   {"wish": "release"}
//
// Told: local (credentials), candidate, turn (allocated, failed...), gathered, valid, nominated,
// lost, exhausted, data, usage, released. With echo what comes goes back where it came from.
#include "endpoint/agent/agent.h"
#include "endpoint/turn/turn_base.h"
#include "tests/interop/io.h"

#include <sodium.h>

#include <stdlib.h>
#include <string.h>

enum { SOCKETS_MAX = 8, TURNS_MAX = 4, FIRST_TURN = 100 };

struct wire {
	unsigned base;
	struct io_socket *socket;
	struct turn_base *turn; // NULL: the agent's own
	struct io_timer timer;
	bool waiting; // for its allocation
};

static struct agent *agent;
static struct wire wires[SOCKETS_MAX + TURNS_MAX];
static unsigned wire_count;
static struct io_timer timer;
static uint32_t current; // pair to send on
static bool echoing, started, agent_gathered, told_gathered;

static struct wire *wire_of(unsigned base)
{
	for (unsigned i = 0; i < wire_count; i++)
		if (wires[i].base == base)
			return &wires[i];
	abort();
}

// ---- what is told ----

static const char *type_name(enum agent_candidate_type type)
{
	static const char *const names[] = {"none", "host", "mapped", "prflx", "srflx", "relay"};
	return names[type];
}

static void say_pair(const char *event, uint32_t pair)
{
	struct agent_pair_info info;
	if (agent_pair_info(agent, pair, &info) != 0)
		return;
	io_say(json_pack("{sssisssososisi}", "event", event, "pair", (int)pair, "base",
		info.base_kind == AGENT_TURN ? "turn" : "socket", "local",
		io_transport(&info.local), "remote", io_transport(&info.remote), "rtt",
		(int)info.rtt_ms, "confirmed", (int)info.confirmed));
}

// pair 0: of a pair that is not, or not any more, one to send on. RFC 8445 12.1.1 lets the peer use
// any that it has found good.
static void say_data(uint32_t pair, const uint8_t *data, size_t size)
{
	io_say(json_pack("{sssiss%}", "event", "data", "pair", (int)pair, "data", data, size));
}

static void gathered(void)
{
	for (unsigned i = 0; i < wire_count; i++)
		if (wires[i].waiting)
			return;
	if (!started || !agent_gathered || told_gathered)
		return;
	told_gathered = true;
	io_say(json_pack("{ss}", "event", "gathered"));
}

static void say_candidate(const struct agent_candidate *candidate)
{
	char text[AGENT_CANDIDATE_TEXT_MAX];
	agent_candidate_format(candidate, text);
	io_say(json_pack("{ssssss}", "event", "candidate", "type", type_name(candidate->type),
		"text", text));
}

static void nominated(uint32_t pair)
{
	struct agent_pair_info info;
	current = pair;
	if (agent_pair_info(agent, pair, &info) == 0 && wire_of(info.base)->turn != NULL)
		turn_base_use(wire_of(info.base)->turn, &info.remote, io_now());
	say_pair("nominated", pair);
}

static void on_event(void *context, const struct agent_event *event)
{
	(void)context;
	switch (event->type) {
	case AGENT_LOCAL_CANDIDATE:
		say_candidate(event->local);
		break;
	case AGENT_GATHERED:
		agent_gathered = true;
		gathered();
		break;
	case AGENT_PAIR_VALID:
		say_pair("valid", event->pair);
		break;
	case AGENT_PAIR_NOMINATED:
		nominated(event->pair);
		break;
	case AGENT_PAIR_LOST:
		io_say(json_pack("{sssisi}", "event", "lost", "pair", (int)event->pair, "why",
			(int)event->lost));
		break;
	case AGENT_EXHAUSTED:
		io_say(json_pack("{ss}", "event", "exhausted"));
		break;
	case AGENT_LOCAL_CHANGED:
	case AGENT_PAIR_CONFIRMED:
		break;
	}
}

// ---- sockets, agent, TURN ----

static void data_came(
	unsigned base, const struct endpoint_transport *source, const uint8_t *data, size_t size)
{
	uint32_t pair = agent_pair_of(agent, base, source);
	if (echoing && pair != 0)
		agent_pair_send(agent, pair, data, size, io_now());
	else
		say_data(pair, data, size);
}

static void on_receive(
	void *context, const struct endpoint_transport *source, const uint8_t *data, size_t size)
{
	struct wire *wire = context;
	if (wire->turn != NULL)
		turn_base_receive(wire->turn, source, data, size, io_now());
	else if (!agent_receive(agent, wire->base, source, data, size, io_now()))
		data_came(wire->base, source, data, size);
}

static void on_send(void *context, unsigned base, const struct endpoint_transport *destination,
	const uint8_t *data, size_t size)
{
	struct wire *wire = wire_of(base);
	(void)context;
	if (wire->turn != NULL)
		turn_base_send(wire->turn, destination, data, size, io_now());
	else
		io_socket_send(wire->socket, destination, data, size);
}

static void on_deadline(void *context, uint64_t at)
{
	(void)context;
	io_timer_set(&timer, at);
}

static void on_tick(void *context)
{
	(void)context;
	agent_tick(agent, io_now());
}

static void turn_send(
	void *context, const struct endpoint_transport *server, const uint8_t *data, size_t size)
{
	struct wire *wire = context;
	io_socket_send(wire->socket, server, data, size);
}

static void turn_deadline(void *context, uint64_t at_ms)
{
	struct wire *wire = context;
	io_timer_set(&wire->timer, at_ms);
}

static void turn_tick(void *context)
{
	struct wire *wire = context;
	turn_client_tick(turn_base_client(wire->turn), io_now());
}

static void turn_data(void *context, unsigned base, const struct endpoint_transport *source,
	const uint8_t *data, size_t size)
{
	(void)context;
	data_came(base, source, data, size);
}

static void turn_event(void *context, unsigned base, const struct turn_client_event *event)
{
	static const char *const names[] = {[TURN_CLIENT_ALLOCATED] = "allocated",
		[TURN_CLIENT_FAILED] = "failed",
		[TURN_CLIENT_RELEASED] = "released",
		[TURN_CLIENT_PERMITTED] = "permitted",
		[TURN_CLIENT_DENIED] = "denied",
		[TURN_CLIENT_BOUND] = "bound"};
	struct wire *wire = context;
	io_say(json_pack(
		"{sssiss}", "event", "turn", "base", (int)base, "state", names[event->type]));
	wire->waiting = false;
	gathered();
}

// ---- wishes ----

static struct wire *wire_add(unsigned base, const json_t *where)
{
	struct endpoint_transport address = io_transport_of(where);
	if (wire_count == SOCKETS_MAX + TURNS_MAX)
		abort();
	struct wire *wire = &wires[wire_count++];
	*wire = (struct wire){.base = base};
	wire->socket = io_socket_open(&address, on_receive, wire);
	return wire;
}

static void socket_add(unsigned base, const json_t *where)
{
	struct wire *wire = wire_add(base, where);
	struct endpoint_transport address = io_socket_address(wire->socket);
	agent_base_add(agent, base, address.family, AGENT_SOCKET, io_now());
	agent_candidate_add(agent, base, AGENT_HOST, AGENT_NORMAL, &address, io_now());
}

static void turn_add(unsigned base, const json_t *wish)
{
	struct wire *wire = wire_add(base, json_object_get(wish, "bind"));
	const struct turn_base_output output = {
		wire, turn_send, turn_deadline, turn_data, turn_event};
	const struct turn_client_config config = {
		.server = io_transport_of(json_object_get(wish, "server")),
		.family = (uint8_t)io_number(wish, "family"),
		.user = io_string(wish, "user"),
		.password = io_string(wish, "password"),
	};
	io_timer_init(&wire->timer, turn_tick, wire);
	wire->waiting = true;
	if (turn_base_create(&wire->turn, agent, base, &config, &output) != 0)
		abort();
	turn_client_start(turn_base_client(wire->turn), io_now());
}

static void start(const json_t *wish)
{
	const struct agent_output output = {NULL, on_send, on_event, on_deadline};
	struct agent_config config = {
		.selection = io_number(wish, "native") ? AGENT_NATIVE : AGENT_STANDARD,
		.controlling = io_number(wish, "controlling"),
		.relay_only = io_number(wish, "relay_only"),
	};
	uint8_t secret[32];
	const json_t *servers = json_object_get(wish, "servers");
	const json_t *turn = json_object_get(wish, "turn");
	const json_t *bind = json_object_get(wish, "bind");

	randombytes_buf(secret, sizeof(secret));
	agent_credentials_make(&config.local, secret);
	config.server_count = json_array_size(servers);
	for (size_t i = 0; i < config.server_count; i++)
		config.servers[i] = io_transport_of(json_array_get(servers, i));
	if (agent_create(&agent, &config, &output) != 0)
		abort();
	echoing = io_number(wish, "echo");
	io_say(json_pack("{ssssss}", "event", "local", "fragment", config.local.fragment,
		"password", config.local.password));
	for (unsigned i = 0; i < json_array_size(bind); i++)
		socket_add(i, json_array_get(bind, i));
	for (unsigned i = 0; i < json_array_size(turn); i++)
		turn_add(FIRST_TURN + i, json_array_get(turn, i));
	if (json_array_size(bind) == 0) // nobody else says so
		agent_gathered = true;
	started = true;
	gathered();
}

static void remote(const json_t *wish)
{
	struct agent_credentials peer = {0};
	strncpy(peer.fragment, io_string(wish, "fragment"), AGENT_CREDENTIAL_MAX);
	strncpy(peer.password, io_string(wish, "password"), AGENT_CREDENTIAL_MAX);
	if (agent_remote_credentials(agent, &peer, io_now()) != 0)
		abort();
}

static void candidate(const json_t *wish)
{
	const char *text = io_string(wish, "text");
	struct agent_candidate peer;
	if (agent_candidate_parse(text, strlen(text), &peer) == 0)
		agent_remote_add(agent, &peer, io_now());
	else
		io_say(json_pack("{ssss}", "event", "skipped", "text", text));
}

static void usage(void)
{
	struct agent_usage used;
	json_t *counters = json_object();
	agent_usage(agent, &used);
	for (unsigned i = 0; i < AGENT_COUNTER_COUNT; i++)
		json_object_set_new(counters, agent_counter_name((enum agent_counter)i),
			json_integer((json_int_t)agent_counter(agent, (enum agent_counter)i)));
	io_say(json_pack("{sssisisbso}", "event", "usage", "pairs", (int)used.pairs, "valid",
		(int)used.valid, "controlling", (int)used.controlling, "counters", counters));
}

static void on_line(const json_t *wish)
{
	const char *name = io_string(wish, "wish");
	const char *data = io_string(wish, "data");
	if (strcmp(name, "start") == 0)
		start(wish);
	else if (strcmp(name, "remote") == 0)
		remote(wish);
	else if (strcmp(name, "candidate") == 0)
		candidate(wish);
	else if (strcmp(name, "send") == 0)
		agent_pair_send(agent, current, data, strlen(data), io_now());
	else if (strcmp(name, "usage") == 0)
		usage();
	else if (strcmp(name, "release") == 0)
		for (unsigned i = 0; i < wire_count; i++)
			if (wires[i].turn != NULL)
				turn_client_release(turn_base_client(wires[i].turn), io_now());
}

int main(void)
{
	if (sodium_init() < 0)
		return 1;
	io_timer_init(&timer, on_tick, NULL);
	io_lines(on_line);
	return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
