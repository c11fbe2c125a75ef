// SPDX-License-Identifier: BSD-3-Clause
// A burst of packets on its way through the stages, and what each stage learnt about each of them.
// Lives on the worker's stack frame or in struct worker; nothing of it outlives the burst.
#pragma once

#include "lib/wire/headers.h"

#include <stdint.h>

struct rte_mbuf;
struct allocation;
struct worker;

enum {
	BURST_MAX = 64,
};

// Per-buffer private area of every mbuf (rte_pktmbuf_priv): what must survive a ring between two
// lcores.
enum packet_kind {
	PACKET_RECEIVED = 0,    // process as if it came from a port
	PACKET_HANDED_TO_OWNER, // the receiver's tables own its mapping
	PACKET_TRANSMIT,        // finished frame: transmit on `port`
	PACKET_ROUTE,           // L3 packet without Ethernet header: find next hop, then transmit
	PACKET_PUNT, // worker -> main: UDP payload for the control plane, see struct packet_private
	PACKET_PUNT_NATIVE, // the same of the native protocol
	PACKET_TO_KERNEL,   // worker -> main: whole frame for the exception TAP of `port`
};

struct packet_private {
	uint8_t kind;   // enum packet_kind
	uint8_t worker; // sender
	uint16_t port;
	uint32_t flow; // what tells mappings apart on their way through a ring to another worker
};
enum { PACKET_PRIVATE_SIZE = 64 }; // room for struct packet_private, one cache line

struct burst {
	struct worker *worker;
	uint64_t now;  // TSC, read once per burst
	uint16_t port; // all packets of a burst came from one port
	uint16_t count;
	struct rte_mbuf *mbufs[BURST_MAX];
	struct headers
		headers[BURST_MAX]; // valid where verdict is HEADERS_UDP or HEADERS_ICMP_ERROR
	uint8_t verdict[BURST_MAX]; // enum headers_verdict
};
