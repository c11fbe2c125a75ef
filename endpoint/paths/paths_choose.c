// SPDX-License-Identifier: BSD-3-Clause
// What follows from what arrives: modes, switches and events.
//
//            answered, and a path      better one is proven
//     IDLE ----------------------> SINGLE <-------------> SWITCHING
//      ^                            |  ^   double_frames     |
//      | no path is left            |  | one survives        |
//      +-------------------------- BOTH <--------------------+
//                                       silence
//
// Silence only ever adds copies; it takes dead_after_ms of it, while another path is known to
// arrive, to leave a path. Both directions decide for themselves: what a side sees on its own is
// enough, and two that switch at the same time cannot wait for each other.
//
// Against flapping: the time a path has to arrive before the copies end doubles with each silence
// within ten seconds after the last one, and the time before voice goes back to a path grows with
// each of its deaths.
#include "endpoint/paths/paths_inside.h"

enum {
	HOLD_FIRST_MS = 200, // the path silence was on arrives for so long: it was no death
	HOLD_MAX_MS = 5000,
	SETTLE_MS = 100, // another one arrives for so long: it may take over
	AGAIN_MS = 10000,
	PROOF_MS = 1000, // after a death; four times as long after each further one
	PROOF_MAX_MS = 30000,
	DEATHS_MAX = 4,
	DWELL_MS = 2000,        // among paths of one kind, before the next one can be better
	BETTER_BY_MS = 10,      // and by a third
	SILENT_START_MS = 3000, // all silent before anything was expected
};

unsigned paths_carrying(const struct paths *paths)
{
	switch (paths->mode) {
	case PATHS_SINGLE:
		return PATHS_MASK(paths->main);
	case PATHS_SWITCHING:
		return PATHS_MASK(paths->main) | PATHS_MASK(paths->old);
	case PATHS_BOTH:
		return paths_usable_mask(paths);
	default:
		return 0;
	}
}

void paths_tell(
	struct paths *paths, enum paths_event_type type, unsigned from, unsigned to, bool forced)
{
	if (paths->output.event == NULL)
		return;
	struct paths_event event = {.type = type,
		.from = (uint8_t)from,
		.to = (uint8_t)to,
		.forced = forced,
		.mask = paths_carrying(paths),
		.at_ms = paths->seen};
	paths->output.event(paths->output.context, &event);
}

// ---- flapping ----

static struct paths_damping *damping_of(struct paths *paths, unsigned path)
{
	return &paths->damping[paths_is_direct(path) ? PATHS_DIRECT : path];
}

static uint32_t proof_after(uint32_t deaths)
{
	uint32_t ms = PROOF_MS << (2 * (deaths - 1));
	return ms < PROOF_MAX_MS ? ms : PROOF_MAX_MS;
}

uint32_t paths_proof_ms(const struct paths *paths, unsigned path)
{
	uint32_t deaths = paths->damping[paths_is_direct(path) ? PATHS_DIRECT : path].deaths;
	return deaths == 0 ? 0 : proof_after(deaths);
}

static void path_died(struct paths *paths, unsigned path)
{
	struct paths_damping *damping = damping_of(paths, path);
	// The proof it had to give is no time it could have died in.
	bool again = damping->deaths > 0 &&
		     paths->clock < damping->died_ms + AGAIN_MS + 2 * proof_after(damping->deaths);
	if (!again)
		damping->deaths = 1;
	else if (damping->deaths < DEATHS_MAX)
		damping->deaths++;
	damping->died_ms = paths->clock;
}

// ---- which is better ----

static bool is_faster(const struct paths *paths, unsigned path, unsigned than)
{
	uint32_t a = paths->path[path].rtt_ms, b = paths->path[than].rtt_ms;
	return a != 0 && b != 0 && a + BETTER_BY_MS <= b && a * 3 <= b * 2;
}

static bool is_better(const struct paths *paths, unsigned path, unsigned than)
{
	if (paths_is_direct(path) != paths_is_direct(than))
		return paths_is_direct(path);
	return is_faster(paths, path, than);
}

// For the first path, and when there was none that could be compared.
static unsigned best_usable(const struct paths *paths, bool direct, bool relay)
{
	unsigned best = PATHS_NONE;
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		const struct paths_path *p = &paths->path[i];
		if (!p->usable || !(paths_is_direct(i) ? direct : relay))
			continue;
		if (best == PATHS_NONE) {
			best = i;
			continue;
		}
		const struct paths_path *b = &paths->path[best];
		if (p->sure != b->sure       ? p->sure
			: p->late != b->late ? b->late
			: p->confirmed != b->confirmed &&
					paths_is_direct(i) == paths_is_direct(best)
				? p->confirmed
				: is_better(paths, i, best))
			best = i;
	}
	return best;
}

bool paths_is_wanted(const struct paths *paths, unsigned path)
{
	return paths->mode != PATHS_IDLE && path != paths->main && paths->path[path].sure &&
	       is_better(paths, path, paths->main);
}

// ---- modes ----

static void main_set(struct paths *paths, unsigned path)
{
	paths->main = (uint8_t)path;
	paths->main_ms = paths->clock;
}

// By the caller's time: no pause of ours moves the relay's clock.
static bool is_early(const struct paths *paths)
{
	return paths->seen < paths->answered_at + paths->config.relay_after_ms;
}

static void engage(struct paths *paths)
{
	unsigned path = best_usable(paths, true, paths->engaged || !is_early(paths));
	if (path == PATHS_NONE)
		return;
	bool first = !paths->engaged;
	paths->engaged = true;
	paths->unsure = first && !paths->path[path].sure;
	main_set(paths, path);
	paths->mode = PATHS_SINGLE;
	// There was nothing to send voice on: its absence is told by probes only from now on.
	paths->voice_sent_ms = paths->clock;
	if (!first)
		paths_tell(paths, PATHS_SWITCHED, PATHS_NONE, path, true);
	else
		paths_tell(paths, paths_is_direct(path) ? PATHS_DIRECT_FIRST : PATHS_RELAY_ENGAGED,
			PATHS_NONE, path, false);
}

// A direct path that is not sure is tried as long as there is no other: what is lost on it would
// not have been sent. It does not stop the relay's clock.
static void engage_relay(struct paths *paths)
{
	if (paths->mode != PATHS_SINGLE || !paths_awaits_relay(paths) || is_early(paths))
		return;
	unsigned path = best_usable(paths, false, true), from = paths->main;
	if (path == PATHS_NONE)
		return;
	main_set(paths, path);
	paths_tell(paths, PATHS_RELAY_ENGAGED, from, path, false);
}

bool paths_awaits_relay(const struct paths *paths)
{
	return paths->answered && (!paths->engaged || (paths->unsure && paths->main != PATHS_NONE &&
							      !paths->path[paths->main].sure));
}

static void both_begin(struct paths *paths)
{
	bool again = paths->both_off_ms != 0 && paths->clock < paths->both_off_ms + AGAIN_MS;
	paths->alarms = again ? paths->alarms + 1 : 0;
	paths->mode = PATHS_BOTH;
	paths->both_ms = paths->clock;
	paths->old = paths->main;
	for (unsigned i = 0; i < PATHS_MAX; i++)
		if (paths->path[i].usable)
			paths_life_doubt(paths, i);
	paths_tell(paths, PATHS_BOTH_ON, paths->main, PATHS_NONE, true);
}

static void both_end(struct paths *paths)
{
	paths->mode = PATHS_SINGLE;
	paths->both_off_ms = paths->clock;
	// Voice that stopped without a word is not waited for again, until it comes.
	if (paths_life_voice_missing(paths))
		paths->voice_expected = false;
	paths_tell(paths, PATHS_BOTH_OFF, paths->old, paths->main, false);
}

static void both_look(struct paths *paths)
{
	if (paths_usable_count(paths) < 2) {
		both_end(paths);
		return;
	}
	const struct paths_path *main = &paths->path[paths->main];
	uint32_t hold = paths->alarms > 5 ? HOLD_MAX_MS : (uint32_t)HOLD_FIRST_MS << paths->alarms;
	if (hold > HOLD_MAX_MS)
		hold = HOLD_MAX_MS;
	if (main->good) {
		if (paths->clock >= main->good_ms + hold)
			both_end(paths);
		return;
	}
	uint64_t arrived =
		main->confirmed_ms > paths->main_ms ? main->confirmed_ms : paths->main_ms;
	if (paths->clock < arrived + paths->config.dead_after_ms + paths_rtt(paths, paths->main))
		return;
	unsigned survivor = PATHS_NONE;
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		const struct paths_path *p = &paths->path[i];
		if (p->usable && i != paths->main && p->good &&
			paths->clock >= p->good_ms + SETTLE_MS &&
			(survivor == PATHS_NONE || is_better(paths, i, survivor)))
			survivor = i;
	}
	if (survivor == PATHS_NONE)
		return;
	unsigned dead = paths->main;
	path_died(paths, dead);
	main_set(paths, survivor);
	paths_tell(paths, PATHS_SWITCHED, dead, survivor, true);
	both_end(paths);
}

static void switch_look(struct paths *paths)
{
	if (paths_usable_count(paths) < 2)
		return;
	unsigned best = PATHS_NONE;
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		const struct paths_path *p = &paths->path[i];
		if (!paths_is_wanted(paths, i) || !p->good ||
			paths->clock < p->good_ms + paths_proof_ms(paths, i))
			continue;
		if (paths_is_direct(i) == paths_is_direct(paths->main) &&
			paths->clock < paths->main_ms + DWELL_MS)
			continue;
		if (best == PATHS_NONE || is_better(paths, i, best))
			best = i;
	}
	if (best == PATHS_NONE)
		return;

	const struct paths_config *config = &paths->config;
	uint32_t rtt_new = paths_rtt(paths, best), rtt_old = paths_rtt(paths, paths->main);
	paths->double_left = config->double_frames;
	// On a slower path the first copy must be there before the last one on the old path is.
	if (rtt_new > rtt_old) {
		uint32_t frames = (rtt_new - rtt_old) / 2 / config->frame_ms + 3;
		if (frames > paths->double_left)
			paths->double_left = frames;
	}
	paths->old = paths->main;
	main_set(paths, best);
	paths->mode = PATHS_SWITCHING;
	paths_tell(paths, PATHS_SWITCHED, paths->old, best, false);
}

static void switch_end(struct paths *paths)
{
	// Without voice the frames are not counted, and need not be.
	bool pointless =
		paths_is_idle(paths) && paths->clock > paths->main_ms + paths->config.idle_every_ms;
	if (paths->double_left > 0 && !pointless)
		return;
	paths->mode = PATHS_SINGLE;
	paths_tell(paths, PATHS_SWITCH_ENDED, paths->old, paths->main, false);
}

static bool is_silent(const struct paths *paths)
{
	return paths_life_voice_missing(paths) || paths->path[paths->main].late ||
	       (paths->mode == PATHS_SWITCHING && paths->path[paths->old].late) ||
	       paths_life_unreported(paths, paths->main);
}

static void silence_tell(struct paths *paths)
{
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		struct paths_path *p = &paths->path[i];
		if (!p->usable)
			continue;
		if (!p->told && p->late &&
			paths->clock >= p->late_ms + paths->config.dead_after_ms) {
			p->told = true;
			paths_tell(paths, PATHS_PATH_SILENT, i, PATHS_NONE, false);
		} else if (p->told && p->good) {
			p->told = false;
			paths_tell(paths, PATHS_PATH_BACK, PATHS_NONE, i, false);
		}
	}
	uint32_t wait = paths->voice_expected ? 0 : SILENT_START_MS;
	if (paths->answered && !paths->all_silent &&
		paths->clock > paths->anything_ms + wait + paths->config.silent_after_ms) {
		paths->all_silent = true;
		paths_tell(paths, PATHS_ALL_SILENT, paths->main, PATHS_NONE, false);
	}
}

void paths_lost(struct paths *paths, unsigned path)
{
	paths->path[path].usable = paths->path[path].sure = false;
	if (paths->mode == PATHS_IDLE)
		return;
	if (paths->mode == PATHS_SWITCHING && path == paths->old) {
		paths->mode = PATHS_SINGLE;
		paths_tell(paths, PATHS_SWITCH_ENDED, path, paths->main, false);
	}
	if (path != paths->main)
		return;

	if (paths_awaits_relay(paths) && is_early(paths)) {
		// It was none yet: another direct one, or the relay when its time comes.
		paths->engaged = false;
		paths->mode = PATHS_IDLE;
		paths->main = PATHS_NONE;
		return;
	}
	path_died(paths, path);
	if (paths->mode == PATHS_SWITCHING) {
		// The old one carries as it did all the time.
		paths->mode = PATHS_SINGLE;
		main_set(paths, paths->old);
		paths_tell(paths, PATHS_SWITCHED, path, paths->main, true);
		return;
	}
	unsigned next = best_usable(paths, true, true);
	main_set(paths, next);
	if (next == PATHS_NONE)
		paths->mode = PATHS_IDLE;
	paths_tell(paths, PATHS_SWITCHED, path, next, true);
	// Nobody knows yet which of the others work.
	if (paths->mode == PATHS_SINGLE && paths_usable_count(paths) > 1)
		both_begin(paths);
}

void paths_decide(struct paths *paths)
{
	if (paths->answered && paths->mode == PATHS_IDLE)
		engage(paths);
	engage_relay(paths);
	if (paths->mode == PATHS_SWITCHING)
		switch_end(paths);

	if (paths->mode == PATHS_BOTH)
		both_look(paths);
	else if (paths->mode != PATHS_IDLE && paths_usable_count(paths) > 1 &&
		 !(paths_awaits_relay(paths) && is_early(paths)) && is_silent(paths))
		both_begin(paths);
	else if (paths->mode == PATHS_SINGLE)
		switch_look(paths);
	silence_tell(paths);
}
