// SPDX-License-Identifier: BSD-3-Clause
// When which pair is checked. Pairs without an answer share the budget (budget.c): a check that the
// peer's own triggered goes before all others, then pairs that were checked less often, then better
// ones. So the best AGENT_FIRST_CHECKS go out in the moment both lists are known, and repetitions
// never keep a pair from its first check. Pairs with consent are checked each 4 to 6 s (RFC 7675
// 5.1) or each keepalive of their base, if that is shorter, and no budget holds them.
#include "endpoint/agent/core.h"

uint64_t ice_check_interval(const struct agent *agent, unsigned tries)
{
	uint64_t searching = 0;
	for (unsigned i = 0; i < AGENT_PAIRS_MAX; i++)
		searching += agent->pairs[i].state == ICE_PAIR_SEARCHING;
	// RFC 8445 14.3: what all pairs take in turn is not repeated faster than that.
	uint64_t interval = searching * agent->pace_ms;
	if (interval < agent->first_rto_ms)
		interval = agent->first_rto_ms;
	interval <<= tries < 8 ? tries : 8;
	return interval < ICE_INTERVAL_MAX_MS ? interval : ICE_INTERVAL_MAX_MS;
}

uint64_t ice_check_consent_due(struct agent *agent, const struct ice_pair *pair)
{
	const uint64_t fifth = AGENT_CONSENT_CHECK_MS / 5;
	uint64_t wait = ice_random_between(
		agent, AGENT_CONSENT_CHECK_MS - fifth, AGENT_CONSENT_CHECK_MS + fifth);
	uint32_t keepalive = ice_base_keepalive(agent, pair->base);
	return agent->now + (keepalive < wait ? keepalive : wait);
}

static void check_send(struct agent *agent, struct ice_pair *pair)
{
	uint8_t message[ICE_MESSAGE_MAX];
	size_t size = ice_message_check(agent, pair, message);
	pair->triggered = false;
	pair->ever_checked = true;
	pair->checked_at = agent->now;
	if (size == 0)
		return;
	ice_count(agent, AGENT_COUNTER_checks);
	ice_send(agent, pair->base, &pair->remote->candidate.transport, message, size);
}

static void check_live(struct agent *agent, struct ice_pair *pair)
{
	ice_count(agent, AGENT_COUNTER_checks_consent);
	check_send(agent, pair);
	if (pair->urgent == 0) {
		pair->due = ice_check_consent_due(agent, pair);
		return;
	}
	pair->urgent--;
	pair->due = agent->now + ICE_URGENT_MS;
}

static void check_unanswered(struct agent *agent, struct ice_pair *pair)
{
	ice_count(agent, AGENT_COUNTER_checks_unanswered);
	if (pair->triggered)
		ice_count(agent, AGENT_COUNTER_checks_triggered);
	check_send(agent, pair);
	pair->due = agent->now + ice_check_interval(agent, pair->tries);
	pair->tries++;
}

// A standard agent whose nominated pair is gone tries everything once more.
static void restart_failed(struct agent *agent)
{
	for (unsigned i = 0; i < AGENT_PAIRS_MAX; i++)
		if (agent->pairs[i].state == ICE_PAIR_FAILED && agent->pairs[i].remote->signalled)
			ice_pair_restart(agent, &agent->pairs[i]);
}

static void expire(struct agent *agent, struct ice_pair *pair)
{
	if (pair->state == ICE_PAIR_SEARCHING) {
		ice_pair_lose(agent, pair, AGENT_LOST_UNCONFIRMED);
		return;
	}
	bool nominated = pair->id == agent->nominated;
	ice_pair_lose(agent, pair, AGENT_LOST_CONSENT);
	if (pair->remote->signalled) {
		ice_pair_restart(agent, pair);
	} else {
		// Where the peer is no more, or never said it was: it is heard, or not.
		ice_pair_end(agent, pair, AGENT_LOST_CONSENT);
		ice_remote_sweep(agent);
	}
	if (nominated)
		restart_failed(agent);
}

static unsigned tries_max(const struct agent *agent)
{
	return ice_standard(agent) ? ICE_STANDARD_TRIES : AGENT_CHECKS_PER_PAIR;
}

static void age(struct agent *agent, struct ice_pair *pair)
{
	if (pair->valid && pair->valid_until <= agent->now)
		expire(agent, pair);
	if (pair->state == ICE_PAIR_SEARCHING && pair->tries >= tries_max(agent) &&
		pair->due <= agent->now && !pair->valid) {
		ice_count(agent, AGENT_COUNTER_held_pair);
		pair->state = ICE_PAIR_FAILED;
	}
}

static bool before(const struct ice_pair *a, const struct ice_pair *b)
{
	if (a->triggered != b->triggered)
		return a->triggered;
	if (a->tries != b->tries)
		return a->tries < b->tries;
	return a->priority > b->priority;
}

static bool searchable(const struct agent *agent, const struct ice_pair *pair)
{
	return pair->state == ICE_PAIR_SEARCHING && pair->tries < tries_max(agent);
}

static struct ice_pair *next_due(struct agent *agent)
{
	struct ice_pair *next = NULL;
	for (unsigned i = 0; i < AGENT_PAIRS_MAX; i++) {
		struct ice_pair *pair = &agent->pairs[i];
		if (!searchable(agent, pair) || pair->due > agent->now)
			continue;
		if (next == NULL || before(pair, next))
			next = pair;
	}
	return next;
}

static void exhausted(struct agent *agent)
{
	bool hope = agent->gathering || !agent->remote_known;
	bool remotes = false;
	for (unsigned i = 0; i < AGENT_PAIRS_MAX; i++)
		hope |= agent->pairs[i].state == ICE_PAIR_SEARCHING || agent->pairs[i].valid;
	for (unsigned i = 0; i < ICE_REMOTES; i++)
		remotes |= agent->remotes[i].used;
	bool now = remotes && !hope;
	if (now && !agent->exhausted)
		agent->tell_exhausted = true;
	if (!now)
		agent->tell_exhausted = false;
	agent->exhausted = now;
}

void ice_check_tick(struct agent *agent)
{
	struct ice_pair *pair;
	for (unsigned i = 0; i < AGENT_PAIRS_MAX; i++)
		age(agent, &agent->pairs[i]);
	for (unsigned i = 0; agent->remote_known && i < AGENT_PAIRS_MAX; i++)
		if (agent->pairs[i].state == ICE_PAIR_LIVE && agent->pairs[i].due <= agent->now)
			check_live(agent, &agent->pairs[i]);
	while (agent->remote_known && (pair = next_due(agent)) != NULL && ice_budget_pace(agent)) {
		uint64_t again;
		if (ice_budget_take(agent, &pair->remote->candidate.transport, &again))
			check_unanswered(agent, pair);
		else
			pair->due = again;
	}
	exhausted(agent);
}

uint64_t ice_check_deadline(const struct agent *agent)
{
	uint64_t deadline = ENDPOINT_NEVER, pace_at = ice_budget_pace_at(agent);
	for (unsigned i = 0; i < AGENT_PAIRS_MAX; i++) {
		const struct ice_pair *pair = &agent->pairs[i];
		bool searching = pair->state == ICE_PAIR_SEARCHING;
		if (!searching && pair->state != ICE_PAIR_LIVE)
			continue;
		if (pair->valid && pair->valid_until < deadline)
			deadline = pair->valid_until;
		if (!agent->remote_known)
			continue;
		uint64_t due = pair->due;
		if (searching && due < pace_at && searchable(agent, pair))
			due = pace_at;
		// Out of tries, and valid by what was heard: that ends with its time.
		if (searching && !searchable(agent, pair) && pair->valid)
			continue;
		if (due < deadline)
			deadline = due;
	}
	return deadline;
}
