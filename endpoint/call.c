// SPDX-License-Identifier: BSD-3-Clause
// The table of calls, and what does not depend on which side a call is of.
#include "endpoint/core.h"

#include <sodium.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct call *core_call_make(struct endpoint *e, int *error)
{
	unsigned free_slot = 0;

	while (free_slot < ENDPOINT_CALLS_MAX && e->calls[free_slot] != NULL)
		free_slot++;
	*error = -EMFILE;
	if (free_slot == ENDPOINT_CALLS_MAX)
		return NULL;
	*error = -ENOMEM;
	struct call *call = calloc(1, sizeof(*call));
	if (call == NULL)
		return NULL;
	call->setup = calloc(1, sizeof(*call->setup));
	if (call->setup == NULL) {
		free(call);
		return NULL;
	}
	call->id = ++e->last_call;
	core_request_clear(&call->request);
	core_request_clear(&call->keepalive);
	core_request_clear(&call->check);
	call->give_up_at = call->rest_until = ENDPOINT_NEVER;
	call->keepalive_at = call->alive_until = ENDPOINT_NEVER;
	call->setup->wipe_at = ENDPOINT_NEVER;
	e->calls[free_slot] = call;
	return call;
}

struct call *core_call_find(struct endpoint *e, uint64_t id)
{
	for (unsigned i = 0; i < ENDPOINT_CALLS_MAX; i++) {
		struct call *call = e->calls[i];
		// What is only waiting for a farewell does not exist for the user any more.
		if (call != NULL && call->id == id && call->state != CALL_DEAD &&
			call->state != CALL_CLOSING && call->state != CALL_CANCELLED &&
			call->state != CALL_DECLINING)
			return call;
	}
	return NULL;
}

struct call *core_call_of_handle(struct endpoint *e, struct native_handle handle)
{
	for (unsigned i = 0; i < ENDPOINT_CALLS_MAX; i++) {
		struct call *call = e->calls[i];
		if (call != NULL && (call->state == CALL_OPEN || call->state == CALL_CLOSING) &&
			call->handle.index == handle.index &&
			call->handle.generation == handle.generation)
			return call;
	}
	return NULL;
}

struct call *core_call_of_open_id(struct endpoint *e, const uint8_t open_id[static 16], bool caller)
{
	for (unsigned i = 0; i < ENDPOINT_CALLS_MAX; i++) {
		struct call *call = e->calls[i];
		if (call != NULL && call->state != CALL_DEAD && call->caller == caller &&
			memcmp(call->open_id, open_id, NATIVE_OPEN_ID_SIZE) == 0)
			return call;
	}
	return NULL;
}

void core_call_wipe_setup(struct call *call)
{
	if (call->setup == NULL)
		return;
	sodium_memzero(call->setup, sizeof(*call->setup));
	free(call->setup);
	call->setup = NULL;
}

void core_call_binding(uint8_t binding[static CORE_BINDING_SIZE], const uint8_t open_id[static 16],
	const uint8_t callee[static 32])
{
	memcpy(binding, open_id, NATIVE_OPEN_ID_SIZE);
	memcpy(binding + NATIVE_OPEN_ID_SIZE, callee, NATIVE_ADDRESS_SIZE);
}

int core_call_path_key(struct endpoint *e, struct call *call)
{
	uint8_t ephemeral[32], shared[32];
	int result = -EBADMSG;

	core_random(e, ephemeral, sizeof(ephemeral));
	crypto_scalarmult_base(call->setup->ephemeral, ephemeral);
	if (crypto_scalarmult(shared, ephemeral, e->path.relay_key) == 0) {
		native_path_key(call->path_key, shared, call->setup->ephemeral, e->path.relay_key,
			call->open_id, !call->caller);
		result = 0;
	}
	sodium_memzero(ephemeral, sizeof(ephemeral));
	sodium_memzero(shared, sizeof(shared));
	return result;
}

void core_call_die(struct call *call)
{
	call->state = CALL_DEAD;
	core_request_clear(&call->request);
}

void core_call_end(struct endpoint *e, struct call *call, enum endpoint_end why, uint8_t reason,
	uint32_t detail)
{
	core_call_die(call);
	core_event(e, &(struct endpoint_event){
			      .type = ENDPOINT_ENDED,
			      .call = call->id,
			      .ended = {.why = why, .reason = reason, .detail = detail},
		      });
}

void core_calls_reap(struct endpoint *e, bool all)
{
	for (unsigned i = 0; i < ENDPOINT_CALLS_MAX; i++) {
		struct call *call = e->calls[i];
		if (call == NULL || (!all && call->state != CALL_DEAD))
			continue;
		core_call_wipe_setup(call);
		sodium_memzero(call, sizeof(*call));
		free(call);
		e->calls[i] = NULL;
	}
}

void core_call_cancel(struct endpoint *e, struct call *call)
{
	call->state = CALL_CANCELLED;
	call->give_up_at = e->now.monotonic_ms + (NATIVE_TICKET_S + 2) * 1000;
	call->request.due = call->give_up_at; // not to be sent again, but its answer is known
}

static void cancelled_tick(const struct endpoint *e, struct call *call)
{
	if (core_due(e, call->give_up_at))
		core_call_die(call);
}

void core_calls_tick(struct endpoint *e)
{
	for (unsigned i = 0; i < ENDPOINT_CALLS_MAX; i++) {
		struct call *call = e->calls[i];
		if (call == NULL)
			continue;
		if (call->state == CALL_OPEN || call->state == CALL_CLOSING)
			core_live_tick(e, call);
		else if (call->state == CALL_CANCELLED)
			cancelled_tick(e, call);
		else if (call->caller)
			core_open_tick(e, call);
		else
			core_invite_tick(e, call);
	}
}

uint64_t core_calls_deadline(const struct endpoint *e)
{
	uint64_t at = ENDPOINT_NEVER;
	for (unsigned i = 0; i < ENDPOINT_CALLS_MAX; i++) {
		const struct call *call = e->calls[i];
		if (call == NULL || call->state == CALL_DEAD)
			continue;
		at = core_earlier(at, core_earlier(call->request.due, call->give_up_at));
		if (call->state == CALL_WAITING)
			at = core_earlier(at, call->rest_until);
		if (call->state != CALL_OPEN)
			continue;
		at = core_earlier(at, core_earlier(call->keepalive_at, call->alive_until));
		at = core_earlier(at, core_earlier(call->keepalive.due, call->check.due));
		if (call->setup != NULL)
			at = core_earlier(at, call->setup->wipe_at);
	}
	return at;
}

void core_calls_registered(struct endpoint *e)
{
	for (unsigned i = 0; i < ENDPOINT_CALLS_MAX; i++)
		if (e->calls[i] != NULL && e->calls[i]->state == CALL_WAITING)
			core_open_start(e, e->calls[i]);
}

void core_calls_path(struct endpoint *e)
{
	for (unsigned i = 0; i < ENDPOINT_CALLS_MAX; i++) {
		struct call *call = e->calls[i];
		if (call == NULL || call->state != CALL_OPEN)
			continue;
		call->keepalive_at = e->now.monotonic_ms;
		core_request_clear(&call->keepalive);
		core_live_tick(e, call);
	}
}

bool core_call_challenge(struct endpoint *e, const struct native_challenge *m)
{
	for (unsigned i = 0; i < ENDPOINT_CALLS_MAX; i++) {
		struct call *call = e->calls[i];
		if (call == NULL || call->state == CALL_DEAD)
			continue;
		struct request *request = &call->request;
		if (core_request_is(&call->keepalive, m->transaction))
			request = &call->keepalive;
		else if (!core_request_is(request, m->transaction))
			continue;
		bool suspicious = core_path_suspicious(e, request);
		if (call->state != CALL_CANCELLED)
			core_request_challenged(e, request);
		core_path_cookie(e, m->cookie);
		if (suspicious)
			core_leases_want(e);
		core_calls_tick(e);
		return true;
	}
	return false;
}

bool core_call_refused(struct endpoint *e, const struct native_refused *m)
{
	for (unsigned i = 0; i < ENDPOINT_CALLS_MAX; i++) {
		struct call *call = e->calls[i];
		if (call == NULL || !core_request_is(&call->request, m->transaction))
			continue;
		if (core_request_doubts(&call->request, m))
			core_count(e, ENDPOINT_COUNTER_ignored_refusal);
		else if (call->state == CALL_OPENING || call->state == CALL_CANCELLED)
			core_open_refused(e, call, m);
		else if (call->state == CALL_ACCEPTING || call->state == CALL_DECLINING)
			core_invite_refused(e, call, m);
		else
			return false;
		return true;
	}
	return false;
}
