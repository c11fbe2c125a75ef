// SPDX-License-Identifier: BSD-3-Clause
// What relaycall's verbs share: options of the command line and exit codes. One thread.
#pragma once

#include "endpoint/contact.h"

#include <stdbool.h>

enum {
	RELAYCALL_OK = 0,
	RELAYCALL_FAILED = 1,
	RELAYCALL_USAGE = 2,
	RELAYCALL_UNREACHABLE = 3, // the relay does not answer, or will not have us
	RELAYCALL_PEER = 4,        // the peer is not there, does not answer, or declines
	RELAYCALL_INTERRUPTED = 130,
};

struct relaycall_options {
	const char *identity; // --identity; NULL: the usual place
	bool json;            // -j
	// --relay, --relay-key; --second-relay, --second-relay-key. No address: not given
	struct endpoint_contact_relay relays[ENDPOINT_CONTACT_RELAYS_MAX];
	unsigned epoch_seconds; // --epoch; 0: as usual
	const char *tokens;     // --tokens: a tokens file; NULL: none
	const char *directory;  // --dir; NULL: files are declined
	bool ask;               // --ask
	bool once;              // --once
	bool has_limit;         // --limit
	uint64_t limit;         // bytes of a file
	const char *text;       // --text
	bool by_address;        // --by-address
	unsigned timeout_s;     // --timeout; 0: as usual
	const char *operand[4]; // words behind the verb
};

// Each runs one verb, prints to stdout (errors and progress to stderr) and returns the exit code.
int relaycall_id(const struct relaycall_options *options);
int relaycall_listen(const struct relaycall_options *options);
int relaycall_send(const struct relaycall_options *options);
int relaycall_token(const struct relaycall_options *options);

// "relaycall: ..." and a newline to stderr; returns code.
int relaycall_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
