// SPDX-License-Identifier: BSD-3-Clause
// What credentials are made of: keys (RFC 8489 9.1, 9.2.2, 18.5.1), USERHASH (14.4) and the
// password of time-limited REST credentials. SHA-256 is libsodium's, which cannot fail; MD5 and
// HMAC-SHA1 are GnuTLS's, which can (FIPS mode), and then nothing usable comes out. Intermediate
// secrets are wiped. Any thread.
#include "lib/wire/stun_integrity.h"

#include <gnutls/crypto.h>
#include <sodium.h>

#include <errno.h>
#include <string.h>

enum { MD5_LENGTH = 16, MD5_BLOCK = 64, SHA1_LENGTH = 20, REST_PASSWORD_SIZE = 29 };

static int key_md5(const char *username, size_t username_length, const char *realm,
	const char *password, size_t password_length, struct stun_key *out)
{
	// Stays: making one costs more than hashing.
	static _Thread_local gnutls_hash_hd_t hash;
	if (hash == NULL && gnutls_hash_init(&hash, GNUTLS_DIG_MD5) < 0) {
		hash = NULL;
		return -ENOTSUP;
	}
	int failed = gnutls_hash(hash, username, username_length) < 0;
	failed |= gnutls_hash(hash, ":", 1) < 0;
	failed |= gnutls_hash(hash, realm, strlen(realm)) < 0;
	failed |= gnutls_hash(hash, ":", 1) < 0;
	failed |= gnutls_hash(hash, password, password_length) < 0;
	gnutls_hash_output(hash, out->bytes);
	// What the handle still holds of the password is written over.
	static const uint8_t nothing[MD5_BLOCK];
	uint8_t ignored[MD5_LENGTH];
	failed |= gnutls_hash(hash, nothing, sizeof(nothing) - 1) < 0;
	gnutls_hash_output(hash, ignored);
	out->length = MD5_LENGTH;
	if (failed)
		stun_key_wipe(out);
	return failed ? -ENOTSUP : 0;
}

static void key_sha256(const char *username, size_t username_length, const char *realm,
	const char *password, size_t password_length, struct stun_key *out)
{
	crypto_hash_sha256_state state;
	crypto_hash_sha256_init(&state);
	crypto_hash_sha256_update(&state, (const uint8_t *)username, username_length);
	crypto_hash_sha256_update(&state, (const uint8_t *)":", 1);
	crypto_hash_sha256_update(&state, (const uint8_t *)realm, strlen(realm));
	crypto_hash_sha256_update(&state, (const uint8_t *)":", 1);
	crypto_hash_sha256_update(&state, (const uint8_t *)password, password_length);
	crypto_hash_sha256_final(&state, out->bytes);
	out->length = crypto_hash_sha256_BYTES;
	sodium_memzero(&state, sizeof(state));
}

int stun_key_long_term(enum stun_password_algorithm algorithm, const char *username,
	size_t username_length, const char *realm, const char *password, size_t password_length,
	struct stun_key *out)
{
	memset(out, 0, sizeof(*out));
	switch (algorithm) {
	case STUN_PASSWORD_MD5:
		return key_md5(username, username_length, realm, password, password_length, out);
	case STUN_PASSWORD_SHA256:
		key_sha256(username, username_length, realm, password, password_length, out);
		return 0;
	}
	return -ENOTSUP;
}

int stun_key_short_term(const char *password, size_t length, struct stun_key *out)
{
	memset(out, 0, sizeof(*out));
	if (length == 0)
		return -EINVAL;
	if (length <= sizeof(out->bytes)) {
		memcpy(out->bytes, password, length);
		out->length = (uint8_t)length;
		return 0;
	}
	// RFC 2104: a key longer than a block is replaced by its hash.
	gnutls_hash_hd_t sha1;
	if (gnutls_hash_init(&sha1, GNUTLS_DIG_SHA1) < 0)
		return -EACCES;
	int failed = gnutls_hash(sha1, password, length) < 0;
	gnutls_hash_deinit(sha1, out->bytes);
	out->length = SHA1_LENGTH;
	if (failed)
		stun_key_wipe(out);
	return failed ? -EACCES : 0;
}

void stun_key_wipe(struct stun_key *key)
{
	sodium_memzero(key, sizeof(*key));
}

void stun_userhash(const char *username, size_t username_length, const char *realm,
	uint8_t out[static STUN_USERHASH_LENGTH])
{
	crypto_hash_sha256_state state;
	crypto_hash_sha256_init(&state);
	crypto_hash_sha256_update(&state, (const uint8_t *)username, username_length);
	crypto_hash_sha256_update(&state, (const uint8_t *)":", 1);
	crypto_hash_sha256_update(&state, (const uint8_t *)realm, strlen(realm));
	crypto_hash_sha256_final(&state, out);
	sodium_memzero(&state, sizeof(state));
}

void stun_rest_password(
	const char *secret, const char *username, size_t username_length, char out[static 29])
{
	uint8_t digest[SHA1_LENGTH];
	// A password nobody can know, should the MAC be refused: an empty one would be guessed.
	const struct stun_span name = {username, username_length};
	if (stun_hmac_sha1(secret, strlen(secret), &name, 1, digest) < 0)
		randombytes_buf(digest, sizeof(digest));
	sodium_bin2base64(
		out, REST_PASSWORD_SIZE, digest, sizeof(digest), sodium_base64_VARIANT_ORIGINAL);
	sodium_memzero(digest, sizeof(digest));
}
