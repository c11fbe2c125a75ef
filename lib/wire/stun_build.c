// SPDX-License-Identifier: BSD-3-Clause
// The STUN builder. Invariant: while failed is false, data[0..length) is a well-formed message
// except for the header's length field, which stun_finish writes (and whoever computes over the
// message sets in between). Every byte up to length is written, padding as zero. No allocation,
// any thread.
#include "lib/wire/stun.h"

#include <zlib.h>

#include <string.h>

enum {
	ATTRIBUTE_HEADER_LENGTH = 4,
	REASON_LIMIT = 763, // bytes, RFC 8489 14.8
	LENGTH_LIMIT = UINT16_MAX & ~3,
};

static void write_u16(uint8_t *p, unsigned value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static void write_u32(uint8_t *p, uint32_t value)
{
	write_u16(p, value >> 16);
	write_u16(p + 2, value & 0xFFFF);
}

static void set_body_length(struct stun_builder *b, size_t total)
{
	write_u16(b->data + 2, (unsigned)(total - STUN_HEADER_LENGTH));
}

struct stun_builder stun_begin(void *buffer, size_t capacity, uint16_t method,
	enum stun_class class, const uint8_t transaction[static STUN_TRANSACTION_LENGTH])
{
	struct stun_builder b = {.data = buffer, .capacity = capacity};
	if (b.capacity > LENGTH_LIMIT)
		b.capacity = LENGTH_LIMIT;
	if (b.capacity < STUN_HEADER_LENGTH) {
		b.failed = true;
		return b;
	}
	unsigned type = (method & 0x000Fu) | (method & 0x0070u) << 1 | (method & 0x0F80u) << 2 |
			((unsigned)class & 1) << 4 | ((unsigned)class & 2) << 7;
	write_u16(b.data, type);
	write_u16(b.data + 2, 0);
	write_u32(b.data + 4, STUN_MAGIC_COOKIE);
	memcpy(b.data + 8, transaction, STUN_TRANSACTION_LENGTH);
	b.length = STUN_HEADER_LENGTH;
	return b;
}

// Header and zeroed padding of an attribute; where its value goes, or NULL when it does not fit.
static uint8_t *attribute_reserve(struct stun_builder *b, uint16_t type, size_t length)
{
	if (b->failed)
		return NULL;
	size_t left = b->capacity - b->length;
	size_t room = (length + 3) & ~(size_t)3;
	if (length > LENGTH_LIMIT || left < ATTRIBUTE_HEADER_LENGTH ||
		left - ATTRIBUTE_HEADER_LENGTH < room) {
		b->failed = true;
		return NULL;
	}
	uint8_t *p = b->data + b->length;
	write_u16(p, type);
	write_u16(p + 2, (unsigned)length);
	memset(p + ATTRIBUTE_HEADER_LENGTH + length, 0, room - length);
	b->length += ATTRIBUTE_HEADER_LENGTH + room;
	return p + ATTRIBUTE_HEADER_LENGTH;
}

void stun_add(struct stun_builder *b, uint16_t type, const void *value, size_t length)
{
	uint8_t *p = attribute_reserve(b, type, length);
	if (p && length)
		memcpy(p, value, length);
}

void stun_add_u32(struct stun_builder *b, uint16_t type, uint32_t host_order)
{
	uint8_t *p = attribute_reserve(b, type, 4);
	if (p)
		write_u32(p, host_order);
}

// Writes the plain form and returns it, so that the XORed one can be made in place.
static uint8_t *address_write(
	struct stun_builder *b, uint16_t type, const struct net_endpoint *endpoint)
{
	uint8_t family = endpoint->address.family;
	if (family != NET_IPV4 && family != NET_IPV6) {
		b->failed = true;
		return NULL;
	}
	size_t length = family == NET_IPV6 ? 16 : 4;
	uint8_t *p = attribute_reserve(b, type, 4 + length);
	if (p == NULL)
		return NULL;
	p[0] = 0;
	p[1] = family == NET_IPV6 ? STUN_FAMILY_IPV6 : STUN_FAMILY_IPV4;
	write_u16(p + 2, endpoint->port);
	memcpy(p + 4, endpoint->address.bytes, length);
	return p;
}

void stun_add_address(struct stun_builder *b, uint16_t type, const struct net_endpoint *endpoint)
{
	address_write(b, type, endpoint);
}

void stun_add_xor_address(
	struct stun_builder *b, uint16_t type, const struct net_endpoint *endpoint)
{
	uint8_t *p = address_write(b, type, endpoint);
	if (p == NULL)
		return;
	// The mask is the cookie followed by the transaction id, as they stand in the header.
	const uint8_t *mask = b->data + 4;
	size_t length = endpoint->address.family == NET_IPV6 ? 16 : 4;
	p[2] ^= mask[0];
	p[3] ^= mask[1];
	for (size_t i = 0; i < length; i++)
		p[4 + i] ^= mask[i];
}

void stun_add_error(struct stun_builder *b, unsigned code, const char *reason)
{
	size_t length = reason ? strlen(reason) : 0;
	if (code < 300 || code > 699 || length > REASON_LIMIT) {
		b->failed = true;
		return;
	}
	uint8_t *p = attribute_reserve(b, STUN_ERROR_CODE, 4 + length);
	if (p == NULL)
		return;
	write_u16(p, 0);
	p[2] = (uint8_t)(code / 100);
	p[3] = (uint8_t)(code % 100);
	// Text on the wire has no terminator. NOLINTNEXTLINE(bugprone-not-null-terminated-result)
	memcpy(p + 4, reason ? reason : "", length);
}

void stun_add_fingerprint(struct stun_builder *b)
{
	size_t covered = b->length;
	uint8_t *p = attribute_reserve(b, STUN_FINGERPRINT, 4);
	if (p == NULL)
		return;
	// The length field already counts FINGERPRINT itself (RFC 8489 14.7).
	set_body_length(b, b->length);
	write_u32(p, (uint32_t)crc32(0, b->data, (uInt)covered) ^ STUN_FINGERPRINT_XOR);
}

size_t stun_finish(struct stun_builder *b)
{
	if (b->failed)
		return 0;
	set_body_length(b, b->length);
	return b->length;
}
