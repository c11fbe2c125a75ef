// SPDX-License-Identifier: BSD-3-Clause
// relay-dataplane: reads the configuration, brings up DPDK, ports, tables and workers, serves until
// it is told to stop, and takes everything down in the reverse order. Prints
// about the start, the end and what is wrong, never about a packet.

#include "dataplane/dataplane.h"
#include "dataplane/eal.h"
#include "dataplane/sandbox.h"
#include "dataplane/serve.h"
#include "lib/config/config.h"

#include <systemd/sd-daemon.h>

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum exit_code {
	EXIT_CLEAN = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
};

enum { INTERRUPTED = 1 };

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
	va_list list;
	fputs("relay-dataplane: ", stderr);
	va_start(list, format);
	vfprintf(stderr, format, list);
	va_end(list);
	fputc('\n', stderr);
}

static void usage(FILE *out)
{
	fputs("usage: relay-dataplane -c FILE\n"
	      "\n"
	      "  -c, --config FILE  configuration (see relay-dataplane(8))\n"
	      "      --in-memory    keep nothing in files; always so, accepted for clarity\n"
	      "  -h, --help         this text\n"
	      "  -V, --version      version\n",
		out);
}

// Returns the configuration's path; NULL: end with *code.
static const char *parse_arguments(int argc, char **argv, int *code)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"in-memory", no_argument, NULL, 'm'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{0},
	};
	const char *file = NULL;
	int option;
	*code = EXIT_USAGE;
	while ((option = getopt_long(argc, argv, "c:hV", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			file = optarg;
			break;
		case 'm':
			break;
		case 'h':
			usage(stdout);
			*code = EXIT_CLEAN;
			return NULL;
		case 'V':
			puts("relay-dataplane " VERSION);
			*code = EXIT_CLEAN;
			return NULL;
		default:
			usage(stderr);
			return NULL;
		}
	}
	if (optind < argc) {
		say("\"%s\" is not expected here", argv[optind]);
		usage(stderr);
		return NULL;
	}
	if (!file) {
		say("no configuration; expected -c FILE");
		usage(stderr);
	}
	return file;
}

// The dataplane checks the whole file, as every program does, and keeps none of its credentials.
static void forget_secrets(struct config *config)
{
	explicit_bzero(config->turn.secrets, sizeof(config->turn.secrets));
	if (config->turn.users)
		explicit_bzero(
			config->turn.users, config->turn.user_count * sizeof(*config->turn.users));
}

struct program {
	struct config *config;
	struct eal eal;
	struct dataplane *dataplane;
	struct serve serve;
	char error[DATAPLANE_ERROR_SIZE];
};

static void say_what_is_served(const struct program *program)
{
	const struct config *config = program->config;
	const struct dataplane *dataplane = program->dataplane;
	for (unsigned p = 0; p < dataplane->port_count; p++) {
		const struct port *port = &dataplane->ports[p];
		say("port %s: %u queue%s, kernel interface %s", port->name, port->queues,
			port->queues == 1 ? "" : "s", port->kernel_interface);
	}
	say("serving UDP port %u, relayed ports %u-%u, %u worker%s, up to %u allocations each, %s",
		config->address.port, config->address.relay_first, config->address.relay_last,
		config->dataplane.workers, config->dataplane.workers == 1 ? "" : "s",
		config->dataplane.allocations, dataplane->hugepages ? "hugepages" : "no hugepages");
}

static void warn(const struct program *program)
{
	if (program->eal.shared_cores && program->config->dataplane.idle == CONFIG_IDLE_POLL)
		say("there are fewer CPUs than the %u workers and the main thread need, and "
		    "workers that poll share them; add cores, or set [dataplane] idle = sleep",
			program->config->dataplane.workers);
	int result = sandbox_memory();
	if (result)
		say("memory is not locked (%s): the kernel may swap tables out; raise "
		    "RLIMIT_MEMLOCK or grant CAP_IPC_LOCK",
			strerror(-result));
}

// 0, INTERRUPTED, or -errno with a message in program->error.
static int start(struct program *program)
{
	struct dataplane *dataplane = program->dataplane;
	const char *missing = sandbox_missing();
	if (missing) {
		snprintf(program->error, sizeof(program->error),
			"no permission to bring up ports: %s is missing; run as root (in a "
			"container: "
			"with CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF, CAP_SYS_ADMIN, and "
			"CAP_IPC_LOCK)",
			missing);
		return -EPERM;
	}
	int result = socket_claim(&program->serve.api, program->config, program->error);
	if (result == 0)
		result = eal_start(program->config, &program->eal, program->error);
	if (result)
		return result;
	if (serve_interrupted(&program->serve))
		return INTERRUPTED;
	result = dataplane_open(dataplane, program->config, &program->eal, program->error);
	if (result == 0)
		result = serve_exceptions(&program->serve, program->error);
	if (result)
		return result;
	if (serve_interrupted(&program->serve))
		return INTERRUPTED;
	warn(program);
	result = dataplane_launch(dataplane, program->error);
	if (result == 0)
		result = socket_listen(&program->serve.api, program->error);
	if (result)
		return result;
	result = sandbox_enter();
	if (result)
		snprintf(program->error, sizeof(program->error),
			"entering the sandbox (seccomp): %s", strerror(-result));
	return result;
}

static int run(struct program *program)
{
	int result = start(program);
	if (result < 0)
		say("%s", program->error[0] ? program->error : strerror(-result));
	if (result == 0) {
		say_what_is_served(program);
		sd_notify(0, "READY=1");
		serve_run(&program->serve);
	}
	if (result >= 0) {
		sd_notify(0, "STOPPING=1");
		say("stopping");
	}
	dataplane_stop(program->dataplane);
	serve_close(&program->serve);
	dataplane_close(program->dataplane);
	eal_stop();
	return result < 0 ? EXIT_FAILED : EXIT_CLEAN;
}

int main(int argc, char **argv)
{
	int code;
	static struct program program;
	const char *file = parse_arguments(argc, argv, &code);
	if (!file)
		return code;
	sandbox_begin();
	char error[CONFIG_ERROR_SIZE] = "";
	if (config_load(file, &program.config, error) != 0) {
		say("%s", error);
		return EXIT_FAILED;
	}
	forget_secrets(program.config);
	program.dataplane = calloc(1, sizeof(*program.dataplane));
	int result = program.dataplane ? serve_open(&program.serve, program.dataplane) : -ENOMEM;
	if (result) {
		say("%s", strerror(-result));
		return EXIT_FAILED;
	}
	code = run(&program);
	free(program.dataplane);
	config_free(program.config);
	return code;
}
