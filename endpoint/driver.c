// SPDX-License-Identifier: BSD-3-Clause
// See driver.h. What the kernel does not take at once is lost, as on the way; the core repeats what
// matters.
#include "endpoint/driver.h"

#include "endpoint/network_watch.h"
#include "endpoint/socket_address.h"

#include <uv.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	RECEIVE_SIZE = 4096,         // no message is as long
	SOCKET_BUFFER = 1024 * 1024, // for a burst; the kernel may give less
	SETTLE_MS = 200,             // a change of network comes as many small ones
};

struct endpoint_driver {
	struct endpoint *core;
	uv_udp_t sockets[2]; // v4, v6
	bool open[2];
	uv_timer_t timer, settle;
	struct network_watch watch;
	struct endpoint_transport towards; // a relay's address, to see what ours is
	unsigned handles;                  // not closed yet
	bool closing;
	uint8_t buffer[RECEIVE_SIZE];
	void (*event)(void *context, const struct endpoint_event *event);
	void *event_context;
	void (*closed)(void *context);
	void *closed_context;
};

struct endpoint_time endpoint_driver_now(void)
{
	struct timespec wall;
	clock_gettime(CLOCK_REALTIME, &wall);
	return (struct endpoint_time){
		.monotonic_ms = uv_hrtime() / 1000000,
		.wall_s = (uint64_t)wall.tv_sec,
	};
}

struct endpoint *endpoint_driver_core(const struct endpoint_driver *driver)
{
	return driver->core;
}

// ---- between sockets and core ----

static void send_datagram(void *context, const struct endpoint_transport *destination,
	const uint8_t *data, size_t size)
{
	struct endpoint_driver *driver = context;
	struct sockaddr_storage address;
	unsigned which = destination->family == 6;
	uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)data, (unsigned)size);

	socket_address_make(destination, &address);
	if (driver->towards.family == 0) // from here on it may be another one
		network_watch_moved(&driver->watch, (const struct sockaddr *)&address);
	driver->towards = *destination;
	if (!driver->open[which])
		return;
	uv_udp_try_send(&driver->sockets[which], &buffer, 1, (const struct sockaddr *)&address);
}

static void tell(void *context, const struct endpoint_event *event)
{
	struct endpoint_driver *driver = context;
	if (!driver->closing && driver->event != NULL)
		driver->event(driver->event_context, event);
}

static void on_timer(uv_timer_t *timer)
{
	struct endpoint_driver *driver = timer->data;
	endpoint_tick(driver->core, endpoint_driver_now());
}

static void set_deadline(void *context, uint64_t at)
{
	struct endpoint_driver *driver = context;
	uint64_t now = uv_hrtime() / 1000000;

	if (driver->closing)
		return;
	if (at == ENDPOINT_NEVER) {
		uv_timer_stop(&driver->timer);
		return;
	}
	// The loop counts from when it last looked at the clock.
	uv_update_time(driver->timer.loop);
	uv_timer_start(&driver->timer, on_timer, at > now ? at - now : 0, 0);
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	struct endpoint_driver *driver = handle->data;
	(void)suggested;
	*buffer = uv_buf_init((char *)driver->buffer, sizeof(driver->buffer));
}

static void on_receive(uv_udp_t *socket, ssize_t size, const uv_buf_t *buffer,
	const struct sockaddr *source, unsigned flags)
{
	struct endpoint_driver *driver = socket->data;

	if (size < 0 || source == NULL || (flags & UV_UDP_PARTIAL) != 0 || driver->closing)
		return;
	struct endpoint_transport from = socket_address_read(source);
	endpoint_receive(driver->core, &from, (const uint8_t *)buffer->base, (size_t)size,
		endpoint_driver_now());
}

// ---- other networks ----

static void on_settled(uv_timer_t *timer)
{
	struct endpoint_driver *driver = timer->data;
	struct sockaddr_storage relay;

	if (driver->towards.family == 0)
		return;
	socket_address_make(&driver->towards, &relay);
	if (network_watch_moved(&driver->watch, (const struct sockaddr *)&relay))
		endpoint_network_changed(driver->core, endpoint_driver_now());
}

static void on_network(void *context)
{
	struct endpoint_driver *driver = context;
	if (!driver->closing)
		uv_timer_start(&driver->settle, on_settled, SETTLE_MS, 0);
}

// ---- making and closing ----

static int open_socket(struct endpoint_driver *driver, uv_loop_t *loop, unsigned which)
{
	struct sockaddr_storage any;
	struct endpoint_transport none = {.family = which ? 6 : 4};
	uv_udp_t *socket = &driver->sockets[which];

	int result = uv_udp_init(loop, socket);
	if (result != 0)
		return result;
	socket->data = driver;
	driver->open[which] = true;
	driver->handles++;
	socket_address_make(&none, &any);
	result = uv_udp_bind(socket, (const struct sockaddr *)&any, which ? UV_UDP_IPV6ONLY : 0);
	if (result == 0)
		result = uv_udp_recv_start(socket, on_allocate, on_receive);
	int size = SOCKET_BUFFER;
	if (result == 0)
		uv_recv_buffer_size((uv_handle_t *)socket, &size); // less will do
	return result;
}

int endpoint_driver_create(struct endpoint_driver **out, struct uv_loop_s *loop,
	const struct endpoint_config *config,
	void (*event)(void *context, const struct endpoint_event *event), void *context)
{
	*out = NULL;
	struct endpoint_driver *driver = calloc(1, sizeof(*driver));
	if (driver == NULL)
		return -ENOMEM;
	const struct endpoint_output output = {
		.context = driver,
		.send = send_datagram,
		.event = tell,
		.deadline = set_deadline,
	};
	driver->event = event;
	driver->event_context = context;
	int result = endpoint_create(&driver->core, config, &output);
	if (result != 0) {
		free(driver);
		return result;
	}
	uv_timer_init(loop, &driver->timer); // cannot fail
	uv_timer_init(loop, &driver->settle);
	driver->timer.data = driver->settle.data = driver;
	driver->handles = 2;
	bool wanted[2] = {false, false};
	for (size_t i = 0; i < config->relay_count; i++)
		wanted[config->relays[i].family == 6] = true;
	int opened = 0;
	for (unsigned which = 0; which < 2; which++)
		if (wanted[which]) {
			// A host without one of the families can still use the other.
			int failed = open_socket(driver, loop, which);
			if (failed == 0)
				opened++;
			else
				result = failed;
		}
	if (opened == 0) {
		endpoint_driver_close(driver, NULL, NULL);
		return result;
	}
	network_watch_start(&driver->watch, loop, on_network, driver);
	*out = driver;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct endpoint_driver *driver = handle->data;

	if (--driver->handles > 0)
		return;
	network_watch_stop(&driver->watch);
	void (*closed)(void *context) = driver->closed;
	void *context = driver->closed_context;
	free(driver);
	if (closed != NULL)
		closed(context);
}

void endpoint_driver_close(
	struct endpoint_driver *driver, void (*closed)(void *context), void *context)
{
	driver->closing = true;
	driver->closed = closed;
	driver->closed_context = context;
	endpoint_free(driver->core);
	driver->core = NULL;
	for (unsigned which = 0; which < 2; which++)
		if (driver->open[which])
			uv_close((uv_handle_t *)&driver->sockets[which], on_closed);
	if (driver->watch.running) {
		driver->handles++;
		uv_close((uv_handle_t *)&driver->watch.poll, on_closed);
		driver->watch.poll.data = driver;
	}
	uv_close((uv_handle_t *)&driver->timer, on_closed);
	uv_close((uv_handle_t *)&driver->settle, on_closed);
}
