// SPDX-License-Identifier: BSD-3-Clause
// Installs: errors as messages.h says, all or nothing, limits, the flood rule, and that nothing of
// a mapping stays in memory once it has ended.
#include "tests/unit/relay_world.h"

#include <errno.h>
#include <stddef.h>

static struct mappings_usage usage(void)
{
	struct mappings_usage u;
	mappings_usage(world.workers[0].mappings, &u);
	return u;
}

static void allocation_conflicts(void **state)
{
	(void)state;
	world_open();
	assert_int_equal(install_allocation_for(0, 0, 1), 0);
	assert_int_equal(install_allocation_for(0, 0, 2), -EEXIST);
	// The same port for another client, first of IPv6 only: the IPv4 port taken on the way is
	// given back.
	struct api_allocation_install a = allocation_for(1, 2);
	a.relayed[1].port = relayed_of_id(1, 1).port;
	assert_int_equal(install(0, API_ALLOCATION_INSTALL, &a, sizeof(a)), -EADDRINUSE);
	struct relay_port_owner owner;
	assert_false(relay_ports_find(world.relay_ports, 0, relayed_of_id(0, 2).port, &owner));
	assert_true(relay_ports_find(world.relay_ports, 1, relayed_of_id(1, 1).port, &owner));
	assert_int_equal(usage().allocations, 1);
	a.relayed[1].port++;
	assert_int_equal(install(0, API_ALLOCATION_INSTALL, &a, sizeof(a)), 0);
	assert_int_equal(usage().allocations, 2);
	world_close();
}

static void allocation_malformed(void **state)
{
	(void)state;
	world_open();
	struct api_allocation_install good = allocation_for(0, 1), a;
#define refused(change)                                                                            \
	do {                                                                                       \
		a = good;                                                                          \
		change;                                                                            \
		assert_int_equal(install(0, API_ALLOCATION_INSTALL, &a, sizeof(a)), -EINVAL);      \
	} while (0)
	refused(a.allocation_id = 0);
	refused(a.worker = 1);
	refused(a.client.port = 0);
	refused(a.client = endpoint(world_client[1], 40000));
	refused(a.client = endpoint(world_server[0], 40000));
	refused(a.server.port = 3479);
	refused(a.server = endpoint("192.0.2.9", 3478));
	refused(a.relayed[0] = a.relayed[1]);
	refused(a.relayed[0].port = 3478);
	refused(a.relayed[0] = endpoint("192.0.2.9", 50000));
	refused((a.relayed[0] = (struct net_endpoint){0}, a.relayed[1] = a.relayed[0]));
#undef refused
	assert_int_equal(install(0, API_ALLOCATION_INSTALL, &good, sizeof(good) - 1), -EINVAL);
	assert_int_equal(install(0, 999, &good, sizeof(good)), -EINVAL);
	assert_int_equal(usage().allocations, 0);
	world_close();
}

static void pool_and_flood_limits(void **state)
{
	(void)state;
	world_open_with(false, 16);
	struct api_allocation_install a = allocation_for(0, 1);
	for (unsigned i = 0; i < 16; i++) {
		a.allocation_id = 100 + i;
		a.client.port = (uint16_t)(1000 + i);
		a.relayed[0].port = a.relayed[1].port = (uint16_t)(51000 + i);
		assert_int_equal(install(0, API_ALLOCATION_INSTALL, &a, sizeof(a)), 0);
	}
	a.allocation_id = 99;
	a.client.port = 999;
	a.relayed[0].port = a.relayed[1].port = 50999;
	assert_int_equal(install(0, API_ALLOCATION_INSTALL, &a, sizeof(a)), -ENOSPC);
	struct relay_port_owner owner;
	assert_false(relay_ports_find(world.relay_ports, 0, 50999, &owner));
	// A second's worth of attempts spends the flood rule; existing mappings are not asked.
	int result = 0;
	unsigned attempts = 0;
	while (result != -EAGAIN && attempts++ <= GUARD_NEW_ALLOCATIONS)
		result = install(0, API_ALLOCATION_INSTALL, &a, sizeof(a));
	assert_int_equal(result, -EAGAIN);
	assert_int_equal(world.workers[0].stats.event[EVENT_flood_refused], 1);
	struct api_allocation_change change = {.allocation_id = 100, .lifetime_ms = 1000};
	assert_int_equal(install(0, API_ALLOCATION_REFRESH, &change, sizeof(change)), 0);
	world.now += seconds(1) / 1000;
	assert_int_equal(install(0, API_ALLOCATION_INSTALL, &a, sizeof(a)), -ENOSPC);
	world_close();
}

static void refresh_and_remove(void **state)
{
	(void)state;
	world_open();
	assert_int_equal(install_allocation_for(0, 0, 1), 0);
	struct api_allocation_change change = {.allocation_id = 1, .lifetime_ms = 1200000};
	world.now += seconds(500);
	assert_int_equal(install(0, API_ALLOCATION_REFRESH, &change, sizeof(change)), 0);
	struct api_snapshot_item items[4];
	uint32_t position = 0;
	assert_int_equal(
		mappings_snapshot(world.workers[0].mappings, &position, items, 4, world.now), 1);
	assert_true(items[0].remaining_ms >= 1200000 && items[0].remaining_ms < 1200020);
	assert_int_equal(items[0].allocation_id, 1);
	assert_int_equal(items[0].credential_tag, 0x1111111111111111);
	struct net_endpoint relayed = relayed_of_id(1, 1);
	assert_endpoint(&items[0].relayed[1], &relayed);
	assert_int_equal(
		mappings_snapshot(world.workers[0].mappings, &position, items, 4, world.now), 0);
	assert_int_equal(install(0, API_ALLOCATION_REMOVE, &change, sizeof(change)), 0);
	assert_int_equal(install(0, API_ALLOCATION_REMOVE, &change, sizeof(change)), -ENOENT);
	assert_int_equal(install(0, API_ALLOCATION_REFRESH, &change, sizeof(change)), -ENOENT);
	assert_int_equal(world.expired_count, 0);
	// Both the 5-tuple and the ports are free again.
	assert_int_equal(install_allocation_for(0, 0, 1), 0);
	world_close();
}

// RFC 8656 8.1: a dual allocation may lose one address; what belongs to the other family stays.
static void one_family_ends(void **state)
{
	(void)state;
	for (unsigned side = 0; side < 2; side++) {
		world_open();
		assert_int_equal(install_allocation_for(0, 0, 1), 0);
		for (unsigned p = 0; p < 2; p++)
			for (uint16_t i = 0; i < 5; i++)
				assert_int_equal(
					install_channel(0, 1, (uint16_t)(0x4000 + 10 * p + i),
						world_peer[p], (uint16_t)(5000 + i)),
					0);
		struct api_allocation_change change = {
			.allocation_id = 1, .family = side ? NET_IPV6 : NET_IPV4};
		assert_int_equal(install(0, API_ALLOCATION_REMOVE, &change, sizeof(change)), 0);
		assert_int_equal(usage().allocations, 1);
		assert_int_equal(usage().channels, 5);
		assert_int_equal(usage().permissions, 1);
		struct relay_port_owner owner;
		uint16_t port = relayed_of_id(0, 1).port;
		assert_int_equal(relay_ports_find(world.relay_ports, 0, port, &owner), side == 1);
		assert_int_equal(relay_ports_find(world.relay_ports, 1, port, &owner), side == 0);
		assert_int_equal(install_permission(0, 1, world_peer[side]), -EINVAL);
		assert_int_equal(install_permission(0, 1, world_peer[!side]), 0);
		assert_int_equal(
			install(0, API_ALLOCATION_REMOVE, &change, sizeof(change)), -EINVAL);
		change.family = 0;
		assert_int_equal(install(0, API_ALLOCATION_REMOVE, &change, sizeof(change)), 0);
		assert_int_equal(usage().allocations + usage().channels, 0);
		assert_false(relay_ports_find(world.relay_ports, 0, port, &owner));
		assert_false(relay_ports_find(world.relay_ports, 1, port, &owner));
		world_close();
	}
}

// A 5-tuple whose allocation has run out but was not scanned yet is free; the control plane hears.
static void expired_makes_room(void **state)
{
	(void)state;
	world_open();
	assert_int_equal(install_allocation_for(0, 0, 1), 0);
	world.now += seconds(601);
	struct api_allocation_change change = {.allocation_id = 1, .lifetime_ms = 1000};
	assert_int_equal(install(0, API_ALLOCATION_REFRESH, &change, sizeof(change)), -ENOENT);
	assert_int_equal(install_permission(0, 1, world_peer[0]), -ENOENT);
	assert_int_equal(install_channel(0, 1, 0x4000, world_peer[0], 1), -ENOENT);
	assert_int_equal(install_allocation_for(0, 0, 2), 0);
	assert_int_equal(world.expired_count, 1);
	assert_int_equal(world.expired_id, 1);
	world_close();
}

static int permissions_many(uint64_t id, unsigned first, unsigned count)
{
	static struct {
		struct api_permissions_install head;
		struct net_address peers[API_PERMISSIONS_MAX];
	} p;
	p.head = (struct api_permissions_install){
		.allocation_id = id, .lifetime_ms = 300000, .count = (uint16_t)count};
	for (unsigned i = 0; i < count && i < API_PERMISSIONS_MAX; i++) {
		p.peers[i] = address("203.0.113.0");
		p.peers[i].bytes[3] = (uint8_t)(first + i);
	}
	return install(0, API_PERMISSIONS_INSTALL, &p,
		sizeof(p.head) + count * sizeof(struct net_address));
}

static void permissions_all_or_none(void **state)
{
	(void)state;
	world_open();
	assert_int_equal(install_allocation_for(0, 0, 1), 0);
	assert_int_equal(permissions_many(1, 0, 32), 0);
	assert_int_equal(permissions_many(1, 32, 20), 0);
	assert_int_equal(usage().permissions, 52);
	// Twenty old, twelve new: exactly the limit of 64. Then one more than there is room for.
	assert_int_equal(permissions_many(1, 32, 32), 0);
	assert_int_equal(usage().permissions, 64);
	assert_int_equal(permissions_many(1, 60, 5), -ENOSPC);
	assert_int_equal(usage().permissions, 64);
	assert_int_equal(permissions_many(2, 0, 1), -ENOENT);
	assert_int_equal(permissions_many(1, 0, 0), -EINVAL);
	assert_int_equal(permissions_many(1, 0, 33), -EINVAL);
	// The same address twice in one request is one permission.
	struct {
		struct api_permissions_install head;
		struct net_address peers[2];
	} twice = {.head = {.allocation_id = 2, .lifetime_ms = 300000, .count = 2},
		.peers = {address(world_peer[0]), address(world_peer[0])}};
	assert_int_equal(install_allocation_for(0, 1, 2), 0);
	assert_int_equal(install(0, API_PERMISSIONS_INSTALL, &twice,
				 sizeof(twice.head) + sizeof(twice.peers)),
		0);
	assert_int_equal(usage().permissions, 65);
	world_close();
}

static void channel_conflicts(void **state)
{
	(void)state;
	world_open();
	assert_int_equal(install_allocation_for(0, 0, 1), 0);
	assert_int_equal(install_channel(0, 1, 0x4001, world_peer[0], 5000), 0);
	assert_int_equal(install_channel(0, 1, 0x4001, world_peer[0], 5000), 0);
	assert_int_equal(usage().channels, 1);
	assert_int_equal(usage().permissions, 1);
	assert_int_equal(install_channel(0, 1, 0x4001, world_peer[0], 5001), -EADDRINUSE);
	assert_int_equal(install_channel(0, 1, 0x4002, world_peer[0], 5000), -EADDRINUSE);
	assert_int_equal(install_channel(0, 1, 0x4002, world_peer[0], 5001), 0);
	assert_int_equal(install_channel(0, 1, 0x4001, world_peer[0], 5001), -EADDRINUSE);
	assert_int_equal(install_channel(0, 1, 0x3FFF, world_peer[0], 9), -EINVAL);
	assert_int_equal(install_channel(0, 1, 0x5000, world_peer[0], 9), -EINVAL);
	assert_int_equal(install_channel(0, 1, 0x4003, world_peer[0], 0), -EINVAL);
	// Once the binding has run out both may be bound anew, crosswise.
	struct api_allocation_change change = {.allocation_id = 1, .lifetime_ms = 3600000};
	assert_int_equal(install(0, API_ALLOCATION_REFRESH, &change, sizeof(change)), 0);
	world.now += seconds(601);
	assert_int_equal(install_channel(0, 1, 0x4001, world_peer[0], 5001), 0);
	assert_int_equal(install_channel(0, 1, 0x4002, world_peer[0], 5000), 0);
	world_close();
}

static void channel_limit(void **state)
{
	(void)state;
	world_open();
	assert_int_equal(install_allocation_for(0, 0, 1), 0);
	for (uint16_t i = 0; i < MAPPINGS_CHANNELS_MAX; i++)
		assert_int_equal(install_channel(0, 1, (uint16_t)(0x4000 + i), world_peer[0],
					 (uint16_t)(5000 + i)),
			0);
	assert_int_equal(install_channel(0, 1, 0x4FFF, world_peer[0], 9), -ENOSPC);
	assert_int_equal(usage().channels, MAPPINGS_CHANNELS_MAX);
	world_close();
}

static bool memory_holds(const void *memory, size_t size, const void *what, size_t length)
{
	return memmem(memory, size, what, length) != NULL;
}

static bool mappings_hold(const void *what, size_t length)
{
	const struct mappings *m = world.workers[0].mappings;
	return memory_holds(m->allocations, m->allocation_pool.size * sizeof(struct allocation),
		       what, length) ||
	       memory_holds(
		       m->sessions, m->session_pool.size * sizeof(struct session), what, length) ||
	       memory_holds(m->permissions, m->permission_pool.size * sizeof(struct permission),
		       what, length) ||
	       memory_holds(m->held, sizeof(*m->held), what, length);
}

static void buckets_are_empty(const struct flow_table *table)
{
	const uint8_t *p = (const uint8_t *)table->buckets;
	for (size_t i = 0; i < (table->mask + 1) * sizeof(struct flow_bucket); i++)
		assert_int_equal(p[i], 0);
}

// Every byte but generations and free lists is zero again.
static void ended_is_wiped(void **state)
{
	(void)state;
	for (unsigned way = 0; way < 3; way++) {
		world_open();
		struct mappings *m = world.workers[0].mappings;
		for (unsigned family = 0; family < 2; family++) {
			uint64_t id = family + 1;
			assert_int_equal(install_allocation_for(0, family, id), 0);
			assert_int_equal(install_permission(0, id, world_peer[0]), 0);
			assert_int_equal(install_channel(0, id, 0x4001, world_peer[1], 5000), 0);
		}
		struct net_address client[2] = {address(world_client[0]), address(world_client[1])};
		struct net_address peer[2] = {address(world_peer[0]), address(world_peer[1])};
		assert_true(mappings_hold(client[0].bytes, 4));
		assert_true(mappings_hold(client[1].bytes, 16));
		assert_true(mappings_hold(peer[0].bytes, 4));
		assert_true(mappings_hold(peer[1].bytes, 16));
		if (way == 0) {
			struct api_allocation_change change = {.allocation_id = 1};
			install(0, API_ALLOCATION_REMOVE, &change, sizeof(change));
			change.allocation_id = 2;
			install(0, API_ALLOCATION_REMOVE, &change, sizeof(change));
		} else if (way == 1) {
			install_end_all(&world.workers[0]);
		} else {
			world.now += seconds(601);
			for (unsigned i = 0; i < 100; i++)
				expiry_scan(&world.workers[0], world.now, 64);
			assert_int_equal(world.expired_count, 2);
		}
		assert_int_equal(usage().allocations + usage().permissions + usage().channels, 0);
		assert_false(mappings_hold(client[0].bytes, 4));
		assert_false(mappings_hold(client[1].bytes, 16));
		assert_false(mappings_hold(peer[0].bytes, 4));
		assert_false(mappings_hold(peer[1].bytes, 16));
		assert_false(mappings_hold("transaction", 11));
		for (uint32_t i = 0; i < m->allocation_pool.size; i++)
			m->allocations[i].generation = 0;
		static const struct allocation no_allocation;
		static const struct session no_session;
		static const struct session_chain no_chain;
		static const struct permission no_permission;
		for (uint32_t i = 0; i < m->allocation_pool.size; i++)
			assert_memory_equal(
				&m->allocations[i], &no_allocation, sizeof(no_allocation));
		for (uint32_t i = 0; i < m->session_pool.size; i++) {
			assert_memory_equal(&m->sessions[i], &no_session, sizeof(no_session));
			assert_memory_equal(&m->session_chains[i], &no_chain, sizeof(no_chain));
			assert_memory_equal(
				&m->permissions[i], &no_permission, sizeof(no_permission));
			assert_int_equal(m->session_pool.due[i] | m->permission_pool.due[i], 0);
		}
		buckets_are_empty(&m->by_client);
		buckets_are_empty(&m->by_id);
		buckets_are_empty(&m->by_channel);
		buckets_are_empty(&m->by_peer);
		buckets_are_empty(&m->by_permission);
		struct relay_port_owner owner;
		assert_false(
			relay_ports_find(world.relay_ports, 0, relayed_of_id(0, 1).port, &owner));
		world_close();
	}
}

// A drain deadline over many allocations, and a snapshot of a large table: piece by piece.
static void large_tables_bounded(void **state)
{
	(void)state;
	enum { SIZE = 20000, LIVE = 100 };
	world_open_with(false, SIZE);
	for (uint16_t i = 0; i < LIVE; i++) {
		struct api_allocation_install a = allocation_for(0, i + 1u);
		a.client.port = (uint16_t)(40000 + i);
		assert_int_equal(install(0, API_ALLOCATION_INSTALL, &a, sizeof(a)), 0);
	}
	struct mappings *m = world.workers[0].mappings;
	struct api_snapshot_item items[32];
	unsigned told = 0, calls = 0;
	for (uint32_t position = 0, before = 0;; before = position, calls++) {
		unsigned count = mappings_snapshot(m, &position, items, 32, world.now);
		assert_true(position - before <= SIZE / 2);
		told += count;
		if (count == 0 && position == before)
			break;
	}
	assert_int_equal(told, LIVE);
	assert_true(calls > LIVE / 32);
	uint32_t position = 0;
	unsigned pieces = 1;
	for (uint64_t left = LIVE; !install_end_some(&world.workers[0], &position); pieces++) {
		assert_true(left - usage().allocations <= LIVE / 2);
		left = usage().allocations;
	}
	assert_true(pieces > 2);
	assert_int_equal(usage().allocations, 0);
	world_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(allocation_conflicts),
		cmocka_unit_test(allocation_malformed),
		cmocka_unit_test(pool_and_flood_limits),
		cmocka_unit_test(refresh_and_remove),
		cmocka_unit_test(one_family_ends),
		cmocka_unit_test(expired_makes_room),
		cmocka_unit_test(permissions_all_or_none),
		cmocka_unit_test(channel_conflicts),
		cmocka_unit_test(channel_limit),
		cmocka_unit_test(ended_is_wiped),
		cmocka_unit_test(large_tables_bounded),
	};
	return cmocka_run_group_tests(tests, world_setup, NULL);
}
