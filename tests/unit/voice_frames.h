// SPDX-License-Identifier: BSD-3-Clause
// Packets of a voice call for tests of the pipeline, in relay_world.h's world.
#pragma once

#include "tests/unit/relay_world.h"

static const uint8_t voice[160] = {0x80, 1, 2, 3, [159] = 9};
static uint8_t channel_message[164];

static inline struct frame from_client(unsigned c, const void *payload, size_t length)
{
	return (struct frame){
		.source = endpoint(world_client[c], 40000),
		.destination = endpoint(world_server[c], 3478),
		.payload = payload,
		.length = (uint16_t)length,
	};
}

static inline struct frame channel_data(unsigned c)
{
	channel_data_write_header(channel_message, 0x4001, 160);
	memcpy(channel_message + 4, voice, 160);
	return from_client(c, channel_message, sizeof(channel_message));
}

static inline struct frame from_peer(unsigned p, uint64_t id)
{
	return (struct frame){
		.source = endpoint(world_peer[p], 5000),
		.destination = relayed_of_id(p, id),
		.payload = voice,
		.length = sizeof(voice),
	};
}
