// SPDX-License-Identifier: BSD-3-Clause
// What may be sent to addresses that have not answered. A peer says where it is, and may lie: these
// buckets are all that a liar gets. Three stand one behind the other:
//
//     pace    between any two checks, so that what we send unasked is a trickle
//     host    for each IP address, whatever the port, candidate, base, or generation
//     total   for all of them, since a liar may name ever more addresses
//
// An answer to a check of ours (its transaction cannot be guessed) fills the host's bucket. The
// table of hosts forgets the one that was used longest ago: whoever cycles through more than
// ICE_HOSTS addresses is held by the total.
#include "endpoint/agent/core.h"

enum {
	GRANTS = 8, // unconfirmed pairs at once
	GRANT_REFILL_MS = 10 * 1000,
	GRANTS_PER_HOST = 2,
};

static void refill(struct ice_bucket *bucket, uint64_t now, uint32_t capacity, uint32_t interval_ms)
{
	uint64_t more = (now - bucket->at) / interval_ms;
	if (bucket->left + more >= capacity) {
		bucket->left = capacity;
		bucket->at = now;
	} else {
		bucket->left += (uint32_t)more;
		bucket->at += more * interval_ms;
	}
}

bool ice_bucket_take(
	struct ice_bucket *bucket, uint64_t now, uint32_t capacity, uint32_t interval_ms)
{
	refill(bucket, now, capacity, interval_ms);
	if (bucket->left == 0)
		return false;
	bucket->left--;
	return true;
}

static struct ice_host *host_of(struct agent *agent, const struct endpoint_transport *destination)
{
	struct ice_host *oldest = &agent->hosts[0];
	for (unsigned i = 0; i < ICE_HOSTS; i++) {
		struct ice_host *host = &agent->hosts[i];
		if (host->used && host->family == destination->family &&
			memcmp(host->address, destination->address, sizeof(host->address)) == 0) {
			host->used_at = agent->now;
			return host;
		}
		if (!oldest->used)
			continue;
		if (!host->used || host->used_at < oldest->used_at)
			oldest = host;
	}
	*oldest = (struct ice_host){
		.used = true,
		.family = destination->family,
		.used_at = agent->now,
		.checks = {.left = AGENT_CHECKS_PER_HOST, .at = agent->now},
	};
	memcpy(oldest->address, destination->address, sizeof(oldest->address));
	return oldest;
}

static uint32_t pace_capacity(const struct agent *agent)
{
	return ice_standard(agent) ? 1 : AGENT_FIRST_CHECKS;
}

void ice_budget_begin(struct agent *agent)
{
	agent->pace.left = pace_capacity(agent);
	agent->total.left = AGENT_CHECKS_BURST;
	agent->grants.left = GRANTS;
	agent->answers.left = ICE_ANSWERS;
}

bool ice_budget_pace(struct agent *agent)
{
	refill(&agent->pace, agent->now, pace_capacity(agent), agent->pace_ms);
	return agent->pace.left > 0;
}

uint64_t ice_budget_pace_at(const struct agent *agent)
{
	return agent->pace.left > 0 ? agent->now : agent->pace.at + agent->pace_ms;
}

bool ice_budget_take(
	struct agent *agent, const struct endpoint_transport *destination, uint64_t *again)
{
	struct ice_host *host = host_of(agent, destination);
	refill(&host->checks, agent->now, AGENT_CHECKS_PER_HOST, AGENT_CHECKS_HOST_REFILL_MS);
	refill(&agent->total, agent->now, AGENT_CHECKS_BURST, AGENT_CHECKS_REFILL_MS);
	if (host->checks.left == 0) {
		ice_count(agent, AGENT_COUNTER_held_host);
		*again = host->checks.at + AGENT_CHECKS_HOST_REFILL_MS;
		return false;
	}
	if (agent->total.left == 0) {
		ice_count(agent, AGENT_COUNTER_held_budget);
		*again = agent->total.at + AGENT_CHECKS_REFILL_MS;
		return false;
	}
	host->checks.left--;
	agent->total.left--;
	agent->pace.left--;
	return true;
}

bool ice_budget_grant(struct agent *agent, const struct endpoint_transport *destination)
{
	struct ice_host *host = host_of(agent, destination);
	if (host->grants >= GRANTS_PER_HOST ||
		!ice_bucket_take(&agent->grants, agent->now, GRANTS, GRANT_REFILL_MS))
		return false;
	host->grants++;
	return true;
}

void ice_budget_answered(
	struct agent *agent, const struct endpoint_transport *destination, bool granted)
{
	struct ice_host *host = host_of(agent, destination);
	host->grants = 0;
	host->checks = (struct ice_bucket){.left = AGENT_CHECKS_PER_HOST, .at = agent->now};
	if (granted && agent->grants.left < GRANTS)
		agent->grants.left++;
}
