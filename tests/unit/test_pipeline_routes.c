// SPDX-License-Identifier: BSD-3-Clause
// Where the pipeline sends: packets that wait for a neighbour, routes that change, datagrams of our
// own.
#include "tests/unit/voice_frames.h"

#include <errno.h>
#include <stdio.h>

// ---- neighbours ----

static void forget_gateway(void)
{
	struct api_neighbour n = {.ifindex = WORLD_IFINDEX, .address = address("192.0.2.254")};
	assert_int_equal(next_hops_neighbour_delete(world.next_hops, &n), 0);
}

static void held_until_resolved(void **state)
{
	(void)state;
	world_open();
	assert_int_equal(install_allocation_for(0, 0, 1), 0);
	assert_int_equal(install_channel(0, 1, 0x4001, world_peer[0], 5000), 0);
	forget_gateway();
	world_clear();
	struct frame f = channel_data(0);
	for (unsigned i = 0; i < HELD_PER_NEIGHBOUR + 2; i++)
		run(&f);
	assert_int_equal(world.frame_count, 0);
	assert_int_equal(world.workers[0].stats.drop[DROP_neighbour_unresolved], 2);
	// Asked once, not once a packet.
	assert_int_equal(world.wanted_count, 1);
	struct net_address gateway = address("192.0.2.254");
	assert_memory_equal(&world.wanted.address, &gateway, sizeof(gateway));
	assert_int_equal(world.wanted.ifindex, WORLD_IFINDEX);
	pipeline_held(&world.workers[0], world.now);
	assert_int_equal(world.frame_count, 0);
	world_neighbour("192.0.2.254", world_gateway_mac);
	pipeline_held(&world.workers[0], world.now);
	assert_int_equal(world.frame_count, HELD_PER_NEIGHBOUR);
	assert_int_equal(seen_at(0).checksum, SEEN_RIGHT);
	assert_memory_equal(world.frames[0].bytes, world_gateway_mac, 6);
	run(&f);
	assert_int_equal(world.frame_count, HELD_PER_NEIGHBOUR + 1);
	world_close();
}

static void held_not_longer_than_a_second(void **state)
{
	(void)state;
	world_open();
	assert_int_equal(install_allocation_for(0, 0, 1), 0);
	assert_int_equal(install_channel(0, 1, 0x4001, world_peer[0], 5000), 0);
	forget_gateway();
	world_clear();
	struct frame f = channel_data(0);
	run(&f);
	world.now += seconds(1) / 2;
	pipeline_held(&world.workers[0], world.now);
	assert_int_equal(world.dropped, 0);
	world.now += seconds(1);
	pipeline_held(&world.workers[0], world.now);
	assert_dropped(neighbour_unresolved);
	assert_int_equal(world.workers[0].mappings->held->used, 0);
	// The next packet asks again.
	run(&f);
	assert_int_equal(world.wanted_count, 1);
	world_close();
}

// Many silent neighbours fill their places and no more.
static void held_places_are_bounded(void **state)
{
	(void)state;
	world_open();
	assert_int_equal(install_allocation_for(0, 0, 1), 0);
	struct api_route link = world_route("203.0.113.0", 24, NULL);
	assert_int_equal(next_hops_route_set(world.next_hops, &link), 0);
	world_clear();
	for (uint16_t i = 0; i < 50; i++) {
		char peer[32];
		snprintf(peer, sizeof(peer), "203.0.113.%u", 100 + i);
		assert_int_equal(install_channel(0, 1, (uint16_t)(0x4000 + i), peer, 9), 0);
	}
	// Installing already asked, before any packet.
	assert_int_equal(world.wanted_count, HELD_NEIGHBOURS);
	for (unsigned turn = 0; turn < 20; turn++) {
		for (uint16_t i = 0; i < 50; i++) {
			channel_data_write_header(channel_message, (uint16_t)(0x4000 + i), 160);
			struct frame f = from_client(0, channel_message, sizeof(channel_message));
			run(&f);
		}
	}
	assert_int_equal(world.frame_count, 0);
	assert_int_equal(world.workers[0].stats.event[EVENT_neighbour_held], 256);
	assert_int_equal(world.dropped, 1000 - 256);
	world_close();
}

// While main changes routes a cached next hop goes on being used, and what has none waits.
static void main_is_writing(void **state)
{
	(void)state;
	world_open();
	assert_int_equal(install_allocation_for(0, 0, 1), 0);
	assert_int_equal(install_channel(0, 1, 0x4001, world_peer[0], 5000), 0);
	struct frame f = channel_data(0), back = from_peer(0, 1);
	run(&f);
	assert_int_equal(world.frame_count, 1);
	struct api_route route = world_route("203.0.113.0", 24, "192.0.2.254");
	assert_int_equal(next_hops_route_set(world.next_hops, &route), 0);
	rte_rwlock_write_lock(&world.next_hops->lock);
	run(&f);
	assert_int_equal(world.frame_count, 2);
	run(&back);
	assert_int_equal(world.frame_count, 2);
	assert_int_equal(world.dropped, 0);
	pipeline_held(&world.workers[0], world.now);
	assert_int_equal(world.frame_count, 2);
	rte_rwlock_write_unlock(&world.next_hops->lock);
	pipeline_held(&world.workers[0], world.now);
	assert_int_equal(world.frame_count, 3);
	assert_int_equal(world.wanted_count, 0);
	world_close();
}

static void routes_take_effect_at_once(void **state)
{
	(void)state;
	world_open();
	assert_int_equal(install_allocation_for(0, 0, 1), 0);
	assert_int_equal(install_channel(0, 1, 0x4001, world_peer[0], 5000), 0);
	struct frame f = channel_data(0), back = from_peer(0, 1);
	static const uint8_t other[6] = {2, 0, 0, 0, 0, 0xB};
	world_neighbour("192.0.2.11", other);
	run(&f);
	run(&back);
	struct api_route route = world_route("203.0.113.0", 24, "192.0.2.11");
	assert_int_equal(next_hops_route_set(world.next_hops, &route), 0);
	run(&f);
	run(&back);
	assert_int_equal(world.frame_count, 4);
	assert_memory_equal(world.frames[0].bytes, world_gateway_mac, 6);
	assert_memory_equal(world.frames[2].bytes, other, 6);
	assert_memory_equal(world.frames[3].bytes, world_gateway_mac, 6);
	world_clear();
	// The client's route changes; the peer's direction looks its own up first, and must not
	// make the other's old next hop look fresh.
	struct api_route clients = world_route("198.51.100.0", 24, "192.0.2.11");
	assert_int_equal(next_hops_route_set(world.next_hops, &clients), 0);
	run(&f);
	run(&back);
	assert_memory_equal(world.frames[1].bytes, other, 6);
	assert_int_equal(next_hops_route_delete(world.next_hops, &clients.prefix), 0);
	world_clear();
	route.count = 0;
	assert_int_equal(next_hops_route_set(world.next_hops, &route), 0);
	run(&f);
	assert_dropped(blackhole);
	world_link(0, 1500, false);
	run(&back);
	assert_dropped(link_down);
	struct api_route all = world_route("0.0.0.0", 0, NULL);
	assert_int_equal(next_hops_route_delete(world.next_hops, &all.prefix), 0);
	run(&back);
	assert_dropped(no_route);
	world_close();
}

// ---- datagrams of our own ----

static void sends_for_the_control_plane(void **state)
{
	(void)state;
	world_open();
	for (unsigned family = 0; family < 2; family++) {
		struct api_packet_send send = {
			.source = endpoint(world_server[family], 3478),
			.destination = endpoint(world_client[family], 40000),
			.length = 33,
		};
		assert_int_equal(pipeline_send(&world.workers[0], &send, voice, world.now), 0);
		struct seen s = seen_one();
		assert_endpoint(&s.source, &send.source);
		assert_endpoint(&s.destination, &send.destination);
		assert_int_equal(s.checksum, SEEN_RIGHT);
		assert_int_equal(s.h.payload_length, 33);
		assert_memory_equal(s.payload, voice, 33);
		world_clear();
		send.source = endpoint(world_peer[family], 3478);
		assert_int_equal(
			pipeline_send(&world.workers[0], &send, voice, world.now), -EINVAL);
		send.source = endpoint(world_server[!family], 3478);
		assert_int_equal(
			pipeline_send(&world.workers[0], &send, voice, world.now), -EINVAL);
	}
	struct api_packet_send send = {
		.source = endpoint(world_server[0], 3478),
		.destination = endpoint(world_client[0], 40000),
		.length = 100,
		.flags = API_SEND_UNAUTHENTICATED,
	};
	unsigned sent = 0;
	while (pipeline_send(&world.workers[0], &send, voice, world.now) == 0) {
		world.frame_count = 0;
		sent++;
	}
	assert_int_equal(sent, GUARD_REPLY_BYTES / 128);
	// Authenticated answers are not held up by it.
	send.flags = 0;
	assert_int_equal(pipeline_send(&world.workers[0], &send, voice, world.now), 0);
	world_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(held_until_resolved),
		cmocka_unit_test(held_not_longer_than_a_second),
		cmocka_unit_test(held_places_are_bounded),
		cmocka_unit_test(main_is_writing),
		cmocka_unit_test(routes_take_effect_at_once),
		cmocka_unit_test(sends_for_the_control_plane),
	};
	return cmocka_run_group_tests(tests, world_setup, NULL);
}
