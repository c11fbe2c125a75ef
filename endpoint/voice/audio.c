// SPDX-License-Identifier: BSD-3-Clause
// Sources and sinks that need no device: files, signals, nothing.
#include "endpoint/voice/audio_inside.h"
#include "endpoint/voice/speech.h"
#include "endpoint/voice/wav.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TONE_HZ = 440, TONE_PEAK = 8000 };

struct wav_source {
	struct audio_source source;
	struct wav_reader *reader;
};

struct signal_source {
	struct audio_source source;
	enum audio_signal signal;
	struct speech speech;
	unsigned place; // of a second, samples
};

struct wav_sink {
	struct audio_sink sink;
	struct wav_writer *writer;
};

// ---- sources ----

static bool read_wav(struct audio_source *source, int16_t out[static VOICE_FRAME_SAMPLES])
{
	struct wav_source *wav = (struct wav_source *)source;
	size_t count = wav_reader_read(wav->reader, out, VOICE_FRAME_SAMPLES);

	memset(out + count, 0, (VOICE_FRAME_SAMPLES - count) * sizeof(*out));
	return count > 0;
}

static void close_wav(struct audio_source *source)
{
	wav_reader_close(((struct wav_source *)source)->reader);
	free(source);
}

int audio_source_open_wav(
	struct audio_source **out, const char *path, char error[static AUDIO_ERROR_SIZE])
{
	struct wav_source *wav = calloc(1, sizeof(*wav));
	char what[WAV_ERROR_SIZE] = "not enough memory";
	int code = -ENOMEM;

	if (wav != NULL)
		code = wav_reader_open(&wav->reader, path, what);
	if (code != 0) {
		snprintf(error, AUDIO_ERROR_SIZE, "cannot play %s", what);
		free(wav);
		return code;
	}
	wav->source.read = read_wav;
	wav->source.close = close_wav;
	*out = &wav->source;
	return 0;
}

static bool read_signal(struct audio_source *source, int16_t out[static VOICE_FRAME_SAMPLES])
{
	struct signal_source *signal = (struct signal_source *)source;

	if (signal->signal == AUDIO_SPEECH) {
		speech_read(&signal->speech, out, VOICE_FRAME_SAMPLES);
		return true;
	}
	for (int i = 0; i < VOICE_FRAME_SAMPLES; i++) {
		out[i] = signal->signal == AUDIO_TONE
				 ? (int16_t)lrint(TONE_PEAK * sin(2 * M_PI * TONE_HZ *
								      signal->place / VOICE_RATE))
				 : 0;
		signal->place = (signal->place + 1) % VOICE_RATE;
	}
	return true;
}

static void close_signal(struct audio_source *source)
{
	free(source);
}

int audio_source_open_signal(
	struct audio_source **out, enum audio_signal which, char error[static AUDIO_ERROR_SIZE])
{
	struct signal_source *signal = calloc(1, sizeof(*signal));

	if (signal == NULL) {
		snprintf(error, AUDIO_ERROR_SIZE, "cannot make a signal: not enough memory");
		return -ENOMEM;
	}
	signal->source.read = read_signal;
	signal->source.close = close_signal;
	signal->signal = which;
	speech_begin(&signal->speech);
	*out = &signal->source;
	return 0;
}

bool audio_source_read(struct audio_source *source, int16_t out[static VOICE_FRAME_SAMPLES])
{
	return source->read(source, out);
}

void audio_source_close(struct audio_source *source)
{
	if (source != NULL)
		source->close(source);
}

unsigned audio_source_underruns(const struct audio_source *source)
{
	return source->underruns;
}

// ---- sinks ----

static int write_wav(struct audio_sink *sink, const int16_t pcm[static VOICE_FRAME_SAMPLES])
{
	return wav_writer_write(((struct wav_sink *)sink)->writer, pcm, VOICE_FRAME_SAMPLES);
}

static int finish_wav(struct audio_sink *sink)
{
	int error = wav_writer_close(((struct wav_sink *)sink)->writer);

	free(sink);
	return error;
}

int audio_sink_open_wav(
	struct audio_sink **out, const char *path, char error[static AUDIO_ERROR_SIZE])
{
	struct wav_sink *wav = calloc(1, sizeof(*wav));
	char what[WAV_ERROR_SIZE] = "not enough memory";
	int code = -ENOMEM;

	if (wav != NULL)
		code = wav_writer_open(&wav->writer, path, what);
	if (code != 0) {
		snprintf(error, AUDIO_ERROR_SIZE, "cannot write %s", what);
		free(wav);
		return code;
	}
	wav->sink.write = write_wav;
	wav->sink.close = finish_wav;
	*out = &wav->sink;
	return 0;
}

static int write_nothing(struct audio_sink *sink, const int16_t pcm[static VOICE_FRAME_SAMPLES])
{
	(void)sink;
	(void)pcm;
	return 0;
}

static int finish_nothing(struct audio_sink *sink)
{
	free(sink);
	return 0;
}

int audio_sink_open_nothing(struct audio_sink **out, char error[static AUDIO_ERROR_SIZE])
{
	struct audio_sink *sink = calloc(1, sizeof(*sink));

	if (sink == NULL) {
		snprintf(error, AUDIO_ERROR_SIZE, "not enough memory");
		return -ENOMEM;
	}
	sink->write = write_nothing;
	sink->close = finish_nothing;
	*out = sink;
	return 0;
}

int audio_sink_write(struct audio_sink *sink, const int16_t pcm[static VOICE_FRAME_SAMPLES])
{
	return sink->write(sink, pcm);
}

int audio_sink_close(struct audio_sink *sink)
{
	return sink != NULL ? sink->close(sink) : 0;
}

unsigned audio_sink_underruns(const struct audio_sink *sink)
{
	return sink->underruns;
}
