// SPDX-License-Identifier: BSD-3-Clause
// ICMP: errors about relayed datagrams become Data indications (RFC 8656 11.5), forged or foreign
// ones become nothing; packets that do not fit are cut or answered with an ICMP error of ours.
#include "tests/unit/relay_world.h"

static const char *const router[2] = {"198.51.100.254", "2001:db8:e::1"};

// An ICMP error from `from` to `to`, quoting a datagram quoted_from -> quoted_to.
struct error {
	const char *from;
	struct net_address to;
	struct net_endpoint quoted_from, quoted_to;
	uint8_t type, code, quoted_protocol;
	uint32_t rest;
	uint8_t ttl;           // 0: 60
	unsigned quoted_bytes; // behind the quoted IP header
	bool damaged;
};

static unsigned ip_header(uint8_t *p, const struct net_address *from, const struct net_address *to,
	uint8_t protocol, unsigned payload)
{
	if (from->family == NET_IPV4) {
		memset(p, 0, 20);
		p[0] = 0x45;
		p[2] = (uint8_t)((20 + payload) >> 8);
		p[3] = (uint8_t)(20 + payload);
		p[8] = 60;
		p[9] = protocol;
		memcpy(p + 12, from->bytes, 4);
		memcpy(p + 16, to->bytes, 4);
		uint16_t sum = (uint16_t)~checksum_fold(checksum_sum(p, 20));
		memcpy(p + 10, &sum, 2);
		return 20;
	}
	memset(p, 0, 40);
	p[0] = 0x60;
	p[4] = (uint8_t)(payload >> 8);
	p[5] = (uint8_t)payload;
	p[6] = protocol;
	p[7] = 60;
	memcpy(p + 8, from->bytes, 16);
	memcpy(p + 24, to->bytes, 16);
	return 40;
}

static void run_error(const struct error *e)
{
	uint8_t frame[256] = {0};
	struct net_address from = address(e->from);
	bool v4 = from.family == NET_IPV4;
	memcpy(frame, world_mac, 6);
	memcpy(frame + 6, world_gateway_mac, 6);
	frame[12] = v4 ? 0x08 : 0x86;
	frame[13] = v4 ? 0x00 : 0xDD;
	unsigned quoted_ip = v4 ? 20 : 40;
	unsigned icmp_length = 8 + quoted_ip + e->quoted_bytes;
	unsigned l4 = 14 + ip_header(frame + 14, &from, &e->to, v4 ? 1 : 58, icmp_length);
	uint8_t *icmp = frame + l4;
	if (e->ttl && v4) {
		frame[14 + 8] = e->ttl;
		memset(frame + 14 + 10, 0, 2);
		uint16_t sum = (uint16_t)~checksum_fold(checksum_sum(frame + 14, 20));
		memcpy(frame + 14 + 10, &sum, 2);
	} else if (e->ttl) {
		frame[14 + 7] = e->ttl;
	}
	icmp[0] = e->type;
	icmp[1] = e->code;
	uint32_t rest = htonl(e->rest);
	memcpy(icmp + 4, &rest, 4);
	ip_header(icmp + 8, &e->quoted_from.address, &e->quoted_to.address,
		e->quoted_protocol ? e->quoted_protocol : 17, 500);
	uint16_t ports[2] = {htons(e->quoted_from.port), htons(e->quoted_to.port)};
	memcpy(icmp + 8 + quoted_ip, ports, e->quoted_bytes < 4 ? e->quoted_bytes : 4);
	uint64_t sum = checksum_sum(icmp, icmp_length);
	if (!v4)
		sum += checksum_sum(frame + 14 + 8, 32) + htons(58) + htons((uint16_t)icmp_length);
	uint16_t checksum = (uint16_t)~checksum_fold(sum);
	if (e->damaged)
		checksum = (uint16_t)(checksum + 1);
	memcpy(icmp + 2, &checksum, 2);
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(world.pool);
	memcpy(rte_pktmbuf_append(mbuf, (uint16_t)(l4 + icmp_length)), frame, l4 + icmp_length);
	run_on(0, mbuf);
}

static void open_permitted(unsigned c, unsigned p)
{
	world_open();
	assert_int_equal(install_allocation_for(0, c, 1), 0);
	assert_int_equal(install_permission(0, 1, world_peer[p]), 0);
	world_clear();
}

static struct error error_about(unsigned p, uint8_t type, uint8_t code)
{
	return (struct error){
		.from = router[p],
		.to = address(world_server[p]),
		.quoted_from = relayed_of_id(p, 1),
		.quoted_to = endpoint(world_peer[p], 5000),
		.type = type,
		.code = code,
		.quoted_bytes = 8,
	};
}

static void becomes_an_indication(void **state)
{
	(void)state;
	static const struct {
		unsigned family;
		uint8_t type, code;
		uint32_t rest, data;
	} cases[] = {
		{0, 3, 3, 0xDEADBEEF, 0},
		{0, 3, 4, 0xABCD0578, 0x0578},
		{0, 11, 0, 7, 0},
		{1, 1, 4, 9, 0},
		{1, 2, 0, 1280, 1280},
		{1, 3, 0, 9, 0},
	};
	for (unsigned c = 0; c < 2; c++) {
		for (unsigned i = 0; i < RTE_DIM(cases); i++) {
			unsigned p = cases[i].family;
			open_permitted(c, p);
			struct error e = error_about(p, cases[i].type, cases[i].code);
			e.rest = cases[i].rest;
			run_error(&e);
			struct seen s = seen_one();
			struct net_endpoint to = endpoint(world_client[c], 40000);
			assert_endpoint(&s.destination, &to);
			assert_int_equal(s.checksum, SEEN_RIGHT);
			struct stun_message m;
			struct stun_attribute a;
			struct net_endpoint peer;
			assert_int_equal(stun_parse(s.payload, s.h.payload_length, &m), 0);
			assert_int_equal(m.method, STUN_DATA);
			assert_int_equal(m.class, STUN_INDICATION);
			assert_true(stun_find(&m, STUN_XOR_PEER_ADDRESS, &a));
			assert_int_equal(stun_read_xor_address(&m, &a, &peer), 0);
			assert_endpoint(&peer, &e.quoted_to);
			assert_true(stun_find(&m, STUN_ICMP, &a));
			assert_int_equal(a.length, 8);
			assert_int_equal(a.value[0] | a.value[1], 0);
			assert_int_equal(
				a.value[2] << 8 | a.value[3], cases[i].type << 9 | cases[i].code);
			uint32_t data;
			memcpy(&data, a.value + 4, 4);
			assert_int_equal(ntohl(data), cases[i].data);
			assert_false(stun_find(&m, STUN_DATA_ATTRIBUTE, &a));
			assert_int_equal(world.workers[0].stats.event[EVENT_icmp_relayed], 1);
			world_close();
		}
	}
}

// An error may arrive with its last hop: it is for us. And whatever becomes of it, no ICMP about
// ICMP.
static void on_its_last_hop(void **state)
{
	(void)state;
	for (unsigned p = 0; p < 2; p++) {
		open_permitted(1, p);
		struct error e = error_about(p, p ? 1 : 3, 3);
		e.ttl = 1;
		run_error(&e);
		assert_int_equal(seen_one().h.ttl, 64);
		world_clear();
		world_link(0, 60, true);
		run_error(&e);
		assert_dropped(too_big);
		world_close();
	}
}

static void foreign_ones_do_not(void **state)
{
	(void)state;
	for (unsigned p = 0; p < 2; p++) {
		open_permitted(0, p);
		struct error good = error_about(p, p ? 1 : 3, 3), e = good;
		e.damaged = true;
		run_error(&e);
		assert_dropped(bad_checksum);
		e = good;
		e.quoted_to = endpoint(p ? "2001:db8:d::21" : "203.0.113.21", 5000);
		run_error(&e);
		assert_dropped(no_permission);
		e = good;
		e.quoted_from.port = 60000;
		run_error(&e);
		assert_dropped(no_allocation);
		// About our replies, about somebody else's packets, about TCP, too short to tell.
		e = good;
		e.quoted_from.port = 3478;
		run_error(&e);
		assert_dropped(icmp_unmatched);
		e = good;
		e.quoted_from = endpoint(world_peer[p], 50002);
		run_error(&e);
		assert_dropped(icmp_unmatched);
		e = good;
		e.quoted_protocol = 6;
		run_error(&e);
		assert_dropped(icmp_unmatched);
		e = good;
		e.quoted_bytes = 3;
		run_error(&e);
		assert_dropped(icmp_unmatched);
		// RFC 8656 11.5 knows no parameter problem.
		e = good;
		e.type = p ? 4 : 12;
		run_error(&e);
		assert_dropped(icmp_unmatched);
		world_close();
	}
}

static uint8_t big[1490];

static struct frame big_frame(unsigned c, unsigned length)
{
	channel_data_write_header(big, 0x4001, (uint16_t)(length - 4));
	for (unsigned i = 4; i < sizeof(big); i++)
		big[i] = (uint8_t)(i * 7);
	return (struct frame){
		.source = endpoint(world_client[c], 40000),
		.destination = endpoint(world_server[c], 3478),
		.payload = big,
		.length = (uint16_t)length,
	};
}

static void open_channel(unsigned c, unsigned p)
{
	world_open();
	assert_int_equal(install_allocation_for(0, c, 1), 0);
	assert_int_equal(install_channel(0, 1, 0x4001, world_peer[p], 5000), 0);
	world_clear();
}

static void too_big_with_df(void **state)
{
	(void)state;
	open_channel(0, 0);
	world_link(0, 1000, true);
	struct frame f = big_frame(0, 1404);
	f.dont_fragment = true;
	run(&f);
	assert_int_equal(world.workers[0].stats.drop[DROP_too_big], 1);
	assert_int_equal(world.frame_count, 1);
	const uint8_t *ip = world.frames[0].bytes + 14;
	unsigned length = world.frames[0].length - 14;
	assert_int_equal(length, 576);
	assert_int_equal(ip[9], 1);
	assert_memory_equal(ip + 12, f.destination.address.bytes, 4);
	assert_memory_equal(ip + 16, f.source.address.bytes, 4);
	assert_int_equal(ip[20], 3);
	assert_int_equal(ip[21], 4);
	// A packet to the peer is 4 bytes shorter than what the client sends.
	assert_int_equal(ip[26] << 8 | ip[27], 1004);
	assert_int_equal(checksum_fold(checksum_sum(ip + 20, length - 20)), 0xFFFF);
	// The quoted packet is the client's own.
	assert_memory_equal(ip + 28 + 12, f.source.address.bytes, 4);
	world_close();
}

static void too_big_for_ipv6(void **state)
{
	(void)state;
	open_channel(1, 1);
	world_link(0, 1300, true);
	struct frame f = big_frame(1, 1404);
	run(&f);
	assert_int_equal(world.workers[0].stats.drop[DROP_too_big], 1);
	assert_int_equal(world.frame_count, 1);
	const uint8_t *ip = world.frames[0].bytes + 14;
	unsigned length = world.frames[0].length - 14;
	assert_int_equal(length, 1280);
	assert_int_equal(ip[6], 58);
	assert_int_equal(ip[40], 2);
	assert_int_equal(ip[46] << 8 | ip[47], 1304);
	uint64_t sum = checksum_sum(ip + 8, 32) + htons(58) + htons((uint16_t)(length - 40)) +
		       checksum_sum(ip + 40, length - 40);
	assert_int_equal(checksum_fold(sum), 0xFFFF);
	world_close();
}

// What an IPv4 peer sends grows into a Data indication and is then cut; put together again it is
// whole, checksum included.
static void cut_without_df(void **state)
{
	(void)state;
	open_channel(0, 0);
	world_link(0, 700, true);
	struct frame f = big_frame(0, 1484);
	run(&f);
	assert_int_equal(world.frame_count, 3);
	uint8_t whole[2048];
	unsigned total = 0;
	for (unsigned i = 0; i < 3; i++) {
		const uint8_t *ip = world.frames[i].bytes + 14;
		unsigned length = (unsigned)ip[2] << 8 | ip[3];
		unsigned offset = ((unsigned)ip[6] << 8 | ip[7]) & 0x1FFF;
		assert_true(length <= 700);
		assert_int_equal(world.frames[i].length, 14 + length);
		assert_int_equal(checksum_fold(checksum_sum(ip, 20)), 0xFFFF);
		assert_int_equal((ip[6] & 0x20) != 0, i < 2);
		assert_int_equal(offset * 8, total);
		assert_memory_equal(ip + 4, world.frames[0].bytes + 18, 2);
		memcpy(whole + total, ip + 20, length - 20);
		total += length - 20;
	}
	assert_int_equal(total, 8 + 1480);
	assert_memory_equal(whole + 8, big + 4, 1480);
	const uint8_t *ip = world.frames[0].bytes + 14;
	uint64_t sum = checksum_sum(ip + 12, 8) + htons(17) + htons((uint16_t)total) +
		       checksum_sum(whole, total);
	assert_int_equal(checksum_fold(sum), 0xFFFF);
	world_close();
}

static void errors_have_a_budget(void **state)
{
	(void)state;
	open_channel(0, 0);
	world_link(0, 1000, true);
	struct frame f = big_frame(0, 1404);
	f.dont_fragment = true;
	uint64_t bytes = 0;
	for (unsigned i = 0; i < 2000; i++) {
		run(&f);
		if (world.frame_count)
			bytes += world.frames[0].length - 14;
		world.frame_count = 0;
	}
	assert_true(bytes > 0 && bytes <= GUARD_REPLY_BYTES);
	assert_int_equal(world.workers[0].stats.drop[DROP_too_big], 2000);
	world_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(becomes_an_indication),
		cmocka_unit_test(on_its_last_hop),
		cmocka_unit_test(foreign_ones_do_not),
		cmocka_unit_test(too_big_with_df),
		cmocka_unit_test(too_big_for_ipv6),
		cmocka_unit_test(cut_without_df),
		cmocka_unit_test(errors_have_a_budget),
	};
	return cmocka_run_group_tests(tests, world_setup, NULL);
}
