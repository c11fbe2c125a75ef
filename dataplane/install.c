// SPDX-License-Identifier: BSD-3-Clause
// Installs from the control plane: allocations, refreshes, permissions, channels, on the worker
// that owns them. Each is all or nothing. What a client may reach was decided before; here only
// limits, conflicts and the flood rule are. Owner worker.
#include "dataplane/stage/guard.h"
#include "dataplane/stage/transmit.h"
#include "dataplane/table/client_index.h"
#include "dataplane/table/mappings.h"
#include "dataplane/table/own_addresses.h"
#include "dataplane/table/relay_ports.h"
#include "lib/wire/channel_data.h"

#include <errno.h>

enum {
	// Of install_end_some: slots looked at, and allocations ended, each of them up to 128
	// removals.
	END_SCAN = 8192,
	END_MAX = 32,
};

static uint32_t deadline_of(const struct mappings *m, uint64_t now, uint32_t lifetime_ms)
{
	return ticks_deadline(now, lifetime_ms, m->hz);
}

void install_addresses(struct worker *worker, const struct node_addresses *addresses)
{
	worker->addresses = addresses;
	if (worker->mappings->addresses != NULL)
		worker->mappings->addresses = addresses;
}

static int relayed_of(const struct worker *worker, const struct net_endpoint relayed[static 2],
	struct allocation *a)
{
	static const uint8_t family[2] = {NET_IPV4, NET_IPV6};
	unsigned have = 0;
	for (unsigned i = 0; i < 2; i++) {
		if (relayed[i].address.family == NET_UNSPECIFIED)
			continue;
		unsigned own =
			own_address_find(worker->addresses, family[i], relayed[i].address.bytes);
		if (relayed[i].address.family != family[i] || own == OWN_ADDRESS_NONE ||
			!relay_ports_contains(worker->relay_ports, own, relayed[i].port))
			return -EINVAL;
		a->relayed_index[i] = (uint8_t)own;
		a->relayed_port[i] = relayed[i].port;
		have++;
	}
	return have ? 0 : -EINVAL;
}

// Both or none.
static int ports_claim(struct worker *worker, const struct allocation *a, uint32_t slot)
{
	struct relay_port_owner owner = {worker->id, slot, a->generation};
	for (unsigned i = 0; i < 2; i++) {
		if (a->relayed_port[i] == 0)
			continue;
		int result = relay_ports_claim(
			worker->relay_ports, a->relayed_index[i], a->relayed_port[i], &owner);
		if (result < 0) {
			if (i == 1 && a->relayed_port[0])
				relay_ports_release(worker->relay_ports, a->relayed_index[0],
					a->relayed_port[0], &owner);
			return result;
		}
	}
	return 0;
}

static void prepare_client(struct worker *worker, struct allocation *a, uint64_t now)
{
	struct hop_cache cache = {&a->to_client, NULL, &a->hop_epoch};
	transmit_prepare(worker, &cache, a->client, a->client_family, 0, now);
}

static int install_allocation(
	struct worker *worker, const struct api_allocation_install *install, uint64_t now)
{
	struct mappings *m = worker->mappings;
	unsigned family = install->client.address.family;
	int server = own_server_find(worker->addresses, &install->server);
	struct allocation a = {
		.client_port = install->client.port,
		.server = (uint8_t)server,
		.client_family = (uint8_t)family,
		.api_flags = install->flags,
		.deadline = deadline_of(m, now, install->lifetime_ms),
		.id = install->allocation_id,
		.credential_tag = install->credential_tag,
		.prefix_tag = install->prefix_tag,
	};
	memcpy(a.client, install->client.address.bytes, 16);
	memcpy(a.transaction, install->transaction, sizeof(a.transaction));
	// A client at one of our own addresses would make packets go in circles.
	if (server < 0 || install->worker != worker->id || install->allocation_id == 0 ||
		install->client.port == 0 || family != install->server.address.family ||
		own_address_find(worker->addresses, family, a.client) != OWN_ADDRESS_NONE ||
		relayed_of(worker, install->relayed, &a) < 0)
		return -EINVAL;
	m->addresses = worker->addresses;
	m->worker = worker->id;
	// A 5-tuple whose allocation has expired unscanned is free.
	struct client_key key;
	mappings_client_key(&a, &key);
	uint32_t slot = mappings_find_client(m, client_key_hash(m, &key), &key);
	if (slot != MAPPINGS_NONE && ticks_passed(m->allocations[slot].deadline, ticks_of(now))) {
		uint64_t id = m->allocations[slot].id;
		allocation_end(worker, slot);
		worker_expired(worker, id);
		worker->stats.event[EVENT_allocations_expired]++;
	} else if (slot != MAPPINGS_NONE) {
		return -EEXIST;
	}
	// Flood rule; existing allocations are not touched by it.
	if (!guard_allocation(worker->guard, now)) {
		worker->stats.event[EVENT_flood_refused]++;
		return -EAGAIN;
	}
	int result = allocation_add(m, &a, &slot);
	if (result < 0)
		return result;
	guard_known(worker->guard, a.client, a.client_family, 1);
	result = ports_claim(worker, &m->allocations[slot], slot);
	if (result < 0) {
		// Its ports are somebody else's: they are not to be released with it.
		m->allocations[slot].relayed_port[0] = m->allocations[slot].relayed_port[1] = 0;
		allocation_end(worker, slot);
		return result;
	}
	if (!client_index_add(worker->client_index, &key, worker->id))
		worker->stats.event[EVENT_client_index_full]++;
	prepare_client(worker, &m->allocations[slot], now);
	worker->stats.event[EVENT_allocations_installed]++;
	return 0;
}

// The live allocation of an id, or MAPPINGS_NONE.
static uint32_t live(const struct mappings *m, uint64_t id, uint64_t now)
{
	uint32_t slot = id ? mappings_find_id(m, id) : MAPPINGS_NONE;
	if (slot != MAPPINGS_NONE && ticks_passed(m->allocations[slot].deadline, ticks_of(now)))
		return MAPPINGS_NONE;
	return slot;
}

static int refresh_allocation(
	struct worker *worker, const struct api_allocation_change *change, uint64_t now)
{
	struct mappings *m = worker->mappings;
	uint32_t slot = live(m, change->allocation_id, now);
	if (slot == MAPPINGS_NONE)
		return -ENOENT;
	allocation_set_deadline(m, slot, deadline_of(m, now, change->lifetime_ms));
	return 0;
}

static int remove_allocation(struct worker *worker, const struct api_allocation_change *change)
{
	uint32_t slot = change->allocation_id
				? mappings_find_id(worker->mappings, change->allocation_id)
				: MAPPINGS_NONE;
	if (slot == MAPPINGS_NONE)
		return -ENOENT;
	if (change->family != 0) {
		const struct allocation *a = &worker->mappings->allocations[slot];
		if ((change->family != NET_IPV4 && change->family != NET_IPV6) ||
			a->relayed_port[0] == 0 || a->relayed_port[1] == 0)
			return -EINVAL;
		allocation_end_family(worker, slot, change->family == NET_IPV6);
		return 0;
	}
	allocation_end(worker, slot);
	worker->stats.event[EVENT_allocations_removed]++;
	return 0;
}

static bool peer_relayable(const struct allocation *a, const struct net_address *peer)
{
	if (peer->family == NET_IPV4)
		return a->relayed_port[0] != 0;
	return peer->family == NET_IPV6 && a->relayed_port[1] != 0;
}

static uint32_t permission_of(
	const struct mappings *m, uint32_t slot, const struct net_address *peer)
{
	struct permission_key key;
	permission_key_set(&key, peer->bytes, peer->family,
		mappings_handle(slot, m->allocations[slot].generation));
	return mappings_find_permission(m, permission_key_hash(m, &key), &key);
}

static bool is_ours(const struct worker *worker, const struct net_address *peer)
{
	return own_address_find(worker->addresses, peer->family, peer->bytes) != OWN_ADDRESS_NONE;
}

static int permissions(struct worker *worker, uint32_t slot, const struct net_address *peers,
	unsigned count, uint32_t deadline, uint64_t now)
{
	struct mappings *m = worker->mappings;
	uint32_t added[API_PERMISSIONS_MAX] = {0}, all[API_PERMISSIONS_MAX] = {0};
	unsigned added_count = 0;
	int result = 0;
	for (unsigned i = 0; i < count && result == 0; i++) {
		all[i] = permission_of(m, slot, &peers[i]);
		if (all[i] != MAPPINGS_NONE)
			continue;
		result = permission_add(
			m, slot, &peers[i], is_ours(worker, &peers[i]), deadline, &all[i]);
		if (result == 0)
			added[added_count++] = all[i];
	}
	if (result < 0) {
		while (added_count > 0)
			permission_end(m, added[--added_count]);
		return result;
	}
	for (unsigned i = 0; i < count; i++)
		permission_set_deadline(m, all[i], deadline);
	for (unsigned i = 0; i < added_count; i++) {
		struct permission *p = &m->permissions[added[i]];
		struct hop_cache cache = {&p->to_peer, NULL, &p->hop_epoch};
		if (!p->peer_ours)
			transmit_prepare(worker, &cache, p->peer, p->peer_family, 0, now);
	}
	worker->stats.event[EVENT_permissions_installed] += count;
	return 0;
}

static int install_permissions(struct worker *worker, const struct api_permissions_install *install,
	const struct net_address *peers, uint64_t now)
{
	struct mappings *m = worker->mappings;
	uint32_t slot = live(m, install->allocation_id, now);
	if (slot == MAPPINGS_NONE)
		return -ENOENT;
	for (unsigned i = 0; i < install->count; i++)
		if (!peer_relayable(&m->allocations[slot], &peers[i]))
			return -EINVAL;
	return permissions(worker, slot, peers, install->count,
		deadline_of(m, now, install->lifetime_ms), now);
}

static uint32_t session_of_channel(
	const struct mappings *m, const struct allocation *a, uint16_t channel)
{
	struct client_key key;
	client_key_set(&key, a->client, a->client_family, a->client_port, channel, a->server);
	return mappings_find_channel(m, client_key_hash(m, &key), &key);
}

static uint32_t session_of_peer(
	const struct mappings *m, uint32_t slot, const struct net_endpoint *peer)
{
	const struct allocation *a = &m->allocations[slot];
	unsigned side = peer->address.family == NET_IPV6;
	struct peer_key key;
	peer_key_set(&key, peer->address.bytes, peer->address.family, peer->port,
		a->relayed_port[side], a->relayed_index[side]);
	return mappings_find_peer(m, peer_key_hash(m, &key), &key);
}

// A binding that has expired is none (RFC 8656 12.1): it makes room at once.
static uint32_t session_drop_expired(struct mappings *m, uint32_t index, uint64_t now)
{
	if (index == MAPPINGS_NONE || !ticks_passed(m->sessions[index].deadline, ticks_of(now)))
		return index;
	session_end(m, index);
	return MAPPINGS_NONE;
}

static int bind_channel(struct worker *worker, const struct api_channel_bind *bind, uint64_t now)
{
	struct mappings *m = worker->mappings;
	const struct net_endpoint *peer = &bind->peer;
	uint32_t slot = live(m, bind->allocation_id, now);
	if (slot == MAPPINGS_NONE)
		return -ENOENT;
	struct allocation *a = &m->allocations[slot];
	if (!peer_relayable(a, &peer->address) || peer->port == 0 ||
		bind->channel < CHANNEL_NUMBER_FIRST ||
		bind->channel > worker->addresses->channel_last)
		return -EINVAL;
	uint32_t bound = session_drop_expired(m, session_of_channel(m, a, bind->channel), now);
	uint32_t other = session_drop_expired(m, session_of_peer(m, slot, peer), now);
	if (bound != other)
		return -EADDRINUSE;
	uint32_t deadline = deadline_of(m, now, bind->lifetime_ms);
	uint32_t permission_deadline = deadline_of(m, now, bind->permission_lifetime_ms);
	bool fresh = bound == MAPPINGS_NONE;
	if (fresh) {
		unsigned side = peer->address.family == NET_IPV6;
		struct session_parts parts = {
			.peer = *peer,
			.relay_address = &worker->addresses->listen[a->relayed_index[side]],
			.server_address = &worker->addresses->listen[a->server & SERVER_INDEX_MASK],
			.server_port = a->server & SERVER_ALTERNATE_PORT
					       ? worker->addresses->alternate_port
					       : worker->addresses->port,
			.channel = bind->channel,
			.peer_ours = is_ours(worker, &peer->address),
		};
		int result = session_add(m, slot, &parts, deadline, permission_deadline, &bound);
		if (result < 0)
			return result;
	}
	int result = permissions(worker, slot, &peer->address, 1, permission_deadline, now);
	if (result < 0) {
		if (fresh)
			session_end(m, bound);
		return result;
	}
	session_set_deadline(m, bound, deadline);
	worker->stats.event[EVENT_channels_bound]++;
	return 0;
}

int install_execute(
	struct worker *worker, uint32_t type, const void *payload, uint32_t size, uint64_t now)
{
	union {
		struct api_allocation_install allocation;
		struct api_allocation_change change;
		struct api_permissions_install permissions;
		struct api_channel_bind bind;
	} message;
	struct net_address peers[API_PERMISSIONS_MAX];
	int result = -EINVAL;
	worker->stats.stage[STAGE_install].packets++;
	switch (type) {
	case API_ALLOCATION_INSTALL:
		if (size != sizeof(message.allocation))
			break;
		memcpy(&message.allocation, payload, size);
		result = install_allocation(worker, &message.allocation, now);
		break;
	case API_ALLOCATION_REFRESH:
	case API_ALLOCATION_REMOVE:
		if (size != sizeof(message.change))
			break;
		memcpy(&message.change, payload, size);
		result = type == API_ALLOCATION_REFRESH
				 ? refresh_allocation(worker, &message.change, now)
				 : remove_allocation(worker, &message.change);
		break;
	case API_PERMISSIONS_INSTALL:
		if (size < sizeof(message.permissions))
			break;
		memcpy(&message.permissions, payload, sizeof(message.permissions));
		if (message.permissions.count == 0 ||
			message.permissions.count > API_PERMISSIONS_MAX ||
			size != sizeof(message.permissions) +
					message.permissions.count * sizeof(peers[0]))
			break;
		memcpy(peers, (const uint8_t *)payload + sizeof(message.permissions),
			message.permissions.count * sizeof(peers[0]));
		result = install_permissions(worker, &message.permissions, peers, now);
		break;
	case API_CHANNEL_BIND:
		if (size != sizeof(message.bind))
			break;
		memcpy(&message.bind, payload, size);
		result = bind_channel(worker, &message.bind, now);
		break;
	}
	if (result < 0)
		worker->stats.event[EVENT_install_refused]++;
	// Addresses do not stay behind on the stack.
	explicit_bzero(&message, sizeof(message));
	explicit_bzero(peers, sizeof(peers));
	return result;
}

bool install_end_some(struct worker *worker, uint32_t *position)
{
	const struct mappings_pool *pool = &worker->mappings->allocation_pool;
	unsigned ended = 0;
	for (unsigned seen = 0; *position < pool->size && seen < END_SCAN && ended < END_MAX;
		seen++, (*position)++) {
		if (pool->due[*position] == 0)
			continue;
		allocation_end(worker, *position);
		ended++;
	}
	return *position == pool->size;
}

void install_end_all(struct worker *worker)
{
	uint32_t position = 0;
	while (!install_end_some(worker, &position)) {
	}
}
