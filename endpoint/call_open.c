// SPDX-License-Identifier: BSD-3-Clause
// The caller's side until a call is open. OPEN is repeated all the time it rings: each brings the
// callee's devices a new INVITE with a younger ticket, and the same handles in the end.
//
//     WAITING (for a lease of ours, or for a busy relay) -> OPENING -> OPEN
//
// The callee is called at its address of our epoch; when the relay knows none there, at the epoch
// before's and after's.
#include "endpoint/core.h"

#include <sodium.h>

#include <assert.h>
#include <errno.h>
#include <string.h>

enum { LONGEST_MS = 2000, REFUSALS_MAX = 8, BUSY_LONGEST_MS = 10 * 1000 };

// Finds the callee's address of an epoch (0 own, 1 before, 2 after) and seals for it.
static int aim(struct endpoint *e, struct call *call, unsigned which)
{
	static const int32_t offset[] = {0, -1, 1};
	uint8_t binding[CORE_BINDING_SIZE], ephemeral[SEAL_EPHEMERAL_SIZE];
	struct call_setup *s = call->setup;

	if (which == 0)
		s->epoch = core_epoch(e);
	int result = endpoint_peer_address(
		&call->peer, s->epoch + (uint32_t)offset[which], s->peer_address);
	if (result != 0)
		return result;
	s->epochs_tried = (uint8_t)(s->epochs_tried | 1u << which);
	core_call_binding(binding, call->open_id, s->peer_address);
	core_random(e, ephemeral, sizeof(ephemeral));
	result = seal_offer(&s->handshake, &e->identity, &call->peer, binding, sizeof(binding),
		ephemeral, s->offer, s->offer_size, s->sealed);
	s->sealed_size = SEAL_OFFER_OVERHEAD + s->offer_size;
	sodium_memzero(ephemeral, sizeof(ephemeral));
	return result;
}

static void send_open(struct endpoint *e, struct call *call)
{
	uint8_t message[NATIVE_MESSAGE_MAX],
		input[sizeof(NATIVE_SIGNATURE_CONTEXT) + NATIVE_MESSAGE_MAX];
	struct call_setup *s = call->setup;
	const struct lease *lease = core_lease_of_address(e, s->address);

	if (lease == NULL || !lease->held) {
		call->state = CALL_WAITING;
		core_request_clear(&call->request);
		lease = core_lease_current(e);
		if (lease != NULL)
			core_open_start(e, call);
		return;
	}
	size_t size = native_open_build(message, sizeof(message),
		&(struct native_open){
			.transaction = call->request.transaction,
			.cookie = core_path_show(e),
			.open_id = call->open_id,
			.caller = s->address,
			.callee = s->peer_address,
			.key = lease->key,
			.ephemeral = s->ephemeral,
			.sealed = s->sealed,
			.sealed_size = (uint16_t)s->sealed_size,
		});
	assert(size != 0);
	size_t input_size = native_signature_input(input, message, size);
	blinding_sign(message + native_signed(size), input, input_size, &lease->secret, lease->key);
	core_request_sent(e, &call->request, LONGEST_MS);
	core_send(e, message, size);
}

void core_open_start(struct endpoint *e, struct call *call)
{
	const struct lease *lease = core_lease_current(e);

	if (lease == NULL || !e->path.has_relay_key)
		return;
	// The path key is bound to the relay's key, which may be known only now.
	if (!call->setup->has_path_key && core_call_path_key(e, call) != 0) {
		core_call_end(e, call, ENDPOINT_END_REFUSED, NATIVE_REFUSED_KEY, 0);
		return;
	}
	call->setup->has_path_key = true;
	memcpy(call->setup->address, lease->address, sizeof(lease->address));
	call->state = CALL_OPENING;
	core_request_begin(e, &call->request);
	send_open(e, call);
}

int endpoint_open(struct endpoint *endpoint, const struct endpoint_peer *peer, const void *offer,
	size_t size, uint64_t *id, struct endpoint_time now)
{
	struct call *call;
	int result;

	*id = 0;
	if (size > ENDPOINT_OFFER_MAX)
		return -EMSGSIZE;
	if (!endpoint->registering)
		return -ENOTCONN;
	core_enter(endpoint, now);
	call = core_call_make(endpoint, &result);
	if (call == NULL)
		goto out;
	call->caller = true;
	call->peer = *peer;
	call->state = CALL_WAITING;
	call->give_up_at = endpoint->now.monotonic_ms + endpoint->config.open_timeout_ms;
	call->rest_until = endpoint->now.monotonic_ms;
	core_random(endpoint, call->open_id, sizeof(call->open_id));
	if (size > 0)
		memcpy(call->setup->offer, offer, size);
	call->setup->offer_size = size;
	result = aim(endpoint, call, 0);
	if (result != 0)
		core_call_die(call);
	else
		*id = call->id; // the deadline, now, sends
out:
	core_leave(endpoint);
	return result;
}

void core_open_tick(struct endpoint *e, struct call *call)
{
	if (call->state != CALL_WAITING && call->state != CALL_OPENING)
		return;
	if (core_due(e, call->give_up_at)) {
		uint64_t id = call->id;
		core_call_cancel(e, call);
		core_event(e, &(struct endpoint_event){
				      .type = ENDPOINT_ENDED,
				      .call = id,
				      .ended = {.why = ENDPOINT_END_NO_ANSWER},
			      });
		return;
	}
	if (call->state == CALL_WAITING && core_due(e, call->rest_until)) {
		call->rest_until = ENDPOINT_NEVER;
		if (core_lease_current(e) != NULL)
			core_open_start(e, call);
	}
	if (call->state == CALL_OPENING && core_due(e, call->request.due))
		send_open(e, call);
}

static void aim_elsewhere(struct endpoint *e, struct call *call)
{
	for (unsigned which = 1; which <= 2; which++)
		if (!(call->setup->epochs_tried >> which & 1) && aim(e, call, which) == 0) {
			core_request_begin(e, &call->request);
			send_open(e, call);
			return;
		}
	core_call_end(e, call, ENDPOINT_END_NO_ADDRESS, 0, 0);
}

void core_open_refused(struct endpoint *e, struct call *call, const struct native_refused *m)
{
	if (call->state == CALL_CANCELLED) {
		core_call_die(call);
		return;
	}
	if (m->reason == NATIVE_REFUSED_NO_ADDRESS) {
		aim_elsewhere(e, call);
		return;
	}
	if (m->reason == NATIVE_REFUSED_DECLINED) {
		core_call_end(e, call, ENDPOINT_END_DECLINED, 0, 0);
		return;
	}
	if (m->reason == NATIVE_REFUSED_DRAINING) {
		core_call_end(e, call, ENDPOINT_END_DRAINING, 0, 0);
		return;
	}
	bool busy = m->reason == NATIVE_REFUSED_BUSY;
	bool elsewhere = m->reason == NATIVE_REFUSED_NOT_REGISTERED;
	if ((!busy && !elsewhere) || ++call->setup->refusals > REFUSALS_MAX) {
		core_call_end(e, call, ENDPOINT_END_REFUSED, m->reason, m->detail);
		return;
	}
	uint64_t wait = busy ? core_earlier(m->detail, BUSY_LONGEST_MS) : 1000;
	core_request_clear(&call->request);
	call->state = CALL_WAITING;
	call->rest_until = e->now.monotonic_ms + core_jitter(e, wait + 8);
	struct lease *lease = core_lease_of_address(e, call->setup->address);
	if (elsewhere && lease != NULL)
		core_lease_want(e, lease);
}

void core_open_opened(struct endpoint *e, struct call *call, const struct native_opened *m)
{
	uint8_t proof[NATIVE_PROOF_SIZE], answer[NATIVE_SEALED_MAX];

	native_opened_proof(proof, call->path_key, m);
	if (sodium_memcmp(proof, m->proof, sizeof(proof)) != 0) {
		core_count(e, ENDPOINT_COUNTER_ignored_proof);
		return;
	}
	if (call->state == CALL_CANCELLED) {
		core_live_begin(e, call, m);
		core_live_close(e, call);
		return;
	}
	int result = seal_answer_open(&call->setup->handshake, &e->identity, m->sealed,
		m->sealed_size, answer, &call->session);
	core_live_begin(e, call, m);
	core_call_wipe_setup(call);
	if (result != 0) {
		uint64_t id = call->id;
		core_live_close(e, call);
		core_event(e, &(struct endpoint_event){
				      .type = ENDPOINT_ENDED,
				      .call = id,
				      .ended = {.why = ENDPOINT_END_NOT_SEALED},
			      });
		return;
	}
	core_event(e, &(struct endpoint_event){
			      .type = ENDPOINT_OPENED,
			      .call = call->id,
			      .data = answer,
			      .size = m->sealed_size - (size_t)SEAL_ANSWER_OVERHEAD,
		      });
	sodium_memzero(answer, sizeof(answer));
}
