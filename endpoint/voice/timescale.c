// SPDX-License-Identifier: BSD-3-Clause
// See timescale.h. The period is looked for at 12 kHz and made exact at 48 kHz: 91 + 9 correlations
// of 120 and 480 products.
#include "endpoint/voice/timescale.h"

#include <math.h>
#include <string.h>

enum {
	COARSE = 4, // samples of 48 kHz in one of the search
	COARSE_FRAME = VOICE_FRAME_SAMPLES / COARSE,
	COARSE_MIN = VOICE_FRAME_SAMPLES / 8 / COARSE,   // 2.5 ms: voices up to 400 Hz
	COARSE_MAX = TIMESCALE_PERIOD_MAX / COARSE,      // 10 ms: from 100 Hz
	COARSE_SPAN = COARSE_FRAME - COARSE_MAX,         // compared
	QUIET = 30 * 30 * COARSE_FRAME * COARSE * COARSE // energy of an RMS of 30 of 32768
};

// Correlation, normalised to 1, of `span` values with those `lag` behind.
static float correlation(const float *x, int span, int lag)
{
	float product = 0, here = 1, there = 1;

	for (int i = 0; i < span; i++) {
		product += x[i] * x[i + lag];
		here += x[i] * x[i];
		there += x[i + lag] * x[i + lag];
	}
	return product / sqrtf(here * there);
}

// The longest period that is nearly as good as the best one; 0: none is alike enough.
static size_t period(const int16_t in[static VOICE_FRAME_SAMPLES], double alike)
{
	float coarse[COARSE_FRAME], fine[VOICE_FRAME_SAMPLES], found[COARSE_MAX + 1];
	float energy = 0, best = -1;
	int lag = COARSE_MAX, at;

	for (int i = 0; i < COARSE_FRAME; i++) {
		coarse[i] = 0;
		for (int j = 0; j < COARSE; j++)
			coarse[i] += in[i * COARSE + j];
		energy += coarse[i] * coarse[i];
	}
	if (energy < (float)QUIET)
		return TIMESCALE_PERIOD_MAX;
	for (int i = COARSE_MIN; i <= COARSE_MAX; i++) {
		found[i] = correlation(coarse, COARSE_SPAN, i);
		if (found[i] > best)
			best = found[i];
	}
	if (best < (float)alike)
		return 0;
	while (found[lag] < best * 0.97F)
		lag--;
	while (lag > COARSE_MIN && found[lag - 1] > found[lag])
		lag--;
	for (int i = 0; i < VOICE_FRAME_SAMPLES; i++)
		fine[i] = in[i];
	lag *= COARSE;
	at = lag;
	best = -1;
	for (int i = lag - COARSE; i <= lag + COARSE && i <= TIMESCALE_PERIOD_MAX; i++) {
		float value = correlation(fine, VOICE_FRAME_SAMPLES - TIMESCALE_PERIOD_MAX, i);
		if (value > best) {
			best = value;
			at = i;
		}
	}
	return (size_t)at;
}

// From one to the other over `count` samples.
static void fade(const int16_t *from, const int16_t *to, int16_t *out, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int32_t part = (int32_t)(i * 32768 / count);
		out[i] = (int16_t)((from[i] * (32768 - part) + to[i] * part) / 32768);
	}
}

size_t timescale_shorten(const int16_t in[static VOICE_FRAME_SAMPLES],
	int16_t out[static VOICE_FRAME_SAMPLES], double alike)
{
	const size_t lag = period(in, alike);

	fade(in, in + lag, out, lag);
	memcpy(out + lag, in + 2 * lag, (VOICE_FRAME_SAMPLES - 2 * lag) * sizeof(*out));
	return VOICE_FRAME_SAMPLES - lag;
}

size_t timescale_lengthen(const int16_t in[static VOICE_FRAME_SAMPLES],
	int16_t out[static VOICE_FRAME_SAMPLES + TIMESCALE_PERIOD_MAX], double alike)
{
	const size_t lag = period(in, alike);

	memcpy(out, in, lag * sizeof(*out));
	fade(in + lag, in, out + lag, lag);
	memcpy(out + 2 * lag, in + lag, (VOICE_FRAME_SAMPLES - lag) * sizeof(*out));
	return VOICE_FRAME_SAMPLES + lag;
}
