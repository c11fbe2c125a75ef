// SPDX-License-Identifier: BSD-3-Clause
// What the process gives up: being dumped or traced, swapping, privileges, and system calls that a
// packet forwarder has no use for.
#pragma once

// First thing in the process, before the configuration's secrets are read: no core dumps, no
// tracing.
void sandbox_begin(void);
// The capability that is missing for bringing up interfaces ("CAP_NET_ADMIN", ...), or NULL.
const char *sandbox_missing(void);
// Once memory and devices are set up: locks all memory, also later one, and excludes DPDK's from
// dumps. 0, or -errno when it may not (containers): the caller warns and goes on.
int sandbox_memory(void);
// Main lcore, after start: drops capabilities of this thread (but for what taking interfaces down
// needs) and of DPDK's interrupt thread, and filters the system calls of all threads. 0 or -errno.
int sandbox_enter(void);
// A worker lcore: drops its capabilities, but for locking memory.
void sandbox_thread(void);
