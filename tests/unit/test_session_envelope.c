// SPDX-License-Identifier: BSD-3-Clause
// The envelope: what is sealed opens once at the other end, whatever happened on the way, and
// nothing else does; keys change under loss and reordering, and only by who has them. With
// libsodium's AES-GCM at one end and GnuTLS's at the other, too.
// wrap: crypto_aead_aes256gcm_is_available
// wrap: gnutls_aead_cipher_init
// wrap: aes256gcm_open
// wrap: hkdf_expand
#include "endpoint/session/envelope.h"
#include "endpoint/session/hkdf.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <sodium.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

enum { TEXT = 5, FRAME = ENVELOPE_OVERHEAD + TEXT, PREVIOUS = 0 };

// ---- neighbours ----

static bool gnutls_only, gnutls_fails;
static unsigned tries, expansions; // decryptions; derivations

int __real_crypto_aead_aes256gcm_is_available(void);
int __wrap_crypto_aead_aes256gcm_is_available(void);
int __real_gnutls_aead_cipher_init(gnutls_aead_cipher_hd_t *handle,
	gnutls_cipher_algorithm_t cipher, const gnutls_datum_t *key);
int __wrap_gnutls_aead_cipher_init(gnutls_aead_cipher_hd_t *handle,
	gnutls_cipher_algorithm_t cipher, const gnutls_datum_t *key);
int __real_aes256gcm_open(const struct aes256gcm *cipher, const uint8_t *nonce, const void *aad,
	size_t aad_size, const uint8_t *in, size_t size, uint8_t *out);
int __wrap_aes256gcm_open(const struct aes256gcm *cipher, const uint8_t *nonce, const void *aad,
	size_t aad_size, const uint8_t *in, size_t size, uint8_t *out);
void __real_hkdf_expand(enum hkdf_hash hash, const void *key, size_t key_size, const void *info,
	size_t info_size, void *out, size_t size);
void __wrap_hkdf_expand(enum hkdf_hash hash, const void *key, size_t key_size, const void *info,
	size_t info_size, void *out, size_t size);

int __wrap_crypto_aead_aes256gcm_is_available(void)
{
	return !gnutls_only && __real_crypto_aead_aes256gcm_is_available();
}

int __wrap_gnutls_aead_cipher_init(gnutls_aead_cipher_hd_t *handle,
	gnutls_cipher_algorithm_t cipher, const gnutls_datum_t *key)
{
	return gnutls_fails ? GNUTLS_E_MEMORY_ERROR
			    : __real_gnutls_aead_cipher_init(handle, cipher, key);
}

int __wrap_aes256gcm_open(const struct aes256gcm *cipher, const uint8_t *nonce, const void *aad,
	size_t aad_size, const uint8_t *in, size_t size, uint8_t *out)
{
	tries++;
	return __real_aes256gcm_open(cipher, nonce, aad, aad_size, in, size, out);
}

void __wrap_hkdf_expand(enum hkdf_hash hash, const void *key, size_t key_size, const void *info,
	size_t info_size, void *out, size_t size)
{
	expansions++;
	__real_hkdf_expand(hash, key, key_size, info, info_size, out, size);
}

// ---- two ends ----

static struct envelope_session alice, bob;
static struct envelope_secrets secrets;

static void begin_with(bool alice_gnutls, bool bob_gnutls)
{
	struct envelope_secrets mirrored;
	envelope_wipe(&alice);
	envelope_wipe(&bob);
	randombytes_buf(&secrets, sizeof(secrets));
	mirrored = secrets;
	memcpy(mirrored.send, secrets.receive, sizeof(mirrored.send));
	memcpy(mirrored.receive, secrets.send, sizeof(mirrored.receive));
	gnutls_only = alice_gnutls;
	assert_int_equal(envelope_begin(&alice, &secrets), 0);
	gnutls_only = bob_gnutls;
	assert_int_equal(envelope_begin(&bob, &mirrored), 0);
	gnutls_only = false;
}

static int begin(void **unused)
{
	(void)unused;
	begin_with(false, false);
	return 0;
}

static int end(void **unused)
{
	(void)unused;
	envelope_wipe(&alice);
	envelope_wipe(&bob);
	assert_true(sodium_is_zero((const uint8_t *)&alice, sizeof(alice)));
	assert_true(sodium_is_zero((const uint8_t *)&bob, sizeof(bob)));
	return 0;
}

static void seal(struct envelope_session *from, uint8_t frame[FRAME])
{
	assert_int_equal(envelope_seal(from, "hello", TEXT, frame), 0);
}

static int open(struct envelope_session *to, const uint8_t frame[FRAME])
{
	uint8_t text[TEXT];
	int result = envelope_open(to, frame, FRAME, text);
	if (result == 0)
		assert_memory_equal(text, "hello", TEXT);
	return result;
}

static void assert_speak(struct envelope_session *from, struct envelope_session *to)
{
	uint8_t frame[FRAME];
	seal(from, frame);
	assert_int_equal(open(to, frame), 0);
}

static void speak_both_ways(void)
{
	assert_speak(&alice, &bob);
	assert_speak(&bob, &alice);
}

static bool same(const struct envelope_session *session, const struct envelope_session *before)
{
	return memcmp(session, before, sizeof(*session)) == 0;
}

// ---- tests ----

static void either_library(void **unused)
{
	(void)unused;
	for (unsigned i = 0; i < 4; i++) {
		begin_with(i & 1, i & 2);
		for (unsigned phase = 0; phase < 3; phase++) {
			speak_both_ways();
			gnutls_only = i & 1;
			assert_int_equal(envelope_rekey(&alice), 0);
			gnutls_only = i & 2;
			assert_speak(&alice, &bob);
			assert_speak(&bob, &alice);
			gnutls_only = false;
		}
		assert_int_equal(bob.phase, 3);
		end(NULL);
	}
}

static void every_byte_and_every_length(void **unused)
{
	(void)unused;
	for (unsigned library = 0; library < 2; library++) {
		uint8_t frame[FRAME + 1] = {0}, text[TEXT + 1];
		begin_with(library, library);
		seal(&alice, frame);
		assert_memory_equal(frame, "\x09\0\0\0\0\0\0\0\0\0", ENVELOPE_HEADER_SIZE);
		struct envelope_session before = bob;
		for (unsigned i = 0; i < FRAME * 8; i++) {
			frame[i / 8] ^= (uint8_t)(1 << i % 8);
			assert_int_equal(envelope_open(&bob, frame, FRAME, text), -EBADMSG);
			frame[i / 8] ^= (uint8_t)(1 << i % 8);
		}
		for (size_t size = 0; size <= FRAME + 1; size++)
			if (size != FRAME)
				assert_int_equal(envelope_open(&bob, frame, size, text), -EBADMSG);
		assert_int_equal(envelope_open(&alice, frame, FRAME, text), -EBADMSG); // reflected
		assert_true(same(&bob, &before));
		assert_int_equal(open(&bob, frame), 0);
		assert_int_equal(open(&bob, frame), -EALREADY);
		end(NULL);
	}
}

static void any_size(void **unused)
{
	(void)unused;
	static uint8_t text[1400], frame[ENVELOPE_OVERHEAD + 1400], back[1400];
	randombytes_buf(text, sizeof(text));
	for (size_t size = 0; size <= sizeof(text); size += size < 70 ? 1 : 95) {
		assert_int_equal(envelope_seal(&alice, size == 0 ? NULL : text, size, frame), 0);
		assert_int_equal(envelope_open(&bob, frame, ENVELOPE_OVERHEAD + size, back), 0);
		assert_memory_equal(back, text, size);
	}
}

static void replays_and_the_window(void **unused)
{
	(void)unused;
	enum { FRAMES = 3 * ENVELOPE_WINDOW };
	static uint8_t frames[FRAMES][FRAME];
	for (unsigned i = 0; i < FRAMES; i++)
		seal(&alice, frames[i]);
	assert_int_equal(open(&bob, frames[0]), 0);
	assert_int_equal(open(&bob, frames[ENVELOPE_WINDOW]), 0);
	assert_int_equal(open(&bob, frames[1]), 0); // the oldest that may come
	assert_int_equal(open(&bob, frames[1]), -EALREADY);
	assert_int_equal(open(&bob, frames[ENVELOPE_WINDOW + 3]), 0);
	assert_int_equal(open(&bob, frames[3]), -EALREADY); // just too old
	assert_int_equal(open(&bob, frames[4]), 0);
	assert_int_equal(open(&bob, frames[FRAMES - 1]), 0); // the window jumps
	for (unsigned i = 0; i < FRAMES; i++)
		assert_int_equal(open(&bob, frames[i]),
			i < FRAMES - ENVELOPE_WINDOW || i == FRAMES - 1 ? -EALREADY : 0);
	for (unsigned i = 0; i < FRAMES; i++)
		assert_int_equal(open(&bob, frames[i]), -EALREADY);
}

// Wherever it jumps to, nothing of what was marked before is left in the ring.
static void the_window_jumps(void **unused)
{
	enum { RING = ENVELOPE_WINDOW + 64 };
	(void)unused;
	static uint8_t frames[ENVELOPE_WINDOW][FRAME];
	for (uint64_t jump = 0; jump < 2 * RING; jump += 61) {
		begin(NULL);
		for (unsigned i = 0; i < RING; i++)
			assert_speak(&alice, &bob);
		alice.send_sequence += jump;
		for (unsigned i = 0; i < ENVELOPE_WINDOW; i++)
			seal(&alice, frames[i]);
		for (unsigned i = ENVELOPE_WINDOW; i-- > 0;)
			assert_int_equal(open(&bob, frames[i]), 0);
	}
}

static void sequences_end(void **unused)
{
	(void)unused;
	uint8_t frame[FRAME];
	alice.send_sequence = UINT64_MAX - 1;
	alice.phase_first_sequence = UINT64_MAX - 1;
	seal(&alice, frame);
	assert_int_equal(open(&bob, frame), 0);
	assert_int_equal(envelope_seal(&alice, "hello", TEXT, frame), -EOVERFLOW);
	assert_int_equal(envelope_seal(&alice, "hello", TEXT, frame), -EOVERFLOW);
	memset(frame + 2, 0xFF, 8);
	assert_int_equal(open(&bob, frame), -EALREADY);
	assert_speak(&bob, &alice);
}

static void a_new_key(void **unused)
{
	(void)unused;
	uint8_t early[FRAME], late[FRAME], exported[2][64], again[64];
	envelope_export(&alice, "ice", exported[0], 64);
	envelope_export(&alice, "icf", exported[1], 64);
	assert_memory_not_equal(exported[0], exported[1], 64);

	assert_int_equal(envelope_rekey(&alice), -EAGAIN); // Bob may not be there yet
	speak_both_ways();
	seal(&alice, early);
	seal(&bob, late);
	assert_int_equal(envelope_rekey(&alice), 0);
	assert_int_equal(envelope_rekey(&alice), -EAGAIN); // Bob may not have heard of it
	assert_int_equal(bob.phase, 0);
	assert_speak(&alice, &bob); // Bob follows
	assert_int_equal(bob.phase, 1);
	// What was on its way opens, in both directions, once.
	assert_int_equal(open(&bob, early), 0);
	assert_int_equal(open(&bob, early), -EALREADY);
	assert_int_equal(open(&alice, late), 0);
	assert_int_equal(envelope_rekey(&alice), -EAGAIN); // that was no answer
	assert_int_equal(envelope_rekey(&bob), 0);
	assert_int_equal(alice.phase, 1);
	assert_speak(&bob, &alice);
	assert_int_equal(alice.phase, 2);
	speak_both_ways();
	for (unsigned i = 0; i < 600; i++) { // the phase's byte wraps
		assert_int_equal(envelope_rekey(i & 1 ? &alice : &bob), 0);
		speak_both_ways();
	}
	assert_int_equal(alice.phase, 602);
	envelope_export(&alice, "ice", again, 64);
	assert_memory_equal(again, exported[0], 64);
	envelope_export(&bob, "ice", again, 64);
	assert_memory_equal(again, exported[0], 64);
}

static void both_at_once(void **unused)
{
	(void)unused;
	uint8_t from_alice[FRAME], from_bob[FRAME];
	speak_both_ways();
	assert_int_equal(envelope_rekey(&alice), 0);
	assert_int_equal(envelope_rekey(&bob), 0);
	seal(&alice, from_alice);
	seal(&bob, from_bob);
	assert_int_equal(open(&alice, from_bob), 0);
	// Alice is sure of Bob and goes on; her frame of before is still on its way.
	assert_int_equal(envelope_rekey(&alice), 0);
	assert_speak(&alice, &bob);
	assert_int_equal(open(&bob, from_alice), 0);
	assert_int_equal(alice.phase, 2);
	assert_int_equal(bob.phase, 2);
	speak_both_ways();
}

static void old_keys_are_gone(void **unused)
{
	(void)unused;
	uint8_t old[FRAME], older[FRAME], frame[FRAME];
	speak_both_ways();
	seal(&alice, older);
	assert_int_equal(envelope_rekey(&alice), 0);
	speak_both_ways();
	seal(&alice, old);
	assert_int_equal(envelope_rekey(&bob), 0);
	speak_both_ways();
	assert_speak(&bob, &alice);
	speak_both_ways();
	assert_int_equal(bob.phase, 2);
	assert_int_equal(open(&bob, older), -EBADMSG); // two phases
	assert_int_equal(open(&bob, old), 0);

	// The previous key goes as soon as no sequence can be its own.
	uint64_t first = bob.phase_oldest;
	while (alice.send_sequence < first + ENVELOPE_WINDOW - 1)
		seal(&alice, frame);
	assert_int_equal(open(&bob, frame), 0);
	assert_true(bob.previous_kept);
	assert_int_equal(alice.send_sequence, first + ENVELOPE_WINDOW - 1);
	assert_speak(&alice, &bob);
	assert_false(bob.previous_kept);
	assert_true(sodium_is_zero(
		(const uint8_t *)&bob.receive_keys[PREVIOUS], sizeof(bob.receive_keys[PREVIOUS])));
	assert_int_equal(open(&bob, old), -EBADMSG);

	// Nothing of what a session began with is in it after its first step.
	assert_null(memmem(&alice, sizeof(alice), secrets.send, sizeof(secrets.send)));
	assert_null(memmem(&alice, sizeof(alice), secrets.receive, sizeof(secrets.receive)));
}

// Whoever has all of a session now cannot open what was said under the keys before.
static void the_ratchet_is_one_way(void **unused)
{
	(void)unused;
	uint8_t recorded[FRAME];
	struct envelope_session thief;
	speak_both_ways();
	seal(&alice, recorded);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(envelope_rekey(&alice), 0);
		speak_both_ways();
	}
	thief = bob;
	for (unsigned phase = 0; phase < 256; phase++) {
		recorded[1] = (uint8_t)phase;
		assert_int_equal(open(&thief, recorded), -EBADMSG);
	}
	sodium_memzero(&thief, sizeof(thief));
}

static void a_stranger_sets_the_phase(void **unused)
{
	(void)unused;
	uint8_t frame[FRAME];
	speak_both_ways();
	assert_int_equal(envelope_rekey(&alice), 0);
	speak_both_ways();
	seal(&alice, frame);
	struct envelope_session before = bob;
	unsigned tried = 0;
	for (unsigned phase = 0; phase < 256; phase++) {
		if (phase == 1)
			continue;
		frame[1] = (uint8_t)phase;
		tries = expansions = 0;
		assert_int_equal(open(&bob, frame), -EBADMSG);
		assert_in_range(tries, 0, 1);
		assert_int_equal(expansions, 0);
		tried += tries;
	}
	assert_int_equal(tried, 2); // the phases before and after
	assert_true(same(&bob, &before));
	// A sequence far ahead moves no window either.
	frame[1] = 1;
	frame[3] = 0x7F;
	assert_int_equal(open(&bob, frame), -EBADMSG);
	assert_true(same(&bob, &before));
	frame[3] = 0;
	assert_int_equal(open(&bob, frame), 0);
}

static void after_so_many_frames(void **unused)
{
	(void)unused;
	// Nobody has answered: the key goes on.
	alice.send_sequence = ENVELOPE_REKEY_FRAMES + 7;
	assert_speak(&alice, &bob);
	assert_int_equal(alice.phase, 0);
	assert_speak(&bob, &alice);
	assert_speak(&alice, &bob);
	assert_int_equal(alice.phase, 1);
	assert_int_equal(alice.phase_first_sequence, ENVELOPE_REKEY_FRAMES + 8);
	assert_speak(&bob, &alice);
	// Bob followed, and counts his frames from there.
	assert_int_equal(bob.phase_first_sequence, 1);
	alice.send_sequence = 2 * ENVELOPE_REKEY_FRAMES + 7;
	assert_speak(&alice, &bob);
	assert_int_equal(alice.phase, 1);
	assert_speak(&alice, &bob);
	assert_int_equal(alice.phase, 2);
}

static void no_memory(void **unused)
{
	(void)unused;
	struct envelope_session session;
	begin_with(true, true);
	speak_both_ways();
	assert_int_equal(envelope_rekey(&alice), 0);
	gnutls_only = gnutls_fails = true;
	assert_int_equal(envelope_begin(&session, &secrets), -ENOMEM);
	assert_true(sodium_is_zero((const uint8_t *)&session, sizeof(session)));
	// Bob cannot follow now, but still hears.
	assert_speak(&alice, &bob);
	assert_int_equal(bob.phase, 0);
	assert_int_equal(envelope_rekey(&bob), -ENOMEM);
	assert_speak(&bob, &alice);
	gnutls_fails = false;
	speak_both_ways();
	assert_int_equal(bob.phase, 1);
	gnutls_only = false;
}

// ---- anything at all, from a seed ----

static uint64_t chance_state;

static uint32_t chance(uint32_t below)
{
	chance_state = chance_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (uint32_t)(chance_state >> 33) % below;
}

enum { FLIGHT = 40 };

// What is on its way in one direction.
struct way {
	struct envelope_session *from, *to;
	unsigned count;
	struct {
		uint8_t frame[FRAME];
		uint64_t phase, sequence;
	} flying[FLIGHT];
	unsigned opened;
	bool seen[20000];
};

static void deliver(struct way *way)
{
	unsigned n = chance(way->count);
	uint64_t phase = way->flying[n].phase, sequence = way->flying[n].sequence;
	struct envelope_session *to = way->to;
	bool known_phase = phase <= to->phase + 1 && phase + 1 >= to->phase;
	int result = open(to, way->flying[n].frame);
	// The window is longer than anything flies here.
	assert_int_equal(result, !known_phase ? -EBADMSG : way->seen[sequence] ? -EALREADY : 0);
	if (result == 0) {
		way->seen[sequence] = true;
		way->opened++;
		assert_true(to->phase >= phase);
	}
	if (chance(8) != 0) // otherwise it comes again
		way->flying[n] = way->flying[--way->count];
}

static void random_traffic(void **unused)
{
	(void)unused;
	static struct way ways[2];
	for (uint64_t seed = 1; seed <= 30; seed++) {
		begin_with(seed & 1, seed & 2);
		memset(ways, 0, sizeof(ways));
		ways[0].from = ways[1].to = &alice;
		ways[0].to = ways[1].from = &bob;
		chance_state = seed;
		unsigned lost = 0;
		for (unsigned step = 0; step < 20000; step++) {
			struct way *way = &ways[chance(2)];
			uint32_t what = chance(100);
			if (what < 45 && way->count < FLIGHT) {
				way->flying[way->count].sequence = way->from->send_sequence;
				seal(way->from, way->flying[way->count].frame);
				way->flying[way->count++].phase = way->from->phase;
			} else if (what < 85 && way->count > 0) {
				deliver(way);
			} else if (what < 90 && way->count > 0) {
				way->flying[chance(way->count)] = way->flying[way->count - 1];
				way->count--;
				lost++;
			} else if (what < 91) {
				gnutls_only = way->from == &alice ? seed & 1 : seed & 2;
				int result = envelope_rekey(way->from);
				assert_true(result == 0 || result == -EAGAIN);
				gnutls_only = false;
			}
			assert_true(alice.phase <= bob.phase + 1 && bob.phase <= alice.phase + 1);
		}
		assert_true(lost > 100 && ways[0].opened > 2000 && ways[1].opened > 2000);
		assert_in_range(alice.phase, 20, 1000);
		// They always find together again.
		speak_both_ways();
		speak_both_ways();
		assert_int_equal(alice.phase, bob.phase);
	}
}

static int begin_group(void **unused)
{
	(void)unused;
	return sodium_init() < 0;
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(either_library),
		STORY(every_byte_and_every_length),
		STORY(any_size),
		STORY(replays_and_the_window),
		STORY(the_window_jumps),
		STORY(sequences_end),
		STORY(a_new_key),
		STORY(both_at_once),
		STORY(old_keys_are_gone),
		STORY(the_ratchet_is_one_way),
		STORY(a_stranger_sets_the_phase),
		STORY(after_so_many_frames),
		STORY(no_memory),
		STORY(random_traffic),
	};
	return cmocka_run_group_tests(tests, begin_group, NULL);
}
