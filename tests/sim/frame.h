// SPDX-License-Identifier: BSD-3-Clause
// Ethernet frames around datagrams, on the relay's one port: what the gateway sends it, and what it
// sends to the gateway.
#pragma once

#include "lib/net/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rte_mbuf;
struct rte_mempool;

extern const uint8_t frame_relay_mac[6], frame_gateway_mac[6];

// A frame to the relay. NULL: the pool is empty.
struct rte_mbuf *frame_make(struct rte_mempool *pool, const struct net_endpoint *source,
	const struct net_endpoint *destination, const void *payload, size_t size);

struct frame_seen {
	struct net_endpoint source, destination;
	const uint8_t *payload; // in the frame
	size_t size;
};
// False: not a whole UDP datagram to the gateway, or a checksum is wrong.
bool frame_take(const uint8_t *frame, size_t length, struct frame_seen *out);
