// SPDX-License-Identifier: BSD-3-Clause
// What the two stages that face peers share: from a relayed port to this worker's allocation, and
// the way to its client.
#pragma once

#include "dataplane/stage/relay.h"
#include "dataplane/table/relay_ports.h"

// Finds who owns the port. True: this worker; *slot and *handle are set. False: handed to the owner
// (only when hand_off), or dropped.
bool peer_side_owner(struct pass *pass, unsigned at, unsigned address, uint16_t port, bool hand_off,
	uint32_t *slot, uint32_t *handle);

// The allocation of a slot if it lives: same generation, not expired; else NULL and the packet is
// dropped.
struct allocation *peer_side_allocation(
	struct pass *pass, unsigned at, uint32_t slot, uint32_t handle);

// True when a live permission covers the peer.
bool peer_side_permitted(const struct mappings *m, uint32_t handle, const uint8_t *peer,
	unsigned family, uint32_t tick);

// Addresses and ports of what goes to the client; header fields are the caller's.
void peer_side_to_client(
	const struct worker *worker, const struct allocation *a, struct datagram *out);
uint16_t peer_side_server_port(const struct node_addresses *addresses, unsigned server);
