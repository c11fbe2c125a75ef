// SPDX-License-Identifier: BSD-3-Clause
// Allocate without authentication: its errors, and the ports that it gives: those that steer to the
// owner, pairs and reservations, one of each family.
#include "tests/unit/turn_desk.h"

#define DUAL "listen = 2001:db8::1\n"
#define OPEN "[turn]\nauth = open\n"

static void add_family(struct desk *desk, uint16_t type, uint8_t family)
{
	const uint8_t value[4] = {family, 0, 0, 0};
	stun_add(&desk->builder, type, value, sizeof(value));
}

static void test_allocate_errors(void **state)
{
	(void)state;
	struct desk *desk = desk_open(DUAL OPEN);
	static const uint8_t token[8] = {1, 2, 3};
	static const uint8_t reserve = 0x80, plain = 0;

	desk_request(desk, STUN_ALLOCATE);
	desk_refuse(desk, 400);
	stun_add(desk_request(desk, STUN_ALLOCATE), STUN_REQUESTED_TRANSPORT, "\x11", 1);
	desk_refuse(desk, 400);
	stun_add_u32(desk_request(desk, STUN_ALLOCATE), STUN_REQUESTED_TRANSPORT, 6u << 24);
	desk_refuse(desk, 442);

	stun_add(desk_allocate(desk), STUN_RESERVATION_TOKEN, token, 8);
	stun_add(&desk->builder, STUN_EVEN_PORT, &plain, 1);
	desk_refuse(desk, 400);
	stun_add(desk_allocate(desk), STUN_RESERVATION_TOKEN, token, 8);
	add_family(desk, STUN_REQUESTED_ADDRESS_FAMILY, STUN_FAMILY_IPV4);
	desk_refuse(desk, 400);
	stun_add(desk_allocate(desk), STUN_RESERVATION_TOKEN, token, 8);
	add_family(desk, STUN_ADDITIONAL_ADDRESS_FAMILY, STUN_FAMILY_IPV6);
	desk_refuse(desk, 400);
	stun_add(desk_allocate(desk), STUN_RESERVATION_TOKEN, token, 7);
	desk_refuse(desk, 400);
	stun_add(desk_allocate(desk), STUN_RESERVATION_TOKEN, token, 8);
	desk_refuse(desk, 508);
	stun_add(desk_allocate(desk), STUN_RESERVATION_TOKEN, "\0\0\0\0\0\0\0\0", 8);
	desk_refuse(desk, 508);

	desk_allocate(desk);
	add_family(desk, STUN_REQUESTED_ADDRESS_FAMILY, STUN_FAMILY_IPV6);
	add_family(desk, STUN_ADDITIONAL_ADDRESS_FAMILY, STUN_FAMILY_IPV6);
	desk_refuse(desk, 400);
	desk_allocate(desk);
	add_family(desk, STUN_REQUESTED_ADDRESS_FAMILY, 3);
	desk_refuse(desk, 440);
	stun_add(desk_allocate(desk), STUN_REQUESTED_ADDRESS_FAMILY, "\x01", 1);
	desk_refuse(desk, 400);
	desk_allocate(desk);
	add_family(desk, STUN_ADDITIONAL_ADDRESS_FAMILY, STUN_FAMILY_IPV4);
	desk_refuse(desk, 400);
	desk_allocate(desk);
	add_family(desk, STUN_ADDITIONAL_ADDRESS_FAMILY, STUN_FAMILY_IPV6);
	stun_add(&desk->builder, STUN_EVEN_PORT, &reserve, 1);
	desk_refuse(desk, 400);
	stun_add(desk_allocate(desk), STUN_EVEN_PORT, token, 2);
	desk_refuse(desk, 400);
	stun_add(desk_allocate(desk), STUN_DONT_FRAGMENT, token, 4);
	desk_refuse(desk, 400);
	assert_int_equal(turn_core_counter(desk->core, TURN_COUNTER_error_442), 1);

	stun_add(desk_allocate(desk), STUN_DONT_FRAGMENT, NULL, 0);
	desk_succeed(desk);
	desk_close(desk);

	desk = desk_open(OPEN); // IPv4 only
	desk_allocate(desk);
	add_family(desk, STUN_REQUESTED_ADDRESS_FAMILY, STUN_FAMILY_IPV6);
	desk_refuse(desk, 440);
	desk_close(desk);
}

// Odd pairs are worker 3's (the desk's requests come from it), even ones worker 1's.
static void desk_steer(struct desk *desk)
{
	turn_core_steering_begin(desk->core);
	for (unsigned first = 0; first < 65536; first += 2 * API_STEERING_PAIRS) {
		struct api_steering item = {.family = NET_IPV4,
			.first_port = (uint16_t)first,
			.pairs = API_STEERING_PAIRS,
			.workers = 4};
		for (unsigned i = 0; i < API_STEERING_PAIRS; i++)
			item.worker[i] = i % 2 ? 3 : 1;
		turn_core_steering_item(desk->core, &item);
	}
	turn_core_steering_end(desk->core);
}

static void test_ports_that_steer_to_the_owner(void **state)
{
	(void)state;
	struct desk *desk = desk_open(OPEN);
	static const uint8_t reserve = 0x80;
	// Nonsense is not taken.
	struct api_steering item = {.family = 9, .pairs = 1, .workers = 4};
	turn_core_steering_item(desk->core, &item);
	item = (struct api_steering){
		.family = NET_IPV4, .first_port = 65534, .pairs = 2, .workers = 4};
	turn_core_steering_item(desk->core, &item);
	desk_steer(desk);
	for (unsigned i = 0; i < 40; i++) {
		desk_allocate(desk);
		desk_succeed(desk);
		assert_int_equal(
			desk_xor_address(desk, STUN_XOR_RELAYED_ADDRESS, 0).port / 2 % 2, 1);
		desk->client.port++;
	}
	stun_add(desk_allocate(desk), STUN_EVEN_PORT, &reserve, 1);
	desk_succeed(desk);
	struct stun_message m = desk_reply(desk);
	struct stun_attribute a;
	uint8_t token[8];
	assert_int_equal(desk_xor_address(desk, STUN_XOR_RELAYED_ADDRESS, 0).port / 2 % 2, 1);
	assert_true(stun_find(&m, STUN_RESERVATION_TOKEN, &a));
	memcpy(token, a.value, 8);
	assert_int_equal(turn_core_counter(desk->core, TURN_COUNTER_ports_astray), 0);
	// The dataplane was started anew and steers otherwise: the reserved port is what it is.
	turn_core_steering_begin(desk->core);
	turn_core_steering_end(desk->core);
	desk->client.port++;
	stun_add(desk_allocate(desk), STUN_RESERVATION_TOKEN, token, 8);
	desk_succeed(desk);
	assert_int_equal(turn_core_counter(desk->core, TURN_COUNTER_ports_astray), 0);
	desk_check(desk);
	desk_close(desk);
}

// All ports of the worker are taken: another's is better than none, and counted.
static void test_no_port_left_that_steers(void **state)
{
	(void)state;
	struct desk *desk = desk_open("relay-ports = 50000-50007\n" OPEN);
	desk_steer(desk);
	for (unsigned i = 0; i < 8; i++) {
		desk_allocate(desk);
		desk_succeed(desk);
		assert_int_equal(turn_core_counter(desk->core, TURN_COUNTER_ports_astray),
			i < 4 ? 0 : i - 3);
		desk->client.port++;
		desk_check(desk);
	}
	desk_allocate(desk);
	assert_int_equal(desk_send(desk), 1);
	assert_int_equal(desk_error(desk), 508);
	desk_close(desk);
}

static void test_even_port_and_reservation(void **state)
{
	(void)state;
	struct desk *desk = desk_open(OPEN);
	static const uint8_t reserve = 0x80, plain = 0;
	for (unsigned i = 0; i < 20; i++) {
		stun_add(desk_allocate(desk), STUN_EVEN_PORT, &plain, 1);
		desk_succeed(desk);
		assert_int_equal(desk_xor_address(desk, STUN_XOR_RELAYED_ADDRESS, 0).port % 2, 0);
		assert_false(desk_has(desk, STUN_RESERVATION_TOKEN));
		desk->client.port++;
	}
	stun_add(desk_allocate(desk), STUN_EVEN_PORT, &reserve, 1);
	desk_succeed(desk);
	desk_adopt(desk);
	struct net_endpoint even = desk_xor_address(desk, STUN_XOR_RELAYED_ADDRESS, 0);
	struct stun_message m = desk_reply(desk);
	struct stun_attribute a;
	uint8_t token[8];
	assert_int_equal(even.port % 2, 0);
	assert_true(stun_find(&m, STUN_RESERVATION_TOKEN, &a));
	assert_int_equal(a.length, 8);
	memcpy(token, a.value, 8);
	assert_int_equal(desk_usage(desk).reservations, 1);
	// The token of a retransmission is the same.
	assert_int_equal(desk_repeat(desk), 1);
	m = desk_reply(desk);
	assert_true(stun_find(&m, STUN_RESERVATION_TOKEN, &a));
	assert_memory_equal(a.value, token, 8);
	desk_check(desk);

	// An install that fails gives the port back to the reservation.
	desk->context = (struct api_allocation_context){0};
	desk->client.port++;
	desk->now_ms += 29000;
	turn_core_tick(desk->core, desk->now_ms);
	stun_add(desk_allocate(desk), STUN_RESERVATION_TOKEN, token, 8);
	assert_int_equal(desk_send(desk), 0);
	desk_check(desk);
	assert_int_equal(desk_answer(desk, -ENOSPC), 1);
	assert_int_equal(desk_error(desk), 508);
	desk_check(desk);
	// While one claims it, nobody else can.
	stun_add(desk_allocate(desk), STUN_RESERVATION_TOKEN, token, 8);
	assert_int_equal(desk_send(desk), 0);
	unsigned claiming = desk_last(desk)->id;
	desk->client.port++;
	stun_add(desk_allocate(desk), STUN_RESERVATION_TOKEN, token, 8);
	desk_refuse(desk, 508);
	desk->client.port--;
	turn_core_answer(desk->core, claiming, 0, desk->now_ms);
	const struct api_allocation_install *install = (void *)desk_last(desk)->payload;
	assert_int_equal(install->relayed[0].port, even.port + 1);
	assert_int_equal(desk_usage(desk).reservations, 0);
	desk_check(desk);
	desk->client.port++;
	stun_add(desk_allocate(desk), STUN_RESERVATION_TOKEN, token, 8);
	desk_refuse(desk, 508);

	// Not used in time: the port returns.
	stun_add(desk_allocate(desk), STUN_EVEN_PORT, &reserve, 1);
	desk_succeed(desk);
	assert_int_equal(desk_usage(desk).reservations, 1);
	uint64_t free_ports = desk_usage(desk).ports_free;
	turn_core_tick(desk->core, desk->now_ms + 29999);
	assert_int_equal(desk_usage(desk).reservations, 1);
	turn_core_tick(desk->core, desk->now_ms + 30000);
	assert_int_equal(desk_usage(desk).reservations, 0);
	assert_int_equal(desk_usage(desk).ports_free, free_ports + 1);
	desk_check(desk);
	desk_close(desk);
}

static void test_dual_allocation(void **state)
{
	(void)state;
	struct desk *desk = desk_open(DUAL OPEN);
	desk_allocate(desk);
	add_family(desk, STUN_ADDITIONAL_ADDRESS_FAMILY, STUN_FAMILY_IPV6);
	desk_succeed(desk);
	desk_adopt(desk);
	struct net_endpoint v4 = desk_xor_address(desk, STUN_XOR_RELAYED_ADDRESS, 0);
	struct net_endpoint v6 = desk_xor_address(desk, STUN_XOR_RELAYED_ADDRESS, 1);
	assert_int_equal(v4.address.family, NET_IPV4);
	assert_int_equal(v6.address.family, NET_IPV6);
	assert_false(desk_has(desk, STUN_ADDRESS_ERROR_CODE));
	assert_int_equal(desk_usage(desk).ports_free, desk_usage(desk).ports_total - 2);

	// Refreshing one family does not shorten the other.
	desk->context.remaining_ms = 3000 * 1000;
	stun_add_u32(desk_request(desk, STUN_REFRESH), STUN_LIFETIME, 700);
	add_family(desk, STUN_REQUESTED_ADDRESS_FAMILY, STUN_FAMILY_IPV4);
	desk_succeed(desk);
	const struct api_allocation_change *change = (void *)desk_last(desk)->payload;
	assert_int_equal(change->lifetime_ms, 3000 * 1000);
	assert_int_equal(desk_u32(desk, STUN_LIFETIME), 700);

	// One family ends, the other stays.
	stun_add_u32(desk_request(desk, STUN_REFRESH), STUN_LIFETIME, 0);
	add_family(desk, STUN_REQUESTED_ADDRESS_FAMILY, STUN_FAMILY_IPV6);
	desk_succeed(desk);
	change = (void *)desk_last(desk)->payload;
	assert_int_equal(desk_last(desk)->type, API_ALLOCATION_REMOVE);
	assert_int_equal(change->family, NET_IPV6);
	assert_int_equal(desk_usage(desk).ports_free, desk_usage(desk).ports_total - 1);
	assert_int_equal(desk_usage(desk).allocations, 1);
	desk_check(desk);
	memset(&desk->context.relayed[1], 0, sizeof(desk->context.relayed[1]));
	stun_add_u32(desk_request(desk, STUN_REFRESH), STUN_LIFETIME, 600);
	add_family(desk, STUN_REQUESTED_ADDRESS_FAMILY, STUN_FAMILY_IPV6);
	desk_refuse(desk, 443);
	stun_add_u32(desk_request(desk, STUN_REFRESH), STUN_LIFETIME, 600);
	add_family(desk, STUN_REQUESTED_ADDRESS_FAMILY, 9);
	desk_refuse(desk, 443);
	stun_add_u32(desk_request(desk, STUN_REFRESH), STUN_LIFETIME, 0);
	add_family(desk, STUN_REQUESTED_ADDRESS_FAMILY, STUN_FAMILY_IPV4);
	desk_succeed(desk);
	change = (void *)desk_last(desk)->payload;
	assert_int_equal(change->family, 0);
	assert_int_equal(desk_usage(desk).allocations, 0);
	desk_check(desk);
	desk_close(desk);

	// Without IPv6: half of it, and why.
	desk = desk_open(OPEN);
	desk_allocate(desk);
	add_family(desk, STUN_ADDITIONAL_ADDRESS_FAMILY, STUN_FAMILY_IPV6);
	desk_succeed(desk);
	for (unsigned round = 0; round < 2; round++) { // the second: a retransmission
		struct stun_message m = desk_reply(desk);
		struct stun_attribute a;
		assert_true(stun_find(&m, STUN_ADDRESS_ERROR_CODE, &a));
		assert_int_equal(a.length, 4);
		assert_memory_equal(a.value, "\x02\x00\x04\x28", 4);
		desk_adopt(desk);
		desk_repeat(desk);
	}
	desk_close(desk);

	// By the numbers of the draft, the same.
	desk = desk_open(OPEN);
	desk_allocate(desk);
	add_family(desk, 0x8032, STUN_FAMILY_IPV6);
	desk_succeed(desk);
	assert_true(desk_has(desk, 0x8033));
	assert_false(desk_has(desk, STUN_ADDRESS_ERROR_CODE));
	desk_adopt(desk);
	desk_repeat(desk);
	assert_true(desk_has(desk, 0x8033));
	desk->context = (struct api_allocation_context){0};
	desk_allocate(desk);
	add_family(desk, 0x8032, STUN_FAMILY_IPV4);
	desk_refuse(desk, 400);
	desk_close(desk);
	desk = desk_open(DUAL OPEN);
	desk_allocate(desk);
	add_family(desk, 0x8032, STUN_FAMILY_IPV6);
	desk_succeed(desk);
	assert_int_equal(
		desk_xor_address(desk, STUN_XOR_RELAYED_ADDRESS, 1).address.family, NET_IPV6);
	desk_close(desk);

	// IPv6 ports used up: 508 inside the success.
	desk = desk_open(DUAL "relay-ports = 50000-50001\n" OPEN);
	for (unsigned i = 0; i < 2; i++) {
		desk_allocate(desk);
		add_family(desk, STUN_REQUESTED_ADDRESS_FAMILY, STUN_FAMILY_IPV6);
		desk_succeed(desk);
		desk->client.port++;
	}
	desk_allocate(desk);
	add_family(desk, STUN_ADDITIONAL_ADDRESS_FAMILY, STUN_FAMILY_IPV6);
	desk_succeed(desk);
	struct stun_message m = desk_reply(desk);
	struct stun_attribute a;
	assert_true(stun_find(&m, STUN_ADDRESS_ERROR_CODE, &a));
	assert_memory_equal(a.value, "\x02\x00\x05\x08", 4);
	desk_check(desk);
	desk_close(desk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_allocate_errors),
		cmocka_unit_test(test_ports_that_steer_to_the_owner),
		cmocka_unit_test(test_no_port_left_that_steers),
		cmocka_unit_test(test_even_port_and_reservation),
		cmocka_unit_test(test_dual_allocation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
