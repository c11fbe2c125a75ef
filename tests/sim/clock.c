// SPDX-License-Identifier: BSD-3-Clause
// A binary heap; see clock.h.
#include "tests/sim/clock.h"

#include "dataplane/table/ticks.h"
#include "tests/sim/sim.h"

#include <stdlib.h>

struct event {
	uint64_t at, order;
	void (*run)(void *object, uint64_t argument);
	void *object;
	uint64_t argument;
};

static struct {
	uint64_t now, order, tsc;
	struct event *heap; // the parent of i is (i - 1) / 2
	size_t count, room;
} world;

// Any second at which all lengths of epochs in use begin one.
static const uint64_t wall_begin = 1800000000 / SIM_EPOCH_S * SIM_EPOCH_S;

uint64_t clock_now(void)
{
	return world.now;
}

static bool earlier(const struct event *a, const struct event *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void clock_at(
	uint64_t at, void (*run)(void *object, uint64_t argument), void *object, uint64_t argument)
{
	if (world.count == world.room) {
		world.room = world.room ? 2 * world.room : 1024;
		world.heap = realloc(world.heap, world.room * sizeof(*world.heap));
		if (world.heap == NULL)
			abort();
	}
	struct event new = {at > world.now ? at : world.now, world.order++, run, object, argument};
	size_t i = world.count++;
	while (i > 0 && earlier(&new, &world.heap[(i - 1) / 2])) {
		world.heap[i] = world.heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	world.heap[i] = new;
}

static struct event take(void)
{
	struct event first = world.heap[0], last = world.heap[--world.count];
	size_t i = 0;
	for (;;) {
		size_t child = 2 * i + 1;
		if (child >= world.count)
			break;
		if (child + 1 < world.count && earlier(&world.heap[child + 1], &world.heap[child]))
			child++;
		if (!earlier(&world.heap[child], &last))
			break;
		world.heap[i] = world.heap[child];
		i = child;
	}
	world.heap[i] = last;
	return first;
}

void clock_run(uint64_t until)
{
	while (world.count > 0 && world.heap[0].at <= until) {
		struct event event = take();
		world.now = event.at;
		event.run(event.object, event.argument);
	}
	if (world.now < until)
		world.now = until;
}

void clock_clear(void)
{
	free(world.heap);
	world.heap = NULL;
	world.count = world.room = 0;
}

uint64_t clock_tsc_hz(void)
{
	return 1000ull << TICKS_SHIFT;
}

uint64_t clock_tsc(void)
{
	return world.tsc + (world.now << TICKS_SHIFT) / 1000;
}

void clock_ticks_begin(uint32_t tick)
{
	world.tsc = (uint64_t)tick << TICKS_SHIFT;
}

uint64_t clock_monotonic_ms(void)
{
	return 1000000 + world.now / 1000;
}

uint64_t clock_wall_s(void)
{
	return wall_begin + world.now / CLOCK_S;
}
