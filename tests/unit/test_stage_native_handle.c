// SPDX-License-Identifier: BSD-3-Clause
// Data by handle: relayed between both families with right checksums, under the peer's handle, from
// nowhere but where the handle is bound to.
#include "tests/unit/native_world.h"

static const uint8_t voice[1500] = {0x80, 0x60, 1, 2, 3, 4, 5, [170] = 0xAB, [1499] = 0xCD};
static uint8_t message[2048];

// `data` from one party arrives at the other as its handle's.
static void check_arrived(const struct pair *pair, unsigned to, const struct net_endpoint *at,
	size_t length, enum seen_checksum checksum)
{
	struct seen s = seen_one();
	struct net_endpoint server = server_of(at->address.family == NET_IPV6);
	struct native_by_handle d;
	assert_endpoint(&s.source, &server);
	assert_endpoint(&s.destination, at);
	assert_int_equal(s.checksum, checksum);
	assert_int_equal(native_by_handle_parse(s.payload, s.h.payload_length, &d), 0);
	assert_int_equal(d.handle.index, pair->handle[to].index);
	assert_int_equal(d.handle.generation, pair->handle[to].generation);
	assert_int_equal(d.payload_size, length);
	assert_memory_equal(d.payload, voice, length);
	world_clear();
}

static void send_data(const struct net_endpoint *from, const struct native_handle *handle,
	size_t length, enum frame_checksum checksum)
{
	struct frame f = native_frame(from, message, data_make(message, handle, voice, length));
	f.checksum = checksum;
	run(&f);
}

// Both ways, all pairs of families, lengths around the parities, all kinds of checksums; the usual
// way and, as next hops are not known at first, the general one.
static void both_ways(void **state)
{
	(void)state;
	static const uint16_t lengths[] = {0, 1, 2, 3, 4, 5, 160, 171};
	world_open();
	for (unsigned a = 0; a < 2; a++)
		for (unsigned b = 0; b < 2; b++) {
			struct net_endpoint ends[2] = {party(CALLER, a), party(CALLEE, b)};
			struct pair pair = pair_open(&ends[0], &ends[1]);
			uint64_t packets = 0, bytes = 0;
			for (unsigned i = 0; i < 4 * RTE_DIM(lengths); i++) {
				unsigned way = i & 1, length = lengths[i / 4];
				send_data(&ends[way], &pair.handle[way], length, FRAME_WHOLE);
				packets += world.workers[0].stats.event[EVENT_by_handle_packets];
				bytes += world.workers[0].stats.event[EVENT_by_handle_bytes];
				check_arrived(&pair, !way, &ends[!way], length, SEEN_RIGHT);
				send_data(&ends[way], &pair.handle[way], length, FRAME_PARTIAL);
				check_arrived(&pair, !way, &ends[!way], length, SEEN_RIGHT);
			}
			assert_int_equal(packets, 4 * RTE_DIM(lengths));
			assert_int_equal(bytes, 4 * (1 + 2 + 3 + 4 + 5 + 160 + 171));
		}
	world_close();
}

// Damage stays visible; absent stays absent between IPv4, is computed to IPv6, and is none of IPv6.
static void checksums(void **state)
{
	(void)state;
	world_open();
	for (unsigned a = 0; a < 2; a++)
		for (unsigned b = 0; b < 2; b++) {
			struct net_endpoint ends[2] = {party(CALLER, a), party(CALLEE, b)};
			struct pair pair = pair_open(&ends[0], &ends[1]);
			for (unsigned again = 0; again < 2; again++) {
				send_data(&ends[0], &pair.handle[0], 160, FRAME_WRONG);
				check_arrived(&pair, 1, &ends[1], 160, SEEN_WRONG);
				send_data(&ends[0], &pair.handle[0], 160, FRAME_ABSENT);
				if (a == 1)
					assert_dropped(bad_checksum);
				else
					check_arrived(&pair, 1, &ends[1], 160,
						b ? SEEN_RIGHT : SEEN_ABSENT);
			}
		}
	world_close();
}

static void header_fields(void **state)
{
	(void)state;
	world_open();
	struct net_endpoint ends[2] = {party(CALLER, 0), party(CALLEE, 0)};
	struct pair pair = pair_open(&ends[0], &ends[1]);
	for (unsigned again = 0; again < 2; again++) {
		struct frame f = native_frame(
			&ends[0], message, data_make(message, &pair.handle[0], voice, 160));
		f.ttl = 30;
		f.tos = 0xB8;
		f.dont_fragment = true;
		run(&f);
		struct seen s = seen_one();
		assert_int_equal(s.h.ttl, 29);
		assert_int_equal(s.h.tos, 0xB8);
		assert_int_equal(s.h.dont_fragment, 1);
		world_clear();
		f.ttl = 1;
		run(&f);
		assert_int_equal(world.workers[0].stats.drop[DROP_hop_limit], 1);
		world_clear();
	}
	world_close();
}

// From IPv4 to IPv6 a packet grows by 20 bytes: what does not fit is answered by ICMP that leaves
// room for them, and nothing goes to the peer.
static void mtu(void **state)
{
	(void)state;
	world_open();
	struct net_endpoint ends[2] = {party(CALLER, 0), party(CALLEE, 1)};
	struct pair pair = pair_open(&ends[0], &ends[1]);
	send_data(&ends[0], &pair.handle[0], 1500 - 48 - 8, FRAME_WHOLE);
	check_arrived(&pair, 1, &ends[1], 1500 - 48 - 8, SEEN_RIGHT);
	send_data(&ends[0], &pair.handle[0], 1500 - 48 - 8 + 1, FRAME_WHOLE);
	assert_int_equal(world.workers[0].stats.drop[DROP_too_big], 1);
	assert_int_equal(world.frame_count, 1);
	struct headers h;
	assert_int_equal(headers_parse(world.frames[0].bytes, world.frames[0].length, &h),
		HEADERS_ICMP_ERROR);
	assert_memory_equal(h.destination, ends[0].address.bytes, 4);
	uint16_t told;
	memcpy(&told, world.frames[0].bytes + h.l4_offset + 6, 2);
	assert_int_equal(ntohs(told), 1480);
	world_clear();
	// Between IPv4 without DF it is cut instead.
	struct net_endpoint third = moved(party(CALLEE, 0));
	pair = pair_open(&ends[0], &third);
	world_link(0, 600, true);
	send_data(&ends[0], &pair.handle[0], 800, FRAME_WHOLE);
	assert_int_equal(world.frame_count, 2);
	world_close();
}

// A peer without a known neighbour: held, then sent as it would have been, and from then on usual.
static void next_hops_are_found_and_kept(void **state)
{
	(void)state;
	world_open();
	struct net_endpoint ends[2] = {party(CALLER, 0), party(CALLEE, 0)};
	struct pair pair = pair_open(&ends[0], &ends[1]);
	struct handle_fields *line = &world.handles->lines[pair.handle[0].index].fields;
	assert_int_equal(line->to_peer, NEXT_HOP_NONE);
	struct api_route route = world_route("203.0.113.0", 24, "192.0.2.77");
	assert_int_equal(next_hops_route_set(world.next_hops, &route), 0);
	send_data(&ends[0], &pair.handle[0], 160, FRAME_WHOLE);
	assert_int_equal(world.frame_count, 0);
	assert_int_equal(world.wanted_count, 1);
	assert_int_equal(line->to_peer, NEXT_HOP_NONE);
	world_neighbour("192.0.2.77", world_gateway_mac);
	pipeline_held(&world.workers[0], world.now);
	check_arrived(&pair, 1, &ends[1], 160, SEEN_RIGHT);
	send_data(&ends[0], &pair.handle[0], 160, FRAME_WHOLE);
	check_arrived(&pair, 1, &ends[1], 160, SEEN_RIGHT);
	uint16_t hop = line->to_peer;
	assert_int_not_equal(hop, NEXT_HOP_NONE);
	// Routes change: looked up once more, and kept.
	assert_int_equal(next_hops_route_delete(world.next_hops, &route.prefix), 0);
	send_data(&ends[0], &pair.handle[0], 160, FRAME_WHOLE);
	check_arrived(&pair, 1, &ends[1], 160, SEEN_RIGHT);
	assert_int_not_equal(line->to_peer, hop);
	world_close();
}

// ---- what is not relayed ----

static void assert_path_challenged(
	const struct net_endpoint *from, const struct native_handle *handle)
{
	struct seen s = answer_to(from);
	struct native_path_challenge c;
	assert_int_equal(native_path_challenge_parse(s.payload, s.h.payload_length, &c), 0);
	assert_int_equal(c.handle.index, handle->index);
	assert_int_equal(c.handle.generation, handle->generation);
	const struct cookie_holder holder = {
		from->address.bytes, from->port, (uint8_t)from->address.family};
	assert_true(path_token_check(&world.native, &holder, handle, world.now, 1, c.token));
	assert_memory_equal(c.transaction, c.token + 4, 8);
	assert_int_equal(world.workers[0].stats.event[EVENT_path_challenges], 1);
	assert_int_equal(world.workers[0].stats.event[EVENT_by_handle_packets], 0);
	world_clear();
}

// From another port, another address, another family, and the peer's own place: nothing reaches the
// peer, nothing is learnt, and the place is asked, if the packet was large enough.
static void other_sources(void **state)
{
	(void)state;
	world_open();
	struct net_endpoint ends[2] = {party(CALLER, 0), party(CALLEE, 1)};
	struct net_endpoint same_bytes = party(CALLER, 1);
	memset(same_bytes.address.bytes, 0, 16);
	memcpy(same_bytes.address.bytes, ends[0].address.bytes, 4);
	const struct net_endpoint others[] = {moved(ends[0]), endpoint("198.51.100.11", 40000),
		party(CALLER, 1), ends[1], same_bytes};
	struct pair pair = pair_open(&ends[0], &ends[1]);
	struct handle_fields before[2], after[2];
	// With the next hops known: the usual way has to see it as well as the general one.
	for (unsigned i = 0; i < 2; i++) {
		send_data(&ends[i], &pair.handle[i], 160, FRAME_WHOLE);
		check_arrived(&pair, !i, &ends[!i], 160, SEEN_RIGHT);
	}
	for (unsigned i = 0; i < 2; i++)
		before[i] = world.handles->lines[pair.handle[i].index].fields;
	for (unsigned i = 0; i < RTE_DIM(others); i++) {
		send_data(&others[i], &pair.handle[0], 160, FRAME_WHOLE);
		assert_path_challenged(&others[i], &pair.handle[0]);
		send_data(&others[i], &pair.handle[0], 24, FRAME_WHOLE);
		assert_path_challenged(&others[i], &pair.handle[0]);
		send_data(&others[i], &pair.handle[0], 23, FRAME_WHOLE);
		assert_dropped(handle_source);
	}
	for (unsigned i = 0; i < 2; i++)
		after[i] = world.handles->lines[pair.handle[i].index].fields;
	assert_memory_equal(before, after, sizeof(before));
	send_data(&ends[0], &pair.handle[0], 160, FRAME_WHOLE);
	check_arrived(&pair, 1, &ends[1], 160, SEEN_RIGHT);
	world_close();
}

static void unknown_handles(void **state)
{
	(void)state;
	world_open();
	struct net_endpoint ends[2] = {party(CALLER, 0), party(CALLEE, 0)};
	struct pair pair = pair_open(&ends[0], &ends[1]);
	struct native_handle handle = pair.handle[0];
	send_data(&ends[0], &handle, 160, FRAME_WHOLE);
	check_arrived(&pair, 1, &ends[1], 160, SEEN_RIGHT);
	const struct native_handle unknown[] = {
		{handle.generation, handle.index + 2},
		{(uint16_t)(handle.generation + 1), handle.index},
		{0, handle.index},
		{0, handle.index ^ 32},
		{handle.generation, 64},
		{handle.generation, UINT32_MAX},
	};
	for (unsigned i = 0; i < RTE_DIM(unknown); i++) {
		send_data(&ends[0], &unknown[i], 160, FRAME_WHOLE);
		assert_dropped(handle_unknown);
	}
	// Its time has passed, and nobody has looked yet. Data does not put it off.
	world.now += seconds(59);
	send_data(&ends[0], &handle, 160, FRAME_WHOLE);
	check_arrived(&pair, 1, &ends[1], 160, SEEN_RIGHT);
	world.now += seconds(2);
	send_data(&ends[0], &handle, 160, FRAME_WHOLE);
	assert_dropped(handle_unknown);
	world_close();
}

static void malformed(void **state)
{
	(void)state;
	world_open();
	struct net_endpoint ends[2] = {party(CALLER, 0), party(CALLEE, 0)};
	struct pair pair = pair_open(&ends[0], &ends[1]);
	data_make(message, &pair.handle[0], voice, 160);
	for (unsigned size = 4; size < 8; size++) {
		send_from(&ends[0], message, size);
		assert_dropped(native_malformed);
	}
	send_from(&ends[0], message, 8);
	check_arrived(&pair, 1, &ends[1], 0, SEEN_RIGHT);
	message[1] = 1;
	send_from(&ends[0], message, 168);
	assert_dropped(native_malformed);
	// Not on the alternate port, and not while it is not served.
	message[1] = 0;
	world.addresses.behaviour_discovery = true;
	struct frame f = native_frame(&ends[0], message, 168);
	f.destination.port = world.addresses.alternate_port;
	run(&f);
	assert_dropped(first_byte_unknown);
	world.native.served = false;
	send_from(&ends[0], message, 168);
	assert_dropped(native_off);
	world_close();
}

// A line that is being written for longer than anybody waits.
static void written_line(void **state)
{
	(void)state;
	world_open();
	struct net_endpoint ends[2] = {party(CALLER, 0), party(CALLEE, 0)};
	struct pair pair = pair_open(&ends[0], &ends[1]);
	struct handle *line = &world.handles->lines[pair.handle[0].index];
	send_data(&ends[0], &pair.handle[0], 160, FRAME_WHOLE);
	check_arrived(&pair, 1, &ends[1], 160, SEEN_RIGHT);
	atomic_fetch_add(&line->sequence, 1);
	send_data(&ends[0], &pair.handle[0], 160, FRAME_WHOLE);
	assert_dropped(handle_busy);
	atomic_fetch_add(&line->sequence, 1);
	send_data(&ends[0], &pair.handle[0], 160, FRAME_WHOLE);
	check_arrived(&pair, 1, &ends[1], 160, SEEN_RIGHT);
	world_close();
}

// Each side's packets may come to any worker, and the next hop that one has found is the other's.
static void two_workers(void **state)
{
	(void)state;
	world_open();
	struct net_endpoint ends[2] = {party(CALLER, 0), party(CALLEE, 1)};
	struct pair pair = pair_open(&ends[0], &ends[1]);
	for (unsigned i = 0; i < 8; i++) {
		unsigned way = i & 1, worker = i >> 1 & 1;
		struct frame f = native_frame(
			&ends[way], message, data_make(message, &pair.handle[way], voice, 160));
		run_on(worker, frame_make(&f));
		assert_int_equal(world.handed_count, 0);
		assert_int_equal(world.workers[worker].stats.event[EVENT_by_handle_packets], 1);
		check_arrived(&pair, !way, &ends[!way], 160, SEEN_RIGHT);
	}
	world_close();
}

// A whole burst of handles, some not bound, in one call.
static void bursts(void **state)
{
	(void)state;
	world_open();
	struct net_endpoint ends[2] = {party(CALLER, 0), party(CALLEE, 0)};
	struct net_endpoint stranger = moved(ends[0]);
	struct pair pair = pair_open(&ends[0], &ends[1]);
	struct rte_mbuf *mbufs[64];
	for (unsigned i = 0; i < 64; i++) {
		unsigned way = i & 1;
		struct frame f = native_frame(i % 8 == 5 ? &stranger : &ends[way], message,
			data_make(message, &pair.handle[way], voice, 20 + i));
		mbufs[i] = frame_make(&f);
	}
	pipeline_run(&world.workers[0], 0, mbufs, 64, world.now);
	assert_int_equal(world.workers[0].stats.event[EVENT_by_handle_packets], 56);
	unsigned challenged = (unsigned)world.workers[0].stats.event[EVENT_path_challenges];
	assert_int_equal(challenged + world.workers[0].stats.drop[DROP_handle_source], 8);
	assert_int_equal(world.frame_count, 56 + challenged);
	world_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ways),
		cmocka_unit_test(checksums),
		cmocka_unit_test(header_fields),
		cmocka_unit_test(mtu),
		cmocka_unit_test(next_hops_are_found_and_kept),
		cmocka_unit_test(other_sources),
		cmocka_unit_test(unknown_handles),
		cmocka_unit_test(malformed),
		cmocka_unit_test(written_line),
		cmocka_unit_test(two_workers),
		cmocka_unit_test(bursts),
	};
	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, world_setup, NULL);
}
