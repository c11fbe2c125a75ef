// SPDX-License-Identifier: BSD-3-Clause
// DPDK for unit tests: no hugepages, no devices, nothing on disk. Once per program.
#pragma once

#include <rte_eal.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>

#include <stdlib.h>

static inline void dpdk_env_start(void)
{
	char *arguments[] = {(char *)"test", (char *)"--no-huge", (char *)"--no-pci",
		(char *)"--no-shconf", (char *)"-m", (char *)"128", (char *)"--no-telemetry",
		(char *)"--log-level=lib.eal:error", (char *)"-l", (char *)"0", NULL};
	if (rte_eal_init((int)(sizeof(arguments) / sizeof(arguments[0])) - 1, arguments) < 0)
		abort();
}
