// SPDX-License-Identifier: BSD-3-Clause
// The two messages of a handshake are longer than a datagram; they travel by address in parts:
//
//     0   1   2 (endpoint/message.c has 1)
//     1   1   which message: 1 offer, 2 answer
//     2   1   high four bits: this part, from 0; low four bits: how many there are
//     3   16  call id
//     19      bytes; all parts but the last carry FRAGMENT_ROOM of them
//
// Nothing here is authenticated: the handshake is. A table of FRAGMENT_SLOTS messages is all that
// strangers can fill; the oldest gives way, but an answer, which somebody waits for, never to an
// offer. No I/O, no allocation.
#pragma once

#include "endpoint/endpoint.h"

enum {
	FRAGMENT_FIRST_BYTE = 2,
	FRAGMENT_OFFER = 1,
	FRAGMENT_ANSWER = 2,
	FRAGMENT_ID_SIZE = 16,
	FRAGMENT_HEADER = 19,
	FRAGMENT_ROOM = ENDPOINT_RAW_MAX - FRAGMENT_HEADER,
	FRAGMENT_PARTS_MAX = 3,
	FRAGMENT_MESSAGE_MAX = FRAGMENT_PARTS_MAX * FRAGMENT_ROOM,
	FRAGMENT_SLOTS = 8,
	FRAGMENT_KEEP_MS = 5000, // for the parts that are missing
};

// How many parts a message of `size` bytes (1 to FRAGMENT_MESSAGE_MAX) has.
unsigned fragment_count(size_t size);
// Writes part `index` into out (ENDPOINT_RAW_MAX bytes) and returns its size.
size_t fragment_make(uint8_t *out, const uint8_t id[static FRAGMENT_ID_SIZE], unsigned which,
	const uint8_t *message, size_t size, unsigned index);

struct fragment_slot {
	uint64_t until; // monotonic ms; 0: free
	uint8_t id[FRAGMENT_ID_SIZE];
	uint8_t which, count, have; // have: a bit for each part
	size_t size;                // known when the last part is there
	uint8_t bytes[FRAGMENT_MESSAGE_MAX];
};

struct fragments {
	struct fragment_slot slots[FRAGMENT_SLOTS];
};

// A datagram that begins with FRAGMENT_FIRST_BYTE. The whole message, good until the next call,
// once all its parts have come; its slot is free again. NULL: not yet, or *bad: no part of
// anything.
const struct fragment_slot *fragments_add(
	struct fragments *fragments, const uint8_t *data, size_t size, uint64_t now_ms, bool *bad);
