// SPDX-License-Identifier: BSD-3-Clause
// Leases of the native protocol: which transport addresses an address (32 bytes,
// lib/wire/README.md) is delivered to. One table for all workers.
//
// An entry is one device of one address, 128 bytes: the address in its first line, everything else
// in its second, of which the sequence guards both. Entries of one address are a chain, newest
// first; the index leads to its head:
//
//    hash of address -> two buckets of eight words -> head entry -> next device -> ...
//    a word: 1 | tag (31) | entry (32), from the top; 0: free
//
// Occupancy. A word never moves while its address lives, so that readers cannot miss it: it lies in
// its first bucket when that had fewer than LEASES_FIRST words, else in the emptier of its two.
// There are at least two words for a lease, so that two full buckets are next to impossible
// (tests/unit/test_leases.c fills tables and prints it); an address that meets them is refused as
// if the table were full. Most readers find theirs in the first bucket. Buckets come from a hash
// under a random key (keyed_hash.h), so chosen addresses fall like random ones; tags are compared
// before lines, and the 32 bytes themselves decide.
//
// Concurrency. Main alone makes, changes and ends leases. A worker writes nothing but the next hop
// that it has looked up (leases_hop_set), which routes' changes make rare; no packet writes. Who
// writes an entry takes it by compare-and-swap of its sequence from even to odd, and gives it back
// even. Readers copy a second line between two equal even readings of the sequence, compare the
// first between the same two, and begin again when an entry is not (any more) what led to it. The
// order of main's writes is what lets them notice: an entry is whole before a word or a neighbour
// leads to it, and nothing leads to it before it is wiped. A reader gives up after LEASES_TRIES
// (the writer has lost its core in the middle): that packet is dropped.
//
// Replays. Each device has the `issued` of the message that changed it last; nothing that is older
// changes it. When a lease ends, by withdrawal or by its time, while a cookie of its last message
// could still be shown, its entry stays as a tombstone until that has passed: `issued` and a keyed
// hash of address and device, nothing else of it. Tombstones count as entries.
//
// One source network gets a share of the entries (prefix_shares.h), tombstones included: making and
// withdrawing would take the table as well.
//
// Memory per lease: 128 entry, 16 to 32 index, 8.3 to 16.5 main's own index of devices, 4 deadline,
// 4 free list, 2 whose share: at most 187 bytes, and 256 KiB for the shares. All of it is taken at
// the start, locked, and kept out of dumps.
#pragma once

#include "dataplane/burst.h"
#include "dataplane/table/flow_table.h"
#include "dataplane/table/keyed_hash.h"
#include "dataplane/table/mappings.h"
#include "dataplane/table/ticks.h"
#include "lib/wire/native.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define LEASES_NONE UINT32_MAX
enum {
	LEASES_SLOTS = 8, // words of a bucket
	LEASES_FIRST = 6,
	LEASES_TRIES = 64,
	// From the message that changed a device last: the rest of its cookie's life, and what a
	// message may take on its way through the control plane.
	LEASES_TOMBSTONE_S = NATIVE_CONTROL_COOKIE_S + 15,
	LEASES_MAX = 1 << 24,
};

// main: rw, workers: hop and hop_epoch rw, the rest ro; each by way of sequence.
struct lease {
	uint8_t address[NATIVE_ADDRESS_SIZE];
	uint64_t mark; // keyed hash of address and device, while this is a lease or a tombstone
	uint8_t reserved[24];

	_Atomic uint32_t sequence;
	uint32_t deadline; // tick; 0: no lease
	uint8_t client[16];
	uint16_t client_port;
	uint8_t server; // as struct allocation's
	uint8_t family; // enum net_family
	uint16_t hop;
	uint16_t reserved2;
	uint32_t hop_epoch;
	uint32_t issued;
	uint32_t changed; // tick of the message that `issued` is of
	uint32_t next;    // device of the address
	uint8_t device[NATIVE_DEVICE_SIZE];
	uint8_t reserved3[8];
} __attribute__((aligned(64)));
static_assert(sizeof(struct lease) == 128, "two cache lines");
static_assert(offsetof(struct lease, sequence) == 64, "the second line");

struct leases {
	// since start; main: ro, workers: ro
	struct lease *entries;
	_Atomic uint64_t *words; // main: rw, workers: ro
	uint64_t mask;           // buckets - 1
	struct keyed_hash_key key;
	uint32_t capacity;
	struct leases_main *main; // leases.c's own; main: rw
	// main: rw, any: ro
	_Atomic uint64_t used, tombstones;
};

// ---- the index ----

static inline uint64_t leases_hash(const struct leases *leases, const uint8_t *address)
{
	uint64_t words[NATIVE_ADDRESS_SIZE / 8];
	memcpy(words, address, sizeof(words));
	return keyed_hash(&leases->key, words, NATIVE_ADDRESS_SIZE / 8);
}

// The upper half of a word.
static inline uint64_t leases_tag(uint64_t hash)
{
	return 1ull << 31 | hash >> 33;
}

// which: 0 or 1. The second by bits that the first one does not use.
static inline _Atomic uint64_t *leases_bucket(
	const struct leases *leases, uint64_t hash, unsigned which)
{
	uint64_t first = hash & leases->mask;
	uint64_t second = (first ^ (hash >> 32) * 0x9E3779B1u) & leases->mask;
	return &leases->words[(which ? second : first) * LEASES_SLOTS];
}

// ---- for workers ----

// A device as it was at one moment.
struct lease_view {
	uint8_t client[16]; // as struct allocation's
	uint16_t client_port;
	uint8_t server, family;
	uint16_t hop; // next hop towards the client, NEXT_HOP_NONE: not looked up
	uint32_t hop_epoch;
	uint32_t deadline; // tick
	uint32_t issued;
	uint8_t device[NATIVE_DEVICE_SIZE];
	uint32_t index, sequence; // leases_hop_set's
};

// Where an address was seen.
struct lease_place {
	uint64_t hash;
	uint32_t word; // a word with its tag, or LEASES_NONE
};

// Both steps of finding it, for who has other work to do between them: the more is done, the less
// is waited for. The bucket is asked for, then the word's entry (in the second bucket, where it is
// not in the first). Any worker.
static inline void leases_prefetch_bucket(const struct leases *leases,
	const uint8_t address[static NATIVE_ADDRESS_SIZE], struct lease_place *place)
{
	place->hash = leases_hash(leases, address);
	place->word = LEASES_NONE;
	__builtin_prefetch(leases_bucket(leases, place->hash, 0));
}

// Which words of a bucket have the tag: a bit each.
static inline unsigned leases_match(const _Atomic uint64_t *bucket, uint64_t tag)
{
	unsigned mask = 0;
#ifdef __SSE2__
	// Each word is read at once: a processor's vector loads do not tear aligned words.
	const __m128 *words = (const __m128 *)(const void *)bucket;
	const __m128i want = _mm_set1_epi32((int)tag);
	__m128i low = _mm_castps_si128(_mm_shuffle_ps(words[0], words[1], 0xDD));
	__m128i high = _mm_castps_si128(_mm_shuffle_ps(words[2], words[3], 0xDD));
	low = _mm_packs_epi32(_mm_cmpeq_epi32(low, want), _mm_cmpeq_epi32(high, want));
	mask = (unsigned)_mm_movemask_epi8(_mm_packs_epi16(low, _mm_setzero_si128()));
#else
	for (unsigned i = 0; i < LEASES_SLOTS; i++) {
		uint64_t word = atomic_load_explicit(&bucket[i], memory_order_relaxed);
		mask |= (unsigned)(word >> 32 == tag) << i;
	}
#endif
	return mask;
}

// False: not in this bucket.
static inline bool leases_prefetch_entry(
	const struct leases *leases, const _Atomic uint64_t *bucket, struct lease_place *place)
{
	// No early end: which word it is would be guessed, and guessed wrong.
	unsigned found = leases_match(bucket, leases_tag(place->hash));
	if (__builtin_expect(found == 0, 0))
		return false;
	const _Atomic uint64_t *at = &bucket[__builtin_ctz(found)];
	uint32_t index = (uint32_t)atomic_load_explicit(at, memory_order_relaxed);
	// Freed meanwhile: entry 0, which does no harm.
	__builtin_prefetch(&leases->entries[index]);
	__builtin_prefetch(&leases->entries[index].sequence);
	place->word = (uint32_t)(at - leases->words);
	return true;
}

// The devices of an address whose time has not passed, 0 to NATIVE_DEVICES_MAX; -EAGAIN: gave up.
// place: in the same burst. Any thread.
int leases_devices(const struct leases *leases, const uint8_t address[static NATIVE_ADDRESS_SIZE],
	const struct lease_place *place, uint32_t tick,
	struct lease_view out[static NATIVE_DEVICES_MAX]);

// The only device of an address, in words that stay in registers.
struct lease_line {
	uint64_t client[2];
	uint64_t way; // client_port 16, server 8, family 8, hop 16, from below
	uint32_t hop_epoch;
};
static_assert(offsetof(struct lease, client_port) == 88 && offsetof(struct lease, server) == 90 &&
		      offsetof(struct lease, family) == 91 && offsetof(struct lease, hop) == 92,
	"the bytes of `way`");

// The same as leases_devices, in line, for what is usual: one device, and nobody writing it. False:
// ask leases_devices.
static inline __attribute__((always_inline)) bool leases_one_device(const struct leases *leases,
	const uint8_t address[static NATIVE_ADDRESS_SIZE], const struct lease_place *place,
	uint32_t tick, struct lease_line *out)
{
	uint64_t want[4], have[4], word;
	if (__builtin_expect(place->word == LEASES_NONE, 0))
		return false;
	word = atomic_load_explicit(&leases->words[place->word], memory_order_acquire);
	const struct lease *e = &leases->entries[(uint32_t)word];
	memcpy(want, address, sizeof(want));
	uint32_t before = atomic_load_explicit(&e->sequence, memory_order_acquire);
	memcpy(have, e->address, sizeof(have));
	memcpy(out->client, e->client, sizeof(out->client));
	memcpy(&out->way, &e->client_port, sizeof(out->way));
	out->hop_epoch = e->hop_epoch;
	uint32_t deadline = e->deadline, next = e->next;
	atomic_thread_fence(memory_order_acquire);
	uint32_t after = atomic_load_explicit(&e->sequence, memory_order_relaxed);
	bool same = ((have[0] ^ want[0]) | (have[1] ^ want[1]) | (have[2] ^ want[2]) |
			    (have[3] ^ want[3])) == 0;
	return (before == after) & !(before & 1) & (word >> 32 == leases_tag(place->hash)) & same &
	       (deadline != 0) & !ticks_passed(deadline, tick) & (next == LEASES_NONE);
}

// The same of one address without a burst around it.
int leases_look_up(const struct leases *leases, const uint8_t address[static NATIVE_ADDRESS_SIZE],
	uint32_t tick, struct lease_view out[static NATIVE_DEVICES_MAX]);

// Whether a device is at the place that a packet came from and talks to the same server of ours.
// source: client_key_set(..., channel 0, server).
static inline bool lease_is_at(const struct lease_view *view, const struct client_key *source)
{
	return mappings_words_equal(view->client, source->words) &&
	       (view->client_port | (uint64_t)view->server << 32) == source->words[2];
}

// Keeps the next hop that was looked up for a view. Nothing happens when the entry has changed
// since, or is being written. Any worker.
void leases_hop_set(
	struct leases *leases, const struct lease_view *view, uint16_t hop, uint32_t epoch);

// ---- for main ----

// Room for `capacity` (at most LEASES_MAX) devices and tombstones. NULL: no memory.
struct leases *leases_create(uint32_t capacity, int socket);
void leases_free(struct leases *leases); // wipes
// New leases a second, from 1; at first 20,000.
void leases_rate_set(struct leases *leases, uint32_t per_second);
// Leases and tombstones that are made from one source network; at first all there is room for.
void leases_share_set(struct leases *leases, uint32_t most);
// API_LEASE_SET and API_LEASE_REMOVE: 0 or -errno as struct api_lease says. now: TSC.
int leases_set(struct leases *leases, const struct node_addresses *addresses,
	const struct api_lease *lease, bool draining, uint64_t now);
int leases_remove(struct leases *leases, const struct api_lease *lease, uint64_t now);
// Neither a lease nor a tombstone.
bool leases_empty(const struct leases *leases);
// Looks at up to `budget` entries and ends those whose time has come. Returns how many leases it
// ended (tombstones aside).
unsigned leases_expire(struct leases *leases, uint64_t now, unsigned budget);
// Ends live ones among up to `budget` entries from *position on (at first 0); true when that was
// the last.
bool leases_end_some(struct leases *leases, uint32_t *position, unsigned budget);
