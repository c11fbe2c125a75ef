// SPDX-License-Identifier: BSD-3-Clause
// The wiring of node_routes.h.
#include "controlplane/node_routes.h"

#include "controlplane/node.h"

#include <errno.h>
#include <string.h>

static void routing_answered(void *context, const struct dataplane_answer *answer)
{
	struct node *node = context;
	if (answer->result < 0 && answer->result != -ENOTCONN && answer->result != -ENOENT)
		node->routing_refused++;
}

static bool routing_emit(void *context, enum api_type type, const void *payload, uint32_t size)
{
	struct node *node = context;
	return dataplane_link_request_bulk(
		       node->link, type, payload, size, routing_answered, node) != 0;
}

static void synced_answered(void *context, const struct dataplane_answer *answer)
{
	struct node *node = context;
	if (answer->result == -ENOTCONN)
		return;
	node->routing_done = true;
	node_serving_maybe(node);
}

static void routing_synced(void *context)
{
	struct node *node = context;
	// Not bulk: this one has to get through, and follows all that was emitted.
	if (!dataplane_link_request(node->link, API_ROUTING_SYNCED, NULL, 0, synced_answered, node))
		dataplane_link_restart(node->link);
}

static void routing_addresses(void *context, const struct net_address *addresses, size_t count)
{
	struct node *node = context;
	turn_core_local_addresses(node->core, addresses, count);
	node->addresses_known = true;
	for (unsigned i = 0; i < node->config->address.listen_count; i++) {
		bool found = false;
		for (size_t j = 0; j < count && !found; j++)
			found = net_address_equal(&node->config->address.listen[i], &addresses[j]);
		node->listen_missing[i] = !found;
	}
}

static void ports_answered(void *context, const struct dataplane_answer *answer)
{
	struct node *node = context;
	if (!answer->last) {
		const struct api_port *port = (const struct api_port *)answer->payload;
		if (node->port_count < CONFIG_PORTS_MAX && port->kernel_interface[0]) {
			char *name = node->ports[node->port_count++];
			memcpy(name, port->kernel_interface, ROUTES_NAME_SIZE);
			name[ROUTES_NAME_SIZE - 1] = '\0';
		}
		return;
	}
	if (answer->result == -ENOTCONN)
		return;
	if (answer->result < 0)
		dataplane_link_restart(node->link);
	else
		routes_attach(node->routes, node->ports, node->port_count);
}

void node_ports_ask(struct node *node)
{
	node->port_count = 0;
	if (!dataplane_link_request(node->link, API_PORTS, NULL, 0, ports_answered, node))
		dataplane_link_restart(node->link);
}

int node_routes_open(struct node *node)
{
	const struct routes_owner owner = {
		.context = node,
		.emit = routing_emit,
		.synced = routing_synced,
		.addresses = routing_addresses,
	};
	return routes_open(node->loop, &owner, &node->routes);
}
