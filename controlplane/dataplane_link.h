// SPDX-License-Identifier: BSD-3-Clause
// The connection to relay-dataplane's socket: connects, reconnects, and moves the datagrams of a
// dataplane_session. Non-blocking; what one turn of the event loop queues leaves together at its
// end, many messages in one send. The dataplane may start later than we, restart, or hang: the link
// goes down, all requests in flight are answered with -ENOTCONN, and it tries again. One thread
// (the event loop's).
#pragma once

#include "controlplane/dataplane_session.h"

#include <uv.h>

enum {
	DATAPLANE_RETRY_FIRST_MS = 20,
	DATAPLANE_RETRY_LAST_MS = 1000,
};

struct dataplane_link_events {
	void *context;
	// A dataplane took us; requests are possible from here on. Its hello is wiped afterwards.
	void (*up)(void *context, const struct api_hello_answer *hello);
	// After up. Called behind the -ENOTCONN answers.
	void (*down)(void *context);
	void (*punt)(void *context, const struct api_punt *punt, const uint8_t *payload);
	// NULL: they are not taken.
	void (*native_punt)(
		void *context, const struct api_native_punt *punt, const uint8_t *payload);
	void (*expired)(void *context, const struct api_expired *expired);
	void (*neighbour_wanted)(void *context, const struct api_neighbour_wanted *wanted);
	void (*resync)(void *context);
	// There is room for bulk requests; called once a turn while the link is up.
	void (*room)(void *context);
};

// Why there is no connection now, for people.
enum dataplane_link_trouble {
	DATAPLANE_LINK_FINE,
	DATAPLANE_LINK_NO_SOCKET,   // nothing listens
	DATAPLANE_LINK_FORBIDDEN,   // may not connect
	DATAPLANE_LINK_BUSY,        // an earlier control plane is still connected
	DATAPLANE_LINK_VERSION,     // speaks another version
	DATAPLANE_LINK_BAD_MESSAGE, // sent what we do not understand
	DATAPLANE_LINK_SILENT,      // did not answer in time
	DATAPLANE_LINK_CLOSED,      // ended the connection
};

#define DATAPLANE_LINK_COUNTERS(X)                                                                 \
	X(connections)                                                                             \
	X(bad_messages)                                                                            \
	X(timeouts)                                                                                \
	X(datagrams_in)                                                                            \
	X(datagrams_out)                                                                           \
	X(sends_dropped)
#define DATAPLANE_LINK_MEMBER(name) uint64_t name;
struct dataplane_link_counters {
	DATAPLANE_LINK_COUNTERS(DATAPLANE_LINK_MEMBER)
};

struct dataplane_link;

// path is borrowed. Connecting starts with the loop's first turn. 0 and *out, or a negative errno.
int dataplane_link_open(uv_loop_t *loop, const char *path,
	const struct dataplane_link_events *events, struct dataplane_link **out);
// Disconnects (requests are answered with -ENOTCONN, down is called) and frees by the loop's next
// turns. NULL is fine.
void dataplane_link_close(struct dataplane_link *link);
// Ends the connection and makes a new one.
void dataplane_link_restart(struct dataplane_link *link);

bool dataplane_link_up(const struct dataplane_link *link);
enum dataplane_link_trouble dataplane_link_trouble(const struct dataplane_link *link);
const struct dataplane_link_counters *dataplane_link_counters(const struct dataplane_link *link);

// As dataplane_session_request, with bulk false.
uint32_t dataplane_link_request(struct dataplane_link *link, enum api_type type,
	const void *payload, uint32_t size, dataplane_callback callback, void *context);
// For what can wait: leaves room for other requests. 0: wait for events.room.
uint32_t dataplane_link_request_bulk(struct dataplane_link *link, enum api_type type,
	const void *payload, uint32_t size, dataplane_callback callback, void *context);
// A datagram to a client. Dropped and counted when the link is down or too much is waiting.
void dataplane_link_send(
	struct dataplane_link *link, const struct api_packet_send *send, const uint8_t *payload);
