// SPDX-License-Identifier: BSD-3-Clause
// Data by address (lib/wire/README.md, first byte 5): from anybody who has shown to receive at its
// source, to all devices that hold a lease of the address. Nothing is kept of either: the cookie is
// checked by computing it again. A burst goes in passes, so that its hashes overlap, and its cache
// misses. Owner worker.
#include "dataplane/stage/byte_budget.h"
#include "dataplane/stage/guard.h"
#include "dataplane/stage/native_answer.h"
#include "dataplane/stage/native_punt.h"
#include "dataplane/stage/relay_usual.h"
#include "dataplane/table/leases.h"
#include "dataplane/table/own_addresses.h"

// ---- to one device ----
//
// The address keeps its place in the buffer: of what stands before it, 16 bytes, 12 go (an even
// number, RFC 1071 2(B)), and 4 are written. The cookie does not travel: it is its sender's alone.

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

// Where a device is, and where it talks to.
struct target {
	const uint8_t *client;
	uint16_t client_port;
	uint8_t server;
};

static inline const uint8_t *listen_address(const struct worker *worker, unsigned server)
{
	return worker->addresses->listen[server & SERVER_INDEX_MASK].bytes;
}

static inline uint64_t word_at(const uint8_t *p)
{
	uint64_t word;
	memcpy(&word, p, sizeof(word));
	return word;
}

// Sum of what goes under the checksum: both addresses, which are neighbours in the packet, ports,
// the length twice, and what stands before the address. The pseudo-header's protocol stays.
static inline __attribute__((always_inline)) uint64_t goes_sum(
	const uint8_t *frame, const struct headers *h, unsigned family)
{
	const uint64_t udp = word_at(frame + h->l4_offset);
	uint64_t sum = (uint32_t)udp + 2 * (udp >> 32 & 0xFFFF) +
		       checksum_sum16(frame + h->payload_offset);
	if (family != NET_IPV4)
		return sum + checksum_sum16(h->source) + checksum_sum16(h->destination);
	const uint64_t addresses = word_at(h->source);
	return sum + (uint32_t)addresses + (addresses >> 32);
}
static_assert(BEFORE_ADDRESS == 16, "checksum_sum16");

// Of what comes.
static inline __attribute__((always_inline)) uint64_t comes_sum(const struct worker *worker,
	const uint8_t *frame, const struct headers *h, const struct target *to, unsigned family)
{
	const uint8_t *source = listen_address(worker, to->server);
	const uint64_t sum = datagram_be16(own_server_port(worker->addresses, to->server)) +
			     (uint64_t)datagram_be16(to->client_port) +
			     2u * datagram_be16(h->l4_length - (unsigned)SHORTER) +
			     delivered_word(frame + h->payload_offset);
	return family == NET_IPV4 ? sum + checksum_sum4(source) + checksum_sum4(to->client)
				  : sum + checksum_sum16(source) + checksum_sum16(to->client);
}

// from: the packet's family, to: the device's; constants. False: nothing has changed.
static inline __attribute__((always_inline)) bool deliver_usual(
	struct pass *pass, unsigned at, const struct lease_line *line, unsigned from, unsigned to)
{
	const struct worker *worker = pass->burst.worker;
	const struct headers *h = &pass->burst.headers[at];
	uint8_t *frame = pass_frame(pass, at), *payload = frame + h->payload_offset;
	const uint32_t word = delivered_word(payload);
	const struct target target = {
		.client = (const uint8_t *)line->client,
		.client_port = (uint16_t)line->way,
		.server = (uint8_t)(line->way >> 16),
	};
	const struct relay_usual u = {
		.source = listen_address(worker, target.server),
		.destination = target.client,
		.source_port = own_server_port(worker->addresses, target.server),
		.destination_port = target.client_port,
		.hop = (uint16_t)(line->way >> 32),
		.epoch = line->hop_epoch,
		.offset = h->payload_offset + (unsigned)SHORTER,
		.length = h->payload_length - (unsigned)SHORTER,
		.goes = goes_sum(frame, h, from),
		.comes = comes_sum(worker, frame, h, &target, to),
	};
	if (!relay_usual(pass, at, to, &u))
		return false;
	relay_store32(payload + SHORTER, word);
	return true;
}

// Functions of their own, so that IPv4's body has the loop for itself.
static __attribute__((noinline)) bool deliver_4_to_6(
	struct pass *pass, unsigned at, struct lease_line line)
{
	return deliver_usual(pass, at, &line, NET_IPV4, NET_IPV6);
}

static __attribute__((noinline)) bool deliver_6_to_6(
	struct pass *pass, unsigned at, struct lease_line line)
{
	return deliver_usual(pass, at, &line, NET_IPV6, NET_IPV6);
}

static __attribute__((noinline)) bool deliver_6_to_4(
	struct pass *pass, unsigned at, struct lease_line line)
{
	return deliver_usual(pass, at, &line, NET_IPV6, NET_IPV4);
}

static inline __attribute__((always_inline)) bool deliver_line(
	struct pass *pass, unsigned at, const struct lease_line *line)
{
	const bool to_ipv4 = (uint8_t)(line->way >> 24) == NET_IPV4;
	if (__builtin_expect(pass->burst.headers[at].family != NET_IPV4, 0))
		return to_ipv4 ? deliver_6_to_4(pass, at, *line) : deliver_6_to_6(pass, at, *line);
	return __builtin_expect(to_ipv4, 1) ? deliver_usual(pass, at, line, NET_IPV4, NET_IPV4)
					    : deliver_4_to_6(pass, at, *line);
}

static uint32_t outgoing_checksum(struct worker *worker, const struct headers *h,
	const uint8_t *frame, const struct lease_view *device)
{
	const struct target to = {device->client, device->client_port, device->server};
	uint16_t received;
	uint32_t instead;
	if (!relay_checksum_whole(worker, frame, h, device->family, &received, &instead))
		return instead;
	return relay_checksum_update(received, goes_sum(frame, h, h->family),
		comes_sum(worker, frame, h, &to, device->family));
}

static bool deliver_unusual(struct pass *pass, unsigned at, const struct lease_view *device)
{
	struct worker *worker = pass->burst.worker;
	const struct headers *h = &pass->burst.headers[at];
	uint8_t *frame = pass_frame(pass, at), *payload = frame + h->payload_offset;
	uint16_t hop = device->hop;
	uint32_t epoch = device->hop_epoch;
	struct relay_path path = {
		.packet =
			{
				.source = listen_address(worker, device->server),
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

static void deliver_copy(struct pass *pass, unsigned at, const struct lease_view *device)
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

// ---- a burst ----

// Those that are well formed, and what is known of them so far.
struct by_address {
	unsigned count;
	uint8_t at[BURST_MAX];
	uint64_t sender[BURST_MAX]; // hash
	struct lease_place place[BURST_MAX];
};

static inline const uint8_t *payload_of(const struct pass *pass, unsigned at)
{
	return pass_frame(pass, at) + pass->burst.headers[at].payload_offset;
}

// What may be asked without keys. DROP_* or STATS_DROP_COUNT: well formed.
static inline enum stats_drop malformed(const struct headers *h, const uint8_t *payload)
{
	if (h->payload_length < NATIVE_BY_ADDRESS_HEADER)
		return DROP_native_malformed;
	if (payload[1] != NATIVE_VERSION)
		return DROP_native_version;
	if (payload[3] != 0)
		return DROP_native_malformed;
	if ((uint8_t)(payload[2] - 1) >= NATIVE_HOPS_MAX)
		return DROP_native_hops;
	return STATS_DROP_COUNT;
}

struct budgets {
	struct byte_budget *senders, *addresses;
};

// First pass: form and cookie, and the bucket of the address is sent for.
static void admit(struct pass *pass, struct by_address *all, const struct budgets *budgets)
{
	const struct worker *worker = pass->burst.worker;
	const struct native_settings *native = worker->native;
	const struct pass_list *list = &pass->native[PASS_BY_ADDRESS];
	const uint32_t oldest = cookie_ticks(NATIVE_DATA_COOKIE_S, worker->mappings->hz);
	unsigned count = 0;
	for (unsigned i = 0; i < list->count; i++) {
		unsigned at = list->at[i];
		const struct headers *h = &pass->burst.headers[at];
		const uint8_t *frame = pass_frame(pass, at), *payload = frame + h->payload_offset;
		const struct cookie_holder holder = native_holder(h);
		enum stats_drop reason = malformed(h, payload);
		if (__builtin_expect(reason != STATS_DROP_COUNT, 0)) {
			pass_drop(pass, at, reason);
			continue;
		}
		if (__builtin_expect(!cookie_check(native, &holder, pass->burst.now, oldest,
					     payload + NATIVE_BY_ADDRESS_COOKIE),
			    0)) {
			native_answer_challenge(pass, at, payload + NATIVE_BY_ADDRESS_COOKIE + 4);
			continue;
		}
		all->at[count] = (uint8_t)at;
		all->sender[count] = byte_budget_sender(budgets->senders, h->source, h->family);
		leases_prefetch_bucket(
			worker->leases, payload + NATIVE_BY_ADDRESS_ADDRESS, &all->place[count++]);
	}
	all->count = count;
}

// Second pass: the entries are sent for, as many at once as the processor can wait for, so there is
// nothing else in this loop.
static void find(const struct worker *worker, struct by_address *all)
{
	const struct leases *leases = worker->leases;
	for (unsigned i = 0; i < all->count; i++) {
		struct lease_place *place = &all->place[i];
		if (__builtin_expect(!leases_prefetch_entry(
					     leases, leases_bucket(leases, place->hash, 0), place),
			    0))
			leases_prefetch_entry(leases, leases_bucket(leases, place->hash, 1), place);
	}
}

static void unknown(struct pass *pass, unsigned at)
{
	const struct headers *h = &pass->burst.headers[at];
	const uint8_t *frame = pass_frame(pass, at);
	if (!pass->burst.worker->native->tell_unknown)
		pass_drop(pass, at, DROP_address_unknown);
	else if (!datagram_checksum_right(frame, h))
		pass_drop(pass, at, DROP_bad_checksum);
	else
		native_punt(pass, at, API_NATIVE_PUNT_UNKNOWN,
			cookie_issued(frame + h->payload_offset + NATIVE_BY_ADDRESS_COOKIE), 0);
}

// Whatever is not usual: no device or several, a lease that is being written, no next hop yet.
static __attribute__((noinline)) void one_unusual(struct pass *pass, unsigned at,
	const struct lease_place *place, struct byte_budget *addresses, unsigned bytes)
{
	struct worker *worker = pass->burst.worker;
	struct lease_view devices[NATIVE_DEVICES_MAX];
	unsigned length =
		pass->burst.headers[at].payload_length - (unsigned)NATIVE_BY_ADDRESS_HEADER;
	int count = leases_devices(worker->leases, payload_of(pass, at) + NATIVE_BY_ADDRESS_ADDRESS,
		place, pass->tick, devices);
	if (count == 0) {
		unknown(pass, at);
	} else if (count < 0) {
		pass_drop(pass, at, DROP_address_busy);
	} else if (!byte_budget_spend(addresses, place->hash, bytes, worker->native->address_bytes,
			   pass->tick)) {
		pass_drop(pass, at, DROP_address_budget);
	} else {
		// The first gets the packet itself, so the copies for the others come before.
		for (int d = 1; d < count; d++)
			deliver_copy(pass, at, &devices[d]);
		if (deliver_unusual(pass, at, &devices[0])) {
			worker->stats.event[EVENT_by_address_packets]++;
			worker->stats.event[EVENT_by_address_bytes] += length;
		}
	}
}

// Third pass: budgets, the device, the rewrite.
static inline __attribute__((always_inline)) void one(struct pass *pass,
	const struct by_address *all, unsigned i, const struct budgets *budgets,
	struct relay_tally *tally)
{
	struct worker *worker = pass->burst.worker;
	const struct native_settings *native = worker->native;
	const struct lease_place *place = &all->place[i];
	unsigned at = all->at[i];
	const struct headers *h = &pass->burst.headers[at];
	const unsigned bytes = (unsigned)(h->l4_offset - h->l3_offset) + h->l4_length;
	const unsigned length = h->payload_length - (unsigned)NATIVE_BY_ADDRESS_HEADER;
	struct lease_line line;
	if (!byte_budget_spend(
		    budgets->senders, all->sender[i], bytes, native->sender_bytes, pass->tick)) {
		pass_drop(pass, at, DROP_sender_budget);
		return;
	}
	if (__builtin_expect(leases_one_device(worker->leases,
				     payload_of(pass, at) + NATIVE_BY_ADDRESS_ADDRESS, place,
				     pass->tick, &line),
		    1) &&
		byte_budget_affords(budgets->addresses, place->hash, bytes, native->address_bytes,
			pass->tick) &&
		deliver_line(pass, at, &line)) {
		byte_budget_charge(budgets->addresses, place->hash, bytes);
		tally->packets++;
		tally->bytes += length;
	} else {
		one_unusual(pass, at, place, budgets->addresses, bytes);
	}
}

void stage_by_address(struct pass *pass)
{
	struct worker *worker = pass->burst.worker;
	const struct budgets budgets = {
		guard_senders(worker->guard), guard_addresses(worker->guard)};
	struct relay_tally tally = {0};
	struct by_address all;
	admit(pass, &all, &budgets);
	find(worker, &all);
	for (unsigned i = 0; i < all.count; i++) {
		byte_budget_prefetch(budgets.senders, all.sender[i]);
		byte_budget_prefetch(budgets.addresses, all.place[i].hash);
	}
	for (unsigned i = 0; i < all.count; i++)
		one(pass, &all, i, &budgets, &tally);
	worker->stats.stage[STAGE_guard].packets += all.count;
	relay_count(worker, &tally, EVENT_by_address_packets, EVENT_by_address_bytes);
}
