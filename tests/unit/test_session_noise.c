// SPDX-License-Identifier: BSD-3-Clause
// Noise, its HKDF and AES-256-GCM against what others have published: cacophony's handshakes over
// X25519 and AESGCM for all 59 patterns and three hashes, Wycheproof's HKDF and AES-GCM. Some are
// kept here; all are read where they lie beside the project. AES-GCM is tested with both libraries.
// wrap: crypto_aead_aes256gcm_is_available
#include "endpoint/session/aes256gcm.h"
#include "endpoint/session/hkdf.h"
#include "endpoint/session/noise.h"
#include "tests/vectors/noise.h"

#include <jansson.h>
#include <sodium.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CACOPHONY  "../shared/vectors/noise/cacophony.txt"
#define WYCHEPROOF "../shared/vectors/wycheproof/"

enum { LIBRARIES = 2, TEXT_MAX = 600, MESSAGES = 6 };

// 0: libsodium's AES-GCM, where there is one; 1: GnuTLS's.
static unsigned library;

int __real_crypto_aead_aes256gcm_is_available(void);
int __wrap_crypto_aead_aes256gcm_is_available(void);

int __wrap_crypto_aead_aes256gcm_is_available(void)
{
	return library == 0 && __real_crypto_aead_aes256gcm_is_available();
}

static size_t from_hex(void *out, size_t size, const char *hex)
{
	size_t length;
	assert_non_null(hex);
	assert_int_equal(sodium_hex2bin(out, size, hex, strlen(hex), NULL, &length, NULL), 0);
	return length;
}

// ---- patterns ----

// The specification's, without psk modifiers. Known before: i the initiator's static key, r the
// responder's.
static const struct pattern {
	const char *name, *known, *messages;
} patterns[] = {
	{"N", "r", "e es"},
	{"K", "ir", "e es ss"},
	{"X", "r", "e es s ss"},
	{"NN", "", "e / e ee"},
	{"NK", "r", "e es / e ee"},
	{"NX", "", "e / e ee s es"},
	{"KN", "i", "e / e ee se"},
	{"KK", "ir", "e es ss / e ee se"},
	{"KX", "i", "e / e ee se s es"},
	{"XN", "", "e / e ee / s se"},
	{"XK", "r", "e es / e ee / s se"},
	{"XX", "", "e / e ee s es / s se"},
	{"IN", "", "e s / e ee se"},
	{"IK", "r", "e es s ss / e ee se"},
	{"IX", "", "e s / e ee se s es"},
	{"NK1", "r", "e / e ee es"},
	{"NX1", "", "e / e ee s / es"},
	{"X1N", "", "e / e ee / s / se"},
	{"X1K", "r", "e es / e ee / s / se"},
	{"XK1", "r", "e / e ee es / s se"},
	{"X1K1", "r", "e / e ee es / s / se"},
	{"X1X", "", "e / e ee s es / s / se"},
	{"XX1", "", "e / e ee s / es s se"},
	{"X1X1", "", "e / e ee s / es s / se"},
	{"K1N", "i", "e / e ee / se"},
	{"K1K", "ir", "e es / e ee / se"},
	{"KK1", "ir", "e / e ee se es"},
	{"K1K1", "ir", "e / e ee es / se"},
	{"K1X", "i", "e / e ee s es / se"},
	{"KX1", "i", "e / e ee se s / es"},
	{"K1X1", "i", "e / e ee s / se es"},
	{"I1N", "", "e s / e ee / se"},
	{"I1K", "r", "e es s / e ee / se"},
	{"IK1", "r", "e s / e ee se es"},
	{"I1K1", "r", "e s / e ee es / se"},
	{"I1X", "", "e s / e ee s es / se"},
	{"IX1", "", "e s / e ee se s / es"},
	{"I1X1", "", "e s / e ee s / se es"},
};

static enum noise_token token_of(const char *word)
{
	static const struct {
		const char *word;
		enum noise_token token;
	} words[] = {{"e", NOISE_E}, {"s", NOISE_S}, {"ee", NOISE_EE}, {"es", NOISE_ES},
		{"se", NOISE_SE}, {"ss", NOISE_SS}};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i].word, word) == 0)
			return words[i].token;
	fail_msg("%s is no token", word);
	return NOISE_END;
}

static void append(struct noise_protocol *protocol, unsigned message, uint8_t token, bool first)
{
	uint8_t *tokens = protocol->messages[message];
	size_t count = strlen((const char *)tokens);
	assert_true(message < NOISE_MESSAGES_MAX && count < NOISE_TOKENS_MAX);
	memmove(tokens + first, tokens, first ? count : 0);
	tokens[first ? 0 : count] = token;
}

// The protocol of a whole name. psk0 stands before the first message's tokens, pskN after those of
// message N.
static void protocol_of(struct noise_protocol *protocol, const char *name)
{
	char pattern[8] = "", modifier[8] = "", hash[8] = "", words[64], *rest = words;
	unsigned message = 0;

	memset(protocol, 0, sizeof(*protocol));
	protocol->name = name;
	assert_true(sscanf(name, "Noise_%7[A-Z0-9]%7[a-z0-9]_25519_AESGCM_%7s", pattern, modifier,
			    hash) == 3 ||
		    sscanf(name, "Noise_%7[A-Z0-9]_25519_AESGCM_%7s", pattern, hash) == 2);
	protocol->hash = strcmp(hash, "SHA256") == 0   ? HKDF_SHA256
			 : strcmp(hash, "SHA512") == 0 ? HKDF_SHA512
						       : HKDF_BLAKE2B;
	size_t i = 0;
	while (strcmp(patterns[i].name, pattern) != 0)
		assert_true(++i < sizeof(patterns) / sizeof(patterns[0]));
	protocol->initiator_known = strchr(patterns[i].known, 'i') != NULL;
	protocol->responder_known = strchr(patterns[i].known, 'r') != NULL;
	strcpy(words, patterns[i].messages);
	for (char *word; (word = strtok_r(rest, " ", &rest)) != NULL;) {
		if (strcmp(word, "/") == 0)
			message++;
		else
			append(protocol, message, (uint8_t)token_of(word), false);
	}
	if (strcmp(modifier, "psk0") == 0)
		append(protocol, 0, NOISE_PSK, true);
	else if (modifier[0] != '\0')
		append(protocol, (unsigned)(modifier[3] - '1'), NOISE_PSK, false);
}

// ---- one handshake of cacophony's ----

struct side {
	struct noise_handshake noise;
	struct noise_fresh fresh;
	struct noise_cipher send, receive;
};

static const uint8_t *key_pair(struct noise_key_pair *pair, const char *hex)
{
	if (from_hex(pair->secret, NOISE_KEY_SIZE, hex) == 0)
		return NULL;
	crypto_scalarmult_base(pair->public_key, pair->secret);
	return pair->public_key;
}

static void begin(struct side *initiator, struct side *responder,
	const struct noise_protocol *protocol, const struct noise_vector *v)
{
	struct noise_key_pair own, other;
	uint8_t prologue[32], pre_shared[NOISE_KEY_SIZE];
	struct noise_start start = {.initiator = true, .prologue = prologue};

	memset(initiator, 0, sizeof(*initiator));
	memset(responder, 0, sizeof(*responder));
	start.prologue_size = from_hex(prologue, sizeof(prologue), v->prologue);
	if (from_hex(pre_shared, sizeof(pre_shared), v->pre_shared) > 0)
		start.pre_shared = pre_shared;
	const uint8_t *initiator_public = key_pair(&own, v->initiator_static);
	const uint8_t *responder_public = key_pair(&other, v->responder_static);

	start.own_static = initiator_public == NULL ? NULL : &own;
	start.remote_static = protocol->responder_known ? responder_public : NULL;
	noise_begin(&initiator->noise, protocol, &start);
	start.initiator = false;
	start.own_static = responder_public == NULL ? NULL : &other;
	start.remote_static = protocol->initiator_known ? initiator_public : NULL;
	noise_begin(&responder->noise, protocol, &start);
	from_hex(initiator->fresh.ephemeral, NOISE_KEY_SIZE, v->initiator_ephemeral);
	from_hex(responder->fresh.ephemeral, NOISE_KEY_SIZE, v->responder_ephemeral);
}

static void split(struct side *initiator, struct side *responder)
{
	uint8_t exporters[2][HKDF_HASH_MAX] = {{0}};
	noise_split(&initiator->noise, initiator->send.key, initiator->receive.key, exporters[0]);
	noise_split(&responder->noise, responder->receive.key, responder->send.key, exporters[1]);
	assert_memory_equal(exporters[0], exporters[1], HKDF_HASH_MAX);
	initiator->send.keyed = initiator->receive.keyed = true;
	responder->send.keyed = responder->receive.keyed = true;
}

static void assert_message(
	struct side *from, struct side *to, const char *payload_hex, const char *ciphertext_hex)
{
	uint8_t payload[TEXT_MAX], want[TEXT_MAX], have[TEXT_MAX], back[TEXT_MAX];
	size_t size = from_hex(payload, sizeof(payload), payload_hex);
	size_t sealed = from_hex(want, sizeof(want), ciphertext_hex);
	if (!noise_done(&from->noise)) {
		assert_int_equal(sealed, noise_overhead(&from->noise) + size);
		assert_int_equal(sealed, noise_overhead(&to->noise) + size);
		assert_int_equal(noise_write(&from->noise, &from->fresh, payload, size, have), 0);
		assert_int_equal(noise_read(&to->noise, want, sealed, back), 0);
	} else {
		assert_int_equal(sealed, size + NOISE_TAG_SIZE);
		assert_int_equal(noise_encrypt(&from->send, NULL, 0, payload, size, have), 0);
		assert_int_equal(noise_decrypt(&to->receive, NULL, 0, want, sealed, back), 0);
	}
	assert_memory_equal(have, want, sealed);
	assert_memory_equal(back, payload, size);
}

static void assert_handshake(const struct noise_vector *v)
{
	static struct side initiator, responder;
	struct noise_protocol protocol;
	uint8_t transcript[HKDF_HASH_MAX];

	protocol_of(&protocol, v->name);
	begin(&initiator, &responder, &protocol, v);
	size_t size = from_hex(transcript, sizeof(transcript), v->transcript);
	assert_int_equal(size, hkdf_hash_size(protocol.hash));
	bool one_way = protocol.messages[1][0] == NOISE_END;
	for (unsigned i = 0; i < MESSAGES; i++) {
		bool done = noise_done(&initiator.noise);
		assert_int_equal(done, noise_done(&responder.noise));
		bool forward = one_way || i % 2 == 0;
		assert_message(forward ? &initiator : &responder, forward ? &responder : &initiator,
			v->messages[i].payload, v->messages[i].ciphertext);
		if (!done && noise_done(&initiator.noise)) {
			assert_memory_equal(initiator.noise.transcript, transcript, size);
			assert_memory_equal(responder.noise.transcript, transcript, size);
			split(&initiator, &responder);
		}
	}
	// The last key that a handshake mixes is not that of transport.
	assert_memory_not_equal(initiator.send.key, initiator.noise.cipher.key, NOISE_KEY_SIZE);
}

static void kept_handshakes(void **unused)
{
	(void)unused;
	for (library = 0; library < LIBRARIES; library++)
		for (size_t i = 0; i < sizeof(noise_vectors) / sizeof(noise_vectors[0]); i++)
			assert_handshake(&noise_vectors[i]);
}

static json_t *load(const char *path)
{
	json_t *file = json_load_file(path, 0, NULL);
	if (file == NULL) {
		print_message("%s is not here: only the kept vectors are tested\n", path);
		skip();
	}
	return file;
}

static const char *text(const json_t *object, const char *name)
{
	const char *value = json_string_value(json_object_get(object, name));
	return value == NULL ? "" : value;
}

static void published_handshakes(void **unused)
{
	(void)unused;
	json_t *file = load(CACOPHONY), *one, *message;
	size_t i, m, tested = 0;
	library = 0;
	json_array_foreach(json_object_get(file, "vectors"), i, one)
	{
		const char *name = text(one, "protocol_name");
		if (strstr(name, "_25519_AESGCM_") == NULL || strstr(name, "BLAKE2s") != NULL)
			continue;
		struct noise_vector v = {name, text(one, "init_prologue"),
			json_string_value(json_array_get(json_object_get(one, "init_psks"), 0)),
			text(one, "init_static"), text(one, "init_ephemeral"),
			text(one, "resp_static"), text(one, "resp_ephemeral"),
			text(one, "handshake_hash"), {{NULL, NULL}}};
		if (v.pre_shared == NULL)
			v.pre_shared = "";
		assert_int_equal(json_array_size(json_object_get(one, "messages")), MESSAGES);
		json_array_foreach(json_object_get(one, "messages"), m, message)
		{
			v.messages[m].payload = text(message, "payload");
			v.messages[m].ciphertext = text(message, "ciphertext");
		}
		assert_handshake(&v);
		tested++;
	}
	json_decref(file);
	assert_int_equal(tested, 3 * 59);
}

// ---- the parts ----

// RFC 5869, appendix A.1 and A.3, and RFC 4231's case 6 through HKDF-Extract: a key longer than a
// block.
static void kept_hkdf(void **unused)
{
	(void)unused;
	uint8_t input[22], salt[13], info[10], long_key[131], key[64], have[42], want[64];
	memset(input, 0x0b, sizeof(input));
	memset(long_key, 0xaa, sizeof(long_key));
	for (uint8_t i = 0; i < sizeof(salt); i++)
		salt[i] = i;
	for (uint8_t i = 0; i < sizeof(info); i++)
		info[i] = (uint8_t)(0xf0 + i);
	hkdf_extract(HKDF_SHA256, salt, sizeof(salt), input, sizeof(input), key);
	hkdf_expand(HKDF_SHA256, key, 32, info, sizeof(info), have, sizeof(have));
	from_hex(want, sizeof(want),
		"3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887"
		"185865");
	assert_memory_equal(have, want, sizeof(have));
	hkdf_extract(HKDF_SHA256, NULL, 0, input, sizeof(input), key);
	hkdf_expand(HKDF_SHA256, key, 32, NULL, 0, have, sizeof(have));
	from_hex(want, sizeof(want),
		"8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b6"
		"1a96c8");
	assert_memory_equal(have, want, sizeof(have));
	static const char larger[] = "Test Using Larger Than Block-Size Key - Hash Key First";
	hkdf_extract(HKDF_SHA512, long_key, sizeof(long_key), larger, sizeof(larger) - 1, key);
	from_hex(want, sizeof(want),
		"80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
		"6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598");
	assert_memory_equal(key, want, 64);
}

static void published_hkdf(void **unused)
{
	(void)unused;
	static uint8_t input[512], salt[512], info[512], want[8200], have[8200];
	json_t *file = load(WYCHEPROOF "hkdf_sha256_test.json"), *group, *one;
	size_t g, i, tested = 0;
	json_array_foreach(json_object_get(file, "testGroups"), g, group)
	{
		json_array_foreach(json_object_get(group, "tests"), i, one)
		{
			size_t size = (size_t)json_integer_value(json_object_get(one, "size"));
			if (strcmp(text(one, "result"), "valid") != 0)
				continue; // longer than 255 hashes, which is our own mistake
			uint8_t key[32];
			size_t input_size = from_hex(input, sizeof(input), text(one, "ikm"));
			size_t salt_size = from_hex(salt, sizeof(salt), text(one, "salt"));
			size_t info_size = from_hex(info, sizeof(info), text(one, "info"));
			assert_int_equal(from_hex(want, sizeof(want), text(one, "okm")), size);
			hkdf_extract(HKDF_SHA256, salt, salt_size, input, input_size, key);
			hkdf_expand(HKDF_SHA256, key, sizeof(key), info, info_size, have, size);
			assert_memory_equal(have, want, size);
			tested++;
		}
	}
	json_decref(file);
	assert_in_range(tested, 60, 1000);
}

static void assert_gcm(const char *key_hex, const char *nonce_hex, const char *aad_hex,
	const char *message_hex, const char *sealed_hex, bool valid)
{
	uint8_t key[32], nonce[12], aad[1024], message[1024], sealed[1024], have[1024];
	struct aes256gcm cipher;
	assert_int_equal(from_hex(key, sizeof(key), key_hex), 32);
	assert_int_equal(from_hex(nonce, sizeof(nonce), nonce_hex), 12);
	size_t aad_size = from_hex(aad, sizeof(aad), aad_hex);
	size_t size = from_hex(message, sizeof(message), message_hex);
	size_t sealed_size = from_hex(sealed, sizeof(sealed), sealed_hex);
	assert_int_equal(sealed_size, size + AES256GCM_TAG_SIZE);
	assert_int_equal(aes256gcm_begin(&cipher, key), 0);
	assert_int_equal(cipher.handle != NULL,
		library == 1 || !__real_crypto_aead_aes256gcm_is_available());
	memset(have, 0xAA, sizeof(have));
	int result = aes256gcm_open(&cipher, nonce, aad, aad_size, sealed, sealed_size, have);
	assert_int_equal(result, valid ? 0 : -EBADMSG);
	if (valid)
		assert_memory_equal(have, message, size);
	else
		assert_true(sodium_is_zero(have, size));
	assert_int_equal(have[size], 0xAA);
	aes256gcm_seal(&cipher, nonce, aad, aad_size, message, size, have);
	assert_int_equal(memcmp(have, sealed, sealed_size) == 0, valid);
	// The same key serves for many, also after a failure.
	sealed[0] ^= 1;
	assert_int_equal(
		aes256gcm_open(&cipher, nonce, aad, aad_size, sealed, sealed_size, have), -EBADMSG);
	sealed[0] ^= 1;
	assert_int_equal(
		aes256gcm_open(&cipher, nonce, aad, aad_size, sealed, sealed_size, have), result);
	aes256gcm_end(&cipher);
	assert_true(sodium_is_zero((const uint8_t *)&cipher, sizeof(cipher)));
	aes256gcm_end(&cipher);
}

// Test case 16 of the GCM specification, and 13: nothing at all.
static void kept_gcm(void **unused)
{
	(void)unused;
	for (library = 0; library < LIBRARIES; library++) {
		assert_gcm("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
			"cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
			"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
			"1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
			"522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
			"8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
			"76fc6ece0f4e1768cddf8853bb2d551b",
			true);
		assert_gcm("0000000000000000000000000000000000000000000000000000000000000000",
			"000000000000000000000000", "", "", "530f8afbc74536b9a963b4f1c4cb738b",
			true);
	}
}

static void published_gcm(void **unused)
{
	(void)unused;
	json_t *file = load(WYCHEPROOF "aes_gcm_test.json"), *group, *one;
	size_t g, i, tested = 0;
	json_array_foreach(json_object_get(file, "testGroups"), g, group)
	{
		if (json_integer_value(json_object_get(group, "keySize")) != 256 ||
			json_integer_value(json_object_get(group, "ivSize")) != 96 ||
			json_integer_value(json_object_get(group, "tagSize")) != 128)
			continue;
		json_array_foreach(json_object_get(group, "tests"), i, one)
		{
			char sealed[2 * 1024 + 1];
			snprintf(sealed, sizeof(sealed), "%s%s", text(one, "ct"), text(one, "tag"));
			for (library = 0; library < LIBRARIES; library++)
				assert_gcm(text(one, "key"), text(one, "iv"), text(one, "aad"),
					text(one, "msg"), sealed,
					strcmp(text(one, "result"), "valid") == 0);
			tested++;
		}
	}
	json_decref(file);
	assert_int_equal(tested, 66);
}

static void a_cipher_that_is_used_up(void **unused)
{
	(void)unused;
	struct noise_cipher cipher = {.keyed = true, .nonce = UINT64_MAX - 1};
	uint8_t sealed[NOISE_TAG_SIZE + 1], opened[1];
	struct noise_cipher other = cipher;
	library = 0;
	assert_int_equal(noise_encrypt(&cipher, NULL, 0, "x", 1, sealed), 0);
	assert_int_equal(noise_encrypt(&cipher, NULL, 0, "x", 1, sealed), -EOVERFLOW);
	sealed[0] ^= 1;
	assert_int_equal(noise_decrypt(&other, NULL, 0, sealed, sizeof(sealed), opened), -EBADMSG);
	sealed[0] ^= 1;
	assert_int_equal(noise_decrypt(&other, NULL, 0, sealed, sizeof(sealed), opened), 0);
	assert_int_equal(
		noise_decrypt(&other, NULL, 0, sealed, sizeof(sealed), opened), -EOVERFLOW);
}

static int begin_group(void **unused)
{
	(void)unused;
	return sodium_init() < 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kept_hkdf),
		cmocka_unit_test(published_hkdf),
		cmocka_unit_test(kept_gcm),
		cmocka_unit_test(published_gcm),
		cmocka_unit_test(kept_handshakes),
		cmocka_unit_test(published_handshakes),
		cmocka_unit_test(a_cipher_that_is_used_up),
	};
	return cmocka_run_group_tests(tests, begin_group, NULL);
}
