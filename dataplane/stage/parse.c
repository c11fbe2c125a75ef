// SPDX-License-Identifier: BSD-3-Clause
// First stage: headers of every frame. What is whole and plain goes on; what is broken is dropped
// by reason; what is the kernel's goes there. Owner worker.
#include "dataplane/native.h"
#include "dataplane/stage/kernel.h"
#include "dataplane/stage/pass.h"
#include "dataplane/stage/source.h"
#include "dataplane/table/relay_ports.h"
#include "lib/wire/channel_data.h"
#include "lib/wire/headers_plain.h"
#include "lib/wire/native.h"

enum { PREFETCH_AHEAD = 4 };

static void not_forwarded(struct pass *pass, unsigned at, enum headers_verdict verdict)
{
	switch (verdict) {
	case HEADERS_NOT_IP:
	case HEADERS_NOT_UDP:
		kernel_or_drop(pass, at, DROP_not_ours);
		return;
	case HEADERS_FRAGMENT:
		kernel_or_drop(pass, at, DROP_fragment);
		return;
	case HEADERS_OPTIONS:
		kernel_or_drop(pass, at, DROP_ip_options);
		return;
	case HEADERS_TRUNCATED:
		pass_drop(pass, at, DROP_truncated);
		return;
	case HEADERS_BAD_CHECKSUM:
		pass_drop(pass, at, DROP_bad_checksum);
		return;
	default:
		pass_drop(pass, at, DROP_bad_length);
	}
}

// The native protocol's, to the listen port: which is by the first byte. False: left to classify.
static inline __attribute__((always_inline)) bool classify_native_early(
	struct pass *pass, unsigned at, const uint8_t *payload, unsigned own)
{
	const struct worker *worker = pass->burst.worker;
	const struct headers *h = &pass->burst.headers[at];
	if (worker->native == NULL || !worker->native->served || h->payload_length < 4 ||
		source_bad_ipv4(worker->addresses, h->source))
		return false;
	pass->own[at] = pass->server[at] = (uint8_t)own;
	pass_add_native(pass, at, payload[0] - NATIVE_FIRST_CONTROL, payload);
	return true;
}

// What nearly all packets are, told apart while their headers are in registers: IPv4, to a relayed
// port, or with a channel's number to the listen port. Both directions come mixed, so which of the
// two it is is no branch: it would be guessed wrong for every other packet. False: left to
// classify.
static inline __attribute__((always_inline)) bool classify_early(
	struct pass *pass, unsigned at, const uint8_t *frame)
{
	const struct worker *worker = pass->burst.worker;
	const struct node_addresses *addresses = worker->addresses;
	const struct headers *h = &pass->burst.headers[at];
	if (h->family != NET_IPV4)
		return false;
	unsigned own = own_address_find(addresses, NET_IPV4, h->destination);
	unsigned port = h->destination_port;
	unsigned client = port == addresses->port;
	// Without two bytes of payload something else is read, and not used.
	const uint8_t *first = h->payload_length < 2 ? frame : frame + HEADERS_PLAIN_IPV4;
	unsigned channel = (unsigned)first[0] << 8 | first[1];
	bool here = (own != OWN_ADDRESS_NONE) & (h->source_port != 0) & !(frame[0] & 1);
	unsigned native = first[0] - (unsigned)NATIVE_FIRST_CONTROL;
	if (__builtin_expect(here & client & (native < PASS_NATIVES), 0))
		return classify_native_early(pass, at, first, own);
	bool for_channel = (h->payload_length >= CHANNEL_DATA_HEADER_LENGTH) &
			   (channel >= CHANNEL_NUMBER_FIRST) & (channel <= addresses->channel_last);
	bool for_peer = relay_ports_contains(worker->relay_ports, own, (uint16_t)port);
	bool plain = here & ((for_channel & client) | (for_peer & !client));
	if (__builtin_expect(!plain || source_bad_ipv4(addresses, h->source), 0))
		return false;
	static_assert(PASS_CHANNEL_DATA == 1 && PASS_PEER == 0, "an index");
	struct pass_list *list = &pass->flow[client];
	struct client_key *key = &pass->key[client][list->count];
	uint32_t source;
	memcpy(&source, h->source, 4);
	key->words[0] = source;
	key->words[1] = 0;
	unsigned middle = port ^ ((port ^ channel) & -client);
	key->words[2] = h->source_port | middle << 16 | (uint64_t)own << 32;
	pass->own[at] = pass->server[at] = (uint8_t)own;
	pass_list_add(list, at);
	return true;
}

// Keeps the order of what stays; burst.count shrinks to it.
void stage_parse(struct pass *pass, bool early)
{
	struct burst *burst = &pass->burst;
	unsigned kept = 0, count = burst->count;
	for (unsigned i = 0; i < count && i < PREFETCH_AHEAD; i++)
		rte_prefetch0(rte_pktmbuf_mtod(burst->mbufs[i], void *));
	for (unsigned i = 0; i < count; i++) {
		struct rte_mbuf *mbuf = burst->mbufs[i];
		if (i + PREFETCH_AHEAD < count)
			rte_prefetch0(rte_pktmbuf_mtod(burst->mbufs[i + PREFETCH_AHEAD], void *));
		// Frames longer than a buffer never fit a link of ours: MTUs are checked against
		// the buffer size at start.
		if (mbuf->nb_segs != 1) {
			pass_drop(pass, i, DROP_bad_length);
			continue;
		}
		const uint8_t *frame = rte_pktmbuf_mtod(mbuf, const uint8_t *);
		unsigned length = rte_pktmbuf_data_len(mbuf);
		if (__builtin_expect(
			    headers_parse_plain(frame, length, &burst->headers[kept]), 1)) {
			burst->verdict[kept] = HEADERS_UDP;
			burst->mbufs[kept] = mbuf;
			if (!early || !classify_early(pass, kept, frame))
				pass_list_add(&pass->later, kept);
			kept++;
			continue;
		}
		enum headers_verdict verdict = headers_parse(frame, length, &burst->headers[kept]);
		if (verdict != HEADERS_UDP && verdict != HEADERS_ICMP_ERROR) {
			not_forwarded(pass, i, verdict);
			continue;
		}
		burst->verdict[kept] = (uint8_t)verdict;
		pass_list_add(&pass->later, kept);
		burst->mbufs[kept++] = mbuf;
	}
	burst->count = (uint16_t)kept;
}
