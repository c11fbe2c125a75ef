// SPDX-License-Identifier: BSD-3-Clause
// The TURN core without authentication: the whole life of an allocation, every error of Refresh,
// CreatePermission and ChannelBind, and retransmissions.
#include "tests/unit/turn_desk.h"

#define OPEN "[turn]\nauth = open\n"

static void test_life_of_an_allocation(void **state)
{
	(void)state;
	struct desk *desk = desk_open(OPEN);
	desk_allocate(desk);
	assert_int_equal(desk_send(desk), 0);
	const struct api_allocation_install *install = (void *)desk_last(desk)->payload;
	assert_int_equal(desk_last(desk)->type, API_ALLOCATION_INSTALL);
	assert_int_equal(desk_last(desk)->size, sizeof(*install));
	assert_true(install->allocation_id != 0);
	assert_true(net_endpoint_equal(&install->client, &desk->client));
	assert_true(net_endpoint_equal(&install->server, &desk->server));
	assert_int_equal(install->lifetime_ms, 600000);
	assert_int_equal(install->worker, 3);
	assert_int_equal(install->flags, API_ALLOCATION_OPEN);
	assert_memory_equal(install->transaction, desk->transaction, 12);
	assert_int_equal(install->relayed[1].address.family, NET_UNSPECIFIED);
	assert_in_range(install->relayed[0].port, 49152, 65535);

	assert_int_equal(desk_answer(desk, 0), 1);
	assert_int_equal(desk_error(desk), 0);
	assert_int_equal(desk->sent.worker, 3);
	struct net_endpoint relayed = desk_xor_address(desk, STUN_XOR_RELAYED_ADDRESS, 0);
	struct net_endpoint mapped = desk_xor_address(desk, STUN_XOR_MAPPED_ADDRESS, 0);
	assert_true(net_endpoint_equal(&relayed, &install->relayed[0]));
	assert_true(net_endpoint_equal(&mapped, &desk->client));
	assert_int_equal(desk_u32(desk, STUN_LIFETIME), 600);
	assert_false(desk_has(desk, STUN_RESERVATION_TOKEN));
	assert_false(desk_has(desk, STUN_SOFTWARE));
	desk_adopt(desk);
	assert_int_equal(desk_usage(desk).allocations, 1);
	desk_check(desk);

	stun_add_u32(desk_request(desk, STUN_REFRESH), STUN_LIFETIME, 1200);
	desk_succeed(desk);
	const struct api_allocation_change *change = (void *)desk_last(desk)->payload;
	assert_int_equal(desk_last(desk)->type, API_ALLOCATION_REFRESH);
	assert_int_equal(change->allocation_id, desk->context.allocation_id);
	assert_int_equal(change->lifetime_ms, 1200000);
	assert_int_equal(desk_u32(desk, STUN_LIFETIME), 1200);

	struct net_endpoint peer = desk_endpoint("8.8.8.8", 5000);
	struct net_endpoint other = desk_endpoint("9.9.9.9", 0);
	stun_add_xor_address(
		desk_request(desk, STUN_CREATE_PERMISSION), STUN_XOR_PEER_ADDRESS, &peer);
	stun_add_xor_address(&desk->builder, STUN_XOR_PEER_ADDRESS, &other);
	desk_succeed(desk);
	const struct api_permissions_install *permissions = (void *)desk_last(desk)->payload;
	assert_int_equal(desk_last(desk)->type, API_PERMISSIONS_INSTALL);
	assert_int_equal(desk_last(desk)->size, sizeof(*permissions) + 2 * 20);
	assert_int_equal(permissions->count, 2);
	assert_int_equal(permissions->lifetime_ms, 300000);
	assert_true(net_address_equal(&permissions->peers[0], &peer.address));
	assert_true(net_address_equal(&permissions->peers[1], &other.address));

	stun_add_u32(desk_request(desk, STUN_CHANNEL_BIND), STUN_CHANNEL_NUMBER, 0x40010000);
	stun_add_xor_address(&desk->builder, STUN_XOR_PEER_ADDRESS, &peer);
	desk_succeed(desk);
	const struct api_channel_bind *bind = (void *)desk_last(desk)->payload;
	assert_int_equal(desk_last(desk)->type, API_CHANNEL_BIND);
	assert_int_equal(bind->channel, 0x4001);
	assert_int_equal(bind->lifetime_ms, 600000);
	assert_int_equal(bind->permission_lifetime_ms, 300000);
	assert_true(net_endpoint_equal(&bind->peer, &peer));

	stun_add_u32(desk_request(desk, STUN_REFRESH), STUN_LIFETIME, 0);
	assert_int_equal(desk_send(desk), 0);
	assert_int_equal(desk_last(desk)->type, API_ALLOCATION_REMOVE);
	assert_int_equal(desk_usage(desk).allocations, 1); // until the dataplane has removed it
	assert_int_equal(desk_answer(desk, 0), 1);
	assert_int_equal(desk_u32(desk, STUN_LIFETIME), 0);
	struct turn_usage usage = desk_usage(desk);
	assert_int_equal(usage.allocations, 0);
	assert_int_equal(usage.ports_free, usage.ports_total);
	desk->context = (struct api_allocation_context){0};
	assert_int_equal(desk_repeat(desk), 1); // RFC 8656 8.3: as good as a success
	assert_int_equal(desk_error(desk), 437);
	desk_check(desk);
	desk_close(desk);
}

static void test_lifetimes(void **state)
{
	(void)state;
	struct desk *desk = desk_open(OPEN "max-lifetime = 3000\n");
	static const uint32_t asked[][2] = {{0, 600}, {1, 600}, {600, 600}, {601, 601},
		{3000, 3000}, {3001, 3000}, {UINT32_MAX, 3000}};
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		stun_add_u32(desk_allocate(desk), STUN_LIFETIME, asked[i][0]);
		desk_succeed(desk);
		assert_int_equal(desk_u32(desk, STUN_LIFETIME), asked[i][1]);
		desk->client.port++;
	}
	desk_have_allocation(desk);
	desk_request(desk, STUN_REFRESH);
	desk_succeed(desk);
	assert_int_equal(desk_u32(desk, STUN_LIFETIME), 600);
	for (size_t i = 1; i < sizeof(asked) / sizeof(asked[0]); i++) {
		stun_add_u32(desk_request(desk, STUN_REFRESH), STUN_LIFETIME, asked[i][0]);
		desk_succeed(desk);
		assert_int_equal(desk_u32(desk, STUN_LIFETIME), asked[i][1]);
	}
	stun_add(desk_request(desk, STUN_REFRESH), STUN_LIFETIME, "ab", 2);
	desk_refuse(desk, 400);
	desk->context.allocation_id = 0;
	stun_add(desk_allocate(desk), STUN_LIFETIME, "abcdefgh", 8);
	desk_refuse(desk, 400);
	desk_close(desk);
}

static void test_unknown_attributes(void **state)
{
	(void)state;
	struct desk *desk = desk_open(OPEN);
	stun_add_u32(desk_allocate(desk), STUN_PRIORITY, 7);
	stun_add_u32(&desk->builder, 0x7F01, 7);
	stun_add_u32(&desk->builder, 0xFF01, 7); // comprehension-optional
	desk_refuse(desk, 420);
	struct stun_message m = desk_reply(desk);
	struct stun_attribute a;
	assert_true(stun_find(&m, STUN_UNKNOWN_ATTRIBUTES, &a));
	assert_int_equal(a.length, 4);
	assert_memory_equal(a.value, "\x00\x24\x7f\x01", 4);

	// A small request that earns a long list may not be answered in full size.
	desk_request(desk, STUN_ALLOCATE);
	for (uint16_t type = 0x7F00; type < 0x7F40; type++)
		stun_add(&desk->builder, type, NULL, 0);
	desk_refuse(desk, 420);
	desk_close(desk);
}

static void test_dont_answer_what_is_no_request(void **state)
{
	(void)state;
	struct desk *desk = desk_open(OPEN);
	static const enum stun_class classes[] = {STUN_INDICATION, STUN_SUCCESS, STUN_ERROR};
	for (unsigned i = 0; i < 3; i++) {
		desk->builder = stun_begin(desk->request, sizeof(desk->request), STUN_ALLOCATE,
			classes[i], desk->transaction);
		assert_int_equal(desk_punt(desk), 0);
	}
	desk_request(desk, STUN_BINDING);
	assert_int_equal(desk_punt(desk), 0);
	desk_request(desk, 0x00A); // CONNECT, RFC 6062: unknown methods draw silence
	assert_int_equal(desk_punt(desk), 0);
	assert_int_equal(turn_core_counter(desk->core, TURN_COUNTER_unexpected_method), 5);
	desk_allocate(desk);
	stun_finish(&desk->builder);
	for (size_t length = 0; length < desk->builder.length; length++)
		desk_punt_bytes(desk, desk->request, length);
	assert_int_equal(desk->replies, 0);
	assert_int_equal(desk->installed, 0);
	assert_int_equal(
		turn_core_counter(desk->core, TURN_COUNTER_malformed), desk->builder.length);
	desk_close(desk);
}

static void test_attributes_after_integrity_are_not_seen(void **state)
{
	(void)state;
	struct desk *desk = desk_open(OPEN);
	struct stun_key key = {.length = 16};
	desk_allocate(desk);
	stun_add_integrity(&desk->builder, &key);
	stun_add_u32(&desk->builder, STUN_LIFETIME, 3600);
	desk_succeed(desk);
	assert_int_equal(desk_u32(desk, STUN_LIFETIME), 600);
	// First wins.
	desk->client.port++;
	stun_add_u32(desk_allocate(desk), STUN_LIFETIME, 700);
	stun_add_u32(&desk->builder, STUN_LIFETIME, 3600);
	desk_succeed(desk);
	assert_int_equal(desk_u32(desk, STUN_LIFETIME), 700);
	desk_close(desk);
}

static void test_retransmission(void **state)
{
	(void)state;
	struct desk *desk = desk_open(OPEN);
	desk_allocate(desk);
	assert_int_equal(desk_send(desk), 0);
	assert_int_equal(desk_repeat(desk), 0); // in flight: absorbed
	assert_int_equal(desk->installed, 1);
	assert_int_equal(turn_core_counter(desk->core, TURN_COUNTER_retransmissions), 1);
	assert_int_equal(desk_answer(desk, 0), 1);
	struct net_endpoint first = desk_xor_address(desk, STUN_XOR_RELAYED_ADDRESS, 0);
	desk_adopt(desk);
	desk->context.remaining_ms = 599200;
	assert_int_equal(desk_repeat(desk), 1);
	assert_int_equal(desk_error(desk), 0);
	struct net_endpoint second = desk_xor_address(desk, STUN_XOR_RELAYED_ADDRESS, 0);
	assert_true(net_endpoint_equal(&first, &second));
	assert_int_equal(desk_u32(desk, STUN_LIFETIME), 600);
	assert_int_equal(desk->installed, 1);
	// Another transaction on the same 5-tuple.
	desk_allocate(desk);
	desk_refuse(desk, 437);
	desk_check(desk);

	// Two clients may use the same transaction id.
	desk->context = (struct api_allocation_context){0};
	desk_allocate(desk);
	assert_int_equal(desk_send(desk), 0);
	desk->client.port++;
	desk_punt_bytes(desk, desk->request, desk->request_length);
	assert_int_equal(desk->installed, 3);
	desk_close(desk);
}

static void test_dataplane_refusals(void **state)
{
	(void)state;
	struct desk *desk = desk_open(OPEN);
	static const int allocate[][2] = {
		{-EEXIST, 437}, {-ENOSPC, 508}, {-EAGAIN, 508}, {-ESHUTDOWN, 508}, {-EINVAL, 500}};
	for (unsigned i = 0; i < 5; i++) {
		desk_allocate(desk);
		assert_int_equal(desk_send(desk), 0);
		assert_int_equal(desk_answer(desk, allocate[i][0]), 1);
		assert_int_equal(desk_error(desk), allocate[i][1]);
		assert_int_equal(desk_usage(desk).ports_free, desk_usage(desk).ports_total);
		desk_check(desk);
	}
	// A port is taken: others are tried, but not for ever.
	desk_allocate(desk);
	assert_int_equal(desk_send(desk), 0);
	uint16_t tried[TURN_ALLOCATE_ATTEMPTS];
	for (unsigned i = 0; i < TURN_ALLOCATE_ATTEMPTS; i++) {
		const struct api_allocation_install *install = (void *)desk_last(desk)->payload;
		tried[i] = install->relayed[0].port;
		assert_true(i == 0 || tried[i] != tried[i - 1]);
		assert_int_equal(desk_answer(desk, -EADDRINUSE), i + 1 == TURN_ALLOCATE_ATTEMPTS);
		desk_check(desk);
	}
	assert_int_equal(desk_error(desk), 508);
	assert_int_equal(desk_usage(desk).ports_free, desk_usage(desk).ports_total);
	// The same with a pair.
	stun_add(desk_allocate(desk), STUN_EVEN_PORT, "\x80", 1);
	assert_int_equal(desk_send(desk), 0);
	assert_int_equal(desk_answer(desk, -EADDRINUSE), 0);
	desk_check(desk);
	assert_int_equal(desk_usage(desk).reservations, 1);
	assert_int_equal(desk_answer(desk, -ENOSPC), 1);
	assert_int_equal(desk_usage(desk).reservations, 0);
	assert_int_equal(desk_usage(desk).ports_free, desk_usage(desk).ports_total);

	struct net_endpoint peer = desk_endpoint("8.8.8.8", 5000);
	static const int other[][3] = {{-ENOENT, 437, 437}, {-ENOSPC, 508, 508},
		{-EADDRINUSE, 400, 400}, {-EINVAL, 500, 500}};
	for (unsigned i = 0; i < 4; i++) {
		desk_have_allocation(desk);
		stun_add_u32(
			desk_request(desk, STUN_CHANNEL_BIND), STUN_CHANNEL_NUMBER, 0x4FFF0000);
		stun_add_xor_address(&desk->builder, STUN_XOR_PEER_ADDRESS, &peer);
		assert_int_equal(desk_send(desk), 0);
		assert_int_equal(desk_answer(desk, other[i][0]), 1);
		assert_int_equal(desk_error(desk), other[i][1]);
		desk_check(desk);
		desk->client.port++;
	}
	desk_have_allocation(desk);
	uint64_t before = desk_usage(desk).allocations;
	desk_request(desk, STUN_REFRESH);
	assert_int_equal(desk_send(desk), 0);
	assert_int_equal(desk_answer(desk, -ENOENT), 1);
	assert_int_equal(desk_error(desk), 437);
	assert_int_equal(desk_usage(desk).allocations, before - 1);
	// Its expiry, reported late, changes nothing.
	turn_core_expired(desk->core, desk->context.allocation_id);
	desk_check(desk);
	desk_close(desk);
}

static void test_without_allocation(void **state)
{
	(void)state;
	struct desk *desk = desk_open(OPEN);
	static const uint16_t methods[] = {STUN_REFRESH, STUN_CREATE_PERMISSION, STUN_CHANNEL_BIND};
	for (unsigned i = 0; i < 3; i++) {
		desk_request(desk, methods[i]);
		desk_refuse(desk, 437);
	}
	desk_close(desk);
}

static void test_permission_errors(void **state)
{
	(void)state;
	struct desk *desk = desk_open(OPEN);
	struct net_endpoint good = desk_endpoint("8.8.8.8", 1);
	struct net_endpoint private = desk_endpoint("10.0.0.1", 1);
	struct net_endpoint v6 = desk_endpoint("2606:4700::1", 1);
	desk_have_allocation(desk);
	desk_request(desk, STUN_CREATE_PERMISSION);
	desk_refuse(desk, 400);
	stun_add_xor_address(
		desk_request(desk, STUN_CREATE_PERMISSION), STUN_XOR_PEER_ADDRESS, &good);
	stun_add(&desk->builder, STUN_XOR_PEER_ADDRESS, "\0\1\0", 3);
	desk_refuse(desk, 400);
	stun_add_xor_address(
		desk_request(desk, STUN_CREATE_PERMISSION), STUN_XOR_PEER_ADDRESS, &good);
	stun_add_xor_address(&desk->builder, STUN_XOR_PEER_ADDRESS, &v6);
	desk_refuse(desk, 443);
	stun_add_xor_address(
		desk_request(desk, STUN_CREATE_PERMISSION), STUN_XOR_PEER_ADDRESS, &good);
	stun_add_xor_address(&desk->builder, STUN_XOR_PEER_ADDRESS, &private);
	desk_refuse(desk, 403); // all or none
	// The order does not matter.
	stun_add_xor_address(
		desk_request(desk, STUN_CREATE_PERMISSION), STUN_XOR_PEER_ADDRESS, &v6);
	stun_add_xor_address(&desk->builder, STUN_XOR_PEER_ADDRESS, &good);
	desk_refuse(desk, 443);
	stun_add_xor_address(
		desk_request(desk, STUN_CREATE_PERMISSION), STUN_XOR_PEER_ADDRESS, &private);
	stun_add_xor_address(&desk->builder, STUN_XOR_PEER_ADDRESS, &good);
	desk_refuse(desk, 403);
	desk_request(desk, STUN_CREATE_PERMISSION);
	for (unsigned i = 0; i < API_PERMISSIONS_MAX; i++)
		stun_add_xor_address(&desk->builder, STUN_XOR_PEER_ADDRESS, &good);
	desk_succeed(desk);
	desk_request(desk, STUN_CREATE_PERMISSION);
	for (unsigned i = 0; i < API_PERMISSIONS_MAX + 1; i++)
		stun_add_xor_address(&desk->builder, STUN_XOR_PEER_ADDRESS, &good);
	desk_refuse(desk, 508);

	static const uint32_t bad_channels[] = {0, 0x3FFF0000, 0x50000000, 0x7FFF0000, 0xFFFF0000};
	for (unsigned i = 0; i < 5; i++) {
		stun_add_u32(desk_request(desk, STUN_CHANNEL_BIND), STUN_CHANNEL_NUMBER,
			bad_channels[i]);
		stun_add_xor_address(&desk->builder, STUN_XOR_PEER_ADDRESS, &good);
		desk_refuse(desk, 400);
	}
	stun_add_u32(desk_request(desk, STUN_CHANNEL_BIND), STUN_CHANNEL_NUMBER, 0x40000000);
	desk_refuse(desk, 400);
	stun_add_xor_address(desk_request(desk, STUN_CHANNEL_BIND), STUN_XOR_PEER_ADDRESS, &good);
	desk_refuse(desk, 400);
	stun_add_u32(desk_request(desk, STUN_CHANNEL_BIND), STUN_CHANNEL_NUMBER, 0x40000000);
	stun_add_xor_address(&desk->builder, STUN_XOR_PEER_ADDRESS, &v6);
	desk_refuse(desk, 443);
	stun_add_u32(desk_request(desk, STUN_CHANNEL_BIND), STUN_CHANNEL_NUMBER, 0x40000000);
	stun_add_xor_address(&desk->builder, STUN_XOR_PEER_ADDRESS, &private);
	desk_refuse(desk, 403);
	good.port = 0;
	stun_add_u32(desk_request(desk, STUN_CHANNEL_BIND), STUN_CHANNEL_NUMBER, 0x40000000);
	stun_add_xor_address(&desk->builder, STUN_XOR_PEER_ADDRESS, &good);
	desk_refuse(desk, 403);
	desk_close(desk);
}

static void test_channels_of_rfc5766(void **state)
{
	(void)state;
	struct desk *desk = desk_open(OPEN "channels = rfc5766\n");
	struct net_endpoint peer = desk_endpoint("8.8.8.8", 1);
	desk_have_allocation(desk);
	for (uint32_t channel = 0x4000; channel <= 0x8000; channel += 0x1000) {
		stun_add_u32(
			desk_request(desk, STUN_CHANNEL_BIND), STUN_CHANNEL_NUMBER, channel << 16);
		stun_add_xor_address(&desk->builder, STUN_XOR_PEER_ADDRESS, &peer);
		if (channel < 0x8000)
			desk_succeed(desk);
		else
			desk_refuse(desk, 400);
	}
	desk_close(desk);
}

static void test_draining_and_not_ready(void **state)
{
	(void)state;
	struct desk *desk = desk_open(OPEN);
	desk_have_allocation(desk);
	struct api_allocation_context live = desk->context;
	turn_core_drain(desk->core, true);
	desk_request(desk, STUN_REFRESH);
	desk_succeed(desk);
	desk->context = (struct api_allocation_context){0};
	desk->client.port++;
	desk_allocate(desk);
	desk_refuse(desk, 508);
	turn_core_drain(desk->core, false);
	desk_allocate(desk);
	desk_succeed(desk);
	// Before the snapshot: nothing new, but what lives is served.
	desk_restart(desk);
	desk->client.port++;
	desk_allocate(desk);
	desk_refuse(desk, 508);
	desk->context = live;
	desk_request(desk, STUN_REFRESH);
	desk_succeed(desk);
	desk_close(desk);
}

static void test_link_down_keeps_nothing(void **state)
{
	(void)state;
	struct desk *desk = desk_open(OPEN);
	desk->link_down = true;
	stun_add(desk_allocate(desk), STUN_EVEN_PORT, "\x80", 1);
	assert_int_equal(desk_send(desk), 0);
	struct turn_usage usage = desk_usage(desk);
	assert_int_equal(usage.allocations, 0);
	assert_int_equal(usage.in_flight, 0);
	assert_int_equal(usage.reservations, 0);
	assert_int_equal(usage.ports_free, usage.ports_total);
	desk->link_down = false;
	assert_int_equal(desk_repeat(desk), 0);
	assert_int_equal(desk_answer(desk, 0), 1); // the repetition gets through
	assert_int_equal(desk_error(desk), 0);
	desk_close(desk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life_of_an_allocation),
		cmocka_unit_test(test_lifetimes),
		cmocka_unit_test(test_unknown_attributes),
		cmocka_unit_test(test_dont_answer_what_is_no_request),
		cmocka_unit_test(test_attributes_after_integrity_are_not_seen),
		cmocka_unit_test(test_retransmission),
		cmocka_unit_test(test_dataplane_refusals),
		cmocka_unit_test(test_without_allocation),
		cmocka_unit_test(test_permission_errors),
		cmocka_unit_test(test_channels_of_rfc5766),
		cmocka_unit_test(test_draining_and_not_ready),
		cmocka_unit_test(test_link_down_keeps_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
