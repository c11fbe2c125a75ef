// SPDX-License-Identifier: BSD-3-Clause
// Allocate (RFC 8656 7.2): the checks in the RFC's order, ports and quotas taken, the install, and
// the reply once the dataplane has it. Whatever fails on the way gives everything back.
#include "controlplane/turn/core.h"
#include "controlplane/turn/reply.h"

#include "lib/net/address.h"

#include <errno.h>
#include <sodium.h>

enum { IPPROTO_UDP_NUMBER = 17, PREFIX_V4 = 24, PREFIX_V6 = 56 };

// The numbers that the draft of RFC 8656's dual allocation had, and that coturn's clients still
// send (draft-ietf-tram-turn-ssoda). Who asks with them is answered with them.
enum { DRAFT_ADDITIONAL_ADDRESS_FAMILY = 0x8032, DRAFT_ADDRESS_ERROR_CODE = 0x8033 };

uint64_t turn_prefix_tag(const struct turn_core *core, const struct net_address *client)
{
	struct net_prefix prefix =
		net_prefix_of(client, client->family == NET_IPV4 ? PREFIX_V4 : PREFIX_V6);
	uint8_t input[17];
	memcpy(input, prefix.address.bytes, 16);
	input[16] = client->family;
	uint64_t tag = turn_tag(core, TURN_TAG_PREFIX, input, sizeof(input));
	sodium_memzero(&prefix, sizeof(prefix));
	sodium_memzero(input, sizeof(input));
	return tag;
}

// ADDITIONAL-ADDRESS-FAMILY under either number: the type it came with, 0 when absent, and its
// family; -EBADMSG with a wrong length.
static int additional_family(const struct stun_message *m, uint16_t *type, uint8_t *family)
{
	struct stun_attribute ignored;
	*type = 0;
	if (stun_find(m, STUN_ADDITIONAL_ADDRESS_FAMILY, &ignored))
		*type = STUN_ADDITIONAL_ADDRESS_FAMILY;
	else if (stun_find(m, DRAFT_ADDITIONAL_ADDRESS_FAMILY, &ignored))
		*type = DRAFT_ADDITIONAL_ADDRESS_FAMILY;
	*family = 0;
	return *type == 0 ? 0 : turn_family_attribute(m, *type, family);
}

// ---- replies ----

static void reply_success(struct turn_core *core, const struct turn_request *request,
	const struct net_endpoint relayed[static 2], uint32_t lifetime_s)
{
	struct turn_reply reply;
	turn_reply_begin(&reply, request, STUN_SUCCESS);
	for (unsigned slot = 0; slot < 2; slot++) {
		if (relayed[slot].address.family != NET_UNSPECIFIED)
			stun_add_xor_address(
				&reply.builder, STUN_XOR_RELAYED_ADDRESS, &relayed[slot]);
	}
	stun_add_u32(&reply.builder, STUN_LIFETIME, lifetime_s);
	if ((request->flags & API_ALLOCATION_HAS_RESERVATION) != 0) {
		uint64_t token = turn_reservation_token(core, request->allocation_id);
		stun_add(&reply.builder, STUN_RESERVATION_TOKEN, &token, sizeof(token));
	}
	stun_add_xor_address(&reply.builder, STUN_XOR_MAPPED_ADDRESS, &request->client);
	if (request->failed_family != 0) {
		const uint8_t value[4] = {request->failed_family, 0,
			(uint8_t)(request->failed_code / 100),
			(uint8_t)(request->failed_code % 100)};
		stun_add(&reply.builder,
			request->draft_numbers ? DRAFT_ADDRESS_ERROR_CODE : STUN_ADDRESS_ERROR_CODE,
			value, sizeof(value));
	}
	turn_reply_send(core, &reply, request);
}

// The 5-tuple has an allocation. The same transaction of the same user is a retransmission whose
// success was lost, and gets what the first one got (RFC 8656 5); anything else is a mismatch.
static void answer_existing(struct turn_core *core, struct turn_call *call)
{
	const struct api_allocation_context *context = call->context;
	struct turn_request *request = &call->request;
	uint8_t additional;
	uint16_t type;
	if (memcmp(context->transaction, request->transaction, STUN_TRANSACTION_LENGTH) != 0 ||
		(request->authenticated && context->credential_tag != request->credential_tag) ||
		additional_family(call->message, &type, &additional) != 0) {
		turn_reply_error(core, request, 437);
		return;
	}
	turn_count(core, TURN_COUNTER_retransmissions);
	request->allocation_id = context->allocation_id;
	request->flags = context->flags;
	request->draft_numbers = type == DRAFT_ADDITIONAL_ADDRESS_FAMILY;
	for (unsigned slot = 0; type != 0 && slot < 2; slot++) {
		if (context->relayed[slot].address.family == NET_UNSPECIFIED) {
			request->failed_family = turn_slot_stun_family[slot];
			request->failed_code = turn_family_configured(core, slot) ? 508 : 440;
		}
	}
	reply_success(core, request, context->relayed, (context->remaining_ms + 999) / 1000);
}

// ---- what is asked for ----

static bool attribute_of_length(
	const struct stun_message *m, uint16_t type, uint16_t length, struct stun_attribute *out)
{
	return stun_find(m, type, out) && out->length == length;
}

// Fills families, even_port, reserve_next, token, lifetime_s. 0 or an error code.
static unsigned read_wishes(struct turn_core *core, struct turn_call *call)
{
	const struct stun_message *m = call->message;
	struct turn_request *request = &call->request;
	struct stun_attribute transport, token, even, fragment;
	uint8_t family, additional;
	uint16_t additional_type;
	bool zero;
	// 7.2, check 3.
	if (!attribute_of_length(m, STUN_REQUESTED_TRANSPORT, 4, &transport))
		return 400;
	if (transport.value[0] != IPPROTO_UDP_NUMBER)
		return 442;
	// Check 4: the worker sets DF; the attribute only asks whether it can.
	if (stun_find(m, STUN_DONT_FRAGMENT, &fragment) && fragment.length != 0)
		return 400;
	bool has_token = stun_find(m, STUN_RESERVATION_TOKEN, &token);
	bool has_even = stun_find(m, STUN_EVEN_PORT, &even);
	if ((has_token && token.length != 8) || (has_even && even.length != 1) ||
		turn_family_attribute(m, STUN_REQUESTED_ADDRESS_FAMILY, &family) != 0 ||
		additional_family(m, &additional_type, &additional) != 0 ||
		turn_lifetime(core, m, &request->lifetime_s, &zero) != 0)
		return 400;
	// Checks 5 and 6.
	struct stun_attribute ignored;
	bool has_family = stun_find(m, STUN_REQUESTED_ADDRESS_FAMILY, &ignored);
	bool has_additional = additional_type != 0;
	if (has_token && (has_even || has_family || has_additional))
		return 400;
	if (has_family && has_additional)
		return 400;
	// Check 7.
	request->families = 1;
	if (has_family && family == STUN_FAMILY_IPV6)
		request->families = 2;
	else if (has_family && family != STUN_FAMILY_IPV4)
		return 440;
	// Checks 8 and 9: 0x02 is the only value (18.11).
	request->even_port = has_even;
	request->reserve_next = has_even && (even.value[0] & 0x80) != 0;
	if (has_additional) {
		if (request->reserve_next || additional != STUN_FAMILY_IPV6)
			return 400;
		request->families = 3;
		request->draft_numbers = additional_type == DRAFT_ADDITIONAL_ADDRESS_FAMILY;
	}
	if (has_token) {
		memcpy(&request->token, token.value, 8);
		return request->token == 0 ? 508 : 0; // never given out
	}
	if (!has_additional && !turn_family_configured(core, request->families - 1u))
		return 440;
	return 0;
}

// ---- install ----

static bool within_quota(const struct turn_core *core, const struct turn_request *request)
{
	uint32_t more = request->reserve_next ? 2 : 1;
	// Who claims a reservation counted under the same tag gets its place.
	const struct reservation *held = reservations_find(&core->reservations, request->token);
	bool own_credential = held != NULL && held->credential_tag == request->credential_tag;
	bool own_prefix = held != NULL && held->prefix_tag == request->prefix_tag;
	return (own_credential ||
		       quota_allows(&core->credential_quota, request->credential_tag, more)) &&
	       (own_prefix || quota_allows(&core->prefix_quota, request->prefix_tag, more));
}

static void relayed_endpoints(const struct turn_core *core,
	const struct turn_allocation *allocation, struct net_endpoint out[static 2])
{
	memset(out, 0, 2 * sizeof(*out));
	for (unsigned slot = 0; slot < 2; slot++) {
		if (allocation->pool[slot] == TURN_NO_POOL)
			continue;
		out[slot].address = core->pools[allocation->pool[slot]].address;
		out[slot].port = allocation->port[slot];
	}
}

static bool install(struct turn_core *core, struct turn_request *request,
	const struct turn_allocation *allocation, uint64_t now_ms)
{
	struct api_allocation_install payload = {.allocation_id = request->allocation_id,
		.credential_tag = request->credential_tag,
		.prefix_tag = request->prefix_tag,
		.client = request->client,
		.server = request->server,
		.lifetime_ms = request->lifetime_s * 1000,
		.worker = request->worker,
		.flags = request->flags};
	relayed_endpoints(core, allocation, payload.relayed);
	memcpy(payload.transaction, request->transaction, STUN_TRANSACTION_LENGTH);
	request->attempts++;
	bool sent = turn_install(
		core, request, API_ALLOCATION_INSTALL, &payload, sizeof(payload), now_ms);
	sodium_memzero(&payload, sizeof(payload));
	return sent;
}

// Gives back all that an Allocate had taken.
static void undo(struct turn_core *core, const struct turn_request *request)
{
	struct turn_allocation *allocation =
		id_table_find(&core->allocations, request->allocation_id);
	if (allocation == NULL)
		return;
	if (request->token != 0)
		turn_reservation_unclaim(core, request, allocation);
	if ((allocation->flags & API_ALLOCATION_HAS_RESERVATION) != 0)
		turn_pair_drop(core, request);
	turn_allocation_release(core, request->allocation_id);
}

static struct turn_allocation *new_allocation(struct turn_core *core, struct turn_request *request)
{
	do {
		randombytes_buf(&request->allocation_id, sizeof(request->allocation_id));
	} while (request->allocation_id == 0 ||
		 id_table_find(&core->allocations, request->allocation_id) != NULL);
	struct turn_allocation *allocation =
		id_table_insert(&core->allocations, request->allocation_id);
	if (allocation == NULL)
		return NULL;
	*allocation = (struct turn_allocation){.credential_tag = request->credential_tag,
		.prefix_tag = request->prefix_tag,
		.pool = {TURN_NO_POOL, TURN_NO_POOL},
		.flags = request->flags};
	quota_take(&core->credential_quota, request->credential_tag);
	quota_take(&core->prefix_quota, request->prefix_tag);
	return allocation;
}

// ---- tokens: paid first, then installed, so that nobody has what is not paid for ----

// 486 and not 401 for a token that has bought something: it is the answer to who asks for more than
// the user may have, and the only one that is signed, since a 401 may not be (RFC 8489 9.2.4).
// Clients that get a 401 would ask for the same credentials again, or believe whoever forged it.
static void refuse_token(
	struct turn_core *core, const struct turn_request *request, int result, uint64_t now_ms)
{
	if (result == -EALREADY)
		turn_reply_error(core, request, 486);
	else if (result == -EBADMSG || result == -ESTALE)
		turn_reply_challenge(core, request, 401, now_ms);
	else
		turn_reply_error(core, request, 508);
}

static void pay(struct turn_core *core, struct turn_request *request, uint64_t now_ms)
{
	uint64_t purchase = TURN_PURCHASE + ++core->purchases;
	int result = -EAGAIN;
	if (turn_in_flight_full(&core->in_flight)) {
		turn_count(core, TURN_COUNTER_in_flight_full);
		undo(core, request);
		return;
	}
	// Before it is spent: the answer must find it.
	if (turn_in_flight_add(&core->in_flight, purchase, request, now_ms))
		result = core->output.tokens.spend(
			core->output.context, purchase, request->key_id, request->nonce);
	if (result == 0)
		return;
	turn_in_flight_take(&core->in_flight, purchase, request);
	undo(core, request);
	refuse_token(core, request, result, now_ms);
}

bool turn_allocate_paid(
	struct turn_core *core, struct turn_request *request, int result, uint64_t now_ms)
{
	const struct turn_allocation *allocation =
		id_table_find(&core->allocations, request->allocation_id);
	if (result == 0 && !request->given_up && allocation != NULL) {
		request->paid = true;
		if (install(core, request, allocation, now_ms)) {
			turn_count(core, TURN_COUNTER_tokens_spent);
			return true;
		}
	}
	undo(core, request);
	// While the program stops nobody is told: the client asks the next one.
	if (result != 0 && result != -ECANCELED && !request->given_up)
		refuse_token(core, request, result, now_ms);
	return result != 0;
}

void turn_allocate(struct turn_core *core, struct turn_call *call)
{
	struct turn_request *request = &call->request;
	if (call->context->allocation_id != 0) { // check 2
		answer_existing(core, call);
		return;
	}
	unsigned code = read_wishes(core, call);
	// 508 while draining, not 486: the limit is the server's, and a client told 508 tries
	// another server, told 486 it blames its own quota.
	if (code == 0 && (core->draining || !core->ready))
		code = 508;
	request->prefix_tag = turn_prefix_tag(core, &request->client.address);
	if (code == 0 && !within_quota(core, request))
		code = 486;
	if (code != 0) {
		turn_reply_error(core, request, code);
		return;
	}
	if (!request->authenticated)
		request->flags |= API_ALLOCATION_OPEN;
	if (request->reserve_next)
		request->flags |= API_ALLOCATION_HAS_RESERVATION;
	struct turn_allocation *allocation = new_allocation(core, request);
	if (allocation == NULL) {
		turn_reply_error(core, request, 508);
		return;
	}
	code = request->token != 0 ? turn_reservation_claim(core, request, allocation, call->now_ms)
				   : turn_ports_take(core, request, allocation);
	if (code != 0) {
		turn_allocation_release(core, request->allocation_id);
		turn_reply_error(core, request, code);
		return;
	}
	if (request->reserve_next && !turn_pair_hold(core, request, allocation))
		undo(core, request);
	else if (request->by_token)
		pay(core, request, call->now_ms);
	else if (!install(core, request, allocation, call->now_ms))
		undo(core, request);
}

// ---- the dataplane's answer ----

// A port is taken there: once more with others, drawn before these return so that they differ.
static bool retry(struct turn_core *core, struct turn_request *request, uint64_t now_ms)
{
	struct turn_allocation *allocation =
		id_table_find(&core->allocations, request->allocation_id);
	if (allocation == NULL || request->token != 0 || request->given_up ||
		request->attempts >= TURN_ALLOCATE_ATTEMPTS)
		return false;
	struct turn_allocation taken = *allocation;
	allocation->pool[0] = allocation->pool[1] = TURN_NO_POOL;
	unsigned code = turn_ports_take(core, request, allocation);
	turn_allocation_release_ports(core, &taken);
	if (request->reserve_next)
		turn_pair_drop(core, request);
	return code == 0 && (!request->reserve_next || turn_pair_hold(core, request, allocation)) &&
	       install(core, request, allocation, now_ms);
}

void turn_allocate_done(
	struct turn_core *core, struct turn_request *request, int result, uint64_t now_ms)
{
	if (result == -EADDRINUSE && retry(core, request, now_ms))
		return;
	if (result != 0) {
		undo(core, request);
		// Over a connection that is gone the dataplane may have got it: what may have been
		// given is not given back.
		if (request->paid && result != -ENOTCONN) {
			turn_count(core, TURN_COUNTER_tokens_given_back);
			core->output.tokens.give_back(
				core->output.context, request->key_id, request->nonce);
		}
		if (request->given_up)
			return;
		unsigned code = 500;
		if (result == -EEXIST)
			code = 437;
		else if (result == -ENOSPC || result == -EAGAIN || result == -ESHUTDOWN ||
			 result == -EADDRINUSE)
			code = 508;
		turn_reply_error(core, request, code);
		return;
	}
	const struct turn_allocation *allocation =
		id_table_find(&core->allocations, request->allocation_id);
	if (allocation == NULL)
		return;
	if ((allocation->flags & API_ALLOCATION_HAS_RESERVATION) != 0)
		turn_pair_made(core, request->allocation_id, now_ms);
	if (request->token != 0)
		turn_reservation_used(core, request->token);
	turn_count(core, TURN_COUNTER_allocate_ok);
	if (request->given_up)
		return;
	struct net_endpoint relayed[2];
	relayed_endpoints(core, allocation, relayed);
	reply_success(core, request, relayed, request->lifetime_s);
}
