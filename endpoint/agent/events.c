// SPDX-License-Identifier: BSD-3-Clause
// Telling the owner what has happened. What is to be told stands on the thing it is about; this
// file looks for it when the outermost entry leaves, tells one thing at a time, and looks again
// from the begin, because the owner may have called any function in between. So an event is never
// wrong when it is told, and what has become moot meanwhile is not told at all.
#include "endpoint/agent/core.h"

static void tell(struct agent *agent, const struct agent_event *event)
{
	agent->output.event(agent->output.context, event);
	// The callback may have made something due: it goes out before anything else is told.
	ice_nominate_tick(agent);
	ice_gather_tick(agent);
	ice_check_tick(agent);
}

static bool tell_lost(struct agent *agent, struct ice_pair *pair)
{
	struct agent_event event = {.type = AGENT_PAIR_LOST,
		.pair = pair->lost_id,
		.lost = pair->lost_why,
		.base = pair->base};
	pair->lost_id = 0;
	ice_pair_sweep(agent, pair);
	tell(agent, &event);
	return true;
}

static bool tell_valid(struct agent *agent, struct ice_pair *pair)
{
	bool confirmed = pair->state == ICE_PAIR_LIVE;
	struct agent_event event = {.type = AGENT_PAIR_VALID,
		.pair = pair->id,
		.confirmed = confirmed,
		.base = pair->base};
	pair->tell_valid = false;
	pair->known = true;
	tell(agent, &event);
	return true;
}

static bool tell_pair(struct agent *agent, struct ice_pair *pair)
{
	if (pair->lost_id != 0)
		return tell_lost(agent, pair);
	if (pair->tell_valid)
		return tell_valid(agent, pair);
	struct agent_event event = {.pair = pair->id, .base = pair->base};
	if (pair->tell_confirmed) {
		pair->tell_confirmed = false;
		event.type = AGENT_PAIR_CONFIRMED;
	} else if (pair->tell_nominated) {
		pair->tell_nominated = false;
		event.type = AGENT_PAIR_NOMINATED;
	} else {
		return false;
	}
	tell(agent, &event);
	return true;
}

static bool tell_candidate(struct agent *agent)
{
	for (unsigned i = 0; i < AGENT_LOCAL_MAX; i++) {
		struct ice_local *local = &agent->locals[i];
		if (!local->used || !local->tell)
			continue;
		struct agent_candidate candidate = local->candidate;
		struct agent_event event = {.type = AGENT_LOCAL_CANDIDATE,
			.generation = agent->generation,
			.base = local->base,
			.local = &candidate};
		local->tell = false;
		tell(agent, &event);
		return true;
	}
	return false;
}

static bool tell_agent(struct agent *agent)
{
	struct agent_event event = {.generation = agent->generation};
	if (agent->tell_changed) {
		agent->tell_changed = false;
		event.type = AGENT_LOCAL_CHANGED;
	} else if (agent->tell_gathered) {
		agent->tell_gathered = false;
		event.type = AGENT_GATHERED;
	} else if (agent->tell_exhausted) {
		agent->tell_exhausted = false;
		event.type = AGENT_EXHAUSTED;
	} else {
		return false;
	}
	tell(agent, &event);
	return true;
}

static bool tell_one(struct agent *agent)
{
	// Losses first: who hears of a new pair shall not still believe in an old one.
	for (unsigned i = 0; i < AGENT_PAIRS_MAX; i++)
		if (agent->pairs[i].lost_id != 0)
			return tell_lost(agent, &agent->pairs[i]);
	for (unsigned i = 0; i < AGENT_PAIRS_MAX; i++)
		if (tell_pair(agent, &agent->pairs[i]))
			return true;
	return tell_candidate(agent) || tell_agent(agent);
}

void ice_tell(struct agent *agent)
{
	while (tell_one(agent))
		;
}
