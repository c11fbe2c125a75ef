// SPDX-License-Identifier: BSD-3-Clause
// A small TURN server for the tests of the TURN client, on a virtual clock: long-term credentials
// with and without algorithms, one allocation for each source, permissions, channels, and answers
// that are wrong on purpose. It shares lib/wire with the client and nothing else.
#pragma once

#include "lib/wire/channel_data.h"
#include "lib/wire/stun.h"
#include "lib/wire/stun_integrity.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { SERVER_ALLOCATIONS = 8, SERVER_PERMISSIONS = 64, SERVER_CHANNELS = 64 };

struct server_permission {
	struct net_address peer;
	uint64_t ends_at;
};

struct server_channel {
	struct net_endpoint peer;
	uint16_t number;
	uint64_t ends_at;
};

struct server_allocation {
	bool live;
	struct net_endpoint client, relayed;
	uint8_t transaction[STUN_TRANSACTION_LENGTH]; // that made it
	uint64_t ends_at;
	struct server_permission permissions[SERVER_PERMISSIONS];
	struct server_channel channels[SERVER_CHANNELS];
};

struct turn_server {
	uint64_t now_ms;
	const char *user, *password, *realm; // user NULL: nobody is asked for anything
	bool algorithms, anonymity;          // said by the nonce, and demanded
	bool strip_algorithms;               // said, and taken out on the way
	unsigned nonce_age;                  // of nonces: counted up, the older ones are stale
	uint32_t lifetime_s, lifetime_max_s;
	unsigned quota; // allocations
	// The next `refuse_times` requests of this method draw this code; bare: without a proof.
	uint16_t refuse_method;
	unsigned refuse_code, refuse_times;
	bool refuse_bare, forge; // forge: all proofs are wrong
	bool dead;
	struct net_address denied; // a peer that is not let through
	struct server_allocation allocations[SERVER_ALLOCATIONS];
	uint16_t next_port;
	unsigned seen[16]; // requests by method
	unsigned authenticated;
	void (*send)(
		void *context, const struct net_endpoint *to, const uint8_t *data, size_t size);
	void (*to_peer)(void *context, const struct net_endpoint *peer, const uint8_t *data,
		size_t size, bool by_channel);
	void *context;
};

struct server_request {
	struct stun_message m;
	struct net_endpoint from;
	bool proven, sha256;
	struct stun_key key;
};

static inline struct server_allocation *server_find(
	struct turn_server *s, const struct net_endpoint *client)
{
	for (unsigned i = 0; i < SERVER_ALLOCATIONS; i++) {
		struct server_allocation *a = &s->allocations[i];
		if (a->live && s->now_ms >= a->ends_at)
			a->live = false;
		if (a->live && net_endpoint_equal(&a->client, client))
			return a;
	}
	return NULL;
}

static inline unsigned server_live(struct turn_server *s)
{
	unsigned count = 0;
	for (unsigned i = 0; i < SERVER_ALLOCATIONS; i++)
		count += s->allocations[i].live && s->now_ms < s->allocations[i].ends_at;
	return count;
}

static inline bool server_permits(const struct turn_server *s, const struct server_allocation *a,
	const struct net_address *peer)
{
	for (unsigned i = 0; i < SERVER_PERMISSIONS; i++)
		if (s->now_ms < a->permissions[i].ends_at &&
			net_address_equal(&a->permissions[i].peer, peer))
			return true;
	return false;
}

static inline void server_permit(
	struct turn_server *s, struct server_allocation *a, const struct net_address *peer)
{
	struct server_permission *free_one = NULL;
	for (unsigned i = 0; i < SERVER_PERMISSIONS; i++) {
		struct server_permission *p = &a->permissions[i];
		if (net_address_equal(&p->peer, peer)) {
			p->ends_at = s->now_ms + 300000;
			return;
		}
		if (s->now_ms >= p->ends_at)
			free_one = p;
	}
	assert(free_one != NULL);
	*free_one = (struct server_permission){*peer, s->now_ms + 300000};
}

// ---- answers ----

static inline struct stun_builder server_begin(
	const struct server_request *r, uint8_t out[1500], enum stun_class class)
{
	return stun_begin(out, 1500, r->m.method, class, stun_transaction(&r->m));
}

static inline void server_reply(
	struct turn_server *s, const struct server_request *r, struct stun_builder *b, bool bare)
{
	struct stun_key key = r->key;
	if (s->forge)
		key.bytes[0] ^= 1;
	if (r->proven && !bare && r->sha256)
		stun_add_integrity_sha256(b, &key);
	else if (r->proven && !bare)
		stun_add_integrity(b, &key);
	size_t size = stun_finish(b);
	assert(size > 0);
	s->send(s->context, &r->from, b->data, size);
}

static inline void server_error(
	struct turn_server *s, const struct server_request *r, unsigned code, bool bare)
{
	uint8_t out[1500];
	struct stun_builder b = server_begin(r, out, STUN_ERROR);
	stun_add_error(&b, code, NULL);
	server_reply(s, r, &b, bare);
}

static inline size_t server_nonce(
	const struct turn_server *s, const struct net_endpoint *from, char out[64])
{
	static const char digits[] = "Agw"; // nothing, algorithms, both
	unsigned features = s->algorithms ? s->anonymity ? 2 : 1 : 0;
	return (size_t)snprintf(out, 64, "obMatJos2%cAAA%u/%u/%u", digits[features], s->nonce_age,
		from->address.bytes[3], from->port);
}

static const uint8_t server_algorithms[] = {0, 9, 0, 2, 1, 2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0};

static inline void server_challenge(
	struct turn_server *s, const struct server_request *r, unsigned code)
{
	uint8_t out[1500];
	char nonce[64];
	struct stun_builder b = server_begin(r, out, STUN_ERROR);
	stun_add_error(&b, code, NULL);
	stun_add(&b, STUN_REALM, s->realm, strlen(s->realm));
	stun_add(&b, STUN_NONCE, nonce, server_nonce(s, &r->from, nonce));
	if (s->algorithms && !s->strip_algorithms)
		stun_add(
			&b, STUN_PASSWORD_ALGORITHMS, server_algorithms, sizeof(server_algorithms));
	server_reply(s, r, &b, true);
}

// ---- who asks ----

static inline bool server_names_user(const struct turn_server *s, const struct server_request *r)
{
	struct stun_attribute a;
	uint8_t hash[STUN_USERHASH_LENGTH];
	if (s->anonymity) {
		stun_userhash(s->user, strlen(s->user), s->realm, hash);
		return stun_find(&r->m, STUN_USERHASH, &a) && a.length == sizeof(hash) &&
		       memcmp(a.value, hash, sizeof(hash)) == 0;
	}
	return stun_find(&r->m, STUN_USERNAME, &a) && a.length == strlen(s->user) &&
	       memcmp(a.value, s->user, a.length) == 0;
}

// The challenge's code, 400, or 0: proven.
static inline unsigned server_judge(struct turn_server *s, struct server_request *r)
{
	struct stun_attribute a;
	char nonce[64];
	size_t nonce_size = server_nonce(s, &r->from, nonce);
	enum stun_password_algorithm algorithm =
		s->algorithms ? STUN_PASSWORD_SHA256 : STUN_PASSWORD_MD5;

	if (r->m.integrity_offset == 0 && r->m.integrity_sha256_offset == 0)
		return 401;
	if (!stun_find(&r->m, STUN_REALM, &a) || !stun_find(&r->m, STUN_NONCE, &a))
		return 400;
	if (a.length != nonce_size || memcmp(a.value, nonce, nonce_size) != 0)
		return 438;
	r->sha256 = s->algorithms;
	if (s->algorithms) {
		struct stun_attribute list, chosen;
		if (r->m.integrity_offset != 0 || // SHA-256 alone (RFC 8489 9.2.5)
			!stun_find(&r->m, STUN_PASSWORD_ALGORITHMS, &list) ||
			!stun_find(&r->m, STUN_PASSWORD_ALGORITHM, &chosen) ||
			list.length != sizeof(server_algorithms) || chosen.length != 4 ||
			memcmp(list.value, server_algorithms, list.length) != 0 ||
			memcmp(chosen.value, "\0\2\0\0", 4) != 0)
			return 400;
	}
	if (stun_key_long_term(algorithm, s->user, strlen(s->user), s->realm, s->password,
		    strlen(s->password), &r->key) != 0 ||
		!server_names_user(s, r))
		return 401;
	int result = s->algorithms ? stun_verify_integrity_sha256(&r->m, &r->key)
				   : stun_verify_integrity(&r->m, &r->key);
	return result == 0 ? 0 : 401;
}

// ---- methods ----

static inline void server_allocated(
	struct turn_server *s, const struct server_request *r, const struct server_allocation *a)
{
	uint8_t out[1500];
	struct stun_builder b = server_begin(r, out, STUN_SUCCESS);
	stun_add_xor_address(&b, STUN_XOR_RELAYED_ADDRESS, &a->relayed);
	stun_add_xor_address(&b, STUN_XOR_MAPPED_ADDRESS, &r->from);
	stun_add_u32(&b, STUN_LIFETIME, (uint32_t)((a->ends_at - s->now_ms) / 1000));
	server_reply(s, r, &b, false);
}

static inline uint32_t server_lifetime(const struct turn_server *s, const struct server_request *r)
{
	struct stun_attribute a;
	uint32_t asked = s->lifetime_s;
	if (stun_find(&r->m, STUN_LIFETIME, &a))
		stun_read_u32(&a, &asked);
	return asked > s->lifetime_max_s ? s->lifetime_max_s : asked;
}

static inline void server_allocate(struct turn_server *s, struct server_request *r)
{
	struct server_allocation *a = server_find(s, &r->from);
	struct stun_attribute attribute;
	uint32_t transport = 0, family = (uint32_t)STUN_FAMILY_IPV4 << 24;

	if (!stun_find(&r->m, STUN_REQUESTED_TRANSPORT, &attribute) ||
		stun_read_u32(&attribute, &transport) != 0 || transport != 17u << 24) {
		server_error(s, r, 442, false);
		return;
	}
	if (stun_find(&r->m, STUN_REQUESTED_ADDRESS_FAMILY, &attribute))
		stun_read_u32(&attribute, &family);
	if (a != NULL && memcmp(a->transaction, stun_transaction(&r->m), 12) != 0) {
		server_error(s, r, 437, false);
		return;
	}
	if (a == NULL && server_live(s) >= s->quota) {
		server_error(s, r, 486, false);
		return;
	}
	for (unsigned i = 0; a == NULL; i++) {
		assert(i < SERVER_ALLOCATIONS);
		if (s->allocations[i].live)
			continue;
		a = &s->allocations[i];
		*a = (struct server_allocation){.live = true, .client = r->from};
		memcpy(a->transaction, stun_transaction(&r->m), sizeof(a->transaction));
		a->ends_at = s->now_ms + 1000 * (uint64_t)server_lifetime(s, r);
		a->relayed.port = s->next_port++;
		a->relayed.address =
			family >> 24 == STUN_FAMILY_IPV6
				? net_address_v6("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1")
				: net_address_v4("\xc0\0\2\1");
	}
	server_allocated(s, r, a);
}

static inline void server_refresh(
	struct turn_server *s, struct server_request *r, struct server_allocation *a)
{
	uint8_t out[1500];
	uint32_t lifetime = server_lifetime(s, r);
	struct stun_builder b = server_begin(r, out, STUN_SUCCESS);
	a->ends_at = s->now_ms + 1000 * (uint64_t)lifetime;
	a->live = lifetime > 0;
	stun_add_u32(&b, STUN_LIFETIME, lifetime);
	server_reply(s, r, &b, false);
}

static inline void server_permission(
	struct turn_server *s, struct server_request *r, struct server_allocation *a)
{
	uint8_t out[1500];
	struct stun_attribute attribute, number;
	struct net_endpoint peer;
	struct server_channel *channel = NULL;

	if (!stun_find(&r->m, STUN_XOR_PEER_ADDRESS, &attribute) ||
		stun_read_xor_address(&r->m, &attribute, &peer) != 0) {
		server_error(s, r, 400, false);
		return;
	}
	if (net_address_equal(&peer.address, &s->denied)) {
		server_error(s, r, 403, false);
		return;
	}
	if (r->m.method == STUN_CHANNEL_BIND) {
		assert(stun_find(&r->m, STUN_CHANNEL_NUMBER, &number) && number.length == 4);
		uint16_t n = (uint16_t)(number.value[0] << 8 | number.value[1]);
		for (unsigned i = 0; i < SERVER_CHANNELS; i++) {
			struct server_channel *c = &a->channels[i];
			bool live = s->now_ms < c->ends_at;
			bool same_peer = net_endpoint_equal(&c->peer, &peer);
			if (live && (c->number == n) != same_peer) {
				server_error(s, r, 400, false);
				return;
			}
			if ((live && same_peer) || (!live && channel == NULL))
				channel = c;
		}
		assert(channel != NULL && n >= 0x4000 && n <= 0x4FFF);
		*channel = (struct server_channel){peer, n, s->now_ms + 600000};
	}
	server_permit(s, a, &peer.address);
	struct stun_builder b = server_begin(r, out, STUN_SUCCESS);
	server_reply(s, r, &b, false);
}

static inline void server_binding(struct turn_server *s, const struct server_request *r)
{
	uint8_t out[1500];
	struct stun_builder b = server_begin(r, out, STUN_SUCCESS);
	stun_add_xor_address(&b, STUN_XOR_MAPPED_ADDRESS, &r->from);
	server_reply(s, r, &b, true);
}

static inline void server_request(struct turn_server *s, struct server_request *r)
{
	s->seen[r->m.method & 15]++;
	if (r->m.method == STUN_BINDING) {
		server_binding(s, r);
		return;
	}
	unsigned code = s->user != NULL ? server_judge(s, r) : 0;
	if (code == 401 || code == 438) {
		server_challenge(s, r, code);
		return;
	}
	if (code != 0) {
		server_error(s, r, code, true);
		return;
	}
	r->proven = s->user != NULL;
	s->authenticated += r->proven;
	if (s->refuse_times > 0 && s->refuse_method == r->m.method) {
		s->refuse_times--;
		server_error(s, r, s->refuse_code, s->refuse_bare);
		return;
	}
	struct server_allocation *a = server_find(s, &r->from);
	if (r->m.method == STUN_ALLOCATE)
		server_allocate(s, r);
	else if (a == NULL)
		server_error(s, r, 437, false);
	else if (r->m.method == STUN_REFRESH)
		server_refresh(s, r, a);
	else
		server_permission(s, r, a);
}

// ---- data ----

static inline void server_relay(struct turn_server *s, const struct server_allocation *a,
	const struct net_endpoint *peer, const uint8_t *data, size_t size, bool by_channel)
{
	if (server_permits(s, a, &peer->address))
		s->to_peer(s->context, peer, data, size, by_channel);
}

static inline void server_receive(
	struct turn_server *s, const struct net_endpoint *from, const uint8_t *data, size_t size)
{
	struct server_request r = {.from = *from};
	struct channel_data frame;
	struct stun_attribute to, payload;
	struct net_endpoint peer;
	struct server_allocation *a = server_find(s, from);

	if (s->dead)
		return;
	if (data[0] >= 64) {
		assert(channel_data_parse(data, size, 0x4FFF, &frame) == 0);
		for (unsigned i = 0; a != NULL && i < SERVER_CHANNELS; i++)
			if (a->channels[i].number == frame.channel &&
				s->now_ms < a->channels[i].ends_at)
				server_relay(s, a, &a->channels[i].peer, frame.payload,
					frame.length, true);
		return;
	}
	assert(stun_parse(data, size, &r.m) == 0); // nothing malformed comes from our client
	if (r.m.class == STUN_REQUEST) {
		server_request(s, &r);
		return;
	}
	assert(r.m.class == STUN_INDICATION && r.m.method == STUN_SEND);
	assert(stun_find(&r.m, STUN_XOR_PEER_ADDRESS, &to) &&
		stun_read_xor_address(&r.m, &to, &peer) == 0 &&
		stun_find(&r.m, STUN_DATA_ATTRIBUTE, &payload));
	if (a != NULL)
		server_relay(s, a, &peer, payload.value, payload.length, false);
}

// A peer sends to the relayed address.
static inline void server_from_peer(struct turn_server *s, struct server_allocation *a,
	const struct net_endpoint *peer, const uint8_t *data, size_t size)
{
	uint8_t out[1500];
	if (s->dead || !server_permits(s, a, &peer->address))
		return;
	for (unsigned i = 0; i < SERVER_CHANNELS; i++) {
		if (s->now_ms >= a->channels[i].ends_at ||
			!net_endpoint_equal(&a->channels[i].peer, peer))
			continue;
		channel_data_write_header(out, a->channels[i].number, (uint16_t)size);
		memcpy(out + 4, data, size);
		s->send(s->context, &a->client, out, size + 4);
		return;
	}
	struct stun_builder b = stun_begin(
		out, sizeof(out), STUN_DATA, STUN_INDICATION, (const uint8_t *)"a transaction");
	stun_add_xor_address(&b, STUN_XOR_PEER_ADDRESS, peer);
	stun_add(&b, STUN_DATA_ATTRIBUTE, data, size);
	s->send(s->context, &a->client, out, stun_finish(&b));
}
