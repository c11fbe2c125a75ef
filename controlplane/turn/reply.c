// SPDX-License-Identifier: BSD-3-Clause
// Replies and their size bound; see reply.h.
#include "controlplane/turn/reply.h"

#include <sodium.h>

struct error_kind {
	unsigned code;
	enum turn_counter counter;
	const char *reason;
};

static const struct error_kind error_kinds[] = {
	{400, TURN_COUNTER_error_400, "Bad Request"},
	{401, TURN_COUNTER_error_401, "Unauthenticated"},
	{403, TURN_COUNTER_error_403, "Forbidden"},
	{420, TURN_COUNTER_error_420, "Unknown Attribute"},
	{437, TURN_COUNTER_error_437, "Allocation Mismatch"},
	{438, TURN_COUNTER_error_438, "Stale Nonce"},
	{440, TURN_COUNTER_error_440, "Address Family not Supported"},
	{441, TURN_COUNTER_error_441, "Wrong Credentials"},
	{442, TURN_COUNTER_error_442, "Unsupported Transport Protocol"},
	{443, TURN_COUNTER_error_443, "Peer Address Family Mismatch"},
	{486, TURN_COUNTER_error_486, "Allocation Quota Reached"},
	{500, TURN_COUNTER_error_500, "Server Error"},
	{508, TURN_COUNTER_error_508, "Insufficient Capacity"},
};

static const struct error_kind *kind_of(unsigned code)
{
	for (size_t i = 0; i < sizeof(error_kinds) / sizeof(error_kinds[0]); i++) {
		if (error_kinds[i].code == code)
			return &error_kinds[i];
	}
	return &error_kinds[11];
}

// IPv4 or IPv6 header without options, and UDP.
static size_t ip_bytes(const struct turn_request *request, size_t stun_length)
{
	return (request->client.address.family == NET_IPV4 ? 20u : 40u) + 8 + stun_length;
}

static bool within_bound(const struct turn_request *request, size_t reply_length)
{
	return ip_bytes(request, reply_length) * 2 <= ip_bytes(request, request->length) * 5;
}

void turn_reply_begin(
	struct turn_reply *reply, const struct turn_request *request, enum stun_class class)
{
	reply->builder = stun_begin(
		reply->bytes, sizeof(reply->bytes), request->method, class, request->transaction);
}

static void transmit(struct turn_core *core, const struct turn_reply *reply,
	const struct turn_request *request, size_t length)
{
	struct api_packet_send send = {.source = request->server,
		.destination = request->client,
		.worker = request->worker,
		.length = (uint16_t)length,
		.flags = request->authenticated ? 0 : API_SEND_UNAUTHENTICATED};
	core->output.send(core->output.context, &send, reply->bytes);
	sodium_memzero(&send, sizeof(send));
}

bool turn_reply_send(
	struct turn_core *core, struct turn_reply *reply, const struct turn_request *request)
{
	if (request->authenticated && request->integrity == AUTHENTICATION_SHA256)
		stun_add_integrity_sha256(&reply->builder, &request->key);
	else if (request->authenticated && request->integrity == AUTHENTICATION_SHA1)
		stun_add_integrity(&reply->builder, &request->key);
	bool fits = true;
	if (request->has_fingerprint) {
		// 8 bytes an unauthenticated reply may have to do without.
		if (request->authenticated ||
			within_bound(request, reply->builder.length + STUN_FINGERPRINT_LENGTH))
			stun_add_fingerprint(&reply->builder);
	}
	size_t length = stun_finish(&reply->builder);
	if (!request->authenticated && length != 0 && !within_bound(request, length)) {
		turn_count(core, TURN_COUNTER_amplification_refused);
		fits = false;
	}
	if (fits && length != 0)
		transmit(core, reply, request, length);
	sodium_memzero(reply->bytes, sizeof(reply->bytes));
	return fits && length != 0;
}

static void begin_error(struct turn_core *core, struct turn_reply *reply,
	const struct turn_request *request, unsigned code)
{
	const struct error_kind *kind = kind_of(code);
	turn_count(core, kind->counter);
	turn_reply_begin(reply, request, STUN_ERROR);
	stun_add_error(&reply->builder, kind->code, request->authenticated ? kind->reason : NULL);
}

void turn_reply_error(struct turn_core *core, const struct turn_request *request, unsigned code)
{
	struct turn_reply reply;
	begin_error(core, &reply, request, code);
	turn_reply_send(core, &reply, request);
}

void turn_reply_unknown(struct turn_core *core, const struct turn_request *request,
	const uint16_t *types, size_t count)
{
	struct turn_reply reply;
	uint8_t list[64];
	size_t length = 0;
	for (size_t i = 0; i < count && length + 2 <= sizeof(list); i++) {
		list[length++] = (uint8_t)(types[i] >> 8);
		list[length++] = (uint8_t)types[i];
	}
	begin_error(core, &reply, request, 420);
	stun_add(&reply.builder, STUN_UNKNOWN_ATTRIBUTES, list, length);
	turn_reply_send(core, &reply, request);
}

void turn_reply_challenge(
	struct turn_core *core, const struct turn_request *request, unsigned code, uint64_t now_ms)
{
	const struct authentication *authentication = &core->authentication;
	const char *realm = core->config->turn.realm;
	struct turn_reply reply;
	char nonce[NONCE_LENGTH];
	begin_error(core, &reply, request, code);
	stun_add(&reply.builder, STUN_REALM, realm, strlen(realm));
	// A nonce that names the feature without the list beside it makes clients stop (9.2.5), so
	// they go together.
	bool algorithms = within_bound(request,
		reply.builder.length + 4 + NONCE_LENGTH + 4 + sizeof(authentication_algorithms));
	nonce_make(&authentication->nonces, authentication_features(authentication, algorithms),
		&request->client, &request->server, now_ms, nonce);
	stun_add(&reply.builder, STUN_NONCE, nonce, sizeof(nonce));
	if (algorithms)
		stun_add(&reply.builder, STUN_PASSWORD_ALGORITHMS, authentication_algorithms,
			sizeof(authentication_algorithms));
	turn_reply_send(core, &reply, request);
}
