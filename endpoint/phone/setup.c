// SPDX-License-Identifier: BSD-3-Clause
// From the wish to call until there is a session. The caller's offer goes by address at the same
// time as the legs are opened by handle; the callee rings when it has both, the offer and a leg.
// Both are bound to the call id, and the offer to the callee's identity: whoever cannot open it is
// not who was called, and says no.
#include "endpoint/phone/inside.h"

#include "lib/crypto/epoch.h"

#include <sodium.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	ANSWERS_MAX = 8,
	LONGEST_MS = 4000, // until an offer or answer is repeated
	SOONEST_MS = 150,  // between two answers
	AGAIN_MS = 50,     // until a relay has a cookie for us
};

static const char prologue_text[] = "Blindrelay call 1";

static_assert(
	SETUP_PROLOGUE_SIZE == sizeof(prologue_text) - 1 + PHONE_CALL_ID_SIZE + ENDPOINT_KEY_SIZE,
	"all of it");

void setup_prologue(uint8_t out[static SETUP_PROLOGUE_SIZE], const uint8_t *call_id,
	const uint8_t *callee_namespace)
{
	memcpy(out, prologue_text, sizeof(prologue_text) - 1);
	out += sizeof(prologue_text) - 1;
	memcpy(out, call_id, PHONE_CALL_ID_SIZE);
	memcpy(out + PHONE_CALL_ID_SIZE, callee_namespace, ENDPOINT_KEY_SIZE);
}

static void fill_random(void *context, void *out, size_t size)
{
	inside_random(context, out, size);
}

struct handshake_random setup_random(struct phone *phone)
{
	return (struct handshake_random){.fill = fill_random, .context = phone};
}

void setup_wipe(struct talk *talk)
{
	if (talk->setup == NULL)
		return;
	handshake_wipe(&talk->setup->handshake);
	sodium_memzero(talk->setup, sizeof(*talk->setup));
	free(talk->setup);
	talk->setup = NULL;
}

bool setup_waits(const struct talk *talk)
{
	for (unsigned i = 0; i < PHONE_LEGS; i++)
		if (talk->legs[i].relay != NULL && talk->legs[i].state == LEG_NONE &&
			talk->legs[i].why == 0 && talk->caller)
			return true; // its relay has not registered us yet
	return false;
}

// ---- by address ----

static bool send_message(struct talk *talk, struct known_relay *relay, unsigned which)
{
	static const int epochs[] = {0, 0, 0, -1, 0, 1};
	struct phone *phone = talk->phone;
	struct setup *setup = talk->setup;
	uint8_t address[ENDPOINT_ADDRESS_SIZE], datagram[ENDPOINT_RAW_MAX];
	uint32_t seconds = phone->config.epoch_seconds;
	uint32_t epoch = epoch_at(phone->now.wall_s, seconds != 0 ? seconds : EPOCH_SECONDS);

	epoch += (uint32_t)epochs[setup->tries % 6];
	if (endpoint_peer_address(&talk->peer, epoch, address) != 0)
		return true;
	for (unsigned i = 0; i < fragment_count(setup->message_size); i++) {
		size_t size = fragment_make(
			datagram, talk->call_id, which, setup->message, setup->message_size, i);
		if (endpoint_send_to_address(relay->core, address, datagram, size, phone->now) != 0)
			return false;
	}
	setup->tries++;
	return true;
}

// A leg that is open carries the answer, too.
static bool send_by_leg(struct talk *talk)
{
	struct setup *setup = talk->setup;
	uint8_t datagram[ENDPOINT_RAW_MAX];

	for (unsigned number = 0; number < PHONE_LEGS; number++) {
		const struct leg *leg = &talk->legs[number];
		if (leg->state != LEG_OPEN)
			continue;
		for (unsigned i = 0; i < fragment_count(setup->message_size); i++) {
			size_t size = fragment_make(datagram, talk->call_id, FRAGMENT_ANSWER,
				setup->message, setup->message_size, i);
			(void)endpoint_send(
				leg->relay->core, leg->call, datagram, size, talk->phone->now);
		}
		setup->tries++;
		return true;
	}
	return false;
}

static uint64_t pause_ms(const struct setup *setup)
{
	static const uint16_t waits[] = {250, 250, 500, 1000, 1000, 1000, 1000, 2000};
	return setup->tries < sizeof(waits) / sizeof(waits[0]) ? waits[setup->tries] : LONGEST_MS;
}

void setup_send_offer(struct talk *talk)
{
	struct setup *setup = talk->setup;
	struct phone *phone = talk->phone;
	struct known_relay *ready[PHONE_LEGS];
	unsigned count = 0;

	for (unsigned i = 0; i < PHONE_LEGS; i++)
		if (talk->legs[i].relay != NULL && talk->legs[i].relay->registered)
			ready[count++] = talk->legs[i].relay;
	uint64_t wait = pause_ms(setup);
	if (count == 0)
		setup->due = ENDPOINT_NEVER; // setup_registered
	else if (send_message(talk, ready[setup->tries % count], FRAGMENT_OFFER))
		setup->due = phone->now.monotonic_ms + wait;
	else
		setup->due = phone->now.monotonic_ms + AGAIN_MS;
}

// Again and again until a frame of the caller shows that it has it (media.c wipes the setup).
void setup_send_answer(struct talk *talk)
{
	struct setup *setup = talk->setup;
	uint64_t now = talk->phone->now.monotonic_ms, wait = pause_ms(setup);

	setup->answered_at = now;
	if (setup->tries >= ANSWERS_MAX)
		setup->due = ENDPOINT_NEVER; // the next copy of the offer
	else if (send_by_leg(talk) || send_message(talk, setup->via, FRAGMENT_ANSWER))
		setup->due = now + wait;
	else
		setup->due = now + AGAIN_MS;
}

// ---- both ----

// Part of an offer that was answered: the answer was lost.
static void repeated(struct phone *phone, const uint8_t *call_id)
{
	struct talk *talk = NULL;

	while ((talk = talk_of_call_id(phone, call_id, talk)) != NULL)
		if (!talk->caller && talk->setup != NULL && talk->setup->has_answer &&
			phone->now.monotonic_ms >= talk->setup->answered_at + SOONEST_MS) {
			talk->setup->tries = 0;
			setup_send_answer(talk);
		}
}

// The call of ours that an answer may be for.
static struct talk *calling(struct phone *phone, const uint8_t *call_id)
{
	struct talk *talk = NULL;

	while ((talk = talk_of_call_id(phone, call_id, talk)) != NULL)
		if (talk->caller && talk->state == TALK_CALLING)
			return talk;
	return NULL;
}

void setup_fragment(struct known_relay *relay, const uint8_t *data, size_t size)
{
	struct phone *phone = relay->phone;
	struct talk *talk = NULL;
	bool bad = size < FRAGMENT_HEADER;

	// Answers to what nobody has asked take no place of those that are waited for.
	if (!bad && data[1] == FRAGMENT_ANSWER && (talk = calling(phone, data + 3)) == NULL) {
		inside_count(phone, PHONE_COUNTER_ignored_handshake);
		return;
	}
	if (!bad && data[1] == FRAGMENT_OFFER)
		repeated(phone, data + 3);
	const struct fragment_slot *whole =
		fragments_add(&phone->fragments, data, size, phone->now.monotonic_ms, &bad);
	if (bad)
		inside_count(phone, PHONE_COUNTER_ignored_fragment);
	if (whole == NULL)
		return;
	if (whole->which == FRAGMENT_OFFER)
		setup_offered(relay, whole);
	else
		setup_answered(talk, whole->bytes, whole->size);
}

void setup_tick(struct talk *talk)
{
	if (talk->setup == NULL || !inside_due(talk->phone, talk->setup->due))
		return;
	if (talk->caller)
		setup_send_offer(talk);
	else if (talk->setup->has_answer)
		setup_send_answer(talk);
	else
		setup_misfit(talk);
}
