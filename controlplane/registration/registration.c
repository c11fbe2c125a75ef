// SPDX-License-Identifier: BSD-3-Clause
// The registration core's outside: life and connection, dispatch of punted messages and of the
// dataplane's answers, the clock. The messages are in register.c and open.c.
#include "controlplane/registration/registration.h"

#include "controlplane/registration/core.h"
#include "lib/crypto/epoch.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define COUNTER_NAME(name) #name,
const char *const registration_counter_names[REGISTRATION_COUNTER_COUNT] = {
	REGISTRATION_COUNTERS(COUNTER_NAME)};

struct registration_core *registration_core_create(const struct config *config,
	const struct registration_key *key, const struct registration_output *output)
{
	struct registration_core *core = calloc(1, sizeof(*core));
	if (core == NULL)
		return NULL;
	if (registration_flight_init(&core->flight) != 0) {
		free(core);
		return NULL;
	}
	core->config = config;
	core->has_key = key != NULL;
	if (key != NULL)
		core->key = *key;
	core->output = *output;
	return core;
}

void registration_core_free(struct registration_core *core)
{
	if (core == NULL)
		return;
	registration_flight_free(&core->flight);
	sodium_memzero(core, sizeof(*core));
	free(core);
}

static void tell_time(struct registration_core *core, uint64_t now_ms, uint64_t wall_s)
{
	core->now_ms = now_ms;
	core->wall_s = wall_s;
	registration_load_advance(&core->load, core->config->registration.puzzle_above, now_ms);
}

void registration_core_reconfigure(struct registration_core *core, const struct config *config,
	uint64_t now_ms, uint64_t wall_s)
{
	core->config = config;
	tell_time(core, now_ms, wall_s);
	registration_settings(core);
}

void registration_core_connected(struct registration_core *core,
	const struct api_hello_answer *hello, uint64_t now_ms, uint64_t wall_s)
{
	registration_flight_clear(&core->flight);
	registration_ticket_key(core->ticket_key, hello->secret);
	core->connected = true;
	core->draining = hello->draining != 0;
	core->settings_id = 0;
	core->settings_due = true;
	core->settings_refused = false;
	tell_time(core, now_ms, wall_s);
	registration_settings(core);
}

void registration_core_drain(struct registration_core *core, bool on)
{
	core->draining = on;
}

// ---- requests to the dataplane ----

bool registration_room(struct registration_core *core, const struct registration_party *to)
{
	if (core->flight.unused_count > 0)
		return true;
	registration_count(core, REGISTRATION_COUNTER_in_flight_full);
	registration_refuse(core, to, NATIVE_REFUSED_BUSY, REGISTRATION_BUSY_MS);
	return false;
}

bool registration_install(struct registration_core *core, struct registration_request *held,
	enum api_type type, const void *payload, uint32_t size)
{
	uint32_t id = core->output.install(core->output.context, type, payload, size);
	if (id == 0) {
		registration_count(core, REGISTRATION_COUNTER_install_failed);
		registration_flight_release(&core->flight, held);
		return false;
	}
	registration_flight_await(&core->flight, held, id);
	return true;
}

bool registration_start(struct registration_core *core, const struct registration_request *request,
	enum api_type type, const void *payload, uint32_t size)
{
	struct registration_request *held =
		registration_flight_hold(&core->flight, request, core->now_ms);
	return held != NULL && registration_install(core, held, type, payload, size);
}

// ---- messages ----

bool registration_signed(
	const uint8_t *message, size_t size, const uint8_t key[static NATIVE_KEY_SIZE])
{
	uint8_t input[sizeof(NATIVE_SIGNATURE_CONTEXT) + NATIVE_MESSAGE_MAX];
	size_t input_size = native_signature_input(input, message, size);
	return blinding_verify(message + size - NATIVE_SIGNATURE_SIZE, input, input_size, key);
}

static void dispatch(struct registration_core *core, struct registration_call *call)
{
	switch (call->request.type) {
	case NATIVE_REGISTER:
		registration_register(core, call);
		break;
	case NATIVE_OPEN:
		registration_open(core, call);
		break;
	default:
		registration_accept(core, call);
		break;
	}
}

void registration_core_punt(struct registration_core *core, const struct api_native_punt *punt,
	const uint8_t *payload, uint64_t now_ms, uint64_t wall_s)
{
	struct native_header header;
	tell_time(core, now_ms, wall_s);
	registration_settings(core);
	if ((punt->flags & API_NATIVE_PUNT_UNKNOWN) != 0) {
		registration_count(core, REGISTRATION_COUNTER_unknown_address);
		if (core->output.unknown != NULL)
			core->output.unknown(core->output.context, punt, payload);
		return;
	}
	if (!core->connected || native_header_parse(payload, punt->length, &header) != 0) {
		registration_count(core, REGISTRATION_COUNTER_malformed);
		return;
	}
	if (header.type != NATIVE_REGISTER && header.type != NATIVE_OPEN &&
		header.type != NATIVE_ACCEPT) {
		registration_count(core, REGISTRATION_COUNTER_unexpected_type);
		return;
	}
	struct registration_call call = {.punt = punt,
		.message = payload,
		.request = {.type = header.type,
			.core = core,
			.from = {.client = punt->source,
				.server = punt->destination,
				.worker = punt->worker}}};
	memcpy(call.request.from.transaction, header.transaction, NATIVE_TRANSACTION_SIZE);
	if (!registration_served(core))
		registration_refuse(core, &call.request.from, NATIVE_REFUSED_NOT_SERVED, 0);
	else if (registration_flight_duplicate(&core->flight, &call.request.from, header.type))
		registration_count(core, REGISTRATION_COUNTER_retransmissions);
	else
		dispatch(core, &call);
	sodium_memzero(&call, sizeof(call));
}

// ---- answers ----

static void settings_answered(struct registration_core *core, int result)
{
	core->settings_id = 0;
	if (result == -ENOTCONN)
		return;
	core->settings_refused = result != 0;
	if (result == 0)
		registration_settings(core); // what has changed since
	else
		registration_count(core, REGISTRATION_COUNTER_settings_failed);
}

// Nobody is answered; a token that bought nothing goes back.
static void answered_too_late(
	struct registration_core *core, struct registration_request *held, int result)
{
	if (held->has_token && result != 0)
		registration_give_back(core, held);
	registration_flight_release(&core->flight, held);
}

void registration_core_answer(struct registration_core *core, uint32_t id, int result,
	const void *payload, uint32_t size, uint64_t now_ms)
{
	core->now_ms = now_ms;
	if (id == core->settings_id) {
		settings_answered(core, result);
		return;
	}
	struct registration_request *held = registration_flight_find(&core->flight, id);
	if (held == NULL)
		return;
	if (result != 0)
		registration_count(core, REGISTRATION_COUNTER_install_failed);
	// Over a connection that is gone nobody can be answered. Whether a lease was made before it
	// went is not known, so a token stays spent.
	if (result == -ENOTCONN) {
		registration_flight_release(&core->flight, held);
		return;
	}
	if (held->given_up) {
		answered_too_late(core, held, result);
		return;
	}
	struct api_handles_installed installed = {0};
	switch (held->type) {
	case NATIVE_REGISTER:
		registration_register_done(core, held, result);
		break;
	case NATIVE_OPEN:
		registration_open_done(core, held, result);
		break;
	default:
		if (result == 0 && size != sizeof(installed))
			break; // the link has checked it
		if (result == 0)
			memcpy(&installed, payload, sizeof(installed));
		registration_accept_done(core, held, result, &installed);
		break;
	}
	registration_flight_release(&core->flight, held);
}

// ---- the clock ----

uint64_t registration_core_tick(struct registration_core *core, uint64_t now_ms, uint64_t wall_s)
{
	tell_time(core, now_ms, wall_s);
	core->settings_due = core->settings_due || core->settings_refused;
	registration_settings(core);
	uint64_t next = registration_flight_give_up(&core->flight, now_ms);
	// Load is counted by the second, and epochs end on one.
	uint64_t second = (now_ms / 1000 + 1) * 1000;
	if (second < next)
		next = second;
	return next > now_ms ? next - now_ms : 1;
}

uint64_t registration_core_counter(
	const struct registration_core *core, enum registration_counter counter)
{
	return core->counters[counter];
}

void registration_core_usage(const struct registration_core *core, struct registration_usage *out)
{
	*out = (struct registration_usage){
		.in_flight = registration_flight_count(&core->flight),
		.epoch = epoch_at(core->wall_s, core->config->registration.epoch),
		.load = core->load.load,
		.difficulty = core->told.difficulty,
		.served = registration_served(core),
	};
}
