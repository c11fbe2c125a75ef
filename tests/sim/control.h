// SPDX-License-Identifier: BSD-3-Clause
// The control plane: its session with the dataplane and its registration core, both real, with a
// socket between that takes a while and loses what is in it when one of the ends does.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;

// Once; then control_launch.
void control_open(uint64_t seed, const struct config *config);
void control_launch(void);
// As kill -9.
void control_stop(void);
void control_drain(bool on, uint32_t deadline_ms);

// From the dataplane: a datagram of that connection. Copied.
void control_receive(uint64_t connection, const uint8_t *data, size_t size);
// The dataplane has gone.
void control_hang_up(void);

// ---- for invariants ----

unsigned control_in_flight(void);
bool control_has(const void *bytes, size_t size); // somewhere in its slots
void control_print_stats(void);
