// SPDX-License-Identifier: BSD-3-Clause
// Last stage and the way to it: next hop, MTU, Ethernet header, door out.
#pragma once

#include "dataplane/stage/pass.h"

// A cached next hop: the mapping's two members, and the other direction's that shares the epoch.
struct hop_cache {
	uint16_t *hop, *other;
	uint32_t *epoch;
};

// Where a packet to an address can go right now. True: *view is filled from the cache or, when
// routes have changed, after a look-up. False: nothing is known; the packet takes transmit_unrouted
// when it is ready.
bool transmit_hop(struct worker *worker, const struct hop_cache *cache, const uint8_t *destination,
	unsigned family, uint32_t flow, struct next_hop_view *view);

// A whole IP packet (no Ethernet header) without a cached next hop: looks it up, sends, holds or
// drops it. Slow path.
void transmit_unrouted(struct worker *worker, struct rte_mbuf *mbuf, uint32_t flow, uint64_t now);

// An IP packet with a next hop, checked against the MTU, with its Ethernet header, to the port.
void transmit_routed(struct worker *worker, struct rte_mbuf *mbuf, const struct next_hop_view *hop);

// Has the neighbour of an address resolved ahead of the first packet.
void transmit_prepare(struct worker *worker, const struct hop_cache *cache,
	const uint8_t *destination, unsigned family, uint32_t flow, uint64_t now);

static inline void pass_transmit(
	struct pass *pass, struct rte_mbuf *mbuf, const struct next_hop_view *hop)
{
	struct pass_out *out = &pass->out[pass->out_count++];
	out->mbuf = mbuf;
	out->hop = *hop;
}

// A finished frame back to where the burst came from.
static inline void pass_transmit_frame(struct pass *pass, struct rte_mbuf *mbuf)
{
	struct pass_out *out = &pass->out[pass->out_count++];
	out->mbuf = mbuf;
	out->hop.header_length = 0;
	out->hop.port = pass->burst.port;
}
