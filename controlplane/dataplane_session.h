// SPDX-License-Identifier: BSD-3-Clause
// One connection to the dataplane without its socket: datagrams in, events and answers out by
// callbacks, requests in, datagrams to send out. Requests in flight and bytes to send are both
// bounded. Every buffer that held a message is wiped once the message has been handled or sent,
// since punted packets and installs carry clients' addresses. One thread (the event loop's).
#pragma once

#include "dataplane/api/messages.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	DATAPLANE_REQUESTS_MAX = 8192,  // in flight; a power of two
	DATAPLANE_REQUESTS_BULK = 4096, // of these, what bulk senders (the routing mirror) may use
	DATAPLANE_BATCHES_MAX = 32,     // datagrams waiting to be sent
	DATAPLANE_BATCHES_BULK = 8,     // above this, bulk senders wait
	DATAPLANE_ANSWER_TIMEOUT_MS = 10000,
};

// An answer, or one item of a stream of answers.
struct dataplane_answer {
	uint32_t id;
	uint32_t type;
	int result;             // 0 or a negative errno; -ENOTCONN when the connection ended first
	bool last;              // no more answers to this request
	const uint8_t *payload; // borrowed, 8-byte aligned
	uint32_t size;          // 0 in the last answer of a stream
};

typedef void (*dataplane_callback)(void *context, const struct dataplane_answer *answer);

// All are called from within dataplane_session_receive; payloads are borrowed for the call.
struct dataplane_events {
	void *context;
	// The dataplane took our hello.
	void (*connected)(void *context, const struct api_hello_answer *hello);
	// It refused: -EBUSY while an earlier control plane is connected, -EPROTO another version.
	void (*refused)(void *context, int error);
	void (*punt)(void *context, const struct api_punt *punt, const uint8_t *payload);
	void (*native_punt)(
		void *context, const struct api_native_punt *punt, const uint8_t *payload);
	void (*expired)(void *context, const struct api_expired *expired);
	void (*neighbour_wanted)(void *context, const struct api_neighbour_wanted *wanted);
	void (*resync)(void *context);
};

struct dataplane_session;

struct dataplane_session *dataplane_session_create(const struct dataplane_events *events);
void dataplane_session_free(struct dataplane_session *session);

// A new connection: hello is queued. The session must be idle (new, or ended). False without
// memory.
bool dataplane_session_begin(struct dataplane_session *session, uint64_t now_ms);
// The connection is over: requests in flight are answered with -ENOTCONN, what was not sent is
// wiped. Requests made by those callbacks are refused.
void dataplane_session_end(struct dataplane_session *session);
// Between the dataplane's answer to hello and the end.
bool dataplane_session_ready(const struct dataplane_session *session);

// A received datagram, wiped here. 0, or -EBADMSG when the connection is to be ended: framing, an
// answer nobody waits for, a payload of the wrong size, an unknown event. -ECONNREFUSED after
// events.refused.
int dataplane_session_receive(
	struct dataplane_session *session, uint8_t *datagram, size_t size, uint64_t now_ms);

// Queues a request; its answers come to callback (NULL: not wanted, only counted as done). Returns
// its id, or 0 when not connected or when too much is waiting (bulk: at a lower mark).
uint32_t dataplane_session_request(struct dataplane_session *session, enum api_type type,
	const void *payload, uint32_t size, bool bulk, dataplane_callback callback, void *context);
// Queues a message that is not answered (API_PACKET_SEND), of two parts. False: dropped.
bool dataplane_session_send(struct dataplane_session *session, enum api_type type,
	const void *part1, uint32_t size1, const void *part2, uint32_t size2);
// Whether a bulk request would be taken now.
bool dataplane_session_has_room(const struct dataplane_session *session);

// The next datagram to send, or size 0. The same one until dataplane_session_sent wipes it.
const uint8_t *dataplane_session_output(struct dataplane_session *session, size_t *size);
void dataplane_session_sent(struct dataplane_session *session);

// To be called every second or so: tells the time. True when a request has had no answer for
// DATAPLANE_ANSWER_TIMEOUT_MS: end the connection.
bool dataplane_session_tick(struct dataplane_session *session, uint64_t now_ms);

uint32_t dataplane_session_in_flight(const struct dataplane_session *session);
