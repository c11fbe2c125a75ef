// SPDX-License-Identifier: BSD-3-Clause
// What every source and sink begins with; the kinds are in audio.c (files and signals), capture.c
// and playback.c (ALSA).
#pragma once

#include "endpoint/voice/audio.h"

struct audio_source {
	bool (*read)(struct audio_source *source, int16_t out[static VOICE_FRAME_SAMPLES]);
	void (*close)(struct audio_source *source);
	unsigned underruns;
};

struct audio_sink {
	int (*write)(struct audio_sink *sink, const int16_t pcm[static VOICE_FRAME_SAMPLES]);
	int (*close)(struct audio_sink *sink);
	unsigned underruns;
};
