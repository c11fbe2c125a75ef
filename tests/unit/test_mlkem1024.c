// SPDX-License-Identifier: BSD-3-Clause
// ML-KEM-1024 against NIST's ACVP vectors and Wycheproof's (some are kept here, all are read where
// they lie beside the project), in every build that this processor runs; what is refused, and how a
// ciphertext is rejected.
// wrap: cpu_has_avx2
// wrap: cpu_has_avx512
#include "lib/crypto/keccak.h"
#include "lib/crypto/mlkem1024.h"
#include "tests/unit/cpu_builds.h"
#include "tests/vectors/mlkem1024.h"

#include <jansson.h>
#include <sodium.h>
#include <zlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ACVP       "../shared/vectors/mlkem/"
#define WYCHEPROOF "../shared/vectors/wycheproof/mlkem_1024_"

enum {
	PUBLIC = MLKEM1024_PUBLIC_SIZE,
	SECRET = MLKEM1024_SECRET_SIZE,
	CIPHERTEXT = MLKEM1024_CIPHERTEXT_SIZE,
	SHARED = MLKEM1024_SHARED_SIZE,
	Z = SECRET - 32, // where in a secret z is; before it is the hash of the public key
	COEFFICIENTS = 1024,
	Q = 3329,
};

static const uint8_t zero[CIPHERTEXT];

// ---- one vector ----

static void from_hex(uint8_t *out, size_t size, const char *hex)
{
	size_t length;
	assert_non_null(hex);
	assert_int_equal(sodium_hex2bin(out, size, hex, strlen(hex), NULL, &length, NULL), 0);
	assert_int_equal(length, size);
}

static void assert_pair(const uint8_t seed[static MLKEM1024_SEED_SIZE], const uint8_t *public_key,
	const uint8_t *secret)
{
	uint8_t have[PUBLIC];
	struct mlkem1024_secret own;
	for (build = 0; build < builds(); build++) {
		memset(have, 0xAA, sizeof(have));
		memset(&own, 0xAA, sizeof(own));
		assert_int_equal(mlkem1024_derive(have, &own, seed), 0);
		assert_memory_equal(have, public_key, PUBLIC);
		if (secret != NULL)
			assert_memory_equal(own.bytes, secret, SECRET);
	}
}

static void assert_encapsulates(const uint8_t *public_key, const uint8_t *message,
	const uint8_t *ciphertext, const uint8_t *shared)
{
	uint8_t have[CIPHERTEXT], have_shared[SHARED];
	for (build = 0; build < builds(); build++) {
		memset(have, 0xAA, sizeof(have));
		assert_int_equal(
			mlkem1024_encapsulate_with(have, have_shared, public_key, message), 0);
		assert_memory_equal(have, ciphertext, CIPHERTEXT);
		assert_memory_equal(have_shared, shared, SHARED);
	}
}

static void assert_key_refused(const uint8_t *public_key, const uint8_t *message)
{
	uint8_t have[CIPHERTEXT], have_shared[SHARED];
	for (build = 0; build < builds(); build++) {
		memset(have, 0xAA, sizeof(have));
		memset(have_shared, 0xAA, sizeof(have_shared));
		assert_int_equal(mlkem1024_encapsulate_with(have, have_shared, public_key, message),
			-EINVAL);
		assert_memory_equal(have, zero, CIPHERTEXT);
		assert_memory_equal(have_shared, zero, SHARED);
	}
}

static void assert_decapsulates(
	const struct mlkem1024_secret *secret, const uint8_t *ciphertext, const uint8_t *shared)
{
	uint8_t have[SHARED];
	for (build = 0; build < builds(); build++) {
		memset(have, 0xAA, sizeof(have));
		assert_int_equal(mlkem1024_decapsulate(have, secret, ciphertext), 0);
		assert_memory_equal(have, shared, SHARED);
	}
}

static void assert_secret_refused(const struct mlkem1024_secret *secret, const uint8_t *ciphertext)
{
	uint8_t have[SHARED];
	for (build = 0; build < builds(); build++) {
		memset(have, 0xAA, sizeof(have));
		assert_int_equal(mlkem1024_decapsulate(have, secret, ciphertext), -EINVAL);
		assert_memory_equal(have, zero, SHARED);
	}
}

// ---- vectors ----

static void kept_vectors(void **unused)
{
	(void)unused;
	uint8_t seed[MLKEM1024_SEED_SIZE], message[MLKEM1024_MESSAGE_SIZE];
	uint8_t public_key[PUBLIC], ciphertext[CIPHERTEXT], shared[SHARED];
	struct mlkem1024_secret secret;

	from_hex(seed, sizeof(seed), mlkem_seed);
	from_hex(secret.bytes, SECRET, mlkem_secret);
	assert_pair(seed, secret.bytes + SECRET - 64 - PUBLIC, secret.bytes);

	from_hex(message, sizeof(message), mlkem_message);
	from_hex(public_key, PUBLIC, mlkem_public_key);
	from_hex(ciphertext, CIPHERTEXT, mlkem_ciphertext);
	from_hex(shared, SHARED, mlkem_shared);
	assert_encapsulates(public_key, message, ciphertext, shared);

	from_hex(seed, sizeof(seed), mlkem_other_seed);
	assert_int_equal(mlkem1024_derive(public_key, &secret, seed), 0);
	from_hex(ciphertext, CIPHERTEXT, mlkem_refused_ciphertext);
	from_hex(shared, SHARED, mlkem_refused_shared);
	assert_decapsulates(&secret, ciphertext, shared);
}

// NULL, said so, when the file is not here.
static json_t *load(const char *name)
{
	enum { TEXT = 4 << 20 };
	char *text = malloc(TEXT);
	gzFile file = gzopen(name, "rb"); // reads what is not compressed as well
	assert_non_null(text);
	int length = file != NULL ? gzread(file, text, TEXT) : 0;
	json_t *json = file != NULL ? json_loadb(text, (size_t)length, 0, NULL) : NULL;
	if (file != NULL) {
		assert_in_range(length, 1, TEXT - 1);
		assert_non_null(json);
		gzclose(file);
	} else {
		print_message("%s is not here: only the kept vectors are tested\n", name);
	}
	free(text);
	return json;
}

static const char *string_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static bool valid(const json_t *test)
{
	return strcmp(string_of(test, "result"), "valid") == 0;
}

// What the second file says about a test of the first: the same place in the same group.
static const json_t *answer_to(const json_t *answers, const json_t *group, size_t t)
{
	size_t g;
	const json_t *other;
	json_array_foreach(json_object_get(answers, "testGroups"), g, other)
	{
		if (json_equal(json_object_get(other, "tgId"), json_object_get(group, "tgId")) != 1)
			continue;
		json_t *question = json_array_get(json_object_get(group, "tests"), t);
		json_t *answer = json_array_get(json_object_get(other, "tests"), t);
		assert_int_equal(json_equal(json_object_get(question, "tcId"),
					 json_object_get(answer, "tcId")),
			1);
		return answer;
	}
	fail();
	return NULL;
}

static void acvp_pair(const json_t *question, const json_t *answer)
{
	uint8_t seed[MLKEM1024_SEED_SIZE], public_key[PUBLIC], secret[SECRET];
	from_hex(seed, 32, string_of(question, "d"));
	from_hex(seed + 32, 32, string_of(question, "z"));
	from_hex(public_key, PUBLIC, string_of(answer, "ek"));
	from_hex(secret, SECRET, string_of(answer, "dk"));
	assert_pair(seed, public_key, secret);
}

static void acvp_encapsulation(const json_t *question, const json_t *answer)
{
	uint8_t public_key[PUBLIC], message[32], ciphertext[CIPHERTEXT], shared[SHARED];
	from_hex(public_key, PUBLIC, string_of(question, "ek"));
	from_hex(message, sizeof(message), string_of(question, "m"));
	from_hex(ciphertext, CIPHERTEXT, string_of(answer, "c"));
	from_hex(shared, SHARED, string_of(answer, "k"));
	assert_encapsulates(public_key, message, ciphertext, shared);
}

static void acvp_decapsulation(const json_t *group, const json_t *question, const json_t *answer)
{
	uint8_t ciphertext[CIPHERTEXT], shared[SHARED];
	struct mlkem1024_secret secret;
	from_hex(secret.bytes, SECRET, string_of(group, "dk"));
	from_hex(ciphertext, CIPHERTEXT, string_of(question, "c"));
	from_hex(shared, SHARED, string_of(answer, "k"));
	assert_decapsulates(&secret, ciphertext, shared);
}

static void acvp(void **unused)
{
	(void)unused;
	static const char *const names[2][2] = {
		{ACVP "keyGen-prompt.json.gz", ACVP "keyGen-expectedResults.json.gz"},
		{ACVP "encapDecap-prompt.json.gz", ACVP "encapDecap-expectedResults.json.gz"},
	};
	unsigned pairs = 0, encapsulations = 0, decapsulations = 0;
	for (unsigned i = 0; i < 2; i++) {
		json_t *questions = load(names[i][0]), *answers = load(names[i][1]);
		const json_t *group, *question;
		size_t g, t;
		if (questions == NULL || answers == NULL)
			skip();
		json_array_foreach(json_object_get(questions, "testGroups"), g, group)
		{
			const char *function = string_of(group, "function");
			if (strcmp(string_of(group, "parameterSet"), "ML-KEM-1024") != 0)
				continue;
			json_array_foreach(json_object_get(group, "tests"), t, question)
			{
				const json_t *answer = answer_to(answers, group, t);
				if (function == NULL) {
					acvp_pair(question, answer);
					pairs++;
				} else if (strcmp(function, "encapsulation") == 0) {
					acvp_encapsulation(question, answer);
					encapsulations++;
				} else {
					acvp_decapsulation(group, question, answer);
					decapsulations++;
				}
			}
		}
		json_decref(questions);
		json_decref(answers);
	}
	assert_int_equal(pairs, 25);
	assert_int_equal(encapsulations, 25);
	assert_int_equal(decapsulations, 10);
}

// Whether both are as long as ours; others' lengths are for the caller to refuse.
static bool lengths_good(
	const json_t *test, const char *key, size_t size, const char *other_key, size_t other_size)
{
	return strlen(string_of(test, key)) == 2 * size &&
	       strlen(string_of(test, other_key)) == 2 * other_size;
}

static bool wycheproof_pair(const json_t *test)
{
	uint8_t seed[MLKEM1024_SEED_SIZE], public_key[PUBLIC], secret[SECRET];
	from_hex(seed, sizeof(seed), string_of(test, "seed"));
	from_hex(public_key, PUBLIC, string_of(test, "ek"));
	from_hex(secret, SECRET, string_of(test, "dk"));
	assert_pair(seed, public_key, secret);
	return true;
}

static bool wycheproof_encapsulation(const json_t *test)
{
	uint8_t public_key[PUBLIC], message[32], ciphertext[CIPHERTEXT], shared[SHARED];
	if (!lengths_good(test, "ek", PUBLIC, "m", sizeof(message)))
		return false;
	from_hex(public_key, PUBLIC, string_of(test, "ek"));
	from_hex(message, sizeof(message), string_of(test, "m"));
	if (!valid(test)) {
		assert_key_refused(public_key, message);
		return true;
	}
	from_hex(ciphertext, CIPHERTEXT, string_of(test, "c"));
	from_hex(shared, SHARED, string_of(test, "K"));
	assert_encapsulates(public_key, message, ciphertext, shared);
	return true;
}

static bool wycheproof_from_seed(const json_t *test)
{
	uint8_t seed[MLKEM1024_SEED_SIZE], public_key[PUBLIC], ciphertext[CIPHERTEXT],
		shared[SHARED];
	struct mlkem1024_secret secret;
	if (!lengths_good(test, "seed", sizeof(seed), "c", CIPHERTEXT))
		return false;
	assert_true(valid(test)); // no ciphertext of the right length is an error
	from_hex(seed, sizeof(seed), string_of(test, "seed"));
	from_hex(public_key, PUBLIC, string_of(test, "ek"));
	from_hex(ciphertext, CIPHERTEXT, string_of(test, "c"));
	from_hex(shared, SHARED, string_of(test, "K"));
	assert_pair(seed, public_key, NULL);
	assert_int_equal(mlkem1024_derive(public_key, &secret, seed), 0);
	assert_decapsulates(&secret, ciphertext, shared);
	return true;
}

static bool wycheproof_with_secret(const json_t *test)
{
	uint8_t ciphertext[CIPHERTEXT], shared[SHARED];
	struct mlkem1024_secret secret;
	if (!lengths_good(test, "dk", SECRET, "c", CIPHERTEXT))
		return false;
	from_hex(secret.bytes, SECRET, string_of(test, "dk"));
	from_hex(ciphertext, CIPHERTEXT, string_of(test, "c"));
	if (!valid(test)) {
		assert_secret_refused(&secret, ciphertext);
		return true;
	}
	from_hex(shared, SHARED, string_of(test, "K"));
	assert_decapsulates(&secret, ciphertext, shared);
	return true;
}

static void wycheproof(void **unused)
{
	(void)unused;
	static const struct {
		const char *name;
		bool (*run)(const json_t *test);
		unsigned tested, of_other_lengths;
	} files[] = {
		{WYCHEPROOF "keygen_seed_test.json", wycheproof_pair, 100, 0},
		{WYCHEPROOF "encaps_test.json", wycheproof_encapsulation, 249, 20},
		{WYCHEPROOF "test.json", wycheproof_from_seed, 153, 40},
		{WYCHEPROOF "semi_expanded_decaps_test.json", wycheproof_with_secret, 5, 4},
	};
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		json_t *file = load(files[i].name);
		const json_t *group, *test;
		size_t g, t;
		unsigned tested = 0, of_other_lengths = 0;
		if (file == NULL)
			skip();
		json_array_foreach(json_object_get(file, "testGroups"), g, group)
			json_array_foreach(json_object_get(group, "tests"), t, test)
		{
			if (files[i].run(test)) {
				tested++;
			} else {
				assert_false(valid(test));
				of_other_lengths++;
			}
		}
		json_decref(file);
		assert_int_equal(tested, files[i].tested);
		assert_int_equal(of_other_lengths, files[i].of_other_lengths);
	}
}

// ---- properties ----

static void both_sides_share(void **unused)
{
	(void)unused;
	uint8_t public_key[PUBLIC], other_key[PUBLIC], ciphertext[CIPHERTEXT], other[CIPHERTEXT];
	uint8_t shared[SHARED], other_shared[SHARED];
	struct mlkem1024_secret secret;
	for (unsigned i = 0; i < 24; i++) {
		build = i % builds();
		assert_int_equal(mlkem1024_generate(other_key, &secret), 0);
		assert_int_equal(mlkem1024_generate(public_key, &secret), 0);
		assert_memory_not_equal(public_key, other_key, PUBLIC);
		assert_int_equal(mlkem1024_encapsulate(other, other_shared, public_key), 0);
		assert_int_equal(mlkem1024_encapsulate(ciphertext, shared, public_key), 0);
		assert_memory_not_equal(ciphertext, other, CIPHERTEXT);
		assert_memory_not_equal(shared, other_shared, SHARED);
		assert_decapsulates(&secret, ciphertext, shared);
		assert_decapsulates(&secret, other, other_shared);
	}
}

// What the standard has an altered ciphertext give: SHAKE256 of z and it.
static void rejection(uint8_t out[static SHARED], const struct mlkem1024_secret *secret,
	const uint8_t ciphertext[static CIPHERTEXT])
{
	struct keccak state;
	keccak_begin(&state, SHAKE256_RATE);
	keccak_add(&state, secret->bytes + Z, 32);
	keccak_add(&state, ciphertext, CIPHERTEXT);
	keccak_finish(&state, SHAKE_SUFFIX, out, SHARED);
}

static void every_byte_of_a_ciphertext_counts(void **unused)
{
	(void)unused;
	uint8_t public_key[PUBLIC], ciphertext[CIPHERTEXT], shared[SHARED], want[SHARED],
		have[SHARED];
	struct mlkem1024_secret secret;
	assert_int_equal(mlkem1024_generate(public_key, &secret), 0);
	assert_int_equal(mlkem1024_encapsulate(ciphertext, shared, public_key), 0);
	// A high and a low bit of each byte: a low one is decrypted to the same message.
	for (unsigned i = 0; i < 2 * CIPHERTEXT; i++) {
		unsigned byte = i / 2;
		uint8_t bit = (uint8_t)(1 << (byte + i % 2 * 4) % 8);
		build = i % builds();
		ciphertext[byte] ^= bit;
		rejection(want, &secret, ciphertext);
		assert_int_equal(mlkem1024_decapsulate(have, &secret, ciphertext), 0);
		assert_memory_equal(have, want, SHARED);
		ciphertext[byte] ^= bit;
	}
	// Who does not know z cannot tell.
	secret.bytes[Z] ^= 1;
	assert_decapsulates(&secret, ciphertext, shared);
	ciphertext[0] ^= 1;
	rejection(want, &secret, ciphertext);
	assert_decapsulates(&secret, ciphertext, want);
}

// Coefficient i of a public key, of 12 bits.
static void set_coefficient(uint8_t public_key[static PUBLIC], unsigned i, unsigned value)
{
	uint8_t *at = public_key + i / 2 * 3;
	if (i % 2 == 0) {
		at[0] = (uint8_t)value;
		at[1] = (uint8_t)((at[1] & 0xf0) | value >> 8);
	} else {
		at[1] = (uint8_t)((at[1] & 0x0f) | value << 4);
		at[2] = (uint8_t)(value >> 4);
	}
}

static void coefficients_are_below_q(void **unused)
{
	(void)unused;
	uint8_t public_key[PUBLIC], bent[PUBLIC], message[32] = {1}, ciphertext[CIPHERTEXT],
						  shared[SHARED];
	struct mlkem1024_secret secret;
	assert_int_equal(mlkem1024_generate(public_key, &secret), 0);
	for (unsigned i = 0; i < COEFFICIENTS; i++) {
		memcpy(bent, public_key, PUBLIC);
		set_coefficient(bent, i, i % 3 == 0 ? Q : i % 3 == 1 ? 4095 : Q + 1 + i % 700);
		assert_key_refused(bent, message);
		set_coefficient(bent, i, Q - 1);
		if (i % 16 == 0)
			assert_int_equal(
				mlkem1024_encapsulate_with(ciphertext, shared, bent, message), 0);
	}
}

static void damaged_secrets(void **unused)
{
	(void)unused;
	uint8_t public_key[PUBLIC], ciphertext[CIPHERTEXT], shared[SHARED];
	struct mlkem1024_secret secret;
	assert_int_equal(mlkem1024_generate(public_key, &secret), 0);
	assert_int_equal(mlkem1024_encapsulate(ciphertext, shared, public_key), 0);
	for (unsigned i = Z - 32 - PUBLIC; i < Z; i++) {
		secret.bytes[i] ^= (uint8_t)(1 << i % 8);
		assert_secret_refused(&secret, ciphertext);
		secret.bytes[i] ^= (uint8_t)(1 << i % 8);
	}
	assert_decapsulates(&secret, ciphertext, shared);
}

static int setup(void **unused)
{
	(void)unused;
	return sodium_init() < 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kept_vectors),
		cmocka_unit_test(acvp),
		cmocka_unit_test(wycheproof),
		cmocka_unit_test(both_sides_share),
		cmocka_unit_test(every_byte_of_a_ciphertext_counts),
		cmocka_unit_test(coefficients_are_below_q),
		cmocka_unit_test(damaged_secrets),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
