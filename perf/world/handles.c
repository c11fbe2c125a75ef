// SPDX-License-Identifier: BSD-3-Clause
// See handles.h.
#include "perf/world/handles.h"

#include "dataplane/stage/pass.h"
#include "dataplane/stage/relay_usual.h"

static uint32_t handle_of(const struct pass *pass, unsigned at)
{
	return relay_load32(pass_frame(pass, at) + pass->burst.headers[at].payload_offset + 4);
}

// The handle is bound to the transport address it was opened from.
static bool bound(const struct session *s, const struct headers *h)
{
	uint64_t address[2];
	mappings_copy_address((uint8_t *)address, h->source, h->family);
	return mappings_words_equal(s->client, address) && s->client_port == h->source_port;
}

static void forward(struct pass *pass, unsigned at, const struct session *s)
{
	const struct headers *h = &pass->burst.headers[at];
	const uint8_t *payload = pass_frame(pass, at) + h->payload_offset;
	struct relay_usual u = {
		.source =
			pass->burst.worker->addresses->listen[s->relay & SESSION_RELAY_MASK].bytes,
		.destination = s->peer,
		.source_port = s->relayed_port,
		.destination_port = s->peer_port,
		.hop = s->to_peer,
		.epoch = s->hop_epoch,
		.offset = h->payload_offset + (unsigned)HANDLE_HEADER_LENGTH,
		.length = h->payload_length - (unsigned)HANDLE_HEADER_LENGTH,
	};
	// A channel's constant part is the nearest there is: the sum is as long, if not the same.
	u.goes = 2u * datagram_be16(h->l4_length) + checksum_sum4(payload) +
		 checksum_sum4(payload + 4);
	u.comes = 2u * datagram_be16(u.length + HEADERS_UDP_LENGTH) + s->delta;
	if (!bound(s, h) || ticks_passed(s->deadline, pass->tick) ||
		!relay_usual(pass, at, NET_IPV4, &u))
		pass_drop(pass, at, DROP_no_channel);
}

void handles_run(struct worker *worker, struct rte_mbuf **mbufs, unsigned count, uint64_t now)
{
	struct pass pass;
	pass.burst.worker = worker;
	pass.burst.now = now;
	pass.burst.port = 0;
	pass.tick = ticks_of(now);
	pass.routes_epoch = atomic_load(&worker->next_hops->routes_epoch);
	pass.flow[PASS_CHANNEL_DATA].count = pass.flow[PASS_PEER].count = pass.later.count = 0;
	pass.out_count = 0;
	pass.checksums_whole = worker->port_checksums_whole[0];
	memcpy(pass.burst.mbufs, mbufs, count * sizeof(*mbufs));
	pass.burst.count = (uint16_t)count;
	stage_parse(&pass, false);
	const struct session *sessions = worker->mappings->sessions;
	for (unsigned i = 0; i < pass.later.count; i++)
		__builtin_prefetch(&sessions[handle_of(&pass, pass.later.at[i])]);
	for (unsigned i = 0; i < pass.later.count; i++) {
		unsigned at = pass.later.at[i];
		forward(&pass, at, &sessions[handle_of(&pass, at)]);
	}
	stage_transmit(&pass);
}
