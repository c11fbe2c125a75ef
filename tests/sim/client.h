// SPDX-License-Identifier: BSD-3-Clause
// Clients: an endpoint core each, where it is in the network, and what its user knows. What users
// do is in user.c.
#pragma once

#include "endpoint/endpoint.h"
#include "tests/sim/dice.h"
#include "tests/sim/ledger.h"
#include "tests/sim/network.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CLIENT_CALLS_MAX = 6,
	CLIENT_GATHERING = 12, // devices of the first identity: more than may register
};
#define CLIENT_UNSETTLED UINT64_MAX

struct client {
	uint16_t number, identity;
	bool leaving;
	uint32_t life;             // counts comings
	struct endpoint *endpoint; // NULL: away
	struct dice dice, chance;  // the user's, the endpoint's
	struct network_host host;
	uint64_t tick_at;    // next call of endpoint_tick that is waiting
	uint64_t settled_at; // registered since then, and nothing has changed; CLIENT_UNSETTLED
	bool settling;       // registering will settle it
	struct client_call {
		uint64_t id; // 0: free
		struct ledger_call *call;
		uint8_t side;
		bool moved; // while it was being set up
	} calls[CLIENT_CALLS_MAX];
};

void client_open(uint64_t seed);
void client_close(void);
struct client *client_at(unsigned number);

// Comes with a new transport address and registers.
void client_come(struct client *client);
// Withdraws and goes when that is confirmed.
void client_leave(struct client *client);
// Goes without a word.
void client_vanish(struct client *client);
// Another transport address; noticed: the host knows of it.
void client_move(struct client *client, bool noticed);
// The dataplane has forgotten everything.
void client_unsettle_all(void);

// A datagram reaches it.
void client_receive(
	unsigned number, const struct net_endpoint *source, const uint8_t *data, size_t size);

struct endpoint_time client_time(void);
// For long enough that its addresses of this and the next epoch can be reached.
bool client_settled(const struct client *client);
unsigned client_identities(void);
// NULL: nobody has come with that identity yet.
const struct endpoint_peer *client_peer(unsigned identity);
// Clients with that identity: the first one from `from` on, or NULL.
struct client *client_of_identity(unsigned identity, unsigned from);
// Begins, keeps, forgets a call.
void client_call_begin(struct client *client, uint64_t id, struct ledger_call *call, unsigned side);
struct client_call *client_call_find(struct client *client, uint64_t id);
bool client_has_room(const struct client *client);
