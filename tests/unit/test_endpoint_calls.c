// SPDX-License-Identifier: BSD-3-Clause
// Calls between endpoints: opening, accepting, declining, cancelling, closing; what is lost,
// doubled and reordered; clients that move, relays that restart. Virtual clock.
#include "tests/unit/endpoint_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct world w;
static struct world_client *alice, *bob;

static void start(uint64_t seed)
{
	world_begin(&w, seed);
	alice = world_client_make(&w, 0);
	bob = world_client_make(&w, 1);
	endpoint_register(alice->endpoint, world_time(alice));
	endpoint_register(bob->endpoint, world_time(bob));
	world_run(&w, 500);
}

static int begin(void **state)
{
	(void)state;
	start(1);
	return 0;
}

static int end(void **state)
{
	(void)state;
	world_end(&w);
	return 0;
}

static void accept_all(struct world_client *c, const struct endpoint_event *event)
{
	if (event->type == ENDPOINT_INVITE)
		assert_int_equal(
			endpoint_accept(c->endpoint, event->call, "welcome", 7, world_time(c)), 0);
}

static void decline_all(struct world_client *c, const struct endpoint_event *event)
{
	if (event->type == ENDPOINT_INVITE)
		assert_int_equal(endpoint_decline(c->endpoint, event->call, world_time(c)), 0);
}

static uint64_t call(struct world_client *from, const struct world_client *to)
{
	uint64_t id;
	assert_int_equal(
		endpoint_open(from->endpoint, &to->peer, "hello", 5, &id, world_time(from)), 0);
	return id;
}

// Opens a call and returns its ids at both ends.
static void opened(uint64_t ids[2])
{
	unsigned a = alice->event_count, b = bob->event_count;
	bob->react = accept_all;
	ids[0] = call(alice, bob);
	struct world_event *event = world_wait(&w, alice, a, ENDPOINT_OPENED, 60000);
	assert_non_null(event);
	assert_int_equal(event->event.call, ids[0]);
	event = world_wait(&w, bob, b, ENDPOINT_OPENED, 60000);
	assert_non_null(event);
	ids[1] = event->event.call;
}

static unsigned usage_calls(struct world_client *c)
{
	struct endpoint_usage usage;
	endpoint_usage(c->endpoint, &usage);
	return usage.calls;
}

static void say(struct world_client *c, uint64_t id, const char *text)
{
	assert_int_equal(endpoint_send(c->endpoint, id, text, strlen(text), world_time(c)), 0);
}

static bool heard(struct world_client *c, const char *text)
{
	for (unsigned i = 0; i < c->event_count; i++)
		if (c->events[i].event.type == ENDPOINT_DATA && c->events[i].size == strlen(text) &&
			memcmp(c->events[i].data, text, strlen(text)) == 0)
			return true;
	return false;
}

static void opens_and_talks(void **state)
{
	(void)state;
	uint64_t ids[2], start_ms = w.now_ms;
	opened(ids);
	assert_int_equal(w.now_ms - start_ms, 40); // OPEN, INVITE, ACCEPT, OPENED
	struct world_event *invite = world_find(bob, 0, ENDPOINT_INVITE);
	assert_int_equal(invite->size, 5);
	assert_memory_equal(invite->data, "hello", 5);
	assert_memory_equal(&invite->from, &alice->peer, sizeof(alice->peer));
	struct world_event *open = world_find(alice, 0, ENDPOINT_OPENED);
	assert_int_equal(open->size, 7);
	assert_memory_equal(open->data, "welcome", 7);
	say(alice, ids[0], "one");
	say(bob, ids[1], "two");
	say(alice, ids[0], "");
	world_run(&w, 100);
	assert_true(heard(bob, "one"));
	assert_true(heard(alice, "two"));
	assert_true(heard(bob, ""));
	uint8_t longest[ENDPOINT_DATA_MAX + 1];
	memset(longest, 'x', sizeof(longest));
	assert_int_equal(endpoint_send(alice->endpoint, ids[0], longest, ENDPOINT_DATA_MAX,
				 world_time(alice)),
		0);
	assert_int_equal(
		endpoint_send(alice->endpoint, ids[0], longest, sizeof(longest), world_time(alice)),
		-EMSGSIZE);
	assert_int_equal(
		endpoint_send(alice->endpoint, ids[0] + 9, "x", 1, world_time(alice)), -ENOENT);
}

static void accept_bare(struct world_client *c, const struct endpoint_event *event)
{
	if (event->type != ENDPOINT_INVITE)
		return;
	assert_int_equal(endpoint_call_bare(c->endpoint, event->call), 0);
	assert_int_equal(endpoint_accept(c->endpoint, event->call, "", 0, world_time(c)), 0);
}

static const char bare_text[] = "nobody seals this";

static bool in_clear(struct world *world, bool to_relay, const uint8_t *data, size_t size)
{
	unsigned *seen = world->look_context;
	(void)to_relay;
	*seen += memmem(data, size, bare_text, sizeof(bare_text) - 1) != NULL;
	return true;
}

static void bare_calls_carry_bytes(void **state)
{
	(void)state;
	unsigned seen = 0;
	uint8_t longest[ENDPOINT_BARE_MAX + 1] = {9};
	bob->react = accept_bare;
	uint64_t id = call(alice, bob);
	assert_int_equal(endpoint_call_bare(alice->endpoint, id), 0);
	assert_int_equal(endpoint_call_bare(alice->endpoint, id + 9), -ENOENT);
	assert_non_null(world_wait(&w, alice, 0, ENDPOINT_OPENED, 1000));
	world_run(&w, 100);
	w.look = in_clear;
	w.look_context = &seen;
	say(alice, id, bare_text);
	assert_int_equal(
		endpoint_send(alice->endpoint, id, longest, ENDPOINT_BARE_MAX, world_time(alice)),
		0);
	assert_int_equal(
		endpoint_send(alice->endpoint, id, longest, sizeof(longest), world_time(alice)),
		-EMSGSIZE);
	world_run(&w, 100);
	assert_true(heard(bob, bare_text));
	assert_int_equal(seen, 2); // to the relay and from it
}

static void is_kept_for_hours(void **state)
{
	(void)state;
	uint64_t ids[2];
	opened(ids);
	for (unsigned i = 0; i < 150; i++) {
		world_run(&w, 60000);
		say(alice, ids[0], "still here");
		say(bob, ids[1], "me too");
	}
	world_run(&w, 100);
	assert_int_equal(world_count(bob, ENDPOINT_DATA), 150);
	assert_int_equal(world_count(alice, ENDPOINT_DATA), 150);
	assert_int_equal(world_count(alice, ENDPOINT_ENDED), 0);
}

static void either_side_closes(void **state)
{
	(void)state;
	for (unsigned side = 0; side < 2; side++) {
		uint64_t ids[2];
		opened(ids);
		struct world_client *one = side == 0 ? alice : bob;
		struct world_client *other = side == 0 ? bob : alice;
		unsigned seen = other->event_count, own = one->event_count;
		assert_int_equal(endpoint_close(one->endpoint, ids[side], world_time(one)), 0);
		assert_int_equal(
			endpoint_close(one->endpoint, ids[side], world_time(one)), -ENOENT);
		struct world_event *event = world_wait(&w, other, seen, ENDPOINT_ENDED, 100);
		assert_non_null(event);
		assert_int_equal(event->event.call, ids[side ^ 1]);
		assert_int_equal(event->event.ended.why, ENDPOINT_END_BY_PEER);
		world_run(&w, 100);
		assert_null(world_find(one, own, ENDPOINT_ENDED));
		assert_int_equal(usage_calls(alice), 0);
		assert_int_equal(usage_calls(bob), 0);
	}
}

static void declined(void **state)
{
	(void)state;
	bob->react = decline_all;
	uint64_t id = call(alice, bob);
	struct world_event *event = world_wait(&w, alice, 0, ENDPOINT_ENDED, 1000);
	assert_non_null(event);
	assert_int_equal(event->event.call, id);
	assert_int_equal(event->event.ended.why, ENDPOINT_END_DECLINED);
	world_run(&w, 40000);
	assert_int_equal(usage_calls(bob), 0);
	assert_int_equal(world_count(bob, ENDPOINT_INVITE), 1);
}

static void rings_long_and_is_cancelled(void **state)
{
	(void)state;
	uint64_t id = call(alice, bob);
	assert_non_null(world_wait(&w, bob, 0, ENDPOINT_INVITE, 1000));
	world_run(&w, 25000); // longer than one ticket from the first on would do with the answer
	assert_int_equal(world_count(bob, ENDPOINT_INVITE), 1);
	assert_int_equal(world_count(bob, ENDPOINT_ENDED), 0);
	assert_int_equal(endpoint_close(alice->endpoint, id, world_time(alice)), 0);
	struct world_event *event = world_wait(&w, bob, 0, ENDPOINT_ENDED, 16000);
	assert_non_null(event);
	assert_int_equal(event->event.ended.why, ENDPOINT_END_CANCELLED);
	world_run(&w, 40000);
	assert_int_equal(usage_calls(alice), 0);
	assert_int_equal(world_count(alice, ENDPOINT_ENDED), 0);
}

static void nobody_answers(void **state)
{
	(void)state;
	uint64_t id = call(alice, bob);
	struct world_event *event = world_wait(&w, alice, 0, ENDPOINT_ENDED, 40000);
	assert_non_null(event);
	assert_int_equal(event->event.call, id);
	assert_int_equal(event->event.ended.why, ENDPOINT_END_NO_ANSWER);
	assert_in_range(w.relay.opens, 14, 20); // repeated, not flooded
	world_run(&w, 40000);
	assert_int_equal(usage_calls(alice), 0);
	assert_int_equal(usage_calls(bob), 0);
}

// The callee accepts at the moment the caller gives up: no half of a pair stays open.
static void accepted_too_late(void **state)
{
	(void)state;
	uint64_t id = call(alice, bob);
	struct world_event *invite = world_wait(&w, bob, 0, ENDPOINT_INVITE, 1000);
	assert_int_equal(endpoint_close(alice->endpoint, id, world_time(alice)), 0);
	assert_int_equal(
		endpoint_accept(bob->endpoint, invite->event.call, NULL, 0, world_time(bob)), 0);
	struct world_event *event = world_wait(&w, bob, 0, ENDPOINT_ENDED, 1000);
	assert_non_null(event);
	assert_int_equal(event->event.ended.why, ENDPOINT_END_BY_PEER);
	world_run(&w, 1000);
	assert_int_equal(usage_calls(alice), 0);
	assert_int_equal(world_count(alice, ENDPOINT_OPENED), 0);
}

static void no_such_peer(void **state)
{
	(void)state;
	struct endpoint_peer nobody = bob->peer;
	uint64_t id;
	nobody.namespace_id[0] ^= 1;
	assert_int_equal(
		endpoint_open(alice->endpoint, &nobody, NULL, 0, &id, world_time(alice)), 0);
	struct world_event *event = world_wait(&w, alice, 0, ENDPOINT_ENDED, 1000);
	assert_non_null(event);
	assert_int_equal(event->event.ended.why, ENDPOINT_END_NO_ADDRESS);
	assert_int_equal(w.relay.opens, 3); // the epochs before and after were tried
	memset(nobody.delivery_key, 0, 32);
	assert_int_equal(
		endpoint_open(alice->endpoint, &nobody, NULL, 0, &id, world_time(alice)), -EINVAL);
	world_run(&w, 100);
	assert_int_equal(usage_calls(alice), 0);
}

// The caller's clock is a quarter of an epoch off, so that it calls at the address of an epoch
// which the callee does not hold.
static void clocks_differ(void **state)
{
	(void)state;
	bob->react = accept_all;
	for (int sign = -1; sign <= 1; sign += 2) {
		uint64_t into = world_time(bob).wall_s % 3600;
		alice->skew_s = sign < 0 ? -(int64_t)into - 60 : (int64_t)(3660 - into);
		unsigned seen = alice->event_count;
		world_run(&w, 70000); // it notices, and registers for what it takes for now
		call(alice, bob);
		assert_non_null(world_wait(&w, alice, seen, ENDPOINT_OPENED, 5000));
		alice->skew_s = 0;
		world_run(&w, 1000);
	}
}

static void lost_doubled_reordered(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 40; seed++) {
		world_end(&w);
		start(seed);
		w.loss = 30;
		w.doubled = 30;
		w.jitter_ms = 400;
		uint64_t ids[2];
		opened(ids);
		assert_int_equal(world_count(bob, ENDPOINT_INVITE), 1);
		assert_int_equal(w.relay.made, 1);
		world_run(&w, 50000);
		for (unsigned i = 0; i < 100; i++) {
			char text[16];
			snprintf(text, sizeof(text), "%u", i);
			say(alice, ids[0], text);
			world_run(&w, 20);
		}
		world_run(&w, 2000);
		// What arrives, arrives once; nothing but loss keeps it.
		unsigned count = world_count(bob, ENDPOINT_DATA);
		assert_in_range(count, 20, 80);
		for (unsigned i = 0; i < bob->event_count; i++)
			for (unsigned k = i + 1; k < bob->event_count; k++)
				if (bob->events[i].event.type == ENDPOINT_DATA &&
					bob->events[k].event.type == ENDPOINT_DATA)
					assert_true(bob->events[i].size != bob->events[k].size ||
						    memcmp(bob->events[i].data, bob->events[k].data,
							    bob->events[i].size) != 0);
		unsigned seen = alice->event_count;
		endpoint_close(bob->endpoint, ids[1], world_time(bob));
		assert_non_null(world_wait(&w, alice, seen, ENDPOINT_ENDED, 120000));
		world_run(&w, 60000);
		assert_int_equal(usage_calls(alice), 0);
		assert_int_equal(usage_calls(bob), 0);
	}
}

static void a_side_moves(void **state)
{
	(void)state;
	uint64_t ids[2];
	opened(ids);
	for (unsigned i = 0; i < 2; i++) {
		struct world_client *c = i == 0 ? alice : bob;
		struct world_client *other = i == 0 ? bob : alice;
		unsigned seen = c->event_count;
		c->outside.port++;
		say(c, ids[i], "a packet of forty bytes or so, lost on the way");
		uint64_t moved = w.now_ms;
		struct world_event *event = world_wait(&w, c, seen, ENDPOINT_PATH_CHANGED, 100);
		assert_non_null(event);
		assert_int_equal(event->event.call, ids[i]);
		// PATH_CHALLENGE in one round trip, proven in another; the relay knows after half.
		assert_int_equal(w.now_ms - moved, 40);
		say(c, ids[i], "from elsewhere");
		say(other, ids[i ^ 1], "found");
		world_run(&w, 20);
		assert_true(heard(other, "from elsewhere"));
		assert_true(heard(c, "found"));
		world_run(&w, 100);
		uint8_t address[32];
		endpoint_peer_address(&c->peer, epoch_at(world_time(c).wall_s, 3600), address);
		assert_true(relay_holds(&w.relay, address, &c->outside));
	}
	// Nobody says anything: the driver tells, or a keepalive finds out.
	alice->outside.port++;
	unsigned seen = alice->event_count;
	endpoint_network_changed(alice->endpoint, world_time(alice));
	assert_non_null(world_wait(&w, alice, seen, ENDPOINT_PATH_CHANGED, 41));
	alice->outside.port++;
	seen = alice->event_count;
	assert_non_null(world_wait(&w, alice, seen, ENDPOINT_PATH_CHANGED, 20100));
}

// The first thing that shows that we are elsewhere is the call itself: one round trip more, since
// the registration moves together with it.
static void moved_before_calling(void **state)
{
	(void)state;
	bob->react = accept_all;
	alice->outside.port++;
	uint64_t start_ms = w.now_ms;
	call(alice, bob);
	assert_non_null(world_wait(&w, alice, 0, ENDPOINT_OPENED, 5000));
	assert_int_equal(w.now_ms - start_ms, 60);
}

static void both_sides_move_in_bad_weather(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		world_end(&w);
		start(seed);
		uint64_t ids[2];
		opened(ids);
		w.loss = 20;
		w.jitter_ms = 100;
		for (unsigned i = 0; i < 30; i++) {
			alice->outside.port++;
			bob->outside.port++;
			for (unsigned k = 0; k < 50; k++) {
				say(alice, ids[0], "twenty milliseconds of speech");
				say(bob, ids[1], "twenty milliseconds of speech");
				world_run(&w, 20);
			}
		}
		// 1500 packets and 30 moves of both. At 20 % loss each way 960 would arrive without
		// the moves; each costs some 15 packets until both paths are proven again.
		assert_in_range(world_count(bob, ENDPOINT_DATA), 550, 960);
		assert_in_range(world_count(alice, ENDPOINT_DATA), 550, 960);
		assert_int_equal(world_count(alice, ENDPOINT_ENDED), 0);
	}
}

static void relay_restarts(void **state)
{
	(void)state;
	uint64_t ids[2];
	opened(ids);
	world_run(&w, 5000);
	relay_restart(&w.relay);
	world_run(&w, 25000);
	struct world_event *event = world_find(alice, 0, ENDPOINT_ENDED);
	assert_non_null(event);
	assert_int_equal(event->event.ended.why, ENDPOINT_END_LOST);
	assert_non_null(world_find(bob, 0, ENDPOINT_ENDED));
	assert_int_equal(usage_calls(alice), 0);
	opened(ids); // again
}

static void relay_is_gone(void **state)
{
	(void)state;
	uint64_t ids[2];
	opened(ids);
	w.relay.deaf = true;
	struct world_event *event = world_wait(&w, alice, 0, ENDPOINT_ENDED, 100000);
	assert_non_null(event);
	assert_int_equal(event->event.ended.why, ENDPOINT_END_SELF_SILENT);
	assert_non_null(world_find(alice, 0, ENDPOINT_UNREACHABLE));
}

static void many_at_once(void **state)
{
	(void)state;
	uint64_t ids[ENDPOINT_CALLS_MAX + 1];
	struct world_client *carol = world_client_make(&w, 2);
	endpoint_register(carol->endpoint, world_time(carol));
	bob->react = accept_all;
	carol->react = accept_all;
	world_run(&w, 100);
	for (unsigned i = 0; i < 20; i++) {
		ids[i] = call(alice, i & 1 ? bob : carol);
		world_run(&w, 50);
	}
	world_run(&w, 1000);
	assert_int_equal(world_count(alice, ENDPOINT_OPENED), 20);
	say(alice, ids[7], "for bob alone");
	world_run(&w, 100);
	assert_int_equal(world_count(bob, ENDPOINT_DATA), 1);
	assert_int_equal(world_count(carol, ENDPOINT_DATA), 0);
	for (unsigned i = 20; i < ENDPOINT_CALLS_MAX; i++)
		ids[i] = call(alice, bob);
	assert_int_equal(endpoint_open(alice->endpoint, &bob->peer, NULL, 0,
				 &ids[ENDPOINT_CALLS_MAX], world_time(alice)),
		-EMFILE);
	endpoint_withdraw(alice->endpoint, world_time(alice));
	assert_non_null(world_wait(&w, alice, 0, ENDPOINT_WITHDRAWN, 3000));
	assert_int_equal(usage_calls(alice), 0);
}

// Strangers ring without end: there is still room to call somebody.
static void invitations_leave_room(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ENDPOINT_CALLS_MAX; i++)
		call(alice, bob);
	world_run(&w, 1000);
	assert_int_equal(usage_calls(bob), ENDPOINT_CALLS_MAX / 2);
	assert_true(endpoint_counter(bob->endpoint, ENDPOINT_COUNTER_ignored_full) > 0);
	uint64_t id;
	assert_int_equal(
		endpoint_open(bob->endpoint, &alice->peer, NULL, 0, &id, world_time(bob)), 0);
}

static void busy_relay(void **state)
{
	(void)state;
	bob->react = accept_all;
	w.relay.refuse_open = NATIVE_REFUSED_BUSY;
	w.relay.refuse_detail = 300;
	call(alice, bob);
	world_run(&w, 1000);
	assert_in_range(w.relay.opens, 2, 5);
	w.relay.refuse_open = 0;
	assert_non_null(world_wait(&w, alice, 0, ENDPOINT_OPENED, 1000));
	w.relay.refuse_open = NATIVE_REFUSED_FULL;
	call(alice, bob);
	struct world_event *event = world_wait(&w, alice, 0, ENDPOINT_ENDED, 1000);
	assert_non_null(event);
	assert_int_equal(event->event.ended.why, ENDPOINT_END_REFUSED);
	assert_int_equal(event->event.ended.reason, NATIVE_REFUSED_FULL);
}

// Called before the registration is through, and while the lease is lost.
static void waits_for_the_registration(void **state)
{
	(void)state;
	struct world_client *carol = world_client_make(&w, 2);
	uint64_t id;
	bob->react = accept_all;
	assert_int_equal(endpoint_open(carol->endpoint, &bob->peer, "x", 1, &id, world_time(carol)),
		-ENOTCONN);
	endpoint_register(carol->endpoint, world_time(carol));
	call(carol, bob);
	assert_non_null(world_wait(&w, carol, 0, ENDPOINT_OPENED, 1000));
	unsigned seen = carol->event_count;
	memset(w.relay.leases, 0, sizeof(w.relay.leases));
	endpoint_network_changed(bob->endpoint, world_time(bob)); // bob is quick
	world_run(&w, 100);
	call(carol, bob);
	assert_non_null(world_wait(&w, carol, seen, ENDPOINT_OPENED, 3000));
}

// A callback does what it likes.
static void close_at_once(struct world_client *c, const struct endpoint_event *event)
{
	if (event->type == ENDPOINT_INVITE)
		endpoint_accept(c->endpoint, event->call, NULL, 0, world_time(c));
	if (event->type == ENDPOINT_OPENED)
		endpoint_close(c->endpoint, event->call, world_time(c));
	if (event->type == ENDPOINT_ENDED)
		endpoint_withdraw(c->endpoint, world_time(c));
}

static void callbacks_call_back(void **state)
{
	(void)state;
	alice->react = close_at_once;
	bob->react = close_at_once;
	call(alice, bob);
	call(alice, bob);
	world_run(&w, 60000);
	assert_int_equal(usage_calls(alice), 0);
	assert_int_equal(usage_calls(bob), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
		TEST(opens_and_talks),
		TEST(bare_calls_carry_bytes),
		TEST(is_kept_for_hours),
		TEST(either_side_closes),
		TEST(declined),
		TEST(rings_long_and_is_cancelled),
		TEST(nobody_answers),
		TEST(accepted_too_late),
		TEST(no_such_peer),
		TEST(clocks_differ),
		TEST(lost_doubled_reordered),
		TEST(a_side_moves),
		TEST(moved_before_calling),
		TEST(both_sides_move_in_bad_weather),
		TEST(relay_restarts),
		TEST(relay_is_gone),
		TEST(many_at_once),
		TEST(invitations_leave_room),
		TEST(busy_relay),
		TEST(waits_for_the_registration),
		TEST(callbacks_call_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
