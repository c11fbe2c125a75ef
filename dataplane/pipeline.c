// SPDX-License-Identifier: BSD-3-Clause
// The order of the stages: parse, classify, one of nine ways, transmit; one way, no turning back.
// Only a hairpinned packet goes through the peer's side in a second, shorter pass, which cannot
// make another. Owner worker; nothing here blocks, allocates or logs.
#include "dataplane/guard_rules.h"
#include "dataplane/native.h"
#include "dataplane/stage/byte_budget.h"
#include "dataplane/stage/datagram.h"
#include "dataplane/stage/guard.h"
#include "dataplane/stage/originate.h"
#include "dataplane/stage/pass.h"
#include "dataplane/stage/relay.h"
#include "dataplane/table/held.h"
#include "dataplane/table/leases.h"
#include "dataplane/table/own_addresses.h"
#include "dataplane/table/relay_ports.h"

#include <errno.h>

static void pass_begin(struct pass *pass, struct worker *worker, uint16_t port, uint64_t now)
{
	pass->burst.worker = worker;
	pass->burst.now = now;
	pass->burst.port = port;
	pass->burst.count = 0;
	pass->checksums_whole = port < PORTS_MAX && worker->port_checksums_whole[port];
	pass->tick = ticks_of(now);
	pass->routes_epoch =
		atomic_load_explicit(&worker->next_hops->routes_epoch, memory_order_acquire);
	pass->binding.count = pass->flow[PASS_CHANNEL_DATA].count = pass->send.count = 0;
	pass->punt.count = pass->flow[PASS_PEER].count = pass->icmp.count = 0;
	for (unsigned i = 0; i < PASS_NATIVES; i++)
		pass->native[i].count = 0;
	pass->later.count = 0;
	pass->out_count = pass->hairpin_count = 0;
	pass->handed = false;
}

static void pass_take(struct pass *pass, struct rte_mbuf **mbufs, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		pass->burst.mbufs[i] = mbufs[i];
	pass->burst.count = (uint16_t)count;
}

// Hairpinned frames: peers' whatever they look like.
static void classify_peers(struct pass *pass)
{
	struct worker *worker = pass->burst.worker;
	for (unsigned i = 0; i < pass->burst.count; i++) {
		const struct headers *h = &pass->burst.headers[i];
		unsigned own = own_address_find(worker->addresses, h->family, h->destination);
		pass->own[i] = (uint8_t)own;
		if (own == OWN_ADDRESS_NONE)
			pass_drop(pass, i, DROP_not_ours);
		else if (pass->burst.verdict[i] == HEADERS_ICMP_ERROR)
			pass_list_add(&pass->icmp, i);
		// Own address, but neither a client's nor a peer's way in: our listen port, or the
		// host's own services, which a relay must not reach for its clients.
		else if (!relay_ports_contains(worker->relay_ports, own, h->destination_port))
			pass_drop(pass, i, DROP_not_ours);
		else
			pass_add_peer(pass, i, h, own);
	}
}

static uint64_t look_up(struct pass *pass, uint64_t start)
{
	unsigned count = pass->flow[PASS_CHANNEL_DATA].count + pass->flow[PASS_PEER].count;
	if (count == 0)
		return start;
	stage_look_up(pass);
	return pass_count(pass->burst.worker, STAGE_look_up, count, start);
}

static uint64_t peers_and_transmit(struct pass *pass, bool hand_off, uint64_t start)
{
	struct worker *worker = pass->burst.worker;
	if (pass->flow[PASS_PEER].count) {
		stage_peer_to_client(pass, hand_off);
		start = pass_count(
			worker, STAGE_peer_to_client, pass->flow[PASS_PEER].count, start);
	}
	if (pass->icmp.count) {
		stage_icmp_error(pass, hand_off);
		start = pass_count(worker, STAGE_peer_to_client, pass->icmp.count, start);
	}
	if (pass->out_count) {
		stage_transmit(pass);
		// The door out counts what was sent.
		start = pass_count(worker, STAGE_transmit, 0, start);
	}
	return start;
}

static void peers_only(struct pass *pass)
{
	uint64_t start = rte_rdtsc();
	stage_parse(pass, false);
	classify_peers(pass);
	start = pass_count(pass->burst.worker, STAGE_classify, pass->burst.count, start);
	peers_and_transmit(pass, true, look_up(pass, start));
}

static __attribute__((noinline)) void hairpin_run(
	struct worker *worker, struct rte_mbuf **mbufs, unsigned count, uint64_t now)
{
	struct pass pass;
	pass_begin(&pass, worker, API_NO_PORT, now);
	pass_take(&pass, mbufs, count);
	peers_only(&pass);
}

static uint64_t native_side(struct pass *pass, uint64_t start)
{
	struct worker *worker = pass->burst.worker;
	if (pass->native[PASS_BY_HANDLE].count) {
		stage_by_handle(pass);
		start = pass_count(
			worker, STAGE_by_handle, pass->native[PASS_BY_HANDLE].count, start);
	}
	if (pass->native[PASS_BY_ADDRESS].count) {
		stage_by_address(pass);
		start = pass_count(
			worker, STAGE_by_address, pass->native[PASS_BY_ADDRESS].count, start);
	}
	if (pass->native[PASS_CONTROL].count) {
		stage_control(pass);
		start = pass_count(worker, STAGE_control, pass->native[PASS_CONTROL].count, start);
	}
	return start;
}

static uint64_t clients_side(struct pass *pass, uint64_t start)
{
	struct worker *worker = pass->burst.worker;
	if (pass->flow[PASS_CHANNEL_DATA].count) {
		stage_client_to_peer(pass);
		start = pass_count(
			worker, STAGE_client_to_peer, pass->flow[PASS_CHANNEL_DATA].count, start);
	}
	if (pass->send.count) {
		stage_send_indication(pass);
		start = pass_count(worker, STAGE_client_to_peer, pass->send.count, start);
	}
	if (pass->binding.count) {
		stage_binding_reply(pass);
		start = pass_count(worker, STAGE_binding_reply, pass->binding.count, start);
	}
	if (pass->punt.count) {
		stage_punt(pass);
		start = pass_count(worker, STAGE_punt, pass->punt.count, start);
	}
	return native_side(pass, start);
}

static void burst_run(
	struct worker *worker, uint16_t port, struct rte_mbuf **mbufs, unsigned count, uint64_t now)
{
	struct pass pass;
	pass_begin(&pass, worker, port, now);
	pass_take(&pass, mbufs, count);
	uint64_t start = rte_rdtsc();
	const struct guard_table *table = guard_rules_table(worker->guard_rules, worker->id);
	stage_parse(&pass, table == NULL);
	start = pass_count(worker, STAGE_parse, count, start);
	if (__builtin_expect(table != NULL, 0))
		stage_blocked(&pass, table);
	stage_classify(&pass);
	start = pass_count(worker, STAGE_classify, pass.burst.count, start);
	start = clients_side(&pass, look_up(&pass, start));
	peers_and_transmit(&pass, true, start);
	if (pass.hairpin_count)
		hairpin_run(worker, pass.hairpin, pass.hairpin_count, now);
}

void pipeline_run(
	struct worker *worker, uint16_t port, struct rte_mbuf **mbufs, uint16_t count, uint64_t now)
{
	for (unsigned done = 0; done < count; done += BURST_MAX) {
		unsigned part = count - done < BURST_MAX ? count - done : BURST_MAX;
		burst_run(worker, port, mbufs + done, part, now);
	}
}

static void handed_run(struct worker *worker, struct rte_mbuf **mbufs, unsigned count, uint64_t now)
{
	struct pass pass;
	pass_begin(&pass, worker, API_NO_PORT, now);
	for (unsigned i = 0; i < count; i++) {
		const struct packet_private *private = rte_mbuf_to_priv(mbufs[i]);
		switch (private->kind) {
		case PACKET_TRANSMIT:
			worker_transmit(worker, &mbufs[i], 1, private->port);
			break;
		case PACKET_ROUTE:
			transmit_unrouted(worker, mbufs[i], 0, now);
			break;
		default:
			pass.burst.mbufs[pass.burst.count++] = mbufs[i];
		}
	}
	worker->stats.stage[STAGE_handed_in].packets += count;
	if (pass.burst.count == 0)
		return;
	// Whoever does not own it now drops it: a packet is handed over once.
	pass.handed = true;
	uint64_t start = rte_rdtsc();
	stage_parse(&pass, false);
	stage_classify_handed(&pass);
	start = pass_count(worker, STAGE_classify, pass.burst.count, start);
	peers_and_transmit(&pass, false, clients_side(&pass, look_up(&pass, start)));
	if (pass.hairpin_count)
		hairpin_run(worker, pass.hairpin, pass.hairpin_count, now);
}

void pipeline_handed(struct worker *worker, struct rte_mbuf **mbufs, uint16_t count, uint64_t now)
{
	for (unsigned done = 0; done < count; done += BURST_MAX) {
		unsigned part = count - done < BURST_MAX ? count - done : BURST_MAX;
		handed_run(worker, mbufs + done, part, now);
	}
}

int pipeline_send(struct worker *worker, const struct api_packet_send *send, const uint8_t *payload,
	uint64_t now)
{
	unsigned family = send->source.address.family;
	if ((family != NET_IPV4 && family != NET_IPV6) ||
		family != send->destination.address.family || send->destination.port == 0 ||
		own_address_find(worker->addresses, family, send->source.address.bytes) ==
			OWN_ADDRESS_NONE)
		return -EINVAL;
	unsigned headers = (family == NET_IPV4 ? HEADERS_IPV4_LENGTH : HEADERS_IPV6_LENGTH) +
			   HEADERS_UDP_LENGTH;
	if (send->flags & API_SEND_UNAUTHENTICATED &&
		!guard_reply(worker->guard, send->destination.address.bytes, family,
			headers + send->length, ticks_of(now))) {
		worker->stats.drop[DROP_reply_budget]++;
		return -EAGAIN;
	}
	struct datagram out = {
		.source = send->source.address.bytes,
		.destination = send->destination.address.bytes,
		.source_port = send->source.port,
		.destination_port = send->destination.port,
		.family = (uint8_t)family,
	};
	return originate(worker, &out, payload, send->length, now);
}

// Charged to the budget of data for the address, once however many devices it goes to, as data is.
static bool deliver_affords(struct worker *worker, const struct api_native_deliver *deliver,
	unsigned family, uint32_t tick)
{
	unsigned headers = (family == NET_IPV4 ? HEADERS_IPV4_LENGTH : HEADERS_IPV6_LENGTH) +
			   HEADERS_UDP_LENGTH;
	if (worker->native != NULL &&
		byte_budget_spend(guard_addresses(worker->guard),
			leases_hash(worker->leases, deliver->address), headers + deliver->length,
			worker->native->address_bytes, tick))
		return true;
	worker->stats.drop[DROP_address_budget]++;
	return false;
}

int pipeline_deliver(struct worker *worker, const struct api_native_deliver *deliver,
	const uint8_t *payload, uint64_t now)
{
	const struct node_addresses *addresses = worker->addresses;
	struct lease_view devices[NATIVE_DEVICES_MAX];
	int found = leases_look_up(worker->leases, deliver->address, ticks_of(now), devices);
	int sent = 0, result = found == 0 ? -ENOENT : found;
	if (found > 0 && !deliver_affords(worker, deliver, devices[0].family, ticks_of(now)))
		return -EAGAIN;
	for (int i = 0; i < found; i++) {
		const struct lease_view *device = &devices[i];
		struct api_packet_send send = {
			.source = {.address = addresses->listen[device->server & SERVER_INDEX_MASK],
				.port = own_server_port(addresses, device->server)},
			.destination = {.address.family = device->family,
				.port = device->client_port},
			.worker = worker->id,
			.length = deliver->length,
		};
		memcpy(send.destination.address.bytes, device->client, 16);
		result = pipeline_send(worker, &send, payload, now);
		sent += result == 0;
	}
	return sent > 0 ? sent : result;
}

// A place whose neighbour may be known now is emptied through transmit_unrouted, which sends, or
// holds again what is still unknown (in the same place: it is freed last).
static void place_retry(
	struct worker *worker, struct held_neighbour *place, bool expired, uint64_t now)
{
	struct rte_mbuf *mbufs[HELD_PER_NEIGHBOUR];
	unsigned count = place->count;
	uint32_t flow = place->flow;
	for (unsigned i = 0; i < count; i++)
		mbufs[i] = place->mbufs[i];
	place->count = 0;
	if (expired) {
		worker->mappings->held->used--;
		explicit_bzero(place, sizeof(*place));
	}
	for (unsigned i = 0; i < count; i++) {
		if (expired)
			worker_drop(worker, mbufs[i], DROP_neighbour_unresolved);
		else
			transmit_unrouted(worker, mbufs[i], flow, now);
	}
}

void pipeline_held(struct worker *worker, uint64_t now)
{
	struct held_packets *held = worker->mappings->held;
	if (held->used == 0)
		return;
	uint32_t epoch =
		atomic_load_explicit(&worker->next_hops->neighbours_epoch, memory_order_acquire);
	bool changed = epoch != held->tried_epoch;
	held->tried_epoch = epoch;
	for (unsigned i = 0; i < HELD_NEIGHBOURS; i++) {
		struct held_neighbour *place = &held->neighbours[i];
		if (place->wanted.ifindex == 0)
			continue;
		bool expired = ticks_passed(place->deadline, ticks_of(now));
		bool any = place->wanted.ifindex == HELD_ANY_NEIGHBOUR;
		if (expired || changed || any)
			place_retry(worker, place, expired, now);
	}
}
