// SPDX-License-Identifier: BSD-3-Clause
// Voice, frame by frame: what each payload becomes, that an even path changes no bit of the sound,
// copies, numbers that wrap around, a sender that starts again, and payloads that are none.
#include "tests/unit/voice_call.h"

#include <opus/opus.h>

#include <errno.h>
#include <stdlib.h>

static struct call call;

static void even(struct call *c, uint64_t number, const uint8_t *payload, size_t size)
{
	(void)number;
	call_carry(c, payload, size, 30);
}

// Frames that were received are heard exactly as Opus decodes them, in order, each once.
static void even_path_changes_no_bit(void **state)
{
	enum { FRAMES = 400 };
	static int16_t heard[VOICE_FRAME_SAMPLES * (FRAMES + 100)];
	static int16_t decoded[VOICE_FRAME_SAMPLES * FRAMES];
	struct voice_sender *sender;
	struct voice_statistics all;
	struct speech speech;
	unsigned first = 0;
	int error;
	OpusDecoder *decoder = opus_decoder_create(VOICE_RATE, 1, &error);
	(void)state;

	// A delay that is right from the beginning, so that nothing is made shorter or longer.
	call_begin(&call, (struct voice_receiver_config){.start_ms = 20}, even);
	call.heard = heard;
	call.room = sizeof(heard) / sizeof(*heard);
	all = call_end(&call, FRAMES);
	assert_int_equal(all.received, FRAMES);
	assert_int_equal(all.played, FRAMES);
	assert_int_equal(all.stretched_ms + all.shortened_ms, 0);
	assert_int_equal(all.longest_gap_ms, 0);
	assert_int_equal(all.gaps, 0);
	assert_int_equal(all.lost + all.late + all.duplicates + all.malformed + all.strays, 0);

	// The same again, without a network.
	assert_int_equal(
		voice_sender_create(&sender, &(struct voice_sender_config){.complexity = 5}), 0);
	speech_begin(&speech);
	for (int i = 0; i < FRAMES; i++) {
		int16_t pcm[VOICE_FRAME_SAMPLES];
		uint8_t payload[VOICE_PAYLOAD_MAX];
		speech_read(&speech, pcm, VOICE_FRAME_SAMPLES);
		size_t size = voice_sender_encode(sender, pcm, payload);
		assert_int_equal(opus_decode(decoder, payload + VOICE_NUMBER_SIZE,
					 (opus_int32)(size - VOICE_NUMBER_SIZE),
					 decoded + i * VOICE_FRAME_SAMPLES, VOICE_FRAME_SAMPLES, 0),
			VOICE_FRAME_SAMPLES);
	}
	voice_sender_free(sender);
	opus_decoder_destroy(decoder);
	while (call.played[first] == VOICE_PLAYED_NOTHING)
		first++;
	assert_in_range(first, 1, 4);
	assert_memory_equal(heard + first * VOICE_FRAME_SAMPLES, decoded, sizeof(decoded));
	assert_int_equal(call.played[first + FRAMES - 1], VOICE_PLAYED_FRAME);
	assert_int_equal(call.played[first + FRAMES], VOICE_PLAYED_CONCEALED);
}

// Whatever is said, payloads look the same from outside.
static void all_payloads_have_one_size(void **state)
{
	static const unsigned rates[] = {VOICE_BITRATE_MIN, 16000, 24000, 0, 64000, 128000};
	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(*rates); i++) {
		struct voice_sender *sender;
		struct speech speech;
		size_t expected = (rates[i] != 0 ? rates[i] : VOICE_BITRATE) / 400 + 4;
		const struct voice_sender_config config = {
			.bitrate = rates[i], .first_number = UINT32_MAX};
		assert_int_equal(voice_sender_create(&sender, &config), 0);
		speech_begin(&speech);
		for (int j = 0; j < 150; j++) {
			int16_t pcm[VOICE_FRAME_SAMPLES] = {0};
			uint8_t payload[VOICE_PAYLOAD_MAX];
			uint8_t number[4] = {0, 0, 0, (uint8_t)(j - 1)};
			if (j == 0)
				memset(number, 0xff, 4);
			if (j % 50 < 35)
				speech_read(&speech, pcm, VOICE_FRAME_SAMPLES);
			voice_sender_expect_loss(sender, (unsigned)j);
			assert_int_equal(voice_sender_encode(sender, pcm, payload), expected);
			assert_memory_equal(payload, number, 4);
		}
		voice_sender_free(sender);
	}
}

static void settings_out_of_range(void **state)
{
	struct voice_sender *sender;
	struct voice_receiver *receiver;
	(void)state;
	assert_int_equal(voice_sender_create(&sender,
				 &(struct voice_sender_config){.bitrate = VOICE_BITRATE_MIN - 1}),
		-EINVAL);
	assert_int_equal(voice_sender_create(&sender,
				 &(struct voice_sender_config){.bitrate = VOICE_BITRATE_MAX + 1}),
		-EINVAL);
	assert_int_equal(
		voice_sender_create(&sender, &(struct voice_sender_config){.complexity = 11}),
		-EINVAL);
	assert_int_equal(
		voice_receiver_create(&receiver, &(struct voice_receiver_config){.start_ms = 1001}),
		-EINVAL);
	voice_sender_free(NULL);
	voice_receiver_free(NULL);
}

static void twice_and_later(struct call *c, uint64_t number, const uint8_t *payload, size_t size)
{
	call_carry(c, payload, size, 20);
	if (number % 3 != 0)
		call_carry(c, payload, size, 20);
	// On a path that is so slow that the frame was played long ago.
	call_carry(c, payload, size, 400);
}

static void copies_count_once(void **state)
{
	struct voice_statistics all;
	(void)state;
	call_begin(&call, (struct voice_receiver_config){0}, twice_and_later);
	all = call_end(&call, 300);
	assert_int_equal(all.received, 300);
	assert_int_equal(all.played, 300);
	assert_int_equal(all.duplicates, 200 + 300);
	assert_int_equal(all.lost + all.late, 0);
}

static void overtaking(struct call *c, uint64_t number, const uint8_t *payload, size_t size)
{
	// Each fourth is overtaken by two; the first as well.
	call_carry(c, payload, size, number % 4 == 0 ? 65 : 20);
}

static void order_does_not_matter(void **state)
{
	struct voice_statistics all;
	(void)state;
	call_begin(&call, (struct voice_receiver_config){.start_ms = 60}, overtaking);
	all = call_end(&call, 300);
	assert_int_equal(all.received, 300);
	assert_int_equal(all.played, 300);
	assert_int_equal(all.longest_gap_ms, 0);
}

// ---- numbers ----

static uint32_t number_base, number_restart_at, number_restart;

static void renumbered(struct call *c, uint64_t number, const uint8_t *payload, size_t size)
{
	uint8_t copy[VOICE_PAYLOAD_MAX];
	uint32_t shown = number_restart_at != 0 && number >= number_restart_at
				 ? number_restart + (uint32_t)number - number_restart_at
				 : number_base + (uint32_t)number;

	memcpy(copy, payload, size);
	for (int i = 0; i < 4; i++)
		copy[i] = (uint8_t)(shown >> (24 - 8 * i));
	call_carry(c, copy, size, 25);
}

static void numbers_wrap_around(void **state)
{
	static const uint32_t bases[] = {UINT32_MAX - 100, INT32_MAX - 100, UINT32_MAX};
	(void)state;
	number_restart_at = 0;
	for (int i = 0; i < 3; i++) {
		struct voice_statistics all;
		number_base = bases[i];
		call_begin(&call, (struct voice_receiver_config){0}, renumbered);
		all = call_end(&call, 300);
		assert_int_equal(all.played, 300);
		assert_int_equal(all.longest_gap_ms, 0);
		assert_int_equal(all.restarts + all.strays, 0);
	}
}

static void sender_starts_again(void **state)
{
	// Far ahead, far behind, and a little behind: numbers which were played already.
	static const uint32_t restarts[] = {1u << 30, 5u << 28, 700};
	(void)state;
	number_base = 1000;
	number_restart_at = 400;
	for (int i = 0; i < 3; i++) {
		struct voice_statistics all;
		number_restart = restarts[i];
		if (i == 2)
			number_restart = number_base + 200;
		call_begin(&call, (struct voice_receiver_config){0}, renumbered);
		all = call_end(&call, 700);
		assert_int_equal(all.restarts, 1);
		// Heard again at once, or after a second if it could have been copies.
		assert_in_range(all.longest_gap_ms, 20, i == 2 ? 1200 : 120);
		assert_in_range(all.played, i == 2 ? 640 : 697, 700);
		assert_int_equal(all.lost, 0);
	}
}

// One number of nowhere between the others changes nothing.
static void stray_numbers_are_kept_out(void **state)
{
	uint8_t payload[VOICE_PAYLOAD_MAX];
	int16_t pcm[VOICE_FRAME_SAMPLES] = {0};
	struct voice_statistics all;
	struct voice_sender *other;
	(void)state;

	assert_int_equal(voice_sender_create(&other, &(struct voice_sender_config){0}), 0);
	call_begin(&call, (struct voice_receiver_config){0}, even);
	for (unsigned i = 1; i <= 40; i++) {
		call_run(&call, i * 100, 300);
		size_t size = voice_sender_encode(other, pcm, payload);
		payload[0] = (uint8_t)(i * 37);
		payload[1] = 0x55;
		assert_int_equal(
			voice_receiver_receive(call.receiver, payload, size, call.ms), VOICE_STRAY);
	}
	voice_sender_free(other);
	all = call_end(&call, 300);
	assert_int_equal(all.strays, 40);
	assert_int_equal(all.restarts, 0);
	assert_int_equal(all.played, 300);
	assert_int_equal(all.longest_gap_ms, 0);
}

// ---- payloads that are none ----

static void malformed_payloads(void **state)
{
	struct voice_receiver *receiver;
	struct voice_statistics all;
	uint8_t payload[VOICE_PAYLOAD_MAX + 1] = {0, 0, 0, 1};
	int16_t pcm[VOICE_FRAME_SAMPLES];
	(void)state;

	assert_int_equal(voice_receiver_create(&receiver, &(struct voice_receiver_config){0}), 0);
	for (size_t size = 0; size <= VOICE_NUMBER_SIZE; size++)
		assert_int_equal(
			voice_receiver_receive(receiver, payload, size, 0), VOICE_MALFORMED);
	payload[4] = 13 << 3;
	assert_int_equal(voice_receiver_receive(receiver, payload, sizeof(payload), 0),
		VOICE_MALFORMED); // too long
	payload[4] = 12 << 3;
	assert_int_equal(
		voice_receiver_receive(receiver, payload, 60, 0), VOICE_MALFORMED); // 10 ms
	payload[4] = 13 << 3 | 1;
	assert_int_equal(
		voice_receiver_receive(receiver, payload, 60, 0), VOICE_MALFORMED); // 40 ms
	payload[4] = 12 << 3 | 1;
	assert_int_equal(voice_receiver_receive(receiver, payload, 60, 0),
		VOICE_MALFORMED); // twice 10 ms, but of an odd size in all
	payload[4] = 13 << 3 | 3;
	payload[5] = 0;
	assert_int_equal(
		voice_receiver_receive(receiver, payload, 60, 0), VOICE_MALFORMED); // no frames
	voice_receiver_statistics(receiver, &all);
	assert_int_equal(all.malformed, 10);
	assert_int_equal(all.received, 0);
	// Still silent.
	assert_int_equal(voice_receiver_play(receiver, pcm, 1000), VOICE_PLAYED_NOTHING);
	voice_receiver_free(receiver);
}

// Whatever comes in, the account is whole, something is played, and when it is over all is as
// before.
static void garbage_between_frames(void **state)
{
	enum { FRAMES = 900 };
	struct voice_statistics all;
	(void)state;
	call_begin(&call, (struct voice_receiver_config){0}, even);
	for (unsigned ms = 0; ms < 6000; ms += 5) {
		uint8_t payload[VOICE_PAYLOAD_MAX];
		size_t size = call_random(&call, sizeof(payload) + 1);
		for (size_t i = 0; i < size; i++)
			payload[i] = (uint8_t)call_random(&call, 256);
		// Half of them near the true numbers.
		if (call_random(&call, 2) == 0 && size > 4) {
			uint32_t number = (uint32_t)call.sent + call_random(&call, 100) - 50;
			for (int i = 0; i < 4; i++)
				payload[i] = (uint8_t)(number >> (24 - 8 * i));
		}
		call_run(&call, ms, FRAMES);
		voice_receiver_receive(call.receiver, payload, size, call.ms);
	}
	all = call_end(&call, FRAMES);
	assert_true(all.malformed > 500);
	assert_true(all.strays > 50);
	for (unsigned tick = FRAMES - 250; tick < FRAMES - 10; tick++)
		assert_int_equal(call.played[tick], VOICE_PLAYED_FRAME);
}

// Nobody listens: the buffer stays as large as it is, and what is newest is heard afterwards.
static void memory_is_bounded(void **state)
{
	struct voice_statistics all;
	int16_t pcm[VOICE_FRAME_SAMPLES];
	(void)state;
	call_begin(&call, (struct voice_receiver_config){0}, even);
	call.tick_at = 20000;
	call_run(&call, 20000, 1000);
	voice_receiver_statistics(call.receiver, &all);
	assert_in_range(all.buffered, 1, 128);
	assert_int_equal(all.received, all.dropped + all.buffered);
	assert_int_equal(voice_receiver_play(call.receiver, pcm, 20000), VOICE_PLAYED_FRAME);
	voice_sender_free(call.sender);
	voice_receiver_free(call.receiver);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(even_path_changes_no_bit),
		cmocka_unit_test(all_payloads_have_one_size),
		cmocka_unit_test(settings_out_of_range),
		cmocka_unit_test(copies_count_once),
		cmocka_unit_test(order_does_not_matter),
		cmocka_unit_test(numbers_wrap_around),
		cmocka_unit_test(sender_starts_again),
		cmocka_unit_test(stray_numbers_are_kept_out),
		cmocka_unit_test(malformed_payloads),
		cmocka_unit_test(garbage_between_frames),
		cmocka_unit_test(memory_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
