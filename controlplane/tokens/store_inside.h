// SPDX-License-Identifier: BSD-3-Clause
// What the files of the store share. Private to them.
#pragma once

#include "controlplane/tokens/store.h"

#include <assert.h>
#include <lmdb.h>

enum { TOKEN_STORE_FORMAT = 1 };

struct token_record {
	uint8_t format, state, slot, zero[5];
	uint64_t created_s, issued;
	uint8_t secret[TOKEN_STORE_SECRET_SIZE];
};
static_assert(sizeof(struct token_record) == 56, "on disk");

struct token_spending {
	uint8_t mark[TOKEN_STORE_MARK_SIZE];
	uint32_t times; // told done, less those returned
};
static_assert(sizeof(struct token_spending) == 16, "on disk");

struct token_store {
	MDB_env *env;
	MDB_txn *reading; // reset, but for the moment of a look
	MDB_dbi keys, spent[TOKEN_STORE_KEYS_MAX];
	uint64_t spent_max;
	int folder; // descriptor, which holds the lock
};

// A negative errno of an error of LMDB's.
int token_store_error(int rc);
MDB_val token_store_tag_key(const uint8_t tag[static TOKEN_STORE_TAG_SIZE]);
// 0, -ENOENT, or another negative errno.
int token_store_lookup(MDB_txn *txn, MDB_dbi dbi, const uint8_t tag[static TOKEN_STORE_TAG_SIZE],
	struct token_spending *out);
uint64_t token_store_entries(MDB_txn *txn, MDB_dbi dbi);
