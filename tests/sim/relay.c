// SPDX-License-Identifier: BSD-3-Clause
// Starting and ending the dataplane, and looking into it; see relay.h. Clocks and the kernel's
// random bytes are ours:
//
// wrap: dataplane_now_ms
// wrap: dataplane_now_tsc
// wrap: rte_get_tsc_hz
// wrap: getrandom
#include "tests/sim/relay_inside.h"

#include "dataplane/guard_rules.h"
#include "dataplane/table/handles.h"
#include "dataplane/table/leases.h"
#include "dataplane/table/next_hops.h"
#include "tests/sim/clock.h"
#include "tests/sim/frame.h"
#include "tests/sim/network.h"
#include "tests/sim/relay_memory.h"
#include "tests/sim/sim.h"
#include "tests/sim/trace.h"
#include "tests/unit/dpdk_env.h"

#include <rte_mempool.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

enum {
	BUFFERS = 4095,
	ALLOCATIONS = 16, // there is no TURN here
	IFINDEX = 5,
	LINK_MTU = 1500,
};

struct relay relay;

// ---- clocks and chance ----

uint64_t __wrap_dataplane_now_ms(void);
uint64_t __wrap_dataplane_now_ms(void)
{
	return clock_monotonic_ms();
}

uint64_t __wrap_dataplane_now_tsc(void);
uint64_t __wrap_dataplane_now_tsc(void)
{
	return clock_tsc();
}

uint64_t __wrap_rte_get_tsc_hz(void);
uint64_t __wrap_rte_get_tsc_hz(void)
{
	return clock_tsc_hz();
}

ssize_t __wrap_getrandom(void *out, size_t size, unsigned flags);
ssize_t __wrap_getrandom(void *out, size_t size, unsigned flags)
{
	(void)flags;
	dice_fill(&relay.entropy, out, size);
	return (ssize_t)size;
}

// ---- life ----

void relay_open(uint64_t seed, const struct config *config)
{
	relay.config = config;
	dice_seed(&relay.dice, seed, 0x4E1A);
	dice_seed(&relay.entropy, seed, 0xE247);
	dpdk_env_start();
	relay.pool = rte_pktmbuf_pool_create("simulation", BUFFERS, 0, PACKET_PRIVATE_SIZE,
		RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (relay.pool == NULL)
		abort();
}

static void require(bool condition)
{
	if (!condition)
		sim_fail(SIM_NOBODY, SIM_NOBODY, "the relay does not start");
}

static struct net_address address_of(const struct net_endpoint *endpoint)
{
	return endpoint->address;
}

static void open_routes(struct dataplane *dataplane)
{
	static const uint8_t v4[4] = {192, 0, 2, 254}, v6[16] = {0xfe, 0x80, [15] = 0xfe};
	struct next_hops *hops = dataplane->next_hops = next_hops_create();
	struct api_link_set link = {
		.ifindex = IFINDEX, .mtu = LINK_MTU, .up = true, .port_interface = "eth-sim"};
	memcpy(link.mac, frame_relay_mac, 6);
	require(hops != NULL && next_hops_port(hops, 0, "eth-sim") == 0 &&
		next_hops_link_set(hops, &link) == 0);
	for (unsigned i = 0; i < 2; i++) {
		struct net_address gateway = i == 0 ? net_address_v4(v4) : net_address_v6(v6);
		struct api_route route = {
			.prefix.address.family = gateway.family,
			.count = 1,
			.hops[0] = {.ifindex = IFINDEX, .gateway = gateway},
		};
		struct api_neighbour neighbour = {.ifindex = IFINDEX, .address = gateway};
		memcpy(neighbour.mac, frame_gateway_mac, 6);
		require(next_hops_route_set(hops, &route) == 0 &&
			next_hops_neighbour_set(hops, &neighbour) == 0);
	}
}

static struct worker *open_worker(struct dataplane *dataplane, uint16_t id)
{
	struct worker *worker = aligned_alloc(64, (sizeof(*worker) + 63) / 64 * 64);
	require(worker != NULL);
	memset(worker, 0, sizeof(*worker));
	worker->id = id;
	worker->addresses = &dataplane->settings.slots[0];
	worker->mappings = mappings_create(ALLOCATIONS, 4 * ALLOCATIONS, SOCKET_ID_ANY);
	worker->relay_ports = dataplane->relay_ports;
	worker->next_hops = dataplane->next_hops;
	worker->guard = guard_create(RELAY_WORKERS, SOCKET_ID_ANY);
	worker->guard_rules = dataplane->guard_rules;
	worker->leases = dataplane->leases;
	worker->handles = dataplane->handles;
	worker->native = &dataplane->native.slots[0];
	worker->pool = relay.pool;
	worker->port_has_kernel[0] = true;
	worker->machine = machine_create(dataplane);
	require(worker->mappings != NULL && worker->guard != NULL && worker->machine != NULL);
	return worker;
}

static bool alive(const struct connection *connection)
{
	(void)connection;
	return true;
}

void relay_start(void)
{
	struct dataplane *dataplane = calloc(1, sizeof(*dataplane));
	require(dataplane != NULL);
	relay.dataplane = dataplane;
	dataplane->config = relay.config;
	dataplane->pool = relay.pool;
	struct node_addresses *node = &dataplane->settings.slots[0];
	*node = (struct node_addresses){.listen = {address_of(network_relay(NET_IPV4)),
						address_of(network_relay(NET_IPV6))},
		.listen_count = 2,
		.port = network_relay(NET_IPV4)->port,
		.alternate_port = (uint16_t)(network_relay(NET_IPV4)->port + 1),
		.channel_last = 0x4FFF,
		.relay_first = 49152,
		.relay_last = 65535};
	dataplane->relay_ports = relay_ports_create(node);
	dataplane->guard_rules = guard_rules_create();
	require(dataplane->relay_ports != NULL && dataplane->guard_rules != NULL &&
		native_open(dataplane, relay.config) == 0);
	open_routes(dataplane);
	dice_fill(&relay.entropy, &dataplane->instance, sizeof(dataplane->instance));
	dice_fill(&relay.entropy, dataplane->tag_key, sizeof(dataplane->tag_key));
	dice_fill(&relay.entropy, dataplane->secret, sizeof(dataplane->secret));
	dataplane->started_ms = clock_monotonic_ms();
	dataplane->worker_count = RELAY_WORKERS;
	for (uint16_t w = 0; w < RELAY_WORKERS; w++)
		dataplane->workers[w] = open_worker(dataplane, w);
	relay.server = (struct api_server){
		.dataplane = dataplane, .alive = alive, .last_serial = relay.last_serial};
	relay.up = true;
	trace(TRACE_SCENE, SIM_NOBODY, "dataplane starts", NULL, NULL, 0);
	relay_turn_begin();
}

void relay_stop(void)
{
	struct dataplane *dataplane = relay.dataplane;
	trace(TRACE_SCENE, SIM_NOBODY, "dataplane ends", NULL, NULL, 0);
	relay.up = false;
	relay_turn_forget();
	if (relay.connection != NULL)
		connection_free(relay.connection);
	relay.connection = NULL;
	relay.last_serial = relay.server.last_serial;
	for (unsigned w = 0; w < RELAY_WORKERS; w++) {
		struct worker *worker = dataplane->workers[w];
		for (unsigned i = 0; i < STATS_DROP_COUNT; i++)
			relay.drops[i] += worker->stats.drop[i];
		for (unsigned i = 0; i < STATS_EVENT_COUNT; i++)
			relay.events[i] += worker->stats.event[i];
		mappings_free(worker->mappings);
		guard_free(worker->guard);
		machine_free(worker->machine);
		free(worker);
	}
	native_close(dataplane);
	next_hops_free(dataplane->next_hops);
	relay_ports_free(dataplane->relay_ports);
	guard_rules_free(dataplane->guard_rules);
	free(dataplane);
	relay.dataplane = NULL;
	if (rte_mempool_in_use_count(relay.pool) != 0)
		sim_fail(SIM_NOBODY, SIM_NOBODY, "%u buffers have not come back",
			rte_mempool_in_use_count(relay.pool));
}

void relay_close(void)
{
	relay_turn_close();
	rte_mempool_free(relay.pool);
}

bool relay_is_up(void)
{
	return relay.up;
}

// ---- for invariants ----

struct leases *relay_leases(void)
{
	return relay.dataplane->leases;
}

const struct handles *relay_handles(void)
{
	return relay.dataplane->handles;
}

bool relay_drain_is_over(void)
{
	return relay.dataplane->drain.ended;
}

unsigned relay_buffers_used(void)
{
	return rte_mempool_in_use_count(relay.pool);
}

const char *relay_search(const void *bytes, size_t size)
{
	if (relay_memory_has(bytes, size))
		return "a table";
	const struct connection *c = relay.connection;
	if (c == NULL)
		return NULL;
	if (memmem(c->in, API_DATAGRAM_MAX, bytes, size) != NULL ||
		memmem(c->out.data, (size_t)c->out.datagrams * API_DATAGRAM_MAX, bytes, size) !=
			NULL)
		return "the socket's buffers";
	for (unsigned w = 0; w < RELAY_WORKERS; w++)
		if (memmem(relay.dataplane->workers[w]->machine->lane.slots,
			    COMMAND_SLOTS * sizeof(struct command), bytes, size) != NULL)
			return "a command slot";
	return NULL;
}

void relay_print_stats(void)
{
	for (unsigned i = 0; i < STATS_DROP_COUNT; i++)
		if (relay.drops[i])
			printf("  dropped %-24s %llu\n", stats_drop_names[i],
				(unsigned long long)relay.drops[i]);
	for (unsigned i = 0; i < STATS_EVENT_COUNT; i++)
		if (relay.events[i])
			printf("  event   %-24s %llu\n", stats_event_names[i],
				(unsigned long long)relay.events[i]);
}
