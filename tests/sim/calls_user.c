// SPDX-License-Identifier: BSD-3-Clause
// A phone on the virtual clock, and what its user says and hears. Frames carry their number and a
// pattern; what comes must have been said, by the peer, in this call.
#include "tests/sim/calls.h"

#include "tests/sim/clock.h"
#include "tests/sim/network.h"
#include "tests/sim/trace.h"

#include <sodium.h>

#include <stdio.h>
#include <string.h>

enum {
	FRAME_SIZE = 44,
	TICKS_MAX = 1000,   // in one millisecond
	MS_BEGIN = 1000000, // clock_monotonic_ms at 0
};

static struct endpoint_time now(void)
{
	return (struct endpoint_time){
		.monotonic_ms = clock_monotonic_ms(), .wall_s = clock_wall_s()};
}

static struct endpoint_transport transport_of(const struct net_endpoint *e)
{
	struct endpoint_transport t = {.family = e->address.family, .port = e->port};
	memcpy(t.address, e->address.bytes, t.family == 4 ? 4 : 16);
	return t;
}

// ---- time ----

static void plan(struct user *user);

static void tick(void *object, uint64_t at)
{
	struct user *user = object;
	if (user->phone == NULL || user->tick_at != at)
		return;
	user->tick_at = 0;
	phone_tick(user->phone, now());
	plan(user);
}

static void plan(struct user *user)
{
	if (user->phone == NULL)
		return;
	uint64_t due = phone_deadline(user->phone);
	if (due == ENDPOINT_NEVER)
		return;
	uint64_t at = due <= MS_BEGIN ? 0 : (due - MS_BEGIN) * CLOCK_MS;
	if (at <= clock_now()) {
		at = clock_now();
		if (++user->ticks > TICKS_MAX)
			sim_fail(user->number, SIM_NOBODY, "a deadline that stays in the past");
	} else {
		user->ticks = 0;
	}
	if (user->tick_at != 0 && user->tick_at <= at && user->tick_at >= clock_now())
		return;
	user->tick_at = at;
	clock_at(at, tick, user, at);
}

// ---- voice ----

static uint8_t pattern(const struct user *speaker, uint32_t number, unsigned i)
{
	return (uint8_t)(number * 31 + i * 7 + speaker->number * 13 + speaker->say_life);
}

static void say(void *object, uint64_t life)
{
	struct user *user = object;
	uint8_t data[FRAME_SIZE];
	if (user->say_life != life || user->phone == NULL || user->ended)
		return;
	for (unsigned i = 0; i < 4; i++)
		data[i] = (uint8_t)(user->said >> (24 - 8 * i));
	for (unsigned i = 4; i < FRAME_SIZE; i++)
		data[i] = pattern(user, user->said, i);
	// Without a path it is lost; that is what the checks find.
	(void)phone_voice(user->phone, user->call, data, sizeof(data), now());
	if (user->said + 1 >= CALLS_FRAMES_MAX)
		sim_fail(user->number, SIM_NOBODY, "too many frames for the simulation");
	user->said_at[user->said++] = clock_now();
	calls_counts[CALLS_frames]++;
	plan(user);
	clock_after(CALLS_FRAME_MS * CLOCK_MS, say, user, life);
}

static void hear(struct user *user, const struct phone_event *event)
{
	struct user *peer = user->peer;
	const uint8_t *data = event->data;
	uint32_t n = (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 |
		     data[3];
	if (event->call != user->call || event->size != FRAME_SIZE || n > peer->said)
		sim_fail(user->number, peer->number, "hears what was never said");
	for (unsigned i = 4; i < FRAME_SIZE; i++)
		if (data[i] != pattern(peer, n, i))
			sim_fail(user->number, peer->number, "hears something else than was said");
	if (user->heard_at[n] == 0)
		user->heard_at[n] = clock_now();
}

unsigned user_missing(const struct user *user, uint64_t since_us, unsigned slack_ms,
	uint64_t *first_us, uint64_t *last_us)
{
	const struct user *peer = user->peer;
	unsigned missing = 0;
	for (uint32_t n = 0; n < peer->said; n++) {
		uint64_t said = peer->said_at[n];
		if (said < since_us || said + slack_ms * CLOCK_MS >= clock_now() ||
			user->heard_at[n] != 0)
			continue;
		if (missing++ == 0)
			*first_us = said;
		*last_us = said;
	}
	return missing;
}

unsigned user_path_class(const struct user *user)
{
	struct phone_call_info info;
	if (user->phone == NULL || phone_call_info(user->phone, user->call, &info) != 0)
		return 0;
	return (unsigned)((info.paths & 3) != 0) | (unsigned)((info.paths & 12) != 0) << 1;
}

// ---- what the phone tells ----

static void begin(struct user *user, uint64_t call, bool caller)
{
	user->call = call;
	user->caller = caller;
	user->answered = user->ended = false;
	user->answered_at = user->engaged_at = user->first_at = 0;
	user->said = 0;
	memset(user->said_at, 0, sizeof(user->said_at));
	memset(user->heard_at, 0, sizeof(user->heard_at));
}

static void path_changed(struct user *user, const struct phone_event *event)
{
	switch (event->path.why) {
	case PHONE_PATH_ENGAGED:
		user->engaged_at = clock_monotonic_ms();
		break;
	case PHONE_PATH_FIRST:
		user->first_at = clock_monotonic_ms();
		break;
	case PHONE_PATH_BOTH:
		calls_counts[CALLS_both]++;
		break;
	case PHONE_PATH_BETTER:
	case PHONE_PATH_SILENT:
		calls_counts[CALLS_switches]++;
		break;
	default:
		break;
	}
}

static const char *const told[] = {[PHONE_REGISTERED] = "registered",
	[PHONE_TROUBLE] = "trouble with a relay",
	[PHONE_OTHER] = "other",
	[PHONE_INCOMING] = "incoming",
	[PHONE_RINGING] = "ringing",
	[PHONE_ANSWERED] = "answered",
	[PHONE_PATH] = "path",
	[PHONE_ENDED] = "ended"};

static void follow(const struct user *user, const struct phone_event *event)
{
	if (sim_options.follow != user->number)
		return;
	printf("%10.6f  %s", (double)clock_now() / CLOCK_S, told[event->type]);
	if (event->type == PHONE_PATH)
		printf(" %x -> %x why %d", event->path.before, event->path.now, event->path.why);
	if (event->type == PHONE_ENDED)
		printf(" why %d", event->ended.why);
	printf("\n");
}

static void on_event(void *context, const struct phone_event *event)
{
	struct user *user = context;
	if (event->type == PHONE_VOICE) {
		hear(user, event);
		return;
	}
	trace(TRACE_TOLD, user->number, told[event->type], NULL, NULL, 0);
	follow(user, event);
	switch (event->type) {
	case PHONE_REGISTERED:
		user->registered |= 1u << event->relay.number;
		break;
	case PHONE_INCOMING:
		begin(user, event->call, false);
		break;
	case PHONE_ANSWERED:
		user->answered = true;
		user->answered_at = clock_monotonic_ms();
		clock_after(0, say, user, ++user->say_life);
		break;
	case PHONE_PATH:
		path_changed(user, event);
		break;
	case PHONE_ENDED:
		user->ended = true;
		user->why = event->ended.why;
		break;
	default:
		break;
	}
}

// ---- the host ----

static void on_send(void *context, unsigned base, const struct endpoint_transport *destination,
	const uint8_t *data, size_t size)
{
	calls_send(context, base, destination, data, size);
}

static int base_open(void *context, unsigned family)
{
	struct user *user = context;
	for (int i = 0; i < PHONE_BASES_MAX; i++)
		if (!user->up[i]) {
			user->up[i] = true;
			user->family[i] = (uint8_t)family;
			user->port[i] = (uint16_t)dice_between(&user->dice, 10000, 60000);
			return i;
		}
	return -1;
}

static void base_close(void *context, unsigned base)
{
	((struct user *)context)->up[base] = false;
}

static void tell_hosts(struct user *user)
{
	const struct place *place = &user->places[user->at];
	struct net_endpoint at = {.address = place->inside}, at6 = {.address = place->inside6};
	const struct phone_host hosts[2] = {
		{.transport = transport_of(&at), .interface = 1 + user->at},
		{.transport = transport_of(&at6), .interface = 1 + user->at},
	};
	phone_hosts(user->phone, hosts, place->firewall != NULL ? 2 : 1, now());
	plan(user);
}

static void fill(void *context, void *out, size_t size)
{
	dice_fill(context, out, size);
}

static enum phone_trust trust(void *context, const uint8_t identity_key[ENDPOINT_KEY_SIZE],
	const struct endpoint_peer *peer)
{
	const struct user *user = context;
	(void)identity_key;
	(void)peer;
	return user->number % 4 == 3 ? PHONE_STRANGER : PHONE_KNOWN;
}

static void add_relay(
	struct phone_config *config, const struct net_endpoint *a, const struct net_endpoint *b)
{
	struct phone_relay *relay = &config->relays[config->relay_count++];
	relay->addresses[relay->address_count++] = transport_of(a);
	if (b != NULL)
		relay->addresses[relay->address_count++] = transport_of(b);
}

void user_open(struct user *user, unsigned number, uint64_t seed)
{
	const struct phone_output output = {
		.context = user,
		.send = on_send,
		.base_open = base_open,
		.base_close = base_close,
		.event = on_event,
	};
	user->number = (uint16_t)number;
	dice_seed(&user->dice, seed, 1000 + number);
	for (unsigned i = 0; i < CALLS_PLACES; i++)
		place_open(&user->places[i], user, CALLS_PLACES * number + i, &user->dice);
	struct phone_config *config = &user->config;
	dice_fill(&user->dice, config->namespace_id, sizeof(config->namespace_id));
	dice_fill(&user->dice, config->identity_seed, sizeof(config->identity_seed));
	dice_fill(&user->dice, config->delivery_seed, sizeof(config->delivery_seed));
	add_relay(config, network_relay(NET_IPV4), NULL);
	if (calls_options.second_relay)
		add_relay(config, calls_second_relay(), NULL);
	config->epoch_seconds = SIM_EPOCH_S;
	config->lease_seconds = SIM_LEASE_S;
	config->relay_after_ms = UINT32_MAX;
	config->trust = trust;
	config->trust_context = user;
	config->random = fill;
	config->random_context = &user->dice;
	if (phone_create(&user->phone, config, &output) != 0)
		sim_fail(number, SIM_NOBODY, "no phone");
	// Everybody's program takes the same port; behind NATs even the addresses are the same.
	for (unsigned base = 0; base < 2; base++) {
		user->up[base] = true;
		user->family[base] = base == 0 ? 4 : 6;
		user->port[base] = 5060;
		phone_base_up(user->phone, base, user->family[base], user->port[base]);
	}
	tell_hosts(user);
}

void user_close(struct user *user)
{
	phone_free(user->phone);
	user->phone = NULL;
	for (unsigned i = 0; i < CALLS_PLACES; i++)
		place_close(&user->places[i]);
}

void user_receive(struct user *user, unsigned base, const struct net_endpoint *source,
	const uint8_t *data, size_t size)
{
	if (user->phone == NULL)
		return;
	struct endpoint_transport from = transport_of(source);
	phone_receive(user->phone, base, &from, data, size, now());
	plan(user);
}

void user_move(struct user *user)
{
	user->at = (user->at + 1) % CALLS_PLACES;
	calls_counts[CALLS_moves]++;
	trace(TRACE_SCENE, user->number, "moves", NULL, NULL, 0);
	if (sim_options.follow == user->number)
		printf("%10.6f  moves\n", (double)clock_now() / CLOCK_S);
	tell_hosts(user);
}

// ---- the user's wishes ----

void user_listen(struct user *user)
{
	phone_listen(user->phone, now());
	plan(user);
}

void user_call(struct user *user)
{
	const struct user *peer = user->peer;
	struct phone_contact contact = {.relay_count = peer->config.relay_count};
	uint8_t secret[64];
	uint64_t call;
	crypto_sign_seed_keypair(contact.identity_key, secret, peer->config.identity_seed);
	crypto_sign_seed_keypair(contact.peer.delivery_key, secret, peer->config.delivery_seed);
	memcpy(contact.peer.namespace_id, peer->config.namespace_id, ENDPOINT_KEY_SIZE);
	memcpy(contact.relays, peer->config.relays, sizeof(contact.relays));
	int result = phone_call(user->phone, &contact, &call, now());
	if (result != 0)
		sim_fail(user->number, peer->number, "cannot call: %s", strerror(-result));
	begin(user, call, true);
	calls_counts[CALLS_calls]++;
	plan(user);
}

void user_answer(struct user *user)
{
	if (phone_answer(user->phone, user->call, now()) != 0)
		sim_fail(user->number, user->peer->number, "cannot answer");
	plan(user);
}

void user_hang_up(struct user *user)
{
	if (phone_hangup(user->phone, user->call, now()) != 0)
		sim_fail(user->number, user->peer->number, "cannot hang up");
	user->ended = true;
	plan(user);
}

void user_withdraw(struct user *user)
{
	(void)phone_withdraw(user->phone, now());
	plan(user);
}
