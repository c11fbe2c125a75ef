// SPDX-License-Identifier: BSD-3-Clause
// The inside of the phone: what its files share. One file, one job:
//
//     phone.c     making, entering and leaving, datagrams to whom they are for
//     relays.c    relay cores           bases.c    sockets and the addresses of this host
//     talk.c      the table of calls, their states and end
//     setup.c     until there is a session, with setup_caller.c and setup_callee.c
//     payload.c   what handshakes carry
//     leg.c       the relays' legs of a call
//     direct.c    the agent: candidates      pairs.c    its pairs, as numbers 2 and 3 of the paths
//     media.c     frames out and in         news.c     what the paths tell
//     words.c     control messages: answer, hang up, candidates
//     fragment.c  handshake messages in datagrams
//
// Invariants:
// - Time stands still within one entry (phone->now).
// - An event may call back into the phone. Whoever has told one returns at once or looks again. A
//   call that is over is marked (TALK_OVER) and freed when the outermost entry leaves, and so are
//   relay cores, so pointers stay good.
#pragma once

#include "endpoint/agent/agent.h"
#include "endpoint/paths/control.h"
#include "endpoint/paths/frame.h"
#include "endpoint/paths/paths.h"
#include "endpoint/phone/fragment.h"
#include "endpoint/phone/phone.h"
#include "endpoint/recent.h"
#include "endpoint/session/envelope.h"
#include "endpoint/session/handshake.h"

#include <string.h>

enum {
	PHONE_LEGS = PHONE_RELAYS_MAX,
	PHONE_OFFER_KIND = 'V',
	PHONE_OFFER_VERSION = 1,
	PHONE_OFFER_SIZE = 19, // kind, version, call id, leg
	PHONE_CALL_ID_SIZE = FRAGMENT_ID_SIZE,
	PHONE_DIRECT = 2, // first number of a direct path
	PHONE_RING_MS = 60 * 1000,
	PHONE_SECOND_MAPPING_MS = 90 * 1000,
	PHONE_LINGER_MS = 1000, // for the peer to confirm that it was told
	PHONE_LOST_MS = 30 * 1000,
	PHONE_HALF_MS = 20 * 1000, // an invitation or an offer without the other
	PHONE_NEWS_MAX = 8,
	PHONE_OFFERS_BURST = 20, // handshakes that are tried at once
};

struct phone;
struct talk;

// ---- relays.c ----

struct known_relay {
	struct phone *phone;
	struct endpoint *core; // NULL: free
	struct phone_relay is;
	uint8_t number;
	bool home, registering, registered;
	bool leaving, dead; // not ours any more; to be freed
	bool waiting;       // for the relay's word that we have left
	struct endpoint_transport observed;
};

// The core for a relay, made where there is none. NULL: *error.
struct known_relay *relays_want(struct phone *phone, const struct phone_relay *is, int *error);
void relays_register(struct known_relay *relay);
// Nothing is registered anywhere, nor waits for being confirmed that.
bool relays_left(const struct phone *phone);
void relays_reap(struct phone *phone);
void relays_tick(struct phone *phone);
uint64_t relays_deadline(const struct phone *phone);
void relays_network_changed(struct phone *phone);
bool relays_are_at(const struct phone *phone, const struct endpoint_transport *source);
// Not STUN, not an envelope. False: from no relay of ours.
bool relays_receive(struct phone *phone, const struct endpoint_transport *source,
	const uint8_t *data, size_t size);

// ---- bases.c ----

struct base {
	bool up, ours; // ours: made by base_open
	uint8_t family;
	uint16_t port;
};

// The first base of a family; -1: none.
int bases_first(const struct phone *phone, unsigned family);

// ---- calls ----

enum talk_state {
	TALK_CALLING,  // caller: until the peer has proven itself
	TALK_RINGING,  // caller: until it answers
	TALK_HALF,     // callee: an invitation without an offer, or the other way round
	TALK_INCOMING, // callee: until we answer
	TALK_TALKING,
	TALK_ENDING, // over for the user; the peer is being told
	TALK_OVER,   // to be freed
};

enum leg_state { LEG_NONE, LEG_INVITED, LEG_OPENING, LEG_OPEN, LEG_RESTING };

struct leg {
	enum leg_state state;
	struct known_relay *relay;
	uint64_t call;     // the core's id
	uint64_t retry_at; // caller: to be opened again
	unsigned failures;
	enum endpoint_end why; // of the last end
};

// What a handshake carries besides keys: who we are to the relay, how to check paths with us, and
// our candidates.
struct payload {
	struct endpoint_peer peer; // of an offer
	struct agent_credentials credentials;
	bool has_candidates;
	struct agent_candidate candidates[AGENT_REMOTE_MAX];
	size_t candidate_count;
	uint32_t generation;
};

// The handshake, until there is a session; the callee keeps its answer until the caller has it.
struct setup {
	struct handshake handshake;
	bool has_offer;                        // it was made, or opened
	bool has_answer;                       // callee: it was made
	uint8_t message[FRAGMENT_MESSAGE_MAX]; // what we say: offer or answer
	size_t message_size;
	struct payload remote;   // callee: of the offer
	struct known_relay *via; // callee: where the offer came from
	unsigned tries;
	uint64_t due, answered_at; // due: of what is repeated; a callee without offer: declines
};

// Another way, to be told.
struct path_news {
	uint8_t before, now;
	enum phone_path_why why;
};

struct talk {
	struct phone *phone;
	uint64_t id;
	enum talk_state state;
	bool caller;
	bool refused; // callee: declined; what comes late is declined, too
	bool rang;    // callee: the user was told
	bool has_offer_id;
	uint8_t offer_id[RECENT_ID_SIZE]; // callee: how the offer begins, which is never the same
	uint8_t call_id[PHONE_CALL_ID_SIZE];
	uint8_t identity_key[ENDPOINT_KEY_SIZE]; // of the peer
	struct endpoint_peer peer;
	enum phone_trust trust;
	struct leg legs[PHONE_LEGS];
	unsigned leg_count; // caller: relays of the contact
	struct setup *setup;
	uint64_t give_up_at; // this state lasts no longer
	struct phone_call_info info;

	bool has_session;
	struct envelope_session session;
	struct paths paths;
	struct control control;
	uint64_t rekey_at;
	uint8_t loss_told; // percent, to the peer
	struct path_news news[PHONE_NEWS_MAX];
	unsigned news_count;
	uint8_t doubted;   // legs that have fallen silent: their relays are to be asked
	uint64_t ask_from; // not before

	struct agent *agent;
	struct agent_credentials credentials; // ours
	bool disclosed;                       // the peer has or gets our candidates
	struct payload held;                  // the peer's, until then
	uint32_t told_generation;             // of ours
	uint32_t direct[2];                   // pairs behind paths 2 and 3; 0: none
	int second_base;                      // opened for this call; -1: none
	uint64_t second_base_at;
	uint64_t search_at; // for a direct path, again
	unsigned searches;
	uint64_t heard_at; // last authentic frame
};

struct phone {
	struct phone_config config; // without the identity's seed
	struct phone_output output;
	struct endpoint_time now;
	unsigned depth;
	bool withdrawing; // nothing new is begun
	uint64_t deadline_told;
	struct handshake_identity identity;
	struct endpoint_peer self;
	struct known_relay relays[PHONE_CORES_MAX];
	struct base bases[PHONE_BASES_MAX];
	struct phone_host hosts[PHONE_HOSTS_MAX];
	size_t host_count;
	struct talk *talks[PHONE_CALLS_MAX];
	uint64_t last_call;
	struct fragments fragments;
	struct recent recent; // offers that were answered
	uint64_t offers_at;   // when the budget of offers was counted
	unsigned offers;      // that may still be opened
	uint64_t counters[PHONE_COUNTER_COUNT];
};

// ---- phone.c ----

void inside_enter(struct phone *phone, struct endpoint_time now);
void inside_leave(struct phone *phone);
void inside_tell(struct phone *phone, const struct phone_event *event);
void inside_tell_deadline(struct phone *phone);
void inside_count(struct phone *phone, enum phone_counter counter);
void inside_random(struct phone *phone, void *out, size_t size);

static inline bool inside_due(const struct phone *phone, uint64_t at)
{
	return at <= phone->now.monotonic_ms;
}

static inline uint64_t inside_earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline bool inside_same_transport(
	const struct endpoint_transport *a, const struct endpoint_transport *b)
{
	return a->family == b->family && a->port == b->port &&
	       memcmp(a->address, b->address, a->family == 4 ? 4 : 16) == 0;
}

// ---- talk.c ----

struct talk *talk_make(struct phone *phone, bool caller, int *error);
struct talk *talk_find(struct phone *phone, uint64_t id);
// The first one with this id, or the next one behind another: the id is no secret, so a stranger's
// may be the same.
struct talk *talk_of_call_id(
	struct phone *phone, const uint8_t *call_id, const struct talk *behind);
struct talk *talk_of_leg(
	struct phone *phone, const struct known_relay *relay, uint64_t call, unsigned *number);
// Whether a call needs the relay.
bool talks_use(const struct phone *phone, const struct known_relay *relay);
bool talks_none(const struct phone *phone);
unsigned talks_incoming(const struct phone *phone);
void talks_tick(struct phone *phone);
uint64_t talks_deadline(const struct phone *phone);
void talks_reap(struct phone *phone, bool all);
void talks_hosts_changed(struct phone *phone);
// Both sides are talking from now on.
void talk_answered(struct talk *talk);
// It is over for a reason that the user is told.
void talk_end(struct talk *talk, enum phone_end why);
// The same without telling the user. tell_peer: by a control message, where there is a session.
void talk_finish(struct talk *talk, bool tell_peer);
// All of them, and sooner.
void talks_finish(struct phone *phone);

// ---- setup.c, setup_caller.c, setup_callee.c ----

enum { SETUP_PROLOGUE_SIZE = 17 + PHONE_CALL_ID_SIZE + ENDPOINT_KEY_SIZE };

void setup_prologue(uint8_t out[static SETUP_PROLOGUE_SIZE], const uint8_t *call_id,
	const uint8_t *callee_namespace);
struct handshake_random setup_random(struct phone *phone);
void setup_send_offer(struct talk *talk);
void setup_send_answer(struct talk *talk);
void setup_offered(struct known_relay *relay, const struct fragment_slot *whole);
// Callee: no offer could be opened in time.
void setup_misfit(struct talk *talk);
void setup_answered(struct talk *talk, const uint8_t *message, size_t size);

// The caller's side, as soon as its relay has registered us.
void setup_begin(struct talk *talk);
void setup_registered(struct known_relay *relay);
void setup_trouble(struct known_relay *relay, const struct endpoint_event *event);
void setup_invite(struct known_relay *relay, const struct endpoint_event *event);
void setup_fragment(struct known_relay *relay, const uint8_t *data, size_t size);
void setup_tick(struct talk *talk);
void setup_wipe(struct talk *talk);
// Whether something may still come that brings the call about, though no leg is there.
bool setup_waits(const struct talk *talk);
// Callee: a leg is open, so the user may be told.
void setup_ring(struct talk *talk);

// ---- payload.c ----

enum { PAYLOAD_MAX = 1 + 64 + 40 + AGENT_CANDIDATES_SIZE };

// Returns the size; out has PAYLOAD_MAX bytes.
size_t payload_write(const struct talk *talk, bool offer, uint8_t *out);
// -EBADMSG.
int payload_read(const uint8_t *data, size_t size, bool offer, struct payload *out);

// ---- leg.c ----

void leg_open(struct talk *talk, unsigned number);   // caller
void leg_accept(struct talk *talk, unsigned number); // callee
void leg_event(struct talk *talk, unsigned number, const struct endpoint_event *event);
void leg_tick(struct talk *talk, unsigned number);
void legs_close(struct talk *talk);
bool legs_any(const struct talk *talk, enum leg_state state);

// ---- direct.c ----

int direct_begin(struct talk *talk); // makes the agent
void direct_remote(struct talk *talk, const struct payload *payload);
void direct_candidates(
	struct talk *talk, const uint8_t *data, size_t size); // the peer's newer list
void direct_disclose(struct talk *talk); // tells the peer our candidates, now and when they change
// A relay sees us elsewhere than before.
void direct_observed(struct phone *phone, const struct endpoint_transport *old);
void direct_hosts(struct talk *talk); // this host has other addresses
bool direct_receive(struct phone *phone, unsigned base, const struct endpoint_transport *source,
	const uint8_t *data, size_t size);
// Whether the peer may send to our sockets.
bool direct_wanted(const struct talk *talk);
void direct_tick(struct talk *talk);
void direct_end(struct talk *talk);

// ---- pairs.c ----

// What the agent tells of a pair: it can be used, it is proven, it can not be used any more.
void pairs_consider(struct talk *talk, uint32_t pair);
void pairs_confirmed(struct talk *talk, uint32_t pair);
void pairs_lost(struct talk *talk, uint32_t pair);
// The path that something authentic came by; -1: none.
int pairs_path_of(struct talk *talk, unsigned base, const struct endpoint_transport *source);
void pairs_send(struct talk *talk, unsigned path, const uint8_t *data, size_t size);
void pairs_info(const struct talk *talk, struct phone_call_info *out);

// ---- media.c ----

void media_session(struct talk *talk); // there is a session: paths may be used
// An envelope came by a leg (path 0 or 1), or to a base.
void media_from_leg(struct talk *talk, unsigned number, const uint8_t *data, size_t size);
void media_from_base(struct phone *phone, unsigned base, const struct endpoint_transport *source,
	const uint8_t *data, size_t size);
void media_answered(struct talk *talk);
void media_info(const struct talk *talk, struct phone_call_info *out);
void media_tick(struct talk *talk);
uint64_t media_deadline(const struct talk *talk);
void media_usable(struct talk *talk, unsigned path, bool usable, unsigned rtt_ms);

// ---- news.c ----

void news_event(void *context, const struct paths_event *event); // notes it; context: the talk
void news_tell(struct talk *talk);                               // the user what was noted

// ---- words.c ----

enum word { WORD_ANSWER = 1, WORD_HANGUP, WORD_CANDIDATES, WORD_LOSS };

void words_say(struct talk *talk, enum word word, const void *body, size_t size);
void words_hear(struct talk *talk, uint8_t word, const uint8_t *body, size_t size);
