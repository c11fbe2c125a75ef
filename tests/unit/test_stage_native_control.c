// SPDX-License-Identifier: BSD-3-Clause
// Control messages of the native protocol on the worker: who gets a challenge, what goes to the
// control plane and with which context, what is dropped, and that nobody who has proven nothing is
// ever sent more than he sent.
#include "tests/unit/native_world.h"

// ---- messages of every type that clients send, with fields that parse ----

static uint8_t filler[1024];

static size_t message_of(enum native_type type, const uint8_t *cookie, uint8_t out[static 2048])
{
	switch (type) {
	case NATIVE_SOLICIT:
		return native_solicit_build(out, 2048, &(struct native_solicit){transaction});
	case NATIVE_REGISTER:
		return native_register_build(out, 2048,
			&(struct native_register){.transaction = transaction,
				.cookie = cookie,
				.lifetime = 600,
				.epoch = 498000,
				.device = filler,
				.address = filler,
				.key = filler});
	case NATIVE_OPEN:
		return native_open_build(out, 2048,
			&(struct native_open){.transaction = transaction,
				.cookie = cookie,
				.open_id = filler,
				.caller = filler,
				.callee = filler + 32,
				.key = filler,
				.ephemeral = filler,
				.sealed = filler,
				.sealed_size = 100});
	case NATIVE_ACCEPT:
		return native_accept_build(out, 2048,
			&(struct native_accept){.transaction = transaction,
				.cookie = cookie,
				.open_id = filler,
				.callee = filler,
				.key = filler,
				.ephemeral = filler,
				.accept = true,
				.ticket = filler,
				.sealed = filler,
				.sealed_size = 100});
	case NATIVE_KEEPALIVE:
		return native_keepalive_build(out, 2048,
			&(struct native_keepalive){.transaction = transaction, .cookie = cookie});
	case NATIVE_PATH_RESPONSE:
		return native_path_response_build(out, 2048,
			&(struct native_path_response){.transaction = transaction,
				.handle = {1, 2},
				.token = cookie,
				.proof = filler});
	case NATIVE_CLOSE:
		return native_close_build(out, 2048,
			&(struct native_close){
				.transaction = transaction, .handle = {1, 2}, .proof = filler});
	default:
		return 0;
	}
}

static const enum native_type requests[] = {NATIVE_REGISTER, NATIVE_OPEN, NATIVE_ACCEPT};

static uint8_t message[2048];
static const uint8_t no_cookie[12];

// ---- challenges ----

static void solicit_is_challenged(void **state)
{
	(void)state;
	native_open();
	for (unsigned family = 0; family < 2; family++) {
		struct net_endpoint from = party(CALLER, family);
		size_t size = message_of(NATIVE_SOLICIT, NULL, message);
		send_from(&from, message, size);
		assert_int_equal(world.workers[0].stats.event[EVENT_native_challenges], 1);
		assert_challenged(&from, transaction);
		// With a tag the answer has it too.
		struct frame f = native_frame(&from, message, size);
		f.vlan = 42;
		run(&f);
		assert_int_equal(world.frames[0].bytes[15], 42);
		assert_challenged(&from, transaction);
		// What is sent as zeros has to be.
		message[39] = 1;
		send_from(&from, message, size);
		assert_dropped(native_malformed);
		f = native_frame(&from, message, size);
		message[39] = 0;
		f.checksum = FRAME_WRONG;
		run(&f);
		assert_dropped(bad_checksum);
	}
	world_close();
}

// Without a good cookie: CHALLENGE, whatever else is wrong with the message, and nothing further.
static void wrong_cookies(void **state)
{
	(void)state;
	native_open();
	struct net_endpoint from = party(CALLER, 0), other = moved(from), v6 = party(CALLER, 1);
	for (unsigned i = 0; i < RTE_DIM(requests) + 1; i++) {
		enum native_type type = i < RTE_DIM(requests) ? requests[i] : NATIVE_KEEPALIVE;
		uint8_t cookie[12];
		size_t size = message_of(type, no_cookie, message);
		send_from(&from, message, size);
		assert_challenged(&from, transaction);
		// Of another source.
		cookie_of(&other, cookie);
		size = message_of(type, cookie, message);
		send_from(&from, message, size);
		assert_challenged(&from, transaction);
		send_from(&v6, message, size);
		assert_challenged(&v6, transaction);
		// Forged.
		cookie_of(&from, cookie);
		cookie[11] ^= 1;
		size = message_of(type, cookie, message);
		send_from(&from, message, size);
		assert_challenged(&from, transaction);
		// Too old.
		cookie_of(&from, cookie);
		size = message_of(type, cookie, message);
		uint64_t now = world.now;
		world.now += seconds(NATIVE_CONTROL_COOKIE_S + 1);
		send_from(&from, message, size);
		assert_challenged(&from, transaction);
		world.now = now;
		assert_int_equal(world.native_punt_count, 0);
		// And a good one is.
		send_from(&from, message, size);
		if (type == NATIVE_KEEPALIVE)
			assert_int_equal(world.frame_count, 1);
		else
			assert_int_equal(world.native_punt_count, 1);
		world_clear();
	}
	world_close();
}

static void unknown_versions(void **state)
{
	(void)state;
	native_open();
	struct net_endpoint from = party(CALLER, 1);
	size_t size = message_of(NATIVE_SOLICIT, NULL, message);
	for (unsigned version = 0; version < 256; version++) {
		if (version == NATIVE_VERSION)
			continue;
		message[1] = (uint8_t)version;
		send_from(&from, message, size);
		struct seen s = answer_to(&from);
		struct native_unsupported u;
		assert_int_equal(native_unsupported_parse(s.payload, s.h.payload_length, &u), 0);
		assert_memory_equal(u.transaction, transaction, 8);
		assert_int_equal(u.lowest, 1);
		assert_int_equal(u.highest, 1);
		assert_int_equal(world.workers[0].stats.event[EVENT_native_unsupported], 1);
		world_clear();
		send_from(&from, message, NATIVE_REQUEST_MIN - 1);
		assert_dropped(native_malformed);
	}
	world_close();
}

static void unknown_types(void **state)
{
	(void)state;
	native_open();
	struct net_endpoint from = party(CALLER, 0);
	for (unsigned type = 0; type < 256; type++) {
		if (message_of((enum native_type)type, no_cookie, message))
			continue;
		message_of(NATIVE_SOLICIT, NULL, message);
		message[2] = (uint8_t)type;
		send_from(&from, message, 40);
		assert_dropped(native_type);
	}
	world_close();
}

static void not_served(void **state)
{
	(void)state;
	native_open();
	world.native.served = false;
	struct net_endpoint from = party(CALLER, 0);
	for (uint8_t first = NATIVE_FIRST_CONTROL; first <= NATIVE_FIRST_HANDLE; first++) {
		size_t size = message_of(NATIVE_SOLICIT, NULL, message);
		message[0] = first;
		send_from(&from, message, size);
		assert_dropped(native_off);
	}
	world_close();
}

// ---- requests with a good cookie ----

static size_t request_of(
	enum native_type type, const struct net_endpoint *from, unsigned address, unsigned device)
{
	uint8_t cookie[12];
	cookie_of(from, cookie);
	address_of(address, filler);
	size_t size = message_of(type, cookie, message);
	// REGISTER: cookie, lifetime, epoch, device.
	if (type == NATIVE_REGISTER)
		device_of(device, message + 32);
	return size;
}

static void assert_punted(const struct net_endpoint *from, size_t size, unsigned flags)
{
	uint8_t cookie[12];
	struct net_endpoint server = server_of(from->address.family == NET_IPV6);
	assert_int_equal(world.native_punt_count, 1);
	assert_int_equal(world.frame_count, 0);
	assert_endpoint(&world.native_punt.source, from);
	assert_endpoint(&world.native_punt.destination, &server);
	assert_int_equal(world.native_punt.flags, flags);
	assert_int_equal(world.punt_headers.payload_length, size);
	assert_int_equal(world.native_punt.issued, cookie_issued(message + 12));
	cookie_of(from, cookie);
	assert_memory_equal(world.native_punt.cookie, cookie, 12);
	if (flags & API_NATIVE_PUNT_KNOWN) {
		assert_true(world.native_punt.remaining_ms <= 60010); // whole ticks
		assert_true(world.native_punt.remaining_ms >= 59000);
	} else {
		assert_int_equal(world.native_punt.remaining_ms, 0);
	}
	world_clear();
}

static void requests_are_punted(void **state)
{
	(void)state;
	native_open();
	for (unsigned family = 0; family < 2; family++) {
		struct net_endpoint from = party(CALLER, family), other = moved(from);
		unsigned address = family;
		for (unsigned i = 0; i < RTE_DIM(requests); i++) {
			size_t size = request_of(requests[i], &from, address + 8, 0);
			send_from(&from, message, size);
			assert_punted(&from, size, 0);
		}
		lease(address, 0, &from);
		lease(address, 1, &other);
		for (unsigned i = 0; i < RTE_DIM(requests); i++) {
			bool is_register = requests[i] == NATIVE_REGISTER;
			unsigned known = is_register ? API_NATIVE_PUNT_KNOWN : 0;
			size_t size = request_of(requests[i], &from, address, 0);
			send_from(&from, message, size);
			assert_punted(&from, size, API_NATIVE_PUNT_HERE | known);
			// From a place that no device of the address is at.
			struct net_endpoint nowhere = moved(other);
			size = request_of(requests[i], &nowhere, address, 0);
			send_from(&nowhere, message, size);
			assert_punted(&nowhere, size, known);
			// A device that is not known, from one that is.
			size = request_of(requests[i], &other, address, 7);
			send_from(&other, message, size);
			assert_punted(&other, size, API_NATIVE_PUNT_HERE);
		}
	}
	// When the leases' time has come, nothing is known any more.
	world.now += seconds(61);
	struct net_endpoint from = party(CALLER, 0);
	size_t size = request_of(NATIVE_REGISTER, &from, 0, 0);
	send_from(&from, message, size);
	assert_punted(&from, size, 0);
	world_close();
}

// A cookie that is issued later is newer, and that is what the control plane is told.
static void issued_grows(void **state)
{
	(void)state;
	native_open();
	struct net_endpoint from = party(CALLER, 0);
	size_t size = request_of(NATIVE_REGISTER, &from, 0, 0);
	send_from(&from, message, size);
	uint32_t first = world.native_punt.issued;
	world_clear();
	world.now += seconds(1);
	send_from(&from, message, size);
	assert_int_equal(world.native_punt.issued, first);
	assert_true(cookie_newer(cookie_issued(world.native_punt.cookie), first));
	world_clear();
	size = request_of(NATIVE_REGISTER, &from, 0, 0);
	send_from(&from, message, size);
	assert_true(cookie_newer(world.native_punt.issued, first));
	world_close();
}

// With a good cookie a message that is none is refused by the worker; the control plane never sees
// it.
static void malformed_requests_are_refused(void **state)
{
	(void)state;
	native_open();
	struct net_endpoint from = party(CALLER, 0);
	for (unsigned i = 0; i < RTE_DIM(requests); i++) {
		size_t size = request_of(requests[i], &from, 0, 0);
		for (size_t length = NATIVE_REQUEST_MIN; length <= size + 1; length++) {
			if (length == size)
				continue;
			send_from(&from, message, length);
			struct seen s = answer_to(&from);
			struct native_refused r;
			assert_int_equal(
				native_refused_parse(s.payload, s.h.payload_length, &r), 0);
			assert_int_equal(r.reason, NATIVE_REFUSED_MALFORMED);
			assert_memory_equal(r.transaction, transaction, 8);
			world_clear();
		}
		assert_int_equal(world.native_punt_count, 0);
	}
	world_close();
}

static void punts_have_a_budget(void **state)
{
	(void)state;
	native_open();
	static const struct api_guard_limits limits = {
		.reply_bytes = 1000,
		.punts = 10,
		.punts_with_allocation = 30 * GUARD_SIGNED_OF_PREFIX,
		.punts_total = 40000,
		.new_allocations = 1000,
	};
	guard_limits_set(world.workers[0].guard, &limits, 1);
	struct net_endpoint from = party(CALLER, 0), here = party(CALLEE, 0);
	size_t size = request_of(NATIVE_REGISTER, &from, 0, 0);
	for (unsigned i = 0; i < 50; i++)
		send_from(&from, message, size);
	assert_int_equal(world.native_punt_count, 10);
	assert_int_equal(world.workers[0].stats.drop[DROP_punt_budget], 40);
	world_clear();
	lease(0, 0, &here);
	size = request_of(NATIVE_OPEN, &here, 0, 0);
	for (unsigned i = 0; i < 50; i++)
		send_from(&here, message, size);
	assert_int_equal(world.native_punt_count, 30);
	world_clear();
	// Challenges: 64 bytes of IP each out of 1,000.
	size = message_of(NATIVE_SOLICIT, NULL, message);
	for (unsigned i = 0; i < 50; i++)
		send_from(&from, message, size);
	assert_int_equal(world.frame_count, 1000 / (28 + 36));
	assert_int_equal(world.workers[0].stats.drop[DROP_reply_budget], 50 - 1000 / 64);
	world_close();
}

// ---- what a stranger gets ----

static unsigned ip_bytes(const struct headers *h)
{
	return (unsigned)(h->l4_offset - h->l3_offset) + h->l4_length;
}

// Sends it and looks at everything that comes out: nothing to anybody else, and not more than came.
static void stranger_sends(const struct net_endpoint *from, const uint8_t *bytes, uint16_t size)
{
	unsigned headers = from->address.family == NET_IPV4 ? 28 : 48, out = 0;
	world_clear();
	send_from(from, bytes, size);
	for (unsigned i = 0; i < world.frame_count; i++) {
		struct seen s = seen_at(i);
		assert_endpoint(&s.destination, from);
		out += ip_bytes(&s.h);
	}
	if (out > headers + size)
		fail_msg("%u bytes for %u: first bytes %02x %02x %02x", out, headers + size,
			bytes[0], bytes[1], bytes[2]);
	assert_int_equal(world.punt_count + world.native_punt_count, 0);
}

// All types, as they are and cut or grown to every length, from somebody who shows no good cookie:
// random bytes, those of another source, and handles that exist.
static void amplification_is_at_most_one(void **state)
{
	(void)state;
	native_open();
	struct net_endpoint ends[2] = {party(CALLER, 0), party(CALLEE, 1)};
	struct pair pair = pair_open(&ends[0], &ends[1]);
	lease(0, 0, &ends[0]);
	lease(0, 1, &ends[1]);
	address_of(0, filler);
	for (unsigned family = 0; family < 2; family++) {
		struct net_endpoint from = moved(party(CALLER, family));
		uint8_t cookie[12];
		cookie_of(&ends[0], cookie);
		for (unsigned type = 0; type <= NATIVE_UNSUPPORTED + 1; type++) {
			memset(message, 0, sizeof(message));
			if (!message_of((enum native_type)type, cookie, message)) {
				message_of(NATIVE_KEEPALIVE, cookie, message);
				message[2] = (uint8_t)type;
			}
			if (type == NATIVE_KEEPALIVE)
				native_handle_write(message + 24, &pair.handle[0]);
			else if (type == NATIVE_PATH_RESPONSE || type == NATIVE_CLOSE)
				native_handle_write(message + 12, &pair.handle[0]);
			for (uint16_t size = 1; size <= 700; size++) {
				stranger_sends(&from, message, size);
				// So that it is never the budget that says no.
				world.now += seconds(1) / 1000;
			}
			message[1] = 2;
			for (uint16_t size = 1; size <= 60; size++)
				stranger_sends(&from, message, size);
		}
		for (uint16_t size = 0; size <= 300; size++) {
			data_make(message, &pair.handle[0], filler, 400);
			stranger_sends(&from, message, size);
			const struct native_by_address data = {
				3, cookie, filler, filler, sizeof(filler)};
			native_by_address_build(message, sizeof(message), &data);
			stranger_sends(&from, message, size);
			world.now += seconds(1) / 100;
		}
		for (unsigned i = 0; i < 5000; i++) {
			randombytes_buf(message, sizeof(message));
			message[0] = (uint8_t)(4 + i % 3);
			if (i & 8)
				message[1] = i % 3 == 2 ? 0 : 1;
			if (i & 16)
				message[2] = (uint8_t)(1 + i % 16);
			message[3] = 0;
			stranger_sends(&from, message, (uint16_t)(randombytes_uniform(1300)));
			world.now += seconds(1) / 100;
		}
	}
	world_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(solicit_is_challenged),
		cmocka_unit_test(wrong_cookies),
		cmocka_unit_test(unknown_versions),
		cmocka_unit_test(unknown_types),
		cmocka_unit_test(not_served),
		cmocka_unit_test(requests_are_punted),
		cmocka_unit_test(issued_grows),
		cmocka_unit_test(malformed_requests_are_refused),
		cmocka_unit_test(punts_have_a_budget),
		cmocka_unit_test(amplification_is_at_most_one),
	};
	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, world_setup, NULL);
}
