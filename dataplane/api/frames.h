// SPDX-License-Identifier: BSD-3-Clause
// Taking datagrams of dataplane/api/messages.h (and of the admin socket, which frames alike) apart
// and putting them together. No I/O.
#pragma once

#include "dataplane/api/messages.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

struct api_frame {
	struct api_header header;
	const uint8_t *
		payload; // borrowed, 4-byte aligned relative to the datagram only: memcpy out of it
	uint32_t size;   // bytes of payload (0 for an error answer)
};

// The next message of a datagram. 1 and *out; 0 at its end; -EBADMSG when a length reaches behind
// it.
static inline int api_frame_next(
	const uint8_t **position, const uint8_t *end, struct api_frame *out)
{
	size_t left = (size_t)(end - *position);
	if (left == 0)
		return 0;
	if (left < sizeof(out->header))
		return -EBADMSG;
	memcpy(&out->header, *position, sizeof(out->header));
	uint32_t size = out->header.length > 0 ? (uint32_t)out->header.length : 0;
	if (size > API_PAYLOAD_MAX || api_padded(size) > left - sizeof(out->header))
		return -EBADMSG;
	out->payload = *position + sizeof(out->header);
	out->size = size;
	*position = out->payload + api_padded(size);
	return 1;
}

// Collects messages for one send.
struct api_batch {
	uint8_t *data; // the caller's, API_DATAGRAM_MAX bytes
	uint32_t length;
};

// Appends header and payload (two parts, either may be empty). False when it does not fit: send
// first, then append again.
static inline bool api_batch_append(struct api_batch *batch, uint32_t id, uint32_t type,
	const void *part1, uint32_t length1, const void *part2, uint32_t length2)
{
	uint32_t size = length1 + length2;
	uint32_t total = (uint32_t)sizeof(struct api_header) + api_padded(size);
	if (size > API_PAYLOAD_MAX || total > API_DATAGRAM_MAX - batch->length)
		return false;
	struct api_header header = {.id = id, .type = type, .length = (int32_t)size};
	uint8_t *p = batch->data + batch->length;
	memcpy(p, &header, sizeof(header));
	p += sizeof(header);
	if (length1)
		memcpy(p, part1, length1);
	if (length2)
		memcpy(p + length1, part2, length2);
	memset(p + size, 0, api_padded(size) - size);
	batch->length += total;
	return true;
}

// An answer that is only a result: 0 or a negative errno.
static inline bool api_batch_append_result(
	struct api_batch *batch, uint32_t id, uint32_t type, int result)
{
	struct api_header header = {.id = id, .type = type, .length = result};
	if (sizeof(header) > API_DATAGRAM_MAX - batch->length)
		return false;
	memcpy(batch->data + batch->length, &header, sizeof(header));
	batch->length += (uint32_t)sizeof(header);
	return true;
}
