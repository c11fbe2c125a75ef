// SPDX-License-Identifier: BSD-3-Clause
// See handshake.h.
//
// SHA-512, because what is called AES-256 and ML-KEM-1024 should not hang on 256 bits of hash (of
// which the transcript's collisions get half), and because HKDF of SHA-512 is what every library
// has, so that others can check us; Ed25519 brings it along in any case. It is hashed a few times a
// call: how fast BLAKE2b were does not matter.
#include "endpoint/session/handshake.h"

#include <sodium.h>

#include <assert.h>
#include <errno.h>
#include <string.h>

static const struct noise_protocol protocol = {
	.name = "Noise_IKhfs_25519+MLKEM1024_AESGCM_SHA512",
	.hash = HKDF_SHA512,
	.responder_known = true,
	.messages = {{NOISE_E, NOISE_ES, NOISE_E1, NOISE_S, NOISE_SS},
		{NOISE_E, NOISE_EE, NOISE_EKEM1, NOISE_SE}},
};

enum { IDENTITY = HANDSHAKE_IDENTITY_SIZE };

static_assert((int)ENVELOPE_EXPORTER_SIZE == (int)HKDF_HASH_MAX, "what SHA-512 makes");

void handshake_identity_make(
	struct handshake_identity *identity, const uint8_t seed[static HANDSHAKE_SEED_SIZE])
{
	uint8_t secret[crypto_sign_SECRETKEYBYTES];
	crypto_sign_seed_keypair(identity->public_key, secret, seed);
	crypto_sign_ed25519_sk_to_curve25519(identity->exchange.secret, secret);
	crypto_scalarmult_base(identity->exchange.public_key, identity->exchange.secret);
	sodium_memzero(secret, sizeof(secret));
}

void handshake_identity_wipe(struct handshake_identity *identity)
{
	sodium_memzero(identity, sizeof(*identity));
}

static void draw(const struct handshake_random *random, struct noise_fresh *fresh)
{
	if (random == NULL)
		randombytes_buf(fresh, sizeof(*fresh));
	else
		random->fill(random->context, fresh, sizeof(*fresh));
}

// remote_static: NULL on the callee's side.
static int begin(struct handshake *handshake, const struct handshake_identity *self,
	const uint8_t callee[static IDENTITY], const uint8_t *remote_static, const void *prologue,
	size_t prologue_size)
{
	uint8_t whole[HANDSHAKE_PROLOGUE_MAX + IDENTITY];
	if (prologue_size > HANDSHAKE_PROLOGUE_MAX)
		return -EMSGSIZE;
	if (prologue_size > 0)
		memcpy(whole, prologue, prologue_size);
	// Two Ed25519 keys, of opposite signs, convert to one static key.
	memcpy(whole + prologue_size, callee, IDENTITY);
	const struct noise_start start = {
		.initiator = remote_static != NULL,
		.prologue = whole,
		.prologue_size = prologue_size + IDENTITY,
		.own_static = &self->exchange,
		.remote_static = remote_static,
	};
	noise_begin(&handshake->noise, &protocol, &start);
	return 0;
}

int handshake_offer(struct handshake *handshake, const struct handshake_identity *self,
	const uint8_t remote_identity[static HANDSHAKE_IDENTITY_SIZE], const void *prologue,
	size_t prologue_size, const struct handshake_random *random, const void *payload,
	size_t size, uint8_t *out)
{
	uint8_t remote_static[NOISE_KEY_SIZE], whole[IDENTITY + HANDSHAKE_PAYLOAD_MAX];
	struct noise_fresh fresh;

	if (size > HANDSHAKE_PAYLOAD_MAX)
		return -EMSGSIZE;
	if (crypto_sign_ed25519_pk_to_curve25519(remote_static, remote_identity) != 0)
		return -EINVAL;
	int result =
		begin(handshake, self, remote_identity, remote_static, prologue, prologue_size);
	if (result < 0)
		return result;
	memcpy(whole, self->public_key, IDENTITY);
	if (size > 0)
		memcpy(whole + IDENTITY, payload, size);
	draw(random, &fresh);
	result = noise_write(&handshake->noise, &fresh, whole, IDENTITY + size, out);
	sodium_memzero(&fresh, sizeof(fresh));
	sodium_memzero(whole, sizeof(whole));
	if (result < 0)
		handshake_wipe(handshake);
	return result == -EBADMSG ? -EINVAL : result;
}

int handshake_offer_open(struct handshake *handshake, const struct handshake_identity *self,
	const void *prologue, size_t prologue_size, const uint8_t *in, size_t size,
	uint8_t caller_identity[static HANDSHAKE_IDENTITY_SIZE], uint8_t *payload)
{
	uint8_t converted[NOISE_KEY_SIZE], whole[IDENTITY + HANDSHAKE_PAYLOAD_MAX];

	if (size < HANDSHAKE_OFFER_OVERHEAD || size > HANDSHAKE_OFFER_MAX)
		return -EBADMSG;
	int result = begin(handshake, self, self->public_key, NULL, prologue, prologue_size);
	if (result < 0)
		return result;
	result = noise_read(&handshake->noise, in, size, whole);
	if (result == 0 && (crypto_sign_ed25519_pk_to_curve25519(converted, whole) != 0 ||
				   sodium_memcmp(converted, handshake->noise.remote_static,
					   sizeof(converted)) != 0))
		result = -EBADMSG;
	if (result == 0) {
		memcpy(caller_identity, whole, IDENTITY);
		if (size > HANDSHAKE_OFFER_OVERHEAD)
			memcpy(payload, whole + IDENTITY, size - HANDSHAKE_OFFER_OVERHEAD);
	} else {
		handshake_wipe(handshake);
	}
	sodium_memzero(whole, sizeof(whole));
	return result;
}

// The session that a finished handshake leaves. The exporter's secret is the HMAC of the whole
// transcript under a third output of the HKDF that gives the two keys; the keys need no transcript,
// since what was sealed last had it as additional data.
static int session_make(const struct noise_handshake *noise, struct envelope_session *session)
{
	struct envelope_secrets secrets = {0};
	uint8_t third[HKDF_HASH_MAX];

	noise_split(noise, noise->initiator ? secrets.send : secrets.receive,
		noise->initiator ? secrets.receive : secrets.send, third);
	hkdf_extract(HKDF_SHA512, third, sizeof(third), noise->transcript,
		sizeof(noise->transcript), secrets.exporter);
	int result = envelope_begin(session, &secrets);
	sodium_memzero(&secrets, sizeof(secrets));
	sodium_memzero(third, sizeof(third));
	return result;
}

int handshake_answer(struct handshake *handshake, const struct handshake_random *random,
	const void *payload, size_t size, uint8_t *out, struct envelope_session *session)
{
	struct noise_fresh fresh;

	if (size > HANDSHAKE_PAYLOAD_MAX)
		return -EMSGSIZE;
	draw(random, &fresh);
	int result = noise_write(&handshake->noise, &fresh, payload, size, out);
	sodium_memzero(&fresh, sizeof(fresh));
	if (result == 0)
		result = session_make(&handshake->noise, session);
	handshake_wipe(handshake);
	return result;
}

int handshake_answer_open(struct handshake *handshake, const uint8_t *in, size_t size,
	uint8_t *payload, struct envelope_session *session)
{
	struct handshake copy;

	if (size < HANDSHAKE_ANSWER_OVERHEAD || size > HANDSHAKE_ANSWER_MAX)
		return -EBADMSG;
	copy = *handshake;
	int result = noise_read(&copy.noise, in, size, payload);
	if (result == 0)
		result = session_make(&copy.noise, session);
	if (result == 0)
		handshake_wipe(handshake);
	handshake_wipe(&copy);
	return result;
}

void handshake_wipe(struct handshake *handshake)
{
	noise_wipe(&handshake->noise);
}
