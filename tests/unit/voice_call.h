// SPDX-License-Identifier: BSD-3-Clause
// One direction of a call on a virtual clock: a sender that speaks, a network that the test makes
// up frame by frame, a receiver that is listened to. Milliseconds are the receiver's. Include once
// per program.
#pragma once

#include "endpoint/voice/speech.h"
#include "endpoint/voice/voice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdbool.h>
#include <string.h>

enum { CALL_ON_ITS_WAY = 512, CALL_TICK_AT = 13, CALL_REPEATED = 500 };

struct call_packet {
	uint64_t at;
	size_t size; // 0: free
	uint8_t payload[VOICE_PAYLOAD_MAX];
};

struct call {
	struct voice_sender *sender;
	struct voice_receiver *receiver;
	struct speech speech;
	double clock;      // of the sender: ms of ours for each of its own
	uint64_t sent, ms; // frames; the time
	double tick_at;
	struct call_packet way[CALL_ON_ITS_WAY];
	uint64_t random;
	bool repeats; // the first frames again and again: encoding is what takes the time

	// What the network does to a frame: says call_carry for each copy.
	void (*network)(struct call *call, uint64_t number, const uint8_t *payload, size_t size);
	// What came out, if somebody wants it: `room` samples.
	int16_t *heard;
	size_t heard_count, room;
	enum voice_played played[1 << 16]; // of each tick
	unsigned ticks;
};

// 0 to below - 1.
static unsigned call_random(struct call *call, unsigned below)
{
	call->random = call->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (unsigned)(call->random >> 33) % below;
}

// The payload arrives so many ms from now on.
static void call_carry(struct call *call, const uint8_t *payload, size_t size, uint64_t delay)
{
	for (int i = 0; i < CALL_ON_ITS_WAY; i++) {
		if (call->way[i].size != 0)
			continue;
		call->way[i].at = call->ms + delay;
		call->way[i].size = size;
		memcpy(call->way[i].payload, payload, size);
		return;
	}
	fail_msg("more on its way than there is room for");
}

static void call_begin(struct call *call, struct voice_receiver_config config,
	void (*network)(struct call *, uint64_t, const uint8_t *, size_t))
{
	const struct voice_sender_config sender = {.complexity = 5};

	memset(call, 0, sizeof(*call));
	call->clock = 1;
	call->random = 1;
	call->network = network;
	call->tick_at = CALL_TICK_AT;
	speech_begin(&call->speech);
	assert_int_equal(voice_sender_create(&call->sender, &sender), 0);
	assert_int_equal(voice_receiver_create(&call->receiver, &config), 0);
}

static void call_deliver(struct call *call)
{
	for (;;) {
		struct call_packet *first = NULL;
		for (int i = 0; i < CALL_ON_ITS_WAY; i++) {
			struct call_packet *packet = &call->way[i];
			if (packet->size != 0 && packet->at <= call->ms &&
				(first == NULL || packet->at < first->at))
				first = packet;
		}
		if (first == NULL)
			return;
		voice_receiver_receive(call->receiver, first->payload, first->size, call->ms);
		first->size = 0;
	}
}

static void call_tick(struct call *call)
{
	int16_t pcm[VOICE_FRAME_SAMPLES];
	enum voice_played played = voice_receiver_play(call->receiver, pcm, call->ms);

	if (call->ticks < sizeof(call->played) / sizeof(*call->played))
		call->played[call->ticks++] = played;
	if (call->heard_count + VOICE_FRAME_SAMPLES <= call->room) {
		memcpy(call->heard + call->heard_count, pcm, sizeof(pcm));
		call->heard_count += VOICE_FRAME_SAMPLES;
	}
}

static size_t call_speak(struct call *call, uint8_t payload[static VOICE_PAYLOAD_MAX])
{
	static uint8_t said[CALL_REPEATED][VOICE_PAYLOAD_MAX];
	static size_t sizes[CALL_REPEATED];
	int16_t pcm[VOICE_FRAME_SAMPLES];
	size_t size = call->repeats ? sizes[call->sent % CALL_REPEATED] : 0;

	if (size == 0) {
		speech_read(&call->speech, pcm, VOICE_FRAME_SAMPLES);
		size = voice_sender_encode(call->sender, pcm, payload);
	} else {
		memcpy(payload, said[call->sent % CALL_REPEATED], size);
		for (int i = 0; i < VOICE_NUMBER_SIZE; i++)
			payload[i] = (uint8_t)(call->sent >> (24 - 8 * i));
	}
	memcpy(said[call->sent % CALL_REPEATED], payload, size);
	sizes[call->sent % CALL_REPEATED] = size;
	return size;
}

// Lets time pass up to `until`. Frames are sent as long as there are fewer than `frames`.
static void call_run(struct call *call, uint64_t until, uint64_t frames)
{
	for (; call->ms < until; call->ms++) {
		if (call->sent < frames &&
			(double)call->ms >= (double)call->sent * VOICE_FRAME_MS * call->clock) {
			uint8_t payload[VOICE_PAYLOAD_MAX];
			size_t size = call_speak(call, payload);
			call->network(call, call->sent, payload, size);
			call->sent++;
		}
		call_deliver(call);
		if ((double)call->ms >= call->tick_at) {
			call->tick_at += VOICE_FRAME_MS;
			call_tick(call);
		}
	}
}

// Lets `frames` be sent and what is left of them be heard; returns the account, which must be
// whole.
static struct voice_statistics call_end(struct call *call, uint64_t frames)
{
	struct voice_statistics all;

	call_run(call, (uint64_t)((double)frames * VOICE_FRAME_MS * call->clock) + 1500, frames);
	voice_receiver_statistics(call->receiver, &all);
	assert_int_equal(all.buffered, 0);
	assert_int_equal(all.received, all.played + all.late + all.dropped);
	assert_int_equal(all.lost + all.late, all.recovered + all.concealed + all.skipped);
	voice_sender_free(call->sender);
	voice_receiver_free(call->receiver);
	return all;
}
