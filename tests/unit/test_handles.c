// SPDX-License-Identifier: BSD-3-Clause
// Pairs of handles: the rules of struct api_handles_install, keepalives, moves and ends, fill and
// drain, and that nothing stays. What others may see meanwhile is in test_handles_race.c.
#include "tests/unit/handles_open.h"

#include <errno.h>
#include <stdio.h>

static void assert_empty(struct handles *handles)
{
	assert_true(handles_empty(handles));
	assert_int_equal(handles->used, 0);
	for (uint32_t i = 0; i < handles->count; i++) {
		const struct handle empty = {.sequence = handles->lines[i].sequence};
		assert_int_equal(empty.sequence & 1, 0);
		assert_memory_equal(&handles->lines[i], &empty, sizeof(empty));
	}
	for (uint32_t i = 0; i < handles->count / 2; i++) {
		const struct handle_pair empty = {.generation = handles->pairs[i].generation};
		assert_memory_equal(&handles->pairs[i], &empty, sizeof(empty));
	}
}

static void test_installed(void **state)
{
	(void)state;
	struct handles *handles = handles_for_test(16);
	struct handle_fields f;
	struct api_handles_installed pair, again;
	struct api_handles_install in = open_of(1, 10, 21);
	in.end[1].server.port = 3479;
	assert_int_equal(install(handles, &in, &pair), 0);
	assert_int_equal(pair.again, 0);
	assert_int_equal(pair.index[1], pair.index[0] ^ 1);
	assert_int_equal(pair.generation[0], pair.generation[1]);
	assert_int_not_equal(pair.generation[0], 0);
	assert_int_equal(handles->used, 1);
	struct client_key callee = key_of(21);
	callee.words[2] |= (uint64_t)SERVER_ALTERNATE_PORT << 32;
	uint32_t sequence;
	assert_int_equal(
		handles_read(handles, side_of(&pair, 1), &callee, ticks_of(now), &f, &sequence),
		HANDLE_HERE);
	assert_delta(&f, side_of(&pair, 1));
	assert_int_equal(read_as(handles, side_of(&pair, 0), 10, &f), HANDLE_HERE);
	assert_delta(&f, side_of(&pair, 0));
	assert_int_equal(f.peer_server, 1 | SERVER_ALTERNATE_PORT);
	f.peer_server = 1;
	assert_true(line_is(&f, 10, 21));
	assert_int_equal(f.to_peer, NEXT_HOP_NONE);
	// Not whom it is bound to: the peer's source, another port, another server of ours.
	assert_int_equal(read_as(handles, side_of(&pair, 0), 21, &f), HANDLE_ELSEWHERE);
	assert_int_equal(read_as(handles, side_of(&pair, 1), 21, &f), HANDLE_ELSEWHERE);
	assert_int_equal(read_as(handles, side_of(&pair, 1), 10, &f), HANDLE_ELSEWHERE);
	// No handle, other lives, behind the end.
	struct native_handle other = side_of(&pair, 0);
	other.generation++;
	assert_int_equal(read_as(handles, other, 10, &f), HANDLE_NONE);
	other = (struct native_handle){0, pair.index[0]};
	assert_int_equal(read_as(handles, other, 10, &f), HANDLE_NONE);
	other = (struct native_handle){pair.generation[0], 16};
	assert_int_equal(read_as(handles, other, 10, &f), HANDLE_NONE);
	other.index = UINT32_MAX;
	assert_int_equal(read_as(handles, other, 10, &f), HANDLE_NONE);
	// Lines that nobody has: generation 0, and any other.
	for (unsigned generation = 0; generation < 65536; generation++) {
		other = (struct native_handle){(uint16_t)generation, 8};
		assert_int_equal(read_as(handles, other, 10, &f), HANDLE_NONE);
	}
	// The same once more: the same handles, in a drain too. With another key: taken.
	assert_int_equal(handles_install(handles, &ours, &in, true, now, &again), 0);
	assert_int_equal(again.again, 1);
	assert_int_equal(again.index[0], pair.index[0]);
	assert_int_equal(again.generation[1], pair.generation[1]);
	for (unsigned side = 0; side < 2; side++) {
		struct api_handles_install another = in;
		another.end[side].key[15] ^= 1;
		assert_int_equal(install(handles, &another, &again), -EEXIST);
	}
	assert_int_equal(handles->used, 1);
	handles_free(handles);
}

static void test_wrong_ones(void **state)
{
	(void)state;
	struct handles *handles = handles_for_test(4);
	struct api_handles_installed out;
	const struct api_handles_install good = open_of(1, 10, 21);
	for (unsigned side = 0; side < 2; side++) {
		struct api_handles_install bad = good;
		bad.end[side].client.port = 0;
		assert_int_equal(install(handles, &bad, &out), -EINVAL);
		bad = good;
		bad.end[side].client.address = ours.listen[side ? 1 : 2];
		assert_int_equal(install(handles, &bad, &out), -EINVAL);
		bad = good;
		bad.end[side].server.port = 1;
		assert_int_equal(install(handles, &bad, &out), -EINVAL);
		bad = good;
		bad.end[side].server.address = ours.listen[!side];
		assert_int_equal(install(handles, &bad, &out), -EINVAL);
	}
	struct api_handles_install bad = good;
	bad.lifetime_ms = 0;
	assert_int_equal(install(handles, &bad, &out), -EINVAL);
	assert_int_equal(handles_install(handles, &ours, &good, true, now, &out), -ESHUTDOWN);
	assert_empty(handles);
	assert_null(handles_create(7, -1));
	assert_null(handles_create(0, -1));
	handles_free(handles);
}

static void test_keepalives(void **state)
{
	(void)state;
	struct handles *handles = handles_for_test(4);
	struct handle_fields f;
	struct handles_ended ended;
	struct api_handles_installed pair;
	struct api_handles_install in = open_of(1, 10, 21);
	struct client_key caller = key_of(10), callee = key_of(21);
	uint32_t left;
	assert_int_equal(install(handles, &in, &pair), 0);
	for (unsigned i = 0; i < 5; i++) {
		now += seconds(50);
		assert_int_equal(handles_keepalive(
					 handles, side_of(&pair, 0), &caller, ticks_of(now), &left),
			HANDLE_HERE);
		assert_in_range(
			ticks_left_ms(ticks_of(now) + left, now, rte_get_tsc_hz()), 59900, 60100);
		assert_int_equal(handles_keepalive(
					 handles, side_of(&pair, 1), &callee, ticks_of(now), &left),
			HANDLE_HERE);
		assert_int_equal(handles_keepalive(
					 handles, side_of(&pair, 1), &caller, ticks_of(now), &left),
			HANDLE_ELSEWHERE);
		assert_int_equal(expire_all(handles, &ended), 0);
	}
	// The callee falls silent: the caller's packets pass until main has looked, the callee's
	// not.
	now += seconds(50);
	assert_int_equal(
		handles_keepalive(handles, side_of(&pair, 0), &caller, ticks_of(now), &left),
		HANDLE_HERE);
	now += seconds(11);
	assert_int_equal(
		handles_keepalive(handles, side_of(&pair, 1), &callee, ticks_of(now), &left),
		HANDLE_NONE);
	assert_int_equal(read_as(handles, side_of(&pair, 1), 21, &f), HANDLE_NONE);
	assert_int_equal(read_as(handles, side_of(&pair, 0), 10, &f), HANDLE_HERE);
	assert_int_equal(expire_all(handles, &ended), 1);
	assert_int_equal(ended.handle.index, pair.index[0]);
	assert_int_equal(ended.handle.generation, pair.generation[0]);
	assert_false(ended.end[0].silent);
	assert_true(ended.end[1].silent);
	for (unsigned side = 0; side < 2; side++) {
		struct net_endpoint client = client_of(side ? 21 : 10);
		assert_memory_equal(ended.end[side].client, client.address.bytes, 16);
		assert_int_equal(ended.end[side].client_port, client.port);
		assert_int_equal(ended.end[side].family, client.address.family);
		assert_int_equal(ended.end[side].server, side);
		assert_memory_equal(ended.end[side].key, in.end[side].key, 16);
	}
	assert_int_equal(read_as(handles, side_of(&pair, 0), 10, &f), HANDLE_NONE);
	// A longer lifetime than ticks have room for is cut, not wrapped.
	in = open_of(2, 10, 21);
	in.lifetime_ms = UINT32_MAX;
	assert_int_equal(install(handles, &in, &pair), 0);
	assert_int_equal(read_as(handles, side_of(&pair, 0), 10, &f), HANDLE_HERE);
	handles_free(handles);
}

static void test_moves(void **state)
{
	(void)state;
	struct handles *handles = handles_for_test(4);
	struct handle_fields f;
	struct api_handles_installed pair, again;
	struct api_handles_install in = open_of(1, 10, 21);
	uint32_t left, sequence, tick = ticks_of(now);
	uint8_t key[16];
	struct client_key to33 = key_of(33), to40 = key_of(40);
	assert_int_equal(install(handles, &in, &pair), 0);
	struct native_handle caller = side_of(&pair, 0), callee = side_of(&pair, 1);
	struct client_key from = key_of(21);
	assert_int_equal(handles_read(handles, callee, &from, tick, &f, &sequence), HANDLE_HERE);
	handles_hop_set(handles, callee.index, sequence, 5, 6);
	assert_int_equal(read_as(handles, callee, 21, &f), HANDLE_HERE);
	assert_int_equal(f.to_peer, 5);
	assert_int_equal(f.hop_epoch, 6);
	// What was read before a change keeps no next hop.
	handles_hop_set(handles, callee.index, sequence, 7, 8);
	assert_int_equal(read_as(handles, callee, 21, &f), HANDLE_HERE);
	assert_int_equal(f.to_peer, 5);
	assert_true(handles_path_key(handles, caller, tick, key));
	assert_memory_equal(key, in.end[0].key, 16);
	assert_true(handles_path_key(handles, callee, tick, key));
	assert_memory_equal(key, in.end[1].key, 16);
	// From IPv4 to IPv6: both lines know, and the peer's looks its next hop up again.
	assert_int_equal(
		handles_move(handles, &ours, caller, &to33, 1000, tick, &left), HANDLE_HERE);
	assert_int_equal(read_as(handles, caller, 33, &f), HANDLE_HERE);
	assert_true(line_is(&f, 33, 21));
	assert_delta(&f, caller);
	assert_int_equal(read_as(handles, callee, 21, &f), HANDLE_HERE);
	assert_true(line_is(&f, 21, 33));
	assert_delta(&f, callee);
	assert_int_equal(f.to_peer, NEXT_HOP_NONE);
	assert_int_equal(read_as(handles, caller, 10, &f), HANDLE_ELSEWHERE);
	// Told again: nothing to do. Older or the same from elsewhere: not any more.
	assert_int_equal(
		handles_move(handles, &ours, caller, &to33, 1000, tick, &left), HANDLE_HERE);
	assert_int_equal(
		handles_move(handles, &ours, caller, &to40, 1000, tick, &left), HANDLE_ELSEWHERE);
	assert_int_equal(
		handles_move(handles, &ours, caller, &to40, 999, tick, &left), HANDLE_ELSEWHERE);
	assert_true(read_as(handles, caller, 33, &f) == HANDLE_HERE && line_is(&f, 33, 21));
	assert_int_equal(
		handles_move(handles, &ours, caller, &to40, 1001, tick, &left), HANDLE_HERE);
	assert_int_equal(
		handles_move(handles, &ours, caller, &to33, 1000, tick, &left), HANDLE_ELSEWHERE);
	// The other side has an order of its own; across the wrap, too.
	assert_int_equal(
		handles_move(handles, &ours, callee, &to33, UINT32_MAX, tick, &left), HANDLE_HERE);
	assert_int_equal(handles_move(handles, &ours, callee, &from, 3, tick, &left), HANDLE_HERE);
	assert_true(read_as(handles, caller, 40, &f) == HANDLE_HERE && line_is(&f, 40, 21));
	// It puts the deadline off, as a keepalive does.
	now += seconds(30);
	assert_int_equal(handles_move(handles, &ours, caller, &to33, 1002, ticks_of(now), &left),
		HANDLE_HERE);
	assert_int_equal(read_as(handles, caller, 33, &f), HANDLE_HERE);
	assert_int_equal(f.deadline, ticks_of(now) + left);
	// An open id is known by its keys, wherever its clients are.
	assert_int_equal(install(handles, &in, &again), 0);
	assert_int_equal(again.again, 1);
	assert_true(read_as(handles, caller, 33, &f) == HANDLE_HERE && line_is(&f, 33, 21));
	// Not a handle, not of this life, not in time.
	struct native_handle other = {(uint16_t)(caller.generation + 1), caller.index};
	assert_int_equal(handles_move(handles, &ours, other, &to40, 2000, ticks_of(now), &left),
		HANDLE_NONE);
	assert_false(handles_path_key(handles, other, ticks_of(now), key));
	other.index = 4;
	assert_int_equal(handles_move(handles, &ours, other, &to40, 2000, ticks_of(now), &left),
		HANDLE_NONE);
	assert_false(handles_path_key(handles, other, ticks_of(now), key));
	now += seconds(61);
	assert_int_equal(handles_move(handles, &ours, caller, &to40, 2000, ticks_of(now), &left),
		HANDLE_NONE);
	assert_false(handles_path_key(handles, caller, ticks_of(now), key));
	handles_free(handles);
}

static void test_closed(void **state)
{
	(void)state;
	struct handles *handles = handles_for_test(2);
	struct handle_fields f;
	struct handles_ended ended;
	struct api_handles_installed pair, next;
	struct api_handles_install in = open_of(1, 10, 21), other = open_of(2, 10, 21);
	uint8_t key[16];
	assert_int_equal(install(handles, &in, &pair), 0);
	struct native_handle callee = side_of(&pair, 1);
	struct native_handle wrong = {(uint16_t)(callee.generation - 1), callee.index};
	assert_int_equal(handles_close(handles, wrong, ticks_of(now), &ended), HANDLE_NONE);
	assert_int_equal(handles_close(handles, callee, ticks_of(now), &ended), HANDLE_HERE);
	assert_int_equal(ended.handle.index, pair.index[0]);
	assert_memory_equal(ended.end[1].key, in.end[1].key, 16);
	assert_int_equal(handles->used, 0);
	for (unsigned side = 0; side < 2; side++) {
		assert_int_equal(
			read_as(handles, side_of(&pair, side), side ? 21 : 10, &f), HANDLE_NONE);
		assert_false(handles_path_key(handles, side_of(&pair, side), ticks_of(now), key));
		assert_int_equal(
			handles_close(handles, side_of(&pair, side), ticks_of(now), &ended),
			HANDLE_NONE);
	}
	// Its open id makes no second pair while its ticket could be shown, and its place no other.
	for (unsigned s = 0; s < HANDLES_CLOSED_S; s += 5, now += seconds(5)) {
		assert_int_equal(install(handles, &in, &next), -EEXIST);
		assert_int_equal(install(handles, &other, &next), -ENOSPC);
		assert_int_equal(expire_all(handles, &ended), 0);
	}
	now += seconds(1);
	expire_all(handles, &ended);
	assert_empty(handles);
	// The next life of the place is another generation.
	assert_int_equal(install(handles, &other, &next), 0);
	assert_int_equal(next.index[0], pair.index[0]);
	assert_int_not_equal(next.generation[0], pair.generation[0]);
	assert_int_equal(read_as(handles, side_of(&pair, 0), 10, &f), HANDLE_NONE);
	assert_int_equal(
		handles_close(handles, side_of(&next, 0), ticks_of(now), &ended), HANDLE_HERE);
	// Unscanned, the same id counts as forgotten when its time has come.
	now += seconds(HANDLES_CLOSED_S + 1);
	assert_int_equal(install(handles, &other, &next), 0);
	assert_int_equal(next.again, 0);
	handles_free(handles);
}

// Generation 0 is never given out.
static void test_generations(void **state)
{
	(void)state;
	struct handles *handles = handles_for_test(2);
	struct handles_ended ended;
	struct api_handles_installed pair;
	handles->pairs[0].generation = 65534;
	for (unsigned i = 0; i < 3; i++) {
		struct api_handles_install in = open_of(i, 10, 21);
		assert_int_equal(install(handles, &in, &pair), 0);
		assert_int_equal(pair.generation[0], i == 0 ? 65535 : i);
		handles_close(handles, side_of(&pair, 0), ticks_of(now), &ended);
		now += seconds(HANDLES_CLOSED_S + 1);
		expire_all(handles, &ended);
	}
	handles_free(handles);
}

// A network that has its share gets no more until a pair of its is quite over; others do. Both ends
// count, also at one network.
static void test_share_of_a_network(void **state)
{
	(void)state;
	enum { SHARE = 11 };
	struct handles *handles = handles_for_test(256);
	struct handles_ended ended;
	struct api_handles_installed pair, other;
	handles_share_set(handles, SHARE);
	for (unsigned i = 0; i < SHARE / 2; i++) { // 198.10.0.0/24 with itself
		struct api_handles_install in = open_of(i, 10, 10 + (2 << 16));
		assert_int_equal(install(handles, &in, &pair), 0);
	}
	struct api_handles_install full = open_of(50, 10, 10), half = open_of(51, 10, 12),
				   more = open_of(52, 14, 10), others = open_of(53, 12, 11);
	assert_int_equal(install(handles, &full, &other), -ENOSPC);
	assert_int_equal(install(handles, &half, &other), 0);
	assert_int_equal(install(handles, &more, &other), -ENOSPC);
	assert_int_equal(install(handles, &others, &other), 0);
	assert_int_equal(install(handles, &half, &other), 0); // a repetition
	// Closed is not over.
	assert_int_equal(
		handles_close(handles, side_of(&pair, 1), ticks_of(now), &ended), HANDLE_HERE);
	assert_int_equal(install(handles, &more, &other), -ENOSPC);
	now += seconds(HANDLES_CLOSED_S + 1);
	expire_all(handles, &ended);
	assert_int_equal(install(handles, &full, &other), 0);
	assert_int_equal(install(handles, &more, &other), -ENOSPC);
	now += seconds(61);
	expire_all(handles, &ended);
	now += seconds(HANDLES_CLOSED_S + 1);
	expire_all(handles, &ended);
	assert_true(handles_empty(handles));
	assert_int_equal(install(handles, &more, &other), 0);
	handles_free(handles);
}

static void test_fill_drain_refill(void **state)
{
	(void)state;
	enum { COUNT = 2048, ROUNDS = 20 };
	struct handles *handles = handles_for_test(COUNT);
	struct handles_ended ended;
	static struct api_handles_installed pairs[COUNT / 2];
	for (unsigned round = 0; round < ROUNDS; round++) {
		static bool taken[COUNT];
		memset(taken, 0, sizeof(taken));
		for (unsigned i = 0; i < COUNT / 2; i++) {
			struct api_handles_install in = open_of(round * COUNT + i, 2 * i, 3 * i);
			assert_int_equal(install(handles, &in, &pairs[i]), 0);
			assert_false(taken[pairs[i].index[0]]);
			taken[pairs[i].index[0]] = taken[pairs[i].index[1]] = true;
		}
		struct api_handles_install more = open_of(UINT32_MAX, 1, 2);
		struct api_handles_installed out;
		assert_int_equal(install(handles, &more, &out), -ENOSPC);
		assert_int_equal(handles->used, COUNT / 2);
		if (round % 3 == 0) {
			for (unsigned i = 0; i < COUNT / 2; i++)
				assert_int_equal(handles_close(handles, side_of(&pairs[i], i & 1),
							 ticks_of(now), &ended),
					HANDLE_HERE);
		} else if (round % 3 == 1) {
			now += seconds(61);
			assert_int_equal(expire_all(handles, &ended), COUNT / 2);
			assert_true(ended.end[0].silent && ended.end[1].silent);
		} else {
			uint32_t position = 0;
			unsigned count = 0, budget;
			do {
				budget = 100;
				while (handles_end_next(handles, &position, now, &budget, &ended))
					count++;
			} while (position < COUNT / 2);
			assert_int_equal(count, COUNT / 2);
		}
		assert_int_equal(handles->used, 0);
		now += seconds(HANDLES_CLOSED_S + 1);
		assert_int_equal(expire_all(handles, &ended), 0);
		assert_empty(handles);
	}
	handles_free(handles);
}

static bool table_holds(const struct handles *handles, const void *what, size_t length)
{
	return memmem(handles->lines, handles->count * sizeof(struct handle), what, length) ||
	       memmem(handles->pairs, handles->count / 2 * sizeof(struct handle_pair), what,
		       length);
}

// Why a pair has ended, and the proof of it, for as long as it is known; never of another life.
static void test_closed_is_told_again(void **state)
{
	(void)state;
	static const uint8_t zeros[8];
	static const uint8_t reasons[3][2] = {{NATIVE_CLOSED_BY_PEER, NATIVE_CLOSED_BY_YOU},
		{NATIVE_CLOSED_YOU_SILENT, NATIVE_CLOSED_PEER_SILENT},
		{NATIVE_CLOSED_DRAINING, NATIVE_CLOSED_DRAINING}};
	struct handles *handles = handles_for_test(2);
	for (uint8_t round = 0; round < 3; round++) {
		struct api_handles_install in = open_of(round, 10, 21);
		struct api_handles_installed pair;
		struct handles_ended ended;
		struct client_key callee = key_of(21);
		uint32_t left, position = 0;
		unsigned budget = 100;
		uint8_t proof[16], want[16], reason;
		assert_int_equal(install(handles, &in, &pair), 0);
		assert_false(
			handles_closed(handles, side_of(&pair, 0), ticks_of(now), proof, &reason));
		if (round == 0) {
			handles_close(handles, side_of(&pair, 1), ticks_of(now), &ended);
		} else if (round == 1) {
			now += seconds(40);
			handles_keepalive(
				handles, side_of(&pair, 1), &callee, ticks_of(now), &left);
			now += seconds(40);
			expire_all(handles, &ended);
		} else {
			handles_end_next(handles, &position, now, &budget, &ended);
		}
		for (unsigned side = 0; side < 2; side++) {
			struct native_handle handle = side_of(&pair, side), earlier = handle;
			const struct native_closed closed = {.transaction = zeros,
				.handle = handle,
				.reason = reasons[round][side]};
			assert_true(handles_closed(handles, handle, ticks_of(now), proof, &reason));
			assert_int_equal(reason, closed.reason);
			native_closed_proof(want, in.end[side].key, &closed);
			assert_memory_equal(proof, want, sizeof(proof));
			earlier.generation--;
			assert_false(
				handles_closed(handles, earlier, ticks_of(now), proof, &reason));
			// Its time has come, scanned or not.
			uint32_t late = ticks_of(now + seconds(HANDLES_CLOSED_S + 1));
			assert_false(handles_closed(handles, handle, late, proof, &reason));
		}
		now += seconds(HANDLES_CLOSED_S + 1);
		expire_all(handles, &ended);
		assert_false(table_holds(handles, want, sizeof(want)));
	}
	handles_free(handles);
}

// ---- nothing stays ----

static void test_wiped(void **state)
{
	(void)state;
	struct handles *handles = handles_for_test(16);
	struct handles_ended ended;
	for (unsigned round = 0; round < 3; round++) {
		struct api_handles_installed pair;
		struct api_handles_install in = open_of(round, 11, 21);
		uint32_t left, position = 0;
		unsigned budget = 100;
		struct client_key moved = key_of(31);
		randombytes_buf(in.open_id, 16);
		randombytes_buf(moved.words, 16);
		for (unsigned side = 0; side < 2; side++) {
			randombytes_buf(in.end[side].client.address.bytes, 16);
			randombytes_buf(in.end[side].key, 16);
		}
		assert_int_equal(install(handles, &in, &pair), 0);
		assert_true(table_holds(handles, in.end[0].client.address.bytes, 16));
		handles_move(handles, &ours, side_of(&pair, 0), &moved, 77, ticks_of(now), &left);
		assert_true(table_holds(handles, moved.words, 16));
		assert_true(table_holds(handles, in.end[1].key, 16));
		// Of the caller's place of before nothing is left already.
		for (unsigned i = 0; i < 16; i += 4)
			assert_false(table_holds(handles, in.end[0].client.address.bytes + i, 4));
		if (round == 0) {
			handles_close(handles, side_of(&pair, 0), ticks_of(now), &ended);
		} else if (round == 1) {
			now += seconds(61);
			expire_all(handles, &ended);
		} else {
			handles_end_next(handles, &position, now, &budget, &ended);
		}
		for (unsigned i = 0; i < 16; i += 4) {
			assert_false(table_holds(handles, in.open_id + i, 4));
			assert_false(table_holds(handles, (uint8_t *)moved.words + i, 4));
			for (unsigned side = 0; side < 2; side++) {
				assert_false(table_holds(
					handles, in.end[side].client.address.bytes + i, 4));
				assert_false(table_holds(handles, in.end[side].key + i, 4));
			}
		}
	}
	handles_free(handles);
}

static void test_memory(void **state)
{
	(void)state;
	const uint32_t count = 65536;
	struct flow_table opens;
	assert_int_equal(flow_table_open(&opens, count / 2, -1), 0);
	double index = (double)(opens.mask + 1) * sizeof(struct flow_bucket) / count;
	flow_table_close(&opens);
	double all = (double)sizeof(struct handle) + sizeof(struct handle_pair) / 2.0 + index + 2;
	print_message("bytes per handle: %.1f (line %zu, half a pair %zu, index %.1f, list 2)\n",
		all, sizeof(struct handle), sizeof(struct handle_pair) / 2, index);
	assert_true(all <= 107);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_installed),
		cmocka_unit_test(test_wrong_ones),
		cmocka_unit_test(test_keepalives),
		cmocka_unit_test(test_moves),
		cmocka_unit_test(test_closed),
		cmocka_unit_test(test_generations),
		cmocka_unit_test(test_share_of_a_network),
		cmocka_unit_test(test_fill_drain_refill),
		cmocka_unit_test(test_closed_is_told_again),
		cmocka_unit_test(test_wiped),
		cmocka_unit_test(test_memory),
	};
	return cmocka_run_group_tests(tests, set_up, NULL);
}
