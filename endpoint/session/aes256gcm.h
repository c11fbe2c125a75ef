// SPDX-License-Identifier: BSD-3-Clause
// AES-256-GCM (NIST SP 800-38D) with nonces of 12 bytes and tags of 16. libsodium's, which is
// fastest but exists only where the processor has the AES instructions it knows; GnuTLS's
// elsewhere. Both give the same bytes. libsodium's takes no branch and no address from a secret;
// GnuTLS's neither as long as there are SSSE3 and carry-less multiplication; with less than that it
// looks up tables, and caches may tell of keys.
//
// sodium_init comes first. One thread at a time for one key, since GnuTLS's has a state.
#pragma once

#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>

enum { AES256GCM_KEY_SIZE = 32, AES256GCM_NONCE_SIZE = 12, AES256GCM_TAG_SIZE = 16 };

// An expanded key. Opaque. May be moved; of two copies only one is ended.
struct aes256gcm {
	alignas(16) uint8_t schedule[512]; // libsodium's
	void *handle;                      // GnuTLS's; NULL where libsodium's is used
};

// key is not kept. -ENOMEM: of GnuTLS; the struct then needs no end.
int aes256gcm_begin(struct aes256gcm *cipher, const uint8_t key[static AES256GCM_KEY_SIZE]);
// Writes size + AES256GCM_TAG_SIZE bytes. A nonce is used once with a key: who calls sees to it.
// No part of out overlaps in. in and aad may be NULL when their size is 0.
void aes256gcm_seal(const struct aes256gcm *cipher,
	const uint8_t nonce[static AES256GCM_NONCE_SIZE], const void *aad, size_t aad_size,
	const void *in, size_t size, uint8_t *out);
// in: size bytes of ciphertext and the tag. -EBADMSG: not authentic; out is zeros then.
int aes256gcm_open(const struct aes256gcm *cipher, const uint8_t nonce[static AES256GCM_NONCE_SIZE],
	const void *aad, size_t aad_size, const uint8_t *in, size_t size, uint8_t *out);
// Wipes the key. A struct of zeros may be ended, too.
void aes256gcm_end(struct aes256gcm *cipher);
