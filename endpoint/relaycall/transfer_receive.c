// SPDX-License-Identifier: BSD-3-Clause
// The receiving side of a transfer; see transfer.h. Writes in order, keeps what has overtaken, and
// acknowledges every second chunk, each that came out of order, and the rest after a moment.
#include "endpoint/relaycall/transfer.h"

#include <sodium.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ACKNOWLEDGE_MS = 20, ACKNOWLEDGE_EVERY = 2 };

int transfer_receiver_begin(
	struct transfer_receiver *receiver, const struct transfer_output *output, uint64_t size)
{
	*receiver = (struct transfer_receiver){
		.output = *output,
		.size = size,
		.chunks = transfer_chunks(size),
		.acknowledge_at = ENDPOINT_NEVER,
	};
	receiver->chunk = calloc(TRANSFER_WINDOW, sizeof(*receiver->chunk));
	if (receiver->chunk == NULL)
		return -ENOMEM;
	blake3_begin(&receiver->hash);
	return 0;
}

static void acknowledge(struct transfer_receiver *r)
{
	uint8_t frame[TRANSFER_ACK_SIZE] = {TRANSFER_FRAME_ACK};

	transfer_put(frame + 1, r->next, 4);
	transfer_put(frame + 5, r->latest, 4);
	for (unsigned i = 0; i < TRANSFER_WINDOW; i++)
		if (r->there[(r->next + i) % TRANSFER_WINDOW])
			frame[9 + i / 8] |= (uint8_t)(1 << i % 8);
	r->acknowledge_at = ENDPOINT_NEVER;
	r->unacknowledged = 0;
	r->output.send(r->output.context, frame, sizeof(frame));
}

static void send_result(struct transfer_receiver *r)
{
	uint8_t frame[TRANSFER_RESULT_SIZE] = {TRANSFER_FRAME_RESULT, TRANSFER_RESULT_UNKEPT};
	if (r->state == TRANSFER_DONE)
		frame[1] = TRANSFER_RESULT_WHOLE;
	else if (r->state == TRANSFER_DAMAGED)
		frame[1] = TRANSFER_RESULT_DAMAGED;
	r->output.send(r->output.context, frame, sizeof(frame));
}

static bool take(struct transfer_receiver *r, const uint8_t *data, size_t size)
{
	blake3_add(&r->hash, data, size);
	r->written += size;
	r->next++;
	if (r->output.write(r->output.context, data, size))
		return true;
	r->state = TRANSFER_UNKEPT;
	send_result(r);
	return false;
}

static void receive_data(
	struct transfer_receiver *r, const uint8_t *data, size_t size, uint64_t now_ms)
{
	uint32_t index = (uint32_t)transfer_get(data + 1, 4);

	data += TRANSFER_DATA_HEADER;
	size -= TRANSFER_DATA_HEADER;
	if (index >= r->chunks || size != transfer_chunk_size(r->size, index))
		return;
	bool in_order = index == r->next;
	r->latest = index;
	if (index >= r->next && index - r->next < TRANSFER_WINDOW &&
		!r->there[index % TRANSFER_WINDOW]) {
		memcpy(r->chunk[index % TRANSFER_WINDOW], data, size);
		r->there[index % TRANSFER_WINDOW] = true;
	}
	bool gap = false;
	while (r->next < r->chunks && r->there[r->next % TRANSFER_WINDOW]) {
		uint32_t at = r->next % TRANSFER_WINDOW;
		r->there[at] = false;
		gap = gap || r->next != index;
		if (!take(r, r->chunk[at], transfer_chunk_size(r->size, r->next)))
			return;
	}
	if (!in_order || gap || ++r->unacknowledged >= ACKNOWLEDGE_EVERY || r->next == r->chunks)
		acknowledge(r);
	else
		r->acknowledge_at = now_ms + ACKNOWLEDGE_MS;
}

static void receive_finish(struct transfer_receiver *r, const uint8_t *data)
{
	uint8_t hash[TRANSFER_HASH_SIZE];

	if (transfer_get(data + 1, 4) != r->chunks || transfer_get(data + 5, 8) != r->size)
		return;
	if (r->next != r->chunks) { // cannot be, unless our memory was not what it had seen
		acknowledge(r);
		return;
	}
	blake3_finish(&r->hash, hash, sizeof(hash));
	if (memcmp(hash, data + 13, sizeof(hash)) != 0)
		r->state = TRANSFER_DAMAGED;
	else if (r->output.keep != NULL && !r->output.keep(r->output.context))
		r->state = TRANSFER_UNKEPT;
	else
		r->state = TRANSFER_DONE;
	send_result(r);
}

void transfer_receiver_receive(
	struct transfer_receiver *receiver, const uint8_t *data, size_t size, uint64_t now_ms)
{
	if (size == 0)
		return;
	if (receiver->state != TRANSFER_RUNNING) {
		// The result was lost.
		if (data[0] == TRANSFER_FRAME_FINISH || data[0] == TRANSFER_FRAME_DATA)
			send_result(receiver);
		return;
	}
	if (data[0] == TRANSFER_FRAME_DATA && size > TRANSFER_DATA_HEADER)
		receive_data(receiver, data, size, now_ms);
	else if (data[0] == TRANSFER_FRAME_FINISH && size == TRANSFER_FINISH_SIZE)
		receive_finish(receiver, data);
}

uint64_t transfer_receiver_tick(struct transfer_receiver *receiver, uint64_t now_ms)
{
	if (receiver->state != TRANSFER_RUNNING)
		return ENDPOINT_NEVER;
	if (now_ms >= receiver->acknowledge_at)
		acknowledge(receiver);
	return receiver->acknowledge_at;
}

void transfer_receiver_end(struct transfer_receiver *receiver)
{
	if (receiver->chunk != NULL)
		sodium_memzero(receiver->chunk, TRANSFER_WINDOW * sizeof(*receiver->chunk));
	free(receiver->chunk);
	sodium_memzero(receiver, sizeof(*receiver));
}
