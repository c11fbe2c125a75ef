// SPDX-License-Identifier: BSD-3-Clause
// Kept keys and rations; see token_keys.h.
#include "controlplane/turn/token_keys.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct token_keys_entry {
	uint8_t name[16]; // keyed hash of key id and nonce; the place is part of it
	uint8_t key[TOKEN_KEY_SIZE];
	bool used;
};

int token_keys_init(struct token_keys *keys)
{
	*keys = (struct token_keys){0};
	quota_init(&keys->by_prefix, TOKEN_KEYS_PREFIX_RATION);
	randombytes_buf(keys->hash_key, sizeof(keys->hash_key));
	keys->entries = calloc(TOKEN_KEYS_KEPT, sizeof(*keys->entries));
	return keys->entries != NULL ? 0 : -ENOMEM;
}

void token_keys_free(struct token_keys *keys)
{
	if (keys->entries != NULL)
		sodium_memzero(keys->entries, TOKEN_KEYS_KEPT * sizeof(*keys->entries));
	free(keys->entries);
	quota_free(&keys->by_prefix);
	sodium_memzero(keys, sizeof(*keys));
}

static struct token_keys_entry *place(const struct token_keys *keys, uint32_t key_id,
	const uint8_t nonce[static TOKEN_NONCE_SIZE], uint8_t name[static 16])
{
	uint8_t input[4 + TOKEN_NONCE_SIZE];
	uint32_t index;
	memcpy(input, &key_id, 4);
	memcpy(input + 4, nonce, TOKEN_NONCE_SIZE);
	crypto_shorthash_siphashx24(name, input, sizeof(input), keys->hash_key);
	memcpy(&index, name, sizeof(index));
	return &keys->entries[index % TOKEN_KEYS_KEPT];
}

bool token_keys_find(const struct token_keys *keys, uint32_t key_id,
	const uint8_t nonce[static TOKEN_NONCE_SIZE], uint8_t key[static TOKEN_KEY_SIZE])
{
	uint8_t name[16];
	const struct token_keys_entry *entry = place(keys, key_id, nonce, name);
	if (!entry->used || sodium_memcmp(entry->name, name, sizeof(name)) != 0)
		return false;
	memcpy(key, entry->key, sizeof(entry->key));
	return true;
}

void token_keys_keep(struct token_keys *keys, uint32_t key_id,
	const uint8_t nonce[static TOKEN_NONCE_SIZE], const uint8_t key[static TOKEN_KEY_SIZE])
{
	uint8_t name[16];
	struct token_keys_entry *entry = place(keys, key_id, nonce, name);
	memcpy(entry->name, name, sizeof(name));
	memcpy(entry->key, key, sizeof(entry->key));
	entry->used = true;
}

bool token_keys_ration(struct token_keys *keys, bool own, uint64_t prefix_tag, uint64_t now_ms)
{
	uint64_t second = now_ms / 1000 + 1; // 0: never
	if (second != keys->second) {
		keys->second = second;
		keys->left = TOKEN_KEYS_RATION;
		keys->own_left = TOKEN_KEYS_OWN_RATION;
		quota_clear(&keys->by_prefix);
	}
	if (own) {
		if (keys->own_left == 0)
			return false;
		keys->own_left--;
		return true;
	}
	if (keys->left == 0 || !quota_allows(&keys->by_prefix, prefix_tag, 1) ||
		!quota_take(&keys->by_prefix, prefix_tag))
		return false;
	keys->left--;
	return true;
}
