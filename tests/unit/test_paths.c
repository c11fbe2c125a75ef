// SPDX-License-Identifier: BSD-3-Clause
// endpoint/paths between two ends: which path voice begins on, and planned switches.
#include "tests/unit/path_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static const uint32_t delays[] = {0, 25, 75};

static void test_relay_at_exactly_800_ms(void **state)
{
	(void)state;
	struct pair *pair = pair_open(1, NULL);
	link_delay(pair, 0, 50);
	link_up(pair, 0);
	pair_pass(pair, 1000);
	uint64_t answered = pair->now;
	pair_answer(pair);
	pair_pass(pair, 2000);
	for (unsigned s = 0; s < 2; s++) {
		const struct paths_event *engaged =
			event_first(&pair->side[s], PATHS_RELAY_ENGAGED, 0);
		assert_non_null(engaged);
		assert_int_equal(engaged->at_ms, answered + 800);
		assert_int_equal(engaged->to, PATHS_RELAY);
		assert_int_equal(event_times(&pair->side[s], PATHS_BOTH_ON, 0), 0);
		assert_int_equal(lost_since(&pair->side[s], answered + 800, 100), 0);
	}
	// B speaks at 7 after each 20: its first frame by the relay is the next one.
	assert_int_equal(latest_since(&pair->side[0], answered + 800), 50);
	for (uint32_t n = 0; n < pair->side[0].said; n++)
		if (pair->side[0].said_at[n] < answered + 800)
			assert_int_equal(pair->side[1].heard_at[n], 0);
	pair_close(pair);
}

static void test_relay_is_engaged_whatever_the_clock_did(void **state)
{
	(void)state;
	struct pair *pair = pair_open(1, NULL);
	struct paths *paths = &pair->side[0].paths;
	paths_relay_usable(paths, 0, 20, pair->now);
	paths_answered(paths, pair->now);
	paths_sent(paths, 0, FRAME_PROBE, pair->now + 790);
	assert_int_equal(paths_choose(paths, pair->now + 799), 0);
	assert_int_equal(paths_deadline(paths, pair->now + 799), pair->now + 800);
	assert_int_equal(paths_choose(paths, pair->now + 800), 1);
	pair_close(pair);
}

static void test_relay_at_once(void **state)
{
	(void)state;
	struct paths_config config = {.relay_at_once = true};
	struct pair *pair = pair_open(1, &config);
	link_up(pair, 0);
	pair_answer(pair);
	assert_int_equal(paths_main(&pair->side[0].paths), PATHS_RELAY);
	pair_close(pair);
}

// A leg that comes late is engaged when it comes.
static void test_late_relay_leg(void **state)
{
	(void)state;
	struct pair *pair = pair_open(1, NULL);
	pair_answer(pair);
	pair_pass(pair, 900);
	assert_int_equal(paths_choose(&pair->side[0].paths, pair->now), 0);
	link_up(pair, 1);
	assert_int_equal(paths_choose(&pair->side[0].paths, pair->now), PATHS_MASK(1));
	pair_close(pair);
}

static void test_direct_before_800_ms_needs_no_relay(void **state)
{
	(void)state;
	struct pair *pair = pair_open(1, NULL);
	link_delay(pair, 0, 50);
	link_delay(pair, 2, 25);
	link_up(pair, 0);
	pair_pass(pair, 300);
	pair_answer(pair);
	pair_pass(pair, 100);
	uint64_t found = pair->now;
	link_up(pair, 2);
	pair_pass(pair, 3000);
	for (unsigned s = 0; s < 2; s++) {
		struct side *side = &pair->side[s];
		assert_int_equal(event_first(side, PATHS_DIRECT_FIRST, 0)->at_ms, found);
		assert_int_equal(side->event_count, 1);
		assert_int_equal(lost_since(side, found + 1, 100), 0);
		for (uint32_t n = 0; n < side->peer->said; n++)
			assert_int_equal(side->heard_by[n] & 3, 0);
	}
	pair_close(pair);
}

// Only the peer's check has come that way: it is tried, and does not keep the relay waiting.
static struct pair *unsure_call(uint64_t *answered)
{
	struct pair *pair = pair_open(1, NULL);
	link_delay(pair, 0, 50);
	link_delay(pair, 2, 25);
	link_up(pair, 0);
	pair_pass(pair, 300);
	pair_answer(pair);
	*answered = pair->now;
	pair_pass(pair, 100);
	pair->side[0].unsure = true;
	link_up(pair, 2);
	return pair;
}

static void test_unsure_direct_path_does_not_stop_the_relay(void **state)
{
	(void)state;
	uint64_t answered;
	struct pair *pair = unsure_call(&answered);
	struct side *a = &pair->side[0], *b = &pair->side[1];
	link_cut(pair, 2, true, false);
	pair_pass(pair, 3000);
	assert_int_equal(event_first(a, PATHS_DIRECT_FIRST, 0)->at_ms, answered + 100);
	assert_int_equal(event_first(a, PATHS_RELAY_ENGAGED, 0)->at_ms, answered + 800);
	assert_int_equal(event_times(a, PATHS_BOTH_ON, 0), 0);
	assert_int_equal(event_times(b, PATHS_RELAY_ENGAGED, 0), 0);
	assert_int_equal(lost_since(b, answered + 800, 100), 0);
	assert_int_equal(lost_since(a, answered + 107, 100), 0);
	// Frames arrive there, yet nobody switches before it is sure.
	link_cut(pair, 2, false, false);
	pair_pass(pair, 5000);
	assert_int_equal(paths_main(&a->paths), PATHS_RELAY);
	paths_direct_sure(&a->paths, PATHS_DIRECT, 50, pair->now);
	pair_pass(pair, 1000);
	assert_int_equal(paths_main(&a->paths), PATHS_DIRECT);
	assert_int_equal(lost_since(b, answered + 800, 100), 0);
	pair_close(pair);
}

static void test_unsure_direct_path_that_becomes_sure(void **state)
{
	(void)state;
	uint64_t answered;
	struct pair *pair = unsure_call(&answered);
	struct side *a = &pair->side[0], *b = &pair->side[1];
	pair_pass(pair, 500);
	paths_direct_sure(&a->paths, PATHS_DIRECT, 50, pair->now);
	pair_pass(pair, 3000);
	assert_int_equal(event_times(a, PATHS_RELAY_ENGAGED, 0), 0);
	assert_int_equal(a->event_count, 1);
	assert_int_equal(lost_since(b, answered + 101, 100), 0);
	pair_close(pair);
}

// It goes before its time: nothing, or another direct path, until the relay is due.
static void test_unsure_direct_path_that_goes(void **state)
{
	(void)state;
	uint64_t answered;
	struct pair *pair = unsure_call(&answered);
	struct side *a = &pair->side[0];
	pair_pass(pair, 300);
	side_down(a, 2);
	assert_int_equal(paths_choose(&a->paths, pair->now), 0);
	pair_pass(pair, 2000);
	assert_int_equal(event_first(a, PATHS_RELAY_ENGAGED, 0)->at_ms, answered + 800);
	pair_close(pair);
}

// Voice on the relay, then a direct path is found: five frames on both, none lost, none later than
// on the slower of the two paths.
static void planned_switch(uint32_t relay_ms, uint32_t direct_ms)
{
	struct pair *pair = pair_open(1, NULL);
	link_delay(pair, 0, relay_ms);
	link_delay(pair, 2, direct_ms);
	link_up(pair, 0);
	pair_pass(pair, 1000);
	pair_answer(pair);
	pair_pass(pair, 3000);
	uint64_t found = pair->now;
	link_up(pair, 2);
	pair_pass(pair, 3000);
	for (unsigned s = 0; s < 2; s++) {
		struct side *side = &pair->side[s];
		assert_int_equal(event_times(side, PATHS_SWITCHED, 0), 1);
		const struct paths_event *switched = event_first(side, PATHS_SWITCHED, found);
		assert_false(switched->forced);
		assert_int_equal(switched->from, PATHS_RELAY);
		assert_int_equal(switched->to, PATHS_DIRECT);
		const struct paths_event *ended = event_first(side, PATHS_SWITCH_ENDED, found);
		assert_int_equal(ended->mask, PATHS_MASK(PATHS_DIRECT));
		assert_true(ended->at_ms >= switched->at_ms + 4 * FRAME_MS);
		// Proven by one probe and its report first.
		assert_true(switched->at_ms <= found + 2 * direct_ms + relay_ms + 30);
		assert_int_equal(event_times(side, PATHS_BOTH_ON, 0), 0);
		assert_int_equal(lost_since(side, found - 1000, 300), 0);
		uint32_t slower = relay_ms > direct_ms ? relay_ms : direct_ms;
		assert_true(latest_since(side, found - 1000) <= slower + 1);
		// Nothing between two frames is longer than they differ.
		uint64_t longer = direct_ms > relay_ms ? direct_ms - relay_ms : 0;
		assert_true(gap_since(side, found - 500) <= 20 + longer);
		unsigned twice = 0, relay = 0;
		for (uint32_t n = 0; n < side->peer->said; n++) {
			twice += side->heard_by[n] == (1U << 0 | 1U << 2);
			relay += side->peer->said_at[n] > switched->at_ms + 1000 &&
				 (side->heard_by[n] & 1U << 0) != 0;
		}
		if (direct_ms <= relay_ms)
			assert_int_equal(twice, 5);
		else
			assert_true(twice >= 5 && twice <= 5 + (direct_ms - relay_ms) / 20);
		assert_int_equal(relay, 0);
	}
	pair_close(pair);
}

static void test_planned_switch(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		for (unsigned j = 0; j < 3; j++)
			planned_switch(delays[i], delays[j]);
	planned_switch(150, 75);
	planned_switch(150, 150);
}

// Two direct pairs: the second is taken for a third of the round trip and 10 ms, not for less; the
// new one has the other number, and a third pair the first number again.
static void test_better_direct_pair(void **state)
{
	(void)state;
	struct pair *pair = pair_open(1, NULL);
	link_delay(pair, 2, 50);
	link_delay(pair, 3, 40);
	link_up(pair, 2);
	pair_answer(pair);
	pair_pass(pair, 3000);
	link_up(pair, 3);
	pair_pass(pair, 3000);
	struct side *a = &pair->side[0];
	assert_int_equal(a->number_of[3], PATHS_OTHER_DIRECT);
	assert_int_equal(paths_main(&a->paths), PATHS_DIRECT);
	link_delay(pair, 3, 20);
	uint64_t since = pair->now;
	pair_pass(pair, 20000);
	assert_int_equal(paths_main(&a->paths), PATHS_OTHER_DIRECT);
	assert_int_equal(event_times(a, PATHS_SWITCHED, since), 1);
	assert_int_equal(lost_since(a, since, 200), 0);
	side_down(a, 2);
	side_down(&pair->side[1], 2);
	link_up(pair, 2);
	assert_int_equal(a->number_of[2], PATHS_DIRECT);
	assert_int_equal(paths_main(&a->paths), PATHS_OTHER_DIRECT);
	pair_pass(pair, 1000);
	// Both numbers taken: the one that carries stays.
	assert_int_equal(paths_direct_usable(&a->paths, true, 0, pair->now), PATHS_DIRECT);
	assert_int_equal(paths_main(&a->paths), PATHS_OTHER_DIRECT);
	pair_close(pair);
}

// What an agent calls valid and does not carry our frames is never switched to.
static void test_dead_direct_pair_is_not_taken(void **state)
{
	(void)state;
	struct pair *pair = pair_open(1, NULL);
	link_delay(pair, 0, 50);
	link_delay(pair, 2, 25);
	link_cut(pair, 2, true, true);
	link_up(pair, 0);
	pair_answer(pair);
	pair_pass(pair, 2000);
	link_up(pair, 2);
	uint64_t since = pair->now;
	pair_pass(pair, 10000);
	for (unsigned s = 0; s < 2; s++) {
		struct side *side = &pair->side[s];
		assert_int_equal(paths_main(&side->paths), PATHS_RELAY);
		assert_int_equal(lost_since(side, since, 200), 0);
		assert_int_equal(event_times(side, PATHS_PATH_SILENT, 0), 1);
	}
	link_cut(pair, 2, false, false);
	pair_pass(pair, 5000);
	assert_int_equal(paths_main(&pair->side[0].paths), PATHS_DIRECT);
	assert_int_equal(lost_since(&pair->side[0], since, 200), 0);
	pair_close(pair);
}

// Mute is no silence; and the first frames after it come.
static void test_mute(void **state)
{
	(void)state;
	struct pair *pair = pair_open(1, NULL);
	link_delay(pair, 0, 50);
	link_delay(pair, 2, 25);
	link_up(pair, 0);
	link_up(pair, 2);
	pair_pass(pair, 500);
	pair_answer(pair);
	pair_pass(pair, 2000);
	for (unsigned i = 0; i < 5; i++) {
		pair->side[0].mute = true;
		pair_pass(pair, 777);
		pair->side[1].mute = true;
		pair_pass(pair, 2333);
		pair->side[0].mute = pair->side[1].mute = false;
		pair_pass(pair, 1111);
	}
	for (unsigned s = 0; s < 2; s++) {
		assert_int_equal(pair->side[s].event_count, 1);
		assert_int_equal(lost_since(&pair->side[s], 0, 100), 0);
	}
	pair_close(pair);
}

// A program that stood still for seconds (a laptop's lid) does not take that for the peer's
// silence.
static void test_pause_of_the_program(void **state)
{
	(void)state;
	struct pair *pair = pair_open(1, NULL);
	link_delay(pair, 0, 50);
	link_delay(pair, 2, 25);
	link_up(pair, 0);
	link_up(pair, 2);
	pair_pass(pair, 500);
	pair_answer(pair);
	pair_pass(pair, 2000);
	struct side *a = &pair->side[0], *b = &pair->side[1];
	a->stopped = true;
	pair_pass(pair, 4000);
	a->stopped = false;
	a->next_voice = pair->now + 3;
	uint64_t since = pair->now;
	pair_pass(pair, 5000);
	assert_int_equal(event_times(a, PATHS_BOTH_ON, 0), 0);
	assert_int_equal(event_times(a, PATHS_ALL_SILENT, 0), 0);
	// B could not know.
	assert_int_equal(event_times(b, PATHS_ALL_SILENT, 0), 1);
	assert_int_equal(event_times(b, PATHS_ALL_BACK, 0), 1);
	assert_int_equal(paths_main(&b->paths), PATHS_DIRECT);
	assert_int_equal(paths_main(&a->paths), PATHS_DIRECT);
	assert_int_equal(lost_since(a, since, 200), 0);
	assert_int_equal(lost_since(b, since, 200), 0);
	assert_int_equal(b->paths.mode, PATHS_SINGLE);
	// The clock is set back.
	assert_int_equal(paths_choose(&a->paths, pair->now - 3000), PATHS_MASK(PATHS_DIRECT));
	pair_close(pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_relay_at_exactly_800_ms),
		cmocka_unit_test(test_relay_is_engaged_whatever_the_clock_did),
		cmocka_unit_test(test_relay_at_once),
		cmocka_unit_test(test_late_relay_leg),
		cmocka_unit_test(test_direct_before_800_ms_needs_no_relay),
		cmocka_unit_test(test_unsure_direct_path_does_not_stop_the_relay),
		cmocka_unit_test(test_unsure_direct_path_that_becomes_sure),
		cmocka_unit_test(test_unsure_direct_path_that_goes),
		cmocka_unit_test(test_planned_switch),
		cmocka_unit_test(test_better_direct_pair),
		cmocka_unit_test(test_dead_direct_pair_is_not_taken),
		cmocka_unit_test(test_mute),
		cmocka_unit_test(test_pause_of_the_program),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
