// SPDX-License-Identifier: BSD-3-Clause
// See call_record.h.
#include "endpoint/relaycall/call_record.h"

#include "endpoint/relaycall/call_words.h"
#include "endpoint/relaycall/session.h"

#include <jansson.h>
#include <sodium.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// Who has talked with whom is not for everybody on the machine.
static FILE *open_own(const char *path, int how)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | how, 0600);
	FILE *file = fd >= 0 ? fdopen(fd, how == O_APPEND ? "a" : "w") : NULL;

	if (fd >= 0 && file == NULL)
		close(fd);
	return file;
}

int call_record_begin(const char *path)
{
	FILE *file = path != NULL ? open_own(path, O_TRUNC) : NULL;

	if (path != NULL && file == NULL)
		return relaycall_fail(
			RELAYCALL_FAILED, "cannot write %s: %s", path, strerror(errno));
	if (file != NULL)
		fclose(file);
	return RELAYCALL_OK;
}

void call_record_change(struct call_record *record, uint64_t now_ms, uint8_t before, uint8_t now,
	enum phone_path_why why)
{
	unsigned i = record->change_count++;

	if (i >= CALL_RECORD_CHANGES_MAX)
		return;
	record->changes[i].ms = now_ms;
	record->changes[i].before = before;
	record->changes[i].now = now;
	record->changes[i].why = why;
}

// Since the start; null: never.
static json_t *time_of(const struct call_record *r, uint64_t at)
{
	return at == 0 ? json_null() : json_integer((json_int_t)(at - r->start_ms));
}

static json_t *paths_of(uint8_t set)
{
	json_t *array = json_array();
	for (unsigned i = 0; i < PHONE_PATHS; i++)
		if ((set >> i & 1) != 0)
			json_array_append_new(array, json_string(call_words_path(i)));
	return array;
}

static json_t *times(const struct call_record *r)
{
	return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "called", time_of(r, r->start_ms),
		"ringing", time_of(r, r->ringing_ms), "answered", time_of(r, r->answered_ms),
		"sent_direct", time_of(r, r->info.direct_ms), "sent_relay",
		time_of(r, r->info.relay_ms), "heard_direct", time_of(r, r->heard_direct_ms),
		"heard_relay", time_of(r, r->heard_relay_ms), "ended", time_of(r, r->ended_ms));
}

static json_t *changes(const struct call_record *r)
{
	json_t *array = json_array();
	for (unsigned i = 0; i < r->change_count && i < CALL_RECORD_CHANGES_MAX; i++)
		json_array_append_new(
			array, json_pack("{s:o,s:s,s:o,s:o}", "at", time_of(r, r->changes[i].ms),
				       "why", call_words_why(r->changes[i].why), "before",
				       paths_of(r->changes[i].before), "now",
				       paths_of(r->changes[i].now)));
	return array;
}

static json_t *paths(const struct call_record *r, bool addresses)
{
	json_t *array = json_array();
	char local[64], remote[64];

	for (unsigned i = 0; i < PHONE_PATHS; i++) {
		const struct phone_path_info *path = &r->info.path[i];
		if (!path->usable && path->sent == 0 && path->received == 0)
			continue;
		json_t *one = json_pack("{s:s,s:i,s:b,s:i,s:I,s:I}", "path", call_words_path(i),
			"number", (int)i, "usable", path->usable, "round_trip_ms",
			(int)path->round_trip_ms, "sent", (json_int_t)path->sent, "received",
			(json_int_t)path->received);
		if (addresses && i >= 2) {
			json_object_set_new(one, "local",
				json_string(call_words_local(path, local, sizeof(local))));
			json_object_set_new(one, "remote",
				json_string(session_transport_text(
					&path->remote, remote, sizeof(remote))));
		}
		json_array_append_new(array, one);
	}
	return array;
}

static json_t *voice(const struct call_record *r)
{
	const struct voice_statistics *v = &r->voice;
	const struct {
		const char *name;
		uint64_t value;
	} counts[] = {
		{"sent", r->sent},
		{"unsent", r->unsent},
		{"received", v->received},
		{"played", v->played},
		{"lost", v->lost},
		{"late", v->late},
		{"recovered", v->recovered},
		{"concealed", v->concealed},
		{"skipped", v->skipped},
		{"dropped", v->dropped},
		{"duplicates", v->duplicates},
		{"malformed", v->malformed},
		{"strays", v->strays},
		{"gaps", v->gaps},
		{"longest_gap_ms", v->longest_gap_ms},
		{"invented_ms", v->invented_ms},
		{"stretched_ms", v->stretched_ms},
		{"shortened_ms", v->shortened_ms},
		{"buffer_delay_ms", v->buffer_delay_ms},
	};
	json_t *object = json_object();

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		json_object_set_new(
			object, counts[i].name, json_integer((json_int_t)counts[i].value));
	json_object_set_new(object, "longest_gap_at",
		v->longest_gap_ms > 0 ? time_of(r, v->longest_gap_at_ms) : json_null());
	json_object_set_new(object, "jitter_ms", json_real(v->jitter_ms));
	return object;
}

static json_t *counters(const struct call_record *r)
{
	json_t *object = json_object();
	for (unsigned i = 0; i < PHONE_COUNTER_COUNT; i++)
		if (r->counters[i] > 0)
			json_object_set_new(object, phone_counter_name((enum phone_counter)i),
				json_integer((json_int_t)r->counters[i]));
	return object;
}

json_t *call_record_json(const struct call_record *record, bool addresses)
{
	char key[48];

	sodium_bin2base64(key, sizeof(key), record->identity_key, ENDPOINT_KEY_SIZE,
		sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	return json_pack("{s:s,s:{s:s,s:s,s:b},s:I,s:I,s:o,s:s,s:o,s:i,s:I,s:I,s:o,s:o,s:o}",
		"direction", record->incoming ? "incoming" : "outgoing", "peer", "name",
		record->name, "identity", key, "known", record->known, "start_wall_ms",
		(json_int_t)record->start_wall_ms, "start_monotonic_ms",
		(json_int_t)record->start_ms, "ms", times(record), "ended",
		record->ended != NULL ? record->ended : "unknown", "changes", changes(record),
		"switches", (int)record->info.switches, "rejected",
		(json_int_t)record->info.rejected, "replays", (json_int_t)record->info.replays,
		"paths", paths(record, addresses), "voice", voice(record), "counters",
		counters(record));
}

int call_record_append(const struct call_record *record, bool addresses, const char *path)
{
	FILE *file = open_own(path, O_APPEND);
	if (file == NULL)
		return -errno;
	json_t *object = call_record_json(record, addresses);
	int result = object != NULL && json_dumpf(object, file, JSON_COMPACT) == 0 &&
				     fputc('\n', file) != EOF
			     ? 0
			     : -EIO;
	json_decref(object);
	if (fclose(file) != 0 && result == 0)
		result = -errno;
	return result;
}
