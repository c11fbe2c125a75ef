// SPDX-License-Identifier: BSD-3-Clause
// See fragment.h.
#include "endpoint/phone/fragment.h"

#include <assert.h>
#include <string.h>

unsigned fragment_count(size_t size)
{
	return (unsigned)((size + FRAGMENT_ROOM - 1) / FRAGMENT_ROOM);
}

size_t fragment_make(uint8_t *out, const uint8_t id[static FRAGMENT_ID_SIZE], unsigned which,
	const uint8_t *message, size_t size, unsigned index)
{
	size_t offset = (size_t)index * FRAGMENT_ROOM;
	unsigned count = fragment_count(size);

	assert(size > 0 && size <= FRAGMENT_MESSAGE_MAX && index < count);
	size_t part = size - offset < FRAGMENT_ROOM ? size - offset : FRAGMENT_ROOM;
	out[0] = FRAGMENT_FIRST_BYTE;
	out[1] = (uint8_t)which;
	out[2] = (uint8_t)(index << 4 | count);
	memcpy(out + 3, id, FRAGMENT_ID_SIZE);
	memcpy(out + FRAGMENT_HEADER, message + offset, part);
	return FRAGMENT_HEADER + part;
}

// The slot of a message, or one for it: a free one, or else the oldest that it may take. NULL:
// there is none.
static struct fragment_slot *slot_of(
	struct fragments *f, const uint8_t *id, unsigned which, unsigned count, uint64_t now_ms)
{
	struct fragment_slot *best = NULL;

	for (unsigned i = 0; i < FRAGMENT_SLOTS; i++) {
		struct fragment_slot *s = &f->slots[i];
		if (s->until <= now_ms)
			s->until = 0;
		if (s->until != 0 && s->which == which && s->count == count &&
			memcmp(s->id, id, FRAGMENT_ID_SIZE) == 0) {
			s->until = now_ms + FRAGMENT_KEEP_MS;
			return s;
		}
		bool may = s->until == 0 || which == FRAGMENT_ANSWER || s->which == FRAGMENT_OFFER;
		if (may && (best == NULL || s->until < best->until))
			best = s;
	}
	if (best == NULL)
		return NULL;
	memcpy(best->id, id, FRAGMENT_ID_SIZE);
	best->which = (uint8_t)which;
	best->count = (uint8_t)count;
	best->have = 0;
	best->size = 0;
	best->until = now_ms + FRAGMENT_KEEP_MS;
	return best;
}

const struct fragment_slot *fragments_add(
	struct fragments *fragments, const uint8_t *data, size_t size, uint64_t now_ms, bool *bad)
{
	*bad = true;
	if (size <= FRAGMENT_HEADER || size > ENDPOINT_RAW_MAX || data[0] != FRAGMENT_FIRST_BYTE)
		return NULL;
	unsigned which = data[1], index = data[2] >> 4, count = data[2] & 15;
	size_t part = size - FRAGMENT_HEADER;
	if ((which != FRAGMENT_OFFER && which != FRAGMENT_ANSWER) || count == 0 ||
		count > FRAGMENT_PARTS_MAX || index >= count ||
		(index + 1 < count && part != FRAGMENT_ROOM))
		return NULL;
	*bad = false;
	struct fragment_slot *s = slot_of(fragments, data + 3, which, count, now_ms);
	if (s == NULL)
		return NULL;
	memcpy(s->bytes + (size_t)index * FRAGMENT_ROOM, data + FRAGMENT_HEADER, part);
	s->have = (uint8_t)(s->have | 1u << index);
	if (index + 1 == count)
		s->size = (size_t)index * FRAGMENT_ROOM + part;
	if (s->have != (1u << count) - 1)
		return NULL;
	s->until = 0;
	return s;
}
