// SPDX-License-Identifier: BSD-3-Clause
// Relayed ports and what counts them: allocated + reserved + free = range whatever is done to a
// pool, ports are drawn from all that is free, and the hash table under quotas and allocations
// behaves as a plain array would.
#include "tests/unit/turn_desk.h"

#include "controlplane/id_table.h"
#include "controlplane/turn/quota.h"
#include "controlplane/turn/relay_pool.h"
#include "controlplane/turn/reservations.h"

static void check_pool(const struct relay_pool *pool)
{
	uint32_t count[RELAY_PORT_STATES] = {0};
	for (uint32_t port = pool->first; port <= pool->last; port++)
		count[relay_pool_state(pool, (uint16_t)port)]++;
	for (unsigned state = RELAY_PORT_FREE; state < RELAY_PORT_STATES; state++)
		assert_int_equal(count[state], pool->count[state]);
	assert_int_equal(count[RELAY_PORT_OUTSIDE], 0);
	assert_int_equal(
		count[RELAY_PORT_FREE] + count[RELAY_PORT_ALLOCATED] + count[RELAY_PORT_RESERVED],
		pool->last - pool->first + 1u);
}

static void test_fill_and_drain(void **state)
{
	(void)state;
	static const uint16_t ranges[][2] = {{50000, 50009}, {50001, 50009}, {50000, 50008},
		{50001, 50008}, {50001, 50001}, {50000, 50000}, {49152, 65535}, {1, 65535}};
	struct net_address address = desk_address("198.51.100.1");
	for (size_t r = 0; r < sizeof(ranges) / sizeof(ranges[0]); r++) {
		struct relay_pool pool;
		uint32_t total = ranges[r][1] - ranges[r][0] + 1u;
		assert_int_equal(relay_pool_init(&pool, &address, ranges[r][0], ranges[r][1]), 0);
		for (unsigned round = 0; round < 2; round++) {
			uint16_t port;
			check_pool(&pool);
			for (uint32_t i = 0; i < total; i++) {
				assert_int_equal(relay_pool_take(&pool, false, 0, &port), 0);
				assert_in_range(port, ranges[r][0], ranges[r][1]);
				assert_int_equal(
					relay_pool_state(&pool, port), RELAY_PORT_ALLOCATED);
			}
			check_pool(&pool);
			assert_int_equal(relay_pool_take(&pool, false, 0, &port), -ENOSPC);
			assert_int_equal(relay_pool_take(&pool, true, 0, &port), -ENOSPC);
			assert_int_equal(relay_pool_take_pair(&pool, 0, &port), -ENOSPC);
			for (uint32_t p = ranges[r][0]; p <= ranges[r][1]; p++)
				assert_true(relay_pool_change(
					&pool, (uint16_t)p, RELAY_PORT_ALLOCATED, RELAY_PORT_FREE));
		}
		relay_pool_free(&pool);
	}
}

static void test_even_and_pairs(void **state)
{
	(void)state;
	struct net_address address = desk_address("198.51.100.1");
	struct relay_pool pool;
	uint16_t port;
	assert_int_equal(relay_pool_init(&pool, &address, 50001, 50008), 0);
	// 50001 | 50002 3 | 50004 5 | 50006 7 | 50008: three whole pairs, four even ports.
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(relay_pool_take_pair(&pool, 0, &port), 0);
		assert_int_equal(port % 2, 0);
		assert_int_equal(relay_pool_state(&pool, port), RELAY_PORT_ALLOCATED);
		assert_int_equal(
			relay_pool_state(&pool, (uint16_t)(port + 1)), RELAY_PORT_RESERVED);
		check_pool(&pool);
	}
	assert_int_equal(relay_pool_take_pair(&pool, 0, &port), -ENOSPC);
	assert_int_equal(relay_pool_take(&pool, true, 0, &port), 0);
	assert_int_equal(port, 50008);
	assert_int_equal(relay_pool_take(&pool, true, 0, &port), -ENOSPC);
	assert_int_equal(relay_pool_take(&pool, false, 0, &port), 0);
	assert_int_equal(port, 50001);
	assert_int_equal(relay_pool_take(&pool, false, 0, &port), -ENOSPC);
	// Wrong changes change nothing.
	assert_false(relay_pool_change(&pool, 50001, RELAY_PORT_FREE, RELAY_PORT_ALLOCATED));
	assert_false(relay_pool_change(&pool, 50003, RELAY_PORT_ALLOCATED, RELAY_PORT_FREE));
	assert_false(relay_pool_change(&pool, 50000, RELAY_PORT_OUTSIDE, RELAY_PORT_FREE));
	assert_false(relay_pool_change(&pool, 50009, RELAY_PORT_FREE, RELAY_PORT_ALLOCATED));
	assert_false(relay_pool_change(&pool, 0, RELAY_PORT_FREE, RELAY_PORT_ALLOCATED));
	check_pool(&pool);
	relay_pool_free(&pool);
}

static void test_random_operations(void **state)
{
	(void)state;
	struct net_address address = desk_address("198.51.100.1");
	struct relay_pool pool;
	assert_int_equal(relay_pool_init(&pool, &address, 50001, 50062), 0);
	for (unsigned step = 0; step < 20000; step++) {
		uint16_t port = (uint16_t)(50001 + randombytes_uniform(62));
		switch (randombytes_uniform(6)) {
		case 0:
			relay_pool_take(&pool, false, 0, &port);
			break;
		case 1:
			relay_pool_take(&pool, true, 0, &port);
			break;
		case 2:
			relay_pool_take_pair(&pool, 0, &port);
			break;
		default:
			relay_pool_change(&pool, port,
				(enum relay_port_state)(1 + randombytes_uniform(3)),
				(enum relay_port_state)(1 + randombytes_uniform(3)));
			break;
		}
		check_pool(&pool);
		uint32_t even = 0, whole = 0;
		for (uint32_t p = 50000; p <= 50062; p += 2) {
			bool low = relay_pool_state(&pool, (uint16_t)p) == RELAY_PORT_FREE;
			bool high = relay_pool_state(&pool, (uint16_t)(p + 1)) == RELAY_PORT_FREE;
			even += low;
			whole += low && high;
		}
		// What it would give tells what it believes.
		struct relay_pool probe = pool;
		assert_int_equal(probe.start[3] - probe.start[1], even);
		assert_int_equal(probe.start[3] - probe.start[2], whole);
	}
	relay_pool_free(&pool);
}

// Ports nobody can foresee: every free one is drawn about equally often, whether its neighbour is
// free or not. 62 free ports, 62,000 draws: a fair port is drawn 1000 times, sigma about 31; the
// bound is 8 sigma.
static void test_draws_are_uniform(void **state)
{
	(void)state;
	struct net_address address = desk_address("198.51.100.1");
	struct relay_pool pool;
	unsigned drawn[100] = {0};
	assert_int_equal(relay_pool_init(&pool, &address, 50000, 50099), 0);
	for (unsigned i = 0; i < 38; i++)
		assert_true(relay_pool_change(&pool, (uint16_t)(50000 + i * 2 + i % 2),
			RELAY_PORT_FREE, RELAY_PORT_ALLOCATED));
	for (unsigned i = 0; i < 62000; i++) {
		uint16_t port;
		assert_int_equal(relay_pool_take(&pool, false, 0, &port), 0);
		drawn[port - 50000]++;
		relay_pool_change(&pool, port, RELAY_PORT_ALLOCATED, RELAY_PORT_FREE);
	}
	for (unsigned i = 0; i < 100; i++) {
		if (relay_pool_state(&pool, (uint16_t)(50000 + i)) == RELAY_PORT_FREE)
			assert_in_range(drawn[i], 750, 1250);
		else
			assert_int_equal(drawn[i], 0);
	}
	relay_pool_free(&pool);
}

// ---- homes ----

enum { HOMES = 3 };

// Pair i is worker i % 4's; the fourth is nobody's.
static void homes_of(uint8_t homes[static RELAY_POOL_PAIRS])
{
	for (uint32_t i = 0; i < RELAY_POOL_PAIRS; i++)
		homes[i] = i % 4 == HOMES ? RELAY_HOME_NOBODY : (uint8_t)(i % 4);
}

static unsigned home_of(uint16_t port)
{
	return port / 2 % 4;
}

static void check_homes(struct relay_pool *pool)
{
	// Every pair stands in its home's part of the permutation, under its class.
	for (uint32_t pair = 0; pair < pool->pairs; pair++) {
		uint32_t port = (pool->first & ~1u) + pair * 2;
		bool even = port >= pool->first && port <= pool->last &&
			    relay_pool_state(pool, (uint16_t)port) == RELAY_PORT_FREE;
		bool odd = port + 1 <= pool->last &&
			   relay_pool_state(pool, (uint16_t)(port + 1)) == RELAY_PORT_FREE;
		unsigned class = even ? (odd ? 2 : 1) : (odd ? 3 : 0);
		uint32_t part =
			(pool->homes == 1 ? 0 : home_of((uint16_t)port)) * RELAY_PAIR_CLASSES +
			class;
		assert_in_range(pool->place[pair], pool->start[part], pool->start[part + 1] - 1);
		assert_int_equal(pool->order[pool->place[pair]], pair);
	}
}

static void test_homes_keep_conservation(void **state)
{
	(void)state;
	static uint8_t homes[RELAY_POOL_PAIRS];
	struct net_address address = desk_address("198.51.100.1");
	struct relay_pool pool;
	homes_of(homes);
	assert_int_equal(relay_pool_init(&pool, &address, 50001, 50062), 0);
	for (unsigned step = 0; step < 20000; step++) {
		uint16_t port = (uint16_t)(50001 + randombytes_uniform(62));
		unsigned worker = randombytes_uniform(HOMES + 2);
		switch (randombytes_uniform(9)) {
		case 0:
		case 1:
			relay_pool_take(&pool, false, worker, &port);
			break;
		case 2:
			relay_pool_take(&pool, true, worker, &port);
			break;
		case 3:
			relay_pool_take_pair(&pool, worker, &port);
			break;
		case 4: // a dataplane that steers otherwise: what is taken stays taken
			if (step % 16 == 0)
				relay_pool_steer(&pool, step % 32 ? HOMES : 0, homes);
			break;
		default:
			relay_pool_change(&pool, port,
				(enum relay_port_state)(1 + randombytes_uniform(3)),
				(enum relay_port_state)(1 + randombytes_uniform(3)));
			break;
		}
		check_pool(&pool);
		check_homes(&pool);
	}
	relay_pool_free(&pool);
}

// The home's ports first, all of them; then any other, and told so.
static void test_homes_are_drawn_first(void **state)
{
	(void)state;
	static uint8_t homes[RELAY_POOL_PAIRS];
	struct net_address address = desk_address("198.51.100.1");
	struct relay_pool pool;
	uint16_t port;
	homes_of(homes);
	assert_int_equal(relay_pool_init(&pool, &address, 50000, 50079), 0);
	relay_pool_steer(&pool, HOMES, homes);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(relay_pool_take_pair(&pool, 1, &port), 0);
		assert_int_equal(home_of(port), 1);
		assert_true(relay_pool_is_home(&pool, (uint16_t)(port + 1), 1));
		assert_false(relay_pool_is_home(&pool, port, 0));
		assert_int_equal(relay_pool_take(&pool, true, 1, &port), 0);
		assert_int_equal(home_of(port), 1);
	}
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(relay_pool_take(&pool, false, 1, &port), 0);
		assert_int_equal(home_of(port), 1);
	}
	for (unsigned i = 0; i < 60; i++) {
		assert_int_equal(relay_pool_take(&pool, false, 1, &port), 1);
		assert_int_not_equal(home_of(port), 1);
	}
	assert_int_equal(relay_pool_take(&pool, false, 1, &port), -ENOSPC);
	check_pool(&pool);
	// A worker that the homes do not know gets any.
	assert_true(relay_pool_change(&pool, 50002, RELAY_PORT_ALLOCATED, RELAY_PORT_FREE));
	assert_int_equal(relay_pool_take(&pool, false, 60, &port), 1);
	assert_int_equal(port, 50002);
	relay_pool_free(&pool);
}

// Within a home a draw is as uniform as without, and so is what is drawn when it is empty.
static void test_homes_draw_uniformly(void **state)
{
	(void)state;
	static uint8_t homes[RELAY_POOL_PAIRS];
	struct net_address address = desk_address("198.51.100.1");
	homes_of(homes);
	for (unsigned empty = 0; empty < 2; empty++) {
		struct relay_pool pool;
		unsigned drawn[80] = {0};
		assert_int_equal(relay_pool_init(&pool, &address, 50000, 50079), 0);
		relay_pool_steer(&pool, HOMES, homes);
		uint16_t port;
		while (empty && relay_pool_take(&pool, false, 2, &port) == 0)
			;
		unsigned fair = empty ? 59 : 20; // one was taken from elsewhere
		for (unsigned i = 0; i < fair * 1000; i++) {
			assert_int_equal(relay_pool_take(&pool, false, 2, &port), empty);
			drawn[port - 50000]++;
			relay_pool_change(&pool, port, RELAY_PORT_ALLOCATED, RELAY_PORT_FREE);
		}
		unsigned seen = 0;
		for (unsigned i = 0; i < 80; i++) {
			if (drawn[i] == 0)
				continue;
			seen++;
			assert_in_range(drawn[i], 750, 1250);
		}
		assert_int_equal(seen, fair);
		relay_pool_free(&pool);
	}
}

static void test_id_table(void **state)
{
	(void)state;
	enum { KEYS = 500 };
	uint64_t expected[KEYS] = {0}; // value, 0: absent
	struct id_table table;
	id_table_init(&table, sizeof(uint64_t));
	assert_null(id_table_find(&table, 1));
	assert_false(id_table_remove(&table, 1));
	uint32_t live = 0;
	for (unsigned step = 0; step < 200000; step++) {
		// Fill, then drain, then mix: the balance of inserts changes over time.
		bool insert = randombytes_uniform(100) < (step / 20000 % 2 ? 30u : 70u);
		uint32_t i = randombytes_uniform(KEYS);
		// Half the keys are sequence numbers, half look random.
		uint64_t key = i % 2 ? i + 1 : (i + 1) * UINT64_C(0xD1B54A32D192ED03);
		if (insert) {
			uint64_t *value = id_table_insert(&table, key);
			assert_int_equal(*value, expected[i]);
			live += expected[i] == 0;
			*value = expected[i] = step + 1;
		} else {
			assert_int_equal(id_table_remove(&table, key), expected[i] != 0);
			live -= expected[i] != 0;
			expected[i] = 0;
		}
		assert_int_equal(table.count, live);
		uint32_t j = randombytes_uniform(KEYS);
		key = j % 2 ? j + 1 : (j + 1) * UINT64_C(0xD1B54A32D192ED03);
		const uint64_t *found = id_table_find(&table, key);
		assert_int_equal(found == NULL ? 0 : *found, expected[j]);
	}
	uint32_t position = 0, walked = 0;
	uint64_t key;
	void *value;
	while (id_table_next(&table, &position, &key, &value))
		walked++;
	assert_int_equal(walked, live);
	// Nothing of a removed entry stays.
	for (uint32_t i = 0; i < KEYS; i++)
		id_table_remove(&table, i % 2 ? i + 1 : (i + 1) * UINT64_C(0xD1B54A32D192ED03));
	assert_true(sodium_is_zero(table.slots, (size_t)table.capacity * table.slot_size));
	id_table_free(&table);
}

static void test_quota(void **state)
{
	(void)state;
	struct quota quota;
	quota_init(&quota, 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(quota_allows(&quota, 7, 1));
		assert_true(quota_take(&quota, 7));
	}
	assert_false(quota_allows(&quota, 7, 1));
	assert_true(quota_allows(&quota, 8, 3));
	assert_false(quota_allows(&quota, 8, 4));
	quota_take(&quota, 7); // a snapshot may tell of more than is allowed
	assert_int_equal(quota_count(&quota, 7), 4);
	assert_false(quota_allows(&quota, 7, 1));
	for (unsigned i = 0; i < 4; i++)
		quota_give(&quota, 7);
	assert_int_equal(quota.counts.count, 0);
	quota_take(&quota, 0);
	assert_int_equal(quota.counts.count, 0);
	quota_free(&quota);
	quota_init(&quota, 0);
	assert_true(quota_allows(&quota, 7, UINT32_MAX));
	quota_free(&quota);
}

static void test_reservations_expire_in_batches(void **state)
{
	(void)state;
	struct reservations reservations;
	struct reservation out[64];
	reservations_init(&reservations);
	for (uint64_t token = 1; token <= 1000; token++) {
		struct reservation *r = reservations_add(&reservations, token * 0x9E3779B1);
		r->port = (uint16_t)token;
		r->claimed = token % 10 == 0;
		if (token % 7 != 0) // the rest wait for the dataplane
			reservations_start(&reservations, r, token);
	}
	assert_null(reservations_add(&reservations, 0x9E3779B1));
	size_t total = 0, count;
	uint64_t now = RESERVATION_LIFETIME_MS + 500;
	while ((count = reservations_expire(&reservations, now, out, 64)) > 0) {
		for (size_t i = 0; i < count; i++)
			assert_true(out[i].port <= 500 && out[i].port % 7 != 0 &&
				    out[i].port % 10 != 0);
		total += count;
	}
	unsigned expected = 0;
	for (unsigned token = 1; token <= 500; token++)
		expected += token % 7 != 0 && token % 10 != 0;
	assert_int_equal(total, expected);
	assert_int_equal(reservations.by_token.count, 1000 - expected);
	// One given back by a failed claim is due at once.
	struct reservation *claimed = reservations_find(&reservations, 10 * 0x9E3779B1ULL);
	assert_non_null(claimed);
	reservations_unclaim(&reservations, claimed);
	assert_int_equal(reservations_expire(&reservations, now, out, 64), 1);
	assert_int_equal(out[0].port, 10);
	reservations_free(&reservations);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fill_and_drain),
		cmocka_unit_test(test_even_and_pairs),
		cmocka_unit_test(test_random_operations),
		cmocka_unit_test(test_draws_are_uniform),
		cmocka_unit_test(test_homes_keep_conservation),
		cmocka_unit_test(test_homes_are_drawn_first),
		cmocka_unit_test(test_homes_draw_uniformly),
		cmocka_unit_test(test_id_table),
		cmocka_unit_test(test_quota),
		cmocka_unit_test(test_reservations_expire_in_batches),
	};
	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
