// SPDX-License-Identifier: BSD-3-Clause
// Keeping a handle alive, moving one of its sides, closing it: who may, what each side gets, and
// what a replay is worth.
#include "tests/unit/native_world.h"

static uint8_t message[2048];
static const uint8_t no_cookie[12];
static const uint8_t voice[160] = {0x80, 0x60, 1, 2, 3};

// ---- messages ----

static void keepalive(
	const struct net_endpoint *from, const uint8_t *cookie, const struct native_handle *handle)
{
	const struct native_keepalive k = {
		.transaction = transaction,
		.cookie = cookie,
		.has_handle = handle != NULL,
		.handle = handle ? *handle : (struct native_handle){0, 0},
	};
	send_from(from, message, native_keepalive_build(message, sizeof(message), &k));
}

static void keepalive_with_cookie(
	const struct net_endpoint *from, const struct native_handle *handle)
{
	uint8_t cookie[12];
	cookie_of(from, cookie);
	keepalive(from, cookie, handle);
}

static uint32_t alive_to(const struct net_endpoint *from)
{
	struct seen s = answer_to(from);
	struct native_alive a;
	uint8_t cookie[12];
	assert_int_equal(native_alive_parse(s.payload, s.h.payload_length, &a), 0);
	assert_memory_equal(a.transaction, transaction, 8);
	assert_endpoint(&a.observed, from);
	cookie_of(from, cookie);
	assert_memory_equal(a.cookie, cookie, 12);
	world_clear();
	return a.left;
}

static void send_data(const struct net_endpoint *from, const struct native_handle *handle)
{
	send_from(from, message, data_make(message, handle, voice, sizeof(voice)));
}

static void assert_arrives(const struct pair *pair, unsigned way, const struct net_endpoint *from,
	const struct net_endpoint *to)
{
	send_data(from, &pair->handle[way]);
	struct seen s = answer_to(to);
	struct native_by_handle d;
	assert_int_equal(native_by_handle_parse(s.payload, s.h.payload_length, &d), 0);
	assert_int_equal(d.handle.index, pair->handle[!way].index);
	assert_memory_equal(d.payload, voice, sizeof(voice));
	world_clear();
}

// What data from a strange place is asked.
static void path_challenge_for(const struct net_endpoint *from, const struct native_handle *handle,
	uint8_t token[static 12])
{
	send_data(from, handle);
	struct seen s = answer_to(from);
	struct native_path_challenge c;
	assert_int_equal(native_path_challenge_parse(s.payload, s.h.payload_length, &c), 0);
	memcpy(token, c.token, 12);
	world_clear();
}

static size_t path_response(const struct native_handle *handle, const uint8_t *token,
	const uint8_t *key, uint8_t out[static 64])
{
	uint8_t proof[16];
	struct native_path_response r = {transaction, *handle, token, proof};
	native_path_response_proof(proof, key, &r);
	return native_path_response_build(out, 64, &r);
}

static size_t close_message(
	const struct native_handle *handle, const uint8_t *key, uint8_t out[static 64])
{
	uint8_t proof[16];
	struct native_close c = {transaction, *handle, proof};
	native_close_proof(proof, key, &c);
	return native_close_build(out, 64, &c);
}

static void assert_closed(unsigned frame, const struct net_endpoint *to, const struct pair *pair,
	unsigned side, enum native_close_reason reason, const uint8_t *want_transaction)
{
	struct seen s = seen_at(frame);
	struct net_endpoint server = server_of(to->address.family == NET_IPV6);
	struct native_closed c;
	uint8_t proof[16];
	assert_endpoint(&s.source, &server);
	assert_endpoint(&s.destination, to);
	assert_int_equal(s.checksum, SEEN_RIGHT);
	assert_int_equal(native_closed_parse(s.payload, s.h.payload_length, &c), 0);
	assert_int_equal(c.handle.index, pair->handle[side].index);
	assert_int_equal(c.handle.generation, pair->handle[side].generation);
	assert_int_equal(c.reason, reason);
	assert_memory_equal(c.transaction, want_transaction, 8);
	native_closed_proof(proof, pair->key[side], &c);
	assert_memory_equal(c.proof, proof, 16);
}

// ---- keepalives ----

static void without_a_handle(void **state)
{
	(void)state;
	native_open();
	for (unsigned family = 0; family < 2; family++) {
		struct net_endpoint from = party(CALLER, family);
		keepalive_with_cookie(&from, NULL);
		assert_int_equal(alive_to(&from), 0);
		// A handle that is none costs nothing and gains nothing.
		keepalive_with_cookie(&from, &(struct native_handle){7, 3});
		assert_int_equal(alive_to(&from), 0);
		keepalive_with_cookie(&from, &(struct native_handle){7, 70000});
		assert_int_equal(alive_to(&from), 0);
	}
	world_close();
}

static void puts_the_deadline_off(void **state)
{
	(void)state;
	native_open();
	struct net_endpoint ends[2] = {party(CALLER, 0), party(CALLEE, 1)};
	struct pair pair = pair_open(&ends[0], &ends[1]);
	for (unsigned i = 0; i < 5; i++) {
		world.now += seconds(50);
		// The other one's keeps its own side only.
		keepalive_with_cookie(&ends[1], &pair.handle[1]);
		world_clear();
		keepalive_with_cookie(&ends[0], &pair.handle[0]);
		uint32_t left = alive_to(&ends[0]);
		assert_true(left >= 60 && left <= 61);
		assert_arrives(&pair, 0, &ends[0], &ends[1]);
	}
	// Without a good cookie: a challenge, and the deadline stays.
	world.now += seconds(50);
	keepalive(&ends[0], no_cookie, &pair.handle[0]);
	assert_challenged(&ends[0], transaction);
	world.now += seconds(11);
	send_data(&ends[0], &pair.handle[0]);
	assert_dropped(handle_unknown);
	keepalive_with_cookie(&ends[0], &pair.handle[0]);
	assert_int_equal(alive_to(&ends[0]), 0);
	world_close();
}

// The handle is looked at before the cookie: who has moved is asked at once.
static void keepalive_from_elsewhere(void **state)
{
	(void)state;
	native_open();
	struct net_endpoint ends[2] = {party(CALLER, 0), party(CALLEE, 1)}, other = moved(ends[0]);
	struct pair pair = pair_open(&ends[0], &ends[1]);
	for (unsigned i = 0; i < 2; i++) {
		if (i == 0)
			keepalive(&other, no_cookie, &pair.handle[0]);
		else
			keepalive_with_cookie(&other, &pair.handle[0]);
		struct seen s = answer_to(&other);
		struct native_path_challenge c;
		assert_int_equal(native_path_challenge_parse(s.payload, s.h.payload_length, &c), 0);
		assert_memory_equal(c.transaction, transaction, 8);
		assert_int_equal(c.handle.index, pair.handle[0].index);
		world_clear();
	}
	assert_arrives(&pair, 1, &ends[1], &ends[0]);
	world_close();
}

// ---- moves ----

// To another port, another address and another family; each time everything goes to and from the
// new place, and the old one is a stranger's.
static void moves(void **state)
{
	(void)state;
	native_open();
	struct net_endpoint ends[2] = {party(CALLER, 0), party(CALLEE, 0)};
	struct pair pair = pair_open(&ends[0], &ends[1]);
	const struct net_endpoint places[] = {moved(ends[0]), endpoint("198.51.100.99", 1234),
		party(CALLER, 1), endpoint("2001:db8:c::99", 4321), ends[0]};
	uint8_t token[12], response[64];
	assert_arrives(&pair, 0, &ends[0], &ends[1]);
	assert_arrives(&pair, 1, &ends[1], &ends[0]);
	for (unsigned i = 0; i < RTE_DIM(places); i++) {
		struct net_endpoint before = ends[0];
		world.now += seconds(1);
		ends[0] = places[i];
		path_challenge_for(&ends[0], &pair.handle[0], token);
		size_t size = path_response(&pair.handle[0], token, pair.key[0], response);
		send_from(&ends[0], response, size);
		assert_int_equal(world.workers[0].stats.event[EVENT_paths_moved], 1);
		assert_true(alive_to(&ends[0]) >= 60);
		for (unsigned again = 0; again < 2; again++) {
			assert_arrives(&pair, 0, &ends[0], &ends[1]);
			assert_arrives(&pair, 1, &ends[1], &ends[0]);
		}
		uint8_t ignored[12];
		path_challenge_for(&before, &pair.handle[0], ignored);
		// Its answer was lost: the same again, and nothing changes.
		send_from(&ends[0], response, size);
		assert_true(alive_to(&ends[0]) >= 60);
		assert_arrives(&pair, 1, &ends[1], &ends[0]);
	}
	// The other side moves too.
	uint8_t other_response[64];
	ends[1] = party(CALLEE, 1);
	path_challenge_for(&ends[1], &pair.handle[1], token);
	send_from(&ends[1], other_response,
		path_response(&pair.handle[1], token, pair.key[1], other_response));
	alive_to(&ends[1]);
	assert_arrives(&pair, 0, &ends[0], &ends[1]);
	assert_arrives(&pair, 1, &ends[1], &ends[0]);
	world_close();
}

// A recorded PATH_RESPONSE moves nothing back, even from the place it came from.
static void old_response_after_a_newer_move(void **state)
{
	(void)state;
	native_open();
	struct net_endpoint ends[2] = {party(CALLER, 0), party(CALLEE, 0)};
	struct net_endpoint first = moved(ends[0]), second = moved(first);
	struct pair pair = pair_open(&ends[0], &ends[1]);
	uint8_t token[12], old[64], newer[64];
	path_challenge_for(&first, &pair.handle[0], token);
	size_t size = path_response(&pair.handle[0], token, pair.key[0], old);
	send_from(&first, old, size);
	alive_to(&first);
	world.now += seconds(1);
	path_challenge_for(&second, &pair.handle[0], token);
	send_from(&second, newer, path_response(&pair.handle[0], token, pair.key[0], newer));
	alive_to(&second);
	send_from(&first, old, size);
	assert_dropped(path_old);
	assert_arrives(&pair, 1, &ends[1], &second);
	// From anywhere else its token is another place's.
	send_from(&ends[0], old, size);
	assert_dropped(path_token);
	assert_arrives(&pair, 1, &ends[1], &second);
	world_close();
}

// Two challenges in one tick are equal: the second response to arrive is no newer.
static void challenges_of_one_tick(void **state)
{
	(void)state;
	native_open();
	struct net_endpoint ends[2] = {party(CALLER, 0), party(CALLEE, 0)};
	struct net_endpoint first = moved(ends[0]), second = moved(first);
	struct pair pair = pair_open(&ends[0], &ends[1]);
	uint8_t tokens[2][12], response[64];
	path_challenge_for(&first, &pair.handle[0], tokens[0]);
	path_challenge_for(&second, &pair.handle[0], tokens[1]);
	send_from(&second, response,
		path_response(&pair.handle[0], tokens[1], pair.key[0], response));
	alive_to(&second);
	send_from(
		&first, response, path_response(&pair.handle[0], tokens[0], pair.key[0], response));
	assert_dropped(path_old);
	assert_arrives(&pair, 1, &ends[1], &second);
	world_close();
}

static void what_does_not_move(void **state)
{
	(void)state;
	native_open();
	struct net_endpoint ends[2] = {party(CALLER, 0), party(CALLEE, 0)}, other = moved(ends[0]);
	struct pair pair = pair_open(&ends[0], &ends[1]);
	uint8_t token[12], response[64];
	path_challenge_for(&other, &pair.handle[0], token);
	// Without the key: none, the peer's, one of its bits.
	uint8_t wrong[16] = {0};
	size_t size = path_response(&pair.handle[0], token, wrong, response);
	send_from(&other, response, size);
	assert_dropped(handle_proof);
	path_response(&pair.handle[0], token, pair.key[1], response);
	send_from(&other, response, size);
	assert_dropped(handle_proof);
	for (unsigned bit = 0; bit < 128; bit++) {
		path_response(&pair.handle[0], token, pair.key[0], response);
		response[size - 16 + bit / 8] ^= (uint8_t)(1 << bit % 8);
		send_from(&other, response, size);
		assert_dropped(handle_proof);
	}
	// Another transaction than the proof's.
	path_response(&pair.handle[0], token, pair.key[0], response);
	response[4] ^= 1;
	send_from(&other, response, size);
	assert_dropped(handle_proof);
	// A token of the other handle, and a cookie for a token.
	uint8_t others[12];
	path_challenge_for(&other, &pair.handle[1], others);
	path_response(&pair.handle[0], others, pair.key[0], response);
	send_from(&other, response, size);
	assert_dropped(path_token);
	cookie_of(&other, others);
	path_response(&pair.handle[0], others, pair.key[0], response);
	send_from(&other, response, size);
	assert_dropped(path_token);
	// From another place than the token's, and too late.
	struct net_endpoint elsewhere = moved(other);
	path_response(&pair.handle[0], token, pair.key[0], response);
	send_from(&elsewhere, response, size);
	assert_dropped(path_token);
	world.now += seconds(NATIVE_PATH_TOKEN_S + 1);
	send_from(&other, response, size);
	assert_dropped(path_token);
	// A line that is being written.
	path_challenge_for(&other, &pair.handle[0], token);
	path_response(&pair.handle[0], token, pair.key[0], response);
	atomic_fetch_add(&world.handles->lines[pair.handle[1].index].sequence, 1);
	send_from(&other, response, size);
	assert_dropped(handle_busy);
	atomic_fetch_add(&world.handles->lines[pair.handle[1].index].sequence, 1);
	assert_arrives(&pair, 1, &ends[1], &ends[0]);
	assert_arrives(&pair, 0, &ends[0], &ends[1]);
	world_close();
}

// Moved at one worker, relayed at the other.
static void two_workers(void **state)
{
	(void)state;
	native_open();
	struct net_endpoint ends[2] = {party(CALLER, 0), party(CALLEE, 1)}, other = moved(ends[0]);
	struct pair pair = pair_open(&ends[0], &ends[1]);
	uint8_t token[12], response[64];
	path_challenge_for(&other, &pair.handle[0], token);
	struct frame f = native_frame(
		&other, response, path_response(&pair.handle[0], token, pair.key[0], response));
	run_on(1, frame_make(&f));
	assert_true(alive_to(&other) >= 60);
	assert_arrives(&pair, 1, &ends[1], &other);
	world_close();
}

// ---- closing ----

static void close_tells_both(void **state)
{
	(void)state;
	static const uint8_t nothing[8];
	native_open();
	for (unsigned side = 0; side < 2; side++) {
		struct net_endpoint ends[2] = {party(CALLER, side), party(CALLEE, 0)};
		struct pair pair = pair_open(&ends[0], &ends[1]);
		uint8_t bytes[64];
		size_t size = close_message(&pair.handle[side], pair.key[side], bytes);
		send_from(&ends[side], bytes, size);
		assert_int_equal(world.frame_count, 2);
		// The one that asked is answered from the burst, which leaves last.
		assert_closed(0, &ends[!side], &pair, !side, NATIVE_CLOSED_BY_PEER, nothing);
		assert_closed(1, &ends[side], &pair, side, NATIVE_CLOSED_BY_YOU, transaction);
		assert_int_equal(world.workers[0].stats.event[EVENT_handles_closed], 1);
		world_clear();
		// Who has not heard it is told again, by what he still sends, and so is a second
		// CLOSE, good or not; for as long as it is known.
		struct net_endpoint elsewhere = moved(ends[0]);
		for (unsigned again = 0; again < 2; again++)
			for (unsigned i = 0; i < 2; i++) {
				enum native_close_reason reason =
					i == side ? NATIVE_CLOSED_BY_YOU : NATIVE_CLOSED_BY_PEER;
				send_data(&ends[i], &pair.handle[i]);
				answer_to(&ends[i]);
				assert_closed(0, &ends[i], &pair, i, reason, nothing);
				world_clear();
				size = close_message(&pair.handle[i], pair.key[again], bytes);
				send_from(&elsewhere, bytes, size);
				answer_to(&elsewhere);
				assert_closed(0, &elsewhere, &pair, i, reason, nothing);
				world_clear();
				send_from(&ends[i], message,
					data_make(message, &pair.handle[i], voice, 31));
				assert_dropped(handle_unknown);
				world.now += seconds(1);
			}
		world.now += seconds(HANDLES_CLOSED_S);
		for (unsigned i = 0; i < 2; i++) {
			send_data(&ends[i], &pair.handle[i]);
			assert_dropped(handle_unknown);
			close_message(&pair.handle[i], pair.key[i], bytes);
			send_from(&ends[i], bytes, size);
			assert_dropped(handle_proof);
			keepalive_with_cookie(&ends[i], &pair.handle[i]);
			assert_int_equal(world.workers[0].stats.event[EVENT_path_challenges], 0);
			world_clear();
		}
	}
	world_close();
}

// Who cannot prove it closes nothing; who can may do so from anywhere, and a copy of it does
// nothing to the next pair of that place.
static void who_may_close(void **state)
{
	(void)state;
	native_open();
	struct net_endpoint ends[2] = {party(CALLER, 0), party(CALLEE, 0)}, other = moved(ends[0]);
	struct pair pair = pair_open(&ends[0], &ends[1]);
	uint8_t bytes[64];
	size_t size = close_message(&pair.handle[0], pair.key[1], bytes);
	send_from(&ends[0], bytes, size);
	assert_dropped(handle_proof);
	for (unsigned bit = 0; bit < 128; bit++) {
		close_message(&pair.handle[0], pair.key[0], bytes);
		bytes[20 + bit / 8] ^= (uint8_t)(1 << bit % 8);
		send_from(&ends[0], bytes, size);
		assert_dropped(handle_proof);
	}
	assert_arrives(&pair, 0, &ends[0], &ends[1]);
	close_message(&pair.handle[0], pair.key[0], bytes);
	send_from(&other, bytes, size);
	assert_int_equal(world.frame_count, 2);
	assert_closed(1, &other, &pair, 0, NATIVE_CLOSED_BY_YOU, transaction);
	world_clear();
	struct pair next = pair_open(&ends[0], &ends[1]);
	send_from(&ends[0], bytes, size);
	world_clear();
	assert_arrives(&next, 0, &ends[0], &ends[1]);
	world_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_handle),
		cmocka_unit_test(puts_the_deadline_off),
		cmocka_unit_test(keepalive_from_elsewhere),
		cmocka_unit_test(moves),
		cmocka_unit_test(old_response_after_a_newer_move),
		cmocka_unit_test(challenges_of_one_tick),
		cmocka_unit_test(what_does_not_move),
		cmocka_unit_test(two_workers),
		cmocka_unit_test(close_tells_both),
		cmocka_unit_test(who_may_close),
	};
	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, world_setup, NULL);
}
