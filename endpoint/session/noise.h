// SPDX-License-Identifier: BSD-3-Clause
// Noise (revision 34) for any of its patterns over X25519 and AES-256-GCM, with pre-shared keys and
// the extension for hybrid forward secrecy (tokens e1, ekem1) over ML-KEM-1024. A pattern is a
// table of tokens and one interpreter runs it, so that what the published vectors say of many
// patterns is said of ours (endpoint/session/handshake.h), too.
//
// No I/O, no randomness of its own. sodium_init comes first; one thread at a time for one struct.
// Secrets lie in the structs and are wiped by noise_wipe.
#pragma once

#include "endpoint/session/hkdf.h"
#include "lib/crypto/mlkem1024.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	NOISE_KEY_SIZE = 32, // of a cipher, of X25519, of a pre-shared key
	NOISE_TAG_SIZE = 16,
	NOISE_MESSAGE_MAX = 65535,
	NOISE_MESSAGES_MAX = 4,
	NOISE_TOKENS_MAX = 7, // in a message
};

enum noise_token {
	NOISE_END,
	NOISE_E,
	NOISE_S,
	NOISE_EE,
	NOISE_ES,
	NOISE_SE,
	NOISE_SS,
	NOISE_PSK,
	NOISE_E1,
	NOISE_EKEM1,
};

struct noise_protocol {
	const char *name; // whole, such as Noise_IK_25519_AESGCM_SHA256
	enum hkdf_hash hash;
	// Whose static key is known before (pre-messages).
	bool initiator_known, responder_known;
	// The initiator begins. A message without tokens is none.
	uint8_t messages[NOISE_MESSAGES_MAX][NOISE_TOKENS_MAX + 1];
};

struct noise_key_pair {
	uint8_t secret[NOISE_KEY_SIZE], public_key[NOISE_KEY_SIZE];
};

// CipherState.
struct noise_cipher {
	bool keyed; // otherwise what goes in comes out
	uint8_t key[NOISE_KEY_SIZE];
	uint64_t nonce;
};

// What a handshake knows before it begins; what its pattern does not need may be NULL.
struct noise_start {
	bool initiator;
	const void *prologue;
	size_t prologue_size;
	const struct noise_key_pair *own_static;
	const uint8_t *remote_static; // NOISE_KEY_SIZE
	const uint8_t *pre_shared;    // NOISE_KEY_SIZE
};

// Random bytes for one message, used once. The KEM's: FIPS 203's d and z for e1, m for ekem1.
struct noise_fresh {
	uint8_t ephemeral[NOISE_KEY_SIZE];
	uint8_t kem[MLKEM1024_SEED_SIZE];
};

// HandshakeState with its SymmetricState. Opaque but for remote_static, which is the other's key
// after the message that had it, and transcript, the handshake's hash after the last message.
struct noise_handshake {
	const struct noise_protocol *protocol;
	bool initiator, mixes_ephemerals;
	uint8_t next; // message
	uint8_t chain[HKDF_HASH_MAX], transcript[HKDF_HASH_MAX];
	struct noise_cipher cipher;
	struct noise_key_pair own_static, own_ephemeral;
	uint8_t remote_static[NOISE_KEY_SIZE], remote_ephemeral[NOISE_KEY_SIZE];
	uint8_t pre_shared[NOISE_KEY_SIZE];
	union {
		struct mlkem1024_secret own;           // who sends e1
		uint8_t remote[MLKEM1024_PUBLIC_SIZE]; // who gets it
	} kem;
};

// Everything is copied but protocol, which lives longer.
void noise_begin(struct noise_handshake *handshake, const struct noise_protocol *protocol,
	const struct noise_start *start);

bool noise_done(const struct noise_handshake *handshake); // no message is left

// What the next message has beside its payload, in bytes.
size_t noise_overhead(const struct noise_handshake *handshake);

// Writes the next message, noise_overhead + size bytes. -EMSGSIZE: too long, the handshake is as
// before. The others leave it unusable. -EBADMSG: a key of the other's is of small order, or no
// ML-KEM key; -ENOMEM, -EIO (mlkem1024.h).
int noise_write(struct noise_handshake *handshake, const struct noise_fresh *fresh,
	const void *payload, size_t size, uint8_t *out);

// Reads the next message of size bytes into payload (size - noise_overhead bytes, which is written
// only when all is right). The failures leave the handshake unusable: to survive a forged message,
// read with a copy. -EBADMSG: not authentic, too short or too long, or as above; -ENOMEM, -EIO.
int noise_read(struct noise_handshake *handshake, const uint8_t *in, size_t size, uint8_t *payload);

// After the last message: a key for what the initiator sends and one for what it receives. exporter
// (may be NULL) is a third output of the same HKDF, a hash long, independent of both.
void noise_split(const struct noise_handshake *handshake, uint8_t initiator_key[static 32],
	uint8_t responder_key[static 32], uint8_t *exporter);

// EncryptWithAd and DecryptWithAd. Without a key sizes are the same, with one NOISE_TAG_SIZE is
// added. -EOVERFLOW: no nonce is left; -EBADMSG: not authentic, the nonce is not used up; -ENOMEM.
int noise_encrypt(struct noise_cipher *cipher, const void *aad, size_t aad_size, const void *in,
	size_t size, uint8_t *out);
int noise_decrypt(struct noise_cipher *cipher, const void *aad, size_t aad_size, const uint8_t *in,
	size_t size, uint8_t *out);

void noise_wipe(struct noise_handshake *handshake);
