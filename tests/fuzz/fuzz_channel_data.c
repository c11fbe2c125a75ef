// SPDX-License-Identifier: BSD-3-Clause
// Any bytes as ChannelData. Held: what is accepted has a valid channel and lies inside the datagram
// with at most three bytes behind it; the header written again is the one that was read; what is
// refused leaves the result alone.
#include "lib/wire/channel_data.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static void require(bool condition)
{
	if (!condition)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t nothing;
	struct channel_data c = {1, 2, &nothing};
	int result = channel_data_parse(data, size, CHANNEL_NUMBER_LAST, &c);
	if (result < 0) {
		require(result == -EBADMSG || result == -ERANGE);
		require(c.channel == 1 && c.length == 2 && c.payload == &nothing);
		return 0;
	}
	require(c.channel >= CHANNEL_NUMBER_FIRST && c.channel <= CHANNEL_NUMBER_LAST);
	require(data[0] >= 64 && data[0] <= 79);
	require(c.payload == data + CHANNEL_DATA_HEADER_LENGTH);
	size_t used = (size_t)CHANNEL_DATA_HEADER_LENGTH + c.length;
	require(used <= size && size - used <= 3);
	uint8_t header[CHANNEL_DATA_HEADER_LENGTH];
	channel_data_write_header(header, c.channel, c.length);
	require(memcmp(header, data, sizeof(header)) == 0);
	// Without its padding it is the same message; a byte shorter it is none.
	struct channel_data again;
	require(channel_data_parse(data, used, CHANNEL_NUMBER_LAST, &again) == 0 &&
		again.length == c.length);
	require(channel_data_parse(data, used - 1, CHANNEL_NUMBER_LAST, &again) == -EBADMSG);
	return 0;
}
