// SPDX-License-Identifier: BSD-3-Clause
// See speech.h.
#include "endpoint/voice/speech.h"

#include <math.h>

enum { PHRASE = 7 }; // one syllable of so many is a pause

static const double vowels[][SPEECH_FORMANTS] = {
	{730, 1090, 2440},
	{270, 2290, 3010},
	{300, 870, 2240},
	{530, 1840, 2480},
	{570, 840, 2410},
	{490, 1350, 1690},
};
static const double widths[SPEECH_FORMANTS] = {90, 110, 170};

// xorshift32 (Marsaglia, 2003).
static unsigned draw(struct speech *speech, unsigned below)
{
	speech->random ^= speech->random << 13;
	speech->random ^= speech->random >> 17;
	speech->random ^= speech->random << 5;
	return (speech->random >> 8) % below;
}

static void next_syllable(struct speech *speech)
{
	const double *vowel = vowels[draw(speech, sizeof(vowels) / sizeof(*vowels))];
	const unsigned ms = 90 + draw(speech, 160);

	speech->length = speech->left = VOICE_RATE / 1000 * ms;
	speech->pitch = 95 + draw(speech, 60);
	speech->pitch_end = speech->pitch * (0.85 + draw(speech, 30) / 100.0);
	speech->hiss = draw(speech, 4) == 0 ? 0.6 : 0.01;
	speech->loudness = draw(speech, PHRASE) == 0 ? 0 : 0.5 + draw(speech, 50) / 100.0;
	for (int i = 0; i < SPEECH_FORMANTS; i++)
		speech->formants[i].frequency = vowel[i] * (0.95 + draw(speech, 10) / 100.0);
}

void speech_begin(struct speech *speech)
{
	*speech = (struct speech){.random = 0x5eec4a11};
}

// A pulse of the glottis (a part of a raised cosine, then rest), differentiated roughly by the
// formants; or noise.
static double source(struct speech *speech, double done)
{
	double noise = draw(speech, 2001) / 1000.0 - 1;
	double pitch = speech->pitch + (speech->pitch_end - speech->pitch) * done;
	double open;

	speech->phase += pitch / VOICE_RATE;
	if (speech->phase >= 1)
		speech->phase -= 1;
	open = speech->phase < 0.4 ? sin(speech->phase / 0.4 * M_PI) : 0;
	return open * open * (1 - speech->hiss) + noise * speech->hiss * 0.3;
}

static double resonate(struct speech *speech, int i, double in)
{
	const double r = exp(-M_PI * widths[i] / VOICE_RATE);
	const double b = 2 * r * cos(2 * M_PI * speech->formants[i].frequency / VOICE_RATE);
	const double c = -r * r;
	double out = (1 - b - c) * in + b * speech->formants[i].before +
		     c * speech->formants[i].before_that;

	speech->formants[i].before_that = speech->formants[i].before;
	speech->formants[i].before = out;
	return out;
}

void speech_read(struct speech *speech, int16_t *out, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		double done, value;
		if (speech->left == 0)
			next_syllable(speech);
		done = 1 - (double)speech->left / speech->length;
		speech->left--;
		value = source(speech, done) * speech->loudness * sin(done * M_PI);
		for (int j = 0; j < SPEECH_FORMANTS; j++)
			value = resonate(speech, j, value);
		value *= 9000;
		out[i] = (int16_t)(value > 32000 ? 32000 : value < -32000 ? -32000 : value);
	}
}
