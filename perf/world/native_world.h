// SPDX-License-Identifier: BSD-3-Clause
// The native protocol over a mapping world: for each mapping of worker 0 a pair of handles between
// its client and its peer, and a lease of an address for its peer. So a frame with a handle, or by
// address, has the same two ends as the mapping's ChannelData. Both are made by the tables' own
// functions, as main makes them.
#pragma once

#include "dataplane/native.h"
#include "perf/world/mapping_world.h"

#include "lib/wire/native.h"

struct native_world {
	struct native_settings settings;
	struct handles *handles;
	struct leases *leases;
	struct native_handle *caller; // mapping -> its client's handle
};

// What to make: WORLD_HANDLE or WORLD_ADDRESS. Ends the program when memory does not do.
void native_world_open(
	struct native_world *native, struct mapping_world *world, enum world_way way);
void native_world_close(struct native_world *native);

// Writes what stands before the application's bytes of mapping i's frame; returns its size, at most
// NATIVE_BY_ADDRESS_HEADER. client: of the frame, IPv4 in network order, and its port.
unsigned native_world_header(const struct native_world *native, const struct mapping_world *world,
	uint32_t i, enum world_way way, const uint8_t *client, uint16_t port, uint8_t *out);
