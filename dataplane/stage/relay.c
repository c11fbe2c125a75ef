// SPDX-License-Identifier: BSD-3-Clause
// Admission and sending of relayed datagrams, see relay.h. Owner worker.
#include "dataplane/stage/relay.h"

#include "dataplane/stage/elsewhere.h"
#include "dataplane/stage/icmp_reply.h"

void relay_transaction(struct mappings *m, uint8_t out[static 12])
{
	uint64_t words[2] = {++m->transactions, 0}, a, b;
	a = siphash(&m->transaction_key, words, 2);
	words[1] = 1;
	b = siphash(&m->transaction_key, words, 2);
	memcpy(out, &a, 8);
	memcpy(out + 8, &b, 4);
}

// The sender must leave room for what its packet grows by on the way through us.
static void refuse_too_big(
	struct pass *pass, unsigned at, const struct relay_path *path, unsigned length)
{
	const struct headers *h = &pass->burst.headers[at];
	unsigned received = (unsigned)(h->l4_offset - h->l3_offset) + h->l4_length;
	int mtu = (int)path->view.mtu - (int)length + (int)received;
	if (!path->begins_here)
		icmp_reply_send(pass, at, ICMP_REPLY_TOO_BIG, mtu > 0 ? (unsigned)mtu : 0);
	pass_drop(pass, at, DROP_too_big);
}

bool relay_admit(struct pass *pass, unsigned at, struct relay_path *path)
{
	struct worker *worker = pass->burst.worker;
	struct datagram *packet = &path->packet;
	if (pass->burst.headers[at].ttl <= 1 && !path->begins_here) {
		icmp_reply_send(pass, at, ICMP_REPLY_HOP_LIMIT, 0);
		pass_drop(pass, at, DROP_hop_limit);
		return false;
	}
	unsigned ip_length = HEADERS_IPV4_LENGTH;
	if (packet->family == NET_IPV6) {
		ip_length = HEADERS_IPV6_LENGTH;
		path->flow = relay_flow(worker->mappings, packet->source, packet->destination,
			packet->source_port | (uint32_t)packet->destination_port << 16);
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
	if (path->routed && length > path->view.mtu && !cuttable) {
		refuse_too_big(pass, at, path, length);
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
	datagram_cut(mbuf, path->payload_offset, path->payload_length);
	if (!datagram_wrap(mbuf, &path->packet, checksum))
		worker_drop(worker, mbuf, DROP_no_mbuf);
	else if (path->ours)
		hairpin(pass, mbuf, path->packet.family);
	else if (path->routed)
		transmit_routed(worker, mbuf, &path->view);
	else
		transmit_unrouted(worker, mbuf, path->flow, pass->burst.now);
}

void relay_no_channel(struct pass *pass, unsigned at)
{
	const struct mappings *m = pass->burst.worker->mappings;
	const struct headers *h = &pass->burst.headers[at];
	struct client_key key;
	client_key_set(&key, h->source, h->family, h->source_port, 0, pass->server[at]);
	uint32_t slot = mappings_find_client(m, client_key_hash(m, &key), &key);
	if (slot == MAPPINGS_NONE && elsewhere_hand_off(pass, at))
		return;
	pass_drop(pass, at, slot == MAPPINGS_NONE ? DROP_no_allocation : DROP_no_channel);
}
