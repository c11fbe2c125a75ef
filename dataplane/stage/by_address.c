// SPDX-License-Identifier: BSD-3-Clause
// Data by address (lib/wire/README.md, first byte 5): from anybody who has shown to receive at its
// source, to all devices that hold a lease of the address. Nothing is kept of either: the cookie is
// checked by computing it again. A burst goes in passes, so that its hashes overlap, and its cache
// misses. Owner worker.
#include "dataplane/stage/deliver.h"

#include "dataplane/stage/byte_budget.h"
#include "dataplane/stage/guard.h"
#include "dataplane/stage/native_answer.h"
#include "dataplane/stage/native_punt.h"
#include "dataplane/table/leases.h"

// Those with a good cookie.
struct by_address {
	uint8_t at[BURST_MAX];
	uint64_t sender[BURST_MAX]; // hash
	struct leases_wanted wanted;
};

// What may be asked without keys. DROP_* or STATS_DROP_COUNT: well formed.
static inline enum stats_drop malformed(
	const uint8_t *frame, const struct headers *h, const uint8_t *payload)
{
	if (h->payload_length < NATIVE_BY_ADDRESS_HEADER)
		return DROP_native_malformed;
	if (payload[1] != NATIVE_VERSION)
		return DROP_native_version;
	if (payload[3] != 0)
		return DROP_native_malformed;
	if ((uint8_t)(payload[2] - 1) >= NATIVE_HOPS_MAX)
		return DROP_native_hops;
	// RFC 8200 8.1: over IPv6 there is no UDP without a checksum.
	if (h->family == NET_IPV6 && datagram_udp_checksum(frame, h) == 0)
		return DROP_bad_checksum;
	return STATS_DROP_COUNT;
}

static void admit(struct pass *pass, struct by_address *good)
{
	struct worker *worker = pass->burst.worker;
	const struct byte_budget *senders = guard_senders(worker->guard);
	const uint32_t oldest = cookie_ticks(NATIVE_DATA_COOKIE_S, worker->mappings->hz);
	unsigned count = 0;
	for (unsigned i = 0; i < pass->by_address.count; i++) {
		unsigned at = pass->by_address.at[i];
		const struct headers *h = &pass->burst.headers[at];
		const uint8_t *frame = pass_frame(pass, at), *payload = frame + h->payload_offset;
		const struct cookie_holder holder = native_holder(h);
		enum stats_drop reason = malformed(frame, h, payload);
		if (__builtin_expect(reason != STATS_DROP_COUNT, 0)) {
			pass_drop(pass, at, reason);
			continue;
		}
		if (__builtin_expect(!cookie_check(worker->native, &holder, pass->burst.now, oldest,
					     payload + NATIVE_BY_ADDRESS_COOKIE),
			    0)) {
			native_answer_challenge(pass, at, payload + NATIVE_BY_ADDRESS_COOKIE + 4);
			continue;
		}
		good->at[count] = (uint8_t)at;
		good->sender[count] = guard_sender_hash(worker->guard, h->source, h->family);
		byte_budget_prefetch(senders, good->sender[count]);
		good->wanted.addresses[count++] = payload + NATIVE_BY_ADDRESS_ADDRESS;
	}
	good->wanted.count = count;
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

static void one(
	struct pass *pass, const struct by_address *good, unsigned i, struct relay_tally *tally)
{
	struct worker *worker = pass->burst.worker;
	const struct native_settings *native = worker->native;
	unsigned at = good->at[i];
	const struct headers *h = &pass->burst.headers[at];
	unsigned bytes = (unsigned)(h->l4_offset - h->l3_offset) + h->l4_length;
	struct lease_view devices[NATIVE_DEVICES_MAX];
	worker->stats.stage[STAGE_guard].packets++;
	if (!byte_budget_spend(guard_senders(worker->guard), good->sender[i], bytes,
		    native->sender_bytes, pass->tick)) {
		pass_drop(pass, at, DROP_sender_budget);
		return;
	}
	int count = leases_devices(worker->leases, good->wanted.addresses[i],
		&good->wanted.places[i], pass->tick, devices);
	if (__builtin_expect(count <= 0, 0)) {
		if (count == 0)
			unknown(pass, at);
		else
			pass_drop(pass, at, DROP_address_busy);
		return;
	}
	if (!byte_budget_spend(guard_addresses(worker->guard), good->wanted.places[i].hash, bytes,
		    native->address_bytes, pass->tick)) {
		pass_drop(pass, at, DROP_address_budget);
		return;
	}
	// The first gets the packet itself, so the copies for the others are made before.
	for (int d = 1; d < count; d++)
		deliver_copy(pass, at, &devices[d]);
	deliver_packet(pass, at, &devices[0], tally);
}

void stage_by_address(struct pass *pass)
{
	struct worker *worker = pass->burst.worker;
	struct byte_budget *addresses = guard_addresses(worker->guard);
	struct relay_tally tally = {0};
	struct by_address good;
	admit(pass, &good);
	leases_prefetch(worker->leases, &good.wanted);
	for (unsigned i = 0; i < good.wanted.count; i++)
		byte_budget_prefetch(addresses, good.wanted.places[i].hash);
	for (unsigned i = 0; i < good.wanted.count; i++)
		one(pass, &good, i, &tally);
	relay_count(worker, &tally, EVENT_by_address_packets, EVENT_by_address_bytes);
}
