// SPDX-License-Identifier: BSD-3-Clause
// Moves bytes over an open call, whose frames may get lost and overtaken but not altered: selective
// repeat with a window, and a BLAKE3 of the whole at the end. Two state machines without I/O; what
// they say to each other are the frames below (numbers big endian), each one frame of the call.
//
//     1 DATA    index 4, bytes: TRANSFER_CHUNK of each but the last
//     2 ACK     next 4: all before have arrived; latest 4: the index that caused it; bits
//               TRANSFER_BITS: which of those behind next have arrived
//     3 FINISH  chunks 4, size 8, hash 32: all has been said
//     4 RESULT  1: 1 whole, 2 it is not what was sent, 3 it cannot be kept
//
// The sender doubles its window each round trip until something is lost, then halves it, at most
// once a round trip (RFC 5681's rules in packets). A chunk is taken as lost when three that were
// sent after it have arrived, or when nothing has come back for a while (RFC 6298). Times:
// monotonic ms. One thread.
#pragma once

#include "endpoint/endpoint.h"
#include "lib/crypto/blake3.h"

enum {
	TRANSFER_CHUNK = 1190,
	TRANSFER_WINDOW = 512, // chunks on their way at most
	TRANSFER_BITS = TRANSFER_WINDOW / 8,
	TRANSFER_HASH_SIZE = 32,
	TRANSFER_SILENCE_MS = 60 * 1000, // after which a sender gives up
};
// Of a whole: indexes have 32 bits.
#define TRANSFER_SIZE_MAX ((uint64_t)UINT32_MAX * TRANSFER_CHUNK)

enum transfer_state {
	TRANSFER_RUNNING,
	TRANSFER_DONE,    // arrived, and the hash is right
	TRANSFER_DAMAGED, // arrived, and the hash is wrong: it changed while it was read
	TRANSFER_UNKEPT,  // the receiver could not write it, or the sender not read it
	TRANSFER_SILENT,  // nobody answers
};

struct transfer_output {
	void *context;
	// One frame of the call, at most ENDPOINT_DATA_MAX bytes. May fail silently.
	void (*send)(void *context, const uint8_t *data, size_t size);
	// Sender: `size` bytes at an offset. Receiver: bytes in order, each once. False: cannot.
	bool (*read)(void *context, uint64_t offset, uint8_t *out, size_t size);
	bool (*write)(void *context, const uint8_t *data, size_t size);
	// Receiver: all has arrived and is what was sent; the sender is told so only if this can
	// be kept. NULL: it can.
	bool (*keep)(void *context);
};

struct transfer_slot {
	uint64_t sent_at;
	uint32_t order; // of sending: numbers go on over repetitions
	uint8_t times;  // it was sent
	bool acknowledged, lost;
};

struct transfer_sender {
	struct transfer_output output;
	enum transfer_state state;
	uint64_t size;
	uint32_t chunks;
	uint32_t base; // the first that has not arrived
	uint32_t next; // the first that was never sent
	uint32_t order, recovery_order;
	unsigned in_flight, window, threshold, acknowledged;
	uint64_t round_trip_ms, variation_ms; // times 8 and 4
	unsigned backoff;
	uint64_t heard_at, repeat_at;
	struct transfer_slot slots[TRANSFER_WINDOW];
	struct blake3 hash;
	uint64_t repetitions; // for showing
};

struct transfer_receiver {
	struct transfer_output output;
	enum transfer_state state;
	uint64_t size, written;
	uint32_t chunks, next, latest;
	uint64_t acknowledge_at;
	unsigned unacknowledged;
	struct blake3 hash;
	bool has_hash;
	uint8_t expected[TRANSFER_HASH_SIZE];
	uint8_t (*chunk)[TRANSFER_CHUNK]; // what has overtaken something, index modulo the window
	bool there[TRANSFER_WINDOW];
};

// size: of the whole, at most TRANSFER_SIZE_MAX. Sends at once.
void transfer_sender_begin(struct transfer_sender *sender, const struct transfer_output *output,
	uint64_t size, uint64_t now_ms);
void transfer_sender_receive(
	struct transfer_sender *sender, const uint8_t *data, size_t size, uint64_t now_ms);
// The path is another one: what is on its way may be lost, and it may be wider or narrower.
void transfer_sender_path_changed(struct transfer_sender *sender, uint64_t now_ms);
// Does what is due; returns when it wants to be called again (ENDPOINT_NEVER once it is over).
uint64_t transfer_sender_tick(struct transfer_sender *sender, uint64_t now_ms);
// Bytes that have arrived.
uint64_t transfer_sender_arrived(const struct transfer_sender *sender);
void transfer_sender_end(struct transfer_sender *sender); // wipes

// size: as the sender has announced it. -ENOMEM (600 KiB).
int transfer_receiver_begin(
	struct transfer_receiver *receiver, const struct transfer_output *output, uint64_t size);
void transfer_receiver_receive(
	struct transfer_receiver *receiver, const uint8_t *data, size_t size, uint64_t now_ms);
uint64_t transfer_receiver_tick(struct transfer_receiver *receiver, uint64_t now_ms);
void transfer_receiver_end(struct transfer_receiver *receiver); // frees, wipes

// ---- between the two files ----

enum transfer_frame {
	TRANSFER_FRAME_DATA = 1,
	TRANSFER_FRAME_ACK,
	TRANSFER_FRAME_FINISH,
	TRANSFER_FRAME_RESULT,
	TRANSFER_DATA_HEADER = 5,
	TRANSFER_ACK_SIZE = 9 + TRANSFER_BITS,
	TRANSFER_FINISH_SIZE = 13 + TRANSFER_HASH_SIZE,
	TRANSFER_RESULT_SIZE = 2,
	TRANSFER_RESULT_WHOLE = 1,
	TRANSFER_RESULT_DAMAGED,
	TRANSFER_RESULT_UNKEPT,
};

static inline uint32_t transfer_chunks(uint64_t size)
{
	return (uint32_t)((size + TRANSFER_CHUNK - 1) / TRANSFER_CHUNK);
}

// Bytes of a chunk.
static inline size_t transfer_chunk_size(uint64_t size, uint32_t index)
{
	uint64_t left = size - (uint64_t)index * TRANSFER_CHUNK;
	return left < TRANSFER_CHUNK ? (size_t)left : TRANSFER_CHUNK;
}

static inline void transfer_put(uint8_t *out, uint64_t number, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		out[i] = (uint8_t)(number >> (8 * (size - 1 - i)));
}

static inline uint64_t transfer_get(const uint8_t *in, unsigned size)
{
	uint64_t number = 0;
	for (unsigned i = 0; i < size; i++)
		number = number << 8 | in[i];
	return number;
}
