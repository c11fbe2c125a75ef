// SPDX-License-Identifier: BSD-3-Clause
// The link to the dataplane on a real socket, with a dataplane played by the test in the same
// thread.
#include "tests/unit/dataplane_link_seen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

// ---- the link on a socket ----

struct stage {
	uv_loop_t loop;
	char folder[32], path[64];
	int listener, client; // -1: none
	struct dataplane_link *link;
	struct seen seen;
	struct answers answers;
	uint32_t hello_id;
	uint8_t received[API_DATAGRAM_MAX];
};

static void listen_at(struct stage *stage)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strcpy(address.sun_path, stage->path);
	unlink(stage->path);
	stage->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
	assert_true(stage->listener >= 0);
	assert_int_equal(
		bind(stage->listener, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(stage->listener, 4), 0);
}

static int link_set_up(void **state)
{
	struct stage *stage = calloc(1, sizeof(*stage));
	assert_non_null(stage);
	strcpy(stage->folder, "/tmp/test_link.XXXXXX");
	assert_non_null(mkdtemp(stage->folder));
	snprintf(stage->path, sizeof(stage->path), "%s/dataplane.sock", stage->folder);
	stage->listener = stage->client = -1;
	assert_int_equal(uv_loop_init(&stage->loop), 0);
	const struct dataplane_link_events events = {.context = &stage->seen,
		.up = seen_up,
		.down = seen_down,
		.punt = seen_punt,
		.native_punt = seen_native_punt,
		.expired = seen_expired,
		.neighbour_wanted = seen_wanted,
		.resync = seen_resync,
		.room = seen_room};
	assert_int_equal(dataplane_link_open(&stage->loop, stage->path, &events, &stage->link), 0);
	*state = stage;
	return 0;
}

static int link_tear_down(void **state)
{
	struct stage *stage = *state;
	dataplane_link_close(stage->link);
	uv_run(&stage->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&stage->loop), 0);
	if (stage->listener >= 0)
		close(stage->listener);
	if (stage->client >= 0)
		close(stage->client);
	unlink(stage->path);
	rmdir(stage->folder);
	free(stage);
	return 0;
}

static uint64_t now_ms(void)
{
	return uv_hrtime() / 1000000;
}

// Turns the loop until the condition holds.
#define TURN_UNTIL(stage, condition)                                                               \
	do {                                                                                       \
		uint64_t deadline = now_ms() + 5000;                                               \
		while (!(condition)) {                                                             \
			assert_true(now_ms() < deadline);                                          \
			uv_run(&(stage)->loop, UV_RUN_NOWAIT);                                     \
			nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);                    \
		}                                                                                  \
	} while (0)

static bool accepted(struct stage *stage)
{
	if (stage->client >= 0)
		close(stage->client);
	stage->client = accept4(stage->listener, NULL, NULL, SOCK_NONBLOCK);
	return stage->client >= 0;
}

// The next datagram; its first frame.
static bool received(struct stage *stage, struct api_frame *first)
{
	ssize_t n = recv(stage->client, stage->received, sizeof(stage->received), 0);
	if (n <= 0)
		return false;
	const uint8_t *position = stage->received;
	return api_frame_next(&position, stage->received + n, first) == 1;
}

static void reply(struct stage *stage, struct datagram *from)
{
	assert_int_equal(send(stage->client, from->data, from->batch.length, 0),
		(ssize_t)from->batch.length);
}

static void accept_and_greet(struct stage *stage, uint64_t instance)
{
	struct api_frame frame = {0};
	unsigned before = stage->seen.ups;
	TURN_UNTIL(stage, accepted(stage));
	TURN_UNTIL(stage, received(stage, &frame));
	assert_int_equal(frame.header.type, API_HELLO);
	stage->hello_id = frame.header.id;
	reply(stage, add_hello(empty(), frame.header.id, instance));
	TURN_UNTIL(stage, stage->seen.ups == before + 1);
	assert_true(dataplane_link_up(stage->link));
}

static void hang_up(struct stage *stage)
{
	unsigned before = stage->seen.downs;
	close(stage->client);
	stage->client = -1;
	TURN_UNTIL(stage, stage->seen.downs == before + 1);
	assert_false(dataplane_link_up(stage->link));
}

static void test_dataplane_starts_later(void **state)
{
	struct stage *stage = *state;
	TURN_UNTIL(stage, dataplane_link_trouble(stage->link) == DATAPLANE_LINK_NO_SOCKET);
	listen_at(stage);
	accept_and_greet(stage, 1);
	assert_int_equal(dataplane_link_trouble(stage->link), DATAPLANE_LINK_FINE);
	TURN_UNTIL(stage, stage->seen.rooms > 0);
}

static void test_dataplane_restarts(void **state)
{
	struct stage *stage = *state;
	listen_at(stage);
	accept_and_greet(stage, 1);
	assert_true(dataplane_link_request(
		stage->link, API_SNAPSHOT, NULL, 0, answered, &stage->answers));
	hang_up(stage);
	assert_int_equal(stage->answers.ends, 1);
	assert_int_equal(stage->answers.result, -ENOTCONN);
	assert_int_equal(dataplane_link_request(
				 stage->link, API_SNAPSHOT, NULL, 0, answered, &stage->answers),
		0);
	close(stage->listener);
	listen_at(stage);
	accept_and_greet(stage, 2);
	assert_int_equal(stage->seen.instance, 2);
	assert_int_equal(dataplane_link_counters(stage->link)->connections, 2);
}

static void test_dataplane_is_busy(void **state)
{
	struct stage *stage = *state;
	struct api_frame frame = {0};
	listen_at(stage);
	for (unsigned i = 0; i < 3; i++) {
		TURN_UNTIL(stage, accepted(stage));
		TURN_UNTIL(stage, received(stage, &frame));
		reply(stage, add_result(empty(), frame.header.id, API_HELLO, -EBUSY));
		TURN_UNTIL(stage, dataplane_link_trouble(stage->link) == DATAPLANE_LINK_BUSY);
		assert_false(dataplane_link_up(stage->link));
	}
	assert_int_equal(stage->seen.downs, 0);
	accept_and_greet(stage, 1);
}

static void test_bad_message_starts_anew(void **state)
{
	struct stage *stage = *state;
	listen_at(stage);
	accept_and_greet(stage, 1);
	reply(stage, add(empty(), 0, 1000, NULL, 0));
	TURN_UNTIL(stage, stage->seen.downs == 1);
	assert_int_equal(dataplane_link_trouble(stage->link), DATAPLANE_LINK_BAD_MESSAGE);
	assert_int_equal(dataplane_link_counters(stage->link)->bad_messages, 1);
	accept_and_greet(stage, 1);
}

static void test_restart_within_up(void **state)
{
	struct stage *stage = *state;
	struct api_frame frame = {0};
	listen_at(stage);
	TURN_UNTIL(stage, accepted(stage));
	TURN_UNTIL(stage, received(stage, &frame));
	stage->seen.restart_on_up = stage->link;
	// What follows hello in its datagram is not delivered.
	add_hello(empty(), frame.header.id, 1);
	reply(stage, add(&datagram, 0, API_RESYNC, NULL, 0));
	TURN_UNTIL(stage, stage->seen.downs == 1);
	assert_int_equal(stage->seen.resyncs, 0);
	accept_and_greet(stage, 1);
}

static void test_one_send_a_turn(void **state)
{
	struct stage *stage = *state;
	struct api_allocation_change change = {.allocation_id = 1};
	listen_at(stage);
	accept_and_greet(stage, 1);
	uint64_t before = dataplane_link_counters(stage->link)->datagrams_out;
	uint32_t first = 0;
	for (unsigned i = 0; i < 1000; i++) {
		uint32_t id = dataplane_link_request(stage->link, API_ALLOCATION_REFRESH, &change,
			sizeof(change), answered, &stage->answers);
		first = first ? first : id;
	}
	struct api_frame frame = {0};
	TURN_UNTIL(stage, received(stage, &frame));
	assert_int_equal(frame.header.id, first);
	assert_int_equal(dataplane_link_counters(stage->link)->datagrams_out, before + 1);
	empty();
	for (unsigned i = 0; i < 1000; i++)
		add_result(&datagram, first + i, API_ALLOCATION_REFRESH, 0);
	reply(stage, &datagram);
	TURN_UNTIL(stage, stage->answers.ends == 1000);
}

static void test_dataplane_that_reads_nothing(void **state)
{
	struct stage *stage = *state;
	static uint8_t payload[1200];
	const struct api_packet_send send = {.length = sizeof(payload)};
	listen_at(stage);
	accept_and_greet(stage, 1);
	// Neither does it hold us up, nor do we keep more and more for it.
	TURN_UNTIL(stage, (dataplane_link_send(stage->link, &send, payload),
				  dataplane_link_send(stage->link, &send, payload),
				  dataplane_link_counters(stage->link)->sends_dropped > 100));
	assert_true(dataplane_link_up(stage->link));
	// And when it reads again, all goes on.
	struct api_frame frame = {0};
	unsigned taken = 0;
	TURN_UNTIL(stage, (taken += received(stage, &frame)) > DATAPLANE_BATCHES_MAX);
	assert_int_equal(frame.header.type, API_PACKET_SEND);
}

static void test_close_answers_requests(void **state)
{
	struct stage *stage = *state;
	listen_at(stage);
	accept_and_greet(stage, 1);
	dataplane_link_request(stage->link, API_GAUGES, NULL, 0, answered, &stage->answers);
	dataplane_link_close(stage->link);
	assert_int_equal(stage->answers.ends, 1);
	assert_int_equal(stage->seen.downs, 1);
	uv_run(&stage->loop, UV_RUN_DEFAULT);
	stage->link = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define LINK(name) cmocka_unit_test_setup_teardown(name, link_set_up, link_tear_down)
		LINK(test_dataplane_starts_later),
		LINK(test_dataplane_restarts),
		LINK(test_dataplane_is_busy),
		LINK(test_bad_message_starts_anew),
		LINK(test_restart_within_up),
		LINK(test_one_send_a_turn),
		LINK(test_dataplane_that_reads_nothing),
		LINK(test_close_answers_requests),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
