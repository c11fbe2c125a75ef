// SPDX-License-Identifier: BSD-3-Clause
// The inside of the endpoint core: what its files share. One file, one job:
//
//     endpoint.c   entering and leaving, deadlines, counters        receive.c  dispatch of messages
//     path.c       contact with the relay: which of its addresses, cookie, keepalive
//     epochs.c     which epochs' addresses are wanted
//     lease.c      one address: REGISTER, renewal, withdrawal      lease_answer.c  what comes back
//     admission.c  puzzles and tokens
//     message.c    data by address
//     call.c       the table of calls and what all states share
//     call_open.c  the caller until the call is open       call_invite.c  the callee likewise
//     call_live.c  an open call: data, keepalive, path check, end
//
// Invariants:
// - Time stands still within one entry (endpoint->now).
// - An event may call back into the core. Whoever has told one returns at once or looks again.
//   A call that ended is marked and freed when the outermost entry leaves, so pointers stay good.
// - Whatever waits has a time in some `due`, `*_at` or `*_until`, which core_deadline looks at.
#pragma once

#include "endpoint/endpoint.h"
#include "endpoint/recent.h"
#include "endpoint/request.h"
#include "endpoint/seal.h"

#include "lib/crypto/blinding.h"
#include "lib/wire/native.h"

enum {
	CORE_LEASES_MAX = 4,
	CORE_COOKIE_CONTROL_MS = 22 * 1000, // NATIVE_CONTROL_COOKIE_S and a margin for the way
	CORE_COOKIE_DATA_MS = 110 * 1000,
	CORE_KEEPALIVE_S = 20, // until the relay says
	CORE_REST_MS = 30 * 1000,
	CORE_BINDING_SIZE = NATIVE_OPEN_ID_SIZE + NATIVE_ADDRESS_SIZE,
};

// ---- path.c ----

enum path_state {
	PATH_IDLE,    // not wanted
	PATH_ASKING,  // SOLICIT is on its way
	PATH_UP,      // there is a cookie
	PATH_STOPPED, // trying again cannot help
};

struct path {
	enum path_state state;
	size_t relay;    // of config.relays
	unsigned rounds; // over all relay addresses without an answer
	struct request solicit, keepalive;
	uint64_t keepalive_at;
	bool has_cookie, has_observed, has_relay_key;
	uint8_t cookie[NATIVE_COOKIE_SIZE], previous[NATIVE_COOKIE_SIZE];
	uint64_t cookie_at;
	struct endpoint_transport observed; // ours, as the relay last told
	uint64_t moved_at;
	uint8_t relay_key[NATIVE_KEY_SIZE];
	unsigned keepalive_s, payload_max, round_trip_ms;
	uint32_t lease_s;              // what the relay grants when nothing cuts it
	uint8_t admission, difficulty; // of the last CHALLENGE
};

void core_path_start(struct endpoint *e);
void core_path_stop(struct endpoint *e, enum path_state state);
void core_path_tick(struct endpoint *e);
uint64_t core_path_deadline(const struct endpoint *e);
// A newer cookie is needed: asks for one, unless that is being done.
void core_path_ask(struct endpoint *e);
// Whether there is a cookie young enough.
bool core_path_fresh(const struct endpoint *e, uint64_t longest_ms);
// A request that several seconds did not bring an answer to: makes sure that the relay is there.
void core_path_doubt(struct endpoint *e);
// The relay told our transport address: another one than before means that leases lead astray.
void core_path_observed(struct endpoint *e, const struct net_endpoint *observed);
void core_path_cookie(struct endpoint *e, const uint8_t cookie[static NATIVE_COOKIE_SIZE]);
// What REGISTERED says of the relay. False: it is not the one we want.
bool core_path_learn(struct endpoint *e, const struct native_registered *m);
void core_path_changed(struct endpoint *e);
bool core_path_challenge(struct endpoint *e, const struct native_challenge *m);
bool core_path_alive(struct endpoint *e, const struct native_alive *m);
bool core_path_unsupported(struct endpoint *e, const struct native_unsupported *m);
// A request was challenged: whether it had shown a young cookie, so that the relay sees us
// elsewhere now, or is a new one.
bool core_path_suspicious(const struct endpoint *e, const struct request *request);
// The cookie to show, or zeros.
const uint8_t *core_path_show(const struct endpoint *e);
void core_path_measure(struct endpoint *e, const struct request *request);

// ---- lease.c, admission.c, epochs.c ----

enum lease_state {
	LEASE_FREE,
	LEASE_WAITING, // for a newer cookie
	LEASE_SOLVING, // a puzzle
	LEASE_ASKING,  // REGISTER is on its way
	LEASE_HELD,
	LEASE_RESTING, // refused, until rest_until
	LEASE_LEAVING, // withdrawal is on its way
};

// The address of one epoch. While it is renewed `held` stays true.
struct lease {
	enum lease_state state;
	uint32_t epoch;
	bool held; // the relay has it, as far as we know
	bool has_token, has_cookie;
	uint8_t device[NATIVE_DEVICE_SIZE], address[NATIVE_ADDRESS_SIZE], key[NATIVE_KEY_SIZE];
	struct blinding_secret secret;
	uint8_t cookie[NATIVE_COOKIE_SIZE]; // of the last REGISTER
	uint64_t held_until, renew_at, rest_until;
	struct request request;
	uint8_t message[240]; // REGISTER as it is repeated
	size_t message_size;
	uint64_t cookie_at;
	unsigned failures;   // refusals in a row that another try may mend
	unsigned challenges; // in a row
	// admission.c
	uint8_t difficulty; // demanded by REFUSED; 0: what CHALLENGE says
	uint8_t solution[NATIVE_SOLUTION_SIZE];
	struct endpoint_token token;
};

// Registers now, or renews or moves what is held.
void core_lease_want(struct endpoint *e, struct lease *lease);
void core_lease_proceed(struct endpoint *e, struct lease *lease); // as soon as there is a cookie
void core_lease_make(struct endpoint *e, struct lease *lease, uint32_t epoch);
void core_lease_drop(struct lease *lease); // wipes, tells nobody
void core_lease_leave(struct endpoint *e, struct lease *lease);
// Sends REGISTER with lease->cookie and what admission has been found (solution: NULL or 8 bytes).
void core_lease_ask(struct endpoint *e, struct lease *lease, const uint8_t *solution);
// Refused: tries again after about rest_ms, and tells.
void core_lease_refuse(struct endpoint *e, struct lease *lease, enum endpoint_refusal reason,
	uint32_t detail, uint64_t rest_ms);
void core_leases_cookie(struct endpoint *e);         // a newer one is there
void core_leases_forget_cookies(struct endpoint *e); // those shown were not good
void core_leases_want(struct endpoint *e);           // all, anew
void core_leases_tick(struct endpoint *e);
uint64_t core_leases_deadline(const struct endpoint *e);
bool core_lease_challenge(struct endpoint *e, const struct native_challenge *m);
bool core_lease_registered(struct endpoint *e, const struct native_registered *m);
bool core_lease_refused(struct endpoint *e, const struct native_refused *m);
struct lease *core_lease_of_epoch(struct endpoint *e, uint32_t epoch);
struct lease *core_lease_of_address(struct endpoint *e, const uint8_t address[static 32]);
// The one to show as a caller: of the current epoch, or any that is held; NULL: none.
struct lease *core_lease_current(struct endpoint *e);

// Finds what the relay wants to see and sends REGISTER, now or after a while.
void core_admission_begin(struct endpoint *e, struct lease *lease);
void core_admission_tick(struct endpoint *e, struct lease *lease); // a slice of the puzzle
// Over the first bytes of a REGISTER with lease->token.
void core_admission_token_mac(const struct lease *lease, uint8_t mac[static NATIVE_TOKEN_MAC_SIZE],
	const uint8_t *message, size_t covered);

uint32_t core_epoch(const struct endpoint *e);
void core_epochs_begin(struct endpoint *e);
void core_epochs_tick(struct endpoint *e); // makes and drops leases
uint64_t core_epochs_deadline(const struct endpoint *e);

// ---- message.c ----

void core_message_receive(struct endpoint *e, const uint8_t *data, size_t size);

// ---- calls ----

enum call_state {
	CALL_WAITING,   // caller: for the registration
	CALL_OPENING,   // caller: OPEN is on its way
	CALL_CANCELLED, // caller: closed before it was open; a late OPENED is closed
	CALL_INVITED,   // callee: to be accepted or declined
	CALL_ACCEPTING, // callee: ACCEPT is on its way
	CALL_DECLINING, // callee: likewise, with the other decision
	CALL_OPEN,
	CALL_CLOSING, // CLOSE is on its way
	CALL_DEAD,    // to be freed
};

// What is needed only until a call is open, and half a minute longer.
struct call_setup {
	uint8_t address[NATIVE_ADDRESS_SIZE];      // ours
	uint8_t peer_address[NATIVE_ADDRESS_SIZE]; // caller: called
	uint8_t ephemeral[32];                     // X25519, public: shown to the relay
	uint8_t ticket[NATIVE_TICKET_SIZE];
	struct seal_handshake handshake;
	uint8_t offer[ENDPOINT_OFFER_MAX];
	size_t offer_size;
	uint8_t sealed[NATIVE_SEALED_MAX];
	size_t sealed_size;
	uint32_t epoch;       // caller: of peer_address
	uint8_t epochs_tried; // caller: bits 0 to 2: own, before, after
	uint8_t refusals;
	bool has_path_key;
	uint64_t wipe_at; // of an open call
};

struct call {
	uint64_t id;
	enum call_state state;
	bool caller;
	bool bare; // data is not ours to seal
	struct endpoint_peer peer;
	uint8_t open_id[NATIVE_OPEN_ID_SIZE];
	struct call_setup *setup;
	struct request request; // OPEN, ACCEPT, CLOSE
	uint64_t give_up_at;
	uint64_t rest_until; // OPEN was refused for a while

	// open
	struct native_handle handle;
	uint8_t path_key[NATIVE_PATH_KEY_SIZE];
	unsigned keepalive_s, lifetime_s;
	uint64_t keepalive_at, alive_until;
	struct request keepalive, check;
	uint64_t check_until;
	uint8_t token[NATIVE_PATH_TOKEN_SIZE];
	struct seal_session session;
};

struct call *core_call_make(struct endpoint *e, int *error);
struct call *core_call_find(struct endpoint *e, uint64_t id);
struct call *core_call_of_handle(struct endpoint *e, struct native_handle handle);
struct call *core_call_of_open_id(
	struct endpoint *e, const uint8_t open_id[static 16], bool caller);
void core_call_die(struct call *call);
// Forgotten by the user while a request is on its way; a late OPENED is closed.
void core_call_cancel(struct endpoint *e, struct call *call);
// What an offer is bound to.
void core_call_binding(uint8_t binding[static CORE_BINDING_SIZE], const uint8_t open_id[static 16],
	const uint8_t callee[static 32]);
// A new ephemeral key for the relay and our path key from it. -EBADMSG: the relay's key is none.
int core_call_path_key(struct endpoint *e, struct call *call);
// Tells ENDPOINT_ENDED and marks it dead.
void core_call_end(struct endpoint *e, struct call *call, enum endpoint_end why, uint8_t reason,
	uint32_t detail);
void core_call_wipe_setup(struct call *call);
void core_calls_reap(struct endpoint *e, bool all);
void core_calls_tick(struct endpoint *e);
uint64_t core_calls_deadline(const struct endpoint *e);
void core_calls_registered(struct endpoint *e); // a lease was made: who waits goes on
void core_calls_path(struct endpoint *e);       // all open ones show themselves at once
bool core_call_challenge(struct endpoint *e, const struct native_challenge *m);
bool core_call_refused(struct endpoint *e, const struct native_refused *m);

// call_open.c
void core_open_tick(struct endpoint *e, struct call *call);
void core_open_start(struct endpoint *e, struct call *call);
void core_open_refused(struct endpoint *e, struct call *call, const struct native_refused *m);
void core_open_opened(struct endpoint *e, struct call *call, const struct native_opened *m);
// call_invite.c
void core_invite_receive(struct endpoint *e, const struct native_invite *m);
void core_invite_repeat(struct endpoint *e, struct call *call); // ACCEPT of an open call
void core_invite_tick(struct endpoint *e, struct call *call);
void core_invite_refused(struct endpoint *e, struct call *call, const struct native_refused *m);
void core_invite_opened(struct endpoint *e, struct call *call, const struct native_opened *m);
// call_live.c
void core_live_begin(struct endpoint *e, struct call *call, const struct native_opened *m);
void core_live_tick(struct endpoint *e, struct call *call);
void core_live_close(struct endpoint *e, struct call *call);
void core_live_data(struct endpoint *e, const uint8_t *data, size_t size);
bool core_live_alive(struct endpoint *e, const struct native_alive *m);
void core_live_path_challenge(struct endpoint *e, const struct native_path_challenge *m);
void core_live_closed(struct endpoint *e, const struct native_closed *m);

// ---- endpoint.c, receive.c ----

struct endpoint {
	struct endpoint_config config; // without the seed
	struct endpoint_output output;
	struct endpoint_time now;
	unsigned depth; // of entries
	uint64_t deadline_told;
	bool connecting, registering, withdrawing;
	uint64_t withdrawn_at; // at the latest

	struct blinding_secret secret;
	struct seal_identity identity;
	struct path path;
	struct lease leases[CORE_LEASES_MAX];
	uint32_t epoch;         // at the last look
	uint64_t next_epoch_s;  // wall time at which the next address is registered
	bool next_epoch_wanted; // since then
	struct call *calls[ENDPOINT_CALLS_MAX];
	uint64_t last_call;
	struct recent recent;
	uint64_t counters[ENDPOINT_COUNTER_COUNT];
};

void core_enter(struct endpoint *e, struct endpoint_time now);
void core_leave(struct endpoint *e);
void core_send(struct endpoint *e, const uint8_t *data, size_t size);
void core_event(struct endpoint *e, const struct endpoint_event *event);
void core_random(struct endpoint *e, void *out, size_t size);
// 0 to below - 1, evenly enough for timers. below is not 0.
uint64_t core_random_below(struct endpoint *e, uint64_t below);
// ms, spread by an eighth in both directions.
uint64_t core_jitter(struct endpoint *e, uint64_t ms);
void core_count(struct endpoint *e, enum endpoint_counter counter);
void core_withdrawn_check(struct endpoint *e);
void core_receive_control(struct endpoint *e, const uint8_t *data, size_t size);

static inline uint64_t core_earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline bool core_due(const struct endpoint *e, uint64_t at)
{
	return at <= e->now.monotonic_ms;
}
