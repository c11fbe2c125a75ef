// SPDX-License-Identifier: BSD-3-Clause
// What is sent of each flow, made before it is sent: the first 64 bytes of an Ethernet/IPv4/UDP
// frame whose remainder is zeros, with its checksum but for a stamp of 16 bytes. So sending a
// packet costs one cache line read, one written, and a short sum.
//
// The stamp (mark, sequence, time) lies behind the UDP header or behind the ChannelData header. Of
// a Binding request it is the magic cookie and the transaction id, so it comes back with the
// answer. IPv4 only.
#pragma once

#include "lib/net/address.h"
#include "lib/wire/headers.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
	FLOW_WRITTEN = 64,
	FLOW_STAMP_PLAIN = HEADERS_ETHERNET_LENGTH + HEADERS_IPV4_LENGTH + HEADERS_UDP_LENGTH,
	FLOW_STAMP_CHANNEL = FLOW_STAMP_PLAIN + 4,
	FLOW_FRAME_MIN = FLOW_STAMP_CHANNEL + 16,
	FLOW_FRAME_MAX = 1514,
};

struct flow_stamp {
	uint32_t mark;
	uint32_t sequence;
	uint64_t tsc;
};
static_assert(sizeof(struct flow_stamp) == 16, "as the layout above says");

static const uint32_t flow_mark = 0x79616c65;

struct flow {
	uint16_t length; // of the frame
	uint16_t stamp;  // its offset
	uint32_t sum;    // of everything the UDP checksum covers, but sequence and time
};

// Flows in the order they are sent in.
struct flow_set {
	uint8_t (*frames)[FLOW_WRITTEN];
	struct flow *flows;
	unsigned count, room, next;
};

struct flow_path {
	uint8_t relay_mac[6], own_mac[6];
};

// 0 or -ENOMEM.
int flow_set_open(struct flow_set *set, unsigned room);
void flow_set_close(struct flow_set *set);

// Appends a flow of datagrams whose frames are `length` long (FLOW_FRAME_MIN to FLOW_FRAME_MAX);
// channel: ChannelData of that channel, or 0 for the bare stamp.
void flow_add_data(struct flow_set *set, const struct flow_path *path,
	const struct net_endpoint *source, const struct net_endpoint *destination, uint16_t channel,
	uint16_t length);
// Appends a source of bare Binding requests.
void flow_add_binding(struct flow_set *set, const struct flow_path *path,
	const struct net_endpoint *source, const struct net_endpoint *destination);
// Puts the flows in random order, the same for the same seed.
void flow_set_shuffle(struct flow_set *set, uint64_t seed);

// Writes Ethernet, IPv4 and UDP headers for a payload of that length, UDP checksum 0.
void flow_write_headers(uint8_t *frame, const struct flow_path *path,
	const struct net_endpoint *source, const struct net_endpoint *destination,
	size_t payload_length);

// Writes the next packet of flow `i` to `frame` and returns its length.
static inline uint16_t flow_write(
	const struct flow_set *set, unsigned i, uint8_t *frame, uint32_t sequence, uint64_t tsc)
{
	const struct flow flow = set->flows[i];
	memcpy(frame, set->frames[i], FLOW_WRITTEN);
	memcpy(frame + flow.stamp + offsetof(struct flow_stamp, sequence), &sequence, 4);
	memcpy(frame + flow.stamp + offsetof(struct flow_stamp, tsc), &tsc, 8);
	uint64_t sum = (uint64_t)flow.sum + sequence + (uint32_t)tsc + (tsc >> 32);
	sum = (sum & 0xFFFFFFFF) + (sum >> 32);
	sum = (sum & 0xFFFF) + (sum >> 16);
	sum = (sum & 0xFFFF) + (sum >> 16);
	sum = (sum & 0xFFFF) + (sum >> 16);
	uint16_t checksum = (uint16_t)~sum;
	if (checksum == 0)
		checksum = 0xFFFF;
	memcpy(frame + FLOW_STAMP_PLAIN - 2, &checksum, 2);
	return flow.length;
}
