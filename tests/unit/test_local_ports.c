// SPDX-License-Identifier: BSD-3-Clause
// Which relayed ports the kernel may pick for the host itself.
#include "controlplane/local_ports.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_overlap(void **state)
{
	(void)state;
	assert_int_equal(
		local_ports_overlap("32768\t60999\n", "\n", 49152, 65535), 60999 - 49152 + 1);
	assert_int_equal(local_ports_overlap("32768\t49151\n", "", 49152, 65535), 0);
	assert_int_equal(local_ports_overlap("32768\t49152\n", "", 49152, 65535), 1);
	assert_int_equal(local_ports_overlap("65535\t65535\n", "", 49152, 65535), 1);
	assert_int_equal(local_ports_overlap("1024\t65535\n", "", 50000, 50009), 10);
}

static void test_reserved(void **state)
{
	(void)state;
	assert_int_equal(local_ports_overlap("32768\t60999", "49152-65535\n", 49152, 65535), 0);
	assert_int_equal(
		local_ports_overlap("32768\t60999", "8080,49152-60998\n", 49152, 65535), 1);
	assert_int_equal(
		local_ports_overlap("50000\t50009", "50000,50002,50004-50005", 49152, 65535), 6);
}

static void test_nonsense_counts_as_nothing(void **state)
{
	(void)state;
	assert_int_equal(local_ports_overlap("", "", 49152, 65535), 0);
	assert_int_equal(local_ports_overlap("x y", "", 49152, 65535), 0);
	assert_int_equal(local_ports_overlap("50000\t50009", "50000-,1", 49152, 65535), 10);
	assert_int_equal(local_ports_overlap("50000\t50009", "50005-99999", 49152, 65535), 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_overlap),
		cmocka_unit_test(test_reserved),
		cmocka_unit_test(test_nonsense_counts_as_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
