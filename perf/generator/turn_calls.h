// SPDX-License-Identifier: BSD-3-Clause
// Calls over a raw port: allocations with channels, set up through the relay's real control plane
// by authenticated STUN messages, many clients at once, each with one request under way.
//
// Client i has an address in a /24 of its own, and so has its peer (which has a port per channel),
// so addresses in frames lead back to the call. IPv4.
#pragma once

#include "perf/generator/flow_frames.h"
#include "perf/generator/memif_port.h"
#include "perf/generator/turn_frames.h"

enum {
	TURN_CALLS_CHANNELS_MAX = 64, // per allocation, the relay's limit
	TURN_CALLS_PREFIXES = 16384,
	TURN_CALLS_MAX = 4 * TURN_CALLS_PREFIXES,
	TURN_CALLS_PEER_PORT = 5000,
	TURN_CALLS_CHANNEL = 0x4000,
};

struct turn_call {
	struct net_endpoint relayed;
	uint8_t nonce[TURN_NONCE_MAX];
	uint8_t nonce_length;
	uint8_t step, tries, challenges; // of the request under way
	uint16_t bound;                  // channels
	uint32_t attempt;
	uint64_t due; // TSC
};

struct turn_calls {
	struct memif_port *port;
	struct flow_path path;
	struct net_endpoint server;
	const char *user, *password;
	unsigned count, channels;
	struct turn_call *calls;
	char realm[128];
	struct turn_frame_login login;
	uint64_t requests, sent_again, stray;
};

// Sets up `count` calls of `channels` channels; members from port to channels are the caller's. 0,
// or -errno with why in `error`.
int turn_calls_open(struct turn_calls *calls, char *error, size_t error_size);
void turn_calls_close(struct turn_calls *calls);

struct net_endpoint turn_calls_client(unsigned call);
struct net_endpoint turn_calls_peer(unsigned call, unsigned channel);
static inline uint16_t turn_calls_queue(const struct turn_calls *calls, unsigned call)
{
	return (uint16_t)(call % calls->port->queues);
}
// Whose address that is: -1 nobody's.
int turn_calls_find_client(const struct turn_calls *calls, const struct net_endpoint *client);
int turn_calls_find_peer(
	const struct turn_calls *calls, const struct net_endpoint *peer, unsigned *channel);
