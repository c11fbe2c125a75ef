// SPDX-License-Identifier: BSD-3-Clause
// What keeps users by token from being a sink of CPU time. The key of such a user is a VOPRF
// evaluation away (60 us, fifty times a static user's), and anybody who has a nonce of ours can
// name new tokens as fast as they send. So keys of users that are about are kept, and evaluations
// are rationed: in all, and for a source prefix an eighth of that, with a ration apart for users
// whose allocation lives. Who gets none now is dropped, and repeats the request. One thread.
#pragma once

#include "controlplane/turn/quota.h"
#include "lib/wire/token.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	TOKEN_KEYS_KEPT = 1024,       // a newer one takes the place of an older one
	TOKEN_KEYS_RATION = 4000,     // evaluations a second: a quarter of a core
	TOKEN_KEYS_OWN_RATION = 8000, // for users whose allocation lives
	TOKEN_KEYS_PREFIX_RATION = TOKEN_KEYS_RATION / 8,
};

struct token_keys_entry;

struct token_keys {
	struct token_keys_entry *entries; // locked with everything else; wiped at the end
	uint8_t hash_key[16];
	uint64_t second; // of the rations
	uint32_t left, own_left;
	struct quota by_prefix; // this second's
};

// 0 or -ENOMEM.
int token_keys_init(struct token_keys *keys);
void token_keys_free(struct token_keys *keys);

// True and the key, when it is kept.
bool token_keys_find(const struct token_keys *keys, uint32_t key_id,
	const uint8_t nonce[static TOKEN_NONCE_SIZE], uint8_t key[static TOKEN_KEY_SIZE]);
// Only keys that were proven to be a user's: others would push them out.
void token_keys_keep(struct token_keys *keys, uint32_t key_id,
	const uint8_t nonce[static TOKEN_NONCE_SIZE], const uint8_t key[static TOKEN_KEY_SIZE]);

// Whether an evaluation may be made now; it is counted then. own: for the user of the allocation
// that the request came over.
bool token_keys_ration(struct token_keys *keys, bool own, uint64_t prefix_tag, uint64_t now_ms);
