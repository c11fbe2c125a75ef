// SPDX-License-Identifier: BSD-3-Clause
// Keccak-f[1600] (FIPS 202, section 3) on one state and on four at once. A round reads one array
// and writes another: row y of its result needs the lanes that pi brings there, each with its
// column's theta and its rho. All indices are constants, so that the compiler keeps lanes in
// registers.
#include "lib/crypto/keccak.h"
#include "lib/crypto/cpu.h"

#include <string.h>

enum { ROUNDS = 24 };

typedef uint64_t lanes4 __attribute__((vector_size(32)));

static const uint64_t round_constants[ROUNDS] = {
	0x0000000000000001,
	0x0000000000008082,
	0x800000000000808a,
	0x8000000080008000,
	0x000000000000808b,
	0x0000000080000001,
	0x8000000080008081,
	0x8000000000008009,
	0x000000000000008a,
	0x0000000000000088,
	0x0000000080008009,
	0x000000008000000a,
	0x000000008000808b,
	0x800000000000008b,
	0x8000000000008089,
	0x8000000000008003,
	0x8000000000008002,
	0x8000000000000080,
	0x000000000000800a,
	0x800000008000000a,
	0x8000000080008081,
	0x8000000000008080,
	0x0000000080000001,
	0x8000000080008008,
};

#define ROTATE(lane, bits) ((lane) << (bits) | (lane) >> ((64 - (bits)) % 64))

#define COLUMN(a, x) ((a)[x] ^ (a)[(x) + 5] ^ (a)[(x) + 10] ^ (a)[(x) + 15] ^ (a)[(x) + 20])

// Lane `from` of a after theta and rho.
#define MOVED(a, d, from, bits) ROTATE((a)[from] ^ (d)[(from) % 5], bits)

// Row y of the result e: the lanes that pi moves there with their rotations, then chi.
#define ROW(type, e, y, a, d, f0, r0, f1, r1, f2, r2, f3, r3, f4, r4)                              \
	do {                                                                                       \
		type b0 = MOVED(a, d, f0, r0), b1 = MOVED(a, d, f1, r1), b2 = MOVED(a, d, f2, r2), \
		     b3 = MOVED(a, d, f3, r3), b4 = MOVED(a, d, f4, r4);                           \
		(e)[5 * (y)] = b0 ^ (~b1 & b2);                                                    \
		(e)[5 * (y) + 1] = b1 ^ (~b2 & b3);                                                \
		(e)[5 * (y) + 2] = b2 ^ (~b3 & b4);                                                \
		(e)[5 * (y) + 3] = b3 ^ (~b4 & b0);                                                \
		(e)[5 * (y) + 4] = b4 ^ (~b0 & b1);                                                \
	} while (0)

#define ROUND(type, e, a, constant)                                                                \
	do {                                                                                       \
		type c0 = COLUMN(a, 0), c1 = COLUMN(a, 1), c2 = COLUMN(a, 2), c3 = COLUMN(a, 3),   \
		     c4 = COLUMN(a, 4);                                                            \
		type d[5] = {c4 ^ ROTATE(c1, 1), c0 ^ ROTATE(c2, 1), c1 ^ ROTATE(c3, 1),           \
			c2 ^ ROTATE(c4, 1), c3 ^ ROTATE(c0, 1)};                                   \
		ROW(type, e, 0, a, d, 0, 0, 6, 44, 12, 43, 18, 21, 24, 14);                        \
		(e)[0] ^= (constant);                                                              \
		ROW(type, e, 1, a, d, 3, 28, 9, 20, 10, 3, 16, 45, 22, 61);                        \
		ROW(type, e, 2, a, d, 1, 1, 7, 6, 13, 25, 19, 8, 20, 18);                          \
		ROW(type, e, 3, a, d, 4, 27, 5, 36, 11, 10, 17, 15, 23, 56);                       \
		ROW(type, e, 4, a, d, 2, 62, 8, 55, 14, 39, 15, 41, 21, 2);                        \
	} while (0)

CPU_BODY void permute(uint64_t lanes[static KECCAK_LANES])
{
	uint64_t a[KECCAK_LANES], e[KECCAK_LANES];
	memcpy(a, lanes, sizeof(a));
	for (unsigned round = 0; round < ROUNDS; round += 2) {
		ROUND(uint64_t, e, a, round_constants[round]);
		ROUND(uint64_t, a, e, round_constants[round + 1]);
	}
	memcpy(lanes, a, sizeof(a));
}

CPU_AVX2 static void permute_avx2(uint64_t lanes[static KECCAK_LANES])
{
	permute(lanes);
}

void keccak_permute(uint64_t lanes[static KECCAK_LANES])
{
	if (cpu_has_avx2())
		permute_avx2(lanes);
	else
		permute(lanes);
}

CPU_BODY void permute4(struct keccak4 *states)
{
	lanes4 a[KECCAK_LANES], e[KECCAK_LANES];
	memcpy(a, states->lanes, sizeof(a));
	for (unsigned round = 0; round < ROUNDS; round += 2) {
		ROUND(lanes4, e, a, round_constants[round]);
		ROUND(lanes4, a, e, round_constants[round + 1]);
	}
	memcpy(states->lanes, a, sizeof(a));
}

CPU_AVX2 static void permute4_avx2(struct keccak4 *states)
{
	permute4(states);
}

CPU_AVX512 static void permute4_avx512(struct keccak4 *states)
{
	permute4(states);
}

// Without AVX2 there is nothing to gain: a vector of two lanes needs three instructions where one
// lane is rotated by one.
static void permute4_plain(struct keccak4 *states)
{
	for (unsigned n = 0; n < KECCAK_STATES; n++) {
		uint64_t lanes[KECCAK_LANES];
		for (unsigned i = 0; i < KECCAK_LANES; i++)
			lanes[i] = states->lanes[i][n];
		permute(lanes);
		for (unsigned i = 0; i < KECCAK_LANES; i++)
			states->lanes[i][n] = lanes[i];
	}
}

void keccak4_permute(struct keccak4 *states)
{
	if (cpu_has_avx512())
		permute4_avx512(states);
	else if (cpu_has_avx2())
		permute4_avx2(states);
	else
		permute4_plain(states);
}
