// SPDX-License-Identifier: BSD-3-Clause
// The Binding request that browsers and most tools send: 20 bytes, no attribute, IPv4. Its reply is
// known but for four words, so it is made in registers and written over the request: no parser, no
// builder, no look at what was just stored. Everything else is binding_reply.c's.
#pragma once

#include "dataplane/stage/pass.h"

#include <stdbool.h>

// Is it one, from a node without RFC 5780 (whose replies carry more)?
bool binding_is_bare(const struct pass *pass, unsigned at);
// Answers or drops it; what binding_is_bare said yes to.
void binding_answer_bare(struct pass *pass, unsigned at);
