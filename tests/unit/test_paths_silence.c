// SPDX-License-Identifier: BSD-3-Clause
// endpoint/paths when paths die: cuts, one-way cuts, relays that die, bad paths that are no dead
// ones, nothing at all, and whatever a seed thinks of.
#include "tests/unit/path_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static const uint32_t delays[] = {0, 25, 75};

// A call that has been on its direct path for a while, the relay legs warm.
static struct pair *call_open(uint64_t seed, uint32_t relay_ms, uint32_t direct_ms)
{
	struct pair *pair = pair_open(seed, NULL);
	link_delay(pair, 0, relay_ms);
	link_delay(pair, 1, relay_ms + 10);
	link_delay(pair, 2, direct_ms);
	link_up(pair, 0);
	link_up(pair, 1);
	link_up(pair, 2);
	pair_pass(pair, 1000);
	pair_answer(pair);
	pair_pass(pair, 3013);
	for (unsigned s = 0; s < 2; s++) {
		assert_int_equal(paths_main(&pair->side[s].paths), PATHS_DIRECT);
		assert_int_equal(pair->side[s].event_count, 1);
	}
	return pair;
}

static void both_on_single(struct pair *pair, unsigned path)
{
	for (unsigned s = 0; s < 2; s++) {
		assert_int_equal(paths_main(&pair->side[s].paths), path);
		assert_int_equal(paths_choose(&pair->side[s].paths, pair->now), PATHS_MASK(path));
	}
}

static void cut(uint32_t relay_ms, uint32_t direct_ms, bool from_a, bool from_b)
{
	struct pair *pair = call_open(1, relay_ms, direct_ms);
	uint64_t since = pair->now;
	link_cut(pair, 2, from_a, from_b);
	pair_pass(pair, 5000);
	for (unsigned s = 0; s < 2; s++) {
		struct side *side = &pair->side[s];
		uint64_t gap = gap_since(side, since - 500);
		if (getenv("FOLLOW") != NULL)
			fprintf(stderr, "relay %u direct %u cut %d%d: gap %llu\n", relay_ms,
				direct_ms, from_a, from_b, (unsigned long long)gap);
		assert_true(gap <= 300);
		// Who is heard well need not move.
		if (s == 0 ? from_a : from_b) {
			assert_int_equal(paths_main(&side->paths), PATHS_RELAY);
			const struct paths_event *switched =
				event_first(side, PATHS_SWITCHED, since);
			assert_true(switched->forced);
			assert_int_equal(event_times(side, PATHS_PATH_SILENT, since), 1);
		} else {
			assert_int_equal(paths_main(&side->paths), PATHS_DIRECT);
		}
		assert_int_equal(event_times(side, PATHS_BOTH_ON, since), 1);
		assert_int_equal(event_times(side, PATHS_BOTH_OFF, since), 1);
		assert_int_equal(lost_since(side, since + 600, 300), 0);
	}
	// It comes back, and has to prove itself for a second.
	link_cut(pair, 2, false, false);
	uint64_t back = pair->now;
	pair_pass(pair, 5000);
	both_on_single(pair, PATHS_DIRECT);
	for (unsigned s = 0; s < 2; s++) {
		struct side *side = &pair->side[s];
		assert_int_equal(lost_since(side, back, 300), 0);
		const struct paths_event *switched = event_first(side, PATHS_SWITCHED, back);
		if (s == 0 ? from_a : from_b)
			assert_true(!switched->forced && switched->at_ms >= back + 1000);
	}
	pair_close(pair);
}

static void test_direct_path_cut(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		cut(delays[i], delays[i], true, true);
		cut(delays[i] * 2, delays[i], true, true);
	}
}

// The one who is not heard learns it from the other's ages, by the relay.
static void test_direct_path_cut_one_way(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		cut(delays[i], delays[i], true, false);
		cut(delays[i] + 20, delays[i], false, true);
	}
}

// Rebinding at A's NAT: B's frames go to where nobody is; A's come from an address that is not B's
// path, until an agent finds the new one.
static void test_rebinding(void **state)
{
	(void)state;
	struct pair *pair = call_open(1, 50, 25);
	struct side *a = &pair->side[0], *b = &pair->side[1];
	uint64_t since = pair->now;
	link_cut(pair, 2, false, true);
	b->alternate = true;
	pair_pass(pair, 3000);
	assert_true(gap_since(a, since - 500) <= 300);
	assert_int_equal(gap_since(b, since - 500), 0);
	// B finds it: a new pair in the place of the dead one.
	b->alternate = false;
	link_cut(pair, 2, false, false);
	side_up(b, 2);
	assert_int_equal(b->number_of[2], PATHS_OTHER_DIRECT);
	pair_pass(pair, 3000);
	assert_int_equal(paths_main(&b->paths), PATHS_OTHER_DIRECT);
	assert_int_equal(lost_since(a, since + 400, 300), 0);
	pair_close(pair);
}

// Wi-Fi is gone and its socket with it: the relay at once, from both ends of it.
static void test_interface_gone(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct pair *pair = call_open(1, delays[i] + 10, delays[i]);
		struct side *a = &pair->side[0], *b = &pair->side[1];
		uint64_t since = pair->now;
		link_cut(pair, 2, true, true);
		side_down(a, 2);
		assert_int_equal(paths_choose(&a->paths, pair->now), 3);
		pair_pass(pair, 3000);
		assert_true(gap_since(a, since - 500) <= 300);
		assert_true(gap_since(b, since - 500) <= 60 + 10);
		assert_int_equal(paths_main(&a->paths), PATHS_RELAY);
		assert_int_equal(paths_choose(&a->paths, pair->now), 1);
		pair_close(pair);
	}
}

static struct pair *relay_call(bool second)
{
	struct pair *pair = pair_open(1, NULL);
	link_delay(pair, 0, 75);
	link_delay(pair, 1, 85);
	link_up(pair, 0);
	if (second)
		link_up(pair, 1);
	pair_pass(pair, 1000);
	pair_answer(pair);
	pair_pass(pair, 3013);
	both_on_single(pair, PATHS_RELAY);
	return pair;
}

static void test_relay_death_with_second_leg(void **state)
{
	(void)state;
	struct pair *pair = relay_call(true);
	uint64_t since = pair->now;
	link_cut(pair, 0, true, true);
	pair_pass(pair, 20000);
	both_on_single(pair, PATHS_SECOND_RELAY);
	for (unsigned s = 0; s < 2; s++) {
		assert_true(gap_since(&pair->side[s], since - 500) <= 300);
		assert_int_equal(event_times(&pair->side[s], PATHS_SWITCHED, since), 1);
		assert_int_equal(event_times(&pair->side[s], PATHS_ALL_SILENT, since), 0);
	}
	// The first one is up again: the second goes on, and the first is there when it is needed.
	link_cut(pair, 0, false, false);
	pair_pass(pair, 5000);
	both_on_single(pair, PATHS_SECOND_RELAY);
	assert_int_equal(event_times(&pair->side[0], PATHS_PATH_BACK, since), 1);
	link_cut(pair, 1, true, true);
	pair_pass(pair, 5000);
	both_on_single(pair, PATHS_RELAY);
	pair_close(pair);
}

static void test_relay_death_without_second_leg(void **state)
{
	(void)state;
	struct pair *pair = relay_call(false);
	uint64_t since = pair->now;
	link_cut(pair, 0, true, true);
	pair_pass(pair, 10000);
	for (unsigned s = 0; s < 2; s++) {
		struct side *side = &pair->side[s];
		const struct paths_event *silent = event_first(side, PATHS_ALL_SILENT, since);
		assert_non_null(silent);
		assert_in_range(silent->at_ms, since + 1000, since + 1100);
		assert_int_equal(event_times(side, PATHS_ALL_SILENT, since), 1);
		// One path is not both.
		assert_int_equal(event_times(side, PATHS_BOTH_ON, since), 0);
		assert_int_equal(paths_choose(&side->paths, pair->now), PATHS_MASK(0));
	}
	link_cut(pair, 0, false, false);
	uint64_t back = pair->now;
	pair_pass(pair, 2000);
	assert_int_equal(event_times(&pair->side[0], PATHS_ALL_BACK, back), 1);
	assert_int_equal(lost_since(&pair->side[0], back, 200), 0);
	pair_close(pair);
}

// Nothing works, and nothing is even usable, for five seconds.
static void test_no_path_at_all(void **state)
{
	(void)state;
	struct pair *pair = call_open(1, 50, 25);
	struct side *a = &pair->side[0];
	uint64_t since = pair->now;
	for (unsigned link = 0; link < 3; link++) {
		link_cut(pair, link, true, true);
		side_down(a, link);
	}
	assert_int_equal(paths_choose(&a->paths, pair->now), 0);
	assert_int_equal(paths_main(&a->paths), PATHS_NONE);
	pair_pass(pair, 5000);
	assert_int_equal(event_times(a, PATHS_ALL_SILENT, since), 1);
	for (unsigned link = 0; link < 3; link++)
		link_cut(pair, link, false, false);
	uint64_t back = pair->now;
	side_up(a, 0);
	pair_pass(pair, 500);
	assert_true(gap_since(a, back + 150) <= 60);
	assert_int_equal(paths_main(&a->paths), PATHS_RELAY);
	side_up(a, 2);
	pair_pass(pair, 5000);
	assert_int_equal(paths_choose(&a->paths, pair->now), PATHS_MASK(a->number_of[2]));
	assert_int_equal(paths_main(&pair->side[1].paths), PATHS_DIRECT);
	assert_int_equal(lost_since(a, back + 50, 300), 0);
	assert_int_equal(lost_since(&pair->side[1], back + 50, 300), 0);
	pair_close(pair);
}

// A quarter is lost, in bursts of four on the average. Copies by the relay are welcome, but nobody
// runs from path to path.
static void test_burst_loss(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct pair *pair = call_open(seed, 50, 25);
		uint64_t since = pair->now;
		for (unsigned s = 0; s < 2; s++) {
			struct wire_quality *quality = &pair->side[s].out[2].quality;
			quality->good_to_bad = 83333;
			quality->bad_to_good = 250000;
			quality->loss_bad = 1000000;
		}
		pair_pass(pair, 60000);
		for (unsigned s = 0; s < 2; s++) {
			struct side *side = &pair->side[s];
			assert_true(event_times(side, PATHS_SWITCHED, since) <= 4);
			assert_true(event_times(side, PATHS_BOTH_ON, since) <= 20);
			assert_true(gap_since(side, since) <= 300);
		}
		for (unsigned s = 0; s < 2; s++)
			pair->side[s].out[2].quality.good_to_bad = 0;
		pair_pass(pair, 45000);
		both_on_single(pair, PATHS_DIRECT);
		pair_close(pair);
	}
}

// Jitter is no silence, once it is known. The wire lets nothing overtake, so frames come in
// bunches.
static void jitter(uint32_t jitter_ms, bool one_way)
{
	struct pair *pair = call_open(3, 100, 25);
	for (unsigned s = 0; s < (one_way ? 1 : 2); s++)
		pair->side[s].out[2].quality.jitter_us = jitter_ms * 1000;
	pair_pass(pair, 10000);
	uint64_t since = pair->now;
	pair_pass(pair, 120000);
	for (unsigned s = 0; s < 2; s++) {
		struct side *side = &pair->side[s];
		assert_int_equal(event_times(side, PATHS_SWITCHED, 0), 0);
		assert_true(event_times(side, PATHS_BOTH_ON, since) <= 24);
		assert_int_equal(lost_since(side, 0, 400), 0);
	}
	pair_close(pair);
}

static void test_jitter(void **state)
{
	(void)state;
	jitter(100, false);
	jitter(150, false);
	jitter(150, true);
}

// A direct path that dies every three seconds is soon left alone.
static void test_flapping_path(void **state)
{
	(void)state;
	struct pair *pair = call_open(1, 50, 25);
	uint64_t since = pair->now;
	for (unsigned i = 0; i < 40; i++) {
		link_cut(pair, 2, true, true);
		pair_pass(pair, 1500);
		link_cut(pair, 2, false, false);
		pair_pass(pair, 1500);
	}
	for (unsigned s = 0; s < 2; s++) {
		struct side *side = &pair->side[s];
		assert_true(event_times(side, PATHS_SWITCHED, since) <= 6);
		assert_int_equal(paths_main(&side->paths), PATHS_RELAY);
		assert_true(gap_since(side, since) <= 300);
	}
	pair_pass(pair, 40000);
	both_on_single(pair, PATHS_DIRECT);
	pair_close(pair);
}

// Both change over at the same moment, in opposite directions of thought: A's relay leg dies while
// B's direct path is taken away, and the like.
static void test_simultaneous_switches(void **state)
{
	(void)state;
	for (unsigned shift = 0; shift < 200; shift += 10) {
		struct pair *pair = call_open(1, 50, 25);
		uint64_t since = pair->now;
		link_cut(pair, 2, true, false);
		pair_pass(pair, shift);
		link_cut(pair, 0, false, true);
		pair_pass(pair, 5000);
		for (unsigned s = 0; s < 2; s++) {
			assert_true(gap_since(&pair->side[s], since - 500) <= 1000);
			assert_int_equal(lost_since(&pair->side[s], since + 1000, 300), 0);
		}
		pair_close(pair);
	}
}

// ---- whatever a seed thinks of ----

// Random cuts, one way and both, bad qualities, ups and downs; now and then calm, in which one link
// at least works both ways and is usable at both: then frames get through, and at any time
// something is chosen while anything is usable.
enum { WORKS_WITHIN_MS = 600, CALM_MS = 4000 };

static void disturb(struct pair *pair, struct dice *dice)
{
	unsigned link = (unsigned)dice_below(dice, LINKS);
	struct side *side = &pair->side[dice_below(dice, 2)];
	struct wire_quality *quality = &side->out[link].quality;
	switch (dice_below(dice, 7)) {
	case 0:
		quality->cut = !quality->cut;
		break;
	case 1:
		link_cut(pair, link, true, true);
		break;
	case 2:
		link_cut(pair, link, false, false);
		break;
	case 3:
		quality->loss = (uint32_t)dice_below(dice, 500000);
		break;
	case 4:
		quality->jitter_us = (uint32_t)dice_below(dice, 150000);
		break;
	case 5:
		if (side->number_of[link] == PATHS_NONE)
			side_up(side, link);
		else
			side_down(side, link);
		break;
	default:
		side->mute = !side->mute;
	}
}

static void calm(struct pair *pair, struct dice *dice)
{
	unsigned works = (unsigned)dice_below(dice, LINKS);
	for (unsigned link = 0; link < LINKS; link++)
		for (unsigned s = 0; s < 2; s++) {
			struct wire_quality *quality = &pair->side[s].out[link].quality;
			quality->loss = quality->jitter_us = 0;
			quality->cut = link != works && dice_chance(dice, 500000);
		}
	for (unsigned s = 0; s < 2; s++) {
		pair->side[s].mute = false;
		if (pair->side[s].number_of[works] == PATHS_NONE)
			side_up(&pair->side[s], works);
	}
}

static void random_call(uint64_t seed)
{
	struct dice dice;
	dice_seed(&dice, seed, 99);
	struct paths_config config = {.relay_at_once = true};
	struct pair *pair = pair_open(seed, &config);
	for (unsigned link = 0; link < LINKS; link++)
		link_delay(pair, link, (uint32_t)dice_below(&dice, 101));
	link_up(pair, 0);
	link_up(pair, 2);
	pair_answer(pair);
	for (unsigned round = 0; round < 8; round++) {
		uint64_t storm = pair->now + dice_below(&dice, 8000);
		while (pair->now < storm) {
			disturb(pair, &dice);
			pair_pass(pair, dice_below(&dice, 700));
			for (unsigned s = 0; s < 2; s++) {
				struct paths *paths = &pair->side[s].paths;
				unsigned usable = 0;
				for (unsigned path = 0; path < PATHS_MAX; path++)
					usable += paths_status(paths, path, pair->now).usable;
				assert_true(usable == 0 || paths_choose(paths, pair->now) != 0);
			}
		}
		calm(pair, &dice);
		uint64_t since = pair->now;
		pair_pass(pair, CALM_MS);
		for (unsigned s = 0; s < 2; s++) {
			unsigned lost = lost_since(&pair->side[s], since + WORKS_WITHIN_MS, 300);
			if (lost > 0)
				fprintf(stderr, "seed %llu round %u side %u lost %u\n",
					(unsigned long long)seed, round, s, lost);
			assert_int_equal(lost, 0);
		}
	}
	pair_close(pair);
}

static void test_random_calls(void **state)
{
	(void)state;
	const char *one = getenv("SEED");
	if (one != NULL) {
		random_call(strtoull(one, NULL, 10));
		return;
	}
	for (uint64_t seed = 1; seed <= 150; seed++)
		random_call(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_direct_path_cut),
		cmocka_unit_test(test_direct_path_cut_one_way),
		cmocka_unit_test(test_rebinding),
		cmocka_unit_test(test_interface_gone),
		cmocka_unit_test(test_relay_death_with_second_leg),
		cmocka_unit_test(test_relay_death_without_second_leg),
		cmocka_unit_test(test_no_path_at_all),
		cmocka_unit_test(test_burst_loss),
		cmocka_unit_test(test_jitter),
		cmocka_unit_test(test_flapping_path),
		cmocka_unit_test(test_simultaneous_switches),
		cmocka_unit_test(test_random_calls),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
