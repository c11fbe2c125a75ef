// SPDX-License-Identifier: BSD-3-Clause
// Which networks two agents get through, and how fast. What is possible is computed first, from the
// NAT model alone: by sending from each side to every address the other is known by, until nothing
// new is learnt. The agents have to find a way exactly where there is one.
#include "tests/unit/agent_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const char *const dependence_name[] = {"independent", "address", "address-port"};

static struct nat_behaviour behaviour(unsigned mapping, unsigned filtering)
{
	return (struct nat_behaviour){.mapping = mapping,
		.filtering = filtering,
		.allocation = mapping == NAT_ENDPOINT_INDEPENDENT ? NAT_PRESERVE : NAT_RANDOM};
}

// ---- what is possible ----

enum { KNOWN_MAX = 24, ROUNDS = 6 };

struct theory {
	struct nat *nat[2];
	struct net_endpoint inside[2];
	struct net_endpoint known[2][KNOWN_MAX]; // addresses at which a side is known
	unsigned known_count[2];
	uint64_t now_us;
};

static void theory_learn(struct theory *t, unsigned side, const struct net_endpoint *address)
{
	for (unsigned i = 0; i < t->known_count[side]; i++)
		if (net_endpoint_equal(&t->known[side][i], address))
			return;
	if (t->known_count[side] < KNOWN_MAX)
		t->known[side][t->known_count[side]++] = *address;
}

// Sends from a side; true when it arrives at the other, where *seen is its source.
static bool theory_send(
	struct theory *t, unsigned from, const struct net_endpoint *to, struct net_endpoint *seen)
{
	struct net_endpoint source = t->inside[from], destination = *to;
	t->now_us += 10;
	if (t->nat[from] != NULL &&
		nat_outbound(t->nat[from], t->now_us, &source, &destination) != NAT_OUTSIDE)
		return false;
	*seen = source;
	if (t->nat[!from] != NULL &&
		nat_inbound(t->nat[!from], t->now_us, &source, &destination) != NAT_INSIDE)
		return false;
	return net_endpoint_equal(&destination, &t->inside[!from]);
}

static bool theory_possible(const struct nat_behaviour *a, const struct nat_behaviour *b)
{
	const struct nat_behaviour *behaviours[2] = {a, b};
	struct theory t = {.now_us = 1};
	struct net_endpoint seen, back;
	bool possible = false;
	for (unsigned i = 0; i < 2; i++) {
		t.inside[i] = (struct net_endpoint){
			.address = {.bytes = {10, (uint8_t)i, 0, 2}, .family = 4}, .port = 5000};
		t.nat[i] = behaviours[i] != NULL ? nat_create(behaviours[i], 5 + i) : NULL;
		seen = t.inside[i];
		struct net_endpoint server = world_server;
		if (t.nat[i] != NULL)
			nat_outbound(t.nat[i], t.now_us, &seen, &server);
		theory_learn(&t, i, &seen);
	}
	for (unsigned round = 0; round < ROUNDS; round++)
		for (unsigned side = 0; side < 2; side++)
			for (unsigned i = 0; i < t.known_count[!side]; i++) {
				struct net_endpoint to = t.known[!side][i];
				if (!theory_send(&t, side, &to, &seen))
					continue;
				theory_learn(&t, side, &seen);
				// An answer counts from where the question went to.
				struct net_endpoint answer = seen;
				possible |= theory_send(&t, !side, &answer, &back) &&
					    net_endpoint_equal(&back, &to);
			}
	nat_destroy(t.nat[0]);
	nat_destroy(t.nat[1]);
	return possible;
}

// ---- what the agents do ----

struct outcome {
	bool direct;
	uint64_t both_listed_ms, both_confirmed_ms;
};

static bool listed(const struct world *w)
{
	// A server-reflexive candidate of each side has come to the other.
	return world_usage(w, 0).remote >= 2 && world_usage(w, 1).remote >= 2;
}

static struct outcome run(const struct nat_behaviour *a, const struct nat_behaviour *b,
	uint32_t delay_us, uint64_t for_ms)
{
	struct world w;
	struct outcome outcome = {0};
	world_begin(&w, 3, NULL);
	w.wire.quality.delay_us = delay_us;
	w.signal_us = 2 * delay_us + 1000;
	if (a != NULL)
		world_nat(&w, 0, *a);
	if (b != NULL)
		world_nat(&w, 1, *b);
	world_start(&w);
	world_until(&w, 5000, listed);
	outcome.both_listed_ms = world_ms(&w);
	outcome.direct = world_until(&w, world_ms(&w) + for_ms, world_both_confirmed);
	outcome.both_confirmed_ms = world_ms(&w);
	world_end(&w);
	return outcome;
}

static void check_pair(unsigned am, unsigned af, unsigned bm, unsigned bf)
{
	struct nat_behaviour a = behaviour(am, af), b = behaviour(bm, bf);
	a.translates = b.translates = true;
	a.outside = (struct net_address){.bytes = {198, 51, 100, 1}, .family = 4};
	b.outside = (struct net_address){.bytes = {203, 0, 113, 1}, .family = 4};
	bool possible = theory_possible(&a, &b);
	struct outcome outcome = run(&a, &b, 25000, 8000);
	if (outcome.direct != possible)
		fail_msg("mapping %s, filtering %s against mapping %s, filtering %s: possible %d, "
			 "found %d",
			dependence_name[am], dependence_name[af], dependence_name[bm],
			dependence_name[bf], possible, outcome.direct);
	// What everybody has to get through, said without the model.
	if (am == NAT_ENDPOINT_INDEPENDENT && bm == NAT_ENDPOINT_INDEPENDENT)
		assert_true(possible);
	if (am == NAT_ENDPOINT_INDEPENDENT && af != NAT_ADDRESS_AND_PORT_DEPENDENT)
		assert_true(possible);
	if (am == NAT_ENDPOINT_INDEPENDENT && af == NAT_ADDRESS_AND_PORT_DEPENDENT &&
		bm != NAT_ENDPOINT_INDEPENDENT)
		assert_false(possible);
}

static void test_all_pairs_as_theory_says(void **state)
{
	(void)state;
	for (unsigned a = 0; a < 9; a++)
		for (unsigned b = 0; b < 9; b++)
			check_pair(a / 3, a % 3, b / 3, b % 3);
}

static void test_time_is_a_round_trip_and_40_ms(void **state)
{
	(void)state;
	static const uint32_t delays_us[] = {0, 25000, 75000};
	for (unsigned d = 0; d < 3; d++) {
		uint64_t round_trip = 2 * delays_us[d] / 1000;
		for (unsigned af = 0; af < 3; af++) {
			for (unsigned bf = 0; bf < 3; bf++) {
				struct nat_behaviour a = behaviour(0, af), b = behaviour(0, bf);
				struct outcome outcome = run(&a, &b, delays_us[d], 2000);
				uint64_t took = outcome.both_confirmed_ms - outcome.both_listed_ms;
				assert_true(outcome.direct);
				if (took > round_trip + 40)
					fail_msg("filtering %u and %u at %u us: %u ms", af, bf,
						delays_us[d], (unsigned)took);
			}
		}
		struct outcome open = run(NULL, NULL, delays_us[d], 2000);
		assert_true(open.direct);
	}
}

static void test_easy_side_meets_a_side_without_nat(void **state)
{
	(void)state;
	for (unsigned m = 0; m < 9; m++) {
		struct nat_behaviour a = behaviour(m / 3, m % 3);
		struct outcome outcome = run(&a, NULL, 25000, 1000);
		assert_true(outcome.direct);
	}
}

static void test_ipv6_behind_firewalls(void **state)
{
	(void)state;
	struct world w;
	world_begin(&w, 4, NULL);
	w.wire.quality.delay_us = 20000;
	w.signal_us = 40000;
	// IPv4 has no way; the same boxes let IPv6 through as firewalls do.
	world_nat(&w, 0, behaviour(NAT_ADDRESS_AND_PORT_DEPENDENT, 2));
	world_nat(&w, 1, behaviour(NAT_ADDRESS_AND_PORT_DEPENDENT, 2));
	world_start(&w);
	world_base(&w.sides[0], 1);
	world_base(&w.sides[1], 1);
	assert_true(world_until(&w, 3000, world_both_confirmed));
	for (unsigned i = 0; i < 2; i++) {
		uint32_t pair;
		struct agent_pair_info info;
		assert_int_equal(agent_pairs(w.sides[i].agent, &pair, 1), 1);
		assert_int_equal(agent_pair_info(w.sides[i].agent, pair, &info), 0);
		assert_int_equal(info.remote.family, 6);
		assert_int_equal(info.local_type, AGENT_HOST);
		assert_int_equal(info.rtt_ms, 40);
	}
	world_end(&w);
}

static void same_network(bool hairpin, bool hosts)
{
	struct world w;
	struct nat_behaviour nat = behaviour(0, 0);
	nat.hairpin = hairpin;
	world_begin(&w, 5, NULL);
	w.wire.quality.delay_us = 5000;
	w.signal_us = 20000;
	world_nat(&w, 0, nat);
	w.sides[1].network = 0;
	for (unsigned i = 0; i < 2; i++) {
		world_agent(&w.sides[i]);
		w.sides[i].silent = true;
		world_base(&w.sides[i], 0);
		struct endpoint_transport host = world_transport(&w.sides[i].inside[0]);
		if (!hosts)
			assert_int_equal(agent_candidate_remove(w.sides[i].agent, 0, &host, 1), 0);
		w.sides[i].silent = false;
	}
	bool found = world_until(&w, 5000, world_both_confirmed);
	assert_int_equal(found, hairpin || hosts);
	if (found && hosts) {
		uint32_t pair;
		struct agent_pair_info info;
		world_run(&w, 500);
		assert_true(agent_pairs(w.sides[0].agent, &pair, 1) == 1);
		agent_pair_info(w.sides[0].agent, pair, &info);
		// The way that stays inside is the best one.
		assert_int_equal(info.remote.address[0], 10);
	}
	world_end(&w);
}

static void test_both_behind_one_nat(void **state)
{
	(void)state;
	same_network(false, true);
	same_network(true, true);
	// Only as the world sees them: the NAT has to turn packets back.
	same_network(true, false);
	same_network(false, false);
}

// Each check, and each answer, may get lost; half a second more is enough in all these runs.
static void test_loss_and_reordering(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 50; seed++) {
		struct world w;
		world_begin(&w, seed, NULL);
		w.wire.quality = (struct wire_quality){.delay_us = 25000,
			.jitter_us = 10000,
			.loss = 200000,
			.duplicate = 100000,
			.reorder = 200000,
			.reorder_us = 40000};
		w.signal_us = 50000;
		world_nat(&w, 0, behaviour(0, 2));
		world_nat(&w, 1, behaviour(0, 2));
		world_start(&w);
		if (!world_until(&w, 4000, world_both_confirmed))
			fail_msg("seed %u: no way within 4 s", (unsigned)seed);
		// Nobody loses it again, and both agree on where it leads.
		world_run(&w, 60000);
		for (unsigned i = 0; i < 2; i++) {
			assert_true(world_usage(&w, i).confirmed > 0);
			assert_true(agent_counter(w.sides[i].agent,
					    AGENT_COUNTER_ignored_integrity) == 0);
		}
		world_end(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_pairs_as_theory_says),
		cmocka_unit_test(test_time_is_a_round_trip_and_40_ms),
		cmocka_unit_test(test_easy_side_meets_a_side_without_nat),
		cmocka_unit_test(test_ipv6_behind_firewalls),
		cmocka_unit_test(test_both_behind_one_nat),
		cmocka_unit_test(test_loss_and_reordering),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
