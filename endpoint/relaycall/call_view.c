// SPDX-License-Identifier: BSD-3-Clause
// See call_view.h.
#include "endpoint/relaycall/call_view.h"

#include "endpoint/relaycall/call_words.h"
#include "endpoint/relaycall/session.h"

#include <jansson.h>
#include <sodium.h>

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

enum { STATUS_MS = 1000 };

void call_view_begin(struct call_view *view, const struct relaycall_options *options)
{
	*view = (struct call_view){
		.json = options->json,
		.verbose = options->verbose,
		.terminal = !options->json && isatty(STDERR_FILENO),
	};
}

void call_view_clear(struct call_view *view)
{
	if (view->shown)
		fputs("\r\033[K", stderr);
	view->shown = false;
}

void call_view_line(struct call_view *view, const char *format, ...)
{
	va_list list;

	if (view->json)
		return;
	call_view_clear(view);
	va_start(list, format);
	vprintf(format, list);
	va_end(list);
	putchar('\n');
	fflush(stdout);
}

void call_view_event(struct call_view *view, const char *what, const struct call_record *record,
	struct json_t *more)
{
	char key[48];

	if (!view->json) {
		json_decref(more);
		return;
	}
	json_t *object = json_pack("{s:s}", "event", what);
	if (record != NULL) {
		sodium_bin2base64(key, sizeof(key), record->identity_key, ENDPOINT_KEY_SIZE,
			sodium_base64_VARIANT_URLSAFE_NO_PADDING);
		json_object_set_new(object, "name", json_string(record->name));
		json_object_set_new(object, "peer", json_string(key));
	}
	if (more != NULL)
		json_object_update(object, more);
	json_decref(more);
	session_print_json(object);
}

// The direct pair, of those who want to know.
static void show_addresses(struct call_view *view, const struct call_record *record, uint8_t now)
{
	char local[64], remote[64];

	for (unsigned i = 2; i < PHONE_PATHS; i++) {
		const struct phone_path_info *path = &record->info.path[i];
		if (!view->verbose || (now >> i & 1) == 0 || path->remote.family == 0)
			continue;
		session_transport_text(&path->remote, remote, sizeof(remote));
		if (path->local.port == 0) // not seen by the peer yet
			call_view_line(view, "      to %s", remote);
		else
			call_view_line(view, "      from %s to %s, %u ms round trip",
				call_words_local(path, local, sizeof(local)), remote,
				path->round_trip_ms);
	}
}

void call_view_change(struct call_view *view, const struct call_record *record)
{
	char line[CALL_WORDS_LINE_SIZE], old[CALL_WORDS_PATHS_SIZE], new[CALL_WORDS_PATHS_SIZE];

	if (record->change_count == 0 || record->change_count > CALL_RECORD_CHANGES_MAX)
		return;
	uint64_t at = record->changes[record->change_count - 1].ms;
	uint8_t before = record->changes[record->change_count - 1].before;
	uint8_t now = record->changes[record->change_count - 1].now;
	enum phone_path_why why = record->changes[record->change_count - 1].why;
	uint64_t since = record->answered_ms == 0 ? 0 : at - record->answered_ms;
	call_view_event(view, "path", record,
		view->json ? json_pack("{s:s,s:s,s:s,s:I}", "before", call_words_paths(before, old),
				     "now", call_words_paths(now, new), "why", call_words_why(why),
				     "ms_since_answer", (json_int_t)since)
			   : NULL);
	call_view_line(view, "%s", call_words_change(before, now, why, since, line));
	show_addresses(view, record, now);
}

static unsigned round_trip(const struct call_record *record)
{
	for (unsigned i = PHONE_PATHS; i-- > 0;) // the direct one first
		if ((record->info.paths >> i & 1) != 0 && record->info.path[i].round_trip_ms > 0)
			return record->info.path[i].round_trip_ms;
	return 0;
}

void call_view_status(struct call_view *view, const struct call_record *record, uint64_t now_ms)
{
	char paths[CALL_WORDS_PATHS_SIZE];
	const struct voice_statistics *v = &record->voice;
	unsigned seconds = (unsigned)((now_ms - record->answered_ms) / 1000);

	if (now_ms < view->status_at)
		return;
	view->status_at = now_ms + STATUS_MS;
	call_words_paths(record->info.paths, paths);
	call_view_event(view, "status", record,
		view->json
			? json_pack("{s:i,s:s,s:i,s:i,s:f,s:i,s:I,s:I,s:I}", "seconds",
				  (int)seconds, "paths", paths, "round_trip_ms",
				  (int)round_trip(record), "loss_percent", (int)v->loss_percent,
				  "jitter_ms", v->jitter_ms, "buffer_delay_ms",
				  (int)v->buffer_delay_ms, "sent", (json_int_t)record->sent,
				  "received", (json_int_t)v->received, "lost", (json_int_t)v->lost)
			: NULL);
	if (!view->terminal)
		return;
	fprintf(stderr,
		"\r\033[K%u:%02u  %s  round trip %u ms  loss %u %%  jitter %.0f ms  delay %u ms",
		seconds / 60, seconds % 60, paths, round_trip(record), v->loss_percent,
		v->jitter_ms, v->buffer_delay_ms);
	fflush(stderr);
	view->shown = true;
}

void call_view_end(struct call_view *view, const struct call_record *record, const char *end)
{
	const struct voice_statistics *v = &record->voice;
	unsigned long long gone = v->lost + v->late;

	call_view_event(view, "ended", record,
		view->json ? json_pack("{s:s,s:o}", "why", record->ended, "call",
				     call_record_json(record, view->verbose))
			   : NULL);
	call_view_clear(view);
	if (record->answered_ms == 0)
		return;
	call_view_line(view, "%s, after %.1f s", end,
		(double)(record->ended_ms - record->answered_ms) / 1000);
	call_view_line(view,
		"%llu frames sent, %llu heard, %llu lost or late, %llu of these recovered; longest "
		"gap %llu ms, %u changes of path",
		(unsigned long long)record->sent, (unsigned long long)v->received, gone,
		(unsigned long long)v->recovered, (unsigned long long)v->longest_gap_ms,
		record->info.switches);
}
