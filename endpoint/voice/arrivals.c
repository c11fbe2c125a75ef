// SPDX-License-Identifier: BSD-3-Clause
// See arrivals.h.
#include "endpoint/voice/arrivals.h"
#include "endpoint/voice/voice.h"

#include <math.h>

enum {
	WINDOW = 250,  // five seconds
	RECENT = 50,   // one second: what can show that the path has become faster for good
	SHIFT_MS = 20, // by at least that
	STRAGGLERS = 1 // in a full window: 0.4 % of the frames may come too late
};

void arrivals_begin(struct arrivals *arrivals, int64_t number)
{
	*arrivals = (struct arrivals){.newest = number - 1, .since = number - WINDOW};
	// No slot may look like a frame that counts.
	for (int i = 0; i < ARRIVALS_KEPT; i++)
		arrivals->frames[i].number = INT64_MIN;
}

static void insert(int64_t worst[STRAGGLERS + 1], int64_t offset)
{
	for (int i = 0; i <= STRAGGLERS; i++) {
		if (offset > worst[i]) {
			int64_t other = worst[i];
			worst[i] = offset;
			offset = other;
		}
	}
}

static void work_out(struct arrivals *arrivals)
{
	int64_t worst[STRAGGLERS + 1] = {INT64_MIN, INT64_MIN};
	int64_t recent_slowest = INT64_MIN, older_fastest = INT64_MAX;
	const int64_t recent_from = arrivals->newest - RECENT;
	unsigned recent = 0;

	if (arrivals->since < arrivals->newest - WINDOW)
		arrivals->since = arrivals->newest - WINDOW;
	arrivals->fastest = INT64_MAX;
	arrivals->count = 0;
	for (int i = 0; i < ARRIVALS_KEPT; i++) {
		int64_t offset = arrivals->frames[i].offset;
		if (arrivals->frames[i].number <= arrivals->since)
			continue;
		arrivals->count++;
		insert(worst, offset);
		if (offset < arrivals->fastest)
			arrivals->fastest = offset;
		if (arrivals->frames[i].number > recent_from) {
			recent++;
			if (offset > recent_slowest)
				recent_slowest = offset;
		} else if (offset < older_fastest) {
			older_fastest = offset;
		}
	}
	// The fewer there are, the less is one a straggler.
	arrivals->slowest = worst[arrivals->count * STRAGGLERS / WINDOW];
	// A second in which all were faster than any before is another path, not luck. (The other
	// way round needs no care: the slowest count.)
	if (recent >= RECENT / 2 && older_fastest != INT64_MAX &&
		recent_slowest + SHIFT_MS < older_fastest)
		arrivals->since = recent_from;
}

static void store(struct arrivals *arrivals, int64_t number, int64_t offset)
{
	uint64_t slot = (uint64_t)number % ARRIVALS_KEPT;

	arrivals->frames[slot].number = number;
	arrivals->frames[slot].offset = offset;
	if (number > arrivals->newest)
		arrivals->newest = number;
	work_out(arrivals);
}

void arrivals_add(struct arrivals *arrivals, int64_t number, uint64_t now_ms)
{
	if (arrivals->count > 0) {
		// RFC 3550 section 6.4.1: J += (|D| - J) / 16.
		double difference = (double)(int64_t)(now_ms - arrivals->last_at) -
				    (double)(number - arrivals->last_number) * VOICE_FRAME_MS;
		arrivals->jitter += (fabs(difference) - arrivals->jitter) / 16;
	}
	arrivals->last_at = now_ms;
	arrivals->last_number = number;
	if (number > arrivals->newest - WINDOW)
		store(arrivals, number, (int64_t)now_ms - number * VOICE_FRAME_MS);
}

void arrivals_add_copy(struct arrivals *arrivals, int64_t number, uint64_t now_ms)
{
	int64_t offset = (int64_t)now_ms - number * VOICE_FRAME_MS;
	uint64_t slot = (uint64_t)number % ARRIVALS_KEPT;

	if (number > arrivals->since && arrivals->frames[slot].number == number &&
		arrivals->frames[slot].offset < offset)
		store(arrivals, number, offset);
}
