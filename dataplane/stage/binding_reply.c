// SPDX-License-Identifier: BSD-3-Clause
// Binding requests, answered without state (RFC 8489 section 12, RFC 5780). The reply goes back the
// way the request came: Ethernet addresses change places, tags stay.
//
// Nothing optional: no SOFTWARE, no reason phrase, FINGERPRINT only for who sent one. Counted in IP
// bytes a reply is at most 1.4 times its request; a bare request (48 bytes over IPv4, 68 over IPv6)
// gets 60 and 92. RFC 5780, where two addresses of the family are configured:
// - OTHER-ADDRESS and RESPONSE-ORIGIN are added while the reply stays under that bound, as it does
//   for larger requests. Bare requests cannot carry them under it (84 bytes for 48), but they are
//   how every RFC 5780 client begins. What a reply is over the bound is therefore paid from a small
//   allowance of the source prefix (guard.h): over time a prefix gets no more than 1.4 times what
//   it sent and 128 bytes a second. Without allowance OTHER-ADDRESS alone is added if it fits, or
//   none.
// - CHANGE-REQUEST is served: the reply comes from the other address, port, or both.
// - RESPONSE-PORT is served; who may forge a source address could forge that port as well.
// - PADDING is accepted and not returned: it asks what becomes of fragments, and fragments are not
//   the relay's. Without a second address all three are unknown attributes: 420, as RFC 5780 6.1.
// USERNAME, MESSAGE-INTEGRITY and the other credentials are known and not looked at: Binding needs
// none (RFC 8489 9 leaves it to the server). Owner worker.
#include "dataplane/stage/answer.h"
#include "dataplane/stage/binding_bare.h"
#include "dataplane/stage/datagram.h"
#include "dataplane/stage/guard.h"
#include "dataplane/stage/relay.h"
#include "dataplane/table/own_addresses.h"
#include "lib/wire/stun.h"

enum {
	REPLY_MAX = 192,
	UNKNOWN_MAX = 8,
	CHANGE_IP = 4,
	CHANGE_PORT = 2,
};

// What a request asks for.
struct binding_request {
	struct stun_message message;
	uint32_t change;
	uint16_t response_port; // 0: not asked for
	bool behaviour;         // the node has another address of the family
	uint16_t unknown[UNKNOWN_MAX];
	size_t unknown_count;
	unsigned error; // 0: success
};

static void request_read(const struct worker *worker, unsigned own, struct binding_request *r)
{
	static const uint16_t known[] = {STUN_USERNAME, STUN_MESSAGE_INTEGRITY,
		STUN_MESSAGE_INTEGRITY_SHA256, STUN_REALM, STUN_NONCE, STUN_USERHASH,
		STUN_PASSWORD_ALGORITHM, STUN_PRIORITY, STUN_USE_CANDIDATE,
		// RFC 5780's, last
		STUN_CHANGE_REQUEST, STUN_PADDING, STUN_RESPONSE_PORT};
	r->behaviour = worker->addresses->behaviour_discovery &&
		       own_address_other(worker->addresses, own) != OWN_ADDRESS_NONE;
	r->unknown_count = stun_unknown_attributes(&r->message, known,
		RTE_DIM(known) - (r->behaviour ? 0 : 3), r->unknown, UNKNOWN_MAX);
	if (r->unknown_count > 0) {
		r->error = 420;
		return;
	}
	struct stun_attribute a;
	if (stun_find(&r->message, STUN_CHANGE_REQUEST, &a) && stun_read_u32(&a, &r->change) < 0)
		r->error = 400;
	if (stun_find(&r->message, STUN_RESPONSE_PORT, &a)) {
		// RFC 5780 7.5: 16 bits, padded; and not together with PADDING.
		struct stun_attribute padding;
		if (a.length < 2 || stun_find(&r->message, STUN_PADDING, &padding))
			r->error = 400;
		else
			r->response_port = (uint16_t)(a.value[0] << 8 | a.value[1]);
		if (r->response_port == 0)
			r->error = 400;
	}
}

// Bytes the reply may still grow by.
static int left(const struct stun_builder *b, unsigned most, unsigned fingerprint)
{
	return (int)most - (int)(b->length + fingerprint);
}

// most: STUN bytes of the largest reply under the bound. Returns the reply's length, 0 when the
// budget is spent.
static size_t reply_build(struct pass *pass, unsigned at, const struct binding_request *r,
	const struct net_endpoint *source, const struct net_endpoint *origin,
	const struct net_endpoint *other, unsigned most, uint8_t out[static REPLY_MAX])
{
	struct guard *guard = pass->burst.worker->guard;
	const struct headers *h = &pass->burst.headers[at];
	unsigned fingerprint = r->message.has_fingerprint ? STUN_FINGERPRINT_LENGTH : 0;
	const uint8_t *transaction = stun_transaction(&r->message);
	struct stun_builder b;
	if (r->error) {
		b = stun_begin(out, REPLY_MAX, STUN_BINDING, STUN_ERROR, transaction);
		stun_add_error(&b, r->error, NULL);
		uint8_t types[2 * UNKNOWN_MAX];
		for (size_t i = 0; i < r->unknown_count; i++) {
			types[2 * i] = (uint8_t)(r->unknown[i] >> 8);
			types[2 * i + 1] = (uint8_t)r->unknown[i];
		}
		if (r->unknown_count)
			stun_add(&b, STUN_UNKNOWN_ATTRIBUTES, types, 2 * r->unknown_count);
	} else {
		b = stun_begin(out, REPLY_MAX, STUN_BINDING, STUN_SUCCESS, transaction);
		stun_add_xor_address(&b, STUN_XOR_MAPPED_ADDRESS, source);
		if (r->behaviour) {
			int address = h->family == NET_IPV4 ? 12 : 24;
			int over = 2 * address - left(&b, most, fingerprint);
			bool both = over <= 0 || guard_excess(guard, h->source, h->family,
							 (unsigned)over, pass->tick);
			if (both || left(&b, most, fingerprint) >= address)
				stun_add_address(&b, STUN_OTHER_ADDRESS, other);
			if (both)
				stun_add_address(&b, STUN_RESPONSE_ORIGIN, origin);
		}
	}
	if (fingerprint)
		stun_add_fingerprint(&b);
	return stun_finish(&b);
}

// 1.4 times the request's IP bytes, less the reply's headers.
static unsigned reply_most(const struct headers *h)
{
	unsigned headers = (unsigned)(h->l4_offset - h->l3_offset) + HEADERS_UDP_LENGTH;
	unsigned most = (headers + h->payload_length) * 7 / 5;
	return most > headers ? most - headers : 0;
}

static void answer(struct pass *pass, unsigned at, const struct binding_request *r)
{
	struct worker *worker = pass->burst.worker;
	const struct node_addresses *addresses = worker->addresses;
	const struct headers *h = &pass->burst.headers[at];
	unsigned own = pass->own[at];
	struct net_endpoint source = {.port = h->source_port};
	source.address =
		h->family == NET_IPV4 ? net_address_v4(h->source) : net_address_v6(h->source);
	struct net_endpoint origin = {addresses->listen[own], h->destination_port, 0};
	struct net_endpoint other = origin;
	if (r->behaviour) {
		other.address = addresses->listen[own_address_other(addresses, own)];
		other.port = h->destination_port == addresses->port ? addresses->alternate_port
								    : addresses->port;
	}
	if (r->error == 0 && r->change & CHANGE_IP)
		origin.address = other.address;
	if (r->error == 0 && r->change & CHANGE_PORT)
		origin.port = other.port;
	uint8_t reply[REPLY_MAX];
	size_t length = reply_build(pass, at, r, &source, &origin, &other, reply_most(h), reply);
	unsigned headers = (unsigned)(h->l4_offset - h->l3_offset) + HEADERS_UDP_LENGTH;
	worker->stats.stage[STAGE_guard].packets++;
	if (!guard_reply(
		    worker->guard, h->source, h->family, headers + (unsigned)length, pass->tick)) {
		pass_drop(pass, at, DROP_reply_budget);
		return;
	}
	struct datagram out = {
		.source = origin.address.bytes,
		.destination = source.address.bytes,
		.source_port = origin.port,
		.destination_port = r->response_port ? r->response_port : source.port,
		.family = h->family,
		.ttl = DATAGRAM_TTL,
		.identification = relay_identification(worker->mappings),
	};
	if (answer_send(pass, at, &out, reply, (unsigned)length))
		worker->stats.event[r->error ? EVENT_binding_errors : EVENT_binding_replies]++;
}

void stage_binding_reply(struct pass *pass)
{
	for (unsigned i = 0; i < pass->binding.count; i++) {
		const struct headers *h = &pass->burst.headers[pass->binding.at[i]];
		guard_prefetch(pass->burst.worker->guard, h->source, h->family);
	}
	for (unsigned i = 0; i < pass->binding.count; i++) {
		unsigned at = pass->binding.at[i];
		const struct headers *h = &pass->burst.headers[at];
		const uint8_t *frame = pass_frame(pass, at);
		if (binding_is_bare(pass, at)) {
			binding_answer_bare(pass, at);
			continue;
		}
		struct binding_request request = {0};
		// No magic cookie: RFC 3489, which RFC 8489 no longer serves.
		if (stun_parse(frame + h->payload_offset, h->payload_length, &request.message) <
			0) {
			pass_drop(pass, at, DROP_stun_malformed);
			continue;
		}
		if (!datagram_checksum_right(frame, h)) {
			pass_drop(pass, at, DROP_bad_checksum);
			continue;
		}
		request_read(pass->burst.worker, pass->own[at], &request);
		answer(pass, at, &request);
	}
}
