// SPDX-License-Identifier: BSD-3-Clause
// What a worker does when there is nothing to do. idle = poll: nothing at all. idle = sleep: after
// REST_SPINS empty turns it announces that it is going to sleep (doorbell.h) and asks its queues to
// wake it (wake.h), looks at everything REST_CHECKS times more by whole turns, and sleeps until a
// packet comes, somebody rings, or it is time to look after expiry and laundering. Whatever came
// after the announcement wakes it, whatever came before is found by those turns.
//
// It sleeps right away and does not doze first: setting a timer and being interrupted by it costs
// more than being woken by a packet, in a virtual machine by far (30-40 us against 5 here). For the
// same reason the timer for its duties is set once per REST_SLEEP_MS and not per sleep.
//
// A worker with a queue that wakes nobody (ring ports, PCI devices without an interrupt per queue)
// naps instead: ever longer, up to REST_NAP_MAX_NS, so that with the kernel's part of waking up a
// packet waits 50 us at most on real hardware. UMWAIT and TPAUSE save power, but to the kernel a
// core in them is busy, so they are no rest.
#pragma once

#include "dataplane/doorbell.h"

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

struct worker;
struct worker_machine;

enum {
	REST_SPINS = 64, // empty turns before it thinks of rest
	REST_CHECKS = 4,
	REST_NAP_STEP_NS = 2000,
	REST_NAP_MAX_NS = 40000,
	REST_SLEEP_MS = 10,
	REST_LAUNDER_MS = 1, // while buffers remain to be wiped
	REST_DESCRIPTORS_MAX = 66,
};

struct rest {
	struct doorbell bell; // main and other workers ring it
	int timer;
	bool may_rest, may_sleep;
	bool timer_set; // and has not gone off
	bool announced;
	unsigned empty_turns;
	unsigned descriptor_count;
	struct pollfd descriptors[REST_DESCRIPTORS_MAX]; // the bell's, the timer's, the queues'
};

// Before the workers start. 0 or -errno.
int rest_arrange(struct worker_machine *machine, bool may_rest);
// From now on with or without rest. Ports that were started with idle = poll may have been set up
// without a way to wake somebody: then it naps.
void rest_allow(struct rest *rest, bool may_rest);
// A turn had none.
void rest_take(struct worker *worker);
// Takes the announcement back.
void rest_wake(struct worker_machine *machine);
