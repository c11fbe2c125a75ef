// SPDX-License-Identifier: BSD-3-Clause
// What the TURN client makes of servers that refuse, of others' datagrams, and of owners that ask
// for too much. Virtual clock.
#include "tests/unit/turn_world.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct turn_world w;

static int begin(void **state)
{
	(void)state;
	world_begin(&w, 1);
	return 0;
}

static int end(void **state)
{
	(void)state;
	world_end(&w);
	return 0;
}

static uint64_t counted(enum turn_client_counter counter)
{
	return turn_client_counter(w.client, counter);
}
#define COUNTED(name) counted(TURN_CLIENT_COUNTER_##name)

static void allocated(void)
{
	unsigned from = w.event_count;
	turn_client_start(w.client, w.now_ms);
	assert_non_null(world_wait(&w, from, TURN_CLIENT_ALLOCATED, 60000));
}

static void failed(enum turn_client_failure why, unsigned code, uint64_t within_ms)
{
	unsigned from = w.event_count;
	turn_client_start(w.client, w.now_ms);
	struct world_event *event = world_wait(&w, from, TURN_CLIENT_FAILED, within_ms);
	assert_non_null(event);
	assert_int_equal(event->event.failed.why, why);
	assert_int_equal(event->event.failed.code, code);
	assert_null(world_find(&w, from, TURN_CLIENT_ALLOCATED));
	assert_true(turn_client_deadline(w.client) == ENDPOINT_NEVER);
}

static int send_text(const struct endpoint_transport *peer, const char *text)
{
	return turn_client_send(w.client, peer, text, strlen(text), w.now_ms);
}

static void each_refusal_has_its_reason(void **state)
{
	(void)state;
	static const struct {
		unsigned code;
		enum turn_client_failure why;
	} cases[] = {
		{441, TURN_CLIENT_CREDENTIALS},
		{486, TURN_CLIENT_QUOTA},
		{508, TURN_CLIENT_CAPACITY},
		{437, TURN_CLIENT_MISMATCH},
		{440, TURN_CLIENT_UNSUPPORTED},
		{442, TURN_CLIENT_UNSUPPORTED},
		{420, TURN_CLIENT_UNSUPPORTED},
		{403, TURN_CLIENT_UNSUPPORTED},
		{300, TURN_CLIENT_UNSUPPORTED},
		{400, TURN_CLIENT_PROTOCOL},
		{500, TURN_CLIENT_PROTOCOL},
		{699, TURN_CLIENT_PROTOCOL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		w.server.refuse_method = STUN_ALLOCATE;
		w.server.refuse_code = cases[i].code;
		w.server.refuse_times = 1;
		failed(cases[i].why, cases[i].code, 100);
		allocated(); // and the next try is not burdened by it
		turn_client_release(w.client, w.now_ms);
		world_run(&w, 100);
	}
}

static void a_quota_is_the_servers_word(void **state)
{
	(void)state;
	w.server.quota = 0;
	failed(TURN_CLIENT_QUOTA, 486, 100);
}

static void wrong_credentials_are_tried_once(void **state)
{
	(void)state;
	for (unsigned algorithms = 0; algorithms < 2; algorithms++) {
		w.server.algorithms = algorithms;
		w.config.password = "open barley";
		world_client_make(&w);
		memset(w.server.seen, 0, sizeof(w.server.seen));
		failed(TURN_CLIENT_CREDENTIALS, 401, 100);
		assert_int_equal(w.server.seen[STUN_ALLOCATE], 2);
	}
	assert_int_equal(turn_client_set_credentials(w.client, "ann", "open sesame"), 0);
	allocated();
	assert_int_equal(turn_client_set_credentials(w.client, "ann", "other"), -EBUSY);
	// None at all where some are wanted.
	w.config.user = NULL;
	world_client_make(&w);
	failed(TURN_CLIENT_CREDENTIALS, 401, 100);
}

// A refusal without a proof may be anybody's: the third one is believed, or the last when no answer
// comes in the end.
static void refusals_without_a_proof_are_doubted(void **state)
{
	(void)state;
	w.server.refuse_method = STUN_ALLOCATE;
	w.server.refuse_code = 486;
	w.server.refuse_bare = true;
	w.server.refuse_times = 2;
	allocated();
	assert_int_equal(COUNTED(ignored_integrity), 2);
	turn_client_release(w.client, w.now_ms);
	world_run(&w, 100);
	w.server.refuse_times = 3;
	failed(TURN_CLIENT_QUOTA, 486, 2000);
	w.server.refuse_times = 1;
	unsigned from = w.event_count;
	turn_client_start(w.client, w.now_ms);
	world_run(&w, 50);
	w.server.dead = true;
	struct world_event *event = world_wait(&w, from, TURN_CLIENT_FAILED, 60000);
	assert_non_null(event);
	assert_int_equal(event->event.failed.why, TURN_CLIENT_QUOTA);
}

static void wrong_proofs_are_as_nothing(void **state)
{
	(void)state;
	for (unsigned algorithms = 0; algorithms < 2; algorithms++) {
		w.server.algorithms = algorithms;
		w.server.forge = true;
		w.server.quota = 4 * algorithms; // a refusal, and a success
		world_client_make(&w);
		failed(TURN_CLIENT_UNREACHABLE, 0, 60000);
		assert_int_equal(COUNTED(ignored_integrity), 7);
	}
}

static void a_nonce_stripped_of_its_algorithms_is_ignored(void **state)
{
	(void)state;
	w.server.strip_algorithms = true;
	failed(TURN_CLIENT_UNREACHABLE, 0, 60000);
	assert_int_equal(COUNTED(ignored_downgrade), 7);
	assert_int_equal(w.server.authenticated, 0);
}

static void make_nonces_stale(struct turn_world *world, bool to_server, uint8_t *data, size_t *size)
{
	(void)data;
	(void)size;
	world->server.nonce_age += !to_server;
}

static void nonces_that_are_never_good_end_it(void **state)
{
	(void)state;
	w.look = make_nonces_stale;
	failed(TURN_CLIENT_PROTOCOL, 438, 1000);
	assert_in_range(w.server.seen[STUN_ALLOCATE], 3, 5);
}

static void a_peer_that_is_not_let_through(void **state)
{
	(void)state;
	struct endpoint_transport peer = world_peer(1), other = world_peer(2);
	w.server.denied = world_net(&peer).address;
	allocated();
	assert_int_equal(send_text(&peer, "secret"), 0);
	assert_int_equal(send_text(&other, "other"), 0);
	struct world_event *event = world_wait(&w, 0, TURN_CLIENT_DENIED, 100);
	assert_non_null(event);
	assert_int_equal(event->event.failed.code, 403);
	assert_int_equal(event->event.peer.address[3], 1);
	assert_int_equal(send_text(&peer, "again"), -EACCES);
	assert_int_equal(turn_client_bind(w.client, &peer, w.now_ms), -EACCES);
	world_run(&w, 100);
	assert_int_equal(w.delivery_count, 1);
	assert_int_equal(w.server.seen[STUN_CREATE_PERMISSION], 2);
	// After a while it is worth another try.
	world_run(&w, 10000);
	w.server.denied.family = 0;
	assert_int_equal(send_text(&peer, "later"), 0);
	world_run(&w, 100);
	assert_int_equal(w.delivery_count, 2);
	assert_memory_equal(w.deliveries[1].data, "later", 5);
}

static void without_a_channel_data_goes_on(void **state)
{
	(void)state;
	struct endpoint_transport peer = world_peer(1);
	allocated();
	w.server.refuse_method = STUN_CHANNEL_BIND;
	w.server.refuse_code = 400;
	w.server.refuse_times = 1;
	assert_int_equal(turn_client_bind(w.client, &peer, w.now_ms), 0);
	for (unsigned i = 0; i < 12; i++) {
		world_run(&w, 1000);
		assert_int_equal(send_text(&peer, "x"), 0);
	}
	world_run(&w, 100);
	assert_int_equal(w.delivery_count, 12);
	assert_false(w.deliveries[5].by_channel);
	assert_true(w.deliveries[11].by_channel); // asked again after 10 s
	assert_int_equal(w.server.seen[STUN_CHANNEL_BIND], 2);
	assert_null(world_find(&w, 0, TURN_CLIENT_DENIED));
}

static void peers_are_bounded(void **state)
{
	(void)state;
	struct turn_client_usage usage;
	allocated();
	struct endpoint_transport peer = world_peer(0);
	for (unsigned i = 0; i < TURN_CLIENT_PERMISSIONS_MAX; i++) {
		peer = world_peer(i);
		assert_int_equal(turn_client_bind(w.client, &peer, w.now_ms),
			i < TURN_CLIENT_CHANNELS_MAX ? 0 : -ENOSPC);
	}
	peer = world_peer(100);
	assert_int_equal(turn_client_permit(w.client, &peer, w.now_ms), -ENOSPC);
	world_run(&w, 100);
	turn_client_usage(w.client, &usage);
	assert_int_equal(usage.permissions, TURN_CLIENT_PERMISSIONS_MAX);
	assert_int_equal(usage.channels, TURN_CLIENT_CHANNELS_MAX);
	// One that nothing goes to makes room; those with channels do not.
	world_run(&w, 11000);
	for (unsigned i = 0; i < TURN_CLIENT_PERMISSIONS_MAX - TURN_CLIENT_CHANNELS_MAX; i++) {
		peer = world_peer(100 + i);
		assert_int_equal(turn_client_permit(w.client, &peer, w.now_ms), 0);
	}
	peer = world_peer(200);
	assert_int_equal(turn_client_permit(w.client, &peer, w.now_ms), -ENOSPC);
	world_run(&w, 100);
	turn_client_usage(w.client, &usage);
	assert_int_equal(usage.channels, TURN_CLIENT_CHANNELS_MAX);
	assert_null(world_find(&w, 0, TURN_CLIENT_DENIED));
}

// ---- others' datagrams ----

static uint8_t last_answer[1500];
static size_t last_answer_size;
static uint16_t wanted_method;

static void keep_answer(struct turn_world *world, bool to_server, uint8_t *data, size_t *size)
{
	struct stun_message m;
	(void)world;
	if (to_server || stun_parse(data, *size, &m) != 0 || m.method != wanted_method ||
		m.class != STUN_SUCCESS)
		return;
	memcpy(last_answer, data, *size);
	last_answer_size = *size;
	*size = 0; // kept back
}

static bool receive(const void *data, size_t size)
{
	return turn_client_receive(w.client, &world_server_address, data, size, w.now_ms);
}

// Every answer, with each bit turned and at each length, does nothing; then the whole one does.
static void altered_answers_do_nothing(void **state)
{
	(void)state;
	struct endpoint_transport peer = world_peer(1);
	static const uint16_t methods[] = {
		STUN_ALLOCATE, STUN_CREATE_PERMISSION, STUN_CHANNEL_BIND};
	w.look = keep_answer;
	for (size_t k = 0; k < 3; k++) {
		wanted_method = methods[k];
		last_answer_size = 0;
		if (k == 0)
			turn_client_start(w.client, w.now_ms);
		else if (k == 1)
			turn_client_permit(w.client, &peer, w.now_ms);
		else
			turn_client_bind(w.client, &peer, w.now_ms);
		while (last_answer_size == 0)
			assert_true(world_step(&w, w.now_ms + 1000));
		unsigned from = w.event_count;
		for (size_t i = 0; i < last_answer_size * 8; i++) {
			last_answer[i / 8] ^= (uint8_t)(1 << i % 8);
			receive(last_answer, last_answer_size);
			last_answer[i / 8] ^= (uint8_t)(1 << i % 8);
		}
		for (size_t i = 0; i < last_answer_size; i++)
			receive(last_answer, i);
		assert_int_equal(w.event_count, from);
		assert_false(turn_client_receive(
			w.client, &peer, last_answer, last_answer_size, w.now_ms));
		assert_int_equal(w.event_count, from);
		assert_true(receive(last_answer, last_answer_size));
		assert_int_equal(w.event_count, from + 1);
		// A second time it answers nothing any more.
		assert_false(receive(last_answer, last_answer_size));
		assert_int_equal(w.event_count, from + 1);
	}
	assert_int_equal(w.events[0].event.type, TURN_CLIENT_ALLOCATED);
	assert_int_equal(w.events[1].event.type, TURN_CLIENT_PERMITTED);
	assert_int_equal(w.events[2].event.type, TURN_CLIENT_BOUND);
}

static size_t data_indication(
	uint8_t out[1500], const struct endpoint_transport *from, uint16_t extra)
{
	struct net_endpoint e = world_net(from);
	struct stun_builder b =
		stun_begin(out, 1500, STUN_DATA, STUN_INDICATION, (const uint8_t *)"a transaction");
	stun_add_xor_address(&b, STUN_XOR_PEER_ADDRESS, &e);
	stun_add(&b, STUN_DATA_ATTRIBUTE, "data", 4);
	if (extra != 0)
		stun_add_u32(&b, extra, 1);
	return stun_finish(&b);
}

static void data_of_strangers_is_counted_and_ignored(void **state)
{
	(void)state;
	struct endpoint_transport peer = world_peer(1), stranger = world_peer(2);
	uint8_t out[1500];
	allocated();
	turn_client_bind(w.client, &peer, w.now_ms);
	world_run(&w, 100);
	unsigned from = w.event_count;
	assert_true(receive(out, data_indication(out, &stranger, 0)));
	assert_int_equal(COUNTED(ignored_peer), 1);
	assert_true(receive(out, data_indication(out, &peer, 0x7ABC))); // what must be understood
	assert_true(receive("\x4f\xff\0\4data", 8));
	assert_int_equal(COUNTED(ignored_channel), w.event_count == from);
	assert_true(receive("\x40", 1));
	assert_int_equal(COUNTED(ignored_malformed), 2);
	assert_false(receive("\x16\xfe\xfd", 3)); // DTLS: somebody else's on this socket
	assert_false(receive("", 0));
	assert_int_equal(COUNTED(ignored_type), 2);
	// A request of a peer, and an answer to somebody else's, are for others on this socket.
	struct stun_builder b = stun_begin(
		out, sizeof(out), STUN_BINDING, STUN_REQUEST, (const uint8_t *)"123456789012");
	assert_false(receive(out, stun_finish(&b)));
	b = stun_begin(
		out, sizeof(out), STUN_BINDING, STUN_SUCCESS, (const uint8_t *)"123456789012");
	assert_false(receive(out, stun_finish(&b)));
	assert_int_equal(COUNTED(ignored_transaction), 1);
	assert_int_equal(w.event_count, from);
	assert_true(receive(out, data_indication(out, &peer, 0)));
	assert_int_equal(w.event_count, from + 1);
}

// ---- owners ----

static void from_inside(struct turn_world *world, const struct turn_client_event *event)
{
	struct endpoint_transport peer = world_peer(1);
	uint64_t now = world->now_ms;
	switch (event->type) {
	case TURN_CLIENT_ALLOCATED:
		assert_int_equal(turn_client_bind(world->client, &peer, now), 0);
		break;
	case TURN_CLIENT_BOUND:
		assert_int_equal(turn_client_send(world->client, &peer, "hello", 5, now), 0);
		break;
	case TURN_CLIENT_DATA:
		turn_client_release(world->client, now);
		break;
	case TURN_CLIENT_RELEASED:
	case TURN_CLIENT_FAILED:
		turn_client_start(world->client, now);
		break;
	default:
		break;
	}
}

// All of it from inside of events: nothing is told twice or forgotten.
static void events_may_call_back(void **state)
{
	(void)state;
	struct endpoint_transport peer = world_peer(1);
	struct net_endpoint net = world_net(&peer);
	w.react = from_inside;
	w.server.refuse_method = STUN_ALLOCATE;
	w.server.refuse_code = 508;
	w.server.refuse_times = 1;
	turn_client_start(w.client, w.now_ms);
	for (unsigned i = 1; i <= 5; i++) {
		while (w.delivery_count < i)
			assert_true(world_step(&w, w.now_ms + 1000));
		server_from_peer(&w.server, server_find(&w.server, &w.outside), &net,
			(const uint8_t *)"enough", 6);
		world_run(&w, 15);
	}
	unsigned told[TURN_CLIENT_BOUND + 1] = {0};
	for (unsigned i = 0; i < w.event_count; i++)
		told[w.events[i].event.type]++;
	assert_int_equal(told[TURN_CLIENT_FAILED], 1);
	assert_int_equal(told[TURN_CLIENT_DATA], 5);
	assert_in_range(told[TURN_CLIENT_RELEASED], 4, 5);
	assert_in_range(told[TURN_CLIENT_ALLOCATED], 5, 6);
	assert_true(server_live(&w.server) <= 1);
}

static void a_silent_server_is_found_out(void **state)
{
	(void)state;
	allocated();
	uint64_t start = w.now_ms;
	w.server.dead = true;
	struct world_event *event = world_wait(&w, 0, TURN_CLIENT_FAILED, 120000);
	assert_non_null(event);
	assert_int_equal(event->event.failed.why, TURN_CLIENT_UNREACHABLE);
	assert_in_range(event->at - start, 15000 + 39500, 15000 + 45000);
}

static void nonsense_of_owners_is_refused(void **state)
{
	(void)state;
	const struct turn_client_output output = {&w, world_client_send, world_client_event, NULL};
	struct turn_client_config good = w.config, config = good;
	struct turn_client *client;
	char text[TURN_CLIENT_USER_MAX + 2];
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	config.family = 5;
	assert_int_equal(turn_client_create(&client, &config, &output), -EINVAL);
	config = good;
	config.server.family = 0;
	assert_int_equal(turn_client_create(&client, &config, &output), -EINVAL);
	config = good;
	config.password = NULL;
	assert_int_equal(turn_client_create(&client, &config, &output), -EINVAL);
	config = good;
	config.user = text;
	assert_int_equal(turn_client_create(&client, &config, &output), -EMSGSIZE);
	assert_null(client);
	turn_client_free(NULL);
	// The longest there is fits into a request.
	text[TURN_CLIENT_USER_MAX] = 0;
	w.server.user = w.config.user = text;
	world_client_make(&w);
	allocated();
	for (unsigned i = 0; i < TURN_CLIENT_COUNTER_COUNT; i++)
		assert_non_null(turn_client_counter_name((enum turn_client_counter)i));
	assert_null(turn_client_counter_name(TURN_CLIENT_COUNTER_COUNT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
		TEST(each_refusal_has_its_reason),
		TEST(a_quota_is_the_servers_word),
		TEST(wrong_credentials_are_tried_once),
		TEST(refusals_without_a_proof_are_doubted),
		TEST(wrong_proofs_are_as_nothing),
		TEST(a_nonce_stripped_of_its_algorithms_is_ignored),
		TEST(nonces_that_are_never_good_end_it),
		TEST(a_peer_that_is_not_let_through),
		TEST(without_a_channel_data_goes_on),
		TEST(peers_are_bounded),
		TEST(altered_answers_do_nothing),
		TEST(data_of_strangers_is_counted_and_ignored),
		TEST(events_may_call_back),
		TEST(a_silent_server_is_found_out),
		TEST(nonsense_of_owners_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
