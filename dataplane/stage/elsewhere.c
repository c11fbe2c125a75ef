// SPDX-License-Identifier: BSD-3-Clause
// Asking the shared index, see elsewhere.h. Off the fast path. Any worker.
#include "dataplane/stage/elsewhere.h"

#include "dataplane/table/client_index.h"

bool elsewhere_hand_off(struct pass *pass, unsigned at)
{
	struct worker *worker = pass->burst.worker;
	const struct headers *h = &pass->burst.headers[at];
	struct rte_mbuf *mbuf = pass->burst.mbufs[at];
	struct client_key key;
	uint32_t hash;
	if (worker->client_index == NULL || pass->handed)
		return false;
	client_key_set(&key, h->source, h->family, h->source_port, 0, pass->server[at]);
	int owner = client_index_find(worker->client_index, &key, &hash);
	if (owner < 0 || owner == worker->id)
		return false;
	((struct packet_private *)rte_mbuf_to_priv(mbuf))->flow = hash;
	worker->stats.event[EVENT_client_elsewhere]++;
	worker_hand_off(worker, (uint16_t)owner, mbuf, pass->burst.port);
	return true;
}
