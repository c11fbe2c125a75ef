// SPDX-License-Identifier: BSD-3-Clause
// The inside of struct voice_receiver, between receiver.c (what comes in) and playout.c (what is
// heard).
//
// Frame numbers are extended to 64 bits without wrap-around and may be negative. `next` is the
// number that is decoded next. Each frame below it was played, passed over or dropped; those from
// `next` to `next + RECEIVER_SLOTS - 1` may be in the buffer.
//
// A frame is needed when the sound decoded so far no longer fills a tick: at that moment the
// distance of the clock from 20 ms times its number is the delay of playing, on the scale of
// arrivals.h. While the buffer is empty concealment is played and `next` stays: the delay grows,
// and frames that only come later are still played. If it turns out that they are lost, because
// others come that are not late, as many are passed over as make up for it.
#pragma once

#include "endpoint/voice/arrivals.h"
#include "endpoint/voice/timescale.h"
#include "endpoint/voice/voice.h"

#include <opus/opus.h>

#include <stdbool.h>

enum {
	RECEIVER_SLOTS = 128,    // 2.6 s; a power of two
	RECEIVER_HISTORY = 1024, // 20 s; a power of two
	// Less than a tick is left over, then a lengthened frame comes.
	RECEIVER_SOUND = 2 * VOICE_FRAME_SAMPLES + TIMESCALE_PERIOD_MAX,
};

struct receiver_slot {
	int64_t number;
	uint64_t arrived_ms;
	uint16_t size; // 0: empty
	uint8_t packet[VOICE_OPUS_MAX];
};

// What became of a number.
struct receiver_past {
	int64_t number;
	bool came, passed_over;
};

struct voice_receiver {
	OpusDecoder *decoder;
	unsigned start_ms, delay_max_ms;
	struct arrivals arrivals;

	bool begun;          // a frame has come
	bool playing;        // its wait is over; not while starting again
	bool heard;          // something received was played
	bool shortened_last; // the frame before
	uint64_t start_at;
	int64_t first; // number since the beginning or a restart: before that nothing can be lost
	int64_t next, newest;
	uint64_t newest_at;
	unsigned buffered;
	unsigned loss_percent; // of the last five seconds, worked out at each tick
	struct receiver_slot slots[RECEIVER_SLOTS];
	struct receiver_past past[RECEIVER_HISTORY];

	// Consecutive numbers that do not fit to the others.
	int64_t stray_next;
	unsigned stray_run;

	// Decoded and not yet heard, with what each sample is.
	int16_t sound[RECEIVER_SOUND];
	uint8_t kinds[RECEIVER_SOUND]; // enum voice_played
	size_t sound_count;

	struct voice_statistics statistics;
	double buffer_delay_ms;
	uint64_t invented, stretched, shortened; // samples
	uint64_t gap, longest_gap;               // samples
	uint64_t gap_at;
};

static inline struct receiver_slot *receiver_slot(struct voice_receiver *receiver, int64_t number)
{
	return &receiver->slots[(uint64_t)number % RECEIVER_SLOTS];
}

static inline bool receiver_slot_has(struct voice_receiver *receiver, int64_t number)
{
	const struct receiver_slot *slot = receiver_slot(receiver, number);
	return slot->size > 0 && slot->number == number;
}

// The entry of a number, emptied if it was another's.
static inline struct receiver_past *receiver_past(struct voice_receiver *receiver, int64_t number)
{
	struct receiver_past *past = &receiver->past[(uint64_t)number % RECEIVER_HISTORY];
	if (past->number != number)
		*past = (struct receiver_past){.number = number};
	return past;
}

unsigned receiver_loss(const struct voice_receiver *receiver);
// The delay of playing that is aimed at, on the scale of arrivals.h.
int64_t receiver_target(const struct voice_receiver *receiver);
