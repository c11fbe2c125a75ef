// SPDX-License-Identifier: BSD-3-Clause
// Settings that change while workers run: what is answered and when, that no worker reads a slot
// that main writes, which relayed ports are served while earlier allocations live, and what the
// steering programs are told.
// wrap: dataplane_now_ms
// wrap: install_addresses
// wrap: steer_relay_ports
// wrap: next_hops_mark
#include "tests/unit/socket_bench.h"

#include "dataplane/table/relay_ports.h"
#include "ebpf/load.h"
#include "lib/config/difference.h"

#include <sodium.h>

static uint64_t now_ms;
static struct relay_ports ports;
static struct steer_settings steered[2]; // what each port's program has been told
static int steer_fails_at;               // descriptor; -1: none

uint64_t __wrap_dataplane_now_ms(void);
uint64_t __wrap_dataplane_now_ms(void)
{
	return now_ms;
}

void __wrap_install_addresses(struct worker *worker, const struct node_addresses *addresses);
void __wrap_install_addresses(struct worker *worker, const struct node_addresses *addresses)
{
	worker->addresses = addresses;
}

int __wrap_steer_relay_ports(const struct steer_handles *handles, uint16_t first, uint16_t last,
	uint16_t earlier_first, uint16_t earlier_last);
int __wrap_steer_relay_ports(const struct steer_handles *handles, uint16_t first, uint16_t last,
	uint16_t earlier_first, uint16_t earlier_last)
{
	if (handles->settings == steer_fails_at)
		return -EPERM;
	steered[handles->settings - 1000] = (struct steer_settings){.relay_first = first,
		.relay_last = last,
		.earlier_first = earlier_first,
		.earlier_last = earlier_last};
	return 0;
}

void __wrap_next_hops_mark(struct next_hops *next_hops);
void __wrap_next_hops_mark(struct next_hops *next_hops)
{
	(void)next_hops;
}

static int up(void **state)
{
	bench_up(state);
	struct dataplane *dataplane = &bench->dataplane;
	struct node_addresses *addresses = &dataplane->settings.slots[0];
	*addresses = (struct node_addresses){.listen_count = 1,
		.port = 3478,
		.alternate_port = 3479,
		.relay_first = 50000,
		.relay_last = 50099,
		.channel_last = 0x4FFF};
	ports.addresses = 1;
	ports.words = calloc(RELAY_PORTS_EACH, sizeof(*ports.words));
	relay_ports_set(
		&ports, &(struct relay_range){50000, 50099}, &(struct relay_range){50000, 50099});
	dataplane->relay_ports = &ports;
	dataplane->port_count = 3;
	dataplane->ports[0].steering.settings = 1000;
	dataplane->ports[1].steering.settings = -1; // a port without a program
	dataplane->ports[2].steering.settings = 1001;
	for (unsigned w = 0; w < dataplane->worker_count; w++)
		dataplane->workers[w]->addresses = addresses;
	memset(steered, 0, sizeof(steered));
	steer_fails_at = -1;
	now_ms = 1000000;
	return 0;
}

static int down(void **state)
{
	free(ports.words);
	return bench_down(state);
}

static struct connection *control;
static uint32_t last_id;

static void ask(uint16_t first, uint16_t last, uint16_t channel_last, uint16_t idle)
{
	struct api_settings settings = {first, last, channel_last, idle};
	if (control == NULL || bench->server.count == 0)
		control = bench_connection(API_ROLE_CONTROL);
	assert_int_equal(
		bench_request(control, ++last_id, API_SETTINGS, &settings, sizeof(settings)), 0);
}

static int answered(void)
{
	struct api_frame frame = bench_answer(control);
	assert_int_equal(frame.header.id, last_id);
	assert_int_equal(frame.header.type, API_SETTINGS);
	return frame.header.length;
}

static bool silent(void)
{
	const uint8_t *data;
	uint32_t length;
	return !connection_output(control, &data, &length);
}

// Asked and gone through.
static void set(uint16_t first, uint16_t last)
{
	ask(first, last, 0x4FFF, CONFIG_IDLE_POLL);
	bench_work(10);
	assert_int_equal(answered(), 0);
}

static bool relayed(uint16_t port)
{
	return relay_ports_contains(&ports, 0, port);
}

static void live(uint16_t port, bool on)
{
	struct relay_port_owner owner = {0, 1, 1};
	if (on)
		assert_int_equal(relay_ports_claim(&ports, 0, port, &owner), 0);
	else
		relay_ports_release(&ports, 0, port, &owner);
}

static void pass(uint64_t ms)
{
	for (; ms > 1000; ms -= 1000) {
		now_ms += 1000;
		settings_tick(&bench->dataplane);
	}
	now_ms += ms;
	settings_tick(&bench->dataplane);
}

static void answered_when_all_workers_go_by_it(void **state)
{
	(void)state;
	struct worker **workers = bench->dataplane.workers;
	const struct node_addresses *before = workers[0]->addresses;
	ask(50050, 50199, 0x7FFF, CONFIG_IDLE_SLEEP);
	assert_true(silent());
	// What the workers read is as it was.
	assert_int_equal(before->relay_first, 50000);
	assert_int_equal(before->channel_last, 0x4FFF);
	command_execute(workers[0], &workers[0]->machine->lane, 0, 1);
	assert_true(silent());
	assert_int_equal(workers[0]->addresses->relay_last, 50199);
	assert_ptr_equal(workers[1]->addresses, before);
	bench_work(10);
	assert_int_equal(answered(), 0);
	for (unsigned w = 0; w < 2; w++) {
		assert_int_equal(workers[w]->addresses->relay_first, 50050);
		assert_int_equal(workers[w]->addresses->channel_last, 0x7FFF);
		assert_int_equal(workers[w]->addresses->port, 3478);
		assert_true(workers[w]->machine->rest.may_rest);
	}
	// The same once more is nothing to do.
	ask(50050, 50199, 0x7FFF, CONFIG_IDLE_SLEEP);
	assert_int_equal(answered(), 0);
	assert_int_equal(bench_work(10), 0);
}

// A third state wants the slot that a worker may still read: it waits.
static void the_next_waits_for_the_slowest_worker(void **state)
{
	(void)state;
	struct worker *slow = bench->dataplane.workers[1];
	const struct node_addresses *read_by_slow = slow->addresses;
	ask(50050, 50199, 0x4FFF, CONFIG_IDLE_POLL);
	uint32_t first = last_id;
	ask(50060, 50299, 0x4FFF, CONFIG_IDLE_POLL);
	assert_int_equal(read_by_slow->relay_first, 50000);
	bench_work(10);
	struct api_frame frame = bench_answer(control);
	assert_int_equal(frame.header.id, first);
	assert_int_equal(connection_work(control), 0);
	bench_work(10);
	assert_int_equal(answered(), 0);
	assert_int_equal(slow->addresses->relay_first, 50060);
}

static void a_closed_connection_leaves_no_pending_change(void **state)
{
	(void)state;
	ask(50050, 50199, 0x4FFF, CONFIG_IDLE_POLL);
	connection_free(control);
	control = NULL;
	bench_work(10);
	assert_int_equal(bench->dataplane.settings.pending, 0);
	set(50050, 50299);
	assert_int_equal(bench->dataplane.workers[1]->addresses->relay_last, 50299);
}

static void nonsense_is_refused(void **state)
{
	(void)state;
	static const struct api_settings bad[] = {{0, 50000, 0x4FFF, 0}, {50001, 50000, 0x4FFF, 0},
		{3000, 4000, 0x4FFF, 0}, {3479, 4000, 0x4FFF, 0}, {3000, 3478, 0x4FFF, 0},
		{50000, 50001, 0x3FFF, 0}, {50000, 50001, 0x8000, 0}, {50000, 50001, 0x4FFF, 2}};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ask(bad[i].relay_first, bad[i].relay_last, bad[i].channel_last, bad[i].idle);
		assert_int_equal(answered(), -EINVAL);
	}
	assert_int_equal(bench_work(10), 0);
	assert_true(relayed(50000) && relayed(50099) && !relayed(50100));
}

static void channel_numbers_only_grow(void **state)
{
	(void)state;
	ask(50000, 50099, 0x7FFF, CONFIG_IDLE_POLL);
	bench_work(10);
	assert_int_equal(answered(), 0);
	ask(50000, 50099, 0x4FFF, CONFIG_IDLE_POLL);
	assert_int_equal(answered(), 0);
	assert_int_equal(bench->dataplane.workers[0]->addresses->channel_last, 0x7FFF);
}

static void expect_steered(
	uint16_t first, uint16_t last, uint16_t earlier_first, uint16_t earlier_last)
{
	for (int i = 0; i < 2; i++) {
		assert_int_equal(steered[i].relay_first, first);
		assert_int_equal(steered[i].relay_last, last);
		assert_int_equal(steered[i].earlier_first, earlier_first);
		assert_int_equal(steered[i].earlier_last, earlier_last);
	}
}

// The earlier range is served until the last allocation there has ended, and a minute at least.
static void earlier_allocations_are_served(void **state)
{
	(void)state;
	live(50007, true);
	set(60000, 60099);
	assert_true(relayed(60000) && relayed(60099) && relayed(50000) && relayed(50099));
	assert_false(relayed(50100) || relayed(59999) || relayed(60100) || relayed(49999));
	expect_steered(60000, 60099, 50000, 50099);
	pass(10 * SETTINGS_EARLIER_MS);
	assert_true(relayed(50007));
	live(60001, true); // one of the new range does not hold the old one
	live(50007, false);
	pass(2 * SETTINGS_LOOK_MS);
	assert_false(relayed(50007));
	assert_true(relayed(60001));
	expect_steered(60000, 60099, 60000, 60099);
}

// A reservation of before the change may still be claimed.
static void an_empty_earlier_range_stays_for_a_minute(void **state)
{
	(void)state;
	set(60000, 60099);
	pass(SETTINGS_EARLIER_MS / 2);
	live(50007, true);
	pass(SETTINGS_EARLIER_MS);
	assert_true(relayed(50007));
	live(50007, false);
	pass(2 * SETTINGS_LOOK_MS);
	assert_false(relayed(50007));
}

static void a_range_that_grows_has_no_earlier_one(void **state)
{
	(void)state;
	live(50007, true);
	set(49000, 51000);
	expect_steered(49000, 51000, 49000, 51000);
	// It shrinks again, around the allocation; then the range returns.
	set(50000, 50003);
	assert_true(relayed(50007) && relayed(51000));
	set(49000, 51000);
	assert_true(relayed(50007) && relayed(49000) && relayed(51000));
	expect_steered(49000, 51000, 49000, 51000);
}

static void two_earlier_ranges(void **state)
{
	(void)state;
	live(50007, true);
	set(60000, 60099);
	live(60001, true);
	set(61000, 61099);
	// Both live on: what is served now holds them both.
	assert_true(relayed(50007) && relayed(60001) && relayed(61000));
	expect_steered(61000, 61099, 50000, 60099);
	// Back to the first one, with the second still in use.
	set(50000, 50099);
	assert_true(relayed(50007) && relayed(60001));
	live(60001, false);
	pass(2 * SETTINGS_EARLIER_MS);
	assert_true(relayed(50007));
	assert_false(relayed(60001) || relayed(61000));
}

// Between the two lies the port that clients use.
static void earlier_ranges_never_hold_our_ports(void **state)
{
	(void)state;
	live(50007, true);
	set(2000, 2099);
	assert_false(relayed(3478));
	live(2001, true);
	ask(61000, 61099, 0x4FFF, CONFIG_IDLE_POLL);
	assert_int_equal(answered(), -EADDRINUSE);
	assert_true(relayed(50007) && relayed(2001));
	assert_false(relayed(3478) || relayed(61000));
	// One of the two has ended: then it goes.
	live(50007, false);
	set(61000, 61099);
	assert_true(relayed(2001) && relayed(61000));
	assert_false(relayed(3478) || relayed(50007));
}

static void a_refusing_kernel_changes_nothing(void **state)
{
	(void)state;
	set(50000, 50199); // so that there is something to go back to
	steer_fails_at = 1001;
	ask(60000, 60099, 0x4FFF, CONFIG_IDLE_POLL);
	assert_int_equal(answered(), -EPERM);
	assert_int_equal(bench_work(10), 0);
	assert_true(relayed(50150) && !relayed(60000));
	expect_steered(50000, 50199, 50000, 50199);
	assert_int_equal(bench->dataplane.workers[0]->addresses->relay_first, 50000);
}

// Every key of the file, as a hash that the same value gives.
static void config_keys_are_told_as_digests(void **state)
{
	(void)state;
	control = bench_connection(API_ROLE_CONTROL);
	assert_int_equal(bench_request(control, 5, API_CONFIG_KEYS, NULL, 0), 0);
	struct bench_reader reader = {.connection = control};
	struct api_frame frame;
	unsigned told = 0;
	while (bench_next(&reader, &frame) && frame.header.length != 0) {
		struct api_config_key item;
		uint8_t digest[CONFIG_DIGEST_SIZE];
		assert_int_equal(frame.size, sizeof(item));
		memcpy(&item, frame.payload, sizeof(item));
		int key = config_key_find(item.section, item.name);
		assert_true(key >= 0);
		config_key_digest((unsigned)key, &bench->config, bench->dataplane.tag_key, digest);
		assert_memory_equal(digest, item.digest, sizeof(digest));
		told++;
	}
	assert_int_equal(told, config_keys());
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(answered_when_all_workers_go_by_it),
		TEST(the_next_waits_for_the_slowest_worker),
		TEST(a_closed_connection_leaves_no_pending_change),
		TEST(nonsense_is_refused),
		TEST(channel_numbers_only_grow),
		TEST(earlier_allocations_are_served),
		TEST(an_empty_earlier_range_stays_for_a_minute),
		TEST(a_range_that_grows_has_no_earlier_one),
		TEST(two_earlier_ranges),
		TEST(earlier_ranges_never_hold_our_ports),
		TEST(a_refusing_kernel_changes_nothing),
		TEST(config_keys_are_told_as_digests),
	};
	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
