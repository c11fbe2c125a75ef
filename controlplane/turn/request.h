// SPDX-License-Identifier: BSD-3-Clause
// A request from its arrival to its answer. Requests that wait for the dataplane are kept in a
// fixed number of slots, found by install id (the dataplane answers) and by a keyed hash of
// 5-tuple and transaction id (the client retransmits). This is the only place of the TURN core
// that holds a client's address, and a slot is wiped as soon as its request is answered or given
// up.
#pragma once

#include "controlplane/turn/authentication.h"
#include "controlplane/id_table.h"
#include "dataplane/api/messages.h"
#include "lib/wire/stun.h"
#include "lib/wire/stun_integrity.h"

#include <stdbool.h>
#include <stdint.h>

struct turn_request {
	struct net_endpoint client, server;
	uint8_t transaction[STUN_TRANSACTION_LENGTH];
	uint16_t method;
	uint16_t length; // of the STUN message, for the amplification bound
	uint16_t worker; // that received it and sends the reply
	bool has_fingerprint;

	bool authenticated;
	enum authentication_integrity integrity;
	struct stun_key key;
	uint64_t credential_tag; // 0: open
	uint64_t prefix_tag;
	// A user by token: what an Allocate costs, and whether it was paid.
	bool by_token, paid;
	uint32_t key_id;
	uint8_t nonce[TOKEN_NONCE_SIZE];

	// What the install is about; Allocate, Refresh.
	uint64_t allocation_id;
	uint64_t token;        // Allocate: of the reservation it claims; 0: none
	uint32_t lifetime_s;   // Allocate and Refresh: granted
	uint16_t flags;        // API_ALLOCATION_*
	uint8_t families;      // Allocate: bit 0 IPv4, bit 1 IPv6; Refresh 0: those that end
	uint8_t failed_family; // Allocate: STUN_FAMILY_* for ADDRESS-ERROR-CODE; 0: none
	uint16_t failed_code;
	bool even_port, reserve_next;
	bool draft_numbers; // Allocate: asked for both families as a draft of the RFC had it
	uint8_t attempts;   // installs tried

	// Only while it waits.
	uint64_t deadline_ms;
	uint64_t duplicate_key;
	bool given_up; // wiped but for what undoes an Allocate; nobody is answered
};

enum {
	// Enough for a burst at the flood rule's rate; beyond it requests are dropped and clients
	// retransmit (RFC 8489 6.2.1).
	TURN_IN_FLIGHT_MAX = 4096,
	TURN_IN_FLIGHT_TIMEOUT_MS = 5000,
};

#define TURN_PURCHASE (1ull << 32) // the first id that is no install's

struct turn_in_flight {
	struct turn_request *slots;
	uint16_t *unused;
	uint32_t unused_count;
	struct id_table by_install;   // install id or purchase -> slot number
	struct id_table by_duplicate; // duplicate key -> install id or purchase
	uint8_t key[16];
};

// 0 or -ENOMEM.
int turn_in_flight_init(struct turn_in_flight *flight);
void turn_in_flight_free(struct turn_in_flight *flight);
// Forgets all of them.
void turn_in_flight_clear(struct turn_in_flight *flight);
uint32_t turn_in_flight_count(const struct turn_in_flight *flight);
bool turn_in_flight_full(const struct turn_in_flight *flight);

// True when the same transaction of the same 5-tuple waits already.
bool turn_in_flight_duplicate(
	const struct turn_in_flight *flight, const struct turn_request *request);
// Copies the request under an install id (32 bits, not 0) or a purchase (above those). False
// without room, or when the id is in use.
bool turn_in_flight_add(struct turn_in_flight *flight, uint64_t install,
	const struct turn_request *request, uint64_t now_ms);
// Moves the request out, wipes its slot. False when there is none of that id.
bool turn_in_flight_take(struct turn_in_flight *flight, uint64_t install, struct turn_request *out);
// Wipes addresses and keys of those that waited too long; they stay, unanswerable, until the
// dataplane answers or its connection ends, so that ports and quotas stay true. Returns the next
// deadline, UINT64_MAX: none.
uint64_t turn_in_flight_give_up(struct turn_in_flight *flight, uint64_t now_ms);
