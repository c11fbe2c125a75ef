// SPDX-License-Identifier: BSD-3-Clause
// relayctl's verbs against the real admin server, which runs in a child process with a provider
// that plays a relay: draining makes its allocations end one by one.

#include "controlplane/admin/admin.h"
#include "controlplane/relayctl/client.h"
#include "controlplane/relayctl/relayctl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <jansson.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

// ---- the relay that is played ----

enum play {
	PLAY_SERVING,
	PLAY_NO_DATAPLANE,
	PLAY_CANCELLED, // draining is ended by somebody else
};

static enum play play;
static bool draining;
static uint64_t allocations = 3;

static void provide_status(void *context, struct admin_reply *reply)
{
	struct admin_status status = {.name = "played", .state = ADMIN_STATE_SERVING};

	(void)context;
	if (play == PLAY_NO_DATAPLANE)
		status.state = ADMIN_STATE_UNREACHABLE;
	else if (draining)
		status.state = ADMIN_STATE_DRAINING;
	status.drain_left_ms = ADMIN_NO_DEADLINE;
	status.allocations = draining && allocations > 0 ? --allocations : allocations;
	if (play == PLAY_CANCELLED)
		draining = false;
	admin_reply_item(reply, &status, sizeof(status));
	admin_reply_end(reply, 0);
}

static void provide_versions(void *context, struct admin_reply *reply)
{
	struct admin_versions versions = {.controlplane = "7.8.9", .dataplane = "7.8.8"};

	(void)context;
	admin_reply_item(reply, &versions, sizeof(versions));
	admin_reply_end(reply, 0);
}

static void provide_stats(void *context, struct admin_reply *reply)
{
	static uint64_t value;
	struct api_counter counter = {.kind = API_COUNTER_DROP, .name = "checksum"};

	(void)context;
	counter.value = value += 1000;
	for (unsigned i = 0; i < 2000 && play != PLAY_NO_DATAPLANE; i++) {
		counter.worker = (uint16_t)i;
		admin_reply_item(reply, &counter, sizeof(counter));
	}
	admin_reply_end(reply, play == PLAY_NO_DATAPLANE ? -ENOTCONN : 0);
}

static void provide_ports(void *context, struct admin_reply *reply)
{
	struct api_port port = {.name = "ring", .driver = "net_ring", .up = 1};

	(void)context;
	admin_reply_item(reply, &port, sizeof(port));
	admin_reply_end(reply, 0);
}

static void provide_workers(void *context, struct admin_reply *reply)
{
	struct api_worker worker = {.core = 6};

	(void)context;
	admin_reply_item(reply, &worker, sizeof(worker));
	admin_reply_end(reply, 0);
}

static void provide_drain(void *context, const struct api_drain *drain, struct admin_reply *reply)
{
	(void)context;
	draining = drain->on;
	if (drain->on && drain->deadline_ms == 0)
		allocations = 0;
	admin_reply_end(reply, 0);
}

static void provide_reload(void *context, bool check, struct admin_reply *reply)
{
	struct admin_change changes[] = {
		{.outcome = ADMIN_APPLIED, .section = "turn", .key = "user"},
		{.outcome = ADMIN_NEEDS_DATAPLANE, .section = "dataplane", .key = "workers"},
		{.outcome = ADMIN_NEEDS_BOTH, .section = "address", .key = "listen"},
		{.outcome = ADMIN_DATAPLANE_LATER},
	};
	struct admin_change refused = {.outcome = ADMIN_REFUSED,
		.text = "some.conf:7: [turn] quota: \"\x1b\" is no number"};

	(void)context;
	if (play == PLAY_CANCELLED) {
		admin_reply_item(reply, &refused, sizeof(refused));
	} else if (play == PLAY_SERVING) {
		for (unsigned i = 0; i < (check ? 3 : 4); i++)
			admin_reply_item(reply, &changes[i], sizeof(changes[i]));
	}
	admin_reply_end(reply, 0);
}

static void serve(const char *path, int ready)
{
	static const struct admin_provider provider = {
		.status = provide_status,
		.versions = provide_versions,
		.stats = provide_stats,
		.ports = provide_ports,
		.workers = provide_workers,
		.drain = provide_drain,
		.reload = provide_reload,
	};
	struct admin_server *server;
	uv_loop_t loop;

	alarm(60);
	if (uv_loop_init(&loop) < 0 || admin_server_open(&loop, path, &provider, &server) < 0 ||
		write(ready, "r", 1) != 1)
		_exit(1);
	uv_run(&loop, UV_RUN_DEFAULT);
	_exit(2);
}

static char folder[] = "/tmp/test_relayctl.XXXXXX";
static char path[64], output_path[64], error_path[64];
static pid_t child;

static void start(enum play which)
{
	int ready[2];
	char byte;

	play = which;
	assert_int_equal(pipe(ready), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		serve(path, ready[1]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
}

static int stop(void **state)
{
	(void)state;
	if (child > 0) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	child = 0;
	unlink(path);
	return 0;
}

// ---- running a verb with its output in files ----

static char output[16384], errors[4096];

static void read_back(const char *name, char *text, size_t size)
{
	FILE *file = fopen(name, "r");

	assert_non_null(file);
	text[fread(text, 1, size - 1, file)] = 0;
	fclose(file);
}

static int run(int (*verb)(const struct relayctl_options *), struct relayctl_options options)
{
	int kept_output = dup(STDOUT_FILENO), kept_errors = dup(STDERR_FILENO);

	options.socket = path;
	fflush(stdout);
	fflush(stderr);
	assert_non_null(freopen(output_path, "w", stdout));
	assert_non_null(freopen(error_path, "w", stderr));
	int code = verb(&options);
	fflush(stdout);
	fflush(stderr);
	dup2(kept_output, STDOUT_FILENO);
	dup2(kept_errors, STDERR_FILENO);
	close(kept_output);
	close(kept_errors);
	read_back(output_path, output, sizeof(output));
	read_back(error_path, errors, sizeof(errors));
	return code;
}

static void assert_says(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("\"%s\" is not in\n%s", part, text);
}

#define RUN(verb, ...) run(verb, (struct relayctl_options){.delay_s = 0.1, ##__VA_ARGS__})

static void test_reading_verbs(void **state)
{
	(void)state;
	start(PLAY_SERVING);
	assert_int_equal(RUN(relayctl_status), RELAYCTL_OK);
	assert_says(output, "played");
	assert_string_equal(errors, "");
	assert_int_equal(RUN(relayctl_ports), RELAYCTL_OK);
	assert_says(output, "net_ring");
	assert_int_equal(RUN(relayctl_workers), RELAYCTL_OK);
	assert_says(output, "CORE");
	assert_int_equal(RUN(relayctl_version), RELAYCTL_OK);
	assert_says(output, "relay-controlplane  7.8.9\nrelay-dataplane     7.8.8\n");
	// Longer than one datagram: the last of 2000 rows is there.
	assert_int_equal(RUN(relayctl_stats, .json = true), RELAYCTL_OK);
	json_error_t error;
	json_t *object = json_load_file(output_path, 0, &error);
	assert_int_equal(json_array_size(json_object_get(object, "workers")), 2000);
	json_decref(object);
}

static void test_top_measures_rates(void **state)
{
	(void)state;
	start(PLAY_SERVING);
	assert_int_equal(RUN(relayctl_top), RELAYCTL_OK); // one round: this is no terminal
	assert_says(output, "DROP REASON");
	assert_says(output, "checksum");
	assert_int_equal(
		RUN(relayctl_top, .json = true, .has_count = true, .count = 3), RELAYCTL_OK);
	unsigned lines = 0;
	for (const char *c = output; (c = strchr(c, '\n')) != NULL; c++)
		lines++;
	assert_int_equal(lines, 3);
}

static void test_reload(void **state)
{
	(void)state;
	start(PLAY_SERVING);
	assert_int_equal(RUN(relayctl_reload), RELAYCTL_OK);
	assert_string_equal(output,
		"[turn] user          applied\n"
		"[dataplane] workers  needs restart of relay-dataplane\n"
		"[address] listen     needs restart of relay-dataplane and relay-controlplane\n"
		"relay-dataplane is not there: it is told when it connects\n");
	assert_int_equal(RUN(relayctl_reload, .check = true), RELAYCTL_OK);
	assert_says(output, "[turn] user          would be applied\n");
	assert_int_equal(RUN(relayctl_reload, .json = true), RELAYCTL_OK);
	json_error_t error;
	json_t *object = json_load_file(output_path, 0, &error);
	assert_true(json_is_true(json_object_get(object, "ok")));
	assert_true(json_is_true(json_object_get(object, "dataplane_told_later")));
	json_t *changes = json_object_get(object, "changes");
	assert_int_equal(json_array_size(changes), 3);
	json_t *user = json_array_get(changes, 0), *listen = json_array_get(changes, 2);
	assert_string_equal(json_string_value(json_object_get(user, "key")), "user");
	assert_true(json_is_true(json_object_get(user, "applied")));
	assert_true(json_is_false(json_object_get(listen, "applied")));
	assert_int_equal(json_array_size(json_object_get(listen, "needs_restart")), 2);
	json_decref(object);
}

static void test_reload_that_is_refused(void **state)
{
	(void)state;
	start(PLAY_CANCELLED);
	assert_int_equal(RUN(relayctl_reload), RELAYCTL_FAILED);
	assert_string_equal(output, "");
	assert_string_equal(errors, "some.conf:7: [turn] quota: \"?\" is no number\n"
				    "relayctl: reload: refused, nothing has changed\n");
	assert_int_equal(RUN(relayctl_reload, .json = true), RELAYCTL_FAILED);
	assert_says(output, "\"error\": \"some.conf:7: ");
	assert_says(output, "\"ok\": false");
}

static void test_reload_of_nothing_new(void **state)
{
	(void)state;
	start(PLAY_NO_DATAPLANE);
	assert_int_equal(RUN(relayctl_reload), RELAYCTL_OK);
	assert_string_equal(output, "nothing changed\n");
	assert_int_equal(RUN(relayctl_reload, .check = true), RELAYCTL_OK);
	assert_string_equal(output, "nothing to change\n");
}

static void test_drain_waits_for_the_last_allocation(void **state)
{
	(void)state;
	start(PLAY_SERVING);
	assert_int_equal(RUN(relayctl_drain, .wait = true), RELAYCTL_OK);
	assert_says(output, "until they end\ndrained: no allocation is left\n");
	assert_int_equal(RUN(relayctl_undrain), RELAYCTL_OK);
	assert_says(output, "serving");
	assert_int_equal(RUN(relayctl_status), RELAYCTL_OK);
	assert_says(output, "state           serving");
}

static void test_drain_at_once(void **state)
{
	(void)state;
	start(PLAY_SERVING);
	assert_int_equal(
		RUN(relayctl_drain, .has_deadline = true, .wait = true, .json = true), RELAYCTL_OK);
	assert_string_equal(output, "{\"draining\":true,\"drained\":true}\n");
}

static void test_drain_that_somebody_ends(void **state)
{
	(void)state;
	start(PLAY_CANCELLED);
	assert_int_equal(RUN(relayctl_drain, .wait = true), RELAYCTL_FAILED);
	assert_says(errors, "somebody ended the draining");
}

static void test_without_a_dataplane(void **state)
{
	(void)state;
	start(PLAY_NO_DATAPLANE);
	assert_int_equal(RUN(relayctl_status), RELAYCTL_FAILED);
	assert_says(output, "dataplane unreachable");
	assert_int_equal(RUN(relayctl_stats), RELAYCTL_FAILED);
	assert_says(errors, "is relay-dataplane running");
	assert_int_equal(RUN(relayctl_top), RELAYCTL_FAILED);
}

static void test_without_a_control_plane(void **state)
{
	(void)state;
	assert_int_equal(RUN(relayctl_status), RELAYCTL_UNREACHABLE);
	assert_says(errors, "no socket at ");
	assert_says(errors, "is relay-controlplane running");
	assert_int_equal(RUN(relayctl_version), RELAYCTL_OK);
	assert_says(output, "not reachable");

	start(PLAY_SERVING);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	child = 0;
	assert_int_equal(RUN(relayctl_drain), RELAYCTL_UNREACHABLE);
	assert_says(errors, "nobody listens at ");
}

// ---- answers that no control plane gives ----

// Accepts one connection, answers the hello rightly and the next request with these bytes.
static void answer_with(const void *answer, size_t length)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	strcpy(address.sun_path, path);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	child = fork();
	assert_true(child >= 0);
	if (child > 0) {
		close(listener);
		return;
	}
	alarm(30);
	struct {
		struct api_header header;
		struct admin_hello_answer hello;
	} greeting = {{1, ADMIN_HELLO, sizeof(greeting.hello)}, {.version = ADMIN_VERSION}};
	uint8_t request[ADMIN_REQUEST_MAX];
	int fd = accept(listener, NULL, NULL);
	bool ok = recv(fd, request, sizeof(request), 0) > 0 &&
		  send(fd, &greeting, sizeof(greeting), 0) > 0 &&
		  recv(fd, request, sizeof(request), 0) > 0 && send(fd, answer, length, 0) >= 0;
	_exit(ok ? 0 : 1);
}

static void test_nonsense_is_no_answer(void **state)
{
	static const struct {
		const char *what;
		struct api_header header;
		size_t length;
		int code;
		const char *error;
	} cases[] = {
		{"short header", {2, ADMIN_STATUS, 0}, 8, RELAYCTL_FAILED, "Protocol error"},
		{"other id", {3, ADMIN_STATUS, 0}, 12, RELAYCTL_FAILED, "Protocol error"},
		{"other type", {2, ADMIN_STATS, 0}, 12, RELAYCTL_FAILED, "Protocol error"},
		{"no payload", {2, ADMIN_STATUS, 0}, 12, RELAYCTL_FAILED, "Protocol error"},
		{"longer than it is", {2, ADMIN_STATUS, sizeof(struct admin_status)}, 12,
			RELAYCTL_FAILED, "Protocol error"},
		{"refusal", {2, ADMIN_STATUS, -EPERM}, 12, RELAYCTL_FAILED, "only root"},
		{"timeout", {2, ADMIN_STATUS, -ETIMEDOUT}, 12, RELAYCTL_FAILED,
			"no answer in time"},
		{"end", {0}, 0, RELAYCTL_UNREACHABLE, "closed the connection"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		answer_with(&cases[i].header, cases[i].length);
		int code = RUN(relayctl_status);
		if (code != cases[i].code || strstr(errors, cases[i].error) == NULL)
			fail_msg("%s: %d, %s", cases[i].what, code, errors);
		stop(state);
	}
}

static int make_folder(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/control.sock", folder);
	snprintf(output_path, sizeof(output_path), "%s/output", folder);
	snprintf(error_path, sizeof(error_path), "%s/errors", folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	unlink(output_path);
	unlink(error_path);
	return rmdir(folder);
}

int main(void)
{
#define PLAYED(test) cmocka_unit_test_teardown(test, stop)
	const struct CMUnitTest tests[] = {
		PLAYED(test_reading_verbs),
		PLAYED(test_top_measures_rates),
		PLAYED(test_reload),
		PLAYED(test_reload_that_is_refused),
		PLAYED(test_reload_of_nothing_new),
		PLAYED(test_drain_waits_for_the_last_allocation),
		PLAYED(test_drain_at_once),
		PLAYED(test_drain_that_somebody_ends),
		PLAYED(test_without_a_dataplane),
		PLAYED(test_without_a_control_plane),
		PLAYED(test_nonsense_is_no_answer),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
