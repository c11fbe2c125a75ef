// SPDX-License-Identifier: BSD-3-Clause
// A TURN client without any I/O (RFC 8656 over UDP, with the long-term credentials of RFC 8489 9.2,
// or without any): one local socket, one server, one allocation of one address family. Permissions
// are made on demand and kept as long as they are used; peers that are worth it get a channel.
//
//     turn_client_create -> turn_client_start -> TURN_CLIENT_ALLOCATED or TURN_CLIENT_FAILED
//     turn_client_send -> to a peer, from the relayed address; from a peer: TURN_CLIENT_DATA
//     turn_client_release -> TURN_CLIENT_RELEASED; turn_client_free
//
// Rules for all functions, as in endpoint/endpoint.h:
// - One thread at a time for one client; different clients share nothing.
// - Callbacks come from inside the functions that take `now`. In an event every function may be
//   called except turn_client_free and turn_client_receive; in send and deadline none.
// - turn_client_permit, _bind and _send tell no events, so that they can stand behind another
//   core's send callback.
// - Pointers in events and to data of send are good until the callback returns. What is passed in
//   is copied.
// - Times are monotonic milliseconds of any origin and never go back.
// - Failures are 0 or a negative errno. Bad datagrams are counted by reason and change nothing.
//
// Memory is bounded (about 20 KiB) and nothing is allocated after turn_client_create. Keys,
// passwords and datagrams that are held back are wiped.
#pragma once

#include "endpoint/endpoint.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
	TURN_CLIENT_USER_MAX = 512,       // bytes, RFC 8489 14.3 has 509
	TURN_CLIENT_PASSWORD_MAX = 512,   // bytes
	TURN_CLIENT_PERMISSIONS_MAX = 32, // addresses of peers at once
	TURN_CLIENT_CHANNELS_MAX = 16,    // peers with a channel at once
	TURN_CLIENT_DATA_MAX = 1400,      // bytes of turn_client_send
	TURN_CLIENT_HELD_MAX = 256,       // bytes that wait for a permission: a connectivity check
};

struct turn_client_config {
	struct endpoint_transport server;
	uint8_t family; // of the relayed address, 4 or 6; the server's own is another matter
	// As the server knows them (prepared with OpaqueString, RFC 8265, where it matters); of a
	// token they are lib/wire/token.h's user and password. Terminated; user NULL: no
	// credentials are shown, for servers that want none.
	const char *user;
	const char *password;
	uint32_t lifetime_s;   // asked for; 0: what the server likes
	uint32_t keepalive_ms; // after that long without a word of the server it is asked; 0: 15000
	uint32_t first_ms;     // first retransmission (RFC 8489 6.2.1: RTO); 0: 500
	uint32_t tries; // transmissions before giving up (Rc); 0: 7, which with 500 ms takes 39.5 s
	// Random bytes: transactions, which none may guess, and the first channel. NULL:
	// libsodium's.
	void (*random)(void *context, void *out, size_t size);
	void *random_context;
};

enum turn_client_event_type {
	// There is an allocation: allocated. Again when it had to be made anew (allocated.anew):
	// its relayed address is another one then, and what peers knew is void.
	TURN_CLIENT_ALLOCATED = 1,
	// There is no allocation (any more) and none is tried for: failed. turn_client_start tries
	// again.
	TURN_CLIENT_FAILED,
	// turn_client_release is done, or nobody answered to it.
	TURN_CLIENT_RELEASED,
	// What a peer sent to the relayed address: peer, data, size.
	TURN_CLIENT_DATA,
	// The server lets this peer's address through (whatever its port): peer, port 0.
	TURN_CLIENT_PERMITTED,
	// The server does not: peer, port 0, failed.code (403, 443, ...; 0: no answer). The next
	// turn_client_send or _permit after 10 s tries again.
	TURN_CLIENT_DENIED,
	// A channel is there: peer. What is sent to it takes 4 bytes more instead of 36 or more.
	TURN_CLIENT_BOUND,
};

// Why there is no allocation.
enum turn_client_failure {
	TURN_CLIENT_UNREACHABLE = 1, // no answer to a whole series of requests
	TURN_CLIENT_CREDENTIALS, // 401 or 441 to ours, or credentials are wanted and there are none
	// 486. The user has all it may have (a token buys one allocation); RFC 8656 7.4 asks for a
	// minute of patience with the same credentials.
	TURN_CLIENT_QUOTA,
	TURN_CLIENT_CAPACITY, // 508: full, or being emptied. Another server may help
	// 437: the server remembers this socket for an allocation that is not ours. Another socket
	// helps.
	TURN_CLIENT_MISMATCH,
	// 440, 442, 420, 403, 300, no algorithm in common: nothing we can or may have here.
	TURN_CLIENT_UNSUPPORTED,
	TURN_CLIENT_PROTOCOL, // 400, 5xx, or an answer that makes no sense
};

struct turn_client_event {
	enum turn_client_event_type type;
	struct endpoint_transport peer; // family 0: none
	const uint8_t *data;            // borrowed
	size_t size;
	union {
		struct {
			struct endpoint_transport relayed;
			struct endpoint_transport
				mapped; // our socket as the server sees it: server-reflexive
			uint32_t lifetime_s;
			bool anew; // there was one before
		} allocated;
		struct {
			enum turn_client_failure why;
			unsigned code; // STUN's; 0: none
		} failed;
	};
};

struct turn_client_output {
	void *context;
	// A datagram to the server, from the one local socket.
	void (*send)(void *context, const struct endpoint_transport *server, const uint8_t *data,
		size_t size);
	void (*event)(void *context, const struct turn_client_event *event);
	// The time of the next turn_client_tick is another one now (ms or ENDPOINT_NEVER). NULL:
	// the caller asks turn_client_deadline.
	void (*deadline)(void *context, uint64_t at_ms);
};

struct turn_client;

// A client that does nothing yet. -EINVAL: no server, another family than 4 and 6, user without
// password; -EMSGSIZE: user or password too long; -ENOMEM. Calls sodium_init.
int turn_client_create(struct turn_client **out, const struct turn_client_config *config,
	const struct turn_client_output *output);
// Ends at once, without telling the server (turn_client_release does), and wipes. NULL is fine.
void turn_client_free(struct turn_client *client);

// Makes the allocation, once; harmless while there is one or one is on its way.
// TURN_CLIENT_ALLOCATED or TURN_CLIENT_FAILED follow. While one is being released, it waits for
// that.
void turn_client_start(struct turn_client *client, uint64_t now_ms);
// Gives it back. TURN_CLIENT_RELEASED follows, at the latest after two seconds, at once when there
// is nothing to give back. Nothing else comes any more, until turn_client_start.
void turn_client_release(struct turn_client *client, uint64_t now_ms);
// The local socket is another one or lies in another network: the 5-tuple is, and with it the
// allocation. Makes one anew, permissions and channels too; where the server still sees the same
// 5-tuple, nothing changes and no event comes.
void turn_client_network_changed(struct turn_client *client, uint64_t now_ms);
// Asks the server at once whether it is there, knows the allocation, and still sees the same
// 5-tuple, instead of after keepalive_ms. Harmless at any rate: one question is on its way at a
// time.
void turn_client_check(struct turn_client *client, uint64_t now_ms);
// Others than before, e.g. another token. -EBUSY: there is an allocation, or one is on its way;
// other errors as turn_client_create.
int turn_client_set_credentials(struct turn_client *client, const char *user, const char *password);

// A datagram came in on the local socket. What is not from the server, and what is no message of
// it, is counted and ignored, so that a socket may be shared: true when it was the client's.
bool turn_client_receive(struct turn_client *client, const struct endpoint_transport *source,
	const uint8_t *data, size_t size, uint64_t now_ms);
// Does what is due and returns the next deadline. Calling too early is harmless.
uint64_t turn_client_tick(struct turn_client *client, uint64_t now_ms);
uint64_t turn_client_deadline(const struct turn_client *client);

// Lets a peer's address send to us, ahead of need. Sending and being sent to keep a permission
// alive; one that is used by nobody lapses after five minutes. 0, also when it is there already;
// -ENOTCONN: no allocation; -EAFNOSUPPORT: of the other family; -EACCES: denied less than 10 s ago;
// -ENOSPC: all places are in use.
int turn_client_permit(
	struct turn_client *client, const struct endpoint_transport *peer, uint64_t now_ms);
// A channel for a peer that much will be sent to; makes the permission as well. Kept as long as it
// is used. Errors as turn_client_permit. Without it, or until TURN_CLIENT_BOUND, data goes as Send
// indications.
int turn_client_bind(
	struct turn_client *client, const struct endpoint_transport *peer, uint64_t now_ms);
// Sends from the relayed address. What comes before the permission is there is held back when it is
// small enough (the last one for each address), else lost. Errors as turn_client_permit, and
// -EMSGSIZE; -EAGAIN: lost for want of a permission, which is being made. Like UDP: it may get
// lost.
int turn_client_send(struct turn_client *client, const struct endpoint_transport *peer,
	const void *data, size_t size, uint64_t now_ms);

// What a client holds, for tests and for showing.
struct turn_client_usage {
	bool allocated;
	unsigned permissions;                      // granted
	unsigned channels;                         // bound
	unsigned round_trip_ms;                    // last one measured; 0: none
	struct endpoint_transport relayed, mapped; // family 0: none
};
void turn_client_usage(const struct turn_client *client, struct turn_client_usage *out);

// Counters without identity.
#define TURN_CLIENT_COUNTERS(X)                                                                    \
	X(sent)                                                                                    \
	X(received)                                                                                \
	X(retransmissions)                                                                         \
	X(timeouts) /* whole series without an answer */                                           \
	X(allocations)                                                                             \
	X(refreshes)                                                                               \
	X(permissions)                                                                             \
	X(channels)                                                                                \
	X(stale_nonces)                                                                            \
	X(sent_by_channel)                                                                         \
	X(sent_by_indication)                                                                      \
	X(received_by_channel)                                                                     \
	X(received_by_indication)                                                                  \
	X(held)               /* datagrams that waited for a permission */                         \
	X(dropped_permission) /* too large to wait, or overtaken while waiting */                  \
	X(ignored_source)     /* not from the server */                                            \
	X(ignored_malformed)                                                                       \
	X(ignored_type)        /* nothing a server sends to a client */                            \
	X(ignored_transaction) /* answers nothing we asked */                                      \
	X(ignored_integrity)   /* not signed where it must be, or wrongly */                       \
	X(ignored_downgrade)   /* a nonce that promises algorithms, without them */                \
	X(ignored_channel)     /* of no channel of ours */                                         \
	X(ignored_peer)        /* from an address we have given no permission */
#define TURN_CLIENT_ENUM_COUNTER(name) TURN_CLIENT_COUNTER_##name,
enum turn_client_counter {
	TURN_CLIENT_COUNTERS(TURN_CLIENT_ENUM_COUNTER) TURN_CLIENT_COUNTER_COUNT
};
// Name of a counter, static; NULL: no such counter.
const char *turn_client_counter_name(enum turn_client_counter counter);
uint64_t turn_client_counter(const struct turn_client *client, enum turn_client_counter counter);

#ifdef __cplusplus
}
#endif
