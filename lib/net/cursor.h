// SPDX-License-Identifier: BSD-3-Clause
// A bounded read position. Every parser of the project reads through one of these: a read either is
// inside the buffer and advances, or fails and changes nothing.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cursor {
	const uint8_t *position;
	const uint8_t *end;
};

static inline struct cursor cursor_make(const void *data, size_t length)
{
	return (struct cursor){.position = data, .end = (const uint8_t *)data + length};
}

static inline size_t cursor_left(const struct cursor *c)
{
	return (size_t)(c->end - c->position);
}

// The next `length` bytes, or NULL when fewer are left.
static inline const uint8_t *cursor_take(struct cursor *c, size_t length)
{
	if (cursor_left(c) < length)
		return NULL;
	const uint8_t *taken = c->position;
	c->position += length;
	return taken;
}

static inline bool cursor_u8(struct cursor *c, uint8_t *out)
{
	const uint8_t *p = cursor_take(c, 1);
	if (p == NULL)
		return false;
	*out = *p;
	return true;
}

// Big endian on the wire, host order out.
static inline bool cursor_u16(struct cursor *c, uint16_t *out)
{
	const uint8_t *p = cursor_take(c, 2);
	if (p == NULL)
		return false;
	*out = (uint16_t)(p[0] << 8 | p[1]);
	return true;
}

static inline bool cursor_u32(struct cursor *c, uint32_t *out)
{
	const uint8_t *p = cursor_take(c, 4);
	if (p == NULL)
		return false;
	*out = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	return true;
}
