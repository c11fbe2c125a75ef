// SPDX-License-Identifier: BSD-3-Clause
// The bounded scan that gives memory back: each call looks at `budget` deadlines, a third in each
// pool, and goes on where the last one stopped. Deadlines lie in arrays of their own, sixteen to a
// cache line, so that the scan does not push live mappings out of the cache. What has expired but
// was not yet scanned is refused by the fast path all the same. Owner worker.
#include "dataplane/table/mappings.h"

// *budget: how many it may still look at.
static bool pool_scan(struct mappings_pool *pool, uint32_t now, unsigned *budget, uint32_t *index)
{
	for (; *budget > 0; (*budget)--) {
		uint32_t at = pool->scan;
		pool->scan = at + 1 < pool->size ? at + 1 : 0;
		if (pool->due[at] != 0 && ticks_passed(pool->due[at], now)) {
			*index = at;
			(*budget)--;
			return true;
		}
	}
	return false;
}

// At most this many ends per pool and call: ending an allocation is itself up to 128 removals.
enum { ENDS_PER_CALL = 16 };

unsigned expiry_scan(struct worker *worker, uint64_t now, unsigned budget)
{
	struct mappings *m = worker->mappings;
	uint32_t tick = ticks_of(now), index;
	unsigned share = budget / 3 + 1, left = share, ended = 0;
	for (unsigned i = 0; i < ENDS_PER_CALL; i++) {
		if (!pool_scan(&m->session_pool, tick, &left, &index))
			break;
		session_end(m, index);
		ended++;
	}
	left = share;
	for (unsigned i = 0; i < ENDS_PER_CALL; i++) {
		if (!pool_scan(&m->permission_pool, tick, &left, &index))
			break;
		permission_end(m, index);
		ended++;
	}
	left = share;
	for (unsigned i = 0; i < ENDS_PER_CALL; i++) {
		if (!pool_scan(&m->allocation_pool, tick, &left, &index))
			break;
		uint64_t id = m->allocations[index].id;
		allocation_end(worker, index);
		worker_expired(worker, id);
		worker->stats.event[EVENT_allocations_expired]++;
		ended++;
	}
	worker->stats.stage[STAGE_expiry].packets += ended;
	return ended;
}
