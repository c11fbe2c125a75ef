// SPDX-License-Identifier: BSD-3-Clause
// What the dataplane's socket does with messages: hello, roles, sizes, installs on their way to
// workers and back, lists, drain; and what it does with nonsense.
// wrap: install_execute
// wrap: pipeline_send
// wrap: mappings_snapshot
// wrap: mappings_usage
// wrap: next_hops_mark
// wrap: next_hops_sweep
// wrap: next_hops_route_set
// wrap: next_hops_link_set

#include "tests/unit/socket_bench.h"

static unsigned executed, sent, marked, swept, routes;
static uint64_t executed_id[4096];

int __wrap_install_execute(
	struct worker *worker, uint32_t type, const void *payload, uint32_t size, uint64_t now);
int __wrap_install_execute(
	struct worker *worker, uint32_t type, const void *payload, uint32_t size, uint64_t now)
{
	(void)worker, (void)type, (void)size, (void)now;
	memcpy(&executed_id[executed % 4096], payload, sizeof(uint64_t));
	executed++;
	return executed_id[(executed - 1) % 4096] == 404 ? -ENOENT : 0;
}

int __wrap_pipeline_send(struct worker *worker, const struct api_packet_send *send,
	const uint8_t *payload, uint64_t now);
int __wrap_pipeline_send(struct worker *worker, const struct api_packet_send *send,
	const uint8_t *payload, uint64_t now)
{
	(void)now;
	assert_int_equal(worker->id, send->worker);
	for (unsigned i = 0; i < send->length; i++)
		assert_int_equal(payload[i], 0x5A);
	sent++;
	return 0;
}

enum { LIVE = 60 }; // allocations of each worker

unsigned __wrap_mappings_snapshot(const struct mappings *mappings, uint32_t *position,
	struct api_snapshot_item *items, unsigned max, uint64_t now);
unsigned __wrap_mappings_snapshot(const struct mappings *mappings, uint32_t *position,
	struct api_snapshot_item *items, unsigned max, uint64_t now)
{
	(void)mappings, (void)now;
	unsigned count = 0;
	for (; count < max && *position < LIVE; count++, (*position)++)
		items[count] = (struct api_snapshot_item){.allocation_id = *position + 1};
	return count;
}

void __wrap_mappings_usage(const struct mappings *mappings, struct mappings_usage *out);
void __wrap_mappings_usage(const struct mappings *mappings, struct mappings_usage *out)
{
	(void)mappings;
	*out = (struct mappings_usage){.allocations = 7, .allocations_max = 1024};
}

void __wrap_next_hops_mark(struct next_hops *next_hops);
void __wrap_next_hops_mark(struct next_hops *next_hops)
{
	(void)next_hops;
	marked++;
}

void __wrap_next_hops_sweep(struct next_hops *next_hops);
void __wrap_next_hops_sweep(struct next_hops *next_hops)
{
	(void)next_hops;
	swept++;
}

int __wrap_next_hops_route_set(struct next_hops *next_hops, const struct api_route *route);
int __wrap_next_hops_route_set(struct next_hops *next_hops, const struct api_route *route)
{
	(void)next_hops;
	assert_true(route->count <= API_NEXT_HOPS_MAX);
	routes++;
	return 0;
}

int __wrap_next_hops_link_set(struct next_hops *next_hops, const struct api_link_set *link);
int __wrap_next_hops_link_set(struct next_hops *next_hops, const struct api_link_set *link)
{
	(void)next_hops, (void)link;
	return 0;
}

static int up(void **state)
{
	executed = sent = marked = swept = routes = 0;
	return bench_up(state);
}

// ---- hello ----

static void hello_tells_the_key_to_control_only(void **state)
{
	(void)state;
	static const uint8_t zero[32];
	struct connection *control = connection_create(&bench->server, -1, true, true);
	struct connection *observer = connection_create(&bench->server, -1, false, true);
	struct api_hello_answer answer;
	assert_int_equal(bench_hello(control, API_VERSION, API_ROLE_CONTROL), 0);
	memcpy(&answer, bench_answer(control).payload, sizeof(answer));
	assert_memory_equal(answer.tag_key, bench->dataplane.tag_key, 16);
	assert_memory_equal(answer.secret, bench->dataplane.secret, 32);
	assert_int_equal(answer.instance, bench->dataplane.instance);
	assert_int_equal(answer.workers, 2);
	assert_int_equal(answer.drain_left_ms, UINT32_MAX);
	assert_int_equal(marked, 1);
	assert_int_equal(bench_hello(observer, API_VERSION, API_ROLE_OBSERVER), 0);
	memcpy(&answer, bench_answer(observer).payload, sizeof(answer));
	assert_memory_equal(answer.tag_key, zero, 16);
	assert_memory_equal(answer.secret, zero, 32);
	assert_int_equal(marked, 1);
}

static void wrong_version_is_refused(void **state)
{
	(void)state;
	struct connection *connection = connection_create(&bench->server, -1, true, true);
	assert_int_equal(bench_hello(connection, API_VERSION + 1, API_ROLE_CONTROL), 0);
	assert_int_equal(bench_answer(connection).header.length, -EPROTONOSUPPORT);
	assert_true(connection->closing);
	assert_null(bench->server.control);
}

static void wrong_role_is_refused(void **state)
{
	(void)state;
	struct connection *unknown = connection_create(&bench->server, -1, true, true);
	struct connection *stranger = connection_create(&bench->server, -1, false, true);
	assert_int_equal(bench_hello(unknown, API_VERSION, 3), 0);
	assert_int_equal(bench_answer(unknown).header.length, -EINVAL);
	assert_true(unknown->closing);
	assert_int_equal(bench_hello(stranger, API_VERSION, API_ROLE_CONTROL), 0);
	assert_int_equal(bench_answer(stranger).header.length, -EPERM);
	assert_true(stranger->closing);
	assert_null(bench->server.control);
}

static void nothing_goes_before_hello(void **state)
{
	(void)state;
	struct connection *connection = connection_create(&bench->server, -1, true, true);
	assert_int_equal(bench_request(connection, 1, API_GAUGES, NULL, 0), -EBADMSG);
	connection_free(connection);
	connection = bench_connection(API_ROLE_CONTROL);
	assert_int_equal(bench_hello(connection, API_VERSION, API_ROLE_CONTROL), -EBADMSG);
}

static void second_control_waits_for_the_first_to_die(void **state)
{
	(void)state;
	struct connection *first = bench_connection(API_ROLE_CONTROL);
	struct connection *second = connection_create(&bench->server, -1, true, true);
	assert_int_equal(bench_hello(second, API_VERSION, API_ROLE_CONTROL), 0);
	assert_int_equal(bench_answer(second).header.length, -EBUSY);
	assert_ptr_equal(bench->server.control, first);
	assert_int_equal(second->role, 0);
	bench->control_is_dead = true;
	assert_int_equal(bench_hello(second, API_VERSION, API_ROLE_CONTROL), 0);
	assert_int_equal(bench_answer(second).header.length, sizeof(struct api_hello_answer));
	assert_ptr_equal(bench->server.control, second);
	assert_true(first->closing);
	connection_free(first);
	assert_ptr_equal(bench->server.control, second);
}

// ---- nonsense ----

static const struct {
	uint32_t type;
	uint32_t size;
} requests[] = {
	{API_ALLOCATION_INSTALL, sizeof(struct api_allocation_install)},
	{API_ALLOCATION_REFRESH, sizeof(struct api_allocation_change)},
	{API_ALLOCATION_REMOVE, sizeof(struct api_allocation_change)},
	{API_PERMISSIONS_INSTALL,
		sizeof(struct api_permissions_install) + sizeof(struct net_address)},
	{API_CHANNEL_BIND, sizeof(struct api_channel_bind)},
	{API_PACKET_SEND, sizeof(struct api_packet_send)},
	{API_SNAPSHOT, 0},
	{API_DRAIN, sizeof(struct api_drain)},
	{API_LINK_SET, sizeof(struct api_link_set)},
	{API_LINK_DELETE, sizeof(struct api_link_delete)},
	{API_ROUTE_SET, sizeof(struct api_route)},
	{API_ROUTE_DELETE, sizeof(struct api_route)},
	{API_NEIGHBOUR_SET, sizeof(struct api_neighbour)},
	{API_NEIGHBOUR_DELETE, sizeof(struct api_neighbour)},
	{API_ROUTING_SYNCED, 0},
	{API_COUNTERS, 0},
	{API_PORTS, 0},
	{API_WORKERS, 0},
	{API_GAUGES, 0},
	{API_SETTINGS, sizeof(struct api_settings)},
	{API_CONFIG_KEYS, 0},
	{API_STEERING, 0},
	{API_GUARD_SET, sizeof(struct api_guard_rule)},
	{API_GUARD_REMOVE, sizeof(struct net_prefix)},
	{API_GUARD_LIMITS_SET, sizeof(struct api_guard_limits)},
	{API_GUARD_RULES, 0},
	{API_GUARD_LIMITS, 0},
};

// A payload that is plausible for every type, so that only the size is wrong.
static const uint8_t *plausible(uint32_t type)
{
	static uint8_t payload[1024];
	memset(payload, 0, sizeof(payload));
	if (type == API_PERMISSIONS_INSTALL)
		((struct api_permissions_install *)(void *)payload)->count = 1;
	return payload;
}

static void wrong_sizes_close(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(requests) / sizeof(*requests); i++)
		for (int wrong = -1; wrong <= 1; wrong += 2) {
			if ((int)requests[i].size + wrong < 0)
				continue;
			struct connection *connection = bench_connection(API_ROLE_CONTROL);
			assert_int_equal(bench_request(connection, 2, requests[i].type,
						 plausible(requests[i].type),
						 (uint32_t)((int)requests[i].size + wrong)),
				-EBADMSG);
			assert_int_equal(connection->in_length, 0);
			connection_free(connection);
		}
	assert_int_equal(executed + sent + routes, 0);
}

static void counts_inside_payloads_are_checked(void **state)
{
	(void)state;
	uint8_t data[sizeof(struct api_permissions_install) + 33 * sizeof(struct net_address)] = {
		0};
	struct api_permissions_install *permissions = (void *)data;
	static const uint16_t counts[] = {0, 2, 33, UINT16_MAX};
	for (unsigned i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		struct connection *connection = bench_connection(API_ROLE_CONTROL);
		permissions->count = counts[i];
		uint32_t size = counts[i] == 33 ? (uint32_t)sizeof(data)
						: (uint32_t)sizeof(*permissions) + 20;
		assert_int_equal(bench_request(connection, 2, API_PERMISSIONS_INSTALL, data, size),
			-EBADMSG);
		connection_free(connection);
	}
	struct connection *connection = bench_connection(API_ROLE_CONTROL);
	struct api_route route = {.count = API_NEXT_HOPS_MAX + 1};
	assert_int_equal(bench_request(connection, 2, API_ROUTE_SET, &route, sizeof(route)), 0);
	assert_int_equal(bench_answer(connection).header.length, -EINVAL);
	struct api_link_set link;
	memset(&link, 'x', sizeof(link));
	assert_int_equal(bench_request(connection, 2, API_LINK_SET, &link, sizeof(link)), 0);
	assert_int_equal(bench_answer(connection).header.length, -EINVAL);
	assert_int_equal(executed + routes, 0);
}

static void truncated_and_overlong_messages_close(void **state)
{
	(void)state;
	struct api_header header = {.id = 2, .type = API_GAUGES, .length = 0};
	struct connection *connection = bench_connection(API_ROLE_CONTROL);
	assert_int_equal(bench_receive(connection, &header, sizeof(header) - 1), -EBADMSG);
	static const int32_t lengths[] = {
		1, 4, API_PAYLOAD_MAX, API_PAYLOAD_MAX + 1, INT32_MAX, -1, INT32_MIN};
	for (unsigned i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		connection_free(connection);
		connection = bench_connection(API_ROLE_CONTROL);
		header.length = lengths[i];
		assert_int_equal(bench_receive(connection, &header, sizeof(header)), -EBADMSG);
	}
}

static void unknown_types_events_and_id_zero_close(void **state)
{
	(void)state;
	static const uint32_t types[] = {0, 2, 15, 24, 31, 39, 47, 52, API_PUNT, API_EXPIRED,
		API_NEIGHBOUR_WANTED, API_RESYNC, 1000, UINT32_MAX};
	for (unsigned i = 0; i < sizeof(types) / sizeof(*types); i++) {
		struct connection *connection = bench_connection(API_ROLE_CONTROL);
		assert_int_equal(bench_request(connection, 2, types[i], NULL, 0), -EBADMSG);
		connection_free(connection);
	}
	struct connection *connection = bench_connection(API_ROLE_CONTROL);
	assert_int_equal(bench_request(connection, 0, API_GAUGES, NULL, 0), -EBADMSG);
}

static void observers_may_only_read(void **state)
{
	(void)state;
	struct connection *observer = bench_connection(API_ROLE_OBSERVER);
	for (unsigned i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
		if ((requests[i].type >= API_COUNTERS && requests[i].type <= API_GAUGES) ||
			requests[i].type >= API_STEERING || requests[i].type == API_GUARD_RULES ||
			requests[i].type == API_GUARD_LIMITS)
			continue;
		assert_int_equal(bench_request(observer, 9, requests[i].type,
					 plausible(requests[i].type), requests[i].size),
			0);
		struct api_frame frame = bench_answer(observer);
		assert_int_equal(frame.header.length, -EPERM);
		assert_int_equal(frame.header.type, requests[i].type);
	}
	assert_int_equal(bench_work(100), 0);
	assert_int_equal(executed + sent + marked + swept + routes, 0);
}

// ---- installs ----

static void installs_are_executed_in_order_and_answered(void **state)
{
	(void)state;
	static uint8_t data[API_DATAGRAM_MAX];
	struct connection *control = bench_connection(API_ROLE_CONTROL);
	struct api_batch batch = {data, 0};
	enum { COUNT = 2000 }; // many more than there are slots
	for (uint32_t i = 0; i < COUNT; i++) {
		struct api_allocation_change change = {
			.allocation_id = i == 7 ? 404 : 1000 + i, .worker = 1};
		assert_true(api_batch_append(
			&batch, 100 + i, API_ALLOCATION_REFRESH, &change, sizeof(change), NULL, 0));
	}
	assert_int_equal(bench_receive(control, data, batch.length), 0);
	assert_int_equal(executed, 0);
	assert_false(connection_wants_input(control));
	struct bench_reader reader = {.connection = control};
	struct api_frame frame;
	uint32_t answered = 0;
	for (unsigned turns = 0; answered < COUNT && turns < 10 * COUNT; turns++) {
		bench_work(32);
		assert_int_equal(connection_work(control), 0);
		while (bench_next(&reader, &frame)) {
			assert_int_equal(frame.header.id, 100 + answered);
			assert_int_equal(frame.header.type, API_ALLOCATION_REFRESH);
			assert_int_equal(frame.header.length, answered == 7 ? -ENOENT : 0);
			answered++;
		}
	}
	assert_int_equal(answered, COUNT);
	assert_int_equal(executed, COUNT);
	for (uint32_t i = 0; i < COUNT; i++)
		assert_int_equal(executed_id[i], i == 7 ? 404 : 1000 + i);
	assert_int_equal(control->outstanding, 0);
	assert_true(connection_wants_input(control));
}

static void a_worker_that_is_not_there_is_an_answer(void **state)
{
	(void)state;
	struct connection *control = bench_connection(API_ROLE_CONTROL);
	struct api_allocation_install install = {.allocation_id = 5, .worker = 2};
	assert_int_equal(
		bench_request(control, 3, API_ALLOCATION_INSTALL, &install, sizeof(install)), 0);
	assert_int_equal(bench_answer(control).header.length, -EINVAL);
	assert_int_equal(bench_work(10), 0);
}

static void packets_are_sent_and_not_answered(void **state)
{
	(void)state;
	uint8_t data[sizeof(struct api_packet_send) + 100];
	struct api_packet_send *send = (void *)data;
	struct connection *control = bench_connection(API_ROLE_CONTROL);
	memset(data, 0x5A, sizeof(data));
	send->worker = 1;
	send->length = 100;
	assert_int_equal(bench_request(control, 0, API_PACKET_SEND, data, sizeof(data)), 0);
	assert_int_equal(bench_work(10), 1);
	assert_int_equal(sent, 1);
	const uint8_t *output;
	uint32_t length;
	assert_false(connection_output(control, &output, &length));
}

static void draining_refuses_new_allocations_only(void **state)
{
	(void)state;
	struct connection *control = bench_connection(API_ROLE_CONTROL);
	struct api_drain drain = {.on = 1, .deadline_ms = 60000};
	struct api_allocation_install install = {.allocation_id = 5};
	struct api_allocation_change change = {.allocation_id = 5};
	assert_int_equal(bench_request(control, 2, API_DRAIN, &drain, sizeof(drain)), 0);
	assert_int_equal(bench_answer(control).header.length, 0);
	assert_int_equal(
		bench_request(control, 3, API_ALLOCATION_INSTALL, &install, sizeof(install)), 0);
	assert_int_equal(bench_answer(control).header.length, -ESHUTDOWN);
	assert_int_equal(
		bench_request(control, 4, API_ALLOCATION_REFRESH, &change, sizeof(change)), 0);
	assert_int_equal(bench_work(10), 1);
	assert_int_equal(bench_answer(control).header.length, 0);
	uint32_t left = dataplane_drain_left(&bench->dataplane);
	assert_true(left > 0 && left <= 60000);
	drain = (struct api_drain){.on = 0};
	assert_int_equal(bench_request(control, 5, API_DRAIN, &drain, sizeof(drain)), 0);
	assert_int_equal(bench_answer(control).header.length, 0);
	assert_int_equal(
		bench_request(control, 6, API_ALLOCATION_INSTALL, &install, sizeof(install)), 0);
	assert_int_equal(bench_work(10), 1);
	assert_int_equal(bench_answer(control).header.length, 0);
	drain.on = 2;
	assert_int_equal(bench_request(control, 7, API_DRAIN, &drain, sizeof(drain)), 0);
	assert_int_equal(bench_answer(control).header.length, -EINVAL);
}

static void commands_of_a_closed_connection_are_forgotten(void **state)
{
	(void)state;
	struct connection *control = bench_connection(API_ROLE_CONTROL);
	struct api_allocation_change change = {.allocation_id = 5};
	assert_int_equal(
		bench_request(control, 4, API_ALLOCATION_REFRESH, &change, sizeof(change)), 0);
	connection_free(control);
	control = bench_connection(API_ROLE_CONTROL);
	assert_int_equal(bench_work(10), 1);
	assert_int_equal(control->outstanding, 0);
	const uint8_t *output;
	uint32_t length;
	assert_false(connection_output(control, &output, &length));
	assert_int_equal(bench->dataplane.workers[0]->machine->lane.free_count, COMMAND_SLOTS);
}

// ---- lists ----

static void snapshot_tells_every_worker_and_ends(void **state)
{
	(void)state;
	struct connection *control = bench_connection(API_ROLE_CONTROL);
	struct bench_reader reader = {.connection = control};
	struct api_frame frame = {.size = 1};
	unsigned items = 0;
	assert_int_equal(bench_request(control, 77, API_SNAPSHOT, NULL, 0), 0);
	for (unsigned turns = 0; frame.size && turns < 1000; turns++) {
		bench_work(32);
		assert_int_equal(connection_work(control), 0);
		while (bench_next(&reader, &frame) && frame.size) {
			assert_int_equal(frame.header.id, 77);
			assert_int_equal(frame.size, sizeof(struct api_snapshot_item));
			struct api_snapshot_item item;
			memcpy(&item, frame.payload, sizeof(item));
			assert_int_equal(item.allocation_id, items % LIVE + 1);
			items++;
		}
	}
	assert_int_equal(frame.size, 0);
	assert_int_equal(items, 2 * LIVE);
	assert_true(connection_wants_input(control));
}

static unsigned list_length(struct connection *connection, uint32_t type, uint32_t item_size)
{
	struct bench_reader reader = {.connection = connection};
	struct api_frame frame = {.size = 1};
	unsigned items = 0;
	assert_int_equal(bench_request(connection, 5, type, NULL, 0), 0);
	for (unsigned turns = 0; frame.size && turns < 1000; turns++) {
		while (bench_next(&reader, &frame) && frame.size) {
			assert_int_equal(frame.header.id, 5);
			assert_int_equal(frame.header.type, type);
			assert_int_equal(frame.size, item_size);
			items++;
		}
		assert_int_equal(connection_work(connection), 0);
	}
	assert_int_equal(frame.size, 0);
	assert_true(connection_wants_input(connection));
	return items;
}

// 64 workers' counters are far more than an observer's queue holds at once.
static void long_lists_go_on_when_there_is_room(void **state)
{
	(void)state;
	struct connection *observer = bench_connection(API_ROLE_OBSERVER);
	unsigned counters = list_length(observer, API_COUNTERS, sizeof(struct api_counter));
	assert_true(counters >= 64 * (STATS_STAGE_COUNT + STATS_DROP_COUNT + STATS_EVENT_COUNT));
	assert_int_equal(list_length(observer, API_WORKERS, sizeof(struct api_worker)), 64);
	assert_int_equal(list_length(observer, API_PORTS, sizeof(struct api_port)), 0);
	assert_int_equal(list_length(observer, API_STEERING, sizeof(struct api_steering)), 0);
	bench->dataplane.homes[0].known = bench->dataplane.homes[1].known = true;
	assert_int_equal(list_length(observer, API_STEERING, sizeof(struct api_steering)), 64);
}

// Every pair once, of the families that are steered.
static void steering_is_told_by_pairs(void **state)
{
	(void)state;
	struct connection *observer = bench_connection(API_ROLE_OBSERVER);
	struct bench_reader reader = {.connection = observer};
	struct steering_homes *homes = &bench->dataplane.homes[1];
	struct api_frame frame = {.size = 1};
	unsigned told = 0;
	homes->known = true;
	for (unsigned i = 0; i < STEERING_PAIRS; i++)
		homes->worker[i] = (uint8_t)(i * 7 % 251);
	assert_int_equal(bench_request(observer, 5, API_STEERING, NULL, 0), 0);
	for (unsigned turns = 0; frame.size && turns < 1000; turns++) {
		while (bench_next(&reader, &frame) && frame.size) {
			struct api_steering item;
			assert_int_equal(frame.size, sizeof(item));
			memcpy(&item, frame.payload, sizeof(item));
			assert_int_equal(item.family, NET_IPV6);
			assert_int_equal(item.first_port, 2 * told);
			assert_int_equal(item.workers, bench->dataplane.worker_count);
			assert_in_range(item.pairs, 1, API_STEERING_PAIRS);
			for (unsigned i = 0; i < item.pairs; i++)
				assert_int_equal(
					item.worker[i], homes->worker[item.first_port / 2 + i]);
			told += item.pairs;
		}
		assert_int_equal(connection_work(observer), 0);
	}
	assert_int_equal(frame.size, 0);
	assert_int_equal(told, STEERING_PAIRS);
}

static int request_result(
	struct connection *connection, uint32_t type, const void *payload, uint32_t size)
{
	assert_int_equal(bench_request(connection, 7, type, payload, size), 0);
	struct api_frame frame = bench_answer(connection);
	assert_int_equal(frame.header.type, type);
	return frame.header.length;
}

static void rules_of_the_guard(void **state)
{
	(void)state;
	struct connection *control = bench_connection(API_ROLE_CONTROL);
	struct connection *observer = bench_connection(API_ROLE_OBSERVER);
	const uint8_t ten[4] = {10};
	struct api_guard_rule rule = {
		.prefix = {.address = net_address_v4(ten), .length = 8},
		.action = API_GUARD_BLOCK,
		.origin = API_GUARD_ADDED,
	};
	assert_int_equal(list_length(observer, API_GUARD_RULES, sizeof(rule)), 0);
	assert_int_equal(request_result(control, API_GUARD_SET, &rule, sizeof(rule)), 0);
	const struct guard_table *table = guard_rules_table(bench->dataplane.guard_rules, 0);
	assert_true(table && guard_table_blocks(table, ten, NET_IPV4));
	rule.action = API_GUARD_ALLOW;
	assert_int_equal(request_result(control, API_GUARD_SET, &rule, sizeof(rule)), 0);
	assert_int_equal(list_length(observer, API_GUARD_RULES, sizeof(rule)), 1);
	rule.action = 9;
	assert_int_equal(request_result(control, API_GUARD_SET, &rule, sizeof(rule)), -EINVAL);
	rule.prefix.length = 4;
	assert_int_equal(
		request_result(control, API_GUARD_REMOVE, &rule.prefix, sizeof(rule.prefix)),
		-ENOENT);
	rule.prefix.length = 8;
	assert_int_equal(
		request_result(control, API_GUARD_REMOVE, &rule.prefix, sizeof(rule.prefix)), 0);
	assert_null(guard_rules_table(bench->dataplane.guard_rules, 0));
	// As many as there may be, told in several datagrams.
	rule.action = API_GUARD_BLOCK;
	rule.prefix.length = 32;
	for (unsigned i = 0; i < GUARD_RULES_MAX; i++) {
		rule.prefix.address.bytes[1] = (uint8_t)(i >> 8);
		rule.prefix.address.bytes[2] = (uint8_t)i;
		assert_int_equal(request_result(control, API_GUARD_SET, &rule, sizeof(rule)), 0);
	}
	assert_int_equal(list_length(observer, API_GUARD_RULES, sizeof(rule)), GUARD_RULES_MAX);
}

static void limits_of_the_guard(void **state)
{
	(void)state;
	struct connection *control = bench_connection(API_ROLE_CONTROL);
	struct api_guard_limits limits = {1024, 1, 2, 1000000000, 4}, told;
	assert_int_equal(request_result(control, API_GUARD_LIMITS_SET, &limits, sizeof(limits)), 0);
	assert_int_equal(bench_request(control, 8, API_GUARD_LIMITS, NULL, 0), 0);
	struct api_frame frame = bench_answer(control);
	assert_int_equal(frame.size, sizeof(told));
	memcpy(&told, frame.payload, sizeof(told));
	assert_memory_equal(&told, &limits, sizeof(told));
	for (unsigned i = 0; i < 5; i++)
		for (unsigned wrong = 0; wrong < 2; wrong++) {
			uint32_t words[5];
			memcpy(words, &limits, sizeof(words));
			words[i] = wrong ? 1000000001 : 0;
			assert_int_equal(
				request_result(control, API_GUARD_LIMITS_SET, words, sizeof(words)),
				-EINVAL);
		}
	assert_memory_equal(&bench->dataplane.guard_limits, &limits, sizeof(limits));
}

static int up_many(void **state)
{
	return bench_up_workers(state, 64);
}

static void gauges_sum_over_workers(void **state)
{
	(void)state;
	struct connection *observer = bench_connection(API_ROLE_OBSERVER);
	struct api_gauges gauges;
	bench->dataplane.workers[0]->stats.drop[DROP_no_route] = 3;
	bench->dataplane.workers[1]->stats.drop[DROP_too_big] = 4;
	assert_int_equal(bench_request(observer, 5, API_GAUGES, NULL, 0), 0);
	struct api_frame frame = bench_answer(observer);
	assert_int_equal(frame.size, sizeof(gauges));
	memcpy(&gauges, frame.payload, sizeof(gauges));
	assert_int_equal(gauges.allocations, 14);
	assert_int_equal(gauges.drops, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			hello_tells_the_key_to_control_only, up, bench_down),
		cmocka_unit_test_setup_teardown(wrong_version_is_refused, up, bench_down),
		cmocka_unit_test_setup_teardown(wrong_role_is_refused, up, bench_down),
		cmocka_unit_test_setup_teardown(nothing_goes_before_hello, up, bench_down),
		cmocka_unit_test_setup_teardown(
			second_control_waits_for_the_first_to_die, up, bench_down),
		cmocka_unit_test_setup_teardown(wrong_sizes_close, up, bench_down),
		cmocka_unit_test_setup_teardown(counts_inside_payloads_are_checked, up, bench_down),
		cmocka_unit_test_setup_teardown(
			truncated_and_overlong_messages_close, up, bench_down),
		cmocka_unit_test_setup_teardown(
			unknown_types_events_and_id_zero_close, up, bench_down),
		cmocka_unit_test_setup_teardown(observers_may_only_read, up, bench_down),
		cmocka_unit_test_setup_teardown(rules_of_the_guard, up, bench_down),
		cmocka_unit_test_setup_teardown(limits_of_the_guard, up, bench_down),
		cmocka_unit_test_setup_teardown(
			installs_are_executed_in_order_and_answered, up, bench_down),
		cmocka_unit_test_setup_teardown(
			a_worker_that_is_not_there_is_an_answer, up, bench_down),
		cmocka_unit_test_setup_teardown(packets_are_sent_and_not_answered, up, bench_down),
		cmocka_unit_test_setup_teardown(
			draining_refuses_new_allocations_only, up, bench_down),
		cmocka_unit_test_setup_teardown(
			commands_of_a_closed_connection_are_forgotten, up, bench_down),
		cmocka_unit_test_setup_teardown(
			snapshot_tells_every_worker_and_ends, up, bench_down),
		cmocka_unit_test_setup_teardown(
			long_lists_go_on_when_there_is_room, up_many, bench_down),
		cmocka_unit_test_setup_teardown(steering_is_told_by_pairs, up, bench_down),
		cmocka_unit_test_setup_teardown(gauges_sum_over_workers, up, bench_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
