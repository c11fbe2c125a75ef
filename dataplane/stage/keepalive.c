// SPDX-License-Identifier: BSD-3-Clause
// KEEPALIVE: tells the client where it is seen from, gives it a fresh cookie, and puts off the
// deadline of its handle. Owner worker.
#include "dataplane/stage/control.h"
#include "dataplane/table/handles.h"

void control_keepalive(struct pass *pass, unsigned at, const uint8_t *message, size_t size)
{
	struct worker *worker = pass->burst.worker;
	struct native_keepalive keepalive;
	struct client_key source;
	struct handle_fields line;
	uint32_t sequence, left = 0;
	if (native_keepalive_parse(message, size, &keepalive) < 0) {
		pass_drop(pass, at, DROP_native_malformed);
		return;
	}
	native_source(&source, pass, at, &pass->burst.headers[at]);
	// The handle first: who has moved has no cookie of its new place, and asks for nothing but
	// to be noticed. A deadline is put off for who has one only.
	enum handle_verdict verdict = HANDLE_NONE;
	if (keepalive.has_handle)
		verdict = handles_read(
			worker->handles, keepalive.handle, &source, pass->tick, &line, &sequence);
	if (verdict != HANDLE_ELSEWHERE && !control_cookie(pass, at, keepalive.cookie)) {
		native_answer_challenge(pass, at, keepalive.transaction);
		return;
	}
	if (verdict == HANDLE_HERE)
		verdict = handles_keepalive(
			worker->handles, keepalive.handle, &source, pass->tick, &left);
	if (verdict == HANDLE_ELSEWHERE)
		native_answer_path_challenge(pass, at, &keepalive.handle, keepalive.transaction);
	else if (verdict == HANDLE_BUSY)
		pass_drop(pass, at, DROP_handle_busy);
	else
		native_answer_alive(
			pass, at, keepalive.transaction, verdict == HANDLE_HERE ? left : 0);
}
