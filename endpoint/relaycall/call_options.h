// SPDX-License-Identifier: BSD-3-Clause
// The options of `call` and `answer`.
#pragma once

#include "endpoint/relaycall/relaycall.h"

enum {
	CALL_OPTION_IN = 512,
	CALL_OPTION_OUT,
	CALL_OPTION_DEVICE,
	CALL_OPTION_STATS,
	CALL_OPTION_RELAY_ONLY,
	CALL_OPTION_RELAY_AFTER,
	CALL_OPTION_DURATION,
	CALL_OPTION_HANGUP_AT_END,
	CALL_OPTION_AUTO,
	CALL_OPTION_KNOWN,
	CALL_OPTION_END,
};

// Rows of a struct option array.
#define CALL_OPTIONS                                                                               \
	{"in", required_argument, NULL, CALL_OPTION_IN},                                           \
		{"out", required_argument, NULL, CALL_OPTION_OUT},                                 \
		{"device", required_argument, NULL, CALL_OPTION_DEVICE},                           \
		{"stats", required_argument, NULL, CALL_OPTION_STATS},                             \
		{"relay-only", no_argument, NULL, CALL_OPTION_RELAY_ONLY},                         \
		{"relay-after", required_argument, NULL, CALL_OPTION_RELAY_AFTER},                 \
		{"duration", required_argument, NULL, CALL_OPTION_DURATION},                       \
		{"hangup-at-end", no_argument, NULL, CALL_OPTION_HANGUP_AT_END},                   \
		{"auto", no_argument, NULL, CALL_OPTION_AUTO},                                     \
	{                                                                                          \
		"known", no_argument, NULL, CALL_OPTION_KNOWN                                      \
	}

// One of them: what was given is noted. -1: fine; else the exit code.
int call_option_read(
	int c, const char *argument, struct relaycall_options *options, unsigned *given);
// What contradicts itself. The same results.
int call_options_check(const struct relaycall_options *options);
