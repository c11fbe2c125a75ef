// SPDX-License-Identifier: BSD-3-Clause
// The ports of an Allocate: taken from the pools, held in pairs for a token, claimed by one, and
// given back when nothing comes of it (RFC 8656 7.2). Quotas of reservations move with them.
#include "controlplane/turn/core.h"

static const uint8_t slot_family[2] = {NET_IPV4, NET_IPV6};
const uint8_t turn_slot_stun_family[2] = {STUN_FAMILY_IPV4, STUN_FAMILY_IPV6};

bool turn_family_configured(const struct turn_core *core, unsigned slot)
{
	for (unsigned i = 0; i < core->pool_count; i++) {
		if (core->pools[i].address.family == slot_family[slot])
			return true;
	}
	return false;
}

uint64_t turn_reservation_token(const struct turn_core *core, uint64_t allocation_id)
{
	return turn_tag(core, TURN_TAG_RESERVATION, &allocation_id, sizeof(allocation_id));
}

// A port of one family: on the address the client talks to if that fits, else on the first with
// room. 0, or the error code that says why not.
static unsigned take_port(struct turn_core *core, const struct turn_request *request, unsigned slot,
	struct turn_allocation *allocation)
{
	unsigned code = 440;
	for (unsigned pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < core->pool_count; i++) {
			struct relay_pool *pool = &core->pools[i];
			bool same = net_address_equal(&pool->address, &request->server.address);
			if (pool->address.family != slot_family[slot] || same != (pass == 0))
				continue;
			uint16_t *port = &allocation->port[slot];
			int result = request->reserve_next
					     ? relay_pool_take_pair(pool, request->worker, port)
					     : relay_pool_take(pool, request->even_port,
						       request->worker, port);
			if (result >= 0) {
				if (result > 0)
					turn_count(core, TURN_COUNTER_ports_astray);
				allocation->pool[slot] = (uint8_t)i;
				return 0;
			}
			code = 508;
		}
	}
	return code;
}

// Takes ports for all families asked for; of two, one is enough (check 9). 0 or an error code.
unsigned turn_ports_take(
	struct turn_core *core, struct turn_request *request, struct turn_allocation *allocation)
{
	uint8_t wanted = request->families;
	unsigned code = 508;
	for (unsigned slot = 0; slot < 2; slot++) {
		if ((wanted & 1u << slot) == 0)
			continue;
		unsigned failed = take_port(core, request, slot, allocation);
		if (failed == 0)
			continue;
		code = failed;
		request->families &= (uint8_t) ~(1u << slot);
		request->failed_family = turn_slot_stun_family[slot];
		request->failed_code = (uint16_t)failed;
	}
	return request->families == 0 ? code : 0;
}

// Puts the upper port of the pair that turn_ports_take took under the allocation's token.
bool turn_pair_hold(struct turn_core *core, const struct turn_request *request,
	const struct turn_allocation *allocation)
{
	unsigned slot = request->families == 1 ? 0 : 1;
	struct reservation *reservation = reservations_add(
		&core->reservations, turn_reservation_token(core, request->allocation_id));
	if (reservation == NULL)
		return false;
	reservation->credential_tag = allocation->credential_tag;
	reservation->prefix_tag = allocation->prefix_tag;
	reservation->pool = allocation->pool[slot];
	reservation->port = (uint16_t)(allocation->port[slot] + 1);
	quota_take(&core->credential_quota, allocation->credential_tag);
	quota_take(&core->prefix_quota, allocation->prefix_tag);
	return true;
}

void turn_pair_drop(struct turn_core *core, const struct turn_request *request)
{
	uint64_t token = turn_reservation_token(core, request->allocation_id);
	struct reservation *reservation = reservations_find(&core->reservations, token);
	if (reservation == NULL)
		return;
	struct reservation copy = *reservation;
	reservations_remove(&core->reservations, token);
	turn_reservation_release(core, &copy);
}

// 0 or an error code. The reserved port becomes this allocation's.
unsigned turn_reservation_claim(struct turn_core *core, struct turn_request *request,
	struct turn_allocation *allocation, uint64_t now_ms)
{
	struct reservation *reservation = reservations_find(&core->reservations, request->token);
	if (reservation == NULL || reservation->claimed || reservation->expires_ms == UINT64_MAX ||
		reservation->expires_ms <= now_ms)
		return 508;
	unsigned slot = core->pools[reservation->pool].address.family == NET_IPV4 ? 0 : 1;
	relay_pool_change(&core->pools[reservation->pool], reservation->port, RELAY_PORT_RESERVED,
		RELAY_PORT_ALLOCATED);
	// The pair was drawn for the worker that received the first Allocate.
	if (!relay_pool_is_home(
		    &core->pools[reservation->pool], reservation->port, request->worker))
		turn_count(core, TURN_COUNTER_ports_astray);
	reservation->claimed = true;
	request->families = (uint8_t)(1u << slot);
	allocation->pool[slot] = reservation->pool;
	allocation->port[slot] = reservation->port;
	return 0;
}

// The allocation did not come about: the port is reserved again.
void turn_reservation_unclaim(struct turn_core *core, const struct turn_request *request,
	struct turn_allocation *allocation)
{
	struct reservation *reservation = reservations_find(&core->reservations, request->token);
	if (reservation == NULL)
		return;
	relay_pool_change(&core->pools[reservation->pool], reservation->port, RELAY_PORT_ALLOCATED,
		RELAY_PORT_RESERVED);
	allocation->pool[0] = allocation->pool[1] = TURN_NO_POOL;
	reservations_unclaim(&core->reservations, reservation);
}

void turn_pair_made(struct turn_core *core, uint64_t allocation_id, uint64_t now_ms)
{
	struct reservation *reservation =
		reservations_find(&core->reservations, turn_reservation_token(core, allocation_id));
	if (reservation != NULL)
		reservations_start(&core->reservations, reservation, now_ms);
}

// The claimed port is the allocation's now, and counts there.
void turn_reservation_used(struct turn_core *core, uint64_t token)
{
	struct reservation *reservation = reservations_find(&core->reservations, token);
	if (reservation == NULL)
		return;
	quota_give(&core->credential_quota, reservation->credential_tag);
	quota_give(&core->prefix_quota, reservation->prefix_tag);
	reservations_remove(&core->reservations, token);
}
