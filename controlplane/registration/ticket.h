// SPDX-License-Identifier: BSD-3-Clause
// The ticket: what the relay must know of an OPEN to answer its ACCEPT, sealed for itself
// (XChaCha20-Poly1305) and carried by the callee, so that the relay keeps nothing meanwhile. It is
// bound to the open id and the callee's address, and good for NATIVE_TICKET_S.
//
//     0  24  nonce, random
//    24 104  sealed: the caller's transport address 19 and the listen address it used 19 (family,
//            port, 16 bytes), path key 16, transaction 8, good until 8 (ms of CLOCK_MONOTONIC),
//            worker 2, zeros 32
//   128  16  tag
//
// Plain functions; the key is the core's.
#pragma once

#include "controlplane/registration/request.h"

enum { REGISTRATION_TICKET_KEY_SIZE = 32 };

// The key of tickets for one run of the dataplane, from its secret.
void registration_ticket_key(
	uint8_t key[static REGISTRATION_TICKET_KEY_SIZE], const uint8_t secret[static 32]);

struct registration_ticket {
	struct registration_party caller;
	uint8_t path_key[NATIVE_PATH_KEY_SIZE]; // the caller's
	uint64_t until_ms;
};

void registration_ticket_seal(uint8_t out[static NATIVE_TICKET_SIZE],
	const struct registration_ticket *ticket,
	const uint8_t key[static REGISTRATION_TICKET_KEY_SIZE],
	const uint8_t open_id[static NATIVE_OPEN_ID_SIZE],
	const uint8_t callee[static NATIVE_ADDRESS_SIZE]);

// 0; -EBADMSG: not sealed with this key for this open id and callee; -ETIME: not good any more.
int registration_ticket_open(struct registration_ticket *ticket,
	const uint8_t in[static NATIVE_TICKET_SIZE],
	const uint8_t key[static REGISTRATION_TICKET_KEY_SIZE],
	const uint8_t open_id[static NATIVE_OPEN_ID_SIZE],
	const uint8_t callee[static NATIVE_ADDRESS_SIZE], uint64_t now_ms);
