// SPDX-License-Identifier: BSD-3-Clause
// Ed25519 key blinding as in Tor's rend-spec-v3, appendix A.2: from a key pair and a public factor
// another key pair, whose public key whoever knows the first public key and the factor can compute
// too, and whose signatures are plain Ed25519 (RFC 8032). Without the first public key nobody can
// tell that two blinded keys have the same origin.
//
// Two traps of the scheme, for those who use it:
// - Whoever knows the factor gets from the blinded secret back to the first one by a division. A
//   blinded secret is as secret as the first.
// - The nonce's prefix is blinded too, but the same for every factor. One message signed under two
//   factors shows the same R in both signatures: that links them, and who knows both factors has
//   the secret. Sign only what differs per factor, or use lib/crypto/epoch.h, which changes the
//   prefix with the epoch.
//
// Plain functions of any thread; constant time in secrets (tests/secrets). sodium_init comes first.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLINDING_KEY_SIZE       32
#define BLINDING_SEED_SIZE      32
#define BLINDING_SIGNATURE_SIZE 64

// An expanded secret (RFC 8032 section 5.1.5, steps 1 and 2; or a blinded one). Its owner wipes it
// with sodium_memzero.
struct blinding_secret {
	uint8_t scalar[32]; // little-endian, < 2^255; of a blinded secret reduced
	uint8_t prefix[32]; // what nonces are made from
};

// The expanded secret of an RFC 8032 private key.
void blinding_secret_expand(
	struct blinding_secret *secret, const uint8_t seed[static BLINDING_SEED_SIZE]);

// The public key of a secret, blinded or not.
void blinding_secret_public(
	uint8_t public_key[static BLINDING_KEY_SIZE], const struct blinding_secret *secret);

// The blinded public key; may overwrite public_key. The factor is any 32 bytes, clamped here.
// -EINVAL: public_key is no canonical encoding, or not a point of the prime-order group (identity
// and small orders included); blinded is then all zeros, which verifies nothing.
int blinding_public_key(uint8_t blinded[static BLINDING_KEY_SIZE],
	const uint8_t public_key[static BLINDING_KEY_SIZE],
	const uint8_t factor[static BLINDING_KEY_SIZE]);

// The blinded secret, of the key that blinding_public_key makes of secret's public key; may
// overwrite secret.
void blinding_secret_key(struct blinding_secret *blinded, const struct blinding_secret *secret,
	const uint8_t factor[static BLINDING_KEY_SIZE]);

// Signs `size` bytes of message (RFC 8032 section 5.1.6). public_key must be the secret's own and
// never come from elsewhere: signing one message under two public keys gives the secret away.
void blinding_sign(uint8_t signature[static BLINDING_SIGNATURE_SIZE], const uint8_t *message,
	size_t size, const struct blinding_secret *secret,
	const uint8_t public_key[static BLINDING_KEY_SIZE]);

// Whether the signature is public_key's for these bytes. As strict as libsodium is: S must be
// reduced, public_key canonical, neither public_key nor R of small order, and R is compared as
// bytes (no cofactor), so that there is one valid encoding of each signature. A public key with a
// small-order part is accepted here: it belongs to whoever made it. Not constant time: for public
// input only.
bool blinding_verify(const uint8_t signature[static BLINDING_SIGNATURE_SIZE],
	const uint8_t *message, size_t size, const uint8_t public_key[static BLINDING_KEY_SIZE]);
