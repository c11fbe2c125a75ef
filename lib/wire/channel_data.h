// SPDX-License-Identifier: BSD-3-Clause
// ChannelData (RFC 8656 section 12.4): 4 bytes of header, then the application's bytes.
#pragma once

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CHANNEL_DATA_HEADER_LENGTH = 4,
	CHANNEL_NUMBER_FIRST = 0x4000,
	CHANNEL_NUMBER_LAST = 0x4FFF,
	CHANNEL_NUMBER_LAST_RFC5766 = 0x7FFF, // what clients older than RFC 8656 may choose
};

struct channel_data {
	uint16_t channel;
	uint16_t length;        // application bytes, host order
	const uint8_t *payload; // borrowed
};

// A datagram payload. Over UDP padding is optional: bytes behind `length` are ignored when fewer
// than 4 (RFC 8656 12.5). 0; -EBADMSG shorter than its header or than `length` says, or more than 3
// bytes over; -ERANGE channel outside 0x4000-last.
static inline int channel_data_parse(
	const void *data, size_t size, uint16_t last, struct channel_data *out)
{
	const uint8_t *p = data;
	if (size < CHANNEL_DATA_HEADER_LENGTH)
		return -EBADMSG;
	uint16_t channel = (uint16_t)(p[0] << 8 | p[1]);
	uint16_t length = (uint16_t)(p[2] << 8 | p[3]);
	if (channel < CHANNEL_NUMBER_FIRST || channel > last)
		return -ERANGE;
	size_t left = size - CHANNEL_DATA_HEADER_LENGTH;
	if (length > left || left - length > 3)
		return -EBADMSG;
	*out = (struct channel_data){channel, length, p + CHANNEL_DATA_HEADER_LENGTH};
	return 0;
}

static inline void channel_data_write_header(uint8_t *p, uint16_t channel, uint16_t length)
{
	p[0] = (uint8_t)(channel >> 8);
	p[1] = (uint8_t)channel;
	p[2] = (uint8_t)(length >> 8);
	p[3] = (uint8_t)length;
}
