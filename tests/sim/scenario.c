// SPDX-License-Identifier: BSD-3-Clause
// See scenario.h. Epochs (100 s) turn at 100, 200, 300, ... s, in storm and in calm.
#include "tests/sim/scenario.h"

#include "lib/config/config.h"
#include "tests/sim/account.h"
#include "tests/sim/adversary.h"
#include "tests/sim/book.h"
#include "tests/sim/client.h"
#include "tests/sim/clock.h"
#include "tests/sim/control.h"
#include "tests/sim/dice.h"
#include "tests/sim/invariants.h"
#include "tests/sim/network.h"
#include "tests/sim/relay.h"
#include "tests/sim/sim.h"
#include "tests/sim/trace.h"
#include "tests/sim/user.h"

#include <stdlib.h>

enum {
	CONTROL_DOWN_US = 800 * CLOCK_MS,
	DATAPLANE_DOWN_US = 1500 * CLOCK_MS,
	COMPARE_US = 7 * CLOCK_S,
	ADVERSARY_US = 8 * CLOCK_MS,
	ACTS_PER_S = 100, // of all users together, at most
	ACT_LEAST_US = 12 * CLOCK_S,
};

static struct {
	struct dice dice;
	struct config *config;
	uint64_t dataplane_since;
	bool over;
} scene;

static const struct sim_phase phases[] = {
	{.name = "coming",
		.until = 20 * CLOCK_S,
		.loss = 20000,
		.doubled = 10000,
		.late = 20000,
		.calls = true},
	{.name = "storm",
		.until = 130 * CLOCK_S,
		.loss = 50000,
		.doubled = 30000,
		.late = 50000,
		.moves = true,
		.restless = true,
		.calls = true,
		.hostile = true},
	// What was lost is repeated, what moved is found.
	{.name = "settling",
		.until = 160ull * CLOCK_S,
		.doubled = 10000,
		.late = 20000,
		.calls = true,
		.hostile = true},
	{.name = "calm",
		.until = 210ull * CLOCK_S,
		.doubled = 20000,
		.late = 20000,
		.calls = true,
		.calm = true,
		.hostile = true},
	{.name = "quieter",
		.until = 260ull * CLOCK_S,
		.doubled = 20000,
		.late = 20000,
		.calls = true,
		.calm = true},
	{.name = "quiet",
		.until = 310ull * CLOCK_S,
		.doubled = 20000,
		.late = 20000,
		.calls = true,
		.calm = true,
		.quiet = true},
	{.name = "rebinding", .until = 330ull * CLOCK_S, .moves = true, .calls = true},
	{.name = "earthquake",
		.until = 370ull * CLOCK_S,
		.loss = 100000,
		.doubled = 50000,
		.late = 100000,
		.moves = true,
		.restless = true,
		.calls = true,
		.hostile = true},
	{.name = "recovering",
		.until = 420ull * CLOCK_S,
		.loss = 10000,
		.calls = true,
		.hostile = true},
	{.name = "draining",
		.until = 430ull * CLOCK_S,
		.restless = true,
		.calls = true,
		.hostile = true},
	{.name = "leaving",
		.until = 450ull * CLOCK_S,
		.loss = 30000,
		.doubled = 30000,
		.late = 50000,
		.hostile = true},
	{.name = "silence", .until = 620ull * CLOCK_S},
};

uint64_t scenario_dataplane_since(void)
{
	return scene.dataplane_since;
}

uint64_t scenario_act_us(void)
{
	uint64_t us = (uint64_t)sim_options.clients * CLOCK_S / ACTS_PER_S;
	return us > ACT_LEAST_US ? us : ACT_LEAST_US;
}

const char *scenario_end_name(enum endpoint_end why)
{
	static const char *const names[] = {[ENDPOINT_END_BY_PEER] = "ended by the peer",
		[ENDPOINT_END_BY_SELF] = "ended by self",
		[ENDPOINT_END_PEER_SILENT] = "ended, the peer is silent",
		[ENDPOINT_END_DRAINING] = "ended by a drain",
		[ENDPOINT_END_SELF_SILENT] = "ended, we were silent",
		[ENDPOINT_END_LOST] = "ended, the relay does not know it",
		[ENDPOINT_END_NO_ANSWER] = "ended without an answer",
		[ENDPOINT_END_DECLINED] = "was declined",
		[ENDPOINT_END_NO_ADDRESS] = "ended, no such address",
		[ENDPOINT_END_TAKEN] = "was taken by another device",
		[ENDPOINT_END_NOT_SEALED] = "was answered by somebody else",
		[ENDPOINT_END_CANCELLED] = "was cancelled",
		[ENDPOINT_END_REFUSED] = "was refused"};
	return (unsigned)why < sizeof(names) / sizeof(names[0]) ? names[why] : "ended";
}

// ---- what happens to the relay ----

static void start_control(void *object, uint64_t argument)
{
	(void)object;
	(void)argument;
	control_launch();
}

static void restart_control(void *object, uint64_t argument)
{
	(void)object;
	(void)argument;
	sim_count(COUNT_control_restarts);
	control_stop();
	clock_after(CONTROL_DOWN_US, start_control, NULL, 0);
}

static void start_dataplane(void *object, uint64_t argument)
{
	(void)object;
	(void)argument;
	relay_start();
	scene.dataplane_since = clock_now();
}

static void restart_dataplane(void *object, uint64_t argument)
{
	(void)object;
	(void)argument;
	sim_count(COUNT_dataplane_restarts);
	book_compare();
	relay_stop();
	control_hang_up();
	account_forget();
	book_forget();
	client_unsettle_all();
	clock_after(DATAPLANE_DOWN_US, start_dataplane, NULL, 0);
}

static void drain(void *object, uint64_t deadline_ms)
{
	(void)object;
	control_drain(deadline_ms != 0, (uint32_t)deadline_ms);
}

static void compare(void *object, uint64_t argument)
{
	(void)object;
	(void)argument;
	if (relay_is_up())
		invariants_check();
	if (!scene.over)
		clock_after(COMPARE_US, compare, NULL, 0);
}

// Anywhere in a part of the run, and once in the middle of an epoch's turn.
static uint64_t somewhen(unsigned from_s, unsigned to_s)
{
	return dice_between(&scene.dice, (uint64_t)from_s * CLOCK_S, (uint64_t)to_s * CLOCK_S);
}

static void plan_relay(void)
{
	clock_at(somewhen(40, 60), restart_control, NULL, 0);
	clock_at(somewhen(98, 101), restart_control, NULL, 0);
	clock_at(somewhen(170, 190), restart_control, NULL, 0);
	clock_at(somewhen(199, 200), restart_control, NULL, 0);
	clock_at(somewhen(265, 290), restart_control, NULL, 0);
	clock_at(somewhen(335, 345), restart_dataplane, NULL, 0);
	clock_at(somewhen(350, 355), restart_control, NULL, 0);
	clock_at(420ull * CLOCK_S, drain, NULL, UINT32_MAX);
	clock_at(427ull * CLOCK_S, drain, NULL, 0);
	// In some runs everything is ended before its time.
	if (sim_options.seed % 3 == 2)
		clock_at(448ull * CLOCK_S, drain, NULL, 5000);
	clock_at(COMPARE_US, compare, NULL, 0);
}

// ---- clients ----

static void come(void *object, uint64_t argument)
{
	(void)argument;
	client_come(object);
}

static void greet(void *object, uint64_t argument)
{
	(void)argument;
	user_greet(object);
}

static void go(void *object, uint64_t gently)
{
	struct client *client = object;
	if (client->endpoint == NULL)
		return;
	if (gently && !client->leaving)
		client_leave(client);
	else
		client_vanish(client);
}

static void plan_clients(void)
{
	for (unsigned i = 0; i < sim_options.clients; i++) {
		clock_at(somewhen(0, 18), come, client_at(i), 0);
		clock_at(somewhen(200, 203), greet, client_at(i), 0);
		clock_at(somewhen(300, 303), greet, client_at(i), 0);
		bool gently = dice_chance(&scene.dice, 500000);
		clock_at(somewhen(431, 446), go, client_at(i), gently);
		// Whoever could not withdraw has gone by now.
		clock_at(455ull * CLOCK_S, go, client_at(i), false);
	}
}

// ---- the run ----

static void make_config(void)
{
	scene.config = calloc(1, sizeof(*scene.config));
	if (scene.config == NULL)
		abort();
	struct config *c = scene.config;
	unsigned places = sim_options.clients * 8 < 4096 ? 4096 : sim_options.clients * 8;
	c->dataplane.workers = 2;
	c->dataplane.allocations = 16;
	c->dataplane.mappings = 64;
	c->registration.enabled = true;
	c->registration.admission = CONFIG_ADMISSION_OPEN;
	c->registration.lease = SIM_LEASE_S;
	c->registration.keepalive = SIM_KEEPALIVE_S;
	c->registration.epoch = SIM_EPOCH_S;
	c->registration.leases = places;
	c->registration.handles = places;
	c->registration.sender_bytes = 1 << 20;
	c->registration.address_bytes = 4 << 20;
	c->registration.new_leases = 20000;
	c->registration.puzzle_above = 5000;
	// Few clients are quick enough for puzzles.
	if (sim_options.seed % 4 == 3 && sim_options.clients <= 500) {
		c->registration.admission = CONFIG_ADMISSION_POW;
		c->registration.puzzle_above = sim_options.clients / 10 + 1;
	}
}

void scenario_run(void)
{
	uint64_t seed = sim_options.seed;
	dice_seed(&scene.dice, seed, 0x5CE);
	make_config();
	// Every other run begins some minutes before 32 bits of ticks come round.
	clock_ticks_begin(seed % 2 ? UINT32_MAX - (uint32_t)dice_below(&scene.dice, 500000)
				   : (uint32_t)dice_throw(&scene.dice) | 1 << 20);
	network_open(seed);
	relay_open(seed, scene.config);
	control_open(seed, scene.config);
	client_open(seed);
	adversary_open(seed);
	start_dataplane(NULL, 0);
	control_launch();
	plan_relay();
	plan_clients();
	for (unsigned i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
		sim_phase = phases[i];
		sim_phase.since = clock_now();
		trace(TRACE_SCENE, SIM_NOBODY, sim_phase.name, NULL, NULL, 0);
		adversary_work(sim_phase.hostile ? ADVERSARY_US : 0);
		clock_run(sim_phase.until);
	}
	scene.over = true;
	invariants_at_end();
	control_stop();
	relay_stop();
	clock_clear();
	account_forget();
	book_close();
	adversary_close();
	client_close();
	ledger_close();
	network_close();
	relay_close();
	free(scene.config);
}
