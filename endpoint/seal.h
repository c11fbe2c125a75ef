// SPDX-License-Identifier: BSD-3-Clause
// What two endpoints say to each other so that the relay cannot read it: the offer of a call, its
// answer, single messages, and the frames of an open call. The first two follow the Noise pattern
// IK over X25519 (the delivery keys, converted from Ed25519), with BLAKE3 and XChaCha20-Poly1305:
//
//     offer    e[32], es, s: namespace[32] + delivery key[32], tag 16, ss, payload, tag 16
//     answer   e[32], ee, se, payload, tag 16
//     frame    sequence[8], payload, tag 16
//
// A message by address is an offer without an answer. Each key but the frames' encrypts once, so
// nonces are zero; what was said so far is authenticated with every part (the transcript). The
// payload of an offer has no forward secrecy against a theft of the callee's delivery key; frames
// have.
//
// No state beyond the structs, no randomness of its own, any thread. Secrets lie in the structs and
// are wiped by seal_*_wipe.
#pragma once

#include "endpoint/endpoint.h"
#include "endpoint/session/replay_window.h"

#include <assert.h>

enum {
	SEAL_EPHEMERAL_SIZE = 32,
	SEAL_TAG_SIZE = 16,
	SEAL_OFFER_OVERHEAD = SEAL_EPHEMERAL_SIZE + 64 + SEAL_TAG_SIZE + SEAL_TAG_SIZE,
	SEAL_ANSWER_OVERHEAD = SEAL_EPHEMERAL_SIZE + SEAL_TAG_SIZE,
	SEAL_FRAME_OVERHEAD = 8 + SEAL_TAG_SIZE,
	SEAL_WINDOW = REPLAY_WINDOW_SIZE, // sequences that may arrive late
};

// Our own end.
struct seal_identity {
	struct endpoint_peer public;
	uint8_t exchange[32]; // X25519 secret
};

// From offer to answer. Opaque.
struct seal_handshake {
	uint8_t chain[32], transcript[32];
	uint8_t ephemeral[32];        // the caller's secret; on the callee's side unused
	uint8_t remote_ephemeral[32]; // the callee's side
	uint8_t remote_static[32];    // the callee's side, X25519
};

// An open call.
struct seal_session {
	uint8_t send_key[32], receive_key[32];
	uint64_t next; // to be sent
	struct replay_window window;
};

// Expands the delivery key's seed (RFC 8032).
void seal_identity_make(struct seal_identity *identity,
	const uint8_t namespace_id[static ENDPOINT_KEY_SIZE],
	const uint8_t seed[static ENDPOINT_KEY_SIZE]);

// Seals `size` bytes for peer into out (SEAL_OFFER_OVERHEAD + size bytes). binding: what the offer
// is good for and both know. ephemeral: 32 random bytes, used once. handshake: NULL when no answer
// is wanted. -EINVAL: the peer's key is none.
int seal_offer(struct seal_handshake *handshake, const struct seal_identity *self,
	const struct endpoint_peer *peer, const void *binding, size_t binding_size,
	const uint8_t ephemeral[static 32], const void *payload, size_t size, uint8_t *out);
// Opens an offer of `size` bytes into payload (size - SEAL_OFFER_OVERHEAD bytes) and tells whose it
// is. -EBADMSG: not for us, not for this binding, altered, or too short.
int seal_offer_open(struct seal_handshake *handshake, const struct seal_identity *self,
	const void *binding, size_t binding_size, const uint8_t *in, size_t size,
	struct endpoint_peer *caller, uint8_t *payload);

// The callee's answer to what seal_offer_open gave, SEAL_ANSWER_OVERHEAD + size bytes, and the
// session. The handshake is left as it is.
int seal_answer(const struct seal_handshake *handshake, const uint8_t ephemeral[static 32],
	const void *payload, size_t size, uint8_t *out, struct seal_session *session);
// -EBADMSG: not an answer to this offer by the peer it was for.
int seal_answer_open(const struct seal_handshake *handshake, const struct seal_identity *self,
	const uint8_t *in, size_t size, uint8_t *payload, struct seal_session *session);

// One frame of SEAL_FRAME_OVERHEAD + size bytes. -EOVERFLOW: no sequence is left.
int seal_frame(struct seal_session *session, const void *payload, size_t size, uint8_t *out);
// size - SEAL_FRAME_OVERHEAD bytes into payload. -EBADMSG: altered or too short; -EALREADY: a
// replay, or older than the window.
int seal_frame_open(struct seal_session *session, const uint8_t *in, size_t size, uint8_t *payload);

void seal_handshake_wipe(struct seal_handshake *handshake);
void seal_session_wipe(struct seal_session *session);
