// SPDX-License-Identifier: BSD-3-Clause
// IPv4 fragments by copy, on DPDK's rte_ip_frag. Owner worker; rare.
#include "dataplane/stage/fragment.h"

#include "lib/wire/checksum.h"
#include "lib/wire/headers.h"

#include <rte_ip_frag.h>
#include <rte_mbuf.h>

int fragment_ipv4(
	struct rte_mbuf *mbuf, unsigned mtu, struct rte_mempool *pool, struct rte_mbuf **out)
{
	// rte_ip_frag wants the part behind the header to be a multiple of 8.
	if (mtu < HEADERS_IPV4_LENGTH + 8)
		return -EINVAL;
	unsigned fit = HEADERS_IPV4_LENGTH + ((mtu - HEADERS_IPV4_LENGTH) & ~7u);
	int count =
		rte_ipv4_fragment_copy_nonseg_packet(mbuf, out, FRAGMENTS_MAX, (uint16_t)fit, pool);
	if (count < 0)
		return count == -ENOMEM ? -ENOMEM : -EINVAL;
	for (int i = 0; i < count; i++) {
		uint8_t *ip = rte_pktmbuf_mtod(out[i], uint8_t *);
		memset(ip + 10, 0, 2);
		uint16_t checksum = (uint16_t)~checksum_fold(checksum_sum(ip, HEADERS_IPV4_LENGTH));
		memcpy(ip + 10, &checksum, 2);
		out[i]->ol_flags = 0;
	}
	rte_pktmbuf_free(mbuf);
	return count;
}
