// SPDX-License-Identifier: BSD-3-Clause
// Ed25519 key blinding against Tor's vectors (some are kept here, all are read where they lie
// beside the project) and verification against Wycheproof's; which public keys are refused.
#include "lib/crypto/blinding.h"
#include "tests/vectors/blinding.h"

#include <jansson.h>
#include <sodium.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PUBLISHED  "../shared/vectors/ed25519-blinding/ed25519_vectors.inc"
#define WYCHEPROOF "../shared/vectors/wycheproof/ed25519_test.json"

enum { MESSAGE_MAX = 2048 };

static void from_hex(uint8_t *out, size_t size, const char *hex)
{
	size_t length;
	assert_non_null(hex);
	assert_int_equal(sodium_hex2bin(out, size, hex, strlen(hex), NULL, &length, NULL), 0);
	assert_int_equal(length, size);
}

static void assert_vector(const struct blinding_vector *v)
{
	uint8_t seed[32], public_key[32], factor[32], want[64], have[64];
	struct blinding_secret secret, blinded;
	from_hex(seed, 32, v->seed);
	from_hex(public_key, 32, v->public_key);
	from_hex(factor, 32, v->factor);

	blinding_secret_expand(&secret, seed);
	from_hex(want, 64, v->expanded);
	assert_memory_equal(&secret, want, 64);
	blinding_secret_public(have, &secret);
	assert_memory_equal(have, public_key, 32);

	blinding_secret_key(&blinded, &secret, factor);
	from_hex(want, 64, v->blinded_secret);
	assert_memory_equal(&blinded, want, 64);
	assert_int_equal(blinding_public_key(have, public_key, factor), 0);
	from_hex(want, 32, v->blinded_public);
	assert_memory_equal(have, want, 32);
	blinding_secret_public(have, &blinded);
	assert_memory_equal(have, want, 32);

	blinding_sign(have, public_key, 32, &secret, public_key);
	from_hex(want, 64, v->signature);
	assert_memory_equal(have, want, 64);
	assert_true(blinding_verify(have, public_key, 32, public_key));
}

static void kept_vectors(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(blinding_vectors) / sizeof(blinding_vectors[0]); i++)
		assert_vector(&blinding_vectors[i]);
}

// The n-th string of the C array `name` in text: adjacent literals are one, as in C.
static const char *string_of(char *out, size_t size, const char *text, const char *name, unsigned n)
{
	size_t length = 0;
	const char *at = strstr(text, name), *end = at ? strstr(at, "};") : NULL;
	if (end == NULL)
		return NULL;
	for (at = strchr(at, '{'); n > 0 && at < end; at++)
		n -= *at == ',';
	bool inside = false;
	for (; at < end && *at != ','; at++) {
		if (*at == '"')
			inside = !inside;
		else if (inside && length + 1 < size)
			out[length++] = *at;
	}
	out[length] = 0;
	return length ? out : NULL;
}

static void published_vectors(void **unused)
{
	(void)unused;
	static const char *const names[] = {" *ED25519_SECRET_KEYS[]",
		"*ED25519_EXPANDED_SECRET_KEYS[]", " *ED25519_PUBLIC_KEYS[]",
		"*ED25519_BLINDING_PARAMS[]", "*ED25519_BLINDED_SECRET_KEYS[]",
		"*ED25519_BLINDED_PUBLIC_KEYS[]", "*ED25519_SELF_SIGNATURES[]"};
	static char text[65536];
	FILE *file = fopen(PUBLISHED, "r");
	if (file == NULL) {
		print_message("%s is not here: only the kept vectors are tested\n", PUBLISHED);
		skip();
	}
	size_t length = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	assert_in_range(length, 1, sizeof(text) - 2);
	unsigned tested = 0;
	for (;; tested++) {
		char hex[7][160];
		const char *field[7];
		for (unsigned i = 0; i < 7; i++)
			field[i] = string_of(hex[i], sizeof(hex[i]), text, names[i], tested);
		if (field[0] == NULL)
			break;
		const struct blinding_vector v = {
			field[0], field[1], field[2], field[3], field[4], field[5], field[6]};
		assert_vector(&v);
	}
	assert_int_equal(tested, 10);
}

static void wycheproof(void **unused)
{
	(void)unused;
	json_t *file = json_load_file(WYCHEPROOF, 0, NULL), *group, *one;
	size_t g, t, valid = 0, invalid = 0;
	if (file == NULL) {
		print_message("%s is not here\n", WYCHEPROOF);
		skip();
	}
	json_array_foreach(json_object_get(file, "testGroups"), g, group)
	{
		uint8_t key[32];
		from_hex(key, 32,
			json_string_value(
				json_object_get(json_object_get(group, "publicKey"), "pk")));
		json_array_foreach(json_object_get(group, "tests"), t, one)
		{
			uint8_t message[MESSAGE_MAX], signature[64];
			const char *m = json_string_value(json_object_get(one, "msg"));
			const char *s = json_string_value(json_object_get(one, "sig"));
			bool expected = strcmp(json_string_value(json_object_get(one, "result")),
						"valid") == 0;
			// Ours have one length, of which the caller has made sure.
			if (strlen(s) != 2 * sizeof(signature)) {
				assert_false(expected);
				continue;
			}
			assert_true(strlen(m) / 2 <= sizeof(message));
			from_hex(message, strlen(m) / 2, m);
			from_hex(signature, sizeof(signature), s);
			assert_int_equal(
				blinding_verify(signature, message, strlen(m) / 2, key), expected);
			valid += expected;
			invalid += !expected;
		}
	}
	json_decref(file);
	assert_int_equal(valid, 88);
	assert_int_equal(invalid, 51);
}

static void blinded_keys_sign(void **unused)
{
	(void)unused;
	for (unsigned i = 0; i < 32; i++) {
		uint8_t seed[32], factor[32], public_key[32], blinded_key[32], message[100],
			signature[64];
		struct blinding_secret secret, blinded;
		randombytes_buf(seed, sizeof(seed));
		randombytes_buf(factor, sizeof(factor));
		randombytes_buf(message, sizeof(message));
		blinding_secret_expand(&secret, seed);
		blinding_secret_public(public_key, &secret);
		blinding_secret_key(&blinded, &secret, factor);
		assert_int_equal(blinding_public_key(blinded_key, public_key, factor), 0);
		blinding_sign(signature, message, 3 * i, &blinded, blinded_key);
		assert_true(blinding_verify(signature, message, 3 * i, blinded_key));
		assert_false(blinding_verify(signature, message, 3 * i, public_key));
		assert_false(blinding_verify(signature, message, 3 * i + 1, blinded_key));
		// In place, and blinded again.
		blinding_secret_key(&secret, &secret, factor);
		assert_memory_equal(&secret, &blinded, sizeof(secret));
		assert_int_equal(blinding_public_key(public_key, public_key, factor), 0);
		assert_memory_equal(public_key, blinded_key, 32);
		blinding_secret_key(&secret, &secret, seed);
		assert_int_equal(blinding_public_key(public_key, public_key, seed), 0);
		blinding_sign(signature, message, sizeof(message), &secret, public_key);
		assert_true(blinding_verify(signature, message, sizeof(message), public_key));
	}
}

// The same signatures as libsodium's, whose secret key is seed and public key.
static void plain_signatures(void **unused)
{
	(void)unused;
	uint8_t seed[32], public_key[32], full[64], message[300], want[64], have[64];
	struct blinding_secret secret;
	for (unsigned i = 0; i < 300; i += 13) {
		randombytes_buf(seed, sizeof(seed));
		randombytes_buf(message, sizeof(message));
		crypto_sign_seed_keypair(public_key, full, seed);
		crypto_sign_detached(want, NULL, message, i, full);
		blinding_secret_expand(&secret, seed);
		blinding_sign(have, message, i, &secret, public_key);
		assert_memory_equal(have, want, 64);
	}
}

// One key and one signature that the tests below bend.
static void one_signature(uint8_t public_key[static 32], uint8_t signature[static 64])
{
	struct blinding_secret secret;
	static const uint8_t seed[32] = {7};
	blinding_secret_expand(&secret, seed);
	blinding_secret_public(public_key, &secret);
	blinding_sign(signature, (const uint8_t *)"bend", 4, &secret, public_key);
}

static void every_bit_counts(void **unused)
{
	(void)unused;
	uint8_t key[32], signature[64], message[4] = "bend";
	one_signature(key, signature);
	assert_true(blinding_verify(signature, message, 4, key));
	for (unsigned bit = 0; bit < 64 * 8; bit++) {
		signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(blinding_verify(signature, message, 4, key));
		signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (unsigned bit = 0; bit < 32 * 8; bit++) {
		key[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(blinding_verify(signature, message, 4, key));
		key[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (unsigned bit = 0; bit < 4 * 8; bit++) {
		message[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(blinding_verify(signature, message, 4, key));
		message[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

// The order of the group is 0 as a scalar: S and S + order would be two signatures of one message.
static void signature_is_not_malleable(void **unused)
{
	(void)unused;
	static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6,
		0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10};
	uint8_t key[32], signature[64];
	one_signature(key, signature);
	for (unsigned times = 1; times < 16; times++) {
		sodium_add(signature + 32, order, 32);
		assert_false(blinding_verify(signature, (const uint8_t *)"bend", 4, key));
	}
}

static const char *const small_orders[] = {
	"0100000000000000000000000000000000000000000000000000000000000000",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0000000000000000000000000000000000000000000000000000000000000080",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
};

enum { SMALL_ORDERS = sizeof(small_orders) / sizeof(small_orders[0]) };

static void assert_refused(const uint8_t key[static 32])
{
	static const uint8_t factor[32] = {1, 2, 3}, zero[32];
	uint8_t blinded[32];
	memset(blinded, 0xAA, sizeof(blinded));
	assert_int_equal(blinding_public_key(blinded, key, factor), -EINVAL);
	assert_memory_equal(blinded, zero, sizeof(blinded));
}

static void points_that_are_no_keys(void **unused)
{
	(void)unused;
	static const char *const encodings[] = {
		// y = p, p + 1 (the identity again), p + 3, 2^255 - 1
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		// x = 0 with the sign of another
		"0100000000000000000000000000000000000000000000000000000000000080",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		// not on the curve
		"0200000000000000000000000000000000000000000000000000000000000000",
		"0700000000000000000000000000000000000000000000000000000000000080",
	};
	uint8_t key[32], signature[64], small[32], mixed[32];
	for (size_t i = 0; i < sizeof(encodings) / sizeof(encodings[0]); i++) {
		from_hex(key, sizeof(key), encodings[i]);
		assert_refused(key);
	}
	one_signature(key, signature);
	for (unsigned i = 0; i < SMALL_ORDERS; i++) {
		from_hex(small, sizeof(small), small_orders[i]);
		assert_refused(small);
		// R and S of zero verify anything under a key of small order, were it not refused.
		uint8_t forged[64] = {1};
		assert_false(blinding_verify(forged, (const uint8_t *)"any", 3, small));
		memcpy(forged, small, 32);
		assert_false(blinding_verify(forged, (const uint8_t *)"any", 3, key));
		// A good key, off the prime-order group by a point of small order.
		assert_int_equal(crypto_core_ed25519_add(mixed, key, small), 0);
		if (i > 0)
			assert_refused(mixed);
		else
			assert_memory_equal(mixed, key, sizeof(mixed));
	}
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
		cmocka_unit_test(published_vectors),
		cmocka_unit_test(wycheproof),
		cmocka_unit_test(blinded_keys_sign),
		cmocka_unit_test(plain_signatures),
		cmocka_unit_test(every_bit_counts),
		cmocka_unit_test(signature_is_not_malleable),
		cmocka_unit_test(points_that_are_no_keys),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
