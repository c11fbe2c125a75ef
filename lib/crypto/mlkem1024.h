// SPDX-License-Identifier: BSD-3-Clause
// ML-KEM-1024 (FIPS 203): a key encapsulation mechanism that quantum computers are not known to
// break, of security category 5. Whoever has the encapsulation key makes a ciphertext and a shared
// secret; who has the decapsulation key gets the same secret from the ciphertext. A ciphertext that
// was not made by encapsulating gives a secret that nobody else knows (implicit rejection) and no
// error: only what is done with the secret shows it.
//
// Where pkg-config finds OpenSSL 3.5 the Makefile takes its ML-KEM instead (mlkem1024_packaged.c).
//
// Plain functions of any thread; constant time in secrets (tests/secrets). Arguments do not
// overlap. sodium_init comes first. Secrets are wiped by their owner with sodium_memzero. All
// return 0 or a negative errno and leave zeros, which are no key and no secret, where they fail.
// -EIO is OpenSSL's failure, for want of memory; ours never does.
#pragma once

#include <stdint.h>

#define MLKEM1024_PUBLIC_SIZE     1568 // the encapsulation key
#define MLKEM1024_SECRET_SIZE     3168 // the decapsulation key; holds the other
#define MLKEM1024_CIPHERTEXT_SIZE 1568
#define MLKEM1024_SHARED_SIZE     32
#define MLKEM1024_SEED_SIZE       64
#define MLKEM1024_MESSAGE_SIZE    32

// The standard's dk. As secret as what it decapsulates; its seed is 64 bytes where this is to be
// kept.
struct mlkem1024_secret {
	uint8_t bytes[MLKEM1024_SECRET_SIZE];
};

// A new pair from the system's randomness (algorithm 19).
int mlkem1024_generate(
	uint8_t public_key[static MLKEM1024_PUBLIC_SIZE], struct mlkem1024_secret *secret);

// The pair of a seed: the standard's d, then z (algorithm 16). The seed is as secret as the key.
int mlkem1024_derive(uint8_t public_key[static MLKEM1024_PUBLIC_SIZE],
	struct mlkem1024_secret *secret, const uint8_t seed[static MLKEM1024_SEED_SIZE]);

// A ciphertext for public_key, and the secret shared by it (algorithm 20). public_key may be
// anything. -EINVAL: a coefficient of it is not below q (the modulus check of section 7.2);
// ciphertext and shared are then zeros, which is no secret.
int mlkem1024_encapsulate(uint8_t ciphertext[static MLKEM1024_CIPHERTEXT_SIZE],
	uint8_t shared[static MLKEM1024_SHARED_SIZE],
	const uint8_t public_key[static MLKEM1024_PUBLIC_SIZE]);

// The same with the randomness given, the standard's m (algorithm 17): for tests. Who knows it
// knows the shared secret.
int mlkem1024_encapsulate_with(uint8_t ciphertext[static MLKEM1024_CIPHERTEXT_SIZE],
	uint8_t shared[static MLKEM1024_SHARED_SIZE],
	const uint8_t public_key[static MLKEM1024_PUBLIC_SIZE],
	const uint8_t message[static MLKEM1024_MESSAGE_SIZE]);

// The secret of a ciphertext, which may be anything (algorithm 21).
// -EINVAL: secret is damaged: it does not hold the hash of its encapsulation key (the hash check of
// section 7.3). OpenSSL refuses coefficients that are not below q, too.
int mlkem1024_decapsulate(uint8_t shared[static MLKEM1024_SHARED_SIZE],
	const struct mlkem1024_secret *secret,
	const uint8_t ciphertext[static MLKEM1024_CIPHERTEXT_SIZE]);
