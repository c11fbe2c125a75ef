// SPDX-License-Identifier: BSD-3-Clause
// What a relay must not reach by default: the IANA special-purpose registries of both families
// (RFC 6890, RFC 8190 and the registrations since), multicast, and every IPv6 address outside
// 2000::/3 that is not a translation form. All registered ranges are refused, also the few that the
// registry calls globally reachable (AS112, AMT, anycast of PCP and TURN): none is a person's
// phone, and a relay that reaches them is of use to an attacker only.
//
// Decisions on forms that carry an IPv4 address:
//  - ::ffff:a.b.c.d, ::a.b.c.d, 64:ff9b::a.b.c.d and 6to4 are refused exactly when a.b.c.d is;
//    their canonical form is a.b.c.d.
//  - ISATAP is an interface identifier inside somebody's prefix, so the prefix and the IPv4 address
//    are both judged. The canonical form is the IPv4 address only where the prefix is not refused
//    itself: otherwise a rule that allows 10.0.0.0/8 would open fe80::5efe:10.0.0.1.
//  - Teredo is always refused and stays itself, whatever its server and client are: a packet to it
//    goes through third parties, and no rule written for an IPv4 address should open it.
//  - 6to4 around ISATAP carries two IPv4 addresses; refused unless both are fit to be reached, and
//    canonical is the outer one.
//
// Pure functions, any thread. A linear scan: asked once per permission, never per packet.
#include "lib/net/special_ranges.h"

struct special_range {
	uint8_t bytes[16];
	uint8_t length; // bits
	const char *name;
};

// More specific ranges stand before those that hold them, for the name only.
static const struct special_range special_ipv4[] = {
	{{0, 0, 0, 0}, 8, "this network (0.0.0.0/8)"},
	{{10}, 8, "private use (10.0.0.0/8)"},
	{{100, 64}, 10, "shared address space (100.64.0.0/10)"},
	{{127}, 8, "loopback (127.0.0.0/8)"},
	{{169, 254}, 16, "link local (169.254.0.0/16)"},
	{{172, 16}, 12, "private use (172.16.0.0/12)"},
	{{192, 0, 0}, 24, "IETF protocol assignments (192.0.0.0/24)"},
	{{192, 0, 2}, 24, "documentation (192.0.2.0/24)"},
	{{192, 31, 196}, 24, "AS112 (192.31.196.0/24)"},
	{{192, 52, 193}, 24, "AMT (192.52.193.0/24)"},
	{{192, 88, 99}, 24, "6to4 relay anycast (192.88.99.0/24)"},
	{{192, 168}, 16, "private use (192.168.0.0/16)"},
	{{192, 175, 48}, 24, "AS112 (192.175.48.0/24)"},
	{{198, 18}, 15, "benchmarking (198.18.0.0/15)"},
	{{198, 51, 100}, 24, "documentation (198.51.100.0/24)"},
	{{203, 0, 113}, 24, "documentation (203.0.113.0/24)"},
	{{224}, 4, "multicast (224.0.0.0/4)"},
	{{255, 255, 255, 255}, 32, "limited broadcast (255.255.255.255)"},
	{{240}, 4, "reserved (240.0.0.0/4)"},
};

static const struct special_range special_ipv6[] = {
	{{0}, 128, "unspecified (::)"},
	{{[15] = 1}, 128, "loopback (::1)"},
	{{0x00, 0x64, 0xff, 0x9b, 0, 1}, 48, "local-use translation (64:ff9b:1::/48)"},
	{{0x01, 0x00}, 64, "discard only (100::/64)"},
	{{0x01, 0x00, [7] = 1}, 64, "dummy prefix (100:0:0:1::/64)"},
	{{0x20, 0x01, 0, 0}, 32, "Teredo (2001::/32)"},
	{{0x20, 0x01, 0, 1}, 32, "anycast assignments (2001:1::/32)"},
	{{0x20, 0x01, 0, 2}, 48, "benchmarking (2001:2::/48)"},
	{{0x20, 0x01, 0, 3}, 32, "AMT (2001:3::/32)"},
	{{0x20, 0x01, 0, 4, 0x01, 0x12}, 48, "AS112 (2001:4:112::/48)"},
	{{0x20, 0x01, 0, 0x10}, 28, "ORCHID (2001:10::/28)"},
	{{0x20, 0x01, 0, 0x20}, 28, "ORCHIDv2 (2001:20::/28)"},
	{{0x20, 0x01, 0, 0x30}, 28, "drone remote ID (2001:30::/28)"},
	{{0x20, 0x01}, 23, "IETF protocol assignments (2001::/23)"},
	{{0x20, 0x01, 0x0d, 0xb8}, 32, "documentation (2001:db8::/32)"},
	{{0x26, 0x20, 0x00, 0x4f, 0x80}, 48, "AS112 (2620:4f:8000::/48)"},
	{{0x3f, 0xff}, 20, "documentation (3fff::/20)"},
	{{0x5f}, 16, "segment routing SIDs (5f00::/16)"},
	{{0xfc}, 7, "unique local (fc00::/7)"},
	{{0xfe, 0x80}, 10, "link local (fe80::/10)"},
	{{0xfe, 0xc0}, 10, "site local (fec0::/10)"},
	{{0xff}, 8, "multicast (ff00::/8)"},
};

static const char not_global_unicast[] = "not global unicast (outside 2000::/3)";

static const char *range_find(
	const struct special_range *ranges, size_t n, const struct net_address *address)
{
	for (size_t i = 0; i < n; i++) {
		struct net_prefix same = net_prefix_of(address, ranges[i].length);
		if (memcmp(same.address.bytes, ranges[i].bytes, 16) == 0)
			return ranges[i].name;
	}
	return NULL;
}

static const char *ipv4_denied(const struct net_address *address)
{
	return range_find(special_ipv4, sizeof(special_ipv4) / sizeof(special_ipv4[0]), address);
}

// The forms in which the whole IPv6 address stands for one IPv4 address: offset of its four bytes,
// or 0. ::/128 and ::1/128 look like ::a.b.c.d but are addresses of their own.
static unsigned translation_offset(const uint8_t *p)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	static const uint8_t compatible[12] = {0};
	static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};
	static const uint8_t unspecified_or_loopback[15] = {0};

	if (p[0] == 0x20 && p[1] == 0x02)
		return 2;
	if (memcmp(p, mapped, 12) == 0 || memcmp(p, nat64, 12) == 0)
		return 12;
	if (memcmp(p, compatible, 12) == 0 &&
		(memcmp(p, unspecified_or_loopback, 15) != 0 || p[15] > 1))
		return 12;
	return 0;
}

// RFC 5214 section 6.1: interface identifier 0000:5efe:a.b.c.d, or 0200:5efe for a globally unique
// a.b.c.d. The group bit (0100) is accepted too: it costs nothing to be strict here.
static bool is_isatap(const uint8_t *p)
{
	return (p[8] & 0xfc) == 0 && p[9] == 0 && p[10] == 0x5e && p[11] == 0xfe;
}

static const char *ipv6_range_denied(const struct net_address *address)
{
	const char *name =
		range_find(special_ipv6, sizeof(special_ipv6) / sizeof(special_ipv6[0]), address);
	if (name == NULL && (address->bytes[0] & 0xe0) != 0x20)
		name = not_global_unicast;
	return name;
}

static const char *ipv6_denied(const struct net_address *address)
{
	const char *name = NULL;
	unsigned offset = translation_offset(address->bytes);
	if (offset) {
		struct net_address embedded = net_address_v4(address->bytes + offset);
		name = ipv4_denied(&embedded);
	} else {
		name = ipv6_range_denied(address);
	}
	if (name == NULL && is_isatap(address->bytes)) {
		struct net_address embedded = net_address_v4(address->bytes + 12);
		name = ipv4_denied(&embedded);
	}
	return name;
}

struct net_address net_address_canonical(const struct net_address *address)
{
	if (address->family != NET_IPV6)
		return *address;
	unsigned offset = translation_offset(address->bytes);
	if (offset)
		return net_address_v4(address->bytes + offset);
	if (is_isatap(address->bytes) && ipv6_range_denied(address) == NULL)
		return net_address_v4(address->bytes + 12);
	return *address;
}

bool special_range_denied(const struct net_address *address, const char **name)
{
	const char *found = "no address family";
	if (address->family == NET_IPV4)
		found = ipv4_denied(address);
	else if (address->family == NET_IPV6)
		found = ipv6_denied(address);
	if (found && name)
		*name = found;
	return found != NULL;
}
