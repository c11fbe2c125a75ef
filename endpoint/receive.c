// SPDX-License-Identifier: BSD-3-Clause
// Control messages from the relay, to whom they are for. What does not parse, answers nothing we
// asked, or is not for clients, is counted and has no other effect.
#include "endpoint/core.h"

#include <string.h>

static bool parsed(struct endpoint *e, int result)
{
	if (result != 0)
		core_count(e, ENDPOINT_COUNTER_ignored_malformed);
	return result == 0;
}

static void answered(struct endpoint *e, bool ours)
{
	if (!ours)
		core_count(e, ENDPOINT_COUNTER_ignored_transaction);
}

static bool opened(struct endpoint *e, const struct native_opened *m)
{
	for (unsigned i = 0; i < ENDPOINT_CALLS_MAX; i++) {
		struct call *call = e->calls[i];
		if (call == NULL || !core_request_is(&call->request, m->transaction))
			continue;
		if (memcmp(call->open_id, m->open_id, sizeof(call->open_id)) != 0)
			return false;
		if (call->state == CALL_OPENING || call->state == CALL_CANCELLED)
			core_open_opened(e, call, m);
		else if (call->state == CALL_ACCEPTING)
			core_invite_opened(e, call, m);
		else if (call->state == CALL_OPEN) // an acceptance that was repeated
			core_request_clear(&call->request);
		else
			return false;
		return true;
	}
	return false;
}

// Each kind has one parser, and one or several who may have asked for it.
static void receive_answer(struct endpoint *e, uint8_t type, const uint8_t *data, size_t size)
{
	union {
		struct native_challenge challenge;
		struct native_registered registered;
		struct native_refused refused;
		struct native_alive alive;
		struct native_opened opened;
		struct native_unsupported unsupported;
	} m;

	switch (type) {
	case NATIVE_CHALLENGE:
		if (parsed(e, native_challenge_parse(data, size, &m.challenge)))
			answered(e, core_path_challenge(e, &m.challenge) ||
					    core_lease_challenge(e, &m.challenge) ||
					    core_call_challenge(e, &m.challenge));
		break;
	case NATIVE_REGISTERED:
		if (parsed(e, native_registered_parse(data, size, &m.registered)))
			answered(e, core_lease_registered(e, &m.registered));
		break;
	case NATIVE_REFUSED:
		if (parsed(e, native_refused_parse(data, size, &m.refused)))
			answered(e, core_lease_refused(e, &m.refused) ||
					    core_call_refused(e, &m.refused));
		break;
	case NATIVE_ALIVE:
		if (parsed(e, native_alive_parse(data, size, &m.alive)))
			answered(e, core_path_alive(e, &m.alive) || core_live_alive(e, &m.alive));
		break;
	case NATIVE_OPENED:
		if (parsed(e, native_opened_parse(data, size, &m.opened)))
			answered(e, opened(e, &m.opened));
		break;
	default:
		if (parsed(e, native_unsupported_parse(data, size, &m.unsupported)))
			answered(e, core_path_unsupported(e, &m.unsupported));
		break;
	}
}

void core_receive_control(struct endpoint *e, const uint8_t *data, size_t size)
{
	union {
		struct native_header header;
		struct native_path_challenge path_challenge;
		struct native_invite invite;
		struct native_closed closed;
	} m;

	if (!parsed(e, native_header_parse(data, size, &m.header)))
		return;
	switch (m.header.type) {
	case NATIVE_CHALLENGE:
	case NATIVE_REGISTERED:
	case NATIVE_REFUSED:
	case NATIVE_ALIVE:
	case NATIVE_OPENED:
	case NATIVE_UNSUPPORTED:
		receive_answer(e, m.header.type, data, size);
		break;
	case NATIVE_PATH_CHALLENGE:
		if (parsed(e, native_path_challenge_parse(data, size, &m.path_challenge)))
			core_live_path_challenge(e, &m.path_challenge);
		break;
	case NATIVE_INVITE:
		if (parsed(e, native_invite_parse(data, size, &m.invite)))
			core_invite_receive(e, &m.invite);
		break;
	case NATIVE_CLOSED:
		if (parsed(e, native_closed_parse(data, size, &m.closed)))
			core_live_closed(e, &m.closed);
		break;
	default:
		core_count(e, ENDPOINT_COUNTER_ignored_type);
		break;
	}
}
