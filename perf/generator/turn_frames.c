// SPDX-License-Identifier: BSD-3-Clause
#include "perf/generator/turn_frames.h"

#include "lib/wire/checksum.h"
#include "lib/wire/headers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

enum { MESSAGE_OFFSET = HEADERS_ETHERNET_LENGTH + HEADERS_IPV4_LENGTH + HEADERS_UDP_LENGTH };

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
	uint16_t udp = (uint16_t)(HEADERS_UDP_LENGTH + length);
	uint16_t ip = (uint16_t)(HEADERS_IPV4_LENGTH + udp);
	memset(p, 0, MESSAGE_OFFSET);
	memcpy(p, path->relay_mac, 6);
	memcpy(p + 6, path->own_mac, 6);
	p[12] = 0x08;
	p += HEADERS_ETHERNET_LENGTH;
	p[0] = 0x45;
	p[2] = (uint8_t)(ip >> 8);
	p[3] = (uint8_t)ip;
	p[6] = 0x40;
	p[8] = 64;
	p[9] = IPPROTO_UDP;
	memcpy(p + 12, path->client.address.bytes, 4);
	memcpy(p + 16, path->server.address.bytes, 4);
	uint16_t sum = (uint16_t)~checksum_fold(checksum_sum(p, HEADERS_IPV4_LENGTH));
	memcpy(p + 10, &sum, 2);
	// No UDP checksum: IPv4 allows it.
	const uint16_t words[3] = {htons(path->client.port), htons(path->server.port), htons(udp)};
	memcpy(p + HEADERS_IPV4_LENGTH, words, sizeof(words));
	frame->message = MESSAGE_OFFSET;
	frame->length = (uint16_t)(MESSAGE_OFFSET + length);
	return 0;
}
