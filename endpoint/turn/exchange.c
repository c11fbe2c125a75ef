// SPDX-License-Identifier: BSD-3-Clause
// One request on its way: sent again after RTO, 2 RTO, 4 RTO ..., given up after 16 RTO more (RFC
// 8489 6.2.1). RTO is spread by an eighth, so that clients which lost a server together do not come
// back together. A message is built anew each time it is sent, with the youngest nonce: nothing but
// the transaction has to be kept.
#include "endpoint/turn/client.h"

#include <sodium.h>

#include <errno.h>
#include <string.h>

static void new_transaction(struct turn_client *c, struct turn_exchange *x)
{
	uint16_t spread;
	c->random(c->random_context, x->transaction, sizeof(x->transaction));
	c->random(c->random_context, &spread, sizeof(spread));
	x->interval_ms = c->first_ms + (uint32_t)((uint64_t)c->first_ms * spread / 8 / 65536);
	x->due = c->now;
	x->tries = 0;
	x->doubted = 0;
	x->doubted_code = 0;
	// A Binding is for everybody (RFC 8489 9.2 is a matter of the usage).
	x->is_signed = c->credentials.given && c->credentials.learned && x->method != STUN_BINDING;
}

void turn_exchange_begin(struct turn_client *c, struct turn_exchange *x, uint16_t method)
{
	*x = (struct turn_exchange){.method = method, .began_at = c->now};
	new_transaction(c, x);
}

void turn_exchange_end(struct turn_exchange *x)
{
	*x = (struct turn_exchange){.due = ENDPOINT_NEVER};
}

static void transmit(
	struct turn_client *c, struct turn_exchange *x, turn_fill *fill, const void *of)
{
	uint8_t message[TURN_REQUEST_MAX];
	struct stun_builder b =
		stun_begin(message, sizeof(message), x->method, STUN_REQUEST, x->transaction);
	if (fill != NULL)
		fill(c, of, &b);
	if (x->is_signed)
		turn_credentials_sign(&c->credentials, &b);
	size_t size = stun_finish(&b);
	if (size > 0)
		turn_client_transmit(c, message, size);
}

bool turn_exchange_run(
	struct turn_client *c, struct turn_exchange *x, turn_fill *fill, const void *of)
{
	if (x->method == 0 || c->now < x->due)
		return true;
	if (x->tries >= c->tries) {
		turn_client_count(c, TURN_CLIENT_COUNTER_timeouts);
		return false;
	}
	if (x->tries > 0) {
		turn_client_count(c, TURN_CLIENT_COUNTER_retransmissions);
		x->interval_ms *= 2;
	}
	x->tries++;
	x->sent_at = c->now;
	if (x->tries == c->tries)
		x->due = c->now + (uint64_t)c->first_ms * TURN_LAST_WAIT;
	else
		x->due = c->now + x->interval_ms;
	transmit(c, x, fill, of);
	return true;
}

bool turn_exchange_is(const struct turn_exchange *x, const struct stun_message *m)
{
	// Not answered before it was sent.
	return x->method != 0 && x->method == m->method && x->tries > 0 &&
	       memcmp(x->transaction, stun_transaction(m), sizeof(x->transaction)) == 0;
}

// 401 to what was not signed, 438 to what was: asks again, signed with what they taught. Both come
// without a proof, so that others could keep us busy: not forever.
static enum turn_answer challenged(struct turn_client *c, struct turn_exchange *x,
	const struct stun_message *m, unsigned *code)
{
	if (*code == 438)
		turn_client_count(c, TURN_CLIENT_COUNTER_stale_nonces);
	if (!c->credentials.given || x->challenges >= TURN_CHALLENGES_MAX)
		return TURN_ANSWER_ERROR;
	int result = turn_credentials_learn(&c->credentials, m);
	if (result == -EBADMSG || result == -EPROTO) {
		turn_client_count(c, result == -EBADMSG ? TURN_CLIENT_COUNTER_ignored_malformed
							: TURN_CLIENT_COUNTER_ignored_downgrade);
		return TURN_ANSWER_NONE;
	}
	if (result != 0) { // no algorithm that both have
		*code = 0;
		return TURN_ANSWER_ERROR;
	}
	x->challenges++;
	new_transaction(c, x);
	return TURN_ANSWER_NONE;
}

// An error that should be signed and is not: somebody else's, or of a server that could not. Only
// the last of a few is believed (RFC 8489 9.2.5 would have us wait for the end of the series).
static enum turn_answer doubt(struct turn_client *c, struct turn_exchange *x, unsigned code)
{
	turn_client_count(c, TURN_CLIENT_COUNTER_ignored_integrity);
	x->doubted_code = code;
	return ++x->doubted >= TURN_DOUBTED_TRIES ? TURN_ANSWER_ERROR : TURN_ANSWER_NONE;
}

static bool proven(struct turn_client *c, const struct turn_exchange *x,
	const struct stun_message *m, bool *bare)
{
	int result = x->is_signed ? turn_credentials_verify(&c->credentials, m) : 0;
	*bare = result == -ENOENT;
	return result == 0;
}

static enum turn_answer refused(struct turn_client *c, struct turn_exchange *x,
	const struct stun_message *m, unsigned *code)
{
	struct stun_attribute attribute;
	bool bare;

	if (!stun_find(m, STUN_ERROR_CODE, &attribute) || stun_read_error(&attribute, code) != 0) {
		turn_client_count(c, TURN_CLIENT_COUNTER_ignored_malformed);
		return TURN_ANSWER_NONE;
	}
	if (x->method != STUN_BINDING && (*code == 438 || (*code == 401 && !x->is_signed)))
		return challenged(c, x, m, code);
	if (*code == 401) // to what we have signed
		return TURN_ANSWER_ERROR;
	if (proven(c, x, m, &bare))
		return TURN_ANSWER_ERROR;
	if (bare)
		return doubt(c, x, *code);
	turn_client_count(c, TURN_CLIENT_COUNTER_ignored_integrity);
	return TURN_ANSWER_NONE;
}

static enum turn_answer judge(struct turn_client *c, struct turn_exchange *x,
	const struct stun_message *m, unsigned *code)
{
	static const uint16_t known[] = {STUN_MAPPED_ADDRESS, STUN_USERNAME, STUN_MESSAGE_INTEGRITY,
		STUN_MESSAGE_INTEGRITY_SHA256, STUN_LIFETIME, STUN_XOR_RELAYED_ADDRESS,
		STUN_XOR_MAPPED_ADDRESS, STUN_RESERVATION_TOKEN, STUN_REALM, STUN_NONCE,
		STUN_CHANNEL_NUMBER};
	uint16_t unknown;
	bool bare;

	if (m->class == STUN_ERROR)
		return refused(c, x, m, code);
	if (!proven(c, x, m, &bare)) {
		turn_client_count(c, TURN_CLIENT_COUNTER_ignored_integrity);
		return TURN_ANSWER_NONE;
	}
	if (stun_unknown_attributes(m, known, sizeof(known) / sizeof(known[0]), &unknown, 1) > 0) {
		// RFC 8489 6.3.3: it is done there, and we do not understand what.
		turn_client_count(c, TURN_CLIENT_COUNTER_ignored_malformed);
		*code = 0;
		return TURN_ANSWER_ERROR;
	}
	return TURN_ANSWER_SUCCESS;
}

enum turn_answer turn_exchange_answer(struct turn_client *c, struct turn_exchange *x,
	const struct stun_message *m, unsigned *code)
{
	uint8_t tries = x->tries;
	uint64_t sent_at = x->sent_at;
	enum turn_answer answer = judge(c, x, m, code);

	if (answer == TURN_ANSWER_NONE)
		return answer;
	c->heard_at = c->now;
	if (tries == 1) // of a repeated one nobody knows which was answered
		c->round_trip_ms = (unsigned)(c->now - sent_at);
	turn_exchange_end(x);
	return answer;
}
