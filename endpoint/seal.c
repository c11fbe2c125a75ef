// SPDX-License-Identifier: BSD-3-Clause
// See seal.h.
#include "endpoint/seal.h"

#include "lib/crypto/blake3.h"
#include "lib/crypto/blinding.h"
#include "lib/wire/native.h"

#include <sodium.h>

#include <errno.h>
#include <string.h>

static const char protocol[] = "Blindrelay 2026-11 seal IK X25519 XChaCha20-Poly1305 BLAKE3";
static const char chain_context[] = "Blindrelay 2026-11 seal chain";
static const char key_context[] = "Blindrelay 2026-11 seal key";
static const char frame_context[] = "Blindrelay 2026-11 seal frames";

static_assert(SEAL_OFFER_OVERHEAD + ENDPOINT_OFFER_MAX == NATIVE_SEALED_MAX, "fits");
static_assert(SEAL_ANSWER_OVERHEAD + ENDPOINT_ANSWER_MAX == NATIVE_SEALED_MAX, "fits");

static void derive(uint8_t out[static 32], const char *context, size_t context_size,
	const void *first, size_t first_size, const void *second, size_t second_size)
{
	struct blake3 state;
	blake3_begin_derive(&state, context, context_size - 1);
	blake3_add(&state, first, first_size);
	blake3_add(&state, second, second_size);
	blake3_finish(&state, out, 32);
	blake3_wipe(&state);
}

static void mix(struct seal_handshake *h, const void *data, size_t size)
{
	struct blake3 state;
	blake3_begin(&state);
	blake3_add(&state, h->transcript, sizeof(h->transcript));
	blake3_add(&state, data, size);
	blake3_finish(&state, h->transcript, sizeof(h->transcript));
	blake3_wipe(&state);
}

// -EBADMSG: the other's key is of small order.
static int mix_exchange(struct seal_handshake *h, const uint8_t secret[static 32],
	const uint8_t public_key[static 32])
{
	uint8_t shared[32];
	if (crypto_scalarmult(shared, secret, public_key) != 0)
		return -EBADMSG;
	derive(h->chain, chain_context, sizeof(chain_context), h->chain, sizeof(h->chain), shared,
		sizeof(shared));
	sodium_memzero(shared, sizeof(shared));
	return 0;
}

static const uint8_t zero_nonce[crypto_aead_xchacha20poly1305_ietf_NPUBBYTES];

// The transcript goes into the key, so that it is authenticated too, and moves with each part.
static void part_key(const struct seal_handshake *h, uint8_t key[static 32])
{
	derive(key, key_context, sizeof(key_context), h->chain, sizeof(h->chain), h->transcript,
		sizeof(h->transcript));
}

static void encrypt_part(struct seal_handshake *h, const void *payload, size_t size, uint8_t *out)
{
	uint8_t key[32];
	part_key(h, key);
	crypto_aead_xchacha20poly1305_ietf_encrypt(
		out, NULL, payload, size, NULL, 0, NULL, zero_nonce, key);
	sodium_memzero(key, sizeof(key));
	mix(h, out, size + SEAL_TAG_SIZE);
}

// size: of the payload.
static int decrypt_part(struct seal_handshake *h, const uint8_t *in, size_t size, uint8_t *payload)
{
	uint8_t key[32];
	part_key(h, key);
	int failed = crypto_aead_xchacha20poly1305_ietf_decrypt(
		payload, NULL, NULL, in, size + SEAL_TAG_SIZE, NULL, 0, zero_nonce, key);
	sodium_memzero(key, sizeof(key));
	if (failed)
		return -EBADMSG;
	mix(h, in, size + SEAL_TAG_SIZE);
	return 0;
}

void seal_identity_make(struct seal_identity *identity,
	const uint8_t namespace_id[static ENDPOINT_KEY_SIZE],
	const uint8_t seed[static ENDPOINT_KEY_SIZE])
{
	struct blinding_secret secret;
	blinding_secret_expand(&secret, seed);
	memcpy(identity->public.namespace_id, namespace_id, ENDPOINT_KEY_SIZE);
	blinding_secret_public(identity->public.delivery_key, &secret);
	// RFC 7748: the same scalar is the X25519 secret of the converted public key.
	memcpy(identity->exchange, secret.scalar, sizeof(identity->exchange));
	sodium_memzero(&secret, sizeof(secret));
}

static void handshake_begin(struct seal_handshake *h, const struct endpoint_peer *callee,
	const void *binding, size_t binding_size)
{
	memset(h, 0, sizeof(*h));
	blake3_hash(protocol, sizeof(protocol) - 1, h->transcript);
	memcpy(h->chain, h->transcript, sizeof(h->chain));
	mix(h, callee, sizeof(*callee));
	mix(h, binding, binding_size);
}

int seal_offer(struct seal_handshake *handshake, const struct seal_identity *self,
	const struct endpoint_peer *peer, const void *binding, size_t binding_size,
	const uint8_t ephemeral[static 32], const void *payload, size_t size, uint8_t *out)
{
	struct seal_handshake h;
	uint8_t remote[32];
	int result = -EINVAL;

	handshake_begin(&h, peer, binding, binding_size);
	if (crypto_sign_ed25519_pk_to_curve25519(remote, peer->delivery_key) != 0)
		return -EINVAL;
	crypto_scalarmult_base(out, ephemeral);
	mix(&h, out, SEAL_EPHEMERAL_SIZE);
	if (mix_exchange(&h, ephemeral, remote) != 0)
		goto out;
	out += SEAL_EPHEMERAL_SIZE;
	encrypt_part(&h, &self->public, sizeof(self->public), out);
	out += sizeof(self->public) + SEAL_TAG_SIZE;
	if (mix_exchange(&h, self->exchange, remote) != 0)
		goto out;
	encrypt_part(&h, payload, size, out);
	if (handshake != NULL) {
		memcpy(h.ephemeral, ephemeral, sizeof(h.ephemeral));
		*handshake = h;
	}
	result = 0;
out:
	seal_handshake_wipe(&h);
	return result;
}

int seal_offer_open(struct seal_handshake *handshake, const struct seal_identity *self,
	const void *binding, size_t binding_size, const uint8_t *in, size_t size,
	struct endpoint_peer *caller, uint8_t *payload)
{
	struct seal_handshake h;
	int result = -EBADMSG;

	if (size < SEAL_OFFER_OVERHEAD)
		return -EBADMSG;
	handshake_begin(&h, &self->public, binding, binding_size);
	memcpy(h.remote_ephemeral, in, SEAL_EPHEMERAL_SIZE);
	mix(&h, in, SEAL_EPHEMERAL_SIZE);
	in += SEAL_EPHEMERAL_SIZE;
	if (mix_exchange(&h, self->exchange, h.remote_ephemeral) != 0 ||
		decrypt_part(&h, in, sizeof(*caller), (uint8_t *)caller) != 0 ||
		crypto_sign_ed25519_pk_to_curve25519(h.remote_static, caller->delivery_key) != 0 ||
		mix_exchange(&h, self->exchange, h.remote_static) != 0)
		goto out;
	in += sizeof(*caller) + SEAL_TAG_SIZE;
	if (decrypt_part(&h, in, size - SEAL_OFFER_OVERHEAD, payload) != 0)
		goto out;
	if (handshake != NULL)
		*handshake = h;
	result = 0;
out:
	seal_handshake_wipe(&h);
	return result;
}

static void session_make(struct seal_session *session, const struct seal_handshake *h, bool caller)
{
	uint8_t whole[64];

	memset(session, 0, sizeof(*session));
	memcpy(whole, h->chain, 32);
	memcpy(whole + 32, h->transcript, 32);
	derive(caller ? session->send_key : session->receive_key, frame_context,
		sizeof(frame_context), whole, sizeof(whole), "caller", 6);
	derive(caller ? session->receive_key : session->send_key, frame_context,
		sizeof(frame_context), whole, sizeof(whole), "callee", 6);
	sodium_memzero(whole, sizeof(whole));
}

int seal_answer(const struct seal_handshake *handshake, const uint8_t ephemeral[static 32],
	const void *payload, size_t size, uint8_t *out, struct seal_session *session)
{
	struct seal_handshake h = *handshake;
	int result = -EBADMSG;

	crypto_scalarmult_base(out, ephemeral);
	mix(&h, out, SEAL_EPHEMERAL_SIZE);
	if (mix_exchange(&h, ephemeral, h.remote_ephemeral) != 0 ||
		mix_exchange(&h, ephemeral, h.remote_static) != 0)
		goto out;
	encrypt_part(&h, payload, size, out + SEAL_EPHEMERAL_SIZE);
	session_make(session, &h, false);
	result = 0;
out:
	seal_handshake_wipe(&h);
	return result;
}

int seal_answer_open(const struct seal_handshake *handshake, const struct seal_identity *self,
	const uint8_t *in, size_t size, uint8_t *payload, struct seal_session *session)
{
	struct seal_handshake h = *handshake;
	int result = -EBADMSG;

	if (size < SEAL_ANSWER_OVERHEAD)
		goto out;
	mix(&h, in, SEAL_EPHEMERAL_SIZE);
	if (mix_exchange(&h, h.ephemeral, in) != 0 || mix_exchange(&h, self->exchange, in) != 0 ||
		decrypt_part(&h, in + SEAL_EPHEMERAL_SIZE, size - SEAL_ANSWER_OVERHEAD, payload) !=
			0)
		goto out;
	session_make(session, &h, true);
	result = 0;
out:
	seal_handshake_wipe(&h);
	return result;
}

void seal_handshake_wipe(struct seal_handshake *handshake)
{
	sodium_memzero(handshake, sizeof(*handshake));
}
