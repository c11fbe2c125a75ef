// SPDX-License-Identifier: BSD-3-Clause
// Two agents, one of them with nothing but an allocation: they find each other through the server,
// with permissions made on demand, and keep the pair when the allocation has to be made anew.
// Virtual clock.
//
//     agent a -- TURN base -- [ turn_server.h ] -- agent b, a host at world_peer(1)
#include "endpoint/turn/turn_base.h"
#include "tests/unit/turn_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { A, B, BASE = 7 };

static struct turn_world w; // its wire and its server; its client is the base's
static struct agent *agents[2];
static struct turn_base *base;
static uint32_t pairs[2]; // the last valid or nominated one
static unsigned lost[2], candidates, told;
static char heard[2][64];

static struct endpoint_transport relayed_now(void)
{
	struct turn_client_usage usage;
	turn_client_usage(turn_base_client(base), &usage);
	return usage.relayed;
}

// ---- between the cores ----

static void agent_send(void *context, unsigned number, const struct endpoint_transport *destination,
	const uint8_t *data, size_t size)
{
	struct server_allocation *a = server_find(&w.server, &w.outside);
	struct endpoint_transport self = world_peer(1), relayed = relayed_now();
	struct net_endpoint from = world_net(&self);
	if (context == &agents[A]) {
		assert_int_equal(number, BASE);
		turn_base_send(base, destination, data, size, w.now_ms);
	} else if (a != NULL && world_same(destination, &relayed)) {
		server_from_peer(&w.server, a, &from, data, size);
	}
}

static void agent_told(void *context, const struct agent_event *event)
{
	unsigned which = context == &agents[B];
	switch (event->type) {
	case AGENT_LOCAL_CANDIDATE:
		candidates++;
		if (which == A)
			assert_int_equal(event->local->type, AGENT_RELAYED);
		break;
	case AGENT_PAIR_VALID:
	case AGENT_PAIR_NOMINATED:
		pairs[which] = event->pair;
		break;
	case AGENT_PAIR_LOST:
		lost[which]++;
		break;
	default:
		break;
	}
}

static void at_peer(void *context, const struct net_endpoint *peer, const uint8_t *data,
	size_t size, bool by_channel)
{
	struct endpoint_transport source = relayed_now();
	struct endpoint_transport self = world_peer(1);
	struct net_endpoint net = world_net(&self);
	world_to_peer(context, peer, data, size, by_channel);
	w.delivery_count = 1;
	if (!net_endpoint_equal(peer, &net))
		return;
	if (!agent_receive(agents[B], 0, &source, data, size, w.now_ms))
		snprintf(heard[B], sizeof(heard[B]), "%.*s%s", (int)size, (const char *)data,
			by_channel ? " by channel" : "");
}

static void base_send(
	void *context, const struct endpoint_transport *server, const uint8_t *data, size_t size)
{
	(void)context;
	world_client_send(&w, server, data, size);
}

static void base_data(void *context, unsigned number, const struct endpoint_transport *source,
	const uint8_t *data, size_t size)
{
	(void)context;
	assert_int_not_equal(agent_pair_of(agents[A], number, source), 0);
	snprintf(heard[A], sizeof(heard[A]), "%.*s", (int)size, (const char *)data);
}

static void base_told(void *context, unsigned number, const struct turn_client_event *event)
{
	(void)context;
	(void)number;
	told |= 1u << event->type;
}

static void run(uint64_t ms)
{
	uint64_t until = w.now_ms + ms;
	w.client = turn_base_client(base);
	while (w.now_ms < until) {
		w.now_ms++;
		w.server.now_ms = w.now_ms;
		for (unsigned i = 0; i < WORLD_PACKETS; i++)
			if (w.packets[i].used && w.packets[i].at <= w.now_ms)
				world_arrive(&w, &w.packets[i]);
		turn_client_tick(w.client, w.now_ms);
		agent_tick(agents[A], w.now_ms);
		agent_tick(agents[B], w.now_ms);
	}
	w.client = NULL;
}

static void agent_make(unsigned which, enum agent_selection selection, bool relay_only)
{
	const struct agent_output output = {&agents[which], agent_send, agent_told, NULL};
	struct agent_config config = {.selection = selection,
		.controlling = which == A,
		.relay_only = relay_only,
		.random = world_fill,
		.random_context = &w.random_state};
	uint8_t secrets[2][32];
	memset(secrets[0], 'a', 32);
	memset(secrets[1], 'b', 32);
	agent_credentials_make(&config.local, secrets[which]);
	agent_credentials_make(&config.remote, secrets[!which]);
	assert_int_equal(agent_create(&agents[which], &config, &output), 0);
}

static void begin(enum agent_selection selection)
{
	const struct turn_base_output output = {NULL, base_send, NULL, base_data, base_told};
	struct endpoint_transport self = world_peer(1);
	world_begin(&w, 1);
	turn_client_free(w.client);
	w.client = NULL;
	w.server.to_peer = at_peer;
	memset(pairs, 0, sizeof(pairs));
	memset(lost, 0, sizeof(lost));
	memset(heard, 0, sizeof(heard));
	candidates = told = 0;
	agent_make(A, selection, true);
	agent_make(B, selection, false);
	assert_int_equal(turn_base_create(&base, agents[A], BASE, &w.config, &output), 0);
	assert_int_equal(agent_base_add(agents[B], 0, 4, AGENT_SOCKET, w.now_ms), 0);
	assert_int_equal(
		agent_candidate_add(agents[B], 0, AGENT_HOST, AGENT_NORMAL, &self, w.now_ms), 0);
	turn_client_start(turn_base_client(base), w.now_ms);
	run(100);
}

static void end(void)
{
	turn_base_free(base);
	for (unsigned i = 0; i < 2; i++)
		agent_free(agents[i]);
}

static void signal_candidates(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct agent_candidate list[AGENT_LOCAL_MAX];
		uint32_t generation;
		size_t count = agent_local(agents[i], list, &generation);
		assert_int_equal(count, 1);
		agent_remote_set(agents[!i], generation, list, count, w.now_ms);
	}
}

static void talk(const char *kind)
{
	char wanted[64];
	assert_int_equal(agent_pair_send(agents[A], pairs[A], "hello", 5, w.now_ms), 0);
	assert_int_equal(agent_pair_send(agents[B], pairs[B], "and you", 7, w.now_ms), 0);
	run(50);
	snprintf(wanted, sizeof(wanted), "hello%s", kind);
	assert_string_equal(heard[B], wanted);
	assert_string_equal(heard[A], "and you");
	memset(heard, 0, sizeof(heard));
}

static void an_agent_finds_its_peer_through_the_server(void **state)
{
	(void)state;
	static const enum agent_selection both[] = {AGENT_NATIVE, AGENT_STANDARD};
	for (unsigned i = 0; i < 2; i++) {
		struct agent_pair_info info;
		begin(both[i]);
		assert_int_equal(candidates, 2);
		assert_true(told & 1u << TURN_CLIENT_ALLOCATED);
		assert_int_equal(w.server.seen[STUN_CREATE_PERMISSION], 0); // nobody was named yet
		signal_candidates();
		run(1500);
		assert_int_not_equal(pairs[A], 0);
		assert_int_not_equal(pairs[B], 0);
		assert_int_equal(agent_pair_info(agents[A], pairs[A], &info), 0);
		assert_int_equal(info.base_kind, AGENT_TURN);
		assert_int_equal(info.local_type, AGENT_RELAYED);
		assert_int_equal(w.server.seen[STUN_CREATE_PERMISSION], 1);
		talk("");
		assert_int_equal(turn_base_use(base, &info.remote, w.now_ms), 0);
		run(100);
		talk(" by channel");
		end();
	}
}

static void a_pair_outlives_its_allocation(void **state)
{
	(void)state;
	begin(AGENT_NATIVE);
	signal_candidates();
	run(500);
	talk("");
	struct endpoint_transport before = relayed_now();
	w.outside.port++;
	turn_client_network_changed(turn_base_client(base), w.now_ms);
	run(200);
	struct endpoint_transport after = relayed_now();
	assert_false(world_same(&before, &after));
	struct agent_candidate list[AGENT_LOCAL_MAX];
	uint32_t generation;
	assert_int_equal(agent_local(agents[A], list, &generation), 1);
	assert_true(world_same(&list[0].transport, &after));
	signal_candidates();
	run(500);
	assert_int_equal(lost[A], 0);
	talk("");
	end();
}

static void what_is_lost_or_given_back_is_no_base(void **state)
{
	(void)state;
	struct agent_usage usage;
	for (unsigned how = 0; how < 2; how++) {
		begin(AGENT_NATIVE);
		signal_candidates();
		run(500);
		agent_usage(agents[A], &usage);
		assert_int_equal(usage.bases, 1);
		if (how == 0)
			turn_client_release(turn_base_client(base), w.now_ms);
		else
			w.server.dead = true;
		run(how == 0 ? 100 : 60000);
		agent_usage(agents[A], &usage);
		assert_int_equal(usage.bases, 0);
		assert_int_equal(usage.valid, 0);
		assert_int_equal(lost[A], 1);
		assert_true(told & 1u << (how == 0 ? TURN_CLIENT_RELEASED : TURN_CLIENT_FAILED));
		end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_agent_finds_its_peer_through_the_server),
		cmocka_unit_test(a_pair_outlives_its_allocation),
		cmocka_unit_test(what_is_lost_or_given_back_is_no_base),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
