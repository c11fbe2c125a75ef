// SPDX-License-Identifier: BSD-3-Clause
// A pair of handles from inside: what packets do not need of it, and what is done to it with both
// of its lines taken. Between handles.c (main) and handles_worker.c.
#pragma once

#include "dataplane/table/handles.h"

enum handle_state { HANDLE_FREE, HANDLE_LIVE, HANDLE_CLOSED };

// Written with both lines taken, but for what main does to a free one.
struct handle_pair {
	union {
		uint8_t key[2][NATIVE_PATH_KEY_SIZE]; // live
		uint8_t proof[2][NATIVE_PROOF_SIZE];  // closed: of CLOSED, its transaction zeros
	};
	uint64_t mark;       // keyed hash of the open id, unless free
	uint32_t moved[2];   // `issued` of the token that moved each side last
	uint32_t due;        // closed: tick from which it is free again
	uint16_t generation; // of this life, or of the last one
	uint8_t has_moved[2];
	_Atomic uint8_t state; // enum handle_state
	uint8_t reason[2];     // closed: enum native_close_reason
	uint8_t reserved;
	uint16_t place[2]; // in main's shares, of each side; main alone
};
static_assert(sizeof(struct handle_pair) == 64, "one cache line");

static inline struct handle_pair *handle_pair_of(const struct handles *handles, uint32_t index)
{
	return &handles->pairs[index / 2];
}

// Where a side is: binds its own line to it and lets the peer's send there. Both lines taken, both
// sides' `client` of before whole.
void handle_bind(struct handles *handles, const struct node_addresses *addresses, uint32_t index,
	const uint8_t client[static 16], uint16_t port, unsigned server);

// Why a pair ends: one of its sides, 0 or 1, has closed it, a deadline has passed, or all end.
enum handle_cause { HANDLE_BY_CALLER, HANDLE_BY_CALLEE, HANDLE_SILENT, HANDLE_DRAINED };

// Ends a live pair with both lines taken: fills in *out, wipes, leaves it closed.
void handle_end(struct handles *handles, uint32_t index, enum handle_cause cause, uint32_t tick,
	struct handles_ended *out);
