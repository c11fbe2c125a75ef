// SPDX-License-Identifier: BSD-3-Clause
// Routes of both families: longest prefix match to a group of up to eight next hops.
//
// One flow table keyed by (prefix, length), asked once for each length in use from the longest to
// the shortest, instead of rte_lpm and rte_lpm6: those cost 64 MiB of locked memory each for an
// answer in a few nanoseconds, and here a route is looked up once per mapping and route change, not
// per packet (next_hops.h caches it). A server has 3-8 lengths in use, a full table 25: 0.1 to 1
// microsecond. It also has no tbl8 groups to run out of.
//
// No locking of its own: next_hops.c holds its lock around every call.
#pragma once

#include "dataplane/api/messages.h"
#include "dataplane/table/flow_table.h"
#include "dataplane/table/keyed_hash.h"

enum {
	FIB_ROUTES_MAX = 1 << 17,
	FIB_GROUPS_MAX = 4096,
};

// Routes with the same next hops share a group: a full table has a handful.
struct fib_group {
	uint32_t users; // routes; 0: free
	uint16_t count; // 0: blackhole
	struct api_next_hop hops[API_NEXT_HOPS_MAX];
};

struct fib_route {
	struct net_prefix prefix; // family NET_UNSPECIFIED: free
	uint16_t group;
	bool marked;
};

struct fib {
	struct fib_route *routes;
	uint32_t *free_routes;
	uint32_t free_count;
	struct fib_group *groups;
	unsigned groups_end; // no used group at or behind it
	struct flow_table table;
	uint32_t lengths[2][129]; // routes of each length, IPv4 and IPv6
	struct keyed_hash_key key;
};

// 0 or -ENOMEM.
int fib_open(struct fib *fib);
void fib_close(struct fib *fib);
// Adds or replaces. 1: something changed; 0: it was so already; -EINVAL; -ENOSPC.
int fib_set(struct fib *fib, const struct api_route *route);
// 1 or -ENOENT.
int fib_delete(struct fib *fib, const struct net_prefix *prefix);
// The group of the longest prefix that holds the address; NULL: no route.
const struct fib_group *fib_find(const struct fib *fib, const struct net_address *address);
void fib_mark(struct fib *fib);
// Deletes what is still marked; returns how many.
unsigned fib_sweep(struct fib *fib);
