// SPDX-License-Identifier: BSD-3-Clause
// What of the configuration changes while the workers run: relayed ports, channel numbers, rest.
//
// The control plane sends all of it (API_SETTINGS). Main writes it into the slot that no worker
// uses and sends each worker a command; the worker turns to that slot between two bursts and gives
// the command back, which is its word that it no longer reads the other one (quiescent). When the
// last has done so the request is answered, so the control plane gives out no port of a new range
// that some worker would not know. Workers read plain memory that nobody writes.
//
// Which ports are relayed is one atomic word in table/relay_ports.h beside that, and a map of the
// steering programs: the earlier range stays in both until its last allocation has ended.
// All functions: main lcore.
#pragma once

#include "dataplane/api/messages.h"

#include <stdint.h>

struct dataplane;

enum {
	// A port of the earlier range may still be promised to somebody: a TURN reservation lives
	// 30 s.
	SETTINGS_EARLIER_MS = 60 * 1000,
	SETTINGS_LOOK_MS = 5 * 1000, // between two looks at who still lives there
};

// 0: nothing to do, all workers go by it already. 1: on its way to the workers; the request of that
// connection is answered when pending is 0. -EAGAIN: workers are still busy with the one before.
// Other errno as struct api_settings says, or of the kernel; then nothing has changed.
int settings_set(struct dataplane *dataplane, const struct api_settings *settings,
	uint64_t connection, uint32_t request);
// A worker has given a COMMAND_SETTINGS back.
void settings_reported(struct dataplane *dataplane);
// Once per turn of the loop: gives the earlier range up when nobody has a port there any more.
void settings_tick(struct dataplane *dataplane);
