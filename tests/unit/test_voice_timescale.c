// SPDX-License-Identifier: BSD-3-Clause
// Frames made shorter and longer: by a whole period of what is in them, so that a tone stays the
// same tone without a click, and not at all where there is no period.
#include "endpoint/voice/timescale.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

static int16_t in[VOICE_FRAME_SAMPLES];
static int16_t out[VOICE_FRAME_SAMPLES + TIMESCALE_PERIOD_MAX];

static void tone(double hz, double peak)
{
	for (int i = 0; i < VOICE_FRAME_SAMPLES; i++)
		in[i] = (int16_t)lrint(peak * sin(2 * M_PI * hz * i / VOICE_RATE));
}

// The tone goes on as if nothing had happened, and ends as the frame ended.
static void is_the_tone(double hz, double peak, size_t count)
{
	const double step = 2 * M_PI * hz / VOICE_RATE * peak;
	for (size_t i = 0; i < count; i++) {
		double expected = peak * sin(2 * M_PI * hz * (double)i / VOICE_RATE);
		// One sample off at most: periods are whole samples.
		assert_true(fabs(out[i] - expected) <= step + 2);
	}
	for (size_t i = 1; i <= 100; i++)
		assert_int_equal(out[count - i], in[VOICE_FRAME_SAMPLES - i]);
	assert_int_equal(out[0], in[0]);
}

static void tones_stay_the_same(void **state)
{
	static const double tones[] = {100, 120, 133.3, 150, 200, 250, 300, 390};
	(void)state;
	for (size_t i = 0; i < sizeof(tones) / sizeof(*tones); i++) {
		const double period = VOICE_RATE / tones[i];
		size_t count;
		double periods;
		tone(tones[i], 8000);
		count = timescale_shorten(in, out, 0.9);
		assert_in_range(count, VOICE_FRAME_SAMPLES - TIMESCALE_PERIOD_MAX,
			VOICE_FRAME_SAMPLES - 120);
		periods = (double)(VOICE_FRAME_SAMPLES - count) / period;
		assert_true(fabs(periods - round(periods)) * period <= 1);
		is_the_tone(tones[i], 8000, count);
		count = timescale_lengthen(in, out, 0.9);
		assert_in_range(count, VOICE_FRAME_SAMPLES + 120,
			VOICE_FRAME_SAMPLES + TIMESCALE_PERIOD_MAX);
		periods = (double)(count - VOICE_FRAME_SAMPLES) / period;
		assert_true(fabs(periods - round(periods)) * period <= 1);
		is_the_tone(tones[i], 8000, count);
	}
}

static void noise_is_left_alone(void **state)
{
	(void)state;
	srand(1);
	for (int i = 0; i < VOICE_FRAME_SAMPLES; i++)
		in[i] = (int16_t)(rand() % 8000 - 4000);
	assert_int_equal(timescale_shorten(in, out, 0.8), VOICE_FRAME_SAMPLES);
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(timescale_lengthen(in, out, 0.8), VOICE_FRAME_SAMPLES);
	assert_memory_equal(in, out, sizeof(in));
	// In a hurry it is not.
	assert_true(timescale_shorten(in, out, -1) < VOICE_FRAME_SAMPLES);
}

static void silence_is_no_obstacle(void **state)
{
	(void)state;
	tone(1000, 5);
	assert_int_equal(timescale_shorten(in, out, 1), VOICE_FRAME_SAMPLES / 2);
	assert_int_equal(timescale_lengthen(in, out, 1), VOICE_FRAME_SAMPLES * 3 / 2);
}

static void loudest_sounds(void **state)
{
	(void)state;
	for (int i = 0; i < VOICE_FRAME_SAMPLES; i++)
		in[i] = i % 2 ? INT16_MIN : INT16_MAX;
	timescale_shorten(in, out, 0);
	timescale_lengthen(in, out, 0);
	for (int i = 0; i < VOICE_FRAME_SAMPLES; i++)
		in[i] = INT16_MIN;
	size_t count = timescale_lengthen(in, out, 0);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(out[i], INT16_MIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tones_stay_the_same),
		cmocka_unit_test(noise_is_left_alone),
		cmocka_unit_test(silence_is_no_obstacle),
		cmocka_unit_test(loudest_sounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
