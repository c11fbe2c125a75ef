// SPDX-License-Identifier: BSD-3-Clause
// See binding_bare.h. Owner worker.
#include "dataplane/stage/binding_bare.h"

#include "dataplane/stage/datagram.h"
#include "dataplane/stage/guard.h"
#include "dataplane/stage/relay.h"
#include "lib/wire/stun.h"

#include <netinet/in.h>

enum {
	REPLY_LENGTH = STUN_HEADER_LENGTH + 12, // XOR-MAPPED-ADDRESS of IPv4
	UDP_LENGTH = HEADERS_UDP_LENGTH + REPLY_LENGTH,
	IP_LENGTH = HEADERS_IPV4_LENGTH + UDP_LENGTH,
};

// As bytes on the wire lie in little-endian words.
static const uint64_t request_start = 0x42A4122100000100; // type, length 0, magic cookie
static const uint64_t reply_start = 0x42A412210C000101;   // success, length 12, magic cookie
static const uint64_t attribute_start = 0x08002000;       // XOR-MAPPED-ADDRESS, length 8
static const uint32_t family_ipv4 = 0x0100, cookie = 0x42A41221, cookie_port = 0x1221;

static uint64_t load64(const uint8_t *p)
{
	uint64_t word;
	memcpy(&word, p, sizeof(word));
	return word;
}

static uint32_t load32(const uint8_t *p)
{
	uint32_t word;
	memcpy(&word, p, sizeof(word));
	return word;
}

bool binding_is_bare(const struct pass *pass, unsigned at)
{
	const struct headers *h = &pass->burst.headers[at];
	return h->payload_length == STUN_HEADER_LENGTH && h->family == NET_IPV4 &&
	       load64(pass_frame(pass, at) + h->payload_offset) == request_start &&
	       !pass->burst.worker->addresses->behaviour_discovery &&
	       pass->burst.mbufs[at]->nb_segs == 1;
}

static uint64_t halves(uint64_t word)
{
	return (uint32_t)word + (word >> 32);
}

static uint16_t checksum_of(const uint64_t reply[static 4], const struct datagram *d)
{
	uint64_t sum = datagram_pseudo_sum(d->source, d->destination, NET_IPV4, UDP_LENGTH) +
		       datagram_be16(d->source_port) + datagram_be16(d->destination_port) +
		       datagram_be16(UDP_LENGTH);
	for (unsigned i = 0; i < 4; i++)
		sum += halves(reply[i]);
	uint16_t checksum = (uint16_t)~checksum_fold(sum);
	return checksum ? checksum : 0xFFFF; // RFC 768: zero would say that there is none
}

static void swap_macs(uint8_t *frame)
{
	uint64_t destination = load64(frame), source = load64(frame + 6);
	uint64_t first = (source & 0xFFFFFFFFFFFF) | destination << 48;
	uint32_t last = (uint32_t)(destination >> 16);
	memcpy(frame, &first, sizeof(first));
	memcpy(frame + 8, &last, sizeof(last));
}

void binding_answer_bare(struct pass *pass, unsigned at)
{
	struct worker *worker = pass->burst.worker;
	struct rte_mbuf *mbuf = pass->burst.mbufs[at];
	const struct headers *h = &pass->burst.headers[at];
	uint8_t *frame = pass_frame(pass, at);
	if (!datagram_checksum_right(frame, h)) {
		pass_drop(pass, at, DROP_bad_checksum);
		return;
	}
	worker->stats.stage[STAGE_guard].packets++;
	if (!guard_reply(worker->guard, h->source, NET_IPV4, IP_LENGTH, pass->tick)) {
		pass_drop(pass, at, DROP_reply_budget);
		return;
	}
	unsigned length = h->payload_offset + REPLY_LENGTH;
	if (length > mbuf->data_len + (unsigned)rte_pktmbuf_tailroom(mbuf)) {
		pass_drop(pass, at, DROP_no_mbuf);
		return;
	}
	uint8_t *payload = frame + h->payload_offset;
	const uint32_t client = load32(h->source), own = load32(h->destination);
	const struct datagram out = {
		.source = (const uint8_t *)&own,
		.destination = (const uint8_t *)&client,
		.source_port = h->destination_port,
		.destination_port = h->source_port,
		.family = NET_IPV4,
		.ttl = DATAGRAM_TTL,
		.identification = relay_identification(worker->mappings),
	};
	uint32_t port = datagram_be16(h->source_port) ^ cookie_port;
	const uint64_t reply[4] = {reply_start, load64(payload + 8),
		load32(payload + 16) | attribute_start << 32,
		(family_ipv4 | port << 16) | (uint64_t)(client ^ cookie) << 32};
	datagram_cut(mbuf, 0, length);
	memcpy(payload, reply, sizeof(reply));
	datagram_write_udp(frame + h->l4_offset, &out, UDP_LENGTH, checksum_of(reply, &out));
	datagram_write_ip(frame + h->l3_offset, &out, IPPROTO_UDP, IP_LENGTH);
	swap_macs(frame);
	worker->stats.event[EVENT_binding_replies]++;
	pass_send(pass, mbuf, pass->burst.port);
}
