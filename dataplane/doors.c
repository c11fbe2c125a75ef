// SPDX-License-Identifier: BSD-3-Clause
// The doors out of the packet stages (worker.h): each takes an mbuf and either passes it on or
// counts and frees it. None ever waits: a full ring is a drop. Worker's lcore.

#include "dataplane/dataplane.h"
#include "dataplane/machine.h"
#include "dataplane/steering/handoff.h"
#include "dataplane/worker.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include <string.h>

enum { TRANSMIT_TRIES = 3 };

void worker_drop(struct worker *worker, struct rte_mbuf *mbuf, enum stats_drop reason)
{
	worker->stats.drop[reason]++;
	rte_pktmbuf_free(mbuf);
}

static void drop_all(
	struct worker *worker, struct rte_mbuf **mbufs, unsigned count, enum stats_drop reason)
{
	if (count == 0)
		return;
	worker->stats.drop[reason] += count;
	rte_pktmbuf_free_bulk(mbufs, count);
}

// One enqueue for all that was gathered for that worker.
static void flush_handed(struct worker *worker, unsigned to)
{
	struct worker_machine *machine = worker->machine;
	struct handoff *handoff = machine->handed_out[to];
	struct handoff_result result;
	if (handoff == NULL || handoff->count == 0)
		return;
	handoff_flush(handoff, &result);
	machine->handed_out_count += result.sent;
	drop_all(worker, handoff->waiting + result.sent, result.full, DROP_handoff_ring_full);
	drop_all(worker, handoff->waiting + result.sent + result.full, result.unfair,
		DROP_handoff_share);
	doorbell_ring(&machine->dataplane->workers[to]->machine->rest.bell);
}

static void hand(struct worker *worker, uint16_t to, struct rte_mbuf *mbuf, uint32_t flow)
{
	if (handoff_add(worker->machine->handed_out[to], mbuf, flow))
		flush_handed(worker, to);
}

// Where a finished frame goes: addresses and ports, as far as they stand where we put them.
static uint32_t frame_flow(const struct rte_mbuf *mbuf)
{
	const uint8_t *p = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	unsigned length = rte_pktmbuf_data_len(mbuf), at = 12;
	if (length < at + 2)
		return 0;
	if (p[at] == 0x81 && p[at + 1] == 0x00)
		at += 4;
	// Destination address (its last word, of IPv6) and ports.
	bool v6 = length > at + 1 && p[at] == 0x86;
	unsigned address = at + 2 + (v6 ? 36 : 16);
	if (length < address + 8)
		return 0;
	uint32_t words[2];
	memcpy(words, p + address, sizeof(words));
	return words[0] ^ words[1] * 0x9E3779B1u;
}

void machine_flush_port(struct worker *worker, uint16_t port)
{
	struct worker_machine *machine = worker->machine;
	struct machine_transmit *transmit = &machine->transmit[port];
	uint16_t count = transmit->count, sent = 0;
	if (count == 0)
		return;
	transmit->count = 0;
	if (transmit->own) {
		// A driver may take fewer than it has room for, while it frees what it has sent.
		for (unsigned i = 0; i < TRANSMIT_TRIES && sent < count; i++)
			sent = (uint16_t)(sent + rte_eth_tx_burst(port, transmit->queue,
							 transmit->mbufs + sent,
							 (uint16_t)(count - sent)));
		worker->stats.stage[STAGE_transmit].packets += sent;
		machine->transmitted += sent;
	} else {
		for (uint16_t i = 0; i < count; i++) {
			struct packet_private *private = rte_mbuf_to_priv(transmit->mbufs[i]);
			private->kind = PACKET_TRANSMIT;
			private->worker = (uint8_t)worker->id;
			private->port = port;
			hand(worker, transmit->owner, transmit->mbufs[i],
				frame_flow(transmit->mbufs[i]));
		}
		return;
	}
	drop_all(worker, transmit->mbufs + sent, (unsigned)(count - sent), DROP_transmit_full);
}

void machine_flush(struct worker *worker)
{
	for (uint16_t port = 0; port < worker->machine->port_count; port++)
		machine_flush_port(worker, port);
	for (unsigned to = 0; to < worker->machine->dataplane->worker_count; to++)
		flush_handed(worker, to);
}

void worker_transmit(struct worker *worker, struct rte_mbuf **mbufs, unsigned count, uint16_t port)
{
	struct worker_machine *machine = worker->machine;
	if (port >= machine->port_count) {
		drop_all(worker, mbufs, count, DROP_link_down);
		return;
	}
	struct machine_transmit *transmit = &machine->transmit[port];
	while (count > 0) {
		unsigned room = BURST_MAX - transmit->count;
		unsigned part = count < room ? count : room;
		memcpy(transmit->mbufs + transmit->count, mbufs, part * sizeof(void *));
		transmit->count = (uint16_t)(transmit->count + part);
		mbufs += part;
		count -= part;
		if (transmit->count == BURST_MAX)
			machine_flush_port(worker, port);
	}
}

static struct net_endpoint endpoint(uint8_t family, const uint8_t *bytes, uint16_t port)
{
	struct net_endpoint out = {.port = port};
	out.address = family == NET_IPV4 ? net_address_v4(bytes) : net_address_v6(bytes);
	return out;
}

enum {
	HEADERS_MOST = RTE_ETHER_HDR_LEN + 2 * sizeof(struct rte_vlan_hdr) + HEADERS_IPV6_LENGTH +
		       HEADERS_UDP_LENGTH,
};

// The mbuf becomes the message's own part and the payload behind it: what main sends is what lies
// there.
static void punt_payload(struct worker *worker, struct rte_mbuf *mbuf,
	const struct headers *headers, enum packet_kind kind, uint16_t port, const void *message,
	uint16_t size)
{
	struct worker_machine *machine = worker->machine;
	uint16_t surplus = (uint16_t)(rte_pktmbuf_data_len(mbuf) - headers->payload_offset -
				      headers->payload_length);
	// Of padding behind the datagram nobody is told, so it is wiped here.
	if (surplus)
		memset(rte_pktmbuf_mtod_offset(
			       mbuf, uint8_t *, headers->payload_offset + headers->payload_length),
			0, surplus);
	if (mbuf->nb_segs != 1 || !rte_pktmbuf_adj(mbuf, headers->payload_offset) ||
		rte_pktmbuf_trim(mbuf, surplus) != 0 || rte_pktmbuf_headroom(mbuf) < size) {
		worker_drop(worker, mbuf, DROP_no_mbuf);
		return;
	}
	memcpy(rte_pktmbuf_prepend(mbuf, size), message, size);
	struct packet_private *private = rte_mbuf_to_priv(mbuf);
	private->kind = (uint8_t)kind;
	private->worker = (uint8_t)worker->id;
	private->port = port;
	if (rte_ring_sp_enqueue(machine->punts, mbuf) != 0)
		worker_drop(worker, mbuf, DROP_punt_ring_full);
	else
		machine->ring_doorbell = true;
}

void worker_punt(struct worker *worker, struct rte_mbuf *mbuf, const struct headers *headers,
	uint16_t port, const struct api_allocation_context *context)
{
	const struct api_punt punt = {
		.source = endpoint(headers->family, headers->source, headers->source_port),
		.destination =
			endpoint(headers->family, headers->destination, headers->destination_port),
		.allocation = *context,
		.worker = worker->id,
		.port = port,
		.length = headers->payload_length,
	};
	static_assert(sizeof(punt) >= HEADERS_MOST,
		"written over all headers: whoever wipes what the mbuf holds wipes them too");
	punt_payload(worker, mbuf, headers, PACKET_PUNT, port, &punt, sizeof(punt));
}

void worker_punt_native(struct worker *worker, struct rte_mbuf *mbuf, const struct headers *headers,
	uint16_t port, const struct api_native_punt *from)
{
	struct api_native_punt punt = *from;
	punt.source = endpoint(headers->family, headers->source, headers->source_port);
	punt.destination =
		endpoint(headers->family, headers->destination, headers->destination_port);
	punt.worker = worker->id;
	punt.port = port;
	punt.length = headers->payload_length;
	static_assert(sizeof(punt) >= HEADERS_MOST, "as above");
	punt_payload(worker, mbuf, headers, PACKET_PUNT_NATIVE, port, &punt, sizeof(punt));
}

void worker_to_kernel(struct worker *worker, struct rte_mbuf *mbuf, uint16_t port)
{
	struct worker_machine *machine = worker->machine;
	if (port >= machine->port_count || worker->port_has_kernel[port]) {
		worker_drop(worker, mbuf, DROP_no_kernel_path);
		return;
	}
	struct packet_private *private = rte_mbuf_to_priv(mbuf);
	private->kind = PACKET_TO_KERNEL;
	private->worker = (uint8_t)worker->id;
	private->port = port;
	if (rte_ring_sp_enqueue(machine->kernel, mbuf) != 0)
		worker_drop(worker, mbuf, DROP_kernel_ring_full);
	else
		machine->ring_doorbell = true;
}

void worker_hand_off(struct worker *worker, uint16_t owner, struct rte_mbuf *mbuf, uint16_t port)
{
	struct worker_machine *machine = worker->machine;
	if (owner >= WORKERS_MAX || !machine->handed_out[owner]) {
		worker_drop(worker, mbuf, DROP_not_owner);
		return;
	}
	struct packet_private *private = rte_mbuf_to_priv(mbuf);
	private->kind = PACKET_HANDED_TO_OWNER;
	private->worker = (uint8_t)worker->id;
	private->port = port;
	worker->stats.event[EVENT_handoff_out]++;
	hand(worker, owner, mbuf, private->flow);
}

void worker_want_neighbour(struct worker *worker, const struct api_neighbour_wanted *wanted)
{
	struct event event = {.type = API_NEIGHBOUR_WANTED, .neighbour = *wanted};
	event_ring_put(&worker->machine->events, &event);
	worker->machine->ring_doorbell = true;
}

void worker_expired(struct worker *worker, uint64_t allocation_id)
{
	struct event event = {
		.type = API_EXPIRED,
		.expired = {.allocation_id = allocation_id, .worker = worker->id},
	};
	event_ring_put(&worker->machine->events, &event);
	worker->machine->ring_doorbell = true;
}
