// SPDX-License-Identifier: BSD-3-Clause
// See turn_client.h and client.h.
#include "endpoint/turn/client.h"

#include <sodium.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { INDICATION_OVERHEAD = STUN_HEADER_LENGTH + 24 + 4 + 3, RUNS_MAX = 4 };

static void system_random(void *context, void *out, size_t size)
{
	(void)context;
	randombytes_buf(out, size);
}

int turn_client_set_credentials(struct turn_client *c, const char *user, const char *password)
{
	if (c->state != TURN_IDLE)
		return -EBUSY;
	return turn_credentials_set(&c->credentials, user, password);
}

int turn_client_create(struct turn_client **out, const struct turn_client_config *config,
	const struct turn_client_output *output)
{
	uint16_t number;

	*out = NULL;
	if ((config->server.family != 4 && config->server.family != 6) ||
		config->server.port == 0 || (config->family != 4 && config->family != 6))
		return -EINVAL;
	if (sodium_init() < 0)
		return -ENOMEM;
	struct turn_client *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return -ENOMEM;
	int result = turn_credentials_set(&c->credentials, config->user, config->password);
	if (result != 0) {
		free(c);
		return result;
	}
	c->output = *output;
	c->server = config->server;
	c->family = config->family;
	c->lifetime_s = config->lifetime_s;
	c->keepalive_ms = config->keepalive_ms ? config->keepalive_ms : TURN_KEEPALIVE_MS;
	c->first_ms = config->first_ms ? config->first_ms : TURN_FIRST_MS;
	c->tries = config->tries ? config->tries : TURN_TRIES;
	c->random = config->random ? config->random : system_random;
	c->random_context = config->random_context;
	c->told_deadline = ENDPOINT_NEVER;
	turn_exchange_end(&c->main);
	turn_exchange_end(&c->question);
	turn_permissions_drop(c);
	turn_channels_drop(c);
	c->random(c->random_context, &number, sizeof(number));
	c->next_number = (uint16_t)(CHANNEL_NUMBER_FIRST +
				    number % (CHANNEL_NUMBER_LAST - CHANNEL_NUMBER_FIRST + 1));
	*out = c;
	return 0;
}

void turn_client_free(struct turn_client *c)
{
	if (c == NULL)
		return;
	sodium_memzero(c, sizeof(*c));
	free(c);
}

// ---- entering and leaving ----

uint64_t turn_client_deadline(const struct turn_client *c)
{
	uint64_t at = turn_allocation_deadline(c);
	at = turn_earlier(at, turn_permissions_deadline(c));
	return turn_earlier(at, turn_channels_deadline(c));
}

void turn_client_enter(struct turn_client *c, uint64_t now_ms)
{
	if (now_ms > c->now)
		c->now = now_ms;
	c->depth++;
}

void turn_client_leave(struct turn_client *c)
{
	// An end may have been the owner's reason for another begin. The bound is for owners who
	// begin something in each event that ends it.
	for (unsigned i = 0; c->depth == 1 && i < RUNS_MAX; i++) {
		turn_allocation_run(c);
		turn_permissions_run(c);
		turn_channels_run(c);
		if (turn_client_deadline(c) > c->now)
			break;
	}
	turn_client_leave_quietly(c);
}

void turn_client_leave_quietly(struct turn_client *c)
{
	c->depth--;
	if (c->depth > 0 || c->output.deadline == NULL)
		return;
	uint64_t at = turn_client_deadline(c);
	if (at == c->told_deadline)
		return;
	c->told_deadline = at;
	c->output.deadline(c->output.context, at);
}

uint64_t turn_client_tick(struct turn_client *c, uint64_t now_ms)
{
	turn_client_enter(c, now_ms);
	turn_client_leave(c);
	return turn_client_deadline(c);
}

void turn_client_count(struct turn_client *c, enum turn_client_counter counter)
{
	c->counters[counter]++;
}

void turn_client_tell(struct turn_client *c, const struct turn_client_event *event)
{
	c->output.event(c->output.context, event);
}

void turn_client_transmit(struct turn_client *c, const uint8_t *data, size_t size)
{
	c->spoke_at = c->now;
	turn_client_count(c, TURN_CLIENT_COUNTER_sent);
	c->output.send(c->output.context, &c->server, data, size);
}

// ---- addresses ----

struct net_endpoint turn_to_net(const struct endpoint_transport *t)
{
	struct net_endpoint e = {.port = t->port};
	e.address = t->family == 4 ? net_address_v4(t->address) : net_address_v6(t->address);
	return e;
}

struct endpoint_transport turn_from_net(const struct net_endpoint *e)
{
	struct endpoint_transport t = {.family = e->address.family, .port = e->port};
	memcpy(t.address, e->address.bytes, sizeof(t.address));
	return t;
}

bool turn_same_address(const struct endpoint_transport *a, const struct endpoint_transport *b)
{
	return a->family == b->family &&
	       memcmp(a->address, b->address, a->family == 4 ? 4 : 16) == 0;
}

bool turn_same(const struct endpoint_transport *a, const struct endpoint_transport *b)
{
	return a->port == b->port && turn_same_address(a, b);
}

// ---- data out ----

static void send_by_channel(
	struct turn_client *c, const struct turn_channel *channel, const void *data, size_t size)
{
	uint8_t message[CHANNEL_DATA_HEADER_LENGTH + TURN_CLIENT_DATA_MAX];
	channel_data_write_header(message, channel->number, (uint16_t)size);
	if (size > 0)
		memcpy(message + CHANNEL_DATA_HEADER_LENGTH, data, size);
	turn_client_count(c, TURN_CLIENT_COUNTER_sent_by_channel);
	turn_client_transmit(c, message, CHANNEL_DATA_HEADER_LENGTH + size);
}

static void send_by_indication(
	struct turn_client *c, const struct endpoint_transport *peer, const void *data, size_t size)
{
	uint8_t message[INDICATION_OVERHEAD + TURN_CLIENT_DATA_MAX];
	uint8_t transaction[STUN_TRANSACTION_LENGTH];
	struct net_endpoint e = turn_to_net(peer);

	c->random(c->random_context, transaction, sizeof(transaction));
	struct stun_builder b =
		stun_begin(message, sizeof(message), STUN_SEND, STUN_INDICATION, transaction);
	stun_add_xor_address(&b, STUN_XOR_PEER_ADDRESS, &e);
	stun_add(&b, STUN_DATA_ATTRIBUTE, data, size);
	turn_client_count(c, TURN_CLIENT_COUNTER_sent_by_indication);
	turn_client_transmit(c, message, stun_finish(&b));
}

static int hold(struct turn_client *c, struct turn_permission *p,
	const struct endpoint_transport *peer, const void *data, size_t size)
{
	if (size > sizeof(p->held) || size == 0) {
		turn_client_count(c, TURN_CLIENT_COUNTER_dropped_permission);
		return -EAGAIN;
	}
	turn_client_count(c, p->held_size > 0 ? TURN_CLIENT_COUNTER_dropped_permission
					      : TURN_CLIENT_COUNTER_held);
	memcpy(p->held, data, size);
	p->held_size = (uint16_t)size;
	p->held_port = peer->port;
	return 0;
}

int turn_client_send(struct turn_client *c, const struct endpoint_transport *peer, const void *data,
	size_t size, uint64_t now_ms)
{
	struct turn_permission *permission;

	if (size > TURN_CLIENT_DATA_MAX)
		return -EMSGSIZE;
	turn_client_enter(c, now_ms);
	int result = turn_permission_want(c, peer, &permission);
	if (result == 0) {
		struct turn_channel *channel = turn_channel_find(c, peer);
		if (channel != NULL)
			turn_channel_use(c, channel);
		if (channel != NULL && channel->bound)
			send_by_channel(c, channel, data, size);
		else if (permission->granted)
			send_by_indication(c, peer, data, size);
		else
			result = hold(c, permission, peer, data, size);
	}
	turn_client_leave_quietly(c);
	return result;
}

int turn_client_permit(
	struct turn_client *c, const struct endpoint_transport *peer, uint64_t now_ms)
{
	struct turn_permission *permission;

	turn_client_enter(c, now_ms);
	int result = turn_permission_want(c, peer, &permission);
	turn_client_leave_quietly(c);
	return result;
}

// ---- datagrams in ----

static void deliver(struct turn_client *c, const struct endpoint_transport *peer,
	const uint8_t *data, size_t size)
{
	struct turn_permission *permission = turn_permission_find(c, peer);
	if (permission != NULL)
		permission->used_at = c->now;
	c->heard_at = c->now;
	turn_client_tell(
		c, &(struct turn_client_event){
			   .type = TURN_CLIENT_DATA, .peer = *peer, .data = data, .size = size});
}

static void receive_channel_data(struct turn_client *c, const uint8_t *data, size_t size)
{
	struct channel_data message;
	if (channel_data_parse(data, size, CHANNEL_NUMBER_LAST, &message) != 0) {
		turn_client_count(c, TURN_CLIENT_COUNTER_ignored_malformed);
		return;
	}
	struct turn_channel *channel = turn_channel_of_number(c, message.channel);
	if (c->state != TURN_ALLOCATED || channel == NULL) {
		turn_client_count(c, TURN_CLIENT_COUNTER_ignored_channel);
		return;
	}
	channel->used_at = c->now;
	turn_client_count(c, TURN_CLIENT_COUNTER_received_by_channel);
	struct endpoint_transport peer = channel->peer;
	deliver(c, &peer, message.payload, message.length);
}

static void receive_data_indication(struct turn_client *c, const struct stun_message *m)
{
	static const uint16_t known[] = {STUN_XOR_PEER_ADDRESS, STUN_DATA_ATTRIBUTE};
	struct stun_attribute peer_attribute, data;
	struct net_endpoint e;
	uint16_t unknown;

	if (!stun_find(m, STUN_XOR_PEER_ADDRESS, &peer_attribute) ||
		!stun_find(m, STUN_DATA_ATTRIBUTE, &data) ||
		stun_read_xor_address(m, &peer_attribute, &e) != 0 ||
		stun_unknown_attributes(m, known, 2, &unknown, 1) > 0) {
		turn_client_count(c, TURN_CLIENT_COUNTER_ignored_malformed);
		return;
	}
	struct endpoint_transport peer = turn_from_net(&e);
	if (c->state != TURN_ALLOCATED || turn_permission_find(c, &peer) == NULL) {
		turn_client_count(c, TURN_CLIENT_COUNTER_ignored_peer);
		return;
	}
	turn_client_count(c, TURN_CLIENT_COUNTER_received_by_indication);
	deliver(c, &peer, data.value, data.length);
}

static bool receive_stun(struct turn_client *c, const uint8_t *data, size_t size)
{
	struct stun_message m;
	if (stun_parse(data, size, &m) != 0) {
		turn_client_count(c, TURN_CLIENT_COUNTER_ignored_malformed);
		return false;
	}
	if (m.class == STUN_INDICATION && m.method == STUN_DATA) {
		receive_data_indication(c, &m);
		return true;
	}
	if (m.class != STUN_SUCCESS && m.class != STUN_ERROR) {
		turn_client_count(c, TURN_CLIENT_COUNTER_ignored_type);
		return false;
	}
	if (turn_allocation_answer(c, &m) || turn_permissions_answer(c, &m) ||
		turn_channels_answer(c, &m))
		return true;
	turn_client_count(c, TURN_CLIENT_COUNTER_ignored_transaction);
	return false;
}

bool turn_client_receive(struct turn_client *c, const struct endpoint_transport *source,
	const uint8_t *data, size_t size, uint64_t now_ms)
{
	bool ours = false;

	if (!turn_same(source, &c->server)) {
		turn_client_count(c, TURN_CLIENT_COUNTER_ignored_source);
		return false;
	}
	turn_client_enter(c, now_ms);
	turn_client_count(c, TURN_CLIENT_COUNTER_received);
	if (size > 0 && data[0] >= 64 && data[0] <= 79) {
		receive_channel_data(c, data, size);
		ours = true;
	} else if (size > 0 && data[0] < 4) {
		ours = receive_stun(c, data, size);
	} else {
		turn_client_count(c, TURN_CLIENT_COUNTER_ignored_type);
	}
	turn_client_leave(c);
	return ours;
}

// ---- for showing ----

void turn_client_usage(const struct turn_client *c, struct turn_client_usage *out)
{
	*out = (struct turn_client_usage){
		.allocated = c->state == TURN_ALLOCATED,
		.round_trip_ms = c->round_trip_ms,
		.relayed = c->relayed,
		.mapped = c->mapped,
	};
	for (unsigned i = 0; i < TURN_CLIENT_PERMISSIONS_MAX; i++)
		out->permissions += c->permissions[i].granted;
	for (unsigned i = 0; i < TURN_CLIENT_CHANNELS_MAX; i++)
		out->channels += c->channels[i].bound;
}

const char *turn_client_counter_name(enum turn_client_counter counter)
{
#define NAME(name) #name,
	static const char *const names[] = {TURN_CLIENT_COUNTERS(NAME)};
#undef NAME
	return (unsigned)counter < TURN_CLIENT_COUNTER_COUNT ? names[counter] : NULL;
}

uint64_t turn_client_counter(const struct turn_client *c, enum turn_client_counter counter)
{
	return c->counters[counter];
}
