// SPDX-License-Identifier: BSD-3-Clause
// What the native protocol's datagrams begin with: a control message's header, and data by address
// and by handle, whose payload nobody here looks at. No state, any thread.
#include "lib/wire/native.h"

#include "lib/net/cursor.h"

#include <errno.h>
#include <string.h>

int native_header_parse(const uint8_t *data, size_t size, struct native_header *out)
{
	struct cursor c = cursor_make(data, size);
	uint8_t first, zero;
	if (size > NATIVE_MESSAGE_MAX)
		return -EBADMSG;
	if (!cursor_u8(&c, &first) || !cursor_u8(&c, &out->version) || !cursor_u8(&c, &out->type) ||
		!cursor_u8(&c, &zero))
		return -EBADMSG;
	out->transaction = cursor_take(&c, NATIVE_TRANSACTION_SIZE);
	if (out->transaction == NULL || first != NATIVE_FIRST_CONTROL || zero != 0)
		return -EBADMSG;
	return out->version == NATIVE_VERSION ? 0 : -EPROTONOSUPPORT;
}

void native_handle_write(uint8_t out[static NATIVE_HANDLE_SIZE], const struct native_handle *handle)
{
	out[0] = NATIVE_FIRST_HANDLE;
	out[1] = 0;
	out[2] = (uint8_t)(handle->generation >> 8);
	out[3] = (uint8_t)handle->generation;
	for (unsigned i = 0; i < 4; i++)
		out[4 + i] = (uint8_t)(handle->index >> 8 * (3 - i));
}

// A relay forwards with one hop less, so what it delivers may have none left.
static bool hops_allowed(uint8_t hops, bool delivered)
{
	return delivered ? hops < NATIVE_HOPS_MAX : hops > 0 && hops <= NATIVE_HOPS_MAX;
}

// Both forms differ in the version byte, in the cookie, and in how many hops may be left.
static int address_parse(
	const uint8_t *data, size_t size, uint8_t version, struct native_by_address *out)
{
	bool delivered = version & NATIVE_DELIVERED;
	struct cursor c = cursor_make(data, size);
	uint8_t first, have, zero;
	if (!cursor_u8(&c, &first) || !cursor_u8(&c, &have) || !cursor_u8(&c, &out->hops) ||
		!cursor_u8(&c, &zero))
		return -EBADMSG;
	out->cookie = delivered ? NULL : cursor_take(&c, NATIVE_COOKIE_SIZE);
	out->address = cursor_take(&c, NATIVE_ADDRESS_SIZE);
	if (out->address == NULL || first != NATIVE_FIRST_ADDRESS || zero != 0)
		return -EBADMSG;
	out->payload = c.position;
	out->payload_size = cursor_left(&c);
	if ((have & NATIVE_DELIVERED) != (version & NATIVE_DELIVERED))
		return -EBADMSG;
	if (have != version)
		return -EPROTONOSUPPORT;
	return hops_allowed(out->hops, delivered) ? 0 : -EBADMSG;
}

int native_by_address_parse(const uint8_t *data, size_t size, struct native_by_address *out)
{
	return address_parse(data, size, NATIVE_VERSION, out);
}

int native_delivered_parse(const uint8_t *data, size_t size, struct native_by_address *out)
{
	return address_parse(data, size, NATIVE_VERSION | NATIVE_DELIVERED, out);
}

static size_t payload_append(uint8_t *out, size_t header, const uint8_t *payload, size_t size)
{
	if (size)
		memcpy(out + header, payload, size);
	return header + size;
}

size_t native_by_address_build(uint8_t *out, size_t room, const struct native_by_address *in)
{
	if (room < NATIVE_BY_ADDRESS_HEADER || room - NATIVE_BY_ADDRESS_HEADER < in->payload_size ||
		!hops_allowed(in->hops, false))
		return 0;
	memcpy(out, (uint8_t[]){NATIVE_FIRST_ADDRESS, NATIVE_VERSION, in->hops, 0}, 4);
	memcpy(out + NATIVE_BY_ADDRESS_COOKIE, in->cookie, NATIVE_COOKIE_SIZE);
	memcpy(out + NATIVE_BY_ADDRESS_ADDRESS, in->address, NATIVE_ADDRESS_SIZE);
	return payload_append(out, NATIVE_BY_ADDRESS_HEADER, in->payload, in->payload_size);
}

size_t native_delivered_build(uint8_t *out, size_t room, const struct native_by_address *in)
{
	if (room < NATIVE_DELIVERED_HEADER || room - NATIVE_DELIVERED_HEADER < in->payload_size ||
		!hops_allowed(in->hops, true))
		return 0;
	memcpy(out,
		(uint8_t[]){NATIVE_FIRST_ADDRESS, NATIVE_VERSION | NATIVE_DELIVERED, in->hops, 0},
		4);
	memcpy(out + NATIVE_DELIVERED_ADDRESS, in->address, NATIVE_ADDRESS_SIZE);
	return payload_append(out, NATIVE_DELIVERED_HEADER, in->payload, in->payload_size);
}

int native_by_handle_parse(const uint8_t *data, size_t size, struct native_by_handle *out)
{
	struct cursor c = cursor_make(data, size);
	uint8_t first, zero;
	if (!cursor_u8(&c, &first) || !cursor_u8(&c, &zero) ||
		!cursor_u16(&c, &out->handle.generation) || !cursor_u32(&c, &out->handle.index))
		return -EBADMSG;
	if (first != NATIVE_FIRST_HANDLE || zero != 0)
		return -EBADMSG;
	out->payload = c.position;
	out->payload_size = cursor_left(&c);
	return 0;
}

size_t native_by_handle_build(uint8_t *out, size_t room, const struct native_by_handle *in)
{
	if (room < NATIVE_BY_HANDLE_HEADER || room - NATIVE_BY_HANDLE_HEADER < in->payload_size)
		return 0;
	native_handle_write(out, &in->handle);
	return payload_append(out, NATIVE_BY_HANDLE_HEADER, in->payload, in->payload_size);
}
