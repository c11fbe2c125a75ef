// SPDX-License-Identifier: BSD-3-Clause
// Frames and the control channel: formats are exact, messages come once whatever the wire does.
#include "tests/unit/path_pair.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

// ---- frames ----

static void test_header_is_as_written(void **state)
{
	(void)state;
	struct frame_header header = {
		.path = 2, .ages = {0, 7, FRAME_AGE_LONGER, FRAME_AGE_NEVER}, .clock_ms = 0xabcd};
	uint8_t data[FRAME_SIZE_MAX];
	const uint8_t expected[] = {1, 2, 0, 7, 254, 255, 0xab, 0xcd, 1, 2, 3, 4, 'o', 'p'};
	assert_int_equal(
		frame_voice(header, 0x01020304, (const uint8_t *)"op", 2, data), sizeof(expected));
	assert_memory_equal(data, expected, sizeof(expected));

	struct frame frame;
	assert_int_equal(frame_decode(&frame, data, sizeof(expected)), 0);
	assert_int_equal(frame.header.kind, FRAME_VOICE);
	assert_int_equal(frame.header.path, 2);
	assert_memory_equal(frame.header.ages, header.ages, FRAME_PATHS);
	assert_int_equal(frame.header.clock_ms, 0xabcd);
	assert_int_equal(frame.voice.number, 0x01020304);
	assert_int_equal(frame.voice.size, 2);
	assert_memory_equal(frame.voice.data, "op", 2);
}

static void test_each_kind_comes_back(void **state)
{
	(void)state;
	struct frame_header header = {.path = 3};
	uint8_t data[FRAME_SIZE_MAX], answer[FRAME_SIZE_MAX];
	struct frame frame, probe;
	size_t size = frame_control(header, 0xfffe, 9, (const uint8_t *)"body", 4, data);
	assert_int_equal(size, 8 + 3 + 4);
	assert_int_equal(frame_decode(&frame, data, size), 0);
	assert_int_equal(frame.control.id, 0xfffe);
	assert_int_equal(frame.control.type, 9);
	assert_memory_equal(frame.control.data, "body", frame.control.size);

	size = frame_probe(header, FRAME_PROBE_FOR_VOICE, 0x0102030405060708, data);
	assert_int_equal(size, 8 + 9);
	assert_int_equal(frame_decode(&probe, data, size), 0);
	assert_int_equal(probe.probe.flags, FRAME_PROBE_FOR_VOICE);
	assert_int_equal(probe.probe.token, 0x0102030405060708);

	header.path = 1;
	size = frame_probe_answer(header, &probe, answer);
	assert_int_equal(frame_decode(&frame, answer, size), 0);
	assert_int_equal(frame.header.path, 1);
	assert_int_equal(frame.probe_answer.path, 3);
	assert_int_equal(frame.probe_answer.token, 0x0102030405060708);
}

static void test_bad_frames_are_refused(void **state)
{
	(void)state;
	uint8_t data[FRAME_SIZE_MAX + 1] = {0};
	struct frame frame;
	struct frame_header header = {.path = 0};
	// Every length of every kind, 0 and 5 to 255 included.
	for (unsigned kind = 0; kind < 256; kind++) {
		for (size_t size = 0; size <= sizeof(data); size++) {
			memset(data, 0, sizeof(data));
			data[0] = (uint8_t)kind;
			bool good = kind == FRAME_VOICE ? size >= 12 && size <= 12 + FRAME_VOICE_MAX
				    : kind == FRAME_CONTROL
					    ? size >= 11 && size <= 11 + FRAME_BODY_MAX
					    : (kind == FRAME_PROBE || kind == FRAME_PROBE_ANSWER) &&
						      size == 17;
			if (frame_decode(&frame, data, size) != (good ? 0 : -EBADMSG))
				fail_msg("kind %u size %zu", kind, size);
		}
	}
	size_t size = frame_probe(header, 0, 1, data);
	data[1] = FRAME_PATHS; // no such path
	assert_int_equal(frame_decode(&frame, data, size), -EBADMSG);
	frame_probe(header, 0, 1, data);
	data[8] = 2; // no such flag
	assert_int_equal(frame_decode(&frame, data, size), -EBADMSG);
	data[0] = FRAME_PROBE_ANSWER;
	data[8] = FRAME_PATHS;
	assert_int_equal(frame_decode(&frame, data, size), -EBADMSG);
	// And too large ones are not made.
	assert_int_equal(frame_voice(header, 1, data, FRAME_VOICE_MAX + 1, data), 0);
	assert_int_equal(frame_control(header, 1, 1, data, FRAME_BODY_MAX + 1, data), 0);
}

static void test_ages(void **state)
{
	(void)state;
	assert_int_equal(frame_age(0), 0);
	assert_int_equal(frame_age(7), 0);
	assert_int_equal(frame_age(8), 1);
	assert_int_equal(frame_age(253 * 8 + 7), 253);
	assert_int_equal(frame_age(254 * 8), FRAME_AGE_LONGER);
	assert_int_equal(frame_age(UINT64_MAX), FRAME_AGE_LONGER);
	assert_int_equal(frame_age_ms(253), 2024);
	assert_int_equal(frame_age_ms(FRAME_AGE_NEVER), UINT32_MAX);
}

// ---- control ----

static struct pair *quiet_pair(uint64_t seed)
{
	struct pair *pair = pair_open(seed, NULL);
	link_delay(pair, 0, 50);
	link_delay(pair, 2, 25);
	link_up(pair, 0);
	link_up(pair, 2);
	pair_pass(pair, 1000);
	return pair;
}

static int say(struct side *side, uint8_t type, uint32_t give_up_ms)
{
	return control_send(&side->control, type, (const uint8_t *)"x", 1,
		paths_control_rtt(&side->paths), give_up_ms, side->pair->now);
}

// Before the answer it goes on all paths: the faster one decides.
static void test_message_and_acknowledgement(void **state)
{
	(void)state;
	struct pair *pair = quiet_pair(1);
	struct side *a = &pair->side[0], *b = &pair->side[1];
	uint64_t at = pair->now;
	assert_int_equal(say(a, 7, 10000), 0);
	assert_int_equal(control_pending(&a->control), 1);
	pair_pass(pair, 60);
	assert_int_equal(b->messages, 1);
	assert_int_equal(b->last_type, 7);
	assert_int_equal(b->message_at, at + 25);
	assert_int_equal(a->arrived, 1);
	assert_int_equal(control_pending(&a->control), 0);
	assert_int_equal(control_deadline(&a->control), CONTROL_NEVER);
	pair_pass(pair, 5000);
	assert_int_equal(b->messages, 1);
	assert_int_equal(a->given_up, 0);
	pair_close(pair);
}

// Every message once, half of everything lost and a fifth doubled, in both directions.
static void test_once_whatever_is_lost(void **state)
{
	(void)state;
	unsigned said[2] = {0};
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct pair *pair = quiet_pair(seed);
		for (unsigned s = 0; s < 2; s++)
			for (unsigned link = 0; link < LINKS; link++) {
				pair->side[s].out[link].quality.loss = 500000;
				pair->side[s].out[link].quality.duplicate = 200000;
				pair->side[s].out[link].quality.reorder = 100000;
				pair->side[s].out[link].quality.reorder_us = 400000;
			}
		said[0] = said[1] = 0;
		for (unsigned i = 0; i < 300; i++) {
			for (unsigned s = 0; s < 2; s++)
				said[s] += say(&pair->side[s], (uint8_t)(1 + i % 200), 60000) >= 0;
			pair_pass(pair, 40);
		}
		pair_pass(pair, 20000);
		for (unsigned s = 0; s < 2; s++) {
			assert_true(said[s] > 100);
			assert_int_equal(pair->side[!s].messages, said[s]);
			assert_int_equal(pair->side[s].arrived, said[s]);
			assert_int_equal(pair->side[s].given_up, 0);
		}
		pair_close(pair);
	}
}

// In a call the first copy goes where voice goes; the next one everywhere.
static void test_repetition_takes_all_paths(void **state)
{
	(void)state;
	struct pair *pair = quiet_pair(1);
	struct side *a = &pair->side[0], *b = &pair->side[1];
	pair_answer(pair);
	pair_pass(pair, 2000);
	a->mute = b->mute = true;
	uint64_t at = pair->now;
	link_cut(pair, 2, true, true);
	say(a, 3, 10000);
	pair_pass(pair, 400);
	assert_int_equal(b->messages, 1);
	// Round trip of the relay twice, and its way.
	assert_in_range(b->message_at, at + 200 + 50, at + 250 + 20);
	assert_int_equal(a->arrived, 1);
	pair_close(pair);
}

// What was said while the peer could not hear it waits for no timer once it can.
static void test_again_at_once(void **state)
{
	(void)state;
	struct pair *pair = quiet_pair(1);
	struct side *a = &pair->side[0], *b = &pair->side[1];
	link_cut(pair, 0, true, true);
	link_cut(pair, 2, true, true);
	uint64_t repeats = pair->now + 200; // twice the slowest round trip
	say(a, 3, 10000);
	pair_pass(pair, 30);
	assert_int_equal(b->messages, 0);
	link_cut(pair, 2, false, false);
	control_again(&a->control, pair->now);
	assert_int_equal(control_deadline(&a->control), pair->now + 200);
	pair_pass(pair, 60);
	assert_true(pair->now < repeats);
	assert_int_equal(b->messages, 1);
	assert_int_equal(a->arrived, 1);
	control_again(&a->control, pair->now);
	pair_pass(pair, 60);
	assert_int_equal(b->messages, 1);
	pair_close(pair);
}

static void test_given_up(void **state)
{
	(void)state;
	struct pair *pair = quiet_pair(1);
	struct side *a = &pair->side[0];
	for (unsigned link = 0; link < LINKS; link++)
		link_cut(pair, link, true, true);
	say(a, 3, 2500);
	pair_pass(pair, 2499);
	assert_int_equal(a->given_up, 0);
	pair_pass(pair, 1);
	assert_int_equal(a->given_up, 1);
	assert_int_equal(a->arrived, 0);
	assert_int_equal(control_pending(&a->control), 0);
	pair_close(pair);
}

static void test_bounds(void **state)
{
	(void)state;
	struct pair *pair = pair_open(1, NULL);
	struct side *a = &pair->side[0];
	uint8_t body[FRAME_BODY_MAX + 1] = {0};
	assert_int_equal(control_send(&a->control, 1, body, sizeof(body), 0, 1000, 0), -EMSGSIZE);
	assert_int_equal(control_send(&a->control, CONTROL_ACK, body, 1, 0, 1000, 0), -EINVAL);
	for (int i = 0; i < CONTROL_QUEUE; i++)
		assert_int_equal(say(a, (uint8_t)(1 + i % 2), 10000), i);
	assert_int_equal(say(a, 1, 10000), -ENOBUFS);
	control_cancel(&a->control, 2);
	assert_int_equal(control_pending(&a->control), CONTROL_QUEUE / 2);
	assert_int_equal(say(a, 1, 10000), CONTROL_QUEUE);
	assert_int_equal(a->given_up, 0);
	pair_close(pair);
}

static struct frame message_of(uint16_t id, uint8_t type)
{
	return (struct frame){
		.header = {.kind = FRAME_CONTROL}, .control = {.id = id, .type = type}};
}

// One message that never gets through must not make the others forgotten and come twice.
static void test_one_stuck_message_stops_the_window(void **state)
{
	(void)state;
	struct pair *pair = pair_open(1, NULL);
	struct side *a = &pair->side[0];
	assert_int_equal(say(a, 1, 1000000), 0);
	int sent = 0;
	for (int id = 1; id < 200; id++) {
		if (say(a, 2, 1000000) < 0)
			break;
		struct frame ack = message_of((uint16_t)id, CONTROL_ACK);
		control_received(&a->control, &ack);
		sent++;
	}
	assert_int_equal(sent, CONTROL_WINDOW - 2);
	struct frame ack = message_of(0, CONTROL_ACK);
	control_received(&a->control, &ack);
	assert_true(say(a, 2, 1000000) > 0);
	pair_close(pair);
}

// Ids go round; copies of any of the last ones, in any order, are delivered once; old ones never.
static void test_ids_go_round(void **state)
{
	(void)state;
	struct pair *pair = pair_open(1, NULL);
	struct side *a = &pair->side[0];
	unsigned expected = 0;
	for (unsigned id = 1; id < 200000; id += 2) {
		const unsigned order[] = {id, id - 1, id, id - 1, id - 5 < id ? id - 5 : 0};
		for (unsigned i = 0; i < 5; i++) {
			struct frame frame = message_of((uint16_t)order[i], 1);
			control_received(&a->control, &frame);
		}
		expected += 2;
		if (a->messages != expected)
			fail_msg("id %u: %u messages, %u expected", id, a->messages, expected);
	}
	struct frame old = message_of((uint16_t)(199999 - CONTROL_WINDOW), 1);
	control_received(&a->control, &old);
	assert_int_equal(a->messages, expected);
	pair_close(pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header_is_as_written),
		cmocka_unit_test(test_each_kind_comes_back),
		cmocka_unit_test(test_bad_frames_are_refused),
		cmocka_unit_test(test_ages),
		cmocka_unit_test(test_message_and_acknowledgement),
		cmocka_unit_test(test_once_whatever_is_lost),
		cmocka_unit_test(test_repetition_takes_all_paths),
		cmocka_unit_test(test_again_at_once),
		cmocka_unit_test(test_given_up),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_one_stuck_message_stops_the_window),
		cmocka_unit_test(test_ids_go_round),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
