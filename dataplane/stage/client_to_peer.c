// SPDX-License-Identifier: BSD-3-Clause
// ChannelData from a client to its peer (RFC 8656 12.6): the fast path. Sessions are
// stage_look_up's. Owner worker.
#include "dataplane/stage/relay.h"
#include "dataplane/stage/relay_usual.h"
#include "dataplane/stage/transmit.h"
#include "lib/wire/channel_data.h"

// What goes and what comes under the checksum: the channel's constant part, the lengths, and the
// padding that does not travel on.
static inline void checksum_parts(const struct session *s, const struct headers *h,
	const struct channel_data *data, uint64_t *goes, uint64_t *comes)
{
	unsigned padding =
		(unsigned)(h->payload_length - CHANNEL_DATA_HEADER_LENGTH - data->length);
	*goes = 2u * datagram_be16(h->l4_length) + datagram_be16(data->length);
	if (__builtin_expect(padding != 0, 0))
		*goes += relay_tail_sum(data->payload + data->length, padding, data->length);
	*comes = 2u * datagram_be16(data->length + HEADERS_UDP_LENGTH) + s->delta;
}

// family: the peer's, a constant.
static inline __attribute__((always_inline)) bool forward_usual(struct pass *pass, unsigned at,
	const struct session *s, const struct channel_data *data, unsigned family)
{
	const struct headers *h = &pass->burst.headers[at];
	const struct node_addresses *addresses = pass->burst.worker->addresses;
	struct relay_usual u;
	u.source = addresses->listen[s->relay & SESSION_RELAY_MASK].bytes;
	u.destination = s->peer;
	u.source_port = s->relayed_port;
	u.destination_port = s->peer_port;
	u.hop = s->to_peer;
	u.epoch = s->hop_epoch;
	u.ours = s->relay & SESSION_PEER_OURS;
	u.offset = h->payload_offset + (unsigned)CHANNEL_DATA_HEADER_LENGTH;
	u.length = data->length;
	checksum_parts(s, h, data, &u.goes, &u.comes);
	return relay_usual(pass, at, family, &u);
}

// A function of its own, so that IPv4's body has the loop for itself.
static __attribute__((noinline)) bool forward_usual_ipv6(
	struct pass *pass, unsigned at, const struct session *s, struct channel_data data)
{
	return forward_usual(pass, at, s, &data, NET_IPV6);
}

static uint32_t outgoing_checksum(const struct session *s, const uint8_t *frame,
	const struct headers *h, const struct channel_data *data, struct worker *worker)
{
	uint64_t goes, comes;
	uint16_t received;
	uint32_t instead;
	if (!relay_checksum_whole(worker, frame, h,
		    s->relay & SESSION_PEER_IPV6 ? NET_IPV6 : NET_IPV4, &received, &instead))
		return instead;
	checksum_parts(s, h, data, &goes, &comes);
	return relay_checksum_update(received, goes, comes);
}

static __attribute__((noinline)) void forward_unusual(
	struct pass *pass, unsigned at, struct session *s, const struct channel_data *data)
{
	struct worker *worker = pass->burst.worker;
	const struct headers *h = &pass->burst.headers[at];
	struct relay_path path = {
		.packet =
			{
				.source = worker->addresses->listen[s->relay & SESSION_RELAY_MASK]
						  .bytes,
				.destination = s->peer,
				.source_port = s->relayed_port,
				.destination_port = s->peer_port,
				.family = s->relay & SESSION_PEER_IPV6 ? NET_IPV6 : NET_IPV4,
			},
		.cache = {&s->to_peer, &s->to_client, &s->hop_epoch},
		.ours = s->relay & SESSION_PEER_OURS,
		.payload_offset = (uint16_t)(h->payload_offset + CHANNEL_DATA_HEADER_LENGTH),
		.payload_length = data->length,
	};
	header_fields_set(&path.packet, h, data->length);
	if (!relay_admit(pass, at, &path))
		return;
	uint32_t checksum = outgoing_checksum(s, pass_frame(pass, at), h, data, worker);
	worker->stats.event[EVENT_relayed_to_peer_packets]++;
	worker->stats.event[EVENT_relayed_to_peer_bytes] += data->length;
	relay_send(pass, pass->burst.mbufs[at], &path, checksum);
}

static inline __attribute__((always_inline)) void forward(
	struct pass *pass, unsigned at, struct session *s, struct relay_tally *tally)
{
	const struct headers *h = &pass->burst.headers[at];
	struct channel_data data;
	if (channel_data_parse(pass_frame(pass, at) + h->payload_offset, h->payload_length,
		    pass->burst.worker->addresses->channel_last, &data) < 0) {
		pass_drop(pass, at, DROP_channel_malformed);
		return;
	}
	if (ticks_passed(s->deadline, pass->tick)) {
		pass_drop(pass, at, DROP_allocation_expired);
		return;
	}
	bool usual = __builtin_expect(s->relay & SESSION_PEER_IPV6, 0)
			     ? forward_usual_ipv6(pass, at, s, data)
			     : forward_usual(pass, at, s, &data, NET_IPV4);
	if (__builtin_expect(usual, 1)) {
		tally->packets++;
		tally->bytes += data.length;
	} else {
		struct channel_data copy = {data.channel, data.length, data.payload};
		forward_unusual(pass, at, s, &copy);
	}
}

void stage_client_to_peer(struct pass *pass)
{
	struct worker *worker = pass->burst.worker;
	struct mappings *m = worker->mappings;
	const struct pass_list *list = &pass->flow[PASS_CHANNEL_DATA];
	const unsigned count = list->count;
	const uint32_t *indices = pass->session[PASS_CHANNEL_DATA];
	struct relay_tally tally = {0};
	for (unsigned i = 0; i < count; i++) {
		if (__builtin_expect(indices[i] != MAPPINGS_NONE, 1))
			forward(pass, list->at[i], &m->sessions[indices[i]], &tally);
		else
			relay_no_channel(pass, list->at[i]);
	}
	relay_count(worker, &tally, EVENT_relayed_to_peer_packets, EVENT_relayed_to_peer_bytes);
}
