// SPDX-License-Identifier: BSD-3-Clause
// One direction of a sound device, and its poll descriptors on a loop. Never waits. Devices that
// cannot be polled (ALSA's own null and file) are served by the caller's ticks alone. On the loop's
// thread.
#pragma once

#include "endpoint/voice/audio.h"

#include <alsa/asoundlib.h>
#include <uv.h>

enum {
	ALSA_POLLS_MAX = 8,
	ALSA_CUSHION =
		2 * VOICE_FRAME_SAMPLES, // silence that is played first, and after running dry
};

struct alsa_stream {
	snd_pcm_t *pcm;
	// The device has something for us, or room. May be called although it has not.
	void (*ready)(struct alsa_stream *stream);
	void (*closed)(struct alsa_stream *stream); // nothing refers to the stream any more
	struct pollfd descriptors[ALSA_POLLS_MAX];
	uv_poll_t polls[ALSA_POLLS_MAX];
	unsigned poll_count, open_polls;
	bool polling;
	int16_t backlog[4 * VOICE_FRAME_SAMPLES]; // read or to be written
	size_t backlog_count;
};

// Opens a device for 48 kHz, one channel. 0; or a negative errno and a sentence in `error`.
int alsa_stream_open(struct alsa_stream *stream, struct uv_loop_s *loop, const char *device,
	snd_pcm_stream_t direction, char error[static AUDIO_ERROR_SIZE]);
// Whether `ready` is called. A device that is always ready would keep the loop busy for nothing.
void alsa_stream_poll(struct alsa_stream *stream, bool wanted);
// Makes a device go on after `code` of a read or write. 0: it does. Else -EAGAIN (later) or what is
// wrong for good. *underruns counts.
int alsa_stream_recover(struct alsa_stream *stream, int code, unsigned *underruns);
// Ends with a call of `closed`, from here or from the loop.
void alsa_stream_close(struct alsa_stream *stream);

// Takes samples off the front of the backlog. out may be NULL.
void alsa_stream_take(struct alsa_stream *stream, int16_t *out, size_t count);
