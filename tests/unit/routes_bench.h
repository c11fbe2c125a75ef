// SPDX-License-Identifier: BSD-3-Clause
// A mirror of the kernel's routing and the dataplane that it tells (routes_told.h), with the
// kernel's events in short.
#pragma once

#include "controlplane/routes_mirror.h"
#include "lib/net/address_text.h"
#include "tests/unit/routes_told.h"

#include <stdlib.h>
#include <string.h>

enum { PORT = 2, VLAN = 3, OTHER = 4, SECOND = 5 };

struct bench {
	struct routes_mirror *mirror;
	struct told told;
};

static inline struct net_address address(const char *text)
{
	struct net_address out;
	assert_int_equal(net_address_parse(text, &out), 0);
	return out;
}

static inline struct routes_event link_event(uint32_t ifindex, const char *name)
{
	struct routes_event event = {.kind = ROUTES_LINK};
	event.link.ifindex = ifindex;
	event.link.mtu = 1500;
	event.link.ethernet = true;
	event.link.up = true;
	event.link.mac[5] = (uint8_t)ifindex;
	strcpy(event.link.name, name);
	return event;
}

static inline struct routes_event vlan_event(
	uint32_t ifindex, const char *name, uint32_t lower, uint16_t id)
{
	struct routes_event event = link_event(ifindex, name);
	event.link.lower = lower;
	event.link.vlan = id;
	return event;
}

// hops: "gateway@ifindex gateway@ifindex" (by ifindex), "@ifindex" on link, "" blackhole.
static inline struct routes_event route_event(const char *prefix, uint32_t metric, const char *hops)
{
	struct routes_event event = {.kind = ROUTES_ROUTE};
	struct routes_route *route = &event.route;
	assert_int_equal(net_prefix_parse(prefix, &route->prefix), 0);
	route->metric = metric;
	route->blackhole = !*hops;
	char text[512], *rest = text, *hop;
	strcpy(text, hops);
	while ((hop = strtok_r(rest, " ", &rest))) {
		char *at = strchr(hop, '@');
		*at = '\0';
		struct api_next_hop *out = &route->hops[route->count++];
		out->ifindex = (uint32_t)atoi(at + 1);
		if (*hop)
			out->gateway = address(hop);
	}
	return event;
}

static inline struct routes_event neighbour_event(uint32_t ifindex, const char *text, uint8_t mac)
{
	struct routes_event event = {.kind = ROUTES_NEIGHBOUR};
	event.neighbour.ifindex = ifindex;
	event.neighbour.address = address(text);
	event.neighbour.mac[5] = mac;
	event.neighbour.usable = mac != 0;
	return event;
}

static inline unsigned apply(struct bench *bench, struct routes_event event)
{
	return routes_mirror_apply(bench->mirror, &event, false);
}

static inline unsigned apply_gone(struct bench *bench, struct routes_event event)
{
	event.gone = true;
	return routes_mirror_apply(bench->mirror, &event, false);
}

static inline void apply_dumped(struct bench *bench, struct routes_event event)
{
	assert_int_equal(routes_mirror_apply(bench->mirror, &event, true), 0);
}

static inline void flush(struct bench *bench)
{
	told_reset_log(&bench->told);
	told_flush(&bench->told, bench->mirror);
}

// A host with one port r0 (and a VLAN interface on it) and a management interface.
static inline int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	assert_non_null(bench);
	bench->mirror = routes_mirror_create();
	assert_non_null(bench->mirror);
	routes_mirror_ports(bench->mirror, &(const char[ROUTES_NAME_SIZE]){"r0"}, 1);
	apply(bench, link_event(PORT, "r0"));
	apply(bench, vlan_event(VLAN, "r0.7", PORT, 7));
	apply(bench, link_event(OTHER, "mgmt0"));
	flush(bench);
	*state = bench;
	return 0;
}

static inline int tear_down(void **state)
{
	struct bench *bench = *state;
	routes_mirror_free(bench->mirror);
	free(bench);
	return 0;
}
