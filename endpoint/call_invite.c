// SPDX-License-Identifier: BSD-3-Clause
// The callee's side until a call is open.
//
//     INVITED -> ACCEPTING -> OPEN        INVITED -> DECLINING
//
// The caller repeats its OPEN, so invitations come again and again with younger tickets. They ring
// once; later ones renew the ticket, and are answered again where the caller seems not to have
// heard the answer. Half of the table is kept free of invitations: strangers must not be able to
// stop us from calling.
#include "endpoint/core.h"

#include <sodium.h>

#include <assert.h>
#include <errno.h>
#include <string.h>

enum {
	LONGEST_MS = 2000,
	SILENCE_MS = 15 * 1000,             // without another INVITE: the caller is gone
	ANSWER_MS = NATIVE_TICKET_S * 1000, // for the relay to answer ACCEPT
	DECLINE_MS = 10 * 1000,
	DECLINE_TRIES = 4,
	KEEP_MS = (NATIVE_TICKET_S + 10) * 1000, // an accepted invitation may still come again
	BUSY_LONGEST_MS = 5000,
	INVITED_MAX = ENDPOINT_CALLS_MAX / 2,
};

static void send_accept(struct endpoint *e, struct call *call, bool accept)
{
	uint8_t message[NATIVE_MESSAGE_MAX],
		input[sizeof(NATIVE_SIGNATURE_CONTEXT) + NATIVE_MESSAGE_MAX];
	struct call_setup *s = call->setup;
	const struct lease *lease = core_lease_of_address(e, s->address);

	core_request_sent(e, &call->request, LONGEST_MS);
	if (lease == NULL)
		return; // its epoch is over; give_up_at ends the call
	size_t size = native_accept_build(message, sizeof(message),
		&(struct native_accept){
			.transaction = call->request.transaction,
			.cookie = core_path_show(e),
			.open_id = call->open_id,
			.callee = s->address,
			.key = lease->key,
			.ephemeral = s->ephemeral,
			.accept = accept,
			.ticket = s->ticket,
			.sealed = s->sealed,
			.sealed_size = (uint16_t)(accept ? s->sealed_size : 0),
		});
	assert(size != 0);
	size_t input_size = native_signature_input(input, message, size);
	blinding_sign(message + native_signed(size), input, input_size, &lease->secret, lease->key);
	core_send(e, message, size);
}

// The caller has not heard that the call is open; the relay tells both again. No timer: another
// INVITE follows if it did not help.
void core_invite_repeat(struct endpoint *e, struct call *call)
{
	send_accept(e, call, true);
	call->request.due = call->setup->wipe_at;
}

static void invited_again(struct endpoint *e, struct call *call, const struct native_invite *m)
{
	if (call->setup == NULL || call->state == CALL_CANCELLED || call->state == CALL_CLOSING)
		return;
	memcpy(call->setup->ticket, m->ticket, sizeof(call->setup->ticket));
	if (call->state == CALL_INVITED) {
		call->give_up_at = e->now.monotonic_ms + SILENCE_MS;
	} else if (call->state == CALL_DECLINING) {
		core_request_begin(e, &call->request);
		send_accept(e, call, false);
	} else if (call->state == CALL_OPEN) {
		core_request_begin(e, &call->request);
		core_invite_repeat(e, call);
	}
}

static unsigned invitations(const struct endpoint *e)
{
	unsigned count = 0;
	for (unsigned i = 0; i < ENDPOINT_CALLS_MAX; i++)
		count += e->calls[i] != NULL && (e->calls[i]->state == CALL_INVITED ||
							e->calls[i]->state == CALL_DECLINING);
	return count;
}

static void invited(struct endpoint *e, struct call *call, const struct native_invite *m,
	const uint8_t *offer, size_t size)
{
	memcpy(call->open_id, m->open_id, sizeof(call->open_id));
	memcpy(call->setup->ticket, m->ticket, sizeof(call->setup->ticket));
	memcpy(call->setup->address, m->callee, sizeof(call->setup->address));
	call->state = CALL_INVITED;
	call->give_up_at = e->now.monotonic_ms + SILENCE_MS;
	core_event(e, &(struct endpoint_event){
			      .type = ENDPOINT_INVITE,
			      .call = call->id,
			      .data = offer,
			      .size = size,
			      .invite = {.caller = &call->peer},
		      });
}

void core_invite_receive(struct endpoint *e, const struct native_invite *m)
{
	uint8_t binding[CORE_BINDING_SIZE], offer[NATIVE_SEALED_MAX];
	struct call *call = core_call_of_open_id(e, m->open_id, false);
	int error;

	if (call != NULL) {
		invited_again(e, call, m);
		return;
	}
	if (core_lease_of_address(e, m->callee) == NULL) {
		core_count(e, ENDPOINT_COUNTER_ignored_address);
		return;
	}
	call = invitations(e) < INVITED_MAX ? core_call_make(e, &error) : NULL;
	if (call == NULL) {
		core_count(e, ENDPOINT_COUNTER_ignored_full);
		return;
	}
	call->state = CALL_DEAD;
	core_call_binding(binding, m->open_id, m->callee);
	if (seal_offer_open(&call->setup->handshake, &e->identity, binding, sizeof(binding),
		    m->sealed, m->sealed_size, &call->peer, offer) != 0)
		core_count(e, ENDPOINT_COUNTER_ignored_sealed);
	else if (core_recent_seen(&e->recent, m->open_id))
		core_count(e, ENDPOINT_COUNTER_ignored_replay);
	else
		invited(e, call, m, offer, m->sealed_size - (size_t)SEAL_OFFER_OVERHEAD);
	sodium_memzero(offer, sizeof(offer));
}

static int accept_call(struct endpoint *e, uint64_t id, const void *answer, size_t size)
{
	uint8_t ephemeral[SEAL_EPHEMERAL_SIZE];
	struct call *call = core_call_find(e, id);

	if (call == NULL || call->state != CALL_INVITED)
		return -ENOENT;
	core_random(e, ephemeral, sizeof(ephemeral));
	int result = seal_answer(&call->setup->handshake, ephemeral, answer, size,
		call->setup->sealed, &call->session);
	sodium_memzero(ephemeral, sizeof(ephemeral));
	if (result == 0)
		result = core_call_path_key(e, call);
	if (result != 0)
		return -ENOENT; // cannot be accepted by anybody
	call->setup->sealed_size = SEAL_ANSWER_OVERHEAD + size;
	call->state = CALL_ACCEPTING;
	call->give_up_at = e->now.monotonic_ms + ANSWER_MS;
	core_request_begin(e, &call->request);
	send_accept(e, call, true);
	return 0;
}

int endpoint_accept(struct endpoint *endpoint, uint64_t call, const void *answer, size_t size,
	struct endpoint_time now)
{
	if (size > ENDPOINT_ANSWER_MAX)
		return -EMSGSIZE;
	core_enter(endpoint, now);
	int result = accept_call(endpoint, call, answer, size);
	core_leave(endpoint);
	return result;
}

int endpoint_decline(struct endpoint *endpoint, uint64_t id, struct endpoint_time now)
{
	core_enter(endpoint, now);
	struct call *call = core_call_find(endpoint, id);
	int result = call == NULL || call->state != CALL_INVITED ? -ENOENT : 0;
	if (result == 0) {
		core_random(endpoint, call->setup->ephemeral, sizeof(call->setup->ephemeral));
		call->state = CALL_DECLINING;
		call->give_up_at = endpoint->now.monotonic_ms + DECLINE_MS;
		core_request_begin(endpoint, &call->request);
		send_accept(endpoint, call, false);
	}
	core_leave(endpoint);
	return result;
}

void core_invite_tick(struct endpoint *e, struct call *call)
{
	bool over = core_due(e, call->give_up_at);

	if (call->state == CALL_INVITED && over) {
		core_call_end(e, call, ENDPOINT_END_CANCELLED, 0, 0);
	} else if (call->state == CALL_DECLINING && over) {
		core_call_die(call);
	} else if (call->state == CALL_DECLINING && core_due(e, call->request.due)) {
		if (call->request.tries < DECLINE_TRIES)
			send_accept(e, call, false);
		else
			core_request_clear(&call->request);
	} else if (call->state == CALL_ACCEPTING && over) {
		core_call_cancel(e, call);
		core_event(e, &(struct endpoint_event){
				      .type = ENDPOINT_ENDED,
				      .call = call->id,
				      .ended = {.why = ENDPOINT_END_NO_ANSWER},
			      });
	} else if (call->state == CALL_ACCEPTING && core_due(e, call->request.due)) {
		send_accept(e, call, true);
	}
}

void core_invite_refused(struct endpoint *e, struct call *call, const struct native_refused *m)
{
	uint64_t wait = 1000;

	if (call->state == CALL_DECLINING) {
		core_call_die(call);
		return;
	}
	struct lease *lease = core_lease_of_address(e, call->setup->address);
	switch (m->reason) {
	case NATIVE_REFUSED_BUSY:
		wait = core_earlier(m->detail, BUSY_LONGEST_MS);
		break;
	case NATIVE_REFUSED_TICKET: // too old; the next INVITE brings another
		break;
	case NATIVE_REFUSED_NOT_REGISTERED:
		if (lease != NULL)
			core_lease_want(e, lease);
		break;
	case NATIVE_REFUSED_TAKEN:
		core_call_end(e, call, ENDPOINT_END_TAKEN, 0, 0);
		return;
	default:
		core_call_end(e, call, ENDPOINT_END_REFUSED, m->reason, m->detail);
		return;
	}
	core_request_begin(e, &call->request);
	call->request.due += core_jitter(e, wait + 8);
}

void core_invite_opened(struct endpoint *e, struct call *call, const struct native_opened *m)
{
	uint8_t proof[NATIVE_PROOF_SIZE];

	native_opened_proof(proof, call->path_key, m);
	if (sodium_memcmp(proof, m->proof, sizeof(proof)) != 0) {
		core_count(e, ENDPOINT_COUNTER_ignored_proof);
		return;
	}
	core_live_begin(e, call, m);
	sodium_memzero(&call->setup->handshake, sizeof(call->setup->handshake));
	call->setup->wipe_at = e->now.monotonic_ms + KEEP_MS;
	core_event(e, &(struct endpoint_event){.type = ENDPOINT_OPENED, .call = call->id});
}
