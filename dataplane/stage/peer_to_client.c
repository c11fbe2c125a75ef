// SPDX-License-Identifier: BSD-3-Clause
// What a peer sends to a relayed address (RFC 8656 11.3, 12.7): ChannelData when a live channel is
// bound to exactly that peer, else a Data indication; both only under a live permission. Three
// loops, as in client_to_peer.c: owner and bucket, candidate's line, rewrite. Owner worker.
#include "dataplane/stage/data_indication.h"
#include "dataplane/stage/header_fields.h"
#include "dataplane/stage/peer_side.h"
#include "lib/wire/channel_data.h"

struct peer_packet {
	struct peer_key key;
	uint64_t hash;
	uint32_t slot;
	uint8_t at;
};

// From the received checksum to the outgoing one. goes, comes: sums of what differs.
static uint32_t outgoing_checksum(struct worker *worker, const uint8_t *frame,
	const struct headers *h, unsigned family, uint64_t goes, uint64_t comes)
{
	uint16_t received;
	switch (datagram_checksum_kind(frame, h, &received)) {
	case DATAGRAM_PARTIAL:
		worker->stats.event[EVENT_checksum_completed]++;
		return DATAGRAM_COMPUTE;
	case DATAGRAM_ABSENT:
		return family == NET_IPV6 ? DATAGRAM_COMPUTE : 0;
	case DATAGRAM_WHOLE:
		break;
	}
	worker->stats.event[EVENT_checksum_incremental]++;
	uint16_t checksum = checksum_update(received, goes, comes);
	return checksum ? checksum : 0xFFFF;
}

static void count_relayed(struct worker *worker, unsigned bytes)
{
	worker->stats.event[EVENT_relayed_to_client_packets]++;
	worker->stats.event[EVENT_relayed_to_client_bytes] += bytes;
}

static void by_channel(struct pass *pass, unsigned at, struct session *s)
{
	struct worker *worker = pass->burst.worker;
	const struct headers *h = &pass->burst.headers[at];
	unsigned family = s->relay & SESSION_CLIENT_IPV6 ? NET_IPV6 : NET_IPV4;
	unsigned length = h->payload_length;
	struct relay_path path = {
		.packet =
			{
				.source = worker->addresses->listen[s->server & SERVER_INDEX_MASK]
						  .bytes,
				.destination = s->client,
				.source_port = peer_side_server_port(worker->addresses, s->server),
				.destination_port = s->client_port,
				.family = (uint8_t)family,
			},
		.cache = {&s->to_client, &s->to_peer, &s->hop_epoch},
		.payload_offset = h->payload_offset,
		.payload_length = (uint16_t)(length + CHANNEL_DATA_HEADER_LENGTH),
	};
	header_fields_set(&path.packet, h, path.payload_length);
	if (!relay_admit(pass, at, &path))
		return;
	uint64_t goes = 2u * datagram_be16(h->l4_length);
	uint64_t comes = 2u * datagram_be16(h->l4_length + CHANNEL_DATA_HEADER_LENGTH) +
			 datagram_be16(length) + (uint16_t)~s->delta;
	uint32_t checksum = outgoing_checksum(worker, pass_frame(pass, at), h, family, goes, comes);
	count_relayed(worker, length);
	struct rte_mbuf *mbuf = pass->burst.mbufs[at];
	uint16_t channel = s->channel;
	datagram_cut(mbuf, path.payload_offset, length);
	uint8_t *p = (uint8_t *)rte_pktmbuf_prepend(mbuf, CHANNEL_DATA_HEADER_LENGTH);
	if (p == NULL) {
		worker_drop(worker, mbuf, DROP_no_mbuf);
		return;
	}
	channel_data_write_header(p, channel, (uint16_t)length);
	relay_send(pass, mbuf, &path, checksum);
}

// Sums of the addresses, ports and lengths of one side.
static uint64_t side_sum(const uint8_t *source, const uint8_t *destination, unsigned family,
	unsigned source_port, unsigned destination_port, unsigned udp_length)
{
	return datagram_pseudo_sum(source, destination, family, udp_length) +
	       datagram_be16(source_port) + datagram_be16(destination_port) +
	       datagram_be16(udp_length);
}

static void by_indication(
	struct pass *pass, unsigned at, struct allocation *a, const struct peer_key *key)
{
	struct worker *worker = pass->burst.worker;
	struct mappings *m = worker->mappings;
	const struct headers *h = &pass->burst.headers[at];
	unsigned length = h->payload_length, padding = -length & 3;
	struct net_endpoint peer = {.address.family = key->family, .port = key->port};
	memcpy(peer.address.bytes, key->address, 16);
	uint8_t transaction[12], prefix[DATA_INDICATION_PREFIX_MAX];
	relay_transaction(m, transaction);
	unsigned prefix_length = data_indication_prefix(prefix, transaction, &peer, length);
	struct relay_path path = {
		.cache = {&a->to_client, NULL, &a->hop_epoch},
		.payload_offset = h->payload_offset,
		.payload_length = (uint16_t)(prefix_length + length + padding),
	};
	peer_side_to_client(worker, a, &path.packet);
	header_fields_set(&path.packet, h, path.payload_length);
	if (!relay_admit(pass, at, &path))
		return;
	const struct datagram *d = &path.packet;
	uint64_t goes = side_sum(h->source, h->destination, h->family, h->source_port,
		h->destination_port, h->l4_length);
	uint64_t comes = side_sum(d->source, d->destination, d->family, d->source_port,
				 d->destination_port, path.payload_length + HEADERS_UDP_LENGTH) +
			 checksum_sum(prefix, prefix_length);
	uint32_t checksum =
		outgoing_checksum(worker, pass_frame(pass, at), h, d->family, goes, comes);
	count_relayed(worker, length);
	struct rte_mbuf *mbuf = pass->burst.mbufs[at];
	datagram_cut(mbuf, path.payload_offset, length);
	uint8_t *tail = (uint8_t *)rte_pktmbuf_append(mbuf, (uint16_t)padding);
	uint8_t *p = tail ? (uint8_t *)rte_pktmbuf_prepend(mbuf, (uint16_t)prefix_length) : NULL;
	if (p == NULL) {
		worker_drop(worker, mbuf, DROP_no_mbuf);
		return;
	}
	memset(tail, 0, padding);
	memcpy(p, prefix, prefix_length);
	relay_send(pass, mbuf, &path, checksum);
}

static void forward(struct pass *pass, const struct peer_packet *packet)
{
	struct worker *worker = pass->burst.worker;
	struct mappings *m = worker->mappings;
	unsigned at = packet->at;
	const struct headers *h = &pass->burst.headers[at];
	// RFC 8200 8.1: over IPv6 there is no UDP without a checksum.
	if (h->family == NET_IPV6 && datagram_udp_checksum(pass_frame(pass, at), h) == 0) {
		pass_drop(pass, at, DROP_bad_checksum);
		return;
	}
	uint32_t index = mappings_find_peer(m, packet->hash, &packet->key);
	if (__builtin_expect(index != MAPPINGS_NONE, 1)) {
		struct session *s = &m->sessions[index];
		if (ticks_passed(s->permission_deadline, pass->tick)) {
			pass_drop(pass, at, DROP_no_permission);
			return;
		}
		if (!ticks_passed(s->deadline, pass->tick)) {
			by_channel(pass, at, s);
			return;
		}
	}
	struct allocation *a = peer_side_allocation(pass, at, packet->slot, packet->key.handle);
	if (a == NULL)
		return;
	if (!peer_side_permitted(m, packet->key.handle, h->source, h->family, pass->tick)) {
		pass_drop(pass, at, DROP_no_permission);
		return;
	}
	by_indication(pass, at, a, &packet->key);
}

void stage_peer_to_client(struct pass *pass, bool hand_off)
{
	struct mappings *m = pass->burst.worker->mappings;
	const struct pass_list *list = &pass->peer;
	struct peer_packet packets[BURST_MAX];
	unsigned count = 0;
	for (unsigned i = 0; i < list->count; i++) {
		unsigned at = list->at[i];
		const struct headers *h = &pass->burst.headers[at];
		struct peer_packet *packet = &packets[count];
		if (!peer_side_owner(pass, at, pass->own[at], h->destination_port, hand_off,
			    &packet->slot, &packet->key.handle))
			continue;
		packet->at = (uint8_t)at;
		mappings_copy_address(packet->key.address, h->source, h->family);
		packet->key.port = h->source_port;
		packet->key.family = h->family;
		packet->hash = peer_key_hash(m, &packet->key);
		flow_table_prefetch(&m->by_peer, packet->hash);
		count++;
	}
	for (unsigned i = 0; i < count; i++) {
		uint32_t first = flow_table_first(&m->by_peer, packets[i].hash);
		if (first != FLOW_TABLE_NONE)
			__builtin_prefetch(&m->sessions[first], 1);
	}
	for (unsigned i = 0; i < count; i++)
		forward(pass, &packets[i]);
}
