// SPDX-License-Identifier: BSD-3-Clause
// Internet checksums: the sum against a plain RFC 1071 loop, and RFC 1624 updates against a full
// recomputation, with words drawn so that sums of 0x0000 and 0xFFFF come up often.
#include "lib/wire/checksum.h"

#include <arpa/inet.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static uint32_t seed = 20240229;

static uint32_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed;
}

// Host order, word by word, carry by carry.
static uint16_t reference_sum(const uint8_t *p, size_t length)
{
	uint32_t sum = 0;
	for (size_t i = 0; i < length; i++) {
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
		if (sum > 0xFFFF)
			sum = (sum & 0xFFFF) + 1;
	}
	return (uint16_t)sum;
}

static void fill(uint8_t *p, size_t length)
{
	uint32_t kind = next_random() % 4;
	for (size_t i = 0; i < length; i++) {
		uint32_t random = next_random() >> 8;
		p[i] = (uint8_t)(kind == 0 ? random : kind == 1 ? 0xFF : random % 2 ? 0xFF : 0);
	}
}

static void test_sum_equals_reference(void **state)
{
	(void)state;
	uint8_t data[1600];
	for (unsigned i = 0; i < 20000; i++) {
		size_t length = i < 2000 ? i % 100 : next_random() % 1501;
		size_t start = next_random() % 8;
		fill(data, sizeof(data));
		assert_int_equal(ntohs(checksum_fold(checksum_sum(data + start, length))),
			reference_sum(data + start, length));
	}
}

// RFC 1071 section 3.
static void test_rfc1071_example(void **state)
{
	(void)state;
	static const uint8_t data[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
	assert_int_equal(ntohs(checksum_fold(checksum_sum(data, sizeof(data)))), 0xddf2);
	assert_int_equal(ntohs(checksum_fold(checksum_sum(data, 7))), reference_sum(data, 7));
}

// RFC 1624 section 4: the case that eqn. 2 got wrong.
static void test_rfc1624_example(void **state)
{
	(void)state;
	uint16_t updated = checksum_update(htons(0xDD2F), htons(0x5555), htons(0x3285));
	assert_int_equal(ntohs(updated), 0x0000);
}

static void test_fold_edges(void **state)
{
	(void)state;
	assert_int_equal(checksum_fold(0), 0);
	assert_int_equal(checksum_fold(0xFFFF), 0xFFFF);
	assert_int_equal(checksum_fold(0x10000), 1);
	assert_int_equal(checksum_fold(0x1FFFE), 0xFFFF);
	assert_int_equal(checksum_fold(0x1FFFF), 1);
	assert_int_equal(checksum_fold(UINT64_MAX), 0xFFFF);
	assert_int_equal(checksum_fold(UINT64_MAX - 1), 0xFFFE);
	assert_int_equal(checksum_fold(0xFFFFFFFF00000000u), 0xFFFF);
	assert_int_equal(checksum_fold(0x00000001FFFFFFFFu), 1);
}

// A packet of non-zero data with its checksum in the first word: some even-aligned part is
// replaced, the checksum updated, and the result must be the one of a full computation. Both zeros
// of one's complement arithmetic occur and must agree, but for one packet: that of zeros alone.
static void test_update_equals_recomputation(void **state)
{
	(void)state;
	unsigned zeros = 0;
	for (unsigned i = 0; i < 200000; i++) {
		uint8_t data[64];
		size_t length = 4 + next_random() % 61;
		fill(data, length);
		data[0] = data[1] = 0;
		data[3] |= 1; // a protocol number, as every pseudo-header has one
		uint16_t checksum = (uint16_t)~checksum_fold(checksum_sum(data, length));

		size_t offset = 4 + next_random() % 60 / 2 * 2;
		if (offset >= length)
			continue;
		size_t part = 1 + next_random() % (length - offset);
		uint64_t old_sum = checksum_sum(data + offset, part);
		// Odd parts may only stand at the end, where the padding is.
		if (part % 2 && offset + part != length)
			continue;
		fill(data + offset, part);
		uint16_t updated =
			checksum_update(checksum, old_sum, checksum_sum(data + offset, part));
		assert_int_equal(updated, (uint16_t)~checksum_fold(checksum_sum(data, length)));
		assert_int_equal(ntohs(updated), (uint16_t)~reference_sum(data, length));
		zeros += updated == 0;
	}
	assert_true(zeros > 20);
}

// UDP: a computed 0x0000 is sent as 0xFFFF (RFC 768). Whatever is updated from whatever of the two,
// the receiver's sum over everything is 0xFFFF.
static void test_udp_zero_is_sent_as_ones(void **state)
{
	(void)state;
	unsigned ones = 0;
	for (unsigned i = 0; i < 200000; i++) {
		uint16_t words[4]; // checksum, protocol, two that change
		words[1] = htons(17);
		words[2] = (uint16_t)(next_random() % 3 ? next_random() : 0xFFFF);
		words[3] = (uint16_t)(i % 2 ? 0xFFFFu - htons(17) - words[2] : next_random());
		words[0] = 0;
		uint16_t checksum = (uint16_t)~checksum_fold(checksum_sum(words, sizeof(words)));
		words[0] = checksum ? checksum : 0xFFFF;

		uint64_t old_sum = checksum_sum(words + 2, 4);
		words[2] = (uint16_t)(next_random() % 3 ? next_random() : 0);
		words[3] = (uint16_t)(i % 3 ? 0xFFFFu - htons(17) - words[2] : next_random());
		checksum = checksum_update(words[0], old_sum, checksum_sum(words + 2, 4));
		words[0] = checksum ? checksum : 0xFFFF;
		ones += words[0] == 0xFFFF;
		assert_int_equal(checksum_fold(checksum_sum(words, sizeof(words))), 0xFFFF);
	}
	assert_true(ones > 1000);
}

// Translation between families replaces 8 bytes of addresses by 32 and back; nothing is lost.
static void test_family_translation_round_trip(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 50000; i++) {
		uint8_t v4[8], v6[32], rest[40];
		fill(v4, sizeof(v4));
		fill(v6, sizeof(v6));
		fill(rest, sizeof(rest));
		rest[1] = 17;
		uint64_t base = checksum_sum(rest, sizeof(rest));
		uint16_t over_v4 = (uint16_t)~checksum_fold(base + checksum_sum(v4, sizeof(v4)));
		uint16_t over_v6 = (uint16_t)~checksum_fold(base + checksum_sum(v6, sizeof(v6)));
		uint64_t sum_v4 = checksum_sum(v4, sizeof(v4)),
			 sum_v6 = checksum_sum(v6, sizeof(v6));
		assert_int_equal(checksum_update(over_v4, sum_v4, sum_v6), over_v6);
		assert_int_equal(checksum_update(over_v6, sum_v6, sum_v4), over_v4);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sum_equals_reference),
		cmocka_unit_test(test_rfc1071_example),
		cmocka_unit_test(test_rfc1624_example),
		cmocka_unit_test(test_fold_edges),
		cmocka_unit_test(test_update_equals_recomputation),
		cmocka_unit_test(test_udp_zero_is_sent_as_ones),
		cmocka_unit_test(test_family_translation_round_trip),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
