// SPDX-License-Identifier: BSD-3-Clause
// The dataplane's only face to other programs: messages on <run>/dataplane.sock (SOCK_SEQPACKET).
//
// Framing. One datagram carries one or more messages back to back, at most API_DATAGRAM_MAX bytes;
// each message is a struct api_header and then `length` bytes of payload padded with zeros to a
// multiple of 4. Everything is little endian, fixed width; transport addresses are struct
// net_endpoint (address bytes in network order, port as a little-endian number).
// A request has id != 0; its answer repeats id and type and carries in `length` the payload's size,
// or a negative errno and no payload. Events (punted packets, expiries) have id 0. A list is a
// stream of answers with one id, ended by one of length 0. The first request must be API_HELLO with
// the right version; anything else before it, an unknown type, or a payload of the wrong size
// closes the connection. Requests on one connection are executed, and answered, in order per
// worker. No message tells a client's address but the punted packet itself and what the control
// plane installs; none can be asked for.
#pragma once

#include "lib/net/address.h"

#include <assert.h>
#include <stdint.h>

enum {
	API_VERSION = 2,
	API_DATAGRAM_MAX = 65536,
	API_PAYLOAD_MAX = 16384,
	API_PERMISSIONS_MAX = 32,
	API_NEXT_HOPS_MAX = 8,
	API_GUARD_RULES_MAX = 4096,
	API_NO_PORT = 0xFFFF,
};

enum api_type {
	API_HELLO = 1,
	// installs; control role only
	API_ALLOCATION_INSTALL = 16,
	API_ALLOCATION_REFRESH,
	API_ALLOCATION_REMOVE,
	API_PERMISSIONS_INSTALL,
	API_CHANNEL_BIND,
	API_PACKET_SEND, // not answered
	API_SNAPSHOT,    // stream of api_snapshot_item
	API_DRAIN,
	// routing, mirrored from the kernel; control role only
	API_LINK_SET = 32,
	API_LINK_DELETE,
	API_ROUTE_SET,
	API_ROUTE_DELETE,
	API_NEIGHBOUR_SET,
	API_NEIGHBOUR_DELETE,
	API_ROUTING_SYNCED, // no payload: all of the kernel's state has been sent; what was not
			    // sent since hello is forgotten
	// reading; any role
	API_COUNTERS = 48, // stream of api_counter
	API_PORTS,         // stream of api_port
	API_WORKERS,       // stream of api_worker
	API_GAUGES,        // one api_gauges
	// events, id 0, to the control role only
	API_PUNT = 64,
	API_EXPIRED,
	API_NEIGHBOUR_WANTED,
	API_RESYNC, // events were lost: take a snapshot
	// configuration; control role only
	API_SETTINGS = 96, // answered once all workers go by it
	API_CONFIG_KEYS,   // stream of api_config_key
	// reading; any role
	API_STEERING = 104, // stream of api_steering
	// the guard
	API_GUARD_SET = 80,   // struct api_guard_rule; control role only
	API_GUARD_REMOVE,     // struct net_prefix; control role only
	API_GUARD_LIMITS_SET, // struct api_guard_limits; control role only
	API_GUARD_RULES = 84, // stream of api_guard_rule; any role
	API_GUARD_LIMITS,     // one api_guard_limits; any role
	// the native protocol; control role only
	API_LEASE_SET = 112,   // struct api_lease
	API_LEASE_REMOVE,      // struct api_lease
	API_HANDLES_INSTALL,   // struct api_handles_install; answer: struct api_handles_installed
	API_NATIVE_DELIVER,    // struct api_native_deliver; answer: struct api_native_delivered
	API_NATIVE_SETTINGS,   // struct api_native_settings
	API_NATIVE_PUNT = 128, // event
};

struct api_header {
	uint32_t id;
	uint32_t type;
	int32_t length; // of the payload without padding, or a negative errno
};
static_assert(sizeof(struct api_header) == 12, "wire");

static inline uint32_t api_padded(uint32_t length)
{
	return (length + 3u) & ~3u;
}

enum api_role {
	API_ROLE_CONTROL =
		1, // one connection at a time; a second gets -EBUSY while the first lives
	API_ROLE_OBSERVER = 2,
};

struct api_hello {
	uint32_t version; // API_VERSION
	uint32_t role;
};
static_assert(sizeof(struct api_hello) == 8, "wire");

struct api_hello_answer {
	uint32_t version;
	uint32_t workers;
	uint32_t ports;
	uint32_t allocations_max; // per worker
	uint64_t
		instance; // random per start of the dataplane: a change means all mappings are gone
	uint64_t uptime_ms;
	uint8_t tag_key[16];    // SipHash key for quota tags; zero for observers
	uint32_t draining;      // 0 or 1
	uint32_t drain_left_ms; // UINT32_MAX: no deadline
	char program_version[16];
	uint8_t secret[32]; // random per start, for what the control plane seals and must be able
			    // to open after a restart of its own; zero for observers
};
static_assert(sizeof(struct api_hello_answer) == 104, "wire");

// Flags of an allocation, chosen by the control plane, given back in every punt's context; the
// dataplane does not interpret them.
enum {
	API_ALLOCATION_HAS_RESERVATION = 1, // EVEN-PORT with R was granted
	API_ALLOCATION_OPEN = 2,            // made without authentication
};

// ---- installs ----

// 0; -EEXIST the 5-tuple has an allocation already; -EADDRINUSE a relayed port is taken; -ENOSPC
// tables full; -EAGAIN new-session rate above the flood rule; -EINVAL worker, server or relayed
// address not configured; -ESHUTDOWN draining.
struct api_allocation_install {
	uint64_t allocation_id; // random, not 0
	uint64_t credential_tag;
	uint64_t prefix_tag;
	struct net_endpoint client;
	struct net_endpoint server;     // listen address and port the client uses
	struct net_endpoint relayed[2]; // [0] IPv4, [1] IPv6; family NET_UNSPECIFIED: none
	uint32_t lifetime_ms;
	uint16_t worker; // owner: the worker that punted the request
	uint16_t flags;
	uint8_t transaction[12]; // of the Allocate, for idempotent retransmission
	uint32_t reserved;
};
static_assert(sizeof(struct api_allocation_install) == 144, "wire");

// Refresh and remove. -ENOENT when it is gone. lifetime_ms is not used by remove. A removed
// allocation makes no API_EXPIRED. family: 0 the whole allocation; NET_IPV4 or NET_IPV6, with
// remove of a dual allocation only (-EINVAL otherwise): that relayed address goes with its
// permissions and channels, the other one stays (RFC 8656 8.1).
struct api_allocation_change {
	uint64_t allocation_id;
	uint32_t lifetime_ms;
	uint16_t worker;
	uint16_t family; // enum net_family
};
static_assert(sizeof(struct api_allocation_change) == 16, "wire");

// Installs or refreshes all of them or none. -ENOENT; -ENOSPC more than the allocation or the
// worker may have.
struct api_permissions_install {
	uint64_t allocation_id;
	uint32_t lifetime_ms;
	uint16_t worker;
	uint16_t count; // 1 to API_PERMISSIONS_MAX; only that many addresses follow on the wire
	struct net_address peers[];
};
static_assert(sizeof(struct api_permissions_install) == 16, "wire");

// Binds or refreshes, and installs or refreshes the permission of the peer's address. -ENOENT;
// -EADDRINUSE channel bound to another peer, or peer to another channel, of this allocation;
// -ENOSPC.
struct api_channel_bind {
	uint64_t allocation_id;
	uint32_t lifetime_ms;
	uint32_t permission_lifetime_ms;
	struct net_endpoint peer;
	uint16_t worker;
	uint16_t channel;
	uint32_t reserved;
};
static_assert(sizeof(struct api_channel_bind) == 48, "wire");

// A UDP datagram from one of our listen addresses; routed by the worker as any other. payload
// follows.
struct api_packet_send {
	struct net_endpoint source;
	struct net_endpoint destination;
	uint16_t worker;
	uint16_t length; // bytes of payload that follow
	uint16_t flags;
	uint16_t reserved;
};
static_assert(sizeof(struct api_packet_send) == 56, "wire");

enum {
	API_SEND_UNAUTHENTICATED = 1, // charge the per-prefix reply budget
};

struct api_drain {
	uint32_t on;          // 1: refuse new allocations; 0: serve again
	uint32_t deadline_ms; // when live ones are ended and wiped; UINT32_MAX: never; 0: now
};
static_assert(sizeof(struct api_drain) == 8, "wire");

// What of the configuration may change while the dataplane runs. The control plane sends it with
// every connection and when its configuration changes, so that both agree whichever was started
// last. Live mappings are not touched: relayed ports outside of a new range are served as long as
// an allocation has one, and so are channel numbers above a new channel_last. -EINVAL: a range that
// is none or holds a port we listen on; -EADDRINUSE: allocations on an earlier range live still,
// and no range that holds both earlier ones keeps clear of our ports.
struct api_settings {
	uint16_t relay_first, relay_last; // inclusive
	uint16_t channel_last;            // highest channel number clients may bind
	uint16_t idle;                    // enum config_idle
};
static_assert(sizeof(struct api_settings) == 8, "wire");

// A key of the configuration: a keyed hash (under tag_key) of the value that the dataplane was
// started with, lib/config/difference.h. Of credentials it tells nothing: they were wiped. Text is
// terminated.
struct api_config_key {
	char section[16];
	char name[24];
	uint8_t digest[16];
};
static_assert(sizeof(struct api_config_key) == 56, "wire");

struct api_snapshot_item {
	uint64_t allocation_id;
	uint64_t credential_tag;
	uint64_t prefix_tag;
	struct net_endpoint relayed[2]; // ours, not a client's
	uint32_t remaining_ms;
	uint16_t worker;
	uint16_t flags;
};
static_assert(sizeof(struct api_snapshot_item) == 80, "wire");

// ---- routing ----

// A kernel interface through which a port is reached: the port's own, or a VLAN interface on it.
struct api_link_set {
	uint32_t ifindex;        // kernel's index, the key
	char port_interface[16]; // kernel name of the port's own interface (for a VLAN interface:
				 // its lower one)
	uint16_t vlan;           // 0: untagged
	uint16_t mtu;
	uint8_t mac[6];
	uint8_t up;
	uint8_t reserved;
};
static_assert(sizeof(struct api_link_set) == 32, "wire");

struct api_link_delete {
	uint32_t ifindex;
	uint32_t reserved;
};
static_assert(sizeof(struct api_link_delete) == 8, "wire");

struct api_next_hop {
	uint32_t ifindex;
	struct net_address gateway; // family NET_UNSPECIFIED: on link. May be IPv6 for an IPv4
				    // route (RFC 8950).
};
static_assert(sizeof(struct api_next_hop) == 24, "wire");

// Replaces the route of that prefix. A count of 0 is a blackhole. ROUTE_DELETE carries the same
// with count 0.
struct api_route {
	struct net_prefix prefix;
	uint16_t count;
	uint16_t reserved[3];
	struct api_next_hop hops[API_NEXT_HOPS_MAX];
};
static_assert(sizeof(struct api_route) == 224, "wire");

// mac is ignored by NEIGHBOUR_DELETE.
struct api_neighbour {
	uint32_t ifindex;
	struct net_address address;
	uint8_t mac[6];
	uint16_t reserved;
};
static_assert(sizeof(struct api_neighbour) == 32, "wire");

// ---- events ----

// What the worker found for the packet's 5-tuple; allocation_id 0: nothing.
struct api_allocation_context {
	uint64_t allocation_id;
	uint64_t credential_tag;
	uint64_t prefix_tag;
	struct net_endpoint relayed[2];
	uint32_t remaining_ms;
	uint16_t flags;
	uint16_t worker; // owner, may differ from the punting worker
	uint8_t transaction[12];
	uint32_t reserved;
};
static_assert(sizeof(struct api_allocation_context) == 96, "wire");

// A STUN message for the control plane. payload follows.
struct api_punt {
	struct net_endpoint source;
	struct net_endpoint destination;
	struct api_allocation_context allocation;
	uint16_t worker; // that received it
	uint16_t port;
	uint16_t length;
	uint16_t reserved;
};
static_assert(sizeof(struct api_punt) == 152, "wire");

struct api_expired {
	uint64_t allocation_id;
	uint16_t worker;
	uint16_t reserved[3];
};
static_assert(sizeof(struct api_expired) == 16, "wire");

// A next hop without a known MAC: the control plane makes the kernel resolve it.
struct api_neighbour_wanted {
	uint32_t ifindex;
	struct net_address address;
};
static_assert(sizeof(struct api_neighbour_wanted) == 24, "wire");

// ---- reading ----

enum api_counter_kind {
	API_COUNTER_STAGE = 1, // value: packets, cycles: TSC cycles spent
	API_COUNTER_DROP = 2,
	API_COUNTER_EVENT = 3,
};

struct api_counter {
	uint16_t worker; // API_NO_PORT: not of a worker (main lcore, XDP program)
	uint16_t kind;
	char name[36]; // terminated; [a-z0-9_]
	uint64_t value;
	uint64_t cycles;
};
static_assert(sizeof(struct api_counter) == 56, "wire");

// How what peers send to a relayed port gets to the worker that owns it, per port and family.
enum api_steering_way {
	API_STEERING_NONE = 0,   // no address of this family
	API_STEERING_ONE_WORKER, // all of the port comes to one worker
	API_STEERING_RSS,        // hash key and redirection table of the device
	API_STEERING_RULES,      // rte_flow rules of the device
	API_STEERING_NTUPLE,     // the kernel's n-tuple filters of the card (ethtool)
	API_STEERING_HANDOFF,    // the worker that receives it hands it over
};

struct api_port {
	uint16_t port;
	uint16_t queues;
	uint8_t mac[6];
	uint8_t up;
	uint8_t has_exception; // packets for the kernel go through a TAP
	uint32_t speed_mbps;   // 0: unknown
	char name[64];         // as configured
	char driver[32];
	char kernel_interface[16]; // whose addresses, routes and neighbours count for this port
	uint8_t steering[2];       // enum api_steering_way: IPv4, IPv6
	uint16_t reserved;
	uint64_t rx_packets, rx_bytes, rx_missed, rx_errors;
	uint64_t tx_packets, tx_bytes, tx_errors;
};
static_assert(sizeof(struct api_port) == 192, "wire");

struct api_worker {
	uint16_t worker;
	uint16_t core;
	uint32_t queues;
	uint64_t allocations, permissions, channels, allocations_max;
	uint64_t rx_packets, tx_packets, handoffs_in, handoffs_out;
	uint64_t busy_cycles, idle_cycles;
};
static_assert(sizeof(struct api_worker) == 88, "wire");

// Which worker receives what peers send to a relayed port: a run of pairs of ports of one family,
// (first_port, first_port + 1) and so on, the same worker for both ports of a pair. Pairs that are
// in no run, or whose worker is API_STEERING_NOBODY, are as good for one worker as for another. A
// stream without items: all are.
enum { API_STEERING_PAIRS = 1024, API_STEERING_NOBODY = 0xFF };
struct api_steering {
	uint16_t family;     // enum net_family
	uint16_t first_port; // even
	uint16_t pairs;      // 1 to API_STEERING_PAIRS
	uint16_t workers;    // of the dataplane
	uint8_t worker[API_STEERING_PAIRS];
};
static_assert(sizeof(struct api_steering) == 1032, "wire");

struct api_gauges {
	uint64_t uptime_ms;
	uint64_t allocations;
	uint64_t relayed_to_peer_packets, relayed_to_peer_bytes;
	uint64_t relayed_to_client_packets, relayed_to_client_bytes;
	uint64_t drops;
	uint64_t mbufs_free, mbufs_total;
	uint32_t draining, drain_left_ms;
	uint32_t hugepages; // 1: in use
	uint32_t reserved;
	uint64_t leases, leases_max;   // of the native protocol: devices of addresses
	uint64_t handles, handles_max; // ends of pairs
};
static_assert(sizeof(struct api_gauges) == 120, "wire");

// ---- the native protocol (lib/wire/README.md) ----
//
// Leases and handles are written by main and read by all workers; nobody but the dataplane keeps
// them, so a restarted control plane needs no snapshot. No message gives back what was installed.

// SET makes, renews or moves the lease of (address, device). issued: of the cookie that the message
// showed, as API_NATIVE_PUNT told. 0; -ESTALE: an equal one on another transport address, or an
// older one, than of the last change of this device; -EMLINK the address has 8 other devices;
// -ENOSPC full; -EAGAIN above the rate of new leases; -EINVAL server address not ours, client at
// one of our own; -ESHUTDOWN draining (renewals and moves go on). An equal one on the same
// transport address changes nothing and is 0. REMOVE: 0, also when there is none; an equal one
// removes as well; -ESTALE as above. After it no cookie up to `issued` makes the lease again; where
// there is nothing that this could be remembered in, -ENOSPC and -EAGAIN as above.
struct api_lease {
	uint8_t address[32];
	uint8_t device[8];
	struct net_endpoint client;
	struct net_endpoint server; // listen address and port the client uses
	uint32_t lifetime_ms;
	uint32_t issued;
};
static_assert(sizeof(struct api_lease) == 96, "wire");

// One end of a pair of handles. key: the path key.
struct api_handle_end {
	struct net_endpoint client;
	struct net_endpoint server;
	uint8_t key[16];
};
static_assert(sizeof(struct api_handle_end) == 64, "wire");

// [0] caller, [1] callee. 0 and the handles. The open id of a live pair with the same two path
// keys: the same handles again, wherever its clients are by now; with others, or of a pair that was
// closed less than 30 s ago: -EEXIST. -ENOSPC; -EINVAL as above, or no lifetime; -ESHUTDOWN
// draining.
struct api_handles_install {
	uint8_t open_id[16];
	struct api_handle_end end[2];
	uint32_t lifetime_ms; // without a keepalive
	uint32_t reserved;
};
static_assert(sizeof(struct api_handles_install) == 152, "wire");

// As struct native_handle.
struct api_handles_installed {
	uint16_t generation[2];
	uint32_t index[2];
	uint32_t again; // 1: they were there
};
static_assert(sizeof(struct api_handles_installed) == 16, "wire");

// A datagram of ours to all devices of an address. payload follows. Answer: to how many; -ENOENT
// none; -EAGAIN it would be more than address_bytes of struct api_native_settings allows.
struct api_native_deliver {
	uint8_t address[32];
	uint16_t worker; // that sends it
	uint16_t length;
	uint32_t reserved;
};
static_assert(sizeof(struct api_native_deliver) == 40, "wire");

struct api_native_delivered {
	uint32_t devices;
	uint32_t reserved;
};
static_assert(sizeof(struct api_native_delivered) == 8, "wire");

enum {
	API_NATIVE_SERVED = 1,       // without it, first bytes 4 to 6 are dropped
	API_NATIVE_TELL_UNKNOWN = 2, // punt data for addresses without a lease
};

// What workers tell clients in CHALLENGE, and budgets. Sent with every connection and at each
// change; answered once all workers go by it.
struct api_native_settings {
	uint32_t epoch, epoch_seconds;
	uint32_t sender_bytes;  // per second and worker, of data by address from one source
	uint32_t address_bytes; // per second and worker, of data and invitations for one address
	uint32_t new_leases;    // per second
	uint8_t difficulty;     // zero bits
	uint8_t admission;      // enum native_admission
	uint16_t flags;         // API_NATIVE_*
};
static_assert(sizeof(struct api_native_settings) == 24, "wire");

// HERE: the source is a device of the address (of OPEN's caller, of ACCEPT's callee, of REGISTER).
enum {
	API_NATIVE_PUNT_KNOWN = 1, // REGISTER: the device has a lease of the address
	API_NATIVE_PUNT_HERE = 2,
	API_NATIVE_PUNT_UNKNOWN = 4, // data for an address without a lease
};

// A native message with a good cookie: REGISTER, OPEN, ACCEPT, or data for an address without a
// lease. payload follows.
struct api_native_punt {
	struct net_endpoint source;
	struct net_endpoint destination;
	uint8_t cookie[12];    // a fresh one for the source
	uint32_t issued;       // of the cookie that was shown
	uint32_t remaining_ms; // of the lease of API_NATIVE_PUNT_KNOWN
	uint16_t flags;        // API_NATIVE_PUNT_*
	uint16_t worker;       // that received it
	uint16_t port;
	uint16_t length;
	uint32_t reserved;
};
static_assert(sizeof(struct api_native_punt) == 80, "wire");

// ---- the guard ----

enum api_guard_action {
	API_GUARD_BLOCK = 1,
	API_GUARD_ALLOW = 2, // an exception within a blocked prefix
};

enum api_guard_origin {
	API_GUARD_CONFIGURED = 1, // stands in the configuration
	API_GUARD_ADDED = 2,      // set since the start
};

// The rule of a prefix of sources; the longest prefix that holds a source decides. API_GUARD_SET
// replaces the prefix's rule. 0; -EINVAL no prefix, or set bits behind its length; -ENOSPC too many
// rules. API_GUARD_REMOVE: -ENOENT the prefix has none. No live mapping ends by a rule.
struct api_guard_rule {
	struct net_prefix prefix;
	uint8_t action; // enum api_guard_action
	uint8_t origin; // enum api_guard_origin
	uint16_t reserved;
};
static_assert(sizeof(struct api_guard_rule) == 28, "wire");

// Per second; each from 1 to 10^9. The first three are of one source prefix (/24, /56) over all
// workers, punts_total is of all prefixes over all workers, new_allocations of each worker.
struct api_guard_limits {
	uint32_t reply_bytes;
	uint32_t punts;
	uint32_t punts_with_allocation;
	uint32_t punts_total;
	uint32_t new_allocations;
};
static_assert(sizeof(struct api_guard_limits) == 20, "wire");
