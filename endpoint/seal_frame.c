// SPDX-License-Identifier: BSD-3-Clause
// Frames of an open call (seal.h): an explicit sequence, which is the nonce, and a window against
// replays.
#include "endpoint/seal.h"

#include <sodium.h>

#include <errno.h>
#include <string.h>

enum { NONCE_SIZE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES };

static void make_nonce(uint8_t nonce[static NONCE_SIZE], const uint8_t sequence[static 8])
{
	memset(nonce, 0, NONCE_SIZE - 8);
	memcpy(nonce + NONCE_SIZE - 8, sequence, 8);
}

int seal_frame(struct seal_session *session, const void *payload, size_t size, uint8_t *out)
{
	uint8_t nonce[NONCE_SIZE];

	if (session->next == UINT64_MAX)
		return -EOVERFLOW;
	uint64_t sequence = session->next++;
	for (unsigned i = 0; i < 8; i++)
		out[i] = (uint8_t)(sequence >> (56 - 8 * i));
	make_nonce(nonce, out);
	crypto_aead_xchacha20poly1305_ietf_encrypt(
		out + 8, NULL, payload, size, NULL, 0, NULL, nonce, session->send_key);
	return 0;
}

int seal_frame_open(struct seal_session *session, const uint8_t *in, size_t size, uint8_t *payload)
{
	uint8_t nonce[NONCE_SIZE];
	uint64_t sequence = 0;

	if (size < SEAL_FRAME_OVERHEAD)
		return -EBADMSG;
	for (unsigned i = 0; i < 8; i++)
		sequence = sequence << 8 | in[i];
	if (sequence == UINT64_MAX)
		return -EBADMSG;
	if (replay_window_seen(&session->window, sequence))
		return -EALREADY;
	make_nonce(nonce, in);
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(payload, NULL, NULL, in + 8, size - 8, NULL,
		    0, nonce, session->receive_key) != 0)
		return -EBADMSG;
	replay_window_mark(&session->window, sequence);
	return 0;
}

void seal_session_wipe(struct seal_session *session)
{
	sodium_memzero(session, sizeof(*session));
}
