// SPDX-License-Identifier: BSD-3-Clause
// The WAV format: finds what is in a file, and makes headers. Numbers are little endian. (Microsoft
// and IBM, "Multimedia Programming Interface and Data Specifications 1.0", 1991, and
// WAVEFORMATEXTENSIBLE.)
#include "endpoint/voice/wav.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
	RIFF_SIZE = 12,
	CHUNK_SIZE = 8, // id and length
	FORMAT_SIZE = 16,
	FORMAT_EXTENSIBLE_SIZE = 40,
	FORMAT_PCM = 1,
	FORMAT_EXTENSIBLE = 0xfffe,
	RATE_MIN = 8000,
};

static uint32_t get(const uint8_t *in, unsigned size)
{
	uint32_t number = 0;

	for (unsigned i = size; i-- > 0;)
		number = number << 8 | in[i];
	return number;
}

static void put(uint8_t *out, uint32_t number, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		out[i] = (uint8_t)(number >> (8 * i));
}

static int refuse(char error[static WAV_ERROR_SIZE], const char *what)
{
	snprintf(error, WAV_ERROR_SIZE, "%s", what);
	return -EINVAL;
}

// The bytes of a chunk "fmt ".
static int parse_format(
	const uint8_t *data, size_t size, struct wav_format *out, char error[static WAV_ERROR_SIZE])
{
	// The second half of each sub-format that stands for an old format's number.
	static const uint8_t guid[14] = {
		0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71};
	uint32_t format, bits;

	if (size < FORMAT_SIZE)
		return refuse(error, "its format chunk is too short");
	format = get(data, 2);
	if (format == FORMAT_EXTENSIBLE && size >= FORMAT_EXTENSIBLE_SIZE &&
		memcmp(data + 26, guid, sizeof(guid)) == 0)
		format = get(data + 24, 2);
	out->channels = get(data + 2, 2);
	out->rate = get(data + 4, 4);
	bits = get(data + 14, 2);
	if (format != FORMAT_PCM || bits != 16) {
		snprintf(error, WAV_ERROR_SIZE,
			"it has samples of format %u with %u bits; what can be read is PCM (format "
			"1) with 16 bits",
			format, bits);
		return -EINVAL;
	}
	if (out->channels != 1 && out->channels != 2) {
		snprintf(error, WAV_ERROR_SIZE, "it has %u channels; what can be read is 1 or 2",
			out->channels);
		return -EINVAL;
	}
	if (out->rate < RATE_MIN || out->rate > VOICE_RATE) {
		snprintf(error, WAV_ERROR_SIZE,
			"it has %u samples a second; what can be read is %d to %d", out->rate,
			RATE_MIN, VOICE_RATE);
		return -EINVAL;
	}
	if (get(data + 12, 2) != out->channels * 2)
		return refuse(error, "its samples have a size that does not fit their format");
	return 0;
}

int wav_format_parse(
	const uint8_t *data, size_t size, struct wav_format *out, char error[static WAV_ERROR_SIZE])
{
	bool has_format = false;
	uint64_t at = RIFF_SIZE;

	*out = (struct wav_format){0};
	if (size < RIFF_SIZE) {
		snprintf(error, WAV_ERROR_SIZE, "it is too short for a WAV file");
		return -EAGAIN;
	}
	if (memcmp(data, "RIFF", 4) != 0 || memcmp(data + 8, "WAVE", 4) != 0)
		return refuse(error, "it is not a WAV file");
	while (at + CHUNK_SIZE <= size) {
		const uint8_t *chunk = data + at;
		uint64_t length = get(chunk + 4, 4);
		at += CHUNK_SIZE;
		if (memcmp(chunk, "data", 4) == 0) {
			if (!has_format)
				return refuse(error, "its samples come before their format");
			out->data_at = at;
			// What programs write that do not come back to say it.
			out->data_size =
				length == 0 || length >= INT32_MAX - 0xfff ? UINT64_MAX : length;
			return 0;
		}
		if (memcmp(chunk, "fmt ", 4) == 0 && !has_format) {
			if (at + length > size)
				break;
			if (parse_format(chunk + CHUNK_SIZE, (size_t)length, out, error) != 0)
				return -EINVAL;
			has_format = true;
		}
		at += length + (length & 1);
	}
	snprintf(error, WAV_ERROR_SIZE, "it has no samples, or too much before them");
	return -EAGAIN;
}

void wav_header_write(uint8_t out[static WAV_HEADER_SIZE], uint64_t data_size)
{
	static const uint8_t names[WAV_HEADER_SIZE] = {[0] = 'R',
		[1] = 'I',
		[2] = 'F',
		[3] = 'F',
		[8] = 'W',
		[9] = 'A',
		[10] = 'V',
		[11] = 'E',
		[12] = 'f',
		[13] = 'm',
		[14] = 't',
		[15] = ' ',
		[36] = 'd',
		[37] = 'a',
		[38] = 't',
		[39] = 'a'};
	const uint32_t header = WAV_HEADER_SIZE - CHUNK_SIZE;
	const bool known = data_size <= UINT32_MAX - header;

	memcpy(out, names, WAV_HEADER_SIZE);
	put(out + 4, known ? (uint32_t)data_size + header : UINT32_MAX, 4);
	put(out + 16, FORMAT_SIZE, 4);
	put(out + 20, FORMAT_PCM, 2);
	put(out + 22, 1, 2);
	put(out + 24, VOICE_RATE, 4);
	put(out + 28, VOICE_RATE * 2, 4);
	put(out + 32, 2, 2);
	put(out + 34, 16, 2);
	put(out + 40, known ? (uint32_t)data_size : UINT32_MAX, 4);
}
