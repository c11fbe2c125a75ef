// SPDX-License-Identifier: BSD-3-Clause
// Answers to API_COUNTERS, API_PORTS, API_WORKERS, API_GAUGES and API_CONFIG_KEYS: numbers without
// identity. Lists are told from a position on, as far as there is room, and go on later. Main
// lcore, which reads the workers' counters as they are.

#include "dataplane/connection.h"

#include "dataplane/dataplane.h"
#include "dataplane/guard_requests.h"
#include "dataplane/table/handles.h"
#include "dataplane/table/leases.h"
#include "ebpf/load.h"
#include "lib/config/difference.h"

#include <rte_ethdev.h>
#include <rte_mempool.h>

#include <stdio.h>
#include <string.h>

enum {
	COUNTERS_PER_WORKER = STATS_STAGE_COUNT + STATS_DROP_COUNT + STATS_EVENT_COUNT,
};

// ---- counters: those of each worker, of the ports' steering programs, of main ----

static void worker_counter(const struct worker *worker, unsigned index, struct api_counter *out)
{
	const struct stats *stats = &worker->stats;
	const char *name;
	out->worker = worker->id;
	if (index < STATS_STAGE_COUNT) {
		out->kind = API_COUNTER_STAGE;
		out->value = stats->stage[index].packets;
		out->cycles = stats->stage[index].cycles;
		name = stats_stage_names[index];
	} else if (index < STATS_STAGE_COUNT + STATS_DROP_COUNT) {
		index -= STATS_STAGE_COUNT;
		out->kind = API_COUNTER_DROP;
		out->value = stats->drop[index];
		name = stats_drop_names[index];
	} else {
		index -= STATS_STAGE_COUNT + STATS_DROP_COUNT;
		out->kind = API_COUNTER_EVENT;
		out->value = stats->event[index];
		name = stats_event_names[index];
	}
	snprintf(out->name, sizeof(out->name), "%s", name);
}

// Sums over the ports.
static void steering_counter(
	const struct dataplane *dataplane, unsigned index, struct api_counter *out)
{
	out->worker = API_NO_PORT;
	out->kind = API_COUNTER_EVENT;
	for (unsigned p = 0; p < dataplane->port_count; p++) {
		uint64_t counters[STEER_COUNTERS];
		const struct port *port = &dataplane->ports[p];
		if (port->steering.counters >= 0 &&
			steer_counters(port->steering.counters, counters) == 0)
			out->value += counters[index];
	}
	snprintf(out->name, sizeof(out->name), "steer_%s",
		steer_counter_name((enum steer_counter)index));
}

static bool counter_item(
	const struct dataplane *dataplane, uint32_t position, struct api_counter *out)
{
	unsigned worker = position / COUNTERS_PER_WORKER, index = position % COUNTERS_PER_WORKER;
	memset(out, 0, sizeof(*out));
	if (worker < dataplane->worker_count) {
		worker_counter(dataplane->workers[worker], index, out);
		return true;
	}
	index = position - dataplane->worker_count * COUNTERS_PER_WORKER;
	if (index < STEER_COUNTERS) {
		steering_counter(dataplane, index, out);
		return true;
	}
	index -= STEER_COUNTERS;
	if (index >= NATIVE_COUNTER_COUNT)
		return false;
	out->worker = API_NO_PORT;
	out->kind = API_COUNTER_EVENT;
	out->value = dataplane->native.counters[index];
	snprintf(out->name, sizeof(out->name), "%s",
		native_counter_name((enum native_counter)index));
	return true;
}

// ---- ports ----

static bool port_item(const struct dataplane *dataplane, uint32_t position, struct api_port *out)
{
	memset(out, 0, sizeof(*out));
	if (position >= dataplane->port_count)
		return false;
	const struct port *port = &dataplane->ports[position];
	struct rte_eth_link link = {0};
	struct rte_eth_stats stats = {0};
	out->port = port->id;
	out->queues = port->queues;
	out->has_exception = !port->has_kernel;
	memcpy(out->steering, port->ways.way, sizeof(out->steering));
	memcpy(out->mac, port->mac, sizeof(out->mac));
	memcpy(out->name, port->name, sizeof(out->name));
	memcpy(out->driver, port->driver, sizeof(out->driver));
	memcpy(out->kernel_interface, port->kernel_interface, sizeof(out->kernel_interface));
	if (rte_eth_link_get_nowait(port->id, &link) == 0) {
		out->up = link.link_status == RTE_ETH_LINK_UP;
		// Drivers without a wire name a speed all the same; it would mislead.
		if (port->config->type == CONFIG_PORT_PCI &&
			link.link_speed != RTE_ETH_SPEED_NUM_UNKNOWN)
			out->speed_mbps = link.link_speed;
	}
	if (rte_eth_stats_get(port->id, &stats) == 0) {
		out->rx_packets = stats.ipackets;
		out->rx_bytes = stats.ibytes;
		out->rx_missed = stats.imissed + stats.rx_nombuf;
		out->rx_errors = stats.ierrors;
		out->tx_packets = stats.opackets;
		out->tx_bytes = stats.obytes;
		out->tx_errors = stats.oerrors;
	}
	return true;
}

// ---- workers ----

static bool worker_item(
	const struct dataplane *dataplane, uint32_t position, struct api_worker *out)
{
	memset(out, 0, sizeof(*out));
	if (position >= dataplane->worker_count)
		return false;
	const struct worker *worker = dataplane->workers[position];
	const struct worker_machine *machine = worker->machine;
	struct mappings_usage usage;
	mappings_usage(worker->mappings, &usage);
	*out = (struct api_worker){
		.worker = worker->id,
		.core = worker->core,
		.queues = machine->queue_count,
		.allocations = usage.allocations,
		.permissions = usage.permissions,
		.channels = usage.channels,
		.allocations_max = usage.allocations_max,
		.rx_packets = machine->received,
		.tx_packets = machine->transmitted,
		.handoffs_in = machine->handed_in_count,
		.handoffs_out = machine->handed_out_count,
		.busy_cycles = machine->busy_cycles,
		.idle_cycles = machine->idle_cycles,
	};
	return true;
}

// ---- steering: the pairs of all ports, first those of IPv4 ----

static bool steering_item(
	const struct dataplane *dataplane, uint32_t position, struct api_steering *out)
{
	enum { RUNS = STEERING_PAIRS / API_STEERING_PAIRS };
	memset(out, 0, sizeof(*out));
	for (unsigned slot = 0; slot < 2; slot++) {
		const struct steering_homes *homes = &dataplane->homes[slot];
		if (!homes->known)
			continue;
		if (position >= RUNS) {
			position -= RUNS;
			continue;
		}
		unsigned first = position * API_STEERING_PAIRS;
		out->family = slot ? NET_IPV6 : NET_IPV4;
		out->first_port = (uint16_t)(first * 2);
		out->pairs = API_STEERING_PAIRS;
		out->workers = (uint16_t)dataplane->worker_count;
		memcpy(out->worker, homes->worker + first, API_STEERING_PAIRS);
		return true;
	}
	return false;
}

// ---- the configuration ----

static bool config_key_item(
	const struct dataplane *dataplane, uint32_t position, struct api_config_key *out)
{
	if (position >= config_keys())
		return false;
	unsigned key = position;
	memset(out, 0, sizeof(*out));
	snprintf(out->section, sizeof(out->section), "%s", config_key_section(key));
	snprintf(out->name, sizeof(out->name), "%s", config_key_name(key));
	config_key_digest(key, dataplane->config, dataplane->tag_key, out->digest);
	return true;
}

void reading_continue(struct connection *connection)
{
	const struct dataplane *dataplane = connection->server->dataplane;
	struct connection_stream *stream = &connection->stream;
	union {
		struct api_counter counter;
		struct api_port port;
		struct api_worker worker;
		struct api_steering steering;
		struct api_config_key key;
		struct api_guard_rule rule;
	} item;
	while (connection_room(connection) >= CONNECTION_ANSWER_RESERVE) {
		bool more;
		uint32_t size;
		switch (stream->type) {
		case API_COUNTERS:
			more = counter_item(dataplane, stream->position, &item.counter);
			size = sizeof(item.counter);
			break;
		case API_PORTS:
			more = port_item(dataplane, stream->position, &item.port);
			size = sizeof(item.port);
			break;
		case API_STEERING:
			more = steering_item(dataplane, stream->position, &item.steering);
			size = sizeof(item.steering);
			break;
		case API_CONFIG_KEYS:
			more = config_key_item(dataplane, stream->position, &item.key);
			size = sizeof(item.key);
			break;
		case API_GUARD_RULES:
			more = guard_rule_at(dataplane, stream->position, &item.rule);
			size = sizeof(item.rule);
			break;
		default:
			more = worker_item(dataplane, stream->position, &item.worker);
			size = sizeof(item.worker);
			break;
		}
		connection_append(
			connection, stream->id, stream->type, &item, more ? size : 0, NULL, 0);
		stream->position++;
		if (!more) {
			memset(stream, 0, sizeof(*stream));
			return;
		}
	}
}

void reading_gauges(struct connection *connection, uint32_t id)
{
	const struct dataplane *dataplane = connection->server->dataplane;
	struct api_gauges out = {
		.uptime_ms = dataplane_now_ms() - dataplane->started_ms,
		.draining = dataplane->drain.on,
		.drain_left_ms = dataplane_drain_left(dataplane),
		.hugepages = dataplane->hugepages,
		.leases = dataplane->leases->used,
		.leases_max = dataplane->leases->capacity,
		.handles = 2 * dataplane->handles->used,
		.handles_max = dataplane->handles->count,
	};
	for (unsigned w = 0; w < dataplane->worker_count; w++) {
		const struct stats *stats = &dataplane->workers[w]->stats;
		struct mappings_usage usage;
		mappings_usage(dataplane->workers[w]->mappings, &usage);
		out.allocations += usage.allocations;
		out.relayed_to_peer_packets += stats->event[EVENT_relayed_to_peer_packets];
		out.relayed_to_peer_bytes += stats->event[EVENT_relayed_to_peer_bytes];
		out.relayed_to_client_packets += stats->event[EVENT_relayed_to_client_packets];
		out.relayed_to_client_bytes += stats->event[EVENT_relayed_to_client_bytes];
		for (unsigned d = 0; d < STATS_DROP_COUNT; d++)
			out.drops += stats->drop[d];
	}
	if (dataplane->pool) {
		out.mbufs_total = dataplane->pool->populated_size;
		out.mbufs_free = rte_mempool_avail_count(dataplane->pool);
	}
	connection_append(connection, id, API_GAUGES, &out, sizeof(out), NULL, 0);
}
