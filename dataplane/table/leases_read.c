// SPDX-License-Identifier: BSD-3-Clause
// Leases as workers read them, while main writes; see leases.h. Any worker.
#include "dataplane/table/leases.h"

#include "dataplane/table/sequence.h"

#include <errno.h>

enum entry_is { ENTRY_OF_ADDRESS, ENTRY_OF_ANOTHER, ENTRY_BUSY };

static inline enum entry_is entry_read(const struct leases *leases, uint32_t index,
	const uint8_t *address, struct lease_view *view, uint32_t *next)
{
	const struct lease *e = &leases->entries[index];
	uint64_t want[4], have[4];
	memcpy(want, address, sizeof(want));
	uint32_t before = atomic_load_explicit(&e->sequence, memory_order_acquire);
	memcpy(have, e->address, sizeof(have));
	memcpy(view->client, e->client, sizeof(view->client));
	view->client_port = e->client_port;
	view->server = e->server;
	view->family = e->family;
	view->hop = e->hop;
	view->hop_epoch = e->hop_epoch;
	view->deadline = e->deadline;
	view->issued = e->issued;
	memcpy(view->device, e->device, sizeof(view->device));
	*next = e->next;
	atomic_thread_fence(memory_order_acquire);
	uint32_t after = atomic_load_explicit(&e->sequence, memory_order_relaxed);
	if (before != after || (before & 1))
		return ENTRY_BUSY;
	view->index = index;
	view->sequence = before;
	bool same = ((have[0] ^ want[0]) | (have[1] ^ want[1]) | (have[2] ^ want[2]) |
			    (have[3] ^ want[3])) == 0;
	return same && view->deadline != 0 ? ENTRY_OF_ADDRESS : ENTRY_OF_ANOTHER;
}

enum { AGAIN = -1, NOT_IT = -2 };

static bool seen_before(const uint32_t *seen, unsigned count, uint32_t index)
{
	for (unsigned i = 0; i < count; i++)
		if (seen[i] == index)
			return true;
	return false;
}

// All devices from a head on; AGAIN: something changed on the way. NOT_IT: the head is another
// address's. A device that was taken away and put at the head again could lead back to where we
// have been.
static int chain_read(const struct leases *leases, uint32_t index, const uint8_t *address,
	uint32_t tick, struct lease_view out[static NATIVE_DEVICES_MAX])
{
	uint32_t seen[NATIVE_DEVICES_MAX];
	unsigned steps = 0;
	int found = 0;
	while (index != LEASES_NONE) {
		uint32_t next;
		if (steps == NATIVE_DEVICES_MAX || seen_before(seen, steps, index))
			return AGAIN;
		enum entry_is is = entry_read(leases, index, address, &out[found], &next);
		if (is == ENTRY_BUSY)
			return AGAIN;
		if (is == ENTRY_OF_ANOTHER)
			return steps == 0 ? NOT_IT : AGAIN;
		if (!ticks_passed(out[found].deadline, tick))
			found++;
		seen[steps++] = index;
		index = next;
	}
	return found;
}

static inline int word_read(const struct leases *leases, const _Atomic uint64_t *at, uint64_t tag,
	const uint8_t *address, uint32_t tick, struct lease_view *out)
{
	uint64_t word = atomic_load_explicit(at, memory_order_acquire);
	if (word >> 32 != tag)
		return NOT_IT;
	int found = chain_read(leases, (uint32_t)word, address, tick, out);
	if (__builtin_expect(found != NOT_IT, 1))
		return found;
	// Another address with that tag, if the word still led there when the entry was as we read
	// it: out[0] holds that. An entry that is no lease has just been one or will be.
	const struct lease *e = &leases->entries[(uint32_t)word];
	bool led = atomic_load_explicit(at, memory_order_acquire) == word;
	atomic_thread_fence(memory_order_acquire);
	bool same = atomic_load_explicit(&e->sequence, memory_order_relaxed) == out[0].sequence;
	return led && same && out[0].deadline != 0 ? NOT_IT : AGAIN;
}

static int address_read(const struct leases *leases, const uint8_t *address, uint64_t hash,
	uint32_t tick, struct lease_view *out)
{
	for (unsigned b = 0; b < 2; b++) {
		const _Atomic uint64_t *bucket = leases_bucket(leases, hash, b);
		for (unsigned i = 0; i < LEASES_SLOTS; i++) {
			int found =
				word_read(leases, &bucket[i], leases_tag(hash), address, tick, out);
			if (found != NOT_IT)
				return found;
		}
	}
	return 0;
}

int leases_devices(const struct leases *leases, const uint8_t address[static NATIVE_ADDRESS_SIZE],
	const struct lease_place *place, uint32_t tick,
	struct lease_view out[static NATIVE_DEVICES_MAX])
{
	if (__builtin_expect(place->word == LEASES_NONE, 0))
		return 0;
	int found = word_read(
		leases, &leases->words[place->word], leases_tag(place->hash), address, tick, out);
	for (unsigned i = 1; found < 0 && i < LEASES_TRIES; i++) {
		found = address_read(leases, address, place->hash, tick, out);
		if (found < 0)
			rte_pause();
	}
	return found < 0 ? -EAGAIN : found;
}

int leases_look_up(const struct leases *leases, const uint8_t address[static NATIVE_ADDRESS_SIZE],
	uint32_t tick, struct lease_view out[static NATIVE_DEVICES_MAX])
{
	uint64_t hash = leases_hash(leases, address);
	int found = AGAIN;
	for (unsigned i = 0; found < 0 && i < LEASES_TRIES; i++) {
		found = address_read(leases, address, hash, tick, out);
		if (found < 0)
			rte_pause();
	}
	return found < 0 ? -EAGAIN : found;
}

void leases_hop_set(
	struct leases *leases, const struct lease_view *view, uint16_t hop, uint32_t epoch)
{
	struct lease *e = &leases->entries[view->index];
	if (!sequence_take_at(&e->sequence, view->sequence))
		return;
	e->hop = hop;
	e->hop_epoch = epoch;
	sequence_give(&e->sequence);
}
