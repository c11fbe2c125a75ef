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
	bool no_second_relay;   // --no-second-relay
	bool qr;                // --qr
	const char *qr_file;    // --qr-file
	bool fingerprint;       // --fingerprint
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
	const char *in;         // --in: a file or a signal; NULL: the microphone
	const char *out;        // --out: a file or "none"; NULL: the loudspeakers
	const char *device;     // --device: ALSA's name; NULL: "default"
	const char *stats;      // --stats: a file; NULL: none
	bool relay_only;        // --relay-only
	bool has_relay_after;   // --relay-after
	unsigned relay_after_ms;
	uint64_t duration_ms;   // --duration; 0: until somebody hangs up
	bool hangup_at_end;     // --hangup-at-end
	bool automatic;         // --auto
	bool known_only;        // --known
	bool verbose;           // -v
	const char *operand[4]; // words behind the verb
};

// Each runs one verb, prints to stdout (errors and progress to stderr) and returns the exit code.
int relaycall_id(const struct relaycall_options *options);
int relaycall_contacts(const struct relaycall_options *options);
int relaycall_listen(const struct relaycall_options *options);
int relaycall_send(const struct relaycall_options *options);
int relaycall_call(const struct relaycall_options *options);
int relaycall_answer(const struct relaycall_options *options);
int relaycall_token(const struct relaycall_options *options);

// Kinds of options, by which a verb says what it takes.
enum {
	TAKES_RELAY = 1,
	TAKES_KEY = 2,
	TAKES_LISTEN = 4,
	TAKES_SEND = 8,
	TAKES_NETWORK = 16,   // --tokens, --epoch
	TAKES_ID = 32,        // what only id takes
	TAKES_ASKING = 64,    // --ask, --once
	TAKES_PATIENCE = 128, // --timeout
	TAKES_CALL = 256,     // what only call and answer take
	TAKES_ANSWER = 512,
};

// Reads the options of the command line and sets TAKES_ bits of *given; optind is the first word
// then. -1: go on; else the exit code: everything was said.
int relaycall_read_options(
	int argc, char **argv, struct relaycall_options *options, unsigned *given);
// Says what is wrong and where there is help; returns RELAYCALL_USAGE. detail: NULL, none.
int relaycall_wrong_usage(const char *what, const char *detail);
extern const char relaycall_usage[];
// A decimal number, and nothing else, from least to most.
bool relaycall_read_number(const char *text, uint64_t least, uint64_t most, uint64_t *out);

// The identity that the options name, made where there is none; to be wiped. Another exit code:
// said why.
struct identity;
int relaycall_identity(
	const struct relaycall_options *options, struct identity *identity, bool *made);
// The contacts that belong to the identity; to be freed. Another exit code: said why.
struct contacts;
int relaycall_contacts_load(const struct relaycall_options *options, struct contacts *out);
// The contact that a word of the command line means. Another exit code: said why.
int relaycall_contact(
	const struct relaycall_options *options, const char *word, struct endpoint_contact *out);

// "relaycall: ..." and a newline to stderr; returns code.
int relaycall_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
