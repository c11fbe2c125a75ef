// SPDX-License-Identifier: BSD-3-Clause
// Stateless nonces (RFC 8489 9.2): nothing is kept per client. A nonce is
//
//   "obMatJos2" | 4 characters: security features | 3: minute | 16: keyed hash      (base64)
//
// and the hash covers features, minute, and the client's and the server's transport address, so a
// nonce cannot be moved to another source, made to live longer, or be stripped of its feature bits
// (bid-down, 9.2.1). It dies after an hour at most (RFC 8656 5). Of two keys the newer one signs
// and both verify; they rotate hourly and never leave the process.
#pragma once

#include "lib/net/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	NONCE_COOKIE_LENGTH = 13,
	NONCE_LENGTH = 32,
	NONCE_LIFETIME_MS = 3600 * 1000,
};

// RFC 8489 18.1: bit 0 is the most significant of 24.
enum nonce_feature {
	NONCE_PASSWORD_ALGORITHMS = 0x800000,
	NONCE_USERNAME_ANONYMITY = 0x400000,
};

struct nonce_keys {
	uint8_t key[2][32]; // [0] signs
	uint64_t made_ms;   // when [0] was made; meaningful once started
	bool started;
};

void nonce_keys_init(struct nonce_keys *keys);
void nonce_keys_wipe(struct nonce_keys *keys);
// Rotates when it is time; called with every event.
void nonce_keys_advance(struct nonce_keys *keys, uint64_t now_ms);

// Writes NONCE_LENGTH characters, not terminated.
void nonce_make(const struct nonce_keys *keys, uint32_t features, const struct net_endpoint *client,
	const struct net_endpoint *server, uint64_t now_ms, char out[static NONCE_LENGTH]);
// Constant time in the hash.
bool nonce_valid(const struct nonce_keys *keys, const uint8_t *nonce, size_t length,
	const struct net_endpoint *client, const struct net_endpoint *server, uint64_t now_ms);
// The features its cookie names; 0 when it does not begin with one. Says nothing of validity.
uint32_t nonce_features(const uint8_t *nonce, size_t length);
