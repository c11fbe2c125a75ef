// SPDX-License-Identifier: BSD-3-Clause
// The handshake of a call: Noise (revision 34) with the pattern IK, made hybrid by its extension
// for forward secrecy: Noise_IKhfs_25519+MLKEM1024_AESGCM_SHA512.
//
//     <- s                                the callee's identity is known to the caller
//     -> e, es, e1, s, ss                 offer
//     <- e, ee, ekem1, se                 answer
//
//     offer    e[32]  e1[1568] tag[16]  s[32] tag[16]  identity[32] payload tag[16]
//     answer   e[32]  ciphertext of e1[1568] tag[16]  payload tag[16]
//
// e1 is an ML-KEM-1024 key of the caller that lives as long as the handshake. Noise's static keys
// are the Ed25519 identity keys converted to X25519. Noise's prologue is the caller's of these
// functions followed by the callee's identity key. The offer tells the caller's identity key, which
// must convert to the static key that was proven: both sides end up with the other's Ed25519 key,
// proven, and whatever they know of each other is compared with that.
//
// Who can read what: frames and the answer's payload need both X25519 and ML-KEM to be broken, and
// stay closed when identity keys are stolen later. An offer's payload is sealed by X25519 alone and
// opens to whoever steals the callee's identity key; it can be repeated by others, as everything
// that precedes an answer: what it causes must bear that.
//
// No I/O. Secrets lie in the structs and are wiped by their *_wipe, and by the functions that end a
// handshake. sodium_init comes first; any thread.
#pragma once

#include "endpoint/session/envelope.h"
#include "endpoint/session/noise.h"

#include <stddef.h>
#include <stdint.h>

enum {
	HANDSHAKE_IDENTITY_SIZE = 32,
	HANDSHAKE_SEED_SIZE = 32,
	HANDSHAKE_OFFER_OVERHEAD = 32 + (1568 + 16) + (32 + 16) + HANDSHAKE_IDENTITY_SIZE + 16,
	HANDSHAKE_ANSWER_OVERHEAD = 32 + (1568 + 16) + 16,
	HANDSHAKE_PAYLOAD_MAX = 2048,
	HANDSHAKE_PROLOGUE_MAX = 256,
	HANDSHAKE_OFFER_MAX = HANDSHAKE_OFFER_OVERHEAD + HANDSHAKE_PAYLOAD_MAX,
	HANDSHAKE_ANSWER_MAX = HANDSHAKE_ANSWER_OVERHEAD + HANDSHAKE_PAYLOAD_MAX,
};

// Random bytes. Where a pointer to this is NULL libsodium's are taken; a simulation that is to be
// repeated brings its own.
struct handshake_random {
	void (*fill)(void *context, void *out, size_t size);
	void *context;
};

// Our own end.
struct handshake_identity {
	uint8_t public_key[HANDSHAKE_IDENTITY_SIZE]; // Ed25519
	struct noise_key_pair exchange;              // the same, converted
};

// From offer to answer. Opaque.
struct handshake {
	struct noise_handshake noise;
};

// Expands the identity key's seed (RFC 8032).
void handshake_identity_make(
	struct handshake_identity *identity, const uint8_t seed[static HANDSHAKE_SEED_SIZE]);
void handshake_identity_wipe(struct handshake_identity *identity);

// The caller's offer to remote_identity: HANDSHAKE_OFFER_OVERHEAD + size bytes into out.
// prologue: what both know and the handshake is good for.
// -EINVAL: remote_identity is no key; -EMSGSIZE: payload or prologue too long; -EIO (ML-KEM's).
// handshake needs no wiping after a failure.
int handshake_offer(struct handshake *handshake, const struct handshake_identity *self,
	const uint8_t remote_identity[static HANDSHAKE_IDENTITY_SIZE], const void *prologue,
	size_t prologue_size, const struct handshake_random *random, const void *payload,
	size_t size, uint8_t *out);

// The callee opens an offer of size bytes into payload (size - HANDSHAKE_OFFER_OVERHEAD bytes, at
// most HANDSHAKE_PAYLOAD_MAX) and learns who calls: proven, but maybe nobody it knows.
// -EBADMSG: not for us, not for this prologue, altered, of a wrong size. Nothing is written then,
// and handshake needs no wiping. -EMSGSIZE: prologue too long.
int handshake_offer_open(struct handshake *handshake, const struct handshake_identity *self,
	const void *prologue, size_t prologue_size, const uint8_t *in, size_t size,
	uint8_t caller_identity[static HANDSHAKE_IDENTITY_SIZE], uint8_t *payload);

// The callee's answer to what handshake_offer_open left: HANDSHAKE_ANSWER_OVERHEAD + size bytes
// into out, and the session. The handshake is over and wiped: to a repeated offer the same bytes
// are sent again. -EMSGSIZE: payload too long, the handshake goes on. -EBADMSG: the caller's
// ephemeral keys are none; -ENOMEM, -EIO; the handshake is wiped.
int handshake_answer(struct handshake *handshake, const struct handshake_random *random,
	const void *payload, size_t size, uint8_t *out, struct envelope_session *session);

// The caller opens an answer of size bytes into payload (size - HANDSHAKE_ANSWER_OVERHEAD bytes).
// After 0 the handshake is over and wiped. -EBADMSG: not an answer to this offer by the one it was
// for; the handshake is as before, and so survives whatever strangers send. -ENOMEM, -EIO: so too.
int handshake_answer_open(struct handshake *handshake, const uint8_t *in, size_t size,
	uint8_t *payload, struct envelope_session *session);

void handshake_wipe(struct handshake *handshake);
