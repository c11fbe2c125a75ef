// SPDX-License-Identifier: BSD-3-Clause
// The wiring of turn_tokens.h.
#include "controlplane/turn_tokens.h"

#include "controlplane/node.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

// A token that a TURN user pays with, until the disk has it.
struct purchase {
	struct node *node;
	uint64_t id;
	uint32_t key_id;
	uint8_t nonce[TOKEN_NONCE_SIZE];
};

static void give_back(void *context, uint32_t key_id, const uint8_t *nonce)
{
	struct node *node = context;
	const struct native_token token = {.key_id = key_id, .nonce = nonce};
	// None while stopping: tokens that are on their way then stay spent.
	if (node->tokens)
		tokens_return(node->tokens, &token);
}

static void spent(void *context, int result)
{
	struct purchase *purchase = context;
	struct node *node = purchase->node;
	if (!turn_core_spent(node->core, purchase->id, result, uv_now(node->loop)))
		give_back(node, purchase->key_id, purchase->nonce);
	sodium_memzero(purchase, sizeof(*purchase));
	free(purchase);
}

static int spend(void *context, uint64_t id, uint32_t key_id, const uint8_t *nonce)
{
	struct node *node = context;
	struct purchase *purchase = calloc(1, sizeof(*purchase));
	if (!purchase)
		return -EAGAIN;
	purchase->node = node;
	purchase->id = id;
	purchase->key_id = key_id;
	memcpy(purchase->nonce, nonce, sizeof(purchase->nonce));
	int rc = tokens_spend(node->tokens, key_id, nonce, spent, purchase);
	if (rc) {
		sodium_memzero(purchase, sizeof(*purchase));
		free(purchase);
	}
	return rc;
}

static bool known(void *context, uint32_t key_id, bool retired)
{
	const struct node *node = context;
	return tokens_known(node->tokens, key_id, retired);
}

static int key_of(void *context, uint32_t key_id, const uint8_t *nonce, bool retired, uint8_t *key)
{
	struct node *node = context;
	return tokens_key(node->tokens, key_id, nonce, retired, key);
}

struct turn_tokens turn_tokens_of(const struct node *node)
{
	if (!node->tokens)
		return (struct turn_tokens){0};
	return (struct turn_tokens){
		.known = known,
		.key = key_of,
		.spend = spend,
		.give_back = give_back,
	};
}
