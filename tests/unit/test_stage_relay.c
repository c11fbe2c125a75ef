// SPDX-License-Identifier: BSD-3-Clause
// Relaying in every direction and between both families: addresses, framing, checksums recomputed
// in full, and the IP header fields that RFC 8656 sections 13 and 14 speak of.
#include "tests/unit/relay_world.h"

static const uint8_t voice[171] = {0x80, 0x60, 1, 2, 3, 4, 5, [170] = 0xAB};

// An allocation of a client of family c, channel 0x4001 to the peer of family p.
static void open_channel(unsigned c, unsigned p)
{
	world_open();
	assert_int_equal(install_allocation_for(0, c, 1), 0);
	assert_int_equal(install_channel(0, 1, 0x4001, world_peer[p], 5000), 0);
	world_clear();
}

// ChannelData of `length` bytes of voice, with padding bytes that are not zero.
static struct frame channel_frame(
	unsigned c, uint8_t buffer[static 256], uint16_t length, unsigned padding)
{
	channel_data_write_header(buffer, 0x4001, length);
	memcpy(buffer + 4, voice, length);
	memset(buffer + 4 + length, 0x5A, padding);
	return (struct frame){
		.source = endpoint(world_client[c], 40000),
		.destination = endpoint(world_server[c], 3478),
		.payload = buffer,
		.length = (uint16_t)(4 + length + padding),
	};
}

static struct frame peer_frame(unsigned p, uint16_t length)
{
	return (struct frame){
		.source = endpoint(world_peer[p], 5000),
		.destination = relayed_of_id(p, 1),
		.payload = voice,
		.length = length,
	};
}

static void check_to_peer(unsigned p, uint16_t length, enum seen_checksum checksum)
{
	struct seen s = seen_one();
	struct net_endpoint from = relayed_of_id(p, 1), to = endpoint(world_peer[p], 5000);
	assert_endpoint(&s.source, &from);
	assert_endpoint(&s.destination, &to);
	assert_int_equal(s.h.payload_length, length);
	assert_memory_equal(s.payload, voice, length);
	assert_int_equal(s.checksum, checksum);
	assert_memory_equal(s.frame, world_gateway_mac, 6);
	assert_memory_equal(s.frame + 6, world_mac, 6);
	world_clear();
}

static void check_channel_to_client(unsigned c, uint16_t length, enum seen_checksum checksum)
{
	struct seen s = seen_one();
	struct net_endpoint from = endpoint(world_server[c], 3478);
	struct net_endpoint to = endpoint(world_client[c], 40000);
	assert_endpoint(&s.source, &from);
	assert_endpoint(&s.destination, &to);
	struct channel_data data;
	assert_int_equal(
		channel_data_parse(s.payload, s.h.payload_length, CHANNEL_NUMBER_LAST, &data), 0);
	assert_int_equal(data.channel, 0x4001);
	assert_int_equal(data.length, length);
	assert_int_equal(s.h.payload_length, 4 + length);
	assert_memory_equal(data.payload, voice, length);
	assert_int_equal(s.checksum, checksum);
	world_clear();
}

// Every length around the parities, every amount of padding, every kind of checksum.
static void channel_data_both_ways(void **state)
{
	(void)state;
	static const uint16_t lengths[] = {0, 1, 2, 3, 4, 5, 160, 171};
	for (unsigned c = 0; c < 2; c++) {
		for (unsigned p = 0; p < 2; p++) {
			open_channel(c, p);
			for (unsigned l = 0; l < RTE_DIM(lengths); l++) {
				for (unsigned padding = 0; padding < 4; padding++) {
					uint8_t buffer[256];
					struct frame f =
						channel_frame(c, buffer, lengths[l], padding);
					run(&f);
					check_to_peer(p, lengths[l], SEEN_RIGHT);
					f.checksum = FRAME_PARTIAL;
					run(&f);
					check_to_peer(p, lengths[l], SEEN_RIGHT);
				}
				struct frame f = peer_frame(p, lengths[l]);
				run(&f);
				check_channel_to_client(c, lengths[l], SEEN_RIGHT);
				f.checksum = FRAME_PARTIAL;
				run(&f);
				check_channel_to_client(c, lengths[l], SEEN_RIGHT);
			}
			world_close();
		}
	}
}

// Damage on the way in must still be seen at the far end: an incremental checksum keeps it, and a
// relay that recomputed would launder it.
static void damaged_payload_stays_detectable(void **state)
{
	(void)state;
	open_channel(0, 0);
	uint8_t buffer[256];
	struct frame f = channel_frame(0, buffer, 160, 0);
	f.checksum = FRAME_WRONG;
	run(&f);
	check_to_peer(0, 160, SEEN_WRONG);
	f = peer_frame(0, 160);
	f.checksum = FRAME_WRONG;
	run(&f);
	check_channel_to_client(0, 160, SEEN_WRONG);
	world_close();
}

static void absent_checksum(void **state)
{
	(void)state;
	for (unsigned p = 0; p < 2; p++) {
		open_channel(0, p);
		uint8_t buffer[256];
		struct frame f = channel_frame(0, buffer, 160, 0);
		f.checksum = FRAME_ABSENT;
		run(&f);
		check_to_peer(p, 160, p == 0 ? SEEN_ABSENT : SEEN_RIGHT);
		world_close();
	}
	// An IPv6 client may not leave it out, whomever it sends to.
	for (unsigned p = 0; p < 2; p++) {
		open_channel(1, p);
		uint8_t buffer[256];
		struct frame f = channel_frame(1, buffer, 160, 0);
		f.checksum = FRAME_ABSENT;
		run(&f);
		assert_dropped(bad_checksum);
		world_close();
	}
	// From an IPv4 peer to an IPv6 client it is computed; an IPv6 peer may not leave it out.
	open_channel(1, 0);
	struct frame f = peer_frame(0, 160);
	f.checksum = FRAME_ABSENT;
	run(&f);
	check_channel_to_client(1, 160, SEEN_RIGHT);
	world_close();
	open_channel(0, 1);
	f = peer_frame(1, 160);
	f.checksum = FRAME_ABSENT;
	run(&f);
	assert_dropped(bad_checksum);
	world_close();
}

static size_t send_make(uint8_t *buffer, size_t size, const struct net_endpoint *peer,
	const void *data, size_t length, bool dont_fragment)
{
	struct stun_builder b = stun_begin(
		buffer, size, STUN_SEND, STUN_INDICATION, (const uint8_t *)"abcdefghijkl");
	stun_add_xor_address(&b, STUN_XOR_PEER_ADDRESS, peer);
	if (dont_fragment)
		stun_add(&b, STUN_DONT_FRAGMENT, NULL, 0);
	stun_add(&b, STUN_DATA_ATTRIBUTE, data, length);
	stun_add(&b, STUN_SOFTWARE, "tester", 6);
	return stun_finish(&b);
}

static void open_permission(unsigned c, unsigned p)
{
	world_open();
	assert_int_equal(install_allocation_for(0, c, 1), 0);
	assert_int_equal(install_permission(0, 1, world_peer[p]), 0);
	world_clear();
}

static void check_data_indication(unsigned c, unsigned p, uint16_t length)
{
	struct seen s = seen_one();
	struct net_endpoint from = endpoint(world_server[c], 3478);
	struct net_endpoint to = endpoint(world_client[c], 40000);
	assert_endpoint(&s.source, &from);
	assert_endpoint(&s.destination, &to);
	assert_int_equal(s.checksum, SEEN_RIGHT);
	struct stun_message m;
	struct stun_attribute a;
	assert_int_equal(stun_parse(s.payload, s.h.payload_length, &m), 0);
	assert_int_equal(m.method, STUN_DATA);
	assert_int_equal(m.class, STUN_INDICATION);
	struct net_endpoint peer, want = endpoint(world_peer[p], 5000);
	assert_true(stun_find(&m, STUN_XOR_PEER_ADDRESS, &a));
	assert_int_equal(stun_read_xor_address(&m, &a, &peer), 0);
	assert_endpoint(&peer, &want);
	assert_true(stun_find(&m, STUN_DATA_ATTRIBUTE, &a));
	assert_int_equal(a.length, length);
	assert_memory_equal(a.value, voice, length);
	for (const uint8_t *pad = a.value + length; pad < s.payload + s.h.payload_length; pad++)
		assert_int_equal(*pad, 0);
	world_clear();
}

static void indications_both_ways(void **state)
{
	(void)state;
	static const uint16_t lengths[] = {0, 1, 2, 3, 4, 171};
	for (unsigned c = 0; c < 2; c++) {
		for (unsigned p = 0; p < 2; p++) {
			open_permission(c, p);
			for (unsigned l = 0; l < RTE_DIM(lengths); l++) {
				uint8_t buffer[512];
				struct net_endpoint to = endpoint(world_peer[p], 5000);
				struct frame f = {
					.source = endpoint(world_client[c], 40000),
					.destination = endpoint(world_server[c], 3478),
					.payload = buffer,
					.length = (uint16_t)send_make(buffer, sizeof(buffer), &to,
						voice, lengths[l], false),
				};
				for (unsigned k = FRAME_WHOLE; k <= FRAME_PARTIAL; k++) {
					f.checksum = k;
					run(&f);
					check_to_peer(p, lengths[l], SEEN_RIGHT);
					struct frame back = peer_frame(p, lengths[l]);
					back.checksum = k;
					run(&back);
					check_data_indication(c, p, lengths[l]);
				}
			}
			world_close();
		}
	}
}

// A channel is bound to one port of the peer; its other ports get Data indications.
static void other_port_of_a_bound_peer(void **state)
{
	(void)state;
	open_channel(0, 0);
	struct frame f = peer_frame(0, 100);
	f.source.port = 5001;
	run(&f);
	struct seen s = seen_one();
	struct stun_message m;
	assert_int_equal(stun_parse(s.payload, s.h.payload_length, &m), 0);
	assert_int_equal(m.method, STUN_DATA);
	world_close();
}

static void header_fields(void **state)
{
	(void)state;
	uint8_t buffer[256];
	for (unsigned c = 0; c < 2; c++) {
		for (unsigned p = 0; p < 2; p++) {
			open_channel(c, p);
			for (unsigned df = 0; df < 2; df++) {
				struct frame f = channel_frame(c, buffer, 160, 0);
				f.ttl = 17;
				f.tos = 0xB9; // EF, ECT(1)
				f.dont_fragment = df;
				f.flow_label = 0x12345;
				run(&f);
				struct seen s = seen_one();
				assert_int_equal(s.h.ttl, 16);
				assert_int_equal(s.h.tos, 0xB9);
				if (p == 0 && c == 0)
					assert_int_equal(s.h.dont_fragment, df);
				if (p == 0 && c == 1)
					assert_int_equal(s.h.dont_fragment, 0);
				// The label is ours, the same for every packet of the flow.
				assert_int_not_equal(s.h.flow_label, 0x12345);
				uint32_t label = s.h.flow_label;
				world_clear();
				run(&f);
				assert_int_equal(seen_one().h.flow_label, label);
				world_clear();
			}
			world_close();
		}
	}
}

static void big_from_ipv6_must_not_be_cut(void **state)
{
	(void)state;
	open_channel(1, 0);
	uint8_t buffer[1304] = {0};
	channel_data_write_header(buffer, 0x4001, 1300);
	struct frame f = channel_frame(1, (uint8_t[256]){0}, 0, 0);
	f.payload = buffer;
	f.length = sizeof(buffer);
	run(&f);
	assert_int_equal(seen_one().h.dont_fragment, 1);
	world_close();
}

static void dont_fragment_attribute(void **state)
{
	(void)state;
	uint8_t buffer[512];
	for (unsigned c = 0; c < 2; c++) {
		open_permission(c, 0);
		struct net_endpoint to = endpoint(world_peer[0], 5000);
		struct frame f = {
			.source = endpoint(world_client[c], 40000),
			.destination = endpoint(world_server[c], 3478),
			.payload = buffer,
			.length =
				(uint16_t)send_make(buffer, sizeof(buffer), &to, voice, 160, true),
		};
		run(&f);
		// Honoured from IPv4 to IPv4, ignored where addresses are translated.
		assert_int_equal(seen_one().h.dont_fragment, c == 0);
		world_close();
	}
}

static void hop_limit_ends_here(void **state)
{
	(void)state;
	for (unsigned family = 0; family < 2; family++) {
		open_channel(family, family);
		uint8_t buffer[256];
		struct frame f = channel_frame(family, buffer, 160, 0);
		f.ttl = 1;
		run(&f);
		assert_int_equal(world.workers[0].stats.drop[DROP_hop_limit], 1);
		// The sender hears of it.
		assert_int_equal(world.frame_count, 1);
		const uint8_t *ip = world.frames[0].bytes + 14;
		if (family == 0) {
			assert_int_equal(ip[9], 1);
			assert_int_equal(ip[20], 11);
			assert_int_equal(checksum_fold(checksum_sum(ip, 20)), 0xFFFF);
			assert_int_equal(
				checksum_fold(checksum_sum(ip + 20, world.frames[0].length - 34)),
				0xFFFF);
		} else {
			assert_int_equal(ip[6], 58);
			assert_int_equal(ip[40], 3);
			uint64_t sum = checksum_sum(ip + 8, 32) + htons(58) +
				       htons((uint16_t)(world.frames[0].length - 54)) +
				       checksum_sum(ip + 40, world.frames[0].length - 54);
			assert_int_equal(checksum_fold(sum), 0xFFFF);
		}
		world_close();
	}
}

static void vlan_of_the_way_out(void **state)
{
	(void)state;
	open_channel(0, 0);
	world_link(42, 1500, true);
	uint8_t buffer[256];
	struct frame f = channel_frame(0, buffer, 160, 0);
	f.vlan = 7;
	run(&f);
	struct seen s = seen_one();
	assert_int_equal(s.h.vlan, 42);
	assert_int_equal(s.h.vlan_count, 1);
	assert_int_equal(s.checksum, SEEN_RIGHT);
	world_clear();
	world_link(0, 1500, true);
	run(&f);
	assert_int_equal(seen_one().h.vlan_count, 0);
	world_close();
}

static void refusals(void **state)
{
	(void)state;
	uint8_t buffer[512];
	open_channel(0, 0);
	struct frame f = channel_frame(0, buffer, 160, 0);
	f.source.port = 40001;
	run(&f);
	assert_dropped(no_allocation);
	f = channel_frame(0, buffer, 160, 0);
	buffer[1] = 0x02;
	run(&f);
	assert_dropped(no_channel);
	// A length that reaches behind the datagram, and one that leaves more than padding.
	f = channel_frame(0, buffer, 160, 0);
	buffer[3] = 161;
	run(&f);
	assert_dropped(channel_malformed);
	buffer[3] = 156;
	run(&f);
	assert_dropped(channel_malformed);
	// A peer nobody allowed, a port nobody has.
	f = peer_frame(0, 100);
	f.source = endpoint("203.0.113.21", 5000);
	run(&f);
	assert_dropped(no_permission);
	f = peer_frame(0, 100);
	f.destination.port = 60000;
	run(&f);
	assert_dropped(no_allocation);
	// Send without permission, without DATA, with an unknown must-understand attribute.
	struct net_endpoint to = endpoint("203.0.113.99", 5000);
	f = channel_frame(0, (uint8_t[256]){0}, 0, 0);
	f.payload = buffer;
	f.length = (uint16_t)send_make(buffer, sizeof(buffer), &to, voice, 10, false);
	run(&f);
	assert_dropped(no_permission);
	to = endpoint(world_peer[0], 5000);
	struct stun_builder b = stun_begin(buffer, sizeof(buffer), STUN_SEND, STUN_INDICATION,
		(const uint8_t *)"abcdefghijkl");
	stun_add_xor_address(&b, STUN_XOR_PEER_ADDRESS, &to);
	f.length = (uint16_t)stun_finish(&b);
	run(&f);
	assert_dropped(send_malformed);
	b = stun_begin(buffer, sizeof(buffer), STUN_SEND, STUN_INDICATION,
		(const uint8_t *)"abcdefghijkl");
	stun_add_xor_address(&b, STUN_XOR_PEER_ADDRESS, &to);
	stun_add_u32(&b, 0x7FFF, 1);
	stun_add(&b, STUN_DATA_ATTRIBUTE, voice, 10);
	f.length = (uint16_t)stun_finish(&b);
	run(&f);
	assert_dropped(send_malformed);
	world_close();
}

static void send_needs_a_relayed_address_of_the_family(void **state)
{
	(void)state;
	world_open();
	struct api_allocation_install a = allocation_for(0, 1);
	a.relayed[1] = (struct net_endpoint){0};
	assert_int_equal(install(0, API_ALLOCATION_INSTALL, &a, sizeof(a)), 0);
	uint8_t buffer[512];
	struct net_endpoint to = endpoint(world_peer[1], 5000);
	struct frame f = {
		.source = endpoint(world_client[0], 40000),
		.destination = endpoint(world_server[0], 3478),
		.payload = buffer,
		.length = (uint16_t)send_make(buffer, sizeof(buffer), &to, voice, 10, false),
	};
	run(&f);
	assert_dropped(send_peer_family);
	world_close();
}

static void expiry_holds_without_a_scan(void **state)
{
	(void)state;
	uint8_t buffer[256];
	open_channel(0, 0);
	struct frame out = channel_frame(0, buffer, 160, 0), in = peer_frame(0, 100);
	// 300 s of permission: the peer falls silent, the channel goes on.
	world.now += seconds(301);
	run(&in);
	assert_dropped(no_permission);
	run(&out);
	check_to_peer(0, 160, SEEN_RIGHT);
	assert_int_equal(install_permission(0, 1, world_peer[0]), 0);
	run(&in);
	check_channel_to_client(0, 100, SEEN_RIGHT);
	// 600 s of channel and allocation.
	world.now += seconds(300);
	run(&out);
	assert_dropped(allocation_expired);
	run(&in);
	world_close();
}

// A channel lives no longer than its allocation, nor shorter once that is refreshed.
static void a_channel_lives_within_its_allocation(void **state)
{
	(void)state;
	uint8_t buffer[256];
	open_channel(0, 0);
	struct frame out = channel_frame(0, buffer, 160, 0), in = peer_frame(0, 100);
	struct api_allocation_change change = {.allocation_id = 1, .lifetime_ms = 10000};
	assert_int_equal(install(0, API_ALLOCATION_REFRESH, &change, sizeof(change)), 0);
	world.now += seconds(9);
	change.lifetime_ms = 20000;
	assert_int_equal(install(0, API_ALLOCATION_REFRESH, &change, sizeof(change)), 0);
	world.now += seconds(19);
	run(&out);
	check_to_peer(0, 160, SEEN_RIGHT);
	run(&in);
	check_channel_to_client(0, 100, SEEN_RIGHT);
	world.now += seconds(2);
	run(&out);
	assert_dropped(allocation_expired);
	run(&in);
	assert_dropped(allocation_expired);
	world_close();
}

// What one allocation may receive, another of the same client's neighbours may not.
static void permissions_are_per_allocation(void **state)
{
	(void)state;
	open_permission(0, 0);
	assert_int_equal(install_allocation_for(0, 1, 2), 0);
	world_clear();
	struct frame f = peer_frame(0, 100);
	f.destination = relayed_of_id(0, 2);
	run(&f);
	assert_dropped(no_permission);
	f.destination = relayed_of_id(0, 1);
	run(&f);
	check_data_indication(0, 0, 100);
	world_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(channel_data_both_ways),
		cmocka_unit_test(damaged_payload_stays_detectable),
		cmocka_unit_test(absent_checksum),
		cmocka_unit_test(indications_both_ways),
		cmocka_unit_test(other_port_of_a_bound_peer),
		cmocka_unit_test(header_fields),
		cmocka_unit_test(big_from_ipv6_must_not_be_cut),
		cmocka_unit_test(dont_fragment_attribute),
		cmocka_unit_test(hop_limit_ends_here),
		cmocka_unit_test(vlan_of_the_way_out),
		cmocka_unit_test(refusals),
		cmocka_unit_test(send_needs_a_relayed_address_of_the_family),
		cmocka_unit_test(expiry_holds_without_a_scan),
		cmocka_unit_test(a_channel_lives_within_its_allocation),
		cmocka_unit_test(permissions_are_per_allocation),
	};
	return cmocka_run_group_tests(tests, world_setup, NULL);
}
