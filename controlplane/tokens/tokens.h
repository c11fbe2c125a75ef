// SPDX-License-Identifier: BSD-3-Clause
// Tokens: each was signed blindly (VOPRF of RFC 9497), cannot be linked to its issuing, and buys
// one thing once: a lease (REGISTER) or a TURN allocation. Here they are checked and spent. What is
// spent is on disk before anybody gets what was paid for, so that no crash lets a token buy twice.
//
// A token is spent in a group with all that are waiting; the disk is waited for on a thread of its
// own. Everything here is called, and calls back, on the event loop's thread.
#pragma once

#include "lib/wire/native.h"
#include "lib/wire/token.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uv_loop_s;
struct tokens;

enum {
	TOKENS_ERROR_SIZE = 512,
	TOKENS_WAITING_MAX = 4096, // redemptions and returns that are not on disk yet
};

// Opens the store in <state>/tokens (store.h), and makes a first key where there is none.
// spent_max: how many spent tokens are remembered, over all keys; beyond it nothing is spent until
// a key is retired. 0 and *out, or a negative errno and one line in error: what is wrong and what
// to do. Opens all files it will ever need; its thread is started with the first commit, so after
// whatever the caller gives up.
int tokens_open(struct uv_loop_s *loop, const char *state, uint64_t spent_max, struct tokens **out,
	char error[static TOKENS_ERROR_SIZE]);
// Ends all that wait with -ECANCELED; memory and files go with the loop's next turns. NULL is fine.
void tokens_close(struct tokens *tokens);

// Called once for each spending that was begun, from the event loop, never from inside the call
// that began it. result 0: it is on disk, and what was paid for may be given. -EALREADY: something
// else was bought with it meanwhile; -ESTALE: its key was retired meanwhile; -ECANCELED: the
// program stops; -ENOSPC or another negative errno: it could not be stored. Nothing is spent with
// the others.
typedef void (*tokens_done)(void *context, int result);

// Spends a token whose mac covers `covered` (REGISTER up to the mac: native_token_covered). Nothing
// is borrowed after the call. 0: done will be called. Else it will not:
//   -EBADMSG   the mac is wrong, or there is no such key, or it accepts no more
//   -EALREADY  it has bought something else
//   -EAGAIN    too many wait, or there is no room for more: later
// The very same message again (equal mac), also after a restart, is a repetition and no second
// spending: 0, and done with 0. Whoever gives what was paid for has to be able to tell.
// Costs a VOPRF evaluation (60 us): ask only when everything cheaper was right.
int tokens_redeem(struct tokens *tokens, const struct native_token *token, const uint8_t *covered,
	size_t covered_size, tokens_done done, void *context);

// What was bought was not given (after done with 0, once for each such done): it may be spent
// again. Only key_id and nonce are looked at.
void tokens_return(struct tokens *tokens, const struct native_token *token);

// Whether there is such a key and it accepts; retired: or did once.
bool tokens_known(const struct tokens *tokens, uint32_t key_id, bool retired);

// For credentials that prove the token key in another way than by a mac: the token key of a nonce.
// 0; -EBADMSG: no such key, or it accepts no more. retired: a retired key is good enough (for what
// was bought before it was retired). Costs a VOPRF evaluation. The caller wipes key.
int tokens_key(struct tokens *tokens, uint32_t key_id,
	const uint8_t nonce[static NATIVE_TOKEN_NONCE_SIZE], bool retired,
	uint8_t key[static TOKEN_KEY_SIZE]);

// Spends a token whose key was proven by tokens_key. As tokens_redeem, and each call is a spending
// of its own.
int tokens_spend(struct tokens *tokens, uint32_t key_id,
	const uint8_t nonce[static NATIVE_TOKEN_NONCE_SIZE], tokens_done done, void *context);

// Counts without identity, for relayctl stats.
#define TOKENS_COUNTERS(X)                                                                         \
	X(spent)                                                                                   \
	X(repeated)                                                                                \
	X(returned)                                                                                \
	X(returns_lost)                                                                            \
	X(refused_bad)                                                                             \
	X(refused_spent)                                                                           \
	X(refused_busy)                                                                            \
	X(refused_full)                                                                            \
	X(evaluations)                                                                             \
	X(commits)                                                                                 \
	X(commits_failed)                                                                          \
	X(issued)
#define TOKENS_ENUM_COUNTER(name) TOKENS_COUNTER_##name,
enum tokens_counter { TOKENS_COUNTERS(TOKENS_ENUM_COUNTER) TOKENS_COUNTER_COUNT };
extern const char *const tokens_counter_names[TOKENS_COUNTER_COUNT];
uint64_t tokens_counter(const struct tokens *tokens, enum tokens_counter counter);

// What keeps tokens from being spent now, in one line with what to do; NULL: nothing.
const char *tokens_trouble(const struct tokens *tokens);
