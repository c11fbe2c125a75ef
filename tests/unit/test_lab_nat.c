// SPDX-License-Identifier: BSD-3-Clause
// The lab's NAT does what RFC 4787 says of each behaviour: all combinations of mapping, filtering
// and allocation, hairpin, timers, caps, and that a seed repeats.
#include "tests/lab/nat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { SECOND = 1000000, SEED = 77, DEPENDENCES = 3, ALLOCATIONS = 4 };

static struct net_endpoint v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, unsigned port)
{
	return (struct net_endpoint){
		.address = net_address_v4((uint8_t[]){a, b, c, d}), .port = (uint16_t)port};
}

static struct net_endpoint v6(uint8_t network, uint8_t host, unsigned port)
{
	uint8_t bytes[16] = {0x2a, 0, 0xb1, 0x0c, [7] = network, [15] = host};
	return (struct net_endpoint){.address = net_address_v6(bytes), .port = (uint16_t)port};
}

static struct nat_behaviour behaviour(void)
{
	return (struct nat_behaviour){
		.translates = true, .outside = net_address_v4((uint8_t[]){11, 1, 1, 2})};
}

// The outside port of a packet from there to there.
static uint16_t sent(
	struct nat *nat, uint64_t now, struct net_endpoint source, struct net_endpoint destination)
{
	struct net_endpoint to = destination;
	assert_int_equal(nat_outbound(nat, now, &source, &to), NAT_OUTSIDE);
	assert_true(net_endpoint_equal(&to, &destination));
	assert_int_equal(source.address.bytes[0], 11);
	return source.port;
}

static enum nat_verdict refused(
	struct nat *nat, uint64_t now, struct net_endpoint source, struct net_endpoint destination)
{
	struct net_endpoint from = source, to = destination;
	enum nat_verdict verdict = nat_outbound(nat, now, &from, &to);
	assert_true(net_endpoint_equal(&from, &source) && net_endpoint_equal(&to, &destination));
	return verdict;
}

// Whether a packet from there to that outside port comes to `inside`.
static enum nat_verdict received(struct nat *nat, uint64_t now, struct net_endpoint source,
	uint16_t port, struct net_endpoint inside)
{
	struct net_endpoint to = v4(11, 1, 1, 2, port), was = to;
	enum nat_verdict verdict = nat_inbound(nat, now, &source, &to);
	assert_true(net_endpoint_equal(&to, verdict == NAT_INSIDE ? &inside : &was));
	return verdict;
}

static void maps_as_it_says(void **state)
{
	(void)state;
	struct net_endpoint host = v4(192, 168, 1, 2, 5000);
	struct net_endpoint near = v4(12, 0, 0, 1, 80), port = v4(12, 0, 0, 1, 81),
			    far = v4(12, 0, 0, 2, 80);
	for (unsigned mapping = 0; mapping < DEPENDENCES; mapping++) {
		for (unsigned allocation = 0; allocation < ALLOCATIONS; allocation++) {
			struct nat_behaviour is = behaviour();
			is.mapping = mapping;
			is.allocation = allocation;
			struct nat *nat = nat_create(&is, SEED);
			uint16_t first = sent(nat, 0, host, near);
			assert_int_equal(sent(nat, 0, host, near), first);
			assert_true((sent(nat, 0, host, port) == first) ==
				    (mapping != NAT_ADDRESS_AND_PORT_DEPENDENT));
			assert_true((sent(nat, 0, host, far) == first) ==
				    (mapping == NAT_ENDPOINT_INDEPENDENT));
			assert_int_equal(nat_sessions(nat, 0), 3);
			assert_int_equal(nat_counted(nat, NAT_OUTSIDE), 4);
			nat_destroy(nat);
		}
	}
}

static void filters_as_it_says(void **state)
{
	(void)state;
	struct net_endpoint host = v4(192, 168, 1, 2, 5000);
	for (unsigned mapping = 0; mapping < DEPENDENCES; mapping++) {
		for (unsigned filtering = 0; filtering < DEPENDENCES; filtering++) {
			struct nat_behaviour is = behaviour();
			is.mapping = mapping;
			is.filtering = filtering;
			is.allocation = NAT_RANDOM;
			struct nat *nat = nat_create(&is, SEED);
			uint16_t port = sent(nat, 0, host, v4(12, 0, 0, 1, 80));
			assert_int_equal(
				received(nat, 0, v4(12, 0, 0, 1, 80), port, host), NAT_INSIDE);
			assert_int_equal(received(nat, 0, v4(12, 0, 0, 1, 81), port, host),
				filtering == NAT_ADDRESS_AND_PORT_DEPENDENT ? NAT_DROP_FILTERED
									    : NAT_INSIDE);
			assert_int_equal(received(nat, 0, v4(12, 0, 0, 2, 80), port, host),
				filtering == NAT_ENDPOINT_INDEPENDENT ? NAT_INSIDE
								      : NAT_DROP_FILTERED);
			uint16_t other = port == 9 ? 10 : 9;
			assert_int_equal(received(nat, 0, v4(12, 0, 0, 1, 80), other, host),
				NAT_DROP_NO_MAPPING);
			nat_destroy(nat);
		}
	}
}

static void preserves_ports_where_it_can(void **state)
{
	(void)state;
	struct nat_behaviour is = behaviour();
	struct nat *nat = nat_create(&is, SEED);
	struct net_endpoint to = v4(12, 0, 0, 1, 80);
	assert_int_equal(sent(nat, 0, v4(192, 168, 1, 2, 5000), to), 5000);
	assert_int_equal(sent(nat, 0, v4(192, 168, 1, 3, 5000), to), 5001);
	assert_int_equal(sent(nat, 0, v4(192, 168, 1, 3, 65535), to), 65535);
	assert_int_equal(sent(nat, 0, v4(192, 168, 1, 2, 65535), to), 1024);
	assert_in_range(sent(nat, 0, v4(192, 168, 1, 2, 500), to), 1024, 65535);
	nat_destroy(nat);
}

static void allocates_in_sequence(void **state)
{
	(void)state;
	struct nat_behaviour is = behaviour();
	is.allocation = NAT_SEQUENTIAL;
	is.mapping = NAT_ADDRESS_AND_PORT_DEPENDENT;
	is.port_low = 41000;
	is.port_high = 41007;
	is.step = 2;
	struct nat *nat = nat_create(&is, SEED);
	struct net_endpoint host = v4(192, 168, 1, 2, 5000);
	// The step is 2 of 8 ports: after four the odd or even ones are used up and others follow.
	uint16_t ports[8], sum = 0;
	for (unsigned i = 0; i < 8; i++) {
		ports[i] = sent(nat, 0, host, v4(12, 0, 0, 1, 80 + i));
		assert_in_range(ports[i], 41000, 41007);
		sum = (uint16_t)(sum | 1u << (ports[i] - 41000));
	}
	for (unsigned i = 1; i < 4; i++)
		assert_int_equal((ports[i] - ports[i - 1] + 8) % 8, 2);
	assert_int_equal(sum, 0xFF);
	assert_int_equal(refused(nat, 0, host, v4(12, 0, 0, 1, 99)), NAT_DROP_PORTS);
	nat_destroy(nat);
}

static void allocates_by_chance_in_its_range(void **state)
{
	(void)state;
	struct nat_behaviour is = behaviour();
	is.allocation = NAT_RANDOM;
	is.mapping = NAT_ADDRESS_AND_PORT_DEPENDENT;
	is.port_low = 40000;
	is.port_high = 40999;
	struct nat *nat = nat_create(&is, SEED), *same = nat_create(&is, SEED),
		   *other = nat_create(&is, SEED + 1);
	struct net_endpoint host = v4(192, 168, 1, 2, 5000);
	unsigned differ = 0, neighbours = 0;
	uint16_t before = 0;
	for (unsigned i = 0; i < 100; i++) {
		struct net_endpoint to = v4(12, 0, 0, 1, 80 + i);
		uint16_t port = sent(nat, 0, host, to);
		assert_in_range(port, 40000, 40999);
		assert_int_equal(sent(same, 0, host, to), port);
		differ += sent(other, 0, host, to) != port;
		neighbours += port == before + 1;
		before = port;
	}
	assert_true(differ > 90 && neighbours < 10);
	nat_destroy(nat);
	nat_destroy(same);
	nat_destroy(other);
}

static void keeps_to_a_block(void **state)
{
	(void)state;
	struct nat_behaviour is = behaviour();
	is.allocation = NAT_BLOCKS;
	is.mapping = NAT_ADDRESS_AND_PORT_DEPENDENT;
	is.port_low = 40960;
	is.port_high = 40960 + 3 * 16 - 1;
	is.block = 16;
	struct nat *nat = nat_create(&is, SEED);
	unsigned blocks = 0;
	for (uint8_t i = 0; i < 3; i++) {
		unsigned block =
			(sent(nat, 0, v4(192, 168, 1, i, 1), v4(12, 0, 0, 1, 1)) - 40960u) / 16;
		blocks |= 1u << block;
		for (unsigned port = 2; port <= 16; port++)
			assert_int_equal(
				(sent(nat, 0, v4(192, 168, 1, i, 1), v4(12, 0, 0, 1, port)) -
					40960u) /
					16,
				block);
		assert_int_equal(refused(nat, 0, v4(192, 168, 1, i, 1), v4(12, 0, 0, 1, 17)),
			NAT_DROP_PORTS);
	}
	assert_int_equal(blocks, 7);
	assert_int_equal(
		refused(nat, 0, v4(192, 168, 1, 9, 1), v4(12, 0, 0, 1, 1)), NAT_DROP_PORTS);
	nat_destroy(nat);
}

static void sessions_end_when_their_time_is_over(void **state)
{
	(void)state;
	struct net_endpoint host = v4(192, 168, 1, 2, 5000), peer = v4(12, 0, 0, 1, 80);
	for (unsigned refreshed_inbound = 0; refreshed_inbound < 2; refreshed_inbound++) {
		struct nat_behaviour is = behaviour();
		is.allocation = NAT_RANDOM;
		is.timeout_ms = 5000;
		is.refreshed_inbound = refreshed_inbound;
		struct nat *nat = nat_create(&is, SEED);
		uint16_t port = sent(nat, 0, host, peer);
		assert_int_equal(sent(nat, 4 * SECOND, host, peer), port); // until 9
		assert_int_equal(received(nat, 8 * SECOND, peer, port, host), NAT_INSIDE);
		assert_int_equal(nat_sessions(nat, 9 * SECOND - 1), 1);
		assert_int_equal(nat_sessions(nat, 9 * SECOND), refreshed_inbound);
		assert_int_equal(received(nat, 9 * SECOND, peer, port, host),
			refreshed_inbound ? NAT_INSIDE : NAT_DROP_NO_MAPPING);
		assert_int_equal(received(nat, 14 * SECOND, peer, port, host), NAT_DROP_NO_MAPPING);
		assert_int_not_equal(sent(nat, 15 * SECOND, host, peer), port);
		nat_destroy(nat);
	}
}

// Each remote has a time of its own; the mapping is there until the last one's is over.
static void a_mapping_lives_as_long_as_its_sessions(void **state)
{
	(void)state;
	struct net_endpoint host = v4(192, 168, 1, 2, 5000), one = v4(12, 0, 0, 1, 80),
			    two = v4(12, 0, 0, 2, 80);
	struct nat_behaviour is = behaviour();
	is.allocation = NAT_RANDOM;
	is.filtering = NAT_ADDRESS_DEPENDENT;
	is.timeout_ms = 10000;
	struct nat *nat = nat_create(&is, SEED);
	uint16_t port = sent(nat, 0, host, one);
	assert_int_equal(sent(nat, 6 * SECOND, host, two), port);
	assert_int_equal(received(nat, 11 * SECOND, two, port, host), NAT_INSIDE);
	assert_int_equal(received(nat, 11 * SECOND, one, port, host), NAT_DROP_FILTERED);
	assert_int_equal(sent(nat, 15 * SECOND, host, one), port);
	nat_destroy(nat);
}

static void has_a_cap_on_sessions(void **state)
{
	(void)state;
	struct nat_behaviour is = behaviour();
	is.sessions = 3;
	is.timeout_ms = 1000;
	struct nat *nat = nat_create(&is, SEED);
	struct net_endpoint host = v4(192, 168, 1, 2, 5000);
	for (unsigned i = 0; i < 3; i++)
		sent(nat, 0, host, v4(12, 0, 0, 1, 80 + i));
	assert_int_equal(refused(nat, SECOND - 1, host, v4(12, 0, 0, 1, 90)), NAT_DROP_SESSIONS);
	sent(nat, SECOND - 1, host, v4(12, 0, 0, 1, 82));
	sent(nat, SECOND, host, v4(12, 0, 0, 1, 90));
	assert_int_equal(nat_counted(nat, NAT_DROP_SESSIONS), 1);
	nat_destroy(nat);
}

static void hairpin_shows_the_outside_address(void **state)
{
	(void)state;
	for (unsigned filtering = 0; filtering < DEPENDENCES; filtering++) {
		for (unsigned hairpin = 0; hairpin < 2; hairpin++) {
			struct nat_behaviour is = behaviour();
			is.filtering = filtering;
			is.hairpin = hairpin;
			struct nat *nat = nat_create(&is, SEED);
			struct net_endpoint alice = v4(192, 168, 1, 2, 5000),
					    bob = v4(192, 168, 1, 3, 6000);
			sent(nat, 0, alice, v4(12, 0, 0, 1, 80));
			sent(nat, 0, bob, v4(12, 0, 0, 1, 80));
			struct net_endpoint from = alice, to = v4(11, 1, 1, 2, 6000);
			enum nat_verdict verdict = nat_outbound(nat, 0, &from, &to);
			if (hairpin && filtering != NAT_ENDPOINT_INDEPENDENT) {
				// It has opened the way for the other one, as to any remote.
				assert_int_equal(verdict, NAT_DROP_FILTERED);
				from = bob;
				to = v4(11, 1, 1, 2, 5000);
				assert_int_equal(nat_outbound(nat, 0, &from, &to), NAT_INSIDE);
				assert_true(net_endpoint_equal(
					&from, &(struct net_endpoint){
						       .address = is.outside, .port = 6000}));
				assert_true(net_endpoint_equal(&to, &alice));
			} else if (hairpin) {
				assert_int_equal(verdict, NAT_INSIDE);
				assert_true(net_endpoint_equal(
					&from, &(struct net_endpoint){
						       .address = is.outside, .port = 5000}));
				assert_true(net_endpoint_equal(&to, &bob));
			} else {
				assert_int_equal(verdict, NAT_DROP_HAIRPIN);
			}
			nat_destroy(nat);
		}
	}
}

static void rebinding_changes_every_port(void **state)
{
	(void)state;
	struct net_endpoint host = v4(192, 168, 1, 2, 5000), peer = v4(12, 0, 0, 1, 80);
	for (unsigned allocation = 0; allocation < ALLOCATIONS; allocation++) {
		struct nat_behaviour is = behaviour();
		is.allocation = allocation;
		struct nat *nat = nat_create(&is, SEED);
		uint16_t port = sent(nat, 0, host, peer);
		nat_rebind(nat);
		assert_int_equal(nat_sessions(nat, 0), 0);
		assert_int_equal(received(nat, 0, peer, port, host), NAT_DROP_NO_MAPPING);
		uint16_t other = sent(nat, 0, host, peer);
		assert_int_not_equal(other, port);
		assert_int_equal(received(nat, 0, peer, other, host), NAT_INSIDE);
		nat_destroy(nat);
	}
}

static void ipv6_is_filtered_and_never_translated(void **state)
{
	(void)state;
	for (unsigned filtering = 0; filtering < DEPENDENCES; filtering++) {
		struct nat_behaviour is = behaviour();
		is.filtering = filtering;
		is.mapping = NAT_ADDRESS_AND_PORT_DEPENDENT;
		is.allocation = NAT_RANDOM;
		struct nat *nat = nat_create(&is, SEED);
		struct net_endpoint host = v6(1, 2, 5000), from = v6(2, 2, 6000), to = host;
		assert_int_equal(nat_inbound(nat, 0, &from, &to), NAT_DROP_NO_MAPPING);
		struct net_endpoint source = host, destination = from;
		assert_int_equal(nat_outbound(nat, 0, &source, &destination), NAT_OUTSIDE);
		assert_true(net_endpoint_equal(&source, &host));
		assert_int_equal(nat_inbound(nat, 0, &from, &to), NAT_INSIDE);
		assert_true(net_endpoint_equal(&to, &host));
		from.port++;
		assert_int_equal(nat_inbound(nat, 0, &from, &to),
			filtering == NAT_ADDRESS_AND_PORT_DEPENDENT ? NAT_DROP_FILTERED
								    : NAT_INSIDE);
		from = v4(12, 0, 0, 1, 80);
		to.port++;
		assert_int_equal(nat_inbound(nat, 0, &from, &to), NAT_DROP_NO_MAPPING);
		nat_destroy(nat);
	}
}

static void a_firewall_translates_nothing(void **state)
{
	(void)state;
	struct nat_behaviour is = behaviour();
	is.translates = false;
	is.filtering = NAT_ADDRESS_AND_PORT_DEPENDENT;
	struct nat *nat = nat_create(&is, SEED);
	struct net_endpoint host = v4(11, 3, 0, 2, 500);
	assert_int_equal(sent(nat, 0, host, v4(12, 0, 0, 1, 80)), 500);
	struct net_endpoint to = host;
	assert_int_equal(
		nat_inbound(nat, 0, &(struct net_endpoint){.address = is.outside, .port = 80}, &to),
		NAT_DROP_FILTERED);
	struct net_endpoint peer = v4(12, 0, 0, 1, 80);
	assert_int_equal(nat_inbound(nat, 0, &peer, &to), NAT_INSIDE);
	nat_destroy(nat);
}

static void blocked_but_for_some(void **state)
{
	(void)state;
	struct nat_behaviour is = behaviour();
	is.blocked = true;
	is.allowed[1] = net_address_v4((uint8_t[]){12, 0, 0, 1});
	struct nat *nat = nat_create(&is, SEED);
	struct net_endpoint host = v4(192, 168, 1, 2, 5000);
	assert_int_equal(refused(nat, 0, host, v4(12, 0, 0, 2, 80)), NAT_DROP_BLOCKED);
	assert_int_equal(refused(nat, 0, v6(1, 2, 5000), v6(2, 2, 80)), NAT_DROP_BLOCKED);
	assert_int_equal(sent(nat, 0, host, v4(12, 0, 0, 1, 80)), 5000);
	assert_string_equal(nat_verdict_name(NAT_DROP_BLOCKED), "blocked");
	nat_destroy(nat);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(maps_as_it_says),
		cmocka_unit_test(filters_as_it_says),
		cmocka_unit_test(preserves_ports_where_it_can),
		cmocka_unit_test(allocates_in_sequence),
		cmocka_unit_test(allocates_by_chance_in_its_range),
		cmocka_unit_test(keeps_to_a_block),
		cmocka_unit_test(sessions_end_when_their_time_is_over),
		cmocka_unit_test(a_mapping_lives_as_long_as_its_sessions),
		cmocka_unit_test(has_a_cap_on_sessions),
		cmocka_unit_test(hairpin_shows_the_outside_address),
		cmocka_unit_test(rebinding_changes_every_port),
		cmocka_unit_test(ipv6_is_filtered_and_never_translated),
		cmocka_unit_test(a_firewall_translates_nothing),
		cmocka_unit_test(blocked_but_for_some),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
