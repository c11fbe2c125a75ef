// SPDX-License-Identifier: BSD-3-Clause
// Permissions (RFC 8656 9): the server lets an address of a peer through, whatever its port, for
// five minutes. One request each, so that one refusal concerns one peer. Renewed after four minutes
// when something went to or came from there since; an unused one lapses, and so do those of
// candidates that led nowhere.
#include "endpoint/turn/client.h"

#include <sodium.h>

#include <errno.h>
#include <string.h>

static void drop(struct turn_permission *p)
{
	sodium_memzero(p, sizeof(*p));
	turn_exchange_end(&p->exchange);
}

void turn_permissions_drop(struct turn_client *c)
{
	for (unsigned i = 0; i < TURN_CLIENT_PERMISSIONS_MAX; i++)
		drop(&c->permissions[i]);
}

struct turn_permission *turn_permission_find(
	struct turn_client *c, const struct endpoint_transport *peer)
{
	for (unsigned i = 0; i < TURN_CLIENT_PERMISSIONS_MAX; i++)
		if (turn_same_address(&c->permissions[i].peer, peer))
			return &c->permissions[i];
	return NULL;
}

static bool has_channel(const struct turn_client *c, const struct turn_permission *p)
{
	for (unsigned i = 0; i < TURN_CLIENT_CHANNELS_MAX; i++)
		if (turn_same_address(&c->channels[i].peer, &p->peer))
			return true;
	return false;
}

// A free place, or that of the one that was not used for longest.
static struct turn_permission *place(struct turn_client *c)
{
	struct turn_permission *oldest = NULL;
	for (unsigned i = 0; i < TURN_CLIENT_PERMISSIONS_MAX; i++) {
		struct turn_permission *p = &c->permissions[i];
		if (p->peer.family == 0)
			return p;
		if (c->now - p->used_at > TURN_IDLE_MS && !has_channel(c, p) &&
			(oldest == NULL || p->used_at < oldest->used_at))
			oldest = p;
	}
	return oldest;
}

static void fill(struct turn_client *c, const void *of, struct stun_builder *b)
{
	const struct turn_permission *p = of;
	struct net_endpoint e = turn_to_net(&p->peer);
	(void)c;
	stun_add_xor_address(b, STUN_XOR_PEER_ADDRESS, &e);
}

// The first transmission goes out here, so that callers need no events and no timers.
static void ask(struct turn_client *c, struct turn_permission *p)
{
	if (p->exchange.method != 0 || c->state != TURN_ALLOCATED)
		return;
	turn_exchange_begin(c, &p->exchange, STUN_CREATE_PERMISSION);
	turn_exchange_run(c, &p->exchange, fill, p);
}

int turn_permission_want(
	struct turn_client *c, const struct endpoint_transport *peer, struct turn_permission **out)
{
	if (c->state != TURN_ALLOCATED)
		return -ENOTCONN;
	if (peer->family != c->family)
		return -EAFNOSUPPORT;
	struct turn_permission *p = turn_permission_find(c, peer);
	if (p == NULL) {
		p = place(c);
		if (p == NULL)
			return -ENOSPC;
		drop(p);
		p->peer = *peer;
		p->peer.port = 0;
	}
	p->used_at = c->now;
	*out = p;
	if (!p->granted && c->now < p->denied_until)
		return -EACCES;
	if (!p->granted)
		ask(c, p);
	return 0;
}

static void denied(struct turn_client *c, struct turn_permission *p, unsigned code)
{
	struct turn_client_event event = {
		.type = TURN_CLIENT_DENIED, .peer = p->peer, .failed = {.code = code}};
	p->granted = false;
	p->denied_until = c->now + TURN_DENIED_MS;
	sodium_memzero(p->held, sizeof(p->held));
	p->held_size = 0;
	turn_client_tell(c, &event);
}

static bool used_since(const struct turn_permission *p)
{
	return p->used_at > p->granted_at;
}

static void run(struct turn_client *c, struct turn_permission *p)
{
	if (p->granted && c->now >= p->renew_at && used_since(p))
		ask(c, p);
	if (p->granted && c->now >= p->ends_at) {
		p->granted = false;
		if (p->exchange.method == 0) {
			drop(p);
			return;
		}
	}
	unsigned code = p->exchange.doubted_code;
	if (!turn_exchange_run(c, &p->exchange, fill, p)) {
		turn_exchange_end(&p->exchange);
		denied(c, p, code);
		return;
	}
	if (!p->granted && p->exchange.method == 0 && c->now >= p->denied_until)
		drop(p);
}

void turn_permissions_run(struct turn_client *c)
{
	for (unsigned i = 0; i < TURN_CLIENT_PERMISSIONS_MAX && c->state == TURN_ALLOCATED; i++)
		if (c->permissions[i].peer.family != 0)
			run(c, &c->permissions[i]);
}

uint64_t turn_permissions_deadline(const struct turn_client *c)
{
	uint64_t at = ENDPOINT_NEVER;
	if (c->state != TURN_ALLOCATED)
		return at;
	for (unsigned i = 0; i < TURN_CLIENT_PERMISSIONS_MAX; i++) {
		const struct turn_permission *p = &c->permissions[i];
		if (p->peer.family == 0)
			continue;
		at = turn_earlier(at, turn_exchange_due(&p->exchange));
		if (p->granted)
			at = turn_earlier(at, p->ends_at);
		if (p->granted && p->exchange.method == 0 && used_since(p))
			at = turn_earlier(at, p->renew_at);
		if (!p->granted && p->exchange.method == 0)
			at = turn_earlier(at, p->denied_until);
	}
	return at;
}

void turn_permission_granted(struct turn_client *c, struct turn_permission *p)
{
	struct turn_client_event event = {.type = TURN_CLIENT_PERMITTED, .peer = p->peer};
	struct endpoint_transport to = p->peer;
	uint8_t held[TURN_CLIENT_HELD_MAX];
	size_t size = p->held_size;
	bool before = p->granted;

	turn_client_count(c, TURN_CLIENT_COUNTER_permissions);
	turn_exchange_end(&p->exchange);
	p->granted = true;
	p->granted_at = c->now;
	p->renew_at = c->now + TURN_PERMISSION_RENEWAL_MS;
	p->ends_at = c->now + TURN_PERMISSION_MS;
	to.port = p->held_port;
	memcpy(held, p->held, size);
	sodium_memzero(p->held, sizeof(p->held));
	p->held_size = 0;
	if (size > 0)
		turn_client_send(c, &to, held, size, c->now);
	sodium_memzero(held, sizeof(held));
	if (!before)
		turn_client_tell(c, &event);
}

bool turn_permissions_answer(struct turn_client *c, const struct stun_message *m)
{
	for (unsigned i = 0; i < TURN_CLIENT_PERMISSIONS_MAX; i++) {
		struct turn_permission *p = &c->permissions[i];
		unsigned code = 0;
		if (!turn_exchange_is(&p->exchange, m))
			continue;
		switch (turn_exchange_answer(c, &p->exchange, m, &code)) {
		case TURN_ANSWER_SUCCESS:
			turn_permission_granted(c, p);
			break;
		case TURN_ANSWER_ERROR:
			if (code == 437)
				turn_allocation_lost(c);
			else
				denied(c, p, code);
			break;
		case TURN_ANSWER_NONE:
			break;
		}
		return true;
	}
	return false;
}

void turn_permissions_renew(struct turn_client *c)
{
	for (unsigned i = 0; i < TURN_CLIENT_PERMISSIONS_MAX; i++) {
		struct turn_permission *p = &c->permissions[i];
		if (p->peer.family == 0)
			continue;
		p->granted = false;
		p->denied_until = 0;
		turn_exchange_end(&p->exchange);
		ask(c, p);
	}
}
