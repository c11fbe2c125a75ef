// SPDX-License-Identifier: BSD-3-Clause
// Finding one of the node's own addresses by its bytes. At most 16, usually one or two: a walk is
// quicker than any table. Read-only after start, any worker.
#pragma once

#include "dataplane/table/mappings.h"
#include "dataplane/worker.h"

#include <errno.h>
#include <string.h>

enum { OWN_ADDRESS_NONE = 0xFF };

// The same for 16 bytes. Not in line: it would take registers from IPv4's in the same loop.
static __attribute__((noinline, unused)) unsigned own_address_find_ipv6(
	const struct node_addresses *addresses, const uint8_t *bytes)
{
	uint64_t want[2], have[2];
	memcpy(want, bytes, 16);
	for (unsigned i = 0; i < addresses->listen_count; i++) {
		memcpy(have, addresses->listen[i].bytes, 16);
		if (addresses->listen[i].family == NET_IPV6 &&
			((have[0] ^ want[0]) | (have[1] ^ want[1])) == 0)
			return i;
	}
	return OWN_ADDRESS_NONE;
}

// Index into addresses->listen, or OWN_ADDRESS_NONE. bytes: 4 or 16 as the family says.
static inline unsigned own_address_find(
	const struct node_addresses *addresses, unsigned family, const uint8_t *bytes)
{
	uint32_t want, have;
	if (__builtin_expect(family != NET_IPV4, 0))
		return own_address_find_ipv6(addresses, bytes);
	memcpy(&want, bytes, 4);
	for (unsigned i = 0; i < addresses->listen_count; i++) {
		memcpy(&have, addresses->listen[i].bytes, 4);
		if (have == want && addresses->listen[i].family == NET_IPV4)
			return i;
	}
	return OWN_ADDRESS_NONE;
}

// The RFC 5780 alternate of a listen address: the next other one of its family.
static inline unsigned own_address_other(const struct node_addresses *addresses, unsigned index)
{
	for (unsigned i = 1; i < addresses->listen_count; i++) {
		unsigned other = (index + i) % addresses->listen_count;
		if (addresses->listen[other].family == addresses->listen[index].family)
			return other;
	}
	return OWN_ADDRESS_NONE;
}

// Where a client talks to: as struct allocation's server, or -EINVAL.
static inline int own_server_find(
	const struct node_addresses *addresses, const struct net_endpoint *server)
{
	unsigned own = own_address_find(addresses, server->address.family, server->address.bytes);
	if (own == OWN_ADDRESS_NONE)
		return -EINVAL;
	if (server->port == addresses->port)
		return (int)own;
	if (addresses->behaviour_discovery && server->port == addresses->alternate_port)
		return (int)(own | SERVER_ALTERNATE_PORT);
	return -EINVAL;
}

// The same when the client can be one: of the server's family, with a port, and at none of our own
// addresses, which would make packets go in circles.
static inline int own_server_of_client(const struct node_addresses *addresses,
	const struct net_endpoint *client, const struct net_endpoint *server)
{
	unsigned family = client->address.family;
	if ((family != NET_IPV4 && family != NET_IPV6) || family != server->address.family ||
		client->port == 0 ||
		own_address_find(addresses, family, client->address.bytes) != OWN_ADDRESS_NONE)
		return -EINVAL;
	return own_server_find(addresses, server);
}

static inline uint16_t own_server_port(const struct node_addresses *addresses, unsigned server)
{
	return server & SERVER_ALTERNATE_PORT ? addresses->alternate_port : addresses->port;
}
