// SPDX-License-Identifier: BSD-3-Clause
// What a core learns of live allocations when it is connected: ports, quotas and reservations are
// taken again. No addresses of clients.
#include "controlplane/turn/core.h"
#include "controlplane/turn/turn.h"

void turn_core_snapshot_item(struct turn_core *core, const struct api_snapshot_item *item)
{
	if (item->allocation_id == 0 ||
		id_table_find(&core->allocations, item->allocation_id) != NULL)
		return;
	struct turn_allocation *allocation =
		id_table_insert(&core->allocations, item->allocation_id);
	if (allocation == NULL)
		return;
	*allocation = (struct turn_allocation){.credential_tag = item->credential_tag,
		.prefix_tag = item->prefix_tag,
		.pool = {TURN_NO_POOL, TURN_NO_POOL},
		.flags = item->flags};
	quota_take(&core->credential_quota, item->credential_tag);
	quota_take(&core->prefix_quota, item->prefix_tag);
	// An address that is no longer configured is nobody's to give out. Nor is a port outside of
	// the range; but it is kept in mind, since the range may come to hold it again.
	for (unsigned slot = 0; slot < 2; slot++) {
		const struct net_endpoint *relayed = &item->relayed[slot];
		for (unsigned i = 0; i < core->pool_count; i++) {
			struct relay_pool *pool = &core->pools[i];
			if (!net_address_equal(&pool->address, &relayed->address))
				continue;
			if (relay_pool_state(pool, relayed->port) == RELAY_PORT_OUTSIDE)
				peer_rules_earlier_ports(
					&core->peers, relayed->port, relayed->port);
			else if (!relay_pool_change(pool, relayed->port, RELAY_PORT_FREE,
					 RELAY_PORT_ALLOCATED))
				continue;
			allocation->pool[slot] = (uint8_t)i;
			allocation->port[slot] = relayed->port;
		}
	}
}

// A reservation is known here only. The allocation it was made with tells that there was one, not
// when, so after a restart a port that is still free is held for another period (RFC 8656 7.2
// allows to hold longer).
static void restore_reservation(struct turn_core *core, uint64_t id,
	const struct turn_allocation *allocation, uint64_t now_ms)
{
	for (unsigned slot = 0; slot < 2; slot++) {
		uint8_t pool = allocation->pool[slot];
		uint16_t port = allocation->port[slot];
		if (pool == TURN_NO_POOL || port % 2 != 0 ||
			!relay_pool_change(&core->pools[pool], (uint16_t)(port + 1),
				RELAY_PORT_FREE, RELAY_PORT_RESERVED))
			continue;
		struct reservation *reservation = reservations_add(
			&core->reservations, turn_tag(core, TURN_TAG_RESERVATION, &id, sizeof(id)));
		if (reservation == NULL) {
			relay_pool_change(&core->pools[pool], (uint16_t)(port + 1),
				RELAY_PORT_RESERVED, RELAY_PORT_FREE);
			return;
		}
		reservation->credential_tag = allocation->credential_tag;
		reservation->prefix_tag = allocation->prefix_tag;
		reservation->pool = pool;
		reservation->port = (uint16_t)(port + 1);
		reservations_start(&core->reservations, reservation, now_ms);
		quota_take(&core->credential_quota, allocation->credential_tag);
		quota_take(&core->prefix_quota, allocation->prefix_tag);
		return;
	}
}

void turn_core_snapshot_end(struct turn_core *core, uint64_t now_ms)
{
	uint32_t position = 0;
	uint64_t id;
	void *value;
	while (id_table_next(&core->allocations, &position, &id, &value)) {
		const struct turn_allocation *allocation = value;
		if ((allocation->flags & API_ALLOCATION_HAS_RESERVATION) != 0)
			restore_reservation(core, id, allocation, now_ms);
	}
	core->ready = true;
}
