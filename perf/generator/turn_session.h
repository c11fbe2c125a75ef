// SPDX-License-Identifier: BSD-3-Clause
// A TURN client's set-up by blocking kernel sockets: Allocate, ChannelBind. What the generator then
// sends as raw frames belongs to the 5-tuple made here. One thread.
#pragma once

#include "lib/net/address.h"

struct turn_login {
	const char *user;
	const char *password;
};

struct turn_session {
	int socket; // kept open so that nobody else gets the port
	struct net_endpoint local;
	struct net_endpoint relayed;
	uint16_t channel;
};

// Allocates at `server` from `client` (port 0: any) and binds `channel` to `peer`. 0, or a negative
// errno (-EACCES: refused by the relay; *code is then the STUN error code).
int turn_session_open(struct turn_session *session, const struct turn_login *login,
	const struct net_address *client, const struct net_endpoint *server,
	const struct net_endpoint *peer, uint16_t channel, unsigned *code);
// Closes the socket. The allocation is left to its lifetime: by then the raw generator owns the
// interface.
void turn_session_close(struct turn_session *session);
