// SPDX-License-Identifier: BSD-3-Clause
// One pass of a burst through the stages: the packets, the lists that classify sorts them into, and
// what leaves. Every mbuf of the burst is in exactly one list, then in `out`, in `hairpin`, or gone
// through one of the doors out of worker.h. Lives on the stack of pipeline.c; owner worker.
#pragma once

#include "dataplane/burst.h"
#include "dataplane/table/handles.h"
#include "dataplane/table/mappings.h"
#include "dataplane/table/next_hops.h"
#include "dataplane/worker.h"

#include <rte_cycles.h>
#include <rte_mbuf.h>

// Positions in the burst.
struct pass_list {
	unsigned count;
	uint8_t at[BURST_MAX];
};

enum pass_flow { PASS_PEER, PASS_CHANNEL_DATA, PASS_FLOWS };
enum pass_native { PASS_CONTROL, PASS_BY_ADDRESS, PASS_BY_HANDLE, PASS_NATIVES };

struct pass {
	struct burst burst;
	uint32_t tick;             // burst.now in ticks
	uint8_t own[BURST_MAX];    // index of the listen address it was sent to
	uint8_t server[BURST_MAX]; // client side: struct allocation's `server`
	struct pass_list later;    // not told apart by parse: classify's
	// What has a mapping of its own: ChannelData from clients, datagrams from peers; with their
	// keys, in the lists' order.
	struct pass_list flow[PASS_FLOWS];
	struct client_key key[PASS_FLOWS][BURST_MAX];
	uint32_t session[PASS_FLOWS][BURST_MAX]; // stage_look_up's: index or MAPPINGS_NONE
	bool handed; // by another worker: what is not ours now is nobody's
	struct pass_list binding, send, punt, icmp;
	struct pass_list native[PASS_NATIVES]; // by first byte
	bool checksums_whole;                  // of the port
	uint32_t routes_epoch;                 // next_hops.routes_epoch, read once per burst
	// Finished frames, in the order in which they go out, each with its port.
	unsigned out_count;
	uint16_t out_port[BURST_MAX];
	struct rte_mbuf *out[BURST_MAX];
	// Rewritten as if the peer had sent them; peer_to_client takes them in a second pass.
	unsigned hairpin_count;
	struct rte_mbuf *hairpin[BURST_MAX];
};

static inline void pass_list_add(struct pass_list *list, unsigned at)
{
	list->at[list->count++] = (uint8_t)at;
}

static inline uint8_t *pass_frame(const struct pass *pass, unsigned at)
{
	return rte_pktmbuf_mtod(pass->burst.mbufs[at], uint8_t *);
}

// A datagram from a client with ChannelData, to the listen address and port that `server` says.
static inline void pass_add_channel_data(
	struct pass *pass, unsigned at, const struct headers *h, unsigned channel, unsigned server)
{
	struct pass_list *list = &pass->flow[PASS_CHANNEL_DATA];
	client_key_set(&pass->key[PASS_CHANNEL_DATA][list->count], h->source, h->family,
		h->source_port, channel, server);
	pass->server[at] = (uint8_t)server;
	pass_list_add(list, at);
}

// A datagram to a relayed port of the listen address `own`.
static inline void pass_add_peer(
	struct pass *pass, unsigned at, const struct headers *h, unsigned own)
{
	struct pass_list *list = &pass->flow[PASS_PEER];
	peer_key_set((struct peer_key *)&pass->key[PASS_PEER][list->count], h->source, h->family,
		h->source_port, h->destination_port, own);
	pass->own[at] = (uint8_t)own;
	pass_list_add(list, at);
}

// A native datagram to the primary port, of 4 bytes or more. What its stage will wait for is sent
// for now, while others are parsed: a handle's line, or the end of an address, which is not in the
// line with the headers. A shorter datagram has something else there, inside of its buffer.
static inline __attribute__((always_inline)) void pass_add_native(
	struct pass *pass, unsigned at, enum pass_native which, const uint8_t *payload)
{
	if (which == PASS_BY_HANDLE) {
		uint32_t index;
		memcpy(&index, payload + NATIVE_BY_HANDLE_HEADER - 4, sizeof(index));
		handles_prefetch(pass->burst.worker->handles, __builtin_bswap32(index));
	} else {
		__builtin_prefetch(payload + NATIVE_BY_ADDRESS_HEADER - 1);
	}
	pass_list_add(&pass->native[which], at);
}

static inline void pass_send(struct pass *pass, struct rte_mbuf *mbuf, uint16_t port)
{
	pass->out_port[pass->out_count] = port;
	pass->out[pass->out_count++] = mbuf;
}

static inline void pass_drop(struct pass *pass, unsigned at, enum stats_drop reason)
{
	worker_drop(pass->burst.worker, pass->burst.mbufs[at], reason);
}

// Counts what a stage did since `start` and returns the new start.
static inline uint64_t pass_count(
	struct worker *worker, enum stats_stage stage, unsigned packets, uint64_t start)
{
	uint64_t now = rte_rdtsc();
	worker->stats.stage[stage].packets += packets;
	worker->stats.stage[stage].cycles += now - start;
	return now;
}

// ---- the stages, in their order ----

// early: what is plainly a channel's or a peer's is put into its list at once; the rest, or without
// it everything, is left to classify.
void stage_parse(struct pass *pass, bool early);
struct guard_table;
void stage_blocked(struct pass *pass, const struct guard_table *table);
void stage_classify(struct pass *pass);
// Of packets that another worker handed over: a peer's, or a client's whose allocation is here.
void stage_classify_handed(struct pass *pass);
void stage_binding_reply(struct pass *pass);
void stage_punt(struct pass *pass);
// The sessions of both flows; before the two stages that use them.
void stage_look_up(struct pass *pass);
void stage_client_to_peer(struct pass *pass);
void stage_send_indication(struct pass *pass);
void stage_peer_to_client(struct pass *pass, bool hand_off);
void stage_icmp_error(struct pass *pass, bool hand_off);
void stage_by_handle(struct pass *pass);
void stage_by_address(struct pass *pass);
void stage_control(struct pass *pass);
void stage_transmit(struct pass *pass);
