// SPDX-License-Identifier: BSD-3-Clause
// Polynomials as bytes (FIPS 203, section 4.2.1): bits of coefficients, the lowest first, 8
// coefficients in as many bytes as one has bits; and the compression of ciphertexts.
#include "lib/crypto/mlkem_poly.h"
#include "lib/crypto/cpu.h"

#include <sodium.h>

#include <endian.h>
#include <string.h>

enum { GROUP = 8 };

// The compiler is not to know what these coefficients can be: from 0 and 1 it might make a branch.
#define FORGET(poly) __asm__ volatile("" : : "r"(poly) : "memory")

// Not by memcpy: what is written in pieces and read as a whole at once makes the processor wait.
CPU_BODY uint64_t load(const uint8_t *in, unsigned size)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)in[i] << 8 * i;
	return value;
}

CPU_BODY void pack(uint8_t *out, const int16_t c[static MLKEM_N], unsigned bits)
{
	for (unsigned i = 0; i < MLKEM_N; i += GROUP, out += bits) {
		uint64_t low = 0, high = 0;
		for (unsigned j = 0; j < GROUP / 2; j++) {
			low |= (uint64_t)(uint16_t)c[i + j] << j * bits;
			high |= (uint64_t)(uint16_t)c[i + 4 + j] << j * bits;
		}
		// 4 * bits of either.
		uint64_t first = htole64(low | high << 4 * bits);
		memcpy(out, &first, bits < 8 ? bits : 8);
		if (bits > 8) {
			uint64_t rest = htole64(high >> (64 - 4 * bits));
			memcpy(out + 8, &rest, bits - 8);
		}
	}
}

CPU_BODY void unpack(int16_t c[static MLKEM_N], const uint8_t *in, unsigned bits)
{
	const uint64_t mask = (1u << bits) - 1;
	for (unsigned i = 0; i < MLKEM_N; i += GROUP, in += bits) {
		uint64_t first = load(in, bits < 8 ? bits : 8), high = first >> 4 * bits;
		if (bits > 8)
			high |= load(in + 8, bits - 8) << (64 - 4 * bits);
		for (unsigned j = 0; j < GROUP / 2; j++) {
			c[i + j] = (int16_t)(first >> j * bits & mask);
			c[i + 4 + j] = (int16_t)(high >> j * bits & mask);
		}
	}
}

void mlkem_encode(uint8_t out[static MLKEM_POLY12], const struct mlkem_transformed *in)
{
	struct mlkem_poly poly;
	mlkem_arrange_back(&poly, in);
	pack(out, poly.c, 12);
	sodium_memzero(&poly, sizeof(poly));
}

void mlkem_decode(struct mlkem_transformed *out, const uint8_t in[static MLKEM_POLY12])
{
	struct mlkem_poly poly;
	unpack(poly.c, in, 12);
	mlkem_arrange(out, &poly);
	sodium_memzero(&poly, sizeof(poly));
}

// ---- ciphertexts ----

CPU_BODY void compress(struct mlkem_poly *sum, unsigned bits)
{
	for (unsigned i = 0; i < MLKEM_N; i++)
		sum->c[i] = mlkem_compress(mlkem_canonical(sum->c[i]), bits);
}

CPU_BODY void encode_u(uint8_t *out, const struct mlkem_poly *a, const struct mlkem_poly *noise)
{
	struct mlkem_poly sum;
	for (unsigned i = 0; i < MLKEM_N; i++)
		sum.c[i] = (int16_t)(a->c[i] + noise->c[i]);
	compress(&sum, MLKEM_DU);
	pack(out, sum.c, MLKEM_DU);
	sodium_memzero(&sum, sizeof(sum));
}

CPU_AVX2 static void encode_u_avx2(
	uint8_t *out, const struct mlkem_poly *a, const struct mlkem_poly *noise)
{
	encode_u(out, a, noise);
}

void mlkem_encode_u(uint8_t *out, const struct mlkem_poly *a, const struct mlkem_poly *noise)
{
	if (cpu_has_avx2())
		encode_u_avx2(out, a, noise);
	else
		encode_u(out, a, noise);
}

CPU_BODY void encode_v(uint8_t *out, const struct mlkem_poly *a, const struct mlkem_poly *noise,
	const uint8_t message[static MLKEM_SEED])
{
	struct mlkem_poly sum;
	unpack(sum.c, message, 1);
	FORGET(&sum);
	for (unsigned i = 0; i < MLKEM_N; i++)
		sum.c[i] = (int16_t)(mlkem_decompress(sum.c[i], 1) + a->c[i] + noise->c[i]);
	compress(&sum, MLKEM_DV);
	pack(out, sum.c, MLKEM_DV);
	sodium_memzero(&sum, sizeof(sum));
}

CPU_AVX2 static void encode_v_avx2(uint8_t *out, const struct mlkem_poly *a,
	const struct mlkem_poly *noise, const uint8_t message[static MLKEM_SEED])
{
	encode_v(out, a, noise, message);
}

void mlkem_encode_v(uint8_t *out, const struct mlkem_poly *a, const struct mlkem_poly *noise,
	const uint8_t message[static MLKEM_SEED])
{
	if (cpu_has_avx2())
		encode_v_avx2(out, a, noise, message);
	else
		encode_v(out, a, noise, message);
}

CPU_BODY void decompress(struct mlkem_poly *poly, unsigned bits)
{
	for (unsigned i = 0; i < MLKEM_N; i++)
		poly->c[i] = mlkem_decompress(poly->c[i], bits);
}

CPU_AVX2 static void decompress_u_avx2(struct mlkem_poly *poly)
{
	decompress(poly, MLKEM_DU);
}

void mlkem_decode_u(struct mlkem_poly *out, const uint8_t *in)
{
	unpack(out->c, in, MLKEM_DU);
	if (cpu_has_avx2())
		decompress_u_avx2(out);
	else
		decompress(out, MLKEM_DU);
}

void mlkem_decode_v(struct mlkem_poly *out, const uint8_t *in)
{
	unpack(out->c, in, MLKEM_DV);
	decompress(out, MLKEM_DV);
}

void mlkem_encode_message(
	uint8_t message[static MLKEM_SEED], const struct mlkem_poly *v, const struct mlkem_poly *a)
{
	struct mlkem_poly difference;
	for (unsigned i = 0; i < MLKEM_N; i++)
		difference.c[i] = (int16_t)(v->c[i] - a->c[i]);
	compress(&difference, 1);
	FORGET(&difference);
	pack(message, difference.c, 1);
	sodium_memzero(&difference, sizeof(difference));
}
