// SPDX-License-Identifier: BSD-3-Clause
// relaycall listen: is reachable, shows lines and keeps files that others send, until it is told to
// stop.
#include "endpoint/relaycall/incoming.h"
#include "endpoint/relaycall/question.h"

#include <jansson.h>
#include <sodium.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { INCOMING_MAX = 16, LINGER_MS = 2000 };

struct listening {
	struct session session;
	struct incoming incoming[INCOMING_MAX];
	struct { // asked about, not answered
		uint64_t call;
		struct endpoint_peer from;
		struct offer offer;
	} asked[QUESTIONS_MAX];
	struct questions questions;
	char seen_as[64];
	uint64_t stop_at; // --once: when the last repetitions have been answered
};

static struct incoming *incoming_of(struct listening *l, uint64_t call)
{
	for (unsigned i = 0; i < INCOMING_MAX; i++)
		if (l->incoming[i].call == call)
			return &l->incoming[i];
	return NULL;
}

static void tick_all(struct listening *l)
{
	uint64_t next = l->stop_at;

	if (session_now().monotonic_ms >= l->stop_at) {
		session_finish(&l->session, RELAYCALL_OK);
		return;
	}
	for (unsigned i = 0; i < INCOMING_MAX; i++) {
		if (l->incoming[i].call == 0)
			continue;
		uint64_t at = incoming_tick(&l->incoming[i]);
		next = at < next ? at : next;
	}
	session_wake(&l->session, next);
}

// ---- calls ----

static void accept_call(struct listening *l, uint64_t call, const struct endpoint_peer *from,
	const struct offer *offer)
{
	const uint8_t answer[] = {1}; // version
	struct incoming *in = incoming_of(l, 0);

	if (in == NULL || !incoming_begin(in, &l->session, call, from, offer)) {
		endpoint_decline(l->session.core, call, session_now());
		return;
	}
	if (endpoint_accept(l->session.core, call, answer, sizeof(answer), session_now()) != 0)
		incoming_end(in);
}

static void on_answer(void *context, uint64_t call, bool yes)
{
	struct listening *l = context;

	for (unsigned i = 0; i < QUESTIONS_MAX; i++) {
		if (l->asked[i].call != call)
			continue;
		l->asked[i].call = 0;
		if (yes)
			accept_call(l, call, &l->asked[i].from, &l->asked[i].offer);
		else
			endpoint_decline(l->session.core, call, session_now());
		return;
	}
}

static bool ask(struct listening *l, uint64_t call, const struct endpoint_peer *from,
	const struct offer *offer)
{
	char text[QUESTION_SIZE], name[INCOMING_NAME_SIZE];
	unsigned i = 0;

	while (i < QUESTIONS_MAX && l->asked[i].call != 0)
		i++;
	if (i == QUESTIONS_MAX)
		return false;
	if (offer->kind == OFFER_TEXT)
		snprintf(text, sizeof(text), "%s has a text of %llu bytes.",
			incoming_name(&l->session, from, name), (unsigned long long)offer->size);
	else
		snprintf(text, sizeof(text), "%s has a file \"%s\" of %llu bytes.",
			incoming_name(&l->session, from, name), offer->name,
			(unsigned long long)offer->size);
	l->asked[i].call = call;
	l->asked[i].from = *from;
	l->asked[i].offer = *offer;
	if (questions_ask(&l->questions, call, text))
		return true;
	l->asked[i].call = 0;
	return false;
}

static void invited(struct listening *l, const struct endpoint_event *event)
{
	const struct relaycall_options *options = l->session.options;
	struct offer offer;

	if (offer_is_voice(event->data, event->size))
		return; // for `answer`, another device of the same address
	bool wanted = offer_parse(event->data, event->size, &offer);
	if (wanted && offer.kind == OFFER_FILE)
		wanted = options->directory != NULL &&
			 (!options->has_limit || offer.size <= options->limit) &&
			 offer.size <= TRANSFER_SIZE_MAX;
	if (wanted && options->ask)
		wanted = ask(l, event->call, event->invite.caller, &offer);
	else if (wanted)
		accept_call(l, event->call, event->invite.caller, &offer);
	if (!wanted)
		endpoint_decline(l->session.core, event->call, session_now());
}

static void received(struct listening *l, const struct endpoint_event *event)
{
	struct incoming *in = incoming_of(l, event->call);

	if (in == NULL)
		return;
	if (incoming_receive(in, event->data, event->size) && l->session.options->once &&
		l->stop_at == ENDPOINT_NEVER)
		l->stop_at = session_now().monotonic_ms + LINGER_MS;
	tick_all(l);
}

static void ended(struct listening *l, const struct endpoint_event *event)
{
	struct incoming *in = incoming_of(l, event->call);

	if (in != NULL) {
		bool told = in->told;
		incoming_end(in);
		if (told && l->session.options->once)
			session_finish(&l->session, RELAYCALL_OK);
	}
	questions_forget(&l->questions, event->call);
	for (unsigned i = 0; i < QUESTIONS_MAX; i++)
		if (l->asked[i].call == event->call)
			l->asked[i].call = 0;
}

static void message(struct listening *l, const struct endpoint_event *event)
{
	char text[ENDPOINT_MESSAGE_MAX + 1];
	struct offer offer;

	// What is not proven to come from somebody is not shown.
	if (!event->message.sealed || event->size < OFFER_HEADER ||
		!offer_parse(event->data, OFFER_HEADER, &offer) || offer.kind != OFFER_TEXT ||
		offer.size != event->size - OFFER_HEADER)
		return;
	memcpy(text, event->data + OFFER_HEADER, offer.size);
	incoming_tell_text(&l->session, event->message.from, text, offer.size);
	if (l->session.options->once)
		session_finish(&l->session, RELAYCALL_OK);
}

// ---- the registration ----

static void registered(struct listening *l, const struct endpoint_event *event)
{
	char seen[64], key[64];

	session_transport_text(&event->registered.observed, seen, sizeof(seen));
	bool moved = strcmp(l->seen_as, seen) != 0;
	if (!moved && (event->registered.renewed || !l->session.options->json))
		return;
	memcpy(l->seen_as, seen, sizeof(seen));
	if (l->session.options->json) {
		sodium_bin2base64(key, sizeof(key), event->registered.relay_key, ENDPOINT_KEY_SIZE,
			sodium_base64_VARIANT_URLSAFE_NO_PADDING);
		session_print_json(json_pack("{s:s,s:s,s:s,s:I,s:I,s:s}", "event", "registered",
			"relay", l->session.relay_text, "seen_as", seen, "lifetime",
			(json_int_t)event->registered.lifetime, "epoch",
			(json_int_t)event->registered.epoch, "relay_key", key));
		return;
	}
	printf("registered at %s, seen as %s, for %u s at a time\n", l->session.relay_text, seen,
		event->registered.lifetime);
	fflush(stdout);
}

// ---- hooks ----

static void on_event(struct session *session, const struct endpoint_event *event)
{
	struct listening *l = session->context;

	if (session_trouble(session, event, true))
		return;
	switch (event->type) {
	case ENDPOINT_REGISTERED:
		registered(l, event);
		break;
	case ENDPOINT_MESSAGE:
		message(l, event);
		break;
	case ENDPOINT_INVITE:
		invited(l, event);
		break;
	case ENDPOINT_DATA:
		received(l, event);
		break;
	case ENDPOINT_ENDED:
		ended(l, event);
		break;
	default:
		break;
	}
}

static void on_due(struct session *session)
{
	tick_all(session->context);
}

// To end is what listening is meant for.
static void on_interrupted(struct session *session)
{
	fputs("relaycall: leaving\n", stderr);
	session_finish(session, RELAYCALL_OK);
}

static void on_ended(struct session *session)
{
	struct listening *l = session->context;
	questions_end(&l->questions);
}

static int check(const struct relaycall_options *options)
{
	struct stat stat_of;

	if (options->directory == NULL)
		return RELAYCALL_OK;
	if (stat(options->directory, &stat_of) != 0 || !S_ISDIR(stat_of.st_mode))
		return relaycall_fail(RELAYCALL_FAILED, "%s is no folder", options->directory);
	if (access(options->directory, W_OK | X_OK) != 0)
		return relaycall_fail(RELAYCALL_FAILED, "cannot write into %s: %s",
			options->directory, strerror(errno));
	return RELAYCALL_OK;
}

int relaycall_listen(const struct relaycall_options *options)
{
	static struct listening l;
	struct identity identity;
	struct contacts contacts;
	bool made;

	int code = check(options);
	if (code != RELAYCALL_OK)
		return code;
	// Who calls is looked up in it: better said now than when somebody does.
	code = relaycall_contacts_load(options, &contacts);
	if (code != RELAYCALL_OK)
		return code;
	contacts_free(&contacts);
	code = relaycall_identity(options, &identity, &made);
	if (code != RELAYCALL_OK)
		return code;
	// Of the command line, else the noted one.
	struct endpoint_contact_relay relay =
		options->relays[0].address_count > 0 ? options->relays[0] : identity.relays[0];
	if (options->relays[0].has_key) {
		relay.has_key = true;
		memcpy(relay.key, options->relays[0].key, ENDPOINT_KEY_SIZE);
	}
	if (relay.address_count == 0)
		code = relaycall_fail(RELAYCALL_USAGE,
			"no relay is known: relaycall id --relay ADDRESS[:PORT], once");
	l.session.context = &l;
	l.session.event = on_event;
	l.session.due = on_due;
	l.session.interrupted = on_interrupted;
	l.session.ended = on_ended;
	l.stop_at = ENDPOINT_NEVER;
	if (code == RELAYCALL_OK)
		code = session_begin(&l.session, options, &identity, &relay);
	identity_wipe(&identity);
	if (code != RELAYCALL_OK)
		return code;
	if (options->ask)
		questions_begin(&l.questions, &l.session.loop, on_answer, &l);
	endpoint_register(l.session.core, session_now());
	code = session_run(&l.session);
	for (unsigned i = 0; i < INCOMING_MAX; i++)
		incoming_end(&l.incoming[i]);
	return code;
}
