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
	uint64_t packets, bytes; // relayed; application bytes
	uint64_t completed, incremental;
};

static inline void relay_count(struct worker *worker, const struct relay_tally *tally,
	enum stats_event packets, enum stats_event bytes)
{
	worker->stats.event[packets] += tally->packets;
	worker->stats.event[bytes] += tally->bytes;
	worker->stats.event[EVENT_checksum_completed] += tally->completed;
	worker->stats.event[EVENT_checksum_incremental] += tally->incremental;
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

// ---- what relay_admit and relay_send leave to functions of their own, since it is rare ----

void relay_refuse_hop_limit(struct pass *pass, unsigned at);
void relay_refuse_too_big(
	struct pass *pass, unsigned at, unsigned length, unsigned mtu, bool begins_here);
void relay_send_slowly(
	struct pass *pass, struct rte_mbuf *mbuf, const struct relay_path *path, uint32_t checksum);

// Member by member: a path that is copied as a whole, or whose address is taken, would live in
// memory on the usual way too.
static inline __attribute__((always_inline)) struct relay_path relay_path_copy(
	const struct relay_path *path)
{
	struct relay_path copy;
	copy.packet.source = path->packet.source;
	copy.packet.destination = path->packet.destination;
	copy.packet.source_port = path->packet.source_port;
	copy.packet.destination_port = path->packet.destination_port;
	copy.packet.family = path->packet.family;
	copy.packet.ttl = path->packet.ttl;
	copy.packet.tos = path->packet.tos;
	copy.packet.dont_fragment = path->packet.dont_fragment;
	copy.packet.identification = path->packet.identification;
	copy.packet.flow_label = path->packet.flow_label;
	copy.cache.hop = path->cache.hop;
	copy.cache.other = path->cache.other;
	copy.cache.epoch = path->cache.epoch;
	copy.ours = path->ours;
	copy.routed = path->routed;
	copy.begins_here = path->begins_here;
	copy.payload_offset = path->payload_offset;
	copy.payload_length = path->payload_length;
	copy.flow = path->flow;
	copy.view.header[0] = path->view.header[0];
	copy.view.header[1] = path->view.header[1];
	copy.view.port = path->view.port;
	copy.view.mtu = path->view.mtu;
	copy.view.header_length = path->view.header_length;
	copy.view.up = path->view.up;
	return copy;
}

static inline __attribute__((always_inline)) bool relay_hop(
	struct pass *pass, struct relay_path *path)
{
	const struct next_hops *n = pass->burst.worker->next_hops;
	uint16_t hop = *path->cache.hop;
	uint32_t epoch = *path->cache.epoch;
	if (__builtin_expect(
		    hop != NEXT_HOP_NONE && (int32_t)(epoch - pass->routes_epoch) >= 0, 1) &&
		__builtin_expect(next_hop_read(n, hop, epoch, &path->view), 1))
		return true;
	struct relay_path slow = relay_path_copy(path);
	if (!transmit_hop(pass->burst.worker, &slow.cache, slow.packet.destination,
		    slow.packet.family, slow.flow, &slow.view))
		return false;
	path->view.header[0] = slow.view.header[0];
	path->view.header[1] = slow.view.header[1];
	path->view.port = slow.view.port;
	path->view.mtu = slow.view.mtu;
	path->view.header_length = slow.view.header_length;
	path->view.up = slow.view.up;
	return true;
}

// Fills identification, flow, flow label and next hop. False: the packet is gone, dropped and
// counted; where RFC 8656 section 13 asks for it the sender gets an ICMP error (budgeted).
static inline __attribute__((always_inline)) bool relay_admit(
	struct pass *pass, unsigned at, struct relay_path *path)
{
	const struct mappings *m = pass->burst.worker->mappings;
	struct datagram *packet = &path->packet;
	if (__builtin_expect(pass->burst.headers[at].ttl <= 1 && !path->begins_here, 0)) {
		relay_refuse_hop_limit(pass, at);
		return false;
	}
	unsigned ip_length = HEADERS_IPV4_LENGTH;
	if (packet->family == NET_IPV6) {
		ip_length = HEADERS_IPV6_LENGTH;
		path->flow = relay_flow(m, packet->source, packet->destination,
			packet->source_port | (uint32_t)packet->destination_port << 16);
		packet->flow_label = path->flow & 0xFFFFF;
	} else {
		// For equal-cost routes; only looked at when the next hop is not cached.
		path->flow = ((uint32_t)packet->source_port << 16 | packet->destination_port) *
			     0x9E3779B1u;
		packet->identification = relay_identification(pass->burst.worker->mappings);
	}
	path->routed = !path->ours && relay_hop(pass, path);
	unsigned length = ip_length + HEADERS_UDP_LENGTH + path->payload_length;
	bool cuttable = packet->family == NET_IPV4 && !packet->dont_fragment;
	if (__builtin_expect(path->routed && length > path->view.mtu && !cuttable, 0)) {
		relay_refuse_too_big(pass, at, length, path->view.mtu, path->begins_here);
		return false;
	}
	return true;
}

// The outgoing UDP payload lies at payload_offset of the mbuf's data; headers are put before it.
// checksum: as datagram_wrap.
static inline __attribute__((always_inline)) void relay_send(
	struct pass *pass, struct rte_mbuf *mbuf, const struct relay_path *path, uint32_t checksum)
{
	bool ipv4 = path->packet.family == NET_IPV4;
	unsigned ip = ipv4 ? HEADERS_IPV4_LENGTH : HEADERS_IPV6_LENGTH;
	unsigned udp = HEADERS_UDP_LENGTH + path->payload_length;
	unsigned ethernet = path->view.header_length + 2u;
	unsigned payload = mbuf->data_off + (unsigned)path->payload_offset;
	unsigned headers = ethernet + ip + HEADERS_UDP_LENGTH;
	if (__builtin_expect(!path->routed || !path->view.up || ip + udp > path->view.mtu ||
				     payload < headers,
		    0)) {
		struct relay_path slow = relay_path_copy(path);
		relay_send_slowly(pass, mbuf, &slow, checksum);
		return;
	}
	mbuf->data_off = (uint16_t)(payload - headers);
	mbuf->data_len = (uint16_t)(ethernet + ip + udp);
	mbuf->pkt_len = ethernet + ip + udp;
	mbuf->ol_flags = 0;
	mbuf->packet_type = 0;
	uint8_t *p = rte_pktmbuf_mtod(mbuf, uint8_t *);
	transmit_write_ethernet(p, &path->view, ipv4);
	datagram_write_udp(p + ethernet + ip, &path->packet, udp, checksum);
	datagram_write_ip(p + ethernet, &path->packet, 17, ip + udp);
	pass_send(pass, mbuf, path->view.port);
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
