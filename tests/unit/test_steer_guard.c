// SPDX-License-Identifier: BSD-3-Clause
// The guard in the XDP program (ebpf/guard.h) and the dataplane, its twin: the same frames go
// through the program in the kernel (BPF_PROG_TEST_RUN) and through a worker's pipeline. What the
// one drops, the other must drop; and what the guard is there for must not get past it. Needs root.
#include "tests/unit/relay_world.h"

#include "dataplane/guard_rules.h"
#include "ebpf/embed.h"
#include "ebpf/guard_maps.h"
#include "ebpf/program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { REQUESTS = 1000000, CHANNEL = 0x4001 };

static struct bpf_object *object;
static struct steer_maps maps;
static struct steer_guard guard;
static int program, listener = -1;

// ---- both sides, configured alike ----

static void open_both(void)
{
	struct steer_config config = {
		.addresses = {address(world_server[0]), address(world_server[1])},
		.address_count = 2,
		.listen_port = 3478,
		.relay_first = 49152,
		.relay_last = 65535,
	};
	world_open();
	world.native.served = false;
	world.workers[0].guard_rules = guard_rules_create();
	object = bpf_object__open_mem(steer_xdp_object, steer_xdp_object_length, NULL);
	assert_non_null(object);
	assert_return_code(bpf_object__load(object), 0);
	program = bpf_program__fd(bpf_object__next_program(object, NULL));
	assert_return_code(steer_maps_open(program, &maps), 0);
	assert_return_code(steer_maps_fill(&maps, &config), 0);
	assert_return_code(steer_guard_open_program(program, &guard), 0);
	listener = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	assert_true(listener >= 0);
	assert_return_code(
		bpf_map_update_elem(maps.sockets, &(uint32_t){0}, &listener, BPF_ANY), 0);
	relay_ports_mirror(world.relay_ports, guard.ports);
	steer_guard_enable(&guard, REQUESTS, 0x4FFF);
	// A client with a channel, of each family; the other relayed ports are nobody's.
	for (unsigned family = 0; family < 2; family++) {
		assert_int_equal(install_allocation_for(0, family, family + 1), 0);
		assert_int_equal(
			install_channel(0, family + 1, CHANNEL, world_peer[family], 5000), 0);
	}
	world_clear();
}

static void close_both(void)
{
	guard_rules_free(world.workers[0].guard_rules);
	steer_guard_close(&guard);
	steer_maps_close(&maps);
	bpf_object__close(object);
	close(listener);
	world_close();
}

static void rule(const char *text, unsigned length, enum steer_rule before, enum steer_rule now)
{
	struct net_address a = address(text);
	struct api_guard_rule r = {.prefix = net_prefix_of(&a, length),
		.action = (uint8_t)now,
		.origin = API_GUARD_ADDED};
	struct guard_rules *rules = world.workers[0].guard_rules;
	assert_int_equal(steer_guard_rule(&guard, &r.prefix, before, now), 0);
	assert_int_equal(now == STEER_RULE_NONE ? guard_rules_remove(rules, &r.prefix)
						: guard_rules_set(rules, &r),
		0);
}

// The one counter that the program raised.
static enum steer_counter xdp(const uint8_t *bytes, uint32_t length)
{
	uint64_t before[STEER_COUNTERS], after[STEER_COUNTERS];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = bytes, .data_size_in = length, .repeat = 1);
	enum steer_counter raised = STEER_COUNTERS;
	assert_return_code(steer_counters(maps.counters, before), 0);
	assert_return_code(bpf_prog_test_run_opts(program, &opts), 0);
	assert_return_code(steer_counters(maps.counters, after), 0);
	for (enum steer_counter i = 0; i < STEER_COUNTERS; i++) {
		if (after[i] == before[i])
			continue;
		assert_int_equal(after[i], before[i] + 1);
		assert_int_equal(raised, STEER_COUNTERS);
		raised = i;
	}
	assert_int_not_equal(raised, STEER_COUNTERS);
	uint32_t action = raised <= STEER_TAKE_ICMP_ERROR ? XDP_REDIRECT
			  : raised >= STEER_DROP_LENGTH   ? XDP_DROP
							  : XDP_PASS;
	assert_int_equal(opts.retval, action);
	return raised;
}

// The pipeline's reason to drop; STATS_DROP_COUNT: it did something with the frame.
static enum stats_drop dataplane(const uint8_t *bytes, uint32_t length)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(world.pool);
	assert_non_null(mbuf);
	memcpy(rte_pktmbuf_append(mbuf, (uint16_t)length), bytes, length);
	world_clear();
	run_on(0, mbuf);
	enum stats_drop reason = STATS_DROP_COUNT;
	for (unsigned i = 0; i < STATS_DROP_COUNT; i++)
		if (world.workers[0].stats.drop[i])
			reason = (enum stats_drop)i;
	assert_int_equal(world.dropped, reason != STATS_DROP_COUNT);
	return reason;
}

// Bytes of a frame as relay_world.h makes it.
static uint32_t bytes_of(const struct frame *f, uint8_t out[static 2048])
{
	struct rte_mbuf *mbuf = frame_make(f);
	uint32_t length = mbuf->pkt_len;
	memcpy(out, rte_pktmbuf_mtod(mbuf, void *), length);
	rte_pktmbuf_free(mbuf);
	return length;
}

// ---- what both say of a message to the listen port, from both families ----

static void expect_message(const void *payload, size_t length, enum steer_counter counter,
	enum stats_drop reason, const char *name)
{
	uint8_t bytes[2048];
	for (unsigned family = 0; family < 2; family++) {
		struct frame f = {
			.source = endpoint(world_client[family], 40000),
			.destination = endpoint(world_server[family], 3478),
			.payload = payload,
			.length = (uint16_t)length,
		};
		uint32_t size = bytes_of(&f, bytes);
		enum steer_counter have = xdp(bytes, size);
		if (have != counter)
			fail_msg("%s, %zu bytes: XDP counts %s, not %s", name, length,
				steer_counter_name(have), steer_counter_name(counter));
		enum stats_drop drop = dataplane(bytes, size);
		if (drop != reason)
			fail_msg("%s, %zu bytes: the dataplane says %s, not %s", name, length,
				drop < STATS_DROP_COUNT ? stats_drop_names[drop] : "taken",
				reason < STATS_DROP_COUNT ? stats_drop_names[reason] : "taken");
	}
}

static size_t stun(uint8_t *out, unsigned type, unsigned body)
{
	memset(out, 0, 20 + body);
	out[0] = (uint8_t)(type >> 8);
	out[1] = (uint8_t)type;
	out[2] = (uint8_t)(body >> 8);
	out[3] = (uint8_t)body;
	memcpy(out + 4, "\x21\x12\xA4\x42", 4);
	memset(out + 8, 7, 12);
	// One attribute, comprehension-optional, as long as the rest.
	if (body) {
		out[20] = 0x80;
		out[21] = 0x99;
		out[22] = (uint8_t)((body - 4) >> 8);
		out[23] = (uint8_t)(body - 4);
	}
	return 20 + body;
}

static void messages_of_clients(void **state)
{
	const enum stats_drop taken = STATS_DROP_COUNT;
	uint8_t m[256] = {0};
	(void)state;
	open_both();
	// Whole ones.
	expect_message(m, stun(m, 0x0001, 0), STEER_TAKE_CLIENT, taken, "Binding");
	expect_message(m, stun(m, 0x0003, 0), STEER_TAKE_CLIENT, taken, "Allocate");
	expect_message(
		m, stun(m, 0x0003, 60), STEER_TAKE_CLIENT, taken, "Allocate with attributes");
	expect_message(m, stun(m, 0x0011, 0), STEER_TAKE_CLIENT, DROP_stun_unexpected, "keepalive");
	expect_message(
		m, stun(m, 0x0016, 0), STEER_TAKE_CLIENT, DROP_send_malformed, "Send without data");
	channel_data_write_header(m, CHANNEL, 100);
	expect_message(m, 104, STEER_TAKE_CLIENT, taken, "ChannelData");
	expect_message(m, 107, STEER_TAKE_CLIENT, taken, "ChannelData with padding");
	// Cut at each byte.
	for (size_t length = 0; length < 104; length++)
		expect_message(m, length, length < 4 ? STEER_DROP_SHORT : STEER_DROP_CHANNEL,
			length < 4 ? DROP_truncated : DROP_channel_malformed, "cut ChannelData");
	expect_message(m, 108, STEER_DROP_CHANNEL, DROP_channel_malformed, "ChannelData and more");
	stun(m, 0x0003, 60);
	for (size_t length = 0; length < 80; length++)
		expect_message(m, length, length < 4 ? STEER_DROP_SHORT : STEER_DROP_STUN,
			length < 4 ? DROP_truncated : DROP_stun_malformed, "cut Allocate");
	expect_message(m, 81, STEER_DROP_STUN, DROP_stun_malformed, "Allocate and more");
	// A length that is no multiple of 4, though the datagram's.
	m[3] = 61;
	expect_message(m, 81, STEER_DROP_STUN, DROP_stun_malformed, "odd length");
	// Each bit of the cookie.
	for (unsigned bit = 0; bit < 32; bit++) {
		size_t length = stun(m, 0x0001, 8);
		m[4 + bit / 8] ^= (uint8_t)(1 << (bit & 7));
		expect_message(m, length, STEER_DROP_STUN, DROP_stun_malformed, "cookie");
	}
	// Messages that no client sends.
	expect_message(m, stun(m, 0x0101, 0), STEER_DROP_STUN, DROP_stun_unexpected, "success");
	expect_message(m, stun(m, 0x0113, 0), STEER_DROP_STUN, DROP_stun_unexpected, "error");
	expect_message(
		m, stun(m, 0x0017, 0), STEER_DROP_STUN, DROP_stun_unexpected, "Data indication");
	// First bytes.
	for (unsigned first = 0; first < 256; first++) {
		memset(m, 0, 32);
		m[0] = (uint8_t)first;
		if (first >= 64 && first <= 79)
			expect_message(m, 4, STEER_TAKE_CLIENT, DROP_no_channel, "channel");
		else if (first >= 4 && first <= 8)
			expect_message(m, 32, STEER_TAKE_CLIENT,
				first <= 6 ? DROP_native_off : DROP_first_byte_unknown, "reserved");
		else if (first > 3)
			expect_message(m, 32, STEER_DROP_FIRST_BYTE, DROP_first_byte_unknown,
				"first byte");
	}
	close_both();
}

static void expect_frame(const struct frame *f, enum steer_counter counter, enum stats_drop reason)
{
	uint8_t bytes[2048];
	uint32_t size = bytes_of(f, bytes);
	enum steer_counter have = xdp(bytes, size);
	if (have != counter)
		fail_msg("XDP counts %s, not %s", steer_counter_name(have),
			steer_counter_name(counter));
	assert_int_equal(dataplane(bytes, size), reason);
}

static void sources_nobody_can_answer(void **state)
{
	static const char *const bad[] = {"0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.255",
		"224.0.0.1", "239.1.2.3", "240.0.0.1", "255.255.255.255", "192.0.2.1", "::", "::1",
		"::ffff:10.0.0.1", "::ffff:192.0.2.1", "ff02::1", "ff0e::5", "2001:db8::1"};
	static const char *const good[] = {"1.0.0.1", "126.255.255.255", "128.0.0.1",
		"223.255.255.255", "10.0.0.1", "192.0.2.2", "::2", "::1:0:1", "::fffe:0:1",
		"fe80::1", "2001:db8::2"};
	uint8_t m[32];
	(void)state;
	open_both();
	size_t length = stun(m, 0x0003, 0);
	for (unsigned side = 0; side < 2; side++) { // to the listen port, to a relayed one
		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
			struct frame f = {.source = endpoint(bad[i], 40000),
				.payload = m,
				.length = (uint16_t)length};
			unsigned family = f.source.address.family == NET_IPV6;
			f.destination = side ? relayed_of_id(family, family + 1)
					     : endpoint(world_server[family], 3478);
			expect_frame(&f, STEER_DROP_SOURCE, DROP_bad_relayed_source);
		}
		for (unsigned family = 0; family < 2; family++) {
			struct frame f = {.source = endpoint(world_client[family], 0),
				.destination = side ? relayed_of_id(family, family + 1)
						    : endpoint(world_server[family], 3478),
				.payload = m,
				.length = (uint16_t)length};
			expect_frame(&f, STEER_DROP_SOURCE, DROP_bad_relayed_source);
		}
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct frame f = {.source = endpoint(good[i], 40000),
			.payload = m,
			.length = (uint16_t)length};
		unsigned family = f.source.address.family == NET_IPV6;
		f.destination = endpoint(world_server[family], 3478);
		expect_frame(&f, STEER_TAKE_CLIENT, STATS_DROP_COUNT);
	}
	close_both();
}

static struct frame from_peer(unsigned family, uint16_t port)
{
	return (struct frame){
		.source = endpoint(world_peer[family], 5000),
		.destination = endpoint(world_server[family], port),
		.payload = "voice",
		.length = 5,
	};
}

// Every relayed port's bit is set while it has an owner, and at no other time.
static void ports_nobody_has(void **state)
{
	const uint16_t one = WORLD_RELAY_PORT + 2, two = WORLD_RELAY_PORT + 4;
	(void)state;
	open_both();
	for (unsigned port = 49152; port <= 65535; port += port > 50010 ? 97 : 1)
		for (unsigned family = 0; family < 2; family++) {
			bool owned = port == one || port == two;
			bool talking = port == (family ? two : one); // to its peer
			struct frame f = from_peer(family, (uint16_t)port);
			expect_frame(&f, owned ? STEER_TAKE_PEER : STEER_DROP_UNALLOCATED,
				talking ? STATS_DROP_COUNT
				: owned ? DROP_no_permission
					: DROP_no_allocation);
		}
	// One family of a dual allocation goes, then the rest.
	struct api_allocation_change end = {.allocation_id = 1, .family = NET_IPV6};
	assert_int_equal(install(0, API_ALLOCATION_REMOVE, &end, sizeof(end)), 0);
	struct frame v4 = from_peer(0, one), v6 = from_peer(1, one);
	expect_frame(&v4, STEER_TAKE_PEER, STATS_DROP_COUNT);
	expect_frame(&v6, STEER_DROP_UNALLOCATED, DROP_no_allocation);
	end.family = 0;
	assert_int_equal(install(0, API_ALLOCATION_REMOVE, &end, sizeof(end)), 0);
	expect_frame(&v4, STEER_DROP_UNALLOCATED, DROP_no_allocation);
	// All of them together, as at a drain's deadline.
	install_end_all(&world.workers[0]);
	for (size_t i = 0; i < 2 * STEER_PORT_WORDS; i++)
		assert_int_equal(guard.ports[i], 0);
	close_both();
}

// Random claims and releases of two workers leave the bits as the words are; a stale owner clears
// nothing.
static void bits_follow_the_owners(void **state)
{
	struct relay_port_owner owners[64] = {0};
	(void)state;
	open_both();
	srand(5);
	for (unsigned step = 0; step < 20000; step++) {
		unsigned i = (unsigned)rand() % 64, own = i & 1;
		uint16_t port = (uint16_t)(60000 + i / 2 * 3);
		struct relay_port_owner owner = {(uint16_t)(rand() & 1), 1, (uint32_t)(rand() & 3)};
		bool free = owners[i].slot == 0;
		if (rand() & 1) {
			int result = relay_ports_claim(world.relay_ports, own, port, &owner);
			assert_int_equal(result, free ? 0 : -EADDRINUSE);
			if (free)
				owners[i] = owner;
		} else {
			relay_ports_release(world.relay_ports, own, port, &owner);
			if (!memcmp(&owners[i], &owner, sizeof(owner)))
				owners[i] = (struct relay_port_owner){0};
		}
		bool bit =
			*steer_guard_port_word(guard.ports, own, port) & steer_guard_port_bit(port);
		assert_int_equal(bit, owners[i].slot != 0);
	}
	close_both();
}

static void blocked_prefixes(void **state)
{
	uint8_t m[32];
	(void)state;
	open_both();
	size_t length = stun(m, 0x0001, 0);
	struct frame client[2], peer[2];
	for (unsigned family = 0; family < 2; family++) {
		client[family] = (struct frame){.source = endpoint(world_client[family], 40000),
			.destination = endpoint(world_server[family], 3478),
			.payload = m,
			.length = (uint16_t)length};
		peer[family] =
			from_peer(family, family ? WORLD_RELAY_PORT + 4 : WORLD_RELAY_PORT + 2);
	}
	rule("198.51.100.0", 24, STEER_RULE_NONE, STEER_RULE_BLOCK);
	expect_frame(&client[0], STEER_DROP_BLOCKED, DROP_blocked);
	expect_frame(&client[1], STEER_TAKE_CLIENT, STATS_DROP_COUNT);
	expect_frame(&peer[0], STEER_TAKE_PEER, STATS_DROP_COUNT);
	// An exception within it; a narrower block within that; the exception alone.
	rule("198.51.100.10", 32, STEER_RULE_NONE, STEER_RULE_ALLOW);
	expect_frame(&client[0], STEER_TAKE_CLIENT, STATS_DROP_COUNT);
	rule("198.51.100.10", 32, STEER_RULE_ALLOW, STEER_RULE_BLOCK);
	expect_frame(&client[0], STEER_DROP_BLOCKED, DROP_blocked);
	rule("198.51.100.10", 32, STEER_RULE_BLOCK, STEER_RULE_NONE);
	expect_frame(&client[0], STEER_DROP_BLOCKED, DROP_blocked);
	rule("198.51.100.0", 24, STEER_RULE_BLOCK, STEER_RULE_ALLOW);
	rule("0.0.0.0", 0, STEER_RULE_NONE, STEER_RULE_BLOCK);
	expect_frame(&client[0], STEER_TAKE_CLIENT, STATS_DROP_COUNT);
	expect_frame(&peer[0], STEER_DROP_BLOCKED, DROP_blocked);
	// Families do not meet.
	expect_frame(&client[1], STEER_TAKE_CLIENT, STATS_DROP_COUNT);
	rule("2001:db8:c::", 48, STEER_RULE_NONE, STEER_RULE_BLOCK);
	expect_frame(&client[1], STEER_DROP_BLOCKED, DROP_blocked);
	expect_frame(&peer[1], STEER_TAKE_PEER, STATS_DROP_COUNT);
	// What is not the relay's is not looked at.
	struct frame other = client[1];
	other.destination.port = 53;
	expect_frame(&other, STEER_PASS_OTHER_PORT, DROP_not_ours);
	rule("2001:db8:c::", 48, STEER_RULE_BLOCK, STEER_RULE_NONE);
	rule("0.0.0.0", 0, STEER_RULE_BLOCK, STEER_RULE_NONE);
	rule("198.51.100.0", 24, STEER_RULE_ALLOW, STEER_RULE_NONE);
	assert_int_equal(guard.settings->rules4 + guard.settings->rules6, 0);
	expect_frame(&client[0], STEER_TAKE_CLIENT, STATS_DROP_COUNT);
	close_both();
}

// All rules that there may be, each replaced once: the kernel's trie has room, and agrees with the
// table for random addresses.
static void as_many_rules_as_there_may_be(void **state)
{
	static struct net_prefix prefixes[GUARD_RULES_MAX];
	static uint8_t action[GUARD_RULES_MAX];
	uint8_t m[32], bytes[2048];
	unsigned count = 0, blocked = 0;
	(void)state;
	open_both();
	srand(6);
	while (count < GUARD_RULES_MAX) {
		uint8_t four[4] = {10, (uint8_t)(rand() & 3), (uint8_t)rand(), (uint8_t)rand()};
		struct net_address a = net_address_v4(four);
		struct net_prefix p = net_prefix_of(&a, 14 + (unsigned)rand() % 19);
		if (guard_rules_find(world.workers[0].guard_rules, &p))
			continue;
		action[count] = (uint8_t)(1 + (rand() & 1));
		struct api_guard_rule r = {p, action[count], API_GUARD_ADDED, 0};
		assert_int_equal(guard_rules_set(world.workers[0].guard_rules, &r), 0);
		assert_int_equal(steer_guard_rule(&guard, &p, STEER_RULE_NONE,
					 (enum steer_rule)action[count]),
			0);
		prefixes[count++] = p;
	}
	for (unsigned i = 0; i < count; i += 7) {
		struct api_guard_rule r = {
			prefixes[i], (uint8_t)(3 - action[i]), API_GUARD_ADDED, 0};
		assert_int_equal(guard_rules_set(world.workers[0].guard_rules, &r), 0);
		assert_int_equal(steer_guard_rule(&guard, &prefixes[i], (enum steer_rule)action[i],
					 (enum steer_rule)r.action),
			0);
	}
	assert_int_equal(guard.settings->rules4, GUARD_RULES_MAX);
	size_t length = stun(m, 0x0016, 0);
	for (unsigned i = 0; i < 3000; i++) {
		uint8_t four[4] = {10, (uint8_t)(rand() & 3), (uint8_t)rand(), (uint8_t)rand()};
		struct frame f = {.source = {.address = net_address_v4(four), .port = 9},
			.destination = endpoint(world_server[0], 3478),
			.payload = m,
			.length = (uint16_t)length};
		uint32_t size = bytes_of(&f, bytes);
		bool drops = xdp(bytes, size) == STEER_DROP_BLOCKED;
		assert_int_equal(dataplane(bytes, size) == DROP_blocked, drops);
		blocked += drops;
	}
	assert_in_range(blocked, 500, 2500);
	close_both();
}

static void requests_have_a_wide_budget(void **state)
{
	enum { RATE = 200 };
	uint8_t m[32], bytes[2048], other[2048];
	(void)state;
	open_both();
	steer_guard_enable(&guard, RATE, 0x4FFF);
	size_t length = stun(m, 0x0003, 0);
	struct frame f = {.source = endpoint("203.0.113.77", 40000),
		.destination = endpoint(world_server[0], 3478),
		.payload = m,
		.length = (uint16_t)length};
	uint32_t size = bytes_of(&f, bytes);
	struct timespec start, now;
	clock_gettime(CLOCK_MONOTONIC, &start);
	unsigned taken = 0;
	double elapsed;
	do {
		taken += xdp(bytes, size) == STEER_TAKE_CLIENT;
		clock_gettime(CLOCK_MONOTONIC, &now);
		elapsed = (double)(now.tv_sec - start.tv_sec) +
			  (double)(now.tv_nsec - start.tv_nsec) / 1e9;
	} while (elapsed < 0.5);
	// Each CPU has a budget of its own, and this thread may have moved.
	assert_in_range(taken, RATE, (unsigned)((RATE + RATE * elapsed) * 4) + 4);
	// Another /24 is not concerned (unless it shares the slot: one in 8192; then the next is
	// not).
	unsigned free = 0;
	for (unsigned i = 0; i < 3; i++) {
		char text[32];
		snprintf(text, sizeof(text), "203.0.%u.77", 114 + i);
		f.source = endpoint(text, 40000);
		uint32_t other_size = bytes_of(&f, other);
		free += xdp(other, other_size) == STEER_TAKE_CLIENT;
	}
	assert_true(free >= 2);
	// Neither is what is no request.
	stun(m, 0x0016, 0);
	f.source = endpoint("203.0.113.77", 40000);
	size = bytes_of(&f, bytes);
	for (unsigned i = 0; i < 3 * RATE; i++)
		assert_int_equal(xdp(bytes, size), STEER_TAKE_CLIENT);
	close_both();
}

// A million spoofed prefixes fill every slot of the hash again and again; what is not a request
// passes, and so do requests as soon as time has passed: nothing grows, nothing has to be removed.
static void a_flood_of_prefixes_leaves_nothing_behind(void **state)
{
	uint8_t m[32], bytes[2048];
	(void)state;
	open_both();
	size_t length = stun(m, 0x0003, 0);
	struct frame f = {.source = endpoint("11.0.0.1", 40000),
		.destination = endpoint(world_server[0], 3478),
		.payload = m,
		.length = (uint16_t)length};
	uint32_t size = bytes_of(&f, bytes);
	steer_guard_enable(&guard, 1, 0x4FFF);
	unsigned refused = 0;
	for (unsigned i = 0; i < 30000; i++) {
		uint32_t number = htonl((11u << 24) + (i << 8));
		memcpy(bytes + 14 + 12, &number, 4);
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = bytes, .data_size_in = size,
			.repeat = 1);
		assert_return_code(bpf_prog_test_run_opts(program, &opts), 0);
		refused += opts.retval == XDP_DROP;
	}
	assert_true(refused > 10000); // slots are shared
	steer_guard_enable(&guard, REQUESTS, 0x4FFF);
	struct timespec pause = {.tv_nsec = 20000000};
	for (unsigned i = 0; xdp(bytes, size) != STEER_TAKE_CLIENT; i++) {
		assert_true(i < 500);
		nanosleep(&pause, NULL);
	}
	close_both();
}

static void errors_about_ports_nobody_has(void **state)
{
	static const uint16_t ports[] = {WORLD_RELAY_PORT + 2, WORLD_RELAY_PORT + 3};
	(void)state;
	open_both();
	for (unsigned i = 0; i < 2; i++) {
		uint8_t quoted[64] = {0x45, [3] = 60, [8] = 64, [9] = 17};
		memcpy(quoted + 12, address(world_server[0]).bytes, 4);
		memcpy(quoted + 16, address(world_peer[0]).bytes, 4);
		quoted[20] = (uint8_t)(ports[i] >> 8);
		quoted[21] = (uint8_t)ports[i];
		quoted[22] = 5000 >> 8;
		quoted[23] = 5000 & 255;
		quoted[25] = 40;
		uint8_t bytes[2048];
		struct frame f = {.source = endpoint("203.0.113.1", 1),
			.destination = endpoint(world_server[0], 1),
			.payload = quoted,
			.length = 28};
		uint32_t size = bytes_of(&f, bytes);
		// The UDP header becomes an ICMP one: unreachable, port.
		uint8_t *icmp = bytes + 34;
		bytes[14 + 9] = 1;
		memset(bytes + 14 + 10, 0, 2);
		uint16_t sum = (uint16_t)~checksum_fold(checksum_sum(bytes + 14, 20));
		memcpy(bytes + 14 + 10, &sum, 2);
		memset(icmp, 0, 8);
		icmp[0] = icmp[1] = 3;
		sum = (uint16_t)~checksum_fold(checksum_sum(icmp, 36));
		memcpy(icmp + 2, &sum, 2);
		assert_int_equal(
			xdp(bytes, size), i ? STEER_DROP_UNALLOCATED : STEER_TAKE_ICMP_ERROR);
		assert_int_equal(dataplane(bytes, size), i ? DROP_no_allocation : STATS_DROP_COUNT);
	}
	close_both();
}

// ---- any frame ----

static struct frame random_frame(uint8_t *m)
{
	unsigned family = (unsigned)rand() & 1, kind = (unsigned)rand() % 8;
	struct frame f = {
		.source = endpoint(rand() % 4 ? world_client[family] : world_peer[family],
			rand() % 4 ? 40000 : 5000),
		.destination = endpoint(world_server[family], 3478),
		.payload = m,
		.vlan = (uint16_t)(rand() % 4 ? 0 : 100),
		.checksum = (enum frame_checksum)(rand() % 4 ? FRAME_WHOLE : rand() % 4),
	};
	static const uint16_t types[] = {1, 3, 4, 6, 7, 8, 9, 0x11, 0x16, 0x17, 0x101, 0x113};
	if (kind < 3) {
		f.length =
			(uint16_t)stun(m, types[(unsigned)rand() % 12], (unsigned)rand() % 12 * 4);
	} else if (kind < 5) {
		uint16_t length = (uint16_t)(rand() % 100);
		channel_data_write_header(
			m, (uint16_t)(rand() % 4 ? CHANNEL : 0x4000 + rand() % 0x2000), length);
		f.length = (uint16_t)(length + 4 + rand() % 5);
	} else if (kind < 7) {
		f.destination.port = (uint16_t)(rand() % 2 ? WORLD_RELAY_PORT + rand() % 8
							   : 49000 + rand() % 16000);
		f.length = (uint16_t)(rand() % 100);
	} else {
		f.length = (uint16_t)(rand() % 40);
		for (unsigned i = 0; i < f.length; i++)
			m[i] = (uint8_t)rand();
	}
	return f;
}

static void both_agree_on_any_frame(void **state)
{
	enum { FRAMES = 60000 };
	uint8_t m[256] = {0}, bytes[2048];
	unsigned seen[STEER_COUNTERS] = {0};
	(void)state;
	open_both();
	srand(20240817);
	rule("203.0.113.0", 27, STEER_RULE_NONE, STEER_RULE_BLOCK);
	rule("2001:db8:d::", 64, STEER_RULE_NONE, STEER_RULE_BLOCK);
	for (unsigned i = 0; i < FRAMES; i++) {
		struct frame f = random_frame(m);
		uint32_t size = bytes_of(&f, bytes);
		unsigned changes = rand() % 3 ? 0 : 1 + (unsigned)rand() % 3;
		while (changes--)
			bytes[(unsigned)rand() % size] = (uint8_t)rand();
		if (rand() % 8 == 0)
			size = 14 + (unsigned)rand() % (size - 13);
		// The workers' own budgets are not the question.
		world.now += seconds(1) / 100;
		enum steer_counter counter = xdp(bytes, size);
		enum stats_drop reason = dataplane(bytes, size);
		seen[counter]++;
		bool wrong = counter >= STEER_DROP_LENGTH && reason == STATS_DROP_COUNT;
		// Nothing the guard is there for gets past it.
		if (counter <= STEER_TAKE_PEER)
			wrong = reason == DROP_blocked || reason == DROP_bad_length ||
				reason == DROP_truncated || reason == DROP_bad_relayed_source ||
				reason == DROP_channel_malformed ||
				(reason == DROP_no_allocation && counter == STEER_TAKE_PEER);
		if (wrong)
			fail_msg("frame %u, %u bytes: XDP counts %s, the dataplane %s", i, size,
				steer_counter_name(counter),
				reason < STATS_DROP_COUNT ? stats_drop_names[reason] : "takes it");
		// Mappings live for ten minutes.
		if (i % 10000 == 9999) {
			install_end_all(&world.workers[0]);
			for (unsigned family = 0; family < 2; family++) {
				assert_int_equal(install_allocation_for(0, family, family + 1), 0);
				assert_int_equal(install_channel(0, family + 1, CHANNEL,
							 world_peer[family], 5000),
					0);
			}
		}
	}
	// All kinds have come by.
	for (enum steer_counter c = STEER_DROP_LENGTH; c < STEER_DROP_BUDGET; c++)
		if (seen[c] < 20)
			fail_msg("only %u frames were %s", seen[c], steer_counter_name(c));
	assert_true(seen[STEER_TAKE_CLIENT] > 1000 && seen[STEER_TAKE_PEER] > 200);
	close_both();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_of_clients),
		cmocka_unit_test(sources_nobody_can_answer),
		cmocka_unit_test(ports_nobody_has),
		cmocka_unit_test(bits_follow_the_owners),
		cmocka_unit_test(blocked_prefixes),
		cmocka_unit_test(as_many_rules_as_there_may_be),
		cmocka_unit_test(requests_have_a_wide_budget),
		cmocka_unit_test(a_flood_of_prefixes_leaves_nothing_behind),
		cmocka_unit_test(errors_about_ports_nobody_has),
		cmocka_unit_test(both_agree_on_any_frame),
	};

	if (geteuid() != 0) {
		puts("needs root to load BPF programs");
		return 77;
	}
	return cmocka_run_group_tests(tests, world_setup, NULL);
}
