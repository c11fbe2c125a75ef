// SPDX-License-Identifier: BSD-3-Clause
// What is computed over native messages, against values from an implementation of SipHash-2-4-128
// and BLAKE3 that shares nothing with the relay's, and itself agrees with both authors' vectors.
#include "lib/wire/native.h"

#include <sodium.h>

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static uint8_t key[16], token[12], open_id[16], address[32], shared[32], ephemeral[32],
	relay_key[32];
static const uint8_t transaction[] = {0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18};
static const struct native_handle handle = {0x1234, 0x89abcdef};

static void assert_hex(const uint8_t *have, const char *hex)
{
	uint8_t want[64];
	size_t size;
	assert_int_equal(
		sodium_hex2bin(want, sizeof(want), hex, strlen(hex), NULL, &size, NULL), 0);
	assert_memory_equal(have, want, size);
}

static void proofs(void **unused)
{
	(void)unused;
	uint8_t proof[16], sealed[NATIVE_SEALED_MAX];
	for (unsigned i = 0; i < sizeof(sealed); i++)
		sealed[i] = (uint8_t)(i % 251);
	struct native_path_response response = {transaction, handle, token, NULL};
	native_path_response_proof(proof, key, &response);
	assert_hex(proof, "90194bab737e0de70d6624c6ded342c2");
	struct native_opened opened = {
		transaction, open_id, handle, 60, 20, NULL, (const uint8_t *)"seald", 5};
	native_opened_proof(proof, key, &opened);
	assert_hex(proof, "3e4be6833d83652dcadd3a8901c94ed2");
	opened.sealed = NULL;
	opened.sealed_size = 0;
	native_opened_proof(proof, key, &opened);
	assert_hex(proof, "cc20f209594c10169a4512fcd7a64a72");
	opened.sealed = sealed;
	opened.sealed_size = sizeof(sealed);
	native_opened_proof(proof, key, &opened);
	assert_hex(proof, "dccb53c3f270c2c65efc5a7f745c6e3c");
	struct native_close close = {transaction, handle, NULL};
	native_close_proof(proof, key, &close);
	assert_hex(proof, "42d31f71e931de0843b6c92bbf873768");
	struct native_closed closed = {transaction, handle, NATIVE_CLOSED_DRAINING, NULL};
	native_closed_proof(proof, key, &closed);
	assert_hex(proof, "f1c3cd94600e5d4f1722a6470719101b");
}

// Two parts are their bytes in a row, and each may be none.
static void proof_of_parts(void **unused)
{
	(void)unused;
	uint8_t whole[16], parts[16];
	native_proof(whole, key, 'P', transaction, "abcdef", 6, NULL, 0);
	native_proof(parts, key, 'P', transaction, "abc", 3, "def", 3);
	assert_memory_equal(whole, parts, 16);
	native_proof(parts, key, 'P', transaction, NULL, 0, "abcdef", 6);
	assert_memory_equal(whole, parts, 16);
	native_proof(parts, key, 'C', transaction, "abcdef", 6, NULL, 0);
	assert_memory_not_equal(whole, parts, 16);
}

// No proof of a message serves for another: each field, and the key, changes it.
static void proof_of_other_fields(void **unused)
{
	(void)unused;
	uint8_t proof[16], other[16], other_key[16], other_transaction[8];
	struct native_opened opened = {
		transaction, open_id, handle, 60, 20, NULL, (const uint8_t *)"seald", 5};
	struct native_opened changed[6];
	for (unsigned i = 0; i < 6; i++)
		changed[i] = opened;
	memcpy(other_transaction, transaction, 8);
	other_transaction[7] ^= 1;
	changed[0].transaction = other_transaction;
	changed[1].open_id = key;
	changed[2].handle.index++;
	changed[3].handle.generation++;
	changed[4].lifetime++;
	changed[5].sealed_size--;
	native_opened_proof(proof, key, &opened);
	for (unsigned i = 0; i < 6; i++) {
		native_opened_proof(other, key, &changed[i]);
		assert_memory_not_equal(other, proof, 16);
	}
	memcpy(other_key, key, 16);
	other_key[15] ^= 0x80;
	native_opened_proof(other, other_key, &opened);
	assert_memory_not_equal(other, proof, 16);
}

static void path_keys(void **unused)
{
	(void)unused;
	uint8_t caller[16], callee[16];
	native_path_key(caller, shared, ephemeral, relay_key, open_id, false);
	native_path_key(callee, shared, ephemeral, relay_key, open_id, true);
	assert_hex(caller, "7cb1ed9e723dccc8628bd8dc4a7c0ac3");
	assert_hex(callee, "28e0ea69a1eaca13aaa3354c7f793a55");
}

static void puzzle(void **unused)
{
	(void)unused;
	// The first solutions, counted up from zero, that have so many bits.
	static const struct {
		uint16_t solution;
		unsigned bits;
	} known[] = {{0, 0}, {0x6, 1}, {0x1, 2}, {0x1c, 3}, {0x1a, 4}, {0x5, 5}, {0x1e, 6},
		{0x7d, 7}, {0x9d, 8}, {0x108, 9}, {0xe5f, 10}, {0x114e, 12}, {0x2f6, 15}};
	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		uint8_t solution[8] = {
			[6] = (uint8_t)(known[i].solution >> 8), [7] = (uint8_t)known[i].solution};
		assert_int_equal(native_puzzle_bits(token, address, solution), known[i].bits);
		// Solved for one cookie and address, it is as good as any other elsewhere.
		address[0] ^= 1;
		assert_true(native_puzzle_bits(token, address, solution) < 8);
		address[0] ^= 1;
		token[11] ^= 1;
		assert_true(native_puzzle_bits(token, address, solution) < 8);
		token[11] ^= 1;
	}
}

static void what_is_signed(void **unused)
{
	(void)unused;
	uint8_t message[NATIVE_MESSAGE_MAX + 1];
	uint8_t out[sizeof(NATIVE_SIGNATURE_CONTEXT) + NATIVE_MESSAGE_MAX];
	for (unsigned i = 0; i < sizeof(message); i++)
		message[i] = (uint8_t)(i * 7 + 1);
	assert_int_equal(native_signed(172), 108);
	assert_int_equal(native_signed(64), 0);
	assert_int_equal(native_signed(63), 0);
	assert_int_equal(native_signature_input(out, message, 172), 20 + 108);
	assert_memory_equal(out, "Blindrelay native 1\0", 20);
	assert_memory_equal(out + 20, message, 108);
	assert_int_equal(native_signature_input(out, message, NATIVE_MESSAGE_MAX),
		sizeof(NATIVE_SIGNATURE_CONTEXT) + NATIVE_MESSAGE_MAX - 64);
	assert_int_equal(native_signature_input(out, message, NATIVE_MESSAGE_MAX + 1), 0);
	assert_int_equal(native_signature_input(out, message, 64), 0);
	assert_int_equal(native_signature_input(out, message, 0), 0);
}

static void what_a_token_covers(void **unused)
{
	(void)unused;
	assert_int_equal(native_token_covered(240), 144);
	assert_int_equal(native_token_covered(96), 0);
	assert_int_equal(native_token_covered(95), 0);
	assert_int_equal(native_token_covered(0), 0);
}

static void count_up(uint8_t *bytes, size_t size, uint8_t first)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(first + i);
}

static int setup(void **unused)
{
	(void)unused;
	count_up(key, sizeof(key), 0x70);
	count_up(token, sizeof(token), 0xC0);
	count_up(open_id, sizeof(open_id), 0x30);
	count_up(address, sizeof(address), 0xA0);
	count_up(shared, sizeof(shared), 0x20);
	count_up(ephemeral, sizeof(ephemeral), 0xE0);
	count_up(relay_key, sizeof(relay_key), 0x50);
	return sodium_init() < 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(proofs),
		cmocka_unit_test(proof_of_parts),
		cmocka_unit_test(proof_of_other_fields),
		cmocka_unit_test(path_keys),
		cmocka_unit_test(puzzle),
		cmocka_unit_test(what_is_signed),
		cmocka_unit_test(what_a_token_covers),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
