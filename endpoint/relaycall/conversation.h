// SPDX-License-Identifier: BSD-3-Clause
// The voice of one call: sound is read, encoded and given to the phone every 20 ms, and what the
// phone gives is decoded and written every 20 ms, both by the clock, which no late timer moves.
// Keeps the record of the call.
#pragma once

#include "endpoint/relaycall/beat.h"
#include "endpoint/relaycall/call_record.h"
#include "endpoint/relaycall/call_view.h"
#include "endpoint/voice/audio.h"

#include <uv.h>

struct conversation {
	const struct relaycall_options *options;
	uv_loop_t *loop;
	struct phone *phone;
	struct call_view *view;
	struct audio_source *source; // NULL: not open
	struct audio_sink *sink;
	struct voice_sender *sender;
	struct voice_receiver *receiver;
	uv_timer_t timer;
	uint64_t call; // 0: not talking
	bool live;     // the source is a device: what is said before there is a path is gone
	bool has_path; // there was one; a file begins then
	bool source_over, sink_failed;
	struct beat sending, playing;
	uint64_t look_at, end_at;
	struct call_record record;
	// It is to end by itself (--duration, --hangup-at-end).
	void (*over)(void *context);
	void *context;
};

void conversation_begin(struct conversation *conversation, const struct relaycall_options *options,
	uv_loop_t *loop, struct phone *phone, struct call_view *view, void (*over)(void *context),
	void *context);
// Opens where sound comes from and goes to, of the number-th call (from 1). False: said why.
bool conversation_open(struct conversation *conversation, unsigned number);
// Whether conversation_open would do, before anybody calls.
bool conversation_check(struct conversation *conversation);
// A new record: called now, or by somebody.
void conversation_record(struct conversation *conversation, bool incoming,
	const uint8_t identity_key[ENDPOINT_KEY_SIZE], const char *name, bool known);
// The call was answered.
void conversation_start(struct conversation *conversation, uint64_t call);
// PHONE_PATH, PHONE_LOSS and PHONE_VOICE.
void conversation_path(struct conversation *conversation, const struct phone_event *event);
void conversation_loss(struct conversation *conversation, const struct phone_event *event);
void conversation_voice(struct conversation *conversation, const struct phone_event *event);
// The call is over, or is going to be: what was received is written, everything closed, the record
// shown and kept. word, text: call_words.h.
void conversation_end(struct conversation *conversation, const char *word, const char *text);
// Closes the timer.
void conversation_close(struct conversation *conversation);
