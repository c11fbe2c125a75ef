// SPDX-License-Identifier: BSD-3-Clause
// Calls of one user, without any I/O: who is called where, the end-to-end session, the search for a
// direct path, the relay's leg, and which of them each frame takes. It owns what it joins: a relay
// core (endpoint/endpoint.h) for each relay, and for each call a handshake (endpoint/session), an
// ICE agent (endpoint/agent) and the choice of paths (endpoint/paths). endpoint/phone/README.md
// tells in which order things happen.
//
//     phone_create -> phone_base_up (the sockets) -> phone_hosts (the interfaces)
//     phone_listen -> PHONE_REGISTERED -> PHONE_INCOMING -> phone_answer -> PHONE_ANSWERED
//     phone_call   -> PHONE_RINGING -> PHONE_ANSWERED
//     then phone_voice and PHONE_VOICE, PHONE_PATH, until phone_hangup or PHONE_ENDED
//
// The rules of endpoint.h hold: one thread at a time; callbacks come from inside the functions that
// take `now`, and may call every function but phone_free and phone_receive; pointers in events are
// good until the callback returns; failures are negative errnos; bad datagrams are counted and
// change nothing. endpoint/phone/phone_driver.h runs it on a libuv loop.
#pragma once

#include "endpoint/endpoint.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
	PHONE_RELAYS_MAX = 2,   // of one contact, or our own
	PHONE_CORES_MAX = 8,    // relays in use at once
	PHONE_CALLS_MAX = 8,    // at once, in any state
	PHONE_BASES_MAX = 8,    // sockets
	PHONE_HOSTS_MAX = 32,   // addresses of the host; more are ignored
	PHONE_VOICE_MAX = 1004, // bytes of phone_voice
	PHONE_PATHS = 4,        // 0 and 1: the relays' legs; 2 and 3: direct
};

// One relay, by up to four transport addresses.
struct phone_relay {
	bool has_key;
	uint8_t key[ENDPOINT_KEY_SIZE]; // X25519
	struct endpoint_transport addresses[ENDPOINT_RELAYS_MAX];
	size_t address_count;
};

// Who is called, and where. Names are resolved already.
struct phone_contact {
	uint8_t identity_key[ENDPOINT_KEY_SIZE]; // Ed25519: nobody else is spoken to
	struct endpoint_peer peer;               // where they are reached
	struct phone_relay relays[PHONE_RELAYS_MAX];
	size_t relay_count;
};

// An address of this host. A lower class is tried first; those of class PHONE_HOST_VIRTUAL
// (bridges, containers) only as far as room is left.
enum phone_host_class { PHONE_HOST_NORMAL, PHONE_HOST_METERED, PHONE_HOST_VPN, PHONE_HOST_VIRTUAL };
struct phone_host {
	struct endpoint_transport transport; // the port is not looked at
	enum phone_host_class kind;
	uint32_t interface; // of the kernel's numbering; the same number: the same link
};

// What to do with a caller, by the identity that it has proven.
enum phone_trust {
	PHONE_KNOWN,    // rings, and learns our candidates at once
	PHONE_STRANGER, // rings; learns where we are only when the call is answered
	PHONE_REFUSED,  // is told that the call is declined; nothing rings
};

struct phone_config {
	uint8_t namespace_id[ENDPOINT_KEY_SIZE];
	uint8_t identity_seed[ENDPOINT_KEY_SIZE]; // RFC 8032; expanded, not kept
	uint8_t delivery_seed[ENDPOINT_KEY_SIZE];
	struct phone_relay relays[PHONE_RELAYS_MAX]; // our own
	size_t relay_count;                          // 0: can only call
	uint32_t epoch_seconds, lease_seconds;       // 0: as endpoint.h
	uint32_t relay_after_ms;    // after the answer; UINT32_MAX: 800. 0: at once
	uint32_t ring_timeout_ms;   // 0: 60000
	uint32_t second_mapping_ms; // after which a second socket is opened; 0: 90000
	bool relay_only; // no candidates, no checks: nobody learns our address; relay_after_ms is 0
	bool allow_loopback; // as candidates; for tests on one machine

	// NULL: every caller is a stranger.
	enum phone_trust (*trust)(void *context, const uint8_t identity_key[ENDPOINT_KEY_SIZE],
		const struct endpoint_peer *peer);
	void *trust_context;
	// As in endpoint.h. NULL: no tokens; libsodium's randomness.
	bool (*token)(void *context, struct endpoint_token *out);
	void *token_context;
	void (*random)(void *context, void *out, size_t size);
	void *random_context;
};

enum phone_event_type {
	// A lease at one of our own relays was made or renewed: relay.
	PHONE_REGISTERED = 1,
	// Something is wrong with a relay: relay (inner is ENDPOINT_UNREACHABLE or
	// ENDPOINT_REFUSED).
	PHONE_TROUBLE,
	// An event of a relay core that belongs to no call of the phone: relay. The phone does
	// nothing about it.
	PHONE_OTHER,
	// Somebody calls: call, incoming.
	PHONE_INCOMING,
	// The peer has proven who it is and rings: call.
	PHONE_RINGING,
	// Answered, at both sides: call. From now on phone_voice works as soon as a path does.
	PHONE_ANSWERED,
	// Voice has come: call, data, path.number.
	PHONE_VOICE,
	// Frames go another way from now on: call, path.
	PHONE_PATH,
	// How much of our voice the peer misses: call, loss.
	PHONE_LOSS,
	// Over; the id means nothing any more: call, ended.
	PHONE_ENDED,
};

enum phone_end {
	PHONE_END_BY_PEER = 1,
	PHONE_END_BY_SELF,     // in answer to nothing else than a signal at the peer's other device
	PHONE_END_DECLINED,    // by the user at the other side
	PHONE_END_REFUSED,     // the other side does not take calls from us
	PHONE_END_NO_ANSWER,   // it rang and nobody answered
	PHONE_END_UNREACHABLE, // the peer is not registered at any of its relays, or none answers
	PHONE_END_NOT_PEER,    // whoever answered is not who was called
	PHONE_END_LOST,        // no path to the peer for 30 s
	PHONE_END_CANCELLED,   // the caller gave up before we answered
	PHONE_END_TAKEN,       // answered at another of our devices
	PHONE_END_RELAY,       // the relays refuse: inner of the last PHONE_TROUBLE
	PHONE_END_BROKEN,      // the peer breaks the protocol
};

// Why frames go another way.
enum phone_path_why {
	PHONE_PATH_FIRST = 1, // the first path of this call
	PHONE_PATH_ENGAGED,   // no direct path in time: the relay
	PHONE_PATH_BETTER,    // planned: a better path was found
	PHONE_PATH_SILENT,    // the one before has fallen silent
	PHONE_PATH_BOTH,      // on all at once, until it is known which of them live
	PHONE_PATH_GONE,      // nothing comes on any of them
	PHONE_PATH_BACK,      // something does again
};

struct phone_event {
	enum phone_event_type type;
	uint64_t call;
	const uint8_t *data;
	size_t size;
	union {
		struct {
			size_t number; // of phone_core
			const struct endpoint_event *inner;
		} relay;
		struct {
			const uint8_t *identity_key; // 32, proven
			const struct endpoint_peer *peer;
			enum phone_trust trust;
		} incoming;
		struct {
			uint8_t number;      // PHONE_VOICE: it came on
			uint8_t before, now; // PHONE_PATH: bit sets of paths
			enum phone_path_why why;
		} path;
		struct {
			uint8_t percent;
		} loss;
		struct {
			enum phone_end why;
		} ended;
	};
};

struct phone_output {
	void *context;
	// A datagram from the socket `base`. Must not call back.
	void (*send)(void *context, unsigned base, const struct endpoint_transport *destination,
		const uint8_t *data, size_t size);
	// Another socket of that family: its number below PHONE_BASES_MAX, or a negative errno.
	// NULL: there are no more. Must not call back.
	int (*base_open)(void *context, unsigned family);
	void (*base_close)(void *context, unsigned base);
	void (*event)(void *context, const struct phone_event *event);
	// As in endpoint.h.
	void (*deadline)(void *context, uint64_t monotonic_ms);
};

struct phone;

// Does nothing yet. -EINVAL: a relay without address, too many, an address that is none; -ENOMEM;
// -ENOSYS: this machine cannot do AES-256-GCM.
int phone_create(
	struct phone **out, const struct phone_config *config, const struct phone_output *output);
// Ends at once, tells nobody, wipes. Bases that it has opened are closed. NULL is fine.
void phone_free(struct phone *phone);

// A socket that is bound to all addresses of a family, and which port it has (0: not known). The
// first one of each family carries what is said to relays.
void phone_base_up(struct phone *phone, unsigned base, unsigned family, uint16_t port);
// The addresses that this host has now. At first, and whenever they may have changed: what is
// equal to before changes nothing.
void phone_hosts(struct phone *phone, const struct phone_host *hosts, size_t count,
	struct endpoint_time now);

void phone_receive(struct phone *phone, unsigned base, const struct endpoint_transport *source,
	const uint8_t *data, size_t size, struct endpoint_time now);
uint64_t phone_tick(struct phone *phone, struct endpoint_time now);
uint64_t phone_deadline(const struct phone *phone);

// Registers at our own relays and stays registered. PHONE_REGISTERED follows for each.
void phone_listen(struct phone *phone, struct endpoint_time now);
// Hangs up all calls and, when the peers know, gives all leases back. True: nothing is left to wait
// for; otherwise PHONE_OTHER with ENDPOINT_WITHDRAWN follows for each relay, at the latest after
// three seconds; calling again tells whether that was the last.
bool phone_withdraw(struct phone *phone, struct endpoint_time now);

// Calls a contact. PHONE_RINGING, PHONE_ANSWERED or PHONE_ENDED follow, not from inside. -EINVAL:
// no relay, or keys that are none; -EMFILE: PHONE_CALLS_MAX calls or PHONE_CORES_MAX relays;
// -ENOMEM.
int phone_call(struct phone *phone, const struct phone_contact *contact, uint64_t *call,
	struct endpoint_time now);
// -ENOENT: no such call, or it does not ring here.
int phone_answer(struct phone *phone, uint64_t call, struct endpoint_time now);
// Ends a call in any state, and declines one that rings; the peer is told. No event follows.
// -ENOENT.
int phone_hangup(struct phone *phone, uint64_t call, struct endpoint_time now);

// One voice payload (endpoint/voice: frame number, Opus frame), on the path or paths that are in
// use. 0: sent; -ENOTCONN: not answered, or no path yet; -EMSGSIZE; -ENOENT.
int phone_voice(struct phone *phone, uint64_t call, const void *data, size_t size,
	struct endpoint_time now);

// Tells the peer how much of its voice is missing here, in percent, so that its codec makes up for
// it; what is no news is not sent, so it may be called often. -ENOENT; -ENOTCONN: not answered;
// -EINVAL: more than 100.
int phone_report_loss(
	struct phone *phone, uint64_t call, unsigned percent, struct endpoint_time now);

enum phone_state { PHONE_CALLING, PHONE_STATE_RINGING, PHONE_STATE_INCOMING, PHONE_TALKING };

struct phone_path_info {
	bool usable;
	unsigned round_trip_ms;                  // 0: not measured
	uint64_t sent, received;                 // frames
	struct endpoint_transport local, remote; // direct: the pair; else the relay and ourselves
};

struct phone_call_info {
	enum phone_state state;
	uint8_t paths; // bit set of those in use
	struct phone_path_info path[PHONE_PATHS];
	uint64_t called_ms, answered_ms; // monotonic; 0: not yet
	uint64_t direct_ms;              // first frame of ours on a direct path; 0: none
	uint64_t relay_ms;               // first voice of ours on a relay's leg; 0: none
	unsigned switches;
	uint64_t rejected; // envelopes that were none of this session
	uint64_t replays;
};
int phone_call_info(const struct phone *phone, uint64_t call, struct phone_call_info *out);

// A relay core, for what is no call (messages, files); NULL: no such number. Its events come as
// PHONE_OTHER.
struct endpoint *phone_core(const struct phone *phone, size_t number);

#define PHONE_COUNTERS(X)                                                                          \
	X(received)                                                                                \
	X(ignored_source)    /* neither a relay nor a peer */                                      \
	X(ignored_fragment)  /* no part of a handshake */                                          \
	X(ignored_handshake) /* not made for us, altered, or too many */                           \
	X(ignored_identity)  /* refused, or not who was called */                                  \
	X(ignored_envelope)  /* of no session of ours, or altered */                               \
	X(ignored_replay)                                                                          \
	X(ignored_frame) /* sealed by the peer, and yet malformed */                               \
	X(handshakes)                                                                              \
	X(calls)
#define PHONE_ENUM_COUNTER(name) PHONE_COUNTER_##name,
enum phone_counter { PHONE_COUNTERS(PHONE_ENUM_COUNTER) PHONE_COUNTER_COUNT };
const char *phone_counter_name(enum phone_counter counter);
uint64_t phone_counter(const struct phone *phone, enum phone_counter counter);

#ifdef __cplusplus
}
#endif
