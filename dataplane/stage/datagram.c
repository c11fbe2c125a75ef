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

bool datagram_wrap(struct rte_mbuf *mbuf, const struct datagram *d, uint32_t checksum)
{
	unsigned ip = d->family == NET_IPV4 ? HEADERS_IPV4_LENGTH : HEADERS_IPV6_LENGTH;
	unsigned udp_length = mbuf->data_len + HEADERS_UDP_LENGTH;
	uint8_t *p = (uint8_t *)rte_pktmbuf_prepend(mbuf, (uint16_t)(ip + HEADERS_UDP_LENGTH));
	if (p == NULL)
		return false;
	datagram_write_udp(p + ip, d, udp_length, checksum);
	datagram_write_ip(p, d, 17, ip + udp_length);
	return true;
}
