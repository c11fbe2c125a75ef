// SPDX-License-Identifier: BSD-3-Clause
// First stage: headers of every frame. What is whole and plain goes on; what is broken is dropped
// by reason; what is the kernel's goes there. Owner worker.
#include "dataplane/stage/kernel.h"
#include "dataplane/stage/pass.h"
#include "lib/wire/headers_plain.h"

enum { PREFETCH_AHEAD = 4 };

static void not_forwarded(struct pass *pass, unsigned at, enum headers_verdict verdict)
{
	switch (verdict) {
	case HEADERS_NOT_IP:
	case HEADERS_NOT_UDP:
		kernel_or_drop(pass, at, DROP_not_ours);
		return;
	case HEADERS_FRAGMENT:
		kernel_or_drop(pass, at, DROP_fragment);
		return;
	case HEADERS_OPTIONS:
		kernel_or_drop(pass, at, DROP_ip_options);
		return;
	case HEADERS_TRUNCATED:
		pass_drop(pass, at, DROP_truncated);
		return;
	case HEADERS_BAD_CHECKSUM:
		pass_drop(pass, at, DROP_bad_checksum);
		return;
	default:
		pass_drop(pass, at, DROP_bad_length);
	}
}

// Keeps the order of what stays; burst.count shrinks to it.
void stage_parse(struct pass *pass)
{
	struct burst *burst = &pass->burst;
	unsigned kept = 0, count = burst->count;
	for (unsigned i = 0; i < count && i < PREFETCH_AHEAD; i++)
		rte_prefetch0(rte_pktmbuf_mtod(burst->mbufs[i], void *));
	for (unsigned i = 0; i < count; i++) {
		struct rte_mbuf *mbuf = burst->mbufs[i];
		if (i + PREFETCH_AHEAD < count)
			rte_prefetch0(rte_pktmbuf_mtod(burst->mbufs[i + PREFETCH_AHEAD], void *));
		// Frames longer than a buffer never fit a link of ours: MTUs are checked against
		// the buffer size at start.
		if (mbuf->nb_segs != 1) {
			pass_drop(pass, i, DROP_bad_length);
			continue;
		}
		const uint8_t *frame = rte_pktmbuf_mtod(mbuf, const uint8_t *);
		unsigned length = rte_pktmbuf_data_len(mbuf);
		if (__builtin_expect(
			    headers_parse_plain(frame, length, &burst->headers[kept]), 1)) {
			burst->verdict[kept] = HEADERS_UDP;
			burst->mbufs[kept++] = mbuf;
			continue;
		}
		enum headers_verdict verdict = headers_parse(frame, length, &burst->headers[kept]);
		if (verdict != HEADERS_UDP && verdict != HEADERS_ICMP_ERROR) {
			not_forwarded(pass, i, verdict);
			continue;
		}
		burst->verdict[kept] = (uint8_t)verdict;
		burst->mbufs[kept++] = mbuf;
	}
	burst->count = (uint16_t)kept;
}
