// SPDX-License-Identifier: BSD-3-Clause
// A source nobody can answer to, or ours: not from the wire (RFC 1122 3.2.1.3, RFC 4291 2.5.5.2
// and 2.7). Answering one would make packets to groups, or to ourselves. Owner worker.
#pragma once

#include "dataplane/table/own_addresses.h"

static __attribute__((noinline, unused)) bool source_bad_ipv6(
	const struct node_addresses *addresses, const uint8_t *source)
{
	uint64_t high, low;
	memcpy(&high, source, 8);
	memcpy(&low, source + 8, 8);
	// Multicast, unspecified, loopback, IPv4's in IPv6 form.
	const bool mapped = (uint32_t)low == __builtin_bswap32(0xFFFF);
	return source[0] == 0xFF ||
	       (high == 0 && (low == 0 || low == __builtin_bswap64(1) || mapped)) ||
	       own_address_find_ipv6(addresses, source) != OWN_ADDRESS_NONE;
}

static inline bool source_bad_ipv4(const struct node_addresses *addresses, const uint8_t *source)
{
	// "This network", loopback, groups and what is reserved above them.
	unsigned first = source[0];
	return (first == 0) | (first == 127) | (first >= 224) ||
	       own_address_find(addresses, NET_IPV4, source) != OWN_ADDRESS_NONE;
}

static inline bool source_bad(const struct node_addresses *addresses, unsigned family,
	const uint8_t *source, uint16_t port)
{
	if (__builtin_expect(port == 0, 0))
		return true;
	return __builtin_expect(family == NET_IPV4, 1) ? source_bad_ipv4(addresses, source)
						       : source_bad_ipv6(addresses, source);
}
