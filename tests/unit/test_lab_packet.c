// SPDX-License-Identifier: BSD-3-Clause
// Addresses of packets as the wire program's NAT reads and changes them: both checksums are right
// afterwards when they were before, and wrong when they were wrong; what is no whole UDP is
// refused.
#include "tests/lab/packet.h"

#include "lib/wire/checksum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { SIZE = 300 };

static struct net_endpoint endpoint(unsigned family, uint8_t last, unsigned port)
{
	uint8_t bytes[16] = {family == NET_IPV4 ? 192 : 0x2a, 0, 2, last, [15] = last};
	return (struct net_endpoint){
		.address = family == NET_IPV4 ? net_address_v4(bytes) : net_address_v6(bytes),
		.port = (uint16_t)port};
}

static void store16(uint8_t *p, size_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

// Sum over pseudo header and datagram; 0 when the checksum in it is right.
static uint16_t udp_sum(const uint8_t *packet, size_t size)
{
	bool ipv4 = packet[0] >> 4 == 4;
	size_t header = ipv4 ? (packet[0] & 15u) * 4u : 40;
	uint8_t rest[4] = {0, 17};
	store16(rest + 2, size - header);
	return (uint16_t)~checksum_fold(checksum_sum(packet + (ipv4 ? 12 : 8), ipv4 ? 8 : 32) +
					checksum_sum(rest, 4) +
					checksum_sum(packet + header, size - header));
}

static uint16_t header_sum(const uint8_t *packet)
{
	return (uint16_t)~checksum_fold(checksum_sum(packet, (packet[0] & 15u) * 4u));
}

// A packet with that many 4-byte words of IPv4 options. Returns its size.
static size_t build(uint8_t packet[SIZE], unsigned family, size_t options, size_t payload)
{
	size_t header = family == NET_IPV4 ? 20 + 4 * options : 40, size = header + 8 + payload;
	memset(packet, 0, SIZE);
	struct net_endpoint source = endpoint(family, 1, 1001), to = endpoint(family, 2, 2002);
	if (family == NET_IPV4) {
		packet[0] = (uint8_t)(0x40 | header / 4);
		store16(packet + 2, size);
		packet[8] = 64;
		packet[9] = 17;
		memset(packet + 20, 1, 4 * options);
		memcpy(packet + 12, source.address.bytes, 4);
		memcpy(packet + 16, to.address.bytes, 4);
		uint16_t sum = header_sum(packet);
		memcpy(packet + 10, &sum, 2);
	} else {
		packet[0] = 0x60;
		store16(packet + 4, size - header);
		packet[6] = 17;
		packet[7] = 64;
		memcpy(packet + 8, source.address.bytes, 16);
		memcpy(packet + 24, to.address.bytes, 16);
	}
	store16(packet + header, source.port);
	store16(packet + header + 2, to.port);
	store16(packet + header + 4, size - header);
	for (size_t i = 0; i < payload; i++)
		packet[header + 8 + i] = (uint8_t)(31 * i + payload);
	uint16_t sum = udp_sum(packet, size);
	sum = sum == 0 ? 0xFFFF : sum;
	memcpy(packet + header + 6, &sum, 2);
	return size;
}

static void both_checksums_follow(void **state)
{
	(void)state;
	uint8_t packet[SIZE];
	for (unsigned n = 0; n < 400; n++) {
		unsigned family = n % 2 ? NET_IPV4 : NET_IPV6;
		size_t size = build(packet, family, n % 5, n % 100);
		struct net_endpoint source, to, now_source, now_to;
		assert_true(packet_endpoints(packet, size, &source, &to));
		struct net_endpoint was = endpoint(family, 1, 1001);
		assert_true(net_endpoint_equal(&source, &was));
		now_source = endpoint(family, (uint8_t)(n + 3), 163 * n);
		now_to = n % 3 ? to : endpoint(family, 77, 65535 - n);
		packet_rewrite(packet, size, &now_source, &now_to);
		assert_true(packet_endpoints(packet, size, &source, &to));
		assert_true(net_endpoint_equal(&source, &now_source));
		assert_true(net_endpoint_equal(&to, &now_to));
		assert_int_equal(udp_sum(packet, size), 0);
		assert_true(family == NET_IPV6 || header_sum(packet) == 0);
		assert_true(packet_forward(packet));
		assert_int_equal(packet[family == NET_IPV4 ? 8 : 7], 63);
		assert_true(family == NET_IPV6 || header_sum(packet) == 0);
	}
}

static void wrong_stays_wrong_and_none_stays_none(void **state)
{
	(void)state;
	uint8_t packet[SIZE];
	struct net_endpoint source = endpoint(NET_IPV4, 9, 9), to = endpoint(NET_IPV4, 8, 8);
	size_t size = build(packet, NET_IPV4, 0, 10);
	packet[30] ^= 4;
	packet_rewrite(packet, size, &source, &to);
	assert_int_not_equal(udp_sum(packet, size), 0);
	size = build(packet, NET_IPV4, 0, 10);
	store16(packet + 26, 0);
	packet_rewrite(packet, size, &source, &to);
	assert_int_equal(packet[26] | packet[27], 0);
	assert_int_equal(header_sum(packet), 0);
}

// Whatever checksum it comes to, 0 means none: every value of a port passes by it.
static void never_becomes_none(void **state)
{
	(void)state;
	uint8_t packet[SIZE];
	unsigned ones = 0;
	for (unsigned port = 0; port < 65536; port++) {
		struct net_endpoint source = endpoint(NET_IPV4, 1, port),
				    to = endpoint(NET_IPV4, 2, 2002);
		size_t size = build(packet, NET_IPV4, 0, 2);
		packet_rewrite(packet, size, &source, &to);
		assert_int_not_equal(packet[26] << 8 | packet[27], 0);
		ones += packet[26] == 0xFF && packet[27] == 0xFF;
		assert_int_equal(udp_sum(packet, size), 0);
	}
	assert_true(ones > 0);
}

static void hops_end(void **state)
{
	(void)state;
	uint8_t packet[SIZE];
	build(packet, NET_IPV4, 0, 4);
	for (unsigned left = 64; left > 1; left--)
		assert_true(packet_forward(packet));
	assert_false(packet_forward(packet));
	build(packet, NET_IPV6, 0, 4);
	packet[7] = 1;
	assert_false(packet_forward(packet));
}

static bool accepted(const uint8_t *packet, size_t size)
{
	struct net_endpoint source, to;
	// A copy of exactly that size, for the sanitizers to watch.
	uint8_t *copy = malloc(size ? size : 1);
	memcpy(copy, packet, size);
	bool yes = packet_endpoints(copy, size, &source, &to);
	free(copy);
	return yes;
}

static void refuses_what_is_no_whole_udp(void **state)
{
	(void)state;
	uint8_t packet[SIZE];
	for (unsigned family = NET_IPV4; family <= NET_IPV6; family += 2) {
		size_t size = build(packet, family, 2, 20), header = family == NET_IPV4 ? 28 : 40;
		assert_true(accepted(packet, size));
		for (size_t shorter = 0; shorter < size; shorter++)
			assert_false(accepted(packet, shorter));
		assert_false(accepted(packet, size + 1));
		// Another protocol, a wrong length of UDP, versions that are none.
		static const uint8_t versions[] = {0x05, 0x55, 0x75, 0xF5};
		for (unsigned i = 0; i < sizeof(versions); i++) {
			build(packet, family, 2, 20);
			packet[0] = versions[i];
			assert_false(accepted(packet, size));
		}
		build(packet, family, 2, 20);
		packet[family == NET_IPV4 ? 9 : 6] = 6;
		assert_false(accepted(packet, size));
		build(packet, family, 2, 20);
		store16(packet + header + 4, 27);
		assert_false(accepted(packet, size));
	}
	// Fragments, the first and the others; do-not-fragment is none.
	size_t size = build(packet, NET_IPV4, 0, 20);
	packet[6] = 0x20;
	assert_false(accepted(packet, size));
	packet[6] = 0x00;
	packet[7] = 1;
	assert_false(accepted(packet, size));
	packet[6] = 0x40;
	packet[7] = 0;
	assert_true(accepted(packet, size));
	// A header that is shorter than any, and one that is longer than the packet.
	packet[0] = 0x44;
	assert_false(accepted(packet, size));
	size = build(packet, NET_IPV4, 0, 0);
	packet[0] = 0x4F;
	assert_false(accepted(packet, size));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_checksums_follow),
		cmocka_unit_test(wrong_stays_wrong_and_none_stays_none),
		cmocka_unit_test(never_becomes_none),
		cmocka_unit_test(hops_end),
		cmocka_unit_test(refuses_what_is_no_whole_udp),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
