// SPDX-License-Identifier: BSD-3-Clause
// Which epochs' addresses are wanted. Peers go by their own clocks, so around the turn of an epoch
// they may use either side's address:
//
//     epoch e-1  ......|
//     epoch e          |---------------------------|
//     lease of e-1     ============================|      kept while e lasts
//     lease of e       ============================|=======
//     lease of e+1                        ^=======|=======  from a random moment of the last
//     quarter
//
// The moment is random so that a relay under whose eyes many clients turn does not see them in one
// burst, and the order of bursts tells nothing. Who starts in the first quarter registers e-1 too.
#include "endpoint/core.h"

#include "lib/crypto/epoch.h"

uint32_t core_epoch(const struct endpoint *e)
{
	return epoch_at(e->now.wall_s, e->config.epoch_seconds);
}

static uint64_t start_of(const struct endpoint *e, uint32_t epoch)
{
	return (uint64_t)epoch * e->config.epoch_seconds;
}

static void enter_epoch(struct endpoint *e, uint32_t epoch)
{
	uint32_t seconds = e->config.epoch_seconds;
	e->epoch = epoch;
	e->next_epoch_s = start_of(e, epoch) + (uint64_t)seconds * 3 / 4 +
			  core_random_below(e, seconds / 5 + 1);
	e->next_epoch_wanted = false;
}

static void want(struct endpoint *e, uint32_t epoch)
{
	if (core_lease_of_epoch(e, epoch) != NULL)
		return;
	for (unsigned i = 0; i < CORE_LEASES_MAX; i++) {
		struct lease *lease = &e->leases[i];
		if (lease->state == LEASE_FREE) {
			core_lease_make(e, lease, epoch);
			core_lease_want(e, lease);
			return;
		}
	}
}

void core_epochs_begin(struct endpoint *e)
{
	enter_epoch(e, core_epoch(e));
	want(e, e->epoch);
	if (e->now.wall_s - start_of(e, e->epoch) < e->config.epoch_seconds / 4 && e->epoch > 0)
		want(e, e->epoch - 1);
}

void core_epochs_tick(struct endpoint *e)
{
	if (!e->registering)
		return;
	uint32_t epoch = core_epoch(e);
	if (epoch != e->epoch)
		enter_epoch(e, epoch);
	for (unsigned i = 0; i < CORE_LEASES_MAX; i++) {
		int32_t ahead = (int32_t)(e->leases[i].epoch - epoch);
		if (e->leases[i].state != LEASE_FREE && (ahead < -1 || ahead > 1))
			core_lease_drop(&e->leases[i]);
	}
	want(e, epoch);
	if (e->now.wall_s >= e->next_epoch_s) {
		e->next_epoch_wanted = true;
		want(e, epoch + 1);
	}
}

uint64_t core_epochs_deadline(const struct endpoint *e)
{
	if (!e->registering)
		return ENDPOINT_NEVER;
	// Another entry may have seen the moment pass: it is due until a tick has been there.
	uint64_t at = e->next_epoch_wanted ? start_of(e, e->epoch + 1) : e->next_epoch_s;
	if (at <= e->now.wall_s)
		return e->now.monotonic_ms;
	uint64_t wait_s = core_earlier(at - e->now.wall_s, 3600);
	return e->now.monotonic_ms + wait_s * 1000;
}
