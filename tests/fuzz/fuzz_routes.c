// SPDX-License-Identifier: BSD-3-Clause
// Any bytes as what the netlink socket delivers, applied to a mirror whose dataplane has little
// room. Held: decoding stays inside each message; the dataplane is told to delete only what it has;
// what the mirror counts as told is what was told; a second flush has nothing to say.
#include "controlplane/routes_mirror.h"

#include <stdlib.h>
#include <string.h>

struct dataplane {
	size_t room, messages;
	ssize_t links, routes, neighbours;
};

static void require(bool condition)
{
	if (!condition)
		abort();
}

static bool emit(void *context, enum api_type type, const void *payload, uint32_t size)
{
	struct dataplane *dataplane = context;
	const struct api_route *route = payload;
	if (!dataplane->room)
		return false;
	dataplane->room--;
	dataplane->messages++;
	switch (type) {
	case API_LINK_SET:
		require(size == sizeof(struct api_link_set));
		break;
	case API_LINK_DELETE:
		dataplane->links--;
		require(size == sizeof(struct api_link_delete));
		break;
	case API_ROUTE_SET:
		require(size == sizeof(*route) && route->count <= API_NEXT_HOPS_MAX);
		require(route->prefix.length <=
			(route->prefix.address.family == NET_IPV4 ? 32 : 128));
		for (unsigned i = 0; i < route->count; i++)
			require(route->hops[i].ifindex != 0);
		break;
	case API_ROUTE_DELETE:
		dataplane->routes--;
		require(size == sizeof(*route) && route->count == 0);
		break;
	case API_NEIGHBOUR_SET:
		require(size == sizeof(struct api_neighbour));
		break;
	case API_NEIGHBOUR_DELETE:
		dataplane->neighbours--;
		require(size == sizeof(struct api_neighbour));
		break;
	default:
		abort();
	}
	return true;
}

static void take(struct routes_mirror *mirror, const uint8_t *data, size_t size, bool dumped)
{
	// Its own allocation, so that the sanitizer sees a step over the end.
	struct nlmsghdr *buffer = malloc(size ? size : 1);
	require(buffer != NULL);
	memcpy(buffer, data, size);
	struct routes_datagram datagram = {(const uint8_t *)buffer, size};
	const struct nlmsghdr *message;
	while ((message = routes_message_next(&datagram))) {
		struct routes_event event;
		if (routes_decode(message, &event) == 1)
			routes_mirror_apply(mirror, &event, dumped);
	}
	free(buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dataplane dataplane = {0};
	struct routes_mirror *mirror = routes_mirror_create();
	require(mirror != NULL);
	routes_mirror_ports(mirror, (const char[][ROUTES_NAME_SIZE]){"r0", "r1"}, 2);
	while (size >= 3) {
		uint8_t what = data[0];
		size_t length = (size_t)data[1] << 8 | data[2];
		data += 3;
		size -= 3;
		if (length > size)
			length = size;
		enum routes_dump dump = (enum routes_dump)((what >> 4) % ROUTES_DUMPS);
		if (what & 1)
			routes_mirror_dump_begin(mirror, dump);
		take(mirror, data, length, what & 1);
		if (what & 2)
			routes_mirror_dump_end(mirror, dump);
		if (what & 4)
			routes_mirror_forget_sent(mirror);
		dataplane.room = what & 8 ? 2 : 0;
		routes_mirror_flush(mirror, emit, &dataplane);
		data += length;
		size -= length;
	}
	dataplane.room = SIZE_MAX;
	require(routes_mirror_flush(mirror, emit, &dataplane));
	// From an empty dataplane: as many sets as the mirror says it knows, and no deletes.
	routes_mirror_forget_sent(mirror);
	dataplane = (struct dataplane){.room = SIZE_MAX};
	require(routes_mirror_flush(mirror, emit, &dataplane));
	struct routes_mirror_counts counts;
	routes_mirror_count(mirror, &counts);
	require(!dataplane.links && !dataplane.routes && !dataplane.neighbours);
	require(dataplane.messages == counts.links + counts.prefixes + counts.neighbours);
	dataplane.messages = 0;
	require(routes_mirror_flush(mirror, emit, &dataplane) && dataplane.messages == 0);
	struct net_address addresses[4];
	routes_mirror_addresses(mirror, addresses, 4);
	routes_mirror_free(mirror);
	return 0;
}
