// SPDX-License-Identifier: BSD-3-Clause
// Putting UDP and IP headers before a payload, and the sums that incremental checksums need
// (RFC 1624; ARCHITECTURE section 8 for partial ones). Functions over one packet; any thread.
#pragma once

#include "lib/wire/checksum.h"
#include "lib/wire/headers.h"

#include <rte_mbuf.h>

#include <stdbool.h>

// What goes into the headers. Addresses are 4 or 16 bytes, outside of the mbuf that is written.
struct datagram {
	const uint8_t *source, *destination;
	uint16_t source_port, destination_port;
	uint8_t family, ttl, tos;
	bool dont_fragment;
	uint16_t identification;
	uint32_t flow_label;
};

enum {
	DATAGRAM_TTL = 64, // of datagrams that begin here
	// Instead of a checksum: compute it over everything.
	DATAGRAM_COMPUTE = 0x10000,
};

// How to get the outgoing UDP checksum.
enum datagram_checksum {
	DATAGRAM_WHOLE,   // received whole: update it
	DATAGRAM_PARTIAL, // only the pseudo-header's sum, from a sender with offload: compute
	DATAGRAM_ABSENT,  // zero, IPv4 only
};

static inline uint16_t datagram_be16(uint32_t value)
{
	return __builtin_bswap16((uint16_t)value);
}

static inline size_t datagram_address_length(unsigned family)
{
	return family == NET_IPV4 ? 4 : 16;
}

// Unfolded sum of the pseudo-header; both families' sum to the same form (RFC 8200 8.1).
static inline uint64_t datagram_pseudo_sum(
	const uint8_t *source, const uint8_t *destination, unsigned family, unsigned udp_length)
{
	uint64_t sum = (uint64_t)datagram_be16(17) + datagram_be16(udp_length);
	if (family == NET_IPV4)
		return sum + checksum_sum4(source) + checksum_sum4(destination);
	return sum + checksum_sum16(source) + checksum_sum16(destination);
}

static inline uint16_t datagram_udp_checksum(const uint8_t *frame, const struct headers *h)
{
	uint16_t checksum;
	memcpy(&checksum, frame + h->l4_offset + 6, 2);
	return checksum;
}

// Not in line: it would take registers from IPv4's in the same loop.
static __attribute__((noinline, unused)) uint16_t datagram_pseudo_ipv6(const struct headers *h)
{
	return checksum_fold(
		datagram_pseudo_sum(h->source, h->destination, NET_IPV6, h->l4_length));
}

static inline enum datagram_checksum datagram_checksum_kind(
	const uint8_t *frame, const struct headers *h, uint16_t *checksum)
{
	*checksum = datagram_udp_checksum(frame, h);
	if (*checksum == 0)
		return DATAGRAM_ABSENT;
	// A whole checksum equals the pseudo-header's sum once in 65536 packets; computing it anew
	// is right then too.
	uint16_t pseudo = __builtin_expect(h->family == NET_IPV4, 1)
				  ? checksum_fold(datagram_pseudo_sum(
					    h->source, h->destination, NET_IPV4, h->l4_length))
				  : datagram_pseudo_ipv6(h);
	return pseudo == *checksum ? DATAGRAM_PARTIAL : DATAGRAM_WHOLE;
}

// For datagrams that end here: false when the checksum is wrong (or absent over IPv6, RFC 8200
// 8.1). A partial one promises nothing and is believed, as the kernel does.
bool datagram_checksum_right(const uint8_t *frame, const struct headers *h);

// An IPv4 header at p. length: of the whole IP packet. Summed in registers: reading back bytes that
// were just stored in pieces costs more than the sum.
static inline void datagram_write_ipv4(
	uint8_t *p, const struct datagram *d, uint8_t protocol, unsigned length)
{
	uint32_t words[5];
	words[0] = 0x45u | (uint32_t)d->tos << 8 | (uint32_t)datagram_be16(length) << 16;
	words[1] = datagram_be16(d->identification) | (d->dont_fragment ? 0x00400000u : 0);
	words[2] = d->ttl | (uint32_t)protocol << 8;
	memcpy(&words[3], d->source, 4);
	memcpy(&words[4], d->destination, 4);
	uint64_t sum = (uint64_t)words[0] + words[1] + words[2] + words[3] + words[4];
	words[2] |= (uint32_t)(uint16_t)~checksum_fold(sum) << 16;
	memcpy(p, words, sizeof(words));
}

static inline void datagram_write_ipv6(
	uint8_t *p, const struct datagram *d, uint8_t protocol, unsigned length)
{
	uint32_t first = __builtin_bswap32(6u << 28 | (uint32_t)d->tos << 20 | d->flow_label);
	uint32_t second = datagram_be16(length - HEADERS_IPV6_LENGTH) | (uint32_t)protocol << 16 |
			  (uint32_t)d->ttl << 24;
	memcpy(p, &first, 4);
	memcpy(p + 4, &second, 4);
	memcpy(p + 8, d->source, 16);
	memcpy(p + 24, d->destination, 16);
}

static inline void datagram_write_ip(
	uint8_t *p, const struct datagram *d, uint8_t protocol, unsigned length)
{
	if (d->family == NET_IPV4)
		datagram_write_ipv4(p, d, protocol, length);
	else
		datagram_write_ipv6(p, d, protocol, length);
}

// A UDP header at p, its payload behind it. length: of the UDP datagram. checksum: as stored, or
// DATAGRAM_COMPUTE.
static inline void datagram_write_udp(
	uint8_t *p, const struct datagram *d, unsigned length, uint32_t checksum)
{
	uint64_t word = datagram_be16(d->source_port) |
			(uint64_t)datagram_be16(d->destination_port) << 16 |
			(uint64_t)datagram_be16(length) << 32;
	if (__builtin_expect(checksum == DATAGRAM_COMPUTE, 0)) {
		memcpy(p, &word, 8);
		uint64_t sum = datagram_pseudo_sum(d->source, d->destination, d->family, length) +
			       checksum_sum(p, length);
		checksum = (uint16_t)~checksum_fold(sum);
		// RFC 768: zero would say that there is none.
		if (checksum == 0)
			checksum = 0xFFFF;
	}
	word |= (uint64_t)(uint16_t)checksum << 48;
	memcpy(p, &word, 8);
}

// The mbuf's data is the payload; prepends UDP and IP. checksum: as stored, or DATAGRAM_COMPUTE.
// False: no headroom, the mbuf is unchanged.
bool datagram_wrap(struct rte_mbuf *mbuf, const struct datagram *datagram, uint32_t checksum);

// Cuts the mbuf down to `length` bytes at `offset` of its data and forgets offload flags.
static inline void datagram_cut(struct rte_mbuf *mbuf, unsigned offset, unsigned length)
{
	mbuf->data_off = (uint16_t)(mbuf->data_off + offset);
	mbuf->data_len = (uint16_t)length;
	mbuf->pkt_len = length;
	mbuf->ol_flags = 0;
	mbuf->packet_type = 0;
}
