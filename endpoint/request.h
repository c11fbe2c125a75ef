// SPDX-License-Identifier: BSD-3-Clause
// A request on its way: its transaction, and when it is due to be sent (again). Timers as in RFC
// 8489 section 6.2.1 (500 ms, doubled), each spread by an eighth in both directions so that
// endpoints which lost a relay together do not come back together. Who owns the request sends it.
#pragma once

#include "endpoint/endpoint.h"

enum { REQUEST_FIRST_MS = 500, REQUEST_CHALLENGES_MAX = 3, REQUEST_DOUBTED_TRIES = 3 };

struct endpoint;
struct native_refused;

struct request {
	uint8_t transaction[8];
	uint64_t due;       // monotonic ms; ENDPOINT_NEVER: nothing is on its way
	uint64_t sent_at;   // the last time
	uint8_t tries;      // how often it was sent
	uint8_t challenges; // that answered it in a row
};

void core_request_clear(struct request *request);
// A new transaction, due at once.
void core_request_begin(struct endpoint *endpoint, struct request *request);
// It was sent: sets when it is due again, at most longest_ms later.
void core_request_sent(struct endpoint *endpoint, struct request *request, unsigned longest_ms);
// It was answered by CHALLENGE: due at once again with the new cookie, but not forever; in a loop
// of challenges the timer goes on. Returns whether it is due at once.
bool core_request_challenged(struct endpoint *endpoint, struct request *request);
bool core_request_is(const struct request *request, const uint8_t transaction[static 8]);
// REFUSED, for what is wrong with no message of ours: somebody has altered it on its way, or sent
// an altered copy along. The next try tells; only the last of a few is believed.
bool core_request_doubts(const struct request *request, const struct native_refused *m);
