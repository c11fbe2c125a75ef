// SPDX-License-Identifier: BSD-3-Clause
// See wire.h.
#include "tests/lab/wire.h"

#include <stdlib.h>
#include <string.h>

void wire_open(struct wire *wire, uint64_t seed, uint64_t stream)
{
	*wire = (struct wire){0};
	dice_seed(&wire->dice, seed, stream);
}

static bool is_lost(struct wire *wire)
{
	const struct wire_quality *quality = &wire->quality;
	if (dice_chance(&wire->dice, wire->bad ? quality->bad_to_good : quality->good_to_bad))
		wire->bad = !wire->bad;
	return dice_chance(&wire->dice, wire->bad ? quality->loss_bad : quality->loss) ||
	       quality->cut;
}

static uint64_t due(struct wire *wire, uint64_t now_us)
{
	const struct wire_quality *quality = &wire->quality;
	uint64_t at = now_us + quality->delay_us +
		      dice_below(&wire->dice, (uint64_t)quality->jitter_us + 1);
	if (at < wire->last_us)
		at = wire->last_us;
	if (dice_chance(&wire->dice, quality->reorder)) {
		wire->reordered++;
		return at + quality->reorder_us;
	}
	return wire->last_us = at;
}

unsigned wire_put(struct wire *wire, uint64_t now_us, uint64_t out_us[2])
{
	wire->put++;
	if (is_lost(wire)) {
		wire->lost++;
		return 0;
	}
	out_us[0] = due(wire, now_us);
	if (!dice_chance(&wire->dice, wire->quality.duplicate))
		return 1;
	wire->duplicated++;
	out_us[1] = due(wire, now_us);
	return 2;
}

// ---- packets on their way ----

static bool before(const struct wire_packet *a, const struct wire_packet *b)
{
	return a->due_us != b->due_us ? a->due_us < b->due_us : a->order < b->order;
}

static void rise(struct wire_heap *heap, size_t at)
{
	struct wire_packet *packet = heap->packets[at];
	for (; at > 0 && before(packet, heap->packets[(at - 1) / 2]); at = (at - 1) / 2)
		heap->packets[at] = heap->packets[(at - 1) / 2];
	heap->packets[at] = packet;
}

static void sink(struct wire_heap *heap, size_t at)
{
	struct wire_packet *packet = heap->packets[at];
	for (size_t child; (child = 2 * at + 1) < heap->count; at = child) {
		if (child + 1 < heap->count &&
			before(heap->packets[child + 1], heap->packets[child]))
			child++;
		if (before(packet, heap->packets[child]))
			break;
		heap->packets[at] = heap->packets[child];
	}
	heap->packets[at] = packet;
}

bool wire_heap_push(
	struct wire_heap *heap, uint64_t due_us, void *to, const void *bytes, size_t size)
{
	if (heap->count == heap->space) {
		size_t space = heap->space ? 2 * heap->space : 64;
		struct wire_packet **packets =
			realloc(heap->packets, space * sizeof(heap->packets[0]));
		if (packets == NULL)
			return false;
		heap->packets = packets;
		heap->space = space;
	}
	struct wire_packet *packet = malloc(sizeof(*packet) + size);
	if (packet == NULL)
		return false;
	packet->due_us = due_us;
	packet->order = heap->order++;
	packet->to = to;
	packet->size = size;
	if (size > 0)
		memcpy(packet->bytes, bytes, size);
	heap->packets[heap->count++] = packet;
	rise(heap, heap->count - 1);
	return true;
}

uint64_t wire_heap_due(const struct wire_heap *heap)
{
	return heap->count > 0 ? heap->packets[0]->due_us : UINT64_MAX;
}

struct wire_packet *wire_heap_pop(struct wire_heap *heap, uint64_t now_us)
{
	if (wire_heap_due(heap) > now_us || heap->count == 0)
		return NULL;
	struct wire_packet *first = heap->packets[0];
	heap->packets[0] = heap->packets[--heap->count];
	if (heap->count > 0)
		sink(heap, 0);
	return first;
}

void wire_heap_clear(struct wire_heap *heap, const void *to)
{
	size_t kept = 0;
	for (size_t i = 0; i < heap->count; i++) {
		if (to == NULL || heap->packets[i]->to == to)
			free(heap->packets[i]);
		else
			heap->packets[kept++] = heap->packets[i];
	}
	heap->count = kept;
	for (size_t i = kept / 2; i-- > 0;)
		sink(heap, i);
	if (to == NULL) {
		free(heap->packets);
		*heap = (struct wire_heap){.order = heap->order};
	}
}
