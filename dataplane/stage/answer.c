// SPDX-License-Identifier: BSD-3-Clause
// See answer.h. Owner worker.
#include "dataplane/stage/answer.h"

#include "dataplane/stage/relay.h"

bool answer_send(struct pass *pass, unsigned at, const struct datagram *out, const uint8_t *payload,
	unsigned length)
{
	struct worker *worker = pass->burst.worker;
	struct rte_mbuf *mbuf = pass->burst.mbufs[at];
	const struct headers *h = &pass->burst.headers[at];
	const uint8_t *frame = pass_frame(pass, at);
	uint8_t ethernet[HEADERS_ETHERNET_LENGTH + 2 * HEADERS_VLAN_LENGTH];
	unsigned ethernet_length = h->l3_offset;
	memcpy(ethernet, frame + 6, 6);
	memcpy(ethernet + 6, frame, 6);
	memcpy(ethernet + 12, frame + 12, ethernet_length - 12);
	datagram_cut(mbuf, h->payload_offset, 0);
	uint8_t *p = (uint8_t *)rte_pktmbuf_append(mbuf, (uint16_t)length);
	if (p != NULL) {
		memcpy(p, payload, length);
		p = datagram_wrap(mbuf, out, DATAGRAM_COMPUTE)
			    ? (uint8_t *)rte_pktmbuf_prepend(mbuf, (uint16_t)ethernet_length)
			    : NULL;
	}
	if (p == NULL) {
		worker_drop(worker, mbuf, DROP_no_mbuf);
		return false;
	}
	memcpy(p, ethernet, ethernet_length);
	pass_send(pass, mbuf, pass->burst.port);
	return true;
}

bool answer_back(struct pass *pass, unsigned at, const uint8_t *payload, unsigned length)
{
	const struct headers *h = &pass->burst.headers[at];
	uint8_t addresses[2][16];
	size_t address_length = datagram_address_length(h->family);
	memcpy(addresses[0], h->destination, address_length);
	memcpy(addresses[1], h->source, address_length);
	struct datagram out = {
		.source = addresses[0],
		.destination = addresses[1],
		.source_port = h->destination_port,
		.destination_port = h->source_port,
		.family = h->family,
		.ttl = DATAGRAM_TTL,
		.identification = relay_identification(pass->burst.worker->mappings),
	};
	return answer_send(pass, at, &out, payload, length);
}
