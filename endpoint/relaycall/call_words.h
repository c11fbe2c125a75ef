// SPDX-License-Identifier: BSD-3-Clause
// Paths and ends of a call in words: those of JSON, which stay, and those for people.
#pragma once

#include "endpoint/phone/phone.h"

#include <stdbool.h>

// "relay", "relay2", "direct".
const char *call_words_path(unsigned number);
// The same for people, of a set: "direct", "relay and direct"; "none".
enum { CALL_WORDS_PATHS_SIZE = 64 };
const char *call_words_paths(uint8_t set, char text[CALL_WORDS_PATHS_SIZE]);
const char *call_words_why(enum phone_path_why why);
// A whole line about a change of path.
enum { CALL_WORDS_LINE_SIZE = 256 };
const char *call_words_change(uint8_t before, uint8_t now, enum phone_path_why why,
	uint64_t since_answer_ms, char text[CALL_WORDS_LINE_SIZE]);

// The own address of a direct path. Sockets are bound to all of them, so where the phone knows the
// port only, the kernel is asked.
const char *call_words_local(const struct phone_path_info *path, char *text, size_t size);

// What an end means: the word of JSON, the words for people, and relaycall's exit code.
struct call_end {
	const char *word, *text;
	int code;
};
struct call_end call_words_end(enum phone_end why);
