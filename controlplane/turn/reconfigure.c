// SPDX-License-Identifier: BSD-3-Clause
// Another configuration for a core that is running; see turn_core_prepare. What it counts is
// counted anew from its tables, so nothing has to be carried over from the earlier pools.
#include "controlplane/turn/core.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

struct turn_change {
	const struct config *config;
	struct authentication authentication;
	bool other_ports;
	struct relay_pool pools[CONFIG_LISTEN_MAX]; // with other_ports
	unsigned pool_count;
};

void turn_change_free(struct turn_change *change)
{
	if (change == NULL)
		return;
	for (unsigned i = 0; i < change->pool_count; i++)
		relay_pool_free(&change->pools[i]);
	authentication_free(&change->authentication);
	sodium_memzero(change, sizeof(*change));
	free(change);
}

struct turn_change *turn_core_prepare(const struct turn_core *core, const struct config *config)
{
	struct turn_change *change = calloc(1, sizeof(*change));
	if (change == NULL)
		return NULL;
	assert(config->address.listen_count == core->pool_count);
	change->config = config;
	change->other_ports = config->address.relay_first != core->config->address.relay_first ||
			      config->address.relay_last != core->config->address.relay_last;
	if (authentication_init(&change->authentication, config) != 0)
		goto failed;
	for (unsigned i = 0; change->other_ports && i < core->pool_count; i++) {
		assert(net_address_equal(
			&config->address.listen[i], &core->config->address.listen[i]));
		if (relay_pool_init(&change->pools[i], &config->address.listen[i],
			    config->address.relay_first, config->address.relay_last) != 0)
			goto failed;
		change->pool_count = i + 1;
	}
	return change;
failed:
	turn_change_free(change);
	return NULL;
}

// Ports outside of the new range are nobody's to give out; their holders keep them.
static void count_ports(const struct turn_core *core, struct relay_pool *pools)
{
	uint32_t position = 0;
	uint64_t key;
	void *value;
	while (id_table_next(&core->allocations, &position, &key, &value)) {
		const struct turn_allocation *allocation = value;
		for (unsigned slot = 0; slot < 2; slot++) {
			if (allocation->pool[slot] != TURN_NO_POOL)
				relay_pool_change(&pools[allocation->pool[slot]],
					allocation->port[slot], RELAY_PORT_FREE,
					RELAY_PORT_ALLOCATED);
		}
	}
	position = 0;
	while (id_table_next(&core->reservations.by_token, &position, &key, &value)) {
		const struct reservation *reservation = value;
		// A claimed one is counted with the allocation that claims it.
		if (!reservation->claimed)
			relay_pool_change(&pools[reservation->pool], reservation->port,
				RELAY_PORT_FREE, RELAY_PORT_RESERVED);
	}
}

void turn_core_reconfigure(struct turn_core *core, struct turn_change *change)
{
	const struct config *config = change->config;
	struct authentication earlier = core->authentication;
	// Nonces name no user and no realm: those that clients hold stay good.
	core->authentication = change->authentication;
	nonce_keys_wipe(&core->authentication.nonces);
	core->authentication.nonces = earlier.nonces;
	change->authentication = earlier; // freed below
	peer_rules_reconfigure(&core->peers, config);
	core->credential_quota.limit = config->turn.quota;
	core->prefix_quota.limit = config->turn.prefix_quota;
	if (change->other_ports) {
		count_ports(core, change->pools);
		for (unsigned i = 0; i < core->pool_count; i++) {
			struct relay_pool pool = core->pools[i];
			core->pools[i] = change->pools[i];
			turn_pool_steer(core, &core->pools[i]);
			change->pools[i] = pool;
		}
	}
	core->config = config;
	sodium_memzero(&earlier, sizeof(earlier));
	turn_change_free(change);
}
