// SPDX-License-Identifier: BSD-3-Clause
// Registration: from the first SOLICIT over the turn of epochs, renewals and a relay that comes and
// goes, to the withdrawal. Virtual clock, losses from seeds.
#include "tests/unit/endpoint_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct world w;

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

static uint32_t epoch_of(const struct world_client *c)
{
	return epoch_at(world_time(c).wall_s, w.relay.epoch_seconds);
}

// Whether the relay knows the client, where it is, under its address of an epoch.
static bool found(const struct world_client *c, uint32_t epoch)
{
	uint8_t address[32];
	assert_int_equal(endpoint_peer_address(&c->peer, epoch, address), 0);
	return relay_holds(&w.relay, address, &c->outside);
}

static struct world_client *registered(unsigned number)
{
	struct world_client *c = world_client_make(&w, number);
	endpoint_register(c->endpoint, world_time(c));
	assert_non_null(world_wait(&w, c, 0, ENDPOINT_REGISTERED, 60000));
	return c;
}

static void registers_in_two_round_trips(void **state)
{
	(void)state;
	uint64_t start = w.now_ms;
	struct world_client *c = registered(0);
	const struct world_event *event = world_find(c, 0, ENDPOINT_REGISTERED);
	assert_int_equal(w.now_ms - start, 40);
	assert_int_equal(event->event.registered.epoch, epoch_of(c));
	assert_int_equal(event->event.registered.lifetime, 600);
	assert_int_equal(event->event.registered.observed.port, c->outside.port);
	assert_int_equal(event->event.registered.observed.family, 4);
	assert_memory_equal(event->event.registered.observed.address, c->outside.address.bytes, 16);
	assert_false(event->event.registered.renewed);
	assert_true(found(c, epoch_of(c)));
	assert_non_null(world_find(c, 0, ENDPOINT_CONNECTED));
	struct endpoint_usage usage;
	endpoint_usage(c->endpoint, &usage);
	assert_true(usage.connected);
	assert_int_equal(usage.round_trip_ms, 21);
}

// Peers whose clocks go wrong by two minutes find us at any second of three hours, and what they
// send arrives. Leases are shorter than the difference, so none helps by being forgotten.
static void is_found_over_the_turn_of_epochs(void **state)
{
	(void)state;
	w.relay.lease_s = 60;
	struct world_client *c = registered(0), *other = world_client_make(&w, 1);
	unsigned sent = 0;
	endpoint_connect(other->endpoint, world_time(other));
	world_run(&w, 2000);
	for (unsigned i = 0; i < 3 * 3600 + 100; i++) {
		world_run(&w, 1000);
		uint64_t wall = world_time(c).wall_s;
		assert_true(found(c, epoch_at(wall, 3600)));
		assert_true(found(c, epoch_at(wall - 120, 3600)));
		assert_true(found(c, epoch_at(wall + 120, 3600)));
		assert_true(relay_lease_count(&w.relay) <= 3);
		for (int skew = -120; i % 20 == 0 && skew <= 120; skew += 120) {
			uint8_t address[32];
			endpoint_peer_address(
				&c->peer, epoch_at(wall + (uint64_t)skew, 3600), address);
			assert_int_equal(endpoint_send_to_address(other->endpoint, address, "x", 1,
						 world_time(other)),
				0);
			sent++;
		}
	}
	world_run(&w, 100);
	assert_int_equal(world_count(c, ENDPOINT_MESSAGE), sent);
	// Two or three leases, each renewed after half of its time.
	assert_in_range(w.relay.registers, 3 * 3600 / 30 * 1.8, 3 * 3600 / 30 * 3);
	assert_null(world_find(c, 0, ENDPOINT_REFUSED));
}

static void renews_whatever_is_lost(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 12; seed++) {
		world_end(&w);
		world_begin(&w, seed);
		w.loss = 25;
		w.doubled = 25;
		w.jitter_ms = 300;
		w.delay_ms = 50;
		struct world_client *c = world_client_make(&w, 0);
		endpoint_register(c->endpoint, world_time(c));
		world_run(&w, 60000);
		for (unsigned i = 0; i < 2 * 360; i++) {
			world_run(&w, 10000);
			if (!found(c, epoch_of(c)))
				fail_msg("seed %u: no lease after %u s", (unsigned)seed, i * 10);
		}
	}
}

static void short_epochs(void **state)
{
	(void)state;
	w.relay.epoch_seconds = 8;
	struct world_client *c = registered(0);
	for (unsigned i = 0; i < 400; i++) {
		world_run(&w, 250);
		assert_true(found(c, epoch_of(c)));
	}
}

static void relay_starts_anew(void **state)
{
	(void)state;
	struct world_client *c = registered(0);
	world_run(&w, 30000);
	relay_restart(&w.relay);
	assert_false(found(c, epoch_of(c)));
	world_run(&w, 20100); // the next keepalive and two round trips
	assert_true(found(c, epoch_of(c)));
}

static void nat_rebinds(void **state)
{
	(void)state;
	struct world_client *c = registered(0);
	world_run(&w, 30000);
	c->outside.port = 1234;
	assert_false(found(c, epoch_of(c)));
	world_run(&w, 20100);
	assert_true(found(c, epoch_of(c)));
	// The driver saw it: one round trip for the cookie, one for the rest.
	c->outside.port = 1235;
	endpoint_network_changed(c->endpoint, world_time(c));
	world_run(&w, 45);
	assert_true(found(c, epoch_of(c)));
	// Data shows it too.
	c->outside.port = 1236;
	uint8_t address[32] = {1};
	assert_int_equal(endpoint_send_to_address(c->endpoint, address, "x", 1, world_time(c)), 0);
	world_run(&w, 45);
	assert_true(found(c, epoch_of(c)));
}

static void silence_is_told_and_borne(void **state)
{
	(void)state;
	struct world_client *c = world_client_make(&w, 0);
	w.relay.deaf = true;
	endpoint_register(c->endpoint, world_time(c));
	assert_non_null(world_wait(&w, c, 0, ENDPOINT_UNREACHABLE, 20000));
	uint64_t before = endpoint_counter(c->endpoint, ENDPOINT_COUNTER_sent);
	world_run(&w, 3600000);
	assert_in_range(endpoint_counter(c->endpoint, ENDPOINT_COUNTER_sent) - before, 100, 300);
	w.relay.deaf = false;
	assert_non_null(world_wait(&w, c, 0, ENDPOINT_REGISTERED, 40000));
	// Deaf in between: everything is made sure of afterwards.
	unsigned seen = c->event_count;
	w.relay.deaf = true;
	world_run(&w, 120000);
	assert_non_null(world_find(c, seen, ENDPOINT_UNREACHABLE));
	relay_restart(&w.relay);
	w.relay.deaf = false;
	world_run(&w, 40000);
	assert_true(found(c, epoch_of(c)));
}

static void another_address_of_the_relay(void **state)
{
	(void)state;
	w.clients[0].config.relay_count = 2;
	w.clients[0].config.relays[0] = (struct endpoint_transport){
		.family = 4, .address = {192, 0, 2, 9}, .port = 3478}; // nobody is there
	w.clients[0].config.relays[1] = world_relay_address;
	struct world_client *c = world_client_make(&w, 0);
	endpoint_register(c->endpoint, world_time(c));
	struct world_event *event = world_wait(&w, c, 0, ENDPOINT_CONNECTED, 6000);
	assert_non_null(event);
	assert_int_equal(event->event.connected.relay, 1);
	assert_non_null(world_wait(&w, c, 0, ENDPOINT_REGISTERED, 1000));
	assert_null(world_find(c, 0, ENDPOINT_UNREACHABLE));
}

static void puzzles(void **state)
{
	(void)state;
	w.relay.admission = NATIVE_ADMISSION_PUZZLE;
	w.relay.difficulty = 10;
	w.clients[0].config.puzzle_slice = 16;
	struct world_client *c = registered(0);
	assert_in_range(endpoint_counter(c->endpoint, ENDPOINT_COUNTER_puzzles), 1, 2);
	// Renewals need none.
	uint64_t solved = endpoint_counter(c->endpoint, ENDPOINT_COUNTER_puzzles);
	world_run(&w, 700000);
	assert_true(found(c, epoch_of(c)));
	assert_in_range(
		endpoint_counter(c->endpoint, ENDPOINT_COUNTER_puzzles), solved, solved + 1);
	// It became harder after CHALLENGE: REFUSED says how hard.
	w.relay.difficulty = 3;
	relay_restart(&w.relay);
	world_run(&w, 25000);
	assert_true(found(c, epoch_of(c)));
	// Too hard is not begun.
	w.clients[1].config.puzzle_bits_max = 8;
	w.relay.difficulty = 20;
	struct world_client *weak = world_client_make(&w, 1);
	endpoint_register(weak->endpoint, world_time(weak));
	struct world_event *event = world_wait(&w, weak, 0, ENDPOINT_REFUSED, 1000);
	assert_non_null(event);
	assert_int_equal(event->event.refused.reason, ENDPOINT_REFUSED_PUZZLE);
	assert_int_equal(event->event.refused.detail, 20);
}

static unsigned purse;

static bool spend(void *context, struct endpoint_token *out)
{
	(void)context;
	if (purse == 0)
		return false;
	purse--;
	memset(out, 0x11, sizeof(*out));
	return true;
}

static void tokens(void **state)
{
	(void)state;
	w.relay.admission = NATIVE_ADMISSION_TOKEN;
	w.clients[0].config.token = spend;
	purse = 0;
	struct world_client *c = world_client_make(&w, 0);
	endpoint_register(c->endpoint, world_time(c));
	struct world_event *event = world_wait(&w, c, 0, ENDPOINT_REFUSED, 1000);
	assert_non_null(event);
	assert_int_equal(event->event.refused.reason, ENDPOINT_REFUSED_TOKEN_WANTED);
	purse = 5;
	endpoint_register(c->endpoint, world_time(c));
	assert_non_null(world_wait(&w, c, 0, ENDPOINT_REGISTERED, 1000));
	unsigned spent = w.relay.tokens;
	assert_in_range(spent, 1, 2);
	world_run(&w, 1000000);
	assert_in_range(w.relay.tokens, 1, spent + 1); // renewals cost nothing
	// Those that are no good are not offered without end.
	relay_restart(&w.relay);
	w.relay.decline_tokens = true;
	purse = 100;
	unsigned seen = c->event_count;
	world_run(&w, 25000);
	event = world_find(c, seen, ENDPOINT_REFUSED);
	assert_non_null(event);
	assert_int_equal(event->event.refused.reason, ENDPOINT_REFUSED_TOKEN_SPENT);
	assert_in_range(purse, 80, 99);
}

static void refusals(void **state)
{
	(void)state;
	static const struct {
		uint8_t reason;
		uint32_t detail;
	} rows[] = {
		{NATIVE_REFUSED_BUSY, 700},
		{NATIVE_REFUSED_FULL, 0},
		{NATIVE_REFUSED_DEVICES, 0},
		{NATIVE_REFUSED_DRAINING, 0},
		{NATIVE_REFUSED_EPOCH, 77},
		{NATIVE_REFUSED_MALFORMED, 0},
	};
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		world_end(&w);
		world_begin(&w, i + 1);
		w.relay.refuse_register = rows[i].reason;
		w.relay.refuse_detail = rows[i].detail;
		struct world_client *c = world_client_make(&w, 0);
		endpoint_register(c->endpoint, world_time(c));
		struct world_event *event = world_wait(&w, c, 0, ENDPOINT_REFUSED, 2000);
		assert_non_null(event);
		assert_int_equal(event->event.refused.reason, rows[i].reason);
		assert_int_equal(event->event.refused.detail, rows[i].detail);
		world_run(&w, 100000);
		assert_true(w.relay.registers < 600); // tries again, but does not storm
		w.relay.refuse_register = 0;
		assert_non_null(world_wait(&w, c, 0, ENDPOINT_REGISTERED, 70000));
	}
}

static void stops_where_trying_cannot_help(void **state)
{
	(void)state;
	struct world_client *c = world_client_make(&w, 0);
	w.relay.epoch_seconds = 1800;
	endpoint_register(c->endpoint, world_time(c));
	struct world_event *event = world_wait(&w, c, 0, ENDPOINT_REFUSED, 1000);
	assert_non_null(event);
	assert_int_equal(event->event.refused.reason, ENDPOINT_REFUSED_EPOCH_SECONDS);
	assert_int_equal(event->event.refused.detail, 1800);
	uint64_t sent = endpoint_counter(c->endpoint, ENDPOINT_COUNTER_sent);
	world_run(&w, 600000);
	assert_int_equal(endpoint_counter(c->endpoint, ENDPOINT_COUNTER_sent), sent);
	w.relay.epoch_seconds = 3600;
	endpoint_register(c->endpoint, world_time(c));
	assert_non_null(world_wait(&w, c, 0, ENDPOINT_REGISTERED, 1000));

	w.clients[1].config.relay_key_pinned = true;
	memset(w.clients[1].config.relay_key, 7, 32);
	struct world_client *pinned = world_client_make(&w, 1);
	endpoint_register(pinned->endpoint, world_time(pinned));
	event = world_wait(&w, pinned, 0, ENDPOINT_REFUSED, 1000);
	assert_non_null(event);
	assert_int_equal(event->event.refused.reason, ENDPOINT_REFUSED_RELAY_KEY);
	assert_null(world_find(pinned, 0, ENDPOINT_REGISTERED));

	w.clients[2].config.relay_key_pinned = true;
	memcpy(w.clients[2].config.relay_key, w.relay.public_key, 32);
	registered(2);
}

static void clock_is_wrong(void **state)
{
	(void)state;
	w.clients[0].skew_s = 3 * 3600;
	struct world_client *c = world_client_make(&w, 0);
	endpoint_register(c->endpoint, world_time(c));
	struct world_event *event = world_wait(&w, c, 0, ENDPOINT_REFUSED, 1000);
	assert_non_null(event);
	assert_int_equal(event->event.refused.reason, ENDPOINT_REFUSED_EPOCH);
	assert_int_equal(event->event.refused.detail, epoch_at(w.relay.wall_s, 3600));
	c->skew_s = 0; // somebody set it
	assert_non_null(world_wait(&w, c, 0, ENDPOINT_REGISTERED, 70000));
	assert_true(found(c, epoch_of(c)));
}

static void withdraws(void **state)
{
	(void)state;
	struct world_client *c = registered(0);
	world_run(&w, 30000);
	assert_true(relay_lease_count(&w.relay) >= 1);
	endpoint_withdraw(c->endpoint, world_time(c));
	assert_non_null(world_wait(&w, c, 0, ENDPOINT_WITHDRAWN, 100));
	assert_int_equal(relay_lease_count(&w.relay), 0);
	assert_int_equal(endpoint_deadline(c->endpoint), ENDPOINT_NEVER);
	// And comes again.
	unsigned seen = c->event_count;
	endpoint_register(c->endpoint, world_time(c));
	assert_non_null(world_wait(&w, c, seen, ENDPOINT_REGISTERED, 1000));
	// Nobody answers: two seconds.
	w.relay.deaf = true;
	seen = c->event_count;
	uint64_t start = w.now_ms;
	endpoint_withdraw(c->endpoint, world_time(c));
	assert_non_null(world_wait(&w, c, seen, ENDPOINT_WITHDRAWN, 5000));
	assert_int_equal(w.now_ms - start, 2000);
	// Nothing was begun.
	struct world_client *fresh = world_client_make(&w, 1);
	endpoint_withdraw(fresh->endpoint, world_time(fresh));
	assert_non_null(world_find(fresh, 0, ENDPOINT_WITHDRAWN));
}

static void needs_a_relay(void **state)
{
	(void)state;
	struct endpoint *endpoint;
	struct endpoint_config config = {.relay_count = 0};
	const struct endpoint_output output = {.send = world_client_send};
	assert_int_equal(endpoint_create(&endpoint, &config, &output), -EINVAL);
	config.relay_count = 1;
	assert_int_equal(endpoint_create(&endpoint, &config, &output), -EINVAL);
	config.relays[0] = world_relay_address;
	config.epoch_seconds = 1;
	assert_int_equal(endpoint_create(&endpoint, &config, &output), -EINVAL);
	config.epoch_seconds = 2;
	assert_int_equal(endpoint_create(&endpoint, &config, &output), 0);
	endpoint_free(endpoint);
	endpoint_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
		TEST(registers_in_two_round_trips),
		TEST(is_found_over_the_turn_of_epochs),
		TEST(renews_whatever_is_lost),
		TEST(short_epochs),
		TEST(relay_starts_anew),
		TEST(nat_rebinds),
		TEST(silence_is_told_and_borne),
		TEST(another_address_of_the_relay),
		TEST(puzzles),
		TEST(tokens),
		TEST(refusals),
		TEST(stops_where_trying_cannot_help),
		TEST(clock_is_wrong),
		TEST(withdraws),
		TEST(needs_a_relay),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
