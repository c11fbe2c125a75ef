// SPDX-License-Identifier: BSD-3-Clause
// The inside of the TURN client: what its files share. One file, one job:
//
//     turn_client.c  entering and leaving, deadlines, counters; datagrams to whom they are for
//     exchange.c     one request on its way: transaction, retransmission, building, the answer's
//     proof credentials.c  what a 401 or 438 teaches, keys, signing allocation.c   Allocate,
//     Refresh, giving back, the question whether the server is there permission.c   which peers'
//     addresses may send to us, and what waits for that channel.c      which peers have a number
//
// Invariants:
// - Time stands still within one entry (client->now).
// - An event may call back into the client. Whoever has told one returns at once or looks again;
//   tables are arrays that do not move.
// - Whatever waits has a time in some `due` or `*_at`, which turn_client_deadline looks at. It is
//   sent when the outermost entry leaves; what wishes begin, at once.
#pragma once

#include "endpoint/turn/turn_client.h"

#include "lib/wire/channel_data.h"
#include "lib/wire/stun.h"
#include "lib/wire/stun_integrity.h"

enum {
	TURN_NONCE_MAX = 512, // RFC 8489 14.10; the realm as well
	TURN_ALGORITHMS_MAX = 64,
	TURN_REQUEST_MAX = 2048,
	TURN_KEEPALIVE_MS = 15 * 1000,
	TURN_THOROUGH = 4,   // each so many questions it is a Refresh
	TURN_FIRST_MS = 500, // RFC 8489 6.2.1: RTO
	TURN_TRIES = 7,      // Rc
	TURN_LAST_WAIT = 16, // Rm, of RTO
	TURN_CHALLENGES_MAX = 3,
	TURN_DOUBTED_TRIES = 3,
	TURN_RELEASE_MS = 2000,
	TURN_MARGIN_MS = 60 * 1000,      // before the allocation ends
	TURN_PERMISSION_MS = 300 * 1000, // RFC 8656 9
	TURN_PERMISSION_RENEWAL_MS = 240 * 1000,
	TURN_CHANNEL_MS = 600 * 1000, // RFC 8656 12
	TURN_CHANNEL_RENEWAL_MS = 540 * 1000,
	TURN_DENIED_MS = 10 * 1000,
	TURN_IDLE_MS = 10 * 1000,        // then a permission may have to make room
	TURN_LIFETIME_MAX_S = 24 * 3600, // no server means more
};

// A request on its way. method 0: none is.
struct turn_exchange {
	uint16_t method;
	uint8_t transaction[STUN_TRANSACTION_LENGTH];
	bool is_signed; // this transaction's transmissions are
	uint64_t due, sent_at, began_at;
	uint32_t interval_ms;  // before the next retransmission
	uint8_t tries;         // transmissions in this series
	uint8_t challenges;    // 401s and 438s in a row
	uint8_t doubted;       // errors without proof in this series
	unsigned doubted_code; // the last one's
};

// The address that may send to us, and the last small datagram that waits for it.
struct turn_permission {
	struct endpoint_transport peer; // family 0: free. Port 0
	bool granted;
	uint64_t renew_at, ends_at, used_at, granted_at, denied_until;
	struct turn_exchange exchange;
	uint16_t held_port, held_size;
	uint8_t held[TURN_CLIENT_HELD_MAX];
};

struct turn_channel {
	struct endpoint_transport peer; // family 0: free
	uint16_t number;
	bool bound;
	uint64_t renew_at, ends_at, used_at, bound_at, denied_until;
	struct turn_exchange exchange;
};

struct turn_credentials {
	char user[TURN_CLIENT_USER_MAX + 1], password[TURN_CLIENT_PASSWORD_MAX + 1];
	bool given;   // by the owner
	bool learned; // realm and nonce are there, so requests are signed
	bool negotiated, hide_user;
	enum stun_password_algorithm algorithm;
	char realm[TURN_NONCE_MAX + 1];
	uint8_t nonce[TURN_NONCE_MAX], algorithms[TURN_ALGORITHMS_MAX];
	size_t nonce_size, algorithms_size;
	uint8_t user_hash[STUN_USERHASH_LENGTH];
	struct stun_key key;
};

enum turn_client_state {
	TURN_IDLE,
	TURN_ALLOCATING, // nothing can be sent
	TURN_ALLOCATED,  // main may be Refresh, or Allocate after a change of network
	TURN_RELEASING,
};

struct turn_client {
	struct turn_client_output output;
	struct endpoint_transport server;
	uint8_t family;
	uint32_t lifetime_s, keepalive_ms, first_ms, tries;
	void (*random)(void *context, void *out, size_t size);
	void *random_context;

	uint64_t now;
	unsigned depth;         // of entries
	uint64_t told_deadline; // by output.deadline
	enum turn_client_state state;
	struct turn_credentials credentials;

	// allocation.c
	struct turn_exchange main;     // Allocate, Refresh
	struct turn_exchange question; // Binding
	bool had_allocation;           // since turn_client_start
	bool start_wanted;             // when it is released
	bool asking_mine; // main is a Refresh that shall tell whether the allocation is still ours
	struct endpoint_transport relayed, mapped;
	uint32_t granted_s;
	uint64_t refresh_at, release_until, heard_at, spoke_at;
	unsigned round_trip_ms, questions;

	uint16_t next_number; // of a channel
	struct turn_permission permissions[TURN_CLIENT_PERMISSIONS_MAX];
	struct turn_channel channels[TURN_CLIENT_CHANNELS_MAX];
	uint64_t counters[TURN_CLIENT_COUNTER_COUNT];
};

// ---- turn_client.c ----

void turn_client_enter(struct turn_client *c, uint64_t now_ms);
// Sends what is due, unless a caller further out does.
void turn_client_leave(struct turn_client *c);
void turn_client_leave_quietly(struct turn_client *c); // without sending and events
void turn_client_count(struct turn_client *c, enum turn_client_counter counter);
void turn_client_tell(struct turn_client *c, const struct turn_client_event *event);
void turn_client_transmit(struct turn_client *c, const uint8_t *data, size_t size);
struct net_endpoint turn_to_net(const struct endpoint_transport *t);
struct endpoint_transport turn_from_net(const struct net_endpoint *e);
bool turn_same_address(const struct endpoint_transport *a, const struct endpoint_transport *b);
bool turn_same(const struct endpoint_transport *a, const struct endpoint_transport *b);

// ---- exchange.c ----

// A new series, due at once.
void turn_exchange_begin(struct turn_client *c, struct turn_exchange *x, uint16_t method);
void turn_exchange_end(struct turn_exchange *x);
// What a request carries apart from credentials.
typedef void turn_fill(struct turn_client *c, const void *of, struct stun_builder *b);
// Sends it when it is due. False: the series is over without an answer.
bool turn_exchange_run(
	struct turn_client *c, struct turn_exchange *x, turn_fill *fill, const void *of);

enum turn_answer {
	TURN_ANSWER_NONE, // it goes on as it was: ignored and counted, or asked again
	TURN_ANSWER_SUCCESS,
	TURN_ANSWER_ERROR, // *code
};
bool turn_exchange_is(const struct turn_exchange *x, const struct stun_message *m);
// Judges a response to x: its proof, challenges, doubts. What comes back is final, x has ended
// then. A 401 that credentials cannot answer comes back as an error.
enum turn_answer turn_exchange_answer(struct turn_client *c, struct turn_exchange *x,
	const struct stun_message *m, unsigned *code);

// ---- credentials.c ----

int turn_credentials_set(
	struct turn_credentials *credentials, const char *user, const char *password);
// What a 401 or 438 teaches. 0; -EBADMSG: not what the RFC says it holds; -EPROTO: stripped of its
// algorithms; -ENOTSUP: no algorithm we have.
int turn_credentials_learn(struct turn_credentials *credentials, const struct stun_message *m);
void turn_credentials_sign(const struct turn_credentials *credentials, struct stun_builder *b);
// A response's proof. 0; -ENOENT: it carries none; -EACCES: wrong.
int turn_credentials_verify(
	const struct turn_credentials *credentials, const struct stun_message *m);

// ---- allocation.c ----

void turn_allocation_run(struct turn_client *c);
uint64_t turn_allocation_deadline(const struct turn_client *c);
// False: not an answer to a request of this file.
bool turn_allocation_answer(struct turn_client *c, const struct stun_message *m);
// The server does not know the allocation: makes another one.
void turn_allocation_lost(struct turn_client *c);

// ---- permission.c ----

void turn_permissions_run(struct turn_client *c);
uint64_t turn_permissions_deadline(const struct turn_client *c);
bool turn_permissions_answer(struct turn_client *c, const struct stun_message *m);
struct turn_permission *turn_permission_find(
	struct turn_client *c, const struct endpoint_transport *peer);
// Finds or makes. Errors as turn_client_permit.
int turn_permission_want(
	struct turn_client *c, const struct endpoint_transport *peer, struct turn_permission **out);
void turn_permission_granted(struct turn_client *c, struct turn_permission *p); // by the server
void turn_permissions_renew(struct turn_client *c); // all, of a new allocation
void turn_permissions_drop(struct turn_client *c);

// ---- channel.c ----

void turn_channels_run(struct turn_client *c);
uint64_t turn_channels_deadline(const struct turn_client *c);
bool turn_channels_answer(struct turn_client *c, const struct stun_message *m);
// NULL: none. Whether it is bound is another matter.
struct turn_channel *turn_channel_find(
	struct turn_client *c, const struct endpoint_transport *peer);
// Something goes to it: it is kept, and asked for again when it was refused a while ago.
void turn_channel_use(struct turn_client *c, struct turn_channel *channel);
struct turn_channel *turn_channel_of_number(struct turn_client *c, uint16_t number);
void turn_channels_renew(struct turn_client *c);
void turn_channels_drop(struct turn_client *c);

static inline uint64_t turn_earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t turn_exchange_due(const struct turn_exchange *x)
{
	return x->method != 0 ? x->due : ENDPOINT_NEVER;
}
