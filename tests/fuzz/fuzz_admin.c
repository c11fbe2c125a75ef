// SPDX-License-Identifier: BSD-3-Clause
// Any sequence of datagrams on one connection of the admin socket. The input is a row of {length,
// bytes}; its first byte says who is at the other end. Held: nothing runs before the hello, nothing
// that changes something runs for a stranger, nothing runs after the connection was to be closed
// over, and what runs is a whole request of the verb's exact size.
#include "controlplane/admin/verbs.h"
#include "dataplane/api/frames.h"

#include <stdlib.h>

static void require(bool condition)
{
	if (!condition)
		abort();
}

static uint32_t request_size(uint32_t type)
{
	switch (type) {
	case ADMIN_HELLO:
		return sizeof(struct admin_hello);
	case ADMIN_DRAIN:
		return sizeof(struct admin_drain);
	case ADMIN_GUARD_SET:
		return sizeof(struct api_guard_rule);
	case ADMIN_GUARD_REMOVE:
		return sizeof(struct net_prefix);
	case ADMIN_TOKEN_RETIRE:
		return sizeof(struct admin_token_retire);
	case ADMIN_TOKEN_ISSUE:
		return sizeof(struct admin_token_request);
	default:
		return 0;
	}
}

// What strangers may not ask for.
static bool is_privileged(uint32_t type)
{
	return (type >= ADMIN_DRAIN && type <= ADMIN_RELOAD_CHECK) || type == ADMIN_GUARD_SET ||
	       type == ADMIN_GUARD_REMOVE ||
	       (type >= ADMIN_TOKEN_KEYS && type <= ADMIN_TOKEN_ISSUE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = data + size;
	bool greeted = false;

	if (size == 0)
		return 0;
	struct admin_session session = {.uid = *data % 3, .own_uid = 1};
	bool privileged = session.uid == 0 || session.uid == session.own_uid;
	require(admin_session_privileged(&session) == privileged);
	for (data++; data < end;) {
		struct admin_request request;
		size_t length = *data++;
		int error = 1;
		if (length > (size_t)(end - data))
			length = (size_t)(end - data);
		// A copy of its own, so that reading behind it is seen.
		uint8_t *datagram = malloc(length > 0 ? length : 1);
		require(datagram != NULL);
		memcpy(datagram, data, length);
		enum admin_verdict verdict =
			admin_session_judge(&session, datagram, length, &request, &error);
		free(datagram);
		data += length;
		require((verdict == ADMIN_RUN) == (error == 0) && error <= 0);
		if (verdict == ADMIN_CLOSE)
			return 0;
		require(length == sizeof(struct api_header) + request_size(request.type));
		require(request.id != 0);
		require(greeted == (request.type != ADMIN_HELLO));
		greeted = true;
		require((verdict == ADMIN_REFUSE) == (is_privileged(request.type) && !privileged));
	}
	return 0;
}
