// SPDX-License-Identifier: BSD-3-Clause
// See paths.h: what comes in from outside, the clock, and headers.
#include "endpoint/paths/paths_inside.h"

#include <string.h>

enum {
	// Our clock begins far from 0, so that times before the start can be counted.
	CLOCK_START_MS = 1 << 30,
	// In a call somebody asks at least every idle_every_ms, before it every warm_every_ms. What
	// is much longer is a pause of the program.
	PAUSE_MS = 500,
	PAUSE_BEFORE_MS = 3000,
	PAUSE_COUNTS_MS = 20,
};

uint64_t paths_clock(const struct paths *paths, uint64_t now_ms)
{
	if (now_ms <= paths->seen)
		return paths->clock;
	uint64_t passed = now_ms - paths->seen;
	if (passed > (paths->answered ? PAUSE_MS : PAUSE_BEFORE_MS))
		passed = PAUSE_COUNTS_MS;
	return paths->clock + passed;
}

static void clock_keep(struct paths *paths, uint64_t now_ms)
{
	uint64_t clock = paths_clock(paths, now_ms);
	// After a pause the peer's ages are from another time than our sendings before it.
	if (now_ms > paths->seen && clock - paths->clock < now_ms - paths->seen)
		for (unsigned i = 0; i < PATHS_MAX; i++)
			paths->path[i].confirmed_ms = clock;
	if (now_ms < paths->seen && paths->answered) // it was set back
		paths->answered_at -= paths->seen - now_ms;
	paths->clock = clock;
	paths->seen = now_ms;
}

static void default_to(uint32_t *value, uint32_t otherwise)
{
	if (*value == 0)
		*value = otherwise;
}

void paths_start(struct paths *paths, const struct paths_config *config, struct paths_output output,
	uint64_t now_ms)
{
	memset(paths, 0, sizeof(*paths));
	if (config != NULL)
		paths->config = *config;
	struct paths_config *c = &paths->config;
	default_to(&c->relay_after_ms, 800);
	if (c->relay_at_once)
		c->relay_after_ms = 0;
	default_to(&c->frame_ms, 20);
	default_to(&c->double_frames, 5);
	default_to(&c->silence_floor_ms, 60);
	default_to(&c->dead_after_ms, 500);
	default_to(&c->silent_after_ms, 1000);
	default_to(&c->idle_every_ms, 100);
	default_to(&c->warm_every_ms, 1000);
	default_to(&c->warm_for_ms, 30000);
	paths->output = output;
	paths->main = paths->old = PATHS_NONE;
	paths->last_direct = PATHS_OTHER_DIRECT;
	paths->seen = now_ms;
	paths->clock = CLOCK_START_MS;
}

void paths_answered(struct paths *paths, uint64_t now_ms)
{
	clock_keep(paths, now_ms);
	if (paths->answered)
		return;
	paths->answered = true;
	paths->answered_at = now_ms;
	paths->anything_ms = paths->clock;
	paths_decide(paths);
}

static void path_begin(struct paths *paths, unsigned path, uint32_t rtt_ms)
{
	struct paths_path *p = &paths->path[path];
	memset(p, 0, sizeof(*p));
	p->usable = true;
	p->rtt_ms = rtt_ms;
	p->usable_ms = p->mended_ms = p->carried_ms = paths->clock;
	p->confirmed_ms = paths->clock - 1;
}

void paths_relay_usable(struct paths *paths, unsigned path, uint32_t rtt_ms, uint64_t now_ms)
{
	clock_keep(paths, now_ms);
	if (path > PATHS_SECOND_RELAY || paths->path[path].usable)
		return;
	path_begin(paths, path, rtt_ms);
	paths->path[path].sure = true;
	paths_decide(paths);
}

unsigned paths_direct_usable(struct paths *paths, bool sure, uint32_t rtt_ms, uint64_t now_ms)
{
	clock_keep(paths, now_ms);
	// The number that was not given last: the peer's ages of it are older.
	unsigned path = PATHS_DIRECT + PATHS_OTHER_DIRECT - paths->last_direct;
	unsigned other = PATHS_DIRECT + PATHS_OTHER_DIRECT - path;
	if (path == paths->main || (paths->path[path].usable && !paths->path[other].usable))
		path = other;
	if (path == paths->main) // both are usable, or the main one would not be left
		path = PATHS_DIRECT + PATHS_OTHER_DIRECT - path;
	if (paths->path[path].usable)
		paths_lost(paths, path);
	path_begin(paths, path, rtt_ms);
	paths->path[path].sure = sure;
	paths->last_direct = (uint8_t)path;
	paths_decide(paths);
	return path;
}

void paths_direct_sure(struct paths *paths, unsigned path, uint32_t rtt_ms, uint64_t now_ms)
{
	clock_keep(paths, now_ms);
	if (path >= PATHS_MAX || !paths->path[path].usable || paths->path[path].sure)
		return;
	paths->path[path].sure = true;
	if (rtt_ms != 0)
		paths_life_rtt(paths, path, rtt_ms);
	paths_decide(paths);
}

void paths_unusable(struct paths *paths, unsigned path, uint64_t now_ms)
{
	clock_keep(paths, now_ms);
	if (path >= PATHS_MAX || !paths->path[path].usable)
		return;
	paths_lost(paths, path);
	paths_decide(paths);
}

// Voice, or a probe that says there is none.
static void voice_came(struct paths *paths, unsigned path, bool paused)
{
	paths->voice_expected = true;
	paths->voice_paused = paused;
	paths->voice_path = (uint8_t)path;
	paths->voice_ms = paths->clock;
}

void paths_received(struct paths *paths, unsigned path, const struct frame *frame, uint64_t now_ms)
{
	clock_keep(paths, now_ms);
	const struct frame_header *header = &frame->header;
	if (header->path >= PATHS_MAX)
		return;
	paths_life_heard(paths, header->path, now_ms, header->clock_ms);
	if (path < PATHS_MAX)
		paths->path[path].heard_ms = paths->clock;

	paths->anything_ms = paths->clock;
	if (paths->all_silent) {
		paths->all_silent = false;
		paths_tell(paths, PATHS_ALL_BACK, PATHS_NONE, paths->main, false);
	}
	if (header->kind == FRAME_VOICE)
		voice_came(paths, header->path, false);
	else if (header->kind == FRAME_PROBE && (frame->probe.flags & FRAME_PROBE_FOR_VOICE) != 0)
		voice_came(paths, header->path, true);
	else if (header->kind == FRAME_PROBE_ANSWER && paths->path[frame->probe_answer.path].usable)
		paths_life_rtt(paths, frame->probe_answer.path, now_ms - frame->probe_answer.token);

	for (unsigned i = 0; i < PATHS_MAX; i++)
		if (paths->path[i].usable)
			paths_life_report(paths, i, header->ages[i], path);
	paths_decide(paths);
}

void paths_sent(struct paths *paths, unsigned path, enum frame_kind kind, uint64_t now_ms)
{
	clock_keep(paths, now_ms);
	if (path >= PATHS_MAX || !paths->path[path].usable)
		return;
	struct paths_path *p = &paths->path[path];
	p->sent[p->sent_count++ % PATHS_SENT_RING] = paths->clock;
	if (kind == FRAME_PROBE) {
		p->probed_ms = paths->clock;
		p->probes++;
	}
	if (kind == FRAME_VOICE) {
		p->carried_ms = paths->clock;
		paths->voice_sent_ms = paths->clock;
		if (paths->mode == PATHS_SWITCHING && path == paths->main && paths->double_left > 0)
			paths->double_left--;
	}
}

void paths_tick(struct paths *paths, uint64_t now_ms)
{
	clock_keep(paths, now_ms);
	paths_decide(paths);
}

unsigned paths_choose(struct paths *paths, uint64_t now_ms)
{
	paths_tick(paths, now_ms);
	return paths_carrying(paths);
}

unsigned paths_choose_control(const struct paths *paths, bool repeated)
{
	unsigned carrying = paths_carrying(paths);
	return repeated || carrying == 0 ? paths_usable_mask(paths) : carrying;
}

struct frame_header paths_header(const struct paths *paths, unsigned path, uint64_t now_ms)
{
	struct frame_header header = {.path = (uint8_t)path, .clock_ms = (uint16_t)now_ms};
	uint64_t clock = paths_clock(paths, now_ms);
	for (unsigned i = 0; i < PATHS_MAX; i++)
		header.ages[i] = paths->incoming[i].heard_ms == 0
					 ? FRAME_AGE_NEVER
					 : frame_age(clock - paths->incoming[i].heard_ms);
	return header;
}

static uint32_t age_ms(uint64_t clock, uint64_t then)
{
	uint64_t ms = clock - then;
	return ms >= UINT32_MAX ? UINT32_MAX - 1 : (uint32_t)ms;
}

struct paths_status paths_status(const struct paths *paths, unsigned path, uint64_t now_ms)
{
	const struct paths_path *p = &paths->path[path];
	uint64_t clock = paths_clock(paths, now_ms);
	return (struct paths_status){
		.usable = p->usable,
		.alive = p->usable && p->confirmed && !p->late,
		.carrying = (paths_carrying(paths) & PATHS_MASK(path)) != 0,
		.rtt_ms = p->rtt_ms,
		.jitter_ms = paths->incoming[path].jitter_16_ms / 16,
		.arrived_age_ms = p->confirmed ? age_ms(clock, p->confirmed_ms) : UINT32_MAX,
		.heard_age_ms = p->heard_ms != 0 ? age_ms(clock, p->heard_ms) : UINT32_MAX,
	};
}

unsigned paths_main(const struct paths *paths)
{
	return paths->main;
}

uint32_t paths_rtt(const struct paths *paths, unsigned path)
{
	uint32_t rtt_ms = paths->path[path].rtt_ms;
	return rtt_ms == 0 ? PATHS_RTT_UNKNOWN_MS : rtt_ms;
}

uint32_t paths_rtt_max(const struct paths *paths)
{
	uint32_t most = 0;
	for (unsigned i = 0; i < PATHS_MAX; i++)
		if (paths->path[i].usable && paths_rtt(paths, i) > most)
			most = paths_rtt(paths, i);
	return most == 0 ? PATHS_RTT_UNKNOWN_MS : most;
}

uint32_t paths_control_rtt(const struct paths *paths)
{
	return paths_rtt_max(paths);
}

unsigned paths_usable_mask(const struct paths *paths)
{
	unsigned mask = 0;
	for (unsigned i = 0; i < PATHS_MAX; i++)
		if (paths->path[i].usable)
			mask |= PATHS_MASK(i);
	return mask;
}

unsigned paths_usable_count(const struct paths *paths)
{
	return (unsigned)__builtin_popcount(paths_usable_mask(paths));
}
