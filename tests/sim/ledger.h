// SPDX-License-Identifier: BSD-3-Clause
// What users said to each other. Each payload carries a number; what is delivered must have been
// said by just that user to just this one, and no more than once. What was said in a calm phase by
// users that had settled must arrive (due).
#pragma once

#include "endpoint/endpoint.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	LEDGER_NOTE_SIZE = 32, // what every payload begins with
	LEDGER_SAID_MAX = 128, // each way in a call
	LEDGER_RECEIVERS_MAX = 16,
};

struct ledger_call {
	uint32_t number;
	uint16_t identity;  // called
	uint16_t client[2]; // caller, callee
	uint64_t id[2];     // as their endpoints call it
	bool open[2], over[2];
	uint64_t opened_at[2];
	uint64_t over_at;                      // first end; 0: none
	uint64_t unsettled[2];                 // when the path changed last
	bool moving[2];                        // and has not been found again yet
	bool rebound[2];                       // for no other reason than a NAT
	unsigned said[2];                      // by each
	uint8_t heard[2][LEDGER_SAID_MAX / 8]; // of what each said
};

// A new call by a client to an identity; fills in the offer.
struct ledger_call *ledger_call(
	unsigned client, unsigned identity, uint8_t note[static LEDGER_NOTE_SIZE]);
void ledger_answer(const struct ledger_call *call, uint8_t note[static LEDGER_NOTE_SIZE]);
// The call of an offer (side 0) or an answer (1) that came to a client.
struct ledger_call *ledger_note(unsigned client, const void *data, size_t size, unsigned side);

// A side has closed it, was told of its end, or has gone.
void ledger_over(struct ledger_call *call, unsigned side);
// Its transport address changes, rebound: unnoticed, to another of the same NAT; and has been found
// again (ENDPOINT_PATH_CHANGED). What is said after a rebinding leads there within a round trip.
void ledger_moves(struct ledger_call *call, unsigned side, bool rebound);
void ledger_found(struct ledger_call *call, unsigned side);

// Something to say in a call; false: enough was said.
bool ledger_say(struct ledger_call *call, unsigned side, uint8_t note[static LEDGER_NOTE_SIZE]);
// It was sent. What is due is looked for later.
void ledger_said(struct ledger_call *call, unsigned side);
// Data of a call came to that side.
void ledger_heard(struct ledger_call *call, unsigned side, const void *data, size_t size);

// A message from a client to all devices of an identity.
void ledger_message(unsigned client, unsigned identity, bool sealed, const uint8_t *address,
	uint8_t note[static LEDGER_NOTE_SIZE]);
void ledger_message_sent(void);
void ledger_message_heard(unsigned client, const struct endpoint_event *event);

void ledger_close(void);
