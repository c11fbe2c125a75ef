// SPDX-License-Identifier: BSD-3-Clause
// Getting and keeping tokens of a relay's operator. The library does no I/O here either: files are
// buffers that the caller reads and writes.
//
//     endpoint_tokens_request --> request file --------> operator: relayctl token issue
//                             --> pending file (kept)         |
//     endpoint_tokens_take    <-- answer file <---------------+
//                             --> tokens file; the pending file is worth nothing then
//     endpoint_tokens_next    one token out of the tokens file, for endpoint_config.token or TURN
//
// The operator sees blinded requests only and cannot tell later which token came of which. Request
// and answer are public (lib/wire/token_text.h); the other two are secrets (mode 0600): who reads
// the tokens file can spend what is in it. They are text of the same kind:
//
//     blindrelay-token-pending 1          blindrelay-tokens 1
//     NONCE BLIND BLINDED                 KEY-ID NONCE OUTPUT
//     ... one line a token                ... one line a token
//
// A token that was handed out must not be handed out again, whatever becomes of it: write the
// shorter tokens file to the disk before the token is used. Functions of any thread, without state.
#pragma once

#include "endpoint/endpoint.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
	ENDPOINT_TOKENS_REQUEST_MAX = 64, // tokens of one request
	ENDPOINT_TOKENS_FILE_MAX = 16384, // bytes of a request, pending or answer file
	ENDPOINT_TOKENS_LINE_SIZE = 140,  // a token in a tokens file; its head takes 20
	ENDPOINT_TOKENS_USER_SIZE = 51,   // with the end's zero
	ENDPOINT_TOKENS_PASSWORD_SIZE = 44,
};

// Writes both files for `count` tokens; each buffer has ENDPOINT_TOKENS_FILE_MAX bytes, and the
// texts are terminated. 0; -EINVAL: count is not from 1 to ENDPOINT_TOKENS_REQUEST_MAX. The caller
// wipes pending.
int endpoint_tokens_request(unsigned count, char *request, char *pending);

// Makes tokens of the operator's answer: appends `*count` lines to the tokens file in tokens, which
// has *size bytes (0: there is none yet) and room for `room`. public_key (32 bytes): the
// operator's, from a source other than the answer, so that nobody was issued tokens under a key of
// their own by which they would be known again; NULL: not pinned. 0; -EBADMSG: a file is not what
// it should be, or the answer is to another request; -EKEYREJECTED: another key, or the proof does
// not hold; -ENOBUFS: no room. Nothing is appended then.
int endpoint_tokens_take(const char *pending, size_t pending_size, const char *answer,
	size_t answer_size, const uint8_t *public_key, char *tokens, size_t room, size_t *size,
	unsigned *count);

// Takes the first token out of a tokens file: *size is smaller after, what is behind is wiped.
// Tokens of key_id only, if that is not 0. 0 and *out (the caller wipes it); -ENOENT: there is
// none; -EBADMSG.
int endpoint_tokens_next(char *tokens, size_t *size, uint32_t key_id, struct endpoint_token *out);

// How many tokens a tokens file holds; -EBADMSG.
int endpoint_tokens_count(const char *tokens, size_t size);

// The token as a TURN user, for one allocation.
void endpoint_tokens_turn_user(const struct endpoint_token *token, char *user, char *password);

#ifdef __cplusplus
}
#endif
