// SPDX-License-Identifier: BSD-3-Clause
// The socket and the timers of dataplane_link.h.
//
// A prepare handle runs once a turn, right before the loop waits for events: it sends what the turn
// queued. When the socket is full, writability is waited for and the queue fills up to its bound.
#include "controlplane/dataplane_link.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	RECEIVE_TURN_MAX = 64, // datagrams taken in one go before others have their turn
	TICK_MS = 1000,
	// So that several whole datagrams wait in the kernel while the dataplane is busy.
	SOCKET_BUFFER = 1024 * 1024,
	// Deeper than any call below goes, GnuTLS included: what finished requests left on the
	// stack is wiped too, once a turn.
	STACK_WIPED = 16 * 1024,
};

struct dataplane_link {
	uv_loop_t *loop;
	struct sockaddr_un address;
	struct dataplane_link_events events;
	struct dataplane_session *session;
	int fd;          // -1: not connected
	uv_poll_t *poll; // one per connection: NULL without
	bool want_writable;
	bool greeted; // up was called
	bool closing;
	enum dataplane_link_trouble trouble;
	uint64_t retry_ms;
	uv_prepare_t flush;
	uv_timer_t retry, tick;
	unsigned open_handles;
	struct dataplane_link_counters counters;
	uint8_t *datagram;
};

static uint64_t now_ms(void)
{
	return uv_hrtime() / 1000000;
}

// ---- the connection's end ----

static void poll_closed(uv_handle_t *handle)
{
	free(handle);
}

static void on_retry(uv_timer_t *timer);

static void disconnect(struct dataplane_link *link, enum dataplane_link_trouble trouble)
{
	if (link->fd < 0)
		return;
	link->trouble = trouble;
	uv_close((uv_handle_t *)link->poll, poll_closed);
	link->poll = NULL;
	close(link->fd);
	link->fd = -1;
	bool greeted = link->greeted;
	link->greeted = false;
	dataplane_session_end(link->session);
	if (greeted)
		link->events.down(link->events.context);
}

static void retry_later(struct dataplane_link *link)
{
	if (link->closing)
		return;
	uv_timer_start(&link->retry, on_retry, link->retry_ms, 0);
	link->retry_ms *= 2;
	if (link->retry_ms > DATAPLANE_RETRY_LAST_MS)
		link->retry_ms = DATAPLANE_RETRY_LAST_MS;
}

static void fail(struct dataplane_link *link, enum dataplane_link_trouble trouble)
{
	if (link->fd < 0)
		return;
	disconnect(link, trouble);
	retry_later(link);
}

void dataplane_link_restart(struct dataplane_link *link)
{
	fail(link, DATAPLANE_LINK_CLOSED);
}

// ---- session events ----

static void session_connected(void *context, const struct api_hello_answer *hello)
{
	struct dataplane_link *link = context;
	link->greeted = true;
	link->trouble = DATAPLANE_LINK_FINE;
	link->retry_ms = DATAPLANE_RETRY_FIRST_MS;
	link->counters.connections++;
	link->events.up(link->events.context, hello);
}

static void session_refused(void *context, int error)
{
	struct dataplane_link *link = context;
	link->trouble = error == -EBUSY ? DATAPLANE_LINK_BUSY : DATAPLANE_LINK_VERSION;
}

static void session_punt(void *context, const struct api_punt *punt, const uint8_t *payload)
{
	struct dataplane_link *link = context;
	link->events.punt(link->events.context, punt, payload);
}

static void session_native_punt(
	void *context, const struct api_native_punt *punt, const uint8_t *payload)
{
	struct dataplane_link *link = context;
	if (link->events.native_punt)
		link->events.native_punt(link->events.context, punt, payload);
}

static void session_expired(void *context, const struct api_expired *expired)
{
	struct dataplane_link *link = context;
	link->events.expired(link->events.context, expired);
}

static void session_neighbour_wanted(void *context, const struct api_neighbour_wanted *wanted)
{
	struct dataplane_link *link = context;
	link->events.neighbour_wanted(link->events.context, wanted);
}

static void session_resync(void *context)
{
	struct dataplane_link *link = context;
	link->events.resync(link->events.context);
}

// ---- moving datagrams ----

// Only while connected. Ends the connection when the dataplane has gone.
static void receive(struct dataplane_link *link)
{
	for (unsigned i = 0; i < RECEIVE_TURN_MAX && link->fd >= 0; i++) {
		ssize_t n =
			recv(link->fd, link->datagram, API_DATAGRAM_MAX, MSG_DONTWAIT | MSG_TRUNC);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			fail(link, DATAPLANE_LINK_CLOSED);
			return;
		}
		link->counters.datagrams_in++;
		int rc = -EBADMSG;
		if (n <= API_DATAGRAM_MAX)
			rc = dataplane_session_receive(
				link->session, link->datagram, (size_t)n, now_ms());
		if (rc == -ECONNREFUSED) {
			fail(link, link->trouble);
		} else if (rc < 0) {
			link->counters.bad_messages++;
			fail(link, DATAPLANE_LINK_BAD_MESSAGE);
		}
	}
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void watch(struct dataplane_link *link, bool writable)
{
	if (writable == link->want_writable)
		return;
	link->want_writable = writable;
	uv_poll_start(link->poll, writable ? UV_READABLE | UV_WRITABLE : UV_READABLE, on_poll);
}

static void send_waiting(struct dataplane_link *link)
{
	const uint8_t *data;
	size_t size;
	while (link->fd >= 0 && (data = dataplane_session_output(link->session, &size))) {
		ssize_t n = send(link->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS)) {
			watch(link, true);
			return;
		}
		if (n < 0) {
			fail(link, DATAPLANE_LINK_CLOSED);
			return;
		}
		link->counters.datagrams_out++;
		dataplane_session_sent(link->session);
	}
	if (link->fd >= 0)
		watch(link, false);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct dataplane_link *link = poll->data;
	if (status < 0) {
		fail(link, DATAPLANE_LINK_CLOSED);
		return;
	}
	if (events & UV_READABLE) {
		receive(link);
		sodium_stackzero(STACK_WIPED);
	}
	if (link->fd >= 0 && (events & UV_WRITABLE))
		send_waiting(link);
}

static void on_flush(uv_prepare_t *prepare)
{
	struct dataplane_link *link = prepare->data;
	if (link->fd < 0)
		return;
	if (dataplane_session_has_room(link->session))
		link->events.room(link->events.context);
	if (!link->want_writable)
		send_waiting(link);
}

// ---- connecting ----

static enum dataplane_link_trouble trouble_of(int error)
{
	return error == EACCES || error == EPERM ? DATAPLANE_LINK_FORBIDDEN
						 : DATAPLANE_LINK_NO_SOCKET;
}

static int connect_socket(struct dataplane_link *link)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int size = SOCKET_BUFFER;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (connect(fd, (const struct sockaddr *)&link->address, sizeof(link->address))) {
		int rc = -errno;
		close(fd);
		return rc;
	}
	link->fd = fd;
	return 0;
}

static int watch_socket(struct dataplane_link *link)
{
	link->poll = calloc(1, sizeof(*link->poll));
	if (!link->poll)
		return -ENOMEM;
	link->poll->data = link;
	int rc = uv_poll_init(link->loop, link->poll, link->fd);
	if (rc) {
		free(link->poll);
		link->poll = NULL;
		return rc;
	}
	link->want_writable = false;
	return uv_poll_start(link->poll, UV_READABLE, on_poll);
}

static void on_retry(uv_timer_t *timer)
{
	struct dataplane_link *link = timer->data;
	int rc = connect_socket(link);
	if (rc) {
		link->trouble = trouble_of(-rc);
		retry_later(link);
		return;
	}
	rc = watch_socket(link);
	if (rc && !link->poll) {
		close(link->fd);
		link->fd = -1;
		retry_later(link);
		return;
	}
	if (rc || !dataplane_session_begin(link->session, now_ms()))
		fail(link, DATAPLANE_LINK_CLOSED);
}

static void on_tick(uv_timer_t *timer)
{
	struct dataplane_link *link = timer->data;
	if (dataplane_session_tick(link->session, now_ms())) {
		link->counters.timeouts++;
		fail(link, DATAPLANE_LINK_SILENT);
	}
}

// ---- life ----

int dataplane_link_open(uv_loop_t *loop, const char *path,
	const struct dataplane_link_events *events, struct dataplane_link **out)
{
	struct dataplane_link *link = calloc(1, sizeof(*link));
	if (!link)
		return -ENOMEM;
	const struct dataplane_events session_events = {
		.context = link,
		.connected = session_connected,
		.refused = session_refused,
		.punt = session_punt,
		.native_punt = session_native_punt,
		.expired = session_expired,
		.neighbour_wanted = session_neighbour_wanted,
		.resync = session_resync,
	};
	link->address.sun_family = AF_UNIX;
	int rc = -ENAMETOOLONG;
	if (strlen(path) >= sizeof(link->address.sun_path))
		goto free_link;
	snprintf(link->address.sun_path, sizeof(link->address.sun_path), "%s", path);
	rc = -ENOMEM;
	link->datagram = malloc(API_DATAGRAM_MAX);
	link->session = dataplane_session_create(&session_events);
	if (!link->datagram || !link->session)
		goto free_link;
	link->loop = loop;
	link->events = *events;
	link->fd = -1;
	link->retry_ms = DATAPLANE_RETRY_FIRST_MS;
	link->trouble = DATAPLANE_LINK_NO_SOCKET;
	uv_prepare_init(loop, &link->flush);
	uv_timer_init(loop, &link->retry);
	uv_timer_init(loop, &link->tick);
	link->open_handles = 3;
	link->flush.data = link->retry.data = link->tick.data = link;
	uv_prepare_start(&link->flush, on_flush);
	uv_timer_start(&link->retry, on_retry, 0, 0);
	uv_timer_start(&link->tick, on_tick, TICK_MS, TICK_MS);
	*out = link;
	return 0;
free_link:
	dataplane_session_free(link->session);
	free(link->datagram);
	free(link);
	return rc;
}

static void handle_closed(uv_handle_t *handle)
{
	struct dataplane_link *link = handle->data;
	if (--link->open_handles)
		return;
	dataplane_session_free(link->session);
	free(link->datagram);
	free(link);
}

void dataplane_link_close(struct dataplane_link *link)
{
	if (!link || link->closing)
		return;
	link->closing = true;
	disconnect(link, DATAPLANE_LINK_CLOSED);
	uv_close((uv_handle_t *)&link->flush, handle_closed);
	uv_close((uv_handle_t *)&link->retry, handle_closed);
	uv_close((uv_handle_t *)&link->tick, handle_closed);
}

bool dataplane_link_up(const struct dataplane_link *link)
{
	return link->greeted;
}

enum dataplane_link_trouble dataplane_link_trouble(const struct dataplane_link *link)
{
	return link->trouble;
}

const struct dataplane_link_counters *dataplane_link_counters(const struct dataplane_link *link)
{
	return &link->counters;
}

uint32_t dataplane_link_request(struct dataplane_link *link, enum api_type type,
	const void *payload, uint32_t size, dataplane_callback callback, void *context)
{
	return dataplane_session_request(
		link->session, type, payload, size, false, callback, context);
}

uint32_t dataplane_link_request_bulk(struct dataplane_link *link, enum api_type type,
	const void *payload, uint32_t size, dataplane_callback callback, void *context)
{
	return dataplane_session_request(
		link->session, type, payload, size, true, callback, context);
}

void dataplane_link_send(
	struct dataplane_link *link, const struct api_packet_send *send, const uint8_t *payload)
{
	if (!dataplane_session_send(
		    link->session, API_PACKET_SEND, send, sizeof(*send), payload, send->length))
		link->counters.sends_dropped++;
}
