// SPDX-License-Identifier: BSD-3-Clause
// Where a call's sound comes from and where it goes: files, a generated signal, silence, or a sound
// device through ALSA. The caller keeps the time: it reads and writes 20 ms every 20 ms. One
// thread, a device's that of its loop.
#pragma once

#include "endpoint/voice/voice.h"

#include <stdbool.h>

struct uv_loop_s;

enum { AUDIO_ERROR_SIZE = 256 };

struct audio_source;
struct audio_sink;

enum audio_signal {
	AUDIO_SILENCE = 1,
	AUDIO_TONE,   // 440 Hz
	AUDIO_SPEECH, // syllables of a voice that says nothing, with pauses; the same each time
};

// Each: 0; or a negative errno, and `error` is a sentence that says what cannot be opened, why, and
// what to do about it.

// Ends with the file.
int audio_source_open_wav(
	struct audio_source **out, const char *path, char error[static AUDIO_ERROR_SIZE]);
// Never ends.
int audio_source_open_signal(
	struct audio_source **out, enum audio_signal signal, char error[static AUDIO_ERROR_SIZE]);
// device: an ALSA name, NULL: "default". The loop must run for the device to be emptied in time.
int audio_source_open_device(struct audio_source **out, struct uv_loop_s *loop, const char *device,
	char error[static AUDIO_ERROR_SIZE]);
// Fills out, with silence where there is nothing: false once the source has ended (and out is all
// silence). A device whose clock is a little faster or slower than the caller's is followed.
bool audio_source_read(struct audio_source *source, int16_t out[static VOICE_FRAME_SAMPLES]);
// NULL is allowed. Of a device the loop must run once more before it is closed itself.
void audio_source_close(struct audio_source *source);

int audio_sink_open_wav(
	struct audio_sink **out, const char *path, char error[static AUDIO_ERROR_SIZE]);
int audio_sink_open_nothing(struct audio_sink **out, char error[static AUDIO_ERROR_SIZE]);
int audio_sink_open_device(struct audio_sink **out, struct uv_loop_s *loop, const char *device,
	char error[static AUDIO_ERROR_SIZE]);
// Never waits. 0, or the first error of all writes (a device that was unplugged, a full disk); a
// device that runs dry is no error.
int audio_sink_write(struct audio_sink *sink, const int16_t pcm[static VOICE_FRAME_SAMPLES]);
// Finishes what it writes; the same results. NULL is allowed.
int audio_sink_close(struct audio_sink *sink);

// How often a device had no sound for us in time (source) or ran dry (sink).
unsigned audio_source_underruns(const struct audio_source *source);
unsigned audio_sink_underruns(const struct audio_sink *sink);
