// SPDX-License-Identifier: BSD-3-Clause
// The tokens' part of the admin socket's provider (admin/admin.h), and of what the control plane
// does with its store. context is the node. The loop's thread.
#pragma once

#include "controlplane/admin/admin.h"

struct node;

// Opens the store where the configuration uses tokens, else does nothing. 0, or a negative errno
// and one line in error.
enum { TOKEN_VERBS_ERROR_SIZE = 512 };
int token_verbs_open(struct node *node, char error[static TOKEN_VERBS_ERROR_SIZE]);

void token_provide_keys(void *context, struct admin_reply *reply);
void token_provide_rotate(void *context, struct admin_reply *reply);
void token_provide_retire(void *context, uint32_t key_id, struct admin_reply *reply);
void token_provide_issue(
	void *context, const struct admin_token_request *request, struct admin_reply *reply);
