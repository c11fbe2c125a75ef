// SPDX-License-Identifier: BSD-3-Clause
// Bases: the owner's sockets, by the owner's numbers. What lies on a base (candidates, questions to
// servers, pairs) goes with it.
#include "endpoint/agent/core.h"

#include <errno.h>

struct ice_base *ice_base_find(struct agent *agent, unsigned base)
{
	if (base >= AGENT_BASES_MAX || !agent->bases[base].used)
		return NULL;
	return &agent->bases[base];
}

bool ice_base_searches(const struct agent *agent, const struct ice_base *base)
{
	if (agent->config.relay_only)
		return base->kind == AGENT_TURN;
	return base->kind != AGENT_QUIET;
}

uint32_t ice_base_keepalive(const struct agent *agent, unsigned base)
{
	uint32_t own = agent->bases[base].keepalive_ms;
	return own != 0 ? own : agent->keepalive_ms;
}

int agent_base_add(
	struct agent *agent, unsigned base, uint8_t family, enum agent_base_kind kind, uint64_t now)
{
	if (base >= AGENT_BASES_MAX || (family != NET_IPV4 && family != NET_IPV6) ||
		(unsigned)kind > AGENT_QUIET)
		return -EINVAL;
	if (agent->bases[base].used)
		return -EEXIST;
	ice_enter(agent, now);
	agent->bases[base] = (struct ice_base){
		.used = true,
		.family = family,
		.kind = (uint8_t)kind,
		.ordinal = agent->base_ordinal++,
	};
	ice_gather_base(agent, base);
	ice_pair_form(agent);
	ice_leave(agent);
	return 0;
}

int agent_base_remove(struct agent *agent, unsigned base, uint64_t now)
{
	if (ice_base_find(agent, base) == NULL)
		return -ENOENT;
	ice_enter(agent, now);
	for (unsigned i = 0; i < AGENT_PAIRS_MAX; i++) {
		struct ice_pair *pair = &agent->pairs[i];
		if (pair->state != ICE_PAIR_FREE && pair->base == base)
			ice_pair_end(agent, pair, AGENT_LOST_BASE);
	}
	ice_gather_remove_base(agent, base);
	ice_local_remove_base(agent, base);
	agent->bases[base].used = false;
	ice_remote_sweep(agent);
	// There may be room now for pairs that the table had none for.
	ice_pair_form(agent);
	ice_leave(agent);
	return 0;
}

int agent_base_keepalive(struct agent *agent, unsigned base, uint32_t keepalive_ms, uint64_t now)
{
	struct ice_base *found = ice_base_find(agent, base);
	if (found == NULL)
		return -ENOENT;
	ice_enter(agent, now);
	found->keepalive_ms = keepalive_ms;
	for (unsigned i = 0; i < AGENT_PAIRS_MAX; i++) {
		struct ice_pair *pair = &agent->pairs[i];
		if (pair->state != ICE_PAIR_LIVE || pair->base != base)
			continue;
		uint64_t due = ice_check_consent_due(agent, pair);
		if (due < pair->due)
			pair->due = due;
	}
	for (unsigned i = 0; i < AGENT_GATHERS_MAX; i++) {
		struct ice_gather *gather = &agent->gathers[i];
		uint64_t due = agent->now + ice_base_keepalive(agent, base);
		if (gather->used && gather->base == base && due < gather->due &&
			gather->due != ENDPOINT_NEVER)
			gather->due = due;
	}
	ice_leave(agent);
	return 0;
}

static void search_again(struct agent *agent)
{
	for (unsigned i = 0; i < AGENT_PAIRS_MAX; i++) {
		struct ice_pair *pair = &agent->pairs[i];
		if (pair->state == ICE_PAIR_LIVE) {
			pair->urgent = ICE_URGENT_TRIES;
			pair->due = agent->now;
		} else if (pair->state == ICE_PAIR_SEARCHING || pair->state == ICE_PAIR_FAILED) {
			ice_pair_restart(agent, pair);
		}
	}
	// The peer begins anew, too, when it reads of a newer generation.
	ice_local_changed(agent);
}

void agent_network_changed(struct agent *agent, uint64_t now)
{
	ice_enter(agent, now);
	ice_gather_again(agent);
	search_again(agent);
	ice_leave(agent);
}

void agent_search_again(struct agent *agent, uint64_t now)
{
	ice_enter(agent, now);
	search_again(agent);
	ice_leave(agent);
}
