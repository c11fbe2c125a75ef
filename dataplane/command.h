// SPDX-License-Identifier: BSD-3-Clause
// Commands from the main lcore to one worker, and their results back: a fixed set of slots per
// worker and two rings of slot pointers. Main takes a slot, fills it and submits it; the worker
// executes commands in order and gives the slots back in the same order; main reads the result and
// releases the slot, which wipes it. There are never more slots in flight than a ring holds, so no
// ring is ever full.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct dataplane;
struct native_settings;
struct node_addresses;
struct rte_ring;
struct worker;

enum {
	COMMAND_SLOTS = 256, // per worker, a power of two
	COMMAND_PAYLOAD_MAX = 2048,
};

enum command_kind {
	COMMAND_INSTALL = 1,     // API_ALLOCATION_INSTALL ... API_CHANNEL_BIND
	COMMAND_SEND,            // API_PACKET_SEND
	COMMAND_SNAPSHOT,        // fills payload with struct api_snapshot_item from `position` on
	COMMAND_END_ALL,         // ends allocations from `position` on; -EAGAIN: not all yet
	COMMAND_SETTINGS,        // payload: struct command_settings
	COMMAND_DELIVER,         // API_NATIVE_DELIVER; result: devices
	COMMAND_NATIVE_SETTINGS, // payload: struct command_native_settings
};

struct command_settings {
	const struct node_addresses *addresses;
	bool may_rest;
};

struct command_native_settings {
	const struct native_settings *settings;
};

struct command {
	uint32_t kind;       // enum command_kind
	uint32_t type;       // enum api_type
	uint32_t id;         // of the request
	uint32_t size;       // bytes of payload, in and (snapshot) out
	uint64_t connection; // serial of the asking connection; 0: nobody waits
	int32_t result;
	uint32_t position; // snapshot: where to go on
	uint16_t worker;
	_Alignas(8) uint8_t payload[COMMAND_PAYLOAD_MAX];
};

struct command_lane {
	struct rte_ring *to_worker; // main produces, worker consumes
	struct rte_ring *to_main;   // worker produces, main consumes
	struct command *slots;
	struct command *free[COMMAND_SLOTS]; // main: rw
	unsigned free_count;                 // main: rw
};

// 0 or -ENOMEM.
int command_lane_create(struct command_lane *lane);
void command_lane_free(struct command_lane *lane);

// Main. An empty slot, or NULL when all are on their way: try again when one has come back.
struct command *command_take(struct command_lane *lane);
void command_submit(struct command_lane *lane, struct command *command);
// Main. The next executed command, or NULL. Release it, or submit it again (snapshot).
struct command *command_completed(struct command_lane *lane);
void command_release(struct command_lane *lane, struct command *command);
bool command_lane_idle(const struct command_lane *lane);

// Main, of command_all.c: the same command for each worker. Every lane must have a free slot.
struct command_request {
	uint32_t type, id; // as of struct command
	uint64_t connection;
};
bool command_all_free(const struct dataplane *dataplane);
void command_all_submit(struct dataplane *dataplane, enum command_kind kind,
	const struct command_request *request, const void *payload, uint32_t size);

// Worker: executes up to `budget` commands. Returns how many.
unsigned command_execute(
	struct worker *worker, struct command_lane *lane, uint64_t now, unsigned budget);
