// SPDX-License-Identifier: BSD-3-Clause
// relay-controlplane: options, configuration, sandbox, signals, and the event loop's life. Logs to
// stderr what happens to the program itself, and nothing that a client does.
#include "controlplane/node.h"
#include "controlplane/sandbox.h"
#include "lib/config/config.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

enum {
	EXIT_USAGE = 2,
	// A service manager is told that we are ready without a dataplane after this long: starting
	// must not hang on it, and relayctl tells what is missing.
	READY_ANYWAY_MS = 5000,
};

static struct {
	struct node node;
	uv_loop_t loop;
	uv_signal_t terminate, interrupt, reload;
	uv_timer_t ready_anyway;
	bool stopping, ready, told_waiting;
	const char *last_trouble;
} program;

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	fputs("relay-controlplane: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
}

static void usage(FILE *out)
{
	fputs("usage: relay-controlplane -c FILE\n"
	      "  -c, --config FILE  the configuration, shared with relay-dataplane\n"
	      "  -h, --help         this text\n"
	      "  -V, --version      print the version\n",
		out);
}

// ---- telling ----

static void tell_waiting(void)
{
	const char *trouble = node_trouble(&program.node);
	if (trouble == program.last_trouble)
		return;
	program.last_trouble = trouble;
	say("waiting for the dataplane: %s", trouble);
	sd_notifyf(0, "STATUS=waiting for the dataplane: %s", trouble);
}

static void on_news(struct node *node, enum node_news news)
{
	if (program.stopping)
		return;
	struct routes_mirror_counts counts;
	switch (news) {
	case NODE_WAITING:
		tell_waiting();
		break;
	case NODE_CONNECTED:
		program.last_trouble = NULL;
		say("connected to relay-dataplane %s: %u workers, %u ports%s",
			node->hello.program_version, node->hello.workers, node->hello.ports,
			node->hello.draining ? ", draining" : "");
		break;
	case NODE_DATAPLANE_RESTARTED:
		say("the dataplane was restarted: earlier allocations are gone");
		break;
	case NODE_SERVING:
		routes_count(node->routes, &counts);
		say("serving; mirrored %zu links, %zu routes, %zu neighbours", counts.links,
			counts.prefixes, counts.neighbours);
		sd_notifyf(0, "%sSTATUS=serving", program.ready ? "" : "READY=1\n");
		program.ready = true;
		break;
	}
}

// "label: [turn] user, [peers] deny" of the changes that need this restart.
static void list_changes(char *text, size_t size, const struct reload_report *report,
	const char *label, unsigned restart)
{
	size_t length = strlen(text);
	bool first = true;
	for (unsigned i = 0; i < report->count && length < size; i++) {
		const struct reload_change *change = &report->changes[i];
		if (change->restart != restart)
			continue;
		length += (size_t)snprintf(text + length, size - length, "%s[%s] %s",
			first ? label : ", ", config_key_section(change->key),
			config_key_name(change->key));
		first = false;
	}
}

static void on_reloaded(struct node *node, const struct reload_report *report)
{
	(void)node;
	if (program.stopping)
		return;
	char text[2048] = "";
	list_changes(text, sizeof(text), report, "; applied: ", 0);
	list_changes(text, sizeof(text), report,
		"; needs restart of relay-dataplane: ", CONFIG_RESTART_DATAPLANE);
	list_changes(text, sizeof(text), report,
		"; needs restart of relay-controlplane: ", CONFIG_RESTART_CONTROLPLANE);
	list_changes(text, sizeof(text), report, "; needs restart of both: ",
		CONFIG_RESTART_DATAPLANE | CONFIG_RESTART_CONTROLPLANE);
	if (report->error[0])
		say("configuration not reloaded, nothing has changed: %s", report->error);
	else
		say("configuration reloaded%s", report->count ? text : "; nothing changed");
	if (program.ready)
		sd_notify(0, "READY=1");
}

static void on_ready_anyway(uv_timer_t *timer)
{
	(void)timer;
	if (program.ready || program.stopping)
		return;
	tell_waiting();
	sd_notify(0, "READY=1");
	program.ready = true;
}

// ---- signals ----

static void stop(void)
{
	if (program.stopping)
		return;
	program.stopping = true;
	sd_notify(0, "STOPPING=1");
	node_stop(&program.node);
	uv_close((uv_handle_t *)&program.terminate, NULL);
	uv_close((uv_handle_t *)&program.interrupt, NULL);
	uv_close((uv_handle_t *)&program.reload, NULL);
	uv_close((uv_handle_t *)&program.ready_anyway, NULL);
}

static void on_stop_signal(uv_signal_t *handle, int number)
{
	(void)handle;
	say("%s: stopping; live allocations go on in the dataplane", strsignal(number));
	stop();
}

static void on_reload_signal(uv_signal_t *handle, int number)
{
	(void)handle;
	(void)number;
	if (program.stopping || !program.node.core)
		return;
	// uv_hrtime is CLOCK_MONOTONIC.
	if (program.ready)
		sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
			(unsigned long long)(uv_hrtime() / 1000));
	node_reload(&program.node, false, NULL, NULL);
}

static void watch_signals(void)
{
	signal(SIGPIPE, SIG_IGN);
	uv_signal_init(&program.loop, &program.terminate);
	uv_signal_init(&program.loop, &program.interrupt);
	uv_signal_init(&program.loop, &program.reload);
	uv_signal_start(&program.terminate, on_stop_signal, SIGTERM);
	uv_signal_start(&program.interrupt, on_stop_signal, SIGINT);
	uv_signal_start(&program.reload, on_reload_signal, SIGHUP);
	uv_timer_init(&program.loop, &program.ready_anyway);
	uv_timer_start(&program.ready_anyway, on_ready_anyway, READY_ANYWAY_MS, 0);
}

// ---- start ----

static void confine(void)
{
	int rc = sandbox_drop_capabilities();
	if (rc == -EPERM)
		say("no CAP_NET_ADMIN: the kernel cannot be asked to resolve neighbours; run as "
		    "root, or give the capability");
	else if (rc)
		say("capabilities could not be dropped: %s", strerror(-rc));
	rc = sandbox_restrict_calls();
	if (rc)
		say("system calls could not be restricted: %s", strerror(-rc));
}

static int start(void)
{
	const struct config *config = program.node.config;
	// The first of both programs to start makes it; a service manager has done so before.
	if (mkdir(config->node.run, 0755) && errno != EEXIST)
		say("cannot make %s ([node] run): %s", config->node.run, strerror(errno));
	program.node.news = on_news;
	program.node.reloaded = on_reloaded;
	const char *what = "";
	int rc = node_start(&program.node, &program.loop, &what);
	if (rc == -EADDRINUSE && !program.node.start_error[0])
		say("cannot open %s in %s: another relay-controlplane is running there; stop it or "
		    "set [node] run",
			what, config->node.run);
	else if (rc && program.node.start_error[0])
		say("%s", program.node.start_error);
	else if (rc)
		say("cannot open %s ([node] run = %s): %s", what, config->node.run, strerror(-rc));
	if (!rc && program.node.key_trouble[0] && config->registration.enabled)
		say("serving TURN only, no registrations: %s", program.node.key_trouble);
	return rc;
}

static int run(void)
{
	int rc = uv_loop_init(&program.loop);
	if (rc) {
		say("cannot make an event loop: %s", uv_strerror(rc));
		return EXIT_FAILURE;
	}
	watch_signals();
	rc = start();
	if (rc)
		stop();
	else
		confine();
	uv_run(&program.loop, UV_RUN_DEFAULT);
	uv_loop_close(&program.loop);
	return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}

static const char *parse_options(int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
		{"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'}, {0}};
	const char *file = NULL;
	int option;
	while ((option = getopt_long(argc, argv, "c:hV", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			file = optarg;
			break;
		case 'h':
			usage(stdout);
			exit(EXIT_SUCCESS);
		case 'V':
			puts("relay-controlplane " VERSION);
			exit(EXIT_SUCCESS);
		default:
			usage(stderr);
			exit(EXIT_USAGE);
		}
	}
	if (!file || optind != argc) {
		usage(stderr);
		exit(EXIT_USAGE);
	}
	return file;
}

int main(int argc, char **argv)
{
	const char *file = parse_options(argc, argv);
	sandbox_hide_memory();
	// The loop's pool commits tokens and nothing else; a thread is started when it is first
	// used.
	setenv("UV_THREADPOOL_SIZE", "1", 1);
	// The kernel's generator costs a system call a number; this one takes a key from it.
	randombytes_set_implementation(&randombytes_internal_implementation);
	if (sodium_init() < 0) {
		say("libsodium cannot start");
		return EXIT_FAILURE;
	}
	char error[CONFIG_ERROR_SIZE];
	if (config_load(file, &program.node.config, error)) {
		say("%s", error);
		return EXIT_FAILURE;
	}
	program.node.reload.file = file;
	int result = run();
	node_free(&program.node);
	return result;
}
