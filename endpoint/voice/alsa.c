// SPDX-License-Identifier: BSD-3-Clause
// See alsa.h.
#include "endpoint/voice/alsa.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

// What the device keeps for us: four ticks.
enum { LATENCY_US = 80 * 1000 };

// ALSA would write to stderr what the sentence says already.
static void quiet(
	const char *file, int line, const char *function, int code, const char *format, ...)
{
	(void)file;
	(void)line;
	(void)function;
	(void)code;
	(void)format;
}

// ALSA would wait until the whole buffer is full.
static int set_start(snd_pcm_t *pcm)
{
	snd_pcm_sw_params_t *parameters;
	int code;

	snd_pcm_sw_params_alloca(&parameters);
	code = snd_pcm_sw_params_current(pcm, parameters);
	if (code >= 0)
		code = snd_pcm_sw_params_set_start_threshold(
			pcm, parameters, ALSA_CUSHION + VOICE_FRAME_SAMPLES);
	return code >= 0 ? snd_pcm_sw_params(pcm, parameters) : code;
}

static void polled(uv_poll_t *poll, int status, int events)
{
	struct alsa_stream *stream = poll->data;
	struct pollfd descriptors[ALSA_POLLS_MAX];
	unsigned short revents = 0;

	memcpy(descriptors, stream->descriptors, sizeof(descriptors));
	for (unsigned i = 0; i < stream->poll_count; i++) {
		descriptors[i].revents = 0;
		if (&stream->polls[i] == poll)
			descriptors[i].revents =
				(short)(((events & UV_READABLE) != 0 ? POLLIN : 0) |
					((events & UV_WRITABLE) != 0 ? POLLOUT : 0) |
					(status < 0 ? POLLERR : 0));
	}
	// What an event of the descriptor means is the device's own affair.
	if (snd_pcm_poll_descriptors_revents(
		    stream->pcm, descriptors, stream->poll_count, &revents) == 0 &&
		revents != 0)
		stream->ready(stream);
	// A descriptor that only fails from now on is left to the ticks, which find out why.
	if (status < 0)
		alsa_stream_poll(stream, false);
}

static void close_done(uv_handle_t *handle)
{
	struct alsa_stream *stream = handle->data;

	if (--stream->open_polls == 0)
		stream->closed(stream);
}

static void open_polls(struct alsa_stream *stream, struct uv_loop_s *loop)
{
	int count = snd_pcm_poll_descriptors_count(stream->pcm);

	if (count <= 0 || count > ALSA_POLLS_MAX ||
		snd_pcm_poll_descriptors(stream->pcm, stream->descriptors, (unsigned)count) !=
			count)
		return;
	for (int i = 0; i < count; i++) {
		if (uv_poll_init(loop, &stream->polls[i], stream->descriptors[i].fd) != 0) {
			// Not something that can be polled. Half of them are no use.
			stream->poll_count = 0;
			return;
		}
		stream->polls[i].data = stream;
		stream->poll_count++;
		stream->open_polls++;
	}
}

int alsa_stream_open(struct alsa_stream *stream, struct uv_loop_s *loop, const char *device,
	snd_pcm_stream_t direction, char error[static AUDIO_ERROR_SIZE])
{
	const bool records = direction == SND_PCM_STREAM_CAPTURE;
	const char *doing = "open";
	int code;

	if (device == NULL)
		device = "default";
	snd_lib_error_set_handler(quiet);
	code = snd_pcm_open(&stream->pcm, device, direction, SND_PCM_NONBLOCK);
	if (code >= 0) {
		doing = "set to 48 kHz, 16 bits, one channel";
		code = snd_pcm_set_params(stream->pcm, SND_PCM_FORMAT_S16,
			SND_PCM_ACCESS_RW_INTERLEAVED, 1, VOICE_RATE, 1, LATENCY_US);
	}
	if (code >= 0) {
		doing = "start";
		code = records ? snd_pcm_start(stream->pcm) : set_start(stream->pcm);
	}
	if (code < 0) {
		snprintf(error, AUDIO_ERROR_SIZE,
			"cannot %s the sound device \"%.60s\" for %s: %s (%s -L lists the devices; "
			"a "
			"call needs none with %s FILE)",
			doing, device, records ? "recording" : "playing", snd_strerror(code),
			records ? "arecord" : "aplay", records ? "--in" : "--out");
		if (stream->pcm != NULL)
			snd_pcm_close(stream->pcm);
		return code;
	}
	open_polls(stream, loop);
	return 0;
}

void alsa_stream_poll(struct alsa_stream *stream, bool wanted)
{
	if (wanted == stream->polling)
		return;
	stream->polling = wanted;
	for (unsigned i = 0; i < stream->poll_count; i++) {
		int events = ((stream->descriptors[i].events & POLLIN) != 0 ? UV_READABLE : 0) |
			     ((stream->descriptors[i].events & POLLOUT) != 0 ? UV_WRITABLE : 0);
		if (wanted)
			uv_poll_start(&stream->polls[i], events, polled);
		else
			uv_poll_stop(&stream->polls[i]);
	}
}

int alsa_stream_recover(struct alsa_stream *stream, int code, unsigned *underruns)
{
	const bool records = snd_pcm_stream(stream->pcm) == SND_PCM_STREAM_CAPTURE;

	if (code == -EAGAIN || code == -EINTR)
		return -EAGAIN;
	if (code == -ESTRPIPE) { // the machine has slept
		code = snd_pcm_resume(stream->pcm);
		if (code == -EAGAIN)
			return code;
		code = -EPIPE;
	}
	if (code != -EPIPE)
		return code;
	(*underruns)++;
	code = snd_pcm_prepare(stream->pcm);
	if (code >= 0 && records)
		code = snd_pcm_start(stream->pcm);
	return code < 0 ? code : 0;
}

void alsa_stream_close(struct alsa_stream *stream)
{
	// All of them, also those that open_polls gave up.
	const unsigned count = stream->open_polls;

	alsa_stream_poll(stream, false);
	for (unsigned i = 0; i < count; i++)
		uv_close((uv_handle_t *)&stream->polls[i], close_done);
	snd_pcm_close(stream->pcm);
	if (count == 0)
		stream->closed(stream);
}

void alsa_stream_take(struct alsa_stream *stream, int16_t *out, size_t count)
{
	assert(count <= stream->backlog_count);
	if (out != NULL)
		memcpy(out, stream->backlog, count * sizeof(*out));
	stream->backlog_count -= count;
	memmove(stream->backlog, stream->backlog + count, stream->backlog_count * sizeof(*out));
}
