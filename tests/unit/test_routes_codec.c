// SPDX-License-Identifier: BSD-3-Clause
// rtnetlink messages as the kernel builds them, taken apart: what counts, what is of no interest,
// and what is malformed. Every message is also cut at every length.
#include "controlplane/routes_codec.h"
#include "lib/net/address_text.h"

#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/neighbour.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>

#include <errno.h>
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

static alignas(NLMSG_ALIGNTO) uint8_t buffer[4096];

static struct nlmsghdr *message(uint16_t type, const void *header, size_t size)
{
	memset(buffer, 0, sizeof(buffer));
	struct nlmsghdr *out = mnl_nlmsg_put_header(buffer);
	out->nlmsg_type = type;
	memcpy(mnl_nlmsg_put_extra_header(out, size), header, size);
	return out;
}

static struct net_address address(const char *text)
{
	struct net_address out;
	assert_int_equal(net_address_parse(text, &out), 0);
	return out;
}

static void put_address(struct nlmsghdr *out, uint16_t type, const char *text)
{
	struct net_address parsed = address(text);
	mnl_attr_put(out, type, parsed.family == NET_IPV4 ? 4 : 16, parsed.bytes);
}

// Decodes, and decodes every shorter message: never more than the whole one, and no byte behind it
// (the copy ends at the allocation's end, which the sanitizer watches).
static int decode(const struct nlmsghdr *whole, struct routes_event *out)
{
	for (uint32_t length = sizeof(*whole); length < whole->nlmsg_len; length++) {
		struct nlmsghdr *cut = malloc(length);
		assert_non_null(cut);
		memcpy(cut, whole, length);
		cut->nlmsg_len = length;
		struct routes_event ignored;
		int rc = routes_decode(cut, &ignored);
		assert_true(rc == 0 || rc == 1 || rc == -EBADMSG);
		free(cut);
	}
	return routes_decode(whole, out);
}

static struct nlmsghdr *link_message(uint16_t type, unsigned flags, const char *name)
{
	const struct ifinfomsg info = {
		.ifi_type = ARPHRD_ETHER, .ifi_index = 7, .ifi_flags = flags};
	struct nlmsghdr *out = message(type, &info, sizeof(info));
	mnl_attr_put_strz(out, IFLA_IFNAME, name);
	mnl_attr_put_u32(out, IFLA_MTU, 1400);
	mnl_attr_put(out, IFLA_ADDRESS, 6, "\2\0\0\0\0\1");
	return out;
}

static void test_link(void **state)
{
	(void)state;
	struct routes_event event;
	assert_int_equal(
		decode(link_message(RTM_NEWLINK, IFF_UP | IFF_RUNNING, "eth0"), &event), 1);
	assert_int_equal(event.kind, ROUTES_LINK);
	assert_false(event.gone);
	assert_int_equal(event.link.ifindex, 7);
	assert_string_equal(event.link.name, "eth0");
	assert_int_equal(event.link.mtu, 1400);
	assert_memory_equal(event.link.mac, "\2\0\0\0\0\1", 6);
	assert_true(event.link.up && event.link.ethernet);
	assert_int_equal(event.link.vlan, 0);
	// Without a carrier it is not up.
	assert_int_equal(decode(link_message(RTM_DELLINK, IFF_UP, "eth0"), &event), 1);
	assert_true(event.gone);
	assert_false(event.link.up);
	// A name of the longest size, without a terminator.
	struct nlmsghdr *odd = link_message(RTM_NEWLINK, 0, "a");
	mnl_attr_put(odd, IFLA_IFNAME, 16, "abcdefghijklmnop");
	assert_int_equal(decode(odd, &event), 1);
	assert_string_equal(event.link.name, "abcdefghijklmno");
	mnl_attr_put(odd, IFLA_IFNAME, 17, "abcdefghijklmnopq");
	assert_int_equal(decode(odd, &event), -EBADMSG);
}

static struct nlmsghdr *vlan_message(uint16_t id, uint16_t protocol)
{
	struct nlmsghdr *out = link_message(RTM_NEWLINK, IFF_UP | IFF_RUNNING, "eth0.5");
	mnl_attr_put_u32(out, IFLA_LINK, 3);
	struct nlattr *info = mnl_attr_nest_start(out, IFLA_LINKINFO);
	mnl_attr_put_strz(out, IFLA_INFO_KIND, "vlan");
	struct nlattr *data = mnl_attr_nest_start(out, IFLA_INFO_DATA);
	mnl_attr_put_u16(out, IFLA_VLAN_PROTOCOL, htobe16(protocol));
	mnl_attr_put_u16(out, IFLA_VLAN_ID, id);
	mnl_attr_nest_end(out, data);
	mnl_attr_nest_end(out, info);
	return out;
}

static void test_vlan_link(void **state)
{
	(void)state;
	struct routes_event event;
	assert_int_equal(decode(vlan_message(5, ETH_P_8021Q), &event), 1);
	assert_int_equal(event.link.vlan, 5);
	assert_int_equal(event.link.lower, 3);
	// Service tags (802.1ad) are others' business.
	assert_int_equal(decode(vlan_message(5, ETH_P_8021AD), &event), 1);
	assert_int_equal(event.link.vlan, 0);
	assert_int_equal(event.link.lower, 0);
	// So is a VLAN on an interface of another namespace, whose index means nothing here.
	struct nlmsghdr *far = vlan_message(5, ETH_P_8021Q);
	mnl_attr_put_u32(far, IFLA_LINK_NETNSID, 0);
	assert_int_equal(decode(far, &event), 1);
	assert_int_equal(event.link.lower, 0);
	// A veth has a lower link too.
	struct nlmsghdr *veth = link_message(RTM_NEWLINK, 0, "veth0");
	mnl_attr_put_u32(veth, IFLA_LINK, 3);
	assert_int_equal(decode(veth, &event), 1);
	assert_int_equal(event.link.lower, 0);
}

static void test_bridge_port_is_no_link(void **state)
{
	(void)state;
	const struct ifinfomsg info = {.ifi_family = AF_BRIDGE, .ifi_index = 7};
	struct routes_event event;
	assert_int_equal(decode(message(RTM_DELLINK, &info, sizeof(info)), &event), 0);
}

static void test_address(void **state)
{
	(void)state;
	struct ifaddrmsg info = {.ifa_family = AF_INET, .ifa_index = 4};
	struct routes_event event;
	struct nlmsghdr *point = message(RTM_NEWADDR, &info, sizeof(info));
	put_address(point, IFA_ADDRESS, "192.0.2.2"); // the far end
	put_address(point, IFA_LOCAL, "192.0.2.1");
	assert_int_equal(decode(point, &event), 1);
	struct net_address expected = address("192.0.2.1");
	assert_true(net_address_equal(&event.address.address, &expected));
	assert_int_equal(event.address.ifindex, 4);
	info.ifa_family = AF_INET6;
	struct nlmsghdr *v6 = message(RTM_DELADDR, &info, sizeof(info));
	put_address(v6, IFA_ADDRESS, "2001:db8::1");
	assert_int_equal(decode(v6, &event), 1);
	assert_true(event.gone);
	put_address(v6, IFA_ADDRESS, "192.0.2.1");
	assert_int_equal(decode(v6, &event), -EBADMSG);
	assert_int_equal(decode(message(RTM_NEWADDR, &info, sizeof(info)), &event), -EBADMSG);
}

static struct rtmsg route_header(int family, uint8_t length)
{
	return (struct rtmsg){.rtm_family = (uint8_t)family,
		.rtm_dst_len = length,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_type = RTN_UNICAST};
}

static struct nlmsghdr *route_message(
	const struct rtmsg *info, const char *prefix, const char *gateway)
{
	struct nlmsghdr *out = message(RTM_NEWROUTE, info, sizeof(*info));
	if (prefix)
		put_address(out, RTA_DST, prefix);
	mnl_attr_put_u32(out, RTA_OIF, 3);
	mnl_attr_put_u32(out, RTA_PRIORITY, 50);
	if (gateway)
		put_address(out, RTA_GATEWAY, gateway);
	return out;
}

static void test_route(void **state)
{
	(void)state;
	struct routes_event event;
	struct rtmsg info = route_header(AF_INET, 8);
	struct nlmsghdr *whole = route_message(&info, "10.0.0.0", "192.0.2.1");
	whole->nlmsg_flags = NLM_F_REPLACE;
	assert_int_equal(decode(whole, &event), 1);
	struct net_address gateway = address("192.0.2.1");
	assert_int_equal(event.kind, ROUTES_ROUTE);
	assert_int_equal(event.route.prefix.length, 8);
	assert_int_equal(event.route.prefix.address.bytes[0], 10);
	assert_int_equal(event.route.metric, 50);
	assert_true(event.route.replaces);
	assert_int_equal(event.route.count, 1);
	assert_int_equal(event.route.hops[0].ifindex, 3);
	assert_true(net_address_equal(&event.route.hops[0].gateway, &gateway));
	// Default, on link.
	info = route_header(AF_INET6, 0);
	assert_int_equal(decode(route_message(&info, NULL, NULL), &event), 1);
	assert_int_equal(event.route.prefix.address.family, NET_IPV6);
	assert_int_equal(event.route.prefix.length, 0);
	assert_int_equal(event.route.hops[0].gateway.family, NET_UNSPECIFIED);
	// Bits behind the length do not make another prefix.
	info = route_header(AF_INET, 8);
	assert_int_equal(decode(route_message(&info, "10.1.2.3", NULL), &event), 1);
	assert_int_equal(event.route.prefix.address.bytes[1], 0);
	info.rtm_dst_len = 33;
	assert_int_equal(decode(route_message(&info, "10.1.2.3", NULL), &event), -EBADMSG);
	info.rtm_dst_len = 32;
	assert_int_equal(decode(route_message(&info, "2001:db8::", NULL), &event), -EBADMSG);
}

static void test_via_of_other_family(void **state)
{
	(void)state;
	struct {
		struct rtvia via;
		uint8_t bytes[16];
	} via = {.via.rtvia_family = AF_INET6};
	struct net_address gateway = address("fe80::9");
	memcpy(via.via.rtvia_addr, gateway.bytes, 16);
	struct rtmsg info = route_header(AF_INET, 8);
	struct nlmsghdr *whole = route_message(&info, "10.0.0.0", NULL);
	mnl_attr_put(whole, RTA_VIA, sizeof(struct rtvia) + 16, &via);
	struct routes_event event;
	assert_int_equal(decode(whole, &event), 1);
	assert_true(net_address_equal(&event.route.hops[0].gateway, &gateway));
	mnl_attr_put(whole, RTA_VIA, sizeof(struct rtvia) + 15, &via);
	assert_int_equal(decode(whole, &event), -EBADMSG);
}

static void test_multipath(void **state)
{
	(void)state;
	struct rtmsg info = route_header(AF_INET, 0);
	struct nlmsghdr *whole = message(RTM_NEWROUTE, &info, sizeof(info));
	struct nlattr *nest = mnl_attr_nest_start(whole, RTA_MULTIPATH);
	for (int i = 0; i < 12; i++) {
		struct rtnexthop *hop = mnl_nlmsg_get_payload_tail(whole);
		*hop = (struct rtnexthop){
			.rtnh_ifindex = 10 + i, .rtnh_flags = i == 1 ? RTNH_F_DEAD : 0};
		whole->nlmsg_len += sizeof(*hop);
		put_address(whole, RTA_GATEWAY, "192.0.2.1");
		if (i == 2)
			mnl_attr_put_u16(whole, RTA_ENCAP_TYPE, 1);
		if (i == 2)
			mnl_attr_put_u32(whole, RTA_ENCAP, 1);
		hop->rtnh_len =
			(uint16_t)((uint8_t *)mnl_nlmsg_get_payload_tail(whole) - (uint8_t *)hop);
	}
	mnl_attr_nest_end(whole, nest);
	struct routes_event event;
	assert_int_equal(decode(whole, &event), 1);
	assert_int_equal(event.route.count, API_NEXT_HOPS_MAX);
	assert_int_equal(event.route.hops[0].ifindex, 10);
	assert_int_equal(event.route.hops[1].ifindex, 0); // encapsulated; 11 is dead
	assert_int_equal(event.route.hops[2].ifindex, 13);
	assert_int_equal(event.route.hops[7].ifindex, 18);
	assert_int_equal(event.route.hops[7].gateway.bytes[3], 1);
	// A hop that claims to be longer than the attribute, or shorter than itself.
	struct rtnexthop *first = mnl_attr_get_payload(nest);
	uint16_t length = first->rtnh_len;
	first->rtnh_len = UINT16_MAX;
	assert_int_equal(decode(whole, &event), -EBADMSG);
	first->rtnh_len = 4;
	assert_int_equal(decode(whole, &event), -EBADMSG);
	first->rtnh_len = length;
	assert_int_equal(decode(whole, &event), 1);
}

static void test_blackholes(void **state)
{
	(void)state;
	static const uint8_t types[] = {RTN_BLACKHOLE, RTN_UNREACHABLE, RTN_PROHIBIT, RTN_THROW};
	struct routes_event event;
	struct rtmsg info = route_header(AF_INET6, 32);
	for (size_t i = 0; i < sizeof(types); i++) {
		info.rtm_type = types[i];
		// IPv6 names the loopback interface for them.
		assert_int_equal(decode(route_message(&info, "2001:db8::", NULL), &event), 1);
		assert_true(event.route.blackhole);
		assert_int_equal(event.route.count, 0);
	}
}

static void test_routes_of_no_interest(void **state)
{
	(void)state;
	struct routes_event event;
	struct rtmsg info = route_header(AF_INET, 32);
	info.rtm_table = RT_TABLE_LOCAL;
	assert_int_equal(decode(route_message(&info, "10.0.0.1", NULL), &event), 0);
	// The attribute tells tables above 255, and overrules.
	info.rtm_table = RT_TABLE_MAIN;
	struct nlmsghdr *other = route_message(&info, "10.0.0.1", NULL);
	mnl_attr_put_u32(other, RTA_TABLE, 1000);
	assert_int_equal(decode(other, &event), 0);
	info.rtm_type = RTN_LOCAL;
	assert_int_equal(decode(route_message(&info, "10.0.0.1", NULL), &event), 0);
	info = route_header(AF_INET6, 8);
	assert_int_equal(decode(route_message(&info, "ff00::", NULL), &event), 0);
	info = route_header(AF_INET6, 64);
	assert_int_equal(decode(route_message(&info, "fe80::", NULL), &event), 0);
	info = route_header(AF_INET, 8);
	info.rtm_flags = RTM_F_CLONED;
	assert_int_equal(decode(route_message(&info, "10.0.0.0", NULL), &event), 0);
	info = route_header(AF_INET, 8);
	info.rtm_tos = 16;
	assert_int_equal(decode(route_message(&info, "10.0.0.0", NULL), &event), 0);
	info = route_header(AF_MPLS, 20);
	assert_int_equal(decode(message(RTM_NEWROUTE, &info, sizeof(info)), &event), 0);
}

static void test_dead_and_encapsulated(void **state)
{
	(void)state;
	struct routes_event event;
	struct rtmsg info = route_header(AF_INET, 8);
	info.rtm_flags = RTNH_F_DEAD;
	assert_int_equal(decode(route_message(&info, "10.0.0.0", "192.0.2.1"), &event), 1);
	assert_int_equal(event.route.count, 0);
	assert_false(event.route.blackhole);
	info.rtm_flags = 0;
	struct nlmsghdr *tunnel = route_message(&info, "10.0.0.0", "192.0.2.1");
	mnl_attr_put_u32(tunnel, RTA_ENCAP, 1);
	assert_int_equal(decode(tunnel, &event), 1);
	assert_int_equal(event.route.count, 1);
	assert_int_equal(event.route.hops[0].ifindex, 0);
}

static void test_nexthops(void **state)
{
	(void)state;
	struct routes_event event;
	struct nhmsg info = {.nh_family = AF_INET6};
	struct nlmsghdr *one = message(RTM_NEWNEXTHOP, &info, sizeof(info));
	mnl_attr_put_u32(one, NHA_ID, 12);
	mnl_attr_put_u32(one, NHA_OIF, 3);
	put_address(one, NHA_GATEWAY, "fe80::1");
	assert_int_equal(decode(one, &event), 1);
	assert_int_equal(event.kind, ROUTES_NEXTHOP);
	assert_int_equal(event.nexthop.id, 12);
	assert_int_equal(event.nexthop.hop.ifindex, 3);
	const struct nexthop_grp members[] = {{.id = 5}, {.id = 6, .weight = 1}};
	info.nh_family = AF_UNSPEC;
	struct nlmsghdr *group = message(RTM_DELNEXTHOP, &info, sizeof(info));
	mnl_attr_put_u32(group, NHA_ID, 13);
	mnl_attr_put(group, NHA_GROUP, sizeof(members), members);
	assert_int_equal(decode(group, &event), 1);
	assert_true(event.gone);
	assert_int_equal(event.nexthop.member_count, 2);
	assert_int_equal(event.nexthop.members[1], 6);
	mnl_attr_put(group, NHA_GROUP, 7, members);
	assert_int_equal(decode(group, &event), -EBADMSG);
	struct rtmsg route = route_header(AF_INET, 8);
	struct nlmsghdr *by_object = message(RTM_NEWROUTE, &route, sizeof(route));
	mnl_attr_put_u32(by_object, RTA_NH_ID, 13);
	assert_int_equal(decode(by_object, &event), 1);
	assert_int_equal(event.route.nexthop_id, 13);
	assert_int_equal(event.route.count, 0);
}

static struct nlmsghdr *neighbour_message(int family, uint16_t neighbour_state, const char *text)
{
	const struct ndmsg info = {
		.ndm_family = (uint8_t)family, .ndm_ifindex = 3, .ndm_state = neighbour_state};
	struct nlmsghdr *out = message(RTM_NEWNEIGH, &info, sizeof(info));
	put_address(out, NDA_DST, text);
	return out;
}

static void test_neighbours(void **state)
{
	(void)state;
	static const uint16_t usable[] = {
		NUD_REACHABLE, NUD_STALE, NUD_DELAY, NUD_PROBE, NUD_PERMANENT, NUD_NOARP};
	static const uint16_t useless[] = {NUD_INCOMPLETE, NUD_FAILED, NUD_NONE};
	struct routes_event event;
	for (size_t i = 0; i < sizeof(usable) / sizeof(usable[0]); i++) {
		struct nlmsghdr *whole = neighbour_message(AF_INET, usable[i], "192.0.2.1");
		mnl_attr_put(whole, NDA_LLADDR, 6, "\2\0\0\0\0\7");
		assert_int_equal(decode(whole, &event), 1);
		assert_true(event.neighbour.usable);
		assert_int_equal(event.neighbour.stale, usable[i] == NUD_STALE);
		assert_memory_equal(event.neighbour.mac, "\2\0\0\0\0\7", 6);
	}
	for (size_t i = 0; i < sizeof(useless) / sizeof(useless[0]); i++) {
		struct nlmsghdr *whole = neighbour_message(AF_INET6, useless[i], "fe80::1");
		mnl_attr_put(whole, NDA_LLADDR, 6, "\2\0\0\0\0\7");
		assert_int_equal(decode(whole, &event), 1);
		assert_false(event.neighbour.usable);
	}
	// Without an Ethernet address nothing can be sent to it.
	assert_int_equal(decode(neighbour_message(AF_INET, NUD_NOARP, "192.0.2.1"), &event), 1);
	assert_false(event.neighbour.usable);
	assert_int_equal(decode(neighbour_message(AF_INET, NUD_NOARP, "224.0.0.1"), &event), 0);
	assert_int_equal(decode(neighbour_message(AF_INET6, NUD_NOARP, "ff02::1"), &event), 0);
	assert_int_equal(
		decode(neighbour_message(AF_INET, NUD_STALE, "fe80::1"), &event), -EBADMSG);
	// Forwarding entries of a bridge.
	const struct ndmsg bridge = {.ndm_family = AF_BRIDGE, .ndm_state = NUD_REACHABLE};
	assert_int_equal(decode(message(RTM_NEWNEIGH, &bridge, sizeof(bridge)), &event), 0);
}

static void test_other_messages(void **state)
{
	(void)state;
	struct routes_event event;
	assert_int_equal(decode(message(RTM_NEWRULE, "12345678", 8), &event), 0);
}

static void test_requests(void **state)
{
	(void)state;
	alignas(NLMSG_ALIGNTO) uint8_t request[ROUTES_REQUEST_SIZE];
	for (int kind = 0; kind < ROUTES_KINDS; kind++) {
		const struct nlmsghdr *dump =
			routes_encode_dump(request, 5, (enum routes_event_kind)kind, AF_INET6);
		assert_int_equal(dump->nlmsg_seq, 5);
		assert_int_equal(dump->nlmsg_flags, NLM_F_REQUEST | NLM_F_DUMP);
		assert_true(dump->nlmsg_len <= sizeof(request));
	}
	struct net_address wanted = address("192.0.2.5");
	const struct nlmsghdr *resolve = routes_encode_resolve(request, 6, 3, &wanted);
	const struct ndmsg *info = mnl_nlmsg_get_payload(resolve);
	assert_int_equal(resolve->nlmsg_type, RTM_NEWNEIGH);
	assert_int_equal(resolve->nlmsg_flags, NLM_F_REQUEST | NLM_F_CREATE);
	assert_int_equal(info->ndm_flags, NTF_USE);
	assert_int_equal(info->ndm_state, NUD_NONE);
	struct routes_event event;
	assert_int_equal(routes_decode(resolve, &event), 1);
	assert_true(net_address_equal(&event.neighbour.address, &wanted));
	assert_int_equal(event.neighbour.ifindex, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_link),
		cmocka_unit_test(test_vlan_link),
		cmocka_unit_test(test_bridge_port_is_no_link),
		cmocka_unit_test(test_address),
		cmocka_unit_test(test_route),
		cmocka_unit_test(test_via_of_other_family),
		cmocka_unit_test(test_multipath),
		cmocka_unit_test(test_blackholes),
		cmocka_unit_test(test_routes_of_no_interest),
		cmocka_unit_test(test_dead_and_encapsulated),
		cmocka_unit_test(test_nexthops),
		cmocka_unit_test(test_neighbours),
		cmocka_unit_test(test_other_messages),
		cmocka_unit_test(test_requests),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
