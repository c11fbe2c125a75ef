// SPDX-License-Identifier: BSD-3-Clause
// A core that gets another configuration while allocations live: what counts from now on, what
// stays as it was, and that ports and quotas are conserved whatever the ranges do.
#include "tests/unit/turn_desk.h"

#define STATIC      "[turn]\nauth = static\nrealm = example.org\n"
#define ALICE       "user = alice:in wonderland\n"
#define BOB         "user = bob:the builder\n"
#define OPEN        "[turn]\nauth = open\n"
#define RANGE(text) "relay-ports = " text "\n"

static void as(struct desk *desk, const char *name, const char *password)
{
	desk->name = name;
	desk->password = password;
}

static void next_client(struct desk *desk)
{
	desk->client.port++;
	desk->context = (struct api_allocation_context){0};
}

static void refresh(struct desk *desk, uint32_t seconds)
{
	stun_add_u32(desk_request(desk, STUN_REFRESH), STUN_LIFETIME, seconds);
}

// ---- credentials ----

static void test_user_added_and_removed(void **state)
{
	(void)state;
	struct desk *desk = desk_open(STATIC ALICE);
	as(desk, "alice", "in wonderland");
	desk_challenge(desk);
	desk_have_allocation(desk);
	struct api_allocation_context hers = desk->context;
	struct net_endpoint at = desk->client;

	// Bob comes; the nonce that Alice holds stays good.
	desk_reconfigure(desk, STATIC ALICE BOB);
	refresh(desk, 700);
	desk_succeed(desk);
	next_client(desk);
	as(desk, "bob", "the builder");
	desk_challenge(desk);
	desk_have_allocation(desk);

	// Alice goes: nothing new for her, and no Refresh of what she has.
	desk_reconfigure(desk, STATIC BOB);
	desk->client = at;
	desk->context = hers;
	as(desk, "alice", "in wonderland");
	desk_challenge(desk);
	refresh(desk, 700);
	desk_refuse(desk, 401);
	next_client(desk);
	desk_challenge(desk);
	desk_allocate(desk);
	desk_refuse(desk, 401);
	// Her allocation is the dataplane's until its time is over; then all returns.
	assert_int_equal(desk_usage(desk).allocations, 2);
	desk_check(desk);
	turn_core_expired(desk->core, hers.allocation_id);
	assert_int_equal(desk_usage(desk).allocations, 1);
	desk_check(desk);
	desk_close(desk);
}

static void test_password_changed(void **state)
{
	(void)state;
	struct desk *desk = desk_open(STATIC ALICE);
	as(desk, "alice", "in wonderland");
	desk_challenge(desk);
	desk_have_allocation(desk);
	desk_reconfigure(desk, STATIC "user = alice:behind the mirror\n");
	refresh(desk, 700);
	desk_refuse(desk, 401);
	// It is the same user, so with the new password the allocation is hers.
	as(desk, "alice", "behind the mirror");
	refresh(desk, 700);
	desk_succeed(desk);
	desk_close(desk);
}

static void test_realm_changed(void **state)
{
	(void)state;
	struct desk *desk = desk_open(STATIC ALICE);
	as(desk, "alice", "in wonderland");
	desk_challenge(desk);
	desk_have_allocation(desk);
	desk_reconfigure(desk, "[turn]\nauth = static\nrealm = example.net\n" ALICE);
	desk_challenge(desk); // names the new realm, which the desk takes
	refresh(desk, 700);
	desk_succeed(desk);
	desk->userhash = true; // hashes are made of the realm too
	refresh(desk, 700);
	desk_succeed(desk);
	desk_close(desk);
}

static void test_opened_and_closed(void **state)
{
	(void)state;
	struct desk *desk = desk_open(OPEN);
	desk_have_allocation(desk);
	struct api_allocation_context live = desk->context;
	desk_reconfigure(desk, STATIC ALICE);
	// What anybody had is nobody's with a name: it ends when its time is over.
	desk_challenge(desk);
	desk->context = live;
	refresh(desk, 700);
	desk_refuse(desk, 401);
	as(desk, "alice", "in wonderland");
	refresh(desk, 700);
	desk_refuse(desk, 441);
	next_client(desk);
	desk_challenge(desk);
	desk_have_allocation(desk);
	desk_reconfigure(desk, OPEN);
	as(desk, NULL, NULL);
	refresh(desk, 700);
	desk_succeed(desk);
	next_client(desk);
	desk_have_allocation(desk);
	desk_check(desk);
	desk_close(desk);
}

// A request whose install is under way when the configuration changes gets its answer, signed with
// the key it came with.
static void test_request_in_flight(void **state)
{
	(void)state;
	struct desk *desk = desk_open(RANGE("50000-50009") STATIC ALICE);
	as(desk, "alice", "in wonderland");
	desk_challenge(desk);
	desk_allocate(desk);
	assert_int_equal(desk_send(desk), 0);
	desk_reconfigure(desk, RANGE("51000-51009") STATIC BOB);
	assert_int_equal(desk_answer(desk, 0), 1);
	assert_int_equal(desk_error(desk), 0);
	assert_in_range(desk_xor_address(desk, STUN_XOR_RELAYED_ADDRESS, 0).port, 50000, 50009);
	assert_true(desk_has(desk, STUN_MESSAGE_INTEGRITY));
	desk_check(desk);
	desk_close(desk);
}

// ---- limits and rules ----

static void test_limits(void **state)
{
	(void)state;
	struct desk *desk = desk_open(OPEN "max-lifetime = 3600\nprefix-quota = 4\n");
	for (unsigned i = 0; i < 3; i++) {
		next_client(desk);
		desk_have_allocation(desk);
	}
	refresh(desk, 3000);
	desk_succeed(desk);
	assert_int_equal(desk_u32(desk, STUN_LIFETIME), 3000);
	desk_reconfigure(desk, OPEN "max-lifetime = 700\nprefix-quota = 2\n");
	refresh(desk, 3000);
	desk_succeed(desk);
	assert_int_equal(desk_u32(desk, STUN_LIFETIME), 700);
	next_client(desk);
	desk_allocate(desk);
	desk_refuse(desk, 486);
	desk_reconfigure(desk, OPEN "prefix-quota = 0\n");
	desk_have_allocation(desk);
	desk_check(desk);
	desk_close(desk);
}

static void permit(struct desk *desk, const char *peer)
{
	struct net_endpoint endpoint = desk_endpoint(peer, 9);
	stun_add_xor_address(
		desk_request(desk, STUN_CREATE_PERMISSION), STUN_XOR_PEER_ADDRESS, &endpoint);
}

static void bind_channel(struct desk *desk, uint16_t channel, const char *peer, uint16_t port)
{
	struct net_endpoint endpoint = desk_endpoint(peer, port);
	struct stun_builder *b = desk_request(desk, STUN_CHANNEL_BIND);
	stun_add_u32(b, STUN_CHANNEL_NUMBER, (uint32_t)channel << 16);
	stun_add_xor_address(b, STUN_XOR_PEER_ADDRESS, &endpoint);
}

static void test_peer_rules(void **state)
{
	(void)state;
	struct desk *desk = desk_open(OPEN);
	struct net_address host = desk_address("9.9.9.9");
	turn_core_local_addresses(desk->core, &host, 1);
	desk_have_allocation(desk);
	permit(desk, "8.8.8.8");
	desk_succeed(desk);
	permit(desk, "10.1.1.1");
	desk_refuse(desk, 403);
	desk_reconfigure(desk, OPEN "[peers]\ndeny = 8.8.8.8\nallow = 10.0.0.0/8\n");
	permit(desk, "8.8.8.8");
	desk_refuse(desk, 403);
	permit(desk, "10.1.1.1");
	desk_succeed(desk);
	permit(desk, "9.9.9.9"); // the host's addresses were not forgotten
	desk_refuse(desk, 403);
	desk_close(desk);
}

static void test_channels(void **state)
{
	(void)state;
	struct desk *desk = desk_open(OPEN "channels = rfc5766\n");
	desk_have_allocation(desk);
	bind_channel(desk, 0x7000, "8.8.8.8", 1);
	desk_succeed(desk);
	desk_reconfigure(desk, OPEN);
	bind_channel(desk, 0x7000, "8.8.8.8", 1);
	desk_refuse(desk, 400);
	desk_close(desk);
}

// ---- relayed ports ----

static uint16_t relayed_port(const struct desk *desk)
{
	return desk->context.relayed[0].port;
}

static void test_range_moves(void **state)
{
	(void)state;
	struct desk *desk = desk_open(RANGE("50000-50009") OPEN);
	struct api_allocation_context old[10];
	for (unsigned i = 0; i < 10; i++) {
		next_client(desk);
		desk_have_allocation(desk);
		old[i] = desk->context;
	}
	next_client(desk);
	desk_allocate(desk);
	desk_refuse(desk, 508);
	// Five of the old ports are in the new range and stay taken there.
	desk_reconfigure(desk, RANGE("50005-50014") OPEN);
	desk_check(desk);
	struct turn_usage usage = desk_usage(desk);
	assert_int_equal(usage.ports_total, 10);
	assert_int_equal(usage.ports_free, 5);
	assert_int_equal(usage.allocations, 10);
	for (unsigned i = 0; i < 5; i++) {
		next_client(desk);
		desk_have_allocation(desk);
		assert_in_range(relayed_port(desk), 50010, 50014);
	}
	next_client(desk);
	desk_allocate(desk);
	desk_refuse(desk, 508);
	// Those outside are refreshed as ever, and end as ever.
	for (unsigned i = 0; i < 10; i++) {
		desk->context = old[i];
		refresh(desk, 700);
		desk_succeed(desk);
	}
	for (unsigned i = 0; i < 10; i++) {
		turn_core_expired(desk->core, old[i].allocation_id);
		desk_check(desk);
	}
	assert_int_equal(desk_usage(desk).ports_free, 5);
	desk_close(desk);
}

// Out of the range and back in: whose port lay outside must not find it given to somebody else.
static void test_range_returns(void **state)
{
	(void)state;
	struct desk *desk = desk_open(RANGE("50000-50001") OPEN);
	desk_have_allocation(desk);
	uint16_t kept = relayed_port(desk);
	desk_reconfigure(desk, RANGE("51000-51001") OPEN);
	desk_reconfigure(desk, RANGE("50000-50001") OPEN);
	assert_int_equal(desk_usage(desk).ports_free, 1);
	desk_check(desk);
	next_client(desk);
	desk_have_allocation(desk);
	assert_int_not_equal(relayed_port(desk), kept);
	next_client(desk);
	desk_allocate(desk);
	desk_refuse(desk, 508);
	desk_close(desk);
}

// The same after a restart in between, when all that is known is the dataplane's snapshot.
static void test_range_returns_after_restart(void **state)
{
	(void)state;
	struct desk *desk = desk_open(RANGE("50000-50001") OPEN);
	desk_have_allocation(desk);
	struct api_snapshot_item item = desk_snapshot(&desk->context);
	desk_reconfigure(desk, RANGE("51000-51001") OPEN);
	desk_restart(desk);
	turn_core_snapshot_item(desk->core, &item);
	turn_core_snapshot_end(desk->core, desk->now_ms);
	assert_int_equal(desk_usage(desk).ports_free, 2);
	desk_check(desk);
	desk_reconfigure(desk, RANGE("50000-50001") OPEN);
	assert_int_equal(desk_usage(desk).ports_free, 1);
	desk_check(desk);
	turn_core_expired(desk->core, item.allocation_id);
	assert_int_equal(desk_usage(desk).ports_free, 2);
	desk_check(desk);
	desk_close(desk);
}

static void test_reservation_outside(void **state)
{
	(void)state;
	struct desk *desk = desk_open(RANGE("50000-50001") OPEN);
	uint64_t token = 0;
	stun_add(desk_allocate(desk), STUN_EVEN_PORT, "\x80", 1);
	desk_succeed(desk);
	struct stun_message m = desk_reply(desk);
	struct stun_attribute a;
	assert_true(stun_find(&m, STUN_RESERVATION_TOKEN, &a));
	memcpy(&token, a.value, sizeof(token));
	desk_reconfigure(desk, RANGE("51000-51001") OPEN);
	desk_check(desk);
	assert_int_equal(desk_usage(desk).reservations, 1);
	// It was promised: the token is good for its 30 s.
	next_client(desk);
	stun_add(desk_allocate(desk), STUN_RESERVATION_TOKEN, &token, sizeof(token));
	desk_succeed(desk);
	desk_adopt(desk);
	assert_int_equal(relayed_port(desk), 50001);
	desk_check(desk);
	assert_int_equal(desk_usage(desk).ports_free, 2);
	turn_core_expired(desk->core, desk->context.allocation_id);
	desk_check(desk);
	desk_close(desk);
}

// Two clients of this relay talk through each other's relayed ports: that goes on.
static void test_hairpin_to_earlier_port(void **state)
{
	(void)state;
	struct desk *desk = desk_open(RANGE("50000-50009") OPEN);
	desk_have_allocation(desk);
	bind_channel(desk, 0x4000, "198.51.100.1", 50003);
	desk_succeed(desk);
	desk_reconfigure(desk, RANGE("3000-4000") "port = 2000\nalternate-port = 2001\n" OPEN);
	bind_channel(desk, 0x4000, "198.51.100.1", 50003);
	desk_succeed(desk);
	bind_channel(desk, 0x4001, "198.51.100.1", 3500);
	desk_succeed(desk);
	bind_channel(desk, 0x4002, "198.51.100.1", 22);
	desk_refuse(desk, 403);
	// Between two earlier ranges lies our own port: no peer.
	desk_reconfigure(desk, RANGE("1024-1030") "port = 2000\nalternate-port = 2001\n" OPEN);
	desk_reconfigure(desk, RANGE("3000-4000") "port = 2000\nalternate-port = 2001\n" OPEN);
	bind_channel(desk, 0x4002, "198.51.100.1", 2000);
	desk_refuse(desk, 403);
	desk_close(desk);
}

// Anything in any order; ports and quotas add up after every step.
static void test_random_ranges(void **state)
{
	(void)state;
	enum { LIVE = 64 };
	struct desk *desk = desk_open(RANGE("50000-50019") OPEN "prefix-quota = 0\n");
	struct api_allocation_context live[LIVE] = {0};
	for (unsigned step = 0; step < 2000; step++) {
		unsigned i = randombytes_uniform(LIVE);
		if (randombytes_uniform(20) == 0) {
			char text[128];
			unsigned first = 50000 + randombytes_uniform(40);
			snprintf(text, sizeof(text),
				"relay-ports = %u-%u\n" OPEN "prefix-quota = 0\n", first,
				first + randombytes_uniform(30));
			desk_reconfigure(desk, text);
		} else if (live[i].allocation_id != 0) {
			turn_core_expired(desk->core, live[i].allocation_id);
			live[i].allocation_id = 0;
		} else {
			next_client(desk);
			desk_allocate(desk);
			if (randombytes_uniform(3) == 0)
				stun_add(&desk->builder, STUN_EVEN_PORT, "\x80", 1);
			if (desk_send(desk) == 0) {
				desk_answer(desk, 0);
				desk_adopt(desk);
				live[i] = desk->context;
				// Nobody has two: ports are unique among those that live.
				for (unsigned j = 0; j < LIVE; j++)
					assert_true(
						j == i || live[j].allocation_id == 0 ||
						live[j].relayed[0].port != live[i].relayed[0].port);
			}
		}
		if (randombytes_uniform(10) == 0)
			desk->now_ms += 10000;
		turn_core_tick(desk->core, desk->now_ms);
		desk_check(desk);
	}
	desk_close(desk);
}

static void test_change_not_made(void **state)
{
	(void)state;
	struct desk *desk = desk_open(RANGE("50000-50009") STATIC ALICE);
	struct config *config = desk_configuration(RANGE("51000-51009") STATIC BOB);
	struct turn_change *change = turn_core_prepare(desk->core, config);
	assert_non_null(change);
	turn_change_free(change);
	turn_change_free(NULL);
	config_free(config);
	as(desk, "alice", "in wonderland");
	desk_challenge(desk);
	desk_have_allocation(desk);
	assert_in_range(relayed_port(desk), 50000, 50009);
	desk_check(desk);
	desk_close(desk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_user_added_and_removed),
		cmocka_unit_test(test_password_changed),
		cmocka_unit_test(test_realm_changed),
		cmocka_unit_test(test_opened_and_closed),
		cmocka_unit_test(test_request_in_flight),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_peer_rules),
		cmocka_unit_test(test_channels),
		cmocka_unit_test(test_range_moves),
		cmocka_unit_test(test_range_returns),
		cmocka_unit_test(test_range_returns_after_restart),
		cmocka_unit_test(test_reservation_outside),
		cmocka_unit_test(test_hairpin_to_earlier_port),
		cmocka_unit_test(test_random_ranges),
		cmocka_unit_test(test_change_not_made),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
