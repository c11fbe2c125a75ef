// SPDX-License-Identifier: BSD-3-Clause
// The kernel's routing messages (rtnetlink) as plain events. No I/O.
#pragma once

#include "dataplane/api/messages.h"

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	ROUTES_NAME_SIZE = 16, // IFNAMSIZ
	ROUTES_GROUP_MAX = 32, // members of a nexthop group that are looked at
};

enum routes_event_kind {
	ROUTES_LINK,
	ROUTES_ADDRESS,
	ROUTES_NEXTHOP,
	ROUTES_ROUTE,
	ROUTES_NEIGHBOUR,
	ROUTES_KINDS,
};

struct routes_link {
	uint32_t ifindex;
	uint32_t lower; // for a VLAN interface: the one it is on; else 0
	uint16_t vlan;  // 0: not an (802.1Q) VLAN interface
	uint16_t mtu;   // larger ones are cut to 65535
	uint8_t mac[6];
	bool ethernet;
	bool up; // and running
	char name[ROUTES_NAME_SIZE];
};

struct routes_address {
	uint32_t ifindex;
	struct net_address address;
};

// A nexthop object (ip nexthop): one hop, a group of others, or a blackhole.
struct routes_nexthop {
	uint32_t id;
	struct api_next_hop hop; // ifindex 0: one we cannot follow (encapsulation)
	uint8_t blackhole;       // 0 or 1
	uint8_t reserved;        // no padding: compared as bytes
	uint16_t member_count;
	uint32_t members[ROUTES_GROUP_MAX];
};

struct routes_route {
	struct net_prefix prefix;
	uint32_t metric;
	uint32_t nexthop_id; // not 0: this object tells the hops
	bool blackhole;      // blackhole, unreachable, prohibit, throw
	bool replaces;       // takes the place of the route of that prefix and metric
	uint16_t count;
	struct api_next_hop hops[API_NEXT_HOPS_MAX]; // ifindex 0: one we cannot follow
};

struct routes_neighbour {
	uint32_t ifindex;
	struct net_address address;
	uint8_t mac[6];
	bool usable; // has a MAC that may be sent to
	bool stale;  // usable, but not confirmed lately
};

struct routes_event {
	enum routes_event_kind kind;
	bool gone; // deleted; else new or changed
	union {
		struct routes_link link;
		struct routes_address address;
		struct routes_nexthop nexthop;
		struct routes_route route;
		struct routes_neighbour neighbour;
	};
};

// The messages of one received datagram (4-byte aligned).
struct routes_datagram {
	const uint8_t *position;
	size_t left;
};

// The next one, whole; NULL at the end, or where a length cannot be. (mnl_nlmsg_ok takes lengths
// above INT_MAX for negative ones, which fit.)
const struct nlmsghdr *routes_message_next(struct routes_datagram *datagram);

// One message, whose nlmsg_len was checked against the buffer. 1 and *out; 0: of no interest
// (other tables than main, multicast, link-local and cloned routes, other families...); -EBADMSG.
int routes_decode(const struct nlmsghdr *message, struct routes_event *out);

// Builds the request for a dump of a kind (routes: of one address family, AF_INET or AF_INET6; 0
// for others) in buffer, which has ROUTES_REQUEST_SIZE bytes.
enum { ROUTES_REQUEST_SIZE = 128 };
const struct nlmsghdr *routes_encode_dump(
	void *buffer, uint32_t sequence, enum routes_event_kind kind, int family);
// Builds the request that makes the kernel resolve a neighbour (or confirm it, when it is stale).
const struct nlmsghdr *routes_encode_resolve(
	void *buffer, uint32_t sequence, uint32_t ifindex, const struct net_address *address);
