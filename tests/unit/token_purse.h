// SPDX-License-Identifier: BSD-3-Clause
// A store of tokens in a folder of the test's own, its loop, and a client that has tokens.
#pragma once

#include "controlplane/tokens/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct purse {
	char state[64];
	uv_loop_t loop;
	struct tokens *tokens;
	uint64_t spent_max;
};

struct purse_token {
	uint32_t key_id;
	uint8_t nonce[TOKEN_NONCE_SIZE], key[TOKEN_KEY_SIZE], mac[TOKEN_MAC_SIZE];
};

// What came of something that is answered later.
struct purse_outcome {
	unsigned times;
	int result;
};

static inline void purse_reopen(struct purse *purse)
{
	char error[TOKENS_ERROR_SIZE];
	assert_int_equal(uv_loop_init(&purse->loop), 0);
	if (tokens_open(&purse->loop, purse->state, purse->spent_max, &purse->tokens, error) != 0)
		fail_msg("%s", error);
}

static inline void purse_shut(struct purse *purse)
{
	tokens_close(purse->tokens);
	purse->tokens = NULL;
	uv_run(&purse->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&purse->loop), 0);
}

static inline void purse_open(struct purse *purse, uint64_t spent_max)
{
	assert_true(sodium_init() >= 0);
	*purse = (struct purse){.spent_max = spent_max};
	snprintf(purse->state, sizeof(purse->state), "%s/tokens-XXXXXX",
		getenv("TMPDIR") != NULL && strlen(getenv("TMPDIR")) < 40 ? getenv("TMPDIR")
									  : "/tmp");
	assert_non_null(mkdtemp(purse->state));
	purse_reopen(purse);
}

static inline void purse_remove(const char *state)
{
	static const char *const names[] = {"tokens/data.mdb", "tokens/lock.mdb", "tokens", ""};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[128];
		snprintf(path, sizeof(path), "%s/%s", state, names[i]);
		remove(path);
	}
}

static inline void purse_close(struct purse *purse)
{
	if (purse->tokens != NULL)
		purse_shut(purse);
	purse_remove(purse->state);
}

// A token of the key in force, without the blinding, whose output is the same (test_voprf).
static inline struct purse_token purse_token(struct purse *purse)
{
	struct purse_token token = {.key_id = token_ring_issuing(purse->tokens->ring)->id};
	randombytes_buf(token.nonce, sizeof(token.nonce));
	assert_int_equal(tokens_key(purse->tokens, token.key_id, token.nonce, false, token.key), 0);
	return token;
}

static inline void purse_done(void *context, int result)
{
	struct purse_outcome *outcome = context;
	outcome->times++;
	outcome->result = result;
}

static inline struct native_token purse_shown(const struct purse_token *token)
{
	return (struct native_token){
		.key_id = token->key_id, .nonce = token->nonce, .mac = token->mac};
}

// Shows the token for `what` (a text); the outcome comes later when 0 is returned.
static inline int purse_show(struct purse *purse, struct purse_token *token, const char *what,
	struct purse_outcome *outcome)
{
	token_mac(token->mac, token->key, what, strlen(what));
	struct native_token shown = purse_shown(token);
	*outcome = (struct purse_outcome){0};
	return tokens_redeem(
		purse->tokens, &shown, (const uint8_t *)what, strlen(what), purse_done, outcome);
}

static inline void purse_wait(struct purse *purse, const struct purse_outcome *outcome)
{
	while (outcome->times == 0)
		uv_run(&purse->loop, UV_RUN_ONCE);
	assert_int_equal(outcome->times, 1);
}

// Shows and waits: what came of it either way.
static inline int purse_buy(struct purse *purse, struct purse_token *token, const char *what)
{
	struct purse_outcome outcome;
	int rc = purse_show(purse, token, what, &outcome);
	if (rc != 0)
		return rc;
	assert_int_equal(outcome.times, 0);
	purse_wait(purse, &outcome);
	return outcome.result;
}

static inline void purse_return(struct purse *purse, const struct purse_token *token)
{
	struct native_token shown = purse_shown(token);
	uint64_t before = tokens_counter(purse->tokens, TOKENS_COUNTER_returned);
	tokens_return(purse->tokens, &shown);
	while (tokens_counter(purse->tokens, TOKENS_COUNTER_returned) == before)
		uv_run(&purse->loop, UV_RUN_NOWAIT);
}

static inline int purse_rotate(struct purse *purse)
{
	struct purse_outcome outcome = {0};
	int rc = tokens_rotate(purse->tokens, purse_done, &outcome);
	if (rc == 0)
		purse_wait(purse, &outcome);
	return rc != 0 ? rc : outcome.result;
}

static inline int purse_retire(struct purse *purse, uint32_t key_id)
{
	struct purse_outcome outcome = {0};
	int rc = tokens_retire(purse->tokens, key_id, purse_done, &outcome);
	if (rc == 0)
		purse_wait(purse, &outcome);
	return rc != 0 ? rc : outcome.result;
}
