// SPDX-License-Identifier: BSD-3-Clause
// The arithmetic of ML-KEM in the ranges that mlkem_poly.h claims: residues and compression for
// every number there is, the transform and its products against multiplication as at school, in
// every build that this processor runs.
// wrap: cpu_has_avx2
// wrap: cpu_has_avx512
#include "lib/crypto/cpu.h"
#include "lib/crypto/mlkem_poly.h"

#include <sodium.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

enum { N = MLKEM_N, Q = MLKEM_Q, K = MLKEM_K };

// ---- neighbours ----

static bool wide;

bool __real_cpu_has_avx2(void);
bool __wrap_cpu_has_avx2(void);
bool __wrap_cpu_has_avx512(void);

bool __wrap_cpu_has_avx2(void)
{
	return wide && __real_cpu_has_avx2();
}

bool __wrap_cpu_has_avx512(void)
{
	return false;
}

// ---- residues ----

static int residue(int64_t a)
{
	return (int)((a % Q + Q) % Q);
}

static void every_residue(void **unused)
{
	(void)unused;
	for (int a = INT16_MIN; a <= INT16_MAX; a++) {
		int reduced = mlkem_reduce((int16_t)a), canonical = mlkem_canonical((int16_t)a);
		assert_int_equal(residue(reduced), residue(a));
		assert_true(2 * abs(reduced) <= Q);
		assert_int_equal(canonical, residue(a));
	}
}

static void products_of_residues(void **unused)
{
	(void)unused;
	for (int b = -Q; b <= Q; b += 13)
		for (int a = INT16_MIN; a <= INT16_MAX; a += a % 2 == 0 ? 77 : 36) {
			int product = mlkem_multiply((int16_t)a, (int16_t)b);
			if (abs(a) * abs(b) >= Q << 15)
				continue;
			assert_int_equal(residue((int64_t)product * 65536), residue(a * b));
			assert_true(abs(product) < Q);
		}
}

static void every_compression(void **unused)
{
	(void)unused;
	static const unsigned sizes[] = {1, MLKEM_DV, MLKEM_DU};
	for (unsigned i = 0; i < 3; i++) {
		unsigned bits = sizes[i];
		int steps = 1 << bits;
		for (int a = 0; a < Q; a++)
			assert_int_equal(mlkem_compress((int16_t)a, bits),
				(2 * a * steps + Q) / (2 * Q) % steps);
		for (int a = 0; a < steps; a++)
			assert_int_equal(mlkem_decompress((int16_t)a, bits),
				(2 * a * Q + steps) / (2 * steps));
	}
}

// ---- polynomials ----

static void randomise(struct mlkem_poly *poly, int low, int high)
{
	for (unsigned i = 0; i < N; i++)
		poly->c[i] = (int16_t)(low + (int)randombytes_uniform((uint32_t)(high - low + 1)));
}

// Modulo X^256 + 1.
static void multiply_at_school(
	int64_t out[static N], const struct mlkem_poly *a, const struct mlkem_poly *b)
{
	for (unsigned i = 0; i < N; i++)
		for (unsigned j = 0; j < N; j++)
			out[(i + j) % N] += (i + j < N ? 1 : -1) * a->c[i] * b->c[j];
}

static void assert_products(
	const struct mlkem_poly a[static K], const struct mlkem_poly b[static K])
{
	struct mlkem_transformed ta[K], tb[K], product;
	struct mlkem_poly have;
	int64_t want[N] = {0};
	for (unsigned k = 0; k < K; k++)
		multiply_at_school(want, &a[k], &b[k]);
	for (unsigned i = 0; i < 2; i++) {
		wide = i == 1;
		for (unsigned k = 0; k < K; k++) {
			mlkem_transform(&ta[k], &a[k]);
			for (unsigned n = 0; n < N; n++)
				assert_true(abs(ta[k].c[n]) < 8 * Q);
			mlkem_make_canonical(&ta[k]); // as keys are
			mlkem_transform(&tb[k], &b[k]);
		}
		mlkem_dot(&product, ta, tb);
		for (unsigned n = 0; n < N; n++)
			assert_true(abs(product.c[n]) < 8 * Q);
		mlkem_transform_back(&have, &product);
		for (unsigned n = 0; n < N; n++) {
			assert_int_equal(residue(have.c[n]), residue(want[n]));
			assert_true(abs(have.c[n]) < Q);
		}
	}
}

static void products(void **unused)
{
	(void)unused;
	struct mlkem_poly a[K], b[K];
	for (unsigned round = 0; round < 8; round++) {
		for (unsigned k = 0; k < K; k++) {
			randomise(&a[k], 0, Q - 1);
			randomise(&b[k], -2, 2);
		}
		assert_products(a, b);
	}
	// One coefficient each: every place of either.
	for (unsigned n = 0; n < N; n++) {
		memset(a, 0, sizeof(a));
		memset(b, 0, sizeof(b));
		a[n % K].c[n] = 1;
		b[n % K].c[N - 1 - n] = Q;
		b[n % K].c[n] = -1;
		assert_products(a, b);
	}
}

// The largest coefficients, all of one sign and of signs at random.
static void ranges(void **unused)
{
	(void)unused;
	struct mlkem_poly a[K], b[K];
	for (unsigned round = 0; round < 8; round++) {
		for (unsigned k = 0; k < K; k++)
			for (unsigned n = 0; n < N; n++) {
				bool minus = round >= 4 ? randombytes_uniform(2) : round & 1;
				a[k].c[n] = (int16_t)(minus ? -Q : Q);
				b[k].c[n] = (int16_t)((round & 2 ? n % 2 == 0 : minus) ? -Q : Q);
			}
		assert_products(a, b);
	}
	// What decoding can leave, under what a transform can: against the same reduced first.
	struct mlkem_transformed ta[K], tb[K], reduced[K], one, other;
	for (unsigned round = 0; round < 16; round++) {
		for (unsigned k = 0; k < K; k++)
			for (unsigned n = 0; n < N; n++) {
				ta[k].c[n] = 4095;
				tb[k].c[n] =
					(int16_t)(randombytes_uniform(2) ? 8 * Q - 1 : 1 - 8 * Q);
				reduced[k].c[n] = mlkem_reduce(tb[k].c[n]);
			}
		wide = round % 2;
		mlkem_dot(&one, ta, tb);
		mlkem_dot(&other, ta, reduced);
		for (unsigned n = 0; n < N; n++)
			assert_int_equal(residue(one.c[n]), residue(other.c[n]));
	}
}

static void a_product_and_more(void **unused)
{
	(void)unused;
	struct mlkem_transformed sum, addend, before;
	for (unsigned n = 0; n < N; n++) {
		sum.c[n] = (int16_t)((int)randombytes_uniform(16 * Q - 1) - (8 * Q - 1));
		addend.c[n] = (int16_t)((int)randombytes_uniform(16 * Q - 1) - (8 * Q - 1));
	}
	before = sum;
	mlkem_add_product(&sum, &addend);
	for (unsigned n = 0; n < N; n++)
		assert_int_equal(sum.c[n], residue((int64_t)before.c[n] * 65536 + addend.c[n]));
}

static void bytes_and_back(void **unused)
{
	(void)unused;
	struct mlkem_poly poly, again;
	struct mlkem_transformed transformed, back;
	uint8_t bytes[MLKEM_POLY12];
	randomise(&poly, 0, Q - 1);
	mlkem_arrange(&transformed, &poly);
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(transformed.c[16 * (i % 16) + i / 16], poly.c[i]);
	mlkem_encode(bytes, &transformed);
	for (unsigned i = 0; i < N; i++) {
		unsigned at = bytes[12 * i / 8] | (unsigned)bytes[12 * i / 8 + 1] << 8;
		assert_int_equal(at >> 12 * i % 8 & 0xfff, poly.c[i]);
	}
	mlkem_decode(&back, bytes);
	assert_memory_equal(&back, &transformed, sizeof(back));
	mlkem_arrange_back(&again, &back);
	assert_memory_equal(&again, &poly, sizeof(again));
}

// Encoding adds, compresses and packs as the standard's formulas do, and decoding undoes it up to
// the rounding.
static void ciphertexts(void **unused)
{
	(void)unused;
	struct mlkem_poly a, noise, out;
	uint8_t bytes[32 * MLKEM_DU], message[MLKEM_SEED], have[MLKEM_SEED];
	for (unsigned round = 0; round < 8; round++) {
		wide = round % 2;
		randomise(&a, 1 - Q, Q - 1);
		randomise(&noise, -2, 2);
		mlkem_encode_u(bytes, &a, &noise);
		mlkem_decode_u(&out, bytes);
		for (unsigned i = 0; i < N; i++) {
			int off = residue(out.c[i] - a.c[i] - noise.c[i]);
			assert_true(off <= 1 || off >= Q - 1);
		}
		randombytes_buf(message, sizeof(message));
		mlkem_encode_v(bytes, &a, &noise, message);
		mlkem_decode_v(&out, bytes);
		for (unsigned i = 0; i < N; i++) {
			int bit = message[i / 8] >> i % 8 & 1;
			int off = residue(out.c[i] - a.c[i] - noise.c[i] - bit * ((Q + 1) / 2));
			assert_true(off <= Q / 64 + 1 || off >= Q - Q / 64 - 1);
		}
		mlkem_encode_message(have, &out, &a);
		assert_memory_equal(have, message, sizeof(message));
	}
}

// How often each value comes, of 16,384: 1, 4, 6, 4 and 1 in 16.
static void noise_is_binomial(void **unused)
{
	(void)unused;
	static const unsigned sixteenths[] = {1, 4, 6, 4, 1};
	struct mlkem_poly polys[K], one;
	unsigned counts[5] = {0};
	uint8_t seed[MLKEM_SEED] = {5};
	for (unsigned nonce = 0; nonce < 16 * K; nonce += K) {
		wide = nonce % 2;
		mlkem_sample_noise4(polys, seed, nonce);
		for (unsigned k = 0; k < K; k++) {
			mlkem_sample_noise(&one, seed, nonce + k);
			assert_memory_equal(&one, &polys[k], sizeof(one));
			for (unsigned n = 0; n < N; n++) {
				assert_in_range(one.c[n] + 2, 0, 4);
				counts[one.c[n] + 2]++;
			}
		}
	}
	for (unsigned i = 0; i < 5; i++)
		assert_in_range(
			counts[i], sixteenths[i] * 1024 * 9 / 10, sixteenths[i] * 1024 * 11 / 10);
}

// Rows of the one are columns of the other, and all entries differ.
static void matrices(void **unused)
{
	(void)unused;
	struct mlkem_transformed straight[K][K], transposed[K][K];
	uint8_t rho[MLKEM_SEED] = {9};
	for (unsigned i = 0; i < K; i++) {
		mlkem_sample_row(straight[i], rho, i, MLKEM_STRAIGHT);
		mlkem_sample_row(transposed[i], rho, i, MLKEM_TRANSPOSED);
	}
	for (unsigned i = 0; i < K; i++)
		for (unsigned j = 0; j < K; j++) {
			assert_memory_equal(
				&straight[i][j], &transposed[j][i], sizeof(straight[0][0]));
			for (unsigned n = 0; n < N; n++)
				assert_in_range(straight[i][j].c[n], 0, Q - 1);
			if (i != j)
				assert_memory_not_equal(
					&straight[i][j], &straight[j][i], sizeof(straight[0][0]));
		}
}

static int setup(void **unused)
{
	(void)unused;
	return sodium_init() < 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_residue),
		cmocka_unit_test(products_of_residues),
		cmocka_unit_test(every_compression),
		cmocka_unit_test(products),
		cmocka_unit_test(ranges),
		cmocka_unit_test(a_product_and_more),
		cmocka_unit_test(bytes_and_back),
		cmocka_unit_test(ciphertexts),
		cmocka_unit_test(noise_is_binomial),
		cmocka_unit_test(matrices),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
