// SPDX-License-Identifier: BSD-3-Clause
// See native_answer.h. Owner worker.
#include "dataplane/stage/native_answer.h"

#include "dataplane/stage/answer.h"
#include "dataplane/stage/guard.h"
#include "dataplane/table/handles.h"

bool native_answer(struct pass *pass, unsigned at, const uint8_t *message, size_t size,
	enum native_sender sender)
{
	struct worker *worker = pass->burst.worker;
	const struct headers *h = &pass->burst.headers[at];
	unsigned headers = (unsigned)(h->l4_offset - h->l3_offset) + HEADERS_UDP_LENGTH;
	// The stages ask first. This is so that no answer can ever be forgotten.
	if (size == 0 || size > h->payload_length) {
		pass_drop(pass, at, DROP_native_malformed);
		return false;
	}
	worker->stats.stage[STAGE_guard].packets++;
	if (sender == NATIVE_STRANGER && !guard_reply(worker->guard, h->source, h->family,
						 headers + (unsigned)size, pass->tick)) {
		pass_drop(pass, at, DROP_reply_budget);
		return false;
	}
	return answer_back(pass, at, message, (unsigned)size);
}

void native_answer_challenge(struct pass *pass, unsigned at, const uint8_t *transaction)
{
	struct worker *worker = pass->burst.worker;
	const struct native_settings *native = worker->native;
	const struct cookie_holder holder = native_holder(&pass->burst.headers[at]);
	uint8_t cookie[NATIVE_COOKIE_SIZE], message[NATIVE_ANSWER_MAX];
	cookie_make(native, &holder, pass->burst.now, cookie);
	const struct native_challenge challenge = {
		.transaction = transaction,
		.cookie = cookie,
		.difficulty = native->difficulty,
		.admission = native->admission,
		.epoch = native->epoch,
		.epoch_seconds = native->epoch_seconds,
	};
	size_t size = native_challenge_build(message, sizeof(message), &challenge);
	if (native_answer(pass, at, message, size, NATIVE_STRANGER))
		worker->stats.event[EVENT_native_challenges]++;
}

// Where the packet has no transaction the token's hash is one: as little to be guessed.
void native_answer_path_challenge(struct pass *pass, unsigned at,
	const struct native_handle *handle, const uint8_t *transaction)
{
	struct worker *worker = pass->burst.worker;
	const struct cookie_holder holder = native_holder(&pass->burst.headers[at]);
	uint8_t token[NATIVE_PATH_TOKEN_SIZE], message[NATIVE_ANSWER_MAX];
	path_token_make(worker->native, &holder, handle, pass->burst.now, token);
	const struct native_path_challenge challenge = {
		.transaction = transaction ? transaction : token + 4,
		.handle = *handle,
		.token = token,
	};
	size_t size = native_path_challenge_build(message, sizeof(message), &challenge);
	if (native_answer(pass, at, message, size, NATIVE_STRANGER))
		worker->stats.event[EVENT_path_challenges]++;
}

bool native_answer_closed(struct pass *pass, unsigned at, struct native_handle handle)
{
	static const uint8_t transaction[NATIVE_TRANSACTION_SIZE];
	struct worker *worker = pass->burst.worker;
	uint8_t proof[NATIVE_PROOF_SIZE], message[NATIVE_ANSWER_MAX];
	struct native_closed closed = {
		.transaction = transaction, .handle = handle, .proof = proof};
	if (pass->burst.headers[at].payload_length < NATIVE_CLOSED_SIZE ||
		!handles_closed(worker->handles, handle, pass->tick, proof, &closed.reason))
		return false;
	size_t size = native_closed_build(message, sizeof(message), &closed);
	if (native_answer(pass, at, message, size, NATIVE_STRANGER))
		worker->stats.event[EVENT_closed_again]++;
	return true;
}

// Rounded up: a live handle has something left.
static uint32_t seconds_of(uint32_t ticks, uint64_t hz)
{
	return (uint32_t)((((uint64_t)ticks << TICKS_SHIFT) + hz - 1) / hz);
}

void native_answer_alive(struct pass *pass, unsigned at, const uint8_t *transaction, uint32_t left)
{
	struct worker *worker = pass->burst.worker;
	const struct headers *h = &pass->burst.headers[at];
	const struct cookie_holder holder = native_holder(h);
	uint8_t cookie[NATIVE_COOKIE_SIZE], message[NATIVE_ANSWER_MAX];
	cookie_make(worker->native, &holder, pass->burst.now, cookie);
	struct native_alive alive = {
		.transaction = transaction,
		.cookie = cookie,
		.observed = {.port = h->source_port},
		.left = seconds_of(left, worker->mappings->hz),
	};
	alive.observed.address =
		h->family == NET_IPV4 ? net_address_v4(h->source) : net_address_v6(h->source);
	size_t size = native_alive_build(message, sizeof(message), &alive);
	if (native_answer(pass, at, message, size, NATIVE_PROVEN))
		worker->stats.event[EVENT_native_keepalives]++;
}
