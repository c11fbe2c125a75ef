// SPDX-License-Identifier: BSD-3-Clause
// WAV files of any bytes. What is accepted can be read to its end, which comes; what is refused
// says why.
#include "endpoint/voice/wav.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wav_format format;
	struct wav_reader *reader;
	char error[WAV_ERROR_SIZE] = "", path[64];
	static int fd = -1;
	size_t count = 0, part;
	int16_t pcm[500];
	int result = wav_format_parse(data, size, &format, error);

	if (result != 0 && error[0] == 0)
		abort();
	if (result == 0 && (format.rate < 8000 || format.rate > 48000 || format.channels < 1 ||
				   format.channels > 2 || format.data_at > size))
		abort();
	if (fd < 0)
		fd = memfd_create("wav", 0);
	if (fd < 0 || ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if ((wav_reader_open(&reader, path, error) == 0) != (result == 0))
		abort();
	if (result != 0)
		return 0;
	while ((part = wav_reader_read(reader, pcm, sizeof(pcm) / sizeof(*pcm))) > 0)
		count += part;
	wav_reader_close(reader);
	// Not more than there is in the file, at the lowest rate.
	if (count > size / 2 * 6 + 6)
		abort();
	return 0;
}
