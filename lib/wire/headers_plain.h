// SPDX-License-Identifier: BSD-3-Clause
// headers_parse for what nearly every frame is: untagged, IPv4 without options or IPv6 without
// extension headers, one whole UDP datagram. In line, with each header read as a few words. True:
// *out is what headers_parse would have made of it. False: anything else, headers_parse knows what.
#pragma once

#include "lib/wire/checksum.h"
#include "lib/wire/headers.h"

#include <stdbool.h>
#include <string.h>

enum {
	HEADERS_PLAIN_IPV4 = HEADERS_ETHERNET_LENGTH + HEADERS_IPV4_LENGTH + HEADERS_UDP_LENGTH,
	HEADERS_PLAIN_IPV6 = HEADERS_ETHERNET_LENGTH + HEADERS_IPV6_LENGTH + HEADERS_UDP_LENGTH,
};

static inline uint64_t headers_load64(const uint8_t *p)
{
	uint64_t value;
	memcpy(&value, p, 8);
	return value;
}

// The UDP header as one word, its length checked by the caller.
static inline __attribute__((always_inline)) void headers_plain_udp(
	struct headers *out, uint64_t udp, unsigned l4_offset, unsigned length)
{
	out->vlan_count = 0;
	out->vlan = 0;
	out->l3_offset = HEADERS_ETHERNET_LENGTH;
	out->l4_offset = (uint16_t)l4_offset;
	out->payload_offset = (uint16_t)(l4_offset + HEADERS_UDP_LENGTH);
	out->payload_length = (uint16_t)(length - HEADERS_UDP_LENGTH);
	out->l4_length = (uint16_t)length;
	out->source_port = __builtin_bswap16((uint16_t)udp);
	out->destination_port = __builtin_bswap16((uint16_t)(udp >> 16));
	out->reserved = 0;
}

static inline __attribute__((always_inline)) bool headers_plain_ipv4(
	const uint8_t *ip, size_t left, struct headers *out)
{
	uint64_t first = headers_load64(ip), second = headers_load64(ip + 8),
		 udp = headers_load64(ip + HEADERS_IPV4_LENGTH);
	uint32_t destination;
	memcpy(&destination, ip + 16, 4);
	uint64_t sum =
		(first >> 32) + (uint32_t)first + (second >> 32) + (uint32_t)second + destination;
	unsigned total = __builtin_bswap16((uint16_t)(first >> 16));
	unsigned length = __builtin_bswap16((uint16_t)(udp >> 32));
	// Version and header length, fragment bits (bytes 6 and 7: 0x3F, 0xFF), protocol, checksum,
	// lengths.
	uint64_t wrong = ((first ^ 0x45) & 0xFF3F0000000000FFu) | ((second ^ 0x1100) & 0xFF00) |
			 (checksum_fold(sum) ^ 0xFFFFu) | ((length + HEADERS_IPV4_LENGTH) ^ total) |
			 (length < HEADERS_UDP_LENGTH) | (total > left);
	if (__builtin_expect(wrong != 0, 0))
		return false;
	headers_plain_udp(out, udp, HEADERS_ETHERNET_LENGTH + HEADERS_IPV4_LENGTH, length);
	out->family = NET_IPV4;
	out->tos = (uint8_t)(first >> 8);
	out->dont_fragment = first >> 54 & 1;
	out->ttl = (uint8_t)second;
	out->flow_label = 0;
	out->source = ip + 12;
	out->destination = ip + 16;
	return true;
}

// A function of its own: two bodies in one loop share registers and get slower both.
static __attribute__((noinline, unused)) bool headers_plain_ipv6(
	const uint8_t *ip, size_t left, struct headers *out)
{
	uint64_t first = headers_load64(ip), udp = headers_load64(ip + HEADERS_IPV6_LENGTH);
	uint32_t word = __builtin_bswap32((uint32_t)first);
	unsigned payload = __builtin_bswap16((uint16_t)(first >> 32));
	unsigned length = __builtin_bswap16((uint16_t)(udp >> 32));
	unsigned wrong = (word >> 28 ^ 6) | (((unsigned)(first >> 48) ^ 17) & 0xFF) |
			 (length ^ payload) | (length < HEADERS_UDP_LENGTH) |
			 (payload > left - HEADERS_IPV6_LENGTH);
	if (__builtin_expect(wrong != 0, 0))
		return false;
	headers_plain_udp(out, udp, HEADERS_ETHERNET_LENGTH + HEADERS_IPV6_LENGTH, length);
	out->family = NET_IPV6;
	out->tos = (uint8_t)(word >> 20);
	out->dont_fragment = 0;
	out->ttl = (uint8_t)(first >> 56);
	out->flow_label = word & 0xFFFFF;
	out->source = ip + 8;
	out->destination = ip + 24;
	return true;
}

static inline __attribute__((always_inline)) bool headers_parse_plain(
	const uint8_t *frame, size_t length, struct headers *out)
{
	uint16_t type; // as stored
	if (__builtin_expect(length < HEADERS_PLAIN_IPV4, 0))
		return false;
	memcpy(&type, frame + 12, 2);
	if (__builtin_expect(type == 0x0008, 1))
		return headers_plain_ipv4(
			frame + HEADERS_ETHERNET_LENGTH, length - HEADERS_ETHERNET_LENGTH, out);
	return type == 0xDD86 && length >= HEADERS_PLAIN_IPV6 &&
	       headers_plain_ipv6(
		       frame + HEADERS_ETHERNET_LENGTH, length - HEADERS_ETHERNET_LENGTH, out);
}
