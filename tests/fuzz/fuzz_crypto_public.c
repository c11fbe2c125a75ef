// SPDX-License-Identifier: BSD-3-Clause
// Any bytes where lib/crypto takes what others say: signatures, public keys, elements, proofs,
// stored keys. The first byte chooses. Held: what is accepted is what the arithmetic allows, found
// out in another way; what is refused leaves nothing usable behind.
#include "lib/crypto/epoch.h"
#include "lib/crypto/voprf.h"
#include "tests/vectors/voprf.h"

#include <sodium.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 2 }; // of the last vector

static const uint8_t zero[64];

static struct {
	bool made;
	struct voprf_key key;
	uint8_t inputs[BATCH][32];
	struct voprf_pending pending[BATCH];
	struct voprf_element evaluated[BATCH];
} world;

static void require(bool condition)
{
	if (!condition)
		abort();
}

static size_t from_hex(void *out, size_t size, const char *hex)
{
	size_t length;
	require(sodium_hex2bin(out, size, hex, strcspn(hex, ","), NULL, &length, NULL) == 0);
	return length;
}

static void make_world(void)
{
	const struct voprf_vector *v = &voprf_vectors[2];
	uint8_t secret[VOPRF_SCALAR_SIZE];
	require(sodium_init() >= 0 && v->batch == BATCH);
	from_hex(secret, sizeof(secret), voprf_secret);
	require(voprf_key_load(&world.key, secret) == 0);
	for (unsigned i = 0; i < BATCH; i++) {
		struct voprf_pending *pending = &world.pending[i];
		pending->input = world.inputs[i];
		pending->input_size = from_hex(world.inputs[i], sizeof(world.inputs[i]),
			i ? strchr(v->input, ',') + 1 : v->input);
		from_hex(pending->blind, sizeof(pending->blind),
			i ? strchr(v->blind, ',') + 1 : v->blind);
		from_hex(&pending->blinded, sizeof(pending->blinded),
			i ? strchr(v->blinded, ',') + 1 : v->blinded);
		from_hex(&world.evaluated[i], sizeof(world.evaluated[i]),
			i ? strchr(v->evaluated, ',') + 1 : v->evaluated);
	}
	world.made = true;
}

// Whether a little-endian scalar is below the group's order.
static bool below_order(const uint8_t scalar[static 32])
{
	static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6,
		0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10};
	return sodium_compare(scalar, order, 32) < 0;
}

static bool element_good(const uint8_t element[static VOPRF_ELEMENT_SIZE])
{
	return element[31] < 0x80 && crypto_core_ristretto255_is_valid_point(element) &&
	       memcmp(element, zero, VOPRF_ELEMENT_SIZE) != 0;
}

// signature[64] key[32] message
static void check_verify(const uint8_t *data, size_t size)
{
	if (size < BLINDING_SIGNATURE_SIZE + BLINDING_KEY_SIZE)
		return;
	const uint8_t *key = data + BLINDING_SIGNATURE_SIZE;
	size_t length = size - BLINDING_SIGNATURE_SIZE - BLINDING_KEY_SIZE;
	uint8_t *message = malloc(length + 1);
	memcpy(message, key + BLINDING_KEY_SIZE, length);
	message[length] = 0;
	if (blinding_verify(data, message, length, key)) {
		require(below_order(data + 32));
		require(!blinding_verify(data, message, length + 1, key));
	}
	free(message);
}

// key[32] namespace or factor[32] epoch[4]
static void check_public_key(const uint8_t *data, size_t size)
{
	uint8_t one[32], two[32], epoch_key[32], address[EPOCH_ADDRESS_SIZE];
	static const uint8_t factor[32] = {9, 8, 7};
	if (size < 68)
		return;
	uint32_t epoch;
	memcpy(&epoch, data + 64, sizeof(epoch));
	int result = blinding_public_key(one, data, data + 32);
	require(epoch_public_key(epoch_key, data + 32, data, epoch) == result);
	require((result == 0) == (crypto_core_ed25519_is_valid_point(data) == 1));
	if (result < 0) {
		require(result == -EINVAL && memcmp(one, zero, 32) == 0 &&
			memcmp(epoch_key, zero, 32) == 0);
		return;
	}
	require(crypto_core_ed25519_is_valid_point(one) == 1);
	// Factors commute.
	require(blinding_public_key(one, one, factor) == 0);
	require(blinding_public_key(two, data, factor) == 0);
	require(blinding_public_key(two, two, data + 32) == 0);
	require(memcmp(one, two, 32) == 0);
	epoch_address(address, data + 32, epoch_key, epoch);
	require(epoch_address_owned_by(address, epoch_key));
	require(!epoch_address_owned_by(address, data));
}

// elements
static void check_blind_evaluate(const uint8_t *data, size_t size)
{
	struct voprf_element blinded[4], evaluated[4], again;
	struct voprf_pending pending[4];
	struct voprf_output outputs[4];
	uint8_t proof[VOPRF_PROOF_SIZE];
	size_t count = size / VOPRF_ELEMENT_SIZE;
	bool good = true;
	if (count == 0 || count > 4)
		return;
	memcpy(blinded, data, count * VOPRF_ELEMENT_SIZE);
	for (size_t i = 0; i < count; i++) {
		good &= element_good(blinded[i].bytes);
		pending[i] = world.pending[0];
		pending[i].blinded = blinded[i];
	}
	int result = voprf_blind_evaluate(evaluated, proof, &world.key, blinded, count);
	require(result == (good ? 0 : -EBADMSG));
	if (!good) {
		for (size_t i = 0; i < count; i++)
			require(memcmp(&evaluated[i], zero, sizeof(evaluated[i])) == 0);
		require(memcmp(proof, zero, sizeof(proof)) == 0);
		return;
	}
	require(voprf_finalize(outputs, pending, evaluated, count, proof, world.key.public_key) ==
		0);
	for (size_t i = 0; i < count; i++) {
		require(crypto_scalarmult_ristretto255(
				again.bytes, world.key.secret, blinded[i].bytes) == 0);
		require(memcmp(&again, &evaluated[i], sizeof(again)) == 0);
	}
}

// proof[64] public key[32] evaluated elements. Nobody forges a proof: under our key there is one
// answer.
static void check_finalize(const uint8_t *data, size_t size)
{
	struct voprf_element evaluated[BATCH];
	struct voprf_output outputs[BATCH];
	const uint8_t *key = data + VOPRF_PROOF_SIZE;
	size_t count = (size - size % VOPRF_ELEMENT_SIZE) / VOPRF_ELEMENT_SIZE;
	if (count < 4 || count > 3 + BATCH)
		return;
	count -= 3;
	memcpy(evaluated, key + VOPRF_ELEMENT_SIZE, count * VOPRF_ELEMENT_SIZE);
	memset(outputs, 0xAA, sizeof(outputs));
	int result = voprf_finalize(outputs, world.pending, evaluated, count, data, key);
	bool decodes = below_order(data) && below_order(data + VOPRF_SCALAR_SIZE);
	for (size_t i = 0; i < count; i++)
		decodes &= element_good(evaluated[i].bytes);
	if (!element_good(key))
		require(result == -EINVAL);
	else if (!decodes)
		require(result == -EBADMSG);
	else
		require(result == 0 || result == -EKEYREJECTED);
	for (size_t i = 0; i < sizeof(outputs) && result < 0; i++)
		require(((uint8_t *)outputs)[i] == 0xAA);
	if (result == 0 && memcmp(key, world.key.public_key, VOPRF_ELEMENT_SIZE) == 0)
		require(memcmp(evaluated, world.evaluated, count * sizeof(evaluated[0])) == 0);
}

// secret[32]
static void check_key_load(const uint8_t *data, size_t size)
{
	struct voprf_key key;
	if (size != VOPRF_SCALAR_SIZE)
		return;
	bool good = below_order(data) && memcmp(data, zero, VOPRF_SCALAR_SIZE) != 0;
	require(voprf_key_load(&key, data) == (good ? 0 : -EINVAL));
	require(good ? element_good(key.public_key) : sodium_is_zero((uint8_t *)&key, sizeof(key)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const checks[])(const uint8_t *, size_t) = {check_verify, check_public_key,
		check_blind_evaluate, check_finalize, check_key_load};
	if (!world.made)
		make_world();
	if (size > 0 && data[0] < sizeof(checks) / sizeof(checks[0]))
		checks[data[0]](data + 1, size - 1);
	return 0;
}
