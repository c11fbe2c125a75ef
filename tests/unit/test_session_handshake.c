// SPDX-License-Identifier: BSD-3-Clause
// The handshake of a call. What both sides end up with, also against bytes that another
// implementation made (tests/system/noise_hfs.py); that every byte counts, that each identity is
// proven to the other, and that nothing secret is left behind.
// wrap: mlkem1024_derive
// wrap: mlkem1024_decapsulate
#include "endpoint/session/handshake.h"
#include "tests/vectors/handshake.h"

#include <sodium.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	KEY = HANDSHAKE_IDENTITY_SIZE,
	OFFER = HANDSHAKE_OFFER_OVERHEAD + 5,
	ANSWER = HANDSHAKE_ANSWER_OVERHEAD + 6
};

static struct handshake_identity alice, bob, carol;
static const char prologue[] = "what both know";

// ---- neighbours ----

// Makes a public key of which a coefficient is not below q.
static bool malformed_key;
// Flips a bit of what ML-KEM gives the caller.
static bool other_secret;

int __real_mlkem1024_derive(
	uint8_t *public_key, struct mlkem1024_secret *secret, const uint8_t *seed);
int __wrap_mlkem1024_derive(
	uint8_t *public_key, struct mlkem1024_secret *secret, const uint8_t *seed);
int __real_mlkem1024_decapsulate(
	uint8_t *shared, const struct mlkem1024_secret *secret, const uint8_t *ciphertext);
int __wrap_mlkem1024_decapsulate(
	uint8_t *shared, const struct mlkem1024_secret *secret, const uint8_t *ciphertext);

int __wrap_mlkem1024_derive(
	uint8_t *public_key, struct mlkem1024_secret *secret, const uint8_t *seed)
{
	int result = __real_mlkem1024_derive(public_key, secret, seed);
	if (malformed_key)
		memset(public_key, 0xFF, 3);
	return result;
}

int __wrap_mlkem1024_decapsulate(
	uint8_t *shared, const struct mlkem1024_secret *secret, const uint8_t *ciphertext)
{
	int result = __real_mlkem1024_decapsulate(shared, secret, ciphertext);
	shared[0] ^= other_secret;
	return result;
}

// ---- both sides ----

static void identity(struct handshake_identity *out)
{
	uint8_t seed[HANDSHAKE_SEED_SIZE];
	randombytes_buf(seed, sizeof(seed));
	handshake_identity_make(out, seed);
}

static int begin(void **unused)
{
	(void)unused;
	identity(&alice);
	identity(&bob);
	identity(&carol);
	return 0;
}

static void offer(struct handshake *h, const struct handshake_identity *from, uint8_t out[OFFER])
{
	assert_int_equal(handshake_offer(h, from, bob.public_key, prologue, sizeof(prologue), NULL,
				 "offer", 5, out),
		0);
}

static int open_offer_of(struct handshake *h, const struct handshake_identity *self,
	const uint8_t *in, size_t size, uint8_t caller[static KEY])
{
	uint8_t payload[HANDSHAKE_PAYLOAD_MAX];
	int result = handshake_offer_open(
		h, self, prologue, sizeof(prologue), in, size, caller, payload);
	if (result == 0)
		assert_memory_equal(payload, "offer", 5);
	else
		assert_true(sodium_is_zero((const uint8_t *)h, sizeof(*h)));
	return result;
}

static int open_offer(struct handshake *h, const uint8_t *in, size_t size)
{
	uint8_t caller[KEY] = {0};
	memset(h, 0, sizeof(*h));
	int result = open_offer_of(h, &bob, in, size, caller);
	if (result == 0)
		assert_memory_equal(caller, alice.public_key, KEY);
	else
		assert_true(sodium_is_zero(caller, KEY));
	return result;
}

static void answer(struct handshake *h, uint8_t out[ANSWER], struct envelope_session *session)
{
	assert_int_equal(handshake_answer(h, NULL, "answer", 6, out, session), 0);
	assert_true(sodium_is_zero((const uint8_t *)h, sizeof(*h)));
}

static int open_answer(struct handshake *h, const uint8_t *in, size_t size)
{
	struct envelope_session session = {0};
	uint8_t payload[HANDSHAKE_PAYLOAD_MAX];
	struct handshake before = *h;
	int result = handshake_answer_open(h, in, size, payload, &session);
	if (result == 0) {
		assert_memory_equal(payload, "answer", 6);
		assert_true(sodium_is_zero((const uint8_t *)h, sizeof(*h)));
	} else {
		assert_memory_equal(h, &before, sizeof(before));
		assert_true(sodium_is_zero((const uint8_t *)&session, sizeof(session)));
	}
	envelope_wipe(&session);
	return result;
}

static void assert_speak(struct envelope_session *from, struct envelope_session *to)
{
	uint8_t frame[ENVELOPE_OVERHEAD + 5], opened[5];
	assert_int_equal(envelope_seal(from, "hello", 5, frame), 0);
	assert_int_equal(envelope_open(to, frame, sizeof(frame), opened), 0);
	assert_memory_equal(opened, "hello", 5);
}

// Any sizes, libsodium's randomness.
static void assert_agree(size_t offer_size, size_t answer_size, size_t prologue_size)
{
	static uint8_t sent[HANDSHAKE_PAYLOAD_MAX], got[HANDSHAKE_PAYLOAD_MAX];
	static uint8_t out[HANDSHAKE_OFFER_MAX], known[HANDSHAKE_PROLOGUE_MAX];
	struct handshake caller, callee;
	struct envelope_session a, b;
	uint8_t from[KEY], exported[2][40];

	randombytes_buf(sent, sizeof(sent));
	assert_int_equal(handshake_offer(&caller, &alice, bob.public_key, known, prologue_size,
				 NULL, sent, offer_size, out),
		0);
	assert_int_equal(handshake_offer_open(&callee, &bob, known, prologue_size, out,
				 HANDSHAKE_OFFER_OVERHEAD + offer_size, from, got),
		0);
	assert_memory_equal(from, alice.public_key, KEY);
	assert_memory_equal(got, sent, offer_size);
	assert_int_equal(handshake_answer(&callee, NULL, sent, answer_size, out, &b), 0);
	assert_int_equal(handshake_answer_open(
				 &caller, out, HANDSHAKE_ANSWER_OVERHEAD + answer_size, got, &a),
		0);
	assert_memory_equal(got, sent, answer_size);
	assert_speak(&a, &b);
	assert_speak(&b, &a);
	envelope_export(&a, "ice", exported[0], sizeof(exported[0]));
	envelope_export(&b, "ice", exported[1], sizeof(exported[1]));
	assert_memory_equal(exported[0], exported[1], sizeof(exported[0]));
	envelope_wipe(&a);
	envelope_wipe(&b);
}

static void both_agree(void **unused)
{
	(void)unused;
	assert_agree(0, 0, 0);
	assert_agree(5, 6, 80);
	assert_agree(HANDSHAKE_PAYLOAD_MAX, HANDSHAKE_PAYLOAD_MAX, HANDSHAKE_PROLOGUE_MAX);
}

static void too_long(void **unused)
{
	(void)unused;
	static uint8_t big[HANDSHAKE_PAYLOAD_MAX + 1], out[HANDSHAKE_OFFER_MAX + 1];
	static const uint8_t none[HANDSHAKE_PROLOGUE_MAX + 1];
	struct handshake caller, callee;
	struct envelope_session session;
	uint8_t from[KEY];
	assert_int_equal(handshake_offer(&caller, &alice, bob.public_key, NULL, 0, NULL, big,
				 sizeof(big), out),
		-EMSGSIZE);
	assert_int_equal(handshake_offer(&caller, &alice, bob.public_key, none, sizeof(none), NULL,
				 NULL, 0, out),
		-EMSGSIZE);
	assert_int_equal(handshake_offer_open(&callee, &bob, none, sizeof(none), out,
				 HANDSHAKE_OFFER_OVERHEAD, from, big),
		-EMSGSIZE);
	offer(&caller, &alice, out);
	assert_int_equal(open_offer(&callee, out, OFFER), 0);
	assert_int_equal(
		handshake_answer(&callee, NULL, big, sizeof(big), out, &session), -EMSGSIZE);
	answer(&callee, out, &session); // goes on
	envelope_wipe(&session);
	assert_int_equal(open_answer(&caller, out, ANSWER), 0);
}

// ---- another implementation's bytes ----

struct script {
	uint8_t bytes[sizeof(struct noise_fresh)];
};

static void scripted(void *context, void *out, size_t size)
{
	const struct script *script = context;
	assert_int_equal(size, sizeof(script->bytes));
	memcpy(out, script->bytes, size);
}

static size_t from_hex(void *out, size_t size, const char *hex)
{
	size_t length;
	assert_int_equal(sodium_hex2bin(out, size, hex, strlen(hex), NULL, &length, NULL), 0);
	return length;
}

static void assert_hex(const void *have, size_t size, const char *hex)
{
	static uint8_t want[HANDSHAKE_OFFER_MAX];
	assert_int_equal(from_hex(want, sizeof(want), hex), size);
	assert_memory_equal(have, want, size);
}

static void assert_frame(struct envelope_session *from, struct envelope_session *to,
	const char *text, const char *hex)
{
	uint8_t frame[256], opened[256];
	size_t size = strlen(text);
	assert_int_equal(envelope_seal(from, text, size, frame), 0);
	assert_hex(frame, ENVELOPE_OVERHEAD + size, hex);
	assert_int_equal(envelope_open(to, frame, ENVELOPE_OVERHEAD + size, opened), 0);
	assert_memory_equal(opened, text, size);
}

static void assert_vector(const struct handshake_vector *v)
{
	static uint8_t known[HANDSHAKE_PROLOGUE_MAX], sent[HANDSHAKE_PAYLOAD_MAX];
	static uint8_t got[HANDSHAKE_PAYLOAD_MAX], out[HANDSHAKE_OFFER_MAX];
	struct handshake_identity from, to;
	uint8_t seed[HANDSHAKE_SEED_SIZE], learnt[KEY], exported[96];
	struct script script;
	const struct handshake_random random = {scripted, &script};
	struct handshake caller, callee;
	struct envelope_session a, b;

	from_hex(seed, sizeof(seed), v->caller_seed);
	handshake_identity_make(&from, seed);
	assert_hex(from.public_key, KEY, v->caller_identity);
	from_hex(seed, sizeof(seed), v->callee_seed);
	handshake_identity_make(&to, seed);
	assert_hex(to.public_key, KEY, v->callee_identity);

	size_t known_size = from_hex(known, sizeof(known), v->prologue);
	size_t size = from_hex(sent, sizeof(sent), v->offer_payload);
	from_hex(&script, sizeof(script), v->caller_random);
	assert_int_equal(handshake_offer(&caller, &from, to.public_key, known, known_size, &random,
				 sent, size, out),
		0);
	assert_hex(out, HANDSHAKE_OFFER_OVERHEAD + size, v->offer);
	assert_int_equal(handshake_offer_open(&callee, &to, known, known_size, out,
				 HANDSHAKE_OFFER_OVERHEAD + size, learnt, got),
		0);
	assert_memory_equal(learnt, from.public_key, KEY);
	assert_memory_equal(got, sent, size);

	size = from_hex(sent, sizeof(sent), v->answer_payload);
	from_hex(&script, sizeof(script), v->callee_random);
	assert_int_equal(handshake_answer(&callee, &random, sent, size, out, &b), 0);
	assert_hex(out, HANDSHAKE_ANSWER_OVERHEAD + size, v->answer);
	assert_int_equal(
		handshake_answer_open(&caller, out, HANDSHAKE_ANSWER_OVERHEAD + size, got, &a), 0);
	assert_memory_equal(got, sent, size);

	envelope_export(&a, "ice", exported, sizeof(exported));
	assert_hex(exported, sizeof(exported), v->exported_ice);
	envelope_export(&b, "another", exported, sizeof(exported));
	assert_hex(exported, sizeof(exported), v->exported_another);
	assert_frame(&a, &b, "caller 0", v->frames[0]);
	assert_frame(&b, &a, "callee 0", v->frames[1]);
	assert_int_equal(envelope_rekey(&a), 0);
	assert_frame(&a, &b, "caller 1", v->frames[2]);
	assert_frame(&b, &a, "callee 1", v->frames[3]);
	assert_int_equal(envelope_rekey(&b), 0);
	assert_frame(&b, &a, "", v->frames[4]);
	assert_frame(&a, &b, "caller 2", v->frames[5]);
	envelope_wipe(&a);
	envelope_wipe(&b);
}

static void another_implementation(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(handshake_vectors) / sizeof(handshake_vectors[0]); i++)
		assert_vector(&handshake_vectors[i]);
}

// ---- what is refused ----

static void every_byte_of_an_offer(void **unused)
{
	(void)unused;
	struct handshake caller, callee;
	uint8_t out[OFFER];
	offer(&caller, &alice, out);
	for (size_t i = 0; i < OFFER; i++) {
		uint8_t bit = (uint8_t)(1 << randombytes_uniform(8));
		out[i] ^= bit;
		assert_int_equal(open_offer(&callee, out, OFFER), -EBADMSG);
		out[i] ^= bit;
	}
	// X25519 does not look at this bit of a key; the transcript does.
	out[KEY - 1] ^= 0x80;
	assert_int_equal(open_offer(&callee, out, OFFER), -EBADMSG);
	out[KEY - 1] ^= 0x80;
	assert_int_equal(open_offer(&callee, out, OFFER), 0);
}

static void every_byte_of_an_answer(void **unused)
{
	(void)unused;
	struct handshake caller, callee;
	struct envelope_session session;
	uint8_t out[OFFER], back[ANSWER];
	offer(&caller, &alice, out);
	assert_int_equal(open_offer(&callee, out, OFFER), 0);
	answer(&callee, back, &session);
	envelope_wipe(&session);
	for (size_t i = 0; i < ANSWER; i++) {
		uint8_t bit = (uint8_t)(1 << randombytes_uniform(8));
		back[i] ^= bit;
		assert_int_equal(open_answer(&caller, back, ANSWER), -EBADMSG);
		back[i] ^= bit;
	}
	back[KEY - 1] ^= 0x80;
	assert_int_equal(open_answer(&caller, back, ANSWER), -EBADMSG);
	back[KEY - 1] ^= 0x80;
	// After all that it is still an answer.
	assert_int_equal(open_answer(&caller, back, ANSWER), 0);
}

static void every_length(void **unused)
{
	(void)unused;
	struct handshake caller, callee;
	struct envelope_session session;
	static uint8_t out[HANDSHAKE_OFFER_MAX + 1], back[HANDSHAKE_ANSWER_MAX + 1];
	offer(&caller, &alice, out);
	assert_int_equal(open_offer(&callee, out, OFFER), 0);
	answer(&callee, back, &session);
	envelope_wipe(&session);
	// As heap blocks of just that size, so that the sanitizers see a byte too far.
	for (size_t size = 0; size <= sizeof(out); size += size < OFFER + 8 ? 1 : 500) {
		uint8_t *part = malloc(size + 1);
		assert_non_null(part);
		memcpy(part + 1, out, size);
		if (size != OFFER)
			assert_int_equal(open_offer(&callee, part + 1, size), -EBADMSG);
		memcpy(part + 1, back, size < sizeof(back) ? size : sizeof(back));
		if (size != ANSWER)
			assert_int_equal(open_answer(&caller, part + 1, size), -EBADMSG);
		free(part);
	}
	assert_int_equal(open_offer(&callee, out, sizeof(out)), -EBADMSG);
	assert_int_equal(open_answer(&caller, back, sizeof(back)), -EBADMSG);
	assert_int_equal(open_answer(&caller, back, ANSWER), 0);
}

static void the_callee_is_who_was_called(void **unused)
{
	(void)unused;
	struct handshake caller, callee, strangers;
	struct envelope_session session;
	uint8_t out[OFFER], strange[OFFER], back[ANSWER], caller_key[KEY];
	offer(&caller, &alice, out);
	assert_int_equal(open_offer_of(&callee, &carol, out, OFFER, caller_key), -EBADMSG);

	// Carol answers in Bob's place, as well as she can: with an offer to herself.
	assert_int_equal(handshake_offer(&strangers, &alice, carol.public_key, prologue,
				 sizeof(prologue), NULL, "offer", 5, strange),
		0);
	assert_int_equal(open_offer_of(&callee, &carol, strange, OFFER, caller_key), 0);
	answer(&callee, back, &session);
	envelope_wipe(&session);
	assert_int_equal(open_answer(&caller, back, ANSWER), -EBADMSG);
	assert_int_equal(open_answer(&strangers, back, ANSWER), 0);

	// The key of the other sign is another identity, though X25519 knows no difference.
	uint8_t negated[KEY];
	memcpy(negated, bob.public_key, KEY);
	negated[KEY - 1] ^= 0x80;
	assert_int_equal(handshake_offer(&caller, &alice, negated, prologue, sizeof(prologue), NULL,
				 "offer", 5, out),
		0);
	assert_int_equal(open_offer(&callee, out, OFFER), -EBADMSG);
}

static void the_caller_is_who_it_says(void **unused)
{
	(void)unused;
	struct handshake caller, callee;
	uint8_t out[OFFER], caller_key[KEY];
	struct handshake_identity liar = carol;

	memcpy(liar.public_key, alice.public_key, KEY);
	offer(&caller, &liar, out);
	assert_int_equal(open_offer(&callee, out, OFFER), -EBADMSG);
	// Alice's static key, without its secret.
	memcpy(liar.exchange.public_key, alice.exchange.public_key, KEY);
	offer(&caller, &liar, out);
	assert_int_equal(open_offer(&callee, out, OFFER), -EBADMSG);
	// An identity that is no key at all.
	liar = carol;
	memset(liar.public_key, 0, KEY);
	offer(&caller, &liar, out);
	assert_int_equal(open_offer(&callee, out, OFFER), -EBADMSG);
	// Somebody else, honestly: who calls is known, and is not Alice.
	offer(&caller, &carol, out);
	assert_int_equal(open_offer_of(&callee, &bob, out, OFFER, caller_key), 0);
	assert_memory_equal(caller_key, carol.public_key, KEY);
}

static void no_keys(void **unused)
{
	(void)unused;
	struct handshake caller, callee;
	struct envelope_session session;
	uint8_t out[OFFER], back[ANSWER], zero[KEY] = {0};
	// Of small order.
	assert_int_equal(
		handshake_offer(&caller, &alice, zero, NULL, 0, NULL, NULL, 0, out), -EINVAL);
	zero[0] = 1;
	assert_int_equal(
		handshake_offer(&caller, &alice, zero, NULL, 0, NULL, NULL, 0, out), -EINVAL);
	offer(&caller, &alice, out);
	memset(out, 0, KEY);
	assert_int_equal(open_offer(&callee, out, OFFER), -EBADMSG);

	// A caller whose ML-KEM key is none.
	malformed_key = true;
	offer(&caller, &alice, out);
	malformed_key = false;
	assert_int_equal(open_offer(&callee, out, OFFER), 0);
	assert_int_equal(handshake_answer(&callee, NULL, "answer", 6, back, &session), -EBADMSG);
	assert_true(sodium_is_zero((const uint8_t *)&callee, sizeof(callee)));
}

static void another_prologue(void **unused)
{
	(void)unused;
	struct handshake caller, callee;
	uint8_t out[OFFER], caller_key[KEY], payload[8];
	offer(&caller, &alice, out);
	assert_int_equal(handshake_offer_open(&callee, &bob, prologue, sizeof(prologue) - 1, out,
				 OFFER, caller_key, payload),
		-EBADMSG);
	assert_int_equal(
		handshake_offer_open(&callee, &bob, NULL, 0, out, OFFER, caller_key, payload),
		-EBADMSG);
}

static void replays(void **unused)
{
	(void)unused;
	struct handshake first, second, callee;
	struct envelope_session session, again;
	uint8_t out[OFFER], other[OFFER], back[ANSWER], back_again[ANSWER], frame[64], opened[64];
	offer(&first, &alice, out);
	offer(&second, &alice, other);
	assert_memory_not_equal(out, other, KEY); // new ephemeral keys each time
	assert_int_equal(open_offer(&callee, out, OFFER), 0);
	answer(&callee, back, &session);
	assert_int_equal(open_answer(&second, back, ANSWER), -EBADMSG);
	// An offer opens again, but the second answer is another session.
	assert_int_equal(open_offer(&callee, out, OFFER), 0);
	answer(&callee, back_again, &again);
	assert_int_equal(envelope_seal(&again, "secret", 6, frame), 0);
	struct envelope_session ours;
	assert_int_equal(handshake_answer_open(&first, back, ANSWER, opened, &ours), 0);
	assert_int_equal(envelope_open(&ours, frame, ENVELOPE_OVERHEAD + 6, opened), -EBADMSG);
	assert_speak(&session, &ours);
	envelope_wipe(&ours);
	envelope_wipe(&session);
	envelope_wipe(&again);
}

// If X25519 is broken one day, ML-KEM's secret is still missing.
static void both_secrets_are_needed(void **unused)
{
	(void)unused;
	struct handshake caller, callee;
	struct envelope_session session;
	uint8_t out[OFFER], back[ANSWER];
	offer(&caller, &alice, out);
	assert_int_equal(open_offer(&callee, out, OFFER), 0);
	answer(&callee, back, &session);
	envelope_wipe(&session);
	other_secret = true;
	assert_int_equal(open_answer(&caller, back, ANSWER), -EBADMSG);
	other_secret = false;
	caller.noise.own_ephemeral.secret[8] ^= 1;
	assert_int_equal(open_answer(&caller, back, ANSWER), -EBADMSG);
	caller.noise.own_ephemeral.secret[8] ^= 1;
	caller.noise.own_static.secret[8] ^= 1;
	assert_int_equal(open_answer(&caller, back, ANSWER), -EBADMSG);
	caller.noise.own_static.secret[8] ^= 1;
	assert_int_equal(open_answer(&caller, back, ANSWER), 0);
}

static int begin_group(void **unused)
{
	(void)unused;
	return sodium_init() < 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(both_agree, begin),
		cmocka_unit_test_setup(too_long, begin),
		cmocka_unit_test(another_implementation),
		cmocka_unit_test_setup(every_byte_of_an_offer, begin),
		cmocka_unit_test_setup(every_byte_of_an_answer, begin),
		cmocka_unit_test_setup(every_length, begin),
		cmocka_unit_test_setup(the_callee_is_who_was_called, begin),
		cmocka_unit_test_setup(the_caller_is_who_it_says, begin),
		cmocka_unit_test_setup(no_keys, begin),
		cmocka_unit_test_setup(another_prologue, begin),
		cmocka_unit_test_setup(replays, begin),
		cmocka_unit_test_setup(both_secrets_are_needed, begin),
	};
	return cmocka_run_group_tests(tests, begin_group, NULL);
}
