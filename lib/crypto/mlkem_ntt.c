// SPDX-License-Identifier: BSD-3-Clause
// The number-theoretic transform of ML-KEM (FIPS 203, section 4.3) and products in its domain.
//
// A polynomial is a square of 16 rows of 16 coefficients. The first four layers combine whole rows
// (coefficients 128, 64, 32 and 16 apart), with one root of unity a row. The last three combine
// columns; so the square is transposed, and they combine rows too, with a root for each column.
// Transformed polynomials stay transposed: neighbouring rows are then the pairs that are
// multiplied. Every loop below is 16 equal steps over a row, which compilers make into vectors.
#include "lib/crypto/mlkem_poly.h"
#include "lib/crypto/cpu.h"

#include <sodium.h>

enum {
	SIDE = MLKEM_SIDE,
	HALF = SIDE / 2,
	TO_PRODUCT = 1353, // 2^32 modulo q: makes a product divided by 2^16 whole
	BACK = 1441,       // 2^32 / 128 modulo q: that, and what the layers have multiplied by
};

// Powers of 17 times 2^16, modulo q: 17^BitRev7(i), at i.
static const int16_t first_roots[16] = {-1044, -758, -359, -1517, 1493, 1422, 287, 202, -171, 622,
	1577, 182, 962, -1202, -1474, 1468};

// Those of the last three layers, one a column: at [h][r] the root of block 16 + r, of 32 + 2 r + h
// and of 64 + 4 r + h.
static const int16_t roots16[1][SIDE] = {
	{573, -1325, 264, 383, -829, 1458, -1602, -130, -681, 1017, 732, 608, -1542, 411, -205,
		-1571},
};
static const int16_t roots32[2][SIDE] = {
	{1223, -552, -1293, -282, 516, -320, -1618, 126, -853, -271, 107, -247, -398, -1508, 448,
		677},
	{652, 1015, 1491, -1544, -8, -666, -1162, 1469, -90, 830, -1421, -951, 961, -725, -1065,
		-1275},
};
// Also, with either sign, the roots that products are taken modulo.
static const int16_t roots64[4][SIDE] = {
	{-1103, -1251, 422, -291, -246, -777, -1590, 418, 817, 1322, -1215, -874, -1185, -1510,
		-108, 958},
	{430, 871, 587, -460, 778, 1483, 644, 329, 1097, -1285, -136, 220, -1530, -854, -308,
		-1460},
	{555, 1550, 177, 1574, 1159, -602, -872, -156, 603, -1465, 1218, -1187, -1278, -870, 996,
		1522},
	{843, 105, -235, 1653, -147, 1119, 349, -75, 610, 384, -1335, -1659, 794, 478, 991, 1628},
};

// ---- transposing ----

typedef int16_t eighth __attribute__((vector_size(16))); // half a row

// The 8 x 8 square at `in` into that at `out`. Each of three steps interleaves halves four rows
// apart; where an element is goes up by one bit of its row each time.
CPU_BODY void transpose_square(int16_t *out, const int16_t *in)
{
	eighth a[HALF], b[HALF];
	for (unsigned i = 0; i < HALF; i++)
		a[i] = *(const eighth *)(in + i * SIDE);
	for (unsigned step = 0; step < 3; step++) {
		for (unsigned i = 0; i < 4; i++) {
			b[2 * i] =
				__builtin_shufflevector(a[i], a[i + 4], 0, 8, 1, 9, 2, 10, 3, 11);
			b[2 * i + 1] =
				__builtin_shufflevector(a[i], a[i + 4], 4, 12, 5, 13, 6, 14, 7, 15);
		}
		for (unsigned i = 0; i < HALF; i++)
			a[i] = b[i];
	}
	for (unsigned i = 0; i < HALF; i++)
		*(eighth *)(out + i * SIDE) = a[i];
}

CPU_BODY void transpose(int16_t *out, const int16_t *in)
{
	for (unsigned row = 0; row < SIDE; row += HALF)
		for (unsigned column = 0; column < SIDE; column += HALF)
			transpose_square(out + column * SIDE + row, in + row * SIDE + column);
}

void mlkem_arrange(struct mlkem_transformed *out, const struct mlkem_poly *in)
{
	transpose(out->c, in->c);
}

void mlkem_arrange_back(struct mlkem_poly *out, const struct mlkem_transformed *in)
{
	transpose(out->c, in->c);
}

// ---- forward ----

// Block b of the 2^layer of a layer, its first half with its second: one root for all rows.
CPU_BODY void combine_block(int16_t a[static MLKEM_N], unsigned layer, unsigned block)
{
	unsigned half = MLKEM_N / 2 >> layer;
	int16_t root = first_roots[(1u << layer) + block];
	int16_t *restrict low = a + 2 * half * block, *restrict high = low + half;
	for (unsigned i = 0; i < half; i++) {
		int16_t product = mlkem_multiply(high[i], root);
		high[i] = (int16_t)(low[i] - product);
		low[i] = (int16_t)(low[i] + product);
	}
}

// A root for each column.
CPU_BODY void combine(int16_t *restrict low, int16_t *restrict high, const int16_t *restrict roots)
{
	for (unsigned i = 0; i < SIDE; i++) {
		int16_t product = mlkem_multiply(high[i], roots[i]);
		high[i] = (int16_t)(low[i] - product);
		low[i] = (int16_t)(low[i] + product);
	}
}

// Each layer adds less than q in magnitude, so that q and seven of them stay below 8 q < 2^15.
CPU_BODY void transform(struct mlkem_transformed *out, const struct mlkem_poly *in)
{
	alignas(32) int16_t a[MLKEM_N];
	for (unsigned i = 0; i < MLKEM_N; i++)
		a[i] = in->c[i];
	for (unsigned layer = 0; layer < 4; layer++)
		for (unsigned block = 0; block < 1u << layer; block++)
			combine_block(a, layer, block);
	transpose(out->c, a);
	for (unsigned row = 0; row < 8; row++)
		combine(out->c + SIDE * row, out->c + SIDE * (row + 8), roots16[0]);
	for (unsigned block = 0; block < 2; block++)
		for (unsigned row = 8 * block; row < 8 * block + 4; row++)
			combine(out->c + SIDE * row, out->c + SIDE * (row + 4), roots32[block]);
	for (unsigned block = 0; block < 4; block++)
		for (unsigned row = 4 * block; row < 4 * block + 2; row++)
			combine(out->c + SIDE * row, out->c + SIDE * (row + 2), roots64[block]);
	sodium_memzero(a, sizeof(a));
}

CPU_AVX2 static void transform_avx2(struct mlkem_transformed *out, const struct mlkem_poly *in)
{
	transform(out, in);
}

void mlkem_transform(struct mlkem_transformed *out, const struct mlkem_poly *in)
{
	if (cpu_has_avx2())
		transform_avx2(out, in);
	else
		transform(out, in);
}

// ---- back ----

CPU_BODY void part_block(int16_t a[static MLKEM_N], unsigned layer, unsigned block)
{
	unsigned half = MLKEM_N / 2 >> layer;
	int16_t root = first_roots[(2u << layer) - 1 - block];
	int16_t *restrict low = a + 2 * half * block, *restrict high = low + half;
	for (unsigned i = 0; i < half; i++) {
		int16_t difference = (int16_t)(high[i] - low[i]);
		low[i] = (int16_t)(low[i] + high[i]);
		high[i] = mlkem_multiply(difference, root);
	}
}

CPU_BODY void part(int16_t *restrict low, int16_t *restrict high, const int16_t *restrict roots)
{
	for (unsigned i = 0; i < SIDE; i++) {
		int16_t difference = (int16_t)(high[i] - low[i]);
		low[i] = (int16_t)(low[i] + high[i]);
		high[i] = mlkem_multiply(difference, roots[SIDE - 1 - i]);
	}
}

CPU_BODY void reduce(int16_t a[static MLKEM_N], const int16_t in[static MLKEM_N])
{
	for (unsigned i = 0; i < MLKEM_N; i++)
		a[i] = mlkem_reduce(in[i]);
}

// The layers in reverse, and their roots: block b of n is parted by root 2 n - 1 - b, which is
// minus the inverse of what it was combined by. A layer doubles magnitudes: from q / 2 before the
// first three and the last four, sums and differences stay within 8 q < 2^15.
CPU_BODY void transform_back(struct mlkem_poly *out, const struct mlkem_transformed *in)
{
	alignas(32) int16_t a[MLKEM_N], b[MLKEM_N];
	reduce(a, in->c);
	for (unsigned block = 0; block < 4; block++)
		for (unsigned row = 4 * block; row < 4 * block + 2; row++)
			part(a + SIDE * row, a + SIDE * (row + 2), roots64[3 - block]);
	for (unsigned block = 0; block < 2; block++)
		for (unsigned row = 8 * block; row < 8 * block + 4; row++)
			part(a + SIDE * row, a + SIDE * (row + 4), roots32[1 - block]);
	for (unsigned row = 0; row < 8; row++)
		part(a + SIDE * row, a + SIDE * (row + 8), roots16[0]);
	transpose(b, a);
	reduce(a, b);
	for (unsigned layer = 4; layer-- > 0;)
		for (unsigned block = 0; block < 1u << layer; block++)
			part_block(a, layer, block);
	for (unsigned i = 0; i < MLKEM_N; i++)
		out->c[i] = mlkem_multiply(a[i], BACK);
	sodium_memzero(a, sizeof(a));
	sodium_memzero(b, sizeof(b));
}

CPU_AVX2 static void transform_back_avx2(struct mlkem_poly *out, const struct mlkem_transformed *in)
{
	transform_back(out, in);
}

void mlkem_transform_back(struct mlkem_poly *out, const struct mlkem_transformed *in)
{
	if (cpu_has_avx2())
		transform_back_avx2(out, in);
	else
		transform_back(out, in);
}

// ---- products ----

// A pair of coefficients is a polynomial modulo X^2 - root. Each of five summands is below q.
CPU_BODY void dot_pair(int16_t *restrict out, const struct mlkem_transformed a[static MLKEM_K],
	const struct mlkem_transformed b[static MLKEM_K], unsigned row, int sign)
{
	for (unsigned i = 0; i < SIDE; i++) {
		unsigned at = SIDE * row + i;
		int16_t constant = 0, linear = 0, square = 0;
		for (unsigned k = 0; k < MLKEM_K; k++) {
			int16_t a0 = a[k].c[at], a1 = a[k].c[at + SIDE];
			int16_t b0 = b[k].c[at], b1 = b[k].c[at + SIDE];
			constant = (int16_t)(constant + mlkem_multiply(a0, b0));
			linear =
				(int16_t)(linear + mlkem_multiply(a0, b1) + mlkem_multiply(a1, b0));
			square = (int16_t)(square + mlkem_multiply(a1, b1));
		}
		square = mlkem_multiply(square, roots64[row / 4][i]);
		out[i] = (int16_t)(constant + sign * square);
		out[SIDE + i] = linear;
	}
}

CPU_BODY void dot(struct mlkem_transformed *out, const struct mlkem_transformed a[static MLKEM_K],
	const struct mlkem_transformed b[static MLKEM_K])
{
	for (unsigned row = 0; row < SIDE; row += 4) {
		dot_pair(out->c + SIDE * row, a, b, row, 1);
		dot_pair(out->c + SIDE * (row + 2), a, b, row + 2, -1);
	}
}

CPU_AVX2 static void dot_avx2(struct mlkem_transformed *out,
	const struct mlkem_transformed a[static MLKEM_K],
	const struct mlkem_transformed b[static MLKEM_K])
{
	dot(out, a, b);
}

void mlkem_dot(struct mlkem_transformed *out, const struct mlkem_transformed a[static MLKEM_K],
	const struct mlkem_transformed b[static MLKEM_K])
{
	if (cpu_has_avx2())
		dot_avx2(out, a, b);
	else
		dot(out, a, b);
}

void mlkem_add_product(struct mlkem_transformed *sum, const struct mlkem_transformed *addend)
{
	for (unsigned i = 0; i < MLKEM_N; i++) {
		int16_t product = mlkem_multiply(sum->c[i], TO_PRODUCT);
		sum->c[i] = mlkem_canonical((int16_t)(product + addend->c[i]));
	}
}

void mlkem_make_canonical(struct mlkem_transformed *a)
{
	for (unsigned i = 0; i < MLKEM_N; i++)
		a->c[i] = mlkem_canonical(a->c[i]);
}
