// SPDX-License-Identifier: BSD-3-Clause
// REGISTER: making, renewing, moving and withdrawing a lease. The checks stand in the order of
// lib/wire/README.md, cheap before dear; the cookie was the worker's.
#include "controlplane/registration/core.h"
#include "lib/crypto/epoch.h"

#include <errno.h>
#include <string.h>

// Epochs of the last, this and the next hour.
static bool epoch_accepted(uint32_t theirs, uint32_t ours)
{
	return theirs - ours + 1 <= 2; // numbers of epochs wrap
}

// Seconds until the end of the epoch after `epoch`, one of those accepted.
static uint64_t lease_end(const struct registration_core *core, uint32_t epoch)
{
	uint64_t seconds = core->config->registration.epoch;
	uint64_t ours = core->wall_s / seconds;
	// 1, 2 or 3 epochs from the begin of ours on.
	uint64_t epochs = (uint32_t)(epoch - (uint32_t)ours + 2);
	return (ours + epochs) * seconds - core->wall_s;
}

static uint32_t shortest(const struct registration_core *core)
{
	uint32_t eighth = core->config->registration.epoch / 8;
	return eighth < REGISTRATION_SHORTEST_S ? eighth : REGISTRATION_SHORTEST_S;
}

// False: the address is as good as over.
static bool grant(const struct registration_core *core, const struct native_register *message,
	uint32_t *lifetime_s)
{
	uint64_t left = lease_end(core, message->epoch);
	*lifetime_s = 0;
	if (message->lifetime == 0)
		return true;
	uint32_t granted = core->config->registration.lease;
	if (message->lifetime < granted)
		granted = message->lifetime;
	if (left < granted && left < shortest(core))
		return false;
	*lifetime_s = left < granted ? (uint32_t)left : granted;
	return true;
}

static void fill(struct registration_call *call, const struct native_register *message)
{
	struct registration_request *request = &call->request;
	request->known = (call->punt->flags & API_NATIVE_PUNT_KNOWN) != 0;
	memcpy(request->cookie, call->punt->cookie, NATIVE_COOKIE_SIZE);
	request->lease = (struct api_lease){.client = call->punt->source,
		.server = call->punt->destination,
		.lifetime_ms = request->lifetime_s * 1000,
		.issued = call->punt->issued};
	memcpy(request->lease.address, message->address, NATIVE_ADDRESS_SIZE);
	memcpy(request->lease.device, message->device, NATIVE_DEVICE_SIZE);
}

// The dataplane would remember it, lest an older message made the lease after all. That is room for
// which somebody has to pay, where leases are paid for.
static bool withdraws_nothing(
	const struct registration_core *core, const struct registration_request *request)
{
	return request->lifetime_s == 0 && !request->known &&
	       core->config->registration.admission == CONFIG_ADMISSION_TOKEN;
}

void registration_register(struct registration_core *core, struct registration_call *call)
{
	struct registration_request *request = &call->request;
	const struct registration_party *from = &request->from;
	uint32_t epoch = epoch_at(core->wall_s, core->config->registration.epoch);
	struct native_register message;
	if (native_register_parse(call->message, call->punt->length, &message) != 0) {
		registration_refuse(core, from, NATIVE_REFUSED_MALFORMED, 0);
		return;
	}
	if (!epoch_accepted(message.epoch, epoch) || !grant(core, &message, &request->lifetime_s)) {
		registration_refuse(core, from, NATIVE_REFUSED_EPOCH, epoch);
		return;
	}
	if (!epoch_address_owned_by(message.address, message.key)) {
		registration_refuse(core, from, NATIVE_REFUSED_KEY, 0);
		return;
	}
	if (!registration_admit(core, call, &message) || !registration_room(core, from))
		return;
	if (!registration_signed(call->message, call->punt->length, message.key)) {
		registration_refuse(core, from, NATIVE_REFUSED_SIGNATURE, 0);
		return;
	}
	fill(call, &message);
	if (registration_wants_token(core, call, &message))
		registration_redeem(core, call, &message);
	else if (withdraws_nothing(core, request))
		registration_register_done(core, request, 0);
	else
		registration_start(core, request,
			request->lifetime_s > 0 ? API_LEASE_SET : API_LEASE_REMOVE, &request->lease,
			sizeof(request->lease));
}

void registration_register_done(
	struct registration_core *core, const struct registration_request *request, int result)
{
	if (result == 0) {
		registration_count(core, request->lifetime_s == 0 ? REGISTRATION_COUNTER_withdrawn
					 : request->known         ? REGISTRATION_COUNTER_renewed
							  : REGISTRATION_COUNTER_registered);
		registration_reply_registered(core, request);
		return;
	}
	// Of an older message the token has bought something, or somebody else repeats it.
	if (request->has_token && result != -ESTALE)
		registration_give_back(core, request);
	registration_refuse_errno(core, &request->from, result);
}
