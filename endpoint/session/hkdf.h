// SPDX-License-Identifier: BSD-3-Clause
// HMAC (RFC 2104) and HKDF (RFC 5869) over the hashes that Noise names and libsodium has. BLAKE2b
// is used as any other hash, as Noise wants it, not with its own keys.
//
// Plain functions of any thread; constant time. sodium_init comes first.
#pragma once

#include <stddef.h>
#include <stdint.h>

enum hkdf_hash { HKDF_SHA256 = 1, HKDF_SHA512, HKDF_BLAKE2B };

enum { HKDF_HASH_MAX = 64 };

// Bytes of a hash: 32, 64, 64.
size_t hkdf_hash_size(enum hkdf_hash hash);

// The hash of two strings, one after the other. out may be one of them.
void hkdf_digest(enum hkdf_hash hash, const void *first, size_t first_size, const void *second,
	size_t second_size, uint8_t *out);

// The pseudorandom key: HMAC of input under salt. out may be salt.
void hkdf_extract(enum hkdf_hash hash, const void *salt, size_t salt_size, const void *input,
	size_t input_size, uint8_t *out);

// size bytes (at most 255 hashes) of key, which is a pseudorandom key, for info.
void hkdf_expand(enum hkdf_hash hash, const void *key, size_t key_size, const void *info,
	size_t info_size, void *out, size_t size);
