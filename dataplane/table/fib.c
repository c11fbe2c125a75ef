// SPDX-License-Identifier: BSD-3-Clause
// Routes, see fib.h. Writers: main lcore under next_hops' write lock; fib_find: any worker under
// its read lock.
#include "dataplane/table/fib.h"

#include "dataplane/table/memory.h"

#include <sodium.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int fib_open(struct fib *fib)
{
	*fib = (struct fib){0};
	randombytes_buf(&fib->key, sizeof(fib->key));
	fib->routes = calloc(FIB_ROUTES_MAX, sizeof(*fib->routes));
	fib->free_routes = calloc(FIB_ROUTES_MAX, sizeof(*fib->free_routes));
	fib->groups = calloc(FIB_GROUPS_MAX, sizeof(*fib->groups));
	if (fib->routes == NULL || fib->free_routes == NULL || fib->groups == NULL ||
		flow_table_open(&fib->table, FIB_ROUTES_MAX, -1) < 0) {
		fib_close(fib);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < FIB_ROUTES_MAX; i++)
		fib->free_routes[i] = FIB_ROUTES_MAX - 1 - i;
	fib->free_count = FIB_ROUTES_MAX;
	return 0;
}

void fib_close(struct fib *fib)
{
	flow_table_close(&fib->table);
	free(fib->routes);
	free(fib->free_routes);
	free(fib->groups);
	*fib = (struct fib){0};
}

static uint64_t prefix_hash(const struct fib *fib, const struct net_prefix *prefix)
{
	uint64_t words[3];
	memcpy(words, prefix->address.bytes, 16);
	words[2] = (uint64_t)prefix->address.family | (uint64_t)prefix->length << 8;
	return keyed_hash(&fib->key, words, 3);
}

static bool prefix_matches(const void *pool, uint32_t index, const void *key)
{
	const struct fib_route *route = (const struct fib_route *)pool + index;
	const struct net_prefix *prefix = key;
	return route->prefix.length == prefix->length &&
	       net_address_equal(&route->prefix.address, &prefix->address);
}

static uint32_t route_find(const struct fib *fib, const struct net_prefix *prefix)
{
	return flow_table_find(
		&fib->table, prefix_hash(fib, prefix), prefix_matches, fib->routes, prefix);
}

static bool group_equal(const struct fib_group *group, const struct api_route *route)
{
	return group->users && group->count == route->count &&
	       memcmp(group->hops, route->hops, route->count * sizeof(route->hops[0])) == 0;
}

static int group_take(struct fib *fib, const struct api_route *route)
{
	int free_group = -ENOSPC;
	for (unsigned i = 0; i < fib->groups_end; i++) {
		if (group_equal(&fib->groups[i], route)) {
			fib->groups[i].users++;
			return (int)i;
		}
		if (fib->groups[i].users == 0 && free_group < 0)
			free_group = (int)i;
	}
	if (free_group < 0 && fib->groups_end < FIB_GROUPS_MAX)
		free_group = (int)fib->groups_end++;
	if (free_group < 0)
		return free_group;
	struct fib_group *group = &fib->groups[free_group];
	*group = (struct fib_group){.users = 1, .count = route->count};
	memcpy(group->hops, route->hops, route->count * sizeof(route->hops[0]));
	return free_group;
}

static void group_give(struct fib *fib, uint16_t group)
{
	fib->groups[group].users--;
	while (fib->groups_end > 0 && fib->groups[fib->groups_end - 1].users == 0)
		fib->groups_end--;
}

static bool prefix_valid(const struct net_prefix *prefix)
{
	unsigned longest = prefix->address.family == NET_IPV4   ? 32
			   : prefix->address.family == NET_IPV6 ? 128
								: 0;
	if (longest == 0 || prefix->length > longest)
		return false;
	struct net_prefix canonical = net_prefix_of(&prefix->address, prefix->length);
	return net_address_equal(&canonical.address, &prefix->address);
}

static uint32_t *length_users(struct fib *fib, const struct net_prefix *prefix)
{
	return &fib->lengths[prefix->address.family == NET_IPV6][prefix->length];
}

int fib_set(struct fib *fib, const struct api_route *route)
{
	if (!prefix_valid(&route->prefix) || route->count > API_NEXT_HOPS_MAX)
		return -EINVAL;
	uint32_t at = route_find(fib, &route->prefix);
	if (at != FLOW_TABLE_NONE && group_equal(&fib->groups[fib->routes[at].group], route)) {
		fib->routes[at].marked = false;
		return 0;
	}
	int group = group_take(fib, route);
	if (group < 0)
		return group;
	if (at != FLOW_TABLE_NONE) {
		group_give(fib, fib->routes[at].group);
		fib->routes[at].group = (uint16_t)group;
		fib->routes[at].marked = false;
		return 1;
	}
	if (fib->free_count == 0)
		goto full;
	at = fib->free_routes[fib->free_count - 1];
	if (flow_table_insert(&fib->table, prefix_hash(fib, &route->prefix), at) < 0)
		goto full;
	fib->free_count--;
	fib->routes[at] = (struct fib_route){.group = (uint16_t)group};
	fib->routes[at].prefix.address = route->prefix.address;
	fib->routes[at].prefix.length = route->prefix.length;
	++*length_users(fib, &route->prefix);
	return 1;
full:
	group_give(fib, (uint16_t)group);
	return -ENOSPC;
}

static void route_remove(struct fib *fib, uint32_t at)
{
	struct fib_route *route = &fib->routes[at];
	flow_table_remove(&fib->table, prefix_hash(fib, &route->prefix), at);
	--*length_users(fib, &route->prefix);
	group_give(fib, route->group);
	*route = (struct fib_route){0};
	fib->free_routes[fib->free_count++] = at;
}

int fib_delete(struct fib *fib, const struct net_prefix *prefix)
{
	uint32_t at = route_find(fib, prefix);
	if (at == FLOW_TABLE_NONE)
		return -ENOENT;
	route_remove(fib, at);
	return 1;
}

const struct fib_group *fib_find(const struct fib *fib, const struct net_address *address)
{
	unsigned side = address->family == NET_IPV6;
	for (int length = side ? 128 : 32; length >= 0; length--) {
		if (fib->lengths[side][length] == 0)
			continue;
		struct net_prefix prefix = net_prefix_of(address, (unsigned)length);
		uint32_t at = route_find(fib, &prefix);
		if (at != FLOW_TABLE_NONE)
			return &fib->groups[fib->routes[at].group];
	}
	return NULL;
}

void fib_mark(struct fib *fib)
{
	for (uint32_t i = 0; i < FIB_ROUTES_MAX; i++)
		fib->routes[i].marked = true;
}

unsigned fib_sweep(struct fib *fib)
{
	unsigned removed = 0;
	for (uint32_t i = 0; i < FIB_ROUTES_MAX; i++) {
		if (fib->routes[i].prefix.address.family == NET_UNSPECIFIED ||
			!fib->routes[i].marked)
			continue;
		route_remove(fib, i);
		removed++;
	}
	return removed;
}
