// SPDX-License-Identifier: BSD-3-Clause
// relaycall call: calls a contact and talks until one of both hangs up.
#include "endpoint/relaycall/call_words.h"
#include "endpoint/relaycall/calling.h"
#include "endpoint/relaycall/conversation.h"
#include "endpoint/relaycall/refusal.h"

#include <jansson.h>
#include <sodium.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct outgoing {
	struct calling calling;
	struct call_view view;
	struct conversation conversation;
	struct phone_contact contact;
	struct endpoint_contact card;
	char name[CALLING_NAME_SIZE];
	uint64_t call;
};

static void finish(struct outgoing *o, struct call_end end)
{
	bool answered = o->conversation.record.answered_ms != 0;

	o->call = 0;
	conversation_end(&o->conversation, end.word, end.text);
	if (!answered && end.code != RELAYCALL_INTERRUPTED)
		relaycall_fail(0, "%s", end.text);
	calling_finish(&o->calling, end.code);
}

static void hang_up(struct outgoing *o)
{
	bool answered = o->conversation.record.answered_ms != 0;

	phone_hangup(o->calling.phone, o->call, phone_driver_now());
	finish(o, answered ? (struct call_end){"by_self", "hung up", RELAYCALL_OK}
			   : (struct call_end){"interrupted", "", RELAYCALL_INTERRUPTED});
}

static void over(void *context)
{
	hang_up(context);
}

// ---- hooks ----

static const char *relay_text(const struct outgoing *o, size_t number, char *text, size_t size)
{
	// Relays of the contact are the only ones that this phone has.
	number = number < o->card.relay_count ? number : 0;
	return endpoint_contact_address_format(&o->card.relays[number].addresses[0], text, size);
}

static void trouble(struct outgoing *o, const struct phone_event *event)
{
	char text[ENDPOINT_CONTACT_NAME_MAX + 8];

	relay_text(o, event->relay.number, text, sizeof(text));
	call_view_clear(&o->view);
	if (event->relay.inner->type == ENDPOINT_REFUSED) {
		refusal_tell(text, event->relay.inner);
		return;
	}
	relaycall_fail(0, "no answer from relay %s; trying on", text);
}

static bool relay_answers(const struct outgoing *o)
{
	struct endpoint_usage usage = {0};

	for (size_t i = 0; i < PHONE_CORES_MAX && !usage.connected; i++)
		if (phone_core(o->calling.phone, i) != NULL)
			endpoint_usage(phone_core(o->calling.phone, i), &usage);
	return usage.connected;
}

static void ended(struct outgoing *o, enum phone_end why)
{
	struct call_end end = call_words_end(why);

	if (why == PHONE_END_UNREACHABLE && !relay_answers(o))
		end = (struct call_end){"relay_silent",
			"no relay of the contact answers: does UDP get there and back?",
			RELAYCALL_UNREACHABLE};
	finish(o, end);
}

static void on_event(struct calling *calling, const struct phone_event *event)
{
	struct outgoing *o = calling->context;
	struct conversation *c = &o->conversation;

	if (event->type == PHONE_TROUBLE)
		trouble(o, event);
	if (o->call == 0 || event->call != o->call)
		return;
	switch (event->type) {
	case PHONE_RINGING:
		c->record.ringing_ms = phone_driver_now().monotonic_ms;
		call_view_event(&o->view, "ringing", &c->record, NULL);
		call_view_line(&o->view, "it rings");
		break;
	case PHONE_ANSWERED:
		conversation_start(c, o->call);
		call_view_event(&o->view, "answered", &c->record, NULL);
		call_view_line(&o->view, "answered; Ctrl-C hangs up");
		break;
	case PHONE_VOICE:
		conversation_voice(c, event);
		break;
	case PHONE_PATH:
		conversation_path(c, event);
		break;
	case PHONE_LOSS:
		conversation_loss(c, event);
		break;
	case PHONE_ENDED:
		ended(o, event->ended.why);
		break;
	default:
		break;
	}
}

static void on_interrupted(struct calling *calling)
{
	hang_up(calling->context);
}

static void on_ended(struct calling *calling)
{
	struct outgoing *o = calling->context;
	conversation_close(&o->conversation);
}

// ---- the beginning ----

static int find_contact(struct outgoing *o, const char *word)
{
	char error[CONTACTS_ERROR_SIZE];
	const char *name = NULL;

	int result = contacts_meant(&o->calling.contacts, word, &o->card, &name, error);
	if (result != 0)
		return relaycall_fail(
			result == -EKEYREJECTED ? RELAYCALL_FAILED : RELAYCALL_USAGE, "%s", error);
	if (name != NULL)
		snprintf(o->name, sizeof(o->name), "%s", name);
	else
		calling_name(&o->calling, o->card.identity_key, o->name);
	return calling_resolve(&o->card, &o->contact);
}

static int dial(struct outgoing *o)
{
	struct conversation *c = &o->conversation;
	const struct contacts_entry *entry =
		contacts_find_identity(&o->calling.contacts, o->card.identity_key);

	conversation_record(c, false, o->card.identity_key, o->name, entry != NULL);
	int result = phone_call(o->calling.phone, &o->contact, &o->call, phone_driver_now());
	if (result != 0)
		return relaycall_fail(RELAYCALL_FAILED, "cannot call: %s", strerror(-result));
	call_view_event(&o->view, "calling", &c->record, NULL);
	call_view_line(&o->view, "calling %s", o->name);
	return RELAYCALL_OK;
}

static int run(struct outgoing *o, const struct relaycall_options *options)
{
	o->calling.context = o;
	o->calling.event = on_event;
	o->calling.interrupted = on_interrupted;
	o->calling.ended = on_ended;
	int code = calling_begin(&o->calling, false);
	if (code != RELAYCALL_OK)
		return code;
	call_view_begin(&o->view, options);
	conversation_begin(
		&o->conversation, options, &o->calling.loop, o->calling.phone, &o->view, over, o);
	if (!conversation_open(&o->conversation, 1))
		code = RELAYCALL_FAILED;
	else
		code = dial(o);
	if (code != RELAYCALL_OK)
		calling_finish(&o->calling, code);
	return calling_run(&o->calling);
}

int relaycall_call(const struct relaycall_options *options)
{
	static struct outgoing o;

	if (sodium_init() < 0)
		return relaycall_fail(RELAYCALL_FAILED, "there is no randomness");
	int code = calling_prepare(&o.calling, options);
	if (code != RELAYCALL_OK)
		return code;
	code = find_contact(&o, options->operand[0]);
	if (code == RELAYCALL_OK)
		code = call_record_begin(options->stats);
	if (code == RELAYCALL_OK)
		code = run(&o, options);
	contacts_free(&o.calling.contacts);
	return code;
}
