// SPDX-License-Identifier: BSD-3-Clause
// See call_options.h.
#include "endpoint/relaycall/call_options.h"

#include <string.h>

enum { RELAY_AFTER_MAX_MS = 60000, DURATION_MAX_S = 7 * 86400 };

static int read_sound_option(int c, const char *argument, struct relaycall_options *o)
{
	if (argument[0] == 0)
		return relaycall_wrong_usage("a name is empty", NULL);
	switch (c) {
	case CALL_OPTION_IN:
		o->in = argument;
		return -1;
	case CALL_OPTION_OUT:
		o->out = argument;
		return -1;
	case CALL_OPTION_DEVICE:
		o->device = argument;
		return -1;
	default:
		o->stats = argument;
		return -1;
	}
}

int call_option_read(
	int c, const char *argument, struct relaycall_options *options, unsigned *given)
{
	struct relaycall_options *o = options;
	uint64_t number;

	*given |= c == CALL_OPTION_AUTO || c == CALL_OPTION_KNOWN ? TAKES_ANSWER : TAKES_CALL;
	switch (c) {
	case CALL_OPTION_IN:
	case CALL_OPTION_OUT:
	case CALL_OPTION_DEVICE:
	case CALL_OPTION_STATS:
		return read_sound_option(c, argument, o);
	case CALL_OPTION_RELAY_ONLY:
		o->relay_only = true;
		return -1;
	case CALL_OPTION_RELAY_AFTER:
		if (!relaycall_read_number(argument, 0, RELAY_AFTER_MAX_MS, &number))
			return relaycall_wrong_usage(
				"--relay-after wants milliseconds from 0 to 60000", argument);
		o->has_relay_after = true;
		o->relay_after_ms = (unsigned)number;
		return -1;
	case CALL_OPTION_DURATION:
		if (!relaycall_read_number(argument, 1, DURATION_MAX_S, &number))
			return relaycall_wrong_usage(
				"--duration wants seconds from 1 to 604800", argument);
		o->duration_ms = number * 1000;
		return -1;
	case CALL_OPTION_HANGUP_AT_END:
		o->hangup_at_end = true;
		return -1;
	case CALL_OPTION_AUTO:
		o->automatic = true;
		return -1;
	default:
		o->known_only = true;
		return -1;
	}
}

int call_options_check(const struct relaycall_options *options)
{
	const struct relaycall_options *o = options;

	if (o->automatic && o->ask)
		return relaycall_wrong_usage("either --auto or --ask", NULL);
	if (o->device != NULL && o->in != NULL && o->out != NULL)
		return relaycall_wrong_usage(
			"--device is for what --in and --out do not name: give one of them less",
			NULL);
	if (o->hangup_at_end && o->in == NULL)
		return relaycall_wrong_usage(
			"--hangup-at-end: a microphone has no end: --in FILE", NULL);
	if (o->relay_only && o->has_relay_after)
		return relaycall_wrong_usage(
			"--relay-only waits for no direct path: leave --relay-after out", NULL);
	return -1;
}
