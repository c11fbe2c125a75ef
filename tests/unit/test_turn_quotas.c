// SPDX-License-Identifier: BSD-3-Clause
// Quotas and conservation through the TURN core: 486 and 508, fill, drain and refill, restarts
// with a snapshot, and what is left of a request once it is answered.
#include "tests/unit/turn_desk.h"

#define SMALL "relay-ports = 50000-50019\n"
#define OPEN  "[turn]\nauth = open\n"

static void next_client(struct desk *desk)
{
	desk->client.port++;
	desk->context = (struct api_allocation_context){0};
}

static void assert_all_free(const struct desk *desk)
{
	struct turn_usage usage = desk_usage(desk);
	desk_check(desk);
	assert_int_equal(usage.allocations, 0);
	assert_int_equal(usage.reservations, 0);
	assert_int_equal(usage.in_flight, 0);
	assert_int_equal(usage.ports_free, usage.ports_total);
	assert_int_equal(desk->core->credential_quota.counts.count, 0);
	assert_int_equal(desk->core->prefix_quota.counts.count, 0);
}

static void test_ports_fill_drain_refill(void **state)
{
	(void)state;
	struct desk *desk = desk_open(SMALL OPEN);
	for (unsigned round = 0; round < 5; round++) {
		uint64_t ids[20];
		for (unsigned i = 0; i < 20; i++) {
			next_client(desk);
			desk_have_allocation(desk);
			ids[i] = desk->context.allocation_id;
		}
		next_client(desk);
		desk_allocate(desk);
		desk_refuse(desk, 508);
		desk_check(desk);
		for (unsigned i = 0; i < 20; i++)
			turn_core_expired(desk->core, ids[i]);
		assert_all_free(desk);
		// In pairs: ten, and the reserved half cannot be taken by others.
		for (unsigned i = 0; i < 10; i++) {
			next_client(desk);
			stun_add(desk_allocate(desk), STUN_EVEN_PORT, "\x80", 1);
			desk_succeed(desk);
			desk_adopt(desk);
			ids[i] = desk->context.allocation_id;
		}
		next_client(desk);
		desk_allocate(desk);
		desk_refuse(desk, 508);
		for (unsigned i = 0; i < 10; i++)
			turn_core_expired(desk->core, ids[i]);
		assert_int_equal(desk_usage(desk).ports_free, 10);
		desk->now_ms += 30000;
		turn_core_tick(desk->core, desk->now_ms);
		assert_all_free(desk);
	}
	desk_close(desk);
}

static void test_prefix_quota(void **state)
{
	(void)state;
	struct desk *desk =
		desk_open("listen = 2001:db8::1\n[turn]\nauth = open\nprefix-quota = 4\n");
	uint64_t first = 0;
	for (unsigned i = 0; i < 4; i++) {
		char text[64];
		snprintf(text, sizeof(text), "192.0.2.%u", i * 60);
		desk->client = desk_endpoint(text, 1000);
		desk_have_allocation(desk);
		if (i == 0)
			first = desk->context.allocation_id;
	}
	desk->context = (struct api_allocation_context){0};
	desk->client = desk_endpoint("192.0.2.255", 1000);
	desk_allocate(desk);
	desk_refuse(desk, 486);
	desk->client = desk_endpoint("192.0.3.0", 1000);
	desk_have_allocation(desk);
	// Given back only when the dataplane said so.
	desk->client = desk_endpoint("192.0.2.0", 1000);
	desk->context.allocation_id = first;
	stun_add_u32(desk_request(desk, STUN_REFRESH), STUN_LIFETIME, 0);
	assert_int_equal(desk_send(desk), 0);
	uint32_t removing = desk_last(desk)->id;
	desk->context = (struct api_allocation_context){0};
	desk->client = desk_endpoint("192.0.2.255", 1000);
	desk_allocate(desk);
	desk_refuse(desk, 486);
	turn_core_answer(desk->core, removing, 0, desk->now_ms);
	desk_allocate(desk);
	desk_succeed(desk);

	// /56 for IPv6.
	desk->server = desk_endpoint("2001:db8::1", 3478);
	for (unsigned i = 0; i < 5; i++) {
		char text[64];
		snprintf(text, sizeof(text), "2001:db8:1:aa%02x::%u", i, i);
		desk->client = desk_endpoint(text, 1000);
		desk_allocate(desk);
		if (i < 4)
			desk_succeed(desk);
		else
			desk_refuse(desk, 486);
	}
	desk->client = desk_endpoint("2001:db8:1:ab00::1", 1000);
	desk_allocate(desk);
	desk_succeed(desk);
	desk_check(desk);
	desk_close(desk);
}

static void test_credential_quota(void **state)
{
	(void)state;
	struct desk *desk = desk_open(
		"[turn]\nauth = static\nuser = a:1\nuser = b:2\nquota = 3\nprefix-quota = 0\n");
	for (unsigned i = 0; i < 4; i++) {
		next_client(desk);
		desk->name = "a";
		desk->password = "1";
		desk_challenge(desk);
		desk_allocate(desk);
		if (i < 3)
			desk_succeed(desk);
		else
			desk_refuse(desk, 486);
	}
	desk->name = "b";
	desk->password = "2";
	desk_allocate(desk);
	desk_succeed(desk);
	// A pair counts twice while its other half is held.
	next_client(desk);
	desk_challenge(desk);
	stun_add(desk_allocate(desk), STUN_EVEN_PORT, "\x80", 1);
	desk_succeed(desk);
	struct stun_message m = desk_reply(desk);
	struct stun_attribute a;
	uint8_t token[8];
	assert_true(stun_find(&m, STUN_RESERVATION_TOKEN, &a));
	memcpy(token, a.value, 8);
	next_client(desk);
	desk_challenge(desk);
	desk_allocate(desk);
	desk_refuse(desk, 486);
	// But who claims it takes its place.
	stun_add(desk_allocate(desk), STUN_RESERVATION_TOKEN, token, 8);
	desk_succeed(desk);
	desk_check(desk);
	next_client(desk);
	desk_challenge(desk);
	desk_allocate(desk);
	desk_refuse(desk, 486);
	desk_close(desk);
}

static void test_reservation_counts(void **state)
{
	(void)state;
	struct desk *desk = desk_open(SMALL "[turn]\nauth = static\nuser = a:1\nquota = 2\n");
	desk->name = "a";
	desk->password = "1";
	desk_challenge(desk);
	stun_add(desk_allocate(desk), STUN_EVEN_PORT, "\x80", 1);
	desk_succeed(desk);
	desk_adopt(desk);
	turn_core_expired(desk->core, desk->context.allocation_id);
	desk_check(desk);
	// One place is left: enough for one port, not for a pair.
	next_client(desk);
	desk_challenge(desk);
	stun_add(desk_allocate(desk), STUN_EVEN_PORT, "\x80", 1);
	desk_refuse(desk, 486);
	desk_have_allocation(desk);
	turn_core_expired(desk->core, desk->context.allocation_id);
	turn_core_tick(desk->core, desk->now_ms + 30000);
	assert_all_free(desk);
	desk_close(desk);
}

static void test_restart(void **state)
{
	(void)state;
	enum { LIVE = 12 };
	struct desk *desk = desk_open(
		SMALL "[turn]\nauth = static\nuser = a:1\nquota = 14\nprefix-quota = 0\n");
	struct api_allocation_context live[LIVE];
	struct net_endpoint clients[LIVE];
	uint8_t last_request[2048];
	desk->name = "a";
	desk->password = "1";
	for (unsigned i = 0; i < LIVE; i++) {
		next_client(desk);
		desk_challenge(desk);
		desk_have_allocation(desk);
		live[i] = desk->context;
		clients[i] = desk->client;
	}
	size_t last_length = desk->request_length;
	memcpy(last_request, desk->request, last_length);
	uint64_t free_ports = desk_usage(desk).ports_free;

	desk_restart(desk);
	for (unsigned i = 0; i < LIVE; i++) {
		struct api_snapshot_item item = desk_snapshot(&live[i]);
		turn_core_snapshot_item(desk->core, &item);
		turn_core_snapshot_item(desk->core, &item); // told twice, counted once
	}
	turn_core_snapshot_end(desk->core, desk->now_ms);
	desk_check(desk);
	assert_int_equal(desk_usage(desk).allocations, LIVE);
	assert_int_equal(desk_usage(desk).ports_free, free_ports);
	assert_int_equal(desk->core->credential_quota.counts.count, 1);

	// Refreshes go on, with a new nonce.
	for (unsigned i = 0; i < LIVE; i++) {
		desk->client = clients[i];
		desk->context = live[i];
		desk_request(desk, STUN_REFRESH);
		desk_refuse(desk, 438);
		desk_learn(desk);
		desk_request(desk, STUN_REFRESH);
		desk_succeed(desk);
	}
	// Quotas are right: two more, not three.
	for (unsigned i = 0; i < 3; i++) {
		next_client(desk);
		desk_challenge(desk);
		desk_allocate(desk);
		if (i < 2)
			desk_succeed(desk);
		else
			desk_refuse(desk, 486);
	}
	// No port is given twice.
	desk_check(desk);
	for (unsigned i = 0; i < LIVE; i++)
		turn_core_expired(desk->core, live[i].allocation_id);
	assert_int_equal(desk_usage(desk).allocations, 2);
	desk_check(desk);
	desk_close(desk);
}

static void test_restart_keeps_reservation(void **state)
{
	(void)state;
	struct desk *desk = desk_open(SMALL OPEN);
	stun_add(desk_allocate(desk), STUN_EVEN_PORT, "\x80", 1);
	desk_succeed(desk);
	desk_adopt(desk);
	struct stun_message m = desk_reply(desk);
	struct stun_attribute a;
	uint8_t token[8];
	assert_true(stun_find(&m, STUN_RESERVATION_TOKEN, &a));
	memcpy(token, a.value, 8);
	struct api_snapshot_item item = desk_snapshot(&desk->context);
	desk_restart(desk);
	turn_core_snapshot_item(desk->core, &item);
	// Retransmitted across the restart: the same answer, the same token.
	desk_repeat(desk);
	m = desk_reply(desk);
	assert_true(stun_find(&m, STUN_RESERVATION_TOKEN, &a));
	assert_memory_equal(a.value, token, 8);
	turn_core_snapshot_end(desk->core, desk->now_ms);
	assert_int_equal(desk_usage(desk).reservations, 1);
	desk_check(desk);
	next_client(desk);
	stun_add(desk_allocate(desk), STUN_RESERVATION_TOKEN, token, 8);
	desk_succeed(desk);
	assert_int_equal(
		desk_xor_address(desk, STUN_XOR_RELAYED_ADDRESS, 0).port, item.relayed[0].port + 1);
	desk_adopt(desk);
	// Once more, with the sibling in use: nothing to hold.
	struct api_snapshot_item sibling = desk_snapshot(&desk->context);
	desk_restart(desk);
	turn_core_snapshot_item(desk->core, &item);
	turn_core_snapshot_item(desk->core, &sibling);
	turn_core_snapshot_end(desk->core, desk->now_ms);
	assert_int_equal(desk_usage(desk).reservations, 0);
	desk_check(desk);
	desk_close(desk);
}

// An allocation on an address or port that is no longer configured.
static void test_snapshot_of_another_configuration(void **state)
{
	(void)state;
	struct desk *desk = desk_open(SMALL OPEN);
	struct api_snapshot_item item = {.allocation_id = 77,
		.credential_tag = 5,
		.prefix_tag = 6,
		.relayed = {
			desk_endpoint("198.51.100.1", 40000), desk_endpoint("2001:db8::9", 50001)}};
	desk_restart(desk);
	turn_core_snapshot_item(desk->core, &item);
	item.allocation_id = 78;
	item.relayed[0] = desk_endpoint("203.0.113.5", 50001);
	turn_core_snapshot_item(desk->core, &item);
	item.allocation_id = 0;
	turn_core_snapshot_item(desk->core, &item);
	turn_core_snapshot_end(desk->core, desk->now_ms);
	desk_check(desk);
	assert_int_equal(desk_usage(desk).allocations, 2);
	assert_int_equal(desk_usage(desk).ports_free, 20);
	turn_core_expired(desk->core, 77);
	turn_core_expired(desk->core, 78);
	assert_all_free(desk);
	desk_close(desk);
}

static void test_reconnect_forgets_requests_in_flight(void **state)
{
	(void)state;
	struct desk *desk = desk_open(SMALL OPEN);
	stun_add(desk_allocate(desk), STUN_EVEN_PORT, "\x80", 1);
	assert_int_equal(desk_send(desk), 0);
	desk_connect(desk);
	assert_int_equal(desk_answer(desk, 0), 0);
	turn_core_snapshot_end(desk->core, desk->now_ms);
	assert_all_free(desk);
	desk_close(desk);
}

static void test_lost_connection(void **state)
{
	(void)state;
	struct desk *desk = desk_open(SMALL OPEN);
	stun_add(desk_allocate(desk), STUN_EVEN_PORT, "\x80", 1);
	assert_int_equal(desk_send(desk), 0);
	assert_int_equal(desk_answer(desk, -ENOTCONN), 0);
	assert_all_free(desk);
	desk_have_allocation(desk);
	stun_add_u32(desk_request(desk, STUN_REFRESH), STUN_LIFETIME, 0);
	assert_int_equal(desk_send(desk), 0);
	assert_int_equal(desk_answer(desk, -ENOTCONN), 0);
	assert_int_equal(desk_usage(desk).allocations, 1); // the snapshot will tell
	desk_check(desk);
	desk_close(desk);
}

// Finds the client's address, as bytes, in everything the core owns.
static bool remembered(const struct desk *desk)
{
	const struct turn_core *core = desk->core;
	const struct {
		const void *data;
		size_t size;
	} parts[] = {
		{core, sizeof(*core)},
		{core->in_flight.slots, TURN_IN_FLIGHT_MAX * sizeof(struct turn_request)},
		{core->in_flight.by_install.slots, (size_t)core->in_flight.by_install.capacity *
							   core->in_flight.by_install.slot_size},
		{core->in_flight.by_duplicate.slots,
			(size_t)core->in_flight.by_duplicate.capacity *
				core->in_flight.by_duplicate.slot_size},
		{core->allocations.slots,
			(size_t)core->allocations.capacity * core->allocations.slot_size},
		{core->reservations.by_token.slots, (size_t)core->reservations.by_token.capacity *
							    core->reservations.by_token.slot_size},
		{core->prefix_quota.counts.slots, (size_t)core->prefix_quota.counts.capacity *
							  core->prefix_quota.counts.slot_size},
	};
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (parts[i].size > 0 &&
			memmem(parts[i].data, parts[i].size, desk->client.address.bytes, 4) != NULL)
			return true;
	}
	return false;
}

static void test_nothing_is_remembered(void **state)
{
	(void)state;
	struct desk *desk = desk_open(OPEN);
	desk->client = desk_endpoint("93.184.216.34", 54321);
	assert_false(remembered(desk));
	desk_allocate(desk);
	assert_int_equal(desk_send(desk), 0);
	assert_true(remembered(desk)); // while it waits
	assert_int_equal(desk_answer(desk, 0), 1);
	assert_false(remembered(desk));
	desk_adopt(desk);
	stun_add_xor_address(desk_request(desk, STUN_CREATE_PERMISSION), STUN_XOR_PEER_ADDRESS,
		&(struct net_endpoint){.address = desk_address("8.8.8.8")});
	desk_succeed(desk);
	assert_false(remembered(desk));
	// Refused ones, too.
	next_client(desk);
	desk_allocate(desk);
	assert_int_equal(desk_send(desk), 0);
	assert_int_equal(desk_answer(desk, -ENOSPC), 1);
	assert_false(remembered(desk));
	desk_request(desk, STUN_REFRESH);
	desk_refuse(desk, 437);
	assert_false(remembered(desk));
	desk_close(desk);
}

// The dataplane does not answer: after a while the client is forgotten, the port is not.
static void test_requests_given_up(void **state)
{
	(void)state;
	struct desk *desk = desk_open(OPEN);
	desk->client = desk_endpoint("93.184.216.34", 54321);
	stun_add(desk_allocate(desk), STUN_EVEN_PORT, "\x80", 1);
	assert_int_equal(desk_send(desk), 0);
	uint64_t wait = turn_core_tick(desk->core, desk->now_ms);
	assert_in_range(wait, 1, TURN_IN_FLIGHT_TIMEOUT_MS);
	desk->now_ms += TURN_IN_FLIGHT_TIMEOUT_MS;
	turn_core_tick(desk->core, desk->now_ms);
	assert_false(remembered(desk));
	assert_int_equal(desk_usage(desk).in_flight, 1);
	desk_check(desk);
	assert_int_equal(desk_answer(desk, 0), 0); // late: it exists, nobody is told
	assert_int_equal(desk_usage(desk).in_flight, 0);
	assert_int_equal(desk_usage(desk).allocations, 1);
	assert_int_equal(desk_usage(desk).reservations, 1);
	desk_check(desk);
	// The client, repeating, gets its success.
	desk_adopt(desk);
	assert_int_equal(desk_repeat(desk), 1);
	assert_int_equal(desk_error(desk), 0);

	next_client(desk);
	desk_allocate(desk);
	assert_int_equal(desk_send(desk), 0);
	desk->now_ms += TURN_IN_FLIGHT_TIMEOUT_MS;
	turn_core_tick(desk->core, desk->now_ms);
	assert_int_equal(desk_answer(desk, -EADDRINUSE), 0);
	assert_int_equal(desk_usage(desk).allocations, 1);
	desk_check(desk);
	// A removal that is confirmed late counts all the same.
	desk_have_allocation(desk);
	stun_add_u32(desk_request(desk, STUN_REFRESH), STUN_LIFETIME, 0);
	assert_int_equal(desk_send(desk), 0);
	desk->now_ms += TURN_IN_FLIGHT_TIMEOUT_MS;
	turn_core_tick(desk->core, desk->now_ms);
	assert_int_equal(desk_answer(desk, 0), 0);
	assert_int_equal(desk_usage(desk).allocations, 1);
	desk_check(desk);
	desk_close(desk);
}

static void test_in_flight_is_bounded(void **state)
{
	(void)state;
	struct desk *desk = desk_open("[turn]\nauth = open\nprefix-quota = 0\n");
	for (unsigned i = 0; i < TURN_IN_FLIGHT_MAX; i++) {
		desk->client.port = (uint16_t)i;
		desk_allocate(desk);
		desk_send(desk);
	}
	assert_int_equal(desk->installed, TURN_IN_FLIGHT_MAX);
	desk->client.port = 60000;
	desk_allocate(desk);
	assert_int_equal(desk_send(desk), 0);
	assert_int_equal(desk->installed, TURN_IN_FLIGHT_MAX);
	assert_int_equal(turn_core_counter(desk->core, TURN_COUNTER_in_flight_full), 1);
	desk_check(desk);
	for (uint32_t id = 1; id <= TURN_IN_FLIGHT_MAX; id++)
		turn_core_answer(desk->core, id, -ENOSPC, desk->now_ms);
	assert_all_free(desk);
	desk_close(desk);
}

// Unauthenticated floods from a million sources leave nothing: see also tests/system.
static void test_no_state_per_spoofed_packet(void **state)
{
	(void)state;
	struct desk *desk = desk_open("[turn]\nauth = static\nuser = a:1\n");
	for (uint32_t i = 0; i < 20000; i++) {
		memcpy(desk->client.address.bytes, &i, 4);
		desk->client.port = (uint16_t)(i * 7);
		desk_allocate(desk);
		desk_punt(desk);
	}
	assert_int_equal(desk->installed, 0);
	assert_all_free(desk);
	assert_int_equal(desk->core->allocations.capacity, 0);
	desk_close(desk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ports_fill_drain_refill),
		cmocka_unit_test(test_prefix_quota),
		cmocka_unit_test(test_credential_quota),
		cmocka_unit_test(test_reservation_counts),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_restart_keeps_reservation),
		cmocka_unit_test(test_snapshot_of_another_configuration),
		cmocka_unit_test(test_reconnect_forgets_requests_in_flight),
		cmocka_unit_test(test_lost_connection),
		cmocka_unit_test(test_nothing_is_remembered),
		cmocka_unit_test(test_requests_given_up),
		cmocka_unit_test(test_in_flight_is_bounded),
		cmocka_unit_test(test_no_state_per_spoofed_packet),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
