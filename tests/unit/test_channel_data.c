// SPDX-License-Identifier: BSD-3-Clause
// ChannelData framing: channel range, lengths against the datagram, optional padding.
#include "lib/wire/channel_data.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_golden_bytes(void **state)
{
	(void)state;
	static const uint8_t golden[] = {0x40, 0x01, 0x00, 0x03, 'a', 'b', 'c', 0};
	uint8_t header[4];
	struct channel_data c;
	channel_data_write_header(header, 0x4001, 3);
	assert_memory_equal(header, golden, 4);
	assert_int_equal(channel_data_parse(golden, sizeof(golden), CHANNEL_NUMBER_LAST, &c), 0);
	assert_int_equal(c.channel, 0x4001);
	assert_int_equal(c.length, 3);
	assert_ptr_equal(c.payload, golden + 4);
}

static void test_every_channel_number(void **state)
{
	(void)state;
	for (unsigned channel = 0; channel <= 0xFFFF; channel++) {
		uint8_t data[4];
		struct channel_data c;
		channel_data_write_header(data, (uint16_t)channel, 0);
		int expected = channel >= 0x4000 && channel <= 0x4FFF ? 0 : -ERANGE;
		assert_int_equal(
			channel_data_parse(data, sizeof(data), CHANNEL_NUMBER_LAST, &c), expected);
		if (expected == 0)
			assert_int_equal(c.channel, channel);
	}
}

// Every pair of datagram size and claimed length around a small packet, and the extreme claims. The
// copies have their exact size.
static void test_lengths(void **state)
{
	(void)state;
	for (size_t size = 0; size <= 64; size++) {
		uint8_t *data = calloc(1, size ? size : 1);
		for (unsigned length = 0; length <= 0xFFFF; length += length < 80 ? 1 : 257) {
			struct channel_data c = {0};
			if (size >= 4)
				channel_data_write_header(data, 0x4000, (uint16_t)length);
			int expected = size >= 4 + length && size <= 4 + length + 3 ? 0 : -EBADMSG;
			assert_int_equal(
				channel_data_parse(data, size, CHANNEL_NUMBER_LAST, &c), expected);
			if (expected == 0) {
				assert_int_equal(c.length, length);
				assert_true(c.payload + c.length <= data + size);
			}
		}
		free(data);
	}
}

static void test_largest_datagram(void **state)
{
	(void)state;
	size_t size = 65535;
	uint8_t *data = calloc(1, size);
	struct channel_data c;
	channel_data_write_header(data, 0x4FFF, 65531);
	assert_int_equal(channel_data_parse(data, size, CHANNEL_NUMBER_LAST, &c), 0);
	assert_int_equal(c.length, 65531);
	channel_data_write_header(data, 0x4FFF, 65532);
	assert_int_equal(channel_data_parse(data, size, CHANNEL_NUMBER_LAST, &c), -EBADMSG);
	channel_data_write_header(data, 0x4FFF, 65535);
	assert_int_equal(channel_data_parse(data, size, CHANNEL_NUMBER_LAST, &c), -EBADMSG);
	free(data);
}

static void test_refused_message_changes_nothing(void **state)
{
	(void)state;
	static const uint8_t wrong[][4] = {{0x40, 0, 0, 1}, {0x50, 0, 0, 0}, {0x3F, 0xFF, 0, 0}};
	for (size_t i = 0; i < 3; i++) {
		struct channel_data c = {1, 2, wrong[0]};
		assert_int_not_equal(channel_data_parse(wrong[i], 4, CHANNEL_NUMBER_LAST, &c), 0);
		assert_int_equal(c.channel, 1);
		assert_int_equal(c.length, 2);
		assert_ptr_equal(c.payload, wrong[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden_bytes),
		cmocka_unit_test(test_every_channel_number),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_largest_datagram),
		cmocka_unit_test(test_refused_message_changes_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
