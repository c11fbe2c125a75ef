// SPDX-License-Identifier: BSD-3-Clause
// Leases, main's side: making, moving and ending them; see leases.h. The index is in
// leases_index.c, what workers read in leases_read.c.
#include "dataplane/table/leases_main.h"

#include "dataplane/table/memory.h"
#include "dataplane/table/next_hops.h"
#include "dataplane/table/own_addresses.h"
#include "dataplane/table/sequence.h"

#include <errno.h>

static bool rate_allows(struct leases_main *m, uint64_t now)
{
	if ((int64_t)(m->paid_until - now) < 0)
		m->paid_until = now;
	if (m->paid_until + m->interval - now > m->hz)
		return false;
	m->paid_until += m->interval;
	return true;
}

static void count(_Atomic uint64_t *counter, int64_t change)
{
	// One writer: no read-modify-write instruction needed.
	uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
	atomic_store_explicit(counter, now + (uint64_t)change, memory_order_relaxed);
}

// ---- devices ----

static uint64_t mark_of(const struct leases *leases, const uint8_t *address, const uint8_t *device)
{
	uint64_t words[5];
	static_assert(sizeof(words) == NATIVE_ADDRESS_SIZE + NATIVE_DEVICE_SIZE, "as words");
	memcpy(words, address, NATIVE_ADDRESS_SIZE);
	memcpy(words + 4, device, NATIVE_DEVICE_SIZE);
	return keyed_hash(&leases->main->device_key, words, 5);
}

struct device_key {
	uint64_t mark;
	const uint8_t *address, *device;
};

// Of a tombstone there is nothing but the mark.
static bool device_matches(const void *pool, uint32_t index, const void *key)
{
	const struct lease *e = (const struct lease *)pool + index;
	const struct device_key *k = key;
	return e->mark == k->mark &&
	       (e->deadline == 0 || (memcmp(e->address, k->address, NATIVE_ADDRESS_SIZE) == 0 &&
					    memcmp(e->device, k->device, NATIVE_DEVICE_SIZE) == 0));
}

static uint32_t device_find(const struct leases *leases, const struct device_key *key)
{
	return flow_table_find(
		&leases->main->by_device, key->mark, device_matches, leases->entries, key);
}

// An entry for a device that has none: a tombstone until it is given more.
static uint32_t entry_take(struct leases *leases, uint64_t mark, uint16_t place)
{
	struct leases_main *m = leases->main;
	if (m->free_count == 0)
		return LEASES_NONE;
	uint32_t index = m->free_indices[m->free_count - 1];
	if (flow_table_insert(&m->by_device, mark, index) != 0)
		return LEASES_NONE;
	m->free_count--;
	leases->entries[index].mark = mark;
	m->place[index] = place;
	prefix_shares_take(&m->shares, place);
	count(&leases->tombstones, 1);
	return index;
}

static void entry_give(struct leases *leases, uint32_t index)
{
	struct leases_main *m = leases->main;
	struct lease *e = &leases->entries[index];
	flow_table_remove(&m->by_device, e->mark, index);
	sequence_wait(&e->sequence);
	e->mark = 0;
	e->issued = e->changed = 0;
	sequence_give(&e->sequence);
	m->due[index] = 0;
	prefix_shares_give(&m->shares, m->place[index]);
	m->place[index] = 0;
	m->free_indices[m->free_count++] = index;
	count(&leases->tombstones, -1);
}

// Whether an entry more can be made from there.
static bool entry_left(const struct leases *leases, uint16_t place)
{
	return leases->main->free_count > 0 && prefix_shares_has(&leases->main->shares, place, 1);
}

static uint32_t tombstone_due(const struct leases *leases, uint32_t changed)
{
	uint32_t due =
		changed + (uint32_t)(leases->main->hz * LEASES_TOMBSTONE_S >> TICKS_SHIFT) + 1;
	return due ? due : 1;
}

// ---- ending ----

// Wipes a lease, leaving a tombstone.
static void lease_end(struct leases *leases, uint32_t index)
{
	struct lease *e = &leases->entries[index];
	leases_unlink(leases, index);
	sequence_wait(&e->sequence);
	table_memory_wipe(e->address, sizeof(e->address));
	table_memory_wipe(e->client, sizeof(e->client));
	table_memory_wipe(e->device, sizeof(e->device));
	e->client_port = e->hop = 0;
	e->server = e->family = 0;
	e->hop_epoch = 0;
	e->deadline = 0;
	e->next = 0;
	sequence_give(&e->sequence);
	leases->main->due[index] = tombstone_due(leases, e->changed);
	count(&leases->used, -1);
	count(&leases->tombstones, 1);
}

// A lease whose time has come, ahead of the scan.
static void lease_end_due(struct leases *leases, uint32_t index, uint32_t tick)
{
	lease_end(leases, index);
	if (ticks_passed(leases->main->due[index], tick))
		entry_give(leases, index);
}

// Devices of the chain, without those whose time has come, which are ended.
static unsigned chain_count(
	struct leases *leases, const uint8_t *address, uint64_t hash, uint32_t tick)
{
	unsigned devices = 0;
	uint32_t index = leases_head_find(leases, address, hash).index;
	while (index != LEASES_NONE) {
		const struct lease *e = &leases->entries[index];
		uint32_t next = e->next;
		if (ticks_passed(e->deadline, tick))
			lease_end_due(leases, index, tick);
		else
			devices++;
		index = next;
	}
	return devices;
}

// ---- requests ----

static bool is_at(const struct lease *e, const struct api_lease *in, int server)
{
	return e->server == server && e->client_port == in->client.port &&
	       e->family == in->client.address.family &&
	       mappings_address_equal(e->client, in->client.address.bytes);
}

static void entry_bind(
	struct lease *e, const struct api_lease *in, int server, uint32_t deadline, uint32_t tick)
{
	if (!is_at(e, in, server)) {
		memcpy(e->client, in->client.address.bytes, sizeof(e->client));
		e->client_port = in->client.port;
		e->family = in->client.address.family;
		e->server = (uint8_t)server;
		e->hop = NEXT_HOP_NONE;
	}
	e->deadline = deadline;
	e->issued = in->issued;
	e->changed = tick;
}

// The device has a lease.
static int lease_change(
	struct leases *leases, uint32_t index, const struct api_lease *in, int server, uint64_t now)
{
	struct lease *e = &leases->entries[index];
	int32_t newer = (int32_t)(in->issued - e->issued);
	if (newer < 0)
		return -ESTALE;
	if (newer == 0)
		return is_at(e, in, server) ? 0 : -ESTALE;
	uint32_t deadline = ticks_deadline(now, in->lifetime_ms, leases->main->hz);
	sequence_wait(&e->sequence);
	entry_bind(e, in, server, deadline, ticks_of(now));
	sequence_give(&e->sequence);
	leases->main->due[index] = deadline;
	return 0;
}

// The device has none; index: of its tombstone.
static int lease_make(struct leases *leases, uint32_t index, const struct device_key *key,
	const struct api_lease *in, int server, uint64_t now)
{
	const uint16_t place = prefix_shares_place(&leases->main->shares, &in->client.address);
	uint32_t tick = ticks_of(now), deadline;
	uint64_t hash = leases_hash(leases, in->address);
	if (chain_count(leases, in->address, hash, tick) >= NATIVE_DEVICES_MAX)
		return -EMLINK;
	struct leases_head head = leases_head_find(leases, in->address, hash);
	if (head.word == NULL)
		head.word = leases_word_choose(leases, hash);
	if (head.word == NULL || (index == LEASES_NONE && !entry_left(leases, place)))
		return -ENOSPC;
	if (!rate_allows(leases->main, now))
		return -EAGAIN;
	if (index == LEASES_NONE)
		index = entry_take(leases, key->mark, place);
	if (index == LEASES_NONE)
		return -ENOSPC;
	struct lease *e = &leases->entries[index];
	deadline = ticks_deadline(now, in->lifetime_ms, leases->main->hz);
	sequence_wait(&e->sequence);
	memcpy(e->address, in->address, sizeof(e->address));
	memcpy(e->device, in->device, sizeof(e->device));
	e->next = head.index;
	entry_bind(e, in, server, deadline, tick);
	sequence_give(&e->sequence);
	leases_link_head(&head, hash, index);
	leases->main->due[index] = deadline;
	count(&leases->used, 1);
	count(&leases->tombstones, -1);
	return 0;
}

// The device's entry, after what has passed since the last scan; LEASES_NONE.
static uint32_t device_now(struct leases *leases, const struct device_key *key, uint32_t tick)
{
	uint32_t index = device_find(leases, key);
	if (index == LEASES_NONE)
		return LEASES_NONE;
	if (leases->entries[index].deadline != 0 &&
		ticks_passed(leases->entries[index].deadline, tick)) {
		lease_end_due(leases, index, tick);
		index = device_find(leases, key);
	} else if (leases->entries[index].deadline == 0 &&
		   ticks_passed(leases->main->due[index], tick)) {
		entry_give(leases, index);
		index = LEASES_NONE;
	}
	return index;
}

int leases_set(struct leases *leases, const struct node_addresses *addresses,
	const struct api_lease *in, bool draining, uint64_t now)
{
	int server = own_server_of_client(addresses, &in->client, &in->server);
	if (server < 0 || in->lifetime_ms == 0)
		return -EINVAL;
	const struct device_key key = {
		mark_of(leases, in->address, in->device), in->address, in->device};
	uint32_t index = device_now(leases, &key, ticks_of(now));
	if (index != LEASES_NONE && leases->entries[index].deadline != 0)
		return lease_change(leases, index, in, server, now);
	if (index != LEASES_NONE && (int32_t)(in->issued - leases->entries[index].issued) <= 0)
		return -ESTALE;
	if (draining)
		return -ESHUTDOWN;
	return lease_make(leases, index, &key, in, server, now);
}

int leases_remove(struct leases *leases, const struct api_lease *in, uint64_t now)
{
	const struct device_key key = {
		mark_of(leases, in->address, in->device), in->address, in->device};
	uint32_t tick = ticks_of(now), index = device_now(leases, &key, tick);
	if (index == LEASES_NONE) {
		// What this device asked for before may still be under way.
		const uint16_t place =
			prefix_shares_place(&leases->main->shares, &in->client.address);
		if (!entry_left(leases, place))
			return -ENOSPC;
		if (!rate_allows(leases->main, now))
			return -EAGAIN;
		index = entry_take(leases, key.mark, place);
		if (index == LEASES_NONE)
			return -ENOSPC;
		leases->entries[index].issued = in->issued;
	}
	struct lease *e = &leases->entries[index];
	int32_t newer = (int32_t)(in->issued - e->issued);
	if (newer < 0 ||
		(newer == 0 && e->deadline != 0 &&
			(e->client_port != in->client.port ||
				e->family != in->client.address.family ||
				!mappings_address_equal(e->client, in->client.address.bytes))))
		return -ESTALE;
	if (e->deadline != 0)
		lease_end(leases, index);
	sequence_wait(&e->sequence);
	e->issued = in->issued;
	e->changed = tick;
	sequence_give(&e->sequence);
	leases->main->due[index] = tombstone_due(leases, tick);
	return 0;
}

// ---- time ----

bool leases_empty(const struct leases *leases)
{
	return leases->main->free_count == leases->capacity;
}

unsigned leases_expire(struct leases *leases, uint64_t now, unsigned budget)
{
	struct leases_main *m = leases->main;
	uint32_t tick = ticks_of(now);
	unsigned ended = 0;
	for (; budget > 0; budget--) {
		uint32_t index = m->scan++;
		if (m->scan == leases->capacity)
			m->scan = 0;
		if (m->due[index] == 0 || !ticks_passed(m->due[index], tick))
			continue;
		if (leases->entries[index].deadline != 0) {
			lease_end_due(leases, index, tick);
			ended++;
		} else {
			entry_give(leases, index);
		}
	}
	return ended;
}

bool leases_end_some(struct leases *leases, uint32_t *position, unsigned budget)
{
	for (; budget > 0 && *position < leases->capacity; budget--, ++*position)
		if (leases->entries[*position].deadline != 0)
			lease_end(leases, *position);
	return *position == leases->capacity;
}
