// SPDX-License-Identifier: BSD-3-Clause
// Finding one of the node's own addresses by its bytes. At most 16, usually one or two: a walk is
// quicker than any table. Read-only after start, any worker.
#pragma once

#include "dataplane/worker.h"

#include <string.h>

enum { OWN_ADDRESS_NONE = 0xFF };

// Index into addresses->listen, or OWN_ADDRESS_NONE. bytes: 4 or 16 as the family says.
static inline unsigned own_address_find(
	const struct node_addresses *addresses, unsigned family, const uint8_t *bytes)
{
	const unsigned count = addresses->listen_count;
	uint32_t want, have;
	if (__builtin_expect(family == NET_IPV4, 1)) {
		memcpy(&want, bytes, 4);
		for (unsigned i = 0; i < count; i++) {
			memcpy(&have, addresses->listen[i].bytes, 4);
			if (have == want && addresses->listen[i].family == NET_IPV4)
				return i;
		}
		return OWN_ADDRESS_NONE;
	}
	memcpy(&want, bytes + 12, 4);
	for (unsigned i = 0; i < count; i++) {
		memcpy(&have, addresses->listen[i].bytes + 12, 4);
		if (have == want && addresses->listen[i].family == NET_IPV6 &&
			memcmp(addresses->listen[i].bytes, bytes, 12) == 0)
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
