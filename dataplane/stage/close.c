// SPDX-License-Identifier: BSD-3-Clause
// CLOSE: whoever shows the path key of a side ends the pair, and both sides are told at once.
// Owner worker.
#include "dataplane/stage/control.h"
#include "dataplane/stage/originate.h"
#include "dataplane/table/handles.h"
#include "dataplane/table/own_addresses.h"

#include <sodium.h>

static bool proven(const struct worker *worker, const struct native_close *close, uint32_t tick)
{
	uint8_t key[NATIVE_PATH_KEY_SIZE], proof[NATIVE_PROOF_SIZE];
	if (!handles_path_key(worker->handles, close->handle, tick, key))
		return false;
	native_close_proof(proof, key, close);
	bool good = sodium_memcmp(proof, close->proof, sizeof(proof)) == 0;
	sodium_memzero(key, sizeof(key));
	return good;
}

// CLOSED for one side.
static size_t closed_build(uint8_t message[static NATIVE_ANSWER_MAX], const uint8_t *transaction,
	struct native_handle handle, const uint8_t *key, enum native_close_reason reason)
{
	uint8_t proof[NATIVE_PROOF_SIZE];
	struct native_closed closed = {
		.transaction = transaction,
		.handle = handle,
		.reason = (uint8_t)reason,
		.proof = proof,
	};
	native_closed_proof(proof, key, &closed);
	return native_closed_build(message, NATIVE_ANSWER_MAX, &closed);
}

// The peer asked for nothing, so its transaction is zeros.
static void tell_peer(struct pass *pass, const struct handles_ended *ended, unsigned side)
{
	static const uint8_t nothing[NATIVE_TRANSACTION_SIZE];
	struct worker *worker = pass->burst.worker;
	const struct native_handle handle = {ended->handle.generation, ended->handle.index + side};
	uint8_t message[NATIVE_ANSWER_MAX];
	size_t size =
		closed_build(message, nothing, handle, ended->end[side].key, NATIVE_CLOSED_BY_PEER);
	struct datagram out = {
		.source = worker->addresses->listen[ended->end[side].server & SERVER_INDEX_MASK]
				  .bytes,
		.destination = ended->end[side].client,
		.source_port = own_server_port(worker->addresses, ended->end[side].server),
		.destination_port = ended->end[side].client_port,
		.family = ended->end[side].family,
	};
	if (originate(worker, &out, message, (unsigned)size, pass->burst.now) < 0)
		worker->stats.drop[DROP_no_mbuf]++;
}

void control_close(struct pass *pass, unsigned at, const uint8_t *message, size_t size)
{
	struct worker *worker = pass->burst.worker;
	struct native_close close;
	struct handles_ended ended;
	uint8_t answer[NATIVE_ANSWER_MAX];
	if (native_close_parse(message, size, &close) < 0) {
		pass_drop(pass, at, DROP_native_malformed);
		return;
	}
	if (!proven(worker, &close, pass->tick)) {
		// Its answer was lost, or the other side was quicker.
		if (!native_answer_closed(pass, at, close.handle))
			pass_drop(pass, at, DROP_handle_proof);
		return;
	}
	switch (handles_close(worker->handles, close.handle, pass->tick, &ended)) {
	case HANDLE_BUSY:
		pass_drop(pass, at, DROP_handle_busy);
		return;
	case HANDLE_HERE:
		break;
	default:
		pass_drop(pass, at, DROP_handle_unknown);
		return;
	}
	worker->stats.event[EVENT_handles_closed]++;
	unsigned side = close.handle.index & 1;
	size_t answer_size = closed_build(
		answer, close.transaction, close.handle, ended.end[side].key, NATIVE_CLOSED_BY_YOU);
	tell_peer(pass, &ended, !side);
	sodium_memzero(&ended, sizeof(ended));
	// A proof can be replayed from anywhere while the pair lives, so it is no cookie.
	native_answer(pass, at, answer, answer_size, NATIVE_STRANGER);
}
