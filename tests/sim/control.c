// SPDX-License-Identifier: BSD-3-Clause
// See control.h. controlplane/native.c and dataplane_link.c are what this stands for.
#include "tests/sim/control.h"

#include "controlplane/dataplane_session.h"
#include "controlplane/registration/core.h"
#include "tests/sim/clock.h"
#include "tests/sim/dice.h"
#include "tests/sim/relay.h"
#include "tests/sim/sim.h"
#include "tests/sim/trace.h"

#include <sodium.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SOCKET_MOST_US = 400,      // what a datagram takes from one process to the other
	RETRY_US = 200 * CLOCK_MS, // between two attempts to connect
	ANSWERS_US = 1 * CLOCK_S,  // dataplane_session_tick
};

struct letter {
	uint64_t connection;
	size_t size;
	uint8_t data[];
};

static struct {
	const struct config *config;
	struct dice dice;
	struct registration_key key;
	struct dataplane_session *session;
	struct registration_core *core; // NULL: it does not run
	uint64_t life, connection;      // 0: none
	uint64_t arrives[2];            // of the last letter, each way: they stay in order
	uint64_t counters[REGISTRATION_COUNTER_COUNT]; // of earlier lives
} control;

// ---- the socket ----

static uint64_t arrival(unsigned way)
{
	uint64_t at = clock_now() + dice_below(&control.dice, SOCKET_MOST_US);
	if (at < control.arrives[way])
		at = control.arrives[way];
	return control.arrives[way] = at;
}

static struct letter *write_letter(uint64_t connection, const uint8_t *data, size_t size)
{
	struct letter *letter = malloc(sizeof(*letter) + size);
	if (letter == NULL)
		abort();
	letter->connection = connection;
	letter->size = size;
	memcpy(letter->data, data, size);
	return letter;
}

static void reach_dataplane(void *object, uint64_t argument)
{
	struct letter *letter = object;
	(void)argument;
	relay_input(letter->connection, letter->data, letter->size);
	free(letter);
}

static void flush(void)
{
	const uint8_t *data;
	size_t size;
	while (control.connection != 0 &&
		(data = dataplane_session_output(control.session, &size)) != NULL && size > 0) {
		clock_at(arrival(0), reach_dataplane, write_letter(control.connection, data, size),
			0);
		dataplane_session_sent(control.session);
	}
}

static void reach_control(void *object, uint64_t argument)
{
	struct letter *letter = object;
	(void)argument;
	if (letter->connection == control.connection && control.connection != 0) {
		int result = dataplane_session_receive(
			control.session, letter->data, letter->size, clock_monotonic_ms());
		if (result != 0)
			sim_fail(SIM_NOBODY, SIM_NOBODY,
				"the control plane does not take what the dataplane said: %s",
				strerror(-result));
		flush();
	}
	free(letter);
}

void control_receive(uint64_t connection, const uint8_t *data, size_t size)
{
	clock_at(arrival(1), reach_control, write_letter(connection, data, size), 0);
}

static void reconnect(void *object, uint64_t life)
{
	(void)object;
	if (control.core == NULL || life != control.life || control.connection != 0)
		return;
	control.connection = relay_connect();
	if (control.connection == 0) {
		clock_after(RETRY_US, reconnect, NULL, life);
		return;
	}
	if (!dataplane_session_begin(control.session, clock_monotonic_ms()))
		abort();
	flush();
}

void control_hang_up(void)
{
	if (control.core == NULL || control.connection == 0)
		return;
	control.connection = 0;
	dataplane_session_end(control.session);
	clock_after(RETRY_US, reconnect, NULL, control.life);
}

// ---- core and session ----

static void answered(void *context, const struct dataplane_answer *answer)
{
	(void)context;
	registration_core_answer(control.core, answer->id, answer->result, answer->payload,
		answer->size, clock_monotonic_ms());
}

static uint32_t install(void *context, enum api_type type, const void *payload, uint32_t size)
{
	(void)context;
	return dataplane_session_request(
		control.session, type, payload, size, false, answered, NULL);
}

static void send_packet(void *context, const struct api_packet_send *send, const uint8_t *payload)
{
	(void)context;
	dataplane_session_send(
		control.session, API_PACKET_SEND, send, sizeof(*send), payload, send->length);
}

static void connected(void *context, const struct api_hello_answer *hello)
{
	(void)context;
	trace(TRACE_SCENE, SIM_NOBODY, "control plane connected", NULL, NULL, 0);
	registration_core_connected(control.core, hello, clock_monotonic_ms(), clock_wall_s());
}

static void native_punt(void *context, const struct api_native_punt *punt, const uint8_t *payload)
{
	(void)context;
	registration_core_punt(control.core, punt, payload, clock_monotonic_ms(), clock_wall_s());
}

static void refused(void *context, int error)
{
	(void)context;
	sim_fail(SIM_NOBODY, SIM_NOBODY, "the dataplane refuses the control plane: %s",
		strerror(-error));
}

static void punt(void *context, const struct api_punt *m, const uint8_t *payload)
{
	(void)context;
	(void)m;
	(void)payload;
	sim_fail(SIM_NOBODY, SIM_NOBODY, "STUN, where nobody speaks it");
}

static void expired(void *context, const struct api_expired *m)
{
	(void)context;
	(void)m;
}

static void neighbour_wanted(void *context, const struct api_neighbour_wanted *m)
{
	(void)context;
	(void)m;
	sim_fail(SIM_NOBODY, SIM_NOBODY, "the relay does not know its gateway");
}

static void resync(void *context)
{
	(void)context; // punts were lost: clients repeat themselves
}

// ---- life ----

static void tick(void *object, uint64_t life)
{
	(void)object;
	if (control.core == NULL || life != control.life)
		return;
	uint64_t next = registration_core_tick(control.core, clock_monotonic_ms(), clock_wall_s());
	flush();
	clock_after((next < 1000 ? next : 1000) * CLOCK_MS, tick, NULL, life);
}

static void watch(void *object, uint64_t life)
{
	(void)object;
	if (control.core == NULL || life != control.life)
		return;
	if (dataplane_session_tick(control.session, clock_monotonic_ms()))
		sim_fail(SIM_NOBODY, SIM_NOBODY, "a request to the dataplane was not answered");
	clock_after(ANSWERS_US, watch, NULL, life);
}

void control_open(uint64_t seed, const struct config *config)
{
	control.config = config;
	dice_seed(&control.dice, seed, 0xC0);
	dice_fill(&control.dice, control.key.secret, sizeof(control.key.secret));
	if (crypto_scalarmult_base(control.key.public_key, control.key.secret) != 0)
		abort();
}

void control_launch(void)
{
	const struct dataplane_events events = {
		.connected = connected,
		.refused = refused,
		.punt = punt,
		.native_punt = native_punt,
		.expired = expired,
		.neighbour_wanted = neighbour_wanted,
		.resync = resync,
	};
	const struct registration_output output = {.install = install, .send = send_packet};
	control.session = dataplane_session_create(&events);
	control.core = registration_core_create(control.config, &control.key, &output);
	if (control.session == NULL || control.core == NULL)
		abort();
	control.life++;
	trace(TRACE_SCENE, SIM_NOBODY, "control plane starts", NULL, NULL, 0);
	reconnect(NULL, control.life);
	tick(NULL, control.life);
	watch(NULL, control.life);
}

void control_stop(void)
{
	trace(TRACE_SCENE, SIM_NOBODY, "control plane ends", NULL, NULL, 0);
	relay_disconnect(control.connection);
	control.connection = 0;
	for (unsigned i = 0; i < REGISTRATION_COUNTER_COUNT; i++)
		control.counters[i] +=
			registration_core_counter(control.core, (enum registration_counter)i);
	struct registration_core *core = control.core;
	dataplane_session_end(control.session);
	control.core = NULL;
	registration_core_free(core);
	dataplane_session_free(control.session);
	control.session = NULL;
}

void control_drain(bool on, uint32_t deadline_ms)
{
	const struct api_drain drain = {.on = on, .deadline_ms = deadline_ms};
	trace(TRACE_SCENE, SIM_NOBODY, on ? "drain" : "no drain any more", NULL, NULL, 0);
	registration_core_drain(control.core, on);
	if (dataplane_session_request(
		    control.session, API_DRAIN, &drain, sizeof(drain), false, NULL, NULL) == 0)
		sim_fail(SIM_NOBODY, SIM_NOBODY, "draining could not be asked for");
	flush();
}

// ---- for invariants ----

unsigned control_in_flight(void)
{
	struct registration_usage usage;
	registration_core_usage(control.core, &usage);
	return usage.in_flight + dataplane_session_in_flight(control.session);
}

bool control_has(const void *bytes, size_t size)
{
	const struct registration_flight *flight = &control.core->flight;
	return memmem(flight->slots, REGISTRATION_IN_FLIGHT_MAX * sizeof(*flight->slots), bytes,
		       size) != NULL;
}

void control_print_stats(void)
{
	for (unsigned i = 0; i < REGISTRATION_COUNTER_COUNT; i++)
		if (control.counters[i])
			printf("  core    %-24s %llu\n", registration_counter_names[i],
				(unsigned long long)control.counters[i]);
}
