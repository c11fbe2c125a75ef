// SPDX-License-Identifier: BSD-3-Clause
// Our own candidates, and what each is worth (RFC 8445 5.1.2). How many there may be of each kind
// adds up to AGENT_LOCAL_MAX, so no kind can take another's room; among host addresses a better
// one takes the place of a worse one.
//
// AGENT_NATIVE puts addresses of bridges and containers behind the reflexive ones by another type
// preference. RFC 8445 wants one preference for each type, so with standard agents they are just
// the last among the host candidates.
#include "endpoint/agent/core.h"

#include <errno.h>

enum {
	HOSTS_MAX = 8,
	MAPPED_MAX = 2,
	REFLEXIVE_MAX = 4,
	RELAYED_MAX = 2,
	PREFERENCE_HOST = 126,
	PREFERENCE_PEER_REFLEXIVE = 110,
	PREFERENCE_MAPPED = 105,
	PREFERENCE_SERVER_REFLEXIVE = 100,
	PREFERENCE_VIRTUAL = 50,
	PREFERENCE_RELAYED = 0,
	SLOT_STEP = 64, // of local preference, so that no two candidates are equal
	IPV6_MORE = 3000,
	MAPPED_MORE = 1500,
	COMPONENT = 1,
};
static_assert(HOSTS_MAX + MAPPED_MAX + REFLEXIVE_MAX + RELAYED_MAX == AGENT_LOCAL_MAX, "");

static const uint8_t class_max[] = {
	[AGENT_NORMAL] = HOSTS_MAX, [AGENT_METERED] = 4, [AGENT_VPN] = 4, [AGENT_VIRTUAL] = 2};
static const uint16_t class_preference[] = {[AGENT_NORMAL] = 60000,
	[AGENT_METERED] = 45000,
	[AGENT_VPN] = 30000,
	[AGENT_VIRTUAL] = 10000};

static uint32_t type_preference(
	const struct agent *agent, enum agent_candidate_type type, enum agent_class class)
{
	switch (type) {
	case AGENT_HOST:
		return class == AGENT_VIRTUAL && !ice_standard(agent) ? PREFERENCE_VIRTUAL
								      : PREFERENCE_HOST;
	case AGENT_MAPPED: // text knows it as server-reflexive
		return ice_standard(agent) ? PREFERENCE_SERVER_REFLEXIVE : PREFERENCE_MAPPED;
	case AGENT_PEER_REFLEXIVE:
		return PREFERENCE_PEER_REFLEXIVE;
	case AGENT_SERVER_REFLEXIVE:
		return PREFERENCE_SERVER_REFLEXIVE;
	case AGENT_RELAYED:
		break;
	}
	return PREFERENCE_RELAYED;
}

static uint32_t priority_of(const struct agent *agent, enum agent_candidate_type type,
	enum agent_class class, uint8_t family, unsigned slot)
{
	uint32_t local = class_preference[class] - slot * SLOT_STEP;
	if (family == NET_IPV6)
		local += IPV6_MORE;
	if (type == AGENT_MAPPED)
		local += MAPPED_MORE;
	return type_preference(agent, type, class) << 24 | local << 8 | (256 - COMPONENT);
}

// Of the best host address of a base, which is what its other candidates are worth, too.
static enum agent_class base_class(const struct agent *agent, unsigned base)
{
	enum agent_class best = AGENT_VIRTUAL;
	bool any = false;
	for (unsigned i = 0; i < AGENT_LOCAL_MAX; i++) {
		const struct ice_local *local = &agent->locals[i];
		if (!local->used || local->base != base || local->candidate.type != AGENT_HOST)
			continue;
		any = true;
		if (local->class < best)
			best = local->class;
	}
	return any ? best : AGENT_NORMAL;
}

uint32_t ice_base_reflexive_priority(const struct agent *agent, unsigned base)
{
	const struct ice_base *found = &agent->bases[base];
	return priority_of(agent, AGENT_PEER_REFLEXIVE, base_class(agent, base), found->family,
		found->ordinal % AGENT_LOCAL_MAX);
}

uint32_t ice_base_priority(const struct agent *agent, unsigned base)
{
	uint32_t best = 0;
	for (unsigned i = 0; i < AGENT_LOCAL_MAX; i++) {
		const struct ice_local *local = &agent->locals[i];
		bool own = local->candidate.type == AGENT_HOST ||
			   local->candidate.type == AGENT_RELAYED;
		if (local->used && local->base == base && own && local->candidate.priority > best)
			best = local->candidate.priority;
	}
	if (best != 0)
		return best;
	if (agent->bases[base].kind == AGENT_TURN)
		return priority_of(
			agent, AGENT_RELAYED, AGENT_NORMAL, agent->bases[base].family, 0);
	return ice_base_reflexive_priority(agent, base);
}

void ice_local_changed(struct agent *agent)
{
	agent->generation++;
	agent->tell_changed = true;
}

static struct ice_local *local_find(
	struct agent *agent, unsigned base, const struct endpoint_transport *transport)
{
	for (unsigned i = 0; i < AGENT_LOCAL_MAX; i++) {
		struct ice_local *local = &agent->locals[i];
		if (local->used && local->base == base &&
			ice_transport_equal(&local->candidate.transport, transport))
			return local;
	}
	return NULL;
}

static unsigned type_max(enum agent_candidate_type type)
{
	switch (type) {
	case AGENT_HOST:
		return HOSTS_MAX;
	case AGENT_MAPPED:
		return MAPPED_MAX;
	case AGENT_SERVER_REFLEXIVE:
		return REFLEXIVE_MAX;
	case AGENT_RELAYED:
		return RELAYED_MAX;
	case AGENT_PEER_REFLEXIVE:
		break;
	}
	return 0;
}

// A place for one of this type and class: a free one, or, for host addresses, that of the worst
// class, which has to be a worse one. NULL: none.
static struct ice_local *local_place(
	struct agent *agent, enum agent_candidate_type type, enum agent_class class)
{
	struct ice_local *free = NULL, *worst = NULL;
	unsigned same_type = 0, same_class = 0;
	for (unsigned i = 0; i < AGENT_LOCAL_MAX; i++) {
		struct ice_local *local = &agent->locals[i];
		if (!local->used) {
			free = free != NULL ? free : local;
		} else if (local->candidate.type == type) {
			same_type++;
			same_class += local->class == class;
			if (worst == NULL || local->class > worst->class)
				worst = local;
		}
	}
	if (type == AGENT_HOST && same_class >= class_max[class])
		return NULL;
	if (same_type < type_max(type))
		return free;
	return type == AGENT_HOST && worst->class > class ? worst : NULL;
}

static int local_add(struct agent *agent, unsigned base, enum agent_candidate_type type,
	enum agent_class class, const struct endpoint_transport *transport, uint8_t told_by)
{
	struct ice_local *local = local_find(agent, base, transport);
	if (local != NULL &&
		(local->candidate.type == type || local->candidate.type == AGENT_HOST)) {
		local->told_by |= told_by;
		return 0;
	}
	// The same address was known as something less: it is what it is now.
	if (local != NULL)
		local->used = false;
	local = local_place(agent, type, class);
	if (local == NULL)
		return -ENOSPC;
	*local = (struct ice_local){
		.used = true,
		.tell = true,
		.told_by = told_by,
		.class = (uint8_t) class,
		.base = base,
		.candidate = {.type = type,
			.transport = *transport,
			.priority = priority_of(agent, type, class, transport->family,
				(unsigned)(local - agent->locals))},
	};
	// Unique is enough: foundations tell which pairs of several components fail together.
	unsigned slot = (unsigned)(local - agent->locals);
	local->candidate.foundation[0] = (char)('0' + type);
	local->candidate.foundation[1] = (char)('a' + slot);
	ice_pair_priorities(agent);
	ice_local_changed(agent);
	return 0;
}

int agent_candidate_add(struct agent *agent, unsigned base, enum agent_candidate_type type,
	enum agent_class class, const struct endpoint_transport *transport, uint64_t now)
{
	const struct ice_base *found = ice_base_find(agent, base);
	if (found == NULL)
		return -ENOENT;
	bool relayed = type == AGENT_RELAYED;
	if (type_max(type) == 0 || (unsigned)class > AGENT_VIRTUAL || found->kind == AGENT_QUIET ||
		relayed != (found->kind == AGENT_TURN) || transport->family != found->family ||
		!ice_address_usable(transport, agent->config.allow_loopback))
		return -EINVAL;
	if (agent->config.relay_only && !relayed)
		return -EPERM;
	struct endpoint_transport clean = ice_transport_clean(transport);
	if (ice_address_link_local(&clean))
		class = AGENT_VIRTUAL;
	ice_enter(agent, now);
	int result = local_add(agent, base, type, class, &clean, ICE_TOLD_BY_OWNER);
	ice_leave(agent);
	return result;
}

static void local_remove(struct agent *agent, struct ice_local *local)
{
	local->used = false;
	ice_pair_priorities(agent);
	ice_local_changed(agent);
}

int agent_candidate_remove(struct agent *agent, unsigned base,
	const struct endpoint_transport *transport, uint64_t now)
{
	struct endpoint_transport clean = ice_transport_clean(transport);
	struct ice_local *local = local_find(agent, base, &clean);
	if (local == NULL)
		return -ENOENT;
	ice_enter(agent, now);
	local_remove(agent, local);
	ice_leave(agent);
	return 0;
}

void ice_local_remove_base(struct agent *agent, unsigned base)
{
	for (unsigned i = 0; i < AGENT_LOCAL_MAX; i++)
		if (agent->locals[i].used && agent->locals[i].base == base)
			local_remove(agent, &agent->locals[i]);
}

void ice_local_reflexive(struct agent *agent, unsigned base, unsigned server,
	const struct endpoint_transport *mapped)
{
	uint8_t teller = (uint8_t)(ICE_TOLD_BY_OWNER << (1 + server));
	for (unsigned i = 0; i < AGENT_LOCAL_MAX; i++) {
		struct ice_local *local = &agent->locals[i];
		if (!local->used || local->base != base || !(local->told_by & teller) ||
			ice_transport_equal(&local->candidate.transport, mapped))
			continue;
		local->told_by &= (uint8_t)~teller;
		if (local->told_by == 0)
			local_remove(agent, local);
	}
	if (mapped->family == agent->bases[base].family &&
		ice_address_usable(mapped, agent->config.allow_loopback))
		local_add(agent, base, AGENT_SERVER_REFLEXIVE, base_class(agent, base), mapped,
			teller);
}

enum agent_candidate_type ice_local_type(
	const struct agent *agent, unsigned base, const struct endpoint_transport *mapped)
{
	if (agent->bases[base].kind == AGENT_TURN)
		return AGENT_RELAYED;
	for (unsigned i = 0; i < AGENT_LOCAL_MAX; i++) {
		const struct ice_local *local = &agent->locals[i];
		if (local->used && local->base == base &&
			ice_transport_equal(&local->candidate.transport, mapped))
			return local->candidate.type;
	}
	return AGENT_PEER_REFLEXIVE;
}

size_t agent_local(const struct agent *agent, struct agent_candidate out[static AGENT_LOCAL_MAX],
	uint32_t *generation)
{
	size_t count = 0;
	for (unsigned i = 0; i < AGENT_LOCAL_MAX; i++) {
		const struct ice_local *local = &agent->locals[i];
		if (!local->used)
			continue;
		size_t at = count++;
		for (; at > 0 && out[at - 1].priority < local->candidate.priority; at--)
			out[at] = out[at - 1];
		out[at] = local->candidate;
	}
	*generation = agent->generation;
	return count;
}
