// SPDX-License-Identifier: BSD-3-Clause
// What must hold of the TURN core after every event, counted afresh from its tables: for unit tests
// and the fuzzer.
#pragma once

#include "controlplane/turn/core.h"

static inline uint64_t turn_invariant_sum(const struct quota *quota)
{
	uint32_t position = 0;
	uint64_t total = 0, key;
	void *value;
	while (id_table_next(&quota->counts, &position, &key, &value))
		total += *(const uint32_t *)value;
	return total;
}

// NULL, or what does not hold.
static inline const char *turn_invariant_broken(const struct turn_core *core)
{
	uint32_t allocated = 0, reserved = 0, position = 0, ports = 0, held = 0;
	uint64_t key, credentials = 0, prefixes = 0;
	void *value;
	for (unsigned i = 0; i < core->pool_count; i++) {
		const struct relay_pool *pool = &core->pools[i];
		uint32_t count[RELAY_PORT_STATES] = {0};
		for (uint32_t port = pool->first; port <= pool->last; port++)
			count[relay_pool_state(pool, (uint16_t)port)]++;
		for (unsigned state = RELAY_PORT_FREE; state < RELAY_PORT_STATES; state++) {
			if (count[state] != pool->count[state])
				return "a pool miscounts its ports";
		}
		if (count[RELAY_PORT_FREE] + count[RELAY_PORT_ALLOCATED] +
				count[RELAY_PORT_RESERVED] !=
			pool->last - pool->first + 1u)
			return "allocated + reserved + free is not the range";
		allocated += count[RELAY_PORT_ALLOCATED];
		reserved += count[RELAY_PORT_RESERVED];
	}
	while (id_table_next(&core->allocations, &position, &key, &value)) {
		const struct turn_allocation *allocation = value;
		credentials += allocation->credential_tag != 0;
		prefixes += allocation->prefix_tag != 0;
		for (unsigned slot = 0; slot < 2; slot++) {
			if (allocation->pool[slot] == TURN_NO_POOL)
				continue;
			enum relay_port_state state = relay_pool_state(
				&core->pools[allocation->pool[slot]], allocation->port[slot]);
			// From before the range changed.
			if (state == RELAY_PORT_OUTSIDE)
				continue;
			ports++;
			if (state != RELAY_PORT_ALLOCATED)
				return "an allocation's port is not allocated";
		}
	}
	if (ports != allocated)
		return "an allocated port has no allocation, or two";
	position = 0;
	while (id_table_next(&core->reservations.by_token, &position, &key, &value)) {
		const struct reservation *reservation = value;
		credentials += reservation->credential_tag != 0;
		prefixes += reservation->prefix_tag != 0;
		enum relay_port_state state =
			relay_pool_state(&core->pools[reservation->pool], reservation->port);
		if (state == RELAY_PORT_OUTSIDE)
			continue;
		held += !reservation->claimed;
		if (state != (reservation->claimed ? RELAY_PORT_ALLOCATED : RELAY_PORT_RESERVED))
			return "a reservation's port is not reserved";
	}
	if (held != reserved)
		return "a reserved port has no reservation, or two";
	if (turn_invariant_sum(&core->credential_quota) != credentials)
		return "the credential quota does not count what is held";
	if (turn_invariant_sum(&core->prefix_quota) != prefixes)
		return "the prefix quota does not count what is held";
	return NULL;
}
