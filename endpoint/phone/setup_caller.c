// SPDX-License-Identifier: BSD-3-Clause
// The caller's side until there is a session: relays that register us, the offer, its answer.
#include "endpoint/phone/inside.h"

#include <sodium.h>

#include <string.h>

static bool make_offer(struct talk *talk)
{
	struct phone *phone = talk->phone;
	struct setup *setup = talk->setup;
	uint8_t prologue[SETUP_PROLOGUE_SIZE], payload[PAYLOAD_MAX];
	const struct handshake_random random = setup_random(phone);

	if (direct_begin(talk) != 0)
		return false;
	talk->disclosed = true; // who calls says where he is
	size_t size = payload_write(talk, true, payload);
	setup_prologue(prologue, talk->call_id, talk->peer.namespace_id);
	int result = handshake_offer(&setup->handshake, &phone->identity, talk->identity_key,
		prologue, sizeof(prologue), &random, payload, size, setup->message);
	sodium_memzero(payload, sizeof(payload));
	setup->message_size = HANDSHAKE_OFFER_OVERHEAD + size;
	return result == 0;
}

// Relays that have registered us by now are used; the first of them makes the offer.
void setup_begin(struct talk *talk)
{
	struct setup *setup = talk->setup;

	if (!talk->caller || (talk->state != TALK_CALLING && talk->state != TALK_RINGING &&
				     talk->state != TALK_TALKING))
		return;
	for (unsigned i = 0; i < talk->leg_count; i++) {
		struct leg *leg = &talk->legs[i];
		if (leg->relay == NULL || !leg->relay->registered || leg->state != LEG_NONE ||
			leg->why != 0)
			continue;
		if (setup != NULL && !setup->has_offer) {
			if (!make_offer(talk)) {
				talk_end(talk, PHONE_END_NOT_PEER);
				return;
			}
			setup->has_offer = true;
		}
		leg_open(talk, i);
	}
	if (setup != NULL && setup->has_offer && !talk->has_session && setup->due == ENDPOINT_NEVER)
		setup_send_offer(talk);
}

void setup_registered(struct known_relay *relay)
{
	struct phone *phone = relay->phone;

	for (unsigned i = 0; i < PHONE_CALLS_MAX; i++)
		if (phone->talks[i] != NULL)
			setup_begin(phone->talks[i]);
}

// A relay that refuses us is no way to the peer.
void setup_trouble(struct known_relay *relay, const struct endpoint_event *event)
{
	struct phone *phone = relay->phone;

	if (event->type == ENDPOINT_REFUSED &&
		(event->refused.reason == ENDPOINT_REFUSED_EPOCH ||
			event->refused.reason == ENDPOINT_REFUSED_BUSY))
		return; // goes by
	for (unsigned i = 0; i < PHONE_CALLS_MAX; i++) {
		struct talk *talk = phone->talks[i];
		if (talk == NULL || talk->state != TALK_CALLING)
			continue;
		bool concerned = false;
		for (unsigned j = 0; j < PHONE_LEGS; j++) {
			struct leg *leg = &talk->legs[j];
			if (leg->relay != relay || leg->state != LEG_NONE)
				continue;
			leg->why = event->type == ENDPOINT_REFUSED ? ENDPOINT_END_REFUSED
								   : ENDPOINT_END_SELF_SILENT;
			concerned = true;
		}
		if (concerned && !setup_waits(talk) && !legs_any(talk, LEG_OPENING) &&
			!legs_any(talk, LEG_OPEN))
			talk_end(talk, event->type == ENDPOINT_REFUSED ? PHONE_END_RELAY
								       : PHONE_END_UNREACHABLE);
	}
}

void setup_answered(struct talk *talk, const uint8_t *message, size_t size)
{
	struct phone *phone = talk->phone;
	uint8_t bytes[HANDSHAKE_PAYLOAD_MAX];
	struct payload payload;

	if (!talk->caller || talk->state != TALK_CALLING || talk->setup == NULL ||
		!talk->setup->has_offer || size < HANDSHAKE_ANSWER_OVERHEAD ||
		size > HANDSHAKE_ANSWER_MAX ||
		handshake_answer_open(
			&talk->setup->handshake, message, size, bytes, &talk->session) != 0) {
		inside_count(phone, PHONE_COUNTER_ignored_handshake);
		return;
	}
	inside_count(phone, PHONE_COUNTER_handshakes);
	talk->has_session = true;
	setup_wipe(talk);
	int result = payload_read(bytes, size - HANDSHAKE_ANSWER_OVERHEAD, false, &payload);
	sodium_memzero(bytes, sizeof(bytes));
	if (result != 0) {
		talk_end(talk, PHONE_END_BROKEN);
		return;
	}
	talk->state = TALK_RINGING;
	media_session(talk);
	direct_remote(talk, &payload);
	sodium_memzero(&payload, sizeof(payload));
	inside_tell(phone, &(struct phone_event){.type = PHONE_RINGING, .call = talk->id});
}
