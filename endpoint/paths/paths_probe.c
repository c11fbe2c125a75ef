// SPDX-License-Identifier: BSD-3-Clause
// Probes and deadlines.
//
// A probe keeps the mappings on a path that carries nothing, makes the peer report the path's age,
// and its answer tells the round trip. How often: once a second; five times a second where an
// answer decides something; and every idle_every_ms, with a flag, where voice would go if there
// were any.
#include "endpoint/paths/paths_inside.h"

enum {
	FIRST_EVERY_MS = 100, // until the peer is known to hear it
	FIRST_PROBES = 20,
	CURIOUS_EVERY_MS = 200,
	CURIOUS_FOR_MS = 10000, // of a path that went silent
	IDLE_FRAMES = 2,        // without voice: then it is told
};

bool paths_is_idle(const struct paths *paths)
{
	return paths->engaged &&
	       paths->clock >= paths->voice_sent_ms + IDLE_FRAMES * paths->config.frame_ms;
}

// When the next probe goes on a path, by our clock.
static uint64_t probe_due(const struct paths *paths, unsigned path)
{
	const struct paths_path *p = &paths->path[path];
	if (!p->usable)
		return PATHS_NEVER;
	if (p->probed_ms == 0)
		return p->usable_ms;
	uint64_t due = p->probed_ms + paths->config.warm_every_ms;
	bool carrying = (paths_carrying(paths) & PATHS_MASK(path)) != 0;
	if (carrying && paths->engaged) {
		uint64_t idle = paths->voice_sent_ms + IDLE_FRAMES * paths->config.frame_ms;
		if (p->probed_ms >= idle)
			idle = p->probed_ms + paths->config.idle_every_ms;
		if (idle < due)
			due = idle;
	}
	// Whoever doubts wants to know at once, and tells the peer what came.
	if (paths->mode == PATHS_BOTH && p->probed_ms < paths->both_ms)
		return paths->both_ms;
	uint64_t soon = p->probed_ms + CURIOUS_EVERY_MS;
	if (!p->confirmed && p->probes < FIRST_PROBES)
		soon = p->probed_ms + FIRST_EVERY_MS;
	else if (!(p->late && paths->clock < p->late_ms + CURIOUS_FOR_MS) &&
		 !(p->good && paths_is_wanted(paths, path)))
		soon = due;
	if (soon < due)
		due = soon;
	// A direct path that is not needed any more.
	if (!carrying && paths->engaged && paths_is_direct(path) && paths_is_direct(paths->main) &&
		paths->path[paths->main].good && due > p->carried_ms + paths->config.warm_for_ms &&
		!(p->good && paths_is_wanted(paths, path)))
		return PATHS_NEVER;
	return due;
}

unsigned paths_probes(const struct paths *paths, uint64_t now_ms)
{
	uint64_t clock = paths_clock(paths, now_ms);
	unsigned mask = 0;
	for (unsigned i = 0; i < PATHS_MAX; i++)
		if (probe_due(paths, i) <= clock)
			mask |= PATHS_MASK(i);
	return mask;
}

uint8_t paths_probe_flags(const struct paths *paths, unsigned path)
{
	return paths_is_idle(paths) && (paths_carrying(paths) & PATHS_MASK(path)) != 0
		       ? FRAME_PROBE_FOR_VOICE
		       : 0;
}

uint64_t paths_probe_token(const struct paths *paths, uint64_t now_ms)
{
	(void)paths;
	return now_ms;
}

static void sooner(uint64_t *deadline, uint64_t at)
{
	if (at < *deadline)
		*deadline = at;
}

uint64_t paths_deadline(const struct paths *paths, uint64_t now_ms)
{
	uint64_t clock = paths_clock(paths, now_ms);
	uint64_t at = PATHS_NEVER;
	for (unsigned i = 0; i < PATHS_MAX; i++)
		sooner(&at, probe_due(paths, i));
	if (paths->answered) {
		const struct paths_config *config = &paths->config;
		if ((paths->mode == PATHS_SINGLE || paths->mode == PATHS_SWITCHING) &&
			paths_usable_count(paths) > 1 && !paths_awaits_relay(paths))
			sooner(&at, paths_life_voice_limit(paths) + 1);
		if (paths->mode == PATHS_BOTH || paths->mode == PATHS_SWITCHING)
			sooner(&at, clock + config->frame_ms);
		// Nothing is so long that a pause could be taken for it, or the other way round.
		sooner(&at, clock + config->idle_every_ms);
	}
	if (at != PATHS_NEVER)
		at = now_ms + (at > clock ? at - clock : 0);
	// By the caller's time, since it must be exact.
	uint64_t relay = paths->answered_at + paths->config.relay_after_ms;
	if (paths_awaits_relay(paths) && relay > now_ms)
		sooner(&at, relay);
	return at;
}
