// SPDX-License-Identifier: BSD-3-Clause
// One connection of the API socket, without I/O: datagrams in, messages taken apart, checked and
// executed or sent to workers, answers and events out. socket.c moves the bytes; tests and fuzzers
// do it by hand. Main lcore.
//
// Nothing here waits. Requests are executed only while there is room for their answers: a peer that
// does not read is not read from. Events for such a peer fill the queue up to a mark and are then
// dropped; it is told so by API_RESYNC as soon as there is room. Every buffer is wiped when its
// content has been used.
#pragma once

#include "dataplane/api/frames.h"

#include <stdbool.h>
#include <stdint.h>

struct dataplane;
struct command;

enum {
	CONNECTION_CONTROL_DATAGRAMS = 8, // queue of a control connection
	CONNECTION_OTHER_DATAGRAMS = 2,
	// Kept free for the answers of what is executed; events may not use it.
	CONNECTION_ANSWER_RESERVE = 8192,
	CONNECTION_EVENT_RESERVE = 2 * API_DATAGRAM_MAX,
	CONNECTIONS_MAX = 16,
};

struct connection_queue {
	uint8_t *data; // `datagrams` slots of API_DATAGRAM_MAX
	unsigned datagrams;
	unsigned head, used; // slots head, head+1, ... hold something
	uint32_t length[CONNECTION_CONTROL_DATAGRAMS];
};

// A list being answered: goes on when there is room.
struct connection_stream {
	uint32_t id, type; // type 0: none
	uint32_t position;
	uint16_t worker; // snapshot
	bool asked;      // snapshot: the worker has the command
};

struct connection {
	struct api_server *server;
	uint64_t serial; // never 0, never used twice
	int fd;          // socket.c's
	uint32_t role;   // enum api_role, 0 before hello
	bool may_control, may_observe;
	bool resync;          // events were lost
	bool closing;         // answer what is queued, then close
	bool want_write;      // socket.c's: the kernel's buffer is full
	uint32_t armed;       // socket.c's: epoll events asked for
	unsigned outstanding; // commands at workers
	struct connection_stream stream;
	uint8_t *in; // API_DATAGRAM_MAX
	uint32_t in_length, in_position;
	struct connection_queue out;
};

struct api_server {
	struct dataplane *dataplane;
	struct connection *control; // the one control connection, or NULL
	struct connection *connections[CONNECTIONS_MAX];
	unsigned count;
	uint64_t last_serial;
	// Is the peer of this connection still there? Asked when a second one wants control.
	bool (*alive)(const struct connection *connection);
};

// NULL: no memory or too many. fd is kept for socket.c.
struct connection *connection_create(
	struct api_server *server, int fd, bool may_control, bool may_observe);
// Wipes and frees; takes it out of the server. Commands still at workers are forgotten when they
// come back.
void connection_free(struct connection *connection);

// True when the datagram before has been worked off and a new one may be put into in/in_length.
bool connection_wants_input(const struct connection *connection);
// Goes on with what was received, as far as there is room. 0, or -errno: close it.
int connection_work(struct connection *connection);
// A worker has executed a command of this connection. The caller releases the command.
void connection_completed(struct connection *connection, const struct command *command);

// The oldest datagram to send; false when there is none. connection_sent wipes it.
bool connection_output(struct connection *connection, const uint8_t **data, uint32_t *length);
void connection_sent(struct connection *connection);

// Appends to the output. False: no room.
bool connection_append(struct connection *connection, uint32_t id, uint32_t type, const void *part1,
	uint32_t length1, const void *part2, uint32_t length2);
bool connection_append_result(
	struct connection *connection, uint32_t id, uint32_t type, int result);
// The same for an event, below the events' mark; otherwise lost, and resync is due.
bool connection_event(
	struct connection *connection, uint32_t type, const void *payload, uint32_t length);
// Bytes that can be appended for certain.
uint32_t connection_room(const struct connection *connection);

// ---- between connection.c, request*.c and readings.c ----

// Executes one request of checked framing. 0: done or under way; -EAGAIN: ask again later, nothing
// was done; other: close the connection.
int request_execute(struct connection *connection, const struct api_frame *frame);
// The same of those about the native protocol.
int request_native(struct connection *connection, const struct api_frame *frame);
// Whether the payload has the size of its type, counts inside it included. Asked before anything
// looks into it; false for unknown types.
bool request_size_is_right(const struct api_frame *frame);
// Whether the type is for the control role alone.
bool request_needs_control(uint32_t type);
void request_snapshot_continue(struct connection *connection);
// Appends list items as long as there is room; ends the stream when all are told.
void reading_continue(struct connection *connection);
void reading_gauges(struct connection *connection, uint32_t id);
