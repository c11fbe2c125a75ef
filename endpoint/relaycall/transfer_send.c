// SPDX-License-Identifier: BSD-3-Clause
// The sending side of a transfer; see transfer.h.
#include "endpoint/relaycall/transfer.h"

#include <sodium.h>

#include <assert.h>
#include <string.h>

enum {
	WINDOW_FIRST = 16,
	WINDOW_LEAST = 4,
	OVERTAKEN_BY = 3,
	REPEAT_LEAST_MS = 200,
	REPEAT_FIRST_MS = 1000,
	REPEAT_LONGEST_MS = 5000,
};

static struct transfer_slot *slot_of(struct transfer_sender *s, uint32_t index)
{
	return &s->slots[index % TRANSFER_WINDOW];
}

// RFC 6298 section 2.
static uint64_t repeat_time(const struct transfer_sender *s)
{
	uint64_t ms = REPEAT_FIRST_MS;
	if (s->round_trip_ms > 0)
		ms = s->round_trip_ms / 8 + s->variation_ms;
	if (ms < REPEAT_LEAST_MS)
		ms = REPEAT_LEAST_MS;
	ms <<= s->backoff;
	return ms < REPEAT_LONGEST_MS ? ms : REPEAT_LONGEST_MS;
}

static void measure(struct transfer_sender *s, uint64_t ms)
{
	if (s->round_trip_ms == 0) {
		s->round_trip_ms = ms * 8 + 1;
		s->variation_ms = ms * 2;
		return;
	}
	uint64_t smooth = s->round_trip_ms / 8;
	uint64_t difference = smooth > ms ? smooth - ms : ms - smooth;
	s->variation_ms += difference - s->variation_ms / 4;
	s->round_trip_ms += ms - smooth;
}

static bool send_chunk(struct transfer_sender *s, uint32_t index, uint64_t now_ms)
{
	uint8_t frame[TRANSFER_DATA_HEADER + TRANSFER_CHUNK];
	struct transfer_slot *slot = slot_of(s, index);
	size_t size = transfer_chunk_size(s->size, index);

	frame[0] = TRANSFER_FRAME_DATA;
	transfer_put(frame + 1, index, 4);
	if (!s->output.read(s->output.context, (uint64_t)index * TRANSFER_CHUNK,
		    frame + TRANSFER_DATA_HEADER, size)) {
		s->state = TRANSFER_UNKEPT;
		return false;
	}
	if (index == s->next) { // for the first time, so in order
		blake3_add(&s->hash, frame + TRANSFER_DATA_HEADER, size);
		*slot = (struct transfer_slot){0};
		s->next++;
	} else {
		s->repetitions++;
	}
	slot->lost = false;
	slot->sent_at = now_ms;
	slot->order = ++s->order;
	if (slot->times < UINT8_MAX)
		slot->times++;
	s->in_flight++;
	s->output.send(s->output.context, frame, TRANSFER_DATA_HEADER + size);
	return true;
}

static void send_finish(struct transfer_sender *s)
{
	uint8_t frame[TRANSFER_FINISH_SIZE] = {TRANSFER_FRAME_FINISH};
	transfer_put(frame + 1, s->chunks, 4);
	transfer_put(frame + 5, s->size, 8);
	blake3_finish(&s->hash, frame + 13, TRANSFER_HASH_SIZE);
	s->output.send(s->output.context, frame, sizeof(frame));
}

static void fill_window(struct transfer_sender *s, uint64_t now_ms)
{
	bool idle = s->in_flight == 0;

	for (uint32_t i = s->base; i != s->next && s->in_flight < s->window; i++)
		if (slot_of(s, i)->lost && !send_chunk(s, i, now_ms))
			return;
	while (s->in_flight < s->window && s->next < s->chunks &&
		s->next - s->base < TRANSFER_WINDOW)
		if (!send_chunk(s, s->next, now_ms))
			return;
	if (idle && s->in_flight > 0)
		s->repeat_at = now_ms + repeat_time(s);
}

void transfer_sender_begin(struct transfer_sender *sender, const struct transfer_output *output,
	uint64_t size, uint64_t now_ms)
{
	assert(size <= TRANSFER_SIZE_MAX);
	*sender = (struct transfer_sender){
		.output = *output,
		.size = size,
		.chunks = transfer_chunks(size),
		.window = WINDOW_FIRST,
		.threshold = TRANSFER_WINDOW,
		.heard_at = now_ms,
		.repeat_at = now_ms,
	};
	blake3_begin(&sender->hash);
	if (sender->chunks > 0)
		fill_window(sender, now_ms);
}

static void take_lost(struct transfer_sender *s, struct transfer_slot *slot)
{
	slot->lost = true;
	s->in_flight--;
}

static void shrink(struct transfer_sender *s)
{
	s->threshold = s->window / 2 > WINDOW_LEAST ? s->window / 2 : WINDOW_LEAST;
	s->window = s->threshold;
	s->recovery_order = s->order; // what was sent before shows the same loss
}

static void arrived(struct transfer_sender *s, struct transfer_slot *slot)
{
	if (slot->acknowledged)
		return;
	slot->acknowledged = true;
	if (!slot->lost)
		s->in_flight--;
	slot->lost = false;
	if (s->window < s->threshold) {
		s->window++;
	} else if (++s->acknowledged >= s->window) {
		s->acknowledged = 0;
		s->window++;
	}
	if (s->window > TRANSFER_WINDOW)
		s->window = TRANSFER_WINDOW;
}

static void receive_ack(struct transfer_sender *s, const uint8_t *data, uint64_t now_ms)
{
	uint32_t next = (uint32_t)transfer_get(data + 1, 4);
	uint32_t latest = (uint32_t)transfer_get(data + 5, 4), newest = 0;
	const uint8_t *bits = data + 9;

	if (next > s->next || latest >= s->next)
		return; // not of this transfer
	if (latest >= s->base && !slot_of(s, latest)->acknowledged &&
		slot_of(s, latest)->times == 1)
		measure(s, now_ms - slot_of(s, latest)->sent_at + 1);
	for (uint32_t i = s->base; i < s->next; i++) {
		struct transfer_slot *slot = slot_of(s, i);
		uint32_t behind = i - next;
		bool there = i < next || (behind < TRANSFER_WINDOW &&
						 (bits[behind / 8] >> behind % 8 & 1) != 0);
		if (there)
			arrived(s, slot);
		if (slot->acknowledged && slot->order > newest)
			newest = slot->order;
	}
	while (s->base < s->next && slot_of(s, s->base)->acknowledged)
		s->base++;
	bool loss = false;
	for (uint32_t i = s->base; i < s->next; i++) {
		struct transfer_slot *slot = slot_of(s, i);
		if (slot->acknowledged || slot->lost || slot->order + OVERTAKEN_BY > newest)
			continue;
		take_lost(s, slot);
		loss = loss || slot->order > s->recovery_order;
	}
	if (loss)
		shrink(s);
	s->backoff = 0;
	s->repeat_at = now_ms + repeat_time(s);
}

void transfer_sender_receive(
	struct transfer_sender *sender, const uint8_t *data, size_t size, uint64_t now_ms)
{
	if (sender->state != TRANSFER_RUNNING || size == 0)
		return;
	if (data[0] == TRANSFER_FRAME_ACK && size == TRANSFER_ACK_SIZE) {
		sender->heard_at = now_ms;
		receive_ack(sender, data, now_ms);
		if (sender->base == sender->chunks)
			send_finish(sender);
		else
			fill_window(sender, now_ms);
	} else if (data[0] == TRANSFER_FRAME_RESULT && size == TRANSFER_RESULT_SIZE) {
		sender->state = data[1] == TRANSFER_RESULT_WHOLE     ? TRANSFER_DONE
				: data[1] == TRANSFER_RESULT_DAMAGED ? TRANSFER_DAMAGED
								     : TRANSFER_UNKEPT;
	}
}

static void take_all_lost(struct transfer_sender *s)
{
	for (uint32_t i = s->base; i < s->next; i++) {
		struct transfer_slot *slot = slot_of(s, i);
		if (!slot->acknowledged && !slot->lost)
			take_lost(s, slot);
	}
}

void transfer_sender_path_changed(struct transfer_sender *sender, uint64_t now_ms)
{
	if (sender->state != TRANSFER_RUNNING)
		return;
	take_all_lost(sender);
	sender->recovery_order = sender->order;
	sender->round_trip_ms = 0;
	sender->backoff = 0;
	sender->repeat_at = now_ms;
	transfer_sender_tick(sender, now_ms);
}

uint64_t transfer_sender_tick(struct transfer_sender *sender, uint64_t now_ms)
{
	if (sender->state == TRANSFER_RUNNING && now_ms - sender->heard_at >= TRANSFER_SILENCE_MS)
		sender->state = TRANSFER_SILENT;
	if (sender->state != TRANSFER_RUNNING)
		return ENDPOINT_NEVER;
	if (now_ms >= sender->repeat_at) {
		if (sender->base == sender->chunks) {
			send_finish(sender);
		} else {
			take_all_lost(sender);
			shrink(sender);
			sender->window = WINDOW_LEAST;
			fill_window(sender, now_ms);
		}
		if (sender->backoff < 5)
			sender->backoff++;
		sender->repeat_at = now_ms + repeat_time(sender);
	}
	if (sender->state != TRANSFER_RUNNING)
		return ENDPOINT_NEVER;
	uint64_t silent_at = sender->heard_at + TRANSFER_SILENCE_MS;
	return sender->repeat_at < silent_at ? sender->repeat_at : silent_at;
}

uint64_t transfer_sender_arrived(const struct transfer_sender *sender)
{
	uint64_t bytes = (uint64_t)sender->base * TRANSFER_CHUNK;
	return bytes < sender->size ? bytes : sender->size;
}

void transfer_sender_end(struct transfer_sender *sender)
{
	sodium_memzero(sender, sizeof(*sender));
}
