// SPDX-License-Identifier: BSD-3-Clause
// The TURN core's tokens: its requests wired to the store. context is the node, which has
// node->tokens when any of them is called. The loop's thread.
#pragma once

#include "controlplane/turn/turn.h"

struct node;

// For struct turn_output; empty without a store.
struct turn_tokens turn_tokens_of(const struct node *node);
