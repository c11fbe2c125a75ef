// SPDX-License-Identifier: BSD-3-Clause
// Shows that lib/crypto takes no branch and computes no address from a secret. Runs under
// valgrind's memcheck: secrets are marked undefined, and memcheck then reports every branch and
// every address that depends on one, through any arithmetic, in our code and in libsodium's as
// compiled. (It does not see instructions whose time depends on their operands, such as division.)
//
// A case marks its secrets, calls what is tested, declassifies what the caller gives away, each
// time with the reason, and checks the result, so that what was watched is the real thing. Cases
// that leak on purpose come first: memcheck must report these in the same run.
// wrap: crypto_core_ristretto255_scalar_random
// wrap: crypto_scalarmult_ristretto255
// wrap: crypto_scalarmult_ristretto255_base
// wrap: crypto_scalarmult_ed25519_base_noclamp
// wrap: cpu_has_avx2
// wrap: mlkem_sample_row
#include "lib/crypto/blake3.h"
#include "lib/crypto/blinding.h"
#include "lib/crypto/cpu.h"
#include "lib/crypto/epoch.h"
#include "lib/crypto/keccak.h"
#include "lib/crypto/mlkem1024.h"
#include "lib/crypto/mlkem_poly.h"
#include "lib/crypto/voprf.h"
#include "tests/secrets/marks.h"

#include <sodium.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- neighbours ----

// Whether the other side gets the products that are made, or can compute them; and how many of
// those there were that depend on a secret.
static bool products_are_public;
static unsigned secret_products;

// Whether a product is the identity decides a branch. None is, since no secret is zero.
static int identity(int result)
{
	defined(&result, sizeof(result));
	return result;
}

static int product(int result, uint8_t element[static 32])
{
	uint8_t bits[32];
	if (products_are_public && VALGRIND_GET_VBITS(element, bits, 32) == 1) {
		secret_products += !sodium_is_zero(bits, sizeof(bits));
		defined(element, 32);
	}
	return identity(result);
}

void __real_crypto_core_ristretto255_scalar_random(unsigned char *scalar);
void __wrap_crypto_core_ristretto255_scalar_random(unsigned char *scalar);
int __real_crypto_scalarmult_ristretto255(
	unsigned char *, const unsigned char *, const unsigned char *);
int __wrap_crypto_scalarmult_ristretto255(
	unsigned char *, const unsigned char *, const unsigned char *);
int __real_crypto_scalarmult_ristretto255_base(unsigned char *, const unsigned char *);
int __wrap_crypto_scalarmult_ristretto255_base(unsigned char *, const unsigned char *);
int __real_crypto_scalarmult_ed25519_base_noclamp(unsigned char *, const unsigned char *);
int __wrap_crypto_scalarmult_ed25519_base_noclamp(unsigned char *, const unsigned char *);

// Blinds and nonces are secrets too.
void __wrap_crypto_core_ristretto255_scalar_random(unsigned char *scalar)
{
	__real_crypto_core_ristretto255_scalar_random(scalar);
	secret(scalar, VOPRF_SCALAR_SIZE);
}

int __wrap_crypto_scalarmult_ristretto255(
	unsigned char *out, const unsigned char *scalar, const unsigned char *element)
{
	return product(__real_crypto_scalarmult_ristretto255(out, scalar, element), out);
}

int __wrap_crypto_scalarmult_ristretto255_base(unsigned char *out, const unsigned char *scalar)
{
	return product(__real_crypto_scalarmult_ristretto255_base(out, scalar), out);
}

int __wrap_crypto_scalarmult_ed25519_base_noclamp(unsigned char *out, const unsigned char *scalar)
{
	return identity(__real_crypto_scalarmult_ed25519_base_noclamp(out, scalar));
}

// Whether functions are watched that need AVX2 (valgrind knows no AVX-512), or the others.
static bool vectors;

bool __real_cpu_has_avx2(void);
bool __wrap_cpu_has_avx2(void);

bool __wrap_cpu_has_avx2(void)
{
	return vectors && __real_cpu_has_avx2();
}

// Half of what a new ML-KEM key is made from, rho, is told to everybody with the public key; the
// matrix is drawn from it before.
static bool rho_is_new;

void __real_mlkem_sample_row(
	struct mlkem_transformed *row, const uint8_t *rho, unsigned i, enum mlkem_matrix matrix);
void __wrap_mlkem_sample_row(
	struct mlkem_transformed *row, const uint8_t *rho, unsigned i, enum mlkem_matrix matrix);

void __wrap_mlkem_sample_row(
	struct mlkem_transformed *row, const uint8_t *rho, unsigned i, enum mlkem_matrix matrix)
{
	if (rho_is_new)
		declassify((void *)(uintptr_t)rho, MLKEM_SEED);
	rho_is_new = false;
	__real_mlkem_sample_row(row, rho, i, matrix);
}

// ---- what leaks, on purpose ----

static volatile unsigned sink;

static void leaking_branch(void)
{
	uint8_t key[32] = {1};
	secret(key, sizeof(key));
	if (key[3] & 1)
		sink = 1;
}

static void leaking_index(void)
{
	static const uint8_t table[256] = {1, 2, 3};
	uint8_t key[32] = {1};
	secret(key, sizeof(key));
	sink = table[key[0]];
}

// What a comparison with memcmp does to a MAC.
static void leaking_compare(void)
{
	uint8_t key[32] = {1}, tag[32], guess[32] = {0};
	struct blake3 state;
	secret(key, sizeof(key));
	blake3_begin_keyed(&state, key);
	blake3_finish(&state, tag, sizeof(tag));
	unsigned equal = 0;
	while (equal < sizeof(tag) && tag[equal] == guess[equal])
		equal++;
	sink = equal;
}

// Memcheck does not report this: the script that runs us looks for it in the code instead.
__attribute__((used)) static unsigned leaking_division(unsigned key)
{
	return 3329 * 16 / key;
}

// A scalar multiplication made for public scalars.
static void leaking_multiplication(void)
{
	struct blinding_secret owner;
	uint8_t public_key[32], signature[64], seed[32] = {3};
	blinding_secret_expand(&owner, seed);
	blinding_secret_public(public_key, &owner);
	blinding_sign(signature, seed, sizeof(seed), &owner, public_key);
	secret(signature + 32, 32);
	sink = blinding_verify(signature, seed, sizeof(seed), public_key);
}

// Drawing a matrix is made for public seeds.
static void leaking_matrix(void)
{
	struct mlkem_transformed row[MLKEM_K];
	uint8_t rho[MLKEM_SEED] = {4};
	secret(rho, sizeof(rho));
	mlkem_sample_row(row, rho, 0, MLKEM_STRAIGHT);
}

// ---- BLAKE3 ----

static void blake3_keyed_by_a_secret(void)
{
	uint8_t key[BLAKE3_KEY_LENGTH], message[2500], out[100], again[100];
	struct blake3 state;
	randombytes_buf(key, sizeof(key));
	randombytes_buf(message, sizeof(message));
	for (unsigned run = 0; run < 2; run++) {
		if (run == 0) {
			secret(key, sizeof(key));
			secret(message, sizeof(message));
		} else {
			defined(key, sizeof(key));
			defined(message, sizeof(message));
		}
		blake3_begin_keyed(&state, key);
		blake3_add(&state, message, sizeof(message));
		blake3_finish(&state, run == 0 ? out : again, sizeof(out));
	}
	declassify(out, sizeof(out)); // a MAC is sent
	require(memcmp(out, again, sizeof(out)) == 0, "the keyed hash is right");
}

static void blake3_deriving_from_a_secret(void)
{
	static const char context[] = "Blindrelay tests 2026-11 secrets";
	uint8_t material[32], out[64], again[64];
	struct blake3 state;
	randombytes_buf(material, sizeof(material));
	for (unsigned run = 0; run < 2; run++) {
		if (run == 0)
			secret(material, sizeof(material));
		else
			defined(material, sizeof(material));
		blake3_begin_derive(&state, context, sizeof(context) - 1);
		blake3_add(&state, material, sizeof(material));
		blake3_finish(&state, run == 0 ? out : again, sizeof(out));
	}
	declassify(out, sizeof(out)); // to compare it below; a derived key is a secret
	require(memcmp(out, again, sizeof(out)) == 0, "the derived key is right");
}

// ---- blinding ----

static void expanding_a_seed(struct blinding_secret *owner, uint8_t public_key[static 32])
{
	uint8_t seed[32];
	randombytes_buf(seed, sizeof(seed));
	secret(seed, sizeof(seed));
	blinding_secret_expand(owner, seed);
	blinding_secret_public(public_key, owner);
	declassify(public_key, 32); // is told to contacts
}

static void check_signature(struct blinding_secret *owner, uint8_t public_key[static 32])
{
	uint8_t message[100], signature[64];
	randombytes_buf(message, sizeof(message));
	secret(message, sizeof(message));
	blinding_sign(signature, message, sizeof(message), owner, public_key);
	declassify(signature, sizeof(signature)); // is sent
	defined(message, sizeof(message));        // with the message
	require(blinding_verify(signature, message, sizeof(message), public_key),
		"the signature is right");
}

static void signing(void)
{
	struct blinding_secret owner;
	uint8_t public_key[32];
	expanding_a_seed(&owner, public_key);
	check_signature(&owner, public_key);
}

static void blinding_a_secret(void)
{
	struct blinding_secret owner, blinded;
	uint8_t public_key[32], factor[32], blinded_key[32];
	expanding_a_seed(&owner, public_key);
	randombytes_buf(factor, sizeof(factor));
	secret(factor, sizeof(factor)); // only contacts know it
	blinding_secret_key(&blinded, &owner, factor);
	defined(factor, sizeof(factor)); // a contact computes the rest
	require(blinding_public_key(blinded_key, public_key, factor) == 0, "blinding a key");
	check_signature(&blinded, blinded_key);
}

static void an_epoch_key(void)
{
	struct blinding_secret owner, blinded;
	uint8_t namespace_id[32], public_key[32], blinded_key[32], contact[32], address[32];
	expanding_a_seed(&owner, public_key);
	randombytes_buf(namespace_id, sizeof(namespace_id));
	secret(namespace_id, sizeof(namespace_id));
	secret(public_key, sizeof(public_key)); // from the relay it is one
	epoch_secret_key(&blinded, blinded_key, &owner, namespace_id, public_key, 492000);
	declassify(blinded_key, sizeof(blinded_key)); // the relay gets it, with the address
	epoch_address(address, namespace_id, blinded_key, 492000);
	declassify(address, EPOCH_ADDRESS_SIZE / 2);
	secret(address, sizeof(address)); // to see how it is compared
	bool owned = epoch_address_owned_by(address, blinded_key);
	declassify(&owned, sizeof(owned)); // the relay answers it
	require(owned, "the address is the owner's");
	defined(namespace_id, sizeof(namespace_id)); // a contact knows both
	defined(public_key, sizeof(public_key));
	require(epoch_public_key(contact, namespace_id, public_key, 492000) == 0 &&
			memcmp(contact, blinded_key, 32) == 0,
		"the epoch key is right");
	check_signature(&blinded, blinded_key);
}

// ---- VOPRF ----

enum { BATCH = 3, INPUT_SIZE = 32 };

static void tokens(void)
{
	struct voprf_key key;
	struct voprf_pending pending[BATCH];
	struct voprf_element blinded[BATCH], evaluated[BATCH];
	struct voprf_output outputs[BATCH], direct[BATCH];
	uint8_t inputs[BATCH][INPUT_SIZE], proof[VOPRF_PROOF_SIZE], seed[VOPRF_SEED_SIZE];

	// The only product is the public key, which everybody is told.
	products_are_public = true;
	secret_products = 0;
	randombytes_buf(seed, sizeof(seed));
	secret(seed, sizeof(seed));
	require(voprf_key_derive(&key, seed, "secrets", 7) == 0, "deriving a key");
	require(secret_products == 1, "the public key depends on the seed");

	// Client. The products are the blinded elements, which the server gets.
	secret_products = 0;
	for (unsigned i = 0; i < BATCH; i++) {
		randombytes_buf(inputs[i], INPUT_SIZE);
		secret(inputs[i], INPUT_SIZE);
		require(voprf_blind(&pending[i], inputs[i], INPUT_SIZE) == 0, "blinding");
		blinded[i] = pending[i].blinded;
	}
	require(secret_products == BATCH, "what is blinded depends on the blind");

	// Server. The products are the evaluated elements, which the client gets, and three of the
	// proof (Z, t2, t3 of RFC 9497), which the client computes in order to verify it.
	secret_products = 0;
	require(voprf_blind_evaluate(evaluated, proof, &key, blinded, BATCH) == 0, "evaluating");
	require(secret_products == BATCH + 3, "what is evaluated depends on the key");
	declassify(proof + VOPRF_SCALAR_SIZE, VOPRF_SCALAR_SIZE); // the client gets the proof

	// Client. While it verifies, nothing is secret; then the products are its own.
	products_are_public = false;
	require(voprf_finalize(outputs, pending, evaluated, BATCH, proof, key.public_key) == 0,
		"finalizing");
	declassify(outputs, sizeof(outputs)); // a token is shown when it is spent

	// Server. Another's product is a token that was never issued.
	for (unsigned i = 0; i < BATCH; i++)
		require(voprf_evaluate(&direct[i], &key, inputs[i], INPUT_SIZE) == 0, "redeeming");
	declassify(direct, sizeof(direct)); // to compare it below
	require(memcmp(outputs, direct, sizeof(outputs)) == 0, "the outputs are right");
}

// ---- ML-KEM ----

enum { DK_SECRET = MLKEM_K * MLKEM_POLY12, DK_PUBLIC = MLKEM1024_SECRET_SIZE - 32 };

// Of a decapsulation key the public key and its hash are no secret.
static void hide(struct mlkem1024_secret *key)
{
	secret(key->bytes, DK_SECRET);
	secret(key->bytes + DK_PUBLIC, MLKEM1024_SECRET_SIZE - DK_PUBLIC);
}

static void key_encapsulation(void)
{
	uint8_t seed[MLKEM1024_SEED_SIZE], public_key[MLKEM1024_PUBLIC_SIZE];
	uint8_t message[MLKEM1024_MESSAGE_SIZE], ciphertext[MLKEM1024_CIPHERTEXT_SIZE];
	uint8_t shared[MLKEM1024_SHARED_SIZE], same[MLKEM1024_SHARED_SIZE];
	struct mlkem1024_secret key;
	struct keccak state;

	randombytes_buf(seed, sizeof(seed));
	secret(seed, sizeof(seed));
	rho_is_new = true;
	require(mlkem1024_derive(public_key, &key, seed) == 0 && !rho_is_new, "a key from a seed");
	// Everybody gets the public key, wherever it stands.
	declassify(public_key, sizeof(public_key));
	declassify(key.bytes + DK_SECRET, DK_PUBLIC - DK_SECRET);
	require(memcmp(public_key, key.bytes + DK_SECRET, sizeof(public_key)) == 0, "one key");

	randombytes_buf(message, sizeof(message));
	secret(message, sizeof(message));
	require(mlkem1024_encapsulate_with(ciphertext, shared, public_key, message) == 0,
		"encapsulating");
	declassify(ciphertext, sizeof(ciphertext)); // is sent
	declassify(shared, sizeof(shared));         // to compare it below

	hide(&key);
	require(mlkem1024_decapsulate(same, &key, ciphertext) == 0, "decapsulating");
	declassify(same, sizeof(same)); // to compare it
	require(memcmp(same, shared, sizeof(same)) == 0, "the shared secret is right");

	// Whether a ciphertext is rejected must not show either.
	ciphertext[7] ^= 1;
	hide(&key);
	require(mlkem1024_decapsulate(same, &key, ciphertext) == 0, "decapsulating another");
	declassify(same, sizeof(same)); // to compare it
	defined(&key, sizeof(key));     // for what must come out
	keccak_begin(&state, SHAKE256_RATE);
	keccak_add(&state, key.bytes + DK_PUBLIC, MLKEM1024_SECRET_SIZE - DK_PUBLIC);
	keccak_add(&state, ciphertext, sizeof(ciphertext));
	keccak_finish(&state, SHAKE_SUFFIX, shared, sizeof(shared));
	require(memcmp(same, shared, sizeof(same)) == 0, "the rejected secret is right");
}

static void key_encapsulation_in_vectors(void)
{
	vectors = true;
	key_encapsulation();
	vectors = false;
}

static const struct secrets_case cases[] = {
	{"a branch", leaking_branch, true},
	{"an index", leaking_index, true},
	{"a comparison", leaking_compare, true},
	{"a multiplication in variable time", leaking_multiplication, true},
	{"a matrix that is drawn", leaking_matrix, true},
	{"BLAKE3 with a key", blake3_keyed_by_a_secret, false},
	{"BLAKE3 deriving a key", blake3_deriving_from_a_secret, false},
	{"signing", signing, false},
	{"blinding a secret", blinding_a_secret, false},
	{"an epoch key", an_epoch_key, false},
	{"tokens", tokens, false},
#ifndef PACKAGED_MLKEM
	{"ML-KEM", key_encapsulation, false},
	{"ML-KEM in vectors", key_encapsulation_in_vectors, false},
#endif
};

int main(void)
{
	return run_cases(cases, sizeof(cases) / sizeof(cases[0]));
}
