// SPDX-License-Identifier: BSD-3-Clause
// The native protocol's requests on the dataplane's socket, with real tables behind them: sizes and
// roles, answers, what goes to workers, and what clients of handles are told at the end.
// wrap: pipeline_deliver
// wrap: pipeline_send
// wrap: mappings_usage
// wrap: next_hops_mark

#include "tests/unit/dpdk_env.h"
#include "tests/unit/socket_bench.h"

#include "dataplane/table/own_addresses.h"
#include "lib/wire/native.h"

#include <rte_cycles.h>
#include <sodium.h>

static unsigned delivered, closed_count;
static uint16_t delivered_by;
static int deliver_result;
static struct {
	struct net_endpoint source, destination;
	uint16_t worker;
	struct native_closed closed;
	uint8_t bytes[64];
} told[64];

int __wrap_pipeline_deliver(struct worker *worker, const struct api_native_deliver *deliver,
	const uint8_t *payload, uint64_t now);
int __wrap_pipeline_deliver(struct worker *worker, const struct api_native_deliver *deliver,
	const uint8_t *payload, uint64_t now)
{
	(void)now;
	delivered++;
	delivered_by = worker->id;
	assert_int_equal(deliver->address[31], 0xAD);
	for (unsigned i = 0; i < deliver->length; i++)
		assert_int_equal(payload[i], 0x5A);
	return deliver_result;
}

int __wrap_pipeline_send(struct worker *worker, const struct api_packet_send *send,
	const uint8_t *payload, uint64_t now);
int __wrap_pipeline_send(struct worker *worker, const struct api_packet_send *send,
	const uint8_t *payload, uint64_t now)
{
	(void)now;
	assert_true(closed_count < 64 && send->length <= 64);
	assert_int_equal(send->worker, worker->id);
	told[closed_count].source = send->source;
	told[closed_count].destination = send->destination;
	told[closed_count].worker = worker->id;
	memcpy(told[closed_count].bytes, payload, send->length);
	assert_int_equal(native_closed_parse(told[closed_count].bytes, send->length,
				 &told[closed_count].closed),
		0);
	closed_count++;
	return 0;
}

void __wrap_mappings_usage(const struct mappings *mappings, struct mappings_usage *out);
void __wrap_mappings_usage(const struct mappings *mappings, struct mappings_usage *out)
{
	(void)mappings;
	memset(out, 0, sizeof(*out));
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
	dataplane->settings.slots[0] = (struct node_addresses){
		.listen = {{.bytes = {192, 0, 2, 1}, .family = NET_IPV4},
			{.bytes = {0x20, 1, 0xd, 0xb8, [15] = 1}, .family = NET_IPV6}},
		.listen_count = 2,
		.port = 3478,
		.alternate_port = 3479,
	};
	bench->config.registration.leases = 16;
	bench->config.registration.handles = 16;
	assert_int_equal(native_open(dataplane, &bench->config), 0);
	for (unsigned w = 0; w < dataplane->worker_count; w++)
		dataplane->workers[w]->native = &dataplane->native.slots[0];
	delivered = closed_count = 0;
	deliver_result = 0;
	return 0;
}

static int down(void **state)
{
	native_close(&bench->dataplane);
	return bench_down(state);
}

static struct net_endpoint client_of(unsigned client)
{
	struct net_endpoint e = {.port = (uint16_t)(4000 + client)};
	e.address.family = client & 1 ? NET_IPV6 : NET_IPV4;
	memset(e.address.bytes, 0xC1, client & 1 ? 16 : 4);
	return e;
}

static struct net_endpoint server_of(unsigned client)
{
	return (struct net_endpoint){
		.address = bench->dataplane.settings.slots[0].listen[client & 1], .port = 3478};
}

static struct api_lease lease_of(unsigned address, unsigned client, uint32_t issued)
{
	struct api_lease lease = {.client = client_of(client),
		.server = server_of(client),
		.lifetime_ms = 600000,
		.issued = issued};
	memset(lease.address, (int)(0xA0 + address), 32);
	memset(lease.device, 0xDE, 8);
	return lease;
}

static struct api_handles_install open_of(uint8_t id, uint32_t lifetime_ms)
{
	struct api_handles_install in = {.lifetime_ms = lifetime_ms};
	memset(in.open_id, 0xB0 + id, 16);
	for (unsigned side = 0; side < 2; side++) {
		in.end[side].client = client_of(side);
		in.end[side].server = server_of(side);
		memset(in.end[side].key, (int)(0x70 + side), 16);
	}
	return in;
}

static int request(struct connection *connection, uint32_t type, const void *payload, uint32_t size)
{
	assert_int_equal(bench_request(connection, 7, type, payload, size), 0);
	return bench_answer(connection).header.length;
}

static uint64_t counter(enum native_counter which)
{
	return bench->dataplane.native.counters[which];
}

static void sizes_and_roles(void **state)
{
	(void)state;
	static uint8_t zeros[512];
	const struct {
		uint32_t type, size;
	} requests[] = {{API_LEASE_SET, sizeof(struct api_lease)},
		{API_LEASE_REMOVE, sizeof(struct api_lease)},
		{API_HANDLES_INSTALL, sizeof(struct api_handles_install)},
		{API_NATIVE_DELIVER, sizeof(struct api_native_deliver)},
		{API_NATIVE_SETTINGS, sizeof(struct api_native_settings)}};
	for (unsigned i = 0; i < 5; i++) {
		struct connection *observer = bench_connection(API_ROLE_OBSERVER);
		assert_int_equal(
			request(observer, requests[i].type, zeros, requests[i].size), -EPERM);
		connection_free(observer);
		for (unsigned wrong = 0; wrong < 3; wrong++) {
			struct connection *control = bench_connection(API_ROLE_CONTROL);
			uint32_t size = wrong == 0   ? 0
					: wrong == 1 ? requests[i].size - 4
						     : requests[i].size + 4;
			assert_int_equal(
				bench_request(control, 7, requests[i].type, zeros, size), -EBADMSG);
			connection_free(control);
		}
	}
	// An event is no request.
	struct connection *control = bench_connection(API_ROLE_CONTROL);
	assert_int_equal(
		bench_request(control, 7, API_NATIVE_PUNT, zeros, sizeof(struct api_native_punt)),
		-EBADMSG);
}

static void leases_are_set_and_removed(void **state)
{
	(void)state;
	struct connection *control = bench_connection(API_ROLE_CONTROL);
	struct api_lease lease = lease_of(1, 0, 100);
	struct lease_view view[NATIVE_DEVICES_MAX];
	assert_int_equal(request(control, API_LEASE_SET, &lease, sizeof(lease)), 0);
	assert_int_equal(
		leases_look_up(bench->dataplane.leases, lease.address, ticks_of(rte_rdtsc()), view),
		1);
	lease = lease_of(1, 1, 101);
	assert_int_equal(request(control, API_LEASE_SET, &lease, sizeof(lease)), 0);
	lease = lease_of(1, 0, 100);
	assert_int_equal(request(control, API_LEASE_SET, &lease, sizeof(lease)), -ESTALE);
	struct api_gauges gauges;
	assert_int_equal(bench_request(control, 9, API_GAUGES, NULL, 0), 0);
	memcpy(&gauges, bench_answer(control).payload, sizeof(gauges));
	assert_int_equal(gauges.leases, 1);
	assert_int_equal(gauges.leases_max, 16);
	assert_int_equal(gauges.handles, 0);
	assert_int_equal(gauges.handles_max, 16);
	lease = lease_of(1, 1, 102);
	assert_int_equal(request(control, API_LEASE_REMOVE, &lease, sizeof(lease)), 0);
	assert_int_equal(request(control, API_LEASE_REMOVE, &lease, sizeof(lease)), 0);
	assert_int_equal(request(control, API_LEASE_SET, &lease, sizeof(lease)), -ESTALE);
	assert_int_equal(counter(NATIVE_leases_made), 1);
	assert_int_equal(counter(NATIVE_leases_changed), 1);
	assert_int_equal(counter(NATIVE_leases_removed), 1);
	assert_int_equal(counter(NATIVE_leases_refused), 2);
	assert_int_equal(bench->dataplane.leases->used, 0);
}

static void handles_are_installed_and_told(void **state)
{
	(void)state;
	struct connection *control = bench_connection(API_ROLE_CONTROL);
	struct api_handles_install in = open_of(1, 60000);
	struct api_handles_installed out, again;
	assert_int_equal(request(control, API_HANDLES_INSTALL, &in, sizeof(in)), sizeof(out));
	assert_int_equal(bench_request(control, 7, API_HANDLES_INSTALL, &in, sizeof(in)), 0);
	memcpy(&out, bench_answer(control).payload, sizeof(out));
	assert_int_equal(out.again, 1);
	assert_int_equal(bench_request(control, 8, API_HANDLES_INSTALL, &in, sizeof(in)), 0);
	memcpy(&again, bench_answer(control).payload, sizeof(again));
	assert_memory_equal(&out, &again, sizeof(out));
	in.end[0].key[0] ^= 1;
	assert_int_equal(request(control, API_HANDLES_INSTALL, &in, sizeof(in)), -EEXIST);
	struct api_gauges gauges;
	assert_int_equal(bench_request(control, 9, API_GAUGES, NULL, 0), 0);
	memcpy(&gauges, bench_answer(control).payload, sizeof(gauges));
	assert_int_equal(gauges.handles, 2);
	assert_int_equal(counter(NATIVE_handles_installed), 1);
	assert_int_equal(counter(NATIVE_handles_repeated), 2);
	assert_int_equal(counter(NATIVE_handles_refused), 1);
}

static void deliveries_go_by_their_worker(void **state)
{
	(void)state;
	struct connection *control = bench_connection(API_ROLE_CONTROL);
	struct {
		struct api_native_deliver head;
		uint8_t payload[COMMAND_PAYLOAD_MAX];
	} deliver = {.head = {.worker = 1, .length = 200}};
	memset(deliver.head.address, 0xAD, 32);
	memset(deliver.payload, 0x5A, sizeof(deliver.payload));
	const uint32_t size = sizeof(deliver.head) + 200;
	deliver_result = 3;
	assert_int_equal(bench_request(control, 7, API_NATIVE_DELIVER, &deliver, size), 0);
	assert_int_equal(delivered, 0);
	assert_int_equal(control->outstanding, 1);
	bench_work(64);
	struct api_native_delivered out;
	struct api_frame frame = bench_answer(control);
	assert_int_equal(frame.header.length, sizeof(out));
	memcpy(&out, frame.payload, sizeof(out));
	assert_int_equal(out.devices, 3);
	assert_int_equal(delivered_by, 1);
	deliver_result = -ENOENT;
	assert_int_equal(bench_request(control, 7, API_NATIVE_DELIVER, &deliver, size), 0);
	bench_work(64);
	assert_int_equal(bench_answer(control).header.length, -ENOENT);
	deliver.head.worker = 2;
	assert_int_equal(request(control, API_NATIVE_DELIVER, &deliver, size), -EINVAL);
	deliver.head.worker = 0;
	deliver.head.length = sizeof(deliver.payload);
	assert_int_equal(
		request(control, API_NATIVE_DELIVER, &deliver, sizeof(deliver)), -EMSGSIZE);
	assert_int_equal(delivered, 2);
}

static struct api_native_settings settings_of(uint32_t epoch)
{
	return (struct api_native_settings){.epoch = epoch,
		.epoch_seconds = 3600,
		.sender_bytes = 1000,
		.address_bytes = 2000,
		.new_leases = 2,
		.difficulty = 12,
		.admission = NATIVE_ADMISSION_PUZZLE,
		.flags = API_NATIVE_SERVED};
}

// A worker goes by what it had until it takes its command; the request is answered by the last one.
static void settings_reach_all_workers(void **state)
{
	(void)state;
	struct connection *control = bench_connection(API_ROLE_CONTROL);
	struct worker **workers = bench->dataplane.workers;
	struct native_settings keys = *workers[0]->native;
	struct api_native_settings in = settings_of(500), more = settings_of(501);
	assert_false(keys.served);
	assert_int_equal(bench_request(control, 7, API_NATIVE_SETTINGS, &in, sizeof(in)), 0);
	assert_int_equal(control->outstanding, 2);
	assert_false(workers[0]->native->served);
	command_execute(workers[0], &workers[0]->machine->lane, 0, 64);
	assert_true(workers[0]->native->served);
	assert_false(workers[1]->native->served);
	// The next one waits its turn: nobody may still read the slot it is written to.
	assert_int_equal(bench_request(control, 8, API_NATIVE_SETTINGS, &more, sizeof(more)), 0);
	assert_int_equal(workers[0]->native->epoch, 500);
	assert_int_equal(workers[1]->native->epoch, 0);
	bench_work(64);
	assert_int_equal(bench_answer(control).header.id, 7);
	assert_int_equal(workers[1]->native->epoch, 500);
	assert_int_equal(connection_work(control), 0);
	bench_work(64);
	assert_int_equal(bench_answer(control).header.id, 8);
	for (unsigned w = 0; w < 2; w++) {
		const struct native_settings *native = workers[w]->native;
		assert_int_equal(native->epoch, 501);
		assert_int_equal(native->sender_bytes, 1000);
		assert_int_equal(native->address_bytes, 2000);
		assert_int_equal(native->difficulty, 12);
		assert_int_equal(native->admission, NATIVE_ADMISSION_PUZZLE);
		assert_false(native->tell_unknown);
		assert_memory_equal(native->cookie_key, keys.cookie_key, 16);
		assert_memory_equal(native->path_key, keys.path_key, 16);
		assert_int_equal(native->tick_offset, keys.tick_offset);
	}
	assert_memory_not_equal(keys.cookie_key, keys.path_key, 16);
	// The same again: answered at once. The rate of new leases is main's own.
	more.new_leases = 3;
	assert_int_equal(request(control, API_NATIVE_SETTINGS, &more, sizeof(more)), 0);
	for (unsigned i = 0; i < 4; i++) {
		struct api_lease lease = lease_of(i, 0, 100);
		assert_int_equal(request(control, API_LEASE_SET, &lease, sizeof(lease)),
			i < 3 ? 0 : -EAGAIN);
	}
}

static void settings_that_are_none(void **state)
{
	(void)state;
	struct connection *control = bench_connection(API_ROLE_CONTROL);
	struct api_native_settings bad[9];
	for (unsigned i = 0; i < 9; i++)
		bad[i] = settings_of(1);
	bad[0].epoch_seconds = 0;
	bad[1].sender_bytes = 0;
	bad[2].address_bytes = 0;
	bad[3].new_leases = 0;
	bad[4].difficulty = 65;
	bad[5].admission = 3;
	bad[6].flags = 4;
	bad[7].sender_bytes = 1000000001;
	bad[8].new_leases = 1000000001;
	for (unsigned i = 0; i < 9; i++)
		assert_int_equal(
			request(control, API_NATIVE_SETTINGS, &bad[i], sizeof(bad[i])), -EINVAL);
	assert_false(bench->dataplane.workers[0]->native->served);
}

// ---- the end ----

static void assert_told(unsigned which, unsigned side, const struct api_handles_installed *pair,
	const struct api_handles_install *in, unsigned reason)
{
	const struct native_closed *closed = &told[which].closed;
	uint8_t proof[NATIVE_PROOF_SIZE];
	assert_int_equal(closed->handle.index, pair->index[side]);
	assert_int_equal(closed->handle.generation, pair->generation[side]);
	assert_int_equal(closed->reason, reason);
	native_closed_proof(proof, in->end[side].key, closed);
	assert_memory_equal(closed->proof, proof, sizeof(proof));
	assert_true(net_endpoint_equal(&told[which].destination, &in->end[side].client));
	assert_true(net_endpoint_equal(&told[which].source, &in->end[side].server));
}

static void silent_pairs_end_and_are_told(void **state)
{
	(void)state;
	struct connection *control = bench_connection(API_ROLE_CONTROL);
	struct dataplane *dataplane = &bench->dataplane;
	struct api_handles_install in = open_of(1, 20), keeps = open_of(2, 3600000);
	struct api_handles_installed pair;
	struct api_lease lease = lease_of(1, 0, 100);
	lease.lifetime_ms = 20;
	assert_int_equal(request(control, API_LEASE_SET, &lease, sizeof(lease)), 0);
	assert_int_equal(request(control, API_HANDLES_INSTALL, &keeps, sizeof(keeps)), 16);
	assert_int_equal(bench_request(control, 7, API_HANDLES_INSTALL, &in, sizeof(in)), 0);
	memcpy(&pair, bench_answer(control).payload, sizeof(pair));
	// The callee stays for ever.
	dataplane->handles->lines[pair.index[1]].fields.deadline += 1000000;
	uint64_t until = dataplane_now_ms() + 10000;
	while (closed_count < 2 || dataplane->leases->used) {
		assert_true(dataplane_now_ms() < until);
		native_tick(dataplane);
		bench_work(64);
	}
	assert_told(0, 0, &pair, &in, NATIVE_CLOSED_YOU_SILENT);
	assert_told(1, 1, &pair, &in, NATIVE_CLOSED_PEER_SILENT);
	assert_memory_not_equal(told[0].closed.transaction, told[1].closed.transaction, 8);
	assert_int_equal(counter(NATIVE_handles_expired), 2);
	assert_int_equal(counter(NATIVE_leases_expired), 1);
	assert_int_equal(dataplane->handles->used, 1);
	assert_int_equal(closed_count, 2);
}

static void a_drain_refuses_and_then_ends_all(void **state)
{
	(void)state;
	struct connection *control = bench_connection(API_ROLE_CONTROL);
	struct dataplane *dataplane = &bench->dataplane;
	struct api_handles_install in = open_of(1, 60000), more = open_of(9, 60000);
	struct api_handles_installed pair;
	struct api_lease lease = lease_of(1, 0, 100), another = lease_of(2, 0, 100);
	assert_int_equal(request(control, API_LEASE_SET, &lease, sizeof(lease)), 0);
	assert_int_equal(bench_request(control, 7, API_HANDLES_INSTALL, &in, sizeof(in)), 0);
	memcpy(&pair, bench_answer(control).payload, sizeof(pair));
	struct api_drain drain = {.on = 1, .deadline_ms = UINT32_MAX};
	assert_int_equal(request(control, API_DRAIN, &drain, sizeof(drain)), 0);
	assert_int_equal(request(control, API_LEASE_SET, &another, sizeof(another)), -ESHUTDOWN);
	assert_int_equal(request(control, API_HANDLES_INSTALL, &more, sizeof(more)), -ESHUTDOWN);
	lease.issued++;
	assert_int_equal(request(control, API_LEASE_SET, &lease, sizeof(lease)), 0);
	native_tick(dataplane);
	bench_work(64);
	assert_int_equal(closed_count, 0);
	// serve.c's word that the deadline has come.
	dataplane->drain.ended = true;
	for (unsigned i = 0; i < 3; i++) {
		native_tick(dataplane);
		bench_work(64);
	}
	assert_int_equal(closed_count, 2);
	for (unsigned side = 0; side < 2; side++)
		assert_told(side, side, &pair, &in, NATIVE_CLOSED_DRAINING);
	assert_int_equal(dataplane->leases->used + dataplane->handles->used, 0);
	assert_int_equal(counter(NATIVE_leases_drained), 1);
	assert_int_equal(counter(NATIVE_handles_drained), 2);
	// Back in service, with a drain to come that begins at the first entry again.
	drain.on = 0;
	assert_int_equal(request(control, API_DRAIN, &drain, sizeof(drain)), 0);
	native_tick(dataplane);
	assert_int_equal(request(control, API_LEASE_SET, &another, sizeof(another)), 0);
	dataplane->drain.ended = true;
	native_tick(dataplane);
	assert_int_equal(dataplane->leases->used, 0);
}

// More ends than workers' lanes have room for: none is lost, and requests keep their share.
static void ends_wait_for_room(void **state)
{
	(void)state;
	struct connection *control = bench_connection(API_ROLE_CONTROL);
	struct dataplane *dataplane = &bench->dataplane;
	struct command *held[2][COMMAND_SLOTS];
	unsigned held_count[2] = {0, 0};
	for (uint8_t id = 0; id < 8; id++) {
		struct api_handles_install in = open_of(id, 60000);
		assert_int_equal(request(control, API_HANDLES_INSTALL, &in, sizeof(in)), 16);
	}
	for (unsigned w = 0; w < 2; w++)
		while (dataplane->workers[w]->machine->lane.free_count > 68 + 2 * w)
			held[w][held_count[w]++] =
				command_take(&dataplane->workers[w]->machine->lane);
	dataplane->drain = (struct drain){.on = true, .ended = true};
	for (unsigned i = 0; i < 3; i++)
		native_tick(dataplane);
	// Each lane keeps its 64: two pairs on the first, three on the other.
	assert_int_equal(dataplane->handles->used, 3);
	for (unsigned i = 0; i < 3; i++) {
		bench_work(64);
		native_tick(dataplane);
	}
	bench_work(64);
	assert_int_equal(dataplane->handles->used, 0);
	assert_int_equal(closed_count, 16);
	for (unsigned w = 0; w < 2; w++)
		for (unsigned i = 0; i < held_count[w]; i++)
			command_release(&dataplane->workers[w]->machine->lane, held[w][i]);
}

// ---- nothing stays ----

static bool lanes_hold(const void *what, size_t size)
{
	for (unsigned w = 0; w < bench->dataplane.worker_count; w++)
		if (memmem(bench->dataplane.workers[w]->machine->lane.slots,
			    COMMAND_SLOTS * sizeof(struct command), what, size))
			return true;
	return false;
}

static bool connection_holds(const struct connection *connection, const void *what, size_t size)
{
	return memmem(connection->in, API_DATAGRAM_MAX, what, size) ||
	       memmem(connection->out.data, (size_t)connection->out.datagrams * API_DATAGRAM_MAX,
		       what, size);
}

static void used_messages_are_wiped(void **state)
{
	(void)state;
	struct connection *control = bench_connection(API_ROLE_CONTROL);
	struct api_lease lease = lease_of(1, 1, 100);
	struct api_handles_install in = open_of(1, 60000);
	randombytes_buf(lease.client.address.bytes, 16);
	randombytes_buf(in.end[1].client.address.bytes, 16);
	for (unsigned side = 0; side < 2; side++)
		randombytes_buf(in.end[side].key, 16);
	assert_int_equal(request(control, API_LEASE_SET, &lease, sizeof(lease)), 0);
	assert_int_equal(request(control, API_HANDLES_INSTALL, &in, sizeof(in)), 16);
	// The next message does not hide the one before: both buffers are searched as they are.
	assert_false(connection_holds(control, lease.address, 8));
	assert_false(connection_holds(control, lease.client.address.bytes, 8));
	assert_false(connection_holds(control, in.end[1].client.address.bytes, 8));
	assert_false(connection_holds(control, in.end[0].key, 8));
	bench->dataplane.drain.ended = true;
	native_tick(&bench->dataplane);
	assert_true(lanes_hold(in.end[1].client.address.bytes, 8)); // on its way
	bench_work(64);
	assert_int_equal(closed_count, 2);
	assert_false(lanes_hold(in.end[1].client.address.bytes, 8));
	assert_false(lanes_hold(told[0].closed.proof, 8));
}

static int set_up(void **state)
{
	(void)state;
	dpdk_env_start();
	return sodium_init() < 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(sizes_and_roles, up, down),
		cmocka_unit_test_setup_teardown(leases_are_set_and_removed, up, down),
		cmocka_unit_test_setup_teardown(handles_are_installed_and_told, up, down),
		cmocka_unit_test_setup_teardown(deliveries_go_by_their_worker, up, down),
		cmocka_unit_test_setup_teardown(settings_reach_all_workers, up, down),
		cmocka_unit_test_setup_teardown(settings_that_are_none, up, down),
		cmocka_unit_test_setup_teardown(silent_pairs_end_and_are_told, up, down),
		cmocka_unit_test_setup_teardown(a_drain_refuses_and_then_ends_all, up, down),
		cmocka_unit_test_setup_teardown(ends_wait_for_room, up, down),
		cmocka_unit_test_setup_teardown(used_messages_are_wiped, up, down),
	};
	return cmocka_run_group_tests(tests, set_up, NULL);
}
