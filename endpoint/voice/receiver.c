// SPDX-License-Identifier: BSD-3-Clause
// The receiver of voice.h: payloads into the jitter buffer, and the account of them. What is played
// is playout.c.
#include "endpoint/voice/receiver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	START_MS = 40,
	DELAY_MAX_MS = 500,
	LIMIT_MS = 1000,
	// Above what covers the arrivals: frames are needed in steps of a tick, and a tick may be
	// late.
	MARGIN_MS = 15,
	// Percent. The redundancy for a lost frame is in the next one, which comes 20 ms later:
	// from this loss on it is worth waiting for.
	REDUNDANCY_LOSS = 2,
	// A jump ahead up to this is a pause of the network; what is missing was lost. A minute.
	OUTAGE_FRAMES = 3000,
	LOSS_WINDOW = 250,
	// How many consecutive strange numbers are believed. Behind the others they may be copies
	// on a path that is slower, so only if nothing else comes for as long as no path is slow.
	RUN_AHEAD = 2,
	RUN_BEHIND = 3,
	RUN_BEHIND_MS = 1000,
};

int voice_receiver_create(struct voice_receiver **out, const struct voice_receiver_config *config)
{
	struct voice_receiver *receiver;
	int error;

	if (config->start_ms > LIMIT_MS || config->delay_max_ms > LIMIT_MS)
		return -EINVAL;
	receiver = calloc(1, sizeof(*receiver));
	if (receiver == NULL)
		return -ENOMEM;
	receiver->decoder = opus_decoder_create(VOICE_RATE, 1, &error);
	if (receiver->decoder == NULL) {
		free(receiver);
		return -ENOMEM;
	}
	receiver->start_ms = config->start_ms != 0 ? config->start_ms : START_MS;
	receiver->delay_max_ms = config->delay_max_ms != 0 ? config->delay_max_ms : DELAY_MAX_MS;
	for (int i = 0; i < RECEIVER_HISTORY; i++)
		receiver->past[i].number = INT64_MIN;
	*out = receiver;
	return 0;
}

void voice_receiver_free(struct voice_receiver *receiver)
{
	if (receiver == NULL)
		return;
	opus_decoder_destroy(receiver->decoder);
	free(receiver);
}

unsigned receiver_loss(const struct voice_receiver *receiver)
{
	unsigned passed_over = 0, all = 0;

	for (int64_t number = receiver->next - 1;
		number >= receiver->first && number >= receiver->next - LOSS_WINDOW; number--) {
		const struct receiver_past *past =
			&receiver->past[(uint64_t)number % RECEIVER_HISTORY];
		all++;
		if (past->number == number && past->passed_over)
			passed_over++;
	}
	return all > 0 ? (passed_over * 100 + all / 2) / all : 0;
}

int64_t receiver_target(const struct voice_receiver *receiver)
{
	const struct arrivals *arrivals = &receiver->arrivals;
	int64_t target = arrivals->slowest + MARGIN_MS +
			 (receiver->loss_percent >= REDUNDANCY_LOSS ? VOICE_FRAME_MS : 0);
	int64_t most = arrivals->fastest + receiver->delay_max_ms;

	return target < most ? target : most;
}

static bool is_frame(const uint8_t *packet, size_t size)
{
	const unsigned char *frames[48]; // RFC 6716 section 3.2.5: 120 ms of 2.5 ms
	opus_int16 sizes[48];

	return opus_packet_get_nb_samples(packet, (opus_int32)size, VOICE_RATE) ==
		       VOICE_FRAME_SAMPLES &&
	       opus_packet_parse(packet, (opus_int32)size, NULL, frames, sizes, NULL) > 0;
}

// Numbers are told apart within half of their range around the newest.
static int64_t extended(const struct voice_receiver *receiver, uint32_t number)
{
	if (!receiver->begun)
		return number;
	return receiver->newest + (int32_t)(number - (uint32_t)receiver->newest);
}

// Whether so many consecutive numbers have come that do not fit.
static bool strays_run(struct voice_receiver *receiver, int64_t number, unsigned long_enough)
{
	receiver->stray_run = number == receiver->stray_next ? receiver->stray_run + 1 : 1;
	receiver->stray_next = number + 1;
	return receiver->stray_run >= long_enough;
}

// The first frame, or the first after which nothing before makes sense.
static void begin(struct voice_receiver *receiver, int64_t number, uint64_t now_ms)
{
	receiver->begun = true;
	receiver->playing = false;
	receiver->start_at = now_ms + receiver->start_ms;
	receiver->first = receiver->next = receiver->newest = number;
	receiver->stray_run = 0;
	arrivals_begin(&receiver->arrivals, number);
	for (int i = 0; i < RECEIVER_HISTORY; i++)
		receiver->past[i] = (struct receiver_past){.number = INT64_MIN};
}

static void begin_again(struct voice_receiver *receiver, int64_t number, uint64_t now_ms)
{
	int64_t ahead = number - receiver->next;

	if (ahead > 0 && ahead <= OUTAGE_FRAMES) {
		receiver->statistics.lost += (uint64_t)ahead - receiver->buffered;
		receiver->statistics.skipped += (uint64_t)ahead - receiver->buffered;
	} else {
		receiver->statistics.restarts++;
	}
	receiver->statistics.dropped += receiver->buffered;
	receiver->buffered = 0;
	for (int i = 0; i < RECEIVER_SLOTS; i++)
		receiver->slots[i].size = 0;
	begin(receiver, number, now_ms);
}

static enum voice_taken late(struct voice_receiver *receiver, int64_t number, uint64_t now_ms)
{
	struct receiver_past *past = receiver_past(receiver, number);

	if (past->came) {
		receiver->statistics.duplicates++;
		arrivals_add_copy(&receiver->arrivals, number, now_ms);
		return VOICE_DUPLICATE;
	}
	past->came = true;
	receiver->statistics.received++;
	receiver->statistics.late++;
	if (past->passed_over)
		receiver->statistics.lost--;
	else
		receiver->statistics.skipped++; // from before the first
	arrivals_add(&receiver->arrivals, number, now_ms);
	return VOICE_LATE;
}

static enum voice_taken keep(struct voice_receiver *receiver, int64_t number, const uint8_t *packet,
	size_t size, uint64_t now_ms)
{
	struct receiver_slot *slot = receiver_slot(receiver, number);

	if (receiver_slot_has(receiver, number)) {
		receiver->statistics.duplicates++;
		arrivals_add_copy(&receiver->arrivals, number, now_ms);
		return VOICE_DUPLICATE;
	}
	slot->number = number;
	slot->arrived_ms = now_ms;
	slot->size = (uint16_t)size;
	memcpy(slot->packet, packet, size);
	receiver->buffered++;
	receiver->statistics.received++;
	receiver_past(receiver, number)->came = true;
	if (number >= receiver->newest) {
		receiver->newest = number;
		receiver->newest_at = now_ms;
		receiver->stray_run = 0;
	}
	arrivals_add(&receiver->arrivals, number, now_ms);
	return VOICE_TAKEN;
}

enum voice_taken voice_receiver_receive(
	struct voice_receiver *receiver, const uint8_t *payload, size_t size, uint64_t now_ms)
{
	const uint8_t *packet = payload + VOICE_NUMBER_SIZE;
	int64_t number;

	if (size <= VOICE_NUMBER_SIZE || size > VOICE_PAYLOAD_MAX ||
		!is_frame(packet, size - VOICE_NUMBER_SIZE)) {
		receiver->statistics.malformed++;
		return VOICE_MALFORMED;
	}
	size -= VOICE_NUMBER_SIZE;
	number = extended(receiver, (uint32_t)payload[0] << 24 | (uint32_t)payload[1] << 16 |
					    (uint32_t)payload[2] << 8 | payload[3]);
	if (!receiver->begun) {
		begin(receiver, number, now_ms);
	} else if (number >= receiver->next + RECEIVER_SLOTS) {
		if (!strays_run(receiver, number, RUN_AHEAD)) {
			receiver->statistics.strays++;
			return VOICE_STRAY;
		}
		begin_again(receiver, number, now_ms);
	} else if (number < receiver->next) {
		if (strays_run(receiver, number, RUN_BEHIND) &&
			now_ms - receiver->newest_at >= RUN_BEHIND_MS) {
			begin_again(receiver, number, now_ms);
		} else if (number <= receiver->newest - RECEIVER_HISTORY / 2) {
			receiver->statistics.strays++;
			return VOICE_STRAY;
		} else if (receiver->playing || receiver->heard ||
			   number <= receiver->newest - RECEIVER_SLOTS) {
			return late(receiver, number, now_ms);
		} else {
			// The first ones came in another order than they were sent.
			receiver->first = receiver->next = number;
		}
	}
	return keep(receiver, number, packet, size, now_ms);
}

void voice_receiver_statistics(const struct voice_receiver *receiver, struct voice_statistics *out)
{
	const uint64_t ms = VOICE_RATE / 1000;

	*out = receiver->statistics;
	out->invented_ms = receiver->invented / ms;
	out->stretched_ms = receiver->stretched / ms;
	out->shortened_ms = receiver->shortened / ms;
	out->longest_gap_ms = receiver->longest_gap / ms;
	out->current_gap_ms = receiver->gap / ms;
	out->jitter_ms = receiver->arrivals.jitter;
	out->buffer_delay_ms = (unsigned)(receiver->buffer_delay_ms + 0.5);
	out->buffered = receiver->buffered;
	if (receiver->begun) {
		out->target_delay_ms =
			(unsigned)(receiver_target(receiver) - receiver->arrivals.fastest);
		out->loss_percent = receiver->loss_percent;
	}
}

void voice_receiver_forget_gap(struct voice_receiver *receiver)
{
	receiver->longest_gap = 0;
	receiver->statistics.longest_gap_at_ms = 0;
}
