// SPDX-License-Identifier: BSD-3-Clause
// Routes, links and neighbours: longest prefix, replacement, equal cost, mark and sweep, and that a
// cached next hop is never used for another neighbour than the one it was found for.
#include "tests/unit/relay_world.h"

#include <errno.h>

static const uint8_t mac_a[6] = {2, 0, 0, 0, 0, 0xA}, mac_b[6] = {2, 0, 0, 0, 0, 0xB};

struct answer {
	enum next_hop_verdict verdict;
	uint16_t index;
	uint32_t epoch;
	struct api_neighbour_wanted wanted;
	struct next_hop_view view;
};

static struct answer ask(const char *destination, uint32_t flow)
{
	struct answer a = {.index = NEXT_HOP_NONE};
	struct net_address to = address(destination);
	a.verdict = next_hops_resolve(world.next_hops, &to, flow, &a.index, &a.epoch, &a.wanted);
	if (a.verdict == NEXT_HOP_FOUND)
		assert_true(next_hop_read(world.next_hops, a.index, a.epoch, &a.view));
	return a;
}

static void set(struct api_route route)
{
	assert_int_equal(next_hops_route_set(world.next_hops, &route), 0);
}

static void longest_prefix_wins(void **state)
{
	(void)state;
	world_open();
	world_neighbour("192.0.2.10", mac_a);
	set(world_route("203.0.113.0", 24, "192.0.2.10"));
	assert_memory_equal(ask("203.0.113.77", 0).view.header, mac_a, 6);
	assert_memory_equal(ask("203.0.112.77", 0).view.header, world_gateway_mac, 6);
	// A blackhole inside it, a host route inside the blackhole.
	struct api_route hole = world_route("203.0.113.64", 26, NULL);
	hole.count = 0;
	set(hole);
	set(world_route("203.0.113.77", 32, "192.0.2.254"));
	assert_int_equal(ask("203.0.113.78", 0).verdict, NEXT_HOP_BLACKHOLE);
	assert_memory_equal(ask("203.0.113.77", 0).view.header, world_gateway_mac, 6);
	assert_int_equal(next_hops_route_delete(world.next_hops, &hole.prefix), 0);
	assert_int_equal(next_hops_route_delete(world.next_hops, &hole.prefix), -ENOENT);
	assert_memory_equal(ask("203.0.113.78", 0).view.header, mac_a, 6);
	// IPv6, and an IPv6 gateway of an IPv4 route (RFC 8950).
	set(world_route("2001:db8:d::", 48, "fe80::fe"));
	assert_int_equal(ask(world_peer[1], 0).verdict, NEXT_HOP_FOUND);
	set(world_route("203.0.113.0", 24, "fe80::fe"));
	assert_memory_equal(ask("203.0.113.77", 0).view.header, world_gateway_mac, 6);
	world_close();
}

static void no_route_and_malformed(void **state)
{
	(void)state;
	world_open();
	struct api_route all = world_route("0.0.0.0", 0, NULL);
	assert_int_equal(next_hops_route_delete(world.next_hops, &all.prefix), 0);
	assert_int_equal(ask("203.0.113.1", 0).verdict, NEXT_HOP_NO_ROUTE);
	struct api_route bad = world_route("203.0.113.1", 24, NULL);
	assert_int_equal(next_hops_route_set(world.next_hops, &bad), -EINVAL);
	bad = world_route("203.0.113.0", 33, NULL);
	assert_int_equal(next_hops_route_set(world.next_hops, &bad), -EINVAL);
	bad = world_route("203.0.113.0", 24, NULL);
	bad.count = API_NEXT_HOPS_MAX + 1;
	assert_int_equal(next_hops_route_set(world.next_hops, &bad), -EINVAL);
	world_close();
}

static void on_link(void **state)
{
	(void)state;
	world_open();
	set(world_route("192.0.2.0", 24, NULL));
	struct answer a = ask("192.0.2.77", 0);
	assert_int_equal(a.verdict, NEXT_HOP_UNRESOLVED);
	struct net_address want = address("192.0.2.77");
	assert_memory_equal(&a.wanted.address, &want, sizeof(want));
	assert_int_equal(a.wanted.ifindex, WORLD_IFINDEX);
	world_neighbour("192.0.2.77", mac_a);
	assert_memory_equal(ask("192.0.2.77", 0).view.header, mac_a, 6);
	world_close();
}

static void equal_cost(void **state)
{
	(void)state;
	world_open();
	world_neighbour("192.0.2.10", mac_a);
	world_neighbour("192.0.2.11", mac_b);
	struct api_route route = world_route("203.0.113.0", 24, "192.0.2.10");
	route.count = 2;
	route.hops[1] = (struct api_next_hop){WORLD_IFINDEX, address("192.0.2.11")};
	set(route);
	unsigned a = 0, b = 0;
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t flow = i << 24;
		struct answer first = ask("203.0.113.1", flow), again = ask("203.0.113.1", flow);
		assert_int_equal(first.index, again.index);
		a += memcmp(first.view.header, mac_a, 6) == 0;
		b += memcmp(first.view.header, mac_b, 6) == 0;
	}
	assert_int_equal(a, 128);
	assert_int_equal(b, 128);
	// One of the two links goes away: all flows take the other.
	route.hops[1].ifindex = 99;
	set(route);
	for (uint32_t i = 0; i < 256; i++)
		assert_memory_equal(ask("203.0.113.1", i << 24).view.header, mac_a, 6);
	world_close();
}

static void links(void **state)
{
	(void)state;
	world_open();
	struct answer before = ask("203.0.113.1", 0);
	assert_int_equal(before.view.header_length, 12);
	world_link(42, 1400, true);
	// In the cached line at once; the routes count as changed.
	struct next_hop_view view;
	assert_true(next_hop_read(world.next_hops, before.index, before.epoch, &view));
	assert_int_equal(view.header_length, 16);
	assert_int_equal(((const uint8_t *)view.header)[15], 42);
	assert_int_equal(view.mtu, 1400);
	assert_false(next_hops_fresh(world.next_hops, before.epoch));
	assert_true(next_hops_fresh(world.next_hops, ask("203.0.113.1", 0).epoch));
	world_link(42, 1400, false);
	assert_int_equal(ask("203.0.113.1", 0).verdict, NEXT_HOP_LINK_DOWN);
	world_link(0, 1500, true);
	assert_int_equal(next_hops_link_delete(world.next_hops, WORLD_IFINDEX), 0);
	assert_int_equal(next_hops_link_delete(world.next_hops, WORLD_IFINDEX), -ENOENT);
	assert_int_equal(ask("203.0.113.1", 0).verdict, NEXT_HOP_LINK_DOWN);
	// A link of an interface that is no port of ours.
	struct api_link_set other = {.ifindex = WORLD_IFINDEX, .mtu = 1500, .up = 1};
	strcpy(other.port_interface, "eth-other");
	assert_int_equal(next_hops_link_set(world.next_hops, &other), 0);
	assert_int_equal(ask("203.0.113.1", 0).verdict, NEXT_HOP_LINK_DOWN);
	world_close();
}

// A neighbour is deleted and its slot given to another: who has cached the first must not send to
// the second.
static void a_slot_changes_hands(void **state)
{
	(void)state;
	world_open();
	set(world_route("192.0.2.0", 24, NULL));
	world_neighbour("192.0.2.77", mac_a);
	struct answer cached = ask("192.0.2.77", 0);
	struct api_neighbour gone = {.ifindex = WORLD_IFINDEX, .address = address("192.0.2.77")};
	assert_int_equal(next_hops_neighbour_delete(world.next_hops, &gone), 0);
	struct next_hop_view view;
	assert_false(next_hop_read(world.next_hops, cached.index, cached.epoch, &view));
	world_neighbour("192.0.2.78", mac_b);
	assert_int_equal(ask("192.0.2.78", 0).index, cached.index);
	assert_true(next_hops_fresh(world.next_hops, cached.epoch));
	assert_false(next_hop_read(world.next_hops, cached.index, cached.epoch, &view));
	// A new MAC for the same neighbour needs no new look-up.
	cached = ask("192.0.2.78", 0);
	world_neighbour("192.0.2.78", mac_a);
	assert_true(next_hop_read(world.next_hops, cached.index, cached.epoch, &view));
	assert_memory_equal(view.header, mac_a, 6);
	world_close();
}

static void mark_and_sweep(void **state)
{
	(void)state;
	world_open();
	set(world_route("203.0.113.0", 24, "192.0.2.254"));
	world_neighbour("192.0.2.10", mac_a);
	struct answer before = ask("198.51.100.1", 0);
	next_hops_mark(world.next_hops);
	// The same again but the /24 and one neighbour: nothing that stays counts as changed.
	world_link(0, 1500, true);
	world_routes();
	assert_true(next_hops_fresh(world.next_hops, before.epoch));
	next_hops_sweep(world.next_hops);
	assert_int_equal(ask("203.0.113.1", 0).index, before.index);
	struct api_route gone = world_route("203.0.113.0", 24, NULL);
	assert_int_equal(next_hops_route_delete(world.next_hops, &gone.prefix), -ENOENT);
	struct api_neighbour neighbour = {
		.ifindex = WORLD_IFINDEX, .address = address("192.0.2.10")};
	assert_int_equal(next_hops_neighbour_delete(world.next_hops, &neighbour), -ENOENT);
	next_hops_mark(world.next_hops);
	next_hops_sweep(world.next_hops);
	assert_int_equal(ask("203.0.113.1", 0).verdict, NEXT_HOP_NO_ROUTE);
	world_close();
}

// While main writes nobody waits.
static void busy_is_an_answer(void **state)
{
	(void)state;
	world_open();
	rte_rwlock_write_lock(&world.next_hops->lock);
	assert_int_equal(ask("203.0.113.1", 0).verdict, NEXT_HOP_BUSY);
	rte_rwlock_write_unlock(&world.next_hops->lock);
	assert_int_equal(ask("203.0.113.1", 0).verdict, NEXT_HOP_FOUND);
	world_close();
}

static void many_routes(void **state)
{
	(void)state;
	world_open();
	for (unsigned i = 0; i < 50000; i++) {
		struct api_route route = world_route("10.0.0.0", 24, "192.0.2.254");
		route.prefix.address.bytes[1] = (uint8_t)(i >> 8);
		route.prefix.address.bytes[2] = (uint8_t)i;
		route.prefix.address.bytes[0] = (uint8_t)(10 + (i >> 16));
		set(route);
	}
	assert_int_equal(ask("10.9.9.9", 0).verdict, NEXT_HOP_FOUND);
	next_hops_mark(world.next_hops);
	next_hops_sweep(world.next_hops);
	assert_int_equal(ask("10.9.9.9", 0).verdict, NEXT_HOP_NO_ROUTE);
	world_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(longest_prefix_wins),
		cmocka_unit_test(no_route_and_malformed),
		cmocka_unit_test(on_link),
		cmocka_unit_test(equal_cost),
		cmocka_unit_test(links),
		cmocka_unit_test(a_slot_changes_hands),
		cmocka_unit_test(mark_and_sweep),
		cmocka_unit_test(busy_is_an_answer),
		cmocka_unit_test(many_routes),
	};
	return cmocka_run_group_tests(tests, world_setup, NULL);
}
