// SPDX-License-Identifier: BSD-3-Clause
// Integrity attributes, keys, USERHASH and REST passwords against published vectors, and what must
// not verify.
#include "lib/wire/stun_integrity.h"

#include "tests/unit/stun_vectors.h"

#include <sodium.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t transaction[STUN_TRANSACTION_LENGTH] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
static const char *const username = (const char *)vector_username;

static struct stun_key short_term(void)
{
	struct stun_key key = {.length = sizeof(vector_password) - 1};
	memcpy(key.bytes, vector_password, key.length);
	return key;
}

static struct stun_key long_term(enum stun_password_algorithm algorithm)
{
	struct stun_key key;
	assert_int_equal(
		stun_key_long_term(algorithm, username, sizeof(vector_username), vector_realm,
			vector_long_term_password, strlen(vector_long_term_password), &key),
		0);
	return key;
}

static void parse(struct stun_message *m, const void *data, size_t length)
{
	assert_int_equal(stun_parse(data, length, m), 0);
}

static void test_rfc5769_integrity(void **state)
{
	(void)state;
	struct stun_message m;
	struct stun_key key = short_term();
	parse(&m, vector_request, sizeof(vector_request));
	assert_int_equal(stun_verify_integrity(&m, &key), 0);
	parse(&m, vector_response_ipv4, sizeof(vector_response_ipv4));
	assert_int_equal(stun_verify_integrity(&m, &key), 0);
	parse(&m, vector_response_ipv6, sizeof(vector_response_ipv6));
	assert_int_equal(stun_verify_integrity(&m, &key), 0);
	key = long_term(STUN_PASSWORD_MD5);
	assert_int_equal(key.length, 16);
	parse(&m, vector_long_term, sizeof(vector_long_term));
	assert_int_equal(stun_verify_integrity(&m, &key), 0);
	assert_int_equal(stun_verify_integrity_sha256(&m, &key), -ENOENT);
}

static void test_rfc8489_userhash_and_sha256(void **state)
{
	(void)state;
	struct stun_message m;
	struct stun_attribute a;
	uint8_t hash[STUN_USERHASH_LENGTH];
	struct stun_key key = long_term(STUN_PASSWORD_SHA256);
	assert_int_equal(key.length, 32);
	parse(&m, vector_userhash, sizeof(vector_userhash));
	stun_userhash(username, sizeof(vector_username), vector_realm, hash);
	assert_true(stun_find(&m, STUN_USERHASH, &a));
	assert_int_equal(a.length, sizeof(hash));
	assert_memory_equal(a.value, hash, sizeof(hash));
	assert_int_equal(stun_verify_integrity_sha256(&m, &key), 0);
	assert_int_equal(stun_verify_integrity(&m, &key), -ENOENT);
	key = long_term(STUN_PASSWORD_MD5);
	assert_int_equal(stun_verify_integrity_sha256(&m, &key), -EACCES);
}

// RFC 8489 18.5.1.1 gives this key as an example.
static void test_long_term_key_example(void **state)
{
	(void)state;
	static const uint8_t expected[16] = {0x84, 0x93, 0xfb, 0xc5, 0x3b, 0xa5, 0x82, 0xfb, 0x4c,
		0x04, 0x4c, 0x45, 0x6b, 0xdc, 0x40, 0xeb};
	struct stun_key key;
	assert_int_equal(
		stun_key_long_term(STUN_PASSWORD_MD5, "user", 4, "realm", "pass", 4, &key), 0);
	assert_memory_equal(key.bytes, expected, 16);
	assert_int_equal(stun_key_long_term((enum stun_password_algorithm)3, "user", 4, "realm",
				 "pass", 4, &key),
		-ENOTSUP);
	assert_int_equal(key.length, 0);
}

// The lengths count, not a terminating zero.
static void test_key_uses_given_lengths(void **state)
{
	(void)state;
	struct stun_key exact, longer;
	for (int algorithm = STUN_PASSWORD_MD5; algorithm <= STUN_PASSWORD_SHA256; algorithm++) {
		stun_key_long_term((enum stun_password_algorithm)algorithm, "user", 4, "realm",
			"pass", 4, &exact);
		stun_key_long_term((enum stun_password_algorithm)algorithm, "userXX", 4, "realm",
			"passYY", 4, &longer);
		assert_memory_equal(&exact, &longer, sizeof(exact));
		stun_key_long_term((enum stun_password_algorithm)algorithm, "userX", 5, "realm",
			"pass", 4, &longer);
		assert_memory_not_equal(exact.bytes, longer.bytes, exact.length);
	}
}

static void test_key_wipe(void **state)
{
	(void)state;
	static const struct stun_key zero;
	struct stun_key key = long_term(STUN_PASSWORD_SHA256);
	assert_memory_not_equal(&key, &zero, sizeof(key));
	stun_key_wipe(&key);
	assert_memory_equal(&key, &zero, sizeof(key));
}

// HMAC-SHA1 of RFC 2202 case 2, in base64.
static void test_rest_password(void **state)
{
	(void)state;
	char password[29];
	static const char text[] = "what do ya want for nothing?";
	memset(password, 'x', sizeof(password));
	stun_rest_password("Jefe", text, strlen(text), password);
	assert_string_equal(password, "7/zfauXrL6LSdBbV8YTfnCWafHk=");
	stun_rest_password("Jefe", "what do ya want for nothing?and more", strlen(text), password);
	assert_string_equal(password, "7/zfauXrL6LSdBbV8YTfnCWafHk=");
	stun_rest_password("other", text, strlen(text), password);
	assert_string_not_equal(password, "7/zfauXrL6LSdBbV8YTfnCWafHk=");
}

// Every bit of a covered byte, of the MAC and of the key matters.
static void test_any_flipped_bit_is_refused(void **state)
{
	(void)state;
	struct stun_key key = long_term(STUN_PASSWORD_SHA256);
	uint8_t copy[sizeof(vector_userhash)];
	unsigned parsed = 0;
	for (size_t bit = 0; bit < sizeof(copy) * 8; bit++) {
		struct stun_message m;
		memcpy(copy, vector_userhash, sizeof(copy));
		copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (stun_parse(copy, sizeof(copy), &m) < 0)
			continue;
		parsed++;
		assert_int_not_equal(stun_verify_integrity_sha256(&m, &key), 0);
	}
	assert_true(parsed > sizeof(copy) * 6);
	for (unsigned bit = 0; bit < 256; bit++) {
		struct stun_message m;
		struct stun_key wrong = key;
		wrong.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		parse(&m, vector_userhash, sizeof(vector_userhash));
		assert_int_equal(stun_verify_integrity_sha256(&m, &wrong), -EACCES);
	}
}

static void test_flipped_bits_sha1(void **state)
{
	(void)state;
	struct stun_key key = long_term(STUN_PASSWORD_MD5);
	uint8_t copy[sizeof(vector_long_term)];
	unsigned parsed = 0;
	for (size_t bit = 0; bit < sizeof(copy) * 8; bit++) {
		struct stun_message m;
		memcpy(copy, vector_long_term, sizeof(copy));
		copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (stun_parse(copy, sizeof(copy), &m) < 0)
			continue;
		parsed++;
		assert_int_not_equal(stun_verify_integrity(&m, &key), 0);
	}
	assert_true(parsed > sizeof(copy) * 6);
}

static void test_built_messages_verify(void **state)
{
	(void)state;
	uint8_t buffer[512];
	struct stun_message m;
	struct stun_key md5 = long_term(STUN_PASSWORD_MD5);
	struct stun_key sha256 = long_term(STUN_PASSWORD_SHA256);
	struct stun_builder b =
		stun_begin(buffer, sizeof(buffer), STUN_ALLOCATE, STUN_SUCCESS, transaction);
	stun_add_u32(&b, STUN_LIFETIME, 600);
	stun_add_integrity(&b, &md5);
	stun_add_integrity_sha256(&b, &sha256);
	stun_add_fingerprint(&b);
	size_t length = stun_finish(&b);
	assert_int_equal(length, 20 + 8 + 24 + 36 + 8);
	parse(&m, buffer, length);
	assert_int_equal(m.integrity_offset, 28);
	assert_int_equal(m.integrity_sha256_offset, 52);
	assert_true(m.has_fingerprint);
	assert_int_equal(stun_verify_integrity(&m, &md5), 0);
	assert_int_equal(stun_verify_integrity_sha256(&m, &sha256), 0);
	assert_int_equal(stun_verify_integrity(&m, &sha256), -EACCES);
	assert_int_equal(stun_verify_integrity_sha256(&m, &md5), -EACCES);
}

// Rebuilding the long-term vectors gives the published bytes.
static void test_rebuild_vectors(void **state)
{
	(void)state;
	uint8_t buffer[256];
	struct stun_message m;
	struct stun_attribute a;
	struct stun_key md5 = long_term(STUN_PASSWORD_MD5);
	struct stun_key sha256 = long_term(STUN_PASSWORD_SHA256);

	parse(&m, vector_long_term, sizeof(vector_long_term));
	struct stun_builder b = stun_begin(
		buffer, sizeof(buffer), STUN_BINDING, STUN_REQUEST, stun_transaction(&m));
	for (size_t offset = 0; stun_next(&m, &offset, &a) && a.type != STUN_MESSAGE_INTEGRITY;)
		stun_add(&b, a.type, a.value, a.length);
	stun_add_integrity(&b, &md5);
	assert_int_equal(stun_finish(&b), sizeof(vector_long_term));
	assert_memory_equal(buffer, vector_long_term, sizeof(vector_long_term));

	parse(&m, vector_userhash, sizeof(vector_userhash));
	b = stun_begin(buffer, sizeof(buffer), STUN_BINDING, STUN_REQUEST, stun_transaction(&m));
	for (size_t offset = 0;
		stun_next(&m, &offset, &a) && a.type != STUN_MESSAGE_INTEGRITY_SHA256;)
		stun_add(&b, a.type, a.value, a.length);
	stun_add_integrity_sha256(&b, &sha256);
	assert_int_equal(stun_finish(&b), sizeof(vector_userhash));
	assert_memory_equal(buffer, vector_userhash, sizeof(vector_userhash));
}

// A Refresh whose only attribute is an HMAC-SHA256 of `n` value bytes, right in the first `n` of
// them. Computed here with libsodium alone, over a header that counts the cut attribute.
static size_t cut_mac_message(uint8_t out[128], unsigned n, const struct stun_key *key)
{
	uint8_t mac[crypto_auth_hmacsha256_BYTES];
	crypto_auth_hmacsha256_state state;
	unsigned padded = (n + 3) & ~3u;
	memset(out, 0, 128);
	struct stun_builder b = stun_begin(out, 128, STUN_REFRESH, STUN_REQUEST, transaction);
	assert_int_equal(stun_finish(&b), 20);
	out[3] = (uint8_t)(4 + padded);
	crypto_auth_hmacsha256_init(&state, key->bytes, key->length);
	crypto_auth_hmacsha256_update(&state, out, 20);
	crypto_auth_hmacsha256_final(&state, mac);
	out[21] = STUN_MESSAGE_INTEGRITY_SHA256;
	out[23] = (uint8_t)n;
	memcpy(out + 24, mac, n < sizeof(mac) ? n : sizeof(mac));
	return 24 + padded;
}

static void test_truncated_sha256(void **state)
{
	(void)state;
	struct stun_key key = long_term(STUN_PASSWORD_SHA256);
	uint8_t data[128];
	for (unsigned n = 0; n <= 40; n++) {
		struct stun_message m;
		parse(&m, data, cut_mac_message(data, n, &key));
		bool valid = n >= 16 && n <= 32 && n % 4 == 0;
		assert_int_equal(stun_verify_integrity_sha256(&m, &key), valid ? 0 : -EBADMSG);
		if (!valid)
			continue;
		data[24 + n - 1] ^= 1;
		assert_int_equal(stun_verify_integrity_sha256(&m, &key), -EACCES);
	}
}

static void test_sha1_length(void **state)
{
	(void)state;
	struct stun_key key = long_term(STUN_PASSWORD_MD5);
	uint8_t buffer[128], value[32] = {0};
	for (unsigned n = 0; n <= sizeof(value); n += 4) {
		struct stun_message m;
		struct stun_builder b =
			stun_begin(buffer, sizeof(buffer), STUN_REFRESH, STUN_REQUEST, transaction);
		stun_add(&b, STUN_MESSAGE_INTEGRITY, value, n);
		parse(&m, buffer, stun_finish(&b));
		assert_int_equal(stun_verify_integrity(&m, &key), n == 20 ? -EACCES : -EBADMSG);
	}
}

// An account without a key must not be opened by whoever computes an HMAC with an empty key.
static void test_empty_key_verifies_and_builds_nothing(void **state)
{
	(void)state;
	struct stun_key empty = {0};
	struct stun_message m;
	uint8_t data[128];
	parse(&m, data, cut_mac_message(data, 32, &empty));
	assert_int_equal(stun_verify_integrity_sha256(&m, &empty), -EACCES);
	parse(&m, vector_long_term, sizeof(vector_long_term));
	assert_int_equal(stun_verify_integrity(&m, &empty), -EACCES);
	struct stun_builder b =
		stun_begin(data, sizeof(data), STUN_REFRESH, STUN_SUCCESS, transaction);
	stun_add_integrity(&b, &empty);
	assert_int_equal(stun_finish(&b), 0);
	b = stun_begin(data, sizeof(data), STUN_REFRESH, STUN_SUCCESS, transaction);
	stun_add_integrity_sha256(&b, &empty);
	assert_int_equal(stun_finish(&b), 0);
}

static void test_integrity_that_does_not_fit(void **state)
{
	(void)state;
	struct stun_key key = long_term(STUN_PASSWORD_SHA256);
	uint8_t buffer[20 + 36];
	for (size_t capacity = 20; capacity <= sizeof(buffer); capacity++) {
		struct stun_builder b =
			stun_begin(buffer, capacity, STUN_REFRESH, STUN_SUCCESS, transaction);
		stun_add_integrity(&b, &key);
		assert_int_equal(stun_finish(&b), capacity < 44 ? 0 : 44);
		b = stun_begin(buffer, capacity, STUN_REFRESH, STUN_SUCCESS, transaction);
		stun_add_integrity_sha256(&b, &key);
		assert_int_equal(stun_finish(&b), capacity < 56 ? 0 : 56);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc5769_integrity),
		cmocka_unit_test(test_rfc8489_userhash_and_sha256),
		cmocka_unit_test(test_long_term_key_example),
		cmocka_unit_test(test_key_uses_given_lengths),
		cmocka_unit_test(test_key_wipe),
		cmocka_unit_test(test_rest_password),
		cmocka_unit_test(test_any_flipped_bit_is_refused),
		cmocka_unit_test(test_flipped_bits_sha1),
		cmocka_unit_test(test_built_messages_verify),
		cmocka_unit_test(test_rebuild_vectors),
		cmocka_unit_test(test_truncated_sha256),
		cmocka_unit_test(test_sha1_length),
		cmocka_unit_test(test_empty_key_verifies_and_builds_nothing),
		cmocka_unit_test(test_integrity_that_does_not_fit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
