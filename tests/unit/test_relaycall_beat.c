// SPDX-License-Identifier: BSD-3-Clause
// The 20 ms of a call under timers that come late: no drift, no burst of more than is allowed.
#include "endpoint/relaycall/beat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void late_timers_shift_nothing(void **state)
{
	struct beat beat = {.next_ms = 1000, .period_ms = 20};
	uint64_t now = 1000;
	unsigned done = 0, seed = 1;

	(void)state;
	while (now < 1000 + 60000) {
		unsigned due = beat_due(&beat, now, 5);
		assert_true(due <= 5);
		done += due;
		assert_true(beat.next_ms > now && beat.next_ms <= now + 20);
		assert_int_equal((beat.next_ms - 1000) % 20, 0);
		// The timer is late by up to 60 ms.
		seed = seed * 1103515245 + 12345;
		now = beat.next_ms + (seed >> 16) % 61;
	}
	// What was due until then, but for what is due in the last pause.
	assert_in_range(done, 60000 / 20, 60000 / 20 + 4);
}

static void early_calls_do_nothing(void **state)
{
	struct beat beat = {.next_ms = 500, .period_ms = 20};

	(void)state;
	assert_int_equal(beat_due(&beat, 499, 5), 0);
	assert_int_equal(beat_due(&beat, 500, 5), 1);
	assert_int_equal(beat_due(&beat, 500, 5), 0);
	assert_int_equal(beat_due(&beat, 519, 5), 0);
	assert_int_equal(beat_due(&beat, 520, 5), 1);
	assert_int_equal(beat_due(&beat, 560, 5), 2);
}

static void a_long_pause_is_not_made_up_for(void **state)
{
	struct beat beat = {.next_ms = 0, .period_ms = 20};

	(void)state;
	assert_int_equal(beat_due(&beat, 3600 * 1000, 5), 5);
	assert_int_equal(beat.next_ms, 3600 * 1000 + 20);
	assert_int_equal(beat_due(&beat, 3600 * 1000 + 20, 5), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(late_timers_shift_nothing),
		cmocka_unit_test(early_calls_do_nothing),
		cmocka_unit_test(a_long_pause_is_not_made_up_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
