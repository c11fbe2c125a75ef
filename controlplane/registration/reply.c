// SPDX-License-Identifier: BSD-3-Clause
// What clients are answered. Their cookie has proven that they receive at their source, so answers
// are not charged to anybody's budget.
#include "controlplane/registration/core.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

enum {
	// A payload that fits every link, both ways.
	PAYLOAD_MAX = NATIVE_MESSAGE_MAX - NATIVE_BY_ADDRESS_HEADER,
	HANDLE_KEEPALIVES = 3, // that may be lost
};

#define FIRST_REFUSAL REGISTRATION_COUNTER_refused_malformed
static_assert(REGISTRATION_COUNTER_refused_not_served - FIRST_REFUSAL ==
		      NATIVE_REFUSED_NOT_SERVED - NATIVE_REFUSED_MALFORMED,
	"a counter for each reason");

static void transmit(struct registration_core *core, const struct registration_party *to,
	const uint8_t *message, size_t size)
{
	struct api_packet_send send = {.source = to->server,
		.destination = to->client,
		.worker = to->worker,
		.length = (uint16_t)size};
	assert(size > 0);
	core->output.send(core->output.context, &send, message);
	sodium_memzero(&send, sizeof(send));
}

void registration_refuse(struct registration_core *core, const struct registration_party *to,
	enum native_reason reason, uint32_t detail)
{
	uint8_t message[32];
	const struct native_refused refused = {
		.transaction = to->transaction, .reason = (uint8_t)reason, .detail = detail};
	registration_count(core, (enum registration_counter)(
					 FIRST_REFUSAL + (int)reason - NATIVE_REFUSED_MALFORMED));
	transmit(core, to, message, native_refused_build(message, sizeof(message), &refused));
}

void registration_refuse_errno(
	struct registration_core *core, const struct registration_party *to, int result)
{
	static const struct {
		int error;
		enum native_reason reason;
		uint32_t detail;
	} kinds[] = {
		{-ESTALE, NATIVE_REFUSED_OLD, 0},
		{-EMLINK, NATIVE_REFUSED_DEVICES, 0},
		{-ENOSPC, NATIVE_REFUSED_FULL, REGISTRATION_FULL_MS},
		{-EAGAIN, NATIVE_REFUSED_BUSY, REGISTRATION_BUSY_MS},
		{-EINVAL, NATIVE_REFUSED_NOT_SERVED, 0},
		{-ESHUTDOWN, NATIVE_REFUSED_DRAINING, 0},
		{-EEXIST, NATIVE_REFUSED_TAKEN, 0},
		{-ENOENT, NATIVE_REFUSED_NO_ADDRESS, 0},
	};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (kinds[i].error == result) {
			registration_refuse(core, to, kinds[i].reason, kinds[i].detail);
			return;
		}
	}
}

void registration_reply_registered(
	struct registration_core *core, const struct registration_request *request)
{
	uint8_t message[128];
	const struct native_registered registered = {
		.transaction = request->from.transaction,
		.lifetime = request->lifetime_s,
		.cookie = request->cookie,
		.observed = request->from.client,
		.keepalive = (uint16_t)core->config->registration.keepalive,
		.devices = NATIVE_DEVICES_MAX,
		.payload = PAYLOAD_MAX,
		.relay_key = core->key.public_key,
	};
	transmit(core, &request->from, message,
		native_registered_build(message, sizeof(message), &registered));
	sodium_memzero(message, sizeof(message));
}

uint32_t registration_handle_s(const struct registration_core *core)
{
	uint32_t seconds = HANDLE_KEEPALIVES * core->config->registration.keepalive;
	return seconds > REGISTRATION_HANDLE_LEAST_S ? seconds : REGISTRATION_HANDLE_LEAST_S;
}

void registration_reply_opened(struct registration_core *core, const struct registration_party *to,
	const struct registration_request *request, const struct native_handle *handle,
	const uint8_t path_key[static NATIVE_PATH_KEY_SIZE], const uint8_t *sealed,
	uint16_t sealed_size)
{
	uint8_t message[NATIVE_MESSAGE_MAX], proof[NATIVE_PROOF_SIZE];
	struct native_opened opened = {
		.transaction = to->transaction,
		.open_id = request->open_id,
		.handle = *handle,
		.lifetime = registration_handle_s(core),
		.keepalive = (uint16_t)core->config->registration.keepalive,
		.proof = proof,
		.sealed = sealed,
		.sealed_size = sealed_size,
	};
	native_opened_proof(proof, path_key, &opened);
	size_t size = native_opened_build(message, sizeof(message), &opened);
	transmit(core, to, message, size);
	sodium_memzero(message, sizeof(message));
}
