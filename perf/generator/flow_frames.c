// SPDX-License-Identifier: BSD-3-Clause
#include "perf/generator/flow_frames.h"

#include "lib/wire/channel_data.h"
#include "lib/wire/checksum.h"
#include "lib/wire/stun.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

enum { UDP_OFFSET = HEADERS_ETHERNET_LENGTH + HEADERS_IPV4_LENGTH };

int flow_set_open(struct flow_set *set, unsigned room)
{
	*set = (struct flow_set){.room = room};
	// One more, for what is loaded ahead.
	set->frames = aligned_alloc(64, (size_t)(room + 1) * sizeof(*set->frames));
	set->flows = calloc(room, sizeof(*set->flows));
	if (set->frames != NULL && set->flows != NULL)
		return 0;
	flow_set_close(set);
	return -ENOMEM;
}

void flow_set_close(struct flow_set *set)
{
	free(set->frames);
	free(set->flows);
	*set = (struct flow_set){0};
}

void flow_write_headers(uint8_t *frame, const struct flow_path *path,
	const struct net_endpoint *source, const struct net_endpoint *destination,
	size_t payload_length)
{
	uint16_t udp = (uint16_t)(HEADERS_UDP_LENGTH + payload_length);
	uint16_t ip = (uint16_t)(HEADERS_IPV4_LENGTH + udp);
	uint8_t *p = frame + HEADERS_ETHERNET_LENGTH;
	const uint16_t words[4] = {htons(source->port), htons(destination->port), htons(udp), 0};

	memset(frame, 0, UDP_OFFSET);
	memcpy(frame, path->relay_mac, 6);
	memcpy(frame + 6, path->own_mac, 6);
	frame[12] = HEADERS_ETHERTYPE_IPV4 >> 8;
	p[0] = 0x45;
	p[2] = (uint8_t)(ip >> 8);
	p[3] = (uint8_t)ip;
	p[6] = 0x40;
	p[8] = 64;
	p[9] = IPPROTO_UDP;
	memcpy(p + 12, source->address.bytes, 4);
	memcpy(p + 16, destination->address.bytes, 4);
	uint16_t sum = (uint16_t)~checksum_fold(checksum_sum(p, HEADERS_IPV4_LENGTH));
	memcpy(p + 10, &sum, 2);
	memcpy(frame + UDP_OFFSET, words, sizeof(words));
}

// What the checksum covers, from the pseudo-header to the stamp's mark.
static uint32_t sum_of(const uint8_t *frame, uint16_t length)
{
	uint64_t sum = checksum_sum(frame + HEADERS_ETHERNET_LENGTH + 12, 8) + htons(IPPROTO_UDP) +
		       htons((uint16_t)(length - UDP_OFFSET));
	sum += checksum_sum(frame + UDP_OFFSET, FLOW_WRITTEN - UDP_OFFSET);
	return checksum_fold(sum);
}

static uint8_t *append(struct flow_set *set, uint16_t length, uint16_t stamp)
{
	assert(set->count < set->room);
	uint8_t *frame = set->frames[set->count];
	set->flows[set->count++] = (struct flow){.length = length, .stamp = stamp};
	memset(frame, 0, FLOW_WRITTEN);
	return frame;
}

static void finish(struct flow_set *set)
{
	struct flow *flow = &set->flows[set->count - 1];
	flow->sum = sum_of(set->frames[set->count - 1], flow->length);
}

void flow_add_data(struct flow_set *set, const struct flow_path *path,
	const struct net_endpoint *source, const struct net_endpoint *destination, uint16_t channel,
	uint16_t length)
{
	uint16_t stamp = channel ? FLOW_STAMP_CHANNEL : FLOW_STAMP_PLAIN;
	uint8_t *frame = append(set, length, stamp);
	flow_write_headers(frame, path, source, destination, (size_t)length - FLOW_STAMP_PLAIN);
	if (channel)
		channel_data_write_header(
			frame + FLOW_STAMP_PLAIN, channel, (uint16_t)(length - FLOW_STAMP_CHANNEL));
	memcpy(frame + stamp, &flow_mark, sizeof(flow_mark));
	finish(set);
}

void flow_add_binding(struct flow_set *set, const struct flow_path *path,
	const struct net_endpoint *source, const struct net_endpoint *destination)
{
	static const uint8_t no_transaction[STUN_TRANSACTION_LENGTH];
	uint16_t length = FLOW_STAMP_PLAIN + STUN_HEADER_LENGTH;
	uint8_t *frame = append(set, length, FLOW_STAMP_CHANNEL);
	flow_write_headers(frame, path, source, destination, STUN_HEADER_LENGTH);
	struct stun_builder b = stun_begin(frame + FLOW_STAMP_PLAIN, STUN_HEADER_LENGTH,
		STUN_BINDING, STUN_REQUEST, no_transaction);
	stun_finish(&b);
	finish(set);
}

void flow_set_shuffle(struct flow_set *set, uint64_t seed)
{
	uint8_t frame[FLOW_WRITTEN];
	for (unsigned i = set->count; i > 1; i--) {
		// xorshift64*
		seed ^= seed >> 12;
		seed ^= seed << 25;
		seed ^= seed >> 27;
		unsigned j = (unsigned)(((seed * 0x2545F4914F6CDD1Dull) >> 32) * i >> 32);
		struct flow flow = set->flows[j];
		memcpy(frame, set->frames[j], FLOW_WRITTEN);
		set->flows[j] = set->flows[i - 1];
		memcpy(set->frames[j], set->frames[i - 1], FLOW_WRITTEN);
		set->flows[i - 1] = flow;
		memcpy(set->frames[i - 1], frame, FLOW_WRITTEN);
	}
	set->next = 0;
}
