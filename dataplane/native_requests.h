// SPDX-License-Identifier: BSD-3-Clause
// The native protocol on the main lcore: requests of the control plane (API_LEASE_SET and the
// others), and the end of what nobody has renewed. Main lcore.
#pragma once

#include "dataplane/api/messages.h"
#include "dataplane/native.h"

#include <stdbool.h>
#include <stdint.h>

struct config;
struct dataplane;

// What main itself does, counted without identity.
#define NATIVE_COUNTERS(X)                                                                         \
	X(leases_made)                                                                             \
	X(leases_changed)                                                                          \
	X(leases_removed)                                                                          \
	X(leases_refused)                                                                          \
	X(leases_expired)                                                                          \
	X(leases_drained)                                                                          \
	X(handles_installed)                                                                       \
	X(handles_repeated)                                                                        \
	X(handles_refused)                                                                         \
	X(handles_expired)                                                                         \
	X(handles_drained)

#define NATIVE_COUNTER_ENUM(name) NATIVE_##name,
enum native_counter { NATIVE_COUNTERS(NATIVE_COUNTER_ENUM) NATIVE_COUNTER_COUNT };
const char *native_counter_name(enum native_counter counter);

// main: rw
struct native {
	// As with struct settings: workers use slots[current], and the other one is written only
	// while pending is 0.
	struct native_settings slots[2];
	unsigned current;
	unsigned pending;                 // workers that have not yet said that they go by it
	uint64_t scanned_ms;              // dataplane_now_ms clock
	uint32_t owed_leases, owed_pairs; // to be looked at since
	uint32_t teller;                  // worker that sends the next CLOSED
	// How far the end of all has come, when the drain's deadline has.
	uint32_t end_lease, end_handle;
	uint64_t counters[NATIVE_COUNTER_COUNT];
};

// Makes the tables and the keys, before the workers. 0, -ENOMEM or -EIO; native_close in both
// cases.
int native_open(struct dataplane *dataplane, const struct config *config);
void native_close(struct dataplane *dataplane);

// API_LEASE_SET and API_LEASE_REMOVE: 0 or -errno as messages.h says.
int native_lease(struct dataplane *dataplane, uint32_t type, const struct api_lease *lease);
// API_HANDLES_INSTALL.
int native_install(struct dataplane *dataplane, const struct api_handles_install *install,
	struct api_handles_installed *out);
// API_NATIVE_SETTINGS. 0: nothing to do, all workers go by it already. 1: on its way to the
// workers; the request of that connection is answered when pending is 0. -EAGAIN: workers are still
// busy with the one before. -EINVAL: then nothing has changed.
int native_settings_set(struct dataplane *dataplane, const struct api_native_settings *settings,
	uint64_t connection, uint32_t request);
// A worker has given a COMMAND_NATIVE_SETTINGS back.
void native_settings_reported(struct dataplane *dataplane);

// Once per turn of the loop: looks at some leases and handles, ends those whose time has come, and
// tells the clients of handles (CLOSED). When the drain's deadline has passed, all of them. Returns
// how much there was to do; not 0: there may be more at once.
unsigned native_tick(struct dataplane *dataplane);
