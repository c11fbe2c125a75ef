// SPDX-License-Identifier: BSD-3-Clause
// The ways through the pipeline: what is whose, hairpin and hand-off (once, never in circles),
// punts and their context, stale entries.
#include "tests/unit/voice_frames.h"

#include <errno.h>

// ---- what is whose ----

static void first_bytes(void **state)
{
	(void)state;
	world_open();
	world.native.served = false;
	for (unsigned byte = 0; byte < 256; byte++) {
		uint8_t payload[20] = {(uint8_t)byte, [4] = 0x21, 0x12, 0xA4, 0x42};
		struct frame f = from_client(0, payload, sizeof(payload));
		run(&f);
		enum stats_drop want = DROP_first_byte_unknown;
		if (byte >= 64 && byte <= 79)
			want = DROP_no_allocation;
		else if (byte == 0)
			want = DROP_stun_malformed; // type 0x0000
		else if (byte <= 3)
			// 0x01.. success responses, 0x02.. a request, 0x03.. a response
			want = byte == 2 ? DROP_stun_malformed : DROP_stun_unexpected;
		else if (byte <= 6)
			want = DROP_native_off;
		if (byte == 0 || byte == 2)
			assert_int_equal(world.punt_count + world.dropped, 1);
		else
			assert_int_equal(world.workers[0].stats.drop[want], 1);
		world_clear();
	}
	for (uint16_t length = 0; length < 4; length++) {
		struct frame f = from_client(0, "\x40\x01", length < 2 ? length : 2);
		run(&f);
		assert_dropped(truncated);
	}
	world_close();
}

// Channel numbers behind 0x4FFF only where the configuration serves clients of RFC 5766.
static void channel_numbers(void **state)
{
	(void)state;
	static const uint16_t last[] = {0x4FFF, 0x7FFF};
	for (unsigned i = 0; i < 2; i++) {
		world_open();
		world.addresses.channel_last = last[i];
		assert_int_equal(install_allocation_for(0, 0, 1), 0);
		assert_int_equal(
			install_channel(0, 1, 0x7FFE, world_peer[0], 5000), i == 0 ? -EINVAL : 0);
		world_clear();
		struct frame f = channel_data(0);
		channel_data_write_header(channel_message, 0x7FFE, 160);
		run(&f);
		if (i == 0)
			assert_dropped(first_byte_unknown);
		else
			assert_int_equal(world.frame_count, 1);
		world_close();
	}
}

// Everything that is not the relay's goes to the kernel: by itself, or through the TAP.
static void the_kernels(void **state)
{
	(void)state;
	world_open();
	struct frame f = from_client(0, voice, 10);
	static const char *const elsewhere[] = {"192.0.2.1", "192.0.2.9"};
	for (unsigned tap = 0; tap < 2; tap++) {
		world.workers[0].port_has_kernel[0] = !tap;
		for (unsigned i = 0; i < 2; i++) {
			f.destination = endpoint(elsewhere[i], 22);
			run(&f);
			assert_int_equal(world.kernel_count, tap);
			assert_int_equal(world.workers[0].stats.drop[DROP_not_ours], !tap);
			world_clear();
		}
		// ARP.
		struct rte_mbuf *mbuf = rte_pktmbuf_alloc(world.pool);
		uint8_t *p = (uint8_t *)rte_pktmbuf_append(mbuf, 60);
		memset(p, 0, 60);
		p[12] = 0x08;
		p[13] = 0x06;
		run_on(0, mbuf);
		assert_int_equal(world.kernel_count, tap);
		world_clear();
		// A fragment to the listen port.
		f.destination = endpoint(world_server[0], 3478);
		mbuf = frame_make(&f);
		p = rte_pktmbuf_mtod(mbuf, uint8_t *) + 14;
		p[6] = 0x20;
		memset(p + 10, 0, 2);
		uint16_t sum = (uint16_t)~checksum_fold(checksum_sum(p, 20));
		memcpy(p + 10, &sum, 2);
		run_on(0, mbuf);
		assert_int_equal(world.kernel_count, tap);
		assert_int_equal(world.workers[0].stats.drop[DROP_fragment], !tap);
		world_clear();
	}
	// Broken ones are nobody's.
	struct rte_mbuf *mbuf = frame_make(&f);
	rte_pktmbuf_mtod(mbuf, uint8_t *)[14 + 8] ^= 1;
	run_on(0, mbuf);
	assert_dropped(bad_checksum);
	mbuf = frame_make(&f);
	rte_pktmbuf_trim(mbuf, 1);
	run_on(0, mbuf);
	assert_dropped(truncated);
	// Behind a group MAC.
	mbuf = frame_make(&f);
	rte_pktmbuf_mtod(mbuf, uint8_t *)[0] |= 1;
	world.workers[0].port_has_kernel[0] = true;
	run_on(0, mbuf);
	assert_dropped(not_ours);
	world_close();
}

static void chained_buffers(void **state)
{
	(void)state;
	world_open();
	struct frame f = channel_data(0);
	struct rte_mbuf *mbuf = frame_make(&f), *tail = rte_pktmbuf_alloc(world.pool);
	rte_pktmbuf_append(tail, 10);
	assert_int_equal(rte_pktmbuf_chain(mbuf, tail), 0);
	run_on(0, mbuf);
	assert_dropped(bad_length);
	world_close();
}

// ---- bursts ----

static void a_long_mixed_burst(void **state)
{
	(void)state;
	world_open();
	assert_int_equal(install_allocation_for(0, 0, 1), 0);
	assert_int_equal(install_channel(0, 1, 0x4001, world_peer[0], 5000), 0);
	world_clear();
	struct rte_mbuf *mbufs[200];
	struct frame kinds[4] = {
		channel_data(0), from_peer(0, 1), channel_data(1), from_peer(1, 1)};
	for (unsigned i = 0; i < 200; i++)
		mbufs[i] = frame_make(&kinds[i % 4]);
	pipeline_run(&world.workers[0], 0, mbufs, 200, world.now);
	const struct stats *stats = &world.workers[0].stats;
	assert_int_equal(world.frame_count, 100);
	assert_int_equal(stats->drop[DROP_no_allocation], 50);
	assert_int_equal(stats->drop[DROP_no_permission], 50);
	assert_int_equal(stats->event[EVENT_relayed_to_peer_packets], 50);
	assert_int_equal(stats->event[EVENT_relayed_to_peer_bytes], 50 * 160);
	assert_int_equal(stats->event[EVENT_relayed_to_client_packets], 50);
	assert_int_equal(stats->stage[STAGE_parse].packets, 200);
	assert_int_equal(stats->stage[STAGE_client_to_peer].packets, 100);
	assert_true(stats->stage[STAGE_transmit].cycles > 0);
	assert_true(stats->stage[STAGE_client_to_peer].cycles > 0);
	world_close();
}

// ---- hairpin and hand-off ----

// Client 1 of family c and client 2 of the other worker or the same, each other's peers by their
// relayed addresses of family p.
static void two_allocations(unsigned second_worker, unsigned p)
{
	world_open();
	assert_int_equal(install_allocation_for(0, 0, 1), 0);
	assert_int_equal(install_allocation_for(second_worker, 1, 2), 0);
	assert_int_equal(
		install_channel(0, 1, 0x4001, world_server[p], relayed_of_id(p, 2).port), 0);
	assert_int_equal(install_channel(second_worker, 2, 0x4002, world_server[p],
				 relayed_of_id(p, 1).port),
		0);
	world_clear();
}

static void check_hairpinned(void)
{
	struct seen s = seen_one();
	struct net_endpoint to = endpoint(world_client[1], 40000);
	assert_endpoint(&s.destination, &to);
	assert_int_equal(s.checksum, SEEN_RIGHT);
	assert_int_equal(s.h.payload_length, 164);
	assert_int_equal(s.payload[0] << 8 | s.payload[1], 0x4002);
	assert_memory_equal(s.payload + 4, voice, 160);
	assert_int_equal(s.h.ttl, 62);
}

static void hairpin_on_one_worker(void **state)
{
	(void)state;
	for (unsigned p = 0; p < 2; p++) {
		for (unsigned kind = FRAME_WHOLE; kind <= FRAME_PARTIAL; kind++) {
			two_allocations(0, p);
			struct frame f = channel_data(0);
			f.checksum = kind;
			run(&f);
			check_hairpinned();
			assert_int_equal(world.workers[0].stats.event[EVENT_hairpin], 1);
			world_close();
		}
	}
}

static void hairpin_to_another_worker(void **state)
{
	(void)state;
	two_allocations(1, 0);
	struct frame f = channel_data(0);
	run(&f);
	assert_int_equal(world.frame_count, 0);
	assert_int_equal(world.handed_count, 1);
	assert_int_equal(world.handed_to, 1);
	pipeline_handed(&world.workers[1], world.handed, 1, world.now);
	check_hairpinned();
	world_close();
}

static void handed_over_once(void **state)
{
	(void)state;
	two_allocations(1, 0);
	struct frame f = from_peer(0, 2);
	assert_int_equal(install_permission(1, 2, world_peer[0]), 0);
	run(&f);
	assert_int_equal(world.handed_count, 1);
	pipeline_handed(&world.workers[1], world.handed, 1, world.now);
	assert_int_equal(world.frame_count, 1);
	// By the time it arrives the port is somebody else's again.
	world_clear();
	run(&f);
	struct api_allocation_change change = {.allocation_id = 2, .worker = 1};
	assert_int_equal(install(1, API_ALLOCATION_REMOVE, &change, sizeof(change)), 0);
	struct api_allocation_install a = allocation_for(1, 2);
	a.client.port++;
	assert_int_equal(install(0, API_ALLOCATION_INSTALL, &a, sizeof(a)), 0);
	pipeline_handed(&world.workers[1], world.handed, 1, world.now);
	assert_int_equal(world.handed_count, 1);
	assert_int_equal(world.workers[1].stats.drop[DROP_not_owner], 1);
	world_close();
}

// Our own listen port, and the host's services, are no peers.
static void peers_that_are_ourselves(void **state)
{
	(void)state;
	static const uint16_t ports[] = {3478, 22, 60000};
	for (unsigned i = 0; i < RTE_DIM(ports); i++) {
		world_open();
		assert_int_equal(install_allocation_for(0, 0, 1), 0);
		assert_int_equal(install_channel(0, 1, 0x4001, world_server[0], ports[i]), 0);
		world_clear();
		struct frame f = channel_data(0);
		run(&f);
		if (ports[i] == 60000)
			assert_dropped(no_allocation);
		else
			assert_dropped(not_ours);
		world_close();
	}
	// To one's own relayed address: comes back to oneself, once, and only because one allowed
	// it.
	world_open();
	assert_int_equal(install_allocation_for(0, 0, 1), 0);
	assert_int_equal(
		install_channel(0, 1, 0x4001, world_server[0], relayed_of_id(0, 1).port), 0);
	world_clear();
	struct frame f = channel_data(0);
	run(&f);
	struct seen s = seen_one();
	assert_endpoint(&s.destination, &f.source);
	assert_int_equal(s.payload[0] << 8 | s.payload[1], 0x4001);
	world_close();
}

static void own_address_from_the_wire(void **state)
{
	(void)state;
	two_allocations(0, 0);
	struct frame f = from_peer(0, 2);
	f.source = relayed_of_id(0, 1);
	run(&f);
	assert_dropped(bad_relayed_source);
	world_close();
}

// ---- stale entries ----

static void a_reused_slot_is_another_allocation(void **state)
{
	(void)state;
	world_open();
	assert_int_equal(install_allocation_for(0, 0, 1), 0);
	struct relay_port_owner before, after;
	uint16_t port = relayed_of_id(0, 1).port;
	assert_true(relay_ports_find(world.relay_ports, 0, port, &before));
	struct api_allocation_change change = {.allocation_id = 1};
	assert_int_equal(install(0, API_ALLOCATION_REMOVE, &change, sizeof(change)), 0);
	assert_int_equal(install_allocation_for(0, 0, 2), 0);
	assert_true(relay_ports_find(world.relay_ports, 0, relayed_of_id(0, 2).port, &after));
	assert_int_equal(before.slot, after.slot);
	assert_int_not_equal(before.generation, after.generation);
	assert_int_equal(install_permission(0, 2, world_peer[0]), 0);
	// A word that was forgotten in the index names the old generation.
	assert_int_equal(relay_ports_claim(world.relay_ports, 0, port, &before), 0);
	world_clear();
	struct frame f = from_peer(0, 1);
	run(&f);
	assert_dropped(generation_stale);
	world_close();
}

// ---- punts ----

static struct frame request(uint8_t buffer[static 128], unsigned method)
{
	struct stun_builder b = stun_begin(
		buffer, 128, (uint16_t)method, STUN_REQUEST, (const uint8_t *)"0123456789ab");
	stun_add_u32(&b, STUN_REQUESTED_TRANSPORT, 17u << 24);
	return from_client(0, buffer, stun_finish(&b));
}

// The client's packets come to a worker that does not own its allocation: another port, another
// queue. What is not in its tables it looks up in the shared index, once.
static void clients_that_come_to_another_worker(void **state)
{
	(void)state;
	for (unsigned c = 0; c < 2; c++) {
		struct frame data = channel_data(c), f;
		uint8_t buffer[128];
		world_open();
		assert_int_equal(install_allocation_for(1, c, 5), 0);
		assert_int_equal(install_channel(1, 5, 0x4001, world_peer[0], 7000), 0);
		world_clear();
		run(&data);
		assert_int_equal(world.frame_count + world.dropped, 0);
		assert_int_equal(world.handed_count, 1);
		assert_int_equal(world.handed_to, 1);
		assert_int_equal(world.workers[0].stats.event[EVENT_client_elsewhere], 1);
		pipeline_handed(&world.workers[1], world.handed, 1, world.now);
		struct seen s = seen_one();
		struct net_endpoint from = relayed_of_id(0, 5), to = endpoint(world_peer[0], 7000);
		assert_endpoint(&s.source, &from);
		assert_endpoint(&s.destination, &to);
		assert_int_equal(s.checksum, SEEN_RIGHT);
		world_clear();
		f = request(buffer, STUN_REFRESH);
		f.source = data.source;
		f.destination = data.destination;
		run(&f);
		assert_int_equal(world.punt_count, 0);
		assert_int_equal(world.handed_count, 1);
		pipeline_handed(&world.workers[1], world.handed, 1, world.now);
		assert_int_equal(world.punt_count, 1);
		assert_int_equal(world.punt_context.allocation_id, 5);
		assert_int_equal(world.punt_context.worker, 1);
		world_clear();
		// On its own worker nothing is asked.
		run_on(1, frame_make(&data));
		assert_int_equal(world.frame_count, 1);
		assert_int_equal(world.workers[1].stats.event[EVENT_client_elsewhere], 0);
		world_clear();
		// It ended on the way: dropped there, and not handed on.
		run(&data);
		assert_int_equal(world.handed_count, 1);
		struct api_allocation_change change = {.allocation_id = 5, .worker = 1};
		assert_int_equal(install(1, API_ALLOCATION_REMOVE, &change, sizeof(change)), 0);
		pipeline_handed(&world.workers[1], world.handed, 1, world.now);
		assert_int_equal(world.handed_count, 1);
		assert_int_equal(world.workers[1].stats.drop[DROP_no_allocation], 1);
		world_clear();
		// And nothing of it is left to be found.
		run(&data);
		assert_dropped(no_allocation);
		run(&f);
		assert_int_equal(world.punt_count, 1);
		assert_int_equal(world.punt_context.allocation_id, 0);
		world_close();
	}
}

static void punts_carry_what_we_know(void **state)
{
	(void)state;
	world_open();
	uint8_t buffer[128];
	struct frame f = request(buffer, STUN_ALLOCATE);
	run(&f);
	assert_int_equal(world.punt_count, 1);
	assert_int_equal(world.punt_context.allocation_id, 0);
	assert_int_equal(world.punt_headers.source_port, 40000);
	world_clear();
	assert_int_equal(install_allocation_for(0, 0, 77), 0);
	world_clear();
	world.now += seconds(100);
	run(&f);
	assert_int_equal(world.punt_count, 1);
	const struct api_allocation_context *c = &world.punt_context;
	assert_int_equal(c->allocation_id, 77);
	assert_int_equal(c->credential_tag, 0x1111111111111111);
	assert_int_equal(c->prefix_tag, 0x2222222222222222);
	assert_memory_equal(c->transaction, "transaction", 12);
	struct net_endpoint relayed = relayed_of_id(1, 77);
	assert_endpoint(&c->relayed[1], &relayed);
	assert_true(c->remaining_ms > 499900 && c->remaining_ms < 500100);
	// Expired but not scanned: gone.
	world.now += seconds(501);
	run(&f);
	assert_int_equal(world.punt_context.allocation_id, 0);
	world_clear();
	f.checksum = FRAME_WRONG;
	run(&f);
	assert_dropped(bad_checksum);
	f.checksum = FRAME_WHOLE;
	buffer[3] += 4;
	run(&f);
	assert_dropped(stun_malformed);
	world_close();
}

static void punts_have_budgets(void **state)
{
	(void)state;
	world_open();
	uint8_t buffer[128];
	struct frame f = request(buffer, STUN_ALLOCATE);
	for (unsigned i = 0; i < GUARD_PUNTS + 500; i++)
		run(&f);
	assert_int_equal(world.punt_count, GUARD_PUNTS);
	assert_int_equal(world.workers[0].stats.drop[DROP_punt_budget], 500);
	// A client with an allocation is not held up by strangers of its prefix.
	assert_int_equal(install_allocation_for(0, 0, 1), 0);
	world_clear();
	for (unsigned i = 0; i < 1000; i++)
		run(&f);
	assert_int_equal(world.punt_count, 1000);
	// Another prefix.
	world_clear();
	f.source = endpoint("198.51.101.10", 40000);
	run(&f);
	assert_int_equal(world.punt_count, 1);
	world_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_bytes),
		cmocka_unit_test(channel_numbers),
		cmocka_unit_test(the_kernels),
		cmocka_unit_test(chained_buffers),
		cmocka_unit_test(a_long_mixed_burst),
		cmocka_unit_test(hairpin_on_one_worker),
		cmocka_unit_test(hairpin_to_another_worker),
		cmocka_unit_test(handed_over_once),
		cmocka_unit_test(peers_that_are_ourselves),
		cmocka_unit_test(own_address_from_the_wire),
		cmocka_unit_test(a_reused_slot_is_another_allocation),
		cmocka_unit_test(clients_that_come_to_another_worker),
		cmocka_unit_test(punts_carry_what_we_know),
		cmocka_unit_test(punts_have_budgets),
	};
	return cmocka_run_group_tests(tests, world_setup, NULL);
}
