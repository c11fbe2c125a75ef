// SPDX-License-Identifier: BSD-3-Clause
// The inside of the agent: what its files share. One file, one job:
//
//     agent.c      entering and leaving, deadlines, credentials, counters    events.c  telling
//     base.c       sockets                    local.c   our candidates and their priorities
//     gather.c     asking servers             remote.c  the peer's candidates
//     pair.c       the table of pairs         pair_life.c  what becomes of one
//     check.c      which check is due, consent          budget.c  what may be sent unasked
//     receive.c    dispatch, answers to our checks      request.c  the peer's checks, our answers
//     nominate.c   AGENT_STANDARD: which pair is the one
//     replay.c     checks that were seen      message.c  checks and answers as STUN
//     address.c    where nobody can be        candidate_list.c candidate_text.c  the two codecs
//
// Invariants:
// - Time stands still within one entry (agent->now).
// - Nobody tells an event but ice_leave, when the outermost entry is done: what is to be told is
//   written on the thing it is about (tell, lost_pair), so it needs no room and cannot overflow.
// - A pair is LIVE exactly when a check of ours was answered and consent has not ended; it is valid
//   when it is LIVE, or (native) heard and granted. Only valid pairs are known to the owner.
// - Whatever waits has a time that ice_deadline looks at.
// - Each check to an address that has not answered passes ice_budget_take.
#pragma once

#include "endpoint/agent/agent.h"

#include "lib/net/address.h"
#include "lib/wire/stun_integrity.h"

#include <string.h>

enum {
	ICE_REMOTES = AGENT_REMOTE_MAX + AGENT_REFLEXIVE_MAX,
	ICE_TRANSACTIONS = 8, // of a pair that may still be answered
	ICE_HOSTS = 64,       // remote IP addresses whose budget is remembered
	ICE_MESSAGE_MAX = 768,
	ICE_SEEN = 128,             // checks of standard peers that are remembered
	ICE_WINDOW = 1024,          // sequences that may come late
	ICE_TRIGGER_MS = 20,        // between two checks of one pair, whatever happens
	ICE_INTERVAL_MAX_MS = 4000, // between checks of a pair that is not answered
	ICE_STANDARD_TRIES = 7,     // RFC 8489 6.2.1: Rc
	ICE_GATHER_TRIES = 6,
	ICE_GATHER_SILENT = 12, // to a server that has never answered, on one network
	ICE_GATHER_RTO_MS = 200,
	ICE_URGENT_TRIES = 4, // quick checks of a live pair that is in doubt
	ICE_URGENT_MS = 100,
	ICE_ANSWERS = 256, // checks of the peer that are answered at once, and one more each
	ICE_ANSWERS_REFILL_MS = 1,
};

// In checks of AGENT_NATIVE: eight bytes, big endian, greater with each check an agent sends.
// Comprehension-optional, so standard agents ignore it; none is assigned there.
#define ICE_ATTRIBUTE_SEQUENCE 0xC2AD

// A token bucket: `left` at the time `at`, one more each interval.
struct ice_bucket {
	uint32_t left;
	uint64_t at;
};

struct ice_base {
	bool used;
	uint8_t family;
	uint8_t kind;     // enum agent_base_kind
	uint16_t ordinal; // of adding: decides between equals
	uint32_t keepalive_ms;
};

enum { ICE_TOLD_BY_OWNER = 1 }; // and 2 << server

struct ice_local {
	bool used, tell;
	uint8_t told_by;
	uint8_t class; // enum agent_class
	unsigned base;
	struct agent_candidate candidate;
};

struct ice_transaction {
	bool used, controlling, nominating;
	uint64_t sent_at;
	uint8_t id[STUN_TRANSACTION_LENGTH];
};

struct ice_gather {
	bool used;
	bool first;   // until it was answered once or given up
	bool known;   // has answered
	uint8_t sent; // on this network, while it is not known
	uint8_t next; // transaction to be overwritten
	uint8_t server;
	uint8_t tries;
	unsigned base;
	uint64_t due;
	struct ice_transaction transactions[4];
};

struct ice_remote {
	bool used;
	bool signalled; // in the list of the newest generation
	struct agent_candidate candidate;
};

enum ice_pair_state {
	ICE_PAIR_FREE,
	ICE_PAIR_SEARCHING, // checks are sent until one is answered
	ICE_PAIR_LIVE,      // consent holds
	ICE_PAIR_FAILED,    // all checks were for nothing; a check of the peer begins anew
	ICE_PAIR_GONE,      // free as soon as its loss was told
};

struct ice_pair {
	enum ice_pair_state state;
	uint32_t id;
	unsigned base;
	struct ice_remote *remote;
	struct endpoint_transport mapped; // how the peer sees us
	uint64_t priority;

	bool valid, known; // known: told to the owner as valid
	bool tell_valid, tell_confirmed, tell_nominated;
	uint32_t lost_id; // to be told as lost, with lost_why
	enum agent_lost lost_why;

	bool triggered;
	bool heard;            // a check came from there since the search began
	bool nominating;       // we (controlling) say USE-CANDIDATE
	bool remote_nominated; // the peer has said it
	bool nominated;        // was once: stays so
	uint8_t tries;         // since the search began
	uint8_t urgent;        // quick checks left
	uint8_t next;          // transaction to be overwritten
	uint16_t allowance;    // datagrams of the owner's while unconfirmed
	uint64_t due;          // of the next check
	uint64_t checked_at;   // the last one; valid when ever_checked
	bool ever_checked;
	uint64_t valid_until; // while unconfirmed, and of consent
	uint64_t answered_at;
	uint32_t rtt_ms;
	struct ice_transaction transactions[ICE_TRANSACTIONS];
};

struct ice_host {
	bool used;
	uint8_t grants; // unconfirmed pairs that it was trusted with
	uint8_t family;
	uint8_t address[16];
	uint64_t used_at;
	struct ice_bucket checks;
};

struct ice_seen {
	unsigned base;
	struct endpoint_transport source;
	uint8_t id[STUN_TRANSACTION_LENGTH];
};

struct agent {
	struct agent_config config;
	struct agent_output output;
	uint64_t now, deadline;
	unsigned depth; // of entries
	struct stun_key local_key, remote_key;
	bool remote_known;
	bool controlling;
	uint64_t tie_breaker;
	unsigned pace_ms, first_rto_ms, keepalive_ms;

	struct ice_base bases[AGENT_BASES_MAX];
	uint16_t base_ordinal;
	struct ice_local locals[AGENT_LOCAL_MAX];
	uint32_t generation;
	bool tell_changed;
	struct ice_gather gathers[AGENT_GATHERS_MAX];
	bool gathering; // somebody waits for AGENT_GATHERED
	bool tell_gathered;

	struct ice_remote remotes[ICE_REMOTES];
	bool remote_listed; // a generation was set
	uint32_t remote_generation;

	struct ice_pair pairs[AGENT_PAIRS_MAX];
	uint32_t last_pair; // number given
	bool exhausted, tell_exhausted;
	uint32_t nominated;     // pair id
	uint64_t first_live_at; // for nomination; ENDPOINT_NEVER: none is
	struct ice_bucket pace, total, grants, answers;
	struct ice_host hosts[ICE_HOSTS];

	uint64_t sequence; // sent last
	uint64_t highest;  // received
	uint64_t window[ICE_WINDOW / 64];
	struct ice_seen seen[ICE_SEEN];
	unsigned seen_next, seen_count;

	uint64_t counters[AGENT_COUNTER_COUNT];
};

static inline void ice_count(struct agent *agent, enum agent_counter counter)
{
	agent->counters[counter]++;
}

static inline bool ice_standard(const struct agent *agent)
{
	return agent->config.selection == AGENT_STANDARD;
}

// ---- agent.c, events.c ----

void ice_random(struct agent *agent, void *out, size_t size);
// Uniform in [low, high].
uint64_t ice_random_between(struct agent *agent, uint64_t low, uint64_t high);
void ice_enter(struct agent *agent, uint64_t now);
// Tells what is to be told, and the deadline.
void ice_leave(struct agent *agent);
void ice_tell(struct agent *agent);
uint64_t ice_deadline(const struct agent *agent);
void ice_send(struct agent *agent, unsigned base, const struct endpoint_transport *destination,
	const uint8_t *data, size_t size);

// ---- address.c ----

static inline bool ice_transport_equal(
	const struct endpoint_transport *a, const struct endpoint_transport *b)
{
	return a->family == b->family && a->port == b->port &&
	       memcmp(a->address, b->address, sizeof(a->address)) == 0;
}
// The bytes that an IPv4 address does not use are zero in the result, so that memcmp compares.
struct endpoint_transport ice_transport_clean(const struct endpoint_transport *transport);
struct endpoint_transport ice_transport_of(const struct net_endpoint *endpoint);
struct net_endpoint ice_transport_net(const struct endpoint_transport *transport);
// Whether a peer, or we, can be reached there by datagrams from elsewhere: a unicast address with
// a port, of no scope smaller than a network and no form of another family.
bool ice_address_usable(const struct endpoint_transport *transport, bool loopback);
bool ice_address_link_local(const struct endpoint_transport *transport);

// ---- base.c, local.c, gather.c ----

struct ice_base *ice_base_find(struct agent *agent, unsigned base);
// Whether checks begin there.
bool ice_base_searches(const struct agent *agent, const struct ice_base *base);
uint32_t ice_base_keepalive(const struct agent *agent, unsigned base);
// Of the best candidate of a base, for priorities of pairs; and what PRIORITY says in checks.
uint32_t ice_base_priority(const struct agent *agent, unsigned base);
uint32_t ice_base_reflexive_priority(const struct agent *agent, unsigned base);
void ice_local_changed(struct agent *agent);
void ice_local_remove_base(struct agent *agent, unsigned base);
// What a server says of a base; family 0: nothing (any more).
void ice_local_reflexive(struct agent *agent, unsigned base, unsigned server,
	const struct endpoint_transport *mapped);
enum agent_candidate_type ice_local_type(
	const struct agent *agent, unsigned base, const struct endpoint_transport *mapped);
void ice_gather_base(struct agent *agent, unsigned base);
void ice_gather_remove_base(struct agent *agent, unsigned base);
void ice_gather_again(struct agent *agent);
void ice_gather_tick(struct agent *agent);
uint64_t ice_gather_deadline(const struct agent *agent);
// A success or error without integrity: whether it was to a request of ours.
bool ice_gather_answer(struct agent *agent, unsigned base, const struct endpoint_transport *source,
	const struct stun_message *m);

// ---- remote.c ----

struct ice_remote *ice_remote_find(struct agent *agent, const struct endpoint_transport *transport);
// A peer-reflexive one; NULL: no room.
struct ice_remote *ice_remote_learn(
	struct agent *agent, const struct endpoint_transport *transport, uint32_t priority);
// Frees those that are in no list and no pair.
void ice_remote_sweep(struct agent *agent);

// ---- pair.c, pair_life.c ----

struct ice_pair *ice_pair_by_id(struct agent *agent, uint32_t id);
struct ice_pair *ice_pair_find(
	struct agent *agent, unsigned base, const struct endpoint_transport *remote);
// Begins to search from a base to a remote candidate; the existing pair, where there is one. NULL:
// better pairs fill the table.
struct ice_pair *ice_pair_make(struct agent *agent, unsigned base, struct ice_remote *remote);
// All pairs that should be there and are not.
void ice_pair_form(struct agent *agent);
void ice_pair_priorities(struct agent *agent);
void ice_pair_number(struct agent *agent, struct ice_pair *pair);

// Searches from the beginning.
void ice_pair_restart(struct agent *agent, struct ice_pair *pair);
// An authentic word of the peer's came that way: a check of ours goes back at once.
void ice_pair_heard(struct agent *agent, struct ice_pair *pair);
void ice_pair_answered(struct agent *agent, struct ice_pair *pair, uint64_t sent_at,
	const struct endpoint_transport *mapped);
// It is not valid any more, if it was.
void ice_pair_lose(struct agent *agent, struct ice_pair *pair, enum agent_lost why);
// Loses it and gives up its place.
void ice_pair_end(struct agent *agent, struct ice_pair *pair, enum agent_lost why);
void ice_pair_sweep(struct agent *agent, struct ice_pair *pair);

// ---- check.c, budget.c ----

void ice_check_tick(struct agent *agent);
uint64_t ice_check_deadline(const struct agent *agent);
// When the next check of a live pair is due.
uint64_t ice_check_consent_due(struct agent *agent, const struct ice_pair *pair);
uint64_t ice_check_interval(const struct agent *agent, unsigned tries);
void ice_budget_begin(struct agent *agent);
// Whether a check to this address that has not answered may be sent now, and takes its share; when
// not, *again is when it may be.
bool ice_budget_take(
	struct agent *agent, const struct endpoint_transport *destination, uint64_t *again);
// Whether there is room in the pace; without it nothing is due before ice_budget_pace_at.
bool ice_budget_pace(struct agent *agent);
uint64_t ice_budget_pace_at(const struct agent *agent);
// Whether a pair may be used on the peer's word alone; and that the word was good.
bool ice_budget_grant(struct agent *agent, const struct endpoint_transport *destination);
void ice_budget_answered(
	struct agent *agent, const struct endpoint_transport *destination, bool granted);
bool ice_bucket_take(
	struct ice_bucket *bucket, uint64_t now, uint32_t capacity, uint32_t interval_ms);

// ---- receive.c, request.c, replay.c, message.c, nominate.c ----

void ice_request_receive(struct agent *agent, unsigned base,
	const struct endpoint_transport *source, const struct stun_message *m);
// USERNAME of a check for us: our fragment, a colon, the peer's.
bool ice_request_ours(const struct agent *agent, const struct stun_message *m);

enum ice_replay {
	ICE_NEW,
	ICE_AGAIN,  // the same check once more from the same place: a repetition
	ICE_REPLAY, // somebody else's copy
};
enum ice_replay ice_replay_check(struct agent *agent, unsigned base,
	const struct endpoint_transport *source, const struct stun_message *m, uint64_t sequence);

// A check of this pair as it is to be sent now; its transaction is noted. Returns the size, 0:
// none.
size_t ice_message_check(struct agent *agent, struct ice_pair *pair, uint8_t out[ICE_MESSAGE_MAX]);
size_t ice_message_answer(struct agent *agent, const struct stun_message *request,
	const struct endpoint_transport *source, uint8_t out[ICE_MESSAGE_MAX]);
// code 420 or 487. unknown: attribute types for 420.
size_t ice_message_error(struct agent *agent, const struct stun_message *request, unsigned code,
	const uint16_t *unknown, size_t count, uint8_t out[ICE_MESSAGE_MAX]);
bool ice_message_u64(const struct stun_message *m, uint16_t type, uint64_t *out);

void ice_role_switch(struct agent *agent, bool controlling, bool new_tie_breaker);
// The peer has nominated this pair (its check said USE-CANDIDATE).
void ice_nominate_remote(struct agent *agent, struct ice_pair *pair);
// A check of ours was answered; nominating: it said USE-CANDIDATE.
void ice_nominate_answered(struct agent *agent, struct ice_pair *pair, bool nominating);
void ice_nominate_tick(struct agent *agent);
uint64_t ice_nominate_deadline(const struct agent *agent);
