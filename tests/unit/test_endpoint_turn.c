// SPDX-License-Identifier: BSD-3-Clause
// The TURN client's life with a server that keeps to the rules: allocation, permissions, channels,
// data, an hour of keeping all that, other networks, and the end. Virtual clock, losses from seeds.
#include "tests/unit/turn_world.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct turn_world w;

static int begin(void **state)
{
	(void)state;
	world_begin(&w, 1);
	return 0;
}

static int end(void **state)
{
	(void)state;
	world_end(&w);
	return 0;
}

static struct world_event *allocated(void)
{
	unsigned from = w.event_count;
	turn_client_start(w.client, w.now_ms);
	struct world_event *event = world_wait(&w, from, TURN_CLIENT_ALLOCATED, 60000);
	assert_non_null(event);
	return event;
}

static int send_text(const struct endpoint_transport *peer, const char *text)
{
	return turn_client_send(w.client, peer, text, strlen(text), w.now_ms);
}

static void peer_says(const struct endpoint_transport *peer, const char *text)
{
	struct net_endpoint from = world_net(peer);
	struct server_allocation *a = server_find(&w.server, &w.outside);
	assert_non_null(a);
	server_from_peer(&w.server, a, &from, (const uint8_t *)text, strlen(text));
}

static void assert_delivered(
	unsigned number, const struct endpoint_transport *peer, const char *text, bool by_channel)
{
	assert_true(number < w.delivery_count);
	const struct world_delivery *d = &w.deliveries[number];
	struct net_endpoint wanted = world_net(peer);
	assert_true(net_endpoint_equal(&d->peer, &wanted));
	assert_int_equal(d->size, strlen(text));
	assert_memory_equal(d->data, text, d->size);
	assert_int_equal(d->by_channel, by_channel);
}

static void allocates_in_two_round_trips(void **state)
{
	(void)state;
	uint64_t start = w.now_ms;
	struct world_event *event = allocated();
	struct net_endpoint mapped = world_net(&event->event.allocated.mapped);
	struct net_endpoint relayed = world_net(&event->event.allocated.relayed);
	assert_int_equal(event->at - start, 40); // one of them for the nonce
	assert_true(net_endpoint_equal(&mapped, &w.outside));
	assert_true(net_endpoint_equal(&relayed, &server_find(&w.server, &w.outside)->relayed));
	assert_int_equal(event->event.allocated.lifetime_s, 600);
	assert_false(event->event.allocated.anew);
	struct turn_client_usage usage;
	turn_client_usage(w.client, &usage);
	assert_true(usage.allocated);
	assert_int_equal(usage.round_trip_ms, 20);
	assert_int_equal(usage.relayed.port, relayed.port);
}

// No credentials, MD5 without negotiation, SHA-256, and with the user hidden: turn_server.h insists
// on exactly what it asks for.
static void shows_credentials_as_the_server_wants_them(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		world_end(&w);
		world_begin(&w, 1);
		if (kind == 0)
			w.server.user = w.config.user = w.config.password = NULL;
		w.server.algorithms = kind >= 2;
		w.server.anonymity = kind == 3;
		world_client_make(&w);
		allocated();
		assert_int_equal(w.server.authenticated, kind == 0 ? 0 : 1);
		assert_int_equal(w.server.seen[STUN_ALLOCATE], kind == 0 ? 1 : 2);
	}
}

static void asks_for_the_family_and_the_lifetime(void **state)
{
	(void)state;
	struct endpoint_transport v6 = {.family = 6, .address = {0x20, 1, 0xd, 0xb8, 9}, .port = 9};
	struct endpoint_transport v4 = world_peer(1);
	w.config.family = 6;
	w.config.lifetime_s = 120;
	world_client_make(&w);
	struct world_event *event = allocated();
	assert_int_equal(event->event.allocated.relayed.family, 6);
	assert_int_equal(event->event.allocated.lifetime_s, 120);
	assert_int_equal(send_text(&v4, "no"), -EAFNOSUPPORT);
	assert_int_equal(send_text(&v6, "six"), 0);
	world_run(&w, 100);
	assert_delivered(0, &v6, "six", false);
	peer_says(&v6, "and back");
	assert_non_null(world_wait(&w, 0, TURN_CLIENT_DATA, 100));
	assert_true(world_same(&w.events[w.event_count - 1].event.peer, &v6));
}

// RFC 8489 6.2.1: after RTO, 2 RTO ... 32 RTO, and 16 RTO more; RTO is 500 ms and up to an eighth.
static void repeats_as_the_rfc_says_and_gives_up(void **state)
{
	(void)state;
	w.server.dead = true;
	uint64_t start = w.now_ms;
	turn_client_start(w.client, w.now_ms);
	struct world_event *event = world_wait(&w, 0, TURN_CLIENT_FAILED, 60000);
	assert_non_null(event);
	assert_int_equal(event->event.failed.why, TURN_CLIENT_UNREACHABLE);
	assert_int_equal(w.sent_count, 7);
	uint64_t rto = w.sent_at[1] - w.sent_at[0];
	assert_in_range(rto, 500, 563);
	for (unsigned i = 1; i < 7; i++)
		assert_int_equal(w.sent_at[i] - w.sent_at[i - 1], rto << (i - 1));
	assert_int_equal(w.sent_at[0], start);
	assert_int_equal(event->at - w.sent_at[6], 8000);
	assert_true(turn_client_deadline(w.client) == ENDPOINT_NEVER);
	assert_int_equal(turn_client_counter(w.client, TURN_CLIENT_COUNTER_retransmissions), 6);
	w.server.dead = false;
	allocated();
}

// A connectivity check that comes before the permission is not lost, so it needs no repetition.
static void the_first_small_datagram_waits_for_its_permission(void **state)
{
	(void)state;
	struct endpoint_transport peer = world_peer(1), other = world_peer(2);
	char large[TURN_CLIENT_HELD_MAX + 1] = {1};
	assert_int_equal(send_text(&peer, "early"), -ENOTCONN);
	allocated();
	assert_int_equal(send_text(&peer, "check"), 0);
	assert_int_equal(
		turn_client_send(w.client, &other, large, sizeof(large), w.now_ms), -EAGAIN);
	struct world_event *event = world_wait(&w, 0, TURN_CLIENT_PERMITTED, 1000);
	assert_non_null(event);
	assert_int_equal(event->event.peer.address[3], peer.address[3]);
	assert_int_equal(event->event.peer.port, 0);
	world_run(&w, 100);
	assert_int_equal(w.delivery_count, 1);
	assert_delivered(0, &peer, "check", false);
	assert_int_equal(turn_client_send(w.client, &other, large, sizeof(large), w.now_ms), 0);
	world_run(&w, 100);
	assert_int_equal(w.delivery_count, 2);
	assert_int_equal(w.server.seen[STUN_CREATE_PERMISSION], 2);
	// Whatever its port, an address has one permission.
	peer.port++;
	assert_int_equal(send_text(&peer, "other port"), 0);
	world_run(&w, 100);
	assert_delivered(2, &peer, "other port", false);
	assert_int_equal(w.server.seen[STUN_CREATE_PERMISSION], 2);
	char too_large[TURN_CLIENT_DATA_MAX + 1] = {0};
	assert_int_equal(turn_client_send(w.client, &peer, too_large, sizeof(too_large), w.now_ms),
		-EMSGSIZE);
	assert_int_equal(
		turn_client_send(w.client, &peer, too_large, TURN_CLIENT_DATA_MAX, w.now_ms), 0);
}

static void lose_channel_answers(
	struct turn_world *world, bool to_server, uint8_t *data, size_t *size)
{
	(void)world;
	if (!to_server && data[0] == 1 && data[1] == (STUN_CHANNEL_BIND & 15))
		*size = 0;
}

static void data_goes_by_channel_once_there_is_one(void **state)
{
	(void)state;
	struct endpoint_transport peer = world_peer(1);
	allocated();
	w.look = lose_channel_answers;
	assert_int_equal(turn_client_bind(w.client, &peer, w.now_ms), 0);
	assert_int_equal(send_text(&peer, "one"), 0);
	world_run(&w, 100);
	assert_int_equal(send_text(&peer, "two"), 0);
	// ChannelData may overtake the answer to ChannelBind.
	peer_says(&peer, "early bird");
	world_run(&w, 100);
	struct world_event *data = world_find(&w, 0, TURN_CLIENT_DATA);
	assert_non_null(data);
	assert_memory_equal(data->data, "early bird", 10);
	assert_true(world_same(&data->event.peer, &peer));
	assert_int_equal(turn_client_counter(w.client, TURN_CLIENT_COUNTER_received_by_channel), 1);
	w.look = NULL;
	assert_non_null(world_wait(&w, 0, TURN_CLIENT_BOUND, 5000));
	assert_int_equal(send_text(&peer, "three"), 0);
	world_run(&w, 100);
	assert_delivered(0, &peer, "one", false);
	assert_delivered(1, &peer, "two", false);
	assert_delivered(2, &peer, "three", true);
	assert_int_equal(turn_client_bind(w.client, &peer, w.now_ms), 0); // again is harmless
	assert_int_equal(turn_client_deadline(w.client) > w.now_ms, 1);
}

// Everything that has to be renewed is, in time, while it is used: with nothing lost on the wire
// nothing is lost at all.
static void keeps_all_of_it_for_an_hour(void **state)
{
	(void)state;
	struct endpoint_transport bound = world_peer(1), plain = world_peer(2),
				  idle = world_peer(3);
	unsigned received = 0;
	allocated();
	turn_client_bind(w.client, &bound, w.now_ms);
	turn_client_permit(w.client, &plain, w.now_ms);
	turn_client_permit(w.client, &idle, w.now_ms);
	world_run(&w, 100);
	for (unsigned i = 0; i < 360; i++) {
		w.delivery_count = 0;
		w.event_count = 0;
		assert_int_equal(send_text(&bound, "b"), 0);
		assert_int_equal(send_text(&plain, "p"), 0);
		peer_says(&bound, "B");
		peer_says(&plain, "P");
		world_run(&w, 10000);
		assert_int_equal(w.delivery_count, 2);
		assert_true(w.deliveries[0].by_channel);
		assert_false(w.deliveries[1].by_channel);
		assert_int_equal(w.event_count, 2); // the data, and nothing else is told
		for (unsigned e = 0; e < w.event_count; e++)
			received += w.events[e].event.type == TURN_CLIENT_DATA;
	}
	assert_int_equal(received, 720);
	struct turn_client_usage usage;
	turn_client_usage(w.client, &usage);
	assert_int_equal(usage.permissions, 2); // the idle one has lapsed
	assert_int_equal(usage.channels, 1);
	assert_in_range(w.server.seen[STUN_REFRESH], 6, 8);      // each 540 s or a little less
	assert_in_range(w.server.seen[STUN_CHANNEL_BIND], 7, 7); // each 540 s
	assert_in_range(w.server.seen[STUN_CREATE_PERMISSION], 15, 32); // each 240 s at most
	assert_int_equal(server_live(&w.server), 1);
	world_end(&w);
}

// With a fifth of all packets lost, others doubled and late, the server never forgets what is used.
static void keeps_it_through_losses(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		world_end(&w);
		world_begin(&w, seed);
		w.loss = 20;
		w.doubled = 10;
		w.jitter_ms = 200;
		struct endpoint_transport peer = world_peer(1);
		struct net_endpoint net = world_net(&peer);
		allocated();
		turn_client_bind(w.client, &peer, w.now_ms);
		assert_non_null(world_wait(&w, 0, TURN_CLIENT_BOUND, 40000));
		unsigned allocations = w.server.next_port;
		for (unsigned i = 0; i < 400; i++) {
			w.delivery_count = 0;
			w.event_count = 0;
			assert_int_equal(send_text(&peer, "b"), 0);
			peer_says(&peer, "B");
			world_run(&w, 5000);
			struct server_allocation *a = server_find(&w.server, &w.outside);
			assert_non_null(a);
			assert_true(server_permits(&w.server, a, &net.address));
			for (unsigned d = 0; d < w.delivery_count; d++)
				assert_true(w.deliveries[d].by_channel);
		}
		assert_int_equal(w.server.next_port, allocations);
	}
}

static void an_unused_permission_lapses_and_comes_back_on_demand(void **state)
{
	(void)state;
	struct endpoint_transport peer = world_peer(1);
	struct turn_client_usage usage;
	allocated();
	turn_client_permit(w.client, &peer, w.now_ms);
	world_run(&w, 299000);
	turn_client_usage(w.client, &usage);
	assert_int_equal(usage.permissions, 1);
	world_run(&w, 2000);
	turn_client_usage(w.client, &usage);
	assert_int_equal(usage.permissions, 0);
	assert_int_equal(w.server.seen[STUN_CREATE_PERMISSION], 1);
	assert_int_equal(send_text(&peer, "again"), 0);
	world_run(&w, 100);
	assert_delivered(0, &peer, "again", false);
}

static void another_network_brings_all_of_it_back(void **state)
{
	(void)state;
	struct endpoint_transport bound = world_peer(1), plain = world_peer(2);
	struct endpoint_transport first = allocated()->event.allocated.relayed;
	turn_client_bind(w.client, &bound, w.now_ms);
	turn_client_permit(w.client, &plain, w.now_ms);
	world_run(&w, 100);
	unsigned seen = w.event_count;
	uint64_t start = w.now_ms;
	w.outside.port++;
	turn_client_network_changed(w.client, w.now_ms);
	struct world_event *event = world_wait(&w, seen, TURN_CLIENT_ALLOCATED, 1000);
	assert_non_null(event);
	assert_int_equal(event->at - start, 40); // the nonce was bound to the old place
	assert_true(event->event.allocated.anew);
	assert_int_not_equal(event->event.allocated.relayed.port, first.port);
	assert_int_equal(event->event.allocated.mapped.port, w.outside.port);
	assert_non_null(world_wait(&w, seen, TURN_CLIENT_BOUND, 100));
	assert_int_equal(send_text(&bound, "b"), 0);
	assert_int_equal(send_text(&plain, "p"), 0);
	world_run(&w, 100);
	assert_delivered(0, &bound, "b", true);
	assert_delivered(1, &plain, "p", false);
}

static void the_same_network_changes_nothing(void **state)
{
	(void)state;
	struct endpoint_transport peer = world_peer(1);
	allocated();
	turn_client_bind(w.client, &peer, w.now_ms);
	world_run(&w, 100);
	unsigned seen = w.event_count;
	for (unsigned i = 0; i < 3; i++) {
		turn_client_network_changed(w.client, w.now_ms);
		assert_int_equal(send_text(&peer, "meanwhile"), 0);
		world_run(&w, 1000);
		assert_delivered(i, &peer, "meanwhile", true);
	}
	assert_int_equal(w.event_count, seen);
	assert_int_equal(server_live(&w.server), 1);
	assert_int_equal(w.server.seen[STUN_REFRESH], 3); // each has proven that it is ours
}

// Nobody says that a NAT on the way has forgotten us: the question after a while shows it.
static void a_rebinding_is_noticed(void **state)
{
	(void)state;
	allocated();
	unsigned seen = w.event_count;
	w.outside.port += 7;
	struct world_event *event = world_wait(&w, seen, TURN_CLIENT_ALLOCATED, 15100);
	assert_non_null(event);
	assert_true(event->event.allocated.anew);
	assert_int_equal(event->event.allocated.mapped.port, w.outside.port);
	// At once when the owner asks.
	seen = w.event_count;
	uint64_t start = w.now_ms;
	w.outside.port += 7;
	turn_client_check(w.client, w.now_ms);
	turn_client_check(w.client, w.now_ms);
	event = world_wait(&w, seen, TURN_CLIENT_ALLOCATED, 1000);
	assert_non_null(event);
	assert_int_equal(event->at - start, 60);
}

static void a_server_that_forgot_us_is_asked_again(void **state)
{
	(void)state;
	struct endpoint_transport peer = world_peer(1), other = world_peer(2);
	for (unsigned how = 0; how < 3; how++) { // told by Refresh, CreatePermission, ChannelBind
		unsigned seen = w.event_count;
		allocated();
		turn_client_permit(w.client, &peer, w.now_ms);
		world_run(&w, 100);
		memset(w.server.allocations, 0, sizeof(w.server.allocations));
		w.server.nonce_age++;
		seen = w.event_count;
		if (how == 1)
			turn_client_permit(w.client, &other, w.now_ms);
		if (how == 2)
			turn_client_bind(w.client, &peer, w.now_ms);
		struct world_event *event = world_wait(&w, seen, TURN_CLIENT_ALLOCATED, 560000);
		assert_non_null(event);
		assert_true(event->event.allocated.anew);
		world_run(&w, 100);
		w.delivery_count = 0;
		assert_int_equal(send_text(&peer, "still here"), 0);
		world_run(&w, 100);
		assert_delivered(0, &peer, "still here", how == 2);
		turn_client_release(w.client, w.now_ms);
		assert_non_null(world_wait(&w, seen, TURN_CLIENT_RELEASED, 1000));
	}
}

// It answers Bindings as before, so only a Refresh shows it: each minute, or when the owner doubts.
static void a_restart_of_the_server_is_noticed(void **state)
{
	(void)state;
	struct endpoint_transport peer = world_peer(1);
	allocated();
	turn_client_permit(w.client, &peer, w.now_ms);
	for (unsigned asked = 0; asked < 2; asked++) {
		world_run(&w, 100);
		unsigned seen = w.event_count;
		uint64_t start = w.now_ms;
		memset(w.server.allocations, 0, sizeof(w.server.allocations));
		w.server.nonce_age++;
		if (asked)
			turn_client_check(w.client, w.now_ms);
		struct world_event *event = world_wait(&w, seen, TURN_CLIENT_ALLOCATED, 70000);
		assert_non_null(event);
		assert_in_range(event->at - start, asked ? 60 : 59000, asked ? 60 : 61000);
		assert_int_equal(w.server.seen[STUN_BINDING], 3);
	}
}

static void gives_back_what_it_has(void **state)
{
	(void)state;
	struct turn_client_usage usage;
	allocated();
	turn_client_release(w.client, w.now_ms);
	assert_int_equal(send_text(&(struct endpoint_transport){.family = 4}, "no"), -ENOTCONN);
	struct world_event *event = world_wait(&w, 0, TURN_CLIENT_RELEASED, 1000);
	assert_non_null(event);
	assert_int_equal(server_live(&w.server), 0);
	assert_true(turn_client_deadline(w.client) == ENDPOINT_NEVER);
	turn_client_usage(w.client, &usage);
	assert_false(usage.allocated);
	assert_int_equal(usage.relayed.family, 0);
	// Nothing to give back.
	unsigned seen = w.event_count;
	turn_client_release(w.client, w.now_ms);
	assert_non_null(world_find(&w, seen, TURN_CLIENT_RELEASED));
	// What may be granted while we turn away is given back as well.
	turn_client_start(w.client, w.now_ms);
	world_run(&w, 15);
	assert_int_equal(w.server.seen[STUN_ALLOCATE], 3);
	turn_client_release(w.client, w.now_ms);
	world_run(&w, 3000);
	assert_int_equal(server_live(&w.server), 0);
	assert_null(world_find(&w, seen, TURN_CLIENT_ALLOCATED));
	// Who starts again while it is being released gets a new one.
	allocated();
	turn_client_release(w.client, w.now_ms);
	allocated();
	assert_int_equal(server_live(&w.server), 1);
	// A server that is gone keeps nobody waiting.
	w.server.dead = true;
	seen = w.event_count;
	uint64_t start = w.now_ms;
	turn_client_release(w.client, w.now_ms);
	event = world_wait(&w, seen, TURN_CLIENT_RELEASED, 5000);
	assert_non_null(event);
	assert_int_equal(event->at - start, 2000);
}

static void stale_nonces_delay_and_break_nothing(void **state)
{
	(void)state;
	struct endpoint_transport peer = world_peer(1);
	allocated();
	for (unsigned i = 0; i < 5; i++) {
		w.server.nonce_age++;
		peer.address[3]++;
		w.delivery_count = 0;
		assert_int_equal(send_text(&peer, "x"), 0);
		world_run(&w, 60);
		assert_delivered(0, &peer, "x", false);
	}
	assert_int_equal(turn_client_counter(w.client, TURN_CLIENT_COUNTER_stale_nonces), 5);
}

static void allocates_through_losses(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 100; seed++) {
		world_end(&w);
		world_begin(&w, seed);
		w.loss = 30;
		w.doubled = 20;
		w.jitter_ms = 100;
		allocated();
		assert_int_equal(server_live(&w.server), 1); // repeated, not made twice
		turn_client_release(w.client, w.now_ms);
		assert_non_null(world_wait(&w, 0, TURN_CLIENT_RELEASED, 2100));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
		TEST(allocates_in_two_round_trips),
		TEST(shows_credentials_as_the_server_wants_them),
		TEST(asks_for_the_family_and_the_lifetime),
		TEST(repeats_as_the_rfc_says_and_gives_up),
		TEST(the_first_small_datagram_waits_for_its_permission),
		TEST(data_goes_by_channel_once_there_is_one),
		TEST(keeps_all_of_it_for_an_hour),
		TEST(keeps_it_through_losses),
		TEST(an_unused_permission_lapses_and_comes_back_on_demand),
		TEST(another_network_brings_all_of_it_back),
		TEST(the_same_network_changes_nothing),
		TEST(a_rebinding_is_noticed),
		TEST(a_server_that_forgot_us_is_asked_again),
		TEST(a_restart_of_the_server_is_noticed),
		TEST(gives_back_what_it_has),
		TEST(stale_nonces_delay_and_break_nothing),
		TEST(allocates_through_losses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
