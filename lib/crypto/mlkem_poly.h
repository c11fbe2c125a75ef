// SPDX-License-Identifier: BSD-3-Clause
// What the files of ML-KEM-1024 share, and nobody else includes: polynomials over the integers
// modulo q = 3329, and what is done with them. Section and algorithm numbers are those of FIPS 203.
//
// Coefficients are signed 16-bit numbers that stand for their residue; each function says which
// range it takes and leaves. Products are Montgomery's: mlkem_multiply(a, b) is a * b / 2^16, so a
// factor of 2^16 is kept in constants. Nothing here divides: a division's time depends on its
// operands, and that has given keys away (KyberSlash).
//
// Plain functions of any thread, constant time in all coefficients unless said otherwise. Arguments
// do not overlap.
#pragma once

#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>

enum {
	MLKEM_Q = 3329,
	MLKEM_N = 256,
	MLKEM_K = 4,   // of ML-KEM-1024, as are these:
	MLKEM_DU = 11, // bits of a coefficient of u in the ciphertext
	MLKEM_DV = 5,  // and of v
	MLKEM_SEED = 32,
	MLKEM_Q_INVERSE = -3327,        // of q modulo 2^16
	MLKEM_SIDE = 16,                // of the square that a transformed polynomial is kept in
	MLKEM_POLY12 = MLKEM_N / 8 * 12 // bytes of a polynomial of 12-bit coefficients
};

struct mlkem_poly {
	alignas(32) int16_t c[MLKEM_N];
};

// A polynomial in the domain of the number-theoretic transform: the standard's coefficient
// 16 * i + j is c[16 * j + i], so that neighbours in memory are treated alike (mlkem_ntt.c).
struct mlkem_transformed {
	alignas(32) int16_t c[MLKEM_N];
};

// ---- residues ----

// a * b / 2^16 modulo q, within (-q, q) when |a * b| < q * 2^15: the multiple of q whose lower half
// is that of a * b is taken from it, and the upper halves are left. b is best what is constant.
static inline int16_t mlkem_multiply(int16_t a, int16_t b)
{
	int16_t multiple = (int16_t)(a * (int16_t)(b * MLKEM_Q_INVERSE));
	return (int16_t)((int16_t)(a * b >> 16) - (int16_t)(multiple * MLKEM_Q >> 16));
}

// a modulo q, within [-q/2, q/2], for every a: a / q is rounded with 20159 = 2^26 / q.
static inline int16_t mlkem_reduce(int16_t a)
{
	int16_t high = (int16_t)(a * 20159 >> 16);
	int16_t quotient = (int16_t)((high + (1 << 9)) >> 10);
	return (int16_t)(a - quotient * MLKEM_Q);
}

// a modulo q, within [0, q), for every a.
static inline int16_t mlkem_canonical(int16_t a)
{
	int16_t reduced = mlkem_reduce(a);
	return (int16_t)(reduced + (MLKEM_Q & (reduced >> 15)));
}

// Compress (4.2.1): 2^bits / q * a, rounded, modulo 2^bits; of a within [0, q), for 1, 5 and 11
// bits. 645084 = 2^31 / q. The true quotient lies so near to a half for some a that 2^(30-bits)
// alone would round 11 bits wrongly; that this is right for every a is tested.
static inline int16_t mlkem_compress(int16_t a, unsigned bits)
{
	uint32_t scaled = (uint32_t)a * 645084 + (1u << (30 - bits)) - 512;
	return (int16_t)(scaled >> (31 - bits) & ((1u << bits) - 1));
}

// Decompress (4.2.1), of a within [0, 2^bits); within [0, q].
static inline int16_t mlkem_decompress(int16_t a, unsigned bits)
{
	return (int16_t)((a * MLKEM_Q + (1 << (bits - 1))) >> bits);
}

// ---- mlkem_ntt.c ----

// Algorithm 9. In: |c| <= q; out: |c| < 8 q.
void mlkem_transform(struct mlkem_transformed *out, const struct mlkem_poly *in);
// Algorithm 10, times 2^16: what mlkem_dot has divided by it. In: any; out: |c| < q.
void mlkem_transform_back(struct mlkem_poly *out, const struct mlkem_transformed *in);
// The sum of the products of MLKEM_K pairs (algorithm 11), divided by 2^16. In: |a| < 4096,
// |b| < 8 q; out: |c| < 8 q.
void mlkem_dot(struct mlkem_transformed *out, const struct mlkem_transformed a[static MLKEM_K],
	const struct mlkem_transformed b[static MLKEM_K]);
// sum * 2^16 + addend, within [0, q). In: |sum|, |addend| < 8 q.
void mlkem_add_product(struct mlkem_transformed *sum, const struct mlkem_transformed *addend);
// Within [0, q), of any.
void mlkem_make_canonical(struct mlkem_transformed *a);
// From the standard's order, and to it.
void mlkem_arrange(struct mlkem_transformed *out, const struct mlkem_poly *in);
void mlkem_arrange_back(struct mlkem_poly *out, const struct mlkem_transformed *in);

// ---- mlkem_sampling.c ----

enum mlkem_matrix { MLKEM_STRAIGHT, MLKEM_TRANSPOSED };

// Row i of the matrix A, or of its transpose, which is column i (algorithm 7 of each entry); within
// [0, q). rho is public: branches depend on it.
void mlkem_sample_row(struct mlkem_transformed row[static MLKEM_K],
	const uint8_t rho[static MLKEM_SEED], unsigned i, enum mlkem_matrix matrix);
// Noise of the centred binomial distribution (algorithm 8, eta = 2) from the seed and the bytes
// nonce and following, one a polynomial; within [-2, 2].
void mlkem_sample_noise(
	struct mlkem_poly *out, const uint8_t seed[static MLKEM_SEED], unsigned nonce);
void mlkem_sample_noise4(struct mlkem_poly out[static MLKEM_K],
	const uint8_t seed[static MLKEM_SEED], unsigned nonce);

// ---- mlkem_coding.c ----

// Algorithms 5 and 6 with 12 bits. Encoding takes [0, q), decoding leaves [0, 4096).
void mlkem_encode(uint8_t out[static MLKEM_POLY12], const struct mlkem_transformed *in);
void mlkem_decode(struct mlkem_transformed *out, const uint8_t in[static MLKEM_POLY12]);
// Adds to a what noise and Decompress make of it, and encodes the sum compressed: ciphertexts. In:
// |a| < q. Bytes: 32 * bits.
void mlkem_encode_u(uint8_t *out, const struct mlkem_poly *a, const struct mlkem_poly *noise);
void mlkem_encode_v(uint8_t *out, const struct mlkem_poly *a, const struct mlkem_poly *noise,
	const uint8_t message[static MLKEM_SEED]);
// The other way; out within [0, q].
void mlkem_decode_u(struct mlkem_poly *out, const uint8_t *in);
void mlkem_decode_v(struct mlkem_poly *out, const uint8_t *in);
// The message that v - a is nearest to. In: v within [0, q], |a| < q.
void mlkem_encode_message(
	uint8_t message[static MLKEM_SEED], const struct mlkem_poly *v, const struct mlkem_poly *a);
