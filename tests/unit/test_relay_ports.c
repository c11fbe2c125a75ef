// SPDX-License-Identifier: BSD-3-Clause
// The direct index of relayed ports: claims, conflicts, releases by the owner only, every field's
// limits.
#include "dataplane/table/relay_ports.h"
#include "tests/unit/dpdk_env.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct relay_ports *ports;

static int open_ports(void **state)
{
	(void)state;
	struct node_addresses addresses = {
		.listen_count = 2, .relay_first = 50000, .relay_last = 50009};
	ports = relay_ports_create(&addresses);
	return ports == NULL;
}

static int close_ports(void **state)
{
	(void)state;
	relay_ports_free(ports);
	return 0;
}

static void claim_find_release(void **state)
{
	(void)state;
	// The largest values survive packing.
	struct relay_port_owner owner = {WORKERS_MAX - 1, (1u << 24) - 1, UINT32_MAX}, found;
	assert_false(relay_ports_find(ports, 0, 50000, &found));
	assert_int_equal(relay_ports_claim(ports, 0, 50000, &owner), 0);
	assert_true(relay_ports_find(ports, 0, 50000, &found));
	assert_int_equal(found.worker, WORKERS_MAX - 1);
	assert_int_equal(found.slot, (1u << 24) - 1);
	assert_int_equal(found.generation, UINT32_MAX);
	assert_false(relay_ports_find(ports, 1, 50000, &found));
	assert_false(relay_ports_find(ports, 0, 50001, &found));
	relay_ports_release(ports, 0, 50000, &owner);
	assert_false(relay_ports_find(ports, 0, 50000, &found));
}

static void one_owner(void **state)
{
	(void)state;
	// All zero but live: slot 0 of worker 0 in generation 0 is an owner like any other.
	struct relay_port_owner first = {0, 0, 0}, second = {1, 0, 0}, later = {0, 0, 1}, found;
	assert_int_equal(relay_ports_claim(ports, 1, 50009, &first), 0);
	assert_int_equal(relay_ports_claim(ports, 1, 50009, &second), -EADDRINUSE);
	relay_ports_release(ports, 1, 50009, &second);
	relay_ports_release(ports, 1, 50009, &later);
	assert_true(relay_ports_find(ports, 1, 50009, &found));
	assert_int_equal(found.worker, 0);
	relay_ports_release(ports, 1, 50009, &first);
	assert_int_equal(relay_ports_claim(ports, 1, 50009, &second), 0);
}

static void outside(void **state)
{
	(void)state;
	struct relay_port_owner owner = {0, 0, 0};
	assert_int_equal(relay_ports_claim(ports, 0, 49999, &owner), -EINVAL);
	assert_int_equal(relay_ports_claim(ports, 0, 50010, &owner), -EINVAL);
	assert_int_equal(relay_ports_claim(ports, 2, 50000, &owner), -EINVAL);
	assert_false(relay_ports_contains(ports, 0xFF, 50000));
}

// Two ranges at a time; words of ports outside of both stay, and their owner can release them.
static void ranges_move(void **state)
{
	(void)state;
	struct relay_port_owner owner = {0, 0, 0}, found;
	const struct relay_range first = {50000, 50009}, second = {65535, 65535},
				 third = {1, 65535};
	struct relay_range now, earlier;
	assert_int_equal(relay_ports_claim(ports, 0, 50009, &owner), 0);
	relay_ports_set(ports, &second, &first);
	relay_ports_ranges(ports, &now, &earlier);
	assert_int_equal(now.first, 65535);
	assert_int_equal(earlier.last, 50009);
	assert_true(relay_ports_contains(ports, 1, 65535));
	assert_true(relay_ports_contains(ports, 1, 50000));
	assert_false(relay_ports_contains(ports, 1, 50010));
	assert_false(relay_ports_contains(ports, 1, 65534));
	assert_false(relay_ports_contains(ports, 1, 0));
	assert_false(relay_ports_contains(ports, 2, 50000));
	assert_true(relay_ports_owned(ports, &first, &second));
	assert_false(relay_ports_owned(ports, &first, &first));
	assert_false(relay_ports_owned(ports, &second, &first));
	relay_ports_set(ports, &second, &second);
	assert_false(relay_ports_contains(ports, 0, 50009));
	relay_ports_release(ports, 0, 50009, &owner);
	assert_false(relay_ports_owned(ports, &third, &second));
	relay_ports_set(ports, &third, &third);
	assert_false(relay_ports_contains(ports, 0, 0));
	assert_int_equal(relay_ports_claim(ports, 0, 65535, &owner), 0);
	assert_int_equal(relay_ports_claim(ports, 1, 65535, &owner), 0);
	assert_int_equal(relay_ports_claim(ports, 0, 1, &owner), 0);
	assert_true(relay_ports_find(ports, 0, 1, &found));
	assert_false(relay_ports_find(ports, 1, 1, &found));
	relay_ports_ranges(ports, &now, &earlier);
	assert_int_equal(now.first, 1);
	assert_int_equal(now.last, 65535);
}

static int setup(void **state)
{
	(void)state;
	dpdk_env_start();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(claim_find_release, open_ports, close_ports),
		cmocka_unit_test_setup_teardown(one_owner, open_ports, close_ports),
		cmocka_unit_test_setup_teardown(outside, open_ports, close_ports),
		cmocka_unit_test_setup_teardown(ranges_move, open_ports, close_ports),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
