// SPDX-License-Identifier: BSD-3-Clause
// The jitter buffer, given any payloads at any times. An input is a list of steps: what kind of
// payload, how far its number is from the one before, how long until the next. Frames that Opus
// itself has made are among them, so that the buffer fills. Afterwards the account must be whole.
#include "endpoint/voice/voice.h"

#include <stdlib.h>
#include <string.h>

enum { FRAMES = 16, STEPS = 250 };

static uint8_t frames[FRAMES][VOICE_PAYLOAD_MAX];
static size_t frame_size;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct voice_sender *sender;
	(void)argc;
	(void)argv;
	if (voice_sender_create(&sender, &(struct voice_sender_config){0}) != 0)
		abort();
	for (int i = 0; i < FRAMES; i++) {
		int16_t pcm[VOICE_FRAME_SAMPLES];
		for (int j = 0; j < VOICE_FRAME_SAMPLES; j++)
			pcm[j] = (int16_t)((j * (90 + i)) % 8000);
		frame_size = voice_sender_encode(sender, pcm, frames[i]);
	}
	voice_sender_free(sender);
	return 0;
}

static void check(struct voice_receiver *receiver)
{
	struct voice_statistics all;

	voice_receiver_statistics(receiver, &all);
	if (all.received != all.played + all.late + all.dropped + all.buffered ||
		all.buffered > 128 || all.target_delay_ms > 1000 || all.loss_percent > 100 ||
		all.recovered + all.concealed > all.lost + all.late)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct voice_receiver *receiver;
	uint64_t now = 0, tick = 0;
	uint32_t number = 0;

	if (voice_receiver_create(&receiver, &(struct voice_receiver_config){0}) != 0)
		abort();
	// Decoding takes its time: more inputs find more than longer ones.
	if (size > STEPS * 3)
		size = STEPS * 3;
	while (size >= 3) {
		const uint8_t kind = data[0], time = data[2];
		uint8_t payload[VOICE_PAYLOAD_MAX];
		size_t payload_size = frame_size;
		int16_t pcm[VOICE_FRAME_SAMPLES];
		number += (uint32_t)(int8_t)data[1];
		data += 3;
		size -= 3;
		memcpy(payload, frames[kind % FRAMES], frame_size);
		if ((kind & 0xe0) == 0xe0) {
			// Bytes of the input behind the number, and a number far away.
			payload_size = kind & 0x1f;
			if (payload_size > size)
				payload_size = size;
			number ^= (uint32_t)time << 24;
			memcpy(payload + VOICE_NUMBER_SIZE, data, payload_size);
			data += payload_size;
			size -= payload_size;
			payload_size += VOICE_NUMBER_SIZE;
		}
		for (int i = 0; i < VOICE_NUMBER_SIZE; i++)
			payload[i] = (uint8_t)(number >> (24 - 8 * i));
		if (kind & 0x10)
			voice_receiver_receive(receiver, payload, payload_size, now);
		number++;
		now += time & 0x80 ? 20 : time & 0x3f;
		for (; tick <= now; tick += VOICE_FRAME_MS)
			voice_receiver_play(receiver, pcm, time & 0x40 ? now : tick);
		check(receiver);
	}
	voice_receiver_free(receiver);
	return 0;
}
