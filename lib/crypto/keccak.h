// SPDX-License-Identifier: BSD-3-Clause
// SHA-3 and SHAKE (FIPS 202), for ML-KEM: the libraries that are linked anyway have no SHAKE128
// (libsodium 1.0.18 has none of it, GnuTLS 3.7 has it reserved only), and none permutes four states
// side by side, which is what makes ML-KEM fast. Constant time in all contents; lengths show.
//
// A struct keccak belongs to whoever made it and is used by one thread at a time. Wipe it
// (sodium_memzero) when what went in or comes out is secret. No call fails.
#pragma once

#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>

enum {
	KECCAK_LANES = 25,
	KECCAK_STATES = 4, // side by side
	// Bytes of a block.
	SHAKE128_RATE = 168,
	SHAKE256_RATE = 136,
	SHA3_256_RATE = 136,
	SHA3_512_RATE = 72,
	// Bytes that follow the input, the first bit of padding included.
	SHA3_SUFFIX = 0x06,
	SHAKE_SUFFIX = 0x1f,

	SHA3_256_SIZE = 32,
	SHA3_512_SIZE = 64,
};

struct keccak {
	uint64_t lanes[KECCAK_LANES];
	unsigned rate, position; // bytes of a block, and of them taken
};

// rate: one of the above. Then any number of keccak_add.
void keccak_begin(struct keccak *state, unsigned rate);
void keccak_add(struct keccak *state, const void *data, size_t size);
// The first `size` bytes of the output; ends the use of state. Of SHA-3 there are SHA3_*_SIZE.
void keccak_finish(struct keccak *state, unsigned suffix, uint8_t *out, size_t size);

// Keccak-f[1600] over one state.
void keccak_permute(uint64_t lanes[static KECCAK_LANES]);

// Four states side by side, each its own, in the same steps: lanes[i][n] is lane i of state n.
struct keccak4 {
	alignas(32) uint64_t lanes[KECCAK_LANES][KECCAK_STATES];
};

void keccak4_permute(struct keccak4 *states);

// One block of one state: `size` bytes into it, at most 200, from its first byte on; or out of it.
// To finish an input, the block is given with its padding.
void keccak4_add(struct keccak4 *states, unsigned n, const uint8_t *block, size_t size);
void keccak4_read(const struct keccak4 *states, unsigned n, uint8_t *block, size_t size);
