// SPDX-License-Identifier: BSD-3-Clause
// What is shown of calls while they go on: a line, or an object of JSON, on stdout for each thing
// that happens; and below the lines, where stderr is a terminal, one that says how the call is.
#pragma once

#include "endpoint/relaycall/call_record.h"
#include "endpoint/relaycall/relaycall.h"

struct call_view {
	bool json, verbose;
	bool terminal; // stderr is one
	bool shown;    // the lowest line is
	uint64_t status_at;
};

void call_view_begin(struct call_view *view, const struct relaycall_options *options);
// For people. No newline in it.
void call_view_line(struct call_view *view, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
// For people, too: of a terminal only, and without a newline; the next line takes its place.
void call_view_clear(struct call_view *view);

// {"event": what}, "peer" and "name", and what `more` holds (NULL: nothing; takes the reference).
// Nothing without -j.
struct json_t;
void call_view_event(struct call_view *view, const char *what, const struct call_record *record,
	struct json_t *more);

// The last of record->changes.
void call_view_change(struct call_view *view, const struct call_record *record);
// How it goes: at most once a second.
void call_view_status(struct call_view *view, const struct call_record *record, uint64_t now_ms);
// What became of a call; `end`: in words, of one that was answered.
void call_view_end(struct call_view *view, const struct call_record *record, const char *end);
