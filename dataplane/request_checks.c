// SPDX-License-Identifier: BSD-3-Clause
// Who may make which request of dataplane/api/messages.h, and how large it is. Main lcore.

#include "dataplane/connection.h"

#include <string.h>

// Sizes are checked before anything looks into a payload.
bool request_size_is_right(const struct api_frame *frame)
{
	switch (frame->header.type) {
	case API_HELLO:
		return frame->size == sizeof(struct api_hello);
	case API_ALLOCATION_INSTALL:
		return frame->size == sizeof(struct api_allocation_install);
	case API_ALLOCATION_REFRESH:
	case API_ALLOCATION_REMOVE:
		return frame->size == sizeof(struct api_allocation_change);
	case API_PERMISSIONS_INSTALL: {
		struct api_permissions_install install;
		if (frame->size < sizeof(install))
			return false;
		memcpy(&install, frame->payload, sizeof(install));
		return install.count >= 1 && install.count <= API_PERMISSIONS_MAX &&
		       frame->size == sizeof(install) + install.count * sizeof(struct net_address);
	}
	case API_CHANNEL_BIND:
		return frame->size == sizeof(struct api_channel_bind);
	case API_PACKET_SEND: {
		struct api_packet_send send;
		if (frame->size < sizeof(send))
			return false;
		memcpy(&send, frame->payload, sizeof(send));
		return frame->size == sizeof(send) + send.length;
	}
	case API_DRAIN:
		return frame->size == sizeof(struct api_drain);
	case API_SETTINGS:
		return frame->size == sizeof(struct api_settings);
	case API_LINK_SET:
		return frame->size == sizeof(struct api_link_set);
	case API_LINK_DELETE:
		return frame->size == sizeof(struct api_link_delete);
	case API_ROUTE_SET:
	case API_ROUTE_DELETE:
		return frame->size == sizeof(struct api_route);
	case API_NEIGHBOUR_SET:
	case API_NEIGHBOUR_DELETE:
		return frame->size == sizeof(struct api_neighbour);
	case API_GUARD_SET:
		return frame->size == sizeof(struct api_guard_rule);
	case API_GUARD_REMOVE:
		return frame->size == sizeof(struct net_prefix);
	case API_GUARD_LIMITS_SET:
		return frame->size == sizeof(struct api_guard_limits);
	case API_LEASE_SET:
	case API_LEASE_REMOVE:
		return frame->size == sizeof(struct api_lease);
	case API_HANDLES_INSTALL:
		return frame->size == sizeof(struct api_handles_install);
	case API_NATIVE_DELIVER: {
		struct api_native_deliver deliver;
		if (frame->size < sizeof(deliver))
			return false;
		memcpy(&deliver, frame->payload, sizeof(deliver));
		return frame->size == sizeof(deliver) + deliver.length;
	}
	case API_NATIVE_SETTINGS:
		return frame->size == sizeof(struct api_native_settings);
	case API_GUARD_RULES:
	case API_GUARD_LIMITS:
	case API_SNAPSHOT:
	case API_ROUTING_SYNCED:
	case API_COUNTERS:
	case API_PORTS:
	case API_WORKERS:
	case API_GAUGES:
	case API_STEERING:
	case API_CONFIG_KEYS:
		return frame->size == 0;
	default:
		return false; // unknown, or an event
	}
}

bool request_needs_control(uint32_t type)
{
	return type < API_COUNTERS || (type >= API_GUARD_SET && type < API_GUARD_RULES) ||
	       (type >= API_SETTINGS && type < API_STEERING) ||
	       (type >= API_LEASE_SET && type <= API_NATIVE_SETTINGS);
}
