// SPDX-License-Identifier: BSD-3-Clause
// Channels (RFC 8656 12): a number instead of a peer's address, for ten minutes, renewed after nine
// when it was used. A peer keeps its number as long as the server may remember it, and numbers go
// round, so that none comes to another peer within the five minutes more that the RFC asks for.
// What a channel is refused for is no failure: data goes as Send indications.
#include "endpoint/turn/client.h"

#include <sodium.h>

#include <errno.h>
#include <string.h>

static void drop(struct turn_channel *channel)
{
	sodium_memzero(channel, sizeof(*channel));
	turn_exchange_end(&channel->exchange);
}

void turn_channels_drop(struct turn_client *c)
{
	for (unsigned i = 0; i < TURN_CLIENT_CHANNELS_MAX; i++)
		drop(&c->channels[i]);
}

struct turn_channel *turn_channel_find(struct turn_client *c, const struct endpoint_transport *peer)
{
	for (unsigned i = 0; i < TURN_CLIENT_CHANNELS_MAX; i++)
		if (turn_same(&c->channels[i].peer, peer))
			return &c->channels[i];
	return NULL;
}

struct turn_channel *turn_channel_of_number(struct turn_client *c, uint16_t number)
{
	// The first data may overtake the answer to ChannelBind (RFC 8656 12): bound does not
	// matter.
	for (unsigned i = 0; i < TURN_CLIENT_CHANNELS_MAX; i++)
		if (c->channels[i].peer.family != 0 && c->channels[i].number == number)
			return &c->channels[i];
	return NULL;
}

static uint16_t take_number(struct turn_client *c)
{
	uint16_t number;
	do {
		number = c->next_number;
		c->next_number = number < CHANNEL_NUMBER_LAST ? (uint16_t)(number + 1)
							      : (uint16_t)CHANNEL_NUMBER_FIRST;
	} while (turn_channel_of_number(c, number) != NULL);
	return number;
}

static void fill(struct turn_client *c, const void *of, struct stun_builder *b)
{
	const struct turn_channel *channel = of;
	struct net_endpoint e = turn_to_net(&channel->peer);
	(void)c;
	stun_add_u32(b, STUN_CHANNEL_NUMBER, (uint32_t)channel->number << 16);
	stun_add_xor_address(b, STUN_XOR_PEER_ADDRESS, &e);
}

static void ask(struct turn_client *c, struct turn_channel *channel)
{
	if (channel->exchange.method != 0 || c->state != TURN_ALLOCATED)
		return;
	turn_exchange_begin(c, &channel->exchange, STUN_CHANNEL_BIND);
	turn_exchange_run(c, &channel->exchange, fill, channel);
}

void turn_channel_use(struct turn_client *c, struct turn_channel *channel)
{
	channel->used_at = c->now;
	if (!channel->bound && c->now >= channel->denied_until)
		ask(c, channel);
}

// The peer's, or a new one; NULL: no place is free.
static struct turn_channel *channel_of(struct turn_client *c, const struct endpoint_transport *peer)
{
	struct turn_channel *unused = NULL;
	for (unsigned i = 0; i < TURN_CLIENT_CHANNELS_MAX; i++) {
		struct turn_channel *channel = &c->channels[i];
		if (turn_same(&channel->peer, peer))
			return channel;
		if (channel->peer.family == 0 && unused == NULL)
			unused = channel;
	}
	if (unused != NULL) {
		unused->number = take_number(c);
		unused->peer = *peer;
	}
	return unused;
}

int turn_client_bind(struct turn_client *c, const struct endpoint_transport *peer, uint64_t now_ms)
{
	struct turn_permission *permission;

	turn_client_enter(c, now_ms);
	int result = turn_permission_want(c, peer, &permission);
	if (result == 0) {
		struct turn_channel *channel = channel_of(c, peer);
		if (channel == NULL)
			result = -ENOSPC;
		else
			turn_channel_use(c, channel);
	}
	turn_client_leave_quietly(c);
	return result;
}

static void refused(struct turn_client *c, struct turn_channel *channel)
{
	channel->bound = false;
	channel->number = take_number(c); // the server may remember this one for somebody else
	channel->denied_until = c->now + TURN_DENIED_MS;
}

static bool used_since(const struct turn_channel *channel)
{
	return channel->used_at > channel->bound_at;
}

// An unbound one that nothing is sent to goes, too.
static uint64_t ends_at(const struct turn_channel *channel)
{
	return channel->bound ? channel->ends_at : channel->used_at + TURN_CHANNEL_MS;
}

static void run(struct turn_client *c, struct turn_channel *channel)
{
	if (channel->bound && c->now >= channel->renew_at && used_since(channel))
		ask(c, channel);
	if (c->now >= ends_at(channel)) {
		channel->bound = false;
		if (channel->exchange.method == 0) {
			drop(channel);
			return;
		}
	}
	if (!turn_exchange_run(c, &channel->exchange, fill, channel)) {
		turn_exchange_end(&channel->exchange);
		refused(c, channel);
	}
}

void turn_channels_run(struct turn_client *c)
{
	for (unsigned i = 0; i < TURN_CLIENT_CHANNELS_MAX && c->state == TURN_ALLOCATED; i++)
		if (c->channels[i].peer.family != 0)
			run(c, &c->channels[i]);
}

uint64_t turn_channels_deadline(const struct turn_client *c)
{
	uint64_t at = ENDPOINT_NEVER;
	if (c->state != TURN_ALLOCATED)
		return at;
	for (unsigned i = 0; i < TURN_CLIENT_CHANNELS_MAX; i++) {
		const struct turn_channel *channel = &c->channels[i];
		if (channel->peer.family == 0)
			continue;
		if (channel->exchange.method != 0) {
			at = turn_earlier(at, channel->exchange.due);
			continue;
		}
		at = turn_earlier(at, ends_at(channel));
		if (channel->bound && used_since(channel))
			at = turn_earlier(at, channel->renew_at);
	}
	return at;
}

static void bound(struct turn_client *c, struct turn_channel *channel)
{
	struct turn_client_event event = {.type = TURN_CLIENT_BOUND, .peer = channel->peer};
	struct turn_permission *permission = turn_permission_find(c, &channel->peer);
	bool before = channel->bound;

	turn_client_count(c, TURN_CLIENT_COUNTER_channels);
	channel->bound = true;
	channel->bound_at = c->now;
	channel->renew_at = c->now + TURN_CHANNEL_RENEWAL_MS;
	channel->ends_at = c->now + TURN_CHANNEL_MS;
	if (permission != NULL) // ChannelBind makes it, too
		turn_permission_granted(c, permission);
	if (!before && channel->bound)
		turn_client_tell(c, &event);
}

bool turn_channels_answer(struct turn_client *c, const struct stun_message *m)
{
	for (unsigned i = 0; i < TURN_CLIENT_CHANNELS_MAX; i++) {
		struct turn_channel *channel = &c->channels[i];
		unsigned code = 0;
		if (!turn_exchange_is(&channel->exchange, m))
			continue;
		switch (turn_exchange_answer(c, &channel->exchange, m, &code)) {
		case TURN_ANSWER_SUCCESS:
			bound(c, channel);
			break;
		case TURN_ANSWER_ERROR:
			if (code == 437)
				turn_allocation_lost(c);
			else
				refused(c, channel);
			break;
		case TURN_ANSWER_NONE:
			break;
		}
		return true;
	}
	return false;
}

void turn_channels_renew(struct turn_client *c)
{
	for (unsigned i = 0; i < TURN_CLIENT_CHANNELS_MAX; i++) {
		struct turn_channel *channel = &c->channels[i];
		if (channel->peer.family == 0)
			continue;
		channel->bound = false;
		channel->denied_until = 0;
		turn_exchange_end(&channel->exchange);
		ask(c, channel);
	}
}
