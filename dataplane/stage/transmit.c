// SPDX-License-Identifier: BSD-3-Clause
// Next hops, MTU and Ethernet headers, see transmit.h. Owner worker; reads next_hops without
// waiting.
#include "dataplane/stage/transmit.h"

#include "dataplane/stage/fragment.h"
#include "dataplane/table/held.h"
#include "lib/wire/headers.h"

static struct net_address address_of(const uint8_t *bytes, unsigned family)
{
	return family == NET_IPV4 ? net_address_v4(bytes) : net_address_v6(bytes);
}

// Looks the next hop up and remembers it. The two directions of a session share one epoch: when it
// moves, the other direction's hop is forgotten, unless nothing has changed in between.
static enum next_hop_verdict hop_refresh(struct worker *worker, const struct hop_cache *cache,
	const struct net_address *destination, uint32_t flow, struct api_neighbour_wanted *wanted)
{
	uint16_t hop;
	uint32_t epoch;
	enum next_hop_verdict verdict =
		next_hops_resolve(worker->next_hops, destination, flow, &hop, &epoch, wanted);
	if (verdict == NEXT_HOP_FOUND) {
		if (*cache->epoch != epoch && cache->other != NULL)
			*cache->other = NEXT_HOP_NONE;
		*cache->hop = hop;
		*cache->epoch = epoch;
	} else if (verdict != NEXT_HOP_BUSY) {
		*cache->hop = NEXT_HOP_NONE;
	}
	return verdict;
}

bool transmit_hop(struct worker *worker, const struct hop_cache *cache, const uint8_t *destination,
	unsigned family, uint32_t flow, struct next_hop_view *view)
{
	const struct next_hops *n = worker->next_hops;
	if (*cache->hop != NEXT_HOP_NONE && next_hops_fresh(n, *cache->epoch) &&
		next_hop_read(n, *cache->hop, *cache->epoch, view))
		return true;
	struct net_address to = address_of(destination, family);
	struct api_neighbour_wanted wanted;
	enum next_hop_verdict verdict = hop_refresh(worker, cache, &to, flow, &wanted);
	// Busy: main is writing; the old next hop is better than none.
	if (verdict != NEXT_HOP_FOUND && verdict != NEXT_HOP_BUSY)
		return false;
	return *cache->hop != NEXT_HOP_NONE && next_hop_read(n, *cache->hop, *cache->epoch, view);
}

void transmit_prepare(struct worker *worker, const struct hop_cache *cache,
	const uint8_t *destination, unsigned family, uint32_t flow, uint64_t now)
{
	struct net_address to = address_of(destination, family);
	struct api_neighbour_wanted wanted;
	if (hop_refresh(worker, cache, &to, flow, &wanted) == NEXT_HOP_UNRESOLVED)
		held_add(worker, &wanted, flow, NULL, now);
}

void transmit_unrouted(struct worker *worker, struct rte_mbuf *mbuf, uint32_t flow, uint64_t now)
{
	const uint8_t *ip = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	struct net_address to = ip[0] >> 4 == 4 ? net_address_v4(ip + 16) : net_address_v6(ip + 24);
	uint16_t hop = NEXT_HOP_NONE;
	uint32_t epoch = 0;
	struct hop_cache cache = {&hop, NULL, &epoch};
	struct api_neighbour_wanted wanted = {.ifindex = 0};
	struct next_hop_view view;
	switch (hop_refresh(worker, &cache, &to, flow, &wanted)) {
	case NEXT_HOP_FOUND:
		if (next_hop_read(worker->next_hops, hop, epoch, &view)) {
			transmit_routed(worker, mbuf, &view);
			return;
		}
		// The neighbour changed this instant: as busy.
		// fallthrough
	case NEXT_HOP_BUSY:
		wanted = (struct api_neighbour_wanted){.ifindex = HELD_ANY_NEIGHBOUR};
		held_add(worker, &wanted, flow, mbuf, now);
		return;
	case NEXT_HOP_UNRESOLVED:
		held_add(worker, &wanted, flow, mbuf, now);
		return;
	case NEXT_HOP_NO_ROUTE:
		worker_drop(worker, mbuf, DROP_no_route);
		return;
	case NEXT_HOP_BLACKHOLE:
		worker_drop(worker, mbuf, DROP_blackhole);
		return;
	case NEXT_HOP_LINK_DOWN:
		worker_drop(worker, mbuf, DROP_link_down);
		return;
	}
}

static void transmit_framed(
	struct worker *worker, struct rte_mbuf *mbuf, const struct next_hop_view *hop)
{
	bool ipv4 = rte_pktmbuf_mtod(mbuf, const uint8_t *)[0] >> 4 == 4;
	uint8_t *p = (uint8_t *)rte_pktmbuf_prepend(mbuf, (uint16_t)(hop->header_length + 2u));
	if (p == NULL) {
		worker_drop(worker, mbuf, DROP_no_mbuf);
		return;
	}
	transmit_write_ethernet(p, hop, ipv4);
	worker_transmit(worker, &mbuf, 1, hop->port);
}

static void transmit_fragments(
	struct worker *worker, struct rte_mbuf *mbuf, const struct next_hop_view *hop)
{
	struct rte_mbuf *fragments[FRAGMENTS_MAX];
	int count = fragment_ipv4(mbuf, hop->mtu, worker->pool, fragments);
	if (count < 0) {
		worker_drop(worker, mbuf, count == -ENOMEM ? DROP_no_mbuf : DROP_too_big);
		return;
	}
	for (int i = 0; i < count; i++)
		transmit_framed(worker, fragments[i], hop);
}

void transmit_routed(struct worker *worker, struct rte_mbuf *mbuf, const struct next_hop_view *hop)
{
	if (__builtin_expect(!hop->up, 0)) {
		worker_drop(worker, mbuf, DROP_link_down);
		return;
	}
	if (__builtin_expect(mbuf->pkt_len > hop->mtu, 0)) {
		const uint8_t *ip = rte_pktmbuf_mtod(mbuf, const uint8_t *);
		// RFC 791, RFC 8200: only IPv4 without DF may be cut on the way.
		if (ip[0] >> 4 == 4 && !(ip[6] & 0x40))
			transmit_fragments(worker, mbuf, hop);
		else
			worker_drop(worker, mbuf, DROP_too_big);
		return;
	}
	transmit_framed(worker, mbuf, hop);
}

// Usually all of a burst goes to one port.
void stage_transmit(struct pass *pass)
{
	for (unsigned done = 0; done < pass->out_count;) {
		unsigned end = done + 1;
		uint16_t port = pass->out_port[done];
		while (end < pass->out_count && pass->out_port[end] == port)
			end++;
		worker_transmit(pass->burst.worker, pass->out + done, end - done, port);
		done = end;
	}
}
