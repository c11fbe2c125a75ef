// SPDX-License-Identifier: BSD-3-Clause
// The table of special-purpose ranges, edge by edge, and the canonicaliser: no embedding of a
// refused IPv4 address is ever allowed.
#include "lib/net/special_ranges.h"

#include "lib/net/address_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static uint32_t seed = 20240301;

static uint32_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed;
}

static struct net_address address(const char *text)
{
	struct net_address a;
	assert_int_equal(net_address_parse(text, &a), 0);
	return a;
}

static struct net_address ipv4(uint32_t value)
{
	uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
		(uint8_t)value};
	return net_address_v4(bytes);
}

static bool denied(const struct net_address *a)
{
	const char *name = NULL;
	bool result = special_range_denied(a, &name);
	assert_int_equal(result, name != NULL);
	assert_int_equal(result, special_range_denied(a, NULL));
	return result;
}

// ---- edges ----

// before and after: the neighbours just outside, where those are public.
static const struct {
	const char *first, *last, *before, *after, *name;
} edges[] = {
	{"0.0.0.0", "0.255.255.255", NULL, "1.0.0.0", "this network"},
	{"10.0.0.0", "10.255.255.255", "9.255.255.255", "11.0.0.0", "private"},
	{"100.64.0.0", "100.127.255.255", "100.63.255.255", "100.128.0.0", "shared"},
	{"127.0.0.0", "127.255.255.255", "126.255.255.255", "128.0.0.0", "loopback"},
	{"169.254.0.0", "169.254.255.255", "169.253.255.255", "169.255.0.0", "link local"},
	{"172.16.0.0", "172.31.255.255", "172.15.255.255", "172.32.0.0", "private"},
	{"192.0.0.0", "192.0.0.255", "191.255.255.255", "192.0.1.0", "IETF"},
	{"192.0.2.0", "192.0.2.255", "192.0.1.255", "192.0.3.0", "documentation"},
	{"192.31.196.0", "192.31.196.255", "192.31.195.255", "192.31.197.0", "AS112"},
	{"192.52.193.0", "192.52.193.255", "192.52.192.255", "192.52.194.0", "AMT"},
	{"192.88.99.0", "192.88.99.255", "192.88.98.255", "192.88.100.0", "6to4"},
	{"192.168.0.0", "192.168.255.255", "192.167.255.255", "192.169.0.0", "private"},
	{"192.175.48.0", "192.175.48.255", "192.175.47.255", "192.175.49.0", "AS112"},
	{"198.18.0.0", "198.19.255.255", "198.17.255.255", "198.20.0.0", "benchmarking"},
	{"198.51.100.0", "198.51.100.255", "198.51.99.255", "198.51.101.0", "documentation"},
	{"203.0.113.0", "203.0.113.255", "203.0.112.255", "203.0.114.0", "documentation"},
	{"224.0.0.0", "239.255.255.255", "223.255.255.255", NULL, "multicast"},
	{"240.0.0.0", "255.255.255.254", NULL, NULL, "reserved"},
	{"255.255.255.255", "255.255.255.255", NULL, NULL, "broadcast"},
	{"::", "::", NULL, NULL, "unspecified"},
	{"::1", "::1", NULL, NULL, "loopback"},
	{"64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", NULL, NULL, "local-use translation"},
	{"100::", "100::ffff:ffff:ffff:ffff", NULL, NULL, "discard"},
	{"100:0:0:1::", "100::1:ffff:ffff:ffff:ffff", NULL, NULL, "dummy"},
	{"2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff",
		"2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, "Teredo"},
	{"2001:1::", "2001:1:ffff:ffff:ffff:ffff:ffff:ffff", NULL, NULL, "anycast"},
	{"2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", NULL, NULL, "benchmarking"},
	{"2001:2:1::", "2001:2:ffff:ffff:ffff:ffff:ffff:ffff", NULL, NULL, "IETF"},
	{"2001:3::", "2001:3:ffff:ffff:ffff:ffff:ffff:ffff", NULL, NULL, "AMT"},
	{"2001:4:112::", "2001:4:112:ffff:ffff:ffff:ffff:ffff", NULL, NULL, "AS112"},
	{"2001:10::", "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff", NULL, NULL, "ORCHID"},
	{"2001:20::", "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff", NULL, NULL, "ORCHIDv2"},
	{"2001:30::", "2001:3f:ffff:ffff:ffff:ffff:ffff:ffff", NULL, NULL, "drone"},
	{"2001:40::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, "2001:200::", "IETF"},
	{"2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
		"2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::", "documentation"},
	{"2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff",
		"2620:4f:7fff:ffff:ffff:ffff:ffff:ffff", "2620:4f:8001::", "AS112"},
	{"3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
		"3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:1000::", "documentation"},
	{"4000::", "5eff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		"3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, "outside 2000::/3"},
	{"5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, NULL, "segment routing"},
	{"5f01::", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, NULL, "outside 2000::/3"},
	{"fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, NULL, "unique local"},
	{"fe00::", "fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, NULL, "outside 2000::/3"},
	{"fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, NULL, "link local"},
	{"fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, NULL, "site local"},
	{"ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, NULL, "multicast"},
	{"0:0:0:1::", "64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff", NULL, NULL, "outside 2000::/3"},
	{"64:ff9b::1:0:0", "64:ff9b:0:ffff:ffff:ffff:ffff:ffff", NULL, NULL, "outside 2000::/3"},
	{"100:0:0:2::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL,
		"2000::", "outside 2000::/3"},
};
enum { EDGES = sizeof(edges) / sizeof(edges[0]) };

static void assert_denied_as(const char *text, const char *expected)
{
	const char *name = "";
	struct net_address a = address(text);
	if (!special_range_denied(&a, &name) || strstr(name, expected) == NULL)
		fail_msg("%s: \"%s\" instead of \"%s\"", text, name, expected);
}

static void assert_allowed(const char *text)
{
	const char *name = NULL;
	struct net_address a = address(text);
	if (special_range_denied(&a, &name))
		fail_msg("%s: refused as \"%s\"", text, name);
	assert_null(name);
}

static void test_table_edges(void **state)
{
	(void)state;
	for (size_t i = 0; i < EDGES; i++) {
		assert_denied_as(edges[i].first, edges[i].name);
		assert_denied_as(edges[i].last, edges[i].name);
		if (edges[i].before)
			assert_allowed(edges[i].before);
		if (edges[i].after)
			assert_allowed(edges[i].after);
	}
}

// Random addresses against the rows above: IPv4 is refused exactly inside one of them.
static void test_random_ipv4_against_edges(void **state)
{
	(void)state;
	unsigned refused = 0;
	for (unsigned i = 0; i < 300000; i++) {
		struct net_address a = ipv4(next_random());
		bool expected = false;
		for (size_t j = 0; j < EDGES && edges[j].first[0] != ':'; j++) {
			static struct net_range ranges[EDGES];
			if (ranges[j].first.family == NET_UNSPECIFIED) {
				ranges[j].first = address(edges[j].first);
				ranges[j].last = address(edges[j].last);
			}
			expected |= net_range_contains(&ranges[j], &a);
		}
		refused += expected;
		assert_int_equal(denied(&a), expected);
	}
	assert_in_range(refused, 30000, 100000);
}

static void test_well_known_public_addresses(void **state)
{
	(void)state;
	static const char *const rows[] = {"1.1.1.1", "8.8.8.8", "9.9.9.9", "11.0.0.1",
		"193.0.6.139", "2606:4700:4700::1111", "2001:4860:4860::8888", "2620:fe::fe",
		"2a00:1450:4001:81b::200e", "::ffff:8.8.8.8", "::8.8.8.8", "64:ff9b::8.8.8.8",
		"2002:808:808::1", "2a00::5efe:8.8.8.8", "2a00::200:5efe:8.8.8.8"};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_allowed(rows[i]);
}

static void test_attack_forms(void **state)
{
	(void)state;
	static const char *const rows[] = {"169.254.169.254", "::ffff:169.254.169.254",
		"::169.254.169.254", "64:ff9b::169.254.169.254", "2002:a9fe:a9fe::1",
		"2a00::5efe:169.254.169.254", "2a00::200:5efe:169.254.169.254", "fd00:ec2::254",
		"::ffff:127.0.0.1", "::ffff:0.0.0.0", "::127.0.0.1", "::0.0.0.2",
		"2002:7f00:1::", "64:ff9b::10.0.0.1", "::ffff:0:10.0.0.1", "::ffff:0:8.8.8.8",
		"64:ff9b:1::8.8.8.8",
		// Teredo: private server, private client (bits inverted), and neither.
		"2001:0:a00:1::f7f7:f7f7", "2001:0:808:808::f5ff:fffe", "2001:0:808:808::f7f7:f7f7",
		// A public IPv4 address inside a prefix that is not public.
		"fe80::5efe:8.8.8.8", "fd00::200:5efe:8.8.8.8", "2001:db8::5efe:8.8.8.8",
		// Two embedded addresses, one of them private.
		"2002:808:808::5efe:10.0.0.1", "2002:a00:1::5efe:8.8.8.8"};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_denied_as(rows[i], "");
}

static void test_no_family_is_denied(void **state)
{
	(void)state;
	struct net_address none = {0}, odd = {.family = 5};
	assert_true(denied(&none));
	assert_true(denied(&odd));
}

// ---- embeddings ----

enum embedding {
	MAPPED,
	COMPATIBLE,
	NAT64,
	SIX_TO_FOUR,
	ISATAP_PRIVATE,
	ISATAP_GLOBAL,
	EXACT, // those before carry nothing else: refused exactly when the IPv4 address is
	TEREDO_SERVER = EXACT,
	TEREDO_CLIENT,
	ISATAP_LINK_LOCAL,
	SIX_TO_FOUR_ISATAP,
	EMBEDDINGS,
};

static struct net_address embed(const struct net_address *x, enum embedding embedding)
{
	struct net_address e = address("::");
	uint8_t *p = e.bytes;
	switch (embedding) {
	case MAPPED:
		p[10] = p[11] = 0xFF;
		memcpy(p + 12, x->bytes, 4);
		break;
	case COMPATIBLE:
		memcpy(p + 12, x->bytes, 4);
		break;
	case NAT64:
		memcpy(p, "\x00\x64\xff\x9b", 4);
		memcpy(p + 12, x->bytes, 4);
		break;
	case SIX_TO_FOUR:
		memcpy(p, "\x20\x02", 2);
		memcpy(p + 2, x->bytes, 4);
		for (unsigned i = 6; i < 16; i++)
			p[i] = (uint8_t)(next_random() >> 8);
		p[8] |= 0x80; // no ISATAP identifier by chance
		break;
	case ISATAP_PRIVATE:
	case ISATAP_GLOBAL:
		memcpy(p, "\x2a\x00\x14\x50", 4);
		p[7] = (uint8_t)(next_random() >> 8);
		p[8] = embedding == ISATAP_GLOBAL ? 0x02 : 0;
		memcpy(p + 10, "\x5e\xfe", 2);
		memcpy(p + 12, x->bytes, 4);
		break;
	case TEREDO_SERVER:
		memcpy(p, "\x20\x01\x00\x00", 4);
		memcpy(p + 4, x->bytes, 4);
		memcpy(p + 12, "\xf7\xf7\xf7\xf7", 4);
		break;
	case TEREDO_CLIENT:
		memcpy(p, "\x20\x01\x00\x00\x08\x08\x08\x08", 8);
		for (unsigned i = 0; i < 4; i++)
			p[12 + i] = (uint8_t)~x->bytes[i];
		break;
	case ISATAP_LINK_LOCAL:
		memcpy(p, "\xfe\x80\0\0\0\0\0\0\0\0\x5e\xfe", 12);
		memcpy(p + 12, x->bytes, 4);
		break;
	case SIX_TO_FOUR_ISATAP:
		memcpy(p, "\x20\x02\x08\x08\x08\x08\0\0\0\0\x5e\xfe", 12);
		memcpy(p + 12, x->bytes, 4);
		break;
	case EMBEDDINGS:
		fail();
	}
	return e;
}

static void check_embeddings(const struct net_address *x)
{
	bool x_denied = denied(x);
	for (enum embedding i = 0; i < EMBEDDINGS; i++) {
		struct net_address e = embed(x, i);
		struct net_address canonical = net_address_canonical(&e);
		struct net_address twice = net_address_canonical(&canonical);
		char text[NET_ADDRESS_TEXT_SIZE];
		bool e_denied = denied(&e);
		if ((x_denied && !e_denied) || (i < EXACT && e_denied != x_denied))
			fail_msg("form %d, %s", (int)i, net_address_format(&e, text));
		if (denied(&canonical) && !e_denied)
			fail_msg("canonical of form %d, %s", (int)i, net_address_format(&e, text));
		assert_true(net_address_equal(&canonical, &twice));
		// :: and ::1 are themselves and not 0.0.0.0 and 0.0.0.1.
		bool own = i == COMPATIBLE && memcmp(x->bytes, "\0\0\0", 3) == 0 && x->bytes[3] < 2;
		if (i < EXACT)
			assert_true(net_address_equal(&canonical, own ? &e : x));
	}
}

static void test_embeddings_of_boundary_addresses(void **state)
{
	(void)state;
	for (size_t i = 0; i < EDGES; i++) {
		const char *texts[] = {
			edges[i].first, edges[i].last, edges[i].before, edges[i].after};
		for (size_t j = 0; j < 4; j++) {
			if (texts[j] == NULL)
				continue;
			struct net_address x = address(texts[j]);
			if (x.family == NET_IPV4)
				check_embeddings(&x);
		}
	}
	for (uint32_t low = 0; low < 16; low++) {
		struct net_address first = ipv4(low), last = ipv4(~low);
		check_embeddings(&first);
		check_embeddings(&last);
	}
}

static void test_embeddings_of_random_addresses(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 30000; i++) {
		uint32_t value = next_random();
		if (i % 3 == 0) { // near a boundary: flip low bits of an edge
			struct net_address a = address(edges[next_random() % 17].last);
			value = (uint32_t)a.bytes[0] << 24 | (uint32_t)a.bytes[1] << 16 |
				(uint32_t)a.bytes[2] << 8 | a.bytes[3];
			value += next_random() % 7 - 3;
		}
		struct net_address x = ipv4(value);
		check_embeddings(&x);
	}
}

// A rule for an IPv4 address must not open an address that goes somewhere else.
static void test_canonical_of_what_is_refused_anyway(void **state)
{
	(void)state;
	static const char *const themselves[] = {"::", "::1", "8.8.8.8", "10.0.0.1",
		"2606:4700::1111", "fe80::5efe:10.0.0.1", "fd00::5efe:10.0.0.1",
		"2001:0:808:808::f5ff:fffe", "64:ff9b:1::10.0.0.1", "::ffff:0:10.0.0.1",
		"64:ff9b::1:10.0.0.1", "2001:db8::10.0.0.1", "2a00::5eff:10.0.0.1",
		"2a00::400:5efe:10.0.0.1"};
	for (size_t i = 0; i < sizeof(themselves) / sizeof(themselves[0]); i++) {
		struct net_address a = address(themselves[i]);
		struct net_address canonical = net_address_canonical(&a);
		assert_true(net_address_equal(&a, &canonical));
	}
	struct net_address nested = address("2002:808:808::5efe:9.9.9.9");
	struct net_address outer = address("8.8.8.8");
	nested = net_address_canonical(&nested);
	assert_true(net_address_equal(&nested, &outer));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table_edges),
		cmocka_unit_test(test_random_ipv4_against_edges),
		cmocka_unit_test(test_well_known_public_addresses),
		cmocka_unit_test(test_attack_forms),
		cmocka_unit_test(test_no_family_is_denied),
		cmocka_unit_test(test_embeddings_of_boundary_addresses),
		cmocka_unit_test(test_embeddings_of_random_addresses),
		cmocka_unit_test(test_canonical_of_what_is_refused_anyway),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
