// SPDX-License-Identifier: BSD-3-Clause
// One command for all workers; see command.h. Main lcore.
#include "dataplane/command.h"

#include "dataplane/dataplane.h"

#include <assert.h>
#include <string.h>

bool command_all_free(const struct dataplane *dataplane)
{
	for (unsigned w = 0; w < dataplane->worker_count; w++)
		if (dataplane->workers[w]->machine->lane.free_count == 0)
			return false;
	return true;
}

void command_all_submit(struct dataplane *dataplane, enum command_kind kind,
	const struct command_request *request, const void *payload, uint32_t size)
{
	assert(size <= COMMAND_PAYLOAD_MAX);
	for (unsigned w = 0; w < dataplane->worker_count; w++) {
		struct worker_machine *machine = dataplane->workers[w]->machine;
		struct command *command = command_take(&machine->lane);
		command->kind = kind;
		command->type = request->type;
		command->id = request->id;
		command->connection = request->connection;
		command->worker = (uint16_t)w;
		command->size = size;
		memcpy(command->payload, payload, size);
		command_submit(&machine->lane, command);
		doorbell_ring(&machine->rest.bell);
	}
}
