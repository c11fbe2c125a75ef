// SPDX-License-Identifier: BSD-3-Clause
// See hkdf.h.
#include "endpoint/session/hkdf.h"

#include <sodium.h>

#include <assert.h>
#include <string.h>

enum { BLOCK_MAX = 128 };

struct digest {
	enum hkdf_hash hash;
	union {
		crypto_hash_sha256_state sha256;
		crypto_hash_sha512_state sha512;
		crypto_generichash_blake2b_state blake2b;
	} state;
};

size_t hkdf_hash_size(enum hkdf_hash hash)
{
	return hash == HKDF_SHA256 ? 32 : 64;
}

static size_t block_size(enum hkdf_hash hash)
{
	return hash == HKDF_SHA256 ? 64 : BLOCK_MAX;
}

static void digest_begin(struct digest *digest, enum hkdf_hash hash)
{
	digest->hash = hash;
	if (hash == HKDF_SHA256)
		crypto_hash_sha256_init(&digest->state.sha256);
	else if (hash == HKDF_SHA512)
		crypto_hash_sha512_init(&digest->state.sha512);
	else
		crypto_generichash_blake2b_init(&digest->state.blake2b, NULL, 0, 64);
}

static void digest_add(struct digest *digest, const void *bytes, size_t size)
{
	if (digest->hash == HKDF_SHA256)
		crypto_hash_sha256_update(&digest->state.sha256, bytes, size);
	else if (digest->hash == HKDF_SHA512)
		crypto_hash_sha512_update(&digest->state.sha512, bytes, size);
	else
		crypto_generichash_blake2b_update(&digest->state.blake2b, bytes, size);
}

static void digest_finish(struct digest *digest, uint8_t *out)
{
	if (digest->hash == HKDF_SHA256)
		crypto_hash_sha256_final(&digest->state.sha256, out);
	else if (digest->hash == HKDF_SHA512)
		crypto_hash_sha512_final(&digest->state.sha512, out);
	else
		crypto_generichash_blake2b_final(&digest->state.blake2b, out, 64);
	sodium_memzero(digest, sizeof(*digest));
}

void hkdf_digest(enum hkdf_hash hash, const void *first, size_t first_size, const void *second,
	size_t second_size, uint8_t *out)
{
	struct digest digest;
	digest_begin(&digest, hash);
	digest_add(&digest, first, first_size);
	digest_add(&digest, second, second_size);
	digest_finish(&digest, out);
}

// RFC 2104: H(key ^ opad | H(key ^ ipad | text)), here both after their first block.
struct hmac {
	struct digest inner, outer;
};

static void hmac_begin(struct hmac *hmac, enum hkdf_hash hash, const void *key, size_t key_size)
{
	uint8_t pad[BLOCK_MAX] = {0};
	size_t block = block_size(hash);

	if (key_size > block)
		hkdf_digest(hash, key, key_size, NULL, 0, pad);
	else if (key_size > 0)
		memcpy(pad, key, key_size);
	for (size_t i = 0; i < block; i++)
		pad[i] ^= 0x36;
	digest_begin(&hmac->inner, hash);
	digest_add(&hmac->inner, pad, block);
	for (size_t i = 0; i < block; i++)
		pad[i] ^= 0x36 ^ 0x5c;
	digest_begin(&hmac->outer, hash);
	digest_add(&hmac->outer, pad, block);
	sodium_memzero(pad, sizeof(pad));
}

static void hmac_finish(struct hmac *hmac, uint8_t *out)
{
	uint8_t inner[HKDF_HASH_MAX];
	size_t size = hkdf_hash_size(hmac->inner.hash);
	digest_finish(&hmac->inner, inner);
	digest_add(&hmac->outer, inner, size);
	digest_finish(&hmac->outer, out);
	sodium_memzero(inner, sizeof(inner));
}

void hkdf_extract(enum hkdf_hash hash, const void *salt, size_t salt_size, const void *input,
	size_t input_size, uint8_t *out)
{
	struct hmac hmac;
	hmac_begin(&hmac, hash, salt, salt_size);
	digest_add(&hmac.inner, input, input_size);
	hmac_finish(&hmac, out);
}

void hkdf_expand(enum hkdf_hash hash, const void *key, size_t key_size, const void *info,
	size_t info_size, void *out, size_t size)
{
	uint8_t block[HKDF_HASH_MAX], *next = out;
	size_t hash_size = hkdf_hash_size(hash);
	struct hmac keyed, hmac;

	assert(size <= 255 * hash_size);
	hmac_begin(&keyed, hash, key, key_size);
	for (uint8_t count = 1; size > 0; count++) {
		hmac = keyed;
		if (count > 1)
			digest_add(&hmac.inner, block, hash_size);
		digest_add(&hmac.inner, info, info_size);
		digest_add(&hmac.inner, &count, 1);
		hmac_finish(&hmac, block);
		size_t part = size < hash_size ? size : hash_size;
		memcpy(next, block, part);
		next += part;
		size -= part;
	}
	sodium_memzero(&keyed, sizeof(keyed));
	sodium_memzero(block, sizeof(block));
}
