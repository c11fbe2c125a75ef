// SPDX-License-Identifier: BSD-3-Clause
// The relay's own datagrams to all devices of an address (API_NATIVE_DELIVER, which invitations go
// by): to whom, in which family, and no more of them than data for the address may be.
#include "tests/unit/native_world.h"

static const uint8_t letter[1000 - 28];

static int deliver(unsigned address)
{
	struct api_native_deliver d = {.length = sizeof(letter)};
	address_of(address, d.address);
	world.frame_count = 0;
	return pipeline_deliver(&world.workers[0], &d, letter, world.now);
}

static void to_all_devices(void **state)
{
	(void)state;
	native_open();
	struct net_endpoint at[3] = {party(CALLEE, 0), party(CALLEE, 1), party(CALLER, 0)};
	assert_int_equal(deliver(1), -ENOENT);
	for (unsigned i = 0; i < 3; i++)
		lease(1, i, &at[i]);
	lease(2, 0, &at[0]);
	assert_int_equal(deliver(1), 3);
	assert_int_equal(world.frame_count, 3);
	for (unsigned i = 0; i < 3; i++) { // the newest first
		struct seen s = seen_at(i);
		const struct net_endpoint *to = &at[2 - i];
		struct net_endpoint server = server_of(to->address.family == NET_IPV6);
		assert_endpoint(&s.source, &server);
		assert_endpoint(&s.destination, to);
		assert_int_equal(s.checksum, SEEN_RIGHT);
		assert_int_equal(s.h.payload_length, sizeof(letter));
		assert_memory_equal(s.payload, letter, sizeof(letter));
	}
	world.now += seconds(61);
	assert_int_equal(deliver(1), -ENOENT);
	assert_int_equal(world.frame_count, 0);
	world_close();
}

// Whoever may call an address must not be able to send it more by invitations than by data: each
// goes to eight devices.
static void budget_of_the_address(void **state)
{
	(void)state;
	native_open();
	world.native.address_bytes = 30000;
	struct net_endpoint to = party(CALLEE, 0);
	unsigned delivered = 0;
	lease(1, 0, &to);
	lease(2, 0, &to);
	for (unsigned i = 0; i < 40; i++)
		delivered += deliver(1) == 1;
	assert_int_equal(delivered, 30);
	assert_int_equal(deliver(1), -EAGAIN);
	assert_int_equal(world.frame_count, 0);
	assert_int_equal(world.workers[0].stats.drop[DROP_address_budget], 11);
	assert_int_equal(deliver(2), 1);
	// No lease, no budget: nobody learns from it who is called much.
	assert_int_equal(deliver(3), -ENOENT);
	world.now += seconds(1) / 10;
	for (delivered = 0; deliver(1) == 1;)
		delivered++;
	assert_in_range(delivered, 2, 3);
	world_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(to_all_devices),
		cmocka_unit_test(budget_of_the_address),
	};
	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, world_setup, NULL);
}
