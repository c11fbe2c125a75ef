// SPDX-License-Identifier: BSD-3-Clause
// What is noted of one call, and what becomes of it: a line of JSON for scripts (relaycall(1),
// "STATISTICS"). Plain functions.
#pragma once

#include "endpoint/phone/phone.h"
#include "endpoint/voice/voice.h"

enum { CALL_RECORD_CHANGES_MAX = 256, CALL_RECORD_NAME_SIZE = 65 };

// Times are monotonic ms; 0: it did not happen.
struct call_record {
	bool incoming, known;
	char name[CALL_RECORD_NAME_SIZE];
	uint8_t identity_key[ENDPOINT_KEY_SIZE];
	uint64_t start_wall_ms,
		start_ms; // called, or called by somebody: all other times count from it
	uint64_t ringing_ms, answered_ms, ended_ms;
	// First voice that was heard on each.
	uint64_t heard_direct_ms, heard_relay_ms;
	struct {
		uint64_t ms;
		uint8_t before, now;
		enum phone_path_why why;
	} changes[CALL_RECORD_CHANGES_MAX];
	unsigned change_count; // also of those that were not kept
	struct phone_call_info info;
	struct voice_statistics voice;
	uint64_t sent, unsent;                  // frames; unsent: there was no path
	uint64_t counters[PHONE_COUNTER_COUNT]; // of the phone, since it was made
	const char *ended;                      // one of call_words.h
};

void call_record_change(struct call_record *record, uint64_t now_ms, uint8_t before, uint8_t now,
	enum phone_path_why why);

// Makes a file empty that records are going to be added to, a new one for its owner alone; NULL:
// none. An exit code; said why.
int call_record_begin(const char *path);

struct json_t;
// A new reference. addresses: those of the direct path, too.
struct json_t *call_record_json(const struct call_record *record, bool addresses);
// Adds it to a file as a line. 0 or a negative errno.
int call_record_append(const struct call_record *record, bool addresses, const char *path);
