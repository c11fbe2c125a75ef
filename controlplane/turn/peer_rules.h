// SPDX-License-Identifier: BSD-3-Clause
// Which peers a client may reach. Asked wherever state towards a peer is installed
// (CreatePermission, ChannelBind); the fast path forwards only what was installed. An address is
// judged both as written and in its canonical form, so that no embedding of an address is more
// than the address itself:
//
//   1. [peers] deny matches either form                       -> forbidden
//   2. one of our relay addresses, as written                 -> permitted to the relayed ports
//      one of our relay addresses, embedded in another        -> forbidden
//   3. an address of this host, either form                   -> forbidden
//   4. each form is globally reachable or in [peers] allow    -> permitted, otherwise forbidden
#pragma once

#include "lib/config/config.h"

#include <stdbool.h>
#include <stddef.h>

struct peer_rules {
	const struct config *config; // borrowed
	struct net_address *local;   // owned; addresses of this host, none of ours to serve
	size_t local_count;
	// Relayed ports before the range changed; live allocations may still have them, and calls
	// between two clients of this relay go through them. first 0: none. Wider than need be at
	// worst: the dataplane sends to own addresses only where an allocation is.
	uint16_t earlier_first, earlier_last;
};

void peer_rules_init(struct peer_rules *rules, const struct config *config);
void peer_rules_free(struct peer_rules *rules);
// Replaces the addresses of this host. False without memory: then the earlier ones stay.
bool peer_rules_set_local(
	struct peer_rules *rules, const struct net_address *addresses, size_t count);

// Another configuration; the addresses of this host stay, and the earlier relayed ports are noted.
void peer_rules_reconfigure(struct peer_rules *rules, const struct config *config);
// Live allocations have ports in that range, outside of the configured one.
void peer_rules_earlier_ports(struct peer_rules *rules, uint16_t first, uint16_t last);

// CreatePermission: RFC 8656 10.2 ignores the port.
bool peer_rules_permit_address(const struct peer_rules *rules, const struct net_address *peer);
// ChannelBind: a port outside relay-ports on a relay address, and port 0, are forbidden.
bool peer_rules_permit_endpoint(const struct peer_rules *rules, const struct net_endpoint *peer);
