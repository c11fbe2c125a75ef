// SPDX-License-Identifier: BSD-3-Clause
// How tokens are asked for and issued: two small text files that can be carried by any means, and
// the lines that they and a holder's own files are made of. All binary is base64url without
// padding.
//
//     blindrelay-token-request 1          blindrelay-token-answer 1
//     BLINDED                             key KEY-ID (8 hexadecimal digits)
//     ... 1 to 64 lines                   public PUBLIC-KEY
//                                         proof PROOF
//                                         EVALUATED
//                                         ... as many, in the request's order
//
// Lines end with a newline, which a carriage return may precede; empty lines and lines that begin
// with # are skipped. Anything else that is not as above makes the whole file wrong. Any content
// may be parsed. No state, any thread.
#pragma once

#include "lib/crypto/voprf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	TOKEN_TEXT_MAX = 16384, // bytes of a file of either kind, more than either needs
};

struct token_request {
	unsigned count; // 1 to VOPRF_BATCH_MAX
	struct voprf_element blinded[VOPRF_BATCH_MAX];
};

struct token_answer {
	uint32_t key_id;
	uint8_t public_key[VOPRF_ELEMENT_SIZE];
	uint8_t proof[VOPRF_PROOF_SIZE];
	unsigned count;
	struct voprf_element evaluated[VOPRF_BATCH_MAX];
};

// 0 and *out; -EPROTONOSUPPORT: another version; -EBADMSG. *line is where it stopped. Elements are
// any 32 bytes: the VOPRF looks closer. An answer's key id is its public key's (token_key_id).
int token_request_parse(const char *text, size_t size, struct token_request *out, unsigned *line);
int token_answer_parse(const char *text, size_t size, struct token_answer *out, unsigned *line);

// Writes the terminated text and returns its length; 0 when it does not fit (TOKEN_TEXT_MAX is
// enough).
size_t token_request_build(char *out, size_t room, const struct token_request *in);
size_t token_answer_build(char *out, size_t room, const struct token_answer *in);

// ---- lines, for files of the same kind ----

struct token_lines {
	const char *at, *end;          // what was not read
	unsigned line;                 // the last one read, from 1
	const char *field, *field_end; // of that line, not read yet
};

// To the next line that counts; false: there is none. A line that is too long to be one ends it
// too.
bool token_lines_next(struct token_lines *lines);
// The first line: "NAME 1". 0, -EPROTONOSUPPORT, -EBADMSG.
int token_lines_header(struct token_lines *lines, const char *name);
// The next field of the line, which single blanks separate: a word that must be this one; bytes,
// that must be so many; a key id. False when it is something else.
bool token_lines_word(struct token_lines *lines, const char *word);
bool token_lines_bytes(struct token_lines *lines, void *out, size_t size);
bool token_lines_key_id(struct token_lines *lines, uint32_t *key_id);
// Whether the line has been read whole.
bool token_lines_over(const struct token_lines *lines);

// Text that grows to room and then stays as it is, with room 0.
struct token_writer {
	char *at;
	size_t room; // with the end's zero
};

void token_write(struct token_writer *writer, const char *text);
void token_write_bytes(struct token_writer *writer, const void *bytes, size_t size);
void token_write_key_id(struct token_writer *writer, uint32_t key_id);
