// SPDX-License-Identifier: BSD-3-Clause
// Shows that the handshake and the envelope of a call take no branch and compute no address from a
// secret; how is told in crypto.c. What is decrypted counts as secret here, and what both sides may
// know of it is declassified where it is used: whether a tag or a key was right, public keys.
// wrap: crypto_scalarmult
// wrap: crypto_aead_aes256gcm_decrypt_afternm
// wrap: crypto_sign_ed25519_pk_to_curve25519
// wrap: sodium_memcmp
// wrap: cpu_has_avx2
// wrap: mlkem_sample_row
// wrap: mlkem1024_derive
// wrap: mlkem1024_encapsulate_with
#include "endpoint/session/handshake.h"
#include "lib/crypto/mlkem_poly.h"
#include "tests/secrets/marks.h"

#include <string.h>

// ---- neighbours ----

static unsigned outcomes; // of what depends on a secret, and is told

static int outcome(int result)
{
	uint8_t bits[sizeof(result)];
	if (VALGRIND_GET_VBITS(&result, bits, sizeof(bits)) == 1)
		outcomes += !sodium_is_zero(bits, sizeof(bits));
	defined(&result, sizeof(result));
	return result;
}

int __real_crypto_scalarmult(unsigned char *, const unsigned char *, const unsigned char *);
int __wrap_crypto_scalarmult(unsigned char *, const unsigned char *, const unsigned char *);
int __real_crypto_aead_aes256gcm_decrypt_afternm(unsigned char *, unsigned long long *,
	unsigned char *, const unsigned char *, unsigned long long, const unsigned char *,
	unsigned long long, const unsigned char *, const crypto_aead_aes256gcm_state *);
int __wrap_crypto_aead_aes256gcm_decrypt_afternm(unsigned char *, unsigned long long *,
	unsigned char *, const unsigned char *, unsigned long long, const unsigned char *,
	unsigned long long, const unsigned char *, const crypto_aead_aes256gcm_state *);
int __real_crypto_sign_ed25519_pk_to_curve25519(unsigned char *, const unsigned char *);
int __wrap_crypto_sign_ed25519_pk_to_curve25519(unsigned char *, const unsigned char *);
int __real_sodium_memcmp(const void *, const void *, size_t);
int __wrap_sodium_memcmp(const void *, const void *, size_t);
bool __wrap_cpu_has_avx2(void);
void __real_mlkem_sample_row(
	struct mlkem_transformed *row, const uint8_t *rho, unsigned i, enum mlkem_matrix matrix);
void __wrap_mlkem_sample_row(
	struct mlkem_transformed *row, const uint8_t *rho, unsigned i, enum mlkem_matrix matrix);
int __real_mlkem1024_derive(
	uint8_t *public_key, struct mlkem1024_secret *secret_key, const uint8_t *seed);
int __wrap_mlkem1024_derive(
	uint8_t *public_key, struct mlkem1024_secret *secret_key, const uint8_t *seed);
int __real_mlkem1024_encapsulate_with(
	uint8_t *ciphertext, uint8_t *shared, const uint8_t *public_key, const uint8_t *message);
int __wrap_mlkem1024_encapsulate_with(
	uint8_t *ciphertext, uint8_t *shared, const uint8_t *public_key, const uint8_t *message);

// Whether the other's key is of small order: the handshake then ends.
int __wrap_crypto_scalarmult(unsigned char *q, const unsigned char *n, const unsigned char *p)
{
	// The other's static key: it has been decrypted, but is a public key.
	defined((void *)(uintptr_t)p, 32);
	return outcome(__real_crypto_scalarmult(q, n, p));
}

// Whether a message is authentic.
int __wrap_crypto_aead_aes256gcm_decrypt_afternm(unsigned char *m, unsigned long long *mlen,
	unsigned char *nsec, const unsigned char *c, unsigned long long clen,
	const unsigned char *ad, unsigned long long adlen, const unsigned char *npub,
	const crypto_aead_aes256gcm_state *ctx)
{
	return outcome(__real_crypto_aead_aes256gcm_decrypt_afternm(
		m, mlen, nsec, c, clen, ad, adlen, npub, ctx));
}

// The caller's identity key, which the callee is told.
int __wrap_crypto_sign_ed25519_pk_to_curve25519(unsigned char *x25519, const unsigned char *ed25519)
{
	defined((void *)(uintptr_t)ed25519, 32);
	return __real_crypto_sign_ed25519_pk_to_curve25519(x25519, ed25519);
}

// Whether that is the key that was proven.
int __wrap_sodium_memcmp(const void *a, const void *b, size_t size)
{
	return outcome(__real_sodium_memcmp(a, b, size));
}

// ML-KEM's vectors are watched in crypto.c.
bool __wrap_cpu_has_avx2(void)
{
	return false;
}

// Half of a public key.
void __wrap_mlkem_sample_row(
	struct mlkem_transformed *row, const uint8_t *rho, unsigned i, enum mlkem_matrix matrix)
{
	defined((void *)(uintptr_t)rho, MLKEM_SEED);
	__real_mlkem_sample_row(row, rho, i, matrix);
}

// The caller's new key: the public one, which is sent, and its copy and hash in the secret one.
int __wrap_mlkem1024_derive(
	uint8_t *public_key, struct mlkem1024_secret *secret_key, const uint8_t *seed)
{
	enum { COPY = MLKEM_K * MLKEM_POLY12 };
	int result = __real_mlkem1024_derive(public_key, secret_key, seed);
	declassify(public_key, MLKEM1024_PUBLIC_SIZE);
	declassify(secret_key->bytes + COPY, MLKEM1024_PUBLIC_SIZE + 32);
	return result;
}

// The same, which has been decrypted.
int __wrap_mlkem1024_encapsulate_with(
	uint8_t *ciphertext, uint8_t *shared, const uint8_t *public_key, const uint8_t *message)
{
	declassify((void *)(uintptr_t)public_key, MLKEM1024_PUBLIC_SIZE);
	return __real_mlkem1024_encapsulate_with(ciphertext, shared, public_key, message);
}

// ---- what leaks, on purpose ----

static volatile unsigned sink;

// A table look-up by a byte of an AEAD's key, as portable AES does it.
static void leaking_table(void)
{
	static const uint8_t box[256] = {99, 124, 119};
	struct aes256gcm cipher;
	uint8_t key[AES256GCM_KEY_SIZE];
	randombytes_buf(key, sizeof(key));
	secret(key, sizeof(key));
	require(aes256gcm_begin(&cipher, key) == 0, "a key");
	sink = box[cipher.schedule[40]];
	aes256gcm_end(&cipher);
}

static void leaking_outcome(void)
{
	struct envelope_secrets secrets;
	struct envelope_session session;
	uint8_t frame[ENVELOPE_OVERHEAD] = {0};
	randombytes_buf(&secrets, sizeof(secrets));
	secret(&secrets, sizeof(secrets));
	require(envelope_begin(&session, &secrets) == 0, "a session");
	require(envelope_seal(&session, NULL, 0, frame) == 0, "a frame");
	sink = frame[ENVELOPE_HEADER_SIZE] == 7;
	if (sink)
		sink = 2;
	envelope_wipe(&session);
}

// ---- a call ----

static void fill_secret(void *context, void *out, size_t size)
{
	(void)context;
	randombytes_buf(out, size);
	secret(out, size);
}

static const struct handshake_random random_secrets = {fill_secret, NULL};

static void identity(struct handshake_identity *out)
{
	uint8_t seed[HANDSHAKE_SEED_SIZE];
	fill_secret(NULL, seed, sizeof(seed));
	handshake_identity_make(out, seed);
	declassify(out->public_key, sizeof(out->public_key)); // contacts have it
}

static void speak(struct envelope_session *from, struct envelope_session *to)
{
	uint8_t text[100], opened[100], frame[ENVELOPE_OVERHEAD + sizeof(text)];
	randombytes_buf(text, sizeof(text));
	secret(text, sizeof(text));
	require(envelope_seal(from, text, sizeof(text), frame) == 0, "a frame is sealed");
	declassify(frame, sizeof(frame)); // is sent
	require(envelope_open(to, frame, sizeof(frame), opened) == 0, "a frame opens");
	declassify(opened, sizeof(opened)); // to compare them
	defined(text, sizeof(text));
	require(memcmp(text, opened, sizeof(text)) == 0, "it is what was said");
	frame[30] ^= 1;
	frame[5] ^= 1;
	require(envelope_open(to, frame, sizeof(frame), opened) < 0, "another does not open");
}

static void a_call(void)
{
	static const char prologue[] = "secrets";
	struct handshake_identity alice, bob;
	struct handshake caller, callee;
	struct envelope_session a, b;
	uint8_t text[50], from[HANDSHAKE_IDENTITY_SIZE], opened[sizeof(text)];
	uint8_t offer[HANDSHAKE_OFFER_OVERHEAD + sizeof(text)], exported[2][30];
	uint8_t answer[HANDSHAKE_ANSWER_OVERHEAD + sizeof(text)];

	outcomes = 0;
	identity(&alice);
	identity(&bob);
	fill_secret(NULL, text, sizeof(text));
	require(handshake_offer(&caller, &alice, bob.public_key, prologue, sizeof(prologue),
			&random_secrets, text, sizeof(text), offer) == 0,
		"an offer");
	declassify(offer, sizeof(offer)); // is sent
	require(handshake_offer_open(&callee, &bob, prologue, sizeof(prologue), offer,
			sizeof(offer), from, opened) == 0,
		"the offer opens");
	require(handshake_answer(&callee, &random_secrets, text, sizeof(text), answer, &b) == 0,
		"an answer");
	declassify(answer, sizeof(answer)); // is sent
	answer[200] ^= 1;
	require(handshake_answer_open(&caller, answer, sizeof(answer), opened, &a) < 0,
		"another answer does not open");
	answer[200] ^= 1;
	require(handshake_answer_open(&caller, answer, sizeof(answer), opened, &a) == 0,
		"the answer opens");
	// es, ss, ee, se at each side, the bad answer's ee, and the identity. Of whether something
	// is authentic libsodium's branch is all that is seen (libsodium.supp).
	require(outcomes == 10, "it was secrets that were watched");
	speak(&a, &b);
	speak(&b, &a);
	require(envelope_rekey(&a) == 0, "new keys");
	speak(&a, &b);
	speak(&b, &a);
	envelope_export(&a, "ice", exported[0], sizeof(exported[0]));
	envelope_export(&b, "ice", exported[1], sizeof(exported[1]));
	declassify(exported, sizeof(exported)); // to compare them
	require(memcmp(exported[0], exported[1], sizeof(exported[0])) == 0, "the same exported");
	envelope_wipe(&a);
	envelope_wipe(&b);
}

static const struct secrets_case cases[] = {
	{"a look-up by a key's byte", leaking_table, true},
	{"a branch on what was sealed", leaking_outcome, true},
#ifndef PACKAGED_MLKEM
	{"a call", a_call, false},
#endif
};

int main(void)
{
	return run_cases(cases, sizeof(cases) / sizeof(cases[0]));
}
