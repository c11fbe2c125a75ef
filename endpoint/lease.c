// SPDX-License-Identifier: BSD-3-Clause
// One address at the relay: REGISTER and what is answered, renewal at half its time, withdrawal.
//
//     FREE -> WAITING (for a cookie newer than the last one shown) -> [SOLVING] -> ASKING -> HELD
//     HELD -> WAITING when it is to be renewed or moved;  RESTING after a refusal, then WAITING
//     LEAVING until the withdrawal is confirmed
//
// The relay takes only cookies newer than the last one of the device, so a REGISTER is repeated as
// it was, byte by byte, and anything new shows a newer cookie.
#include "endpoint/core.h"

#include "lib/crypto/epoch.h"

#include <sodium.h>

#include <assert.h>
#include <string.h>

enum {
	TRIES = 5,
	LONGEST_MS = 8000,
	SAME_COOKIE_MS = 100,
	OTHERS_COOKIE_MS = 5, // the relay's clock moves faster than that
};

void core_lease_drop(struct lease *lease)
{
	sodium_memzero(lease, sizeof(*lease));
	core_request_clear(&lease->request);
}

void core_lease_make(struct endpoint *e, struct lease *lease, uint32_t epoch)
{
	core_lease_drop(lease);
	lease->state = LEASE_RESTING;
	lease->rest_until = e->now.monotonic_ms;
	lease->epoch = epoch;
	core_random(e, lease->device, sizeof(lease->device));
	epoch_secret_key(&lease->secret, lease->key, &e->secret, e->identity.public.namespace_id,
		e->identity.public.delivery_key, epoch);
	epoch_address(lease->address, e->identity.public.namespace_id, lease->key, epoch);
}

struct lease *core_lease_of_epoch(struct endpoint *e, uint32_t epoch)
{
	for (unsigned i = 0; i < CORE_LEASES_MAX; i++)
		if (e->leases[i].state != LEASE_FREE && e->leases[i].epoch == epoch)
			return &e->leases[i];
	return NULL;
}

struct lease *core_lease_of_address(struct endpoint *e, const uint8_t address[static 32])
{
	for (unsigned i = 0; i < CORE_LEASES_MAX; i++)
		if (e->leases[i].state != LEASE_FREE &&
			memcmp(e->leases[i].address, address, NATIVE_ADDRESS_SIZE) == 0)
			return &e->leases[i];
	return NULL;
}

struct lease *core_lease_current(struct endpoint *e)
{
	struct lease *found = NULL;
	for (unsigned i = 0; i < CORE_LEASES_MAX; i++) {
		struct lease *lease = &e->leases[i];
		if (lease->state == LEASE_FREE || lease->state == LEASE_LEAVING || !lease->held)
			continue;
		if (lease->epoch == e->epoch)
			return lease;
		found = lease;
	}
	return found;
}

static uint32_t issued(const uint8_t cookie[static NATIVE_COOKIE_SIZE])
{
	return (uint32_t)cookie[0] << 24 | (uint32_t)cookie[1] << 16 | (uint32_t)cookie[2] << 8 |
	       cookie[3];
}

// Whether the relay gave the cookie out after the last one that was shown for the lease: cookies
// overtake each other. A REGISTER with an older one than an earlier REGISTER could be undone by
// whoever repeats that, as long as its cookie is good.
static bool is_newer(const struct endpoint *e, const struct lease *lease)
{
	if (!lease->has_cookie ||
		e->now.monotonic_ms - lease->cookie_at >= NATIVE_CONTROL_COOKIE_S * 1000)
		return true;
	return (int32_t)(issued(e->path.cookie) - issued(lease->cookie)) > 0;
}

// Whether a REGISTER of another epoch has shown the cookie. The two would be linked by it.
static bool is_others(const struct endpoint *e, const struct lease *lease)
{
	for (unsigned i = 0; i < CORE_LEASES_MAX; i++)
		if (&e->leases[i] != lease && e->leases[i].has_cookie &&
			memcmp(e->leases[i].cookie, e->path.cookie, NATIVE_COOKIE_SIZE) == 0)
			return true;
	return false;
}

// A cookie that is young, newer than those shown, and not another's. True: there is one.
static bool take_cookie(struct endpoint *e, struct lease *lease)
{
	if (!core_path_fresh(e, CORE_COOKIE_CONTROL_MS) || !is_newer(e, lease) ||
		is_others(e, lease))
		return false;
	memcpy(lease->cookie, e->path.cookie, sizeof(lease->cookie));
	lease->cookie_at = e->path.cookie_at;
	lease->has_cookie = true;
	return true;
}

void core_lease_proceed(struct endpoint *e, struct lease *lease)
{
	if (!take_cookie(e, lease))
		core_path_ask(e);
	else if (lease->state == LEASE_LEAVING)
		core_lease_ask(e, lease, NULL);
	else
		core_admission_begin(e, lease);
}

void core_lease_want(struct endpoint *e, struct lease *lease)
{
	if (lease->state != LEASE_HELD && lease->state != LEASE_RESTING &&
		!(lease->state == LEASE_LEAVING && e->registering))
		return;
	lease->state = LEASE_WAITING;
	core_request_clear(&lease->request);
	core_lease_proceed(e, lease);
}

void core_leases_want(struct endpoint *e)
{
	for (unsigned i = 0; i < CORE_LEASES_MAX; i++)
		if (e->leases[i].state == LEASE_HELD)
			core_lease_want(e, &e->leases[i]);
}

// The relay does not know its cookies any more: it was started anew, and its time with it.
void core_leases_forget_cookies(struct endpoint *e)
{
	for (unsigned i = 0; i < CORE_LEASES_MAX; i++)
		e->leases[i].has_cookie = false;
}

void core_leases_cookie(struct endpoint *e)
{
	for (unsigned i = 0; i < CORE_LEASES_MAX; i++) {
		struct lease *lease = &e->leases[i];
		if (lease->state != LEASE_WAITING &&
			(lease->state != LEASE_LEAVING || lease->request.due != ENDPOINT_NEVER))
			continue;
		bool newer = is_newer(e, lease);
		if (!newer || is_others(e, lease)) {
			// The relay's clock has not moved since; asking on would be a storm.
			if (lease->state == LEASE_WAITING)
				lease->state = LEASE_RESTING;
			lease->rest_until =
				e->now.monotonic_ms + (newer ? OTHERS_COOKIE_MS : SAME_COOKIE_MS);
			continue;
		}
		core_lease_proceed(e, lease);
	}
}

void core_lease_leave(struct endpoint *e, struct lease *lease)
{
	if (lease->state == LEASE_FREE || lease->state == LEASE_LEAVING)
		return;
	if (!lease->held && lease->state != LEASE_ASKING) {
		core_lease_drop(lease);
		return;
	}
	lease->state = LEASE_LEAVING;
	lease->rest_until = ENDPOINT_NEVER;
	core_request_clear(&lease->request);
	core_lease_proceed(e, lease);
}

static void send_register(struct endpoint *e, struct lease *lease)
{
	core_request_sent(e, &lease->request, LONGEST_MS);
	core_send(e, lease->message, lease->message_size);
}

void core_lease_ask(struct endpoint *e, struct lease *lease, const uint8_t *solution)
{
	uint8_t input[sizeof(NATIVE_SIGNATURE_CONTEXT) + NATIVE_MESSAGE_MAX];
	struct native_register m = {
		.cookie = lease->cookie,
		.lifetime = lease->state == LEASE_LEAVING ? 0 : e->config.lease_seconds,
		.epoch = lease->epoch,
		.device = lease->device,
		.address = lease->address,
		.key = lease->key,
		.admission = NATIVE_ADMISSION_OPEN,
	};

	core_request_begin(e, &lease->request);
	m.transaction = lease->request.transaction;
	if (solution != NULL) {
		m.admission = NATIVE_ADMISSION_PUZZLE;
		m.solution = solution;
	} else if (lease->has_token) {
		m.admission = NATIVE_ADMISSION_TOKEN;
		m.token.key_id = lease->token.key_id;
		m.token.nonce = lease->token.nonce;
	}
	size_t size = native_register_build(lease->message, sizeof(lease->message), &m);
	assert(size != 0);
	lease->message_size = size;
	if (m.admission == NATIVE_ADMISSION_TOKEN) {
		size_t covered = native_token_covered(size);
		core_admission_token_mac(lease, lease->message + covered, lease->message, covered);
	}
	size_t input_size = native_signature_input(input, lease->message, size);
	blinding_sign(lease->message + native_signed(size), input, input_size, &lease->secret,
		lease->key);
	if (lease->state != LEASE_LEAVING)
		lease->state = LEASE_ASKING;
	send_register(e, lease);
}

static void tick(struct endpoint *e, struct lease *lease)
{
	switch (lease->state) {
	case LEASE_SOLVING:
		core_admission_tick(e, lease);
		break;
	case LEASE_ASKING:
		if (!core_due(e, lease->request.due))
			break;
		if (lease->request.tries < TRIES) {
			send_register(e, lease);
			break;
		}
		core_request_clear(&lease->request);
		lease->state = LEASE_WAITING;
		core_path_doubt(e);
		core_path_ask(e);
		break;
	case LEASE_LEAVING:
		if (core_due(e, lease->request.due))
			send_register(e, lease);
		if (core_due(e, lease->rest_until)) {
			lease->rest_until = ENDPOINT_NEVER;
			core_lease_proceed(e, lease);
		}
		break;
	case LEASE_HELD:
		if (core_due(e, lease->held_until)) {
			lease->held = false;
			// It was the last one of its epoch, or the renewal is late.
			if (lease->renew_at == ENDPOINT_NEVER)
				core_lease_drop(lease);
			else
				core_lease_want(e, lease);
		} else if (core_due(e, lease->renew_at)) {
			core_lease_want(e, lease);
		}
		break;
	case LEASE_RESTING:
		if (core_due(e, lease->rest_until))
			core_lease_want(e, lease);
		break;
	default:
		break;
	}
}

void core_leases_tick(struct endpoint *e)
{
	for (unsigned i = 0; i < CORE_LEASES_MAX; i++) {
		struct lease *lease = &e->leases[i];
		tick(e, lease);
		if (lease->state != LEASE_HELD && core_due(e, lease->held_until))
			lease->held = false;
	}
}

uint64_t core_leases_deadline(const struct endpoint *e)
{
	uint64_t at = ENDPOINT_NEVER;
	for (unsigned i = 0; i < CORE_LEASES_MAX; i++) {
		const struct lease *lease = &e->leases[i];
		if (lease->state == LEASE_SOLVING)
			at = core_earlier(at, e->now.monotonic_ms);
		else if (lease->state == LEASE_ASKING)
			at = core_earlier(at, lease->request.due);
		else if (lease->state == LEASE_LEAVING)
			at = core_earlier(at, core_earlier(lease->request.due, lease->rest_until));
		else if (lease->state == LEASE_HELD)
			at = core_earlier(at, core_earlier(lease->renew_at, lease->held_until));
		else if (lease->state == LEASE_RESTING)
			at = core_earlier(at, lease->rest_until);
	}
	return at;
}
