// SPDX-License-Identifier: BSD-3-Clause
// What becomes of pairs during a call: paths that are cut, NATs that forget, sockets that come and
// go, lists of candidates that replace each other, and calls that may not show an address at all.
#include "tests/unit/agent_forge.h"
#include "tests/unit/agent_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct nat_behaviour port_restricted = {.mapping = NAT_ENDPOINT_INDEPENDENT,
	.filtering = NAT_ADDRESS_AND_PORT_DEPENDENT,
	.allocation = NAT_RANDOM};

static void connect(struct world *w, const struct nat_behaviour *a, const struct nat_behaviour *b)
{
	world_begin(w, 8, NULL);
	w->wire.quality.delay_us = 25000;
	w->signal_us = 50000;
	if (a != NULL)
		world_nat(w, 0, *a);
	if (b != NULL)
		world_nat(w, 1, *b);
	world_start(w);
	assert_true(world_until(w, 3000, world_both_confirmed));
	world_run(w, 1000);
}

static struct agent_pair_info best(const struct world *w, unsigned side)
{
	struct agent_pair_info info = {0};
	uint32_t pair;
	if (agent_pairs(w->sides[side].agent, &pair, 1) == 1)
		agent_pair_info(w->sides[side].agent, pair, &info);
	return info;
}

static const struct world_event *lost(const struct world_side *side, unsigned from)
{
	return world_find(side, AGENT_PAIR_LOST, from);
}

static void test_consent_ends_30_s_after_the_path(void **state)
{
	(void)state;
	struct world w;
	connect(&w, &port_restricted, &port_restricted);
	world_run(&w, 120000);
	for (unsigned i = 0; i < 2; i++)
		assert_null(lost(&w.sides[i], 0));
	uint64_t cut = world_ms(&w);
	unsigned from[2] = {w.sides[0].event_count, w.sides[1].event_count};
	w.cut_direct = true;
	world_run(&w, 40000);
	for (unsigned i = 0; i < 2; i++) {
		const struct world_event *event = lost(&w.sides[i], from[i]);
		assert_non_null(event);
		assert_int_equal(event->event.lost, AGENT_LOST_CONSENT);
		// The last answer was up to 6 s and a round trip before.
		assert_in_range(event->at_ms - cut, 30000 - 6050, 30000);
		assert_int_equal(world_usage(&w, i).valid, 0);
	}
	// The search has begun again, and finds what is mended.
	w.cut_direct = false;
	assert_true(world_until(&w, world_ms(&w) + 5000, world_both_confirmed));
	world_end(&w);
}

static void test_short_cut_is_no_loss(void **state)
{
	(void)state;
	struct world w;
	connect(&w, &port_restricted, &port_restricted);
	w.cut_direct = true;
	world_run(&w, 20000);
	w.cut_direct = false;
	world_run(&w, 60000);
	for (unsigned i = 0; i < 2; i++)
		assert_null(lost(&w.sides[i], 0));
	world_end(&w);
}

static void test_consent_checks_are_4_to_6_s_apart(void **state)
{
	(void)state;
	struct world w;
	connect(&w, NULL, NULL);
	uint64_t before = agent_counter(w.sides[0].agent, AGENT_COUNTER_checks_consent);
	unsigned live = world_usage(&w, 0).confirmed;
	world_run(&w, 600000);
	uint64_t checks = agent_counter(w.sides[0].agent, AGENT_COUNTER_checks_consent) - before;
	assert_in_range(checks, live * 100, live * 150);
	world_end(&w);
}

static void test_keepalive_meets_short_timers(void **state)
{
	(void)state;
	struct world w;
	struct nat_behaviour forgetful = port_restricted;
	// Forgets after two seconds of silence from inside.
	forgetful.timeout_ms = 2000;
	world_begin(&w, 8, NULL);
	w.wire.quality.delay_us = 25000;
	w.signal_us = 50000;
	world_nat(&w, 0, forgetful);
	world_nat(&w, 1, forgetful);
	world_start(&w);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(agent_base_keepalive(w.sides[i].agent, 0, 1000, world_ms(&w)), 0);
	assert_true(world_until(&w, 3000, world_both_confirmed));
	world_run(&w, 1000);
	struct agent_pair_info before = best(&w, 0);
	uint64_t sent = w.sides[0].sent;
	world_run(&w, 60000);
	struct agent_pair_info after = best(&w, 0);
	assert_int_equal(after.pair, before.pair);
	assert_memory_equal(&after.remote, &before.remote, sizeof(after.remote));
	assert_true(w.sides[0].sent - sent >= 60);
	assert_null(lost(&w.sides[0], 0));
	world_end(&w);
}

// ---- the peer's address changes ----

static uint64_t heard_at;

static void hear(struct world_side *side, unsigned base, const struct endpoint_transport *source,
	const uint8_t *data, size_t size)
{
	assert_true(size == 6 && data[0] == 9);
	if (agent_pair_of(side->agent, base, source) != 0)
		return;
	uint32_t pair = agent_heard(side->agent, base, source, world_ms(side->world));
	assert_int_not_equal(pair, 0);
	struct agent_pair_info info;
	agent_pair_info(side->agent, pair, &info);
	assert_true(info.valid);
	if (heard_at == 0)
		heard_at = world_ms(side->world);
}

static void test_rebinding_is_followed_with_the_next_frame(void **state)
{
	(void)state;
	struct world w;
	struct nat_behaviour address_restricted = port_restricted;
	address_restricted.filtering = NAT_ADDRESS_DEPENDENT;
	connect(&w, &address_restricted, &port_restricted);
	for (unsigned i = 0; i < 2; i++)
		w.sides[i].media = hear;
	heard_at = 0;
	struct agent_pair_info old = best(&w, 0);
	nat_rebind(w.nat[1]);
	uint64_t rebound = world_ms(&w);
	bool confirmed = false;
	for (unsigned frame = 0; frame < 100; frame++) {
		struct agent_pair_info info = best(&w, 1);
		agent_pair_send(w.sides[1].agent, info.pair,
			"\x09"
			"voice",
			6, world_ms(&w));
		world_run(&w, 20);
		uint32_t pairs[4];
		size_t count = agent_pairs(w.sides[0].agent, pairs, 4);
		for (size_t i = 0; i < count && !confirmed; i++) {
			agent_pair_info(w.sides[0].agent, pairs[i], &info);
			confirmed = info.confirmed &&
				    memcmp(&info.remote, &old.remote, sizeof(old.remote)) != 0;
			if (confirmed)
				assert_true(world_ms(&w) - heard_at <= 50 + 20);
		}
	}
	assert_true(confirmed);
	// One way, and the frame before.
	assert_true(heard_at - rebound <= 25 + 20);
	world_run(&w, 40000);
	assert_true(world_both_confirmed(&w));
	world_end(&w);
}

static void test_rebinding_is_found_by_checks_alone(void **state)
{
	(void)state;
	struct world w;
	connect(&w, &port_restricted, &port_restricted);
	struct agent_pair_info old = best(&w, 0);
	nat_rebind(w.nat[1]);
	world_run(&w, 40000);
	struct agent_pair_info now = best(&w, 0);
	assert_true(now.confirmed);
	assert_memory_not_equal(&now.remote, &old.remote, sizeof(now.remote));
	// The server has told the new address by then: it is a signalled one.
	assert_int_equal(now.remote_type, AGENT_SERVER_REFLEXIVE);
	world_end(&w);
}

// Where the other NAT lets only the old port in, nothing can be heard from the new one. Whoever is
// told that the network may be another one asks the server, and the new address is signalled.
static void test_rebinding_behind_port_restriction(void **state)
{
	(void)state;
	struct world w;
	connect(&w, &port_restricted, &port_restricted);
	struct agent_pair_info old = best(&w, 0);
	nat_rebind(w.nat[1]);
	uint64_t rebound = world_ms(&w);
	agent_network_changed(w.sides[1].agent, rebound);
	uint32_t pair = 0;
	for (; pair == 0 && world_ms(&w) < rebound + 1000; world_run(&w, 1)) {
		uint32_t pairs[4];
		size_t count = agent_pairs(w.sides[0].agent, pairs, 4);
		for (size_t i = 0; i < count; i++) {
			struct agent_pair_info info;
			agent_pair_info(w.sides[0].agent, pairs[i], &info);
			if (memcmp(&info.remote, &old.remote, sizeof(old.remote)) != 0)
				pair = pairs[i];
		}
	}
	assert_int_not_equal(pair, 0);
	// Asking, signalling, and a round trip.
	assert_true(world_ms(&w) - rebound <= 50 + 50 + 50 + 40);
	world_end(&w);
}

static void test_moving_to_another_socket(void **state)
{
	(void)state;
	struct world w;
	connect(&w, &port_restricted, &port_restricted);
	unsigned from = w.sides[1].event_count;
	uint64_t moved = world_ms(&w);
	world_base(&w.sides[1], 2);
	agent_base_remove(w.sides[1].agent, 0, world_ms(&w));
	w.sides[1].up[0] = false;
	const struct world_event *event = lost(&w.sides[1], from);
	assert_non_null(event);
	assert_int_equal(event->event.lost, AGENT_LOST_BASE);
	assert_int_equal(world_usage(&w, 1).valid, 0);
	// A round trip to the server, the list, and a round trip.
	assert_true(world_until(&w, moved + 50 + 50 + 50 + 40, world_both_confirmed));
	bool found = false;
	for (uint64_t until = moved + 190; world_ms(&w) < until && !found; world_run(&w, 1))
		found = world_usage(&w, 1).confirmed > 0;
	assert_true(found);
	// The old pair of the other side ends with its consent, not with the list.
	assert_null(lost(&w.sides[0], 0));
	world_run(&w, 31000);
	assert_non_null(lost(&w.sides[0], 0));
	assert_true(world_both_confirmed(&w));
	// Nothing is left of where the peer was.
	assert_int_equal(world_usage(&w, 0).remote, 2);
	assert_int_equal(world_usage(&w, 0).pairs, 2);
	world_end(&w);
}

static void test_both_move_at_once(void **state)
{
	(void)state;
	struct world w;
	connect(&w, &port_restricted, &port_restricted);
	for (unsigned i = 0; i < 2; i++) {
		world_base(&w.sides[i], 2);
		agent_base_remove(w.sides[i].agent, 0, world_ms(&w));
		w.sides[i].up[0] = false;
	}
	assert_true(world_until(&w, world_ms(&w) + 300, world_both_confirmed));
	world_end(&w);
}

static void test_network_changed_checks_at_once(void **state)
{
	(void)state;
	struct world w;
	connect(&w, &port_restricted, &port_restricted);
	struct agent_pair_info before = best(&w, 0);
	uint64_t asked = agent_counter(w.sides[0].agent, AGENT_COUNTER_server_requests);
	uint32_t generation, later;
	struct agent_candidate list[AGENT_LOCAL_MAX];
	agent_local(w.sides[0].agent, list, &generation);
	world_run(&w, 500);
	agent_network_changed(w.sides[0].agent, world_ms(&w));
	world_run(&w, 60);
	struct agent_pair_info after = best(&w, 0);
	assert_int_equal(after.pair, before.pair);
	assert_true(after.answered_at + 60 >= world_ms(&w));
	assert_true(agent_counter(w.sides[0].agent, AGENT_COUNTER_server_requests) > asked);
	agent_local(w.sides[0].agent, list, &later);
	assert_true(later > generation);
	// Not answered, it is not left for the next regular check.
	w.cut_direct = true;
	agent_network_changed(w.sides[0].agent, world_ms(&w));
	world_run(&w, 150);
	w.cut_direct = false;
	uint64_t mended = world_ms(&w);
	world_run(&w, 160);
	assert_true(best(&w, 0).answered_at > mended);
	world_end(&w);
}

// ---- the peer's checks come, ours do not arrive ----

static bool one_way(struct world *w, unsigned side, const struct net_endpoint *from,
	const struct net_endpoint *to, const uint8_t *data, size_t size)
{
	(void)w, (void)from, (void)to, (void)data, (void)size;
	return side == 1;
}

static void test_heard_pair_may_be_used_for_a_while(void **state)
{
	(void)state;
	struct world w;
	world_begin(&w, 9, NULL);
	w.wire.quality.delay_us = 10000;
	w.signal_us = 20000;
	w.look = one_way;
	world_start(&w);
	world_run(&w, 1000);
	const struct world_event *valid = world_find(&w.sides[0], AGENT_PAIR_VALID, 0);
	assert_non_null(valid);
	assert_false(valid->event.confirmed);
	assert_int_equal(world_usage(&w, 0).confirmed, 0);
	assert_null(world_find(&w.sides[1], AGENT_PAIR_VALID, 0));
	unsigned sent = 0;
	while (agent_pair_send(w.sides[0].agent, valid->event.pair, "\x09", 1, world_ms(&w)) == 0)
		sent++;
	assert_int_equal(sent, AGENT_UNCONFIRMED_SENDS);
	assert_int_equal(
		agent_pair_send(w.sides[0].agent, valid->event.pair, "\x09", 1, world_ms(&w)),
		-EAGAIN);
	world_run(&w, 2000);
	const struct world_event *end = lost(&w.sides[0], 0);
	assert_non_null(end);
	assert_int_equal(end->event.lost, AGENT_LOST_UNCONFIRMED);
	assert_int_equal(end->event.pair, valid->event.pair);
	assert_in_range(end->at_ms - valid->at_ms, AGENT_UNCONFIRMED_MS, AGENT_UNCONFIRMED_MS + 1);
	assert_int_equal(
		agent_pair_send(w.sides[0].agent, valid->event.pair, "\x09", 1, world_ms(&w)),
		-ENOENT);
	// Mended, the first check makes it whole.
	w.look = NULL;
	assert_true(world_until(&w, world_ms(&w) + 5000, world_both_confirmed));
	world_end(&w);
}

// Who is heard first may send first: one way after its list has come to the other side.
static void test_first_word_comes_before_the_first_answer(void **state)
{
	(void)state;
	struct world w;
	world_begin(&w, 9, NULL);
	w.wire.quality.delay_us = 50000;
	w.signal_us = 100000;
	w.sides[1].silent = true; // the callee's list comes later
	world_nat(&w, 0, port_restricted);
	world_nat(&w, 1, port_restricted);
	world_start(&w);
	world_run(&w, 3000);
	uint64_t answered = world_ms(&w);
	world_signal(&w.sides[1]);
	world_run(&w, 1000);
	const struct world_event *valid = world_find(&w.sides[1], AGENT_PAIR_VALID, 0);
	assert_non_null(valid);
	assert_in_range(valid->at_ms - answered, 100 + 50, 100 + 50 + 5);
	const struct world_event *confirmed = world_find(&w.sides[1], AGENT_PAIR_CONFIRMED, 0);
	assert_non_null(confirmed);
	assert_int_equal(confirmed->event.pair, valid->event.pair);
	assert_true(confirmed->at_ms > valid->at_ms);
	world_end(&w);
}

// ---- relay only ----

static void test_relay_only_shows_nothing(void **state)
{
	(void)state;
	struct forge f;
	uint8_t message[256];
	struct agent_config config = {
		.relay_only = true, .servers = {{4, {192, 0, 2, 1}, 3478}}, .server_count = 1};
	struct endpoint_transport host = forge_v4(10, 0, 0, 2, 5000);
	struct endpoint_transport relayed = forge_v4(192, 0, 2, 1, 50000);
	struct endpoint_transport peer = forge_v4(203, 0, 113, 5, 6000);
	struct agent_candidate c = {.type = AGENT_HOST, .transport = peer, .priority = 126u << 24},
			       list[16];
	uint32_t generation;
	forge_begin(&f, 1, &config);
	assert_int_equal(agent_base_add(f.agent, 0, 4, AGENT_SOCKET, f.now), 0);
	assert_int_equal(
		agent_candidate_add(f.agent, 0, AGENT_HOST, AGENT_NORMAL, &host, f.now), -EPERM);
	assert_int_equal(
		agent_candidate_add(f.agent, 0, AGENT_SERVER_REFLEXIVE, AGENT_NORMAL, &host, f.now),
		-EPERM);
	agent_remote_set(f.agent, 1, &c, 1, f.now);
	// A check that comes to the socket anyway is not answered, and makes no pair.
	struct forge_check check = {.sequence = 1, .controlling = true};
	size_t size = forge_check(&f, &check, message, sizeof(message));
	forge_deliver(&f, 0, &peer, message, size);
	assert_int_equal(agent_heard(f.agent, 0, &peer, f.now), 0);
	forge_run(&f, 60000);
	agent_network_changed(f.agent, f.now);
	forge_run(&f, 60000);
	assert_int_equal(f.sent_count, 0);
	assert_int_equal(agent_local(f.agent, list, &generation), 0);
	assert_int_equal(agent_counter(f.agent, AGENT_COUNTER_ignored_relay_only), 1);
	// By the relay it works.
	assert_int_equal(agent_base_add(f.agent, 1, 4, AGENT_TURN, f.now), 0);
	assert_int_equal(
		agent_candidate_add(f.agent, 1, AGENT_RELAYED, AGENT_NORMAL, &relayed, f.now), 0);
	forge_run(&f, 1000);
	assert_true(f.sent_count > 0);
	for (unsigned i = 0; i < f.sent_count; i++)
		assert_int_equal(f.sent[i].base, 1);
	assert_int_equal(agent_local(f.agent, list, &generation), 1);
	assert_int_equal(list[0].type, AGENT_RELAYED);
	forge_end(&f);
}

// ---- owners that do things in the middle ----

static void remove_base(struct world_side *side, const struct agent_event *event)
{
	uint64_t now = world_ms(side->world);
	if (event->type == AGENT_PAIR_VALID && side->up[0]) {
		side->up[0] = false;
		assert_int_equal(agent_base_remove(side->agent, 0, now), 0);
		world_base(side, 2);
	}
	if (event->type == AGENT_PAIR_LOST)
		agent_network_changed(side->agent, now);
	agent_tick(side->agent, now);
}

static void test_functions_called_from_events(void **state)
{
	(void)state;
	struct world w;
	world_begin(&w, 8, NULL);
	w.wire.quality.delay_us = 10000;
	w.signal_us = 20000;
	for (unsigned i = 0; i < 2; i++)
		w.sides[i].react = remove_base;
	world_start(&w);
	world_run(&w, 10000);
	assert_true(world_both_confirmed(&w));
	for (unsigned i = 0; i < 2; i++) {
		const struct world_event *valid = world_find(&w.sides[i], AGENT_PAIR_VALID, 0);
		const struct world_event *gone = lost(&w.sides[i], 0);
		assert_true(valid != NULL && gone != NULL && valid < gone);
		assert_int_equal(valid->event.pair, gone->event.pair);
		assert_int_equal(best(&w, i).base, 2);
	}
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_consent_ends_30_s_after_the_path),
		cmocka_unit_test(test_short_cut_is_no_loss),
		cmocka_unit_test(test_consent_checks_are_4_to_6_s_apart),
		cmocka_unit_test(test_keepalive_meets_short_timers),
		cmocka_unit_test(test_rebinding_is_followed_with_the_next_frame),
		cmocka_unit_test(test_rebinding_is_found_by_checks_alone),
		cmocka_unit_test(test_rebinding_behind_port_restriction),
		cmocka_unit_test(test_moving_to_another_socket),
		cmocka_unit_test(test_both_move_at_once),
		cmocka_unit_test(test_network_changed_checks_at_once),
		cmocka_unit_test(test_heard_pair_may_be_used_for_a_while),
		cmocka_unit_test(test_first_word_comes_before_the_first_answer),
		cmocka_unit_test(test_relay_only_shows_nothing),
		cmocka_unit_test(test_functions_called_from_events),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
