// SPDX-License-Identifier: BSD-3-Clause
// Third decision: which stage a whole UDP datagram or ICMP error belongs to, by own address, port
// and first byte (RFC 7983, RFC 9443). Reads no table. Owner worker.
#include "dataplane/native.h"
#include "dataplane/stage/datagram.h"
#include "dataplane/stage/kernel.h"
#include "dataplane/stage/pass.h"
#include "dataplane/stage/source.h"
#include "dataplane/table/own_addresses.h"
#include "dataplane/table/relay_ports.h"
#include "lib/wire/native.h"
#include "lib/wire/stun.h"

enum {
	FIRST_BYTE_STUN_LAST = 3,
	FIRST_BYTE_CHANNEL_FIRST = 64,
	STUN_CLASS_MASK = 0x0110,
};

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

// First bytes 4 to 6, on the primary port only: what a client is told of its handle names that one.
static void classify_native(struct pass *pass, unsigned at, const uint8_t *payload)
{
	const struct native_settings *native = pass->burst.worker->native;
	if (native == NULL || !native->served)
		pass_drop(pass, at, DROP_native_off);
	else
		pass_add_native(pass, at, payload[0] - NATIVE_FIRST_CONTROL, payload);
}

static void classify_client(struct pass *pass, unsigned at)
{
	const struct worker *worker = pass->burst.worker;
	const struct headers *h = &pass->burst.headers[at];
	const uint8_t *payload = pass_frame(pass, at) + h->payload_offset;
	if (source_bad(worker->addresses, h->family, h->source, h->source_port)) {
		pass_drop(pass, at, DROP_bad_relayed_source);
		return;
	}
	if (h->payload_length < 4) {
		pass_drop(pass, at, DROP_truncated);
		return;
	}
	// RFC 8200 8.1: over IPv6 there is no UDP without a checksum.
	if (h->family == NET_IPV6 && datagram_udp_checksum(pass_frame(pass, at), h) == 0) {
		pass_drop(pass, at, DROP_bad_checksum);
		return;
	}
	if (payload[0] >= FIRST_BYTE_CHANNEL_FIRST &&
		payload[0] <= worker->addresses->channel_last >> 8)
		pass_add_channel_data(
			pass, at, h, (unsigned)payload[0] << 8 | payload[1], pass->server[at]);
	else if (payload[0] <= FIRST_BYTE_STUN_LAST)
		classify_stun(pass, at, payload);
	else if (payload[0] <= NATIVE_FIRST_HANDLE && !(pass->server[at] & SERVER_ALTERNATE_PORT))
		classify_native(pass, at, payload);
	else
		pass_drop(pass, at, DROP_first_byte_unknown);
}

void stage_classify(struct pass *pass)
{
	struct worker *worker = pass->burst.worker;
	const struct node_addresses *addresses = worker->addresses;
	for (unsigned n = 0; n < pass->later.count; n++) {
		unsigned i = pass->later.at[n];
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
			if (source_bad(worker->addresses, h->family, h->source, h->source_port))
				pass_drop(pass, i, DROP_bad_relayed_source);
			else
				pass_add_peer(pass, i, h, own);
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
	for (unsigned n = 0; n < pass->later.count; n++) {
		unsigned i = pass->later.at[n];
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
			pass_add_peer(pass, i, h, own);
		} else if (port == addresses->port || alternate) {
			pass->server[i] = (uint8_t)(own | (alternate ? SERVER_ALTERNATE_PORT : 0));
			classify_client(pass, i);
		} else {
			// The ranges changed on the way.
			pass_drop(pass, i, DROP_not_ours);
		}
	}
}
