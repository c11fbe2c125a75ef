// SPDX-License-Identifier: BSD-3-Clause
// As an agent of RFC 8445 among others: nomination, roles and their conflicts, peers that only
// answer, checks that are faster than signalling, and what a check looks like to who reads it.
#include "tests/unit/agent_forge.h"
#include "tests/unit/agent_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct net_endpoint mapped = {
	.address = {.bytes = {198, 51, 100, 9}, .family = 4}, .port = 777};

static void begin(struct world *w, uint64_t seed)
{
	struct agent_config config = {.selection = AGENT_STANDARD};
	world_begin(w, seed, &config);
	w->wire.quality.delay_us = 20000;
	w->signal_us = 40000;
}

static bool both_nominated(const struct world *w)
{
	return world_usage(w, 0).nominated != 0 && world_usage(w, 1).nominated != 0;
}

static struct agent_pair_info nominated(const struct world *w, unsigned side)
{
	struct agent_pair_info info = {0};
	agent_pair_info(w->sides[side].agent, world_usage(w, side).nominated, &info);
	return info;
}

// Both ends of the nominated pair are each other's.
static void assert_agreed(const struct world *w)
{
	struct agent_pair_info a = nominated(w, 0), b = nominated(w, 1);
	assert_true(a.nominated && b.nominated && a.confirmed && b.confirmed);
	assert_memory_equal(&a.local, &b.remote, sizeof(a.local));
	assert_memory_equal(&b.local, &a.remote, sizeof(b.local));
}

static void test_one_pair_is_nominated_and_both_agree(void **state)
{
	(void)state;
	struct world w;
	begin(&w, 1);
	world_start(&w);
	world_base(&w.sides[0], 1);
	world_base(&w.sides[1], 1);
	assert_true(world_until(&w, 5000, both_nominated));
	world_run(&w, 2000);
	assert_agreed(&w);
	// IPv6 is worth more, and the rest is let go.
	assert_int_equal(nominated(&w, 0).remote.family, 6);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(world_count(&w.sides[i], AGENT_PAIR_NOMINATED), 1);
		assert_int_equal(world_usage(&w, i).valid, 1);
		const struct world_event *lost = world_find(&w.sides[i], AGENT_PAIR_LOST, 0);
		if (lost != NULL)
			assert_int_equal(lost->event.lost, AGENT_LOST_SELECTED);
	}
	// Consent goes on for the one, and nothing else is sent to the peer.
	uint64_t checks = agent_counter(w.sides[0].agent, AGENT_COUNTER_checks);
	world_run(&w, 120000);
	assert_agreed(&w);
	checks = agent_counter(w.sides[0].agent, AGENT_COUNTER_checks) - checks;
	assert_in_range(checks, 20, 30);
	world_end(&w);
}

static void conflict(bool controlling, uint64_t seed)
{
	struct world w;
	begin(&w, seed);
	w.sides[0].config.controlling = w.sides[1].config.controlling = controlling;
	world_start(&w);
	assert_true(world_until(&w, 5000, both_nominated));
	world_run(&w, 1000);
	assert_agreed(&w);
	assert_int_not_equal(world_usage(&w, 0).controlling, world_usage(&w, 1).controlling);
	assert_true(agent_counter(w.sides[0].agent, AGENT_COUNTER_role_conflicts) +
			    agent_counter(w.sides[1].agent, AGENT_COUNTER_role_conflicts) >
		    0);
	world_end(&w);
}

static void test_role_conflicts_are_solved(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		conflict(true, seed);
		conflict(false, seed);
	}
}

static void test_nomination_survives_loss(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 30; seed++) {
		struct world w;
		begin(&w, seed);
		w.wire.quality.loss = 200000;
		w.wire.quality.duplicate = 100000;
		world_start(&w);
		if (!world_until(&w, 20000, both_nominated))
			fail_msg("seed %u: nothing nominated", (unsigned)seed);
		world_run(&w, 1000);
		assert_agreed(&w);
		world_end(&w);
	}
}

static void test_nominated_pair_dies_and_another_is_found(void **state)
{
	(void)state;
	struct world w;
	begin(&w, 2);
	world_start(&w);
	assert_true(world_until(&w, 5000, both_nominated));
	w.cut_direct = true;
	world_run(&w, 40000);
	assert_int_equal(world_usage(&w, 0).nominated, 0);
	assert_int_equal(world_usage(&w, 1).nominated, 0);
	w.cut_direct = false;
	assert_true(world_until(&w, world_ms(&w) + 15000, both_nominated));
	world_run(&w, 1000);
	assert_agreed(&w);
	world_end(&w);
}

static bool drop_v6(struct world *w, unsigned side, const struct net_endpoint *from,
	const struct net_endpoint *to, const uint8_t *data, size_t size)
{
	(void)w, (void)side, (void)from, (void)data, (void)size;
	return to->address.family == 4;
}

static void test_after_the_nominated_pair_the_others_are_tried_again(void **state)
{
	(void)state;
	struct world w;
	begin(&w, 2);
	world_start(&w);
	world_base(&w.sides[0], 1);
	world_base(&w.sides[1], 1);
	assert_true(world_until(&w, 5000, both_nominated));
	assert_int_equal(nominated(&w, 0).remote.family, 6);
	w.look = drop_v6;
	world_run(&w, 32000);
	assert_true(world_until(&w, world_ms(&w) + 5000, both_nominated));
	world_run(&w, 1000);
	assert_agreed(&w);
	assert_int_equal(nominated(&w, 0).remote.family, 4);
	world_end(&w);
}

// The offerer learns of the answerer by its checks, before it has its answer.
static void test_checks_before_credentials(void **state)
{
	(void)state;
	struct world w;
	begin(&w, 3);
	struct agent_credentials late = w.sides[0].config.remote;
	memset(&w.sides[0].config.remote, 0, sizeof(late));
	w.sides[1].silent = true;
	world_start(&w);
	world_run(&w, 1000);
	assert_true(agent_counter(w.sides[0].agent, AGENT_COUNTER_answers) > 0);
	assert_int_equal(agent_counter(w.sides[0].agent, AGENT_COUNTER_checks), 0);
	struct agent_credentials bad = late;
	bad.password[5] = ':';
	assert_int_equal(agent_remote_credentials(w.sides[0].agent, &bad, world_ms(&w)), -EINVAL);
	assert_int_equal(agent_remote_credentials(w.sides[0].agent, &late, world_ms(&w)), 0);
	assert_int_equal(agent_remote_credentials(w.sides[0].agent, &late, world_ms(&w)), 0);
	bad.password[5] = 'z';
	assert_int_equal(agent_remote_credentials(w.sides[0].agent, &bad, world_ms(&w)), -EALREADY);
	assert_true(world_until(&w, world_ms(&w) + 2000, both_nominated));
	world_run(&w, 500);
	assert_agreed(&w);
	assert_int_equal(nominated(&w, 0).remote_type, AGENT_PEER_REFLEXIVE);
	world_end(&w);
}

static void test_longest_credentials(void **state)
{
	(void)state;
	struct world w;
	begin(&w, 4);
	for (unsigned i = 0; i < 2; i++) {
		struct agent_credentials *own = &w.sides[i].config.local;
		memset(own->fragment, 'a' + (int)i, 230);
		memset(own->password, 'c' + (int)i, AGENT_CREDENTIAL_MAX);
		own->fragment[230] = own->password[AGENT_CREDENTIAL_MAX] = 0;
		w.sides[!i].config.remote = *own;
	}
	world_start(&w);
	assert_true(world_until(&w, 5000, both_nominated));
	world_end(&w);
}

static struct endpoint_transport lone(struct forge *f, struct agent_config *config)
{
	struct endpoint_transport peer = forge_v4(203, 0, 113, 5, 6000);
	struct agent_candidate c = {.type = AGENT_HOST, .transport = peer, .priority = 126u << 24};
	config->selection = AGENT_STANDARD;
	forge_begin(f, 5, config);
	forge_base(f, 0);
	assert_int_equal(agent_remote_add(f->agent, &c, f->now), 0);
	return peer;
}

// to: NULL is anybody.
static const struct forge_sent *last_check_to(
	const struct forge *f, const struct endpoint_transport *to)
{
	for (unsigned i = f->sent_count; i-- > 0;)
		if (forge_is(&f->sent[i], STUN_REQUEST) &&
			(to == NULL || memcmp(&f->sent[i].to, to, sizeof(*to)) == 0))
			return &f->sent[i];
	return NULL;
}

static const struct forge_sent *last_check(const struct forge *f)
{
	return last_check_to(f, NULL);
}

static bool says(const struct forge_sent *sent, uint16_t type)
{
	struct stun_message m;
	struct stun_attribute a;
	assert_int_equal(stun_parse(sent->data, sent->size, &m), 0);
	return stun_find(&m, type, &a);
}

static void answer_last(struct forge *f, const struct endpoint_transport *peer, unsigned code)
{
	uint8_t message[256];
	size_t size =
		forge_answer(f, last_check_to(f, peer), code, &mapped, message, sizeof(message));
	forge_deliver(f, 0, peer, message, size);
}

static void test_peer_that_only_answers(void **state)
{
	(void)state;
	struct forge f;
	struct agent_config config = {.remote_lite = true};
	struct agent_usage usage;
	struct endpoint_transport peer = lone(&f, &config);
	assert_true(says(last_check(&f), STUN_ICE_CONTROLLING));
	assert_false(says(last_check(&f), STUN_USE_CANDIDATE));
	f.now += 30;
	answer_last(&f, &peer, 0);
	assert_true(says(last_check(&f), STUN_USE_CANDIDATE));
	// The nomination gets lost, and is said again until it is answered.
	unsigned count = f.sent_count;
	forge_run(&f, 150);
	assert_true(f.sent_count > count && says(last_check(&f), STUN_USE_CANDIDATE));
	answer_last(&f, &peer, 0);
	agent_usage(f.agent, &usage);
	assert_int_not_equal(usage.nominated, 0);
	forge_end(&f);
}

static void test_487_switches_once(void **state)
{
	(void)state;
	struct forge f;
	struct agent_config config = {.controlling = true};
	uint8_t first[256], second[256];
	struct endpoint_transport peer = lone(&f, &config);
	forge_run(&f, 600);
	assert_int_equal(f.sent_count, 2);
	size_t size = forge_answer(&f, &f.sent[0], 487, NULL, first, sizeof(first));
	size_t again = forge_answer(&f, &f.sent[1], 487, NULL, second, sizeof(second));
	struct agent_usage usage;
	forge_deliver(&f, 0, &peer, first, size);
	agent_usage(f.agent, &usage);
	assert_false(usage.controlling);
	// The answer to what was sent before the switch says nothing new.
	forge_deliver(&f, 0, &peer, second, again);
	agent_usage(f.agent, &usage);
	assert_false(usage.controlling);
	forge_run(&f, 100);
	assert_true(says(last_check(&f), STUN_ICE_CONTROLLED));
	// RFC 8445 7.2.5.1: with another tie-breaker.
	struct stun_message m;
	struct stun_attribute a, b;
	stun_parse(f.sent[0].data, f.sent[0].size, &m);
	stun_find(&m, STUN_ICE_CONTROLLING, &a);
	stun_parse(last_check(&f)->data, last_check(&f)->size, &m);
	stun_find(&m, STUN_ICE_CONTROLLED, &b);
	assert_memory_not_equal(a.value, b.value, 8);
	forge_end(&f);
}

// RFC 8445 7.3.1.1: who is controlling stays so with the greater number, or an equal one.
static void test_greater_tie_breaker_controls(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		struct forge f;
		bool controlling = i & 1;
		unsigned theirs = i / 2; // less, the same, more
		struct agent_config config = {.controlling = controlling};
		struct agent_usage usage;
		struct stun_message m;
		struct stun_attribute a;
		uint8_t message[256];
		uint64_t own = 0;
		struct endpoint_transport peer = lone(&f, &config);
		stun_parse(f.sent[0].data, f.sent[0].size, &m);
		assert_true(stun_find(
			&m, controlling ? STUN_ICE_CONTROLLING : STUN_ICE_CONTROLLED, &a));
		for (unsigned j = 0; j < 8; j++)
			own = own << 8 | a.value[j];
		struct forge_check check = {
			.controlling = controlling, .tie_breaker = own - 1 + theirs};
		size_t size = forge_check(&f, &check, message, sizeof(message));
		unsigned before = f.sent_count;
		forge_deliver(&f, 0, &peer, message, size);
		agent_usage(f.agent, &usage);
		bool ours_greater = theirs <= 1;
		// The one with the greater number controls in the end: by its own switch, or by the
		// 487 that it sends.
		assert_int_equal(usage.controlling, ours_greater);
		bool refused = controlling == ours_greater;
		assert_int_equal(forge_is(&f.sent[before], STUN_ERROR), refused);
		assert_int_equal(forge_is(&f.sent[before], STUN_SUCCESS), !refused);
		forge_end(&f);
	}
}

// An RFC 5245 agent in control says USE-CANDIDATE on all its checks.
static void test_peer_that_nominates_everything(void **state)
{
	(void)state;
	struct forge f;
	struct agent_config config = {0};
	struct agent_usage usage;
	uint8_t message[256];
	struct endpoint_transport peer = lone(&f, &config);
	struct endpoint_transport better = forge_v4(203, 0, 113, 5, 6001);
	struct agent_candidate c = {
		.type = AGENT_HOST, .transport = better, .priority = (126u << 24) + 1000};
	agent_remote_add(f.agent, &c, f.now);
	const struct endpoint_transport *from[] = {&peer, &better};
	uint32_t first = 0;
	for (unsigned i = 0; i < 2; i++) {
		struct forge_check check = {
			.controlling = true, .use_candidate = true, .tie_breaker = i};
		size_t size = forge_check(&f, &check, message, sizeof(message));
		forge_deliver(&f, 0, from[i], message, size);
		forge_run(&f, 100);
		assert_non_null(last_check_to(&f, from[i]));
		answer_last(&f, from[i], 0);
		agent_usage(f.agent, &usage);
		assert_int_not_equal(usage.nominated, first);
		first = usage.nominated;
	}
	assert_int_equal(usage.valid, 1);
	assert_int_equal(agent_pair_of(f.agent, 0, &better), usage.nominated);
	forge_end(&f);
}

static void test_what_a_check_says(void **state)
{
	(void)state;
	struct forge f;
	struct agent_config config = {.controlling = true};
	struct stun_message m;
	struct stun_attribute a;
	struct stun_key key;
	uint32_t priority;
	char username[64];
	lone(&f, &config);
	assert_int_equal(stun_parse(f.sent[0].data, f.sent[0].size, &m), 0);
	assert_int_equal(m.method, STUN_BINDING);
	assert_true(m.has_fingerprint);
	int length = snprintf(username, sizeof(username), "%.31s:%.31s", f.config.remote.fragment,
		f.config.local.fragment);
	assert_true(stun_find(&m, STUN_USERNAME, &a));
	assert_int_equal(a.length, length);
	assert_memory_equal(a.value, username, a.length);
	// As a peer-reflexive candidate: RFC 8445 7.1.1.
	assert_true(stun_find(&m, STUN_PRIORITY, &a) && stun_read_u32(&a, &priority) == 0);
	assert_int_equal(priority >> 24, 110);
	assert_int_equal(priority & 0xFF, 255);
	assert_false(stun_find(&m, FORGE_SEQUENCE, &a));
	stun_key_short_term(f.config.remote.password, strlen(f.config.remote.password), &key);
	assert_int_equal(stun_verify_integrity(&m, &key), 0);
	forge_end(&f);
}

static void test_pace(void **state)
{
	(void)state;
	struct forge f;
	struct agent_config config = {0};
	lone(&f, &config);
	for (unsigned i = 0; i < 10; i++) {
		struct agent_candidate c = {.type = AGENT_HOST,
			.transport = forge_v4(203, 0, 113, (uint8_t)(10 + i), 6000),
			.priority = 126u << 24};
		agent_remote_add(f.agent, &c, f.now);
	}
	forge_run(&f, 2000);
	for (unsigned i = 1; i < f.sent_count; i++)
		assert_true(f.sent[i].at - f.sent[i - 1].at >= 50);
	assert_true(f.sent_count >= 30);
	forge_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_pair_is_nominated_and_both_agree),
		cmocka_unit_test(test_role_conflicts_are_solved),
		cmocka_unit_test(test_nomination_survives_loss),
		cmocka_unit_test(test_nominated_pair_dies_and_another_is_found),
		cmocka_unit_test(test_after_the_nominated_pair_the_others_are_tried_again),
		cmocka_unit_test(test_checks_before_credentials),
		cmocka_unit_test(test_longest_credentials),
		cmocka_unit_test(test_peer_that_only_answers),
		cmocka_unit_test(test_487_switches_once),
		cmocka_unit_test(test_greater_tie_breaker_controls),
		cmocka_unit_test(test_peer_that_nominates_everything),
		cmocka_unit_test(test_what_a_check_says),
		cmocka_unit_test(test_pace),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
