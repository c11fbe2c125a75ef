// SPDX-License-Identifier: BSD-3-Clause
// WAV files: what is read of them in which rate, what is refused with which words, and what is on
// the disk while one is being written.
#include "endpoint/voice/wav.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/test_wav.XXXXXX";
static char path[64];
static uint8_t file[1 << 20];

static void put(uint8_t *out, uint32_t number, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		out[i] = (uint8_t)(number >> (8 * i));
}

// A header in `file` as other programs write it; returns its size.
static size_t header(unsigned rate, unsigned channels, unsigned bits, uint32_t data_size)
{
	memcpy(file, "RIFF\xff\xff\xff\x7fWAVEfmt \x10\0\0\0\1\0", 22);
	put(file + 22, channels, 2);
	put(file + 24, rate, 4);
	put(file + 28, rate * channels * bits / 8, 4);
	put(file + 32, channels * bits / 8, 2);
	put(file + 34, bits, 2);
	memcpy(file + 36, "data", 4);
	put(file + 40, data_size, 4);
	return 44;
}

static void save(size_t size)
{
	FILE *out = fopen(path, "wb");
	assert_non_null(out);
	assert_int_equal(fwrite(file, 1, size, out), size);
	assert_int_equal(fclose(out), 0);
}

static size_t load(void)
{
	FILE *in = fopen(path, "rb");
	assert_non_null(in);
	size_t size = fread(file, 1, sizeof(file), in);
	fclose(in);
	return size;
}

// Reads the whole file in uneven pieces.
static size_t read_all(int16_t *out, size_t room)
{
	char error[WAV_ERROR_SIZE] = "";
	struct wav_reader *reader;
	size_t count = 0, part;
	if (wav_reader_open(&reader, path, error) != 0)
		fail_msg("%s", error);
	while (count + 777 <= room && (part = wav_reader_read(reader, out + count, 777)) > 0)
		count += part;
	assert_int_equal(wav_reader_read(reader, out, 1), 0);
	wav_reader_close(reader);
	return count;
}

static void there_and_back(void **state)
{
	static int16_t sent[100000], back[110000];
	char error[WAV_ERROR_SIZE];
	struct wav_writer *writer;
	struct stat about;
	(void)state;
	for (int i = 0; i < 100000; i++)
		sent[i] = (int16_t)(i * 7919);
	assert_int_equal(wav_writer_open(&writer, path, error), 0);
	assert_int_equal(wav_writer_write(writer, sent, 60001), 0);
	assert_int_equal(wav_writer_write(writer, sent + 60001, 39999), 0);
	assert_int_equal(wav_writer_close(writer), 0);
	assert_int_equal(read_all(back, 110000), 100000);
	assert_memory_equal(sent, back, sizeof(sent));
	// For nobody else's ears.
	assert_int_equal(stat(path, &about), 0);
	assert_int_equal(about.st_mode & 0777, 0600);
	assert_int_equal(about.st_size, 44 + 200000);
}

// A tone has the same pitch and loudness and nothing beside it, in each rate.
static void rates(void **state)
{
	static const unsigned all[] = {8000, 11025, 16000, 22050, 32000, 44100, 47999, 48000};
	static int16_t out[60000];
	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		const unsigned rate = all[i];
		const double hz = 1000;
		double noise = 0, power = 0;
		size_t at = header(rate, 1, 16, rate * 2), count;
		for (unsigned j = 0; j < rate; j++)
			put(file + at + j * 2,
				(uint32_t)lrint(10000 * sin(2 * M_PI * hz * j / rate)), 2);
		save(at + rate * 2);
		count = read_all(out, 60000);
		assert_int_equal(count, 48000);
		for (size_t j = 1000; j < 47000; j++) {
			double expected = 10000 * sin(2 * M_PI * hz * (double)j / 48000);
			power += expected * expected;
			noise += (out[j] - expected) * (out[j] - expected);
		}
		// The window is 32 samples: in 8 kHz that leaves less of a transition.
		if (10 * log10(power / noise) < 50)
			fail_msg("%u Hz: %.1f dB", rate, 10 * log10(power / noise));
	}
}

static void two_channels_are_mixed(void **state)
{
	int16_t out[2000];
	size_t at = header(48000, 2, 16, 4000);
	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		put(file + at + i * 4, (uint32_t)(int)(i * 10), 2);
		put(file + at + i * 4 + 2, (uint32_t) - (int)(i * 4), 2);
	}
	save(at + 4000);
	assert_int_equal(read_all(out, 2000), 1000);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(out[i], i * 3);
}

static void other_chunks_and_extensible(void **state)
{
	// Chunks that are not ours, one of an odd length; WAVEFORMATEXTENSIBLE; a tail.
	static const uint8_t bytes[] = "RIFF\0\0\0\0WAVE"
				       "LIST\5\0\0\0INFOx\0"
				       "fmt \x28\0\0\0\xfe\xff\1\0\x80\xbb\0\0\0\x77\1\0\2\0\x10\0"
				       "\x16\0\x10\0\4\0\0\0"
				       "\1\0\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"
				       "data\4\0\0\0\1\0\2\0"
				       "junk\2\0\0\0\3\0";
	int16_t out[1000];
	(void)state;
	memcpy(file, bytes, sizeof(bytes) - 1);
	save(sizeof(bytes) - 1);
	assert_int_equal(read_all(out, 1000), 2);
	assert_int_equal(out[0], 1);
	assert_int_equal(out[1], 2);
}

// Of programs that never came back to the header, or were cut off.
static void sizes_that_are_not_true(void **state)
{
	static const uint32_t sizes[] = {0, UINT32_MAX, 0x7ffff000, 100000};
	int16_t out[2000];
	(void)state;
	for (int i = 0; i < 4; i++) {
		memset(file, 1, 4000);
		size_t at = header(48000, 1, 16, sizes[i]);
		save(at + 201);
		assert_int_equal(read_all(out, 2000), 100);
	}
}

static void refused(const char *words, size_t size)
{
	char error[WAV_ERROR_SIZE] = "";
	struct wav_reader *reader;
	save(size);
	assert_int_equal(wav_reader_open(&reader, path, error), -EINVAL);
	if (strstr(error, words) == NULL || strstr(error, path) != error)
		fail_msg("'%s' instead of '%s'", error, words);
}

static void refusals(void **state)
{
	char error[WAV_ERROR_SIZE];
	struct wav_reader *reader;
	struct wav_writer *writer;
	(void)state;
	refused("too short for a WAV file", 0);
	memset(file, 'x', 1000);
	refused("not a WAV file", 1000);
	refused("samples of format 1 with 8 bits", header(48000, 1, 8, 0));
	refused("samples of format 1 with 24 bits", header(48000, 1, 24, 0));
	refused("3 channels", header(48000, 3, 16, 0));
	refused("0 channels", header(48000, 0, 16, 0));
	refused("7999 samples a second", header(7999, 1, 16, 0));
	refused("96000 samples a second", header(96000, 1, 16, 0));
	header(48000, 1, 16, 0);
	file[20] = 3;
	refused("samples of format 3 with 16 bits", 44);
	header(48000, 1, 16, 0);
	file[32] = 4;
	refused("size that does not fit", 44);
	header(48000, 1, 16, 0);
	refused("it has no samples", 40);
	file[16] = 15;
	refused("format chunk is too short", 44);
	memcpy(file + 12, "data", 4);
	refused("before their format", 44);
	// More than is looked at before the samples.
	header(48000, 1, 16, 0);
	memcpy(file + 36, "LIST\0\0\2\0", 8);
	refused("too much before them", 200000);

	assert_int_equal(wav_reader_open(&reader, "/nonexistent/a.wav", error), -ENOENT);
	assert_string_equal(error, "/nonexistent/a.wav: No such file or directory");
	assert_int_equal(wav_reader_open(&reader, folder, error), -EISDIR);
	assert_int_equal(wav_writer_open(&writer, "/nonexistent/a.wav", error), -ENOENT);
	assert_int_equal(wav_writer_open(&writer, folder, error), -EISDIR);
	wav_reader_close(NULL);
	assert_int_equal(wav_writer_close(NULL), 0);
}

// Killed in the middle: all but the last second is in the header, and all is on the disk.
static void killed_writer(void **state)
{
	static int16_t pcm[VOICE_FRAME_SAMPLES], back[200000];
	struct wav_format format;
	char error[WAV_ERROR_SIZE];
	int status;
	pid_t child = fork();
	(void)state;
	memset(pcm, 5, sizeof(pcm));
	if (child == 0) {
		struct wav_writer *writer;
		if (wav_writer_open(&writer, path, error) != 0)
			_exit(1);
		for (int i = 0; i < 130; i++)
			wav_writer_write(writer, pcm, VOICE_FRAME_SAMPLES);
		_exit(0); // as if killed: nothing is closed
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(load(), 44 + 130 * sizeof(pcm));
	assert_int_equal(wav_format_parse(file, 44, &format, error), 0);
	assert_int_equal(format.data_size, 100 * sizeof(pcm));
	assert_int_equal(read_all(back, 200000), 100 * VOICE_FRAME_SAMPLES);
}

static void full_disk(void **state)
{
	static int16_t pcm[VOICE_FRAME_SAMPLES];
	char error[WAV_ERROR_SIZE];
	struct wav_writer *writer;
	(void)state;
	assert_int_equal(wav_writer_open(&writer, "/dev/full", error), -ENOSPC);
	assert_string_equal(error, "/dev/full: No space left on device");
	// A pipe has no beginning to come back to, and is played as far as it goes.
	assert_int_equal(wav_writer_open(&writer, "/dev/null", error), 0);
	assert_int_equal(wav_writer_write(writer, pcm, VOICE_FRAME_SAMPLES), 0);
	assert_int_equal(wav_writer_close(writer), 0);
}

static int begin(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/a.wav", folder);
	return 0;
}

static int end(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(rates),
		cmocka_unit_test(two_channels_are_mixed),
		cmocka_unit_test(other_chunks_and_extensible),
		cmocka_unit_test(sizes_that_are_not_true),
		cmocka_unit_test(refusals),
		cmocka_unit_test(killed_writer),
		cmocka_unit_test(full_disk),
	};
	return cmocka_run_group_tests(tests, begin, end);
}
