// SPDX-License-Identifier: BSD-3-Clause
// What the files of this room share: the keys in memory and the tokens themselves. Private to
// controlplane/tokens and its tests. The loop's thread, where nothing else is said.
#pragma once

#include "controlplane/tokens/issuing.h"

#include <uv.h>

// A key with what is derived from it; in locked memory.
struct token_ring_key {
	uint32_t id;
	uint8_t state, slot;
	uint64_t created_s, issued;
	struct voprf_key key;
	uint8_t tag_key[32]; // under which nonces are hashed before they are stored
};

struct token_ring {
	unsigned count;
	struct token_ring_key keys[TOKEN_STORE_KEYS_MAX]; // oldest first; at most one issues
};

// The keys as they are on disk; -EPROTO when a secret there is none. Wipes what was there before.
int token_ring_load(struct token_ring *ring, struct token_store *store);
// NULL: there is none.
const struct token_ring_key *token_ring_find(const struct token_ring *ring, uint32_t id);
const struct token_ring_key *token_ring_issuing(const struct token_ring *ring);
void token_ring_tag(const struct token_ring_key *key, const uint8_t nonce[static TOKEN_NONCE_SIZE],
	uint8_t tag[static TOKEN_STORE_TAG_SIZE]);
// Puts the changes that make a new key the issuing one into out (room for 3 + TOKEN_STORE_KEYS_MAX)
// and the new key into *made, which they borrow; their number.
size_t token_ring_rotation(const struct token_ring *ring, uint64_t now_s,
	struct token_store_change *out, struct token_store_key *made);

struct tokens_waiter {
	tokens_done done; // NULL: a return
	void *context;
};

// Changes that are committed together, and who waits for each.
struct tokens_batch {
	unsigned count;
	int result; // of the commit
	struct token_store_change *changes;
	struct tokens_waiter *waiters;
};

enum {
	// Of a batch: returns have room of their own, since what is not returned is lost.
	TOKENS_BATCH_MAX = 2 * TOKENS_WAITING_MAX,
	TOKENS_ISSUES_MAX = 8, // at once
};

struct tokens {
	uv_loop_t *loop;
	struct token_store *store;
	struct token_ring *ring;
	uint64_t spent_max, spent; // over all keys
	uv_prepare_t prepare; // before the loop waits, what its turn has gathered goes on its way
	uv_work_t work;
	bool committing;
	struct tokens_batch batches[2];
	unsigned filling;   // index of the batch that gathers; the other one may be on its way
	unsigned spendings; // in the batch that gathers
	bool key_change;    // a rotation or retirement is under way
	unsigned issues;
	bool closing;
	unsigned references; // of what keeps this memory: the handle, work under way
	int failed;          // not 0: the disk cannot be trusted
	bool disk_full;
	uint64_t counters[TOKENS_COUNTER_COUNT];
};

static inline void tokens_count(struct tokens *tokens, enum tokens_counter counter)
{
	tokens->counters[counter]++;
}

void tokens_release(struct tokens *tokens);
// What a commit came to, for what is told and refused from now on.
void tokens_note_commit(struct tokens *tokens, int result);
