// SPDX-License-Identifier: BSD-3-Clause
// Who gets a lease: everybody, who has solved a puzzle while there is load, or who has a token. And
// what workers are told to tell clients about it. A device that has a lease needs nothing.
#include "controlplane/registration/core.h"
#include "lib/crypto/epoch.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

// ---- settings ----

static struct api_native_settings settings_of(const struct registration_core *core)
{
	const struct config *config = core->config;
	struct api_native_settings settings = {
		.epoch = epoch_at(core->wall_s, config->registration.epoch),
		.epoch_seconds = config->registration.epoch,
		.sender_bytes = config->registration.sender_bytes,
		.address_bytes = config->registration.address_bytes,
		.new_leases = config->registration.new_leases,
		.admission = (uint8_t)config->registration.admission,
	};
	if (config->registration.admission == CONFIG_ADMISSION_POW)
		settings.difficulty = core->load.difficulty;
	if (registration_served(core))
		settings.flags |= API_NATIVE_SERVED;
	if (core->output.unknown != NULL)
		settings.flags |= API_NATIVE_TELL_UNKNOWN;
	return settings;
}

void registration_settings(struct registration_core *core)
{
	if (!core->connected)
		return;
	struct api_native_settings settings = settings_of(core);
	if (!core->settings_due && memcmp(&settings, &core->told, sizeof(settings)) == 0)
		return;
	// One at a time: their order is the dataplane's, but a failure has to be known before it is
	// repeated.
	if (core->settings_id != 0)
		return;
	uint32_t id = core->output.install(
		core->output.context, API_NATIVE_SETTINGS, &settings, sizeof(settings));
	core->settings_id = id;
	core->settings_due = id == 0;
	if (id != 0)
		core->told = settings;
}

// ---- puzzles and tokens ----

static bool puzzle_solved(struct registration_core *core, const struct registration_call *call,
	const struct native_register *message)
{
	uint32_t threshold = core->config->registration.puzzle_above;
	registration_load_count(&core->load, threshold);
	registration_settings(core);
	unsigned wanted = registration_load_wanted(&core->load);
	if (wanted == 0 || (message->admission == NATIVE_ADMISSION_PUZZLE &&
				   native_puzzle_bits(message->cookie, message->address,
					   message->solution) >= wanted))
		return true;
	registration_refuse(
		core, &call->request.from, NATIVE_REFUSED_PUZZLE, core->load.difficulty);
	return false;
}

bool registration_admit(struct registration_core *core, const struct registration_call *call,
	const struct native_register *message)
{
	const struct registration_party *from = &call->request.from;
	if ((call->punt->flags & API_NATIVE_PUNT_KNOWN) != 0)
		return true;
	if (core->draining && message->lifetime > 0) {
		registration_refuse(core, from, NATIVE_REFUSED_DRAINING, 0);
		return false;
	}
	switch (core->config->registration.admission) {
	case CONFIG_ADMISSION_POW:
		return puzzle_solved(core, call, message);
	case CONFIG_ADMISSION_TOKEN:
		if (message->admission == NATIVE_ADMISSION_TOKEN || message->lifetime == 0)
			return true;
		registration_refuse(core, from, NATIVE_REFUSED_TOKEN_WANTED, 0);
		return false;
	default:
		return true;
	}
}

bool registration_wants_token(const struct registration_core *core,
	const struct registration_call *call, const struct native_register *message)
{
	return core->config->registration.admission == CONFIG_ADMISSION_TOKEN &&
	       (call->punt->flags & API_NATIVE_PUNT_KNOWN) == 0 && message->lifetime > 0;
}

static struct native_token token_of(const struct registration_request *request)
{
	return (struct native_token){.key_id = request->token.key_id,
		.nonce = request->token.nonce,
		.mac = request->token.mac};
}

void registration_give_back(
	struct registration_core *core, const struct registration_request *request)
{
	const struct native_token token = token_of(request);
	registration_count(core, REGISTRATION_COUNTER_tokens_given_back);
	core->output.give_back(core->output.context, &token);
}

static void refuse_token(
	struct registration_core *core, const struct registration_party *to, int result)
{
	switch (-result) {
	case EBADMSG:
	case ESTALE:
		registration_refuse(core, to, NATIVE_REFUSED_TOKEN_BAD, 0);
		break;
	case EALREADY:
		registration_refuse(core, to, NATIVE_REFUSED_TOKEN_SPENT, 0);
		break;
	case ECANCELED:
		break; // the client asks whoever comes after us
	default:
		registration_refuse(core, to, NATIVE_REFUSED_BUSY, REGISTRATION_BUSY_MS);
	}
}

// The token is spent, or not. The slot may have been given up meanwhile.
static void redeemed(void *context, int result)
{
	struct registration_request *held = context;
	struct registration_core *core = held->core;
	held->redeeming = false;
	if (result == 0)
		registration_count(core, REGISTRATION_COUNTER_tokens_redeemed);
	if (held->given_up) {
		if (result == 0)
			registration_give_back(core, held);
		registration_flight_release(&core->flight, held);
		return;
	}
	if (result != 0) {
		refuse_token(core, &held->from, result);
		registration_flight_release(&core->flight, held);
		return;
	}
	struct registration_request kept = {.token = held->token};
	if (!registration_install(core, held, API_LEASE_SET, &held->lease, sizeof(held->lease)))
		registration_give_back(core, &kept);
}

void registration_redeem(struct registration_core *core, struct registration_call *call,
	const struct native_register *message)
{
	struct registration_request *request = &call->request;
	if (core->output.redeem == NULL) {
		registration_refuse(core, &request->from, NATIVE_REFUSED_TOKEN_BAD, 0);
		return;
	}
	request->has_token = request->redeeming = true;
	request->token.key_id = message->token.key_id;
	memcpy(request->token.nonce, message->token.nonce, NATIVE_TOKEN_NONCE_SIZE);
	memcpy(request->token.mac, message->token.mac, NATIVE_TOKEN_MAC_SIZE);
	struct registration_request *held =
		registration_flight_hold(&core->flight, request, core->now_ms);
	if (held == NULL)
		return;
	int result = core->output.redeem(core->output.context, &message->token, call->message,
		native_token_covered(call->punt->length), redeemed, held);
	if (result == 0)
		return;
	held->redeeming = false;
	refuse_token(core, &request->from, result);
	registration_flight_release(&core->flight, held);
}
