// SPDX-License-Identifier: BSD-3-Clause
// See originate.h. Owner worker; off the fast path.
#include "dataplane/stage/originate.h"

#include "dataplane/stage/relay.h"

#include <errno.h>

int originate(struct worker *worker, struct datagram *out, const uint8_t *payload, unsigned length,
	uint64_t now)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(worker->pool);
	if (mbuf == NULL)
		return -ENOBUFS;
	uint8_t *p = (uint8_t *)rte_pktmbuf_append(mbuf, (uint16_t)length);
	if (p == NULL) {
		rte_pktmbuf_free(mbuf);
		return -EMSGSIZE;
	}
	memcpy(p, payload, length);
	out->ttl = DATAGRAM_TTL;
	out->identification = relay_identification(worker->mappings);
	if (!datagram_wrap(mbuf, out, DATAGRAM_COMPUTE)) {
		rte_pktmbuf_free(mbuf);
		return -ENOBUFS;
	}
	transmit_unrouted(worker, mbuf, (uint32_t)out->destination_port * 0x9E3779B1u, now);
	return 0;
}
