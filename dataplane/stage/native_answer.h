// SPDX-License-Identifier: BSD-3-Clause
// What the native protocol's stages answer with. Nothing is larger than what it answers, whoever
// sent that; and what answers a sender who has not proven to receive at its source is charged to
// the reply budget of the source's prefix. Each function takes the packet. Owner worker.
#pragma once

#include "dataplane/cookies.h"
#include "dataplane/stage/pass.h"

enum { NATIVE_ANSWER_MAX = 48 }; // the largest that a worker makes

enum native_sender {
	NATIVE_STRANGER,
	NATIVE_PROVEN, // showed a cookie or a path token
};

// Back the way it came. False: dropped and counted.
bool native_answer(struct pass *pass, unsigned at, const uint8_t *message, size_t size,
	enum native_sender sender);

// CHALLENGE. transaction: 8 bytes, may lie in the packet.
void native_answer_challenge(struct pass *pass, unsigned at, const uint8_t *transaction);

// PATH_CHALLENGE, to a packet of NATIVE_PATH_CHALLENGE_SIZE or more. transaction: 8 bytes; NULL:
// the packet has none.
enum { NATIVE_PATH_CHALLENGE_SIZE = 32 };
void native_answer_path_challenge(struct pass *pass, unsigned at,
	const struct native_handle *handle, const uint8_t *transaction);

// CLOSED once more, to data of NATIVE_CLOSED_SIZE or more, or to CLOSE. False: the handle is not of
// a pair that was closed lately, and the packet is still the caller's.
enum { NATIVE_CLOSED_SIZE = 40 };
bool native_answer_closed(struct pass *pass, unsigned at, struct native_handle handle);

// ALIVE, to who is proven. left: ticks of the handle, 0: there is none.
void native_answer_alive(struct pass *pass, unsigned at, const uint8_t *transaction, uint32_t left);

static inline struct cookie_holder native_holder(const struct headers *h)
{
	return (struct cookie_holder){
		.address = h->source, .port = h->source_port, .family = h->family};
}

// As the tables of leases and handles know a source.
static inline void native_source(
	struct client_key *key, const struct pass *pass, unsigned at, const struct headers *h)
{
	client_key_set(key, h->source, h->family, h->source_port, 0, pass->server[at]);
}
