// SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only)
// What the steering programs and their loader share: the maps' names and layouts, the programs'
// names, and the outcomes that are counted. The loader finds all of them by name in the running
// kernel, so a name may not be longer than 15 characters. Included by BPF and by user space:
// fixed-width types only.
#pragma once

#include <linux/types.h>

#define STEER_XDP_PROGRAM   "blindrelay_xdp"
#define STEER_TC_PROGRAM    "blindrelay_tc"
#define STEER_SOCKETS_MAP   "xsks_map" // the name that DPDK's AF_XDP driver looks for
#define STEER_SETTINGS_MAP  "steer_settings"
#define STEER_ADDRESSES_MAP "steer_addresses"
#define STEER_COUNTERS_MAP  "steer_counters"

enum {
	STEER_QUEUES_MAX = 1024,  // slots of xsks_map: the highest receive queue served, plus one
	STEER_ADDRESSES_MAX = 64, // addresses the relay answers on
};

// Every frame a program sees raises exactly one of these, so their sum is the frames seen.
enum steer_counter {
	// To the dataplane.
	STEER_TAKE_CLIENT,     // UDP to the listen port or the alternate port
	STEER_TAKE_PEER,       // UDP to a relayed port
	STEER_TAKE_ICMP_ERROR, // an error about a datagram that a relayed port sent
	// To the kernel.
	STEER_PASS_UNCONFIGURED,   // nobody has configured the program yet
	STEER_PASS_NO_SOCKET,      // the relay's, but no AF_XDP socket listens on this queue
	STEER_PASS_NOT_IP,         // ARP, LLDP, ...
	STEER_PASS_TAGS,           // more than two VLAN tags
	STEER_PASS_MALFORMED,      // cut short, or lengths that contradict each other
	STEER_PASS_OTHER_PROTOCOL, // TCP, OSPF, ESP, ...
	STEER_PASS_OTHER_ADDRESS,  // not to an address of the relay
	STEER_PASS_OPTIONS,        // to the relay, behind IPv4 options or IPv6 extension headers
	STEER_PASS_FRAGMENT,       // a fragment of a datagram to the relay
	STEER_PASS_OTHER_PORT,     // UDP to the relay's address, port not the relay's
	STEER_PASS_ICMP,           // echo, ND, MLD, errors about what the kernel sent
	STEER_COUNTERS,
};

// The only element of STEER_SETTINGS_MAP. Ports in host order. Written by the loader, read by the
// programs. alternate_port equals listen_port where there is none.
struct steer_settings {
	__u32 enabled; // 0: everything passes
	__u16 listen_port;
	__u16 alternate_port;
	__u16 relay_first; // inclusive
	__u16 relay_last;  // inclusive
	// Relayed ports of before that are in use still; the same range where there are none.
	__u16 earlier_first;
	__u16 earlier_last;
};
_Static_assert(sizeof(struct steer_settings) == 16, "value of a map");

// Key of STEER_ADDRESSES_MAP, laid out as struct net_address: network order, IPv4 in the first
// four bytes and zeros behind. The value is one byte without a meaning.
struct steer_address {
	__u8 bytes[16];
	__u8 family; // 4 or 6
	__u8 reserved[3];
};
_Static_assert(sizeof(struct steer_address) == 20, "key of a map");
