// SPDX-License-Identifier: BSD-3-Clause
// The clients of the admin socket: none can hold up another, nor do what only root may.
// wrap: uv_now

#include "tests/unit/admin_bench.h"

#include <poll.h>
#include <sys/wait.h>

// ---- clients ----

static void test_client_that_leaves_before_its_answer(void **state)
{
	int fd = client_open(), other = client_open();

	(void)state;
	provider_state.hold = true;
	assert_true(client_send(fd, 1, ADMIN_STATUS, NULL, 0));
	wait_until_held();
	provider_state.hold = false;
	close(fd);
	assert_true(client_is_served(other));
	struct admin_status status = {.state = ADMIN_STATE_SERVING};
	admin_reply_item(provider_state.held, &status, sizeof(status));
	admin_reply_end(provider_state.held, 0);
	provider_state.held = NULL;
	assert_true(client_is_served(other));
	close(other);
}

static void test_peer_that_never_reads_is_dropped(void **state)
{
	int slow = client_open(), good = client_open();
	unsigned answered = 0;

	(void)state;
	// A full queue.
	provider_state.items = 3000;
	for (uint32_t id = 1; id < 60 && client_send(slow, id, ADMIN_STATS, NULL, 0); id++) {
		assert_true(client_is_served(good));
		answered++;
	}
	assert_true(answered > 2);
	assert_true(answered < 50);
	assert_true(client_dropped(slow));
	assert_true(client_is_served(good));
	close(slow);

	// Fewer answers than fill the queue, but left unread for too long.
	slow = client_open();
	clock_value = uv_now(&loop);
	clock_frozen = true;
	for (uint32_t id = 1; id < 4; id++) {
		assert_true(client_send(slow, id, ADMIN_STATS, NULL, 0));
		assert_true(client_is_served(good));
	}
	clock_value += ADMIN_STALL_MS;
	uint64_t deadline = real_ms() + 5000;
	bool gone = false;
	while (!gone && real_ms() < deadline) {
		uv_run(&loop, UV_RUN_NOWAIT);
		struct pollfd hangup = {.fd = slow};
		gone = poll(&hangup, 1, 0) == 1 && (hangup.revents & POLLHUP);
	}
	assert_true(gone);
	assert_true(client_is_served(good));
	close(slow);
	close(good);
}

static void test_flood_is_dropped(void **state)
{
	int flood = client_open(), good = client_open();
	unsigned answers = 0;
	uint8_t data[8192];

	(void)state;
	clock_value = uv_now(&loop) + 60000; // long enough for a full burst
	clock_frozen = true;
	while (answers < 2 * ADMIN_BURST && client_send(flood, 1, ADMIN_STATUS, NULL, 0) &&
		client_receive(flood, data, sizeof(data)) > 0)
		answers++;
	assert_int_equal(answers, ADMIN_BURST);
	assert_true(client_is_served(good));
	close(flood);

	// At the permitted rate it goes on for as long as one likes.
	for (unsigned i = 0; i < 2 * ADMIN_BURST; i++) {
		clock_value += 1000 / ADMIN_RATE;
		assert_true(client_is_served(good));
	}
	close(good);
}

static void test_newcomer_takes_the_place_of_the_longest_idle(void **state)
{
	int fds[ADMIN_CLIENTS_MAX + 1];

	(void)state;
	clock_frozen = true;
	clock_value = uv_now(&loop);
	for (unsigned i = 0; i < ADMIN_CLIENTS_MAX; i++) {
		clock_value++;
		fds[i] = client_open();
	}
	clock_value++;
	assert_true(client_is_served(fds[0])); // now the second is the oldest
	fds[ADMIN_CLIENTS_MAX] = client_open();
	assert_true(client_dropped(fds[1]));
	assert_true(client_is_served(fds[0]));
	assert_true(client_is_served(fds[2]));
	assert_true(client_is_served(fds[ADMIN_CLIENTS_MAX]));
	for (unsigned i = 0; i <= ADMIN_CLIENTS_MAX; i++)
		close(fds[i]);
}

// ---- another user: a child process that gave up root ----

static void blocking_ask(int fd, uint32_t id, uint32_t type, const void *request, uint32_t size,
	struct api_header *answer)
{
	uint8_t data[API_DATAGRAM_MAX];

	if (!client_send(fd, id, type, request, size) || recv(fd, data, sizeof(data), 0) < 12)
		_exit(10);
	memcpy(answer, data, sizeof(*answer));
}

static int blocking_open(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct api_header answer;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	strcpy(address.sun_path, path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		_exit(11);
	blocking_ask(fd, 1, ADMIN_HELLO, &good_hello, sizeof(good_hello), &answer);
	return fd;
}

static void stranger_asks(void)
{
	struct api_header answer;
	int fd = blocking_open();

	blocking_ask(fd, 2, ADMIN_STATUS, NULL, 0, &answer);
	if (answer.length != sizeof(struct admin_status))
		_exit(1);
	blocking_ask(fd, 3, ADMIN_DRAIN, &some_drain, sizeof(some_drain), &answer);
	if (answer.length != -EPERM)
		_exit(2);
	blocking_ask(fd, 4, ADMIN_UNDRAIN, NULL, 0, &answer);
	if (answer.length != -EPERM)
		_exit(3);
	blocking_ask(fd, 5, ADMIN_STATUS, NULL, 0, &answer);
	if (answer.length != sizeof(struct admin_status))
		_exit(4);
}

static void stranger_takes_all_connections(void)
{
	for (unsigned i = 0; i < 3 * ADMIN_CLIENTS_MAX; i++)
		blocking_open();
}

static int run_as_stranger(void (*act)(void))
{
	int status;

	assert_int_equal(chmod(path, 0666), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		if (setuid(65534) < 0)
			_exit(12);
		alarm(10);
		act();
		_exit(0);
	}
	while (waitpid(child, &status, WNOHANG) == 0)
		uv_run(&loop, UV_RUN_NOWAIT);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void test_stranger_may_look_but_not_touch(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, ADMIN_SOCKET_MODE);
	if (getuid() != 0)
		skip();
	assert_int_equal(run_as_stranger(stranger_asks), 0);
	assert_int_equal(provider_state.calls, 2);
	assert_int_equal(provider_state.drain.on, 0);
}

static void test_strangers_cannot_displace_root(void **state)
{
	(void)state;
	if (getuid() != 0)
		skip();
	int fd = client_open(); // the longest idle of all
	assert_int_equal(run_as_stranger(stranger_takes_all_connections), 0);
	assert_true(client_is_served(fd));
	close(fd);
}

int main(void)
{
#define SERVED(test) cmocka_unit_test_setup_teardown(test, start, stop)
	const struct CMUnitTest tests[] = {
		SERVED(test_client_that_leaves_before_its_answer),
		SERVED(test_peer_that_never_reads_is_dropped),
		SERVED(test_flood_is_dropped),
		SERVED(test_newcomer_takes_the_place_of_the_longest_idle),
		SERVED(test_stranger_may_look_but_not_touch),
		SERVED(test_strangers_cannot_displace_root),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
