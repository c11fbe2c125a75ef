// SPDX-License-Identifier: BSD-3-Clause
// AGENT_STANDARD: the controlling side nominates one pair, which both then use (RFC 8445 8.1.1,
// "regular" nomination: the pair was found good before). It waits a little for better ones. From
// the controlled side all is the peer's choice; one that nominates several (as RFC 5245 let it)
// means the best of them. And the roles, which AGENT_NATIVE has as well, only for the order of
// pairs.
#include "endpoint/agent/core.h"

enum {
	WAIT_DIRECT_MS = 250, // since the first pair was good, while better ones are searched
	WAIT_RELAYED_MS = 1000,
	NOMINATE_TRIES = 7,
};

void ice_role_switch(struct agent *agent, bool controlling, bool new_tie_breaker)
{
	agent->controlling = controlling;
	// RFC 8445 7.2.5.1: else two that began with equal ones would go on switching.
	if (new_tie_breaker)
		ice_random(agent, &agent->tie_breaker, sizeof(agent->tie_breaker));
	for (unsigned i = 0; i < AGENT_PAIRS_MAX; i++)
		agent->pairs[i].nominating = false;
	ice_pair_priorities(agent);
}

static void select_pair(struct agent *agent, struct ice_pair *pair)
{
	const struct ice_pair *old = ice_pair_by_id(agent, agent->nominated);
	if (old == pair || (old != NULL && old->priority >= pair->priority))
		return;
	agent->nominated = pair->id;
	pair->nominated = true;
	pair->tell_nominated = true;
	pair->urgent = 0;
	pair->due = ice_check_consent_due(agent, pair);
	for (unsigned i = 0; i < AGENT_PAIRS_MAX; i++) {
		struct ice_pair *other = &agent->pairs[i];
		if (other == pair ||
			(other->state != ICE_PAIR_SEARCHING && other->state != ICE_PAIR_LIVE))
			continue;
		if (other->valid)
			ice_pair_lose(agent, other, AGENT_LOST_SELECTED);
		other->state = ICE_PAIR_FAILED;
	}
}

void ice_nominate_remote(struct agent *agent, struct ice_pair *pair)
{
	if (!ice_standard(agent) || agent->controlling)
		return;
	pair->remote_nominated = true;
	if (pair->state == ICE_PAIR_LIVE)
		select_pair(agent, pair);
}

void ice_nominate_answered(struct agent *agent, struct ice_pair *pair, bool nominating)
{
	if (!ice_standard(agent))
		return;
	if (agent->controlling ? nominating && pair->nominating : pair->remote_nominated)
		select_pair(agent, pair);
}

static struct ice_pair *best_live(struct agent *agent)
{
	struct ice_pair *best = NULL;
	for (unsigned i = 0; i < AGENT_PAIRS_MAX; i++) {
		struct ice_pair *pair = &agent->pairs[i];
		if (pair->state == ICE_PAIR_LIVE &&
			(best == NULL || pair->priority > best->priority))
			best = pair;
	}
	return best;
}

static bool better_searched(const struct agent *agent, const struct ice_pair *than)
{
	for (unsigned i = 0; i < AGENT_PAIRS_MAX; i++) {
		const struct ice_pair *pair = &agent->pairs[i];
		if (pair->state == ICE_PAIR_SEARCHING && pair->priority > than->priority)
			return true;
	}
	return false;
}

static bool nominating(const struct agent *agent)
{
	for (unsigned i = 0; i < AGENT_PAIRS_MAX; i++)
		if (agent->pairs[i].state == ICE_PAIR_LIVE && agent->pairs[i].nominating)
			return true;
	return false;
}

static uint64_t wait_of(const struct agent *agent, const struct ice_pair *pair)
{
	bool relayed = agent->bases[pair->base].kind == AGENT_TURN ||
		       pair->remote->candidate.type == AGENT_RELAYED;
	return relayed ? WAIT_RELAYED_MS : WAIT_DIRECT_MS;
}

void ice_nominate_tick(struct agent *agent)
{
	if (!ice_standard(agent) || !agent->controlling || agent->nominated != 0)
		return;
	struct ice_pair *best = best_live(agent);
	if (best == NULL) {
		agent->first_live_at = ENDPOINT_NEVER;
		return;
	}
	if (agent->first_live_at == ENDPOINT_NEVER)
		agent->first_live_at = agent->now;
	if (nominating(agent) || (better_searched(agent, best) &&
					 agent->now < agent->first_live_at + wait_of(agent, best)))
		return;
	best->nominating = true;
	best->urgent = NOMINATE_TRIES;
	best->due = agent->now;
}

uint64_t ice_nominate_deadline(const struct agent *agent)
{
	if (!ice_standard(agent) || !agent->controlling || agent->nominated != 0 ||
		agent->first_live_at == ENDPOINT_NEVER || nominating(agent))
		return ENDPOINT_NEVER;
	// At the earlier of both moments it is looked again which of them counts.
	uint64_t direct = agent->first_live_at + WAIT_DIRECT_MS;
	return agent->now < direct ? direct : agent->first_live_at + WAIT_RELAYED_MS;
}
