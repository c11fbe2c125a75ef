// SPDX-License-Identifier: BSD-3-Clause
// DPDK's environment; see eal.h.

#include "dataplane/eal.h"

#include <rte_cpuflags.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>

#include <ctype.h>
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	ARGUMENTS_MAX = 64,
	ARGUMENT_SIZE = 64,
	HUGEPAGE_MIB = 2,
	LCORES_TEXT = 64 * 12 + 16,
};

#define HUGEPAGES_FREE "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"

// DPDK writes its log here. It is never shown while all goes well, and nothing in it is about a
// packet: the drivers speak of devices only.
static FILE *words;
static char *words_text;
static size_t words_size;

static void words_open(void)
{
	words = open_memstream(&words_text, &words_size);
	if (words)
		rte_openlog_stream(words);
}

void eal_last_words(char *out, size_t size)
{
	out[0] = '\0';
	if (!words || fflush(words) != 0)
		return;
	size_t from = words_size > size - 1 ? words_size - (size - 1) : 0;
	size_t length = 0;
	for (size_t i = from; i < words_size; i++) {
		char c = words_text[i];
		if (c == '\n')
			c = ';';
		if (isprint((unsigned char)c))
			out[length++] = c;
	}
	while (length && (out[length - 1] == ';' || out[length - 1] == ' '))
		length--;
	out[length] = '\0';
	rewind(words);
}

static long read_number(const char *path)
{
	FILE *file = fopen(path, "re");
	long number = 0;
	if (!file)
		return 0;
	if (fscanf(file, "%ld", &number) != 1)
		number = 0;
	fclose(file);
	return number;
}

static int choose_hugepages(
	const struct config *config, struct eal *eal, char error[static EAL_ERROR_SIZE])
{
	long free_mib = read_number(HUGEPAGES_FREE) * HUGEPAGE_MIB;
	bool enough = free_mib >= (long)config->dataplane.memory;
	if (config->dataplane.hugepages == CONFIG_HUGEPAGES_YES && !enough) {
		snprintf(error, EAL_ERROR_SIZE,
			"hugepages = yes, but only %ld MiB of 2 MiB pages are free and memory = "
			"%u; "
			"reserve them with \"sysctl vm.nr_hugepages=%u\", or set hugepages = auto",
			free_mib, config->dataplane.memory,
			config->dataplane.memory / HUGEPAGE_MIB);
		return -ENOMEM;
	}
	eal->hugepages = config->dataplane.hugepages != CONFIG_HUGEPAGES_NO && enough;
	return 0;
}

// The CPUs this process may use, in order. Returns how many were written to cpus.
static unsigned allowed_cpus(unsigned *cpus, unsigned max)
{
	cpu_set_t set;
	unsigned count = 0;
	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return 0;
	for (unsigned cpu = 0; cpu < CPU_SETSIZE && count < max; cpu++)
		if (CPU_ISSET(cpu, &set))
			cpus[count++] = cpu;
	return count;
}

// Main on the first CPU, workers on the following, and again from the first where there are fewer
// CPUs than lcores: main, which sleeps most of the time, is the best neighbour for a worker.
static int choose_cores(
	const struct config *config, struct eal *eal, char error[static EAL_ERROR_SIZE])
{
	unsigned allowed[CPU_SETSIZE], cores[CONFIG_CORES_MAX];
	unsigned allowed_count = allowed_cpus(allowed, CPU_SETSIZE);
	unsigned count = config->dataplane.core_count;
	if (count == 0) {
		count = allowed_count < CONFIG_CORES_MAX ? allowed_count : CONFIG_CORES_MAX;
		memcpy(cores, allowed, count * sizeof(*cores));
	} else {
		memcpy(cores, config->dataplane.cores, count * sizeof(*cores));
		for (unsigned i = 0; i < count; i++) {
			unsigned j = 0;
			while (j < allowed_count && allowed[j] != cores[i])
				j++;
			if (j == allowed_count) {
				snprintf(error, EAL_ERROR_SIZE,
					"core %u of \"cores\" is not available to this process; "
					"see the list in /proc/self/status, Cpus_allowed_list",
					cores[i]);
				return -EINVAL;
			}
		}
	}
	if (count == 0) {
		snprintf(error, EAL_ERROR_SIZE, "no CPU is available to this process");
		return -EINVAL;
	}
	unsigned workers = config->dataplane.workers;
	eal->main_core = cores[0];
	for (unsigned i = 0; i < workers; i++) {
		eal->worker_cores[i] = cores[(i + 1) % count];
		eal->worker_lcores[i] = i + 1;
	}
	eal->shared_cores = workers + 1 > count;
	return 0;
}

struct arguments {
	int count;
	char text[ARGUMENTS_MAX][ARGUMENT_SIZE];
	char lcores[LCORES_TEXT];
	char *argv[ARGUMENTS_MAX + 1];
};

static char *argument(struct arguments *arguments, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static char *argument(struct arguments *arguments, const char *format, ...)
{
	char *text = arguments->text[arguments->count];
	va_list list;
	va_start(list, format);
	vsnprintf(text, ARGUMENT_SIZE, format, list);
	va_end(list);
	arguments->argv[arguments->count++] = text;
	return text;
}

static void arguments_lcores(struct arguments *arguments, const struct eal *eal, unsigned workers)
{
	int length = snprintf(arguments->lcores, LCORES_TEXT, "--lcores=0@%u", eal->main_core);
	for (unsigned i = 0; i < workers; i++)
		length += snprintf(arguments->lcores + length, LCORES_TEXT - (size_t)length,
			",%u@%u", eal->worker_lcores[i], eal->worker_cores[i]);
	arguments->argv[arguments->count++] = arguments->lcores;
}

static void arguments_build(
	struct arguments *arguments, const struct config *config, const struct eal *eal)
{
	argument(arguments, "relay-dataplane");
	arguments_lcores(arguments, eal, config->dataplane.workers);
	argument(arguments, "--main-lcore=0");
	argument(arguments, "--no-telemetry");
	argument(arguments, "-m%u", config->dataplane.memory);
	// Both keep everything in anonymous memory; EAL does not take --in-memory and --no-huge
	// together.
	if (eal->hugepages) {
		argument(arguments, "--in-memory");
	} else {
		argument(arguments, "--no-huge");
		argument(arguments, "--no-shconf");
	}
	bool pci = false;
	for (unsigned i = 0; i < config->dataplane.port_count; i++)
		if (config->dataplane.ports[i].type == CONFIG_PORT_PCI) {
			pci = true;
			argument(arguments, "-a%.32s", config->dataplane.ports[i].target);
		}
	// Virtual addresses keep the packet pool in one piece, which AF_XDP needs of its memory. A
	// NIC behind UIO needs physical ones, so with one of those DPDK chooses.
	if (!pci) {
		argument(arguments, "--no-pci");
		argument(arguments, "--iova-mode=va");
	}
	arguments->argv[arguments->count] = NULL;
}

int eal_start(const struct config *config, struct eal *eal, char error[static EAL_ERROR_SIZE])
{
	memset(eal, 0, sizeof(*eal));
#ifdef __AES__
	if (rte_cpu_get_flag_enabled(RTE_CPUFLAG_AES) != 1) {
		snprintf(error, EAL_ERROR_SIZE,
			"this CPU has no AES instructions, which this build's tables hash with; "
			"expected an x86-64 CPU with AES-NI");
		return -ENOTSUP;
	}
#endif
	int result = choose_hugepages(config, eal, error);
	if (result == 0)
		result = choose_cores(config, eal, error);
	if (result)
		return result;

	// EAL keeps pointers into its arguments, so they live as long as the process.
	static struct arguments storage;
	struct arguments *arguments = &storage;
	arguments_build(arguments, config, eal);
	words_open();
	if (!words)
		return -ENOMEM;
	if (rte_eal_init(arguments->count, arguments->argv) < 0) {
		char why[512];
		eal_last_words(why, sizeof(why));
		snprintf(error, EAL_ERROR_SIZE,
			"DPDK did not start with %u MiB of %s: %s; lower [dataplane] memory, or "
			"free "
			"memory. DPDK's last words: %s",
			config->dataplane.memory, eal->hugepages ? "hugepages" : "ordinary memory",
			rte_strerror(rte_errno), why);
		return rte_errno > 0 ? -rte_errno : -EIO;
	}
	rewind(words);
	return 0;
}

void eal_stop(void)
{
	// rte_eal_cleanup would unmap memory under DPDK's interrupt thread, which may be looking at
	// its list of sources there at that moment. All devices are closed by now, nothing of ours
	// is in a file, and what memory holds ends with the process.
	rte_openlog_stream(NULL);
	if (words)
		fclose(words);
	free(words_text);
	words = NULL;
	words_text = NULL;
}
