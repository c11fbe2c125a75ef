// SPDX-License-Identifier: BSD-3-Clause
// See envelope.h.
//
// The ratchet of a direction, with HKDF-Expand of SHA-512 (| joins):
//     ratchet(0)              what the handshake left
//     ratchet(n+1) | key(n) = expand(ratchet(n), "Blindrelay call phase", 64)
//     salt                  = expand(ratchet(0), "Blindrelay call salt", 4)
#include "endpoint/session/envelope.h"

#include "endpoint/session/hkdf.h"

#include <sodium.h>

#include <assert.h>
#include <errno.h>
#include <string.h>

enum { PREVIOUS, CURRENT, NEXT };

static void expand(const uint8_t secret[static ENVELOPE_SECRET_SIZE], const char *label,
	uint8_t *out, size_t size)
{
	hkdf_expand(HKDF_SHA512, secret, ENVELOPE_SECRET_SIZE, label, strlen(label), out, size);
}

// The ratchet's next key. Where this fails the ratchet is as before.
static int turn(uint8_t ratchet[static ENVELOPE_SECRET_SIZE], struct aes256gcm *key)
{
	uint8_t out[ENVELOPE_SECRET_SIZE + AES256GCM_KEY_SIZE];
	expand(ratchet, "Blindrelay call phase", out, sizeof(out));
	int result = aes256gcm_begin(key, out + ENVELOPE_SECRET_SIZE);
	if (result == 0)
		memcpy(ratchet, out, ENVELOPE_SECRET_SIZE);
	sodium_memzero(out, sizeof(out));
	return result;
}

int envelope_begin(struct envelope_session *session, const struct envelope_secrets *secrets)
{
	struct envelope_session *s = session;
	int result;

	memset(s, 0, sizeof(*s));
	s->phase_oldest = UINT64_MAX;
	memcpy(s->exporter, secrets->exporter, sizeof(s->exporter));
	memcpy(s->send_ratchet, secrets->send, sizeof(s->send_ratchet));
	memcpy(s->receive_ratchet, secrets->receive, sizeof(s->receive_ratchet));
	expand(s->send_ratchet, "Blindrelay call salt", s->send_salt, sizeof(s->send_salt));
	expand(s->receive_ratchet, "Blindrelay call salt", s->receive_salt,
		sizeof(s->receive_salt));
	if ((result = turn(s->send_ratchet, &s->send_key)) < 0 ||
		(result = turn(s->receive_ratchet, &s->receive_keys[CURRENT])) < 0 ||
		(result = turn(s->receive_ratchet, &s->receive_keys[NEXT])) < 0)
		envelope_wipe(s);
	return result;
}

// The next phase, in both directions. -ENOMEM: still the same phase.
static int advance(struct envelope_session *s)
{
	uint8_t send_ratchet[ENVELOPE_SECRET_SIZE];
	struct aes256gcm send_key, receive_key;
	int result;

	memcpy(send_ratchet, s->send_ratchet, sizeof(send_ratchet));
	if ((result = turn(send_ratchet, &send_key)) < 0)
		goto out;
	if ((result = turn(s->receive_ratchet, &receive_key)) < 0) {
		aes256gcm_end(&send_key);
		goto out;
	}
	aes256gcm_end(&s->send_key);
	s->send_key = send_key;
	memcpy(s->send_ratchet, send_ratchet, sizeof(send_ratchet));
	aes256gcm_end(&s->receive_keys[PREVIOUS]);
	s->receive_keys[PREVIOUS] = s->receive_keys[CURRENT];
	s->receive_keys[CURRENT] = s->receive_keys[NEXT];
	s->receive_keys[NEXT] = receive_key;
	s->previous_kept = true;
	s->phase++;
	s->phase_first_sequence = s->send_sequence;
	s->phase_oldest = UINT64_MAX;
	// They live on in the session.
	sodium_memzero(&send_key, sizeof(send_key));
	sodium_memzero(&receive_key, sizeof(receive_key));
out:
	sodium_memzero(send_ratchet, sizeof(send_ratchet));
	return result;
}

int envelope_rekey(struct envelope_session *session)
{
	return session->phase_oldest == UINT64_MAX ? -EAGAIN : advance(session);
}

static void make_nonce(uint8_t nonce[static AES256GCM_NONCE_SIZE], const uint8_t salt[static 4],
	const uint8_t header[static ENVELOPE_HEADER_SIZE])
{
	memcpy(nonce, salt, 4);
	memcpy(nonce + 4, header + 2, 8);
}

int envelope_seal(struct envelope_session *session, const void *payload, size_t size, uint8_t *out)
{
	uint8_t nonce[AES256GCM_NONCE_SIZE];

	if (session->send_sequence == UINT64_MAX)
		return -EOVERFLOW;
	// Where this cannot be now the key goes on, and the next frame tries again.
	if (session->send_sequence - session->phase_first_sequence >= ENVELOPE_REKEY_FRAMES)
		(void)envelope_rekey(session);
	uint64_t sequence = session->send_sequence++;
	out[0] = ENVELOPE_FIRST_BYTE;
	out[1] = (uint8_t)session->phase;
	for (unsigned i = 0; i < 8; i++)
		out[2 + i] = (uint8_t)(sequence >> (56 - 8 * i));
	make_nonce(nonce, session->send_salt, out);
	aes256gcm_seal(&session->send_key, nonce, out, ENVELOPE_HEADER_SIZE, payload, size,
		out + ENVELOPE_HEADER_SIZE);
	return 0;
}

// What an authentic frame in the slot of a key says about phases.
static void follow(struct envelope_session *s, unsigned slot, uint64_t sequence)
{
	// A frame of the next phase can be opened without following, too, where that fails.
	if (slot == NEXT && advance(s) == 0)
		slot = CURRENT;
	if (slot == CURRENT && sequence < s->phase_oldest)
		s->phase_oldest = sequence;
	// Of the previous phase there is nothing above phase_oldest, and the window is past that.
	if (s->previous_kept && s->phase_oldest != UINT64_MAX &&
		s->window.highest - s->phase_oldest >= ENVELOPE_WINDOW) {
		aes256gcm_end(&s->receive_keys[PREVIOUS]);
		s->previous_kept = false;
	}
}

int envelope_open(
	struct envelope_session *session, const uint8_t *in, size_t size, uint8_t *payload)
{
	uint8_t nonce[AES256GCM_NONCE_SIZE];
	uint64_t sequence = 0;

	if (size < ENVELOPE_OVERHEAD || in[0] != ENVELOPE_FIRST_BYTE)
		return -EBADMSG;
	unsigned slot = (uint8_t)(in[1] - (uint8_t)session->phase + CURRENT);
	if (slot > NEXT || (slot == PREVIOUS && !session->previous_kept))
		return -EBADMSG;
	for (unsigned i = 0; i < 8; i++)
		sequence = sequence << 8 | in[2 + i];
	if (replay_window_seen(&session->window, sequence))
		return -EALREADY;
	make_nonce(nonce, session->receive_salt, in);
	int result = aes256gcm_open(&session->receive_keys[slot], nonce, in, ENVELOPE_HEADER_SIZE,
		in + ENVELOPE_HEADER_SIZE, size - ENVELOPE_HEADER_SIZE, payload);
	if (result < 0)
		return result;
	replay_window_mark(&session->window, sequence);
	follow(session, slot, sequence);
	return 0;
}

void envelope_export(
	const struct envelope_session *session, const char *label, uint8_t *out, size_t size)
{
	assert(size <= ENVELOPE_EXPORT_MAX);
	hkdf_expand(HKDF_SHA512, session->exporter, sizeof(session->exporter), label, strlen(label),
		out, size);
}

void envelope_wipe(struct envelope_session *session)
{
	aes256gcm_end(&session->send_key);
	for (unsigned i = PREVIOUS; i <= NEXT; i++)
		aes256gcm_end(&session->receive_keys[i]);
	sodium_memzero(session, sizeof(*session));
}
