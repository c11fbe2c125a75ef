// SPDX-License-Identifier: BSD-3-Clause
// Admission and sending of relayed datagrams, see relay.h. Owner worker.
#include "dataplane/stage/relay.h"

#include "dataplane/stage/icmp_reply.h"

uint32_t relay_flow(const struct mappings *m, const struct datagram *packet)
{
	uint64_t words[5] = {0};
	size_t length = datagram_address_length(packet->family);
	memcpy(words, packet->source, length);
	memcpy(words + 2, packet->destination, length);
	words[4] = (uint64_t)packet->source_port | (uint64_t)packet->destination_port << 16;
	return (uint32_t)keyed_hash(&m->key, words, 5);
}

void relay_transaction(struct mappings *m, uint8_t out[static 12])
{
	uint64_t words[2] = {++m->transactions, 0}, a, b;
	a = keyed_hash(&m->transaction_key, words, 2);
	words[1] = 1;
	b = keyed_hash(&m->transaction_key, words, 2);
	memcpy(out, &a, 8);
	memcpy(out + 8, &b, 4);
}

// RFC 6864: unique per address pair while fragments live. An odd multiple of a counter visits all
// 65536 values before one comes back, and does not show how much is relayed as a counter would.
uint16_t relay_identification(struct mappings *m)
{
	return (uint16_t)(++m->ipv4_identification * 0x9E37u);
}

bool relay_admit(struct pass *pass, unsigned at, struct relay_path *path)
{
	struct worker *worker = pass->burst.worker;
	const struct headers *h = &pass->burst.headers[at];
	struct datagram *packet = &path->packet;
	if (__builtin_expect(h->ttl <= 1 && !path->begins_here, 0)) {
		icmp_reply_send(pass, at, ICMP_REPLY_HOP_LIMIT, 0);
		pass_drop(pass, at, DROP_hop_limit);
		return false;
	}
	unsigned ip_length = HEADERS_IPV4_LENGTH;
	if (packet->family == NET_IPV6) {
		ip_length = HEADERS_IPV6_LENGTH;
		path->flow = relay_flow(worker->mappings, packet);
		packet->flow_label = path->flow & 0xFFFFF;
	} else {
		// For equal-cost routes; only looked at when the next hop is not cached.
		path->flow = ((uint32_t)packet->source_port << 16 | packet->destination_port) *
			     0x9E3779B1u;
		packet->identification = relay_identification(worker->mappings);
	}
	path->routed = !path->ours && transmit_hop(worker, &path->cache, packet->destination,
					      packet->family, path->flow, &path->view);
	unsigned length = ip_length + HEADERS_UDP_LENGTH + path->payload_length;
	bool cuttable = packet->family == NET_IPV4 && !packet->dont_fragment;
	if (__builtin_expect(path->routed && length > path->view.mtu && !cuttable, 0)) {
		// The sender must leave room for what its packet grows by on the way through us.
		unsigned received = (unsigned)(h->l4_offset - h->l3_offset) + h->l4_length;
		int mtu = (int)path->view.mtu - (int)length + (int)received;
		if (!path->begins_here)
			icmp_reply_send(pass, at, ICMP_REPLY_TOO_BIG, mtu > 0 ? (unsigned)mtu : 0);
		pass_drop(pass, at, DROP_too_big);
		return false;
	}
	return true;
}

// To ourselves: as a frame that the peer's side could have received. It visits the owner once and
// leaves for a client, whose address is never ours (install.c), so it cannot come back.
static void hairpin(struct pass *pass, struct rte_mbuf *mbuf, unsigned family)
{
	uint8_t *p = (uint8_t *)rte_pktmbuf_prepend(mbuf, HEADERS_ETHERNET_LENGTH);
	if (p == NULL) {
		worker_drop(pass->burst.worker, mbuf, DROP_no_mbuf);
		return;
	}
	memset(p, 0, HEADERS_ETHERNET_LENGTH);
	p[12] = family == NET_IPV4 ? 0x08 : 0x86;
	p[13] = family == NET_IPV4 ? 0x00 : 0xDD;
	pass->burst.worker->stats.event[EVENT_hairpin]++;
	pass->hairpin[pass->hairpin_count++] = mbuf;
}

void relay_send(
	struct pass *pass, struct rte_mbuf *mbuf, const struct relay_path *path, uint32_t checksum)
{
	struct worker *worker = pass->burst.worker;
	if (!datagram_wrap(mbuf, &path->packet, checksum))
		worker_drop(worker, mbuf, DROP_no_mbuf);
	else if (path->ours)
		hairpin(pass, mbuf, path->packet.family);
	else if (path->routed)
		pass_transmit(pass, mbuf, &path->view);
	else
		transmit_unrouted(worker, mbuf, path->flow, pass->burst.now);
}

void relay_no_channel(struct pass *pass, unsigned at, struct client_key *key)
{
	const struct mappings *m = pass->burst.worker->mappings;
	key->channel = 0;
	uint32_t slot = mappings_find_client(m, client_key_hash(m, key), key);
	pass_drop(pass, at, slot == MAPPINGS_NONE ? DROP_no_allocation : DROP_no_channel);
}
