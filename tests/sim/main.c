// SPDX-License-Identifier: BSD-3-Clause
// sim [--seed N] [--clients N] [--follow CLIENT] [--quiet]: one run from one seed. Prints what
// happened and a digest over all of it; 1 when an invariant did not hold.
#include "tests/sim/clock.h"
#include "tests/sim/control.h"
#include "tests/sim/dice.h"
#include "tests/sim/relay.h"
#include "tests/sim/scenario.h"
#include "tests/sim/sim.h"
#include "tests/sim/trace.h"

#include <sodium.h>

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_PRINTED = 80 };

struct sim_options sim_options = {.seed = 1, .clients = 1000, .follow = SIM_NOBODY};
struct sim_phase sim_phase;
uint64_t sim_counts[SIM_COUNT_COUNT];

#define COUNT_NAME(name) #name,
const char *const sim_count_names[SIM_COUNT_COUNT] = {SIM_COUNTS(COUNT_NAME)};

void sim_fail(unsigned client, unsigned other, const char *format, ...)
{
	va_list arguments;
	printf("seed %llu, %u clients: FAILED after %.6f s, %s: ",
		(unsigned long long)sim_options.seed, sim_options.clients,
		(double)clock_now() / CLOCK_S, sim_phase.name ? sim_phase.name : "start");
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\nthe last that concerned ");
	if (client == SIM_NOBODY)
		printf("anybody:\n");
	else if (other == SIM_NOBODY)
		printf("client %u:\n", client);
	else
		printf("clients %u and %u:\n", client, other);
	trace_print(client, other, EVENTS_PRINTED);
	printf("make sim SEED=%llu CLIENTS=%u\n", (unsigned long long)sim_options.seed,
		sim_options.clients);
	fflush(stdout);
	_exit(1);
}

static void usage(void)
{
	fprintf(stderr, "usage: sim [--seed N] [--clients N] [--follow CLIENT] [--quiet]\n");
	exit(2);
}

static void read_options(int count, char **arguments)
{
	static const struct option options[] = {
		{"seed", required_argument, NULL, 's'},
		{"clients", required_argument, NULL, 'c'},
		{"follow", required_argument, NULL, 'f'},
		{"quiet", no_argument, NULL, 'q'},
		{0},
	};
	int option;
	while ((option = getopt_long(count, arguments, "", options, NULL)) != -1) {
		if (option == 's')
			sim_options.seed = strtoull(optarg, NULL, 0);
		else if (option == 'c')
			sim_options.clients = (unsigned)strtoul(optarg, NULL, 0);
		else if (option == 'f')
			sim_options.follow = (unsigned)strtoul(optarg, NULL, 0);
		else if (option == 'q')
			sim_options.quiet = true;
		else
			usage();
	}
	if (optind != count || sim_options.clients == 0 || sim_options.clients > SIM_CLIENTS_MAX)
		usage();
}

int main(int count, char **arguments)
{
	struct timespec begin, end;
	read_options(count, arguments);
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	dice_replace_libsodium(sim_options.seed);
	if (sodium_init() < 0)
		abort();
	scenario_run();
	clock_gettime(CLOCK_MONOTONIC, &end);
	double took =
		(double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
	printf("seed %llu, %u clients: %.0f s of virtual time in %.1f s, %llu events, digest "
	       "%016llx\n",
		(unsigned long long)sim_options.seed, sim_options.clients,
		(double)clock_now() / CLOCK_S, took, (unsigned long long)trace_count(),
		(unsigned long long)trace_digest());
	if (sim_options.quiet)
		return 0;
	for (unsigned i = 0; i < SIM_COUNT_COUNT; i++)
		printf("  %-18s%10llu%s", sim_count_names[i], (unsigned long long)sim_counts[i],
			i % 3 == 2 || i + 1 == SIM_COUNT_COUNT ? "\n" : "");
	relay_print_stats();
	control_print_stats();
	return 0;
}
