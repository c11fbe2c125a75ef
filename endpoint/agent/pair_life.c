// SPDX-License-Identifier: BSD-3-Clause
// What becomes of a pair:
//
//     SEARCHING --answered--> LIVE --consent ends--> SEARCHING
//     SEARCHING --all checks for nothing--> FAILED --heard, signalled anew--> SEARCHING
//
// The owner knows a pair while it is valid: LIVE, or (native) heard. A pair that is lost gets
// another number at once, so the owner's old number never means the pair's next life.
#include "endpoint/agent/core.h"

void ice_pair_restart(struct agent *agent, struct ice_pair *pair)
{
	pair->state = ICE_PAIR_SEARCHING;
	pair->tries = 0;
	pair->heard = false;
	pair->due = agent->now;
}

static void pair_valid(struct agent *agent, struct ice_pair *pair, uint64_t until)
{
	pair->valid_until = until;
	if (pair->valid)
		return;
	pair->valid = true;
	// A standard agent's owner hears of nominated pairs, too, and may use any valid one.
	pair->tell_valid = true;
	agent->exhausted = false;
	agent->tell_exhausted = false;
}

void ice_pair_heard(struct agent *agent, struct ice_pair *pair)
{
	if (pair->state == ICE_PAIR_LIVE)
		return;
	const struct endpoint_transport *there = &pair->remote->candidate.transport;
	if (!ice_standard(agent) && !pair->valid && ice_budget_grant(agent, there)) {
		pair->allowance = AGENT_UNCONFIRMED_SENDS;
		pair_valid(agent, pair, agent->now + AGENT_UNCONFIRMED_MS);
	}
	pair->state = ICE_PAIR_SEARCHING;
	pair->tries = 0;
	pair->heard = true;
	pair->triggered = true;
	pair->due = agent->now;
	if (pair->ever_checked && pair->checked_at + ICE_TRIGGER_MS > agent->now)
		pair->due = pair->checked_at + ICE_TRIGGER_MS;
}

void ice_pair_answered(struct agent *agent, struct ice_pair *pair, uint64_t sent_at,
	const struct endpoint_transport *mapped)
{
	bool live = pair->state == ICE_PAIR_LIVE, known = pair->known;
	uint32_t rtt = (uint32_t)(agent->now - sent_at);
	ice_budget_answered(agent, &pair->remote->candidate.transport, pair->valid && !live);
	// RFC 6298's smoothing; the first one of a life counts whole.
	pair->rtt_ms = live ? (7 * pair->rtt_ms + rtt + 4) / 8 : rtt;
	pair->mapped = *mapped;
	pair->answered_at = agent->now;
	pair->state = ICE_PAIR_LIVE;
	pair->tries = 0;
	pair->triggered = false;
	pair_valid(agent, pair, agent->now + AGENT_CONSENT_MS);
	if (!live && known)
		pair->tell_confirmed = true;
	// A nomination on its way is repeated until it is answered itself.
	if (pair->nominating && !pair->nominated && pair->urgent > 0)
		return;
	pair->urgent = 0;
	pair->due = ice_check_consent_due(agent, pair);
}

void ice_pair_lose(struct agent *agent, struct ice_pair *pair, enum agent_lost why)
{
	if (pair->known) {
		pair->lost_id = pair->id;
		pair->lost_why = why;
	}
	if (pair->id == agent->nominated)
		agent->nominated = 0;
	ice_pair_number(agent, pair);
	pair->valid = pair->known = false;
	pair->tell_valid = pair->tell_confirmed = pair->tell_nominated = false;
	pair->nominating = pair->remote_nominated = pair->nominated = false;
	pair->urgent = 0;
	memset(pair->transactions, 0, sizeof(pair->transactions));
	memset(&pair->mapped, 0, sizeof(pair->mapped));
}

void ice_pair_end(struct agent *agent, struct ice_pair *pair, enum agent_lost why)
{
	if (pair->state == ICE_PAIR_GONE)
		return;
	ice_pair_lose(agent, pair, why);
	pair->state = ICE_PAIR_GONE;
	ice_pair_sweep(agent, pair);
}

void ice_pair_sweep(struct agent *agent, struct ice_pair *pair)
{
	if (pair->state != ICE_PAIR_GONE || pair->lost_id != 0)
		return;
	pair->state = ICE_PAIR_FREE;
	pair->remote = NULL;
	(void)agent;
}
