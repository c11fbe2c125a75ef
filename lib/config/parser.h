// SPDX-License-Identifier: BSD-3-Clause
// What the section parsers of lib/config share: the parser's state, the key tables, and the one way
// to report an error. Private to lib/config. A parse runs on one thread; the first error ends it.
#pragma once

#include "lib/config/config.h"

#include <stdbool.h>
#include <stddef.h>

enum {
	CONFIG_LINE_MAX = 1000,       // bytes of one line, without its end
	CONFIG_FILE_MAX = 1024 * 1024 // bytes of the file
};

// Every key of the file: names the line on which it stands, for checks that need several keys.
enum config_key_id {
	CONFIG_KEY_NODE_NAME,
	CONFIG_KEY_NODE_STATE,
	CONFIG_KEY_NODE_RUN,
	CONFIG_KEY_DATAPLANE_PORT,
	CONFIG_KEY_DATAPLANE_WORKERS,
	CONFIG_KEY_DATAPLANE_CORES,
	CONFIG_KEY_DATAPLANE_HUGEPAGES,
	CONFIG_KEY_DATAPLANE_MEMORY,
	CONFIG_KEY_DATAPLANE_MAPPINGS,
	CONFIG_KEY_DATAPLANE_ALLOCATIONS,
	CONFIG_KEY_DATAPLANE_IDLE,
	CONFIG_KEY_ADDRESS_LISTEN,
	CONFIG_KEY_ADDRESS_PORT,
	CONFIG_KEY_ADDRESS_ALTERNATE_PORT,
	CONFIG_KEY_ADDRESS_RELAY_PORTS,
	CONFIG_KEY_TURN_REALM,
	CONFIG_KEY_TURN_AUTH,
	CONFIG_KEY_TURN_SECRET,
	CONFIG_KEY_TURN_USER,
	CONFIG_KEY_TURN_CHANNELS,
	CONFIG_KEY_TURN_MAX_LIFETIME,
	CONFIG_KEY_TURN_QUOTA,
	CONFIG_KEY_TURN_PREFIX_QUOTA,
	CONFIG_KEY_PEERS_ALLOW,
	CONFIG_KEY_PEERS_DENY,
	CONFIG_KEY_GUARD_BLOCK,
	CONFIG_KEY_GUARD_ALLOW,
	CONFIG_KEY_GUARD_REPLY_BYTES,
	CONFIG_KEY_GUARD_PUNTS,
	CONFIG_KEY_GUARD_PUNTS_WITH_ALLOCATION,
	CONFIG_KEY_GUARD_PUNTS_TOTAL,
	CONFIG_KEY_GUARD_NEW_ALLOCATIONS,
	CONFIG_KEY_REGISTRATION_ENABLED,
	CONFIG_KEY_REGISTRATION_ADMISSION,
	CONFIG_KEY_REGISTRATION_LEASE,
	CONFIG_KEY_REGISTRATION_KEEPALIVE,
	CONFIG_KEY_REGISTRATION_EPOCH,
	CONFIG_KEY_REGISTRATION_LEASES,
	CONFIG_KEY_REGISTRATION_HANDLES,
	CONFIG_KEY_REGISTRATION_SENDER_BYTES,
	CONFIG_KEY_REGISTRATION_ADDRESS_BYTES,
	CONFIG_KEY_REGISTRATION_NEW_LEASES,
	CONFIG_KEY_REGISTRATION_PUZZLE_ABOVE,
	CONFIG_KEY_TOKENS_ISSUE,
	CONFIG_KEY_TOKENS_SPENT,
	CONFIG_KEY_COUNT,
};

enum config_section_id {
	CONFIG_SECTION_NODE,
	CONFIG_SECTION_DATAPLANE,
	CONFIG_SECTION_ADDRESS,
	CONFIG_SECTION_TURN,
	CONFIG_SECTION_PEERS,
	CONFIG_SECTION_GUARD,
	CONFIG_SECTION_REGISTRATION,
	CONFIG_SECTION_TOKENS,
	CONFIG_SECTION_COUNT,
};

struct config_parser {
	struct config *config;
	const char *file; // as it appears in errors
	char *error;      // CONFIG_ERROR_SIZE bytes of the caller's
	int failure;      // 0, or the negative errno of the first error
	unsigned line;    // of what is being looked at, from 1
	enum config_section_id section;
	const char *key;                             // NULL: the section as a whole
	unsigned key_line[CONFIG_KEY_COUNT];         // 0: not given; the first when repeated
	unsigned section_line[CONFIG_SECTION_COUNT]; // 0: not given
	unsigned port_line[CONFIG_PORTS_MAX];        // line of each port =
	unsigned listen_line[CONFIG_LISTEN_MAX];     // line of each listen =
};

// value: never empty, no control characters, no blanks around it.
struct config_key {
	const char *name;
	enum config_key_id id;
	bool repeatable;
	void (*parse)(struct config_parser *parser, const char *value);
};

struct config_section {
	const char *name;
	const struct config_key *keys;
	unsigned key_count;
};

extern const struct config_section config_section_node;
extern const struct config_section config_section_dataplane;
extern const struct config_section config_section_address;
extern const struct config_section config_section_turn;
extern const struct config_section config_section_peers;
extern const struct config_section config_section_guard;
extern const struct config_section config_section_registration;
extern const struct config_section config_section_tokens;

// The sections in the order of enum config_section_id.
const struct config_section *config_section_at(enum config_section_id id);

// Notes the error at the parser's current line, section and key. The format's text is "what is
// wrong; expected what". Only the first one counts. Secrets never go into it.
void config_fail(struct config_parser *parser, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

// The same for a key given earlier (or missing: then the section's line, or the last one).
void config_fail_key(struct config_parser *parser, enum config_key_id id, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

// Runs the text (of `length` bytes, any content) through libinih into the section parsers.
void config_read_text(struct config_parser *parser, const char *text, size_t length);

// Contradictions between keys and keys that must be there; fills defaults that depend on others.
void config_check(struct config_parser *parser);

// ---- values ----

// Decimal digits only. False, with the error noted, when it is no number in [least, most].
bool config_number(struct config_parser *parser, const char *text, unsigned least, unsigned most,
	unsigned *out);

// Copies a value that must fit; false with the error noted. what: names it in the error.
bool config_copy(
	struct config_parser *parser, const char *value, char *out, size_t size, const char *what);

// An absolute path without trailing slash, shorter than `most` bytes.
bool config_path(struct config_parser *parser, const char *value, char out[static CONFIG_PATH_SIZE],
	size_t most);

// Index of value in choices (ended by NULL), or -1.
int config_choice(const char *value, const char *const *choices);

// Whether the text is well-formed UTF-8 (RFC 3629).
bool config_text_is_utf8(const char *text);

// "af_xdp:eth0", ...: see struct config_port.
void config_port_parse(struct config_parser *parser, const char *value);
