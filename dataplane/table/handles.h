// SPDX-License-Identifier: BSD-3-Clause
// Handles of the native protocol (lib/wire/README.md): the two ends of a conversation through the
// relay. One table for all workers: any of them finds any handle by its index, nothing is handed
// over.
//
// A handle is a cache line and its index the line's position. Lines 2k and 2k+1 are a pair, so the
// peer's handle is index ^ 1, of the same generation. A line has all that a packet from its client
// needs: whom it is bound to, where it goes, and the difference of the checksum. What packets do
// not need (path keys, who may move it) lies in an array of its own, a line per pair.
//
// Lives. A pair is free, live or closed. Closed, nothing is left of it but a keyed hash of its open
// id, so that the open id makes no second pair, and for each side why it ended and the proof of
// that, so that who has not heard it can be told again; no key and no address. After
// HANDLES_CLOSED_S it is free again.
// Its generation, never 0, changes with each use and begins at random; it comes back to an index
// after 65,535 uses, 22 days at the least. A line that is not live has generation 0, which no
// packet may carry. Each side has a deadline of its own, which its keepalives put off; when one has
// passed its own packets are refused at once, and main ends the pair at its next scan.
//
// Concurrency. Main installs and ends; a worker puts off a deadline, moves a side to another
// transport address, ends a pair, and keeps next hops. Whoever writes a line takes it by
// compare-and-swap of its sequence from even to odd, and gives it back even; both lines: the even
// one first. The pair's other data is written with both taken and copied between two equal even
// readings of the line's sequence, as the line itself. A packet writes nothing: its reader copies
// the line between the two readings, as next hops are (relay_usual.h). A worker that cannot take a
// line, or read one, in HANDLES_TRIES gives up: that packet is dropped. Main waits; nobody holds a
// line for longer than it takes to write two.
//
// One source network gets a share of the handles (prefix_shares.h), closed pairs included.
//
// Memory per handle: 64 line, 32 half of a pair, 4.2 to 8.3 half of a place in main's own index of
// open ids, 2 half of a place in its free list: at most 107 bytes, and 256 KiB for the shares. All
// of it is taken at the start, locked, and kept out of dumps.
#pragma once

#include "dataplane/table/flow_table.h"
#include "dataplane/table/keyed_hash.h"
#include "dataplane/table/mappings.h"
#include "dataplane/table/ticks.h"
#include "lib/wire/native.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	HANDLES_TRIES = 64,
	HANDLES_MAX = 1 << 24,
	// The rest of its ticket's life, and what an ACCEPT may take on its way through the control
	// plane.
	HANDLES_CLOSED_S = NATIVE_TICKET_S + 15,

	HANDLE_PEER_IPV6 = 1, // flags
	HANDLE_CLIENT_IPV6 = 2,
};

// Everything that data needs, but for the sequence.
struct handle_fields {
	uint16_t generation; // 0: not live
	uint8_t server;      // where the client talks to, as struct allocation's
	uint8_t peer_server; // where its peer does: what we send to the peer comes from there
	uint8_t client[16];  // as struct allocation's
	uint16_t client_port;
	uint16_t peer_port;
	uint32_t deadline; // tick, of this side
	uint8_t peer[16];
	uint32_t hop_epoch;
	uint16_t to_peer; // next hop, NEXT_HOP_NONE: not looked up
	// What the checksum's data changes by on the way from client to peer (both pseudo-headers,
	// ports and handles; the length stays): ~old + new, to be added as what comes.
	uint16_t delta;
	uint32_t lifetime; // ticks from a keepalive to the deadline
	uint8_t flags;     // HANDLE_*
	uint8_t reserved[3];
};

struct handle {
	_Atomic uint32_t sequence;
	struct handle_fields fields;
} __attribute__((aligned(64)));
static_assert(sizeof(struct handle) == 64, "one cache line");

struct handle_pair; // handles.c's own

struct handles {
	// since start; main: ro, workers: ro
	struct handle *lines;
	struct handle_pair *pairs;
	uint32_t count; // of lines
	struct keyed_hash_key key;
	uint64_t hz;
	struct handles_main *main; // handles.c's own; main: rw
	_Atomic uint64_t used;     // live pairs; main and workers: rw, seldom
};

static inline void handles_prefetch(const struct handles *handles, uint32_t index)
{
	if (index < handles->count)
		__builtin_prefetch(&handles->lines[index]);
}

// ---- reading a line; any worker ----

// A consistent copy of a line of handles->lines (index below count). False: it is being written:
// handles_read.
static inline __attribute__((always_inline)) bool handle_read(
	const struct handle *line, struct handle_fields *out, uint32_t *sequence)
{
	uint32_t before = atomic_load_explicit(&line->sequence, memory_order_acquire);
	*out = line->fields;
	atomic_thread_fence(memory_order_acquire);
	uint32_t after = atomic_load_explicit(&line->sequence, memory_order_relaxed);
	*sequence = before;
	return before == after && !(before & 1);
}

enum handle_verdict {
	HANDLE_HERE,      // live, and bound to where the packet came from
	HANDLE_ELSEWHERE, // live, bound to another place: a path check
	HANDLE_NONE,      // not one, closed, of an earlier life, or its time has passed
	HANDLE_BUSY,      // being written for too long: drop
};

// source: where the packet came from and to which server of ours, client_key_set(..., channel 0,
// server).
static inline __attribute__((always_inline)) enum handle_verdict handle_verdict(
	const struct handle_fields *fields, uint16_t generation, const struct client_key *source,
	uint32_t tick)
{
	if (__builtin_expect((fields->generation != generation) | (generation == 0) |
				     ticks_passed(fields->deadline, tick),
		    0))
		return HANDLE_NONE;
	bool here = mappings_words_equal(fields->client, source->words) &
		    ((fields->client_port | (uint64_t)fields->server << 32) == source->words[2]);
	return __builtin_expect(here, 1) ? HANDLE_HERE : HANDLE_ELSEWHERE;
}

// The two of them with HANDLES_TRIES, for any index. *out and *sequence are defined for
// HANDLE_HERE and HANDLE_ELSEWHERE.
enum handle_verdict handles_read(const struct handles *handles, struct native_handle handle,
	const struct client_key *source, uint32_t tick, struct handle_fields *out,
	uint32_t *sequence);

// Of a pair that was closed less than HANDLES_CLOSED_S ago: why, and the proof of a CLOSED whose
// transaction is zeros, made when its keys were wiped. False: not one.
bool handles_closed(const struct handles *handles, struct native_handle handle, uint32_t tick,
	uint8_t proof[static NATIVE_PROOF_SIZE], uint8_t *reason);

// ---- writing; any worker. handle: as its client calls it. ----

// KEEPALIVE from where it is bound to. Puts the deadline off; *left: ticks until the new one.
// Others as handles_read (ELSEWHERE: nothing has changed).
enum handle_verdict handles_keepalive(struct handles *handles, struct native_handle handle,
	const struct client_key *source, uint32_t tick, uint32_t *left);

// The path key of the handle's side, for proofs; the caller wipes it. False: HANDLE_NONE or BUSY.
bool handles_path_key(const struct handles *handles, struct native_handle handle, uint32_t tick,
	uint8_t key[static NATIVE_PATH_KEY_SIZE]);

// A good PATH_RESPONSE: the proof and the token's age and hash have been checked by the caller, and
// that source is none of our own addresses. issued: of the token. Binds the side to the source,
// lets the peer's line send there, and puts the deadline off as a keepalive does. HANDLE_HERE: it
// is bound there now (or was already: a repetition). HANDLE_ELSEWHERE: the token is not newer than
// the last that moved it. family: of source.
enum handle_verdict handles_move(struct handles *handles, const struct node_addresses *addresses,
	struct native_handle handle, const struct client_key *source, uint32_t issued,
	uint32_t tick, uint32_t *left);

// Keeps the next hop towards the peer that was looked up for a line read at `sequence`. Nothing
// happens when the line has changed since, or is being written.
void handles_hop_set(
	struct handles *handles, uint32_t index, uint32_t sequence, uint16_t hop, uint32_t epoch);

// A pair that has ended: what CLOSED needs. The caller wipes it.
struct handles_ended {
	struct {
		uint8_t client[16];
		uint16_t client_port;
		uint8_t server, family;
		bool silent; // its deadline had passed
		uint8_t key[NATIVE_PATH_KEY_SIZE];
	} end[2];                    // of index and index + 1
	struct native_handle handle; // of end[0]
};

// CLOSE with a good proof: ends and wipes the pair. HANDLE_HERE: done, *out is filled in;
// HANDLE_NONE, HANDLE_BUSY as above.
enum handle_verdict handles_close(struct handles *handles, struct native_handle handle,
	uint32_t tick, struct handles_ended *out);

// ---- for main ----

// count: single handles, even, at most HANDLES_MAX. NULL: no memory.
struct handles *handles_create(uint32_t count, int socket);
void handles_free(struct handles *handles); // wipes
// Single handles that are made for one source network; at first all there are.
void handles_share_set(struct handles *handles, uint32_t most);
// API_HANDLES_INSTALL: 0 and *out, or -errno as struct api_handles_install says. now: TSC.
int handles_install(struct handles *handles, const struct node_addresses *addresses,
	const struct api_handles_install *install, bool draining, uint64_t now,
	struct api_handles_installed *out);
// Neither a live nor a closed pair.
bool handles_empty(const struct handles *handles);
// Looks at up to *budget pairs and takes what it looked at from it. True: one of them had to be
// ended, *out tells. False: none (any more). Closed ones whose time has come are given back.
bool handles_expire(
	struct handles *handles, uint64_t now, unsigned *budget, struct handles_ended *out);
// The same for all live ones, from *position on (at first 0); the end is *position == count / 2.
bool handles_end_next(struct handles *handles, uint32_t *position, uint64_t now, unsigned *budget,
	struct handles_ended *out);
