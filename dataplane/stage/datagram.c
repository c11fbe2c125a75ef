// SPDX-License-Identifier: BSD-3-Clause
// Writing UDP, IPv4 and IPv6 headers, see datagram.h.
#include "dataplane/stage/datagram.h"

bool datagram_checksum_right(const uint8_t *frame, const struct headers *h)
{
	uint16_t checksum;
	switch (datagram_checksum_kind(frame, h, &checksum)) {
	case DATAGRAM_ABSENT:
		return h->family == NET_IPV4;
	case DATAGRAM_PARTIAL:
		return true;
	case DATAGRAM_WHOLE:
		break;
	}
	uint64_t sum = datagram_pseudo_sum(h->source, h->destination, h->family, h->l4_length) +
		       checksum_sum(frame + h->l4_offset, h->l4_length);
	return checksum_fold(sum) == 0xFFFF;
}

static void write_u16(uint8_t *p, unsigned value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

// Summed in registers: reading back bytes that were just stored in pieces costs more than the sum.
static void write_ipv4(uint8_t *p, const struct datagram *d, uint8_t protocol, unsigned length)
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

static void write_ipv6(uint8_t *p, const struct datagram *d, uint8_t protocol, unsigned length)
{
	p[0] = (uint8_t)(0x60 | d->tos >> 4);
	p[1] = (uint8_t)((unsigned)d->tos << 4 | (d->flow_label >> 16 & 15));
	write_u16(p + 2, d->flow_label & 0xFFFF);
	write_u16(p + 4, length - HEADERS_IPV6_LENGTH);
	p[6] = protocol;
	p[7] = d->ttl;
	memcpy(p + 8, d->source, 16);
	memcpy(p + 24, d->destination, 16);
}

void datagram_write_ip(uint8_t *p, const struct datagram *d, uint8_t protocol, unsigned length)
{
	if (d->family == NET_IPV4)
		write_ipv4(p, d, protocol, length);
	else
		write_ipv6(p, d, protocol, length);
}

bool datagram_wrap(struct rte_mbuf *mbuf, const struct datagram *d, uint32_t checksum)
{
	unsigned ip = d->family == NET_IPV4 ? HEADERS_IPV4_LENGTH : HEADERS_IPV6_LENGTH;
	unsigned udp_length = mbuf->data_len + HEADERS_UDP_LENGTH;
	uint8_t *p = (uint8_t *)rte_pktmbuf_prepend(mbuf, (uint16_t)(ip + HEADERS_UDP_LENGTH));
	if (p == NULL)
		return false;
	uint8_t *udp = p + ip;
	write_u16(udp, d->source_port);
	write_u16(udp + 2, d->destination_port);
	write_u16(udp + 4, udp_length);
	uint16_t stored = (uint16_t)checksum;
	if (checksum == DATAGRAM_COMPUTE) {
		memset(udp + 6, 0, 2);
		uint64_t sum =
			datagram_pseudo_sum(d->source, d->destination, d->family, udp_length) +
			checksum_sum(udp, udp_length);
		stored = (uint16_t)~checksum_fold(sum);
		// RFC 768: zero would say that there is none.
		if (stored == 0)
			stored = 0xFFFF;
	}
	memcpy(udp + 6, &stored, 2);
	datagram_write_ip(p, d, 17, ip + udp_length);
	return true;
}
