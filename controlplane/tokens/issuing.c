// SPDX-License-Identifier: BSD-3-Clause
// Issuing and changes of the keys, on threads of the loop's pool: a batch of 64 takes some
// milliseconds, and a commit waits for the disk. A key's secret is lent to the thread in memory
// that is wiped after.
#include "controlplane/tokens/inside.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

unsigned tokens_keys(
	const struct tokens *tokens, struct tokens_key_info out[static TOKEN_STORE_KEYS_MAX])
{
	const struct token_ring *ring = tokens->ring;
	for (unsigned i = 0; i < ring->count; i++) {
		const struct token_ring_key *key = &ring->keys[i];
		out[i] = (struct tokens_key_info){.id = key->id,
			.state = key->state,
			.created_s = key->created_s,
			.issued = key->issued,
			.spent = token_store_spent(tokens->store, key->slot)};
		memcpy(out[i].public_key, key->key.public_key, sizeof(out[i].public_key));
	}
	return ring->count;
}

// ---- keys ----

struct key_change {
	uv_work_t work;
	struct tokens *tokens;
	tokens_done done;
	void *context;
	int result;
	size_t count;
	struct token_store_change changes[3 + TOKEN_STORE_KEYS_MAX];
	struct token_store_key made;
};

static void change_keys(uv_work_t *work)
{
	struct key_change *change = work->data;
	change->result = token_store_commit(change->tokens->store, change->changes, change->count);
}

static void keys_changed(uv_work_t *work, int status)
{
	struct key_change *change = work->data;
	struct tokens *tokens = change->tokens;
	int result = status != 0 ? status : change->result;
	tokens_count(tokens, TOKENS_COUNTER_commits);
	tokens_note_commit(tokens, result);
	if (result == 0) {
		result = token_ring_load(tokens->ring, tokens->store);
		// What is in memory is not what is on disk.
		if (result != 0)
			tokens->failed = result;
	}
	tokens->key_change = false;
	change->done(change->context, result);
	sodium_memzero(change, sizeof(*change));
	free(change);
	tokens_release(tokens);
}

static int begin_change(
	struct tokens *tokens, tokens_done done, void *context, struct key_change **out)
{
	if (tokens->key_change || tokens->closing)
		return -EBUSY;
	if (tokens->failed != 0)
		return -EIO;
	struct key_change *change = calloc(1, sizeof(*change));
	if (change == NULL)
		return -ENOMEM;
	change->tokens = tokens;
	change->done = done;
	change->context = context;
	change->work.data = change;
	*out = change;
	return 0;
}

static int queue_change(struct key_change *change)
{
	int rc = uv_queue_work(change->tokens->loop, &change->work, change_keys, keys_changed);
	if (rc != 0) {
		sodium_memzero(change, sizeof(*change));
		free(change);
		return rc;
	}
	change->tokens->key_change = true;
	change->tokens->references++;
	return 0;
}

int tokens_rotate(struct tokens *tokens, tokens_done done, void *context)
{
	struct key_change *change;
	int rc = begin_change(tokens, done, context, &change);
	if (rc != 0)
		return rc;
	change->count = token_ring_rotation(
		tokens->ring, (uint64_t)time(NULL), change->changes, &change->made);
	return queue_change(change);
}

int tokens_retire(struct tokens *tokens, uint32_t key_id, tokens_done done, void *context)
{
	const struct token_ring_key *key = token_ring_find(tokens->ring, key_id);
	struct key_change *change;
	if (key == NULL)
		return -ENOENT;
	if (key->state != TOKEN_KEY_ACCEPTING)
		return -EINVAL;
	int rc = begin_change(tokens, done, context, &change);
	if (rc != 0)
		return rc;
	change->changes[change->count++] = (struct token_store_change){
		.kind = TOKEN_STORE_KEY_STATE, .key_id = key_id, .state = TOKEN_KEY_RETIRED};
	return queue_change(change);
}

// ---- issuing ----

struct issue {
	uv_work_t work;
	struct tokens *tokens;
	tokens_issue_done done;
	void *context;
	int result;
	bool committed;
	struct voprf_key key;
	struct token_request request;
	struct token_answer answer;
};

static void evaluate(uv_work_t *work)
{
	struct issue *issue = work->data;
	struct token_answer *answer = &issue->answer;
	struct token_store_change change = {.kind = TOKEN_STORE_ISSUED,
		.key_id = answer->key_id,
		.count = issue->request.count};
	answer->count = issue->request.count;
	memcpy(answer->public_key, issue->key.public_key, sizeof(answer->public_key));
	issue->result = voprf_blind_evaluate(answer->evaluated, answer->proof, &issue->key,
		issue->request.blinded, issue->request.count);
	sodium_memzero(&issue->key, sizeof(issue->key));
	if (issue->result != 0)
		return;
	issue->result = token_store_commit(issue->tokens->store, &change, 1);
	issue->committed = true;
}

static void evaluated(uv_work_t *work, int status)
{
	struct issue *issue = work->data;
	struct tokens *tokens = issue->tokens;
	int result = status != 0 ? status : issue->result;
	tokens->issues--;
	if (issue->committed) {
		tokens_count(tokens, TOKENS_COUNTER_commits);
		tokens_note_commit(tokens, result);
	}
	for (unsigned i = 0; result == 0 && i < tokens->ring->count; i++)
		if (tokens->ring->keys[i].id == issue->answer.key_id)
			tokens->ring->keys[i].issued += issue->answer.count;
	if (result == 0)
		tokens->counters[TOKENS_COUNTER_issued] += issue->answer.count;
	issue->done(issue->context, result, result == 0 ? &issue->answer : NULL);
	sodium_memzero(issue, sizeof(*issue));
	free(issue);
	tokens_release(tokens);
}

int tokens_issue(struct tokens *tokens, const struct token_request *request, tokens_issue_done done,
	void *context)
{
	const struct token_ring_key *key = token_ring_issuing(tokens->ring);
	if (tokens->failed != 0 || key == NULL)
		return -EIO;
	if (tokens->issues == TOKENS_ISSUES_MAX || tokens->closing)
		return -EBUSY;
	if (request->count == 0 || request->count > VOPRF_BATCH_MAX)
		return -EBADMSG;
	struct issue *issue = calloc(1, sizeof(*issue));
	if (issue == NULL)
		return -ENOMEM;
	issue->tokens = tokens;
	issue->done = done;
	issue->context = context;
	issue->work.data = issue;
	issue->key = key->key;
	issue->answer.key_id = key->id;
	issue->request = *request;
	int rc = uv_queue_work(tokens->loop, &issue->work, evaluate, evaluated);
	if (rc != 0) {
		sodium_memzero(issue, sizeof(*issue));
		free(issue);
		return rc;
	}
	tokens->issues++;
	tokens->references++;
	return 0;
}
