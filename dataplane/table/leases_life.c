// SPDX-License-Identifier: BSD-3-Clause
// Leases: taking and giving back the table's memory; see leases.h. Main lcore.
#include "dataplane/table/leases_main.h"

#include "dataplane/table/memory.h"

#include <rte_cycles.h>
#include <sodium.h>

enum { RATE_DEFAULT = 20000 };

static uint64_t buckets_for(uint32_t capacity)
{
	uint64_t buckets = 1;
	while (buckets * LEASES_SLOTS < (uint64_t)capacity * 2)
		buckets *= 2;
	return buckets;
}

static void main_free(struct leases_main *m, uint32_t capacity)
{
	if (m == NULL)
		return;
	table_memory_give(m->due, capacity, sizeof(*m->due));
	table_memory_give(m->free_indices, capacity, sizeof(*m->free_indices));
	table_memory_give(m->place, capacity, sizeof(*m->place));
	prefix_shares_close(&m->shares);
	flow_table_close(&m->by_device);
	table_memory_give(m, 1, sizeof(*m));
}

static struct leases_main *main_create(uint32_t capacity, int socket)
{
	struct leases_main *m = table_memory_take(1, sizeof(*m), socket);
	if (m == NULL)
		return NULL;
	m->due = table_memory_take(capacity, sizeof(*m->due), socket);
	m->free_indices = table_memory_take(capacity, sizeof(*m->free_indices), socket);
	m->place = table_memory_take(capacity, sizeof(*m->place), socket);
	m->hz = rte_get_tsc_hz() ? rte_get_tsc_hz() : 1000000000;
	randombytes_buf(&m->device_key, sizeof(m->device_key));
	if (m->due == NULL || m->free_indices == NULL || m->place == NULL ||
		!prefix_shares_open(&m->shares, capacity, socket) ||
		flow_table_open(&m->by_device, capacity, socket) != 0) {
		main_free(m, capacity);
		return NULL;
	}
	for (uint32_t i = 0; i < capacity; i++)
		m->free_indices[i] = capacity - 1 - i;
	m->free_count = capacity;
	return m;
}

struct leases *leases_create(uint32_t capacity, int socket)
{
	if (capacity == 0 || capacity > LEASES_MAX)
		return NULL;
	struct leases *leases = table_memory_take(1, sizeof(*leases), socket);
	if (leases == NULL)
		return NULL;
	uint64_t buckets = buckets_for(capacity);
	randombytes_buf(&leases->key, sizeof(leases->key));
	leases->capacity = capacity;
	leases->mask = buckets - 1;
	leases->entries = table_memory_take(capacity, sizeof(*leases->entries), socket);
	leases->words = table_memory_take(buckets, LEASES_SLOTS * sizeof(*leases->words), socket);
	leases->main = main_create(capacity, socket);
	if (leases->entries == NULL || leases->words == NULL || leases->main == NULL) {
		leases_free(leases);
		return NULL;
	}
	leases_rate_set(leases, RATE_DEFAULT);
	return leases;
}

void leases_free(struct leases *leases)
{
	if (leases == NULL)
		return;
	table_memory_give(leases->entries, leases->capacity, sizeof(*leases->entries));
	table_memory_give(
		(void *)leases->words, leases->mask + 1, LEASES_SLOTS * sizeof(*leases->words));
	main_free(leases->main, leases->capacity);
	table_memory_give(leases, 1, sizeof(*leases));
}

void leases_rate_set(struct leases *leases, uint32_t per_second)
{
	leases->main->interval = leases->main->hz / (per_second ? per_second : 1);
}

void leases_share_set(struct leases *leases, uint32_t most)
{
	leases->main->shares.most = most;
}
