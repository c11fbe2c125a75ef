// SPDX-License-Identifier: BSD-3-Clause
// A signal that codecs and ears take for speech: syllables of vowels and hisses with a moving
// pitch, and pauses. It says nothing, is the same each time, and does not repeat itself within a
// call, so that any part of a recording can be found in it. (Source and filter: Klatt, "Software
// for a cascade/parallel formant synthesizer", 1980, as little of it as serves.)
#pragma once

#include "endpoint/voice/voice.h"

enum { SPEECH_FORMANTS = 3 };

struct speech {
	uint32_t random;
	unsigned left, length; // samples of the syllable
	double pitch, pitch_end, phase, hiss, loudness;
	struct {
		double frequency, before, before_that; // Hz; the resonator's last results
	} formants[SPEECH_FORMANTS];
};

void speech_begin(struct speech *speech);
void speech_read(struct speech *speech, int16_t *out, size_t count);
