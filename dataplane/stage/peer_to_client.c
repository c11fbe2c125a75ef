// SPDX-License-Identifier: BSD-3-Clause
// What a peer sends to a relayed address (RFC 8656 11.3, 12.7): ChannelData when a live channel is
// bound to exactly that peer, else a Data indication; both only under a live permission. A bound
// peer costs one look-up: the session's key holds the relayed port, so whose port it is is asked
// only where there is no session. Owner worker.
#include "dataplane/stage/data_indication.h"
#include "dataplane/stage/header_fields.h"
#include "dataplane/stage/peer_side.h"
#include "dataplane/stage/relay_usual.h"
#include "lib/wire/channel_data.h"

// From the received checksum to the outgoing one. goes, comes: sums of what differs.
static uint32_t outgoing_checksum(struct worker *worker, const uint8_t *frame,
	const struct headers *h, unsigned family, uint64_t goes, uint64_t comes)
{
	uint16_t received;
	uint32_t instead;
	if (!relay_checksum_whole(worker, frame, h, family, &received, &instead))
		return instead;
	return relay_checksum_update(received, goes, comes);
}

static void count_relayed(struct worker *worker, unsigned bytes)
{
	worker->stats.event[EVENT_relayed_to_client_packets]++;
	worker->stats.event[EVENT_relayed_to_client_bytes] += bytes;
}

static inline void channel_checksum_parts(
	const struct session *s, const struct headers *h, uint64_t *goes, uint64_t *comes)
{
	*goes = 2u * datagram_be16(h->l4_length);
	*comes = 2u * datagram_be16(h->l4_length + CHANNEL_DATA_HEADER_LENGTH) +
		 datagram_be16(h->payload_length) + (uint16_t)~s->delta;
}

// family: the client's, a constant. The channel's header comes to lie over the end of the UDP
// header, of which nothing is needed once its checksum has been read.
static inline __attribute__((always_inline)) bool by_channel_usual(
	struct pass *pass, unsigned at, const struct session *s, unsigned family)
{
	const struct headers *h = &pass->burst.headers[at];
	const struct node_addresses *addresses = pass->burst.worker->addresses;
	uint8_t *frame = pass_frame(pass, at);
	unsigned length = h->payload_length;
	struct relay_usual u;
	u.source = addresses->listen[s->server & SERVER_INDEX_MASK].bytes;
	u.destination = s->client;
	u.source_port = peer_side_server_port(addresses, s->server);
	u.destination_port = s->client_port;
	u.hop = s->to_client;
	u.epoch = s->hop_epoch;
	u.ours = false;
	u.offset = h->payload_offset - (unsigned)CHANNEL_DATA_HEADER_LENGTH;
	u.length = length + CHANNEL_DATA_HEADER_LENGTH;
	channel_checksum_parts(s, h, &u.goes, &u.comes);
	if (__builtin_expect(!relay_usual(pass, at, family, &u), 0))
		return false;
	relay_store32(frame + u.offset, datagram_be16(s->channel) | (uint32_t)datagram_be16(length)
									    << 16);
	return true;
}

// A function of its own, so that IPv4's body has the loop for itself.
static __attribute__((noinline)) bool by_channel_usual_ipv6(
	struct pass *pass, unsigned at, const struct session *s)
{
	return by_channel_usual(pass, at, s, NET_IPV6);
}

static __attribute__((noinline)) void by_channel_unusual(
	struct pass *pass, unsigned at, struct session *s)
{
	struct worker *worker = pass->burst.worker;
	const struct headers *h = &pass->burst.headers[at];
	unsigned length = h->payload_length;
	struct relay_path path = {
		.packet =
			{
				.source = worker->addresses->listen[s->server & SERVER_INDEX_MASK]
						  .bytes,
				.destination = s->client,
				.source_port = peer_side_server_port(worker->addresses, s->server),
				.destination_port = s->client_port,
				.family = s->relay & SESSION_CLIENT_IPV6 ? NET_IPV6 : NET_IPV4,
			},
		.cache = {&s->to_client, &s->to_peer, &s->hop_epoch},
		.payload_offset = (uint16_t)(h->payload_offset - CHANNEL_DATA_HEADER_LENGTH),
		.payload_length = (uint16_t)(length + CHANNEL_DATA_HEADER_LENGTH),
	};
	header_fields_set(&path.packet, h, path.payload_length);
	if (!relay_admit(pass, at, &path))
		return;
	uint64_t goes, comes;
	uint8_t *frame = pass_frame(pass, at);
	channel_checksum_parts(s, h, &goes, &comes);
	uint32_t checksum = outgoing_checksum(worker, frame, h, path.packet.family, goes, comes);
	count_relayed(worker, length);
	channel_data_write_header(frame + path.payload_offset, s->channel, (uint16_t)length);
	relay_send(pass, pass->burst.mbufs[at], &path, checksum);
}

// Sums of the addresses, ports and lengths of one side.
static uint64_t side_sum(const uint8_t *source, const uint8_t *destination, unsigned family,
	unsigned source_port, unsigned destination_port, unsigned udp_length)
{
	return datagram_pseudo_sum(source, destination, family, udp_length) +
	       datagram_be16(source_port) + datagram_be16(destination_port) +
	       datagram_be16(udp_length);
}

// The indication's head comes before the data, padding behind it. False: no room in the buffer.
static bool enclose(struct rte_mbuf *mbuf, struct relay_path *path, const uint8_t *prefix,
	unsigned prefix_length, unsigned length, unsigned padding)
{
	unsigned start = mbuf->data_off + (unsigned)path->payload_offset;
	if (start < prefix_length || start + length + padding > mbuf->buf_len)
		return false;
	uint8_t *data = (uint8_t *)mbuf->buf_addr + start;
	memset(data + length, 0, padding);
	memcpy(data - prefix_length, prefix, prefix_length);
	// The data of the mbuf may begin behind where the head does.
	if (path->payload_offset < prefix_length) {
		unsigned missing = prefix_length - path->payload_offset;
		mbuf->data_off = (uint16_t)(mbuf->data_off - missing);
		path->payload_offset = (uint16_t)(path->payload_offset + missing);
	}
	path->payload_offset = (uint16_t)(path->payload_offset - prefix_length);
	return true;
}

static void by_indication(struct pass *pass, unsigned at, struct allocation *a)
{
	struct worker *worker = pass->burst.worker;
	struct mappings *m = worker->mappings;
	const struct headers *h = &pass->burst.headers[at];
	unsigned length = h->payload_length, padding = -length & 3;
	struct net_endpoint peer = {.port = h->source_port};
	peer.address =
		h->family == NET_IPV4 ? net_address_v4(h->source) : net_address_v6(h->source);
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
	if (enclose(mbuf, &path, prefix, prefix_length, length, padding))
		relay_send(pass, mbuf, &path, checksum);
	else
		worker_drop(worker, mbuf, DROP_no_mbuf);
}

// No live channel: whose port is it, and may this peer send to it?
static void without_channel(struct pass *pass, unsigned at, bool hand_off)
{
	const struct headers *h = &pass->burst.headers[at];
	uint32_t slot, handle;
	if (!peer_side_owner(
		    pass, at, pass->own[at], h->destination_port, hand_off, &slot, &handle))
		return;
	struct allocation *a = peer_side_allocation(pass, at, slot, handle);
	if (a == NULL)
		return;
	if (!peer_side_permitted(
		    pass->burst.worker->mappings, handle, h->source, h->family, pass->tick))
		pass_drop(pass, at, DROP_no_permission);
	else
		by_indication(pass, at, a);
}

static inline __attribute__((always_inline)) void forward(
	struct pass *pass, unsigned at, uint32_t index, bool hand_off, struct relay_tally *tally)
{
	struct mappings *m = pass->burst.worker->mappings;
	const struct headers *h = &pass->burst.headers[at];
	// RFC 8200 8.1: over IPv6 there is no UDP without a checksum.
	if (h->family == NET_IPV6 && datagram_udp_checksum(pass_frame(pass, at), h) == 0) {
		pass_drop(pass, at, DROP_bad_checksum);
		return;
	}
	struct session *s = &m->sessions[index];
	if (__builtin_expect(index == MAPPINGS_NONE || ticks_passed(s->deadline, pass->tick), 0)) {
		without_channel(pass, at, hand_off);
		return;
	}
	if (ticks_passed(s->permission_deadline, pass->tick)) {
		pass_drop(pass, at, DROP_no_permission);
		return;
	}
	bool usual = __builtin_expect(s->relay & SESSION_CLIENT_IPV6, 0)
			     ? by_channel_usual_ipv6(pass, at, s)
			     : by_channel_usual(pass, at, s, NET_IPV4);
	if (__builtin_expect(usual, 1)) {
		tally->packets++;
		tally->bytes += h->payload_length;
	} else {
		by_channel_unusual(pass, at, s);
	}
}

void stage_peer_to_client(struct pass *pass, bool hand_off)
{
	struct worker *worker = pass->burst.worker;
	const struct pass_list *list = &pass->flow[PASS_PEER];
	const uint32_t *indices = pass->session[PASS_PEER];
	struct relay_tally tally = {0};
	for (unsigned i = 0; i < list->count; i++)
		forward(pass, list->at[i], indices[i], hand_off, &tally);
	relay_count(worker, &tally, EVENT_relayed_to_client_packets, EVENT_relayed_to_client_bytes);
}
