// SPDX-License-Identifier: BSD-3-Clause
// Creation, free, usage and snapshot of one worker's mappings, see mappings.h.
#include "dataplane/table/mappings.h"

#include "dataplane/table/held.h"
#include "dataplane/table/memory.h"

#include <rte_cycles.h>

#include <sodium.h>

enum { SNAPSHOT_SCAN = 8192 }; // slots looked at in one call: a few microseconds

static int pool_open(struct mappings_pool *pool, uint32_t size, int socket)
{
	pool->free_indices = table_memory_take(size, sizeof(*pool->free_indices), socket);
	pool->due = table_memory_take(size, sizeof(*pool->due), socket);
	if (pool->free_indices == NULL || pool->due == NULL)
		return -1;
	pool->size = pool->free_count = size;
	// Low indices on top: few mappings stay in few cache lines and pages.
	for (uint32_t i = 0; i < size; i++)
		pool->free_indices[i] = size - 1 - i;
	return 0;
}

static void pool_close(struct mappings_pool *pool)
{
	table_memory_give(pool->free_indices, pool->size, sizeof(*pool->free_indices));
	table_memory_give(pool->due, pool->size, sizeof(*pool->due));
}

struct mappings *mappings_create(unsigned allocations, unsigned entries, int socket)
{
	if (allocations == 0 || allocations >= 1u << MAPPINGS_HANDLE_SLOT_BITS || entries == 0)
		return NULL;
	struct mappings *m = table_memory_take(1, sizeof(*m), socket);
	if (m == NULL)
		return NULL;
	m->hz = rte_get_tsc_hz() ? rte_get_tsc_hz() : 1000000000;
	randombytes_buf(&m->key, sizeof(m->key));
	randombytes_buf(&m->transaction_key, sizeof(m->transaction_key));
	randombytes_buf(&m->label_key, sizeof(m->label_key));
	m->ipv4_identification = randombytes_random();
	m->allocations = table_memory_take(allocations, sizeof(*m->allocations), socket);
	m->sessions = table_memory_take(entries, sizeof(*m->sessions), socket);
	m->session_chains = table_memory_take(entries, sizeof(*m->session_chains), socket);
	m->permissions = table_memory_take(entries, sizeof(*m->permissions), socket);
	m->held = held_create(socket);
	if (m->allocations == NULL || m->sessions == NULL || m->session_chains == NULL ||
		m->permissions == NULL || m->held == NULL ||
		pool_open(&m->allocation_pool, allocations, socket) < 0 ||
		pool_open(&m->session_pool, entries, socket) < 0 ||
		pool_open(&m->permission_pool, entries, socket) < 0 ||
		flow_table_open(&m->by_client, allocations, socket) < 0 ||
		flow_table_open(&m->by_id, allocations, socket) < 0 ||
		flow_table_open(&m->by_channel, entries, socket) < 0 ||
		flow_table_open(&m->by_peer, entries, socket) < 0 ||
		flow_table_open(&m->by_permission, entries, socket) < 0) {
		mappings_free(m);
		return NULL;
	}
	return m;
}

void mappings_free(struct mappings *m)
{
	if (m == NULL)
		return;
	flow_table_close(&m->by_client);
	flow_table_close(&m->by_id);
	flow_table_close(&m->by_channel);
	flow_table_close(&m->by_peer);
	flow_table_close(&m->by_permission);
	table_memory_give(m->allocations, m->allocation_pool.size, sizeof(*m->allocations));
	table_memory_give(m->sessions, m->session_pool.size, sizeof(*m->sessions));
	table_memory_give(m->session_chains, m->session_pool.size, sizeof(*m->session_chains));
	table_memory_give(m->permissions, m->permission_pool.size, sizeof(*m->permissions));
	pool_close(&m->allocation_pool);
	pool_close(&m->session_pool);
	pool_close(&m->permission_pool);
	held_free(m->held);
	table_memory_give(m, 1, sizeof(*m));
}

void mappings_usage(const struct mappings *m, struct mappings_usage *out)
{
	*out = (struct mappings_usage){
		.allocations = atomic_load_explicit(&m->used_allocations, memory_order_relaxed),
		.permissions = atomic_load_explicit(&m->used_permissions, memory_order_relaxed),
		.channels = atomic_load_explicit(&m->used_channels, memory_order_relaxed),
		.allocations_max = m->allocation_pool.size,
	};
}

uint32_t mappings_find_id(const struct mappings *m, uint64_t id)
{
	uint32_t candidates[2 * FLOW_TABLE_SLOTS];
	unsigned count = flow_table_candidates(&m->by_id, id_hash(m, id), candidates);
	for (unsigned i = 0; i < count; i++)
		if (m->allocations[candidates[i]].id == id)
			return candidates[i];
	return MAPPINGS_NONE;
}

void allocation_relayed(
	const struct mappings *m, const struct allocation *a, struct net_endpoint relayed[static 2])
{
	for (unsigned i = 0; i < 2; i++) {
		relayed[i] = (struct net_endpoint){0};
		if (a->relayed_port[i] == 0)
			continue;
		relayed[i].address = m->addresses->listen[a->relayed_index[i]];
		relayed[i].port = a->relayed_port[i];
	}
}

unsigned mappings_snapshot(const struct mappings *m, uint32_t *position,
	struct api_snapshot_item *items, unsigned max, uint64_t now)
{
	unsigned count = 0;
	uint32_t left = m->allocation_pool.size - *position;
	uint32_t stop = *position + (left < SNAPSHOT_SCAN ? left : SNAPSHOT_SCAN);
	for (; *position < stop && count < max; (*position)++) {
		uint32_t due = m->allocation_pool.due[*position];
		if (due == 0 || ticks_passed(due, ticks_of(now)))
			continue;
		const struct allocation *a = &m->allocations[*position];
		struct api_snapshot_item *item = &items[count++];
		*item = (struct api_snapshot_item){
			.allocation_id = a->id,
			.credential_tag = a->credential_tag,
			.prefix_tag = a->prefix_tag,
			.remaining_ms = ticks_left_ms(a->deadline, now, m->hz),
			.flags = a->api_flags,
			.worker = m->worker,
		};
		allocation_relayed(m, a, item->relayed);
	}
	return count;
}
