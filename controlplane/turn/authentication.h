// SPDX-License-Identifier: BSD-3-Clause
// The long-term credential mechanism (RFC 8489 9.2.4) for static users, time-limited REST
// credentials and tokens, with MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256, PASSWORD-ALGORITHMS
// and USERHASH. Says who a request is from and with which key to answer it, or which error it
// earns.
//
// USERHASH finds static users only: a REST name is made by somebody else and cannot be found by
// its hash, nor can a token's. The "username anonymity" feature is therefore offered only where
// both are off, since a client that sees it must use USERHASH (9.2.5).
#pragma once

#include "controlplane/turn/nonce.h"
#include "controlplane/turn/token_keys.h"
#include "controlplane/turn/turn.h"
#include "lib/config/config.h"
#include "lib/wire/stun.h"
#include "lib/wire/stun_integrity.h"

struct authentication_user; // a static user and their USERHASH

struct authentication {
	const struct config *config; // borrowed
	struct authentication_user *users;
	unsigned user_count;
	struct nonce_keys nonces;
};

// How users by token are checked: the core's, across configurations.
struct authentication_tokens {
	const struct turn_output *output;
	struct token_keys keys;
};

// What was presented with the request besides the message.
struct authentication_input {
	const struct stun_message *message;
	const struct net_endpoint *client, *server;
	uint64_t now_ms; // monotonic
	uint64_t wall_s; // UNIX time
	struct authentication_tokens *tokens;
	// For tokens: whether the user that the request names has the allocation that it came over,
	// and the tag of the client's prefix.
	bool own_allocation;
	uint64_t prefix_tag;
};

enum { AUTHENTICATION_LATER = 1 };

enum authentication_integrity {
	AUTHENTICATION_NO_INTEGRITY,
	AUTHENTICATION_SHA1,
	AUTHENTICATION_SHA256,
};

struct authentication_result {
	unsigned error; // 0, or 400, 401, 438; AUTHENTICATION_LATER: too much to do
	bool evaluated; // a token key was made for it
	bool by_token;  // of key_id and nonce
	uint32_t key_id;
	uint8_t nonce[TOKEN_NONCE_SIZE];
	bool expired;        // a genuine REST credential whose time is over; error is 0 then
	struct stun_key key; // wipe with stun_key_wipe; of the credential, also with error 438
	enum authentication_integrity integrity; // for replies
	// The credential's name; borrows the message or the configuration.
	const char *name;
	size_t name_length;
};

// 0 or -ENOMEM. config outlives it.
int authentication_init(struct authentication *authentication, const struct config *config);
void authentication_free(struct authentication *authentication);

// Checks in the order of RFC 8489 9.2.4; with a token the nonce comes first, since its integrity
// costs too much to be checked for who may be nobody.
void authentication_check(const struct authentication *authentication,
	const struct authentication_input *input, struct authentication_result *result);

// Features to put into a nonce, and whether they include PASSWORD-ALGORITHMS.
uint32_t authentication_features(const struct authentication *authentication, bool algorithms);
// The value of PASSWORD-ALGORITHMS as we send it (14.11): SHA-256, then MD5.
extern const uint8_t authentication_algorithms[8];
