// SPDX-License-Identifier: BSD-3-Clause
// Adding, refreshing and ending allocations, permissions and sessions, see mappings.h. Owner
// worker.
#include "dataplane/table/mappings.h"

#include "dataplane/stage/guard.h"
#include "dataplane/table/client_index.h"
#include "dataplane/table/memory.h"
#include "dataplane/table/next_hops.h"
#include "dataplane/table/relay_ports.h"
#include "lib/wire/checksum.h"

#include <errno.h>

static uint32_t pool_take(struct mappings_pool *pool, uint32_t deadline)
{
	if (pool->free_count == 0)
		return MAPPINGS_NONE;
	uint32_t index = pool->free_indices[--pool->free_count];
	pool->due[index] = deadline;
	return index;
}

static void pool_give(struct mappings_pool *pool, uint32_t index)
{
	pool->due[index] = 0;
	pool->free_indices[pool->free_count++] = index;
}

static void count(_Atomic uint64_t *counter, int64_t change)
{
	// One writer: no read-modify-write instruction needed.
	uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
	atomic_store_explicit(counter, now + (uint64_t)change, memory_order_relaxed);
}

int allocation_add(struct mappings *m, const struct allocation *from, uint32_t *slot)
{
	struct client_key key;
	mappings_client_key(from, &key);
	uint64_t hash = client_key_hash(m, &key), by_id = id_hash(m, from->id);
	if (mappings_find_client(m, hash, &key) != MAPPINGS_NONE ||
		mappings_find_id(m, from->id) != MAPPINGS_NONE)
		return -EEXIST;
	uint32_t index = pool_take(&m->allocation_pool, from->deadline);
	if (index == MAPPINGS_NONE)
		return -ENOSPC;
	if (flow_table_insert(&m->by_client, hash, index) < 0)
		goto give;
	if (flow_table_insert(&m->by_id, by_id, index) < 0)
		goto remove;
	struct allocation *a = &m->allocations[index];
	uint32_t generation = a->generation + 1;
	*a = *from;
	a->generation = generation;
	a->to_client = NEXT_HOP_NONE;
	a->permissions = a->channels = 0;
	a->first_permission = a->first_session = MAPPINGS_NONE;
	count(&m->used_allocations, 1);
	*slot = index;
	return 0;
remove:
	flow_table_remove(&m->by_client, hash, index);
give:
	pool_give(&m->allocation_pool, index);
	return -ENOSPC;
}

// A channel's line carries the earlier of its own deadline and the allocation's.
void allocation_set_deadline(struct mappings *m, uint32_t slot, uint32_t deadline)
{
	struct allocation *a = &m->allocations[slot];
	a->deadline = m->allocation_pool.due[slot] = deadline;
	for (uint32_t i = a->first_session; i != MAPPINGS_NONE; i = m->session_chains[i].next)
		m->sessions[i].deadline = ticks_earlier(m->session_pool.due[i], deadline);
}

void allocation_end(struct worker *worker, uint32_t slot)
{
	struct mappings *m = worker->mappings;
	struct allocation *a = &m->allocations[slot];
	while (a->first_session != MAPPINGS_NONE)
		session_end(m, a->first_session);
	while (a->first_permission != MAPPINGS_NONE)
		permission_end(m, a->first_permission);
	struct relay_port_owner owner = {worker->id, slot, a->generation};
	for (unsigned i = 0; i < 2; i++)
		if (a->relayed_port[i])
			relay_ports_release(worker->relay_ports, a->relayed_index[i],
				a->relayed_port[i], &owner);
	struct client_key key;
	mappings_client_key(a, &key);
	flow_table_remove(&m->by_client, client_key_hash(m, &key), slot);
	flow_table_remove(&m->by_id, id_hash(m, a->id), slot);
	client_index_remove(worker->client_index, &key, worker->id);
	guard_known(worker->guard, a->client, a->client_family, -1);
	uint32_t generation = a->generation;
	table_memory_wipe(a, sizeof(*a));
	table_memory_wipe(&key, sizeof(key));
	a->generation = generation;
	pool_give(&m->allocation_pool, slot);
	count(&m->used_allocations, -1);
}

void allocation_end_family(struct worker *worker, uint32_t slot, unsigned side)
{
	struct mappings *m = worker->mappings;
	struct allocation *a = &m->allocations[slot];
	unsigned family = side ? NET_IPV6 : NET_IPV4;
	for (uint32_t next, i = a->first_session; i != MAPPINGS_NONE; i = next) {
		next = m->session_chains[i].next;
		if (((m->sessions[i].relay & SESSION_PEER_IPV6) != 0) == (side != 0))
			session_end(m, i);
	}
	for (uint32_t next, i = a->first_permission; i != MAPPINGS_NONE; i = next) {
		next = m->permissions[i].next;
		if (m->permissions[i].peer_family == family)
			permission_end(m, i);
	}
	struct relay_port_owner owner = {worker->id, slot, a->generation};
	relay_ports_release(
		worker->relay_ports, a->relayed_index[side], a->relayed_port[side], &owner);
	a->relayed_port[side] = 0;
	a->relayed_index[side] = 0;
}

static uint64_t permission_hash(const struct mappings *m, const struct permission *p)
{
	struct permission_key key;
	permission_key_set(&key, p->peer, p->peer_family, p->handle);
	uint64_t hash = permission_key_hash(m, &key);
	table_memory_wipe(&key, sizeof(key));
	return hash;
}

int permission_add(struct mappings *m, uint32_t allocation, const struct net_address *peer,
	bool peer_ours, uint32_t deadline, uint32_t *index)
{
	struct allocation *a = &m->allocations[allocation];
	if (a->permissions >= MAPPINGS_PERMISSIONS_MAX)
		return -ENOSPC;
	uint32_t i = pool_take(&m->permission_pool, deadline);
	if (i == MAPPINGS_NONE)
		return -ENOSPC;
	struct permission *p = &m->permissions[i];
	*p = (struct permission){
		.handle = mappings_handle(allocation, a->generation),
		.next = a->first_permission,
		.to_peer = NEXT_HOP_NONE,
		.peer_family = peer->family,
		.peer_ours = peer_ours,
	};
	memcpy(p->peer, peer->bytes, 16);
	if (flow_table_insert(&m->by_permission, permission_hash(m, p), i) < 0) {
		table_memory_wipe(p, sizeof(*p));
		pool_give(&m->permission_pool, i);
		return -ENOSPC;
	}
	a->first_permission = i;
	a->permissions++;
	count(&m->used_permissions, 1);
	*index = i;
	return 0;
}

// Channels to that address learn it too: what a peer sends is then decided in one cache line.
static void permission_tell_sessions(
	struct mappings *m, const struct permission *p, uint32_t deadline)
{
	const struct allocation *a = &m->allocations[mappings_slot(p->handle)];
	for (uint32_t i = a->first_session; i != MAPPINGS_NONE; i = m->session_chains[i].next) {
		struct session *s = &m->sessions[i];
		unsigned family = s->relay & SESSION_PEER_IPV6 ? NET_IPV6 : NET_IPV4;
		if (family == p->peer_family && mappings_address_equal(s->peer, p->peer))
			s->permission_deadline = deadline;
	}
}

void permission_set_deadline(struct mappings *m, uint32_t index, uint32_t deadline)
{
	m->permission_pool.due[index] = deadline;
	permission_tell_sessions(m, &m->permissions[index], deadline);
}

void permission_end(struct mappings *m, uint32_t index)
{
	struct permission *p = &m->permissions[index];
	struct allocation *a = &m->allocations[mappings_slot(p->handle)];
	flow_table_remove(&m->by_permission, permission_hash(m, p), index);
	// At most MAPPINGS_PERMISSIONS_MAX steps, and one where the whole allocation ends.
	uint32_t *link = &a->first_permission;
	while (*link != index)
		link = &m->permissions[*link].next;
	*link = p->next;
	a->permissions--;
	table_memory_wipe(p, sizeof(*p));
	pool_give(&m->permission_pool, index);
	count(&m->used_permissions, -1);
}

void session_keys(const struct session *s, struct client_key *channel, struct peer_key *peer)
{
	client_key_set(channel, s->client, s->relay & SESSION_CLIENT_IPV6 ? NET_IPV6 : NET_IPV4,
		s->client_port, s->channel, s->server);
	peer_key_set(peer, s->peer, s->relay & SESSION_PEER_IPV6 ? NET_IPV6 : NET_IPV4,
		s->peer_port, s->relayed_port, s->relay & SESSION_RELAY_MASK);
}

// ~old + new over the parts of pseudo-header, UDP header and payload that are the same for every
// packet of the channel; the lengths are left to the packet.
static uint16_t session_delta(const struct session *s, const struct session_parts *parts)
{
	uint16_t old_words[] = {__builtin_bswap16(s->client_port),
		__builtin_bswap16(parts->server_port), __builtin_bswap16(parts->channel)};
	uint16_t new_words[] = {
		__builtin_bswap16(s->relayed_port), __builtin_bswap16(parts->peer.port)};
	uint64_t goes = checksum_sum(s->client, 16) +
			checksum_sum(parts->server_address->bytes, 16) +
			checksum_sum(old_words, sizeof(old_words));
	uint64_t comes = checksum_sum(parts->relay_address->bytes, 16) + checksum_sum(s->peer, 16) +
			 checksum_sum(new_words, sizeof(new_words));
	return checksum_fold((uint64_t)(uint16_t)~checksum_fold(goes) + checksum_fold(comes));
}

int session_add(struct mappings *m, uint32_t allocation, const struct session_parts *parts,
	uint32_t deadline, uint32_t permission_deadline, uint32_t *index)
{
	struct allocation *a = &m->allocations[allocation];
	if (a->channels >= MAPPINGS_CHANNELS_MAX)
		return -ENOSPC;
	uint32_t i = pool_take(&m->session_pool, deadline);
	if (i == MAPPINGS_NONE)
		return -ENOSPC;
	unsigned side = parts->peer.address.family == NET_IPV6;
	struct session *s = &m->sessions[i];
	*s = (struct session){
		.client_port = a->client_port,
		.peer_port = parts->peer.port,
		.relayed_port = a->relayed_port[side],
		.channel = parts->channel,
		.handle = mappings_handle(allocation, a->generation),
		.deadline = ticks_earlier(deadline, a->deadline),
		.permission_deadline = permission_deadline,
		.to_peer = NEXT_HOP_NONE,
		.to_client = NEXT_HOP_NONE,
		.server = a->server,
		.relay = (uint8_t)(a->relayed_index[side] |
				   (a->client_family == NET_IPV6 ? SESSION_CLIENT_IPV6 : 0) |
				   (side ? SESSION_PEER_IPV6 : 0) |
				   (parts->peer_ours ? SESSION_PEER_OURS : 0)),
	};
	memcpy(s->client, a->client, 16);
	memcpy(s->peer, parts->peer.address.bytes, 16);
	s->delta = session_delta(s, parts);
	struct client_key channel;
	struct peer_key peer;
	session_keys(s, &channel, &peer);
	uint64_t by_channel = client_key_hash(m, &channel);
	if (flow_table_insert(&m->by_channel, by_channel, i) < 0)
		goto give;
	if (flow_table_insert(&m->by_peer, peer_key_hash(m, &peer), i) < 0)
		goto remove;
	m->session_chains[i] = (struct session_chain){a->first_session, MAPPINGS_NONE};
	if (a->first_session != MAPPINGS_NONE)
		m->session_chains[a->first_session].previous = i;
	a->first_session = i;
	a->channels++;
	count(&m->used_channels, 1);
	*index = i;
	return 0;
remove:
	flow_table_remove(&m->by_channel, by_channel, i);
give:
	table_memory_wipe(s, sizeof(*s));
	pool_give(&m->session_pool, i);
	return -ENOSPC;
}

void session_set_deadline(struct mappings *m, uint32_t index, uint32_t deadline)
{
	struct session *s = &m->sessions[index];
	m->session_pool.due[index] = deadline;
	s->deadline = ticks_earlier(deadline, m->allocations[mappings_slot(s->handle)].deadline);
}

void session_end(struct mappings *m, uint32_t index)
{
	struct session *s = &m->sessions[index];
	struct session_chain *chain = &m->session_chains[index];
	struct allocation *a = &m->allocations[mappings_slot(s->handle)];
	struct client_key channel;
	struct peer_key peer;
	session_keys(s, &channel, &peer);
	flow_table_remove(&m->by_channel, client_key_hash(m, &channel), index);
	flow_table_remove(&m->by_peer, peer_key_hash(m, &peer), index);
	if (chain->previous != MAPPINGS_NONE)
		m->session_chains[chain->previous].next = chain->next;
	else
		a->first_session = chain->next;
	if (chain->next != MAPPINGS_NONE)
		m->session_chains[chain->next].previous = chain->previous;
	a->channels--;
	table_memory_wipe(s, sizeof(*s));
	table_memory_wipe(chain, sizeof(*chain));
	table_memory_wipe(&channel, sizeof(channel));
	table_memory_wipe(&peer, sizeof(peer));
	pool_give(&m->session_pool, index);
	count(&m->used_channels, -1);
}
