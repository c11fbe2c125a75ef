// SPDX-License-Identifier: BSD-3-Clause
// A server of the admin socket for tests, with a provider that says what the test wants, a clock
// that stands still when told to, and clients that are non-blocking sockets beside it: all on one
// loop in this process. Needs "wrap: uv_now".
#pragma once

#include "controlplane/admin/admin.h"
#include "controlplane/admin/verbs.h"
#include "dataplane/api/frames.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

// ---- requests ----

struct request {
	struct api_header header;
	uint8_t payload[128];
};

static inline struct request request_make(
	uint32_t id, uint32_t type, const void *payload, uint32_t size)
{
	struct request r = {.header = {.id = id, .type = type, .length = (int32_t)size}};

	if (size > 0)
		memcpy(r.payload, payload, size);
	return r;
}

static const struct admin_hello good_hello = {.version = ADMIN_VERSION};
static const struct admin_drain some_drain = {.deadline_ms = 5000};

// ---- a server, its provider and its clock ----

static uv_loop_t loop;
static struct admin_server *server;
static char folder[] = "/tmp/test_admin.XXXXXX";
static char path[64];

static bool clock_frozen;
static uint64_t clock_value; // while frozen

uint64_t __real_uv_now(const uv_loop_t *l);
uint64_t __wrap_uv_now(const uv_loop_t *l);

uint64_t __wrap_uv_now(const uv_loop_t *l)
{
	return clock_frozen ? clock_value : __real_uv_now(l);
}

static struct {
	unsigned calls;
	struct api_drain drain;
	bool check;               // of the last reload
	struct admin_reply *held; // not ended yet
	bool hold;                // keep the next reply
	int result;
	unsigned items; // in a list
} provider_state;

// Every provider function of the test ends here.
static inline void finish(
	struct admin_reply *reply, const void *item, uint32_t size, unsigned items)
{
	provider_state.calls++;
	if (provider_state.hold) {
		assert_null(provider_state.held);
		provider_state.held = reply;
		return;
	}
	for (unsigned i = 0; provider_state.result == 0 && i < items; i++)
		admin_reply_item(reply, item, size);
	admin_reply_end(reply, provider_state.result);
}

static inline void provide_status(void *context, struct admin_reply *reply)
{
	struct admin_status status = {.state = ADMIN_STATE_SERVING, .allocations = 42};

	assert_ptr_equal(context, &provider_state);
	finish(reply, &status, sizeof(status), 1);
}

static inline void provide_versions(void *context, struct admin_reply *reply)
{
	struct admin_versions versions = {.controlplane = "1"};

	(void)context;
	finish(reply, &versions, sizeof(versions), 1);
}

static inline void provide_stats(void *context, struct admin_reply *reply)
{
	struct api_counter counter = {.kind = API_COUNTER_DROP, .name = "malformed", .value = 9};

	(void)context;
	finish(reply, &counter, sizeof(counter), provider_state.items);
}

static inline void provide_ports(void *context, struct admin_reply *reply)
{
	struct api_port port = {.name = "ring"};

	(void)context;
	finish(reply, &port, sizeof(port), provider_state.items);
}

static inline void provide_workers(void *context, struct admin_reply *reply)
{
	struct api_worker worker = {.core = 3};

	(void)context;
	finish(reply, &worker, sizeof(worker), provider_state.items);
}

static inline void provide_drain(
	void *context, const struct api_drain *drain, struct admin_reply *reply)
{
	(void)context;
	provider_state.drain = *drain;
	finish(reply, NULL, 0, 0);
}

static inline void provide_reload(void *context, bool check, struct admin_reply *reply)
{
	struct admin_change change = {.outcome = ADMIN_APPLIED};

	(void)context;
	provider_state.check = check;
	finish(reply, &change, sizeof(change), provider_state.items);
}

static const struct admin_provider provider = {
	.context = &provider_state,
	.status = provide_status,
	.versions = provide_versions,
	.stats = provide_stats,
	.ports = provide_ports,
	.workers = provide_workers,
	.drain = provide_drain,
	.reload = provide_reload,
};

static inline int start(void **state)
{
	(void)state;
	memset(&provider_state, 0, sizeof(provider_state));
	clock_frozen = false;
	if (uv_loop_init(&loop) < 0)
		return -1;
	return admin_server_open(&loop, path, &provider, &server);
}

static inline int stop(void **state)
{
	(void)state;
	admin_server_close(server);
	server = NULL;
	if (provider_state.held != NULL)
		admin_reply_end(provider_state.held, 0);
	uv_run(&loop, UV_RUN_DEFAULT);
	// Nothing may keep the loop open, and no socket may stay behind.
	return uv_loop_close(&loop) == 0 && access(path, F_OK) < 0 ? 0 : -1;
}

// ---- clients ----

static inline uint64_t real_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

static inline int client_connect(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	strcpy(address.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static inline bool client_send(
	int fd, uint32_t id, uint32_t type, const void *payload, uint32_t size)
{
	struct request r = request_make(id, type, payload, size);

	return send(fd, &r, sizeof(r.header) + api_padded(size), MSG_NOSIGNAL) > 0;
}

// Turns the loop until the client has a datagram, is dropped (0), or 5 s have passed (fails).
static inline ssize_t client_receive(int fd, uint8_t *data, size_t room)
{
	uint64_t deadline = real_ms() + 5000;

	while (real_ms() < deadline) {
		uv_run(&loop, UV_RUN_NOWAIT);
		ssize_t n = recv(fd, data, room, 0);
		if (n >= 0)
			return n;
		if (errno != EAGAIN)
			return 0;
	}
	fail_msg("the server says nothing");
	return -1;
}

static inline bool client_dropped(int fd)
{
	uint8_t data[API_DATAGRAM_MAX];
	ssize_t n;

	while ((n = client_receive(fd, data, sizeof(data))) > 0)
		;
	return n == 0;
}

// One answer of at most one datagram: its header.
static inline struct api_header client_answer(int fd, uint8_t *payload)
{
	static uint8_t data[API_DATAGRAM_MAX];
	const uint8_t *position = data;
	struct api_frame frame = {0};
	ssize_t n = client_receive(fd, data, sizeof(data));

	assert_true(n > 0);
	assert_int_equal(api_frame_next(&position, data + n, &frame), 1);
	if (payload != NULL && frame.size > 0)
		memcpy(payload, frame.payload, frame.size);
	return frame.header;
}

static inline struct api_header client_ask(
	int fd, uint32_t type, const void *request, uint32_t size, uint8_t *payload)
{
	static uint32_t id;

	assert_true(client_send(fd, ++id, type, request, size));
	struct api_header header = client_answer(fd, payload);
	assert_int_equal(header.id, id);
	assert_int_equal(header.type, type);
	return header;
}

static inline int client_open(void)
{
	struct admin_hello_answer answer;
	int fd = client_connect();
	struct api_header header =
		client_ask(fd, ADMIN_HELLO, &good_hello, sizeof(good_hello), (uint8_t *)&answer);

	assert_int_equal(header.length, sizeof(answer));
	assert_int_equal(answer.version, ADMIN_VERSION);
	return fd;
}

static inline bool client_is_served(int fd)
{
	struct admin_status status;
	struct api_header header = client_ask(fd, ADMIN_STATUS, NULL, 0, (uint8_t *)&status);

	return header.length == sizeof(status) && status.allocations == 42;
}

// Until the provider keeps a request.
static inline void wait_until_held(void)
{
	uint64_t deadline = real_ms() + 5000;

	while (provider_state.held == NULL) {
		assert_true(real_ms() < deadline);
		uv_run(&loop, UV_RUN_NOWAIT);
	}
}

// ---- the socket file ----

static inline int make_folder(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL || chmod(folder, 0755) < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/control.sock", folder);
	return 0;
}

static inline int remove_folder(void **state)
{
	(void)state;
	return rmdir(folder);
}
