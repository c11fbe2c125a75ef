// SPDX-License-Identifier: BSD-3-Clause
// See blinding.h. Curve arithmetic and SHA-512 are libsodium's.
#include "lib/crypto/blinding.h"

#include <sodium.h>

#include <errno.h>
#include <string.h>

// rend-spec-v3, appendix A.2: what the blinded prefix is hashed with.
static const char prefix_label[] = "Derive temporary signing key hash input";

// RFC 8032 section 5.1.5: a multiple of the cofactor, of a fixed length.
static void clamp(uint8_t scalar[static 32])
{
	scalar[0] &= 248;
	scalar[31] = (uint8_t)((scalar[31] & 63) | 64);
}

void blinding_secret_expand(
	struct blinding_secret *secret, const uint8_t seed[static BLINDING_SEED_SIZE])
{
	uint8_t hash[crypto_hash_sha512_BYTES];
	crypto_hash_sha512(hash, seed, BLINDING_SEED_SIZE);
	clamp(hash);
	memcpy(secret->scalar, hash, 32);
	memcpy(secret->prefix, hash + 32, 32);
	sodium_memzero(hash, sizeof(hash));
}

void blinding_secret_public(
	uint8_t public_key[static BLINDING_KEY_SIZE], const struct blinding_secret *secret)
{
	// Fails for a multiple of the group's order only, which no secret is.
	(void)crypto_scalarmult_ed25519_base_noclamp(public_key, secret->scalar);
}

int blinding_public_key(uint8_t blinded[static BLINDING_KEY_SIZE],
	const uint8_t public_key[static BLINDING_KEY_SIZE],
	const uint8_t factor[static BLINDING_KEY_SIZE])
{
	uint8_t scalar[32], result[BLINDING_KEY_SIZE] = {0};
	memcpy(scalar, factor, sizeof(scalar));
	clamp(scalar);
	// Checks encoding and order of the point before it multiplies.
	int failed = crypto_scalarmult_ed25519_noclamp(result, scalar, public_key);
	if (failed)
		memset(result, 0, sizeof(result));
	memcpy(blinded, result, sizeof(result));
	return failed ? -EINVAL : 0;
}

void blinding_secret_key(struct blinding_secret *blinded, const struct blinding_secret *secret,
	const uint8_t factor[static BLINDING_KEY_SIZE])
{
	uint8_t scalar[32], hash[crypto_hash_sha512_BYTES];
	crypto_hash_sha512_state state;
	memcpy(scalar, factor, sizeof(scalar));
	clamp(scalar);
	crypto_core_ed25519_scalar_mul(blinded->scalar, secret->scalar, scalar);
	crypto_hash_sha512_init(&state);
	crypto_hash_sha512_update(&state, (const uint8_t *)prefix_label, sizeof(prefix_label) - 1);
	crypto_hash_sha512_update(&state, secret->prefix, sizeof(secret->prefix));
	crypto_hash_sha512_final(&state, hash);
	memcpy(blinded->prefix, hash, sizeof(blinded->prefix));
	sodium_memzero(scalar, sizeof(scalar));
	sodium_memzero(hash, sizeof(hash));
	sodium_memzero(&state, sizeof(state));
}

void blinding_sign(uint8_t signature[static BLINDING_SIGNATURE_SIZE], const uint8_t *message,
	size_t size, const struct blinding_secret *secret,
	const uint8_t public_key[static BLINDING_KEY_SIZE])
{
	uint8_t hash[crypto_hash_sha512_BYTES], nonce[32], challenge[32], s[32];
	crypto_hash_sha512_state state;
	// r = H(prefix, M), R = r B
	crypto_hash_sha512_init(&state);
	crypto_hash_sha512_update(&state, secret->prefix, sizeof(secret->prefix));
	crypto_hash_sha512_update(&state, message, size);
	crypto_hash_sha512_final(&state, hash);
	crypto_core_ed25519_scalar_reduce(nonce, hash);
	(void)crypto_scalarmult_ed25519_base_noclamp(signature, nonce);
	// S = r + H(R, A, M) a
	crypto_hash_sha512_init(&state);
	crypto_hash_sha512_update(&state, signature, 32);
	crypto_hash_sha512_update(&state, public_key, BLINDING_KEY_SIZE);
	crypto_hash_sha512_update(&state, message, size);
	crypto_hash_sha512_final(&state, hash);
	crypto_core_ed25519_scalar_reduce(challenge, hash);
	crypto_core_ed25519_scalar_mul(s, challenge, secret->scalar);
	crypto_core_ed25519_scalar_add(signature + 32, s, nonce);
	sodium_memzero(hash, sizeof(hash));
	sodium_memzero(nonce, sizeof(nonce));
	sodium_memzero(s, sizeof(s));
	sodium_memzero(&state, sizeof(state));
}

bool blinding_verify(const uint8_t signature[static BLINDING_SIGNATURE_SIZE],
	const uint8_t *message, size_t size, const uint8_t public_key[static BLINDING_KEY_SIZE])
{
	return crypto_sign_verify_detached(signature, message, size, public_key) == 0;
}
