// SPDX-License-Identifier: BSD-3-Clause
// The guard's budgets (dataplane/stage/guard.h): per prefix, of everybody with a share kept for
// known prefixes, the flood rule, limits that change, and floods that try to reach somebody else's
// purse.

#include "dataplane/stage/guard.h"

#include "dataplane/table/ticks.h"
#include "dataplane/worker.h"
#include "tests/unit/dpdk_env.h"

#include <rte_cycles.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct api_guard_limits small = {
	.reply_bytes = 10000,
	.punts = 100,
	.punts_with_allocation = 1000,
	.punts_total = 4000,
	.new_allocations = 50,
};

static struct guard *guard_small(unsigned workers)
{
	struct guard *guard = guard_create(workers, -1);
	assert_non_null(guard);
	guard_limits_set(guard, &small, workers);
	return guard;
}

// The number-th /24, in 11.0.0.0/8 and up.
static const uint8_t *prefix(unsigned number)
{
	static uint8_t address[4];
	number += 11u << 16;
	address[0] = (uint8_t)(number >> 16);
	address[1] = (uint8_t)(number >> 8);
	address[2] = (uint8_t)number;
	address[3] = (uint8_t)rand();
	return address;
}

static uint32_t tick_after(double s)
{
	return ticks_of((uint64_t)(s * (double)rte_get_tsc_hz()));
}

// How many of `attempts` punts from prefixes first, first+1, ... (each once) are admitted.
static unsigned admitted(struct guard *guard, unsigned first, unsigned attempts, uint32_t tick)
{
	unsigned count = 0;
	for (unsigned i = 0; i < attempts; i++)
		count +=
			guard_punt(guard, prefix(first + i), NET_IPV4, false, tick) == GUARD_ADMITS;
	return count;
}

static void a_prefix_has_its_budget(void **state)
{
	struct guard *guard = guard_small(1);
	unsigned count = 0;
	(void)state;
	for (unsigned i = 0; i < 150; i++)
		count += guard_punt(guard, prefix(1), NET_IPV4, false, 0) == GUARD_ADMITS;
	assert_int_equal(count, small.punts);
	assert_int_equal(guard_punt(guard, prefix(1), NET_IPV4, false, 0), GUARD_PREFIX_SPENT);
	// With an allocation the budget is another, wider one, and not part of the total.
	for (count = 0; guard_punt(guard, prefix(1), NET_IPV4, true, 0) == GUARD_ADMITS;)
		count++;
	assert_int_equal(count, small.punts_with_allocation);
	// Half a second later half of it is back.
	for (count = 0;
		guard_punt(guard, prefix(1), NET_IPV4, false, tick_after(0.5)) == GUARD_ADMITS;)
		count++;
	assert_in_range(count, small.punts / 2 - 2, small.punts / 2 + 2);
	// Replies are counted in bytes; what is refused is not charged.
	assert_true(guard_reply(guard, prefix(2), NET_IPV4, 9000, 0));
	assert_false(guard_reply(guard, prefix(2), NET_IPV4, 1001, 0));
	assert_true(guard_reply(guard, prefix(2), NET_IPV4, 1000, 0));
	guard_free(guard);
}

static void the_total_ends_a_flood_from_very_many_prefixes(void **state)
{
	struct guard *guard = guard_small(1);
	unsigned anybody = small.punts_total - small.punts_total / GUARD_KEPT_OF;
	(void)state;
	assert_int_equal(admitted(guard, 0, 100000, 0), anybody);
	assert_int_equal(guard_punt(guard, prefix(7), NET_IPV4, false, 0), GUARD_TOTAL_SPENT);
	// Who has an allocation at this 5-tuple does not notice.
	assert_int_equal(guard_punt(guard, prefix(7), NET_IPV4, true, 0), GUARD_ADMITS);
	// Over ten seconds of flood: the rate, once the burst is spent.
	unsigned count = 0;
	for (unsigned i = 1; i <= 1000; i++)
		count += admitted(guard, 100000 + i * 1000, 1000, tick_after(i / 100.));
	assert_in_range(count, anybody * 10 - 500, anybody * 10 + 500);
	guard_free(guard);
}

static void a_share_is_kept_for_known_prefixes(void **state)
{
	struct guard *guard = guard_small(1);
	unsigned count = 0;
	(void)state;
	guard_known(guard, prefix(500000), NET_IPV4, 1);
	guard_known(guard, prefix(500000), NET_IPV4, 1);
	admitted(guard, 0, 100000, 0);
	// Its own budget is what ends it, not the flood (of which one in ten slots has seen
	// something).
	while (guard_punt(guard, prefix(500000), NET_IPV4, false, 0) == GUARD_ADMITS)
		count++;
	assert_in_range(count, small.punts - 5, small.punts);
	// One of its two allocations ends: still known. Then the other.
	guard_known(guard, prefix(500000), NET_IPV4, -1);
	admitted(guard, 200000, 100000, tick_after(1));
	assert_int_equal(
		guard_punt(guard, prefix(500000), NET_IPV4, false, tick_after(1)), GUARD_ADMITS);
	guard_known(guard, prefix(500000), NET_IPV4, -1);
	assert_int_equal(guard_punt(guard, prefix(500000), NET_IPV4, false, tick_after(1)),
		GUARD_TOTAL_SPENT);
	// The known cannot take what is anybody's share for longer than it lasts, and the kept
	// share has an end too.
	for (unsigned i = 0; i < 2000; i++)
		guard_known(guard, prefix(600000 + i), NET_IPV4, 1);
	assert_in_range(admitted(guard, 600000, 2000, tick_after(1)),
		small.punts_total / GUARD_KEPT_OF - 6, small.punts_total / GUARD_KEPT_OF);
	guard_free(guard);
}

// Signed requests: nobody gets a way around the total by a lease, which costs nothing.
static void signatures_are_dear(void **state)
{
	struct guard *guard = guard_small(1);
	unsigned count = 0;
	(void)state;
	while (guard_punt_signed(guard, prefix(1), NET_IPV4, true, 0) == GUARD_ADMITS)
		count++;
	assert_int_equal(count, small.punts_with_allocation / GUARD_SIGNED_OF_PREFIX);
	for (count = 0; guard_punt_signed(guard, prefix(1), NET_IPV4, false, 0) == GUARD_ADMITS;)
		count++;
	assert_int_equal(count, small.punts);
	// Very many strangers, then very many with leases, an hour later.
	unsigned kept = small.punts_total / GUARD_KEPT_OF;
	for (unsigned leases = 0; leases < 2; leases++) {
		uint32_t tick = tick_after(3600 * (1 + leases));
		count = 0;
		for (unsigned i = 0; i < 100000; i++)
			count += guard_punt_signed(guard, prefix(100000 + i), NET_IPV4, leases,
					 tick) == GUARD_ADMITS;
		assert_int_equal(count, (small.punts_total - kept) / GUARD_SIGNED_OF_TOTAL +
						(leases ? kept / GUARD_SIGNED_OF_TOTAL : 0));
	}
	// Whoever has a lease is served beside a flood of strangers; nobody is beside both.
	uint32_t tick = tick_after(3 * 3600);
	for (unsigned i = 0; i < 100000; i++)
		guard_punt_signed(guard, prefix(300000 + i), NET_IPV4, false, tick);
	assert_int_equal(
		guard_punt_signed(guard, prefix(7), NET_IPV4, false, tick), GUARD_TOTAL_SPENT);
	assert_int_equal(guard_punt_signed(guard, prefix(7), NET_IPV4, true, tick), GUARD_ADMITS);
	guard_free(guard);
}

static void strangers_rarely_pass_for_known(void **state)
{
	struct guard *guard = guard_small(1);
	struct api_guard_limits wide = small;
	(void)state;
	for (unsigned i = 0; i < 2600; i++) // one counter in a hundred
		guard_known(guard, prefix(i), NET_IPV4, 1);
	// Nothing but the kept share is left for whoever comes.
	wide.punts_total = 4;
	guard_limits_set(guard, &wide, 1);
	unsigned passed = 0;
	for (unsigned i = 0; i < 20000; i++) {
		uint32_t tick = tick_after(10. * i);
		while (guard_punt(guard, prefix(3000000 + i), NET_IPV4, false, tick) ==
			GUARD_ADMITS)
			;
		passed += guard_punt(guard, prefix(1000000 + i), NET_IPV4, false, tick) ==
			  GUARD_ADMITS;
	}
	assert_in_range(passed, 100, 320); // 200 expected; seven standard deviations
	guard_free(guard);
}

// Chosen sources fill one slot of a table whose hash they know; this one is keyed. A flood of as
// many prefixes as there are slots, each spending its whole budget, may meet a stranger by chance
// only.
static void chosen_prefixes_do_not_reach_a_victim(void **state)
{
	enum { VICTIMS = 400, FLOOD = 1 << 15 };
	struct api_guard_limits limits = small;
	unsigned hit = 0;
	(void)state;
	limits.punts_total = 1000000000;
	limits.punts = 2;
	struct guard *guard = guard_create(1, -1);
	guard_limits_set(guard, &limits, 1);
	// Regular steps and powers of two, on which weak hashes collide.
	for (unsigned i = 0; i < FLOOD / 4; i++)
		for (unsigned j = 0; j < 2; j++)
			guard_punt(guard, prefix(i << 8), NET_IPV4, false, 0);
	for (unsigned v = 0; v < VICTIMS; v++)
		hit += guard_punt(guard, prefix((v << 8) | 1), NET_IPV4, false, 0) != GUARD_ADMITS;
	// A quarter of the slots: 1 - e^-0.25 = 22 % of the victims, 88 expected.
	assert_in_range(hit, 40, 140);
	guard_free(guard);

	// Another process, another key: what a prober has found out about the one is of no use.
	struct guard *one = guard_create(1, -1), *two = guard_create(1, -1);
	guard_limits_set(one, &limits, 1);
	guard_limits_set(two, &limits, 1);
	unsigned differ = 0;
	for (unsigned i = 0; i < FLOOD / 4; i++)
		for (unsigned j = 0; j < 2; j++) {
			guard_punt(one, prefix(i), NET_IPV4, false, 0);
			guard_punt(two, prefix(i), NET_IPV4, false, 0);
		}
	for (unsigned v = 0; v < VICTIMS; v++) {
		const uint8_t *p = prefix(1000000 + v);
		differ += guard_punt(one, p, NET_IPV4, false, 0) !=
			  guard_punt(two, p, NET_IPV4, false, 0);
	}
	assert_true(differ > 50);
	guard_free(one);
	guard_free(two);
}

static void families_and_prefix_lengths(void **state)
{
	struct guard *guard = guard_small(1);
	uint8_t address[16] = {0x20, 0x01, 0x0d, 0xb8, 1, 2, 3, 4};
	(void)state;
	for (unsigned i = 0; i < small.punts; i++) {
		address[7] = (uint8_t)i; // within the /56
		address[15] = (uint8_t)(i >> 3);
		assert_int_equal(guard_punt(guard, address, NET_IPV6, false, 0), GUARD_ADMITS);
	}
	assert_int_equal(guard_punt(guard, address, NET_IPV6, false, 0), GUARD_PREFIX_SPENT);
	// The same leading bytes in the other family are another prefix (slots could meet by
	// chance, once in 32768 runs).
	assert_int_equal(guard_punt(guard, address, NET_IPV4, false, 0), GUARD_ADMITS);
	address[6]++;
	assert_int_equal(guard_punt(guard, address, NET_IPV6, false, 0), GUARD_ADMITS);
	guard_free(guard);
}

static void workers_share_a_budget(void **state)
{
	struct guard *guard = guard_small(4);
	(void)state;
	unsigned count = 0;
	while (guard_punt(guard, prefix(1), NET_IPV4, false, 0) == GUARD_ADMITS)
		count++;
	assert_int_equal(count, small.punts / 4);
	assert_int_equal(admitted(guard, 1000, 10000, 0) + count, 1000 - 1000 / GUARD_KEPT_OF);
	guard_free(guard);
}

static void flood_rule(void **state)
{
	struct guard *guard = guard_small(1);
	uint64_t hz = rte_get_tsc_hz(), now = hz * 100;
	unsigned count = 0;
	(void)state;
	while (guard_allocation(guard, now))
		count++;
	assert_in_range(count, small.new_allocations, small.new_allocations + 1);
	now += hz / 10;
	for (count = 0; guard_allocation(guard, now);)
		count++;
	assert_in_range(count, small.new_allocations / 10 - 1, small.new_allocations / 10 + 1);
	guard_free(guard);
}

static void limits_change_at_any_time(void **state)
{
	struct guard *guard = guard_small(1);
	struct api_guard_limits limits = small;
	(void)state;
	// To the largest, whose tokens are not scaled, and back: a purse emptied under the one must
	// not stay empty for ages under the other.
	limits.punts = limits.punts_total = limits.reply_bytes = 1000000000;
	guard_limits_set(guard, &limits, 1);
	assert_true(guard_reply(guard, prefix(1), NET_IPV4, 999999999, 0));
	assert_false(guard_reply(guard, prefix(1), NET_IPV4, 2, 0));
	assert_true(guard_reply(guard, prefix(1), NET_IPV4, 1, 0));
	for (unsigned i = 0; i < 200000; i++)
		assert_int_equal(guard_punt(guard, prefix(1), NET_IPV4, false, 0), GUARD_ADMITS);
	guard_limits_set(guard, &small, 1);
	assert_false(guard_reply(guard, prefix(1), NET_IPV4, 100, 0));
	assert_true(guard_reply(guard, prefix(1), NET_IPV4, 9000, tick_after(1)));
	unsigned count = 0;
	while (guard_punt(guard, prefix(1), NET_IPV4, false, tick_after(1.1)) == GUARD_ADMITS)
		count++;
	assert_in_range(count, small.punts - 2, small.punts);
	// The least of all still lets one through now and then.
	limits = (struct api_guard_limits){1, 1, 1, 1, 1};
	guard_limits_set(guard, &limits, 4);
	assert_int_equal(
		guard_punt(guard, prefix(1), NET_IPV4, false, tick_after(3)), GUARD_ADMITS);
	assert_int_not_equal(
		guard_punt(guard, prefix(1), NET_IPV4, false, tick_after(3)), GUARD_ADMITS);
	guard_free(guard);
}

static int start(void **state)
{
	(void)state;
	dpdk_env_start();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_prefix_has_its_budget),
		cmocka_unit_test(the_total_ends_a_flood_from_very_many_prefixes),
		cmocka_unit_test(a_share_is_kept_for_known_prefixes),
		cmocka_unit_test(signatures_are_dear),
		cmocka_unit_test(strangers_rarely_pass_for_known),
		cmocka_unit_test(chosen_prefixes_do_not_reach_a_victim),
		cmocka_unit_test(families_and_prefix_lengths),
		cmocka_unit_test(workers_share_a_budget),
		cmocka_unit_test(flood_rule),
		cmocka_unit_test(limits_change_at_any_time),
	};
	return cmocka_run_group_tests(tests, start, NULL);
}
