// SPDX-License-Identifier: BSD-3-Clause
// Messages on <run>/control.sock (SOCK_SEQPACKET), between relayctl and relay-controlplane.
//
// Framing and rules are those of dataplane/api/messages.h: struct api_header, payload padded to a
// multiple of 4, little endian, an answer repeats id and type and carries the payload's size or a
// negative errno, a list is a stream of answers ended by one of length 0. One difference: a
// datagram to the control plane holds exactly one request, and the next one is looked at when the
// last has been answered. The first request must be ADMIN_HELLO with the right version; anything
// else before it, an unknown type, or a payload of the wrong size is answered with -EPROTO and
// closes the connection. No message names a client or a peer; the addresses in struct admin_status
// and the prefixes in rules are those that the operator wrote into the configuration or set.
#pragma once

#include "dataplane/api/messages.h"

#include <assert.h>
#include <stdint.h>

enum {
	ADMIN_VERSION = 1,
	ADMIN_REQUEST_MAX = 2080, // bytes of a whole request datagram
	ADMIN_LISTEN_MAX = 16,
	ADMIN_WARNINGS_MAX = 8,
	ADMIN_WARNING_SIZE = 192,
	ADMIN_NO_DEADLINE = 0xFFFFFFFF,
	// A kind of struct api_counter beside enum api_counter_kind: counts of the TURN core, not
	// of a worker.
	ADMIN_COUNTER_TURN = 64,
	ADMIN_COUNTER_REGISTRATION = 65, // of the registration core
	ADMIN_COUNTER_TOKENS = 66,       // of controlplane/tokens
	ADMIN_TOKEN_BATCH_MAX = 64,      // tokens of one request
	ADMIN_TOKEN_ELEMENT_SIZE = 32,
	ADMIN_TOKEN_PROOF_SIZE = 64,
};

enum admin_type {
	ADMIN_HELLO = 1,
	// anybody the socket's mode lets in
	ADMIN_STATUS = 16, // one struct admin_status
	ADMIN_VERSIONS,    // one struct admin_versions
	ADMIN_STATS,       // stream of struct api_counter
	ADMIN_PORTS,       // stream of struct api_port
	ADMIN_WORKERS,     // stream of struct api_worker
	// uid 0, or the control plane's own; -EPERM for others
	ADMIN_DRAIN = 32,   // struct admin_drain; empty answer
	ADMIN_UNDRAIN,      // empty answer
	ADMIN_RELOAD,       // stream of struct admin_change
	ADMIN_RELOAD_CHECK, // the same, and nothing changes
	// the guard
	ADMIN_GUARD_RULES = 48, // stream of struct api_guard_rule; for anybody
	ADMIN_GUARD_LIMITS,     // one struct api_guard_limits; for anybody
	ADMIN_GUARD_SET = 52,   // struct api_guard_rule, its origin is not looked at; empty answer;
				// privileged as above
	ADMIN_GUARD_REMOVE,     // struct net_prefix; empty answer; privileged
	// tokens; all privileged; -EOPNOTSUPP: the configuration uses none, so there is no store
	ADMIN_TOKEN_KEYS = 64, // stream of struct admin_token_key, the oldest first
	ADMIN_TOKEN_ROTATE,    // one struct admin_token_key, the one that issues from now on
	ADMIN_TOKEN_RETIRE,    // struct admin_token_retire; empty answer
	ADMIN_TOKEN_ISSUE,     // struct admin_token_request; one struct admin_token_answer
};

struct admin_hello {
	uint32_t version; // ADMIN_VERSION; -EPROTONOSUPPORT for others
	uint32_t reserved;
};
static_assert(sizeof(struct admin_hello) == 8, "wire");

struct admin_hello_answer {
	uint32_t version;
	uint32_t reserved;
};
static_assert(sizeof(struct admin_hello_answer) == 8, "wire");

struct admin_versions {
	char controlplane[16];
	char dataplane[16]; // empty: not reachable
};
static_assert(sizeof(struct admin_versions) == 32, "wire");

struct admin_drain {
	uint32_t
		deadline_ms; // when live allocations are ended and wiped; 0: now; ADMIN_NO_DEADLINE
	uint32_t reserved;
};
static_assert(sizeof(struct admin_drain) == 8, "wire");

// What became of a changed key of the configuration file, or one item that says why nothing was
// taken over. Keys that did not change are not told.
enum admin_outcome {
	ADMIN_APPLIED = 1,            // RELOAD_CHECK: would be
	ADMIN_NEEDS_DATAPLANE = 2,    // restart of relay-dataplane
	ADMIN_NEEDS_CONTROLPLANE = 3, // restart of relay-controlplane
	ADMIN_NEEDS_BOTH = 4,
	ADMIN_REFUSED = 5,         // text tells; nothing has changed
	ADMIN_DATAPLANE_LATER = 6, // no key: there is no dataplane; it is told when it connects
};

struct admin_change {
	uint32_t outcome; // enum admin_outcome
	uint32_t reserved;
	char section[16];
	char key[32];
	char text[512];
};
static_assert(sizeof(struct admin_change) == 568, "wire");

enum admin_state {
	ADMIN_STATE_SERVING = 1,
	ADMIN_STATE_DRAINING = 2,
	ADMIN_STATE_UNREACHABLE = 3, // no dataplane: what it would tell is zero
};

// Key-free registration. Limits and numbers as in struct config.
struct admin_registration {
	uint64_t leases, leases_max;   // devices of addresses, of the dataplane
	uint64_t handles, handles_max; // ends of pairs
	uint32_t enabled;              // by the configuration
	uint32_t served;               // enabled, and the relay has its key
	uint32_t admission;            // enum config_admission
	uint32_t epoch, epoch_seconds;
	uint32_t load;       // registrations a second that had to be admitted
	uint32_t difficulty; // zero bits that puzzles have to have now
	uint32_t sender_bytes, address_bytes, new_leases, puzzle_above;
	uint32_t reserved;
	uint8_t relay_key[32]; // X25519, public; zero without one
};
static_assert(sizeof(struct admin_registration) == 112, "wire");

// Text is terminated. Sets and numbers as in struct config.
struct admin_status {
	char name[64];
	char realm[128];
	char controlplane_version[16];
	char dataplane_version[16];
	uint64_t controlplane_uptime_ms;
	uint64_t dataplane_uptime_ms;
	uint32_t state;         // enum admin_state
	uint32_t drain_left_ms; // draining: until live allocations are ended, or ADMIN_NO_DEADLINE
	uint64_t allocations;
	uint64_t allocations_max;
	uint64_t relay_ports_free; // over all relay addresses
	uint64_t relay_ports_total;
	uint64_t to_peer_packets, to_peer_bytes;
	uint64_t to_client_packets, to_client_bytes;
	uint64_t drops;
	uint64_t mbufs_free, mbufs_total;
	uint32_t workers;
	uint32_t ports;
	uint32_t auth;      // set of enum config_auth
	uint32_t hugepages; // 1: in use
	uint16_t port, alternate_port;
	uint16_t relay_first, relay_last;
	uint32_t listen_count;
	uint32_t warning_count;
	struct net_address listen[ADMIN_LISTEN_MAX];
	struct admin_registration registration;
	char warnings[ADMIN_WARNINGS_MAX][ADMIN_WARNING_SIZE];
};
static_assert(sizeof(struct admin_status) == 2336, "wire");

enum admin_token_state {
	ADMIN_TOKEN_ISSUING = 1,
	ADMIN_TOKEN_ACCEPTING = 2,
	ADMIN_TOKEN_RETIRED = 3,
};

struct admin_token_key {
	uint32_t id;
	uint32_t state;     // enum admin_token_state
	uint64_t created_s; // UNIX time
	uint64_t issued, spent;
	uint8_t public_key[ADMIN_TOKEN_ELEMENT_SIZE];
};
static_assert(sizeof(struct admin_token_key) == 64, "wire");

// -ENOENT: there is no such key; -EINVAL: it issues, or is retired already; -EBUSY, as ROTATE: the
// keys are being changed.
struct admin_token_retire {
	uint32_t id;
	uint32_t reserved;
};
static_assert(sizeof(struct admin_token_retire) == 8, "wire");

// -EBADMSG: no count from 1 to ADMIN_TOKEN_BATCH_MAX, or a blinded element is none.
struct admin_token_request {
	uint32_t count;
	uint32_t reserved;
	uint8_t blinded[ADMIN_TOKEN_BATCH_MAX][ADMIN_TOKEN_ELEMENT_SIZE]; // zeros behind count
};
static_assert(sizeof(struct admin_token_request) == 2056, "wire");

struct admin_token_answer {
	uint32_t key_id;
	uint32_t count;
	uint8_t public_key[ADMIN_TOKEN_ELEMENT_SIZE];
	uint8_t proof[ADMIN_TOKEN_PROOF_SIZE];
	uint8_t evaluated[ADMIN_TOKEN_BATCH_MAX][ADMIN_TOKEN_ELEMENT_SIZE];
};
static_assert(sizeof(struct admin_token_answer) == 2152, "wire");
