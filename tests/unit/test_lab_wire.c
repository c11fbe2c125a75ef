// SPDX-License-Identifier: BSD-3-Clause
// The lab's wire: each quality has the effect it names and no other, in the measure it was set, and
// the same seed has the same again. The heap gives packets back in order.
#include "tests/lab/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { PACKETS = 20000, EVERY_US = 1000, SEED = 5 };

struct seen {
	unsigned arrived, twice, lost, late, overtaken, bursts, longest;
	uint64_t least_us, most_us;
};

// Puts packets in, one a millisecond, and looks at what comes out.
static struct seen run(struct wire *wire)
{
	struct seen seen = {.least_us = UINT64_MAX};
	uint64_t highest = 0;
	unsigned burst = 0;
	for (uint64_t i = 0; i < PACKETS; i++) {
		uint64_t now = i * EVERY_US, out[2] = {0};
		unsigned copies = wire_put(wire, now, out);
		assert_in_range(copies, 0, 2);
		seen.arrived += copies > 0;
		seen.twice += copies == 2;
		seen.lost += copies == 0;
		seen.bursts += copies > 0 && burst > 0;
		burst = copies > 0 ? 0 : burst + 1;
		seen.longest = burst > seen.longest ? burst : seen.longest;
		for (unsigned copy = 0; copy < copies; copy++) {
			uint64_t took = out[copy] - now;
			seen.least_us = took < seen.least_us ? took : seen.least_us;
			seen.most_us = took > seen.most_us ? took : seen.most_us;
			seen.overtaken += out[copy] < highest;
			highest = out[copy] > highest ? out[copy] : highest;
		}
	}
	assert_int_equal(wire->put, PACKETS);
	assert_int_equal(wire->lost, seen.lost);
	assert_int_equal(wire->duplicated, seen.twice);
	return seen;
}

static struct seen run_with(struct wire_quality quality)
{
	struct wire wire;
	wire_open(&wire, SEED, 1);
	wire.quality = quality;
	return run(&wire);
}

static void perfect_from_the_start(void **state)
{
	(void)state;
	struct seen seen = run_with((struct wire_quality){0});
	assert_int_equal(seen.arrived, PACKETS);
	assert_int_equal(seen.most_us, 0);
	assert_int_equal(seen.twice + seen.overtaken, 0);
}

static void delays_exactly(void **state)
{
	(void)state;
	struct seen seen = run_with((struct wire_quality){.delay_us = 75000});
	assert_int_equal(seen.least_us, 75000);
	assert_int_equal(seen.most_us, 75000);
	assert_int_equal(seen.arrived, PACKETS);
}

static void jitter_spreads_and_keeps_the_order(void **state)
{
	(void)state;
	struct seen seen = run_with((struct wire_quality){.delay_us = 25000, .jitter_us = 8000});
	assert_in_range(seen.least_us, 25000, 25500);
	assert_in_range(seen.most_us, 32500, 33000);
	assert_int_equal(seen.overtaken, 0);
	assert_int_equal(seen.arrived, PACKETS);
}

static void reordering_holds_single_packets_back(void **state)
{
	(void)state;
	struct wire wire;
	wire_open(&wire, SEED, 1);
	wire.quality =
		(struct wire_quality){.delay_us = 10000, .reorder = 50000, .reorder_us = 4500};
	struct seen seen = run(&wire);
	assert_int_equal(seen.least_us, 10000);
	assert_int_equal(seen.most_us, 14500);
	assert_in_range(wire.reordered, PACKETS / 20 * 0.8, PACKETS / 20 * 1.2);
	// Four packets pass each.
	assert_in_range(seen.overtaken, wire.reordered * 3, wire.reordered * 4);
	assert_int_equal(seen.arrived, PACKETS);
}

static void duplicates_and_loses_in_measure(void **state)
{
	(void)state;
	struct seen seen = run_with((struct wire_quality){.duplicate = 30000});
	assert_in_range(seen.twice, PACKETS * 0.02, PACKETS * 0.04);
	assert_int_equal(seen.lost, 0);
	seen = run_with((struct wire_quality){.loss = 100000});
	assert_in_range(seen.lost, PACKETS * 0.09, PACKETS * 0.11);
	assert_int_equal(seen.twice, 0);
	// Independent ones: bursts are short.
	assert_true(seen.longest < 8);
	seen = run_with((struct wire_quality){.loss = 1000000});
	assert_int_equal(seen.lost, PACKETS);
}

static void burst_loss_is_gilbert_and_elliotts(void **state)
{
	(void)state;
	// Bad periods of 20 packets, every 400: 5 % are lost, in long runs.
	struct seen seen = run_with((struct wire_quality){
		.good_to_bad = 2500, .bad_to_good = 50000, .loss_bad = 1000000});
	assert_in_range(seen.lost, PACKETS * 0.03, PACKETS * 0.08);
	unsigned mean = seen.lost / seen.bursts;
	assert_in_range(mean, 12, 30);
	// A bad state that loses half of them.
	struct seen half = run_with((struct wire_quality){
		.good_to_bad = 2500, .bad_to_good = 50000, .loss_bad = 500000});
	assert_in_range(half.lost, PACKETS * 0.012, PACKETS * 0.04);
}

static void a_cut_loses_what_is_put_in(void **state)
{
	(void)state;
	struct wire wire;
	uint64_t out[2];
	wire_open(&wire, SEED, 1);
	wire.quality.delay_us = 25000;
	assert_int_equal(wire_put(&wire, 0, out), 1);
	wire.quality.cut = true;
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(wire_put(&wire, i, out), 0);
	wire.quality.cut = false;
	assert_int_equal(wire_put(&wire, 1000, out), 1);
	assert_int_equal(out[0], 26000);
}

static void a_shorter_delay_overtakes_nothing(void **state)
{
	(void)state;
	struct wire wire;
	uint64_t out[2];
	wire_open(&wire, SEED, 1);
	wire.quality.delay_us = 75000;
	wire_put(&wire, 0, out);
	wire.quality.delay_us = 0;
	wire_put(&wire, 20000, out);
	assert_int_equal(out[0], 75000);
	wire_put(&wire, 80000, out);
	assert_int_equal(out[0], 80000);
}

static void a_seed_repeats(void **state)
{
	(void)state;
	struct wire wires[3];
	unsigned differ = 0;
	for (unsigned i = 0; i < 3; i++) {
		wire_open(&wires[i], SEED, i == 2 ? 2 : 1);
		wires[i].quality = (struct wire_quality){.delay_us = 1000,
			.jitter_us = 5000,
			.loss = 50000,
			.duplicate = 50000,
			.reorder = 50000,
			.reorder_us = 9000,
			.good_to_bad = 10000,
			.bad_to_good = 90000,
			.loss_bad = 700000};
	}
	for (uint64_t now = 0; now < 1000 * 700; now += 700) {
		uint64_t out[3][2] = {0};
		unsigned copies[3];
		for (unsigned i = 0; i < 3; i++)
			copies[i] = wire_put(&wires[i], now, out[i]);
		assert_int_equal(copies[0], copies[1]);
		assert_memory_equal(out[0], out[1], sizeof(out[0]));
		differ += copies[0] != copies[2] || out[0][0] != out[2][0];
	}
	assert_true(differ > 100);
}

static void the_heap_gives_packets_in_order(void **state)
{
	(void)state;
	struct wire_heap heap = {0};
	struct dice dice;
	dice_seed(&dice, SEED, 3);
	assert_true(wire_heap_due(&heap) == UINT64_MAX);
	assert_null(wire_heap_pop(&heap, UINT64_MAX));
	char ways[2];
	for (uint32_t i = 0; i < 1000; i++)
		assert_true(wire_heap_push(
			&heap, 1 + dice_below(&dice, 50), &ways[i % 2], &i, sizeof(i)));
	assert_null(wire_heap_pop(&heap, wire_heap_due(&heap) - 1));
	uint64_t due = 0;
	uint32_t number = 0;
	for (unsigned i = 0; i < 500; i++) {
		struct wire_packet *packet = wire_heap_pop(&heap, 1000);
		uint32_t now;
		memcpy(&now, packet->bytes, sizeof(now));
		assert_int_equal(packet->size, sizeof(now));
		assert_ptr_equal(packet->to, &ways[now % 2]);
		assert_true(packet->due_us > due ||
			    (packet->due_us == due && (i == 0 || now > number)));
		due = packet->due_us;
		number = now;
		free(packet);
	}
	wire_heap_clear(&heap, &ways[0]);
	for (struct wire_packet *packet; (packet = wire_heap_pop(&heap, 1000)) != NULL;
		free(packet)) {
		assert_ptr_equal(packet->to, &ways[1]);
		assert_true(packet->due_us >= due);
		due = packet->due_us;
	}
	assert_true(wire_heap_push(&heap, 7, NULL, NULL, 0));
	assert_int_equal(wire_heap_due(&heap), 7);
	wire_heap_clear(&heap, NULL);
	assert_null(heap.packets);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(perfect_from_the_start),
		cmocka_unit_test(delays_exactly),
		cmocka_unit_test(jitter_spreads_and_keeps_the_order),
		cmocka_unit_test(reordering_holds_single_packets_back),
		cmocka_unit_test(duplicates_and_loses_in_measure),
		cmocka_unit_test(burst_loss_is_gilbert_and_elliotts),
		cmocka_unit_test(a_cut_loses_what_is_put_in),
		cmocka_unit_test(a_shorter_delay_overtakes_nothing),
		cmocka_unit_test(a_seed_repeats),
		cmocka_unit_test(the_heap_gives_packets_in_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
