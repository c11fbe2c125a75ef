// SPDX-License-Identifier: BSD-3-Clause
// MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256 (RFC 8489 14.5, 14.6), long-term keys (9.2.2),
// USERHASH (14.4), and the REST password of time-limited credentials. Uses GnuTLS; not linked into
// the dataplane. Any thread.
#pragma once

#include "lib/wire/stun.h"

// A key of either kind; wipe with stun_key_wipe.
struct stun_key {
	uint8_t bytes[64]; // a block of SHA-1: longer keys are hashed by HMAC anyway
	uint8_t length;    // 16 for MD5, 32 for SHA-256, of the password's for short-term ones
};

enum stun_password_algorithm {
	STUN_PASSWORD_MD5 = 0x0001,
	STUN_PASSWORD_SHA256 = 0x0002,
};

enum { STUN_USERHASH_LENGTH = 32 };

// key = H(username ":" realm ":" password); the caller has applied OpaqueString / SASLprep already.
// 0 or -ENOTSUP for another algorithm.
int stun_key_long_term(enum stun_password_algorithm algorithm, const char *username,
	size_t username_length, const char *realm, const char *password, size_t password_length,
	struct stun_key *out);
// A short-term key (RFC 8489 9.1): the password itself, which the caller has prepared already (for
// ICE there is nothing to prepare). Longer than 64 bytes: good for MESSAGE-INTEGRITY only.
// 0; -EINVAL: empty; -EACCES: GnuTLS refuses SHA-1.
int stun_key_short_term(const char *password, size_t length, struct stun_key *out);
void stun_key_wipe(struct stun_key *key);

// SHA-256(username ":" realm).
void stun_userhash(const char *username, size_t username_length, const char *realm,
	uint8_t out[static STUN_USERHASH_LENGTH]);

// base64(HMAC-SHA1(secret, username)), terminated; out: 29 bytes. The password of "time-limited
// REST" credentials (draft-uberti-behave-turn-rest).
void stun_rest_password(
	const char *secret, const char *username, size_t username_length, char out[static 29]);

// 0; -ENOENT attribute absent; -EACCES wrong; -EBADMSG bad length (SHA-256 may be truncated
// to 16..32 bytes, multiple of 4; we accept >= 16). Constant time compare.
int stun_verify_integrity(const struct stun_message *m, const struct stun_key *key);
int stun_verify_integrity_sha256(const struct stun_message *m, const struct stun_key *key);

struct stun_span {
	const void *data;
	size_t length;
};

// HMAC-SHA1 over the parts one after the other. 0 or -EACCES: GnuTLS refuses SHA-1 (FIPS mode).
int stun_hmac_sha1(const void *key, size_t key_length, const struct stun_span *parts,
	unsigned count, uint8_t out[static 20]);

// Adds the attribute over everything so far (the length field is set as the RFC says while
// computing).
void stun_add_integrity(struct stun_builder *b, const struct stun_key *key);
void stun_add_integrity_sha256(struct stun_builder *b, const struct stun_key *key);
