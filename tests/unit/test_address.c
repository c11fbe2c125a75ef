// SPDX-License-Identifier: BSD-3-Clause
// Addresses, prefixes and ranges, and their text forms: what is read, what is refused, and that
// ranges are compared as numbers.
#include "lib/net/address_text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct net_address address(const char *text)
{
	struct net_address a;
	assert_int_equal(net_address_parse(text, &a), 0);
	return a;
}

static struct net_prefix prefix(const char *text)
{
	struct net_prefix p;
	assert_int_equal(net_prefix_parse(text, &p), 0);
	return p;
}

static struct net_range range(const char *text)
{
	struct net_range r;
	assert_int_equal(net_range_parse(text, &r), 0);
	return r;
}

static bool in_prefix(const char *p, const char *a)
{
	struct net_prefix parsed = prefix(p);
	struct net_address one = address(a);
	return net_prefix_contains(&parsed, &one);
}

static bool in_range(const char *r, const char *a)
{
	struct net_range parsed = range(r);
	struct net_address one = address(a);
	return net_range_contains(&parsed, &one);
}

static void test_address_round_trip(void **state)
{
	(void)state;
	static const struct {
		const char *text, *canonical;
	} rows[] = {
		{"0.0.0.0", "0.0.0.0"},
		{"192.0.2.1", "192.0.2.1"},
		{"255.255.255.255", "255.255.255.255"},
		{"::", "::"},
		{"::1", "::1"},
		{"2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
		{"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
		{"2001:0db8::0001", "2001:db8::1"},
		{"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
			"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
			"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[NET_ADDRESS_TEXT_SIZE];
		struct net_address a = address(rows[i].text);
		assert_string_equal(net_address_format(&a, text), rows[i].canonical);
		struct net_address again = address(text);
		assert_true(net_address_equal(&a, &again));
	}
}

static void test_unspecified_family_formats_as_nothing(void **state)
{
	(void)state;
	struct net_address none = {0};
	char text[NET_ADDRESS_TEXT_SIZE] = "x";
	assert_string_equal(net_address_format(&none, text), "");
}

static void test_refused_addresses(void **state)
{
	(void)state;
	static const char *const rows[] = {"", " ", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256",
		"01.2.3.4", "1.2.3.04", "1.2.3.4 ", " 1.2.3.4", "1.2.3.4\n", "1.2.3.-4",
		"0x1.2.3.4", "1.2.3.", ".1.2.3", "1..2.3", "1.2.3.4/8", ":", ":::", "1:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:8:9", "1::2::3", "12345::", "::g", "fe80::1%eth0", "[::1]", "::1 ",
		"::1.2.3", "::01.2.3.4", "localhost", "1.2.3.4-1.2.3.5",
		"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255x"};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct net_address a, before;
		memset(&a, 0x5A, sizeof(a));
		before = a;
		assert_int_equal(net_address_parse(rows[i], &a), -EINVAL);
		assert_memory_equal(&a, &before, sizeof(a));
	}
}

static void test_endpoints(void **state)
{
	(void)state;
	static const char *const good[] = {"192.0.2.1:3478", "[2001:db8::1]:3478", "[::]:1",
		"255.255.255.255:65535", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"};
	static const char *const bad[] = {"", ":", "192.0.2.1", "192.0.2.1:", "192.0.2.1:0",
		"192.0.2.1:65536", "192.0.2.1:99999999999", "192.0.2.1:03478", "192.0.2.1:+1",
		"192.0.2.1: 1", "192.0.2.1:1 ", "192.0.2.1:1:2", "2001:db8::1", "2001:db8::1:3478",
		"[2001:db8::1]", "[2001:db8::1]3478", "[2001:db8::1]:", "[192.0.2.1]:3478", "[]:1",
		"[::1:1", "[[::1]]:1", ":1", "[::1]:1]:2", "[::1%lo]:1"};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct net_endpoint e;
		char text[NET_ENDPOINT_TEXT_SIZE];
		assert_int_equal(net_endpoint_parse(good[i], &e), 0);
		assert_int_equal(e.reserved, 0);
		assert_string_equal(net_endpoint_format(&e, text), good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct net_endpoint e, before;
		memset(&e, 0x5A, sizeof(e));
		before = e;
		assert_int_equal(net_endpoint_parse(bad[i], &e), -EINVAL);
		assert_memory_equal(&e, &before, sizeof(e));
	}
}

static void test_prefixes(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1",
		"10.0.0.0/08", "10.0.0.0/8 ", "10.0.0.0/8/8", "10.0.0.1/8", "10.0.0.0/4294967304",
		"128.0.0.0/0", "::/129", "::1/127", "2001:db8::1/64", "10.0.0.0-10.0.0.1", "10/8"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct net_prefix p;
		assert_int_equal(net_prefix_parse(bad[i], &p), -EINVAL);
	}
	assert_int_equal(prefix("10.0.0.0/8").length, 8);
	assert_int_equal(prefix("192.0.2.1").length, 32);
	assert_int_equal(prefix("::1").length, 128);
	assert_int_equal(prefix("0.0.0.0/0").length, 0);
	assert_true(in_prefix("10.0.0.0/8", "10.255.255.255"));
	assert_false(in_prefix("10.0.0.0/8", "11.0.0.0"));
	assert_false(in_prefix("10.0.0.0/8", "9.255.255.255"));
	assert_true(in_prefix("0.0.0.0/0", "255.1.2.3"));
	assert_false(in_prefix("0.0.0.0/0", "::1"));
	assert_false(in_prefix("::/0", "1.2.3.4"));
	assert_true(in_prefix("::/0", "ffff::"));
	assert_true(in_prefix("192.0.2.4/31", "192.0.2.5"));
	assert_false(in_prefix("192.0.2.4/31", "192.0.2.6"));
	assert_true(in_prefix("2001:db8:8000::/33", "2001:db8:ffff::1"));
	assert_false(in_prefix("2001:db8:8000::/33", "2001:db8:7fff::1"));
}

// For every length: the first `length` bits stay, the others are cleared, and a flipped bit is
// outside exactly when it is among the first.
static void test_prefix_of_every_length(void **state)
{
	(void)state;
	static const char *const ones[] = {
		"255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"};
	for (unsigned family = 0; family < 2; family++) {
		struct net_address all = address(ones[family]);
		unsigned bits = family ? 128 : 32;
		for (unsigned length = 0; length <= bits + 3; length++) {
			struct net_prefix p = net_prefix_of(&all, length);
			unsigned kept = length > bits ? bits : length;
			assert_int_equal(p.length, kept);
			for (unsigned bit = 0; bit < 128; bit++)
				assert_int_equal(
					p.address.bytes[bit / 8] >> (7 - bit % 8) & 1, bit < kept);
			for (unsigned bit = 0; bit < bits; bit++) {
				struct net_address other = all;
				other.bytes[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
				assert_int_equal(net_prefix_contains(&p, &other), bit >= kept);
			}
		}
	}
}

static void test_ranges(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "-", "10.0.0.1-", "-10.0.0.1", "10.0.0.2-10.0.0.1",
		"10.0.0.1-::1", "::1-10.0.0.1", "10.0.0.0/8-10.0.0.1", "10.0.0.1 - 10.0.0.2",
		"10.0.0.1-10.0.0.2-10.0.0.3", "10.0.0.1/8", "10.0.0.1-2", "::2-::1"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct net_range r, before;
		memset(&r, 0x5A, sizeof(r));
		before = r;
		assert_int_equal(net_range_parse(bad[i], &r), -EINVAL);
		assert_memory_equal(&r, &before, sizeof(r));
	}
	struct net_range whole = range("10.0.0.0/8");
	struct net_address last = address("10.255.255.255");
	assert_true(net_address_equal(&whole.last, &last));
	whole = range("2001:db8::/33");
	last = address("2001:db8:7fff:ffff:ffff:ffff:ffff:ffff");
	assert_true(net_address_equal(&whole.last, &last));
	whole = range("::/0");
	last = address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	assert_true(net_address_equal(&whole.last, &last));
	whole = range("192.0.2.7");
	assert_true(net_address_equal(&whole.first, &whole.last));
}

// 10.0.1.200 lies between 10.0.0.250 and 10.0.2.5, though its last byte is in no byte-wise range of
// theirs; and 10.0.1.5 is not between 10.0.0.0 and 10.0.0.255, though its last byte is.
static void test_ranges_compare_as_numbers(void **state)
{
	(void)state;
	assert_true(in_range("10.0.0.250-10.0.2.5", "10.0.1.200"));
	assert_true(in_range("10.0.0.250-10.0.2.5", "10.0.0.250"));
	assert_true(in_range("10.0.0.250-10.0.2.5", "10.0.2.5"));
	assert_false(in_range("10.0.0.250-10.0.2.5", "10.0.0.249"));
	assert_false(in_range("10.0.0.250-10.0.2.5", "10.0.2.6"));
	assert_false(in_range("10.0.0.0-10.0.0.255", "10.0.1.5"));
	assert_true(in_range("127.255.255.255-128.0.0.0", "128.0.0.0"));
	assert_true(in_range("2001:db8::ffff-2001:db8::1:1", "2001:db8::1:0"));
	assert_false(in_range("0.0.0.0-255.255.255.255", "::"));
	assert_false(in_range("::/0", "0.0.0.0"));
}

static void test_compare(void **state)
{
	(void)state;
	static const char *const ascending[] = {"0.0.0.0", "0.0.0.255", "0.0.1.0", "127.0.0.1",
		"128.0.0.0", "255.255.255.255", "::", "::ff", "::100",
		"7fff::", "8000::", "ffff::"};
	size_t n = sizeof(ascending) / sizeof(ascending[0]);
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < n; j++) {
			struct net_address a = address(ascending[i]), b = address(ascending[j]);
			int order = net_address_compare(&a, &b);
			assert_true(i < j ? order < 0 : i > j ? order > 0 : order == 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_address_round_trip),
		cmocka_unit_test(test_unspecified_family_formats_as_nothing),
		cmocka_unit_test(test_refused_addresses),
		cmocka_unit_test(test_endpoints),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_prefix_of_every_length),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_ranges_compare_as_numbers),
		cmocka_unit_test(test_compare),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
