// SPDX-License-Identifier: BSD-3-Clause
// ML-KEM-1024 by OpenSSL, 3.5 or later, compiled in place of mlkem1024.c where pkg-config finds it.
// OpenSSL makes the checks of FIPS 203 section 7 when it takes a key in.
#include "lib/crypto/mlkem1024.h"

#include <sodium.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static const char algorithm[] = "ML-KEM-1024";

// One parameter of bytes; OpenSSL takes it as writable and does not write.
static void set_bytes(
	OSSL_PARAM params[static 2], const char *name, const uint8_t *bytes, size_t size)
{
	params[0] = OSSL_PARAM_construct_octet_string(name, (void *)(uintptr_t)bytes, size);
	params[1] = OSSL_PARAM_construct_end();
}

static bool get_bytes(const EVP_PKEY *key, const char *name, uint8_t *bytes, size_t size)
{
	size_t length = 0;
	return EVP_PKEY_get_octet_string_param(key, name, bytes, size, &length) == 1 &&
	       length == size;
}

// seed may be NULL: then the key is a new one.
static int make_pair(uint8_t public_key[static MLKEM1024_PUBLIC_SIZE],
	struct mlkem1024_secret *secret, const uint8_t *seed)
{
	EVP_PKEY *key = NULL;
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, algorithm, NULL);
	OSSL_PARAM params[2] = {OSSL_PARAM_construct_end()};
	if (seed != NULL)
		set_bytes(params, OSSL_PKEY_PARAM_ML_KEM_SEED, seed, MLKEM1024_SEED_SIZE);
	bool made = context != NULL && EVP_PKEY_keygen_init(context) == 1 &&
		    EVP_PKEY_CTX_set_params(context, params) == 1 &&
		    EVP_PKEY_generate(context, &key) == 1 &&
		    get_bytes(key, OSSL_PKEY_PARAM_PUB_KEY, public_key, MLKEM1024_PUBLIC_SIZE) &&
		    get_bytes(key, OSSL_PKEY_PARAM_PRIV_KEY, secret->bytes, MLKEM1024_SECRET_SIZE);
	if (!made) {
		ERR_clear_error();
		memset(public_key, 0, MLKEM1024_PUBLIC_SIZE);
		sodium_memzero(secret, sizeof(*secret));
	}
	EVP_PKEY_free(key);
	EVP_PKEY_CTX_free(context);
	return made ? 0 : -EIO;
}

int mlkem1024_generate(
	uint8_t public_key[static MLKEM1024_PUBLIC_SIZE], struct mlkem1024_secret *secret)
{
	return make_pair(public_key, secret, NULL);
}

int mlkem1024_derive(uint8_t public_key[static MLKEM1024_PUBLIC_SIZE],
	struct mlkem1024_secret *secret, const uint8_t seed[static MLKEM1024_SEED_SIZE])
{
	return make_pair(public_key, secret, seed);
}

// message may be NULL: then it is a new one.
static int encapsulate(uint8_t ciphertext[static MLKEM1024_CIPHERTEXT_SIZE],
	uint8_t shared[static MLKEM1024_SHARED_SIZE],
	const uint8_t public_key[static MLKEM1024_PUBLIC_SIZE], const uint8_t *message)
{
	size_t ciphertext_size = MLKEM1024_CIPHERTEXT_SIZE, shared_size = MLKEM1024_SHARED_SIZE;
	EVP_PKEY *key = EVP_PKEY_new_raw_public_key_ex(
		NULL, algorithm, NULL, public_key, MLKEM1024_PUBLIC_SIZE);
	EVP_PKEY_CTX *context = key != NULL ? EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL) : NULL;
	OSSL_PARAM params[2] = {OSSL_PARAM_construct_end()};
	if (message != NULL)
		set_bytes(params, OSSL_KEM_PARAM_IKME, message, MLKEM1024_MESSAGE_SIZE);
	bool made = context != NULL && EVP_PKEY_encapsulate_init(context, params) == 1 &&
		    EVP_PKEY_encapsulate(
			    context, ciphertext, &ciphertext_size, shared, &shared_size) == 1;
	int result = made ? 0 : key == NULL ? -EINVAL : -EIO;
	if (!made) {
		ERR_clear_error();
		memset(ciphertext, 0, MLKEM1024_CIPHERTEXT_SIZE);
		sodium_memzero(shared, MLKEM1024_SHARED_SIZE);
	}
	EVP_PKEY_CTX_free(context);
	EVP_PKEY_free(key);
	return result;
}

int mlkem1024_encapsulate(uint8_t ciphertext[static MLKEM1024_CIPHERTEXT_SIZE],
	uint8_t shared[static MLKEM1024_SHARED_SIZE],
	const uint8_t public_key[static MLKEM1024_PUBLIC_SIZE])
{
	return encapsulate(ciphertext, shared, public_key, NULL);
}

int mlkem1024_encapsulate_with(uint8_t ciphertext[static MLKEM1024_CIPHERTEXT_SIZE],
	uint8_t shared[static MLKEM1024_SHARED_SIZE],
	const uint8_t public_key[static MLKEM1024_PUBLIC_SIZE],
	const uint8_t message[static MLKEM1024_MESSAGE_SIZE])
{
	return encapsulate(ciphertext, shared, public_key, message);
}

int mlkem1024_decapsulate(uint8_t shared[static MLKEM1024_SHARED_SIZE],
	const struct mlkem1024_secret *secret,
	const uint8_t ciphertext[static MLKEM1024_CIPHERTEXT_SIZE])
{
	size_t shared_size = MLKEM1024_SHARED_SIZE;
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key_ex(
		NULL, algorithm, NULL, secret->bytes, MLKEM1024_SECRET_SIZE);
	EVP_PKEY_CTX *context = key != NULL ? EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL) : NULL;
	bool made = context != NULL && EVP_PKEY_decapsulate_init(context, NULL) == 1 &&
		    EVP_PKEY_decapsulate(context, shared, &shared_size, ciphertext,
			    MLKEM1024_CIPHERTEXT_SIZE) == 1;
	int result = made ? 0 : key == NULL ? -EINVAL : -EIO;
	if (!made) {
		ERR_clear_error();
		sodium_memzero(shared, MLKEM1024_SHARED_SIZE);
	}
	EVP_PKEY_CTX_free(context);
	EVP_PKEY_free(key);
	return result;
}
