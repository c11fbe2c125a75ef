// SPDX-License-Identifier: BSD-3-Clause
// Prefix and range arithmetic of addresses. An address is kept as network-order bytes, so memcmp
// over all of them is the comparison of the two numbers. Pure functions, any thread.
#include "lib/net/address.h"

static unsigned family_bits(uint8_t family)
{
	return family == NET_IPV6 ? 128 : family == NET_IPV4 ? 32 : 0;
}

struct net_prefix net_prefix_of(const struct net_address *address, unsigned length)
{
	unsigned bits = family_bits(address->family);
	if (length > bits)
		length = bits;
	struct net_prefix prefix = {
		.address = {.family = address->family},
		.length = (uint8_t)length,
	};
	unsigned whole = length / 8;
	memcpy(prefix.address.bytes, address->bytes, whole);
	if (length % 8)
		prefix.address.bytes[whole] =
			address->bytes[whole] & (uint8_t)(0xFF00 >> (length % 8));
	return prefix;
}

bool net_prefix_contains(const struct net_prefix *prefix, const struct net_address *address)
{
	if (prefix->address.family != address->family)
		return false;
	struct net_prefix same = net_prefix_of(address, prefix->length);
	return memcmp(same.address.bytes, prefix->address.bytes, 16) == 0;
}

int net_address_compare(const struct net_address *a, const struct net_address *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

bool net_range_contains(const struct net_range *range, const struct net_address *address)
{
	return range->first.family == address->family && range->last.family == address->family &&
	       net_address_compare(&range->first, address) <= 0 &&
	       net_address_compare(address, &range->last) <= 0;
}
