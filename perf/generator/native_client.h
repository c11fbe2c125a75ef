// SPDX-License-Identifier: BSD-3-Clause
// A client of the native protocol (lib/wire/README.md) for load: an address that is its own, and
// its requests as whole Ethernet frames (IPv4, UDP). No I/O.
//
// Signatures are real ones under a key of the client's own. Nearly all that signing costs is the
// point of its nonce, of which no message is a part: it is made ahead (native_client_prepare), for
// one signature and from a random nonce, so that a REGISTER, which depends on the relay's cookie,
// is signed in the time of a hash. Without it signing is blinding_sign.
#pragma once

#include "lib/crypto/epoch.h"
#include "lib/wire/native.h"
#include "perf/generator/flow_frames.h"

enum { NATIVE_CLIENT_FRAME = FLOW_STAMP_PLAIN + 172 }; // a REGISTER without admission

struct native_client {
	struct blinding_secret secret;
	uint8_t key[NATIVE_KEY_SIZE];
	uint8_t address[NATIVE_ADDRESS_SIZE];
	uint8_t device[NATIVE_DEVICE_SIZE];
	uint8_t cookie[NATIVE_COOKIE_SIZE]; // the last one that was shown to it
	uint8_t transaction[NATIVE_TRANSACTION_SIZE];
	bool prepared;
	uint8_t nonce[32], point[32];
	uint32_t epoch;
	uint16_t length; // of the frame
	uint8_t frame[NATIVE_CLIENT_FRAME];
};

// A random delivery key, and what follows from it in that epoch.
void native_client_make(struct native_client *client, uint32_t epoch);
// Another device, as a client has that comes anew.
void native_client_renew(struct native_client *client);
void native_client_prepare(struct native_client *client);

// The frames, with another transaction each time. lifetime: seconds, 0 withdraws.
void native_client_solicit(struct native_client *client, const struct flow_path *path,
	const struct net_endpoint *from, const struct net_endpoint *to);
void native_client_register(struct native_client *client, const struct flow_path *path,
	const struct net_endpoint *from, const struct net_endpoint *to, uint32_t lifetime);
