// SPDX-License-Identifier: BSD-3-Clause
// What the dataplane counts: packets and cycles per stage, packets per drop reason, events. All
// without identity. One block per worker; // worker: rw, main: ro (plain 64-bit loads; a reading
// may be a burst old).
#pragma once

#include <stdint.h>

// clang-format off
#define STATS_STAGES(X) \
	X(receive) X(parse) X(guard) X(classify) X(look_up) X(binding_reply) X(client_to_peer) X(peer_to_client) X(punt) \
	X(by_handle) X(by_address) X(control) \
	X(kernel) X(handed_in) X(transmit) X(install) X(expiry)

// Every packet that is not forwarded, answered, punted or given to the kernel ends in exactly one of these.
#define STATS_DROPS(X) \
	X(truncated) X(bad_length) X(bad_checksum) X(fragment) X(ip_options) X(not_ours) X(no_kernel_path) \
	X(stun_malformed) X(stun_unexpected) X(first_byte_unknown) X(channel_malformed) X(channel_out_of_range) \
	X(no_allocation) X(no_channel) X(no_permission) X(allocation_expired) X(generation_stale) X(send_malformed) \
	X(send_peer_family) X(hop_limit) X(too_big) X(icmp_unmatched) \
	X(blocked) X(reply_budget) X(punt_budget) X(punt_total) X(punt_ring_full) X(handoff_ring_full) X(handoff_share) X(kernel_ring_full) \
	X(no_route) X(blackhole) X(neighbour_unresolved) X(link_down) X(transmit_full) X(no_mbuf) X(not_owner) X(bad_relayed_source) \
	X(native_off) X(native_malformed) X(native_version) X(native_type) X(native_hops) \
	X(handle_unknown) X(handle_source) X(handle_busy) X(handle_proof) X(path_token) X(path_old) \
	X(address_unknown) X(address_busy) X(address_budget) X(sender_budget)

#define STATS_EVENTS(X) \
	X(allocations_installed) X(allocations_expired) X(allocations_removed) X(permissions_installed) X(channels_bound) \
	X(install_refused) X(flood_refused) X(handoff_out) X(client_elsewhere) X(client_index_full) X(hairpin) X(checksum_completed) X(checksum_incremental) \
	X(relayed_to_peer_packets) X(relayed_to_peer_bytes) X(relayed_to_client_packets) X(relayed_to_client_bytes) \
	X(binding_replies) X(binding_errors) X(icmp_relayed) X(neighbour_held) X(laundered_buffers) X(keepalive) \
	X(by_handle_packets) X(by_handle_bytes) X(by_address_packets) X(by_address_bytes) X(by_address_copies) \
	X(native_challenges) X(native_unsupported) X(native_refused) X(native_punts) X(native_keepalives) \
	X(path_challenges) X(paths_moved) X(handles_closed) X(closed_again)
// clang-format on

#define STATS_ENUM_STAGE(name) STAGE_##name,
#define STATS_ENUM_DROP(name)  DROP_##name,
#define STATS_ENUM_EVENT(name) EVENT_##name,

enum stats_stage { STATS_STAGES(STATS_ENUM_STAGE) STATS_STAGE_COUNT };
enum stats_drop { STATS_DROPS(STATS_ENUM_DROP) STATS_DROP_COUNT };
enum stats_event { STATS_EVENTS(STATS_ENUM_EVENT) STATS_EVENT_COUNT };

struct stats {
	struct {
		uint64_t packets;
		uint64_t cycles;
	} stage[STATS_STAGE_COUNT];
	uint64_t drop[STATS_DROP_COUNT];
	uint64_t event[STATS_EVENT_COUNT];
};

extern const char *const stats_stage_names[STATS_STAGE_COUNT];
extern const char *const stats_drop_names[STATS_DROP_COUNT];
extern const char *const stats_event_names[STATS_EVENT_COUNT];
