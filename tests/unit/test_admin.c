// SPDX-License-Identifier: BSD-3-Clause
// The admin socket: what requests are let through, and that no client can hold up another. The
// server runs on a loop in this process, its clients are non-blocking sockets beside it, and the
// clock is ours.
// wrap: uv_now

#include "controlplane/admin/admin.h"
#include "controlplane/admin/verbs.h"
#include "dataplane/api/frames.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// ---- requests ----

struct request {
	struct api_header header;
	uint8_t payload[128];
};

static struct request request_make(uint32_t id, uint32_t type, const void *payload, uint32_t size)
{
	struct request r = {.header = {.id = id, .type = type, .length = (int32_t)size}};

	if (size > 0)
		memcpy(r.payload, payload, size);
	return r;
}

static enum admin_verdict judge(struct admin_session *session, uint32_t id, uint32_t type,
	const void *payload, uint32_t size, int *error)
{
	struct request r = request_make(id, type, payload, size);
	struct admin_request out;

	return admin_session_judge(
		session, (const uint8_t *)&r, sizeof(r.header) + api_padded(size), &out, error);
}

static const struct admin_hello good_hello = {.version = ADMIN_VERSION};
static const struct admin_drain some_drain = {.deadline_ms = 5000};

static void test_hello_comes_first_and_once(void **state)
{
	struct admin_session session = {.uid = 0};
	int error;

	(void)state;
	assert_int_equal(judge(&session, 1, ADMIN_STATUS, NULL, 0, &error), ADMIN_CLOSE);
	assert_int_equal(error, -EPROTO);
	assert_int_equal(judge(&session, 1, ADMIN_HELLO, &good_hello, 8, &error), ADMIN_RUN);
	assert_int_equal(error, 0);
	assert_int_equal(judge(&session, 2, ADMIN_STATUS, NULL, 0, &error), ADMIN_RUN);
	assert_int_equal(judge(&session, 3, ADMIN_HELLO, &good_hello, 8, &error), ADMIN_CLOSE);
}

static void test_wrong_version_is_told_apart(void **state)
{
	struct admin_session session = {.uid = 0};
	struct admin_hello hello = {.version = ADMIN_VERSION + 1};
	int error;

	(void)state;
	assert_int_equal(judge(&session, 1, ADMIN_HELLO, &hello, 8, &error), ADMIN_CLOSE);
	assert_int_equal(error, -EPROTONOSUPPORT);
	assert_int_equal(judge(&session, 2, ADMIN_STATUS, NULL, 0, &error), ADMIN_CLOSE);
}

static void test_malformed_requests_close(void **state)
{
	static const uint32_t unknown[] = {0, 2, 15, 31, 99, 0xffffffff};
	struct admin_session session = {.uid = 0, .greeted = true};
	struct admin_request out;
	int error;

	(void)state;
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		assert_int_equal(judge(&session, 1, unknown[i], NULL, 0, &error), ADMIN_CLOSE);
	// No id; sizes that are not the verb's; a result instead of a size.
	assert_int_equal(judge(&session, 0, ADMIN_STATUS, NULL, 0, &error), ADMIN_CLOSE);
	assert_int_equal(judge(&session, 1, ADMIN_STATUS, &some_drain, 4, &error), ADMIN_CLOSE);
	assert_int_equal(judge(&session, 1, ADMIN_DRAIN, &some_drain, 4, &error), ADMIN_CLOSE);
	assert_int_equal(judge(&session, 1, ADMIN_DRAIN, NULL, 0, &error), ADMIN_CLOSE);
	struct request r = request_make(1, ADMIN_STATUS, NULL, 0);
	r.header.length = -1;
	assert_int_equal(
		admin_session_judge(&session, (uint8_t *)&r, 12, &out, &error), ADMIN_CLOSE);

	// A good request, cut at every offset, and with bytes behind it.
	r = request_make(7, ADMIN_DRAIN, &some_drain, sizeof(some_drain));
	for (size_t length = 0; length < 20; length++) {
		assert_int_equal(admin_session_judge(&session, (uint8_t *)&r, length, &out, &error),
			ADMIN_CLOSE);
		assert_int_equal(error, -EPROTO);
	}
	assert_int_equal(admin_session_judge(&session, (uint8_t *)&r, 20, &out, &error), ADMIN_RUN);
	assert_int_equal(out.id, 7);
	assert_int_equal(out.drain.deadline_ms, 5000);
	for (size_t length = 21; length <= sizeof(r); length++)
		assert_int_equal(admin_session_judge(&session, (uint8_t *)&r, length, &out, &error),
			ADMIN_CLOSE);

	// Two requests in one datagram.
	uint8_t two[24];
	r = request_make(1, ADMIN_STATUS, NULL, 0);
	memcpy(two, &r, 12);
	memcpy(two + 12, &r, 12);
	assert_int_equal(
		admin_session_judge(&session, two, sizeof(two), &out, &error), ADMIN_CLOSE);
}

static void test_changes_need_root_or_our_own_user(void **state)
{
	static const uint32_t reading[] = {ADMIN_STATUS, ADMIN_VERSIONS, ADMIN_STATS, ADMIN_PORTS,
		ADMIN_WORKERS, ADMIN_GUARD_RULES, ADMIN_GUARD_LIMITS};
	struct admin_session stranger = {.uid = 1000, .own_uid = 990, .greeted = true};
	struct admin_session own = {.uid = 990, .own_uid = 990, .greeted = true};
	struct admin_session root = {.uid = 0, .own_uid = 990, .greeted = true};
	int error;

	(void)state;
	assert_int_equal(judge(&stranger, 1, ADMIN_DRAIN, &some_drain, 8, &error), ADMIN_REFUSE);
	assert_int_equal(error, -EPERM);
	assert_int_equal(judge(&stranger, 1, ADMIN_UNDRAIN, NULL, 0, &error), ADMIN_REFUSE);
	assert_int_equal(error, -EPERM);
	for (size_t i = 0; i < sizeof(reading) / sizeof(reading[0]); i++)
		assert_int_equal(judge(&stranger, 1, reading[i], NULL, 0, &error), ADMIN_RUN);
	assert_int_equal(judge(&stranger, 1, ADMIN_RELOAD, NULL, 0, &error), ADMIN_REFUSE);
	assert_int_equal(judge(&stranger, 1, ADMIN_RELOAD_CHECK, NULL, 0, &error), ADMIN_REFUSE);
	assert_int_equal(judge(&own, 1, ADMIN_RELOAD, NULL, 0, &error), ADMIN_RUN);
	const struct api_guard_rule rule = {.action = API_GUARD_BLOCK};
	assert_int_equal(
		judge(&stranger, 1, ADMIN_GUARD_SET, &rule, sizeof(rule), &error), ADMIN_REFUSE);
	assert_int_equal(error, -EPERM);
	assert_int_equal(
		judge(&stranger, 1, ADMIN_GUARD_REMOVE, &rule.prefix, sizeof(rule.prefix), &error),
		ADMIN_REFUSE);
	assert_int_equal(judge(&own, 1, ADMIN_GUARD_SET, &rule, sizeof(rule), &error), ADMIN_RUN);
	assert_int_equal(
		judge(&root, 1, ADMIN_GUARD_REMOVE, &rule.prefix, sizeof(rule.prefix), &error),
		ADMIN_RUN);
	assert_int_equal(judge(&own, 1, ADMIN_DRAIN, &some_drain, 8, &error), ADMIN_RUN);
	assert_int_equal(judge(&root, 1, ADMIN_UNDRAIN, NULL, 0, &error), ADMIN_RUN);
}

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
static void finish(struct admin_reply *reply, const void *item, uint32_t size, unsigned items)
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

static void provide_status(void *context, struct admin_reply *reply)
{
	struct admin_status status = {.state = ADMIN_STATE_SERVING, .allocations = 42};

	assert_ptr_equal(context, &provider_state);
	finish(reply, &status, sizeof(status), 1);
}

static void provide_versions(void *context, struct admin_reply *reply)
{
	struct admin_versions versions = {.controlplane = "1"};

	(void)context;
	finish(reply, &versions, sizeof(versions), 1);
}

static void provide_stats(void *context, struct admin_reply *reply)
{
	struct api_counter counter = {.kind = API_COUNTER_DROP, .name = "malformed", .value = 9};

	(void)context;
	finish(reply, &counter, sizeof(counter), provider_state.items);
}

static void provide_ports(void *context, struct admin_reply *reply)
{
	struct api_port port = {.name = "ring"};

	(void)context;
	finish(reply, &port, sizeof(port), provider_state.items);
}

static void provide_workers(void *context, struct admin_reply *reply)
{
	struct api_worker worker = {.core = 3};

	(void)context;
	finish(reply, &worker, sizeof(worker), provider_state.items);
}

static void provide_drain(void *context, const struct api_drain *drain, struct admin_reply *reply)
{
	(void)context;
	provider_state.drain = *drain;
	finish(reply, NULL, 0, 0);
}

static void provide_reload(void *context, bool check, struct admin_reply *reply)
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

static int start(void **state)
{
	(void)state;
	memset(&provider_state, 0, sizeof(provider_state));
	clock_frozen = false;
	if (uv_loop_init(&loop) < 0)
		return -1;
	return admin_server_open(&loop, path, &provider, &server);
}

static int stop(void **state)
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

static uint64_t real_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

static int client_connect(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	strcpy(address.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static bool client_send(int fd, uint32_t id, uint32_t type, const void *payload, uint32_t size)
{
	struct request r = request_make(id, type, payload, size);

	return send(fd, &r, sizeof(r.header) + api_padded(size), MSG_NOSIGNAL) > 0;
}

// Turns the loop until the client has a datagram, is dropped (0), or 5 s have passed (fails).
static ssize_t client_receive(int fd, uint8_t *data, size_t room)
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

static bool client_dropped(int fd)
{
	uint8_t data[API_DATAGRAM_MAX];
	ssize_t n;

	while ((n = client_receive(fd, data, sizeof(data))) > 0)
		;
	return n == 0;
}

// One answer of at most one datagram: its header.
static struct api_header client_answer(int fd, uint8_t *payload)
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

static struct api_header client_ask(
	int fd, uint32_t type, const void *request, uint32_t size, uint8_t *payload)
{
	static uint32_t id;

	assert_true(client_send(fd, ++id, type, request, size));
	struct api_header header = client_answer(fd, payload);
	assert_int_equal(header.id, id);
	assert_int_equal(header.type, type);
	return header;
}

static int client_open(void)
{
	struct admin_hello_answer answer;
	int fd = client_connect();
	struct api_header header =
		client_ask(fd, ADMIN_HELLO, &good_hello, sizeof(good_hello), (uint8_t *)&answer);

	assert_int_equal(header.length, sizeof(answer));
	assert_int_equal(answer.version, ADMIN_VERSION);
	return fd;
}

static bool client_is_served(int fd)
{
	struct admin_status status;
	struct api_header header = client_ask(fd, ADMIN_STATUS, NULL, 0, (uint8_t *)&status);

	return header.length == sizeof(status) && status.allocations == 42;
}

// Until the provider keeps a request.
static void wait_until_held(void)
{
	uint64_t deadline = real_ms() + 5000;

	while (provider_state.held == NULL) {
		assert_true(real_ms() < deadline);
		uv_run(&loop, UV_RUN_NOWAIT);
	}
}

static void test_status_arrives(void **state)
{
	struct admin_versions versions;
	int fd = client_open();

	(void)state;
	assert_true(client_is_served(fd));
	assert_int_equal(client_ask(fd, ADMIN_VERSIONS, NULL, 0, (uint8_t *)&versions).length,
		sizeof(versions));
	assert_string_equal(versions.controlplane, "1");
	close(fd);
}

static void test_lists_of_any_length_end_with_nothing(void **state)
{
	static const unsigned lengths[] = {0, 1, 963, 964, 3000};
	static uint8_t data[API_DATAGRAM_MAX];
	int fd = client_open();

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		unsigned items = 0;
		bool ended = false;
		provider_state.items = lengths[i];
		assert_true(client_send(fd, 9, ADMIN_STATS, NULL, 0));
		while (!ended) {
			ssize_t n = client_receive(fd, data, sizeof(data));
			const uint8_t *position = data;
			struct api_frame frame = {0};
			assert_true(n > 0);
			while (api_frame_next(&position, data + n, &frame) == 1) {
				assert_false(ended);
				assert_int_equal(frame.header.id, 9);
				assert_true(frame.header.length >= 0);
				ended = frame.size == 0;
				items += !ended;
			}
			assert_ptr_equal(position, data + n);
		}
		assert_int_equal(items, lengths[i]);
	}
	provider_state.items = 0;
	assert_int_equal(client_ask(fd, ADMIN_PORTS, NULL, 0, NULL).length, 0);
	assert_int_equal(client_ask(fd, ADMIN_WORKERS, NULL, 0, NULL).length, 0);
	close(fd);
}

static void test_provider_errors_are_handed_on(void **state)
{
	int fd = client_open();

	(void)state;
	provider_state.result = -ENOTCONN;
	assert_int_equal(client_ask(fd, ADMIN_STATS, NULL, 0, NULL).length, -ENOTCONN);
	assert_int_equal(client_ask(fd, ADMIN_STATUS, NULL, 0, NULL).length, -ENOTCONN);
	provider_state.result = 0;
	assert_true(client_is_served(fd));
	close(fd);
}

static void test_drain_and_undrain(void **state)
{
	int fd = client_open();

	(void)state;
	assert_int_equal(client_ask(fd, ADMIN_DRAIN, &some_drain, 8, NULL).length, 0);
	assert_int_equal(provider_state.drain.on, 1);
	assert_int_equal(provider_state.drain.deadline_ms, 5000);
	assert_int_equal(client_ask(fd, ADMIN_UNDRAIN, NULL, 0, NULL).length, 0);
	assert_int_equal(provider_state.drain.on, 0);
	close(fd);
}

static void test_reload_and_check(void **state)
{
	int fd = client_open();

	(void)state;
	provider_state.items = 0;
	assert_int_equal(client_ask(fd, ADMIN_RELOAD_CHECK, NULL, 0, NULL).length, 0);
	assert_true(provider_state.check);
	assert_int_equal(client_ask(fd, ADMIN_RELOAD, NULL, 0, NULL).length, 0);
	assert_false(provider_state.check);
	close(fd);
}

static void test_bad_requests_close_only_their_connection(void **state)
{
	struct admin_hello old = {.version = ADMIN_VERSION + 1};
	uint8_t big[ADMIN_REQUEST_MAX + 4] = {0};
	int good = client_open(), fd;

	(void)state;
	fd = client_connect();
	assert_int_equal(client_ask(fd, ADMIN_HELLO, &old, 8, NULL).length, -EPROTONOSUPPORT);
	assert_true(client_dropped(fd));
	close(fd);

	fd = client_connect();
	assert_int_equal(client_ask(fd, ADMIN_STATUS, NULL, 0, NULL).length, -EPROTO);
	assert_true(client_dropped(fd));
	close(fd);

	fd = client_open();
	assert_int_equal(client_ask(fd, 77, NULL, 0, NULL).length, -EPROTO);
	assert_true(client_dropped(fd));
	close(fd);

	fd = client_open();
	assert_int_equal(send(fd, big, sizeof(big), 0), (ssize_t)sizeof(big));
	assert_true(client_dropped(fd));
	close(fd);

	fd = client_open();
	assert_int_equal(send(fd, big, 5, 0), 5);
	assert_true(client_dropped(fd));
	close(fd);

	fd = client_open();
	assert_int_equal(send(fd, big, 0, 0), 0);
	assert_true(client_dropped(fd));
	close(fd);

	assert_int_equal(provider_state.calls, 0);
	assert_true(client_is_served(good));
	close(good);
}

static void test_next_request_waits_for_the_answer_to_the_last(void **state)
{
	struct api_header header;
	int fd = client_open(), other = client_open();

	(void)state;
	provider_state.hold = true;
	assert_true(client_send(fd, 1, ADMIN_PORTS, NULL, 0));
	assert_true(client_send(fd, 2, ADMIN_WORKERS, NULL, 0));
	wait_until_held();
	provider_state.hold = false;
	assert_true(client_is_served(other)); // and several turns of the loop
	assert_int_equal(provider_state.calls, 2);
	admin_reply_end(provider_state.held, 0);
	provider_state.held = NULL;
	header = client_answer(fd, NULL);
	assert_int_equal(header.id, 1);
	header = client_answer(fd, NULL);
	assert_int_equal(header.id, 2);
	close(fd);
	close(other);
}

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

// The server is closed while a reply is out; stop() ends it afterwards.
static void test_server_that_closes_before_an_answer(void **state)
{
	int fd = client_open();

	(void)state;
	provider_state.hold = true;
	assert_true(client_send(fd, 1, ADMIN_STATUS, NULL, 0));
	wait_until_held();
	admin_server_close(server);
	server = NULL;
	assert_true(client_dropped(fd));
	close(fd);
}

static void test_provider_that_never_answers(void **state)
{
	struct api_header header;
	int fd = client_open();

	(void)state;
	clock_value = uv_now(&loop);
	clock_frozen = true;
	provider_state.hold = true;
	assert_true(client_send(fd, 1, ADMIN_PORTS, NULL, 0));
	wait_until_held();
	provider_state.hold = false;
	clock_value += ADMIN_ANSWER_MS;
	header = client_answer(fd, NULL);
	assert_int_equal(header.id, 1);
	assert_int_equal(header.length, -ETIMEDOUT);
	// The late answer goes nowhere.
	admin_reply_end(provider_state.held, 0);
	provider_state.held = NULL;
	assert_true(client_is_served(fd));
	close(fd);
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

// ---- the socket file ----

static void test_socket_in_use_is_left_alone(void **state)
{
	struct admin_server *second = NULL;
	int fd = client_open();

	(void)state;
	assert_int_equal(admin_server_open(&loop, path, &provider, &second), -EADDRINUSE);
	assert_null(second);
	assert_true(client_is_served(fd));
	close(fd);
	fd = client_open();
	close(fd);
}

static void test_abandoned_socket_is_replaced_other_files_are_not(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct admin_server *other = NULL;
	char name[80];
	struct stat st;

	(void)state;
	snprintf(name, sizeof(name), "%s/old.sock", folder);
	strcpy(address.sun_path, name);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	close(fd);
	assert_int_equal(admin_server_open(&loop, name, &provider, &other), 0);
	admin_server_close(other);
	assert_int_equal(access(name, F_OK), -1);

	snprintf(name, sizeof(name), "%s/file", folder);
	FILE *file = fopen(name, "w");
	assert_non_null(file);
	fclose(file);
	assert_int_equal(admin_server_open(&loop, name, &provider, &other), -EADDRINUSE);
	assert_int_equal(stat(name, &st), 0);
	unlink(name);

	snprintf(name, sizeof(name), "%s/none/x.sock", folder);
	assert_int_equal(admin_server_open(&loop, name, &provider, &other), -ENOENT);
}

static int make_folder(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL || chmod(folder, 0755) < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/control.sock", folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	return rmdir(folder);
}

int main(void)
{
#define SERVED(test) cmocka_unit_test_setup_teardown(test, start, stop)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hello_comes_first_and_once),
		cmocka_unit_test(test_wrong_version_is_told_apart),
		cmocka_unit_test(test_malformed_requests_close),
		cmocka_unit_test(test_changes_need_root_or_our_own_user),
		SERVED(test_status_arrives),
		SERVED(test_lists_of_any_length_end_with_nothing),
		SERVED(test_provider_errors_are_handed_on),
		SERVED(test_drain_and_undrain),
		SERVED(test_reload_and_check),
		SERVED(test_bad_requests_close_only_their_connection),
		SERVED(test_next_request_waits_for_the_answer_to_the_last),
		SERVED(test_client_that_leaves_before_its_answer),
		SERVED(test_server_that_closes_before_an_answer),
		SERVED(test_provider_that_never_answers),
		SERVED(test_peer_that_never_reads_is_dropped),
		SERVED(test_flood_is_dropped),
		SERVED(test_newcomer_takes_the_place_of_the_longest_idle),
		SERVED(test_stranger_may_look_but_not_touch),
		SERVED(test_strangers_cannot_displace_root),
		SERVED(test_socket_in_use_is_left_alone),
		SERVED(test_abandoned_socket_is_replaced_other_files_are_not),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
