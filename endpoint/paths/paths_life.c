// SPDX-License-Identifier: BSD-3-Clause
// What arrives: of the peer's frames here, and of ours there.
//
// Receiving is simple: time since voice last came, against max(60 ms, 3 frames + 4 x jitter).
//
// Sending is known from reports. A frame that came in at time t says "your path p was last heard a
// ms ago". Both ways take rtt / 2 each, of the path sent on and of the one the report came by, so
// what had arrived then was sent before
//
//     confirmed = t - (rtt_p + rtt_back) / 2 - a          and all that was sent before
//     due       = t - (rtt_p + rtt_back) / 2              should have been there.
//
// The path is late when the time from confirmed to due is longer than the limit and three frames
// or more were sent on it in between. So three voice frames make silence within 60 ms, and three
// probes do where there is one a second; and a path on which nothing is sent is never silent.
#include "endpoint/paths/paths_inside.h"

enum {
	JITTER_STEP_MAX_MS = 500,  // more is a clock that was set, or a program that stood still
	JITTER_GAP_MAX_MS = 10000, // the header's clock goes round after 65 s
	RTT_MAX_MS = 10000,
	LATE_FRAMES = 3,
};

static uint32_t limit(const struct paths *paths, uint32_t jitter_16_ms)
{
	uint32_t ms = 3 * paths->config.frame_ms + 4 * jitter_16_ms / 16;
	return ms > paths->config.silence_floor_ms ? ms : paths->config.silence_floor_ms;
}

uint32_t paths_incoming_limit(const struct paths *paths, unsigned path)
{
	return limit(paths, paths->incoming[path].jitter_16_ms);
}

// The jitter of our frames on their way is known to the peer only; that of its frames on the same
// kind of path is the best guess.
uint32_t paths_outgoing_limit(const struct paths *paths, unsigned path)
{
	uint32_t jitter = paths->incoming[path].jitter_16_ms;
	if (paths_is_direct(path)) {
		const struct paths_incoming *a = &paths->incoming[PATHS_DIRECT];
		const struct paths_incoming *b = &paths->incoming[PATHS_OTHER_DIRECT];
		jitter = a->heard_ms > b->heard_ms ? a->jitter_16_ms : b->jitter_16_ms;
	}
	return limit(paths, jitter);
}

void paths_life_heard(struct paths *paths, unsigned path, uint64_t now_ms, uint16_t clock_ms)
{
	struct paths_incoming *incoming = &paths->incoming[path];
	uint64_t gap = now_ms - incoming->came_ms;
	if (incoming->heard_ms != 0 && gap < JITTER_GAP_MAX_MS) {
		int step = (int16_t)(uint16_t)(gap - (uint16_t)(clock_ms - incoming->clock_ms));
		uint32_t size = (uint32_t)(step < 0 ? -step : step);
		if (size < JITTER_STEP_MAX_MS)
			incoming->jitter_16_ms += size - (incoming->jitter_16_ms + 8) / 16;
	}
	incoming->heard_ms = paths->clock;
	incoming->came_ms = now_ms;
	incoming->clock_ms = clock_ms;
}

void paths_life_rtt(struct paths *paths, unsigned path, uint64_t rtt_ms)
{
	if (rtt_ms > RTT_MAX_MS)
		return;
	uint32_t *smoothed = &paths->path[path].rtt_ms;
	uint32_t sample = rtt_ms == 0 ? 1 : (uint32_t)rtt_ms;
	// RFC 6298's 1/8, rounded to the sample's side so that it is reached.
	if (*smoothed == 0)
		*smoothed = sample;
	else if (sample > *smoothed)
		*smoothed += (sample - *smoothed + 7) / 8;
	else
		*smoothed -= (*smoothed - sample + 7) / 8;
}

// Frames sent after `from` and not after `to`.
static unsigned sent_between(const struct paths_path *path, uint64_t from, uint64_t to)
{
	unsigned count = 0;
	for (uint64_t i = 0; i < PATHS_SENT_RING && i < path->sent_count; i++) {
		uint64_t sent = path->sent[(path->sent_count - 1 - i) % PATHS_SENT_RING];
		if (sent <= from)
			break;
		count += sent <= to;
	}
	return count;
}

static bool is_late(const struct paths *paths, unsigned path, uint64_t due)
{
	const struct paths_path *p = &paths->path[path];
	if (due <= p->confirmed_ms + paths_outgoing_limit(paths, path))
		return false;
	// Half a frame: the round trip is known to a few ms only.
	return sent_between(p, p->confirmed_ms, due + paths->config.frame_ms / 2) >= LATE_FRAMES;
}

void paths_life_report(struct paths *paths, unsigned path, uint8_t age, unsigned back)
{
	struct paths_path *p = &paths->path[path];
	uint32_t back_rtt = back < PATHS_MAX && paths->path[back].usable ? paths_rtt(paths, back)
									 : paths_rtt_max(paths);
	uint64_t due = paths->clock - (paths_rtt(paths, path) + back_rtt) / 2;
	bool news = false;
	if (age < FRAME_AGE_LONGER) {
		uint64_t arrived = due - frame_age_ms(age);
		uint64_t newest =
			p->sent_count == 0 ? 0 : p->sent[(p->sent_count - 1) % PATHS_SENT_RING];
		if (arrived > newest)
			arrived = newest;
		// What is older was sent on the pair that had this number before.
		if (arrived >= p->usable_ms && arrived > p->confirmed_ms) {
			p->confirmed_ms = arrived;
			p->confirmed = true;
			news = true;
		}
	}
	if (is_late(paths, path, due)) {
		if (!p->late) {
			p->late = true;
			p->late_ms = paths->clock;
		}
		p->good = false;
		p->mended_ms = p->confirmed_ms + 1;
	} else if (news && p->confirmed_ms >= p->mended_ms) {
		p->late = false;
		if (!p->good) {
			p->good = true;
			p->good_ms = paths->clock;
		}
	}
}

uint64_t paths_life_voice_limit(const struct paths *paths)
{
	if (!paths->voice_expected)
		return PATHS_NEVER - 1;
	return paths->voice_ms + paths_incoming_limit(paths, paths->voice_path) +
	       (paths->voice_paused ? paths->config.idle_every_ms : 0);
}

bool paths_life_voice_missing(const struct paths *paths)
{
	return paths->clock > paths_life_voice_limit(paths);
}

// Needed only while the peer says little: before its voice comes, or when it cannot come. The
// peer may still have to hear that it was answered.
bool paths_life_unreported(const struct paths *paths, unsigned path)
{
	const struct paths_path *p = &paths->path[path];
	uint64_t from = p->confirmed_ms > paths->main_ms ? p->confirmed_ms : paths->main_ms;
	uint64_t wait = paths_outgoing_limit(paths, path) + 2 * paths_rtt_max(paths) +
			2 * paths->config.idle_every_ms;
	return paths->clock > from + wait &&
	       sent_between(p, from, paths->clock - paths_rtt_max(paths)) >= LATE_FRAMES;
}

void paths_life_doubt(struct paths *paths, unsigned path)
{
	struct paths_path *p = &paths->path[path];
	p->good = false;
	p->mended_ms = paths->clock;
}
