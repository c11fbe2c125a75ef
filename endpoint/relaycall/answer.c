// SPDX-License-Identifier: BSD-3-Clause
// relaycall answer: is reachable for calls, one at a time, until it is told to stop.
#include "endpoint/relaycall/call_words.h"
#include "endpoint/relaycall/calling.h"
#include "endpoint/relaycall/conversation.h"
#include "endpoint/relaycall/question.h"
#include "endpoint/relaycall/refusal.h"
#include "endpoint/relaycall/session.h"

#include <jansson.h>
#include <sodium.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct answering {
	struct calling calling;
	struct call_view view;
	struct conversation conversation;
	struct questions questions;
	uint64_t ringing, talking; // calls; 0: none
	struct {
		uint8_t identity_key[ENDPOINT_KEY_SIZE];
		struct endpoint_peer peer;
		bool noted;
	} caller;
	unsigned answered; // calls so far
	bool registered[PHONE_CORES_MAX];
	char seen_as[PHONE_CORES_MAX][64];
};

// ---- a call ----

static void over_with(struct answering *a, struct call_end end)
{
	bool talked = a->talking != 0;

	a->ringing = a->talking = 0;
	conversation_end(&a->conversation, end.word, end.text);
	if (!talked)
		call_view_line(&a->view, "%s: %s", a->conversation.record.name, end.text);
	else if (a->calling.options->once)
		calling_finish(&a->calling, end.code);
}

static void hang_up(struct answering *a)
{
	uint64_t call = a->talking != 0 ? a->talking : a->ringing;

	if (call == 0)
		return;
	phone_hangup(a->calling.phone, call, phone_driver_now());
	over_with(a, a->talking != 0
			     ? (struct call_end){"by_self", "hung up", RELAYCALL_OK}
			     : (struct call_end){"declined_here", "declined", RELAYCALL_OK});
}

static void over(void *context)
{
	hang_up(context);
}

static void take(struct answering *a)
{
	uint64_t call = a->ringing;

	if (!conversation_open(&a->conversation, a->answered + 1)) {
		hang_up(a);
		return;
	}
	a->answered++;
	a->ringing = 0;
	a->talking = call;
	if (phone_answer(a->calling.phone, call, phone_driver_now()) != 0)
		over_with(a,
			(struct call_end){"cancelled", "the caller has given up", RELAYCALL_PEER});
}

static void on_answer(void *context, uint64_t call, bool yes)
{
	struct answering *a = context;

	if (call != a->ringing)
		return;
	if (yes)
		take(a);
	else
		hang_up(a);
}

static void incoming(struct answering *a, const struct phone_event *event)
{
	char name[CALLING_NAME_SIZE], text[QUESTION_SIZE], print[CONTACTS_FINGERPRINT_SIZE];
	const uint8_t *key = event->incoming.identity_key;
	bool known = event->incoming.trust == PHONE_KNOWN;

	calling_name(&a->calling, key, name);
	if (a->ringing != 0 || a->talking != 0) {
		phone_hangup(a->calling.phone, event->call, phone_driver_now());
		call_view_event(&a->view, "busy", NULL,
			a->view.json ? json_pack("{s:s}", "name", name) : NULL);
		call_view_line(&a->view, "%s has called meanwhile and was declined", name);
		return;
	}
	a->ringing = event->call;
	memcpy(a->caller.identity_key, key, ENDPOINT_KEY_SIZE);
	a->caller.peer = *event->incoming.peer;
	a->caller.noted = false;
	conversation_record(&a->conversation, true, key, name, known);
	a->conversation.record.ringing_ms = a->conversation.record.start_ms;
	call_view_event(&a->view, "incoming", &a->conversation.record,
		a->view.json ? json_pack("{s:b}", "known", known) : NULL);
	if (known)
		snprintf(text, sizeof(text), "%s calls.", name);
	else
		snprintf(text, sizeof(text), "Somebody calls who is none of your contacts (%s).",
			contacts_fingerprint(key, print));
	if (a->calling.options->automatic) {
		call_view_line(&a->view, "%s", text);
		take(a);
	} else if (!questions_ask(&a->questions, event->call, text)) {
		hang_up(a);
	}
}

static void ended(struct answering *a, const struct phone_event *event)
{
	questions_forget(&a->questions, event->call);
	over_with(a, call_words_end(event->ended.why));
}

// A first message may be an old one that somebody has kept; what comes in the session cannot.
static void proven(struct answering *a)
{
	if (a->caller.noted)
		return;
	a->caller.noted = true;
	calling_note_place(&a->calling, a->caller.identity_key, &a->caller.peer);
}

// ---- relays ----

static const char *relay_text(const struct answering *a, size_t number)
{
	return number < a->calling.relay_count ? a->calling.relay_text[number] : "of the caller";
}

static void registered(struct answering *a, const struct phone_event *event)
{
	const struct endpoint_event *inner = event->relay.inner;
	size_t number = event->relay.number;
	char seen[64], key[64];

	if (number >= PHONE_CORES_MAX)
		return;
	a->registered[number] = true;
	session_transport_text(&inner->registered.observed, seen, sizeof(seen));
	if (strcmp(seen, a->seen_as[number]) == 0)
		return;
	memcpy(a->seen_as[number], seen, sizeof(seen));
	sodium_bin2base64(key, sizeof(key), inner->registered.relay_key, ENDPOINT_KEY_SIZE,
		sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	call_view_event(&a->view, "registered", NULL,
		a->view.json ? json_pack("{s:s,s:s,s:I,s:s}", "relay", relay_text(a, number),
				       "seen_as", seen, "lifetime",
				       (json_int_t)inner->registered.lifetime, "relay_key", key)
			     : NULL);
	call_view_line(&a->view, "registered at %s, seen as %s, for %u s at a time",
		relay_text(a, number), seen, inner->registered.lifetime);
}

static void trouble(struct answering *a, const struct phone_event *event)
{
	const struct endpoint_event *inner = event->relay.inner;
	const char *relay = relay_text(a, event->relay.number);
	bool any = false;

	call_view_clear(&a->view);
	if (inner->type != ENDPOINT_REFUSED) {
		relaycall_fail(0, "no answer from relay %s; trying on", relay);
		return;
	}
	// The next epoch's address can wait where one is held already, and one relay of two is
	// enough.
	bool hopeless = refusal_tell(relay, inner);
	for (unsigned i = 0; i < PHONE_CORES_MAX; i++)
		any = any || a->registered[i];
	if (hopeless && !any && a->calling.relay_count == 1)
		calling_finish(&a->calling, RELAYCALL_UNREACHABLE);
}

// ---- hooks ----

static void on_event(struct calling *calling, const struct phone_event *event)
{
	struct answering *a = calling->context;
	bool ours = event->call != 0 && (event->call == a->talking || event->call == a->ringing);

	switch (event->type) {
	case PHONE_REGISTERED:
		registered(a, event);
		break;
	case PHONE_TROUBLE:
		trouble(a, event);
		break;
	case PHONE_INCOMING:
		incoming(a, event);
		break;
	case PHONE_ANSWERED:
		if (!ours)
			break;
		conversation_start(&a->conversation, event->call);
		call_view_event(&a->view, "answered", &a->conversation.record, NULL);
		call_view_line(&a->view, "talking with %s; Ctrl-C hangs up and ends",
			a->conversation.record.name);
		break;
	case PHONE_VOICE:
		if (!ours)
			break;
		proven(a);
		conversation_voice(&a->conversation, event);
		break;
	case PHONE_PATH:
		if (ours)
			conversation_path(&a->conversation, event);
		break;
	case PHONE_LOSS:
		if (ours)
			conversation_loss(&a->conversation, event);
		break;
	case PHONE_ENDED:
		if (ours)
			ended(a, event);
		break;
	default: // lines and files are for `listen`, another device of the same address
		break;
	}
}

static void on_interrupted(struct calling *calling)
{
	hang_up(calling->context);
	calling_finish(calling, RELAYCALL_OK);
}

static void on_ended(struct calling *calling)
{
	struct answering *a = calling->context;

	questions_end(&a->questions);
	conversation_close(&a->conversation);
}

static int run(struct answering *a, const struct relaycall_options *options)
{
	a->calling.context = a;
	a->calling.event = on_event;
	a->calling.interrupted = on_interrupted;
	a->calling.ended = on_ended;
	int code = calling_begin(&a->calling, true);
	if (code != RELAYCALL_OK)
		return code;
	call_view_begin(&a->view, options);
	conversation_begin(
		&a->conversation, options, &a->calling.loop, a->calling.phone, &a->view, over, a);
	if (!options->automatic)
		questions_begin(&a->questions, &a->calling.loop, on_answer, a);
	if (conversation_check(&a->conversation))
		phone_listen(a->calling.phone, phone_driver_now());
	else
		calling_finish(&a->calling, RELAYCALL_FAILED);
	return calling_run(&a->calling);
}

int relaycall_answer(const struct relaycall_options *options)
{
	static struct answering a;

	if (sodium_init() < 0)
		return relaycall_fail(RELAYCALL_FAILED, "there is no randomness");
	if (!options->automatic && !options->ask && !isatty(STDIN_FILENO))
		return relaycall_fail(RELAYCALL_USAGE,
			"there is no terminal to ask at: --auto answers every call, --ask reads y "
			"or n from the input");
	int code = call_record_begin(options->stats);
	if (code == RELAYCALL_OK)
		code = calling_prepare(&a.calling, options);
	if (code != RELAYCALL_OK)
		return code;
	code = run(&a, options);
	contacts_free(&a.calling.contacts);
	return code;
}
