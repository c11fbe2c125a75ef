// SPDX-License-Identifier: BSD-3-Clause
// TURN and STUN policy (RFC 8656, RFC 8489) as an I/O-free core. Punted messages, answers of the
// dataplane and the time go in; installs and datagrams come out through struct turn_output. It
// keeps no client or peer address: what it needs of a live allocation comes with each punt. State
// per allocation: id, owner worker, relayed ports, two quota tags. State per request in flight:
// until the dataplane has answered. One thread (the event loop's).
#pragma once

#include "dataplane/api/messages.h"
#include "lib/config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Where users by token are checked and their tokens spent (controlplane/tokens). NULL: nowhere, and
// nobody is such a user.
struct turn_tokens {
	// Whether a key accepts; retired: or did once.
	bool (*known)(void *context, uint32_t key_id, bool retired);
	// The token key of a nonce, 32 bytes each: 0, or -EBADMSG when the key is not known.
	int (*key)(
		void *context, uint32_t key_id, const uint8_t *nonce, bool retired, uint8_t *key);
	// Begins to spend a token: 0, and turn_core_spent comes later, not from inside; -EALREADY
	// it has bought something, -EBADMSG its key is not known any more, -EAGAIN not now.
	int (*spend)(void *context, uint64_t purchase, uint32_t key_id, const uint8_t *nonce);
	// Nothing was got for a token that was spent.
	void (*give_back)(void *context, uint32_t key_id, const uint8_t *nonce);
};

struct turn_output {
	void *context;
	// Queues an install (API_ALLOCATION_INSTALL ... API_CHANNEL_BIND) for the dataplane.
	// Returns its request id (not 0), or 0 when the link is down; the answer comes back by
	// turn_core_answer.
	uint32_t (*install)(void *context, enum api_type type, const void *payload, uint32_t size);
	// Queues a datagram to a client.
	void (*send)(void *context, const struct api_packet_send *send, const uint8_t *payload);
	struct turn_tokens tokens;
};

struct turn_core;

// config is borrowed and must outlive the core. NULL only without memory.
struct turn_core *turn_core_create(const struct config *config, const struct turn_output *output);
void turn_core_free(struct turn_core *core);

// Another configuration, in two steps, since the dataplane has to know a new range of relayed ports
// before the first of them is given out, and may refuse. prepare takes all memory and changes
// nothing; NULL without memory. The listen addresses must be the same ones in the same order.
// reconfigure cannot fail: from here on `config` counts (and must outlive the core, the earlier one
// may go). What is live stays as it is:
//  - allocations keep their ports, also outside of a new range, until they end; new ones come from
//    the new range only;
//  - who is no longer a user gets 401, also for a Refresh: their allocations end when their
//  lifetime
//    is over;
//  - quotas, the longest lifetime, channel numbers and peer rules count for what is asked from now
//    on; permissions and channels that were granted end in their own time.
// Nonces stay good.
struct turn_change;
struct turn_change *turn_core_prepare(const struct turn_core *core, const struct config *config);
void turn_core_reconfigure(struct turn_core *core, struct turn_change *change);
// A prepared change that is not made. NULL is fine.
void turn_change_free(struct turn_change *change);

// A (new) dataplane connection: the key for quota tags, number of workers. Drops all per-allocation
// and in-flight state; a snapshot follows.
void turn_core_connected(struct turn_core *core, const struct api_hello_answer *hello);
// One live allocation of the snapshot. Ports and quotas count it from now on.
void turn_core_snapshot_item(struct turn_core *core, const struct api_snapshot_item *item);
// The snapshot is complete; Allocate requests are answered with 508 before that (retransmissions
// succeed then).
void turn_core_snapshot_end(struct turn_core *core, uint64_t now_ms);

// Addresses of this host that are not to be reached as peers although they may be global (netlink
// mirror); own relayed transport addresses stay allowed. Replaces the earlier list. Copied.
void turn_core_local_addresses(
	struct turn_core *core, const struct net_address *addresses, size_t count);

// Which worker what peers send to a relayed port comes to: forgotten at the begin, told in items,
// in force with the end. Until then, and where nothing is told, any port is as good.
void turn_core_steering_begin(struct turn_core *core);
void turn_core_steering_item(struct turn_core *core, const struct api_steering *item);
void turn_core_steering_end(struct turn_core *core);

void turn_core_drain(struct turn_core *core, bool on);

// A punted datagram (payload: punt->length bytes). now_ms: monotonic; wall_s: UNIX time (REST
// credentials' expiry).
void turn_core_punt(struct turn_core *core, const struct api_punt *punt, const uint8_t *payload,
	uint64_t now_ms, uint64_t wall_s);
// The dataplane's answer to install `id`: 0 or -errno; -ENOTCONN when its connection ended first.
// Not from inside install().
void turn_core_answer(struct turn_core *core, uint32_t id, int result, uint64_t now_ms);
// What became of spending a token: 0 it is on disk, -EALREADY, -ESTALE, or another negative errno.
// False: it is spent, and nothing will be given for it; the caller gives it back.
bool turn_core_spent(struct turn_core *core, uint64_t purchase, int result, uint64_t now_ms);
// An allocation ended by itself in the dataplane.
void turn_core_expired(struct turn_core *core, uint64_t allocation_id);
// Drops timed-out reservations and in-flight requests, rotates nonce keys. Returns ms until it
// wants to be called again.
uint64_t turn_core_tick(struct turn_core *core, uint64_t now_ms);

// Counters without identity, for relayctl stats.
#define TURN_COUNTERS(X)                                                                           \
	X(allocate_ok)                                                                             \
	X(refresh_ok)                                                                              \
	X(create_permission_ok)                                                                    \
	X(channel_bind_ok)                                                                         \
	X(retransmissions)                                                                         \
	X(malformed)                                                                               \
	X(unexpected_method)                                                                       \
	X(install_failed)                                                                          \
	X(in_flight_full)                                                                          \
	X(amplification_refused)                                                                   \
	X(ports_astray)                                                                            \
	X(token_evaluations)                                                                       \
	X(token_rationed)                                                                          \
	X(tokens_spent)                                                                            \
	X(tokens_given_back)                                                                       \
	X(error_400)                                                                               \
	X(error_401)                                                                               \
	X(error_403)                                                                               \
	X(error_420)                                                                               \
	X(error_437)                                                                               \
	X(error_438)                                                                               \
	X(error_440)                                                                               \
	X(error_441)                                                                               \
	X(error_442)                                                                               \
	X(error_443)                                                                               \
	X(error_486)                                                                               \
	X(error_500)                                                                               \
	X(error_508)
#define TURN_ENUM_COUNTER(name) TURN_COUNTER_##name,
enum turn_counter { TURN_COUNTERS(TURN_ENUM_COUNTER) TURN_COUNTER_COUNT };
extern const char *const turn_counter_names[TURN_COUNTER_COUNT];
uint64_t turn_core_counter(const struct turn_core *core, enum turn_counter counter);

struct turn_usage {
	uint64_t allocations;
	uint64_t reservations;
	uint64_t in_flight;
	uint64_t ports_free, ports_total; // over all relay addresses
};
void turn_core_usage(const struct turn_core *core, struct turn_usage *out);
