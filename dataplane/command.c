// SPDX-License-Identifier: BSD-3-Clause
// Command slots between main and one worker; see command.h.

#include "dataplane/command.h"

#include "dataplane/machine.h"
#include "dataplane/worker.h"

#include <rte_prefetch.h>
#include <rte_ring.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int command_lane_create(struct command_lane *lane)
{
	memset(lane, 0, sizeof(*lane));
	// One more than the slots: an rte_ring of n holds n-1.
	lane->to_worker = machine_ring_create("to_worker", COMMAND_SLOTS * 2);
	lane->to_main = machine_ring_create("to_main", COMMAND_SLOTS * 2);
	lane->slots = calloc(COMMAND_SLOTS, sizeof(*lane->slots));
	if (!lane->to_worker || !lane->to_main || !lane->slots) {
		command_lane_free(lane);
		return -ENOMEM;
	}
	while (lane->free_count < COMMAND_SLOTS) {
		lane->free[lane->free_count] = &lane->slots[lane->free_count];
		lane->free_count++;
	}
	return 0;
}

void command_lane_free(struct command_lane *lane)
{
	if (lane->slots)
		explicit_bzero(lane->slots, COMMAND_SLOTS * sizeof(*lane->slots));
	free(lane->slots);
	machine_ring_free(lane->to_worker);
	machine_ring_free(lane->to_main);
	memset(lane, 0, sizeof(*lane));
}

struct command *command_take(struct command_lane *lane)
{
	return lane->free_count ? lane->free[--lane->free_count] : NULL;
}

void command_submit(struct command_lane *lane, struct command *command)
{
	int result = rte_ring_sp_enqueue(lane->to_worker, command);
	assert(result == 0);
	(void)result;
}

struct command *command_completed(struct command_lane *lane)
{
	void *command;
	return rte_ring_sc_dequeue(lane->to_main, &command) == 0 ? command : NULL;
}

void command_release(struct command_lane *lane, struct command *command)
{
	// The worker has wiped what it was given; what it gave in return is left.
	size_t payload = command->kind == COMMAND_SNAPSHOT ? command->size : 0;
	explicit_bzero(command, offsetof(struct command, payload) + payload);
	lane->free[lane->free_count++] = command;
}

bool command_lane_idle(const struct command_lane *lane)
{
	return rte_ring_empty(lane->to_main);
}

static void execute(struct worker *worker, struct command *command, uint64_t now)
{
	switch ((enum command_kind)command->kind) {
	case COMMAND_INSTALL:
		command->result = install_execute(
			worker, command->type, command->payload, command->size, now);
		break;
	case COMMAND_SEND: {
		const struct api_packet_send *send = (const void *)command->payload;
		command->result =
			pipeline_send(worker, send, command->payload + sizeof(*send), now);
		break;
	}
	case COMMAND_SNAPSHOT: {
		struct api_snapshot_item *items = (void *)command->payload;
		unsigned count = mappings_snapshot(worker->mappings, &command->position, items,
			COMMAND_PAYLOAD_MAX / sizeof(*items), now);
		command->result = (int32_t)count;
		command->size = count * (uint32_t)sizeof(*items);
		break;
	}
	case COMMAND_END_ALL:
		command->result = install_end_some(worker, &command->position) ? 0 : -EAGAIN;
		break;
	case COMMAND_SETTINGS: {
		const struct command_settings *settings = (const void *)command->payload;
		install_addresses(worker, settings->addresses);
		rest_allow(&worker->machine->rest, settings->may_rest);
		command->result = 0;
		break;
	}
	case COMMAND_DELIVER: {
		const struct api_native_deliver *deliver = (const void *)command->payload;
		command->result =
			pipeline_deliver(worker, deliver, command->payload + sizeof(*deliver), now);
		break;
	}
	case COMMAND_NATIVE_SETTINGS: {
		const struct command_native_settings *native = (const void *)command->payload;
		worker->native = native->settings;
		command->result = 0;
		break;
	}
	}
	if (command->kind != COMMAND_SNAPSHOT)
		explicit_bzero(command->payload, command->size);
}

unsigned command_execute(
	struct worker *worker, struct command_lane *lane, uint64_t now, unsigned budget)
{
	if (rte_ring_empty(lane->to_worker))
		return 0;
	struct command *commands[COMMAND_SLOTS] = {NULL};
	unsigned count = rte_ring_sc_dequeue_burst(lane->to_worker, (void **)commands,
		budget < COMMAND_SLOTS ? budget : COMMAND_SLOTS, NULL);
	for (unsigned i = 0; i < count; i++) {
		assert(commands[i] != NULL); // nobody submits nothing
		if (i + 1 < count)
			rte_prefetch0(&commands[i + 1]->payload);
		execute(worker, commands[i], now);
	}
	unsigned given = rte_ring_sp_enqueue_bulk(lane->to_main, (void **)commands, count, NULL);
	assert(given == count);
	(void)given;
	return count;
}
