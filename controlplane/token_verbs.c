// SPDX-License-Identifier: BSD-3-Clause
// Admin verbs about tokens; see token_verbs.h. Every one of them ends its reply when the disk has
// it.
#include "controlplane/token_verbs.h"

#include "controlplane/node.h"
#include "controlplane/sandbox.h"
#include "controlplane/tokens/issuing.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static_assert((int)TOKEN_VERBS_ERROR_SIZE == (int)TOKENS_ERROR_SIZE, "one line");
static_assert((int)ADMIN_TOKEN_ISSUING == (int)TOKEN_KEY_ISSUING, "states");
static_assert((int)ADMIN_TOKEN_ACCEPTING == (int)TOKEN_KEY_ACCEPTING, "states");
static_assert((int)ADMIN_TOKEN_RETIRED == (int)TOKEN_KEY_RETIRED, "states");
static_assert((int)ADMIN_TOKEN_BATCH_MAX == VOPRF_BATCH_MAX, "batch");
static_assert((int)ADMIN_TOKEN_ELEMENT_SIZE == VOPRF_ELEMENT_SIZE, "element");
static_assert((int)ADMIN_TOKEN_PROOF_SIZE == VOPRF_PROOF_SIZE, "proof");

int token_verbs_open(struct node *node, char error[static TOKEN_VERBS_ERROR_SIZE])
{
	if (!config_uses_tokens(node->config))
		return 0;
	// What is mapped of a file as large as the store may become is the page cache's to keep.
	sandbox_lock_new_memory(false);
	int rc = tokens_open(node->loop, node->config->node.state, node->config->tokens.spent,
		&node->tokens, error);
	sandbox_lock_new_memory(true);
	return rc;
}

// A verb whose answer waits for the disk.
struct change {
	struct node *node;
	struct admin_reply *reply;
};

static struct change *new_change(struct node *node, struct admin_reply *reply)
{
	struct change *change = NULL;
	int rc = -EOPNOTSUPP;
	if (node->tokens) {
		change = malloc(sizeof(*change));
		rc = -ENOMEM;
	}
	if (change)
		*change = (struct change){node, reply};
	else
		admin_reply_end(reply, rc);
	return change;
}

static void end_change(struct change *change, int result)
{
	admin_reply_end(change->reply, result);
	free(change);
}

static struct admin_token_key item_of(const struct tokens_key_info *key)
{
	struct admin_token_key item = {.id = key->id,
		.state = key->state,
		.created_s = key->created_s,
		.issued = key->issued,
		.spent = key->spent};
	memcpy(item.public_key, key->public_key, sizeof(item.public_key));
	return item;
}

void token_provide_keys(void *context, struct admin_reply *reply)
{
	struct node *node = context;
	struct tokens_key_info keys[TOKEN_STORE_KEYS_MAX];
	unsigned count = node->tokens ? tokens_keys(node->tokens, keys) : 0;
	for (unsigned i = 0; i < count; i++) {
		struct admin_token_key item = item_of(&keys[i]);
		admin_reply_item(reply, &item, sizeof(item));
	}
	admin_reply_end(reply, node->tokens ? 0 : -EOPNOTSUPP);
}

static void rotated(void *context, int result)
{
	struct change *change = context;
	struct tokens_key_info keys[TOKEN_STORE_KEYS_MAX];
	const struct tokens *tokens = change->node->tokens; // NULL: the program stops
	unsigned count = result == 0 && tokens ? tokens_keys(tokens, keys) : 0;
	for (unsigned i = 0; i < count; i++) {
		struct admin_token_key item = item_of(&keys[i]);
		if (keys[i].state == TOKEN_KEY_ISSUING)
			admin_reply_item(change->reply, &item, sizeof(item));
	}
	end_change(change, result);
}

void token_provide_rotate(void *context, struct admin_reply *reply)
{
	struct node *node = context;
	struct change *change = new_change(node, reply);
	int rc = change ? tokens_rotate(node->tokens, rotated, change) : 0;
	if (rc)
		end_change(change, rc);
}

static void retired(void *context, int result)
{
	end_change(context, result);
}

void token_provide_retire(void *context, uint32_t key_id, struct admin_reply *reply)
{
	struct node *node = context;
	struct change *change = new_change(node, reply);
	int rc = change ? tokens_retire(node->tokens, key_id, retired, change) : 0;
	if (rc)
		end_change(change, rc);
}

static void issued(void *context, int result, const struct token_answer *answer)
{
	struct change *change = context;
	if (result == 0) {
		struct admin_token_answer item = {.key_id = answer->key_id, .count = answer->count};
		memcpy(item.public_key, answer->public_key, sizeof(item.public_key));
		memcpy(item.proof, answer->proof, sizeof(item.proof));
		for (unsigned i = 0; i < answer->count; i++)
			memcpy(item.evaluated[i], answer->evaluated[i].bytes,
				sizeof(item.evaluated[i]));
		admin_reply_item(change->reply, &item, sizeof(item));
	}
	end_change(change, result);
}

void token_provide_issue(
	void *context, const struct admin_token_request *request, struct admin_reply *reply)
{
	struct node *node = context;
	struct token_request blinded = {.count = request->count};
	struct change *change = new_change(node, reply);
	if (!change)
		return;
	for (unsigned i = 0; i < request->count && i < VOPRF_BATCH_MAX; i++)
		memcpy(blinded.blinded[i].bytes, request->blinded[i], VOPRF_ELEMENT_SIZE);
	int rc = tokens_issue(node->tokens, &blinded, issued, change);
	if (rc)
		end_change(change, rc);
}
