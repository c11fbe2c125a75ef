// SPDX-License-Identifier: BSD-3-Clause
// The header parser on frames built here: both families, tags, and each reason why a frame is not a
// plain UDP datagram. Frames are handed over in copies of their exact size, so that a sanitizer
// sees any read behind them.
#include "lib/wire/headers.h"

#include "lib/wire/checksum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PAYLOAD = 24 };

// A frame under construction; l3 and l4 are where the layers start.
struct frame {
	uint8_t bytes[256];
	size_t length, l3, l4;
};

static void put16(uint8_t *p, unsigned value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static void ipv4_checksum_set(struct frame *f)
{
	uint8_t *p = f->bytes + f->l3;
	put16(p + 10, 0);
	uint16_t sum = (uint16_t)~checksum_fold(checksum_sum(p, (p[0] & 15u) * 4u));
	memcpy(p + 10, &sum, 2);
}

// tags: outermost first, as TPID << 16 | TCI.
static struct frame ethernet(unsigned ethertype, const uint32_t *tags, size_t n)
{
	struct frame f = {.length = 12};
	memset(f.bytes, 0xE7, 12);
	for (size_t i = 0; i < n; i++) {
		put16(f.bytes + f.length, tags[i] >> 16);
		put16(f.bytes + f.length + 2, tags[i] & 0xFFFF);
		f.length += 4;
	}
	put16(f.bytes + f.length, ethertype);
	f.length += 2;
	f.l3 = f.length;
	return f;
}

static void append_l4(struct frame *f, unsigned length)
{
	f->l4 = f->length;
	uint8_t *p = f->bytes + f->l4;
	put16(p, 40000);
	put16(p + 2, 3478);
	put16(p + 4, length);
	put16(p + 6, 0xBEEF);
	memset(p + 8, 0xAB, length - 8);
	f->length += length;
}

static struct frame ipv4_tagged(const uint32_t *tags, size_t n)
{
	struct frame f = ethernet(HEADERS_ETHERTYPE_IPV4, tags, n);
	uint8_t *p = f.bytes + f.l3;
	p[0] = 0x45;
	p[1] = 0xB9;
	put16(p + 2, 20 + 8 + PAYLOAD);
	put16(p + 4, 0x1234);
	put16(p + 6, 0x4000);
	p[8] = 63;
	p[9] = 17;
	memcpy(p + 12, "\x0b\x00\x00\x01\x0b\x00\x00\x02", 8);
	f.length += 20;
	append_l4(&f, 8 + PAYLOAD);
	ipv4_checksum_set(&f);
	return f;
}

static struct frame ipv4(void)
{
	return ipv4_tagged(NULL, 0);
}

static struct frame ipv6_tagged(const uint32_t *tags, size_t n)
{
	struct frame f = ethernet(HEADERS_ETHERTYPE_IPV6, tags, n);
	uint8_t *p = f.bytes + f.l3;
	memcpy(p, "\x6B\x9A\xBC\xDE", 4);
	put16(p + 4, 8 + PAYLOAD);
	p[6] = 17;
	p[7] = 62;
	for (unsigned i = 8; i < 40; i++)
		p[i] = (uint8_t)i;
	f.length += 40;
	append_l4(&f, 8 + PAYLOAD);
	return f;
}

static struct frame ipv6(void)
{
	return ipv6_tagged(NULL, 0);
}

static enum headers_verdict parse_first(const struct frame *f, size_t length, struct headers *out)
{
	uint8_t *copy = malloc(length ? length : 1);
	memcpy(copy, f->bytes, length);
	memset(out, 0x5A, sizeof(*out));
	enum headers_verdict verdict = headers_parse(copy, length, out);
	// The pointers are into the copy: move them over to the frame that stays.
	if (out->source)
		out->source = f->bytes + (out->source - copy);
	if (out->destination)
		out->destination = f->bytes + (out->destination - copy);
	free(copy);
	return verdict;
}

static enum headers_verdict parse(const struct frame *f, struct headers *out)
{
	return parse_first(f, f->length, out);
}

static void assert_verdict(const struct frame *f, enum headers_verdict expected)
{
	struct headers h;
	assert_int_equal(parse(f, &h), expected);
}

static void assert_udp(const struct frame *f, const struct headers *h)
{
	assert_int_equal(h->l3_offset, f->l3);
	assert_int_equal(h->l4_offset, f->l4);
	assert_int_equal(h->payload_offset, f->l4 + 8);
	assert_int_equal(h->payload_length, PAYLOAD);
	assert_int_equal(h->l4_length, PAYLOAD + 8);
	assert_int_equal(h->source_port, 40000);
	assert_int_equal(h->destination_port, 3478);
}

static void test_ipv4_udp(void **state)
{
	(void)state;
	struct headers h;
	struct frame f = ipv4();
	assert_int_equal(parse(&f, &h), HEADERS_UDP);
	assert_udp(&f, &h);
	assert_int_equal(h.family, NET_IPV4);
	assert_int_equal(h.vlan_count, 0);
	assert_int_equal(h.vlan, 0);
	assert_int_equal(h.ttl, 63);
	assert_int_equal(h.tos, 0xB9);
	assert_int_equal(h.dont_fragment, 1);
	assert_int_equal(h.flow_label, 0);
	assert_ptr_equal(h.source, f.bytes + f.l3 + 12);
	assert_ptr_equal(h.destination, f.bytes + f.l3 + 16);
	put16(f.bytes + f.l3 + 6, 0);
	ipv4_checksum_set(&f);
	assert_int_equal(parse(&f, &h), HEADERS_UDP);
	assert_int_equal(h.dont_fragment, 0);
}

static void test_ipv6_udp(void **state)
{
	(void)state;
	struct headers h;
	struct frame f = ipv6();
	assert_int_equal(parse(&f, &h), HEADERS_UDP);
	assert_udp(&f, &h);
	assert_int_equal(h.family, NET_IPV6);
	assert_int_equal(h.ttl, 62);
	assert_int_equal(h.tos, 0xB9);
	assert_int_equal(h.flow_label, 0xABCDE);
	assert_int_equal(h.dont_fragment, 0);
	assert_ptr_equal(h.source, f.bytes + f.l3 + 8);
	assert_ptr_equal(h.destination, f.bytes + f.l3 + 24);
}

static void test_tags(void **state)
{
	(void)state;
	static const struct {
		uint32_t tags[2];
		size_t n;
		unsigned vlan;
	} rows[] = {
		{{0x8100A064}, 1, 100},               // priority 5, VLAN 100
		{{0x81000FFF}, 1, 0xFFF},             // all VLAN bits
		{{0x8100E000}, 1, 0},                 // priority tag
		{{0x88A80123}, 1, 0x123},             // a service tag alone
		{{0x88A80123, 0x81000456}, 2, 0x123}, // QinQ
		{{0x81000123, 0x81000456}, 2, 0x123}, // stacked 802.1Q
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct headers h;
		struct frame f = ipv4_tagged(rows[i].tags, rows[i].n);
		assert_int_equal(parse(&f, &h), HEADERS_UDP);
		assert_udp(&f, &h);
		assert_int_equal(h.vlan_count, rows[i].n);
		assert_int_equal(h.vlan, rows[i].vlan);
		f = ipv6_tagged(rows[i].tags, rows[i].n);
		assert_int_equal(parse(&f, &h), HEADERS_UDP);
		assert_udp(&f, &h);
		assert_int_equal(h.vlan_count, rows[i].n);
		assert_int_equal(h.vlan, rows[i].vlan);
	}
	static const uint32_t three[] = {0x88A80001, 0x81000002, 0x81000003};
	struct frame f = ipv4_tagged(three, 3);
	assert_verdict(&f, HEADERS_NOT_IP);
}

static void test_not_ip(void **state)
{
	(void)state;
	static const unsigned types[] = {HEADERS_ETHERTYPE_ARP, 0x88CC, 0x05DC, 0, 0x9100, 0xFFFF};
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct frame f = ipv4();
		put16(f.bytes + 12, types[i]);
		assert_verdict(&f, HEADERS_NOT_IP);
	}
	for (unsigned version = 0; version < 16; version++) {
		struct frame f = ipv4();
		f.bytes[f.l3] = (uint8_t)(version << 4 | 5);
		ipv4_checksum_set(&f);
		assert_verdict(&f, version == 4 ? HEADERS_UDP : HEADERS_NOT_IP);
		f = ipv6();
		f.bytes[f.l3] = (uint8_t)(version << 4);
		assert_verdict(&f, version == 6 ? HEADERS_UDP : HEADERS_NOT_IP);
	}
}

static void test_truncation_at_every_offset(void **state)
{
	(void)state;
	static const uint32_t tags[] = {0x88A80001, 0x81000002};
	for (size_t n = 0; n <= 2; n++) {
		const struct frame frames[] = {ipv4_tagged(tags, n), ipv6_tagged(tags, n)};
		for (size_t i = 0; i < 2; i++) {
			struct headers h;
			for (size_t length = 0; length < frames[i].length; length++)
				assert_int_equal(
					parse_first(&frames[i], length, &h), HEADERS_TRUNCATED);
			assert_int_equal(parse(&frames[i], &h), HEADERS_UDP);
		}
	}
}

// Short datagrams are padded to 60 bytes on Ethernet; what is behind the IP packet is no part of
// it.
static void test_ethernet_padding(void **state)
{
	(void)state;
	for (size_t padding = 1; padding <= 46; padding++) {
		struct headers h;
		struct frame f = ipv4();
		f.length += padding;
		assert_int_equal(parse(&f, &h), HEADERS_UDP);
		assert_udp(&f, &h);
		f = ipv6();
		f.length += padding;
		assert_int_equal(parse(&f, &h), HEADERS_UDP);
		assert_udp(&f, &h);
	}
}

static void test_empty_datagram(void **state)
{
	(void)state;
	struct headers h;
	struct frame f = ipv4();
	put16(f.bytes + f.l3 + 2, 28);
	put16(f.bytes + f.l4 + 4, 8);
	ipv4_checksum_set(&f);
	assert_int_equal(parse(&f, &h), HEADERS_UDP);
	assert_int_equal(h.payload_length, 0);
	assert_int_equal(parse_first(&f, f.l4 + 8, &h), HEADERS_UDP);
	f = ipv6();
	put16(f.bytes + f.l3 + 4, 8);
	put16(f.bytes + f.l4 + 4, 8);
	assert_int_equal(parse_first(&f, f.l4 + 8, &h), HEADERS_UDP);
	assert_int_equal(h.payload_length, 0);
}

static void test_bad_checksum(void **state)
{
	(void)state;
	struct headers h;
	struct frame good = ipv4();
	for (unsigned bit = 10 * 8; bit < 20 * 8; bit++) {
		struct frame f = good;
		f.bytes[f.l3 + bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(parse(&f, &h), HEADERS_BAD_CHECKSUM);
	}
	// No bit of the header can flip and leave a datagram to forward.
	for (unsigned bit = 0; bit < 20 * 8; bit++) {
		struct frame f = good;
		f.bytes[f.l3 + bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(parse(&f, &h), HEADERS_UDP);
	}
	// 0 is not the checksum of this header, and no sign of offload either.
	put16(good.bytes + good.l3 + 10, 0);
	assert_verdict(&good, HEADERS_BAD_CHECKSUM);
}

// Headers whose sum without the checksum is 0xFFFF or 0x0001 have the checksums 0x0000 and 0xFFFE.
static void test_checksum_edges(void **state)
{
	(void)state;
	unsigned zeros = 0;
	for (unsigned identification = 0; identification <= 0xFFFF; identification++) {
		struct headers h;
		struct frame f = ipv4();
		put16(f.bytes + f.l3 + 4, identification);
		ipv4_checksum_set(&f);
		zeros += f.bytes[f.l3 + 10] == 0 && f.bytes[f.l3 + 11] == 0;
		assert_int_equal(headers_parse(f.bytes, f.length, &h), HEADERS_UDP);
	}
	assert_true(zeros > 0);
}

static void test_ipv4_fragments(void **state)
{
	(void)state;
	static const struct {
		unsigned field;
		enum headers_verdict verdict;
	} rows[] = {
		{0x0000, HEADERS_UDP},
		{0x4000, HEADERS_UDP},
		{0x2000, HEADERS_FRAGMENT},
		{0x6000, HEADERS_FRAGMENT},
		{0x0001, HEADERS_FRAGMENT},
		{0x1FFF, HEADERS_FRAGMENT},
		{0x1000, HEADERS_FRAGMENT},
		{0x3FFF, HEADERS_FRAGMENT},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct frame f = ipv4();
		put16(f.bytes + f.l3 + 6, rows[i].field);
		ipv4_checksum_set(&f);
		assert_verdict(&f, rows[i].verdict);
		// A later fragment holds no UDP header: its "length" means nothing.
		put16(f.bytes + f.l4 + 4, 0xFFFF);
		if (rows[i].verdict == HEADERS_FRAGMENT)
			assert_verdict(&f, HEADERS_FRAGMENT);
	}
	// Those of other protocols are the kernel's.
	struct frame f = ipv4();
	put16(f.bytes + f.l3 + 6, 0x2000);
	f.bytes[f.l3 + 9] = 50;
	ipv4_checksum_set(&f);
	assert_verdict(&f, HEADERS_NOT_UDP);
}

static void test_ipv4_options(void **state)
{
	(void)state;
	for (unsigned words = 6; words <= 15; words++) {
		struct frame f = ethernet(HEADERS_ETHERTYPE_IPV4, NULL, 0);
		struct frame plain = ipv4();
		uint8_t *p = f.bytes + f.l3;
		memcpy(p, plain.bytes + plain.l3, 20);
		memset(p + 20, 1, (words - 5) * 4);
		p[0] = (uint8_t)(0x40 | words);
		put16(p + 2, words * 4 + 8 + PAYLOAD);
		f.length += words * 4;
		append_l4(&f, 8 + PAYLOAD);
		ipv4_checksum_set(&f);
		assert_verdict(&f, HEADERS_OPTIONS);
		// The checksum covers the options.
		p[21] ^= 0x10;
		assert_verdict(&f, HEADERS_BAD_CHECKSUM);
		for (size_t length = 0; length < f.length; length++) {
			struct headers h;
			assert_int_equal(parse_first(&f, length, &h), HEADERS_TRUNCATED);
		}
	}
}

static void test_ipv4_lengths(void **state)
{
	(void)state;
	for (unsigned words = 0; words < 5; words++) {
		struct frame f = ipv4();
		f.bytes[f.l3] = (uint8_t)(0x40 | words);
		assert_verdict(&f, HEADERS_BAD_LENGTH);
	}
	for (unsigned total = 0; total <= 0xFFFF; total++) {
		struct headers h;
		struct frame f = ipv4();
		put16(f.bytes + f.l3 + 2, total);
		ipv4_checksum_set(&f);
		assert_int_equal(headers_parse(f.bytes, f.length, &h),
			total == 28 + PAYLOAD  ? HEADERS_UDP
			: total > 28 + PAYLOAD ? HEADERS_TRUNCATED
					       : HEADERS_BAD_LENGTH);
	}
}

static void test_ipv6_lengths(void **state)
{
	(void)state;
	for (unsigned payload = 0; payload <= 0xFFFF; payload++) {
		struct headers h;
		struct frame f = ipv6();
		put16(f.bytes + f.l3 + 4, payload);
		assert_int_equal(headers_parse(f.bytes, f.length, &h),
			payload == 8 + PAYLOAD  ? HEADERS_UDP
			: payload > 8 + PAYLOAD ? HEADERS_TRUNCATED
						: HEADERS_BAD_LENGTH);
	}
}

static void test_udp_lengths(void **state)
{
	(void)state;
	for (unsigned length = 0; length <= 0xFFFF; length++) {
		enum headers_verdict expected =
			length == 8 + PAYLOAD ? HEADERS_UDP : HEADERS_BAD_LENGTH;
		struct headers h;
		struct frame f = ipv4();
		put16(f.bytes + f.l4 + 4, length);
		assert_int_equal(headers_parse(f.bytes, f.length, &h), expected);
		f = ipv6();
		put16(f.bytes + f.l4 + 4, length);
		assert_int_equal(headers_parse(f.bytes, f.length, &h), expected);
	}
}

// IP and UDP agree on a datagram that is shorter than its own header, and padding has room for one.
static void test_udp_shorter_than_its_header(void **state)
{
	(void)state;
	for (unsigned length = 0; length <= 8; length++) {
		enum headers_verdict expected = length < 8 ? HEADERS_BAD_LENGTH : HEADERS_UDP;
		struct frame f = ipv4();
		put16(f.bytes + f.l3 + 2, 20 + length);
		put16(f.bytes + f.l4 + 4, length);
		ipv4_checksum_set(&f);
		assert_verdict(&f, expected);
		f = ipv6();
		put16(f.bytes + f.l3 + 4, length);
		put16(f.bytes + f.l4 + 4, length);
		assert_verdict(&f, expected);
	}
}

static void test_ipv4_protocols(void **state)
{
	(void)state;
	for (unsigned protocol = 0; protocol < 256; protocol++) {
		struct frame f = ipv4();
		f.bytes[f.l3 + 9] = (uint8_t)protocol;
		f.bytes[f.l4] = 8; // for ICMP: an echo request
		ipv4_checksum_set(&f);
		assert_verdict(&f, protocol == 17 ? HEADERS_UDP : HEADERS_NOT_UDP);
	}
}

static void test_ipv6_next_headers(void **state)
{
	(void)state;
	static const uint8_t extensions[] = {0, 43, 51, 60, 135, 139, 140};
	for (unsigned next = 0; next < 256; next++) {
		enum headers_verdict expected = HEADERS_NOT_UDP;
		struct frame f = ipv6();
		f.bytes[f.l3 + 6] = (uint8_t)next;
		f.bytes[f.l4] = 128; // for ICMPv6: an echo request
		if (next == 17)
			expected = HEADERS_UDP;
		else if (next == 44)
			expected = HEADERS_FRAGMENT;
		else if (memchr(extensions, (int)next, sizeof(extensions)))
			expected = HEADERS_OPTIONS;
		assert_verdict(&f, expected);
	}
}

static void test_icmp_errors(void **state)
{
	(void)state;
	for (unsigned type = 0; type < 256; type++) {
		struct headers h;
		bool error = type == 3 || type == 11 || type == 12;
		struct frame f = ipv4();
		f.bytes[f.l3 + 9] = 1;
		f.bytes[f.l4] = (uint8_t)type;
		ipv4_checksum_set(&f);
		assert_int_equal(parse(&f, &h), error ? HEADERS_ICMP_ERROR : HEADERS_NOT_UDP);
		if (error) {
			assert_int_equal(h.family, NET_IPV4);
			assert_int_equal(h.l4_offset, f.l4);
			assert_int_equal(h.l4_length, 8 + PAYLOAD);
			assert_ptr_equal(h.source, f.bytes + f.l3 + 12);
		}
		error = type >= 1 && type <= 4;
		f = ipv6();
		f.bytes[f.l3 + 6] = 58;
		f.bytes[f.l4] = (uint8_t)type;
		assert_int_equal(parse(&f, &h), error ? HEADERS_ICMP_ERROR : HEADERS_NOT_UDP);
		if (error) {
			assert_int_equal(h.family, NET_IPV6);
			assert_int_equal(h.l4_offset, f.l4);
			assert_int_equal(h.l4_length, 8 + PAYLOAD);
			assert_ptr_equal(h.destination, f.bytes + f.l3 + 24);
		}
	}
}

static void test_short_icmp_errors(void **state)
{
	(void)state;
	for (unsigned length = 0; length < 12; length++) {
		enum headers_verdict expected = length == 0  ? HEADERS_NOT_UDP
						: length < 8 ? HEADERS_BAD_LENGTH
							     : HEADERS_ICMP_ERROR;
		struct headers h;
		struct frame f = ipv4();
		f.bytes[f.l3 + 9] = 1;
		f.bytes[f.l4] = 3;
		put16(f.bytes + f.l3 + 2, 20 + length);
		ipv4_checksum_set(&f);
		assert_int_equal(parse_first(&f, f.l4 + length, &h), expected);
		f = ipv6();
		f.bytes[f.l3 + 6] = 58;
		f.bytes[f.l4] = 1;
		put16(f.bytes + f.l3 + 4, length);
		assert_int_equal(parse_first(&f, f.l4 + length, &h), expected);
	}
}

static void test_icmp_fragments_are_not_errors_to_relay(void **state)
{
	(void)state;
	struct frame f = ipv4();
	f.bytes[f.l3 + 9] = 1;
	f.bytes[f.l4] = 3;
	put16(f.bytes + f.l3 + 6, 0x2000);
	ipv4_checksum_set(&f);
	assert_verdict(&f, HEADERS_NOT_UDP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ipv4_udp),
		cmocka_unit_test(test_ipv6_udp),
		cmocka_unit_test(test_tags),
		cmocka_unit_test(test_not_ip),
		cmocka_unit_test(test_truncation_at_every_offset),
		cmocka_unit_test(test_ethernet_padding),
		cmocka_unit_test(test_empty_datagram),
		cmocka_unit_test(test_bad_checksum),
		cmocka_unit_test(test_checksum_edges),
		cmocka_unit_test(test_ipv4_fragments),
		cmocka_unit_test(test_ipv4_options),
		cmocka_unit_test(test_ipv4_lengths),
		cmocka_unit_test(test_ipv6_lengths),
		cmocka_unit_test(test_udp_lengths),
		cmocka_unit_test(test_udp_shorter_than_its_header),
		cmocka_unit_test(test_ipv4_protocols),
		cmocka_unit_test(test_ipv6_next_headers),
		cmocka_unit_test(test_icmp_errors),
		cmocka_unit_test(test_short_icmp_errors),
		cmocka_unit_test(test_icmp_fragments_are_not_errors_to_relay),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
