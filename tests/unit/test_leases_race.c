// SPDX-License-Identifier: BSD-3-Clause
// Leases as a reader may find them while main writes: overtaken at each instruction of a look-up,
// and beside a writer on another core.
#include "tests/unit/leases_open.h"
#include "tests/unit/single_step.h"

#include <pthread.h>

// ---- a reader overtaken by the writer ----

#ifdef SINGLE_STEP
// Three devices of an address, 0 to 2 in the chain's order from its end; 0 always stays. What main
// does while a look-up is under way, at each of its instructions:
static struct leases *overtaken;
static struct lease_view overtaken_view[NATIVE_DEVICES_MAX];
static int overtaken_count;
static unsigned overtaken_issued;

static struct api_lease overtaken_asked;
static struct lease_place overtaken_place;

static void overtaken_look_up(void)
{
	overtaken_count = leases_devices(overtaken, overtaken_asked.address, &overtaken_place,
		ticks_of(now), overtaken_view);
}

static void overtaken_search(void)
{
	overtaken_count =
		leases_look_up(overtaken, overtaken_asked.address, ticks_of(now), overtaken_view);
}

static void withdraw_head(void)
{
	withdraw(overtaken, lease_of(1, 2, 12, ++overtaken_issued));
}

static void withdraw_middle(void)
{
	withdraw(overtaken, lease_of(1, 1, 11, ++overtaken_issued));
}

static void move_end(void)
{
	overtaken_issued++;
	set(overtaken, lease_of(1, 0, overtaken_issued, overtaken_issued));
}

static void add_head(void)
{
	set(overtaken, lease_of(1, 3, 13, ++overtaken_issued));
}

static void head_back(void)
{
	set(overtaken, lease_of(1, 2, 12, ++overtaken_issued));
}

static void head_again(void)
{
	withdraw_head();
	head_back();
}

static void middle_to_head(void)
{
	withdraw_middle();
	set(overtaken, lease_of(1, 1, 11, ++overtaken_issued));
}

// All entries but the last one change hands.
static void others_take_over(void)
{
	uint64_t before = now;
	withdraw_head();
	withdraw_middle();
	now += seconds(LEASES_TOMBSTONE_S + 1);
	expire_all(overtaken);
	now = before;
	set(overtaken, lease_of(7, 2, 12, ++overtaken_issued));
	set(overtaken, lease_of(8, 1, 11, ++overtaken_issued));
}

static void overtaken_set_up(void)
{
	overtaken_issued = 100;
	overtaken = leases_for_test(8);
	for (unsigned d = 0; d < 3; d++)
		assert_int_equal(set(overtaken, lease_of(1, d, 10 + d, 100)), 0);
	overtaken_asked = lease_of(1, 0, 0, 0);
	overtaken_place = place_of(overtaken, overtaken_asked.address);
}

// One state or the other of each device, nothing twice, and the steady one is there.
static void overtaken_check(void)
{
	unsigned seen = 0;
	assert_in_range(overtaken_count, 1, 4);
	for (int v = 0; v < overtaken_count; v++) {
		const struct lease_view *view = &overtaken_view[v];
		unsigned device;
		memcpy(&device, view->device + 3, sizeof(device));
		unsigned client = device == 0 && view->issued != 100 ? view->issued : 10 + device;
		struct api_lease want = lease_of(1, device, client, 0);
		assert_true(is_at(view, &want));
		assert_false(seen & 1u << device);
		seen |= 1u << device;
	}
	assert_true(seen & 1);
}

static void overtaken_by(void (*look_up)(void), const struct step_change *changes, unsigned count)
{
	overtaken_set_up();
	step_through(look_up, changes, count);
	overtaken_check();
	leases_free(overtaken);
}

static void test_overtaken_anywhere(void **state)
{
	(void)state;
	void (*const makes[])(void) = {withdraw_head, withdraw_middle, move_end, add_head,
		head_again, middle_to_head, others_take_over};
	enum { MAKES = sizeof(makes) / sizeof(makes[0]), PAIRS = 400 };
	overtaken_set_up();
	const unsigned steps = step_through(overtaken_look_up, NULL, 0);
	leases_free(overtaken);
	// A trap takes long, so each place has two of the changes.
	for (unsigned at = 1; at <= steps; at++)
		for (unsigned m = 0; m < 2; m++) {
			const struct step_change change = {at, makes[(2 * at + m) % MAKES]};
			overtaken_by(overtaken_look_up, &change, 1);
		}
	// Twice in one look-up, and back: what looks as before need not be what it was.
	for (unsigned i = 0; i < PAIRS; i++) {
		unsigned first = 1 + randombytes_uniform(steps / 2);
		const struct step_change changes[] = {{first, withdraw_head},
			{first + 1 + randombytes_uniform(steps / 2), head_back}};
		overtaken_by(overtaken_search, changes, 2);
	}
	print_message(
		"a look-up of %u instructions, overtaken %u times\n", steps, 2 * steps + PAIRS);
}

// ---- the usual look-up: one device, which moves, goes, or has its entry taken by others ----

static struct lease_line overtaken_line;
static bool overtaken_usual;

static void usual_look_up(void)
{
	overtaken_usual = leases_one_device(overtaken, overtaken_asked.address, &overtaken_place,
		ticks_of(now), &overtaken_line);
}

static void add_another(void)
{
	set(overtaken, lease_of(1, 1, 11, ++overtaken_issued));
}

static void withdraw_only(void)
{
	withdraw(overtaken, lease_of(1, 0, 10, ++overtaken_issued));
}

static void only_taken_over(void)
{
	uint64_t before = now;
	withdraw_only();
	now += seconds(LEASES_TOMBSTONE_S + 1);
	expire_all(overtaken);
	now = before;
	set(overtaken, lease_of(7, 0, 12, ++overtaken_issued));
}

static bool line_is(unsigned client)
{
	struct api_lease want = lease_of(1, 0, client, 0);
	const uint64_t v6 = want.client.address.family == NET_IPV6;
	return memcmp(overtaken_line.client, want.client.address.bytes, 16) == 0 &&
	       (overtaken_line.way & 0xFFFFFFFF) ==
		       (want.client.port | v6 << 16 | (uint64_t)want.client.address.family << 24);
}

static void usual_set_up(void)
{
	overtaken_issued = 100;
	overtaken = leases_for_test(8);
	assert_int_equal(set(overtaken, lease_of(1, 0, 10, 100)), 0);
	overtaken_asked = lease_of(1, 0, 0, 0);
	overtaken_place = place_of(overtaken, overtaken_asked.address);
}

// What is told is whole: the place before, or the one after a move; never somebody else's.
static void test_usual_overtaken_anywhere(void **state)
{
	(void)state;
	void (*const makes[])(void) = {move_end, add_another, withdraw_only, only_taken_over};
	enum { MAKES = sizeof(makes) / sizeof(makes[0]) };
	unsigned told = 0;
	usual_set_up();
	const unsigned steps = step_through(usual_look_up, NULL, 0);
	assert_true(overtaken_usual && line_is(10));
	leases_free(overtaken);
	for (unsigned at = 1; at <= steps; at++)
		for (unsigned m = 0; m < MAKES; m++) {
			const struct step_change change = {at, makes[m]};
			usual_set_up();
			step_through(usual_look_up, &change, 1);
			told += overtaken_usual;
			if (overtaken_usual)
				assert_true(line_is(10) || (makes[m] == move_end && line_is(101)));
			usual_look_up();
			assert_int_equal(overtaken_usual, makes[m] == move_end);
			leases_free(overtaken);
		}
	print_message("a usual look-up of %u instructions, overtaken %u times, told %u\n", steps,
		MAKES * steps, told);
	assert_in_range(told, 1, MAKES * steps - 1);
}
#endif

// ---- a reader beside the writer ----
//
// Everything of a view is a function of one number that the writer chooses: a torn view breaks it.
// Each address always has at least the device 0, so that a reader who misses it is wrong.

enum { RACE_ADDRESSES = 4 };
static _Atomic bool race_stop;
static struct leases *race_leases;
static _Atomic uint64_t race_views, race_given_up;

static void *race_read(void *unused)
{
	(void)unused;
	uint32_t tick = ticks_of(now);
	for (unsigned i = 0; !race_stop; i++) {
		struct lease_view view[NATIVE_DEVICES_MAX];
		struct api_lease asked = lease_of(i % RACE_ADDRESSES, 0, 0, 0);
		int count = leases_look_up(race_leases, asked.address, tick, view);
		if (count == -EAGAIN) {
			race_given_up++;
			continue;
		}
		bool steady = false;
		for (int v = 0; v < count; v++) {
			unsigned device;
			memcpy(&device, view[v].device + 3, sizeof(device));
			struct api_lease want = lease_of(
				i % RACE_ADDRESSES, device, view[v].issued, view[v].issued);
			if (!is_at(&view[v], &want) || device >= NATIVE_DEVICES_MAX)
				abort();
			steady |= device == 0;
			leases_hop_set(race_leases, &view[v], (uint16_t)i, i);
		}
		if (!steady)
			abort();
		race_views++;
	}
	return NULL;
}

static void test_reader_beside_writer(void **state)
{
	(void)state;
	enum { STEPS = 100000 };
	struct leases *leases = race_leases = leases_for_test(256);
	pthread_t reader;
	unsigned issued = 1;
	for (unsigned a = 0; a < RACE_ADDRESSES; a++)
		assert_int_equal(set(leases, lease_of(a, 0, issued, issued)), 0);
	race_stop = false;
	assert_int_equal(pthread_create(&reader, NULL, race_read, NULL), 0);
	// Until the reader has really been beside us, however the machine shares its cores.
	for (unsigned step = 0; step < STEPS || race_views < 1000; step++) {
		unsigned a = randombytes_uniform(RACE_ADDRESSES), d = randombytes_uniform(8);
		issued++;
		if (d != 0 && step % 2)
			assert_int_equal(withdraw(leases, lease_of(a, d, issued, issued)), 0);
		else
			assert_int_equal(set(leases, lease_of(a, d, issued, issued)), 0);
		// Other addresses come and go in the entries that were left, and their tombstones
		// make way by time, which the reader does not see.
		if (step % 8 == 0) {
			assert_int_equal(
				set(leases, lease_of(1000 + step % 16, 5, issued, issued)), 0);
			assert_int_equal(
				withdraw(leases, lease_of(1000 + step % 16, 5, issued, issued)), 0);
		}
		if (step % 64 == 0) {
			uint64_t before = now;
			now += seconds(LEASES_TOMBSTONE_S + 1);
			expire_all(leases);
			now = before;
		}
	}
	race_stop = true;
	pthread_join(reader, NULL);
	print_message("%llu look-ups beside %u changes, %llu given up\n",
		(unsigned long long)race_views, issued, (unsigned long long)race_given_up);
	leases_free(leases);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#ifdef SINGLE_STEP
		cmocka_unit_test(test_overtaken_anywhere),
		cmocka_unit_test(test_usual_overtaken_anywhere),
#endif
		cmocka_unit_test(test_reader_beside_writer),
	};
	return cmocka_run_group_tests(tests, set_up, NULL);
}
