// SPDX-License-Identifier: BSD-3-Clause
// See frame.h.
#include "endpoint/paths/frame.h"

#include <errno.h>
#include <string.h>

static uint64_t number_read(const uint8_t *in, unsigned bytes)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < bytes; i++)
		value = value << 8 | in[i];
	return value;
}

static void number_write(uint8_t *out, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		out[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
}

static int voice_decode(struct frame *frame, const uint8_t *data, size_t size)
{
	if (size < FRAME_VOICE_PREFIX || size > FRAME_VOICE_PREFIX + FRAME_VOICE_MAX)
		return -EBADMSG;
	frame->voice.number = (uint32_t)number_read(data, 4);
	frame->voice.data = data + FRAME_VOICE_PREFIX;
	frame->voice.size = size - FRAME_VOICE_PREFIX;
	return 0;
}

static int control_decode(struct frame *frame, const uint8_t *data, size_t size)
{
	if (size < FRAME_CONTROL_PREFIX || size > FRAME_CONTROL_PREFIX + FRAME_BODY_MAX)
		return -EBADMSG;
	frame->control.id = (uint16_t)number_read(data, 2);
	frame->control.type = data[2];
	frame->control.data = data + FRAME_CONTROL_PREFIX;
	frame->control.size = size - FRAME_CONTROL_PREFIX;
	return 0;
}

static int probe_decode(struct frame *frame, const uint8_t *data, size_t size)
{
	if (size != FRAME_PROBE_SIZE || data[0] > FRAME_PROBE_FOR_VOICE)
		return -EBADMSG;
	frame->probe.flags = data[0];
	frame->probe.token = number_read(data + 1, 8);
	return 0;
}

static int answer_decode(struct frame *frame, const uint8_t *data, size_t size)
{
	if (size != FRAME_PROBE_SIZE || data[0] >= FRAME_PATHS)
		return -EBADMSG;
	frame->probe_answer.path = data[0];
	frame->probe_answer.token = number_read(data + 1, 8);
	return 0;
}

int frame_decode(struct frame *frame, const uint8_t *data, size_t size)
{
	if (size < FRAME_HEADER_SIZE || data[1] >= FRAME_PATHS)
		return -EBADMSG;
	*frame = (struct frame){.header = {.kind = data[0], .path = data[1]}};
	memcpy(frame->header.ages, data + 2, FRAME_PATHS);
	frame->header.clock_ms = (uint16_t)number_read(data + 6, 2);
	data += FRAME_HEADER_SIZE;
	size -= FRAME_HEADER_SIZE;
	switch (frame->header.kind) {
	case FRAME_VOICE:
		return voice_decode(frame, data, size);
	case FRAME_CONTROL:
		return control_decode(frame, data, size);
	case FRAME_PROBE:
		return probe_decode(frame, data, size);
	case FRAME_PROBE_ANSWER:
		return answer_decode(frame, data, size);
	default:
		return -EBADMSG;
	}
}

uint32_t frame_age_ms(uint8_t age)
{
	return age == FRAME_AGE_NEVER ? UINT32_MAX : (uint32_t)age * FRAME_AGE_UNIT_MS;
}

uint8_t frame_age(uint64_t ms)
{
	uint64_t units = ms / FRAME_AGE_UNIT_MS;
	return units > FRAME_AGE_LONGER ? FRAME_AGE_LONGER : (uint8_t)units;
}

void frame_header_encode(const struct frame_header *header, uint8_t out[static FRAME_HEADER_SIZE])
{
	out[0] = header->kind;
	out[1] = header->path;
	memcpy(out + 2, header->ages, FRAME_PATHS);
	number_write(out + 6, header->clock_ms, 2);
}

size_t frame_voice(struct frame_header header, uint32_t number, const uint8_t *voice, size_t size,
	uint8_t *out)
{
	if (size > FRAME_VOICE_MAX)
		return 0;
	header.kind = FRAME_VOICE;
	frame_header_encode(&header, out);
	out += FRAME_HEADER_SIZE;
	number_write(out, number, 4);
	if (size > 0)
		memcpy(out + FRAME_VOICE_PREFIX, voice, size);
	return FRAME_HEADER_SIZE + FRAME_VOICE_PREFIX + size;
}

size_t frame_control(struct frame_header header, uint16_t id, uint8_t type, const uint8_t *body,
	size_t size, uint8_t *out)
{
	if (size > FRAME_BODY_MAX)
		return 0;
	header.kind = FRAME_CONTROL;
	frame_header_encode(&header, out);
	out += FRAME_HEADER_SIZE;
	number_write(out, id, 2);
	out[2] = type;
	if (size > 0)
		memcpy(out + FRAME_CONTROL_PREFIX, body, size);
	return FRAME_HEADER_SIZE + FRAME_CONTROL_PREFIX + size;
}

size_t frame_probe(struct frame_header header, uint8_t flags, uint64_t token, uint8_t *out)
{
	header.kind = FRAME_PROBE;
	frame_header_encode(&header, out);
	out[FRAME_HEADER_SIZE] = flags;
	number_write(out + FRAME_HEADER_SIZE + 1, token, 8);
	return FRAME_HEADER_SIZE + FRAME_PROBE_SIZE;
}

size_t frame_probe_answer(struct frame_header header, const struct frame *probe, uint8_t *out)
{
	header.kind = FRAME_PROBE_ANSWER;
	frame_header_encode(&header, out);
	out[FRAME_HEADER_SIZE] = probe->header.path;
	number_write(out + FRAME_HEADER_SIZE + 1, probe->probe.token, 8);
	return FRAME_HEADER_SIZE + FRAME_PROBE_SIZE;
}
