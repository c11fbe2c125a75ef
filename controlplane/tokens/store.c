// SPDX-License-Identifier: BSD-3-Clause
// Opening and reading the store of store.h. Databases in the environment: "keys" (id -> struct
// token_record) and one of spent tokens for each slot (tag -> struct spending), so that a key's
// spent set goes in one step (mdb_drop), whatever its size. All of them are opened with the
// environment: handles may not be made while another thread writes.
//
// LMDB writes by pwrite and maps the file read-only, so no stray pointer reaches the file and a
// full disk is an error, not a signal. It needs free pages even to delete; spent_max is below what
// the map holds, so there always are some.
#include "controlplane/tokens/store_inside.h"

#include "controlplane/tokens/store_files.h"

#include <errno.h>
#include <lmdb.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	// A spent token takes 42 bytes of a page that is two thirds full, and the pages above; what
	// a commit replaces is free only after the next ones.
	BYTES_EACH = 128,
	BYTES_MORE = 192 << 20,
};

// LMDB's own codes lie below -30000, the system's are positive.
int token_store_error(int rc)
{
	if (rc == MDB_MAP_FULL || rc == ENOSPC || rc == EDQUOT)
		return -ENOSPC;
	if (rc == MDB_NOTFOUND)
		return -ENOENT;
	if (rc == MDB_KEYEXIST)
		return -EEXIST;
	return rc > 0 ? -rc : rc < 0 ? -EIO : 0;
}

MDB_val token_store_tag_key(const uint8_t tag[static TOKEN_STORE_TAG_SIZE])
{
	return (MDB_val){TOKEN_STORE_TAG_SIZE, (void *)(uintptr_t)tag};
}

int token_store_lookup(MDB_txn *txn, MDB_dbi dbi, const uint8_t tag[static TOKEN_STORE_TAG_SIZE],
	struct token_spending *out)
{
	MDB_val key = token_store_tag_key(tag), value;
	int rc = mdb_get(txn, dbi, &key, &value);
	if (rc != 0)
		return token_store_error(rc);
	if (value.mv_size != sizeof(*out))
		return -EPROTO;
	memcpy(out, value.mv_data, sizeof(*out));
	return 0;
}

uint64_t token_store_entries(MDB_txn *txn, MDB_dbi dbi)
{
	MDB_stat stat;
	return mdb_stat(txn, dbi, &stat) == 0 ? stat.ms_entries : 0;
}

// ---- opening ----

static int open_databases(struct token_store *store, MDB_txn *txn)
{
	int rc = mdb_dbi_open(txn, "keys", MDB_CREATE, &store->keys);
	for (unsigned slot = 0; rc == 0 && slot < TOKEN_STORE_KEYS_MAX; slot++) {
		char name[16];
		snprintf(name, sizeof(name), "spent%u", slot);
		rc = mdb_dbi_open(txn, name, MDB_CREATE, &store->spent[slot]);
	}
	return token_store_error(rc);
}

static int open_environment(struct token_store *store, const char *folder)
{
	size_t size = (size_t)store->spent_max * BYTES_EACH + BYTES_MORE;
	MDB_txn *txn;
	int rc = mdb_env_create(&store->env);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(store->env, 1 + TOKEN_STORE_KEYS_MAX);
	if (rc == 0)
		rc = mdb_env_set_mapsize(store->env, size & ~(size_t)0xFFFF);
	if (rc == 0)
		rc = mdb_env_open(store->env, folder, MDB_NOTLS | MDB_NORDAHEAD, 0600);
	if (rc == 0)
		rc = mdb_txn_begin(store->env, NULL, 0, &txn);
	if (rc != 0)
		return token_store_error(rc);
	rc = open_databases(store, txn);
	if (rc != 0) {
		mdb_txn_abort(txn);
		return rc;
	}
	rc = mdb_txn_commit(txn);
	if (rc == 0)
		rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &store->reading);
	if (rc == 0)
		mdb_txn_reset(store->reading);
	return token_store_error(rc);
}

int token_store_open(const char *state, uint64_t spent_max, struct token_store **out,
	char error[static TOKEN_STORE_ERROR_SIZE])
{
	char folder[TOKEN_STORE_PATH_SIZE];
	struct token_store *store = calloc(1, sizeof(*store));
	if (store == NULL) {
		snprintf(error, TOKEN_STORE_ERROR_SIZE, "out of memory");
		return -ENOMEM;
	}
	store->spent_max = spent_max;
	store->folder = -1;
	int rc = token_store_folder(state, folder, &store->folder, error);
	if (rc == 0) {
		rc = open_environment(store, folder);
		struct token_store_key keys[TOKEN_STORE_KEYS_MAX];
		if (rc == 0) {
			rc = token_store_keys(store, keys);
			sodium_memzero(keys, sizeof(keys));
		}
		if (rc == -ENOSPC)
			snprintf(error, TOKEN_STORE_ERROR_SIZE,
				"%s: no room on the disk for the store of tokens: make some",
				folder);
		else if (rc < 0)
			snprintf(error, TOKEN_STORE_ERROR_SIZE,
				"%s: the store of tokens cannot be opened: %s", folder,
				rc == -EPROTO || rc == -EIO ? "it is damaged, or of another version"
							    : strerror(-rc));
	}
	// The names of new files, too, must outlive a crash.
	if (rc >= 0)
		rc = token_store_folder_sync(store->folder, folder, error);
	if (rc < 0) {
		token_store_close(store);
		return rc;
	}
	*out = store;
	return 0;
}

void token_store_close(struct token_store *store)
{
	if (store == NULL)
		return;
	if (store->reading != NULL)
		mdb_txn_abort(store->reading);
	if (store->env != NULL)
		mdb_env_close(store->env);
	token_store_folder_leave(store->folder);
	free(store);
}

// ---- reading ----

static int by_age(const void *a, const void *b)
{
	const struct token_store_key *left = a, *right = b;
	if (left->created_s != right->created_s)
		return left->created_s < right->created_s ? -1 : 1;
	// Made within a second: the one that went further in its life is older.
	return (int)right->state - (int)left->state;
}

static int read_keys(MDB_cursor *cursor, struct token_store_key *out)
{
	MDB_val key, value;
	struct token_record record;
	int count = 0, rc;
	while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
		if (key.mv_size != sizeof(out->id) || value.mv_size != sizeof(record) ||
			count == TOKEN_STORE_KEYS_MAX)
			return -EPROTO;
		memcpy(&record, value.mv_data, sizeof(record));
		if (record.format != TOKEN_STORE_FORMAT || record.slot >= TOKEN_STORE_KEYS_MAX ||
			record.state < TOKEN_KEY_ISSUING || record.state > TOKEN_KEY_RETIRED)
			return -EPROTO;
		struct token_store_key *item = &out[count++];
		*item = (struct token_store_key){.state = record.state,
			.slot = record.slot,
			.created_s = record.created_s,
			.issued = record.issued};
		memcpy(&item->id, key.mv_data, sizeof(item->id));
		memcpy(item->secret, record.secret, sizeof(item->secret));
		sodium_memzero(&record, sizeof(record));
	}
	return rc == MDB_NOTFOUND ? count : token_store_error(rc);
}

int token_store_keys(
	struct token_store *store, struct token_store_key out[static TOKEN_STORE_KEYS_MAX])
{
	MDB_cursor *cursor;
	int rc = mdb_txn_renew(store->reading);
	if (rc != 0)
		return token_store_error(rc);
	rc = mdb_cursor_open(store->reading, store->keys, &cursor);
	if (rc == 0) {
		rc = read_keys(cursor, out);
		mdb_cursor_close(cursor);
	} else {
		rc = token_store_error(rc);
	}
	mdb_txn_reset(store->reading);
	if (rc > 0)
		qsort(out, (size_t)rc, sizeof(*out), by_age);
	return rc;
}

int token_store_find(struct token_store *store, unsigned slot,
	const uint8_t tag[static TOKEN_STORE_TAG_SIZE],
	const uint8_t mark[static TOKEN_STORE_MARK_SIZE], bool *same)
{
	struct token_spending spending;
	int rc = mdb_txn_renew(store->reading);
	if (rc != 0)
		return token_store_error(rc);
	rc = token_store_lookup(store->reading, store->spent[slot], tag, &spending);
	mdb_txn_reset(store->reading);
	*same = rc == 0 && sodium_memcmp(spending.mark, mark, sizeof(spending.mark)) == 0;
	return rc;
}

uint64_t token_store_spent(struct token_store *store, unsigned slot)
{
	if (mdb_txn_renew(store->reading) != 0)
		return 0;
	uint64_t count = token_store_entries(store->reading, store->spent[slot]);
	mdb_txn_reset(store->reading);
	return count;
}
