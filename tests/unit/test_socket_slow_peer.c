// SPDX-License-Identifier: BSD-3-Clause
// Peers of the dataplane's socket that do not read, die, or send too much: over real sockets, with
// the real I/O of socket.c.
// wrap: install_execute
// wrap: next_hops_mark

#include "tests/unit/socket_bench.h"

#include "dataplane/socket.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <stdio.h>
#include <unistd.h>

int __wrap_install_execute(
	struct worker *worker, uint32_t type, const void *payload, uint32_t size, uint64_t now);
int __wrap_install_execute(
	struct worker *worker, uint32_t type, const void *payload, uint32_t size, uint64_t now)
{
	(void)worker, (void)type, (void)payload, (void)size, (void)now;
	return 0;
}

void __wrap_next_hops_mark(struct next_hops *next_hops);
void __wrap_next_hops_mark(struct next_hops *next_hops)
{
	(void)next_hops;
}

static struct api_socket api;
static char directory[] = "/tmp/test_socket.XXXXXX";

static int up(void **state)
{
	char error[SOCKET_ERROR_SIZE] = "";
	bench_up(state);
	strcpy(directory + sizeof(directory) - 7, "XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(bench->config.node.run, sizeof(bench->config.node.run), "%s", directory);
	socket_init(&api, &bench->dataplane);
	api.epoll = epoll_create1(EPOLL_CLOEXEC);
	assert_int_equal(socket_claim(&api, &bench->config, error), 0);
	assert_int_equal(socket_listen(&api, error), 0);
	return 0;
}

static int down(void **state)
{
	socket_close(&api);
	close(api.epoll);
	assert_int_equal(access(api.path, F_OK), -1);
	rmdir(directory);
	return bench_down(state);
}

static int dial(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = 10};
	memcpy(address.sun_path, api.path, strlen(api.path));
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

// One round of the main loop.
static void serve(void)
{
	struct epoll_event events[16];
	int ready = epoll_wait(api.epoll, events, 16, 0);
	for (int i = 0; i < ready; i++)
		if (events[i].data.u64 == SOCKET_EPOLL_LISTEN)
			socket_accept(&api);
		else
			socket_ready(&api, events[i].data.u64, events[i].events);
	socket_work(&api);
}

static void ask(int fd, uint32_t id, uint32_t type, const void *payload, uint32_t length)
{
	static uint8_t data[API_DATAGRAM_MAX];
	struct api_batch batch = {data, 0};
	assert_true(api_batch_append(&batch, id, type, payload, length, NULL, 0));
	assert_int_equal(send(fd, data, batch.length, MSG_NOSIGNAL), batch.length);
}

static int32_t hello(int fd, uint32_t role)
{
	struct api_hello hello = {.version = API_VERSION, .role = role};
	struct api_header header = {0};
	uint8_t data[256];
	ask(fd, 1, API_HELLO, &hello, sizeof(hello));
	serve();
	serve();
	if (recv(fd, data, sizeof(data), MSG_DONTWAIT) < (ssize_t)sizeof(header))
		return -1;
	memcpy(&header, data, sizeof(header));
	return header.length;
}

static void oversized_datagram_closes(void **state)
{
	(void)state;
	static uint8_t data[API_DATAGRAM_MAX + 4];
	int fd = dial(), large = 1 << 20;
	assert_int_equal(hello(fd, API_ROLE_CONTROL), sizeof(struct api_hello_answer));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &large, sizeof(large));
	assert_int_equal(send(fd, data, sizeof(data), 0), sizeof(data));
	serve();
	assert_int_equal(recv(fd, data, sizeof(data), 0), 0);
	assert_int_equal(api.server.count, 0);
	assert_null(api.server.control);
	close(fd);
}

static void control_passes_on_when_its_holder_dies(void **state)
{
	(void)state;
	int first = dial(), second = dial();
	assert_int_equal(hello(first, API_ROLE_CONTROL), sizeof(struct api_hello_answer));
	assert_int_equal(hello(second, API_ROLE_CONTROL), -EBUSY);
	close(first);
	// Both arrive in one turn: the end of the first, and the second's request.
	assert_int_equal(hello(second, API_ROLE_CONTROL), sizeof(struct api_hello_answer));
	serve();
	assert_int_equal(api.server.count, 1);
	assert_non_null(api.server.control);
	close(second);
	serve();
	assert_int_equal(api.server.count, 0);
	assert_null(api.server.control);
}

static void too_many_connections_are_turned_away(void **state)
{
	(void)state;
	int fds[CONNECTIONS_MAX + 1];
	char byte;
	for (unsigned i = 0; i <= CONNECTIONS_MAX; i++) {
		fds[i] = dial();
		serve();
	}
	assert_int_equal(api.server.count, CONNECTIONS_MAX);
	assert_int_equal(recv(fds[CONNECTIONS_MAX], &byte, 1, 0), 0);
	for (unsigned i = 0; i <= CONNECTIONS_MAX; i++)
		close(fds[i]);
	serve();
	assert_int_equal(api.server.count, 0);
}

// Events pile up to their mark and are dropped; requests are still answered; when the peer reads
// again it finds what was queued, then API_RESYNC, then new events.
static void peer_that_never_reads_loses_events_only(void **state)
{
	(void)state;
	enum { MANY = 1 << 16 };
	static uint8_t data[API_DATAGRAM_MAX];
	int fd = dial();
	assert_int_equal(hello(fd, API_ROLE_CONTROL), sizeof(struct api_hello_answer));
	struct connection *control = api.server.control;
	struct api_expired expired = {0};
	uint64_t taken = 0;
	for (uint64_t i = 1; i <= MANY; i++) {
		expired.allocation_id = i;
		taken += connection_event(control, API_EXPIRED, &expired, sizeof(expired));
		if (i % 64 == 0)
			serve();
	}
	assert_true(control->want_write);
	assert_true(control->resync);
	assert_true(taken > 0 && taken < MANY);
	assert_true(connection_room(control) >= CONNECTION_ANSWER_RESERVE);

	struct api_allocation_change change = {.allocation_id = 5};
	ask(fd, 1234, API_ALLOCATION_REFRESH, &change, sizeof(change));
	serve();
	struct worker *worker = bench->dataplane.workers[0];
	assert_int_equal(command_execute(worker, &worker->machine->lane, 0, 10), 1);
	struct command *command = command_completed(&worker->machine->lane);
	connection_completed(control, command);
	command_release(&worker->machine->lane, command);

	uint64_t last = 0;
	bool answered = false, resynced = false, after = false;
	for (unsigned turns = 0; turns < 10000 && !after; turns++) {
		serve();
		expired.allocation_id = MANY + 1;
		if (answered)
			connection_event(control, API_EXPIRED, &expired, sizeof(expired));
		ssize_t length = recv(fd, data, sizeof(data), MSG_DONTWAIT);
		const uint8_t *position = data;
		struct api_frame frame;
		while (length > 0 && api_frame_next(&position, data + length, &frame) == 1) {
			if (frame.header.type == API_RESYNC) {
				assert_true(answered);
				assert_int_equal(last, taken);
				resynced = true;
			} else if (frame.header.type == API_EXPIRED) {
				memcpy(&expired, frame.payload, sizeof(expired));
				after = expired.allocation_id > MANY;
				assert_true(after == resynced);
				if (!after)
					assert_int_equal(expired.allocation_id, ++last);
			} else {
				assert_int_equal(frame.header.id, 1234);
				answered = true;
			}
		}
	}
	assert_true(after);
	close(fd);
}

static void what_was_sent_and_received_is_wiped(void **state)
{
	(void)state;
	int fd = dial();
	uint8_t secret[24], payload[64];
	memset(secret, 0xC3, sizeof(secret));
	assert_int_equal(hello(fd, API_ROLE_CONTROL), sizeof(struct api_hello_answer));
	struct connection *control = api.server.control;
	memset(payload, 0xC3, sizeof(payload));
	assert_true(connection_event(control, API_PUNT, payload, sizeof(payload)));
	size_t size = (size_t)control->out.datagrams * API_DATAGRAM_MAX;
	assert_non_null(memmem(control->out.data, size, secret, sizeof(secret)));
	serve();
	assert_null(memmem(control->out.data, size, secret, sizeof(secret)));

	struct api_allocation_install install;
	memset(&install, 0xC3, sizeof(install));
	install.worker = 0;
	ask(fd, 5, API_ALLOCATION_INSTALL, &install, sizeof(install));
	serve();
	struct worker *worker = bench->dataplane.workers[0];
	const struct command_lane *lane = &worker->machine->lane;
	size_t slots = COMMAND_SLOTS * sizeof(*lane->slots);
	assert_null(memmem(control->in, API_DATAGRAM_MAX, secret, sizeof(secret)));
	assert_non_null(memmem(lane->slots, slots, secret, sizeof(secret)));
	assert_int_equal(command_execute(worker, &worker->machine->lane, 0, 10), 1);
	struct command *command = command_completed(&worker->machine->lane);
	connection_completed(control, command);
	command_release(&worker->machine->lane, command);
	assert_null(memmem(lane->slots, slots, secret, sizeof(secret)));
	close(fd);
}

static void run_directory_belongs_to_one(void **state)
{
	(void)state;
	struct api_socket other;
	char error[SOCKET_ERROR_SIZE] = "";
	socket_init(&other, &bench->dataplane);
	assert_int_equal(socket_claim(&other, &bench->config, error), -EADDRINUSE);
	assert_non_null(strstr(error, "another relay-dataplane"));
	socket_close(&other);
	assert_int_equal(access(api.path, F_OK), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(oversized_datagram_closes, up, down),
		cmocka_unit_test_setup_teardown(control_passes_on_when_its_holder_dies, up, down),
		cmocka_unit_test_setup_teardown(too_many_connections_are_turned_away, up, down),
		cmocka_unit_test_setup_teardown(peer_that_never_reads_loses_events_only, up, down),
		cmocka_unit_test_setup_teardown(what_was_sent_and_received_is_wiped, up, down),
		cmocka_unit_test_setup_teardown(run_directory_belongs_to_one, up, down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
