// SPDX-License-Identifier: BSD-3-Clause
// Any bytes as the dataplane's datagrams, between requests of ours. Held: every request is answered
// to its end exactly once, whatever comes; payloads have the size of their type; nothing is read
// outside the datagram; and what came is wiped.
#include "controlplane/dataplane_session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct dataplane_session *session;
static unsigned open_requests;

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void touch(const void *data, size_t size)
{
	volatile uint8_t sum = 0;
	for (size_t i = 0; i < size; i++)
		sum = (uint8_t)(sum + ((const uint8_t *)data)[i]);
}

static void answered(void *context, const struct dataplane_answer *answer)
{
	bool *open = context;
	require(*open && answer->id && answer->result <= 0);
	require(answer->result == 0 || (answer->last && answer->size == 0));
	touch(answer->payload, answer->size);
	if (!answer->last)
		require(answer->size > 0);
	if (answer->last) {
		*open = false;
		open_requests--;
	}
	if (answer->type == API_SNAPSHOT && !answer->last)
		require(answer->size == sizeof(struct api_snapshot_item));
}

static void connected(void *context, const struct api_hello_answer *hello)
{
	(void)context;
	require(dataplane_session_ready(session) && hello->version == API_VERSION);
	require(strlen(hello->program_version) < sizeof(hello->program_version));
}

static void refused(void *context, int error)
{
	(void)context;
	require(error < 0);
}

static void punt(void *context, const struct api_punt *message, const uint8_t *payload)
{
	(void)context;
	touch(payload, message->length);
	if (message->length == 77) // the owner may end the connection at any point
		dataplane_session_end(session);
}

static void native_punt(
	void *context, const struct api_native_punt *message, const uint8_t *payload)
{
	(void)context;
	touch(payload, message->length);
	if (message->length == 78)
		dataplane_session_end(session);
}

static void expired(void *context, const struct api_expired *message)
{
	(void)context;
	touch(message, sizeof(*message));
}

static void neighbour_wanted(void *context, const struct api_neighbour_wanted *message)
{
	(void)context;
	touch(message, sizeof(*message));
}

static void resync(void *context)
{
	(void)context;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum api_type types[16] = {API_SNAPSHOT, API_PORTS, API_GAUGES, API_COUNTERS,
		API_ALLOCATION_INSTALL, API_DRAIN, API_WORKERS, API_ROUTE_SET, API_STEERING,
		API_LEASE_SET, API_LEASE_REMOVE, API_HANDLES_INSTALL, API_NATIVE_DELIVER,
		API_NATIVE_SETTINGS, API_GUARD_LIMITS, API_CONFIG_KEYS};
	const struct dataplane_events events = {.connected = connected,
		.refused = refused,
		.punt = punt,
		.native_punt = native_punt,
		.expired = expired,
		.neighbour_wanted = neighbour_wanted,
		.resync = resync};
	bool open[64] = {0};
	unsigned made = 0;
	open_requests = 0;
	session = dataplane_session_create(&events);
	require(session && dataplane_session_begin(session, 0));
	bool live = true;
	while (size >= 3 && live) {
		uint8_t what = data[0];
		size_t length = (size_t)data[1] << 8 | data[2];
		data += 3;
		size -= 3;
		if (length > size)
			length = size;
		if (what < 0xF0 && made < 64) {
			bool *mine = &open[made];
			*mine = true;
			open_requests++;
			uint8_t payload[300] = {0};
			if (dataplane_session_request(session, types[(what & 7) | (what & 32) >> 2],
				    payload, what, what & 8, answered, mine)) {
				made++;
			} else {
				*mine = false;
				open_requests--;
			}
		}
		if (what & 16) {
			size_t out;
			if (dataplane_session_output(session, &out))
				dataplane_session_sent(session);
		}
		uint8_t *datagram = malloc(length ? length : 1);
		require(datagram != NULL);
		memcpy(datagram, data, length);
		if (dataplane_session_receive(session, datagram, length, 1))
			live = false;
		for (size_t i = 0; i < length; i++)
			require(datagram[i] == 0);
		free(datagram);
		data += length;
		size -= length;
	}
	dataplane_session_end(session);
	require(open_requests == 0 && dataplane_session_in_flight(session) == 0);
	dataplane_session_free(session);
	return 0;
}
