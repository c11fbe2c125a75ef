// SPDX-License-Identifier: BSD-3-Clause
// The steering programs against frames: each fixture runs through the XDP and the tc program in the
// kernel (BPF_PROG_TEST_RUN) and must raise exactly the counter it names, by one. Needs root.
//
// The kernel runs nothing shorter than an Ethernet header, so frames are cut down to that only; and
// newer ones run tc on no untagged IP frame shorter than its IP header, which tagged ones stand in
// for.

#include "ebpf/embed.h"
#include "ebpf/program.h"
#include "lib/wire/headers.h"
#include "tests/unit/steer_frames.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

// ---- the programs under test ----

struct bench {
	struct bpf_object *xdp, *tc;
	int xdp_fd, tc_fd;
	struct steer_maps xdp_maps, tc_maps;
	int socket; // sits in slot 0 of xsks_map
};

static bool taken(enum steer_counter counter)
{
	return counter <= STEER_TAKE_ICMP_ERROR;
}

static bool dropped(enum steer_counter counter)
{
	return counter >= STEER_DROP_LENGTH;
}

static uint32_t xdp_action(enum steer_counter counter)
{
	return taken(counter) ? XDP_REDIRECT : dropped(counter) ? XDP_DROP : XDP_PASS;
}

static struct steer_config config_full(void)
{
	struct steer_config config = {
		.addresses = {address_of(OURS, 4), address_of(OURS_TOO, 4), address_of(OURS, 6),
			address_of(OURS_TOO, 6)},
		.address_count = 4,
		.listen_port = LISTEN,
		.alternate_port = ALTERNATE,
		.relay_first = FIRST,
		.relay_last = LAST,
	};
	return config;
}

// Opens the XDP program the way DPDK's driver does: by a path, first program, map by name.
static int bench_open(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	char path[STEER_PATH_SIZE];

	*state = bench;
	int file = steer_program_file(path);
	assert_true(file >= 0);
	bench->xdp = bpf_object__open_file(path, NULL);
	assert_non_null(bench->xdp);
	assert_return_code(bpf_object__load(bench->xdp), 0);
	close(file);
	struct bpf_program *program = bpf_object__next_program(bench->xdp, NULL);
	assert_string_equal(bpf_program__name(program), STEER_XDP_PROGRAM);
	assert_int_equal(bpf_program__type(program), BPF_PROG_TYPE_XDP);
	assert_non_null(bpf_object__find_map_by_name(bench->xdp, "xsks_map"));
	bench->xdp_fd = bpf_program__fd(program);

	bench->tc = bpf_object__open_mem(steer_tc_object, steer_tc_object_length, NULL);
	assert_non_null(bench->tc);
	assert_return_code(bpf_object__load(bench->tc), 0);
	bench->tc_fd =
		bpf_program__fd(bpf_object__find_program_by_name(bench->tc, STEER_TC_PROGRAM));

	assert_return_code(steer_maps_open(bench->xdp_fd, &bench->xdp_maps), 0);
	assert_return_code(steer_maps_open(bench->tc_fd, &bench->tc_maps), 0);
	assert_true(bench->xdp_maps.sockets >= 0);
	assert_int_equal(bench->tc_maps.sockets, -1);
	bench->socket = -1;
	return 0;
}

static void bench_listen(struct bench *bench)
{
	bench->socket = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	assert_true(bench->socket >= 0);
	assert_return_code(bpf_map_update_elem(bench->xdp_maps.sockets, &(uint32_t){0},
				   &bench->socket, BPF_ANY),
		0);
}

static int bench_configured(void **state)
{
	bench_open(state);
	struct bench *bench = *state;
	struct steer_config config = config_full();

	assert_return_code(steer_maps_fill(&bench->xdp_maps, &config), 0);
	assert_return_code(steer_maps_fill(&bench->tc_maps, &config), 0);
	bench_listen(bench);
	return 0;
}

static int bench_close(void **state)
{
	struct bench *bench = *state;

	steer_maps_close(&bench->xdp_maps);
	steer_maps_close(&bench->tc_maps);
	bpf_object__close(bench->xdp);
	bpf_object__close(bench->tc);
	if (bench->socket >= 0)
		close(bench->socket);
	free(bench);
	return 0;
}

// Runs a frame and returns the one counter that went up by one; fails when another one moved.
static enum steer_counter run(
	int program, int counters, const struct frame *frame, uint32_t *action, const char *name)
{
	uint64_t before[STEER_COUNTERS], after[STEER_COUNTERS];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame->bytes,
		.data_size_in = (uint32_t)frame->length, .repeat = 1);
	enum steer_counter raised = STEER_COUNTERS;

	assert_return_code(steer_counters(counters, before), 0);
	int error = bpf_prog_test_run_opts(program, &opts);
	if (error)
		fail_msg("%s, %zu bytes: not run: %d", name, frame->length, error);
	assert_return_code(steer_counters(counters, after), 0);
	for (enum steer_counter i = 0; i < STEER_COUNTERS; i++) {
		if (after[i] == before[i])
			continue;
		if (after[i] != before[i] + 1 || raised != STEER_COUNTERS)
			fail_msg("%s, %zu bytes: more than one counter", name, frame->length);
		raised = i;
	}
	*action = opts.retval;
	return raised;
}

static bool tc_can_run(const struct frame *frame)
{
	unsigned type = (unsigned)(frame->bytes[12] << 8 | frame->bytes[13]);

	return frame->length >= ETH_HLEN + (type == ETH_P_IP ? 20U : type == ETH_P_IPV6 ? 40U : 1U);
}

// Both programs, action and counter. expected: of XDP with a socket listening.
static void expect(struct bench *bench, const struct frame *frame, enum steer_counter expected,
	const char *name)
{
	uint32_t action;
	enum steer_counter xdp = run(bench->xdp_fd, bench->xdp_maps.counters, frame, &action, name);

	if (xdp != expected)
		fail_msg("XDP: %s, %zu bytes: counted as %s, not %s", name, frame->length,
			steer_counter_name(xdp), steer_counter_name(expected));
	if (action != xdp_action(expected))
		fail_msg("XDP: %s, %zu bytes: action %u", name, frame->length, action);
	if (!tc_can_run(frame))
		return;
	enum steer_counter tc = run(bench->tc_fd, bench->tc_maps.counters, frame, &action, name);
	if (tc != expected)
		fail_msg("tc: %s, %zu bytes: counted as %s, not %s", name, frame->length,
			steer_counter_name(tc), steer_counter_name(expected));
	if (action !=
		(uint32_t)(taken(expected) || dropped(expected) ? TC_ACT_SHOT : TC_ACT_UNSPEC))
		fail_msg("tc: %s, %zu bytes: action %u", name, frame->length, action);
}

// ---- the story ----

static void unconfigured_passes_everything(void **state)
{
	bench_listen(*state);
	for (int i = 0; i < FIXTURES; i++) {
		struct frame frame = frame_of(&fixtures[i]);
		expect(*state, &frame, STEER_PASS_UNCONFIGURED, fixtures[i].name);
	}
}

static void each_fixture_goes_where_it_should(void **state)
{
	for (int i = 0; i < FIXTURES; i++) {
		struct frame frame = frame_of(&fixtures[i]);
		expect(*state, &frame, fixtures[i].expected, fixtures[i].name);
	}
}

// Two parsers, one opinion: the dataplane finds what it expects in every frame that it is given.
static void the_dataplane_can_parse_what_it_gets(void **state)
{
	int seen = 0;

	(void)state;
	for (int i = 0; i < FIXTURES; i++) {
		struct frame frame = frame_of(&fixtures[i]);
		struct headers headers;
		enum headers_verdict expected = HEADERS_UDP;
		if (!taken(fixtures[i].expected))
			continue;
		if (fixtures[i].expected == STEER_TAKE_ICMP_ERROR)
			expected = HEADERS_ICMP_ERROR;
		enum headers_verdict verdict = headers_parse(frame.bytes, frame.length, &headers);
		if (verdict != expected)
			fail_msg("%s: headers_parse says %d", fixtures[i].name, verdict);
		seen++;
	}
	assert_true(seen > 20);
}

static void padding_behind_the_packet_is_fine(void **state)
{
	for (int i = 0; i < FIXTURES; i++) {
		struct frame frame = frame_of(&fixtures[i]);
		if (!taken(fixtures[i].expected))
			continue;
		frame.length += 18;
		expect(*state, &frame, fixtures[i].expected, fixtures[i].name);
	}
}

// As long as its ports can be read it is the relay's, and nobody's; then the kernel's to throw
// away.
static void a_frame_cut_anywhere_does_not_reach_the_relay(void **state)
{
	int cuts = 0, ours = 0;

	for (int i = 0; i < FIXTURES; i++) {
		struct frame frame = frame_of(&fixtures[i]);
		if (!taken(fixtures[i].expected))
			continue;
		size_t ports =
			ETH_HLEN + 4U * fixtures[i].tags + (fixtures[i].family == 4 ? 20 : 40) + 8;
		while (frame.length > ETH_HLEN) {
			frame.length--;
			bool readable = frame.length >= ports &&
					fixtures[i].expected != STEER_TAKE_ICMP_ERROR;
			expect(*state, &frame, readable ? STEER_DROP_LENGTH : STEER_PASS_MALFORMED,
				fixtures[i].name);
			cuts++;
			ours += readable;
		}
	}
	assert_true(cuts > 1000 && ours > 300);
}

// Whole by its own headers, but the embedded datagram ends before its ports do.
static void an_icmp_error_that_quotes_too_little_passes(void **state)
{
	for (int i = 0; i < FIXTURES; i++) {
		if (fixtures[i].expected != STEER_TAKE_ICMP_ERROR)
			continue;
		struct fixture fixture = fixtures[i];
		int quoted = (fixture.family == 4 ? 20 : 40) + 8;
		for (int missing = 1; missing <= quoted; missing++) {
			fixture.ip_length_error = -missing;
			struct frame frame = frame_of(&fixture);
			expect(*state, &frame, STEER_PASS_MALFORMED, fixture.name);
		}
	}
}

// No byte can make the two programs disagree, and neither fails to run.
static void changed_bytes_leave_both_programs_of_one_mind(void **state)
{
	struct bench *bench = *state;
	uint32_t action, seed = 20240229;

	for (int i = 0; i < FIXTURES; i++) {
		struct frame frame = frame_of(&fixtures[i]);
		for (size_t at = 12; at < frame.length; at++) {
			struct frame changed = frame;
			seed = seed * 1664525 + 1013904223; // Numerical Recipes
			changed.bytes[at] ^= (uint8_t)(1 + (seed >> 16) % 255);
			enum steer_counter xdp = run(bench->xdp_fd, bench->xdp_maps.counters,
				&changed, &action, fixtures[i].name);
			assert_int_equal(action, xdp_action(xdp));
			if (!tc_can_run(&changed))
				continue;
			assert_int_equal(run(bench->tc_fd, bench->tc_maps.counters, &changed,
						 &action, fixtures[i].name),
				xdp);
		}
	}
}

static void without_a_socket_the_relays_frames_pass(void **state)
{
	struct bench *bench = *state;
	uint32_t action;

	close(bench->socket);
	bench->socket = -1;
	for (int i = 0; i < FIXTURES; i++) {
		struct frame frame = frame_of(&fixtures[i]);
		enum steer_counter counter = run(
			bench->xdp_fd, bench->xdp_maps.counters, &frame, &action, fixtures[i].name);
		assert_int_equal(action, XDP_PASS);
		assert_int_equal(
			counter, taken(fixtures[i].expected) || dropped(fixtures[i].expected)
					 ? STEER_PASS_NO_SOCKET
					 : fixtures[i].expected);
	}
}

static void another_configuration_replaces_the_first(void **state)
{
	struct bench *bench = *state;
	struct steer_config config = {
		.addresses = {address_of(STRANGER, 4)},
		.address_count = 1,
		.listen_port = 5349,
		.relay_first = 2000,
		.relay_last = 2000,
	};
	const struct fixture now[] = {
		{.name = "new address and port",
			.expected = STEER_TAKE_CLIENT,
			.family = 4,
			.to = STRANGER,
			.port = 5349},
		{.name = "new range",
			.expected = STEER_TAKE_PEER,
			.family = 4,
			.to = STRANGER,
			.port = 2000},
		{.name = "old port",
			.expected = STEER_PASS_OTHER_PORT,
			.family = 4,
			.to = STRANGER,
			.port = LISTEN},
		{.name = "no alternate port",
			.expected = STEER_PASS_OTHER_PORT,
			.family = 4,
			.to = STRANGER,
			.port = 0},
		{.name = "old address",
			.expected = STEER_PASS_OTHER_ADDRESS,
			.family = 4,
			.port = 5349},
		{.name = "old v6 address",
			.expected = STEER_PASS_OTHER_ADDRESS,
			.family = 6,
			.port = 5349},
	};

	assert_return_code(steer_maps_fill(&bench->xdp_maps, &config), 0);
	assert_return_code(steer_maps_fill(&bench->tc_maps, &config), 0);
	for (size_t i = 0; i < sizeof(now) / sizeof(now[0]); i++) {
		struct frame frame = frame_of(&now[i]);
		expect(bench, &frame, now[i].expected, now[i].name);
	}
}

// Relayed ports of before stay the relay's until they are given up.
static void relayed_ports_move_while_it_works(void **state)
{
	struct bench *bench = *state;
	static const struct {
		uint16_t first, last, earlier_first, earlier_last;
		bool old_port, new_port;
	} steps[] = {
		{2000, 2001, FIRST, LAST, true, true},
		{2000, 2001, 2000, 2001, false, true},
		{FIRST, LAST, 2000, 2001, true, true},
		{FIRST, LAST, FIRST, LAST, true, false},
	};
	struct steer_handles xdp = {-1, bench->xdp_maps.settings};
	struct steer_handles tc = {-1, bench->tc_maps.settings};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		const struct steer_handles *both[] = {&xdp, &tc};
		for (int k = 0; k < 2; k++)
			assert_return_code(steer_relay_ports(both[k], steps[i].first, steps[i].last,
						   steps[i].earlier_first, steps[i].earlier_last),
				0);
		const struct fixture now[] = {
			{.name = "old port",
				.expected =
					steps[i].old_port ? STEER_TAKE_PEER : STEER_PASS_OTHER_PORT,
				.family = 4,
				.port = LAST},
			{.name = "new port",
				.expected =
					steps[i].new_port ? STEER_TAKE_PEER : STEER_PASS_OTHER_PORT,
				.family = 6,
				.port = 2001},
			{.name = "between",
				.expected = STEER_PASS_OTHER_PORT,
				.family = 4,
				.port = 2002},
			{.name = "client",
				.expected = STEER_TAKE_CLIENT,
				.family = 4,
				.port = LISTEN},
		};
		for (size_t f = 0; f < sizeof(now) / sizeof(now[0]); f++) {
			struct frame frame = frame_of(&now[f]);
			expect(bench, &frame, now[f].expected, now[f].name);
		}
	}
	xdp.settings = -1;
	assert_true(steer_relay_ports(&xdp, 1, 2, 1, 2) < 0);
}

// An IPv4 address and an IPv6 address of the same bytes are two.
static void families_are_not_mixed_up(void **state)
{
	struct bench *bench = *state;
	struct steer_config config = config_full();
	struct fixture fixture = {.name = "v6 c000:201::", .family = 6, .port = LISTEN};
	struct frame frame = frame_of(&fixture);

	config.address_count = 2; // the IPv4 ones
	assert_return_code(steer_maps_fill(&bench->xdp_maps, &config), 0);
	assert_return_code(steer_maps_fill(&bench->tc_maps, &config), 0);
	memset(frame.bytes + ETH_HLEN + 24, 0, 16);
	memcpy(frame.bytes + ETH_HLEN + 24, config.addresses[0].bytes, 4);
	expect(bench, &frame, STEER_PASS_OTHER_ADDRESS, fixture.name);
}

static void a_full_list_can_be_replaced_by_another(void **state)
{
	struct bench *bench = *state;
	struct steer_config config = config_full();
	struct fixture ours = {.name = "ours", .family = 4, .port = LISTEN};
	struct frame frame = frame_of(&ours);

	config.address_count = STEER_ADDRESSES_MAX;
	for (int round = 0; round < 2; round++) {
		for (unsigned i = 0; i < STEER_ADDRESSES_MAX; i++) {
			uint8_t bytes[4] = {10, (uint8_t)round, 0, (uint8_t)i};
			config.addresses[i] = net_address_v4(bytes);
		}
		assert_return_code(steer_maps_fill(&bench->xdp_maps, &config), 0);
		assert_return_code(steer_maps_fill(&bench->tc_maps, &config), 0);
		for (unsigned i = 0; i < STEER_ADDRESSES_MAX; i++) {
			memcpy(frame.bytes + ETH_HLEN + 16, config.addresses[i].bytes, 4);
			expect(bench, &frame, STEER_TAKE_CLIENT, "listed");
			frame.bytes[ETH_HLEN + 17] ^= 1;
			expect(bench, &frame, STEER_PASS_OTHER_ADDRESS, "of the other list");
		}
	}
}

static void a_wrong_configuration_is_refused(void **state)
{
	struct bench *bench = *state;
	struct steer_config good = config_full(), bad[6];

	for (int i = 0; i < 6; i++)
		bad[i] = good;
	bad[0].address_count = 0;
	bad[1].address_count = STEER_ADDRESSES_MAX + 1;
	bad[2].addresses[1].family = NET_UNSPECIFIED;
	bad[3].listen_port = 0;
	bad[4].relay_first = 0;
	bad[5].relay_first = 60000;
	bad[5].relay_last = 59999;
	for (int i = 0; i < 6; i++)
		assert_int_equal(steer_maps_fill(&bench->xdp_maps, &bad[i]), -EINVAL);
	struct frame frame = frame_of(&fixtures[0]);
	expect(bench, &frame, fixtures[0].expected, fixtures[0].name);
}

static void every_counter_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (enum steer_counter i = 0; i < STEER_COUNTERS; i++) {
		assert_non_null(steer_counter_name(i));
		for (enum steer_counter j = 0; j < i; j++)
			assert_string_not_equal(steer_counter_name(i), steer_counter_name(j));
	}
	assert_string_equal(steer_counter_name(STEER_COUNTERS), "unknown");
}

#define CONFIGURED(test) cmocka_unit_test_setup_teardown(test, bench_configured, bench_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			unconfigured_passes_everything, bench_open, bench_close),
		CONFIGURED(each_fixture_goes_where_it_should),
		cmocka_unit_test(the_dataplane_can_parse_what_it_gets),
		CONFIGURED(padding_behind_the_packet_is_fine),
		CONFIGURED(a_frame_cut_anywhere_does_not_reach_the_relay),
		CONFIGURED(an_icmp_error_that_quotes_too_little_passes),
		CONFIGURED(changed_bytes_leave_both_programs_of_one_mind),
		CONFIGURED(without_a_socket_the_relays_frames_pass),
		CONFIGURED(another_configuration_replaces_the_first),
		CONFIGURED(relayed_ports_move_while_it_works),
		CONFIGURED(families_are_not_mixed_up),
		CONFIGURED(a_full_list_can_be_replaced_by_another),
		CONFIGURED(a_wrong_configuration_is_refused),
		cmocka_unit_test(every_counter_has_a_name_of_its_own),
	};

	if (geteuid() != 0) {
		puts("needs root to load BPF programs");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
