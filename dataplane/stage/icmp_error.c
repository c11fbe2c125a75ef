// SPDX-License-Identifier: BSD-3-Clause
// ICMP errors about datagrams that left from a relayed address: a Data indication with ICMP to the
// client (RFC 8656 11.5). The router that sent the error needs no permission; the peer that the
// quoted datagram was sent to does. Owner worker.
#include "dataplane/stage/data_indication.h"
#include "dataplane/stage/kernel.h"
#include "dataplane/stage/peer_side.h"
#include "dataplane/table/own_addresses.h"
#include "lib/net/cursor.h"

enum {
	ICMP_HEADER = 8,
	PROTOCOL_UDP = 17,
	PROTOCOL_ICMPV6 = 58,
};

// The datagram that an error quotes, as far as routers must quote it: IP header and 8 bytes.
struct quoted {
	const uint8_t *source, *destination; // 4 or 16 bytes
	uint16_t source_port, destination_port;
	uint8_t type, code;
	uint32_t error_data;
};

static bool ports_read(struct cursor *c, struct quoted *out)
{
	uint32_t rest;
	return cursor_u16(c, &out->source_port) && cursor_u16(c, &out->destination_port) &&
	       cursor_u32(c, &rest);
}

static bool quoted_ipv4(struct cursor *c, struct quoted *out)
{
	const uint8_t *ip = cursor_take(c, HEADERS_IPV4_LENGTH);
	if (ip == NULL || ip[0] >> 4 != 4 || (ip[0] & 15) < 5 || ip[9] != PROTOCOL_UDP)
		return false;
	if (cursor_take(c, (ip[0] & 15u) * 4 - HEADERS_IPV4_LENGTH) == NULL)
		return false;
	// Ports are in the first fragment only.
	if ((ip[6] & 0x1F) | ip[7])
		return false;
	out->source = ip + 12;
	out->destination = ip + 16;
	return ports_read(c, out);
}

static bool quoted_ipv6(struct cursor *c, struct quoted *out)
{
	const uint8_t *ip = cursor_take(c, HEADERS_IPV6_LENGTH);
	// What we send has no extension headers.
	if (ip == NULL || ip[0] >> 4 != 6 || ip[6] != PROTOCOL_UDP)
		return false;
	out->source = ip + 8;
	out->destination = ip + 24;
	return ports_read(c, out);
}

static bool quoted_parse(const uint8_t *frame, const struct headers *h, struct quoted *out)
{
	struct cursor c = cursor_make(frame + h->l4_offset, h->l4_length);
	const uint8_t *icmp = cursor_take(&c, ICMP_HEADER);
	if (icmp == NULL)
		return false;
	*out = (struct quoted){.type = icmp[0], .code = icmp[1]};
	uint32_t word = (uint32_t)icmp[4] << 24 | (uint32_t)icmp[5] << 16 | (uint32_t)icmp[6] << 8 |
			icmp[7];
	if (h->family == NET_IPV4) {
		// RFC 8656 11.5: only unreachable and time exceeded.
		if (out->type != 3 && out->type != 11)
			return false;
		// RFC 1191: the MTU is the low half.
		out->error_data = out->type == 3 && out->code == 4 ? word & 0xFFFF : 0;
		return quoted_ipv4(&c, out);
	}
	if (out->type < 1 || out->type > 3)
		return false;
	out->error_data = out->type == 2 ? word : 0;
	return quoted_ipv6(&c, out);
}

static bool checksum_right(const uint8_t *frame, const struct headers *h)
{
	uint64_t sum = checksum_sum(frame + h->l4_offset, h->l4_length);
	if (h->family == NET_IPV6)
		sum += checksum_sum(h->source, 16) + checksum_sum(h->destination, 16) +
		       datagram_be16(PROTOCOL_ICMPV6) + datagram_be16(h->l4_length);
	return checksum_fold(sum) == 0xFFFF;
}

static void indicate(struct pass *pass, unsigned at, struct allocation *a, const struct quoted *q)
{
	struct worker *worker = pass->burst.worker;
	const struct headers *h = &pass->burst.headers[at];
	struct net_endpoint peer = {.port = q->destination_port};
	peer.address = h->family == NET_IPV4 ? net_address_v4(q->destination)
					     : net_address_v6(q->destination);
	uint8_t transaction[12], message[DATA_INDICATION_ICMP_MAX];
	relay_transaction(worker->mappings, transaction);
	unsigned length =
		data_indication_icmp(message, transaction, &peer, q->type, q->code, q->error_data);
	struct relay_path path = {
		.packet = {.ttl = DATAGRAM_TTL},
		.cache = {&a->to_client, NULL, &a->hop_epoch},
		.payload_length = (uint16_t)length,
		.begins_here = true,
	};
	peer_side_to_client(worker, a, &path.packet);
	if (!relay_admit(pass, at, &path))
		return;
	// An error quotes at least 28 bytes behind its header, but may be shorter than this
	// message.
	struct rte_mbuf *mbuf = pass->burst.mbufs[at];
	datagram_cut(mbuf, 0, 0);
	uint8_t *p = (uint8_t *)rte_pktmbuf_append(mbuf, (uint16_t)length);
	if (p == NULL) {
		worker_drop(worker, mbuf, DROP_no_mbuf);
		return;
	}
	memcpy(p, message, length);
	worker->stats.event[EVENT_icmp_relayed]++;
	relay_send(pass, mbuf, &path, DATAGRAM_COMPUTE);
}

void stage_icmp_error(struct pass *pass, bool hand_off)
{
	struct worker *worker = pass->burst.worker;
	for (unsigned i = 0; i < pass->icmp.count; i++) {
		unsigned at = pass->icmp.at[i];
		const struct headers *h = &pass->burst.headers[at];
		const uint8_t *frame = pass_frame(pass, at);
		struct quoted q;
		unsigned own = OWN_ADDRESS_NONE;
		if (quoted_parse(frame, h, &q))
			own = own_address_find(worker->addresses, h->family, q.source);
		if (own == OWN_ADDRESS_NONE ||
			!relay_ports_contains(worker->relay_ports, own, q.source_port)) {
			kernel_or_drop(pass, at, DROP_icmp_unmatched);
			continue;
		}
		if (!checksum_right(frame, h)) {
			pass_drop(pass, at, DROP_bad_checksum);
			continue;
		}
		uint32_t slot, handle;
		if (!peer_side_owner(pass, at, own, q.source_port, hand_off, &slot, &handle))
			continue;
		struct allocation *a = peer_side_allocation(pass, at, slot, handle);
		if (a == NULL)
			continue;
		if (!peer_side_permitted(
			    worker->mappings, handle, q.destination, h->family, pass->tick)) {
			pass_drop(pass, at, DROP_no_permission);
			continue;
		}
		indicate(pass, at, a, &q);
	}
}
