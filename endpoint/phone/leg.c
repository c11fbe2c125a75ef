// SPDX-License-Identifier: BSD-3-Clause
// The relays' legs of a call: one open pair of handles at each relay of the callee. The caller
// opens them while it rings, and again when one is lost in the middle of a call (the relay was
// restarted); the callee accepts what belongs to a call that it knows.
#include "endpoint/phone/inside.h"

#include <string.h>

enum { RETRY_FIRST_MS = 500, RETRY_LONGEST_MS = 8000 };

void leg_open(struct talk *talk, unsigned number)
{
	struct phone *phone = talk->phone;
	struct leg *leg = &talk->legs[number];
	uint8_t offer[PHONE_OFFER_SIZE] = {PHONE_OFFER_KIND, PHONE_OFFER_VERSION};

	memcpy(offer + 2, talk->call_id, sizeof(talk->call_id));
	offer[2 + PHONE_CALL_ID_SIZE] = (uint8_t)number;
	leg->retry_at = ENDPOINT_NEVER;
	if (endpoint_open(leg->relay->core, &talk->peer, offer, sizeof(offer), &leg->call,
		    phone->now) != 0) {
		leg->state = LEG_RESTING;
		leg->retry_at = phone->now.monotonic_ms + RETRY_FIRST_MS;
		return;
	}
	endpoint_call_bare(leg->relay->core, leg->call);
	leg->state = LEG_OPENING;
}

void leg_accept(struct talk *talk, unsigned number)
{
	struct leg *leg = &talk->legs[number];

	endpoint_call_bare(leg->relay->core, leg->call);
	if (endpoint_accept(leg->relay->core, leg->call, NULL, 0, talk->phone->now) == 0)
		leg->state = LEG_OPENING;
	else
		leg->state = LEG_NONE;
}

bool legs_any(const struct talk *talk, enum leg_state state)
{
	for (unsigned i = 0; i < PHONE_LEGS; i++)
		if (talk->legs[i].state == state)
			return true;
	return false;
}

void legs_close(struct talk *talk)
{
	for (unsigned i = 0; i < PHONE_LEGS; i++) {
		struct leg *leg = &talk->legs[i];
		if (leg->relay != NULL && leg->relay->core != NULL &&
			(leg->state == LEG_INVITED || leg->state == LEG_OPENING ||
				leg->state == LEG_OPEN))
			endpoint_close(leg->relay->core, leg->call, talk->phone->now);
		*leg = (struct leg){.retry_at = ENDPOINT_NEVER};
	}
}

static void rest(struct talk *talk, struct leg *leg)
{
	uint64_t wait = (uint64_t)RETRY_FIRST_MS << (leg->failures < 5 ? leg->failures : 5);

	leg->failures++;
	leg->state = LEG_RESTING;
	leg->retry_at =
		talk->phone->now.monotonic_ms + (wait < RETRY_LONGEST_MS ? wait : RETRY_LONGEST_MS);
}

// No leg was to be had: what the relays said tells why.
static enum phone_end reason(const struct talk *talk)
{
	enum phone_end why = PHONE_END_UNREACHABLE;

	for (unsigned i = 0; i < PHONE_LEGS; i++)
		switch (talk->legs[i].why) {
		case ENDPOINT_END_DECLINED:
		case ENDPOINT_END_BY_PEER:
			if (!talk->caller)
				return PHONE_END_CANCELLED;
			return talk->state == TALK_RINGING ? PHONE_END_DECLINED : PHONE_END_REFUSED;
		case ENDPOINT_END_CANCELLED:
			return PHONE_END_CANCELLED;
		case ENDPOINT_END_TAKEN:
			return PHONE_END_TAKEN;
		case ENDPOINT_END_REFUSED:
		case ENDPOINT_END_DRAINING:
			why = PHONE_END_RELAY;
			break;
		default:
			break;
		}
	return why;
}

static void ended(struct talk *talk, unsigned number, enum endpoint_end why)
{
	struct leg *leg = &talk->legs[number];

	leg->state = LEG_NONE;
	leg->why = why;
	// The peer leaves a leg only when it hangs up. Where a direct path lives its own word is
	// waited for: the relay's is not enough.
	if (talk->state == TALK_TALKING && why == ENDPOINT_END_BY_PEER &&
		talk->info.paths >> PHONE_DIRECT == 0)
		talk_end(talk, PHONE_END_BY_PEER);
	media_usable(talk, number, false, 0);
	if (talk->state == TALK_ENDING || talk->state == TALK_OVER)
		return;
	if (talk->state == TALK_TALKING) {
		if (talk->caller)
			rest(talk, leg);
		return;
	}
	if (!legs_any(talk, LEG_OPENING) && !legs_any(talk, LEG_OPEN) &&
		!legs_any(talk, LEG_INVITED) && !setup_waits(talk))
		talk_end(talk, reason(talk));
}

static void opened(struct talk *talk, unsigned number)
{
	struct leg *leg = &talk->legs[number];

	leg->state = LEG_OPEN;
	leg->failures = 0;
	if (talk->has_session)
		media_usable(talk, number, true, 0);
	setup_ring(talk);
}

void leg_event(struct talk *talk, unsigned number, const struct endpoint_event *event)
{
	switch (event->type) {
	case ENDPOINT_OPENED:
		opened(talk, number);
		break;
	case ENDPOINT_DATA:
		media_from_leg(talk, number, event->data, event->size);
		break;
	case ENDPOINT_ENDED:
		ended(talk, number, event->ended.why);
		break;
	default: // ENDPOINT_PATH_CHANGED: paths notice by themselves
		break;
	}
}

void leg_tick(struct talk *talk, unsigned number)
{
	struct leg *leg = &talk->legs[number];

	if (!inside_due(talk->phone, leg->retry_at))
		return;
	leg->retry_at = ENDPOINT_NEVER;
	if (talk->caller && leg->relay != NULL &&
		(talk->state == TALK_TALKING || talk->state == TALK_CALLING ||
			talk->state == TALK_RINGING))
		leg_open(talk, number);
}
