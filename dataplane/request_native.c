// SPDX-License-Identifier: BSD-3-Clause
// Requests about leases, handles and the native protocol's settings, answered on the connection
// they came from. Main lcore.

#include "dataplane/connection.h"

#include "dataplane/dataplane.h"

#include <errno.h>
#include <string.h>

// There is room for any answer: connection_work made sure.

// The last of the workers answers it (connection_completed).
static int settings(struct connection *connection, const struct api_frame *frame)
{
	struct dataplane *dataplane = connection->server->dataplane;
	struct api_native_settings in;
	memcpy(&in, frame->payload, sizeof(in));
	int result = native_settings_set(dataplane, &in, connection->serial, frame->header.id);
	if (result == -EAGAIN)
		return result;
	if (result > 0)
		connection->outstanding += dataplane->native.pending;
	else
		connection_append_result(connection, frame->header.id, frame->header.type, result);
	return 0;
}

static void install(struct connection *connection, const struct api_frame *frame)
{
	struct api_handles_install in;
	struct api_handles_installed out;
	memcpy(&in, frame->payload, sizeof(in));
	int result = native_install(connection->server->dataplane, &in, &out);
	if (result == 0)
		connection_append(connection, frame->header.id, frame->header.type, &out,
			sizeof(out), NULL, 0);
	else
		connection_append_result(connection, frame->header.id, frame->header.type, result);
	explicit_bzero(&in, sizeof(in));
}

int request_native(struct connection *connection, const struct api_frame *frame)
{
	if (frame->header.type == API_NATIVE_SETTINGS)
		return settings(connection, frame);
	if (frame->header.type == API_HANDLES_INSTALL) {
		install(connection, frame);
		return 0;
	}
	struct api_lease in;
	memcpy(&in, frame->payload, sizeof(in));
	connection_append_result(connection, frame->header.id, frame->header.type,
		native_lease(connection->server->dataplane, frame->header.type, &in));
	explicit_bzero(&in, sizeof(in));
	return 0;
}
