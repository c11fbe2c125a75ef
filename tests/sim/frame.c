// SPDX-License-Identifier: BSD-3-Clause
// See frame.h.
#include "tests/sim/frame.h"

#include "dataplane/stage/datagram.h"

#include <rte_mbuf.h>

const uint8_t frame_relay_mac[6] = {2, 0, 0, 0, 0, 1}, frame_gateway_mac[6] = {2, 0, 0, 0, 0, 0xFE};

struct rte_mbuf *frame_make(struct rte_mempool *pool, const struct net_endpoint *source,
	const struct net_endpoint *destination, const void *payload, size_t size)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(pool);
	if (mbuf == NULL)
		return NULL;
	bool v4 = source->address.family == NET_IPV4;
	const struct datagram d = {.source = source->address.bytes,
		.destination = destination->address.bytes,
		.source_port = source->port,
		.destination_port = destination->port,
		.family = source->address.family,
		.ttl = 57};
	unsigned ip = v4 ? HEADERS_IPV4_LENGTH : HEADERS_IPV6_LENGTH,
		 udp = HEADERS_UDP_LENGTH + (unsigned)size;
	uint8_t *p =
		(uint8_t *)rte_pktmbuf_append(mbuf, (uint16_t)(HEADERS_ETHERNET_LENGTH + ip + udp));
	if (p == NULL) {
		rte_pktmbuf_free(mbuf);
		return NULL;
	}
	memcpy(p, frame_relay_mac, 6);
	memcpy(p + 6, frame_gateway_mac, 6);
	p[12] = v4 ? HEADERS_ETHERTYPE_IPV4 >> 8 : HEADERS_ETHERTYPE_IPV6 >> 8;
	p[13] = v4 ? HEADERS_ETHERTYPE_IPV4 & 0xFF : HEADERS_ETHERTYPE_IPV6 & 0xFF;
	p += HEADERS_ETHERNET_LENGTH;
	if (size > 0)
		memcpy(p + ip + HEADERS_UDP_LENGTH, payload, size);
	datagram_write_ip(p, &d, 17, ip + udp);
	datagram_write_udp(p + ip, &d, udp, DATAGRAM_COMPUTE);
	return mbuf;
}

bool frame_take(const uint8_t *frame, size_t length, struct frame_seen *out)
{
	struct headers h;
	if (headers_parse(frame, length, &h) != HEADERS_UDP ||
		length != (size_t)h.payload_offset + h.payload_length ||
		memcmp(frame, frame_gateway_mac, 6) != 0 ||
		memcmp(frame + 6, frame_relay_mac, 6) != 0 || !datagram_checksum_right(frame, &h))
		return false;
	bool v4 = h.family == NET_IPV4;
	*out = (struct frame_seen){
		.source = {.address = v4 ? net_address_v4(h.source) : net_address_v6(h.source),
			.port = h.source_port},
		.destination = {.address = v4 ? net_address_v4(h.destination)
					      : net_address_v6(h.destination),
			.port = h.destination_port},
		.payload = frame + h.payload_offset,
		.size = h.payload_length,
	};
	return true;
}
