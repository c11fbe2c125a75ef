// SPDX-License-Identifier: BSD-3-Clause
// A request from its arrival to its answer. Requests that wait (for the dataplane, or for a token
// to be spent) are kept in a fixed number of slots, found by the id of the dataplane's request and
// by a keyed hash of 5-tuple, type and transaction (the client repeats itself). This is the only
// place of the registration core that holds a client's address; a slot is wiped as soon as its
// request is answered or given up.
#pragma once

#include "controlplane/id_table.h"
#include "dataplane/api/messages.h"
#include "lib/wire/native.h"

#include <stdbool.h>
#include <stdint.h>

struct registration_core;

// Whom an answer goes to.
struct registration_party {
	struct net_endpoint client, server;
	uint8_t transaction[NATIVE_TRANSACTION_SIZE];
	uint16_t worker; // that sends it
};

// A token that was spent for the request.
struct registration_token {
	uint32_t key_id;
	uint8_t nonce[NATIVE_TOKEN_NONCE_SIZE];
	uint8_t mac[NATIVE_TOKEN_MAC_SIZE];
};

struct registration_request {
	struct registration_party from;
	uint8_t type; // NATIVE_REGISTER, NATIVE_OPEN, NATIVE_ACCEPT

	// REGISTER
	struct api_lease lease;
	uint8_t cookie[NATIVE_COOKIE_SIZE]; // a fresh one for the client
	uint32_t lifetime_s;                // granted; 0: it withdraws
	bool known;                         // the device had a lease
	bool has_token;
	struct registration_token token;

	// ACCEPT
	struct registration_party caller;
	uint8_t open_id[NATIVE_OPEN_ID_SIZE];
	uint8_t path_key[2][NATIVE_PATH_KEY_SIZE]; // [0] caller, [1] callee
	uint16_t sealed_size;
	uint8_t sealed[NATIVE_SEALED_MAX];

	// Only while it waits.
	struct registration_core *core;
	uint64_t deadline_ms;
	uint64_t duplicate_key;
	bool used;
	bool redeeming; // a token is being spent: somebody has the slot's address
	bool given_up;  // wiped but for its token; nobody is answered
};

enum {
	// What a core verifies in a tenth of a second; beyond it clients are told to come again.
	REGISTRATION_IN_FLIGHT_MAX = 2048,
	REGISTRATION_IN_FLIGHT_TIMEOUT_MS = 5000,
};

struct registration_flight {
	struct registration_request *slots;
	uint16_t *unused;
	uint32_t unused_count;
	uint32_t touched;             // slots from this number on were never taken
	struct id_table by_install;   // id of the dataplane's request -> slot number
	struct id_table by_duplicate; // duplicate key -> slot number
	uint8_t key[16];
};

// 0 or -ENOMEM.
int registration_flight_init(struct registration_flight *flight);
void registration_flight_free(struct registration_flight *flight);
// Forgets all of them; slots whose token is being spent stay taken until that is over.
void registration_flight_clear(struct registration_flight *flight);
uint32_t registration_flight_count(const struct registration_flight *flight);

// True when the same transaction of the same 5-tuple waits already.
bool registration_flight_duplicate(const struct registration_flight *flight,
	const struct registration_party *from, uint8_t type);
// A slot with the request's copy, which counts as a duplicate from now on. NULL without room.
struct registration_request *registration_flight_hold(struct registration_flight *flight,
	const struct registration_request *request, uint64_t now_ms);
// The dataplane's answer with that id (not 0, not in use) will be the held request's.
void registration_flight_await(
	struct registration_flight *flight, struct registration_request *held, uint32_t id);
// The held request that waits for that id, which is forgotten. NULL: there is none.
struct registration_request *registration_flight_find(
	struct registration_flight *flight, uint32_t id);
// Wipes a held request that waits for nothing any more.
void registration_flight_release(
	struct registration_flight *flight, struct registration_request *held);
// Wipes those that waited too long; they keep their slots, unanswerable, until what they wait for
// has come. Returns the next deadline, UINT64_MAX: none.
uint64_t registration_flight_give_up(struct registration_flight *flight, uint64_t now_ms);
