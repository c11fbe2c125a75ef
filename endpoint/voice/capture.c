// SPDX-License-Identifier: BSD-3-Clause
// A source that is a device. What it has recorded is read when it says so, and once more at each
// tick. Its clock is not the caller's: when too much or too little has been read, frames are made a
// little shorter or longer.
#include "endpoint/voice/alsa.h"
#include "endpoint/voice/audio_inside.h"
#include "endpoint/voice/timescale.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	FRAME = VOICE_FRAME_SAMPLES,
	TOO_MUCH = 5 * FRAME / 2, // read and not yet taken
	TOO_LITTLE = FRAME + FRAME / 4,
	CUSHION = 3 * FRAME / 2, // before it begins
};

// How alike two periods must be (timescale.h): devices are off by parts of a million.
#define ALIKE 0.7

struct capture {
	struct audio_source source;
	struct alsa_stream stream;
	bool begun;
	int error; // for good
	int16_t sound[2 * FRAME + TIMESCALE_PERIOD_MAX];
	size_t sound_count;
};

static void pump(struct alsa_stream *stream)
{
	struct capture *capture =
		(struct capture *)((uint8_t *)stream - offsetof(struct capture, stream));
	const size_t room = sizeof(stream->backlog) / sizeof(*stream->backlog);

	while (capture->error == 0 && stream->backlog_count < room) {
		snd_pcm_sframes_t count = snd_pcm_readi(stream->pcm,
			stream->backlog + stream->backlog_count, room - stream->backlog_count);
		if (count > 0) {
			stream->backlog_count += (size_t)count;
			continue;
		}
		if (count == 0)
			break;
		int code = alsa_stream_recover(stream, (int)count, &capture->source.underruns);
		if (code == -EAGAIN)
			break;
		capture->error = code;
	}
	alsa_stream_poll(stream, capture->error == 0 && stream->backlog_count < room);
}

static bool read_frame(struct audio_source *source, int16_t out[static VOICE_FRAME_SAMPLES])
{
	struct capture *capture = (struct capture *)source;
	struct alsa_stream *stream = &capture->stream;
	int16_t frame[FRAME];

	pump(stream);
	if (!capture->begun && stream->backlog_count >= CUSHION)
		capture->begun = true;
	while (capture->begun && capture->sound_count < FRAME && stream->backlog_count >= FRAME) {
		const size_t level = stream->backlog_count;
		int16_t *end = capture->sound + capture->sound_count;
		alsa_stream_take(stream, frame, FRAME);
		if (level < TOO_LITTLE) {
			capture->sound_count += timescale_lengthen(frame, end, ALIKE);
		} else if (level > TOO_MUCH || capture->sound_count > TIMESCALE_PERIOD_MAX) {
			capture->sound_count += timescale_shorten(frame, end, ALIKE);
		} else {
			memcpy(end, frame, sizeof(frame));
			capture->sound_count += FRAME;
		}
	}
	if (capture->sound_count < FRAME) {
		memset(out, 0, FRAME * sizeof(*out));
		if (capture->begun) {
			source->underruns++;
			capture->begun = false;
		}
		return capture->error == 0;
	}
	memcpy(out, capture->sound, FRAME * sizeof(*out));
	capture->sound_count -= FRAME;
	memmove(capture->sound, capture->sound + FRAME, capture->sound_count * sizeof(*out));
	return true;
}

static void close_capture(struct audio_source *source)
{
	alsa_stream_close(&((struct capture *)source)->stream);
}

static void closed(struct alsa_stream *stream)
{
	free((uint8_t *)stream - offsetof(struct capture, stream));
}

int audio_source_open_device(struct audio_source **out, struct uv_loop_s *loop, const char *device,
	char error[static AUDIO_ERROR_SIZE])
{
	struct capture *capture = calloc(1, sizeof(*capture));
	int code;

	if (capture == NULL) {
		snprintf(error, AUDIO_ERROR_SIZE, "cannot record: not enough memory");
		return -ENOMEM;
	}
	capture->source.read = read_frame;
	capture->source.close = close_capture;
	capture->stream.ready = pump;
	capture->stream.closed = closed;
	code = alsa_stream_open(&capture->stream, loop, device, SND_PCM_STREAM_CAPTURE, error);
	if (code != 0) {
		free(capture);
		return code;
	}
	alsa_stream_poll(&capture->stream, true);
	*out = &capture->source;
	return 0;
}
