// SPDX-License-Identifier: BSD-3-Clause
// Sound devices. There need be none in the machine: ALSA's own null and file devices run the same
// code, and where a device has a clock of its own and can be polled, one is put in its place.
// wrap: snd_pcm_readi
// wrap: snd_pcm_writei
// wrap: snd_pcm_delay
// wrap: snd_pcm_poll_descriptors_count
// wrap: snd_pcm_poll_descriptors
// wrap: snd_pcm_poll_descriptors_revents
#include "endpoint/voice/audio.h"
#include "endpoint/voice/wav.h"

#include <alsa/asoundlib.h>
#include <uv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// ---- a device that a test plays ----

static struct {
	bool used;
	int pipe[2];         // readable: recorded; the other end writable: room
	size_t recorded;     // samples that can be read
	size_t queued, room; // samples being played; of the buffer
	int error;           // what the next read or write says
	double phase;        // of what is recorded
	int16_t last[65536]; // what was played
	size_t played;
	unsigned polled;
} device;

snd_pcm_sframes_t __real_snd_pcm_readi(snd_pcm_t *pcm, void *out, snd_pcm_uframes_t size);
snd_pcm_sframes_t __wrap_snd_pcm_readi(snd_pcm_t *pcm, void *out, snd_pcm_uframes_t size);
snd_pcm_sframes_t __wrap_snd_pcm_readi(snd_pcm_t *pcm, void *out, snd_pcm_uframes_t size)
{
	int16_t *samples = out;
	int error = device.error;
	if (!device.used)
		return __real_snd_pcm_readi(pcm, out, size);
	device.error = 0;
	if (error != 0)
		return error;
	if (device.recorded == 0)
		return -EAGAIN;
	if (size > device.recorded)
		size = device.recorded;
	for (size_t i = 0; i < size; i++) {
		samples[i] = (int16_t)lrint(8000 * sin(device.phase));
		device.phase += 2 * M_PI * 200 / VOICE_RATE;
	}
	device.recorded -= size;
	return (snd_pcm_sframes_t)size;
}

snd_pcm_sframes_t __real_snd_pcm_writei(snd_pcm_t *pcm, const void *in, snd_pcm_uframes_t size);
snd_pcm_sframes_t __wrap_snd_pcm_writei(snd_pcm_t *pcm, const void *in, snd_pcm_uframes_t size);
snd_pcm_sframes_t __wrap_snd_pcm_writei(snd_pcm_t *pcm, const void *in, snd_pcm_uframes_t size)
{
	int error = device.error;
	if (!device.used)
		return __real_snd_pcm_writei(pcm, in, size);
	device.error = 0;
	if (error != 0)
		return error;
	if (device.queued == device.room)
		return -EAGAIN;
	if (size > device.room - device.queued)
		size = device.room - device.queued;
	for (size_t i = 0; i < size && device.played < 65536; i++)
		device.last[device.played++] = ((const int16_t *)in)[i];
	device.queued += size;
	return (snd_pcm_sframes_t)size;
}

int __real_snd_pcm_delay(snd_pcm_t *pcm, snd_pcm_sframes_t *delay);
int __wrap_snd_pcm_delay(snd_pcm_t *pcm, snd_pcm_sframes_t *delay);
int __wrap_snd_pcm_delay(snd_pcm_t *pcm, snd_pcm_sframes_t *delay)
{
	if (!device.used)
		return __real_snd_pcm_delay(pcm, delay);
	*delay = (snd_pcm_sframes_t)device.queued;
	return 0;
}

int __real_snd_pcm_poll_descriptors_count(snd_pcm_t *pcm);
int __wrap_snd_pcm_poll_descriptors_count(snd_pcm_t *pcm);
int __wrap_snd_pcm_poll_descriptors_count(snd_pcm_t *pcm)
{
	return device.used ? 1 : __real_snd_pcm_poll_descriptors_count(pcm);
}

int __real_snd_pcm_poll_descriptors(snd_pcm_t *pcm, struct pollfd *out, unsigned room);
int __wrap_snd_pcm_poll_descriptors(snd_pcm_t *pcm, struct pollfd *out, unsigned room);
int __wrap_snd_pcm_poll_descriptors(snd_pcm_t *pcm, struct pollfd *out, unsigned room)
{
	const bool records = snd_pcm_stream(pcm) == SND_PCM_STREAM_CAPTURE;
	if (!device.used)
		return __real_snd_pcm_poll_descriptors(pcm, out, room);
	*out = (struct pollfd){
		.fd = device.pipe[records ? 0 : 1], .events = records ? POLLIN : POLLOUT};
	return 1;
}

int __real_snd_pcm_poll_descriptors_revents(
	snd_pcm_t *pcm, struct pollfd *in, unsigned count, unsigned short *out);
int __wrap_snd_pcm_poll_descriptors_revents(
	snd_pcm_t *pcm, struct pollfd *in, unsigned count, unsigned short *out);
int __wrap_snd_pcm_poll_descriptors_revents(
	snd_pcm_t *pcm, struct pollfd *in, unsigned count, unsigned short *out)
{
	if (!device.used)
		return __real_snd_pcm_poll_descriptors_revents(pcm, in, count, out);
	assert_int_equal(count, 1);
	device.polled++;
	*out = (unsigned short)in->revents;
	if (in->revents & POLLIN) {
		char byte;
		assert_int_equal(read(device.pipe[0], &byte, 1), 1);
	}
	return 0;
}

static void device_begin(void)
{
	memset(&device, 0, sizeof(device));
	device.used = true;
	device.room = 4 * VOICE_FRAME_SAMPLES;
	assert_int_equal(pipe(device.pipe), 0);
}

static void device_end(void)
{
	close(device.pipe[0]);
	close(device.pipe[1]);
	device.used = false;
}

static uv_loop_t loop;

static int begin(void **state)
{
	(void)state;
	return uv_loop_init(&loop);
}

static int end(void **state)
{
	(void)state;
	// Nothing of a closed device is left on the loop.
	uv_run(&loop, UV_RUN_DEFAULT);
	return uv_loop_close(&loop);
}

// ---- tests ----

static void no_such_device(void **state)
{
	struct audio_source *source;
	struct audio_sink *sink;
	char error[AUDIO_ERROR_SIZE];
	(void)state;
	assert_int_equal(audio_source_open_device(&source, &loop, "nowhere", error), -ENOENT);
	assert_string_equal(error,
		"cannot open the sound device \"nowhere\" for recording: No such file or directory "
		"(arecord -L lists the devices; a call needs none with --in FILE)");
	assert_int_equal(audio_sink_open_device(&sink, &loop, "hw:31,0", error), -ENOENT);
	assert_non_null(strstr(error, "\"hw:31,0\" for playing: No such file or directory"));
	assert_non_null(strstr(error, "aplay -L lists the devices; a call needs none with --out"));
}

static void null_device(void **state)
{
	struct audio_source *source;
	struct audio_sink *sink;
	char error[AUDIO_ERROR_SIZE];
	int16_t pcm[VOICE_FRAME_SAMPLES], silence[VOICE_FRAME_SAMPLES] = {0};
	(void)state;
	if (audio_source_open_device(&source, &loop, "null", error) != 0 ||
		audio_sink_open_device(&sink, &loop, "null", error) != 0)
		fail_msg("%s", error);
	for (int i = 0; i < 100; i++) {
		memset(pcm, 1, sizeof(pcm));
		assert_true(audio_source_read(source, pcm));
		assert_memory_equal(pcm, silence, sizeof(pcm));
		assert_int_equal(audio_sink_write(sink, pcm), 0);
		// It can always be read, and must not keep the loop for itself.
		uv_run(&loop, UV_RUN_NOWAIT);
	}
	assert_int_equal(audio_source_underruns(source), 0);
	audio_source_close(source);
	assert_int_equal(audio_sink_close(sink), 0);
}

// What is played arrives in a file of ALSA's, after the cushion.
static void file_device(void **state)
{
	char path[] = "/tmp/test_audio.XXXXXX", name[64], error[AUDIO_ERROR_SIZE];
	enum { FRAMES = 50, CUSHION = 2 * VOICE_FRAME_SAMPLES };
	static int16_t sent[FRAMES * VOICE_FRAME_SAMPLES],
		back[(FRAMES + 20) * VOICE_FRAME_SAMPLES];
	struct audio_source *tone;
	struct audio_sink *sink;
	size_t count;
	int fd = mkstemp(path);
	(void)state;
	assert_true(fd >= 0);
	snprintf(name, sizeof(name), "file:'%s',raw", path);
	if (audio_sink_open_device(&sink, &loop, name, error) != 0)
		fail_msg("%s", error);
	assert_int_equal(audio_source_open_signal(&tone, AUDIO_SPEECH, error), 0);
	for (int i = 0; i < FRAMES; i++) {
		assert_true(audio_source_read(tone, sent + i * VOICE_FRAME_SAMPLES));
		assert_int_equal(audio_sink_write(sink, sent + i * VOICE_FRAME_SAMPLES), 0);
	}
	assert_int_equal(audio_sink_close(sink), 0);
	audio_source_close(tone);
	count = (size_t)pread(fd, back, sizeof(back), 0) / 2;
	close(fd);
	unlink(path);
	assert_int_equal(count, CUSHION + FRAMES * VOICE_FRAME_SAMPLES);
	assert_memory_equal(back + CUSHION, sent, sizeof(sent));
}

// The device records at its own time; the loop hears of it.
static void record(size_t samples)
{
	device.recorded += samples;
	assert_int_equal(write(device.pipe[1], "", 1), 1);
	uv_run(&loop, UV_RUN_NOWAIT);
}

static void recording(void **state)
{
	struct audio_source *source;
	char error[AUDIO_ERROR_SIZE];
	int16_t pcm[VOICE_FRAME_SAMPLES], last = 0;
	(void)state;
	device_begin();
	assert_int_equal(audio_source_open_device(&source, &loop, "null", error), 0);
	// It begins when there is enough, and then has no holes: each sample is near the one
	// before.
	for (int i = 0; i < 200; i++) {
		record(VOICE_FRAME_SAMPLES);
		assert_int_equal(device.recorded, 0);
		assert_true(audio_source_read(source, pcm));
		for (int j = 0; i > 2 && j < VOICE_FRAME_SAMPLES; j++) {
			assert_in_range(abs(pcm[j] - last), 0, 250);
			last = pcm[j];
		}
	}
	assert_int_equal(device.polled, 200);
	assert_int_equal(audio_source_underruns(source), 0);
	// A clock that is a thousandth too fast, then too slow: nothing is missing.
	for (int i = 0; i < 4000; i++) {
		record((size_t)(VOICE_FRAME_SAMPLES + (i < 2000 ? 1 : -1)));
		assert_int_equal(device.recorded, 0);
		assert_true(audio_source_read(source, pcm));
		for (int j = 0; j < VOICE_FRAME_SAMPLES; j++) {
			assert_in_range(abs(pcm[j] - last), 0, 300);
			last = pcm[j];
		}
	}
	assert_int_equal(audio_source_underruns(source), 0);
	// Nothing for a while is silence, and the device is taken up again after an overrun.
	for (int i = 0; i < 10; i++)
		assert_true(audio_source_read(source, pcm));
	assert_int_equal(audio_source_underruns(source), 1);
	assert_int_equal(pcm[500], 0);
	device.error = -EPIPE;
	for (int i = 0; i < 10; i++) {
		record(VOICE_FRAME_SAMPLES);
		assert_true(audio_source_read(source, pcm));
	}
	assert_int_equal(audio_source_underruns(source), 2);
	assert_true(abs(pcm[500]) + abs(pcm[560]) > 0);
	// Pulled out.
	device.error = -ENODEV;
	record(1);
	for (int i = 0; i < 5; i++)
		(void)audio_source_read(source, pcm);
	assert_false(audio_source_read(source, pcm));
	audio_source_close(source);
	uv_run(&loop, UV_RUN_NOWAIT);
	device_end();
}

static void playing(void **state)
{
	struct audio_sink *sink;
	char error[AUDIO_ERROR_SIZE];
	int16_t pcm[VOICE_FRAME_SAMPLES];
	(void)state;
	device_begin();
	assert_int_equal(audio_sink_open_device(&sink, &loop, "null", error), 0);
	for (int i = 0; i < VOICE_FRAME_SAMPLES; i++)
		pcm[i] = (int16_t)(i + 1);
	// The device plays nothing yet: what does not fit waits, and goes out when there is room.
	for (int i = 0; i < 4; i++)
		assert_int_equal(audio_sink_write(sink, pcm), 0);
	assert_int_equal(device.queued, device.room);
	uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(device.queued, device.room);
	assert_true(device.polled > 0);
	device.queued = 0;
	uv_run(&loop, UV_RUN_NOWAIT);
	assert_true(device.queued > VOICE_FRAME_SAMPLES);
	// Then nothing waits and nobody is woken up.
	device.polled = 0;
	uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(device.polled, 0);
	assert_int_equal(device.last[2 * VOICE_FRAME_SAMPLES], 1);

	// Clocks that are off by a thousandth: it neither runs dry nor over.
	device.queued = 2 * VOICE_FRAME_SAMPLES;
	for (int i = 0; i < 4000; i++) {
		device.queued -= VOICE_FRAME_SAMPLES + (i < 2000 ? 1u : 0u);
		device.played = 0;
		assert_int_equal(audio_sink_write(sink, pcm), 0);
		uv_run(&loop, UV_RUN_NOWAIT);
		assert_in_range(device.queued, VOICE_FRAME_SAMPLES, device.room);
		if (i >= 2000)
			device.queued++;
	}
	// It has run dry: a cushion, and on.
	device.error = -EPIPE;
	device.queued = 0;
	assert_int_equal(audio_sink_write(sink, pcm), 0);
	assert_int_equal(audio_sink_underruns(sink), 1);
	assert_in_range(device.queued, 3 * VOICE_FRAME_SAMPLES, device.room);
	// It takes nothing for long: the oldest is lost.
	for (int i = 0; i < 20; i++)
		assert_int_equal(audio_sink_write(sink, pcm), 0);
	device.queued = 0;
	device.error = -ENODEV;
	assert_int_equal(audio_sink_write(sink, pcm), -ENODEV);
	assert_int_equal(audio_sink_write(sink, pcm), -ENODEV);
	assert_int_equal(audio_sink_close(sink), -ENODEV);
	uv_run(&loop, UV_RUN_NOWAIT);
	device_end();
}

static void signals(void **state)
{
	struct audio_source *source, *again;
	char error[AUDIO_ERROR_SIZE];
	int16_t one[VOICE_FRAME_SAMPLES], other[VOICE_FRAME_SAMPLES];
	unsigned loud = 0, quiet = 0;
	(void)state;
	for (enum audio_signal i = AUDIO_SILENCE; i <= AUDIO_SPEECH; i++) {
		assert_int_equal(audio_source_open_signal(&source, i, error), 0);
		assert_int_equal(audio_source_open_signal(&again, i, error), 0);
		loud = quiet = 0;
		for (int j = 0; j < 1000; j++) {
			double power = 0;
			assert_true(audio_source_read(source, one));
			assert_true(audio_source_read(again, other));
			assert_memory_equal(one, other, sizeof(one));
			for (int k = 0; k < VOICE_FRAME_SAMPLES; k++)
				power += one[k] * one[k];
			loud += power > 300.0 * 300 * VOICE_FRAME_SAMPLES;
			quiet += power < 30.0 * 30 * VOICE_FRAME_SAMPLES;
		}
		assert_in_range(loud,
			i == AUDIO_SILENCE ? 0
			: i == AUDIO_TONE  ? 1000
					   : 500,
			i == AUDIO_SILENCE ? 0 : 1000);
		assert_in_range(quiet,
			i == AUDIO_SILENCE ? 1000
			: i == AUDIO_TONE  ? 0
					   : 50,
			i == AUDIO_SILENCE ? 1000
			: i == AUDIO_TONE  ? 0
					   : 400);
		audio_source_close(source);
		audio_source_close(again);
	}
}

// A file is played to its end, the last frame filled with silence; what is heard goes into another.
static void files(void **state)
{
	char path[] = "/tmp/test_audio.XXXXXX", error[AUDIO_ERROR_SIZE];
	int16_t pcm[VOICE_FRAME_SAMPLES];
	struct audio_source *source;
	struct audio_sink *sink;
	int fd = mkstemp(path);
	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(audio_sink_open_wav(&sink, path, error), 0);
	for (int i = 0; i < VOICE_FRAME_SAMPLES; i++)
		pcm[i] = 7;
	for (int i = 0; i < 3; i++)
		assert_int_equal(audio_sink_write(sink, pcm), 0);
	assert_int_equal(audio_sink_close(sink), 0);
	assert_int_equal(ftruncate(fd, 44 + 2 * (2 * VOICE_FRAME_SAMPLES + 100)), 0);
	assert_int_equal(audio_source_open_wav(&source, path, error), 0);
	for (int i = 0; i < 3; i++) {
		assert_true(audio_source_read(source, pcm));
		assert_int_equal(pcm[99], 7);
		assert_int_equal(pcm[100], i < 2 ? 7 : 0);
	}
	assert_false(audio_source_read(source, pcm));
	assert_int_equal(pcm[0], 0);
	audio_source_close(source);
	close(fd);
	unlink(path);
	assert_int_equal(audio_source_open_wav(&source, path, error), -ENOENT);
	assert_memory_equal(error, "cannot play /tmp/test_audio.", 28);
	assert_int_equal(audio_sink_open_wav(&sink, "/nonexistent/b.wav", error), -ENOENT);
	assert_string_equal(error, "cannot write /nonexistent/b.wav: No such file or directory");
	assert_int_equal(audio_sink_open_nothing(&sink, error), 0);
	assert_int_equal(audio_sink_write(sink, pcm), 0);
	assert_int_equal(audio_sink_close(sink), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_such_device),
		cmocka_unit_test(null_device),
		cmocka_unit_test(file_device),
		cmocka_unit_test(recording),
		cmocka_unit_test(playing),
		cmocka_unit_test(signals),
		cmocka_unit_test(files),
	};
	return cmocka_run_group_tests(tests, begin, end);
}
