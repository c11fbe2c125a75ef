// SPDX-License-Identifier: BSD-3-Clause
// Binding: what is answered, how, from where, and never with more than 1.4 times the request's IP
// bytes beyond the small allowance of a prefix.
#include "tests/unit/relay_world.h"

static const uint8_t transaction[12] = "0123456789ab";

struct request {
	uint8_t bytes[1200];
	uint16_t length;
};

static struct stun_builder begin(struct request *r)
{
	return stun_begin(r->bytes, sizeof(r->bytes), STUN_BINDING, STUN_REQUEST, transaction);
}

static void finish(struct request *r, struct stun_builder *b)
{
	r->length = (uint16_t)stun_finish(b);
	assert_int_not_equal(r->length, 0);
}

static struct frame ask(unsigned family, const struct request *r)
{
	return (struct frame){
		.source = endpoint(world_client[family], 40000),
		.destination = endpoint(world_server[family], 3478),
		.payload = r->bytes,
		.length = r->length,
	};
}

static struct stun_message reply(struct seen *s)
{
	struct stun_message m;
	*s = seen_one();
	assert_int_equal(s->checksum, SEEN_RIGHT);
	assert_int_equal(stun_parse(s->payload, s->h.payload_length, &m), 0);
	assert_int_equal(m.method, STUN_BINDING);
	assert_memory_equal(stun_transaction(&m), transaction, 12);
	// Back the way it came.
	assert_memory_equal(s->frame, world_gateway_mac, 6);
	assert_memory_equal(s->frame + 6, world_mac, 6);
	assert_int_equal(s->port, 0);
	return m;
}

static unsigned ip_bytes(unsigned family, unsigned stun)
{
	return (family ? 48 : 28) + stun;
}

static void assert_bounded(const struct seen *s, unsigned family, uint16_t request_length)
{
	assert_true(ip_bytes(family, s->h.payload_length) * 10 <=
		    ip_bytes(family, request_length) * 14);
}

static bool has(const struct stun_message *m, uint16_t type)
{
	struct stun_attribute a;
	return stun_find(m, type, &a);
}

static void assert_address(
	const struct stun_message *m, uint16_t type, const struct net_endpoint *want)
{
	struct stun_attribute a;
	assert_true(stun_find(m, type, &a));
	unsigned length = want->address.family == NET_IPV4 ? 4 : 16;
	assert_int_equal(a.length, 4 + length);
	assert_int_equal(a.value[2] << 8 | a.value[3], want->port);
	assert_memory_equal(a.value + 4, want->address.bytes, length);
}

static void success(void **state)
{
	(void)state;
	world_open();
	for (unsigned family = 0; family < 2; family++) {
		for (unsigned way = 0; way < 4; way++) {
			bool fingerprint = way & 1, tagged = way & 2;
			struct request r;
			struct stun_builder b = begin(&r);
			if (fingerprint)
				stun_add_fingerprint(&b);
			finish(&r, &b);
			struct frame f = ask(family, &r);
			f.vlan = tagged ? 99 : 0;
			run(&f);
			struct seen s;
			struct stun_message m = reply(&s);
			assert_int_equal(s.h.vlan, f.vlan);
			assert_int_equal(m.class, STUN_SUCCESS);
			assert_int_equal(m.has_fingerprint, fingerprint);
			struct stun_attribute a;
			struct net_endpoint mapped;
			assert_true(stun_find(&m, STUN_XOR_MAPPED_ADDRESS, &a));
			assert_int_equal(stun_read_xor_address(&m, &a, &mapped), 0);
			assert_endpoint(&mapped, &f.source);
			assert_endpoint(&s.source, &f.destination);
			assert_endpoint(&s.destination, &f.source);
			assert_bounded(&s, family, r.length);
			// Nothing else.
			size_t offset = 0;
			unsigned count = 0;
			while (stun_next(&m, &offset, &a))
				count++;
			assert_int_equal(count, 1 + fingerprint);
			world_clear();
		}
	}
	world_close();
}

static void unknown_attributes(void **state)
{
	(void)state;
	world_open();
	for (unsigned count = 1; count <= 20; count++) {
		struct request r;
		struct stun_builder b = begin(&r);
		for (unsigned i = 0; i < count; i++)
			stun_add(&b, (uint16_t)(0x7F00 + i), NULL, 0);
		finish(&r, &b);
		struct frame f = ask(count & 1, &r);
		run(&f);
		struct seen s;
		struct stun_message m = reply(&s);
		assert_int_equal(m.class, STUN_ERROR);
		struct stun_attribute a;
		unsigned code;
		assert_true(stun_find(&m, STUN_ERROR_CODE, &a));
		assert_int_equal(stun_read_error(&a, &code), 0);
		assert_int_equal(code, 420);
		assert_int_equal(a.length, 4);
		assert_true(stun_find(&m, STUN_UNKNOWN_ATTRIBUTES, &a));
		assert_int_equal(a.length, 2 * (count < 8 ? count : 8));
		assert_int_equal(a.value[0] << 8 | a.value[1], 0x7F00);
		assert_false(has(&m, STUN_XOR_MAPPED_ADDRESS));
		assert_bounded(&s, count & 1, r.length);
		world_clear();
	}
	world_close();
}

// With one address only, RFC 5780's attributes are unknown ones.
static void change_request_without_a_second_address(void **state)
{
	(void)state;
	world_open();
	struct request r;
	struct stun_builder b = begin(&r);
	stun_add_u32(&b, STUN_CHANGE_REQUEST, 6);
	finish(&r, &b);
	struct frame f = ask(0, &r);
	run(&f);
	struct seen s;
	struct stun_message m = reply(&s);
	assert_int_equal(m.class, STUN_ERROR);
	world_close();
}

static void change_request(void **state)
{
	(void)state;
	static const char *const other[2] = {"192.0.2.2", "2001:db8::2"};
	world_open_with(true, 16);
	for (unsigned family = 0; family < 2; family++) {
		for (uint32_t change = 0; change <= 6; change += 2) {
			struct request r;
			struct stun_builder b = begin(&r);
			stun_add_u32(&b, STUN_CHANGE_REQUEST, change);
			world.now += seconds(4); // the allowance is whole again
			finish(&r, &b);
			struct frame f = ask(family, &r);
			run(&f);
			struct seen s;
			struct stun_message m = reply(&s);
			assert_int_equal(m.class, STUN_SUCCESS);
			struct net_endpoint want =
				endpoint(change & 4 ? other[family] : world_server[family],
					change & 2 ? 3479 : 3478);
			assert_endpoint(&s.source, &want);
			assert_endpoint(&s.destination, &f.source);
			struct net_endpoint others = endpoint(other[family], 3479);
			assert_address(&m, STUN_OTHER_ADDRESS, &others);
			assert_address(&m, STUN_RESPONSE_ORIGIN, &want);
			world_clear();
		}
	}
	world_close();
}

// On the other address and port, "other" is where one came from.
static void other_address_of_the_other(void **state)
{
	(void)state;
	world_open_with(true, 16);
	struct request r;
	struct stun_builder b = begin(&r);
	stun_add(&b, STUN_PADDING, (uint8_t[256]){0}, 256);
	finish(&r, &b);
	struct frame f = ask(0, &r);
	f.destination = endpoint("192.0.2.2", 3479);
	run(&f);
	struct seen s;
	struct stun_message m = reply(&s);
	struct net_endpoint other = endpoint("192.0.2.1", 3478);
	assert_address(&m, STUN_OTHER_ADDRESS, &other);
	assert_address(&m, STUN_RESPONSE_ORIGIN, &f.destination);
	assert_endpoint(&s.source, &f.destination);
	assert_bounded(&s, 0, r.length);
	assert_false(has(&m, STUN_PADDING));
	world_close();
}

static void response_port(void **state)
{
	(void)state;
	world_open_with(true, 16);
	struct request r;
	struct stun_builder b = begin(&r);
	stun_add(&b, STUN_RESPONSE_PORT, (uint8_t[]){0x12, 0x34}, 2);
	finish(&r, &b);
	struct frame f = ask(0, &r);
	run(&f);
	struct seen s;
	reply(&s);
	assert_int_equal(s.destination.port, 0x1234);
	world_clear();
	b = begin(&r);
	stun_add(&b, STUN_RESPONSE_PORT, (uint8_t[]){0x12, 0x34}, 2);
	stun_add(&b, STUN_PADDING, "....", 4);
	finish(&r, &b);
	f = ask(0, &r);
	run(&f);
	struct stun_message m = reply(&s);
	assert_int_equal(m.class, STUN_ERROR);
	assert_int_equal(s.destination.port, 40000);
	world_close();
}

// A bare request may be told of both addresses, which is 1.75 times its size, only as long as its
// prefix has not had more than the allowance: over any time a prefix gets 1.4 times what it sent
// and an allowance.
static void bare_requests_share_an_allowance(void **state)
{
	(void)state;
	world_open_with(true, 16);
	for (unsigned family = 0; family < 2; family++) {
		struct request r;
		struct stun_builder b = begin(&r);
		finish(&r, &b);
		struct frame f = ask(family, &r);
		unsigned sent = 0, got = 0, told = 0;
		for (unsigned i = 0; i < 500; i++) {
			f.source.port = (uint16_t)(1000 + i);
			world.now += seconds(1) / 100;
			run(&f);
			struct seen s;
			struct stun_message m = reply(&s);
			if (i == 0)
				assert_true(has(&m, STUN_RESPONSE_ORIGIN));
			told += has(&m, STUN_OTHER_ADDRESS);
			sent += ip_bytes(family, r.length);
			got += ip_bytes(family, s.h.payload_length);
			assert_true(got * 10 <=
				    sent * 14 + (GUARD_EXCESS_BURST +
							GUARD_EXCESS_BYTES * (i / 100 + 1)) *
							10);
			world_clear();
		}
		assert_true(told < 150);
	}
	world_close();
}

static void replies_have_a_budget(void **state)
{
	(void)state;
	world_open();
	struct request r;
	struct stun_builder b = begin(&r);
	finish(&r, &b);
	struct frame f = ask(0, &r);
	uint64_t bytes = 0;
	for (unsigned i = 0; i < 10000; i++) {
		// All of one /24.
		f.source.address.bytes[3] = (uint8_t)(1 + i % 250);
		run(&f);
		if (world.frame_count)
			bytes += world.frames[0].length - 14;
		world.frame_count = 0;
	}
	assert_true(bytes <= GUARD_REPLY_BYTES);
	assert_true(bytes > GUARD_REPLY_BYTES - 100);
	assert_true(world.workers[0].stats.drop[DROP_reply_budget] > 0);
	// Another prefix is not asked to pay; the budget comes back with time.
	world_clear();
	f.source.address.bytes[2]++;
	run(&f);
	assert_int_equal(world.frame_count, 1);
	f.source.address.bytes[2]--;
	world_clear();
	run(&f);
	assert_dropped(reply_budget);
	world.now += seconds(1);
	run(&f);
	assert_int_equal(world.frame_count, 1);
	world_close();
}

static void not_answered(void **state)
{
	(void)state;
	world_open();
	struct request r;
	struct stun_builder b = begin(&r);
	finish(&r, &b);
	struct frame f = ask(0, &r);
	f.checksum = FRAME_WRONG;
	run(&f);
	assert_dropped(bad_checksum);
	// An absent one is fine over IPv4, a partial one is what a local sender's looks like.
	f.checksum = FRAME_ABSENT;
	run(&f);
	assert_int_equal(world.frame_count, 1);
	world_clear();
	f.checksum = FRAME_PARTIAL;
	run(&f);
	assert_int_equal(world.frame_count, 1);
	world_clear();
	struct frame v6 = ask(1, &r);
	v6.checksum = FRAME_ABSENT;
	run(&v6);
	assert_dropped(bad_checksum);
	f = ask(0, &r);
	r.bytes[4] ^= 1; // the cookie
	run(&f);
	assert_dropped(stun_malformed);
	// Indications and responses.
	b = stun_begin(r.bytes, sizeof(r.bytes), STUN_BINDING, STUN_INDICATION, transaction);
	finish(&r, &b);
	f = ask(0, &r);
	run(&f);
	assert_dropped(stun_unexpected);
	b = stun_begin(r.bytes, sizeof(r.bytes), STUN_BINDING, STUN_SUCCESS, transaction);
	finish(&r, &b);
	f = ask(0, &r);
	run(&f);
	assert_dropped(stun_unexpected);
	// Sources nobody can answer to, or ourselves.
	b = begin(&r);
	finish(&r, &b);
	static const char *const bad[] = {"192.0.2.1", "127.0.0.1", "224.0.0.1", "0.0.0.0",
		"255.255.255.255", "2001:db8::1", "ff02::1", "::", "::1", "::ffff:10.0.0.1"};
	for (unsigned i = 0; i < RTE_DIM(bad); i++) {
		f = ask(i >= 5, &r);
		f.source = endpoint(bad[i], 40000);
		run(&f);
		assert_dropped(bad_relayed_source);
	}
	f = ask(0, &r);
	f.source.port = 0;
	run(&f);
	assert_dropped(bad_relayed_source);
	world_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(success),
		cmocka_unit_test(unknown_attributes),
		cmocka_unit_test(change_request_without_a_second_address),
		cmocka_unit_test(change_request),
		cmocka_unit_test(other_address_of_the_other),
		cmocka_unit_test(response_port),
		cmocka_unit_test(bare_requests_share_an_allowance),
		cmocka_unit_test(replies_have_a_budget),
		cmocka_unit_test(not_answered),
	};
	return cmocka_run_group_tests(tests, world_setup, NULL);
}
