// SPDX-License-Identifier: BSD-3-Clause
// A dataplane's view of routing in tests: tables filled by the messages that a mirror emits. It
// fails the test when a message makes no sense to a dataplane (something deleted that it does not
// have).
#pragma once

#include "controlplane/routes_mirror.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { TOLD_MAX = 4096 };

struct told {
	struct api_link_set links[64];
	struct api_route routes[TOLD_MAX];
	struct api_neighbour neighbours[TOLD_MAX];
	size_t link_count, route_count, neighbour_count;
	size_t messages;
	size_t room;             // how many more messages are taken
	enum api_type types[16]; // the first messages since told_reset_log
	size_t logged;
};

static inline void told_reset_log(struct told *told)
{
	told->messages = told->logged = 0;
}

static inline struct api_link_set *told_link(struct told *told, uint32_t ifindex)
{
	for (size_t i = 0; i < told->link_count; i++)
		if (told->links[i].ifindex == ifindex)
			return &told->links[i];
	return NULL;
}

static inline struct api_route *told_route(struct told *told, const struct net_prefix *prefix)
{
	for (size_t i = 0; i < told->route_count; i++)
		if (memcmp(&told->routes[i].prefix, prefix, sizeof(*prefix)) == 0)
			return &told->routes[i];
	return NULL;
}

static inline struct api_neighbour *told_neighbour(
	struct told *told, uint32_t ifindex, const struct net_address *address)
{
	for (size_t i = 0; i < told->neighbour_count; i++)
		if (told->neighbours[i].ifindex == ifindex &&
			net_address_equal(&told->neighbours[i].address, address))
			return &told->neighbours[i];
	return NULL;
}

static inline void told_take_link(struct told *told, enum api_type type, const void *payload)
{
	struct api_link_set *link = told_link(told, *(const uint32_t *)payload);
	if (type == API_LINK_DELETE) {
		assert_non_null(link);
		*link = told->links[--told->link_count];
		return;
	}
	if (!link)
		link = &told->links[told->link_count++];
	memcpy(link, payload, sizeof(*link));
}

static inline void told_take_route(struct told *told, enum api_type type, const void *payload)
{
	const struct api_route *message = payload;
	struct api_route *route = told_route(told, &message->prefix);
	if (type == API_ROUTE_DELETE) {
		assert_non_null(route);
		assert_int_equal(message->count, 0);
		*route = told->routes[--told->route_count];
		return;
	}
	assert_true(message->count <= API_NEXT_HOPS_MAX);
	if (!route)
		route = &told->routes[told->route_count++];
	*route = *message;
}

static inline void told_take_neighbour(struct told *told, enum api_type type, const void *payload)
{
	const struct api_neighbour *message = payload;
	struct api_neighbour *known = told_neighbour(told, message->ifindex, &message->address);
	if (type == API_NEIGHBOUR_DELETE) {
		assert_non_null(known);
		*known = told->neighbours[--told->neighbour_count];
		return;
	}
	if (!known)
		known = &told->neighbours[told->neighbour_count++];
	*known = *message;
}

static inline bool told_emit(void *context, enum api_type type, const void *payload, uint32_t size)
{
	struct told *told = context;
	if (!told->room)
		return false;
	told->room--;
	told->messages++;
	if (told->logged < sizeof(told->types) / sizeof(told->types[0]))
		told->types[told->logged++] = type;
	switch (type) {
	case API_LINK_SET:
	case API_LINK_DELETE:
		assert_int_equal(size, type == API_LINK_SET ? sizeof(struct api_link_set)
							    : sizeof(struct api_link_delete));
		told_take_link(told, type, payload);
		return true;
	case API_ROUTE_SET:
	case API_ROUTE_DELETE:
		assert_int_equal(size, sizeof(struct api_route));
		told_take_route(told, type, payload);
		return true;
	case API_NEIGHBOUR_SET:
	case API_NEIGHBOUR_DELETE:
		assert_int_equal(size, sizeof(struct api_neighbour));
		told_take_neighbour(told, type, payload);
		return true;
	default:
		fail_msg("message %d", type);
		return false;
	}
}

// All of it, as if there were room.
static inline void told_flush(struct told *told, struct routes_mirror *mirror)
{
	told->room = SIZE_MAX;
	assert_true(routes_mirror_flush(mirror, told_emit, told));
}
