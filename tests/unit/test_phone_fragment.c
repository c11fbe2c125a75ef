// SPDX-License-Identifier: BSD-3-Clause
// Handshake messages in parts: in any order, twice, mixed, incomplete, and no parts at all.
#include "endpoint/phone/fragment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static struct fragments f;
static uint8_t message[FRAGMENT_MESSAGE_MAX];
static uint8_t parts[FRAGMENT_PARTS_MAX][ENDPOINT_RAW_MAX];
static size_t sizes[FRAGMENT_PARTS_MAX];
static const uint8_t first_id[16] = {1}, second_id[16] = {2};

static int begin(void **state)
{
	(void)state;
	memset(&f, 0, sizeof(f));
	for (size_t i = 0; i < sizeof(message); i++)
		message[i] = (uint8_t)(i * 7 + i / 251);
	return 0;
}

static unsigned split(const uint8_t *id, size_t size)
{
	unsigned count = fragment_count(size);
	for (unsigned i = 0; i < count; i++)
		sizes[i] = fragment_make(parts[i], id, FRAGMENT_OFFER, message, size, i);
	return count;
}

static const struct fragment_slot *add(const uint8_t *data, size_t size, uint64_t now)
{
	bool bad;
	const struct fragment_slot *whole = fragments_add(&f, data, size, now, &bad);
	assert_false(bad);
	return whole;
}

static void of_every_size(void **state)
{
	(void)state;
	static const size_t interesting[] = {1, 2, FRAGMENT_ROOM - 1, FRAGMENT_ROOM,
		FRAGMENT_ROOM + 1, 2 * FRAGMENT_ROOM, 2 * FRAGMENT_ROOM + 1, FRAGMENT_MESSAGE_MAX};
	for (size_t i = 0; i < sizeof(interesting) / sizeof(interesting[0]); i++) {
		unsigned count = split(first_id, interesting[i]);
		const struct fragment_slot *whole = NULL;
		// The last one first, and all but the one that completes it twice.
		for (unsigned j = count; j-- > 0;) {
			assert_null(whole);
			assert_true(sizes[j] <= ENDPOINT_RAW_MAX);
			if (j > 0)
				assert_null(add(parts[j], sizes[j], 1));
			whole = add(parts[j], sizes[j], 1);
		}
		assert_non_null(whole);
		assert_int_equal(whole->size, interesting[i]);
		assert_int_equal(whole->which, FRAGMENT_OFFER);
		assert_memory_equal(whole->id, first_id, 16);
		assert_memory_equal(whole->bytes, message, interesting[i]);
		begin(NULL);
	}
}

static void messages_do_not_mix(void **state)
{
	(void)state;
	uint8_t other[2][ENDPOINT_RAW_MAX];
	size_t other_size[2];
	split(first_id, 2000);
	for (unsigned i = 0; i < 2; i++)
		other_size[i] =
			fragment_make(other[i], second_id, FRAGMENT_OFFER, message + 100, 2000, i);
	assert_null(add(parts[0], sizes[0], 1));
	assert_null(add(other[1], other_size[1], 1));
	parts[0][1] = FRAGMENT_ANSWER; // of the same call
	assert_null(add(parts[0], sizes[0], 1));
	const struct fragment_slot *whole = add(other[0], other_size[0], 1);
	assert_non_null(whole);
	assert_memory_equal(whole->bytes, message + 100, 2000);
	whole = add(parts[1], sizes[1], 1);
	assert_non_null(whole);
	assert_memory_equal(whole->bytes, message, 2000);
}

// What strangers can send without being asked never takes the place of an answer.
static void an_answer_gives_way_to_no_offer(void **state)
{
	(void)state;
	uint8_t part[ENDPOINT_RAW_MAX], id[FRAGMENT_ID_SIZE] = {0xaa},
					other[FRAGMENT_ID_SIZE] = {0};
	uint8_t text[FRAGMENT_ROOM + 5] = {1, 2, 3};
	bool bad;

	size_t size = fragment_make(part, id, FRAGMENT_ANSWER, text, sizeof(text), 0);
	assert_null(fragments_add(&f, part, size, 1, &bad));
	for (unsigned i = 0; i < 3 * FRAGMENT_SLOTS; i++) {
		other[0] = (uint8_t)i;
		size = fragment_make(part, other, FRAGMENT_OFFER, text, sizeof(text), 0);
		assert_null(fragments_add(&f, part, size, 2 + i, &bad));
		assert_false(bad);
	}
	size = fragment_make(part, id, FRAGMENT_ANSWER, text, sizeof(text), 1);
	const struct fragment_slot *whole = fragments_add(&f, part, size, 100, &bad);
	assert_non_null(whole);
	assert_memory_equal(whole->bytes, text, sizeof(text));
	// Answers alone leave no room for an offer, and the oldest of them gives way.
	for (unsigned i = 0; i < FRAGMENT_SLOTS + 1; i++) {
		other[1] = (uint8_t)(i + 1);
		size = fragment_make(part, other, FRAGMENT_ANSWER, text, sizeof(text), 0);
		assert_null(fragments_add(&f, part, size, 200 + i, &bad));
	}
	other[1] = 77;
	for (unsigned i = 0; i < 2; i++) {
		size = fragment_make(part, other, FRAGMENT_OFFER, text, sizeof(text), i);
		assert_null(fragments_add(&f, part, size, 300, &bad));
		assert_false(bad);
	}
}

static void the_oldest_gives_way(void **state)
{
	(void)state;
	uint8_t id[16] = {0};
	for (unsigned i = 0; i <= FRAGMENT_SLOTS; i++) {
		id[5] = (uint8_t)i;
		split(id, 2000);
		assert_null(add(parts[0], sizes[0], 10 + i));
	}
	id[5] = FRAGMENT_SLOTS;
	split(id, 2000);
	assert_non_null(add(parts[1], sizes[1], 30));
	id[5] = 1;
	split(id, 2000);
	assert_non_null(add(parts[1], sizes[1], 30));
	id[5] = 0;
	split(id, 2000);
	assert_null(add(parts[1], sizes[1], 30));
}

static void late_parts_begin_anew(void **state)
{
	(void)state;
	split(first_id, 2000);
	assert_null(add(parts[0], sizes[0], 1));
	assert_null(add(parts[1], sizes[1], 1 + FRAGMENT_KEEP_MS));
	assert_non_null(add(parts[0], sizes[0], 2 + FRAGMENT_KEEP_MS));
}

static void no_parts(void **state)
{
	(void)state;
	bool bad;
	split(first_id, 2000);
	static const struct {
		unsigned offset;
		uint8_t value;
		size_t size;
	} rows[] = {
		{0, 2, 0},
		{0, 2, FRAGMENT_HEADER},
		{0, 3, 500},
		{1, 0, 500},
		{1, 3, 500},
		{2, 0x00, 500},
		{2, 0x12, 0},
		{2, 0x22, 500},
		{2, 0x04, 500},
		{2, 0x03, 500},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t copy[ENDPOINT_RAW_MAX];
		memcpy(copy, parts[0], sizeof(copy));
		copy[rows[i].offset] = rows[i].value;
		assert_null(fragments_add(&f, copy, rows[i].size, 1, &bad));
		assert_true(bad);
	}
	assert_null(fragments_add(&f, parts[0], sizes[0] + 1, 1, &bad));
	assert_true(bad);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(of_every_size, begin),
		cmocka_unit_test_setup(messages_do_not_mix, begin),
		cmocka_unit_test_setup(an_answer_gives_way_to_no_offer, begin),
		cmocka_unit_test_setup(the_oldest_gives_way, begin),
		cmocka_unit_test_setup(late_parts_begin_anew, begin),
		cmocka_unit_test_setup(no_parts, begin),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
