// SPDX-License-Identifier: BSD-3-Clause
// Makes 20 ms of sound shorter or longer by one period of its pitch (2.5 to 10 ms), without
// changing the pitch: two stretches that are alike are faded into each other. (The idea is WSOLA's:
// Verhelst and Roelands, 1993.) Beginning and end of the frame stay as they are, so frames fit
// together. Pure functions.
#pragma once

#include "endpoint/voice/voice.h"

enum { TIMESCALE_PERIOD_MAX = VOICE_FRAME_SAMPLES / 2 };

// `alike`: how alike they must be, 0 to 1, or nothing is done; what is near silence always is. out
// must not overlap in. They return the number of samples written.
size_t timescale_shorten(const int16_t in[static VOICE_FRAME_SAMPLES],
	int16_t out[static VOICE_FRAME_SAMPLES], double alike);
size_t timescale_lengthen(const int16_t in[static VOICE_FRAME_SAMPLES],
	int16_t out[static VOICE_FRAME_SAMPLES + TIMESCALE_PERIOD_MAX], double alike);
