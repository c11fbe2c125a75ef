// SPDX-License-Identifier: BSD-3-Clause
// What native datagrams begin with: the control header of any version, data by address and by
// handle, each with golden bytes and at every size.
#include "lib/wire/native.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COOKIE 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xcb
#define ADDRESS                                                                                    \
	0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae,  \
		0xaf, 0xb0, 0xb1, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xbb,      \
		0xbc, 0xbd, 0xbe, 0xbf

static const uint8_t by_address[] = {5, 1, 8, 0, COOKIE, ADDRESS, 'h', 'e', 'y'};
static const uint8_t delivered[] = {5, 0x81, 7, 0, ADDRESS, 'h', 'e', 'y'};
static const uint8_t by_handle[] = {6, 0, 0x12, 0x34, 0x89, 0xab, 0xcd, 0xef, 'h', 'e', 'y'};

enum { BY_ADDRESS_HEADER = 48, DELIVERED_HEADER = 36, BY_HANDLE_HEADER = 8 };

// A datagram alone in memory of its size, so that the sanitizers see each byte read too far.
static uint8_t *copy_of(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	assert_non_null(copy);
	memcpy(copy, data, size);
	return copy;
}

static void header(void **unused)
{
	(void)unused;
	static const uint8_t data[] = {4, 1, 99, 0, 1, 2, 3, 4, 5, 6, 7, 8};
	struct native_header h;
	assert_int_equal(native_header_parse(data, sizeof(data), &h), 0);
	assert_int_equal(h.version, 1);
	assert_int_equal(h.type, 99);
	assert_ptr_equal(h.transaction, data + 4);
	for (size_t size = 0; size < sizeof(data); size++) {
		uint8_t *copy = copy_of(data, size);
		assert_int_equal(native_header_parse(copy, size, &h), -EBADMSG);
		free(copy);
	}
}

// Of another version no more is known than that it begins in the same way.
static void header_of_any_version(void **unused)
{
	(void)unused;
	for (unsigned version = 0; version <= UINT8_MAX; version++) {
		uint8_t data[] = {4, (uint8_t)version, 7, 0, 1, 2, 3, 4, 5, 6, 7, 8};
		struct native_header h = {0};
		assert_int_equal(native_header_parse(data, sizeof(data), &h),
			version == 1 ? 0 : -EPROTONOSUPPORT);
		assert_int_equal(h.version, version);
		assert_int_equal(h.type, 7);
		assert_ptr_equal(h.transaction, data + 4);
		assert_int_equal(native_header_parse(data, sizeof(data) - 1, &h), -EBADMSG);
		data[3] = 0x80;
		assert_int_equal(native_header_parse(data, sizeof(data), &h), -EBADMSG);
	}
}

static void header_of_something_else(void **unused)
{
	(void)unused;
	static uint8_t data[NATIVE_MESSAGE_MAX + 1] = {4, 1, 1};
	struct native_header h;
	for (unsigned first = 0; first <= UINT8_MAX; first++) {
		data[0] = (uint8_t)first;
		assert_int_equal(native_header_parse(data, 40, &h), first == 4 ? 0 : -EBADMSG);
	}
	data[0] = 4;
	assert_int_equal(native_header_parse(data, NATIVE_MESSAGE_MAX, &h), 0);
	assert_int_equal(native_header_parse(data, NATIVE_MESSAGE_MAX + 1, &h), -EBADMSG);
}

static void golden_by_address(void **unused)
{
	(void)unused;
	struct native_by_address m;
	uint8_t out[sizeof(by_address)];
	assert_int_equal(native_by_address_parse(by_address, sizeof(by_address), &m), 0);
	assert_int_equal(m.hops, 8);
	assert_ptr_equal(m.cookie, by_address + NATIVE_BY_ADDRESS_COOKIE);
	assert_ptr_equal(m.address, by_address + NATIVE_BY_ADDRESS_ADDRESS);
	assert_ptr_equal(m.payload, by_address + BY_ADDRESS_HEADER);
	assert_int_equal(m.payload_size, 3);
	assert_int_equal(native_by_address_build(out, sizeof(out), &m), sizeof(by_address));
	assert_memory_equal(out, by_address, sizeof(out));
}

static void golden_delivered(void **unused)
{
	(void)unused;
	struct native_by_address m;
	uint8_t out[sizeof(delivered)];
	assert_int_equal(native_delivered_parse(delivered, sizeof(delivered), &m), 0);
	assert_int_equal(m.hops, 7);
	assert_null(m.cookie);
	assert_ptr_equal(m.address, delivered + NATIVE_DELIVERED_ADDRESS);
	assert_ptr_equal(m.payload, delivered + DELIVERED_HEADER);
	assert_int_equal(m.payload_size, 3);
	assert_int_equal(native_delivered_build(out, sizeof(out), &m), sizeof(delivered));
	assert_memory_equal(out, delivered, sizeof(out));
}

static void golden_by_handle(void **unused)
{
	(void)unused;
	struct native_by_handle m;
	uint8_t out[sizeof(by_handle)];
	assert_int_equal(native_by_handle_parse(by_handle, sizeof(by_handle), &m), 0);
	assert_int_equal(m.handle.generation, 0x1234);
	assert_int_equal(m.handle.index, 0x89abcdef);
	assert_ptr_equal(m.payload, by_handle + BY_HANDLE_HEADER);
	assert_int_equal(m.payload_size, 3);
	assert_int_equal(native_by_handle_build(out, sizeof(out), &m), sizeof(by_handle));
	assert_memory_equal(out, by_handle, sizeof(out));
	memset(out, 0xFF, sizeof(out));
	native_handle_write(out, &m.handle);
	assert_memory_equal(out, by_handle, 8);
	assert_int_equal(out[8], 0xFF);
}

// Data is whole with its header, and from there on every byte is payload.
static void every_size(void **unused)
{
	(void)unused;
	uint8_t data[2048];
	for (size_t size = 0; size < sizeof(data); size += size < 64 ? 1 : 61) {
		struct native_by_address a;
		struct native_by_handle h;
		memset(data, 0xEE, sizeof(data));
		memcpy(data, by_address, sizeof(by_address));
		uint8_t *copy = copy_of(data, size);
		assert_int_equal(native_by_address_parse(copy, size, &a),
			size < BY_ADDRESS_HEADER ? -EBADMSG : 0);
		assert_true(size < BY_ADDRESS_HEADER || a.payload_size == size - BY_ADDRESS_HEADER);
		free(copy);
		memcpy(data, delivered, sizeof(delivered));
		copy = copy_of(data, size);
		assert_int_equal(native_delivered_parse(copy, size, &a),
			size < DELIVERED_HEADER ? -EBADMSG : 0);
		assert_true(size < DELIVERED_HEADER || a.payload_size == size - DELIVERED_HEADER);
		free(copy);
		memcpy(data, by_handle, sizeof(by_handle));
		copy = copy_of(data, size);
		assert_int_equal(native_by_handle_parse(copy, size, &h),
			size < BY_HANDLE_HEADER ? -EBADMSG : 0);
		assert_true(size < BY_HANDLE_HEADER || h.payload_size == size - BY_HANDLE_HEADER);
		free(copy);
	}
}

static void every_room(void **unused)
{
	(void)unused;
	struct native_by_address a, d;
	struct native_by_handle h;
	assert_int_equal(native_by_address_parse(by_address, sizeof(by_address), &a), 0);
	assert_int_equal(native_delivered_parse(delivered, sizeof(delivered), &d), 0);
	assert_int_equal(native_by_handle_parse(by_handle, sizeof(by_handle), &h), 0);
	for (size_t room = 0; room <= 64; room++) {
		uint8_t *out = malloc(room + 1);
		assert_non_null(out);
		out[room] = 0x5A;
		assert_int_equal(native_by_address_build(out, room, &a),
			room < sizeof(by_address) ? 0 : sizeof(by_address));
		assert_int_equal(native_delivered_build(out, room, &d),
			room < sizeof(delivered) ? 0 : sizeof(delivered));
		assert_int_equal(native_by_handle_build(out, room, &h),
			room < sizeof(by_handle) ? 0 : sizeof(by_handle));
		assert_int_equal(out[room], 0x5A);
		free(out);
	}
	// A size that no sum with a header may wrap around.
	uint8_t out[64];
	a.payload_size = d.payload_size = h.payload_size = SIZE_MAX;
	assert_int_equal(native_by_address_build(out, sizeof(out), &a), 0);
	assert_int_equal(native_delivered_build(out, sizeof(out), &d), 0);
	assert_int_equal(native_by_handle_build(out, sizeof(out), &h), 0);
}

// Each of a header's first four bytes in all its values, for all three forms.
static void every_first_byte(void **unused)
{
	(void)unused;
	for (unsigned at = 0; at < 4; at++) {
		for (unsigned value = 0; value <= UINT8_MAX; value++) {
			struct native_by_address m;
			struct native_by_handle h;
			uint8_t a[sizeof(by_address)], d[sizeof(delivered)], i[sizeof(by_handle)];
			memcpy(a, by_address, sizeof(a));
			memcpy(d, delivered, sizeof(d));
			memcpy(i, by_handle, sizeof(i));
			a[at] = d[at] = i[at] = (uint8_t)value;
			bool hop = at == 2 && value >= 1 && value <= 8;
			bool hop_after = at == 2 && value <= 7;
			int version = at == 1 && value < 0x80 ? -EPROTONOSUPPORT : -EBADMSG;
			int version_after = at == 1 && value >= 0x80 ? -EPROTONOSUPPORT : -EBADMSG;
			assert_int_equal(native_by_address_parse(a, sizeof(a), &m),
				hop || a[at] == by_address[at] ? 0 : version);
			assert_int_equal(native_delivered_parse(d, sizeof(d), &m),
				hop_after || d[at] == delivered[at] ? 0 : version_after);
			assert_int_equal(native_by_handle_parse(i, sizeof(i), &h),
				at >= 2 || i[at] == by_handle[at] ? 0 : -EBADMSG);
		}
	}
}

static void hops_that_are_not_sent(void **unused)
{
	(void)unused;
	struct native_by_address a, d;
	uint8_t out[64];
	assert_int_equal(native_by_address_parse(by_address, sizeof(by_address), &a), 0);
	assert_int_equal(native_delivered_parse(delivered, sizeof(delivered), &d), 0);
	for (unsigned hops = 0; hops <= UINT8_MAX; hops++) {
		a.hops = d.hops = (uint8_t)hops;
		assert_int_equal(
			native_by_address_build(out, sizeof(out), &a) > 0, hops >= 1 && hops <= 8);
		assert_int_equal(native_delivered_build(out, sizeof(out), &d) > 0, hops <= 7);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header),
		cmocka_unit_test(header_of_any_version),
		cmocka_unit_test(header_of_something_else),
		cmocka_unit_test(golden_by_address),
		cmocka_unit_test(golden_delivered),
		cmocka_unit_test(golden_by_handle),
		cmocka_unit_test(every_size),
		cmocka_unit_test(every_room),
		cmocka_unit_test(every_first_byte),
		cmocka_unit_test(hops_that_are_not_sent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
