// SPDX-License-Identifier: BSD-3-Clause
// See phone_driver.h.
#include "endpoint/phone/phone_driver.h"

#include "endpoint/network_watch.h"
#include "endpoint/phone/interfaces.h"
#include "endpoint/socket_address.h"

#include <uv.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	BATCH = 8,                   // datagrams that one system call receives
	BATCH_STEP = 64 * 1024,      // libuv's room for each; only what is used is ever touched
	SOCKET_BUFFER = 1024 * 1024, // for a burst; the kernel may give less
	SETTLE_MS = 50,              // a change of network comes as many small ones
};

struct base {
	uv_udp_t socket;
	struct phone_driver *driver;
	unsigned number;
};

struct phone_driver {
	struct phone *phone;
	uv_loop_t *loop;
	struct base *bases[PHONE_BASES_MAX]; // NULL: free
	uv_timer_t timer, settle;
	struct network_watch watch;
	bool settling, dirty;                 // changes are being gathered; there were some
	struct endpoint_transport towards[2]; // a relay's address of each family
	struct interfaces interfaces;
	unsigned handles; // not closed yet
	bool ticking, closing;
	uint8_t *buffer; // BATCH * BATCH_STEP
	void (*event)(void *context, const struct phone_event *event);
	void *event_context;
	void (*closed)(void *context);
	void *closed_context;
};

struct endpoint_time phone_driver_now(void)
{
	struct timespec wall;
	clock_gettime(CLOCK_REALTIME, &wall);
	return (struct endpoint_time){
		.monotonic_ms = uv_hrtime() / 1000000,
		.wall_s = (uint64_t)wall.tv_sec,
	};
}

struct phone *phone_driver_phone(const struct phone_driver *driver)
{
	return driver->phone;
}

// ---- what the phone asks for ----

static void send_datagram(void *context, unsigned number,
	const struct endpoint_transport *destination, const uint8_t *data, size_t size)
{
	struct phone_driver *driver = context;
	struct sockaddr_storage address;
	uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)data, (unsigned)size);

	if (number >= PHONE_BASES_MAX || driver->bases[number] == NULL)
		return;
	socket_address_make(destination, &address);
	uv_udp_try_send(
		&driver->bases[number]->socket, &buffer, 1, (const struct sockaddr *)&address);
}

static void on_timer(uv_timer_t *timer);

static void set_deadline(void *context, uint64_t at)
{
	struct phone_driver *driver = context;

	if (driver->closing)
		return;
	if (at == ENDPOINT_NEVER) {
		uv_timer_stop(&driver->timer);
		return;
	}
	// The loop counts from when it last looked at the clock.
	uv_update_time(driver->loop);
	uint64_t now = uv_now(driver->loop);
	uint64_t wait = at > now ? at - now : 0;
	// libuv 1.44 calls a timer again that was set to now from inside, and looks at no socket.
	if (wait == 0 && driver->ticking)
		wait = 1;
	uv_timer_start(&driver->timer, on_timer, wait, 0);
}

static void on_timer(uv_timer_t *timer)
{
	struct phone_driver *driver = timer->data;

	driver->ticking = true;
	set_deadline(driver, phone_tick(driver->phone, phone_driver_now()));
	driver->ticking = false;
}

static void tell(void *context, const struct phone_event *event)
{
	struct phone_driver *driver = context;
	if (!driver->closing && driver->event != NULL)
		driver->event(driver->event_context, event);
}

// ---- sockets ----

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	struct base *base = handle->data;
	(void)suggested;
	*buffer = uv_buf_init((char *)base->driver->buffer, BATCH * BATCH_STEP);
}

static void on_receive(uv_udp_t *socket, ssize_t size, const uv_buf_t *buffer,
	const struct sockaddr *source, unsigned flags)
{
	struct base *base = socket->data;
	struct phone_driver *driver = base->driver;

	if (size < 0 || source == NULL || (flags & UV_UDP_PARTIAL) != 0 || driver->closing)
		return;
	struct endpoint_transport from = socket_address_read(source);
	phone_receive(driver->phone, base->number, &from, (const uint8_t *)buffer->base,
		(size_t)size, phone_driver_now());
}

static void release(struct phone_driver *driver)
{
	if (--driver->handles > 0)
		return;
	network_watch_stop(&driver->watch);
	void (*closed)(void *context) = driver->closed;
	void *context = driver->closed_context;
	free(driver->buffer);
	free(driver);
	if (closed != NULL)
		closed(context);
}

static void on_base_closed(uv_handle_t *handle)
{
	struct base *base = handle->data;
	struct phone_driver *driver = base->driver;

	free(base);
	release(driver);
}

static void close_base(void *context, unsigned number)
{
	struct phone_driver *driver = context;
	struct base *base = number < PHONE_BASES_MAX ? driver->bases[number] : NULL;

	if (base == NULL)
		return;
	driver->bases[number] = NULL;
	uv_udp_recv_stop(&base->socket);
	uv_close((uv_handle_t *)&base->socket, on_base_closed);
}

static int bind_socket(uv_udp_t *socket, unsigned family)
{
	struct endpoint_transport any = {.family = (uint8_t)family};
	struct sockaddr_storage address;
	uv_os_fd_t fd;

	socket_address_make(&any, &address);
	// Not UV_UDP_LINUX_RECVERR: one peer's ICMP errors are no news about the others.
	int result = uv_udp_bind(
		socket, (const struct sockaddr *)&address, family == 6 ? UV_UDP_IPV6ONLY : 0);
	if (result == 0)
		result = uv_udp_recv_start(socket, on_allocate, on_receive);
	if (result != 0)
		return result;
	int size = SOCKET_BUFFER;
	uv_recv_buffer_size((uv_handle_t *)socket, &size); // less will do
	if (family == 6 && uv_fileno((uv_handle_t *)socket, &fd) == 0)
		socket_address_prefer_temporary(fd);
	return 0;
}

static int open_base(void *context, unsigned family)
{
	struct phone_driver *driver = context;
	unsigned number = 0;

	while (number < PHONE_BASES_MAX && driver->bases[number] != NULL)
		number++;
	if (number == PHONE_BASES_MAX)
		return -EMFILE;
	struct base *base = calloc(1, sizeof(*base));
	if (base == NULL)
		return -ENOMEM;
	base->driver = driver;
	base->number = number;
	int result = uv_udp_init_ex(driver->loop, &base->socket,
		(unsigned)(family == 6 ? AF_INET6 : AF_INET) | UV_UDP_RECVMMSG);
	if (result != 0) {
		free(base);
		return result;
	}
	base->socket.data = base;
	driver->handles++;
	driver->bases[number] = base;
	result = bind_socket(&base->socket, family);
	if (result == 0)
		return (int)number;
	close_base(driver, number);
	return result;
}

static uint16_t port_of(const struct base *base)
{
	struct sockaddr_storage address;
	int size = sizeof(address);

	if (uv_udp_getsockname(&base->socket, (struct sockaddr *)&address, &size) != 0)
		return 0;
	return socket_address_read((const struct sockaddr *)&address).port;
}

// ---- networks ----

static void tell_hosts(struct phone_driver *driver)
{
	struct endpoint_transport preferred[2] = {0};
	struct phone_host hosts[PHONE_HOSTS_MAX];

	// Without netlink the relays' answers are all that tells where we are.
	if (interfaces_read(&driver->interfaces) != 0)
		return;
	for (unsigned i = 0; i < 2; i++)
		if (driver->towards[i].family != 0)
			preferred[i] = socket_address_source(&driver->towards[i]);
	size_t count = interfaces_hosts(&driver->interfaces, preferred, hosts);
	phone_hosts(driver->phone, hosts, count, phone_driver_now());
}

static void on_settled(uv_timer_t *timer)
{
	struct phone_driver *driver = timer->data;

	driver->settling = driver->dirty;
	if (!driver->dirty)
		return;
	driver->dirty = false;
	uv_timer_start(&driver->settle, on_settled, SETTLE_MS, 0);
	tell_hosts(driver);
}

// The first of several changes is looked at at once, the others together.
static void on_network(void *context)
{
	struct phone_driver *driver = context;

	if (driver->closing)
		return;
	driver->dirty = true;
	if (!driver->settling)
		on_settled(&driver->settle);
}

// ---- making and closing ----

static void note_relays(struct phone_driver *driver, const struct phone_config *config)
{
	static const uint8_t far6[16] = {0x20, 0x01, 0x0d, 0xb8};

	// Who has no relay of their own: somewhere else, where the default route leads.
	driver->towards[0] =
		(struct endpoint_transport){.family = 4, .address = {192, 0, 2, 1}, .port = 9};
	driver->towards[1] = (struct endpoint_transport){.family = 6, .port = 9};
	memcpy(driver->towards[1].address, far6, sizeof(far6));
	for (size_t i = config->relay_count; i-- > 0;)
		for (size_t k = config->relays[i].address_count; k-- > 0;)
			driver->towards[config->relays[i].addresses[k].family == 6] =
				config->relays[i].addresses[k];
}

static int open_first(struct phone_driver *driver)
{
	int failed = 0;
	bool opened = false;

	// A host without one of the families can still use the other.
	for (unsigned family = 4; family <= 6; family += 2) {
		int number = open_base(driver, family);
		if (number >= 0) {
			phone_base_up(driver->phone, (unsigned)number, family,
				port_of(driver->bases[number]));
			opened = true;
		} else {
			failed = number;
		}
	}
	return opened ? 0 : failed;
}

int phone_driver_create(struct phone_driver **out, struct uv_loop_s *loop,
	const struct phone_config *config,
	void (*event)(void *context, const struct phone_event *event), void *context)
{
	*out = NULL;
	struct phone_driver *driver = calloc(1, sizeof(*driver));
	if (driver != NULL)
		driver->buffer = malloc(BATCH * BATCH_STEP);
	if (driver == NULL || driver->buffer == NULL) {
		free(driver);
		return -ENOMEM;
	}
	const struct phone_output output = {
		.context = driver,
		.send = send_datagram,
		.base_open = open_base,
		.base_close = close_base,
		.event = tell,
		.deadline = set_deadline,
	};
	driver->loop = loop;
	driver->event = event;
	driver->event_context = context;
	int result = phone_create(&driver->phone, config, &output);
	if (result != 0) {
		free(driver->buffer);
		free(driver);
		return result;
	}
	uv_timer_init(loop, &driver->timer); // cannot fail
	uv_timer_init(loop, &driver->settle);
	driver->timer.data = driver->settle.data = driver;
	driver->handles = 2;
	note_relays(driver, config);
	result = open_first(driver);
	if (result != 0) {
		phone_driver_close(driver, NULL, NULL);
		return result;
	}
	network_watch_start(&driver->watch, loop, on_network, driver);
	tell_hosts(driver);
	*out = driver;
	return 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
	release(handle->data);
}

void phone_driver_close(struct phone_driver *driver, void (*closed)(void *context), void *context)
{
	driver->closing = true;
	driver->closed = closed;
	driver->closed_context = context;
	phone_free(driver->phone);
	driver->phone = NULL;
	for (unsigned i = 0; i < PHONE_BASES_MAX; i++)
		close_base(driver, i);
	if (driver->watch.running) {
		driver->handles++;
		uv_close((uv_handle_t *)&driver->watch.poll, on_handle_closed);
		driver->watch.poll.data = driver;
	}
	uv_close((uv_handle_t *)&driver->timer, on_handle_closed);
	uv_close((uv_handle_t *)&driver->settle, on_handle_closed);
}
