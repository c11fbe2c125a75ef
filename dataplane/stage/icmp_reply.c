// SPDX-License-Identifier: BSD-3-Clause
// ICMP errors of our own, see icmp_reply.h. Owner worker; rare.
#include "dataplane/stage/icmp_reply.h"

#include "dataplane/stage/datagram.h"
#include "dataplane/stage/guard.h"
#include "dataplane/stage/relay.h"
#include "dataplane/table/own_addresses.h"

enum {
	ICMP_HEADER = 8,
	IPV4_ERROR_MAX = 576,  // RFC 1812 4.3.2.3
	IPV6_ERROR_MAX = 1280, // RFC 4443 2.4(c)
	IPV6_MTU_MIN = 1280,
	IPV4_MTU_MIN = 68,
	PROTOCOL_ICMP = 1,
	PROTOCOL_ICMPV6 = 58,
};

static void write_icmp(uint8_t *icmp, unsigned family, enum icmp_reply kind, unsigned mtu)
{
	memset(icmp, 0, ICMP_HEADER);
	if (family == NET_IPV4) {
		icmp[0] = kind == ICMP_REPLY_TOO_BIG ? 3 : 11;
		icmp[1] = kind == ICMP_REPLY_TOO_BIG ? 4 : 0;
		mtu = mtu < IPV4_MTU_MIN ? IPV4_MTU_MIN : mtu;
	} else {
		icmp[0] = kind == ICMP_REPLY_TOO_BIG ? 2 : 3;
		mtu = mtu < IPV6_MTU_MIN ? IPV6_MTU_MIN : mtu;
	}
	if (kind == ICMP_REPLY_TOO_BIG) {
		icmp[6] = (uint8_t)(mtu >> 8);
		icmp[7] = (uint8_t)mtu;
	}
}

void icmp_reply_send(struct pass *pass, unsigned at, enum icmp_reply kind, unsigned mtu)
{
	struct worker *worker = pass->burst.worker;
	const struct headers *h = &pass->burst.headers[at];
	bool ipv4 = h->family == NET_IPV4;
	unsigned ip = ipv4 ? HEADERS_IPV4_LENGTH : HEADERS_IPV6_LENGTH;
	unsigned quoted = ip + h->l4_length;
	unsigned most = (ipv4 ? IPV4_ERROR_MAX : IPV6_ERROR_MAX) - ip - ICMP_HEADER;
	quoted = quoted < most ? quoted : most;
	unsigned length = ip + ICMP_HEADER + quoted;
	if (own_address_find(worker->addresses, h->family, h->source) != OWN_ADDRESS_NONE ||
		!guard_reply(worker->guard, h->source, h->family, length, pass->tick))
		return;
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(worker->pool);
	if (mbuf == NULL)
		return;
	uint8_t *p = (uint8_t *)rte_pktmbuf_append(mbuf, (uint16_t)length);
	if (p == NULL) {
		rte_pktmbuf_free(mbuf);
		return;
	}
	struct datagram out = {
		.source = h->destination,
		.destination = h->source,
		.family = h->family,
		.ttl = DATAGRAM_TTL,
		.identification = relay_identification(worker->mappings),
	};
	datagram_write_ip(p, &out, ipv4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6, length);
	uint8_t *icmp = p + ip;
	write_icmp(icmp, h->family, kind, mtu);
	memcpy(icmp + ICMP_HEADER, pass_frame(pass, at) + h->l3_offset, quoted);
	uint64_t sum = checksum_sum(icmp, ICMP_HEADER + quoted);
	// ICMPv6 has a pseudo-header (RFC 4443 2.3), ICMPv4 none.
	if (!ipv4)
		sum += checksum_sum(out.source, 16) + checksum_sum(out.destination, 16) +
		       datagram_be16(PROTOCOL_ICMPV6) + datagram_be16(ICMP_HEADER + quoted);
	uint16_t checksum = (uint16_t)~checksum_fold(sum);
	memcpy(icmp + 2, &checksum, 2);
	transmit_unrouted(worker, mbuf, 0, pass->burst.now);
}
