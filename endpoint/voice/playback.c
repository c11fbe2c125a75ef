// SPDX-License-Identifier: BSD-3-Clause
// A sink that is a device. Each tick brings 20 ms, which go out at once or as soon as the device
// has room. Its clock is not the caller's: when it has too much or too little to play, frames are
// made a little shorter or longer.
#include "endpoint/voice/alsa.h"
#include "endpoint/voice/audio_inside.h"
#include "endpoint/voice/timescale.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	FRAME = VOICE_FRAME_SAMPLES,
	TOO_MUCH = 7 * FRAME / 2, // in the device and before it when a frame comes
	TOO_LITTLE = FRAME / 2,
};

#define ALIKE 0.7

struct playback {
	struct audio_sink sink;
	struct alsa_stream stream;
	bool begun;
	int error; // for good
};

static void push(struct alsa_stream *stream, const int16_t *pcm, size_t count)
{
	const size_t room =
		sizeof(stream->backlog) / sizeof(*stream->backlog) - stream->backlog_count;

	// A device that takes nothing loses what is oldest, not what is new.
	if (count > room) {
		stream->backlog_count -= count - room;
		memmove(stream->backlog, stream->backlog + (count - room),
			stream->backlog_count * sizeof(*pcm));
	}
	memcpy(stream->backlog + stream->backlog_count, pcm, count * sizeof(*pcm));
	stream->backlog_count += count;
}

static void write_cushion(struct alsa_stream *stream)
{
	static const int16_t silence[ALSA_CUSHION];

	// What does not fit is not missed, and what is wrong shows with the next write.
	(void)snd_pcm_writei(stream->pcm, silence, ALSA_CUSHION);
}

static void pump(struct alsa_stream *stream)
{
	struct playback *playback =
		(struct playback *)((uint8_t *)stream - offsetof(struct playback, stream));

	while (playback->error == 0 && stream->backlog_count > 0) {
		snd_pcm_sframes_t count =
			snd_pcm_writei(stream->pcm, stream->backlog, stream->backlog_count);
		if (count > 0) {
			alsa_stream_take(stream, NULL, (size_t)count);
			continue;
		}
		if (count == 0)
			break;
		int code = alsa_stream_recover(stream, (int)count, &playback->sink.underruns);
		if (code == -EAGAIN)
			break;
		playback->error = code;
		if (code == 0)
			write_cushion(stream);
	}
	alsa_stream_poll(stream, playback->error == 0 && stream->backlog_count > 0);
}

static int write_frame(struct audio_sink *sink, const int16_t pcm[static VOICE_FRAME_SAMPLES])
{
	struct playback *playback = (struct playback *)sink;
	struct alsa_stream *stream = &playback->stream;
	int16_t adapted[FRAME + TIMESCALE_PERIOD_MAX];
	snd_pcm_sframes_t delay = 0;
	size_t level, count;

	if (!playback->begun) {
		playback->begun = true;
		write_cushion(stream);
	}
	// No delay: it has run dry, or is no real device.
	if (snd_pcm_delay(stream->pcm, &delay) != 0 || delay < 0)
		delay = 0;
	level = (size_t)delay + stream->backlog_count;
	if (delay > 0 && level > TOO_MUCH) {
		count = timescale_shorten(pcm, adapted, ALIKE);
		push(stream, adapted, count);
	} else if (delay > 0 && level < TOO_LITTLE) {
		count = timescale_lengthen(pcm, adapted, ALIKE);
		push(stream, adapted, count);
	} else {
		push(stream, pcm, FRAME);
	}
	pump(stream);
	return playback->error;
}

static int close_playback(struct audio_sink *sink)
{
	struct playback *playback = (struct playback *)sink;
	int error = playback->error;

	alsa_stream_close(&playback->stream);
	return error;
}

static void closed(struct alsa_stream *stream)
{
	free((uint8_t *)stream - offsetof(struct playback, stream));
}

int audio_sink_open_device(struct audio_sink **out, struct uv_loop_s *loop, const char *device,
	char error[static AUDIO_ERROR_SIZE])
{
	struct playback *playback = calloc(1, sizeof(*playback));
	int code;

	if (playback == NULL) {
		snprintf(error, AUDIO_ERROR_SIZE, "cannot play: not enough memory");
		return -ENOMEM;
	}
	playback->sink.write = write_frame;
	playback->sink.close = close_playback;
	playback->stream.ready = pump;
	playback->stream.closed = closed;
	code = alsa_stream_open(&playback->stream, loop, device, SND_PCM_STREAM_PLAYBACK, error);
	if (code != 0) {
		free(playback);
		return code;
	}
	*out = &playback->sink;
	return 0;
}
