// SPDX-License-Identifier: BSD-3-Clause
// Token keys, macs, and a token as a TURN user; see token.h.
#include "lib/wire/token.h"

#include "lib/crypto/blake3.h"
#include "lib/wire/base64.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

enum { NAME_SIZE = 4 + TOKEN_NONCE_SIZE };

static const char prefix[2] = {'t', '.'};

static void derive(void *out, size_t out_size, const char *context, const void *data, size_t size)
{
	struct blake3 state;
	blake3_begin_derive(&state, context, strlen(context));
	blake3_add(&state, data, size);
	blake3_finish(&state, out, out_size);
	blake3_wipe(&state);
}

uint32_t token_key_id(const uint8_t public_key[static VOPRF_ELEMENT_SIZE])
{
	uint8_t id[4];
	derive(id, sizeof(id), "Blindrelay 2026-11 token key id", public_key, VOPRF_ELEMENT_SIZE);
	return (uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | id[3];
}

void token_key(uint8_t key[static TOKEN_KEY_SIZE], const struct voprf_output *output)
{
	derive(key, TOKEN_KEY_SIZE, "Blindrelay 2026-11 token", output->bytes,
		sizeof(output->bytes));
}

void token_mac(uint8_t mac[static TOKEN_MAC_SIZE], const uint8_t key[static TOKEN_KEY_SIZE],
	const void *covered, size_t size)
{
	struct blake3 state;
	blake3_begin_keyed(&state, key);
	blake3_add(&state, covered, size);
	blake3_finish(&state, mac, TOKEN_MAC_SIZE);
	blake3_wipe(&state);
}

void token_username(char name[static TOKEN_USERNAME_LENGTH + 1], uint32_t key_id,
	const uint8_t nonce[static TOKEN_NONCE_SIZE])
{
	uint8_t bytes[NAME_SIZE] = {(uint8_t)(key_id >> 24), (uint8_t)(key_id >> 16),
		(uint8_t)(key_id >> 8), (uint8_t)key_id};
	memcpy(bytes + 4, nonce, TOKEN_NONCE_SIZE);
	memcpy(name, prefix, sizeof(prefix));
	sodium_bin2base64(name + sizeof(prefix), TOKEN_USERNAME_LENGTH + 1 - sizeof(prefix), bytes,
		sizeof(bytes), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

void token_password(
	char password[static TOKEN_PASSWORD_LENGTH + 1], const uint8_t key[static TOKEN_KEY_SIZE])
{
	sodium_bin2base64(password, TOKEN_PASSWORD_LENGTH + 1, key, TOKEN_KEY_SIZE,
		sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

int token_username_parse(
	const char *name, size_t length, uint32_t *key_id, uint8_t nonce[static TOKEN_NONCE_SIZE])
{
	uint8_t bytes[NAME_SIZE];
	size_t size;
	if (length != TOKEN_USERNAME_LENGTH || memcmp(name, prefix, sizeof(prefix)) != 0 ||
		!base64_decode(name + sizeof(prefix), length - sizeof(prefix),
			sodium_base64_VARIANT_URLSAFE_NO_PADDING, bytes, sizeof(bytes), &size) ||
		size != sizeof(bytes))
		return -EBADMSG;
	*key_id = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
		  bytes[3];
	memcpy(nonce, bytes + 4, TOKEN_NONCE_SIZE);
	return 0;
}
