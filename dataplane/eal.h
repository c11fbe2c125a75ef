// SPDX-License-Identifier: BSD-3-Clause
// Starts DPDK's environment from the configuration: lcores, memory, no telemetry, no files. What it
// would print is kept back and shown only when it fails. Main lcore.
#pragma once

#include "lib/config/config.h"

#include <stdbool.h>
#include <stddef.h>

enum { EAL_ERROR_SIZE = 1024 };

struct eal {
	bool hugepages;
	unsigned main_core;
	unsigned worker_cores[64];  // CPU of each worker
	unsigned worker_lcores[64]; // EAL's lcore id of each worker
	bool shared_cores;          // fewer CPUs than lcores: some run several
};

// 0, or -errno and what to do in error.
int eal_start(const struct config *config, struct eal *eal, char error[static EAL_ERROR_SIZE]);
// At the end of the process, after the devices were closed.
void eal_stop(void);

// What DPDK's libraries and drivers have printed since the last call, its last lines that fit into
// size, on one line. For error messages about devices.
void eal_last_words(char *out, size_t size);
