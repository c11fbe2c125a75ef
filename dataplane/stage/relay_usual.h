// SPDX-License-Identifier: BSD-3-Clause
// The usual way of a relayed datagram, in one piece without questions left open: next hop cached
// and up, hop limit left, fits the link, checksum whole (or absent where it may be). All of that is
// asked first; whatever is not usual is left untouched for relay_admit and relay_send, which know
// everything. The caller names the outgoing family as a constant. Owner worker.
#pragma once

#include "dataplane/stage/header_fields.h"
#include "dataplane/stage/relay.h"

struct relay_usual {
	const uint8_t *source, *destination; // 4 or 16 bytes, outside of the packet
	uint16_t source_port, destination_port;
	uint16_t hop; // cached, found at `epoch`
	uint32_t epoch;
	bool ours;            // the destination is one of our relayed addresses
	unsigned offset;      // of the outgoing UDP payload in the frame as received
	unsigned length;      // of it
	uint64_t goes, comes; // sums of what differs under the UDP checksum
};

static inline void relay_store32(uint8_t *p, uint32_t value)
{
	memcpy(p, &value, 4);
}

static inline void relay_store64(uint8_t *p, uint64_t value)
{
	memcpy(p, &value, 8);
}

static inline uint32_t relay_load32(const uint8_t *p)
{
	uint32_t value;
	memcpy(&value, p, 4);
	return value;
}

// The outgoing checksum as stored, from the received one. False: not usual.
static inline __attribute__((always_inline)) bool relay_usual_checksum(bool whole,
	const uint8_t *frame, const struct headers *h, unsigned family, const struct relay_usual *u,
	uint32_t *out)
{
	uint16_t received = datagram_udp_checksum(frame, h);
	enum datagram_checksum kind = received == 0 ? DATAGRAM_ABSENT
				      : whole       ? DATAGRAM_WHOLE
						    : datagram_checksum_kind(frame, h, &received);
	if (__builtin_expect(kind == DATAGRAM_WHOLE, 1)) {
		uint16_t checksum = checksum_update(received, u->goes, u->comes);
		*out = checksum ? checksum : 0xFFFF;
		return true;
	}
	*out = 0;
	return kind == DATAGRAM_ABSENT && family == NET_IPV4;
}

static inline __attribute__((always_inline)) void relay_usual_ipv4(uint8_t *p, struct mappings *m,
	const struct headers *h, const struct relay_usual *u, unsigned length)
{
	struct datagram fields;
	fields.family = NET_IPV4;
	header_fields_set(&fields, h, u->length);
	uint32_t first = 0x45u | (uint32_t)fields.tos << 8 | (uint32_t)datagram_be16(length) << 16;
	uint32_t second =
		datagram_be16(relay_identification(m)) | (fields.dont_fragment ? 0x00400000u : 0);
	uint32_t third = fields.ttl | 17u << 8;
	uint32_t source = relay_load32(u->source), destination = relay_load32(u->destination);
	uint64_t sum = (uint64_t)first + second + third + source + destination;
	third |= (uint32_t)(uint16_t)~checksum_fold(sum) << 16;
	relay_store64(p, first | (uint64_t)second << 32);
	relay_store64(p + 8, third | (uint64_t)source << 32);
	relay_store32(p + 16, destination);
}

static inline __attribute__((always_inline)) void relay_usual_ipv6(uint8_t *p,
	const struct mappings *m, const struct headers *h, const struct relay_usual *u,
	unsigned length)
{
	uint32_t label = relay_flow(m, u->source, u->destination,
				 u->source_port | (uint32_t)u->destination_port << 16) &
			 0xFFFFF;
	uint32_t first = __builtin_bswap32(6u << 28 | (uint32_t)h->tos << 20 | label);
	uint32_t second = datagram_be16(length - HEADERS_IPV6_LENGTH) | 17u << 16 |
			  (uint32_t)(h->ttl - 1) << 24;
	relay_store64(p, first | (uint64_t)second << 32);
	memcpy(p + 8, u->source, 16);
	memcpy(p + 24, u->destination, 16);
}

// True: written and on its way. False: nothing has changed.
static inline __attribute__((always_inline)) bool relay_usual(
	struct pass *pass, unsigned at, unsigned family, const struct relay_usual *u)
{
	struct worker *worker = pass->burst.worker;
	struct rte_mbuf *mbuf = pass->burst.mbufs[at];
	const struct headers *h = &pass->burst.headers[at];
	const unsigned ip = family == NET_IPV4 ? HEADERS_IPV4_LENGTH : HEADERS_IPV6_LENGTH;
	const unsigned udp = HEADERS_UDP_LENGTH + u->length;
	if (__builtin_expect(u->hop == NEXT_HOP_NONE || u->ours, 0))
		return false;
	const struct next_hop *hop = &worker->next_hops->hops[u->hop];
	uint32_t sequence = atomic_load_explicit(&hop->sequence, memory_order_acquire);
	unsigned ethernet = hop->header_length + 2u, mtu = hop->mtu;
	uint16_t port = hop->port;
	uint64_t header[2];
	memcpy(header, hop->header, sizeof(header));
	unsigned payload = mbuf->data_off + u->offset, headers = ethernet + ip + HEADERS_UDP_LENGTH;
	bool usual = ((int32_t)(u->epoch - pass->routes_epoch) >= 0) &
		     ((int32_t)(u->epoch - hop->created) >= 0) & (hop->live & hop->up) &
		     !(sequence & 1) & (h->ttl > 1) & (ip + udp <= mtu) & (payload >= headers);
	atomic_thread_fence(memory_order_acquire);
	usual &= atomic_load_explicit(&hop->sequence, memory_order_relaxed) == sequence;
	uint32_t checksum;
	if (__builtin_expect(!usual, 0) ||
		__builtin_expect(!relay_usual_checksum(pass->checksums_whole,
					 (const uint8_t *)mbuf->buf_addr + mbuf->data_off, h,
					 family, u, &checksum),
			0))
		return false;
	mbuf->data_off = (uint16_t)(payload - headers);
	mbuf->data_len = (uint16_t)(ethernet + ip + udp);
	mbuf->pkt_len = ethernet + ip + udp;
	mbuf->ol_flags = 0;
	mbuf->packet_type = 0;
	uint8_t *p = (uint8_t *)mbuf->buf_addr + payload - HEADERS_UDP_LENGTH;
	relay_store64(p, datagram_be16(u->source_port) |
				 (uint64_t)datagram_be16(u->destination_port) << 16 |
				 (uint64_t)datagram_be16(udp) << 32 | (uint64_t)checksum << 48);
	p -= ip;
	if (family == NET_IPV4)
		relay_usual_ipv4(p, worker->mappings, h, u, ip + udp);
	else
		relay_usual_ipv6(p, worker->mappings, h, u, ip + udp);
	// From behind: the type, then what comes before it.
	uint16_t type = family == NET_IPV4 ? 0x0008 : 0xDD86;
	memcpy(p - 2, &type, 2);
	p -= ethernet;
	relay_store64(p, header[0]);
	if (__builtin_expect(ethernet == HEADERS_ETHERNET_LENGTH, 1))
		relay_store32(p + 8, (uint32_t)header[1]);
	else
		relay_store64(p + 8, header[1]);
	pass_send(pass, mbuf, port);
	return true;
}
