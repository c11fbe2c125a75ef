// SPDX-License-Identifier: BSD-3-Clause
// A peer that is who it says and says whatever it likes: any frames, at any time, on any path,
// among everything that can happen to a call's paths, and times that jump. Held: a frame that is
// accepted is written again as it was; something is chosen while it may be, and only what is
// usable; deadlines are never behind; messages come once and never more are on their way than there
// is room for.
//
// The input is a list of records: what (1), how many ms later (1), a size (1) and bytes.
#include "endpoint/paths/control.h"
#include "endpoint/paths/paths.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct end {
	struct paths paths;
	struct control control;
	uint64_t now;
	bool answered;
	uint64_t answered_at;
};

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void event(void *context, const struct paths_event *event)
{
	const struct end *end = context;
	require(event->from < PATHS_MAX || event->from == PATHS_NONE);
	require(event->to < PATHS_MAX || event->to == PATHS_NONE);
	require(event->type >= PATHS_RELAY_ENGAGED && event->type <= PATHS_ALL_BACK);
	(void)paths_status(&end->paths, 0, end->now);
}

static void send(
	void *context, uint16_t id, uint8_t type, const uint8_t *body, size_t size, bool everywhere)
{
	struct end *end = context;
	uint8_t out[FRAME_SIZE_MAX];
	struct frame_header header = paths_header(&end->paths, 0, end->now);
	require(frame_control(header, id, type, body, size, out) == size + 11);
	(void)paths_choose_control(&end->paths, everywhere);
}

static void message(void *context, uint8_t type, const uint8_t *body, size_t size)
{
	struct end *end = context;
	require(type != CONTROL_ACK && size <= FRAME_BODY_MAX);
	control_send(&end->control, type, body, size, 50, 3000, end->now);
}

static void done(void *context, uint16_t id, uint8_t type, bool arrived)
{
	struct end *end = context;
	(void)id;
	if (!arrived)
		control_send(&end->control, type, NULL, 0, 50, 3000, end->now);
}

static void frame_in(struct end *end, unsigned path, const uint8_t *data, size_t size)
{
	struct frame frame;
	uint8_t again[FRAME_SIZE_MAX];
	size_t length = 0;
	if (frame_decode(&frame, data, size) != 0)
		return;
	switch (frame.header.kind) {
	case FRAME_VOICE:
		length = frame_voice(frame.header, frame.voice.number, frame.voice.data,
			frame.voice.size, again);
		break;
	case FRAME_CONTROL:
		length = frame_control(frame.header, frame.control.id, frame.control.type,
			frame.control.data, frame.control.size, again);
		break;
	case FRAME_PROBE:
		length = frame_probe(frame.header, frame.probe.flags, frame.probe.token, again);
		break;
	default:
		require(frame.header.kind == FRAME_PROBE_ANSWER);
		length = size;
		memcpy(again, data, size);
	}
	require(length == size && memcmp(again, data, size) == 0);
	paths_received(&end->paths, path, &frame, end->now);
	if (frame.header.kind == FRAME_CONTROL)
		control_received(&end->control, &frame);
}

static void sent(struct end *end, unsigned mask, enum frame_kind kind)
{
	for (unsigned path = 0; path < PATHS_MAX; path++)
		if ((mask & PATHS_MASK(path)) != 0)
			paths_sent(&end->paths, path, kind, end->now);
}

static void act(struct end *end, uint8_t what, const uint8_t *data, size_t size)
{
	struct paths *paths = &end->paths;
	unsigned path = what >> 4 & 3;
	switch (what & 15) {
	case 0:
		paths_relay_usable(paths, path, (uint32_t)size, end->now);
		break;
	case 1:
		require(paths_is_direct(
			paths_direct_usable(paths, path != 0, (uint32_t)size, end->now)));
		break;
	case 2:
		paths_unusable(paths, path, end->now);
		break;
	case 3:
		paths_answered(paths, end->now);
		if (!end->answered)
			end->answered_at = end->now;
		end->answered = true;
		break;
	case 4:
		end->now += size * 1000;
		break;
	case 5:
		control_send(&end->control, what >> 4, data, size, 20, 2000, end->now);
		break;
	case 6:
		control_cancel(&end->control, what >> 4);
		break;
	case 7:
		paths_direct_sure(paths, path, (uint32_t)size, end->now);
		break;
	case 8:
		sent(end, paths_probes(paths, end->now), FRAME_PROBE);
		break;
	case 9:
	case 10:
		sent(end, paths_choose(paths, end->now), FRAME_VOICE);
		break;
	default:
		frame_in(end, path, data, size);
	}
}

static void check(struct end *end)
{
	struct paths *paths = &end->paths;
	unsigned usable = 0, direct = 0;
	for (unsigned path = 0; path < PATHS_MAX; path++)
		if (paths_status(paths, path, end->now).usable) {
			usable |= PATHS_MASK(path);
			direct |= paths_is_direct(path) ? PATHS_MASK(path) : 0;
		}
	unsigned mask = paths_choose(paths, end->now);
	require((mask & ~usable) == 0);
	if (end->answered && (direct != 0 || end->now >= end->answered_at + 800))
		require((mask != 0) == (usable != 0));
	require(end->answered || mask == 0);
	require(mask == 0 || (mask & PATHS_MASK(paths_main(paths))) != 0);
	require((paths_choose_control(paths, true) == usable));
	require(paths_deadline(paths, end->now) >= end->now);
	require((paths_probes(paths, end->now) & ~usable) == 0);
	require(control_pending(&end->control) <= CONTROL_QUEUE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct end end;
	memset(&end, 0, sizeof(end));
	paths_start(&end.paths, NULL, (struct paths_output){event, &end}, 0);
	control_start(&end.control, (struct control_output){send, message, done, &end});
	while (size >= 3) {
		uint8_t what = data[0];
		size_t length = data[2] < size - 3 ? data[2] : size - 3;
		end.now += data[1];
		act(&end, what, data + 3, length);
		paths_tick(&end.paths, end.now);
		control_tick(&end.control, end.now);
		check(&end);
		data += 3 + length;
		size -= 3 + length;
	}
	return 0;
}
