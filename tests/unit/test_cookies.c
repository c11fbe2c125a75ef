// SPDX-License-Identifier: BSD-3-Clause
// Cookies and path tokens: the hash they say they are, bound to their holder in every bit, good for
// as long as the protocol says and not again, one kind never good for the other.
#include "dataplane/cookies.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static const uint64_t hz = 2700000000;
static const uint64_t day = 24ull * 3600 * 2700000000;

static struct native_settings start(void)
{
	struct native_settings native = {.tick_offset = randombytes_random()};
	randombytes_buf(native.cookie_key, sizeof(native.cookie_key));
	randombytes_buf(native.path_key, sizeof(native.path_key));
	return native;
}

static uint32_t control_age(void)
{
	return cookie_ticks(NATIVE_CONTROL_COOKIE_S, hz);
}

static uint32_t token_age(void)
{
	return cookie_ticks(NATIVE_PATH_TOKEN_S, hz);
}

struct place {
	uint8_t address[16];
	struct cookie_holder holder;
};

static void place_random(struct place *place, unsigned family)
{
	randombytes_buf(place->address, sizeof(place->address));
	place->holder = (struct cookie_holder){
		.address = place->address,
		.port = (uint16_t)randombytes_random(),
		.family = (uint8_t)family,
	};
}

static void is_siphash_2_4(void **state)
{
	(void)state;
	struct native_settings native = start();
	struct place place;
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t now = (uint64_t)randombytes_random() << 24, tick = now >> TICKS_SHIFT;
		uint8_t cookie[12], want[8], input[24];
		place_random(&place, NET_IPV4);
		cookie_make(&native, &place.holder, now, cookie);
		// Address, port and tick, little endian but for the address; 15 and 23 bytes.
		memcpy(input, place.address, 4);
		memcpy(input + 4, &place.holder.port, 2);
		memcpy(input + 6, &tick, 8);
		input[14] = 0;
		crypto_shorthash(want, input, 15, native.cookie_key);
		assert_memory_equal(cookie + 4, want, 8);
		assert_int_equal(cookie_issued(cookie), (uint32_t)tick + native.tick_offset);
		place_random(&place, NET_IPV6);
		cookie_make(&native, &place.holder, now, cookie);
		memcpy(input, place.address, 16);
		memcpy(input + 16, &place.holder.port, 2);
		memcpy(input + 18, &tick, 5);
		crypto_shorthash(want, input, 23, native.cookie_key);
		assert_memory_equal(cookie + 4, want, 8);
	}
}

// Every bit of address, port and cookie counts, and so does the family.
static void bound_to_its_holder(void **state)
{
	(void)state;
	struct native_settings native = start();
	struct place place;
	for (unsigned family = NET_IPV4; family <= NET_IPV6; family++) {
		unsigned length = family == NET_IPV4 ? 4 : 16;
		uint8_t cookie[12];
		place_random(&place, family);
		cookie_make(&native, &place.holder, day, cookie);
		assert_true(cookie_check(&native, &place.holder, day, control_age(), cookie));
		for (unsigned bit = 0; bit < 8 * sizeof(cookie); bit++) {
			cookie[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_false(
				cookie_check(&native, &place.holder, day, control_age(), cookie));
			cookie[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		for (unsigned bit = 0; bit < 8 * length; bit++) {
			place.address[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_false(
				cookie_check(&native, &place.holder, day, control_age(), cookie));
			place.address[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		for (unsigned bit = 0; bit < 16; bit++) {
			struct cookie_holder other = place.holder;
			other.port ^= (uint16_t)(1 << bit);
			assert_false(cookie_check(&native, &other, day, control_age(), cookie));
		}
		struct cookie_holder other = place.holder;
		other.family = family == NET_IPV4 ? NET_IPV6 : NET_IPV4;
		assert_false(cookie_check(&native, &other, day, control_age(), cookie));
		// Nothing shown, and another start's.
		static const uint8_t none[12];
		assert_false(cookie_check(&native, &place.holder, day, control_age(), none));
		struct native_settings restarted = start();
		assert_false(cookie_check(&restarted, &place.holder, day, control_age(), cookie));
	}
}

static void ages(void **state)
{
	(void)state;
	struct native_settings native = start();
	struct place place;
	uint8_t cookie[12];
	const uint64_t tick = 1ull << TICKS_SHIFT;
	place_random(&place, NET_IPV6);
	// Also across a wrap of the low 32 bits.
	const uint64_t times[] = {day, (1ull << (TICKS_SHIFT + 32)) - hz};
	for (unsigned i = 0; i < 2; i++) {
		uint64_t now = times[i];
		cookie_make(&native, &place.holder, now, cookie);
		const uint32_t all[] = {control_age(), cookie_ticks(NATIVE_DATA_COOKIE_S, hz)};
		const unsigned last[] = {NATIVE_CONTROL_COOKIE_S, NATIVE_DATA_COOKIE_S};
		for (unsigned a = 0; a < 2; a++) {
			assert_true(cookie_check(
				&native, &place.holder, now + last[a] * hz - tick, all[a], cookie));
			assert_false(cookie_check(
				&native, &place.holder, now + last[a] * hz + tick, all[a], cookie));
		}
		// Another core's clock may be a little behind, not much.
		assert_true(
			cookie_check(&native, &place.holder, now - tick, control_age(), cookie));
		assert_false(
			cookie_check(&native, &place.holder, now - 2 * hz, control_age(), cookie));
		// Not good again when issued has come round.
		assert_false(
			cookie_check(&native, &place.holder, now + (1ull << (TICKS_SHIFT + 32)),
				cookie_ticks(NATIVE_DATA_COOKIE_S, hz), cookie));
	}
}

// What is issued later is newer; within a tick it is the same.
static void issued_orders(void **state)
{
	(void)state;
	struct native_settings native = start();
	struct place place;
	place_random(&place, NET_IPV4);
	uint8_t before[12], same[12], after[12];
	const uint64_t tick = 1ull << TICKS_SHIFT;
	for (unsigned i = 0; i < 100; i++) {
		native.tick_offset = randombytes_random();
		uint64_t now = ((uint64_t)randombytes_random() << TICKS_SHIFT) + 5 * tick;
		cookie_make(&native, &place.holder, now, before);
		cookie_make(&native, &place.holder, now + tick - 1, same);
		cookie_make(&native, &place.holder, now + tick, after);
		assert_memory_equal(before, same, sizeof(before));
		assert_true(cookie_newer(cookie_issued(after), cookie_issued(before)));
		assert_false(cookie_newer(cookie_issued(before), cookie_issued(after)));
		assert_false(cookie_newer(cookie_issued(same), cookie_issued(before)));
	}
}

static void path_tokens(void **state)
{
	(void)state;
	struct native_settings native = start();
	struct place place;
	for (unsigned family = NET_IPV4; family <= NET_IPV6; family++) {
		struct native_handle handle = {.generation = 0x1234, .index = 0x56789A}, other;
		uint8_t token[12], cookie[12];
		place_random(&place, family);
		path_token_make(&native, &place.holder, &handle, day, token);
		cookie_make(&native, &place.holder, day, cookie);
		assert_true(
			path_token_check(&native, &place.holder, &handle, day, token_age(), token));
		assert_true(path_token_check(&native, &place.holder, &handle,
			day + (NATIVE_PATH_TOKEN_S - 1) * hz, token_age(), token));
		assert_false(path_token_check(&native, &place.holder, &handle,
			day + (NATIVE_PATH_TOKEN_S + 1) * hz, token_age(), token));
		for (unsigned bit = 0; bit < 48; bit++) {
			other = handle;
			if (bit < 16)
				other.generation ^= (uint16_t)(1 << bit);
			else
				other.index ^= 1u << (bit - 16);
			assert_false(path_token_check(
				&native, &place.holder, &other, day, token_age(), token));
		}
		place.address[0] ^= 1;
		assert_false(
			path_token_check(&native, &place.holder, &handle, day, token_age(), token));
		place.address[0] ^= 1;
		// Neither kind is the other one, and not because of the length that is hashed.
		assert_false(cookie_check(&native, &place.holder, day, control_age(), token));
		assert_false(path_token_check(
			&native, &place.holder, &handle, day, token_age(), cookie));
		assert_memory_not_equal(native.cookie_key, native.path_key, 16);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_siphash_2_4),
		cmocka_unit_test(bound_to_its_holder),
		cmocka_unit_test(ages),
		cmocka_unit_test(issued_orders),
		cmocka_unit_test(path_tokens),
	};
	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
