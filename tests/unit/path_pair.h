// SPDX-License-Identifier: BSD-3-Clause
// Two ends of a call, as far as endpoint/paths is concerned, on a virtual clock: each with its
// struct paths and its control channel, joined by up to four links of tests/lab's wires. Frames are
// written and read as on a real wire, without the envelope.
//
//      A  paths 0 -- link 0, by a relay -----  0 paths  B
//               1 -- link 1, by another one -- 1
//             2,3 -- link 2, direct ---------- 2,3
//             3,2 -- link 3, direct ---------- 3,2
//
// Each side says a voice frame every 20 ms, A at 0 and B at 7. What arrives is kept by its number.
#pragma once

#include "endpoint/paths/control.h"
#include "endpoint/paths/paths.h"
#include "tests/lab/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINKS = 4, VOICE_MAX = 20000, EVENTS_MAX = 4096, FRAME_MS = 20 };

struct pair;

struct side {
	struct pair *pair;
	struct side *peer;
	struct paths paths;
	struct control control;
	unsigned index;
	uint8_t number_of[LINKS]; // path number of a link, PATHS_NONE
	struct wire out[LINKS];
	bool unsure;                   // direct links come up unsure
	bool mute, stopped, alternate; // alternate: the peer comes from an unknown address
	uint64_t next_voice;
	uint32_t said;
	uint64_t said_at[VOICE_MAX];  // ms
	uint64_t heard_at[VOICE_MAX]; // first copy; 0: not yet
	uint64_t heard_by[VOICE_MAX]; // links
	struct paths_event events[EVENTS_MAX];
	unsigned event_count;
	uint64_t copies, probes;
	unsigned messages, arrived, given_up;
	uint8_t last_type;
	uint64_t message_at;
};

struct arrival {
	struct side *at;
	unsigned link;
};

struct pair {
	struct side side[2];
	struct arrival arrival[2][LINKS];
	struct wire_heap heap;
	uint64_t now; // ms
};

static inline unsigned link_of(const struct side *side, unsigned number)
{
	for (unsigned link = 0; link < LINKS; link++)
		if (side->number_of[link] == number)
			return link;
	return LINKS;
}

static inline void side_put(
	struct side *side, unsigned path, const uint8_t *data, size_t size, enum frame_kind kind)
{
	struct pair *pair = side->pair;
	unsigned link = link_of(side, path);
	if (link == LINKS)
		return;
	paths_sent(&side->paths, path, kind, pair->now);
	side->copies++;
	uint64_t out[2];
	unsigned copies = wire_put(&side->out[link], pair->now * 1000, out);
	for (unsigned i = 0; i < copies; i++)
		wire_heap_push(&pair->heap, out[i], &pair->arrival[!side->index][link], data, size);
}

static inline void side_event(void *context, const struct paths_event *event)
{
	struct side *side = context;
	if (getenv("FOLLOW") != NULL)
		fprintf(stderr, "%6llu %c event %d from %d to %d forced %d mask %x\n",
			(unsigned long long)event->at_ms, 'A' + (char)side->index, event->type,
			event->from, event->to, event->forced, event->mask);
	if (side->event_count < EVENTS_MAX)
		side->events[side->event_count++] = *event;
}

static inline void side_control(
	void *context, uint16_t id, uint8_t type, const uint8_t *body, size_t size, bool everywhere)
{
	struct side *side = context;
	unsigned mask = paths_choose_control(&side->paths, everywhere);
	uint8_t data[FRAME_SIZE_MAX];
	for (unsigned path = 0; path < PATHS_MAX; path++) {
		if ((mask & PATHS_MASK(path)) == 0)
			continue;
		size_t length = frame_control(paths_header(&side->paths, path, side->pair->now), id,
			type, body, size, data);
		side_put(side, path, data, length, FRAME_CONTROL);
	}
}

static inline void side_message(void *context, uint8_t type, const uint8_t *body, size_t size)
{
	struct side *side = context;
	(void)body;
	(void)size;
	side->messages++;
	side->last_type = type;
	side->message_at = side->pair->now;
}

static inline void side_done(void *context, uint16_t id, uint8_t type, bool arrived)
{
	struct side *side = context;
	(void)id;
	(void)type;
	if (arrived)
		side->arrived++;
	else
		side->given_up++;
}

static inline struct pair *pair_open(uint64_t seed, const struct paths_config *config)
{
	struct pair *pair = calloc(1, sizeof(*pair));
	pair->now = 100000;
	for (unsigned s = 0; s < 2; s++) {
		struct side *side = &pair->side[s];
		side->pair = pair;
		side->peer = &pair->side[!s];
		side->index = s;
		side->next_voice = UINT64_MAX;
		struct paths_output output = {side_event, side};
		paths_start(&side->paths, config, output, pair->now);
		struct control_output control = {side_control, side_message, side_done, side};
		control_start(&side->control, control);
		for (unsigned link = 0; link < LINKS; link++) {
			wire_open(&side->out[link], seed, s * LINKS + link);
			side->number_of[link] = PATHS_NONE;
			pair->arrival[s][link] = (struct arrival){side, link};
		}
	}
	return pair;
}

static inline void pair_close(struct pair *pair)
{
	wire_heap_clear(&pair->heap, NULL);
	free(pair);
}

static inline void link_delay(struct pair *pair, unsigned link, uint32_t one_way_ms)
{
	for (unsigned s = 0; s < 2; s++)
		pair->side[s].out[link].quality.delay_us = one_way_ms * 1000;
}

static inline void link_cut(struct pair *pair, unsigned link, bool from_a, bool from_b)
{
	pair->side[0].out[link].quality.cut = from_a;
	pair->side[1].out[link].quality.cut = from_b;
}

static inline void side_up(struct side *side, unsigned link)
{
	uint64_t now = side->pair->now;
	uint32_t rtt =
		(side->out[link].quality.delay_us + side->peer->out[link].quality.delay_us) / 1000;
	if (link < 2) {
		side->number_of[link] = (uint8_t)link;
		paths_relay_usable(&side->paths, link, 0, now);
		return;
	}
	if (link >= LINKS)
		abort();
	unsigned old = side->number_of[link];
	uint8_t number =
		(uint8_t)paths_direct_usable(&side->paths, !side->unsure, rtt == 0 ? 1 : rtt, now);
	for (unsigned other = 2; other < LINKS; other++)
		if (side->number_of[other] == number)
			side->number_of[other] = PATHS_NONE;
	side->number_of[link] = number;
	if (old != number)
		paths_unusable(&side->paths, old, now);
}

static inline void side_down(struct side *side, unsigned link)
{
	unsigned number = side->number_of[link];
	side->number_of[link] = PATHS_NONE;
	paths_unusable(&side->paths, number, side->pair->now);
}

static inline void link_up(struct pair *pair, unsigned link)
{
	side_up(&pair->side[0], link);
	side_up(&pair->side[1], link);
}

static inline void side_answer(struct side *side)
{
	uint64_t now = side->pair->now;
	paths_answered(&side->paths, now);
	side->next_voice = now - now % FRAME_MS + FRAME_MS + (side->index == 1 ? 7 : 0);
}

static inline void pair_answer(struct pair *pair)
{
	side_answer(&pair->side[0]);
	side_answer(&pair->side[1]);
}

static inline void side_voice(struct side *side)
{
	uint64_t now = side->pair->now;
	side->next_voice += FRAME_MS;
	if (side->mute || side->said >= VOICE_MAX)
		return;
	unsigned mask = paths_choose(&side->paths, now);
	uint8_t data[FRAME_SIZE_MAX], voice[60] = {0};
	for (unsigned path = 0; path < PATHS_MAX; path++) {
		if ((mask & PATHS_MASK(path)) == 0)
			continue;
		size_t size = frame_voice(paths_header(&side->paths, path, now), side->said, voice,
			sizeof(voice), data);
		side_put(side, path, data, size, FRAME_VOICE);
	}
	side->said_at[side->said++] = now;
}

static inline void side_probes(struct side *side)
{
	uint64_t now = side->pair->now;
	unsigned mask = paths_probes(&side->paths, now);
	uint8_t data[FRAME_SIZE_MAX];
	for (unsigned path = 0; path < PATHS_MAX; path++) {
		if ((mask & PATHS_MASK(path)) == 0)
			continue;
		size_t size = frame_probe(paths_header(&side->paths, path, now),
			paths_probe_flags(&side->paths, path), paths_probe_token(&side->paths, now),
			data);
		side->probes++;
		side_put(side, path, data, size, FRAME_PROBE);
	}
}

static inline void side_receive(struct side *side, unsigned link, const uint8_t *data, size_t size)
{
	uint64_t now = side->pair->now;
	struct frame frame;
	if (frame_decode(&frame, data, size) != 0)
		abort();
	unsigned path = side->alternate && link >= 2 ? PATHS_NONE : side->number_of[link];
	paths_received(&side->paths, path, &frame, now);
	if (frame.header.kind == FRAME_VOICE) {
		uint32_t n = frame.voice.number;
		side->heard_by[n] |= 1U << link;
		if (side->heard_at[n] == 0)
			side->heard_at[n] = now;
	} else if (frame.header.kind == FRAME_CONTROL) {
		control_received(&side->control, &frame);
	} else if (frame.header.kind == FRAME_PROBE && path != PATHS_NONE) {
		uint8_t answer[FRAME_SIZE_MAX];
		size_t length =
			frame_probe_answer(paths_header(&side->paths, path, now), &frame, answer);
		side_put(side, path, answer, length, FRAME_PROBE_ANSWER);
	}
}

static inline uint64_t side_next(const struct side *side)
{
	uint64_t now = side->pair->now;
	if (side->stopped)
		return UINT64_MAX;
	uint64_t at = paths_deadline(&side->paths, now);
	if (side->next_voice < at)
		at = side->next_voice;
	uint64_t control = control_deadline(&side->control);
	if (control < at)
		at = control;
	return at > now ? at : now;
}

// Runs the clock to `until`. Aborts when a deadline does not move on.
static inline void pair_run(struct pair *pair, uint64_t until)
{
	unsigned turns = 0;
	for (;;) {
		uint64_t next = until;
		uint64_t due = wire_heap_due(&pair->heap);
		if (due != UINT64_MAX && (due + 999) / 1000 < next)
			next = (due + 999) / 1000;
		for (unsigned s = 0; s < 2; s++)
			if (side_next(&pair->side[s]) < next)
				next = side_next(&pair->side[s]);
		turns = next > pair->now ? 0 : turns + 1;
		if (turns > 1000)
			abort();
		if (next > pair->now)
			pair->now = next;
		struct wire_packet *packet;
		while ((packet = wire_heap_pop(&pair->heap, pair->now * 1000)) != NULL) {
			struct arrival *arrival = packet->to;
			if (!arrival->at->stopped)
				side_receive(
					arrival->at, arrival->link, packet->bytes, packet->size);
			free(packet);
		}
		for (unsigned s = 0; s < 2; s++) {
			struct side *side = &pair->side[s];
			if (side->stopped)
				continue;
			while (side->next_voice <= pair->now)
				side_voice(side);
			paths_tick(&side->paths, pair->now);
			side_probes(side);
			control_tick(&side->control, pair->now);
		}
		if (pair->now >= until)
			return;
	}
}

static inline void pair_pass(struct pair *pair, uint64_t ms)
{
	pair_run(pair, pair->now + ms);
}

// ---- what can be asked ----

// Frames said from `from` on, and long enough ago, that `side` has not heard.
static inline unsigned lost_since(const struct side *side, uint64_t from, uint64_t slack_ms)
{
	unsigned lost = 0;
	for (uint32_t n = 0; n < side->peer->said; n++)
		lost += side->peer->said_at[n] >= from &&
			side->peer->said_at[n] + slack_ms < side->pair->now &&
			side->heard_at[n] == 0;
	return lost;
}

static inline int times_compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

// The longest time between two new frames arriving after `from`, less a frame.
static inline uint64_t gap_since(const struct side *side, uint64_t from)
{
	uint64_t *times = malloc((side->peer->said + 1) * sizeof(*times));
	unsigned count = 0;
	for (uint32_t n = 0; n < side->peer->said; n++)
		if (side->heard_at[n] >= from)
			times[count++] = side->heard_at[n];
	times[count++] = side->pair->now;
	qsort(times, count, sizeof(*times), times_compare);
	uint64_t longest = 0;
	for (unsigned i = 1; i < count; i++)
		if (times[i] - times[i - 1] > longest)
			longest = times[i] - times[i - 1];
	free(times);
	return longest > FRAME_MS ? longest - FRAME_MS : 0;
}

// How late the latest frame said from `from` on was: its way in ms.
static inline uint64_t latest_since(const struct side *side, uint64_t from)
{
	uint64_t latest = 0;
	for (uint32_t n = 0; n < side->peer->said; n++)
		if (side->peer->said_at[n] >= from && side->heard_at[n] != 0 &&
			side->heard_at[n] - side->peer->said_at[n] > latest)
			latest = side->heard_at[n] - side->peer->said_at[n];
	return latest;
}

static inline unsigned event_times(
	const struct side *side, enum paths_event_type type, uint64_t from)
{
	unsigned count = 0;
	for (unsigned i = 0; i < side->event_count; i++)
		count += side->events[i].type == type && side->events[i].at_ms >= from;
	return count;
}

static inline const struct paths_event *event_first(
	const struct side *side, enum paths_event_type type, uint64_t from)
{
	for (unsigned i = 0; i < side->event_count; i++)
		if (side->events[i].type == type && side->events[i].at_ms >= from)
			return &side->events[i];
	return NULL;
}
