// SPDX-License-Identifier: BSD-3-Clause
// What a worker does when there is nothing to do. idle = poll: nothing at all. idle = sleep: naps
// that grow with the silence up to REST_NAP_MAX_NS, so that packets of a live call meet none or a
// short one; and after REST_NAPS of them it sleeps until a packet arrives (the drivers'
// descriptors), somebody rings (doorbell.h), or it is time to look after expiry and laundering.
// Ports whose driver has no descriptor (memif, ring, pci) keep it at naps.
#pragma once

#include "dataplane/doorbell.h"

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

struct worker;
struct worker_machine;

enum {
	REST_SPINS = 64, // empty turns before the first nap
	REST_NAP_STEP_NS = 2000,
	REST_NAP_MAX_NS = 80000,
	REST_NAPS = 80,
	REST_SLEEP_MS = 10,
	REST_LAUNDER_MS = 1, // while buffers remain to be wiped
	REST_DESCRIPTORS_MAX = 65,
};

struct rest {
	struct doorbell bell; // main and other workers ring it
	bool may_nap, may_sleep;
	unsigned empty_turns;
	unsigned descriptor_count;
	struct pollfd descriptors[REST_DESCRIPTORS_MAX]; // [0] is the bell's
};

// Before the workers start. 0 or -errno.
int rest_arrange(struct worker_machine *machine, bool may_nap);
// A turn had work.
static inline void rest_disturb(struct rest *rest)
{
	rest->empty_turns = 0;
}
// A turn had none.
void rest_take(struct worker *worker);
