// SPDX-License-Identifier: BSD-3-Clause
// An open call: data by its handle, the keepalive that keeps the handle, the path check by which
// the relay learns where we are now, and the end. What the relay says about a handle is proven with
// the path key; what the peer says, with the session's.
#include "endpoint/core.h"

#include <sodium.h>

#include <errno.h>
#include <string.h>

enum {
	TRIES_KEEPALIVE = 5,
	TRIES_CLOSE = 5,
	LONGEST_MS = 4000,
	CHECK_PAUSE_MS = 20, // between two answers to path checks of one handle
};

void core_live_begin(struct endpoint *e, struct call *call, const struct native_opened *m)
{
	call->handle = m->handle;
	// The lifetime is proven, the keepalive is not: it must not let the handle expire.
	uint32_t most = m->lifetime > 6 ? m->lifetime / 3 : 2;
	call->keepalive_s = m->keepalive != 0 && m->keepalive < most ? m->keepalive : most;
	call->lifetime_s = m->lifetime > most ? m->lifetime : most;
	call->state = CALL_OPEN;
	call->give_up_at = ENDPOINT_NEVER;
	core_request_clear(&call->request);
	call->alive_until = e->now.monotonic_ms + (uint64_t)call->lifetime_s * 1000;
	call->keepalive_at = e->now.monotonic_ms + (uint64_t)call->keepalive_s * 1000;
}

static void send_keepalive(struct endpoint *e, struct call *call)
{
	uint8_t message[NATIVE_MESSAGE_MAX];
	size_t size = native_keepalive_build(message, sizeof(message),
		&(struct native_keepalive){
			.transaction = call->keepalive.transaction,
			.cookie = core_path_show(e),
			.has_handle = true,
			.handle = call->handle,
		});
	core_request_sent(e, &call->keepalive, LONGEST_MS);
	core_send(e, message, size);
}

static void plan_keepalive(struct endpoint *e, struct call *call)
{
	uint64_t period = (uint64_t)call->keepalive_s * 1000;
	core_request_clear(&call->keepalive);
	call->keepalive_at = e->now.monotonic_ms + period - core_random_below(e, period / 8 + 1);
}

static void send_path_response(struct endpoint *e, struct call *call)
{
	uint8_t message[NATIVE_MESSAGE_MAX], proof[NATIVE_PROOF_SIZE];
	struct native_path_response m = {
		.transaction = call->check.transaction,
		.handle = call->handle,
		.token = call->token,
	};

	native_path_response_proof(proof, call->path_key, &m);
	m.proof = proof;
	size_t size = native_path_response_build(message, sizeof(message), &m);
	core_request_sent(e, &call->check, LONGEST_MS);
	core_send(e, message, size);
}

static void send_close(struct endpoint *e, struct call *call)
{
	uint8_t message[NATIVE_MESSAGE_MAX], proof[NATIVE_PROOF_SIZE];
	struct native_close m = {
		.transaction = call->request.transaction,
		.handle = call->handle,
	};

	native_close_proof(proof, call->path_key, &m);
	m.proof = proof;
	size_t size = native_close_build(message, sizeof(message), &m);
	core_request_sent(e, &call->request, LONGEST_MS);
	core_send(e, message, size);
}

void core_live_close(struct endpoint *e, struct call *call)
{
	core_call_wipe_setup(call);
	seal_session_wipe(&call->session);
	core_request_clear(&call->keepalive);
	core_request_clear(&call->check);
	call->give_up_at = ENDPOINT_NEVER;
	call->state = CALL_CLOSING;
	core_request_begin(e, &call->request);
	send_close(e, call);
}

static void tick_open(struct endpoint *e, struct call *call)
{
	if (core_due(e, call->alive_until)) {
		core_call_end(e, call, ENDPOINT_END_SELF_SILENT, 0, 0);
		return;
	}
	if (core_due(e, call->keepalive_at)) {
		call->keepalive_at = ENDPOINT_NEVER;
		core_request_begin(e, &call->keepalive);
	}
	if (core_due(e, call->keepalive.due)) {
		if (call->keepalive.tries < TRIES_KEEPALIVE) {
			send_keepalive(e, call);
		} else {
			plan_keepalive(e, call);
			core_path_doubt(e);
		}
	}
	if (core_due(e, call->check.due)) {
		if (core_due(e, call->check_until))
			core_request_clear(&call->check);
		else
			send_path_response(e, call);
	}
	if (call->setup != NULL && core_due(e, call->setup->wipe_at)) {
		core_call_wipe_setup(call);
		core_request_clear(&call->request);
	}
	if (core_due(e, call->request.due))
		core_invite_repeat(e, call);
}

void core_live_tick(struct endpoint *e, struct call *call)
{
	if (call->state == CALL_OPEN)
		tick_open(e, call);
	else if (call->state == CALL_CLOSING && core_due(e, call->request.due)) {
		if (call->request.tries < TRIES_CLOSE)
			send_close(e, call);
		else
			core_call_die(call);
	}
}

bool core_live_alive(struct endpoint *e, const struct native_alive *m)
{
	for (unsigned i = 0; i < ENDPOINT_CALLS_MAX; i++) {
		struct call *call = e->calls[i];
		if (call == NULL || call->state != CALL_OPEN)
			continue;
		bool checked = core_request_is(&call->check, m->transaction);
		if (!checked && !core_request_is(&call->keepalive, m->transaction))
			continue;
		core_path_measure(e, checked ? &call->check : &call->keepalive);
		core_request_clear(&call->check);
		plan_keepalive(e, call);
		call->alive_until = e->now.monotonic_ms + ((uint64_t)m->left + 1) * 1000;
		core_path_cookie(e, m->cookie);
		core_path_observed(e, &m->observed);
		if (call->state != CALL_OPEN)
			return true;
		if (m->left == 0)
			core_call_end(e, call, ENDPOINT_END_LOST, 0, 0);
		else if (checked)
			core_event(e, &(struct endpoint_event){
					      .type = ENDPOINT_PATH_CHANGED,
					      .call = call->id,
				      });
		return true;
	}
	return false;
}

void core_live_path_challenge(struct endpoint *e, const struct native_path_challenge *m)
{
	struct call *call = core_call_of_handle(e, m->handle);

	if (call == NULL || call->state != CALL_OPEN) {
		core_count(e, ENDPOINT_COUNTER_ignored_handle);
		return;
	}
	if (call->check.due == ENDPOINT_NEVER) {
		core_request_begin(e, &call->check);
	} else if (e->now.monotonic_ms - call->check.sent_at < CHECK_PAUSE_MS) {
		core_count(e, ENDPOINT_COUNTER_ignored_rate);
		return;
	}
	core_count(e, ENDPOINT_COUNTER_path_checks);
	memcpy(call->token, m->token, sizeof(call->token));
	call->check_until = e->now.monotonic_ms + NATIVE_PATH_TOKEN_S * 1000;
	call->check.tries = 0; // another token: what was lost of the last one does not matter
	send_path_response(e, call);
}

void core_live_closed(struct endpoint *e, const struct native_closed *m)
{
	static const enum endpoint_end why[] = {
		[NATIVE_CLOSED_BY_PEER] = ENDPOINT_END_BY_PEER,
		[NATIVE_CLOSED_BY_YOU] = ENDPOINT_END_BY_SELF,
		[NATIVE_CLOSED_PEER_SILENT] = ENDPOINT_END_PEER_SILENT,
		[NATIVE_CLOSED_DRAINING] = ENDPOINT_END_DRAINING,
		[NATIVE_CLOSED_YOU_SILENT] = ENDPOINT_END_SELF_SILENT,
	};
	uint8_t proof[NATIVE_PROOF_SIZE];
	struct call *call = core_call_of_handle(e, m->handle);

	if (call == NULL) {
		core_count(e, ENDPOINT_COUNTER_ignored_handle);
		return;
	}
	native_closed_proof(proof, call->path_key, m);
	if (sodium_memcmp(proof, m->proof, sizeof(proof)) != 0) {
		core_count(e, ENDPOINT_COUNTER_ignored_proof);
		return;
	}
	if (call->state == CALL_CLOSING)
		core_call_die(call);
	else if (m->reason < sizeof(why) / sizeof(why[0]) && why[m->reason] != 0)
		core_call_end(e, call, why[m->reason], m->reason, 0);
	else
		core_call_end(e, call, ENDPOINT_END_REFUSED, m->reason, 0);
}

void core_live_data(struct endpoint *e, const uint8_t *data, size_t size)
{
	struct native_by_handle m;
	uint8_t opened[2048];

	if (native_by_handle_parse(data, size, &m) != 0 || m.payload_size > sizeof(opened)) {
		core_count(e, ENDPOINT_COUNTER_ignored_malformed);
		return;
	}
	struct call *call = core_call_of_handle(e, m.handle);
	if (call == NULL || call->state != CALL_OPEN) {
		core_count(e, ENDPOINT_COUNTER_ignored_handle);
		return;
	}
	if (call->bare) {
		core_event(e, &(struct endpoint_event){
				      .type = ENDPOINT_DATA,
				      .call = call->id,
				      .data = m.payload,
				      .size = m.payload_size,
			      });
		return;
	}
	int result = seal_frame_open(&call->session, m.payload, m.payload_size, opened);
	if (result != 0) {
		core_count(e, result == -EALREADY ? ENDPOINT_COUNTER_ignored_replay
						  : ENDPOINT_COUNTER_ignored_sealed);
		return;
	}
	core_event(e, &(struct endpoint_event){
			      .type = ENDPOINT_DATA,
			      .call = call->id,
			      .data = opened,
			      .size = m.payload_size - SEAL_FRAME_OVERHEAD,
		      });
	sodium_memzero(opened, m.payload_size);
}

static int send_data(struct endpoint *e, uint64_t id, const void *data, size_t size)
{
	uint8_t message[NATIVE_MESSAGE_MAX], frame[SEAL_FRAME_OVERHEAD + ENDPOINT_DATA_MAX];
	struct call *call = core_call_find(e, id);
	struct native_by_handle m = {.payload = frame, .payload_size = SEAL_FRAME_OVERHEAD + size};

	if (call == NULL)
		return -ENOENT;
	if (call->state != CALL_OPEN)
		return -ENOTCONN;
	if (size > (call->bare ? ENDPOINT_BARE_MAX : ENDPOINT_DATA_MAX))
		return -EMSGSIZE;
	m.handle = call->handle;
	if (call->bare) {
		m.payload = data;
		m.payload_size = size;
	} else {
		int result = seal_frame(&call->session, data, size, frame);
		if (result != 0)
			return result;
	}
	size_t whole = native_by_handle_build(message, sizeof(message), &m);
	core_send(e, message, whole);
	return 0;
}

int endpoint_send(struct endpoint *endpoint, uint64_t call, const void *data, size_t size,
	struct endpoint_time now)
{
	core_enter(endpoint, now);
	int result = send_data(endpoint, call, data, size);
	core_leave(endpoint);
	return result;
}

int endpoint_call_bare(struct endpoint *endpoint, uint64_t id)
{
	struct call *call = core_call_find(endpoint, id);

	if (call == NULL)
		return -ENOENT;
	call->bare = true;
	return 0;
}

int endpoint_close(struct endpoint *endpoint, uint64_t id, struct endpoint_time now)
{
	core_enter(endpoint, now);
	struct call *call = core_call_find(endpoint, id);
	int result = call == NULL ? -ENOENT : 0;
	if (call == NULL)
		;
	else if (call->state == CALL_OPEN)
		core_live_close(endpoint, call);
	else if (call->state == CALL_OPENING || call->state == CALL_ACCEPTING)
		core_call_cancel(endpoint, call);
	else if (call->state == CALL_INVITED)
		endpoint_decline(endpoint, id, now);
	else
		core_call_die(call);
	core_leave(endpoint);
	return result;
}
