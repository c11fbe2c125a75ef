// SPDX-License-Identifier: BSD-3-Clause
// Third decision: which stage a whole UDP datagram or ICMP error belongs to, by own address, port
// and first byte (RFC 7983, RFC 9443). Reads no table. Owner worker.
#include "dataplane/stage/kernel.h"
#include "dataplane/stage/pass.h"
#include "dataplane/table/own_addresses.h"
#include "dataplane/table/relay_ports.h"
#include "lib/wire/stun.h"

enum {
	FIRST_BYTE_STUN_LAST = 3,
	FIRST_BYTE_CHANNEL_FIRST = 64,
	STUN_CLASS_MASK = 0x0110,
};

// A source nobody can answer to, or ours: not from the wire (RFC 1122 3.2.1.3, RFC 4291 2.7).
// Answering one would make packets to groups, or to ourselves.
static __attribute__((noinline)) bool source_bad_ipv6(
	const struct worker *worker, const struct headers *h)
{
	uint64_t high, low;
	memcpy(&high, h->source, 8);
	memcpy(&low, h->source + 8, 8);
	// Multicast, unspecified, loopback.
	return h->source[0] == 0xFF || (high == 0 && (low == 0 || low == RTE_BE64(1))) ||
	       own_address_find_ipv6(worker->addresses, h->source) != OWN_ADDRESS_NONE;
}

static inline bool source_bad(const struct worker *worker, const struct headers *h)
{
	if (__builtin_expect(h->source_port == 0, 0))
		return true;
	if (__builtin_expect(h->family != NET_IPV4, 0))
		return source_bad_ipv6(worker, h);
	unsigned first = h->source[0];
	return first == 0 || first == 127 || first >= 224 ||
	       own_address_find(worker->addresses, NET_IPV4, h->source) != OWN_ADDRESS_NONE;
}

static void classify_stun(struct pass *pass, unsigned at, const uint8_t *payload)
{
	unsigned type = (unsigned)payload[0] << 8 | payload[1];
	switch (type & STUN_CLASS_MASK) {
	case 0x0000:
		pass_list_add(type == STUN_BINDING ? &pass->binding : &pass->punt, at);
		return;
	case 0x0010:
		if (type == (STUN_SEND | 0x0010)) {
			pass_list_add(&pass->send, at);
			return;
		}
		if (type == (STUN_BINDING | 0x0010))
			pass->burst.worker->stats.event[EVENT_keepalive]++;
	}
	// Binding indications keep NAT bindings open and are answered by nobody (RFC 8489 6.3.2);
	// other indications and every response have no business here.
	pass_drop(pass, at, DROP_stun_unexpected);
}

static void classify_client(struct pass *pass, unsigned at)
{
	const struct worker *worker = pass->burst.worker;
	const struct headers *h = &pass->burst.headers[at];
	const uint8_t *payload = pass_frame(pass, at) + h->payload_offset;
	if (source_bad(worker, h)) {
		pass_drop(pass, at, DROP_bad_relayed_source);
		return;
	}
	if (h->payload_length < 4) {
		pass_drop(pass, at, DROP_truncated);
		return;
	}
	if (payload[0] >= FIRST_BYTE_CHANNEL_FIRST &&
		payload[0] <= worker->addresses->channel_last >> 8)
		pass_list_add(&pass->channel_data, at);
	else if (payload[0] <= FIRST_BYTE_STUN_LAST)
		classify_stun(pass, at, payload);
	else
		pass_drop(pass, at, DROP_first_byte_unknown);
}

void stage_classify(struct pass *pass)
{
	struct worker *worker = pass->burst.worker;
	const struct node_addresses *addresses = worker->addresses;
	for (unsigned i = 0; i < pass->burst.count; i++) {
		const struct headers *h = &pass->burst.headers[i];
		unsigned own = own_address_find(addresses, h->family, h->destination);
		// A unicast IP address behind a group MAC: not sent to us (RFC 1122 3.3.6).
		if (own == OWN_ADDRESS_NONE || pass_frame(pass, i)[0] & 1) {
			kernel_or_drop(pass, i, DROP_not_ours);
			continue;
		}
		pass->own[i] = (uint8_t)own;
		if (pass->burst.verdict[i] == HEADERS_ICMP_ERROR) {
			pass_list_add(&pass->icmp, i);
			continue;
		}
		uint16_t port = h->destination_port;
		if (port == addresses->port) {
			pass->server[i] = (uint8_t)own;
			classify_client(pass, i);
		} else if (relay_ports_contains(worker->relay_ports, own, port)) {
			if (source_bad(worker, h))
				pass_drop(pass, i, DROP_bad_relayed_source);
			else
				pass_list_add(&pass->peer, i);
		} else if (addresses->behaviour_discovery && port == addresses->alternate_port) {
			pass->server[i] = (uint8_t)(own | SERVER_ALTERNATE_PORT);
			classify_client(pass, i);
		} else {
			kernel_or_drop(pass, i, DROP_not_ours);
		}
	}
}

void stage_classify_handed(struct pass *pass)
{
	struct worker *worker = pass->burst.worker;
	const struct node_addresses *addresses = worker->addresses;
	for (unsigned i = 0; i < pass->burst.count; i++) {
		const struct headers *h = &pass->burst.headers[i];
		unsigned own = own_address_find(addresses, h->family, h->destination);
		uint16_t port = h->destination_port;
		bool alternate =
			addresses->behaviour_discovery && port == addresses->alternate_port;
		pass->own[i] = (uint8_t)own;
		if (own == OWN_ADDRESS_NONE) {
			pass_drop(pass, i, DROP_not_ours);
		} else if (pass->burst.verdict[i] == HEADERS_ICMP_ERROR) {
			pass_list_add(&pass->icmp, i);
		} else if (relay_ports_contains(worker->relay_ports, own, port)) {
			pass_list_add(&pass->peer, i);
		} else if (port == addresses->port || alternate) {
			pass->server[i] = (uint8_t)(own | (alternate ? SERVER_ALTERNATE_PORT : 0));
			classify_client(pass, i);
		} else {
			// The ranges changed on the way.
			pass_drop(pass, i, DROP_not_ours);
		}
	}
}
