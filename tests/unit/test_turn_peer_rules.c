// SPDX-License-Identifier: BSD-3-Clause
// Peer rules: special ranges, exceptions, deny over allow, own relay addresses, addresses of the
// host, and every embedding of an IPv4 address, in the rules and through CreatePermission and
// ChannelBind.
#include "tests/unit/turn_desk.h"

#include "controlplane/turn/peer_rules.h"

#define DUAL "listen = 2001:4860::1\nlisten = 192.0.0.77\n"

static bool permits(const struct desk *desk, const char *text)
{
	struct net_address address = desk_address(text);
	return peer_rules_permit_address(&desk->core->peers, &address);
}

static bool permits_port(const struct desk *desk, const char *text, uint16_t port)
{
	struct net_endpoint endpoint = desk_endpoint(text, port);
	return peer_rules_permit_endpoint(&desk->core->peers, &endpoint);
}

static void test_defaults(void **state)
{
	(void)state;
	struct desk *desk = desk_open(DUAL "[turn]\nauth = open\n");
	static const char *const forbidden[] = {"0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1",
		"169.254.169.254", "172.16.0.1", "192.168.1.1", "198.18.0.1", "224.0.0.1",
		"240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fc00::1", "ff02::1",
		"2001:db8::5", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::169.254.169.254",
		"2002:7f00:1::", "2001::1"};
	static const char *const permitted[] = {"8.8.8.8", "1.1.1.1", "2606:4700::1111"};
	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
		if (permits(desk, forbidden[i]) || permits_port(desk, forbidden[i], 50000))
			fail_msg("%s", forbidden[i]);
	}
	for (size_t i = 0; i < sizeof(permitted) / sizeof(permitted[0]); i++) {
		assert_true(permits(desk, permitted[i]));
		assert_true(permits_port(desk, permitted[i], 1));
		assert_false(permits_port(desk, permitted[i], 0));
	}
	struct net_address none = {0};
	assert_false(peer_rules_permit_address(&desk->core->peers, &none));
	desk_close(desk);
}

static void test_allow_and_deny(void **state)
{
	(void)state;
	struct desk *desk =
		desk_open("[turn]\nauth = open\n[peers]\n"
			  "allow = 10.0.0.0/8\nallow = fd00::/8\nallow = 192.168.1.10-192.168.2.3\n"
			  "deny = 10.9.0.0/16\ndeny = 8.8.8.8\ndeny = 2606:4700::/32\n");
	assert_true(permits(desk, "10.1.2.3"));
	assert_true(permits(desk, "fd00::7"));
	assert_true(permits(desk, "192.168.1.200"));
	assert_true(permits(desk, "192.168.2.3"));
	assert_false(permits(desk, "192.168.2.4"));
	assert_false(permits(desk, "192.168.1.9"));
	assert_false(permits(desk, "10.9.1.1")); // deny wins
	assert_false(permits(desk, "8.8.8.8"));
	assert_false(permits(desk, "2606:4700::1"));
	assert_true(permits(desk, "8.8.4.4"));
	assert_false(permits(desk, "172.16.0.1"));
	// Denied in every form; an exception holds for the form it is written in.
	assert_false(permits(desk, "::ffff:8.8.8.8"));
	assert_false(permits(desk, "64:ff9b::8.8.8.8"));
	assert_false(permits(desk, "2002:808:808::1"));
	assert_false(permits(desk, "::ffff:10.9.1.1"));
	assert_false(permits(desk, "::ffff:10.1.2.3"));
	desk_close(desk);

	// An exception for a translator's prefix is none for what lies behind it.
	desk = desk_open("[turn]\nauth = open\n[peers]\nallow = 64:ff9b::/96\n");
	assert_true(permits(desk, "64:ff9b::8.8.8.8"));
	assert_false(permits(desk, "64:ff9b::10.1.2.3"));
	assert_false(permits(desk, "64:ff9b::127.0.0.1"));
	desk_close(desk);
	desk = desk_open(
		"[turn]\nauth = open\n[peers]\nallow = 64:ff9b::/96\nallow = 10.0.0.0/8\n");
	assert_true(permits(desk, "64:ff9b::10.1.2.3"));
	desk_close(desk);
}

static void test_own_addresses(void **state)
{
	(void)state;
	struct desk *desk = desk_open(DUAL
		"relay-ports = 50000-50100\n[turn]\nauth = open\n[peers]\ndeny = 192.0.0.77\n");
	assert_true(permits(desk, "198.51.100.1")); // documentation range, but ours
	assert_true(permits_port(desk, "198.51.100.1", 50000));
	assert_true(permits_port(desk, "2001:4860::1", 50100));
	assert_false(permits_port(desk, "198.51.100.1", 49999));
	assert_false(permits_port(desk, "198.51.100.1", 50101));
	assert_false(permits_port(desk, "198.51.100.1", 3478));
	assert_false(permits_port(desk, "2001:4860::1", 22));
	assert_false(permits(desk, "192.0.0.77")); // a rule of the operator
	assert_false(permits(desk, "::ffff:198.51.100.1"));
	assert_false(permits_port(desk, "::ffff:198.51.100.1", 50000));

	// Other addresses of this host, although global.
	struct net_address local[2] = {desk_address("9.9.9.9"), desk_address("2620:fe::fe")};
	assert_true(permits(desk, "9.9.9.9"));
	turn_core_local_addresses(desk->core, local, 2);
	assert_false(permits(desk, "9.9.9.9"));
	assert_false(permits(desk, "::ffff:9.9.9.9"));
	assert_false(permits(desk, "2620:fe::fe"));
	assert_true(permits(desk, "198.51.100.1"));
	turn_core_local_addresses(desk->core, local + 1, 1);
	assert_true(permits(desk, "9.9.9.9"));
	turn_core_local_addresses(desk->core, NULL, 0);
	assert_true(permits(desk, "2620:fe::fe"));
	// The relay's own address stays reachable when the host lists it among its own.
	local[0] = desk_address("198.51.100.1");
	turn_core_local_addresses(desk->core, local, 1);
	assert_true(permits_port(desk, "198.51.100.1", 50000));
	desk_close(desk);
}

typedef void embed(struct net_address *out, const uint8_t v4[4]);

static void mapped(struct net_address *out, const uint8_t v4[4])
{
	memset(out->bytes + 10, 0xff, 2);
	memcpy(out->bytes + 12, v4, 4);
}

static void compatible(struct net_address *out, const uint8_t v4[4])
{
	memcpy(out->bytes + 12, v4, 4);
}

static void nat64(struct net_address *out, const uint8_t v4[4])
{
	memcpy(out->bytes, "\x00\x64\xff\x9b", 4);
	memcpy(out->bytes + 12, v4, 4);
}

static void six_to_four(struct net_address *out, const uint8_t v4[4])
{
	memcpy(out->bytes, "\x20\x02", 2);
	memcpy(out->bytes + 2, v4, 4);
	out->bytes[15] = 1;
}

static void isatap(struct net_address *out, const uint8_t v4[4])
{
	memcpy(out->bytes, "\x26\x06\x47\x00", 4);
	memcpy(out->bytes + 8, "\x00\x00\x5e\xfe", 4);
	memcpy(out->bytes + 12, v4, 4);
}

// No embedding of an address is permitted that the address itself is not.
static void test_embeddings(void **state)
{
	(void)state;
	struct desk *desk =
		desk_open("[turn]\nauth = open\n[peers]\n"
			  "allow = 10.0.0.0/8\ndeny = 8.0.0.0/7\ndeny = 10.128.0.0/9\n");
	struct net_address local = desk_address("1.1.1.1");
	turn_core_local_addresses(desk->core, &local, 1);
	static embed *const embeddings[] = {mapped, compatible, nat64, six_to_four, isatap};
	unsigned forbidden = 0;
	for (unsigned i = 0; i < 20000; i++) {
		uint8_t v4[4];
		randombytes_buf(v4, 4);
		if (i % 4 == 0)
			v4[0] = 10;
		if (i % 4 == 1)
			v4[0] = 8;
		if (i % 64 == 2)
			memset(v4, 1, 4);
		struct net_address plain = net_address_v4(v4);
		if (peer_rules_permit_address(&desk->core->peers, &plain))
			continue;
		forbidden++;
		for (unsigned e = 0; e < sizeof(embeddings) / sizeof(embeddings[0]); e++) {
			struct net_address embedded = {.family = NET_IPV6};
			embeddings[e](&embedded, v4);
			assert_false(peer_rules_permit_address(&desk->core->peers, &embedded));
			struct net_endpoint endpoint = {.address = embedded, .port = 50000};
			assert_false(peer_rules_permit_endpoint(&desk->core->peers, &endpoint));
		}
	}
	assert_true(forbidden > 5000);
	desk_close(desk);
}

// The same rule stands at both doors.
static void test_both_doors(void **state)
{
	(void)state;
	struct desk *desk = desk_open(DUAL "[turn]\nauth = open\n[peers]\nallow = 10.0.0.0/8\n");
	static const struct {
		const char *peer;
		uint16_t port;
		unsigned permission, channel;
	} cases[] = {
		{"169.254.169.254", 80, 403, 403},
		{"127.0.0.1", 22, 403, 403},
		{"0.0.0.0", 22, 403, 403},
		{"::1", 22, 403, 403},
		{"::ffff:127.0.0.1", 22, 403, 403},
		{"64:ff9b::a9fe:a9fe", 80, 403, 403},
		{"10.0.0.1", 5000, 0, 0},
		{"198.51.100.1", 3478, 0, 403},
		{"198.51.100.1", 60000, 0, 0},
		{"8.8.8.8", 53, 0, 0},
	};
	stun_add_u32(desk_allocate(desk), STUN_ADDITIONAL_ADDRESS_FAMILY, 2u << 24);
	desk_succeed(desk);
	desk_adopt(desk);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct net_endpoint peer = desk_endpoint(cases[i].peer, cases[i].port);
		stun_add_xor_address(
			desk_request(desk, STUN_CREATE_PERMISSION), STUN_XOR_PEER_ADDRESS, &peer);
		if (cases[i].permission == 0)
			desk_succeed(desk);
		else
			desk_refuse(desk, cases[i].permission);
		stun_add_u32(
			desk_request(desk, STUN_CHANNEL_BIND), STUN_CHANNEL_NUMBER, 0x40000000);
		stun_add_xor_address(&desk->builder, STUN_XOR_PEER_ADDRESS, &peer);
		if (cases[i].channel == 0)
			desk_succeed(desk);
		else
			desk_refuse(desk, cases[i].channel);
	}
	desk_close(desk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_allow_and_deny),
		cmocka_unit_test(test_own_addresses),
		cmocka_unit_test(test_embeddings),
		cmocka_unit_test(test_both_doors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
