// SPDX-License-Identifier: BSD-3-Clause
// See resample.h.
#include "endpoint/voice/resample.h"

#include <math.h>
#include <string.h>

// Of the lower rate's band: what is above would come back as an image.
#define PASS 0.92

void resample_begin(struct resample *resample, unsigned rate)
{
	const int middle = RESAMPLE_TAPS / 2 - 1;

	memset(resample, 0, sizeof(*resample));
	resample->rate = rate;
	resample->phase = (RESAMPLE_TAPS / 2 + 1) * VOICE_RATE; // until the first is in the middle
	for (int i = 0; i <= RESAMPLE_PHASES; i++) {
		double sum = 0, row[RESAMPLE_TAPS];
		for (int j = 0; j < RESAMPLE_TAPS; j++) {
			double x = j - middle - (double)i / RESAMPLE_PHASES;
			double angle = M_PI * x / (RESAMPLE_TAPS / 2.0);
			// Blackman's window.
			double window = 0.42 + 0.5 * cos(angle) + 0.08 * cos(2 * angle);
			double sinc = x == 0 ? 1 : sin(M_PI * PASS * x) / (M_PI * PASS * x);
			row[j] = fabs(x) >= RESAMPLE_TAPS / 2.0 ? 0 : sinc * window;
			sum += row[j];
		}
		for (int j = 0; j < RESAMPLE_TAPS; j++)
			resample->taps[i][j] = (float)(row[j] / sum);
	}
}

bool resample_ready(const struct resample *resample)
{
	return resample->phase < VOICE_RATE;
}

void resample_put(struct resample *resample, int16_t in)
{
	memmove(resample->window, resample->window + 1,
		(RESAMPLE_TAPS - 1) * sizeof(*resample->window));
	resample->window[RESAMPLE_TAPS - 1] = in;
	resample->phase -= VOICE_RATE;
}

int16_t resample_get(struct resample *resample)
{
	float place = (float)resample->phase * RESAMPLE_PHASES / VOICE_RATE, sum = 0, part;
	unsigned row = (unsigned)place;

	part = place - (float)row;
	for (int i = 0; i < RESAMPLE_TAPS; i++)
		sum += resample->window[i] *
		       (resample->taps[row][i] * (1 - part) + resample->taps[row + 1][i] * part);
	resample->phase += resample->rate;
	return (int16_t)lrintf(sum > 32767 ? 32767 : sum < -32768 ? -32768 : sum);
}
