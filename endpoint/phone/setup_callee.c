// SPDX-License-Identifier: BSD-3-Clause
// The callee's side until there is a session: it takes an invitation by handle and an offer by
// address, both of one call and one peer, before anything rings.
#include "endpoint/phone/inside.h"

#include <sodium.h>

#include <string.h>

enum {
	OFFERS_A_SECOND = 10, // that are opened at all
	OFFERS_INVITED = 8,   // and besides, of each call that was invited
	TALKS_INCOMING_MAX = PHONE_CALLS_MAX / 2,
	MISFIT_MS = 2000, // for a good copy of an offer, after one that could not be opened
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
	// Only now, that the delivery key is proven as well: nobody is warned of, and nothing
	// leaves here for, what somebody only says.
	talk->trust = PHONE_STRANGER;
	if (phone->config.trust != NULL)
		talk->trust = phone->config.trust(
			phone->config.trust_context, talk->identity_key, &talk->peer);
	if (talk->trust == PHONE_REFUSED) {
		inside_count(phone, PHONE_COUNTER_ignored_identity);
		refuse(talk);
		return;
	}
	if (direct_begin(talk) != 0 || !make_answer(talk)) {
		refuse(talk);
		return;
	}
	(void)core_recent_seen(&phone->recent, talk->offer_id);
	inside_count(phone, PHONE_COUNTER_handshakes);
	talk->has_session = true;
	talk->give_up_at = phone->now.monotonic_ms + phone->config.ring_timeout_ms;
	for (unsigned i = 0; i < PHONE_LEGS; i++)
		if (talk->legs[i].state == LEG_INVITED)
			leg_accept(talk, i);
	talk->state = TALK_INCOMING;
	media_session(talk);
	talk->setup->tries = 0;
	// Our checks leave first: they open our NAT for the caller's, which come as soon as it has
	// the answer.
	direct_remote(talk, &talk->setup->remote);
	direct_tick(talk);
	setup_send_answer(talk);
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

// Of those that do not ring, the one that is missed least: refused, without an invitation, older.
// What anybody can send, an offer, takes no place that an invitation has.
static struct talk *least_missed(struct phone *phone, bool invited)
{
	struct talk *least = NULL;
	unsigned least_worth = 3;

	for (unsigned i = 0; i < PHONE_CALLS_MAX; i++) {
		struct talk *talk = phone->talks[i];
		if (talk == NULL || talk->state != TALK_HALF)
			continue;
		unsigned worth = talk->refused ? 0 : legs_any(talk, LEG_INVITED) ? 2 : 1;
		if ((worth == 2 && !invited) || worth > least_worth ||
			(worth == least_worth && least != NULL && talk->id > least->id))
			continue;
		least = talk;
		least_worth = worth;
	}
	return least;
}

static struct talk *half(struct phone *phone, const uint8_t *call_id, bool invited)
{
	int error;
	struct talk *talk = NULL, *least = NULL;

	if (talks_incoming(phone) >= TALKS_INCOMING_MAX)
		least = least_missed(phone, invited);
	if (least != NULL)
		talk_finish(least, false);
	if (talks_incoming(phone) < TALKS_INCOMING_MAX)
		talk = talk_make(phone, false, &error);
	if (talk == NULL)
		inside_count(phone, PHONE_COUNTER_ignored_handshake);
	else
		memcpy(talk->call_id, call_id, sizeof(talk->call_id));
	return talk;
}

// Call ids travel in clear, so others may use them, too: a call is one of a peer's.
static struct talk *talk_from(
	struct phone *phone, const uint8_t *call_id, const struct endpoint_peer *peer)
{
	struct talk *talk = NULL;

	while ((talk = talk_of_call_id(phone, call_id, talk)) != NULL)
		if (memcmp(&talk->peer, peer, sizeof(*peer)) == 0)
			return talk;
	return NULL;
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
	struct talk *talk = talk_from(phone, call_id, event->invite.caller);
	if (talk == NULL)
		talk = half(phone, call_id, true);
	if (talk == NULL || talk->caller || talk->state == TALK_ENDING || talk->refused) {
		endpoint_decline(relay->core, event->call, phone->now);
		return;
	}
	talk->peer = *event->invite.caller;
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

// Whether it was opened before, or is not worth it.
static bool known_offer(struct phone *phone, const struct fragment_slot *whole)
{
	struct talk *talk = NULL;

	while ((talk = talk_of_call_id(phone, whole->id, talk)) != NULL)
		if (talk->caller || // who calls himself
			(talk->has_offer_id &&
				memcmp(talk->offer_id, whole->bytes, sizeof(talk->offer_id)) == 0))
			return true;
	return core_recent_has(&phone->recent, whole->bytes);
}

static bool affordable(struct phone *phone, const uint8_t *call_id)
{
	struct talk *talk = NULL;

	while ((talk = talk_of_call_id(phone, call_id, talk)) != NULL)
		if (talk->state == TALK_HALF && legs_any(talk, LEG_INVITED) &&
			talk->setup->tries < OFFERS_INVITED) {
			talk->setup->tries++;
			return true;
		}
	return budget(phone);
}

// Who cannot open what was sent with an invitation is not who was called, and says so; but not
// before a copy that nobody has altered had its time.
static void misfit(struct phone *phone, const uint8_t *call_id)
{
	struct talk *talk = NULL;

	inside_count(phone, PHONE_COUNTER_ignored_handshake);
	while ((talk = talk_of_call_id(phone, call_id, talk)) != NULL)
		if (talk->state == TALK_HALF && !talk->setup->has_offer &&
			talk->setup->due == ENDPOINT_NEVER)
			talk->setup->due = phone->now.monotonic_ms + MISFIT_MS;
}

void setup_misfit(struct talk *talk)
{
	talk->setup->due = ENDPOINT_NEVER;
	refuse(talk);
}

static void take_offer(struct known_relay *relay, const struct fragment_slot *whole,
	struct handshake *handshake, const uint8_t *identity_key, const struct payload *payload)
{
	struct phone *phone = relay->phone;
	struct talk *talk = talk_from(phone, whole->id, &payload->peer);

	if (talk == NULL)
		talk = half(phone, whole->id, false);
	if (talk == NULL || talk->state != TALK_HALF || talk->setup->has_offer)
		return;
	struct setup *setup = talk->setup;
	setup->handshake = *handshake;
	setup->remote = *payload;
	setup->via = relay;
	setup->due = ENDPOINT_NEVER;
	setup->has_offer = true;
	talk->peer = payload->peer;
	memcpy(talk->identity_key, identity_key, sizeof(talk->identity_key));
	memcpy(talk->offer_id, whole->bytes, sizeof(talk->offer_id));
	talk->has_offer_id = true;
	both(talk);
}

void setup_offered(struct known_relay *relay, const struct fragment_slot *whole)
{
	struct phone *phone = relay->phone;
	uint8_t prologue[SETUP_PROLOGUE_SIZE], bytes[HANDSHAKE_PAYLOAD_MAX];
	uint8_t identity_key[ENDPOINT_KEY_SIZE];
	struct handshake handshake;
	struct payload payload;

	if (known_offer(phone, whole))
		return;
	if (!relay->home || whole->size > HANDSHAKE_OFFER_MAX || !affordable(phone, whole->id)) {
		inside_count(phone, PHONE_COUNTER_ignored_handshake);
		return;
	}
	setup_prologue(prologue, whole->id, phone->config.namespace_id);
	if (handshake_offer_open(&handshake, &phone->identity, prologue, sizeof(prologue),
		    whole->bytes, whole->size, identity_key, bytes) != 0) {
		misfit(phone, whole->id);
		return;
	}
	int result = payload_read(bytes, whole->size - HANDSHAKE_OFFER_OVERHEAD, true, &payload);
	sodium_memzero(bytes, sizeof(bytes));
	if (result == 0)
		take_offer(relay, whole, &handshake, identity_key, &payload);
	else
		misfit(phone, whole->id);
	sodium_memzero(&payload, sizeof(payload));
	handshake_wipe(&handshake);
}
