// SPDX-License-Identifier: BSD-3-Clause
// Orders to the wire program: each word sets what it names and nothing else, and what is none is
// told what was expected.
#include "tests/lab/orders.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static void words_are_cut(void **state)
{
	(void)state;
	char line[] = "  set a0\tdelay=25  \n", many[256] = "";
	char *words[ORDERS_WORDS_MAX];
	assert_int_equal(orders_split(line, words), 3);
	assert_string_equal(words[0], "set");
	assert_string_equal(words[2], "delay=25");
	for (unsigned i = 0; i < 60; i++)
		strcat(many, "a ");
	assert_int_equal(orders_split(many, words), ORDERS_WORDS_MAX);
	char empty[] = " \n";
	assert_int_equal(orders_split(empty, words), 0);
}

static void qualities(void **state)
{
	(void)state;
	struct wire_quality quality = {0}, wanted = {0};
	static const char *const words[] = {"delay=75", "jitter=2.5", "loss=0.01", "duplicate=100",
		"reorder=5,30", "burst=0.5,10,99.5", "cut=yes"};
	wanted.delay_us = 75000;
	wanted.jitter_us = 2500;
	wanted.loss = 100;
	wanted.duplicate = 1000000;
	wanted.reorder = 50000;
	wanted.reorder_us = 30000;
	wanted.good_to_bad = 5000;
	wanted.bad_to_good = 100000;
	wanted.loss_bad = 995000;
	wanted.cut = true;
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		assert_null(orders_quality(words[i], &quality));
	assert_memory_equal(&quality, &wanted, sizeof(quality));
	assert_null(orders_quality("cut=no", &quality));
	assert_false(quality.cut);
}

static void no_qualities(void **state)
{
	(void)state;
	static const char *const words[] = {"delay", "delay=", "delay=-1", "delay=1ms", "delay=nan",
		"delay=inf", "delay=60001", "delay=0x10z", "loss=100.1", "loss=5%", "jitter=,",
		"reorder=5", "reorder=5,", "reorder=,5", "burst=1,2", "burst=1,2,101", "cut=maybe",
		"cut=", "speed=1", "", "=", "delays=1"};
	struct wire_quality quality = {0}, nothing = {0};
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		const char *expected = orders_quality(words[i], &quality);
		assert_non_null(expected);
		// It names the order that was meant, where one was.
		if (strncmp(words[i], "loss=", 5) == 0)
			assert_string_equal(expected, "loss=PERCENT");
		assert_memory_equal(&quality, &nothing, sizeof(quality));
	}
}

static void behaviours(void **state)
{
	(void)state;
	struct nat_behaviour is = {0};
	static const char *const words[] = {"mapping=address", "filtering=port",
		"allocation=blocks", "translates=yes", "hairpin=yes", "inbound=yes",
		"outside=11.1.2.3", "ports=1024-2047", "step=3", "block=64", "timeout=5000",
		"sessions=10", "allow=11.0.0.1", "allow=2a00:b10c::1"};
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		assert_null(orders_nat(words[i], &is));
	assert_int_equal(is.mapping, NAT_ADDRESS_DEPENDENT);
	assert_int_equal(is.filtering, NAT_ADDRESS_AND_PORT_DEPENDENT);
	assert_int_equal(is.allocation, NAT_BLOCKS);
	assert_true(is.translates && is.hairpin && is.refreshed_inbound && is.blocked);
	struct net_address outside = net_address_v4((uint8_t[]){11, 1, 2, 3});
	assert_true(net_address_equal(&is.outside, &outside));
	assert_int_equal(is.port_low, 1024);
	assert_int_equal(is.port_high, 2047);
	assert_int_equal(is.step, 3);
	assert_int_equal(is.block, 64);
	assert_int_equal(is.timeout_ms, 5000);
	assert_int_equal(is.sessions, 10);
	assert_int_equal(is.allowed[0].family, NET_IPV4);
	assert_int_equal(is.allowed[1].family, NET_IPV6);
	assert_null(orders_nat("allow=11.0.0.2", &is));
	assert_null(orders_nat("allow=11.0.0.3", &is));
	assert_non_null(orders_nat("allow=11.0.0.4", &is));
}

static void no_behaviours(void **state)
{
	(void)state;
	static const char *const words[] = {"mapping=cone", "mapping",
		"filtering=", "allocation=odd", "outside=11.1.2", "outside=2a00::1", "ports=1024",
		"ports=0-5", "ports=9-5", "ports=1-65536", "ports=1-2x", "step=0", "block=65536",
		"timeout=0", "sessions=0", "sessions=65537", "hairpin=on", "nat=1", "allow=11.0.0"};
	struct nat_behaviour is = {0}, nothing = {0};
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		assert_non_null(orders_nat(words[i], &is));
		assert_memory_equal(&is, &nothing, sizeof(is));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_cut),
		cmocka_unit_test(qualities),
		cmocka_unit_test(no_qualities),
		cmocka_unit_test(behaviours),
		cmocka_unit_test(no_behaviours),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
