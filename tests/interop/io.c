// SPDX-License-Identifier: BSD-3-Clause
// See io.h.
#include "tests/interop/io.h"

#include "endpoint/socket_address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void die(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	exit(1);
}

uint64_t io_now(void)
{
	return uv_hrtime() / 1000000;
}

// ---- sockets ----

struct io_socket {
	uv_udp_t handle;
	uint8_t buffer[4096];
	io_receive *receive;
	void *context;
};

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	struct io_socket *s = handle->data;
	(void)suggested;
	*buffer = uv_buf_init((char *)s->buffer, sizeof(s->buffer));
}

static void on_receive(uv_udp_t *handle, ssize_t size, const uv_buf_t *buffer,
	const struct sockaddr *source, unsigned flags)
{
	struct io_socket *s = handle->data;
	if (size < 0 || source == NULL || (flags & UV_UDP_PARTIAL) != 0)
		return;
	struct endpoint_transport from = socket_address_read(source);
	s->receive(s->context, &from, (const uint8_t *)buffer->base, (size_t)size);
}

struct io_socket *io_socket_open(
	const struct endpoint_transport *address, io_receive *receive, void *context)
{
	struct io_socket *s = calloc(1, sizeof(*s));
	struct sockaddr_storage where;
	int size = 1 << 20;

	if (s == NULL)
		die("no socket", "no memory");
	s->receive = receive;
	s->context = context;
	s->handle.data = s;
	socket_address_make(address, &where);
	uv_udp_init(uv_default_loop(), &s->handle);
	int result = uv_udp_bind(&s->handle, (const struct sockaddr *)&where,
		address->family == 6 ? UV_UDP_IPV6ONLY : 0);
	if (result == 0)
		result = uv_udp_recv_start(&s->handle, on_allocate, on_receive);
	if (result != 0)
		die("no socket", uv_strerror(result));
	uv_recv_buffer_size((uv_handle_t *)&s->handle, &size);
	return s;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void io_socket_close(struct io_socket *s)
{
	uv_close((uv_handle_t *)&s->handle, on_closed);
}

struct endpoint_transport io_socket_address(const struct io_socket *s)
{
	struct sockaddr_storage where;
	int size = sizeof(where);
	if (uv_udp_getsockname(&s->handle, (struct sockaddr *)&where, &size) != 0)
		die("a socket", "is bound to nothing");
	return socket_address_read((const struct sockaddr *)&where);
}

void io_socket_send(struct io_socket *s, const struct endpoint_transport *destination,
	const uint8_t *data, size_t size)
{
	struct sockaddr_storage to;
	uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)data, (unsigned)size);
	socket_address_make(destination, &to);
	uv_udp_try_send(&s->handle, &buffer, 1, (const struct sockaddr *)&to);
}

// ---- time ----

static void on_timer(uv_timer_t *handle)
{
	struct io_timer *timer = handle->data;
	timer->tick(timer->context);
}

void io_timer_init(struct io_timer *timer, void (*tick)(void *context), void *context)
{
	uv_timer_init(uv_default_loop(), &timer->handle);
	timer->handle.data = timer;
	timer->tick = tick;
	timer->context = context;
}

void io_timer_set(struct io_timer *timer, uint64_t at_ms)
{
	uint64_t now = io_now();
	if (at_ms == ENDPOINT_NEVER) {
		uv_timer_stop(&timer->handle);
		return;
	}
	uv_update_time(uv_default_loop());
	uv_timer_start(&timer->handle, on_timer, at_ms > now ? at_ms - now : 0, 0);
}

// ---- lines ----

static struct {
	uv_pipe_t pipe;
	void (*line)(const json_t *wish);
	char text[65536];
	size_t size;
} input;

static void on_input_space(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	(void)handle;
	(void)suggested;
	*buffer = uv_buf_init(input.text + input.size, (unsigned)(sizeof(input.text) - input.size));
}

static void on_input(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
	char *start = input.text, *end;
	(void)buffer;
	if (size < 0) { // the test has ended
		uv_close((uv_handle_t *)stream, NULL);
		exit(0);
	}
	input.size += (size_t)size;
	while ((end = memchr(start, '\n', input.size - (size_t)(start - input.text))) != NULL) {
		json_error_t error;
		json_t *wish = json_loadb(start, (size_t)(end - start), 0, &error);
		if (wish == NULL)
			die("a line that is no JSON", error.text);
		input.line(wish);
		json_decref(wish);
		start = end + 1;
	}
	input.size -= (size_t)(start - input.text);
	memmove(input.text, start, input.size);
}

void io_lines(void (*line)(const json_t *wish))
{
	input.line = line;
	uv_pipe_init(uv_default_loop(), &input.pipe, 0);
	if (uv_pipe_open(&input.pipe, 0) != 0)
		die("standard input", "is no pipe");
	uv_read_start((uv_stream_t *)&input.pipe, on_input_space, on_input);
}

void io_say(json_t *object)
{
	if (object == NULL)
		die("a line", "cannot be made");
	json_dumpf(object, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
	json_decref(object);
}

// ---- JSON ----

json_t *io_transport(const struct endpoint_transport *t)
{
	char text[INET6_ADDRSTRLEN] = "";
	if (t->family == 0)
		return json_null();
	inet_ntop(t->family == 4 ? AF_INET : AF_INET6, t->address, text, sizeof(text));
	return json_pack("[si]", text, (int)t->port);
}

struct endpoint_transport io_transport_of(const json_t *pair)
{
	struct endpoint_transport t = {0};
	const char *text = json_string_value(json_array_get(pair, 0));
	if (text == NULL)
		die("an address", "is missing");
	t.family = strchr(text, ':') ? 6 : 4;
	t.port = (uint16_t)json_integer_value(json_array_get(pair, 1));
	if (inet_pton(t.family == 4 ? AF_INET : AF_INET6, text, t.address) != 1)
		die("no address", text);
	return t;
}

uint64_t io_number(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);
	return json_is_true(value) ? 1 : (uint64_t)json_integer_value(value);
}

const char *io_string(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}
