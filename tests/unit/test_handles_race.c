// SPDX-License-Identifier: BSD-3-Clause
// Handles in several hands: a reader, a keepalive and a look at a path key, overtaken at each of
// their instructions by a move or by another life of the line; and workers that move and read the
// two sides of pairs while main closes them and makes them anew.
#include "tests/unit/handles_open.h"
#include "tests/unit/single_step.h"

#include <pthread.h>
#include <stdio.h>

// ---- a reader overtaken by writers ----

#ifdef SINGLE_STEP
static struct handles *overtaken;
static struct api_handles_installed overtaken_pair;
static struct handle_fields overtaken_fields;
static enum handle_verdict overtaken_verdict;
static struct client_key overtaken_source;
static uint8_t overtaken_key[16];

static void overtaken_read(void)
{
	uint32_t sequence;
	overtaken_verdict = handles_read(overtaken, side_of(&overtaken_pair, 0), &overtaken_source,
		ticks_of(now), &overtaken_fields, &sequence);
}

static void overtaken_read_callee(void)
{
	uint32_t sequence;
	struct client_key source = key_of(21);
	overtaken_verdict = handles_read(overtaken, side_of(&overtaken_pair, 1), &source,
		ticks_of(now), &overtaken_fields, &sequence);
}

static void overtaken_path_key(void)
{
	overtaken_verdict = handles_path_key(
		overtaken, side_of(&overtaken_pair, 0), ticks_of(now), overtaken_key);
}

static void overtaken_keepalive(void)
{
	uint32_t left;
	overtaken_verdict = handles_keepalive(
		overtaken, side_of(&overtaken_pair, 0), &overtaken_source, ticks_of(now), &left);
}

static void move_caller(void)
{
	struct client_key to = key_of(33);
	uint32_t left;
	handles_move(overtaken, &ours, side_of(&overtaken_pair, 0), &to, 1, ticks_of(now), &left);
}

static void move_callee(void)
{
	struct client_key to = key_of(33);
	uint32_t left;
	handles_move(overtaken, &ours, side_of(&overtaken_pair, 1), &to, 1, ticks_of(now), &left);
}

// Closed, and the same place another pair's.
static void another_life(void)
{
	uint64_t before = now;
	struct handles_ended ended;
	struct api_handles_installed pair;
	struct api_handles_install in = open_of(9, 33, 10);
	handles_close(overtaken, side_of(&overtaken_pair, 1), ticks_of(now), &ended);
	now += seconds(HANDLES_CLOSED_S + 1);
	expire_all(overtaken, &ended);
	now = before;
	install(overtaken, &in, &pair);
}

static void overtaken_set_up(void)
{
	struct api_handles_install in = open_of(1, 10, 21);
	overtaken = handles_for_test(2);
	overtaken_source = key_of(10);
	assert_int_equal(install(overtaken, &in, &overtaken_pair), 0);
}

// Who moved a line while a keepalive held it has waited in vain: then nothing has changed.
static void overtaken_check_line(void)
{
	struct handle_fields f = overtaken_fields;
	if (overtaken_verdict == HANDLE_HERE)
		assert_true(line_is(&f, 10, 21) || line_is(&f, 10, 33));
	else if (overtaken_verdict == HANDLE_ELSEWHERE)
		assert_true(line_is(&f, 33, 21));
	else
		assert_int_equal(overtaken_verdict, HANDLE_NONE);
}

static void overtaken_check_callee(void)
{
	const struct handle_fields *f = &overtaken_fields;
	if (overtaken_verdict == HANDLE_HERE)
		assert_true(line_is(f, 21, 10) || line_is(f, 21, 33));
	else if (overtaken_verdict == HANDLE_ELSEWHERE)
		assert_true(line_is(f, 33, 10));
	else
		assert_int_equal(overtaken_verdict, HANDLE_NONE);
}

static void overtaken_check_key(void)
{
	const struct api_handles_install in = open_of(1, 10, 21);
	static const uint8_t zeros[16];
	// An answer is one of the pair that was asked for.
	assert_memory_equal(overtaken_key, overtaken_verdict ? in.end[0].key : zeros, 16);
}

// However it ended, the line that is there is one of the states it went through, whole.
static void overtaken_check_alive(void)
{
	const struct handle_fields *f = &overtaken->lines[0].fields;
	assert_int_equal(overtaken->lines[0].sequence & 1, 0);
	assert_int_equal(overtaken->lines[1].sequence & 1, 0);
	if (f->generation == overtaken_pair.generation[0])
		assert_true(line_is(f, 10, 21) || line_is(f, 33, 21) || line_is(f, 10, 33));
	else if (f->generation != 0)
		assert_true(line_is(f, 33, 10));
	assert_true(overtaken_verdict == HANDLE_HERE || overtaken_verdict == HANDLE_ELSEWHERE ||
		    overtaken_verdict == HANDLE_NONE);
}

static void test_overtaken_anywhere(void **state)
{
	(void)state;
	void (*const makes[])(void) = {move_caller, move_callee, another_life};
	void (*const runs[])(void) = {
		overtaken_read, overtaken_path_key, overtaken_keepalive, overtaken_read_callee};
	void (*const checks[])(void) = {overtaken_check_line, overtaken_check_key,
		overtaken_check_alive, overtaken_check_callee};
	for (unsigned r = 0; r < 4; r++) {
		overtaken_set_up();
		unsigned steps = step_through(runs[r], NULL, 0);
		handles_free(overtaken);
		for (unsigned at = 1; at <= steps; at++)
			for (unsigned m = 0; m < 3; m++) {
				// Main would wait for a line that is held below it.
				if (r == 2 && m == 2)
					continue;
				const struct step_change change = {at, makes[m]};
				overtaken_set_up();
				step_through(runs[r], &change, 1);
				checks[r]();
				handles_free(overtaken);
			}
		print_message("%u instructions, each overtaken\n", steps);
	}
}
#endif

// ---- workers beside each other and main ----
//
// Two workers move the two sides of a pair, keep it alive and read it, while main closes and makes
// it anew. A side's client is chosen by one number that its address and port both follow.

enum { RACE_PAIRS = 4 };
static _Atomic bool race_stop;
static struct handles *race_handles;
static struct api_handles_installed race_pairs[RACE_PAIRS]; // read torn at worst: then no handle
static _Atomic uint64_t race_reads, race_moves, race_busy;

static bool whole(const uint8_t *client, uint16_t port, unsigned server)
{
	unsigned number = 0;
	memcpy(&number, client + (server & 1 ? 12 : 1), server & 1 ? 4 : 3);
	struct net_endpoint e = client_of(number);
	return (number & 1) == (server & 1) && e.port == port &&
	       memcmp(e.address.bytes, client, 16) == 0;
}

static void *race_work(void *argument)
{
	unsigned side = argument != NULL;
	uint32_t tick = ticks_of(now), issued = 0, left;
	while (!race_stop) {
		struct handle_fields f;
		uint32_t sequence;
		struct native_handle handle =
			side_of(&race_pairs[randombytes_uniform(RACE_PAIRS)], side);
		struct client_key source = key_of(1000 + randombytes_uniform(1000));
		enum handle_verdict verdict =
			handles_read(race_handles, handle, &source, tick, &f, &sequence);
		race_busy += verdict == HANDLE_BUSY;
		if (verdict != HANDLE_ELSEWHERE && verdict != HANDLE_HERE)
			continue;
		if (!whole(f.client, f.client_port, f.server) ||
			!whole(f.peer, f.peer_port, f.peer_server))
			abort();
		race_reads++;
		handles_hop_set(race_handles, handle.index, sequence, 1, 1);
		verdict = handles_move(race_handles, &ours, handle, &source, ++issued, tick, &left);
		race_moves += verdict == HANDLE_HERE;
		handles_keepalive(race_handles, handle, &source, tick, &left);
	}
	return NULL;
}

static void test_writers_beside_each_other(void **state)
{
	(void)state;
	enum { STEPS = 20000 };
	struct handles *handles = race_handles = handles_for_test(2 * RACE_PAIRS);
	struct handles_ended ended;
	pthread_t workers[2];
	unsigned id = 0;
	for (unsigned p = 0; p < RACE_PAIRS; p++) {
		struct api_handles_install in = open_of(id++, 10, 21);
		assert_int_equal(install(handles, &in, &race_pairs[p]), 0);
	}
	race_stop = false;
	for (unsigned side = 0; side < 2; side++)
		assert_int_equal(
			pthread_create(&workers[side], NULL, race_work, side ? handles : NULL), 0);
	for (unsigned step = 0; step < STEPS || race_moves < 100; step++) {
		unsigned p = step % RACE_PAIRS;
		if (handles_close(handles, side_of(&race_pairs[p], 0), ticks_of(now), &ended) !=
			HANDLE_HERE)
			continue; // busy
		for (unsigned side = 0; side < 2; side++)
			assert_true(whole(ended.end[side].client, ended.end[side].client_port,
				ended.end[side].server));
		// As if its time had passed.
		handles->pairs[race_pairs[p].index[0] / 2].due = ticks_of(now);
		unsigned budget = RACE_PAIRS;
		assert_false(handles_expire(handles, now, &budget, &ended));
		struct api_handles_install in = open_of(id++, 10, 21);
		assert_int_equal(install(handles, &in, &race_pairs[p]), 0);
	}
	race_stop = true;
	for (unsigned side = 0; side < 2; side++)
		pthread_join(workers[side], NULL);
	assert_int_equal(handles->used, RACE_PAIRS);
	for (uint32_t i = 0; i < 2 * RACE_PAIRS; i += 2) {
		const struct handle_fields *a = &handles->lines[i].fields;
		const struct handle_fields *b = &handles->lines[i + 1].fields;
		assert_memory_equal(a->client, b->peer, 16);
		assert_memory_equal(b->client, a->peer, 16);
		assert_true(a->client_port == b->peer_port && b->client_port == a->peer_port);
		assert_true(a->server == b->peer_server && b->server == a->peer_server);
		assert_delta(a, (struct native_handle){a->generation, i});
		assert_delta(b, (struct native_handle){b->generation, i + 1});
	}
	print_message("%llu reads, %llu moves, %llu given up, %u lives\n",
		(unsigned long long)race_reads, (unsigned long long)race_moves,
		(unsigned long long)race_busy, id);
	handles_free(handles);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#ifdef SINGLE_STEP
		cmocka_unit_test(test_overtaken_anywhere),
#endif
		cmocka_unit_test(test_writers_beside_each_other),
	};
	return cmocka_run_group_tests(tests, set_up, NULL);
}
