// SPDX-License-Identifier: BSD-3-Clause
// Raises the rate of sound to 48 kHz: a windowed sinc of 32 taps, in 256 phases with straight lines
// between them. Images are 60 dB down or more, which is better than speech needs.
#pragma once

#include "endpoint/voice/voice.h"

#include <stdbool.h>

enum { RESAMPLE_TAPS = 32, RESAMPLE_PHASES = 256 };

struct resample {
	unsigned rate;  // of what goes in
	unsigned phase; // of the next sample out, between two samples in: phase / 48000
	float taps[RESAMPLE_PHASES + 1][RESAMPLE_TAPS];
	float window[RESAMPLE_TAPS]; // the last samples, the oldest first
};

// rate: 1 to 48000.
void resample_begin(struct resample *resample, unsigned rate);
// Whether the next sample out can be made; if not, one must go in first. The first one out stands
// for the moment of the first in, which takes RESAMPLE_TAPS / 2 more; so many of silence end it.
bool resample_ready(const struct resample *resample);
void resample_put(struct resample *resample, int16_t in);
int16_t resample_get(struct resample *resample);
