// SPDX-License-Identifier: BSD-3-Clause
// An IP packet with UDP as it is read from a TUN device: its transport addresses, and changing them
// with both checksums. No state.
#pragma once

#include "lib/net/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Fills in both; false when this is not a whole UDP packet: another protocol, a fragment, extension
// headers, bad lengths.
bool packet_endpoints(const uint8_t *packet, size_t size, struct net_endpoint *source,
	struct net_endpoint *destination);
// Puts others of the same family in. The packet is one that packet_endpoints accepted.
void packet_rewrite(uint8_t *packet, size_t size, const struct net_endpoint *source,
	const struct net_endpoint *destination);
// What a router does to hop limit or TTL; false when the packet ends here.
bool packet_forward(uint8_t *packet);
