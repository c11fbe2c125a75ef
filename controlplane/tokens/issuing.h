// SPDX-License-Identifier: BSD-3-Clause
// The issuer's side: keys, their rotation, and blind issuing. What is issued cannot be recognised
// when it is spent; of a request nothing is kept but how many tokens it was for. The loop's thread;
// every done is called once, from the loop, if the function returned 0.
#pragma once

#include "controlplane/tokens/store.h"
#include "controlplane/tokens/tokens.h"
#include "lib/wire/token_text.h"

struct tokens_key_info {
	uint32_t id;
	uint8_t state; // enum token_key_state
	uint8_t public_key[VOPRF_ELEMENT_SIZE];
	uint64_t created_s; // UNIX time
	uint64_t issued;
	uint64_t spent; // 0 once it is retired
};

// All keys, oldest first; their number.
unsigned tokens_keys(
	const struct tokens *tokens, struct tokens_key_info out[static TOKEN_STORE_KEYS_MAX]);

// A new key issues from now on. The one before it goes on accepting, and the one before that is
// retired. -EBUSY: another change of the keys is under way; -EIO: tokens_trouble. done: 0, or a
// negative errno and nothing has changed.
int tokens_rotate(struct tokens *tokens, tokens_done done, void *context);
// Its unspent tokens are worth nothing from now on. Also -ENOENT: there is no such key, -EINVAL: it
// is the issuing one, or retired already.
int tokens_retire(struct tokens *tokens, uint32_t key_id, tokens_done done, void *context);

// done: 0 and the answer, which is counted on disk by then; -EBADMSG: an element is none. Also
// -EBUSY: too many requests at once.
typedef void (*tokens_issue_done)(void *context, int result, const struct token_answer *answer);
int tokens_issue(struct tokens *tokens, const struct token_request *request, tokens_issue_done done,
	void *context);
