// SPDX-License-Identifier: BSD-3-Clause
// The VOPRF against RFC 9497's vectors (kept here, and all modes' file where it lies beside the
// project), and what a lying client or server gets.
// wrap: crypto_core_ristretto255_scalar_random
#include "lib/crypto/voprf.h"
#include "tests/vectors/voprf.h"

#include <jansson.h>
#include <sodium.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define PUBLISHED "../shared/vectors/voprf/allVectors.json"

enum { INPUT_MAX = 32 };

// What the next calls for a random scalar get; random ones when that is used up.
static uint8_t scripted[VOPRF_BATCH_MAX][VOPRF_SCALAR_SIZE];
static size_t script_length, script_at;

void __real_crypto_core_ristretto255_scalar_random(unsigned char *scalar);
void __wrap_crypto_core_ristretto255_scalar_random(unsigned char *scalar);

void __wrap_crypto_core_ristretto255_scalar_random(unsigned char *scalar)
{
	if (script_at < script_length)
		memcpy(scalar, scripted[script_at++], VOPRF_SCALAR_SIZE);
	else
		__real_crypto_core_ristretto255_scalar_random(scalar);
}

// `size` is what there is room for; the length of what was there.
static size_t from_hex(void *out, size_t size, const char *hex)
{
	size_t length;
	assert_non_null(hex);
	assert_int_equal(sodium_hex2bin(out, size, hex, strcspn(hex, ","), NULL, &length, NULL), 0);
	return length;
}

static const char *item(const char *list, size_t n)
{
	while (n-- > 0) {
		list = strchr(list, ',');
		assert_non_null(list);
		list++;
	}
	return list;
}

static void assert_hex(const void *have, size_t size, const char *hex)
{
	uint8_t want[64];
	assert_int_equal(from_hex(want, sizeof(want), hex), size);
	assert_memory_equal(have, want, size);
}

static void assert_vector(const struct voprf_key *key, const struct voprf_vector *v)
{
	struct voprf_pending pending[4];
	struct voprf_element blinded[4], evaluated[4];
	struct voprf_output outputs[4], direct;
	uint8_t inputs[4][INPUT_MAX], proof[VOPRF_PROOF_SIZE];
	assert_in_range(v->batch, 1, 4);
	for (size_t i = 0; i < v->batch; i++) {
		size_t size = from_hex(inputs[i], INPUT_MAX, item(v->input, i));
		script_at = 0;
		script_length = 1;
		from_hex(scripted[0], VOPRF_SCALAR_SIZE, item(v->blind, i));
		assert_int_equal(voprf_blind(&pending[i], inputs[i], size), 0);
		assert_hex(&pending[i].blinded, VOPRF_ELEMENT_SIZE, item(v->blinded, i));
		blinded[i] = pending[i].blinded;
	}
	script_at = 0;
	from_hex(scripted[0], VOPRF_SCALAR_SIZE, v->nonce);
	assert_int_equal(voprf_blind_evaluate(evaluated, proof, key, blinded, v->batch), 0);
	assert_hex(proof, sizeof(proof), v->proof);
	assert_int_equal(
		voprf_finalize(outputs, pending, evaluated, v->batch, proof, key->public_key), 0);
	for (size_t i = 0; i < v->batch; i++) {
		assert_hex(&evaluated[i], VOPRF_ELEMENT_SIZE, item(v->evaluated, i));
		assert_hex(&outputs[i], VOPRF_OUTPUT_SIZE, item(v->output, i));
		assert_int_equal(voprf_evaluate(&direct, key, inputs[i], pending[i].input_size), 0);
		assert_memory_equal(&direct, &outputs[i], sizeof(direct));
	}
	assert_int_equal(script_at, script_length);
}

static void assert_key(struct voprf_key *key, const char *seed, const char *info,
	const char *secret, const char *public_key)
{
	uint8_t seed_bytes[VOPRF_SEED_SIZE], info_bytes[INPUT_MAX], secret_bytes[VOPRF_SCALAR_SIZE];
	struct voprf_key loaded;
	from_hex(seed_bytes, sizeof(seed_bytes), seed);
	size_t size = from_hex(info_bytes, sizeof(info_bytes), info);
	assert_int_equal(voprf_key_derive(key, seed_bytes, info_bytes, size), 0);
	assert_hex(key->secret, VOPRF_SCALAR_SIZE, secret);
	assert_hex(key->public_key, VOPRF_ELEMENT_SIZE, public_key);
	from_hex(secret_bytes, sizeof(secret_bytes), secret);
	assert_int_equal(voprf_key_load(&loaded, secret_bytes), 0);
	assert_memory_equal(&loaded, key, sizeof(loaded));
}

static void kept_vectors(void **unused)
{
	(void)unused;
	struct voprf_key key;
	assert_key(&key, voprf_seed, voprf_info, voprf_secret, voprf_public_key);
	for (size_t i = 0; i < sizeof(voprf_vectors) / sizeof(voprf_vectors[0]); i++)
		assert_vector(&key, &voprf_vectors[i]);
}

static const char *text(const json_t *object, const char *name)
{
	const char *value = json_string_value(json_object_get(object, name));
	assert_non_null(value);
	return value;
}

static void published_vectors(void **unused)
{
	(void)unused;
	json_t *file = json_load_file(PUBLISHED, 0, NULL), *suite, *one;
	size_t s, i, tested = 0;
	if (file == NULL) {
		print_message("%s is not here: only the kept vectors are tested\n", PUBLISHED);
		skip();
	}
	json_array_foreach(file, s, suite)
	{
		struct voprf_key key;
		if (strcmp(text(suite, "identifier"), "ristretto255-SHA512") != 0 ||
			json_integer_value(json_object_get(suite, "mode")) != 1)
			continue;
		assert_key(&key, text(suite, "seed"), text(suite, "keyInfo"), text(suite, "skSm"),
			text(suite, "pkSm"));
		json_array_foreach(json_object_get(suite, "vectors"), i, one)
		{
			const json_t *proof = json_object_get(one, "Proof");
			const struct voprf_vector v = {
				(unsigned)json_integer_value(json_object_get(one, "Batch")),
				text(one, "Input"), text(one, "Blind"), text(one, "BlindedElement"),
				text(one, "EvaluationElement"), text(proof, "proof"),
				text(proof, "r"), text(one, "Output")};
			assert_vector(&key, &v);
			tested++;
		}
	}
	json_decref(file);
	assert_int_equal(tested, 3);
}

// ---- a batch that the tests below bend ----

enum { BATCH = 5 };

static struct world {
	struct voprf_key key;
	uint8_t inputs[VOPRF_BATCH_MAX][INPUT_MAX], proof[VOPRF_PROOF_SIZE];
	struct voprf_pending pending[VOPRF_BATCH_MAX];
	struct voprf_element blinded[VOPRF_BATCH_MAX], evaluated[VOPRF_BATCH_MAX];
} world;

static void blind_batch(struct world *w, size_t count)
{
	voprf_key_generate(&w->key);
	for (size_t i = 0; i < count; i++) {
		randombytes_buf(w->inputs[i], INPUT_MAX);
		assert_int_equal(voprf_blind(&w->pending[i], w->inputs[i], INPUT_MAX), 0);
		w->blinded[i] = w->pending[i].blinded;
	}
}

static void evaluate_batch(struct world *w, size_t count)
{
	blind_batch(w, count);
	assert_int_equal(
		voprf_blind_evaluate(w->evaluated, w->proof, &w->key, w->blinded, count), 0);
}

static int finalize(const struct world *w, size_t count)
{
	static struct voprf_output outputs[VOPRF_BATCH_MAX], untouched[VOPRF_BATCH_MAX];
	memset(outputs, 0xAA, sizeof(outputs));
	memset(untouched, 0xAA, sizeof(untouched));
	int result = voprf_finalize(
		outputs, w->pending, w->evaluated, count, w->proof, w->key.public_key);
	if (result < 0)
		assert_memory_equal(outputs, untouched, sizeof(outputs));
	for (size_t i = 0; i < count && result == 0; i++) {
		struct voprf_output direct;
		assert_int_equal(voprf_evaluate(&direct, &w->key, w->inputs[i], INPUT_MAX), 0);
		assert_memory_equal(&outputs[i], &direct, sizeof(direct));
	}
	return result;
}

static void batches_of_every_size(void **unused)
{
	(void)unused;
	static const size_t sizes[] = {1, 2, 7, VOPRF_BATCH_MAX};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		evaluate_batch(&world, sizes[i]);
		assert_int_equal(finalize(&world, sizes[i]), 0);
		if (sizes[i] > 1)
			assert_int_equal(finalize(&world, sizes[i] - 1), -EKEYREJECTED);
	}
	assert_int_equal(
		voprf_blind_evaluate(world.evaluated, world.proof, &world.key, world.blinded, 0),
		-EINVAL);
	assert_int_equal(voprf_blind_evaluate(world.evaluated, world.proof, &world.key,
				 world.blinded, VOPRF_BATCH_MAX + 1),
		-EINVAL);
	assert_int_equal(finalize(&world, 0), -EINVAL);
	assert_int_equal(voprf_finalize(NULL, world.pending, world.evaluated, VOPRF_BATCH_MAX + 1,
				 world.proof, world.key.public_key),
		-EINVAL);
}

static void inputs_have_a_length(void **unused)
{
	(void)unused;
	static uint8_t input[VOPRF_INPUT_MAX + 1];
	struct voprf_pending pending;
	struct voprf_output output;
	struct voprf_key key;
	static const uint8_t seed[VOPRF_SEED_SIZE];
	assert_int_equal(voprf_key_derive(&key, seed, input, VOPRF_INPUT_MAX + 1), -EINVAL);
	assert_int_equal(voprf_key_derive(&key, seed, input, VOPRF_INPUT_MAX), 0);
	assert_int_equal(voprf_blind(&pending, input, VOPRF_INPUT_MAX + 1), -EINVAL);
	assert_int_equal(voprf_blind(&pending, input, VOPRF_INPUT_MAX), 0);
	assert_int_equal(voprf_evaluate(&output, &key, input, VOPRF_INPUT_MAX + 1), -EINVAL);
	assert_int_equal(voprf_evaluate(&output, &key, input, VOPRF_INPUT_MAX), 0);
	assert_int_equal(voprf_evaluate(&output, &key, NULL, 0), 0);
	evaluate_batch(&world, 2);
	world.pending[1].input_size = VOPRF_INPUT_MAX + 1;
	assert_int_equal(finalize(&world, 2), -EINVAL);
}

// RFC 9496, appendix A.3, one of each kind; and the identity.
static const char *const bad_elements[] = {
	// The identity.
	"0000000000000000000000000000000000000000000000000000000000000000",
	// Not reduced: p itself, with the top bit, 2^255 - 1, p + 6.
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"f3ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	// With the top bit: the generator and the identity, to who ignores it.
	"e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2df6",
	"0000000000000000000000000000000000000000000000000000000000000080",
	// Negative.
	"0100000000000000000000000000000000000000000000000000000000000000",
	"01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"ed57ffd8c914fb201471d1c3d245ce3c746fcbe63a3679d51b6a516ebebe0e20",
	// No square; y = 0.
	"26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

enum { BAD_ELEMENTS = sizeof(bad_elements) / sizeof(bad_elements[0]) };

static void malformed_elements(void **unused)
{
	(void)unused;
	static const struct world zero;
	evaluate_batch(&world, BATCH);
	for (size_t b = 0; b < BAD_ELEMENTS; b++) {
		struct world w = world;
		size_t at = b % BATCH;
		from_hex(&w.evaluated[at], VOPRF_ELEMENT_SIZE, bad_elements[b]);
		assert_int_equal(finalize(&w, BATCH), -EBADMSG);

		w = world;
		from_hex(&w.pending[at].blinded, VOPRF_ELEMENT_SIZE, bad_elements[b]);
		assert_int_equal(finalize(&w, BATCH), -EBADMSG);

		w = world;
		from_hex(w.key.public_key, VOPRF_ELEMENT_SIZE, bad_elements[b]);
		assert_int_equal(finalize(&w, BATCH), -EINVAL);

		w = world;
		from_hex(&w.blinded[at], VOPRF_ELEMENT_SIZE, bad_elements[b]);
		assert_int_equal(
			voprf_blind_evaluate(w.evaluated, w.proof, &w.key, w.blinded, BATCH),
			-EBADMSG);
		// Nothing was evaluated for the good ones either.
		assert_memory_equal(w.evaluated, zero.evaluated, BATCH * sizeof(w.evaluated[0]));
		assert_memory_equal(w.proof, zero.proof, sizeof(w.proof));
	}
	assert_int_equal(finalize(&world, BATCH), 0);
}

static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
	0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10};

static void malformed_scalars(void **unused)
{
	(void)unused;
	struct voprf_key key;
	static const struct voprf_key zero;
	static const uint8_t zero_scalar[VOPRF_SCALAR_SIZE], one[VOPRF_SCALAR_SIZE] = {1};
	uint8_t scalar[VOPRF_SCALAR_SIZE];
	evaluate_batch(&world, BATCH);
	for (size_t half = 0; half < 2; half++) {
		struct world w = world;
		// The same scalar, for whoever does not look.
		sodium_add(w.proof + half * VOPRF_SCALAR_SIZE, order, VOPRF_SCALAR_SIZE);
		assert_int_equal(finalize(&w, BATCH), -EBADMSG);
		memset(w.proof + half * VOPRF_SCALAR_SIZE, 0, VOPRF_SCALAR_SIZE);
		assert_int_equal(finalize(&w, BATCH), -EKEYREJECTED);
		memset(w.proof + half * VOPRF_SCALAR_SIZE, 0xFF, VOPRF_SCALAR_SIZE);
		assert_int_equal(finalize(&w, BATCH), -EBADMSG);
	}
	assert_int_equal(voprf_key_load(&key, zero_scalar), -EINVAL);
	assert_memory_equal(&key, &zero, sizeof(key));
	assert_int_equal(voprf_key_load(&key, order), -EINVAL);
	sodium_memzero(scalar, sizeof(scalar));
	sodium_sub(scalar, one, sizeof(scalar));
	assert_int_equal(voprf_key_load(&key, scalar), -EINVAL);
	assert_memory_equal(&key, &zero, sizeof(key));
	memcpy(scalar, order, sizeof(scalar));
	sodium_sub(scalar, one, sizeof(scalar));
	assert_int_equal(voprf_key_load(&key, scalar), 0);
}

static void every_bit_of_a_proof(void **unused)
{
	(void)unused;
	evaluate_batch(&world, 1);
	for (size_t bit = 0; bit < VOPRF_PROOF_SIZE * 8; bit += 5) {
		world.proof[bit / 8] ^= (uint8_t)(1 << bit % 8);
		int result = finalize(&world, 1);
		assert_true(result == -EKEYREJECTED || result == -EBADMSG);
		world.proof[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(finalize(&world, 1), 0);
}

// A server that marks clients by a key of their own is caught.
static void another_key(void **unused)
{
	(void)unused;
	struct voprf_key told, used;
	struct world w;
	evaluate_batch(&world, BATCH);
	voprf_key_generate(&told);
	w = world;
	w.key = told;
	assert_int_equal(finalize(&w, BATCH), -EKEYREJECTED);
	// The public key that was told, with another secret.
	used = world.key;
	memcpy(used.public_key, told.public_key, sizeof(used.public_key));
	assert_int_equal(voprf_blind_evaluate(w.evaluated, w.proof, &used, w.blinded, BATCH), 0);
	assert_int_equal(finalize(&w, BATCH), -EKEYREJECTED);
}

static void elements_of_others(void **unused)
{
	(void)unused;
	struct world w;
	struct voprf_element evaluated;
	uint8_t proof[VOPRF_PROOF_SIZE];
	struct voprf_key other;
	evaluate_batch(&world, BATCH);

	// One of the batch evaluated with another key.
	w = world;
	voprf_key_generate(&other);
	assert_int_equal(voprf_blind_evaluate(&evaluated, proof, &other, &w.blinded[3], 1), 0);
	w.evaluated[3] = evaluated;
	assert_int_equal(finalize(&w, BATCH), -EKEYREJECTED);

	// In another order; and what cancels out in a plain sum.
	w = world;
	w.evaluated[0] = world.evaluated[1];
	w.evaluated[1] = world.evaluated[0];
	assert_int_equal(finalize(&w, BATCH), -EKEYREJECTED);

	// The proof of another batch; of each alone it holds.
	w = world;
	assert_int_equal(voprf_blind_evaluate(&evaluated, w.proof, &w.key, w.blinded, 1), 0);
	assert_memory_equal(&evaluated, &w.evaluated[0], sizeof(evaluated));
	assert_int_equal(finalize(&w, BATCH), -EKEYREJECTED);
	assert_int_equal(finalize(&w, 1), 0);
}

// One input, blinded twice: nothing to recognise, and the same output.
static void blinds_hide(void **unused)
{
	(void)unused;
	evaluate_batch(&world, 1);
	const struct world before = world;
	assert_int_equal(voprf_blind(&world.pending[0], world.inputs[0], INPUT_MAX), 0);
	assert_memory_not_equal(&world.pending[0].blinded, &before.blinded[0], VOPRF_ELEMENT_SIZE);
	world.blinded[0] = world.pending[0].blinded;
	assert_int_equal(finalize(&world, 1), -EKEYREJECTED);
	assert_int_equal(
		voprf_blind_evaluate(world.evaluated, world.proof, &world.key, world.blinded, 1),
		0);
	assert_memory_not_equal(world.evaluated, before.evaluated, VOPRF_ELEMENT_SIZE);
	assert_int_equal(finalize(&world, 1), 0);
}

static int setup(void **unused)
{
	(void)unused;
	return sodium_init() < 0;
}

static int forget_script(void **unused)
{
	(void)unused;
	script_at = script_length = 0;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(kept_vectors, forget_script),
		cmocka_unit_test_teardown(published_vectors, forget_script),
		cmocka_unit_test(batches_of_every_size),
		cmocka_unit_test(inputs_have_a_length),
		cmocka_unit_test(malformed_elements),
		cmocka_unit_test(malformed_scalars),
		cmocka_unit_test(every_bit_of_a_proof),
		cmocka_unit_test(another_key),
		cmocka_unit_test(elements_of_others),
		cmocka_unit_test(blinds_hide),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
