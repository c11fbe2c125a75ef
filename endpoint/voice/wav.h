// SPDX-License-Identifier: BSD-3-Clause
// RIFF WAV files: reads PCM of 16 bits, one or two channels, 8 to 48 kHz, as 48 kHz and one
// channel; writes 48 kHz, one channel. One thread at a time for one object.
#pragma once

#include "endpoint/voice/voice.h"

#include <stdbool.h>

enum { WAV_ERROR_SIZE = 160 };

// ---- the format, without I/O ----

struct wav_format {
	unsigned rate;      // Hz, 8000 to 48000
	unsigned channels;  // 1 or 2
	uint64_t data_at;   // offset of the first sample
	uint64_t data_size; // bytes; UINT64_MAX: up to the end of the file (it was not finished).
			    // There may be fewer
};

// Finds the format and the samples in the first bytes of a file. 0; -EINVAL with a sentence in
// `error`; -EAGAIN: `size` bytes are too few to tell, and more of the file may help.
int wav_format_parse(const uint8_t *data, size_t size, struct wav_format *out,
	char error[static WAV_ERROR_SIZE]);

enum { WAV_HEADER_SIZE = 44 };
// The header of a file with so many bytes of samples. UINT64_MAX: nobody knows yet (a pipe).
void wav_header_write(uint8_t out[static WAV_HEADER_SIZE], uint64_t data_size);

// ---- files ----

struct wav_reader;

// Opens a file; `error` gets a sentence with its name when that fails. 0 or a negative errno.
int wav_reader_open(struct wav_reader **out, const char *path, char error[static WAV_ERROR_SIZE]);
void wav_reader_close(struct wav_reader *reader); // NULL is allowed
// The next samples, up to `count`; fewer only at the end. 0: that was all. A read error is an end.
size_t wav_reader_read(struct wav_reader *reader, int16_t *out, size_t count);

struct wav_writer;

// Makes or replaces a file. The same errors.
int wav_writer_open(struct wav_writer **out, const char *path, char error[static WAV_ERROR_SIZE]);
// The header says what is there already after each second, so that a file whose writer was killed
// can be played. 0 or a negative errno, -EFBIG after 12 hours.
int wav_writer_write(struct wav_writer *writer, const int16_t *pcm, size_t count);
// 0, or the first error of all writes.
int wav_writer_close(struct wav_writer *writer); // NULL is allowed
