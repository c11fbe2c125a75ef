// SPDX-License-Identifier: BSD-3-Clause
// PATH_RESPONSE: a client shows that it holds the handle's path key (proof) and receives where it
// sends from (token), and its side of the pair moves there. Owner worker.
#include "dataplane/stage/control.h"
#include "dataplane/table/handles.h"

#include <sodium.h>

static bool proven(
	const struct worker *worker, const struct native_path_response *response, uint32_t tick)
{
	uint8_t key[NATIVE_PATH_KEY_SIZE], proof[NATIVE_PROOF_SIZE];
	if (!handles_path_key(worker->handles, response->handle, tick, key))
		return false;
	native_path_response_proof(proof, key, response);
	bool good = sodium_memcmp(proof, response->proof, sizeof(proof)) == 0;
	sodium_memzero(key, sizeof(key));
	return good;
}

void control_path_response(struct pass *pass, unsigned at, const uint8_t *message, size_t size)
{
	struct worker *worker = pass->burst.worker;
	const struct cookie_holder holder = native_holder(&pass->burst.headers[at]);
	const uint32_t oldest = cookie_ticks(NATIVE_PATH_TOKEN_S, worker->mappings->hz);
	struct native_path_response response;
	struct client_key source;
	uint32_t left;
	if (native_path_response_parse(message, size, &response) < 0) {
		pass_drop(pass, at, DROP_native_malformed);
		return;
	}
	if (!path_token_check(worker->native, &holder, &response.handle, pass->burst.now, oldest,
		    response.token)) {
		pass_drop(pass, at, DROP_path_token);
		return;
	}
	if (!proven(worker, &response, pass->tick)) {
		pass_drop(pass, at, DROP_handle_proof);
		return;
	}
	native_source(&source, pass, at, &pass->burst.headers[at]);
	switch (handles_move(worker->handles, worker->addresses, response.handle, &source,
		cookie_issued(response.token), pass->tick, &left)) {
	case HANDLE_HERE:
		worker->stats.event[EVENT_paths_moved]++;
		native_answer_alive(pass, at, response.transaction, left);
		return;
	case HANDLE_ELSEWHERE:
		pass_drop(pass, at, DROP_path_old);
		return;
	case HANDLE_BUSY:
		pass_drop(pass, at, DROP_handle_busy);
		return;
	case HANDLE_NONE:
		pass_drop(pass, at, DROP_handle_unknown);
	}
}
