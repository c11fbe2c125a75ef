// SPDX-License-Identifier: BSD-3-Clause
// Changes of the store of store.h, each group of them in one transaction.
#include "controlplane/tokens/store_inside.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

static int get_record(MDB_txn *txn, MDB_dbi dbi, uint32_t id, struct token_record *out)
{
	MDB_val key = {sizeof(id), &id}, value;
	int rc = mdb_get(txn, dbi, &key, &value);
	if (rc != 0)
		return token_store_error(rc);
	if (value.mv_size != sizeof(*out))
		return -EPROTO;
	memcpy(out, value.mv_data, sizeof(*out));
	return out->format == TOKEN_STORE_FORMAT && out->slot < TOKEN_STORE_KEYS_MAX ? 0 : -EPROTO;
}

static int put_record(
	MDB_txn *txn, MDB_dbi dbi, uint32_t id, const struct token_record *record, unsigned flags)
{
	struct token_record copy = *record;
	MDB_val key = {sizeof(id), &id}, value = {sizeof(copy), &copy};
	int rc = mdb_put(txn, dbi, &key, &value, flags);
	sodium_memzero(&copy, sizeof(copy));
	return token_store_error(rc);
}

static int put_spending(MDB_txn *txn, MDB_dbi dbi, const uint8_t tag[static TOKEN_STORE_TAG_SIZE],
	const struct token_spending *spending)
{
	struct token_spending copy = *spending;
	MDB_val key = token_store_tag_key(tag), value = {sizeof(copy), &copy};
	return token_store_error(mdb_put(txn, dbi, &key, &value, 0));
}

static uint64_t all_entries(const struct token_store *store, MDB_txn *txn)
{
	uint64_t total = 0;
	for (unsigned slot = 0; slot < TOKEN_STORE_KEYS_MAX; slot++)
		total += token_store_entries(txn, store->spent[slot]);
	return total;
}

// The spent set of a key that accepts; -ENOENT: there is none.
static int spent_set(struct token_store *store, MDB_txn *txn, uint32_t key_id, MDB_dbi *out)
{
	struct token_record record = {0};
	int rc = get_record(txn, store->keys, key_id, &record);
	if (rc == 0 && record.state == TOKEN_KEY_RETIRED)
		rc = -ENOENT;
	if (rc == 0)
		*out = store->spent[record.slot];
	sodium_memzero(&record, sizeof(record));
	return rc;
}

static int spend(struct token_store *store, MDB_txn *txn, struct token_store_change *change)
{
	struct token_spending spending = {0};
	MDB_dbi set = 0;
	int rc = spent_set(store, txn, change->key_id, &set);
	change->result = 0;
	if (rc == -ENOENT) {
		change->result = -ESTALE;
		return 0;
	}
	if (rc == 0)
		rc = token_store_lookup(txn, set, change->tag, &spending);
	if (rc == -ENOENT) {
		if (all_entries(store, txn) >= store->spent_max) {
			change->result = -ENOSPC;
			return 0;
		}
		memcpy(spending.mark, change->mark, sizeof(spending.mark));
	} else if (rc != 0) {
		return rc;
	} else if (sodium_memcmp(spending.mark, change->mark, sizeof(spending.mark)) != 0 ||
		   spending.times == UINT32_MAX) {
		change->result = -EALREADY;
		return 0;
	}
	spending.times++;
	return put_spending(txn, set, change->tag, &spending);
}

// What was spent twice for the same (a repetition) is free when both were returned.
static int give_back(struct token_store *store, MDB_txn *txn, struct token_store_change *change)
{
	struct token_spending spending = {0};
	MDB_dbi set = 0;
	int rc = spent_set(store, txn, change->key_id, &set);
	change->result = 0;
	if (rc == 0)
		rc = token_store_lookup(txn, set, change->tag, &spending);
	if (rc != 0)
		return rc == -ENOENT ? 0 : rc;
	if (--spending.times > 0)
		return put_spending(txn, set, change->tag, &spending);
	MDB_val key = token_store_tag_key(change->tag);
	return token_store_error(mdb_del(txn, set, &key, NULL));
}

static int add_key(struct token_store *store, MDB_txn *txn, const struct token_store_key *key)
{
	struct token_record record = {.format = TOKEN_STORE_FORMAT,
		.state = key->state,
		.slot = key->slot,
		.created_s = key->created_s,
		.issued = key->issued};
	memcpy(record.secret, key->secret, sizeof(record.secret));
	int rc = put_record(txn, store->keys, key->id, &record, MDB_NOOVERWRITE);
	sodium_memzero(&record, sizeof(record));
	return rc;
}

static int change_key(
	struct token_store *store, MDB_txn *txn, const struct token_store_change *change)
{
	struct token_record record = {0};
	uint32_t id = change->key_id;
	MDB_val key = {sizeof(id), &id};
	int rc = get_record(txn, store->keys, id, &record);
	if (rc != 0)
		return rc;
	bool empty = change->kind == TOKEN_STORE_KEY_REMOVE ||
		     (change->kind == TOKEN_STORE_KEY_STATE && change->state == TOKEN_KEY_RETIRED);
	if (empty)
		rc = token_store_error(mdb_drop(txn, store->spent[record.slot], 0));
	if (rc == 0 && change->kind == TOKEN_STORE_KEY_REMOVE) {
		rc = token_store_error(mdb_del(txn, store->keys, &key, NULL));
	} else if (rc == 0) {
		if (change->kind == TOKEN_STORE_KEY_STATE)
			record.state = change->state;
		else
			record.issued += change->count;
		rc = put_record(txn, store->keys, id, &record, 0);
	}
	sodium_memzero(&record, sizeof(record));
	return rc;
}

static int apply(struct token_store *store, MDB_txn *txn, struct token_store_change *change)
{
	switch (change->kind) {
	case TOKEN_STORE_SPEND:
		return spend(store, txn, change);
	case TOKEN_STORE_RETURN:
		return give_back(store, txn, change);
	case TOKEN_STORE_KEY_ADD:
		return add_key(store, txn, change->key);
	case TOKEN_STORE_ISSUED:
	case TOKEN_STORE_KEY_STATE:
	case TOKEN_STORE_KEY_REMOVE:
		return change_key(store, txn, change);
	}
	return -EINVAL;
}

int token_store_commit(struct token_store *store, struct token_store_change *changes, size_t count)
{
	MDB_txn *txn;
	int rc = token_store_error(mdb_txn_begin(store->env, NULL, 0, &txn));
	if (rc != 0)
		return rc;
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = apply(store, txn, &changes[i]);
	if (rc != 0) {
		mdb_txn_abort(txn);
		return rc;
	}
	return token_store_error(mdb_txn_commit(txn));
}
