// SPDX-License-Identifier: BSD-3-Clause
// The kernel's links, addresses, routes and neighbours in; what the dataplane must be told of them
// out, as differences to what it was told before. No I/O, no time. One thread (the event loop's).
//
// Everything the kernel tells is kept, and only what concerns the interfaces of the dataplane's
// ports (and 802.1Q interfaces on them) is told, so that ports may come and go. A neighbour may be
// a client on the same segment: its entry lives as long as the kernel's own and is wiped with it.
#pragma once

#include "controlplane/routes_codec.h"

#include <stddef.h>

// Parts of the kernel's state that are read (dumped) on their own.
enum routes_dump {
	ROUTES_DUMP_LINKS,
	ROUTES_DUMP_ADDRESSES,
	ROUTES_DUMP_NEXTHOPS,
	ROUTES_DUMP_ROUTES_V4,
	ROUTES_DUMP_ROUTES_V6,
	ROUTES_DUMP_NEIGHBOURS,
	ROUTES_DUMPS,
};

// False: no room now, the same will be offered again.
typedef bool (*routes_emit)(void *context, enum api_type type, const void *payload, uint32_t size);

struct routes_mirror;

struct routes_mirror *routes_mirror_create(void);
void routes_mirror_free(struct routes_mirror *mirror);

// Kernel names of the ports' interfaces. Copied.
void routes_mirror_ports(
	struct routes_mirror *mirror, const char (*names)[ROUTES_NAME_SIZE], size_t count);

// One of the kernel's messages; dumped: part of a dump. Returns the set (1 << enum routes_dump) of
// what must be read again, since the kernel does not tell all that follows from it.
unsigned routes_mirror_apply(
	struct routes_mirror *mirror, const struct routes_event *event, bool dumped);
// Around a dump; what was not seen between both is gone. A dump may begin again instead of ending.
void routes_mirror_dump_begin(struct routes_mirror *mirror, enum routes_dump dump);
void routes_mirror_dump_end(struct routes_mirror *mirror, enum routes_dump dump);

// A new dataplane knows nothing.
void routes_mirror_forget_sent(struct routes_mirror *mirror);
// Offers the differences: links, neighbours, routes, and last the links that went. True when all
// were taken.
bool routes_mirror_flush(struct routes_mirror *mirror, routes_emit emit, void *context);

// The dataplane asks for a neighbour.
enum routes_wanted {
	ROUTES_WANTED_RESOLVE, // not known: ask the kernel
	ROUTES_WANTED_KNOWN,   // known: will be told again by the next flush
	ROUTES_WANTED_REFUSED, // not on a link that matters, or no unicast address
};
enum routes_wanted routes_mirror_wanted(
	struct routes_mirror *mirror, uint32_t ifindex, const struct net_address *address);

typedef void (*routes_visit)(void *context, uint32_t ifindex, const struct net_address *address);
// Neighbours that were not confirmed lately: the kernel should.
void routes_mirror_visit_stale(struct routes_mirror *mirror, routes_visit visit, void *context);
// Gateways without a MAC, possibly one several times: the kernel should resolve them before the
// first packet needs them.
void routes_mirror_visit_gateways(struct routes_mirror *mirror, routes_visit visit, void *context);

// True once after the host's addresses changed.
bool routes_mirror_addresses_changed(struct routes_mirror *mirror);
// All of the host's addresses, of all interfaces, each once. Returns how many there are; writes at
// most max.
size_t routes_mirror_addresses(struct routes_mirror *mirror, struct net_address *out, size_t max);

struct routes_mirror_counts {
	size_t links, neighbours, prefixes; // that the dataplane was told
};
void routes_mirror_count(const struct routes_mirror *mirror, struct routes_mirror_counts *out);
// Whether the port's interface exists and is up.
bool routes_mirror_port_up(struct routes_mirror *mirror, const char *name);
