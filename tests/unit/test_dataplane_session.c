// SPDX-License-Identifier: BSD-3-Clause
// The session with the dataplane alone, on a clock of the test's.
#include "tests/unit/dataplane_link_seen.h"

#include <errno.h>
#include <stdlib.h>

// ---- the session alone ----

struct bench {
	struct dataplane_session *session;
	struct seen seen;
	uint64_t now;
};

static int session_set_up_greeting(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	assert_non_null(bench);
	const struct dataplane_events events = {.context = &bench->seen,
		.connected = seen_up,
		.refused = seen_refused,
		.punt = seen_punt,
		.native_punt = seen_native_punt,
		.expired = seen_expired,
		.neighbour_wanted = seen_wanted,
		.resync = seen_resync};
	bench->now = 1000;
	bench->session = dataplane_session_create(&events);
	assert_non_null(bench->session);
	assert_true(dataplane_session_begin(bench->session, bench->now));
	*state = bench;
	return 0;
}

static int receive(struct bench *bench, struct datagram *from)
{
	int rc = dataplane_session_receive(
		bench->session, from->data, from->batch.length, bench->now);
	for (uint32_t i = 0; i < from->batch.length; i++)
		assert_int_equal(from->data[i], 0); // wiped
	return rc;
}

// How many datagrams wait, all taken.
static unsigned take_output(struct bench *bench)
{
	unsigned count = 0;
	size_t size;
	while (dataplane_session_output(bench->session, &size)) {
		dataplane_session_sent(bench->session);
		count++;
	}
	return count;
}

static int session_set_up(void **state)
{
	session_set_up_greeting(state);
	struct bench *bench = *state;
	assert_int_equal(take_output(bench), 1);
	assert_int_equal(receive(bench, add_hello(empty(), 1, 7)), 0);
	assert_true(dataplane_session_ready(bench->session));
	return 0;
}

static int session_tear_down(void **state)
{
	struct bench *bench = *state;
	dataplane_session_free(bench->session);
	free(bench);
	return 0;
}

static uint32_t ask(struct bench *bench, enum api_type type, struct answers *answers)
{
	return dataplane_session_request(bench->session, type, NULL, 0, false, answered, answers);
}

static void test_hello(void **state)
{
	struct bench *bench = *state;
	size_t size;
	const uint8_t *data = dataplane_session_output(bench->session, &size);
	const uint8_t *end = data + size;
	struct api_frame frame = {0};
	struct api_hello hello;
	assert_int_equal(api_frame_next(&data, end, &frame), 1);
	assert_ptr_equal(data, end);
	assert_int_equal(frame.header.id, 1);
	assert_int_equal(frame.header.type, API_HELLO);
	memcpy(&hello, frame.payload, sizeof(hello));
	assert_int_equal(hello.version, API_VERSION);
	assert_int_equal(hello.role, API_ROLE_CONTROL);
	// Nothing else before the answer.
	struct answers answers = {0};
	assert_int_equal(ask(bench, API_PORTS, &answers), 0);
	dataplane_session_sent(bench->session);
	assert_int_equal(receive(bench, add_hello(empty(), 1, 42)), 0);
	assert_int_equal(bench->seen.ups, 1);
	assert_int_equal(bench->seen.instance, 42);
	assert_true(ask(bench, API_PORTS, &answers) != 0);
	dataplane_session_end(bench->session);
	assert_int_equal(answers.ends, 1);
}

static void test_refused(void **state)
{
	struct bench *bench = *state;
	assert_int_equal(receive(bench, add_result(empty(), 1, API_HELLO, -EBUSY)), -ECONNREFUSED);
	assert_int_equal(bench->seen.refusal, -EBUSY);
	assert_int_equal(bench->seen.ups, 0);
	dataplane_session_end(bench->session);
	assert_true(dataplane_session_begin(bench->session, bench->now));
	const struct api_hello_answer hello = {.version = API_VERSION + 1};
	assert_int_equal(
		receive(bench, add(empty(), 2, API_HELLO, &hello, sizeof(hello))), -ECONNREFUSED);
	assert_int_equal(bench->seen.refusal, -EPROTO);
	assert_false(dataplane_session_ready(bench->session));
}

static void test_stream_in_parts(void **state)
{
	struct bench *bench = *state;
	struct answers snapshot = {0}, other = {0};
	uint32_t id = ask(bench, API_SNAPSHOT, &snapshot);
	uint32_t install = dataplane_session_request(
		bench->session, API_CHANNEL_BIND, "12345678", 8, false, answered, &other);
	struct api_snapshot_item items[2] = {{.allocation_id = 11}, {.allocation_id = 22}};
	// One item in a message, then two, with another answer between, then the end.
	assert_int_equal(
		receive(bench, add(empty(), id, API_SNAPSHOT, &items[0], sizeof(items[0]))), 0);
	assert_int_equal(snapshot.items, 1);
	add(empty(), id, API_SNAPSHOT, items, sizeof(items));
	assert_int_equal(receive(bench, add_result(&datagram, install, API_CHANNEL_BIND, 0)), 0);
	assert_int_equal(other.ends, 1);
	assert_int_equal(snapshot.items, 3);
	assert_int_equal(snapshot.first_bytes[1], 11);
	assert_int_equal(snapshot.first_bytes[2], 22);
	assert_int_equal(snapshot.ends, 0);
	assert_int_equal(receive(bench, add_result(empty(), id, API_SNAPSHOT, 0)), 0);
	assert_int_equal(snapshot.ends, 1);
	assert_int_equal(snapshot.result, 0);
	// A second end answers nobody.
	assert_int_equal(receive(bench, add_result(empty(), id, API_SNAPSHOT, 0)), -EBADMSG);
}

static void test_errors_end_requests(void **state)
{
	struct bench *bench = *state;
	struct answers list = {0}, gauges = {0}, install = {0};
	uint32_t list_id = ask(bench, API_COUNTERS, &list);
	uint32_t gauges_id = ask(bench, API_GAUGES, &gauges);
	uint32_t install_id = ask(bench, API_ALLOCATION_INSTALL, &install);
	// In another order than asked.
	add_result(empty(), install_id, API_ALLOCATION_INSTALL, -EADDRINUSE);
	add_result(&datagram, gauges_id, API_GAUGES, -EINVAL);
	assert_int_equal(receive(bench, add_result(&datagram, list_id, API_COUNTERS, -EPERM)), 0);
	assert_int_equal(install.result, -EADDRINUSE);
	assert_int_equal(install.last_id, install_id);
	assert_int_equal(gauges.result, -EINVAL);
	assert_int_equal(list.result, -EPERM);
	assert_int_equal(install.ends + gauges.ends + list.ends, 3);
	assert_int_equal(dataplane_session_in_flight(bench->session), 0);
}

static void test_events(void **state)
{
	struct bench *bench = *state;
	struct {
		struct api_punt punt;
		uint8_t payload[24];
	} punt = {.punt.length = 21, .payload[20] = 0x5A};
	const struct api_expired expired = {.allocation_id = 99};
	const struct api_neighbour_wanted wanted = {.ifindex = 2};
	add(empty(), 0, API_PUNT, &punt, sizeof(punt.punt) + 21);
	add(&datagram, 0, API_EXPIRED, &expired, sizeof(expired));
	add(&datagram, 0, API_NEIGHBOUR_WANTED, &wanted, sizeof(wanted));
	add(&datagram, 0, API_RESYNC, NULL, 0);
	assert_int_equal(receive(bench, &datagram), 0);
	assert_int_equal(bench->seen.punts, 1);
	assert_int_equal(bench->seen.punt_last_byte, 0x5A);
	assert_int_equal(bench->seen.expired_id, 99);
	assert_int_equal(bench->seen.wanted, 1);
	assert_int_equal(bench->seen.resyncs, 1);
	struct {
		struct api_native_punt punt;
		uint8_t payload[48];
	} native = {.punt.length = 45, .punt.issued = 77, .payload[44] = 0x5B};
	add(empty(), 0, API_NATIVE_PUNT, &native, sizeof(native.punt) + 45);
	assert_int_equal(receive(bench, &datagram), 0);
	assert_int_equal(bench->seen.native_punts, 1);
	assert_int_equal(bench->seen.punt_last_byte, 0x5B);
}

// An answer counts only with the payload of its type.
static void test_answers_of_the_native_protocol(void **state)
{
	struct bench *bench = *state;
	struct answers installed = {0}, delivered = {0}, set = {0};
	uint8_t bytes[64] = {0};
	uint32_t install = ask(bench, API_HANDLES_INSTALL, &installed);
	uint32_t deliver = ask(bench, API_NATIVE_DELIVER, &delivered);
	uint32_t lease = ask(bench, API_LEASE_SET, &set);
	assert_int_equal(
		receive(bench, add(empty(), install, API_HANDLES_INSTALL, bytes, 12)), -EBADMSG);
	assert_int_equal(
		receive(bench, add(empty(), deliver, API_NATIVE_DELIVER, NULL, 0)), -EBADMSG);
	assert_int_equal(receive(bench, add(empty(), lease, API_LEASE_SET, bytes, 4)), -EBADMSG);
	assert_int_equal(installed.ends + delivered.ends + set.ends, 0);
	add(empty(), install, API_HANDLES_INSTALL, bytes, sizeof(struct api_handles_installed));
	add(&datagram, deliver, API_NATIVE_DELIVER, bytes, sizeof(struct api_native_delivered));
	add_result(&datagram, lease, API_LEASE_SET, -ESTALE);
	assert_int_equal(receive(bench, &datagram), 0);
	assert_int_equal(installed.ends + delivered.ends, 2);
	assert_int_equal(installed.result, 0);
	assert_int_equal(set.result, -ESTALE);
}

static void test_bad_messages(void **state)
{
	struct bench *bench = *state;
	struct answers answers = {0};
	uint8_t bytes[256] = {0};
	struct api_punt punt = {.length = 4};
	struct api_native_punt native = {.length = 4};
	uint32_t ports = ask(bench, API_PORTS, &answers);
	uint32_t gauges = ask(bench, API_GAUGES, &answers);
	uint32_t drain = ask(bench, API_DRAIN, &answers);
	const struct {
		uint32_t id, type, size;
		const void *payload;
	} bad[] = {
		{77, API_PORTS, 0, NULL},      // nobody asked
		{ports, API_WORKERS, 0, NULL}, // something else
		{ports, API_PORTS, sizeof(struct api_port) + 4, bytes},
		{ports, API_PORTS, 4, bytes},
		{gauges, API_GAUGES, 0, NULL}, // success without the gauges
		{gauges, API_GAUGES, sizeof(struct api_gauges) + 8, bytes},
		{drain, API_DRAIN, 4, bytes}, // a payload where none belongs
		{0, API_PUNT, sizeof(punt) - 4, &punt},
		{0, API_PUNT, sizeof(punt), &punt}, // its four bytes are missing
		{0, API_NATIVE_PUNT, sizeof(native) - 4, &native},
		{0, API_NATIVE_PUNT, sizeof(native), &native},
		{0, API_EXPIRED, 8, bytes},
		{0, API_NEIGHBOUR_WANTED, 28, bytes},
		{0, API_RESYNC, 4, bytes},
		{0, API_SNAPSHOT, 0, NULL}, // no event
		{0, 1000, 0, NULL},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(receive(bench, add(empty(), bad[i].id, bad[i].type, bad[i].payload,
							bad[i].size)),
			-EBADMSG);
	// An event with an error, a header cut short, a length behind the end.
	assert_int_equal(receive(bench, add_result(empty(), 0, API_EXPIRED, -1)), -EBADMSG);
	add(empty(), 0, API_RESYNC, NULL, 0);
	datagram.batch.length -= 1;
	assert_int_equal(receive(bench, &datagram), -EBADMSG);
	add(empty(), 0, API_EXPIRED, bytes, 16);
	datagram.batch.length -= 4;
	assert_int_equal(receive(bench, &datagram), -EBADMSG);
	assert_int_equal(answers.ends, 0);
	assert_int_equal(bench->seen.punts + bench->seen.expiries + bench->seen.resyncs, 0);
	assert_int_equal(bench->seen.native_punts, 0);
	// What the requests were made for is told when the owner ends the connection.
	dataplane_session_end(bench->session);
	assert_int_equal(answers.ends, 3);
	assert_int_equal(answers.result, -ENOTCONN);
}

static void test_never_answers(void **state)
{
	struct bench *bench = *state;
	struct answers stream = {0};
	struct api_worker item = {0};
	// Long silence without a request is no trouble, nor does it count for the next one.
	assert_false(dataplane_session_tick(bench->session, bench->now += 100000));
	uint32_t id = ask(bench, API_WORKERS, &stream);
	assert_false(dataplane_session_tick(
		bench->session, bench->now += DATAPLANE_ANSWER_TIMEOUT_MS - 1));
	// A stream that goes on is fine.
	assert_int_equal(receive(bench, add(empty(), id, API_WORKERS, &item, sizeof(item))), 0);
	assert_false(dataplane_session_tick(
		bench->session, bench->now += DATAPLANE_ANSWER_TIMEOUT_MS - 1));
	assert_true(dataplane_session_tick(bench->session, bench->now += 1));
	dataplane_session_end(bench->session);
	assert_int_equal(stream.result, -ENOTCONN);
}

static void test_greeting_never_answered(void **state)
{
	struct bench *bench = *state;
	assert_false(dataplane_session_tick(bench->session, bench->now += 5000));
	assert_true(
		dataplane_session_tick(bench->session, bench->now += DATAPLANE_ANSWER_TIMEOUT_MS));
}

static void test_many_installs_in_few_sends(void **state)
{
	struct bench *bench = *state;
	struct answers answers = {0};
	struct api_allocation_install install = {.allocation_id = 1};
	uint32_t first = 0, last = 0;
	for (unsigned i = 0; i < 1000; i++) {
		last = dataplane_session_request(bench->session, API_ALLOCATION_INSTALL, &install,
			sizeof(install), false, answered, &answers);
		if (!first)
			first = last;
	}
	assert_int_equal(last, first + 999);
	assert_int_equal(dataplane_session_in_flight(bench->session), 1000);
	// 1000 times 12 + 144 bytes.
	assert_int_equal(take_output(bench), 3);
	empty();
	for (unsigned i = 0; i < 1000; i++)
		add_result(&datagram, first + i, API_ALLOCATION_INSTALL, 0);
	assert_int_equal(receive(bench, &datagram), 0);
	assert_int_equal(answers.ends, 1000);
}

static void test_bounds(void **state)
{
	struct bench *bench = *state;
	struct answers answers = {0};
	static uint8_t payload[16000];
	// A dataplane that reads nothing: a bounded number of bytes waits, bulk stops first.
	unsigned bulk = 0, urgent = 0;
	while (dataplane_session_request(
		bench->session, API_ROUTE_SET, payload, sizeof(payload), true, answered, &answers))
		bulk++;
	assert_int_equal(bulk, 4 * (DATAPLANE_BATCHES_BULK - 1) + 1);
	assert_false(dataplane_session_has_room(bench->session));
	while (dataplane_session_request(bench->session, API_PERMISSIONS_INSTALL, payload,
		sizeof(payload), false, answered, &answers))
		urgent++;
	assert_int_equal(bulk + urgent, 4 * DATAPLANE_BATCHES_MAX);
	assert_false(dataplane_session_send(
		bench->session, API_PACKET_SEND, payload, 56, payload, 15000));
	take_output(bench);
	// One that reads and does not answer: a bounded number of requests.
	bulk = urgent = 0;
	while (dataplane_session_request(
		bench->session, API_ROUTE_SET, payload, 224, true, answered, &answers)) {
		bulk++;
		take_output(bench);
	}
	while (ask(bench, API_ALLOCATION_REMOVE, &answers)) {
		urgent++;
		take_output(bench);
	}
	assert_int_equal(dataplane_session_in_flight(bench->session), DATAPLANE_REQUESTS_MAX);
	assert_true(urgent >= DATAPLANE_REQUESTS_MAX - DATAPLANE_REQUESTS_BULK);
	dataplane_session_end(bench->session);
	assert_int_equal(answers.ends, DATAPLANE_REQUESTS_MAX);
}

static void test_ids_skip_what_is_in_flight(void **state)
{
	struct bench *bench = *state;
	struct answers slow = {0}, quick = {0};
	uint32_t slow_id = ask(bench, API_SNAPSHOT, &slow);
	// So many that ids come around to the slow one's slot several times.
	for (unsigned i = 0; i < 3 * DATAPLANE_REQUESTS_MAX; i++) {
		uint32_t id = ask(bench, API_DRAIN, &quick);
		assert_true(id != 0 && (id - slow_id) % DATAPLANE_REQUESTS_MAX != 0);
		take_output(bench);
		assert_int_equal(receive(bench, add_result(empty(), id, API_DRAIN, 0)), 0);
	}
	assert_int_equal(quick.ends, 3 * DATAPLANE_REQUESTS_MAX);
	assert_int_equal(receive(bench, add_result(empty(), slow_id, API_SNAPSHOT, 0)), 0);
	assert_int_equal(slow.ends, 1);
}

static void test_sent_is_wiped(void **state)
{
	struct bench *bench = *state;
	const struct api_packet_send send = {.length = 8, .destination.port = 4242};
	assert_true(dataplane_session_send(
		bench->session, API_PACKET_SEND, &send, sizeof(send), "12345678", 8));
	size_t size;
	const uint8_t *data = dataplane_session_output(bench->session, &size);
	assert_int_equal(size, 12 + 56 + 8);
	assert_memory_equal(data + 12 + 56, "12345678", 8);
	dataplane_session_sent(bench->session);
	for (size_t i = 0; i < size; i++)
		assert_int_equal(data[i], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define GREETING(name)                                                                             \
	cmocka_unit_test_setup_teardown(name, session_set_up_greeting, session_tear_down)
#define SESSION(name) cmocka_unit_test_setup_teardown(name, session_set_up, session_tear_down)
		GREETING(test_hello),
		GREETING(test_refused),
		GREETING(test_greeting_never_answered),
		SESSION(test_stream_in_parts),
		SESSION(test_errors_end_requests),
		SESSION(test_events),
		SESSION(test_answers_of_the_native_protocol),
		SESSION(test_bad_messages),
		SESSION(test_never_answers),
		SESSION(test_many_installs_in_few_sends),
		SESSION(test_bounds),
		SESSION(test_ids_skip_what_is_in_flight),
		SESSION(test_sent_is_wiped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
