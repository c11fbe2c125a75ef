// SPDX-License-Identifier: BSD-3-Clause
// Candidates: which are taken and in what order, what servers say, and how lists look as bytes and
// as text.
#include "tests/unit/agent_forge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static size_t local(const struct forge *f, struct agent_candidate *out, uint32_t *generation)
{
	uint32_t ignored;
	return agent_local(f->agent, out, generation != NULL ? generation : &ignored);
}

static int host(struct forge *f, unsigned base, uint8_t last, enum agent_class class)
{
	struct endpoint_transport transport = forge_v4(10, 0, 1, last, 5000);
	return agent_candidate_add(f->agent, base, AGENT_HOST, class, &transport, f->now);
}

static void test_forty_bridges_leave_the_real_address_first(void **state)
{
	(void)state;
	struct forge f;
	struct agent_candidate list[AGENT_LOCAL_MAX];
	forge_begin(&f, 1, NULL);
	agent_base_add(f.agent, 0, 4, AGENT_SOCKET, f.now);
	unsigned taken = 0;
	for (uint8_t i = 1; i <= 40; i++)
		taken += host(&f, 0, i, AGENT_VIRTUAL) == 0;
	assert_int_equal(taken, 2);
	struct endpoint_transport reflexive = forge_v4(198, 51, 100, 1, 4000);
	struct endpoint_transport mapped = forge_v4(198, 51, 100, 1, 4001);
	assert_int_equal(agent_candidate_add(f.agent, 0, AGENT_SERVER_REFLEXIVE, AGENT_NORMAL,
				 &reflexive, f.now),
		0);
	assert_int_equal(
		agent_candidate_add(f.agent, 0, AGENT_MAPPED, AGENT_NORMAL, &mapped, f.now), 0);
	for (uint8_t i = 50; i < 60; i++)
		host(&f, 0, i, AGENT_VPN);
	for (uint8_t i = 60; i < 70; i++)
		host(&f, 0, i, AGENT_METERED);
	assert_int_equal(host(&f, 0, 100, AGENT_NORMAL), 0);
	assert_int_equal(host(&f, 0, 100, AGENT_NORMAL), 0);
	size_t count = local(&f, list, NULL);
	assert_int_equal(count, 10);
	assert_int_equal(list[0].transport.address[3], 100);
	for (unsigned i = 1; i < count; i++)
		assert_true(list[i].priority < list[i - 1].priority);
	// Mapped behind all real host addresses, reflexive behind it.
	assert_int_equal(list[8].type, AGENT_MAPPED);
	assert_int_equal(list[9].type, AGENT_SERVER_REFLEXIVE);
	for (uint8_t i = 101; i < 120; i++)
		host(&f, 0, i, AGENT_NORMAL);
	count = local(&f, list, NULL);
	assert_int_equal(count, 10);
	for (unsigned i = 0; i < 8; i++)
		assert_true(list[i].transport.address[3] >= 100);
	forge_end(&f);
}

static void test_order_of_kinds(void **state)
{
	(void)state;
	struct forge f;
	struct agent_candidate list[AGENT_LOCAL_MAX];
	struct endpoint_transport v6 = {6, {0x20, 1, 0xd, 0xb8, [15] = 1}, 5000};
	struct endpoint_transport reflexive = forge_v4(198, 51, 100, 1, 4000);
	forge_begin(&f, 1, NULL);
	agent_base_add(f.agent, 0, 4, AGENT_SOCKET, f.now);
	agent_base_add(f.agent, 1, 6, AGENT_SOCKET, f.now);
	host(&f, 0, 3, AGENT_VIRTUAL);
	agent_candidate_add(f.agent, 0, AGENT_SERVER_REFLEXIVE, AGENT_NORMAL, &reflexive, f.now);
	host(&f, 0, 2, AGENT_NORMAL);
	agent_candidate_add(f.agent, 1, AGENT_HOST, AGENT_NORMAL, &v6, f.now);
	assert_int_equal(local(&f, list, NULL), 4);
	assert_int_equal(list[0].transport.family, 6);
	assert_int_equal(list[1].transport.address[3], 2);
	assert_int_equal(list[2].type, AGENT_SERVER_REFLEXIVE);
	assert_int_equal(list[3].transport.address[3], 3);
	// Whatever its owner thinks of it, 169.254.0.0/16 is no network.
	struct endpoint_transport link = forge_v4(169, 254, 7, 7, 5000);
	assert_int_equal(
		agent_candidate_add(f.agent, 0, AGENT_HOST, AGENT_NORMAL, &link, f.now), 0);
	assert_int_equal(local(&f, list, NULL), 5);
	assert_true(list[3].type == AGENT_HOST && list[4].type == AGENT_HOST);
	forge_end(&f);
}

static void test_what_is_no_local_candidate(void **state)
{
	(void)state;
	struct forge f;
	forge_begin(&f, 1, NULL);
	struct endpoint_transport v4 = forge_v4(10, 0, 0, 2, 5000);
	struct endpoint_transport v6 = {6, {0x20, 1, 0xd, 0xb8, [15] = 1}, 5000};
	struct endpoint_transport loop = forge_v4(127, 0, 0, 1, 5000);
	const enum agent_class n = AGENT_NORMAL;
	assert_int_equal(agent_candidate_add(f.agent, 0, AGENT_HOST, n, &v4, f.now), -ENOENT);
	assert_int_equal(agent_base_add(f.agent, 320, 4, AGENT_SOCKET, f.now), -EINVAL);
	assert_int_equal(agent_base_add(f.agent, 0, 5, AGENT_SOCKET, f.now), -EINVAL);
	assert_int_equal(agent_base_add(f.agent, 0, 4, AGENT_SOCKET, f.now), 0);
	assert_int_equal(agent_base_add(f.agent, 0, 4, AGENT_SOCKET, f.now), -EEXIST);
	agent_base_add(f.agent, 1, 4, AGENT_TURN, f.now);
	agent_base_add(f.agent, 2, 4, AGENT_QUIET, f.now);
	assert_int_equal(agent_candidate_add(f.agent, 0, AGENT_HOST, n, &v6, f.now), -EINVAL);
	assert_int_equal(agent_candidate_add(f.agent, 0, AGENT_HOST, n, &loop, f.now), -EINVAL);
	assert_int_equal(
		agent_candidate_add(f.agent, 0, AGENT_PEER_REFLEXIVE, n, &v4, f.now), -EINVAL);
	assert_int_equal(agent_candidate_add(f.agent, 0, AGENT_RELAYED, n, &v4, f.now), -EINVAL);
	assert_int_equal(agent_candidate_add(f.agent, 1, AGENT_HOST, n, &v4, f.now), -EINVAL);
	assert_int_equal(agent_candidate_add(f.agent, 2, AGENT_HOST, n, &v4, f.now), -EINVAL);
	assert_int_equal(agent_candidate_remove(f.agent, 0, &v4, f.now), -ENOENT);
	assert_int_equal(agent_base_remove(f.agent, 7, f.now), -ENOENT);
	assert_int_equal(f.event_count > 0 && f.events[0].type == AGENT_GATHERED, 1);
	forge_end(&f);
}

// ---- servers ----

static struct agent_config one_server(void)
{
	return (struct agent_config){
		.servers = {{4, {192, 0, 2, 1}, 3478}}, .server_count = 1, .keepalive_ms = 10000};
}

static void server_says(struct forge *f, const struct forge_sent *sent, uint16_t port)
{
	uint8_t message[128];
	struct endpoint_transport server = forge_v4(192, 0, 2, 1, 3478);
	struct net_endpoint seen = {
		.address = {.bytes = {198, 51, 100, 1}, .family = 4}, .port = port};
	struct stun_builder b =
		stun_begin(message, sizeof(message), STUN_BINDING, STUN_SUCCESS, sent->data + 8);
	stun_add_xor_address(&b, STUN_XOR_MAPPED_ADDRESS, &seen);
	assert_true(forge_deliver(f, 0, &server, message, stun_finish(&b)));
}

static void test_server_is_asked_and_believed_as_long_as_it_answers(void **state)
{
	(void)state;
	struct forge f;
	struct agent_config config = one_server();
	struct agent_candidate list[AGENT_LOCAL_MAX];
	uint32_t first, second;
	struct agent_usage usage;
	forge_begin(&f, 1, &config);
	forge_base(&f, 0);
	assert_int_equal(f.sent_count, 1);
	agent_usage(f.agent, &usage);
	assert_false(usage.gathered);
	// The second try is answered by what the first one brought.
	forge_run(&f, 250);
	assert_int_equal(f.sent_count, 2);
	server_says(&f, &f.sent[0], 4000);
	agent_usage(f.agent, &usage);
	assert_true(usage.gathered);
	assert_int_equal(local(&f, list, &first), 2);
	assert_int_equal(list[1].transport.port, 4000);
	// Kept alive, with nothing new.
	forge_run(&f, 10000);
	assert_int_equal(f.sent_count, 3);
	server_says(&f, &f.sent[2], 4000);
	local(&f, list, &second);
	assert_int_equal(second, first);
	// The NAT has another mapping.
	forge_run(&f, 10000);
	server_says(&f, &f.sent[3], 4001);
	assert_int_equal(local(&f, list, &second), 2);
	assert_int_equal(list[1].transport.port, 4001);
	assert_true(second > first);
	// Silence: six tries, and it is not signalled any more.
	forge_run(&f, 10000 + 200 * 64);
	assert_int_equal(local(&f, list, &second), 1);
	forge_end(&f);
}

static void test_answers_of_others_are_no_servers(void **state)
{
	(void)state;
	struct forge f;
	struct agent_config config = one_server();
	struct agent_candidate list[AGENT_LOCAL_MAX];
	uint8_t message[128];
	struct endpoint_transport stranger = forge_v4(192, 0, 2, 2, 3478);
	struct endpoint_transport server = forge_v4(192, 0, 2, 1, 3478);
	struct net_endpoint seen = {
		.address = {.bytes = {198, 51, 100, 1}, .family = 4}, .port = 4000};
	forge_begin(&f, 1, &config);
	forge_base(&f, 0);
	struct stun_builder b = stun_begin(
		message, sizeof(message), STUN_BINDING, STUN_SUCCESS, f.sent[0].data + 8);
	stun_add_xor_address(&b, STUN_XOR_MAPPED_ADDRESS, &seen);
	size_t size = stun_finish(&b);
	assert_true(forge_deliver(&f, 0, &stranger, message, size));
	message[19] ^= 1;
	assert_false(forge_deliver(&f, 0, &server, message, size));
	assert_int_equal(local(&f, list, NULL), 1);
	assert_int_equal(agent_counter(f.agent, AGENT_COUNTER_ignored_source), 1);
	forge_end(&f);
}

static void test_reflexive_equal_to_host_is_one_candidate(void **state)
{
	(void)state;
	struct forge f;
	struct agent_config config = one_server();
	struct agent_candidate list[AGENT_LOCAL_MAX];
	forge_begin(&f, 1, &config);
	agent_base_add(f.agent, 0, 4, AGENT_SOCKET, f.now);
	server_says(&f, &f.sent[0], 4000);
	assert_int_equal(local(&f, list, NULL), 1);
	assert_int_equal(list[0].type, AGENT_SERVER_REFLEXIVE);
	struct endpoint_transport own = forge_v4(198, 51, 100, 1, 4000);
	agent_candidate_add(f.agent, 0, AGENT_HOST, AGENT_NORMAL, &own, f.now);
	assert_int_equal(local(&f, list, NULL), 1);
	assert_int_equal(list[0].type, AGENT_HOST);
	forge_end(&f);
}

// ---- lists ----

static struct agent_candidate random_candidate(struct dice *dice)
{
	static const enum agent_candidate_type types[] = {
		AGENT_HOST, AGENT_MAPPED, AGENT_SERVER_REFLEXIVE, AGENT_RELAYED};
	struct agent_candidate c = {.type = types[dice_below(dice, 4)],
		.priority = (uint32_t)dice_between(dice, 1, INT32_MAX),
		.transport = {.family = dice_below(dice, 2) ? 4 : 6,
			.port = (uint16_t)dice_between(dice, 1, 65535)}};
	dice_fill(dice, c.transport.address, c.transport.family == 4 ? 4 : 16);
	return c;
}

static void test_list_comes_back(void **state)
{
	(void)state;
	struct dice dice;
	dice_seed(&dice, 1, 1);
	for (unsigned round = 0; round < 500; round++) {
		struct agent_candidate in[AGENT_LOCAL_MAX], out[AGENT_REMOTE_MAX];
		uint8_t bytes[AGENT_CANDIDATES_SIZE + 1], again[AGENT_CANDIDATES_SIZE];
		size_t count = dice_below(&dice, AGENT_LOCAL_MAX + 1);
		uint32_t generation = (uint32_t)dice_throw(&dice), read;
		memset(out, 0, sizeof(out));
		for (size_t i = 0; i < count; i++)
			in[i] = random_candidate(&dice);
		int size =
			agent_candidates_write(generation, in, count, bytes, AGENT_CANDIDATES_SIZE);
		assert_true(size > 0);
		assert_int_equal(
			agent_candidates_read(bytes, (size_t)size, out, &read), (int)count);
		assert_int_equal(read, generation);
		assert_memory_equal(in, out, count * sizeof(in[0]));
		assert_int_equal(
			agent_candidates_write(read, out, count, again, sizeof(again)), size);
		assert_memory_equal(bytes, again, (size_t)size);
		// Not one byte less or more.
		for (int cut = 0; cut < size; cut++)
			assert_int_equal(
				agent_candidates_read(bytes, (size_t)cut, out, &read), -EBADMSG);
		bytes[size] = 0;
		assert_int_equal(
			agent_candidates_read(bytes, (size_t)size + 1, out, &read), -EBADMSG);
		assert_int_equal(
			agent_candidates_write(generation, in, count, again, (size_t)size - 1),
			-EMSGSIZE);
	}
}

static void test_lists_nobody_writes(void **state)
{
	(void)state;
	struct agent_candidate out[AGENT_REMOTE_MAX];
	uint32_t generation;
	static const uint8_t good[] = {1, 1, 0, 0, 0, 7, 1, 0, 0, 0, 9, 0x12, 0x34, 10, 0, 0, 1};
	static const struct {
		unsigned at;
		uint8_t value;
	} bad[] = {{0, 0}, {0, 2}, {1, 0}, {1, 2}, {1, 17}, {6, 0}, {6, 3}, {6, 6}, {6, 0x41},
		{6, 0x81}, {10, 0}};
	assert_int_equal(agent_candidates_read(good, sizeof(good), out, &generation), 1);
	assert_int_equal(generation, 7);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t bytes[sizeof(good)];
		memcpy(bytes, good, sizeof(good));
		bytes[bad[i].at] = bad[i].value;
		if (agent_candidates_read(bytes, sizeof(bytes), out, &generation) != -EBADMSG)
			fail_msg("byte %u as %u is taken", bad[i].at, bad[i].value);
	}
	struct agent_candidate many[AGENT_LOCAL_MAX + 1];
	uint8_t bytes[512];
	for (unsigned i = 0; i <= AGENT_LOCAL_MAX; i++)
		many[i] = out[0];
	assert_int_equal(agent_candidates_write(1, many, AGENT_LOCAL_MAX + 1, bytes, sizeof(bytes)),
		-EINVAL);
	many[0].type = AGENT_PEER_REFLEXIVE;
	assert_int_equal(agent_candidates_write(1, many, 1, bytes, sizeof(bytes)), -EINVAL);
}

static void test_more_than_enough_remote_candidates(void **state)
{
	(void)state;
	struct forge f;
	struct agent_candidate list[40];
	struct agent_usage usage;
	forge_begin(&f, 1, NULL);
	forge_base(&f, 0);
	for (unsigned i = 0; i < 40; i++)
		list[i] = (struct agent_candidate){.type = AGENT_HOST,
			.transport = forge_v4(203, 0, 113, (uint8_t)(1 + i), 6000),
			.priority = 100 + (i * 7) % 40};
	agent_remote_set(f.agent, 1, list, 40, f.now);
	agent_usage(f.agent, &usage);
	assert_int_equal(usage.remote, AGENT_REMOTE_MAX);
	assert_int_equal(agent_counter(f.agent, AGENT_COUNTER_skipped_cap), 24);
	// The best ones, and the best of them first.
	assert_int_equal(f.sent_count, AGENT_FIRST_CHECKS);
	forge_run(&f, 100);
	for (unsigned i = 0; i < AGENT_REMOTE_MAX; i++) {
		unsigned index = f.sent[i].to.address[3] - 1u;
		assert_int_equal(list[index].priority, 139 - i);
	}
	for (unsigned i = 1; i < 10; i++)
		agent_base_add(f.agent, i, 4, AGENT_SOCKET, f.now);
	agent_usage(f.agent, &usage);
	assert_int_equal(usage.pairs, AGENT_PAIRS_MAX);
	forge_end(&f);
}

// ---- text ----

static int parse(const char *text, struct agent_candidate *out)
{
	return agent_candidate_parse(text, strlen(text), out);
}

static void test_text_of_others(void **state)
{
	(void)state;
	struct agent_candidate c;
	assert_int_equal(
		parse("candidate:6815297761 1 udp 2130706431 192.168.1.7 31102 typ host", &c), 0);
	assert_int_equal(c.type, AGENT_HOST);
	assert_int_equal(c.priority, 2130706431);
	assert_int_equal(c.transport.port, 31102);
	assert_int_equal(c.transport.address[3], 7);
	assert_string_equal(c.foundation, "6815297761");
	assert_int_equal(parse("a=candidate:4 1 UDP 1694498815 198.51.100.7 4000 typ srflx raddr "
			       "192.168.1.7 rport 31102 generation 0 network-cost 999\r\n",
				 &c),
		0);
	assert_int_equal(c.type, AGENT_SERVER_REFLEXIVE);
	assert_int_equal(
		parse("candidate:a/+ 1 UDP 1 2001:db8::7 4000 typ relay raddr :: rport 9", &c), 0);
	assert_int_equal(c.transport.family, 6);
	assert_int_equal(c.type, AGENT_RELAYED);
	static const char *const skipped[] = {
		"candidate:1 2 UDP 1 192.0.2.1 4000 typ host",
		"candidate:1 1 TCP 1 192.0.2.1 9 typ host tcptype active",
		"candidate:1 1 UDP 1 3c5b7f2e-0001.local 4000 typ host",
		"candidate:1 1 UDP 1 192.0.2.1 4000 typ mirrored",
		"candidate:1 1 UDP 1 192.0.2.1 0 typ host",
	};
	for (unsigned i = 0; i < sizeof(skipped) / sizeof(skipped[0]); i++)
		if (parse(skipped[i], &c) != -ENOTSUP)
			fail_msg("not skipped: %s", skipped[i]);
	static const char *const bad[] = {
		"",
		"a=",
		"candidate:",
		"candidate:1 1 UDP 1 192.0.2.1 4000 typ",
		"candidate:1 1 UDP 1 192.0.2.1 4000 host",
		"candidate:1 0 UDP 1 192.0.2.1 4000 typ host",
		"candidate:1 257 UDP 1 192.0.2.1 4000 typ host",
		"candidate:1 1 UDP 0 192.0.2.1 4000 typ host",
		"candidate:1 1 UDP 2147483648 192.0.2.1 4000 typ host",
		"candidate:1 1 UDP 99999999999 192.0.2.1 4000 typ host",
		"candidate:1 1 UDP -1 192.0.2.1 4000 typ host",
		"candidate:1 1 UDP 1 192.0.2.1 65536 typ host",
		"candidate:1 1 UDP 1 192.0.2.256 4000 typ host",
		"candidate:1 1 UDP 1 2001:db8::g 4000 typ host",
		"candidate:1 1 UDP 1 fe80::1%eth0 4000 typ host",
		"candidate:1  1 UDP 1 192.0.2.1 4000 typ host",
		"candidate:1 1 UDP 1 192.0.2.1 4000 typ srflx raddr",
		"candidate:1- 1 UDP 1 192.0.2.1 4000 typ host",
		"candidate:123456789012345678901234567890123 1 UDP 1 192.0.2.1 4000 typ host",
		"CANDIDATE:1 1 UDP 1 192.0.2.1 4000 typ host",
	};
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parse(bad[i], &c) != -EBADMSG)
			fail_msg("taken: %s", bad[i]);
}

static void test_own_text(void **state)
{
	(void)state;
	struct forge f;
	struct agent_candidate list[AGENT_LOCAL_MAX], back;
	char text[AGENT_CANDIDATE_TEXT_MAX];
	struct agent_config config = {.selection = AGENT_STANDARD};
	struct endpoint_transport reflexive = forge_v4(198, 51, 100, 1, 4000);
	forge_begin(&f, 1, &config);
	forge_base(&f, 0);
	agent_candidate_add(f.agent, 0, AGENT_SERVER_REFLEXIVE, AGENT_NORMAL, &reflexive, f.now);
	assert_int_equal(local(&f, list, NULL), 2);
	// Of what lies behind the NAT the second one says nothing.
	size_t length = agent_candidate_format(&list[1], text);
	assert_int_equal(length, strlen(text));
	assert_non_null(strstr(text, " UDP "));
	assert_non_null(strstr(text, " 198.51.100.1 4000 typ srflx raddr 0.0.0.0 rport 9"));
	for (unsigned i = 0; i < 2; i++) {
		agent_candidate_format(&list[i], text);
		assert_int_equal(parse(text, &back), 0);
		assert_memory_equal(&back, &list[i], sizeof(back));
	}
	assert_string_not_equal(list[0].foundation, list[1].foundation);
	// RFC 8445 5.1.2.1: type preference 126, component 1.
	assert_int_equal(list[0].priority >> 24, 126);
	assert_int_equal(list[0].priority & 0xFF, 255);
	struct agent_candidate longest = {.type = AGENT_RELAYED,
		.priority = UINT32_MAX,
		.transport = {
			6, {0x20, 1, 0xd, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 65535}};
	memset(longest.foundation, 'x', 32);
	assert_true(agent_candidate_format(&longest, text) < sizeof(text));
	forge_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forty_bridges_leave_the_real_address_first),
		cmocka_unit_test(test_order_of_kinds),
		cmocka_unit_test(test_what_is_no_local_candidate),
		cmocka_unit_test(test_server_is_asked_and_believed_as_long_as_it_answers),
		cmocka_unit_test(test_answers_of_others_are_no_servers),
		cmocka_unit_test(test_reflexive_equal_to_host_is_one_candidate),
		cmocka_unit_test(test_list_comes_back),
		cmocka_unit_test(test_lists_nobody_writes),
		cmocka_unit_test(test_more_than_enough_remote_candidates),
		cmocka_unit_test(test_text_of_others),
		cmocka_unit_test(test_own_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
