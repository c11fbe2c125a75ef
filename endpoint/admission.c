// SPDX-License-Identifier: BSD-3-Clause
// What a relay wants to see before it makes a new lease: nothing, a puzzle's solution, or a token.
// A puzzle is solved in slices, so that the loop around the core goes on; a solution is good for
// one cookie and address.
#include "endpoint/core.h"

#include "lib/wire/token.h"

#include <sodium.h>

#include <assert.h>
#include <string.h>

static uint8_t difficulty_of(const struct endpoint *e, const struct lease *lease)
{
	uint8_t told = e->path.admission == NATIVE_ADMISSION_PUZZLE ? e->path.difficulty : 0;
	return told > lease->difficulty ? told : lease->difficulty;
}

void core_admission_begin(struct endpoint *e, struct lease *lease)
{
	uint8_t difficulty = difficulty_of(e, lease);

	if (lease->held) { // a renewal or a move needs nothing
		core_lease_ask(e, lease, NULL);
		return;
	}
	if (difficulty > e->config.puzzle_bits_max) {
		lease->difficulty = 0;
		core_lease_refuse(e, lease, ENDPOINT_REFUSED_PUZZLE, difficulty, CORE_REST_MS);
		return;
	}
	if (difficulty > 0) {
		lease->state = LEASE_SOLVING;
		lease->difficulty = difficulty;
		core_random(e, lease->solution, sizeof(lease->solution));
		return;
	}
	if (e->path.admission == NATIVE_ADMISSION_TOKEN && !lease->has_token) {
		lease->has_token = e->config.token != NULL &&
				   e->config.token(e->config.token_context, &lease->token);
		if (!lease->has_token) {
			core_lease_refuse(e, lease, ENDPOINT_REFUSED_TOKEN_WANTED, 0, CORE_REST_MS);
			return;
		}
	}
	core_lease_ask(e, lease, NULL);
}

static void count_up(uint8_t number[static NATIVE_SOLUTION_SIZE])
{
	for (unsigned i = NATIVE_SOLUTION_SIZE; i-- > 0;)
		if (++number[i] != 0)
			return;
}

void core_admission_tick(struct endpoint *e, struct lease *lease)
{
	if (e->now.monotonic_ms - lease->cookie_at >= CORE_COOKIE_CONTROL_MS) {
		// Luck was out. Another cookie, another puzzle, perhaps an easier one.
		lease->difficulty = 0;
		lease->state = LEASE_WAITING;
		core_path_ask(e);
		return;
	}
	for (uint32_t i = 0; i < e->config.puzzle_slice; i++) {
		if (native_puzzle_bits(lease->cookie, lease->address, lease->solution) >=
			lease->difficulty) {
			core_count(e, ENDPOINT_COUNTER_puzzles);
			core_lease_ask(e, lease, lease->solution);
			return;
		}
		count_up(lease->solution);
	}
}

void core_admission_token_mac(const struct lease *lease, uint8_t mac[static NATIVE_TOKEN_MAC_SIZE],
	const uint8_t *message, size_t covered)
{
	struct voprf_output output;
	uint8_t key[TOKEN_KEY_SIZE];
	static_assert(sizeof(output.bytes) == sizeof(lease->token.output), "VOPRF output");

	memcpy(output.bytes, lease->token.output, sizeof(output.bytes));
	token_key(key, &output);
	token_mac(mac, key, message, covered);
	sodium_memzero(&output, sizeof(output));
	sodium_memzero(key, sizeof(key));
}
