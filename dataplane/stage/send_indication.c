// SPDX-License-Identifier: BSD-3-Clause
// Send indications (RFC 8656 11.2): DATA to XOR-PEER-ADDRESS, under a permission. An indication is
// never answered; whatever is wrong with it, it is dropped. Owner worker.
#include "dataplane/stage/elsewhere.h"
#include "dataplane/stage/header_fields.h"
#include "dataplane/stage/relay.h"
#include "lib/wire/stun.h"

struct send_parts {
	struct net_endpoint peer;
	const uint8_t *data;
	uint16_t length;
	bool dont_fragment;
};

static bool parse(const uint8_t *payload, size_t length, struct send_parts *out)
{
	static const uint16_t known[] = {
		STUN_XOR_PEER_ADDRESS, STUN_DATA_ATTRIBUTE, STUN_DONT_FRAGMENT};
	struct stun_message message;
	struct stun_attribute attribute;
	uint16_t unknown;
	if (stun_parse(payload, length, &message) < 0)
		return false;
	// RFC 8489 6.3.2: an indication with what we must but do not understand is dropped.
	if (stun_unknown_attributes(&message, known, RTE_DIM(known), &unknown, 1) > 0)
		return false;
	if (!stun_find(&message, STUN_XOR_PEER_ADDRESS, &attribute) ||
		stun_read_xor_address(&message, &attribute, &out->peer) < 0 || out->peer.port == 0)
		return false;
	out->dont_fragment = stun_find(&message, STUN_DONT_FRAGMENT, &attribute);
	if (!stun_find(&message, STUN_DATA_ATTRIBUTE, &attribute))
		return false;
	out->data = attribute.value;
	out->length = attribute.length;
	return true;
}

// Everything but the application's bytes goes: headers, attributes before and after, padding.
static uint32_t outgoing_checksum(struct worker *worker, const uint8_t *frame,
	const struct headers *h, const struct send_parts *parts, const struct datagram *d)
{
	uint16_t received;
	uint32_t instead;
	if (!relay_checksum_whole(worker, frame, h, d->family, &received, &instead))
		return instead;
	const uint8_t *payload = frame + h->payload_offset;
	unsigned before = (unsigned)(parts->data - payload);
	unsigned end = before + parts->length;
	// An odd end swaps the bytes of what follows (RFC 1071 2(B)).
	uint16_t after = checksum_fold(checksum_sum(payload + end, h->payload_length - end));
	if (end & 1)
		after = __builtin_bswap16(after);
	unsigned udp_length = parts->length + HEADERS_UDP_LENGTH;
	uint64_t goes = datagram_pseudo_sum(h->source, h->destination, h->family, h->l4_length) +
			datagram_be16(h->source_port) + datagram_be16(h->destination_port) +
			datagram_be16(h->l4_length) + checksum_sum(payload, before) + after;
	uint64_t comes = datagram_pseudo_sum(d->source, d->destination, d->family, udp_length) +
			 datagram_be16(d->source_port) + datagram_be16(d->destination_port) +
			 datagram_be16(udp_length);
	return relay_checksum_update(received, goes, comes);
}

static void forward(struct pass *pass, unsigned at, struct allocation *a, uint32_t slot)
{
	struct worker *worker = pass->burst.worker;
	struct mappings *m = worker->mappings;
	const struct headers *h = &pass->burst.headers[at];
	const uint8_t *frame = pass_frame(pass, at);
	struct send_parts parts;
	if (ticks_passed(a->deadline, pass->tick)) {
		pass_drop(pass, at, DROP_allocation_expired);
		return;
	}
	if (!parse(frame + h->payload_offset, h->payload_length, &parts)) {
		pass_drop(pass, at, DROP_send_malformed);
		return;
	}
	unsigned side = parts.peer.address.family == NET_IPV6;
	if (a->relayed_port[side] == 0) {
		pass_drop(pass, at, DROP_send_peer_family);
		return;
	}
	struct permission_key key;
	permission_key_set(&key, parts.peer.address.bytes, parts.peer.address.family,
		mappings_handle(slot, a->generation));
	uint32_t index = mappings_find_permission(m, permission_key_hash(m, &key), &key);
	if (index == MAPPINGS_NONE || !permission_lives(m, index, pass->tick)) {
		pass_drop(pass, at, DROP_no_permission);
		return;
	}
	struct permission *permission = &m->permissions[index];
	struct relay_path path = {
		.packet =
			{
				.source = worker->addresses->listen[a->relayed_index[side]].bytes,
				.destination = permission->peer,
				.source_port = a->relayed_port[side],
				.destination_port = parts.peer.port,
				.family = parts.peer.address.family,
			},
		.cache = {&permission->to_peer, NULL, &permission->hop_epoch},
		.ours = permission->peer_ours,
		.payload_offset = (uint16_t)(parts.data - frame),
		.payload_length = parts.length,
	};
	header_fields_set(&path.packet, h, parts.length);
	// RFC 8656 section 14; where a translation takes place the attribute is ignored (13).
	if (parts.dont_fragment && h->family == NET_IPV4)
		path.packet.dont_fragment = true;
	if (!relay_admit(pass, at, &path))
		return;
	uint32_t checksum = outgoing_checksum(worker, frame, h, &parts, &path.packet);
	worker->stats.event[EVENT_relayed_to_peer_packets]++;
	worker->stats.event[EVENT_relayed_to_peer_bytes] += parts.length;
	relay_send(pass, pass->burst.mbufs[at], &path, checksum);
}

void stage_send_indication(struct pass *pass)
{
	struct mappings *m = pass->burst.worker->mappings;
	const struct pass_list *list = &pass->send;
	const unsigned count = list->count;
	struct client_key keys[BURST_MAX];
	uint64_t hashes[BURST_MAX];
	for (unsigned i = 0; i < count; i++) {
		const struct headers *h = &pass->burst.headers[list->at[i]];
		client_key_set(&keys[i], h->source, h->family, h->source_port, 0,
			pass->server[list->at[i]]);
		hashes[i] = client_key_hash(m, &keys[i]);
		flow_table_prefetch(&m->by_client, hashes[i]);
	}
	for (unsigned i = 0; i < count; i++) {
		unsigned at = list->at[i];
		uint32_t slot = mappings_find_client(m, hashes[i], &keys[i]);
		if (slot != MAPPINGS_NONE)
			forward(pass, at, &m->allocations[slot], slot);
		else if (!elsewhere_hand_off(pass, at))
			pass_drop(pass, at, DROP_no_allocation);
	}
}
