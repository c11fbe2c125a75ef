// SPDX-License-Identifier: BSD-3-Clause
// What the relay answers to a REGISTER (lease.c): another cookie, a lease, or why not.
#include "endpoint/core.h"

#include <sodium.h>

#include <string.h>

enum {
	FAILURES_MAX = 3, // refusals after which another try is not made at once
	BUSY_LONGEST_MS = 60 * 1000,
};

static struct lease *of_transaction(struct endpoint *e, const uint8_t *transaction)
{
	for (unsigned i = 0; i < CORE_LEASES_MAX; i++) {
		struct lease *lease = &e->leases[i];
		if ((lease->state == LEASE_ASKING || lease->state == LEASE_LEAVING) &&
			core_request_is(&lease->request, transaction))
			return lease;
	}
	return NULL;
}

bool core_lease_challenge(struct endpoint *e, const struct native_challenge *m)
{
	struct lease *lease = of_transaction(e, m->transaction);

	if (lease == NULL)
		return false;
	core_request_clear(&lease->request);
	e->path.admission = m->admission;
	e->path.difficulty = m->difficulty;
	core_leases_forget_cookies(e);
	core_path_cookie(e, m->cookie);
	if (lease->state != LEASE_ASKING)
		return true; // LEAVING has gone on already
	if (++lease->challenges > REQUEST_CHALLENGES_MAX) {
		lease->state = LEASE_RESTING;
		lease->rest_until = e->now.monotonic_ms + core_jitter(e, CORE_REST_MS);
		lease->challenges = 0;
		return true;
	}
	lease->state = LEASE_WAITING;
	core_lease_proceed(e, lease);
	return true;
}

// When it is to be renewed, or never: it reaches the end of its time, the epoch after its own.
static uint64_t renewal(struct endpoint *e, const struct lease *lease, uint32_t lifetime)
{
	uint64_t end_s = ((uint64_t)lease->epoch + 2) * e->config.epoch_seconds;
	bool last = e->now.wall_s + lifetime + 1 >= end_s;
	// The relay's clock may be ahead of ours: it has cut the lease although we would not have.
	if (lease->epoch != e->epoch && (int32_t)(lease->epoch - e->epoch) < 0 &&
		lifetime < e->path.lease_s)
		last = true;
	if (last)
		return ENDPOINT_NEVER;
	return e->now.monotonic_ms + core_jitter(e, (uint64_t)lifetime * 500);
}

bool core_lease_registered(struct endpoint *e, const struct native_registered *m)
{
	struct lease *lease = of_transaction(e, m->transaction);

	if (lease == NULL)
		return false;
	core_path_measure(e, &lease->request);
	if (lease->state == LEASE_LEAVING) {
		core_lease_drop(lease);
		return true;
	}
	if (!core_path_learn(e, m) || lease->state != LEASE_ASKING)
		return true; // or a callback had other plans
	uint32_t lifetime = m->lifetime > 0 ? m->lifetime : 1;
	bool renewed = lease->held;
	if (lease->epoch == e->epoch)
		e->path.lease_s = lifetime;
	lease->state = LEASE_HELD;
	lease->held = true;
	lease->held_until = e->now.monotonic_ms + (uint64_t)lifetime * 1000;
	lease->renew_at = renewal(e, lease, lifetime);
	lease->failures = lease->challenges = 0;
	lease->difficulty = 0;
	lease->has_token = false;
	sodium_memzero(&lease->token, sizeof(lease->token));
	core_request_clear(&lease->request);
	core_count(e, ENDPOINT_COUNTER_registrations);
	core_calls_registered(e);
	core_event(e, &(struct endpoint_event){
			      .type = ENDPOINT_REGISTERED,
			      .registered =
				      {
					      .epoch = lease->epoch,
					      .address = lease->address,
					      .lifetime = m->lifetime,
					      .observed = e->path.observed,
					      .relay_key = e->path.relay_key,
					      .devices = m->devices,
					      .renewed = renewed,
				      },
		      });
	return true;
}

void core_lease_refuse(struct endpoint *e, struct lease *lease, enum endpoint_refusal reason,
	uint32_t detail, uint64_t rest_ms)
{
	lease->state = LEASE_RESTING;
	lease->rest_until = e->now.monotonic_ms + core_jitter(e, rest_ms);
	core_event(
		e, &(struct endpoint_event){
			   .type = ENDPOINT_REFUSED,
			   .refused = {.reason = reason, .detail = detail, .epoch = lease->epoch},
		   });
}

static void refused_epoch(struct endpoint *e, struct lease *lease, uint32_t detail)
{
	uint64_t rest_ms = core_earlier(CORE_REST_MS, (uint64_t)e->config.epoch_seconds * 125);
	int32_t ahead = (int32_t)(lease->epoch - e->epoch);

	lease->held = false;
	if (ahead == 0) {
		core_lease_refuse(e, lease, ENDPOINT_REFUSED_EPOCH, detail, rest_ms);
	} else if (ahead < 0) {
		core_lease_drop(lease);
	} else {
		lease->state = LEASE_RESTING;
		lease->rest_until = e->now.monotonic_ms + core_jitter(e, rest_ms);
	}
}

bool core_lease_refused(struct endpoint *e, const struct native_refused *m)
{
	struct lease *lease = of_transaction(e, m->transaction);

	if (lease == NULL)
		return false;
	if (core_request_doubts(&lease->request, m)) {
		core_count(e, ENDPOINT_COUNTER_ignored_refusal);
		return true;
	}
	core_request_clear(&lease->request);
	if (lease->state == LEASE_LEAVING) {
		core_lease_drop(lease); // nothing that could be withdrawn
		return true;
	}
	lease->failures++;
	bool again = lease->failures <= FAILURES_MAX;
	switch (m->reason) {
	case NATIVE_REFUSED_EPOCH:
		refused_epoch(e, lease, m->detail);
		return true;
	case NATIVE_REFUSED_BUSY:
		core_lease_refuse(e, lease, ENDPOINT_REFUSED_BUSY, m->detail,
			core_earlier(m->detail < 100 ? 100 : m->detail, BUSY_LONGEST_MS));
		return true;
	case NATIVE_REFUSED_OLD: // cookies overtook each other
		break;
	case NATIVE_REFUSED_PUZZLE:
		lease->held = false;
		lease->difficulty = m->detail < UINT8_MAX ? (uint8_t)m->detail : UINT8_MAX;
		break;
	case NATIVE_REFUSED_TOKEN_WANTED:
	case NATIVE_REFUSED_TOKEN_BAD:
	case NATIVE_REFUSED_TOKEN_SPENT:
		lease->held = false;
		lease->has_token = false;
		sodium_memzero(&lease->token, sizeof(lease->token));
		e->path.admission = NATIVE_ADMISSION_TOKEN;
		break;
	default:
		again = false;
		break;
	}
	if (!again) {
		lease->failures = 0;
		core_lease_refuse(
			e, lease, (enum endpoint_refusal)m->reason, m->detail, CORE_REST_MS);
		return true;
	}
	lease->state = LEASE_WAITING;
	core_lease_proceed(e, lease);
	return true;
}
