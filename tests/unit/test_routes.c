// SPDX-License-Identifier: BSD-3-Clause
// The mirror of the kernel's routing: what a dataplane ends up knowing after events, dumps, lost
// events, full queues and restarts.
#include "tests/unit/routes_bench.h"

static struct api_route *route_told(struct bench *bench, const char *prefix)
{
	struct net_prefix parsed;
	assert_int_equal(net_prefix_parse(prefix, &parsed), 0);
	return told_route(&bench->told, &parsed);
}

static void expect_route(struct bench *bench, const char *prefix, const char *hops)
{
	const struct api_route *route = route_told(bench, prefix);
	struct routes_event expected = route_event(prefix, 0, hops);
	assert_non_null(route);
	assert_int_equal(route->count, expected.route.count);
	assert_memory_equal(
		route->hops, expected.route.hops, route->count * sizeof(route->hops[0]));
}

static void test_links_of_ports_only(void **state)
{
	struct bench *bench = *state;
	assert_int_equal(bench->told.link_count, 2);
	const struct api_link_set *port = told_link(&bench->told, PORT);
	const struct api_link_set *vlan = told_link(&bench->told, VLAN);
	assert_string_equal(port->port_interface, "r0");
	assert_int_equal(port->vlan, 0);
	assert_int_equal(port->mtu, 1500);
	assert_int_equal(port->mac[5], PORT);
	assert_true(port->up);
	assert_string_equal(vlan->port_interface, "r0");
	assert_int_equal(vlan->vlan, 7);
	struct routes_mirror_counts counts;
	routes_mirror_count(bench->mirror, &counts);
	assert_int_equal(counts.links, 2);
	assert_true(routes_mirror_port_up(bench->mirror, "r0"));
	assert_false(routes_mirror_port_up(bench->mirror, "r1"));
}

static void test_link_changes(void **state)
{
	struct bench *bench = *state;
	struct routes_event down = link_event(PORT, "r0");
	down.link.up = false;
	unsigned again = apply(bench, down);
	// Its IPv4 routes went without a word.
	assert_true(again & 1u << ROUTES_DUMP_ROUTES_V4);
	flush(bench);
	assert_int_equal(bench->told.messages, 1);
	assert_false(told_link(&bench->told, PORT)->up);
	assert_int_equal(apply(bench, link_event(PORT, "r0")), 0);
	flush(bench);
	assert_true(told_link(&bench->told, PORT)->up);
	// The same again is no difference.
	apply(bench, link_event(PORT, "r0"));
	flush(bench);
	assert_int_equal(bench->told.messages, 0);
	// Renamed, it is no port any more, and neither is the VLAN interface on it.
	apply(bench, link_event(PORT, "elsewhere"));
	flush(bench);
	assert_int_equal(bench->told.link_count, 0);
	apply(bench, link_event(PORT, "r0"));
	apply_gone(bench, link_event(VLAN, "r0.7"));
	flush(bench);
	assert_int_equal(bench->told.link_count, 1);
}

static void test_vlan_before_its_port(void **state)
{
	struct bench *bench = *state;
	apply(bench, vlan_event(9, "r1.8", SECOND, 8));
	flush(bench);
	assert_int_equal(bench->told.messages, 0);
	routes_mirror_ports(bench->mirror, (const char[][ROUTES_NAME_SIZE]){"r0", "r1"}, 2);
	apply(bench, link_event(SECOND, "r1"));
	flush(bench);
	assert_int_equal(told_link(&bench->told, 9)->vlan, 8);
	assert_string_equal(told_link(&bench->told, 9)->port_interface, "r1");
	// One of a VLAN interface is not one of ours: two tags.
	apply(bench, vlan_event(10, "r1.8.9", 9, 9));
	flush(bench);
	assert_null(told_link(&bench->told, 10));
}

static void test_lowest_metric_wins(void **state)
{
	struct bench *bench = *state;
	apply(bench, route_event("0.0.0.0/0", 200, "192.0.2.200@2"));
	apply(bench, route_event("0.0.0.0/0", 100, "192.0.2.100@2"));
	apply(bench, route_event("0.0.0.0/0", 300, "192.0.2.30@2"));
	flush(bench);
	expect_route(bench, "0.0.0.0/0", "192.0.2.100@2");
	assert_int_equal(bench->told.messages, 1);
	apply_gone(bench, route_event("0.0.0.0/0", 100, "192.0.2.100@2"));
	flush(bench);
	expect_route(bench, "0.0.0.0/0", "192.0.2.200@2");
	apply_gone(bench, route_event("0.0.0.0/0", 300, "192.0.2.30@2"));
	flush(bench);
	assert_int_equal(bench->told.messages, 0);
	apply_gone(bench, route_event("0.0.0.0/0", 200, "192.0.2.200@2"));
	flush(bench);
	assert_null(route_told(bench, "0.0.0.0/0"));
	assert_int_equal(bench->told.route_count, 0);
}

static void test_routes_elsewhere_are_blackholes(void **state)
{
	struct bench *bench = *state;
	apply(bench, route_event("10.0.0.0/8", 0, "192.0.2.1@4"));
	apply(bench, route_event("10.1.0.0/16", 0, "192.0.2.1@4 192.0.2.2@3"));
	apply(bench, route_event("10.2.0.0/16", 0, "192.0.2.1@0")); // encapsulated
	apply(bench, route_event("10.3.0.0/16", 0, ""));
	flush(bench);
	expect_route(bench, "10.0.0.0/8", "");
	expect_route(bench, "10.1.0.0/16", "192.0.2.2@3");
	expect_route(bench, "10.2.0.0/16", "");
	expect_route(bench, "10.3.0.0/16", "");
	// When the interface becomes a port's, the route is there at once.
	routes_mirror_ports(bench->mirror, (const char[][ROUTES_NAME_SIZE]){"r0", "mgmt0"}, 2);
	flush(bench);
	expect_route(bench, "10.0.0.0/8", "192.0.2.1@4");
	expect_route(bench, "10.1.0.0/16", "192.0.2.2@3 192.0.2.1@4");
}

static void test_dead_routes_are_passed_over(void **state)
{
	struct bench *bench = *state;
	struct routes_event dead = route_event("10.0.0.0/8", 1, "192.0.2.1@2");
	dead.route.count = 0;
	apply(bench, dead);
	flush(bench);
	assert_null(route_told(bench, "10.0.0.0/8"));
	apply(bench, route_event("10.0.0.0/8", 2, "192.0.2.2@2"));
	flush(bench);
	expect_route(bench, "10.0.0.0/8", "192.0.2.2@2");
}

static void test_gateway_of_other_family(void **state)
{
	struct bench *bench = *state;
	apply(bench, route_event("10.0.0.0/8", 0, "fe80::1@2"));
	flush(bench);
	expect_route(bench, "10.0.0.0/8", "fe80::1@2");
}

static void test_replaced_route(void **state)
{
	struct bench *bench = *state;
	apply(bench, route_event("10.0.0.0/8", 5, "192.0.2.1@2"));
	struct routes_event event = route_event("10.0.0.0/8", 5, "192.0.2.2@2");
	event.route.replaces = true;
	assert_int_equal(apply(bench, event), 0);
	flush(bench);
	expect_route(bench, "10.0.0.0/8", "192.0.2.2@2");
}

static void test_appended_route_counts_second(void **state)
{
	struct bench *bench = *state;
	apply(bench, route_event("10.0.0.0/8", 5, "192.0.2.1@2"));
	apply(bench, route_event("10.0.0.0/8", 5, "192.0.2.2@2"));
	flush(bench);
	expect_route(bench, "10.0.0.0/8", "192.0.2.1@2");
	// The first goes: what follows is known from a dump only.
	assert_int_equal(apply_gone(bench, route_event("10.0.0.0/8", 5, "192.0.2.1@2")),
		1u << ROUTES_DUMP_ROUTES_V4);
	routes_mirror_dump_begin(bench->mirror, ROUTES_DUMP_ROUTES_V4);
	apply_dumped(bench, route_event("10.0.0.0/8", 5, "192.0.2.2@2"));
	routes_mirror_dump_end(bench->mirror, ROUTES_DUMP_ROUTES_V4);
	flush(bench);
	expect_route(bench, "10.0.0.0/8", "192.0.2.2@2");
	// And it is alone now.
	assert_int_equal(apply_gone(bench, route_event("10.0.0.0/8", 5, "192.0.2.2@2")), 0);
	flush(bench);
	assert_int_equal(bench->told.route_count, 0);
}

static void test_dumped_duplicates(void **state)
{
	struct bench *bench = *state;
	routes_mirror_dump_begin(bench->mirror, ROUTES_DUMP_ROUTES_V4);
	apply_dumped(bench, route_event("10.0.0.0/8", 5, "192.0.2.1@2"));
	apply_dumped(bench, route_event("10.0.0.0/8", 5, "192.0.2.2@2"));
	routes_mirror_dump_end(bench->mirror, ROUTES_DUMP_ROUTES_V4);
	flush(bench);
	expect_route(bench, "10.0.0.0/8", "192.0.2.1@2");
	// The second goes; the first stays, and whether there is more is asked.
	assert_int_equal(apply_gone(bench, route_event("10.0.0.0/8", 5, "192.0.2.2@2")),
		1u << ROUTES_DUMP_ROUTES_V4);
	flush(bench);
	expect_route(bench, "10.0.0.0/8", "192.0.2.1@2");
}

static void test_v6_hops_come_and_go(void **state)
{
	struct bench *bench = *state;
	apply(bench, route_event("2001:db8::/32", 1024, "fe80::1@2"));
	apply(bench, route_event("2001:db8::/32", 1024, "fe80::2@2 fe80::1@2"));
	flush(bench);
	expect_route(bench, "2001:db8::/32", "fe80::1@2 fe80::2@2");
	assert_int_equal(apply_gone(bench, route_event("2001:db8::/32", 1024, "fe80::1@2")), 0);
	flush(bench);
	expect_route(bench, "2001:db8::/32", "fe80::2@2");
	apply_gone(bench, route_event("2001:db8::/32", 1024, "fe80::2@2"));
	flush(bench);
	assert_int_equal(bench->told.route_count, 0);
}

static struct routes_event nexthop_event(uint32_t id, const char *gateway, uint32_t ifindex)
{
	struct routes_event event = {.kind = ROUTES_NEXTHOP};
	event.nexthop.id = id;
	event.nexthop.hop.ifindex = ifindex;
	if (gateway)
		event.nexthop.hop.gateway = address(gateway);
	return event;
}

static void test_nexthop_objects(void **state)
{
	struct bench *bench = *state;
	struct routes_event group = {.kind = ROUTES_NEXTHOP};
	group.nexthop.id = 30;
	group.nexthop.member_count = 2;
	group.nexthop.members[0] = 10;
	group.nexthop.members[1] = 20;
	struct routes_event route = route_event("10.0.0.0/8", 0, "");
	route.route.blackhole = false;
	route.route.nexthop_id = 30;
	apply(bench, route); // before any object is known
	flush(bench);
	assert_null(route_told(bench, "10.0.0.0/8"));
	apply(bench, nexthop_event(10, "192.0.2.10", PORT));
	apply(bench, nexthop_event(20, NULL, VLAN));
	apply(bench, group);
	flush(bench);
	expect_route(bench, "10.0.0.0/8", "192.0.2.10@2 @3");
	apply(bench, nexthop_event(10, "192.0.2.11", PORT));
	flush(bench);
	expect_route(bench, "10.0.0.0/8", "192.0.2.11@2 @3");
	// A blackhole object.
	struct routes_event hole = nexthop_event(30, NULL, 0);
	hole.nexthop.blackhole = true;
	apply(bench, hole);
	flush(bench);
	expect_route(bench, "10.0.0.0/8", "");
	// What used an object that goes is to be read again.
	assert_true(apply_gone(bench, hole) & 1u << ROUTES_DUMP_ROUTES_V4);
	flush(bench);
	assert_null(route_told(bench, "10.0.0.0/8"));
	// A group that claims to hold itself ends, too.
	group.nexthop.members[1] = 30;
	apply(bench, group);
	flush(bench);
	expect_route(bench, "10.0.0.0/8", "192.0.2.11@2");
	routes_mirror_dump_begin(bench->mirror, ROUTES_DUMP_NEXTHOPS);
	routes_mirror_dump_end(bench->mirror, ROUTES_DUMP_NEXTHOPS);
	flush(bench);
	assert_null(route_told(bench, "10.0.0.0/8"));
}

static void test_neighbours(void **state)
{
	struct bench *bench = *state;
	apply(bench, neighbour_event(PORT, "192.0.2.1", 1));
	apply(bench, neighbour_event(VLAN, "fe80::1", 2));
	apply(bench, neighbour_event(OTHER, "192.0.2.1", 3));
	apply(bench, neighbour_event(PORT, "192.0.2.2", 0)); // incomplete
	flush(bench);
	assert_int_equal(bench->told.neighbour_count, 2);
	struct net_address first = address("192.0.2.1");
	assert_int_equal(told_neighbour(&bench->told, PORT, &first)->mac[5], 1);
	// Only a state changed: nothing to tell.
	struct routes_event stale = neighbour_event(PORT, "192.0.2.1", 1);
	stale.neighbour.stale = true;
	apply(bench, stale);
	flush(bench);
	assert_int_equal(bench->told.messages, 0);
	apply(bench, neighbour_event(PORT, "192.0.2.1", 9));
	flush(bench);
	assert_int_equal(told_neighbour(&bench->told, PORT, &first)->mac[5], 9);
	// Failed, and back before anybody looked.
	apply(bench, neighbour_event(PORT, "192.0.2.1", 0));
	apply(bench, neighbour_event(PORT, "192.0.2.1", 9));
	flush(bench);
	assert_int_equal(bench->told.messages, 0);
	apply(bench, neighbour_event(PORT, "192.0.2.1", 0));
	apply_gone(bench, neighbour_event(VLAN, "fe80::1", 2));
	flush(bench);
	assert_int_equal(bench->told.neighbour_count, 0);
	apply_gone(bench, neighbour_event(PORT, "192.0.2.1", 0));
	flush(bench);
	assert_int_equal(bench->told.messages, 0);
}

static void test_wanted(void **state)
{
	struct bench *bench = *state;
	struct net_address known = address("192.0.2.1"), other = address("192.0.2.9");
	struct net_address odd[] = {address("224.0.0.1"), address("255.255.255.255"),
		address("127.0.0.1"), address("0.0.0.0"), address("ff02::1"),
		{.family = 5, .bytes = {1}}};
	apply(bench, neighbour_event(PORT, "192.0.2.1", 1));
	flush(bench);
	assert_int_equal(routes_mirror_wanted(bench->mirror, PORT, &other), ROUTES_WANTED_RESOLVE);
	assert_int_equal(routes_mirror_wanted(bench->mirror, OTHER, &other), ROUTES_WANTED_REFUSED);
	assert_int_equal(routes_mirror_wanted(bench->mirror, 77, &other), ROUTES_WANTED_REFUSED);
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		assert_int_equal(
			routes_mirror_wanted(bench->mirror, PORT, &odd[i]), ROUTES_WANTED_REFUSED);
	// One that we told: the dataplane may have lost it.
	assert_int_equal(routes_mirror_wanted(bench->mirror, PORT, &known), ROUTES_WANTED_KNOWN);
	flush(bench);
	assert_int_equal(bench->told.messages, 1);
	assert_int_equal(bench->told.types[0], API_NEIGHBOUR_SET);
	struct routes_mirror_counts counts;
	routes_mirror_count(bench->mirror, &counts);
	assert_int_equal(counts.neighbours, 1);
}

struct asked {
	size_t count;
	struct net_address addresses[8];
};

static void ask(void *context, uint32_t ifindex, const struct net_address *wanted)
{
	struct asked *asked = context;
	(void)ifindex;
	asked->addresses[asked->count++] = *wanted;
}

static void test_unconfirmed(void **state)
{
	struct bench *bench = *state;
	struct asked asked = {0};
	struct routes_event stale = neighbour_event(PORT, "192.0.2.7", 7);
	stale.neighbour.stale = true;
	apply(bench, stale);
	apply(bench, neighbour_event(PORT, "192.0.2.8", 8)); // confirmed: left alone
	apply(bench, route_event("0.0.0.0/0", 0, "192.0.2.1@2"));
	apply(bench, route_event("10.0.0.0/8", 0, "192.0.2.1@4"));
	flush(bench);
	struct net_address gateway = address("192.0.2.1"), old = address("192.0.2.7");
	routes_mirror_visit_gateways(bench->mirror, ask, &asked);
	assert_int_equal(asked.count, 1);
	assert_true(net_address_equal(&asked.addresses[0], &gateway));
	asked.count = 0;
	routes_mirror_visit_stale(bench->mirror, ask, &asked);
	assert_int_equal(asked.count, 1);
	assert_true(net_address_equal(&asked.addresses[0], &old));
	// Nobody can be asked over a link that is down.
	struct routes_event down = link_event(PORT, "r0");
	down.link.up = false;
	apply(bench, down);
	flush(bench);
	asked.count = 0;
	routes_mirror_visit_gateways(bench->mirror, ask, &asked);
	routes_mirror_visit_stale(bench->mirror, ask, &asked);
	assert_int_equal(asked.count, 0);
}

static void test_order(void **state)
{
	struct bench *bench = *state;
	routes_mirror_ports(bench->mirror, (const char[][ROUTES_NAME_SIZE]){"r0", "r1"}, 2);
	apply(bench, route_event("10.0.0.0/8", 0, "192.0.2.1@5"));
	apply(bench, neighbour_event(SECOND, "192.0.2.1", 1));
	apply(bench, link_event(SECOND, "r1"));
	flush(bench);
	assert_int_equal(bench->told.types[0], API_LINK_SET);
	apply_gone(bench, link_event(SECOND, "r1"));
	apply_gone(bench, neighbour_event(SECOND, "192.0.2.1", 1));
	apply_gone(bench, route_event("10.0.0.0/8", 0, "192.0.2.1@5"));
	flush(bench);
	assert_int_equal(bench->told.messages, 3);
	assert_int_equal(bench->told.types[2], API_LINK_DELETE);
}

static void test_dump_finds_what_went_unsaid(void **state)
{
	struct bench *bench = *state;
	apply(bench, route_event("10.0.0.0/8", 0, "192.0.2.1@2"));
	apply(bench, route_event("10.1.0.0/16", 0, "192.0.2.1@2"));
	apply(bench, route_event("2001:db8::/32", 0, "fe80::1@2"));
	apply(bench, neighbour_event(PORT, "192.0.2.1", 1));
	apply(bench, neighbour_event(PORT, "192.0.2.2", 2));
	flush(bench);
	for (int dump = 0; dump < ROUTES_DUMPS; dump++) {
		if (dump == ROUTES_DUMP_ROUTES_V6)
			continue;
		routes_mirror_dump_begin(bench->mirror, (enum routes_dump)dump);
		if (dump == ROUTES_DUMP_LINKS)
			apply_dumped(bench, link_event(PORT, "r0"));
		if (dump == ROUTES_DUMP_ROUTES_V4) {
			apply_dumped(bench, route_event("10.1.0.0/16", 0, "192.0.2.2@2"));
			apply(bench, route_event("10.2.0.0/16", 0, "192.0.2.2@2")); // meanwhile
		}
		if (dump == ROUTES_DUMP_NEIGHBOURS)
			apply_dumped(bench, neighbour_event(PORT, "192.0.2.2", 2));
		routes_mirror_dump_end(bench->mirror, (enum routes_dump)dump);
	}
	flush(bench);
	assert_null(route_told(bench, "10.0.0.0/8"));
	expect_route(bench, "10.1.0.0/16", "192.0.2.2@2");
	expect_route(bench, "10.2.0.0/16", "192.0.2.2@2");
	expect_route(bench, "2001:db8::/32", "fe80::1@2"); // not of that dump
	assert_int_equal(bench->told.neighbour_count, 1);
	assert_int_equal(bench->told.link_count, 1);
}

static void test_new_dataplane_is_told_all(void **state)
{
	struct bench *bench = *state;
	apply(bench, route_event("10.0.0.0/8", 0, "192.0.2.1@2"));
	apply(bench, neighbour_event(PORT, "192.0.2.1", 1));
	flush(bench);
	memset(&bench->told, 0, sizeof(bench->told));
	// What goes while there is nobody to tell is no delete for the next one.
	routes_mirror_forget_sent(bench->mirror);
	apply_gone(bench, link_event(VLAN, "r0.7"));
	apply(bench, route_event("11.0.0.0/8", 0, "192.0.2.1@2"));
	apply_gone(bench, route_event("11.0.0.0/8", 0, "192.0.2.1@2"));
	flush(bench);
	assert_int_equal(bench->told.link_count, 1);
	assert_int_equal(bench->told.route_count, 1);
	assert_int_equal(bench->told.neighbour_count, 1);
	assert_int_equal(bench->told.messages, 3);
}

static void test_addresses(void **state)
{
	struct bench *bench = *state;
	struct routes_event first = {.kind = ROUTES_ADDRESS};
	first.address = (struct routes_address){PORT, address("192.0.2.1")};
	struct routes_event again = first;
	again.address.ifindex = OTHER; // the same on two interfaces
	assert_false(routes_mirror_addresses_changed(bench->mirror));
	apply(bench, first);
	apply(bench, again);
	assert_true(routes_mirror_addresses_changed(bench->mirror));
	assert_false(routes_mirror_addresses_changed(bench->mirror));
	struct net_address list[4];
	assert_int_equal(routes_mirror_addresses(bench->mirror, list, 4), 1);
	assert_true(net_address_equal(&list[0], &first.address.address));
	// Routes that had it as their source are not reported.
	assert_int_equal(apply_gone(bench, first), 1u << ROUTES_DUMP_ROUTES_V4);
	assert_int_equal(routes_mirror_addresses(bench->mirror, list, 4), 1);
	apply_gone(bench, again);
	assert_int_equal(routes_mirror_addresses(bench->mirror, list, 4), 0);
	apply(bench, first);
	routes_mirror_addresses_changed(bench->mirror);
	routes_mirror_dump_begin(bench->mirror, ROUTES_DUMP_ADDRESSES);
	routes_mirror_dump_end(bench->mirror, ROUTES_DUMP_ADDRESSES);
	assert_true(routes_mirror_addresses_changed(bench->mirror));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(test_links_of_ports_only),
		TEST(test_link_changes),
		TEST(test_vlan_before_its_port),
		TEST(test_lowest_metric_wins),
		TEST(test_routes_elsewhere_are_blackholes),
		TEST(test_dead_routes_are_passed_over),
		TEST(test_gateway_of_other_family),
		TEST(test_replaced_route),
		TEST(test_appended_route_counts_second),
		TEST(test_dumped_duplicates),
		TEST(test_v6_hops_come_and_go),
		TEST(test_nexthop_objects),
		TEST(test_neighbours),
		TEST(test_wanted),
		TEST(test_unconfirmed),
		TEST(test_order),
		TEST(test_dump_finds_what_went_unsaid),
		TEST(test_new_dataplane_is_told_all),
		TEST(test_addresses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
