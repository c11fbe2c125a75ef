// SPDX-License-Identifier: BSD-3-Clause
// Choosing a way per port and family; see steering.h.
#include "dataplane/steering/steering.h"

#include "dataplane/dataplane.h"
#include "dataplane/steering/rss.h"
#include "dataplane/table/relay_ports.h"

#include <string.h>

static const enum net_family families[2] = {NET_IPV4, NET_IPV6};

struct listen_ports {
	uint16_t ports[2];
	unsigned count;
};

static const struct node_addresses *addresses_of(const struct dataplane *dataplane)
{
	return &dataplane->settings.slots[dataplane->settings.current];
}

static struct listen_ports listen_of(const struct dataplane *dataplane)
{
	const struct node_addresses *addresses = addresses_of(dataplane);
	return (struct listen_ports){
		.ports = {addresses->port, addresses->alternate_port},
		.count = addresses->behaviour_discovery ? 2 : 1,
	};
}

static bool has_family(const struct dataplane *dataplane, enum net_family family)
{
	const struct node_addresses *addresses = addresses_of(dataplane);
	for (unsigned i = 0; i < addresses->listen_count; i++)
		if (addresses->listen[i].family == family)
			return true;
	return false;
}

static unsigned configured_workers(const struct dataplane *dataplane)
{
	return dataplane->config->dataplane.workers;
}

// ---- RSS ----

static unsigned table_of(const struct dataplane *dataplane, const struct port *port,
	enum net_family family, struct rte_eth_dev_info *info)
{
	if (!port->made || port->queues < configured_workers(dataplane) ||
		rte_eth_dev_info_get(port->id, info) != 0)
		return 0;
	return rss_table_size(info, family);
}

void steering_plan(struct dataplane *dataplane)
{
	struct listen_ports listen = listen_of(dataplane);
	unsigned workers = configured_workers(dataplane), smallest = UINT32_MAX;
	// One key, one family (rss_plan.h): most of the world's peers are where IPv4 is.
	enum net_family family = has_family(dataplane, NET_IPV4) ? NET_IPV4 : NET_IPV6;
	struct rte_eth_dev_info info;
	for (unsigned p = 0; p < dataplane->port_count; p++) {
		unsigned table = table_of(dataplane, &dataplane->ports[p], family, &info);
		if (table != 0 && table < smallest)
			smallest = table;
	}
	unsigned class_bits = smallest == UINT32_MAX ? 0
						     : rss_class_bits(smallest, workers,
							       listen.ports, listen.count);
	if (class_bits == 0)
		return;
	for (unsigned p = 0; p < dataplane->port_count; p++) {
		struct port *port = &dataplane->ports[p];
		unsigned table = table_of(dataplane, port, family, &info);
		if (table == 0)
			continue;
		port->ways.planned = true;
		rss_plan_make(&port->ways.plan, family, table, class_bits, workers, listen.ports,
			listen.count);
	}
}

// The n-th of the port's queues that the worker serves, counted round and round.
static uint16_t queue_of(const void *context, unsigned worker, unsigned n)
{
	const struct port *port = context;
	uint16_t own[PORT_QUEUES_MAX] = {0};
	unsigned count = 0;
	for (uint16_t q = 0; q < port->queues; q++)
		if (port->queue_owner[q] == worker)
			own[count++] = q;
	return count ? own[n % count] : 0;
}

static bool every_worker_has_queue(const struct dataplane *dataplane, const struct port *port)
{
	for (unsigned w = 0; w < dataplane->worker_count; w++) {
		bool found = false;
		for (uint16_t q = 0; q < port->queues; q++)
			found |= port->queue_owner[q] == w;
		if (!found)
			return false;
	}
	return true;
}

static bool try_rss(struct dataplane *dataplane, struct port *port, unsigned slot)
{
	struct port_steering *steering = &port->ways;
	struct rte_eth_dev_info info;
	if (!steering->planned || steering->plan.family != families[slot] ||
		rte_eth_dev_info_get(port->id, &info) != 0 ||
		rss_program(port->id, &steering->plan, &info, queue_of, port) != 0)
		return false;
	struct steering_homes *homes = &dataplane->homes[slot];
	homes->known = true;
	for (unsigned pair = 0; pair < STEERING_PAIRS; pair++)
		homes->worker[pair] = rss_plan_home(&steering->plan, (uint16_t)(pair * 2));
	return true;
}

// ---- rules ----

static bool try_rules(struct dataplane *dataplane, struct port *port, unsigned slot)
{
	struct relay_range now, earlier;
	struct listen_ports listen = listen_of(dataplane);
	struct port_rule rules[PORT_RULES_MAX];
	uint16_t queues[WORKERS_MAX];
	for (unsigned w = 0; w < dataplane->worker_count; w++)
		queues[w] = queue_of(port, w, 0);
	relay_ports_ranges(dataplane->relay_ports, &now, &earlier);
	uint16_t first = now.first < earlier.first ? now.first : earlier.first;
	uint16_t last = now.last > earlier.last ? now.last : earlier.last;
	int count = port_rules_make(
		rules, &dataplane->homes[slot], first, last, listen.ports, listen.count);
	if (count <= 0)
		return false;
	if (port->config->type == CONFIG_PORT_AF_PACKET)
		return false;
	if (port->config->type == CONFIG_PORT_AF_XDP) {
		port->ways.way[slot] = API_STEERING_NTUPLE;
		return ntuple_add(&port->ways.ntuple, port->config->target, families[slot], rules,
			       (unsigned)count, queues) == 0;
	}
	port->ways.way[slot] = API_STEERING_RULES;
	return flow_rules_create(&port->ways.flows[slot], port->id, families[slot], rules,
		       (unsigned)count, queues) == 0;
}

// ---- all ports ----

static bool is_candidate(const struct dataplane *dataplane, const struct port *port)
{
	return port->started && port->queues > 1 && every_worker_has_queue(dataplane, port);
}

static void apply_rules(struct dataplane *dataplane, unsigned slot)
{
	struct steering_homes *homes = &dataplane->homes[slot];
	bool any = homes->known;
	if (!any)
		port_rules_homes(homes, dataplane->worker_count);
	for (unsigned p = 0; p < dataplane->port_count; p++) {
		struct port *port = &dataplane->ports[p];
		if (port->ways.way[slot] != API_STEERING_HANDOFF || !is_candidate(dataplane, port))
			continue;
		if (try_rules(dataplane, port, slot))
			any = true;
		else
			port->ways.way[slot] = API_STEERING_HANDOFF;
	}
	homes->known = any;
}

static void apply_family(struct dataplane *dataplane, unsigned slot)
{
	dataplane->homes[slot].known = false;
	if (!has_family(dataplane, families[slot]))
		return;
	for (unsigned p = 0; p < dataplane->port_count; p++) {
		struct port *port = &dataplane->ports[p];
		uint8_t *way = &port->ways.way[slot];
		if (port->queues == 1 || dataplane->worker_count == 1)
			*way = API_STEERING_ONE_WORKER;
		else if (is_candidate(dataplane, port) && try_rss(dataplane, port, slot))
			*way = API_STEERING_RSS;
		else
			*way = API_STEERING_HANDOFF;
	}
	if (dataplane->worker_count > 1)
		apply_rules(dataplane, slot);
}

void steering_apply(struct dataplane *dataplane)
{
	apply_family(dataplane, 0);
	apply_family(dataplane, 1);
}

void steering_range_changed(struct dataplane *dataplane)
{
	bool rss[2] = {false, false};
	for (unsigned p = 0; p < dataplane->port_count; p++) {
		struct port_steering *steering = &dataplane->ports[p].ways;
		steering_leave(steering);
		for (unsigned slot = 0; slot < 2; slot++) {
			rss[slot] |= steering->way[slot] == API_STEERING_RSS;
			if (steering->way[slot] == API_STEERING_RULES ||
				steering->way[slot] == API_STEERING_NTUPLE)
				steering->way[slot] = API_STEERING_HANDOFF;
		}
	}
	for (unsigned slot = 0; slot < 2; slot++) {
		dataplane->homes[slot].known = rss[slot];
		if (has_family(dataplane, families[slot]) && dataplane->worker_count > 1)
			apply_rules(dataplane, slot);
	}
}

void steering_leave(struct port_steering *steering)
{
	flow_rules_destroy(&steering->flows[0]);
	flow_rules_destroy(&steering->flows[1]);
	ntuple_remove(&steering->ntuple);
}
