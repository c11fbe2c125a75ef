// SPDX-License-Identifier: BSD-3-Clause
// What must outlive the program of tokens, in LMDB: the issuer's keys, and for each key that
// accepts a keyed hash of every nonce that was spent. Nothing of a client, no time, no order.
//
// Files: <state>/tokens/ (mode 0700) with data.mdb and lock.mdb (0600), opened once, so that a
// process that may open nothing for writing any more goes on using them; locked, so that one
// process has them. A commit is on disk (fdatasync) when it returns, and a crash at any instant
// leaves the one before it or the one after it. The file is bounded: see spent_max.
//
// Threads: reading (keys, find, usage) belongs to the thread that opened it. token_store_commit may
// run on any thread beside it; commits of several threads wait for each other. close: alone.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	TOKEN_STORE_KEYS_MAX = 8, // of all states
	TOKEN_STORE_SECRET_SIZE = 32,
	TOKEN_STORE_TAG_SIZE = 16,  // a nonce, hashed under a key of the token key's own
	TOKEN_STORE_MARK_SIZE = 12, // tells what was bought from anything else that could be
	TOKEN_STORE_ERROR_SIZE = 512,
};

enum token_key_state {
	TOKEN_KEY_ISSUING = 1, // and accepting; one key
	TOKEN_KEY_ACCEPTING,
	TOKEN_KEY_RETIRED, // serves what was bought with it before; its spent set is gone
};

struct token_store_key {
	uint32_t id;
	uint8_t state; // enum token_key_state
	uint8_t slot;  // of its spent set
	uint8_t secret[TOKEN_STORE_SECRET_SIZE];
	uint64_t created_s; // UNIX time
	uint64_t issued;    // tokens
};

enum token_store_kind {
	TOKEN_STORE_SPEND,
	TOKEN_STORE_RETURN,
	TOKEN_STORE_ISSUED,     // key_id, count
	TOKEN_STORE_KEY_ADD,    // key
	TOKEN_STORE_KEY_STATE,  // key_id, state; retired: its spent set is emptied
	TOKEN_STORE_KEY_REMOVE, // key_id; its spent set as well
};

struct token_store_change {
	enum token_store_kind kind;
	uint32_t key_id;
	// SPEND and RETURN
	uint8_t tag[TOKEN_STORE_TAG_SIZE];
	uint8_t mark[TOKEN_STORE_MARK_SIZE];
	// Out, of SPEND: 0; -EALREADY: spent for something else; -ESTALE: its key accepts no more;
	// -ENOSPC: spent_max is reached. Others: 0.
	int result;
	uint8_t state;
	uint32_t count;
	const struct token_store_key *key; // borrowed until the commit is over
};

struct token_store;

// state: the folder in which tokens/ is, made when it is missing. spent_max: how many spent tokens
// are remembered, over all keys. 0 and *out, or a negative errno and one line in error that says
// what is wrong and what to do.
int token_store_open(const char *state, uint64_t spent_max, struct token_store **out,
	char error[static TOKEN_STORE_ERROR_SIZE]);
// NULL is fine.
void token_store_close(struct token_store *store);

// All keys, oldest first, with secrets (the caller wipes out); their number, or a negative errno.
int token_store_keys(
	struct token_store *store, struct token_store_key out[static TOKEN_STORE_KEYS_MAX]);

// 0: spent, and *same says whether for what the mark tells; -ENOENT: not spent; another negative
// errno.
int token_store_find(struct token_store *store, unsigned slot,
	const uint8_t tag[static TOKEN_STORE_TAG_SIZE],
	const uint8_t mark[static TOKEN_STORE_MARK_SIZE], bool *same);

// Spent tokens in a slot; 0 too when that cannot be read.
uint64_t token_store_spent(struct token_store *store, unsigned slot);

// All changes in this order, or none: 0 when they are on disk; -ENOSPC the disk is full (nothing
// has changed, it may be tried again); -ENOENT, -EEXIST a key is not there, or is; any other
// negative errno means that the disk cannot be trusted until the store was opened again.
int token_store_commit(struct token_store *store, struct token_store_change *changes, size_t count);
