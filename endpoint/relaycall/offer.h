// SPDX-License-Identifier: BSD-3-Clause
// What relaycall offers in a call, sealed for the callee: one thing of a size, with a name.
//
//     version 1: 1    kind 1: 't' text, 'f' file    size 8, big endian    name, UTF-8
//
// What begins with 'V' is no such offer but a call with voice (endpoint/phone).
// A text by address is the same header with the text in the place of the name. Plain functions.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OFFER_HEADER = 10, OFFER_NAME_MAX = 255, OFFER_TEXT_MAX = 65536 };

enum offer_kind { OFFER_TEXT = 't', OFFER_FILE = 'f' };

struct offer {
	enum offer_kind kind;
	uint64_t size;
	char name[OFFER_NAME_MAX + 1];
};

// Returns the size of what was written: at most OFFER_HEADER + OFFER_NAME_MAX.
size_t offer_build(uint8_t *out, const struct offer *offer);
// False: it is none that we know. The name is made safe: one component of a path, not hidden,
// without control characters; "file" where nothing is left.
bool offer_parse(const uint8_t *data, size_t size, struct offer *out);

// Whether it is a call with voice: another program of the same person's is asked, too, and answers.
bool offer_is_voice(const uint8_t *data, size_t size);

// Makes text fit to be shown on a terminal: whatever could command it, turns the direction of
// reading, or is no UTF-8, becomes '?'. In place. Newlines and tabs stay if wanted.
void offer_printable(char *text, bool lines);
