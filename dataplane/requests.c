// SPDX-License-Identifier: BSD-3-Clause
// The requests of dataplane/api/messages.h and what they do. Installs and packets to send become
// commands for the worker that the request names; everything else is done here at once. Main lcore.

#include "dataplane/connection.h"

#include "dataplane/command.h"
#include "dataplane/dataplane.h"
#include "dataplane/settings.h"
#include "dataplane/guard_requests.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int answer(struct connection *connection, const struct api_frame *frame, int result)
{
	// There is room: connection_work made sure.
	connection_append_result(connection, frame->header.id, frame->header.type, result);
	return 0;
}

// ---- hello ----

static int refuse(struct connection *connection, const struct api_frame *frame, int result)
{
	connection->closing = true;
	return answer(connection, frame, result);
}

static int hello(struct connection *connection, const struct api_frame *frame)
{
	struct dataplane *dataplane = connection->server->dataplane;
	struct api_server *server = connection->server;
	struct api_hello hello;
	memcpy(&hello, frame->payload, sizeof(hello));
	if (hello.version != API_VERSION)
		return refuse(connection, frame, -EPROTONOSUPPORT);
	if (hello.role != API_ROLE_CONTROL && hello.role != API_ROLE_OBSERVER)
		return refuse(connection, frame, -EINVAL);
	bool control = hello.role == API_ROLE_CONTROL;
	if (control ? !connection->may_control : !connection->may_observe)
		return refuse(connection, frame, -EPERM);
	if (control && server->control) {
		if (server->alive(server->control))
			return answer(connection, frame, -EBUSY);
		server->control->closing = true;
	}
	struct api_hello_answer out = {
		.version = API_VERSION,
		.workers = dataplane->worker_count,
		.ports = dataplane->port_count,
		.allocations_max = dataplane->config->dataplane.allocations,
		.instance = dataplane->instance,
		.uptime_ms = dataplane_now_ms() - dataplane->started_ms,
		.draining = dataplane->drain.on,
		.drain_left_ms = dataplane_drain_left(dataplane),
	};
	snprintf(out.program_version, sizeof(out.program_version), "%s", VERSION);
	if (control) {
		memcpy(out.tag_key, dataplane->tag_key, sizeof(out.tag_key));
		memcpy(out.secret, dataplane->secret, sizeof(out.secret));
		server->control = connection;
		next_hops_mark(dataplane->next_hops);
	}
	connection->role = hello.role;
	connection_append(connection, frame->header.id, API_HELLO, &out, sizeof(out), NULL, 0);
	explicit_bzero(&out, sizeof(out));
	return 0;
}

// ---- installs ----

static uint16_t worker_of(const struct api_frame *frame)
{
	size_t offset;
	uint16_t worker;
	switch (frame->header.type) {
	case API_ALLOCATION_INSTALL:
		offset = offsetof(struct api_allocation_install, worker);
		break;
	case API_PERMISSIONS_INSTALL:
		offset = offsetof(struct api_permissions_install, worker);
		break;
	case API_CHANNEL_BIND:
		offset = offsetof(struct api_channel_bind, worker);
		break;
	case API_PACKET_SEND:
		offset = offsetof(struct api_packet_send, worker);
		break;
	case API_NATIVE_DELIVER:
		offset = offsetof(struct api_native_deliver, worker);
		break;
	default:
		offset = offsetof(struct api_allocation_change, worker);
		break;
	}
	memcpy(&worker, frame->payload + offset, sizeof(worker));
	return worker;
}

static int send_command(struct connection *connection, const struct api_frame *frame)
{
	struct dataplane *dataplane = connection->server->dataplane;
	uint32_t type = frame->header.type;
	bool answered = type != API_PACKET_SEND;
	uint16_t worker = worker_of(frame);
	int refusal = 0;
	if (worker >= dataplane->worker_count)
		refusal = -EINVAL;
	else if (frame->size > COMMAND_PAYLOAD_MAX)
		refusal = -EMSGSIZE;
	else if (type == API_ALLOCATION_INSTALL && dataplane->drain.on)
		refusal = -ESHUTDOWN;
	if (refusal)
		return answered ? answer(connection, frame, refusal) : 0;
	struct worker_machine *machine = dataplane->workers[worker]->machine;
	struct command_lane *lane = &machine->lane;
	struct command *command = command_take(lane);
	if (!command)
		return -EAGAIN;
	command->kind = !answered                    ? COMMAND_SEND
			: type == API_NATIVE_DELIVER ? COMMAND_DELIVER
						     : COMMAND_INSTALL;
	command->type = type;
	command->id = frame->header.id;
	command->connection = answered ? connection->serial : 0;
	command->worker = worker;
	command->size = frame->size;
	memcpy(command->payload, frame->payload, frame->size);
	connection->outstanding += answered;
	command_submit(lane, command);
	doorbell_ring(&machine->rest.bell);
	return 0;
}

// ---- snapshot: one worker after the other, a slot's worth of items at a time ----

void request_snapshot_continue(struct connection *connection)
{
	struct dataplane *dataplane = connection->server->dataplane;
	struct connection_stream *stream = &connection->stream;
	if (stream->asked || connection_room(connection) < CONNECTION_ANSWER_RESERVE)
		return;
	if (stream->worker == dataplane->worker_count) {
		connection_append(connection, stream->id, API_SNAPSHOT, NULL, 0, NULL, 0);
		memset(stream, 0, sizeof(*stream));
		return;
	}
	struct worker_machine *machine = dataplane->workers[stream->worker]->machine;
	struct command_lane *lane = &machine->lane;
	struct command *command = command_take(lane);
	if (!command)
		return;
	command->kind = COMMAND_SNAPSHOT;
	command->type = API_SNAPSHOT;
	command->id = stream->id;
	command->connection = connection->serial;
	command->worker = stream->worker;
	command->position = stream->position;
	command->size = 0;
	stream->asked = true;
	connection->outstanding++;
	command_submit(lane, command);
	doorbell_ring(&machine->rest.bell);
}

static void snapshot_completed(struct connection *connection, const struct command *command)
{
	struct connection_stream *stream = &connection->stream;
	const struct api_snapshot_item *items = (const void *)command->payload;
	stream->asked = false;
	for (int32_t i = 0; i < command->result; i++)
		connection_append(
			connection, stream->id, API_SNAPSHOT, &items[i], sizeof(*items), NULL, 0);
	bool at_end = command->result == 0 && command->position == stream->position;
	stream->position = command->position;
	if (at_end) {
		stream->worker++;
		stream->position = 0;
	}
}

void connection_completed(struct connection *connection, const struct command *command)
{
	const struct dataplane *dataplane = connection->server->dataplane;
	connection->outstanding--;
	// What goes to all workers is answered with the last of them.
	if ((command->kind == COMMAND_SETTINGS && dataplane->settings.pending) ||
		(command->kind == COMMAND_NATIVE_SETTINGS && dataplane->native.pending))
		return;
	if (command->kind == COMMAND_SNAPSHOT) {
		snapshot_completed(connection, command);
	} else if (command->kind == COMMAND_DELIVER && command->result >= 0) {
		const struct api_native_delivered delivered = {(uint32_t)command->result, 0};
		connection_append(connection, command->id, command->type, &delivered,
			sizeof(delivered), NULL, 0);
	} else {
		connection_append_result(connection, command->id, command->type, command->result);
	}
}

// ---- what main does itself ----

static int drain(struct dataplane *dataplane, const struct api_frame *frame)
{
	struct api_drain drain;
	memcpy(&drain, frame->payload, sizeof(drain));
	if (drain.on > 1)
		return -EINVAL;
	dataplane->drain = (struct drain){
		.on = drain.on,
		.has_deadline = drain.on && drain.deadline_ms != UINT32_MAX,
		.deadline_ms = dataplane_now_ms() + drain.deadline_ms,
	};
	return 0;
}

// The last of the workers answers it (connection_completed).
static int settings(struct connection *connection, const struct api_frame *frame)
{
	struct dataplane *dataplane = connection->server->dataplane;
	struct api_settings in;
	memcpy(&in, frame->payload, sizeof(in));
	int result = settings_set(dataplane, &in, connection->serial, frame->header.id);
	if (result == -EAGAIN)
		return result;
	if (result <= 0)
		return answer(connection, frame, result);
	connection->outstanding += dataplane->settings.pending;
	return 0;
}

static int routing(struct next_hops *next_hops, const struct api_frame *frame)
{
	union {
		struct api_link_set link;
		struct api_link_delete unlink;
		struct api_route route;
		struct api_neighbour neighbour;
	} in;
	memset(&in, 0, sizeof(in));
	memcpy(&in, frame->payload, frame->size);
	switch (frame->header.type) {
	case API_LINK_SET:
		if (memchr(in.link.port_interface, 0, sizeof(in.link.port_interface)) == NULL)
			return -EINVAL;
		return next_hops_link_set(next_hops, &in.link);
	case API_LINK_DELETE:
		return next_hops_link_delete(next_hops, in.unlink.ifindex);
	case API_ROUTE_SET:
		if (in.route.count > API_NEXT_HOPS_MAX)
			return -EINVAL;
		return next_hops_route_set(next_hops, &in.route);
	case API_ROUTE_DELETE:
		return next_hops_route_delete(next_hops, &in.route.prefix);
	case API_NEIGHBOUR_SET:
		return next_hops_neighbour_set(next_hops, &in.neighbour);
	case API_NEIGHBOUR_DELETE: {
		int result = next_hops_neighbour_delete(next_hops, &in.neighbour);
		explicit_bzero(&in, sizeof(in));
		return result;
	}
	default:
		next_hops_sweep(next_hops);
		return 0;
	}
}

static int guard(struct dataplane *dataplane, const struct api_frame *frame)
{
	union {
		struct api_guard_rule rule;
		struct net_prefix prefix;
		struct api_guard_limits limits;
	} in;
	memcpy(&in, frame->payload, frame->size);
	switch (frame->header.type) {
	case API_GUARD_SET:
		return guard_set(dataplane, &in.rule);
	case API_GUARD_REMOVE:
		return guard_remove(dataplane, &in.prefix);
	default:
		return guard_limit(dataplane, &in.limits);
	}
}

int request_execute(struct connection *connection, const struct api_frame *frame)
{
	struct dataplane *dataplane = connection->server->dataplane;
	uint32_t type = frame->header.type;
	if (frame->header.length < 0 || !request_size_is_right(frame) ||
		(frame->header.id == 0 && type != API_PACKET_SEND) ||
		(connection->role == 0) != (type == API_HELLO))
		return -EBADMSG;
	if (type == API_HELLO)
		return hello(connection, frame);
	if (request_needs_control(type) && connection->role != API_ROLE_CONTROL)
		return answer(connection, frame, -EPERM);
	switch (type) {
	case API_ALLOCATION_INSTALL:
	case API_ALLOCATION_REFRESH:
	case API_ALLOCATION_REMOVE:
	case API_PERMISSIONS_INSTALL:
	case API_CHANNEL_BIND:
	case API_PACKET_SEND:
	case API_NATIVE_DELIVER:
		return send_command(connection, frame);
	case API_SNAPSHOT:
	case API_COUNTERS:
	case API_PORTS:
	case API_WORKERS:
	case API_STEERING:
	case API_CONFIG_KEYS:
	case API_GUARD_RULES:
		connection->stream =
			(struct connection_stream){.id = frame->header.id, .type = type};
		if (type == API_SNAPSHOT)
			request_snapshot_continue(connection);
		else
			reading_continue(connection);
		return 0;
	case API_GAUGES:
		reading_gauges(connection, frame->header.id);
		return 0;
	case API_DRAIN:
		return answer(connection, frame, drain(dataplane, frame));
	case API_SETTINGS:
		return settings(connection, frame);
	case API_GUARD_SET:
	case API_GUARD_REMOVE:
	case API_GUARD_LIMITS_SET:
		return answer(connection, frame, guard(dataplane, frame));
	case API_LEASE_SET:
	case API_LEASE_REMOVE:
	case API_HANDLES_INSTALL:
	case API_NATIVE_SETTINGS:
		return request_native(connection, frame);
	case API_GUARD_LIMITS:
		connection_append(connection, frame->header.id, type, &dataplane->guard_limits,
			sizeof(dataplane->guard_limits), NULL, 0);
		return 0;
	default:
		return answer(connection, frame, routing(dataplane->next_hops, frame));
	}
}
