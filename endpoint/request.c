// SPDX-License-Identifier: BSD-3-Clause
// See request.h.
#include "endpoint/core.h"

#include <sodium.h>

#include <string.h>

void core_request_clear(struct request *request)
{
	*request = (struct request){.due = ENDPOINT_NEVER};
}

void core_request_begin(struct endpoint *endpoint, struct request *request)
{
	*request = (struct request){.due = endpoint->now.monotonic_ms};
	core_random(endpoint, request->transaction, sizeof(request->transaction));
}

void core_request_sent(struct endpoint *endpoint, struct request *request, unsigned longest_ms)
{
	uint64_t wait = (uint64_t)REQUEST_FIRST_MS << (request->tries < 16 ? request->tries : 16);
	if (request->tries > 0)
		core_count(endpoint, ENDPOINT_COUNTER_retransmissions);
	if (request->tries < UINT8_MAX)
		request->tries++;
	request->sent_at = endpoint->now.monotonic_ms;
	request->due =
		endpoint->now.monotonic_ms + core_jitter(endpoint, core_earlier(wait, longest_ms));
}

bool core_request_challenged(struct endpoint *endpoint, struct request *request)
{
	if (request->challenges >= REQUEST_CHALLENGES_MAX)
		return false;
	request->challenges++;
	request->tries = 0;
	request->due = endpoint->now.monotonic_ms;
	return true;
}

bool core_request_is(const struct request *request, const uint8_t transaction[static 8])
{
	return request->due != ENDPOINT_NEVER &&
	       sodium_memcmp(request->transaction, transaction, sizeof(request->transaction)) == 0;
}

bool core_request_doubts(const struct request *request, const struct native_refused *m)
{
	bool of_another = m->reason == NATIVE_REFUSED_MALFORMED ||
			  m->reason == NATIVE_REFUSED_KEY || m->reason == NATIVE_REFUSED_SIGNATURE;
	return of_another && request->tries < REQUEST_DOUBTED_TRIES;
}
