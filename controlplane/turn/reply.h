// SPDX-License-Identifier: BSD-3-Clause
// Builds and sends replies. Replies to authenticated requests carry integrity with the request's
// key. Replies to others carry nothing optional, are flagged for the per-prefix budget, and are at
// most 2.5 times their request in IP bytes: what does not fit loses its optional parts, and if it
// still does not fit it is not sent, but counted.
#pragma once

#include "controlplane/turn/core.h"

// A reply under construction; its bytes are wiped when it is sent.
struct turn_reply {
	uint8_t bytes[1024];
	struct stun_builder builder;
};

void turn_reply_begin(
	struct turn_reply *reply, const struct turn_request *request, enum stun_class class);
// Adds integrity and fingerprint, sends, wipes. True when it went out.
bool turn_reply_send(
	struct turn_core *core, struct turn_reply *reply, const struct turn_request *request);

// An error response with that code; counts it.
void turn_reply_error(struct turn_core *core, const struct turn_request *request, unsigned code);
// 420 with UNKNOWN-ATTRIBUTES (RFC 8489 6.3.1).
void turn_reply_unknown(struct turn_core *core, const struct turn_request *request,
	const uint16_t *types, size_t count);
// 401 or 438 with REALM, NONCE, and PASSWORD-ALGORITHMS where it fits (RFC 8489 9.2.4).
void turn_reply_challenge(
	struct turn_core *core, const struct turn_request *request, unsigned code, uint64_t now_ms);
