// SPDX-License-Identifier: BSD-3-Clause
// What happens to pairs of users, and what must hold then. Three rounds of
//
//     call       one calls the other, who answers at once or after a while
//     calm       nobody moves, nothing is lost: the path is the one theory knows, the relay came at
//                exactly 800 ms or not at all, nothing said from then on is lost
//     restart    of the control plane: nobody notices
//     storm      loss, moves (both at once, too), rebinding, cuts of the direct way, relays that
//                stop and are started anew
//     settling   and calm again: calls that can have a path have one, both sides use the same kind
//     hang up    both know; nothing is sent to the peer any more
//
// and everybody leaves: the relay's tables are empty in the end.
#include "tests/sim/calls.h"

#include "dataplane/table/handles.h"
#include "dataplane/table/leases.h"
#include "lib/config/config.h"
#include "tests/sim/account.h"
#include "tests/sim/clock.h"
#include "tests/sim/control.h"
#include "tests/sim/relay.h"
#include "tests/sim/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	ROUNDS = 3,
	CONTROL_DOWN_US = 800 * CLOCK_MS,
	RELAY_DOWN_US = 1500 * CLOCK_MS,
	STORM_US = 40 * CLOCK_S,
	LONG_CUT_US = 35 * CLOCK_S, // goes on for up to 25 s after the storm
	SETTLE_US = 90 * CLOCK_S,
};

static struct {
	struct dice dice;
	struct config *config;
	struct user users[CALLS_USERS_MAX];
	unsigned user_count;
} world;

static bool chance(uint32_t of_a_million)
{
	return dice_chance(&world.dice, of_a_million);
}

static uint64_t between(uint64_t low, uint64_t high)
{
	return dice_between(&world.dice, low, high);
}

static void phase(const char *name, uint64_t for_us)
{
	sim_phase.name = name;
	sim_phase.since = clock_now();
	sim_phase.until = clock_now() + for_us;
	trace(TRACE_SCENE, SIM_NOBODY, name, NULL, NULL, 0);
	if (sim_options.follow != SIM_NOBODY)
		printf("%10.6f  -- %s\n", (double)clock_now() / CLOCK_S, name);
	clock_run(sim_phase.until);
}

// ---- what happens ----

static void start_control(void *object, uint64_t argument)
{
	(void)object;
	(void)argument;
	control_launch();
}

static void kill_control(void *object, uint64_t argument)
{
	(void)object;
	(void)argument;
	calls_counts[CALLS_control_kills]++;
	control_stop();
	clock_after(CONTROL_DOWN_US, start_control, NULL, 0);
}

static void start_relay(void *object, uint64_t argument)
{
	(void)object;
	(void)argument;
	relay_start();
}

static void kill_relay(void *object, uint64_t argument)
{
	(void)object;
	(void)argument;
	calls_counts[CALLS_relay_kills]++;
	relay_stop();
	control_hang_up();
	account_forget();
	clock_after(RELAY_DOWN_US, start_relay, NULL, 0);
}

static void second_up(void *object, uint64_t up)
{
	(void)object;
	calls_counts[CALLS_second_kills] += !up;
	second_alive(up);
}

static void move(void *object, uint64_t argument)
{
	(void)argument;
	user_move(object);
}

static void rebind(void *object, uint64_t argument)
{
	struct user *user = object;
	struct place *place = &user->places[user->at];
	(void)argument;
	calls_counts[CALLS_rebindings]++;
	trace(TRACE_SCENE, user->number, "rebinding", NULL, NULL, 0);
	if (place->nat != NULL)
		nat_rebind(place->nat);
	if (place->firewall != NULL)
		nat_rebind(place->firewall);
}

static void cut(void *object, uint64_t on)
{
	struct user *user = object;
	calls_counts[CALLS_cuts] += on;
	user->cut = on;
	trace(TRACE_SCENE, user->number, on ? "is cut" : "is not cut any more", NULL, NULL, 0);
	if (sim_options.follow == user->number)
		printf("%10.6f  %s\n", (double)clock_now() / CLOCK_S, on ? "cut" : "not cut");
}

static void cut_for(struct user *user, uint64_t at, uint64_t us)
{
	clock_at(at, cut, user, true);
	clock_at(at + us, cut, user, false);
}

// Mostly short; some are so long that consent ends.
static void cut_somehow(struct user *user, uint64_t at)
{
	if (chance(150000)) {
		cut_for(user, at, LONG_CUT_US);
		cut_for(user->peer, at, LONG_CUT_US);
		return;
	}
	cut_for(user, at, between(CLOCK_S / 10, 5 * CLOCK_S));
	if (chance(600000))
		cut_for(user->peer, at, between(CLOCK_S / 10, 5 * CLOCK_S));
}

static void wires(bool bad)
{
	for (unsigned i = 0; i < world.user_count * CALLS_PLACES * 2; i++) {
		struct place *place = &world.users[i / 4].places[i / 2 % 2];
		struct wire_quality *q = i % 2 ? &place->up.quality : &place->down.quality;
		q->loss = bad ? (uint32_t)between(0, 60000) : 0;
		q->duplicate = bad ? 10000 : 0;
		q->reorder = bad ? 10000 : 0;
		q->reorder_us = 60 * CLOCK_MS;
		q->jitter_us = bad ? (uint32_t)between(0, 30 * CLOCK_MS) : 0;
	}
}

static void answer(void *object, uint64_t call)
{
	struct user *user = object;
	if (user->call == call && !user->ended)
		user_answer(user);
}

// Waits for the call to ring, and then a while.
static void wait_for_ring(void *object, uint64_t before)
{
	struct user *user = object;
	if (user->call == before) {
		clock_after(CLOCK_MS, wait_for_ring, user, before);
		return;
	}
	uint64_t wait = chance(300000) ? 0 : between(0, 4 * CLOCK_S);
	clock_after(wait, answer, user, user->call);
}

static void call(void *object, uint64_t argument)
{
	struct user *user = object;
	(void)argument;
	wait_for_ring(user->peer, user->peer->call);
	user_call(user);
}

static void hang_up(void *object, uint64_t argument)
{
	(void)argument;
	user_hang_up(object);
}

// Everything is over by the end of the storm, but what a move has made and long cuts.
static void plan_storm_of(struct user *user)
{
	uint64_t begin = clock_now(), end = begin + STORM_US;
	unsigned events = (unsigned)between(1, 3);
	for (unsigned i = 0; i < events; i++) {
		uint64_t at = between(begin, end - 10 * CLOCK_S);
		switch (between(0, 4)) {
		case 0:
			clock_at(at, move, user, 0);
			if (chance(400000)) // both at once
				clock_at(at, move, user->peer, 0);
			break;
		case 1:
			clock_at(at, rebind, user, 0);
			break;
		default:
			cut_somehow(user, at);
		}
	}
}

static void plan_storm(void)
{
	uint64_t begin = clock_now(), end = begin + STORM_US;
	for (unsigned i = 0; i < world.user_count; i++)
		plan_storm_of(&world.users[i]);
	if (chance(700000))
		clock_at(between(begin, begin + STORM_US / 2), kill_control, NULL, 0);
	if (chance(500000))
		clock_at(between(begin + STORM_US / 2 + CLOCK_S, end - 10 * CLOCK_S), kill_relay,
			NULL, 0);
	if (calls_options.second_relay && chance(500000)) {
		uint64_t at = between(begin, end - 15 * CLOCK_S);
		clock_at(at, second_up, NULL, false);
		clock_at(at + between(CLOCK_S, 14 * CLOCK_S), second_up, NULL, true);
	}
	wires(true);
}

// ---- what must hold ----

static void require_alive(const struct user *user)
{
	if (user->ended)
		sim_fail(user->number, user->peer->number, "the call has ended by itself (%d)",
			user->why);
	if (!user->answered)
		sim_fail(user->number, user->peer->number, "the call was not answered");
}

static void require_voice(const struct user *user, uint64_t since_us, const char *what)
{
	uint64_t first_us = 0, last_us = 0;
	unsigned missing = user_missing(user, since_us, 1000, &first_us, &last_us);
	calls_counts[CALLS_checked]++;
	if (missing > 0)
		sim_fail(user->number, user->peer->number,
			"%u frames did not come %s (said from %.6f to %.6f s)", missing, what,
			(double)first_us / CLOCK_S, (double)last_us / CLOCK_S);
}

static const struct place *place_of(const struct user *user)
{
	return &user->places[user->at];
}

static void require_paths(const struct user *user)
{
	const struct user *peer = user->peer;
	bool direct = theory_direct(place_of(user), place_of(peer));
	unsigned have = user_path_class(user), want = direct ? 2 : 1;
	if (have != want)
		sim_fail(user->number, peer->number, "is on %s, theory says %s",
			have == 0   ? "nothing"
			: have == 1 ? "the relay"
			: have == 2 ? "a direct path"
				    : "both",
			direct ? "direct" : "relay");
	calls_counts[direct ? CALLS_direct_calls : CALLS_relayed_calls]++;
}

// From the first path on nothing was lost.
static void require_beginning(const struct user *user)
{
	uint64_t engaged = user->engaged_at, first = user->first_at;
	if (engaged != 0 && engaged != user->answered_at + 800)
		sim_fail(user->number, user->peer->number,
			"the relay was engaged after %llu ms, not 800",
			(unsigned long long)(engaged - user->answered_at));
	if (first != 0 && first > user->answered_at + 800)
		sim_fail(user->number, user->peer->number,
			"nothing until a direct path after %llu ms",
			(unsigned long long)(first - user->answered_at));
	if (engaged == 0 && first == 0)
		sim_fail(user->number, user->peer->number, "no path at all");
	// A path that no answer has proven yet is tried while there is no other.
	const struct user *peer = user->peer;
	uint64_t since_ms = peer->engaged_at != 0 ? peer->engaged_at : peer->first_at;
	if (since_ms < user->answered_at) // what comes before is not asked for
		since_ms = user->answered_at;
	require_voice(user, (since_ms - 1000000) * CLOCK_MS + CLOCK_MS, "from the beginning");
}

static void require_quiet(const struct user *user, uint64_t since_us)
{
	struct phone_call_info info;
	if (!user->ended)
		sim_fail(user->number, user->peer->number, "does not know that it is over");
	if (phone_call_info(user->phone, user->call, &info) == 0)
		sim_fail(user->number, user->peer->number, "the call is still there");
	if (user->direct_sent_at > since_us)
		sim_fail(user->number, user->peer->number, "still sends to the peer");
}

static void each(void (*check)(const struct user *user))
{
	for (unsigned i = 0; i < world.user_count; i++)
		check(&world.users[i]);
}

static void each_voice(uint64_t since_us, const char *what)
{
	for (unsigned i = 0; i < world.user_count; i++)
		require_voice(&world.users[i], since_us, what);
}

// ---- the run ----

static void make_config(void)
{
	world.config = calloc(1, sizeof(*world.config));
	if (world.config == NULL)
		abort();
	struct config *c = world.config;
	c->dataplane.workers = 2;
	c->dataplane.allocations = 16;
	c->dataplane.mappings = 64;
	c->registration.enabled = true;
	c->registration.admission = CONFIG_ADMISSION_OPEN;
	c->registration.lease = SIM_LEASE_S;
	c->registration.keepalive = SIM_KEEPALIVE_S;
	c->registration.epoch = SIM_EPOCH_S;
	c->registration.leases = 4096;
	c->registration.handles = 4096;
	c->registration.sender_bytes = 1 << 20;
	c->registration.address_bytes = 4 << 20;
	c->registration.new_leases = 20000;
	c->registration.puzzle_above = 5000;
}

static void begin_call(unsigned pair)
{
	struct user *caller = &world.users[2 * pair + between(0, 1)];
	clock_after(between(0, 2 * CLOCK_S), call, caller, 0);
}

static void round_of_calls(void)
{
	calls_forget_answers();
	for (unsigned pair = 0; pair < world.user_count / 2; pair++)
		begin_call(pair);
	phase("call", 20 * CLOCK_S);
	each(require_alive);
	each(require_beginning);
	each(require_paths);

	uint64_t since = clock_now();
	kill_control(NULL, 0);
	phase("restart of the control plane", 5 * CLOCK_S);
	each_voice(since, "while the control plane was restarted");

	plan_storm();
	phase("storm", STORM_US + CLOCK_S);
	wires(false);
	phase("settling", SETTLE_US);
	since = clock_now();
	phase("calm", 5 * CLOCK_S);
	each(require_alive);
	each_voice(since, "in calm");
	each(require_paths);

	for (unsigned i = 0; i < world.user_count; i++) {
		uint64_t first_us, last_us;
		calls_counts[CALLS_frames_lost] +=
			user_missing(&world.users[i], 0, 1000, &first_us, &last_us);
	}
	for (unsigned pair = 0; pair < world.user_count / 2; pair++)
		clock_after(
			between(0, CLOCK_S), hang_up, &world.users[2 * pair + between(0, 1)], 0);
	phase("hanging up", 5 * CLOCK_S);
	since = clock_now();
	phase("after the call", 10 * CLOCK_S);
	for (unsigned i = 0; i < world.user_count; i++)
		require_quiet(&world.users[i], since);
}

static void require_registered(const struct user *user)
{
	if (user->registered != (1u << user->config.relay_count) - 1)
		sim_fail(user->number, SIM_NOBODY, "is not registered everywhere");
}

void calls_run(void)
{
	uint64_t seed = sim_options.seed;
	dice_seed(&world.dice, seed, 0x5CE);
	calls_options.second_relay = chance(500000);
	make_config();
	clock_ticks_begin((uint32_t)dice_throw(&world.dice) | 1 << 20);
	calls_network_open(seed);
	relay_open(seed, world.config);
	control_open(seed, world.config);
	second_open();
	relay_start();
	control_launch();
	world.user_count = 2 * calls_options.pairs;
	for (unsigned i = 0; i < world.user_count; i++) {
		world.users[i].peer = &world.users[i ^ 1];
		user_open(&world.users[i], i, seed);
	}
	phase("start", CLOCK_S);
	for (unsigned i = 0; i < world.user_count; i++)
		user_listen(&world.users[i]);
	phase("registering", 10 * CLOCK_S);
	each(require_registered);
	for (unsigned i = 0; i < ROUNDS; i++)
		round_of_calls();

	for (unsigned i = 0; i < world.user_count; i++)
		user_withdraw(&world.users[i]);
	phase("leaving", 10 * CLOCK_S);
	for (unsigned i = 0; i < world.user_count; i++)
		user_close(&world.users[i]);
	phase("silence", 200ull * CLOCK_S);
	if (relay_leases()->used != 0 || relay_handles()->used != 0)
		sim_fail(SIM_NOBODY, SIM_NOBODY, "leases or handles are left");
	control_stop();
	relay_stop();
	clock_clear();
	account_forget();
	calls_network_close();
	relay_close();
	free(world.config);
}
