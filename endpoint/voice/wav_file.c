// SPDX-License-Identifier: BSD-3-Clause
// WAV files on the disk. Reading is through stdio; writing is one write for each call, so that what
// was written is there whatever happens to us, and the header is made true each second.
#include "endpoint/voice/resample.h"
#include "endpoint/voice/wav.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	HEAD_SIZE = 64 * 1024, // in which the samples must begin
	SAMPLE_SIZE = 2,
};
#define DATA_MAX (12ULL * 3600 * VOICE_RATE * SAMPLE_SIZE) // fits into a header's 32 bits

struct wav_reader {
	FILE *file;
	struct wav_format format;
	uint64_t left; // bytes of samples
	unsigned tail; // of silence that push out the last samples
	bool exact;    // the rate is ours already
	struct resample resample;
	size_t head_at, head_size; // what was read to find the format, and is used first
	uint8_t head[HEAD_SIZE];
};

struct wav_writer {
	int fd;
	int error;              // the first
	bool seekable;          // false: a pipe, whose header is never made true
	uint64_t written, said; // bytes; said: in the header
};

static int fail(char error[static WAV_ERROR_SIZE], const char *path, const char *what, int code)
{
	// The end of the sentence is the part that must be there.
	snprintf(error, WAV_ERROR_SIZE, "%.60s: %.95s", path, what);
	return code;
}

// ---- reading ----

int wav_reader_open(struct wav_reader **out, const char *path, char error[static WAV_ERROR_SIZE])
{
	struct wav_reader *reader = calloc(1, sizeof(*reader));
	char what[WAV_ERROR_SIZE];
	int code;

	if (reader == NULL)
		return fail(error, path, "not enough memory", -ENOMEM);
	reader->file = fopen(path, "rbe");
	if (reader->file == NULL) {
		code = fail(error, path, strerror(errno), -errno);
		goto failed;
	}
	reader->head_size = fread(reader->head, 1, HEAD_SIZE, reader->file);
	if (ferror(reader->file)) {
		code = fail(error, path, strerror(errno), -errno);
		goto failed;
	}
	if (wav_format_parse(reader->head, reader->head_size, &reader->format, what) != 0) {
		code = fail(error, path, what, -EINVAL);
		goto failed;
	}
	reader->head_at = (size_t)reader->format.data_at;
	reader->left = reader->format.data_size;
	reader->exact = reader->format.rate == VOICE_RATE;
	reader->tail = RESAMPLE_TAPS / 2;
	resample_begin(&reader->resample, reader->format.rate);
	*out = reader;
	return 0;
failed:
	wav_reader_close(reader);
	return code;
}

void wav_reader_close(struct wav_reader *reader)
{
	if (reader == NULL)
		return;
	if (reader->file != NULL)
		fclose(reader->file);
	free(reader);
}

static bool next_byte(struct wav_reader *reader, uint8_t *out)
{
	int byte;

	if (reader->head_at < reader->head_size) {
		*out = reader->head[reader->head_at++];
		return true;
	}
	byte = getc_unlocked(reader->file);
	*out = (uint8_t)byte;
	return byte != EOF;
}

// The next sample of the file, its channels mixed. False: there is none.
static bool next_sample(struct wav_reader *reader, int16_t *out)
{
	const unsigned size = reader->format.channels * SAMPLE_SIZE;
	uint8_t bytes[2 * SAMPLE_SIZE] = {0};
	int16_t left, right;

	if (reader->left < size)
		return false;
	for (unsigned i = 0; i < size; i++) {
		if (!next_byte(reader, &bytes[i])) {
			reader->left = 0;
			return false;
		}
	}
	if (reader->left != UINT64_MAX)
		reader->left -= size;
	left = (int16_t)(bytes[0] | bytes[1] << 8);
	right = (int16_t)(bytes[2] | bytes[3] << 8);
	*out = (int16_t)(size == sizeof(bytes) ? (left + right) / 2 : left);
	return true;
}

size_t wav_reader_read(struct wav_reader *reader, int16_t *out, size_t count)
{
	size_t done = 0;
	int16_t sample;

	while (reader->exact && done < count && next_sample(reader, &sample))
		out[done++] = sample;
	while (!reader->exact && done < count) {
		if (resample_ready(&reader->resample)) {
			out[done++] = resample_get(&reader->resample);
		} else if (next_sample(reader, &sample)) {
			resample_put(&reader->resample, sample);
		} else if (reader->tail > 0) {
			reader->tail--;
			resample_put(&reader->resample, 0);
		} else {
			break;
		}
	}
	return done;
}

// ---- writing ----

static int write_all(int fd, const void *data, size_t size)
{
	const uint8_t *at = data;

	while (size > 0) {
		ssize_t done = write(fd, at, size);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done < 0 ? -errno : -EIO;
		at += done;
		size -= (size_t)done;
	}
	return 0;
}

// Makes the header say what is written.
static int tell(struct wav_writer *writer)
{
	uint8_t header[WAV_HEADER_SIZE];

	if (!writer->seekable)
		return 0;
	wav_header_write(header, writer->written);
	writer->said = writer->written;
	errno = EIO; // of a part
	return pwrite(writer->fd, header, sizeof(header), 0) == WAV_HEADER_SIZE ? 0 : -errno;
}

int wav_writer_open(struct wav_writer **out, const char *path, char error[static WAV_ERROR_SIZE])
{
	struct wav_writer *writer = calloc(1, sizeof(*writer));
	uint8_t header[WAV_HEADER_SIZE];
	int code;

	if (writer == NULL)
		return fail(error, path, "not enough memory", -ENOMEM);
	// What somebody has said is not for everybody on the machine.
	writer->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (writer->fd < 0) {
		code = fail(error, path, strerror(errno), -errno);
		free(writer);
		return code;
	}
	writer->seekable = lseek(writer->fd, 0, SEEK_CUR) == 0;
	wav_header_write(header, writer->seekable ? 0 : UINT64_MAX);
	code = write_all(writer->fd, header, sizeof(header));
	if (code != 0) {
		fail(error, path, strerror(-code), code);
		close(writer->fd);
		free(writer);
		return code;
	}
	*out = writer;
	return 0;
}

int wav_writer_write(struct wav_writer *writer, const int16_t *pcm, size_t count)
{
	uint8_t bytes[VOICE_FRAME_SAMPLES * SAMPLE_SIZE];

	while (writer->error == 0 && count > 0) {
		size_t part = count < VOICE_FRAME_SAMPLES ? count : VOICE_FRAME_SAMPLES;
		if (writer->written + part * SAMPLE_SIZE > DATA_MAX) {
			writer->error = -EFBIG;
			break;
		}
		for (size_t i = 0; i < part; i++) {
			bytes[i * 2] = (uint8_t)pcm[i];
			bytes[i * 2 + 1] = (uint8_t)((uint16_t)pcm[i] >> 8);
		}
		writer->error = write_all(writer->fd, bytes, part * SAMPLE_SIZE);
		pcm += part;
		count -= part;
		if (writer->error != 0)
			break;
		writer->written += part * SAMPLE_SIZE;
		if (writer->written - writer->said >= VOICE_RATE * SAMPLE_SIZE)
			writer->error = tell(writer);
	}
	return writer->error;
}

int wav_writer_close(struct wav_writer *writer)
{
	int error;

	if (writer == NULL)
		return 0;
	error = tell(writer);
	if (writer->error == 0)
		writer->error = error;
	if (close(writer->fd) != 0 && writer->error == 0)
		writer->error = -errno;
	error = writer->error;
	free(writer);
	return error;
}
