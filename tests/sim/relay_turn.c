// SPDX-License-Identifier: BSD-3-Clause
// A turn: what has arrived goes through every worker, then main has its part, until nobody finds
// anything to do. The doors are the real ones but for the last, behind which is a DPDK port:
//
// wrap: worker_transmit
#include "tests/sim/relay_inside.h"

#include "dataplane/launder.h"
#include "tests/sim/account.h"
#include "tests/sim/book.h"
#include "tests/sim/clock.h"
#include "tests/sim/control.h"
#include "tests/sim/frame.h"
#include "tests/sim/map.h"
#include "tests/sim/network.h"
#include "tests/sim/sim.h"
#include "tests/sim/trace.h"

#include <rte_mbuf.h>
#include <rte_ring.h>

#include <stdlib.h>
#include <string.h>

enum {
	TURN_US = 150,           // from an arrival until it is looked at
	IDLE_US = 50 * CLOCK_MS, // between turns when nothing arrives
	ROUNDS_MAX = 10000,
};

struct input {
	struct input *next;
	uint64_t connection;
	uint32_t size;
	uint8_t data[];
};

static struct {
	bool turn_is_due;
	struct input *inputs, **inputs_end; // of the socket
	struct arrivals {
		struct network_packet **packets;
		size_t count, room;
	} arrivals[RELAY_WORKERS];
} waiting = {.inputs_end = &waiting.inputs};

void relay_turn_forget(void)
{
	for (unsigned w = 0; w < RELAY_WORKERS; w++) {
		for (size_t i = 0; i < waiting.arrivals[w].count; i++)
			free(waiting.arrivals[w].packets[i]);
		waiting.arrivals[w].count = 0;
	}
	while (waiting.inputs != NULL) {
		struct input *input = waiting.inputs;
		waiting.inputs = input->next;
		free(input);
	}
	waiting.inputs_end = &waiting.inputs;
}

void relay_turn_close(void)
{
	for (unsigned w = 0; w < RELAY_WORKERS; w++)
		free(waiting.arrivals[w].packets);
}

// ---- workers ----

void __wrap_worker_transmit(
	struct worker *worker, struct rte_mbuf **mbufs, unsigned count, uint16_t port);
void __wrap_worker_transmit(
	struct worker *worker, struct rte_mbuf **mbufs, unsigned count, uint16_t port)
{
	(void)worker;
	for (unsigned i = 0; i < count; i++) {
		struct frame_seen seen;
		if (port != 0 || mbufs[i]->nb_segs != 1 ||
			!frame_take(
				rte_pktmbuf_mtod(mbufs[i], uint8_t *), mbufs[i]->pkt_len, &seen) ||
			!net_endpoint_equal(
				&seen.source, network_relay(seen.source.address.family)))
			sim_fail(SIM_NOBODY, SIM_NOBODY, "the relay has sent a bad frame");
		account_left(&seen.destination, seen.payload, seen.size);
		book_left(&seen.destination, seen.payload, seen.size);
		network_answer(&seen.source, &seen.destination, seen.payload, seen.size);
		rte_pktmbuf_free(mbufs[i]);
	}
}

static void run_burst(struct worker *worker, struct network_packet **packets, unsigned count)
{
	struct rte_mbuf *mbufs[BURST_MAX];
	for (unsigned i = 0; i < count; i++) {
		struct network_packet *p = packets[i];
		mbufs[i] = frame_make(relay.pool, &p->source, &p->destination, p->bytes, p->size);
		if (mbufs[i] == NULL)
			sim_fail(SIM_NOBODY, SIM_NOBODY, "the relay has no buffers left");
		account_arrived(&p->source, p->bytes, p->size);
		trace(TRACE_ARRIVED, network_owner(&p->source), "", &p->source, p->bytes, p->size);
	}
	book_burst(packets, count);
	pipeline_run(worker, 0, mbufs, (uint16_t)count, clock_tsc());
	book_burst_end();
	for (unsigned i = 0; i < count; i++)
		free(packets[i]);
}

static unsigned worker_turns(unsigned w)
{
	struct worker *worker = relay.dataplane->workers[w];
	struct arrivals *arrivals = &waiting.arrivals[w];
	size_t done = 0;
	while (done < arrivals->count) {
		size_t left = arrivals->count - done, most = left < BURST_MAX ? left : BURST_MAX;
		size_t part = dice_between(&relay.dice, 1, most);
		run_burst(worker, arrivals->packets + done, (unsigned)part);
		done += part;
	}
	arrivals->count = 0;
	done += command_execute(worker, &worker->machine->lane, clock_tsc(), COMMAND_SLOTS);
	pipeline_held(worker, clock_tsc());
	return (unsigned)done;
}

// ---- main, as serve.c has it ----

static unsigned take_commands(struct worker_machine *machine)
{
	struct command *command;
	unsigned count = 0;
	while ((command = command_completed(&machine->lane)) != NULL) {
		if (command->kind == COMMAND_NATIVE_SETTINGS)
			native_settings_reported(relay.dataplane);
		if (relay.connection != NULL && command->connection == relay.connection->serial)
			connection_completed(relay.connection, command);
		command_release(&machine->lane, command);
		count++;
	}
	return count;
}

static unsigned take_punts(struct worker_machine *machine)
{
	void *object;
	unsigned count = 0;
	while (rte_ring_sc_dequeue(machine->punts, &object) == 0) {
		struct rte_mbuf *mbuf = object;
		const struct packet_private *private = rte_mbuf_to_priv(mbuf);
		if (relay.server.control != NULL)
			connection_event(relay.server.control,
				private->kind == PACKET_PUNT_NATIVE ? API_NATIVE_PUNT : API_PUNT,
				rte_pktmbuf_mtod(mbuf, void *), rte_pktmbuf_data_len(mbuf));
		launder_data(mbuf);
		rte_pktmbuf_free(mbuf);
		count++;
	}
	return count;
}

static unsigned take_inputs(void)
{
	unsigned count = 0;
	while (waiting.inputs != NULL && relay.connection != NULL &&
		connection_wants_input(relay.connection)) {
		struct input *input = waiting.inputs;
		waiting.inputs = input->next;
		if (waiting.inputs == NULL)
			waiting.inputs_end = &waiting.inputs;
		if (input->connection == relay.connection->serial) {
			memcpy(relay.connection->in, input->data, input->size);
			relay.connection->in_length = input->size;
			if (connection_work(relay.connection) != 0)
				sim_fail(SIM_NOBODY, SIM_NOBODY,
					"the dataplane does not take what the control plane said");
		}
		free(input);
		count++;
	}
	return count;
}

static unsigned put_outputs(void)
{
	const uint8_t *data;
	uint32_t size;
	unsigned count = 0;
	if (relay.connection == NULL)
		return 0;
	if (connection_work(relay.connection) != 0)
		sim_fail(SIM_NOBODY, SIM_NOBODY, "a request could not be gone on with");
	while (connection_output(relay.connection, &data, &size)) {
		control_receive(relay.connection->serial, data, size);
		connection_sent(relay.connection);
		count++;
	}
	return count;
}

static void end_drain(struct dataplane *dataplane)
{
	struct drain *drain = &dataplane->drain;
	if (drain->on && drain->has_deadline && clock_monotonic_ms() >= drain->deadline_ms)
		drain->ended = true;
}

static void turn(void)
{
	struct dataplane *dataplane = relay.dataplane;
	unsigned rounds = 0, work;
	do {
		work = 0;
		for (unsigned w = 0; w < RELAY_WORKERS; w++) {
			work += worker_turns(w);
			work += take_commands(dataplane->workers[w]->machine);
			work += take_punts(dataplane->workers[w]->machine);
		}
		end_drain(dataplane);
		work += take_inputs() + put_outputs() + native_tick(dataplane);
		if (++rounds == ROUNDS_MAX)
			sim_fail(SIM_NOBODY, SIM_NOBODY, "the dataplane finds no end");
	} while (work > 0);
}

static void turn_now(void *object, uint64_t start)
{
	(void)object;
	waiting.turn_is_due = false;
	if (relay.up && relay.dataplane->instance == start)
		turn();
}

static void turn_soon(void)
{
	if (waiting.turn_is_due || !relay.up)
		return;
	waiting.turn_is_due = true;
	clock_after(TURN_US, turn_now, NULL, relay.dataplane->instance);
}

static void idle_turn(void *object, uint64_t start)
{
	(void)object;
	if (!relay.up || relay.dataplane->instance != start)
		return;
	turn();
	clock_after(IDLE_US, idle_turn, NULL, start);
}

void relay_turn_begin(void)
{
	idle_turn(NULL, relay.dataplane->instance);
}

void relay_arrive(struct network_packet *packet)
{
	if (!relay.up) {
		free(packet);
		return;
	}
	// As a card would spread them.
	struct net_endpoint ends[2] = {packet->source, packet->destination};
	struct arrivals *arrivals = &waiting.arrivals[map_hash(ends, sizeof(ends)) % RELAY_WORKERS];
	if (arrivals->count == arrivals->room) {
		arrivals->room = arrivals->room ? 2 * arrivals->room : 256;
		arrivals->packets =
			realloc(arrivals->packets, arrivals->room * sizeof(*arrivals->packets));
		if (arrivals->packets == NULL)
			abort();
	}
	arrivals->packets[arrivals->count++] = packet;
	turn_soon();
}

// ---- the control plane's connection ----

uint64_t relay_connect(void)
{
	if (!relay.up)
		return 0;
	relay.connection = connection_create(&relay.server, -1, true, true);
	if (relay.connection == NULL)
		abort();
	// The simulation's own leavings on the heap are not to be found there (relay_search).
	const struct connection_queue *out = &relay.connection->out;
	memset(relay.connection->in, 0, API_DATAGRAM_MAX);
	memset(out->data, 0, (size_t)out->datagrams * API_DATAGRAM_MAX);
	return relay.connection->serial;
}

void relay_disconnect(uint64_t connection)
{
	if (relay.connection == NULL || relay.connection->serial != connection)
		return;
	connection_free(relay.connection);
	relay.connection = NULL;
}

void relay_input(uint64_t connection, const uint8_t *data, size_t size)
{
	if (relay.connection == NULL || relay.connection->serial != connection)
		return;
	struct input *input = malloc(sizeof(*input) + size);
	if (input == NULL || size > API_DATAGRAM_MAX)
		abort();
	*input = (struct input){.connection = connection, .size = (uint32_t)size};
	memcpy(input->data, data, size);
	*waiting.inputs_end = input;
	waiting.inputs_end = &input->next;
	turn_soon();
}
