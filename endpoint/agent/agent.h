// SPDX-License-Identifier: BSD-3-Clause
// The agent of one call: finds the transport addresses between which two peers reach each other
// directly (ICE, RFC 8445), and watches that the peer still wants what is sent there (RFC 7675). No
// I/O: datagrams and time go in, datagrams and events come out.
//
// Words. A *base* is a socket of the owner (or a TURN allocation), known here by a number of the
// owner's. Several *local candidates* lie on one base: its host addresses, how servers see it. A
// *remote candidate* is an address of the peer. A *pair* is a base and a remote transport address;
// there is one pair however many local candidates the base has, since its checks would be the same.
//
//     agent_create -> agent_base_add, agent_candidate_add -> AGENT_LOCAL_CHANGED
//     agent_candidates_write -> (sealed, to the peer) -> agent_candidates_read -> agent_remote_set
//     -> AGENT_PAIR_VALID -> agent_pair_send, agent_pair_of -> AGENT_PAIR_LOST
//
// Rules for all functions:
// - One thread at a time for one agent; different agents share nothing.
// - Events come at the end of the outermost function that takes `now`, when all is as they say. In
//   the event callback every function may be called but agent_free. send, deadline and random must
//   not call back.
// - Pointers given to callbacks are good until they return. What is passed in is copied.
// - now: monotonic milliseconds of any origin, never going back within one agent.
// - Failures are 0 or a negative errno. Bad datagrams are counted by reason and change nothing.
// - Numbers are in host order, addresses as in struct endpoint_transport (unused bytes zero).
//
// What is sent unasked, to addresses that have not answered a check of ours: AGENT_CHECKS_PER_HOST
// checks to an IP address whatever its ports, and one more each AGENT_CHECKS_HOST_REFILL_MS;
// AGENT_CHECKS_BURST altogether, and one more each AGENT_CHECKS_REFILL_MS; AGENT_CHECKS_PER_PAIR to
// a transport address from which nothing authentic came, unless it is signalled anew or the network
// is another one; never more than one each `pace_ms` but for the first AGENT_FIRST_CHECKS. On pairs
// that are valid but not confirmed, besides, AGENT_UNCONFIRMED_SENDS datagrams of the owner's each,
// for at most 8 pairs (2 to an IP address) and one more each 10 s.
//
// Memory: one block of about 100 KiB at creation and nothing later.
#pragma once

#include "endpoint/endpoint.h"

enum {
	AGENT_BASES_MAX = 320,      // base numbers are 0 to AGENT_BASES_MAX - 1
	AGENT_LOCAL_MAX = 16,       // local candidates that are signalled
	AGENT_REMOTE_MAX = 16,      // signalled by the peer, the best ones by priority
	AGENT_REFLEXIVE_MAX = 16,   // peer-reflexive remote ones besides
	AGENT_PAIRS_MAX = 64,       // the best ones by priority
	AGENT_SERVERS_MAX = 4,      // STUN servers: the relay's addresses
	AGENT_GATHERS_MAX = 64,     // base and server
	AGENT_CREDENTIAL_MAX = 256, // characters, RFC 8839 5.4

	AGENT_CHECKS_PER_PAIR = 16,
	AGENT_CHECKS_PER_HOST = 64,
	AGENT_CHECKS_BURST = 512,
	AGENT_CHECKS_REFILL_MS = 500,
	AGENT_CHECKS_HOST_REFILL_MS = 10 * 1000,
	AGENT_FIRST_CHECKS = 8, // of the best pairs that go out at once (AGENT_NATIVE)

	AGENT_UNCONFIRMED_MS = 2000, // a pair lives so long on the peer's checks alone
	AGENT_UNCONFIRMED_SENDS = 64,
	AGENT_CONSENT_MS = 30 * 1000,
	AGENT_CONSENT_CHECK_MS = 5000, // 4 to 6 s

	AGENT_CANDIDATE_TEXT_MAX = 256, // agent_candidate_format, with the final zero
	AGENT_CANDIDATES_SIZE = 6 + AGENT_LOCAL_MAX * 23, // agent_candidates_write at most
};

enum agent_selection {
	// Between two of ours. Each side sends on whichever pair it likes best; a pair may be used
	// as soon as the peer's own check has come that way. Each check carries a sequence, so that
	// a replay is known however old it is.
	AGENT_NATIVE,
	// With any agent of RFC 8445: the controlling side nominates.
	AGENT_STANDARD,
};

enum agent_candidate_type {
	AGENT_HOST = 1,
	AGENT_MAPPED, // by PCP, NAT-PMP, UPnP
	AGENT_PEER_REFLEXIVE,
	AGENT_SERVER_REFLEXIVE,
	AGENT_RELAYED,
};

// What kind of interface a host address is on. Decides priority, and how many may be signalled, so
// that a machine with forty bridges still offers its real address first.
enum agent_class {
	AGENT_NORMAL,  // at most 8 host candidates
	AGENT_METERED, // cellular; at most 4
	AGENT_VPN,     // at most 4
	AGENT_VIRTUAL, // bridges, containers, link-local, deprecated: behind reflexive ones; at
		       // most 2
};

enum agent_base_kind {
	AGENT_SOCKET,
	AGENT_TURN,  // an allocation: what is sent goes by the relay; the only kind with relay_only
	AGENT_QUIET, // nothing is gathered for it and no check begins there, but it answers, and a
		     // check that comes there makes a pair
};

struct agent_candidate {
	enum agent_candidate_type type;
	struct endpoint_transport transport;
	uint32_t priority; // RFC 8445 5.1.2; 0 is made 1
	// Text only. foundation: RFC 8839 5.1, up to 32 characters and a zero. The related address
	// is never told: text has 0.0.0.0 or :: and port 9 there.
	char foundation[33];
};

struct agent_credentials {
	char fragment[AGENT_CREDENTIAL_MAX + 1]; // ice-ufrag, at least 4 characters of ice-char
	char password[AGENT_CREDENTIAL_MAX + 1]; // ice-pwd, at least 22
};

struct agent_config {
	enum agent_selection selection;
	bool controlling; // the caller, or the offerer; conflicts are solved (RFC 8445 7.3.1.1)
	bool remote_lite; // AGENT_STANDARD: the peer only answers
	// Neither tells nor uses any address of ours: local candidates are those of AGENT_TURN
	// bases, checks are sent from and answered on these only, and no server is asked.
	bool relay_only;
	bool allow_loopback; // candidates in 127.0.0.0/8 and ::1, for tests on one machine
	struct agent_credentials local;
	// May come later (agent_remote_credentials): an empty fragment.
	struct agent_credentials remote;
	// STUN servers, asked from each base of their family, and again every keepalive.
	struct endpoint_transport servers[AGENT_SERVERS_MAX];
	size_t server_count;
	uint16_t pace_ms;      // Ta, between checks that are no answers; 0: 5 native, 50 standard
	uint16_t first_rto_ms; // until a check is repeated, doubled each time; 0: 50 and 500
	uint32_t keepalive_ms; // of bases that have no other; 0: 15000
	// Random bytes for everything. NULL: libsodium's.
	void (*random)(void *context, void *out, size_t size);
	void *random_context;
};

enum agent_event_type {
	// A new local candidate: local. For trickling in text; agent_local has them all.
	AGENT_LOCAL_CANDIDATE = 1,
	// The list of local candidates is another one: generation. To be signalled, as a whole.
	AGENT_LOCAL_CHANGED,
	// No server is being asked for the first time any more.
	AGENT_GATHERED,
	// A pair can be used: pair, confirmed. Not confirmed (AGENT_NATIVE only): the peer's check
	// came that way, ours was not answered yet; what must not be lost is to be sent elsewhere
	// too. Later AGENT_PAIR_CONFIRMED, or it is lost.
	AGENT_PAIR_VALID,
	AGENT_PAIR_CONFIRMED,
	// AGENT_STANDARD: pair is the one to send on from now.
	AGENT_PAIR_NOMINATED,
	// A valid pair may not be used any more: pair, lost. Its number means nothing now.
	AGENT_PAIR_LOST,
	// No pair is valid and no check is planned any more. Whatever comes in, a newer list of
	// candidates, or agent_network_changed may change that.
	AGENT_EXHAUSTED,
};

enum agent_lost {
	AGENT_LOST_CONSENT = 1, // no answer for AGENT_CONSENT_MS
	AGENT_LOST_UNCONFIRMED, // no answer at all
	AGENT_LOST_BASE,        // the base was removed
	AGENT_LOST_SELECTED,    // AGENT_STANDARD: another one was nominated
	AGENT_LOST_CAP,         // better pairs need the room
};

struct agent_event {
	enum agent_event_type type;
	uint32_t generation; // AGENT_LOCAL_*
	uint32_t pair;       // AGENT_PAIR_*
	bool confirmed;      // AGENT_PAIR_VALID
	enum agent_lost lost;
	const struct agent_candidate *local; // AGENT_LOCAL_CANDIDATE
	unsigned base;                       // AGENT_LOCAL_CANDIDATE, AGENT_PAIR_*
};

struct agent_output {
	void *context;
	// A datagram from a base of ours: a check, an answer, or what agent_pair_send was given.
	void (*send)(void *context, unsigned base, const struct endpoint_transport *destination,
		const uint8_t *data, size_t size);
	void (*event)(void *context, const struct agent_event *event);
	// The time of the next agent_tick is another one now (ms or ENDPOINT_NEVER). NULL: the
	// owner asks agent_deadline.
	void (*deadline)(void *context, uint64_t at);
};

struct agent;

// -EINVAL: credentials that are none (RFC 8839 5.4), or a server address; -ENOMEM. Calls
// sodium_init.
int agent_create(
	struct agent **out, const struct agent_config *config, const struct agent_output *output);
// Ends at once, without events, and wipes. NULL is fine.
void agent_free(struct agent *agent);

// Printable credentials of 8 and 32 characters from 32 secret random bytes (of the session, one
// secret for each direction; or just random).
void agent_credentials_make(struct agent_credentials *out, const uint8_t secret[static 32]);
// The peer's; checks begin with them. -EINVAL; -EALREADY: they are known and others.
int agent_remote_credentials(
	struct agent *agent, const struct agent_credentials *remote, uint64_t now);

// ---- what we have ----

// A socket (or allocation) of this family, 4 or 6. Servers are asked from it at once. -EINVAL: no
// such number or family; -EEXIST: the number is in use.
int agent_base_add(struct agent *agent, unsigned base, uint8_t family, enum agent_base_kind kind,
	uint64_t now);
// Its pairs are lost, its candidates gone. -ENOENT.
int agent_base_remove(struct agent *agent, unsigned base, uint64_t now);
// How often something is sent on each valid pair of the base, and to the servers from it, so that
// NATs between keep their mappings; at most AGENT_CONSENT_CHECK_MS for pairs anyway. -ENOENT.
int agent_base_keepalive(struct agent *agent, unsigned base, uint32_t keepalive_ms, uint64_t now);

// A local candidate of a base: an address of its own (AGENT_HOST, of that class), one that somebody
// told (AGENT_SERVER_REFLEXIVE: the relay has seen it; AGENT_MAPPED), or AGENT_RELAYED for
// AGENT_TURN bases. Known ones are no failure. -ENOENT: no such base; -EINVAL: no address for
// candidates, other family, or type; -ENOSPC: the caps are reached; -EPERM: relay_only.
int agent_candidate_add(struct agent *agent, unsigned base, enum agent_candidate_type type,
	enum agent_class class, const struct endpoint_transport *transport, uint64_t now);
// -ENOENT. Pairs of the base stay.
int agent_candidate_remove(struct agent *agent, unsigned base,
	const struct endpoint_transport *transport, uint64_t now);

// Routes or networks below the bases may be others now: servers are asked anew, valid pairs checked
// at once, and those that failed tried again. (A socket that is gone: agent_base_remove.)
void agent_network_changed(struct agent *agent, uint64_t now);
// Nothing has changed here, but a pair may work that did not: those that failed are tried again, at
// the peer as well, which reads of a newer generation.
void agent_search_again(struct agent *agent, uint64_t now);

// The local candidates, best first; returns how many (at most AGENT_LOCAL_MAX) and their
// generation, which grows with each change of the list.
size_t agent_local(const struct agent *agent, struct agent_candidate out[static AGENT_LOCAL_MAX],
	uint32_t *generation);

// ---- what the peer has ----

// The whole list of a generation takes the place of the older one. Pairs with addresses that are in
// both go on as they are; valid pairs with others go on until their consent ends; the rest ends. Of
// more than AGENT_REMOTE_MAX the best are taken; addresses nobody can be at (multicast, loopback,
// link-local, other families' forms) are skipped and counted. -EALREADY: not newer than the last.
int agent_remote_set(struct agent *agent, uint32_t generation,
	const struct agent_candidate *candidates, size_t count, uint64_t now);
// One more (trickled). Known ones are no failure. -ENOSPC: AGENT_REMOTE_MAX; -EINVAL: no address
// for candidates.
int agent_remote_add(struct agent *agent, const struct agent_candidate *candidate, uint64_t now);
// Data that is authentic, the peer's, and no replay came to this base from there: where it has no
// valid pair that is as good as a check from there (the peer's NAT has given it another address).
// Returns the pair, valid or not yet; 0: none (no room, or relay_only).
uint32_t agent_heard(
	struct agent *agent, unsigned base, const struct endpoint_transport *source, uint64_t now);

// ---- datagrams and time ----

// A datagram came to a base. True: it was the agent's (whether it was good or not). False: not
// STUN, another method, an answer to nothing the agent asked, or a request for somebody else's
// fragment: try others. data may be anything, of any size.
bool agent_receive(struct agent *agent, unsigned base, const struct endpoint_transport *source,
	const uint8_t *data, size_t size, uint64_t now);
// Does what is due and returns the next deadline (ms or ENDPOINT_NEVER). Calling too often is fine.
uint64_t agent_tick(struct agent *agent, uint64_t now);
uint64_t agent_deadline(const struct agent *agent);

// ---- pairs ----

struct agent_pair_info {
	uint32_t pair;
	unsigned base;
	enum agent_base_kind base_kind;
	enum agent_candidate_type local_type, remote_type;
	struct endpoint_transport local; // as the peer sees it; family 0 until confirmed
	struct endpoint_transport remote;
	uint64_t priority;    // RFC 8445 6.1.2.3
	uint32_t rtt_ms;      // smoothed; 0 may be a very short one: see confirmed
	uint64_t answered_at; // when the last check of ours was answered
	bool valid, confirmed, nominated;
};

// -ENOENT.
int agent_pair_info(const struct agent *agent, uint32_t pair, struct agent_pair_info *out);
// The valid pairs, best first by priority (direct before relayed); returns how many.
size_t agent_pairs(const struct agent *agent, uint32_t *out, size_t max);
// The valid pair that a datagram came by; 0: none.
uint32_t agent_pair_of(
	const struct agent *agent, unsigned base, const struct endpoint_transport *source);
// Sends data of the owner's on a valid pair; whoever sends without it makes a lie of what is said
// above. -ENOENT: it is none (any more); -EAGAIN: not confirmed, and AGENT_UNCONFIRMED_SENDS were
// sent.
int agent_pair_send(
	struct agent *agent, uint32_t pair, const void *data, size_t size, uint64_t now);
// Checks a valid pair now rather than when it is due (at most every 20 ms): the owner doubts it, or
// wants to know the round trip. -ENOENT.
int agent_pair_check(struct agent *agent, uint32_t pair, uint64_t now);

// ---- candidates as bytes and text ----

// The list as it is signalled between two of ours (to be sealed by the caller):
//     0  1  version 1
//     1  1  count
//     2  4  generation, big endian
//     then for each: 1 type (enum agent_candidate_type) | 0x80 for IPv6; 4 priority, big endian; 2
//     port; 4 or 16 address
// out: AGENT_CANDIDATES_SIZE bytes are always enough. Returns the size. -EINVAL: more than
// AGENT_LOCAL_MAX, or something no reader would take; -EMSGSIZE: size is too small.
int agent_candidates_write(uint32_t generation, const struct agent_candidate *candidates,
	size_t count, uint8_t *out, size_t size);
// Returns how many candidates there are (at most AGENT_REMOTE_MAX). -EBADMSG: anything that
// agent_candidates_write does not make, bytes behind the list included.
int agent_candidates_read(const uint8_t *data, size_t size,
	struct agent_candidate out[static AGENT_REMOTE_MAX], uint32_t *generation);

// RFC 8839 5.1: "candidate:FOUNDATION 1 UDP PRIORITY ADDRESS PORT typ TYPE ...", without "a=" and
// end of line. out: AGENT_CANDIDATE_TEXT_MAX bytes. Returns the length.
size_t agent_candidate_format(
	const struct agent_candidate *candidate, char out[static AGENT_CANDIDATE_TEXT_MAX]);
// With or without "a=", and blanks at the end. 0; -EBADMSG: no candidate; -ENOTSUP: one that is not
// for us (TCP, another component than 1, a name instead of an address): to be skipped.
int agent_candidate_parse(const char *text, size_t length, struct agent_candidate *out);

// ---- for showing and tests ----

struct agent_usage {
	unsigned bases, local, remote; // remote: with peer-reflexive ones
	unsigned pairs, valid, confirmed;
	bool gathered, controlling, exhausted;
	uint32_t nominated; // pair; 0: none
};
void agent_usage(const struct agent *agent, struct agent_usage *out);

// Counters without identity.
#define AGENT_COUNTERS(X)                                                                          \
	X(checks)            /* sent, all kinds */                                                 \
	X(checks_unanswered) /* of these, to addresses that had not answered */                    \
	X(checks_triggered)  /* of these, because one came */                                      \
	X(checks_consent)    /* of these, on valid pairs */                                        \
	X(answers)           /* of ours, to checks of the peer */                                  \
	X(answered)          /* checks of ours that were answered */                               \
	X(server_requests)                                                                         \
	X(server_answers)                                                                          \
	X(role_conflicts)                                                                          \
	X(held_pair)           /* not sent: AGENT_CHECKS_PER_PAIR */                               \
	X(held_host)           /* not sent: AGENT_CHECKS_PER_HOST */                               \
	X(held_budget)         /* not sent now: AGENT_CHECKS_BURST */                              \
	X(ignored_malformed)   /* STUN-like, and not STUN */                                       \
	X(ignored_username)    /* for another agent, or not from our peer */                       \
	X(ignored_integrity)   /* not under the key, or not under any */                           \
	X(ignored_fingerprint) /* missing */                                                       \
	X(ignored_incomplete)  /* a check without PRIORITY or role, or (native) sequence */        \
	X(ignored_replay)                                                                          \
	X(ignored_transaction) /* answers nothing we asked */                                      \
	X(ignored_source)      /* the answer comes from elsewhere, or to another base */           \
	X(ignored_error)       /* an error answer we do not know */                                \
	X(ignored_relay_only)  /* came to a base that does not exist for others */                 \
	X(ignored_rate)        /* more checks than are answered */                                 \
	X(ignored_full)        /* no room for another peer-reflexive candidate or pair */          \
	X(skipped_address)     /* remote candidates nobody can be at */                            \
	X(skipped_cap)         /* remote candidates above AGENT_REMOTE_MAX */
#define AGENT_ENUM_COUNTER(name) AGENT_COUNTER_##name,
enum agent_counter { AGENT_COUNTERS(AGENT_ENUM_COUNTER) AGENT_COUNTER_COUNT };
// Name of a counter, static; NULL: no such counter.
const char *agent_counter_name(enum agent_counter counter);
uint64_t agent_counter(const struct agent *agent, enum agent_counter counter);
