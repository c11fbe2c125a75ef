// SPDX-License-Identifier: BSD-3-Clause
// Making the dataplane and taking it down; see dataplane.h.

#include "dataplane/dataplane.h"

#include "dataplane/eal.h"
#include "dataplane/guard_requests.h"
#include "dataplane/guard_rules.h"
#include "dataplane/pool.h"
#include "dataplane/steering/handoff.h"
#include "dataplane/steering/queues.h"
#include "dataplane/steering/steering.h"
#include "dataplane/table/client_index.h"

#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>

#include <sys/random.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	HELD_BUFFERS = 1024, // packets that wait for a neighbour, per worker
	XDP_HEADROOM = 256,
	TAG_BYTES = 8,
	ROOM_MIN = RTE_MBUF_DEFAULT_BUF_SIZE,
};

uint32_t dataplane_drain_left(const struct dataplane *dataplane)
{
	const struct drain *drain = &dataplane->drain;
	if (!drain->on || !drain->has_deadline)
		return UINT32_MAX;
	uint64_t now = dataplane_now_ms();
	return now >= drain->deadline_ms ? 0 : (uint32_t)(drain->deadline_ms - now);
}

static void take_addresses(struct node_addresses *out, const struct config *config)
{
	out->listen_count = config->address.listen_count;
	for (unsigned i = 0; i < out->listen_count; i++)
		out->listen[i] = config->address.listen[i];
	out->port = config->address.port;
	out->alternate_port = config->address.alternate_port;
	out->relay_first = config->address.relay_first;
	out->channel_last = config->turn.channel_last;
	out->relay_last = config->address.relay_last;
	for (unsigned i = 0; i < out->listen_count; i++)
		for (unsigned j = 0; j < i; j++)
			if (out->listen[i].family == out->listen[j].family)
				out->behaviour_discovery = true;
}

static struct steer_config what_is_ours(const struct node_addresses *addresses)
{
	struct steer_config out = {
		.address_count = addresses->listen_count,
		.listen_port = addresses->port,
		.alternate_port = addresses->behaviour_discovery ? addresses->alternate_port : 0,
		.relay_first = addresses->relay_first,
		.relay_last = addresses->relay_last,
	};
	memcpy(out.addresses, addresses->listen,
		addresses->listen_count * sizeof(*addresses->listen));
	return out;
}

// ---- ports and buffers ----

static int make_ports(struct dataplane *dataplane, char error[static DATAPLANE_ERROR_SIZE])
{
	const struct config *config = dataplane->config;
	for (unsigned i = 0; i < config->dataplane.port_count; i++) {
		struct port port = {.sleeps = config->dataplane.idle == CONFIG_IDLE_SLEEP};
		int result = port_make(
			&port, &config->dataplane.ports[i], i, config->dataplane.workers, error);
		if (result) {
			port_close(&port);
			return result;
		}
		// DPDK numbers PCI devices before ours; everybody here goes by its numbers.
		if (port.id >= PORTS_MAX || dataplane->ports[port.id].made) {
			port_close(&port);
			snprintf(error, DATAPLANE_ERROR_SIZE,
				"port %s: DPDK has made more devices than are configured",
				port.name);
			return -EINVAL;
		}
		dataplane->ports[port.id] = port;
		if (port.id >= dataplane->port_count)
			dataplane->port_count = port.id + 1u;
	}
	return 0;
}

static bool has_port(const struct dataplane *dataplane, enum config_port_type type)
{
	for (unsigned p = 0; p < dataplane->port_count; p++)
		if (dataplane->ports[p].config->type == type)
			return true;
	return false;
}

static int make_pool(struct dataplane *dataplane, char error[static DATAPLANE_ERROR_SIZE])
{
	unsigned workers = dataplane->config->dataplane.workers;
	unsigned count = workers * (MACHINE_PUNT_RING + MACHINE_KERNEL_RING +
					   MACHINE_FROM_MAIN_RING + HELD_BUFFERS + 2 * BURST_MAX);
	count += workers * (workers - 1) * HANDOFF_RING / 4 + (workers + 1) * POOL_CACHE * 2;
	unsigned room = ROOM_MIN;
	for (unsigned p = 0; p < dataplane->port_count; p++) {
		const struct port *port = &dataplane->ports[p];
		unsigned need = RTE_PKTMBUF_HEADROOM + XDP_HEADROOM + RTE_ETHER_HDR_LEN +
				TAG_BYTES + port->mtu;
		count += port_buffers(port);
		room = need > room ? need : room;
	}
	room = RTE_ALIGN_CEIL(room, (unsigned)RTE_CACHE_LINE_SIZE);
	// A ring of 2^n holds 2^n - 1.
	count = rte_align32pow2(count + 1) - 1;
	int result = pool_create(count, (uint16_t)room, has_port(dataplane, CONFIG_PORT_PCI),
		has_port(dataplane, CONFIG_PORT_AF_XDP), &dataplane->pool);
	if (result == -ENOTSUP) {
		snprintf(error, DATAPLANE_ERROR_SIZE,
			"af_xdp and pci ports cannot share packet buffers in this memory; run two "
			"relays, or use hugepages of 1 GiB");
		return result;
	}
	if (result) {
		unsigned mib = (unsigned)(((uint64_t)count * (room + 320)) >> 20);
		snprintf(error, DATAPLANE_ERROR_SIZE,
			"%u packet buffers (%u MiB in one piece) do not fit into memory = %u; "
			"raise "
			"[dataplane] memory",
			count, mib, dataplane->config->dataplane.memory);
		return -ENOMEM;
	}
	return 0;
}

// ---- workers ----

static int make_worker(struct dataplane *dataplane, const struct eal *eal, uint16_t id)
{
	struct worker *worker = aligned_alloc(
		RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(sizeof(*worker), (size_t)RTE_CACHE_LINE_SIZE));
	if (!worker)
		return -ENOMEM;
	memset(worker, 0, sizeof(*worker));
	dataplane->workers[id] = worker;
	dataplane->worker_count = id + 1u;
	dataplane->lcores[id] = eal->worker_lcores[id];
	int socket = (int)rte_lcore_to_socket_id(eal->worker_lcores[id]);
	worker->id = id;
	worker->core = (uint16_t)eal->worker_cores[id];
	worker->addresses = &dataplane->settings.slots[0];
	worker->relay_ports = dataplane->relay_ports;
	worker->next_hops = dataplane->next_hops;
	worker->client_index = dataplane->client_index;
	worker->guard_rules = dataplane->guard_rules;
	worker->leases = dataplane->leases;
	worker->handles = dataplane->handles;
	worker->native = &dataplane->native.slots[0];
	worker->pool = dataplane->pool;
	for (unsigned p = 0; p < dataplane->port_count; p++) {
		worker->port_has_kernel[p] = dataplane->ports[p].has_kernel;
		worker->port_checksums_whole[p] = dataplane->ports[p].checksums_whole;
	}
	worker->mappings = mappings_create(dataplane->config->dataplane.allocations,
		dataplane->config->dataplane.mappings, socket);
	worker->guard = guard_create(dataplane->config->dataplane.workers, socket);
	worker->machine = machine_create(dataplane);
	return worker->mappings && worker->guard && worker->machine ? 0 : -ENOMEM;
}

static int make_tables(
	struct dataplane *dataplane, const struct eal *eal, char error[static DATAPLANE_ERROR_SIZE])
{
	dataplane->relay_ports = relay_ports_create(&dataplane->settings.slots[0]);
	dataplane->next_hops = next_hops_create();
	dataplane->guard_rules = guard_rules_create();
	int result = dataplane->relay_ports && dataplane->next_hops && dataplane->guard_rules
			     ? 0
			     : -ENOMEM;
	if (result == 0)
		result = native_open(dataplane, dataplane->config);
	if (result == 0 && dataplane->config->dataplane.workers > 1) {
		dataplane->client_index = client_index_create(dataplane->config->dataplane.workers,
			dataplane->config->dataplane.allocations, SOCKET_ID_ANY);
		result = dataplane->client_index ? 0 : -ENOMEM;
	}
	for (uint16_t w = 0; result == 0 && w < dataplane->config->dataplane.workers; w++)
		result = make_worker(dataplane, eal, w);
	if (result)
		snprintf(error, DATAPLANE_ERROR_SIZE,
			"the tables for %u mappings and %u allocations on each of %u workers, %u "
			"leases and %u handles do not fit; "
			"raise [dataplane] memory (%u MiB now) or lower one of them",
			dataplane->config->dataplane.mappings,
			dataplane->config->dataplane.allocations,
			dataplane->config->dataplane.workers,
			dataplane->config->registration.leases,
			dataplane->config->registration.handles,
			dataplane->config->dataplane.memory);
	return result;
}

static int start_ports(struct dataplane *dataplane, char error[static DATAPLANE_ERROR_SIZE])
{
	struct steer_config steer = what_is_ours(&dataplane->settings.slots[0]);
	for (unsigned p = 0; p < dataplane->port_count; p++) {
		struct port *port = &dataplane->ports[p];
		int result = port_start(port, dataplane->pool, &steer, error);
		if (result == 0)
			result = next_hops_port(
				dataplane->next_hops, port->id, port->kernel_interface);
		if (result)
			return result;
	}
	return 0;
}

int dataplane_open(struct dataplane *dataplane, const struct config *config, const struct eal *eal,
	char error[static DATAPLANE_ERROR_SIZE])
{
	dataplane->config = config;
	dataplane->hugepages = eal->hugepages;
	dataplane->started_ms = dataplane_now_ms();
	take_addresses(&dataplane->settings.slots[0], config);
	dataplane->settings.may_rest = config->dataplane.idle == CONFIG_IDLE_SLEEP;
	if (getrandom(&dataplane->instance, sizeof(dataplane->instance), 0) !=
			sizeof(dataplane->instance) ||
		getrandom(dataplane->tag_key, sizeof(dataplane->tag_key), 0) !=
			sizeof(dataplane->tag_key) ||
		getrandom(dataplane->secret, sizeof(dataplane->secret), 0) !=
			sizeof(dataplane->secret))
		return -EIO;
	int result = make_ports(dataplane, error);
	if (result == 0) {
		steering_plan(dataplane);
		result = make_pool(dataplane, error);
	}
	if (result == 0)
		result = make_tables(dataplane, eal, error);
	if (result == 0)
		result = start_ports(dataplane, error);
	if (result == 0 && (result = guard_start(dataplane, config)))
		snprintf(error, DATAPLANE_ERROR_SIZE, "setting the rules of [guard]: %s",
			strerror(-result));
	if (result == 0)
		result = queues_arrange(dataplane);
	if (result == 0)
		steering_apply(dataplane);
	if (result == -ENOSPC)
		snprintf(error, DATAPLANE_ERROR_SIZE,
			"a worker has more than %d queues to serve; configure more workers or "
			"fewer "
			"queues",
			MACHINE_QUEUES_MAX);
	return result;
}

int dataplane_launch(struct dataplane *dataplane, char error[static DATAPLANE_ERROR_SIZE])
{
	dataplane->launched = true;
	for (unsigned w = 0; w < dataplane->worker_count; w++) {
		int result = rte_eal_remote_launch(
			worker_run, dataplane->workers[w], dataplane->lcores[w]);
		if (result) {
			snprintf(error, DATAPLANE_ERROR_SIZE, "starting worker %u: %s", w,
				strerror(-result));
			return result;
		}
	}
	return 0;
}

void dataplane_stop(struct dataplane *dataplane)
{
	if (!dataplane->launched)
		return;
	atomic_store(&dataplane->stop, true);
	for (unsigned w = 0; w < dataplane->worker_count; w++)
		doorbell_ring(&dataplane->workers[w]->machine->rest.bell);
	rte_eal_mp_wait_lcore();
	dataplane->launched = false;
}

void dataplane_close(struct dataplane *dataplane)
{
	for (unsigned p = 0; p < PORTS_MAX; p++)
		port_close(&dataplane->ports[p]);
	for (unsigned w = 0; w < dataplane->worker_count; w++) {
		struct worker *worker = dataplane->workers[w];
		machine_free(worker->machine);
		mappings_free(worker->mappings);
		guard_free(worker->guard);
		free(worker);
	}
	dataplane->worker_count = 0;
	relay_ports_free(dataplane->relay_ports);
	next_hops_free(dataplane->next_hops);
	client_index_free(dataplane->client_index);
	guard_rules_free(dataplane->guard_rules);
	native_close(dataplane);
	rte_mempool_free(dataplane->pool);
	explicit_bzero(dataplane->tag_key, sizeof(dataplane->tag_key));
	explicit_bzero(dataplane->secret, sizeof(dataplane->secret));
}
