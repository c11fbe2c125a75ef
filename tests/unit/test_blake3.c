// SPDX-License-Identifier: BSD-3-Clause
// BLAKE3 against its authors' outputs: some that are kept here, and all of the published file where
// it lies beside the project. Input in pieces of every kind gives the same as at once.
#include "lib/crypto/blake3.h"
#include "tests/vectors/blake3.h"

#include <jansson.h>
#include <sodium.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <string.h>

#define PUBLISHED "../shared/vectors/blake3/test_vectors.json"

enum { INPUT_MAX = 102400, OUTPUT_MAX = 256 };

static uint8_t input[INPUT_MAX];

enum mode { HASH, KEYED, DERIVED, MODES };

static void begin(struct blake3 *state, enum mode mode)
{
	if (mode == HASH)
		blake3_begin(state);
	else if (mode == KEYED)
		blake3_begin_keyed(state, (const uint8_t *)blake3_key);
	else
		blake3_begin_derive(state, blake3_context, strlen(blake3_context));
}

// hex: as much output as it has digits for.
static void assert_output(enum mode mode, size_t length, const char *hex)
{
	uint8_t want[OUTPUT_MAX], have[OUTPUT_MAX];
	size_t bytes;
	struct blake3 state;
	assert_true(length <= sizeof(input));
	assert_int_equal(
		sodium_hex2bin(want, sizeof(want), hex, strlen(hex), NULL, &bytes, NULL), 0);
	begin(&state, mode);
	blake3_add(&state, input, length);
	blake3_finish(&state, have, bytes);
	assert_memory_equal(have, want, bytes);
	// Finishing changes nothing, and shorter output is the beginning of longer.
	blake3_finish(&state, have, 32);
	assert_memory_equal(have, want, 32);
}

static void kept_vectors(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(blake3_vectors) / sizeof(blake3_vectors[0]); i++) {
		const struct blake3_vector *v = &blake3_vectors[i];
		assert_output(HASH, v->length, v->hash);
		assert_output(KEYED, v->length, v->keyed);
		assert_output(DERIVED, v->length, v->derived);
	}
	assert_int_equal(strlen(blake3_longer), 2 * BLAKE3_LONGER_LENGTH);
	assert_output(HASH, BLAKE3_LONGER_INPUT, blake3_longer);
}

static void published_vectors(void **unused)
{
	(void)unused;
	static const char *const names[MODES] = {"hash", "keyed_hash", "derive_key"};
	json_t *file = json_load_file(PUBLISHED, 0, NULL), *one;
	size_t index;
	if (file == NULL) {
		print_message("%s is not here: only the kept vectors are tested\n", PUBLISHED);
		skip();
	}
	const json_t *cases = json_object_get(file, "cases");
	assert_true(json_array_size(cases) >= 35);
	json_array_foreach(cases, index, one)
	{
		size_t length = (size_t)json_integer_value(json_object_get(one, "input_len"));
		for (unsigned mode = 0; mode < MODES; mode++)
			assert_output(
				mode, length, json_string_value(json_object_get(one, names[mode])));
	}
	json_decref(file);
}

static void pieces_are_the_whole(void **unused)
{
	(void)unused;
	static const size_t lengths[] = {0, 1, 64, 1024, 1025, 5000, 16384, 31744};
	for (size_t l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++) {
		uint8_t want[32], have[32];
		blake3_hash(input, lengths[l], want);
		for (size_t piece = 1; piece <= 2100; piece = piece * 3 / 2 + 1) {
			struct blake3 state;
			blake3_begin(&state);
			for (size_t at = 0; at < lengths[l]; at += piece) {
				size_t left = lengths[l] - at;
				blake3_add(&state, input + at, left < piece ? left : piece);
			}
			blake3_finish(&state, have, sizeof(have));
			assert_memory_equal(have, want, sizeof(want));
		}
	}
}

static void wiped(void **unused)
{
	(void)unused;
	struct blake3 state;
	static const struct blake3 zero;
	blake3_begin_keyed(&state, (const uint8_t *)blake3_key);
	blake3_add(&state, input, 100);
	blake3_wipe(&state);
	assert_memory_equal(&state, &zero, sizeof(zero));
}

static int setup(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(input); i++)
		input[i] = (uint8_t)(i % 251);
	return sodium_init() < 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kept_vectors),
		cmocka_unit_test(published_vectors),
		cmocka_unit_test(pieces_are_the_whole),
		cmocka_unit_test(wiped),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
