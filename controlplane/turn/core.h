// SPDX-License-Identifier: BSD-3-Clause
// What the files of the TURN core share: the core itself, and the doors between dispatch, the
// methods and replies. Private to controlplane/turn and its tests.
#pragma once

#include "controlplane/turn/authentication.h"
#include "controlplane/id_table.h"
#include "controlplane/turn/peer_rules.h"
#include "controlplane/turn/quota.h"
#include "controlplane/turn/relay_pool.h"
#include "controlplane/turn/request.h"
#include "controlplane/turn/reservations.h"
#include "controlplane/turn/turn.h"

enum {
	TURN_DEFAULT_LIFETIME_S = 600,            // RFC 8656 6
	TURN_PERMISSION_LIFETIME_MS = 300 * 1000, // RFC 8656 9: MUST be 300 seconds
	TURN_CHANNEL_LIFETIME_MS = 600 * 1000,    // RFC 8656 12
	TURN_CHANNEL_FIRST = 0x4000,
	TURN_NO_POOL = 0xFF,
	TURN_ALLOCATE_ATTEMPTS = 4, // ports tried when the dataplane says one is taken
};

// One allocation as the control plane knows it: nothing of a client.
struct turn_allocation {
	uint64_t credential_tag, prefix_tag;
	uint16_t port[2]; // [0] IPv4, [1] IPv6; meaningless without a pool
	uint8_t pool[2];  // index into pools, or TURN_NO_POOL
	uint16_t flags;   // API_ALLOCATION_*
};

// Tags of different domains are independent.
enum turn_tag_domain {
	TURN_TAG_CREDENTIAL,
	TURN_TAG_PREFIX,
	TURN_TAG_RESERVATION,
	TURN_TAG_DOMAINS
};

// Homes of the relayed ports of one family (relay_pool.h).
struct turn_steering {
	unsigned workers; // 0: nothing is known
	uint8_t homes[RELAY_POOL_PAIRS];
};

struct turn_core {
	const struct config *config;
	struct turn_output output;
	struct authentication authentication;
	struct authentication_tokens tokens;
	struct peer_rules peers;
	struct relay_pool pools[CONFIG_LISTEN_MAX]; // one per listen address, same order
	unsigned pool_count;
	struct turn_steering steering[2]; // [0] IPv4, [1] IPv6
	struct quota credential_quota, prefix_quota;
	struct id_table allocations; // id -> struct turn_allocation
	struct reservations reservations;
	struct turn_in_flight in_flight;
	uint8_t tag_keys[TURN_TAG_DOMAINS][16]; // derived from what the dataplane gave
	bool ready;                             // the snapshot is complete
	bool draining;
	uint32_t purchases; // begun
	uint64_t counters[TURN_COUNTER_COUNT];
};

// A punted request being looked at, with what it was parsed into.
struct turn_call {
	struct turn_request request;
	const struct stun_message *message;
	const struct api_allocation_context *context; // allocation_id 0: none
	uint64_t now_ms;
};

static inline void turn_count(struct turn_core *core, enum turn_counter counter)
{
	core->counters[counter]++;
}

// A keyed hash, equal before and after a restart of this program; never 0.
uint64_t turn_tag(
	const struct turn_core *core, enum turn_tag_domain domain, const void *data, size_t length);

// The tag of a client's prefix (/24, /56).
uint64_t turn_prefix_tag(const struct turn_core *core, const struct net_address *client);

// Methods. Each answers the request, or starts an install whose answer comes to its _done.
void turn_allocate(struct turn_core *core, struct turn_call *call);
void turn_allocate_done(
	struct turn_core *core, struct turn_request *request, int result, uint64_t now_ms);
// The token of an Allocate was spent, or not. False: it was, and nothing will be given for it.
bool turn_allocate_paid(
	struct turn_core *core, struct turn_request *request, int result, uint64_t now_ms);
void turn_refresh(struct turn_core *core, struct turn_call *call);
void turn_refresh_done(struct turn_core *core, struct turn_request *request, int result);
void turn_create_permission(struct turn_core *core, struct turn_call *call);
void turn_create_permission_done(struct turn_core *core, struct turn_request *request, int result);
void turn_channel_bind(struct turn_core *core, struct turn_call *call);
void turn_channel_bind_done(struct turn_core *core, struct turn_request *request, int result);

// Sends an install for the request and keeps the request until the answer comes. False, and
// nothing kept, when that is not possible now: the request is dropped, the client will repeat it.
bool turn_install(struct turn_core *core, const struct turn_request *request, enum api_type type,
	const void *payload, uint32_t size, uint64_t now_ms);

// For a request on an existing allocation: 437 without one, 441 with somebody else's
// (RFC 8656 5). True when it may go on.
bool turn_owns_allocation(struct turn_core *core, struct turn_call *call);
// LIFETIME of Allocate and Refresh (RFC 8656 7.2, 8.2): seconds granted; *zero: 0 was asked for.
// -EBADMSG when malformed.
int turn_lifetime(const struct turn_core *core, const struct stun_message *message,
	uint32_t *seconds, bool *zero);
// REQUESTED-ADDRESS-FAMILY and ADDITIONAL-ADDRESS-FAMILY: 0 and *family 0 when absent, -EBADMSG
// with a wrong length. Any value is returned.
int turn_family_attribute(const struct stun_message *message, uint16_t type, uint8_t *family);

// The allocation is gone from the dataplane (or was never there): its ports and quotas return.
// Harmless for an unknown id.
void turn_allocation_release(struct turn_core *core, uint64_t id);
// Only the ports.
void turn_allocation_release_ports(struct turn_core *core, struct turn_allocation *allocation);
// Only the port of one family of a dual allocation.
void turn_allocation_release_family(struct turn_core *core, uint64_t id, unsigned slot);
// A reservation's port and quotas return.
void turn_reservation_release(struct turn_core *core, const struct reservation *reservation);

// Groups a pool's ports by what is known of steering; for every pool that was made anew.
void turn_pool_steer(struct turn_core *core, struct relay_pool *pool);

// Families by slot: [0] IPv4, [1] IPv6. STUN's numbers for them.
extern const uint8_t turn_slot_stun_family[2];
bool turn_family_configured(const struct turn_core *core, unsigned slot);

// Ports of an Allocate. The unsigned ones return 0 or an error code.
// Takes ports for all families the request asks for; of two, one is enough (7.2 check 9), and the
// request tells then which one failed.
unsigned turn_ports_take(
	struct turn_core *core, struct turn_request *request, struct turn_allocation *allocation);
// The token under which the other half of an allocation's pair is held.
uint64_t turn_reservation_token(const struct turn_core *core, uint64_t allocation_id);
// Puts the upper port of the pair that was taken under that token; false without memory. Its time
// begins with turn_pair_made, when the client is told. turn_pair_drop gives it back before that.
bool turn_pair_hold(struct turn_core *core, const struct turn_request *request,
	const struct turn_allocation *allocation);
void turn_pair_made(struct turn_core *core, uint64_t allocation_id, uint64_t now_ms);
void turn_pair_drop(struct turn_core *core, const struct turn_request *request);
// The reserved port of the request's token becomes the allocation's, for good with
// turn_reservation_used, or goes back with turn_reservation_unclaim.
unsigned turn_reservation_claim(struct turn_core *core, struct turn_request *request,
	struct turn_allocation *allocation, uint64_t now_ms);
void turn_reservation_used(struct turn_core *core, uint64_t token);
void turn_reservation_unclaim(struct turn_core *core, const struct turn_request *request,
	struct turn_allocation *allocation);
