// SPDX-License-Identifier: BSD-3-Clause
// The dataplane's socket against any bytes a peer may send, without I/O: a control connection and
// an observer, two workers whose commands are executed now and then, output that is taken now and
// then. Input: steps of one action byte, and for datagrams a 16-bit length and that many bytes.
// wrap: install_execute
// wrap: install_end_all
// wrap: install_addresses
// wrap: pipeline_send
// wrap: pipeline_deliver
// wrap: mappings_snapshot
// wrap: mappings_usage
// wrap: next_hops_mark
// wrap: next_hops_sweep
// wrap: next_hops_link_set
// wrap: next_hops_link_delete
// wrap: next_hops_route_set
// wrap: next_hops_route_delete
// wrap: next_hops_neighbour_set
// wrap: next_hops_neighbour_delete

#include "dataplane/connection.h"
#include "dataplane/dataplane.h"
#include "dataplane/native_requests.h"
#include "dataplane/settings.h"
#include "dataplane/table/handles.h"
#include "dataplane/table/leases.h"
#include "dataplane/table/relay_ports.h"
#include "dataplane/guard_rules.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

enum { WORKERS = 2, LIVE = 30 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// ---- neighbours: they read what they are given, so that a size checked wrongly shows ----

static volatile uint8_t sink;

static void read_all(const void *memory, size_t size)
{
	const uint8_t *p = memory;
	for (size_t i = 0; i < size; i++)
		sink ^= p[i];
}

int __wrap_install_execute(
	struct worker *worker, uint32_t type, const void *payload, uint32_t size, uint64_t now);
int __wrap_install_execute(
	struct worker *worker, uint32_t type, const void *payload, uint32_t size, uint64_t now)
{
	(void)now;
	CHECK(worker->id < WORKERS);
	switch (type) {
	case API_ALLOCATION_INSTALL:
		CHECK(size == sizeof(struct api_allocation_install));
		break;
	case API_ALLOCATION_REFRESH:
	case API_ALLOCATION_REMOVE:
		CHECK(size == sizeof(struct api_allocation_change));
		break;
	case API_PERMISSIONS_INSTALL: {
		const struct api_permissions_install *install = payload;
		CHECK(install->count >= 1 && install->count <= API_PERMISSIONS_MAX);
		CHECK(size == sizeof(*install) + install->count * sizeof(*install->peers));
		break;
	}
	default:
		CHECK(type == API_CHANNEL_BIND && size == sizeof(struct api_channel_bind));
	}
	read_all(payload, size);
	return size & 4 ? -ENOENT : 0;
}

void __wrap_install_end_all(struct worker *worker);
void __wrap_install_end_all(struct worker *worker)
{
	(void)worker;
}

// Whatever a peer asks for, clients' packets stay clients'.
void __wrap_install_addresses(struct worker *worker, const struct node_addresses *addresses);
void __wrap_install_addresses(struct worker *worker, const struct node_addresses *addresses)
{
	const struct relay_ports *ports = worker->machine->dataplane->relay_ports;
	CHECK(addresses->relay_first <= addresses->relay_last);
	CHECK(!relay_ports_contains(ports, 0, addresses->port));
	CHECK(!relay_ports_contains(ports, 0, addresses->alternate_port));
	CHECK(relay_ports_contains(ports, 0, addresses->relay_first));
	CHECK(relay_ports_contains(ports, 0, addresses->relay_last));
	worker->addresses = addresses;
}

int __wrap_pipeline_send(struct worker *worker, const struct api_packet_send *send,
	const uint8_t *payload, uint64_t now);
int __wrap_pipeline_send(struct worker *worker, const struct api_packet_send *send,
	const uint8_t *payload, uint64_t now)
{
	(void)now;
	CHECK(worker->id == send->worker);
	CHECK(sizeof(*send) + send->length <= COMMAND_PAYLOAD_MAX);
	read_all(payload, send->length);
	return 0;
}

int __wrap_pipeline_deliver(struct worker *worker, const struct api_native_deliver *deliver,
	const uint8_t *payload, uint64_t now);
int __wrap_pipeline_deliver(struct worker *worker, const struct api_native_deliver *deliver,
	const uint8_t *payload, uint64_t now)
{
	(void)now;
	CHECK(worker->id == deliver->worker);
	CHECK(sizeof(*deliver) + deliver->length <= COMMAND_PAYLOAD_MAX);
	read_all(payload, deliver->length);
	return deliver->address[0] & 1 ? -ENOENT : deliver->address[0] & 7;
}

unsigned __wrap_mappings_snapshot(const struct mappings *mappings, uint32_t *position,
	struct api_snapshot_item *items, unsigned max, uint64_t now);
unsigned __wrap_mappings_snapshot(const struct mappings *mappings, uint32_t *position,
	struct api_snapshot_item *items, unsigned max, uint64_t now)
{
	(void)mappings, (void)now;
	unsigned count = 0;
	for (; count < max && *position < LIVE; count++, (*position)++)
		memset(&items[count], 1, sizeof(*items));
	return count;
}

void __wrap_mappings_usage(const struct mappings *mappings, struct mappings_usage *out);
void __wrap_mappings_usage(const struct mappings *mappings, struct mappings_usage *out)
{
	(void)mappings;
	memset(out, 0, sizeof(*out));
}

void __wrap_next_hops_mark(struct next_hops *next_hops);
void __wrap_next_hops_mark(struct next_hops *next_hops)
{
	(void)next_hops;
}

void __wrap_next_hops_sweep(struct next_hops *next_hops);
void __wrap_next_hops_sweep(struct next_hops *next_hops)
{
	(void)next_hops;
}

int __wrap_next_hops_link_set(struct next_hops *next_hops, const struct api_link_set *link);
int __wrap_next_hops_link_set(struct next_hops *next_hops, const struct api_link_set *link)
{
	(void)next_hops;
	CHECK(strnlen(link->port_interface, sizeof(link->port_interface)) <
		sizeof(link->port_interface));
	return 0;
}

int __wrap_next_hops_link_delete(struct next_hops *next_hops, uint32_t ifindex);
int __wrap_next_hops_link_delete(struct next_hops *next_hops, uint32_t ifindex)
{
	(void)next_hops, (void)ifindex;
	return 0;
}

int __wrap_next_hops_route_set(struct next_hops *next_hops, const struct api_route *route);
int __wrap_next_hops_route_set(struct next_hops *next_hops, const struct api_route *route)
{
	(void)next_hops;
	read_all(route->hops, route->count * sizeof(*route->hops));
	return 0;
}

int __wrap_next_hops_route_delete(struct next_hops *next_hops, const struct net_prefix *prefix);
int __wrap_next_hops_route_delete(struct next_hops *next_hops, const struct net_prefix *prefix)
{
	(void)next_hops;
	read_all(prefix, sizeof(*prefix));
	return 0;
}

int __wrap_next_hops_neighbour_set(
	struct next_hops *next_hops, const struct api_neighbour *neighbour);
int __wrap_next_hops_neighbour_set(
	struct next_hops *next_hops, const struct api_neighbour *neighbour)
{
	(void)next_hops;
	read_all(neighbour, sizeof(*neighbour));
	return 0;
}

int __wrap_next_hops_neighbour_delete(
	struct next_hops *next_hops, const struct api_neighbour *neighbour);
int __wrap_next_hops_neighbour_delete(
	struct next_hops *next_hops, const struct api_neighbour *neighbour)
{
	return __wrap_next_hops_neighbour_set(next_hops, neighbour);
}

// ---- the dataplane, made once ----

static struct config config;
static struct dataplane dataplane;
static struct relay_ports ports;
static struct api_server server;
static bool holder_alive;

static bool alive(const struct connection *connection)
{
	(void)connection;
	return holder_alive;
}

static void make_dataplane(void)
{
	if (dataplane.worker_count)
		return;
	config.dataplane.mappings = 64;
	config.dataplane.allocations = 16;
	config.registration.leases = 8;
	config.registration.handles = 8;
	dataplane.config = &config;
	dataplane.settings.slots[0] = (struct node_addresses){.listen_count = 1,
		.listen = {{.bytes = {192, 0, 2, 1}, .family = NET_IPV4}},
		.port = 3478,
		.alternate_port = 3479,
		.relay_first = 50000,
		.relay_last = 50099,
		.channel_last = 0x4FFF};
	const struct relay_range range = {50000, 50099};
	ports.addresses = 1;
	ports.words = calloc(RELAY_PORTS_EACH, sizeof(*ports.words));
	CHECK(ports.words);
	ports.words[50001] = 1; // somebody's
	relay_ports_set(&ports, &range, &range);
	dataplane.relay_ports = &ports;
	dataplane.guard_rules = guard_rules_create();
	for (uint16_t w = 0; w < WORKERS; w++) {
		struct worker *worker = aligned_alloc(64, (sizeof(*worker) + 63) / 64 * 64);
		memset(worker, 0, sizeof(*worker));
		worker->id = w;
		worker->machine = machine_create(&dataplane);
		dataplane.workers[w] = worker;
	}
	dataplane.worker_count = WORKERS;
	server.dataplane = &dataplane;
	server.alive = alive;
}

// Tables of its own for each input, as after a start.
static void make_tables(void)
{
	native_close(&dataplane);
	CHECK(native_open(&dataplane, &config) == 0);
	for (unsigned w = 0; w < WORKERS; w++)
		dataplane.workers[w]->native = &dataplane.native.slots[0];
}

// The two lines of a pair name each other's clients, whatever was installed.
static void check_tables(void)
{
	const struct handles *handles = dataplane.handles;
	unsigned live = 0, leases = 0;
	for (uint32_t i = 0; i < handles->count; i += 2) {
		const struct handle_fields *a = &handles->lines[i].fields;
		const struct handle_fields *b = &handles->lines[i + 1].fields;
		CHECK(a->generation == b->generation);
		CHECK(memcmp(a->client, b->peer, 16) == 0 && a->client_port == b->peer_port);
		CHECK(memcmp(b->client, a->peer, 16) == 0 && b->client_port == a->peer_port);
		live += a->generation != 0;
	}
	CHECK(live == handles->used);
	for (uint32_t i = 0; i < dataplane.leases->capacity; i++)
		leases += dataplane.leases->entries[i].deadline != 0;
	CHECK(leases == dataplane.leases->used);
	CHECK(leases + dataplane.leases->tombstones <= dataplane.leases->capacity);
}

static unsigned work(unsigned budget)
{
	unsigned count = 0;
	struct drain *drain = &dataplane.drain;
	drain->ended |= drain->on && drain->has_deadline && dataplane_drain_left(&dataplane) == 0;
	native_tick(&dataplane);
	check_tables();
	for (unsigned w = 0; w < WORKERS; w++) {
		struct worker *worker = dataplane.workers[w];
		struct command *command;
		count += command_execute(worker, &worker->machine->lane, 0, budget);
		while ((command = command_completed(&worker->machine->lane)) != NULL) {
			if (command->kind == COMMAND_SETTINGS)
				settings_reported(&dataplane);
			else if (command->kind == COMMAND_NATIVE_SETTINGS)
				native_settings_reported(&dataplane);
			for (unsigned i = 0; i < server.count; i++)
				if (server.connections[i]->serial == command->connection)
					connection_completed(server.connections[i], command);
			command_release(&worker->machine->lane, command);
		}
	}
	return count;
}

// Everything sent must be whole messages.
static unsigned take_output(struct connection *connection, unsigned datagrams)
{
	const uint8_t *data;
	uint32_t length;
	unsigned count = 0;
	while (count < datagrams && connection_output(connection, &data, &length)) {
		const uint8_t *position = data;
		struct api_frame frame;
		int result;
		CHECK(length > 0 && length <= API_DATAGRAM_MAX);
		while ((result = api_frame_next(&position, data + length, &frame)) == 1)
			read_all(frame.payload, frame.size);
		CHECK(result == 0);
		connection_sent(connection);
		count++;
	}
	return count;
}

static struct connection *reconnect(struct connection *connection, bool control, uint32_t role)
{
	if (connection)
		connection_free(connection);
	connection = connection_create(&server, -1, control, true);
	CHECK(connection);
	if (role) {
		struct api_hello hello = {.version = API_VERSION, .role = role};
		struct api_batch batch = {connection->in, 0};
		api_batch_append(&batch, 1, API_HELLO, &hello, sizeof(hello), NULL, 0);
		connection->in_length = batch.length;
		CHECK(connection_work(connection) == 0);
	}
	return connection;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct connection *peers[2];
	make_dataplane();
	make_tables();
	memset(&dataplane.drain, 0, sizeof(dataplane.drain));
	holder_alive = true;
	peers[0] = reconnect(NULL, true, API_ROLE_CONTROL);
	peers[1] = reconnect(NULL, false, API_ROLE_OBSERVER);
	while (size >= 3) {
		uint8_t action = data[0];
		struct connection **peer = &peers[action & 1];
		uint16_t length;
		memcpy(&length, data + 1, sizeof(length));
		data += 3, size -= 3;
		switch (action >> 1 & 7) {
		case 0:
			work(action >> 4);
			break;
		case 1:
			take_output(*peer, (action >> 4) + 1);
			break;
		case 2:
			holder_alive = action & 16;
			*peer = reconnect(
				*peer, (action & 1) == 0, action & 32 ? 0 : 1 + (action & 1u));
			break;
		case 3:
			if (server.control && size >= 24)
				connection_event(server.control, API_NEIGHBOUR_WANTED, data, 24);
			break;
		default:
			if (!connection_wants_input(*peer))
				break;
			length = length > size ? (uint16_t)size : length;
			memcpy((*peer)->in, data, length);
			(*peer)->in_length = length;
			data += length, size -= length;
			if (length && connection_work(*peer) < 0)
				*peer = reconnect(*peer, (action & 1) == 0, 1 + (action & 1u));
		}
	}
	// Whatever was begun comes to an end when workers work and peers read.
	for (unsigned turns = 0;; turns++) {
		CHECK(turns < 100000);
		unsigned busy = work(64);
		for (unsigned i = 0; i < 2; i++) {
			busy += take_output(peers[i], 100);
			if (connection_work(peers[i]) < 0)
				peers[i] = reconnect(peers[i], i == 0, 0), busy++;
			busy += peers[i]->outstanding + peers[i]->stream.type;
			if (!peers[i]->closing)
				busy += peers[i]->in_length;
		}
		if (!busy)
			break;
	}
	for (unsigned w = 0; w < WORKERS; w++)
		CHECK(dataplane.workers[w]->machine->lane.free_count == COMMAND_SLOTS);
	CHECK(dataplane.settings.pending == 0 && dataplane.native.pending == 0);
	connection_free(peers[0]);
	connection_free(peers[1]);
	CHECK(server.count == 0 && server.control == NULL);
	return 0;
}
