// SPDX-License-Identifier: BSD-3-Clause
// A connection's buffers and framing; see connection.h.

#include "dataplane/connection.h"

#include "dataplane/command.h"
#include "dataplane/dataplane.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint8_t *slot(const struct connection_queue *queue, unsigned index)
{
	return queue->data + (size_t)(index % queue->datagrams) * API_DATAGRAM_MAX;
}

struct connection *connection_create(
	struct api_server *server, int fd, bool may_control, bool may_observe)
{
	if (server->count == CONNECTIONS_MAX)
		return NULL;
	struct connection *connection = calloc(1, sizeof(*connection));
	if (!connection)
		return NULL;
	// A connection that may control gets the large queue at once, so that hello cannot fail.
	connection->out.datagrams =
		may_control ? CONNECTION_CONTROL_DATAGRAMS : CONNECTION_OTHER_DATAGRAMS;
	connection->in = malloc(API_DATAGRAM_MAX);
	connection->out.data = malloc((size_t)connection->out.datagrams * API_DATAGRAM_MAX);
	if (!connection->in || !connection->out.data) {
		free(connection->in);
		free(connection->out.data);
		free(connection);
		return NULL;
	}
	connection->server = server;
	connection->serial = ++server->last_serial;
	connection->fd = fd;
	connection->may_control = may_control;
	connection->may_observe = may_observe;
	server->connections[server->count++] = connection;
	return connection;
}

void connection_free(struct connection *connection)
{
	struct api_server *server = connection->server;
	for (unsigned i = 0; i < server->count; i++)
		if (server->connections[i] == connection) {
			server->connections[i] = server->connections[--server->count];
			break;
		}
	if (server->control == connection)
		server->control = NULL;
	explicit_bzero(connection->in, connection->in_length);
	while (connection->out.used)
		connection_sent(connection); // wipes; sent slots are wiped already
	free(connection->in);
	free(connection->out.data);
	explicit_bzero(connection, sizeof(*connection));
	free(connection);
}

// ---- output ----

uint32_t connection_room(const struct connection *connection)
{
	const struct connection_queue *queue = &connection->out;
	uint32_t room = (queue->datagrams - queue->used) * (uint32_t)API_DATAGRAM_MAX;
	if (queue->used)
		room += API_DATAGRAM_MAX -
			queue->length[(queue->head + queue->used - 1) % queue->datagrams];
	return room;
}

// Runs `append` on the last datagram, and on a fresh one when it is full.
#define APPEND(queue, append)                                                                      \
	do {                                                                                       \
		for (unsigned fresh = (queue)->used ? 0 : 1; fresh < 2; fresh++) {                 \
			if (fresh && (queue)->used == (queue)->datagrams)                          \
				return false;                                                      \
			unsigned index = (queue)->head + (queue)->used - (fresh ? 0 : 1);          \
			struct api_batch batch = {slot(queue, index),                              \
				fresh ? 0 : (queue)->length[index % (queue)->datagrams]};          \
			if (!(append))                                                             \
				continue;                                                          \
			(queue)->length[index % (queue)->datagrams] = batch.length;                \
			(queue)->used += fresh;                                                    \
			return true;                                                               \
		}                                                                                  \
		return false;                                                                      \
	} while (0)

bool connection_append(struct connection *connection, uint32_t id, uint32_t type, const void *part1,
	uint32_t length1, const void *part2, uint32_t length2)
{
	APPEND(&connection->out,
		api_batch_append(&batch, id, type, part1, length1, part2, length2));
}

bool connection_append_result(struct connection *connection, uint32_t id, uint32_t type, int result)
{
	APPEND(&connection->out, api_batch_append_result(&batch, id, type, result));
}

bool connection_event(
	struct connection *connection, uint32_t type, const void *payload, uint32_t length)
{
	uint32_t need = (uint32_t)sizeof(struct api_header) + api_padded(length);
	if (connection->resync) {
		// Nothing may come before the notice that something is missing.
		if (connection_room(connection) < CONNECTION_EVENT_RESERVE + API_DATAGRAM_MAX ||
			!connection_append(connection, 0, API_RESYNC, NULL, 0, NULL, 0))
			return false;
		connection->resync = false;
	}
	if (length > API_PAYLOAD_MAX ||
		connection_room(connection) < CONNECTION_EVENT_RESERVE + need ||
		!connection_append(connection, 0, type, payload, length, NULL, 0)) {
		connection->resync = true;
		return false;
	}
	return true;
}

bool connection_output(struct connection *connection, const uint8_t **data, uint32_t *length)
{
	const struct connection_queue *queue = &connection->out;
	if (!queue->used)
		return false;
	*data = slot(queue, queue->head);
	*length = queue->length[queue->head % queue->datagrams];
	return true;
}

void connection_sent(struct connection *connection)
{
	struct connection_queue *queue = &connection->out;
	unsigned index = queue->head % queue->datagrams;
	explicit_bzero(slot(queue, index), queue->length[index]);
	queue->length[index] = 0;
	queue->head = (queue->head + 1) % queue->datagrams;
	queue->used--;
}

// ---- input ----

bool connection_wants_input(const struct connection *connection)
{
	return connection->in_length == 0 && !connection->closing && connection->stream.type == 0;
}

// Every command at a worker will want room for a result; a list keeps the connection to itself.
static bool may_go_on(const struct connection *connection)
{
	return connection->stream.type == 0 && !connection->closing &&
	       connection_room(connection) >=
		       CONNECTION_ANSWER_RESERVE +
			       connection->outstanding * (uint32_t)sizeof(struct api_header);
}

static void input_done(struct connection *connection)
{
	explicit_bzero(connection->in, connection->in_length);
	connection->in_length = connection->in_position = 0;
}

int connection_work(struct connection *connection)
{
	if (connection->stream.type == API_SNAPSHOT)
		request_snapshot_continue(connection);
	else if (connection->stream.type)
		reading_continue(connection);
	while (connection->in_length && may_go_on(connection)) {
		const uint8_t *position = connection->in + connection->in_position;
		struct api_frame frame;
		int result =
			api_frame_next(&position, connection->in + connection->in_length, &frame);
		if (result == 1)
			result = request_execute(connection, &frame);
		else if (result == 0)
			result = -ENODATA;
		if (result == -EAGAIN)
			return 0;
		if (result < 0 && result != -ENODATA) {
			input_done(connection);
			return result;
		}
		connection->in_position = (uint32_t)(position - connection->in);
		if (connection->in_position == connection->in_length)
			input_done(connection);
	}
	return 0;
}
