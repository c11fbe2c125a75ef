// SPDX-License-Identifier: BSD-3-Clause
// Messages as a client makes them (tests/unit/native_messages.h): each is signed by the key of its
// address, no byte of it can be another one, and what it shows for admission is bound to it.
#include "tests/unit/native_messages.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { EPOCH = 492000 };

static struct native_party caller, callee;
static const uint8_t cookie[NATIVE_COOKIE_SIZE] = {1, 2, 3};
static const uint8_t open_id[NATIVE_OPEN_ID_SIZE] = {4, 5, 6};
static uint8_t ticket[NATIVE_TICKET_SIZE] = {7, 8, 9};

static bool verified(const uint8_t *message, size_t size, const uint8_t *key)
{
	uint8_t input[sizeof(NATIVE_SIGNATURE_CONTEXT) + NATIVE_MESSAGE_MAX];
	size_t signed_size = native_signature_input(input, message, size);
	return signed_size > 0 &&
	       blinding_verify(message + native_signed(size), input, signed_size, key);
}

static void assert_no_byte_may_change(uint8_t *message, size_t size, const uint8_t *key)
{
	assert_true(verified(message, size, key));
	for (size_t i = 0; i < size; i++) {
		message[i] ^= (uint8_t)(1 << i % 8);
		assert_false(verified(message, size, key));
		message[i] ^= (uint8_t)(1 << i % 8);
	}
	assert_true(verified(message, size, key));
	assert_false(verified(message, size - 1, key));
}

static void parties(void **unused)
{
	(void)unused;
	struct native_party again, next;
	native_party_make(&again, 1, EPOCH);
	assert_memory_equal(again.address, caller.address, NATIVE_ADDRESS_SIZE);
	assert_memory_equal(again.device, caller.device, NATIVE_DEVICE_SIZE);
	assert_memory_not_equal(callee.address, caller.address, NATIVE_ADDRESS_SIZE);
	next = again;
	native_party_enter(&next, EPOCH + 1);
	assert_memory_not_equal(next.address, caller.address, 16);
	assert_memory_not_equal(next.address + 16, caller.address + 16, 16);
	assert_memory_not_equal(next.device, caller.device, NATIVE_DEVICE_SIZE);
	assert_true(epoch_address_owned_by(next.address, next.key));
	assert_false(epoch_address_owned_by(next.address, again.key));
}

static void registrations(void **unused)
{
	(void)unused;
	uint8_t message[NATIVE_MESSAGE_MAX];
	struct native_register m;
	size_t size = native_make_register(message, &caller, 77, cookie, 600);
	assert_int_equal(size, 172);
	assert_int_equal(native_register_parse(message, size, &m), 0);
	assert_int_equal(m.transaction[7], 77);
	assert_int_equal(m.epoch, EPOCH);
	assert_int_equal(m.lifetime, 600);
	assert_memory_equal(m.cookie, cookie, sizeof(cookie));
	assert_true(epoch_address_owned_by(m.address, m.key));
	assert_no_byte_may_change(message, size, m.key);
}

static void solved_registrations(void **unused)
{
	(void)unused;
	uint8_t message[NATIVE_MESSAGE_MAX];
	struct native_register m;
	for (unsigned bits = 0; bits <= 12; bits += 4) {
		size_t size = native_make_register_solved(message, &caller, 1, cookie, 600, bits);
		assert_int_equal(size, 180);
		assert_int_equal(native_register_parse(message, size, &m), 0);
		assert_true(native_puzzle_bits(m.cookie, m.address, m.solution) >= bits);
		assert_true(verified(message, size, m.key));
	}
}

// Whoever takes a token's REGISTER for an address of his own needs another mac.
static void token_registrations(void **unused)
{
	(void)unused;
	static const uint8_t nonce[32] = {3}, output[64] = {4}, other_output[64] = {5};
	uint8_t message[NATIVE_MESSAGE_MAX], again[NATIVE_MESSAGE_MAX];
	struct native_register m;
	size_t size =
		native_make_register_token(message, &caller, 1, cookie, 600, 99, nonce, output);
	assert_int_equal(size, 240);
	assert_int_equal(native_register_parse(message, size, &m), 0);
	assert_int_equal(m.token.key_id, 99);
	assert_memory_equal(m.token.nonce, nonce, sizeof(nonce));
	assert_no_byte_may_change(message, size, m.key);
	memcpy(again, message, size);
	native_token_prove(again, size, output);
	assert_memory_equal(again, message, size);
	native_token_prove(again, size, other_output);
	assert_memory_not_equal(again, message, size);
	memcpy(again, message, size);
	again[40] ^= 1; // of the address
	native_token_prove(again, size, output);
	assert_memory_not_equal(again + 144, message + 144, NATIVE_TOKEN_MAC_SIZE);
}

static void calls(void **unused)
{
	(void)unused;
	uint8_t message[NATIVE_MESSAGE_MAX];
	struct native_open o;
	struct native_accept a;
	struct native_invite invite = {.open_id = open_id, .ticket = ticket};
	size_t size =
		native_make_open(message, &caller, 5, cookie, open_id, callee.address, "knock", 5);
	assert_int_equal(native_open_parse(message, size, &o), 0);
	assert_true(epoch_address_owned_by(o.caller, o.key));
	assert_memory_equal(o.callee, callee.address, NATIVE_ADDRESS_SIZE);
	assert_no_byte_may_change(message, size, o.key);
	size = native_make_accept(message, &callee, 6, cookie, &invite, true, "yes", 3);
	assert_int_equal(native_accept_parse(message, size, &a), 0);
	assert_true(epoch_address_owned_by(a.callee, a.key));
	assert_true(a.accept);
	assert_memory_equal(a.ticket, ticket, sizeof(ticket));
	assert_no_byte_may_change(message, size, a.key);
	size = native_make_accept(message, &callee, 6, cookie, &invite, false, NULL, 0);
	assert_int_equal(native_accept_parse(message, size, &a), 0);
	assert_false(a.accept);
	assert_int_equal(a.sealed_size, 0);
}

// Relay and client come to the same path key, and each side to one of its own.
static void path_keys(void **unused)
{
	(void)unused;
	uint8_t secret[32] = {1}, relay_key[32], shared[32], have[16], want[16], other[16];
	crypto_scalarmult_base(relay_key, secret);
	native_party_path_key(have, &caller, relay_key, open_id, false);
	assert_int_equal(crypto_scalarmult(shared, secret, caller.ephemeral), 0);
	native_path_key(want, shared, caller.ephemeral, relay_key, open_id, false);
	assert_memory_equal(have, want, sizeof(have));
	native_party_path_key(other, &caller, relay_key, open_id, true);
	assert_memory_not_equal(have, other, sizeof(have));
	native_party_path_key(other, &callee, relay_key, open_id, false);
	assert_memory_not_equal(have, other, sizeof(have));
}

static int setup(void **unused)
{
	(void)unused;
	if (sodium_init() < 0)
		return -1;
	native_party_make(&caller, 1, EPOCH);
	native_party_make(&callee, 2, EPOCH);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parties),
		cmocka_unit_test(registrations),
		cmocka_unit_test(solved_registrations),
		cmocka_unit_test(token_registrations),
		cmocka_unit_test(calls),
		cmocka_unit_test(path_keys),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
