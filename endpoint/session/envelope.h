// SPDX-License-Identifier: BSD-3-Clause
// The envelope that each frame of a call travels in, the same bytes on every path:
//
//     0   9
//     1   key phase: the low 8 bits of the number of rekeyings
//     2   sequence, 8 bytes, big endian; one space for each direction, whatever the path; rekeying
//         does not reset it
//     10  AES-256-GCM ciphertext, tag 16. Additional data: bytes 0-9. Nonce: the direction's salt,
//         4 bytes, then the sequence
//
// Rekeying replaces the keys of both directions by the next ones of a one-way ratchet (SHA-512), so
// that who takes the keys of a call cannot read what was said before. Either side may begin, both
// may at once: the other follows with the first authentic frame of the next phase. Who began may
// not do so again before a frame of the new phase has come, so the two are never more than one
// phase apart; frames of the previous, the current and the next phase are opened, all others are
// dropped without any cryptography. The phase is authenticated: whoever alters it costs us one
// failed try, as any altered frame does. The previous key is wiped when the window against replays
// has passed all that was sealed with it.
//
// No I/O, no clock, no randomness. One thread at a time for one session.
#pragma once

#include "endpoint/session/aes256gcm.h"
#include "endpoint/session/replay_window.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	ENVELOPE_FIRST_BYTE = 9,
	ENVELOPE_HEADER_SIZE = 10,
	ENVELOPE_TAG_SIZE = AES256GCM_TAG_SIZE,
	ENVELOPE_OVERHEAD = ENVELOPE_HEADER_SIZE + ENVELOPE_TAG_SIZE,
	ENVELOPE_WINDOW = REPLAY_WINDOW_SIZE, // sequences that may arrive late
	ENVELOPE_REKEY_FRAMES = 1 << 20,      // sealed under one key; then envelope_seal rekeys
	ENVELOPE_SECRET_SIZE = 32,
	ENVELOPE_EXPORTER_SIZE = 64,
	ENVELOPE_EXPORT_MAX = 255 * 64,
};

// What a handshake leaves. As secret as the session.
struct envelope_secrets {
	uint8_t send[ENVELOPE_SECRET_SIZE], receive[ENVELOPE_SECRET_SIZE];
	uint8_t exporter[ENVELOPE_EXPORTER_SIZE];
};

// Opaque. May be moved; of two copies only one is used and wiped. All zeros is no session and may
// be wiped.
struct envelope_session {
	uint64_t phase;
	// Sending.
	struct aes256gcm send_key;
	uint8_t send_ratchet[ENVELOPE_SECRET_SIZE]; // of the next phase
	uint8_t send_salt[4];
	uint64_t send_sequence;        // the next
	uint64_t phase_first_sequence; // the first sealed in this phase
	// Receiving.
	struct aes256gcm receive_keys[3];              // previous, current, next phase
	bool previous_kept;                            // otherwise the first is zeros
	uint8_t receive_ratchet[ENVELOPE_SECRET_SIZE]; // of the phase after the next
	uint8_t receive_salt[4];
	uint64_t phase_oldest; // least sequence opened in this phase; UINT64_MAX: none
	struct replay_window window;

	uint8_t exporter[ENVELOPE_EXPORTER_SIZE];
};

// A session in phase 0. The secrets stay the caller's to wipe. -ENOMEM; session is then zeros.
int envelope_begin(struct envelope_session *session, const struct envelope_secrets *secrets);

// One frame of ENVELOPE_OVERHEAD + size bytes into out, which does not overlap payload.
// -EOVERFLOW: no sequence is left.
int envelope_seal(struct envelope_session *session, const void *payload, size_t size, uint8_t *out);

// size - ENVELOPE_OVERHEAD bytes into payload, which does not overlap in. in may be anything.
// -EBADMSG: no envelope, of another phase, altered, or too short; -EALREADY: a replay, or older
// than the window. What is in payload is then no data.
int envelope_open(
	struct envelope_session *session, const uint8_t *in, size_t size, uint8_t *payload);

// New keys from the next frame on, for example after some minutes. -EAGAIN: no frame of the current
// phase has come yet, so the peer might not follow; -ENOMEM.
int envelope_rekey(struct envelope_session *session);

// size bytes (at most ENVELOPE_EXPORT_MAX) that only the two ends of this session know, the same at
// both, others for each label; rekeying does not change them. They say nothing about the keys.
void envelope_export(
	const struct envelope_session *session, const char *label, uint8_t *out, size_t size);

void envelope_wipe(struct envelope_session *session);
