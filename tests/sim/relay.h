// SPDX-License-Identifier: BSD-3-Clause
// The relay's dataplane: real tables, workers, requests and doors, on the virtual clock, without
// lcores, ports and sockets. What workers transmit goes to the network, what arrives waits for the
// next turn, in which every worker and main have theirs. The control plane is control.h's.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;
struct handles;
struct leases;
struct network_packet;

// Once: DPDK's environment, buffers. Then relay_start, as often as it is started.
void relay_open(uint64_t seed, const struct config *config);
void relay_start(void);
// Everything is lost. Checks that every buffer comes back.
void relay_stop(void);
void relay_close(void);
bool relay_is_up(void);

// A datagram arrives; it is freed here.
void relay_arrive(struct network_packet *packet);

// The control plane's connection: its number, 0 while the relay is down.
uint64_t relay_connect(void);
void relay_disconnect(uint64_t connection);
// A datagram of dataplane/api; copied. What comes back goes to control_receive.
void relay_input(uint64_t connection, const uint8_t *data, size_t size);

// ---- for invariants ----

struct leases *relay_leases(void);
const struct handles *relay_handles(void);
bool relay_drain_is_over(void); // its deadline has passed
// Buffers that are neither free nor waiting to be looked at.
unsigned relay_buffers_used(void);
// Looks for bytes in the memory of all tables and of the socket's buffers. Where: NULL for nowhere,
// or static text.
const char *relay_search(const void *bytes, size_t size);
void relay_print_stats(void);
