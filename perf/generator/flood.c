// SPDX-License-Identifier: BSD-3-Clause
#include "perf/generator/flood.h"

#include "lib/wire/channel_data.h"
#include "lib/wire/checksum.h"
#include "lib/wire/stun.h"

#include <arpa/inet.h>
#include <netinet/in.h>

enum {
	SOURCE_OFFSET = HEADERS_ETHERNET_LENGTH + 12,
	UDP_OFFSET = HEADERS_ETHERNET_LENGTH + HEADERS_IPV4_LENGTH,
	TRANSACTION_OFFSET = FLOW_STAMP_PLAIN + 8,
	MESSAGE_MAX = FLOOD_FRAME_MAX - FLOW_STAMP_PLAIN,
};

// xorshift64*
static uint64_t next_random(struct flood *flood)
{
	flood->random ^= flood->random >> 12;
	flood->random ^= flood->random << 25;
	flood->random ^= flood->random >> 27;
	return flood->random * 0x2545F4914F6CDD1Dull;
}

static struct stun_builder begin(uint8_t *p, uint16_t method)
{
	static const uint8_t no_transaction[STUN_TRANSACTION_LENGTH];
	return stun_begin(p, MESSAGE_MAX, method, STUN_REQUEST, no_transaction);
}

static size_t binding(uint8_t *p)
{
	struct stun_builder b = begin(p, STUN_BINDING);
	return stun_finish(&b);
}

static size_t allocate(uint8_t *p, bool credentials)
{
	static const uint8_t integrity[20] = {1, 2, 3};
	static const char nonce[] = "obMatJos2AAAAabcdefghijklmnopqrs";
	struct stun_builder b = begin(p, STUN_ALLOCATE);
	stun_add_u32(&b, STUN_REQUESTED_TRANSPORT, (uint32_t)IPPROTO_UDP << 24);
	if (credentials) {
		stun_add(&b, STUN_USERNAME, "somebody", 8);
		stun_add(&b, STUN_REALM, "example.org", 11);
		stun_add(&b, STUN_NONCE, nonce, sizeof(nonce) - 1);
		stun_add(&b, STUN_MESSAGE_INTEGRITY, integrity, sizeof(integrity));
	}
	return stun_finish(&b);
}

// Of ten packets four are correct Bindings or Allocates without credentials, as a reflector would
// like them; one claims credentials; five are malformed or belong to nobody.
static size_t message_make(unsigned kind, uint8_t *p)
{
	size_t length;
	switch (kind) {
	case 0:
	case 1:
		return binding(p);
	case 2:
	case 3:
		return allocate(p, false);
	case 4:
		return allocate(p, true);
	case 5: // length says more than there is
		length = binding(p);
		p[3] = 64;
		return length;
	case 6: // an attribute reaches behind the message
		length = allocate(p, false);
		p[STUN_HEADER_LENGTH + 3] = 200;
		return length;
	case 7: // no magic cookie
		length = allocate(p, false);
		p[4] ^= 0xFF;
		return length;
	case 8: // cut short
		allocate(p, true);
		return STUN_HEADER_LENGTH + 9;
	default: // ChannelData of nobody
		memset(p, 0, 40);
		channel_data_write_header(p, CHANNEL_NUMBER_FIRST, 36);
		return 40;
	}
}

void flood_make(
	struct flood *flood, const struct flow_path *path, const struct net_endpoint *server)
{
	static const struct net_endpoint nobody = {.address = {.family = NET_IPV4}};
	flood->random = 0x9E3779B97F4A7C15ull;
	for (unsigned i = 0; i < FLOOD_KINDS; i++) {
		struct flood_kind *kind = &flood->kinds[i];
		memset(kind, 0, sizeof(*kind));
		size_t length = message_make(i, kind->frame + FLOW_STAMP_PLAIN);
		uint16_t udp = (uint16_t)(HEADERS_UDP_LENGTH + length);
		flow_write_headers(kind->frame, path, &nobody, server, length);
		memset(kind->frame + HEADERS_ETHERNET_LENGTH + 10, 0, 2);
		memset(kind->frame + TRANSACTION_OFFSET, 0, STUN_TRANSACTION_LENGTH);
		kind->length = (uint16_t)(UDP_OFFSET + udp);
		kind->ip_sum = checksum_fold(
			checksum_sum(kind->frame + HEADERS_ETHERNET_LENGTH, HEADERS_IPV4_LENGTH));
		kind->udp_sum = checksum_fold(checksum_sum(kind->frame + SOURCE_OFFSET, 8) +
					      htons(IPPROTO_UDP) + htons(udp) +
					      checksum_sum(kind->frame + UDP_OFFSET, udp));
	}
}

// Anywhere a packet may come from: no special-purpose range, and not where the calls live.
static uint32_t random_source(struct flood *flood)
{
	static const uint8_t first[] = {13, 20, 34, 45, 52, 64, 78, 81, 93, 104, 116, 131, 144, 151,
		163, 177, 185, 194, 201, 212};
	uint64_t r = next_random(flood);
	return first[(r & 0xFFFF) * sizeof(first) >> 16] | (uint32_t)(r >> 32) << 8;
}

uint16_t flood_write(struct flood *flood, uint8_t *frame)
{
	uint64_t r = next_random(flood);
	const struct flood_kind *kind = &flood->kinds[(r & 0xFFFF) * FLOOD_KINDS >> 16];
	uint32_t source = random_source(flood);
	uint16_t port = (uint16_t)(r >> 16 | 0x0400);
	const uint64_t transaction[2] = {r, (uint32_t)next_random(flood)};
	memcpy(frame, kind->frame, kind->length);
	memcpy(frame + SOURCE_OFFSET, &source, 4);
	memcpy(frame + UDP_OFFSET, &port, 2);
	memcpy(frame + TRANSACTION_OFFSET, transaction, STUN_TRANSACTION_LENGTH);
	uint16_t sum = (uint16_t)~checksum_fold((uint64_t)kind->ip_sum + source);
	memcpy(frame + HEADERS_ETHERNET_LENGTH + 10, &sum, 2);
	sum = (uint16_t)~checksum_fold((uint64_t)kind->udp_sum + source + port +
				       (uint32_t)transaction[0] + (transaction[0] >> 32) +
				       transaction[1]);
	if (sum == 0)
		sum = 0xFFFF;
	memcpy(frame + UDP_OFFSET + 6, &sum, 2);
	return kind->length;
}
