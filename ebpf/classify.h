// SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only)
// Whose frame is it: the relay's or the kernel's? The one answer for the XDP and the tc program.
//
// Only what the dataplane can forward as it stands is the relay's: a whole UDP datagram without
// fragmentation, IPv4 options or IPv6 extension headers, to a listed address and one of its ports,
// and ICMP errors about such a datagram that a relayed port sent (RFC 8656 section 11.5). Anything
// unclear is the kernel's: a box that answers ssh is worth more than a datagram. Only where address
// and port can be read and are the relay's, but the lengths around them contradict each other, it
// is nobody's.
//
// Reads the frame only; the verdict depends on nothing but the frame and the maps. Checksums are
// not verified here: the dataplane does that for what it gets.
#pragma once

#include "ebpf/maps.h"

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

enum {
	STEER_TAGS_MAX = 2,
	// The deepest byte read: Ethernet, two tags, and an ICMPv6 error's embedded ports.
	STEER_READ_LENGTH = 14 + 2 * 4 + 40 + 8 + 40 + 8,
	// RFC 792, RFC 4443: type, code, checksum and four more bytes. <linux/icmp.h> does not
	// compile for BPF: it wants the C library of a 32-bit machine.
	STEER_ICMP_HEADER = 8,
	STEER_ICMP4_UNREACHABLE = 3,
	STEER_ICMP4_TIME_EXCEEDED = 11,
	STEER_ICMP4_PARAMETER_PROBLEM = 12,
	STEER_ICMP6_UNREACHABLE = 1,
	STEER_ICMP6_PARAMETER_PROBLEM = 4, // 2: packet too big, 3: time exceeded
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct steer_settings);
} steer_settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, STEER_ADDRESSES_MAX);
	__type(key, struct steer_address);
	__type(value, __u8);
} steer_addresses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, STEER_COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} steer_counters SEC(".maps");

// position moves forward through [position, end). left: bytes of the frame behind position, which
// may be more than are mapped up to end (tc sees only the linear part of a frame).
struct steer_cursor {
	const __u8 *position;
	const __u8 *end;
	__u32 left;
};

// What the guard asks about a frame that is the relay's.
struct steer_datagram {
	struct steer_cursor payload;
	struct steer_address source;
	__u32 payload_length;
	__u32 address; // which of ours it was sent to
	__u16 port;    // of ours: the destination, in an ICMP error the quoted source
	__be16 source_port;
};

// The bytes at the cursor, then moves behind them; NULL when there are fewer.
static __always_inline const void *cursor_take(struct steer_cursor *cursor, __u32 length)
{
	const __u8 *bytes = cursor->position;

	if (bytes + length > cursor->end)
		return NULL;
	cursor->position = bytes + length;
	cursor->left -= length;
	return bytes;
}

static __always_inline void steer_count(enum steer_counter counter)
{
	__u32 key = counter;
	__u64 *value = bpf_map_lookup_elem(&steer_counters, &key);

	if (value)
		*value += 1;
}

static __always_inline bool steer_takes(enum steer_counter counter)
{
	return counter <= STEER_TAKE_ICMP_ERROR;
}

static __always_inline bool steer_drops(enum steer_counter counter)
{
	return counter >= STEER_DROP_LENGTH;
}

static __always_inline struct steer_address address_v4(const __be32 *bytes)
{
	struct steer_address address;

	__builtin_memset(&address, 0, sizeof(address));
	__builtin_memcpy(address.bytes, bytes, 4);
	address.family = 4;
	return address;
}

static __always_inline struct steer_address address_v6(const struct in6_addr *bytes)
{
	struct steer_address address;

	__builtin_memset(&address, 0, sizeof(address));
	__builtin_memcpy(address.bytes, bytes, 16);
	address.family = 6;
	return address;
}

// Its place in the configuration; NULL: not the relay's.
static __always_inline const __u8 *address_find(const struct steer_address *address)
{
	return bpf_map_lookup_elem(&steer_addresses, address);
}

static __always_inline bool port_relayed(const struct steer_settings *settings, __u16 port)
{
	return (port >= settings->relay_first && port <= settings->relay_last) ||
	       (port >= settings->earlier_first && port <= settings->earlier_last);
}

// cursor: at the UDP header. length: bytes the IP header promises from there on; 0 when its own
// length is wrong. RFC 9868 would allow a UDP length below IP's; the dataplane does not.
static __always_inline enum steer_counter classify_udp(struct steer_cursor *cursor, __u32 length,
	const struct steer_settings *settings, struct steer_datagram *out)
{
	const struct udphdr *udp = cursor_take(cursor, sizeof(*udp));

	if (!udp)
		return STEER_PASS_MALFORMED;
	__u16 udp_length = bpf_ntohs(udp->len);
	__u16 port = bpf_ntohs(udp->dest);
	bool client = port == settings->listen_port || port == settings->alternate_port;
	bool peer = port_relayed(settings, port);
	if (udp_length < sizeof(*udp) || udp_length > length)
		return client || peer ? STEER_DROP_LENGTH : STEER_PASS_MALFORMED;
	if (!client && !peer)
		return STEER_PASS_OTHER_PORT;
	if (udp_length != length)
		return STEER_DROP_LENGTH;
	out->payload = *cursor;
	out->payload_length = udp_length - (__u32)sizeof(*udp);
	out->port = port;
	out->source_port = udp->source;
	return client ? STEER_TAKE_CLIENT : STEER_TAKE_PEER;
}

// cursor: at the UDP header embedded in an error about a datagram from one of our addresses.
static __always_inline enum steer_counter classify_embedded_udp(struct steer_cursor *cursor,
	const struct steer_settings *settings, struct steer_datagram *out)
{
	const struct udphdr *udp = cursor_take(cursor, sizeof(*udp));

	if (!udp)
		return STEER_PASS_MALFORMED;
	out->port = bpf_ntohs(udp->source);
	return port_relayed(settings, out->port) ? STEER_TAKE_ICMP_ERROR : STEER_PASS_ICMP;
}

// An error comes to the address that sent the embedded datagram; where the two differ it is forged
// or not for us. The embedded datagram may be a first fragment: a router may cut what we sent.
static __always_inline enum steer_counter classify_icmp4(struct steer_cursor *cursor, __u32 length,
	__be32 destination, const struct steer_settings *settings, struct steer_datagram *out)
{
	const __u8 *icmp = cursor_take(cursor, STEER_ICMP_HEADER);

	if (!icmp)
		return STEER_PASS_MALFORMED;
	if (icmp[0] != STEER_ICMP4_UNREACHABLE && icmp[0] != STEER_ICMP4_TIME_EXCEEDED &&
		icmp[0] != STEER_ICMP4_PARAMETER_PROBLEM)
		return STEER_PASS_ICMP;
	if (length < STEER_ICMP_HEADER + sizeof(struct iphdr) + sizeof(struct udphdr))
		return STEER_PASS_MALFORMED;
	const struct iphdr *embedded = cursor_take(cursor, sizeof(*embedded));
	if (!embedded)
		return STEER_PASS_MALFORMED;
	if (embedded->version != 4 || embedded->ihl != 5 || embedded->protocol != IPPROTO_UDP ||
		(embedded->frag_off & bpf_htons(0x1fff)) || embedded->saddr != destination)
		return STEER_PASS_ICMP;
	return classify_embedded_udp(cursor, settings, out);
}

static __always_inline enum steer_counter classify_icmp6(struct steer_cursor *cursor, __u32 length,
	const struct in6_addr *destination, const struct steer_settings *settings,
	struct steer_datagram *out)
{
	const __u8 *icmp = cursor_take(cursor, STEER_ICMP_HEADER);

	if (!icmp)
		return STEER_PASS_MALFORMED;
	if (icmp[0] < STEER_ICMP6_UNREACHABLE || icmp[0] > STEER_ICMP6_PARAMETER_PROBLEM)
		return STEER_PASS_ICMP;
	if (length < STEER_ICMP_HEADER + sizeof(struct ipv6hdr) + sizeof(struct udphdr))
		return STEER_PASS_MALFORMED;
	const struct ipv6hdr *embedded = cursor_take(cursor, sizeof(*embedded));
	if (!embedded)
		return STEER_PASS_MALFORMED;
	if (embedded->version != 6 || embedded->nexthdr != IPPROTO_UDP)
		return STEER_PASS_ICMP;
	for (int i = 0; i < 4; i++)
		if (embedded->saddr.in6_u.u6_addr32[i] != destination->in6_u.u6_addr32[i])
			return STEER_PASS_ICMP;
	return classify_embedded_udp(cursor, settings, out);
}

static __always_inline enum steer_counter classify_ipv4(struct steer_cursor *cursor,
	const struct steer_settings *settings, struct steer_datagram *out)
{
	__u32 left = cursor->left;
	const struct iphdr *ip = cursor_take(cursor, sizeof(*ip));

	if (!ip || ip->version != 4 || ip->ihl < 5)
		return STEER_PASS_MALFORMED;
	if (ip->protocol != IPPROTO_UDP && ip->protocol != IPPROTO_ICMP)
		return STEER_PASS_OTHER_PROTOCOL;
	struct steer_address destination = address_v4(&ip->daddr);
	const __u8 *own = address_find(&destination);
	if (!own)
		return STEER_PASS_OTHER_ADDRESS;
	out->address = *own;
	out->source = address_v4(&ip->saddr);
	__u32 total = bpf_ntohs(ip->tot_len);
	bool wrong = total < sizeof(*ip) || total > left;
	bool plain = ip->ihl == 5 && !(ip->frag_off & bpf_htons(0x3fff));
	if (wrong && (!plain || ip->protocol != IPPROTO_UDP))
		return STEER_PASS_MALFORMED;
	if (ip->ihl != 5)
		return STEER_PASS_OPTIONS;
	if (!plain) // more fragments, or an offset
		return STEER_PASS_FRAGMENT;
	if (ip->protocol == IPPROTO_UDP)
		return classify_udp(cursor, wrong ? 0 : total - sizeof(*ip), settings, out);
	return classify_icmp4(cursor, total - sizeof(*ip), ip->daddr, settings, out);
}

static __always_inline bool protocol_is_extension(__u8 protocol)
{
	switch (protocol) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_FRAGMENT:
	case IPPROTO_AH:
	case IPPROTO_DSTOPTS:
	case IPPROTO_MH:
	case 139: // host identity protocol
	case 140: // shim6
		return true;
	default:
		return false;
	}
}

// A fragment header in front of anything but UDP (TCP, an echo request) is no loss to the relay.
static __always_inline enum steer_counter classify_fragment6(struct steer_cursor *cursor)
{
	const __u8 *fragment = cursor_take(cursor, 8);

	if (!fragment)
		return STEER_PASS_MALFORMED;
	return fragment[0] == IPPROTO_UDP ? STEER_PASS_FRAGMENT : STEER_PASS_OPTIONS;
}

static __always_inline enum steer_counter classify_ipv6(struct steer_cursor *cursor,
	const struct steer_settings *settings, struct steer_datagram *out)
{
	const struct ipv6hdr *ip = cursor_take(cursor, sizeof(*ip));

	if (!ip || ip->version != 6)
		return STEER_PASS_MALFORMED;
	__u8 protocol = ip->nexthdr;
	if (protocol != IPPROTO_UDP && protocol != IPPROTO_ICMPV6 &&
		!protocol_is_extension(protocol))
		return STEER_PASS_OTHER_PROTOCOL;
	struct steer_address destination = address_v6(&ip->daddr);
	const __u8 *own = address_find(&destination);
	if (!own)
		return STEER_PASS_OTHER_ADDRESS;
	out->address = *own;
	out->source = address_v6(&ip->saddr);
	__u32 length = bpf_ntohs(ip->payload_len);
	bool wrong = length > cursor->left;
	if (protocol == IPPROTO_UDP)
		return classify_udp(cursor, wrong ? 0 : length, settings, out);
	if (wrong)
		return STEER_PASS_MALFORMED;
	if (protocol == IPPROTO_ICMPV6)
		return classify_icmp6(cursor, length, &ip->daddr, settings, out);
	return protocol == IPPROTO_FRAGMENT ? classify_fragment6(cursor) : STEER_PASS_OPTIONS;
}

// data, end: the mapped part of the frame, from the Ethernet header on. length: of the whole frame.
// tags: VLAN tags already taken off it (tc: the one in the metadata). *out is set when the answer
// is one of STEER_TAKE_.
static __always_inline enum steer_counter steer_classify(
	const void *data, const void *end, __u32 length, __u32 tags, struct steer_datagram *out)
{
	struct steer_cursor cursor = {.position = data, .end = end, .left = length};
	__u32 key = 0;
	const struct steer_settings *settings = bpf_map_lookup_elem(&steer_settings, &key);

	if (!settings || !settings->enabled)
		return STEER_PASS_UNCONFIGURED;
	const struct ethhdr *ethernet = cursor_take(&cursor, sizeof(*ethernet));
	if (!ethernet)
		return STEER_PASS_MALFORMED;
	__be16 type = ethernet->h_proto;
#pragma unroll
	for (int i = 0; i < STEER_TAGS_MAX; i++) {
		if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD))
			break;
		const __be16 *tag = cursor_take(&cursor, 4);
		if (!tag)
			return STEER_PASS_MALFORMED;
		type = tag[1];
		tags++;
	}
	if (tags > STEER_TAGS_MAX || type == bpf_htons(ETH_P_8021Q) ||
		type == bpf_htons(ETH_P_8021AD))
		return STEER_PASS_TAGS;
	if (type == bpf_htons(ETH_P_IP))
		return classify_ipv4(&cursor, settings, out);
	if (type == bpf_htons(ETH_P_IPV6))
		return classify_ipv6(&cursor, settings, out);
	return STEER_PASS_NOT_IP;
}
