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
#define STEER_GUARD_MAP     "steer_guard"
#define STEER_PORTS_MAP     "steer_ports"
#define STEER_RULES4_MAP    "steer_rules4"
#define STEER_RULES6_MAP    "steer_rules6"
#define STEER_BUDGETS_MAP   "steer_budgets"

enum {
	STEER_QUEUES_MAX = 1024,  // slots of xsks_map: the highest receive queue served, plus one
	STEER_ADDRESSES_MAX = 64, // addresses the relay answers on
	STEER_PORT_WORDS = 1024,  // 64-bit words of STEER_PORTS_MAP per address, a bit per port
	STEER_RULES_MAX = 4096,   // of a family
	STEER_BUDGETS = 1 << 13,  // slots of STEER_BUDGETS_MAP, on each CPU
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
	// To nobody: to an address and port of the relay, but ...
	STEER_DROP_LENGTH,      // IP and UDP lengths and the frame's contradict each other
	STEER_DROP_BLOCKED,     // from a prefix that the operator blocks
	STEER_DROP_SOURCE,      // from where nobody can be answered: port 0, a group, loopback, us
	STEER_DROP_UNALLOCATED, // a relayed port that no allocation has
	STEER_DROP_SHORT,       // shorter than any message of a client
	STEER_DROP_FIRST_BYTE,  // of no protocol that is spoken here
	STEER_DROP_STUN,        // no STUN message, or one that no client sends
	STEER_DROP_CHANNEL,     // ChannelData whose length is not the datagram's
	STEER_DROP_BUDGET,      // more requests than the dataplane would take from the prefix
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
// four bytes and zeros behind. The value is one byte: the address's place in the configuration.
struct steer_address {
	__u8 bytes[16];
	__u8 family; // 4 or 6
	__u8 reserved[3];
};
_Static_assert(sizeof(struct steer_address) == 20, "key of a map");

// What the guard knows, the only element of STEER_GUARD_MAP. Mapped by the dataplane's main lcore,
// which writes it while the program runs: each member is one word. All zero, and so without effect,
// until it has been filled; `enabled` last.
struct steer_guard_settings {
	__u64 seed[2];        // of the prefixes' hash, random per start
	__u64 request_cost;   // nanoseconds between two requests of a prefix, on average
	__u32 enabled;        // 0: nothing is dropped but for its length
	__u32 channel_last;   // highest first byte of ChannelData
	__u32 rules4, rules6; // in the tries; 0: need not be asked
	__u64 reserved[3];
};
_Static_assert(sizeof(struct steer_guard_settings) == 64, "value of a map");

// Key of STEER_RULES4_MAP and STEER_RULES6_MAP (the kernel's struct bpf_lpm_trie_key with room for
// an address; 4 of the bytes for IPv4). The value is one byte, enum steer_rule.
struct steer_prefix {
	__u32 length;
	__u8 bytes[16];
};
_Static_assert(sizeof(struct steer_prefix) == 20, "key of a map");

enum steer_rule {
	STEER_RULE_NONE = 0,
	STEER_RULE_BLOCK = 1,
	STEER_RULE_ALLOW = 2,
};
