// SPDX-License-Identifier: BSD-3-Clause
// A TURN client's requests as whole Ethernet frames (IPv4, UDP), made before they are sent:
// integrity and all, so that sending one again costs a copy. No I/O.
#pragma once

#include "lib/net/address.h"
#include "lib/wire/stun_integrity.h"
#include "perf/generator/flow_frames.h"

#include <stddef.h>
#include <stdint.h>

enum turn_step {
	TURN_STEP_CHALLENGE, // an Allocate without credentials: its 401 has the nonce
	TURN_STEP_ALLOCATE,
	TURN_STEP_BIND,
	TURN_STEP_REFRESH,
	TURN_STEP_DELETE, // Refresh with lifetime 0
	TURN_STEPS,
};

enum { TURN_FRAME_SIZE = 288, TURN_NONCE_MAX = 64 };

struct turn_frame {
	uint16_t length;  // of the frame
	uint16_t message; // offset of the STUN message
	uint8_t bytes[TURN_FRAME_SIZE];
};

struct turn_frame_path {
	struct flow_path macs;
	struct net_endpoint client, server; // IPv4
};

struct turn_frame_login {
	const char *user;
	const char *realm;
	struct stun_key key;
	uint8_t nonce[TURN_NONCE_MAX];
	size_t nonce_length;
};

// Makes the request of that step with the given 12-byte transaction id. login is not used for
// TURN_STEP_CHALLENGE; peer and channel only for TURN_STEP_BIND. 0 or -ENOSPC.
int turn_frame_make(struct turn_frame *frame, enum turn_step step,
	const struct turn_frame_path *path, const struct turn_frame_login *login,
	const struct net_endpoint *peer, uint16_t channel,
	const uint8_t transaction[static STUN_TRANSACTION_LENGTH]);
