// SPDX-License-Identifier: BSD-3-Clause
// The addresses of this host and what kind of network each belongs to, from what rtnetlink tells
// about links and addresses. Plain functions but interfaces_read, which asks the kernel; one
// thread.
//
// Left out: loopback (unless there is nothing else), links that are down or have no carrier,
// link-local addresses, and those that are tentative, duplicate or deprecated. Where a
// network has given us a usable temporary address (RFC 8981), its lasting ones are left out, too:
// the sockets send from the temporary one, and a firewall lets in only what answers that.
#pragma once

#include "endpoint/phone/phone.h"

enum {
	INTERFACES_LINKS_MAX = 512, // more are not looked at
	INTERFACES_ADDRESSES_MAX = 256,
};

// What a link is, by the kernel's kind of it (IFLA_INFO_KIND) and, where that says nothing, by its
// name.
enum interface_kind {
	INTERFACE_REAL, // hardware, or on top of one: vlan, bond, macvlan...
	INTERFACE_CELLULAR,
	INTERFACE_TUNNEL,
	INTERFACE_BRIDGE, // real if a real link is one of its ports
	INTERFACE_PAIR,   // veth
	INTERFACE_INNER,  // leads nowhere but into this host
	INTERFACE_LOOPBACK,
};

struct interface_link {
	uint32_t index;
	uint32_t master; // the bridge that it is a port of; 0: none
	enum interface_kind kind;
	bool running;   // up, with a carrier
	bool elsewhere; // the other end of a pair is in another namespace
};

struct interface_address {
	uint32_t link;
	struct endpoint_transport transport; // without port
	bool temporary;
};

struct interfaces {
	struct interface_link links[INTERFACES_LINKS_MAX];
	size_t link_count;
	struct interface_address addresses[INTERFACES_ADDRESSES_MAX];
	size_t address_count;
};

// kind: the kernel's word, "" or NULL: none.
enum interface_kind interface_kind_of(const char *kind, const char *name);

// Takes the links and addresses of one datagram from a dump (RTM_NEWLINK, RTM_NEWADDR); what is
// malformed or something else is skipped. 1: the dump ends in it; 0: more follows; negative: the
// kernel's error.
int interfaces_take(struct interfaces *interfaces, const void *data, size_t size);

// Asks the kernel for all links and addresses. 0 or a negative errno.
int interfaces_read(struct interfaces *interfaces);

// What the phone is to know, best first; how many. `preferred` (may be NULL): what the kernel sends
// from, two of them, IPv4 and IPv6, family 0: not known; first in their class.
size_t interfaces_hosts(const struct interfaces *interfaces,
	const struct endpoint_transport preferred[2], struct phone_host out[PHONE_HOSTS_MAX]);
