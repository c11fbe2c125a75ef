// SPDX-License-Identifier: BSD-3-Clause
// Watches the kernel's links, addresses, routes and neighbours by netlink and keeps a dataplane
// told of them; asks the kernel to resolve neighbours. The kernel stays the router: whatever
// configures it (ip, FRR, BIRD, DHCP) needs to know nothing of us. One thread (the event loop's).
//
// One socket carries dumps and events, so that both come in the order in which they were true. When
// the kernel had to drop events, everything is dumped again and the differences told.
#pragma once

#include "controlplane/routes_mirror.h"

#include <uv.h>

enum {
	ROUTES_CONFIRM_MS = 30000,      // how often stale neighbours are confirmed
	ROUTES_CONFIRM_MAX = 512,       // of them at once
	ROUTES_RESOLVE_RATE = 200,      // requests of the dataplane a second, over all
	ROUTES_RESOLVE_PAUSE_MS = 1000, // and for one address
	ROUTES_ADDRESSES_MAX = 1024,    // local addresses told to the owner
};

struct routes_owner {
	void *context;
	// Sends one message to the dataplane. False: no room now (routes_continue when there is).
	routes_emit emit;
	// All that the kernel knew has been emitted since routes_attach; called once for each.
	void (*synced)(void *context);
	// The host's addresses changed.
	void (*addresses)(void *context, const struct net_address *addresses, size_t count);
};

#define ROUTES_COUNTERS(X)                                                                         \
	X(messages)                                                                                \
	X(malformed)                                                                               \
	X(overruns)                                                                                \
	X(dumps)                                                                                   \
	X(dumps_failed)                                                                            \
	X(wanted)                                                                                  \
	X(wanted_refused)                                                                          \
	X(wanted_limited)                                                                          \
	X(resolves)                                                                                \
	X(resolves_failed)
#define ROUTES_MEMBER(name) uint64_t name;
struct routes_counters {
	ROUTES_COUNTERS(ROUTES_MEMBER)
};

struct routes;

// Opens the socket, subscribes, and starts reading with the loop's first turn. 0 and *out, or a
// negative errno.
int routes_open(uv_loop_t *loop, const struct routes_owner *owner, struct routes **out);
// Frees by the loop's next turns. NULL is fine.
void routes_close(struct routes *routes);

// A dataplane with these ports (kernel names of their interfaces) is there and knows nothing: once
// the kernel's state has been read, all of it is emitted, then owner.synced called.
void routes_attach(struct routes *routes, const char (*names)[ROUTES_NAME_SIZE], size_t count);
// It has gone: nothing is emitted.
void routes_detach(struct routes *routes);
// There is room: emits what is waiting. Cheap when nothing is.
void routes_continue(struct routes *routes);

// The dataplane has packets for a neighbour whose MAC it does not know.
void routes_neighbour_wanted(struct routes *routes, const struct api_neighbour_wanted *wanted);

void routes_count(const struct routes *routes, struct routes_mirror_counts *out);
const struct routes_counters *routes_counters(const struct routes *routes);
bool routes_port_up(struct routes *routes, const char *name);
