// SPDX-License-Identifier: BSD-3-Clause
// A dataplane for the tests of its socket: workers with all their rings, but without DPDK's
// environment, threads or tables. bench_work plays the worker lcores: it executes their commands.
#pragma once

#include "dataplane/connection.h"
#include "dataplane/dataplane.h"
#include "dataplane/settings.h"
#include "dataplane/guard_rules.h"
#include "dataplane/table/handles.h"
#include "dataplane/table/leases.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct bench {
	struct config config;
	struct dataplane dataplane;
	struct api_server server;
	struct leases leases; // without entries, for their counts
	struct handles handles;
	bool control_is_dead; // what the alive callback tells
};

static struct bench *bench;

static bool bench_alive(const struct connection *connection)
{
	(void)connection;
	return !bench->control_is_dead;
}

static int bench_up_workers(void **state, unsigned workers)
{
	(void)state;
	bench = calloc(1, sizeof(*bench));
	bench->config.dataplane.mappings = 4096;
	bench->config.dataplane.allocations = 1024;
	bench->dataplane.config = &bench->config;
	bench->dataplane.instance = 0x1122334455667788;
	bench->dataplane.started_ms = dataplane_now_ms();
	memset(bench->dataplane.tag_key, 0xA7, sizeof(bench->dataplane.tag_key));
	memset(bench->dataplane.secret, 0xA8, sizeof(bench->dataplane.secret));
	bench->dataplane.guard_rules = guard_rules_create();
	assert_non_null(bench->dataplane.guard_rules);
	bench->dataplane.leases = &bench->leases;
	bench->dataplane.handles = &bench->handles;
	bench->dataplane.worker_count = workers;
	for (unsigned w = 0; w < workers; w++) {
		struct worker *worker = aligned_alloc(64, (sizeof(*worker) + 63) / 64 * 64);
		memset(worker, 0, sizeof(*worker));
		worker->id = (uint16_t)w;
		worker->machine = machine_create(&bench->dataplane);
		assert_non_null(worker->machine);
		bench->dataplane.workers[w] = worker;
	}
	bench->server.dataplane = &bench->dataplane;
	bench->server.alive = bench_alive;
	return 0;
}

static inline int bench_up(void **state)
{
	return bench_up_workers(state, 2);
}

static int bench_down(void **state)
{
	(void)state;
	while (bench->server.count)
		connection_free(bench->server.connections[0]);
	for (unsigned w = 0; w < bench->dataplane.worker_count; w++) {
		machine_free(bench->dataplane.workers[w]->machine);
		free(bench->dataplane.workers[w]);
	}
	guard_rules_free(bench->dataplane.guard_rules);
	free(bench);
	return 0;
}

// Executes up to `budget` commands on each worker and brings the results home, as serve.c does.
static inline unsigned bench_work(unsigned budget)
{
	unsigned count = 0;
	for (unsigned w = 0; w < bench->dataplane.worker_count; w++) {
		struct worker *worker = bench->dataplane.workers[w];
		struct command *command;
		count += command_execute(worker, &worker->machine->lane, 0, budget);
		while ((command = command_completed(&worker->machine->lane)) != NULL) {
			if (command->kind == COMMAND_SETTINGS)
				settings_reported(&bench->dataplane);
			else if (command->kind == COMMAND_NATIVE_SETTINGS)
				native_settings_reported(&bench->dataplane);
			for (unsigned i = 0; i < bench->server.count; i++)
				if (bench->server.connections[i]->serial == command->connection)
					connection_completed(bench->server.connections[i], command);
			command_release(&worker->machine->lane, command);
		}
	}
	return count;
}

// Puts one datagram into a connection and works on it.
static inline int bench_receive(struct connection *connection, const void *data, uint32_t length)
{
	assert_true(connection_wants_input(connection));
	assert_true(length <= API_DATAGRAM_MAX);
	memcpy(connection->in, data, length);
	connection->in_length = length;
	return connection_work(connection);
}

// One request as a datagram of its own.
static inline int bench_request(struct connection *connection, uint32_t id, uint32_t type,
	const void *payload, uint32_t length)
{
	static uint8_t data[API_DATAGRAM_MAX];
	struct api_batch batch = {data, 0};
	assert_true(api_batch_append(&batch, id, type, payload, length, NULL, 0));
	return bench_receive(connection, data, batch.length);
}

// The messages of all datagrams that are waiting to be sent, one call each; 0: no more.
struct bench_reader {
	struct connection *connection;
	const uint8_t *position, *end;
};

static inline int bench_next(struct bench_reader *reader, struct api_frame *out)
{
	static uint8_t copy[API_DATAGRAM_MAX];
	if (reader->position == reader->end) {
		const uint8_t *data;
		uint32_t length;
		if (!connection_output(reader->connection, &data, &length))
			return 0;
		memcpy(copy, data, length);
		connection_sent(reader->connection);
		reader->position = copy;
		reader->end = copy + length;
	}
	assert_int_equal(api_frame_next(&reader->position, reader->end, out), 1);
	return 1;
}

// The one answer that must be waiting.
static inline struct api_frame bench_answer(struct connection *connection)
{
	struct bench_reader reader = {.connection = connection};
	struct api_frame frame, more;
	assert_int_equal(bench_next(&reader, &frame), 1);
	assert_int_equal(bench_next(&reader, &more), 0);
	return frame;
}

static inline int bench_hello(struct connection *connection, uint32_t version, uint32_t role)
{
	struct api_hello hello = {.version = version, .role = role};
	return bench_request(connection, 1, API_HELLO, &hello, sizeof(hello));
}

// A connection that has said hello.
static inline struct connection *bench_connection(uint32_t role)
{
	struct connection *connection =
		connection_create(&bench->server, -1, role == API_ROLE_CONTROL, true);
	assert_non_null(connection);
	assert_int_equal(bench_hello(connection, API_VERSION, role), 0);
	assert_int_equal(bench_answer(connection).header.length, sizeof(struct api_hello_answer));
	return connection;
}
