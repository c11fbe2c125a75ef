// SPDX-License-Identifier: BSD-3-Clause
// The sender of voice.h: an Opus encoder at a constant rate, and the count of frames.
#include "endpoint/voice/voice.h"

#include <opus/opus.h>

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct voice_sender {
	OpusEncoder *encoder;
	uint32_t number;
	int packet_size;
};

int voice_sender_create(struct voice_sender **out, const struct voice_sender_config *config)
{
	unsigned bitrate = config->bitrate != 0 ? config->bitrate : VOICE_BITRATE;
	unsigned complexity = config->complexity != 0 ? config->complexity : 5;
	struct voice_sender *sender;
	int error;

	if (bitrate < VOICE_BITRATE_MIN || bitrate > VOICE_BITRATE_MAX || complexity > 10)
		return -EINVAL;
	sender = calloc(1, sizeof(*sender));
	if (sender == NULL)
		return -ENOMEM;
	sender->encoder = opus_encoder_create(VOICE_RATE, 1, OPUS_APPLICATION_VOIP, &error);
	if (sender->encoder == NULL) {
		free(sender);
		return -ENOMEM;
	}
	sender->number = config->first_number;
	sender->packet_size = (int)(bitrate * VOICE_FRAME_MS / 8000);
	if (opus_encoder_ctl(sender->encoder, OPUS_SET_BITRATE((opus_int32)bitrate)) != OPUS_OK ||
		opus_encoder_ctl(sender->encoder, OPUS_SET_VBR(0)) != OPUS_OK ||
		opus_encoder_ctl(sender->encoder, OPUS_SET_COMPLEXITY((int)complexity)) !=
			OPUS_OK ||
		opus_encoder_ctl(sender->encoder, OPUS_SET_SIGNAL(OPUS_SIGNAL_VOICE)) != OPUS_OK ||
		opus_encoder_ctl(sender->encoder, OPUS_SET_INBAND_FEC(1)) != OPUS_OK) {
		voice_sender_free(sender);
		return -EINVAL;
	}
	voice_sender_expect_loss(sender, VOICE_LOSS_EXPECTED);
	*out = sender;
	return 0;
}

void voice_sender_free(struct voice_sender *sender)
{
	if (sender == NULL)
		return;
	opus_encoder_destroy(sender->encoder);
	free(sender);
}

void voice_sender_expect_loss(struct voice_sender *sender, unsigned percent)
{
	if (percent < VOICE_LOSS_MIN)
		percent = VOICE_LOSS_MIN;
	if (percent > VOICE_LOSS_MAX)
		percent = VOICE_LOSS_MAX;
	opus_encoder_ctl(sender->encoder, OPUS_SET_PACKET_LOSS_PERC((opus_int32)percent));
}

size_t voice_sender_encode(struct voice_sender *sender,
	const int16_t pcm[static VOICE_FRAME_SAMPLES], uint8_t out[static VOICE_PAYLOAD_MAX])
{
	uint32_t number = sender->number++;
	// The room given is the packet's size: with a constant rate libopus fills it.
	int size = opus_encode(sender->encoder, pcm, VOICE_FRAME_SAMPLES, out + VOICE_NUMBER_SIZE,
		sender->packet_size);

	assert(size == sender->packet_size);
	for (unsigned i = 0; i < VOICE_NUMBER_SIZE; i++)
		out[i] = (uint8_t)(number >> (24 - 8 * i));
	return VOICE_NUMBER_SIZE + (size_t)size;
}
