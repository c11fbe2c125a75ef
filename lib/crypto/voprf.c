// SPDX-License-Identifier: BSD-3-Clause
// See voprf.h. Section numbers are RFC 9497's unless another is named; the group and SHA-512 are
// libsodium's. Its multiplication fails for an identity, on either side of it.
#include "lib/crypto/voprf.h"

#include <sodium.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>

// Section 3.1: contextString of mode 1 and this suite.
static const char context[] = "OPRFV1-\x01-ristretto255-SHA512";
enum { CONTEXT_SIZE = sizeof(context) - 1, HASH_SIZE = crypto_hash_sha512_BYTES };

// ---- hashing ----

static void add(crypto_hash_sha512_state *state, const void *bytes, size_t size)
{
	crypto_hash_sha512_update(state, bytes, size);
}

static void add_text(crypto_hash_sha512_state *state, const char *text)
{
	add(state, text, strlen(text));
}

static void add_number(crypto_hash_sha512_state *state, size_t number)
{
	const uint8_t bytes[2] = {(uint8_t)(number >> 8), (uint8_t)number};
	add(state, bytes, sizeof(bytes));
}

static void add_sized(crypto_hash_sha512_state *state, const void *bytes, size_t size)
{
	add_number(state, size);
	add(state, bytes, size);
}

// RFC 9380 section 5.3.1, expand_message_xmd for 64 bytes, which are one block of SHA-512. The
// message is added in between.
static void expand_begin(crypto_hash_sha512_state *state)
{
	static const uint8_t pad[128];
	crypto_hash_sha512_init(state);
	add(state, pad, sizeof(pad));
}

// label: what stands before the context string in the domain separation tag.
static void expand_finish(
	crypto_hash_sha512_state *state, const char *label, uint8_t out[static HASH_SIZE])
{
	const uint8_t tag_size = (uint8_t)(strlen(label) + CONTEXT_SIZE), zero = 0, one = 1;
	add_number(state, HASH_SIZE);
	add(state, &zero, 1);
	add_text(state, label);
	add(state, context, CONTEXT_SIZE);
	add(state, &tag_size, 1);
	crypto_hash_sha512_final(state, out);
	crypto_hash_sha512_init(state);
	add(state, out, HASH_SIZE);
	add(state, &one, 1);
	add_text(state, label);
	add(state, context, CONTEXT_SIZE);
	add(state, &tag_size, 1);
	crypto_hash_sha512_final(state, out);
	sodium_memzero(state, sizeof(*state));
}

// Section 4.1.
static void finish_scalar(crypto_hash_sha512_state *state, const char *label,
	uint8_t scalar[static VOPRF_SCALAR_SIZE])
{
	uint8_t wide[HASH_SIZE];
	expand_finish(state, label, wide);
	crypto_core_ristretto255_scalar_reduce(scalar, wide);
	sodium_memzero(wide, sizeof(wide));
}

static void hash_to_group(
	uint8_t element[static VOPRF_ELEMENT_SIZE], const void *input, size_t size)
{
	crypto_hash_sha512_state state;
	uint8_t wide[HASH_SIZE];
	expand_begin(&state);
	add(&state, input, size);
	expand_finish(&state, "HashToGroup-", wide);
	crypto_core_ristretto255_from_hash(element, wide);
	sodium_memzero(wide, sizeof(wide));
}

static void hash_output(struct voprf_output *output, const void *input, size_t input_size,
	const uint8_t element[static VOPRF_ELEMENT_SIZE])
{
	crypto_hash_sha512_state state;
	crypto_hash_sha512_init(&state);
	add_sized(&state, input, input_size);
	add_sized(&state, element, VOPRF_ELEMENT_SIZE);
	add_text(&state, "Finalize");
	crypto_hash_sha512_final(&state, output->bytes);
	sodium_memzero(&state, sizeof(state));
}

// ---- decoding ----

// libsodium 1.0.18 ignores the top bit, which an encoding must not have (RFC 9496 section 4.3.1).
static bool element_valid(const uint8_t element[static VOPRF_ELEMENT_SIZE])
{
	return element[VOPRF_ELEMENT_SIZE - 1] < 0x80 &&
	       crypto_core_ristretto255_is_valid_point(element) == 1 &&
	       !sodium_is_zero(element, VOPRF_ELEMENT_SIZE);
}

static bool elements_valid(const struct voprf_element *elements, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!element_valid(elements[i].bytes))
			return false;
	return true;
}

static bool scalar_reduced(const uint8_t scalar[static VOPRF_SCALAR_SIZE])
{
	uint8_t wide[64] = {0}, reduced[VOPRF_SCALAR_SIZE];
	memcpy(wide, scalar, VOPRF_SCALAR_SIZE);
	crypto_core_ristretto255_scalar_reduce(reduced, wide);
	bool same = sodium_memcmp(reduced, scalar, VOPRF_SCALAR_SIZE) == 0;
	sodium_memzero(wide, sizeof(wide));
	sodium_memzero(reduced, sizeof(reduced));
	return same;
}

// ---- proofs, section 2.2 ----

// What the proof speaks of: that evaluated[i] is blinded[i] times the secret of public_key.
struct claim {
	const uint8_t *public_key;
	const struct voprf_element *blinded, *evaluated;
	size_t count;
};

static void claim_seed(const struct claim *claim, uint8_t seed[static HASH_SIZE])
{
	crypto_hash_sha512_state state;
	crypto_hash_sha512_init(&state);
	add_sized(&state, claim->public_key, VOPRF_ELEMENT_SIZE);
	add_number(&state, sizeof("Seed-") - 1 + CONTEXT_SIZE);
	add_text(&state, "Seed-");
	add(&state, context, CONTEXT_SIZE);
	crypto_hash_sha512_final(&state, seed);
}

static int sum_add(uint8_t sum[static VOPRF_ELEMENT_SIZE],
	const uint8_t scalar[static VOPRF_SCALAR_SIZE], const struct voprf_element *element)
{
	uint8_t product[VOPRF_ELEMENT_SIZE];
	if (crypto_scalarmult_ristretto255(product, scalar, element->bytes) != 0)
		return -1;
	return crypto_core_ristretto255_add(sum, sum, product);
}

// ComputeComposites: random linear combinations of the batch; z only where it is asked for, since
// whoever has the secret gets it cheaper.
static int claim_composites(
	const struct claim *claim, uint8_t m[static VOPRF_ELEMENT_SIZE], uint8_t *z)
{
	uint8_t seed[HASH_SIZE], scalar[VOPRF_SCALAR_SIZE];
	claim_seed(claim, seed);
	memset(m, 0, VOPRF_ELEMENT_SIZE); // the identity
	if (z)
		memset(z, 0, VOPRF_ELEMENT_SIZE);
	for (size_t i = 0; i < claim->count; i++) {
		crypto_hash_sha512_state state;
		expand_begin(&state);
		add_sized(&state, seed, sizeof(seed));
		add_number(&state, i);
		add_sized(&state, claim->blinded[i].bytes, VOPRF_ELEMENT_SIZE);
		add_sized(&state, claim->evaluated[i].bytes, VOPRF_ELEMENT_SIZE);
		add_text(&state, "Composite");
		finish_scalar(&state, "HashToScalar-", scalar);
		if (sum_add(m, scalar, &claim->blinded[i]) != 0)
			return -1;
		if (z && sum_add(z, scalar, &claim->evaluated[i]) != 0)
			return -1;
	}
	return 0;
}

static void claim_challenge(const struct claim *claim, const uint8_t *const elements[static 4],
	uint8_t challenge[static VOPRF_SCALAR_SIZE])
{
	crypto_hash_sha512_state state;
	expand_begin(&state);
	add_sized(&state, claim->public_key, VOPRF_ELEMENT_SIZE);
	for (unsigned i = 0; i < 4; i++)
		add_sized(&state, elements[i], VOPRF_ELEMENT_SIZE);
	add_text(&state, "Challenge");
	finish_scalar(&state, "HashToScalar-", challenge);
}

// GenerateProof. Fails only where a sum came out as the identity, by chance.
static int claim_prove(const struct claim *claim, const uint8_t secret[static VOPRF_SCALAR_SIZE],
	uint8_t proof[static VOPRF_PROOF_SIZE])
{
	uint8_t m[VOPRF_ELEMENT_SIZE], z[VOPRF_ELEMENT_SIZE], t2[VOPRF_ELEMENT_SIZE],
		t3[VOPRF_ELEMENT_SIZE], nonce[VOPRF_SCALAR_SIZE], product[VOPRF_SCALAR_SIZE];
	if (claim_composites(claim, m, NULL) != 0 ||
		crypto_scalarmult_ristretto255(z, secret, m) != 0)
		return -1;
	crypto_core_ristretto255_scalar_random(nonce);
	int failed = crypto_scalarmult_ristretto255_base(t2, nonce) |
		     crypto_scalarmult_ristretto255(t3, nonce, m);
	claim_challenge(claim, (const uint8_t *const[]){m, z, t2, t3}, proof);
	crypto_core_ristretto255_scalar_mul(product, proof, secret);
	crypto_core_ristretto255_scalar_sub(proof + VOPRF_SCALAR_SIZE, nonce, product);
	sodium_memzero(nonce, sizeof(nonce));
	sodium_memzero(product, sizeof(product));
	return failed;
}

// VerifyProof, of decoded scalars.
static bool claim_holds(const struct claim *claim, const uint8_t proof[static VOPRF_PROOF_SIZE])
{
	const uint8_t *c = proof, *s = proof + VOPRF_SCALAR_SIZE;
	uint8_t m[VOPRF_ELEMENT_SIZE], z[VOPRF_ELEMENT_SIZE], t2[VOPRF_ELEMENT_SIZE],
		t3[VOPRF_ELEMENT_SIZE], product[VOPRF_ELEMENT_SIZE], expected[VOPRF_SCALAR_SIZE];
	if (claim_composites(claim, m, z) != 0)
		return false;
	if (crypto_scalarmult_ristretto255_base(t2, s) != 0 ||
		crypto_scalarmult_ristretto255(product, c, claim->public_key) != 0 ||
		crypto_core_ristretto255_add(t2, t2, product) != 0)
		return false;
	if (crypto_scalarmult_ristretto255(t3, s, m) != 0 ||
		crypto_scalarmult_ristretto255(product, c, z) != 0 ||
		crypto_core_ristretto255_add(t3, t3, product) != 0)
		return false;
	claim_challenge(claim, (const uint8_t *const[]){m, z, t2, t3}, expected);
	return sodium_memcmp(expected, c, sizeof(expected)) == 0;
}

// ---- what is offered ----

int voprf_key_derive(struct voprf_key *key, const uint8_t seed[static VOPRF_SEED_SIZE],
	const void *info, size_t info_size)
{
	if (info_size > VOPRF_INPUT_MAX)
		return -EINVAL;
	for (unsigned counter = 0; counter <= UINT8_MAX; counter++) {
		const uint8_t byte = (uint8_t)counter;
		crypto_hash_sha512_state state;
		expand_begin(&state);
		add(&state, seed, VOPRF_SEED_SIZE);
		add_sized(&state, info, info_size);
		add(&state, &byte, 1);
		finish_scalar(&state, "DeriveKeyPair", key->secret);
		if (crypto_scalarmult_ristretto255_base(key->public_key, key->secret) == 0)
			return 0;
	}
	return -EINVAL; // 256 times zero
}

void voprf_key_generate(struct voprf_key *key)
{
	crypto_core_ristretto255_scalar_random(key->secret); // never zero
	(void)crypto_scalarmult_ristretto255_base(key->public_key, key->secret);
}

int voprf_key_load(struct voprf_key *key, const uint8_t secret[static VOPRF_SCALAR_SIZE])
{
	memmove(key->secret, secret, VOPRF_SCALAR_SIZE);
	if (scalar_reduced(key->secret) &&
		crypto_scalarmult_ristretto255_base(key->public_key, key->secret) == 0)
		return 0;
	sodium_memzero(key, sizeof(*key));
	return -EINVAL;
}

int voprf_blind(struct voprf_pending *pending, const void *input, size_t input_size)
{
	uint8_t element[VOPRF_ELEMENT_SIZE];
	if (input_size > VOPRF_INPUT_MAX)
		return -EINVAL;
	pending->input = input;
	pending->input_size = input_size;
	hash_to_group(element, input, input_size);
	crypto_core_ristretto255_scalar_random(pending->blind);
	int failed =
		crypto_scalarmult_ristretto255(pending->blinded.bytes, pending->blind, element);
	sodium_memzero(element, sizeof(element));
	return failed ? -EINVAL : 0;
}

int voprf_blind_evaluate(struct voprf_element *evaluated, uint8_t proof[static VOPRF_PROOF_SIZE],
	const struct voprf_key *key, const struct voprf_element *blinded, size_t count)
{
	const struct claim claim = {key->public_key, blinded, evaluated, count};
	if (count == 0 || count > VOPRF_BATCH_MAX)
		return -EINVAL;
	int failed = !elements_valid(blinded, count);
	for (size_t i = 0; i < count && !failed; i++)
		failed = crypto_scalarmult_ristretto255(
			evaluated[i].bytes, key->secret, blinded[i].bytes);
	if (!failed)
		failed = claim_prove(&claim, key->secret, proof);
	if (failed) {
		memset(evaluated, 0, count * sizeof(*evaluated));
		memset(proof, 0, VOPRF_PROOF_SIZE);
	}
	return failed ? -EBADMSG : 0;
}

static int check_evaluated(const struct voprf_pending *pending,
	const struct voprf_element *evaluated, size_t count,
	const uint8_t proof[static VOPRF_PROOF_SIZE],
	const uint8_t public_key[static VOPRF_ELEMENT_SIZE])
{
	struct voprf_element blinded[VOPRF_BATCH_MAX];
	const struct claim claim = {public_key, blinded, evaluated, count};
	if (count == 0 || count > VOPRF_BATCH_MAX || !element_valid(public_key))
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		if (pending[i].input_size > VOPRF_INPUT_MAX)
			return -EINVAL;
		blinded[i] = pending[i].blinded;
	}
	if (!elements_valid(blinded, count) || !elements_valid(evaluated, count) ||
		!scalar_reduced(proof) || !scalar_reduced(proof + VOPRF_SCALAR_SIZE))
		return -EBADMSG;
	return claim_holds(&claim, proof) ? 0 : -EKEYREJECTED;
}

int voprf_finalize(struct voprf_output *outputs, const struct voprf_pending *pending,
	const struct voprf_element *evaluated, size_t count,
	const uint8_t proof[static VOPRF_PROOF_SIZE],
	const uint8_t public_key[static VOPRF_ELEMENT_SIZE])
{
	int error = check_evaluated(pending, evaluated, count, proof, public_key);
	if (error < 0)
		return error;
	for (size_t i = 0; i < count; i++) {
		uint8_t inverse[VOPRF_SCALAR_SIZE], element[VOPRF_ELEMENT_SIZE];
		// Neither fails: no blind is zero, and no evaluated element the identity.
		(void)crypto_core_ristretto255_scalar_invert(inverse, pending[i].blind);
		(void)!crypto_scalarmult_ristretto255(element, inverse, evaluated[i].bytes);
		hash_output(&outputs[i], pending[i].input, pending[i].input_size, element);
		sodium_memzero(inverse, sizeof(inverse));
		sodium_memzero(element, sizeof(element));
	}
	return 0;
}

int voprf_evaluate(struct voprf_output *output, const struct voprf_key *key, const void *input,
	size_t input_size)
{
	uint8_t element[VOPRF_ELEMENT_SIZE], evaluated[VOPRF_ELEMENT_SIZE];
	if (input_size > VOPRF_INPUT_MAX)
		return -EINVAL;
	hash_to_group(element, input, input_size);
	int failed = crypto_scalarmult_ristretto255(evaluated, key->secret, element);
	if (!failed)
		hash_output(output, input, input_size, evaluated);
	sodium_memzero(element, sizeof(element));
	sodium_memzero(evaluated, sizeof(evaluated));
	return failed ? -EINVAL : 0;
}
