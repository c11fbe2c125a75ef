// SPDX-License-Identifier: BSD-3-Clause
// The callee's side until there is a session: it takes an invitation by handle and an offer by
// address, both of one call and one peer, before anything rings.
#include "endpoint/phone/inside.h"

#include <sodium.h>

#include <string.h>

enum {
	OFFERS_A_SECOND = 10, // that are opened at all
	TALKS_INCOMING_MAX = PHONE_CALLS_MAX / 2,
};

static void refuse(struct talk *talk)
{
	for (unsigned i = 0; i < PHONE_LEGS; i++)
		if (talk->legs[i].state == LEG_INVITED) {
			endpoint_decline(
				talk->legs[i].relay->core, talk->legs[i].call, talk->phone->now);
			talk->legs[i].state = LEG_NONE;
		}
	talk->refused = true; // what still comes of it is declined, too
}

static bool make_answer(struct talk *talk)
{
	struct phone *phone = talk->phone;
	struct setup *setup = talk->setup;
	uint8_t payload[PAYLOAD_MAX];
	const struct handshake_random random = setup_random(phone);

	talk->disclosed = talk->trust == PHONE_KNOWN;
	size_t size = payload_write(talk, false, payload);
	int result = handshake_answer(
		&setup->handshake, &random, payload, size, setup->message, &talk->session);
	sodium_memzero(payload, sizeof(payload));
	setup->message_size = HANDSHAKE_ANSWER_OVERHEAD + size;
	setup->has_answer = result == 0;
	return result == 0;
}

// Invitation and offer are there: the peer is who it says, its leg is accepted, it is answered.
static void both(struct talk *talk)
{
	struct phone *phone = talk->phone;

	if (talk->state != TALK_HALF || talk->refused || !talk->setup->has_offer ||
		!legs_any(talk, LEG_INVITED))
		return;
	if (talk->trust == PHONE_REFUSED) {
		inside_count(phone, PHONE_COUNTER_ignored_identity);
		refuse(talk);
		return;
	}
	if (!make_answer(talk)) {
		refuse(talk);
		return;
	}
	inside_count(phone, PHONE_COUNTER_handshakes);
	talk->has_session = true;
	talk->give_up_at = phone->now.monotonic_ms + phone->config.ring_timeout_ms;
	for (unsigned i = 0; i < PHONE_LEGS; i++)
		if (talk->legs[i].state == LEG_INVITED)
			leg_accept(talk, i);
	talk->state = TALK_INCOMING;
	media_session(talk);
	talk->setup->tries = 0;
	setup_send_answer(talk);
	direct_remote(talk, &talk->setup->remote);
}

void setup_ring(struct talk *talk)
{
	if (talk->caller || talk->state != TALK_INCOMING || talk->rang)
		return;
	talk->rang = true;
	inside_tell(talk->phone, &(struct phone_event){
					 .type = PHONE_INCOMING,
					 .call = talk->id,
					 .incoming =
						 {
							 .identity_key = talk->identity_key,
							 .peer = &talk->peer,
							 .trust = talk->trust,
						 },
				 });
}

static struct talk *half(struct phone *phone, const uint8_t *call_id)
{
	int error;
	struct talk *talk =
		talks_incoming(phone) < TALKS_INCOMING_MAX ? talk_make(phone, false, &error) : NULL;
	if (talk == NULL)
		inside_count(phone, PHONE_COUNTER_ignored_handshake);
	else
		memcpy(talk->call_id, call_id, sizeof(talk->call_id));
	return talk;
}

static bool same_peer(const struct endpoint_peer *a, const struct endpoint_peer *b)
{
	return memcmp(a->delivery_key, b->delivery_key, sizeof(a->delivery_key)) == 0 &&
	       memcmp(a->namespace_id, b->namespace_id, sizeof(a->namespace_id)) == 0;
}

void setup_invite(struct known_relay *relay, const struct endpoint_event *event)
{
	struct phone *phone = relay->phone;
	const uint8_t *offer = event->data, *call_id = offer + 2;

	if (event->size != PHONE_OFFER_SIZE || offer[1] != PHONE_OFFER_VERSION ||
		offer[2 + PHONE_CALL_ID_SIZE] >= PHONE_LEGS) {
		inside_count(phone, PHONE_COUNTER_ignored_handshake);
		endpoint_decline(relay->core, event->call, phone->now);
		return;
	}
	unsigned number = offer[2 + PHONE_CALL_ID_SIZE];
	struct talk *talk = talk_of_call_id(phone, call_id);
	if (talk == NULL)
		talk = half(phone, call_id);
	if (talk == NULL)
		return;
	bool fresh = !talk->has_peer;
	if (talk->caller || talk->state == TALK_ENDING || talk->refused ||
		(!fresh && !same_peer(&talk->peer, event->invite.caller))) {
		endpoint_decline(relay->core, event->call, phone->now);
		return;
	}
	talk->peer = *event->invite.caller;
	talk->has_peer = true;
	struct leg *leg = &talk->legs[number];
	if (leg->state == LEG_OPEN || leg->state == LEG_OPENING || leg->state == LEG_INVITED) {
		// The caller has lost it: the relay was restarted, and we do not know yet.
		endpoint_close(leg->relay->core, leg->call, phone->now);
		if (talk->has_session)
			media_usable(talk, number, false, 0);
	}
	*leg = (struct leg){
		.state = LEG_INVITED,
		.relay = relay,
		.call = event->call,
		.retry_at = ENDPOINT_NEVER,
	};
	if (talk->state == TALK_HALF)
		both(talk);
	else
		leg_accept(talk, number);
}

static bool budget(struct phone *phone)
{
	uint64_t now = phone->now.monotonic_ms, more;

	more = (now - phone->offers_at) * OFFERS_A_SECOND / 1000;
	if (more > 0) {
		phone->offers = (unsigned)inside_earlier(phone->offers + more, PHONE_OFFERS_BURST);
		phone->offers_at = now;
	}
	if (phone->offers == 0)
		return false;
	phone->offers--;
	return true;
}

void setup_offered(struct known_relay *relay, const struct fragment_slot *whole)
{
	struct phone *phone = relay->phone;
	uint8_t prologue[SETUP_PROLOGUE_SIZE], bytes[HANDSHAKE_PAYLOAD_MAX];
	struct talk *talk = talk_of_call_id(phone, whole->id);

	if (talk != NULL && (talk->caller || talk->setup == NULL || talk->refused))
		return;
	if (talk != NULL && talk->setup->has_answer) {
		return;
	}
	if (talk != NULL && talk->setup->has_offer)
		return; // waits for the invitation
	if (!relay->home || !budget(phone)) {
		inside_count(phone, PHONE_COUNTER_ignored_handshake);
		return;
	}
	if (talk == NULL)
		talk = half(phone, whole->id);
	if (talk == NULL)
		return;
	struct setup *setup = talk->setup;
	setup_prologue(prologue, whole->id, phone->config.namespace_id);
	if (whole->size > HANDSHAKE_OFFER_MAX ||
		handshake_offer_open(&setup->handshake, &phone->identity, prologue,
			sizeof(prologue), whole->bytes, whole->size, talk->identity_key,
			bytes) != 0) {
		inside_count(phone, PHONE_COUNTER_ignored_handshake);
		if (talk->has_peer)
			refuse(talk); // meant for another identity than ours
		else
			talk_finish(talk, false);
		return;
	}
	int result =
		payload_read(bytes, whole->size - HANDSHAKE_OFFER_OVERHEAD, true, &setup->remote);
	sodium_memzero(bytes, sizeof(bytes));
	if (result != 0 || (talk->has_peer && !same_peer(&talk->peer, &setup->remote.peer)) ||
		direct_begin(talk) != 0) {
		inside_count(phone, PHONE_COUNTER_ignored_handshake);
		refuse(talk);
		return;
	}
	talk->peer = setup->remote.peer;
	talk->has_peer = true;
	setup->has_offer = true;
	talk->trust = PHONE_STRANGER;
	if (phone->config.trust != NULL)
		talk->trust = phone->config.trust(
			phone->config.trust_context, talk->identity_key, &talk->peer);
	setup->via = relay;
	both(talk);
}
