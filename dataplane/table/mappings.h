// SPDX-License-Identifier: BSD-3-Clause
// One worker's live mappings: allocations, their permissions and their channels ("sessions"), in
// three pools whose memory is taken at start, found through five flow tables:
//   client 5-tuple                  -> allocation    requests, Send indications
//   allocation id                   -> allocation    installs
//   client 5-tuple, channel         -> session       ChannelData from the client
//   peer's address, port, relayed   -> session       the peer's datagrams
//   allocation, peer address        -> permission    Send indications, unbound peers, ICMP
// (relay_ports.h leads from a relayed port to the allocation.)
//
// Rooms: `allocations` allocations, and `entries` permissions and as many channels in all. One
// allocation may have 64 of each; a WebRTC client has 2-5. A channel takes 64 bytes, its two table
// slots 16.5 at 97 % load (33 after a doubling), chain, deadline and free list 16; a permission 32
// + 8 + 8; an allocation 128 + 17 + 8.
//
// Generations. Everything that belongs to an allocation carries its handle: pool slot and the low 8
// bits of its generation, which changes each time the slot is used. The full generation stands in
// the relay_ports word, the only reference that leaves this worker. An entry of an earlier life can
// therefore not match, even if it were forgotten in a table.
// Deadlines are looked at on the fast path; the scan (expiry.c) only gives memory back. An ended
// entry is overwritten with zeros at once, table slots included.
//
// Thread: the owner worker, but for mappings_create, mappings_free (main, no worker running) and
// mappings_usage (any).
#pragma once

#include "dataplane/table/flow_table.h"
#include "dataplane/table/keyed_hash.h"
#include "dataplane/table/ticks.h"
#include "dataplane/worker.h"

#include <stdatomic.h>
#include <string.h>

enum {
	MAPPINGS_PERMISSIONS_MAX = 64, // per allocation
	MAPPINGS_CHANNELS_MAX = 64,
	MAPPINGS_HANDLE_SLOT_BITS = 24,
};
#define MAPPINGS_NONE UINT32_MAX

// Where a client talks to us: index of the listen address, and whether at the alternate port.
enum { SERVER_INDEX_MASK = 0x0F, SERVER_ALTERNATE_PORT = 0x10 };

struct allocation {
	uint8_t client[16];
	uint16_t client_port;
	uint16_t relayed_port[2]; // [0] IPv4, [1] IPv6; 0: none
	uint8_t relayed_index[2]; // of the listen address
	uint8_t server;
	uint8_t client_family;
	uint16_t api_flags;
	uint32_t deadline;
	uint32_t generation;
	uint32_t hop_epoch;
	uint16_t to_client; // next hop
	uint16_t permissions, channels;
	uint16_t reserved;
	uint32_t first_permission, first_session; // chains
	uint64_t id;                              // 0: free
	uint64_t credential_tag, prefix_tag;
	uint8_t transaction[12];
} __attribute__((aligned(64)));
static_assert(sizeof(struct allocation) == 128, "two cache lines, the first for packets");

enum {
	SESSION_CLIENT_IPV6 = 0x10, // in struct session .relay, above the listen index
	SESSION_PEER_IPV6 = 0x20,
	SESSION_PEER_OURS = 0x40, // the peer is one of our listen addresses: hairpin
	SESSION_RELAY_MASK = 0x0F,
};

// Everything that ChannelData in both directions needs, in one cache line. The two keys lie as
// whole words, so that a compare is three loads.
struct session {
	uint8_t client[16];
	uint16_t client_port, channel;
	uint8_t server, relay; // relay: index of the listen address relayed from, and SESSION_*
	uint16_t delta;        // constant part of the checksum difference, client to peer
	uint8_t peer[16];
	uint16_t peer_port, relayed_port;
	uint32_t handle;              // of the allocation
	uint32_t deadline;            // the channel's or the allocation's, what comes first
	uint32_t permission_deadline; // of the peer address: what the peer sends needs it too
	uint16_t to_peer, to_client;  // next hops, found when the routes were at hop_epoch
	uint32_t hop_epoch;
} __attribute__((aligned(64)));
static_assert(sizeof(struct session) == 64, "one cache line");

// Two to a cache line. Its deadline is the one of the pool's scan.
struct permission {
	uint8_t peer[16];
	uint32_t handle;
	uint32_t next; // chain of the allocation
	uint32_t hop_epoch;
	uint16_t to_peer;
	uint8_t peer_family;
	uint8_t peer_ours;
} __attribute__((aligned(32)));
static_assert(sizeof(struct permission) == 32, "half a cache line");

// What packets do not need of a session.
struct session_chain {
	uint32_t next, previous; // chain of the allocation
};

// A pool's free indices, and each entry's deadline for the scan: 16 of them in a cache line.
struct mappings_pool {
	uint32_t *free_indices; // stack
	uint32_t *due;          // 0: free
	uint32_t size, free_count, scan;
};

struct held_packets;

struct mappings {
	struct allocation *allocations;
	struct session *sessions;
	struct session_chain *session_chains;
	struct permission *permissions;
	struct mappings_pool allocation_pool, session_pool, permission_pool;
	struct flow_table by_client, by_id, by_channel, by_peer, by_permission;
	struct keyed_hash_key key;
	uint64_t hz;
	uint32_t ipv4_identification;
	struct siphash_key transaction_key; // of Data indications' transaction ids
	struct keyed_hash_key label_key;    // of IPv6 flow labels; guards nothing else
	uint64_t transactions;
	struct held_packets *held;              // packets that wait for a neighbour
	const struct node_addresses *addresses; // set with the first install, for snapshots
	uint16_t worker;
	// worker: rw, any: ro
	_Atomic uint64_t used_allocations, used_permissions, used_channels;
};

static inline uint32_t mappings_handle(uint32_t slot, uint32_t generation)
{
	return slot | generation << MAPPINGS_HANDLE_SLOT_BITS;
}

static inline uint32_t mappings_slot(uint32_t handle)
{
	return handle & ((1u << MAPPINGS_HANDLE_SLOT_BITS) - 1);
}

// ---- keys: three words each, hashed and compared as such ----
//
// Families need no place of their own: the listen address that a packet came to has one.

// Address, then port | channel << 16 | server << 32. Channel 0: the allocation itself.
struct client_key {
	uint64_t words[3];
};

// Address, then peer's port | relayed port << 16 | listen index << 32: of one shape with the above,
// so that parse can make either without asking which.
struct peer_key {
	uint64_t words[3];
};

// Address, then handle | family << 48.
struct permission_key {
	uint64_t words[3];
};

// 4 or 16 bytes into a field of 16. Whole words, so that hashing can load what was just stored.
static inline void mappings_copy_address(
	uint8_t to[static 16], const uint8_t *from, unsigned family)
{
	uint64_t words[2] = {0, 0};
	if (family == NET_IPV6) {
		memcpy(words, from, 16);
	} else {
		uint32_t word;
		memcpy(&word, from, 4);
		words[0] = word; // little endian: the first four bytes
	}
	memcpy(to, words, 16);
}
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "as the message formats are");

static inline bool mappings_address_equal(const uint8_t *a, const uint8_t *b)
{
	uint64_t x[2], y[2];
	memcpy(x, a, 16);
	memcpy(y, b, 16);
	return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
}

static inline void client_key_set(struct client_key *key, const uint8_t *address, unsigned family,
	uint16_t port, unsigned channel, unsigned server)
{
	mappings_copy_address((uint8_t *)key->words, address, family);
	key->words[2] = port | channel << 16 | (uint64_t)server << 32;
}

static inline void peer_key_set(struct peer_key *key, const uint8_t *address, unsigned family,
	uint16_t port, unsigned relayed_port, unsigned listen)
{
	mappings_copy_address((uint8_t *)key->words, address, family);
	key->words[2] = port | relayed_port << 16 | (uint64_t)listen << 32;
}

static inline void permission_key_set(
	struct permission_key *key, const uint8_t *address, unsigned family, uint32_t handle)
{
	mappings_copy_address((uint8_t *)key->words, address, family);
	key->words[2] = handle | (uint64_t)family << 48;
}

static inline uint64_t client_key_hash(const struct mappings *m, const struct client_key *key)
{
	return keyed_hash(&m->key, key->words, 3);
}

static inline uint64_t peer_key_hash(const struct mappings *m, const struct peer_key *key)
{
	return keyed_hash(&m->key, key->words, 3);
}

static inline uint64_t permission_key_hash(
	const struct mappings *m, const struct permission_key *key)
{
	return keyed_hash(&m->key, key->words, 3);
}

static inline uint64_t id_hash(const struct mappings *m, uint64_t id)
{
	return keyed_hash(&m->key, &id, 1);
}

// ---- look-ups: a pool index or MAPPINGS_NONE. Deadlines are the caller's to check. ----

static inline bool mappings_words_equal(const uint8_t *have, const uint64_t *want)
{
	uint64_t x[2];
	memcpy(x, have, 16);
	return ((x[0] ^ want[0]) | (x[1] ^ want[1])) == 0;
}

static inline bool allocation_matches_client(const void *pool, uint32_t index, const void *key)
{
	const struct allocation *a = (const struct allocation *)pool + index;
	const struct client_key *k = key;
	return mappings_words_equal(a->client, k->words) &&
	       (a->client_port | (uint64_t)a->server << 32) == k->words[2];
}

static inline bool session_matches_channel(const void *pool, uint32_t index, const void *key)
{
	const struct session *s = (const struct session *)pool + index;
	const struct client_key *k = key;
	uint64_t word;
	memcpy(&word, &s->client_port, 8);
	return mappings_words_equal(s->client, k->words) && (word ^ k->words[2]) << 24 == 0;
}
static_assert(offsetof(struct session, server) - offsetof(struct session, client_port) == 4,
	"five bytes of the word are the key's");

static inline bool session_matches_peer(const void *pool, uint32_t index, const void *key)
{
	const struct session *s = (const struct session *)pool + index;
	const struct peer_key *k = key;
	uint32_t ports;
	memcpy(&ports, &s->peer_port, 4);
	return mappings_words_equal(s->peer, k->words) &&
	       (ports | (uint64_t)(s->relay & SESSION_RELAY_MASK) << 32) == k->words[2];
}

static inline bool permission_lives(const struct mappings *m, uint32_t index, uint32_t tick)
{
	return !ticks_passed(m->permission_pool.due[index], tick);
}

static inline bool permission_matches(const void *pool, uint32_t index, const void *key)
{
	const struct permission *p = (const struct permission *)pool + index;
	const struct permission_key *k = key;
	return mappings_words_equal(p->peer, k->words) &&
	       (p->handle | (uint64_t)p->peer_family << 48) == k->words[2];
}

static inline uint32_t mappings_find_client(
	const struct mappings *m, uint64_t hash, const struct client_key *key)
{
	return flow_table_find(&m->by_client, hash, allocation_matches_client, m->allocations, key);
}

static inline uint32_t mappings_find_channel(
	const struct mappings *m, uint64_t hash, const struct client_key *key)
{
	return flow_table_find(&m->by_channel, hash, session_matches_channel, m->sessions, key);
}

static inline uint32_t mappings_find_peer(
	const struct mappings *m, uint64_t hash, const struct peer_key *key)
{
	return flow_table_find(&m->by_peer, hash, session_matches_peer, m->sessions, key);
}

static inline uint32_t mappings_find_permission(
	const struct mappings *m, uint64_t hash, const struct permission_key *key)
{
	return flow_table_find(&m->by_permission, hash, permission_matches, m->permissions, key);
}

uint32_t mappings_find_id(const struct mappings *m, uint64_t id);

// ---- changes. All or nothing: on an error nothing has changed. ----

// Takes an entry whose key, deadline, tags and ports the caller has prepared in *from (id not 0),
// enters it into the tables. Returns 0 and the slot, -EEXIST (5-tuple or id known) or -ENOSPC.
// Relayed ports are the caller's.
int allocation_add(struct mappings *m, const struct allocation *from, uint32_t *slot);
void allocation_set_deadline(struct mappings *m, uint32_t slot, uint32_t deadline);
// Ends the allocation with its channels and permissions, gives its relayed ports back, wipes.
// Bounded by MAPPINGS_PERMISSIONS_MAX + MAPPINGS_CHANNELS_MAX.
void allocation_end(struct worker *worker, uint32_t slot);
// The same for one relayed address of a dual allocation and what belongs to its family; the rest of
// the allocation stays. side: 0 IPv4, 1 IPv6; both are there.
void allocation_end_family(struct worker *worker, uint32_t slot, unsigned side);

// A permission of the allocation that does not exist yet. 0, -ENOSPC.
int permission_add(struct mappings *m, uint32_t allocation, const struct net_address *peer,
	bool peer_ours, uint32_t deadline, uint32_t *index);
void permission_set_deadline(struct mappings *m, uint32_t index, uint32_t deadline);
void permission_end(struct mappings *m, uint32_t index);

// A channel that is not bound, to a peer that has none. 0, -ENOSPC. relay_address: the listen
// address relayed from; server_address, server_port: where the client talks to.
struct session_parts {
	struct net_endpoint peer;
	const struct net_address *relay_address, *server_address;
	uint16_t server_port;
	uint16_t channel;
	bool peer_ours;
};
int session_add(struct mappings *m, uint32_t allocation, const struct session_parts *parts,
	uint32_t deadline, uint32_t permission_deadline, uint32_t *index);
void session_set_deadline(struct mappings *m, uint32_t index, uint32_t deadline);
void session_end(struct mappings *m, uint32_t index);
// The keys of a session.
void session_keys(const struct session *s, struct client_key *channel, struct peer_key *peer);

// The relayed transport addresses as messages carry them.
void allocation_relayed(const struct mappings *m, const struct allocation *a,
	struct net_endpoint relayed[static 2]);

static inline void mappings_client_key(const struct allocation *a, struct client_key *key)
{
	client_key_set(key, a->client, a->client_family, a->client_port, 0, a->server);
}
