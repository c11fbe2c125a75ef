// SPDX-License-Identifier: BSD-3-Clause
// Voice over networks that lose, delay, and change: how much of it is heard, with which delay.
#include "tests/unit/voice_call.h"

static struct call call;
static unsigned lossy, jittery; // percent; ms
static uint64_t change_at;      // frame
static unsigned before, after;  // delay, ms

static void bad(struct call *c, uint64_t number, const uint8_t *payload, size_t size)
{
	uint64_t delay = number < change_at ? before : after;

	if (call_random(c, 100) >= lossy)
		call_carry(c, payload, size, delay + call_random(c, jittery + 1));
}

static void network(unsigned loss, unsigned jitter)
{
	lossy = loss;
	jittery = jitter;
	change_at = 0;
	before = after = 20;
	call_begin(&call, (struct voice_receiver_config){0}, bad);
	call.repeats = true;
}

static void network_changing(uint64_t at, unsigned from, unsigned to)
{
	network(0, 5);
	change_at = at;
	before = from;
	after = to;
}

// Every fifth frame is lost; most of them are in the redundancy of the next one, if that is not
// lost as well and there was voice in it.
static void fifth_of_the_frames_lost(void **state)
{
	struct voice_statistics all, present;
	(void)state;
	network(20, 10);
	call_run(&call, 20000, 1500);
	voice_receiver_statistics(call.receiver, &present);
	assert_in_range(present.loss_percent, 10, 30);
	assert_in_range(present.buffer_delay_ms, 25, 75);
	all = call_end(&call, 1500);
	assert_int_equal(all.received + all.lost, 1500);
	assert_in_range(all.lost, 240, 360);
	assert_true(all.recovered * 100 >= (all.lost + all.late) * 55);
	assert_int_equal(all.late, 0);
	assert_in_range(all.longest_gap_ms, 40, 140);
}

// What little is lost costs no delay.
static void even_path_has_a_short_delay(void **state)
{
	struct voice_statistics all;
	(void)state;
	network(0, 0);
	call_run(&call, 10000, 700);
	voice_receiver_statistics(call.receiver, &all);
	assert_in_range(all.buffer_delay_ms, 5, 45);
	assert_true(all.jitter_ms < 1);
	all = call_end(&call, 700);
	assert_int_equal(all.played, 700);
	assert_int_equal(all.gaps, 0);
}

static void jitter_of_100_ms(void **state)
{
	struct voice_statistics all, present;
	(void)state;
	network(0, 100);
	call_run(&call, 5000, 1500);
	voice_receiver_forget_gap(call.receiver);
	call_run(&call, 29000, 1500);
	voice_receiver_statistics(call.receiver, &present);
	// Two uniform delays differ by a third of their range on average.
	assert_true(present.jitter_ms > 20 && present.jitter_ms < 45);
	assert_in_range(present.buffer_delay_ms, 45, 110);
	assert_in_range(present.longest_gap_ms, 0, 20);
	all = call_end(&call, 1500);
	assert_int_equal(all.received, 1500);
	assert_true(all.late <= 8);
	assert_true(present.invented_ms < 300);
}

// A path that is slower by 150 ms: nothing is lost, and there is one pause that is no longer.
static void path_becomes_slower(void **state)
{
	struct voice_statistics all;
	(void)state;
	network_changing(500, 20, 170);
	all = call_end(&call, 1000);
	assert_int_equal(all.received, 1000);
	assert_int_equal(all.played, 1000);
	assert_in_range(all.longest_gap_ms, 60, 150);
	assert_in_range(all.longest_gap_at_ms, 10000, 10100);
	assert_true(all.gaps <= 3);
}

// One that is faster by as much: nothing is heard of it, and the delay is gone after some seconds.
static void path_becomes_faster(void **state)
{
	struct voice_statistics all;
	(void)state;
	network_changing(500, 170, 20);
	call_run(&call, 10200, 1000);
	voice_receiver_statistics(call.receiver, &all);
	assert_true(all.buffered >= 5);
	call_run(&call, 14000, 1000);
	voice_receiver_statistics(call.receiver, &all);
	assert_in_range(all.buffer_delay_ms, 5, 55);
	assert_in_range(all.shortened_ms, 110, 190);
	all = call_end(&call, 1000);
	assert_int_equal(all.played, 1000);
	assert_int_equal(all.gaps, 0);
}

// The planned switch: five frames on both paths, then on the new one only.
static void both_for_five_frames(
	struct call *c, uint64_t number, const uint8_t *payload, size_t size)
{
	if (number < change_at + 5)
		call_carry(c, payload, size, before + call_random(c, 4));
	if (number >= change_at)
		call_carry(c, payload, size, after + call_random(c, 4));
}

static void planned_switch_is_not_heard(void **state)
{
	struct voice_statistics all;
	(void)state;
	network_changing(500, 150, 25);
	call.network = both_for_five_frames;
	all = call_end(&call, 1000);
	assert_int_equal(all.played, 1000);
	assert_int_equal(all.duplicates, 5);
	assert_int_equal(all.gaps, 0);
	// And to a path that is slower by less than what is waiting anyway.
	network_changing(500, 25, 40);
	call.network = both_for_five_frames;
	all = call_end(&call, 1000);
	assert_int_equal(all.played, 1000);
	assert_in_range(all.longest_gap_ms, 0, 20);
}

// Both paths are used all the time, then the faster one dies: the buffer was deep enough for the
// slower one.
static void two_paths(struct call *c, uint64_t number, const uint8_t *payload, size_t size)
{
	if (number < change_at)
		call_carry(c, payload, size, before);
	call_carry(c, payload, size, after + call_random(c, 10));
}

static void faster_of_two_paths_dies(void **state)
{
	struct voice_statistics all;
	(void)state;
	network_changing(500, 20, 120);
	call.network = two_paths;
	all = call_end(&call, 1000);
	assert_int_equal(all.played, 1000);
	assert_int_equal(all.duplicates, 500);
	assert_int_equal(all.gaps, 0);
}

// 300 ms that are lost are 300 ms of pause, and the delay is the same afterwards.
static unsigned hole;

static void with_a_hole(struct call *c, uint64_t number, const uint8_t *payload, size_t size)
{
	if (number < 500 || number >= 500 + hole)
		call_carry(c, payload, size, 20 + call_random(c, 6));
}

static void holes(void **state)
{
	static const unsigned sizes[] = {1, 3, 15, 60, 200};
	(void)state;
	for (int i = 0; i < 5; i++) {
		struct voice_statistics all, earlier;
		unsigned missing;
		hole = sizes[i];
		missing = hole * VOICE_FRAME_MS;
		network(0, 0);
		call.network = with_a_hole;
		call_run(&call, 10000, 1000);
		voice_receiver_statistics(call.receiver, &earlier);
		call_run(&call, 10000 + missing + 6000, 1000);
		voice_receiver_statistics(call.receiver, &all);
		assert_in_range(all.buffer_delay_ms, 5, earlier.buffer_delay_ms + 25);
		all = call_end(&call, 1000);
		// After a long one the buffer begins anew, and the first frame only told where.
		assert_in_range(all.lost, hole, hole > 128 ? hole + 1 : hole);
		assert_int_equal(all.received + all.lost, 1000);
		assert_in_range(all.longest_gap_ms, missing, missing + (hole > 128 ? 80 : 20));
		assert_int_equal(all.gaps, 1);
	}
}

// The network holds everything back for 300 ms and then gives it at once.
static void stalling(struct call *c, uint64_t number, const uint8_t *payload, size_t size)
{
	uint64_t at = number * VOICE_FRAME_MS;

	call_carry(c, payload, size, at >= 10000 && at < 10300 ? 10300 - at + 20 : 20);
}

static void stall(void **state)
{
	struct voice_statistics all;
	(void)state;
	network(0, 0);
	call.network = stalling;
	call_run(&call, 19000, 1000);
	voice_receiver_statistics(call.receiver, &all);
	// Made up for by now.
	assert_in_range(all.buffer_delay_ms, 5, 60);
	all = call_end(&call, 1000);
	assert_int_equal(all.played, 1000);
	assert_in_range(all.longest_gap_ms, 240, 300);
	assert_int_equal(all.gaps, 1);
}

// Clocks that differ by 200 parts of a million drift apart by 36 ms in three minutes.
static void clocks_drift(void **state)
{
	(void)state;
	for (int sign = -1; sign <= 1; sign += 2) {
		struct voice_statistics all;
		network(0, 3);
		call.clock = 1 + sign * 200e-6;
		call_run(&call, 179000, 9000);
		voice_receiver_statistics(call.receiver, &all);
		assert_in_range(all.buffer_delay_ms, 5, 60);
		assert_true((sign > 0 ? all.stretched_ms : all.shortened_ms) >= 12);
		all = call_end(&call, 9000);
		assert_int_equal(all.played, 9000);
		assert_int_equal(all.gaps, 0);
	}
}

// The one who plays comes late, and makes up for it.
static void ticks_in_bunches(void **state)
{
	struct voice_statistics all;
	(void)state;
	network(0, 5);
	for (unsigned i = 0; i < 40; i++) {
		call_run(&call, i * 500, 1000);
		// Nothing for 60 ms; call_run then ticks each ms until it has caught up.
		call.tick_at += 60;
		call_run(&call, i * 500 + 100, 1000);
		call.tick_at -= 60;
	}
	all = call_end(&call, 1000);
	assert_int_equal(all.received, 1000);
	assert_int_equal(all.played, 1000);
	assert_in_range(all.longest_gap_ms, 0, 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fifth_of_the_frames_lost),
		cmocka_unit_test(even_path_has_a_short_delay),
		cmocka_unit_test(jitter_of_100_ms),
		cmocka_unit_test(path_becomes_slower),
		cmocka_unit_test(path_becomes_faster),
		cmocka_unit_test(planned_switch_is_not_heard),
		cmocka_unit_test(faster_of_two_paths_dies),
		cmocka_unit_test(holes),
		cmocka_unit_test(stall),
		cmocka_unit_test(clocks_drift),
		cmocka_unit_test(ticks_in_bunches),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
