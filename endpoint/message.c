// SPDX-License-Identifier: BSD-3-Clause
// Data by address. What endpoint_send_to_peer sends begins with a byte MESSAGE_SEALED and an offer
// of seal.h bound to the address; anything else, also what begins so by chance and does not open,
// is handed on as it came.
#include "endpoint/core.h"

#include "lib/crypto/epoch.h"

#include <sodium.h>

#include <errno.h>
#include <string.h>

enum { MESSAGE_SEALED = 1 };

static_assert(1 + SEAL_OFFER_OVERHEAD + ENDPOINT_MESSAGE_MAX == ENDPOINT_RAW_MAX, "a datagram");
static_assert(NATIVE_BY_ADDRESS_HEADER + ENDPOINT_RAW_MAX == NATIVE_MESSAGE_MAX, "a datagram");

int endpoint_peer_address(
	const struct endpoint_peer *peer, uint32_t epoch, uint8_t address[ENDPOINT_ADDRESS_SIZE])
{
	uint8_t blinded[BLINDING_KEY_SIZE];

	if (epoch_public_key(blinded, peer->namespace_id, peer->delivery_key, epoch) != 0)
		return -EINVAL;
	epoch_address(address, peer->namespace_id, blinded, epoch);
	return 0;
}

static int send_to(struct endpoint *e, const uint8_t address[ENDPOINT_ADDRESS_SIZE],
	const void *data, size_t size)
{
	uint8_t message[NATIVE_MESSAGE_MAX];

	if (!core_path_fresh(e, CORE_COOKIE_DATA_MS))
		return -ENOTCONN;
	if (size > ENDPOINT_RAW_MAX || size > e->path.payload_max)
		return -EMSGSIZE;
	size_t whole = native_by_address_build(message, sizeof(message),
		&(struct native_by_address){
			.hops = NATIVE_HOPS_MAX,
			.cookie = e->path.cookie,
			.address = address,
			.payload = data,
			.payload_size = size,
		});
	core_send(e, message, whole);
	return 0;
}

int endpoint_send_to_address(struct endpoint *endpoint,
	const uint8_t address[ENDPOINT_ADDRESS_SIZE], const void *data, size_t size,
	struct endpoint_time now)
{
	core_enter(endpoint, now);
	int result = send_to(endpoint, address, data, size);
	core_leave(endpoint);
	return result;
}

static int seal_and_send(
	struct endpoint *e, const struct endpoint_peer *peer, const void *data, size_t size)
{
	uint8_t address[ENDPOINT_ADDRESS_SIZE], ephemeral[SEAL_EPHEMERAL_SIZE];
	uint8_t sealed[ENDPOINT_RAW_MAX] = {MESSAGE_SEALED};

	if (size > ENDPOINT_MESSAGE_MAX)
		return -EMSGSIZE;
	int result = endpoint_peer_address(peer, core_epoch(e), address);
	if (result != 0)
		return result;
	core_random(e, ephemeral, sizeof(ephemeral));
	result = seal_offer(NULL, &e->identity, peer, address, sizeof(address), ephemeral, data,
		size, sealed + 1);
	sodium_memzero(ephemeral, sizeof(ephemeral));
	if (result != 0)
		return result;
	return send_to(e, address, sealed, 1 + SEAL_OFFER_OVERHEAD + size);
}

int endpoint_send_to_peer(struct endpoint *endpoint, const struct endpoint_peer *peer,
	const void *data, size_t size, struct endpoint_time now)
{
	core_enter(endpoint, now);
	int result = seal_and_send(endpoint, peer, data, size);
	core_leave(endpoint);
	return result;
}

void core_message_receive(struct endpoint *e, const uint8_t *data, size_t size)
{
	struct native_by_address m;
	struct endpoint_peer from;
	uint8_t opened[ENDPOINT_RAW_MAX];

	if (native_delivered_parse(data, size, &m) != 0) {
		core_count(e, ENDPOINT_COUNTER_ignored_malformed);
		return;
	}
	const struct lease *lease = core_lease_of_address(e, m.address);
	if (lease == NULL) {
		core_count(e, ENDPOINT_COUNTER_ignored_address);
		return;
	}
	struct endpoint_event event = {
		.type = ENDPOINT_MESSAGE,
		.data = m.payload,
		.size = m.payload_size,
		.message = {.address = lease->address},
	};
	if (m.payload_size > SEAL_OFFER_OVERHEAD && m.payload_size <= sizeof(opened) &&
		m.payload[0] == MESSAGE_SEALED &&
		seal_offer_open(NULL, &e->identity, m.address, NATIVE_ADDRESS_SIZE, m.payload + 1,
			m.payload_size - 1, &from, opened) == 0) {
		if (core_recent_seen(&e->recent, m.payload + 1)) {
			core_count(e, ENDPOINT_COUNTER_ignored_replay);
			return;
		}
		event.data = opened;
		event.size = m.payload_size - 1 - SEAL_OFFER_OVERHEAD;
		event.message.sealed = true;
		event.message.from = &from;
	}
	core_event(e, &event);
	sodium_memzero(opened, sizeof(opened));
}
