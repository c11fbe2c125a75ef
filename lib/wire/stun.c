// SPDX-License-Identifier: BSD-3-Clause
// The STUN parser. stun_parse proves once that every attribute lies inside the message; what walks
// the message later relies on that proof and may not be used on anything that stun_parse refused.
// The message stays in the caller's buffer. Pure functions, any thread; per packet on the workers.
#include "lib/wire/stun.h"

#include "lib/net/cursor.h"

#include <zlib.h>

#include <errno.h>

static size_t padded(size_t length)
{
	return (length + 3) & ~(size_t)3;
}

// RFC 8489 section 5: class bits C1 C0 stand at 0x0100 and 0x0010 between the method's bits.
static uint16_t type_method(uint16_t type)
{
	return (uint16_t)((type & 0x000F) | (type & 0x00E0) >> 1 | (type & 0x3E00) >> 2);
}

static uint8_t type_class(uint16_t type)
{
	return (uint8_t)((type & 0x0100) >> 7 | (type & 0x0010) >> 4);
}

static int fingerprint_check(const struct stun_message *m, const struct stun_attribute *a)
{
	uint32_t value;
	size_t covered = m->length - STUN_FINGERPRINT_LENGTH;
	if (stun_read_u32(a, &value) < 0)
		return -EBADMSG;
	uint32_t crc = (uint32_t)crc32(0, m->data, (uInt)covered);
	return (crc ^ STUN_FINGERPRINT_XOR) == value ? 0 : -EILSEQ;
}

static bool attribute_take(struct cursor *c, struct stun_attribute *out)
{
	if (!cursor_u16(c, &out->type) || !cursor_u16(c, &out->length))
		return false;
	out->value = cursor_take(c, padded(out->length));
	return out->value != NULL;
}

// Notes where the integrity attributes are and where the visible ones end. Only the first of each
// counts, and MESSAGE-INTEGRITY does not count behind the SHA-256 one.
static int attributes_check(struct stun_message *m, struct cursor c)
{
	while (cursor_left(&c)) {
		uint16_t offset = (uint16_t)(c.position - m->data);
		struct stun_attribute a;
		if (!attribute_take(&c, &a))
			return -EBADMSG;
		uint16_t behind = (uint16_t)(c.position - m->data);
		bool first_integrity = !m->integrity_offset && !m->integrity_sha256_offset;
		if (a.type == STUN_MESSAGE_INTEGRITY && first_integrity) {
			m->integrity_offset = offset;
			m->attributes_end = behind;
		} else if (a.type == STUN_MESSAGE_INTEGRITY_SHA256 && !m->integrity_sha256_offset) {
			m->integrity_sha256_offset = offset;
			if (first_integrity)
				m->attributes_end = behind;
		} else if (a.type == STUN_FINGERPRINT) {
			if (cursor_left(&c))
				return -EBADMSG;
			m->has_fingerprint = true;
			return fingerprint_check(m, &a);
		}
	}
	return 0;
}

int stun_parse(const void *data, size_t length, struct stun_message *out)
{
	struct cursor c = cursor_make(data, length);
	uint16_t type, body;
	uint32_t cookie;
	// A datagram is never longer, and offsets are 16 bits wide.
	if (length > UINT16_MAX)
		return -EBADMSG;
	if (!cursor_u16(&c, &type) || !cursor_u16(&c, &body) || !cursor_u32(&c, &cookie) ||
		!cursor_take(&c, STUN_TRANSACTION_LENGTH))
		return -EBADMSG;
	if ((type & 0xC000) || body % 4 || body != cursor_left(&c))
		return -EBADMSG;
	if (cookie != STUN_MAGIC_COOKIE)
		return -EPROTO;
	struct stun_message m = {
		.data = data,
		.length = length,
		.method = type_method(type),
		.class = type_class(type),
		.attributes_end = (uint16_t)length,
	};
	int result = attributes_check(&m, c);
	if (result == 0)
		*out = m;
	return result;
}

// Behind attributes_end only two may be seen: SHA-256 integrity, then FINGERPRINT at the very end.
static size_t visible_offset(const struct stun_message *m, size_t offset)
{
	if (offset < STUN_HEADER_LENGTH)
		offset = STUN_HEADER_LENGTH;
	if (offset < m->attributes_end)
		return offset;
	if (offset <= m->integrity_sha256_offset)
		return m->integrity_sha256_offset;
	size_t last = m->length - STUN_FINGERPRINT_LENGTH;
	return m->has_fingerprint && offset <= last ? last : m->length;
}

bool stun_next(const struct stun_message *m, size_t *offset, struct stun_attribute *out)
{
	size_t at = visible_offset(m, *offset);
	struct cursor c = {.position = m->data + at, .end = m->data + m->length};
	if (!attribute_take(&c, out))
		return false;
	*offset = (size_t)(c.position - m->data);
	return true;
}

bool stun_find(const struct stun_message *m, uint16_t type, struct stun_attribute *out)
{
	size_t offset = 0;
	struct stun_attribute a;
	while (stun_next(m, &offset, &a)) {
		if (a.type == type) {
			*out = a;
			return true;
		}
	}
	return false;
}

static bool type_listed(uint16_t type, const uint16_t *types, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (types[i] == type)
			return true;
	return false;
}

size_t stun_unknown_attributes(const struct stun_message *m, const uint16_t *known, size_t n,
	uint16_t *unknown, size_t max)
{
	size_t offset = 0, found = 0;
	struct stun_attribute a;
	while (found < max && stun_next(m, &offset, &a)) {
		if (a.type >= 0x8000 || a.type == STUN_MESSAGE_INTEGRITY ||
			a.type == STUN_MESSAGE_INTEGRITY_SHA256)
			continue;
		if (!type_listed(a.type, known, n) && !type_listed(a.type, unknown, found))
			unknown[found++] = a.type;
	}
	return found;
}

int stun_read_u32(const struct stun_attribute *a, uint32_t *host_order)
{
	struct cursor c = cursor_make(a->value, a->length);
	if (a->length != 4 || !cursor_u32(&c, host_order))
		return -EBADMSG;
	return 0;
}

int stun_read_address(const struct stun_attribute *a, struct net_endpoint *out)
{
	struct cursor c = cursor_make(a->value, a->length);
	uint8_t ignored, family;
	uint16_t port;
	if (!cursor_u8(&c, &ignored) || !cursor_u8(&c, &family) || !cursor_u16(&c, &port))
		return -EBADMSG;
	struct net_endpoint endpoint = {.port = port};
	if (family == STUN_FAMILY_IPV4 && cursor_left(&c) == 4)
		endpoint.address = net_address_v4(c.position);
	else if (family == STUN_FAMILY_IPV6 && cursor_left(&c) == 16)
		endpoint.address = net_address_v6(c.position);
	else
		return -EBADMSG;
	*out = endpoint;
	return 0;
}

int stun_read_xor_address(
	const struct stun_message *m, const struct stun_attribute *a, struct net_endpoint *out)
{
	struct net_endpoint endpoint;
	if (stun_read_address(a, &endpoint) < 0)
		return -EBADMSG;
	// The mask is the cookie followed by the transaction id, as they stand in the header.
	const uint8_t *mask = m->data + 4;
	unsigned length = endpoint.address.family == NET_IPV6 ? 16 : 4;
	endpoint.port ^= (uint16_t)(STUN_MAGIC_COOKIE >> 16);
	for (unsigned i = 0; i < length; i++)
		endpoint.address.bytes[i] ^= mask[i];
	*out = endpoint;
	return 0;
}

int stun_read_error(const struct stun_attribute *a, unsigned *code)
{
	if (a->length < 4)
		return -EBADMSG;
	unsigned hundreds = a->value[2] & 7u, rest = a->value[3];
	if (hundreds < 3 || hundreds > 6 || rest > 99)
		return -EBADMSG;
	*code = hundreds * 100 + rest;
	return 0;
}
