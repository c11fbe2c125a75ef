// SPDX-License-Identifier: BSD-3-Clause
// The TURN core's outside: life and connection, dispatch of punted requests and of the dataplane's
// answers, the clock. The methods are in allocate.c, refresh.c and permission.c, what a new
// connection is told of live allocations in snapshot.c.
#include "controlplane/turn/turn.h"

#include "controlplane/turn/core.h"
#include "controlplane/turn/reply.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define COUNTER_NAME(name) #name,
const char *const turn_counter_names[TURN_COUNTER_COUNT] = {TURN_COUNTERS(COUNTER_NAME)};

// What a TURN server understands; others below 0x8000 earn a 420 (RFC 8489 6.3.1, 14).
static const uint16_t known_attributes[] = {STUN_MAPPED_ADDRESS, STUN_USERNAME,
	STUN_MESSAGE_INTEGRITY, STUN_ERROR_CODE, STUN_UNKNOWN_ATTRIBUTES, STUN_CHANNEL_NUMBER,
	STUN_LIFETIME, STUN_XOR_PEER_ADDRESS, STUN_DATA_ATTRIBUTE, STUN_REALM, STUN_NONCE,
	STUN_XOR_RELAYED_ADDRESS, STUN_REQUESTED_ADDRESS_FAMILY, STUN_EVEN_PORT,
	STUN_REQUESTED_TRANSPORT, STUN_DONT_FRAGMENT, STUN_MESSAGE_INTEGRITY_SHA256,
	STUN_PASSWORD_ALGORITHM, STUN_USERHASH, STUN_XOR_MAPPED_ADDRESS, STUN_RESERVATION_TOKEN};

enum { UNKNOWN_MAX = 16 };

struct turn_core *turn_core_create(const struct config *config, const struct turn_output *output)
{
	struct turn_core *core = calloc(1, sizeof(*core));
	if (core == NULL)
		return NULL;
	core->config = config;
	core->output = *output;
	peer_rules_init(&core->peers, config);
	quota_init(&core->credential_quota, config->turn.quota);
	quota_init(&core->prefix_quota, config->turn.prefix_quota);
	id_table_init(&core->allocations, sizeof(struct turn_allocation));
	reservations_init(&core->reservations);
	core->tokens.output = &core->output;
	if (token_keys_init(&core->tokens.keys) != 0 ||
		authentication_init(&core->authentication, config) != 0 ||
		turn_in_flight_init(&core->in_flight) != 0) {
		turn_core_free(core);
		return NULL;
	}
	for (unsigned i = 0; i < config->address.listen_count; i++) {
		if (relay_pool_init(&core->pools[i], &config->address.listen[i],
			    config->address.relay_first, config->address.relay_last) != 0) {
			turn_core_free(core);
			return NULL;
		}
		core->pool_count = i + 1;
	}
	return core;
}

void turn_core_free(struct turn_core *core)
{
	if (core == NULL)
		return;
	for (unsigned i = 0; i < core->pool_count; i++)
		relay_pool_free(&core->pools[i]);
	turn_in_flight_free(&core->in_flight);
	reservations_free(&core->reservations);
	id_table_free(&core->allocations);
	quota_free(&core->credential_quota);
	quota_free(&core->prefix_quota);
	peer_rules_free(&core->peers);
	authentication_free(&core->authentication);
	token_keys_free(&core->tokens.keys);
	sodium_memzero(core, sizeof(*core));
	free(core);
}

uint64_t turn_tag(
	const struct turn_core *core, enum turn_tag_domain domain, const void *data, size_t length)
{
	uint64_t tag;
	crypto_shorthash((uint8_t *)&tag, data, length, core->tag_keys[domain]);
	return tag == 0 ? 1 : tag;
}

static void forget_allocations(struct turn_core *core)
{
	for (unsigned i = 0; i < core->pool_count; i++) {
		struct relay_pool *pool = &core->pools[i];
		for (uint32_t port = pool->first; port <= pool->last; port++) {
			enum relay_port_state state = relay_pool_state(pool, (uint16_t)port);
			relay_pool_change(pool, (uint16_t)port, state, RELAY_PORT_FREE);
		}
	}
	id_table_clear(&core->allocations);
	reservations_clear(&core->reservations);
	quota_clear(&core->credential_quota);
	quota_clear(&core->prefix_quota);
	turn_in_flight_clear(&core->in_flight);
}

void turn_core_connected(struct turn_core *core, const struct api_hello_answer *hello)
{
	forget_allocations(core);
	for (unsigned domain = 0; domain < TURN_TAG_DOMAINS; domain++) {
		const uint8_t name = (uint8_t)domain;
		crypto_generichash(core->tag_keys[domain], sizeof(core->tag_keys[domain]), &name,
			sizeof(name), hello->tag_key, sizeof(hello->tag_key));
	}
	core->ready = false;
	core->draining = hello->draining != 0;
}

void turn_core_local_addresses(
	struct turn_core *core, const struct net_address *addresses, size_t count)
{
	peer_rules_set_local(&core->peers, addresses, count);
}

void turn_core_drain(struct turn_core *core, bool on)
{
	core->draining = on;
}

bool turn_install(struct turn_core *core, const struct turn_request *request, enum api_type type,
	const void *payload, uint32_t size, uint64_t now_ms)
{
	if (turn_in_flight_full(&core->in_flight)) {
		turn_count(core, TURN_COUNTER_in_flight_full);
		return false;
	}
	uint32_t id = core->output.install(core->output.context, type, payload, size);
	if (id == 0) {
		turn_count(core, TURN_COUNTER_install_failed);
		return false;
	}
	return turn_in_flight_add(&core->in_flight, id, request, now_ms);
}

bool turn_owns_allocation(struct turn_core *core, struct turn_call *call)
{
	if (call->context->allocation_id == 0) {
		turn_reply_error(core, &call->request, 437);
		return false;
	}
	if (call->request.authenticated &&
		call->context->credential_tag != call->request.credential_tag) {
		turn_reply_error(core, &call->request, 441);
		return false;
	}
	call->request.allocation_id = call->context->allocation_id;
	return true;
}

// Whether the user that the request names has the allocation that it came over.
static bool names_owner(const struct turn_core *core, const struct turn_call *call)
{
	struct stun_attribute name;
	return call->context->allocation_id != 0 &&
	       stun_find(call->message, STUN_USERNAME, &name) &&
	       turn_tag(core, TURN_TAG_CREDENTIAL, name.value, name.length) ==
		       call->context->credential_tag;
}

// True when the request may go on; otherwise it has been answered.
static bool authenticate(struct turn_core *core, struct turn_call *call, uint64_t wall_s)
{
	struct turn_request *request = &call->request;
	if (core->config->turn.auth == CONFIG_AUTH_OPEN)
		return true;
	struct authentication_input input = {.message = call->message,
		.client = &request->client,
		.server = &request->server,
		.now_ms = call->now_ms,
		.wall_s = wall_s,
		.tokens = &core->tokens};
	if ((core->config->turn.auth & CONFIG_AUTH_TOKEN) != 0) {
		input.own_allocation = names_owner(core, call);
		input.prefix_tag = turn_prefix_tag(core, &request->client.address);
	}
	struct authentication_result result;
	authentication_check(&core->authentication, &input, &result);
	if (result.evaluated)
		turn_count(core, TURN_COUNTER_token_evaluations);
	if (result.error == 0) {
		request->authenticated = true;
		request->integrity = result.integrity;
		request->key = result.key;
		request->by_token = result.by_token;
		request->key_id = result.key_id;
		memcpy(request->nonce, result.nonce, sizeof(request->nonce));
		request->credential_tag =
			turn_tag(core, TURN_TAG_CREDENTIAL, result.name, result.name_length);
		// A credential that was good when the allocation was made goes on serving it, and
		// nothing else: a call does not end because its credential did.
		if (result.expired &&
			(call->context->allocation_id == 0 ||
				call->context->credential_tag != request->credential_tag)) {
			request->authenticated = false;
			result.error = 401;
		}
	}
	stun_key_wipe(&result.key);
	if (result.error == AUTHENTICATION_LATER)
		turn_count(core, TURN_COUNTER_token_rationed);
	else if (result.error == 400)
		turn_reply_error(core, request, 400);
	else if (result.error != 0)
		turn_reply_challenge(core, request, result.error, call->now_ms);
	return result.error == 0;
}

static void dispatch(struct turn_core *core, struct turn_call *call)
{
	uint16_t unknown[UNKNOWN_MAX];
	size_t count = stun_unknown_attributes(call->message, known_attributes,
		sizeof(known_attributes) / sizeof(known_attributes[0]), unknown, UNKNOWN_MAX);
	if (count > 0) {
		turn_reply_unknown(core, &call->request, unknown, count);
		return;
	}
	switch (call->request.method) {
	case STUN_ALLOCATE:
		turn_allocate(core, call);
		break;
	case STUN_REFRESH:
		turn_refresh(core, call);
		break;
	case STUN_CREATE_PERMISSION:
		turn_create_permission(core, call);
		break;
	default:
		turn_channel_bind(core, call);
		break;
	}
}

void turn_core_punt(struct turn_core *core, const struct api_punt *punt, const uint8_t *payload,
	uint64_t now_ms, uint64_t wall_s)
{
	struct stun_message message;
	nonce_keys_advance(&core->authentication.nonces, now_ms);
	if (stun_parse(payload, punt->length, &message) != 0) {
		turn_count(core, TURN_COUNTER_malformed);
		return;
	}
	// Unsupported methods are dropped in silence (RFC 8489 6.3); Binding is the worker's.
	if (message.class != STUN_REQUEST ||
		(message.method != STUN_ALLOCATE && message.method != STUN_REFRESH &&
			message.method != STUN_CREATE_PERMISSION &&
			message.method != STUN_CHANNEL_BIND)) {
		turn_count(core, TURN_COUNTER_unexpected_method);
		return;
	}
	struct turn_call call = {.message = &message,
		.context = &punt->allocation,
		.now_ms = now_ms,
		.request = {.client = punt->source,
			.server = punt->destination,
			.method = message.method,
			.length = (uint16_t)message.length,
			.worker = punt->worker,
			.has_fingerprint = message.has_fingerprint}};
	memcpy(call.request.transaction, stun_transaction(&message), STUN_TRANSACTION_LENGTH);
	if (turn_in_flight_duplicate(&core->in_flight, &call.request))
		turn_count(core, TURN_COUNTER_retransmissions);
	else if (authenticate(core, &call, wall_s))
		dispatch(core, &call);
	sodium_memzero(&call, sizeof(call));
}

void turn_core_answer(struct turn_core *core, uint32_t id, int result, uint64_t now_ms)
{
	struct turn_request request;
	if (!turn_in_flight_take(&core->in_flight, id, &request))
		return;
	// Nobody can be answered over a connection that is gone; the client will ask again.
	if (result == -ENOTCONN)
		request.given_up = true;
	if (result != 0)
		turn_count(core, TURN_COUNTER_install_failed);
	switch (request.method) {
	case STUN_ALLOCATE:
		turn_allocate_done(core, &request, result, now_ms);
		break;
	case STUN_REFRESH:
		turn_refresh_done(core, &request, result);
		break;
	case STUN_CREATE_PERMISSION:
		turn_create_permission_done(core, &request, result);
		break;
	default:
		turn_channel_bind_done(core, &request, result);
		break;
	}
	sodium_memzero(&request, sizeof(request));
}

bool turn_core_spent(struct turn_core *core, uint64_t purchase, int result, uint64_t now_ms)
{
	struct turn_request request;
	bool given = result != 0;
	if (turn_in_flight_take(&core->in_flight, purchase, &request))
		given = turn_allocate_paid(core, &request, result, now_ms);
	sodium_memzero(&request, sizeof(request));
	return given;
}

void turn_core_expired(struct turn_core *core, uint64_t allocation_id)
{
	turn_allocation_release(core, allocation_id);
}

uint64_t turn_core_tick(struct turn_core *core, uint64_t now_ms)
{
	nonce_keys_advance(&core->authentication.nonces, now_ms);
	struct reservation over[64];
	size_t count;
	while ((count = reservations_expire(
			&core->reservations, now_ms, over, sizeof(over) / sizeof(over[0]))) > 0) {
		for (size_t i = 0; i < count; i++)
			turn_reservation_release(core, &over[i]);
	}
	uint64_t next = turn_in_flight_give_up(&core->in_flight, now_ms);
	if (core->reservations.next_expiry_ms < next)
		next = core->reservations.next_expiry_ms;
	uint64_t rotation = core->authentication.nonces.made_ms + NONCE_LIFETIME_MS;
	if (rotation < next)
		next = rotation;
	return next > now_ms ? next - now_ms : 1;
}

uint64_t turn_core_counter(const struct turn_core *core, enum turn_counter counter)
{
	return core->counters[counter];
}

void turn_core_usage(const struct turn_core *core, struct turn_usage *out)
{
	*out = (struct turn_usage){.allocations = core->allocations.count,
		.reservations = core->reservations.by_token.count,
		.in_flight = turn_in_flight_count(&core->in_flight)};
	for (unsigned i = 0; i < core->pool_count; i++) {
		const struct relay_pool *pool = &core->pools[i];
		out->ports_free += pool->count[RELAY_PORT_FREE];
		out->ports_total += (uint64_t)pool->last - pool->first + 1;
	}
}
