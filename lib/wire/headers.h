// SPDX-License-Identifier: BSD-3-Clause
// Ethernet (with up to two 802.1Q/ad tags), IPv4, IPv6 and UDP headers of a received frame, as one
// bounded parse. Only what the relay may forward comes out with 0: whole UDP datagrams without IP
// options, extension headers or fragments. Internet checksum arithmetic (RFC 1071, RFC 1624) lives
// in lib/wire/checksum.h.
#pragma once

#include "lib/net/address.h"

#include <stddef.h>
#include <stdint.h>

enum {
	HEADERS_ETHERTYPE_IPV4 = 0x0800,
	HEADERS_ETHERTYPE_IPV6 = 0x86DD,
	HEADERS_ETHERTYPE_ARP = 0x0806,
	HEADERS_ETHERTYPE_VLAN = 0x8100,
	HEADERS_ETHERTYPE_QINQ = 0x88A8,
	HEADERS_ETHERNET_LENGTH = 14,
	HEADERS_VLAN_LENGTH = 4,
	HEADERS_IPV4_LENGTH = 20,
	HEADERS_IPV6_LENGTH = 40,
	HEADERS_UDP_LENGTH = 8,
};

// Why a frame is not a plain UDP datagram. Each is a counter. Fragments and options of IPv4 are
// told apart for UDP only: other protocols are the kernel's whatever they look like. An IPv6
// extension header hides the protocol, so it counts for all.
enum headers_verdict {
	HEADERS_UDP = 0,      // everything below is filled in
	HEADERS_ICMP_ERROR,   // ICMPv4 type 3/11/12, ICMPv6 type 1-4: no ports, no payload
	HEADERS_NOT_IP,       // ARP, LLDP, ...: the kernel's
	HEADERS_NOT_UDP,      // other protocols: the kernel's
	HEADERS_FRAGMENT,     // the kernel's, or dropped
	HEADERS_OPTIONS,      // IPv4 options or IPv6 extension headers: the kernel's, or dropped
	HEADERS_TRUNCATED,    // a length reaches behind the frame
	HEADERS_BAD_LENGTH,   // lengths contradict each other
	HEADERS_BAD_CHECKSUM, // IPv4 header checksum
};

struct headers {
	uint8_t family;     // enum net_family
	uint8_t vlan_count; // tags present in the frame, 0-2
	uint16_t vlan;      // outermost tag's VLAN id (0: none)
	uint16_t l3_offset; // bytes from the frame's start
	uint16_t l4_offset;
	uint16_t payload_offset; // behind UDP
	uint16_t payload_length; // UDP length - 8
	uint16_t l4_length;      // UDP: its length field; ICMP: rest of the IP packet
	uint16_t source_port, destination_port; // host order
	uint8_t ttl;                            // or hop limit
	uint8_t tos;                            // TOS / traffic class: DSCP and ECN
	uint8_t dont_fragment;                  // IPv4 DF
	uint8_t reserved;
	uint32_t flow_label;                 // IPv6, host order, 20 bits
	const uint8_t *source, *destination; // into the frame, 4 or 16 bytes
};

// frame: contiguous bytes of one frame, length: bytes there (Ethernet padding behind the IP packet
// is fine).
enum headers_verdict headers_parse(const uint8_t *frame, size_t length, struct headers *out);
