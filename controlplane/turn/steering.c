// SPDX-License-Identifier: BSD-3-Clause
// What the dataplane tells about relayed ports and workers, kept for the pools (relay_pool.h).
#include "controlplane/turn/core.h"

void turn_core_steering_begin(struct turn_core *core)
{
	for (unsigned slot = 0; slot < 2; slot++) {
		core->steering[slot].workers = 0;
		memset(core->steering[slot].homes, RELAY_HOME_NOBODY,
			sizeof(core->steering[slot].homes));
	}
}

void turn_core_steering_item(struct turn_core *core, const struct api_steering *item)
{
	if ((item->family != NET_IPV4 && item->family != NET_IPV6) || item->first_port % 2 != 0 ||
		item->pairs > API_STEERING_PAIRS ||
		item->first_port / 2 + item->pairs > RELAY_POOL_PAIRS)
		return;
	struct turn_steering *steering = &core->steering[item->family == NET_IPV6];
	steering->workers = item->workers;
	memcpy(steering->homes + item->first_port / 2, item->worker, item->pairs);
}

void turn_pool_steer(struct turn_core *core, struct relay_pool *pool)
{
	const struct turn_steering *steering = &core->steering[pool->address.family == NET_IPV6];
	relay_pool_steer(pool, steering->workers, steering->homes);
}

void turn_core_steering_end(struct turn_core *core)
{
	for (unsigned i = 0; i < core->pool_count; i++)
		turn_pool_steer(core, &core->pools[i]);
}
