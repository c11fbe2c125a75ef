// SPDX-License-Identifier: BSD-3-Clause
// The one canonicaliser and the table of IANA special-purpose ranges (RFC 6890 registries, v4 and
// v6). Every peer address passes net_address_canonical before any rule is compared with it:
// ::ffff:a.b.c.d, ::a.b.c.d, 6to4, Teredo, NAT64 64:ff9b::/96 and ISATAP all carry an IPv4 address
// and are judged as that one.
#pragma once

#include "lib/net/address.h"

// The innermost address that a packet to `address` may end up at; applied until nothing changes.
// Property held by tests: special_range_denied(enc(x)) whenever special_range_denied(x), for every
// embedding enc.
struct net_address net_address_canonical(const struct net_address *address);

// True when the address, or its canonical form, lies in a special-purpose range that a relay must
// not reach by default: everything not globally reachable unicast (loopback, private, shared,
// link-local incl. metadata, documentation, benchmarking, multicast, reserved, unspecified,
// broadcast, ULA, discard, SRv6 SIDs, translation prefixes...). name, if not NULL: set to a
// constant name of the range.
bool special_range_denied(const struct net_address *address, const char **name);
