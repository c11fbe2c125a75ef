// SPDX-License-Identifier: BSD-3-Clause
// What ML-KEM draws from seeds (FIPS 203, sections 4.2.2 and 4.1): the matrix A, four entries at a
// time, and noise, four polynomials at a time.
#include "lib/crypto/mlkem_poly.h"
#include "lib/crypto/cpu.h"
#include "lib/crypto/keccak.h"

#include <sodium.h>

#include <assert.h>
#include <endian.h>
#include <stdbool.h>
#include <string.h>

enum {
	NOISE = 64 * 2, // bytes for a polynomial, with eta = 2
	LAST = 0x80,    // the last bit of padding
};

static_assert(MLKEM_K == (int)KECCAK_STATES, "a row of the matrix is one pass of Keccak");
static_assert(NOISE <= (int)SHAKE256_RATE, "noise of a polynomial is one block");

// ---- the matrix ----

enum {
	CANDIDATES = SHAKE128_RATE / 3 * 2, // of a block, 12 bits each
	ROOM = MLKEM_N + CANDIDATES,
};

// Puts those candidates of a block that are below q behind the `count` that are in out already;
// returns how many there are then. Each is written, and counted if it is to stay: there is no
// branch to guess, and room for a whole block. Four are read at once, from 8 bytes of which 6
// count.
static size_t take_candidates(
	int16_t out[static ROOM], size_t count, const uint8_t block[static SHAKE128_RATE + 2])
{
	for (unsigned i = 0; i < SHAKE128_RATE; i += 6) {
		uint64_t bits;
		memcpy(&bits, block + i, sizeof(bits));
		bits = le64toh(bits);
		for (unsigned j = 0; j < 4; j++, bits >>= 12) {
			unsigned candidate = bits & 0xfff;
			out[count] = (int16_t)candidate;
			count += candidate < MLKEM_Q;
		}
	}
	return count;
}

void mlkem_sample_row(struct mlkem_transformed row[static MLKEM_K],
	const uint8_t rho[static MLKEM_SEED], unsigned i, enum mlkem_matrix matrix)
{
	struct keccak4 states = {0};
	int16_t taken[MLKEM_K][ROOM];
	size_t counts[MLKEM_K] = {0};
	uint8_t block[SHAKE128_RATE + 2] = {0};
	memcpy(block, rho, MLKEM_SEED);
	block[MLKEM_SEED + 2] = SHAKE_SUFFIX;
	block[SHAKE128_RATE - 1] = LAST;
	for (unsigned n = 0; n < MLKEM_K; n++) {
		// The entry of row i and column j is drawn from rho, j, i.
		block[MLKEM_SEED] = (uint8_t)(matrix == MLKEM_STRAIGHT ? n : i);
		block[MLKEM_SEED + 1] = (uint8_t)(matrix == MLKEM_STRAIGHT ? i : n);
		keccak4_add(&states, n, block, SHAKE128_RATE);
	}
	for (bool whole = false; !whole;) {
		keccak4_permute(&states);
		whole = true;
		for (unsigned n = 0; n < MLKEM_K; n++) {
			if (counts[n] >= MLKEM_N)
				continue;
			keccak4_read(&states, n, block, SHAKE128_RATE);
			counts[n] = take_candidates(taken[n], counts[n], block);
			whole &= counts[n] >= MLKEM_N;
		}
	}
	for (unsigned n = 0; n < MLKEM_K; n++) {
		struct mlkem_poly poly;
		memcpy(poly.c, taken[n], sizeof(poly.c));
		mlkem_arrange(&row[n], &poly);
	}
}

// ---- noise ----

// A coefficient is the sum of two bits less the sum of two more, and four bits of a byte.
CPU_BODY void subtract_bits(struct mlkem_poly *out, const uint8_t bytes[static NOISE])
{
	for (unsigned i = 0; i < NOISE; i++) {
		unsigned sums = (bytes[i] & 0x55u) + (bytes[i] >> 1 & 0x55u);
		out->c[2 * i] = (int16_t)((int)(sums & 3) - (int)(sums >> 2 & 3));
		out->c[2 * i + 1] = (int16_t)((int)(sums >> 4 & 3) - (int)(sums >> 6));
	}
}

CPU_AVX2 static void subtract_bits_avx2(struct mlkem_poly *out, const uint8_t bytes[static NOISE])
{
	subtract_bits(out, bytes);
}

static void make_noise(struct mlkem_poly *out, const uint8_t bytes[static NOISE])
{
	if (cpu_has_avx2())
		subtract_bits_avx2(out, bytes);
	else
		subtract_bits(out, bytes);
}

void mlkem_sample_noise(
	struct mlkem_poly *out, const uint8_t seed[static MLKEM_SEED], unsigned nonce)
{
	struct keccak state;
	uint8_t byte = (uint8_t)nonce, bytes[NOISE];
	keccak_begin(&state, SHAKE256_RATE);
	keccak_add(&state, seed, MLKEM_SEED);
	keccak_add(&state, &byte, sizeof(byte));
	keccak_finish(&state, SHAKE_SUFFIX, bytes, sizeof(bytes));
	make_noise(out, bytes);
	sodium_memzero(&state, sizeof(state));
	sodium_memzero(bytes, sizeof(bytes));
}

void mlkem_sample_noise4(struct mlkem_poly out[static MLKEM_K],
	const uint8_t seed[static MLKEM_SEED], unsigned nonce)
{
	struct keccak4 states = {0};
	uint8_t block[SHAKE256_RATE] = {0};
	memcpy(block, seed, MLKEM_SEED);
	block[MLKEM_SEED + 1] = SHAKE_SUFFIX;
	block[SHAKE256_RATE - 1] = LAST;
	for (unsigned n = 0; n < MLKEM_K; n++) {
		block[MLKEM_SEED] = (uint8_t)(nonce + n);
		keccak4_add(&states, n, block, sizeof(block));
	}
	keccak4_permute(&states);
	for (unsigned n = 0; n < MLKEM_K; n++) {
		keccak4_read(&states, n, block, NOISE);
		make_noise(&out[n], block);
	}
	sodium_memzero(&states, sizeof(states));
	sodium_memzero(block, sizeof(block));
}
