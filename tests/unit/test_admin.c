// SPDX-License-Identifier: BSD-3-Clause
// The admin socket: what requests are let through, what is answered and in which order, and whose
// the socket's file is.
// wrap: uv_now

#include "tests/unit/admin_bench.h"

// ---- requests ----

static enum admin_verdict judge(struct admin_session *session, uint32_t id, uint32_t type,
	const void *payload, uint32_t size, int *error)
{
	struct request r = request_make(id, type, payload, size);
	struct admin_request out;

	return admin_session_judge(
		session, (const uint8_t *)&r, sizeof(r.header) + api_padded(size), &out, error);
}

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

// ---- clients ----

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
		SERVED(test_server_that_closes_before_an_answer),
		SERVED(test_provider_that_never_answers),
		SERVED(test_socket_in_use_is_left_alone),
		SERVED(test_abandoned_socket_is_replaced_other_files_are_not),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
