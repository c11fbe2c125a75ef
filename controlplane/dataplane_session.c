// SPDX-License-Identifier: BSD-3-Clause
// The messages of one dataplane connection, taken apart and matched to requests. A request is found
// by the low bits of its id in a table of slots: ids count up, and one whose slot is still taken by
// an older request in flight is skipped.
#include "controlplane/dataplane_session.h"

#include "dataplane/api/frames.h"

#include <assert.h>
#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

enum session_phase { SESSION_IDLE, SESSION_GREETING, SESSION_READY };

struct request {
	uint32_t id; // 0: free
	uint32_t type;
	uint64_t since_ms; // made, or last answered for a stream
	dataplane_callback callback;
	void *context;
};

struct dataplane_session {
	struct dataplane_events events;
	enum session_phase phase;
	uint32_t next_id;
	uint32_t in_flight;
	uint64_t now_ms; // as of the last call that told the time
	struct request requests[DATAPLANE_REQUESTS_MAX];
	// Ring of datagrams: [first, first + count) wait, the last of them is still being filled.
	struct api_batch batches[DATAPLANE_BATCHES_MAX];
	uint32_t first, count;
	// Messages are only 4-byte aligned in a datagram; they are handled from here.
	alignas(16) uint8_t scratch[API_PAYLOAD_MAX];
};

struct dataplane_session *dataplane_session_create(const struct dataplane_events *events)
{
	struct dataplane_session *session = calloc(1, sizeof(*session));
	if (!session)
		return NULL;
	session->events = *events;
	session->next_id = 1;
	return session;
}

void dataplane_session_free(struct dataplane_session *session)
{
	if (!session)
		return;
	dataplane_session_end(session);
	for (unsigned i = 0; i < DATAPLANE_BATCHES_MAX; i++)
		free(session->batches[i].data);
	free(session);
}

bool dataplane_session_ready(const struct dataplane_session *session)
{
	return session->phase == SESSION_READY;
}

uint32_t dataplane_session_in_flight(const struct dataplane_session *session)
{
	return session->in_flight;
}

// ---- sending ----

static struct api_batch *batch_at(struct dataplane_session *session, uint32_t offset)
{
	return &session->batches[(session->first + offset) % DATAPLANE_BATCHES_MAX];
}

static bool batch_start(struct dataplane_session *session)
{
	if (session->count == DATAPLANE_BATCHES_MAX)
		return false;
	struct api_batch *batch = batch_at(session, session->count);
	if (!batch->data) {
		batch->data = malloc(API_DATAGRAM_MAX);
		if (!batch->data)
			return false;
	}
	batch->length = 0;
	session->count++;
	return true;
}

static bool queue(struct dataplane_session *session, uint32_t id, uint32_t type, const void *part1,
	uint32_t size1, const void *part2, uint32_t size2)
{
	if (session->count && api_batch_append(batch_at(session, session->count - 1), id, type,
				      part1, size1, part2, size2))
		return true;
	if (size1 + size2 > API_PAYLOAD_MAX || !batch_start(session))
		return false;
	return api_batch_append(
		batch_at(session, session->count - 1), id, type, part1, size1, part2, size2);
}

const uint8_t *dataplane_session_output(struct dataplane_session *session, size_t *size)
{
	*size = 0;
	if (!session->count)
		return NULL;
	struct api_batch *batch = batch_at(session, 0);
	*size = batch->length;
	return batch->data;
}

void dataplane_session_sent(struct dataplane_session *session)
{
	assert(session->count);
	struct api_batch *batch = batch_at(session, 0);
	explicit_bzero(batch->data, batch->length);
	batch->length = 0;
	session->first = (session->first + 1) % DATAPLANE_BATCHES_MAX;
	session->count--;
}

// ---- requests ----

static struct request *request_slot(struct dataplane_session *session, uint32_t id)
{
	return &session->requests[id & (DATAPLANE_REQUESTS_MAX - 1)];
}

static uint32_t request_make(struct dataplane_session *session, enum api_type type,
	const void *payload, uint32_t size, dataplane_callback callback, void *context)
{
	if (session->in_flight == DATAPLANE_REQUESTS_MAX)
		return 0;
	while (session->next_id == 0 || request_slot(session, session->next_id)->id)
		session->next_id++;
	uint32_t id = session->next_id;
	if (!queue(session, id, type, payload, size, NULL, 0))
		return 0;
	session->next_id++;
	session->in_flight++;
	*request_slot(session, id) = (struct request){
		.id = id,
		.type = type,
		.since_ms = session->now_ms,
		.callback = callback,
		.context = context,
	};
	return id;
}

bool dataplane_session_has_room(const struct dataplane_session *session)
{
	return session->phase == SESSION_READY && session->in_flight < DATAPLANE_REQUESTS_BULK &&
	       session->count < DATAPLANE_BATCHES_BULK;
}

uint32_t dataplane_session_request(struct dataplane_session *session, enum api_type type,
	const void *payload, uint32_t size, bool bulk, dataplane_callback callback, void *context)
{
	if (session->phase != SESSION_READY || (bulk && !dataplane_session_has_room(session)))
		return 0;
	return request_make(session, type, payload, size, callback, context);
}

bool dataplane_session_send(struct dataplane_session *session, enum api_type type,
	const void *part1, uint32_t size1, const void *part2, uint32_t size2)
{
	return session->phase == SESSION_READY &&
	       queue(session, 0, type, part1, size1, part2, size2);
}

static void request_finish(struct dataplane_session *session, struct request *request)
{
	*request = (struct request){0};
	session->in_flight--;
}

bool dataplane_session_tick(struct dataplane_session *session, uint64_t now_ms)
{
	session->now_ms = now_ms;
	if (!session->in_flight)
		return false;
	for (unsigned i = 0; i < DATAPLANE_REQUESTS_MAX; i++) {
		const struct request *request = &session->requests[i];
		if (request->id && now_ms >= request->since_ms + DATAPLANE_ANSWER_TIMEOUT_MS)
			return true;
	}
	return false;
}

// ---- life ----

bool dataplane_session_begin(struct dataplane_session *session, uint64_t now_ms)
{
	assert(session->phase == SESSION_IDLE && !session->in_flight && !session->count);
	session->now_ms = now_ms;
	session->phase = SESSION_GREETING;
	const struct api_hello hello = {.version = API_VERSION, .role = API_ROLE_CONTROL};
	if (request_make(session, API_HELLO, &hello, sizeof(hello), NULL, NULL))
		return true;
	session->phase = SESSION_IDLE;
	return false;
}

void dataplane_session_end(struct dataplane_session *session)
{
	session->phase = SESSION_IDLE;
	while (session->count)
		dataplane_session_sent(session);
	session->first = 0;
	for (unsigned i = 0; i < DATAPLANE_REQUESTS_MAX && session->in_flight; i++) {
		struct request request = session->requests[i];
		if (!request.id)
			continue;
		request_finish(session, &session->requests[i]);
		const struct dataplane_answer answer = {
			.id = request.id, .type = request.type, .result = -ENOTCONN, .last = true};
		if (request.callback)
			request.callback(request.context, &answer);
	}
}

// ---- receiving ----

// Size of one item of a streamed answer; 0: not a stream.
static uint32_t stream_item_size(uint32_t type)
{
	switch (type) {
	case API_SNAPSHOT:
		return sizeof(struct api_snapshot_item);
	case API_COUNTERS:
		return sizeof(struct api_counter);
	case API_PORTS:
		return sizeof(struct api_port);
	case API_WORKERS:
		return sizeof(struct api_worker);
	case API_STEERING:
		return sizeof(struct api_steering);
	case API_CONFIG_KEYS:
		return sizeof(struct api_config_key);
	case API_GUARD_RULES:
		return sizeof(struct api_guard_rule);
	default:
		return 0;
	}
}

static uint32_t single_answer_size(uint32_t type)
{
	switch (type) {
	case API_GAUGES:
		return sizeof(struct api_gauges);
	case API_GUARD_LIMITS:
		return sizeof(struct api_guard_limits);
	case API_HANDLES_INSTALL:
		return sizeof(struct api_handles_installed);
	case API_NATIVE_DELIVER:
		return sizeof(struct api_native_delivered);
	default:
		return 0;
	}
}

static int receive_hello(struct dataplane_session *session, const struct api_frame *frame)
{
	if (frame->header.length < 0) {
		session->events.refused(session->events.context, frame->header.length);
		return -ECONNREFUSED;
	}
	struct api_hello_answer hello;
	if (frame->size != sizeof(hello))
		return -EBADMSG;
	memcpy(&hello, frame->payload, sizeof(hello));
	hello.program_version[sizeof(hello.program_version) - 1] = '\0';
	int rc = 0;
	if (hello.version != API_VERSION) {
		session->events.refused(session->events.context, -EPROTO);
		rc = -ECONNREFUSED;
	} else {
		session->phase = SESSION_READY;
		session->events.connected(session->events.context, &hello);
	}
	explicit_bzero(&hello, sizeof(hello));
	return rc;
}

static int receive_stream(struct dataplane_session *session, struct request *request,
	const struct api_frame *frame, uint32_t item_size)
{
	if (frame->size % item_size)
		return -EBADMSG;
	struct dataplane_answer answer = {
		.id = request->id, .type = request->type, .size = item_size};
	dataplane_callback callback = request->callback;
	void *context = request->context;
	if (frame->header.length <= 0) {
		answer.result = frame->header.length;
		answer.last = true;
		answer.size = 0;
		request_finish(session, request);
		if (callback)
			callback(context, &answer);
		return 0;
	}
	request->since_ms = session->now_ms;
	memcpy(session->scratch, frame->payload, frame->size);
	for (uint32_t offset = 0;
		callback && session->phase != SESSION_IDLE && offset < frame->size;
		offset += item_size) {
		answer.payload = session->scratch + offset;
		callback(context, &answer);
	}
	return 0;
}

static int receive_answer(struct dataplane_session *session, const struct api_frame *frame)
{
	struct request *request = request_slot(session, frame->header.id);
	if (request->id != frame->header.id || request->type != frame->header.type)
		return -EBADMSG;
	if (request->type == API_HELLO) {
		request_finish(session, request);
		return receive_hello(session, frame);
	}
	uint32_t item_size = stream_item_size(request->type);
	if (item_size)
		return receive_stream(session, request, frame, item_size);
	if (frame->header.length >= 0 && frame->size != single_answer_size(request->type))
		return -EBADMSG;
	memcpy(session->scratch, frame->payload, frame->size);
	const struct dataplane_answer answer = {
		.id = request->id,
		.type = request->type,
		.result = frame->header.length < 0 ? frame->header.length : 0,
		.last = true,
		.payload = session->scratch,
		.size = frame->size,
	};
	dataplane_callback callback = request->callback;
	void *context = request->context;
	request_finish(session, request);
	if (callback)
		callback(context, &answer);
	return 0;
}

static int receive_event(struct dataplane_session *session, const struct api_frame *frame)
{
	const struct dataplane_events *events = &session->events;
	const void *payload = session->scratch;
	if (session->phase != SESSION_READY || frame->header.length < 0)
		return -EBADMSG;
	memcpy(session->scratch, frame->payload, frame->size);
	switch (frame->header.type) {
	case API_PUNT: {
		const struct api_punt *punt = payload;
		if (frame->size < sizeof(*punt) || frame->size != sizeof(*punt) + punt->length)
			return -EBADMSG;
		events->punt(events->context, punt, session->scratch + sizeof(*punt));
		return 0;
	}
	case API_NATIVE_PUNT: {
		const struct api_native_punt *punt = payload;
		if (frame->size < sizeof(*punt) || frame->size != sizeof(*punt) + punt->length)
			return -EBADMSG;
		events->native_punt(events->context, punt, session->scratch + sizeof(*punt));
		return 0;
	}
	case API_EXPIRED:
		if (frame->size != sizeof(struct api_expired))
			return -EBADMSG;
		events->expired(events->context, payload);
		return 0;
	case API_NEIGHBOUR_WANTED:
		if (frame->size != sizeof(struct api_neighbour_wanted))
			return -EBADMSG;
		events->neighbour_wanted(events->context, payload);
		return 0;
	case API_RESYNC:
		if (frame->size)
			return -EBADMSG;
		events->resync(events->context);
		return 0;
	default:
		return -EBADMSG;
	}
}

int dataplane_session_receive(
	struct dataplane_session *session, uint8_t *datagram, size_t size, uint64_t now_ms)
{
	const uint8_t *position = datagram;
	const uint8_t *end = datagram + size;
	struct api_frame frame;
	int rc = 0;
	session->now_ms = now_ms;
	// A callback may end the session; what follows in the datagram is then nobody's.
	while (session->phase != SESSION_IDLE &&
		(rc = api_frame_next(&position, end, &frame)) == 1) {
		rc = frame.header.id ? receive_answer(session, &frame)
				     : receive_event(session, &frame);
		explicit_bzero(session->scratch, frame.size);
		if (rc)
			break;
	}
	explicit_bzero(datagram, size);
	return rc < 0 ? rc : 0;
}
