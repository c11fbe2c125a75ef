// SPDX-License-Identifier: BSD-3-Clause
// The frames of the steering tests: a table of what each is, whose it is, and how it is built.
#pragma once

#include "ebpf/maps.h"
#include "lib/net/address.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>

#include <cmocka.h>

enum { LISTEN = 3478, ALTERNATE = 3479, FIRST = 49152, LAST = 65000, PAYLOAD = 20 };

// Addresses by role; [0] IPv4, [1] IPv6.
enum who { OURS, OURS_TOO, STRANGER, CLIENT };
static const char *const texts[][2] = {
	[OURS] = {"192.0.2.1", "2001:db8::1"},
	[OURS_TOO] = {"192.0.2.2", "2001:db8::2"},
	[STRANGER] = {"192.0.2.3", "2001:db8::3"},
	[CLIENT] = {"198.51.100.7", "2001:db8:7::7"},
};

static struct net_address address_of(enum who who, int family)
{
	uint8_t bytes[16];

	inet_pton(family == 4 ? AF_INET : AF_INET6, texts[who][family == 6], bytes);
	return family == 4 ? net_address_v4(bytes) : net_address_v6(bytes);
}

// ---- frames ----

enum { FRAME_SIZE = 256 };
struct frame {
	uint8_t bytes[FRAME_SIZE];
	size_t length;
};

// The hop-by-hop header's number is 0, which is "none" in a fixture.
enum { HOP_BY_HOP = 256 };

// What is not given is a plain, whole, untagged UDP datagram to OURS.
struct fixture {
	const char *name;
	enum steer_counter expected;
	uint16_t ethertype; // of a frame that is not IP
	uint8_t family;
	uint8_t tags;
	uint16_t port;     // destination; in an ICMP error: source of the embedded datagram
	uint8_t protocol;  // 0: UDP
	enum who to;       // destination address
	unsigned options;  // IPv4: words of options; IPv6: number of an extension header
	uint16_t fragment; // as in the IPv4 header; IPv6: a fragment header with this offset field
	uint8_t behind;    // IPv6 extension header: what it says follows; 0: protocol
	uint8_t icmp_type; // with protocol ICMP
	uint8_t embedded_protocol; // 0: UDP
	enum who embedded_from;
	uint16_t embedded_fragment; // IPv4
	uint8_t embedded_options;   // IPv4
	int udp_length_error;       // added to the UDP length
	int ip_length_error;        // added to the IP length
	uint8_t version;            // 0: right
};

static void put(struct frame *frame, const void *bytes, size_t length)
{
	assert_true(frame->length + length <= FRAME_SIZE);
	memcpy(frame->bytes + frame->length, bytes, length);
	frame->length += length;
}

static void put16(struct frame *frame, unsigned value)
{
	put(frame, (uint8_t[]){(uint8_t)(value >> 8), (uint8_t)value}, 2);
}

static void put_ipv4(struct frame *frame, enum who from, enum who to, unsigned version,
	unsigned options, unsigned protocol, unsigned fragment, unsigned total)
{
	struct net_address source = address_of(from, 4), destination = address_of(to, 4);

	put16(frame, (version << 12) | ((5 + options) << 8));
	put16(frame, total);
	put16(frame, 0x1234);
	put16(frame, fragment);
	put16(frame, 64 << 8 | protocol);
	put16(frame, 0); // the checksum
	put(frame, source.bytes, 4);
	put(frame, destination.bytes, 4);
	for (unsigned i = 0; i < options; i++)
		put(frame, (uint8_t[]){0xc0, 4, 0, 0}, 4); // taken for UDP: a relayed port
}

// RFC 1071 over the IPv4 header at this offset, in place.
static void checksum_ipv4(struct frame *frame, size_t at)
{
	size_t length = (size_t)(frame->bytes[at] & 15) * 4;
	unsigned sum = 0;

	for (size_t i = at; i < at + length; i += 2)
		sum += (unsigned)(frame->bytes[i] << 8 | frame->bytes[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	frame->bytes[at + 10] = (uint8_t)(~sum >> 8);
	frame->bytes[at + 11] = (uint8_t)~sum;
}

static void put_ipv6(struct frame *frame, enum who from, enum who to, unsigned version,
	unsigned protocol, unsigned length)
{
	struct net_address source = address_of(from, 6), destination = address_of(to, 6);

	put16(frame, version << 12);
	put16(frame, 0);
	put16(frame, length);
	put16(frame, protocol << 8 | 64);
	put(frame, source.bytes, 16);
	put(frame, destination.bytes, 16);
}

static void put_udp(struct frame *frame, unsigned source, unsigned destination, unsigned length)
{
	put16(frame, source);
	put16(frame, destination);
	put16(frame, length);
	put16(frame, 0xabcd);
}

static void put_payload(struct frame *frame)
{
	for (unsigned i = 0; i < PAYLOAD; i++)
		put(frame, (uint8_t[]){(uint8_t)i}, 1);
}

// What follows the outer IP header and its extensions.
static void put_content(struct frame *frame, const struct fixture *fixture)
{
	bool icmp = fixture->protocol == IPPROTO_ICMP || fixture->protocol == IPPROTO_ICMPV6;
	unsigned protocol = fixture->embedded_protocol ? fixture->embedded_protocol : IPPROTO_UDP;

	if (!icmp) {
		put_udp(frame, 40000, fixture->port,
			(unsigned)(8 + PAYLOAD + fixture->udp_length_error));
		put_payload(frame);
		return;
	}
	put16(frame, (unsigned)(fixture->icmp_type << 8));
	put16(frame, 0xabcd);
	put16(frame, 0);
	put16(frame, 1280);
	if (fixture->family == 4)
		put_ipv4(frame, fixture->embedded_from, CLIENT, 4, fixture->embedded_options,
			protocol, fixture->embedded_fragment, 1400);
	else
		put_ipv6(frame, fixture->embedded_from, CLIENT, 6, protocol, 1400);
	put_udp(frame, fixture->port, 40000, 1380);
}

static struct frame frame_of(const struct fixture *fixture)
{
	static const uint8_t macs[12] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
	struct frame frame = {0}, content = {0};
	unsigned protocol = fixture->protocol ? fixture->protocol : IPPROTO_UDP;
	unsigned version = fixture->version ? fixture->version : fixture->family;

	put(&frame, macs, sizeof(macs));
	for (int i = 0; i < fixture->tags; i++) {
		// Outermost 802.1ad if there is more than one.
		put16(&frame, fixture->tags > 1 && i == 0 ? ETH_P_8021AD : ETH_P_8021Q);
		put16(&frame, (unsigned)(0x6000 | (100 + i)));
	}
	if (!fixture->family) {
		put16(&frame, fixture->ethertype);
		put_payload(&frame);
		return frame;
	}
	put16(&frame, fixture->family == 4 ? ETH_P_IP : ETH_P_IPV6);
	put_content(&content, fixture);
	unsigned length = (unsigned)((int)content.length + fixture->ip_length_error);
	if (fixture->family == 4) {
		put_ipv4(&frame, CLIENT, fixture->to, version, fixture->options, protocol,
			fixture->fragment, 20 + 4 * fixture->options + length);
	} else if (fixture->options) {
		put_ipv6(&frame, CLIENT, fixture->to, version, fixture->options & 0xff, 8 + length);
		put16(&frame, (fixture->behind ? fixture->behind : protocol) << 8);
		put16(&frame, fixture->fragment);
		put(&frame, (uint8_t[]){0, 0, 0, 1}, 4);
	} else {
		put_ipv6(&frame, CLIENT, fixture->to, version, protocol, length);
	}
	put(&frame, content.bytes, content.length);
	if (fixture->family == 4)
		checksum_ipv4(&frame, ETH_HLEN + 4U * fixture->tags);
	return frame;
}

#define BOTH(expected_counter, name4, name6, ...)                                                  \
	{.name = name4, .expected = expected_counter, .family = 4, __VA_ARGS__},                   \
	{                                                                                          \
		.name = name6, .expected = expected_counter, .family = 6, __VA_ARGS__              \
	}
// An ICMP error or other message.
#define ICMP4(expected_counter, title, type, ...)                                                  \
	{                                                                                          \
		.name = title, .expected = expected_counter, .family = 4,                          \
		.protocol = IPPROTO_ICMP, .icmp_type = type, .port = FIRST, __VA_ARGS__            \
	}
#define ICMP6(expected_counter, title, type, ...)                                                  \
	{                                                                                          \
		.name = title, .expected = expected_counter, .family = 6,                          \
		.protocol = IPPROTO_ICMPV6, .icmp_type = type, .port = FIRST, __VA_ARGS__          \
	}

static const struct fixture fixtures[] = {
	BOTH(STEER_TAKE_CLIENT, "v4 listen port", "v6 listen port", .port = LISTEN),
	BOTH(STEER_TAKE_CLIENT, "v4 alternate port", "v6 alternate port", .port = ALTERNATE),
	BOTH(STEER_TAKE_CLIENT, "v4 second address", "v6 second address", .port = LISTEN,
		.to = OURS_TOO),
	BOTH(STEER_TAKE_CLIENT, "v4 VLAN", "v6 VLAN", .port = LISTEN, .tags = 1),
	BOTH(STEER_TAKE_CLIENT, "v4 QinQ", "v6 QinQ", .port = LISTEN, .tags = 2),
	BOTH(STEER_PASS_TAGS, "v4 three tags", "v6 three tags", .port = LISTEN, .tags = 3),
	BOTH(STEER_PASS_OTHER_PORT, "v4 behind the listen ports", "v6 behind the listen ports",
		.port = ALTERNATE + 1),
	BOTH(STEER_PASS_OTHER_PORT, "v4 before the listen port", "v6 before the listen port",
		.port = LISTEN - 1),
	BOTH(STEER_PASS_OTHER_PORT, "v4 port 0", "v6 port 0", .port = 0),
	BOTH(STEER_PASS_OTHER_PORT, "v4 first - 1", "v6 first - 1", .port = FIRST - 1),
	BOTH(STEER_TAKE_PEER, "v4 first", "v6 first", .port = FIRST),
	BOTH(STEER_TAKE_PEER, "v4 last", "v6 last", .port = LAST),
	BOTH(STEER_PASS_OTHER_PORT, "v4 last + 1", "v6 last + 1", .port = LAST + 1),
	BOTH(STEER_TAKE_PEER, "v4 VLAN relayed", "v6 VLAN relayed", .port = FIRST, .tags = 1),
	BOTH(STEER_PASS_OTHER_ADDRESS, "v4 other address", "v6 other address", .port = LISTEN,
		.to = STRANGER),
	BOTH(STEER_PASS_OTHER_PROTOCOL, "v4 TCP 22", "v6 TCP 22", .protocol = IPPROTO_TCP,
		.port = 22),
	BOTH(STEER_PASS_OTHER_PROTOCOL, "v4 TCP listen port", "v6 TCP listen port",
		.protocol = IPPROTO_TCP, .port = LISTEN),
	BOTH(STEER_PASS_OTHER_PROTOCOL, "v4 UDP-Lite", "v6 UDP-Lite", .protocol = IPPROTO_UDPLITE,
		.port = LISTEN),
	{.name = "ARP", .expected = STEER_PASS_NOT_IP, .ethertype = ETH_P_ARP},
	{.name = "ARP in a VLAN", .expected = STEER_PASS_NOT_IP, .ethertype = ETH_P_ARP, .tags = 1},
	{.name = "LLDP", .expected = STEER_PASS_NOT_IP, .ethertype = ETH_P_LLDP},
	{.name = "802.3 length", .expected = STEER_PASS_NOT_IP, .ethertype = 38},

	// Fragments: first, later, last; DF alone is none.
	{.name = "v4 DF",
		.expected = STEER_TAKE_CLIENT,
		.family = 4,
		.port = LISTEN,
		.fragment = 0x4000},
	{.name = "v4 first fragment",
		.expected = STEER_PASS_FRAGMENT,
		.family = 4,
		.port = LISTEN,
		.fragment = 0x2000},
	{.name = "v4 later fragment",
		.expected = STEER_PASS_FRAGMENT,
		.family = 4,
		.port = LISTEN,
		.fragment = 0x2001},
	{.name = "v4 last fragment",
		.expected = STEER_PASS_FRAGMENT,
		.family = 4,
		.port = LISTEN,
		.fragment = 0x1fff},
	{.name = "v4 fragment to others",
		.expected = STEER_PASS_OTHER_ADDRESS,
		.family = 4,
		.port = LISTEN,
		.to = STRANGER,
		.fragment = 0x2000},
	{.name = "v6 first fragment",
		.expected = STEER_PASS_FRAGMENT,
		.family = 6,
		.port = LISTEN,
		.options = IPPROTO_FRAGMENT,
		.fragment = 1},
	{.name = "v6 later fragment",
		.expected = STEER_PASS_FRAGMENT,
		.family = 6,
		.port = LISTEN,
		.options = IPPROTO_FRAGMENT,
		.fragment = 0x0579},
	{.name = "v6 atomic fragment",
		.expected = STEER_PASS_FRAGMENT,
		.family = 6,
		.port = LISTEN,
		.options = IPPROTO_FRAGMENT},
	{.name = "v6 TCP fragment",
		.expected = STEER_PASS_OPTIONS,
		.family = 6,
		.port = LISTEN,
		.options = IPPROTO_FRAGMENT,
		.behind = IPPROTO_TCP},
	{.name = "v6 fragment to others",
		.expected = STEER_PASS_OTHER_ADDRESS,
		.family = 6,
		.port = LISTEN,
		.to = STRANGER,
		.options = IPPROTO_FRAGMENT},

	// IPv4 options, IPv6 extension headers.
	{.name = "v4 one word of options",
		.expected = STEER_PASS_OPTIONS,
		.family = 4,
		.port = LISTEN,
		.options = 1},
	{.name = "v4 ten words of options",
		.expected = STEER_PASS_OPTIONS,
		.family = 4,
		.port = LISTEN,
		.options = 10},
	{.name = "v6 hop-by-hop",
		.expected = STEER_PASS_OPTIONS,
		.family = 6,
		.port = LISTEN,
		.options = HOP_BY_HOP},
	{.name = "v6 hop-by-hop to others",
		.expected = STEER_PASS_OTHER_ADDRESS,
		.family = 6,
		.port = LISTEN,
		.to = STRANGER,
		.options = HOP_BY_HOP},
	{.name = "v6 routing",
		.expected = STEER_PASS_OPTIONS,
		.family = 6,
		.port = LISTEN,
		.options = IPPROTO_ROUTING},
	{.name = "v6 destination options",
		.expected = STEER_PASS_OPTIONS,
		.family = 6,
		.port = LISTEN,
		.options = IPPROTO_DSTOPTS},
	{.name = "v6 authentication",
		.expected = STEER_PASS_OPTIONS,
		.family = 6,
		.port = LISTEN,
		.options = IPPROTO_AH},
	{.name = "v6 mobility",
		.expected = STEER_PASS_OPTIONS,
		.family = 6,
		.port = LISTEN,
		.options = IPPROTO_MH},
	{.name = "v6 in ESP",
		.expected = STEER_PASS_OTHER_PROTOCOL,
		.family = 6,
		.port = LISTEN,
		.options = IPPROTO_ESP},

	// Lengths that contradict each other: nobody's where address and port are the relay's. A
	// UDP length shorter than the packet's is legal (RFC 9868 keeps options behind it), but the
	// dataplane takes none.
	BOTH(STEER_DROP_LENGTH, "v4 short UDP length", "v6 short UDP length", .port = LISTEN,
		.udp_length_error = -4),
	BOTH(STEER_DROP_LENGTH, "v4 empty datagram", "v6 empty datagram", .port = LISTEN,
		.udp_length_error = -PAYLOAD),
	BOTH(STEER_DROP_LENGTH, "v4 UDP length 7", "v6 UDP length 7", .port = LISTEN,
		.udp_length_error = -PAYLOAD - 1),
	BOTH(STEER_DROP_LENGTH, "v4 UDP longer than IP", "v6 UDP longer than IP", .port = LISTEN,
		.udp_length_error = 1),
	BOTH(STEER_DROP_LENGTH, "v4 IP longer than the frame", "v6 IP longer than the frame",
		.port = FIRST, .ip_length_error = 1),
	BOTH(STEER_DROP_LENGTH, "v4 IP shorter than UDP", "v6 IP shorter than UDP", .port = FIRST,
		.ip_length_error = -1),
	{.name = "v4 total length below the header",
		.expected = STEER_DROP_LENGTH,
		.family = 4,
		.port = LISTEN,
		.ip_length_error = -8 - PAYLOAD - 1},
	BOTH(STEER_PASS_MALFORMED, "v4 UDP length 7, other port", "v6 UDP length 7, other port",
		.port = 53, .udp_length_error = -PAYLOAD - 1),
	BOTH(STEER_PASS_MALFORMED, "v4 IP longer than the frame, other port",
		"v6 IP longer than the frame, other port", .port = 53, .ip_length_error = 1),
	BOTH(STEER_PASS_OTHER_PORT, "v4 short UDP length, other port",
		"v6 short UDP length, other port", .port = 53, .udp_length_error = -4),
	BOTH(STEER_PASS_OTHER_ADDRESS, "v4 IP longer than the frame, other address",
		"v6 IP longer than the frame, other address", .port = LISTEN, .to = STRANGER,
		.ip_length_error = 1),
	BOTH(STEER_PASS_MALFORMED, "v4 version 5", "v6 version 5", .port = LISTEN, .version = 5),
	{.name = "v4 fragment longer than the frame",
		.expected = STEER_PASS_MALFORMED,
		.family = 4,
		.port = LISTEN,
		.fragment = 0x2000,
		.ip_length_error = 1},
	{.name = "v4 options longer than the frame",
		.expected = STEER_PASS_MALFORMED,
		.family = 4,
		.port = LISTEN,
		.options = 1,
		.ip_length_error = 1},

	// ICMP: errors about what a relayed port sent are the relay's.
	ICMP4(STEER_TAKE_ICMP_ERROR, "v4 unreachable", 3),
	ICMP4(STEER_TAKE_ICMP_ERROR, "v4 time exceeded", 11),
	ICMP4(STEER_TAKE_ICMP_ERROR, "v4 parameter problem", 12),
	ICMP4(STEER_TAKE_ICMP_ERROR, "v4 unreachable in QinQ", 3, .tags = 2),
	ICMP4(STEER_TAKE_ICMP_ERROR, "v4 error about a first fragment", 11,
		.embedded_fragment = 0x2000),
	ICMP4(STEER_TAKE_ICMP_ERROR, "v4 error to the second address", 3, .to = OURS_TOO,
		.embedded_from = OURS_TOO),
	ICMP4(STEER_PASS_ICMP, "v4 error about a later fragment", 11, .embedded_fragment = 0x2001),
	ICMP4(STEER_PASS_ICMP, "v4 error about options", 12, .embedded_options = 1),
	ICMP4(STEER_PASS_ICMP, "v4 error about a stranger", 3, .embedded_from = STRANGER),
	ICMP4(STEER_PASS_ICMP, "v4 error about another of our addresses", 3,
		.embedded_from = OURS_TOO),
	ICMP4(STEER_PASS_ICMP, "v4 error about TCP", 3, .embedded_protocol = IPPROTO_TCP),
	ICMP4(STEER_PASS_OTHER_ADDRESS, "v4 error to a stranger", 3, .to = STRANGER,
		.embedded_from = STRANGER),
	ICMP4(STEER_PASS_ICMP, "v4 echo request", 8),
	ICMP4(STEER_PASS_ICMP, "v4 echo reply", 0),
	ICMP4(STEER_PASS_ICMP, "v4 redirect", 5),
	ICMP4(STEER_PASS_FRAGMENT, "v4 error in fragments", 3, .fragment = 0x2000),
	ICMP4(STEER_PASS_OPTIONS, "v4 error behind options", 3, .options = 1),
	{.name = "v4 error about first - 1",
		.expected = STEER_PASS_ICMP,
		.family = 4,
		.protocol = IPPROTO_ICMP,
		.icmp_type = 3,
		.port = FIRST - 1},
	{.name = "v4 error about last",
		.expected = STEER_TAKE_ICMP_ERROR,
		.family = 4,
		.protocol = IPPROTO_ICMP,
		.icmp_type = 3,
		.port = LAST},
	{.name = "v4 error about last + 1",
		.expected = STEER_PASS_ICMP,
		.family = 4,
		.protocol = IPPROTO_ICMP,
		.icmp_type = 3,
		.port = LAST + 1},
	{.name = "v4 error about the listen port",
		.expected = STEER_PASS_ICMP,
		.family = 4,
		.protocol = IPPROTO_ICMP,
		.icmp_type = 3,
		.port = LISTEN},
	{.name = "v4 packet with ICMPv6",
		.expected = STEER_PASS_OTHER_PROTOCOL,
		.family = 4,
		.protocol = IPPROTO_ICMPV6,
		.icmp_type = 1,
		.port = FIRST},
	ICMP6(STEER_TAKE_ICMP_ERROR, "v6 unreachable", 1),
	ICMP6(STEER_TAKE_ICMP_ERROR, "v6 packet too big", 2),
	ICMP6(STEER_TAKE_ICMP_ERROR, "v6 time exceeded", 3),
	ICMP6(STEER_TAKE_ICMP_ERROR, "v6 parameter problem", 4),
	ICMP6(STEER_TAKE_ICMP_ERROR, "v6 packet too big in QinQ", 2, .tags = 2),
	ICMP6(STEER_PASS_ICMP, "v6 error type 0", 0),
	ICMP6(STEER_PASS_ICMP, "v6 error type 5", 5),
	ICMP6(STEER_PASS_ICMP, "v6 error about a stranger", 1, .embedded_from = STRANGER),
	ICMP6(STEER_PASS_ICMP, "v6 error about another of our addresses", 1,
		.embedded_from = OURS_TOO),
	ICMP6(STEER_PASS_ICMP, "v6 error about TCP", 1, .embedded_protocol = IPPROTO_TCP),
	ICMP6(STEER_PASS_ICMP, "v6 error about a fragment", 1,
		.embedded_protocol = IPPROTO_FRAGMENT),
	ICMP6(STEER_PASS_OTHER_ADDRESS, "v6 error to a stranger", 1, .to = STRANGER,
		.embedded_from = STRANGER),
	ICMP6(STEER_PASS_ICMP, "v6 echo request", 128),
	ICMP6(STEER_PASS_ICMP, "v6 router advertisement", 134),
	ICMP6(STEER_PASS_ICMP, "v6 neighbour solicitation", 135),
	ICMP6(STEER_PASS_ICMP, "v6 neighbour advertisement", 136),
	ICMP6(STEER_PASS_OTHER_ADDRESS, "v6 neighbour solicitation to others", 135, .to = STRANGER),
	ICMP6(STEER_PASS_OPTIONS, "v6 listener report behind hop-by-hop", 143,
		.options = HOP_BY_HOP),
	{.name = "v6 error about first - 1",
		.expected = STEER_PASS_ICMP,
		.family = 6,
		.protocol = IPPROTO_ICMPV6,
		.icmp_type = 1,
		.port = FIRST - 1},
	{.name = "v6 error about last",
		.expected = STEER_TAKE_ICMP_ERROR,
		.family = 6,
		.protocol = IPPROTO_ICMPV6,
		.icmp_type = 1,
		.port = LAST},
	{.name = "v6 packet with ICMPv4",
		.expected = STEER_PASS_OTHER_PROTOCOL,
		.family = 6,
		.protocol = IPPROTO_ICMP,
		.icmp_type = 3,
		.port = FIRST},
};
enum { FIXTURES = sizeof(fixtures) / sizeof(fixtures[0]) };
