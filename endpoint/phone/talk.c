// SPDX-License-Identifier: BSD-3-Clause
// The table of calls: making, answering, ending. What is over for the user stays for a moment,
// until the peer has confirmed that it knows.
#include "endpoint/phone/inside.h"

#include <sodium.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// ---- the table ----

struct talk *talk_make(struct phone *phone, bool caller, int *error)
{
	unsigned slot = 0;

	while (slot < PHONE_CALLS_MAX && phone->talks[slot] != NULL)
		slot++;
	*error = -EMFILE;
	if (slot == PHONE_CALLS_MAX)
		return NULL;
	*error = -ENOMEM;
	struct talk *talk = calloc(1, sizeof(*talk));
	if (talk == NULL)
		return NULL;
	talk->setup = calloc(1, sizeof(*talk->setup));
	if (talk->setup == NULL) {
		free(talk);
		return NULL;
	}
	talk->phone = phone;
	talk->id = ++phone->last_call;
	talk->caller = caller;
	talk->state = caller ? TALK_CALLING : TALK_HALF;
	talk->setup->due = ENDPOINT_NEVER;
	talk->rekey_at = talk->second_base_at = talk->search_at = ENDPOINT_NEVER;
	talk->second_base = -1;
	talk->info.called_ms = phone->now.monotonic_ms;
	talk->give_up_at =
		phone->now.monotonic_ms + (caller ? phone->config.ring_timeout_ms : PHONE_HALF_MS);
	for (unsigned i = 0; i < PHONE_LEGS; i++)
		talk->legs[i].retry_at = ENDPOINT_NEVER;
	phone->talks[slot] = talk;
	return talk;
}

struct talk *talk_find(struct phone *phone, uint64_t id)
{
	for (unsigned i = 0; i < PHONE_CALLS_MAX; i++) {
		struct talk *talk = phone->talks[i];
		if (talk != NULL && talk->id == id && talk->state != TALK_ENDING &&
			talk->state != TALK_OVER && talk->state != TALK_HALF)
			return talk;
	}
	return NULL;
}

struct talk *talk_of_call_id(struct phone *phone, const uint8_t *call_id, const struct talk *behind)
{
	bool found = behind == NULL;

	for (unsigned i = 0; i < PHONE_CALLS_MAX; i++) {
		struct talk *talk = phone->talks[i];
		if (found && talk != NULL && talk->state != TALK_OVER &&
			memcmp(talk->call_id, call_id, sizeof(talk->call_id)) == 0)
			return talk;
		found = found || talk == behind;
	}
	return NULL;
}

struct talk *talk_of_leg(
	struct phone *phone, const struct known_relay *relay, uint64_t call, unsigned *number)
{
	for (unsigned i = 0; i < PHONE_CALLS_MAX; i++) {
		struct talk *talk = phone->talks[i];
		if (talk == NULL)
			continue;
		for (*number = 0; *number < PHONE_LEGS; ++*number) {
			const struct leg *leg = &talk->legs[*number];
			if (leg->state != LEG_NONE && leg->state != LEG_RESTING &&
				leg->relay == relay && leg->call == call)
				return talk;
		}
	}
	return NULL;
}

bool talks_use(const struct phone *phone, const struct known_relay *relay)
{
	for (unsigned i = 0; i < PHONE_CALLS_MAX; i++) {
		const struct talk *talk = phone->talks[i];
		for (unsigned j = 0; talk != NULL && j < PHONE_LEGS; j++)
			if (talk->legs[j].relay == relay)
				return true;
	}
	return false;
}

bool talks_none(const struct phone *phone)
{
	for (unsigned i = 0; i < PHONE_CALLS_MAX; i++)
		if (phone->talks[i] != NULL && phone->talks[i]->state != TALK_OVER)
			return false;
	return true;
}

unsigned talks_incoming(const struct phone *phone)
{
	unsigned count = 0;
	for (unsigned i = 0; i < PHONE_CALLS_MAX; i++)
		count +=
			phone->talks[i] != NULL && (phone->talks[i]->state == TALK_HALF ||
							   phone->talks[i]->state == TALK_INCOMING);
	return count;
}

// ---- the end ----

static void over(struct talk *talk)
{
	legs_close(talk);
	direct_end(talk);
	setup_wipe(talk);
	envelope_wipe(&talk->session);
	talk->has_session = false;
	talk->state = TALK_OVER;
}

void talk_finish(struct talk *talk, bool tell_peer)
{
	if (talk->state == TALK_ENDING || talk->state == TALK_OVER)
		return;
	bool knows_us = talk->has_session;
	talk->state = TALK_ENDING;
	talk->give_up_at = talk->phone->now.monotonic_ms + PHONE_LINGER_MS;
	if (!knows_us) {
		over(talk);
		return;
	}
	if (tell_peer)
		words_say(talk, WORD_HANGUP, NULL, 0);
}

void talks_finish(struct phone *phone)
{
	for (unsigned i = 0; i < PHONE_CALLS_MAX; i++) {
		struct talk *talk = phone->talks[i];
		if (talk == NULL)
			continue;
		talk_finish(talk, true);
		// Who has nothing to tell lingers for others only, who need it less than we do.
		if (talk->state == TALK_ENDING && control_pending(&talk->control) == 0)
			talk->give_up_at = phone->now.monotonic_ms;
	}
}

void talk_end(struct talk *talk, enum phone_end why)
{
	uint64_t id = talk->id;
	bool known = (talk->caller || talk->rang) && talk->state != TALK_ENDING &&
		     talk->state != TALK_OVER;
	bool tell_peer =
		why != PHONE_END_BY_PEER && why != PHONE_END_CANCELLED && why != PHONE_END_DECLINED;

	talk_finish(talk, tell_peer);
	if (known)
		inside_tell(talk->phone, &(struct phone_event){
						 .type = PHONE_ENDED,
						 .call = id,
						 .ended = {.why = why},
					 });
}

static void reap(struct phone *phone, unsigned slot)
{
	struct talk *talk = phone->talks[slot];
	sodium_memzero(talk, sizeof(*talk));
	free(talk);
	phone->talks[slot] = NULL;
}

void talks_reap(struct phone *phone, bool all)
{
	for (unsigned i = 0; i < PHONE_CALLS_MAX; i++) {
		struct talk *talk = phone->talks[i];
		if (talk == NULL)
			continue;
		if (all && talk->state != TALK_OVER)
			over(talk);
		if (talk->state == TALK_OVER)
			reap(phone, i);
	}
}

// ---- time ----

static void expired(struct talk *talk)
{
	talk->give_up_at = ENDPOINT_NEVER;
	if (talk->state == TALK_CALLING)
		talk_end(talk, PHONE_END_UNREACHABLE);
	else if (talk->state == TALK_RINGING)
		talk_end(talk, PHONE_END_NO_ANSWER);
	else if (talk->state == TALK_INCOMING)
		talk_end(talk, PHONE_END_CANCELLED);
	else
		over(talk);
}

static void tick(struct talk *talk)
{
	struct phone *phone = talk->phone;

	setup_tick(talk);
	for (unsigned i = 0; i < PHONE_LEGS; i++)
		leg_tick(talk, i);
	direct_tick(talk);
	media_tick(talk);
	if (talk->state == TALK_OVER)
		return;
	if (inside_due(phone, talk->give_up_at))
		expired(talk);
}

void talks_tick(struct phone *phone)
{
	for (unsigned i = 0; i < PHONE_CALLS_MAX; i++)
		if (phone->talks[i] != NULL && phone->talks[i]->state != TALK_OVER)
			tick(phone->talks[i]);
}

uint64_t talks_deadline(const struct phone *phone)
{
	uint64_t at = ENDPOINT_NEVER;
	for (unsigned i = 0; i < PHONE_CALLS_MAX; i++) {
		const struct talk *talk = phone->talks[i];
		if (talk == NULL || talk->state == TALK_OVER)
			continue;
		at = inside_earlier(at, talk->give_up_at);
		at = inside_earlier(at, media_deadline(talk));
		at = inside_earlier(at, talk->second_base_at);
		at = inside_earlier(at, talk->search_at);
		if (talk->agent != NULL)
			at = inside_earlier(at, agent_deadline(talk->agent));
		if (talk->setup != NULL)
			at = inside_earlier(at, talk->setup->due);
		for (unsigned j = 0; j < PHONE_LEGS; j++)
			at = inside_earlier(at, talk->legs[j].retry_at);
	}
	return at;
}

void talks_hosts_changed(struct phone *phone)
{
	for (unsigned i = 0; i < PHONE_CALLS_MAX; i++)
		if (phone->talks[i] != NULL && phone->talks[i]->agent != NULL)
			direct_hosts(phone->talks[i]);
}

// ---- the user's wishes ----

int phone_call(struct phone *phone, const struct phone_contact *contact, uint64_t *call,
	struct endpoint_time now)
{
	int result;

	*call = 0;
	if (contact->relay_count == 0 || contact->relay_count > PHONE_RELAYS_MAX)
		return -EINVAL;
	inside_enter(phone, now);
	struct talk *talk = talk_make(phone, true, &result);
	if (talk == NULL)
		goto out;
	memcpy(talk->identity_key, contact->identity_key, sizeof(talk->identity_key));
	talk->peer = contact->peer;
	talk->trust = PHONE_KNOWN;
	inside_random(phone, talk->call_id, sizeof(talk->call_id));
	for (size_t i = 0; i < contact->relay_count; i++) {
		struct known_relay *relay = relays_want(phone, &contact->relays[i], &result);
		talk->legs[i].relay = relay;
		if (relay != NULL)
			talk->leg_count = (unsigned)i + 1;
	}
	uint8_t address[ENDPOINT_ADDRESS_SIZE];
	if (talk->leg_count > 0)
		result = endpoint_peer_address(&contact->peer, 0, address);
	if (result != 0) {
		over(talk);
		goto out;
	}
	*call = talk->id;
	inside_count(phone, PHONE_COUNTER_calls);
	for (unsigned i = 0; i < talk->leg_count; i++)
		if (talk->legs[i].relay != NULL)
			relays_register(talk->legs[i].relay);
	setup_begin(talk);
out:
	inside_leave(phone);
	return result;
}

void talk_answered(struct talk *talk)
{
	struct phone *phone = talk->phone;

	talk->state = TALK_TALKING;
	talk->give_up_at = ENDPOINT_NEVER;
	talk->heard_at = phone->now.monotonic_ms;
	talk->info.answered_ms = phone->now.monotonic_ms;
	talk->second_base_at = phone->now.monotonic_ms + phone->config.second_mapping_ms;
	direct_disclose(talk);
	media_answered(talk);
	inside_tell(phone, &(struct phone_event){.type = PHONE_ANSWERED, .call = talk->id});
	news_tell(talk); // which path it takes comes behind
}

int phone_answer(struct phone *phone, uint64_t call, struct endpoint_time now)
{
	int result = 0;

	inside_enter(phone, now);
	struct talk *talk = talk_find(phone, call);
	if (talk == NULL || talk->state != TALK_INCOMING) {
		result = -ENOENT;
	} else {
		words_say(talk, WORD_ANSWER, NULL, 0);
		talk_answered(talk);
	}
	inside_leave(phone);
	return result;
}

int phone_hangup(struct phone *phone, uint64_t call, struct endpoint_time now)
{
	inside_enter(phone, now);
	struct talk *talk = talk_find(phone, call);
	if (talk != NULL)
		talk_finish(talk, true);
	inside_leave(phone);
	return talk == NULL ? -ENOENT : 0;
}

int phone_call_info(const struct phone *phone, uint64_t call, struct phone_call_info *out)
{
	static const enum phone_state shown[] = {
		[TALK_CALLING] = PHONE_CALLING,
		[TALK_RINGING] = PHONE_STATE_RINGING,
		[TALK_INCOMING] = PHONE_STATE_INCOMING,
		[TALK_TALKING] = PHONE_TALKING,
	};
	struct talk *talk = talk_find((struct phone *)(uintptr_t)phone, call);

	if (talk == NULL)
		return -ENOENT;
	*out = talk->info;
	out->state = shown[talk->state];
	media_info(talk, out);
	return 0;
}
