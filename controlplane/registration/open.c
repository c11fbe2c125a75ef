// SPDX-License-Identifier: BSD-3-Clause
// OPEN and ACCEPT: two registered clients become a pair of handles. Nothing is kept in between;
// what ACCEPT needs of OPEN comes back in the ticket.
#include "controlplane/registration/core.h"
#include "lib/crypto/epoch.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stddef.h>
#include <string.h>

// The path key of one side. False: its ephemeral key is a point of small order, which would make
// the key anybody's.
static bool path_key(const struct registration_core *core, uint8_t key[static NATIVE_PATH_KEY_SIZE],
	const uint8_t *ephemeral, const uint8_t *open_id, bool callee)
{
	uint8_t shared[crypto_scalarmult_BYTES];
	if (crypto_scalarmult(shared, core->key.secret, ephemeral) != 0)
		return false;
	native_path_key(key, shared, ephemeral, core->key.public_key, open_id, callee);
	sodium_memzero(shared, sizeof(shared));
	return true;
}

// What OPEN and ACCEPT have in common: the source is a device of the address, and the key is the
// address's. False: refused.
static bool is_here(struct registration_core *core, const struct registration_call *call,
	const uint8_t *address, const uint8_t *key)
{
	const struct registration_party *from = &call->request.from;
	if ((call->punt->flags & API_NATIVE_PUNT_HERE) == 0) {
		registration_refuse(core, from, NATIVE_REFUSED_NOT_REGISTERED, 0);
		return false;
	}
	if (!epoch_address_owned_by(address, key)) {
		registration_refuse(core, from, NATIVE_REFUSED_KEY, 0);
		return false;
	}
	return true;
}

// ---- OPEN ----

static void invite(struct registration_core *core, const struct registration_call *call,
	const struct native_open *message, const uint8_t *ticket)
{
	// To somebody who must not learn the caller's transaction: it has one of its own.
	uint8_t transaction[NATIVE_TRANSACTION_SIZE];
	const struct native_invite out = {.transaction = transaction,
		.open_id = message->open_id,
		.callee = message->callee,
		.ticket = ticket,
		.sealed = message->sealed,
		.sealed_size = message->sealed_size};
	struct {
		struct api_native_deliver head;
		uint8_t message[NATIVE_MESSAGE_MAX];
	} deliver = {.head = {.worker = call->punt->worker}};
	static_assert(offsetof(__typeof__(deliver), message) == sizeof(deliver.head), "wire");
	randombytes_buf(transaction, sizeof(transaction));
	memcpy(deliver.head.address, message->callee, NATIVE_ADDRESS_SIZE);
	size_t size = native_invite_build(deliver.message, sizeof(deliver.message), &out);
	deliver.head.length = (uint16_t)size;
	registration_start(core, &call->request, API_NATIVE_DELIVER, &deliver,
		(uint32_t)(sizeof(deliver.head) + size));
	sodium_memzero(&deliver, sizeof(deliver));
}

void registration_open(struct registration_core *core, struct registration_call *call)
{
	const struct registration_party *from = &call->request.from;
	uint8_t sealed[NATIVE_TICKET_SIZE];
	struct native_open message;
	if (native_open_parse(call->message, call->punt->length, &message) != 0) {
		registration_refuse(core, from, NATIVE_REFUSED_MALFORMED, 0);
		return;
	}
	if (!is_here(core, call, message.caller, message.key))
		return;
	if (core->draining) {
		registration_refuse(core, from, NATIVE_REFUSED_DRAINING, 0);
		return;
	}
	if (!registration_room(core, from))
		return;
	if (!registration_signed(call->message, call->punt->length, message.key)) {
		registration_refuse(core, from, NATIVE_REFUSED_SIGNATURE, 0);
		return;
	}
	struct registration_ticket ticket = {
		.caller = *from, .until_ms = core->now_ms + NATIVE_TICKET_S * 1000};
	if (!path_key(core, ticket.path_key, message.ephemeral, message.open_id, false)) {
		registration_refuse(core, from, NATIVE_REFUSED_MALFORMED, 0);
		return;
	}
	registration_ticket_seal(
		sealed, &ticket, core->ticket_key, message.open_id, message.callee);
	sodium_memzero(&ticket, sizeof(ticket));
	invite(core, call, &message, sealed);
}

// A caller whose INVITE went out hears of it by OPENED or REFUSED, once somebody has decided.
void registration_open_done(
	struct registration_core *core, const struct registration_request *request, int result)
{
	if (result == 0)
		registration_count(core, REGISTRATION_COUNTER_invited);
	else
		registration_refuse_errno(core, &request->from, result);
}

// ---- ACCEPT ----

static void decline(struct registration_core *core, const struct registration_party *callee,
	const struct registration_party *caller)
{
	registration_count(core, REGISTRATION_COUNTER_declined);
	// To the callee it says that it was heard.
	registration_refuse(core, callee, NATIVE_REFUSED_DECLINED, 0);
	registration_refuse(core, caller, NATIVE_REFUSED_DECLINED, 0);
}

static void install(struct registration_core *core, const struct registration_call *call)
{
	const struct registration_request *request = &call->request;
	const struct registration_party *ends[2] = {&request->caller, &request->from};
	struct api_handles_install pair = {.lifetime_ms = registration_handle_s(core) * 1000};
	memcpy(pair.open_id, request->open_id, NATIVE_OPEN_ID_SIZE);
	for (unsigned i = 0; i < 2; i++) {
		pair.end[i].client = ends[i]->client;
		pair.end[i].server = ends[i]->server;
		memcpy(pair.end[i].key, request->path_key[i], NATIVE_PATH_KEY_SIZE);
	}
	registration_start(core, request, API_HANDLES_INSTALL, &pair, sizeof(pair));
	sodium_memzero(&pair, sizeof(pair));
}

static void keep(struct registration_request *request, const struct native_accept *message,
	const struct registration_ticket *ticket)
{
	request->caller = ticket->caller;
	memcpy(request->path_key[0], ticket->path_key, NATIVE_PATH_KEY_SIZE);
	memcpy(request->open_id, message->open_id, NATIVE_OPEN_ID_SIZE);
	request->sealed_size = message->sealed_size;
	if (message->sealed_size > 0)
		memcpy(request->sealed, message->sealed, message->sealed_size);
}

void registration_accept(struct registration_core *core, struct registration_call *call)
{
	struct registration_request *request = &call->request;
	const struct registration_party *from = &request->from;
	struct registration_ticket ticket;
	struct native_accept message;
	if (native_accept_parse(call->message, call->punt->length, &message) != 0) {
		registration_refuse(core, from, NATIVE_REFUSED_MALFORMED, 0);
		return;
	}
	if (!is_here(core, call, message.callee, message.key))
		return;
	if (registration_ticket_open(&ticket, message.ticket, core->ticket_key, message.open_id,
		    message.callee, core->now_ms) != 0) {
		registration_refuse(core, from, NATIVE_REFUSED_TICKET, 0);
		return;
	}
	if (!registration_room(core, from))
		goto out;
	if (!registration_signed(call->message, call->punt->length, message.key)) {
		registration_refuse(core, from, NATIVE_REFUSED_SIGNATURE, 0);
		goto out;
	}
	if (!message.accept) {
		decline(core, from, &ticket.caller);
		goto out;
	}
	if (!path_key(core, request->path_key[1], message.ephemeral, message.open_id, true)) {
		registration_refuse(core, from, NATIVE_REFUSED_MALFORMED, 0);
		goto out;
	}
	keep(request, &message, &ticket);
	install(core, call);
out:
	sodium_memzero(&ticket, sizeof(ticket));
}

// What concerns the relay and not this ACCEPT: the caller need not wait for another one.
static bool concerns_caller(int result)
{
	return result == -ENOSPC || result == -ESHUTDOWN;
}

void registration_accept_done(struct registration_core *core,
	const struct registration_request *request, int result,
	const struct api_handles_installed *installed)
{
	if (result != 0) {
		registration_refuse_errno(core, &request->from, result);
		if (concerns_caller(result))
			registration_refuse_errno(core, &request->caller, result);
		return;
	}
	struct native_handle handles[2];
	for (unsigned i = 0; i < 2; i++)
		handles[i] = (struct native_handle){
			.generation = installed->generation[i], .index = installed->index[i]};
	if (installed->again)
		registration_count(core, REGISTRATION_COUNTER_retransmissions);
	else
		registration_count(core, REGISTRATION_COUNTER_opened);
	// The caller first: it has waited longer, and what it says may overtake.
	registration_reply_opened(core, &request->caller, request, &handles[0],
		request->path_key[0], request->sealed, request->sealed_size);
	registration_reply_opened(
		core, &request->from, request, &handles[1], request->path_key[1], NULL, 0);
}
