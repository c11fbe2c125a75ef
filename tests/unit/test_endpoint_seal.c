// SPDX-License-Identifier: BSD-3-Clause
// What is sealed end to end: offers, answers, frames, messages by address. Every byte counts, every
// replay is seen, and each only opens where it belongs.
#include "endpoint/seal.h"
#include "tests/unit/endpoint_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct seal_identity alice, bob, carol;
static const char binding[] = "call 1, address 2";

static int begin(void **state)
{
	(void)state;
	uint8_t space[32] = {1}, seed[32];
	randombytes_buf(seed, sizeof(seed));
	seal_identity_make(&alice, space, seed);
	randombytes_buf(seed, sizeof(seed));
	seal_identity_make(&bob, space, seed);
	randombytes_buf(seed, sizeof(seed));
	seal_identity_make(&carol, space, seed);
	return 0;
}

static void offer(struct seal_handshake *h, uint8_t *out)
{
	uint8_t ephemeral[32];
	randombytes_buf(ephemeral, sizeof(ephemeral));
	assert_int_equal(seal_offer(h, &alice, &bob.public, binding, sizeof(binding), ephemeral,
				 "offer", 5, out),
		0);
}

static int open_offer(const struct seal_identity *self, const uint8_t *in, size_t size)
{
	struct seal_handshake h;
	struct endpoint_peer caller;
	uint8_t payload[64];
	return seal_offer_open(&h, self, binding, sizeof(binding), in, size, &caller, payload);
}

static void sessions(struct seal_session *a, struct seal_session *b)
{
	struct seal_handshake caller, callee;
	struct endpoint_peer from;
	uint8_t out[SEAL_OFFER_OVERHEAD + 5], back[SEAL_ANSWER_OVERHEAD + 6], payload[64];
	uint8_t ephemeral[32];

	offer(&caller, out);
	assert_int_equal(seal_offer_open(&callee, &bob, binding, sizeof(binding), out, sizeof(out),
				 &from, payload),
		0);
	assert_memory_equal(payload, "offer", 5);
	assert_memory_equal(&from, &alice.public, sizeof(from));
	randombytes_buf(ephemeral, sizeof(ephemeral));
	assert_int_equal(seal_answer(&callee, ephemeral, "answer", 6, back, b), 0);
	for (size_t i = 0; i < sizeof(back) * 8; i++) {
		back[i / 8] ^= (uint8_t)(1 << i % 8);
		// X25519 does not look at the highest bit of a coordinate, but the transcript does.
		assert_int_equal(seal_answer_open(&caller, &alice, back, sizeof(back), payload, a),
			-EBADMSG);
		back[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	for (size_t size = 0; size < sizeof(back); size++)
		assert_int_equal(
			seal_answer_open(&caller, &alice, back, size, payload, a), -EBADMSG);
	// Somebody with other keys cannot open it in the caller's place.
	assert_int_equal(
		seal_answer_open(&caller, &carol, back, sizeof(back), payload, a), -EBADMSG);
	assert_int_equal(seal_answer_open(&caller, &alice, back, sizeof(back), payload, a), 0);
	assert_memory_equal(payload, "answer", 6);
}

static void offers(void **state)
{
	(void)state;
	uint8_t out[SEAL_OFFER_OVERHEAD + 5];
	struct seal_handshake h;
	offer(&h, out);
	assert_int_equal(open_offer(&bob, out, sizeof(out)), 0);
	assert_int_equal(open_offer(&carol, out, sizeof(out)), -EBADMSG);
	assert_int_equal(open_offer(&alice, out, sizeof(out)), -EBADMSG);
	for (size_t i = 0; i < sizeof(out) * 8; i++) {
		out[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(open_offer(&bob, out, sizeof(out)), -EBADMSG);
		out[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	for (size_t size = 0; size < sizeof(out); size++)
		assert_int_equal(open_offer(&bob, out, size), -EBADMSG);
	// Bound to what it was made for, and to the namespace.
	struct endpoint_peer caller;
	uint8_t payload[64];
	assert_int_equal(seal_offer_open(&h, &bob, "other", 5, out, sizeof(out), &caller, payload),
		-EBADMSG);
	struct seal_identity elsewhere = bob;
	elsewhere.public.namespace_id[31] ^= 1;
	assert_int_equal(open_offer(&elsewhere, out, sizeof(out)), -EBADMSG);
	// Keys that are none.
	struct endpoint_peer bad = bob.public;
	memset(bad.delivery_key, 0, 32);
	assert_int_equal(seal_offer(NULL, &alice, &bad, NULL, 0, out, NULL, 0, out), -EINVAL);
}

static void frames(void **state)
{
	(void)state;
	struct seal_session a, b;
	uint8_t frame[SEAL_FRAME_OVERHEAD + 4], payload[64];
	sessions(&a, &b);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(seal_frame(&a, "data", 4, frame), 0);
		for (size_t bit = 0; bit < sizeof(frame) * 8; bit++) {
			frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_true(seal_frame_open(&b, frame, sizeof(frame), payload) < 0);
			frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		for (size_t size = 0; size < sizeof(frame); size++)
			assert_true(seal_frame_open(&b, frame, size, payload) < 0);
		// Not what one said oneself.
		assert_int_equal(seal_frame_open(&a, frame, sizeof(frame), payload), -EBADMSG);
		assert_int_equal(seal_frame_open(&b, frame, sizeof(frame), payload), 0);
		assert_memory_equal(payload, "data", 4);
		assert_int_equal(seal_frame_open(&b, frame, sizeof(frame), payload), -EALREADY);
	}
	a.next = UINT64_MAX;
	assert_int_equal(seal_frame(&a, "data", 4, frame), -EOVERFLOW);
}

// The window against a list of everything seen.
static void window(void **state)
{
	(void)state;
	enum { COUNT = 20000 };
	static uint8_t frame[COUNT][SEAL_FRAME_OVERHEAD];
	static bool seen[COUNT];
	struct seal_session a, b;
	uint8_t nothing[1];
	uint64_t random = 99, highest = 0;
	sessions(&a, &b);
	for (unsigned i = 0; i < COUNT; i++)
		assert_int_equal(seal_frame(&a, "", 0, frame[i]), 0);
	for (unsigned i = 0, front = 0; i < 100000; i++) {
		if (world_random(&random) % 2000 == 0)
			front += 5000; // a gap larger than the window
		front += (unsigned)(world_random(&random) % 3);
		if (front >= COUNT)
			front = COUNT - 1;
		unsigned back = (unsigned)(world_random(&random) % 3000);
		unsigned number = back > front ? 0 : front - back;
		int result = seal_frame_open(&b, frame[number], sizeof(frame[0]), nothing);
		bool fresh =
			!seen[number] && (number >= highest || highest - number <= SEAL_WINDOW);
		if (result != (fresh ? 0 : -EALREADY))
			fail_msg("%u of %u: %d", number, (unsigned)highest, result);
		if (result == 0) {
			seen[number] = true;
			if (number >= highest)
				highest = number + 1u;
		}
	}
	assert_true(highest > COUNT / 2);
}

// ---- messages by address ----

static void messages(void **state)
{
	(void)state;
	static struct world w;
	world_begin(&w, 1);
	struct world_client *a = world_client_make(&w, 0), *b = world_client_make(&w, 1);
	uint8_t text[ENDPOINT_RAW_MAX + 1], address[32];
	memset(text, 1, sizeof(text)); // begins like a sealed one
	endpoint_peer_address(&b->peer, epoch_at(world_time(b).wall_s, 3600), address);
	assert_int_equal(
		endpoint_send_to_address(a->endpoint, address, "x", 1, world_time(a)), -ENOTCONN);
	endpoint_connect(a->endpoint, world_time(a)); // the sender need not be registered
	endpoint_register(b->endpoint, world_time(b));
	world_run(&w, 100);
	w.doubled = 100;
	assert_int_equal(
		endpoint_send_to_peer(a->endpoint, &b->peer, "hello", 5, world_time(a)), 0);
	world_run(&w, 100);
	assert_int_equal(world_count(b, ENDPOINT_MESSAGE), 1);
	struct world_event *event = world_find(b, 0, ENDPOINT_MESSAGE);
	assert_true(event->event.message.sealed);
	assert_int_equal(event->size, 5);
	assert_memory_equal(event->data, "hello", 5);
	assert_memory_equal(&event->from, &a->peer, sizeof(a->peer));
	w.doubled = 0;
	assert_int_equal(endpoint_send_to_peer(
				 a->endpoint, &b->peer, text, ENDPOINT_MESSAGE_MAX, world_time(a)),
		0);
	assert_int_equal(endpoint_send_to_peer(a->endpoint, &b->peer, text,
				 ENDPOINT_MESSAGE_MAX + 1, world_time(a)),
		-EMSGSIZE);
	assert_int_equal(endpoint_send_to_address(
				 a->endpoint, address, text, ENDPOINT_RAW_MAX, world_time(a)),
		0);
	assert_int_equal(endpoint_send_to_address(
				 a->endpoint, address, text, ENDPOINT_RAW_MAX + 1, world_time(a)),
		-EMSGSIZE);
	world_run(&w, 100);
	assert_int_equal(world_count(b, ENDPOINT_MESSAGE), 3);
	event = &b->events[b->event_count - 1];
	assert_int_equal(event->size, ENDPOINT_RAW_MAX);
	assert_false(event->event.message.sealed);
	assert_null(event->event.message.from);
	// After two minutes of silence the cookie is still young, thanks to keepalives.
	world_run(&w, 300000);
	assert_int_equal(endpoint_send_to_peer(a->endpoint, &b->peer, "late", 4, world_time(a)), 0);
	world_run(&w, 100);
	assert_int_equal(world_count(b, ENDPOINT_MESSAGE), 4);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(offers),
		cmocka_unit_test(frames),
		cmocka_unit_test(window),
		cmocka_unit_test(messages),
	};
	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, begin, NULL);
}
