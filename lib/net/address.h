// SPDX-License-Identifier: BSD-3-Clause
// Addresses, transport addresses and prefixes of both families in one fixed-width form that may
// cross a process boundary. No text form here: lib/net/address_text.h has it, and the dataplane
// does not use that.
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum net_family {
	NET_UNSPECIFIED = 0,
	NET_IPV4 = 4,
	NET_IPV6 = 6,
};

// bytes: network order; an IPv4 address is bytes[0..3], the rest is zero (so memcmp compares).
struct net_address {
	uint8_t bytes[16];
	uint8_t family; // enum net_family
	uint8_t reserved[3];
};
static_assert(sizeof(struct net_address) == 20, "crosses the UNIX socket");

// RFC 8656 "transport address". port: host order.
struct net_endpoint {
	struct net_address address;
	uint16_t port;
	uint16_t reserved;
};
static_assert(sizeof(struct net_endpoint) == 24, "crosses the UNIX socket");

// length: bits, 0-32 or 0-128. Bits of address behind length are zero.
struct net_prefix {
	struct net_address address;
	uint8_t length;
	uint8_t reserved[3];
};
static_assert(sizeof(struct net_prefix) == 24, "crosses the UNIX socket");

// An inclusive range, as operators write peer rules (prefix, or first-last). Both ends of one
// family.
struct net_range {
	struct net_address first;
	struct net_address last;
};

static inline struct net_address net_address_v4(const void *four_bytes)
{
	struct net_address a = {.family = NET_IPV4};
	memcpy(a.bytes, four_bytes, 4);
	return a;
}

static inline struct net_address net_address_v6(const void *sixteen_bytes)
{
	struct net_address a = {.family = NET_IPV6};
	memcpy(a.bytes, sixteen_bytes, 16);
	return a;
}

static inline bool net_address_equal(const struct net_address *a, const struct net_address *b)
{
	return a->family == b->family && memcmp(a->bytes, b->bytes, 16) == 0;
}

static inline bool net_endpoint_equal(const struct net_endpoint *a, const struct net_endpoint *b)
{
	return a->port == b->port && net_address_equal(&a->address, &b->address);
}

// The address with every bit behind `length` cleared; length is cut to 32 or 128.
struct net_prefix net_prefix_of(const struct net_address *address, unsigned length);

bool net_prefix_contains(const struct net_prefix *prefix, const struct net_address *address);

// Compares as numbers, family first; <0, 0, >0. (Byte-by-byte range checks were a published TURN
// hole.)
int net_address_compare(const struct net_address *a, const struct net_address *b);

bool net_range_contains(const struct net_range *range, const struct net_address *address);
