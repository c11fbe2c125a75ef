// SPDX-License-Identifier: BSD-3-Clause
// Making and checking of stateless nonces; see nonce.h for the form.
#include "controlplane/turn/nonce.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum {
	COOKIE_WORD_LENGTH = 9, // "obMatJos2"
	FEATURES_LENGTH = 4,
	MINUTE_LENGTH = 3,
	HASH_LENGTH = 16,      // characters
	HASH_BYTES = 12,       // 96 bits
	MINUTE_MASK = 0x3FFFF, // 3 base64 digits; wraps after half a year, keys live two hours
	LIFETIME_MINUTES = NONCE_LIFETIME_MS / 60000,
};
static_assert(COOKIE_WORD_LENGTH + FEATURES_LENGTH == NONCE_COOKIE_LENGTH, "RFC 8489 9.2");
static_assert(NONCE_COOKIE_LENGTH + MINUTE_LENGTH + HASH_LENGTH == NONCE_LENGTH, "form");

static const char cookie_word[] = "obMatJos2";

static char digit(uint32_t value)
{
	return "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[value & 63];
}

static int digit_value(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static void write_digits(char *out, uint32_t value, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		out[i] = digit(value >> (6 * (count - 1 - i)));
}

static bool read_digits(const uint8_t *text, unsigned count, uint32_t *value)
{
	*value = 0;
	for (unsigned i = 0; i < count; i++) {
		int v = digit_value(text[i]);
		if (v < 0)
			return false;
		*value = *value << 6 | (uint32_t)v;
	}
	return true;
}

void nonce_keys_init(struct nonce_keys *keys)
{
	randombytes_buf(keys->key, sizeof(keys->key));
	keys->made_ms = 0;
	keys->started = false;
}

void nonce_keys_wipe(struct nonce_keys *keys)
{
	sodium_memzero(keys, sizeof(*keys));
}

void nonce_keys_advance(struct nonce_keys *keys, uint64_t now_ms)
{
	if (!keys->started) {
		keys->started = true;
		keys->made_ms = now_ms;
		return;
	}
	if (now_ms < keys->made_ms || now_ms - keys->made_ms < NONCE_LIFETIME_MS)
		return;
	// After a pause of two periods nothing signed by the present key can be valid either.
	if (now_ms - keys->made_ms >= 2 * (uint64_t)NONCE_LIFETIME_MS)
		randombytes_buf(keys->key[1], sizeof(keys->key[1]));
	else
		memcpy(keys->key[1], keys->key[0], sizeof(keys->key[1]));
	randombytes_buf(keys->key[0], sizeof(keys->key[0]));
	keys->made_ms = now_ms;
}

// text: the nonce's first characters, cookie and minute.
static void sign(const uint8_t key[static 32], const void *text, const struct net_endpoint *client,
	const struct net_endpoint *server, char out[static HASH_LENGTH])
{
	struct {
		uint8_t text[NONCE_COOKIE_LENGTH + MINUTE_LENGTH];
		struct net_endpoint client, server;
	} input;
	static_assert(sizeof(input) == 16 + 2 * sizeof(struct net_endpoint), "no padding to hash");
	uint8_t hash[crypto_generichash_BYTES_MIN];
	memset(&input, 0, sizeof(input));
	memcpy(input.text, text, sizeof(input.text));
	// Member by member: reserved bytes of what came over the socket must not count.
	memcpy(input.client.address.bytes, client->address.bytes, 16);
	input.client.address.family = client->address.family;
	input.client.port = client->port;
	memcpy(input.server.address.bytes, server->address.bytes, 16);
	input.server.address.family = server->address.family;
	input.server.port = server->port;
	crypto_generichash(hash, sizeof(hash), (const uint8_t *)&input, sizeof(input), key, 32);
	for (unsigned i = 0; i < HASH_BYTES; i += 3)
		write_digits(out + i / 3 * 4,
			(uint32_t)hash[i] << 16 | (uint32_t)hash[i + 1] << 8 | hash[i + 2], 4);
	sodium_memzero(&input, sizeof(input));
	sodium_memzero(hash, sizeof(hash));
}

static uint32_t minute_of(uint64_t now_ms)
{
	return (uint32_t)(now_ms / 60000) & MINUTE_MASK;
}

void nonce_make(const struct nonce_keys *keys, uint32_t features, const struct net_endpoint *client,
	const struct net_endpoint *server, uint64_t now_ms, char out[static NONCE_LENGTH])
{
	memcpy(out, cookie_word, COOKIE_WORD_LENGTH);
	write_digits(out + COOKIE_WORD_LENGTH, features, FEATURES_LENGTH);
	write_digits(out + NONCE_COOKIE_LENGTH, minute_of(now_ms), MINUTE_LENGTH);
	sign(keys->key[0], out, client, server, out + NONCE_COOKIE_LENGTH + MINUTE_LENGTH);
}

bool nonce_valid(const struct nonce_keys *keys, const uint8_t *nonce, size_t length,
	const struct net_endpoint *client, const struct net_endpoint *server, uint64_t now_ms)
{
	uint32_t minute;
	if (length != NONCE_LENGTH || memcmp(nonce, cookie_word, COOKIE_WORD_LENGTH) != 0 ||
		!read_digits(nonce + NONCE_COOKIE_LENGTH, MINUTE_LENGTH, &minute))
		return false;
	// Strictly less, since the minute is the one it was made in: never older than the lifetime.
	if (((minute_of(now_ms) - minute) & MINUTE_MASK) >= LIFETIME_MINUTES)
		return false;
	bool valid = false;
	// Which key signed is no secret: it follows from the minute.
	for (unsigned i = 0; i < 2 && !valid; i++) {
		char expected[HASH_LENGTH];
		sign(keys->key[i], nonce, client, server, expected);
		if (sodium_memcmp(expected, nonce + NONCE_COOKIE_LENGTH + MINUTE_LENGTH,
			    HASH_LENGTH) == 0)
			valid = true;
		sodium_memzero(expected, sizeof(expected));
	}
	return valid;
}

uint32_t nonce_features(const uint8_t *nonce, size_t length)
{
	uint32_t features;
	if (length < NONCE_COOKIE_LENGTH || memcmp(nonce, cookie_word, COOKIE_WORD_LENGTH) != 0 ||
		!read_digits(nonce + COOKIE_WORD_LENGTH, FEATURES_LENGTH, &features))
		return 0;
	return features;
}
