// SPDX-License-Identifier: BSD-3-Clause
// ChannelData from a client to its peer (RFC 8656 12.6): the fast path. Three loops over the burst,
// so that the cache misses of different packets overlap: hash and bucket, candidate's session line,
// rewrite. Owner worker.
#include "dataplane/stage/header_fields.h"
#include "dataplane/stage/relay.h"
#include "dataplane/stage/transmit.h"
#include "lib/wire/channel_data.h"

static void channel_key(const struct pass *pass, unsigned at, struct client_key *key)
{
	const struct headers *h = &pass->burst.headers[at];
	const uint8_t *payload = pass_frame(pass, at) + h->payload_offset;
	mappings_copy_address(key->address, h->source, h->family);
	key->port = h->source_port;
	key->channel = (uint16_t)(payload[0] << 8 | payload[1]);
	key->server = pass->server[at];
	key->family = h->family;
}

// The outgoing checksum from the received one: the channel's constant part, the lengths, and the
// padding that does not travel on.
static uint32_t outgoing_checksum(const struct session *s, const uint8_t *frame,
	const struct headers *h, const struct channel_data *data, struct worker *worker)
{
	uint16_t received;
	switch (datagram_checksum_kind(frame, h, &received)) {
	case DATAGRAM_PARTIAL:
		worker->stats.event[EVENT_checksum_completed]++;
		return DATAGRAM_COMPUTE;
	case DATAGRAM_ABSENT:
		// The sender asked for none and IPv4 allows that; IPv6 does not (RFC 8200 8.1).
		return s->relay & SESSION_PEER_IPV6 ? DATAGRAM_COMPUTE : 0;
	case DATAGRAM_WHOLE:
		break;
	}
	worker->stats.event[EVENT_checksum_incremental]++;
	unsigned padding =
		(unsigned)(h->payload_length - CHANNEL_DATA_HEADER_LENGTH - data->length);
	uint64_t goes = 2u * datagram_be16(h->l4_length) + datagram_be16(data->length) +
			relay_tail_sum(data->payload + data->length, padding, data->length);
	uint64_t comes = 2u * datagram_be16(data->length + HEADERS_UDP_LENGTH) + s->delta;
	uint16_t checksum = checksum_update(received, goes, comes);
	return checksum ? checksum : 0xFFFF;
}

static void forward(struct pass *pass, unsigned at, struct session *s)
{
	struct worker *worker = pass->burst.worker;
	struct rte_mbuf *mbuf = pass->burst.mbufs[at];
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
	unsigned family = s->relay & SESSION_PEER_IPV6 ? NET_IPV6 : NET_IPV4;
	struct relay_path path = {
		.packet =
			{
				.source = worker->addresses->listen[s->relay & SERVER_INDEX_MASK]
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
	uint32_t checksum = outgoing_checksum(s, frame, h, &data, worker);
	worker->stats.event[EVENT_relayed_to_peer_packets]++;
	worker->stats.event[EVENT_relayed_to_peer_bytes] += data.length;
	datagram_cut(mbuf, path.payload_offset, data.length);
	relay_send(pass, mbuf, &path, checksum);
}

void stage_client_to_peer(struct pass *pass)
{
	struct mappings *m = pass->burst.worker->mappings;
	const struct pass_list *list = &pass->channel_data;
	const unsigned count = list->count;
	struct client_key keys[BURST_MAX];
	uint64_t hashes[BURST_MAX];
	for (unsigned i = 0; i < count; i++) {
		channel_key(pass, list->at[i], &keys[i]);
		hashes[i] = client_key_hash(m, &keys[i]);
		flow_table_prefetch(&m->by_channel, hashes[i]);
	}
	for (unsigned i = 0; i < count; i++) {
		uint32_t first = flow_table_first(&m->by_channel, hashes[i]);
		if (first != FLOW_TABLE_NONE)
			__builtin_prefetch(&m->sessions[first], 1);
	}
	for (unsigned i = 0; i < count; i++) {
		uint32_t index = mappings_find_channel(m, hashes[i], &keys[i]);
		if (__builtin_expect(index != MAPPINGS_NONE, 1))
			forward(pass, list->at[i], &m->sessions[index]);
		else
			relay_no_channel(pass, list->at[i], &keys[i]);
	}
}
