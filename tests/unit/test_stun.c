// SPDX-License-Identifier: BSD-3-Clause
// The STUN parser and builder: published vectors, every truncation, what a message may not contain,
// and what the visible part of a message is.
#include "lib/wire/stun.h"

#include "tests/unit/stun_vectors.h"

#include <zlib.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t transaction[STUN_TRANSACTION_LENGTH] = {VECTOR_TRANSACTION};

static const struct {
	const uint8_t *data;
	size_t length;
} vectors[] = {
	{vector_request, sizeof(vector_request)},
	{vector_response_ipv4, sizeof(vector_response_ipv4)},
	{vector_response_ipv6, sizeof(vector_response_ipv6)},
	{vector_long_term, sizeof(vector_long_term)},
	{vector_userhash, sizeof(vector_userhash)},
};
enum { VECTORS = sizeof(vectors) / sizeof(vectors[0]) };

static struct stun_builder begin(void *buffer, size_t capacity)
{
	return stun_begin(buffer, capacity, STUN_BINDING, STUN_REQUEST, transaction);
}

static void assert_value(const struct stun_message *m, uint16_t type, const char *text)
{
	struct stun_attribute a;
	assert_true(stun_find(m, type, &a));
	assert_int_equal(a.length, strlen(text));
	assert_memory_equal(a.value, text, a.length);
}

static void test_rfc5769_request(void **state)
{
	(void)state;
	struct stun_message m;
	struct stun_attribute a;
	uint32_t priority;
	assert_int_equal(stun_parse(vector_request, sizeof(vector_request), &m), 0);
	assert_int_equal(m.method, STUN_BINDING);
	assert_int_equal(m.class, STUN_REQUEST);
	assert_int_equal(m.length, sizeof(vector_request));
	assert_true(m.has_fingerprint);
	assert_int_equal(m.integrity_offset, sizeof(vector_request) - 8 - 24);
	assert_int_equal(m.integrity_sha256_offset, 0);
	assert_memory_equal(stun_transaction(&m), transaction, sizeof(transaction));
	assert_value(&m, STUN_SOFTWARE, "STUN test client");
	assert_value(&m, STUN_USERNAME, "evtj:h6vY");
	assert_true(stun_find(&m, STUN_PRIORITY, &a));
	assert_int_equal(stun_read_u32(&a, &priority), 0);
	assert_int_equal(priority, 0x6e0001ff);
	assert_false(stun_find(&m, STUN_NONCE, &a));
}

static void test_rfc5769_responses(void **state)
{
	(void)state;
	static const uint8_t v4[4] = {192, 0, 2, 1};
	static const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, 0x12, 0x34, 0x56, 0x78, 0x00, 0x11,
		0x22, 0x33, 0x44, 0x55, 0x66, 0x77};
	struct stun_message m;
	struct stun_attribute a;
	struct net_endpoint endpoint;
	struct net_endpoint expected = {.address = net_address_v4(v4), .port = 32853};

	assert_int_equal(stun_parse(vector_response_ipv4, sizeof(vector_response_ipv4), &m), 0);
	assert_int_equal(m.class, STUN_SUCCESS);
	assert_true(m.has_fingerprint);
	assert_true(stun_find(&m, STUN_XOR_MAPPED_ADDRESS, &a));
	assert_int_equal(stun_read_xor_address(&m, &a, &endpoint), 0);
	assert_memory_equal(&endpoint, &expected, sizeof(expected));

	expected.address = net_address_v6(v6);
	assert_int_equal(stun_parse(vector_response_ipv6, sizeof(vector_response_ipv6), &m), 0);
	assert_true(stun_find(&m, STUN_XOR_MAPPED_ADDRESS, &a));
	assert_int_equal(stun_read_xor_address(&m, &a, &endpoint), 0);
	assert_memory_equal(&endpoint, &expected, sizeof(expected));
}

static void test_long_term_vectors(void **state)
{
	(void)state;
	struct stun_message m;
	struct stun_attribute a;
	uint32_t algorithm;
	assert_int_equal(stun_parse(vector_long_term, sizeof(vector_long_term), &m), 0);
	assert_false(m.has_fingerprint);
	assert_value(&m, STUN_REALM, vector_realm);
	assert_value(&m, STUN_NONCE, "f//499k954d6OL34oL9FSTvy64sA");
	assert_true(stun_find(&m, STUN_USERNAME, &a));
	assert_int_equal(a.length, sizeof(vector_username));

	assert_int_equal(stun_parse(vector_userhash, sizeof(vector_userhash), &m), 0);
	assert_int_equal(m.integrity_offset, 0);
	assert_int_equal(m.integrity_sha256_offset, sizeof(vector_userhash) - 36);
	assert_value(&m, STUN_NONCE, "obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA");
	assert_true(stun_find(&m, STUN_PASSWORD_ALGORITHM, &a));
	assert_int_equal(stun_read_u32(&a, &algorithm), 0);
	assert_int_equal(algorithm, 0x00020000);
}

// Each class and method bit stands where RFC 8489 section 5 puts it.
static void test_type_bits(void **state)
{
	(void)state;
	static const struct {
		uint16_t method;
		enum stun_class class;
		uint8_t first, second;
	} rows[] = {
		{STUN_BINDING, STUN_REQUEST, 0x00, 0x01},
		{STUN_BINDING, STUN_SUCCESS, 0x01, 0x01},
		{STUN_BINDING, STUN_ERROR, 0x01, 0x11},
		{STUN_SEND, STUN_INDICATION, 0x00, 0x16},
		{STUN_DATA, STUN_INDICATION, 0x00, 0x17},
		{STUN_CHANNEL_BIND, STUN_SUCCESS, 0x01, 0x09},
		{0x010, STUN_REQUEST, 0x00, 0x20},
		{0x080, STUN_REQUEST, 0x02, 0x00},
		{0xFFF, STUN_ERROR, 0x3F, 0xFF},
	};
	uint8_t buffer[20];
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct stun_builder b = stun_begin(
			buffer, sizeof(buffer), rows[i].method, rows[i].class, transaction);
		assert_int_equal(stun_finish(&b), 20);
		assert_int_equal(buffer[0], rows[i].first);
		assert_int_equal(buffer[1], rows[i].second);
	}
	for (unsigned type = 0; type < 0x4000; type++) {
		struct stun_message m;
		buffer[0] = (uint8_t)(type >> 8);
		buffer[1] = (uint8_t)type;
		assert_int_equal(stun_parse(buffer, sizeof(buffer), &m), 0);
		uint8_t again[20];
		struct stun_builder b = stun_begin(
			again, sizeof(again), m.method, (enum stun_class)m.class, transaction);
		assert_int_equal(stun_finish(&b), 20);
		assert_memory_equal(again, buffer, 20);
	}
}

// Cut anywhere, and cut anywhere with a header that agrees: refused, or every attribute is inside.
// The copies have their exact size, so that a sanitizer sees any read behind them.
static void test_truncation_at_every_offset(void **state)
{
	(void)state;
	for (size_t v = 0; v < VECTORS; v++) {
		for (size_t n = 0; n < vectors[v].length; n++) {
			struct stun_message m;
			uint8_t *copy = malloc(n ? n : 1);
			memcpy(copy, vectors[v].data, n);
			assert_int_equal(stun_parse(copy, n, &m), -EBADMSG);
			if (n >= 20) {
				copy[2] = (uint8_t)((n - 20) >> 8);
				copy[3] = (uint8_t)(n - 20);
			}
			int result = stun_parse(copy, n, &m);
			if (n < 20 || n % 4)
				assert_int_equal(result, -EBADMSG);
			if (result == 0) {
				struct stun_attribute a;
				for (size_t offset = 0; stun_next(&m, &offset, &a);)
					assert_true(a.value + a.length <= copy + n);
			}
			free(copy);
		}
	}
}

static void test_trailing_bytes_are_refused(void **state)
{
	(void)state;
	struct stun_message m;
	uint8_t copy[sizeof(vector_request) + 4] = {0};
	memcpy(copy, vector_request, sizeof(vector_request));
	for (size_t more = 1; more <= 4; more++)
		assert_int_equal(stun_parse(copy, sizeof(vector_request) + more, &m), -EBADMSG);
}

static void test_header_checks(void **state)
{
	(void)state;
	struct stun_message m;
	uint8_t copy[sizeof(vector_long_term)];
	for (unsigned bits = 0x40; bits <= 0xC0; bits += 0x40) {
		memcpy(copy, vector_long_term, sizeof(copy));
		copy[0] |= (uint8_t)bits;
		assert_int_equal(stun_parse(copy, sizeof(copy), &m), -EBADMSG);
	}
	for (unsigned bit = 0; bit < 32; bit++) {
		memcpy(copy, vector_long_term, sizeof(copy));
		copy[4 + bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(stun_parse(copy, sizeof(copy), &m), -EPROTO);
	}
	for (unsigned length = 0; length <= 0xFFFF; length++) {
		memcpy(copy, vector_long_term, sizeof(copy));
		copy[2] = (uint8_t)(length >> 8);
		copy[3] = (uint8_t)length;
		assert_int_equal(stun_parse(copy, sizeof(copy), &m),
			length == sizeof(copy) - 20 ? 0 : -EBADMSG);
	}
}

// Every length an attribute can claim, in a message with room for 8 bytes of value.
static void test_attribute_lengths(void **state)
{
	(void)state;
	struct stun_message m;
	uint8_t buffer[32];
	struct stun_builder b = begin(buffer, sizeof(buffer));
	stun_add(&b, STUN_NONCE, "12345678", 8);
	assert_int_equal(stun_finish(&b), 32);
	for (unsigned length = 0; length <= 0xFFFF; length++) {
		buffer[22] = (uint8_t)(length >> 8);
		buffer[23] = (uint8_t)length;
		int result = stun_parse(buffer, sizeof(buffer), &m);
		// A short one leaves "5678" (or all 8 bytes) to be read as attribute headers: only
		// a claim of 5 to 8 bytes, or of none behind which nothing fits, can be judged
		// here.
		if (length > 8)
			assert_int_equal(result, -EBADMSG);
		else if (length > 4)
			assert_int_equal(result, 0);
		else
			assert_int_equal(result, -EBADMSG);
	}
}

static void test_more_than_a_datagram(void **state)
{
	(void)state;
	struct stun_message m;
	size_t length = 20 + 65532;
	uint8_t *data = calloc(1, length);
	struct stun_builder b = begin(data, length);
	assert_int_equal(stun_finish(&b), 20);
	data[2] = 0xFF;
	data[3] = 0xFC;
	assert_int_equal(stun_parse(data, length, &m), -EBADMSG);
	free(data);
}

static void test_first_duplicate_wins(void **state)
{
	(void)state;
	struct stun_message m;
	struct stun_attribute a;
	uint32_t value;
	uint8_t buffer[64];
	struct stun_builder b = begin(buffer, sizeof(buffer));
	stun_add_u32(&b, STUN_LIFETIME, 1);
	stun_add_u32(&b, STUN_CHANNEL_NUMBER, 2);
	stun_add_u32(&b, STUN_LIFETIME, 3);
	assert_int_equal(stun_parse(buffer, stun_finish(&b), &m), 0);
	assert_true(stun_find(&m, STUN_LIFETIME, &a));
	assert_int_equal(stun_read_u32(&a, &value), 0);
	assert_int_equal(value, 1);
	unsigned seen = 0;
	for (size_t offset = 0; stun_next(&m, &offset, &a);)
		seen++;
	assert_int_equal(seen, 3);
}

static void assert_visible(const struct stun_message *m, const uint16_t *types, size_t n)
{
	struct stun_attribute a;
	size_t offset = 0;
	for (size_t i = 0; i < n; i++) {
		assert_true(stun_next(m, &offset, &a));
		assert_int_equal(a.type, types[i]);
	}
	assert_false(stun_next(m, &offset, &a));
	assert_false(stun_next(m, &offset, &a));
}

#define VISIBLE(m, ...)                                                                            \
	assert_visible(m, (const uint16_t[]){__VA_ARGS__},                                         \
		sizeof((const uint16_t[]){__VA_ARGS__}) / sizeof(uint16_t))

static void test_attributes_behind_integrity_are_invisible(void **state)
{
	(void)state;
	static const uint8_t mac[32];
	struct stun_message m;
	struct stun_attribute a;
	uint16_t unknown[4];
	uint8_t buffer[256];

	struct stun_builder b = begin(buffer, sizeof(buffer));
	stun_add(&b, STUN_REALM, "r", 1);
	stun_add(&b, STUN_MESSAGE_INTEGRITY, mac, 20);
	stun_add_u32(&b, STUN_LIFETIME, 1);
	stun_add(&b, STUN_MESSAGE_INTEGRITY_SHA256, mac, 32);
	stun_add_u32(&b, STUN_XOR_PEER_ADDRESS, 2);
	stun_add(&b, 0x7F00, NULL, 0);
	stun_add_fingerprint(&b);
	assert_int_equal(stun_parse(buffer, stun_finish(&b), &m), 0);
	assert_int_equal(m.integrity_offset, 28);
	assert_int_equal(m.integrity_sha256_offset, 60);
	assert_int_equal(m.attributes_end, 52);
	VISIBLE(&m, STUN_REALM, STUN_MESSAGE_INTEGRITY, STUN_MESSAGE_INTEGRITY_SHA256,
		STUN_FINGERPRINT);
	assert_false(stun_find(&m, STUN_LIFETIME, &a));
	assert_false(stun_find(&m, STUN_XOR_PEER_ADDRESS, &a));
	assert_int_equal(
		stun_unknown_attributes(&m, (const uint16_t[]){STUN_REALM}, 1, unknown, 4), 0);

	// Behind SHA-256 nothing but FINGERPRINT counts, not even the older integrity.
	b = begin(buffer, sizeof(buffer));
	stun_add(&b, STUN_MESSAGE_INTEGRITY_SHA256, mac, 32);
	stun_add(&b, STUN_MESSAGE_INTEGRITY, mac, 20);
	stun_add_u32(&b, STUN_LIFETIME, 1);
	stun_add(&b, STUN_MESSAGE_INTEGRITY_SHA256, mac, 16);
	assert_int_equal(stun_parse(buffer, stun_finish(&b), &m), 0);
	assert_int_equal(m.integrity_offset, 0);
	assert_int_equal(m.integrity_sha256_offset, 20);
	VISIBLE(&m, STUN_MESSAGE_INTEGRITY_SHA256);

	// The first of two counts.
	b = begin(buffer, sizeof(buffer));
	stun_add(&b, STUN_MESSAGE_INTEGRITY, mac, 20);
	stun_add(&b, STUN_MESSAGE_INTEGRITY, mac, 20);
	stun_add_fingerprint(&b);
	assert_int_equal(stun_parse(buffer, stun_finish(&b), &m), 0);
	assert_int_equal(m.integrity_offset, 20);
	VISIBLE(&m, STUN_MESSAGE_INTEGRITY, STUN_FINGERPRINT);
}

static void test_malformed_attributes_behind_integrity_are_refused(void **state)
{
	(void)state;
	static const uint8_t mac[20];
	struct stun_message m;
	uint8_t buffer[64];
	struct stun_builder b = begin(buffer, sizeof(buffer));
	stun_add(&b, STUN_MESSAGE_INTEGRITY, mac, 20);
	stun_add_u32(&b, STUN_LIFETIME, 1);
	size_t length = stun_finish(&b);
	buffer[length - 5] = 8;
	assert_int_equal(stun_parse(buffer, length, &m), -EBADMSG);
}

static void test_fingerprint(void **state)
{
	(void)state;
	struct stun_message m;
	uint8_t copy[sizeof(vector_request)];
	unsigned hidden = 0;
	for (size_t bit = 0; bit < sizeof(copy) * 8; bit++) {
		memcpy(copy, vector_request, sizeof(copy));
		copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
		int result = stun_parse(copy, sizeof(copy), &m);
		// A flip in FINGERPRINT's type, or one in a length that makes another value cover
		// it, hides it; no flip leaves it there and right.
		assert_true(result < 0 || !m.has_fingerprint);
		hidden += result == 0;
		if ((bit / 8 >= 8 && bit / 8 < 20) || bit / 8 >= sizeof(copy) - 4)
			assert_int_equal(result, -EILSEQ);
	}
	assert_in_range(hidden, 16, 24);

	uint8_t buffer[64];
	struct stun_builder b = begin(buffer, sizeof(buffer));
	stun_add_fingerprint(&b);
	size_t length = stun_finish(&b);
	assert_int_equal(length, 28);
	assert_int_equal(stun_parse(buffer, length, &m), 0);
	assert_true(m.has_fingerprint);

	// Not last, twice, or of another length.
	stun_add_u32(&b, STUN_LIFETIME, 1);
	assert_int_equal(stun_parse(buffer, stun_finish(&b), &m), -EBADMSG);
	b = begin(buffer, sizeof(buffer));
	stun_add_fingerprint(&b);
	stun_add_fingerprint(&b);
	assert_int_equal(stun_parse(buffer, stun_finish(&b), &m), -EBADMSG);
	for (size_t n = 0; n <= 8; n++) {
		b = begin(buffer, sizeof(buffer));
		stun_add(&b, STUN_FINGERPRINT, "\0\0\0\0\0\0\0\0", n);
		assert_int_equal(
			stun_parse(buffer, stun_finish(&b), &m), n == 4 ? -EILSEQ : -EBADMSG);
	}
}

static void test_unknown_attributes(void **state)
{
	(void)state;
	static const uint16_t known[] = {STUN_USERNAME, STUN_REALM};
	static const uint8_t mac[20];
	struct stun_message m;
	uint16_t unknown[8];
	uint8_t buffer[128];
	struct stun_builder b = begin(buffer, sizeof(buffer));
	stun_add(&b, 0x7FFF, "abc", 3);
	stun_add(&b, STUN_USERNAME, "u", 1);
	stun_add(&b, 0x8000, NULL, 0);
	stun_add(&b, 0x0002, NULL, 0);
	stun_add(&b, 0x7FFF, NULL, 0);
	stun_add(&b, 0xFFFF, NULL, 0);
	stun_add(&b, 0x0000, NULL, 0);
	stun_add(&b, STUN_MESSAGE_INTEGRITY, mac, 20);
	stun_add(&b, 0x0099, NULL, 0);
	assert_int_equal(stun_parse(buffer, stun_finish(&b), &m), 0);
	assert_int_equal(stun_unknown_attributes(&m, known, 2, unknown, 8), 3);
	assert_int_equal(unknown[0], 0x7FFF);
	assert_int_equal(unknown[1], 0x0002);
	assert_int_equal(unknown[2], 0x0000);
	memset(unknown, 0x55, sizeof(unknown));
	assert_int_equal(stun_unknown_attributes(&m, known, 2, unknown, 2), 2);
	assert_int_equal(unknown[2], 0x5555);
	assert_int_equal(stun_unknown_attributes(&m, known, 2, unknown, 0), 0);
	assert_int_equal(stun_unknown_attributes(&m, known, 0, unknown, 8), 4);
}

static void test_value_readers(void **state)
{
	(void)state;
	uint8_t value[24] = {0xAA, STUN_FAMILY_IPV4, 0x12, 0x34, 192, 0, 2, 9};
	struct stun_message m = {.data = vector_request, .length = sizeof(vector_request)};
	struct stun_attribute a = {.value = value};
	struct net_endpoint endpoint;
	uint32_t u32;
	for (uint16_t n = 0; n <= 24; n++) {
		a.length = n;
		value[1] = STUN_FAMILY_IPV4;
		assert_int_equal(stun_read_xor_address(&m, &a, &endpoint), n == 8 ? 0 : -EBADMSG);
		assert_int_equal(stun_read_address(&a, &endpoint), n == 8 ? 0 : -EBADMSG);
		value[1] = STUN_FAMILY_IPV6;
		assert_int_equal(stun_read_xor_address(&m, &a, &endpoint), n == 20 ? 0 : -EBADMSG);
		assert_int_equal(stun_read_address(&a, &endpoint), n == 20 ? 0 : -EBADMSG);
		assert_int_equal(stun_read_u32(&a, &u32), n == 4 ? 0 : -EBADMSG);
	}
	a.length = 8;
	for (unsigned family = 0; family < 256; family++) {
		value[1] = (uint8_t)family;
		assert_int_equal(stun_read_address(&a, &endpoint),
			family == STUN_FAMILY_IPV4 ? 0 : -EBADMSG);
	}
	value[1] = STUN_FAMILY_IPV4;
	assert_int_equal(stun_read_address(&a, &endpoint), 0);
	assert_int_equal(endpoint.port, 0x1234);
	assert_memory_equal(endpoint.address.bytes, "\xC0\x00\x02\x09", 4);
}

static void test_read_error(void **state)
{
	(void)state;
	uint8_t value[4] = {0xFF, 0xFF, 0, 0};
	struct stun_attribute a = {.value = value, .length = 4};
	unsigned code;
	for (unsigned hundreds = 0; hundreds < 8; hundreds++) {
		for (unsigned rest = 0; rest < 256; rest++) {
			bool valid = hundreds >= 3 && hundreds <= 6 && rest <= 99;
			// The five bits before the class are reserved and ignored.
			value[2] = (uint8_t)(0xF8 | hundreds);
			value[3] = (uint8_t)rest;
			assert_int_equal(stun_read_error(&a, &code), valid ? 0 : -EBADMSG);
			if (valid)
				assert_int_equal(code, hundreds * 100 + rest);
		}
	}
	value[2] = 4;
	value[3] = 1;
	for (a.length = 0; a.length < 4; a.length++)
		assert_int_equal(stun_read_error(&a, &code), -EBADMSG);
}

static void test_golden_bytes(void **state)
{
	(void)state;
	static const uint8_t golden[] = {0x01, 0x13, 0x00, 0x60, 0x21, 0x12, 0xa4, 0x42,
		VECTOR_TRANSACTION,
		// ERROR-CODE 438 "Stale"
		0x00, 0x09, 0x00, 0x09, 0, 0, 4, 38, 'S', 't', 'a', 'l', 'e', 0, 0, 0,
		// LIFETIME 600
		0x00, 0x0d, 0x00, 0x04, 0, 0, 0x02, 0x58,
		// XOR-RELAYED-ADDRESS 192.0.2.1:32853
		0x00, 0x16, 0x00, 0x08, 0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43,
		// XOR-PEER-ADDRESS [2001:db8:1234:5678:11:2233:4455:6677]:32853
		0x00, 0x12, 0x00, 0x14, 0, 2, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1,
		0x79, 0xbc, 0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9,
		// OTHER-ADDRESS 192.0.2.1:32853
		0x80, 0x2c, 0x00, 0x08, 0, 1, 0x80, 0x55, 192, 0, 2, 1,
		// DATA "abcde", DONT-FRAGMENT
		0x00, 0x13, 0x00, 0x05, 'a', 'b', 'c', 'd', 'e', 0, 0, 0, 0x00, 0x1a, 0x00, 0x00,
		// NONCE "n"
		0x00, 0x15, 0x00, 0x01, 'n', 0, 0, 0};
	struct net_endpoint v4 = {.address = net_address_v4("\xC0\x00\x02\x01"), .port = 32853};
	struct net_endpoint v6 = {.address = net_address_v6("\x20\x01\x0d\xb8\x12\x34\x56\x78"
							    "\x00\x11\x22\x33\x44\x55\x66\x77"),
		.port = 32853};
	uint8_t buffer[256];
	memset(buffer, 0xEE, sizeof(buffer));
	struct stun_builder b =
		stun_begin(buffer, sizeof(buffer), STUN_ALLOCATE, STUN_ERROR, transaction);
	stun_add_error(&b, 438, "Stale");
	stun_add_u32(&b, STUN_LIFETIME, 600);
	stun_add_xor_address(&b, STUN_XOR_RELAYED_ADDRESS, &v4);
	stun_add_xor_address(&b, STUN_XOR_PEER_ADDRESS, &v6);
	stun_add_address(&b, STUN_OTHER_ADDRESS, &v4);
	stun_add(&b, STUN_DATA_ATTRIBUTE, "abcde", 5);
	stun_add(&b, STUN_DONT_FRAGMENT, NULL, 0);
	stun_add(&b, STUN_NONCE, "n", 1);
	assert_int_equal(stun_finish(&b), sizeof(golden));
	assert_memory_equal(buffer, golden, sizeof(golden));
	assert_int_equal(buffer[sizeof(golden)], 0xEE);
}

static void test_fingerprint_golden(void **state)
{
	(void)state;
	uint8_t buffer[128];
	struct stun_message m;
	struct stun_attribute a;
	uint32_t value;
	struct stun_builder b = begin(buffer, sizeof(buffer));
	stun_add(&b, STUN_SOFTWARE, "relay", 5);
	stun_add_fingerprint(&b);
	size_t length = stun_finish(&b);
	assert_int_equal(stun_parse(buffer, length, &m), 0);
	assert_true(stun_find(&m, STUN_FINGERPRINT, &a));
	assert_int_equal(stun_read_u32(&a, &value), 0);
	assert_int_equal(value, crc32(0, buffer, (uInt)length - 8) ^ 0x5354554EuL);
}

// At every capacity: the whole message or nothing, and not a byte behind the buffer.
static void test_capacity(void **state)
{
	(void)state;
	struct net_endpoint v6 = {.address = net_address_v6(vector_request), .port = 1};
	enum { WHOLE = 20 + 24 + 8 + 8 + 8 + 8 };
	for (size_t capacity = 0; capacity <= WHOLE + 4; capacity++) {
		uint8_t *buffer = malloc(capacity ? capacity : 1);
		struct stun_builder b =
			stun_begin(buffer, capacity, STUN_ALLOCATE, STUN_SUCCESS, transaction);
		stun_add_xor_address(&b, STUN_XOR_MAPPED_ADDRESS, &v6);
		stun_add_u32(&b, STUN_LIFETIME, 1);
		stun_add(&b, STUN_NONCE, "n", 1);
		stun_add_error(&b, 500, NULL);
		stun_add_fingerprint(&b);
		assert_int_equal(stun_finish(&b), capacity >= WHOLE ? WHOLE : 0);
		assert_int_equal(b.failed, capacity < WHOLE);
		free(buffer);
	}
	// Failure sticks, though a later and smaller attribute would fit.
	uint8_t buffer[32];
	struct stun_builder b = begin(buffer, sizeof(buffer));
	stun_add(&b, STUN_NONCE, vector_request, 9);
	stun_add_u32(&b, STUN_LIFETIME, 1);
	assert_int_equal(stun_finish(&b), 0);
}

static void test_builder_refusals(void **state)
{
	(void)state;
	uint8_t buffer[1024];
	char reason[765];
	struct net_endpoint none = {.port = 1};
	memset(reason, 'r', sizeof(reason));
	reason[764] = 0;

	struct stun_builder b = begin(buffer, sizeof(buffer));
	stun_add_xor_address(&b, STUN_XOR_MAPPED_ADDRESS, &none);
	assert_int_equal(stun_finish(&b), 0);
	b = begin(buffer, sizeof(buffer));
	stun_add_address(&b, STUN_OTHER_ADDRESS, &none);
	assert_int_equal(stun_finish(&b), 0);
	b = begin(buffer, sizeof(buffer));
	stun_add_error(&b, 400, reason);
	assert_int_equal(stun_finish(&b), 0);
	reason[763] = 0;
	b = begin(buffer, sizeof(buffer));
	stun_add_error(&b, 400, reason);
	assert_int_equal(stun_finish(&b), 20 + 4 + 768);
	b = begin(buffer, sizeof(buffer));
	stun_add_error(&b, 299, NULL);
	assert_int_equal(stun_finish(&b), 0);
	b = begin(buffer, sizeof(buffer));
	stun_add_error(&b, 700, NULL);
	assert_int_equal(stun_finish(&b), 0);
}

// A buffer larger than a datagram does not let lengths wrap.
static void test_builder_length_limit(void **state)
{
	(void)state;
	size_t capacity = 200000;
	uint8_t *buffer = calloc(1, capacity), *value = calloc(1, capacity);
	struct stun_message m;
	struct stun_builder b = begin(buffer, capacity);
	stun_add(&b, STUN_DATA_ATTRIBUTE, value, 65508);
	assert_int_equal(stun_finish(&b), 65532);
	assert_int_equal(stun_parse(buffer, 65532, &m), 0);
	static const size_t too_long[] = {65509, 65532, 65535, 65536, 65540, 131072};
	for (size_t i = 0; i < sizeof(too_long) / sizeof(too_long[0]); i++) {
		b = begin(buffer, capacity);
		stun_add(&b, STUN_DATA_ATTRIBUTE, value, too_long[i]);
		assert_int_equal(stun_finish(&b), 0);
	}
	b = begin(buffer, capacity);
	stun_add(&b, STUN_DATA_ATTRIBUTE, value, SIZE_MAX);
	assert_int_equal(stun_finish(&b), 0);
	free(buffer);
	free(value);
}

static void test_xor_address_round_trip(void **state)
{
	(void)state;
	uint32_t random = 1;
	for (unsigned i = 0; i < 2000; i++) {
		uint8_t buffer[64], bytes[30];
		struct stun_message m;
		struct stun_attribute a;
		struct net_endpoint read;
		for (size_t j = 0; j < sizeof(bytes); j++) {
			random = random * 1664525 + 1013904223;
			bytes[j] = (uint8_t)(random >> 24);
		}
		struct net_endpoint written = {
			.address = i % 2 ? net_address_v4(bytes) : net_address_v6(bytes),
			.port = (uint16_t)(bytes[16] << 8 | bytes[17])};
		struct stun_builder b =
			stun_begin(buffer, sizeof(buffer), STUN_SEND, STUN_INDICATION, bytes + 18);
		stun_add_xor_address(&b, STUN_XOR_PEER_ADDRESS, &written);
		assert_int_equal(stun_parse(buffer, stun_finish(&b), &m), 0);
		assert_true(stun_find(&m, STUN_XOR_PEER_ADDRESS, &a));
		assert_int_equal(stun_read_xor_address(&m, &a, &read), 0);
		assert_memory_equal(&read, &written, sizeof(read));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc5769_request),
		cmocka_unit_test(test_rfc5769_responses),
		cmocka_unit_test(test_long_term_vectors),
		cmocka_unit_test(test_type_bits),
		cmocka_unit_test(test_truncation_at_every_offset),
		cmocka_unit_test(test_trailing_bytes_are_refused),
		cmocka_unit_test(test_header_checks),
		cmocka_unit_test(test_attribute_lengths),
		cmocka_unit_test(test_more_than_a_datagram),
		cmocka_unit_test(test_first_duplicate_wins),
		cmocka_unit_test(test_attributes_behind_integrity_are_invisible),
		cmocka_unit_test(test_malformed_attributes_behind_integrity_are_refused),
		cmocka_unit_test(test_fingerprint),
		cmocka_unit_test(test_unknown_attributes),
		cmocka_unit_test(test_value_readers),
		cmocka_unit_test(test_read_error),
		cmocka_unit_test(test_golden_bytes),
		cmocka_unit_test(test_fingerprint_golden),
		cmocka_unit_test(test_capacity),
		cmocka_unit_test(test_builder_refusals),
		cmocka_unit_test(test_builder_length_limit),
		cmocka_unit_test(test_xor_address_round_trip),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
