// SPDX-License-Identifier: BSD-3-Clause
// Settings on their way to the workers and to the steering programs; see settings.h.

#include "dataplane/settings.h"

#include "dataplane/command.h"
#include "dataplane/dataplane.h"
#include "dataplane/guard_requests.h"
#include "dataplane/steering/steering.h"
#include "dataplane/table/relay_ports.h"
#include "ebpf/load.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

// What is relayed: the configured range, and an earlier one (the same when there is none).
struct ranges {
	struct relay_range now, earlier;
};

static bool same(const struct relay_range *a, const struct relay_range *b)
{
	return a->first == b->first && a->last == b->last;
}

static bool covers(const struct relay_range *outer, const struct relay_range *inner)
{
	return outer->first <= inner->first && outer->last >= inner->last;
}

static struct relay_range hull(const struct relay_range *a, const struct relay_range *b)
{
	return (struct relay_range){
		a->first < b->first ? a->first : b->first,
		a->last > b->last ? a->last : b->last,
	};
}

static bool holds(const struct relay_range *range, uint16_t port)
{
	return port >= range->first && port <= range->last;
}

// Clients' packets to these would be taken for peers'.
static bool clear_of_own(const struct relay_range *range, const struct node_addresses *addresses)
{
	return !holds(range, addresses->port) && !holds(range, addresses->alternate_port);
}

// Which earlier range has to stay when `wanted` comes. 0, or -EADDRINUSE.
static int keep_earlier(const struct dataplane *dataplane, const struct relay_range *wanted,
	const struct ranges *before, struct relay_range *out)
{
	const struct node_addresses *addresses =
		&dataplane->settings.slots[dataplane->settings.current];
	*out = *wanted;
	if (covers(wanted, &before->now))
		*out = covers(wanted, &before->earlier) ? *wanted : before->earlier;
	else if (covers(wanted, &before->earlier) ||
		 !relay_ports_owned(dataplane->relay_ports, &before->earlier, &before->now))
		*out = before->now;
	else
		*out = hull(&before->now, &before->earlier);
	return clear_of_own(out, addresses) ? 0 : -EADDRINUSE;
}

static int steer_one(const struct port *port, const struct ranges *ranges)
{
	if (port->steering.settings < 0)
		return 0;
	return steer_relay_ports(&port->steering, ranges->now.first, ranges->now.last,
		ranges->earlier.first, ranges->earlier.last);
}

// All ports or, as far as the kernel lets us, none.
static int steer(
	const struct dataplane *dataplane, const struct ranges *wanted, const struct ranges *before)
{
	for (unsigned p = 0; p < dataplane->port_count; p++) {
		int result = steer_one(&dataplane->ports[p], wanted);
		if (result == 0)
			continue;
		for (unsigned back = 0; back <= p; back++)
			steer_one(&dataplane->ports[back], before);
		return result;
	}
	return 0;
}

static int change_range(struct dataplane *dataplane, const struct relay_range *wanted)
{
	struct ranges before, after = {.now = *wanted};
	relay_ports_ranges(dataplane->relay_ports, &before.now, &before.earlier);
	if (same(&before.now, wanted))
		return 0;
	int result = keep_earlier(dataplane, wanted, &before, &after.earlier);
	if (result == 0)
		result = steer(dataplane, &after, &before);
	if (result)
		return result;
	relay_ports_set(dataplane->relay_ports, &after.now, &after.earlier);
	steering_range_changed(dataplane);
	dataplane->settings.changed_ms = dataplane_now_ms();
	return 0;
}

// ---- the workers ----

static void tell_workers(struct dataplane *dataplane, uint64_t connection, uint32_t request)
{
	struct settings *settings = &dataplane->settings;
	const struct command_settings payload = {
		.addresses = &settings->slots[settings->current],
		.may_rest = settings->may_rest,
	};
	const struct command_request from = {API_SETTINGS, request, connection};
	settings->pending = dataplane->worker_count;
	command_all_submit(dataplane, COMMAND_SETTINGS, &from, &payload, sizeof(payload));
}

int settings_set(struct dataplane *dataplane, const struct api_settings *in, uint64_t connection,
	uint32_t request)
{
	struct settings *settings = &dataplane->settings;
	const struct node_addresses *now = &settings->slots[settings->current];
	const struct relay_range wanted = {in->relay_first, in->relay_last};
	bool may_rest = in->idle == CONFIG_IDLE_SLEEP;
	// ChannelData on a number that no longer may be bound is served while it is: only upwards.
	uint16_t channel_last =
		in->channel_last > now->channel_last ? in->channel_last : now->channel_last;
	if (wanted.first == 0 || wanted.first > wanted.last || !clear_of_own(&wanted, now) ||
		in->idle > CONFIG_IDLE_SLEEP || in->channel_last < 0x4000 ||
		in->channel_last > 0x7FFF)
		return -EINVAL;
	if (settings->pending || !command_all_free(dataplane))
		return -EAGAIN;
	if (wanted.first == now->relay_first && wanted.last == now->relay_last &&
		channel_last == now->channel_last && may_rest == settings->may_rest)
		return 0;
	int result = change_range(dataplane, &wanted);
	if (result)
		return result;
	struct node_addresses *next = &settings->slots[!settings->current];
	*next = *now;
	next->relay_first = wanted.first;
	next->relay_last = wanted.last;
	next->channel_last = channel_last;
	settings->may_rest = may_rest;
	settings->current = !settings->current;
	guard_settings_changed(dataplane);
	tell_workers(dataplane, connection, request);
	return 1;
}

void settings_reported(struct dataplane *dataplane)
{
	assert(dataplane->settings.pending > 0);
	dataplane->settings.pending--;
}

void settings_tick(struct dataplane *dataplane)
{
	struct settings *settings = &dataplane->settings;
	struct ranges before, after;
	if (settings->changed_ms == 0 || settings->pending)
		return;
	uint64_t now = dataplane_now_ms();
	if (now < settings->changed_ms + SETTINGS_EARLIER_MS ||
		now < settings->looked_ms + SETTINGS_LOOK_MS)
		return;
	settings->looked_ms = now;
	relay_ports_ranges(dataplane->relay_ports, &before.now, &before.earlier);
	if (!same(&before.now, &before.earlier)) {
		if (relay_ports_owned(dataplane->relay_ports, &before.earlier, &before.now))
			return;
		after.now = after.earlier = before.now;
		if (steer(dataplane, &after, &before))
			return; // later
		relay_ports_set(dataplane->relay_ports, &after.now, &after.earlier);
		steering_range_changed(dataplane);
	}
	settings->changed_ms = 0;
}
