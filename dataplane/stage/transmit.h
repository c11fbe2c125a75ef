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

// The Ethernet header of a next hop, hop->header_length + 2 bytes, at p.
static inline void transmit_write_ethernet(uint8_t *p, const struct next_hop_view *hop, bool ipv4)
{
	uint16_t type = ipv4 ? 0x0008 : 0xDD86; // as stored
	memcpy(p, &hop->header[0], 8);
	if (__builtin_expect(hop->header_length == 12, 1)) {
		uint32_t rest = (uint32_t)hop->header[1];
		memcpy(p + 8, &rest, 4);
		memcpy(p + 12, &type, 2);
	} else {
		memcpy(p + 8, &hop->header[1], 8);
		memcpy(p + 16, &type, 2);
	}
}
static_assert(NEXT_HOP_HEADER_MAX == 16, "none or one tag");
