// SPDX-License-Identifier: BSD-3-Clause
// The long-term credential mechanism (RFC 8489 9.2.4) for static users and time-limited REST
// credentials, with MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256, PASSWORD-ALGORITHMS and
// USERHASH. Says who a request is from and with which key to answer it, or which error it earns.
//
// USERHASH finds static users only: a REST name is made by somebody else and cannot be found by
// its hash. The "username anonymity" feature is therefore offered only where rest is off, since a
// client that sees it must use USERHASH (9.2.5).
#pragma once

#include "controlplane/turn/nonce.h"
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

// What was presented with the request besides the message.
struct authentication_input {
	const struct stun_message *message;
	const struct net_endpoint *client, *server;
	uint64_t now_ms; // monotonic
	uint64_t wall_s; // UNIX time
};

enum authentication_integrity {
	AUTHENTICATION_NO_INTEGRITY,
	AUTHENTICATION_SHA1,
	AUTHENTICATION_SHA256,
};

struct authentication_result {
	unsigned error;      // 0, or 400, 401, 438
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

// Checks in the order of RFC 8489 9.2.4.
void authentication_check(const struct authentication *authentication,
	const struct authentication_input *input, struct authentication_result *result);

// Features to put into a nonce, and whether they include PASSWORD-ALGORITHMS.
uint32_t authentication_features(const struct authentication *authentication, bool algorithms);
// The value of PASSWORD-ALGORITHMS as we send it (14.11): SHA-256, then MD5.
extern const uint8_t authentication_algorithms[8];
