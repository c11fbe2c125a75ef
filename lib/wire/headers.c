// SPDX-License-Identifier: BSD-3-Clause
// The header parser of the workers, once per received frame. A plain UDP datagram takes one path
// with a single decision per layer: its conditions are gathered in one word and tested at once.
// Only when one of them fails does a cold function look for the reason, layer by layer. Nothing
// outside frame[0..length) is read. Pure function, any thread.
#include "lib/wire/headers.h"

#include "lib/wire/checksum.h"

enum {
	PROTOCOL_HOP_BY_HOP = 0,
	PROTOCOL_ICMP = 1,
	PROTOCOL_UDP = 17,
	PROTOCOL_ROUTING = 43,
	PROTOCOL_FRAGMENT = 44,
	PROTOCOL_AUTHENTICATION = 51,
	PROTOCOL_ICMPV6 = 58,
	PROTOCOL_DESTINATION_OPTIONS = 60,
	PROTOCOL_MOBILITY = 135,
	PROTOCOL_HIP = 139,
	PROTOCOL_SHIM6 = 140,
	ICMP_HEADER_LENGTH = 8,
	IPV4_FRAGMENT_MASK = 0x3FFF, // MF and the offset
	IPV4_DONT_FRAGMENT = 0x4000,
};

static unsigned read_u16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

// Right when the sum over the header, its checksum included, is all ones.
static unsigned ipv4_checksum_error(const uint8_t *p, size_t length)
{
	return checksum_fold(checksum_sum(p, length)) ^ 0xFFFFu;
}

static void udp_fill(struct headers *out, const uint8_t *udp, unsigned length)
{
	out->source_port = (uint16_t)read_u16(udp);
	out->destination_port = (uint16_t)read_u16(udp + 2);
	out->l4_length = (uint16_t)length;
	out->payload_offset = (uint16_t)(out->l4_offset + HEADERS_UDP_LENGTH);
	out->payload_length = (uint16_t)(length - HEADERS_UDP_LENGTH);
}

static void ipv4_fill(struct headers *out, const uint8_t *p)
{
	out->family = NET_IPV4;
	out->tos = p[1];
	out->dont_fragment = (read_u16(p + 6) & IPV4_DONT_FRAGMENT) != 0;
	out->ttl = p[8];
	out->source = p + 12;
	out->destination = p + 16;
	out->l4_offset = (uint16_t)(out->l3_offset + HEADERS_IPV4_LENGTH);
}

static void ipv6_fill(struct headers *out, const uint8_t *p)
{
	uint32_t word = (uint32_t)read_u16(p) << 16 | read_u16(p + 2);
	out->family = NET_IPV6;
	out->tos = (uint8_t)(word >> 20);
	out->flow_label = word & 0xFFFFF;
	out->ttl = p[7];
	out->source = p + 8;
	out->destination = p + 24;
	out->l4_offset = (uint16_t)(out->l3_offset + HEADERS_IPV6_LENGTH);
}

static enum headers_verdict icmp_error_fill(struct headers *out, size_t length)
{
	if (length < ICMP_HEADER_LENGTH)
		return HEADERS_BAD_LENGTH;
	out->l4_length = (uint16_t)length;
	return HEADERS_ICMP_ERROR;
}

// Fragments and options are told apart only where the datagram would otherwise be ours: those of
// other protocols are the kernel's whatever they look like.
static enum headers_verdict __attribute__((cold, noinline))
ipv4_reason(struct headers *out, const uint8_t *p, size_t left)
{
	if (left < HEADERS_IPV4_LENGTH)
		return HEADERS_TRUNCATED;
	if (p[0] >> 4 != 4)
		return HEADERS_NOT_IP;
	size_t header = (p[0] & 15u) * 4u, total = read_u16(p + 2);
	if (header < HEADERS_IPV4_LENGTH || total < header)
		return HEADERS_BAD_LENGTH;
	if (total > left)
		return HEADERS_TRUNCATED;
	if (ipv4_checksum_error(p, header))
		return HEADERS_BAD_CHECKSUM;
	bool fragment = read_u16(p + 6) & IPV4_FRAGMENT_MASK;
	bool options = header != HEADERS_IPV4_LENGTH;
	if (p[9] == PROTOCOL_UDP)
		return fragment ? HEADERS_FRAGMENT : options ? HEADERS_OPTIONS : HEADERS_BAD_LENGTH;
	if (p[9] != PROTOCOL_ICMP || fragment || options || total == header)
		return HEADERS_NOT_UDP;
	uint8_t type = p[header];
	if (type != 3 && type != 11 && type != 12)
		return HEADERS_NOT_UDP;
	ipv4_fill(out, p);
	return icmp_error_fill(out, total - header);
}

static inline enum headers_verdict ipv4_parse(struct headers *out, const uint8_t *p, size_t left)
{
	if (__builtin_expect(left < HEADERS_IPV4_LENGTH + HEADERS_UDP_LENGTH, 0))
		return ipv4_reason(out, p, left);
	unsigned total = read_u16(p + 2);
	unsigned udp_length = read_u16(p + HEADERS_IPV4_LENGTH + 4);
	unsigned wrong = (p[0] ^ 0x45u) | (p[9] ^ (unsigned)PROTOCOL_UDP) |
			 (read_u16(p + 6) & IPV4_FRAGMENT_MASK) |
			 ipv4_checksum_error(p, HEADERS_IPV4_LENGTH) |
			 ((udp_length + HEADERS_IPV4_LENGTH) ^ total) |
			 (udp_length < HEADERS_UDP_LENGTH) | (total > left);
	if (__builtin_expect(wrong != 0, 0))
		return ipv4_reason(out, p, left);
	ipv4_fill(out, p);
	udp_fill(out, p + HEADERS_IPV4_LENGTH, udp_length);
	return HEADERS_UDP;
}

static enum headers_verdict __attribute__((cold, noinline))
ipv6_reason(struct headers *out, const uint8_t *p, size_t left)
{
	if (left < HEADERS_IPV6_LENGTH)
		return HEADERS_TRUNCATED;
	if (p[0] >> 4 != 6)
		return HEADERS_NOT_IP;
	size_t payload = read_u16(p + 4);
	if (payload > left - HEADERS_IPV6_LENGTH)
		return HEADERS_TRUNCATED;
	switch (p[6]) {
	case PROTOCOL_UDP:
		return HEADERS_BAD_LENGTH;
	case PROTOCOL_FRAGMENT:
		return HEADERS_FRAGMENT;
	case PROTOCOL_HOP_BY_HOP:
	case PROTOCOL_ROUTING:
	case PROTOCOL_DESTINATION_OPTIONS:
	case PROTOCOL_AUTHENTICATION:
	case PROTOCOL_MOBILITY:
	case PROTOCOL_HIP:
	case PROTOCOL_SHIM6:
		return HEADERS_OPTIONS;
	case PROTOCOL_ICMPV6:
		break;
	default:
		return HEADERS_NOT_UDP;
	}
	if (payload == 0 || p[HEADERS_IPV6_LENGTH] < 1 || p[HEADERS_IPV6_LENGTH] > 4)
		return HEADERS_NOT_UDP;
	ipv6_fill(out, p);
	return icmp_error_fill(out, payload);
}

static inline enum headers_verdict ipv6_parse(struct headers *out, const uint8_t *p, size_t left)
{
	if (__builtin_expect(left < HEADERS_IPV6_LENGTH + HEADERS_UDP_LENGTH, 0))
		return ipv6_reason(out, p, left);
	unsigned payload = read_u16(p + 4);
	unsigned udp_length = read_u16(p + HEADERS_IPV6_LENGTH + 4);
	unsigned wrong = (p[0] >> 4 ^ 6u) | (p[6] ^ (unsigned)PROTOCOL_UDP) |
			 (udp_length ^ payload) | (udp_length < HEADERS_UDP_LENGTH) |
			 (payload > left - HEADERS_IPV6_LENGTH);
	if (__builtin_expect(wrong != 0, 0))
		return ipv6_reason(out, p, left);
	ipv6_fill(out, p);
	udp_fill(out, p + HEADERS_IPV6_LENGTH, udp_length);
	return HEADERS_UDP;
}

static inline bool is_vlan_tag(unsigned ethertype)
{
	return ethertype == HEADERS_ETHERTYPE_VLAN || ethertype == HEADERS_ETHERTYPE_QINQ;
}

enum headers_verdict headers_parse(const uint8_t *frame, size_t length, struct headers *out)
{
	*out = (struct headers){0};
	if (__builtin_expect(length < HEADERS_ETHERNET_LENGTH, 0))
		return HEADERS_TRUNCATED;
	size_t offset = HEADERS_ETHERNET_LENGTH;
	unsigned ethertype = read_u16(frame + offset - 2);
	while (is_vlan_tag(ethertype) && out->vlan_count < 2) {
		if (length - offset < HEADERS_VLAN_LENGTH)
			return HEADERS_TRUNCATED;
		if (out->vlan_count == 0)
			out->vlan = (uint16_t)(read_u16(frame + offset) & 0x0FFF);
		out->vlan_count++;
		offset += HEADERS_VLAN_LENGTH;
		ethertype = read_u16(frame + offset - 2);
	}
	out->l3_offset = (uint16_t)offset;
	if (ethertype == HEADERS_ETHERTYPE_IPV4)
		return ipv4_parse(out, frame + offset, length - offset);
	if (ethertype == HEADERS_ETHERTYPE_IPV6)
		return ipv6_parse(out, frame + offset, length - offset);
	return HEADERS_NOT_IP;
}
