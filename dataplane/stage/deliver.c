// SPDX-License-Identifier: BSD-3-Clause
// See deliver.h. The address keeps its place in the buffer: of what stands before it, 16 bytes, 12
// go (RFC 1071 2(B): an even number), and 4 are written. Owner worker.
#include "dataplane/stage/deliver.h"

#include "dataplane/stage/relay_usual.h"
#include "dataplane/table/own_addresses.h"

enum {
	SHORTER = NATIVE_BY_ADDRESS_HEADER - NATIVE_DELIVERED_HEADER,
	BEFORE_ADDRESS = NATIVE_BY_ADDRESS_ADDRESS,
};
static_assert(BEFORE_ADDRESS - SHORTER == NATIVE_DELIVERED_ADDRESS, "the address stays");

// What the delivered header begins with, as stored. payload: as received.
static inline uint32_t delivered_word(const uint8_t *payload)
{
	return NATIVE_FIRST_ADDRESS | (uint32_t)(NATIVE_VERSION | NATIVE_DELIVERED) << 8 |
	       (uint32_t)(payload[2] - 1) << 16;
}

static inline const uint8_t *listen_address(
	const struct worker *worker, const struct lease_view *device)
{
	return worker->addresses->listen[device->server & SERVER_INDEX_MASK].bytes;
}

// Sums of what goes and what comes under the checksum. family: the device's.
static inline __attribute__((always_inline)) void checksum_parts(const struct worker *worker,
	const struct headers *h, const uint8_t *payload, const struct lease_view *device,
	unsigned family, uint64_t *goes, uint64_t *comes)
{
	*goes = datagram_pseudo_sum(h->source, h->destination, h->family, h->l4_length) +
		datagram_be16(h->source_port) + datagram_be16(h->destination_port) +
		datagram_be16(h->l4_length) + checksum_sum16(payload);
	*comes = datagram_pseudo_sum(listen_address(worker, device), device->client, family,
			 h->l4_length - SHORTER) +
		 datagram_be16(own_server_port(worker->addresses, device->server)) +
		 datagram_be16(device->client_port) + datagram_be16(h->l4_length - SHORTER) +
		 delivered_word(payload);
}
static_assert(BEFORE_ADDRESS == 16, "checksum_sum16");

// family: the device's, a constant.
static inline __attribute__((always_inline)) bool deliver_usual(
	struct pass *pass, unsigned at, const struct lease_view *device, unsigned family)
{
	const struct worker *worker = pass->burst.worker;
	const struct headers *h = &pass->burst.headers[at];
	uint8_t *payload = pass_frame(pass, at) + h->payload_offset;
	const uint32_t word = delivered_word(payload);
	struct relay_usual u = {
		.source = listen_address(worker, device),
		.destination = device->client,
		.source_port = own_server_port(worker->addresses, device->server),
		.destination_port = device->client_port,
		.hop = device->hop,
		.epoch = device->hop_epoch,
		.offset = h->payload_offset + (unsigned)SHORTER,
		.length = h->payload_length - (unsigned)SHORTER,
	};
	checksum_parts(worker, h, payload, device, family, &u.goes, &u.comes);
	if (!relay_usual(pass, at, family, &u))
		return false;
	relay_store32(payload + SHORTER, word);
	return true;
}

// A function of its own, so that IPv4's body has the loop for itself.
static __attribute__((noinline)) bool deliver_usual_ipv6(
	struct pass *pass, unsigned at, const struct lease_view *device)
{
	return deliver_usual(pass, at, device, NET_IPV6);
}

static uint32_t outgoing_checksum(struct worker *worker, const struct headers *h,
	const uint8_t *frame, const struct lease_view *device)
{
	uint16_t received;
	uint64_t goes, comes;
	switch (datagram_checksum_kind(frame, h, &received)) {
	case DATAGRAM_PARTIAL:
		worker->stats.event[EVENT_checksum_completed]++;
		return DATAGRAM_COMPUTE;
	case DATAGRAM_ABSENT:
		return device->family == NET_IPV6 ? DATAGRAM_COMPUTE : 0;
	case DATAGRAM_WHOLE:
		break;
	}
	worker->stats.event[EVENT_checksum_incremental]++;
	checksum_parts(worker, h, frame + h->payload_offset, device, device->family, &goes, &comes);
	uint16_t checksum = checksum_update(received, goes, comes);
	return checksum ? checksum : 0xFFFF;
}

static __attribute__((noinline)) bool deliver_unusual(
	struct pass *pass, unsigned at, const struct lease_view *device)
{
	struct worker *worker = pass->burst.worker;
	const struct headers *h = &pass->burst.headers[at];
	uint8_t *frame = pass_frame(pass, at), *payload = frame + h->payload_offset;
	uint16_t hop = device->hop;
	uint32_t epoch = device->hop_epoch;
	struct relay_path path = {
		.packet =
			{
				.source = listen_address(worker, device),
				.destination = device->client,
				.source_port = own_server_port(worker->addresses, device->server),
				.destination_port = device->client_port,
				.family = device->family,
			},
		.cache = {&hop, NULL, &epoch},
		.payload_offset = (uint16_t)(h->payload_offset + SHORTER),
		.payload_length = (uint16_t)(h->payload_length - SHORTER),
	};
	header_fields_set(&path.packet, h, path.payload_length);
	bool admitted = relay_admit(pass, at, &path);
	if (hop != device->hop || epoch != device->hop_epoch)
		leases_hop_set(worker->leases, device, hop, epoch);
	if (!admitted)
		return false;
	uint32_t checksum = outgoing_checksum(worker, h, frame, device);
	relay_store32(payload + SHORTER, delivered_word(payload));
	relay_send(pass, pass->burst.mbufs[at], &path, checksum);
	return true;
}

void deliver_packet(
	struct pass *pass, unsigned at, const struct lease_view *device, struct relay_tally *tally)
{
	struct worker *worker = pass->burst.worker;
	unsigned bytes = pass->burst.headers[at].payload_length - NATIVE_BY_ADDRESS_HEADER;
	bool usual = __builtin_expect(device->family == NET_IPV6, 0)
			     ? deliver_usual_ipv6(pass, at, device)
			     : deliver_usual(pass, at, device, NET_IPV4);
	if (__builtin_expect(usual, 1)) {
		tally->packets++;
		tally->bytes += bytes;
	} else if (deliver_unusual(pass, at, device)) {
		worker->stats.event[EVENT_by_address_packets]++;
		worker->stats.event[EVENT_by_address_bytes] += bytes;
	}
}

void deliver_copy(struct pass *pass, unsigned at, const struct lease_view *device)
{
	struct worker *worker = pass->burst.worker;
	struct rte_mbuf *packet = pass->burst.mbufs[at], *copy = rte_pktmbuf_alloc(worker->pool);
	if (copy == NULL) {
		worker->stats.drop[DROP_no_mbuf]++;
		return;
	}
	if (packet->data_off + packet->data_len > copy->buf_len) {
		worker_drop(worker, copy, DROP_no_mbuf);
		return;
	}
	// headers[at] counts from where the data begins.
	copy->data_off = packet->data_off;
	copy->data_len = packet->data_len;
	copy->pkt_len = packet->data_len;
	memcpy(rte_pktmbuf_mtod(copy, void *), pass_frame(pass, at), packet->data_len);
	pass->burst.mbufs[at] = copy;
	if (deliver_unusual(pass, at, device))
		worker->stats.event[EVENT_by_address_copies]++;
	pass->burst.mbufs[at] = packet;
}
