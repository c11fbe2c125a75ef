// SPDX-License-Identifier: BSD-3-Clause
// The bounded scan: each entry on its own clock, an allocation with all that belongs to it, never
// more work than asked for; and random lives against a model, so that pools and counts stay right.
#include "tests/unit/relay_world.h"

#include <errno.h>

static struct mappings_usage usage(void)
{
	struct mappings_usage u;
	mappings_usage(world.workers[0].mappings, &u);
	return u;
}

static void scan_all(void)
{
	for (unsigned i = 0; i < 200; i++)
		expiry_scan(&world.workers[0], world.now, 64);
}

static void each_on_its_own_clock(void **state)
{
	(void)state;
	world_open();
	assert_int_equal(install_allocation_for(0, 0, 1), 0);
	struct api_allocation_change change = {.allocation_id = 1, .lifetime_ms = 900000};
	assert_int_equal(install(0, API_ALLOCATION_REFRESH, &change, sizeof(change)), 0);
	assert_int_equal(install_channel(0, 1, 0x4001, world_peer[0], 5000), 0);
	world.now += seconds(299);
	scan_all();
	assert_int_equal(usage().permissions, 1);
	world.now += seconds(2);
	scan_all();
	assert_int_equal(usage().permissions, 0);
	assert_int_equal(usage().channels, 1);
	world.now += seconds(300);
	scan_all();
	assert_int_equal(usage().channels, 0);
	assert_int_equal(usage().allocations, 1);
	assert_int_equal(world.expired_count, 0);
	world.now += seconds(300);
	scan_all();
	assert_int_equal(usage().allocations, 0);
	assert_int_equal(world.expired_count, 1);
	assert_int_equal(world.expired_id, 1);
	assert_int_equal(world.workers[0].stats.event[EVENT_allocations_expired], 1);
	world_close();
}

static void an_allocation_takes_all_with_it(void **state)
{
	(void)state;
	world_open();
	struct api_allocation_install a = allocation_for(0, 1);
	a.lifetime_ms = 1000;
	assert_int_equal(install(0, API_ALLOCATION_INSTALL, &a, sizeof(a)), 0);
	for (uint16_t i = 0; i < MAPPINGS_CHANNELS_MAX; i++)
		assert_int_equal(install_channel(0, 1, (uint16_t)(0x4000 + i), world_peer[i & 1],
					 (uint16_t)(5000 + i)),
			0);
	world.now += seconds(2);
	scan_all();
	assert_int_equal(usage().allocations + usage().permissions + usage().channels, 0);
	world_close();
}

static void the_budget_bounds_the_scan(void **state)
{
	(void)state;
	world_open_with(false, 1024);
	struct api_allocation_install a = allocation_for(0, 1);
	for (unsigned i = 0; i < 1000; i++) {
		a.allocation_id = 1 + i;
		a.client.port = (uint16_t)(1000 + i);
		a.relayed[0].port = a.relayed[1].port = (uint16_t)(51000 + i);
		assert_int_equal(install(0, API_ALLOCATION_INSTALL, &a, sizeof(a)), 0);
	}
	world.now += seconds(601);
	unsigned ended = 0, calls = 0;
	while (ended < 1000) {
		unsigned now = expiry_scan(&world.workers[0], world.now, 30);
		assert_true(now <= 11);
		ended += now;
		assert_true(++calls < 200);
	}
	assert_int_equal(world.expired_count, 1000);
	assert_int_equal(usage().allocations, 0);
	world_close();
}

// 40 clients that come, bind, refresh, leave and expire at random over hours; the model knows who
// lives until when. At the end everything is free again.
static void random_lives(void **state)
{
	(void)state;
	world_open_with(false, 32);
	uint64_t until[40] = {0}, id_of[40] = {0}, next_id = 1, random = 7;
	for (unsigned step = 0; step < 60000; step++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		unsigned who = (unsigned)(random >> 33) % 40, what = (unsigned)(random >> 50) % 8;
		world.now += seconds(1) / 4;
		bool lives = id_of[who] != 0 && until[who] > world.now;
		uint32_t lifetime = 1000 + (uint32_t)(random >> 20) % 60000;
		if (what < 2) {
			struct api_allocation_install a = allocation_for(0, 1);
			a.allocation_id = next_id++;
			a.client.port = (uint16_t)(1000 + who);
			a.relayed[0].port = a.relayed[1].port = (uint16_t)(51000 + who);
			a.lifetime_ms = lifetime;
			int result = install(0, API_ALLOCATION_INSTALL, &a, sizeof(a));
			if (lives)
				assert_int_equal(result, -EEXIST);
			if (result == 0) {
				id_of[who] = a.allocation_id;
				until[who] = world.now + lifetime * (rte_get_tsc_hz() / 1000);
			}
		} else if (what == 2) {
			struct api_allocation_change c = {
				.allocation_id = id_of[who], .lifetime_ms = lifetime};
			if (install(0, API_ALLOCATION_REFRESH, &c, sizeof(c)) == 0)
				until[who] = world.now + lifetime * (rte_get_tsc_hz() / 1000);
			else
				assert_false(lives);
		} else if (what == 3) {
			struct api_allocation_change c = {.allocation_id = id_of[who]};
			int result = install(0, API_ALLOCATION_REMOVE, &c, sizeof(c));
			assert_true(result == 0 || !lives);
			id_of[who] = 0;
		} else if (what < 6) {
			int result = install_channel(0, id_of[who],
				(uint16_t)(0x4000 + (random >> 40) % 20), world_peer[random & 1],
				(uint16_t)(5000 + (random >> 45) % 20));
			assert_true(result == 0 || result == -EADDRINUSE || result == -ENOSPC ||
				    !lives);
		} else {
			expiry_scan(&world.workers[0], world.now, 64);
		}
	}
	world.now += seconds(3600);
	scan_all();
	assert_int_equal(usage().allocations + usage().permissions + usage().channels, 0);
	const struct mappings *m = world.workers[0].mappings;
	assert_int_equal(m->allocation_pool.free_count, m->allocation_pool.size);
	assert_int_equal(m->session_pool.free_count, m->session_pool.size);
	assert_int_equal(m->permission_pool.free_count, m->permission_pool.size);
	assert_int_equal(m->by_client.used + m->by_id.used + m->by_channel.used + m->by_peer.used +
				 m->by_permission.used,
		0);
	world_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_on_its_own_clock),
		cmocka_unit_test(an_allocation_takes_all_with_it),
		cmocka_unit_test(the_budget_bounds_the_scan),
		cmocka_unit_test(random_lives),
	};
	return cmocka_run_group_tests(tests, world_setup, NULL);
}
