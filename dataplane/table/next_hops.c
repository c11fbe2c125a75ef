// SPDX-License-Identifier: BSD-3-Clause
// Links, routes and neighbours, see next_hops.h. next_hops_resolve: workers; the rest: main lcore.
#include "dataplane/table/next_hops.h"

#include "dataplane/table/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct next_hops *next_hops_create(void)
{
	struct next_hops *n = aligned_alloc(64, sizeof(*n));
	if (n == NULL)
		return NULL;
	memset(n, 0, sizeof(*n));
	rte_rwlock_init(&n->lock);
	n->hops = table_memory_take(NEXT_HOPS_NEIGHBOURS_MAX, sizeof(*n->hops), -1);
	n->free_hops = calloc(NEXT_HOPS_NEIGHBOURS_MAX, sizeof(*n->free_hops));
	if (fib_open(&n->fib) < 0 || n->hops == NULL || n->free_hops == NULL ||
		flow_table_open(&n->by_neighbour, NEXT_HOPS_NEIGHBOURS_MAX, -1) < 0) {
		next_hops_free(n);
		return NULL;
	}
	for (uint32_t i = 0; i < NEXT_HOPS_NEIGHBOURS_MAX; i++)
		n->free_hops[i] = NEXT_HOPS_NEIGHBOURS_MAX - 1 - i;
	n->free_count = NEXT_HOPS_NEIGHBOURS_MAX;
	atomic_store(&n->epoch, 1);
	return n;
}

void next_hops_free(struct next_hops *n)
{
	if (n == NULL)
		return;
	fib_close(&n->fib);
	flow_table_close(&n->by_neighbour);
	table_memory_give(n->hops, NEXT_HOPS_NEIGHBOURS_MAX, sizeof(*n->hops));
	free(n->free_hops);
	free(n);
}

// ---- change notices ----

static uint32_t epoch_next(struct next_hops *n)
{
	uint32_t epoch = atomic_load_explicit(&n->epoch, memory_order_relaxed) + 1;
	atomic_store_explicit(&n->epoch, epoch, memory_order_release);
	return epoch;
}

// Cached next hops are looked up again, held packets tried again.
static void routes_changed(struct next_hops *n)
{
	uint32_t epoch = epoch_next(n);
	atomic_store_explicit(&n->routes_epoch, epoch, memory_order_release);
	atomic_store_explicit(&n->neighbours_epoch, epoch, memory_order_release);
}

// ---- neighbours ----

struct neighbour_key {
	uint32_t ifindex;
	const struct net_address *address;
};

static uint64_t neighbour_hash(const struct next_hops *n, const struct neighbour_key *key)
{
	uint64_t words[3];
	memcpy(words, key->address->bytes, 16);
	words[2] = (uint64_t)key->ifindex | (uint64_t)key->address->family << 32;
	return keyed_hash(&n->fib.key, words, 3);
}

static bool neighbour_matches(const void *pool, uint32_t index, const void *key)
{
	const struct next_hop *hop = (const struct next_hop *)pool + index;
	const struct neighbour_key *k = key;
	return hop->ifindex == k->ifindex && net_address_equal(&hop->address, k->address);
}

static uint32_t neighbour_find(const struct next_hops *n, const struct neighbour_key *key)
{
	return flow_table_find(
		&n->by_neighbour, neighbour_hash(n, key), neighbour_matches, n->hops, key);
}

static const struct link *link_find(const struct next_hops *n, uint32_t ifindex)
{
	for (unsigned i = 0; i < NEXT_HOPS_LINKS_MAX; i++)
		if (n->links[i].used && n->links[i].ifindex == ifindex)
			return &n->links[i];
	return NULL;
}

static void hop_write_begin(struct next_hop *hop)
{
	uint32_t sequence = atomic_load_explicit(&hop->sequence, memory_order_relaxed);
	atomic_store_explicit(&hop->sequence, sequence + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
}

static void hop_write_end(struct next_hop *hop)
{
	uint32_t sequence = atomic_load_explicit(&hop->sequence, memory_order_relaxed);
	atomic_store_explicit(&hop->sequence, sequence + 1, memory_order_release);
}

// Everything of the link goes into the neighbour's line, so that a packet reads only that one.
static void hop_take_link(struct next_hop *hop, const struct link *link)
{
	hop->up = link != NULL && link->up && link->port != API_NO_PORT;
	if (!hop->up)
		return;
	hop->port = link->port;
	hop->mtu = link->mtu;
	memcpy(hop->header + 6, link->mac, 6);
	hop->header_length = 12;
	if (link->vlan) {
		hop->header[12] = 0x81;
		hop->header[13] = 0x00;
		hop->header[14] = (uint8_t)(link->vlan >> 8);
		hop->header[15] = (uint8_t)link->vlan;
		hop->header_length = 16;
	}
}

int next_hops_neighbour_set(struct next_hops *n, const struct api_neighbour *neighbour)
{
	if (neighbour->address.family != NET_IPV4 && neighbour->address.family != NET_IPV6)
		return -EINVAL;
	struct neighbour_key key = {neighbour->ifindex, &neighbour->address};
	rte_rwlock_write_lock(&n->lock);
	int result = 0;
	uint32_t at = neighbour_find(n, &key);
	if (at != FLOW_TABLE_NONE) {
		struct next_hop *hop = &n->hops[at];
		hop->marked = 0;
		if (memcmp(hop->header, neighbour->mac, 6) != 0) {
			hop_write_begin(hop);
			memcpy(hop->header, neighbour->mac, 6);
			hop_write_end(hop);
		}
		goto out;
	}
	if (n->free_count == 0) {
		result = -ENOSPC;
		goto out;
	}
	at = n->free_hops[n->free_count - 1];
	result = flow_table_insert(&n->by_neighbour, neighbour_hash(n, &key), at);
	if (result < 0)
		goto out;
	n->free_count--;
	struct next_hop *hop = &n->hops[at];
	uint32_t epoch = epoch_next(n);
	hop_write_begin(hop);
	hop->created = epoch;
	hop->marked = 0;
	hop->ifindex = neighbour->ifindex;
	hop->address = neighbour->address;
	memcpy(hop->header, neighbour->mac, 6);
	hop_take_link(hop, link_find(n, neighbour->ifindex));
	hop->live = 1;
	hop_write_end(hop);
	atomic_store_explicit(&n->neighbours_epoch, epoch, memory_order_release);
out:
	rte_rwlock_write_unlock(&n->lock);
	return result;
}

static void neighbour_remove(struct next_hops *n, uint32_t at)
{
	struct next_hop *hop = &n->hops[at];
	struct neighbour_key key = {hop->ifindex, &hop->address};
	flow_table_remove(&n->by_neighbour, neighbour_hash(n, &key), at);
	epoch_next(n);
	hop_write_begin(hop);
	hop->live = hop->up = hop->marked = 0;
	hop->created = 0;
	hop->port = hop->mtu = 0;
	hop->header_length = 0;
	hop->ifindex = 0;
	table_memory_wipe(hop->header, sizeof(hop->header));
	table_memory_wipe(&hop->address, sizeof(hop->address));
	hop_write_end(hop);
	n->free_hops[n->free_count++] = at;
}

int next_hops_neighbour_delete(struct next_hops *n, const struct api_neighbour *neighbour)
{
	struct neighbour_key key = {neighbour->ifindex, &neighbour->address};
	rte_rwlock_write_lock(&n->lock);
	uint32_t at = neighbour_find(n, &key);
	if (at != FLOW_TABLE_NONE)
		neighbour_remove(n, at);
	rte_rwlock_write_unlock(&n->lock);
	return at != FLOW_TABLE_NONE ? 0 : -ENOENT;
}

// ---- links ----

int next_hops_port(struct next_hops *n, uint16_t port, const char *kernel_interface)
{
	if (port >= PORTS_MAX || strlen(kernel_interface) >= sizeof(n->ports[0].kernel_interface))
		return -EINVAL;
	strcpy(n->ports[port].kernel_interface, kernel_interface);
	return 0;
}

static uint16_t port_of(const struct next_hops *n, const char name[static 16])
{
	for (unsigned i = 0; i < PORTS_MAX; i++)
		if (n->ports[i].kernel_interface[0] &&
			strncmp(n->ports[i].kernel_interface, name, 16) == 0)
			return (uint16_t)i;
	return API_NO_PORT;
}

static void link_tell_neighbours(struct next_hops *n, uint32_t ifindex, const struct link *link)
{
	for (uint32_t i = 0; i < NEXT_HOPS_NEIGHBOURS_MAX; i++) {
		struct next_hop *hop = &n->hops[i];
		if (!hop->live || hop->ifindex != ifindex)
			continue;
		hop_write_begin(hop);
		hop_take_link(hop, link);
		hop_write_end(hop);
	}
}

int next_hops_link_set(struct next_hops *n, const struct api_link_set *set)
{
	if (set->ifindex == 0 || set->vlan > 4094)
		return -EINVAL;
	rte_rwlock_write_lock(&n->lock);
	struct link *link = NULL;
	for (unsigned i = 0; i < NEXT_HOPS_LINKS_MAX; i++) {
		struct link *l = &n->links[i];
		if (l->used && l->ifindex == set->ifindex) {
			link = l;
			break;
		}
		if (!l->used && link == NULL)
			link = l;
	}
	if (link == NULL) {
		rte_rwlock_write_unlock(&n->lock);
		return -ENOSPC;
	}
	struct link now = {
		.used = true,
		.up = set->up,
		.ifindex = set->ifindex,
		.port = port_of(n, set->port_interface),
		.vlan = set->vlan,
		.mtu = set->mtu,
	};
	memcpy(now.mac, set->mac, 6);
	memcpy(now.port_interface, set->port_interface, sizeof(now.port_interface));
	bool changed = !link->used || link->up != now.up || link->port != now.port ||
		       link->vlan != now.vlan || link->mtu != now.mtu ||
		       memcmp(link->mac, now.mac, 6) != 0;
	*link = now;
	if (changed) {
		link_tell_neighbours(n, set->ifindex, link);
		routes_changed(n);
	}
	rte_rwlock_write_unlock(&n->lock);
	return 0;
}

static void link_remove(struct next_hops *n, struct link *link)
{
	link_tell_neighbours(n, link->ifindex, NULL);
	*link = (struct link){0};
	routes_changed(n);
}

int next_hops_link_delete(struct next_hops *n, uint32_t ifindex)
{
	rte_rwlock_write_lock(&n->lock);
	struct link *link = NULL;
	for (unsigned i = 0; i < NEXT_HOPS_LINKS_MAX; i++)
		if (n->links[i].used && n->links[i].ifindex == ifindex)
			link = &n->links[i];
	if (link != NULL)
		link_remove(n, link);
	rte_rwlock_write_unlock(&n->lock);
	return link != NULL ? 0 : -ENOENT;
}

// ---- routes ----

int next_hops_route_set(struct next_hops *n, const struct api_route *route)
{
	rte_rwlock_write_lock(&n->lock);
	int result = fib_set(&n->fib, route);
	if (result > 0)
		routes_changed(n);
	rte_rwlock_write_unlock(&n->lock);
	return result < 0 ? result : 0;
}

int next_hops_route_delete(struct next_hops *n, const struct net_prefix *prefix)
{
	rte_rwlock_write_lock(&n->lock);
	int result = fib_delete(&n->fib, prefix);
	if (result > 0)
		routes_changed(n);
	rte_rwlock_write_unlock(&n->lock);
	return result < 0 ? result : 0;
}

// ---- a new mirror ----

void next_hops_mark(struct next_hops *n)
{
	rte_rwlock_write_lock(&n->lock);
	fib_mark(&n->fib);
	for (uint32_t i = 0; i < NEXT_HOPS_NEIGHBOURS_MAX; i++)
		n->hops[i].marked = n->hops[i].live;
	for (unsigned i = 0; i < NEXT_HOPS_LINKS_MAX; i++)
		n->links[i].marked = n->links[i].used;
	rte_rwlock_write_unlock(&n->lock);
}

void next_hops_sweep(struct next_hops *n)
{
	rte_rwlock_write_lock(&n->lock);
	if (fib_sweep(&n->fib) > 0)
		routes_changed(n);
	for (uint32_t i = 0; i < NEXT_HOPS_NEIGHBOURS_MAX; i++)
		if (n->hops[i].live && n->hops[i].marked)
			neighbour_remove(n, i);
	for (unsigned i = 0; i < NEXT_HOPS_LINKS_MAX; i++)
		if (n->links[i].used && n->links[i].marked)
			link_remove(n, &n->links[i]);
	rte_rwlock_write_unlock(&n->lock);
}

// ---- workers ----

static enum next_hop_verdict resolve_locked(const struct next_hops *n,
	const struct net_address *destination, uint32_t flow, uint16_t *index, uint32_t *epoch,
	struct api_neighbour_wanted *wanted)
{
	const struct fib_group *group = fib_find(&n->fib, destination);
	if (group == NULL)
		return NEXT_HOP_NO_ROUTE;
	if (group->count == 0)
		return NEXT_HOP_BLACKHOLE;
	// Equal-cost hops whose link is down are passed over, beginning at the flow's own.
	unsigned choice = (unsigned)((uint64_t)flow * group->count >> 32);
	for (unsigned i = 0; i < group->count; i++) {
		const struct api_next_hop *hop = &group->hops[(choice + i) % group->count];
		const struct link *link = link_find(n, hop->ifindex);
		if (link == NULL || !link->up || link->port == API_NO_PORT)
			continue;
		struct neighbour_key key = {hop->ifindex,
			hop->gateway.family == NET_UNSPECIFIED ? destination : &hop->gateway};
		uint32_t at = neighbour_find(n, &key);
		if (at == FLOW_TABLE_NONE) {
			*wanted = (struct api_neighbour_wanted){key.ifindex, *key.address};
			return NEXT_HOP_UNRESOLVED;
		}
		*index = (uint16_t)at;
		*epoch = atomic_load_explicit(&n->epoch, memory_order_relaxed);
		return NEXT_HOP_FOUND;
	}
	return NEXT_HOP_LINK_DOWN;
}

enum next_hop_verdict next_hops_resolve(struct next_hops *n, const struct net_address *destination,
	uint32_t flow, uint16_t *index, uint32_t *epoch, struct api_neighbour_wanted *wanted)
{
	if (rte_rwlock_read_trylock(&n->lock) != 0)
		return NEXT_HOP_BUSY;
	enum next_hop_verdict verdict = resolve_locked(n, destination, flow, index, epoch, wanted);
	rte_rwlock_read_unlock(&n->lock);
	return verdict;
}
