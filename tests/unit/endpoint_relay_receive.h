// SPDX-License-Identifier: BSD-3-Clause
// What the relay of endpoint_relay.h does with what it receives.
#pragma once

#include "tests/unit/endpoint_relay.h"

static inline void relay_open(
	struct relay *r, const struct net_endpoint *from, const uint8_t *data, size_t size)
{
	struct native_open m;
	uint32_t issued;
	uint8_t transaction[8];
	union {
		struct relay_ticket ticket;
		uint8_t bytes[NATIVE_TICKET_SIZE];
	} t;

	r->opens++;
	if (native_open_parse(data, size, &m) != 0)
		return;
	if (!relay_cookie_good(r, from, m.cookie, NATIVE_CONTROL_COOKIE_S, &issued)) {
		relay_challenge(r, from, m.transaction);
		return;
	}
	uint8_t reason = r->refuse_open;
	if (reason == 0 && !relay_holds(r, m.caller, from))
		reason = NATIVE_REFUSED_NOT_REGISTERED;
	if (reason == 0 && !epoch_address_owned_by(m.caller, m.key))
		reason = NATIVE_REFUSED_KEY;
	if (reason == 0 && !relay_signed(data, size, m.key))
		reason = NATIVE_REFUSED_SIGNATURE;
	if (reason == 0 && !relay_holds(r, m.callee, NULL))
		reason = NATIVE_REFUSED_NO_ADDRESS;
	if (reason != 0) {
		relay_refuse(r, from, m.transaction, reason, r->refuse_detail);
		return;
	}
	memset(&t, 0, sizeof(t));
	t.ticket.caller = *from;
	memcpy(t.ticket.transaction, m.transaction, 8);
	relay_path_key(r, t.ticket.key, m.ephemeral, m.open_id, false);
	t.ticket.until_ms = r->now_ms + NATIVE_TICKET_S * 1000;
	t.ticket.hash = relay_hash(r, &t.ticket, sizeof(t.ticket) - 8);
	for (unsigned i = 0; i < RELAY_LEASES; i++) {
		const struct relay_lease *lease = &r->leases[i];
		if (!lease->live || lease->until_ms <= r->now_ms ||
			memcmp(lease->address, m.callee, 32) != 0)
			continue;
		randombytes_buf(transaction, 8);
		RELAY_REPLY(r, &lease->client, invite, .transaction = transaction,
			.open_id = m.open_id, .callee = m.callee, .ticket = t.bytes,
			.sealed = m.sealed, .sealed_size = m.sealed_size);
	}
}

static inline void relay_accept(
	struct relay *r, const struct net_endpoint *from, const uint8_t *data, size_t size)
{
	struct native_accept m;
	struct relay_ticket t;
	struct relay_pair *pair = NULL, *unused = NULL;
	uint32_t issued;

	r->accepts++;
	if (native_accept_parse(data, size, &m) != 0)
		return;
	if (!relay_cookie_good(r, from, m.cookie, NATIVE_CONTROL_COOKIE_S, &issued)) {
		relay_challenge(r, from, m.transaction);
		return;
	}
	memcpy(&t, m.ticket, sizeof(t));
	uint8_t reason = 0;
	if (!relay_holds(r, m.callee, from))
		reason = NATIVE_REFUSED_NOT_REGISTERED;
	else if (!relay_signed(data, size, m.key) || !epoch_address_owned_by(m.callee, m.key))
		reason = NATIVE_REFUSED_SIGNATURE;
	else if (t.hash != relay_hash(r, &t, sizeof(t) - 8) || t.until_ms < r->now_ms)
		reason = NATIVE_REFUSED_TICKET;
	if (reason != 0) {
		relay_refuse(r, from, m.transaction, reason, 0);
		return;
	}
	if (!m.accept) {
		relay_refuse(r, from, m.transaction, NATIVE_REFUSED_DECLINED, 0);
		relay_refuse(r, &t.caller, t.transaction, NATIVE_REFUSED_DECLINED, 0);
		return;
	}
	for (unsigned i = 0; i < RELAY_PAIRS; i++) {
		struct relay_pair *p = &r->pairs[i];
		if ((p->live || (p->closed_ms != 0 &&
					r->now_ms - p->closed_ms < NATIVE_TICKET_S * 1000)) &&
			memcmp(p->open_id, m.open_id, 16) == 0)
			pair = p;
		else if (!p->live && unused == NULL && p->closed_ms == 0)
			unused = p;
	}
	if (pair != NULL && (!pair->live || !net_endpoint_equal(&pair->client[1], from) ||
				    !net_endpoint_equal(&pair->client[0], &t.caller))) {
		relay_refuse(r, from, m.transaction, NATIVE_REFUSED_TAKEN, 0);
		return;
	}
	if (pair == NULL) {
		pair = unused;
		assert(pair != NULL);
		uint16_t generation = pair->generation;
		memset(pair, 0, sizeof(*pair));
		pair->generation = (uint16_t)(generation + 1);
		pair->live = true;
		memcpy(pair->open_id, m.open_id, 16);
		pair->client[0] = t.caller;
		pair->client[1] = *from;
		memcpy(pair->key[0], t.key, 16);
		relay_path_key(r, pair->key[1], m.ephemeral, m.open_id, true);
		pair->until_ms[0] = pair->until_ms[1] = r->now_ms + 3 * RELAY_KEEPALIVE_S * 1000;
		r->made++;
	}
	relay_opened(r, pair, 0, t.transaction, m.sealed, m.sealed_size);
	relay_opened(r, pair, 1, m.transaction, NULL, 0);
}

static inline void relay_keepalive(
	struct relay *r, const struct net_endpoint *from, const uint8_t *data, size_t size)
{
	struct native_keepalive m;
	uint32_t issued, left = 0;
	unsigned side;

	if (native_keepalive_parse(data, size, &m) != 0)
		return;
	struct relay_pair *pair = m.has_handle ? relay_pair_of(r, m.handle, &side) : NULL;
	if (pair != NULL && !net_endpoint_equal(&pair->client[side], from)) {
		relay_path_challenge(r, from, m.handle);
		return;
	}
	if (!relay_cookie_good(r, from, m.cookie, NATIVE_CONTROL_COOKIE_S, &issued)) {
		relay_challenge(r, from, m.transaction);
		return;
	}
	if (pair != NULL) {
		left = 3 * RELAY_KEEPALIVE_S;
		pair->until_ms[side] = r->now_ms + left * 1000;
	}
	relay_alive(r, from, m.transaction, left);
}

static inline void relay_path_response(
	struct relay *r, const struct net_endpoint *from, const uint8_t *data, size_t size)
{
	struct native_path_response m;
	uint8_t proof[16];
	uint32_t issued;
	unsigned side;

	if (native_path_response_parse(data, size, &m) != 0)
		return;
	struct relay_pair *pair = relay_pair_of(r, m.handle, &side);
	if (pair == NULL || !relay_cookie_good(r, from, m.token, NATIVE_PATH_TOKEN_S, &issued))
		return;
	native_path_response_proof(proof, pair->key[side], &m);
	if (memcmp(proof, m.proof, 16) != 0 || issued < pair->token_issued[side])
		return;
	pair->token_issued[side] = issued;
	pair->client[side] = *from;
	relay_alive(r, from, m.transaction, 3 * RELAY_KEEPALIVE_S);
}

static inline void relay_close(struct relay *r, const uint8_t *data, size_t size)
{
	struct native_close m;
	uint8_t proof[16];
	unsigned side;

	if (native_close_parse(data, size, &m) != 0)
		return;
	struct relay_pair *pair = relay_pair_of(r, m.handle, &side);
	if (pair == NULL)
		return;
	native_close_proof(proof, pair->key[side], &m);
	if (memcmp(proof, m.proof, 16) != 0)
		return;
	relay_closed(r, pair, side, NATIVE_CLOSED_BY_YOU);
	relay_closed(r, pair, side ^ 1, NATIVE_CLOSED_BY_PEER);
	pair->live = false;
	pair->closed_ms = r->now_ms;
}

static inline void relay_by_handle(
	struct relay *r, const struct net_endpoint *from, const uint8_t *data, size_t size)
{
	struct native_by_handle m;
	uint8_t out[2048];
	unsigned side;

	if (native_by_handle_parse(data, size, &m) != 0)
		return;
	struct relay_pair *pair = relay_pair_of(r, m.handle, &side);
	if (pair == NULL)
		return;
	if (!net_endpoint_equal(&pair->client[side], from)) {
		if (size >= 32)
			relay_path_challenge(r, from, m.handle);
		return;
	}
	m.handle = relay_handle_of(r, pair, side ^ 1);
	size_t whole = native_by_handle_build(out, sizeof(out), &m);
	r->send(r->context, &pair->client[side ^ 1], out, whole);
}

static inline void relay_by_address(
	struct relay *r, const struct net_endpoint *from, const uint8_t *data, size_t size)
{
	struct native_by_address m;
	uint8_t out[2048];
	uint32_t issued;
	bool known = false;

	if (native_by_address_parse(data, size, &m) != 0)
		return;
	if (!relay_cookie_good(r, from, m.cookie, NATIVE_DATA_COOKIE_S, &issued)) {
		relay_challenge(r, from, m.cookie + 4);
		return;
	}
	m.hops--;
	size_t whole = native_delivered_build(out, sizeof(out), &m);
	for (unsigned i = 0; i < RELAY_LEASES; i++)
		if (r->leases[i].live && r->leases[i].until_ms > r->now_ms &&
			memcmp(r->leases[i].address, m.address, 32) == 0) {
			known = true;
			r->send(r->context, &r->leases[i].client, out, whole);
		}
	r->unknown += !known;
}

// Whose keepalives have ended is gone, and the other side hears of it; looked at with each packet.
static inline void relay_expire(struct relay *r)
{
	for (unsigned i = 0; i < RELAY_PAIRS; i++)
		for (unsigned side = 0; side < 2; side++) {
			struct relay_pair *pair = &r->pairs[i];
			if (!pair->live || pair->until_ms[side] > r->now_ms)
				continue;
			relay_closed(r, pair, side ^ 1, NATIVE_CLOSED_PEER_SILENT);
			pair->live = false;
			pair->closed_ms = r->now_ms;
		}
}

static inline void relay_receive(
	struct relay *r, const struct net_endpoint *from, const uint8_t *data, size_t size)
{
	struct native_header header;

	if (r->deaf || size == 0)
		return;
	relay_expire(r);
	if (data[0] == NATIVE_FIRST_HANDLE) {
		relay_by_handle(r, from, data, size);
		return;
	}
	if (data[0] == NATIVE_FIRST_ADDRESS) {
		relay_by_address(r, from, data, size);
		return;
	}
	if (native_header_parse(data, size, &header) != 0)
		return;
	switch (header.type) {
	case NATIVE_SOLICIT:
		r->solicits++;
		relay_challenge(r, from, header.transaction);
		break;
	case NATIVE_REGISTER:
		relay_register(r, from, data, size);
		break;
	case NATIVE_KEEPALIVE:
		relay_keepalive(r, from, data, size);
		break;
	case NATIVE_PATH_RESPONSE:
		relay_path_response(r, from, data, size);
		break;
	case NATIVE_OPEN:
		relay_open(r, from, data, size);
		break;
	case NATIVE_ACCEPT:
		relay_accept(r, from, data, size);
		break;
	case NATIVE_CLOSE:
		relay_close(r, data, size);
		break;
	default:
		break;
	}
}
