// SPDX-License-Identifier: BSD-3-Clause
// What the relaying stages share: admitting a datagram to its way (hop limit, next hop, MTU) while
// it is still as received, and sending it once its payload is in place.
#pragma once

#include "dataplane/stage/datagram.h"
#include "dataplane/stage/transmit.h"

struct relay_path {
	struct datagram packet;
	struct hop_cache cache;
	bool ours;   // the destination is one of our relayed addresses: hairpin
	bool routed; // relay_admit: view is known
	// Made here because of an ICMP error: its own hop limit says nothing, and there is no ICMP
	// about ICMP (RFC 1122 3.2.2).
	bool begins_here;
	uint16_t payload_offset; // of the application's bytes in the frame as received
	uint16_t payload_length; // UDP payload that goes out, headers of TURN included
	uint32_t flow;
	struct next_hop_view view;
};

// What a stage counts of a burst, added to the worker's counters at its end.
struct relay_tally {
	uint64_t packets, bytes; // relayed the usual way; application bytes
};

static inline void relay_count(struct worker *worker, const struct relay_tally *tally,
	enum stats_event packets, enum stats_event bytes)
{
	worker->stats.event[packets] += tally->packets;
	worker->stats.event[bytes] += tally->bytes;
	worker->stats.event[EVENT_checksum_incremental] += tally->packets;
}

// A hash of the outgoing 5-tuple: equal-cost choice and IPv6 flow label (RFC 6437 section 3; the
// label is never copied, RFC 8656 section 13.2, and under a random key tells nothing).
static inline uint32_t relay_flow(const struct mappings *m, const uint8_t source[static 16],
	const uint8_t destination[static 16], uint32_t ports)
{
	uint64_t words[5];
	memcpy(words, source, 16);
	memcpy(words + 2, destination, 16);
	words[4] = ports;
	return (uint32_t)keyed_hash(&m->label_key, words, 5);
}

// The next IPv4 identification of this worker. RFC 6864: unique per address pair while fragments
// live. An odd multiple of a counter visits all 65536 values before one comes back, and does not
// show how much is relayed as a counter would.
static inline uint16_t relay_identification(struct mappings *m)
{
	return (uint16_t)(++m->ipv4_identification * 0x9E37u);
}

// Fills identification, flow, flow label and next hop. False: the packet is gone, dropped and
// counted; where RFC 8656 section 13 asks for it the sender gets an ICMP error (budgeted).
bool relay_admit(struct pass *pass, unsigned at, struct relay_path *path);

// The outgoing UDP payload lies at payload_offset of the mbuf's data; headers are put before it,
// and it goes out, or around to ourselves, or waits for its neighbour. checksum: as datagram_wrap.
void relay_send(
	struct pass *pass, struct rte_mbuf *mbuf, const struct relay_path *path, uint32_t checksum);

// What the checksum of a rewritten datagram comes from, counted. True: the received one is whole
// and stays, but for what changes (relay_checksum_update). False: *instead, as datagram_wrap takes
// it: none, where the sender asked for none and the outgoing family allows it (RFC 8200 8.1), or
// all of it anew, where a local stack has left it to its card.
static inline bool relay_checksum_whole(struct worker *worker, const uint8_t *frame,
	const struct headers *h, unsigned family, uint16_t *received, uint32_t *instead)
{
	enum datagram_checksum kind = datagram_checksum_kind(frame, h, received);
	*instead = kind == DATAGRAM_PARTIAL || family == NET_IPV6 ? DATAGRAM_COMPUTE : 0;
	if (kind == DATAGRAM_PARTIAL)
		worker->stats.event[EVENT_checksum_completed]++;
	else if (kind == DATAGRAM_WHOLE)
		worker->stats.event[EVENT_checksum_incremental]++;
	return kind == DATAGRAM_WHOLE;
}

// goes, comes: sums of what is no longer under the checksum, and of what is now. RFC 768: 0 would
// say that there is none.
static inline uint32_t relay_checksum_update(uint16_t received, uint64_t goes, uint64_t comes)
{
	uint16_t checksum = checksum_update(received, goes, comes);
	return checksum ? checksum : 0xFFFF;
}

// Drops ChannelData that no live channel takes, by the right reason.
void relay_no_channel(struct pass *pass, unsigned at);

// Sum of up to 3 bytes that stood at `offset` of the checksummed data: at an odd one the bytes
// change places (RFC 1071 2(B)).
static inline uint64_t relay_tail_sum(const uint8_t *tail, unsigned length, unsigned offset)
{
	uint16_t sum = checksum_fold(checksum_sum(tail, length));
	return offset & 1 ? __builtin_bswap16(sum) : sum;
}

// Turns 128 bits out of the worker's keyed counter into an unpredictable transaction id.
void relay_transaction(struct mappings *m, uint8_t out[static 12]);
