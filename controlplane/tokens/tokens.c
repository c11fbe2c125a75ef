// SPDX-License-Identifier: BSD-3-Clause
// Redeeming: what is asked for in one turn of the loop is gathered in a batch, committed on a
// thread of the loop's pool, and answered when it is on disk. One batch is on its way at a time;
// meanwhile the next one gathers, so the slower the disk the larger the groups.
//
// Whether a token is spent is decided by the commit alone, which sees everything before it. The
// look that redeeming takes first only spares a replay the evaluation and a place in the batch.
#include "controlplane/tokens/inside.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COUNTER_NAME(name) #name,
const char *const tokens_counter_names[TOKENS_COUNTER_COUNT] = {TOKENS_COUNTERS(COUNTER_NAME)};

// ---- life ----

static void free_tokens(struct tokens *tokens)
{
	for (unsigned i = 0; i < 2; i++) {
		free(tokens->batches[i].changes);
		free(tokens->batches[i].waiters);
	}
	token_store_close(tokens->store);
	sodium_free(tokens->ring);
	free(tokens);
}

void tokens_release(struct tokens *tokens)
{
	if (--tokens->references == 0)
		free_tokens(tokens);
}

static void on_prepare(uv_prepare_t *prepare);

static void on_closed(uv_handle_t *handle)
{
	tokens_release(handle->data);
}

static int make_first_key(struct tokens *tokens)
{
	struct token_store_change changes[3 + TOKEN_STORE_KEYS_MAX];
	struct token_store_key made;
	size_t count = token_ring_rotation(tokens->ring, (uint64_t)time(NULL), changes, &made);
	int rc = token_store_commit(tokens->store, changes, count);
	sodium_memzero(&made, sizeof(made));
	return rc != 0 ? rc : token_ring_load(tokens->ring, tokens->store);
}

static int take_memory(struct tokens *tokens)
{
	tokens->ring = sodium_malloc(sizeof(*tokens->ring));
	if (tokens->ring == NULL)
		return -ENOMEM;
	sodium_memzero(tokens->ring, sizeof(*tokens->ring));
	for (unsigned i = 0; i < 2; i++) {
		struct tokens_batch *batch = &tokens->batches[i];
		batch->changes = calloc(TOKENS_BATCH_MAX, sizeof(*batch->changes));
		batch->waiters = calloc(TOKENS_BATCH_MAX, sizeof(*batch->waiters));
		if (batch->changes == NULL || batch->waiters == NULL)
			return -ENOMEM;
	}
	return 0;
}

int tokens_open(struct uv_loop_s *loop, const char *state, uint64_t spent_max, struct tokens **out,
	char error[static TOKENS_ERROR_SIZE])
{
	static_assert((int)TOKENS_ERROR_SIZE == (int)TOKEN_STORE_ERROR_SIZE, "one line");
	struct tokens *tokens = calloc(1, sizeof(*tokens));
	snprintf(error, TOKENS_ERROR_SIZE, "out of memory");
	if (tokens == NULL)
		return -ENOMEM;
	tokens->loop = loop;
	tokens->spent_max = spent_max;
	int rc = take_memory(tokens);
	if (rc == 0)
		rc = token_store_open(state, spent_max, &tokens->store, error);
	if (rc == 0) {
		rc = token_ring_load(tokens->ring, tokens->store);
		if (rc == 0 && token_ring_issuing(tokens->ring) == NULL)
			rc = make_first_key(tokens);
		if (rc != 0)
			snprintf(error, TOKENS_ERROR_SIZE,
				"%s/tokens: keys cannot be read or made: %s", state,
				rc == -EPROTO ? "the store is damaged" : strerror(-rc));
	}
	if (rc != 0) {
		free_tokens(tokens);
		return rc;
	}
	tokens_note_commit(tokens, 0);
	tokens->references = 1;
	uv_prepare_init(loop, &tokens->prepare);
	tokens->prepare.data = tokens;
	uv_prepare_start(&tokens->prepare, on_prepare);
	*out = tokens;
	return 0;
}

static void answer(struct tokens_waiter *waiter, int result)
{
	tokens_done done = waiter->done;
	waiter->done = NULL;
	if (done != NULL)
		done(waiter->context, result);
}

void tokens_close(struct tokens *tokens)
{
	if (tokens == NULL || tokens->closing)
		return;
	tokens->closing = true;
	for (unsigned i = 0; i < 2; i++)
		for (unsigned j = 0; j < tokens->batches[i].count; j++)
			answer(&tokens->batches[i].waiters[j], -ECANCELED);
	uv_close((uv_handle_t *)&tokens->prepare, on_closed);
}

// ---- committing ----

void tokens_note_commit(struct tokens *tokens, int result)
{
	tokens->disk_full = result == -ENOSPC;
	if (result != 0)
		tokens_count(tokens, TOKENS_COUNTER_commits_failed);
	if (result != 0 && result != -ENOSPC && result != -ENOENT && result != -EEXIST)
		tokens->failed = result;
	tokens->spent = 0;
	for (unsigned slot = 0; slot < TOKEN_STORE_KEYS_MAX; slot++)
		tokens->spent += token_store_spent(tokens->store, slot);
}

static struct tokens_batch *other_batch(struct tokens *tokens)
{
	return &tokens->batches[1 - tokens->filling];
}

// On a thread of the pool: nothing of struct tokens is touched but the batch on its way and the
// store.
static void commit(uv_work_t *work)
{
	struct tokens *tokens = work->data;
	struct tokens_batch *batch = other_batch(tokens);
	batch->result = token_store_commit(tokens->store, batch->changes, batch->count);
}

static void count_result(struct tokens *tokens, int result)
{
	if (result == 0)
		tokens_count(tokens, TOKENS_COUNTER_spent);
	else if (result == -EALREADY)
		tokens_count(tokens, TOKENS_COUNTER_refused_spent);
	else if (result == -ENOSPC)
		tokens_count(tokens, TOKENS_COUNTER_refused_full);
	else if (result == -ESTALE)
		tokens_count(tokens, TOKENS_COUNTER_refused_bad);
}

static void committed(uv_work_t *work, int status)
{
	struct tokens *tokens = work->data;
	struct tokens_batch *batch = other_batch(tokens);
	int result = status != 0 ? status : batch->result;
	tokens_count(tokens, TOKENS_COUNTER_commits);
	tokens_note_commit(tokens, result);
	unsigned count = batch->count;
	for (unsigned i = 0; i < count; i++) {
		bool spending = batch->changes[i].kind == TOKEN_STORE_SPEND;
		int each = result != 0 ? result : batch->changes[i].result;
		if (spending)
			count_result(tokens, each);
		else if (each == 0)
			tokens_count(tokens, TOKENS_COUNTER_returned);
		else
			tokens_count(tokens, TOKENS_COUNTER_returns_lost);
		answer(&batch->waiters[i], each);
	}
	sodium_memzero(batch->changes, count * sizeof(*batch->changes));
	batch->count = 0;
	tokens->committing = false;
	tokens_release(tokens);
}

static void on_prepare(uv_prepare_t *prepare)
{
	struct tokens *tokens = prepare->data;
	if (tokens->committing || tokens->batches[tokens->filling].count == 0)
		return;
	tokens->filling = 1 - tokens->filling;
	tokens->spendings = 0;
	tokens->committing = true;
	tokens->references++;
	tokens->work.data = tokens;
	if (uv_queue_work(tokens->loop, &tokens->work, commit, committed) != 0)
		committed(&tokens->work, -ENOMEM);
}

// ---- redeeming ----

static int evaluate(struct tokens *tokens, const struct token_ring_key *key,
	const uint8_t nonce[static TOKEN_NONCE_SIZE], uint8_t out[static TOKEN_KEY_SIZE])
{
	struct voprf_output output;
	tokens_count(tokens, TOKENS_COUNTER_evaluations);
	if (voprf_evaluate(&output, &key->key, nonce, TOKEN_NONCE_SIZE) != 0)
		return -EBADMSG;
	token_key(out, &output);
	sodium_memzero(&output, sizeof(output));
	return 0;
}

static int refuse(struct tokens *tokens, enum tokens_counter counter, int rc)
{
	tokens_count(tokens, counter);
	return rc;
}

static const struct token_ring_key *accepting(const struct tokens *tokens, uint32_t id)
{
	const struct token_ring_key *key = token_ring_find(tokens->ring, id);
	return key != NULL && key->state != TOKEN_KEY_RETIRED ? key : NULL;
}

// Whether a change may join the batch, and where it goes.
static struct token_store_change *join(struct tokens *tokens, tokens_done done, void *context)
{
	struct tokens_batch *batch = &tokens->batches[tokens->filling];
	if (batch->count == TOKENS_BATCH_MAX)
		return NULL;
	batch->waiters[batch->count] = (struct tokens_waiter){done, context};
	return &batch->changes[batch->count++];
}

static int may_spend(struct tokens *tokens)
{
	if (tokens->closing || tokens->failed != 0 || tokens->spendings == TOKENS_WAITING_MAX)
		return refuse(tokens, TOKENS_COUNTER_refused_busy, -EAGAIN);
	return 0;
}

// 0: not spent yet, or for the same; a negative errno as tokens_redeem.
static int look(struct tokens *tokens, const struct token_ring_key *key,
	const struct token_store_change *change)
{
	bool same;
	int rc = token_store_find(tokens->store, key->slot, change->tag, change->mark, &same);
	if (rc == 0 && !same)
		return refuse(tokens, TOKENS_COUNTER_refused_spent, -EALREADY);
	if (rc == 0)
		tokens_count(tokens, TOKENS_COUNTER_repeated);
	if (rc == -ENOENT && tokens->spent >= tokens->spent_max)
		return refuse(tokens, TOKENS_COUNTER_refused_full, -EAGAIN);
	return rc == 0 || rc == -ENOENT ? 0 : refuse(tokens, TOKENS_COUNTER_refused_busy, -EAGAIN);
}

static int enqueue(struct tokens *tokens, const struct token_store_change *change, tokens_done done,
	void *context)
{
	struct token_store_change *queued = join(tokens, done, context);
	if (queued == NULL)
		return refuse(tokens, TOKENS_COUNTER_refused_busy, -EAGAIN);
	*queued = *change;
	tokens->spendings++;
	return 0;
}

int tokens_redeem(struct tokens *tokens, const struct native_token *token, const uint8_t *covered,
	size_t covered_size, tokens_done done, void *context)
{
	const struct token_ring_key *key = accepting(tokens, token->key_id);
	if (key == NULL)
		return refuse(tokens, TOKENS_COUNTER_refused_bad, -EBADMSG);
	struct token_store_change change = {.kind = TOKEN_STORE_SPEND, .key_id = token->key_id};
	static_assert(sizeof(change.mark) <= NATIVE_TOKEN_MAC_SIZE, "part of the mac");
	token_ring_tag(key, token->nonce, change.tag);
	memcpy(change.mark, token->mac, sizeof(change.mark));
	int rc = may_spend(tokens);
	if (rc == 0)
		rc = look(tokens, key, &change);
	if (rc != 0)
		return rc;
	uint8_t secret[TOKEN_KEY_SIZE], mac[TOKEN_MAC_SIZE];
	rc = evaluate(tokens, key, token->nonce, secret);
	if (rc == 0) {
		token_mac(mac, secret, covered, covered_size);
		rc = sodium_memcmp(mac, token->mac, sizeof(mac)) == 0 ? 0 : -EBADMSG;
	}
	sodium_memzero(secret, sizeof(secret));
	sodium_memzero(mac, sizeof(mac));
	if (rc != 0)
		return refuse(tokens, TOKENS_COUNTER_refused_bad, rc);
	return enqueue(tokens, &change, done, context);
}

int tokens_spend(struct tokens *tokens, uint32_t key_id,
	const uint8_t nonce[static NATIVE_TOKEN_NONCE_SIZE], tokens_done done, void *context)
{
	const struct token_ring_key *key = accepting(tokens, key_id);
	if (key == NULL)
		return refuse(tokens, TOKENS_COUNTER_refused_bad, -EBADMSG);
	struct token_store_change change = {.kind = TOKEN_STORE_SPEND, .key_id = key_id};
	token_ring_tag(key, nonce, change.tag);
	randombytes_buf(change.mark, sizeof(change.mark));
	int rc = may_spend(tokens);
	if (rc == 0)
		rc = look(tokens, key, &change);
	return rc != 0 ? rc : enqueue(tokens, &change, done, context);
}

void tokens_return(struct tokens *tokens, const struct native_token *token)
{
	const struct token_ring_key *key = accepting(tokens, token->key_id);
	struct token_store_change *change =
		key != NULL && !tokens->closing ? join(tokens, NULL, NULL) : NULL;
	if (change == NULL) {
		tokens_count(tokens, TOKENS_COUNTER_returns_lost);
		return;
	}
	*change = (struct token_store_change){.kind = TOKEN_STORE_RETURN, .key_id = token->key_id};
	token_ring_tag(key, token->nonce, change->tag);
}

bool tokens_known(const struct tokens *tokens, uint32_t key_id, bool retired)
{
	return (retired ? token_ring_find(tokens->ring, key_id) : accepting(tokens, key_id)) !=
	       NULL;
}

int tokens_key(struct tokens *tokens, uint32_t key_id,
	const uint8_t nonce[static NATIVE_TOKEN_NONCE_SIZE], bool retired,
	uint8_t out[static TOKEN_KEY_SIZE])
{
	const struct token_ring_key *key =
		retired ? token_ring_find(tokens->ring, key_id) : accepting(tokens, key_id);
	int rc = key != NULL ? evaluate(tokens, key, nonce, out) : -EBADMSG;
	return rc == 0 ? 0 : refuse(tokens, TOKENS_COUNTER_refused_bad, rc);
}

// ---- telling ----

uint64_t tokens_counter(const struct tokens *tokens, enum tokens_counter counter)
{
	return tokens->counters[counter];
}

const char *tokens_trouble(const struct tokens *tokens)
{
	if (tokens->failed != 0)
		return "the store of tokens cannot be written, and none is spent: look after the "
		       "disk under [node] state, then restart relay-controlplane";
	if (tokens->disk_full)
		return "the disk under [node] state is full, and no token can be spent: make room";
	if (tokens->spent >= tokens->spent_max)
		return "the store of spent tokens is full: relayctl token rotate, then --retire "
		       "the old key, or raise [tokens] spent";
	return NULL;
}
