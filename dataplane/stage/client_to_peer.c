// SPDX-License-Identifier: BSD-3-Clause
// ChannelData from a client to its peer (RFC 8656 12.6): the fast path. Keys of the burst, their
// sessions (table/lookup.h), then each packet's rewrite. Owner worker.
#include "dataplane/stage/header_fields.h"
#include "dataplane/stage/relay.h"
#include "dataplane/stage/transmit.h"
#include "dataplane/table/lookup.h"
#include "lib/wire/channel_data.h"

// The outgoing checksum from the received one: the channel's constant part, the lengths, and the
// padding that does not travel on.
static inline uint32_t outgoing_checksum(const struct session *s, const uint8_t *frame,
	const struct headers *h, const struct channel_data *data, unsigned family,
	struct relay_tally *tally)
{
	uint16_t received;
	switch (datagram_checksum_kind(frame, h, &received)) {
	case DATAGRAM_PARTIAL:
		tally->completed++;
		return DATAGRAM_COMPUTE;
	case DATAGRAM_ABSENT:
		// The sender asked for none and IPv4 allows that; IPv6 does not (RFC 8200 8.1).
		return family == NET_IPV6 ? DATAGRAM_COMPUTE : 0;
	case DATAGRAM_WHOLE:
		break;
	}
	tally->incremental++;
	unsigned padding =
		(unsigned)(h->payload_length - CHANNEL_DATA_HEADER_LENGTH - data->length);
	uint64_t goes = 2u * datagram_be16(h->l4_length) + datagram_be16(data->length);
	if (__builtin_expect(padding != 0, 0))
		goes += relay_tail_sum(data->payload + data->length, padding, data->length);
	uint64_t comes = 2u * datagram_be16(data->length + HEADERS_UDP_LENGTH) + s->delta;
	uint16_t checksum = checksum_update(received, goes, comes);
	return checksum ? checksum : 0xFFFF;
}

// family: the peer's, a constant, so that there are two bodies without questions.
static inline __attribute__((always_inline)) void forward(struct pass *pass, unsigned at,
	struct session *s, unsigned family, struct relay_tally *tally)
{
	struct worker *worker = pass->burst.worker;
	const struct headers *h = &pass->burst.headers[at];
	const uint8_t *frame = pass_frame(pass, at);
	struct channel_data data;
	if (channel_data_parse(frame + h->payload_offset, h->payload_length,
		    worker->addresses->channel_last, &data) < 0) {
		pass_drop(pass, at, DROP_channel_malformed);
		return;
	}
	if (ticks_passed(s->deadline, pass->tick)) {
		pass_drop(pass, at, DROP_allocation_expired);
		return;
	}
	struct relay_path path = {
		.packet =
			{
				.source = worker->addresses->listen[s->relay & SESSION_RELAY_MASK]
						  .bytes,
				.destination = s->peer,
				.source_port = s->relayed_port,
				.destination_port = s->peer_port,
				.family = (uint8_t)family,
			},
		.cache = {&s->to_peer, &s->to_client, &s->hop_epoch},
		.ours = s->relay & SESSION_PEER_OURS,
		.payload_offset = (uint16_t)(h->payload_offset + CHANNEL_DATA_HEADER_LENGTH),
		.payload_length = data.length,
	};
	header_fields_set(&path.packet, h, data.length);
	if (!relay_admit(pass, at, &path))
		return;
	uint32_t checksum = outgoing_checksum(s, frame, h, &data, family, tally);
	tally->packets++;
	tally->bytes += data.length;
	relay_send(pass, pass->burst.mbufs[at], &path, checksum);
}

void stage_client_to_peer(struct pass *pass)
{
	struct worker *worker = pass->burst.worker;
	struct mappings *m = worker->mappings;
	const struct pass_list *list = &pass->channel_data;
	const unsigned count = list->count;
	struct client_key keys[BURST_MAX];
	uint32_t indices[BURST_MAX];
	struct relay_tally tally = {0};
	if (list->count == 0)
		return;
	for (unsigned i = 0; i < count; i++) {
		unsigned at = list->at[i];
		const struct headers *h = &pass->burst.headers[at];
		uint16_t channel;
		memcpy(&channel, pass_frame(pass, at) + h->payload_offset, 2);
		client_key_set(&keys[i], h->source, h->family, h->source_port,
			__builtin_bswap16(channel), pass->server[at]);
	}
	mappings_find_channels(m, keys, count, indices);
	for (unsigned i = 0; i < count; i++) {
		struct session *s = &m->sessions[indices[i]];
		if (__builtin_expect(indices[i] == MAPPINGS_NONE, 0))
			relay_no_channel(pass, list->at[i]);
		else if (s->relay & SESSION_PEER_IPV6)
			forward(pass, list->at[i], s, NET_IPV6, &tally);
		else
			forward(pass, list->at[i], s, NET_IPV4, &tally);
	}
	relay_count(worker, &tally, EVENT_relayed_to_peer_packets, EVENT_relayed_to_peer_bytes);
}
