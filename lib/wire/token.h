// SPDX-License-Identifier: BSD-3-Clause
// A token as its holder shows it: a nonce that the holder chose, and the token key, which only the
// issuer could help to make (VOPRF, lib/crypto/voprf.h) and cannot recognise. To spend it the nonce
// is named and the token key proven: by the mac of a REGISTER (lib/wire/README.md), or as the
// password of a TURN user. No state, any thread; constant time in keys.
#pragma once

#include "lib/crypto/voprf.h"

#include <stddef.h>
#include <stdint.h>

enum {
	TOKEN_NONCE_SIZE = 32,
	TOKEN_KEY_SIZE = 32,
	TOKEN_MAC_SIZE = 32,
	TOKEN_USERNAME_LENGTH = 50, // characters
	TOKEN_PASSWORD_LENGTH = 43,
};

// The id of an issuer's key, which tokens name: the first four bytes, big endian, of BLAKE3-derive
// ("Blindrelay 2026-11 token key id") of its public half. Whoever was told the public key can check
// it.
uint32_t token_key_id(const uint8_t public_key[static VOPRF_ELEMENT_SIZE]);

// BLAKE3-derive("Blindrelay 2026-11 token") of the VOPRF output of the nonce.
void token_key(uint8_t key[static TOKEN_KEY_SIZE], const struct voprf_output *output);

// Keyed BLAKE3 of what the token is to buy.
void token_mac(uint8_t mac[static TOKEN_MAC_SIZE], const uint8_t key[static TOKEN_KEY_SIZE],
	const void *covered, size_t size);

// The TURN user of a token: "t." and base64url, without padding, of key id (4 bytes, big endian)
// and nonce; and its password: base64url of the token key. Both are terminated.
void token_username(char name[static TOKEN_USERNAME_LENGTH + 1], uint32_t key_id,
	const uint8_t nonce[static TOKEN_NONCE_SIZE]);
void token_password(
	char password[static TOKEN_PASSWORD_LENGTH + 1], const uint8_t key[static TOKEN_KEY_SIZE]);
// 0; -EBADMSG: not the name of a token.
int token_username_parse(
	const char *name, size_t length, uint32_t *key_id, uint8_t nonce[static TOKEN_NONCE_SIZE]);
