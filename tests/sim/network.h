// SPDX-License-Identifier: BSD-3-Clause
// The network between clients and relay: delay, loss, duplication and reordering as the phase has
// them, and NATs. A transport address belongs to one client for ever and is never given again, so
// that whose it was is always known.
#pragma once

#include "lib/net/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Where a client is. Its own memory; one host per client.
struct network_host {
	uint16_t client;
	bool up;
	uint8_t family;
	uint32_t nat;                  // which address it is behind
	uint32_t latency;              // us, one way
	struct net_endpoint transport; // as the relay sees it
};

// A datagram on its way.
struct network_packet {
	struct net_endpoint source, destination;
	uint16_t size;
	bool to_relay;
	uint8_t bytes[];
};

void network_open(uint64_t seed);
void network_close(void);

// The relay's listen address of a family.
const struct net_endpoint *network_relay(unsigned family);
// Who has or had a transport address; SIM_NOBODY.
unsigned network_owner(const struct net_endpoint *transport);

// First place of a client.
void network_attach(struct network_host *host, uint16_t client);
// The NAT has lost the binding: another port of the same address from now on.
void network_rebind(struct network_host *host);
// Another network: another address, perhaps of the other family.
void network_move(struct network_host *host);
void network_detach(struct network_host *host);

// To the relay.
void network_send(const struct network_host *host, const void *data, size_t size);
// To a client (or nobody).
void network_answer(const struct net_endpoint *source, const struct net_endpoint *destination,
	const void *data, size_t size);
// A datagram of the adversary's, with whatever source, after `delay` us. Not lost.
void network_inject(const struct net_endpoint *source, const struct net_endpoint *destination,
	const void *data, size_t size, uint64_t delay);
