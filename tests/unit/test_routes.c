// SPDX-License-Identifier: BSD-3-Clause
// The mirror of the kernel's routing: what a dataplane ends up knowing after events, dumps, lost
// events, full queues and restarts. The last test plays a random kernel and compares.
#include "controlplane/routes_mirror.h"
#include "lib/net/address_text.h"
#include "tests/unit/routes_told.h"

#include <stdio.h>
#include <stdlib.h>

enum { PORT = 2, VLAN = 3, OTHER = 4, SECOND = 5 };

struct bench {
	struct routes_mirror *mirror;
	struct told told;
};

static struct net_address address(const char *text)
{
	struct net_address out;
	assert_int_equal(net_address_parse(text, &out), 0);
	return out;
}

static struct routes_event link_event(uint32_t ifindex, const char *name)
{
	struct routes_event event = {.kind = ROUTES_LINK};
	event.link.ifindex = ifindex;
	event.link.mtu = 1500;
	event.link.ethernet = true;
	event.link.up = true;
	event.link.mac[5] = (uint8_t)ifindex;
	strcpy(event.link.name, name);
	return event;
}

static struct routes_event vlan_event(
	uint32_t ifindex, const char *name, uint32_t lower, uint16_t id)
{
	struct routes_event event = link_event(ifindex, name);
	event.link.lower = lower;
	event.link.vlan = id;
	return event;
}

// hops: "gateway@ifindex gateway@ifindex" (by ifindex), "@ifindex" on link, "" blackhole.
static struct routes_event route_event(const char *prefix, uint32_t metric, const char *hops)
{
	struct routes_event event = {.kind = ROUTES_ROUTE};
	struct routes_route *route = &event.route;
	assert_int_equal(net_prefix_parse(prefix, &route->prefix), 0);
	route->metric = metric;
	route->blackhole = !*hops;
	char text[512], *rest = text, *hop;
	strcpy(text, hops);
	while ((hop = strtok_r(rest, " ", &rest))) {
		char *at = strchr(hop, '@');
		*at = '\0';
		struct api_next_hop *out = &route->hops[route->count++];
		out->ifindex = (uint32_t)atoi(at + 1);
		if (*hop)
			out->gateway = address(hop);
	}
	return event;
}

static struct routes_event neighbour_event(uint32_t ifindex, const char *text, uint8_t mac)
{
	struct routes_event event = {.kind = ROUTES_NEIGHBOUR};
	event.neighbour.ifindex = ifindex;
	event.neighbour.address = address(text);
	event.neighbour.mac[5] = mac;
	event.neighbour.usable = mac != 0;
	return event;
}

static unsigned apply(struct bench *bench, struct routes_event event)
{
	return routes_mirror_apply(bench->mirror, &event, false);
}

static unsigned apply_gone(struct bench *bench, struct routes_event event)
{
	event.gone = true;
	return routes_mirror_apply(bench->mirror, &event, false);
}

static void apply_dumped(struct bench *bench, struct routes_event event)
{
	assert_int_equal(routes_mirror_apply(bench->mirror, &event, true), 0);
}

static void flush(struct bench *bench)
{
	told_reset_log(&bench->told);
	told_flush(&bench->told, bench->mirror);
}

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

// A host with one port r0 (and a VLAN interface on it) and a management interface.
static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	assert_non_null(bench);
	bench->mirror = routes_mirror_create();
	assert_non_null(bench->mirror);
	routes_mirror_ports(bench->mirror, &(const char[ROUTES_NAME_SIZE]){"r0"}, 1);
	apply(bench, link_event(PORT, "r0"));
	apply(bench, vlan_event(VLAN, "r0.7", PORT, 7));
	apply(bench, link_event(OTHER, "mgmt0"));
	flush(bench);
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;
	routes_mirror_free(bench->mirror);
	free(bench);
	return 0;
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

// ---- a random kernel ----

enum { LINKS = 6, PREFIXES = 24, METRICS = 3, NEIGHBOURS = 24 };

struct kernel {
	uint64_t seed;
	struct {
		bool exists, up;
	} links[LINKS]; // 0-2: ports r0-r2 (r2 is not the relay's), 3-5: VLANs on them
	uint8_t routes[PREFIXES][METRICS]; // 0: none, else 1 + set of links; bit 6: blackhole
	uint8_t neighbours[NEIGHBOURS];    // 0: none, else MAC
};

static unsigned dice(struct kernel *kernel, unsigned sides)
{
	kernel->seed = kernel->seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(kernel->seed >> 33) % sides;
}

static struct routes_event kernel_link(const struct kernel *kernel, unsigned i)
{
	char name[ROUTES_NAME_SIZE];
	snprintf(name, sizeof(name), i < 3 ? "r%u" : "v%u", i);
	struct routes_event event = i < 3 ? link_event(i + 1, name)
					  : vlan_event(i + 1, name, i - 2, (uint16_t)(100 + i));
	event.link.up = kernel->links[i].up;
	return event;
}

static struct net_prefix kernel_prefix(unsigned i)
{
	struct net_address base = i % 2 ? address("2001:db8::") : address("10.0.0.0");
	base.bytes[1] = (uint8_t)(i / 4);
	return net_prefix_of(&base, i % 4 < 2 ? 16 : 20);
}

static struct routes_event kernel_route(const struct kernel *kernel, unsigned i, unsigned metric)
{
	struct routes_event event = {.kind = ROUTES_ROUTE};
	uint8_t how = kernel->routes[i][metric];
	event.route.prefix = kernel_prefix(i);
	event.route.metric = metric;
	event.route.blackhole = how & 64;
	event.route.replaces = true;
	for (unsigned l = 0; l < LINKS && !event.route.blackhole; l++)
		if (how & 1u << l)
			event.route.hops[event.route.count++].ifindex = l + 1;
	return event;
}

static struct routes_event kernel_neighbour(const struct kernel *kernel, unsigned i)
{
	char text[NET_ADDRESS_TEXT_SIZE];
	snprintf(text, sizeof(text), i % 2 ? "fe80::%u" : "192.0.2.%u", i);
	return neighbour_event(i % LINKS + 1, text, kernel->neighbours[i]);
}

static bool ours(const struct kernel *kernel, unsigned link)
{
	return link < 3 ? link < 2 && kernel->links[link].exists
			: link < 5 && kernel->links[link].exists && kernel->links[link - 3].exists;
}

static void change_something(struct kernel *kernel, struct bench *bench)
{
	unsigned i;
	struct routes_event event;
	switch (dice(kernel, 6)) {
	case 0:
		i = dice(kernel, LINKS);
		kernel->links[i].exists = dice(kernel, 4) != 0;
		kernel->links[i].up = dice(kernel, 3) != 0;
		event = kernel_link(kernel, i);
		event.gone = !kernel->links[i].exists;
		break;
	case 1:
	case 2:
	case 3: {
		i = dice(kernel, PREFIXES);
		unsigned metric = dice(kernel, METRICS);
		uint8_t *how = &kernel->routes[i][metric];
		if (*how) {
			event = kernel_route(kernel, i, metric);
			event.gone = true;
			*how = 0;
		} else {
			*how = (uint8_t)(dice(kernel, 8) ? 1 + dice(kernel, 63) : 64);
			event = kernel_route(kernel, i, metric);
		}
		break;
	}
	default:
		i = dice(kernel, NEIGHBOURS);
		kernel->neighbours[i] = (uint8_t)dice(kernel, 4);
		event = kernel_neighbour(kernel, i);
		break;
	}
	// Some events are lost, as with ENOBUFS: a dump has to mend it.
	if (dice(kernel, 50))
		routes_mirror_apply(bench->mirror, &event, false);
}

static void dump_all(struct kernel *kernel, struct bench *bench)
{
	for (int dump = 0; dump < ROUTES_DUMPS; dump++)
		routes_mirror_dump_begin(bench->mirror, (enum routes_dump)dump);
	for (unsigned i = 0; i < LINKS; i++)
		if (kernel->links[i].exists)
			apply_dumped(bench, kernel_link(kernel, i));
	for (unsigned i = 0; i < PREFIXES; i++)
		for (unsigned metric = 0; metric < METRICS; metric++)
			if (kernel->routes[i][metric])
				apply_dumped(bench, kernel_route(kernel, i, metric));
	for (unsigned i = 0; i < NEIGHBOURS; i++)
		if (kernel->neighbours[i])
			apply_dumped(bench, kernel_neighbour(kernel, i));
	for (int dump = 0; dump < ROUTES_DUMPS; dump++)
		routes_mirror_dump_end(bench->mirror, (enum routes_dump)dump);
}

static void expect_kernel(struct kernel *kernel, struct bench *bench)
{
	size_t links = 0, routes = 0, neighbours = 0;
	for (unsigned i = 0; i < LINKS; i++) {
		const struct api_link_set *told = told_link(&bench->told, i + 1);
		assert_int_equal(told != NULL, ours(kernel, i));
		if (told) {
			assert_int_equal(told->up, kernel->links[i].up);
			links++;
		}
	}
	for (unsigned i = 0; i < PREFIXES; i++) {
		unsigned metric = 0;
		while (metric < METRICS && !kernel->routes[i][metric])
			metric++;
		struct net_prefix prefix = kernel_prefix(i);
		const struct api_route *told = told_route(&bench->told, &prefix);
		assert_int_equal(told != NULL, metric < METRICS);
		if (!told)
			continue;
		routes++;
		struct routes_event event = kernel_route(kernel, i, metric);
		unsigned expected = 0;
		for (unsigned h = 0; h < event.route.count; h++)
			if (ours(kernel, event.route.hops[h].ifindex - 1))
				assert_int_equal(told->hops[expected++].ifindex,
					event.route.hops[h].ifindex);
		assert_int_equal(told->count, expected);
	}
	for (unsigned i = 0; i < NEIGHBOURS; i++) {
		struct routes_event event = kernel_neighbour(kernel, i);
		const struct api_neighbour *told = told_neighbour(
			&bench->told, event.neighbour.ifindex, &event.neighbour.address);
		bool expected = kernel->neighbours[i] && ours(kernel, i % LINKS);
		assert_int_equal(told != NULL, expected);
		if (told) {
			assert_int_equal(told->mac[5], kernel->neighbours[i]);
			neighbours++;
		}
	}
	assert_int_equal(bench->told.link_count, links);
	assert_int_equal(bench->told.route_count, routes);
	assert_int_equal(bench->told.neighbour_count, neighbours);
	struct routes_mirror_counts counts;
	routes_mirror_count(bench->mirror, &counts);
	assert_int_equal(counts.links, links);
	assert_int_equal(counts.prefixes, routes);
	assert_int_equal(counts.neighbours, neighbours);
}

static void test_random_kernel(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct kernel kernel = {.seed = seed};
		struct bench *bench = calloc(1, sizeof(*bench));
		assert_non_null(bench);
		bench->mirror = routes_mirror_create();
		routes_mirror_ports(bench->mirror, (const char[][ROUTES_NAME_SIZE]){"r0", "r1"}, 2);
		for (unsigned step = 0; step < 2000; step++) {
			change_something(&kernel, bench);
			if (dice(&kernel, 5) == 0) {
				// The link to the dataplane has little room.
				bench->told.room = dice(&kernel, 4);
				routes_mirror_flush(bench->mirror, told_emit, &bench->told);
			}
			if (dice(&kernel, 200) == 0) {
				// The dataplane restarts.
				memset(&bench->told, 0, sizeof(bench->told));
				routes_mirror_forget_sent(bench->mirror);
			}
			if (dice(&kernel, 100) == 0) {
				dump_all(&kernel, bench);
				told_flush(&bench->told, bench->mirror);
				expect_kernel(&kernel, bench);
			}
		}
		routes_mirror_free(bench->mirror);
		free(bench);
	}
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
		cmocka_unit_test(test_random_kernel),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
