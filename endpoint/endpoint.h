// SPDX-License-Identifier: BSD-3-Clause
// libendpoint: the client of a Blindrelay relay, without any I/O. It registers the addresses of a
// delivery key and keeps them, over epochs and changes of network; sends to contacts; opens,
// accepts and keeps calls. The wire format is lib/wire/README.md.
//
// Datagrams, the time and the user's wishes go in by functions. Datagrams, events and the time of
// the next call come out by struct endpoint_output. endpoint/driver.h runs it on a libuv loop with
// real sockets; tests and simulations run it on a virtual clock, from a seed.
//
//     endpoint_create -> endpoint_register -> ENDPOINT_REGISTERED
//     endpoint_open   -> ENDPOINT_OPENED,  then endpoint_send and ENDPOINT_DATA, endpoint_close
//     ENDPOINT_INVITE -> endpoint_accept -> ENDPOINT_OPENED, the same from there
//
// Rules for all functions:
// - One thread at a time for one endpoint; different endpoints share nothing.
// - Callbacks come from inside the functions that take `now`. In a callback every function may be
//   called except endpoint_free and endpoint_receive.
// - Pointers in events and to data of send are good until the callback returns. What is passed in
//   is copied; nothing is kept.
// - Times never go back within one endpoint as far as monotonic_ms is concerned; wall_s may jump.
// - Failures are 0 or a negative errno. Bad datagrams are no failures: they are counted by reason
//   and otherwise change nothing.
// - Numbers are in host order, keys and addresses are byte strings.
//
// Memory is bounded: some KiB, and up to 4 KiB for each call (at most ENDPOINT_CALLS_MAX). Secrets
// are wiped when they are not needed any more.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
	ENDPOINT_KEY_SIZE = 32,       // namespace ids, delivery keys, seeds, relay keys
	ENDPOINT_ADDRESS_SIZE = 32,   // of one epoch
	ENDPOINT_RELAYS_MAX = 4,      // transport addresses of the relay
	ENDPOINT_CALLS_MAX = 64,      // at once, in any state
	ENDPOINT_DATAGRAM_MAX = 1232, // what this library sends at most
	ENDPOINT_DATA_MAX = 1200,     // bytes of endpoint_send
	ENDPOINT_BARE_MAX = 1224,     // the same of a bare call
	ENDPOINT_OFFER_MAX = 756,     // bytes sealed into endpoint_open
	ENDPOINT_ANSWER_MAX = 836,    // bytes sealed into endpoint_accept
	ENDPOINT_MESSAGE_MAX = 1055,  // bytes of endpoint_send_to_peer
	ENDPOINT_RAW_MAX = 1184,      // bytes of endpoint_send_to_address
};

#define ENDPOINT_NEVER UINT64_MAX // a deadline that never comes

struct endpoint_time {
	uint64_t monotonic_ms; // any origin
	uint64_t wall_s;       // since 1970 UTC; decides the epoch
};

// family: 4 or 6. address: network order, an IPv4 address is the first four bytes, the rest zero.
// port: host order.
struct endpoint_transport {
	uint8_t family;
	uint8_t address[16];
	uint16_t port;
};

// Who can be reached: what of a contact the core needs (endpoint/contact.h has the whole one).
struct endpoint_peer {
	uint8_t namespace_id[ENDPOINT_KEY_SIZE];
	uint8_t delivery_key[ENDPOINT_KEY_SIZE]; // Ed25519, public
};

// A token of the relay's operator, by which a lease is bought. nonce is the VOPRF's input, output
// its result (RFC 9497; lib/crypto/voprf.h). Spent with the first registration that is granted.
struct endpoint_token {
	uint32_t key_id;
	uint8_t nonce[32];
	uint8_t output[64];
};

struct endpoint_config {
	uint8_t namespace_id[ENDPOINT_KEY_SIZE];
	uint8_t delivery_seed[ENDPOINT_KEY_SIZE]; // RFC 8032 private key; expanded, not kept

	// The relay's, by preference; another one is tried when one does not answer. All are of one
	// relay: what is registered is known under each of them.
	struct endpoint_transport relays[ENDPOINT_RELAYS_MAX];
	size_t relay_count;
	// A relay that shows another X25519 key is not used. Unpinned, the first key shown counts
	// until the relay shows another one in an answer to a registration.
	bool relay_key_pinned;
	uint8_t relay_key[ENDPOINT_KEY_SIZE];

	uint32_t epoch_seconds;   // 0: 3600. The same for all who want to reach each other
	uint32_t lease_seconds;   // asked for; 0: 600. The relay may grant less
	uint32_t open_timeout_ms; // how long endpoint_open waits for an answer; 0: 30000
	uint8_t puzzle_bits_max;  // harder ones are refused; 0: 24
	uint32_t puzzle_slice;    // tries in one call of endpoint_tick; 0: 2048 (about 2 ms)

	// Fills *out and returns true when a relay wants a token for a new lease; false: there is
	// none now (ENDPOINT_REFUSED follows; endpoint_register tries again). Wiped after use. Must
	// not call back.
	// NULL: there are never any.
	bool (*token)(void *context, struct endpoint_token *out);
	void *token_context;
	// Random bytes for everything: ids, ephemeral keys, jitter. NULL: libsodium's.
	void (*random)(void *context, void *out, size_t size);
	void *random_context;
};

enum endpoint_event_type {
	// A cookie is there: endpoint_send_to_* work. connected.relay: index into config.relays.
	ENDPOINT_CONNECTED = 1,
	// No relay address has answered for a whole round. It goes on trying, ever more slowly.
	ENDPOINT_UNREACHABLE,
	// A lease was made, renewed, or moved to the transport address that the relay now sees.
	ENDPOINT_REGISTERED,
	// A registration is refused for now: refused. It is tried again after a while, except where
	// trying cannot help (see enum endpoint_refusal).
	ENDPOINT_REFUSED,
	// endpoint_withdraw is done.
	ENDPOINT_WITHDRAWN,
	// Data by address: message, data.
	ENDPOINT_MESSAGE,
	// Somebody calls: call, invite, data (what was given to endpoint_open).
	ENDPOINT_INVITE,
	// A call is open at both ends: call, data (the caller's side: what was given to
	// endpoint_accept).
	ENDPOINT_OPENED,
	// Data of a call: call, data.
	ENDPOINT_DATA,
	// A call has ended; its id means nothing any more: call, ended.
	ENDPOINT_ENDED,
	// The relay has found this end of a call at a new transport address: call. What was sent
	// from there before (in the last round trip) did not reach the peer, send it again if it
	// matters.
	ENDPOINT_PATH_CHANGED,
};

// Why a registration is refused. Those up to ENDPOINT_REFUSED_LAST are the relay's words (the
// numbers of lib/wire/README.md, "Reasons of REFUSED").
enum endpoint_refusal {
	ENDPOINT_REFUSED_EPOCH = 2,   // the clocks disagree; detail: the relay's epoch
	ENDPOINT_REFUSED_DEVICES = 6, // as many devices as may be have this address
	ENDPOINT_REFUSED_PUZZLE = 7,  // detail: bits
	ENDPOINT_REFUSED_TOKEN_WANTED = 8,
	ENDPOINT_REFUSED_TOKEN_BAD = 9,
	ENDPOINT_REFUSED_TOKEN_SPENT = 10,
	ENDPOINT_REFUSED_FULL = 11,
	ENDPOINT_REFUSED_BUSY = 12, // detail: ms
	ENDPOINT_REFUSED_DRAINING = 13,
	ENDPOINT_REFUSED_LAST = 99,
	// Not tried again until endpoint_register is called:
	ENDPOINT_REFUSED_EPOCH_SECONDS, // the relay has other epochs; detail: its seconds
	ENDPOINT_REFUSED_RELAY_KEY,     // not the pinned one
	ENDPOINT_REFUSED_VERSION,       // the relay speaks other versions
};

// Why a call has ended.
enum endpoint_end {
	ENDPOINT_END_BY_PEER = 1,
	ENDPOINT_END_BY_SELF,
	ENDPOINT_END_PEER_SILENT, // the peer is gone without a word
	ENDPOINT_END_DRAINING,    // the relay is being emptied
	ENDPOINT_END_SELF_SILENT, // the relay has not heard of us for too long
	ENDPOINT_END_LOST,        // the relay does not know the call any more (it was restarted)
	ENDPOINT_END_NO_ANSWER,   // nobody accepted or declined in time
	ENDPOINT_END_DECLINED,
	ENDPOINT_END_NO_ADDRESS, // the peer is not registered at this relay
	ENDPOINT_END_TAKEN,      // another device of ours has accepted
	ENDPOINT_END_NOT_SEALED, // answered by somebody who is not the peer
	ENDPOINT_END_CANCELLED,  // the caller gave up before we accepted
	ENDPOINT_END_REFUSED,    // by the relay: ended.reason, ended.detail as in REFUSED
};

struct endpoint_event {
	enum endpoint_event_type type;
	uint64_t call;       // id; 0: none
	const uint8_t *data; // borrowed
	size_t size;
	union {
		struct {
			size_t relay;
		} connected;
		struct {
			uint32_t epoch;
			const uint8_t *address;             // 32
			uint32_t lifetime;                  // seconds granted
			struct endpoint_transport observed; // our own, as the relay sees it
			const uint8_t *relay_key;           // 32
			uint8_t devices;                    // that hold the address now
			bool renewed;                       // the lease was there before
		} registered;
		struct {
			enum endpoint_refusal reason;
			uint32_t detail;
			uint32_t epoch; // of the lease
		} refused;
		struct {
			const uint8_t *address; // 32, ours
			// From endpoint_send_to_peer, and opened; `from` is proven. Otherwise data
			// is what somebody sent to the address, unproven, and from is NULL.
			bool sealed;
			const struct endpoint_peer *from;
		} message;
		struct {
			const struct endpoint_peer *caller; // delivery_key is proven
		} invite;
		struct {
			enum endpoint_end why;
			uint8_t reason;
			uint32_t detail;
		} ended;
	};
};

struct endpoint_output {
	void *context;
	// A datagram to the relay. Must not call back.
	void (*send)(void *context, const struct endpoint_transport *destination,
		const uint8_t *data, size_t size);
	void (*event)(void *context, const struct endpoint_event *event);
	// The time of the next endpoint_tick is another one now (monotonic ms or ENDPOINT_NEVER).
	// Must not call back. NULL: the caller asks endpoint_deadline.
	void (*deadline)(void *context, uint64_t monotonic_ms);
};

struct endpoint;

// Makes an endpoint that does nothing yet. -EINVAL: no relay, a relay address that is none, or
// epoch_seconds below 2; -ENOMEM. Calls sodium_init.
int endpoint_create(struct endpoint **out, const struct endpoint_config *config,
	const struct endpoint_output *output);
// Ends at once, without telling anybody, and wipes. NULL is fine.
void endpoint_free(struct endpoint *endpoint);

// Our own public half: whoever has it can send to us and call us.
void endpoint_self(const struct endpoint *endpoint, struct endpoint_peer *out);

// A datagram came in. What comes from elsewhere than the relay is counted and ignored. data may be
// anything, of any size.
void endpoint_receive(struct endpoint *endpoint, const struct endpoint_transport *source,
	const uint8_t *data, size_t size, struct endpoint_time now);
// Does what is due and returns the next deadline (monotonic ms; in the past while a puzzle is being
// solved: call again as soon as input was looked after). Calling too early is harmless.
uint64_t endpoint_tick(struct endpoint *endpoint, struct endpoint_time now);
// When endpoint_tick is wanted.
uint64_t endpoint_deadline(const struct endpoint *endpoint);

// Makes contact with the relay and stays in contact, without registering: enough to send to
// others' addresses. Again is harmless. ENDPOINT_CONNECTED or ENDPOINT_UNREACHABLE follow.
void endpoint_connect(struct endpoint *endpoint, struct endpoint_time now);
// Registers the address of the epoch, and from now on of each epoch in time: the next one's in the
// last quarter, at a random moment, and each until the end of the epoch after it, so that peers
// whose clocks differ find us. After a refusal: tries again now. ENDPOINT_REGISTERED follows for
// each lease.
void endpoint_register(struct endpoint *endpoint, struct endpoint_time now);
// Closes all calls (without ENDPOINT_ENDED), gives the leases back and the contact up.
// ENDPOINT_WITHDRAWN follows when the relay has confirmed, at the latest after two seconds.
void endpoint_withdraw(struct endpoint *endpoint, struct endpoint_time now);
// The host has other addresses or another network now: everything is proven anew at once, instead
// of when the next packet shows it.
void endpoint_network_changed(struct endpoint *endpoint, struct endpoint_time now);

// Sends bytes to a 32-byte address of some epoch as they are: sealing is the caller's task.
// -ENOTCONN: no contact with the relay yet (ENDPOINT_CONNECTED tells when); -EMSGSIZE: more than
// ENDPOINT_RAW_MAX, or than this relay carries. Like UDP: it may get lost.
int endpoint_send_to_address(struct endpoint *endpoint,
	const uint8_t address[ENDPOINT_ADDRESS_SIZE], const void *data, size_t size,
	struct endpoint_time now);
// Seals for a peer, with our own identity inside, and sends to its address of the current epoch.
// Errors as above with ENDPOINT_MESSAGE_MAX; -EINVAL: delivery_key is no key. It may get lost; it
// arrives at most once.
int endpoint_send_to_peer(struct endpoint *endpoint, const struct endpoint_peer *peer,
	const void *data, size_t size, struct endpoint_time now);
// The address of a peer in an epoch. -EINVAL: delivery_key is no key.
int endpoint_peer_address(
	const struct endpoint_peer *peer, uint32_t epoch, uint8_t address[ENDPOINT_ADDRESS_SIZE]);

// Calls a peer; the call waits for the registration where necessary (endpoint_register must have
// been called). offer: what the callee sees before it decides, sealed for it alone, with our
// identity. *call: its id, never used again. ENDPOINT_OPENED or ENDPOINT_ENDED follow, not from
// inside. -EMSGSIZE: more than ENDPOINT_OFFER_MAX; -EINVAL: delivery_key is no key; -ENOTCONN: not
// registering; -EMFILE: ENDPOINT_CALLS_MAX calls; -ENOMEM.
int endpoint_open(struct endpoint *endpoint, const struct endpoint_peer *peer, const void *offer,
	size_t size, uint64_t *call, struct endpoint_time now);
// Accepts an invitation. answer: what the caller gets, sealed for it alone. ENDPOINT_OPENED or
// ENDPOINT_ENDED follow. -ENOENT: no such call, or it is no (more an) open invitation; -EMSGSIZE:
// more than ENDPOINT_ANSWER_MAX. An invitation that is left alone ends with ENDPOINT_END_CANCELLED
// once the caller stops asking.
int endpoint_accept(struct endpoint *endpoint, uint64_t call, const void *answer, size_t size,
	struct endpoint_time now);
// Declines it; the caller is told, no event follows here. -ENOENT as above.
int endpoint_decline(struct endpoint *endpoint, uint64_t call, struct endpoint_time now);

// Sends data of an open call, encrypted and authenticated end to end. It may get lost or overtaken;
// it arrives at most once and unaltered, or not. -ENOENT: no such call; -ENOTCONN: not open;
// -EMSGSIZE: more than ENDPOINT_DATA_MAX; -EOVERFLOW: 2^64 frames were sent.
int endpoint_send(struct endpoint *endpoint, uint64_t call, const void *data, size_t size,
	struct endpoint_time now);
// From now on endpoint_send and ENDPOINT_DATA of this call carry bytes as they are, at most
// ENDPOINT_BARE_MAX of them: sealing them is the caller's task (endpoint/session). Both ends say
// so, the caller after endpoint_open, the callee before endpoint_accept. -ENOENT: no such call.
int endpoint_call_bare(struct endpoint *endpoint, uint64_t call);
// Ends a call in any state; the peer is told. No event follows. -ENOENT: no such call.
int endpoint_close(struct endpoint *endpoint, uint64_t call, struct endpoint_time now);

// What an endpoint holds, for tests and for showing.
struct endpoint_usage {
	unsigned leases;        // held
	unsigned calls;         // in any state, also those that only wait for the relay's farewell
	unsigned open;          // of these, open
	bool connected;         // has a cookie
	size_t relay;           // index in use
	unsigned round_trip_ms; // last one measured; 0: none
};
void endpoint_usage(const struct endpoint *endpoint, struct endpoint_usage *out);

// Counters without identity.
#define ENDPOINT_COUNTERS(X)                                                                       \
	X(sent)                                                                                    \
	X(received)                                                                                \
	X(retransmissions)                                                                         \
	X(ignored_source) /* not from the relay */                                                 \
	X(ignored_malformed)                                                                       \
	X(ignored_type)        /* not for clients, or unknown */                                   \
	X(ignored_transaction) /* answers nothing we asked */                                      \
	X(ignored_handle)      /* of no call of ours */                                            \
	X(ignored_proof)       /* the relay's proof does not hold */                               \
	X(ignored_address)     /* for an address that is not ours */                               \
	X(ignored_sealed)      /* not made for us, or altered */                                   \
	X(ignored_replay)                                                                          \
	X(ignored_refusal) /* of something else than we have sent */                               \
	X(ignored_full)    /* more invitations than we keep */                                     \
	X(ignored_rate)    /* path checks faster than we answer */                                 \
	X(path_checks)                                                                             \
	X(registrations)                                                                           \
	X(puzzles)
#define ENDPOINT_ENUM_COUNTER(name) ENDPOINT_COUNTER_##name,
enum endpoint_counter { ENDPOINT_COUNTERS(ENDPOINT_ENUM_COUNTER) ENDPOINT_COUNTER_COUNT };
// Name of a counter, static; NULL: no such counter.
const char *endpoint_counter_name(enum endpoint_counter counter);
uint64_t endpoint_counter(const struct endpoint *endpoint, enum endpoint_counter counter);

#ifdef __cplusplus
}
#endif
