// SPDX-License-Identifier: BSD-3-Clause
// sim-calls [--seed N] [--pairs N] [--follow USER] [--quiet]: one run from one seed. Prints what
// happened and a digest over all of it; 1 when something that must hold did not.
#include "tests/sim/calls.h"

#include "tests/sim/clock.h"
#include "tests/sim/trace.h"

#include <sodium.h>

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { EVENTS_PRINTED = 60 };

struct sim_options sim_options = {.seed = 1, .follow = SIM_NOBODY};
struct calls_options calls_options = {.pairs = 4};
struct sim_phase sim_phase;
uint64_t calls_counts[CALLS_COUNT_COUNT];

#define COUNT_NAME(name) #name,
static const char *const count_names[CALLS_COUNT_COUNT] = {CALLS_COUNTS(COUNT_NAME)};

void sim_fail(unsigned client, unsigned other, const char *format, ...)
{
	va_list arguments;
	printf("seed %llu, %u pairs: FAILED after %.6f s, %s: ",
		(unsigned long long)sim_options.seed, calls_options.pairs,
		(double)clock_now() / CLOCK_S, sim_phase.name ? sim_phase.name : "start");
	if (client != SIM_NOBODY)
		printf("user %u: ", client);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\nthe last that concerned them:\n");
	trace_print(client, other, EVENTS_PRINTED);
	printf("make sim-calls SEED=%llu PAIRS=%u\n", (unsigned long long)sim_options.seed,
		calls_options.pairs);
	fflush(stdout);
	_exit(1);
}

static void usage(void)
{
	fprintf(stderr, "usage: sim-calls [--seed N] [--pairs N] [--follow USER] [--quiet]\n");
	exit(2);
}

static void read_options(int count, char **arguments)
{
	static const struct option options[] = {
		{"seed", required_argument, NULL, 's'},
		{"pairs", required_argument, NULL, 'p'},
		{"follow", required_argument, NULL, 'f'},
		{"quiet", no_argument, NULL, 'q'},
		{0},
	};
	int option;
	while ((option = getopt_long(count, arguments, "", options, NULL)) != -1) {
		if (option == 's')
			sim_options.seed = strtoull(optarg, NULL, 0);
		else if (option == 'p')
			calls_options.pairs = (unsigned)strtoul(optarg, NULL, 0);
		else if (option == 'f')
			sim_options.follow = (unsigned)strtoul(optarg, NULL, 0);
		else if (option == 'q')
			sim_options.quiet = true;
		else
			usage();
	}
	if (optind != count || calls_options.pairs == 0 || calls_options.pairs > CALLS_PAIRS_MAX)
		usage();
}

int main(int count, char **arguments)
{
	read_options(count, arguments);
	setvbuf(stdout, NULL, _IOLBF, 1 << 12);
	dice_replace_libsodium(sim_options.seed);
	if (sodium_init() < 0)
		abort();
	calls_run();
	printf("seed %llu, %u pairs: %.0f s of virtual time, %llu events, digest %016llx\n",
		(unsigned long long)sim_options.seed, calls_options.pairs,
		(double)clock_now() / CLOCK_S, (unsigned long long)trace_count(),
		(unsigned long long)trace_digest());
	if (sim_options.quiet)
		return 0;
	for (unsigned i = 0; i < CALLS_COUNT_COUNT; i++)
		printf("  %-18s%10llu%s", count_names[i], (unsigned long long)calls_counts[i],
			i % 3 == 2 || i + 1 == CALLS_COUNT_COUNT ? "\n" : "");
	return 0;
}
