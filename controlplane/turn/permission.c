// SPDX-License-Identifier: BSD-3-Clause
// CreatePermission and ChannelBind (RFC 8656 10.2, 12.2): peers are judged here, once, before
// anything towards them is installed.
#include "controlplane/turn/core.h"
#include "controlplane/turn/reply.h"

#include <errno.h>
#include <sodium.h>

// The peer's family must be one the allocation relays from.
static bool family_matches(
	const struct api_allocation_context *context, const struct net_address *peer)
{
	unsigned slot = peer->family == NET_IPV4 ? 0 : 1;
	return context->relayed[slot].address.family == peer->family;
}

// All XOR-PEER-ADDRESS of the request. 0 or an error code; all or none (10.2).
static unsigned read_peers(const struct turn_core *core, const struct turn_call *call,
	struct net_address peers[static API_PERMISSIONS_MAX], uint16_t *count)
{
	struct stun_attribute attribute;
	struct net_endpoint peer;
	bool mismatch = false, forbidden = false, too_many = false;
	size_t offset = 0;
	*count = 0;
	while (stun_next(call->message, &offset, &attribute)) {
		if (attribute.type != STUN_XOR_PEER_ADDRESS)
			continue;
		if (stun_read_xor_address(call->message, &attribute, &peer) != 0)
			return 400;
		mismatch = mismatch || !family_matches(call->context, &peer.address);
		forbidden = forbidden || !peer_rules_permit_address(&core->peers, &peer.address);
		if (*count == API_PERMISSIONS_MAX)
			too_many = true;
		else
			peers[(*count)++] = peer.address;
	}
	if (*count == 0)
		return 400;
	if (mismatch)
		return 443;
	if (forbidden)
		return 403;
	return too_many ? 508 : 0;
}

void turn_create_permission(struct turn_core *core, struct turn_call *call)
{
	struct net_address peers[API_PERMISSIONS_MAX];
	_Alignas(struct api_permissions_install)
		uint8_t payload[sizeof(struct api_permissions_install) + sizeof(peers)] = {0};
	if (!turn_owns_allocation(core, call))
		return;
	struct api_permissions_install head = {.allocation_id = call->context->allocation_id,
		.lifetime_ms = TURN_PERMISSION_LIFETIME_MS,
		.worker = call->context->worker};
	unsigned code = read_peers(core, call, peers, &head.count);
	if (code != 0) {
		turn_reply_error(core, &call->request, code);
	} else {
		size_t list = head.count * sizeof(peers[0]);
		memcpy(payload, &head, sizeof(head));
		memcpy(payload + sizeof(head), peers, list);
		turn_install(core, &call->request, API_PERMISSIONS_INSTALL, payload,
			(uint32_t)(sizeof(head) + list), call->now_ms);
	}
	sodium_memzero(peers, sizeof(peers));
	sodium_memzero(payload, sizeof(payload));
}

// CHANNEL-NUMBER: 16 bits and 16 reserved ones (18.1). 0 or an error code.
static unsigned read_channel(const struct turn_core *core, const struct turn_call *call,
	uint16_t *channel, struct net_endpoint *peer)
{
	struct stun_attribute number, address;
	uint32_t value;
	if (!stun_find(call->message, STUN_CHANNEL_NUMBER, &number) ||
		!stun_find(call->message, STUN_XOR_PEER_ADDRESS, &address) ||
		stun_read_u32(&number, &value) != 0 ||
		stun_read_xor_address(call->message, &address, peer) != 0)
		return 400;
	*channel = (uint16_t)(value >> 16);
	if (*channel < TURN_CHANNEL_FIRST || *channel > core->config->turn.channel_last)
		return 400;
	if (!family_matches(call->context, &peer->address))
		return 443;
	return peer_rules_permit_endpoint(&core->peers, peer) ? 0 : 403;
}

void turn_channel_bind(struct turn_core *core, struct turn_call *call)
{
	if (!turn_owns_allocation(core, call))
		return;
	struct api_channel_bind payload = {.allocation_id = call->context->allocation_id,
		.lifetime_ms = TURN_CHANNEL_LIFETIME_MS,
		.permission_lifetime_ms = TURN_PERMISSION_LIFETIME_MS,
		.worker = call->context->worker};
	unsigned code = read_channel(core, call, &payload.channel, &payload.peer);
	if (code != 0)
		turn_reply_error(core, &call->request, code);
	else
		turn_install(core, &call->request, API_CHANNEL_BIND, &payload, sizeof(payload),
			call->now_ms);
	sodium_memzero(&payload, sizeof(payload));
}

static void done(
	struct turn_core *core, struct turn_request *request, int result, enum turn_counter counter)
{
	if (result == -ENOENT)
		turn_allocation_release(core, request->allocation_id);
	if (request->given_up)
		return;
	if (result != 0) {
		unsigned code = 500;
		if (result == -ENOENT)
			code = 437;
		else if (result == -EADDRINUSE)
			code = 400; // bound to another peer, or the peer to another channel
		else if (result == -ENOSPC || result == -EAGAIN || result == -ESHUTDOWN)
			code = 508;
		turn_reply_error(core, request, code);
		return;
	}
	turn_count(core, counter);
	struct turn_reply reply;
	turn_reply_begin(&reply, request, STUN_SUCCESS);
	turn_reply_send(core, &reply, request);
}

void turn_create_permission_done(struct turn_core *core, struct turn_request *request, int result)
{
	done(core, request, result, TURN_COUNTER_create_permission_ok);
}

void turn_channel_bind_done(struct turn_core *core, struct turn_request *request, int result)
{
	done(core, request, result, TURN_COUNTER_channel_bind_ok);
}
