// SPDX-License-Identifier: BSD-3-Clause
// rtnetlink taken apart. Every attribute's size is checked before it is read; an attribute of the
// wrong size makes the message bad, an unknown one is skipped.
#include "controlplane/routes_codec.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

static size_t padded(size_t length)
{
	return (length + 3) & ~(size_t)3;
}

const struct nlmsghdr *routes_message_next(struct routes_datagram *datagram)
{
	const struct nlmsghdr *message = (const struct nlmsghdr *)datagram->position;
	if (datagram->left < sizeof(*message) || message->nlmsg_len < sizeof(*message) ||
		message->nlmsg_len > datagram->left)
		return NULL;
	size_t step = padded(message->nlmsg_len);
	if (step > datagram->left)
		step = datagram->left;
	datagram->position += step;
	datagram->left -= step;
	return message;
}

struct attributes {
	const uint8_t *position;
	size_t left;
};

// The attributes behind the struct of `skip` bytes that a message's payload begins with. False when
// that struct is not whole.
static bool attributes_of_message(
	const struct nlmsghdr *message, size_t skip, struct attributes *out)
{
	size_t size = mnl_nlmsg_get_payload_len(message);
	if (size < skip)
		return false;
	out->position = (const uint8_t *)mnl_nlmsg_get_payload(message) + skip;
	out->left = size - skip;
	return true;
}

static struct attributes attributes_within(const struct nlattr *attribute)
{
	return (struct attributes){
		mnl_attr_get_payload(attribute), mnl_attr_get_payload_len(attribute)};
}

// NULL at the end; what is too short to be an attribute ends the list too.
static const struct nlattr *attribute_next(struct attributes *cursor)
{
	const struct nlattr *attribute = (const struct nlattr *)cursor->position;
	if (cursor->left < sizeof(*attribute) || attribute->nla_len < sizeof(*attribute) ||
		attribute->nla_len > cursor->left)
		return NULL;
	size_t step = padded(attribute->nla_len);
	if (step > cursor->left)
		step = cursor->left;
	cursor->position += step;
	cursor->left -= step;
	return attribute;
}

static bool attribute_copy(const struct nlattr *attribute, void *out, size_t size)
{
	if (mnl_attr_get_payload_len(attribute) != size)
		return false;
	memcpy(out, mnl_attr_get_payload(attribute), size);
	return true;
}

static uint8_t family_of(int family)
{
	return family == AF_INET ? NET_IPV4 : family == AF_INET6 ? NET_IPV6 : NET_UNSPECIFIED;
}

static bool address_copy(const void *bytes, size_t size, uint8_t family, struct net_address *out)
{
	if (family == NET_IPV4 && size == 4)
		*out = net_address_v4(bytes);
	else if (family == NET_IPV6 && size == 16)
		*out = net_address_v6(bytes);
	else
		return false;
	return true;
}

static bool attribute_address(
	const struct nlattr *attribute, uint8_t family, struct net_address *out)
{
	return address_copy(
		mnl_attr_get_payload(attribute), mnl_attr_get_payload_len(attribute), family, out);
}

static bool is_multicast(const struct net_address *address)
{
	return address->family == NET_IPV4 ? (address->bytes[0] & 0xF0) == 0xE0
					   : address->bytes[0] == 0xFF;
}

static bool is_link_local_v6(const struct net_address *address)
{
	return address->family == NET_IPV6 && address->bytes[0] == 0xFE &&
	       (address->bytes[1] & 0xC0) == 0x80;
}

// ---- links ----

static int decode_vlan(const struct nlattr *data, struct routes_link *link)
{
	const struct nlattr *attribute;
	uint16_t id = 0;
	uint16_t protocol = htobe16(ETH_P_8021Q);
	struct attributes cursor = attributes_within(data);
	while ((attribute = attribute_next(&cursor))) {
		switch (mnl_attr_get_type(attribute)) {
		case IFLA_VLAN_ID:
			if (!attribute_copy(attribute, &id, sizeof(id)))
				return -EBADMSG;
			break;
		case IFLA_VLAN_PROTOCOL:
			if (!attribute_copy(attribute, &protocol, sizeof(protocol)))
				return -EBADMSG;
			break;
		default:
			break;
		}
	}
	if (protocol == htobe16(ETH_P_8021Q) && id < 4095)
		link->vlan = id;
	return 0;
}

static int decode_link_kind(const struct nlattr *info, struct routes_link *link)
{
	const struct nlattr *attribute;
	const struct nlattr *data = NULL;
	bool vlan = false;
	struct attributes cursor = attributes_within(info);
	while ((attribute = attribute_next(&cursor))) {
		uint16_t size = mnl_attr_get_payload_len(attribute);
		switch (mnl_attr_get_type(attribute)) {
		case IFLA_INFO_KIND:
			vlan = size >= 4 &&
			       memcmp(mnl_attr_get_payload(attribute), "vlan", 4) == 0 &&
			       (size == 4 ||
				       ((const char *)mnl_attr_get_payload(attribute))[4] == 0);
			break;
		case IFLA_INFO_DATA:
			data = attribute;
			break;
		default:
			break;
		}
	}
	return vlan && data ? decode_vlan(data, link) : 0;
}

static int decode_link_attribute(
	const struct nlattr *attribute, struct routes_link *link, bool *other_namespace)
{
	uint16_t size = mnl_attr_get_payload_len(attribute);
	uint32_t mtu;
	switch (mnl_attr_get_type(attribute)) {
	case IFLA_IFNAME:
		if (size == 0 || size > sizeof(link->name))
			return -EBADMSG;
		memcpy(link->name, mnl_attr_get_payload(attribute), size);
		link->name[sizeof(link->name) - 1] = '\0';
		return 0;
	case IFLA_ADDRESS:
		if (size == sizeof(link->mac))
			memcpy(link->mac, mnl_attr_get_payload(attribute), size);
		return 0;
	case IFLA_MTU:
		if (!attribute_copy(attribute, &mtu, sizeof(mtu)))
			return -EBADMSG;
		link->mtu = mtu > UINT16_MAX ? UINT16_MAX : (uint16_t)mtu;
		return 0;
	case IFLA_LINK:
		return attribute_copy(attribute, &link->lower, sizeof(link->lower)) ? 0 : -EBADMSG;
	case IFLA_LINK_NETNSID:
		*other_namespace = true;
		return 0;
	case IFLA_LINKINFO:
		return decode_link_kind(attribute, link);
	default:
		return 0;
	}
}

static int decode_link(const struct nlmsghdr *message, struct routes_event *out)
{
	struct attributes cursor;
	if (!attributes_of_message(message, sizeof(struct ifinfomsg), &cursor))
		return -EBADMSG;
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(message);
	// Bridges tell of their ports in messages of their own family.
	if (info->ifi_family != AF_UNSPEC)
		return 0;
	struct routes_link *link = &out->link;
	*link = (struct routes_link){.ifindex = (uint32_t)info->ifi_index};
	link->ethernet = info->ifi_type == ARPHRD_ETHER;
	link->up = (info->ifi_flags & IFF_UP) && (info->ifi_flags & IFF_RUNNING);
	bool other_namespace = false;
	const struct nlattr *attribute;
	while ((attribute = attribute_next(&cursor))) {
		int rc = decode_link_attribute(attribute, link, &other_namespace);
		if (rc)
			return rc;
	}
	if (!link->vlan || other_namespace) {
		link->vlan = 0;
		link->lower = 0;
	}
	return info->ifi_index > 0 ? 1 : -EBADMSG;
}

// ---- addresses ----

static int decode_address(const struct nlmsghdr *message, struct routes_event *out)
{
	struct attributes cursor;
	if (!attributes_of_message(message, sizeof(struct ifaddrmsg), &cursor))
		return -EBADMSG;
	const struct ifaddrmsg *info = mnl_nlmsg_get_payload(message);
	uint8_t family = family_of(info->ifa_family);
	if (!family)
		return 0;
	struct net_address address = {0}, local = {0};
	const struct nlattr *attribute;
	while ((attribute = attribute_next(&cursor))) {
		uint16_t type = mnl_attr_get_type(attribute);
		if (type == IFA_ADDRESS && !attribute_address(attribute, family, &address))
			return -EBADMSG;
		if (type == IFA_LOCAL && !attribute_address(attribute, family, &local))
			return -EBADMSG;
	}
	// On point-to-point links IFA_ADDRESS is the other end.
	out->address.ifindex = info->ifa_index;
	out->address.address = local.family ? local : address;
	return out->address.address.family ? 1 : -EBADMSG;
}

// ---- nexthop objects ----

static int decode_nexthop_group(const struct nlattr *attribute, struct routes_nexthop *nexthop)
{
	const struct nexthop_grp *members = mnl_attr_get_payload(attribute);
	size_t size = mnl_attr_get_payload_len(attribute);
	if (size % sizeof(*members))
		return -EBADMSG;
	size_t count = size / sizeof(*members);
	if (count > ROUTES_GROUP_MAX)
		count = ROUTES_GROUP_MAX;
	for (size_t i = 0; i < count; i++)
		memcpy(&nexthop->members[i], &members[i].id, sizeof(uint32_t));
	nexthop->member_count = (uint16_t)count;
	return 0;
}

static int decode_nexthop(const struct nlmsghdr *message, struct routes_event *out)
{
	struct attributes cursor;
	if (!attributes_of_message(message, sizeof(struct nhmsg), &cursor))
		return -EBADMSG;
	const struct nhmsg *info = mnl_nlmsg_get_payload(message);
	uint8_t family = family_of(info->nh_family);
	struct routes_nexthop *nexthop = &out->nexthop;
	*nexthop = (struct routes_nexthop){0};
	bool encapsulated = false;
	const struct nlattr *attribute;
	while ((attribute = attribute_next(&cursor))) {
		bool good = true;
		switch (mnl_attr_get_type(attribute)) {
		case NHA_ID:
			good = attribute_copy(attribute, &nexthop->id, sizeof(nexthop->id));
			break;
		case NHA_OIF:
			good = attribute_copy(
				attribute, &nexthop->hop.ifindex, sizeof(nexthop->hop.ifindex));
			break;
		case NHA_GATEWAY:
			good = attribute_address(attribute, family, &nexthop->hop.gateway);
			break;
		case NHA_BLACKHOLE:
			nexthop->blackhole = true;
			break;
		case NHA_GROUP:
			good = decode_nexthop_group(attribute, nexthop) == 0;
			break;
		case NHA_ENCAP:
		case NHA_FDB:
			encapsulated = true;
			break;
		default:
			break;
		}
		if (!good)
			return -EBADMSG;
	}
	if (encapsulated || (info->nh_flags & RTNH_F_DEAD))
		nexthop->hop.ifindex = 0;
	return nexthop->id ? 1 : -EBADMSG;
}

// ---- routes ----

// RTA_GATEWAY is of the route's family, RTA_VIA tells its own (RFC 8950: IPv6 for an IPv4 route).
static bool attribute_gateway(
	const struct nlattr *attribute, uint8_t family, struct net_address *out)
{
	if (mnl_attr_get_type(attribute) == RTA_GATEWAY)
		return attribute_address(attribute, family, out);
	const struct rtvia *via = mnl_attr_get_payload(attribute);
	size_t size = mnl_attr_get_payload_len(attribute);
	if (size < sizeof(*via))
		return false;
	return address_copy(
		via->rtvia_addr, size - sizeof(*via), family_of(via->rtvia_family), out);
}

static int decode_hop(const struct rtnexthop *hop, uint8_t family, struct api_next_hop *out)
{
	*out = (struct api_next_hop){.ifindex = (uint32_t)hop->rtnh_ifindex};
	struct attributes cursor = {(const uint8_t *)(hop + 1), hop->rtnh_len - sizeof(*hop)};
	const struct nlattr *attribute;
	bool followed = true;
	while ((attribute = attribute_next(&cursor))) {
		uint16_t type = mnl_attr_get_type(attribute);
		if ((type == RTA_GATEWAY || type == RTA_VIA) &&
			!attribute_gateway(attribute, family, &out->gateway))
			return -EBADMSG;
		if (type == RTA_ENCAP || type == RTA_NEWDST)
			followed = false;
	}
	if (!followed)
		out->ifindex = 0;
	return 0;
}

// Dead hops are left out: the kernel does not use them.
static int decode_multipath(
	const struct nlattr *attribute, uint8_t family, struct routes_route *route)
{
	struct attributes cursor = attributes_within(attribute);
	while (cursor.left >= sizeof(struct rtnexthop)) {
		const struct rtnexthop *hop = (const struct rtnexthop *)cursor.position;
		if (hop->rtnh_len < sizeof(*hop) || hop->rtnh_len > cursor.left)
			return -EBADMSG;
		if (!(hop->rtnh_flags & RTNH_F_DEAD) && route->count < API_NEXT_HOPS_MAX) {
			int rc = decode_hop(hop, family, &route->hops[route->count]);
			if (rc)
				return rc;
			route->count++;
		}
		size_t step = padded(hop->rtnh_len);
		if (step > cursor.left)
			break;
		cursor.position += step;
		cursor.left -= step;
	}
	return 0;
}

struct route_details {
	struct api_next_hop hop;
	uint32_t table;
	bool by_hop; // RTA_OIF or a gateway was there
	bool multipath;
	bool special; // depends on more than the destination
};

static int decode_route_attribute(const struct nlattr *attribute, uint8_t family,
	struct routes_route *route, struct route_details *details)
{
	bool good = true;
	switch (mnl_attr_get_type(attribute)) {
	case RTA_DST:
		good = attribute_address(attribute, family, &route->prefix.address);
		break;
	case RTA_OIF:
		good = attribute_copy(
			attribute, &details->hop.ifindex, sizeof(details->hop.ifindex));
		details->by_hop = true;
		break;
	case RTA_GATEWAY:
	case RTA_VIA:
		good = attribute_gateway(attribute, family, &details->hop.gateway);
		details->by_hop = true;
		break;
	case RTA_PRIORITY:
		good = attribute_copy(attribute, &route->metric, sizeof(route->metric));
		break;
	case RTA_TABLE:
		good = attribute_copy(attribute, &details->table, sizeof(details->table));
		break;
	case RTA_NH_ID:
		good = attribute_copy(attribute, &route->nexthop_id, sizeof(route->nexthop_id));
		break;
	case RTA_MULTIPATH:
		details->multipath = true;
		return decode_multipath(attribute, family, route);
	case RTA_ENCAP:
	case RTA_NEWDST:
	case RTA_SRC:
	case RTA_IIF:
		details->special = true;
		break;
	default:
		break;
	}
	return good ? 0 : -EBADMSG;
}

static int decode_route(const struct nlmsghdr *message, struct routes_event *out)
{
	struct attributes cursor;
	if (!attributes_of_message(message, sizeof(struct rtmsg), &cursor))
		return -EBADMSG;
	const struct rtmsg *info = mnl_nlmsg_get_payload(message);
	uint8_t family = family_of(info->rtm_family);
	if (!family || (info->rtm_flags & RTM_F_CLONED) || info->rtm_tos || info->rtm_src_len)
		return 0;
	struct routes_route *route = &out->route;
	*route = (struct routes_route){.prefix.address.family = family};
	struct route_details details = {.table = info->rtm_table};
	const struct nlattr *attribute;
	while ((attribute = attribute_next(&cursor))) {
		int rc = decode_route_attribute(attribute, family, route, &details);
		if (rc)
			return rc;
	}
	if (info->rtm_dst_len > (family == NET_IPV4 ? 32 : 128))
		return -EBADMSG;
	route->prefix = net_prefix_of(&route->prefix.address, info->rtm_dst_len);
	route->replaces = message->nlmsg_flags & NLM_F_REPLACE;
	if (details.table != RT_TABLE_MAIN || is_multicast(&route->prefix.address) ||
		(info->rtm_dst_len >= 10 && is_link_local_v6(&route->prefix.address)))
		return 0;
	switch (info->rtm_type) {
	case RTN_BLACKHOLE:
	case RTN_UNREACHABLE:
	case RTN_PROHIBIT:
	case RTN_THROW: // would look into the next table, where we do not look
		route->blackhole = true;
		route->count = 0;
		route->nexthop_id = 0;
		return 1;
	case RTN_UNICAST:
		break;
	default:
		return 0;
	}
	if (!details.multipath && details.by_hop && !(info->rtm_flags & RTNH_F_DEAD)) {
		route->hops[0] = details.hop;
		route->count = 1;
	}
	if (details.special)
		for (unsigned i = 0; i < route->count; i++)
			route->hops[i].ifindex = 0;
	return 1;
}

// ---- neighbours ----

static int decode_neighbour(const struct nlmsghdr *message, struct routes_event *out)
{
	struct attributes cursor;
	if (!attributes_of_message(message, sizeof(struct ndmsg), &cursor))
		return -EBADMSG;
	const struct ndmsg *info = mnl_nlmsg_get_payload(message);
	uint8_t family = family_of(info->ndm_family);
	if (!family || (info->ndm_flags & NTF_PROXY))
		return 0;
	struct routes_neighbour *neighbour = &out->neighbour;
	*neighbour = (struct routes_neighbour){.ifindex = (uint32_t)info->ndm_ifindex};
	bool has_mac = false;
	const struct nlattr *attribute;
	while ((attribute = attribute_next(&cursor))) {
		uint16_t type = mnl_attr_get_type(attribute);
		if (type == NDA_DST && !attribute_address(attribute, family, &neighbour->address))
			return -EBADMSG;
		if (type == NDA_LLADDR)
			has_mac = attribute_copy(attribute, neighbour->mac, sizeof(neighbour->mac));
	}
	if (!neighbour->address.family)
		return -EBADMSG;
	if (is_multicast(&neighbour->address))
		return 0;
	const uint16_t usable =
		NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP;
	neighbour->usable = has_mac && (info->ndm_state & usable);
	neighbour->stale = info->ndm_state & NUD_STALE;
	return 1;
}

int routes_decode(const struct nlmsghdr *message, struct routes_event *out)
{
	*out = (struct routes_event){0};
	switch (message->nlmsg_type) {
	case RTM_DELLINK:
		out->gone = true;
		__attribute__((fallthrough));
	case RTM_NEWLINK:
		out->kind = ROUTES_LINK;
		return decode_link(message, out);
	case RTM_DELADDR:
		out->gone = true;
		__attribute__((fallthrough));
	case RTM_NEWADDR:
		out->kind = ROUTES_ADDRESS;
		return decode_address(message, out);
	case RTM_DELNEXTHOP:
		out->gone = true;
		__attribute__((fallthrough));
	case RTM_NEWNEXTHOP:
		out->kind = ROUTES_NEXTHOP;
		return decode_nexthop(message, out);
	case RTM_DELROUTE:
		out->gone = true;
		__attribute__((fallthrough));
	case RTM_NEWROUTE:
		out->kind = ROUTES_ROUTE;
		return decode_route(message, out);
	case RTM_DELNEIGH:
		out->gone = true;
		__attribute__((fallthrough));
	case RTM_NEWNEIGH:
		out->kind = ROUTES_NEIGHBOUR;
		return decode_neighbour(message, out);
	default:
		return 0;
	}
}

// ---- requests ----

static struct nlmsghdr *request(void *buffer, uint16_t type, uint16_t flags, uint32_t sequence)
{
	memset(buffer, 0, ROUTES_REQUEST_SIZE);
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	message->nlmsg_type = type;
	message->nlmsg_flags = NLM_F_REQUEST | flags;
	message->nlmsg_seq = sequence;
	return message;
}

const struct nlmsghdr *routes_encode_dump(
	void *buffer, uint32_t sequence, enum routes_event_kind kind, int family)
{
	static const struct {
		uint16_t type;
		size_t size; // of the struct behind the header, which strict checking wants exact
	} dumps[ROUTES_KINDS] = {
		[ROUTES_LINK] = {RTM_GETLINK, sizeof(struct ifinfomsg)},
		[ROUTES_ADDRESS] = {RTM_GETADDR, sizeof(struct ifaddrmsg)},
		[ROUTES_NEXTHOP] = {RTM_GETNEXTHOP, sizeof(struct nhmsg)},
		[ROUTES_ROUTE] = {RTM_GETROUTE, sizeof(struct rtmsg)},
		[ROUTES_NEIGHBOUR] = {RTM_GETNEIGH, sizeof(struct ndmsg)},
	};
	struct nlmsghdr *message = request(buffer, dumps[kind].type, NLM_F_DUMP, sequence);
	void *extra = mnl_nlmsg_put_extra_header(message, dumps[kind].size);
	if (kind == ROUTES_ROUTE) {
		struct rtmsg *info = extra;
		info->rtm_family = (uint8_t)family;
		info->rtm_table = RT_TABLE_MAIN;
	}
	if (kind == ROUTES_LINK)
		mnl_attr_put_u32(message, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	return message;
}

const struct nlmsghdr *routes_encode_resolve(
	void *buffer, uint32_t sequence, uint32_t ifindex, const struct net_address *address)
{
	// NTF_USE is the kernel's "somebody is sending to it": an unknown neighbour is solicited, a
	// stale one is confirmed.
	struct nlmsghdr *message = request(buffer, RTM_NEWNEIGH, NLM_F_CREATE, sequence);
	struct ndmsg *info = mnl_nlmsg_put_extra_header(message, sizeof(*info));
	bool v4 = address->family == NET_IPV4;
	info->ndm_family = v4 ? AF_INET : AF_INET6;
	info->ndm_ifindex = (int)ifindex;
	info->ndm_state = NUD_NONE;
	info->ndm_flags = NTF_USE;
	mnl_attr_put(message, NDA_DST, v4 ? 4 : 16, address->bytes);
	return message;
}
