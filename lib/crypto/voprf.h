// SPDX-License-Identifier: BSD-3-Clause
// VOPRF(ristretto255, SHA-512), mode 0x01 of RFC 9497: the client gets from the server a value that
// depends on the client's input and the server's key. The server learns neither input nor value,
// and proves that it used the key that everybody is told.
//
//     client                                  server
//     voprf_blind(input)        --blinded-->  voprf_blind_evaluate
//     voprf_finalize   <--evaluated, proof--  (one proof for the batch)
//     ... later, and nobody can tell from when:
//     input, output             ----------->  voprf_evaluate(input) == output, by sodium_memcmp
//
// Elements are ristretto255 encodings and scalars little-endian, 32 bytes each, as on the wire;
// whatever comes in is decoded strictly. Nothing allocates. Plain functions of any thread; constant
// time in keys, blinds and inputs (tests/secrets), not in lengths, nor in whether something was
// refused. sodium_init comes first.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define VOPRF_ELEMENT_SIZE 32
#define VOPRF_SCALAR_SIZE  32
#define VOPRF_SEED_SIZE    32
#define VOPRF_PROOF_SIZE   64
#define VOPRF_OUTPUT_SIZE  64
#define VOPRF_BATCH_MAX    64    // elements under one proof
#define VOPRF_INPUT_MAX    65535 // bytes, of an input and of a key's info

struct voprf_element {
	uint8_t bytes[VOPRF_ELEMENT_SIZE];
};

struct voprf_output {
	uint8_t bytes[VOPRF_OUTPUT_SIZE];
};

// The server's. Its owner wipes it with sodium_memzero.
struct voprf_key {
	uint8_t secret[VOPRF_SCALAR_SIZE];
	uint8_t public_key[VOPRF_ELEMENT_SIZE];
};

// What a client keeps from blinding to finalizing. Its owner wipes it; the input is borrowed.
struct voprf_pending {
	const void *input;
	size_t input_size;
	uint8_t blind[VOPRF_SCALAR_SIZE];
	struct voprf_element blinded; // goes to the server
};

// DeriveKeyPair of section 3.2.1: the same key from the same secret seed and public info.
// -EINVAL: info is longer than VOPRF_INPUT_MAX.
int voprf_key_derive(struct voprf_key *key, const uint8_t seed[static VOPRF_SEED_SIZE],
	const void *info, size_t info_size);

// A random key.
void voprf_key_generate(struct voprf_key *key);

// The key of a stored secret; may lie in key. -EINVAL: zero or not reduced; key is all zeros then.
int voprf_key_load(struct voprf_key *key, const uint8_t secret[static VOPRF_SCALAR_SIZE]);

// Blinds an input, with randomness of its own. -EINVAL: the input is longer than VOPRF_INPUT_MAX,
// or hashes to the identity, for which nobody knows an input.
int voprf_blind(struct voprf_pending *pending, const void *input, size_t input_size);

// BlindEvaluate of section 3.3.2, for `count` elements with one proof. -EINVAL: count is 0 or above
// VOPRF_BATCH_MAX. -EBADMSG: an element is no canonical encoding, or is the identity; evaluated and
// proof are zeros then. evaluated must not overlap blinded.
int voprf_blind_evaluate(struct voprf_element *evaluated, uint8_t proof[static VOPRF_PROOF_SIZE],
	const struct voprf_key *key, const struct voprf_element *blinded, size_t count);

// Finalize of section 3.3.2: checks the proof for the whole batch, in the order it was evaluated
// in, and makes the outputs. Outputs are written on success alone.
// -EINVAL: count is 0 or above VOPRF_BATCH_MAX, public_key is no element, or an input is too long.
// -EBADMSG: an element or a scalar of the proof is no canonical encoding, or an element the
// identity. -EKEYREJECTED: the proof does not hold: another key, other elements, or another order.
int voprf_finalize(struct voprf_output *outputs, const struct voprf_pending *pending,
	const struct voprf_element *evaluated, size_t count,
	const uint8_t proof[static VOPRF_PROOF_SIZE],
	const uint8_t public_key[static VOPRF_ELEMENT_SIZE]);

// Evaluate of section 3.3.2: the same output from the key and the input. -EINVAL as voprf_blind.
int voprf_evaluate(struct voprf_output *output, const struct voprf_key *key, const void *input,
	size_t input_size);
