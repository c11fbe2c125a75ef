// SPDX-License-Identifier: BSD-3-Clause
// The one canonicaliser and the table of IANA special-purpose ranges (RFC 6890 registries, v4 and
// v6). Every peer address passes net_address_canonical before any rule is compared with it:
// ::ffff:a.b.c.d, ::a.b.c.d, 6to4, NAT64 64:ff9b::/96 and ISATAP carry an IPv4 address and are
// judged as that one; Teredo is refused whatever it carries. Why each is as it is stands in
// special_ranges.c.
#pragma once

#include "lib/net/address.h"

// The innermost address that a packet to `address` may end up at; applied until nothing changes.
// Rules: an allow rule is compared with the canonical form, a deny rule with the canonical form and
// with the address itself (the packet of an ISATAP or 6to4 peer travels to the outer prefix first).
// Property held by tests: special_range_denied(enc(x)) whenever special_range_denied(x), for every
// embedding enc.
struct net_address net_address_canonical(const struct net_address *address);

// True when the address, or its canonical form, lies in a special-purpose range that a relay must
// not reach by default: everything not globally reachable unicast (loopback, private, shared,
// link-local incl. metadata, documentation, benchmarking, multicast, reserved, unspecified,
// broadcast, ULA, discard, SRv6 SIDs, translation prefixes...). name, if not NULL: set to a
// constant name of the range.
bool special_range_denied(const struct net_address *address, const char **name);
