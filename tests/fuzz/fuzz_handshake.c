// SPDX-License-Identifier: BSD-3-Clause
// Any bytes as an offer or an answer; good ones altered bit by bit; and offers that are authentic
// but say anything: an identity, a payload and an ML-KEM key of the caller's choice. The first byte
// chooses. Held: nothing opens but what was sent, and only under the identity that was proven.
// wrap: mlkem1024_derive
#include "endpoint/session/handshake.h"
#include "tests/fuzz/reproducible.h"

#include <sodium.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	TEXT = 8,
	OFFER = HANDSHAKE_OFFER_OVERHEAD + TEXT,
	ANSWER = HANDSHAKE_ANSWER_OVERHEAD + TEXT
};

static const char prologue[] = "fuzz";
static const uint8_t text[TEXT] = {1, 2, 3, 4, 5, 6, 7, 8};

static struct {
	bool made;
	struct handshake_identity caller, callee;
	struct handshake offered;
	uint8_t offer[OFFER], answer[ANSWER];
} world;

// Added to the public key that is made next.
static const uint8_t *key_alterations;
static size_t key_alterations_size;

int __real_mlkem1024_derive(
	uint8_t *public_key, struct mlkem1024_secret *secret, const uint8_t *seed);
int __wrap_mlkem1024_derive(
	uint8_t *public_key, struct mlkem1024_secret *secret, const uint8_t *seed);

int __wrap_mlkem1024_derive(
	uint8_t *public_key, struct mlkem1024_secret *secret, const uint8_t *seed)
{
	int result = __real_mlkem1024_derive(public_key, secret, seed);
	for (size_t i = 0; i < key_alterations_size && i < MLKEM1024_PUBLIC_SIZE; i++)
		public_key[i] ^= key_alterations[i];
	return result;
}

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void make_world(void)
{
	static const uint8_t seeds[2][HANDSHAKE_SEED_SIZE] = {{1}, {2}};
	struct handshake callee;
	struct envelope_session session;
	uint8_t from[HANDSHAKE_IDENTITY_SIZE], payload[TEXT];
	randombytes_set_implementation(&reproducible);
	require(sodium_init() >= 0);
	handshake_identity_make(&world.caller, seeds[0]);
	handshake_identity_make(&world.callee, seeds[1]);
	require(handshake_offer(&world.offered, &world.caller, world.callee.public_key, prologue,
			sizeof(prologue), NULL, text, TEXT, world.offer) == 0);
	require(handshake_offer_open(&callee, &world.callee, prologue, sizeof(prologue),
			world.offer, OFFER, from, payload) == 0);
	require(handshake_answer(&callee, NULL, text, TEXT, world.answer, &session) == 0);
	envelope_wipe(&session);
	world.made = true;
}

// Opens it and, where that succeeds, answers.
static int open_offer(const uint8_t *in, size_t size, uint8_t from[static HANDSHAKE_IDENTITY_SIZE],
	uint8_t *payload, int *answered)
{
	static uint8_t back[HANDSHAKE_ANSWER_MAX];
	struct handshake callee;
	struct envelope_session session;
	int result = handshake_offer_open(
		&callee, &world.callee, prologue, sizeof(prologue), in, size, from, payload);
	require(result == 0 || result == -EBADMSG);
	if (result == 0) {
		*answered = handshake_answer(&callee, NULL, text, TEXT, back, &session);
		if (*answered == 0)
			envelope_wipe(&session);
	}
	return result;
}

static void any_offer(const uint8_t *data, size_t size)
{
	static uint8_t payload[HANDSHAKE_PAYLOAD_MAX];
	uint8_t from[HANDSHAKE_IDENTITY_SIZE];
	int answered;
	require(open_offer(data, size, from, payload, &answered) == -EBADMSG ||
		(size == OFFER && memcmp(data, world.offer, OFFER) == 0));
}

static int open_answer(const uint8_t *in, size_t size)
{
	static uint8_t payload[HANDSHAKE_PAYLOAD_MAX];
	struct handshake copy = world.offered;
	struct envelope_session session;
	int result = handshake_answer_open(&copy, in, size, payload, &session);
	if (result == 0) {
		require(memcmp(payload, text, TEXT) == 0);
		envelope_wipe(&session);
	} else {
		require(result == -EBADMSG && memcmp(&copy, &world.offered, sizeof(copy)) == 0);
	}
	return result;
}

static void any_answer(const uint8_t *data, size_t size)
{
	require(open_answer(data, size) == -EBADMSG ||
		(size == ANSWER && memcmp(data, world.answer, ANSWER) == 0));
}

static bool alter(uint8_t *bytes, size_t bytes_size, const uint8_t *data, size_t size)
{
	bool altered = false;
	for (size_t i = 0; i < size && i < bytes_size; i++) {
		bytes[i] ^= data[i];
		altered |= data[i] != 0;
	}
	return altered;
}

static void altered_offer(const uint8_t *data, size_t size)
{
	uint8_t offer[OFFER], from[HANDSHAKE_IDENTITY_SIZE], payload[TEXT];
	int answered = -1;
	memcpy(offer, world.offer, OFFER);
	bool altered = alter(offer, OFFER, data, size);
	int result = open_offer(offer, OFFER, from, payload, &answered);
	require(result == (altered ? -EBADMSG : 0));
	require(altered || (answered == 0 && memcmp(payload, text, TEXT) == 0 &&
				   memcmp(from, world.caller.public_key, sizeof(from)) == 0));
}

static void altered_answer(const uint8_t *data, size_t size)
{
	uint8_t answer[ANSWER];
	memcpy(answer, world.answer, ANSWER);
	bool altered = alter(answer, ANSWER, data, size);
	require(open_answer(answer, ANSWER) == (altered ? -EBADMSG : 0));
}

// What a caller with a key of its own may say: the first byte tells how much of the rest alters its
// identity; what is behind that alters its ML-KEM key.
static void authentic_offer(const uint8_t *data, size_t size)
{
	struct handshake_identity caller = world.caller;
	struct handshake offered;
	uint8_t offer[OFFER], from[HANDSHAKE_IDENTITY_SIZE], payload[TEXT];
	int answered = -1;

	if (size == 0)
		return;
	size_t identity_size = data[0] % (HANDSHAKE_IDENTITY_SIZE + 1);
	if (identity_size > size - 1)
		identity_size = size - 1;
	bool other = alter(caller.public_key, HANDSHAKE_IDENTITY_SIZE, data + 1, identity_size);
	key_alterations = data + 1 + identity_size;
	key_alterations_size = size - 1 - identity_size;
	require(handshake_offer(&offered, &caller, world.callee.public_key, prologue,
			sizeof(prologue), NULL, text, TEXT, offer) == 0);
	key_alterations_size = 0;
	int result = open_offer(offer, OFFER, from, payload, &answered);
	if (result < 0) {
		require(other);
		return;
	}
	// The key of the other sign is the same key to X25519, and belongs to the same.
	caller.public_key[HANDSHAKE_IDENTITY_SIZE - 1] ^= 0x80;
	require(!other || memcmp(caller.public_key, world.caller.public_key, sizeof(from)) == 0);
	caller.public_key[HANDSHAKE_IDENTITY_SIZE - 1] ^= 0x80;
	require(memcmp(from, caller.public_key, sizeof(from)) == 0);
	require(answered == 0 || answered == -EBADMSG);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const checks[])(const uint8_t *, size_t) = {
		any_offer, any_answer, altered_offer, altered_answer, authentic_offer};
	random_state = 1;
	if (!world.made)
		make_world();
	if (size > 0 && data[0] < sizeof(checks) / sizeof(checks[0]))
		checks[data[0]](data + 1, size - 1);
	return 0;
}
