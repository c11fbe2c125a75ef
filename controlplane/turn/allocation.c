// SPDX-License-Identifier: BSD-3-Clause
// What Allocate and Refresh share: lifetimes, family attributes, and giving back the ports and
// quotas of an allocation that is gone.
#include "controlplane/turn/core.h"

#include <errno.h>

int turn_lifetime(const struct turn_core *core, const struct stun_message *message,
	uint32_t *seconds, bool *zero)
{
	struct stun_attribute attribute;
	uint32_t asked = TURN_DEFAULT_LIFETIME_S;
	*zero = false;
	if (stun_find(message, STUN_LIFETIME, &attribute)) {
		if (stun_read_u32(&attribute, &asked) != 0)
			return -EBADMSG;
		*zero = asked == 0;
	}
	// RFC 8656 7.2: at most our maximum, at least the default.
	if (asked > core->config->turn.max_lifetime)
		asked = core->config->turn.max_lifetime;
	*seconds = asked > TURN_DEFAULT_LIFETIME_S ? asked : TURN_DEFAULT_LIFETIME_S;
	return 0;
}

int turn_family_attribute(const struct stun_message *message, uint16_t type, uint8_t *family)
{
	struct stun_attribute attribute;
	*family = 0;
	if (!stun_find(message, type, &attribute))
		return 0;
	if (attribute.length != 4)
		return -EBADMSG;
	*family = attribute.value[0];
	return 0;
}

static void release_port(struct turn_core *core, struct turn_allocation *allocation, unsigned slot)
{
	if (allocation->pool[slot] == TURN_NO_POOL)
		return;
	relay_pool_change(&core->pools[allocation->pool[slot]], allocation->port[slot],
		RELAY_PORT_ALLOCATED, RELAY_PORT_FREE);
	allocation->pool[slot] = TURN_NO_POOL;
}

void turn_allocation_release_ports(struct turn_core *core, struct turn_allocation *allocation)
{
	release_port(core, allocation, 0);
	release_port(core, allocation, 1);
}

void turn_allocation_release(struct turn_core *core, uint64_t id)
{
	struct turn_allocation *allocation = id_table_find(&core->allocations, id);
	if (allocation == NULL)
		return;
	turn_allocation_release_ports(core, allocation);
	quota_give(&core->credential_quota, allocation->credential_tag);
	quota_give(&core->prefix_quota, allocation->prefix_tag);
	id_table_remove(&core->allocations, id);
}

void turn_allocation_release_family(struct turn_core *core, uint64_t id, unsigned slot)
{
	struct turn_allocation *allocation = id_table_find(&core->allocations, id);
	if (allocation != NULL)
		release_port(core, allocation, slot);
}

void turn_reservation_release(struct turn_core *core, const struct reservation *reservation)
{
	relay_pool_change(&core->pools[reservation->pool], reservation->port, RELAY_PORT_RESERVED,
		RELAY_PORT_FREE);
	quota_give(&core->credential_quota, reservation->credential_tag);
	quota_give(&core->prefix_quota, reservation->prefix_tag);
}
