// SPDX-License-Identifier: BSD-3-Clause
#include "perf/generator/turn_frames.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

enum { MESSAGE_OFFSET = FLOW_STAMP_PLAIN };

static size_t message_make(uint8_t *to, enum turn_step step, const struct turn_frame_login *login,
	const struct net_endpoint *peer, uint16_t channel, const uint8_t *transaction)
{
	static const uint16_t methods[TURN_STEPS] = {[TURN_STEP_CHALLENGE] = STUN_ALLOCATE,
		[TURN_STEP_ALLOCATE] = STUN_ALLOCATE,
		[TURN_STEP_BIND] = STUN_CHANNEL_BIND,
		[TURN_STEP_REFRESH] = STUN_REFRESH,
		[TURN_STEP_DELETE] = STUN_REFRESH};
	struct stun_builder b = stun_begin(
		to, TURN_FRAME_SIZE - MESSAGE_OFFSET, methods[step], STUN_REQUEST, transaction);
	if (methods[step] == STUN_ALLOCATE)
		stun_add_u32(&b, STUN_REQUESTED_TRANSPORT, (uint32_t)IPPROTO_UDP << 24);
	if (step == TURN_STEP_BIND) {
		stun_add_u32(&b, STUN_CHANNEL_NUMBER, (uint32_t)channel << 16);
		stun_add_xor_address(&b, STUN_XOR_PEER_ADDRESS, peer);
	}
	if (step == TURN_STEP_REFRESH || step == TURN_STEP_DELETE)
		stun_add_u32(&b, STUN_LIFETIME, step == TURN_STEP_DELETE ? 0 : 600);
	if (step != TURN_STEP_CHALLENGE) {
		stun_add(&b, STUN_USERNAME, login->user, strlen(login->user));
		stun_add(&b, STUN_REALM, login->realm, strlen(login->realm));
		stun_add(&b, STUN_NONCE, login->nonce, login->nonce_length);
		stun_add_integrity(&b, &login->key);
	}
	return stun_finish(&b);
}

int turn_frame_make(struct turn_frame *frame, enum turn_step step,
	const struct turn_frame_path *path, const struct turn_frame_login *login,
	const struct net_endpoint *peer, uint16_t channel,
	const uint8_t transaction[static STUN_TRANSACTION_LENGTH])
{
	uint8_t *p = frame->bytes;
	size_t length = message_make(p + MESSAGE_OFFSET, step, login, peer, channel, transaction);
	if (length == 0)
		return -ENOSPC;
	// No UDP checksum: IPv4 allows it.
	flow_write_headers(p, &path->macs, &path->client, &path->server, length);
	frame->message = MESSAGE_OFFSET;
	frame->length = (uint16_t)(MESSAGE_OFFSET + length);
	return 0;
}
