// SPDX-License-Identifier: BSD-3-Clause
// Addresses that only their owner can register and that cannot be linked from one epoch to the
// next.
//
// A client has a delivery key P (Ed25519), known to its contacts alone. For each epoch e (an hour)
// and namespace n it has a blinded key (lib/crypto/blinding.h) and from that an address. Numbers
// are little-endian, || joins bytes:
//
//     factor   BLAKE3 derive-key("Blindrelay 2026-11 epoch key blinding", n[32] || P[32] || e[4])
//     P_e      P blinded by factor
//     address  BLAKE3(n[32] || P_e[32] || e[4])[0:16] || BLAKE3(P_e[32])[0:16]
//
// Who knows n and P computes all three; nobody else can, nor link them over epochs. The first half
// of an address is what a mesh routes by. The second half binds the key: who signs with P_e owns
// every address that ends in BLAKE3(P_e)[0:16]. The first half proves nothing (a relay that knows
// no n cannot check it), so whatever is looked up, is looked up by all 32 bytes.
//
// Plain functions of any thread; constant time in secrets (tests/secrets). sodium_init comes first.
#pragma once

#include "lib/crypto/blinding.h"

#define EPOCH_SECONDS        3600 // unless configured otherwise
#define EPOCH_ADDRESS_SIZE   32
#define EPOCH_NAMESPACE_SIZE 32

// The epoch of a time (seconds since 1970 UTC), for epochs of `epoch_seconds`, which is not 0.
// Wraps at 2^32: in epochs of a second in 2106, in hours in the year 491,936.
uint32_t epoch_at(uint64_t unix_seconds, uint32_t epoch_seconds);

// What a key is blinded with.
void epoch_factor(uint8_t factor[static BLINDING_KEY_SIZE],
	const uint8_t namespace_id[static EPOCH_NAMESPACE_SIZE],
	const uint8_t public_key[static BLINDING_KEY_SIZE], uint32_t epoch);

// P_e of P. -EINVAL as blinding_public_key.
int epoch_public_key(uint8_t blinded[static BLINDING_KEY_SIZE],
	const uint8_t namespace_id[static EPOCH_NAMESPACE_SIZE],
	const uint8_t public_key[static BLINDING_KEY_SIZE], uint32_t epoch);

// The secret of P_e, and P_e, for signing with blinding_sign. `secret` is P's own (expanded, not
// blinded) and public_key is P. The prefix of nonces is other than plain blinding makes it: it
// depends on P_e, so that one message signed in two epochs gives neither a link nor the secret
// away. The owner wipes blinded_secret.
void epoch_secret_key(struct blinding_secret *blinded_secret,
	uint8_t blinded[static BLINDING_KEY_SIZE], const struct blinding_secret *secret,
	const uint8_t namespace_id[static EPOCH_NAMESPACE_SIZE],
	const uint8_t public_key[static BLINDING_KEY_SIZE], uint32_t epoch);

// The address of P_e (blinded) in its epoch.
void epoch_address(uint8_t address[static EPOCH_ADDRESS_SIZE],
	const uint8_t namespace_id[static EPOCH_NAMESPACE_SIZE],
	const uint8_t blinded[static BLINDING_KEY_SIZE], uint32_t epoch);

// Whether the holder of P_e owns the address. Neither checks P_e as a point, nor the epoch: the
// first is part of blinding_verify, of the second an address shows nothing.
bool epoch_address_owned_by(const uint8_t address[static EPOCH_ADDRESS_SIZE],
	const uint8_t blinded[static BLINDING_KEY_SIZE]);
