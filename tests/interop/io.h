// SPDX-License-Identifier: BSD-3-Clause
// What the programs of this folder share: cores of libendpoint on real sockets with libuv, wishes
// as lines of JSON on the standard input, what happened as lines of JSON on the standard output.
// One thread. Ends the process with a word on the standard error when something cannot be had.
#pragma once

#include "endpoint/endpoint.h"

#include <jansson.h>
#include <uv.h>

struct io_socket;
typedef void io_receive(
	void *context, const struct endpoint_transport *source, const uint8_t *data, size_t size);

// Now, for the cores.
uint64_t io_now(void);
// Bound to an address (port 0: any).
struct io_socket *io_socket_open(
	const struct endpoint_transport *address, io_receive *receive, void *context);
void io_socket_close(struct io_socket *socket); // frees it, too
// Where it is bound.
struct endpoint_transport io_socket_address(const struct io_socket *socket);
void io_socket_send(struct io_socket *socket, const struct endpoint_transport *destination,
	const uint8_t *data, size_t size);

// A timer that calls tick at a time (ms; ENDPOINT_NEVER: not).
struct io_timer {
	uv_timer_t handle;
	void (*tick)(void *context);
	void *context;
};
void io_timer_init(struct io_timer *timer, void (*tick)(void *context), void *context);
void io_timer_set(struct io_timer *timer, uint64_t at_ms);

// Reads the standard input line by line. The object goes after the call. The process ends with the
// input.
void io_lines(void (*line)(const json_t *wish));
// Writes a line; takes the reference.
void io_say(json_t *object);

// ["192.0.2.1", 3478] and back.
json_t *io_transport(const struct endpoint_transport *transport);
struct endpoint_transport io_transport_of(const json_t *pair);
// Members of an object; 0 and NULL: there is none.
uint64_t io_number(const json_t *object, const char *name);
const char *io_string(const json_t *object, const char *name);
