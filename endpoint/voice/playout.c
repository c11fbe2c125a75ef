// SPDX-License-Identifier: BSD-3-Clause
// What is heard: the next 20 ms out of the jitter buffer. receiver.h says how the delay is kept.
#include "endpoint/voice/receiver.h"

#include <assert.h>
#include <string.h>

enum {
	// How far the delay may be off its target before frames are made shorter or longer. It goes
	// in steps of a tick, so there is more than one between them.
	TOO_LONG_MS = 15,
	TOO_SHORT_MS = 10,
	FAR_TOO_LONG_MS = 60,
	// Nothing is shortened before so much is known of the arrivals: a second.
	KNOWN_FRAMES = 50,
	// A frame that has not overtaken the missing one by more may be in order after all.
	OVERTAKEN_MS = 20,
	SAMPLES_PER_MS = VOICE_RATE / 1000,
};

// How alike two periods must be to be faded into each other; less if there is much to do.
#define ALIKE       0.8
#define ALIKE_HURRY 0.4

// ---- sound ----

static void append(
	struct voice_receiver *receiver, const int16_t *pcm, size_t count, enum voice_played kind)
{
	assert(receiver->sound_count + count <= RECEIVER_SOUND);
	memcpy(receiver->sound + receiver->sound_count, pcm, count * sizeof(*pcm));
	memset(receiver->kinds + receiver->sound_count, (int)kind, count);
	receiver->sound_count += count;
}

static void conceal(struct voice_receiver *receiver)
{
	int16_t pcm[VOICE_FRAME_SAMPLES];

	if (opus_decode(receiver->decoder, NULL, 0, pcm, VOICE_FRAME_SAMPLES, 0) !=
		VOICE_FRAME_SAMPLES)
		memset(pcm, 0, sizeof(pcm));
	append(receiver, pcm, VOICE_FRAME_SAMPLES, VOICE_PLAYED_CONCEALED);
	receiver->invented += VOICE_FRAME_SAMPLES;
}

// When the next frame is needed, on the scale of arrivals.h. (It is heard a little later, because a
// part of a tick may be left over.)
static int64_t delay(const struct voice_receiver *receiver, uint64_t now_ms)
{
	return (int64_t)now_ms - receiver->next * VOICE_FRAME_MS;
}

// Appends a frame, a little longer or shorter if the delay is not what it should be. What is left
// over of a tick only makes the delay longer, so it is shortened away as well. Not two frames in a
// row, which would be heard.
static void append_adapted(
	struct voice_receiver *receiver, const int16_t pcm[static VOICE_FRAME_SAMPLES], int64_t off)
{
	int16_t adapted[VOICE_FRAME_SAMPLES + TIMESCALE_PERIOD_MAX];
	size_t count;

	if (off < -TOO_SHORT_MS) {
		count = timescale_lengthen(pcm, adapted, ALIKE_HURRY);
		receiver->stretched += count - VOICE_FRAME_SAMPLES;
	} else if ((off > TOO_LONG_MS || receiver->sound_count > TIMESCALE_PERIOD_MAX) &&
		   receiver->arrivals.count >= KNOWN_FRAMES && !receiver->shortened_last) {
		count = timescale_shorten(
			pcm, adapted, off > FAR_TOO_LONG_MS ? ALIKE_HURRY : ALIKE);
		receiver->shortened += VOICE_FRAME_SAMPLES - count;
	} else {
		receiver->shortened_last = false;
		append(receiver, pcm, VOICE_FRAME_SAMPLES, VOICE_PLAYED_FRAME);
		return;
	}
	receiver->shortened_last = count < VOICE_FRAME_SAMPLES;
	append(receiver, adapted, count, VOICE_PLAYED_FRAME);
}

static void play_frame(struct voice_receiver *receiver, uint64_t now_ms)
{
	struct receiver_slot *slot = receiver_slot(receiver, receiver->next);
	int64_t off = delay(receiver, now_ms) - receiver_target(receiver);
	double waited = (double)(int64_t)(now_ms - slot->arrived_ms) +
			(double)receiver->sound_count / SAMPLES_PER_MS;
	int16_t pcm[VOICE_FRAME_SAMPLES];
	int count = opus_decode(
		receiver->decoder, slot->packet, slot->size, pcm, VOICE_FRAME_SAMPLES, 0);

	slot->size = 0;
	receiver->buffered--;
	receiver->next++;
	if (count != VOICE_FRAME_SAMPLES) {
		receiver->statistics.dropped++;
		conceal(receiver);
		return;
	}
	receiver->statistics.played++;
	receiver->buffer_delay_ms =
		receiver->heard
			? receiver->buffer_delay_ms + (waited - receiver->buffer_delay_ms) / 32
			: waited;
	receiver->heard = true;
	append_adapted(receiver, pcm, off);
}

// ---- missing frames ----

static void pass_over(struct voice_receiver *receiver, uint64_t *counter)
{
	receiver_past(receiver, receiver->next)->passed_over = true;
	receiver->statistics.lost++;
	(*counter)++;
	receiver->next++;
}

// RFC 6716 section 4.2.3: a SILK frame begins with one bit that says whether there is voice in it
// and one that says whether it brings the frame before; CELT (configurations 16 to 31) has no such
// thing. Ours are of one channel and one frame; others are not asked for it.
static bool has_redundancy(const struct receiver_slot *slot)
{
	const uint8_t configuration = slot->packet[0] >> 3, kind = slot->packet[0] & 7;

	return configuration < 16 && kind == 0 && slot->size > 1 && (slot->packet[1] & 0x40) != 0 &&
	       opus_packet_get_samples_per_frame(slot->packet, VOICE_RATE) == VOICE_FRAME_SAMPLES;
}

static bool recover(struct voice_receiver *receiver, const struct receiver_slot *from)
{
	int16_t pcm[VOICE_FRAME_SAMPLES];

	if (!has_redundancy(from) || opus_decode(receiver->decoder, from->packet, from->size, pcm,
					     VOICE_FRAME_SAMPLES, 1) != VOICE_FRAME_SAMPLES)
		return false;
	append(receiver, pcm, VOICE_FRAME_SAMPLES, VOICE_PLAYED_RECOVERED);
	return true;
}

// The next frame is not there, but others behind it are.
static void play_without(struct voice_receiver *receiver, uint64_t now_ms)
{
	const struct receiver_slot *slot;
	int64_t ahead = receiver->next + 1, needed = receiver_target(receiver), offset;

	while (!receiver_slot_has(receiver, ahead)) {
		ahead++;
		assert(ahead < receiver->next + RECEIVER_SLOTS);
	}
	slot = receiver_slot(receiver, ahead);
	// Just overtaken on a path that has become slower?
	offset = (int64_t)slot->arrived_ms - ahead * VOICE_FRAME_MS + OVERTAKEN_MS;
	if (offset > needed)
		needed = offset;
	needed -= TOO_SHORT_MS;
	while (receiver->next < ahead && delay(receiver, now_ms) - VOICE_FRAME_MS >= needed)
		pass_over(receiver, &receiver->statistics.skipped);
	if (receiver->next == ahead) {
		play_frame(receiver, now_ms);
	} else if (delay(receiver, now_ms) < needed) {
		conceal(receiver);
	} else if (receiver->next + 1 == ahead && recover(receiver, slot)) {
		pass_over(receiver, &receiver->statistics.recovered);
	} else {
		conceal(receiver);
		pass_over(receiver, &receiver->statistics.concealed);
	}
}

// ---- a tick ----

// Counts how long nothing received is heard; returns what the greater part of the tick is.
static enum voice_played account(struct voice_receiver *receiver, uint64_t now_ms)
{
	unsigned samples[VOICE_PLAYED_CONCEALED + 1] = {0};
	enum voice_played most = VOICE_PLAYED_NOTHING;

	for (unsigned i = 0; i < VOICE_FRAME_SAMPLES; i++) {
		samples[receiver->kinds[i]]++;
		if (receiver->kinds[i] != VOICE_PLAYED_FRAME) {
			if (receiver->gap++ == 0)
				receiver->gap_at = now_ms + i / SAMPLES_PER_MS;
		} else if (receiver->gap > 0) {
			receiver->statistics.gaps++;
			if (receiver->gap > receiver->longest_gap) {
				receiver->longest_gap = receiver->gap;
				receiver->statistics.longest_gap_at_ms = receiver->gap_at;
			}
			receiver->gap = 0;
		}
	}
	for (unsigned i = VOICE_PLAYED_NOTHING; i <= VOICE_PLAYED_CONCEALED; i++)
		if (samples[i] > samples[most])
			most = (enum voice_played)i;
	return most;
}

enum voice_played voice_receiver_play(
	struct voice_receiver *receiver, int16_t out[static VOICE_FRAME_SAMPLES], uint64_t now_ms)
{
	enum voice_played played;

	if (receiver->begun && !receiver->playing && now_ms >= receiver->start_at)
		receiver->playing = true;
	if (!receiver->heard && !receiver->playing) {
		memset(out, 0, VOICE_FRAME_SAMPLES * sizeof(*out));
		return VOICE_PLAYED_NOTHING;
	}
	receiver->loss_percent = receiver_loss(receiver);
	while (receiver->sound_count < VOICE_FRAME_SAMPLES) {
		if (!receiver->playing || receiver->buffered == 0)
			conceal(receiver);
		else if (receiver_slot_has(receiver, receiver->next))
			play_frame(receiver, now_ms);
		else
			play_without(receiver, now_ms);
	}
	played = account(receiver, now_ms);
	memcpy(out, receiver->sound, VOICE_FRAME_SAMPLES * sizeof(*out));
	receiver->sound_count -= VOICE_FRAME_SAMPLES;
	memmove(receiver->sound, receiver->sound + VOICE_FRAME_SAMPLES,
		receiver->sound_count * sizeof(*out));
	memmove(receiver->kinds, receiver->kinds + VOICE_FRAME_SAMPLES, receiver->sound_count);
	return played;
}
