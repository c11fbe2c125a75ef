// SPDX-License-Identifier: BSD-3-Clause
// See lookup.h. Owner worker.
#include "dataplane/table/lookup.h"

typedef uint64_t words_of_key[3];

static_assert(sizeof(struct client_key) == sizeof(words_of_key) &&
		      sizeof(struct peer_key) == sizeof(words_of_key),
	"keys are three words");

struct burst_lookup {
	const struct mappings *m;
	const struct flow_table *table;
	const words_of_key *keys;
	unsigned count; // keys that are no repetition
	uint8_t at[BURST_MAX];
	uint64_t hash[BURST_MAX];
	uint32_t candidate[BURST_MAX];
};

static inline bool words_equal(const uint64_t *a, const uint64_t *b)
{
	return ((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2])) == 0;
}

static inline void hash_all(struct burst_lookup *l, unsigned count)
{
	unsigned distinct = 0;
	for (unsigned i = 0; i < count; i++) {
		if (i != 0 && words_equal(l->keys[i], l->keys[i - 1]))
			continue;
		uint64_t hash = keyed_hash(&l->m->key, l->keys[i], 3);
		flow_table_prefetch(l->table, hash);
		l->hash[distinct] = hash;
		l->at[distinct++] = (uint8_t)i;
	}
	l->count = distinct;
}

// Those whose signature is not in the first bucket are asked of the second, together.
static inline void candidates_all(struct burst_lookup *l)
{
	const struct session *sessions = l->m->sessions;
	uint8_t elsewhere[BURST_MAX];
	unsigned elsewhere_count = 0;
	for (unsigned i = 0; i < l->count; i++) {
		uint16_t signature = flow_table_signature(l->hash[i]);
		uint32_t bucket = flow_table_bucket(l->table, l->hash[i]);
		uint32_t found = flow_table_candidate(l->table, bucket, signature);
		l->candidate[i] = found;
		if (__builtin_expect(found != FLOW_TABLE_NONE, 1)) {
			__builtin_prefetch(&sessions[found]);
		} else {
			uint32_t other = flow_table_other(l->table, bucket, signature);
			__builtin_prefetch(&l->table->buckets[other]);
			elsewhere[elsewhere_count++] = (uint8_t)i;
		}
	}
	for (unsigned i = 0; i < elsewhere_count; i++) {
		unsigned at = elsewhere[i];
		uint16_t signature = flow_table_signature(l->hash[at]);
		uint32_t bucket = flow_table_bucket(l->table, l->hash[at]);
		uint32_t found = flow_table_candidate(
			l->table, flow_table_other(l->table, bucket, signature), signature);
		l->candidate[at] = found;
		if (found != FLOW_TABLE_NONE)
			__builtin_prefetch(&sessions[found]);
	}
}

// A candidate with another key shares the signature only; then all of both buckets are compared.
static inline __attribute__((always_inline)) void compare_all(
	const struct burst_lookup *l, unsigned count, flow_table_match *match, uint32_t *indices)
{
	const struct session *sessions = l->m->sessions;
	unsigned next = 0;
	uint32_t found = MAPPINGS_NONE;
	for (unsigned i = 0; i < count; i++) {
		if (next < l->count && l->at[next] == i) {
			found = l->candidate[next];
			if (__builtin_expect(
				    found != FLOW_TABLE_NONE && !match(sessions, found, l->keys[i]),
				    0))
				found = flow_table_find(
					l->table, l->hash[next], match, sessions, l->keys[i]);
			next++;
		}
		indices[i] = found;
	}
}

void mappings_find(const struct mappings *m, const struct mappings_wanted *wanted)
{
	struct burst_lookup channels, peers;
	channels.m = peers.m = m;
	channels.table = &m->by_channel;
	peers.table = &m->by_peer;
	channels.keys = (const words_of_key *)wanted->channels;
	peers.keys = (const words_of_key *)wanted->peers;
	hash_all(&channels, wanted->channel_count);
	hash_all(&peers, wanted->peer_count);
	candidates_all(&channels);
	candidates_all(&peers);
	compare_all(&channels, wanted->channel_count, session_matches_channel,
		wanted->channel_sessions);
	compare_all(&peers, wanted->peer_count, session_matches_peer, wanted->peer_sessions);
}
