// SPDX-License-Identifier: BSD-3-Clause
// How the native protocol's control messages are laid out once for both directions: a message is
// one function that names its fields in the order of lib/wire/README.md's table, and the same
// function reads them (from a cursor) or writes them (into bounded room), so a parser and its
// builder cannot differ. Private to lib/wire/native_*.c; its contract is lib/wire/native.h.
//
// The first field that does not fit, or is not allowed, sets `failed`. From then on fields do
// nothing but set what they would have read to zero, so that a layout may look at what it read.
#pragma once

#include "lib/net/cursor.h"
#include "lib/wire/native.h"

#include <errno.h>
#include <string.h>

struct native_fields {
	struct cursor in; // when reading
	uint8_t *out;     // when writing: where the message begins; else NULL
	size_t room, written;
	const uint8_t *transaction; // 8
	bool failed;
};

static inline bool fields_writing(const struct native_fields *f)
{
	return f->out != NULL;
}

static inline bool fields_require(struct native_fields *f, bool condition)
{
	if (!condition)
		f->failed = true;
	return condition;
}

// When reading: the next `size` bytes, or NULL.
static inline const uint8_t *fields_taken(struct native_fields *f, size_t size)
{
	const uint8_t *taken = f->failed ? NULL : cursor_take(&f->in, size);
	fields_require(f, taken != NULL);
	return taken;
}

// When writing: where the next `size` bytes go, or NULL.
static inline uint8_t *fields_room(struct native_fields *f, size_t size)
{
	if (f->failed || !fields_require(f, f->room - f->written >= size))
		return NULL;
	uint8_t *to = f->out + f->written;
	f->written += size;
	return to;
}

// A number of 1, 2 or 4 bytes.
static inline uint32_t fields_number(struct native_fields *f, uint32_t value, unsigned size)
{
	if (fields_writing(f)) {
		uint8_t *to = fields_room(f, size);
		for (unsigned i = 0; to && i < size; i++)
			to[i] = (uint8_t)(value >> 8 * (size - 1 - i));
		return value;
	}
	const uint8_t *from = fields_taken(f, size);
	uint32_t read = 0;
	for (unsigned i = 0; from && i < size; i++)
		read = read << 8 | from[i];
	return read;
}

static inline void field_u8(struct native_fields *f, uint8_t *value)
{
	*value = (uint8_t)fields_number(f, *value, 1);
}

static inline void field_u16(struct native_fields *f, uint16_t *value)
{
	*value = (uint16_t)fields_number(f, *value, 2);
}

static inline void field_u32(struct native_fields *f, uint32_t *value)
{
	*value = fields_number(f, *value, 4);
}

static inline void field_bool(struct native_fields *f, bool *value)
{
	uint32_t number = fields_number(f, *value, 1);
	fields_require(f, number <= 1);
	*value = number == 1;
}

// `size` bytes of zero.
static inline void field_zero(struct native_fields *f, size_t size)
{
	if (fields_writing(f)) {
		uint8_t *to = fields_room(f, size);
		if (to)
			memset(to, 0, size);
		return;
	}
	const uint8_t *from = fields_taken(f, size);
	for (size_t i = 0; from && i < size; i++)
		fields_require(f, from[i] == 0);
}

// `size` bytes of the caller's; NULL is allowed for none.
static inline void field_bytes(struct native_fields *f, const uint8_t **bytes, size_t size)
{
	if (fields_writing(f)) {
		uint8_t *to = fields_room(f, size);
		if (to && size)
			memcpy(to, *bytes, size);
	} else {
		*bytes = fields_taken(f, size);
	}
}

// What is computed over the message before it: written as zeros when it is not there yet.
static inline void field_computed(struct native_fields *f, const uint8_t **bytes, size_t size)
{
	if (fields_writing(f) && *bytes == NULL)
		field_zero(f, size);
	else
		field_bytes(f, bytes, size);
}

static inline void field_signature(struct native_fields *f, const uint8_t **signature)
{
	field_computed(f, signature, NATIVE_SIGNATURE_SIZE);
}

static inline void field_sealed_size(struct native_fields *f, uint16_t *size)
{
	field_u16(f, size);
	fields_require(f, *size <= NATIVE_SEALED_MAX);
}

static inline void field_handle(struct native_fields *f, struct native_handle *handle)
{
	uint8_t first = NATIVE_FIRST_HANDLE;
	field_u8(f, &first);
	fields_require(f, first == NATIVE_FIRST_HANDLE);
	field_zero(f, 1);
	field_u16(f, &handle->generation);
	field_u32(f, &handle->index);
}

// 20 bytes; the mask is the transaction, from the port on.
static inline void field_observed(struct native_fields *f, struct net_endpoint *observed)
{
	enum { HIDDEN = 18 };
	uint8_t family = observed->address.family, hidden[HIDDEN] = {0};
	field_u8(f, &family);
	field_zero(f, 1);
	if (!fields_require(f, family == NET_IPV4 || family == NET_IPV6))
		return;
	if (fields_writing(f)) {
		uint8_t *to = fields_room(f, HIDDEN);
		hidden[0] = (uint8_t)(observed->port >> 8);
		hidden[1] = (uint8_t)observed->port;
		memcpy(hidden + 2, observed->address.bytes, family == NET_IPV4 ? 4 : 16);
		for (unsigned i = 0; to && i < HIDDEN; i++)
			to[i] = hidden[i] ^ f->transaction[i % NATIVE_TRANSACTION_SIZE];
		return;
	}
	const uint8_t *from = fields_taken(f, HIDDEN);
	for (unsigned i = 0; from && i < HIDDEN; i++)
		hidden[i] = from[i] ^ f->transaction[i % NATIVE_TRANSACTION_SIZE];
	for (unsigned i = 2 + 4; family == NET_IPV4 && i < HIDDEN; i++)
		fields_require(f, hidden[i] == 0);
	*observed = (struct net_endpoint){
		.address = family == NET_IPV4 ? net_address_v4(hidden + 2)
					      : net_address_v6(hidden + 2),
		.port = (uint16_t)(hidden[0] << 8 | hidden[1]),
	};
}

// Both directions begin behind the header. *transaction is set when reading.
static inline struct native_fields fields_read(
	const uint8_t *data, size_t size, enum native_type type, const uint8_t **transaction)
{
	struct native_header header;
	struct native_fields f = {.failed = true};
	if (native_header_parse(data, size, &header) != 0 || header.type != type)
		return f;
	f.in = cursor_make(data, size);
	f.failed = false;
	fields_taken(&f, NATIVE_HEADER_SIZE);
	f.transaction = *transaction = header.transaction;
	return f;
}

static inline int fields_read_end(const struct native_fields *f)
{
	return f->failed || cursor_left(&f->in) > 0 ? -EBADMSG : 0;
}

static inline struct native_fields fields_write(
	uint8_t *out, size_t room, enum native_type type, const uint8_t *transaction)
{
	struct native_fields f = {.out = out, .room = room, .transaction = transaction};
	uint8_t *to = fields_room(&f, NATIVE_HEADER_SIZE);
	if (to) {
		memcpy(to, (uint8_t[]){NATIVE_FIRST_CONTROL, NATIVE_VERSION, (uint8_t)type, 0}, 4);
		memcpy(to + 4, transaction, NATIVE_TRANSACTION_SIZE);
	}
	return f;
}

static inline size_t fields_write_end(const struct native_fields *f)
{
	return f->failed ? 0 : f->written;
}

// Parser and builder of a message whose layout is name_fields(). A layout may change what it was
// given only when it reads; the builder's copy is what lets one function do both.
#define NATIVE_MESSAGE(name, type)                                                                 \
	int native_##name##_parse(const uint8_t *data, size_t size, struct native_##name *out)     \
	{                                                                                          \
		*out = (struct native_##name){0};                                                  \
		struct native_fields f = fields_read(data, size, type, &out->transaction);         \
		if (!f.failed)                                                                     \
			name##_fields(&f, out);                                                    \
		return fields_read_end(&f);                                                        \
	}                                                                                          \
	size_t native_##name##_build(uint8_t *out, size_t room, const struct native_##name *in)    \
	{                                                                                          \
		struct native_##name copy = *in;                                                   \
		struct native_fields f = fields_write(out, room, type, in->transaction);           \
		name##_fields(&f, &copy);                                                          \
		return fields_write_end(&f);                                                       \
	}
