// SPDX-License-Identifier: BSD-3-Clause
// See mlkem1024.h. Names follow FIPS 203: sections 5 (K-PKE) and 6.
#include "lib/crypto/mlkem1024.h"
#include "lib/crypto/keccak.h"
#include "lib/crypto/mlkem_poly.h"

#include <sodium.h>

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

enum {
	K = MLKEM_K,
	VECTOR = K * MLKEM_POLY12, // bytes of the polynomials of a key
	U = 32 * MLKEM_DU,         // bytes of one polynomial of u
	HASH = SHA3_256_SIZE,
	// Where the parts of dk begin.
	PUBLIC = VECTOR,
	PUBLIC_HASH = PUBLIC + MLKEM1024_PUBLIC_SIZE,
	Z = PUBLIC_HASH + HASH,
};

static_assert(VECTOR + MLKEM_SEED == MLKEM1024_PUBLIC_SIZE, "ek is t and rho");
static_assert(Z + MLKEM_SEED == MLKEM1024_SECRET_SIZE, "dk is s, ek, its hash and z");
static_assert(K * U + 32 * MLKEM_DV == MLKEM1024_CIPHERTEXT_SIZE, "c is u and v");

// ---- the functions H, G and J (4.1) ----

static void hash(uint8_t out[static HASH], const uint8_t public_key[static MLKEM1024_PUBLIC_SIZE])
{
	struct keccak state;
	keccak_begin(&state, SHA3_256_RATE);
	keccak_add(&state, public_key, MLKEM1024_PUBLIC_SIZE);
	keccak_finish(&state, SHA3_SUFFIX, out, HASH);
}

// Two halves of what the first, of 32 bytes, and the second give.
static void expand(uint8_t one[static 32], uint8_t two[static 32], const uint8_t first[static 32],
	const void *second, size_t size)
{
	struct keccak state;
	uint8_t out[SHA3_512_SIZE];
	keccak_begin(&state, SHA3_512_RATE);
	keccak_add(&state, first, 32);
	keccak_add(&state, second, size);
	keccak_finish(&state, SHA3_SUFFIX, out, sizeof(out));
	memcpy(one, out, 32);
	memcpy(two, out + 32, 32);
	sodium_memzero(&state, sizeof(state));
	sodium_memzero(out, sizeof(out));
}

// What stands in for the shared secret of a ciphertext that is refused.
static void reject(uint8_t out[static MLKEM1024_SHARED_SIZE], const uint8_t z[static MLKEM_SEED],
	const uint8_t ciphertext[static MLKEM1024_CIPHERTEXT_SIZE])
{
	struct keccak state;
	keccak_begin(&state, SHAKE256_RATE);
	keccak_add(&state, z, MLKEM_SEED);
	keccak_add(&state, ciphertext, MLKEM1024_CIPHERTEXT_SIZE);
	keccak_finish(&state, SHAKE_SUFFIX, out, MLKEM1024_SHARED_SIZE);
	sodium_memzero(&state, sizeof(state));
}

// ---- K-PKE (5) ----

static void decode_vector(struct mlkem_transformed out[static K], const uint8_t in[static VECTOR])
{
	for (unsigned i = 0; i < K; i++)
		mlkem_decode(&out[i], in + i * MLKEM_POLY12);
}

// Algorithm 13.
static void pke_generate(uint8_t public_key[static MLKEM1024_PUBLIC_SIZE],
	uint8_t secret[static VECTOR], const uint8_t d[static MLKEM_SEED])
{
	static const uint8_t k = K;
	struct {
		uint8_t sigma[MLKEM_SEED];
		struct mlkem_poly noise[K];
		struct mlkem_transformed s[K], e;
	} own;
	struct mlkem_transformed row[K], t;
	uint8_t *rho = public_key + VECTOR;

	expand(rho, own.sigma, d, &k, sizeof(k));
	mlkem_sample_noise4(own.noise, own.sigma, 0);
	for (unsigned i = 0; i < K; i++)
		mlkem_transform(&own.s[i], &own.noise[i]);
	mlkem_sample_noise4(own.noise, own.sigma, K);
	for (unsigned i = 0; i < K; i++) {
		mlkem_sample_row(row, rho, i, MLKEM_STRAIGHT);
		mlkem_dot(&t, row, own.s);
		mlkem_transform(&own.e, &own.noise[i]);
		mlkem_add_product(&t, &own.e);
		mlkem_encode(public_key + i * MLKEM_POLY12, &t);
	}
	for (unsigned i = 0; i < K; i++) {
		mlkem_make_canonical(&own.s[i]);
		mlkem_encode(secret + i * MLKEM_POLY12, &own.s[i]);
	}
	sodium_memzero(&own, sizeof(own));
	sodium_memzero(&t, sizeof(t));
}

// Algorithm 14, with the public key as decoded already.
static void pke_encrypt(uint8_t ciphertext[static MLKEM1024_CIPHERTEXT_SIZE],
	const struct mlkem_transformed t[static K], const uint8_t rho[static MLKEM_SEED],
	const uint8_t message[static MLKEM_SEED], const uint8_t randomness[static MLKEM_SEED])
{
	struct {
		struct mlkem_poly noise[K], sum;
		struct mlkem_transformed y[K], product;
	} own;
	struct mlkem_transformed row[K];

	mlkem_sample_noise4(own.noise, randomness, 0);
	for (unsigned i = 0; i < K; i++)
		mlkem_transform(&own.y[i], &own.noise[i]);
	mlkem_sample_noise4(own.noise, randomness, K);
	for (unsigned i = 0; i < K; i++) {
		mlkem_sample_row(row, rho, i, MLKEM_TRANSPOSED);
		mlkem_dot(&own.product, row, own.y);
		mlkem_transform_back(&own.sum, &own.product);
		mlkem_encode_u(ciphertext + i * U, &own.sum, &own.noise[i]);
	}
	mlkem_sample_noise(&own.noise[0], randomness, 2 * K);
	mlkem_dot(&own.product, t, own.y);
	mlkem_transform_back(&own.sum, &own.product);
	mlkem_encode_v(ciphertext + K * U, &own.sum, &own.noise[0], message);
	sodium_memzero(&own, sizeof(own));
}

// Algorithm 15.
static void pke_decrypt(uint8_t message[static MLKEM_SEED], const uint8_t secret[static VECTOR],
	const uint8_t ciphertext[static MLKEM1024_CIPHERTEXT_SIZE])
{
	struct {
		struct mlkem_transformed s[K], product;
		struct mlkem_poly sum;
	} own;
	struct mlkem_transformed u[K];
	struct mlkem_poly poly;

	decode_vector(own.s, secret);
	for (unsigned i = 0; i < K; i++) {
		mlkem_decode_u(&poly, ciphertext + i * U);
		mlkem_transform(&u[i], &poly);
	}
	mlkem_dot(&own.product, own.s, u);
	mlkem_transform_back(&own.sum, &own.product);
	mlkem_decode_v(&poly, ciphertext + K * U);
	mlkem_encode_message(message, &poly, &own.sum);
	sodium_memzero(&own, sizeof(own));
}

// ---- ML-KEM (6) ----

int mlkem1024_derive(uint8_t public_key[static MLKEM1024_PUBLIC_SIZE],
	struct mlkem1024_secret *secret, const uint8_t seed[static MLKEM1024_SEED_SIZE])
{
	pke_generate(public_key, secret->bytes, seed);
	memcpy(secret->bytes + PUBLIC, public_key, MLKEM1024_PUBLIC_SIZE);
	hash(secret->bytes + PUBLIC_HASH, public_key);
	memcpy(secret->bytes + Z, seed + MLKEM_SEED, MLKEM_SEED);
	return 0;
}

int mlkem1024_generate(
	uint8_t public_key[static MLKEM1024_PUBLIC_SIZE], struct mlkem1024_secret *secret)
{
	uint8_t seed[MLKEM1024_SEED_SIZE];
	randombytes_buf(seed, sizeof(seed));
	int result = mlkem1024_derive(public_key, secret, seed);
	sodium_memzero(seed, sizeof(seed));
	return result;
}

// The modulus check (7.2).
static bool reduced(const struct mlkem_transformed t[static K])
{
	bool good = true;
	for (unsigned n = 0; n < K; n++)
		for (unsigned i = 0; i < MLKEM_N; i++)
			good &= t[n].c[i] < MLKEM_Q;
	return good;
}

int mlkem1024_encapsulate_with(uint8_t ciphertext[static MLKEM1024_CIPHERTEXT_SIZE],
	uint8_t shared[static MLKEM1024_SHARED_SIZE],
	const uint8_t public_key[static MLKEM1024_PUBLIC_SIZE],
	const uint8_t message[static MLKEM1024_MESSAGE_SIZE])
{
	struct mlkem_transformed t[K];
	uint8_t public_hash[HASH], randomness[MLKEM_SEED];
	decode_vector(t, public_key);
	if (!reduced(t)) {
		memset(ciphertext, 0, MLKEM1024_CIPHERTEXT_SIZE);
		memset(shared, 0, MLKEM1024_SHARED_SIZE);
		return -EINVAL;
	}
	hash(public_hash, public_key);
	expand(shared, randomness, message, public_hash, HASH);
	pke_encrypt(ciphertext, t, public_key + VECTOR, message, randomness);
	sodium_memzero(randomness, sizeof(randomness));
	return 0;
}

int mlkem1024_encapsulate(uint8_t ciphertext[static MLKEM1024_CIPHERTEXT_SIZE],
	uint8_t shared[static MLKEM1024_SHARED_SIZE],
	const uint8_t public_key[static MLKEM1024_PUBLIC_SIZE])
{
	uint8_t message[MLKEM1024_MESSAGE_SIZE];
	randombytes_buf(message, sizeof(message));
	int result = mlkem1024_encapsulate_with(ciphertext, shared, public_key, message);
	sodium_memzero(message, sizeof(message));
	return result;
}

int mlkem1024_decapsulate(uint8_t shared[static MLKEM1024_SHARED_SIZE],
	const struct mlkem1024_secret *secret,
	const uint8_t ciphertext[static MLKEM1024_CIPHERTEXT_SIZE])
{
	const uint8_t *public_key = secret->bytes + PUBLIC,
		      *public_hash = secret->bytes + PUBLIC_HASH;
	struct mlkem_transformed t[K];
	struct {
		uint8_t message[MLKEM_SEED], randomness[MLKEM_SEED];
		uint8_t rejected[MLKEM1024_SHARED_SIZE];
		uint8_t again[MLKEM1024_CIPHERTEXT_SIZE];
		uint8_t mask;
	} own;
	hash(own.again, public_key);
	if (memcmp(own.again, public_hash, HASH) != 0) {
		memset(shared, 0, MLKEM1024_SHARED_SIZE);
		return -EINVAL;
	}
	pke_decrypt(own.message, secret->bytes, ciphertext);
	expand(shared, own.randomness, own.message, public_hash, HASH);
	reject(own.rejected, secret->bytes + Z, ciphertext);
	decode_vector(t, public_key);
	pke_encrypt(own.again, t, public_key + VECTOR, own.message, own.randomness);
	// All ones when the ciphertext is another; the compiler is not to know that it is that or
	// 0.
	own.mask = (uint8_t)sodium_memcmp(own.again, ciphertext, MLKEM1024_CIPHERTEXT_SIZE);
	__asm__ volatile("" : "+m"(own.mask));
	for (unsigned i = 0; i < MLKEM1024_SHARED_SIZE; i++)
		shared[i] ^= own.mask & (shared[i] ^ own.rejected[i]);
	sodium_memzero(&own, sizeof(own));
	return 0;
}
