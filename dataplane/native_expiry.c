// SPDX-License-Identifier: BSD-3-Clause
// The end of leases and handles that nobody has renewed, and of all when a drain's deadline comes:
// a bounded part per turn, by the time that has passed. Clients of handles are told (CLOSED), by
// workers in turn. See native_requests.h. Main lcore.

#include "dataplane/native_requests.h"

#include "dataplane/command.h"
#include "dataplane/dataplane.h"
#include "dataplane/table/handles.h"
#include "dataplane/table/leases.h"
#include "dataplane/table/own_addresses.h"
#include "lib/wire/native.h"

#include <sodium.h>

#include <string.h>

enum {
	SWEEP_MS = 1000,      // of a whole table, if it is no larger than
	SWEEP_MOST = 1 << 20, // entries
	TURN_MOST = 4096,     // entries in one turn
	LANE_KEPT = 64,       // slots of a worker that are left to requests
};

// ---- telling ----

// A worker whose lane has room for both sides; NULL: later.
static struct worker *teller(struct dataplane *dataplane)
{
	for (unsigned i = 0; i < dataplane->worker_count; i++) {
		struct worker *worker =
			dataplane->workers[dataplane->native.teller++ % dataplane->worker_count];
		if (worker->machine->lane.free_count >= LANE_KEPT + 2)
			return worker;
	}
	return NULL;
}

static void tell_side(struct dataplane *dataplane, struct worker *worker,
	const struct handles_ended *ended, unsigned side, enum native_close_reason reason)
{
	const struct node_addresses *addresses =
		&dataplane->settings.slots[dataplane->settings.current];
	const unsigned server = ended->end[side].server;
	uint8_t transaction[NATIVE_TRANSACTION_SIZE], proof[NATIVE_PROOF_SIZE];
	struct native_closed closed = {
		.transaction = transaction,
		.handle = {ended->handle.generation, ended->handle.index + side},
		.reason = (uint8_t)reason,
		.proof = proof,
	};
	randombytes_buf(transaction, sizeof(transaction));
	native_closed_proof(proof, ended->end[side].key, &closed);
	struct command *command = command_take(&worker->machine->lane);
	struct api_packet_send *send = (struct api_packet_send *)command->payload;
	*send = (struct api_packet_send){
		.source = {.address = addresses->listen[server & SERVER_INDEX_MASK],
			.port = own_server_port(addresses, server)},
		.destination = {.address.family = ended->end[side].family,
			.port = ended->end[side].client_port},
		.worker = worker->id,
	};
	memcpy(send->destination.address.bytes, ended->end[side].client, 16);
	send->length = (uint16_t)native_closed_build(
		command->payload + sizeof(*send), COMMAND_PAYLOAD_MAX - sizeof(*send), &closed);
	command->kind = COMMAND_SEND;
	command->type = API_PACKET_SEND;
	command->id = 0;
	command->connection = 0;
	command->worker = worker->id;
	command->size = (uint32_t)sizeof(*send) + send->length;
	command_submit(&worker->machine->lane, command);
	doorbell_ring(&worker->machine->rest.bell);
}

static void tell_silent(
	struct dataplane *dataplane, struct worker *worker, const struct handles_ended *ended)
{
	for (unsigned side = 0; side < 2; side++)
		tell_side(dataplane, worker, ended, side,
			ended->end[side].silent ? NATIVE_CLOSED_YOU_SILENT
						: NATIVE_CLOSED_PEER_SILENT);
}

static void tell_drained(
	struct dataplane *dataplane, struct worker *worker, const struct handles_ended *ended)
{
	for (unsigned side = 0; side < 2; side++)
		tell_side(dataplane, worker, ended, side, NATIVE_CLOSED_DRAINING);
}

// ---- ending ----

// What has come due in the time since the last turn, and what was left then.
static uint32_t owed(uint32_t before, uint32_t entries, uint64_t elapsed_ms)
{
	uint64_t rate = entries < SWEEP_MOST ? entries : SWEEP_MOST;
	uint64_t more = rate * (elapsed_ms < SWEEP_MS ? elapsed_ms : SWEEP_MS) / SWEEP_MS;
	uint64_t all = before + more + (elapsed_ms != 0);
	return all < entries ? (uint32_t)all : entries;
}

static unsigned expire_handles(struct dataplane *dataplane, uint64_t now)
{
	struct native *native = &dataplane->native;
	unsigned part = native->owed_pairs < TURN_MOST ? native->owed_pairs : TURN_MOST;
	unsigned left = part, ended = 0;
	struct handles_ended out;
	struct worker *worker = NULL;
	while (left > 0 && (worker = teller(dataplane)) != NULL &&
		handles_expire(dataplane->handles, now, &left, &out)) {
		tell_silent(dataplane, worker, &out);
		native->counters[NATIVE_handles_expired] += 2;
		ended++;
	}
	explicit_bzero(&out, sizeof(out));
	native->owed_pairs -= part - left;
	// Without a worker to tell them there is nothing to do now; it rings.
	return ended + (worker != NULL && native->owed_pairs > 0);
}

static unsigned expire_leases(struct dataplane *dataplane, uint64_t now)
{
	struct native *native = &dataplane->native;
	unsigned part = native->owed_leases < TURN_MOST ? native->owed_leases : TURN_MOST;
	unsigned ended = leases_expire(dataplane->leases, now, part);
	native->counters[NATIVE_leases_expired] += ended;
	native->owed_leases -= part;
	return ended + (native->owed_leases > 0);
}

static unsigned expire(struct dataplane *dataplane)
{
	struct native *native = &dataplane->native;
	uint64_t now = dataplane_now_tsc(), now_ms = dataplane_now_ms();
	uint64_t elapsed = now_ms - native->scanned_ms;
	native->scanned_ms = now_ms;
	native->owed_pairs = owed(native->owed_pairs, dataplane->handles->count / 2, elapsed);
	native->owed_leases = owed(native->owed_leases, dataplane->leases->capacity, elapsed);
	// Of an empty table nothing is owed.
	if (handles_empty(dataplane->handles))
		native->owed_pairs = 0;
	if (leases_empty(dataplane->leases))
		native->owed_leases = 0;
	return expire_handles(dataplane, now) + expire_leases(dataplane, now);
}

// A piece of the end of all.
static unsigned end_some(struct dataplane *dataplane)
{
	struct native *native = &dataplane->native;
	struct handles *handles = dataplane->handles;
	uint64_t *counters = native->counters, before = dataplane->leases->used;
	unsigned budget = TURN_MOST, ended = 0;
	struct handles_ended out;
	struct worker *worker;
	if (native->end_lease < dataplane->leases->capacity) {
		leases_end_some(dataplane->leases, &native->end_lease, TURN_MOST);
		ended++;
	}
	counters[NATIVE_leases_drained] += before - dataplane->leases->used;
	while (native->end_handle < handles->count / 2 && budget > 0 &&
		(worker = teller(dataplane)) != NULL) {
		ended++;
		if (!handles_end_next(
			    handles, &native->end_handle, dataplane_now_tsc(), &budget, &out))
			break;
		tell_drained(dataplane, worker, &out);
		counters[NATIVE_handles_drained] += 2;
	}
	explicit_bzero(&out, sizeof(out));
	return ended;
}

unsigned native_tick(struct dataplane *dataplane)
{
	struct native *native = &dataplane->native;
	unsigned work = expire(dataplane);
	if (dataplane->drain.ended)
		return work + end_some(dataplane);
	native->end_lease = native->end_handle = 0;
	return work;
}
