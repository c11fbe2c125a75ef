// SPDX-License-Identifier: BSD-3-Clause
// A TURN client as a base of the agent (endpoint/agent/agent.h): the relayed address becomes the
// base's candidate, what the agent sends from the base goes by the server, and what peers send to
// the relayed address comes to the agent as from them. I/O-free like both.
//
// The owner, who has agent, socket and clock:
// - gives the agent's `send` for this base to turn_base_send, and what comes on the socket to
//   turn_base_receive;
// - calls turn_base_use when a pair of the base is one that media goes by: it gets a channel.
//
// The base is the agent's from the allocation to its loss. While it is made anew (another network)
// pairs stay: the peer knows who sends by the key, not by the address.
//
// Rules for all functions as in turn_client.h. The agent must outlive the base; turn_base_free does
// not touch it.
#pragma once

#include "endpoint/agent/agent.h"
#include "endpoint/turn/turn_client.h"

#ifdef __cplusplus
extern "C" {
#endif

struct turn_base_output {
	void *context;
	// As in struct turn_client_output.
	void (*send)(void *context, const struct endpoint_transport *server, const uint8_t *data,
		size_t size);
	void (*deadline)(void *context, uint64_t at_ms);
	// From a peer, and nothing of the agent's (agent_pair_of tells the pair).
	void (*data)(void *context, unsigned base, const struct endpoint_transport *source,
		const uint8_t *data, size_t size);
	// Everything but data, after the agent knows of it. NULL: nobody wants to know.
	void (*event)(void *context, unsigned base, const struct turn_client_event *event);
};

struct turn_base;

// Nothing is allocated yet. base: the agent's number for it. Errors as turn_client_create.
int turn_base_create(struct turn_base **out, struct agent *agent, unsigned base,
	const struct turn_client_config *config, const struct turn_base_output *output);
void turn_base_free(struct turn_base *base);
// Whatever is said of this one (turn_client_start, _tick, _release, _network_changed...) is called
// as it is.
struct turn_client *turn_base_client(const struct turn_base *base);

// For the agent's `send`. What the server does not take, or not yet, is lost as on the way.
void turn_base_send(struct turn_base *base, const struct endpoint_transport *destination,
	const uint8_t *data, size_t size, uint64_t now_ms);
// As turn_client_receive.
bool turn_base_receive(struct turn_base *base, const struct endpoint_transport *source,
	const uint8_t *data, size_t size, uint64_t now_ms);
// Errors as turn_client_bind, of which none matters.
int turn_base_use(struct turn_base *base, const struct endpoint_transport *remote, uint64_t now_ms);

#ifdef __cplusplus
}
#endif
